//! A journal, where everything in it lies, and what can be hurt of it: found by the document alone.

use super::super::*;
use crate::segment::segment_name;
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PAGE: usize = 4096;
pub(super) const MARKS: [usize; 2] = [3072, 3584];

/// One thing that is hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hurt {
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
pub(super) struct Batch {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// What its first frame says was durable.
    pub(super) durable: u64,
    pub(super) frames: Vec<u64>,
}

/// A journal and where everything in it lies.
pub(super) struct Laid {
    pub(super) disk: MemStorage,
    pub(super) records: Vec<Owned>,
    pub(super) batches: Vec<Batch>,
    /// Offset of the seal of each finished segment.
    pub(super) seals: BTreeMap<u64, u64>,
    /// What the newest mark of each segment says.
    pub(super) marks: BTreeMap<u64, u64>,
    pub(super) epochs: BTreeMap<u64, u64>,
    pub(super) last: u64,
    pub(super) checkpoint: u64,
    pub(super) config: crate::Config,
}

pub(super) fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")))
}

pub(super) fn long_word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Laid {
    /// Three lives in five segments: two processes that were killed, and one that was killed or stopped cleanly.
    pub(super) fn new(scale: u64, checkpoint_at: Option<u64>, closed: bool) -> Laid {
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
    pub(super) fn lay(&mut self, number: u64) {
        let bytes = self.disk.file(&segment_name(number)).expect("it is there");
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

    pub(super) fn hurt(&self, hurts: &BTreeSet<Hurt>) -> MemStorage {
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
                    flip(&segment_name(batch.segment), batch.frames[frame] + 41);
                }
                Hurt::Zeros(batch) => {
                    let end = self.end_of(batch);
                    let batch = &self.batches[batch];
                    disk.patch(
                        &segment_name(batch.segment),
                        batch.offset,
                        &vec![0; (end - batch.offset) as usize],
                    );
                }
                Hurt::Seal(number) => flip(&segment_name(number), self.seals[&number] + 9),
                Hurt::Header(number) => flip(&segment_name(number), 50),
                Hurt::Marks(number) => {
                    let page = disk.file(&segment_name(number)).expect("it is there");
                    let there = MARKS.iter().filter(|at| page[**at..**at + 20].iter().any(|byte| *byte != 0));
                    there.for_each(|at| flip(&segment_name(number), *at as u64));
                }
                Hurt::Checkpoint => {
                    let file = disk.names().into_iter().find(|name| name.ends_with(".ckpt"));
                    file.iter().for_each(|file| flip(file, 115));
                }
                Hurt::Unreadable(number, page) => disk.read_error(&segment_name(number), page),
                // Last, when nothing else is to be hurt in it.
                Hurt::Missing(number) => disk.remove_file(&segment_name(number)),
            }
        }
        disk
    }

    /// Offset behind a batch.
    pub(super) fn end_of(&self, batch: usize) -> u64 {
        let segment = self.batches[batch].segment;
        match self.batches.get(batch + 1).filter(|next| next.segment == segment) {
            Some(next) => next.offset,
            None => self.seals.get(&segment).copied().unwrap_or_else(|| {
                let bytes = self.disk.file(&segment_name(segment)).expect("it is there");
                let last = bytes.iter().rposition(|byte| *byte != 0).expect("records") as u64;
                (last + 1).next_multiple_of(8)
            }),
        }
    }
}
