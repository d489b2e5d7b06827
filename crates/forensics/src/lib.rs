//! Reading a journal without an exchange: records in words, the state at any point, why something is as it is, what two
//! journals or a journal and the venue differ in, whether records and checkpoints keep the laws, what it all came to, and the
//! film of it.
//!
//! Pure functions over a journal's reader that return plain values. It never writes, never needs a configuration or a
//! network, keeps no index between two questions, and the trading build does without it. A journal that is damaged, or
//! was copied while it was written, is read up to its last whole batch before the hole, and the hole is told.
#![forbid(unsafe_code)]

mod about;
pub mod audit;
pub mod deep;
pub mod diff;
pub mod explain;
pub mod replay;
pub mod snapshot;
mod sweep;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod watch;
pub mod words;

pub use audit::{Audit, audit};
pub use diff::{Difference, Parting};
pub use explain::{ExplainError, Explanation};
pub use replay::{Point, ReadError, Reading, Until};
pub use words::{clock, words};
