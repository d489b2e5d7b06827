//! An engine that holds positions, and the ticks that it decides upon.

use crate::report::Latencies;
use crate::{clock, plan};
use aegis_engine::settings::PlanSettings;
use aegis_engine::{Engine, Settings};
use aegis_model::event::{Fee, FillBooked, FillSource, JournalCreated};
use aegis_model::input::{ListedInstrument, Opened};
use aegis_model::market::PricePath;
use aegis_model::{
    Actor, AssetId, Event, Fact, FeedId, Input, InstrumentId, Label, Lsn, Machine, Mode, Money, OrderId,
    Price, Quantity, Side, Tick, Timestamp, TradeId,
};

/// How long a price stays fresh, ns of market time, where all instruments tick: a tick each microsecond means that
/// every position's freshness is looked at again and again.
pub const SHORT: i64 = 200_000_000;
/// The same where only a few of many tick: longer than any run.
pub const LONG: i64 = 3_600_000_000_000;
/// Market time between two ticks, ns.
const STEP: i64 = 1_000;

/// An engine that holds a position, protected by a stop, in each of so many instruments.
pub fn engine(positions: u32, price_age: i64) -> Engine {
    let mut settings = Settings { reconcile_ns: 0, ..Settings::default() };
    settings.last_price_feeds.insert(FeedId(1));
    settings.price_age_ns.insert(FeedId(1), price_age);
    settings.plan = PlanSettings { plan: plan(), atr: None };
    let mut engine = Engine::new(settings);
    let created = JournalCreated { mode: Mode::Paper, installation: 1, quote: Label::literal("USDT") };
    let opened = Opened {
        created: Some(created),
        run: 1,
        version: Label::literal("bench"),
        config_digest: [0; 32],
        seed: Some(1),
        settings: Vec::new(),
        gap: None,
    };
    let listed: Vec<ListedInstrument> = (0..positions)
        .map(|n| ListedInstrument {
            name: Label::lossy(&format!("C{n}_USDT")),
            base: Label::lossy(&format!("C{n}")),
            quote: Label::literal("USDT"),
            price_tick: Price::new(1, 2),
            quantity_tick: Quantity::new(1, 5),
            minimum_notional: Money::ZERO,
            tradable: true,
        })
        .collect();
    engine.handle(Timestamp(0), &Input::Opened(opened));
    engine.handle(Timestamp(0), &Input::Instruments(listed));
    for n in 0..positions {
        let fill = FillBooked {
            instrument: InstrumentId(n),
            trade: TradeId(Label::lossy(&format!("{n}"))),
            order: OrderId(0),
            venue_order: None,
            side: Side::Buy,
            price: Price::new(50_000, 0),
            quantity: Quantity::new(1, 0),
            fee: Some(Fee { asset: AssetId(0), amount: Quantity::ZERO }),
            executed: Timestamp(1),
            source: FillSource::External,
        };
        engine.apply(&Event {
            at: Timestamp(1),
            actor: Actor::Venue,
            cause: Lsn::NONE,
            fact: Fact::FillBooked(fill),
        });
    }
    engine
}

/// An engine and its market's clock.
#[derive(Debug)]
pub struct Held {
    /// The engine.
    pub engine: Engine,
    /// How many of the instruments tick, in turn.
    ticking: u32,
    cursor: u64,
    raised: u64,
}

impl Held {
    /// Every position has seen its price twice: it is protected and its price is fresh. From then on the first
    /// `ticking` of them tick.
    ///
    /// # Panics
    /// When a position is left without a stop.
    pub fn new(positions: u32, price_age: i64, ticking: u32) -> Held {
        let engine = engine(positions, price_age);
        let mut held = Held { engine, ticking: positions, cursor: 0, raised: 0 };
        for _ in 0..2 * positions {
            let tick = held.tick(5_000_000);
            held.decide(&tick);
        }
        let protected = held.engine.state().instruments.iter().filter(|i| i.protection.is_some()).count();
        assert_eq!(protected, positions as usize);
        held.ticking = ticking;
        held
    }

    /// The next tick: the instruments take turns.
    fn tick(&mut self, cents: i64) -> (Timestamp, Input) {
        self.cursor += 1;
        let at = Timestamp(self.cursor as i64 * STEP);
        let tick = Input::Tick(Tick {
            feed: FeedId(1),
            cursor: self.cursor,
            instrument: InstrumentId((self.cursor % u64::from(self.ticking)) as u32),
            at,
            bid: None,
            ask: None,
            last: Some(Price::new(cents, 2)),
            bid_quantity: None,
            ask_quantity: None,
            path: PricePath::Jump,
        });
        (at, tick)
    }

    /// A tick within the standing stop and mark.
    fn quiet_tick(&mut self) -> (Timestamp, Input) {
        self.tick(4_990_000 + (self.cursor % 997) as i64)
    }

    /// A tick that raises its instrument's mark and stop.
    fn raising_tick(&mut self) -> (Timestamp, Input) {
        self.raised += 1;
        self.tick(5_000_000 + self.raised as i64)
    }

    fn decide(&mut self, (at, tick): &(Timestamp, Input)) {
        std::hint::black_box(self.engine.handle(*at, tick));
    }

    /// Decides upon a tick that changes nothing.
    pub fn decide_quiet(&mut self) {
        let tick = self.quiet_tick();
        self.decide(&tick);
    }

    /// Decides upon a tick that raises a stop.
    pub fn decide_raising(&mut self) {
        let tick = self.raising_tick();
        self.decide(&tick);
    }

    fn timed(&mut self, n: u64, next: fn(&mut Held) -> (Timestamp, Input)) -> Latencies {
        let mut latencies = Latencies::with_room(n);
        for _ in 0..n {
            let tick = next(self);
            let start = clock::now();
            self.decide(&tick);
            latencies.push(clock::now() - start);
        }
        latencies
    }

    /// Ticks within the standing stop and mark, each timed.
    ///
    /// # Panics
    /// When one of them is recorded.
    pub fn quiet(&mut self, n: u64) -> Latencies {
        let before = self.engine.state().lsn;
        let latencies = self.timed(n, Held::quiet_tick);
        assert_eq!(self.engine.state().lsn, before, "ticks that change nothing are not recorded");
        latencies
    }

    /// Ticks each of which raises its instrument's mark and stop, each timed.
    ///
    /// # Panics
    /// When one of them moves nothing.
    pub fn raising(&mut self, n: u64) -> Latencies {
        let before = self.engine.state().totals.stop_moves;
        let latencies = self.timed(n, Held::raising_tick);
        assert_eq!(self.engine.state().totals.stop_moves, before + n);
        latencies
    }
}
