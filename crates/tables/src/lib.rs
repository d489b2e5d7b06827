//! A journal as tables: one for each kind of record with every field in a typed column, `records` with one row for all of
//! them, and tables of the fold (positions, cycles, fills, balances, stops); SQL over them, and exports to files.
//!
//! It only reads. Records are decoded once, no row needs memory of its own, and money is an exact decimal throughout: a
//! float is nowhere. A journal that is damaged, or was copied while it was written, is read up to its last whole batch
//! before the hole, and the hole is told.
#![deny(unsafe_code)]

pub mod beancount;
pub mod csv;
mod folded;
mod kinds;
pub mod layout;
pub mod query;
mod read;
mod row;
mod scan;
mod schema;
mod spell;
pub mod sqlite;
pub mod target;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use query::{Asked, Cell, Query, QueryError};
pub use read::{ExportError, Told, export, selection};
pub use row::Value;
pub use schema::{Column, Source, Table, Type, tables};

use aegis_model::Lsn;
use std::fmt;
use std::path::PathBuf;

/// Takes rows, table by table in no particular order: to a file format, or into a count. Files are whole only after
/// [`Sink::finish`]; what is dropped before leaves nothing that looks whole.
pub trait Sink {
    /// The tables that rows will come for; [`Sink::row`] names them by their place here. Called once, first.
    ///
    /// # Errors
    /// [`SinkError`].
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError>;

    /// One row: a value for each column of the table, of the column's type or [`Value::Null`].
    ///
    /// # Errors
    /// [`SinkError`]; the first one ends the export.
    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError>;

    /// The last record that was read; called once, after the last row and before [`Sink::finish`]. Formats that can say it
    /// do.
    fn end(&mut self, _last: Lsn) {}

    /// All rows were given: makes what was written durable and gives it its name.
    ///
    /// # Errors
    /// [`SinkError`].
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// Why rows cannot be written.
#[derive(Debug)]
#[non_exhaustive]
pub enum SinkError {
    /// The target is there already, and nobody said that it may be replaced.
    There(PathBuf),
    /// A file cannot be written.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A library that writes the format refuses.
    Format {
        /// Which file.
        path: PathBuf,
        /// Why, in its words.
        why: String,
    },
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::There(path) => {
                write!(f, "{} is there already: nothing was written; --force replaces it", path.display())
            }
            SinkError::Io { path, cause } => write!(f, "{}: {cause}", path.display()),
            SinkError::Format { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for SinkError {}
