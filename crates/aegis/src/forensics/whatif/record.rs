//! What a journal holds of a run that can be played again: its settings, instruments, signals, commands and, where every
//! tick was recorded, its market. It is gathered in one pass over the records and decides nothing.

use super::orders::{Orders, Usual};
use crate::act::Bound;
use crate::exit::Failure;
use crate::feed::candles::CandleRow;
use crate::market::{DIGEST_KEY, FEED, Market, Point};
use crate::offline::failure;
use crate::precedent::{Moment, Precedents};
use crate::progress::Count;
use crate::signals::Recorded;
use aegis_forensics::{Reading, Until};
use aegis_model::event::{FillSource, TickSeen};
use aegis_model::input::{ListedInstrument, SignalIn};
use aegis_model::market::Instrument;
use aegis_model::{AssetId, Candle, Fact, Fixed, Input, Label, Lsn, Mode, Price, Quantity, Text, Timestamp};
use aegis_projection::State;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Inputs that are played again at most.
const INPUTS_MAX: usize = 5_000_000;
/// Recorded ticks that are played again at most. Each takes some 900 bytes, in the record, in both markets and in both
/// journals in memory: about 1.8 GB.
const TICKS_MAX: usize = 2_000_000;
/// Records between two looks at the progress line.
const PROGRESS_RECORDS: u64 = 1 << 14;
/// Places that a candle's walk has (`feed::walk`): 16 in each of four legs, the last of which is the leg's end.
const PLACES: u64 = 64;
const LEG: u64 = 16;

/// Settings in force from an opening on.
pub(super) struct Epoch {
    /// What of the market and of the inputs lies before it.
    pub(super) begins: Bound,
    /// When.
    pub(super) at: Timestamp,
    /// The settings by key.
    pub(super) settings: BTreeMap<Text, Text>,
}

/// What happened beside the market, the signals and the commands, and is not played again.
#[derive(Clone, Copy, Default)]
pub(super) struct Unplayed {
    /// Openings after the first.
    pub(super) restarts: u64,
    /// Connections that were lost.
    pub(super) links: u64,
    /// Orders that the venue refused.
    pub(super) rejected: u64,
    /// Outcomes that were not known.
    pub(super) unknown: u64,
    /// Executions that were not ours.
    pub(super) external: u64,
    /// Corrections and quarantines.
    pub(super) corrections: u64,
    /// Deposits, withdrawals and adjustments.
    pub(super) flows: u64,
    /// Claims of another program's files.
    pub(super) claims: u64,
    /// Instruments whose facts changed.
    pub(super) relisted: u64,
}

/// A run as its journal has it.
#[derive(Default)]
pub(super) struct Record {
    /// Its settings, at least once.
    pub(super) epochs: Vec<Epoch>,
    /// The instruments by number.
    pub(super) instruments: Vec<ListedInstrument>,
    /// Signals and commands in their order.
    pub(super) inputs: VecDeque<Recorded>,
    /// Every tick, while `record = "all"` holds.
    ticks: Vec<(TickSeen, Timestamp)>,
    /// Whether every tick was recorded from the first opening on.
    pub(super) every_tick: bool,
    /// Paper or live.
    pub(super) mode: Option<Mode>,
    /// The asset that money is counted in.
    pub(super) quote: Label,
    /// The first balance of it.
    pub(super) fund: Option<Quantity>,
    /// Signals among the inputs.
    pub(super) signals: u64,
    /// Commands among the inputs.
    pub(super) commands: u64,
    /// Entries that the gate refused.
    pub(super) refused: u64,
    /// What is not played again.
    pub(super) unplayed: Unplayed,
    /// Its orders, and what the exchange did with them.
    pub(super) orders: Orders,
    /// The last record that was read.
    pub(super) last: Lsn,
    /// Its time.
    pub(super) until: Timestamp,
    /// Whether the journal has more than was asked for.
    pub(super) goes_on: bool,
    /// The feed's last recorded place.
    pub(super) place: u64,
    /// When --from begins, if it was asked for and lies inside.
    pub(super) from: Option<Timestamp>,
    /// The first damaged place.
    pub(super) hole: Option<String>,
    /// Intact records behind a gap.
    pub(super) behind_gap: u64,
    changed: bool,
    full: bool,
}

impl Record {
    /// Reads a journal.
    ///
    /// # Errors
    /// [`Failure`]: it cannot be read, or there is more than can be played again.
    pub(super) fn read(path: &Path, from: Option<Until>, until: Until) -> Result<Record, Failure> {
        let bar = Count::new(path, "reading");
        let mut reading = Reading::open(path).map_err(|e| failure(path, &e))?;
        let mut record = Record { every_tick: true, ..Record::default() };
        loop {
            let before = (place(&reading.state), reading.state.lsn);
            let mut first = None;
            let more = reading.step_batch(until, &mut |point, state| {
                first.get_or_insert(point.event.at);
                let event = &point.event;
                let moment = Moment { at: event.at, lsn: point.lsn, place: place(state) };
                record.orders.see(moment, event.cause, &event.fact, state);
                record.see(point.lsn, event.at, &event.fact, state);
            });
            if !more.map_err(|e| failure(path, &e))? {
                break;
            }
            record.settle(&reading.state, before);
            if let (Some(from), Some(at)) = (from, first) {
                record.look_for(from, at, reading.state.lsn);
            }
            if record.full {
                return Err(Failure::usage(format!(
                    "{} holds more than {INPUTS_MAX} inputs or {TICKS_MAX} ticks: play a part of it with --until",
                    path.display()
                )));
            }
            if reading.state.lsn.0 % PROGRESS_RECORDS < 8 {
                bar.reached(reading.state.lsn.0);
            }
        }
        record.orders.ends();
        record.last = reading.state.lsn;
        record.until = reading.state.time;
        record.place = place(&reading.state);
        record.hole = reading.hole.as_ref().map(ToString::to_string);
        record.behind_gap = reading.behind_gap;
        record.every_tick &= !record.ticks.is_empty();
        let more = reading.step_batch(Until::End, &mut |_, _| ());
        record.goes_on = more.map_err(|e| failure(path, &e))?;
        Ok(record)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest is what engine and exchange make of all this"
    )]
    fn see(&mut self, lsn: Lsn, at: Timestamp, fact: &Fact, state: &State) {
        match fact {
            Fact::JournalCreated(f) => {
                self.mode = Some(f.mode);
                self.quote = f.quote;
            }
            Fact::Started(_) => {
                self.changed = true;
                self.unplayed.restarts += u64::from(!self.epochs.is_empty());
            }
            Fact::SettingRecorded(_) => self.changed = true,
            Fact::InstrumentListed(f) => self.listed(f.instrument.0 as usize, &f.spec, state),
            Fact::TickSeen(f) if self.every_tick => {
                self.full |= self.ticks.len() == TICKS_MAX;
                self.ticks.push((f.clone(), at));
            }
            Fact::SignalReceived(f) => {
                let Some(instrument) = state.instrument(f.instrument) else { return };
                self.signals += 1;
                // One that had outlived its horizon when it came had been made before that ended.
                let made = at.min(f.until.after(-1));
                let signal = SignalIn {
                    source: f.source,
                    position: f.position,
                    instrument: instrument.spec.name,
                    direction: f.direction,
                    confidence: f.confidence,
                    at: made,
                    horizon_ns: f.until.since(made),
                };
                self.arrived(lsn, at, state, Input::Signal(signal));
            }
            Fact::SignalRefused(f) => {
                let (source, position, reason) = (f.source, f.position, f.reason.clone());
                self.arrived(lsn, at, state, Input::BadSignal { source, position, reason });
            }
            Fact::CommandReceived(f) => {
                self.commands += 1;
                let command = Input::Command { by: f.by, command: f.command.clone() };
                self.arrived(lsn, at, state, command);
            }
            Fact::BalanceRecorded(f) => {
                let quote = state.asset(f.asset).is_some_and(|a| a.name == self.quote);
                if quote && self.fund.is_none() {
                    self.fund = Some(f.total);
                }
            }
            Fact::EntryRefused(_) => self.refused += 1,
            Fact::LinkLost(_) => self.unplayed.links += 1,
            Fact::OrderRejected(_) => self.unplayed.rejected += 1,
            Fact::OrderUnknown(_) => self.unplayed.unknown += 1,
            Fact::FillBooked(f) if f.source == FillSource::External => self.unplayed.external += 1,
            Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_) => self.unplayed.corrections += 1,
            // What came before the first balance is in it.
            Fact::CashFlowRecorded(_) if self.fund.is_some() => self.unplayed.flows += 1,
            Fact::ClaimImported(_) => self.unplayed.claims += 1,
            _ => {}
        }
    }

    fn arrived(&mut self, lsn: Lsn, at: Timestamp, state: &State, input: Input) {
        self.full |= self.inputs.len() == INPUTS_MAX;
        self.inputs.push_back(Recorded { after: place(state), at, lsn, input });
    }

    fn listed(&mut self, number: usize, spec: &Instrument, state: &State) {
        let named = |id: AssetId| state.asset(id).map_or(Label::EMPTY, |a| a.name);
        let listed = ListedInstrument {
            name: spec.name,
            base: named(spec.base),
            quote: named(spec.quote),
            price_tick: spec.price_tick,
            quantity_tick: spec.quantity_tick,
            minimum_notional: spec.minimum_notional,
            tradable: true,
        };
        match self.instruments.get_mut(number) {
            Some(_) => self.unplayed.relisted += 1,
            None => self.instruments.push(listed),
        }
    }

    /// An opening's batch has ended: whether its settings are others.
    fn settle(&mut self, state: &State, (place, lsn): (u64, Lsn)) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        if setting(&state.settings, "engine.record") != Some("all") {
            self.every_tick = false;
            self.ticks = Vec::new();
        }
        let settings = state.settings.clone();
        if let Some(last) = self.epochs.last_mut() {
            // A digest that an earlier version did not record is no reason for an opening.
            let digest = setting(&last.settings, DIGEST_KEY);
            let same_market = digest.is_none() || digest == setting(&settings, DIGEST_KEY);
            if same_market && decisive(&last.settings) == decisive(&settings) {
                last.settings = settings;
                return;
            }
        }
        let begins = Bound::Record { place, lsn: lsn.next() };
        self.epochs.push(Epoch { begins, at: state.time, settings });
    }

    /// Whether --from begins with the batch that was read last, which began at this time and ended with this record.
    fn look_for(&mut self, from: Until, at: Timestamp, last: Lsn) {
        if self.from.is_some() {
            return;
        }
        self.from = match from {
            Until::Time(time) if at >= time => Some(time),
            Until::Lsn(lsn) if last >= lsn => Some(at),
            Until::Time(_) | Until::Lsn(_) | Until::Before(_) | Until::End => None,
        };
    }

    /// The settings that held at the end.
    pub(super) fn settings(&self) -> Option<&BTreeMap<Text, Text>> {
        self.epochs.last().map(|epoch| &epoch.settings)
    }

    /// What a model is to do as the exchange did: of a live run, since the paper exchange is its own record.
    pub(super) fn precedents(&self) -> Option<Precedents> {
        (self.mode == Some(Mode::Live)).then(|| self.orders.precedents(&self.instruments))
    }

    /// What was usual at the exchange of a live run.
    pub(super) fn usual(&self) -> Option<Usual> {
        (self.mode == Some(Mode::Live)).then(|| self.orders.usual(&self.instruments))
    }

    /// The digests of markets that openings were given.
    pub(super) fn digests(&self) -> Vec<&str> {
        let mut all: Vec<&str> =
            self.epochs.iter().filter_map(|e| setting(&e.settings, DIGEST_KEY)).collect();
        all.dedup();
        all
    }

    /// The market as it was recorded tick by tick; none where it was not.
    pub(super) fn market(&self) -> Option<Market> {
        if !self.every_tick {
            return None;
        }
        let feed = self.settings().and_then(|s| setting(s, "feed")).unwrap_or_default();
        if feed == "embedded-candles" || feed.starts_with("candles:") {
            return self.candles();
        }
        let named = |(seen, at): &(TickSeen, Timestamp)| {
            let name = self.instruments.get(seen.instrument.0 as usize)?.name;
            Some(Point { name, tick: seen.tick(), now: *at })
        };
        Some(Market::Recorded(self.ticks.iter().filter_map(named).collect()))
    }

    /// The last place of the feed that may be shown. Where candles are made from the record and it ends inside a leg, that
    /// is all of the leg that the run saw, however many prices are guarded in it, and not its made-up end.
    pub(super) const fn seen_to(&self, from_record: bool) -> u64 {
        let inside = self.place % LEG;
        if from_record && inside != LEG - 1 { self.place - inside + LEG - 2 } else { self.place }
    }

    /// Candles from the points of their walk, so that another stop is met between them where it stands. Of one that the
    /// record breaks off in the rest is made up and never shown, since the record ends there: see [`Record::seen_to`].
    fn candles(&self) -> Option<Market> {
        let name = self.instruments.first()?.name;
        let mut rows: Vec<CandleRow> = Vec::new();
        for (seen, _) in self.ticks.iter().filter(|(t, _)| t.cursor % LEG == LEG - 1) {
            let (row, leg, last) = (seen.cursor / PLACES, seen.cursor % PLACES / LEG, seen.last?);
            match rows.last_mut().filter(|r| r.row == row) {
                None => {
                    let (open_time, volume) = (seen.time, Quantity(Fixed::ZERO));
                    let candle = Candle { open_time, open: last, high: last, low: last, close: last, volume };
                    rows.push(CandleRow { row, candle });
                }
                Some(CandleRow { candle, .. }) => set_leg(candle, leg, last),
            }
        }
        let inside = self.ticks.last().filter(|(t, _)| t.cursor % LEG != LEG - 1);
        if let Some((seen, _)) = inside
            && let Some(last) = seen.last
            && let Some(CandleRow { candle, .. }) = rows.last_mut().filter(|r| r.row == seen.cursor / PLACES)
        {
            let end = beyond(candle.close, last).ok()?;
            set_leg(candle, seen.cursor % PLACES / LEG, end);
        }
        let interval_ns = crate::feed::candles::interval_ns(&rows)?;
        Some(Market::Candles { rows: rows.into(), interval_ns, name })
    }
}

/// The price right behind `last` on the way from another one.
fn beyond(from: Price, last: Price) -> Result<Price, aegis_model::ArithmeticError> {
    let least = Price::new(1, 18);
    if last < from { last.minus(least) } else { last.plus(least) }
}

fn set_leg(candle: &mut Candle, leg: u64, last: Price) {
    match leg {
        1 => (candle.low, candle.close) = (last, last),
        2 => (candle.high, candle.close) = (last, last),
        _ => candle.close = last,
    }
}

/// The settings that decide anything.
fn decisive(settings: &BTreeMap<Text, Text>) -> Vec<(&Text, &Text)> {
    let counts = |key: &str| {
        key.starts_with("engine.") || key.starts_with("venue.") || ["price_age", "reference"].contains(&key)
    };
    settings.iter().filter(|(key, _)| counts(key.as_str())).collect()
}

/// A setting that is there and not empty.
pub(super) fn setting<'a>(settings: &'a BTreeMap<Text, Text>, key: &str) -> Option<&'a str> {
    settings.get(&Text::new(key)).map(Text::as_str).filter(|value| !value.is_empty())
}

fn place(state: &State) -> u64 {
    state.feeds.get(&FEED).map_or(0, |seen| seen.cursor)
}
