//! The program as a process: real starts, real SIGKILLs at random moments, real exit codes.
//!
//! The moments are drawn from one fixed seed (`AEGIS_STORM_SEED` draws others); every failure prints it. The full storm:
//! `AEGIS_KILLS=200 cargo test --release -p aegis --test process -- kill_storm --nocapture`.

// A test says what it expects by panicking.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::wildcard_enum_match_arm)]

#[path = "process/audit.rs"]
#[cfg(feature = "forensics")]
mod audit;
#[path = "process/backup.rs"]
#[cfg(feature = "forensics")]
mod backup;
#[path = "process/columns.rs"]
#[cfg(feature = "forensics")]
mod columns;
#[path = "process/ends.rs"]
mod ends;
#[path = "process/exports.rs"]
#[cfg(feature = "forensics")]
mod exports;
#[path = "process/import.rs"]
#[cfg(feature = "forensics")]
mod import;
#[path = "process/journals.rs"]
mod journals;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "process/program.rs"]
mod program;
#[path = "process/storm.rs"]
mod storm;
#[path = "process/whatif.rs"]
#[cfg(feature = "forensics")]
mod whatif;
