//! With several gateways a venue is the same for its clients: the tests of other files, over three of them.
#![allow(
    clippy::duplicate_mod,
    reason = "each file has its own helpers, as it has where it stands alone"
)]

#[path = "acceptance.rs"]
mod acceptance;
#[path = "back_pressure.rs"]
mod back_pressure;
#[path = "bad_input.rs"]
mod bad_input;
#[path = "copies.rs"]
mod copies;
#[path = "disconnect.rs"]
mod disconnect;
#[path = "metrics.rs"]
mod metrics;
#[path = "tls.rs"]
mod over_tls;
#[path = "passwords.rs"]
mod passwords;
#[path = "recovery.rs"]
mod recovery;
#[path = "reference.rs"]
mod reference;
#[path = "restart.rs"]
mod restart;
#[path = "rights.rs"]
mod rights;
#[path = "schedule.rs"]
mod schedule;
#[path = "snapshots.rs"]
mod snapshots;
#[path = "stepped.rs"]
mod stepped;
#[path = "throttle.rs"]
mod throttle;
#[path = "versions.rs"]
mod versions;
