//! Rules 9 and 39 to 43: comparing with the venue.

use aegis_engine::reconcile;
use aegis_engine::settings::HoldingPolicy;
use aegis_model::event::{AlarmKind, AnomalyKind, CorrectionKind, Refusal};
use aegis_model::order::OrderEnd;
use aegis_model::{Command, Fact, Input, Side, Text, Timestamp};
use aegis_tests::exchange::Fills;
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, label, money, price, quantity, rate};
use proptest::prelude::*;

fn corrections(world: &World) -> usize {
    world.count(|f| matches!(f, Fact::CorrectionBooked(_) | Fact::HoldingQuarantined(_)))
}

fn holding(amount: &str) -> World {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", amount);
    world
}

#[test]
fn rule_09_an_acknowledged_order_is_lost_only_after_two_complete_looks() {
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Nothing);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    assert_eq!(world.state().orders.len(), 1);
    let hidden = world.exchange.orders.pop().expect("an order");
    world.exchange.failing = vec!["lookup"];
    world.wait(400);
    assert_eq!(world.state().orders.len(), 1, "errors never count");
    world.exchange.failing.clear();
    world.exchange.orders.push(hidden);
    world.wait(60);
    assert_eq!(world.state().orders.values().next().map(|o| o.absent), Some(0), "presence resets the count");
    world.exchange.orders.pop();
    world.wait(400);
    assert_eq!(world.count(|f| matches!(f, Fact::OrderEnded(e) if e.end == OrderEnd::Lost)), 1);
    let absences = world.count(|f| matches!(f, Fact::OrderLookedUp(l) if l.absent > 0));
    assert_eq!(absences, 2);
}

#[test]
fn rule_39_up_to_a_tick_is_no_drift_and_one_look_is_not_enough() {
    let mut world = holding("0.001");
    world.exchange.set_total("BTC", "0.00099999");
    world.wait(1000);
    assert_eq!((corrections(&world), world.held("BTC_USDT")), (0, quantity("0.001")), "one tick");
    world.exchange.set_total("BTC", "0.0005");
    world.wait(310);
    assert_eq!(world.held("BTC_USDT"), quantity("0.0005"), "two agreeing looks");
    let looks = world.count(|f| matches!(f, Fact::DriftSeen(_)));
    assert_eq!((looks, corrections(&world)), (1, 1));
}

#[test]
fn rule_41_more_than_known_is_quarantined_and_adopted_at_a_stated_average() {
    let mut world = holding("0.001");
    world.exchange.set_total("BTC", "0.003");
    world.wait(400);
    let btc = world.state().find_asset(&label("BTC")).expect("named");
    assert_eq!(world.state().asset(btc).map(|a| a.quarantined), Some(quantity("0.002")));
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"), "never added");
    let adopt = |average: &str, q: &str| Command::Adopt {
        instrument: label("BTC_USDT"),
        average: price(average),
        quantity: quantity(q),
    };
    // (0.003 x 15000 - 0.001 x 50000) / 0.002 is negative: no price, the quarantine stays.
    world.command(adopt("15000", "0.003"));
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    world.command(adopt("40000", "0.003"));
    let state = world.instrument("BTC_USDT");
    assert_eq!((state.held(), state.entry_price()), (quantity("0.003"), Some(price("40000"))));
    let entry = world.events().into_iter().find_map(|e| match e.fact {
        Fact::CorrectionBooked(c) if c.kind == CorrectionKind::Adopted => Some(c),
        _ => None,
    });
    assert_eq!(entry.map(|c| (c.average, c.quantity)), Some((Some(price("35000")), quantity("0.002"))));
    assert_eq!(world.state().totals.corrections, money("70"));
    assert_eq!(world.instrument("BTC_USDT").protection.as_ref().map(|p| p.quantity), Some(quantity("0.003")));
    // At equal quantity another average is one cost correction.
    world.command(adopt("41000", "0.003"));
    assert_eq!(world.instrument("BTC_USDT").entry_price(), Some(price("41000")));
    let (left, right) = world.state().conservation().expect("in range");
    assert_eq!(left, right);
}

#[test]
fn rule_41_a_cost_correction_takes_the_stop_along_with_the_entry_price() {
    let mut world = holding("0.001");
    world.tick("BTC_USDT", "50200");
    let guard = |world: &World| {
        world.instrument("BTC_USDT").protection.as_ref().map(|p| (p.stop, p.mark, p.quantity))
    };
    let (mark, held) = (price("50200"), quantity("0.001"));
    assert_eq!(guard(&world), Some((price("49447"), mark, held)), "50200 x 0.985");
    world.command(Command::AdjustStop { instrument: label("BTC_USDT"), stop: price("48000"), loosen: true });
    world.command(Command::Adopt { instrument: label("BTC_USDT"), average: price("50100"), quantity: held });
    assert_eq!(world.instrument("BTC_USDT").entry_price(), Some(price("50100")));
    assert_eq!(guard(&world), Some((price("49098"), mark, held)), "50100 x 0.98");
}

#[test]
fn rule_42_the_fee_of_a_buy_that_is_kept_out_leaves_with_its_leg() {
    let mut world = World::new();
    world.exchange.fee = rate("0.01");
    world.quote("ETH_USDT", "3000");
    let now = world.now;
    world.exchange.by_hand(id("ETH_USDT"), Side::Buy, "0.01", "3000", now);
    compare(&mut world);
    let flows: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|e| match e.fact {
            Fact::CashFlowRecorded(f) => Some((world.state().asset(f.asset)?.name, f.quantity)),
            _ => None,
        })
        .collect();
    assert_eq!(flows, [(label("USDT"), quantity("-30")), (label("ETH"), quantity("0.0099"))]);
    let eth = world.state().find_asset(&label("ETH")).expect("named");
    assert_eq!(world.state().asset(eth).map(|a| a.quarantined), Some(quantity("0.0099")));
    world.wait(700);
    assert_eq!(world.count(|f| matches!(f, Fact::DriftSeen(_))), 0, "both balances agree");
}

#[test]
fn rule_42_an_external_sell_reduces_and_an_external_buy_follows_the_policy() {
    let mut world = holding("0.002");
    world.quote("BTC_USDT", "51000");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.0005", "51000", now);
    world.wait(400);
    assert_eq!(world.held("BTC_USDT"), quantity("0.0015"));
    assert_eq!(world.state().totals.realised, money("0.5"), "its own price");
    assert_eq!(
        world.instrument("BTC_USDT").protection.as_ref().map(|p| p.quantity),
        Some(quantity("0.0015"))
    );
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Buy, "0.001", "51000", now);
    world.wait(400);
    assert_eq!(world.held("BTC_USDT"), quantity("0.0015"), "default: quarantined");
    assert!(world.state().alarms.contains_key(&(AlarmKind::Quarantine, Some(id("BTC_USDT")))));
    let mut settings = story_settings();
    settings.holdings = HoldingPolicy::Adopt;
    let mut world = World::with(settings);
    world.tick("ETH_USDT", "3000");
    let now = world.now;
    world.exchange.by_hand(id("ETH_USDT"), Side::Buy, "0.01", "3000", now);
    world.wait(400);
    assert_eq!(world.held("ETH_USDT"), quantity("0.01"), "adopted: opens one");
    assert_eq!(world.stop("ETH_USDT"), Some(price("2940")), "with a stop at once");
}

#[test]
fn rule_41_what_is_sold_by_hand_out_of_the_quarantine_leaves_it() {
    let mut world = World::new();
    world.exchange.overlap_ns = 3_600 * 1_000_000_000;
    world.quote("BTC_USDT", "50000");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Buy, "0.003", "50000", now);
    world.wait(400);
    let quarantined = |world: &World| {
        let btc = world.state().find_asset(&label("BTC")).expect("named");
        world.state().asset(btc).map(|a| a.quarantined)
    };
    assert_eq!(quarantined(&world), Some(quantity("0.003")));
    for (sold, left) in [("0.001", "0.002"), ("0.002", "0")] {
        let now = world.now;
        world.exchange.by_hand(id("BTC_USDT"), Side::Sell, sold, "51000", now);
        world.wait(700);
        assert_eq!(quarantined(&world), Some(quantity(left)));
        assert_eq!(world.instrument("BTC_USDT").book.now.waiting, quantity("0"));
    }
    assert!(!world.state().alarms.keys().any(|(kind, _)| {
        matches!(kind, AlarmKind::Quarantine | AlarmKind::SellWaiting | AlarmKind::Drift)
    }));
    assert_eq!(world.count(|f| matches!(f, Fact::ExcessSellSettled(_))), 2);
    assert_eq!(world.state().totals.realised, money("0"), "what was never ours makes no profit");
    let (left, right) = world.state().conservation().expect("in range");
    assert_eq!(left, right);
}

/// A position of which less than a tick is left as dust, with that dust.
fn dusty() -> (World, aegis_model::Quantity) {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.000999995", "50000", now);
    world.wait(400);
    let state = world.instrument("BTC_USDT");
    assert_eq!((state.held(), state.dust.quantity), (quantity("0"), quantity("0.000000005")));
    (world, quantity("0.000000005"))
}

#[test]
fn rule_18_dust_that_is_sold_by_hand_leaves_its_ledger_with_its_cost() {
    let (mut world, _) = dusty();
    let cost = world.instrument("BTC_USDT").dust.cost;
    let before = world.state().totals.realised;
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.000000003", "60000", now);
    world.wait(700);
    let state = world.instrument("BTC_USDT");
    assert_eq!((state.held(), state.dust.quantity), (quantity("0"), quantity("0.000000002")));
    assert_eq!(state.book.now.waiting, quantity("0"));
    let profit = world.state().totals.realised.minus(before).expect("in range");
    assert_eq!(profit, money("0.00003"), "3e-9 bought at 50000 and sold at 60000");
    let gone = cost.minus(state.dust.cost).expect("in range");
    assert_eq!(gone, money("0.00015"));
    let (left, right) = world.state().conservation().expect("in range");
    assert_eq!(left, right);
    assert_eq!(world.state().digest(), world.replayed_digest());
}

#[test]
fn dust_that_is_withdrawn_leaves_its_ledger() {
    let (mut world, dust) = dusty();
    let now = world.now;
    world.exchange.flow("BTC", "-0.000000005", now.after(1));
    world.wait(700);
    let state = world.instrument("BTC_USDT");
    assert_eq!((state.held(), state.dust.quantity), (quantity("0"), quantity("0")), "{dust} is gone");
    let (left, right) = world.state().conservation().expect("in range");
    assert_eq!(left, right);
}

#[test]
fn rule_43_a_correction_is_a_function_of_its_content() {
    let make = |q: &str| {
        reconcile::correction_id(id("BTC_USDT"), CorrectionKind::Missing, quantity(q), None, Timestamp(5))
    };
    assert_eq!(make("1"), make("1.0"));
    assert_ne!(make("1"), make("2"));
    let mut world = holding("0.002");
    world.exchange.set_total("BTC", "0.001");
    world.wait(400);
    for _ in 0..3 {
        world.restart();
        world.wait(400);
    }
    assert_eq!(corrections(&world), 1, "an answered correction is never booked again");
    world.tick("BTC_USDT", "51000");
    world.signal("BTC_USDT", aegis_model::event::Direction::Up, "0.9");
    let refused = world.count(|f| matches!(f, Fact::EntryRefused(r) if r.reason == Refusal::AlarmStanding));
    assert_eq!(refused, 1);
}

fn compare(world: &mut World) {
    world.give(Input::Compare);
    world.pump();
}

#[test]
fn two_periods_without_a_whole_comparison_stop_entries_and_not_a_moment_less() {
    for (early_ns, stopped) in [(1, false), (0, true)] {
        let mut world = holding("0.001");
        compare(&mut world);
        let patience = world.settings.reconcile_ns * 2;
        world.exchange.failing = vec!["settling"];
        world.now = world.now.after(patience - early_ns);
        compare(&mut world);
        let standing = world.state().alarms.contains_key(&(AlarmKind::VenueUnanswered, None));
        assert_eq!(standing, stopped, "{early_ns} ns before two periods are over");
    }
}

#[test]
fn each_foreign_order_is_told_once_however_alike_they_are() {
    let mut world = holding("0.002");
    for _ in 0..2 {
        let now = world.now;
        world.exchange.rest_by_hand(id("BTC_USDT"), "0.001", now);
    }
    let told = |world: &World| {
        world.count(|f| matches!(f, Fact::AnomalyNoted(n) if n.anomaly == AnomalyKind::ForeignOrder))
    };
    compare(&mut world);
    assert_eq!(told(&world), 2);
    compare(&mut world);
    assert_eq!(told(&world), 2);
}

#[test]
fn rule_02_what_was_sold_too_much_is_settled_by_the_comparison_that_finds_it() {
    let mut world = holding("0.002");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.003", "51000", now);
    world.wait(1);
    compare(&mut world);
    assert_eq!(world.count(|f| matches!(f, Fact::ExcessSellSettled(_))), 1);
    assert_eq!(world.instrument("BTC_USDT").book.now.waiting, quantity("0"));
    let waits = |f: &Fact| matches!(f, Fact::AlarmRaised(a) if a.alarm == AlarmKind::SellWaiting);
    assert_eq!(world.count(waits), 0, "nothing was left to wait for");
}

#[test]
fn rule_02_a_sell_that_finds_too_little_stands_as_an_alarm_until_a_comparison_explains_it() {
    let mut world = holding("0.002");
    // Its listings reach no further than the last trade: whether a buy came with it is not known yet.
    world.exchange.clock_is_last_trade = true;
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.003", "51000", now);
    compare(&mut world);
    let alarm = (AlarmKind::SellWaiting, Some(id("BTC_USDT")));
    assert!(world.state().alarms.contains_key(&alarm));
    world.exchange.clock_is_last_trade = false;
    world.wait(1);
    compare(&mut world);
    assert!(!world.state().alarms.contains_key(&alarm));
}

#[test]
fn what_a_comparison_left_out_while_an_order_was_on_its_way_is_compared_once_it_has_landed() {
    for (on_its_way, more) in [(true, 1), (false, 0)] {
        let mut world = holding("0.002");
        if on_its_way {
            world.exchange.fills = Some(Fills::Refuse(aegis_model::order::RejectClass::Later));
            world.command(Command::Close { instrument: label("BTC_USDT") });
        }
        compare(&mut world);
        let before = world.exchange.comparisons;
        world.exchange.fills = None;
        world.command(Command::Close { instrument: label("BTC_USDT") });
        world.wait(5);
        assert_eq!(world.held("BTC_USDT"), quantity("0"));
        assert_eq!(world.exchange.comparisons - before, more, "on its way: {on_its_way}");
    }
}

#[test]
fn how_far_trades_are_known_is_recorded_within_a_week_even_if_nothing_happens() {
    let mut world = World::new();
    let walks = |world: &World| world.count(|f| matches!(f, Fact::TradesWalked(_)));
    let first = walks(&world);
    let walked = world.state().walked;
    let week = 7 * aegis_model::ids::DAY;
    for (since, more) in [(week, 0), (week + 1, 1)] {
        world.now = walked.after(since);
        compare(&mut world);
        assert_eq!(walks(&world) - first, more, "{since} ns");
    }
    assert_eq!(world.state().walked, world.now);
}

#[test]
fn what_was_not_answered_whole_moves_no_walk() {
    let mut world = World::new();
    world.wait(5);
    let walked = world.state().walked;
    let now = world.now;
    world.exchange.flow("USDT", "5", now.after(1));
    world.exchange.failing = vec!["trades"];
    world.wait(1);
    compare(&mut world);
    assert_eq!(world.count(|f| matches!(f, Fact::CashFlowRecorded(_))), 1, "what was answered is recorded");
    assert_eq!(world.state().walked, walked, "trades between may be missing");
}

#[test]
fn rule_39_a_claim_is_judged_by_a_comparison_that_lacks_nothing() {
    use aegis_model::claim::{Claim, ClaimFile, ClaimRow, PositionClaim, SourceKind};
    let mut world = holding("0.001");
    let claim = PositionClaim {
        instrument: label("BTC_USDT"),
        id: Text::new("1"),
        quantity: quantity("0.001"),
        entry: price("50000"),
        stop: None,
        highest: None,
        trail: None,
        opened: None,
    };
    let file = ClaimFile {
        name: Text::new("positions.json"),
        digest: [1; 32],
        kind: SourceKind::Positions,
        bytes: 1,
        timezone: Text::new("UTC"),
        claims: vec![ClaimRow { row: Text::new("1"), claim: Claim::Position(claim) }],
        disputes: vec![],
    };
    world.exchange.failing = vec!["trades"];
    world.give(Input::Import(Box::new(file)));
    compare(&mut world);
    let judged = |world: &World| world.count(|f| matches!(f, Fact::ClaimChecked(_)));
    assert_eq!(judged(&world), 0, "nobody knows yet what was sold of it");
    world.exchange.failing.clear();
    compare(&mut world);
    assert_eq!(judged(&world), 1);
}

#[test]
fn how_far_trades_are_known_is_recorded_only_when_it_moves() {
    let mut world = World::new();
    world.exchange.clock_is_last_trade = true;
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    world.wait(1);
    let walks = |world: &World| world.count(|f| matches!(f, Fact::TradesWalked(_)));
    for n in 0..3 {
        let now = world.now;
        world.exchange.flow("USDT", "5", now.after(1));
        world.wait(1);
        compare(&mut world);
        assert_eq!(world.count(|f| matches!(f, Fact::CashFlowRecorded(_))), n + 1);
    }
    let last = world.exchange.trades.last().map(|t| t.executed);
    assert_eq!((Some(world.state().walked), walks(&world)), (last, 2), "the first comparison and this one");
}

#[test]
fn an_entry_that_a_comparison_serves_rests_on_the_one_balance_that_it_records() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.tick("ETH_USDT", "3000");
    // A working entry changes what is reserved, so that the comparison has a balance to record.
    world.exchange.fills = Some(Fills::Nothing);
    world.buy("ETH_USDT", "0.1");
    world.exchange.fills = None;
    let number = world.state().last_snapshot + 2;
    let full = world.exchange.snapshot(number, true, world.state().walked, world.now);
    let command = Command::Open { instrument: label("BTC_USDT"), quantity: quantity("0.001"), stop: None };
    world.give(Input::Command { by: label("alice"), command });
    world.give(Input::Snapshot(full));
    world.pump();
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    let usdt = world.state().find_asset(&label("USDT")).expect("named");
    let of = |f: &Fact| matches!(f, Fact::BalanceRecorded(b) if b.asset == usdt && b.snapshot == number);
    assert_eq!(world.count(of), 1);
}

proptest! {
    #[test]
    fn reconcile_twice_is_reconcile_once(
        moves in prop::collection::vec((0u8..5, 1u32..2000), 0..12),
        restart in any::<bool>(),
    ) {
        let mut world = holding("0.002");
        for (what, amount) in moves {
            let amount = format!("0.{amount:08}");
            let now = world.now;
            match what {
                0 => world.exchange.by_hand(id("BTC_USDT"), Side::Buy, &amount, "50000", now),
                1 => world.exchange.flow("BTC", &amount, now.after(1)),
                2 => world.exchange.flow("USDT", &amount, now.after(1)),
                3 => world.exchange.set_total("BTC", &amount),
                _ => world.exchange.set_total("USDT", &amount),
            }
            world.wait(7);
        }
        world.wait(2000);
        if restart {
            world.restart();
            world.wait(700);
        }
        let settled = world.events().len();
        world.wait(1000);
        // A price that goes stale while time passes is no matter of reconciling.
        let stale = ["TickSeen", "BlindStarted", "AlarmRaised", "MessageQueued", "MessageDelivered"];
        let again: Vec<_> =
            world.events()[settled..].iter().map(|e| e.fact.name()).filter(|n| !stale.contains(n)).collect();
        prop_assert!(again.is_empty(), "{again:?}");
        let (left, right) = world.state().conservation().expect("in range");
        prop_assert_eq!(left, right);
        prop_assert_eq!(world.state().digest(), world.replayed_digest());
    }
}
