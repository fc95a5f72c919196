//! Answers about what happened at a venue, from its journal alone: what stood in the books at a
//! moment, where a condition first held, what became of an order, who was affected.
//!
//! - [`index`]: kept beside a journal, so that no answer needs all of it.
//!
//! It only reads journals, of a venue that runs or that doesn't. Whatever it says is computed by the
//! engine from the journaled commands, and every event on the way is compared with the journaled one.
//!
//! It does not know the command line: it prints nothing and ends no process.
#![forbid(unsafe_code)]

mod fault;
pub mod index;
pub mod text;

pub use fault::{Damage, Fault};
