//! A directory with a file for each table. The caller's thread collects rows; full batches go through a short queue to a
//! second thread, which encodes and writes them.
//!
//! ```text
//! row -> rows of each table        32 MiB together at most; a table's rows leave when they are 1 MiB
//!     -> queue                     8 batches at most
//!     -> row groups in the making  128 MiB together at most; the largest leaves first
//!     -> file
//! ```

use crate::arrow::ArrowFile;
use crate::cells::{Collected, Rows, data_type};
use crate::parquet::ParquetFile;
use aegis_model::Lsn;
use aegis_tables::target::{Target, io_error};
use aegis_tables::{Sink, SinkError, Table, Value};
use arrow_schema::{Field, Schema, SchemaRef};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How much is held where, and how files are made.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Bytes of a table's rows that leave as one batch: large enough that what a batch costs by itself does not count,
    /// small enough for the caches.
    pub(crate) batch_bytes: usize,
    /// Rows of all tables that wait for a batch to be full. There are some seventy tables, and few of them grow fast.
    pub(crate) collected_bytes_max: usize,
    /// Batches between the two threads: what one is ahead of the other by chance.
    pub(crate) queue: usize,
    /// What the encoders keep of row groups that are not finished.
    pub(crate) encoded_bytes_max: usize,
    pub(crate) create: fn(&Path) -> std::io::Result<File>,
}

pub(crate) const SETUP: Setup = Setup {
    batch_bytes: 1 << 20,
    collected_bytes_max: 32 << 20,
    queue: 8,
    encoded_bytes_max: 128 << 20,
    create: |path| File::create_new(path),
};

/// Which journal the rows are from.
#[derive(Clone, Debug)]
pub struct About {
    /// The journal's identity, as its segments have it.
    pub journal: [u8; 16],
    /// The version of the program that writes.
    pub version: String,
}

/// What the files are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Parquet: small, compressed, read by column.
    Parquet,
    /// Arrow's file format: as in memory, so that a reader can map it.
    Arrow,
}

impl Format {
    const fn extension(self) -> &'static str {
        self.extensions()[0]
    }

    const fn extensions(self) -> &'static [&'static str] {
        match self {
            Format::Parquet => &["parquet"],
            Format::Arrow => &["arrow"],
        }
    }
}

/// A file in the making.
pub(crate) trait TableFile {
    /// Takes rows.
    fn write(&mut self, rows: Collected) -> Result<(), SinkError>;
    /// Bytes in memory that are not in the file yet.
    fn held(&self) -> usize;
    /// Puts those into the file.
    fn flush(&mut self) -> Result<(), SinkError>;
    /// Ends the file and makes it durable.
    fn finish(self: Box<Self>, last: Lsn) -> Result<(), SinkError>;
}

/// The name under which a file says what the last record was.
pub(crate) const LAST_LSN: &str = "aegis.last_lsn";

/// A table's columns in Arrow's words; each says what it means, and the whole whose it is.
fn schema(about: &About, table: &Table) -> SchemaRef {
    let fields: Vec<Field> = table
        .columns
        .iter()
        .map(|column| {
            let field = Field::new(&column.name, data_type(column.kind), column.nullable);
            field.with_metadata([("doc", &column.doc)])
        })
        .collect();
    let journal: String = about.journal.iter().map(|byte| format!("{byte:02x}")).collect();
    let said = [("aegis.journal", &journal), ("aegis.version", &about.version), ("aegis.table", &table.doc)];
    Arc::new(Schema::new_with_metadata(fields, said))
}

/// What the second thread is told.
enum Message {
    Rows(usize, Collected),
    /// The last record: everything was given.
    End(Lsn),
}

/// Writes a directory of files of one format.
pub struct Files {
    target: Target,
    setup: Setup,
    format: Format,
    about: About,
    tables: Vec<Rows>,
    paths: Vec<PathBuf>,
    /// Bytes of all rows that are waiting.
    collected: usize,
    encoder: Option<Encoder>,
    last: Lsn,
}

struct Encoder {
    sender: SyncSender<Message>,
    thread: JoinHandle<Result<(), SinkError>>,
}

impl Files {
    /// Begins a directory, which must not be there; with `force` one that an earlier export wrote is replaced at the end.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn new(dir: &Path, format: Format, about: About, force: bool) -> Result<Files, SinkError> {
        Files::of(dir, format, about, force, SETUP)
    }

    pub(crate) fn of(
        dir: &Path,
        format: Format,
        about: About,
        force: bool,
        setup: Setup,
    ) -> Result<Files, SinkError> {
        let target = Target::dir(dir, force, format.extensions())?;
        Ok(Files {
            target,
            setup,
            format,
            about,
            tables: Vec::new(),
            paths: Vec::new(),
            collected: 0,
            encoder: None,
            last: Lsn::NONE,
        })
    }

    /// Bytes of all rows that are waiting.
    #[cfg(test)]
    pub(crate) fn collected(&self) -> usize {
        self.collected
    }

    /// Sends a table's rows on.
    fn send(&mut self, table: usize) -> Result<(), SinkError> {
        let rows = &mut self.tables[table];
        self.collected -= rows.bytes();
        let collected = rows.take();
        self.tell(Message::Rows(table, collected))
    }

    fn tell(&mut self, message: Message) -> Result<(), SinkError> {
        let Some(encoder) = &self.encoder else { return Ok(()) };
        // It hangs up only with an error, which its end tells.
        if encoder.sender.send(message).is_err() { self.join() } else { Ok(()) }
    }

    /// Waits for the second thread.
    fn join(&mut self) -> Result<(), SinkError> {
        let Some(Encoder { sender, thread }) = self.encoder.take() else { return Ok(()) };
        drop(sender);
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn send_largest(&mut self) -> Result<(), SinkError> {
        let largest = (0..self.tables.len()).max_by_key(|at| self.tables[*at].bytes());
        largest.map_or(Ok(()), |at| self.send(at))
    }
}

impl Sink for Files {
    fn begin(&mut self, tables: &[&'static Table]) -> Result<(), SinkError> {
        let mut files: Vec<Box<dyn TableFile + Send>> = Vec::new();
        for table in tables {
            let schema = schema(&self.about, table);
            let path = self.target.partial().join(format!("{}.{}", table.name, self.format.extension()));
            let file = (self.setup.create)(&path).map_err(io_error(&path))?;
            files.push(match self.format {
                Format::Parquet => Box::new(ParquetFile::new(file, &path, table, schema.clone())?),
                Format::Arrow => Box::new(ArrowFile::new(file, &path, &schema)?),
            });
            self.tables.push(Rows::new(table, schema));
            self.paths.push(path);
        }
        let encoded_bytes_max = self.setup.encoded_bytes_max;
        let (sender, receiver) = sync_channel(self.setup.queue);
        let thread = std::thread::Builder::new()
            .name("encode".to_owned())
            .spawn(move || encode(files, &receiver, encoded_bytes_max))
            .map_err(io_error(self.target.partial()))?;
        self.encoder = Some(Encoder { sender, thread });
        Ok(())
    }

    fn row(&mut self, table: usize, cells: &[Value<'_>]) -> Result<(), SinkError> {
        self.collected += self.tables[table].push(cells, &self.paths[table])?;
        if self.tables[table].bytes() >= self.setup.batch_bytes {
            return self.send(table);
        }
        if self.collected >= self.setup.collected_bytes_max {
            return self.send_largest();
        }
        Ok(())
    }

    fn end(&mut self, last: Lsn) {
        self.last = last;
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        for table in 0..self.tables.len() {
            if self.tables[table].rows() > 0 {
                self.send(table)?;
            }
        }
        self.tell(Message::End(self.last))?;
        self.join()?;
        self.target.finish()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // The thread ends before its directory is removed; what it could not write, nobody wants any more.
        let _ = self.join();
    }
}

/// The second thread: without an end it leaves files that nobody can take for whole.
fn encode(
    mut files: Vec<Box<dyn TableFile + Send>>,
    receiver: &Receiver<Message>,
    held_max: usize,
) -> Result<(), SinkError> {
    let mut held = vec![0; files.len()];
    let mut all_held: usize = 0;
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Rows(table, rows) => {
                files[table].write(rows)?;
                all_held = all_held - held[table] + files[table].held();
                held[table] = files[table].held();
                while all_held > held_max {
                    let Some(largest) = (0..files.len()).max_by_key(|at| held[*at]) else { break };
                    files[largest].flush()?;
                    all_held -= held[largest];
                    held[largest] = 0;
                }
            }
            Message::End(last) => return files.into_iter().try_for_each(|file| file.finish(last)),
        }
    }
    Ok(())
}
