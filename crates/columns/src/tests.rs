//! What was written comes back by the readers of Arrow and Parquet, cell for cell; and nothing that is not whole has a name.
//! Readers that share no code with the writers are asked in `tests/readers`.

use crate::files::{LAST_LSN, SETUP, Setup};
use crate::{About, Files, Format};
use aegis_model::{Fixed, Lsn, Timestamp};
use aegis_tables::{Column, Sink, SinkError, Source, Table, Type, Value, tables};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_schema::{DataType, SchemaRef, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use proptest::prelude::*;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::LazyLock;

const KINDS: [Type; 7] =
    [Type::U64, Type::I64, Type::Bool, Type::Text, Type::Time, Type::Decimal, Type::Bytes];

/// A table with each type twice: where nothing may be, and where something must.
static EACH: LazyLock<Table> = LazyLock::new(|| {
    let column = |kind: Type, nullable| Column {
        name: if nullable { format!("maybe_{}", kind.name()) } else { kind.name().to_owned() },
        kind,
        nullable,
        doc: format!("A {}.", kind.name()),
    };
    let number = Column { name: "lsn".to_owned(), ..column(Type::U64, false) };
    let mut columns = vec![number];
    columns.extend(KINDS.iter().flat_map(|kind| [column(*kind, false), column(*kind, true)]));
    // A name that an export knows for its own.
    Table { name: "records", doc: "Each type.".to_owned(), source: Source::Records, columns }
});

/// A value that owns what it says.
#[derive(Clone, PartialEq, Debug)]
enum Cell {
    Null,
    U64(u64),
    I64(i64),
    Bool(bool),
    Text(String),
    Time(i64),
    Decimal(i128),
    Bytes(Vec<u8>),
}

impl Cell {
    fn value(&self) -> Value<'_> {
        match self {
            Cell::Null => Value::Null,
            Cell::U64(n) => Value::U64(*n),
            Cell::I64(n) => Value::I64(*n),
            Cell::Bool(yes) => Value::Bool(*yes),
            Cell::Text(text) => Value::Text(text),
            Cell::Time(ns) => Value::Time(Timestamp(*ns)),
            Cell::Decimal(units) => Value::Decimal(Fixed::from_units(*units).expect("in range")),
            Cell::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

fn about() -> About {
    About { journal: *b"columns--journal", version: "9.8.7".to_owned() }
}

fn write(files: &mut Files, rows: &[Vec<Cell>]) -> Result<(), SinkError> {
    files.begin(&[&*EACH])?;
    for row in rows {
        let values: Vec<Value<'_>> = row.iter().map(Cell::value).collect();
        files.row(0, &values)?;
    }
    files.end(Lsn(rows.len() as u64));
    files.finish()
}

/// The schema and all batches of a file.
fn read(dir: &Path, table: &str, format: Format) -> (SchemaRef, Vec<RecordBatch>) {
    match format {
        Format::Parquet => {
            let file = File::open(dir.join(format!("{table}.parquet"))).expect("a file");
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
            let schema = builder.schema().clone();
            (schema, builder.build().expect("a reader").map(|b| b.expect("a batch")).collect())
        }
        Format::Arrow => {
            let file = File::open(dir.join(format!("{table}.arrow"))).expect("a file");
            let reader = FileReader::try_new_buffered(file, None).expect("an Arrow file");
            (reader.schema(), reader.map(|b| b.expect("a batch")).collect())
        }
    }
}

fn cells(batches: &[RecordBatch]) -> Vec<Vec<Cell>> {
    let cell = |column: &dyn Array, at: usize| {
        if column.is_null(at) {
            return Cell::Null;
        }
        let kind = column.data_type();
        if *kind == DataType::UInt64 {
            Cell::U64(column.as_primitive::<UInt64Type>().value(at))
        } else if *kind == DataType::Int64 {
            Cell::I64(column.as_primitive::<Int64Type>().value(at))
        } else if *kind == DataType::Boolean {
            Cell::Bool(column.as_boolean().value(at))
        } else if *kind == DataType::Utf8 {
            Cell::Text(column.as_string::<i32>().value(at).to_owned())
        } else if *kind == DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())) {
            Cell::Time(column.as_primitive::<TimestampNanosecondType>().value(at))
        } else if *kind == DataType::Decimal128(38, 18) {
            Cell::Decimal(column.as_primitive::<Decimal128Type>().value(at))
        } else {
            assert_eq!(*kind, DataType::Binary, "no column has another type");
            Cell::Bytes(column.as_binary::<i32>().value(at).to_vec())
        }
    };
    let row = |batch: &RecordBatch, at| batch.columns().iter().map(|c| cell(c, at)).collect();
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect()
}

fn cell_of(kind: Type) -> BoxedStrategy<Cell> {
    let most = 10_i128.pow(38) - 1;
    match kind {
        Type::U64 => prop_oneof![any::<u64>(), 0..9_u64, Just(u64::MAX)].prop_map(Cell::U64).boxed(),
        Type::I64 => prop_oneof![any::<i64>(), Just(i64::MIN)].prop_map(Cell::I64).boxed(),
        Type::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
        Type::Text => prop_oneof![".{0,12}", Just(String::new()), "[ab]"].prop_map(Cell::Text).boxed(),
        Type::Time => prop_oneof![any::<i64>(), Just(i64::MAX)].prop_map(Cell::Time).boxed(),
        Type::Decimal => {
            prop_oneof![-most..=most, Just(most), Just(-most), Just(0)].prop_map(Cell::Decimal).boxed()
        }
        Type::Bytes => prop::collection::vec(any::<u8>(), 0..40).prop_map(Cell::Bytes).boxed(),
    }
}

fn row_of_each() -> impl Strategy<Value = Vec<Cell>> {
    let cells: Vec<BoxedStrategy<Cell>> = EACH
        .columns
        .iter()
        .map(|column| {
            let there = cell_of(column.kind);
            if column.nullable { prop_oneof![1 => Just(Cell::Null), 2 => there].boxed() } else { there }
        })
        .collect();
    cells
}

/// Bounds so small that every batch and row group is left early.
const SMALL: Setup = Setup {
    batch_bytes: 1 << 10,
    collected_bytes_max: 1 << 11,
    queue: 1,
    encoded_bytes_max: 1 << 12,
    ..SETUP
};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn random_rows_of_every_type_come_back(rows in prop::collection::vec(row_of_each(), 0..120), small: bool) {
        let dir = tempfile::tempdir().expect("a directory");
        for format in [Format::Parquet, Format::Arrow] {
            let path = dir.path().join(format!("{format:?}"));
            let setup = if small { SMALL } else { SETUP };
            let mut files = Files::of(&path, format, about(), false, setup).expect("new");
            write(&mut files, &rows).expect("room");
            let (_, batches) = read(&path, "records", format);
            prop_assert_eq!(cells(&batches), rows.clone());
            let once_more = dir.path().join(format!("{format:?} once more"));
            write(&mut Files::of(&once_more, format, about(), false, setup).expect("new"), &rows).expect("room");
            let bytes = |dir: &Path| {
                let mut files = std::fs::read_dir(dir).expect("a directory");
                std::fs::read(files.next().expect("a file").expect("an entry").path()).expect("its bytes")
            };
            prop_assert!(bytes(&path) == bytes(&once_more), "two exports of the same rows differ");
        }
    }
}

#[test]
fn a_file_says_whose_it_is_how_far_it_goes_and_what_its_columns_mean() {
    let dir = tempfile::tempdir().expect("a directory");
    for format in [Format::Parquet, Format::Arrow] {
        let path = dir.path().join(format!("{format:?}"));
        let all: Vec<&Table> = tables().iter().collect();
        let mut files = Files::new(&path, format, about(), false).expect("new");
        files.begin(&all).expect("room");
        files.end(Lsn(77));
        files.finish().expect("room");
        // No table has a row, and each has its file with every column.
        assert_eq!(std::fs::read_dir(&path).expect("a directory").count(), all.len());
        for table in &all {
            let (schema, batches) = read(&path, table.name, format);
            assert_eq!(cells(&batches).len(), 0);
            assert_eq!(schema.metadata()["aegis.version"], "9.8.7");
            assert_eq!(schema.metadata()["aegis.journal"], "636f6c756d6e732d2d6a6f75726e616c");
            let found: Vec<(&String, bool, &String)> =
                schema.fields().iter().map(|f| (f.name(), f.is_nullable(), &f.metadata()["doc"])).collect();
            let wanted: Vec<(&String, bool, &String)> =
                table.columns.iter().map(|c| (&c.name, c.nullable, &c.doc)).collect();
            assert_eq!(found, wanted, "{}", table.name);
        }
        let last = match format {
            Format::Parquet => {
                let file = File::open(path.join("records.parquet")).expect("a file");
                let reader = SerializedFileReader::new(file).expect("a Parquet file");
                let said = reader.metadata().file_metadata().key_value_metadata().expect("metadata").clone();
                said.into_iter().find(|kv| kv.key == LAST_LSN).and_then(|kv| kv.value)
            }
            Format::Arrow => {
                let file = File::open(path.join("records.arrow")).expect("a file");
                let reader = FileReader::try_new_buffered(file, None).expect("an Arrow file");
                reader.custom_metadata().get(LAST_LSN).cloned()
            }
        };
        assert_eq!(last.as_deref(), Some("77"));
    }
}

fn plain_row(lsn: u64) -> Vec<Cell> {
    let cell = |column: &Column| match column.kind {
        _ if column.nullable => Cell::Null,
        Type::U64 => Cell::U64(lsn),
        Type::I64 => Cell::I64(-1),
        Type::Bool => Cell::Bool(true),
        Type::Text => Cell::Text(format!("text {lsn}")),
        Type::Time => Cell::Time(1),
        Type::Decimal => Cell::Decimal(i128::from(lsn) << 60),
        Type::Bytes => Cell::Bytes(lsn.to_be_bytes().to_vec()),
    };
    EACH.columns.iter().map(cell).collect()
}

#[test]
fn what_does_not_fit_is_refused_with_its_table_column_and_record_and_nothing_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let decimal = EACH.column("decimal").expect("a column");
    let most = 10_i128.pow(38);
    let rows = [
        (Cell::Decimal(most), "records.decimal of record 5: 100000000000000000000 has 39 digits"),
        (Cell::Decimal(-most), "records.decimal of record 5: -100000000000000000000 has 39 digits"),
        (
            Cell::Decimal(i128::MAX),
            "records.decimal of record 5: 170141183460469231731.687303715884105727 has 39",
        ),
        (Cell::U64(1), "records.decimal of record 5: U64(1) is no decimal"),
        (Cell::Null, "decimal"),
    ];
    for format in [Format::Parquet, Format::Arrow] {
        for (cell, wanted) in &rows {
            let path = dir.path().join("out");
            let mut files = Files::new(&path, format, about(), false).expect("new");
            let mut row = plain_row(5);
            row[decimal] = cell.clone();
            let error = write(&mut files, &[plain_row(4), row]).expect_err("does not fit").to_string();
            assert!(error.contains(wanted), "{error}");
            drop(files);
            assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
        }
    }
}

#[test]
fn what_is_held_stays_below_its_bounds() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    let setup =
        Setup { batch_bytes: 8 << 10, collected_bytes_max: 20 << 10, encoded_bytes_max: 64 << 10, ..SETUP };
    let mut files = Files::of(&path, Format::Parquet, about(), false, setup).expect("new");
    let other = Table { name: "other", ..EACH.clone() };
    let more: Vec<&'static Table> = ["other", "third", "fourth"]
        .map(|name| &*Box::leak(Box::new(Table { name, ..other.clone() })))
        .into();
    files.begin(&[&[&*EACH], &more[..]].concat()).expect("room");
    let mut most = 0;
    for lsn in 0..40_000 {
        let row = plain_row(lsn);
        let values: Vec<Value<'_>> = row.iter().map(Cell::value).collect();
        files.row((lsn % 4) as usize, &values).expect("room");
        most = most.max(files.collected());
    }
    files.finish().expect("room");
    assert!((10 << 10..20 << 10).contains(&most), "{most} bytes of rows waited");
    for name in ["records", "other", "third", "fourth"] {
        let file = File::open(path.join(format!("{name}.parquet"))).expect("a file");
        let reader = SerializedFileReader::new(file).expect("a Parquet file");
        let groups = reader.metadata().row_groups();
        assert!(groups.len() > 3, "{name}: {} row groups", groups.len());
        assert_eq!(groups.iter().map(|g| g.num_rows()).sum::<i64>(), 10_000);
        for group in groups {
            assert!(group.compressed_size() <= 64 << 10, "{name}: {} bytes", group.compressed_size());
        }
    }
}

#[test]
fn a_full_disk_is_told_with_the_file_and_leaves_nothing_that_has_the_name() {
    let dir = tempfile::tempdir().expect("a directory");
    for format in [Format::Parquet, Format::Arrow] {
        let path = dir.path().join("out");
        let setup = Setup {
            create: |path| {
                File::create_new(path)?;
                File::options().write(true).open("/dev/full")
            },
            ..SMALL
        };
        let full = |result: Result<(), SinkError>| {
            let error = result.expect_err("no room");
            let SinkError::Io { path, cause } = error else { panic!("{format:?}: {error}") };
            assert!(path.to_string_lossy().contains("out.partial/records."), "{}", path.display());
            assert_eq!(cause.kind(), std::io::ErrorKind::StorageFull);
        };
        let rows: Vec<Vec<Cell>> = (0..5_000).map(plain_row).collect();
        let mut files = Files::of(&path, format, about(), false, setup).expect("new");
        full(write(&mut files, &rows));
        drop(files);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);
        // So few rows that all of them are still in memory when everything was given.
        let mut files = Files::of(&path, format, about(), false, setup).expect("new");
        full(write(&mut files, &rows[..2]));
    }
}

/// What the next test kills: writes rows until it is.
const VICTIM: &str = "AEGIS_COLUMNS_VICTIM";

#[test]
fn a_kill_leaves_a_partial_directory_and_the_next_export_takes_its_place() {
    if let Some(path) = std::env::var_os(VICTIM) {
        let mut files = Files::of(Path::new(&path), Format::Parquet, about(), false, SMALL).expect("new");
        files.begin(&[&*EACH]).expect("room");
        // Long past the kill, and not for ever.
        for lsn in 0..1_000_000 {
            let row = plain_row(lsn);
            let values: Vec<Value<'_>> = row.iter().map(Cell::value).collect();
            files.row(0, &values).expect("room");
            if lsn == 1_000 {
                println!("\nhalfway");
            }
        }
        panic!("nobody killed it");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("out");
    let name = "tests::a_kill_leaves_a_partial_directory_and_the_next_export_takes_its_place";
    let mut victim = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture"])
        .env(VICTIM, &path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("this program starts again");
    let lines = BufReader::new(victim.stdout.take().expect("its words")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "halfway"), "it began");
    victim.kill().expect("alive");
    victim.wait().expect("an end");
    let names = || {
        let names = std::fs::read_dir(dir.path()).expect("a directory");
        names.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["out.partial"]);
    let mut files = Files::new(&path, Format::Parquet, about(), false).expect("new");
    write(&mut files, &[plain_row(1)]).expect("room");
    assert_eq!(names(), ["out"]);
    assert_eq!(cells(&read(&path, "records", Format::Parquet).1), [plain_row(1)]);
}
