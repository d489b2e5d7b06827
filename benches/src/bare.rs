//! The bare machine: what is left when everything that makes a journal trustworthy is taken away.
//!
//! A file of fixed size, zero-filled ahead and mapped; a frame of a fixed head, the payload and one crc32fast over
//! both; `fdatasync`. No chain, no sequence, no batches, no segments, no recovery. It is the limit that the rows are
//! measured against and is never used for anything else.

use crate::Encoded;
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of a frame before its payload: length, checksum, and what a record says beside its payload.
pub const HEAD: usize = 32;

/// Size of a frame in bytes.
pub const fn frame_bytes(payload: usize) -> usize {
    (HEAD + payload).next_multiple_of(8)
}

/// Appends a frame to a buffer.
#[inline]
pub fn frame(out: &mut Vec<u8>, payload: &[u8]) {
    let start = out.len();
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(payload);
    out.resize(start + frame_bytes(payload.len()), 0);
    let crc = crc32fast::hash(&out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Walks all frames of a buffer, checks each and hands out the payloads; answers how many there were.
///
/// # Panics
/// When a checksum does not match.
#[inline]
pub fn walk<'a>(bytes: &'a [u8], mut f: impl FnMut(&'a [u8])) -> u64 {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let payload = word(at) as usize;
        let end = at + frame_bytes(payload);
        assert_eq!(word(at + 4), crc32fast::hash(&bytes[at + 8..end]), "a bare frame is whole");
        f(&bytes[at + HEAD..at + HEAD + payload]);
        at = end;
        count += 1;
    }
    count
}

/// All frames of these records in memory.
pub fn frames(encoded: &Encoded) -> Vec<u8> {
    let mut out = Vec::new();
    for record in encoded.records() {
        frame(&mut out, record.payload);
    }
    out
}

/// Fills a file with zeros in 4 KiB writes, which keeps the folios under a map small, and makes them durable.
///
/// # Errors
/// What the disk says.
pub fn zero_fill(file: &File, bytes: u64) -> io::Result<()> {
    let page = [0; 4096];
    for at in (0..bytes).step_by(page.len()) {
        file.write_all_at(&page, at)?;
    }
    file.sync_all()
}

/// A mapped file that is stored into from its beginning to its end, and then again from its beginning.
#[derive(Debug)]
pub struct Mapped {
    file: File,
    map: MmapRaw,
    bytes: usize,
    at: usize,
    staged: Vec<u8>,
}

impl Mapped {
    /// Makes the file, its blocks written and durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn create(path: &Path, bytes: u64) -> io::Result<Mapped> {
        let file = File::options().create_new(true).read(true).write(true).open(path)?;
        zero_fill(&file, bytes)?;
        let bytes = bytes as usize;
        let map = MmapOptions::new().len(bytes).map_raw(&file)?;
        // One page a fault: a store into a large folio would dirty, and write, all of it.
        map.advise(Advice::Random)?;
        Ok(Mapped { file, map, bytes, at: 0, staged: Vec::with_capacity(1 << 16) })
    }

    /// Appends one frame.
    #[inline]
    pub fn append(&mut self, payload: &[u8]) {
        self.staged.clear();
        frame(&mut self.staged, payload);
        if self.at + self.staged.len() > self.bytes {
            self.at = 0;
        }
        self.store(self.at);
        self.at += self.staged.len();
    }

    /// Copies what is staged into the map.
    #[inline]
    fn store(&mut self, at: usize) {
        assert!(at + self.staged.len() <= self.bytes, "a store within the map");
        // SAFETY: the range was just checked to lie within the map, which is writable and as long as `bytes` while
        // `self` lives; the source is a vector of our own and cannot overlap it; `&mut self` excludes other stores,
        // and no reference into the map exists.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.staged.as_ptr(),
                self.map.as_mut_ptr().add(at),
                self.staged.len(),
            );
        }
    }

    /// Stores eight bytes at the beginning of the map: what another process is to see.
    pub fn publish(&mut self, word: u64) {
        self.staged.clear();
        self.staged.extend_from_slice(&word.to_le_bytes());
        self.store(0);
    }

    /// Makes everything durable.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
