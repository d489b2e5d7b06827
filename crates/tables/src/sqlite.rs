//! Tables as an SQLite database: one STRICT table for each, typed, in one new file.
//!
//! SQLite has neither exact decimals nor times: both are TEXT here, so that no digit is lost. Decimals are summed exactly
//! by `decimal_sum`, which the `sqlite3` shell has; `sum` would make a float of them. Times have nine digits of a second
//! always, so that they sort and compare as text. Whole numbers above 2^63 - 1 (only a seed can be one) are stored as that
//! less 2^64. The table `aegis_columns` tells the type and the meaning of each column.

use crate::target::Target;
use crate::{Sink, SinkError, Table, Type, Value, spell};
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Prepared statements that are kept: one for each table, and some room.
const STATEMENTS: usize = 128;

/// The `application_id` of our databases, `aegi`: in the file before any row, so that what a killed export left is known.
const APPLICATION: i32 = i32::from_be_bytes(*b"aegi");
/// Where a database's file has it, after which first bytes.
const APPLICATION_AT: usize = 68;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Whether a file that begins so is a database of ours.
fn ours(head: &[u8]) -> bool {
    let id = head.get(APPLICATION_AT..).and_then(|rest| rest.first_chunk());
    head.starts_with(MAGIC) && id == Some(&APPLICATION.to_be_bytes())
}

/// Writes a database.
pub struct Sqlite {
    // Dropped before the target, which removes the file.
    connection: Connection,
    target: Target,
    inserts: Vec<String>,
    text: Vec<u8>,
}

/// What SQLite refuses, about a file.
fn format_error(path: &Path) -> impl Fn(rusqlite::Error) -> SinkError + use<> {
    let path: PathBuf = path.to_path_buf();
    move |error| SinkError::Format { path: path.clone(), why: error.to_string() }
}

/// The type that a column has in SQLite.
pub(crate) const fn declared(kind: Type) -> &'static str {
    match kind {
        Type::U64 | Type::I64 | Type::Bool => "INTEGER",
        Type::Text | Type::Time | Type::Decimal => "TEXT",
        Type::Bytes => "BLOB",
    }
}

/// A file that is there, by its name and never as a URI.
fn opened(path: &Path) -> rusqlite::Result<Connection> {
    // SQLite may be built to take `file:` for a URI whatever the flags are; a path that begins otherwise is none.
    let path = Path::new(".").join(path);
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

impl Sqlite {
    /// Begins a database, which must not be there; with `force` one that is there is replaced at the end.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn new(path: &Path, force: bool) -> Result<Sqlite, SinkError> {
        let target = Target::file(path, force, ours)?;
        let fail = format_error(target.partial());
        let connection = opened(target.partial()).map_err(&fail)?;
        // The file has its name only when it is whole, so a log of its own would protect nothing.
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
                 PRAGMA application_id = {APPLICATION};"
            ))
            .map_err(&fail)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Sqlite { connection, target, inserts: Vec::new(), text: Vec::new() })
    }

    fn run(&self, sql: &str) -> Result<(), SinkError> {
        self.connection.execute_batch(sql).map_err(format_error(self.target.partial()))
    }

    fn insert(&mut self, table: usize, cells: &[Value<'_>]) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(&self.inserts[table])?;
        for (at, cell) in cells.iter().enumerate() {
            let at = at + 1;
            self.text.clear();
            match cell {
                Value::Null => insert.raw_bind_parameter(at, rusqlite::types::Null)?,
                Value::U64(n) => insert.raw_bind_parameter(at, n.cast_signed())?,
                Value::I64(n) => insert.raw_bind_parameter(at, n)?,
                Value::Bool(yes) => insert.raw_bind_parameter(at, yes)?,
                Value::Text(text) => insert.raw_bind_parameter(at, text)?,
                Value::Time(time) => {
                    spell::time(*time, &mut self.text);
                    insert.raw_bind_parameter(at, spell::text(&self.text))?;
                }
                Value::Decimal(d) => {
                    spell::decimal(*d, &mut self.text);
                    insert.raw_bind_parameter(at, spell::text(&self.text))?;
                }
                Value::Bytes(bytes) => insert.raw_bind_parameter(at, bytes)?,
            }
        }
        insert.raw_execute().map(|_| ())
    }
}

impl Sink for Sqlite {
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError> {
        self.run(
            "BEGIN; CREATE TABLE aegis_columns (\"table\" TEXT NOT NULL, \"column\" TEXT NOT NULL, type TEXT NOT NULL, \
             nullable INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (\"table\", \"column\")) STRICT, WITHOUT ROWID;",
        )?;
        for table in tables {
            let mut columns = String::new();
            for (at, column) in table.columns.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                let null = if column.nullable { "" } else { " NOT NULL" };
                // Writing to a string cannot fail.
                let _ = write!(columns, "{comma}\"{}\" {}{null}", column.name, declared(column.kind));
            }
            self.run(&format!("CREATE TABLE \"{}\" ({columns}) STRICT;", table.name))?;
            let places = vec!["?"; table.columns.len()].join(", ");
            self.inserts.push(format!("INSERT INTO \"{}\" VALUES ({places})", table.name));
            for c in &table.columns {
                self.connection
                    .execute(
                        "INSERT INTO aegis_columns VALUES (?, ?, ?, ?, ?)",
                        (table.name, &c.name, c.kind.name(), c.nullable, &c.doc),
                    )
                    .map_err(format_error(self.target.partial()))?;
            }
        }
        Ok(())
    }

    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        self.insert(table, cells).map_err(format_error(self.target.partial()))
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        // Indexes by record, made once all rows are there: that is how tables are joined.
        for insert in 0..self.inserts.len() {
            let name = self.inserts[insert].split('"').nth(1).unwrap_or_default().to_owned();
            let has = format!(
                "SELECT count(*) FROM aegis_columns WHERE \"table\" = '{name}' AND \"column\" = 'lsn'"
            );
            let has: i64 = self
                .connection
                .query_row(&has, [], |row| row.get(0))
                .map_err(format_error(self.target.partial()))?;
            if has == 1 {
                self.run(&format!("CREATE INDEX \"{name}_lsn\" ON \"{name}\" (lsn);"))?;
            }
        }
        self.run("COMMIT;")?;
        let closed = Connection::open_in_memory().map_err(format_error(self.target.partial()))?;
        let connection = std::mem::replace(&mut self.connection, closed);
        connection.close().map_err(|(_, e)| format_error(self.target.partial())(e))?;
        self.target.finish()
    }
}

#[cfg(test)]
mod tests {
    //! What is in the file is what the tables hold, cell by cell.

    use super::*;
    use crate::testing::{Kept, history, reading, written};
    use crate::{export, tables};
    use aegis_forensics::Until;
    use rusqlite::types::ValueRef;

    #[test]
    fn every_cell_is_in_the_file() {
        let (batches, _) = history(9, 1_500);
        let disk = written(&batches);
        let all: Vec<&Table> = tables().iter().collect();
        let mut kept = Kept::default();
        export(reading(&disk), Until::End, &all, &mut kept, &mut |_| ()).expect("a journal");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("journal.db");
        let mut sink = Sqlite::new(&path, false).expect("a new file");
        export(reading(&disk), Until::End, &all, &mut sink, &mut |_| ()).expect("a journal");
        drop(sink);
        let db = Connection::open(&path).expect("a database");
        let mut cells = 0;
        for table in tables() {
            let sql = format!("SELECT * FROM \"{}\" ORDER BY rowid", table.name);
            let mut statement = db.prepare(&sql).expect("a table");
            let mut rows = statement.query([]).expect("rows");
            for wanted in kept.of(table.name) {
                let row = rows.next().expect("a row").expect("as many rows");
                for (at, column) in table.columns.iter().enumerate() {
                    let found = match row.get_ref(at).expect("a cell") {
                        ValueRef::Null => None,
                        ValueRef::Integer(n) if column.kind == Type::Bool => Some((n == 1).to_string()),
                        ValueRef::Integer(n) => Some(n.to_string()),
                        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                        ValueRef::Blob(bytes) => Some(format!("{bytes:?}")),
                        ValueRef::Real(n) => panic!("{}.{}: {n} is a float", table.name, column.name),
                    };
                    let mut wanted = wanted.get(column.name.as_str()).cloned();
                    if column.kind == Type::Time {
                        wanted = wanted.map(|ns| {
                            let mut out = Vec::new();
                            spell::time(aegis_model::Timestamp(ns.parse().expect("nanoseconds")), &mut out);
                            spell::text(&out).to_owned()
                        });
                    }
                    assert_eq!(found, wanted, "{}.{}", table.name, column.name);
                    cells += 1;
                }
            }
            assert!(rows.next().expect("an end").is_none(), "{}", table.name);
        }
        assert!(cells > 20_000, "{cells}");
        assert!(matches!(Sqlite::new(&path, false), Err(SinkError::There(_))));
        // What was killed on its way is taken for its own.
        let partial = dir.path().join("other.db.partial");
        std::fs::copy(&path, &partial).expect("room");
        drop(Sqlite::new(&dir.path().join("other.db"), false).expect("an export left it"));
        let begun = Sqlite::new(&dir.path().join("other.db"), false).expect("a new file");
        assert!(ours(&std::fs::read(&partial).expect("a file")), "before any row");
        drop(begun);
        drop(Connection::open(&partial).and_then(|db| db.execute_batch("create table mine (x)")));
        assert!(Sqlite::new(&dir.path().join("other.db"), false).is_err());
        assert!(partial.exists());
    }

    #[test]
    fn a_name_that_looks_like_a_uri_is_a_name() {
        // As a URI it would be a database in memory, and as a name it is no file that is there.
        for name in ["file:aegis-none.db?mode=memory", "file::memory:"] {
            assert!(opened(Path::new(name)).is_err(), "{name}");
        }
    }
}
