//! Journal heads: a number that commits to every byte of every record up to one of them.
//!
//! A head is computed as a root is, over the newest segment's records as far as they were asked for. Told to somebody
//! else in time, it finds a history out that was rewritten with all of its checksums. Nothing is written, and no stored
//! root is believed where the bytes it stands for can be read.

use std::fmt;
use std::path::Path;

use crate::begin::Pruned;
use crate::error::OpenError;
use crate::layout::{Header, Root};
use crate::scan::{SegmentScan, Step};
use crate::segment::{open_segment, segment_name};
use crate::storage::{DirReader, LIVE, Source, StorageRead};
use crate::survey::Listing;
use crate::{Lsn, Progress};

/// A record number and what everything up to it sums up in; spelled `LSN:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The last record taken in; it ends a batch.
    pub lsn: Lsn,
    /// BLAKE3 over the segment's header, its records up to that one, and the root of its predecessor.
    pub root: [u8; 32],
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.lsn)?;
        self.root.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Head, String> {
        let wrong = || format!("{text:?} is no head: LSN, a colon and 64 hexadecimal digits");
        let (lsn, digits) = text.trim().split_once(':').ok_or_else(wrong)?;
        let lsn = lsn.parse().ok().filter(|lsn| *lsn > 0).ok_or_else(wrong)?;
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut root = [0; 32];
        for (at, byte) in root.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Head { lsn, root })
    }
}

/// The heads of one journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heads {
    /// One for each LSN asked for that ends a batch here, in the order of LSNs.
    pub asked: Vec<Head>,
    /// That of the last whole batch; none when there is no record.
    pub last: Option<Head>,
    /// What was dropped from the beginning: no head up to there can be computed any more, and those behind it build on the
    /// root that this tells.
    pub pruned: Option<Pruned>,
    /// First lost LSN of each hole. A head behind one builds on the root that the next header tells of what is lost.
    pub holes: Vec<Lsn>,
}

/// Computes heads; beside a live writer up to the durable end. An LSN that is lost, behind the end, or that ends no
/// batch, has no head.
///
/// # Errors
/// When there is no journal, or it cannot be identified.
pub fn heads<R: StorageRead>(
    read: &R,
    wanted: &[Lsn],
    mut progress: impl FnMut(Progress),
) -> Result<Heads, OpenError> {
    let live = read.live().map_err(|e| OpenError::io("read", LIVE, &e))?;
    let mut listing = Listing::headers(read)?;
    if let Some(live) = live {
        listing.limit(live);
    }
    let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let begin = listing.begin(&identity);
    let segments = listing.files.keys().next_back().copied().unwrap_or(begin.number);
    let mut walk = Walk { wanted: &wanted, asked: Vec::new(), last: None, before: begin.root };
    let mut holes = Vec::new();
    let (mut number, mut lsn, mut chain) = (begin.number, begin.first_lsn, begin.chain);
    for (this, listed) in &listing.files {
        let header = Header::decode(&listed.page).ok();
        let Some(header) = header.filter(|h| h.number == *this && h.identity == identity) else { continue };
        let follows = (header.number, header.first_lsn, header.chain) == (number + 1, lsn, chain);
        if !follows {
            // What the header says of the root before it is all there is; zeros where the writer met the hole too.
            holes.push(lsn);
            walk.before = header.root_before;
        }
        let source =
            open_segment(read, *this).map_err(|e| OpenError::io("open", &segment_name(*this), &e))?;
        let mut scan = SegmentScan::new(source, &header, listed.bytes).with_root(header.root_hasher());
        walk.segment(&header, &mut scan);
        (number, lsn, chain) = (*this, scan.link.lsn, scan.link.chain);
        progress(Progress { segment: *this, segments, records: lsn - 1 });
    }
    if number < segments {
        holes.push(lsn);
    }
    Ok(Heads { asked: walk.asked, last: walk.last, pruned: begin.pruned(), holes })
}

/// As [`heads`], of the journal in a directory.
///
/// # Errors
/// As [`heads`].
pub fn heads_dir(path: &Path, wanted: &[Lsn], progress: impl FnMut(Progress)) -> Result<Heads, OpenError> {
    heads(&DirReader::at(path)?, wanted, progress)
}

struct Walk<'a> {
    /// What is still asked for, in order.
    wanted: &'a [Lsn],
    asked: Vec<Head>,
    last: Option<Head>,
    /// Root of the segment before.
    before: Root,
}

impl Walk<'_> {
    /// Takes one segment in, as far as its records verify.
    fn segment<F: Source>(&mut self, header: &Header, scan: &mut SegmentScan<F>) {
        while let Step::Batch(batch) = scan.next_batch() {
            self.asked(header, scan, batch.last_lsn);
        }
        let Some(hasher) = scan.hasher() else { return };
        let root = header.root(hasher, &self.before);
        if scan.link.lsn > header.first_lsn {
            self.last = Some(Head { lsn: scan.link.lsn - 1, root });
        }
        self.before = root;
    }

    fn asked<F: Source>(&mut self, header: &Header, scan: &mut SegmentScan<F>, lsn: Lsn) {
        while let Some((first, rest)) = self.wanted.split_first()
            && *first <= lsn
        {
            self.wanted = rest;
            if *first == lsn
                && let Some(hasher) = scan.hasher()
            {
                self.asked.push(Head { lsn, root: header.root(hasher, &self.before) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
