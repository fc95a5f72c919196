//! Market data: books by price level, trades and statuses for whoever asks, on a port and a thread of its own.
//!
//! ```text
//! journal ──tail──▶ Board ──difference to what he was told──▶ client
//!                   (levels, trades, status)   at each interval, when he has room
//! ```
//!
//! Nobody who sends orders waits for it: it reads the journal as everybody else does. What it sends is a
//! function of the journal and of what was asked, and is not journaled itself: a session here begins at 1 with
//! each Logon, and nothing is sent again.

mod agent;
mod board;
mod desk;
mod subscription;

pub use agent::{MarketDataAgent, MarketDataParts};
pub use board::TRADES_KEPT;
