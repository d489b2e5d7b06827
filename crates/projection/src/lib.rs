//! The fold: `State::apply(&Event)` turns the journal's facts into orders, positions, balances and stops.
//!
//! It is total, pure and deterministic; it never decides, never reads a setting and never fails: the impossible
//! is a counted anomaly.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

mod apply;
mod balances;
pub mod book;
mod claims;
mod holdings;
pub mod order_table;
mod orders;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod views;

pub use book::{Book, CycleSummary, Holding};
pub use order_table::Orders;
pub use state::State;
pub use views::ExitOwner;
