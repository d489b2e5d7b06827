//! The acceptance scenarios that need no disk and no process: each test is named after its S-number.
//!
//! Crash, restart and replay here are whole batches on an in-memory log; cuts inside a batch are the journal's
//! tests, real processes are `process.rs`.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for the facts it is about")]

mod stories {
    mod amnesia;
    mod cascade;
    mod claims;
    mod controls;
    mod explained;
    mod guarded;
    mod phantom;
    mod reconciling;
    mod refused;
    mod support;
}
