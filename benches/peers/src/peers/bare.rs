//! The limit: a mapped file, a length and a CRC-32 before each payload, `fdatasync`. No rotation, no numbers, no chain,
//! no recovery; whatever a product does on top costs something.
//!
//! The file is filled with zeros beforehand, in writes of a page: with larger ones the kernel keeps larger folios, and
//! then each sync writes a whole one.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use memmap2::{Advice, MmapMut};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

const PAGE_BYTES: usize = 4096;
/// Checksum and length.
const FRAME_BYTES: usize = 8;

pub(crate) struct Bare;

struct Open {
    file: File,
    map: MmapMut,
    at: usize,
    sync: Sync,
}

#[expect(unsafe_code, reason = "there is no safe way to map a file")]
fn map(file: &File) -> io::Result<MmapMut> {
    // SAFETY: the file lies in a private temporary directory of this process; nobody else opens, writes or truncates
    // it, and this process does so only before it is mapped.
    unsafe { MmapMut::map_mut(file) }
}

/// Bytes of a record, padded to 8.
fn stride(payload: usize) -> usize {
    (FRAME_BYTES + payload).next_multiple_of(8)
}

impl Peer for Bare {
    fn facts(&self) -> Facts {
        Facts {
            name: "bare",
            title: "bare file (limit)",
            package: None,
            checks: "CRC-32 a record",
            unsynced: "yes: up to what does not verify",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let path = place.dir.join("bare");
        let mut file = File::options().create_new(true).read(true).write(true).open(&path)?;
        let bytes = place.payload_bytes + place.records * stride(0) as u64 * 2;
        for _ in 0..bytes.div_ceil(PAGE_BYTES as u64) + 1 {
            file.write_all(&[0; PAGE_BYTES])?;
        }
        file.sync_all()?;
        let map = map(&file)?;
        map.advise(Advice::Random)?;
        let mut open = Open { file, map, at: 0, sync };
        work(&mut open)?;
        open.file.sync_data()?;
        Ok(())
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        let map = map(&File::options().read(true).write(true).open(dir.join("bare"))?)?;
        let word =
            |at: usize| map.get(at..at + 4).map(|b| u32::from_le_bytes(b.try_into().expect("four bytes")));
        let mut at = 0;
        while let (Some(crc), Some(len @ 1..)) = (word(at), word(at + 4)) {
            let end = at + FRAME_BYTES + len as usize;
            let checked = map.get(at + 4..end).filter(|bytes| crc32fast::hash(bytes) == crc);
            check.see(&checked.ok_or("a record does not verify")?[4..]);
            at += stride(len as usize);
        }
        Ok(check)
    }
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        for record in unit {
            let payload = record.payload;
            let frame = &mut self.map[self.at..self.at + FRAME_BYTES + payload.len()];
            frame[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
            frame[FRAME_BYTES..].copy_from_slice(payload);
            let crc = crc32fast::hash(&frame[4..]);
            frame[..4].copy_from_slice(&crc.to_le_bytes());
            self.at += stride(payload.len());
        }
        if self.sync == Sync::Each {
            self.file.sync_data()?;
        }
        Ok(())
    }
}
