//! Other open engines beside Ironbook's book and its FIX codec, on the same input in the same run.
//!
//! What can be compared is a trait with an adapter a file: [`book::Book`] and [`codec::Codec`]. An adapter uses the
//! public interface of its engine, in the way that costs that engine least.
//!
//! This package is not a member of the workspace: what the other engines depend on, 242 crates with a database
//! client and a second TLS library among them, is built for this comparison alone. That takes over six minutes of
//! processor time, over four without the feature `fefix`, so `.ci/run` looks at its format alone.
//!
//! Its tests keep the adapters honest:
//! `cargo test --release --manifest-path benches/peers/Cargo.toml [--no-default-features]`.

pub mod book;
pub mod codec;
mod engine;
mod turns;

pub use engine::Engine;
pub use turns::in_turns;
