//! C: the phantom position (S13 to S15) and the record's own rules (S28, S31, S33).

use super::support::*;
use aegis_engine::settings::HoldingPolicy;
use aegis_model::event::{Direction, Refusal};
use aegis_model::ids::SECOND;
use aegis_model::{Fact, Side};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, money, price, quantity};
use proptest::prelude::*;

fn three_positions() -> World {
    let mut world = World::new();
    buy_at(&mut world, "BTC_USDT", "0.0001", "50000");
    buy_at(&mut world, "ETH_USDT", "0.01", "3000");
    buy_at(&mut world, "SOL_USDT", "0.5", "100");
    world
}

#[test]
fn s13_clean_run_when_the_price_gaps() {
    let mut world = three_positions();
    let stops = |w: &World| ["BTC_USDT", "ETH_USDT", "SOL_USDT"].map(|n| w.stop(n));
    let expected = [Some(price("49000")), Some(price("2940")), Some(price("98"))];
    assert_eq!(stops(&world), expected);
    let before = world.state().instruments.clone();
    world.restart();
    assert_eq!(stops(&world), expected);
    for (before, after) in before.iter().zip(&world.state().instruments) {
        assert_eq!((&before.book, &before.protection), (&after.book, &after.protection));
    }
    up(&mut world, "BTC_USDT", "0.95");
    assert_eq!(refusals(&world), vec![Refusal::PositionOpen]);
    assert_eq!(world.exchange.orders.len(), 3);
    let cover = world.instrument("BTC_USDT").protection.as_ref().map(|p| p.quantity);
    assert_eq!((cover, world.held("BTC_USDT")), (Some(quantity("0.0001")), quantity("0.0001")));
    for (name, tick) in [("BTC_USDT", "45000"), ("ETH_USDT", "2700"), ("SOL_USDT", "90")] {
        world.tick(name, tick);
    }
    assert_eq!(orders(&world), (3, 3));
    assert_eq!(realised(&world), money("-8.5"));
    world.tick("BTC_USDT", "40500");
    assert_eq!(realised(&world), money("-8.5"), "no further loss");
    assert_eq!(world.count(|f| matches!(f, Fact::DriftSeen(_) | Fact::CorrectionBooked(_))), 0);
    assert_replays(&world);
}

#[test]
fn s13_clean_run_when_the_price_trades_through_the_stops() {
    let mut world = three_positions();
    for (name, tick) in [("BTC_USDT", "49000"), ("ETH_USDT", "2940"), ("SOL_USDT", "98")] {
        world.tick(name, tick);
    }
    assert_eq!(realised(&world), money("-1.7"));
}

/// The journal knows 0.0001 BTC; the old bot bought another 0.0001 (order 456) while we were away.
fn started_too_late(policy: HoldingPolicy) -> World {
    let mut settings = story_settings();
    settings.holdings = policy;
    let mut world = World::with(settings);
    buy_at(&mut world, "BTC_USDT", "0.0001", "50000");
    world.quote("BTC_USDT", "50000");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Buy, "0.0001", "50000", now);
    world
}

#[test]
fn s14_started_too_late_and_adopting() {
    let mut world = started_too_late(HoldingPolicy::Adopt);
    world.restart();
    let external: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|e| match e.fact {
            Fact::FillBooked(f) if f.order.0 == 0 => Some(f),
            _ => None,
        })
        .collect();
    assert_eq!(external.len(), 1, "one correction by a real trade");
    assert_eq!((external[0].quantity, external[0].price), (quantity("0.0001"), price("50000")));
    assert_eq!(external[0].venue_order.map(|o| o.0), Some(l("456")));
    assert_eq!(world.held("BTC_USDT"), quantity("0.0002"));
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")));
    world.tick("BTC_USDT", "49000");
    let sell = world.exchange.sides(Side::Sell);
    assert_eq!((sell.len(), sell[0].quantity), (1, quantity("0.0002")));
    assert_eq!(realised(&world), money("-0.2"));
}

#[test]
fn s14_started_too_late_with_the_default_policy() {
    let mut world = started_too_late(HoldingPolicy::Quarantine);
    world.restart();
    assert_eq!(world.held("BTC_USDT"), quantity("0.0001"), "the known part stays what it is");
    assert_eq!(world.state().assets[1].quarantined, quantity("0.0001"));
    assert_eq!(world.count(|f| matches!(f, Fact::HoldingQuarantined(_))), 1, "one event");
    up(&mut world, "BTC_USDT", "0.95");
    assert_eq!(refusals(&world), vec![Refusal::AlarmStanding]);
    world.tick("BTC_USDT", "49000");
    let sell = world.exchange.sides(Side::Sell);
    assert_eq!((sell.len(), sell[0].quantity), (1, quantity("0.0001")), "the foreign part is never sold");
    assert_eq!(world.exchange.total("BTC"), quantity("0.0001"));
}

#[test]
fn s15_crash_inside_recovery_at_every_append() {
    let finished = {
        let mut world = started_too_late(HoldingPolicy::Adopt);
        world.restart();
        world
    };
    let batches = finished.log.len();
    let first = started_too_late(HoldingPolicy::Adopt).log.len();
    for cut in first..=batches {
        let mut world = started_too_late(HoldingPolicy::Adopt);
        for _ in 0..5 {
            world.restart();
            if world.log.len() > cut {
                world.log.truncate(cut);
            }
        }
        world.restart();
        assert_eq!(world.held("BTC_USDT"), quantity("0.0002"), "cut at batch {cut}");
        assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "cut at batch {cut}");
        let external = world.count(|f| matches!(f, Fact::FillBooked(f) if f.order.0 == 0));
        assert_eq!(external, 1, "cut at batch {cut}: one correction in total");
    }
}

#[test]
fn s31_the_clock_goes_back_between_open_and_close() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.now = world.now.after(-3600 * SECOND);
    world.tick("BTC_USDT", "49000");
    world.signal("BTC_USDT", Direction::Down, "0.90");
    let times: Vec<_> = world.events().iter().map(|e| e.at).collect();
    assert!(times.is_sorted(), "record time never falls");
    let facts: Vec<_> = world.events().iter().map(|e| e.fact.name()).collect();
    let opened = facts.iter().position(|f| *f == "StopArmed");
    let closed = facts.iter().position(|f| *f == "PositionClosed");
    assert!(opened.is_some() && opened < closed, "history order is the order of LSNs");
    assert_replays(&world);
}

#[test]
fn s33_no_false_audit() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.signal("BTC_USDT", Direction::Up, "0.10");
    assert_eq!((world.exchange.orders.len(), world.exchange.messages.len()), (0, 0), "no order, no message");
    buy_at(&mut world, "BTC_USDT", "0.001", "50000");
    let events = world.events();
    let queued: Vec<_> = events
        .iter()
        .filter_map(|e| match &e.fact {
            Fact::MessageQueued(m) => Some(m.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(queued.len(), 1);
    let about = &events[usize::try_from(queued[0].about.0).expect("small") - 1];
    assert_eq!(about.fact.name(), "StopArmed", "the message cites its record");
    assert!(queued[0].text.as_str().contains("fill "), "and the fill: {}", queued[0].text);
}

#[derive(Clone, Debug)]
enum Act {
    Buy,
    Tick(u32),
    Down,
    Kill,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        2 => Just(Act::Buy),
        6 => (40_000u32..60_000).prop_map(Act::Tick),
        1 => Just(Act::Down),
        1 => Just(Act::Kill),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #[test]
    fn s28_every_order_has_an_earlier_intent_and_every_change_an_event(acts in acts()) {
        let mut world = World::new();
        world.tick("BTC_USDT", "50000");
        for act in acts {
            match act {
                Act::Buy => world.buy("BTC_USDT", "0.001"),
                Act::Tick(at) => world.tick("BTC_USDT", &at.to_string()),
                Act::Down => world.signal("BTC_USDT", Direction::Down, "0.90"),
                Act::Kill => world.restart(),
            }
            prop_assert_eq!(world.held("BTC_USDT"), world.exchange.total("BTC"));
        }
        let intents: std::collections::BTreeSet<_> = world.events().iter().filter_map(|e| match &e.fact {
            Fact::OrderIntended(o) => Some(o.client_id(0xa1b2c3d4e5)),
            _ => None,
        }).collect();
        for order in &world.exchange.orders {
            prop_assert!(intents.contains(&order.client.expect("ours")));
        }
        prop_assert_eq!(world.exchange.duplicates, 0);
        prop_assert_eq!(world.state().lsn.0, world.events().len() as u64, "changes of state = events");
        prop_assert_eq!(world.state().digest(), world.replayed_digest());
    }
}
