//! Compressing sealed segments behind the writer's back, at the user's wish.
//!
//! ```text
//! read, verify │ pack.tmp: write, settle, read back, compare │ rename to .segz, sync directory │ remove .seg, sync
//! ```
//!
//! Only a finished segment is touched that verifies from its header to its seal, agrees with its successor and with
//! every root that is told of it, and has nothing but zeros behind it; never one of the newest two. At every moment the
//! directory holds the segment whole under one of its names, so a crash at any step only means that it is done again.
//! Where both names are found, the file as it was written is the one that is read.
//!
//! Where the storage has threads this runs on one of its own, behind everybody else; on a simulated disk the same steps
//! run in the caller. Nothing of it ever stops the writer: what fails is told by [`Compression`] and tried again
//! at the next change of segment.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::error::IoFacts;
use crate::layout::{Header, NO_ROOT, PAGE_BYTES, Root, SEAL_BYTES, Seal, roots_agree};
use crate::packed::{Packed, Packer, division};
use crate::scan::{SegmentScan, Step};
use crate::segment::{SegmentFile, open_plain, open_segment, packed_name, segment_file, segment_name};
use crate::storage::{PACK, Source, Storage, StorageFile, StorageNames, StorageRead};
use crate::survey::content_end;
use crate::{Config, Identity};

/// Segments at the end of the journal that stay as they are: the one being written, and the one before it.
const LEFT_ALONE: u64 = 2;
/// Largest block: what one read of a long scan takes, and little to lose at once.
const BLOCK_BYTES_MAX: u64 = 256 << 10;
/// Compressed bytes written at a time, each time with a sync, so that nothing gathers that a sync of the writer would
/// have to wait for: that of a mebibyte waits for two milliseconds, of this a quarter of one.
const PORTION_BYTES: usize = 64 << 10;

/// Bytes of a block: small segments have smaller ones, so that none is lost whole with one of them.
fn block_bytes(segment_bytes: u64) -> u64 {
    (segment_bytes / 16).next_multiple_of(PAGE_BYTES).min(BLOCK_BYTES_MAX)
}

/// What has been compressed since a writer began.
#[derive(Clone, Debug, Default)]
pub struct Compression {
    /// Segments.
    pub segments: u64,
    /// Their bytes as they were.
    pub bytes_before: u64,
    /// Bytes of the files that took their place.
    pub bytes_after: u64,
    /// Why the last attempt failed, if it did; the segment stays as it is and is tried again.
    pub trouble: Option<IoFacts>,
}

struct Shared {
    /// Number of the newest segment.
    newest: AtomicU64,
    stop: AtomicBool,
    told: Mutex<Compression>,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Compression> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum How<S: Storage> {
    Off,
    Here(Box<Work<S>>),
    Thread { wake: Option<SyncSender<()>>, thread: Option<JoinHandle<()>> },
}

/// What compresses behind one writer.
pub(crate) struct Packing<S: Storage> {
    how: How<S>,
    shared: Arc<Shared>,
}

impl<S: Storage> Packing<S> {
    pub(crate) fn new(storage: &S, identity: Identity, config: Config) -> io::Result<Packing<S>> {
        let shared = Arc::new(Shared {
            newest: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            told: Mutex::default(),
        });
        if !config.compress {
            return Ok(Packing { how: How::Off, shared });
        }
        let work = Work {
            read: storage.reader(),
            names: storage.names()?,
            shared: shared.clone(),
            identity,
            block_bytes: block_bytes(config.segment_bytes),
            left: BTreeSet::new(),
        };
        if !S::THREADS {
            return Ok(Packing { how: How::Here(Box::new(work)), shared });
        }
        let (wake, woken) = sync_channel(1);
        let thread =
            std::thread::Builder::new().name("journal-packing".into()).spawn(move || work.follow(&woken))?;
        Ok(Packing { how: How::Thread { wake: Some(wake), thread: Some(thread) }, shared })
    }

    /// Segment `number` is the newest one, and durable under its name.
    pub(crate) fn newest(&mut self, number: u64) {
        self.shared.newest.store(number, Ordering::Relaxed);
        match &mut self.how {
            How::Off => {}
            How::Here(work) => work.round(),
            // One that is waiting to be taken note of is enough.
            How::Thread { wake, .. } => drop(wake.as_ref().map(|wake| wake.try_send(()))),
        }
    }

    /// What was done so far.
    pub(crate) fn told(&self) -> Compression {
        self.shared.told().clone()
    }
}

impl<S: Storage> Drop for Packing<S> {
    fn drop(&mut self) {
        if let How::Thread { wake, thread } = &mut self.how {
            // What is under way is given up within a block or a portion; nothing here may outlive the lock.
            self.shared.stop.store(true, Ordering::Relaxed);
            *wake = None;
            if let Some(thread) = thread.take() {
                // Its panic, if it had one, was its own; nothing durable depends on it.
                let _ = thread.join();
            }
        }
    }
}

/// Why a segment was not compressed.
enum Left {
    /// It is not what may be compressed, and never will be: what is wrong with it others tell.
    AsItIs,
    /// The writer is going away.
    Stopped,
    Failed(IoFacts),
}

fn failed<'a>(operation: &'static str, file: &'a str) -> impl Fn(io::Error) -> Left + 'a {
    move |e| Left::Failed(IoFacts::new(operation, file, &e))
}

/// A segment that may be compressed.
struct Whole<F> {
    file: SegmentFile<F>,
    /// What has taken in its header and its frames.
    hash: blake3::Hash,
    header: Header,
    /// Where its records end.
    end: u64,
}

type WholeOf<S> = Whole<<<S as Storage>::Read as StorageRead>::Source>;

/// The steps themselves.
struct Work<S: Storage> {
    read: S::Read,
    names: S::Names,
    shared: Arc<Shared>,
    identity: Identity,
    block_bytes: u64,
    /// Segments that were found not to be for compressing.
    left: BTreeSet<u64>,
}

impl<S: Storage> Work<S> {
    fn follow(mut self, woken: &Receiver<()>) {
        self.names.step_back();
        while woken.recv().is_ok() {
            self.round();
        }
    }

    fn stopped(&self) -> Result<(), Left> {
        if self.shared.stop.load(Ordering::Relaxed) { Err(Left::Stopped) } else { Ok(()) }
    }

    /// Compresses what may be, oldest first, until one fails.
    fn round(&mut self) {
        let newest = self.shared.newest.load(Ordering::Relaxed);
        let entries = match self.read.list() {
            Ok(entries) => entries,
            Err(e) => {
                self.shared.told().trouble = Some(IoFacts::new("list", ".", &e));
                return;
            }
        };
        let plain = entries.iter().filter_map(|entry| segment_file(&entry.name));
        let mut numbers: Vec<u64> = plain.filter(|(_, packed)| !packed).map(|(number, _)| number).collect();
        numbers.retain(|number| number + LEFT_ALONE <= newest && !self.left.contains(number));
        numbers.sort_unstable();
        for number in numbers {
            match self.pack(number) {
                Ok((before, after)) => {
                    let mut told = self.shared.told();
                    told.segments += 1;
                    told.bytes_before += before;
                    told.bytes_after += after;
                    told.trouble = None;
                }
                Err(Left::AsItIs) => drop(self.left.insert(number)),
                Err(Left::Stopped) => return,
                Err(Left::Failed(facts)) => {
                    self.shared.told().trouble = Some(facts);
                    return;
                }
            }
        }
    }

    /// Puts a compressed file in the place of segment `number`; answers its bytes before and after.
    fn pack(&mut self, number: u64) -> Result<(u64, u64), Left> {
        let whole = self.whole(number)?;
        let written = self.write(&whole).and_then(|bytes| self.compare(&whole).map(|()| bytes));
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(left) => {
                // The space of a half-written file is given back; the first failure is the one to report.
                let _ = self.names.remove(PACK);
                return Err(left);
            }
        };
        let (plain, packed) = (segment_name(number), packed_name(number));
        self.names.rename(PACK, &packed).map_err(failed("rename", &packed))?;
        self.names.sync_dir().map_err(failed("sync the directory of", &packed))?;
        self.names.remove(&plain).map_err(failed("remove", &plain))?;
        self.names.sync_dir().map_err(failed("sync the directory of", &plain))?;
        Ok((whole.end + SEAL_BYTES, bytes))
    }

    fn header(&self, file: &SegmentFile<<S::Read as StorageRead>::Source>, number: u64) -> Option<Header> {
        let mut page = [0; PAGE_BYTES as usize];
        let n = file.read_at(0, &mut page).ok()?;
        let header = Header::decode(&page[..n]).ok()?;
        (header.number == number && header.identity == self.identity).then_some(header)
    }

    /// Reads all of the segment and verifies it, from its header to its seal and what its successor says of it.
    fn whole(&self, number: u64) -> Result<WholeOf<S>, Left> {
        let name = segment_name(number);
        let open = || open_plain(&self.read, number).map_err(failed("open", &name));
        let file = open()?;
        let header = self.header(&file, number).ok_or(Left::AsItIs)?;
        let file_bytes = file.bytes().map_err(failed("read", &name))?;
        let mut scan = SegmentScan::new(open()?, &header, file_bytes).with_root(header.root_hasher());
        let seal = loop {
            match scan.next_batch() {
                Step::Batch(_) => self.stopped()?,
                Step::Sealed(seal) => break seal,
                Step::Stop(_) => return Err(Left::AsItIs),
            }
        };
        let hasher = scan.hasher().ok_or(Left::AsItIs)?;
        let next = open_segment(&self.read, number + 1).ok().and_then(|file| self.header(&file, number + 1));
        let next = next.ok_or(Left::AsItIs)?;
        let end = scan.offset;
        let fits = next.first_lsn == seal.last_lsn + 1
            && next.chain == seal.chain
            && roots_agree(&next.root_before, &seal.root)
            && agrees(&header, &hasher, &seal, &next)
            && content_end(&file, file_bytes).is_some_and(|content| content <= end + SEAL_BYTES);
        if !fits {
            return Err(Left::AsItIs);
        }
        Ok(Whole { file, hash: hasher.finalize(), header, end })
    }

    /// Writes the compressed file under its temporary name; answers its bytes.
    fn write(&mut self, whole: &WholeOf<S>) -> Result<u64, Left> {
        let mut temp = self.names.create(PACK).map_err(failed("create", PACK))?;
        let lengths = division(whole.end, self.block_bytes);
        let mut packer = Packer::new(lengths.len()).map_err(failed("compress", PACK))?;
        let mut out = Vec::with_capacity(PORTION_BYTES + self.block_bytes as usize);
        // Room for the first block list, which is known last.
        let (mut at, mut written) = (0, packer.list_bytes() as u64);
        let mut raw = Vec::new();
        for length in lengths {
            self.stopped()?;
            take(&whole.file, at, length, &mut raw)?;
            packer.block(&raw, &mut out).map_err(failed("compress", PACK))?;
            at += length;
            if out.len() >= PORTION_BYTES {
                temp.write_at(written, &out).map_err(failed("write", PACK))?;
                temp.sync().map_err(failed("sync", PACK))?;
                written += out.len() as u64;
                out.clear();
                self.names.give_way();
            }
        }
        let (first, last) = packer.lists();
        out.extend_from_slice(&last);
        temp.write_at(written, &out).map_err(failed("write", PACK))?;
        temp.write_at(0, &first).map_err(failed("write", PACK))?;
        temp.sync().map_err(failed("sync", PACK))?;
        Ok(written + out.len() as u64)
    }

    /// Reads back what the device has of the temporary file and compares it with the segment, byte for byte.
    fn compare(&self, whole: &WholeOf<S>) -> Result<(), Left> {
        let packed = Packed::open(self.read.open(PACK).map_err(failed("open", PACK))?);
        packed.settle().map_err(failed("sync", PACK))?;
        let differs = || Left::Failed(IoFacts::new("compress", PACK, &io::ErrorKind::InvalidData.into()));
        let mut hasher = whole.header.root_hasher();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut at = 0;
        for length in division(whole.end, self.block_bytes) {
            self.stopped()?;
            take(&whole.file, at, length, &mut ours)?;
            theirs.resize(length as usize, 0);
            let n = packed.read_at(at, &mut theirs).map_err(failed("read back", PACK))?;
            if n < theirs.len() || ours != theirs {
                return Err(differs());
            }
            if (PAGE_BYTES..whole.end).contains(&at) {
                hasher.update(&theirs);
            }
            at += length;
        }
        let bytes = packed.bytes().map_err(failed("read back", PACK))?;
        if bytes == at && hasher.finalize() == whole.hash && packed.lists_agree() {
            Ok(())
        } else {
            Err(differs())
        }
    }
}

/// Reads `length` bytes of a segment.
fn take<F: Source>(file: &SegmentFile<F>, at: u64, length: u64, bytes: &mut Vec<u8>) -> Result<(), Left> {
    let name = file.name();
    bytes.resize(length as usize, 0);
    let n = file.read_at(at, bytes).map_err(failed("read", &name))?;
    if n < bytes.len() { Err(Left::AsItIs) } else { Ok(()) }
}

/// Whether the root that was computed is the one that is told, as far as one is.
fn agrees(header: &Header, hasher: &blake3::Hasher, seal: &Seal, next: &Header) -> bool {
    let told = if seal.root == NO_ROOT { next.root_before } else { seal.root };
    let known: Option<Root> = match header.root_before {
        NO_ROOT if header.number == 1 || header.version == 1 => Some(NO_ROOT),
        // It was not known when this segment was begun, and is in the root of it all the same.
        NO_ROOT => None,
        root => Some(root),
    };
    known.is_none_or(|before| roots_agree(&header.root(hasher.clone(), &before), &told))
}

#[cfg(test)]
mod tests;
