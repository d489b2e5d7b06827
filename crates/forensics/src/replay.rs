//! The state at any point of a journal, folded from its records alone.
//!
//! It stops only at batch ends, shows what lies before a gap, and says so when something lies behind it.

use crate::words;
use aegis_journal::{DirReader, JournalReader};
use aegis_model::event::ENGINE_SCHEMA;
use aegis_model::wire::DecodeError;
use aegis_model::{Event, Lsn, RecordHead, Timestamp};
use aegis_projection::State;
use std::fmt;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Where to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// At the end.
    End,
    /// After the batch that holds this record.
    Lsn(Lsn),
    /// Before the batch that holds this record.
    Before(Lsn),
    /// After the last batch whose records are not younger.
    Time(Timestamp),
}

impl std::str::FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Until, String> {
        if let Some(number) = text.strip_prefix("before ") {
            let lsn = number.trim().parse().map_err(|_| format!("{number:?} is no record number"))?;
            return Ok(Until::Before(Lsn(lsn)));
        }
        if let Ok(lsn) = text.parse() {
            return Ok(Until::Lsn(Lsn(lsn)));
        }
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
            format!("{text:?}: give a record number, \"before N\", or a time such as 2025-01-01T00:00:00Z")
        })?;
        i64::try_from(at.unix_timestamp_nanos())
            .map(|ns| Until::Time(Timestamp(ns)))
            .map_err(|e| e.to_string())
    }
}

/// Why a journal cannot be read further.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The directory holds no journal that can be opened.
    Open(aegis_journal::OpenError),
    /// It is a journal of another schema.
    Schema {
        /// The schema found.
        found: u16,
    },
    /// Rot, with where.
    Damage(aegis_journal::Damage),
    /// A record that this version does not know or that is not spelled as documented.
    Decode {
        /// Its number.
        lsn: Lsn,
        /// What is wrong.
        cause: DecodeError,
    },
    /// Records are lost, and only a checkpoint holds what they made; folding on without it would show a wrong state.
    Lost {
        /// The first lost one.
        first: Lsn,
        /// The last lost one.
        last: Lsn,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Open(e) => e.fmt(f),
            ReadError::Schema { found } => {
                write!(
                    f,
                    "this is a journal of schema {found} and not an engine's: name the folder `engine` of an act"
                )
            }
            ReadError::Damage(e) => e.fmt(f),
            ReadError::Decode { lsn, cause } => write!(f, "record {lsn}: {cause}"),
            ReadError::Lost { first, last } => write!(
                f,
                "records {first} to {last} are lost, and only a checkpoint holds what they made: what lies before is \
                 shown with --until {}",
                first.0 - 1
            ),
        }
    }
}

impl std::error::Error for ReadError {}

/// One folded record with where it stands.
#[derive(Debug)]
pub struct Point {
    /// Its number.
    pub lsn: Lsn,
    /// What it says.
    pub event: Event,
    /// Whether a batch ends with it.
    pub batch_end: bool,
}

/// A journal being folded record by record.
pub struct Reading {
    reader: JournalReader<DirReader>,
    /// The state after the last record given.
    pub state: State,
    /// Whether intact records lie behind a gap: they are not folded.
    pub behind_gap: u64,
}

impl Reading {
    /// Opens an engine's journal for reading, also beside its writer.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(dir: &Path) -> Result<Reading, ReadError> {
        let reader = JournalReader::open_dir(dir).map_err(ReadError::Open)?;
        let found = reader.identity().schema;
        if found != ENGINE_SCHEMA {
            return Err(ReadError::Schema { found });
        }
        Ok(Reading { reader, state: State::default(), behind_gap: 0 })
    }

    /// The next record, folded; none at the end (call again to follow a live writer).
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_point(&mut self) -> Result<Option<Point>, ReadError> {
        let point = self.read()?;
        if let Some(point) = &point {
            self.fold(point.lsn, &point.event)?;
        }
        Ok(point)
    }

    fn fold(&mut self, lsn: Lsn, event: &Event) -> Result<(), ReadError> {
        let before = self.state.lsn;
        self.state.apply(event);
        if self.state.lsn == lsn {
            Ok(())
        } else {
            Err(ReadError::Lost { first: before.next(), last: Lsn(lsn.0 - 1) })
        }
    }

    /// The next record, decoded and not folded.
    fn read(&mut self) -> Result<Option<Point>, ReadError> {
        loop {
            let Some(record) = self.reader.next().map_err(ReadError::Damage)? else { return Ok(None) };
            if record.after_gap {
                self.behind_gap += 1;
                continue;
            }
            let head = RecordHead {
                kind: record.kind,
                version: record.version,
                actor: record.actor,
                time: Timestamp(record.time_ns),
                cause: Lsn(record.cause),
            };
            let (lsn, batch_end) = (Lsn(record.lsn), record.batch_end);
            let event =
                Event::decode(head, record.payload).map_err(|cause| ReadError::Decode { lsn, cause })?;
            return Ok(Some(Point { lsn, event, batch_end }));
        }
    }

    /// Folds up to a point; only whole batches count.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn run(mut self, until: Until) -> Result<Reading, ReadError> {
        // The records of the batch that is being read; the fold never stands inside a batch.
        let mut batch: Vec<Point> = Vec::new();
        loop {
            if matches!(until, Until::Lsn(lsn) if self.state.lsn >= lsn && batch.is_empty()) {
                return Ok(self);
            }
            let Some(point) = self.read()? else { return Ok(self) };
            let beyond = match until {
                Until::Before(lsn) => point.lsn >= lsn,
                Until::Time(at) => point.event.at > at,
                Until::End | Until::Lsn(_) => false,
            };
            if beyond {
                return Ok(self);
            }
            let end = point.batch_end;
            batch.push(point);
            if end {
                for point in batch.drain(..) {
                    self.fold(point.lsn, &point.event)?;
                }
            }
        }
    }
}

impl Point {
    /// One line: number, time, actor, words, cause.
    pub fn line(&self, state: &State) -> String {
        let cause =
            if self.event.cause.0 == 0 { String::new() } else { format!("  <- {}", self.event.cause) };
        format!(
            "{:>8}  {}  {:<8} {}{cause}",
            self.lsn,
            words::clock(self.event.at),
            self.event.actor,
            words::words(&self.event, state)
        )
    }
}

#[cfg(test)]
mod tests {
    //! Where a replay may be asked to stop.

    use super::*;

    #[test]
    fn until_is_a_record_or_a_time() {
        let at = "2025-01-01T00:00:00Z".parse::<Until>();
        for (text, expected) in [
            ("7", Ok(Until::Lsn(Lsn(7)))),
            ("before 7", Ok(Until::Before(Lsn(7)))),
            ("1970-01-01T00:00:01Z", Ok(Until::Time(Timestamp(1_000_000_000)))),
        ] {
            assert_eq!(text.parse::<Until>(), expected, "{text}");
        }
        assert!(matches!(at, Ok(Until::Time(_))));
        for text in ["", "-1", "before", "yesterday", "2025-01-01"] {
            assert!(text.parse::<Until>().is_err(), "{text}");
        }
    }
}
