//! Real faults on the real program: power cuts, shortages, failing system calls, death at any instruction.
//!
//! What needs root and devices runs only with `AEGIS_REAL_FAULTS=1`; there, what is missing is a failure. Elsewhere it
//! says why it was skipped. `AEGIS_SECONDS` stops a test at its budget, `AEGIS_LEAST` is the count it must reach;
//! without a budget it makes `AEGIS_CUTS` (or the other counts named in the files) of its faults:
//! `AEGIS_REAL_FAULTS=1 AEGIS_CUTS=600 cargo test --release -p aegis --test faults -- power_cuts --nocapture`.

// A test says what it expects by panicking.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "faults/appender.rs"]
mod appender;
#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/cuts.rs"]
mod cuts;
#[path = "faults/fuse.rs"]
mod fuse;
#[path = "faults/ground.rs"]
mod ground;
#[path = "process/journals.rs"]
#[allow(dead_code, reason = "shared with the tests of the process, which use all of it")]
mod journals;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "process/program.rs"]
#[allow(dead_code, reason = "shared with the tests of the process, which use all of it")]
mod program;
#[path = "faults/shortages.rs"]
mod shortages;
#[path = "faults/steps.rs"]
mod steps;
