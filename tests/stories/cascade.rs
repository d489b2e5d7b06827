//! B: the desynchronisation cascade (S08 to S12).

use super::support::*;
use aegis_model::event::{AlarmKind, Refusal};
use aegis_model::protection::Distance;
use aegis_model::{Fact, Machine, Side};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, money, price, quantity};

/// A world whose journal ends right behind the fill, with the stop missing: made by hand, since the engine writes
/// both in one batch.
fn fill_without_stop() -> World {
    let mut world = holding("BTC_USDT", "0.0001", "50000");
    let filled = world.log.iter().position(|b| b.iter().any(|(h, _)| h.kind == 50)).expect("a fill");
    world.log.truncate(filled + 1);
    let batch = &mut world.log[filled];
    let cut = batch.iter().position(|(h, _)| h.kind == 50).expect("the fill") + 1;
    batch.truncate(cut);
    world
}

#[test]
fn s08_recovery_arms_the_stop_from_the_fill_alone() {
    let mut world = fill_without_stop();
    world.quote("BTC_USDT", "48900");
    world.restart();
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "armed from the fill");
    world.tick("BTC_USDT", "48900");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1);
    assert_eq!(realised(&world), money("-0.11"));
    world.tick("BTC_USDT", "48800");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1, "once");
}

#[test]
fn s09_a_stop_that_cannot_be_computed_alarms_blocks_and_is_retried_until_armed() {
    let mut settings = story_settings();
    // A distance that puts the stop above the entry price: no such stop is ever armed.
    settings.plan.plan.initial = Distance::Relative(aegis_tests::rate("-0.5"));
    let mut world = World::with(settings);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.0001");
    assert_eq!(world.held("BTC_USDT"), quantity("0.0001"), "{:?}", refusals(&world));
    let alarm = (AlarmKind::Unprotected, Some(id("BTC_USDT")));
    assert!(world.state().alarms.contains_key(&alarm), "no tick passes unnoticed");
    assert!(world.exchange.messages.iter().any(|(_, text)| text.contains("alarm unprotected")));
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(refusals(&world).last(), Some(&Refusal::AlarmStanding));
    world.command(aegis_model::Command::AdjustStop {
        instrument: l("BTC_USDT"),
        stop: price("49000"),
        loosen: false,
    });
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")));
    assert!(!world.state().alarms.contains_key(&alarm), "cleared once armed");
}

const RATCHET: [(&str, &str); 5] =
    [("50000", "49000"), ("51000", "50235"), ("52000", "51220"), ("53000", "52205"), ("52500", "52205")];

#[test]
fn s10_the_stop_ratchets_and_survives_a_restart_at_each_tick() {
    for restarts in [false, true] {
        let mut world = holding("BTC_USDT", "0.001", "50000");
        for (tick, stop) in RATCHET {
            world.tick("BTC_USDT", tick);
            assert_eq!(world.stop("BTC_USDT"), Some(price(stop)), "at {tick}");
            if restarts {
                world.restart();
                assert_eq!(world.stop("BTC_USDT"), Some(price(stop)), "after the restart at {tick}");
            }
        }
        world.tick("BTC_USDT", "52205");
        assert_eq!(orders(&world), (1, 1));
        assert_eq!(realised(&world), money("2.205"));
        assert_replays(&world);
    }
}

#[test]
fn s11_the_stop_fires_once() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.tick("BTC_USDT", "53000");
    world.exchange.fills = Some(aegis_tests::exchange::Fills::Nothing);
    for tick in ["52205", "52204", "52203"] {
        world.tick("BTC_USDT", tick);
    }
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1);
    assert_eq!(world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell)), 1);
}

#[test]
fn s12_side_and_sign_of_an_adopted_long() {
    let mut world = World::with_exchange(story_settings(), |exchange| {
        exchange.set_total("USDT", "100000");
        exchange.set_total("BTC", "0.001");
    });
    world.tick("BTC_USDT", "50000");
    world.wait(5);
    let adopt = aegis_model::Command::Adopt {
        instrument: l("BTC_USDT"),
        average: price("50000"),
        quantity: quantity("0.001"),
    };
    world.command(adopt);
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"), "{:?}", world.state().alarms);
    assert_eq!(world.instrument("BTC_USDT").entry_price(), Some(price("50000")));
    world.tick("BTC_USDT", "55000");
    let held = world.held("BTC_USDT");
    let worth = price("55000").times(held, aegis_model::Rounding::HalfEven).expect("fits");
    let unrealised = worth.minus(world.instrument("BTC_USDT").book.now.cost).expect("fits");
    assert_eq!(unrealised, money("5"));
    assert_eq!(world.stop("BTC_USDT"), Some(price("54175")), "its stop works");
    assert_eq!(world.engine.lsn(), world.state().lsn);
}
