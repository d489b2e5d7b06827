//! The file of one segment: its name, and its bytes whether it is compressed or as it was written.
//!
//! Every reader of a segment opens it here, so none of them knows which of the two it reads. Nothing here looks at
//! records, and nothing is changed.

use std::io;
use std::ops::Range;

use crate::frame::Flaw;
use crate::layout::PAGE_BYTES;
use crate::packed::Packed;
use crate::storage::{Source, StorageRead};

/// File name of segment `number` when it is compressed.
pub(crate) fn packed_name(number: u64) -> String {
    format!("{number:010}.segz")
}

/// File name of segment `number` as it is written.
pub(crate) fn segment_name(number: u64) -> String {
    format!("{number:010}.seg")
}

/// The number in a segment's file name, and whether that is a compressed one.
pub(crate) fn segment_file(name: &str) -> Option<(u64, bool)> {
    let (digits, packed) = match (name.strip_suffix(".seg"), name.strip_suffix(".segz")) {
        (Some(digits), _) => (digits, false),
        (None, Some(digits)) => (digits, true),
        (None, None) => return None,
    };
    let number = (digits.len() == 10).then(|| digits.parse().ok()).flatten().filter(|n| *n > 0)?;
    Some((number, packed))
}

/// A segment open for reading, whichever file it is in.
pub(crate) struct SegmentFile<F> {
    number: u64,
    content: Content<F>,
}

enum Content<F> {
    Plain(F),
    Packed(Box<Packed<F>>),
}

/// Opens segment `number`: the file it was written to, or else the compressed one. A compressed file has its name
/// before the other one loses its own, so whoever looks in this order finds one of them.
pub(crate) fn open_segment<R: StorageRead>(read: &R, number: u64) -> io::Result<SegmentFile<R::Source>> {
    let missing = match open_plain(read, number) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => e,
        found => return found,
    };
    match read.open(&packed_name(number)) {
        Ok(source) => Ok(SegmentFile { number, content: Content::Packed(Box::new(Packed::open(source))) }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(missing),
        Err(e) => Err(e),
    }
}

/// Opens segment `number` if it is there as it was written.
pub(crate) fn open_plain<R: StorageRead>(read: &R, number: u64) -> io::Result<SegmentFile<R::Source>> {
    let source = read.open(&segment_name(number))?;
    Ok(SegmentFile { number, content: Content::Plain(source) })
}

/// Takes an open file for segment `number`, under whatever name it was found.
pub(crate) fn as_segment<F: Source>(source: F, number: u64, packed: bool) -> SegmentFile<F> {
    let content =
        if packed { Content::Packed(Box::new(Packed::open(source))) } else { Content::Plain(source) };
    SegmentFile { number, content }
}

/// As `open_plain`, for reads past the cache.
pub(crate) fn open_past_cache<R: StorageRead>(read: &R, number: u64) -> io::Result<SegmentFile<R::Source>> {
    let source = read.open_past_cache(&segment_name(number))?;
    Ok(SegmentFile { number, content: Content::Plain(source) })
}

impl<F: Source> SegmentFile<F> {
    /// The name of the file.
    pub(crate) fn name(&self) -> String {
        if self.is_packed() { packed_name(self.number) } else { segment_name(self.number) }
    }

    /// Whether it is compressed.
    pub(crate) fn is_packed(&self) -> bool {
        matches!(self.content, Content::Packed(_))
    }

    /// The bytes around `offset` that are read or lost together.
    pub(crate) fn piece(&self, offset: u64) -> Range<u64> {
        let page = offset / PAGE_BYTES * PAGE_BYTES..(offset / PAGE_BYTES + 1) * PAGE_BYTES;
        match &self.content {
            Content::Plain(_) => page,
            // Within a block by pages as well, so that what is looked at is never longer.
            Content::Packed(packed) => {
                let block = packed.block(offset).unwrap_or(page.clone());
                page.start.max(block.start)..page.end.min(block.end)
            }
        }
    }

    /// The version that the file needs, when its first bytes name one that this program does not know.
    pub(crate) fn newer(&self) -> Option<u16> {
        match &self.content {
            Content::Plain(_) => None,
            Content::Packed(packed) => packed.newer(),
        }
    }

    /// Whether everything about the file that repeats something else in it agrees with that.
    pub(crate) fn lists_agree(&self) -> bool {
        match &self.content {
            Content::Plain(_) => true,
            Content::Packed(packed) => packed.lists_agree(),
        }
    }
}

impl<F: Source> Source for SegmentFile<F> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.content {
            Content::Plain(source) => source.read_at(offset, buffer),
            Content::Packed(packed) => packed.read_at(offset, buffer),
        }
    }

    fn bytes(&self) -> io::Result<u64> {
        match &self.content {
            Content::Plain(source) => source.bytes(),
            Content::Packed(packed) => packed.bytes(),
        }
    }

    fn settle(&self) -> io::Result<()> {
        match &self.content {
            Content::Plain(source) => source.settle(),
            Content::Packed(packed) => packed.settle(),
        }
    }
}

/// What a failed read says of the place that was read.
pub(crate) fn flaw_of(error: &io::Error) -> Flaw {
    if error.kind() == io::ErrorKind::InvalidData { Flaw::Block } else { Flaw::Unreadable }
}

#[cfg(test)]
mod tests;
