//! One table as a Parquet file: how each column is spelled.

use crate::arrow::arrow_error;
use crate::cells::Collected;
use crate::files::{LAST_LSN, TableFile};
use aegis_model::Lsn;
use aegis_tables::target::io_error;
use aegis_tables::{SinkError, Table, Type};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Rows of a row group at most. Readers work on row groups side by side; fewer rows would say more often what each
/// column is.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Different values of a column are named once up to so many bytes; a column that has more of them is written plainly.
const DICTIONARY_BYTES: usize = 64 << 10;

/// The file with its row group in the making.
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

fn properties(table: &Table, schema: &SchemaRef) -> WriterProperties {
    // In an order of their own, so that two exports are the same byte for byte.
    let said: BTreeMap<&String, &String> = schema.metadata().iter().collect();
    let said = said.into_iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())).collect();
    let mut properties = WriterProperties::builder()
        .set_created_by("aegis".to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(said))
        .set_dictionary_enabled(false)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS));
    for column in &table.columns {
        let path = ColumnPath::from(column.name.as_str());
        properties = match column.kind {
            // Numbers of records and times rise by little.
            Type::U64 | Type::Time | Type::I64 => {
                properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED)
            }
            // Few different words and names, most of them; ids soon turn out to be too many.
            Type::Text => properties.set_column_dictionary_enabled(path, true),
            Type::Bool | Type::Decimal | Type::Bytes => properties,
        };
    }
    properties.build()
}

/// What the library says about a file; the disk's own errors stay what they are.
fn parquet_error(path: &Path) -> impl Fn(ParquetError) -> SinkError {
    let path = path.to_path_buf();
    move |error| {
        let why = error.to_string();
        let ParquetError::External(cause) = error else {
            return SinkError::Format { path: path.clone(), why };
        };
        match cause.downcast::<std::io::Error>() {
            Ok(cause) => SinkError::Io { path: path.clone(), cause: *cause },
            Err(_) => SinkError::Format { path: path.clone(), why },
        }
    }
}

impl ParquetFile {
    pub(crate) fn new(
        file: File,
        path: &Path,
        table: &Table,
        schema: SchemaRef,
    ) -> Result<ParquetFile, SinkError> {
        let properties = properties(table, &schema);
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(parquet_error(path))?;
        Ok(ParquetFile { path: path.to_path_buf(), writer })
    }
}

impl TableFile for ParquetFile {
    fn write(&mut self, rows: Collected) -> Result<(), SinkError> {
        let batch = rows.batch().map_err(arrow_error(&self.path))?;
        self.writer.write(&batch).map_err(parquet_error(&self.path))
    }

    fn held(&self) -> usize {
        self.writer.memory_size()
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.writer.flush().map_err(parquet_error(&self.path))
    }

    fn finish(mut self: Box<Self>, last: Lsn) -> Result<(), SinkError> {
        self.writer.append_key_value_metadata(KeyValue::new(LAST_LSN.to_owned(), last.0.to_string()));
        self.writer.finish().map_err(parquet_error(&self.path))?;
        self.writer.inner().sync_all().map_err(io_error(&self.path))
    }
}
