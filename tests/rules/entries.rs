//! Rules 34 to 38: entries, money, limits.

use aegis_model::event::{Direction, PauseRule, Refusal};
use aegis_model::input::SignalIn;
use aegis_model::order::OrderEnd;
use aegis_model::{Fact, Input, Money};
use aegis_tests::world::story_settings;
use aegis_tests::{CrashPoint, World, label, money, n, price, quantity, rate};

fn last_refusal(world: &World) -> Option<(Refusal, aegis_model::Fixed, aegis_model::Fixed)> {
    world.events().iter().rev().find_map(|e| match &e.fact {
        Fact::EntryRefused(r) => Some((r.reason, r.need, r.have)),
        _ => None,
    })
}

#[test]
fn rule_34_the_size_is_fixed_and_the_fresh_read_must_cover_it_whole() {
    let mut settings = story_settings();
    settings.budget = money("1.50");
    let mut world = World::with_exchange(settings, |e| e.set_total("USDT", "3"));
    world.tick("SOL_USDT", "100");
    // Somebody spends while we hold the balance for known: 1.20 is left.
    world.exchange.set_total("USDT", "1.2");
    world.signal("SOL_USDT", Direction::Up, "0.9");
    assert_eq!(last_refusal(&world), Some((Refusal::InsufficientBalance, n("1.5"), n("1.2"))));
    assert_eq!(world.exchange.orders.len(), 0, "neither shrunk nor sent");
}

#[test]
fn rule_34_what_remains_after_the_fee_must_exceed_the_minimum_at_the_stop() {
    let mut settings = story_settings();
    settings.taker_fee = rate("0.01");
    settings.minimum_margin = rate("0.05");
    let mut world = World::with(settings);
    world.tick("BTC_USDT", "50000");
    // 0.00000001 is one tick; after a base fee nothing whole is left.
    world.buy("BTC_USDT", "0.00000001");
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::BelowMinimum));
}

#[test]
fn rule_35_an_entry_intent_is_valid_for_a_time_and_an_exit_as_long_as_the_holding() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    world.exchange.replies = Some(aegis_tests::exchange::Replies::RequestLost);
    world.tick("BTC_USDT", "49000");
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    world.exchange.replies = None;
    world.wait(3600);
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "still wanted an hour later");
    assert_eq!(world.count(|f| matches!(f, Fact::OrderEnded(e) if e.end == OrderEnd::NotSent)), 0);
}

#[test]
fn rule_36_available_leaves_out_reserved_and_intents() {
    let mut world = World::with_exchange(story_settings(), |e| e.set_total("USDT", "3"));
    world.exchange.fills = Some(aegis_tests::exchange::Fills::Nothing);
    world.tick("SOL_USDT", "100");
    world.buy("SOL_USDT", "0.02");
    let usdt = world.state().find_asset(&label("USDT")).expect("named");
    assert_eq!(
        world.state().available(usdt),
        Some(quantity("1")),
        "free 3.00, our working buy reserves 2.00"
    );
    world.tick("ADA_USDT", "0.6");
    world.tick("XRP_USDT", "0.6");
    world.buy("ADA_USDT", "1");
    world.buy("XRP_USDT", "1");
    assert_eq!(world.exchange.orders.len(), 2, "two concurrent orders of 0.60: one accepted");
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::InsufficientBalance));
}

#[test]
fn rule_37_thresholds_are_inclusive_and_a_missing_input_refuses() {
    let mut world = World::new();
    world.signal("BTC_USDT", Direction::Up, "0.9");
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::PriceStale), "no price yet");
    world.tick("BTC_USDT", "50000");
    world.tick("ETH_USDT", "3000");
    world.signal("ETH_USDT", Direction::Up, "0.6499999999");
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::ConfidenceLow));
    world.signal("ETH_USDT", Direction::Up, "0.65");
    assert!(world.held("ETH_USDT").is_positive(), "equal passes");
    // Opposite signals: 0.10 apart passes, less blocks.
    world.tick("SOL_USDT", "100");
    world.signal_from("bear", "SOL_USDT", Direction::Down, "0.71");
    world.signal_from("bull", "SOL_USDT", Direction::Up, "0.80");
    assert_eq!(last_refusal(&world), Some((Refusal::SignalsDisagree, n("0.1"), n("0.09"))));
    world.signal_from("bull", "SOL_USDT", Direction::Up, "0.81");
    assert!(world.held("SOL_USDT").is_positive());
    // A source's place is a fact: a restart does not read a signal twice, nor one past its horizon.
    world.tick("ADA_USDT", "0.5");
    let old = SignalIn {
        source: label("old"),
        position: 1,
        instrument: label("ADA_USDT"),
        direction: Direction::Up,
        confidence: rate("0.9"),
        at: world.now.after(-7_200_000_000_000),
        horizon_ns: 3_600_000_000_000,
    };
    world.give(Input::Signal(old.clone()));
    world.pump();
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::SignalExpired));
    let events = world.events().len();
    world.restart();
    let after_restart = world.events().len();
    world.give(Input::Signal(old));
    world.pump();
    assert!(after_restart > events && world.events().len() == after_restart, "read once");
}

#[test]
fn rule_38_the_daily_loss_refuses_pauses_and_survives_a_restart() {
    let mut settings = story_settings();
    settings.daily_loss = Some(money("5"));
    let mut world = World::with(settings);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    world.tick("BTC_USDT", "46000");
    assert_eq!(world.state().totals.realised, money("-4"));
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.002");
    let (reason, need, have) = last_refusal(&world).expect("refused");
    assert_eq!(
        (reason, need, have),
        (Refusal::DailyLoss, n("5"), n("6")),
        "4 lost and 2 at risk at its stop"
    );
    world.buy("BTC_USDT", "0.0009");
    world.tick("BTC_USDT", "45000");
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    assert!(world.state().trading.pauses.contains_key(&PauseRule::DailyLoss), "reached: paused");
    world.restart();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.00001");
    assert_eq!(last_refusal(&world).map(|r| r.0), Some(Refusal::Paused), "across restarts");
    world.wait(86_400);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.00001");
    assert!(world.held("BTC_USDT").is_positive(), "until the next UTC day: {:?}", last_refusal(&world));
}

#[test]
fn a_signal_pending_at_the_crash_still_leads_to_its_one_entry() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp0);
    world.signal("BTC_USDT", Direction::Up, "0.9");
    assert!(world.dead);
    world.restart();
    assert_eq!(world.exchange.orders.len(), 1, "prepared before the crash, made after it");
    let entry = price("50000").times(world.held("BTC_USDT"), aegis_model::Rounding::HalfEven);
    assert!(entry.is_ok_and(|m| m > Money::ZERO));
}
