//! Reading a journal without an exchange: records in words, the state at any point, what adds up to what, and
//! whether the file is whole.
//!
//! It never writes, never needs a configuration or a network, and the trading build does without it.
#![forbid(unsafe_code)]

pub mod replay;
pub mod summary;
pub mod words;

pub use replay::{Point, ReadError, Reading, Until};
pub use summary::Summary;
pub use words::{clock, words};
