//! Reading a journal without an exchange: records in words, and the state at any point.
//!
//! It never writes, never needs a configuration or a network, and the trading build does without it.
#![forbid(unsafe_code)]

mod about;
pub mod deep;
pub mod diff;
pub mod explain;
pub mod replay;
pub mod snapshot;
mod sweep;
#[cfg(test)]
mod testing;
pub mod watch;
pub mod words;

pub use diff::{Difference, Parting};
pub use explain::{ExplainError, Explanation};
pub use replay::{Point, ReadError, Reading, Until};
pub use words::{clock, words};
