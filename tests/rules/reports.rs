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
    world.exchange.failing = vec!["lookup"];
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(noted(&world, AnomalyKind::IdTaken), 1, "before it went out a second time");
    let mut world = World::new();
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing = vec!["lookup"];
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    tell(&mut world, duplicate());
    assert_eq!(noted(&world, AnomalyKind::IdTaken), 0, "it proves that our own send arrived");
    assert!(world.instrument(BTC).has_unknown(world.state()));
    // Proven absent and sent again; then the first of them arrives.
    world.exchange.failing.clear();
    world.exchange.replies = None;
    world.exchange.fills = Some(Fills::Refuse(RejectClass::Duplicate));
    world.wait(10);
    assert!(world.count(|f| matches!(f, Fact::OrderResent(_))) > 0);
    assert_eq!(noted(&world, AnomalyKind::IdTaken), 0, "our own send again");
}

#[test]
fn an_outcome_that_three_looks_leave_open_stands_as_an_alarm_until_it_is_known() {
    let mut world = World::new();
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing = vec!["lookup"];
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    for _ in 0..20 {
        let looks = world.count(|f| matches!(f, Fact::OrderLookedUp(_)));
        assert_eq!(stands(&world, AlarmKind::UnknownOutcome), looks >= 3, "{looks} looks");
        world.wait(1);
    }
    assert!(stands(&world, AlarmKind::UnknownOutcome));
    world.exchange.failing.clear();
    world.wait(30);
    assert!(!stands(&world, AlarmKind::UnknownOutcome));
}

#[test]
fn an_execution_without_a_positive_price_and_quantity_is_no_execution() {
    for (at, amount) in [("0", "0.001"), ("-1", "0.001"), ("50000", "0"), ("50000", "-0.001")] {
        let mut world = resting();
        let trade = execute(&mut world, "0.001");
        tell(&mut world, Reported::Filled(Trade { price: price(at), quantity: quantity(amount), ..trade }));
        assert_eq!((noted(&world, AnomalyKind::BadFill), world.state().totals.fills), (1, 0));
        assert_eq!((world.held(BTC), world.state().orders.len()), (quantity("0"), 1), "{amount} at {at}");
    }
}

#[test]
fn rule_06_a_row_ahead_of_its_trades_asks_for_them_before_anything_is_inferred() {
    let inferred = |world: &World| world.count(|f| matches!(f, Fact::FillInferred(_)));
    // A venue that tells no time of its row is asked as well.
    for untimed in [false, true] {
        let mut world = resting();
        let told = |row: &mut OrderRow| {
            if untimed {
                row.updated = aegis_model::Timestamp::EPOCH;
            }
        };
        execute(&mut world, "0.001");
        world.exchange.failing = vec!["lookup"];
        tell_row(&mut world, told);
        tell_row(&mut world, told);
        assert_eq!((inferred(&world), world.held(BTC)), (0, quantity("0")), "nobody answered");
        world.exchange.failing.clear();
        world.wait(30);
        assert_eq!((inferred(&world), world.held(BTC)), (0, quantity("0.001")), "the trade itself");
    }
    // An earlier look says nothing of what was executed since.
    let mut world = resting();
    let last = order(&world);
    let lookup = world.exchange.look_up(world.state().any_order(last).expect("open").client);
    world.give(Input::LookedUp(last, lookup));
    world.pump();
    world.wait(1);
    execute(&mut world, "0.001");
    tell_row(&mut world, |_| {});
    assert_eq!((inferred(&world), world.held(BTC)), (0, quantity("0.001")), "asked anew");
    let mut world = resting();
    execute(&mut world, "0.001");
    world.exchange.trades.clear();
    tell_row(&mut world, |_| {});
    assert_eq!((inferred(&world), world.held(BTC)), (1, quantity("0.001")), "no answer has it");
}

#[test]
fn a_refusal_that_only_the_balance_explains_is_followed_by_a_comparison() {
    let both = || Settings { guarding: aegis_engine::settings::Guarding::Both, ..story_settings() };
    for (class, compared) in [(RejectClass::InsufficientBalance, 1), (RejectClass::Permanent, 0)] {
        let mut world = World::with(both());
        world.tick(BTC, "50000");
        world.exchange.fills = Some(Fills::RefuseStop(class));
        let before = world.exchange.comparisons;
        world.buy(BTC, "0.002");
        assert!(stands(&world, AlarmKind::VenueStopMissing));
        assert_eq!(world.exchange.comparisons - before, compared, "a stop refused as {class:?}");
    }
    for (class, compared) in [(RejectClass::InsufficientBalance, 1), (RejectClass::Permanent, 0)] {
        let mut world = World::new();
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        world.exchange.fills = Some(Fills::Refuse(class));
        let before = world.exchange.comparisons;
        world.command(Command::Close { instrument: label(BTC) });
        assert_eq!(world.exchange.comparisons - before, compared, "an exit refused as {class:?}");
    }
    for (status, compared) in [(RowStatus::Rejected, 1), (RowStatus::Expired, 0)] {
        let mut world = World::new();
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        world.exchange.fills = Some(Fills::Nothing);
        world.command(Command::Close { instrument: label(BTC) });
        let before = world.exchange.comparisons;
        tell_row(&mut world, |row| row.status = status);
        assert_eq!(world.exchange.comparisons - before, compared, "an exit that ended as {status:?}");
    }
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

#[test]
fn an_answer_about_an_order_that_has_ended_meanwhile_is_no_news() {
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(world.state().orders.len(), 0);
    let before = world.events().len();
    let failed = || Lookup::Failed(aegis_model::Text::new("502"));
    for lookup in [Lookup::Absent, Lookup::AbsentTooEarly { unchanged: true }, failed()] {
        let last = order(&world);
        world.give(Input::LookedUp(last, lookup));
        world.pump();
        assert_eq!(world.events().len(), before);
    }
}

#[test]
fn rule_04_an_inferred_fill_needs_a_price_and_never_exceeds_the_order() {
    for (filled, value, inferred) in [
        ("0.001", "50", Some("0.001")),
        ("0.002", "100", Some("0.002")),
        ("0.001", "0", None),
        ("0.003", "150", None),
    ] {
        let mut world = resting();
        tell_row(&mut world, |row| {
            (row.cumulative, row.value) = (quantity(filled), aegis_tests::money(value));
        });
        let found: Vec<_> = world
            .events()
            .into_iter()
            .filter_map(|e| match e.fact {
                Fact::FillInferred(f) => Some(f.quantity),
                _ => None,
            })
            .collect();
        assert_eq!(found, inferred.map(quantity).into_iter().collect::<Vec<_>>(), "{filled} for {value}");
        let refused = usize::from(inferred.is_none());
        assert_eq!(noted(&world, AnomalyKind::Contradiction), refused, "{filled} for {value}");
    }
}

#[test]
fn rule_03_a_fill_from_before_the_last_walk_is_booked_now_with_both_times_told() {
    let second = aegis_model::ids::SECOND;
    for earlier in [0, 10] {
        let mut world = resting();
        world.wait(20);
        let trade = execute(&mut world, "0.001");
        let walked = world.state().walked;
        let executed = walked.after(-earlier * second);
        tell(&mut world, Reported::Filled(Trade { executed, ..trade }));
        let told: Vec<_> = world
            .events()
            .into_iter()
            .filter_map(|e| match e.fact {
                Fact::AnomalyNoted(n) if n.anomaly == AnomalyKind::FillBeforeWalk => {
                    Some((n.known, n.arrived))
                }
                _ => None,
            })
            .collect();
        let opened = world.instrument(BTC).book.now.opened;
        if earlier == 0 {
            assert_eq!((told, opened), (vec![], walked), "as old as the walk is no older");
        } else {
            let seconds = walked.0 / second;
            let fixed = aegis_model::Fixed::from_int;
            assert_eq!(told, [(fixed(seconds), fixed(seconds - earlier))]);
            assert_eq!(opened, world.now, "it counts from where it arrived");
        }
    }
}

#[test]
fn rule_07_a_repeat_counts_once_before_the_first_comparison_of_a_start_too() {
    let mut world = resting();
    let trade = execute(&mut world, "0.002");
    tell(&mut world, Reported::Filled(trade));
    world.exchange.failing = vec!["trades", "open", "ended", "balances"];
    world.restart();
    tell(&mut world, Reported::Filled(trade));
    assert_eq!(world.held(BTC), quantity("0.002"));
    assert_eq!(world.count(|f| matches!(f, Fact::FillBooked(_))), 1);
}

#[test]
fn rule_05_a_row_below_what_an_earlier_row_told_takes_nothing_back() {
    let mut world = resting();
    let filled = |cumulative: &str, value: &str| {
        let (cumulative, value) = (quantity(cumulative), aegis_tests::money(value));
        move |row: &mut OrderRow| (row.cumulative, row.value) = (cumulative, value)
    };
    tell_row(&mut world, filled("0.001", "50"));
    assert_eq!(world.held(BTC), quantity("0.001"), "inferred");
    tell_row(&mut world, filled("0.0005", "25"));
    assert_eq!((world.held(BTC), noted(&world, AnomalyKind::CumulativeFell)), (quantity("0.001"), 1));
}

#[test]
fn an_outcome_that_was_unknown_is_followed_by_a_comparison_once_it_is_known_and_a_known_one_by_none() {
    let mut world = resting();
    let before = world.exchange.comparisons;
    let last = order(&world);
    let lookup = world.exchange.look_up(world.state().any_order(last).expect("open").client);
    world.give(Input::LookedUp(last, lookup));
    world.pump();
    assert_eq!(world.exchange.comparisons, before);
    tell(&mut world, Reported::Unknown(UnknownCause::Timeout));
    assert_eq!(world.exchange.comparisons, before + 1, "what was unknown may have moved more than the order");
}

/// An exit of 0.002 whose request never reached the exchange.
fn lost_exit() -> World {
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing = vec!["lookup"];
    world.command(Command::Close { instrument: label(BTC) });
    world
}

fn absent(world: &mut World) {
    let last = order(world);
    world.give(Input::LookedUp(last, Lookup::Absent));
    world.pump();
}

#[test]
fn an_exit_that_is_proven_absent_goes_out_again_at_once_the_first_time_in_a_life() {
    let resent = |world: &World| world.count(|f| matches!(f, Fact::OrderResent(_)));
    let mut world = lost_exit();
    absent(&mut world);
    assert_eq!(resent(&world), 1, "at once");
    absent(&mut world);
    assert_eq!(resent(&world), 1, "and then at the pace of lookups");
    world.wait(2);
    absent(&mut world);
    assert_eq!(resent(&world), 2);
    world.restart();
    absent(&mut world);
    assert_eq!(resent(&world), 3, "another life begins at once");
}

#[test]
fn rule_35_an_exit_goes_out_again_only_while_what_it_sells_is_there() {
    let mut world = lost_exit();
    let now = world.now;
    world.exchange.by_hand(id(BTC), aegis_model::Side::Sell, "0.0005", "50000", now);
    world.give(Input::Compare);
    world.pump();
    assert_eq!(world.held(BTC), quantity("0.0015"));
    world.exchange.replies = None;
    absent(&mut world);
    world.wait(10);
    let sold: Vec<_> = world.exchange.sides(aegis_model::Side::Sell).iter().map(|row| row.quantity).collect();
    assert_eq!((sold, world.held(BTC)), (vec![quantity("0.0015")], quantity("0")));
}

#[test]
fn rule_35_an_entry_that_is_cancelled_or_over_is_not_sent_again() {
    use aegis_model::event::Direction;
    for why in ["wanted", "cancelled", "over"] {
        let mut world = World::new();
        world.exchange.replies = Some(Replies::RequestLost);
        world.exchange.failing = vec!["lookup"];
        world.tick(BTC, "50000");
        world.signal(BTC, Direction::Up, "0.9");
        assert_eq!(world.state().orders.len(), 1);
        match why {
            "cancelled" => world.signal(BTC, Direction::Down, "0.99"),
            "over" => world.now = world.now.after(world.settings.entry_valid_ns + 1),
            _ => {}
        }
        world.exchange.replies = None;
        absent(&mut world);
        let sent = usize::from(why == "wanted");
        assert_eq!((world.exchange.engine_orders(), world.state().orders.len()), (sent, 0), "{why}");
        assert_eq!(world.held(BTC).is_positive(), sent == 1);
    }
}

#[test]
fn an_acknowledgement_is_recorded_once() {
    let mut world = resting();
    let before = world.events().len();
    tell(&mut world, Reported::Acknowledged);
    let client = world.state().any_order(order(&world)).expect("open").client;
    world.give(Input::Report(Report { client, venue_order: None, what: Reported::Acknowledged }));
    world.pump();
    assert_eq!(world.events().len(), before);
}
