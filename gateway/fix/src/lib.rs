//! FIX messages and the session that carries them: bytes to messages and back, and the state machine of one
//! FIX session.
//!
//! This package does not know sockets, threads, clocks, files or the matching engine. Bytes, buffers and the
//! time come from the caller; what is to be done comes back as values. It reads no configuration and writes
//! no log.
//!
//! Every version from FIX 4.0 to 5.0 SP2 is spoken: [`version::Version`] names one, [`dictionary`] holds what
//! it defines, and messages are written in the words of the session's.
//!
//! The way of a message in: [`codec::frame`] finds it, [`message::Message::parse`] splits it into fields,
//! [`session::Session::handle_message`] decides whether it counts, [`order::OrderMessage`] or
//! [`report::ReportMessage`] gives it types. The way out: the session *requests* what it wants sent
//! ([`session::Session::poll`]), the driver decides when, and [`session::Session::transmit`] numbers and
//! encodes it.
#![deny(unsafe_code)]

pub mod codec;
pub mod dictionary;
#[cfg(test)]
mod differential;
pub mod encode;
pub mod field;
pub mod market_data;
pub mod message;
pub mod order;
pub mod reference;
pub mod report;
mod scan;
pub mod session;
mod slot;
mod split;
pub mod version;
