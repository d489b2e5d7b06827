//! What a journal is found to hold: all headers and seals, the intact spans of records, the holes between
//! them, and what each hole means.
//!
//! A survey only reads. It produces facts ([`Survey`]) and judges each damaged place by [`decide`]; what is
//! then done to the files is `opening.rs`. Records of finished segments that a checkpoint covers are not read
//! here.

mod conclude;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::begin::{Begin, Pruned};
use crate::checkpoint::Named;
use crate::decide::Row;
use crate::error::OpenError;
use crate::frame::Flaw;
use crate::layout::{
    DeclaredGap, FORMAT_VERSION, Header, HeaderFlaw, NO_ROOT, PAGE_BYTES, Root, forget_marks,
};
use crate::roots::{Before, Unhashed};
use crate::segment::{open_segment, packed_name, segment_file, segment_name};
use crate::storage::{Live, Source, StorageRead};
use crate::{Checkpoint, Config, Identity, Lsn, Progress, checkpoint};
use conclude::conclude;
use walk::Walk;
pub(crate) use walk::{content_end, rebuilt};

/// Damaged places told apart in one journal; the last one then stands for all that follows.
const WOUNDS_MAX: usize = 1000;

/// Segments in a row that a listing does not name and that are looked for all the same.
const MISSING_MAX: usize = 64;

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
    /// Offset of the first damaged frame; in a compressed segment, as it was before.
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
    /// One of the two block lists of a compressed segment is damaged; the other one stands.
    ListDamaged {
        /// File name.
        file: String,
    },
    /// Files of segments that were pruned are still there: an interrupted pruning left them, or somebody put them there.
    Hidden {
        /// Number of the first of them.
        first: u64,
        /// Number of the last.
        last: u64,
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
    /// What was dropped from the beginning, if anything was.
    pub pruned: Option<Pruned>,
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
    /// Bytes of its file; of a compressed one, before it was.
    pub(crate) file_bytes: u64,
    /// Whether it is compressed; such a file is never written again.
    pub(crate) packed: bool,
    /// Whether the header page itself was whole.
    pub(crate) header_whole: bool,
    /// Where its records end, when they were followed or believed to there.
    pub(crate) end: Option<u64>,
    /// Its root, when it was computed or its seal tells it.
    pub(crate) root: Option<Root>,
    /// Whether its seal stands behind its records; such a file may be cut behind it.
    pub(crate) sealed: bool,
}

/// What became of the newest segment's end.
#[derive(Clone, Debug)]
pub(crate) enum TailEnd {
    /// It is sealed already.
    Sealed,
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
    pub(crate) begin: Begin,
    pub(crate) segments: Vec<Segment>,
    pub(crate) spans: Vec<Span>,
    /// Declared gaps with the number of the declaring segment; damage found now has `u64::MAX`.
    pub(crate) gaps: Vec<(u64, DeclaredGap)>,
    pub(crate) fresh: Vec<DeclaredGap>,
    pub(crate) tail: TailEnd,
    pub(crate) last_number: u64,
    pub(crate) chain: u32,
    pub(crate) root: Option<Root>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    pub(crate) report: RecoveryReport,
}

impl Survey {
    /// The number of the segment that a span lies in.
    pub(crate) fn number_of(&self, span: &Span) -> u64 {
        self.segments[span.segment].header.number
    }

    /// What the root of the next segment builds on: the newest root that is known, and every segment behind it. A
    /// segment with a hole has no root, and zeros stand for it.
    pub(crate) fn before(&self) -> Before {
        let mut unhashed = Vec::new();
        let whole = self.root.is_some() || matches!(self.tail, TailEnd::Sealed | TailEnd::Open { .. });
        for (index, segment) in self.segments.iter().enumerate().rev() {
            let is_newest = index + 1 == self.segments.len();
            let follows = is_newest || self.segments[index + 1].header.number == segment.header.number + 1;
            let known = if is_newest { self.root } else { segment.root };
            if let Some(root) = known
                && follows
            {
                return Before { root, unhashed };
            }
            let Some(end) = segment.end.filter(|_| follows && (whole || !is_newest)) else { break };
            unhashed.insert(0, Unhashed { header: segment.header.clone(), end });
            if segment.header.root_before != NO_ROOT {
                return Before { root: segment.header.root_before, unhashed };
            }
        }
        let first = self.segments.first().map_or(self.begin.number + 1, |s| s.header.number);
        if unhashed.len() == self.segments.len() && first == self.begin.number + 1 {
            return Before { root: self.begin.root, unhashed };
        }
        Before { root: NO_ROOT, unhashed }
    }
}

/// One segment file of a directory.
pub(crate) struct Listed {
    /// Its header page; empty when it cannot be read.
    pub(crate) page: Vec<u8>,
    /// Bytes of the segment, as far as they may be looked at.
    pub(crate) bytes: u64,
    /// Whether it is compressed.
    pub(crate) packed: bool,
    /// The version a compressed file needs, when that is newer than this program's.
    pub(crate) newer: Option<u16>,
}

/// The segments and checkpoints of a directory, headers read and nothing judged yet.
pub(crate) struct Listing {
    /// The segments from where the journal begins.
    pub(crate) files: BTreeMap<u64, Listed>,
    /// Where that is, and of which journal.
    begin: Option<(Identity, Begin)>,
    /// Segments that were dropped and whose files are still there.
    pub(crate) dropped: Vec<u64>,
    pub(crate) checkpoints: Vec<Named>,
    pub(crate) damaged_checkpoints: Vec<String>,
}

impl Listed {
    /// Looks at segment `number`; `None` when there is none.
    fn read<R: StorageRead>(read: &R, number: u64) -> Result<Option<Listed>, OpenError> {
        let file = match open_segment(read, number) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(OpenError::io("open", &segment_name(number), &e)),
        };
        let bytes = file.bytes().map_err(|e| OpenError::io("read", &file.name(), &e))?;
        let mut page = vec![0; PAGE_BYTES as usize];
        let n = file.read_at(0, &mut page).unwrap_or(0);
        page.truncate(n);
        Ok(Some(Listed { page, bytes, packed: file.is_packed(), newer: file.newer() }))
    }
}

impl Listing {
    /// Reads the directory. Every header page that cannot be read counts as empty.
    pub(crate) fn read<R: StorageRead>(read: &R) -> Result<Listing, OpenError> {
        let mut listing = Listing::read_files(read)?;
        (listing.checkpoints, listing.damaged_checkpoints) =
            checkpoint::load(read).map_err(|e| OpenError::io("list", ".", &e))?;
        if listing.files.is_empty() && listing.checkpoints.is_empty() && listing.begin.is_none() {
            return Err(OpenError::NoJournal);
        }
        Ok(listing)
    }

    /// As `read`, for those who only follow records: checkpoints are left alone unless there is nothing else, since
    /// reading and hashing them at every change of segment would cost more than the records.
    pub(crate) fn headers<R: StorageRead>(read: &R) -> Result<Listing, OpenError> {
        let listing = Listing::read_files(read)?;
        if listing.files.is_empty() { Listing::read(read) } else { Ok(listing) }
    }

    fn read_files<R: StorageRead>(read: &R) -> Result<Listing, OpenError> {
        let entries = read.list().map_err(|e| OpenError::io("list", ".", &e))?;
        let numbers: BTreeSet<u64> =
            entries.iter().filter_map(|entry| segment_file(&entry.name)).map(|(number, _)| number).collect();
        let mut files = BTreeMap::new();
        let mut before = 0;
        for number in numbers {
            // A file that got another name while the directory was listed may be missing from the list.
            for missing in (before + 1..number).take(MISSING_MAX) {
                if let Some(listed) = Listed::read(read, missing)? {
                    files.insert(missing, listed);
                }
            }
            if let Some(listed) = Listed::read(read, number)? {
                files.insert(number, listed);
            }
            before = number;
        }
        let packed: BTreeSet<u64> = entries
            .iter()
            .filter_map(|entry| segment_file(&entry.name))
            .filter(|(_, packed)| *packed)
            .map(|(number, _)| number)
            .collect();
        let mut listing = Listing {
            files,
            begin: None,
            dropped: Vec::new(),
            checkpoints: Vec::new(),
            damaged_checkpoints: Vec::new(),
        };
        listing.find_begin(&packed);
        Ok(listing)
    }

    /// Takes out what lies before the newest page that says where the journal begins. A page of another journal says
    /// nothing: it stands there as a damaged segment.
    fn find_begin(&mut self, packed: &BTreeSet<u64>) {
        let newest = self.files.values().rev().find_map(|listed| Header::decode(&listed.page).ok());
        let found = self.files.iter().rev().find_map(|(number, listed)| {
            let (identity, begin) = Begin::decode(&listed.page)?;
            let ours = newest.as_ref().is_none_or(|header| header.identity == identity);
            (begin.number == *number && ours && !listed.packed).then_some((identity, begin))
        });
        let Some((identity, begin)) = found else { return };
        let left = self.files.split_off(&(begin.number + 1));
        self.dropped = std::mem::replace(&mut self.files, left).into_keys().collect();
        // Beside the page the segment that it stands for may lie under its other name.
        self.dropped.retain(|number| *number < begin.number || packed.contains(number));
        self.begin = Some((identity, begin));
    }

    /// Where this journal begins.
    pub(crate) fn begin(&self, identity: &Identity) -> Begin {
        let ours = self.begin.as_ref().filter(|(of, _)| of == identity);
        ours.map_or(Begin::FIRST, |(_, begin)| begin.clone())
    }

    /// The newest format version any whole header names, when it is newer than this program's.
    pub(crate) fn newer(&self) -> Option<(String, u16)> {
        self.files.iter().find_map(|(number, listed)| match Header::decode(&listed.page) {
            Err(HeaderFlaw::Newer(version)) if version > FORMAT_VERSION => {
                Some((self.name(*number), version))
            }
            Ok(_) | Err(HeaderFlaw::Newer(_) | HeaderFlaw::Damaged) => {
                listed.newer.map(|version| (self.name(*number), version))
            }
        })
    }

    /// The name of the file that segment `number` is read from.
    pub(crate) fn name(&self, number: u64) -> String {
        let packed = self.files.get(&number).is_some_and(|listed| listed.packed);
        if packed { packed_name(number) } else { segment_name(number) }
    }

    /// Who this journal is: the identity with this id if one is named and found, else the first found.
    pub(crate) fn identity(&self, journal_id: Option<[u8; 16]>) -> Option<Identity> {
        let headers = self.files.iter().filter_map(|(number, listed)| {
            Header::decode(&listed.page).ok().filter(|header| header.number == *number).map(|h| h.identity)
        });
        let others = self.checkpoints.iter().map(|named| named.identity);
        let all: Vec<Identity> =
            headers.chain(self.begin.iter().map(|(identity, _)| *identity)).chain(others).collect();
        let named = all.iter().find(|identity| Some(identity.journal_id) == journal_id);
        named.or(all.first()).copied()
    }
}

impl Listing {
    /// Beside a live writer: nothing behind the durable end exists yet.
    pub(crate) fn limit(&mut self, live: Live) {
        self.files.retain(|number, _| *number <= live.segment);
        if let Some(listed) = self.files.get_mut(&live.segment) {
            listed.bytes = listed.bytes.min(live.offset);
            // Marks and checkpoints may have been written since that end was looked at. What they prove beyond it is
            // true, and would read as a loss of what nobody has looked for yet.
            forget_marks(&mut listed.page);
        }
        self.checkpoints.retain(|named| named.checkpoint.lsn <= live.durable_lsn);
    }

    /// Drops the newest segment, every one that begins behind `lsn`, and the checkpoints, of which the newest is told.
    pub(crate) fn keep_finished_until(&mut self, lsn: Lsn, identity: &Identity) -> Lsn {
        let ours = self.checkpoints.iter().filter(|named| named.identity == *identity);
        let newest_checkpoint = ours.map(|named| named.checkpoint.lsn).max().unwrap_or(0);
        self.files.pop_last();
        while let Some(newest) = self.files.last_entry()
            && Header::decode(&newest.get().page).is_ok_and(|header| header.first_lsn > lsn)
        {
            newest.remove();
        }
        self.checkpoints.clear();
        self.damaged_checkpoints.clear();
        newest_checkpoint
    }

    /// All gaps that whole headers declare, with the number of the declaring segment.
    pub(crate) fn declared(&self) -> Vec<(u64, DeclaredGap)> {
        self.files
            .iter()
            .filter_map(|(number, listed)| Some((*number, Header::decode(&listed.page).ok()?)))
            .flat_map(|(number, header)| header.gaps.into_iter().map(move |gap| (number, gap)))
            .collect()
    }
}

/// How a journal is surveyed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depth {
    /// Records that a checkpoint at most at this LSN covers are believed, by headers, seals and the checkpoint's
    /// place.
    pub(crate) base_limit: Lsn,
    /// A gap that an opening left to a checkpoint counts as covered if there is one at most at this LSN, however much of
    /// the records is read.
    pub(crate) cover_limit: Lsn,
    /// A checkpoint that the listing does not show and that covers such a gap as well; 0 = none.
    pub(crate) cover_known: Lsn,
    /// Whether the newest segment that is looked at is finished too.
    pub(crate) all_finished: bool,
    /// Whether the newest segment is hashed as well, to check what its seal may say.
    pub(crate) hash_tail: bool,
}

/// Reads and judges a whole journal. Takes the checkpoints out of the listing.
pub(crate) fn survey<R: StorageRead>(
    read: &R,
    listing: &mut Listing,
    identity: Identity,
    config: Config,
    depth: Depth,
    progress: &mut dyn FnMut(Progress),
) -> Result<Survey, OpenError> {
    let mut ours = std::mem::take(&mut listing.checkpoints);
    let listing = &*listing;
    ours.retain(|named| named.identity == identity);
    let newest = ours.iter().find(|named| named.checkpoint.lsn <= depth.base_limit);
    let base = newest.map_or(0, |named| named.checkpoint.lsn);
    let place = newest.and_then(|named| named.place);
    let cover = ours.iter().find(|named| named.checkpoint.lsn <= depth.cover_limit);
    let cover = cover.map_or(0, |named| named.checkpoint.lsn).max(base).max(depth.cover_known);
    let begin = listing.begin(&identity);
    let checkpoints: Vec<Checkpoint> = ours.into_iter().map(|named| named.checkpoint).collect();
    let mut walk = Walk {
        read,
        listing,
        config,
        identity,
        begin: begin.clone(),
        base,
        place,
        segments: Vec::new(),
        spans: Vec::new(),
        wounds: Vec::new(),
        notes: Vec::new(),
        expected_lsn: begin.first_lsn,
        chain: begin.chain,
        root: begin.known_root(),
        sealed: begin.known_root().is_some(),
        root_before: begin.known_root(),
        sealed_before: begin.known_root().is_some(),
        records: 0,
        hash_tail: depth.hash_tail,
        proven: checkpoints.iter().map(|c| c.lsn).max().unwrap_or(0),
        row: Row::B,
        cut: None,
    };
    if let (Some(first), Some(last)) = (listing.dropped.first(), listing.dropped.last()) {
        walk.notes.push(Note::Hidden { first: *first, last: *last });
    }
    walk.notes.extend(
        listing.damaged_checkpoints.iter().map(|file| Note::CheckpointDamaged { file: file.clone() }),
    );
    let last_number = listing.files.keys().last().copied().unwrap_or(walk.begin.number);
    let whole = |number: u64| -> Option<Header> {
        let listed = listing.files.get(&number)?;
        Header::decode(&listed.page).ok().filter(|h| h.number == number && h.identity == identity)
    };
    let mut tail = TailEnd::Untouchable;
    for number in walk.begin.number + 1..=last_number {
        let Some(listed) = listing.files.get(&number) else {
            walk.wound(number, PAGE_BYTES, 0, Flaw::Short, Proof::FinishedSegment);
            continue;
        };
        let next = whole(number + 1);
        let header = match whole(number) {
            Some(header) => Some((header, true)),
            None => walk.reconstruct(number, listed.bytes, next.as_ref())?.map(|header| (header, false)),
        };
        let Some((header, header_whole)) = header else {
            walk.lost_header(number, listed.bytes, number == last_number);
            continue;
        };
        walk.enter(header, listed, header_whole);
        progress(Progress { segment: number, segments: last_number, records: walk.records });
        if number == last_number && listed.packed {
            // Only what was sealed and durable was ever compressed, whatever became of those behind it.
            walk.older(None)?;
            tail = if walk.sealed { TailEnd::Sealed } else { TailEnd::Untouchable };
        } else if number == last_number && !depth.all_finished {
            tail = walk.tail()?;
        } else {
            walk.older(next.as_ref())?;
        }
    }
    Ok(conclude(walk, last_number, checkpoints, tail, cover))
}

#[cfg(test)]
mod tests;
