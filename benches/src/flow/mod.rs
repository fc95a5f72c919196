//! Order flow in neutral form: what to do to which order, and when.
//!
//! A flow never depends on answers, so the same flow can be sent to an engine in this process, to
//! a venue over FIX, or twice to two venues, and must come to the same.

mod bitstamp;
mod lobster;
mod runaway;
mod synthetic;

use std::{fs, io::Read, path::Path};

use ironbook_engine::{OrdType, Side, TimeInForce};
use thiserror::Error;

pub use runaway::{Runaway, RunawayTerms};
pub use synthetic::{Mix, Synthetic};

/// A number as a client writes it: mantissa and decimals.
pub type Scaled = (i64, u8);

/// One step of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEvent {
    /// When, in nanoseconds from the first step; 0 throughout in a flow without times.
    pub at_ns: u64,
    /// Which of the flow's clients, from 0.
    pub client: u32,
    /// The order, numbered by the flow.
    pub order: u64,
    /// How often the order was replaced before this step.
    pub version: u32,
    /// Which of the flow's instruments, from 0.
    pub instrument: u32,
    /// Side of the order.
    pub side: Side,
    /// What to do.
    pub action: FlowAction,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// Enters the order.
    New {
        /// OrdType (tag 40).
        ord_type: OrdType,
        /// TimeInForce (tag 59).
        time_in_force: TimeInForce,
        /// Price (tag 44).
        price: Scaled,
        /// OrderQty (tag 38).
        order_qty: Scaled,
    },
    /// Replaces it.
    Replace {
        /// Price (tag 44).
        price: Scaled,
        /// OrderQty (tag 38).
        order_qty: Scaled,
    },
    /// Cancels it.
    Cancel,
}

/// Formats of files with real market data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// CSV, with or without a header: id, timestamp, exchange.timestamp, price, volume, action, direction
    /// (level-3 events of Bitstamp).
    Bitstamp,
    /// Message file of LOBSTER: time, type, order id, size, price in 1/10,000, direction.
    Lobster,
}

/// Why a file is no flow.
#[derive(Debug, Error)]
pub enum FlowError {
    /// The file can't be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is no xz file, or not a whole one.
    #[error("{path} ends in .xz, but {problem}")]
    Packed {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A file without events.
    #[error("{path} holds no events: {expected} are expected")]
    Empty {
        /// The file.
        path: String,
        /// What would be events.
        expected: &'static str,
    },
    /// A line that can't be understood.
    #[error("{path}: line {line}: {reason}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what is expected.
        reason: String,
    },
}

/// How an xz file begins.
const XZ_MAGIC: &[u8] = b"\xfd7zXZ\0";

/// Reads a file of market data; a name that ends in `.xz` is unpacked on the way.
///
/// # Errors
/// [`FlowError`] with the line; [`FlowError::Empty`] where nothing is left to send.
pub fn read_file(path: &Path, format: FileFormat) -> Result<Vec<FlowEvent>, FlowError> {
    let name = path.display().to_string();
    let failed = |source| FlowError::Read { path: name.clone(), source };
    let mut text = fs::read(path).map_err(failed)?;
    if path.extension().is_some_and(|extension| extension == "xz") {
        text =
            unpacked(&text).map_err(|problem| FlowError::Packed { path: name.clone(), problem })?;
    }
    let (events, expected) = match format {
        FileFormat::Bitstamp => (bitstamp::parse(&text), "orders created, changed or deleted"),
        FileFormat::Lobster => (lobster::parse(&text), "messages of type 1 to 4"),
    };
    match events {
        Ok(events) if events.is_empty() => Err(FlowError::Empty { path: name, expected }),
        Ok(events) => Ok(events),
        Err((line, reason)) => Err(FlowError::Line { path: name, line, reason }),
    }
}

/// What an xz file holds, or what is wrong with it.
fn unpacked(packed: &[u8]) -> Result<Vec<u8>, String> {
    if !packed.starts_with(XZ_MAGIC) {
        return Err("is no xz file: unpack it, or name it as what it is".to_owned());
    }
    let mut text = Vec::new();
    match lzma_rust2::XzReader::new(packed, true).read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(format!("is damaged or cut short ({error}): get it again")),
    }
}

/// A line that can't be understood, and why.
type LineError = (u64, String);

/// Records of a CSV text with the number of their line, a header among them.
fn records(text: &[u8]) -> impl Iterator<Item = Result<(u64, csv::StringRecord), LineError>> {
    let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    reader.into_records().map(|record| match record {
        Ok(record) => Ok((record.position().map_or(0, csv::Position::line), record)),
        Err(error) => Err((error.position().map_or(0, csv::Position::line), error.to_string())),
    })
}

/// Field `index` of a record as a number.
fn number<T: std::str::FromStr>(
    (line, record): &(u64, csv::StringRecord),
    index: usize,
    name: &str,
) -> Result<T, LineError> {
    let text = record.get(index).unwrap_or_default().trim();
    text.parse().map_err(|_| (*line, format!("{name} is {text:?}, a number is expected")))
}
