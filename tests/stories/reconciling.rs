//! D: comparing with the venue (S17, S20, S21, and the laws S18 and S22 that need no wire).

use super::support::*;
use aegis_model::event::{AlarmKind, Refusal};
use aegis_model::ids::{ClientOrderId, OrderId, SECOND};
use aegis_model::{Fact, Input, Side};
use aegis_tests::exchange::Fills;
use aegis_tests::world::{id, listed, story_settings};
use aegis_tests::{World, money, quantity, rate};

fn corrections(world: &World) -> usize {
    world.count(|f| {
        matches!(
            f,
            Fact::CorrectionBooked(_)
                | Fact::HoldingQuarantined(_)
                | Fact::DriftSeen(_)
                | Fact::CashFlowRecorded(_)
        )
    })
}

#[test]
fn s17_no_open_orders_is_not_no_positions() {
    let mut world = World::new();
    buy_at(&mut world, "BTC_USDT", "0.0001", "50000");
    buy_at(&mut world, "ETH_USDT", "0.01", "3000");
    buy_at(&mut world, "SOL_USDT", "0.5", "100");
    world.restart();
    assert_eq!(corrections(&world), 0);
    let open = world.state().instruments.iter().filter(|i| i.is_open()).count();
    assert_eq!(open, 3);
}

#[test]
fn s18_exchange_down() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.exchange.failing = vec!["balances", "open", "ended", "trades", "flows", "lookup"];
    for _ in 0..3 {
        world.restart();
        assert_eq!(corrections(&world), 0);
        assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    }
    assert!(world.state().alarms.contains_key(&(AlarmKind::VenueUnanswered, None)));
    world.tick("ETH_USDT", "3000");
    up(&mut world, "ETH_USDT", "0.90");
    assert_eq!(refusals(&world).len(), 1, "entries are blocked");
    world.exchange.failing.clear();
    world.wait(600);
    assert_eq!(corrections(&world), 0, "clean after the return");
    assert!(world.state().alarms.is_empty(), "{:?}", world.state().alarms);
    world.tick("BTC_USDT", "49000");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1);
}

#[test]
fn a_comparison_that_lacked_an_answer_is_made_again_soon_and_ever_more_slowly() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.exchange.failing = vec!["balances"];
    world.give(Input::Compare);
    world.pump();
    let standing = |world: &World| world.state().alarms.contains_key(&(AlarmKind::VenueUnanswered, None));
    assert!(standing(&world), "no entry passes without the venue's word");
    let before = world.exchange.comparisons;
    world.wait(300);
    let asked = world.exchange.comparisons - before;
    assert!((8..=16).contains(&asked), "{asked} comparisons in five minutes of an exchange that is down");
    world.exchange.failing.clear();
    world.wait(33);
    assert!(!standing(&world), "the exchange answers again, and entries pass");
}

#[test]
fn a_busy_account_is_not_a_silent_exchange() {
    let mut settings = story_settings();
    settings.reconcile_ns = 60 * SECOND;
    let mut world = World::with(settings);
    buy_at(&mut world, "BTC_USDT", "0.001", "50000");
    world.exchange.failing = vec!["settling"];
    let standing = |world: &World| world.state().alarms.contains_key(&(AlarmKind::VenueUnanswered, None));
    world.give(Input::Compare);
    world.pump();
    assert!(!standing(&world), "balances that move while we trade are no reason to stop trading");
    world.wait(180);
    assert!(standing(&world), "two periods without one whole comparison are");
    world.exchange.failing.clear();
    world.wait(33);
    assert!(!standing(&world));
}

#[test]
fn s20_quantity_differs() {
    let mut world = holding("BTC_USDT", "0.0002", "50000");
    world.exchange.set_total("BTC", "0.0001");
    world.restart();
    world.wait(30);
    let booked: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|e| match e.fact {
            Fact::CorrectionBooked(c) => Some(c),
            _ => None,
        })
        .collect();
    assert_eq!(booked.len(), 1);
    assert_eq!(booked[0].quantity, quantity("0.0001"));
    assert_eq!(booked[0].lot.map(|t| t.0), Some(l("t1")), "the oldest lot is named");
    let btc = world.instrument("BTC_USDT");
    assert_eq!(
        (btc.held(), btc.book.now.cost),
        (quantity("0.0001"), money("5")),
        "cost leaves at the average"
    );
    assert_eq!(realised(&world), money("0"));
    assert_eq!(btc.protection.as_ref().map(|p| p.quantity), Some(quantity("0.0001")), "the stop is resized");
    let (left, right) = world.state().conservation().expect("in range");
    assert_eq!(left, right);
    assert!(btc.blocked.is_some());
    world.tick("BTC_USDT", "48000");
    up(&mut world, "BTC_USDT", "0.9");
    assert_ne!(refusals(&world), vec![], "entries are blocked until released");
    world.command(aegis_model::Command::Release { instrument: l("BTC_USDT") });
    world.tick("BTC_USDT", "48000");
    up(&mut world, "BTC_USDT", "0.9");
    assert!(world.held("BTC_USDT").is_positive());
}

#[test]
fn s21_fee_in_the_base_coin() {
    let mut settings = story_settings();
    settings.taker_fee = rate("0.0025");
    let mut world = World::with(settings);
    world.exchange.fee = rate("0.0025");
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.0001");
    assert_eq!(world.held("BTC_USDT"), quantity("0.00009975"));
    world.restart();
    assert_eq!(corrections(&world), 0, "reconcile is clean");
    world.tick("BTC_USDT", "49000");
    let sells = world.exchange.sides(Side::Sell);
    assert_eq!((sells.len(), sells[0].quantity), (1, quantity("0.00009975")));
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}

#[test]
fn s22_an_order_in_flight_is_not_drift() {
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Nothing);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    assert_eq!(world.state().orders.len(), 1);
    let now = world.now;
    world.exchange.execute(0, quantity("0.001"), aegis_tests::price("50000"), now);
    world.wait(400);
    assert_eq!(corrections(&world), 0);
    assert_eq!(world.count(|f| matches!(f, Fact::FillBooked(_))), 1, "one fill");
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
}

#[test]
fn a_second_comparison_adds_nothing() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    world.wait(1_000);
    let before = world.log.len();
    world.wait(10_000);
    let extra: Vec<_> = world.log[before..].iter().flatten().map(|(h, _)| h.kind).collect();
    // Only the price going stale is worth a record while nothing changes at the venue.
    assert!(extra.iter().all(|k| [20, 21, 110, 120, 121].contains(k)), "{extra:?}");
}

#[test]
fn a_deposit_is_a_flow_and_an_unknown_coin_is_quarantined() {
    let mut world = World::new();
    world.tick("SOL_USDT", "100");
    let now = world.now.after(1);
    world.exchange.flow("SOL", "0.3", now);
    world.exchange.flow("USDT", "50", now);
    world.wait(400);
    assert_eq!(world.count(|f| matches!(f, Fact::CashFlowRecorded(_))), 2);
    assert_eq!(world.exchange.orders.len(), 0);
    assert_eq!(world.held("SOL_USDT"), quantity("0"));
    let sol = world.state().instrument(id("SOL_USDT")).map(|i| i.spec.base).expect("listed");
    assert_eq!(world.state().asset(sol).map(|a| a.quarantined), Some(quantity("0.3")));
    up(&mut world, "SOL_USDT", "0.9");
    assert_eq!(refusals(&world), vec![Refusal::AlarmStanding]);
}

#[test]
fn months_of_comparisons_do_not_mistake_what_was_forgotten_for_foreign() {
    let mut settings = story_settings();
    settings.reconcile_ns = 86_400 * aegis_model::ids::SECOND;
    let mut world = World::with(settings);
    world.exchange.clock_is_last_trade = true;
    for _ in 0..6 {
        buy_at(&mut world, "BTC_USDT", "0.001", "50000");
        world.tick("BTC_USDT", "48000");
        world.wait(3 * 3_600);
        buy_at(&mut world, "BTC_USDT", "0.001", "50000");
        world.tick("BTC_USDT", "48000");
        world.wait(40 * 86_400);
    }
    assert!(world.state().totals.anomalies.is_empty(), "{:?}", world.state().totals.anomalies);
    let alarms: Vec<_> = world.state().alarms.keys().map(|(kind, _)| *kind).collect();
    assert_eq!(alarms, vec![], "nothing foreign");
    let remembered = world.state().orders.all_ended().count();
    assert!(remembered < 10, "old orders are forgotten: {remembered}");
}

#[test]
fn an_accepted_difference_is_in_the_balance_that_follows_it() {
    let mut world = World::new();
    // As on every real wire: the question is older than its answer.
    world.exchange.answer_age = 50_000_000;
    world.exchange.set_total("USDT", "99990");
    world.wait(3000);
    let flows = world.count(|f| matches!(f, Fact::CashFlowRecorded(_)));
    assert_eq!(flows, 1, "looked at twice, taken once, and then settled");
    assert_eq!(world.count(|f| matches!(f, Fact::DriftSeen(_))), 1);
    assert_replays(&world);
}

#[test]
fn a_clock_that_runs_ahead_or_behind_makes_no_difference_in_money() {
    for skew in [-2000, -250, -40, 40, 250, 2000] {
        let mut settings = story_settings();
        settings.reconcile_ns = aegis_model::ids::SECOND;
        let mut world = World::with(settings);
        world.exchange.answer_age = 50_000_000;
        world.exchange.fee = rate("0.005");
        for round in 0..4 {
            world.tick("ETH_USDT", "3000");
            // The exchange stamps by its own clock what happens between a question and its answer.
            world.exchange.stamp = Some(world.now.after(skew * 1_000_000));
            world.buy("ETH_USDT", "0.1");
            world.give(Input::Compare);
            world.pump();
            if round % 2 == 0 {
                world.wait(1);
            }
            world.exchange.stamp = Some(world.now.after(skew * 1_000_000));
            world.command(aegis_model::Command::Close { instrument: l("ETH_USDT") });
            world.give(Input::Compare);
            world.pump();
            world.exchange.stamp = None;
            world.wait(1 + round);
        }
        world.wait(10);
        let flows = world.count(|f| matches!(f, Fact::CashFlowRecorded(_)));
        assert_eq!(flows, 0, "skew {skew} ms: money from nowhere");
        let asset = world.state().find_asset(&l("USDT")).and_then(|id| world.state().asset(id).cloned());
        let usdt = asset.expect("USDT");
        let known = usdt.balance.expect("recorded").total.plus(usdt.since).expect("fits");
        assert_eq!(known, world.exchange.total("USDT"), "skew {skew} ms");
        assert!(world.state().totals.closed >= 4, "skew {skew} ms: {:?}", refusals(&world));
        assert_replays(&world);
    }
}

#[test]
fn a_coin_that_only_pays_fees_gets_its_name() {
    let mut world = World::new();
    world.exchange.set_total("CRO", "12.5");
    world.wait(600);
    let cro = world.state().find_asset(&l("CRO")).and_then(|id| world.state().asset(id).cloned());
    assert_eq!(cro.and_then(|asset| asset.balance).map(|balance| balance.total), Some(quantity("12.5")));
    assert_eq!(world.count(|f| matches!(f, Fact::AlarmRaised(_))), 0);
    assert_replays(&world);
}

/// The witness of the recovery table's row J: the exchange knows what the journal has lost, or another copy of it runs.
#[test]
fn an_order_of_ours_that_no_record_intended_stops_entries() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    let now = world.now;
    let resting = world.exchange.rest_by_hand(id("ETH_USDT"), "0.01", now);
    let known = world.state().journal.installation;
    let lost = ClientOrderId { installation: known, run: 77, order: OrderId(900) };
    world.exchange.orders[resting].client = Some(lost);
    world.exchange.orders[resting].row.client = Some(lost);
    world.wait(400);
    let alarms: Vec<_> = world.state().alarms.keys().map(|(kind, _)| *kind).collect();
    assert_eq!(alarms, vec![AlarmKind::ForeignIntent]);
    up(&mut world, "SOL_USDT", "0.9");
    assert_eq!(refusals(&world), vec![Refusal::AlarmStanding]);
    // What is held is guarded all the same, and the order of nobody knows whom is left alone.
    world.tick("BTC_USDT", "40000");
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    assert_eq!(world.exchange.orders[resting].row.status, aegis_model::input::RowStatus::Open);
    // A person has looked: entries pass again, also after a start at which the exchange shows the order anew.
    let reason = aegis_model::Text::new("of the tail that was lost with the disk");
    world.command(aegis_model::Command::AcceptForeign { client: None, reason });
    world.restart();
    world.wait(400);
    assert!(world.state().alarms.is_empty(), "{:?}", world.state().alarms);
    buy_at(&mut world, "SOL_USDT", "0.5", "100");
    assert_replays(&world);
}

#[test]
fn an_instrument_that_is_not_traded_any_more_takes_no_entry() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    let mut delisted = listed();
    delisted.iter_mut().for_each(|instrument| instrument.tradable = false);
    world.give(Input::Instruments(delisted));
    world.pump();
    world.tick("SOL_USDT", "100");
    up(&mut world, "SOL_USDT", "0.9");
    assert_eq!(refusals(&world), vec![Refusal::NotTradable]);
    // The stop of what is held still stands.
    world.tick("BTC_USDT", "40000");
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}
