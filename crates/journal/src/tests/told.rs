//! What is told of damage, to the LSN and the byte.
//!
//! Each thing that is stored (a frame of a batch, a header page, a seal, a mark, a checkpoint, a file) is hurt or not.
//! What must be told follows from which ones are: it is reckoned here, from where they lie alone, and compared with all
//! that an opening reports.

use super::*;
use crate::{Cut, Damage, DeclaredGap, Finding, Flaw, GapEvidence, Note, Proof, Row, verify};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const PAGE: usize = 4096;
const MARKS: [usize; 2] = [3072, 3584];

/// One thing that is hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hurt {
    /// A byte in the payload of one frame of a batch.
    Frame(usize, usize),
    /// A whole batch, to zeros.
    Zeros(usize),
    /// A seal.
    Seal(u64),
    /// A header page, but for its marks.
    Header(u64),
    /// The marks of a header page.
    Marks(u64),
    /// The checkpoint.
    Checkpoint,
    /// The device gives no page with this number of a file.
    Unreadable(u64, u64),
    /// A file is gone.
    Missing(u64),
}

/// A batch as it lies in its file.
#[derive(Clone, Debug)]
struct Batch {
    segment: u64,
    offset: u64,
    first: u64,
    last: u64,
    /// What its first frame says was durable.
    durable: u64,
    frames: Vec<u64>,
}

/// A journal and where everything in it lies.
struct Laid {
    disk: MemStorage,
    records: Vec<Owned>,
    batches: Vec<Batch>,
    /// Offset of the seal of each finished segment.
    seals: BTreeMap<u64, u64>,
    /// What the newest mark of each segment says.
    marks: BTreeMap<u64, u64>,
    epochs: BTreeMap<u64, u64>,
    last: u64,
    checkpoint: u64,
    config: crate::Config,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

fn long_word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Laid {
    /// Three lives in five segments: two processes that were killed, and one that was killed or stopped cleanly.
    fn new(scale: u64, checkpoint_at: Option<u64>, closed: bool) -> Laid {
        let config = crate::Config { segment_bytes: scale * SMALL.segment_bytes, ..SMALL };
        let disk = MemStorage::new();
        let (mut records, mut checkpoint) = (Vec::new(), 0);
        for life in 0..3_u64 {
            let mut writer = match life {
                0 => create(disk.clone(), ID, config).expect("an empty disk"),
                _ => recover_with(&disk, config).expect("it was only killed").0,
            };
            let rotations = [1, 1, 0][life as usize];
            let mut left = 14;
            while left > 0 {
                let mut batch = batch_of(writer.next_lsn(), 1 + (writer.next_lsn() * 7 / 3) % 4, life);
                for record in &mut batch {
                    let length = scale * (300 + (record.lsn * 331) % 900);
                    record.payload.resize(length as usize, 0x30 + record.lsn as u8 % 64);
                }
                writer.append(&new_records(&batch), Room::Normal).expect("room");
                records.extend(batch);
                left -= u32::from(writer.stats().rotations >= rotations);
                if left % 4 == 0 {
                    writer.sync().expect("a good disk");
                }
                if left == 7 {
                    writer.sync().expect("a good disk");
                    writer.mark().expect("a good disk");
                }
                let due = checkpoint_at.is_some_and(|at| checkpoint == 0 && writer.durable_lsn() >= at);
                if due {
                    checkpoint = writer.durable_lsn();
                    writer.checkpoint(checkpoint, [1; 32], b"state").expect("a good disk");
                }
            }
            let batch = batch_of(writer.next_lsn(), 3, life);
            writer.append(&new_records(&batch), Room::Normal).expect("room");
            records.extend(batch);
            if life == 2 && closed {
                writer.close().expect("a good disk");
            }
        }
        let disk = disk.kill();
        let last = disk.names().iter().filter(|name| name.ends_with(".seg")).count() as u64;
        let mut laid = Laid {
            disk,
            records,
            batches: Vec::new(),
            seals: BTreeMap::new(),
            marks: BTreeMap::new(),
            epochs: BTreeMap::new(),
            last,
            checkpoint,
            config,
        };
        for number in 1..=last {
            laid.lay(number);
        }
        assert_eq!(laid.batches.last().map(|b| b.last), Some(laid.records.len() as u64));
        assert!(checkpoint_at.is_none() || checkpoint > 0);
        laid
    }

    /// Finds everything in one segment, by the document alone.
    fn lay(&mut self, number: u64) {
        let bytes = self.disk.file(&name(number)).expect("it is there");
        self.epochs.insert(number, long_word(&bytes, 40));
        let marks = MARKS.iter().map(|at| long_word(&bytes, *at)).max().unwrap_or(0);
        self.marks.insert(number, marks);
        let mut at = PAGE;
        while at + 8 <= bytes.len() && word(&bytes, at) != 0 {
            let head = word(&bytes, at);
            if head >> 31 == 1 {
                self.seals.insert(number, at as u64);
                return;
            }
            let (lsn, first, end) = (long_word(&bytes, at + 8), head >> 25 & 1 == 1, head >> 24 & 1 == 1);
            if first {
                let durable = lsn - word(&bytes, at + 32);
                let frames = Vec::new();
                self.batches.push(Batch {
                    segment: number,
                    offset: at as u64,
                    first: lsn,
                    last: 0,
                    durable,
                    frames,
                });
            }
            let batch = self.batches.last_mut().expect("the first frame begins a batch");
            batch.frames.push(at as u64);
            batch.last = if end { lsn } else { batch.last };
            at += (32 + if first { 8 } else { 0 } + (head & 0xff_ffff) as usize).next_multiple_of(8);
        }
    }

    fn hurt(&self, hurts: &BTreeSet<Hurt>) -> MemStorage {
        let disk = self.disk.fork();
        let flip = |file: &str, at: u64| {
            let byte = disk.file(file).expect("it is there")[at as usize];
            disk.patch(file, at, &[byte ^ 0x40]);
        };
        for hurt in hurts {
            match *hurt {
                Hurt::Frame(batch, frame) => {
                    let batch = &self.batches[batch];
                    // Behind the fixed part, so that what is wrong is the checksum.
                    flip(&name(batch.segment), batch.frames[frame] + 41);
                }
                Hurt::Zeros(batch) => {
                    let end = self.end_of(batch);
                    let batch = &self.batches[batch];
                    disk.patch(&name(batch.segment), batch.offset, &vec![0; (end - batch.offset) as usize]);
                }
                Hurt::Seal(number) => flip(&name(number), self.seals[&number] + 9),
                Hurt::Header(number) => flip(&name(number), 50),
                Hurt::Marks(number) => {
                    let page = disk.file(&name(number)).expect("it is there");
                    let there = MARKS.iter().filter(|at| page[**at..**at + 20].iter().any(|byte| *byte != 0));
                    there.for_each(|at| flip(&name(number), *at as u64));
                }
                Hurt::Checkpoint => {
                    let file = disk.names().into_iter().find(|name| name.ends_with(".ckpt"));
                    file.iter().for_each(|file| flip(file, 115));
                }
                Hurt::Unreadable(number, page) => disk.read_error(&name(number), page),
                // Last, when nothing else is to be hurt in it.
                Hurt::Missing(number) => disk.remove_file(&name(number)),
            }
        }
        disk
    }

    /// Offset behind a batch.
    fn end_of(&self, batch: usize) -> u64 {
        let segment = self.batches[batch].segment;
        match self.batches.get(batch + 1).filter(|next| next.segment == segment) {
            Some(next) => next.offset,
            None => self.seals.get(&segment).copied().unwrap_or_else(|| {
                let bytes = self.disk.file(&name(segment)).expect("it is there");
                let last = bytes.iter().rposition(|byte| *byte != 0).expect("records") as u64;
                (last + 1).next_multiple_of(8)
            }),
        }
    }
}

/// Everything that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    row: Row,
    notes: Vec<Note>,
    gaps: Vec<GapEvidence>,
    first_gap: Option<GapEvidence>,
    cut: Option<Cut>,
    epoch: u64,
    segments: u64,
    last_lsn: u64,
    next_lsn: u64,
    checkpoint_lsn: u64,
    verified: u64,
}

impl Told {
    fn of(report: &RecoveryReport) -> Told {
        Told {
            row: report.row,
            notes: report.notes.clone(),
            gaps: report.gaps.clone(),
            first_gap: report.gap.clone(),
            cut: report.cut.clone(),
            epoch: report.epoch,
            segments: report.segments,
            last_lsn: report.last_lsn,
            next_lsn: report.next_lsn,
            checkpoint_lsn: report.checkpoint_lsn,
            verified: report.records_verified,
        }
    }
}

/// A damaged place, before it is known what it costs.
struct Place {
    segment: u64,
    offset: u64,
    bytes: u64,
    first: u64,
    flaw: Flaw,
    proof: Proof,
}

/// Reckons what must be told.
struct Reckoning<'a> {
    laid: &'a Laid,
    hurts: &'a BTreeSet<Hurt>,
    disk: &'a MemStorage,
    /// LSN of the checkpoint, if it is whole.
    base: u64,
    places: Vec<Place>,
    notes: Vec<Note>,
    /// Stretches of records that are believed: first and last LSN.
    spans: Vec<(u64, u64)>,
    verified: u64,
    proven: u64,
    /// The LSN that comes next, and whether what the next segment continues is known.
    expected: u64,
    chained: bool,
    /// Whether the segment before was read.
    entered: bool,
    rebuilt: u64,
    epochs: Vec<u64>,
    row: Row,
    cut: Option<Cut>,
}

impl Reckoning<'_> {
    fn is(&self, hurt: Hurt) -> bool {
        self.hurts.contains(&hurt)
    }

    fn whole(&self, batch: usize) -> bool {
        (0..self.laid.batches[batch].frames.len()).all(|frame| self.flaw_of(batch, frame).is_none())
    }

    /// What is wrong with one frame.
    fn flaw_of(&self, batch: usize, frame: usize) -> Option<Flaw> {
        let frames = &self.laid.batches[batch].frames;
        let from = frames[frame];
        let until = frames.get(frame + 1).copied().unwrap_or_else(|| self.laid.end_of(batch));
        let number = self.laid.batches[batch].segment;
        if self.is(Hurt::Zeros(batch)) {
            // Of zeros no more is looked at than the head of a frame.
            return Some(if self.readable(number, from, from + 40) { Flaw::Zeros } else { Flaw::Unreadable });
        }
        if !self.readable(number, from, until) {
            return Some(Flaw::Unreadable);
        }
        self.is(Hurt::Frame(batch, frame)).then_some(Flaw::Checksum)
    }

    fn readable(&self, number: u64, from: u64, until: u64) -> bool {
        (from / PAGE as u64..=(until - 1) / PAGE as u64).all(|page| !self.is(Hurt::Unreadable(number, page)))
    }

    /// Whether any page from the one with this offset on cannot be read.
    fn unreadable_behind(&self, number: u64, from: u64) -> bool {
        let page = from / PAGE as u64;
        self.hurts.iter().any(|hurt| matches!(hurt, Hurt::Unreadable(n, p) if *n == number && *p >= page))
    }

    /// Whether the frame that says what was durable is whole.
    fn claims(&self, batch: usize) -> bool {
        self.flaw_of(batch, 0).is_none()
    }

    /// Whether the header page of a segment can be read.
    fn headed(&self, number: u64) -> bool {
        number <= self.laid.last
            && ![Hurt::Missing(number), Hurt::Header(number), Hurt::Unreadable(number, 0)]
                .iter()
                .any(|hurt| self.is(*hurt))
    }

    /// Whether the seal of a finished segment can be read.
    fn sealed(&self, number: u64) -> bool {
        let seal = self.laid.seals.get(&number);
        seal.is_some_and(|at| !self.is(Hurt::Seal(number)) && self.readable(number, *at, *at + 72))
    }

    fn content_end(&self, number: u64, from: u64) -> u64 {
        let bytes = self.disk.file(&name(number)).expect("it is there");
        let last = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
        // What cannot be read may be anything.
        let pages = bytes.len() as u64 / PAGE as u64;
        let page = (0..=pages).rev().find(|page| self.is(Hurt::Unreadable(number, *page)));
        let unread = page.map_or(0, |page| ((page + 1) * PAGE as u64).min(bytes.len() as u64));
        last.max(unread).max(from)
    }

    fn place(&mut self, segment: u64, offset: u64, bytes: u64, flaw: Flaw, proof: Proof) {
        let proof = if flaw == Flaw::Unreadable { Proof::DeviceError } else { proof };
        self.places.push(Place { segment, offset, bytes, first: self.expected, flaw, proof });
    }

    fn accept(&mut self, batch: usize) {
        let Batch { first, last, .. } = self.laid.batches[batch];
        match self.spans.last_mut() {
            Some(span) if span.1 + 1 == first && span.1 != 0 => span.1 = last,
            Some(_) | None => self.spans.push((first, last)),
        }
        self.verified += last + 1 - first;
        self.expected = last + 1;
    }

    fn segment(&mut self, number: u64) {
        let newest = number == self.laid.last;
        if self.is(Hurt::Missing(number)) {
            self.place(number, PAGE as u64, 0, Flaw::Short, Proof::FinishedSegment);
            self.entered = false;
            return;
        }
        let batches: Vec<usize> =
            (0..self.laid.batches.len()).filter(|at| self.laid.batches[*at].segment == number).collect();
        let first = self.laid.batches[batches[0]].first;
        let headed = self.headed(number);
        if !headed && !((number == 1 || self.entered) && self.chained && self.whole(batches[0])) {
            let bytes = self.disk.file(&name(number)).expect("it is there").len() as u64;
            self.place(number, 0, bytes, Flaw::Checksum, Proof::FinishedSegment);
            self.entered = false;
            self.chained = false;
            if newest {
                self.proven = self.proven.max(self.expected + (bytes - PAGE as u64) / 32);
            }
            return;
        }
        self.entered = true;
        self.epochs.push(self.laid.epochs[&number]);
        self.rebuilt += u64::from(!headed);
        if self.laid.marks[&number] > 0 && !self.is(Hurt::Unreadable(number, 0)) {
            if self.is(Hurt::Marks(number)) {
                self.notes.push(Note::MarkDamaged { file: name(number) });
            } else {
                self.proven = self.proven.max(self.laid.marks[&number]);
            }
        }
        if !headed {
            self.notes.push(Note::HeaderDamaged { file: name(number) });
        }
        self.expected = first;
        // A stretch ends with its segment.
        self.spans.push((first, first - 1));
        let start = self.believed(number, &batches);
        if newest { self.tail(number, &batches, start) } else { self.older(number, &batches, start) }
    }

    /// Takes over what the checkpoint covers; the index of the first batch that is read.
    fn believed(&mut self, number: u64, batches: &[usize]) -> usize {
        let last = self.laid.batches[*batches.last().expect("batches")].last;
        let first = self.expected;
        if !self.headed(number) {
            return 0;
        }
        if self.sealed(number) && last <= self.base {
            self.spans.push((first, last));
            self.expected = last + 1;
            return batches.len();
        }
        let at = batches.iter().position(|batch| self.laid.batches[*batch].last == self.base);
        match at.filter(|at| self.whole(batches[*at])) {
            Some(at) => {
                self.spans.push((first, self.base));
                self.spans.push((self.base + 1, self.base));
                self.expected = self.base + 1;
                at + 1
            }
            None => 0,
        }
    }

    /// What is wrong with the first frame of a batch with which anything is.
    fn flaw(&self, batch: usize) -> Flaw {
        let frames = self.laid.batches[batch].frames.len();
        (0..frames).find_map(|frame| self.flaw_of(batch, frame)).expect("something is wrong")
    }

    /// The next whole batch from `at` on.
    fn next_whole(&self, batches: &[usize], at: usize) -> Option<usize> {
        (at..batches.len()).find(|at| self.whole(batches[*at]))
    }

    fn older(&mut self, number: u64, batches: &[usize], start: usize) {
        let mut at = start;
        while at < batches.len() {
            let batch = batches[at];
            if self.whole(batch) {
                self.accept(batch);
                self.proven = self.proven.max(self.expected - 1);
                at += 1;
                continue;
            }
            let offset = self.laid.batches[batch].offset;
            let next = self.next_whole(batches, at);
            let until = match next {
                Some(next) => self.laid.batches[batches[next]].offset,
                None => self.content_end(number, offset),
            };
            self.place(number, offset, until - offset, self.flaw(batch), Proof::FinishedSegment);
            self.proven = self.proven.max(self.expected);
            let Some(next) = next else {
                let last = self.laid.batches[*batches.last().expect("batches")].last;
                self.chained = self.sealed(number);
                self.expected = if self.chained { last + 1 } else { self.expected };
                return;
            };
            self.spans
                .push((self.laid.batches[batches[next]].first, self.laid.batches[batches[next]].first - 1));
            at = next;
        }
        self.chained = true;
        if !self.sealed(number) {
            if self.headed(number + 1) {
                self.notes.push(Note::SealDamaged { file: name(number) });
            } else {
                let offset = self.laid.seals[&number];
                let bytes = self.content_end(number, offset) - offset;
                let readable = self.readable(number, offset, offset + 40);
                let flaw = if readable { Flaw::Seal } else { Flaw::Unreadable };
                self.place(number, offset, bytes, flaw, Proof::FinishedSegment);
                self.proven = self.proven.max(self.expected);
            }
        }
    }

    fn tail(&mut self, number: u64, batches: &[usize], start: usize) {
        let mut at = start;
        let mut looked = false;
        loop {
            if at < batches.len() && self.whole(batches[at]) {
                self.proven = self.proven.max(self.laid.batches[batches[at]].durable);
                self.accept(batches[at]);
                at += 1;
                continue;
            }
            let offset = if at < batches.len() {
                self.laid.batches[batches[at]].offset
            } else {
                self.end_of_all(batches)
            };
            let unreadable = self.unreadable_behind(number, offset);
            let clear = !unreadable && (at..batches.len()).all(|at| self.is(Hurt::Zeros(batches[at])));
            let claimed = (at..batches.len())
                .filter(|at| self.claims(batches[*at]))
                .map(|at| self.laid.batches[batches[at]].durable)
                .max()
                .unwrap_or(0);
            self.proven = self.proven.max(claimed);
            let next = self.next_whole(batches, at);
            let content = self.content_end(number, offset);
            if self.proven < self.expected && !unreadable {
                if clear {
                    self.row = Row::B;
                    return;
                }
                let behind: Vec<&Batch> = (at..batches.len())
                    .filter(|at| self.whole(batches[*at]))
                    .map(|at| &self.laid.batches[batches[at]])
                    .collect();
                self.row = if next.is_some() { Row::D } else { Row::C };
                self.cut = Some(Cut {
                    row: self.row,
                    segment: number,
                    offset,
                    bytes: content - offset,
                    first_lsn: self.expected,
                    last_lsn_seen: behind.last().map_or(0, |batch| batch.last),
                    records: behind.iter().map(|batch| batch.frames.len() as u64).sum(),
                });
                return;
            }
            let flaw = match at {
                _ if unreadable => Flaw::Unreadable,
                _ if at < batches.len() => self.flaw(batches[at]),
                _ => Flaw::Zeros,
            };
            let claimed = if looked { 0 } else { claimed };
            looked |= !clear;
            let proof = if self.base >= self.expected && claimed < self.expected {
                Proof::Checkpoint(self.base)
            } else {
                Proof::DurableLsn(self.proven)
            };
            let until = next.map_or(content, |next| self.laid.batches[batches[next]].offset);
            self.place(number, offset, until - offset, flaw, proof);
            self.proven = self.proven.max(self.expected);
            let Some(next) = next else { return };
            self.spans
                .push((self.laid.batches[batches[next]].first, self.laid.batches[batches[next]].first - 1));
            at = next;
        }
    }

    /// What a reader shows, each with whether it stands behind damage, and the damage that it tells of.
    fn read(&self) -> (Vec<(u64, bool)>, Vec<Damage>) {
        let (mut shown, mut damages) = (Vec::new(), Vec::new());
        let damage = |segment, offset, lsn, flaw| Damage { file: name(segment), segment, offset, lsn, flaw };
        let unheaded = |number, lsn| {
            let missing = self.is(Hurt::Missing(number));
            damage(number, 0, lsn, if missing { Flaw::Short } else { Flaw::Checksum })
        };
        let mut number = 0;
        let mut expected = 1;
        let mut chained = true;
        while number < self.laid.last {
            let after = number + 1;
            let first = self.laid.batches.iter().position(|batch| batch.segment == after).expect("batches");
            // As when it is opened: what its header must be follows from what is before it.
            let rebuilt = chained && !self.is(Hurt::Missing(after)) && self.whole(first);
            let found =
                (after..=self.laid.last).find(|number| self.headed(*number) || (*number == after && rebuilt));
            let Some(next) = found else {
                damages.push(unheaded(after, expected));
                break;
            };
            if next != after {
                damages.push(unheaded(after, expected));
            }
            number = next;
            let newest = number == self.laid.last;
            let batches: Vec<usize> =
                (0..self.laid.batches.len()).filter(|at| self.laid.batches[*at].segment == number).collect();
            let mut at = 0;
            while at < batches.len() {
                let batch = &self.laid.batches[batches[at]];
                expected = batch.first;
                if self.whole(batches[at]) {
                    shown.extend((batch.first..=batch.last).map(|lsn| (lsn, !damages.is_empty())));
                    expected = batch.last + 1;
                    at += 1;
                    continue;
                }
                let flaw = self.flaw(batches[at]);
                if newest && !self.says_durable(number, &batches[at..], flaw) {
                    return (shown, damages);
                }
                damages.push(damage(number, batch.offset, batch.first, flaw));
                let Some(next) = self.next_whole(&batches, at) else { break };
                at = next;
            }
            chained = at >= batches.len();
            if !chained || self.sealed(number) {
                continue;
            }
            let offset = self.end_of_all(&batches);
            let readable = self.readable(number, offset, offset + 40);
            if newest && !readable {
                damages.push(damage(number, offset, expected, Flaw::Unreadable));
            }
            if !newest && !self.headed(number + 1) {
                let flaw = if readable { Flaw::Seal } else { Flaw::Unreadable };
                damages.push(damage(number, offset, expected, flaw));
            }
        }
        (shown, damages)
    }

    /// Whether a reader takes what is missing from the first of these batches on for durable.
    fn says_durable(&self, number: u64, batches: &[usize], flaw: Flaw) -> bool {
        let batch = &self.laid.batches[batches[0]];
        let marked = !self.is(Hurt::Marks(number))
            && !self.is(Hurt::Unreadable(number, 0))
            && self.laid.marks[&number] >= batch.first;
        let mut claims = batches.iter().filter(|batch| self.claims(**batch));
        flaw == Flaw::Unreadable || marked || claims.any(|at| self.laid.batches[*at].durable >= batch.first)
    }

    fn end_of_all(&self, batches: &[usize]) -> u64 {
        self.laid.end_of(*batches.last().expect("batches"))
    }

    /// What each damaged place costs.
    fn sum(self) -> Told {
        let spans: Vec<(u64, u64)> = self.spans.into_iter().filter(|(first, last)| last >= first).collect();
        let spans_end = spans.iter().map(|span| span.1).max().unwrap_or(0);
        let end = spans_end.max(self.proven).max(self.expected - 1);
        let mut last_lsn = spans_end.max(self.expected - 1).max(self.base);
        let mut next_lsn = end + 1;
        let mut gaps = Vec::new();
        let mut worst: Option<GapEvidence> = None;
        for place in &self.places {
            let resumes = spans.iter().map(|span| span.0).filter(|first| *first > place.first).min();
            let lost = resumes.map_or(end, |first| first - 1).max(place.first);
            let covered = lost <= self.base;
            let behind: u64 =
                spans.iter().map(|(first, last)| (last + 1).saturating_sub((*first).max(lost + 1))).sum();
            let gap = GapEvidence {
                first_lsn: place.first,
                last_lsn: if covered { lost } else { end },
                through_lsn: if covered { self.base } else { end },
                bytes: place.bytes,
                segment: place.segment,
                file: name(place.segment),
                offset: place.offset,
                flaw: place.flaw,
                proof: place.proof,
                intact_behind: if covered { 0 } else { behind },
            };
            if !covered {
                last_lsn = last_lsn.min(place.first.max(self.base + 1) - 1);
                next_lsn = next_lsn.max(place.first.max(self.base + 1) + 1);
                if worst.as_ref().is_none_or(|worst| gap.first_lsn < worst.first_lsn) {
                    worst = Some(gap.clone());
                }
            }
            gaps.push(gap);
        }
        let unread = self.places.iter().filter(|place| place.offset == 0).count() as u64;
        Told {
            row: if gaps.is_empty() { self.row } else { Row::E },
            notes: self.notes,
            first_gap: worst.or_else(|| gaps.first().cloned()),
            gaps,
            cut: self.cut,
            epoch: self.epochs.iter().max().copied().unwrap_or(0) + 1 + self.rebuilt + unread,
            segments: self.epochs.len() as u64,
            last_lsn,
            next_lsn,
            checkpoint_lsn: self.base,
            verified: self.verified,
        }
    }
}

fn name(number: u64) -> String {
    format!("{number:010}.seg")
}

/// What is told when records that a checkpoint covers are believed, or when all are read.
fn reckon<'a>(
    laid: &'a Laid,
    hurts: &'a BTreeSet<Hurt>,
    disk: &'a MemStorage,
    believing: bool,
) -> Reckoning<'a> {
    let damaged = laid.checkpoint > 0 && hurts.contains(&Hurt::Checkpoint);
    let checkpoint = if damaged { 0 } else { laid.checkpoint };
    let base = if believing { checkpoint } else { 0 };
    let mut reckoning = Reckoning {
        laid,
        hurts,
        disk,
        base,
        places: Vec::new(),
        notes: Vec::new(),
        spans: Vec::new(),
        verified: 0,
        proven: checkpoint,
        expected: 1,
        chained: true,
        entered: false,
        rebuilt: 0,
        epochs: Vec::new(),
        row: Row::B,
        cut: None,
    };
    if damaged {
        let file = format!("{:020}.ckpt", laid.checkpoint);
        reckoning.notes.push(Note::CheckpointDamaged { file });
    }
    for number in 1..=laid.last {
        reckoning.segment(number);
    }
    reckoning
}

/// What the next segment declares: what a checkpoint holds up to that, and the rest up to the end, each as one gap.
fn declared(told: &Told) -> Vec<DeclaredGap> {
    let base = told.checkpoint_lsn;
    let firsts = || told.gaps.iter().map(|gap| gap.first_lsn);
    let held = firsts().filter(|first| *first <= base).min();
    let open =
        told.gaps.iter().filter(|gap| gap.through_lsn > base).map(|gap| gap.first_lsn.max(base + 1)).min();
    let gap = |first_lsn, through_lsn, by_checkpoint| DeclaredGap { first_lsn, through_lsn, by_checkpoint };
    let open = open.map(|first| gap(first, told.next_lsn - 1, false));
    open.into_iter().chain(held.map(|first| gap(first, base, true))).collect()
}

/// Hurts a journal, compares what is told, and goes on with it.
fn check(laid: &Laid, hurts: &BTreeSet<Hurt>) {
    let disk = laid.hurt(hurts);
    let expected = reckon(laid, hurts, &disk, true).sum();
    let all = reckon(laid, hurts, &disk, false);
    let (shows, damages) = all.read();
    if (1..=laid.last).any(|number| all.headed(number)) {
        let (shown, met) =
            read_all(crate::Storage::reader(&disk)).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
        assert_eq!(met, damages, "{hurts:?}");
        assert_eq!(
            shown.iter().map(|(record, behind)| (record.lsn, *behind)).collect::<Vec<_>>(),
            shows,
            "{hurts:?}"
        );
        assert!(
            shown.iter().all(|(record, _)| *record == laid.records[record.lsn as usize - 1]),
            "{hurts:?}"
        );
    }
    if let Ok(mut reader) = JournalReader::open(crate::Storage::reader(&disk)) {
        for lsn in [1, 2, 90, laid.records.len() as u64] {
            reader.seek(lsn).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
            let mut found = Vec::new();
            loop {
                match reader.next() {
                    Ok(Some(record)) => found.push(record.lsn),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            let behind = shows.iter().map(|(shown, _)| *shown).filter(|shown| *shown >= lsn);
            assert_eq!(found, behind.collect::<Vec<_>>(), "{hurts:?} from {lsn}");
        }
    }
    let all = all.sum();
    let opened =
        || crate::open(disk.clone(), EXPECT, laid.config).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let report = verify(&crate::Storage::reader(&disk), |_| ()).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let found =
        all.gaps.iter().cloned().map(Finding::Rot).chain(all.notes.iter().cloned().map(Finding::Note));
    assert_eq!(report.findings, found.collect::<Vec<_>>(), "{hurts:?}");
    let counts = (report.torn_tail, report.records, report.segments, report.last_lsn);
    assert_eq!(counts, (all.cut, all.verified, all.segments, all.last_lsn), "{hurts:?}");
    let mut opening = opened();
    let told = Told::of(opening.report());
    assert_eq!(told, expected, "{hurts:?}");
    let base = expected.checkpoint_lsn;
    let folded = folded(&mut opening, base + 1).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    assert!(folded[..] == laid.records[base as usize..expected.last_lsn as usize], "{hurts:?}");
    let older = opening.older(base);
    let (mut writer, _) = opening.finish().unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    // What the opening believed is looked at behind it, and what is found there is new.
    let place = |gap: &GapEvidence| (gap.segment, gap.offset, gap.bytes, gap.first_lsn, gap.flaw);
    let older = older.run().unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let known = declared(&expected);
    let is_known =
        |gap: &GapEvidence| known.iter().any(|k| (k.first_lsn..=k.through_lsn).contains(&gap.first_lsn));
    let unknown = all.gaps.iter().filter(|gap| gap.first_lsn <= base && !is_known(gap));
    assert_eq!(
        older.iter().map(place).collect::<Vec<_>>(),
        unknown.map(place).collect::<Vec<_>>(),
        "{hurts:?}"
    );
    let rotations = writer.stats().rotations + 1;
    let mut ours = Vec::new();
    while writer.stats().rotations < rotations {
        let mut batch = batch_of(writer.next_lsn(), 2, 9);
        batch.iter_mut().for_each(|record| record.payload.resize(laid.config.segment_bytes as usize / 7, 9));
        writer.append(&new_records(&batch), Room::Normal).expect("room");
        ours.extend(batch);
    }
    assert_eq!(ours[0].lsn, expected.next_lsn, "{hurts:?}");
    writer.close().expect("a good disk");
    // What was found once is not found again, and every root fits.
    let again = verify(&crate::Storage::reader(&disk), |_| ()).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let rot = again.findings.iter().filter_map(|finding| match finding {
        Finding::Rot(gap) => Some(place(gap)),
        Finding::Note(_) => None,
    });
    // But for what the check behind the opening found, which nobody has declared here.
    assert_eq!(rot.collect::<Vec<_>>(), older.iter().map(place).collect::<Vec<_>>(), "{hurts:?}");
    let mut opening = opened();
    assert_eq!(
        (&opening.report().gap, &opening.report().known_gaps),
        (&None, &declared(&expected)),
        "{hurts:?}"
    );
    let second = super::folded(&mut opening, base + 1).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    assert!(second[..folded.len()] == folded[..] && second[folded.len()..] == ours[..], "{hurts:?}");
}

/// The journals that are hurt, of segments that a reader's window holds and of longer ones: without and with checkpoints, in a finished segment and in the newest; stopped cleanly
/// and killed.
fn journals() -> &'static [Laid] {
    static LAID: std::sync::OnceLock<Vec<Laid>> = std::sync::OnceLock::new();
    LAID.get_or_init(|| {
        vec![
            Laid::new(1, None, false),
            Laid::new(1, None, true),
            Laid::new(1, Some(100), false),
            Laid::new(1, Some(1), true),
            Laid::new(6, Some(200), false),
            Laid::new(6, None, false),
        ]
    })
}

/// Everything that can be hurt alone, in the order in which it lies in the files.
fn all(laid: &Laid) -> Vec<Hurt> {
    let mut hurts = vec![Hurt::Checkpoint];
    for number in 1..=laid.last {
        hurts.extend([Hurt::Header(number), Hurt::Marks(number), Hurt::Unreadable(number, 0)]);
        let mut page = 1;
        for (at, batch) in laid.batches.iter().enumerate().filter(|(_, batch)| batch.segment == number) {
            hurts.push(Hurt::Zeros(at));
            hurts.extend((0..batch.frames.len()).map(|frame| Hurt::Frame(at, frame)));
            let end = laid.end_of(at) / PAGE as u64;
            hurts.extend((page..=end).map(|page| Hurt::Unreadable(number, page)));
            page = page.max(end + 1);
        }
        if number < laid.last {
            hurts.extend([Hurt::Seal(number), Hurt::Missing(number)]);
        } else {
            hurts.push(Hurt::Unreadable(number, page));
        }
    }
    hurts
}

#[test]
fn what_is_told_of_each_damage_is_what_was_done() {
    for laid in journals() {
        check(laid, &BTreeSet::new());
        for hurt in all(laid) {
            check(laid, &BTreeSet::from([hurt]));
        }
    }
    println!("{} damages", journals().iter().map(|laid| all(laid).len()).sum::<usize>());
}

/// What cannot be read behind a place is not what is wrong there, however close.
#[test]
fn what_is_told_of_a_lost_batch_is_not_the_unreadable_page_behind_its_beginning() {
    let mut pairs = 0;
    for laid in journals() {
        for (at, batch) in laid.batches.iter().enumerate() {
            let next = batch.offset / PAGE as u64 + 1;
            if next * PAGE as u64 - batch.offset <= 512 {
                check(laid, &BTreeSet::from([Hurt::Zeros(at), Hurt::Unreadable(batch.segment, next)]));
                pairs += 1;
            }
        }
    }
    assert!(pairs > 20, "{pairs}");
}

/// Where segments begin and end: what the one has lost decides what is known of the other.
#[test]
fn what_is_told_of_two_damages_around_a_change_of_segment_is_what_was_done() {
    let mut pairs = 0;
    for laid in &journals()[1..4] {
        let edges = |number: u64| {
            let of = |(_, batch): &(usize, &Batch)| batch.segment == number;
            let mut batches = laid.batches.iter().enumerate().filter(of).map(|(at, _)| at);
            let (first, last) =
                (batches.next().expect("batches"), batches.next_back().expect("more than one"));
            let frame = laid.batches[last].frames.len() - 1;
            let mut edges = vec![
                Hurt::Header(number),
                Hurt::Marks(number),
                Hurt::Unreadable(number, 0),
                Hurt::Zeros(first),
                Hurt::Frame(first, 0),
                Hurt::Zeros(last),
                Hurt::Frame(last, frame),
            ];
            if number < laid.last {
                edges.extend([Hurt::Seal(number), Hurt::Missing(number)]);
            }
            edges
        };
        for number in 1..=laid.last {
            let one = edges(number);
            let next = if number < laid.last { edges(number + 1) } else { Vec::new() };
            for (at, first) in one.iter().enumerate() {
                for second in one[at + 1..].iter().chain(&next) {
                    check(laid, &BTreeSet::from([*first, *second]));
                    pairs += 1;
                }
            }
        }
    }
    println!("{pairs} pairs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn what_is_told_of_any_damage_is_what_was_done(
        journal in 0_usize..6,
        near: prop::sample::Index,
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..7),
    ) {
        let laid = &journals()[journal];
        let all = all(laid);
        // Half of them close to each other: what matters is what lies beside what.
        let from = near.index(all.len());
        let hurts = picks.iter().map(|(pick, close)| {
            if *close { all[(from + pick.index(12)) % all.len()] } else { *pick.get(&all) }
        });
        check(laid, &hurts.collect());
    }
}
