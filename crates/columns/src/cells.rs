//! Rows of one table being collected, a vector for each column, until they leave as one batch.

use aegis_tables::{Column, SinkError, Table, Type, Value};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef, TimeUnit};
use std::path::Path;
use std::sync::Arc;

/// Digits of a decimal, and how many of them are behind the point: the most that 128 bits always hold, and all that a
/// journal's numbers have.
pub(crate) const PRECISION: u8 = 38;
pub(crate) const SCALE: i8 = 18;
const UNITS_END: u128 = 10_u128.pow(PRECISION as u32);

pub(crate) const UTC: &str = "UTC";

/// Arrow's type of a column.
pub(crate) fn data_type(kind: Type) -> DataType {
    match kind {
        Type::U64 => DataType::UInt64,
        Type::I64 => DataType::Int64,
        Type::Bool => DataType::Boolean,
        Type::Text => DataType::Utf8,
        Type::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
        Type::Decimal => DataType::Decimal128(PRECISION, SCALE),
        Type::Bytes => DataType::Binary,
    }
}

/// The values of one column; where there is none, a zero or nothing stands in its place.
enum Values {
    U64(Vec<u64>),
    I64(Vec<i64>),
    Bool(BooleanBufferBuilder),
    Time(Vec<i64>),
    Decimal(Vec<i128>),
    Text(Long),
    Bytes(Long),
}

/// Values of any length one behind the other.
struct Long {
    bytes: Vec<u8>,
    /// Where each begins, and where the last ends. A batch is far smaller than 2 GiB.
    ends: Vec<i32>,
}

impl Long {
    fn new(rows: usize, bytes: usize) -> Long {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Long { bytes: Vec::with_capacity(bytes), ends }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as i32);
    }

    fn ended(self) -> (OffsetBuffer<i32>, Buffer) {
        (OffsetBuffer::new(self.ends.into()), self.bytes.into())
    }
}

/// One column.
struct Cells {
    values: Values,
    /// Which rows have one; not kept where all must.
    there: Option<NullBufferBuilder>,
}

impl Cells {
    /// With room for so many rows and so many bytes of long values.
    fn new(column: &Column, rows: usize, bytes: usize) -> Cells {
        let values = match column.kind {
            Type::U64 => Values::U64(Vec::with_capacity(rows)),
            Type::I64 => Values::I64(Vec::with_capacity(rows)),
            Type::Bool => Values::Bool(BooleanBufferBuilder::new(rows)),
            Type::Time => Values::Time(Vec::with_capacity(rows)),
            Type::Decimal => Values::Decimal(Vec::with_capacity(rows)),
            Type::Text => Values::Text(Long::new(rows, bytes)),
            Type::Bytes => Values::Bytes(Long::new(rows, bytes)),
        };
        Cells { values, there: column.nullable.then(|| NullBufferBuilder::new(rows)) }
    }

    /// Bytes of long values.
    fn long(&self) -> usize {
        match &self.values {
            Values::Text(all) | Values::Bytes(all) => all.bytes.len(),
            Values::U64(_) | Values::I64(_) | Values::Bool(_) | Values::Time(_) | Values::Decimal(_) => 0,
        }
    }

    /// Adds a value; how many bytes it takes beside what every row takes.
    #[inline]
    fn push(&mut self, value: &Value<'_>) -> Result<usize, Misfit> {
        let mut long = 0;
        match (&mut self.values, value) {
            (Values::U64(all), Value::U64(n)) => all.push(*n),
            (Values::Decimal(all), Value::Decimal(d)) => {
                let units = d.units();
                if units.unsigned_abs() >= UNITS_END {
                    return Err(Misfit::Large);
                }
                all.push(units);
            }
            (Values::Text(all), Value::Text(text)) => {
                all.push(text.as_bytes());
                long = text.len();
            }
            (Values::Time(all), Value::Time(at)) => all.push(at.0),
            (Values::I64(all), Value::I64(n)) => all.push(*n),
            (Values::Bool(all), Value::Bool(yes)) => all.append(*yes),
            (Values::Bytes(all), Value::Bytes(bytes)) => {
                all.push(bytes);
                long = bytes.len();
            }
            (all, Value::Null) => {
                let Some(there) = &mut self.there else { return Err(Misfit::Kind) };
                match all {
                    Values::U64(all) => all.push(0),
                    Values::I64(all) | Values::Time(all) => all.push(0),
                    Values::Bool(all) => all.append(false),
                    Values::Decimal(all) => all.push(0),
                    Values::Text(all) | Values::Bytes(all) => all.push(&[]),
                }
                there.append_null();
                return Ok(0);
            }
            _ => return Err(Misfit::Kind),
        }
        if let Some(there) = &mut self.there {
            there.append_non_null();
        }
        Ok(long)
    }

    fn array(self) -> Result<ArrayRef, ArrowError> {
        let there = self.there.and_then(NullBufferBuilder::build);
        Ok(match self.values {
            Values::U64(all) => Arc::new(UInt64Array::try_new(all.into(), there)?),
            Values::I64(all) => Arc::new(Int64Array::try_new(all.into(), there)?),
            Values::Bool(all) => Arc::new(BooleanArray::new(all.build(), there)),
            Values::Time(all) => {
                Arc::new(TimestampNanosecondArray::try_new(all.into(), there)?.with_timezone(UTC))
            }
            Values::Decimal(all) => {
                let values = Decimal128Array::try_new(all.into(), there)?;
                Arc::new(values.with_precision_and_scale(PRECISION, SCALE)?)
            }
            Values::Text(all) => {
                let (ends, bytes) = all.ended();
                Arc::new(StringArray::try_new(ends, bytes, there)?)
            }
            Values::Bytes(all) => {
                let (ends, bytes) = all.ended();
                Arc::new(BinaryArray::try_new(ends, bytes, there)?)
            }
        })
    }
}

/// Why a value cannot stand in its column.
enum Misfit {
    /// It has 39 digits.
    Large,
    /// It is of another type than the column.
    Kind,
}

/// Rows of one table.
pub(crate) struct Rows {
    table: &'static Table,
    schema: SchemaRef,
    cells: Vec<Cells>,
    /// What every row takes at least.
    row_bytes: usize,
    rows: usize,
    bytes: usize,
}

impl Rows {
    pub(crate) fn new(table: &'static Table, schema: SchemaRef) -> Rows {
        let width = |kind: Type| match kind {
            Type::U64 | Type::I64 | Type::Time => 8,
            Type::Decimal => 16,
            Type::Text | Type::Bytes => 4,
            Type::Bool => 1,
        };
        let cells = table.columns.iter().map(|c| Cells::new(c, 0, 0)).collect();
        let row_bytes = table.columns.iter().map(|c| width(c.kind)).sum();
        Rows { table, schema, cells, row_bytes, rows: 0, bytes: 0 }
    }

    /// Adds a row; how many bytes it takes. After an error the row is there in part, and no batch can be taken.
    ///
    /// # Errors
    /// [`SinkError::Format`] that names the column and the record.
    pub(crate) fn push(&mut self, row: &[Value<'_>], path: &Path) -> Result<usize, SinkError> {
        let mut bytes = self.row_bytes;
        for (at, (cells, value)) in self.cells.iter_mut().zip(row).enumerate() {
            match cells.push(value) {
                Ok(more) => bytes += more,
                Err(misfit) => return Err(self.refused(at, row, &misfit, path)),
            }
        }
        self.rows += 1;
        self.bytes += bytes;
        Ok(bytes)
    }

    #[cold]
    fn refused(&self, at: usize, row: &[Value<'_>], misfit: &Misfit, path: &Path) -> SinkError {
        let column = &self.table.columns[at];
        let lsn = match self.table.column("lsn").and_then(|lsn| row.get(lsn)) {
            Some(Value::U64(lsn)) => format!(" of record {lsn}"),
            Some(_) | None => String::new(),
        };
        let why = match (misfit, row[at]) {
            (Misfit::Large, Value::Decimal(d)) => {
                format!("{d} has {} digits and a decimal of this format {PRECISION}", PRECISION + 1)
            }
            (Misfit::Large | Misfit::Kind, value) => format!("{value:?} is no {}", column.kind.name()),
        };
        let why = format!("{}.{}{lsn}: {why}", self.table.name, column.name);
        SinkError::Format { path: path.to_path_buf(), why }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the rows that are waiting.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Everything that is waiting. The next rows get as much room.
    pub(crate) fn take(&mut self) -> Collected {
        let next = |(column, cells): (&Column, &Cells)| Cells::new(column, self.rows, cells.long());
        let next = self.table.columns.iter().zip(&self.cells).map(next).collect();
        (self.rows, self.bytes) = (0, 0);
        Collected { schema: self.schema.clone(), cells: std::mem::replace(&mut self.cells, next) }
    }
}

/// Rows that left.
pub(crate) struct Collected {
    schema: SchemaRef,
    cells: Vec<Cells>,
}

impl Collected {
    /// As Arrow has them.
    ///
    /// # Errors
    /// None that rows allow; Arrow checks lengths, and that texts are UTF-8, again.
    pub(crate) fn batch(self) -> Result<RecordBatch, ArrowError> {
        let columns: Result<Vec<ArrayRef>, ArrowError> = self.cells.into_iter().map(Cells::array).collect();
        RecordBatch::try_new(self.schema, columns?)
    }
}
