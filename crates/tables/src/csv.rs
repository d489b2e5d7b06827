//! Tables as CSV (RFC 4180): one file for each table in a new directory, with a head line and CRLF; and `schema.json`, which
//! tells the type of each column.
//!
//! Nothing is an empty field; an empty text is `""`. Times are RFC 3339 in UTC with nanoseconds, decimals are plain and
//! exact, bytes are hexadecimal, yes and no are `true` and `false`.

use crate::target::{Target, io_error};
use crate::{Sink, SinkError, Table, Value, spell};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes that are collected for a file before they are written.
const BUFFER: usize = 1 << 16;

/// Writes a directory of CSV files.
pub struct Csv {
    target: Target,
    files: Vec<(PathBuf, BufWriter<File>)>,
    line: Vec<u8>,
}

impl Csv {
    /// Begins a directory, which must not be there; with `force` one that an earlier export wrote is replaced at the end.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn new(dir: &Path, force: bool) -> Result<Csv, SinkError> {
        let target = Target::dir(dir, force, &["csv", "json"])?;
        Ok(Csv { target, files: Vec::new(), line: Vec::new() })
    }
}

/// A field.
pub(crate) fn field(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::U64(n) => spell::integer(*n, out),
        Value::I64(n) => spell::signed(*n, out),
        Value::Bool(yes) => out.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Text(text) => quoted(text, out),
        Value::Time(at) => spell::time(*at, out),
        Value::Decimal(d) => spell::decimal(*d, out),
        Value::Bytes(bytes) => spell::hex(bytes, out),
    }
}

/// A text, in quotes where it needs them.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    let special = |b: u8| matches!(b, b'"' | b',' | b'\r' | b'\n');
    let edge = |b: Option<&u8>| b.is_none_or(u8::is_ascii_whitespace);
    let bytes = text.as_bytes();
    if !bytes.iter().any(|b| special(*b)) && !edge(bytes.first()) && !edge(bytes.last()) {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// The columns of some tables as one JSON object.
///
/// # Errors
/// None that can happen: names and texts are always JSON.
pub fn schema(tables: &[&Table]) -> serde_json::Result<String> {
    let tables: Vec<serde_json::Value> = tables
        .iter()
        .map(|table| {
            let columns: Vec<serde_json::Value> = table
                .columns
                .iter()
                .map(|c| {
                    serde_json::json!({
                        "name": c.name, "type": c.kind.name(), "nullable": c.nullable, "doc": c.doc
                    })
                })
                .collect();
            serde_json::json!({ "name": table.name, "doc": table.doc, "columns": columns })
        })
        .collect();
    serde_json::to_string_pretty(&serde_json::json!({ "tables": tables }))
}

impl Sink for Csv {
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError> {
        let text = schema(tables).unwrap_or_default();
        let path = self.target.partial().join("schema.json");
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(io_error(&path))?;
        for table in tables {
            let path = self.target.partial().join(format!("{}.csv", table.name));
            let file = File::create_new(&path).map_err(io_error(&path))?;
            let mut file = BufWriter::with_capacity(BUFFER, file);
            let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            file.write_all(format!("{}\r\n", names.join(",")).as_bytes()).map_err(io_error(&path))?;
            self.files.push((path, file));
        }
        Ok(())
    }

    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        self.line.clear();
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                self.line.push(b',');
            }
            field(cell, &mut self.line);
        }
        self.line.extend_from_slice(b"\r\n");
        let (path, file) = &mut self.files[table];
        file.write_all(&self.line).map_err(|cause| SinkError::Io { path: path.clone(), cause })
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for (path, file) in &mut self.files {
            file.flush().and_then(|()| file.get_ref().sync_all()).map_err(io_error(path))?;
        }
        self.target.finish()
    }
}

#[cfg(test)]
mod tests {
    //! Quotes by the letter of RFC 4180, and files that hold what the tables do.

    use super::*;
    use crate::testing::{Kept, history, reading, written};
    use crate::{export, tables};
    use aegis_forensics::Until;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (text, wanted) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"no\"", "\"say \"\"no\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (" edge", "\" edge\""),
        ] {
            let mut out = Vec::new();
            quoted(text, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), wanted);
        }
    }

    #[test]
    fn each_table_is_a_file_with_a_head_line_and_all_its_rows() {
        let (batches, _) = history(4, 1_500);
        let disk = written(&batches);
        let all: Vec<&Table> = tables().iter().collect();
        let mut kept = Kept::default();
        export(reading(&disk), Until::End, &all, &mut kept, &mut |_| ()).expect("a journal");
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("out");
        let mut csv = Csv::new(&path, false).expect("a new directory");
        export(reading(&disk), Until::End, &all, &mut csv, &mut |_| ()).expect("a journal");
        for table in tables() {
            let text = std::fs::read_to_string(path.join(format!("{}.csv", table.name))).expect("a file");
            let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
            assert!(text.starts_with(&(names.join(",") + "\r\n")), "{}", table.name);
            // Texts of this history have no line breaks.
            assert_eq!(text.matches("\r\n").count(), kept.of(table.name).len() + 1, "{}", table.name);
        }
        let schema = std::fs::read_to_string(path.join("schema.json")).expect("the schema");
        let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
        assert_eq!(schema["tables"].as_array().map(Vec::len), Some(tables().len()));
        assert!(matches!(Csv::new(&path, false), Err(SinkError::There(_))));
        drop(Csv::new(&path, true).expect("what an export wrote may be replaced"));
    }
}
