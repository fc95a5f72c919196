//! The tests against hostile clients over several gateways; apart, as they look at the memory of the process.

#[path = "hostile.rs"]
mod hostile;
