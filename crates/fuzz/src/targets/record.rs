//! One segment in memory, read by the product's reader and by a second one, made from `journal-format.md` alone.
//!
//! ```text
//! input: how the header is changed (4 bytes) │ what stands behind the header page
//! ```

use crate::Target;
use crate::draw::Draw;
use aegis_journal::{
    Config, Entry, Identity, JournalReader, Live, MemStorage, NewRecord, PAGE_BYTES, Room, Source,
    StorageRead, create,
};
use std::io;
use std::sync::Arc;

const PAGE: usize = PAGE_BYTES as usize;
const NAME: &str = "0000000001.seg";
const PREFIX: usize = 4;
const CHECKED: usize = 232;
const END: u32 = 1 << 24;
const FIRST: u32 = 1 << 25;
const STORED: u32 = 1 << 26;
const LENGTH: u32 = (1 << 24) - 1;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn crc(initial: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(initial);
    hasher.update(bytes);
    hasher.finalize()
}

/// A directory with one segment.
#[derive(Clone)]
struct Image(Arc<Vec<u8>>);

impl StorageRead for Image {
    type Source = Image;

    fn list(&self) -> io::Result<Vec<Entry>> {
        Ok(vec![Entry { name: NAME.to_owned(), bytes: self.0.len() as u64 }])
    }

    fn open(&self, name: &str) -> io::Result<Image> {
        if name == NAME { Ok(self.clone()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn live(&self) -> io::Result<Option<Live>> {
        Ok(None)
    }

    fn writer_is_alive(&self) -> io::Result<bool> {
        Ok(false)
    }
}

impl Source for Image {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let count = buffer.len().min(self.0.len() - from);
        buffer[..count].copy_from_slice(&self.0[from..from + count]);
        Ok(count)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What the document says of a header page that every version knows.
struct Head {
    salt: u32,
    seed: u32,
    first_lsn: u64,
    /// Whether it is the first segment of a journal and declares nothing, so that all that follows is to be shown.
    plain: bool,
}

fn head(page: &[u8]) -> Option<Head> {
    let version = u16::from_le_bytes([page[8], page[9]]);
    let whole = &page[..8] == b"AEGISJNL"
        && crc(0, &page[..CHECKED]) == u32_at(page, CHECKED)
        && (1..=3).contains(&version)
        && page[13] <= 8
        && page[15] == 0
        && u32_at(page, 68) == 0;
    let number = u64_at(page, 32);
    whole.then(|| Head {
        salt: crc(crc(crc(0, &page[16..32]), &page[32..40]), &page[40..48]),
        seed: crc(u32_at(page, 64), &page[40..48]),
        first_lsn: u64_at(page, 48),
        plain: number == 1 && page[13] == 0,
    })
}

/// A record as the second reader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    lsn: u64,
    offset: usize,
    payload: (usize, usize),
    first: bool,
    end: bool,
}

/// One frame that continues what was before it, and the checksum to continue from.
fn frame(
    bytes: &[u8],
    at: usize,
    lsn: u64,
    chain: u32,
    salt: u32,
    first: bool,
) -> Option<(Seen, usize, u32)> {
    let rest = bytes.get(at..)?;
    let word = u32_at(rest.get(..4)?, 0);
    if word & STORED == 0 || word & !(END | FIRST | STORED | LENGTH) != 0 || (word & FIRST != 0) != first {
        return None;
    }
    let start = if first { 40 } else { 32 };
    let length = (word & LENGTH) as usize;
    let size = (start + length).next_multiple_of(8);
    let frame = rest.get(..size).filter(|_| size <= 1 << 20)?;
    let stored = u32_at(frame, 4);
    let sound = crc(crc(chain, &frame[..4]), &frame[8..]) == stored
        && u64_at(frame, 8) == lsn
        && u16::from_le_bytes([frame[28], frame[29]]) != 0
        && u64::from(u32_at(frame, 24)) < lsn
        && (!first || (u64::from(u32_at(frame, 32)) <= lsn && u32_at(frame, 36) == chain ^ salt));
    let seen = Seen { lsn, offset: at, payload: (at + start, length), first, end: word & END != 0 };
    sound.then_some((seen, size, stored))
}

/// All records of whole batches from the beginning on, until something is not as it must be.
fn walk(bytes: &[u8], head: &Head, out: &mut Vec<Seen>) {
    out.clear();
    let (mut at, mut lsn, mut chain, mut whole, mut first) = (PAGE, head.first_lsn, head.seed, 0, true);
    while let Some((seen, size, stored)) = frame(bytes, at, lsn, chain, head.salt, first) {
        out.push(seen);
        (at, lsn, chain, first) = (at + size, lsn.wrapping_add(1), stored, seen.end);
        if seen.end {
            whole = out.len();
        }
    }
    out.truncate(whole);
}

/// The target.
pub(crate) struct Record {
    page: Vec<u8>,
    image: Image,
    seen: Vec<Seen>,
    areas: Vec<Vec<u8>>,
}

/// The stored bytes of a small journal, of batches with so many records of so many bytes.
fn journal(batches: &[&[usize]], close: bool) -> Vec<u8> {
    let disk = MemStorage::new();
    let identity = Identity { journal_id: *b"fuzzed-journal-1", schema: 1, mode: 2 };
    let config = Config { segment_bytes: Config::SEGMENT_BYTES_MIN, ..Config::default() };
    let mut writer = create(disk.clone(), identity, config).expect("an empty disk");
    for (number, batch) in batches.iter().enumerate() {
        let payloads: Vec<Vec<u8>> = batch.iter().map(|n| vec![number as u8 ^ 0x5a; *n]).collect();
        let records: Vec<NewRecord<'_>> = payloads
            .iter()
            .map(|payload| NewRecord { kind: 7, version: 1, actor: 1, time_ns: 9, cause: 0, payload })
            .collect();
        writer.append(&records, Room::Normal).expect("room");
        if number % 3 != 1 {
            writer.sync().expect("a good disk");
        }
    }
    if close {
        writer.close().expect("a good disk");
    } else {
        drop(writer);
    }
    let mut bytes = disk.file(NAME).expect("a segment");
    let content = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(content.next_multiple_of(8).max(PAGE));
    bytes
}

impl Record {
    pub(crate) fn new() -> Record {
        let shapes: [(&[&[usize]], bool); 6] = [
            (&[&[5]], false),
            (&[&[0], &[8, 0, 3], &[40]], false),
            (&[&[20, 20], &[1], &[2], &[3]], true),
            (&[&[0, 0, 0, 0]], false),
            (&[&[100], &[100, 7], &[9], &[64], &[0], &[31]], false),
            (&[], true),
        ];
        let files: Vec<Vec<u8>> = shapes.iter().map(|(batches, close)| journal(batches, *close)).collect();
        let mut page = files[0][..PAGE].to_vec();
        // Without marks: what follows speaks for itself.
        page[3072..].fill(0);
        Record {
            image: Image(Arc::new(page.clone())),
            page,
            seen: Vec::new(),
            areas: files.into_iter().map(|file| file[PAGE..].to_vec()).collect(),
        }
    }
}

impl Target for Record {
    fn seeds(&self) -> Vec<Vec<u8>> {
        self.areas.iter().map(|area| [&[0; PREFIX], &area[..]].concat()).collect()
    }

    /// Length, LSN, link and checksum of one frame after the other, most of the time.
    fn mend(&mut self, draw: &mut Draw, input: &mut Vec<u8>) {
        if input.len() < PREFIX || draw.one_in(3) {
            return;
        }
        let Some(head) = head(&self.page) else { return };
        let (mut at, mut lsn, mut chain, mut first) = (PREFIX, head.first_lsn, head.seed, true);
        let last = draw.below(12);
        for number in 0.. {
            let Some(word) = input.get(at..at + 4).map(|bytes| u32_at(bytes, 0)) else { return };
            if word == 0 || word & 0x8000_0000 != 0 || number > last {
                return;
            }
            let flags = if draw.one_in(24) { word } else { word & (END | LENGTH) | STORED };
            let word = if draw.one_in(24) || !first { flags } else { flags | FIRST };
            let start = if word & FIRST != 0 { 40 } else { 32 };
            let size = (start + (word & LENGTH) as usize).next_multiple_of(8);
            let Some(frame) = input.get_mut(at..at + size) else { return };
            frame[..4].copy_from_slice(&word.to_le_bytes());
            if !draw.one_in(24) {
                frame[8..16].copy_from_slice(&lsn.to_le_bytes());
            }
            if word & FIRST != 0 && !draw.one_in(24) {
                frame[36..40].copy_from_slice(&(chain ^ head.salt).to_le_bytes());
            }
            chain = crc(crc(chain, &frame[..4]), &frame[8..]);
            frame[4..8].copy_from_slice(&chain.to_le_bytes());
            (at, lsn, first) = (at + size, lsn + 1, word & END != 0);
        }
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let (prefix, area) = input.split_at(input.len().min(PREFIX));
        let image = Arc::get_mut(&mut self.image.0).expect("no reader is left");
        image.truncate(PAGE);
        image.extend_from_slice(area);
        let changed = prefix.first().is_some_and(|byte| *byte >= 0xf0);
        if changed {
            let at = usize::from(prefix.get(1).copied().unwrap_or(0)) % (CHECKED + 4);
            image[at] ^= prefix.get(2).copied().unwrap_or(0);
            if prefix[0] & 1 == 1 {
                let sum = crc(0, &image[..CHECKED]);
                image[CHECKED..CHECKED + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        let told = self.judge();
        if changed {
            let image = Arc::get_mut(&mut self.image.0).expect("no reader is left");
            image[..PAGE].copy_from_slice(&self.page);
        }
        told
    }
}

impl Record {
    fn judge(&mut self) -> u64 {
        let bytes = &self.image.0;
        let head = head(bytes);
        let opened = JournalReader::open(self.image.clone());
        let mut reader = match (opened, &head) {
            (Ok(reader), Some(_)) => reader,
            (Ok(_), None) => panic!("a journal without a whole header was read"),
            (Err(_), Some(head)) => {
                assert!(!head.plain, "a journal with a whole header was refused");
                return 1;
            }
            (Err(_), None) => return 2,
        };
        let head = head.expect("just seen");
        walk(bytes, &head, &mut self.seen);
        let (mut shown, mut behind, mut damages, mut flaw) = (0, 0, 0_u64, 0);
        let mut chain = 0;
        // Every damage and every record takes bytes, so this ends.
        for _ in 0..bytes.len() {
            match reader.next() {
                Ok(None) => break,
                Err(damage) => {
                    damages += 1;
                    flaw = (flaw * 31 + damage.flaw.to_string().len() as u64) & 0xffff;
                }
                Ok(Some(record)) => {
                    let offset = record.offset as usize;
                    if record.after_gap {
                        behind += 1;
                        if record.batch_first {
                            chain = u32_at(bytes, offset + 36) ^ head.salt;
                        }
                        let again = frame(bytes, offset, record.lsn, chain, head.salt, record.batch_first);
                        let Some((seen, _, stored)) = again else {
                            panic!("record {} does not verify", record.lsn)
                        };
                        assert_eq!(&bytes[seen.payload.0..][..seen.payload.1], record.payload);
                        chain = stored;
                    } else {
                        if head.plain {
                            let seen = self.seen.get(shown).expect("no more is shown than what is whole");
                            assert_eq!(
                                (seen.lsn, seen.offset, seen.first, seen.end),
                                (record.lsn, offset, record.batch_first, record.batch_end)
                            );
                            assert_eq!(&bytes[seen.payload.0..][..seen.payload.1], record.payload);
                        }
                        shown += 1;
                    }
                }
            }
        }
        assert!(!head.plain || shown == self.seen.len(), "{shown} shown, {} whole", self.seen.len());
        3 + (shown.min(9) as u64) + (behind.min(6) << 4) + (damages.min(6) << 8) + (flaw << 12)
    }
}
