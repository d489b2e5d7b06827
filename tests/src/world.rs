//! The stage of a story: an engine on a log of whole batches, the scripted exchange, and a clock that tests turn.

use crate::exchange::Exchange;
use crate::{label, price, quantity, rate};
use aegis_engine::Settings;
use aegis_engine::settings::PlanSettings;
use aegis_model::event::{Direction, JournalCreated};
use aegis_model::ids::SECOND;
use aegis_model::input::{ListedInstrument, Opened, SignalIn};
use aegis_model::market::{PricePath, Tick};
use aegis_model::protection::{Distance, Plan, StopRule};
use aegis_model::{
    Command, Effect, Event, Fact, FeedId, Input, InstrumentId, Machine, Mode, Money, Price, Purpose,
    Quantity, RecordHead, Text, Timestamp,
};
use aegis_projection::State;
use aegis_projection::state::InstrumentState;
use std::collections::VecDeque;

/// Where the process dies. One crash point is armed at a time and met once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashPoint {
    /// Before the intent is durable.
    Cp0,
    /// The intent is durable, nothing was sent.
    Cp1,
    /// Sent, and the exchange acted; no reply was read.
    Cp2,
    /// The reply was read; what it means is not durable.
    Cp3,
    /// As far as a whole batch goes, the same as before its first byte or after its last: see the byte-level tests.
    Cp4,
    /// Fill and stop are durable, the notification is not out.
    Cp5,
    /// All done.
    Cp6,
}

/// Every crash point, in order.
pub const CRASH_POINTS: [CrashPoint; 7] = [
    CrashPoint::Cp0,
    CrashPoint::Cp1,
    CrashPoint::Cp2,
    CrashPoint::Cp3,
    CrashPoint::Cp4,
    CrashPoint::Cp5,
    CrashPoint::Cp6,
];

/// The feed of the stories: last prices only.
pub const FEED: FeedId = FeedId(1);
/// When stories begin: 2025-01-01T00:00:00Z.
pub const BEGIN: Timestamp = Timestamp(1_735_689_600 * SECOND);
/// Names of the instruments, by id.
pub const NAMES: [&str; 5] = ["BTC_USDT", "ETH_USDT", "SOL_USDT", "ADA_USDT", "XRP_USDT"];

/// The stage.
pub struct World {
    /// The running engine.
    pub engine: Engine,
    /// The exchange.
    pub exchange: Exchange,
    /// Durable batches as stored bytes.
    pub log: Vec<Vec<(RecordHead, Vec<u8>)>>,
    /// The time.
    pub now: Timestamp,
    /// Settings of the next opening.
    pub settings: Settings,
    /// Whether the process is dead.
    pub dead: bool,
    armed: Option<CrashPoint>,
    cursor: u64,
    last_ticks: Vec<Tick>,
    positions: u64,
    openings: u32,
    /// Inputs on their way to the engine.
    queue: VecDeque<Input>,
}

/// The engine under test.
pub type Engine = aegis_engine::Engine;

/// The settings that the stories assume: 2 % initial stop, 1.5 % trailing, no market-wide rules.
pub fn story_settings() -> Settings {
    let mut settings = Settings {
        market_fall: None,
        leader_fall: None,
        stop_outs: None,
        daily_loss: None,
        budget: Money::new(1_000_000, 0),
        weight: rate("1"),
        risk: rate("1"),
        taker_fee: rate("0"),
        slippage: rate("0"),
        minimum_margin: rate("0"),
        entry_style: aegis_engine::settings::EntryStyle::LimitImmediate,
        plan: PlanSettings {
            plan: Plan {
                initial: Distance::Relative(rate("0.02")),
                rule: StopRule::Trailing {
                    distance: Distance::Relative(rate("0.015")),
                    from_start: true,
                    stages: Vec::new(),
                },
                atr: None,
                take_profit: None,
                hold_ns: None,
            },
            atr: None,
        },
        ..Settings::default()
    };
    settings.last_price_feeds.insert(FEED);
    settings.price_age_ns.insert(FEED, 3600 * SECOND);
    settings
}

/// The instruments that are listed.
pub fn listed() -> Vec<ListedInstrument> {
    let facts = [
        ("BTC", "0.01", "0.00000001"),
        ("ETH", "0.01", "0.0001"),
        ("SOL", "0.01", "0.001"),
        ("ADA", "0.0001", "0.1"),
        ("XRP", "0.0001", "0.1"),
    ];
    facts
        .iter()
        .map(|(base, price_tick, quantity_tick)| ListedInstrument {
            name: label(&format!("{base}_USDT")),
            base: label(base),
            quote: label("USDT"),
            price_tick: price(price_tick),
            quantity_tick: quantity(quantity_tick),
            minimum_notional: Money::ZERO,
            tradable: true,
        })
        .collect()
}

impl World {
    /// A fresh journal, an exchange with 100,000 USDT, all instruments listed, compared once.
    pub fn new() -> World {
        World::with(story_settings())
    }

    /// The same with other settings.
    pub fn with(settings: Settings) -> World {
        World::with_exchange(settings, |exchange| exchange.set_total("USDT", "100000"))
    }

    /// The same with an exchange prepared by the test.
    pub fn with_exchange(settings: Settings, prepare: impl FnOnce(&mut Exchange)) -> World {
        let mut exchange = Exchange {
            instruments: listed().iter().map(|i| (i.base, i.quote)).collect(),
            asset_ids: ["USDT", "BTC", "ETH", "SOL", "ADA", "XRP"].iter().map(|a| label(a)).collect(),
            ..Exchange::default()
        };
        prepare(&mut exchange);
        let mut world = World {
            engine: Engine::new(settings.clone()),
            exchange,
            log: Vec::new(),
            now: BEGIN,
            settings,
            dead: false,
            armed: None,
            cursor: 0,
            last_ticks: Vec::new(),
            positions: 0,
            openings: 0,
            queue: VecDeque::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        self.openings += 1;
        self.dead = false;
        let created = self.log.is_empty().then(|| JournalCreated {
            mode: Mode::Paper,
            installation: 0xa1b2c3d4e5,
            quote: label("USDT"),
        });
        self.give(Input::Opened(Opened {
            created,
            run: self.openings,
            version: label("test"),
            config_digest: [0; 32],
            seed: Some(1),
            settings: Vec::new(),
            gap: None,
        }));
        self.give(Input::Instruments(listed()));
        self.pump();
    }

    /// Queues an input.
    pub fn give(&mut self, input: Input) {
        self.queue.push_back(input);
    }

    /// Arms a crash point: it is met by the next decision that reaches it.
    pub fn crash_at(&mut self, point: CrashPoint) {
        self.armed = Some(point);
    }

    /// Runs until nothing is queued, or the process is dead.
    pub fn pump(&mut self) {
        let mut steps = 0;
        while let Some(input) = self.queue.pop_front() {
            self.step(&input);
            if self.dead {
                self.queue.clear();
                return;
            }
            steps += 1;
            assert!(steps < 10_000, "the world never comes to rest");
        }
        let held = self.state().totals.fills > 0;
        self.die_if(CrashPoint::Cp6, held);
    }

    fn die_if(&mut self, point: CrashPoint, here: bool) -> bool {
        if here && self.armed == Some(point) {
            self.armed = None;
            self.dead = true;
        }
        self.dead
    }

    fn step(&mut self, input: &Input) {
        let decision = self.engine.handle(self.now, input);
        let has = |want: fn(&Fact) -> bool| decision.events.iter().any(|e| want(&e.fact));
        let intent = has(|f| matches!(f, Fact::OrderIntended(o) if o.purpose == Purpose::Entry));
        let fill = has(|f| matches!(f, Fact::FillBooked(_)));
        if self.die_if(CrashPoint::Cp0, intent)
            || self.die_if(CrashPoint::Cp3, fill)
            || self.die_if(CrashPoint::Cp4, fill)
        {
            return;
        }
        self.store(&decision.events);
        self.check_laws();
        if self.die_if(CrashPoint::Cp1, intent) || self.die_if(CrashPoint::Cp5, fill) {
            return;
        }
        for effect in &decision.effects {
            let answers = self.exchange.carry_out(effect, self.now);
            if self.die_if(CrashPoint::Cp2, matches!(effect, Effect::Place(_))) {
                return;
            }
            if matches!(effect, Effect::AskSnapshot { .. }) {
                self.now = self.now.after(self.exchange.answer_age);
            }
            self.queue.extend(answers);
        }
    }

    fn store(&mut self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let batch = events
            .iter()
            .map(|event| {
                let mut bytes = Vec::new();
                let head = event.encode(&mut bytes);
                (head, bytes)
            })
            .collect();
        self.log.push(batch);
    }

    /// Law 1 and law 3 after every batch: live equals replay of the newest events, and what is held is covered, on
    /// its way out, or alarmed.
    fn check_laws(&self) {
        for (at, instrument) in self.state().instruments.iter().enumerate() {
            if !instrument.is_open() {
                continue;
            }
            let id = InstrumentId(u32::try_from(at).expect("few"));
            let covered = instrument.protection.as_ref().map(|p| p.quantity);
            let alarmed = self.state().alarms.keys().any(|(kind, about)| {
                *kind == aegis_model::event::AlarmKind::Unprotected && *about == Some(id)
            });
            let exact = covered == Some(self.state().sellable(id, self.settings.taker_fee));
            assert!(
                exact || alarmed || instrument.exit_wanted.is_some(),
                "{} holds {} with cover {covered:?} and no alarm",
                instrument.spec.name,
                instrument.held()
            );
        }
    }

    /// `kill -9` and a new process on the same journal, which is warmed with the market points already finished.
    pub fn restart(&mut self) {
        self.queue.clear();
        self.armed = None;
        let mut engine = Engine::new(self.settings.clone());
        for batch in &self.log {
            for (head, bytes) in batch {
                engine.apply(&Event::decode(*head, bytes).expect("a stored event"));
            }
        }
        self.engine = engine;
        for tick in self.last_ticks.clone() {
            self.engine.handle(self.now, &Input::Warmup(tick));
        }
        self.open();
    }

    /// The digest of folding the stored bytes from the first record (law 1).
    pub fn replayed_digest(&self) -> [u8; 32] {
        let mut state = State::default();
        for (head, bytes) in self.log.iter().flatten() {
            state.apply(&Event::decode(*head, bytes).expect("a stored event"));
        }
        state.digest()
    }

    /// The folded state.
    pub fn state(&self) -> &State {
        self.engine.state()
    }

    /// An instrument's state.
    pub fn instrument(&self, name: &str) -> &InstrumentState {
        self.state().instrument(id(name)).expect("a listed instrument")
    }

    /// What is held of an instrument.
    pub fn held(&self, name: &str) -> Quantity {
        self.instrument(name).held()
    }

    /// The stop of an instrument's position.
    pub fn stop(&self, name: &str) -> Option<Price> {
        self.instrument(name).protection.as_ref().map(|p| p.stop)
    }

    /// Every stored event.
    pub fn events(&self) -> Vec<Event> {
        self.log.iter().flatten().map(|(head, bytes)| Event::decode(*head, bytes).expect("stored")).collect()
    }

    /// How many stored facts satisfy a predicate.
    pub fn count(&self, want: impl Fn(&Fact) -> bool) -> usize {
        self.events().iter().filter(|e| want(&e.fact)).count()
    }

    /// The next market point of an instrument, unless the process is dead.
    pub fn tick(&mut self, name: &str, at_price: &str) {
        self.quote(name, at_price);
        let tick = *self.last_ticks.iter().find(|t| t.instrument == id(name)).expect("just quoted");
        self.give(Input::Tick(tick));
        self.pump();
    }

    /// A market point that the exchange sees and the engine does not (it is down).
    pub fn quote(&mut self, name: &str, at_price: &str) {
        self.cursor += 1;
        self.now = self.now.after(SECOND);
        let tick = Tick {
            feed: FEED,
            cursor: self.cursor,
            instrument: id(name),
            at: self.now,
            bid: None,
            ask: None,
            last: Some(price(at_price)),
            bid_quantity: None,
            ask_quantity: None,
            path: PricePath::Jump,
        };
        self.exchange.prices.insert(id(name), price(at_price));
        self.last_ticks.retain(|t| t.instrument != id(name));
        self.last_ticks.push(tick);
    }

    /// Seconds pass; timers run.
    pub fn wait(&mut self, seconds: i64) {
        let end = self.now.after(seconds * SECOND);
        while self.now < end {
            let next = self.engine.next_timer().filter(|due| *due < end && *due > self.now).unwrap_or(end);
            self.now = next;
            self.give(Input::Clock);
            self.pump();
        }
    }

    /// A signal of the source "oracle" with an hour's horizon.
    pub fn signal(&mut self, name: &str, direction: Direction, confidence: &str) {
        self.signal_from("oracle", name, direction, confidence);
    }

    /// A signal of a named source.
    pub fn signal_from(&mut self, source: &str, name: &str, direction: Direction, confidence: &str) {
        self.positions += 1;
        let signal = SignalIn {
            source: label(source),
            position: self.positions,
            instrument: label(name),
            direction,
            confidence: rate(confidence),
            at: self.now,
            horizon_ns: 3600 * SECOND,
        };
        self.give(Input::Signal(signal));
        self.pump();
    }

    /// A person's order by hand: quantity and stop through the same gate.
    pub fn buy(&mut self, name: &str, amount: &str) {
        let command = Command::Open { instrument: label(name), quantity: quantity(amount), stop: None };
        self.command(command);
    }

    /// A command by the operator "alice".
    pub fn command(&mut self, command: Command) {
        self.give(Input::Command { by: label("alice"), command });
        self.pump();
    }

    /// A halt by command.
    pub fn halt(&mut self) {
        self.command(Command::Halt { reason: Text::new("stop trading") });
    }
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

/// An instrument's id by name.
pub fn id(name: &str) -> InstrumentId {
    let at = NAMES.iter().position(|n| *n == name).unwrap_or_else(|| panic!("{name} is no story instrument"));
    InstrumentId(u32::try_from(at).expect("few"))
}
