//! Deciding: a price tick with four open positions, one that changes nothing and one that raises a mark.

use aegis_benches::{plan, row, size, timed};
use aegis_engine::settings::PlanSettings;
use aegis_engine::{Engine, Settings};
use aegis_model::event::{Fee, FillBooked, FillSource, JournalCreated};
use aegis_model::input::{ListedInstrument, Opened};
use aegis_model::market::PricePath;
use aegis_model::{
    Actor, AssetId, Event, Fact, FeedId, Input, InstrumentId, Label, Lsn, Machine, Mode, Money, OrderId,
    Price, Quantity, Side, Tick, Timestamp, TradeId,
};

fn engine() -> Engine {
    let mut settings = Settings { reconcile_ns: 0, ..Settings::default() };
    settings.last_price_feeds.insert(FeedId(1));
    settings.price_age_ns.insert(FeedId(1), i64::MAX);
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
    let listed: Vec<ListedInstrument> = ["BTC", "ETH", "SOL", "ADA"]
        .iter()
        .map(|base| ListedInstrument {
            name: Label::lossy(&format!("{base}_USDT")),
            base: Label::lossy(base),
            quote: Label::literal("USDT"),
            price_tick: Price::new(1, 2),
            quantity_tick: Quantity::new(1, 5),
            minimum_notional: Money::ZERO,
            tradable: true,
        })
        .collect();
    engine.handle(Timestamp(0), &Input::Opened(opened));
    engine.handle(Timestamp(0), &Input::Instruments(listed));
    for n in 0..4 {
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

fn tick(cursor: u64, cents: i64) -> Input {
    Input::Tick(Tick {
        feed: FeedId(1),
        cursor,
        instrument: InstrumentId((cursor % 4) as u32),
        at: Timestamp(cursor as i64 + 2),
        bid: None,
        ask: None,
        last: Some(Price::new(cents, 2)),
        bid_quantity: None,
        ask_quantity: None,
        path: PricePath::Jump,
    })
}

fn main() {
    let count = size(2_000_000, 10_000);
    println!("decide: price tick with four open positions (goal: below 500 ns)");
    let mut engine = engine();
    let mut cursor = 0;
    for _ in 0..8 {
        cursor += 1;
        engine.handle(Timestamp(cursor as i64 + 2), &tick(cursor, 5_000_000));
    }
    assert_eq!(engine.state().instruments.iter().filter(|i| i.protection.is_some()).count(), 4);
    let before = engine.state().lsn;
    let (took, ()) = timed(|| {
        for _ in 0..count {
            cursor += 1;
            engine.handle(Timestamp(cursor as i64 + 2), &tick(cursor, 4_990_000 + (cursor % 997) as i64));
        }
    });
    assert_eq!(engine.state().lsn, before, "ticks that change nothing are not recorded");
    row("tick that changes nothing", count, took);
    let raises = count / 10;
    let (took, ()) = timed(|| {
        for n in 0..raises {
            cursor += 1;
            engine.handle(Timestamp(cursor as i64 + 2), &tick(cursor, 5_000_001 + n as i64));
        }
    });
    assert_eq!(engine.state().totals.stop_moves, raises);
    row("tick that raises a mark and a stop", raises, took);
}
