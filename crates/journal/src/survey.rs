//! What a journal is found to hold: all headers and seals, the intact spans of records, the holes between
//! them, and what each hole means.
//!
//! A survey only reads. It produces facts ([`Survey`]) and judges each damaged place by [`decide`]; what is
//! then done to the files is `opening.rs`. Records of finished segments that a checkpoint covers are not read
//! here.

use std::collections::BTreeMap;

use crate::decide::{Evidence, Place, Row, Seen, decide};
use crate::error::{Newer, OpenError};
use crate::frame::Flaw;
use crate::layout::{
    DeclaredGap, FORMAT_VERSION, FRAME_BYTES, Header, HeaderFlaw, Mark, PAGE_BYTES, SEAL_BYTES, Seal,
};
use crate::scan::{Behind, SegmentScan, Step, is_declared};
use crate::storage::{Live, Source, StorageRead};
use crate::writer::{segment_name, segment_number};
use crate::{Checkpoint, Config, Identity, Lsn, Progress, checkpoint};

/// Epochs tried for a segment whose header is lost: that of the segment before it and a few after.
const EPOCH_TRIES: u64 = 4;

/// Damaged places told apart in one journal; the last one then stands for all that follows.
const WOUNDS_MAX: usize = 1000;

/// Who says that a damaged record had been durable.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A later record, a mark or a seal of the same segment carries a durable LSN at or behind it.
    DurableLsn(Lsn),
    /// A checkpoint at or behind it.
    Checkpoint(Lsn),
    /// It stood in a segment that was finished.
    FinishedSegment,
    /// A torn write leaves bytes, not a device error.
    DeviceError,
}

/// Rot of acknowledged data (row E): what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapEvidence {
    /// First LSN that is lost.
    pub first_lsn: Lsn,
    /// Last LSN that is lost or, being behind the loss, not folded.
    pub last_lsn: Lsn,
    /// Last LSN that folding skips. Smaller than the last LSN of the journal when a checkpoint at or behind
    /// the damage holds the state: then it is that checkpoint's LSN.
    pub through_lsn: Lsn,
    /// Damaged bytes: from the first bad frame to the next good one, or to the last byte that is not zero.
    pub bytes: u64,
    /// Segment number.
    pub segment: u64,
    /// File name.
    pub file: String,
    /// Offset of the first damaged frame.
    pub offset: u64,
    /// What is wrong there.
    pub flaw: Flaw,
    /// Why it is known to have been durable.
    pub proof: Proof,
    /// Valid records behind it that are shown but not folded.
    pub intact_behind: u64,
}

/// A torn tail that is cut (rows C and D).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// C or D.
    pub row: Row,
    /// Segment number.
    pub segment: u64,
    /// Offset of the first byte cut.
    pub offset: u64,
    /// Bytes up to the last one that is not zero.
    pub bytes: u64,
    /// The first LSN cut; it will be given again.
    pub first_lsn: Lsn,
    /// Last valid LSN among what is cut; 0 = none.
    pub last_lsn_seen: Lsn,
    /// Whole, valid records among what is cut. None of them was ever acknowledged.
    pub records: u64,
}

/// Something worth knowing that loses nothing.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A header page is damaged; its content followed from its neighbours and its records verify.
    HeaderDamaged {
        /// File name.
        file: String,
    },
    /// Reserved bytes of a header page are not zero.
    ReservedNotZero {
        /// File name.
        file: String,
    },
    /// A mark slot is damaged: torn while it was written, or rotten.
    MarkDamaged {
        /// File name.
        file: String,
    },
    /// A seal is damaged; the next header vouches for the same facts and the records verify.
    SealDamaged {
        /// File name.
        file: String,
    },
    /// A checkpoint file is damaged and not used.
    CheckpointDamaged {
        /// File name.
        file: String,
    },
}

/// What opening found and what was done about it.
#[derive(Clone, Debug)]
pub struct RecoveryReport {
    /// The row the end of the journal, or the worst damage, fell into.
    pub row: Row,
    /// The epoch the writer has, or will have.
    pub epoch: u64,
    /// Segments found.
    pub segments: u64,
    /// The last LSN that folding reaches.
    pub last_lsn: Lsn,
    /// The LSN the next record gets.
    pub next_lsn: Lsn,
    /// The newest whole checkpoint's LSN; 0 = none.
    pub checkpoint_lsn: Lsn,
    /// Records verified while opening.
    pub records_verified: u64,
    /// A torn tail.
    pub cut: Option<Cut>,
    /// The first damage that was not known before and is not covered by a checkpoint; else the first that was
    /// not known before. The caller appends its own record of it first.
    pub gap: Option<GapEvidence>,
    /// All damage that was not known before.
    pub gaps: Vec<GapEvidence>,
    /// What earlier openings declared.
    pub known_gaps: Vec<DeclaredGap>,
    /// What loses nothing.
    pub notes: Vec<Note>,
    /// Files that hold copies of what was cut.
    pub copies: Vec<String>,
}

/// An intact, contiguous stretch of batches in one segment.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Index into `Survey::segments`.
    pub(crate) segment: usize,
    pub(crate) offset: u64,
    pub(crate) chain: u32,
    pub(crate) first_lsn: Lsn,
    /// `first_lsn - 1` when empty.
    pub(crate) last_lsn: Lsn,
}

/// One segment file that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) file_bytes: u64,
    /// Whether the header page itself was whole.
    pub(crate) header_whole: bool,
}

/// What became of the newest segment's end.
#[derive(Clone, Debug)]
pub(crate) enum TailEnd {
    /// It is sealed at this offset already.
    Sealed { offset: u64 },
    /// Its records end at this offset; content behind it, if any, ends at `content_end`.
    Open { offset: u64, content_end: u64, count: u64 },
    /// It must not be written again.
    Untouchable,
}

/// A place where the chain of records breaks.
#[derive(Clone, Debug)]
struct Wound {
    number: u64,
    offset: u64,
    first_lsn: Lsn,
    bytes: u64,
    flaw: Flaw,
    proof: Proof,
}

/// All that opening, reading tools and verification need to know.
pub(crate) struct Survey {
    pub(crate) identity: Identity,
    pub(crate) segments: Vec<Segment>,
    pub(crate) spans: Vec<Span>,
    /// Declared gaps with the number of the declaring segment; damage found now has `u64::MAX`.
    pub(crate) gaps: Vec<(u64, DeclaredGap)>,
    pub(crate) fresh: Vec<DeclaredGap>,
    pub(crate) tail: TailEnd,
    pub(crate) last_number: u64,
    pub(crate) chain: u32,
    pub(crate) root: [u8; 32],
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) report: RecoveryReport,
}

/// The segments and checkpoints of a directory, headers read and nothing judged yet.
pub(crate) struct Listing {
    pub(crate) files: BTreeMap<u64, (Vec<u8>, u64)>,
    pub(crate) checkpoints: Vec<(Identity, Checkpoint)>,
    pub(crate) damaged_checkpoints: Vec<String>,
}

impl Listing {
    /// Reads the directory. Every header page that cannot be read counts as empty.
    pub(crate) fn read<R: StorageRead>(read: &R) -> Result<Listing, OpenError> {
        let entries = read.list().map_err(|e| OpenError::io("list", ".", &e))?;
        let mut files = BTreeMap::new();
        for entry in &entries {
            let Some(number) = segment_number(&entry.name) else { continue };
            let file = read.open(&entry.name).map_err(|e| OpenError::io("open", &entry.name, &e))?;
            let mut page = vec![0; PAGE_BYTES as usize];
            let n = file.read_at(0, &mut page).unwrap_or(0);
            page.truncate(n);
            files.insert(number, (page, entry.bytes));
        }
        let (checkpoints, damaged_checkpoints) =
            checkpoint::load(read).map_err(|e| OpenError::io("list", ".", &e))?;
        if files.is_empty() && checkpoints.is_empty() {
            return Err(OpenError::NoJournal);
        }
        Ok(Listing { files, checkpoints, damaged_checkpoints })
    }

    /// The newest format version any whole header names, when it is newer than this program's.
    pub(crate) fn newer(&self) -> Option<(String, u16)> {
        self.files.iter().find_map(|(number, (page, _))| match Header::decode(page) {
            Err(HeaderFlaw::Newer(version)) if version > FORMAT_VERSION => {
                Some((segment_name(*number), version))
            }
            Ok(_) | Err(HeaderFlaw::Newer(_) | HeaderFlaw::Damaged) => None,
        })
    }

    /// Who this journal is: the identity with this id if one is named and found, else the first found.
    pub(crate) fn identity(&self, journal_id: Option<[u8; 16]>) -> Option<Identity> {
        let headers = self.files.iter().filter_map(|(number, (page, _))| {
            Header::decode(page).ok().filter(|header| header.number == *number).map(|h| h.identity)
        });
        let all: Vec<Identity> = headers.chain(self.checkpoints.iter().map(|(id, _)| *id)).collect();
        let named = all.iter().find(|identity| Some(identity.journal_id) == journal_id);
        named.or(all.first()).copied()
    }
}

impl Listing {
    /// Beside a live writer: nothing behind the durable end exists yet.
    pub(crate) fn limit(&mut self, live: Live) {
        self.files.retain(|number, _| *number <= live.segment);
        if let Some((_, bytes)) = self.files.get_mut(&live.segment) {
            *bytes = (*bytes).min(live.offset);
        }
    }

    /// Drops the newest segment and every one that begins behind `lsn`.
    pub(crate) fn keep_finished_until(&mut self, lsn: Lsn) {
        self.files.pop_last();
        while let Some(newest) = self.files.last_entry()
            && Header::decode(&newest.get().0).is_ok_and(|header| header.first_lsn > lsn)
        {
            newest.remove();
        }
        self.checkpoints.clear();
        self.damaged_checkpoints.clear();
    }

    /// All gaps that whole headers declare, with the number of the declaring segment.
    pub(crate) fn declared(&self) -> Vec<(u64, DeclaredGap)> {
        self.files
            .iter()
            .filter_map(|(number, (page, _))| Some((*number, Header::decode(page).ok()?)))
            .flat_map(|(number, header)| header.gaps.into_iter().map(move |gap| (number, gap)))
            .collect()
    }
}

/// Collects spans and wounds while the segments are walked in order.
struct Walk<'a, R: StorageRead> {
    read: &'a R,
    config: Config,
    identity: Identity,
    /// Records up to here need not be read.
    base: Lsn,
    segments: Vec<Segment>,
    spans: Vec<Span>,
    wounds: Vec<Wound>,
    notes: Vec<Note>,
    /// The LSN and chain value the next segment continues, as far as they are known.
    expected_lsn: Lsn,
    chain: u32,
    root: [u8; 32],
    records: u64,
    /// Highest LSN known to have been durable.
    proven: Lsn,
    row: Row,
    cut: Option<Cut>,
}

/// Reads and judges a whole journal. Finished segments whose records a checkpoint at most at `base_limit`
/// covers are believed by their headers and seals.
pub(crate) fn survey<R: StorageRead>(
    read: &R,
    listing: &Listing,
    identity: Identity,
    config: Config,
    base_limit: Lsn,
    progress: &mut dyn FnMut(Progress),
) -> Result<Survey, OpenError> {
    let checkpoints: Vec<Checkpoint> =
        listing.checkpoints.iter().filter(|(id, _)| *id == identity).map(|(_, c)| c.clone()).collect();
    let base = checkpoints.iter().map(|c| c.lsn).filter(|lsn| *lsn <= base_limit).max().unwrap_or(0);
    let mut walk = Walk {
        read,
        config,
        identity,
        base,
        segments: Vec::new(),
        spans: Vec::new(),
        wounds: Vec::new(),
        notes: Vec::new(),
        expected_lsn: 1,
        chain: 0,
        root: [0; 32],
        records: 0,
        proven: checkpoints.iter().map(|c| c.lsn).max().unwrap_or(0),
        row: Row::B,
        cut: None,
    };
    walk.notes.extend(
        listing.damaged_checkpoints.iter().map(|file| Note::CheckpointDamaged { file: file.clone() }),
    );
    let last_number = listing.files.keys().last().copied().unwrap_or(0);
    let whole = |number: u64| -> Option<Header> {
        let (page, _) = listing.files.get(&number)?;
        Header::decode(page).ok().filter(|h| h.number == number && h.identity == identity)
    };
    let mut tail = TailEnd::Untouchable;
    for number in 1..=last_number {
        let Some((page, file_bytes)) = listing.files.get(&number) else {
            walk.wound(number, PAGE_BYTES, 0, Flaw::Short, Proof::FinishedSegment);
            continue;
        };
        let next = whole(number + 1);
        let header = match whole(number) {
            Some(header) => Some((header, true)),
            None => walk.reconstruct(number, *file_bytes, next.as_ref())?.map(|header| (header, false)),
        };
        let Some((header, header_whole)) = header else {
            walk.lost_header(number, *file_bytes, number == last_number);
            continue;
        };
        walk.enter(header, page, *file_bytes, header_whole);
        progress(Progress { segment: number, segments: last_number, records: walk.records });
        if number == last_number {
            tail = walk.tail()?;
        } else {
            walk.older(next.as_ref())?;
        }
    }
    Ok(conclude(walk, last_number, checkpoints, tail))
}

impl<R: StorageRead> Walk<'_, R> {
    fn wound(&mut self, number: u64, offset: u64, bytes: u64, flaw: Flaw, proof: Proof) {
        if self.wounds.len() < WOUNDS_MAX {
            self.wounds.push(Wound { number, offset, first_lsn: self.expected_lsn, bytes, flaw, proof });
        }
    }

    fn lost_header(&mut self, number: u64, file_bytes: u64, newest: bool) {
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
    fn reconstruct(
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

    fn enter(&mut self, header: Header, page: &[u8], file_bytes: u64, header_whole: bool) {
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

    fn check_known(&self, scan: &SegmentScan<R::Source>, batch: crate::scan::Batch) -> Result<(), OpenError> {
        for record in scan.records(batch) {
            if !(self.config.knows)(record.kind, record.version) {
                let what = Newer::Record { lsn: record.lsn, kind: record.kind, version: record.version };
                return Err(OpenError::Newer { file: segment_name(scan.number), what });
            }
        }
        Ok(())
    }

    /// A segment behind which another was begun: all of it was durable.
    fn older(&mut self, next: Option<&Header>) -> Result<(), OpenError> {
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
                    let root = scan.root().map(|hasher| *hasher.finalize().as_bytes());
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
                    let root = scan.root().map(|hasher| *hasher.finalize().as_bytes());
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
                        let (lsn, chain) = seal.map_or((scan.link.lsn, scan.link.chain), |s| (s.last_lsn + 1, s.chain));
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
    fn tail(&mut self) -> Result<TailEnd, OpenError> {
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
                    let root = scan.root().map_or([0; 32], |hasher| *hasher.finalize().as_bytes());
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
    let (offset, link, root) = (scan.offset, scan.link, scan.root());
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
    scan.restore(offset, link, root);
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

/// Turns wounds into gaps: which of them were known, which a checkpoint covers, and where folding ends.
fn conclude<R: StorageRead>(
    walk: Walk<'_, R>,
    last_number: u64,
    checkpoints: Vec<Checkpoint>,
    tail: TailEnd,
) -> Survey {
    let mut gaps: Vec<(u64, DeclaredGap)> = walk
        .segments
        .iter()
        .flat_map(|s| s.header.gaps.iter().map(|gap| (s.header.number, *gap)))
        .collect();
    let known_gaps = gaps.iter().map(|(_, gap)| *gap).collect();
    let base = walk.base;
    let newest_checkpoint = checkpoints.first().map_or(0, |c| c.lsn);
    let mut wounds = walk.wounds;
    // The tail simply ends, and yet something says that more was durable.
    let tail_end = walk.expected_lsn;
    if walk.proven >= tail_end && wounds.last().is_none_or(|w| w.first_lsn < tail_end) {
        wounds.push(Wound {
            number: last_number,
            offset: PAGE_BYTES,
            first_lsn: tail_end,
            bytes: 0,
            flaw: Flaw::Zeros,
            proof: Proof::DurableLsn(walk.proven),
        });
    }
    // What an earlier opening left to a checkpoint is lost after all when that checkpoint is.
    let lost_bases: Vec<(u64, DeclaredGap)> =
        gaps.iter().filter(|(_, gap)| gap.by_checkpoint && base < gap.through_lsn).copied().collect();
    let wounds_found = wounds.len();
    wounds.extend(lost_bases.iter().map(|(number, gap)| Wound {
        number: *number,
        offset: 0,
        first_lsn: gap.first_lsn,
        bytes: 0,
        flaw: Flaw::Zeros,
        proof: Proof::Checkpoint(gap.through_lsn),
    }));
    let spans_end = walk.spans.iter().map(|s| s.last_lsn).max().unwrap_or(0);
    let end = spans_end.max(walk.proven).max(tail_end - 1);
    let intact = |from: Lsn| -> u64 {
        walk.spans.iter().map(|s| (s.last_lsn + 1).saturating_sub(s.first_lsn.max(from))).sum()
    };
    let mut evidence = Vec::new();
    let mut fresh = Vec::new();
    let mut folded_end = (tail_end - 1).max(spans_end).max(base);
    let mut worst: Option<(Lsn, usize)> = None;
    for (index, wound) in wounds.iter().enumerate() {
        let base_is_lost = index >= wounds_found;
        if !base_is_lost && is_declared(&gaps, wound.number, wound.first_lsn) {
            continue;
        }
        let resume = walk
            .spans
            .iter()
            .filter(|s| s.last_lsn >= s.first_lsn && s.first_lsn > wound.first_lsn)
            .map(|s| s.first_lsn)
            .min()
            .filter(|_| !base_is_lost && index + 1 < WOUNDS_MAX);
        let lost_end = resume.map_or(end, |lsn| lsn - 1).max(wound.first_lsn);
        let covered = lost_end <= base;
        let (last_lsn, through_lsn) = if covered { (lost_end, base) } else { (end, end) };
        if covered || wound.first_lsn <= base {
            let gap = DeclaredGap { first_lsn: wound.first_lsn, through_lsn: base, by_checkpoint: true };
            fresh.push(gap);
        }
        if !covered {
            let first_lsn = wound.first_lsn.max(base + 1);
            fresh.push(DeclaredGap { first_lsn, through_lsn: end.max(first_lsn), by_checkpoint: false });
            folded_end = folded_end.min(first_lsn - 1);
            if worst.is_none_or(|(lsn, _)| wound.first_lsn < lsn) {
                worst = Some((wound.first_lsn, evidence.len()));
            }
        }
        evidence.push(GapEvidence {
            first_lsn: wound.first_lsn,
            last_lsn,
            through_lsn,
            bytes: wound.bytes,
            segment: wound.number,
            file: segment_name(wound.number),
            offset: wound.offset,
            flaw: wound.flaw,
            proof: wound.proof,
            intact_behind: if covered { 0 } else { intact(lost_end + 1) },
        });
    }
    merge(&mut fresh);
    gaps.extend(fresh.iter().map(|gap| (u64::MAX, *gap)));
    let gap = worst.map(|(_, index)| evidence[index].clone()).or_else(|| evidence.first().cloned());
    let next_lsn = fresh.iter().map(|g| g.through_lsn).max().unwrap_or(0).max(end) + 1;
    let row = if gap.is_some() { Row::E } else { walk.row };
    let damaged_headers = walk.segments.iter().filter(|s| !s.header_whole).count() as u64
        + wounds.iter().filter(|w| w.offset == 0).count() as u64;
    let epoch = walk.segments.iter().map(|s| s.header.epoch).max().unwrap_or(0) + 1 + damaged_headers;
    let report = RecoveryReport {
        row,
        epoch,
        segments: walk.segments.len() as u64,
        last_lsn: folded_end,
        next_lsn,
        checkpoint_lsn: newest_checkpoint,
        records_verified: walk.records,
        cut: walk.cut,
        gap,
        gaps: evidence,
        known_gaps,
        notes: walk.notes,
        copies: Vec::new(),
    };
    Survey {
        identity: walk.identity,
        segments: walk.segments,
        spans: walk.spans,
        gaps,
        fresh,
        tail,
        last_number,
        chain: walk.chain,
        root: walk.root,
        checkpoints,
        report,
    }
}

/// Gaps with the same end are one gap, from the first of them; there are two kinds and so at most two.
fn merge(gaps: &mut Vec<DeclaredGap>) {
    gaps.sort_by_key(|gap| (gap.by_checkpoint, gap.through_lsn, gap.first_lsn));
    gaps.dedup_by(|later, earlier| {
        later.by_checkpoint == earlier.by_checkpoint && later.through_lsn == earlier.through_lsn
    });
    assert!(gaps.len() <= 2, "one end of the journal and one checkpoint");
}
