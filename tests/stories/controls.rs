//! H and I: consistency, isolation, limits, signals, controls, messages (S32, S41, S42, S44 to S48).

use super::support::*;
use aegis_model::event::{Direction, Refusal};
use aegis_model::{Command, Fact, Input, Side, Text};
use aegis_tests::world::story_settings;
use aegis_tests::{CrashPoint, World, money, price, quantity, rate};

#[test]
fn s32_notifications_are_durable_in_order_and_never_block() {
    let mut world = World::new();
    world.exchange.notifications_down = true;
    buy_at(&mut world, "BTC_USDT", "0.001", "50000");
    world.tick("BTC_USDT", "49000");
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "the stop went through without the service");
    let waiting = world.state().outbox.len();
    assert!(waiting >= 2, "undelivered {waiting}");
    world.restart();
    assert_eq!(world.state().outbox.len(), waiting, "still undelivered after a restart");
    world.exchange.notifications_down = false;
    world.restart();
    assert!(world.state().outbox.is_empty());
    let numbers: Vec<u64> = world.exchange.messages.iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once, in order");
}

#[test]
fn s32_cp5_the_repeat_carries_the_same_number() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp5);
    world.buy("BTC_USDT", "0.001");
    assert!(world.dead && world.exchange.messages.is_empty());
    world.restart();
    assert_eq!(world.exchange.messages.len(), 1);
    assert_eq!(world.exchange.messages[0].0, 1);
}

/// What a refused wish may leave behind: its own record, the refusal, the market point it rests on, a message.
fn nothing_but_a_refusal(world: &World, from: usize) {
    for event in &world.events()[from..] {
        let name = event.fact.name();
        assert!(
            ["TickSeen", "CommandReceived", "EntryRefused", "CommandRefused", "SignalRefused"]
                .contains(&name),
            "{name} after a wish that had to be refused"
        );
    }
}

#[test]
fn s41_impossible_wishes_change_nothing() {
    for text in ["NaN", "inf", "-inf", "abc", "", "1e5", "0x10", "1,5"] {
        assert!(text.parse::<aegis_model::Quantity>().is_err(), "{text} is no quantity");
    }
    assert!("XX".parse::<aegis_model::Price>().is_err());
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    let from = world.events().len();
    for amount in ["-1", "0", "0.000000001"] {
        world.command(Command::Open { instrument: l("BTC_USDT"), quantity: quantity(amount), stop: None });
    }
    for stop in ["-5", "49000.001", "50000"] {
        let stop = Some(price(stop));
        world.command(Command::Open { instrument: l("BTC_USDT"), quantity: quantity("0.001"), stop });
    }
    world.command(Command::Open { instrument: l("DOGE_USDT"), quantity: quantity("1"), stop: None });
    world.signal("DOGE_USDT", Direction::Up, "0.9");
    world.signal("BTC_USDT", Direction::Up, "1.01");
    world.signal("BTC_USDT", Direction::Up, "-0.9");
    nothing_but_a_refusal(&world, from);
    assert_eq!(world.exchange.orders.len(), 0);
    assert_eq!(refusals(&world), vec![Refusal::BadRequest; 6]);
}

#[test]
fn s42_thirty_six_bots_ask_for_btc_at_once() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    for bot in 0..36 {
        let signal = aegis_model::input::SignalIn {
            source: l(&format!("bot-{bot}")),
            position: 1,
            instrument: l("BTC_USDT"),
            direction: Direction::Up,
            confidence: rate("0.9"),
            at: world.now,
            horizon_ns: 3600 * aegis_model::ids::SECOND,
        };
        world.give(Input::Signal(signal));
    }
    world.pump();
    assert_eq!(world.exchange.orders.len(), 1, "one accepted");
    assert_eq!(refusals(&world).len(), 35);
    assert!(world.state().totals.anomalies.is_empty(), "no errors");
}

#[test]
fn s44_four_positions_at_most_also_after_a_restart() {
    let mut world = World::new();
    for (name, amount, at) in [
        ("BTC_USDT", "0.001", "50000"),
        ("ETH_USDT", "0.01", "3000"),
        ("SOL_USDT", "0.5", "100"),
        ("ADA_USDT", "10", "0.5"),
    ] {
        buy_at(&mut world, name, amount, at);
    }
    world.tick("XRP_USDT", "0.6");
    world.restart();
    up(&mut world, "XRP_USDT", "0.95");
    let last = world.events().into_iter().rev().find_map(|e| match e.fact {
        Fact::EntryRefused(r) => Some(r),
        _ => None,
    });
    let last = last.expect("a refusal");
    assert_eq!(
        (last.reason, last.need, last.have),
        (Refusal::TooManyPositions, aegis_tests::n("4"), aegis_tests::n("4"))
    );
    assert_eq!(world.exchange.orders.len(), 4);
}

#[test]
fn s45_up_then_down() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    up(&mut world, "BTC_USDT", "0.90");
    assert!(world.held("BTC_USDT").is_positive());
    world.signal("BTC_USDT", Direction::Down, "0.90");
    assert_eq!(orders(&world), (1, 1));
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(
        orders(&world),
        (1, 1),
        "not at the very instant of the exit: its fills would fold into one cycle"
    );
    world.tick("BTC_USDT", "50000");
    up(&mut world, "BTC_USDT", "0.90");
    assert_eq!(orders(&world), (2, 1), "re-entry is allowed");
}

#[test]
fn s46_down_with_nothing_held() {
    let mut world = World::new();
    world.tick("SOL_USDT", "100");
    world.signal("SOL_USDT", Direction::Down, "0.90");
    assert_eq!(world.exchange.orders.len(), 0);
    assert_eq!(world.state().exposure_count(), 0);
    up(&mut world, "SOL_USDT", "0.90");
    assert_eq!(orders(&world), (1, 0));
}

#[test]
fn s47_stop_trading() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.halt();
    world.tick("ETH_USDT", "3000");
    up(&mut world, "ETH_USDT", "0.90");
    assert_eq!(refusals(&world), vec![Refusal::TradingHalted]);
    world.restart();
    assert_eq!(
        world.state().trading.halted.as_ref().map(|h| h.by),
        Some(l("alice")),
        "it survives a restart"
    );
    up(&mut world, "ETH_USDT", "0.90");
    assert_eq!(refusals(&world).len(), 2);
    world.tick("BTC_USDT", "49000");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1, "stops stay live");
    assert_eq!(realised(&world), money("-1"));
    world.command(Command::Enable);
    up(&mut world, "ETH_USDT", "0.90");
    assert!(world.held("ETH_USDT").is_positive());
}

#[test]
fn s48_an_empty_prediction_skips_that_pair_only() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.tick("ETH_USDT", "3000");
    let reason = Text::new("line 1: the field direction is missing");
    world.give(Input::BadSignal { source: l("oracle"), position: 1, reason });
    world.signal_from("other", "ETH_USDT", Direction::Up, "0.90");
    assert_eq!(world.state().totals.bad_signals, 1);
    assert!(world.held("ETH_USDT").is_positive() && world.held("BTC_USDT").is_zero());
}

#[test]
fn flatten_halts_cancels_and_exits_everything_and_is_idempotent() {
    let mut world = World::with(story_settings());
    buy_at(&mut world, "BTC_USDT", "0.001", "50000");
    buy_at(&mut world, "ETH_USDT", "0.01", "3000");
    world.command(Command::Flatten);
    assert_eq!((world.held("BTC_USDT"), world.held("ETH_USDT")), (quantity("0"), quantity("0")));
    world.command(Command::Flatten);
    assert_eq!(orders(&world), (2, 2));
    up(&mut world, "BTC_USDT", "0.9");
    assert_eq!(refusals(&world), vec![Refusal::TradingHalted]);
}
