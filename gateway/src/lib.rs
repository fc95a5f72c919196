//! The venue put together: the only package with sockets, clocks and threads.
//!
//! ```text
//! clients -- gateway --- desk -- ring --> core --> journal
//!               ^          ^                          |
//!               +----------+---------- tail ----------+
//! ```
//!
//! - [`config`]: what can be set.
//! - [`venue`]: the composition root.
//! - [`network`], [`tls`], [`acceptor`], [`connection`]: sockets and bytes of a port.
//! - [`access`], [`credentials`], [`admission`]: who may connect, and who he is.
//! - [`gateway`], [`desk`]: sessions that send orders.
//! - [`dealing`]: which of several gateways has which of them.
//! - [`market_data`]: sessions that are told of the market, on a port of their own.
//! - [`security_lists`]: what sessions of both are told of instruments.
//! - [`rights`], [`throttle`]: what a session may do, and how often.
//! - [`absence`]: what becomes of its orders when it loses its connection.
//! - [`translate`]: the one file that names both FIX messages and engine types.
//! - [`core`]: the matching core, only writer of the journal.
//! - [`replay`], [`sessions`]: folds over the journal that give back the state and the sequence
//!   numbers.
//! - [`session_throttles`]: what bounded the orders of a session, as the journal tells it.
//! - [`follower`]: a second engine behind the first, which audits it and writes [`snapshot`]s.
//! - [`retention`]: what becomes of old snapshots and segments.
//! - [`stages`], [`histogram`], [`slowest`]: what an order takes its time for; [`stage_log`]: the file of that.
//! - [`metrics`], [`counters`]: what the venue tells of itself.
//! - [`operator`]: what a person may do to a running venue, over a socket in its directory.
//! - [`client`]: the other end, for tools and benchmarks.
//! - [`simulated_network`], [`random`]: connections in memory, and chance, for simulations.
#![forbid(unsafe_code)]

pub mod absence;
pub mod acceptor;
pub mod access;
pub mod admission;
pub mod agent;
pub mod audit;
pub mod client;
pub mod clock;
pub mod config;
pub mod connection;
pub mod core;
pub mod counters;
pub mod credentials;
pub mod dealing;
pub mod desk;
pub mod follower;
pub mod gateway;
mod hand_over;
pub mod histogram;
pub mod market_data;
pub mod metrics;
pub mod network;
pub mod opening;
pub mod operator;
pub mod random;
pub mod replay;
pub mod retention;
pub mod rights;
pub mod ring;
pub mod schedule;
pub mod security_lists;
pub mod session_record;
pub mod session_throttles;
pub mod sessions;
pub mod simulated_network;
pub mod slowest;
pub mod snapshot;
pub mod stage_log;
pub mod stages;
pub mod symbols;
pub mod throttle;
pub mod tls;
pub mod translate;
pub mod venue;
