//! The one file of the project with `unsafe`: a shared, writable memory map that is only ever stored into.
//!
//! No reference or slice into the map leaves this file, so no Rust reference ever points at memory that
//! another process may change. Reading goes through `pread` elsewhere. A store cannot fail visibly: the
//! file's blocks are allocated before it is mapped, so a full disk is met earlier, as an error. If the
//! device itself fails under a store, the kernel's SIGBUS ends the process, and recovery finds a torn tail.

use std::fs::File;
use std::io;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};

use super::TouchAhead;

/// A mapped prefix of a file.
#[derive(Debug)]
pub(super) struct Map {
    raw: Arc<MmapRaw>,
    bytes: usize,
}

impl Map {
    /// Maps the first `bytes` of `file`, shared and writable. The file must be at least that long and must
    /// stay so: the caller holds the journal's lock and unmaps before it cuts the file.
    ///
    /// The map is advised as randomly accessed, so that a fault brings in one page and not a large folio
    /// around it: a folio is dirtied as a whole, and a store of 128 bytes would cost a megabyte of writing.
    pub(super) fn new(file: &File, bytes: u64) -> io::Result<Map> {
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        assert!(bytes > 0, "an empty map has no use");
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::other("the file is shorter than its map would be"));
        }
        let raw = MmapOptions::new().len(bytes).map_raw(file)?;
        raw.advise(Advice::Random)?;
        Ok(Map { raw: Arc::new(raw), bytes })
    }

    /// Enters pages of the file into the page table, as if they had been read: none is dirtied by it.
    pub(super) fn populate(&self) -> TouchAhead {
        self.touch(Advice::PopulateRead)
    }

    /// Makes pages ready for stores, on any thread: as if each had been written with what it holds already. They
    /// count as dirty from then on. The map stays until what this returns is gone.
    pub(super) fn ahead(&self) -> TouchAhead {
        self.touch(Advice::PopulateWrite)
    }

    fn touch(&self, advice: Advice) -> TouchAhead {
        let (raw, bytes) = (self.raw.clone(), self.bytes as u64);
        Box::new(move |from, length| {
            let until = from.saturating_add(length).min(bytes);
            if from < until {
                // Only time is lost where the kernel cannot do it: each page is then entered by the first store.
                let (from, until) = (from as usize, until as usize);
                let _ = raw.advise_range(advice, from, until - from);
            }
        })
    }

    /// Copies `bytes` to `offset`.
    pub(super) fn store(&mut self, offset: u64, bytes: &[u8]) {
        let offset = usize::try_from(offset).expect("an offset within the map");
        let end = offset.checked_add(bytes.len()).expect("an end within the address space");
        assert!(end <= self.bytes, "a store of {} bytes at {offset} leaves the map", bytes.len());
        // SAFETY: `offset + bytes.len() <= self.bytes` was just checked, and `raw` maps exactly `self.bytes`
        // writable bytes for as long as `self` lives, so the destination is valid for writes. The source is
        // a live slice of the same length and cannot overlap the map, because no slice into the map exists.
        // `&mut self` excludes another store through this map.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.raw.as_mut_ptr().add(offset), bytes.len());
        }
    }
}

#[cfg(test)]
mod tests;
