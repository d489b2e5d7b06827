//! One record as bytes: encoding into a buffer, and the only way from unchecked bytes to a [`Record`].
//!
//! A frame is checked against a [`Link`]: the LSN it must have and the stored checksum it must continue.
//! The first frame of a batch also carries that checksum itself (salted), so that it can be checked alone
//! when what stood before it is lost. This file never reads a file and never skips a check.

use crate::layout::{
    BATCH_BYTES_MAX, FIRST_BYTES, FRAME_BYTES, Seal, crc32, crc32_word, u16_at, u32_at, u64_at,
};
use crate::{Lsn, NewRecord, Record};

const FLAG_BATCH_END: u32 = 1 << 24;
const FLAG_BATCH_FIRST: u32 = 1 << 25;
/// Set in every frame, so that no frame begins with a zero word: an empty record inside a batch would.
const FLAG_STORED: u32 = 1 << 26;
const LENGTH_MASK: u32 = 0x00ff_ffff;
const FLAGS_KNOWN: u32 = FLAG_BATCH_END | FLAG_BATCH_FIRST | FLAG_STORED | LENGTH_MASK;

/// What the next frame must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// LSN the frame must carry.
    pub(crate) lsn: Lsn,
    /// Stored checksum of the frame before it, or the segment's seed.
    pub(crate) chain: u32,
    /// The segment's salt.
    pub(crate) salt: u32,
}

/// Why bytes are not a record.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The first word is zero: nothing was stored here.
    Zeros,
    /// The frame runs past the end of the file.
    Short,
    /// The device reported an error for these bytes.
    Unreadable,
    /// They are in a compressed block that does not have its checksum.
    Block,
    /// The length is impossible.
    Length,
    /// The checksum, chained from the record before, does not match.
    Checksum,
    /// Checksum right, but the LSN is not the next one.
    Lsn,
    /// Checksum right, but the batch flags contradict the position.
    Batch,
    /// Checksum right, but a flag is set that this version does not know: written by a newer program.
    NewerFlags,
    /// A seal stands here that does not fit the records before it.
    Seal,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Flaw::Zeros => "zeros where a record should be",
            Flaw::Short => "a record runs past the end of the file",
            Flaw::Unreadable => "the device cannot read this place",
            Flaw::Block => "a compressed block with a checksum that does not match",
            Flaw::Length => "an impossible record length",
            Flaw::Checksum => "a checksum that does not match",
            Flaw::Lsn => "a record with the wrong LSN",
            Flaw::Batch => "a record that breaks its batch",
            Flaw::NewerFlags => "a record with flags of a newer version",
            Flaw::Seal => "a seal that does not fit its segment",
        })
    }
}

/// What the fixed part of a verified frame says beside the [`Record`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verified {
    /// Bytes of the whole frame, padding included.
    pub(crate) size: usize,
    /// Its stored checksum: the chain value of the next frame.
    pub(crate) crc: u32,
    pub(crate) batch_end: bool,
    /// The durable LSN it carries, when it is the first of a batch.
    pub(crate) durable: Option<Lsn>,
}

/// Bytes that begin where a frame may begin. Nothing in them is believed until `verify`.
#[derive(Clone, Copy)]
pub(crate) struct RawRecord<'a>(pub(crate) &'a [u8]);

/// Size of a frame in bytes.
#[inline]
pub(crate) fn frame_bytes(payload_bytes: usize, first: bool) -> usize {
    (FRAME_BYTES + if first { FIRST_BYTES } else { 0 } + payload_bytes).next_multiple_of(8)
}

impl<'a> RawRecord<'a> {
    /// Size of the frame by its own word, if that is possible at all. Needs four bytes.
    #[inline]
    pub(crate) fn size(self) -> Result<usize, Flaw> {
        if self.0.len() < 4 {
            return Err(Flaw::Short);
        }
        let word = u32_at(self.0, 0);
        if word == 0 {
            return Err(Flaw::Zeros);
        }
        if Seal::begins_with(word) {
            return Err(Flaw::Seal);
        }
        if word & FLAG_STORED == 0 {
            return Err(Flaw::Length);
        }
        let size = frame_bytes((word & LENGTH_MASK) as usize, word & FLAG_BATCH_FIRST != 0);
        if size as u64 > BATCH_BYTES_MAX { Err(Flaw::Length) } else { Ok(size) }
    }

    /// The LSN of a frame that `verify` has accepted.
    #[inline(always)]
    pub(crate) fn lsn(self) -> Lsn {
        u64_at(self.0, 8)
    }

    /// Checks the frame against what it must continue. `first` says whether a batch begins here.
    #[inline(always)]
    pub(crate) fn verify(self, link: &Link, first: bool) -> Result<Verified, Flaw> {
        let size = self.size()?;
        let Some(frame) = self.0.get(..size) else { return Err(Flaw::Short) };
        let crc = u32_at(frame, 4);
        if checksum(link.chain, frame) != crc {
            return Err(Flaw::Checksum);
        }
        let word = u32_at(frame, 0);
        if word & !FLAGS_KNOWN != 0 {
            return Err(Flaw::NewerFlags);
        }
        if u64_at(frame, 8) != link.lsn {
            return Err(Flaw::Lsn);
        }
        let is_first = word & FLAG_BATCH_FIRST != 0;
        if is_first != first {
            return Err(Flaw::Batch);
        }
        let mut durable = None;
        if is_first {
            let behind = u64::from(u32_at(frame, FRAME_BYTES));
            if behind > link.lsn || u32_at(frame, FRAME_BYTES + 4) != link.chain ^ link.salt {
                return Err(Flaw::Batch);
            }
            durable = Some(link.lsn - behind);
        }
        if u16_at(frame, 28) == 0 || u64::from(u32_at(frame, 24)) >= link.lsn {
            return Err(Flaw::Batch);
        }
        Ok(Verified { size, crc, batch_end: word & FLAG_BATCH_END != 0, durable })
    }

    /// For bytes behind damage: the link the first frame of a batch claims to continue and the durable LSN it
    /// carries, if the frame checks out alone and its LSN lies in `lsn_first..=lsn_last`.
    pub(crate) fn verify_alone(self, salt: u32, lsn_first: Lsn, lsn_last: Lsn) -> Option<(Link, Lsn)> {
        if self.0.len() < FRAME_BYTES + FIRST_BYTES || u32_at(self.0, 0) & FLAG_BATCH_FIRST == 0 {
            return None;
        }
        let lsn = u64_at(self.0, 8);
        if lsn < lsn_first || lsn > lsn_last {
            return None;
        }
        let link = Link { lsn, chain: u32_at(self.0, FRAME_BYTES + 4) ^ salt, salt };
        self.verify(&link, true).ok().map(|verified| (link, verified.durable.unwrap_or(0)))
    }

    /// The record of a frame that `verify` has accepted.
    ///
    /// Inlined, so that the record is built where the caller wants it: moved once, it would be read back in larger
    /// pieces than it was written in, which stalls for as long as half of a checksum takes.
    #[inline(always)]
    pub(crate) fn view(self, segment: u64, offset: u64, after_gap: bool) -> (Record<'a>, usize) {
        let frame = self.0;
        let word = u32_at(frame, 0);
        let first = word & FLAG_BATCH_FIRST != 0;
        let length = (word & LENGTH_MASK) as usize;
        let lsn = u64_at(frame, 8);
        let cause = u64::from(u32_at(frame, 24));
        let start = FRAME_BYTES + if first { FIRST_BYTES } else { 0 };
        let record = Record {
            lsn,
            kind: u16_at(frame, 28),
            version: frame[30],
            actor: frame[31],
            time_ns: u64_at(frame, 16) as i64,
            cause: if cause == 0 { 0 } else { lsn - cause },
            payload: &frame[start..start + length],
            batch_first: first,
            batch_end: word & FLAG_BATCH_END != 0,
            after_gap,
            segment,
            offset,
        };
        (record, frame_bytes(length, first))
    }
}

/// CRC-32 of everything in `frame` but the checksum field, continued from `chain`.
#[inline]
fn checksum(chain: u32, frame: &[u8]) -> u32 {
    if crate::mutant!(4) {
        return crc32(chain, &frame[8..]);
    }
    crc32(crc32_word(chain, u32_at(frame, 0)), &frame[8..])
}

/// Writes the frame of `record` into `frame`, which has exactly its size, and returns its stored checksum.
///
/// `durable` is given for the first record of a batch. The caller has checked every bound.
#[inline]
pub(crate) fn encode(
    frame: &mut [u8],
    record: &NewRecord<'_>,
    link: &Link,
    durable: Option<Lsn>,
    batch_end: bool,
) -> u32 {
    let size = frame.len();
    assert!(size == frame_bytes(record.payload.len(), durable.is_some()));
    let length = record.payload.len() as u32;
    assert!(length <= LENGTH_MASK && record.kind != 0 && record.cause < link.lsn);
    let mut word = length | FLAG_STORED;
    if batch_end {
        word |= FLAG_BATCH_END;
    }
    if durable.is_some() {
        word |= FLAG_BATCH_FIRST;
    }
    let cause = if record.cause == 0 { 0 } else { (link.lsn - record.cause) as u32 };
    // The padding first, and whatever of the payload lies there over it.
    frame[size - 8..].copy_from_slice(&[0; 8]);
    let head: &mut [u8; FRAME_BYTES] = frame.first_chunk_mut().expect("a frame has a head");
    head[0..4].copy_from_slice(&word.to_le_bytes());
    head[8..16].copy_from_slice(&link.lsn.to_le_bytes());
    head[16..24].copy_from_slice(&record.time_ns.to_le_bytes());
    head[24..28].copy_from_slice(&cause.to_le_bytes());
    head[28..30].copy_from_slice(&record.kind.to_le_bytes());
    head[30] = record.version;
    head[31] = record.actor;
    let mut start = FRAME_BYTES;
    if let Some(durable) = durable {
        let behind = u32::try_from(link.lsn - durable).expect("fewer than 2^32 records are unsynced");
        frame[32..36].copy_from_slice(&behind.to_le_bytes());
        frame[36..40].copy_from_slice(&(link.chain ^ link.salt).to_le_bytes());
        start += FIRST_BYTES;
    }
    frame[start..start + record.payload.len()].copy_from_slice(record.payload);
    let crc = checksum(link.chain, frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    crc
}

#[cfg(test)]
mod tests;
