//! Deciding: commands, signals, ticks and the venue's words in; facts and wishes to act out.
//!
//! It never reads a clock, draws a number, waits or touches a disk, and it changes its state only by emitting
//! events, which the projection folds. What lies beside the state (the market's last ticks, questions under way)
//! can be lost at any moment: it is rebuilt from the feed, and a question is asked again.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

mod command;
mod entry;
mod exit;
mod foreign;
mod gate;
mod import;
mod market;
mod protect;
pub mod reconcile;
mod report;
mod resting;
mod resume;
pub mod settings;
mod settle;
mod snapshot;
mod timers;
mod watch;

pub use settings::Settings;

use aegis_model::event::{AlarmKind, AlarmRaised, AnomalyKind, AnomalyNoted, Blocks, MessageQueued};
use aegis_model::wire::DecodeError;
use aegis_model::{
    Actor, Decision, Effect, Event, Fact, Fixed, Input, InstrumentId, Lsn, Machine, OrderId, Price,
    RecordHead, Text, Timestamp, event,
};
use aegis_projection::State;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use market::Market;
use watch::Watch;

/// Repeated oddities remembered so that each is noted once in the life of a process.
const NOTED_MAX: usize = 10_000;

/// The deciding machine.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    state: State,
    market: Market,
    watch: Watch,
    asks: Asks,
    turn: Turn,
}

/// Questions under way and other things that may be forgotten at any moment.
#[derive(Clone, Debug, Default)]
struct Asks {
    /// The snapshot that is awaited: number, whether it is a full one, when it was asked for.
    snapshot: Option<(u64, bool, Timestamp)>,
    /// A full comparison is wanted as soon as nothing is under way.
    reconcile_wanted: bool,
    /// The highest snapshot number used by this process.
    last_number: u64,
    /// Lookups under way.
    lookups: BTreeMap<OrderId, Timestamp>,
    /// When the last full comparison ended.
    compared: Option<Timestamp>,
    /// When the last full comparison ended that lacked nothing.
    whole: Option<Timestamp>,
    /// Full comparisons in a row that lacked an answer.
    unanswered: u32,
    /// Oddities noted already.
    noted: BTreeSet<(AnomalyKind, Text)>,
    /// The opening of this process is recorded: decisions may be made.
    opened: bool,
    /// Entries proven absent that wait for the first comparison before they may go out again.
    deferred: BTreeSet<OrderId>,
    /// Orders whose cancel the venue refused although nothing tells that they have ended: it may have overtaken them.
    cancel_again: BTreeSet<OrderId>,
    /// Open orders whose last lookup was not answered, and how many in a row were not.
    look_failed: BTreeMap<OrderId, u32>,
    /// Orders that this process sent again; a later absence of theirs waits before the next send.
    resent: BTreeSet<OrderId>,
    /// A comparison left assets out because something was in flight: compare again once it has landed.
    recompare: bool,
    /// By instrument: the price below which what is held cannot be sold, and whether the alarm about that stands.
    too_small: Vec<(Price, bool)>,
    /// What time will bring about stops at the venue.
    due: BTreeMap<InstrumentId, resting::Due>,
    /// The process is stopping.
    stopping: bool,
    /// Only the journal's reserve is left.
    reserve_only: bool,
    /// When a timer is due next, as far as is known; a lower bound.
    next_timer: Option<Timestamp>,
}

impl Asks {
    /// The venue may answer again: what it did not answer is asked at the usual pace.
    fn venue_is_back(&mut self) {
        self.look_failed.values_mut().for_each(|failed| *failed = 1);
    }
}

/// What one call of `handle` collects.
#[derive(Clone, Debug, Default)]
struct Turn {
    now: Timestamp,
    actor: Option<Actor>,
    cause: Lsn,
    /// Whether this decision may begin by naming the market points it rests on.
    positioned: bool,
    out: Decision<Event, Effect>,
}

impl Engine {
    /// An engine with an empty state.
    pub fn new(settings: Settings) -> Engine {
        Engine {
            settings,
            state: State::default(),
            market: Market::default(),
            watch: Watch::default(),
            asks: Asks::default(),
            turn: Turn::default(),
        }
    }

    /// The folded state.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The settings in force.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The prices at which the instrument's protection acts: stop and take-profit.
    pub fn guard_levels(&self, id: InstrumentId) -> (Option<Price>, Option<Price>) {
        match self.state.instrument(id).and_then(|i| i.protection.as_ref()) {
            Some(p) => (Some(p.stop), p.take_profit),
            None => (None, None),
        }
    }

    /// The reference price that decisions rest on now, if it is fresh.
    pub fn reference(&self, id: InstrumentId, now: Timestamp) -> Option<Price> {
        self.market.reference(id, now, &self.settings)
    }

    /// Whether nothing is under way: no question, no unanswered or unknown order, no entry being made.
    pub fn idle(&self) -> bool {
        self.asks.snapshot.is_none()
            && self.asks.lookups.is_empty()
            && !self.asks.reconcile_wanted
            && self.state.orders.values().all(|o| {
                matches!(
                    o.status,
                    aegis_model::order::OrderStatus::Acknowledged
                        | aegis_model::order::OrderStatus::PartiallyFilled
                ) && o.cancel.is_none()
            })
            && self.state.instruments.iter().all(|i| i.prepared.is_none())
    }

    /// When [`Input::Clock`] is next of use; a lower bound, none when no timer runs.
    pub fn next_timer(&self) -> Option<Timestamp> {
        [self.asks.next_timer, self.watch.next_stale(self.turn.now)].into_iter().flatten().min()
    }

    /// The one switch over what arrives.
    fn dispatch(&mut self, input: &Input) {
        match input {
            Input::Opened(opened) => self.opened(opened),
            Input::Instruments(listed) => self.instruments_listed(listed),
            Input::Tick(tick) => self.tick(tick),
            Input::Warmup(tick) => {
                let _ = self.market.see(tick);
                self.fresh_until(tick.instrument);
            }
            Input::CandleClosed(instrument, candle) => self.market.close_candle(*instrument, *candle),
            Input::Signal(signal) => self.signal(signal),
            Input::BadSignal { source, position, reason } => {
                self.bad_signal(*source, *position, reason.clone());
            }
            Input::Report(report) => self.report(report),
            Input::LookedUp(order, lookup) => self.looked_up(*order, lookup),
            Input::Snapshot(snapshot) => self.snapshot(snapshot),
            Input::Link { link, lost } => self.link(*link, lost.as_ref()),
            Input::Odd { anomaly, count, detail } => self.odd(*anomaly, *count, detail),
            Input::Compare => {
                self.asks.reconcile_wanted = self.state.journal.started != Lsn::NONE;
                self.asks.venue_is_back();
            }
            Input::Clock => {}
            Input::Command { by, command } => self.command(*by, command),
            Input::Import(file) => self.import(file),
            Input::Delivered(number) => self.delivered(*number),
            Input::DiskSlow { milliseconds } => self.disk_slow(*milliseconds),
            Input::JournalSpace { reserve_only } => self.journal_space(*reserve_only),
            Input::Stopping(why) => self.stopping(*why),
            Input::Stopped(why) => {
                self.turn.actor = Some(Actor::Process);
                self.emit(event::Stopped { reason: *why });
            }
        }
    }

    /// Emit is apply: the only way in which the state changes.
    fn emit(&mut self, fact: impl Into<Fact>) -> Lsn {
        self.position();
        self.emit_as(self.turn.actor.unwrap_or(Actor::Engine), self.turn.cause, fact.into())
    }

    /// As [`Engine::emit`], with the cause named.
    fn emit_because(&mut self, cause: Lsn, fact: impl Into<Fact>) -> Lsn {
        self.position();
        self.emit_as(self.turn.actor.unwrap_or(Actor::Engine), cause, fact.into())
    }

    fn emit_as(&mut self, actor: Actor, cause: Lsn, fact: Fact) -> Lsn {
        let event = Event { at: self.turn.now, actor, cause, fact };
        self.state.apply(&event);
        self.watch.follow(&self.state, &event.fact);
        self.turn.out.events.push(event);
        self.state.lsn
    }

    /// The first fact of a decision is preceded by the market points it rests on, so that a restart knows which
    /// points were finished.
    fn position(&mut self) {
        if core::mem::replace(&mut self.turn.positioned, true) {
            return;
        }
        for at in 0..self.market.feeds.len() {
            let tick = self.market.feeds[at];
            if self.state.feeds.get(&tick.feed).is_none_or(|seen| seen.cursor < tick.cursor) {
                let lsn = self.emit_as(Actor::Market, Lsn::NONE, Fact::TickSeen((&tick).into()));
                if self.turn.cause == Lsn::NONE {
                    self.turn.cause = lsn;
                }
            }
        }
    }

    /// Permission to act; leaves only once this decision's records are durable.
    fn ask(&mut self, effect: Effect) {
        self.turn.out.effects.push(effect);
    }

    /// Notes a contradiction once in the life of the process.
    fn note(
        &mut self,
        anomaly: AnomalyKind,
        instrument: Option<InstrumentId>,
        order: OrderId,
        known: Fixed,
        arrived: Fixed,
        detail: &str,
    ) {
        let key =
            alloc::format!("{}/{}/{known}/{arrived}/{detail}", instrument.map_or(0, |i| i.0 + 1), order.0);
        if self.asks.noted.len() >= NOTED_MAX {
            self.asks.noted.clear();
        }
        if self.asks.noted.insert((anomaly, Text::new(&key))) {
            self.emit(AnomalyNoted { anomaly, instrument, order, known, arrived, detail: Text::new(detail) });
        }
    }

    /// Raises an alarm unless it stands already with the same words.
    fn raise(&mut self, alarm: AlarmKind, instrument: Option<InstrumentId>, blocks: Blocks, reason: &str) {
        let standing = self.state.alarms.get(&(alarm, instrument));
        if standing.is_none_or(|a| a.reason.as_str() != reason) {
            let reason = Text::new(reason);
            let lsn = self.emit(AlarmRaised { alarm, instrument, blocks, reason: reason.clone() });
            let name = self.instrument_name(instrument);
            self.tell(lsn, &alloc::format!("alarm {alarm}{name}: {reason}"));
        }
    }

    /// Clears an alarm if it stands.
    fn clear(&mut self, alarm: AlarmKind, instrument: Option<InstrumentId>) {
        if self.state.alarms.contains_key(&(alarm, instrument)) {
            self.emit(event::AlarmCleared { alarm, instrument });
        }
    }

    /// Queues a message that cites a record, and asks for its delivery.
    fn tell(&mut self, about: Lsn, text: &str) {
        let number = self.state.last_message + 1;
        let text = Text::new(text);
        self.emit(MessageQueued { number, about, text: text.clone() });
        self.ask(Effect::Notify { number, text });
    }

    fn instrument_name(&self, instrument: Option<InstrumentId>) -> alloc::string::String {
        instrument
            .and_then(|id| self.state.instrument(id))
            .map_or_else(alloc::string::String::new, |i| alloc::format!(" {}", i.spec.name))
    }
}

impl Machine for Engine {
    type Input = Input;
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Timestamp, input: &Input) -> Decision<Event, Effect> {
        // Event time never falls within a journal, whatever the clock does.
        self.turn.now = now.max(self.state.time);
        self.turn.actor = None;
        self.turn.cause = Lsn::NONE;
        // The records of an opening come before any market point of it.
        self.turn.positioned = matches!(input, Input::Opened(_));
        self.dispatch(input);
        self.run_timers();
        core::mem::take(&mut self.turn.out)
    }

    fn apply(&mut self, event: &Event) {
        self.watch.forget();
        self.state.apply(event);
    }

    fn encode(event: &Event, out: &mut Vec<u8>) -> RecordHead {
        event.encode(out)
    }

    fn decode(head: RecordHead, payload: &[u8]) -> Result<Event, DecodeError> {
        Event::decode(head, payload)
    }

    fn lsn(&self) -> Lsn {
        self.state.lsn
    }

    fn digest(&self) -> [u8; 32] {
        self.state.digest()
    }

    fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    fn save_with_digest(&self) -> (Vec<u8>, [u8; 32]) {
        let saved = self.state.save();
        let digest = State::digest_of(&saved);
        (saved, digest)
    }

    fn load(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        self.state = State::load(state)?;
        self.watch.forget();
        Ok(())
    }

    fn may_use_reserve(events: &[Event]) -> bool {
        let entry = |e: &Event| {
            matches!(&e.fact, Fact::OrderIntended(o) if o.purpose == aegis_model::Purpose::Entry)
                || matches!(&e.fact, Fact::EntryPrepared(p) if p.snapshot != 0)
        };
        !events.iter().any(entry)
    }
}
