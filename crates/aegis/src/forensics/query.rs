//! `aegis query`: SQL over a journal. With `--json` first an object with the columns, then one for each row, then one that
//! tells what was read; with `--csv` a head line and the rows.

use super::columns;
use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals, one_of};
use crate::progress::Count;
use aegis_forensics::Until;
use aegis_tables::layout::Page;
use aegis_tables::{Cell, Query, QueryError, Table, csv, selection, tables};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows that are laid out together.
const PAGE_ROWS: usize = 1_000;

/// Asks, or lists what can be asked.
///
/// # Errors
/// [`Failure`].
pub(crate) fn query(config: &Config, asked: &cli::Query, json: bool) -> Result<Exit, Failure> {
    if let Some(names) = &asked.tables {
        return list(names, json);
    }
    let Some(sql) = &asked.sql else { return Err(Failure::usage("give a SELECT, or --tables")) };
    let paths = journals(config, asked.journal.as_ref())?;
    let [path] = &paths[..] else { return Err(one_of(&paths, "asked at a time")) };
    // Gone with the first row, since both are written to one terminal.
    let bar = Arc::new(Mutex::new(Some(Count::new(path, "reading"))));
    let count = Arc::clone(&bar);
    let progress = move |records| {
        if let Some(bar) = &*count.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.reached(records);
        }
    };
    let until = asked.until.unwrap_or(Until::End);
    let query = Query::open(path, until, Box::new(progress)).map_err(|e| refused(path, &e))?;
    let first = || drop(bar.lock().unwrap_or_else(PoisonError::into_inner).take());
    let answered = if json {
        in_json(&query, path, sql, &first)
    } else if asked.csv {
        in_csv(&query, sql, &first)
    } else {
        in_words(&query, sql, &first)
    };
    first();
    let rows = answered.map_err(|e| match e {
        Stop::Asking(e) => refused(path, &e),
        Stop::Printing(e) => e,
    })?;
    let told = query.asked();
    if json {
        let line = json!({
            "journal": path.display().to_string(),
            "rows": rows,
            "lsn": told.last,
            "hole": told.hole,
            "behind_gap": told.behind_gap,
            "unread_before": told.unread_before,
        });
        crate::print(&line.to_string())?;
    } else if !asked.csv {
        let s = if rows == 1 { "" } else { "s" };
        let unread = told
            .unread_before
            .map_or(String::new(), |lsn| format!("; not all records before {lsn} were read"));
        crate::print(&format!("({rows} row{s}{unread})"))?;
    }
    incomplete(path, told.hole.as_deref(), told.behind_gap, json || asked.csv)
}

/// Why an answer ends early.
enum Stop {
    Asking(QueryError),
    Printing(Failure),
}

impl From<QueryError> for Stop {
    fn from(error: QueryError) -> Stop {
        Stop::Asking(error)
    }
}

fn print(text: &str) -> Result<(), Stop> {
    crate::print(text).map_err(Stop::Printing)
}

fn refused(path: &Path, error: &QueryError) -> Failure {
    match error {
        QueryError::Read(e) => failure(path, e),
        QueryError::Sql { .. } => Failure::usage(error.to_string()),
    }
}

/// A cell as text; none for nothing.
fn text(cell: &Cell<'_>) -> Option<String> {
    match cell {
        Cell::Null => None,
        Cell::Int(n) => Some(n.to_string()),
        Cell::Real(n) => Some(n.to_string()),
        Cell::Text(text) => Some((*text).to_owned()),
        Cell::Bytes(bytes) => Some(crate::text::hex(bytes)),
    }
}

fn in_words(query: &Query, sql: &str, first: &dyn Fn()) -> Result<u64, Stop> {
    let width = columns();
    let page = RefCell::new(Page::new(&[]));
    let names = RefCell::new(Vec::new());
    let shown = RefCell::new(1);
    let flush = |more: bool| -> Result<(), Stop> {
        let mut page = page.borrow_mut();
        if page.is_empty() && (more || *shown.borrow() > 1) {
            return Ok(());
        }
        first();
        let lines = page.lines(width, *shown.borrow());
        *shown.borrow_mut() += page.len() as u64;
        *page = Page::new(&names.borrow());
        if lines.is_empty() { Ok(()) } else { print(&lines.join("\n")) }
    };
    let rows = query.ask(
        sql,
        |found: &[String]| -> Result<(), Stop> {
            *names.borrow_mut() = found.to_vec();
            *page.borrow_mut() = Page::new(found);
            Ok(())
        },
        |cells| {
            page.borrow_mut().row(cells.iter().map(text).collect());
            if page.borrow().len() == PAGE_ROWS { flush(true) } else { Ok(()) }
        },
    )?;
    flush(false)?;
    Ok(rows)
}

fn in_csv(query: &Query, sql: &str, first: &dyn Fn()) -> Result<u64, Stop> {
    let line = |cells: Vec<Option<String>>| {
        let mut line = Vec::new();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                line.push(b',');
            }
            if let Some(cell) = cell {
                csv::quoted(cell, &mut line);
            }
        }
        line.push(b'\r');
        String::from_utf8_lossy(&line).into_owned()
    };
    query.ask(
        sql,
        |names: &[String]| {
            first();
            print(&line(names.iter().cloned().map(Some).collect()))
        },
        |cells| print(&line(cells.iter().map(text).collect())),
    )
}

fn in_json(query: &Query, path: &Path, sql: &str, first: &dyn Fn()) -> Result<u64, Stop> {
    let names = RefCell::new(Vec::new());
    query.ask(
        sql,
        |found: &[String]| -> Result<(), Stop> {
            first();
            *names.borrow_mut() = found.to_vec();
            print(&json!({ "journal": path.display().to_string(), "columns": found }).to_string())
        },
        |cells| {
            let mut row = Map::new();
            for (name, cell) in names.borrow().iter().zip(cells) {
                let value = match cell {
                    Cell::Int(n) => json!(n),
                    Cell::Real(n) => json!(n),
                    Cell::Null | Cell::Text(_) | Cell::Bytes(_) => json!(text(cell)),
                };
                row.insert(name.clone(), value);
            }
            print(&Value::Object(row).to_string())
        },
    )
}

/// The tables, or the columns of some.
fn list(names: &[String], json: bool) -> Result<Exit, Failure> {
    let chosen = selection(names).map_err(|name| Failure::usage(format!("there is no table {name:?}")))?;
    if json {
        crate::print(&csv::schema(&chosen).map_err(Failure::bug)?)?;
    } else if names.is_empty() {
        let mut page = Page::new(&["table".to_owned(), "columns".to_owned(), "what a row is".to_owned()]);
        for table in tables() {
            let columns = table.columns.len().to_string();
            page.row(vec![Some(table.name.to_owned()), Some(columns), Some(table.doc.clone())]);
        }
        crate::print(&page.lines(columns(), 1).join("\n"))?;
        crate::print("`aegis query --tables NAME` lists the columns of one")?;
    } else {
        for table in chosen {
            crate::print(&described(table).join("\n"))?;
        }
    }
    Ok(Exit::Ok)
}

fn described(table: &Table) -> Vec<String> {
    let heads = ["column", "type", "may be nothing", "what it says"].map(str::to_owned);
    let mut page = Page::new(&heads);
    for c in &table.columns {
        let null = if c.nullable { "yes" } else { "" };
        let cells = [c.name.as_str(), c.kind.name(), null, c.doc.as_str()];
        page.row(cells.iter().map(|cell| Some((*cell).to_owned())).collect());
    }
    let mut lines = vec![format!("{}: {}", table.name, table.doc)];
    lines.extend(page.lines(columns(), 1));
    lines
}
