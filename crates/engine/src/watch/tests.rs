//! The index as it shows from outside: when the engine wants to look again, and whom it then finds blind.

use crate::{Engine, Settings};
use aegis_model::event::{Fee, FillBooked, FillSource, JournalCreated};
use aegis_model::ids::SECOND;
use aegis_model::input::{ListedInstrument, Opened};
use aegis_model::market::PricePath;
use aegis_model::{
    Actor, AssetId, Event, Fact, FeedId, Input, InstrumentId, Label, Lsn, Machine, Mode, Money, OrderId,
    Price, Quantity, Side, Tick, Timestamp, TradeId,
};
use alloc::vec::Vec;

const SLOW: FeedId = FeedId(1);
const FAST: FeedId = FeedId(2);

/// Two instruments with a position each; prices of one feed stay fresh for ten seconds, of the other for one.
fn engine() -> Engine {
    let mut settings = Settings { reconcile_ns: 0, ..Settings::default() };
    settings.price_age_ns.insert(SLOW, 10 * SECOND);
    settings.price_age_ns.insert(FAST, SECOND);
    let mut engine = Engine::new(settings);
    let opened = Opened {
        created: Some(JournalCreated { mode: Mode::Paper, installation: 1, quote: Label::literal("USDT") }),
        run: 1,
        version: Label::literal("test"),
        config_digest: [0; 32],
        seed: Some(1),
        settings: Vec::new(),
        gap: None,
    };
    let listed = |base: &'static str| ListedInstrument {
        name: Label::lossy(&alloc::format!("{base}_USDT")),
        base: Label::literal(base),
        quote: Label::literal("USDT"),
        price_tick: Price::new(1, 2),
        quantity_tick: Quantity::new(1, 5),
        minimum_notional: Money::ZERO,
        tradable: true,
    };
    engine.handle(Timestamp(0), &Input::Opened(opened));
    engine.handle(Timestamp(0), &Input::Instruments(Vec::from([listed("BTC"), listed("ETH")])));
    for n in 0..2 {
        let fill = FillBooked {
            instrument: InstrumentId(n),
            trade: TradeId(Label::lossy(&alloc::format!("{n}"))),
            order: OrderId(0),
            venue_order: None,
            side: Side::Buy,
            price: Price::new(50_000, 0),
            quantity: Quantity::new(1, 0),
            fee: Some(Fee { asset: AssetId(0), amount: Quantity::ZERO }),
            executed: Timestamp(0),
            source: FillSource::External,
        };
        engine.apply(&Event {
            at: Timestamp(0),
            actor: Actor::Venue,
            cause: Lsn::NONE,
            fact: Fact::FillBooked(fill),
        });
    }
    engine
}

/// Shows a price; answers which instruments became blind by it.
fn tick(engine: &mut Engine, feed: FeedId, cursor: u64, instrument: u32, at: i64) -> Vec<u32> {
    let tick = Tick {
        feed,
        cursor,
        instrument: InstrumentId(instrument),
        at: Timestamp(at),
        bid: Some(Price::new(50_000, 0)),
        ask: Some(Price::new(50_001, 0)),
        last: None,
        bid_quantity: None,
        ask_quantity: None,
        path: PricePath::Jump,
    };
    blinded(engine.handle(Timestamp(at), &Input::Tick(tick)))
}

fn clock(engine: &mut Engine, at: i64) -> Vec<u32> {
    blinded(engine.handle(Timestamp(at), &Input::Clock))
}

fn blinded(decision: aegis_model::Decision<Event, aegis_model::Effect>) -> Vec<u32> {
    let blind = |fact: Fact| if let Fact::BlindStarted(f) = fact { Some(f.instrument.0) } else { None };
    decision.events.into_iter().filter_map(|event| blind(event.fact)).collect()
}

#[test]
fn each_position_becomes_blind_at_its_own_time() {
    let mut engine = engine();
    assert_eq!(tick(&mut engine, SLOW, 1, 0, SECOND), [1], "the other one has no price at all");
    assert_eq!(tick(&mut engine, SLOW, 2, 1, 2 * SECOND), []);
    assert_eq!(clock(&mut engine, 11 * SECOND), [], "ten seconds are still fresh");
    assert_eq!(clock(&mut engine, 11 * SECOND + 1), [0]);
    assert_eq!(clock(&mut engine, 12 * SECOND + 1), [1]);
}

#[test]
fn positions_that_lose_their_price_together_are_told_in_order() {
    let mut engine = engine();
    tick(&mut engine, SLOW, 1, 1, SECOND);
    tick(&mut engine, SLOW, 2, 0, 2 * SECOND);
    assert_eq!(clock(&mut engine, 60 * SECOND), [0, 1]);
}

#[test]
fn a_source_that_ages_faster_brings_the_look_forward() {
    let mut engine = engine();
    tick(&mut engine, SLOW, 1, 0, SECOND);
    tick(&mut engine, SLOW, 2, 1, SECOND);
    assert_eq!(tick(&mut engine, FAST, 1, 0, 2 * SECOND), []);
    assert!(engine.next_timer().is_some_and(|due| due <= Timestamp(3 * SECOND + 1)));
    assert_eq!(clock(&mut engine, 3 * SECOND + 1), [0]);
}

#[test]
fn a_fee_in_a_third_asset_that_takes_all_of_another_holding_is_followed() {
    let mut engine = engine();
    tick(&mut engine, SLOW, 1, 0, SECOND);
    tick(&mut engine, SLOW, 2, 1, SECOND);
    tick(&mut engine, SLOW, 3, 0, SECOND);
    assert!(engine.watch.agrees(&engine.state));
    let ether = AssetId(2);
    engine.emit(FillBooked {
        instrument: InstrumentId(0),
        trade: TradeId(Label::literal("drains")),
        order: OrderId(0),
        venue_order: None,
        side: Side::Buy,
        price: Price::new(50_000, 0),
        quantity: Quantity::new(1, 0),
        fee: Some(Fee { asset: ether, amount: Quantity::new(2, 0) }),
        executed: Timestamp(SECOND),
        source: FillSource::External,
    });
    assert!(engine.state.instruments[0].is_open() && !engine.state.instruments[1].is_open());
    assert!(engine.watch.agrees(&engine.state), "nothing is filed of a holding that a fee took");
}

#[test]
fn what_opens_is_looked_at_at_once_even_if_every_feed_is_silent() {
    let mut engine = engine();
    engine.handle(Timestamp(SECOND), &Input::Clock);
    engine.emit(FillBooked {
        instrument: InstrumentId(0),
        trade: TradeId(Label::literal("more")),
        order: OrderId(0),
        venue_order: None,
        side: Side::Sell,
        price: Price::new(50_000, 0),
        quantity: Quantity::new(1, 0),
        fee: Some(Fee { asset: AssetId(0), amount: Quantity::ZERO }),
        executed: Timestamp(SECOND),
        source: FillSource::External,
    });
    engine.handle(Timestamp(SECOND), &Input::Clock);
    engine.emit(FillBooked {
        instrument: InstrumentId(0),
        trade: TradeId(Label::literal("again")),
        order: OrderId(0),
        venue_order: None,
        side: Side::Buy,
        price: Price::new(50_000, 0),
        quantity: Quantity::new(1, 0),
        fee: Some(Fee { asset: AssetId(0), amount: Quantity::ZERO }),
        executed: Timestamp(SECOND),
        source: FillSource::External,
    });
    engine.watch.turn_over();
    assert_eq!(engine.next_timer(), Some(Timestamp(SECOND)), "no feed has to speak first");
}
