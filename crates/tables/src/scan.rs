//! Rows of one table, one after the other, straight from a journal: what a query pulls. Only what is asked for is decoded,
//! and a scan that begins in the middle reads nothing before it.

use crate::folded::Folded;
use crate::kinds::{self, Head};
use crate::read::Out;
use crate::row::{Names, Row, Value};
use crate::schema::{Source, Table};
use crate::{Sink, SinkError};
use aegis_forensics::replay::{engine_reader, head_of, open_dir};
use aegis_forensics::{ReadError, Reading, Until};
use aegis_journal::{Damage, DirReader, JournalReader};
use aegis_model::{Event, Lsn, Timestamp};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records before the first wanted one that are read to find where its batch begins; more if that is not enough.
const BATCH_LOOK: u64 = 64;
/// Damaged places passed while what is intact behind them is counted.
const HOLES_MAX: u32 = 1_000;
/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 14;

/// A cell with memory of its own, which is used again for the next row.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) enum Owned {
    #[default]
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Owned {
    /// Takes a value: times and decimals as text.
    fn set(&mut self, value: &Value<'_>) {
        let text = |owned: &mut Owned, spell: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes =
                if let Owned::Text(old) = std::mem::take(owned) { old.into_bytes() } else { Vec::new() };
            bytes.clear();
            spell(&mut bytes);
            *owned = Owned::Text(String::from_utf8(bytes).unwrap_or_default());
        };
        match value {
            Value::Null => *self = Owned::Null,
            Value::U64(n) => *self = Owned::Int(n.cast_signed()),
            Value::I64(n) => *self = Owned::Int(*n),
            Value::Bool(yes) => *self = Owned::Int(i64::from(*yes)),
            Value::Text(t) => text(self, &|out| out.extend_from_slice(t.as_bytes())),
            Value::Time(at) => text(self, &|out| crate::spell::time(*at, out)),
            Value::Decimal(d) => text(self, &|out| crate::spell::decimal(*d, out)),
            Value::Bytes(bytes) => *self = Owned::Bytes(bytes.to_vec()),
        }
    }
}

/// Which columns are wanted; bit 63 stands for all from the 64th on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mask(pub(crate) u64);

impl Mask {
    pub(crate) const ALL: Mask = Mask(u64::MAX);

    fn has(self, column: usize) -> bool {
        self.0 >> column.min(63) & 1 == 1
    }
}

fn fill(row: &mut Vec<Owned>, cells: &[Value<'_>], mask: Mask) {
    row.resize(cells.len(), Owned::Null);
    for (at, (owned, cell)) in row.iter_mut().zip(cells).enumerate() {
        if mask.has(at) {
            owned.set(cell);
        }
    }
}

/// What every scan of a query shares: the journal, where it ends, and what was met.
pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) met: Mutex<Met>,
    /// All records up to this one were read.
    pub(crate) read_to: AtomicU64,
    /// Told how many records were read so far.
    pub(crate) progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// What the scans met.
#[derive(Default)]
pub(crate) struct Met {
    /// The last record of this query: the first scan that comes to the end says, so that a writer that goes on changes
    /// nothing between two tables. A hole that is met later moves it before the hole.
    pub(crate) end: Option<u64>,
    /// The first damaged place: the record that should be there, and what is wrong.
    pub(crate) hole: Option<(u64, String)>,
    pub(crate) behind_gap: u64,
    /// The first record of the scan that began last in the journal.
    pub(crate) first_max: u64,
    pub(crate) records: u64,
    pub(crate) failure: Option<ReadError>,
}

impl Met {
    /// Notes a damaged place, behind which no record belongs to this query; false if that or an earlier one is known.
    fn damaged(&mut self, lsn: u64, hole: &Damage) -> bool {
        if self.hole.as_ref().is_some_and(|(known, _)| *known <= hole.lsn) {
            return false;
        }
        self.hole = Some((hole.lsn, hole.to_string()));
        self.behind_gap = 0;
        self.end = Some(self.end.map_or(lsn, |end| end.min(lsn)));
        true
    }
}

impl Shared {
    pub(crate) fn met(&self) -> std::sync::MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A scan has read all records from one to another.
    fn covered(&self, first: u64, last: u64) {
        if first <= self.read_to.load(Ordering::Relaxed) + 1 {
            self.read_to.fetch_max(last, Ordering::Relaxed);
        }
    }

    fn read(&self, records: u64) {
        let read = {
            let mut met = self.met();
            met.records += records;
            met.records
        };
        (self.progress)(read);
    }
}

/// Which records are wanted; both ends belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

impl Range {
    pub(crate) const ALL: Range = Range { from: 1, to: u64::MAX, since: None, until: None };
}

/// A scan of a table.
#[expect(clippy::large_enum_variant, reason = "one at a time, and never moved while it runs")]
pub(crate) enum Scan {
    Records(RecordScan),
    Folded(FoldedScan),
}

impl Scan {
    pub(crate) fn begin(
        shared: &Shared,
        table: &'static Table,
        range: Range,
        mask: Mask,
    ) -> Result<Scan, ReadError> {
        if table.source.is_folded() {
            FoldedScan::begin(shared, table, mask).map(Scan::Folded)
        } else {
            RecordScan::begin(shared, table, range, mask).map(Scan::Records)
        }
    }

    /// The next row; false at the end.
    pub(crate) fn next(&mut self, shared: &Shared, row: &mut Vec<Owned>) -> Result<bool, ReadError> {
        match self {
            Scan::Records(scan) => scan.next(shared, row),
            Scan::Folded(scan) => scan.next(shared, row),
        }
    }
}

/// Rows of records.
pub(crate) struct RecordScan {
    reader: JournalReader<DirReader>,
    /// Where it began, and the last record that it read.
    first: u64,
    last: u64,
    source: Source,
    range: Range,
    mask: Mask,
    batch: u64,
    names: Namer,
    spare: Vec<Value<'static>>,
    unread: u64,
    holes: u32,
    stopped: bool,
    /// Stages of the last record that are still to come.
    stages: VecDeque<Vec<Owned>>,
}

/// Names, learned from the first record on as far as they are needed.
struct Namer {
    reader: Option<JournalReader<DirReader>>,
    names: Names,
}

impl Namer {
    /// Learns the names that records before this one gave.
    fn learn_to(&mut self, dir: &std::path::Path, lsn: u64) -> Result<(), ReadError> {
        if self.reader.is_none() {
            self.reader = Some(engine_reader(open_dir(dir)?)?);
        }
        let Some(reader) = &mut self.reader else { return Ok(()) };
        while reader.position() < lsn {
            // What is damaged gives no name, and the scan tells of it.
            let Ok(Some(record)) = reader.next() else { break };
            if matches!(record.kind, 10 | 11)
                && let Ok(event) = Event::decode(head_of(&record), record.payload)
            {
                self.names.learn(&event.fact);
            }
        }
        Ok(())
    }
}

impl RecordScan {
    fn begin(
        shared: &Shared,
        table: &'static Table,
        range: Range,
        mask: Mask,
    ) -> Result<RecordScan, ReadError> {
        let mut reader = engine_reader(open_dir(&shared.dir)?)?;
        let segments = reader.segments().map_err(ReadError::Open)?;
        // A missing segment is a hole, which only a scan from the first record tells right.
        let whole = segments.iter().enumerate().all(|(at, (number, _))| *number == at as u64 + 1);
        let mut from = if whole { range.from } else { 1 };
        if let Some(since) = range.since.filter(|_| whole) {
            from = from.max(first_since(&mut reader, &segments, since)?);
        }
        let mut batch = 0;
        if from > 1 {
            batch = seek(&mut reader, from)?;
        }
        {
            let mut met = shared.met();
            met.first_max = met.first_max.max(from);
        }
        Ok(RecordScan {
            reader,
            first: from,
            last: from.saturating_sub(1),
            source: table.source,
            range: Range { from: range.from.max(from), ..range },
            mask,
            batch,
            names: Namer { reader: None, names: Names::default() },
            spare: Vec::new(),
            unread: 0,
            holes: 0,
            stopped: false,
            stages: VecDeque::new(),
        })
    }

    fn next(&mut self, shared: &Shared, row: &mut Vec<Owned>) -> Result<bool, ReadError> {
        if let Some(stage) = self.stages.pop_front() {
            *row = stage;
            return Ok(true);
        }
        let found = self.pull(shared, row);
        shared.covered(self.first, self.last);
        found
    }

    fn pull(&mut self, shared: &Shared, row: &mut Vec<Owned>) -> Result<bool, ReadError> {
        let end = shared.met().end;
        let last = end.map_or(self.range.to, |end| end.min(self.range.to));
        let mut ended = false;
        while !self.stopped {
            let record = match self.reader.next() {
                Ok(Some(record)) => record,
                Ok(None) => {
                    ended = true;
                    break;
                }
                Err(damage) => {
                    let new = self.holes == 0 && shared.met().damaged(self.last, &damage);
                    let known = self.holes == 0 && !new;
                    self.holes += 1;
                    // Another scan has counted what is behind it.
                    if known || self.holes == HOLES_MAX {
                        ended = true;
                        break;
                    }
                    continue;
                }
            };
            if record.after_gap {
                shared.met().behind_gap += 1;
                continue;
            }
            if record.lsn > last || self.range.until.is_some_and(|until| record.time_ns > until.0) {
                self.stopped = true;
                break;
            }
            self.last = record.lsn;
            self.unread += 1;
            if self.unread == PROGRESS_RECORDS {
                shared.read(std::mem::take(&mut self.unread));
            }
            if record.batch_first {
                self.batch = record.lsn;
            }
            let wanted = match self.source {
                Source::Kind(kind) => record.kind == kind,
                Source::Stages => matches!(record.kind, 40 | 70),
                Source::Records => true,
                Source::Positions | Source::Cycles | Source::Fills | Source::Balances | Source::Stops => {
                    false
                }
            };
            let lsn = Lsn(record.lsn);
            if matches!(record.kind, 10 | 11) {
                let event = Event::decode(head_of(&record), record.payload)
                    .map_err(|cause| ReadError::Decode { lsn, cause })?;
                self.names.names.learn(&event.fact);
            }
            if record.lsn < self.range.from || !wanted {
                continue;
            }
            if self.mask.0 == 0 && self.source != Source::Stages {
                // Only the number of rows counts.
                row.clear();
                return Ok(true);
            }
            let event = Event::decode(head_of(&record), record.payload)
                .map_err(|cause| ReadError::Decode { lsn, cause })?;
            let head = Head::of(lsn, Lsn(self.batch), &event);
            if self.source == Source::Stages {
                for (number, stage) in kinds::stages_of(&event.fact).iter().enumerate() {
                    let mut cells = Vec::new();
                    let mut built = Row::new(&self.names.names, std::mem::take(&mut self.spare));
                    kinds::stage_row(lsn, number, stage, &mut built);
                    fill(&mut cells, &built.cells, Mask::ALL);
                    self.spare = built.spare();
                    self.stages.push_back(cells);
                }
                if let Some(stage) = self.stages.pop_front() {
                    *row = stage;
                    return Ok(true);
                }
                continue;
            }
            // A name may be needed that was given before the scan began, or in a kind that is not shown.
            for learned in [false, true] {
                let mut built = Row::new(&self.names.names, std::mem::take(&mut self.spare));
                if self.source == Source::Records {
                    kinds::records_row(head, &event.fact, &mut built);
                } else {
                    kinds::kind_row(head, &event.fact, &mut built);
                }
                let nameless = built.nameless;
                if learned || !nameless {
                    fill(row, &built.cells, self.mask);
                }
                self.spare = built.spare();
                if !nameless {
                    break;
                }
                if !learned {
                    self.names.learn_to(&shared.dir, lsn.0)?;
                }
            }
            return Ok(true);
        }
        self.stopped = true;
        shared.read(std::mem::take(&mut self.unread));
        if ended {
            let position = self.reader.position();
            shared.met().end.get_or_insert(position);
        }
        Ok(false)
    }
}

/// The first record of the last segment that begins before a time: times never fall within a journal.
fn first_since(
    reader: &mut JournalReader<DirReader>,
    segments: &[(u64, u64)],
    since: Timestamp,
) -> Result<u64, ReadError> {
    let (mut low, mut high) = (0, segments.len());
    while high - low > 1 {
        let middle = low.midpoint(high);
        reader.seek(segments[middle].1).map_err(ReadError::Open)?;
        let earlier = matches!(reader.next(), Ok(Some(record)) if record.time_ns < since.0);
        if earlier { low = middle } else { high = middle }
    }
    let first = segments.get(low).map_or(1, |s| s.1);
    reader.seek(1).map_err(ReadError::Open)?;
    Ok(first)
}

/// Moves to a record and tells where its batch begins.
fn seek(reader: &mut JournalReader<DirReader>, from: u64) -> Result<u64, ReadError> {
    let mut back = BATCH_LOOK;
    loop {
        let start = from.saturating_sub(back).max(1);
        reader.seek(start).map_err(ReadError::Open)?;
        let mut batch = None;
        let mut holes = 0;
        while holes < HOLES_MAX {
            match reader.next() {
                Ok(Some(record)) if record.lsn <= from => {
                    if record.batch_first {
                        batch = Some(record.lsn);
                    }
                    if record.lsn == from {
                        break;
                    }
                }
                Ok(_) => break,
                // Only whole batches are handed out, so the one that is looked for begins behind the damage.
                Err(_) => {
                    batch = None;
                    holes += 1;
                }
            }
        }
        if batch.is_some() || start == 1 {
            reader.seek(from).map_err(ReadError::Open)?;
            return Ok(batch.unwrap_or(start));
        }
        back = back.saturating_mul(16);
    }
}

/// Rows of the fold.
pub(crate) struct FoldedScan {
    reading: Reading<DirReader>,
    folded: Option<Folded>,
    out: Out<Collected>,
    last: u64,
}

struct Collected {
    rows: VecDeque<Vec<Owned>>,
    mask: Mask,
}

impl Sink for Collected {
    fn begin(&mut self, _tables: &[&'static Table]) -> Result<(), SinkError> {
        Ok(())
    }

    fn row(&mut self, _table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        let mut row = Vec::new();
        fill(&mut row, cells, self.mask);
        self.rows.push_back(row);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

impl FoldedScan {
    fn begin(shared: &Shared, table: &'static Table, mask: Mask) -> Result<FoldedScan, ReadError> {
        let reading = Reading::open(&shared.dir)?;
        let out = Out::new(&[table], Collected { rows: VecDeque::new(), mask });
        Ok(FoldedScan { reading, folded: Some(Folded::default()), out, last: 0 })
    }

    fn next(&mut self, shared: &Shared, row: &mut Vec<Owned>) -> Result<bool, ReadError> {
        loop {
            if let Some(next) = self.out.sink.rows.pop_front() {
                *row = next;
                return Ok(true);
            }
            let Some(folded) = &mut self.folded else { return Ok(false) };
            let until = shared.met().end.map_or(Until::End, |end| Until::Lsn(Lsn(end)));
            let out = &mut self.out;
            let more =
                self.reading.step_batch(until, &mut |point, state| out.point(point, state, Some(folded)))?;
            let read = self.reading.state.lsn.0;
            if read - self.last >= PROGRESS_RECORDS || !more {
                shared.read(read - self.last);
                self.last = read;
            }
            if !more {
                shared.covered(1, read);
                let mut met = shared.met();
                if let Some(hole) = &self.reading.hole
                    && met.damaged(read, hole)
                {
                    met.behind_gap = self.reading.behind_gap;
                }
                met.end.get_or_insert(read);
                drop(met);
                if let Some(folded) = self.folded.take() {
                    folded.end(&self.reading.state, &mut self.out);
                }
            }
        }
    }
}
