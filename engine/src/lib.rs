//! Deterministic matching: commands in, events out.
//!
//! This package knows no clock, file, socket, thread, random source or environment, and no FIX
//! message. The same commands with the same stamps give the same events and the same state on any
//! machine; that is what makes the journal a proof. Time, limits, halts, sessions and instruments
//! all arrive as sequenced [`Command`]s.
//!
//! ```
//! use ironbook_engine::{Engine, EngineLimits, Sequencer, Timestamp, sink::CountingSink};
//!
//! let mut sequencer = Sequencer::default();
//! let mut engine = Engine::new(EngineLimits::default());
//! let mut sink = CountingSink::default();
//! let stamp = sequencer.stamp(Timestamp(1));
//! let define = ironbook_engine::command::DefineInstrument::new(
//!     ironbook_engine::InstrumentId(1), b"AAPL".as_slice().try_into().unwrap(), 2, 0, 1, 1,
//! );
//! sequencer.resume_at(engine.apply(stamp, &define.into(), &mut sink));
//! ```
#![deny(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!("records are journaled in the machine's order, and the format is little-endian");

pub mod book;
mod closed;
pub mod command;
pub mod domain;
pub mod engine;
pub mod event;
mod hash;
pub mod id_index;
mod instrument;
mod memory;
mod order;
pub mod processor;
pub mod record;
pub mod sequencer;
mod session;
pub mod sink;
pub mod text;

pub use command::{Command, CommandRef, EngineLimits};
pub use domain::{
    CancelRejectTo, ExecType, InstrumentId, InstrumentStatus, LastLiquidity, OrdStatus, OrdType,
    OrderId, Sequence, SessionId, Side, SideFilter, TimeInForce, Timestamp, TradeId, TradingStatus,
};
pub use engine::{Engine, StateError};
pub use event::{Event, EventRecord};
pub use sequencer::{Sequencer, Stamp};
pub use text::{Account, ClOrdId, CompId, ReasonText, Symbol, Text, TextError};
