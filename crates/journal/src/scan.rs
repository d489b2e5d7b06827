//! Reading one segment in order, batch by batch, and finding valid batches again behind damage.
//!
//! Reads with `pread` into one buffer and verifies there; a batch is handed out only when all its records
//! verified. A page the device cannot read becomes a flaw, never a panic. Nothing here decides what damage
//! means.

use std::collections::BTreeMap;
use std::io;

use crate::beside;
use crate::frame::{Flaw, Link, RawRecord};
use crate::layout::{
    BATCH_BYTES_MAX, DeclaredGap, FIRST_BYTES, FRAME_BYTES, Header, PAGE_BYTES, SEAL_BYTES, Seal, u64_at,
};
use crate::segment::{SegmentFile, flaw_of};
use crate::storage::Source;
use crate::{Lsn, Record};

/// Bytes read at a time: large enough to amortise the call, small enough to stay in a core's cache.
const WINDOW_BYTES: u64 = 256 << 10;

/// A sliding window over a file.
///
/// Pages of the file lie at page boundaries of the memory: the kernel copies a cached page to such a place six
/// times as fast as to one that lies a few bytes behind a boundary, which is where large allocations begin.
struct Window<F> {
    source: SegmentFile<F>,
    /// Nothing at or behind this offset is looked at.
    end: u64,
    /// File offset of the first buffered byte: a multiple of a page.
    at: u64,
    /// Room, with a page more than is used.
    bytes: Vec<u8>,
    /// Index in `bytes` of the first buffered byte: a page boundary of the memory.
    skew: usize,
    filled: usize,
    /// Bytes of the next read: few at the end of a live file, where little can be new.
    portion: u64,
    /// Pieces of the file that could not be had, by where they begin: where they end, and why.
    unreadable: BTreeMap<u64, (u64, Flaw)>,
}

impl<F: Source> Window<F> {
    /// The buffered bytes from `from` on, at least up to `until` if the file reaches that far. What lies
    /// before `keep` may be dropped.
    #[inline]
    fn from(&mut self, keep: u64, from: u64, until: u64) -> &[u8] {
        if from < self.at || until.min(self.end) > self.at + self.filled as u64 {
            self.fill(keep, until);
        }
        self.buffered(from)
    }

    /// The bytes from `from` on that are buffered right now.
    #[inline]
    fn buffered(&self, from: u64) -> &[u8] {
        let start = (from.saturating_sub(self.at) as usize).min(self.filled);
        &self.bytes[self.skew + start..self.skew + self.filled]
    }

    #[cold]
    fn fill(&mut self, keep: u64, until: u64) {
        let base = keep / PAGE_BYTES * PAGE_BYTES;
        let wanted = (until - base).max(self.portion).min(self.end.saturating_sub(base)) as usize;
        self.portion = (self.portion * 2).min(WINDOW_BYTES);
        let kept = match (base.checked_sub(self.at), self.at + self.filled as u64 >= base) {
            (Some(from), true) => self.skew + from as usize..self.skew + self.filled,
            (Some(_), false) | (None, _) => self.skew..self.skew,
        };
        self.filled = kept.len();
        if self.bytes.len() < self.skew + wanted.max(self.filled) {
            let page = PAGE_BYTES as usize;
            let mut larger = vec![0; wanted.max(self.filled) + page];
            let skew = larger.as_ptr().addr().next_multiple_of(page) - larger.as_ptr().addr();
            larger[skew..skew + kept.len()].copy_from_slice(&self.bytes[kept]);
            (self.bytes, self.skew) = (larger, skew);
        } else {
            self.bytes.copy_within(kept, self.skew);
        }
        self.at = base;
        let from = self.at + self.filled as u64;
        let room = wanted.saturating_sub(self.filled);
        let start = self.skew + self.filled;
        match self.source.read_at(from, &mut self.bytes[start..start + room]) {
            Ok(n) => self.filled += n,
            Err(_) => self.fill_by_pieces(from, room),
        }
    }

    /// After a failed read: piece by piece, so that a bad page or block does not hide its neighbours.
    fn fill_by_pieces(&mut self, from: u64, room: usize) {
        let mut at = from;
        let end = from + room as u64;
        while at < end {
            let piece = self.source.piece(at);
            let n = piece.end.min(end) - at;
            let start = self.skew + self.filled;
            let target = &mut self.bytes[start..start + n as usize];
            match self.source.read_at(at, target) {
                Ok(read) => {
                    self.filled += read;
                    if (read as u64) < n {
                        return;
                    }
                }
                Err(e) => {
                    target.fill(0xff);
                    self.filled += n as usize;
                    self.unreadable.insert(piece.start, (piece.end, flaw_of(&e)));
                }
            }
            at += n;
        }
    }

    /// Why some of the bytes in this range could not be had, if so.
    fn unreadable(&self, from: u64, until: u64) -> Option<Flaw> {
        // Two pieces that share a byte end at the same one.
        let (_, (end, flaw)) = self.unreadable.range(..until).next_back()?;
        (*end > from).then_some(*flaw)
    }
}

/// What comes next in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A whole, verified batch.
    Batch(Batch),
    /// The seal; nothing follows it.
    Sealed(Seal),
    /// No verified batch begins at the scan's position.
    Stop(Flaw),
}

/// A verified batch in the scan's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) last_lsn: Lsn,
    /// The durable LSN its first record carries.
    pub(crate) durable: Lsn,
}

/// A valid batch found behind damage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) offset: u64,
    pub(crate) lsn: Lsn,
    pub(crate) chain: u32,
}

/// What lies behind a place where no batch begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    /// The next whole batch.
    pub(crate) found: Option<Found>,
    /// The highest durable LSN claimed by a valid first frame up to and including that batch, even by one
    /// whose batch has no end.
    pub(crate) claimed: Lsn,
}

impl Behind {
    pub(crate) const NOTHING: Behind = Behind { found: None, claimed: 0 };
}

/// A cursor over one segment.
pub(crate) struct SegmentScan<F> {
    window: Window<F>,
    pub(crate) number: u64,
    epoch: u64,
    first_lsn: Lsn,
    /// Where the next batch begins, and what it must continue.
    pub(crate) offset: u64,
    pub(crate) link: Link,
    root: Option<Root>,
}

/// The root over what was accepted, taken in by large portions: BLAKE3 is many times faster that way.
#[derive(Clone)]
pub(crate) struct Root {
    hasher: blake3::Hasher,
    /// Everything before this offset is in the hasher.
    taken: u64,
}

/// Accepted bytes are taken into the root when this many wait.
const ROOT_PORTION_BYTES: u64 = 64 << 10;

impl<F: Source> SegmentScan<F> {
    /// A scan from the first record of the segment with this header.
    pub(crate) fn new(source: SegmentFile<F>, header: &Header, file_bytes: u64) -> SegmentScan<F> {
        SegmentScan {
            window: Window {
                source,
                end: file_bytes,
                at: PAGE_BYTES,
                bytes: Vec::new(),
                skew: 0,
                filled: 0,
                portion: WINDOW_BYTES,
                unreadable: BTreeMap::new(),
            },
            number: header.number,
            epoch: header.epoch,
            first_lsn: header.first_lsn,
            offset: PAGE_BYTES,
            link: Link { lsn: header.first_lsn, chain: header.seed(), salt: header.salt() },
            root: None,
        }
    }

    /// From here on every accepted batch is also taken into the segment's root.
    pub(crate) fn with_root(mut self, hasher: blake3::Hasher) -> Self {
        self.root = Some(Root { hasher, taken: self.offset });
        self
    }

    /// What has taken in all that was accepted; none behind a hole.
    pub(crate) fn hasher(&mut self) -> Option<blake3::Hasher> {
        self.take_into_root();
        self.root.as_ref().map(|root| root.hasher.clone())
    }

    fn take_into_root(&mut self) {
        let Some(root) = &mut self.root else { return };
        if root.taken < self.offset {
            let bytes = self.window.from(root.taken, root.taken, self.offset);
            root.hasher.update(&bytes[..(self.offset - root.taken) as usize]);
            root.taken = self.offset;
        }
    }

    /// The name of the file that is read.
    pub(crate) fn file(&self) -> String {
        self.window.source.name()
    }

    /// Length of the segment right now.
    pub(crate) fn file_bytes(&self) -> io::Result<u64> {
        self.window.source.bytes()
    }

    /// End of what is looked at.
    pub(crate) fn file_end(&self) -> u64 {
        self.window.end
    }

    /// Looks no further than `end`, and forgets what was buffered: a live file has grown in place.
    pub(crate) fn look_again(&mut self, end: u64) {
        assert!(self.root.is_none(), "only readers look again, and they keep no root");
        self.window.end = end;
        self.window.filled = 0;
        self.window.at = self.offset / PAGE_BYTES * PAGE_BYTES;
        self.window.portion = PAGE_BYTES;
        self.window.unreadable.clear();
    }

    /// Moves to a batch found behind damage.
    pub(crate) fn jump(&mut self, found: Found) {
        self.offset = found.offset;
        self.link.lsn = found.lsn;
        self.link.chain = found.chain;
        self.root = None;
    }

    /// What `restore` needs to come back here.
    pub(crate) fn place(&mut self) -> (u64, Link, Option<Root>) {
        self.take_into_root();
        (self.offset, self.link, self.root.clone())
    }

    /// Moves back to where the scan was.
    pub(crate) fn restore(&mut self, (offset, link, root): (u64, Link, Option<Root>)) {
        self.offset = offset;
        self.link = link;
        self.root = root;
    }

    /// Verifies the next batch and moves behind it; on anything else the position stays.
    #[inline]
    pub(crate) fn next_batch(&mut self) -> Step {
        match self.batch_in_window() {
            Some(batch) => Step::Batch(batch),
            None => self.next_batch_slowly(),
        }
    }

    /// The next batch if it lies in the window, verifies and the scan is past it now. Nearly all do, so this is
    /// the one loop of a long read and returns nothing that does not fit into registers.
    #[inline]
    pub(crate) fn batch_in_window(&mut self) -> Option<Batch> {
        let start = self.offset;
        if start < self.window.at {
            return None;
        }
        let mut rest = self.window.buffered(start);
        let mut at = start;
        let mut link = self.link;
        let mut durable = 0;
        loop {
            let Ok(verified) = RawRecord(rest).verify(&link, at == start) else { return None };
            rest = &rest[verified.size..];
            at += verified.size as u64;
            durable = verified.durable.unwrap_or(durable);
            link.chain = verified.crc;
            link.lsn += 1;
            if verified.batch_end {
                break;
            }
        }
        if at - start > BATCH_BYTES_MAX {
            return None;
        }
        Some(self.accept(at, link, durable))
    }

    #[inline]
    fn accept(&mut self, end: u64, link: Link, durable: Lsn) -> Batch {
        let start = self.offset;
        self.offset = end;
        self.link = link;
        if self.root.as_ref().is_some_and(|root| end - root.taken >= ROOT_PORTION_BYTES) {
            self.take_into_root();
        }
        Batch { start, end, last_lsn: link.lsn - 1, durable }
    }

    #[cold]
    fn next_batch_slowly(&mut self) -> Step {
        let start = self.offset;
        // What the root has not taken in yet stays in the window.
        let keep = self.root.as_ref().map_or(start, |root| root.taken);
        let mut at = start;
        let mut link = self.link;
        let mut durable = 0;
        loop {
            let bytes = self.window.from(keep, at, at + (FRAME_BYTES + FIRST_BYTES) as u64);
            let size = match RawRecord(bytes).size() {
                Ok(size) => size,
                Err(Flaw::Seal) if at == start => return self.seal(start),
                Err(flaw) => return self.stop(at, flaw),
            };
            if at + size as u64 - start > BATCH_BYTES_MAX {
                return self.stop(at, Flaw::Length);
            }
            let bytes = self.window.from(keep, at, at + size as u64);
            let verified = match RawRecord(bytes).verify(&link, at == start) {
                Ok(verified) => verified,
                Err(flaw) => return self.stop(at, flaw),
            };
            durable = verified.durable.unwrap_or(durable);
            at += verified.size as u64;
            link.chain = verified.crc;
            link.lsn += 1;
            if verified.batch_end {
                break;
            }
        }
        Step::Batch(self.accept(at, link, durable))
    }

    fn stop(&mut self, at: u64, flaw: Flaw) -> Step {
        self.take_into_root();
        // A frame is judged by its first bytes; if the device failed within its first page or two, that is
        // the cause and not what the filler bytes look like.
        let mut unreadable = self.window.unreadable(at, at + (FRAME_BYTES + FIRST_BYTES) as u64);
        if unreadable.is_none() && flaw == Flaw::Checksum {
            unreadable = self.frame_is_unreadable(at);
        }
        Step::Stop(unreadable.unwrap_or(flaw))
    }

    fn frame_is_unreadable(&mut self, at: u64) -> Option<Flaw> {
        let bytes = self.window.from(at, at, at + 4);
        match RawRecord(bytes).size() {
            Ok(size) => self.window.unreadable(at, at + size as u64),
            Err(_) => None,
        }
    }

    fn seal(&mut self, at: u64) -> Step {
        self.take_into_root();
        let bytes = self.window.from(at, at, at + SEAL_BYTES);
        match Seal::decode(bytes) {
            Some(seal)
                if seal.epoch == self.epoch
                    && seal.chain == self.link.chain
                    && seal.last_lsn + 1 == self.link.lsn
                    && seal.count == self.link.lsn - self.first_lsn =>
            {
                Step::Sealed(seal)
            }
            Some(_) | None => self.stop(at, Flaw::Seal),
        }
    }

    /// The records of a batch that `next_batch` has just returned.
    #[inline]
    pub(crate) fn records(&self, batch: Batch) -> Records<'_> {
        let bytes = &self.window.buffered(batch.start)[..(batch.end - batch.start) as usize];
        Records { bytes, segment: self.number, offset: batch.start }
    }

    /// The one frame at `offset`, which lies in the batch that `next_batch` returned last.
    #[inline(always)]
    pub(crate) fn frame_at(&self, offset: u64) -> RawRecord<'_> {
        RawRecord(self.window.buffered(offset))
    }

    /// Whether every byte from the position to the end of the file is zero and readable.
    pub(crate) fn rest_is_zero(&mut self) -> bool {
        self.zeros_until() >= self.window.end
    }

    /// As `rest_is_zero`, with the two halves of a long rest read at the same time from files of their own. Any doubt
    /// is settled by reading it all again here.
    pub(crate) fn rest_is_zero_beside(&mut self, first: SegmentFile<F>, second: SegmentFile<F>) -> bool {
        let end = self.window.end;
        let from = self.offset.next_multiple_of(PAGE_BYTES);
        let middle = from.midpoint(end) / PAGE_BYTES * PAGE_BYTES;
        let Some(second_half) = beside::zeros(second, middle, end) else { return self.rest_is_zero() };
        let first_half = self.zeros_until_limit(from) >= from && beside::all_zero(&first, from, middle);
        second_half.wait() == Some(true) && first_half || self.rest_is_zero()
    }

    /// Offset of the first non-zero byte from the position on, or the end of the file.
    pub(crate) fn zeros_until(&mut self) -> u64 {
        self.zeros_until_limit(self.window.end)
    }

    /// As `zeros_until`, but no further than `limit` and what is read with it.
    fn zeros_until_limit(&mut self, limit: u64) -> u64 {
        let mut at = self.offset;
        while at < limit {
            let bytes = self.window.from(at, at, at + 1);
            if bytes.is_empty() {
                return self.window.end;
            }
            match first_not_zero(bytes) {
                Some(n) => return at + n as u64,
                None => at += bytes.len() as u64,
            }
        }
        at.min(self.window.end)
    }

    /// Offset behind the last non-zero byte at or behind the position.
    pub(crate) fn content_end(&mut self) -> u64 {
        let mut at = self.offset;
        let mut last = at;
        while at < self.window.end {
            let bytes = self.window.from(at, at, at + 1);
            if bytes.is_empty() {
                break;
            }
            let length = bytes.len() as u64;
            if let Some(n) = last_not_zero(bytes) {
                last = at + n as u64 + 1;
            }
            at += length;
        }
        last
    }

    /// Searches from the position on for the first whole batch that checks out alone, with an LSN that this
    /// segment could hold. The position stays.
    pub(crate) fn find_behind(&mut self) -> Behind {
        let place = self.place();
        let (offset, link) = (self.offset, self.link);
        self.root = None;
        let lsn_last = link.lsn + (self.window.end.saturating_sub(offset)) / FRAME_BYTES as u64;
        let mut behind = Behind { found: None, claimed: 0 };
        let mut at = offset;
        while let Some(candidate) = self.next_candidate(at, link.lsn, lsn_last) {
            at = candidate;
            let bytes = self.window.from(at, at, at + (FRAME_BYTES + FIRST_BYTES) as u64);
            if let Ok(size) = RawRecord(bytes).size() {
                let bytes = self.window.from(at, at, at + size as u64);
                let alone = RawRecord(bytes).verify_alone(link.salt, link.lsn, lsn_last);
                if let Some((claim, durable)) = alone {
                    behind.claimed = behind.claimed.max(durable);
                    let found = Found { offset: at, lsn: claim.lsn, chain: claim.chain };
                    self.jump(found);
                    if matches!(self.next_batch(), Step::Batch(_)) {
                        behind.found = Some(found);
                        break;
                    }
                }
            }
            at += 8;
        }
        self.restore(place);
        behind
    }

    /// Whether the device failed to give anything at or behind the position, of all that was looked at.
    pub(crate) fn unreadable_behind(&self) -> bool {
        self.window.unreadable(self.offset, self.window.end).is_some()
    }

    /// The highest durable LSN that any valid batch behind the position claims. The position stays.
    pub(crate) fn claims_behind(&mut self) -> Lsn {
        let place = self.place();
        let mut claimed = 0;
        loop {
            let behind = self.find_behind();
            claimed = claimed.max(behind.claimed);
            let Some(found) = behind.found else { break };
            self.jump(found);
            while let Step::Batch(batch) = self.next_batch() {
                claimed = claimed.max(batch.durable);
            }
        }
        self.restore(place);
        claimed
    }

    /// The next 8-byte boundary at or behind `at` whose bytes could be a frame with an LSN in the range: a
    /// cheap test that lets a long search run at the speed of reading.
    fn next_candidate(&mut self, at: u64, lsn_first: Lsn, lsn_last: Lsn) -> Option<u64> {
        const HEAD: usize = FRAME_BYTES + FIRST_BYTES;
        let mut at = at;
        loop {
            let bytes = self.window.from(at, at, at + HEAD as u64);
            if bytes.len() < HEAD {
                return None;
            }
            let mut n = 0;
            while n + HEAD <= bytes.len() {
                let lsn = u64_at(bytes, n + 8);
                if lsn >= lsn_first && lsn <= lsn_last && RawRecord(&bytes[n..]).size().is_ok() {
                    return Some(at + n as u64);
                }
                n += 8;
            }
            at += n as u64;
        }
    }
}

/// Index of the first byte that is not zero; whole blocks are compared at once.
pub(crate) fn first_not_zero(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 256;
    let zero_blocks = bytes.chunks_exact(BLOCK).take_while(|block| **block == [0; BLOCK]).count();
    let from = zero_blocks * BLOCK;
    bytes[from..].iter().position(|b| *b != 0).map(|n| from + n)
}

/// Index of the last byte that is not zero; whole blocks are compared at once.
pub(crate) fn last_not_zero(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 256;
    let zero_blocks = bytes.rchunks_exact(BLOCK).take_while(|block| **block == [0; BLOCK]).count();
    bytes[..bytes.len() - zero_blocks * BLOCK].iter().rposition(|b| *b != 0)
}

/// Iterator over the records of one verified batch.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    segment: u64,
    offset: u64,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Record<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        let (record, size) = RawRecord(self.bytes).view(self.segment, self.offset, false);
        self.bytes = &self.bytes[size..];
        self.offset += size as u64;
        Some(record)
    }
}

/// Whether `lsn` of segment `number` is declared as not folded by a later segment.
pub(crate) fn is_declared(gaps: &[(u64, DeclaredGap)], number: u64, lsn: Lsn) -> bool {
    gaps.iter().any(|(by, gap)| *by > number && gap.first_lsn <= lsn && lsn <= gap.through_lsn)
}
