//! A reader of the journal's bytes of its own, written from `journal-format.md` and from nothing else.
//!
//! It believes whole batches whose checksums chain, and stops at the first byte that does not fit. It never repairs
//! and never asks the product what a byte means.

use aegis_journal::{MemStorage, Source, Storage, StorageRead};

const HEADER: u64 = 4096;
const LAST: u32 = 1 << 24;
const FIRST: u32 = 1 << 25;
const ALWAYS: u32 = 1 << 26;
const SEAL: u32 = 1 << 31;

/// A record as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Raw {
    pub(crate) lsn: u64,
    pub(crate) time: i64,
    pub(crate) cause: u64,
    pub(crate) kind: u16,
    pub(crate) version: u8,
    pub(crate) actor: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    /// What the first record of a batch says to have been durable; 0 for the others.
    pub(crate) durable: u64,
    pub(crate) last: bool,
    /// The place behind it.
    pub(crate) behind: Tail,
}

/// A place in the journal from which it is read on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tail {
    segment: u64,
    offset: u64,
    chain: u32,
    epoch: u64,
    /// The last record before it.
    pub(crate) lsn: u64,
}

/// Bytes that are read at once: few at first, since mostly little is new.
const PORTION_MIN: usize = 1 << 10;
const PORTION_MAX: usize = 16 << 10;

/// A file, read a portion at a time.
struct Window<S> {
    source: S,
    from: u64,
    bytes: Vec<u8>,
    portion: usize,
}

impl<S: Source> Window<S> {
    fn new(source: S) -> Window<S> {
        Window { source, from: 0, bytes: Vec::new(), portion: PORTION_MIN }
    }

    /// So many bytes at this place, if there are.
    fn read(&mut self, offset: u64, bytes: usize) -> Option<&[u8]> {
        let within = |from: u64, there: usize| {
            let at = usize::try_from(offset.checked_sub(from)?).ok()?;
            (at + bytes <= there).then_some(at)
        };
        let at = match within(self.from, self.bytes.len()) {
            Some(at) => at,
            None => {
                self.from = offset;
                self.bytes.resize(self.portion.max(bytes), 0);
                self.portion = (self.portion * 2).min(PORTION_MAX);
                let got = self.source.read_at(offset, &mut self.bytes).unwrap_or(0);
                self.bytes.truncate(got);
                within(self.from, got)?
            }
        };
        Some(&self.bytes[at..at + bytes])
    }
}

/// The name under which the next segment takes records while the one before it is sealed.
const SPARE: &str = "spare.tmp";

fn crc(initial: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(initial);
    hasher.update(bytes);
    hasher.finalize()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Tail {
    /// The place in front of a segment's first record, if its header is whole.
    fn begin<R: StorageRead>(disk: &R, segment: u64) -> Option<Tail> {
        let source = disk.open(&format!("{segment:010}.seg")).ok()?;
        let mut head = [0; 236];
        if source.read_at(0, &mut head).ok()? != head.len() {
            return None;
        }
        let whole = &head[..8] == b"AEGISJNL" && crc(0, &head[..232]) == u32_at(&head, 232);
        if !whole || u64_at(&head, 32) != segment {
            return None;
        }
        let epoch = u64_at(&head, 40);
        let chain = crc(u32_at(&head, 64), &epoch.to_le_bytes());
        Some(Tail { segment, offset: HEADER, chain, epoch, lsn: u64_at(&head, 48) - 1 })
    }

    /// The next record and the place behind it.
    fn next<S: Source>(&self, source: &mut Window<S>) -> Step {
        let Some(head) = source.read(self.offset, 8) else { return Step::End };
        let word = u32_at(head, 0);
        if word & SEAL != 0 {
            return Step::Sealed;
        }
        if word & ALWAYS == 0 || word >> 27 != 0 {
            return Step::End;
        }
        let payload = (word & 0x00ff_ffff) as usize;
        let begin = if word & FIRST == 0 { 32 } else { 40 };
        let bytes = (begin + payload).next_multiple_of(8);
        let Some(frame) = source.read(self.offset, bytes) else { return Step::End };
        let checksum = u32_at(frame, 4);
        let lsn = u64_at(frame, 8);
        if crc(crc(self.chain, &frame[..4]), &frame[8..]) != checksum || lsn != self.lsn + 1 {
            return Step::End;
        }
        let back = u64::from(u32_at(frame, 24));
        let behind = Tail { offset: self.offset + bytes as u64, chain: checksum, lsn, ..*self };
        let raw = Raw {
            lsn,
            time: u64_at(frame, 16).cast_signed(),
            cause: if back == 0 { 0 } else { lsn.saturating_sub(back) },
            kind: u16::from_le_bytes([frame[28], frame[29]]),
            version: frame[30],
            actor: frame[31],
            payload: frame[begin..begin + payload].to_vec(),
            segment: self.segment,
            offset: self.offset,
            bytes: (begin + payload) as u64,
            durable: if begin == 32 { 0 } else { lsn.saturating_sub(u64::from(u32_at(frame, 32))) },
            last: word & LAST != 0,
            behind,
        };
        Step::Record(raw)
    }

    /// The place in front of the first record of a next segment that has no header yet.
    fn spare(&self) -> Tail {
        let chain = crc(self.chain, &self.epoch.to_le_bytes());
        Tail { segment: self.segment + 1, offset: HEADER, chain, ..*self }
    }

    /// Whole batches behind this place, which moves behind them. With `unnamed` also those that a living writer has
    /// stored in a segment without its name.
    pub(crate) fn follow<R: StorageRead>(&mut self, disk: &R, unnamed: bool) -> Vec<Raw> {
        let mut all = Vec::new();
        if self.segment == 0 {
            let Some(first) = Tail::begin(disk, 1) else { return all };
            *self = first;
        }
        loop {
            let named = disk.open(&format!("{:010}.seg", self.segment));
            let Ok(source) = named.or_else(|_| disk.open(SPARE)) else { return all };
            let mut source = Window::new(source);
            let mut at = *self;
            let mut whole = all.len();
            let sealed = loop {
                match at.next(&mut source) {
                    Step::Record(raw) => {
                        at = raw.behind;
                        let last = raw.last;
                        all.push(raw);
                        if last {
                            whole = all.len();
                            *self = at;
                        }
                    }
                    Step::Sealed => break true,
                    Step::End => break false,
                }
            };
            // A batch without its end is none.
            all.truncate(whole);
            let next = if sealed { Tail::begin(disk, self.segment + 1) } else { None };
            match next.filter(|next| next.lsn == self.lsn) {
                Some(next) => *self = next,
                None => {
                    let spare = self.spare();
                    let begun = unnamed
                        && disk.open(SPARE).is_ok_and(|source| {
                            matches!(spare.next(&mut Window::new(source)), Step::Record(..))
                        });
                    if !begun {
                        return all;
                    }
                    *self = spare;
                }
            }
        }
    }
}

enum Step {
    Record(Raw),
    Sealed,
    End,
}

/// All whole batches of a disk.
pub(crate) fn scan<R: StorageRead>(disk: &R) -> (Vec<Raw>, Tail) {
    let mut tail = Tail::default();
    let all = tail.follow(disk, false);
    (all, tail)
}

/// The epoch of the newest segment.
pub(crate) fn newest_epoch(disk: &MemStorage) -> u64 {
    let numbers = disk.names().into_iter().filter_map(|name| name.strip_suffix(".seg")?.parse::<u64>().ok());
    let newest = numbers.max().and_then(|number| Tail::begin(&disk.reader(), number));
    newest.map_or(0, |tail| tail.epoch)
}
