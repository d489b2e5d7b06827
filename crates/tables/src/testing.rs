//! Journals in memory and a sink that keeps rows, for this crate's tests.

use crate::{Sink, SinkError, Table, Value};
use aegis_forensics::Reading;
use aegis_forensics::testing::append;
use aegis_journal::{Config, DirStorage, Identity, MemReader, MemStorage, Storage, create};
use aegis_model::Event;
use aegis_model::event::ENGINE_SCHEMA;
use aegis_projection::State;
use aegis_projection::testing::{Dice, Story};
use std::collections::BTreeMap;

const ID: Identity = Identity { journal_id: *b"tables---journal", schema: ENGINE_SCHEMA, mode: 1 };
const SMALL: Config =
    Config { segment_bytes: Config::SEGMENT_BYTES_MIN, knows: |_, _| true, compress: false };

/// A closed journal of these batches.
pub(crate) fn written(batches: &[Vec<Event>]) -> MemStorage {
    let disk = MemStorage::new();
    write(disk.clone(), batches);
    disk
}

/// The same in a directory.
pub(crate) fn directory(batches: &[Vec<Event>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    write(DirStorage::new(dir.path()).expect("a directory"), batches);
    dir
}

fn write<S: Storage>(disk: S, batches: &[Vec<Event>]) {
    let mut writer = create(disk, ID, SMALL).expect("an empty disk");
    for batch in batches {
        append(&mut writer, batch);
        writer.sync().expect("a good disk");
    }
    writer.close().expect("a good disk");
}

/// A history of about so many records, three a batch, and what it folds to.
pub(crate) fn history(seed: u64, records: usize) -> (Vec<Vec<Event>>, State) {
    let mut story = Story::begin();
    let mut dice = Dice::new(seed);
    while story.events.len() < records {
        story.step(&mut dice);
    }
    (story.events.chunks(3).map(<[Event]>::to_vec).collect(), story.state)
}

pub(crate) fn reading(disk: &MemStorage) -> Reading<MemReader> {
    Reading::new(disk.reader()).expect("a journal")
}

/// A value as JSON spells it: what is compared with the records' own JSON.
pub(crate) fn spelled(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::U64(n) => n.to_string(),
        Value::I64(n) => n.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Text(text) => (*text).to_owned(),
        Value::Time(at) => at.0.to_string(),
        Value::Decimal(d) => d.to_string(),
        Value::Bytes(bytes) => format!("{bytes:?}"),
    })
}

/// Keeps rows by table, each cell by its column.
#[derive(Default)]
pub(crate) struct Kept {
    tables: Vec<&'static Table>,
    pub(crate) rows: BTreeMap<&'static str, Vec<BTreeMap<&'static str, String>>>,
    pub(crate) finished: bool,
}

impl Kept {
    pub(crate) fn of(&self, table: &str) -> &[BTreeMap<&'static str, String>] {
        self.rows.get(table).map_or(&[], Vec::as_slice)
    }
}

impl Sink for Kept {
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError> {
        self.tables = tables.to_vec();
        Ok(())
    }

    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        let table = self.tables[table];
        assert_eq!(cells.len(), table.columns.len(), "{}", table.name);
        let mut row = BTreeMap::new();
        for (column, cell) in table.columns.iter().zip(cells) {
            let fits = match cell {
                Value::Null => column.nullable,
                Value::U64(_) => column.kind == crate::Type::U64,
                Value::I64(_) => column.kind == crate::Type::I64,
                Value::Bool(_) => column.kind == crate::Type::Bool,
                Value::Text(_) => column.kind == crate::Type::Text,
                Value::Time(_) => column.kind == crate::Type::Time,
                Value::Decimal(_) => column.kind == crate::Type::Decimal,
                Value::Bytes(_) => column.kind == crate::Type::Bytes,
            };
            assert!(fits, "{}.{}: {cell:?}", table.name, column.name);
            if let Some(text) = spelled(cell) {
                row.insert(column.name.as_str(), text);
            }
        }
        self.rows.entry(table.name).or_default().push(row);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.finished = true;
        Ok(())
    }
}
