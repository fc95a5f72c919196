//! An event-sourced journal: numbered frames in memory-mapped segments, one writer, any number of
//! tail readers in this process or another.
//!
//! [`open`] recovers a directory and returns the only [`Writer`]; [`Writer::tail`] and
//! [`Reader::open`] follow what it commits; [`verify`] judges a directory without changing it, and
//! [`repair`] gives a damaged one back to a writer. [`snapshot`] keeps what was made of the frames,
//! and [`open`] can start there.
//! The bytes on disk are drawn in `format.rs`, the recovery rules stand as a table in `scan.rs`.
//!
//! This package does *not* know what a payload means. It moves verified bytes under a sequence
//! number: no decoding, no configuration file, no network.
//!
//! Three words used throughout: *written* is what tails in this process can see, *durable* is what
//! survives a power failure, a *group* is the frames between two commits and appears whole or not at
//! all. What is written and not durable survives the process, and readers of the files see it, where
//! frames are in the mapped file: [`Placement`] says where they are.
#![deny(unsafe_code)]

mod checking;
#[allow(unsafe_code)]
mod crc;
mod cursor;
mod epoch;
mod error;
mod format;
#[allow(unsafe_code)]
mod map;
#[allow(unsafe_code)]
mod precedence;
mod preparer;
mod recover;
#[cfg(test)]
mod recovery_cells;
#[cfg(test)]
mod recovery_files;
#[cfg(test)]
mod recovery_table;
mod repair;
mod scan;
mod segment;
mod shared;
mod simulated;
pub mod snapshot;
mod storage;
mod syncer;
mod verify;
mod writer;

pub use checking::{Checked, Checking, checking};
pub use cursor::{Frame, Reader, Tail};
pub use error::{OpenError, ReadError, SnapshotError};
pub use format::{
    FORMAT_VERSION, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, PAYLOAD_MAX, Position, SEGMENT_BYTES_MAX,
    SEGMENT_BYTES_MIN, frame_bytes,
};
pub use precedence::{Precedence, come_first};
pub use recover::{Recovery, Torn};
pub use repair::{Diagnosis, Lost, Repair, RepairError, diagnose, repair};
pub use segment::{SegmentInfo, create_whole, segment_files};
pub use shared::DurablePosition;
pub use simulated::{Crash, Fault, FaultRates, SimulatedStorage};
pub use storage::{Blocks, FileStorage, Lock, LockError, Placement, Storage};
pub use verify::{Finding, Report, verify, verify_in};
pub use writer::{DirectoryLock, Helpers, Options, Writer, open, open_in, open_stepped};
