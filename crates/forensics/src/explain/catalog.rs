//! What there is in a journal, found by one verifying read: names, where positions ended, which orders were intended
//! for what, and what the words of the question could mean.
//!
//! It holds 24 bytes for each order and position and nothing for other records.

use super::ExplainError;
use crate::about::{glance, label_at};
use crate::replay::{ReadError, head_of};
use crate::sweep::{Progress, Stretch, Visitor, sweep};
use aegis_journal::{Damage, Record, StorageRead};
use aegis_model::{Event, InstrumentId, Lsn, OrderId, Side};
use aegis_projection::State;

/// Record kinds, by number: `journal-format.md`.
pub(super) mod kind {
    pub(crate) const CREATED: u16 = 1;
    pub(crate) const ASSET: u16 = 10;
    pub(crate) const INSTRUMENT: u16 = 11;
    pub(crate) const TICK: u16 = 20;
    pub(crate) const SIGNAL: u16 = 30;
    pub(crate) const INTENDED: u16 = 40;
    pub(crate) const ACKNOWLEDGED: u16 = 42;
    pub(crate) const TRIGGERED: u16 = 49;
    pub(crate) const FILL: u16 = 50;
    pub(crate) const CLOSED: u16 = 60;
    pub(crate) const ARMED: u16 = 70;
    pub(crate) const COMMAND: u16 = 100;
    pub(crate) const MESSAGE: u16 = 120;
    pub(crate) const DELIVERED: u16 = 121;
}

/// An instrument's record of a cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CycleAt {
    pub(crate) instrument: InstrumentId,
    pub(crate) cycle: u32,
    pub(crate) lsn: Lsn,
}

/// An intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OrderAt {
    pub(crate) order: OrderId,
    pub(crate) instrument: InstrumentId,
    pub(crate) lsn: Lsn,
}

/// Where a word of the question stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Match {
    /// The venue's id of an order of ours.
    VenueOrder(OrderId),
    /// The venue's id of an order that was not ours, in the fill of this record.
    Foreign(Lsn),
    /// A trade.
    Trade(InstrumentId, Lsn),
    /// A source of signals; its last one.
    Source(Lsn),
}

/// What there is.
pub(crate) struct Catalog {
    /// Only names: assets and instruments.
    pub(crate) names: State,
    pub(crate) installation: u64,
    pub(crate) closed: Vec<CycleAt>,
    pub(crate) armed: Vec<CycleAt>,
    /// By rising number.
    pub(crate) orders: Vec<OrderAt>,
    /// The last buy of each instrument, by number.
    pub(crate) bought: Vec<Option<Lsn>>,
    /// The last signal about each instrument, by number.
    pub(crate) signals: Vec<Option<Lsn>>,
    pub(crate) matches: Vec<Match>,
    pub(crate) last: Lsn,
    pub(crate) hole: Option<Damage>,
    pub(crate) behind_gap: u64,
}

impl Catalog {
    pub(super) fn read<R: StorageRead>(
        open: &(impl Fn() -> Result<R, ReadError> + Sync),
        words: &str,
        progress: Progress<'_>,
    ) -> Result<Catalog, ExplainError> {
        let word = words.split_whitespace().next_back().unwrap_or_default().as_bytes().to_vec();
        let new = || Finder { word: word.clone(), ..Finder::default() };
        let swept = sweep(open, Stretch::ALL, progress, &new)?;
        let mut catalog = Catalog {
            names: State::default(),
            installation: 0,
            closed: Vec::new(),
            armed: Vec::new(),
            orders: Vec::new(),
            bought: Vec::new(),
            signals: Vec::new(),
            matches: Vec::new(),
            last: swept.last,
            hole: swept.hole,
            behind_gap: swept.behind_gap,
        };
        for part in swept.parts {
            catalog.add(part);
        }
        catalog.orders.sort_by_key(|o| o.order);
        Ok(catalog)
    }

    fn add(&mut self, part: Finder) {
        for event in &part.names {
            if let aegis_model::Fact::JournalCreated(f) = &event.fact {
                self.installation = f.installation;
            }
            self.names.apply(event);
        }
        self.closed.extend(part.closed);
        self.armed.extend(part.armed);
        self.orders.extend(part.orders);
        for (all, latest) in [(&mut self.bought, part.bought), (&mut self.signals, part.signals)] {
            for (at, lsn) in latest.into_iter().enumerate().filter(|(_, lsn)| lsn.is_some()) {
                *slot(all, at) = lsn;
            }
        }
        for found in part.matches {
            add_match(&mut self.matches, found);
        }
    }

    /// The intent of an order.
    pub(crate) fn order(&self, order: OrderId) -> Option<&OrderAt> {
        let at = self.orders.binary_search_by_key(&order, |o| o.order).ok()?;
        self.orders.get(at)
    }

    /// The name of an instrument.
    pub(crate) fn name(&self, id: InstrumentId) -> String {
        self.names.instrument(id).map_or_else(|| format!("instrument {}", id.0), |i| i.spec.name.to_string())
    }

    /// Where a cycle begins at the earliest, and the record that ended it.
    pub(crate) fn cycle(&self, instrument: InstrumentId, cycle: u32) -> (Lsn, Option<Lsn>) {
        let of = |c: &&CycleAt| c.instrument == instrument;
        let before = self.closed.iter().filter(of).filter(|c| c.cycle < cycle).map(|c| c.lsn).max();
        let end = self.closed.iter().filter(of).find(|c| c.cycle == cycle).map(|c| c.lsn);
        (before.map_or(Lsn(1), Lsn::next), end)
    }

    /// The open cycle of an instrument, or its last one.
    pub(crate) fn last_cycle(&self, instrument: InstrumentId) -> Option<u32> {
        let of = |c: &&CycleAt| c.instrument == instrument;
        let closed = self.closed.iter().filter(of).map(|c| c.cycle).max();
        let armed = self.armed.iter().filter(of).map(|c| c.cycle).max();
        let known = closed.max(armed);
        let bought = self.bought.get(instrument.0 as usize).copied().flatten();
        let end = self.closed.iter().filter(of).map(|c| c.lsn).max().unwrap_or(Lsn::NONE);
        // A buy behind the last end opens a cycle even if no stop was armed for it yet.
        let open = if bought > Some(end) { closed.unwrap_or(0).saturating_add(1) } else { 0 };
        Some(known.unwrap_or(0).max(open)).filter(|cycle| *cycle > 0)
    }
}

fn slot<T: Clone>(list: &mut Vec<Option<T>>, at: usize) -> &mut Option<T> {
    if list.len() <= at {
        list.resize(at + 1, None);
    }
    &mut list[at]
}

/// Different things with one name are few; more than that are not told apart anyway.
const MATCHES_MAX: usize = 64;

fn add_match(matches: &mut Vec<Match>, found: Match) {
    if let Match::Source(_) = found {
        matches.retain(|m| !matches!(m, Match::Source(_)));
    }
    if !matches.contains(&found) && matches.len() < MATCHES_MAX {
        matches.push(found);
    }
}

/// Looks at one part of the journal.
#[derive(Default)]
struct Finder {
    word: Vec<u8>,
    names: Vec<Event>,
    closed: Vec<CycleAt>,
    armed: Vec<CycleAt>,
    orders: Vec<OrderAt>,
    bought: Vec<Option<Lsn>>,
    signals: Vec<Option<Lsn>>,
    matches: Vec<Match>,
}

/// Instruments that are told apart; a record that names a larger number is not one of an engine.
const INSTRUMENTS_MAX: u32 = 1 << 20;

impl Visitor for Finder {
    #[inline]
    fn visit(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
        match record.kind {
            kind::CREATED | kind::ASSET | kind::INSTRUMENT => {
                let event = Event::decode(head_of(record), record.payload)
                    .map_err(|cause| ReadError::Decode { lsn: Lsn(record.lsn), cause })?;
                self.names.push(event);
            }
            kind::CLOSED
            | kind::ARMED
            | kind::INTENDED
            | kind::FILL
            | kind::SIGNAL
            | kind::ACKNOWLEDGED
            | kind::TRIGGERED => self.note(record),
            _ => {}
        }
        Ok(())
    }
}

impl Finder {
    fn note(&mut self, record: &Record<'_>) {
        let lsn = Lsn(record.lsn);
        let about = glance(record.kind, record.payload);
        let instrument = about.instrument.filter(|id| id.0 < INSTRUMENTS_MAX);
        let cycle = || {
            let bytes = record.payload.get(4..)?.first_chunk()?;
            Some(CycleAt { instrument: instrument?, cycle: u32::from_le_bytes(*bytes), lsn })
        };
        match record.kind {
            kind::CLOSED => self.closed.extend(cycle()),
            kind::ARMED => self.armed.extend(cycle()),
            kind::INTENDED => {
                if let (Some(order), Some(instrument)) = (about.order, instrument) {
                    self.orders.push(OrderAt { order, instrument, lsn });
                }
            }
            kind::SIGNAL => {
                if let Some(id) = instrument {
                    *slot(&mut self.signals, id.0 as usize) = Some(lsn);
                }
                if self.says(record.payload, 0) {
                    add_match(&mut self.matches, Match::Source(lsn));
                }
            }
            kind::FILL => {
                if let Some(id) = instrument {
                    self.fill(record, id, about.order);
                }
            }
            _ => {
                if let Some(order) = about.order
                    && self.says(record.payload, 8)
                {
                    add_match(&mut self.matches, Match::VenueOrder(order));
                }
            }
        }
    }

    /// A fill: instrument, trade id, order, the venue's id of the order behind a byte that says whether it was told, side.
    fn fill(&mut self, record: &Record<'_>, instrument: InstrumentId, order: Option<OrderId>) {
        let (payload, lsn) = (record.payload, Lsn(record.lsn));
        let Some(trade) = label_at(payload, 4) else { return };
        if *trade == self.word[..] && !self.word.is_empty() {
            add_match(&mut self.matches, Match::Trade(instrument, lsn));
        }
        let mut at = 4 + 1 + trade.len() + 8;
        let told = payload.get(at) == Some(&1);
        at += 1;
        if told {
            if self.says(payload, at) {
                let found = order.map_or(Match::Foreign(lsn), Match::VenueOrder);
                add_match(&mut self.matches, found);
            }
            at += 1 + label_at(payload, at).map_or(0, <[u8]>::len);
        }
        if payload.get(at).copied().and_then(Side::from_number) == Some(Side::Buy) {
            *slot(&mut self.bought, instrument.0 as usize) = Some(lsn);
        }
    }

    fn says(&self, payload: &[u8], at: usize) -> bool {
        !self.word.is_empty() && label_at(payload, at) == Some(&self.word)
    }
}
