//! The fixed-size structures of a segment file: header page, mark slots, seal, and their byte offsets.
//!
//! Everything here is a pure translation between structs and little-endian bytes as `journal-format.md`
//! specifies them. This file never reads or writes a file and never decides what damage means.

use crate::scan::first_not_zero;
use crate::{Identity, Lsn};

/// Size of the header page at the start of every segment, and of a disk page in every calculation here.
pub const PAGE_BYTES: u64 = 4096;
/// The newest version of the format; every version from 1 on is read. Only the page that a pruned journal begins with has
/// this one.
pub const FORMAT_VERSION: u16 = 4;
/// The version of a segment beside which others may be compressed, and of those.
pub(crate) const PACKED_VERSION: u16 = 3;
/// The version of a segment beside which no other one is compressed: programs that know nothing of that read it too.
pub(crate) const PLAIN_VERSION: u16 = 2;
/// The version of checkpoints.
pub(crate) const CHECKPOINT_VERSION: u16 = 2;
/// Size of the seal that ends a finished segment.
pub const SEAL_BYTES: u64 = 72;
/// Largest batch in bytes, frames and padding included.
pub const BATCH_BYTES_MAX: u64 = 1 << 20;
/// Fixed part of every record frame.
pub const FRAME_BYTES: usize = 32;
/// Extra part of the first record of a batch: how far the durable LSN lies behind, and the link.
pub const FIRST_BYTES: usize = 8;
/// Declared gaps a segment header can hold.
pub const GAPS_MAX: usize = 8;

pub(crate) const MAGIC: &[u8; 8] = b"AEGISJNL";
const CHECKED_BYTES: usize = 232;
const IMMUTABLE_BYTES: usize = 3072;
const MARK_OFFSETS: [usize; 2] = [3072, 3584];
const MARK_BYTES: usize = 24;
const SEAL_WORD: u32 = 0x8000_0000 | (SEAL_BYTES as u32 - 8);

/// Reads a little-endian `u16` at `at`.
#[inline]
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

/// Reads a little-endian `u32` at `at`.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Reads a little-endian `u64` at `at`.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// CRC-32 of `bytes`, continued from the CRC `initial` (as `zlib.crc32(bytes, initial)`).
#[inline]
pub(crate) fn crc32(initial: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(initial);
    hasher.update(bytes);
    hasher.finalize()
}

/// What each byte of a word contributes to a CRC, from the lowest to the highest.
static CRC_TABLES: [[u32; 256]; 4] = crc_tables();

const fn crc_tables() -> [[u32; 256]; 4] {
    let mut tables = [[0u32; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 32 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
            // After 8 bits the byte was the word's last one, after 32 its first.
            if bit % 8 == 0 {
                tables[4 - bit / 8][byte] = crc;
            }
        }
        byte += 1;
    }
    tables
}

/// CRC-32 of a little-endian word, continued from `initial`. The same value as [`crc32`] over its four bytes, which
/// takes a byte by byte path for so few and costs as much as the rest of a record.
#[inline]
pub(crate) fn crc32_word(initial: u32, word: u32) -> u32 {
    let [a, b, c, d] = (!initial ^ word).to_le_bytes();
    let [ta, tb, tc, td] = &CRC_TABLES;
    !(ta[usize::from(a)] ^ tb[usize::from(b)] ^ tc[usize::from(c)] ^ td[usize::from(d)])
}

/// A range of LSNs that a segment header declares as not folded: rot was found there and accepted as row E.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredGap {
    /// First LSN that is not folded.
    pub first_lsn: Lsn,
    /// Last LSN that is not folded.
    pub through_lsn: Lsn,
    /// Whether a checkpoint at or behind `through_lsn` holds the state: folding then starts from it, and a
    /// fold from the first record is no longer possible. Otherwise the range is left out for good.
    pub by_checkpoint: bool,
}

/// What a segment's bytes, and through its predecessor's root everything before it, are summed up in.
pub(crate) type Root = [u8; 32];
/// Stands where a root is not known, or where there is no predecessor.
pub(crate) const NO_ROOT: Root = [0; 32];

/// Whether two statements of one root can both be true: one that is not known contradicts nothing.
pub(crate) fn roots_agree(a: &Root, b: &Root) -> bool {
    a == b || *a == NO_ROOT || *b == NO_ROOT
}

/// The immutable part of a segment's header page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Version of the format the segment was begun under.
    pub(crate) version: u16,
    pub(crate) identity: Identity,
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) first_lsn: Lsn,
    pub(crate) segment_bytes: u64,
    pub(crate) chain: u32,
    /// Root of the predecessor, if it was known when this segment was begun.
    pub(crate) root_before: Root,
    pub(crate) gaps: Vec<DeclaredGap>,
}

/// Why a header page is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFlaw {
    /// Checksum, magic or a reserved field is wrong, or the page is short or unreadable.
    Damaged,
    /// The checksum is right and the version is none that a segment of this build has.
    Newer(u16),
}

impl Header {
    /// The header page with empty mark slots.
    pub(crate) fn encode(&self) -> [u8; PAGE_BYTES as usize] {
        self.page(0)
    }

    /// The first page of a file with these fields and their checksum, all behind that zero. `role` is 0 for a segment.
    pub(crate) fn page(&self, role: u8) -> [u8; PAGE_BYTES as usize] {
        assert!(self.gaps.len() <= GAPS_MAX, "a header declares at most {GAPS_MAX} gaps");
        let mut page = [0u8; PAGE_BYTES as usize];
        page[0..8].copy_from_slice(MAGIC);
        page[8..10].copy_from_slice(&self.version.to_le_bytes());
        page[10..12].copy_from_slice(&self.identity.schema.to_le_bytes());
        page[12] = self.identity.mode;
        page[13] = self.gaps.len() as u8;
        page[15] = role;
        page[16..32].copy_from_slice(&self.identity.journal_id);
        page[32..40].copy_from_slice(&self.number.to_le_bytes());
        page[40..48].copy_from_slice(&self.epoch.to_le_bytes());
        page[48..56].copy_from_slice(&self.first_lsn.to_le_bytes());
        page[56..64].copy_from_slice(&self.segment_bytes.to_le_bytes());
        page[64..68].copy_from_slice(&self.chain.to_le_bytes());
        page[72..104].copy_from_slice(&self.root_before);
        for (slot, gap) in self.gaps.iter().enumerate() {
            let at = 104 + slot * 16;
            page[at..at + 8].copy_from_slice(&gap.first_lsn.to_le_bytes());
            page[at + 8..at + 16].copy_from_slice(&gap.through_lsn.to_le_bytes());
            page[14] |= u8::from(gap.by_checkpoint) << slot;
        }
        let crc = crc32(0, &page[..CHECKED_BYTES]);
        page[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Decodes and checks a header page.
    pub(crate) fn decode(page: &[u8]) -> Result<Header, HeaderFlaw> {
        if page.len() < PAGE_BYTES as usize || &page[0..8] != MAGIC {
            return Err(HeaderFlaw::Damaged);
        }
        if crc32(0, &page[..CHECKED_BYTES]) != u32_at(page, CHECKED_BYTES) {
            return Err(HeaderFlaw::Damaged);
        }
        let version = u16_at(page, 8);
        if !(1..=PACKED_VERSION).contains(&version) {
            return Err(HeaderFlaw::Newer(version));
        }
        let gap_count = usize::from(page[13]);
        if gap_count > GAPS_MAX || page[15] != 0 || u32_at(page, 68) != 0 {
            return Err(HeaderFlaw::Damaged);
        }
        let gaps = (0..gap_count)
            .map(|slot| DeclaredGap {
                first_lsn: u64_at(page, 104 + slot * 16),
                through_lsn: u64_at(page, 112 + slot * 16),
                by_checkpoint: page[14] >> slot & 1 == 1,
            })
            .collect();
        Ok(Header {
            version,
            identity: Identity {
                journal_id: page[16..32].try_into().expect("sixteen bytes"),
                schema: u16_at(page, 10),
                mode: page[12],
            },
            number: u64_at(page, 32),
            epoch: u64_at(page, 40),
            first_lsn: u64_at(page, 48),
            segment_bytes: u64_at(page, 56),
            chain: u32_at(page, 64),
            root_before: page[72..104].try_into().expect("thirty-two bytes"),
            gaps,
        })
    }

    /// Whether the reserved bytes between the checksum and the mark slots are zero, as they must be.
    pub(crate) fn reserved_is_zero(page: &[u8]) -> bool {
        let zero = |bytes: &[u8]| first_not_zero(bytes).is_none();
        zero(&page[CHECKED_BYTES + 4..IMMUTABLE_BYTES])
            && MARK_OFFSETS.iter().all(|at| zero(&page[at + MARK_BYTES..at + 512]))
    }

    /// The salt of this segment.
    pub(crate) fn salt(&self) -> u32 {
        salt(&self.identity.journal_id, self.number, self.epoch)
    }

    /// The chain value the first record of this segment is checked against.
    pub(crate) fn seed(&self) -> u32 {
        seed(self.chain, self.epoch)
    }

    /// A BLAKE3 hasher that has taken in the immutable part of the header.
    pub(crate) fn root_hasher(&self) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.encode()[..IMMUTABLE_BYTES]);
        hasher
    }

    /// The root of this segment, when `hasher` has taken in header and frames and `before` is the root of its
    /// predecessor. Under version 1 the header alone stood for the predecessor.
    pub(crate) fn root(&self, mut hasher: blake3::Hasher, before: &Root) -> Root {
        if self.version >= 2 {
            hasher.update(before);
        }
        *hasher.finalize().as_bytes()
    }
}

/// What every link of a segment is XORed with, so that a frame of another segment, epoch or journal is
/// never mistaken for one of this segment even when it is checked alone.
pub(crate) fn salt(journal_id: &[u8; 16], number: u64, epoch: u64) -> u32 {
    crc32(crc32(crc32(0, journal_id), &number.to_le_bytes()), &epoch.to_le_bytes())
}

/// The initial CRC of a segment's first record: the chain value it continues, run over the epoch.
pub(crate) fn seed(chain: u32, epoch: u64) -> u32 {
    crc32(chain, &epoch.to_le_bytes())
}

/// One mark: "everything up to this LSN was durable".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) durable_lsn: Lsn,
    pub(crate) sequence: u64,
}

impl Mark {
    /// Byte offset in the segment of the slot this mark goes to: slots alternate by sequence.
    pub(crate) fn offset(self) -> u64 {
        MARK_OFFSETS[(self.sequence % 2) as usize] as u64
    }

    pub(crate) fn encode(self, salt: u32) -> [u8; MARK_BYTES] {
        let mut bytes = [0u8; MARK_BYTES];
        bytes[0..8].copy_from_slice(&self.durable_lsn.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        let crc = crc32(salt, &bytes[..16]);
        bytes[16..20].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The newest whole mark of a header page, and the number of slots that hold something else.
    pub(crate) fn newest(page: &[u8], salt: u32) -> (Option<Mark>, usize) {
        let mut newest: Option<Mark> = None;
        let mut damaged = 0;
        for at in MARK_OFFSETS {
            let slot = &page[at..at + MARK_BYTES];
            if slot.iter().all(|b| *b == 0) {
                continue;
            }
            let mark = Mark { durable_lsn: u64_at(slot, 0), sequence: u64_at(slot, 8) };
            if mark.encode(salt) != *slot || mark.offset() != at as u64 {
                damaged += 1;
            } else if newest.is_none_or(|n| n.sequence < mark.sequence) {
                newest = Some(mark);
            }
        }
        (newest, damaged)
    }
}

/// Empties the mark slots of a header page.
pub(crate) fn forget_marks(page: &mut [u8]) {
    if let Some(slots) = page.get_mut(IMMUTABLE_BYTES..) {
        slots.fill(0);
    }
}

/// Where a batch stands: what a scan needs to begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Number of its segment.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    /// LSN of its first record.
    pub(crate) lsn: Lsn,
    /// What that record's checksum continues.
    pub(crate) chain: u32,
}

/// The end of a finished segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) last_lsn: Lsn,
    pub(crate) count: u64,
    pub(crate) epoch: u64,
    pub(crate) chain: u32,
    /// Root of the segment, if it was known when the seal was written.
    pub(crate) root: Root,
}

impl Seal {
    pub(crate) fn encode(&self) -> [u8; SEAL_BYTES as usize] {
        let mut bytes = [0u8; SEAL_BYTES as usize];
        bytes[0..4].copy_from_slice(&SEAL_WORD.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.last_lsn.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.count.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.chain.to_le_bytes());
        bytes[40..72].copy_from_slice(&self.root);
        let crc = crc32(crc32(self.chain, &bytes[0..4]), &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Whether `word` is the first word of a seal.
    #[inline]
    pub(crate) fn begins_with(word: u32) -> bool {
        word == SEAL_WORD
    }

    /// Decodes a seal. Its checksum is chained from the chain value it names, so it can be checked alone;
    /// the caller compares epoch, LSN and chain with what it knows.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Seal> {
        let bytes = bytes.get(..SEAL_BYTES as usize)?;
        let seal = Seal {
            last_lsn: u64_at(bytes, 8),
            count: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24),
            chain: u32_at(bytes, 32),
            root: bytes[40..72].try_into().expect("thirty-two bytes"),
        };
        (seal.encode() == *bytes).then_some(seal)
    }
}

#[cfg(test)]
mod tests;
