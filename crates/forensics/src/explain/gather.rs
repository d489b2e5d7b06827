//! Reading a stretch of records and keeping those of one story: the records of an instrument and of its orders, with
//! the prices and signals that caused them. Long runs of adjustments and refusals are folded while they are read.

use super::catalog::{Catalog, kind};
use super::lines::{Because, Line};
use crate::about::{about, glance};
use crate::replay::{ReadError, engine_reader, head_of};
use aegis_journal::{Record, StorageRead};
use aegis_model::event::SignalReceived;
use aegis_model::protection::ExitReason;
use aegis_model::{AssetId, Event, Fact, InstrumentId, Lsn, OrderId, Price, Purpose, Side};
use aegis_projection::State;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Of a long run so many are shown at each end.
const SHOWN: usize = 3;
/// Signals of one stretch that are remembered in case something comes of them.
const SIGNALS_MAX: usize = 1_000;
/// Records of one story that are kept; behind them only ends are looked for.
const KEPT_MAX: usize = 20_000;

/// A record of the story.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) lsn: Lsn,
    pub(super) event: Event,
    pub(super) because: Vec<Because>,
}

impl Kept {
    fn line(&self, names: &State) -> Line {
        let mut line = Line::of(self.lsn, &self.event, names);
        line.because.clone_from(&self.because);
        line
    }
}

/// A run of records of one kind.
#[derive(Default, Debug)]
pub(super) struct Run {
    head: Vec<Kept>,
    tail: VecDeque<Kept>,
    pub(super) count: u64,
    all: bool,
}

impl Run {
    fn push(&mut self, kept: Kept) {
        self.count += 1;
        if self.head.len() < SHOWN || self.all && self.head.len() < KEPT_MAX {
            self.head.push(kept);
        } else {
            self.tail.push_back(kept);
            if self.tail.len() > SHOWN {
                self.tail.pop_front();
            }
        }
    }

    fn last(&self) -> Option<&Kept> {
        self.tail.back().or(self.head.last())
    }

    /// What is shown of it, with a line for what is not.
    fn lines(&self, names: &State, folded: impl Fn(u64) -> String) -> Vec<Line> {
        let mut lines: Vec<Line> = self.head.iter().map(|k| k.line(names)).collect();
        let hidden = self.count - (self.head.len() + self.tail.len()) as u64;
        if hidden > 0 {
            lines.push(Line::folded(hidden, folded(hidden)));
        }
        lines.extend(self.tail.iter().map(|k| k.line(names)));
        lines
    }
}

/// The adjustments of one armed stop.
#[derive(Default, Debug)]
pub(super) struct Moves {
    pub(super) run: Run,
    /// The record that put the stop where it is.
    pub(super) set: Option<Kept>,
    lowest: Option<Price>,
    highest: Option<Price>,
}

impl Moves {
    fn push(&mut self, kept: Kept, stop: Price, before: Option<Price>) {
        if before != Some(stop) {
            self.set = Some(kept.clone());
        }
        self.lowest = Some(self.lowest.map_or(stop, |p| p.min(stop)));
        self.highest = Some(self.highest.map_or(stop, |p| p.max(stop)));
        self.run.push(kept);
    }

    pub(super) fn lines(&self, names: &State) -> Vec<Line> {
        let (Some(low), Some(high)) = (self.lowest, self.highest) else { return Vec::new() };
        let mut lines = self
            .run
            .lines(names, |n| format!("{n} more adjustments between {low} and {high}; --all shows them"));
        if self.run.count > 2 * SHOWN as u64 || lines.len() > 1 {
            let mut group =
                Line::folded(self.run.count, format!("{} adjustments, {low} .. {high}", self.run.count));
            group.children = lines;
            lines = vec![group];
        }
        lines
    }
}

/// The story of an instrument over a stretch.
pub(super) struct Gathered {
    /// The instrument's base asset.
    pub(super) base: Option<AssetId>,
    pub(super) kept: Vec<Kept>,
    /// By the record of the armed stop.
    pub(super) moves: BTreeMap<Lsn, Moves>,
    pub(super) refused: Run,
    /// Messages that were delivered, by number.
    pub(super) delivered: BTreeMap<u64, Lsn>,
}

struct Gather<'a> {
    catalog: &'a Catalog,
    instrument: InstrumentId,
    all: bool,
    /// Something was bought and the position has not ended.
    holding: bool,
    out: Gathered,
    /// Ticks of the present batch.
    ticks: Vec<(Lsn, Event)>,
    signals: BTreeMap<Lsn, Event>,
    armed: Option<Lsn>,
    stop: Option<Price>,
    /// The last record that put the stop where it is.
    stop_set: Option<Lsn>,
    messages: BTreeSet<u64>,
}

/// Reads `from` to the end of the batch that holds `to`, and keeps what belongs to an instrument.
pub(super) fn gather<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    catalog: &Catalog,
    instrument: InstrumentId,
    (from, to): (Lsn, Lsn),
    all: bool,
) -> Result<Gathered, ReadError> {
    let out = Gathered {
        base: catalog.names.instrument(instrument).map(|i| i.spec.base),
        kept: Vec::new(),
        moves: BTreeMap::new(),
        refused: Run { all, ..Run::default() },
        delivered: BTreeMap::new(),
    };
    let mut gather = Gather {
        catalog,
        instrument,
        all,
        holding: false,
        out,
        ticks: Vec::new(),
        signals: BTreeMap::new(),
        armed: None,
        stop: None,
        stop_set: None,
        messages: BTreeSet::new(),
    };
    each(open, from, to, |record| gather.see(record))?;
    Ok(gather.out)
}

/// Every record of a stretch, up to the end of the batch that holds its last one, or to a hole.
pub(super) fn each<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    from: Lsn,
    to: Lsn,
    mut see: impl FnMut(&Record<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut reader = engine_reader(open()?)?;
    if from.0 > 1 {
        reader.seek(from.0).map_err(ReadError::Open)?;
    }
    let mut ended = false;
    while let Ok(Some(record)) = reader.next() {
        if record.lsn > to.0 && (ended || record.batch_first) {
            break;
        }
        if record.after_gap {
            continue;
        }
        see(&record)?;
        ended = record.batch_end;
    }
    Ok(())
}

pub(super) fn decoded(record: &Record<'_>) -> Result<Event, ReadError> {
    Event::decode(head_of(record), record.payload)
        .map_err(|cause| ReadError::Decode { lsn: Lsn(record.lsn), cause })
}

impl Gather<'_> {
    fn see(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
        if record.batch_first {
            self.ticks.clear();
        }
        let lsn = Lsn(record.lsn);
        let about = glance(record.kind, record.payload);
        match record.kind {
            kind::TICK => {
                self.ticks.push((lsn, decoded(record)?));
                return Ok(());
            }
            kind::SIGNAL if about.instrument == Some(self.instrument) => {
                self.remember(lsn, decoded(record)?);
                return Ok(());
            }
            kind::COMMAND => {
                self.remember(lsn, decoded(record)?);
                return Ok(());
            }
            kind::MESSAGE => {
                let event = decoded(record)?;
                if let Fact::MessageQueued(f) = &event.fact
                    && self.is_kept(f.about)
                {
                    self.messages.insert(f.number);
                    self.keep(lsn, event);
                }
                return Ok(());
            }
            kind::DELIVERED => {
                if let Fact::MessageDelivered(f) = &decoded(record)?.fact
                    && self.messages.contains(&f.number)
                {
                    self.out.delivered.insert(f.number, lsn);
                }
                return Ok(());
            }
            _ => {}
        }
        let of_order =
            |order: OrderId| self.catalog.order(order).is_some_and(|o| o.instrument == self.instrument);
        let ours = match about.instrument {
            Some(instrument) => instrument == self.instrument,
            None => about.order.is_some_and(of_order),
        };
        let of_base = about.asset.is_some() && about.asset == self.out.base && record.kind > 90;
        if ours || of_base {
            self.keep(lsn, decoded(record)?);
        }
        Ok(())
    }

    fn is_kept(&self, lsn: Lsn) -> bool {
        self.out.kept.binary_search_by_key(&lsn, |k| k.lsn).is_ok()
    }

    /// In case something comes of it.
    fn remember(&mut self, lsn: Lsn, event: Event) {
        self.signals.insert(lsn, event);
        if self.signals.len() > SIGNALS_MAX {
            self.signals.pop_first();
        }
    }

    fn keep(&mut self, lsn: Lsn, event: Event) {
        let mut because = self.because(&event);
        if let Fact::OrderIntended(f) = &event.fact
            && matches!(f.purpose, Purpose::Exit { reason: ExitReason::Stop, .. })
            && let (Some(set), Some(stop)) = (self.stop_set, self.stop)
        {
            because.push(Because { lsn: set.0, words: format!("the stop stood at {stop}") });
        }
        let kept = Kept { lsn, event, because };
        if let Fact::StopMoved(f) = &kept.event.fact {
            let (stop, before) = (f.stop, self.stop);
            if before != Some(stop) {
                (self.stop, self.stop_set) = (Some(stop), Some(lsn));
            }
            let all = self.all;
            let new = || Moves { run: Run { all, ..Run::default() }, ..Moves::default() };
            let moves = self.out.moves.entry(self.armed.unwrap_or(Lsn::NONE)).or_insert_with(new);
            moves.push(kept, stop, before);
            return;
        }
        if let Fact::EntryRefused(_) = &kept.event.fact {
            if self.holding {
                self.out.refused.push(kept);
            }
            return;
        }
        if let Fact::FillBooked(f) = &kept.event.fact {
            self.holding |= f.side == Side::Buy;
        }
        if let Fact::CorrectionBooked(_) | Fact::DustReturned(_) = &kept.event.fact {
            self.holding = true;
        }
        if let Fact::PositionClosed(_) = &kept.event.fact {
            self.holding = false;
        }
        if let Fact::StopArmed(f) = &kept.event.fact {
            self.armed = Some(lsn);
            (self.stop, self.stop_set) = (Some(f.stop), Some(lsn));
        }
        // A signal or command that something came of belongs to the story.
        if let Some(cause) = self.signals.remove(&kept.event.cause) {
            let at = self.out.kept.partition_point(|k| k.lsn < kept.event.cause);
            self.out.kept.insert(at, Kept { lsn: kept.event.cause, event: cause, because: Vec::new() });
        }
        if self.out.kept.len() < KEPT_MAX {
            self.out.kept.push(kept);
        }
    }

    /// The price that a record rests on: the tick that caused it, or the instrument's own in the same batch. Of an
    /// adjustment that a person wished, the wish.
    fn because(&self, event: &Event) -> Vec<Because> {
        if let Fact::StopMoved(_) = &event.fact
            && let Some(wish) = self.signals.get(&event.cause)
        {
            return vec![Because::of(event.cause, wish, &self.catalog.names)];
        }
        let caused = self.ticks.iter().find(|(lsn, _)| *lsn == event.cause);
        let own = self.ticks.iter().rev().find(|(_, tick)| about(tick).instrument == Some(self.instrument));
        let tick = match (caused, own) {
            (Some(_), Some(own)) => Some(own),
            (caused, _) => caused,
        };
        tick.map(|(lsn, tick)| Because::of(*lsn, tick, &self.catalog.names)).into_iter().collect()
    }
}

/// The last adjustment that was read of an armed stop.
pub(super) fn last_move(moves: &Moves) -> Option<&Kept> {
    moves.run.last()
}

/// Who a signal came from, in words.
pub(super) fn source(signal: &SignalReceived) -> String {
    format!("a signal of {} ({} with {})", signal.source, signal.direction, signal.confidence)
}

/// Lines of records, each below what it came of: orders' news below their intents, adjustments below their stop, else
/// below the cause if that is there.
pub(super) fn tree(gathered: &Gathered, names: &State) -> Vec<Line> {
    let kept = &gathered.kept;
    let parents = parents(kept);
    let mut lines: Vec<Option<Line>> = kept
        .iter()
        .map(|k| {
            let mut line = k.line(names);
            if let Fact::MessageQueued(f) = &k.event.fact
                && let Some(delivered) = gathered.delivered.get(&f.number)
            {
                line.words.push_str(&format!(" (delivered: record {delivered})"));
            }
            Some(line)
        })
        .collect();
    let moves = |lsn: Lsn| gathered.moves.get(&lsn).map_or(Vec::new(), |moves| moves.lines(names));
    let mut roots = Vec::new();
    // From the youngest: by the time a line is put below another one, everything below it is there, in reverse.
    for n in (0..lines.len()).rev() {
        let Some(mut line) = lines[n].take() else { continue };
        let mut children = moves(kept[n].lsn);
        children.extend(line.children.into_iter().rev());
        line.children = children;
        match parents[n].and_then(|parent| lines[parent].as_mut()) {
            Some(parent) => parent.children.push(line),
            None => roots.push(line),
        }
    }
    roots.reverse();
    roots.extend(moves(Lsn::NONE));
    roots
}

/// Below which record each one is shown.
fn parents(kept: &[Kept]) -> Vec<Option<usize>> {
    let at = |lsn: Lsn| kept.binary_search_by_key(&lsn, |k| k.lsn).ok();
    let mut intents: BTreeMap<OrderId, usize> = BTreeMap::new();
    let mut armed = None;
    let mut parents: Vec<Option<usize>> = Vec::with_capacity(kept.len());
    for (n, k) in kept.iter().enumerate() {
        let cause = at(k.event.cause);
        let parent = if let Fact::StopArmed(_) = k.event.fact {
            armed = Some(n);
            cause
        } else if let Fact::StopRetired(_) = k.event.fact {
            armed.or(cause)
        } else if let Fact::OrderIntended(f) = &k.event.fact {
            intents.insert(f.order, n);
            cause
        } else if let Fact::MessageQueued(f) = &k.event.fact {
            at(f.about)
        } else {
            about(&k.event).order.and_then(|order| intents.get(&order).copied()).or(cause)
        };
        parents.push(parent.filter(|parent| *parent < n));
    }
    parents
}

/// The refusals of a stretch in one line.
pub(super) fn refusals(gathered: &Gathered, names: &State) -> Option<Line> {
    let run = &gathered.refused;
    if run.count == 0 {
        return None;
    }
    let what = if run.count == 1 {
        "1 entry was refused".to_owned()
    } else {
        format!("{} entries were refused", run.count)
    };
    let mut group = Line::folded(run.count, format!("meanwhile {what}"));
    group.children = run.lines(names, |n| format!("{n} more refusals; --all shows them"));
    Some(group)
}
