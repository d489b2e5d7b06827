//! Walking the segments in order: which stretches of records are intact, where the chain breaks, and what the
//! table says of each break.

use super::{Cut, Note, Proof, Segment, Span, TailEnd, WOUNDS_MAX, Wound};
use crate::decide::{Evidence, Place, Row, Seen, decide};
use crate::error::{Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{FRAME_BYTES, Header, Mark, PAGE_BYTES, SEAL_BYTES, Seal};
use crate::scan::{Batch, Behind, SegmentScan, Step};
use crate::storage::{Source, StorageRead};
use crate::writer::segment_name;
use crate::{Config, Identity, Lsn};

/// Epochs tried for a segment whose header is lost: that of the segment before it and a few after.
const EPOCH_TRIES: u64 = 4;

/// Collects spans and wounds while the segments are walked in order.
pub(super) struct Walk<'a, R: StorageRead> {
    pub(super) read: &'a R,
    pub(super) config: Config,
    pub(super) identity: Identity,
    /// Records up to here need not be read.
    pub(super) base: Lsn,
    pub(super) segments: Vec<Segment>,
    pub(super) spans: Vec<Span>,
    pub(super) wounds: Vec<Wound>,
    pub(super) notes: Vec<Note>,
    /// The LSN and chain value the next segment continues, as far as they are known.
    pub(super) expected_lsn: Lsn,
    pub(super) chain: u32,
    pub(super) root: [u8; 32],
    pub(super) records: u64,
    /// Highest LSN known to have been durable.
    pub(super) proven: Lsn,
    pub(super) row: Row,
    pub(super) cut: Option<Cut>,
}

impl<R: StorageRead> Walk<'_, R> {
    pub(super) fn wound(&mut self, number: u64, offset: u64, bytes: u64, flaw: Flaw, proof: Proof) {
        if self.wounds.len() < WOUNDS_MAX {
            self.wounds.push(Wound { number, offset, first_lsn: self.expected_lsn, bytes, flaw, proof });
        }
    }

    pub(super) fn lost_header(&mut self, number: u64, file_bytes: u64, newest: bool) {
        self.wound(number, 0, file_bytes, Flaw::Checksum, Proof::FinishedSegment);
        if newest {
            // How many records it held cannot be known; no LSN of theirs may ever be given again.
            let most = file_bytes.saturating_sub(PAGE_BYTES) / FRAME_BYTES as u64;
            self.proven = self.proven.max(self.expected_lsn + most);
        }
    }

    fn open(&self, number: u64) -> Result<R::Source, OpenError> {
        let name = segment_name(number);
        self.read.open(&name).map_err(|e| OpenError::io("open", &name, &e))
    }

    /// A header that is damaged is rebuilt from its neighbours if the records then verify.
    pub(super) fn reconstruct(
        &self,
        number: u64,
        file_bytes: u64,
        next: Option<&Header>,
    ) -> Result<Option<Header>, OpenError> {
        let before = self.segments.last().filter(|s| s.header.number + 1 == number);
        if number != 1 && before.is_none() {
            return Ok(None);
        }
        let epoch_before = before.map_or(1, |s| s.header.epoch);
        let tried = epoch_before..epoch_before + EPOCH_TRIES;
        for epoch in tried.chain(next.map(|h| h.epoch)) {
            let header = Header {
                identity: self.identity,
                number,
                epoch,
                first_lsn: self.expected_lsn,
                segment_bytes: self.config.segment_bytes.max(file_bytes),
                chain: self.chain,
                root_before: self.root,
                gaps: Vec::new(),
            };
            let mut scan = SegmentScan::new(self.open(number)?, &header, file_bytes);
            match scan.next_batch() {
                Step::Batch(_) | Step::Sealed(_) => return Ok(Some(header)),
                Step::Stop(Flaw::Zeros) if scan.rest_is_zero() && file_bytes > PAGE_BYTES => {
                    return Ok(Some(header));
                }
                Step::Stop(_) => {}
            }
        }
        Ok(None)
    }

    pub(super) fn enter(&mut self, header: Header, page: &[u8], file_bytes: u64, header_whole: bool) {
        let file = segment_name(header.number);
        let mut mark = None;
        if page.len() == PAGE_BYTES as usize {
            let (newest, damaged) = Mark::newest(page, header.salt());
            mark = newest;
            if damaged > 0 {
                self.notes.push(Note::MarkDamaged { file: file.clone() });
            }
            if header_whole && !Header::reserved_is_zero(page) {
                self.notes.push(Note::ReservedNotZero { file: file.clone() });
            }
        }
        if !header_whole {
            self.notes.push(Note::HeaderDamaged { file });
        }
        if let Some(mark) = mark {
            self.proven = self.proven.max(mark.durable_lsn);
        }
        let continues = header.first_lsn == self.expected_lsn
            && header.chain == self.chain
            && header.root_before == self.root;
        let declared = header.gaps.iter().any(|gap| gap.through_lsn + 1 == header.first_lsn);
        if !continues && !declared && self.wounds.last().is_none_or(|w| w.number + 1 != header.number) {
            // Two segments that are each whole and do not belong together: one was swapped or is stale.
            let first_lsn = self.spans.last().map_or(self.expected_lsn, |s| s.first_lsn);
            let number = header.number.saturating_sub(1).max(1);
            self.expected_lsn = first_lsn.min(header.first_lsn);
            self.wound(number, PAGE_BYTES, 0, Flaw::Seal, Proof::FinishedSegment);
        }
        self.expected_lsn = header.first_lsn;
        self.segments.push(Segment { header, file_bytes, header_whole });
    }

    fn begin_span(&mut self, offset: u64, chain: u32, first_lsn: Lsn) {
        let segment = self.segments.len() - 1;
        self.spans.push(Span { segment, offset, chain, first_lsn, last_lsn: first_lsn - 1 });
    }

    fn grow_span(&mut self, last_lsn: Lsn) {
        let span = self.spans.last_mut().expect("a span was begun");
        self.records += last_lsn - span.last_lsn;
        span.last_lsn = last_lsn;
    }

    /// The seal at the end of a finished segment's file, if it can be read and fits the header.
    fn seal_at_end(&self, source: &R::Source, segment: &Segment) -> Option<Seal> {
        let at = segment.file_bytes.checked_sub(SEAL_BYTES)?;
        let mut bytes = [0; SEAL_BYTES as usize];
        let read = source.read_at(at, &mut bytes).unwrap_or(0);
        let seal = Seal::decode(&bytes[..read])?;
        let fits = seal.epoch == segment.header.epoch
            && seal.last_lsn + 1 == segment.header.first_lsn + seal.count
            && at >= PAGE_BYTES;
        fits.then_some(seal)
    }

    fn scan(&self, source: R::Source, segment: &Segment) -> SegmentScan<R::Source> {
        SegmentScan::new(source, &segment.header, segment.file_bytes)
            .with_root(Header::root_hasher(&segment.header.encode()))
    }

    fn check_known(&self, scan: &SegmentScan<R::Source>, batch: Batch) -> Result<(), OpenError> {
        for record in scan.records(batch) {
            if !(self.config.knows)(record.kind, record.version) {
                let what = Newer::Record { lsn: record.lsn, kind: record.kind, version: record.version };
                return Err(OpenError::Newer { file: segment_name(scan.number), what });
            }
        }
        Ok(())
    }

    /// A segment behind which another was begun: all of it was durable.
    pub(super) fn older(&mut self, next: Option<&Header>) -> Result<(), OpenError> {
        let segment = self.segments.last().expect("the segment was entered").clone();
        let source = self.open(segment.header.number)?;
        let seal = self.seal_at_end(&source, &segment);
        let next_fits = |seal: &Seal| next.is_none_or(|n| n.chain == seal.chain || !n.gaps.is_empty());
        self.begin_span(PAGE_BYTES, segment.header.seed(), segment.header.first_lsn);
        if let Some(seal) = seal
            && seal.last_lsn <= self.base
            && segment.header_whole
            && next_fits(&seal)
            && next.is_none_or(|n| n.root_before == seal.root)
        {
            let span = self.spans.last_mut().expect("just begun");
            span.last_lsn = seal.last_lsn;
            self.leave(seal.last_lsn + 1, seal.chain, seal.root);
            return Ok(());
        }
        let mut scan = self.scan(source, &segment);
        loop {
            match scan.next_batch() {
                Step::Batch(batch) => {
                    self.check_known(&scan, batch)?;
                    self.grow_span(batch.last_lsn);
                    self.proven = self.proven.max(batch.last_lsn);
                }
                Step::Sealed(seal) => {
                    self.leave(seal.last_lsn + 1, seal.chain, seal.root);
                    let root = scan.root();
                    if root.is_some_and(|root| root != seal.root) && segment.header_whole {
                        // Every record verifies and yet the whole is not what was sealed: edited.
                        self.expected_lsn = segment.header.first_lsn;
                        self.wound(segment.header.number, PAGE_BYTES, 0, Flaw::Seal, Proof::FinishedSegment);
                        self.expected_lsn = seal.last_lsn + 1;
                    }
                    return Ok(());
                }
                Step::Stop(flaw) => {
                    // Behind a hole there is no root to compare; the chain alone says that this is the end.
                    let root = scan.root();
                    let successor = next.filter(|n| {
                        n.first_lsn == scan.link.lsn
                            && n.chain == scan.link.chain
                            && root.is_none_or(|root| root == n.root_before)
                    });
                    if let Some(next) = successor {
                        self.notes.push(Note::SealDamaged { file: segment_name(segment.header.number) });
                        self.leave(scan.link.lsn, scan.link.chain, next.root_before);
                        return Ok(());
                    }
                    self.refuse_newer(&scan, flaw)?;
                    let behind = scan.find_behind();
                    let evidence = Evidence {
                        seen: seen(&mut scan, flaw, behind),
                        valid_behind: behind.found.is_some(),
                        proof: true,
                        place: Place::Older,
                        witness: false,
                    };
                    assert_eq!(decide(evidence), Row::E, "an older segment is never cut");
                    if !self.step_over(&mut scan, flaw, Proof::FinishedSegment, behind) {
                        let (lsn, chain) =
                            seal.map_or((scan.link.lsn, scan.link.chain), |s| (s.last_lsn + 1, s.chain));
                        let lost_root = seal.map_or([0; 32], |s| s.root);
                        self.leave(lsn, chain, lost_root);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Notes a wound at the scan's position and moves to the next whole batch, if there is one.
    fn step_over(
        &mut self,
        scan: &mut SegmentScan<R::Source>,
        flaw: Flaw,
        proof: Proof,
        behind: Behind,
    ) -> bool {
        let until = match behind.found {
            Some(found) => found.offset,
            None => scan.content_end(),
        };
        self.expected_lsn = scan.link.lsn;
        let proof = if flaw == Flaw::Unreadable { Proof::DeviceError } else { proof };
        self.wound(scan.number, scan.offset, until.saturating_sub(scan.offset), flaw, proof);
        self.proven = self.proven.max(scan.link.lsn);
        match behind.found {
            Some(found) => {
                scan.jump(found);
                self.begin_span(found.offset, found.chain, found.lsn);
                true
            }
            None => false,
        }
    }

    fn refuse_newer(&self, scan: &SegmentScan<R::Source>, flaw: Flaw) -> Result<(), OpenError> {
        if flaw != Flaw::NewerFlags {
            return Ok(());
        }
        let what = Newer::Flags { lsn: scan.link.lsn };
        Err(OpenError::Newer { file: segment_name(scan.number), what })
    }

    fn leave(&mut self, expected_lsn: Lsn, chain: u32, root: [u8; 32]) {
        self.expected_lsn = expected_lsn;
        self.chain = chain;
        self.root = root;
    }

    /// The newest segment: its end is the one place where the rows differ.
    pub(super) fn tail(&mut self) -> Result<TailEnd, OpenError> {
        let segment = self.segments.last().expect("the segment was entered").clone();
        let source = self.open(segment.header.number)?;
        if let Some(seal) = self.seal_at_end(&source, &segment) {
            self.proven = self.proven.max(seal.last_lsn);
        }
        self.begin_span(PAGE_BYTES, segment.header.seed(), segment.header.first_lsn);
        let mut scan = self.scan(source, &segment);
        let mut untouchable = !segment.header_whole;
        let mut looked_ahead = false;
        loop {
            let flaw = match scan.next_batch() {
                Step::Batch(batch) => {
                    self.check_known(&scan, batch)?;
                    self.grow_span(batch.last_lsn);
                    self.proven = self.proven.max(batch.durable);
                    continue;
                }
                Step::Sealed(seal) => {
                    self.leave(seal.last_lsn + 1, seal.chain, seal.root);
                    if untouchable {
                        return Ok(TailEnd::Untouchable);
                    }
                    return Ok(TailEnd::Sealed { offset: scan.offset });
                }
                Step::Stop(flaw) => flaw,
            };
            self.refuse_newer(&scan, flaw)?;
            let clear = flaw == Flaw::Zeros && scan.rest_is_zero();
            let mut ahead = Ahead::default();
            if !looked_ahead && !clear {
                ahead = look_ahead(&mut scan);
                self.proven = self.proven.max(ahead.claimed);
                looked_ahead = true;
            }
            // What cannot be read may be what was acknowledged; a torn write is never unreadable.
            let flaw = if scan.unreadable_behind() { Flaw::Unreadable } else { flaw };
            let behind = if clear { Behind::NOTHING } else { scan.find_behind() };
            let evidence = Evidence {
                seen: seen(&mut scan, flaw, behind),
                valid_behind: behind.found.is_some(),
                proof: self.proven >= scan.link.lsn,
                place: Place::Tail,
                witness: false,
            };
            match decide(evidence) {
                row @ (Row::B | Row::C | Row::D) => {
                    let content_end = if row == Row::B { scan.offset } else { scan.content_end() };
                    if row != Row::B {
                        self.cut = Some(Cut {
                            row,
                            segment: scan.number,
                            offset: scan.offset,
                            bytes: content_end - scan.offset,
                            first_lsn: scan.link.lsn,
                            last_lsn_seen: ahead.last_lsn,
                            records: ahead.records,
                        });
                    }
                    self.row = row;
                    let root = scan.root().unwrap_or([0; 32]);
                    self.leave(scan.link.lsn, scan.link.chain, root);
                    if untouchable {
                        return Ok(TailEnd::Untouchable);
                    }
                    let count = scan.link.lsn - segment.header.first_lsn;
                    return Ok(TailEnd::Open { offset: scan.offset, content_end, count });
                }
                Row::E => {
                    untouchable = true;
                    let checkpoint = self.base >= scan.link.lsn && ahead.claimed < scan.link.lsn;
                    let proof = if checkpoint {
                        Proof::Checkpoint(self.base)
                    } else {
                        Proof::DurableLsn(self.proven)
                    };
                    let chain = scan.link.chain;
                    if !self.step_over(&mut scan, flaw, proof, behind) {
                        self.leave(scan.link.lsn, chain, [0; 32]);
                        return Ok(TailEnd::Untouchable);
                    }
                }
                Row::A | Row::H | Row::J => unreachable!("a stop is never valid, and no witness was called"),
            }
        }
    }
}

/// What is behind a stop in the newest segment.
#[derive(Default)]
struct Ahead {
    claimed: Lsn,
    last_lsn: Lsn,
    records: u64,
}

/// Reads to the end of the segment once, so that a proof far behind the first damage is not missed.
fn look_ahead<F: Source>(scan: &mut SegmentScan<F>) -> Ahead {
    let place = scan.place();
    let mut ahead = Ahead::default();
    loop {
        let behind = scan.find_behind();
        ahead.claimed = ahead.claimed.max(behind.claimed);
        let Some(found) = behind.found else { break };
        scan.jump(found);
        loop {
            match scan.next_batch() {
                Step::Batch(batch) => {
                    ahead.claimed = ahead.claimed.max(batch.durable);
                    ahead.records += scan.records(batch).count() as u64;
                    ahead.last_lsn = batch.last_lsn;
                }
                Step::Sealed(seal) => {
                    ahead.claimed = ahead.claimed.max(seal.last_lsn);
                    break;
                }
                Step::Stop(_) => break,
            }
        }
    }
    scan.restore(place);
    ahead
}

/// What a stop looks like to the table.
fn seen<F: Source>(scan: &mut SegmentScan<F>, flaw: Flaw, behind: Behind) -> Seen {
    match flaw {
        Flaw::Unreadable => Seen::Unreadable,
        Flaw::NewerFlags => Seen::Newer,
        Flaw::Zeros | Flaw::Short => {
            let until = behind.found.map_or(scan.file_end(), |found| found.offset);
            if scan.zeros_until() >= until { Seen::Zeros } else { Seen::Bad }
        }
        Flaw::Length | Flaw::Checksum | Flaw::Lsn | Flaw::Batch | Flaw::Seal => Seen::Bad,
    }
}
