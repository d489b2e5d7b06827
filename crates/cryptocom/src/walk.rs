//! Reading a history whole: which page to ask for next, until it is proven that none is missing.
//!
//! The venue promises no row order, gives at most 100 rows a page, has no cursor of its own, and lets rows appear
//! late (reference, sections 10.3 and 14.2). So nothing is concluded from the order of rows or from a page without
//! news. The one proof that a span is complete is a page with **fewer rows than asked for**; a full page only tells
//! where to cut the span in two. Both halves are asked until both are proven:
//!
//! ```text
//! [start                                      end)   100 rows: full, proves nothing
//! [start             cut)[cut                 end)   the upper 37 rows: proven; the lower full: cut again
//! ```
//!
//! The order of a full page is a hint for the cut and nothing more: newest first, the cut keeps all but the oldest
//! instant above it, so that half is proven by the next page. Rows of one instant at a page's border fall into one
//! half and are asked together. An instant with more rows than a page is asked again per instrument; if that is full
//! too it is a gap, reported and never swallowed. What appears late is caught by the overlap: the next walk begins
//! before the end of the last complete one, and ids seen there are dropped.
//!
//! It never asks anything itself; a failed page changes nothing and is asked again.

use crate::request::PAGE_MAX;
use crate::wire::{Limit, Ns};
use aegis_model::ids::{DAY, SECOND};
use aegis_model::{Label, Timestamp};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The longest span of one page (section 10.3: at most 7 days; a day is what the venue itself defaults to).
pub const SPAN_NS: i64 = DAY;
/// How far a walk reaches back behind the end of the last complete one. Rows appear late by no documented bound;
/// ten minutes is the reference's advice.
pub const OVERLAP_NS: i64 = 600 * SECOND;
/// How long the venue keeps history: 6 months, counted short.
pub const RETENTION_NS: i64 = 180 * DAY;
/// Spans open at once at most: 180 days, and the halves of one being cut down to an instant, with room.
pub const SPANS_MAX: usize = 1_024;
/// Pages of one walk at most, so that a venue whose every page is full cannot hold us for ever: 20,000 rows a day for
/// a hundred days.
pub const PAGES_MAX: u32 = 20_000;
/// Ids remembered within the overlap at most. Beyond it the oldest are forgotten, and come as duplicates.
pub const SEEN_MAX: usize = 100_000;

/// `[start, end)`, of one instrument or of all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Span {
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    /// All when absent.
    pub instrument: Option<Label>,
}

impl Span {
    /// The parameters of its page.
    pub fn history(&self) -> crate::request::History {
        crate::request::History {
            start_time: Some(Ns(self.start)),
            end_time: Some(Ns(self.end)),
            limit: Some(Limit(PAGE_MAX)),
            instrument_name: self.instrument,
        }
    }

    /// The same for the ledger.
    pub fn transactions(&self) -> crate::request::Transactions {
        crate::request::Transactions {
            start_time: Some(Ns(self.start)),
            end_time: Some(Ns(self.end)),
            limit: Some(Limit(PAGE_MAX)),
            instrument_name: self.instrument,
            journal_type: None,
        }
    }
}

/// A row's key and the time by which the venue filters it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// Its id.
    pub id: Label,
    /// Its time.
    pub time: Timestamp,
}

/// Why a span could not be read whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Gap {
    /// The venue keeps nothing that old: only balances can close it (section 14.4).
    TooOld(Span),
    /// More rows in one instant than a page holds.
    Crowded(Span),
    /// Rows that could not be read: their page proves nothing.
    Unreadable(Span),
    /// More than [`SPANS_MAX`] spans would be open, or more than [`PAGES_MAX`] pages were read.
    TooMany(Span),
}

/// The cursor of one history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    limit: usize,
    overlap_ns: i64,
    /// Everything before this was read whole, as far as it had appeared.
    watermark: Timestamp,
    /// Where the walk under way ends, and the spans it still has to read, the next one last.
    until: Option<Timestamp>,
    open: Vec<Span>,
    pages: u32,
    instruments: Vec<Label>,
    gaps: Vec<Gap>,
    seen: BTreeMap<Label, Timestamp>,
}

impl Walk {
    /// A cursor that has read everything before `watermark`; that and the ids come from whoever folds the rows.
    pub fn new(watermark: Timestamp) -> Walk {
        Walk::with(watermark, PAGE_MAX as usize, OVERLAP_NS)
    }

    /// The same with another page size (at least 1) and overlap, for the simulator and for tests.
    pub fn with(watermark: Timestamp, limit: usize, overlap_ns: i64) -> Walk {
        Walk {
            limit: limit.max(1),
            overlap_ns: overlap_ns.max(0),
            watermark,
            until: None,
            open: Vec::new(),
            pages: 0,
            instruments: Vec::new(),
            gaps: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Everything before this has been read whole.
    pub const fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Begins a walk up to `now`, the venue's time as well as it is known. `instruments` are those that a crowded
    /// instant is split by: they must be all that the account trades, or the gap stays a gap. A walk that is under
    /// way is abandoned; nothing is lost, for the watermark moves only at the end.
    pub fn begin(&mut self, now: Timestamp, instruments: &[Label]) {
        let oldest = now.after(-RETENTION_NS);
        let wanted = self.watermark.after(-self.overlap_ns).max(Timestamp::EPOCH);
        self.gaps.clear();
        self.open.clear();
        self.pages = 0;
        if wanted < oldest {
            self.gaps.push(Gap::TooOld(Span { start: wanted, end: oldest, instrument: None }));
        }
        self.instruments = instruments.to_vec();
        self.until = Some(now);
        let mut end = now;
        let start = wanted.max(oldest);
        // The oldest is read first: folded in about the order in which it happened.
        while end > start {
            let from = end.after(-SPAN_NS).max(start);
            self.open.push(Span { start: from, end, instrument: None });
            end = from;
        }
    }

    /// The page to ask for, the same until it is answered; `None` when there is none.
    pub fn next(&self) -> Option<Span> {
        self.open.last().copied()
    }

    /// Takes the answer to [`Walk::next`]: the keys of the rows in the order sent. Answers which of them are new, by
    /// their places. `whole` says that every row of the page could be read.
    pub fn page(&mut self, keys: &[Key], whole: bool) -> Vec<usize> {
        let Some(span) = self.open.pop() else { return Vec::new() };
        let mut fresh = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            if self.seen.insert(key.id, key.time).is_none() {
                fresh.push(place);
            }
        }
        self.pages = self.pages.saturating_add(1);
        if !whole {
            self.gaps.push(Gap::Unreadable(span));
        } else if keys.len() >= self.limit {
            self.divide(span, keys);
        }
        fresh
    }

    /// A full page: the span in two, or by instrument when it is one instant.
    fn divide(&mut self, span: Span, keys: &[Key]) {
        if self.open.len() + 2 + self.instruments.len() > SPANS_MAX || self.pages >= PAGES_MAX {
            return self.gaps.push(Gap::TooMany(span));
        }
        if span.end.since(span.start) > 1 {
            let cut = cut(span, keys);
            self.open.push(Span { start: cut, ..span });
            self.open.push(Span { end: cut, ..span });
        } else if span.instrument.is_none() && !self.instruments.is_empty() {
            let by_name = self.instruments.iter().map(|name| Span { instrument: Some(*name), ..span });
            self.open.extend(by_name);
        } else {
            self.gaps.push(Gap::Crowded(span));
        }
    }

    /// Ends the walk once [`Walk::next`] has none. Without a gap the watermark moves to the walk's end; with one it
    /// stays, and the gaps say what is missing.
    ///
    /// # Errors
    /// The gaps; empty when pages are still to be asked or no walk was begun.
    pub fn finish(&mut self) -> Result<Timestamp, Vec<Gap>> {
        let (Some(until), true) = (self.until, self.open.is_empty()) else { return Err(Vec::new()) };
        self.until = None;
        if !self.gaps.is_empty() {
            return Err(core::mem::take(&mut self.gaps));
        }
        self.watermark = self.watermark.max(until);
        let keep = self.watermark.after(-self.overlap_ns);
        self.seen.retain(|_, time| *time >= keep);
        self.forget_beyond_bound();
        Ok(self.watermark)
    }

    fn forget_beyond_bound(&mut self) {
        if self.seen.len() > SEEN_MAX {
            let mut times: Vec<Timestamp> = self.seen.values().copied().collect();
            times.sort_unstable();
            let oldest_kept = times[times.len() - SEEN_MAX];
            self.seen.retain(|_, time| *time >= oldest_kept);
        }
    }

    /// Accepts a gap that a person or the balances have explained: the watermark moves to `to`.
    pub fn accept(&mut self, to: Timestamp) {
        self.watermark = self.watermark.max(to);
    }
}

/// Where to cut a span whose page was full: strictly inside it, whatever the rows say.
fn cut(span: Span, keys: &[Key]) -> Timestamp {
    let middle = Timestamp(span.start.0 + span.end.since(span.start) / 2);
    let times = || keys.iter().map(|key| key.time).filter(|time| *time >= span.start && *time < span.end);
    let falls = keys.windows(2).all(|pair| pair[0].time >= pair[1].time);
    let rises = keys.windows(2).all(|pair| pair[0].time <= pair[1].time);
    let hint = match (falls, rises) {
        // Newest first: all but the oldest instant lies above the cut.
        (true, false) => times().min().map(|oldest| oldest.after(1)),
        // Oldest first: all but the newest instant lies below it.
        (false, true) => times().max(),
        (true, true) | (false, false) => None,
    };
    let inside = |cut: &Timestamp| *cut > span.start && *cut < span.end;
    hint.filter(inside).unwrap_or(middle)
}

#[cfg(test)]
mod tests;
