//! One workload, measured at three distances: the engine; ring, engine and journal; FIX socket to
//! FIX socket. Beside each stands the floor of the machine, so that every figure is a ratio.
//!
//! - [`flow`]: what to do to which order, synthetic or from files of market data.
//! - [`load`]: sends a flow over FIX and measures the answers; `ironbook load` is this.
//! - [`reasons`]: refusals by their text.
//! - [`distance`]: the three distances and the floors.
//! - [`open_loop`]: the same at given rates.
//! - [`crowd`]: many sessions at once.
//! - [`durability`]: what the disk adds.
//! - [`sample`]: single messages.
//! - [`workload`]: commands and requests of a flow.
//! - [`book`]: the book alone, on flows that other books can play.
//! - [`report_ring`]: how a public benchmark gets its reports.
#![deny(unsafe_code)]

pub mod book;
pub mod crowd;
pub mod distance;
pub mod durability;
pub mod flow;
pub mod load;
pub mod open_loop;
pub mod reasons;
pub mod report_ring;
pub mod sample;
pub mod workload;
