//! `aegis export`: a journal as files that other programs read. The target must not be there yet, or be what an earlier
//! export left and `--force` said; it has its name only once all of it is durable.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals, one_of};
use crate::progress::Count;
use aegis_forensics::{Reading, Until};
use aegis_model::Lsn;
use aegis_tables::{ExportError, Sink, SinkError, beancount, csv, selection, sqlite};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Exports one journal.
///
/// # Errors
/// [`Failure`].
pub(crate) fn export(config: &Config, asked: &cli::Export, json: bool) -> Result<Exit, Failure> {
    let paths = journals(config, asked.journal.as_ref())?;
    let [path] = &paths[..] else { return Err(one_of(&paths, "exported at a time")) };
    let tables = selection(&asked.table).map_err(|name| {
        Failure::usage(format!("there is no table {name:?}: `aegis query --tables` lists them"))
    })?;
    let reading = Reading::open(path).map_err(|e| failure(path, &e))?;
    let until = asked.until.unwrap_or(Until::End);
    let bar = Count::new(path, "exporting");
    let progress = &mut |lsn: Lsn| bar.reached(lsn.0);
    let (target, told) = if let Some(file) = &asked.beancount {
        (file, beancount::export(reading, until, file, asked.force, progress))
    } else {
        let (target, mut sink) = sink(asked, &reading)?;
        (target, aegis_tables::export(reading, until, &tables, &mut *sink, progress))
    };
    drop(bar);
    let told = told.map_err(|e| match e {
        ExportError::Read(e) => failure(path, &e),
        ExportError::Write(e) => refused(&e),
    })?;
    let hole = told.hole.as_ref().map(ToString::to_string);
    let names: Vec<&str> = match asked.beancount {
        Some(_) => vec!["transactions"],
        None => tables.iter().map(|table| table.name).collect(),
    };
    if json {
        let by_table: serde_json::Map<String, serde_json::Value> =
            names.iter().zip(&told.rows).map(|(name, rows)| ((*name).to_owned(), json!(rows))).collect();
        let line = json!({
            "journal": path.display().to_string(),
            "target": target.display().to_string(),
            "lsn": told.last.0,
            "rows": by_table,
            "hole": hole,
            "behind_gap": told.behind_gap,
        });
        crate::print(&line.to_string())?;
    } else {
        let rows: u64 = told.rows.iter().sum();
        let filled = told.rows.iter().filter(|rows| **rows > 0).count();
        let what = match asked.beancount {
            Some(_) => format!("{rows} transactions"),
            None => format!("{rows} rows in {filled} of {} tables", names.len()),
        };
        let (target, path, last) = (target.display(), path.display(), told.last);
        crate::print(&format!("{target}: {what}, of records 1 to {last} of {path}"))?;
    }
    incomplete(path, hole.as_deref(), told.behind_gap, json)
}

/// Where rows go, and what takes them.
fn sink<'a>(asked: &'a cli::Export, reading: &Reading) -> Result<(&'a PathBuf, Box<dyn Sink>), Failure> {
    let there = |e: SinkError| refused(&e);
    if let Some(dir) = &asked.csv {
        Ok((dir, Box::new(csv::Csv::new(dir, asked.force).map_err(there)?)))
    } else if let Some(file) = &asked.sqlite {
        Ok((file, Box::new(sqlite::Sqlite::new(file, asked.force).map_err(there)?)))
    } else if let Some(dir) = &asked.parquet {
        Ok((dir, columns(dir, "Parquet", asked.force, reading)?))
    } else if let Some(dir) = &asked.arrow {
        Ok((dir, columns(dir, "Arrow", asked.force, reading)?))
    } else {
        Err(Failure::usage("say what it becomes: --csv, --sqlite, --beancount, --parquet or --arrow"))
    }
}

/// Files of columns of a format.
#[cfg(feature = "columns")]
fn columns(dir: &Path, format: &str, force: bool, reading: &Reading) -> Result<Box<dyn Sink>, Failure> {
    use aegis_columns::{About, Files, Format};
    let format = if format == "Arrow" { Format::Arrow } else { Format::Parquet };
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let about = About { journal: reading.identity().journal_id, version };
    Ok(Box::new(Files::new(dir, format, about, force).map_err(|e| refused(&e))?))
}

/// What writes them takes minutes to compile, so it is asked for.
#[cfg(not(feature = "columns"))]
fn columns(_: &Path, format: &str, _: bool, _: &Reading) -> Result<Box<dyn Sink>, Failure> {
    let how = "`cargo build --release -p aegis --features columns` builds it with both";
    Err(Failure::usage(format!("this program was built without {format} files: {how}")))
}

/// A target that cannot be written.
fn refused(error: &SinkError) -> Failure {
    let exit =
        if matches!(error, SinkError::Io { .. } | SinkError::Format { .. }) { Exit::Io } else { Exit::Usage };
    Failure::new(exit, error.to_string())
}
