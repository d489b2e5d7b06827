//! Rows of a comma-separated file with a known header, plain or gzipped, each checked to have every column.
//!
//! It never holds more than one line, never reads quoted fields (no feed has any) and never skips a bad row.

use crate::feed::FeedError;
use flate2::bufread::MultiGzDecoder;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;

/// Bytes that one line may have: ten times the longest seen.
const LINE_MAX: u64 = 1024;

/// The first bytes of a gzip member (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file to read, by name.
pub(crate) struct Source<'a> {
    file: String,
    input: Box<dyn BufRead + 'a>,
    hasher: Rc<RefCell<blake3::Hasher>>,
}

/// What a file held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Held<T> {
    /// Its rows.
    pub(crate) rows: Vec<T>,
    /// BLAKE3 of the bytes that were read for them, as they lie there, hexadecimal.
    pub(crate) digest: String,
}

/// Hashes what passes, so that the digest is of what was read, also from a pipe or a file that is replaced meanwhile.
struct Hashed<R> {
    input: R,
    hasher: Rc<RefCell<blake3::Hasher>>,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.borrow_mut().update(&buffer[..read]);
        Ok(read)
    }
}

impl<'a> Source<'a> {
    /// A file, plain or gzipped, whatever its name ends with.
    pub(crate) fn path(path: &Path) -> Result<Source<'static>, FeedError> {
        let file = path.display().to_string();
        let input = match File::open(path) {
            Ok(input) => input,
            Err(cause) => return Err(FeedError::Open { file, cause }),
        };
        Source::of(file, input)
    }

    /// Bytes in memory, plain or gzipped, to be called `name` in errors.
    pub(crate) fn bytes(name: &str, bytes: &'a [u8]) -> Result<Source<'a>, FeedError> {
        Source::of(name.to_owned(), bytes)
    }

    fn of(file: String, input: impl Read + 'a) -> Result<Source<'a>, FeedError> {
        let hasher = Rc::new(RefCell::new(blake3::Hasher::new()));
        match unpacked(BufReader::new(Hashed { input, hasher: Rc::clone(&hasher) })) {
            Ok(input) => Ok(Source { file, input, hasher }),
            Err(cause) => Err(FeedError::Open { file, cause }),
        }
    }

    /// Reads every row into what `parse` makes of its fields, after checking that line 1 is `header`.
    pub(crate) fn rows<T, const COLUMNS: usize>(
        mut self,
        header: [&str; COLUMNS],
        rows_max: usize,
        mut parse: impl FnMut(Row<'_, COLUMNS>) -> Result<T, String>,
    ) -> Result<Held<T>, FeedError> {
        let (mut rows, mut text, mut number) = (Vec::new(), Vec::new(), 0u64);
        loop {
            number += 1;
            text.clear();
            let fault = |reason: String| FeedError::Row { file: self.file.clone(), line: number, reason };
            match (&mut self.input).take(LINE_MAX).read_until(b'\n', &mut text) {
                Err(cause) => return Err(FeedError::Read { file: self.file, line: number, cause }),
                Ok(0) if number == 1 => return Err(fault(String::from("the file is empty"))),
                Ok(0) => {
                    let digest = self.hasher.borrow().finalize().to_hex().to_string();
                    return Ok(Held { rows, digest });
                }
                Ok(read) if read as u64 == LINE_MAX && !text.ends_with(b"\n") => {
                    return Err(fault(format!("longer than {LINE_MAX} bytes")));
                }
                Ok(_) => {}
            }
            let line = str::from_utf8(&text).map_err(|e| fault(format!("not UTF-8: {e}")))?;
            let line = line.trim_end_matches(['\n', '\r']);
            let mut fields = [""; COLUMNS];
            let found = line.split(',').count();
            if found != COLUMNS {
                return Err(fault(format!(
                    "{found} columns where {COLUMNS} are expected: {}",
                    header.join(",")
                )));
            }
            line.split(',').zip(&mut fields).for_each(|(field, slot)| *slot = field);
            if number == 1 {
                if fields != header {
                    return Err(fault(format!("the header must be {}", header.join(","))));
                }
                continue;
            }
            if rows.len() == rows_max {
                return Err(FeedError::TooLong { file: self.file, rows_max });
            }
            rows.push(parse(Row { header, fields }).map_err(fault)?);
        }
    }
}

/// One row's fields with the names of their columns.
pub(crate) struct Row<'a, const COLUMNS: usize> {
    header: [&'a str; COLUMNS],
    fields: [&'a str; COLUMNS],
}

impl<const COLUMNS: usize> Row<'_, COLUMNS> {
    /// The text of a column.
    pub(crate) const fn text(&self, column: usize) -> &str {
        self.fields[column]
    }

    /// The value of a column, or what is wrong with it.
    pub(crate) fn value<T: FromStr>(&self, column: usize) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.fields[column];
        text.parse().map_err(|e| format!("column {}: {e}: {text:?}", self.header[column]))
    }
}

fn unpacked<'a>(mut input: impl BufRead + 'a) -> io::Result<Box<dyn BufRead + 'a>> {
    if input.fill_buf()?.starts_with(&GZIP) {
        Ok(Box::new(BufReader::new(MultiGzDecoder::new(input))))
    } else {
        Ok(Box::new(input))
    }
}

#[cfg(test)]
mod tests;
