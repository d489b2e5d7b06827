//! The writer: batches are stored into the map of the newest segment, made durable by one sync for all that
//! wait, and followed by the next segment when the room ends.
//!
//! ```text
//! append*  ──► map          nothing is durable
//! sync     ──► fdatasync    all of it is, or the writer latches
//! rotate   ──► the next file takes what comes, while `roots.rs` seals, names and trims; the next sync waits for that
//! ```
//!
//! The first failure is the last: every later call returns the same [`Fault::Latched`]. The writer never
//! reads or hashes the segment it writes, and no file gets a segment's name before all of the segment before it, and
//! its seal, are durable.

use std::io;

use crate::checkpoint::{self, Checkpoint};
use crate::error::{Fault, IoFacts, OpenError, Refusal};
use crate::frame::{self, Link};
use crate::layout::{
    BATCH_BYTES_MAX, DeclaredGap, FRAME_BYTES, GAPS_MAX, Header, Mark, NO_ROOT, PACKED_VERSION, PAGE_BYTES,
    PLAIN_VERSION, Place, Root, SEAL_BYTES, Seal,
};
use crate::packing::{Compression, Packing};
use crate::roots::{Before, Change, REACHED_BYTES, Roots};
use crate::segment::segment_name;
use crate::storage::{FIRST, Live, PACK, SPARE, Spare, Storage, StorageFile};
use crate::survey::GapEvidence;
use crate::{Config, Identity, Lsn, NewRecord, Room};

/// Records the reserve is meant to hold.
const RESERVE_RECORDS: u64 = 10_000;
/// Bytes a record in the reserve is taken to need.
const RESERVE_RECORD_BYTES: u64 = 256;

/// How much room is left for batches that may not use the reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// As much as the disk has.
    Normal,
    /// The next segment cannot be made: only [`Room::Reserve`] is left.
    ReserveOnly {
        /// About how many more records it holds.
        records_left: u64,
    },
}

/// Counters since this writer began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Batches appended.
    pub batches: u64,
    /// Bytes appended, frames and padding included.
    pub bytes: u64,
    /// Syncs for commits.
    pub syncs: u64,
    /// Changes of segment.
    pub rotations: u64,
    /// Appends that had to wait because the next segment was not ready yet.
    pub segment_waits: u64,
}

#[derive(Debug)]
enum SpareState<F> {
    /// The one before has no segment's name yet.
    NotYet,
    Making,
    Ready(F, F),
    Failed,
}

/// Where a new segment begins.
pub(crate) struct Start<F> {
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) chain: u32,
    /// Root of the predecessor, if it is known.
    pub(crate) root_before: Root,
    /// What the root of this segment builds on.
    pub(crate) before: Before,
    pub(crate) gaps: Vec<DeclaredGap>,
    /// Sealed segments that were never cut behind their seal, and where that is.
    pub(crate) untrimmed: Vec<(F, u64)>,
    /// Checkpoints that earlier declared gaps depend on.
    pub(crate) pinned: Vec<Lsn>,
}

/// The one writer of a journal.
pub struct Writer<S: Storage> {
    file: S::File,
    header: Header,
    /// Bytes of the segments behind the first.
    full_bytes: u64,
    salt: u32,
    offset: u64,
    chain: u32,
    next_lsn: Lsn,
    durable_lsn: Lsn,
    /// Room for the frames of one batch; what is in it means nothing.
    frames: Vec<u8>,
    /// Where the newest batch stands, and the newest durable one.
    newest: Option<Place>,
    newest_durable: Option<Place>,
    /// Offset in this segment behind the last durable byte.
    durable_offset: u64,
    /// The change of segment under way: the last LSN and the last batch of the segment that ends.
    changing: Option<(Lsn, Option<Place>)>,
    /// How far the hashing was last told to go, and whether anything was synced since.
    told: u64,
    synced_since: bool,
    mark: Mark,
    spare: SpareState<S::File>,
    /// A batch has been refused because only the reserve is left.
    reserve_only: bool,
    pinned: Vec<Lsn>,
    /// Gaps declared by this writer.
    declared: Vec<DeclaredGap>,
    stats: Stats,
    latch: Option<IoFacts>,
    roots: Roots<S>,
    packing: Packing<S>,
    // Dropped last: it holds the lock.
    storage: S,
}

impl<S: Storage> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("segment", &self.header.number)
            .field("epoch", &self.header.epoch)
            .field("offset", &self.offset)
            .field("next_lsn", &self.next_lsn)
            .field("durable_lsn", &self.durable_lsn)
            .field("latch", &self.latch)
            .finish_non_exhaustive()
    }
}

/// Writes the header into the spare and gives it its name; only then may records be stored in it.
fn install<S: Storage>(
    storage: &mut S,
    made_as: &str,
    spare: &mut S::File,
    header: &Header,
) -> Result<(), IoFacts> {
    let name = segment_name(header.number);
    let facts = |operation| {
        let name = name.clone();
        move |e: io::Error| IoFacts::new(operation, name, &e)
    };
    spare.write_at(0, &header.encode()).map_err(facts("write the header of"))?;
    spare.sync().map_err(facts("sync"))?;
    storage.rename(made_as, &name).map_err(facts("rename"))?;
    if crate::mutant!(18) {
        return Ok(());
    }
    storage.sync_dir().map_err(facts("sync the directory of"))
}

/// Bytes of the first segment of an opening at most. Space is had at once, whatever its size; it is the reserve, half a
/// segment, that must not be small when the disk is full and no other segment can be made.
const FIRST_SEGMENT_BYTES: u64 = 4 << 20;
/// With less disk space than that, an opening makes do with this: protecting what is held comes before the reserve.
const LEAST_SEGMENT_BYTES: u64 = 512 << 10;

/// Makes the file of an opening's first segment.
fn first_file<S: Storage>(storage: &mut S, bytes: u64) -> io::Result<S::File> {
    let mut file = storage.create(FIRST)?;
    file.allocate(bytes)?;
    file.map(bytes)?;
    Ok(file)
}

impl<S: Storage> Writer<S> {
    /// Makes the first segment of this writer. The storage is locked.
    pub(crate) fn begin(
        mut storage: S,
        identity: Identity,
        config: Config,
        start: Start<S::File>,
    ) -> Result<Writer<S>, OpenError> {
        // Left behind by a process that died while it compressed; usually there is none.
        let _ = storage.remove(PACK);
        // The first segment of an opening is small: a full one is made behind its back.
        let mut first_bytes = config.segment_bytes.min(FIRST_SEGMENT_BYTES);
        let mut made = first_file(&mut storage, first_bytes);
        if made.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::StorageFull)
            && first_bytes > LEAST_SEGMENT_BYTES
        {
            first_bytes = LEAST_SEGMENT_BYTES;
            made = first_file(&mut storage, first_bytes);
        }
        let mut file = made.map_err(|e| OpenError::io("make a segment", FIRST, &e))?;
        let header = Header {
            // While one segment is of this version, no program opens the journal that would take a compressed one for
            // a missing one; and the newest one always is, where any is compressed.
            version: if config.compress { PACKED_VERSION } else { PLAIN_VERSION },
            identity,
            number: start.number,
            epoch: start.epoch,
            first_lsn: start.first_lsn,
            segment_bytes: first_bytes,
            chain: start.chain,
            root_before: start.root_before,
            gaps: start.gaps,
        };
        // Published before the segment has its name: a reader that finds it finds its durable end as well, and never
        // takes a writer that is just beginning for one that is not there.
        storage.publish(Live {
            segment: header.number,
            offset: PAGE_BYTES,
            durable_lsn: header.first_lsn - 1,
        });
        install(&mut storage, FIRST, &mut file, &header).map_err(OpenError::Io)?;
        let mut roots = Roots::new(&storage).map_err(|e| OpenError::io("start a thread for", ".", &e))?;
        let packing = Packing::new(&storage, identity, config)
            .map_err(|e| OpenError::io("start a thread for", ".", &e))?;
        roots.build_on(start.before);
        roots.begin(&header, &file);
        for (file, bytes) in start.untrimmed {
            roots.trim(file, bytes);
        }
        let mut writer = Writer {
            file,
            full_bytes: config.segment_bytes,
            salt: header.salt(),
            offset: PAGE_BYTES,
            chain: header.seed(),
            next_lsn: header.first_lsn,
            durable_lsn: header.first_lsn - 1,
            frames: Vec::new(),
            newest: None,
            newest_durable: None,
            durable_offset: PAGE_BYTES,
            changing: None,
            told: PAGE_BYTES,
            synced_since: true,
            mark: Mark { durable_lsn: 0, sequence: 0 },
            spare: SpareState::Making,
            reserve_only: false,
            pinned: start.pinned,
            declared: Vec::new(),
            stats: Stats::default(),
            latch: None,
            roots,
            packing,
            header,
            storage,
        };
        writer.begin_spare();
        writer.pin_gaps();
        writer.publish();
        writer.packing.newest(writer.header.number);
        Ok(writer)
    }

    /// Who this journal is.
    pub fn identity(&self) -> Identity {
        self.header.identity
    }

    /// Counts the openings of this journal as writer; 1 for the first.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// The LSN the next record will have.
    pub fn next_lsn(&self) -> Lsn {
        self.next_lsn
    }

    /// The last LSN appended, durable or not.
    pub fn appended_lsn(&self) -> Lsn {
        self.next_lsn - 1
    }

    /// The last LSN that is durable: always the end of a batch.
    pub fn durable_lsn(&self) -> Lsn {
        self.durable_lsn
    }

    /// Counters since this writer began.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// What was compressed since this writer began, and what stands in the way of more.
    pub fn compression(&self) -> Compression {
        self.packing.told()
    }

    /// A reading handle on the same storage.
    pub fn reader(&self) -> S::Read {
        self.storage.reader()
    }

    /// The largest batch in bytes, frames and padding included.
    pub fn batch_bytes_max(&self) -> u64 {
        BATCH_BYTES_MAX.min(self.full_bytes - PAGE_BYTES - SEAL_BYTES)
    }

    /// Appends a batch as a whole and returns the LSN of its first record. It is not durable before the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`Fault::Refused`] changed nothing; [`Fault::Latched`] is final.
    pub fn append(&mut self, batch: &[NewRecord<'_>], room: Room) -> Result<Lsn, Fault> {
        self.check_latch()?;
        let bytes = self.check_batch(batch).map_err(Fault::Refused)?;
        self.make_room(bytes, room)?;
        let first_lsn = self.next_lsn;
        if (self.frames.len() as u64) < bytes {
            self.frames.resize(bytes as usize, 0);
        }
        let mut link = Link { lsn: first_lsn, chain: self.chain, salt: self.salt };
        let mut at = 0;
        for (index, record) in batch.iter().enumerate() {
            let durable = (index == 0).then_some(self.durable_lsn);
            let end = index + 1 == batch.len();
            let size = frame::frame_bytes(record.payload.len(), index == 0);
            link.chain = frame::encode(&mut self.frames[at..at + size], record, &link, durable, end);
            link.lsn += 1;
            at += size;
        }
        assert_eq!(at as u64, bytes, "a batch takes the room it was checked for");
        self.file.store(self.offset, &self.frames[..at]);
        self.newest = Some(Place {
            segment: self.header.number,
            offset: self.offset,
            lsn: first_lsn,
            chain: self.chain,
        });
        self.offset += bytes;
        self.chain = link.chain;
        self.next_lsn = link.lsn;
        self.stats.records += batch.len() as u64;
        self.stats.batches += 1;
        self.stats.bytes += bytes;
        if self.offset - self.told >= REACHED_BYTES {
            self.roots.reached(self.offset, !self.synced_since);
            (self.told, self.synced_since) = (self.offset, false);
            self.poll_change(false)?;
        }
        Ok(first_lsn)
    }

    /// Makes everything appended durable and returns the durable LSN. One `fdatasync` on the caller's thread;
    /// none when nothing is waiting.
    ///
    /// # Errors
    /// [`Fault::Latched`]: what was appended since the last successful sync may or may not survive, and
    /// nothing of it may be acted on.
    pub fn sync(&mut self) -> Result<Lsn, Fault> {
        self.check_latch()?;
        self.poll_change(true)?;
        if self.durable_lsn < self.appended_lsn() {
            let skipped = crate::mutant!(2) && self.stats.syncs % 16 == 15;
            let mut synced = if skipped { Ok(()) } else { self.file.sync() };
            if crate::mutant!(3) && synced.is_err() {
                synced = self.file.sync();
            }
            self.latch_on("sync", synced)?;
            self.stats.syncs += 1;
            self.is_durable();
            self.publish();
        }
        Ok(self.durable_lsn)
    }

    /// Stores the folded state at `lsn`, which must be the durable LSN, and keeps the two newest.
    ///
    /// # Errors
    /// [`Fault::CheckpointFailed`] leaves the journal as good as before.
    pub fn checkpoint(&mut self, lsn: Lsn, digest: [u8; 32], state: &[u8]) -> Result<(), Fault> {
        self.check_latch()?;
        if lsn != self.durable_lsn || lsn == 0 {
            return Err(Fault::Refused(Refusal::NotDurable { lsn, durable_lsn: self.durable_lsn }));
        }
        self.store_mark()?;
        let checkpoint = Checkpoint { lsn, digest, bytes: state.to_vec() };
        let place = self.newest_durable;
        checkpoint::write(&mut self.storage, &self.header.identity, &checkpoint, place, &self.pinned)
            .map_err(Fault::CheckpointFailed)
    }

    /// Makes everything durable and notes in the header page that it was, so that damage to the very last
    /// batch is known for what it is. To be called after a second of idleness. Also tries again to make the
    /// next segment ready if that failed.
    ///
    /// # Errors
    /// [`Fault::Latched`].
    pub fn mark(&mut self) -> Result<(), Fault> {
        self.sync()?;
        self.store_mark()?;
        self.poll_spare();
        if matches!(self.spare, SpareState::Failed) {
            self.begin_spare();
        }
        Ok(())
    }

    /// Looks whether the file that is appended to is still the one that the next opening will find: not deleted,
    /// replaced or cut shorter by somebody else. To be asked now and then; it costs three calls of the system.
    ///
    /// # Errors
    /// [`Fault::Latched`]: what would be acknowledged from now on might be lost.
    pub fn check_place(&mut self) -> Result<(), Fault> {
        self.check_latch()?;
        self.poll_change(false)?;
        if self.changing.is_some() {
            // Its name is being given.
            return Ok(());
        }
        let name = segment_name(self.header.number);
        match self.storage.displaced(&name, &self.file, self.header.segment_bytes) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => {
                let error = io::Error::new(io::ErrorKind::NotFound, why);
                Err(self.latch_with(IoFacts::new("find again", name, &error)))
            }
            // A look that fails says nothing of the file; one that stays impossible shows in the next sync.
            Err(_) => Ok(()),
        }
    }

    /// Writes into the header of a new segment that rot was found in records a checkpoint already covers,
    /// so that later openings know of it. The caller appends its own record of the gap next. A range that
    /// this writer has declared already costs nothing.
    ///
    /// # Errors
    /// [`Refusal::BadGap`] when the range does not lie behind us; [`Fault::Latched`].
    pub fn declare(&mut self, gap: &GapEvidence) -> Result<(), Fault> {
        self.check_latch()?;
        let declared =
            DeclaredGap { first_lsn: gap.first_lsn, through_lsn: gap.through_lsn, by_checkpoint: true };
        if declared.first_lsn == 0
            || declared.first_lsn > declared.through_lsn
            || declared.through_lsn >= self.next_lsn
        {
            return Err(Fault::Refused(Refusal::BadGap));
        }
        if self
            .declared
            .iter()
            .any(|d| d.first_lsn <= declared.first_lsn && declared.through_lsn <= d.through_lsn)
        {
            return Ok(());
        }
        self.rotate(vec![declared])?;
        self.poll_change(true)?;
        self.declared.push(declared);
        Ok(())
    }

    /// A clean stop: everything durable, the mark written, the lock released.
    ///
    /// # Errors
    /// [`Fault::Latched`].
    pub fn close(mut self) -> Result<(), Fault> {
        self.sync()?;
        self.store_mark()?;
        // A spare is only disk space; failing to give it back is no failure of the journal.
        self.poll_spare();
        if let SpareState::Ready(..) = self.spare {
            let _ = self.storage.remove(SPARE);
        }
        Ok(())
    }

    /// Whether batches that may not use the reserve can still be appended.
    pub fn space(&mut self) -> Space {
        self.poll_spare();
        let left = self.left();
        let reserve_only = self.reserve_only || left <= self.reserve_bytes();
        if matches!(self.spare, SpareState::Failed) && reserve_only {
            Space::ReserveOnly { records_left: left / RESERVE_RECORD_BYTES }
        } else {
            Space::Normal
        }
    }

    /// Whether this segment and the next are made ready to their ends, so that nothing is prepared beside the appends
    /// that follow, and the next change of segment waits for nothing. Asking hurries it.
    pub fn next_segment_is_ready(&mut self) -> bool {
        if self.poll_change(!S::THREADS).is_err() {
            return false;
        }
        self.poll_spare();
        let current = self.file.is_ready();
        matches!(&self.spare, SpareState::Ready(next, _) if next.is_ready()) && current
    }

    fn left(&self) -> u64 {
        self.header.segment_bytes - SEAL_BYTES - self.offset
    }

    /// The end of a segment that only exits and stops may use when no next segment can be made.
    fn reserve_bytes(&self) -> u64 {
        (RESERVE_RECORDS * RESERVE_RECORD_BYTES).min(self.header.segment_bytes / 2)
    }

    fn check_latch(&self) -> Result<(), Fault> {
        match &self.latch {
            None => Ok(()),
            Some(facts) => Err(Fault::Latched(facts.clone())),
        }
    }

    fn latch_on<T>(&mut self, operation: &'static str, result: io::Result<T>) -> Result<T, Fault> {
        result.map_err(|e| self.latch_with(IoFacts::new(operation, segment_name(self.header.number), &e)))
    }

    fn latch_with(&mut self, facts: IoFacts) -> Fault {
        self.latch = Some(facts.clone());
        Fault::Latched(facts)
    }

    fn check_batch(&self, batch: &[NewRecord<'_>]) -> Result<u64, Refusal> {
        if batch.is_empty() {
            return Err(Refusal::Empty);
        }
        let bytes_max = self.batch_bytes_max();
        let mut bytes = 0u64;
        for (index, record) in batch.iter().enumerate() {
            let lsn = self.next_lsn + index as u64;
            let what = if record.kind == 0 {
                Some("kind 0 is reserved")
            } else if record.cause >= lsn {
                Some("a cause comes before its record")
            } else if record.cause != 0 && lsn - record.cause > u64::from(u32::MAX) {
                Some("a cause lies at most 2^32 - 1 records back")
            } else {
                None
            };
            if let Some(what) = what {
                return Err(Refusal::BadRecord { index, what });
            }
            bytes = bytes.saturating_add(frame::frame_bytes(record.payload.len(), index == 0) as u64);
        }
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { bytes, bytes_max });
        }
        assert!(bytes >= FRAME_BYTES as u64);
        Ok(bytes)
    }

    /// Leaves this segment with room for `bytes`, changing to the next one if need be.
    fn make_room(&mut self, bytes: u64, room: Room) -> Result<(), Fault> {
        let reserve = self.reserve_bytes();
        let left = self.left();
        if bytes + reserve <= left {
            return Ok(()); // the common case: nothing to ask for
        }
        self.poll_change(matches!(self.spare, SpareState::NotYet))?;
        self.poll_spare();
        if matches!(self.spare, SpareState::Making) {
            // The end is near and the next segment still not there: wait rather than run into the wall.
            self.stats.segment_waits += 1;
            self.wait_spare();
        }
        if matches!(self.spare, SpareState::Failed) && (room == Room::Normal || bytes > left) {
            // The disk may have room again; this is the moment to know.
            self.begin_spare();
            self.wait_spare();
        }
        if matches!(self.spare, SpareState::Ready(..)) {
            self.reserve_only = false;
            return if bytes <= left { Ok(()) } else { self.rotate(Vec::new()) };
        }
        self.reserve_only = true;
        match room {
            Room::Reserve if bytes <= left => Ok(()),
            Room::Reserve => Err(Fault::Refused(Refusal::Full)),
            Room::Normal => Err(Fault::Refused(Refusal::OnlyReserve {
                records_left: left.min(reserve) / RESERVE_RECORD_BYTES,
            })),
        }
    }

    fn begin_spare(&mut self) {
        self.storage.spare_begin(self.full_bytes);
        self.spare = SpareState::Making;
    }

    /// All that was appended is durable.
    fn is_durable(&mut self) {
        self.durable_lsn = self.appended_lsn();
        self.newest_durable = self.newest;
        self.durable_offset = self.offset;
        self.synced_since = true;
    }

    fn poll_spare(&mut self) {
        self.take_spare(false);
    }

    fn wait_spare(&mut self) {
        self.take_spare(true);
    }

    fn take_spare(&mut self, wait: bool) {
        if matches!(self.spare, SpareState::Making) {
            self.spare = match self.storage.spare_take(wait) {
                Spare::Ready(file, second) => SpareState::Ready(file, second),
                Spare::Making => SpareState::Making,
                Spare::Failed(_) | Spare::None => SpareState::Failed,
            };
        }
    }

    /// Ends this segment: what comes is stored in the next file. Sealing the one and naming the other is left to
    /// `roots.rs`, and the next sync waits for it.
    ///
    /// Records and seal become durable in one sync, so a seal alone proves nothing about the records before it. The
    /// file is cut behind its seal later: whoever finds it longer knows the end by the seal.
    fn rotate(&mut self, gaps: Vec<DeclaredGap>) -> Result<(), Fault> {
        assert!(gaps.len() <= GAPS_MAX);
        self.poll_change(true)?;
        self.take_spare(true);
        let (next, second) = match std::mem::replace(&mut self.spare, SpareState::Failed) {
            SpareState::Ready(file, second) => (file, second),
            SpareState::NotYet | SpareState::Making | SpareState::Failed => {
                return Err(Fault::Refused(Refusal::Full));
            }
        };
        let seal = Seal {
            last_lsn: self.appended_lsn(),
            count: self.next_lsn - self.header.first_lsn,
            epoch: self.header.epoch,
            chain: self.chain,
            root: NO_ROOT,
        };
        let header = Header {
            number: self.header.number + 1,
            first_lsn: self.next_lsn,
            chain: self.chain,
            root_before: NO_ROOT,
            gaps,
            segment_bytes: self.full_bytes,
            ..self.header.clone()
        };
        let ahead = next.ahead();
        let old = std::mem::replace(&mut self.file, next);
        self.roots.change(Change {
            old,
            end: self.offset,
            seal,
            header: header.clone(),
            next: second,
            ahead,
        });
        self.changing = Some((self.appended_lsn(), self.newest));
        self.spare = SpareState::NotYet;
        self.salt = header.salt();
        self.chain = header.seed();
        self.offset = PAGE_BYTES;
        self.told = PAGE_BYTES;
        self.mark = Mark { durable_lsn: 0, sequence: 0 };
        self.header = header;
        self.stats.rotations += 1;
        self.pin_gaps();
        Ok(())
    }

    /// Takes note of a change of segment that has come to its end, and waits for that if asked to.
    fn poll_change(&mut self, wait: bool) -> Result<(), Fault> {
        let Some((last_lsn, newest)) = self.changing else { return Ok(()) };
        let Some(changed) = self.roots.changed(wait) else { return Ok(()) };
        self.changing = None;
        changed.map_err(|facts| self.latch_with(facts))?;
        self.durable_lsn = last_lsn;
        self.newest_durable = newest;
        self.durable_offset = PAGE_BYTES;
        self.begin_spare();
        self.publish();
        // Behind the spare: a full disk is for the next segment first.
        self.packing.newest(self.header.number);
        Ok(())
    }

    fn store_mark(&mut self) -> Result<(), Fault> {
        if self.mark.durable_lsn == self.durable_lsn || self.durable_lsn < self.header.first_lsn {
            return Ok(());
        }
        self.mark = Mark { durable_lsn: self.durable_lsn, sequence: self.mark.sequence + 1 };
        self.file.store(self.mark.offset(), &self.mark.encode(self.salt));
        let synced = self.file.sync();
        self.latch_on("sync the mark of", synced)
    }

    fn pin_gaps(&mut self) {
        for gap in &self.header.gaps {
            if gap.by_checkpoint && !self.pinned.contains(&gap.through_lsn) {
                self.pinned.push(gap.through_lsn);
            }
        }
    }

    fn publish(&mut self) {
        self.storage.publish(Live {
            segment: self.header.number,
            offset: self.durable_offset,
            durable_lsn: self.durable_lsn,
        });
    }
}

#[cfg(test)]
mod tests;
