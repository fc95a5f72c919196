//! What a running venue tells of itself: metrics in the text form of Prometheus (0.0.4), over HTTP on a port of their
//! own.
//!
//! ```text
//! journal ──tail──▶ tally.rs ─────┐
//! agents: histograms, counters ───┼──▶ agent.rs ──text.rs──▶ http.rs ⇄ whoever asks
//! ```
//!
//! What orders come to is counted over the journal, on a thread that nobody waits for, so that it costs gateway and
//! core nothing; beside it are only numbers that they keep anyway. Counts begin with the process.
//!
//! There is no secret among them. Comp ids are labels as far as the configuration has them, up to
//! [`SESSIONS_SHOWN_MAX`].

mod agent;
pub mod http;
mod tally;
pub mod text;

pub use agent::{
    FAMILIES, Family, MetricsAgent, PARK_MAX, PORT_OF_ORDERS, SESSIONS_SHOWN_MAX, Sources,
};
pub use tally::Tally;
