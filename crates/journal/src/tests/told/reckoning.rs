//! What must be told of damage: reckoned from where the hurt things lie.

use super::super::*;
use super::laid::{Batch, Hurt, Laid, PAGE};
use crate::segment::segment_name;
use crate::{Cut, Damage, Flaw, GapEvidence, Note, Proof, Row};
use std::collections::BTreeSet;

/// Everything that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) row: Row,
    pub(super) notes: Vec<Note>,
    pub(super) gaps: Vec<GapEvidence>,
    pub(super) first_gap: Option<GapEvidence>,
    pub(super) cut: Option<Cut>,
    pub(super) epoch: u64,
    pub(super) segments: u64,
    pub(super) last_lsn: u64,
    pub(super) next_lsn: u64,
    pub(super) checkpoint_lsn: u64,
    pub(super) verified: u64,
}

impl Told {
    pub(super) fn of(report: &RecoveryReport) -> Told {
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
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) first: u64,
    pub(super) flaw: Flaw,
    pub(super) proof: Proof,
}

/// Reckons what must be told.
pub(super) struct Reckoning<'a> {
    pub(super) laid: &'a Laid,
    pub(super) hurts: &'a BTreeSet<Hurt>,
    pub(super) disk: &'a MemStorage,
    /// LSN of the checkpoint, if it is whole.
    pub(super) base: u64,
    pub(super) places: Vec<Place>,
    pub(super) notes: Vec<Note>,
    /// Stretches of records that are believed: first and last LSN.
    pub(super) spans: Vec<(u64, u64)>,
    pub(super) verified: u64,
    pub(super) proven: u64,
    /// The LSN that comes next, and whether what the next segment continues is known.
    pub(super) expected: u64,
    pub(super) chained: bool,
    /// Whether the segment before was read.
    pub(super) entered: bool,
    pub(super) rebuilt: u64,
    pub(super) epochs: Vec<u64>,
    pub(super) row: Row,
    pub(super) cut: Option<Cut>,
}

impl Reckoning<'_> {
    pub(super) fn is(&self, hurt: Hurt) -> bool {
        self.hurts.contains(&hurt)
    }

    pub(super) fn whole(&self, batch: usize) -> bool {
        (0..self.laid.batches[batch].frames.len()).all(|frame| self.flaw_of(batch, frame).is_none())
    }

    /// What is wrong with one frame.
    pub(super) fn flaw_of(&self, batch: usize, frame: usize) -> Option<Flaw> {
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

    pub(super) fn readable(&self, number: u64, from: u64, until: u64) -> bool {
        (from / PAGE as u64..=(until - 1) / PAGE as u64).all(|page| !self.is(Hurt::Unreadable(number, page)))
    }

    /// Whether any page from the one with this offset on cannot be read.
    pub(super) fn unreadable_behind(&self, number: u64, from: u64) -> bool {
        let page = from / PAGE as u64;
        self.hurts.iter().any(|hurt| matches!(hurt, Hurt::Unreadable(n, p) if *n == number && *p >= page))
    }

    /// Whether the frame that says what was durable is whole.
    pub(super) fn claims(&self, batch: usize) -> bool {
        self.flaw_of(batch, 0).is_none()
    }

    /// Whether the header page of a segment can be read.
    pub(super) fn headed(&self, number: u64) -> bool {
        number <= self.laid.last
            && ![Hurt::Missing(number), Hurt::Header(number), Hurt::Unreadable(number, 0)]
                .iter()
                .any(|hurt| self.is(*hurt))
    }

    /// Whether the seal of a finished segment can be read.
    pub(super) fn sealed(&self, number: u64) -> bool {
        let seal = self.laid.seals.get(&number);
        seal.is_some_and(|at| !self.is(Hurt::Seal(number)) && self.readable(number, *at, *at + 72))
    }

    pub(super) fn content_end(&self, number: u64, from: u64) -> u64 {
        let bytes = self.disk.file(&segment_name(number)).expect("it is there");
        let last = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
        // What cannot be read may be anything.
        let pages = bytes.len() as u64 / PAGE as u64;
        let page = (0..=pages).rev().find(|page| self.is(Hurt::Unreadable(number, *page)));
        let unread = page.map_or(0, |page| ((page + 1) * PAGE as u64).min(bytes.len() as u64));
        last.max(unread).max(from)
    }

    pub(super) fn place(&mut self, segment: u64, offset: u64, bytes: u64, flaw: Flaw, proof: Proof) {
        let proof = if flaw == Flaw::Unreadable { Proof::DeviceError } else { proof };
        self.places.push(Place { segment, offset, bytes, first: self.expected, flaw, proof });
    }

    pub(super) fn accept(&mut self, batch: usize) {
        let Batch { first, last, .. } = self.laid.batches[batch];
        match self.spans.last_mut() {
            Some(span) if span.1 + 1 == first && span.1 != 0 => span.1 = last,
            Some(_) | None => self.spans.push((first, last)),
        }
        self.verified += last + 1 - first;
        self.expected = last + 1;
    }

    pub(super) fn segment(&mut self, number: u64) {
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
            let bytes = self.disk.file(&segment_name(number)).expect("it is there").len() as u64;
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
                self.notes.push(Note::MarkDamaged { file: segment_name(number) });
            } else {
                self.proven = self.proven.max(self.laid.marks[&number]);
            }
        }
        if !headed {
            self.notes.push(Note::HeaderDamaged { file: segment_name(number) });
        }
        self.expected = first;
        // A stretch ends with its segment.
        self.spans.push((first, first - 1));
        let start = self.believed(number, &batches);
        if newest { self.tail(number, &batches, start) } else { self.older(number, &batches, start) }
    }

    /// Takes over what the checkpoint covers; the index of the first batch that is read.
    pub(super) fn believed(&mut self, number: u64, batches: &[usize]) -> usize {
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
    pub(super) fn flaw(&self, batch: usize) -> Flaw {
        let frames = self.laid.batches[batch].frames.len();
        (0..frames).find_map(|frame| self.flaw_of(batch, frame)).expect("something is wrong")
    }

    /// The next whole batch from `at` on.
    pub(super) fn next_whole(&self, batches: &[usize], at: usize) -> Option<usize> {
        (at..batches.len()).find(|at| self.whole(batches[*at]))
    }

    pub(super) fn older(&mut self, number: u64, batches: &[usize], start: usize) {
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
                self.notes.push(Note::SealDamaged { file: segment_name(number) });
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

    pub(super) fn tail(&mut self, number: u64, batches: &[usize], start: usize) {
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
    pub(super) fn read(&self) -> (Vec<(u64, bool)>, Vec<Damage>) {
        let (mut shown, mut damages) = (Vec::new(), Vec::new());
        let damage =
            |segment, offset, lsn, flaw| Damage { file: segment_name(segment), segment, offset, lsn, flaw };
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
    pub(super) fn says_durable(&self, number: u64, batches: &[usize], flaw: Flaw) -> bool {
        let batch = &self.laid.batches[batches[0]];
        let marked = !self.is(Hurt::Marks(number))
            && !self.is(Hurt::Unreadable(number, 0))
            && self.laid.marks[&number] >= batch.first;
        let mut claims = batches.iter().filter(|batch| self.claims(**batch));
        flaw == Flaw::Unreadable || marked || claims.any(|at| self.laid.batches[*at].durable >= batch.first)
    }

    pub(super) fn end_of_all(&self, batches: &[usize]) -> u64 {
        self.laid.end_of(*batches.last().expect("batches"))
    }

    /// What each damaged place costs.
    pub(super) fn sum(self) -> Told {
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
                file: segment_name(place.segment),
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

/// What is told when records that a checkpoint covers are believed, or when all are read.
pub(super) fn reckon<'a>(
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
