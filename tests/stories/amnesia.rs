//! A: restart amnesia (S01 to S07).

use super::support::*;
use aegis_model::event::{FillSource, Refusal};
use aegis_model::order::OrderEnd;
use aegis_model::{Fact, Side};
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{CRASH_POINTS, story_settings};
use aegis_tests::{CrashPoint, World, money, price, quantity};

#[test]
fn s01_the_twelve_steps() {
    let mut world = holding("BTC_USDT", "0.0001", "50000");
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")));
    let opened = world.instrument("BTC_USDT").opened;
    let before = world.state().instruments[0].clone();
    world.restart();
    let after = &world.state().instruments[0];
    assert_eq!((&before.book, &before.protection), (&after.book, &after.protection), "nothing was forgotten");
    up(&mut world, "BTC_USDT", "0.90");
    let refused = world.events().into_iter().rev().find_map(|e| match e.fact {
        Fact::EntryRefused(r) => Some(r),
        _ => None,
    });
    let refused = refused.expect("a refusal");
    assert_eq!(
        (refused.reason, refused.blocking),
        (Refusal::PositionOpen, opened),
        "it names the open position"
    );
    assert_eq!(world.exchange.orders.len(), 1);
    assert_eq!(world.exchange.total("BTC"), quantity("0.0001"));
    world.tick("BTC_USDT", "49000");
    assert_eq!(orders(&world), (1, 1));
    assert_eq!(world.exchange.sides(Side::Sell)[0].quantity, quantity("0.0001"));
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    assert_eq!(realised(&world), money("-0.1"));
    assert!(world.state().orders.is_empty(), "nothing is left to orphan");
    assert_replays(&world);
}

#[test]
fn s01_at_every_crash_point_of_the_entry() {
    for point in CRASH_POINTS {
        let mut world = World::new();
        world.tick("BTC_USDT", "50000");
        world.crash_at(point);
        world.buy("BTC_USDT", "0.0001");
        assert!(world.dead, "{point:?} was met");
        world.restart();
        if point == CrashPoint::Cp0 {
            // The prepared entry is durable and goes on; nothing was sent before.
            assert!(world.exchange.engine_orders() <= 1, "{point:?}");
        }
        up(&mut world, "BTC_USDT", "0.90");
        assert_eq!(world.exchange.sides(Side::Buy).len(), 1, "{point:?}: exactly one order");
        assert_eq!(world.held("BTC_USDT"), world.exchange.total("BTC"), "{point:?}");
        assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "{point:?}");
        assert_replays(&world);
    }
}

#[test]
fn s02_the_order_that_filled_before_its_reply_was_read() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp2);
    world.buy("BTC_USDT", "0.001");
    assert!(world.dead);
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "the dead process never knew");
    assert_eq!(world.exchange.total("BTC"), quantity("0.001"));
    world.restart();
    let facts: Vec<&'static str> = world.events().iter().map(|e| e.fact.name()).collect();
    let looked_up = facts.iter().position(|f| *f == "OrderLookedUp").expect("a lookup by client order id");
    assert!(
        facts[looked_up..].starts_with(&["OrderLookedUp", "OrderAcknowledged", "FillBooked"]),
        "{facts:?}"
    );
    assert!(facts[looked_up..].contains(&"StopArmed"));
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")));
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(refusals(&world), vec![Refusal::PositionOpen]);
    assert_eq!(world.exchange.orders.len(), 1, "order 456 never exists");
    assert_eq!(world.exchange.orders[0].row.venue_order.0, l("123"));
    assert_eq!(world.exchange.total("BTC"), quantity("0.001"));
    assert_replays(&world);
}

#[test]
fn s03_the_reply_times_out_after_the_fill() {
    let mut world = World::new();
    world.exchange.replies = Some(Replies::Lost);
    world.tick("BTC_USDT", "50000");
    for _ in 0..3 {
        up(&mut world, "BTC_USDT", "0.90");
        world.tick("BTC_USDT", "50000");
    }
    assert_eq!(world.exchange.orders.len(), 1);
    assert_eq!(world.held("BTC_USDT"), world.exchange.total("BTC"), "known after the lookup");
    assert!(world.held("BTC_USDT").is_positive());
    assert_eq!(refusals(&world), vec![Refusal::PositionOpen, Refusal::PositionOpen]);
}

#[test]
fn s04_an_intent_never_sent_whose_time_passed() {
    let mut settings = story_settings();
    settings.entry_valid_ns = 0;
    let mut world = World::with(settings);
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp1);
    up(&mut world, "BTC_USDT", "0.90");
    assert!(world.dead);
    world.quote("BTC_USDT", "50000");
    world.restart();
    let ended = |w: &World| w.count(|f| matches!(f, Fact::OrderEnded(e) if e.end == OrderEnd::NotSent));
    assert_eq!((ended(&world), world.exchange.orders.len()), (1, 0));
    assert_eq!(world.state().exposure_count(), 0);
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(world.exchange.orders.len(), 1, "a new buy is allowed once");
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(world.exchange.orders.len(), 1);
}

#[test]
fn s04_an_intent_never_sent_that_is_still_valid_goes_out_once_under_its_own_id() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp1);
    up(&mut world, "BTC_USDT", "0.90");
    let intended = world.state().orders.values().next().map(|o| o.client).expect("an intent");
    world.restart();
    assert_eq!(world.exchange.orders.len(), 1);
    assert_eq!(world.exchange.orders[0].client, Some(intended), "the same client order id");
    assert_eq!(world.count(|f| matches!(f, Fact::OrderResent(_))), 1);
    assert!(world.held("BTC_USDT").is_positive());
}

#[test]
fn s05_killed_before_the_intent_is_durable() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    let orders_before = world.count(|f| matches!(f, Fact::OrderIntended(_)));
    world.crash_at(CrashPoint::Cp0);
    up(&mut world, "BTC_USDT", "0.90");
    assert!(world.dead);
    assert_eq!(
        world.count(|f| matches!(f, Fact::OrderIntended(_))),
        orders_before,
        "the journal holds no intent"
    );
    assert_eq!(world.exchange.orders.len(), 0);
}

#[test]
fn s06_a_partial_fill_at_the_crash() {
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Part(quantity("0.004")));
    world.tick("ETH_USDT", "3000");
    world.crash_at(CrashPoint::Cp3);
    world.buy("ETH_USDT", "0.01");
    assert!(world.dead);
    let now = world.now;
    world.exchange.execute(0, quantity("0.006"), price("3000"), now);
    world.restart();
    let eth = world.instrument("ETH_USDT");
    assert_eq!((eth.held(), eth.entry_price()), (quantity("0.01"), Some(price("3000"))));
    let fills = world.count(|f| matches!(f, Fact::FillBooked(f) if f.source == FillSource::Lookup));
    assert_eq!((fills, world.exchange.orders.len()), (2, 1));
    assert_eq!(world.stop("ETH_USDT"), Some(price("2940")));
    assert_eq!(eth.protection.as_ref().map(|p| p.quantity), Some(quantity("0.01")));
    assert_replays(&world);
}

#[test]
fn s07_every_start_is_not_a_buy() {
    let mut world = World::new();
    for _ in 0..9 {
        world.tick("BTC_USDT", "50000");
        world.restart();
    }
    assert_eq!(world.exchange.orders.len(), 0);
    assert_eq!(world.count(|f| matches!(f, Fact::Started(_))), 10);
}
