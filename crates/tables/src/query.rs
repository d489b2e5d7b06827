//! SQL over a journal: each table is a virtual table of an SQLite connection in memory, which pulls rows from the records as
//! it wants them.
//!
//! One SELECT at a time; whatever would write, attach or set something is refused. Decimals are exact: `sum` and `avg` add
//! them up exactly, and they refuse what SQLite made a float of. Columns of decimals compare and sort by value, since a
//! column has a collation; what a function or an operator makes is a text that has none, and SQLite has no place where a
//! function could give it one: such a value is sorted with `collate decimal` and compared by `decimal_cmp`. All tables of a
//! query end with the same record, whatever a writer does meanwhile.

mod cache;
mod functions;
#[expect(unsafe_code, reason = "SQLite's structs must come first in ours, which only we can promise")]
mod vtab;

use crate::scan::{Met, Shared};
use crate::schema::tables;
use aegis_forensics::{ReadError, Reading, Until};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A journal that can be asked.
pub struct Query {
    connection: Connection,
    shared: Arc<Shared>,
}

/// One cell of an answer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// A whole number, or 0 and 1 for no and yes.
    Int(i64),
    /// What the query itself made of numbers by SQL's own operators; no column is one.
    Real(f64),
    /// A text, a time or a decimal.
    Text(&'a str),
    /// Bytes, or a text that is not UTF-8.
    Bytes(&'a [u8]),
}

/// What a query read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The last record that it is about; none if its scans stopped sooner.
    pub last: Option<u64>,
    /// The first damaged place that was met.
    pub hole: Option<String>,
    /// Intact records behind it.
    pub behind_gap: u64,
    /// Not all records before this one were read and verified, since some of the answer is of later ones only.
    pub unread_before: Option<u64>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub enum QueryError {
    /// The journal cannot be read.
    Read(ReadError),
    /// SQLite does not take the question.
    Sql {
        /// Why, in its words.
        message: String,
        /// The question.
        sql: String,
        /// The byte at which it went wrong, if that is known.
        at: Option<usize>,
    },
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QueryError::Read(e) => e.fmt(f),
            QueryError::Sql { message, sql, at } => {
                f.write_str(message)?;
                if let Some(at) = at.filter(|at| sql.is_char_boundary(*at)) {
                    let start = sql[..at].rfind('\n').map_or(0, |newline| newline + 1);
                    let line = sql[start..].lines().next().unwrap_or_default();
                    write!(f, "\n  {line}\n  {:>1$}", "^", sql[start..at].chars().count() + 1)?;
                }
                if message.starts_with("no such table") || message.starts_with("no such column") {
                    f.write_str(
                        "\n`aegis query --tables` lists the tables, `--tables NAME` the columns of one",
                    )?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Opens an engine's journal in a directory. `progress` is told how many records were read so far.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn open(
        dir: &Path,
        until: Until,
        progress: Box<dyn Fn(u64) + Send + Sync>,
    ) -> Result<Query, QueryError> {
        // It is opened here too, so that a wrong directory is told before any SQL is looked at.
        Reading::open(dir).map_err(QueryError::Read)?;
        let met = match until {
            Until::End => Met::default(),
            Until::Lsn(_) | Until::Before(_) | Until::Time(_) => {
                let reading =
                    Reading::open_near(dir, until).and_then(|r| r.run(until)).map_err(QueryError::Read)?;
                let (end, behind_gap) = (reading.state.lsn.0, reading.behind_gap);
                // The point may lie behind it: then this answers about an earlier one.
                let hole = reading.hole.map(|hole| (hole.lsn, hole.to_string()));
                Met { end: Some(end), hole, behind_gap, ..Met::default() }
            }
        };
        let shared = Arc::new(Shared {
            dir: dir.to_path_buf(),
            met: Mutex::new(met),
            read_to: AtomicU64::new(0),
            progress,
        });
        let connection = connection(&shared).map_err(|e| told("", e))?;
        Ok(Query { connection, shared })
    }

    /// Asks one question: `head` gets the names of the columns, `row` each row; answers with how many there were.
    ///
    /// # Errors
    /// [`QueryError`], or what `head` or `row` ended with.
    pub fn ask<E: From<QueryError>>(
        &self,
        sql: &str,
        head: impl FnOnce(&[String]) -> Result<(), E>,
        mut row: impl FnMut(&[Cell<'_>]) -> Result<(), E>,
    ) -> Result<u64, E> {
        use rusqlite::fallible_iterator::FallibleIterator;
        let fail = |e| -> E { self.failed(sql, e).into() };
        let refused = |message: &str| -> E {
            QueryError::Sql { message: message.to_owned(), sql: sql.to_owned(), at: None }.into()
        };
        let mut batch = Batch::new(&self.connection, sql);
        let Some(mut statement) = batch.next().map_err(fail)? else {
            return Err(refused("there is no SELECT"));
        };
        if !matches!(batch.next(), Ok(None)) {
            return Err(refused("one SELECT at a time"));
        }
        if statement.parameter_count() > 0 {
            return Err(refused("there are no parameters: write the values themselves"));
        }
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        head(&unique(names))?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(fail)?;
        let mut count = 0;
        while let Some(found) = rows.next().map_err(fail)? {
            let mut cells = Vec::with_capacity(columns);
            for at in 0..columns {
                cells.push(match found.get_ref(at).map_err(fail)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(n) => Cell::Int(n),
                    ValueRef::Real(n) => Cell::Real(n),
                    // Only a cast of bytes makes such a text: it is shown as what it is.
                    ValueRef::Text(text) => std::str::from_utf8(text).map_or(Cell::Bytes(text), Cell::Text),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes),
                });
            }
            row(&cells)?;
            count += 1;
        }
        Ok(count)
    }

    /// What was read so far.
    pub fn asked(&self) -> Asked {
        let met = self.shared.met();
        Asked {
            last: met.end,
            hole: met.hole.as_ref().map(|(_, hole)| hole.clone()),
            behind_gap: met.behind_gap,
            unread_before: Some(met.first_max)
                .filter(|first| *first > self.shared.read_to.load(Ordering::Relaxed) + 1),
        }
    }

    fn failed(&self, sql: &str, error: rusqlite::Error) -> QueryError {
        match self.shared.met().failure.take() {
            Some(failure) => QueryError::Read(failure),
            None => told(sql, error),
        }
    }
}

/// Names that are there twice get a number behind them.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        let mut free = name.clone();
        let mut n = 2;
        while unique.contains(&free) {
            free = format!("{name}_{n}");
            n += 1;
        }
        unique.push(free);
    }
    unique
}

fn told(sql: &str, error: rusqlite::Error) -> QueryError {
    let (message, at) = if let rusqlite::Error::SqlInputError { msg, offset, .. } = &error {
        (msg.clone(), usize::try_from(*offset).ok())
    } else if let rusqlite::Error::SqliteFailure(_, Some(message)) = &error {
        (message.clone(), None)
    } else {
        (error.to_string(), None)
    };
    let message = if message.contains("not authorized") || message.contains("prohibited") {
        format!("{message}: a query only reads the journal's tables")
    } else {
        message
    };
    QueryError::Sql { message, sql: sql.to_owned(), at }
}

fn connection(shared: &Arc<Shared>) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    // A sort of many rows stays in memory, too: nothing is written anywhere.
    connection.execute_batch("PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;")?;
    functions::add(&connection)?;
    for table in tables() {
        connection.create_module(
            table.name,
            &vtab::MODULE,
            Some(vtab::Aux::new(table, Arc::clone(shared))),
        )?;
    }
    connection.authorizer(Some(allowed))?;
    Ok(connection)
}

/// Reading is all that a query may do.
fn allowed(context: AuthContext<'_>) -> Authorization {
    let reads = if let AuthAction::Function { function_name } = context.action {
        !function_name.eq_ignore_ascii_case("load_extension")
    } else {
        matches!(context.action, AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. })
    };
    if reads { Authorization::Allow } else { Authorization::Deny }
}

#[cfg(test)]
mod tests;
