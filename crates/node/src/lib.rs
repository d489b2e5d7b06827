//! The one commit loop: decide, append, sync, release.
//!
//! A [`Node`] owns a machine (the engine or the paper venue) and its journal. It turns inputs into durable records
//! and hands out effects only after every record that came before them is durable. It never reads a clock, never
//! opens a socket, and knows no business word.
//!
//! ```text
//! inputs -> Machine::handle -> one batch per input -> Writer::append ... -> one Writer::sync -> effects
//! start:    recover -> newest usable checkpoint -> decode and apply the rest -> writer
//! ```
#![forbid(unsafe_code)]

mod node;
mod open;
mod read;

pub use node::{CHECKPOINT_RECORDS, Fault, Limits, Node, Stats, UNSYNCED_MAX};
pub use open::{OpenError, OpenReport, usable};
pub use read::{ReadError, read};
