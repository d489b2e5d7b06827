//! The pass over the records. It keeps what the report needs and formats words only for rows that are kept.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the report is about some kinds of records; what the others do is in the state"
)]

use super::ledger::{Fees, Ledger};
use super::{
    Audit, Commander, Count, Cover, Drawdown, Equity, Listed, Missing, Moment, ROWS_MAX, Sums, Thinned, Told,
    Unknown,
};
use crate::about::about;
use crate::replay::{Point, Reading};
use crate::words::words;
use aegis_journal::StorageRead;
use aegis_model::event::{AlarmKind, AnomalyKind, Refusal, TickSeen};
use aegis_model::order::OrderStatus;
use aegis_model::{
    Event, Fact, InstrumentId, Lsn, Money, OrderId, Price, Purpose, Quantity, Rounding, Timestamp,
};
use aegis_projection::State;
use aegis_projection::state::{InstrumentState, Totals};
use std::collections::BTreeMap;

/// Signals, commands and entries that are remembered in case something comes of them.
const ORIGINS_MAX: usize = 4_096;

/// A condition that comes and goes.
#[derive(Clone, Copy, Default)]
struct Span {
    since: Option<Timestamp>,
    total: i64,
    longest: i64,
}

impl Span {
    fn set(&mut self, on: bool, at: Timestamp) {
        match (self.since, on) {
            (None, true) => self.since = Some(at),
            (Some(since), false) => {
                self.add(at.since(since));
                self.since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }

    fn add(&mut self, ns: i64) {
        self.total = self.total.saturating_add(ns.max(0));
        self.longest = self.longest.max(ns);
    }

    /// Counting begins here.
    fn restart(&mut self, at: Timestamp) {
        *self = Span { since: self.since.map(|_| at), ..Span::default() };
    }
}

/// What is followed of each instrument.
#[derive(Clone, Copy, Default)]
struct Followed {
    price: Option<Price>,
    /// What is held at that price, less its cost.
    open: Money,
    held: Span,
    bare: Span,
    unattended: Span,
    blind: Span,
    venue_bare: Span,
    venue_stops: u64,
}

/// The result over time and its deepest fall.
#[derive(Default)]
struct Curve {
    values: Thinned<Money>,
    below: Thinned<Money>,
    last: Option<Money>,
    peak: Option<(Timestamp, Money)>,
    worst: Option<(Money, (Timestamp, Money), Timestamp)>,
}

impl Curve {
    fn push(&mut self, at: Timestamp, value: Money) {
        if self.last == Some(value) {
            return;
        }
        self.last = Some(value);
        self.values.push(at, value);
        let peak = match self.peak {
            Some(peak) if value <= peak.1 => peak,
            Some(_) | None => (at, value),
        };
        self.peak = Some(peak);
        let Ok(below) = peak.1.minus(value) else { return };
        self.below.push(at, below.negated());
        if below.is_positive() && self.worst.is_none_or(|(worst, ..)| below > worst) {
            self.worst = Some((below, peak, at));
        }
    }
}

/// Totals before the window.
#[derive(Default)]
struct Before {
    lsn: Lsn,
    totals: Totals,
    fees: Vec<Quantity>,
}

/// What has been gathered so far.
#[derive(Default)]
pub(super) struct Gather {
    counting: bool,
    before: Before,
    from: Option<Timestamp>,
    /// Time of the record before, and whether it said that the process stopped in good order.
    last: Option<Timestamp>,
    stopped: bool,
    ledger: Ledger,
    followed: Vec<Followed>,
    curve: Curve,
    /// Where entries come from, by the record that wanted them.
    origins: BTreeMap<Lsn, String>,
    /// And by the order.
    sources: BTreeMap<OrderId, String>,
    unknown: Listed<Unknown>,
    /// Rows of orders that are still live, and of those that are still unknown.
    watched: BTreeMap<OrderId, usize>,
    corrections: Listed<Told>,
    drifts: (u64, u64),
    commanders: BTreeMap<String, (u64, u64)>,
    commands: Listed<Told>,
    gaps: Listed<Missing>,
    noted: Listed<Told>,
    alarms: Listed<Told>,
    /// Rows of alarms that stand.
    standing: BTreeMap<(AlarmKind, Option<InstrumentId>), (usize, Timestamp)>,
}

impl Gather {
    /// The window begins behind this state.
    pub(super) fn begin(&mut self, state: &State) {
        self.counting = true;
        self.before = Before {
            lsn: state.lsn,
            totals: state.totals.clone(),
            fees: state.assets.iter().map(|a| a.fees).collect(),
        };
        self.ledger.begin(state);
        for f in &mut self.followed {
            for span in [&mut f.held, &mut f.bare, &mut f.unattended, &mut f.blind, &mut f.venue_bare] {
                span.restart(state.time);
            }
            f.venue_stops = 0;
        }
        if state.lsn != Lsn::NONE {
            self.curve.push(state.time, self.result(state));
        }
    }

    /// Takes in a record and the state that it made.
    pub(super) fn see(&mut self, point: &Point, state: &State) {
        let at = point.event.at;
        if self.counting && self.from.is_none() {
            self.from = Some(at);
            if self.curve.last.is_none() {
                self.curve.push(at, Money::ZERO);
            }
        }
        self.followed.resize(state.instruments.len(), Followed::default());
        match &point.event.fact {
            Fact::TickSeen(f) => self.tick(at, f, state),
            Fact::Started(_) => self.started(point, state),
            fact if moves_money(fact) => self.money(point, state),
            _ => self.other(point),
        }
        if let Some(order) = about(&point.event).order {
            self.order_news(order, point, state);
        }
        if self.counting {
            self.told(point, state);
        }
        if point.batch_end && !matches!(point.event.fact, Fact::TickSeen(_)) {
            self.cover(at, state);
        }
        self.last = Some(at);
        self.stopped = matches!(point.event.fact, Fact::Stopped(_));
    }

    fn result(&self, state: &State) -> Money {
        self.followed.iter().fold(state.totals.realised, |sum, f| sum.plus(f.open).unwrap_or(sum))
    }

    fn tick(&mut self, at: Timestamp, f: &TickSeen, state: &State) {
        let Some(price) = f.bid.or(f.last).or(f.ask).filter(|p| p.is_positive()) else { return };
        let index = f.instrument.0 as usize;
        let (Some(followed), Some(instrument)) = (self.followed.get_mut(index), state.instruments.get(index))
        else {
            return;
        };
        followed.price = Some(price);
        if !instrument.is_open() {
            return;
        }
        followed.open = open_result(instrument, Some(price));
        if let Some(chart) = self.ledger.chart(f.instrument) {
            chart.prices.push(at, price);
        }
        if self.counting {
            self.curve.push(at, self.result(state));
        }
    }

    fn started(&mut self, point: &Point, state: &State) {
        let at = point.event.at;
        let Some(last) = self.last else { return };
        let lasted = at.since(last);
        for (instrument, f) in state.instruments.iter().zip(&mut self.followed) {
            if instrument.is_open() && self.counting {
                f.unattended.add(lasted);
            }
        }
        if self.counting && lasted > 0 {
            let how = if self.stopped { "it had stopped in good order" } else { "no stop was recorded" };
            self.gaps.push(Missing {
                lsn: point.lsn,
                what: format!("nothing ran; {how}"),
                until: Moment(at),
                lasted_ns: Some(lasted),
            });
        }
    }

    /// Something that can change a book: prices of what is held, positions that begin and end, the result.
    fn money(&mut self, point: &Point, state: &State) {
        let at = point.event.at;
        let entered = self.entered_by(&point.event, state);
        for (n, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(u32::try_from(n).unwrap_or(u32::MAX));
            let source = entered.as_ref().filter(|(of, _)| *of == id).map(|(_, source)| source.as_str());
            self.ledger.entered(state, id, point.lsn, source);
            if let Some(f) = self.followed.get_mut(n) {
                if let Fact::FillBooked(fill) = &point.event.fact
                    && fill.instrument == id
                    && f.price.is_none()
                {
                    f.price = Some(fill.price);
                }
                f.open = open_result(instrument, f.price);
            }
        }
        match &point.event.fact {
            Fact::FillBooked(f) => {
                if let Some(chart) = self.ledger.chart(f.instrument) {
                    chart.execution(at, f.side, f.price);
                }
            }
            Fact::PositionClosed(f) => self.ledger.closed(state, point.lsn, f),
            Fact::CycleRestated(f) => self.ledger.restated(f.instrument, f.cycle, f.new),
            _ => {}
        }
        if self.counting {
            self.curve.push(at, self.result(state));
        }
    }

    /// The instrument that something entered, and where it came from.
    fn entered_by(&self, event: &Event, state: &State) -> Option<(InstrumentId, String)> {
        match &event.fact {
            Fact::FillBooked(f) if f.side == aegis_model::Side::Buy => {
                let source = if f.order.0 == 0 {
                    "an order that was not ours".to_owned()
                } else {
                    self.sources.get(&f.order).cloned().unwrap_or_else(|| "not known".to_owned())
                };
                Some((f.instrument, source))
            }
            Fact::FillInferred(f) => {
                let order = state.any_order(f.order).filter(|o| o.purpose == Purpose::Entry)?;
                Some((order.instrument, self.sources.get(&f.order)?.clone()))
            }
            Fact::CorrectionBooked(f) if f.kind == aegis_model::event::CorrectionKind::Adopted => {
                Some((f.instrument, "adopted".to_owned()))
            }
            Fact::DustReturned(f) => Some((f.instrument, "returned dust".to_owned())),
            _ => None,
        }
    }

    /// What is remembered for what comes later, and the stop's line.
    fn other(&mut self, point: &Point) {
        let event = &point.event;
        match &event.fact {
            Fact::SignalReceived(f) => self.origin(point.lsn, format!("signal {}", f.source)),
            Fact::CommandReceived(f) => self.origin(point.lsn, format!("command of {}", f.by)),
            Fact::EntryPrepared(_) => {
                if let Some(origin) = self.origins.get(&event.cause).cloned() {
                    self.origin(point.lsn, origin);
                }
            }
            Fact::OrderIntended(f) if f.purpose == Purpose::Entry => {
                let source = self.origins.get(&event.cause).cloned();
                self.sources.insert(f.order, source.unwrap_or_else(|| format!("the {}", event.actor)));
                if self.sources.len() > ORIGINS_MAX {
                    self.sources.pop_first();
                }
            }
            Fact::StopArmed(f) => self.stop(event.at, f.instrument, Some(f.stop)),
            Fact::StopMoved(f) => self.stop(event.at, f.instrument, Some(f.stop)),
            Fact::StopRetired(f) => self.stop(event.at, f.instrument, None),
            Fact::VenueStopRested(f) => {
                if let Some(followed) = self.followed.get_mut(f.instrument.0 as usize) {
                    followed.venue_stops += 1;
                    followed.venue_bare.add(f.bare_ns);
                }
            }
            Fact::BlindEnded(f) => {
                if let Some(followed) = self.followed.get_mut(f.instrument.0 as usize) {
                    followed.blind.add(f.lasted_ns);
                }
            }
            _ => {}
        }
    }

    fn origin(&mut self, lsn: Lsn, what: String) {
        self.origins.insert(lsn, what);
        if self.origins.len() > ORIGINS_MAX {
            self.origins.pop_first();
        }
    }

    fn stop(&mut self, at: Timestamp, instrument: InstrumentId, stop: Option<Price>) {
        if let Some(chart) = self.ledger.chart(instrument) {
            chart.stop(at, stop);
        }
    }

    /// Unknown outcomes: how each begins, is asked about, becomes known, and ends.
    fn order_news(&mut self, order: OrderId, point: &Point, state: &State) {
        let event = &point.event;
        if let Fact::OrderUnknown(f) = &event.fact
            && self.counting
            && self.watched.get(&order).is_none_or(|row| self.unknown.rows[*row].resolved.is_some())
        {
            if let Some(row) = self.watched.remove(&order) {
                self.unknown.rows[row].end = Some(format!("unknown again, record {}", point.lsn));
            }
            let known = state.any_order(order);
            let what = known.map_or_else(String::new, |o| {
                let name =
                    state.instrument(o.instrument).map_or_else(String::new, |i| i.spec.name.to_string());
                let purpose = match o.purpose {
                    Purpose::Entry => "entry".to_owned(),
                    Purpose::Exit { reason, .. } => format!("exit by {reason}"),
                };
                format!("{} {} {name}, {purpose}", o.side, o.quantity)
            });
            if self.unknown.rows.len() < ROWS_MAX {
                self.watched.insert(order, self.unknown.rows.len());
            }
            self.unknown.push(Unknown {
                lsn: point.lsn,
                since: Moment(event.at),
                order: order.0,
                client: known.map(|o| o.client.to_string()),
                what,
                cause: f.cause.to_string(),
                lookups: 0,
                resolved: None,
                lasted_ns: None,
                end: None,
            });
            return;
        }
        let Some(at) = self.watched.get(&order).copied() else { return };
        let row = &mut self.unknown.rows[at];
        row.lookups += u64::from(matches!(event.fact, Fact::OrderLookedUp(_)) && row.resolved.is_none());
        let live = state.order(order);
        if row.resolved.is_none() && live.is_none_or(|o| o.status != OrderStatus::Unknown) {
            row.lasted_ns = Some(event.at.since(row.since.0));
            row.resolved = Some(told(point, state));
        }
        match &event.fact {
            Fact::OrderEnded(f) => row.end = Some(f.end.to_string()),
            Fact::OrderRejected(f) => row.end = Some(format!("refused by the venue: {}", f.class)),
            _ => {}
        }
        if live.is_none() {
            row.end.get_or_insert_with(|| "ended".to_owned());
            self.watched.remove(&order);
        }
    }

    /// Lists of records in words.
    fn told(&mut self, point: &Point, state: &State) {
        let event = &point.event;
        match &event.fact {
            Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_) => {
                self.corrections.push(told(point, state))
            }
            Fact::DriftSeen(_) => self.drifts.0 += 1,
            Fact::DriftCleared(_) => self.drifts.1 += 1,
            Fact::CommandReceived(f) => {
                self.commanders.entry(f.by.to_string()).or_default().0 += 1;
                self.commands.push(Told { by: f.by.to_string(), ..told(point, state) });
            }
            Fact::CommandRefused(f) => {
                self.commanders.entry(f.by.to_string()).or_default().1 += 1;
                let refused = format!("refused: {}", f.reason);
                match self.commands.rows.iter_mut().rev().find(|row| row.lsn == event.cause) {
                    Some(row) => row.outcome = Some(refused),
                    None => self.commands.push(Told { by: f.by.to_string(), ..told(point, state) }),
                }
            }
            Fact::AnomalyNoted(_) | Fact::ForeignIntentSeen(_) | Fact::ForeignIntentAccepted(_) => {
                self.noted.push(told(point, state))
            }
            Fact::AlarmRaised(f) => {
                let key = (f.alarm, f.instrument);
                if !self.standing.contains_key(&key) && self.alarms.rows.len() < ROWS_MAX {
                    self.standing.insert(key, (self.alarms.rows.len(), event.at));
                }
                self.alarms.push(told(point, state));
            }
            Fact::AlarmCleared(f) => {
                if let Some((row, since)) = self.standing.remove(&(f.alarm, f.instrument)) {
                    self.alarms.rows[row].outcome =
                        Some(format!("cleared after {}", super::sections::lasted(event.at.since(since))));
                }
            }
            Fact::GapFound(_) | Fact::GapAccepted(_) => self.missing(point, state, None),
            Fact::BlindEnded(f) => self.missing(point, state, Some(f.lasted_ns)),
            Fact::LinkRestored(f) => self.missing(point, state, Some(f.lasted_ns)),
            _ => {}
        }
    }

    fn missing(&mut self, point: &Point, state: &State, lasted_ns: Option<i64>) {
        let what = if self.gaps.rows.len() < ROWS_MAX { words(&point.event, state) } else { String::new() };
        self.gaps.push(Missing { lsn: point.lsn, what, until: Moment(point.event.at), lasted_ns });
    }

    /// What is held, and whether it is protected, after a batch.
    fn cover(&mut self, at: Timestamp, state: &State) {
        for (instrument, f) in state.instruments.iter().zip(&mut self.followed) {
            let held = instrument.is_open();
            f.held.set(held, at);
            f.bare.set(held && !is_covered(instrument, state), at);
        }
    }

    /// The report.
    pub(super) fn finish<R: StorageRead>(mut self, reading: &Reading<R>) -> Audit {
        let state = &reading.state;
        let (now, then) = (&state.totals, &self.before.totals);
        let open = self.followed.iter().fold(Money::ZERO, |sum, f| sum.plus(f.open).unwrap_or(sum));
        let sums = Sums {
            realised: less(now.realised, then.realised),
            open,
            quote_paid: less(now.quote_paid, then.quote_paid),
            quote_received: less(now.quote_received, then.quote_received),
            quote_fees: less(now.quote_fees, then.quote_fees),
            corrections: less(now.corrections, then.corrections),
            fills: now.fills - then.fills,
            closed: now.closed - then.closed,
            won: now.won - then.won,
        };
        let refusals = counts(&now.refusals, &then.refusals, Refusal::to_string);
        let anomalies = counts(&now.anomalies, &then.anomalies, AnomalyKind::to_string);
        let fees = state.assets.iter().enumerate().map(|(at, asset)| {
            let before = self.before.fees.get(at).copied().unwrap_or(Quantity::ZERO);
            let amount = asset.fees.minus(before).unwrap_or(Quantity::ZERO);
            Fees { asset: asset.name.to_string(), amount }
        });
        let fees = fees.filter(|f| !f.amount.is_zero()).collect();
        let protection = state.instruments.iter().zip(&mut self.followed);
        let protection = protection.map(|(instrument, f)| cover_of(instrument, f, state.time));
        let protection =
            protection.filter(|c| c.held_ns > 0 || c.venue_stops > 0 || c.blind_ns > 0).collect();
        for ((_, _), (row, since)) in std::mem::take(&mut self.standing) {
            let lasted = super::sections::lasted(state.time.since(since));
            self.alarms.rows[row].outcome = Some(format!("standing for {lasted}"));
        }
        for row in &mut self.unknown.rows {
            if let Some(order) = row.end.is_none().then(|| state.order(OrderId(row.order))).flatten() {
                row.end = Some(format!("live: {}", order.status));
            }
        }
        let links =
            state.links.iter().map(|(link, since)| (format!("the {link} connection is still lost"), *since));
        let blind = state.instruments.iter().filter_map(|i| {
            i.blind.map(|since| (format!("{} is still without a fresh price", i.spec.name), since))
        });
        for (what, since) in links.chain(blind) {
            let lasted_ns = Some(state.time.since(since));
            self.gaps.push(Missing { lsn: state.lsn, what, until: Moment(state.time), lasted_ns });
        }
        let equity = equity_of(&self.curve, state);
        let first = self.before.lsn.next();
        let (positions, positions_more, [by_instrument, by_reason, by_source]) = self.ledger.finish(state);
        Audit {
            first,
            last: state.lsn,
            from: self.from.map(Moment),
            until: Moment(state.time),
            mode: state.journal.mode,
            quote: state.journal.quote.to_string(),
            digest: state.digest().iter().map(|byte| format!("{byte:02x}")).collect(),
            hole: reading.hole.as_ref().map(ToString::to_string),
            behind_gap: reading.behind_gap,
            sums,
            positions,
            positions_more,
            by_instrument,
            by_reason,
            by_source,
            fees,
            fees_unknown: state.instruments.iter().map(|i| u64::from(i.book.fees_unknown)).sum(),
            equity,
            protection,
            unknown: self.unknown,
            corrections: self.corrections,
            drifts: self.drifts,
            commanders: self
                .commanders
                .into_iter()
                .map(|(by, (commands, refused))| Commander { by, commands, refused })
                .collect(),
            commands: self.commands,
            refusals,
            signals_refused: state.totals.bad_signals - self.before.totals.bad_signals,
            gaps: self.gaps,
            anomalies,
            noted: self.noted,
            alarms: self.alarms,
        }
    }
}

/// Whether a record of this kind changes what a position or dust holds, costs or has earned.
pub const fn moves_money(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::FillBooked(_)
            | Fact::FillInferred(_)
            | Fact::FeeResolved(_)
            | Fact::ExcessSellSettled(_)
            | Fact::PositionClosed(_)
            | Fact::CycleRestated(_)
            | Fact::DustKept(_)
            | Fact::DustReturned(_)
            | Fact::CorrectionBooked(_)
    )
}

fn less(now: Money, then: Money) -> Money {
    now.minus(then).unwrap_or(now)
}

fn counts<K: Ord + Copy>(
    now: &BTreeMap<K, u64>,
    then: &BTreeMap<K, u64>,
    name: impl Fn(&K) -> String,
) -> Vec<Count> {
    let count = |key: &K| now[key] - then.get(key).copied().unwrap_or(0);
    let mut out: Vec<Count> =
        now.keys().map(|key| Count { name: name(key), count: count(key) }).filter(|c| c.count > 0).collect();
    out.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    out
}

fn told(point: &Point, state: &State) -> Told {
    Told {
        lsn: point.lsn,
        time: Moment(point.event.at),
        by: point.event.actor.to_string(),
        words: words(&point.event, state),
        outcome: None,
    }
}

/// What is held at a price, less its cost; zero without a price or beyond the range of numbers.
fn open_result(instrument: &InstrumentState, price: Option<Price>) -> Money {
    let book = &instrument.book.now;
    let worth = price.and_then(|p| p.times(book.held, Rounding::HalfEven).ok());
    worth.and_then(|worth| worth.minus(book.cost).ok()).unwrap_or(Money::ZERO)
}

/// Whether a stop covers something of what is held, or an exit is on its way.
fn is_covered(instrument: &InstrumentState, state: &State) -> bool {
    let stop = instrument.protection.as_ref().is_some_and(|p| p.quantity.is_positive());
    stop || instrument.exit_wanted.is_some() || instrument.has_selling_exit(state)
}

fn cover_of(instrument: &InstrumentState, f: &mut Followed, end: Timestamp) -> Cover {
    f.held.set(false, end);
    f.bare.set(false, end);
    Cover {
        instrument: instrument.spec.name.to_string(),
        held_ns: f.held.total,
        bare_ns: f.bare.total,
        bare_max_ns: f.bare.longest,
        unattended_ns: f.unattended.total,
        blind_ns: f.blind.total,
        venue_stops: f.venue_stops,
        venue_bare_ns: f.venue_bare.total,
        venue_bare_max_ns: f.venue_bare.longest,
    }
}

fn equity_of(curve: &Curve, state: &State) -> Equity {
    let quote = state.find_asset(&state.journal.quote).and_then(|id| state.asset(id));
    let base = quote.and_then(|asset| asset.first).map(|first| Money(first.total.0));
    let with_base = |value: Money| value.plus(base.unwrap_or(Money::ZERO)).unwrap_or(value);
    let drawdown = curve.worst.map(|(amount, (peak_at, peak), trough_at)| {
        let peak = with_base(peak);
        let known = base.is_some() && peak.is_positive();
        Drawdown {
            amount,
            rate: known.then(|| amount.ratio(peak, Rounding::HalfEven).ok()).flatten(),
            peak_at: Moment(peak_at),
            trough_at: Moment(trough_at),
            peak,
        }
    });
    let moments = |series: &Thinned<Money>, of: &dyn Fn(Money) -> Money| {
        series.points().into_iter().map(|(at, value)| (Moment(at), of(value))).collect()
    };
    Equity { base, curve: moments(&curve.values, &with_base), below: moments(&curve.below, &|v| v), drawdown }
}
