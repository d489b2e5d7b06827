//! What reports about orders do, each by an example and by the closest one that does nothing.

use aegis_engine::Settings;
use aegis_model::event::{AlarmKind, AnomalyKind};
use aegis_model::input::{Lookup, OrderRow, Reported, RowStatus, Trade};
use aegis_model::order::{RejectClass, UnknownCause};
use aegis_model::{Command, Fact, Input, OrderId, Price, Quantity, Report};
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, label, price, quantity, rate};

const BTC: &str = "BTC_USDT";

fn noted(world: &World, kind: AnomalyKind) -> usize {
    world.count(|f| matches!(f, Fact::AnomalyNoted(n) if n.anomaly == kind))
}

fn stands(world: &World, kind: AlarmKind) -> bool {
    world.state().alarms.contains_key(&(kind, Some(id(BTC))))
}

/// An entry of 0.002 at 50000 that the exchange took and that rests.
fn resting() -> World {
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Nothing);
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(world.state().orders.len(), 1);
    world
}

fn order(world: &World) -> OrderId {
    world.state().last_order
}

fn tell(world: &mut World, what: Reported) {
    let known = world.state().any_order(order(world)).expect("the last order");
    let report = Report { client: known.client, venue_order: known.venue_order, what };
    world.give(Input::Report(report));
    world.pump();
}

fn row(world: &World) -> OrderRow {
    world.exchange.orders.last().expect("an order").row
}

fn tell_row(world: &mut World, change: impl FnOnce(&mut OrderRow)) {
    let row = &mut world.exchange.orders.last_mut().expect("an order").row;
    change(row);
    let row = *row;
    tell(world, Reported::Row(row));
}

fn execute(world: &mut World, amount: &str) -> Trade {
    let (last, now) = (world.exchange.orders.len() - 1, world.now);
    world.exchange.execute(last, quantity(amount), price("50000"), now)
}

fn amendments(world: &World) -> Vec<(Option<Price>, Quantity)> {
    let amended = world.events().into_iter().filter_map(|e| match e.fact {
        Fact::OrderAmended(a) => Some((a.price, a.quantity)),
        _ => None,
    });
    amended.collect()
}

#[test]
fn a_client_id_that_was_used_before_it_was_first_sent_is_told_and_a_repeated_one_is_not() {
    let duplicate =
        || Reported::Rejected { class: RejectClass::Duplicate, code: 204, text: aegis_model::Text::new("") };
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Refuse(RejectClass::Duplicate));
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(noted(&world, AnomalyKind::IdTaken), 1);
    let mut world = World::new();
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing = vec!["lookup"];
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    tell(&mut world, duplicate());
    assert_eq!(noted(&world, AnomalyKind::IdTaken), 0, "it proves that our own send arrived");
    assert!(world.instrument(BTC).has_unknown(world.state()));
}

#[test]
fn a_fee_above_three_times_the_accounts_rate_is_told_whatever_it_is_paid_in() {
    let settings = || Settings { taker_fee: rate("0.001"), ..story_settings() };
    for (bought, sold, told) in
        [("0.003", "0.003", [false, false]), ("0.0031", "0", [true, true]), ("0", "0.0031", [false, true])]
    {
        let mut world = World::with(settings());
        world.exchange.fee = rate(bought);
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        assert_eq!(stands(&world, AlarmKind::FeeHigh), told[0], "bought at {bought}, paid in BTC");
        world.exchange.fee = rate(sold);
        world.command(Command::Close { instrument: label(BTC) });
        assert!(!world.held(BTC).is_positive());
        assert_eq!(stands(&world, AlarmKind::FeeHigh), told[1], "sold at {sold}, paid in USDT");
    }
}

#[test]
fn a_fee_that_is_not_told_yet_stands_as_an_alarm_until_it_is() {
    let mut world = resting();
    let trade = execute(&mut world, "0.002");
    let last = world.exchange.trades.len() - 1;
    world.exchange.trades[last].fee = None;
    world.exchange.failing = vec!["trades", "lookup"];
    tell(&mut world, Reported::Filled(Trade { fee: None, ..trade }));
    assert!(stands(&world, AlarmKind::FeeUnknown));
    assert_eq!(world.instrument(BTC).book.fees_unknown, 1);
    tell(&mut world, Reported::Filled(trade));
    assert!(!stands(&world, AlarmKind::FeeUnknown));
    assert_eq!((world.instrument(BTC).book.fees_unknown, world.state().totals.fills), (0, 1));
    tell(&mut world, Reported::Filled(Trade { price: price("50001"), ..trade }));
    assert_eq!(noted(&world, AnomalyKind::FillMismatch), 1, "the same trade with another value");
    tell(
        &mut world,
        Reported::Filled(Trade { quantity: quantity("0.001"), price: price("100000"), ..trade }),
    );
    assert_eq!(noted(&world, AnomalyKind::FillMismatch), 2, "or with another quantity");
}

#[test]
fn more_than_was_ordered_is_told_and_exactly_that_is_not() {
    for (amount, told) in [("0.002", 0), ("0.003", 1)] {
        let mut world = resting();
        let trade = execute(&mut world, amount);
        tell(&mut world, Reported::Filled(trade));
        assert_eq!((world.held(BTC), noted(&world, AnomalyKind::Overfill)), (quantity(amount), told));
        assert_eq!(stands(&world, AlarmKind::Overfill), told == 1);
        assert_eq!(world.state().orders.len(), 0, "it has ended");
    }
}

#[test]
fn a_row_amends_what_differs_price_or_quantity_and_is_told_once() {
    let mut world = resting();
    let limit = row(&world).price.expect("a limit order");
    tell_row(&mut world, |_| {});
    assert_eq!(amendments(&world), []);
    tell_row(&mut world, |row| row.price = Some(price("49000")));
    tell_row(&mut world, |_| {});
    assert_ne!(limit, price("49000"));
    assert_eq!(amendments(&world), [(Some(price("49000")), quantity("0.002"))]);
    tell_row(&mut world, |row| row.quantity = quantity("0.001"));
    assert_eq!(amendments(&world)[1..], [(None, quantity("0.001"))]);
    let trade = execute(&mut world, "0.0005");
    tell(&mut world, Reported::Filled(trade));
    tell_row(&mut world, |row| row.quantity = quantity("0.0005"));
    assert_eq!(amendments(&world)[2..], [(None, quantity("0.0005"))], "never below what is filled");
}

#[test]
fn a_row_that_contradicts_what_is_known_changes_nothing() {
    let mut world = resting();
    let trade = execute(&mut world, "0.001");
    tell(&mut world, Reported::Filled(trade));
    tell_row(&mut world, |_| {});
    assert_eq!(noted(&world, AnomalyKind::CumulativeFell), 0, "as much as is known");
    tell_row(&mut world, |row| row.cumulative = quantity("0.0009"));
    assert_eq!(noted(&world, AnomalyKind::CumulativeFell), 1);
    tell_row(&mut world, |row| (row.cumulative, row.status) = (quantity("0.001"), RowStatus::Filled));
    assert_eq!(noted(&world, AnomalyKind::Contradiction), 1, "filled, and short of its quantity");
    assert_eq!((world.state().orders.len(), world.held(BTC)), (1, quantity("0.001")));
    tell_row(&mut world, |row| row.status = RowStatus::Cancelled);
    assert_eq!((world.state().orders.len(), noted(&world, AnomalyKind::Contradiction)), (0, 1));
    tell(&mut world, Reported::Unknown(UnknownCause::Timeout));
    assert_eq!(noted(&world, AnomalyKind::ReplyLost), 1, "it has ended: nothing is unknown any more");
    let text = aegis_model::Text::new("too late");
    tell(&mut world, Reported::Rejected { class: RejectClass::Permanent, code: 1, text });
    assert_eq!(noted(&world, AnomalyKind::EndedReported), 1);
}

#[test]
fn a_refusal_after_fills_contradicts_them_unless_it_is_only_for_now() {
    let refused = |class| Reported::Rejected { class, code: 1, text: aegis_model::Text::new("no") };
    let mut world = resting();
    let trade = execute(&mut world, "0.001");
    tell(&mut world, Reported::Filled(trade));
    tell(&mut world, refused(RejectClass::Permanent));
    assert_eq!((noted(&world, AnomalyKind::Contradiction), world.state().orders.len()), (1, 1));
    assert_eq!(world.count(|f| matches!(f, Fact::OrderRejected(_))), 0);
    let mut world = resting();
    tell(&mut world, refused(RejectClass::Permanent));
    assert_eq!(
        (noted(&world, AnomalyKind::Contradiction), world.state().orders.len()),
        (0, 0),
        "nothing was filled"
    );
}

#[test]
fn a_stop_that_fired_is_told_once_for_each_order_that_it_released() {
    let guarding = aegis_engine::settings::Guarding::Both;
    let mut world = World::with(Settings { guarding, ..story_settings() });
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(world.exchange.resting().len(), 1);
    let fired = |world: &World| world.count(|f| matches!(f, Fact::OrderTriggered(_)));
    let released = |name| aegis_model::VenueOrderId(label(name));
    for (name, told) in [("r", 1), ("r", 1), ("", 1), ("s", 2)] {
        tell(&mut world, Reported::Triggered { released: released(name) });
        assert_eq!(fired(&world), told, "{name:?}");
    }
}

#[test]
fn the_venues_two_ids_of_an_order_must_agree() {
    let mut world = resting();
    let known = world.state().any_order(order(&world)).expect("the entry").clone();
    let other = aegis_model::VenueOrderId(label("999"));
    let report = |venue_order| Report {
        client: known.client,
        venue_order,
        what: Reported::Rejected {
            class: RejectClass::Permanent,
            code: 1,
            text: aegis_model::Text::new("no"),
        },
    };
    world.give(Input::Report(report(Some(other))));
    world.pump();
    assert_eq!((noted(&world, AnomalyKind::IdsDisagree), world.state().orders.len()), (1, 1));
    let stranger = aegis_model::ClientOrderId { installation: 1, ..known.client };
    world.give(Input::Report(Report { client: stranger, ..report(None) }));
    world.pump();
    assert_eq!((noted(&world, AnomalyKind::OrderUnknown), world.state().orders.len()), (1, 1));
    let never = aegis_model::ClientOrderId { order: OrderId(77), ..known.client };
    world.give(Input::Report(Report { client: never, ..report(None) }));
    world.pump();
    assert!(world.state().alarms.contains_key(&(AlarmKind::ForeignIntent, None)));
    world.give(Input::Report(report(known.venue_order)));
    world.pump();
    assert_eq!(world.state().orders.len(), 0);
}

#[test]
fn within_the_window_of_a_late_arrival_only_an_exit_that_was_never_seen_goes_out_again() {
    let resent = |world: &World| world.count(|f| matches!(f, Fact::OrderResent(_)));
    let too_early = |world: &mut World| {
        let last = order(world);
        world.give(Input::LookedUp(last, Lookup::AbsentTooEarly { unchanged: true }));
        world.pump();
    };
    let lost = |world: &mut World| {
        world.exchange.replies = Some(Replies::RequestLost);
        world.exchange.failing = vec!["lookup"];
    };
    let mut world = World::new();
    lost(&mut world);
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    too_early(&mut world);
    assert_eq!(resent(&world), 0, "an entry never");
    // An exit that was never seen.
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    lost(&mut world);
    world.command(Command::Close { instrument: label(BTC) });
    let last = order(&world);
    world.give(Input::LookedUp(last, Lookup::AbsentTooEarly { unchanged: false }));
    world.pump();
    assert_eq!(resent(&world), 0, "something changed meanwhile");
    too_early(&mut world);
    assert_eq!(resent(&world), 1);
    // One that the venue has acknowledged.
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    world.exchange.fills = Some(Fills::Nothing);
    world.command(Command::Close { instrument: label(BTC) });
    lost(&mut world);
    tell(&mut world, Reported::Unknown(UnknownCause::Timeout));
    too_early(&mut world);
    assert_eq!(resent(&world), 0, "it was there");
}
