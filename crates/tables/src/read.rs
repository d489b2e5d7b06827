//! One read over a journal that fills tables: each batch is decoded and folded once, and a record's rows are given to the
//! sink in memory that is used again and again.

use crate::folded::Folded;
use crate::kinds::{self, Head};
use crate::row::{Names, Row, Value};
use crate::schema::{Source, Table, tables};
use crate::{Sink, SinkError};
use aegis_forensics::{Point, ReadError, Reading, Until};
use aegis_journal::{Damage, StorageRead};
use aegis_model::{Fact, Lsn};
use aegis_projection::State;
use std::fmt;

/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 16;

/// What an export read and wrote.
#[derive(Debug)]
pub struct Told {
    /// Rows of each table, in the order in which the tables were asked for.
    pub rows: Vec<u64>,
    /// The last record.
    pub last: Lsn,
    /// The first damaged place: what is behind it was not read.
    pub hole: Option<Damage>,
    /// Intact records behind it.
    pub behind_gap: u64,
}

/// Why an export ended.
#[derive(Debug)]
pub enum ExportError {
    /// The journal cannot be read.
    Read(ReadError),
    /// The target cannot be written.
    Write(SinkError),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportError::Read(e) => e.fmt(f),
            ExportError::Write(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<SinkError> for ExportError {
    fn from(error: SinkError) -> ExportError {
        ExportError::Write(error)
    }
}

/// The tables of these names, each once; all of them when none is named.
///
/// # Errors
/// The first name that is no table's.
pub fn selection(names: &[String]) -> Result<Vec<&'static Table>, String> {
    if names.is_empty() {
        return Ok(tables().iter().collect());
    }
    let find = |name: &String| tables().iter().find(|t| t.name == name).ok_or_else(|| name.clone());
    let mut chosen: Vec<&'static Table> = Vec::new();
    for table in names.iter().map(find) {
        let table = table?;
        if !chosen.iter().any(|known| known.name == table.name) {
            chosen.push(table);
        }
    }
    Ok(chosen)
}

/// Reads a journal once, from its first record to a point, and gives the rows of these tables to a sink. `progress` is
/// told the number of a record now and then.
///
/// # Errors
/// [`ExportError`]; the sink is then not finished.
pub fn export<R: StorageRead>(
    reading: Reading<R>,
    until: Until,
    tables: &[&'static Table],
    sink: &mut dyn Sink,
    progress: &mut dyn FnMut(Lsn),
) -> Result<Told, ExportError> {
    sink.begin(tables)?;
    let mut out = Out::new(tables, &mut *sink);
    let mut folded = out.needs_folded().then(Folded::default);
    let (reading, told) = run(reading, until, progress, &mut |point, state| {
        out.point(point, state, folded.as_mut());
        out.failed()
    })?;
    if let Some(folded) = folded {
        folded.end(&reading.state, &mut out);
    }
    out.failed()?;
    let rows = out.rows;
    sink.end(reading.state.lsn);
    sink.finish()?;
    Ok(Told { rows, ..told })
}

/// Reads a journal to a point; `each` sees every record with the state after it. No rows are counted.
pub(crate) fn run<R: StorageRead>(
    mut reading: Reading<R>,
    until: Until,
    progress: &mut dyn FnMut(Lsn),
    each: &mut dyn FnMut(&Point, &State) -> Result<(), SinkError>,
) -> Result<(Reading<R>, Told), ExportError> {
    let (mut told, mut failed) = (0, None);
    loop {
        let mut step = |point: &Point, state: &State| {
            if failed.is_none() {
                failed = each(point, state).err();
            }
        };
        if !reading.step_batch(until, &mut step).map_err(ExportError::Read)? {
            break;
        }
        if let Some(error) = failed.take() {
            return Err(ExportError::Write(error));
        }
        if reading.state.lsn.0 - told >= PROGRESS_RECORDS {
            told = reading.state.lsn.0;
            progress(reading.state.lsn);
        }
    }
    let (last, hole) = (reading.state.lsn, reading.hole.clone());
    let told = Told { rows: Vec::new(), last, hole, behind_gap: reading.behind_gap };
    Ok((reading, told))
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError> {
        (**self).begin(tables)
    }

    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        (**self).row(table, cells)
    }

    fn end(&mut self, last: Lsn) {
        (**self).end(last);
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        (**self).finish()
    }
}

/// Where rows go.
pub(crate) struct Out<S> {
    pub(crate) sink: S,
    /// The place of a table by the kind of its records.
    kinds: Vec<Option<usize>>,
    records: Option<usize>,
    stages: Option<usize>,
    folded: Vec<(Source, usize)>,
    names: Names,
    spare: Vec<Value<'static>>,
    batch: Option<Lsn>,
    rows: Vec<u64>,
    error: Option<SinkError>,
}

impl<S: Sink> Out<S> {
    pub(crate) fn new(tables: &[&'static Table], sink: S) -> Out<S> {
        let place = |wanted: Source| tables.iter().position(|t| t.source == wanted);
        let last = Fact::KINDS.iter().map(|k| k.0).max().unwrap_or(0);
        let folded = tables.iter().enumerate().filter(|(_, t)| t.source.is_folded());
        Out {
            kinds: (0..=last).map(|kind| place(Source::Kind(kind))).collect(),
            records: place(Source::Records),
            stages: place(Source::Stages),
            folded: folded.map(|(at, t)| (t.source, at)).collect(),
            names: Names::default(),
            spare: Vec::new(),
            batch: None,
            rows: vec![0; tables.len()],
            error: None,
            sink,
        }
    }

    fn needs_folded(&self) -> bool {
        !self.folded.is_empty()
    }

    pub(crate) fn failed(&mut self) -> Result<(), SinkError> {
        self.error.take().map_or(Ok(()), Err)
    }

    pub(crate) fn point(&mut self, point: &Point, state: &State, folded: Option<&mut Folded>) {
        let fact = &point.event.fact;
        let batch = *self.batch.get_or_insert(point.lsn);
        if point.batch_end {
            self.batch = None;
        }
        self.names.learn(fact);
        let head = Head::of(point.lsn, batch, &point.event);
        if let Some(table) = self.records {
            self.fill(table, |row| kinds::records_row(head, fact, row));
        }
        if let Some(table) = self.kinds.get(usize::from(fact.kind())).copied().flatten() {
            self.fill(table, |row| kinds::kind_row(head, fact, row));
        }
        if let Some(table) = self.stages {
            for (number, stage) in kinds::stages_of(fact).iter().enumerate() {
                self.fill(table, |row| kinds::stage_row(point.lsn, number, stage, row));
            }
        }
        if let Some(folded) = folded {
            folded.point(point, state, self);
        }
    }

    /// A row of a table of the fold, if that is wanted.
    pub(crate) fn row<'v>(&'v mut self, source: Source, fill: impl FnOnce(&mut Row<'v>)) {
        if let Some((_, table)) = self.folded.iter().find(|f| f.0 == source) {
            self.fill(*table, fill);
        }
    }

    fn fill<'v>(&'v mut self, table: usize, fill: impl FnOnce(&mut Row<'v>)) {
        if self.error.is_some() {
            return;
        }
        let names: &'v Names = &self.names;
        let mut row = Row::new(names, std::mem::take(&mut self.spare));
        fill(&mut row);
        match self.sink.row(table, &row.cells) {
            Ok(()) => self.rows[table] += 1,
            Err(e) => self.error = Some(e),
        }
        self.spare = row.spare();
    }
}
