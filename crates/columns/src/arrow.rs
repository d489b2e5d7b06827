//! One table as a file of Arrow's format.

use crate::cells::Collected;
use crate::files::{LAST_LSN, TableFile};
use aegis_model::Lsn;
use aegis_tables::SinkError;
use aegis_tables::target::io_error;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Schema};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// The file, which holds each batch as it came.
pub(crate) struct ArrowFile {
    path: PathBuf,
    writer: FileWriter<BufWriter<File>>,
}

/// What the library says about a file; the disk's own errors stay what they are.
pub(crate) fn arrow_error(path: &Path) -> impl Fn(ArrowError) -> SinkError {
    let path = path.to_path_buf();
    move |error| {
        let why = error.to_string();
        if let ArrowError::IoError(_, cause) = error {
            SinkError::Io { path: path.clone(), cause }
        } else {
            SinkError::Format { path: path.clone(), why }
        }
    }
}

impl ArrowFile {
    pub(crate) fn new(file: File, path: &Path, schema: &Schema) -> Result<ArrowFile, SinkError> {
        let writer = FileWriter::try_new_buffered(file, schema).map_err(arrow_error(path))?;
        Ok(ArrowFile { path: path.to_path_buf(), writer })
    }
}

impl TableFile for ArrowFile {
    fn write(&mut self, rows: Collected) -> Result<(), SinkError> {
        rows.batch().and_then(|batch| self.writer.write(&batch)).map_err(arrow_error(&self.path))
    }

    fn held(&self) -> usize {
        0
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(mut self: Box<Self>, last: Lsn) -> Result<(), SinkError> {
        self.writer.write_metadata(LAST_LSN, last.0.to_string());
        self.writer.finish().map_err(arrow_error(&self.path))?;
        self.writer.get_ref().get_ref().sync_all().map_err(io_error(&self.path))
    }
}
