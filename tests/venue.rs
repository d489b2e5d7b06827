//! `aegis venue` as a process, met as a client meets it: over HTTP and sockets, with every reply checked against the
//! machine-readable reference, with scripted faults, and killed and started again.
//!
//! Protocol times are scaled down, so no test waits for a real second; whatever is waited for is an event, with a
//! bound.

// A test says what it expects by panicking.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs
)]

#[path = "venue/faults.rs"]
mod faults;
#[path = "venue/restart.rs"]
mod restart;
#[path = "venue/rig.rs"]
mod rig;
#[path = "venue/rules.rs"]
mod rules;
#[path = "../crates/cryptocom/tests/excerpt/schema.rs"]
mod schema;
#[path = "venue/shapes.rs"]
mod shapes;
#[path = "venue/sockets.rs"]
mod sockets;
