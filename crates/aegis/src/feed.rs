//! Market data feeds read from recorded files: candles walked through as price points, and captured ticks.
//!
//! A feed gives the same points with the same cursors whenever it is read. It never fills a gap, never repairs a
//! row and never reads the clock.

pub(crate) mod candles;
pub(crate) mod rows;
pub(crate) mod ticks;
pub(crate) mod walk;

use std::{fmt, io};

/// Why a recorded feed cannot be read. Every variant names the file.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum FeedError {
    /// The file cannot be opened.
    Open {
        /// Its path.
        file: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Reading stopped.
    Read {
        /// Its path.
        file: String,
        /// The line that could not be read, from 1.
        line: u64,
        /// What the system, or the decompressor, said.
        cause: io::Error,
    },
    /// A line is not what the format asks for.
    Row {
        /// Its path.
        file: String,
        /// The line, from 1; the header is line 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// More rows than are kept in memory.
    TooLong {
        /// Its path.
        file: String,
        /// The most that are read.
        rows_max: usize,
    },
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FeedError::Open { file, cause } => write!(f, "{file} cannot be opened: {cause}"),
            FeedError::Read { file, line, cause } => write!(f, "{file}:{line} cannot be read: {cause}"),
            FeedError::Row { file, line, reason } => write!(f, "{file}:{line}: {reason}"),
            FeedError::TooLong { file, rows_max } => {
                write!(f, "{file} has more than {rows_max} rows: split it and run the parts one by one")
            }
        }
    }
}

impl std::error::Error for FeedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FeedError::Open { cause, .. } | FeedError::Read { cause, .. } => Some(cause),
            FeedError::Row { .. } | FeedError::TooLong { .. } => None,
        }
    }
}
