//! Answers about what happened at a venue, from its journal alone: what stood in the books at a
//! moment, where a condition first held, what became of an order, who was affected.
//!
//! - [`index`]: kept beside a journal, so that no answer needs all of it.
//! - [`place`]: what a sequence, a time, an order, a ClOrdID or a trade means in it.
//! - [`moment`]: the state there, and steps from it, forward and back; [`view`]: what is to be seen.
//! - [`condition`]: what to look for on the way.
//! - [`question`]: an order's life, why something was refused or not filled, trades, clients.
//! - [`difference`]: where two journals, or a journal and this program, part.
//! - [`export`]: frames for other programs; [`names`]: with pseudonyms instead of names.
//! - [`request`]: what clients sent, as messages.
//! - [`scenario`]: a part of a journal as a test.
//! - [`phases`]: when the venue ran and instruments were open.
//! - [`picture`]: what a report draws.
//! - [`whatif`]: what would have been.
//! - [`show`], [`book`], [`text`]: frames, books and numbers in people's words.
//!
//! It only reads journals, of a venue that runs or that doesn't. Whatever it says is computed by the
//! engine from the journaled commands, and every event on the way is compared with the journaled one.
//!
//! It does not know the command line: it prints nothing and ends no process.
#![forbid(unsafe_code)]

pub mod book;
mod buckets;
pub mod condition;
pub mod difference;
pub mod export;
mod fault;
pub mod index;
pub mod moment;
pub mod names;
mod operators;
pub mod phases;
pub mod picture;
pub mod place;
pub mod question;
pub mod request;
pub mod scenario;
pub mod show;
pub mod text;
pub mod view;
pub mod whatif;

pub use fault::{Damage, Fault};
