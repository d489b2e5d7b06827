//! Copying one file so that it has its name only once it was read back and found right: the steps that backup and
//! restore share. What may be copied, and when, is decided by their callers.

use std::io;

use super::BackupError;
use super::manifest::{Held, Kept, replace};
use crate::begin::Begin;
use crate::checkpoint;
use crate::error::{Damage, OpenError};
use crate::frame::Flaw;
use crate::layout::{Header, Mark, NO_ROOT, PAGE_BYTES, Root, SEAL_BYTES, Seal, roots_agree};
use crate::scan::{SegmentScan, Step};
use crate::segment::{SegmentFile, as_segment, open_segment, packed_name, segment_name};
use crate::storage::{Source, Storage, StorageFile, StorageRead, TEMP};
use crate::{Identity, Lsn};

/// Bytes read and written at a time.
const PORTION_BYTES: u64 = 1 << 20;

/// How far a copy is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copying {
    /// Segment that is being copied or read.
    pub segment: u64,
    /// The last segment's number.
    pub segments: u64,
    /// Records looked at before anything is copied.
    pub records: u64,
    /// Bytes copied so far.
    pub bytes: u64,
    /// Bytes to be copied in all; 0 while that is not known.
    pub bytes_all: u64,
}

/// What is known of the segment before.
#[derive(Clone, Copy)]
pub(super) struct Before {
    /// Its root; none behind a hole.
    pub(super) root: Option<Root>,
    /// Whether a seal ended it.
    pub(super) sealed: bool,
}

impl Before {
    /// Behind a hole.
    pub(super) const HOLE: Before = Before { root: None, sealed: false };

    /// Before the first segment that is left.
    pub(super) fn beginning(begin: &Begin) -> Before {
        Before { root: begin.known_root(), sealed: begin.known_root().is_some() }
    }

    /// Behind what a backup holds.
    pub(super) fn behind(held: &Held) -> Before {
        match held.kept {
            Kept::Sealed => Before { root: Some(held.digest), sealed: true },
            Kept::Open => Before { root: Some(held.digest), sealed: false },
            Kept::AsItIs => Before::HOLE,
        }
    }
}

/// A segment that was read and verified as far as it was looked at.
pub(super) struct Examined {
    /// Offset behind the last record.
    pub(super) end: u64,
    pub(super) last_lsn: Lsn,
    pub(super) root: Root,
    pub(super) seal: Option<Seal>,
    /// The head at the LSN that was asked for, if a batch ends there.
    pub(super) asked: Option<Root>,
}

/// The header of an open segment, when it is whole and of this journal.
pub(super) fn header_in<F: Source>(
    file: &SegmentFile<F>,
    number: u64,
    identity: &Identity,
) -> Option<Header> {
    let mut page = [0; PAGE_BYTES as usize];
    let n = file.read_at(0, &mut page).ok()?;
    let header = Header::decode(&page[..n]).ok()?;
    (header.number == number && header.identity == *identity).then_some(header)
}

/// The seal at an offset of a segment.
pub(super) fn seal_in<F: Source>(file: &SegmentFile<F>, end: u64) -> Option<Seal> {
    let mut bytes = [0; SEAL_BYTES as usize];
    let n = file.read_at(end, &mut bytes).ok()?;
    Seal::decode(&bytes[..n])
}

/// Reads a segment up to `limit`, verifies every record, and computes its root.
///
/// # Errors
/// The damage, when what was computed contradicts what header or seal tell of a root. Where the records end is for the
/// caller to compare.
pub(super) fn examine<F: Source>(
    file: SegmentFile<F>,
    header: &Header,
    limit: u64,
    before: Before,
    asked: Option<Lsn>,
) -> Result<Examined, Damage> {
    let name = file.name();
    let mut scan = SegmentScan::new(file, header, limit).with_root(header.root_hasher());
    let named = header.root_before;
    let on = match before.root {
        Some(root) if named == NO_ROOT || header.version == 1 => root,
        Some(_) | None => named,
    };
    let edited = || Damage {
        file: name.clone(),
        segment: header.number,
        offset: PAGE_BYTES,
        lsn: header.first_lsn,
        flaw: Flaw::Seal,
    };
    if before.root.is_some_and(|root| !roots_agree(&root, &named)) {
        return Err(edited());
    }
    let mut at_asked = None;
    let seal = loop {
        match scan.next_batch() {
            Step::Batch(batch) if Some(batch.last_lsn) == asked => {
                at_asked = scan.hasher().map(|hasher| header.root(hasher, &on));
            }
            Step::Batch(_) => {}
            Step::Sealed(seal) => break Some(seal),
            Step::Stop(_) => break None,
        }
    };
    let Some(hasher) = scan.hasher() else { return Err(edited()) };
    let mut root = header.root(hasher.clone(), &on);
    if let Some(seal) = &seal
        && !roots_agree(&seal.root, &root)
    {
        let loose = before.root.is_none() || !before.sealed;
        if !loose || (before.root.is_some() && header.root(hasher, &NO_ROOT) != seal.root) {
            return Err(edited());
        }
        root = seal.root;
    }
    Ok(Examined { end: scan.offset, last_lsn: scan.link.lsn - 1, root, seal, asked: at_asked })
}

/// Copies from one journal directory to another.
pub(super) struct Copier<'a, R: StorageRead, T: Storage> {
    pub(super) source: &'a R,
    pub(super) target: &'a mut T,
    pub(super) progress: &'a mut dyn FnMut(Copying),
    pub(super) done: Copying,
}

impl<R: StorageRead, T: Storage> Copier<'_, R, T> {
    /// Tells which segment is next.
    pub(super) fn at(&mut self, segment: u64) {
        self.done.segment = segment;
        (self.progress)(self.done);
    }

    /// Puts a sealed segment, which ends at `end`, into the target, as it lies in the source: compressed or not.
    ///
    /// # Errors
    /// [`BackupError::Journal`] with the damage, when it is the source's; [`BackupError::Unsound`] when what was written
    /// is not read back.
    pub(super) fn sealed(
        &mut self,
        header: &Header,
        end: u64,
        before: Before,
    ) -> Result<Examined, BackupError> {
        let number = header.number;
        let file = self.segment(number)?;
        let packed = file.is_packed();
        let name = file.name();
        if packed {
            let raw = self.source.open(&name).map_err(|e| BackupError::source("open", &name, &e))?;
            let bytes = raw.bytes().map_err(|e| BackupError::source("read", &name, &e))?;
            self.write(&name, &raw, None, bytes)?;
        } else {
            self.write(&name, &file, None, end + SEAL_BYTES)?;
        }
        let right = |seen: &Examined| seen.end == end && seen.seal.is_some();
        let seen = self.read_back(header, packed, u64::MAX, before, right)?;
        self.give_name(number, packed)?;
        Ok(seen)
    }

    /// Puts the beginning of a segment into the target: the records up to offset `end`, of which `last_lsn` is the last.
    /// A mark in it says that they were durable, so that a copy which lost its end is not taken for a shorter one.
    ///
    /// # Errors
    /// As [`Copier::sealed`].
    pub(super) fn open(
        &mut self,
        header: &Header,
        end: u64,
        last_lsn: Lsn,
        before: Before,
    ) -> Result<Examined, BackupError> {
        let file = self.segment(header.number)?;
        let mut page = header.encode();
        if last_lsn > 0 {
            let mark = Mark { durable_lsn: last_lsn, sequence: 1 };
            let at = mark.offset() as usize;
            let mark = mark.encode(header.salt());
            page[at..at + mark.len()].copy_from_slice(&mark);
        }
        let name = segment_name(header.number);
        self.write(&name, &file, Some(&page), end)?;
        let right = |seen: &Examined| seen.end == end && seen.last_lsn == last_lsn;
        let seen = self.read_back(header, false, end, before, right)?;
        self.give_name(header.number, false)?;
        Ok(seen)
    }

    /// Puts the first `bytes` of a segment's file into the target as they are. Answers BLAKE3 of them.
    ///
    /// # Errors
    /// As [`Copier::sealed`]; a place that cannot be read is an error of the source.
    pub(super) fn as_it_is(&mut self, number: u64, limit: u64) -> Result<([u8; 32], u64), BackupError> {
        let file = self.segment(number)?;
        let (packed, name) = (file.is_packed(), file.name());
        let raw = self.source.open(&name).map_err(|e| BackupError::source("open", &name, &e))?;
        let length = raw.bytes().map_err(|e| BackupError::source("read", &name, &e))?;
        let bytes = if packed { length } else { length.min(limit) };
        let digest = self.write(&name, &raw, None, bytes)?;
        let back = self.target.reader().open(TEMP).map_err(|e| BackupError::target("open", TEMP, &e))?;
        back.settle().map_err(|e| BackupError::target("sync", TEMP, &e))?;
        if digest_of(&back, bytes).map_err(|e| BackupError::target("read back", TEMP, &e))? != digest {
            return Err(self.unsound(number, packed));
        }
        self.give_name(number, packed)?;
        Ok((digest, bytes))
    }

    /// Whether a file of the source is what the backup holds of it as it was.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(super) fn is_as_it_was(&self, number: u64, limit: u64, held: &Held) -> Result<bool, BackupError> {
        let file = self.segment(number)?;
        let name = file.name();
        let facts = |e: io::Error| BackupError::source("read", &name, &e);
        let raw = self.source.open(&name).map_err(facts)?;
        let length = raw.bytes().map_err(facts)?;
        let bytes = if file.is_packed() { length } else { length.min(limit) };
        Ok(bytes == held.end && digest_of(&raw, bytes).map_err(facts)? == held.digest)
    }

    /// Copies a checkpoint; `None` when it is not there any more, or not whole. Answers BLAKE3 of its file.
    ///
    /// # Errors
    /// When the target cannot be written.
    pub(super) fn checkpoint(&mut self, lsn: Lsn) -> Result<Option<[u8; 32]>, BackupError> {
        let name = checkpoint::name(lsn);
        let Some(bytes) = whole_checkpoint(self.source, lsn) else { return Ok(None) };
        let digest = *blake3::hash(&bytes).as_bytes();
        if held_checkpoint(&self.target.reader(), lsn) == Some(digest) {
            return Ok(Some(digest));
        }
        replace(self.target, &name, &bytes)?;
        let back = self.target.reader();
        back.open(&name)
            .and_then(|file| file.settle())
            .map_err(|e| BackupError::target("sync", &name, &e))?;
        if held_checkpoint(&back, lsn) != Some(digest) {
            return Err(BackupError::Checkpoint { lsn });
        }
        self.done.bytes += bytes.len() as u64;
        Ok(Some(digest))
    }

    /// Puts the page that a pruned journal begins with into the target.
    ///
    /// # Errors
    /// When the target cannot be written.
    pub(super) fn begin(&mut self, identity: &Identity, begin: &Begin) -> Result<(), BackupError> {
        let name = segment_name(begin.number);
        if begin_in(&self.target.reader(), identity, begin.number).as_ref() == Some(begin) {
            return Ok(());
        }
        replace(self.target, &name, &begin.encode(identity))?;
        let back = self.target.reader();
        back.open(&name)
            .and_then(|file| file.settle())
            .map_err(|e| BackupError::target("sync", &name, &e))?;
        if begin_in(&back, identity, begin.number).as_ref() == Some(begin) {
            Ok(())
        } else {
            Err(self.unsound(begin.number, false))
        }
    }

    fn segment(&self, number: u64) -> Result<SegmentFile<R::Source>, BackupError> {
        open_segment(self.source, number).map_err(|e| BackupError::source("open", &segment_name(number), &e))
    }

    /// Writes under the temporary name, and syncs: `page`, if one is given, and then what the source has behind that.
    fn write<F: Source>(
        &mut self,
        name: &str,
        source: &F,
        page: Option<&[u8]>,
        until: u64,
    ) -> Result<[u8; 32], BackupError> {
        let written = self.write_portions(name, source, page, until);
        if written.is_err() {
            // The space of a half-written file is given back; the first failure is the one to report.
            let _ = self.target.remove(TEMP);
        }
        written
    }

    fn write_portions<F: Source>(
        &mut self,
        name: &str,
        source: &F,
        page: Option<&[u8]>,
        until: u64,
    ) -> Result<[u8; 32], BackupError> {
        let mut file = self.target.create(TEMP).map_err(|e| BackupError::target("create", TEMP, &e))?;
        let facts = |e: io::Error| BackupError::target("write", name, &e);
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        if let Some(page) = page {
            file.write_at(0, page).map_err(facts)?;
            hasher.update(page);
            at = page.len() as u64;
        }
        let mut buffer = vec![0; PORTION_BYTES.min(until) as usize];
        while at < until {
            let wanted = PORTION_BYTES.min(until - at) as usize;
            let n = source
                .read_at(at, &mut buffer[..wanted])
                .map_err(|e| BackupError::source("read", name, &e))?;
            if n < wanted {
                let e = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(BackupError::source("read", name, &e));
            }
            file.write_at(at, &buffer[..n]).map_err(facts)?;
            hasher.update(&buffer[..n]);
            at += n as u64;
            self.done.bytes += n as u64;
            (self.progress)(self.done);
        }
        file.sync().map_err(|e| BackupError::target("sync", name, &e))?;
        Ok(*hasher.finalize().as_bytes())
    }

    /// Verifies what the device has of the temporary file. If that is not right, it is found out whose fault it is.
    fn read_back(
        &mut self,
        header: &Header,
        packed: bool,
        limit: u64,
        before: Before,
        right: impl Fn(&Examined) -> bool,
    ) -> Result<Examined, BackupError> {
        let number = header.number;
        let facts = |e: io::Error| BackupError::target("read back", TEMP, &e);
        let source = self.target.reader().open(TEMP).map_err(facts)?;
        source.settle().map_err(|e| BackupError::target("sync", TEMP, &e))?;
        let file = as_segment(source, number, packed);
        let limit = limit.min(file.bytes().map_err(facts)?);
        let whole = file.lists_agree()
            && header_in(&file, number, &header.identity).is_some_and(|found| found == *header);
        match examine(file, header, limit, before, None) {
            Ok(seen) if whole && right(&seen) => return Ok(seen),
            Ok(_) | Err(_) => {}
        }
        let ours = self.segment(number)?;
        let bytes = ours.bytes().map_err(|e| BackupError::source("read", &ours.name(), &e))?;
        let damage = Damage {
            file: ours.name(),
            segment: number,
            offset: PAGE_BYTES,
            lsn: header.first_lsn,
            flaw: Flaw::Checksum,
        };
        // Removing it only gives the space back.
        let _ = self.target.remove(TEMP);
        match examine(ours, header, limit.min(bytes), before, None) {
            Ok(source) if right(&source) => Err(self.unsound(number, packed)),
            Ok(source) => {
                let damage = Damage { offset: source.end, lsn: source.last_lsn + 1, ..damage };
                Err(BackupError::Journal(OpenError::Damaged(damage)))
            }
            Err(damage) => Err(BackupError::Journal(OpenError::Damaged(damage))),
        }
    }

    fn unsound(&self, number: u64, packed: bool) -> BackupError {
        let file = if packed { packed_name(number) } else { segment_name(number) };
        BackupError::Unsound(Damage { file, segment: number, offset: 0, lsn: 0, flaw: Flaw::Checksum })
    }

    /// Gives the temporary file its name, durably, and takes the other name of the same segment away.
    fn give_name(&mut self, number: u64, packed: bool) -> Result<(), BackupError> {
        let (name, other) = match packed {
            true => (packed_name(number), segment_name(number)),
            false => (segment_name(number), packed_name(number)),
        };
        let sync = |target: &mut T| {
            target.sync_dir().map_err(|e| BackupError::target("sync the directory of", &name, &e))
        };
        self.target.rename(TEMP, &name).map_err(|e| BackupError::target("rename", &name, &e))?;
        sync(self.target)?;
        match self.target.remove(&other) {
            Ok(()) => sync(self.target),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(BackupError::target("remove", &other, &e)),
        }
    }
}

/// The page in the place of segment `number` that says where a pruned journal begins, if it is there and whole.
pub(super) fn begin_in<R: StorageRead>(read: &R, identity: &Identity, number: u64) -> Option<Begin> {
    let mut page = [0; PAGE_BYTES as usize];
    let n = read.open(&segment_name(number)).ok()?.read_at(0, &mut page).ok()?;
    let (of, begin) = Begin::decode(&page[..n])?;
    (of == *identity && begin.number == number).then_some(begin)
}

/// Bytes of the file that segment `number` is read from, if there is one.
pub(super) fn file_bytes<R: StorageRead>(read: &R, number: u64) -> Option<u64> {
    let name = open_segment(read, number).ok()?.name();
    read.open(&name).ok()?.bytes().ok()
}

/// BLAKE3 of the first `bytes` of a file.
pub(super) fn digest_of<F: Source>(file: &F, bytes: u64) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PORTION_BYTES.min(bytes) as usize];
    let mut at = 0;
    while at < bytes {
        let wanted = PORTION_BYTES.min(bytes - at) as usize;
        let n = file.read_at(at, &mut buffer[..wanted])?;
        if n < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..n]);
        at += n as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}

/// The bytes of a checkpoint that is there and whole.
fn whole_checkpoint<R: StorageRead>(read: &R, lsn: Lsn) -> Option<Vec<u8>> {
    let file = read.open(&checkpoint::name(lsn)).ok()?;
    let mut bytes = vec![0; usize::try_from(file.bytes().ok()?).ok()?];
    let n = file.read_at(0, &mut bytes).ok()?;
    bytes.truncate(n);
    let whole = checkpoint::Checkpoint::decode(bytes.clone());
    whole.is_some_and(|named| named.checkpoint.lsn == lsn).then_some(bytes)
}

/// BLAKE3 of a checkpoint that is there and whole.
pub(super) fn held_checkpoint<R: StorageRead>(read: &R, lsn: Lsn) -> Option<[u8; 32]> {
    whole_checkpoint(read, lsn).map(|bytes| *blake3::hash(&bytes).as_bytes())
}
