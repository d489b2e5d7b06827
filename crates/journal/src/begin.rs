//! Where a pruned journal begins: one page in the place of the last segment that was dropped.
//!
//! It says what the first segment that is left continues: which record, which checksum, which root. Its name is that of
//! the segment it stands for, so that putting it there is one rename, and putting the segments back takes no step more
//! than copying them. Nothing here decides what may be dropped; that is `prune.rs`.

use crate::layout::{
    FORMAT_VERSION, Header, MAGIC, NO_ROOT, PAGE_BYTES, Root, crc32, u16_at, u32_at, u64_at,
};
use crate::{Identity, Lsn};

/// Byte 15 of the page; a segment's header has zero there.
const IS_BEGIN: u8 = 1;
const TEXT_CRC_AT: usize = 252;
const TEXT_LENGTH_AT: usize = 256;
const TEXT_AT: usize = 258;
/// Longest text that names where the dropped segments are; a longer one is cut.
const TEXT_BYTES_MAX: usize = 1024;

/// What was dropped from the beginning of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Number of the last segment that was dropped.
    pub segment: u64,
    /// The last LSN that was dropped.
    pub last_lsn: Lsn,
    /// Root of that segment, which commits to everything dropped; zeros when it was not known, because of damage.
    pub root: [u8; 32],
    /// Where the verified backup was that held it then, in the words of whoever pruned; may be empty.
    pub held_in: String,
}

impl std::fmt::Display for Pruned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "records 1 to {} were pruned", self.last_lsn)?;
        if self.held_in.is_empty() {
            Ok(())
        } else {
            write!(f, "; the backup in {} had them then", self.held_in)
        }
    }
}

/// Where a journal begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Number of the segment before the first one; 0 when none was dropped.
    pub(crate) number: u64,
    /// Its epoch.
    pub(crate) epoch: u64,
    /// The first LSN that is there.
    pub(crate) first_lsn: Lsn,
    /// The chain value that the first segment continues.
    pub(crate) chain: u32,
    /// The root that it builds on; zeros stand for none, and for one that is not known.
    pub(crate) root: Root,
    pub(crate) held_in: String,
}

impl Begin {
    /// Of a journal from which nothing was dropped.
    pub(crate) const FIRST: Begin =
        Begin { number: 0, epoch: 0, first_lsn: 1, chain: 0, root: NO_ROOT, held_in: String::new() };

    /// What was dropped, if anything was.
    pub(crate) fn pruned(&self) -> Option<Pruned> {
        (self.number > 0).then(|| Pruned {
            segment: self.number,
            last_lsn: self.first_lsn - 1,
            root: self.root,
            held_in: self.held_in.clone(),
        })
    }

    /// The root to build on, when it is known.
    pub(crate) fn known_root(&self) -> Option<Root> {
        (self.number == 0 || self.root != NO_ROOT).then_some(self.root)
    }

    /// The page.
    pub(crate) fn encode(&self, identity: &Identity) -> [u8; PAGE_BYTES as usize] {
        let fields = Header {
            version: FORMAT_VERSION,
            identity: *identity,
            number: self.number,
            epoch: self.epoch,
            first_lsn: self.first_lsn,
            segment_bytes: 0,
            chain: self.chain,
            root_before: self.root,
            gaps: Vec::new(),
        };
        let mut page = fields.page(IS_BEGIN);
        let mut end = self.held_in.len().min(TEXT_BYTES_MAX);
        while !self.held_in.is_char_boundary(end) {
            end -= 1;
        }
        let text = &self.held_in.as_bytes()[..end];
        let length = u16::try_from(text.len()).expect("a text was cut to its longest");
        page[TEXT_LENGTH_AT..TEXT_AT].copy_from_slice(&length.to_le_bytes());
        page[TEXT_AT..TEXT_AT + text.len()].copy_from_slice(text);
        let crc = crc32(0, &page[TEXT_LENGTH_AT..TEXT_AT + text.len()]);
        page[TEXT_CRC_AT..TEXT_LENGTH_AT].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Decodes and checks a page; `None` when it is none of these, or damaged. A damaged text counts as none.
    pub(crate) fn decode(page: &[u8]) -> Option<(Identity, Begin)> {
        if page.len() < PAGE_BYTES as usize || &page[0..8] != MAGIC || page[15] != IS_BEGIN {
            return None;
        }
        if u16_at(page, 8) != FORMAT_VERSION {
            return None;
        }
        let identity = Identity {
            journal_id: page[16..32].try_into().expect("sixteen bytes"),
            schema: u16_at(page, 10),
            mode: page[12],
        };
        let mut begin = Begin {
            number: u64_at(page, 32),
            epoch: u64_at(page, 40),
            first_lsn: u64_at(page, 48),
            chain: u32_at(page, 64),
            root: page[72..104].try_into().expect("thirty-two bytes"),
            held_in: String::new(),
        };
        // Every byte that is checked follows from these fields.
        if begin.encode(&identity)[..TEXT_CRC_AT] != page[..TEXT_CRC_AT]
            || begin.number == 0
            || begin.first_lsn == 0
        {
            return None;
        }
        let length = usize::from(u16_at(page, TEXT_LENGTH_AT)).min(TEXT_BYTES_MAX);
        let crc = crc32(0, &page[TEXT_LENGTH_AT..TEXT_AT + length]);
        if crc == u32_at(page, TEXT_CRC_AT)
            && let Ok(text) = std::str::from_utf8(&page[TEXT_AT..TEXT_AT + length])
        {
            text.clone_into(&mut begin.held_in);
        }
        Some((identity, begin))
    }
}

#[cfg(test)]
mod tests;
