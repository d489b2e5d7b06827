//! What the journal asks of a directory on a disk, in steps small enough that a test can stop between any two.
//!
//! Two implementers: [`DirStorage`] (real files) and [`MemStorage`] (a simulated disk that lies, tears and
//! fails on demand). The order of steps, which is what makes a crash harmless, lives in the journal's own
//! code and is therefore the same on both. Nothing here knows what a record is.

mod dir;
mod mem;
mod mmap;

use std::io;

pub use dir::{DirFile, DirNames, DirReader, DirStorage};
pub use mem::{MemFile, MemNames, MemPlatter, MemPlatterSource, MemReader, MemSource, MemStorage, PowerCut};

/// Name of the file the next segment is made ready under.
pub(crate) const SPARE: &str = "spare.tmp";
/// Name of the file the first segment of an opening is made under; not the spare's, whose leftover may be large
/// and is removed in the background.
pub(crate) const FIRST: &str = "first.tmp";
/// Name of the file a checkpoint or a copy is written under before it is renamed.
pub(crate) const TEMP: &str = "write.tmp";
/// Name of the file a compressed segment is written under before it is renamed.
pub(crate) const PACK: &str = "pack.tmp";
/// Name of the lock file.
pub(crate) const LOCK: &str = "lock";
/// Name of the file the writer publishes its durable end in.
pub(crate) const LIVE: &str = "live";

/// Whether a failure is of the process or the system and says nothing of the file: too many open files, or no memory.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOMEM];
    rustix::io::Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

/// One file of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// File name without directory.
    pub name: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// Where the durable end of the journal is, published by a live writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Number of the segment the writer appends to.
    pub segment: u64,
    /// Offset in that segment behind the last durable byte.
    pub offset: u64,
    /// Highest durable LSN.
    pub durable_lsn: u64,
}

/// Why the writer's lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process holds it; its process id when the lock file names one.
    Held {
        /// Process id of the holder.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or locked.
    Io(io::Error),
}

/// Faults in pages of a map, from an offset on for so many bytes, on whatever thread calls it.
pub type TouchAhead = Box<dyn Fn(u64, u64) + Send>;

/// How far the next segment is.
pub enum Spare<F> {
    /// Nobody asked for one.
    None,
    /// Still being made.
    Making,
    /// Ready under its temporary name: allocated in full, synced and mapped. Zeros may still be written to it, where
    /// nothing is stored. With a second handle, for whoever changes the segment: by then none might be had any more.
    Ready(F, F),
    /// It could not be made.
    Failed(io::Error),
}

/// The reading side of a directory; any number may exist beside one writer.
pub trait StorageRead: Send + 'static {
    /// An open file.
    type Source: Source;
    /// All regular files.
    fn list(&self) -> io::Result<Vec<Entry>>;
    /// Opens a file for reading.
    fn open(&self, name: &str) -> io::Result<Self::Source>;
    /// Opens a file for reading past the cache, where that can be done: whole pages of the file into memory at a page
    /// boundary. Elsewhere as `open`.
    fn open_past_cache(&self, name: &str) -> io::Result<Self::Source> {
        self.open(name)
    }
    /// The writer's published durable end; `None` unless a writer holds the lock right now.
    fn live(&self) -> io::Result<Option<Live>>;
    /// Whether a writer holds the lock right now.
    fn writer_is_alive(&self) -> io::Result<bool>;
}

/// A file open for positioned reads.
pub trait Source: Send + 'static {
    /// Reads at `offset`; fewer bytes than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Length in bytes.
    fn bytes(&self) -> io::Result<u64>;
    /// Makes what the cache holds durable and then drops the cache, so that the next read is what the
    /// device really has. Without this, a page whose write once failed would still be read as if it had
    /// landed.
    fn settle(&self) -> io::Result<()>;
}

/// The writing side of a directory.
pub trait Storage: Send + 'static {
    /// Whether chores that nobody waits for may run on threads. A simulated disk does everything in order.
    const THREADS: bool;
    /// The reading side of the same directory.
    type Read: StorageRead;
    /// A file open for writing.
    type File: StorageFile;
    /// A handle for changing names.
    type Names: StorageNames<File = Self::File>;
    /// A reading handle on the same directory.
    fn reader(&self) -> Self::Read;
    /// A handle that changes names in the same directory, on whatever thread.
    fn names(&self) -> io::Result<Self::Names>;
    /// Takes the writer's lock; it is held until this value is dropped.
    fn lock(&mut self) -> Result<(), LockError>;
    /// Creates an empty file, replacing one of the same name.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// Opens an existing file for writing.
    fn open_file(&mut self, name: &str) -> io::Result<Self::File>;
    /// Renames a file, replacing the target.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&mut self) -> io::Result<()>;
    /// What has become of an open file's place: none while its name still leads to it, in a directory that still lies
    /// where it was opened, and it has at least so many bytes. A simulated disk has nobody who could change that.
    fn displaced(&self, _name: &str, _file: &Self::File, _bytes: u64) -> io::Result<Option<&'static str>> {
        Ok(None)
    }
    /// Bytes that could still be written; `None` where nobody can tell.
    fn free_bytes(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }
    /// Begins to make a file of `bytes` ready and mapped as the next segment, on a thread where there are any. One
    /// that is still being made when this value is dropped is given up and removed.
    fn spare_begin(&mut self, bytes: u64);
    /// Takes the result of `spare_begin`; waits for it if asked to.
    fn spare_take(&mut self, wait: bool) -> Spare<Self::File>;
    /// Publishes the durable end for readers. Never synced, and never an error: readers who cannot see it
    /// see less, not something wrong.
    fn publish(&mut self, live: Live);
}

/// Changes of names in a directory.
pub trait StorageNames: Send + 'static {
    /// A file open for writing.
    type File: StorageFile;
    /// Creates an empty file, replacing one of the same name.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// From here on the calling thread does what nobody waits for: others go first.
    fn step_back(&self);
    /// To be called between two portions of such work that keep the device busy: waits a little while the journal
    /// syncs, so that few of its syncs have to wait for a portion.
    fn give_way(&mut self);
    /// Renames a file, replacing the target.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&mut self) -> io::Result<()>;
}

/// A file open for writing. `store` works between `map` and `unmap`, within the mapped length.
pub trait StorageFile: Send + Sized + 'static {
    /// Another handle on the same open file, without the map.
    fn second(&self) -> io::Result<Self>;
    /// Gives the file `bytes` of real disk space, all zero.
    fn allocate(&mut self, bytes: u64) -> io::Result<()>;
    /// Writes through the file descriptor.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file; never while it is mapped.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
    /// Maps the first `bytes` of the file.
    fn map(&mut self, bytes: u64) -> io::Result<()>;
    /// Copies `bytes` into the map.
    fn store(&mut self, offset: u64, bytes: &[u8]);
    /// What makes pages of the map ready before they are stored into; `None` where that is no work.
    fn ahead(&self) -> Option<TouchAhead>;
    /// Whether every page of the map is as ready for stores as it will be; asking hurries what is not.
    fn is_ready(&self) -> bool;
    /// Removes the map; what was stored stays in the file.
    fn unmap(&mut self);
    /// Makes all of the file's content durable. A failure must never be followed by another attempt.
    fn sync(&mut self) -> io::Result<()>;
}
