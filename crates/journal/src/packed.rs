//! A sealed segment, compressed block by block and read in place: the bytes of a `.segz` file, and a [`Source`] of the
//! segment's bytes as they were.
//!
//! ```text
//! block list │ header page │ frames │ frames │ ... │ seal │ block list again
//!              each a block of its own, a zstd frame
//! ```
//!
//! Nothing of a block is handed out unless its stored bytes and what they decompress to both have the checksums that
//! the block list names. A block that does not is an error of reading and never a panic; what damage means is not
//! judged here. When a segment may be compressed is `packing.rs`.

use std::cell::RefCell;
use std::io;
use std::ops::Range;

use crate::layout::{
    FORMAT_VERSION, PACKED_VERSION, PAGE_BYTES, PLAIN_VERSION, SEAL_BYTES, crc32, u16_at, u32_at, u64_at,
};
use crate::storage::Source;

/// Largest block, before it is compressed.
const BLOCK_BYTES_MAX: u64 = 1 << 20;
const MAGIC: &[u8; 8] = b"AEGISSGZ";
const HEAD_BYTES: usize = 32;
const ENTRY_BYTES: usize = 16;
/// Each block is a zstd frame of its own, or stored as it is where that is no longer.
const METHOD_ZSTD: u16 = 1;
/// Read at once when a file is opened: the block list of a segment of 64 MiB.
const FIRST_READ_BYTES: usize = 8 << 10;
/// How hard is tried to find a shorter spelling. Measured on the mix of `benches/`, MB/s and how many times shorter: level
/// 1 325 and 4.15, level 3 170 and 4.20, level 9 32 and 4.48. All of them are read back alike, at 1.1 GB/s.
const LEVEL: i32 = 1;

/// What the block list says of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// Bytes of the segment in it.
    raw_bytes: u32,
    /// Bytes of the file in it; as many as of the segment when it is stored as it is.
    stored_bytes: u32,
    raw_crc: u32,
    stored_crc: u32,
}

impl Entry {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        let fields = [self.raw_bytes, self.stored_bytes, self.raw_crc, self.stored_crc];
        for (target, field) in bytes.chunks_exact_mut(4).zip(fields) {
            target.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Entry {
        Entry {
            raw_bytes: u32_at(bytes, 0),
            stored_bytes: u32_at(bytes, 4),
            raw_crc: u32_at(bytes, 8),
            stored_crc: u32_at(bytes, 12),
        }
    }

    fn is_possible(&self) -> bool {
        (1..=BLOCK_BYTES_MAX).contains(&u64::from(self.raw_bytes))
            && (1..=self.raw_bytes).contains(&self.stored_bytes)
    }
}

/// Why a block list is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ListFlaw {
    Damaged,
    /// Its head is whole and of a version or a method that this build does not know.
    Newer(u16),
}

/// The head of a block list.
struct Head {
    blocks: u32,
    bytes: u64,
    entries_crc: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&PACKED_VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&METHOD_ZSTD.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.blocks.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.entries_crc.to_le_bytes());
        let crc = crc32(0, &bytes[..28]);
        bytes[28..32].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Head, ListFlaw> {
        if bytes.len() < HEAD_BYTES || &bytes[..8] != MAGIC || crc32(0, &bytes[..28]) != u32_at(bytes, 28) {
            return Err(ListFlaw::Damaged);
        }
        let version = u16_at(bytes, 8);
        if !(PLAIN_VERSION + 1..=PACKED_VERSION).contains(&version) || u16_at(bytes, 10) != METHOD_ZSTD {
            return Err(ListFlaw::Newer(version.max(FORMAT_VERSION + 1)));
        }
        Ok(Head { blocks: u32_at(bytes, 12), bytes: u64_at(bytes, 16), entries_crc: u32_at(bytes, 24) })
    }

    fn entries_bytes(&self) -> u64 {
        u64::from(self.blocks) * ENTRY_BYTES as u64
    }
}

/// Where a block begins.
#[derive(Clone, Copy, Debug)]
struct Block {
    entry: Entry,
    /// Offset in the segment.
    raw: u64,
    /// Offset in the file.
    stored: u64,
}

/// The blocks of a file.
#[derive(Clone, Debug)]
struct List {
    blocks: Vec<Block>,
    /// Bytes of the segment.
    bytes: u64,
    /// Bytes of the file.
    file_bytes: u64,
}

impl List {
    fn decode(head: &Head, entries: &[u8]) -> Result<List, ListFlaw> {
        if entries.len() as u64 != head.entries_bytes() || crc32(0, entries) != head.entries_crc {
            return Err(ListFlaw::Damaged);
        }
        let list_bytes = HEAD_BYTES as u64 + head.entries_bytes();
        let (mut raw, mut stored) = (0, list_bytes);
        let mut blocks = Vec::with_capacity(head.blocks as usize);
        for entry in entries.chunks_exact(ENTRY_BYTES).map(Entry::decode) {
            if !entry.is_possible() {
                return Err(ListFlaw::Damaged);
            }
            blocks.push(Block { entry, raw, stored });
            raw += u64::from(entry.raw_bytes);
            stored += u64::from(entry.stored_bytes);
        }
        if raw != head.bytes {
            return Err(ListFlaw::Damaged);
        }
        Ok(List { blocks, bytes: raw, file_bytes: stored + list_bytes })
    }

    /// The list at the beginning of a file, and the bytes it takes there.
    fn at_begin<F: Source>(source: &F) -> Result<List, ListFlaw> {
        let mut bytes = vec![0; FIRST_READ_BYTES];
        let n = source.read_at(0, &mut bytes).map_err(|_| ListFlaw::Damaged)?;
        bytes.truncate(n);
        let head = Head::decode(&bytes)?;
        let entries = entries(source, &head, HEAD_BYTES as u64, bytes.get(HEAD_BYTES..).unwrap_or_default())?;
        List::decode(&head, &entries)
    }

    /// The same at its end, where the entries come first.
    fn at_end<F: Source>(source: &F) -> Result<List, ListFlaw> {
        let file_bytes = source.bytes().map_err(|_| ListFlaw::Damaged)?;
        let at = file_bytes.checked_sub(HEAD_BYTES as u64).ok_or(ListFlaw::Damaged)?;
        let mut bytes = [0; HEAD_BYTES];
        let n = source.read_at(at, &mut bytes).map_err(|_| ListFlaw::Damaged)?;
        let head = Head::decode(&bytes[..n])?;
        let from = at.checked_sub(head.entries_bytes()).ok_or(ListFlaw::Damaged)?;
        let entries = entries(source, &head, from, &[])?;
        let list = List::decode(&head, &entries)?;
        if list.file_bytes == file_bytes { Ok(list) } else { Err(ListFlaw::Damaged) }
    }

    /// The index of the block that holds this offset of the segment.
    fn block_of(&self, offset: u64) -> usize {
        self.blocks.partition_point(|block| block.raw <= offset) - 1
    }
}

/// The bytes of the entries, which begin at `from`; those that were `read` already are not read again.
fn entries<F: Source>(source: &F, head: &Head, from: u64, read: &[u8]) -> Result<Vec<u8>, ListFlaw> {
    let wanted = head.entries_bytes();
    let file_bytes = source.bytes().map_err(|_| ListFlaw::Damaged)?;
    // What a file has no room for is not asked for: memory follows what is there.
    if from + wanted > file_bytes {
        return Err(ListFlaw::Damaged);
    }
    let mut bytes = vec![0; wanted as usize];
    let known = read.len().min(bytes.len());
    bytes[..known].copy_from_slice(&read[..known]);
    match source.read_at(from + known as u64, &mut bytes[known..]) {
        Ok(n) if known + n == bytes.len() => Ok(bytes),
        Ok(_) | Err(_) => Err(ListFlaw::Damaged),
    }
}

/// The block that was looked at last.
#[derive(Default)]
struct Last {
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    stored: Vec<u8>,
    raw: Vec<u8>,
    /// Which one `raw` holds.
    block: Option<usize>,
    /// Which one could not be had, and why.
    bad: Option<(usize, io::ErrorKind)>,
}

/// A compressed segment, open for reading its bytes as they were.
pub(crate) struct Packed<F> {
    source: F,
    list: Result<List, ListFlaw>,
    last: RefCell<Last>,
}

impl<F: Source> Packed<F> {
    /// Reads the block list. Where neither copy is whole, every read fails.
    pub(crate) fn open(source: F) -> Packed<F> {
        let list = match List::at_begin(&source) {
            Err(ListFlaw::Damaged) => List::at_end(&source),
            found => found,
        };
        Packed { source, list, last: RefCell::default() }
    }

    /// The version that its block list needs, when that is newer than this program's.
    pub(crate) fn newer(&self) -> Option<u16> {
        match self.list {
            Err(ListFlaw::Newer(version)) => Some(version),
            Ok(_) | Err(ListFlaw::Damaged) => None,
        }
    }

    /// Whether both copies of the block list are whole and the file ends behind the second.
    pub(crate) fn lists_agree(&self) -> bool {
        match (&self.list, List::at_begin(&self.source), List::at_end(&self.source)) {
            (Ok(list), Ok(begin), Ok(end)) => [begin, end].iter().all(|other| {
                other.bytes == list.bytes
                    && other.blocks.iter().map(|b| b.entry).eq(list.blocks.iter().map(|b| b.entry))
            }),
            _ => false,
        }
    }

    /// The bytes of the segment that are in one block with the one at `offset`.
    pub(crate) fn block(&self, offset: u64) -> Option<Range<u64>> {
        let list = self.list.as_ref().ok().filter(|list| offset < list.bytes)?;
        let block = list.blocks[list.block_of(offset)];
        Some(block.raw..block.raw + u64::from(block.entry.raw_bytes))
    }

    fn load(&self, last: &mut Last, list: &List, index: usize) -> io::Result<()> {
        if last.block == Some(index) {
            return Ok(());
        }
        if let Some((bad, kind)) = last.bad
            && bad == index
        {
            return Err(kind.into());
        }
        let loaded = self.decompress(last, &list.blocks[index]);
        match &loaded {
            Ok(()) => last.block = Some(index),
            Err(e) => (last.block, last.bad) = (None, Some((index, e.kind()))),
        }
        loaded
    }

    fn decompress(&self, last: &mut Last, block: &Block) -> io::Result<()> {
        let Entry { raw_bytes, stored_bytes, raw_crc, stored_crc } = block.entry;
        last.block = None;
        last.stored.resize(stored_bytes as usize, 0);
        let n = self.source.read_at(block.stored, &mut last.stored)?;
        if n < last.stored.len() || crc32(0, &last.stored) != stored_crc {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stored_bytes == raw_bytes {
            std::mem::swap(&mut last.stored, &mut last.raw);
        } else {
            last.raw.resize(raw_bytes as usize, 0);
            let decompressor = match &mut last.decompressor {
                Some(decompressor) => decompressor,
                none => none.insert(zstd::bulk::Decompressor::new()?),
            };
            let n = decompressor
                .decompress_to_buffer(&last.stored, &mut last.raw[..])
                .map_err(|_| io::ErrorKind::InvalidData)?;
            if n < last.raw.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        // Also what the decompressor made of them.
        if crc32(0, &last.raw) == raw_crc { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

impl<F: Source> Source for Packed<F> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let list = self.list.as_ref().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let last = &mut *self.last.borrow_mut();
        let wanted = list.bytes.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < wanted {
            let at = offset + done as u64;
            let index = list.block_of(at);
            self.load(last, list, index)?;
            let rest = &last.raw[(at - list.blocks[index].raw) as usize..];
            let n = rest.len().min(wanted - done);
            buffer[done..done + n].copy_from_slice(&rest[..n]);
            done += n;
        }
        Ok(wanted)
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.list.as_ref().map_or(0, |list| list.bytes))
    }

    fn settle(&self) -> io::Result<()> {
        self.source.settle()
    }
}

/// Compresses a segment that is handed over block by block.
pub(crate) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    entries: Vec<Entry>,
    bytes: u64,
    blocks: u32,
}

/// How a segment whose records end at `end` is divided: header page and seal stand alone, so that looking at them
/// costs nothing and damage to a block of records does not reach them.
pub(crate) fn division(end: u64, block_bytes: u64) -> Vec<u64> {
    assert!((1..=BLOCK_BYTES_MAX).contains(&block_bytes) && end >= PAGE_BYTES);
    let mut lengths = vec![PAGE_BYTES];
    let mut at = PAGE_BYTES;
    while at < end {
        let n = block_bytes.min(end - at);
        lengths.push(n);
        at += n;
    }
    lengths.push(SEAL_BYTES);
    lengths
}

impl Packer {
    /// For a segment of so many blocks.
    pub(crate) fn new(blocks: usize) -> io::Result<Packer> {
        Ok(Packer {
            compressor: zstd::bulk::Compressor::new(LEVEL)?,
            entries: Vec::with_capacity(blocks),
            bytes: 0,
            blocks: u32::try_from(blocks).map_err(io::Error::other)?,
        })
    }

    /// Bytes of a block list.
    pub(crate) fn list_bytes(&self) -> usize {
        HEAD_BYTES + self.blocks as usize * ENTRY_BYTES
    }

    /// Appends the next block to `out`.
    pub(crate) fn block(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let start = out.len();
        out.resize(start + raw.len(), 0);
        // What does not fit is not shorter.
        let stored = match self.compressor.compress_to_buffer(raw, &mut out[start..]) {
            Ok(n) if n < raw.len() => n,
            Ok(_) | Err(_) => {
                out[start..].copy_from_slice(raw);
                raw.len()
            }
        };
        out.truncate(start + stored);
        self.entries.push(Entry {
            raw_bytes: u32::try_from(raw.len()).map_err(io::Error::other)?,
            stored_bytes: u32::try_from(stored).map_err(io::Error::other)?,
            raw_crc: crc32(0, raw),
            stored_crc: crc32(0, &out[start..]),
        });
        self.bytes += raw.len() as u64;
        Ok(())
    }

    /// The block list: as it stands at the beginning of the file, and as it stands at the end.
    pub(crate) fn lists(&self) -> (Vec<u8>, Vec<u8>) {
        assert_eq!(self.entries.len(), self.blocks as usize, "room was kept for so many");
        let entries: Vec<u8> = self.entries.iter().flat_map(Entry::encode).collect();
        let head = Head { blocks: self.blocks, bytes: self.bytes, entries_crc: crc32(0, &entries) }.encode();
        ([&head[..], &entries[..]].concat(), [&entries[..], &head[..]].concat())
    }
}

#[cfg(test)]
mod tests;
