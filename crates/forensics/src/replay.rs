//! The state at any point of a journal, folded from its records alone.
//!
//! It stops only at batch ends, shows what lies before a gap, and says so when something lies behind it.

use crate::words;
use aegis_journal::{Checkpoint, Damage, DirReader, Identity, JournalReader, Pruned, Record, StorageRead};
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
    /// A record that this version does not know or that is not spelled as documented.
    Decode {
        /// Its number.
        lsn: Lsn,
        /// What is wrong.
        cause: DecodeError,
    },
    /// The beginning was pruned: what came before is in a backup, and what it made in checkpoints only.
    Pruned {
        /// What was dropped.
        pruned: Pruned,
        /// The oldest checkpoint that can be read here: records behind it are folded.
        known_behind: Option<Lsn>,
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
            ReadError::Decode { lsn, cause } => write!(f, "record {lsn}: {cause}"),
            ReadError::Pruned { pruned, known_behind } => {
                write!(
                    f,
                    "{pruned}, and this needs them: bring the backup up to date with `aegis backup` and read the journal \
                     there"
                )?;
                known_behind.map_or(Ok(()), |lsn| {
                    write!(
                        f,
                        "; here `aegis replay` shows the newest state, and `aegis log --from {}` the records behind the \
                         oldest checkpoint",
                        lsn.next()
                    )
                })
            }
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
#[derive(Clone, Debug)]
pub struct Point {
    /// Its number.
    pub lsn: Lsn,
    /// What it says.
    pub event: Event,
    /// Whether a batch ends with it.
    pub batch_end: bool,
}

/// A journal being folded record by record: up to its end, or up to the first hole that nobody declared, of which it
/// then tells.
pub struct Reading<R: StorageRead = DirReader> {
    reader: JournalReader<R>,
    /// The state after the last record given.
    pub state: State,
    /// Intact records that lie behind a gap: they are not folded.
    pub behind_gap: u64,
    /// The first damaged place. A journal that was copied while it was written looks like that, too.
    pub hole: Option<Damage>,
    /// The checkpoint that the state comes from; none when it was folded from the first record.
    pub checkpoint: Option<Lsn>,
    /// A batch that was read and not folded yet.
    batch: Vec<Point>,
}

/// How many damaged places are passed; behind more of them nothing is looked for.
const HOLES_MAX: u32 = 1_000;
/// A checkpoint's state begins with the time of its last record (`journal-format.md`).
const CHECKPOINT_TIME_BYTES: usize = 8;
/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 16;

impl Reading<DirReader> {
    /// Opens an engine's journal for reading, also beside its writer.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(dir: &Path) -> Result<Reading, ReadError> {
        Reading::new(open_dir(dir)?)
    }

    /// As [`Reading::open`], but begins at the newest checkpoint that lies at or before a point.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open_near(dir: &Path, until: Until) -> Result<Reading, ReadError> {
        Reading::near(|| open_dir(dir), until)
    }
}

/// A directory as a source of records.
///
/// # Errors
/// [`ReadError::Open`].
pub fn open_dir(dir: &Path) -> Result<DirReader, ReadError> {
    DirReader::at(dir).map_err(ReadError::Open)
}

/// The reader of an engine's journal from its first record.
///
/// # Errors
/// [`ReadError`] when there is none, when it is another machine's, or when its beginning was pruned.
pub fn engine_reader<R: StorageRead>(read: R) -> Result<JournalReader<R>, ReadError> {
    let reader = reader_of_what_is_left(read)?;
    match reader.pruned() {
        Some(pruned) => {
            let checkpoints = reader.checkpoints().map_err(ReadError::Open)?;
            let known_behind = checkpoints.iter().rev().filter(|c| c.lsn >= pruned.last_lsn).find_map(loaded);
            Err(ReadError::Pruned {
                pruned: pruned.clone(),
                known_behind: known_behind.map(|state| state.lsn),
            })
        }
        None => Ok(reader),
    }
}

fn reader_of_what_is_left<R: StorageRead>(read: R) -> Result<JournalReader<R>, ReadError> {
    let reader = JournalReader::open(read).map_err(ReadError::Open)?;
    let found = reader.identity().schema;
    if found == ENGINE_SCHEMA { Ok(reader) } else { Err(ReadError::Schema { found }) }
}

/// What a record says beside its payload.
pub fn head_of(record: &Record<'_>) -> RecordHead {
    RecordHead {
        kind: record.kind,
        version: record.version,
        actor: record.actor,
        time: Timestamp(record.time_ns),
        cause: Lsn(record.cause),
    }
}

impl<R: StorageRead> Reading<R> {
    /// Reads a journal from its first record.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn new(read: R) -> Result<Reading<R>, ReadError> {
        Ok(Reading::at_begin(engine_reader(read)?))
    }

    fn at_begin(reader: JournalReader<R>) -> Reading<R> {
        let state = State::default();
        Reading { reader, state, behind_gap: 0, hole: None, checkpoint: None, batch: Vec::new() }
    }

    /// Reads a journal from the newest checkpoint at or before a point, or from its first record when there is none.
    /// A checkpoint is believed when its state has its digest and the record that it names ends a batch there; what
    /// lies before it is then not read. `open` makes a handle on the journal.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn near(open: impl Fn() -> Result<R, ReadError>, until: Until) -> Result<Reading<R>, ReadError> {
        for checkpoint in aegis_journal::checkpoints(&open()?).map_err(ReadError::Open)? {
            let lsn = Lsn(checkpoint.lsn);
            let too_late = match until {
                Until::End | Until::Time(_) => false,
                Until::Lsn(wanted) => lsn > wanted,
                Until::Before(wanted) => lsn >= wanted,
            };
            let Some(state) = loaded(&checkpoint).filter(|_| !too_late) else { continue };
            let mut reading = Reading::at_begin(reader_of_what_is_left(open()?)?);
            if matches!(until, Until::Time(at) if state.time > at) || !reading.begin_behind(lsn)? {
                continue;
            }
            (reading.state, reading.checkpoint) = (state, Some(lsn));
            return Ok(reading);
        }
        Reading::new(open()?)
    }

    /// Moves behind a record that ends a batch. A checkpoint whose record is lost still counts where a declared gap
    /// rests on it, and one at the last record that was pruned does.
    fn begin_behind(&mut self, lsn: Lsn) -> Result<bool, ReadError> {
        let pruned = self.reader.pruned().is_some_and(|pruned| pruned.last_lsn == lsn.0);
        let gaps = self.reader.gaps();
        let rests = pruned || gaps.iter().any(|gap| gap.by_checkpoint && gap.through_lsn <= lsn.0);
        self.reader.seek(lsn.0).map_err(ReadError::Open)?;
        let there = match self.reader.next() {
            Ok(record) => record.is_some_and(|r| r.lsn == lsn.0 && r.batch_end),
            Err(_) => false,
        };
        if !there && rests {
            self.reader.seek(lsn.next().0).map_err(ReadError::Open)?;
        }
        Ok(there || rests)
    }

    /// Which journal it is.
    pub fn identity(&self) -> Identity {
        self.reader.identity()
    }

    /// The next record, folded; none at the end or at a hole (call again to follow a live writer).
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
    pub(crate) fn read(&mut self) -> Result<Option<Point>, ReadError> {
        let mut holes = 0;
        loop {
            let record = match self.reader.next() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(damage) => {
                    holes += 1;
                    self.hole.get_or_insert(damage);
                    if holes == HOLES_MAX {
                        return Ok(None);
                    }
                    continue;
                }
            };
            if record.after_gap {
                self.behind_gap += 1;
                continue;
            }
            let (lsn, batch_end) = (Lsn(record.lsn), record.batch_end);
            let event = Event::decode(head_of(&record), record.payload)
                .map_err(|cause| ReadError::Decode { lsn, cause })?;
            return Ok(Some(Point { lsn, event, batch_end }));
        }
    }

    /// Goes on behind a state that this very journal's records made.
    pub(crate) fn resume(&mut self, state: State) -> Result<(), ReadError> {
        self.reader.seek(state.lsn.next().0).map_err(ReadError::Open)?;
        self.state = state;
        Ok(())
    }

    /// Folds up to a point; only whole batches count.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn run(self, until: Until) -> Result<Reading<R>, ReadError> {
        self.run_telling(until, &mut |_| ())
    }

    /// As [`Reading::run`], with the number of the last record told now and then.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn run_telling(
        mut self,
        until: Until,
        progress: &mut dyn FnMut(Lsn),
    ) -> Result<Reading<R>, ReadError> {
        while self.step_batch(until, &mut |_, _| ())? {
            if self.state.lsn.0 % PROGRESS_RECORDS < 8 {
                progress(self.state.lsn);
            }
        }
        Ok(self)
    }

    /// Folds the next batch, if it still belongs before the point; `each` sees every record with the state after it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn step_batch(
        &mut self,
        until: Until,
        each: &mut dyn FnMut(&Point, &State),
    ) -> Result<bool, ReadError> {
        if matches!(until, Until::Lsn(lsn) if self.state.lsn >= lsn) {
            return Ok(false);
        }
        // The fold never stands inside a batch, so all of it is read first.
        while self.batch.last().is_none_or(|last| !last.batch_end) {
            let Some(point) = self.read()? else { return Ok(false) };
            self.batch.push(point);
        }
        let beyond = |point: &Point| match until {
            Until::Before(lsn) => point.lsn >= lsn,
            Until::Time(at) => point.event.at > at,
            Until::End | Until::Lsn(_) => false,
        };
        if self.batch.iter().any(beyond) {
            return Ok(false);
        }
        let mut batch = std::mem::take(&mut self.batch);
        for point in &batch {
            self.fold(point.lsn, &point.event)?;
            each(point, &self.state);
        }
        batch.clear();
        self.batch = batch;
        Ok(true)
    }
}

/// The state in a checkpoint, if it is one of this version and has its own digest.
pub(crate) fn loaded(checkpoint: &Checkpoint) -> Option<State> {
    let state = State::load(checkpoint.bytes.get(CHECKPOINT_TIME_BYTES..)?).ok()?;
    (state.lsn.0 == checkpoint.lsn && state.digest() == checkpoint.digest).then_some(state)
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
mod tests;
