//! The SQLite files, read from memory: nothing is opened where the file lies, so no journal or lock appears beside it,
//! and what is digested is what is read. Tables that are known by their columns are judged, others are only counted.

use crate::number::{Figure, figure, real};
use crate::row::short;
use crate::{CLAIMS_MAX, Document, Refused, Why, Zone};
use aegis_model::claim::SourceKind;
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};
use std::collections::BTreeMap;

mod shapes;

/// The first bytes of every SQLite file.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";
/// Tables that a file may have.
const TABLES_MAX: usize = 200;
/// Where the header says how the file is written and read: 2 means with a log beside it.
const LOGGED: [usize; 2] = [18, 19];

/// The tables of a database.
pub(crate) struct Tables<'a> {
    connection: Connection,
    columns: BTreeMap<String, Vec<String>>,
    pub(crate) zone: &'a Zone,
}

/// A stored value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Cell {
    Null,
    Number(Figure),
    /// One that is not finite, or beyond the range.
    NotANumber(String),
    Text(String),
    Bytes,
}

/// A row of a table.
pub(crate) struct DbRow {
    /// Table and first column.
    pub(crate) at: String,
    cells: BTreeMap<String, Cell>,
}

fn damaged(error: &rusqlite::Error) -> Refused {
    Refused::whole(Why::Damaged(error.to_string().chars().take(200).collect()))
}

/// Reads a database.
pub(crate) fn read(bytes: &[u8], zone: &Zone) -> Result<Document, Refused> {
    let mut document = Document::new(SourceKind::Database, bytes);
    let tables = Tables::open(bytes, zone)?;
    for table in tables.columns.keys() {
        document.parts.push((table.clone(), tables.count(table)?));
    }
    document.rows = document.parts.iter().map(|(_, rows)| rows).sum();
    for name in ["positions", "orders", "trades"] {
        if document.parts.iter().any(|part| part.0 == name && part.1 == 0) {
            document.note(&format!("table {name}"), &format!("table {name} exists and has 0 rows"));
        }
    }
    shapes::read(&tables, &mut document)?;
    Ok(document)
}

impl<'a> Tables<'a> {
    fn open(bytes: &[u8], zone: &'a Zone) -> Result<Tables<'a>, Refused> {
        let mut copy = bytes.to_vec();
        for at in LOGGED {
            // In memory there is no log; a file with one beside it is refused before its bytes come here.
            if copy.get(at) == Some(&2) {
                copy[at] = 1;
            }
        }
        let open = || -> rusqlite::Result<(Connection, Vec<String>, String)> {
            let mut connection = Connection::open_in_memory()?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
            connection.deserialize_read_exact(MAIN_DB, copy.as_slice(), copy.len(), true)?;
            let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            // Virtual tables run code of their own; they are no tables of the old bot.
            let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                       AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name";
            let names = {
                let mut statement = connection.prepare(sql)?;
                let names = statement.query_map([], |row| row.get(0))?.take(TABLES_MAX + 1);
                names.collect::<rusqlite::Result<Vec<String>>>()?
            };
            Ok((connection, names, check))
        };
        let (connection, names, check) = open().map_err(|e| damaged(&e))?;
        if check != "ok" {
            return Err(Refused::whole(Why::Damaged(short(&check))));
        }
        if names.len() > TABLES_MAX {
            return Err(Refused::whole(Why::TooLarge(names.len())));
        }
        let mut tables = Tables { connection, columns: BTreeMap::new(), zone };
        for name in names {
            let columns = tables.columns_of(&name).map_err(|e| damaged(&e))?;
            tables.columns.insert(name, columns);
        }
        Ok(tables)
    }

    fn columns_of(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
        statement.query_map([table], |row| row.get(0))?.collect()
    }

    fn count(&self, table: &str) -> Result<u64, Refused> {
        let sql = format!("SELECT count(*) FROM {}", quoted(table));
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0)).map_err(|e| damaged(&e))?;
        Ok(count.unsigned_abs())
    }

    /// Whether a table has all of these columns.
    pub(crate) fn has(&self, table: &str, columns: &[&str]) -> bool {
        let known = self.columns.get(table);
        known.is_some_and(|known| columns.iter().all(|name| known.iter().any(|column| column == name)))
    }

    /// All rows of a table, in the order of its first column.
    pub(crate) fn rows(&self, table: &str) -> Result<Vec<DbRow>, Refused> {
        self.ordered(table, "1")
    }

    /// All rows of a table, in the order of a column, which holds texts of one spelling.
    pub(crate) fn rows_by(&self, table: &str, column: &str) -> Result<Vec<DbRow>, Refused> {
        self.ordered(table, &format!("{}, 1", quoted(column)))
    }

    fn ordered(&self, table: &str, order: &str) -> Result<Vec<DbRow>, Refused> {
        let Some(columns) = self.columns.get(table) else { return Ok(Vec::new()) };
        let sql = format!("SELECT * FROM {} ORDER BY {order}", quoted(table));
        let read = || -> rusqlite::Result<Vec<DbRow>> {
            let mut statement = self.connection.prepare(&sql)?;
            let mut cursor = statement.query([])?;
            let mut rows = Vec::new();
            while let Some(row) = cursor.next()?
                && rows.len() <= CLAIMS_MAX
            {
                let mut cells = BTreeMap::new();
                for (at, name) in columns.iter().enumerate() {
                    cells.insert(name.clone(), cell(row.get_ref(at)?));
                }
                let first = columns.first().and_then(|name| cells.get(name)).map_or_else(String::new, words);
                rows.push(DbRow { at: format!("{table} {first}"), cells });
            }
            Ok(rows)
        };
        let rows = read().map_err(|e| damaged(&e))?;
        if rows.len() > CLAIMS_MAX { Err(Refused::whole(Why::TooLarge(rows.len()))) } else { Ok(rows) }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn cell(value: ValueRef<'_>) -> Cell {
    let number = |read: Option<Figure>, text: String| read.map_or(Cell::NotANumber(text), Cell::Number);
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(whole) => number(figure(&whole.to_string()), whole.to_string()),
        ValueRef::Real(stored) => number(real(stored), short(&stored.to_string())),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Cell::Bytes, |t| Cell::Text(t.to_owned())),
        ValueRef::Blob(_) => Cell::Bytes,
    }
}

fn words(cell: &Cell) -> String {
    match cell {
        Cell::Number(figure) => figure.value.to_string(),
        Cell::Text(text) => text.chars().take(100).collect(),
        Cell::Null | Cell::NotANumber(_) | Cell::Bytes => String::new(),
    }
}

impl DbRow {
    pub(crate) fn refuse(&self, why: Why) -> Refused {
        Refused::at(&self.at, why)
    }

    /// A text, if there is one.
    pub(crate) fn text(&self, column: &str) -> Result<Option<&str>, Refused> {
        match self.cells.get(column) {
            None | Some(Cell::Null) => Ok(None),
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Number(_) | Cell::NotANumber(_) | Cell::Bytes) => {
                Err(self.refuse(Why::Syntax(format!("{column} is no text"))))
            }
        }
    }

    /// A text that must be there.
    pub(crate) fn must_text(&self, column: &str) -> Result<&str, Refused> {
        self.text(column)?.ok_or_else(|| self.refuse(Why::Missing(column.to_owned())))
    }

    /// A figure, if there is one.
    pub(crate) fn figure(&self, column: &str) -> Result<Option<Figure>, Refused> {
        match self.cells.get(column) {
            None | Some(Cell::Null) => Ok(None),
            Some(Cell::Number(figure)) => Ok(Some(*figure)),
            Some(Cell::NotANumber(text)) => Err(self.refuse(Why::NotANumber(format!("{column} = {text}")))),
            Some(Cell::Text(_) | Cell::Bytes) => Err(self.refuse(Why::NotANumber(column.to_owned()))),
        }
    }

    /// A figure above zero, if there is one.
    pub(crate) fn positive(&self, column: &str) -> Result<Option<Figure>, Refused> {
        match self.figure(column)? {
            Some(figure) if !figure.value.is_positive() => {
                Err(self.refuse(Why::Impossible(format!("{column} = {}", figure.value))))
            }
            other => Ok(other),
        }
    }

    /// A figure above zero that must be there. Where a program wrote NaN, SQLite keeps nothing: then it is missing.
    pub(crate) fn must(&self, column: &str) -> Result<Figure, Refused> {
        self.positive(column)?.ok_or_else(|| self.refuse(Why::Missing(column.to_owned())))
    }
}
