//! Deciding: price ticks with four open positions and with ten thousand, and listing twenty thousand of them.
//!
//! A tick touches its own instrument only, so its cost may not depend on how many others are held.

use aegis_benches::report::{Latencies, Report, Unit, interleaved, repetitions};
use aegis_benches::{clock, plan, size, timed};
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
const SHORT: i64 = 200_000_000;
/// The same where only a few of many tick: longer than any run.
const LONG: i64 = 3_600_000_000_000;
/// Market time between two ticks, ns.
const STEP: i64 = 1_000;

/// An engine that holds a position, protected by a stop, in each of so many instruments.
fn engine(positions: u32, price_age: i64) -> Engine {
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
struct Held {
    engine: Engine,
    /// How many of the instruments tick, in turn.
    ticking: u32,
    cursor: u64,
    raised: u64,
}

impl Held {
    /// Every position has seen its price twice: it is protected and its price is fresh. From then on the first
    /// `ticking` of them tick.
    fn new(positions: u32, price_age: i64, ticking: u32) -> Held {
        let engine = engine(positions, price_age);
        let mut held = Held { engine, ticking: positions, cursor: 0, raised: 0 };
        for _ in 0..2 * positions {
            held.tick(5_000_000);
        }
        let protected = held.engine.state().instruments.iter().filter(|i| i.protection.is_some()).count();
        assert_eq!(protected, positions as usize);
        held.ticking = ticking;
        held
    }

    /// The next tick: the instruments take turns. Answers what deciding upon it took, ns.
    fn tick(&mut self, cents: i64) -> u64 {
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
        let start = clock::now();
        std::hint::black_box(self.engine.handle(at, &tick));
        clock::now() - start
    }

    /// Ticks within the standing stop and mark.
    fn quiet(&mut self, n: u64) -> Latencies {
        let before = self.engine.state().lsn;
        let mut latencies = Latencies::with_room(n);
        for _ in 0..n {
            let took = self.tick(4_990_000 + (self.cursor % 997) as i64);
            latencies.push(took);
        }
        assert_eq!(self.engine.state().lsn, before, "ticks that change nothing are not recorded");
        latencies
    }

    /// Ticks each of which raises its instrument's mark and stop.
    fn raising(&mut self, n: u64) -> Latencies {
        let before = self.engine.state().totals.stop_moves;
        let mut latencies = Latencies::with_room(n);
        for _ in 0..n {
            self.raised += 1;
            let took = self.tick(5_000_000 + self.raised as i64);
            latencies.push(took);
        }
        assert_eq!(self.engine.state().totals.stop_moves, before + n);
        latencies
    }
}

/// What a person's list of open positions shows, for each: name, quantity, entry price, cost and stop.
fn list(engine: &Engine) -> usize {
    let open = engine.state().instruments.iter().filter(|i| i.is_open());
    open.map(|i| {
        let stop = i.protection.as_ref().map(|p| p.stop);
        std::hint::black_box((&i.spec.name, i.held(), i.entry_price(), i.book.now.cost, stop));
    })
    .count()
}

/// Ticks with few positions and with many, in turn.
fn beside(
    report: Report,
    what: &str,
    many: &str,
    ticks: fn(&mut Held, u64) -> Latencies,
    n: u64,
    mut few: Held,
    mut lots: Held,
) {
    let (mut ours, mut limit) = interleaved(repetitions(), || ticks(&mut lots, n), || ticks(&mut few, n));
    report.percentiles(&format!("4 positions, tick that {what}"), Unit::Ns, &mut limit, &mut []);
    report.percentiles(&format!("{many} positions, tick that {what}"), Unit::Ns, &mut ours, &mut limit);
}

fn main() {
    let report = Report::new(
        "decide",
        "one price tick to its decision (goals: p50 below 500 ns; with 10,000 positions within 1.2 of 4 positions, \
         which is the limit here; 20,000 positions listed below 1 ms)",
    );
    let many = size(10_000, 500) as u32;
    let quiet = size(400_000, 2_000);
    let raising = size(100_000, 500);
    let few = || Held::new(4, SHORT, 4);
    beside(report, "changes nothing", &many.to_string(), Held::quiet, quiet, few(), Held::new(many, LONG, 4));
    beside(
        report,
        "raises a stop",
        &many.to_string(),
        Held::raising,
        raising,
        few(),
        Held::new(many, LONG, 4),
    );
    // Each tick meets an instrument that has left the nearest caches since its last: what that costs, and the looks
    // at freshness, are the rest.
    let all = format!("{many} in turn");
    beside(report, "changes nothing", &all, Held::quiet, quiet, few(), Held::new(many, SHORT, many));
    beside(report, "raises a stop", &all, Held::raising, raising, few(), Held::new(many, SHORT, many));
    report.row("  of each: the clock", 1001, Unit::Ns, &[clock::cost()]);

    let listed = size(20_000, 500) as u32;
    let engine = engine(listed, SHORT);
    let took: Vec<f64> = (0..repetitions())
        .map(|_| {
            let (took, count) = timed(|| list(&engine));
            assert_eq!(count, listed as usize);
            took.as_nanos() as f64 / 1e3
        })
        .collect();
    report.row(&format!("{listed} open positions listed"), u64::from(listed), Unit::Us, &took);
}
