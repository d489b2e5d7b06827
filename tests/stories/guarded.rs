//! Stops that rest at the exchange: one owner of the exit at a time, whatever is lost, late, refused or killed.

use super::support::*;
use aegis_engine::settings::Guarding;
use aegis_model::event::{AlarmKind, ExitDecided, FillSource, OrderIntended};
use aegis_model::input::{Answer, Lookup, RowStatus};
use aegis_model::order::{LookupAnswer, RejectClass};
use aegis_model::protection::ExitReason;
use aegis_model::{Command, Fact, Input, OrderKind, Price, Side, Timestamp};
use aegis_projection::ExitOwner;
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, price, quantity, rate};
use proptest::prelude::*;

const BTC: &str = "BTC_USDT";

fn guarded(guarding: Guarding) -> World {
    let mut settings = story_settings();
    settings.guarding = guarding;
    World::with(settings)
}

fn holding_guarded(guarding: Guarding) -> World {
    let mut world = guarded(guarding);
    buy_at(&mut world, BTC, "0.5", "50000");
    world
}

/// Triggers and quantities of the stops that wait at the exchange.
fn resting(world: &World) -> Vec<(Price, aegis_model::Quantity)> {
    let orders = &world.exchange.orders;
    world
        .exchange
        .resting()
        .into_iter()
        .map(|at| (orders[at].trigger.expect("a trigger"), orders[at].row.quantity))
        .collect()
}

fn fire(world: &mut World, amount: &str, end: RowStatus) {
    let at = world.exchange.resting()[0];
    for report in world.exchange.fire(at, quantity(amount), end, world.now) {
        world.give(Input::Report(report));
    }
    world.pump();
}

fn stops_sent(world: &World) -> usize {
    world.count(|f| matches!(f, Fact::OrderIntended(OrderIntended { kind: OrderKind::StopLoss { .. }, .. })))
}

fn sells_sent(world: &World) -> usize {
    let sell =
        |f: &Fact| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell && o.kind == OrderKind::Market);
    world.count(sell)
}

fn alarmed(world: &World, kind: AlarmKind) -> bool {
    world.state().alarms.contains_key(&(kind, Some(id(BTC))))
}

#[test]
fn rule_29_a_stop_rests_for_what_can_be_sold_and_is_resized() {
    let mut world = guarded(Guarding::Both);
    world.exchange.fee = rate("0.005");
    world.tick(BTC, "50000");
    world.exchange.fills = Some(Fills::Part(quantity("0.2")));
    world.command(Command::Open { instrument: l(BTC), quantity: quantity("0.5"), stop: None });
    // 0.2 less half a percent in base.
    assert_eq!(resting(&world), [(price("49000"), quantity("0.199"))]);
    assert_eq!(world.instrument(BTC).bare_since, None);
    let order = world.state().orders.values().find(|o| o.side == Side::Buy).expect("the entry").client;
    let at = world.exchange.orders.iter().position(|o| o.client == Some(order)).expect("at the exchange");
    let trade = world.exchange.execute(at, quantity("0.3"), price("50000"), world.now);
    let what = aegis_model::input::Reported::Filled(trade);
    world.give(Input::Report(aegis_model::Report { client: order, venue_order: None, what }));
    world.pump();
    // Cancelled, confirmed, then created anew for all of it; never two at once.
    assert_eq!(resting(&world), [(price("49000"), quantity("0.4975"))]);
    assert_eq!(stops_sent(&world), 2);
    assert_eq!(world.count(|f| matches!(f, Fact::VenueStopRested(_))), 2);
    assert_replays(&world);
}

#[test]
fn rule_29_price_changes_are_pushed_at_most_once_per_interval() {
    let mut world = holding_guarded(Guarding::Both);
    for at in ["50100", "50200", "50300", "50400"] {
        world.tick(BTC, at);
    }
    // Four raises within five seconds: the stop at the exchange is still the first one, the guard holds the newest.
    assert_eq!(resting(&world), [(price("49000"), quantity("0.5"))]);
    assert_eq!(world.stop(BTC), Some(price("49644")));
    world.wait(3);
    assert_eq!(resting(&world), [(price("49644"), quantity("0.5"))]);
    assert_eq!(stops_sent(&world), 2);
    assert_replays(&world);
}

#[test]
fn rule_30_the_venue_stop_goes_first_and_the_guard_takes_over_after_its_grace() {
    let mut world = holding_guarded(Guarding::Both);
    world.tick(BTC, "48999");
    assert_eq!(
        (sells_sent(&world), resting(&world).len()),
        (0, 1),
        "within the grace the venue's stop owns it"
    );
    world.wait(3);
    assert_eq!((sells_sent(&world), resting(&world).len()), (1, 0), "cancelled, confirmed, sold");
    assert_eq!(world.held(BTC), quantity("0"));
    assert_eq!(world.count(|f| matches!(f, Fact::ExitDecided(_))), 1);
    assert_replays(&world);
}

#[test]
fn rule_30_far_below_the_stop_nothing_is_waited_for() {
    let mut world = holding_guarded(Guarding::Both);
    world.tick(BTC, "48900");
    assert_eq!((sells_sent(&world), resting(&world).len()), (1, 0));
    assert_eq!(world.held(BTC), quantity("0"));
}

#[test]
fn rule_30_the_stop_that_fires_is_the_exit() {
    let mut world = holding_guarded(Guarding::Both);
    world.tick(BTC, "48999");
    fire(&mut world, "0.5", RowStatus::Filled);
    world.wait(10);
    assert_eq!((sells_sent(&world), world.held(BTC)), (0, quantity("0")));
    let closed = world.count(|f| matches!(f, Fact::PositionClosed(c) if c.reason == Some(ExitReason::Stop)));
    assert_eq!(closed, 1);
    assert_eq!(world.state().stop_outs.len(), 1);
    assert_replays(&world);
}

#[test]
fn rule_30_a_cancel_that_comes_too_late_finds_the_spawned_order() {
    let mut world = holding_guarded(Guarding::Both);
    let at = world.exchange.resting()[0];
    world.quote(BTC, "48999");
    // It fires and sells, and nobody tells.
    drop(world.exchange.fire(at, quantity("0.5"), RowStatus::Filled, world.now));
    world.tick(BTC, "48000");
    assert_eq!(
        (sells_sent(&world), world.held(BTC)),
        (0, quantity("0")),
        "the refused cancel led to the fill"
    );
    assert_eq!(world.exchange.total("BTC"), quantity("0"));
}

#[test]
fn a_stop_rejected_at_its_trigger_leaves_the_exit_to_the_engine() {
    let mut world = holding_guarded(Guarding::Both);
    world.tick(BTC, "48999");
    fire(&mut world, "0", RowStatus::Rejected);
    world.wait(3);
    assert_eq!((sells_sent(&world), world.held(BTC)), (1, quantity("0")));
}

#[test]
fn a_stop_that_fires_between_the_listing_of_orders_and_that_of_trades_is_not_somebody_elses_sell() {
    let mut world = holding_guarded(Guarding::Both);
    world.now = world.now.after(1_000_000_000);
    let before = world.exchange.snapshot(99, true, Timestamp::EPOCH, world.now);
    world.now = world.now.after(1_000_000_000);
    let at = world.exchange.resting()[0];
    // Nothing of what the exchange says about it arrives.
    drop(world.exchange.fire(at, quantity("0.5"), RowStatus::Filled, world.now));
    let mut listing = world.exchange.snapshot(99, true, Timestamp::EPOCH, world.now);
    // A trade names the released order, under no id of ours.
    let released = world.exchange.orders[at].row.released;
    let Answer::Complete(trades) = &mut listing.trades else { panic!("{:?}", listing.trades) };
    let sale = trades.last_mut().expect("the sale");
    (sale.client, sale.venue_order) = (None, released);
    (listing.open_orders, listing.ended_orders) = (before.open_orders, before.ended_orders);
    listing.orders_at = before.orders_at;
    world.give(Input::Snapshot(listing));
    world.pump();
    world.wait(3);
    let sources = world.events().into_iter().filter_map(|e| match e.fact {
        Fact::FillBooked(fill) if fill.side == Side::Sell => Some((fill.order, fill.source)),
        _ => None,
    });
    let sources: Vec<_> = sources.collect();
    assert!(
        matches!(sources[..], [(order, source)] if order.0 > 0 && source != FillSource::External),
        "{sources:?}"
    );
    assert_eq!(world.held(BTC), quantity("0"));
    assert_replays(&world);
}

#[test]
fn a_stop_that_sold_a_part_leaves_the_rest_to_the_engine() {
    let mut world = holding_guarded(Guarding::Both);
    world.tick(BTC, "48999");
    fire(&mut world, "0.2", RowStatus::Cancelled);
    world.wait(3);
    assert_eq!((sells_sent(&world), world.held(BTC)), (1, quantity("0")));
    let sold = world.exchange.sides(Side::Sell).iter().map(|r| r.cumulative).collect::<Vec<_>>();
    assert_eq!(sold, [quantity("0.2"), quantity("0.3")]);
}

#[test]
fn a_stop_refused_for_reserved_coins_is_alarmed_and_tried_again() {
    let mut world = guarded(Guarding::Both);
    world.tick(BTC, "50000");
    world.exchange.fills = Some(Fills::PartThenExpire(quantity("0.5")));
    world.buy(BTC, "0.5");
    let at = world.exchange.resting()[0];
    // A person cancels it by hand, and the exchange refuses the next ones.
    world.exchange.fills = Some(Fills::Refuse(RejectClass::InsufficientBalance));
    world.exchange.orders[at].row.status = RowStatus::Cancelled;
    world.wait(301);
    assert!(alarmed(&world, AlarmKind::VenueStopMissing));
    assert!(world.instrument(BTC).bare_since.is_some());
    assert!(stops_sent(&world) < 310, "tried about once a second, not at every look");
    world.exchange.fills = None;
    world.wait(61);
    assert!(!alarmed(&world, AlarmKind::VenueStopMissing));
    assert_eq!(resting(&world), [(price("49000"), quantity("0.5"))]);
    assert_replays(&world);
}

#[test]
fn a_missing_stop_is_no_longer_missed_once_nothing_is_held() {
    let mut world = guarded(Guarding::Both);
    world.tick(BTC, "50000");
    world.exchange.fills = Some(Fills::RefuseStop(RejectClass::Permanent));
    world.buy(BTC, "0.5");
    assert!(alarmed(&world, AlarmKind::VenueStopMissing));
    world.command(Command::Close { instrument: l(BTC) });
    assert_eq!(world.held(BTC), quantity("0"));
    assert!(!alarmed(&world, AlarmKind::VenueStopMissing), "it would refuse every entry for ever");
    world.exchange.fills = None;
    world.tick(BTC, "50000");
    world.command(Command::Open { instrument: l(BTC), quantity: quantity("0.5"), stop: None });
    assert_eq!(world.held(BTC), quantity("0.5"));
}

#[test]
fn a_stop_that_is_already_through_is_sold_at_market() {
    let mut world = guarded(Guarding::Both);
    world.tick(BTC, "50000");
    world.buy(BTC, "0.5");
    let at = world.exchange.resting()[0];
    world.exchange.orders[at].row.status = RowStatus::Cancelled;
    let row = world.exchange.orders[at].row;
    let client = row.client.expect("ours");
    world.exchange.fills = Some(Fills::Refuse(RejectClass::PriceOut));
    let what = aegis_model::input::Reported::Row(row);
    world.give(Input::Report(aegis_model::Report { client, venue_order: None, what }));
    world.pump();
    world.wait(1);
    world.exchange.fills = None;
    world.wait(3);
    assert_eq!((world.held(BTC), resting(&world).len()), (quantity("0"), 0));
}

#[test]
fn a_stop_that_fires_while_the_engine_is_down_closes_the_position() {
    let mut world = holding_guarded(Guarding::Both);
    world.dead = true;
    world.quote(BTC, "48000");
    let at = world.exchange.resting()[0];
    drop(world.exchange.fire(at, quantity("0.5"), RowStatus::Filled, world.now));
    world.restart();
    assert_eq!((world.held(BTC), sells_sent(&world)), (quantity("0"), 0));
    assert_replays(&world);
}

#[test]
fn a_stop_is_found_again_after_a_restart_and_not_doubled() {
    let mut world = holding_guarded(Guarding::Both);
    world.restart();
    world.wait(30);
    assert_eq!((stops_sent(&world), resting(&world).len()), (1, 1));
    let order = world.instrument(BTC).resting_stop(world.state()).expect("found again").0;
    assert_eq!(world.instrument(BTC).exit_owner(world.state()), ExitOwner::Venue(order));
}

#[test]
fn an_exit_decided_behind_a_stop_survives_a_crash_before_the_cancel_is_answered() {
    let mut world = holding_guarded(Guarding::Both);
    // The decision is durable; the cancel never arrives.
    world.exchange.cancels_lost = true;
    world.command(Command::Close { instrument: l(BTC) });
    assert_eq!((sells_sent(&world), resting(&world).len()), (0, 1));
    world.exchange.cancels_lost = false;
    world.restart();
    world.wait(30);
    assert_eq!((world.held(BTC), sells_sent(&world), resting(&world).len()), (quantity("0"), 1, 0));
    let decided = |f: &Fact| matches!(f, Fact::ExitDecided(ExitDecided { reason: ExitReason::Command, .. }));
    assert_eq!(world.count(decided), 1);
    assert_replays(&world);
}

#[test]
fn a_cancel_that_is_never_answered_is_asked_about_at_its_pace() {
    let mut world = holding_guarded(Guarding::Both);
    world.exchange.cancels_lost = true;
    world.command(Command::Close { instrument: l(BTC) });
    world.wait(60);
    // Ten seconds for an answer, a lookup, the cancel once more: six rounds a minute and no more.
    let looks = world.count(|f| matches!(f, Fact::OrderLookedUp(_)));
    assert!((4..=8).contains(&looks), "{looks} lookups in a minute");
    assert_eq!((sells_sent(&world), resting(&world).len()), (0, 1), "and nothing is sold beside it");
}

#[test]
fn exchange_alone_never_sells_beside_its_stop() {
    let mut world = holding_guarded(Guarding::Exchange);
    world.tick(BTC, "40000");
    world.wait(60);
    assert_eq!((sells_sent(&world), resting(&world).len()), (0, 1));
    fire(&mut world, "0.5", RowStatus::Filled);
    assert_eq!(world.held(BTC), quantity("0"));
}

#[test]
fn a_holding_that_left_takes_its_stop_along() {
    let mut world = holding_guarded(Guarding::Both);
    world.exchange.by_hand(id(BTC), Side::Sell, "0.5", "50000", world.now);
    world.wait(301);
    assert_eq!((world.held(BTC), resting(&world).len()), (quantity("0"), 0));
    assert_replays(&world);
}

#[test]
fn an_absent_exit_goes_out_again_inside_the_window_only_when_nothing_changed() {
    for unchanged in [false, true] {
        let mut world = holding("BTC_USDT", "0.5", "50000");
        world.exchange.replies = Some(Replies::RequestLost);
        world.exchange.failing.push("lookup");
        world.tick(BTC, "48000");
        let order = world.state().last_order;
        assert_eq!(world.exchange.sides(Side::Sell).len(), 0);
        world.exchange.replies = None;
        world.give(Input::LookedUp(order, Lookup::AbsentTooEarly { unchanged }));
        world.pump();
        assert_eq!(world.exchange.sides(Side::Sell).len(), usize::from(unchanged));
        let told = |f: &Fact| matches!(f, Fact::OrderLookedUp(l) if l.answer == LookupAnswer::AbsentInWindow);
        assert_eq!(world.count(told), 1);
        assert_eq!(world.count(|f| matches!(f, Fact::OrderResent(_))), usize::from(unchanged));
    }
}

#[test]
fn s04_the_alarm_about_an_order_does_not_stand_in_its_own_way() {
    let mut world = guarded(Guarding::Both);
    world.tick(BTC, "50000");
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing.push("lookup");
    world.buy(BTC, "0.5");
    let order = world.state().last_order;
    for _ in 0..4 {
        world.give(Input::LookedUp(order, Lookup::AbsentTooEarly { unchanged: true }));
        world.pump();
    }
    assert!(alarmed(&world, AlarmKind::UnknownOutcome));
    world.exchange.replies = None;
    world.give(Input::LookedUp(order, Lookup::Absent));
    world.pump();
    assert_eq!(
        world.exchange.engine_orders(),
        2,
        "the entry, still valid and wanted, and its stop: {:?}",
        refusals(&world)
    );
    assert_eq!(world.held(BTC), quantity("0.5"));
    assert!(!alarmed(&world, AlarmKind::UnknownOutcome));
}

#[test]
fn an_absent_entry_never_goes_out_again_inside_the_window() {
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.exchange.replies = Some(Replies::RequestLost);
    world.exchange.failing.push("lookup");
    world.buy(BTC, "0.5");
    let order = world.state().last_order;
    world.exchange.replies = None;
    world.give(Input::LookedUp(order, Lookup::AbsentTooEarly { unchanged: true }));
    world.pump();
    assert_eq!(world.exchange.engine_orders(), 0);
}

/// What may happen to a guarded position.
#[derive(Clone, Debug)]
enum Happening {
    Tick(i64),
    Wait(i64),
    Fire {
        share: u8,
        end: bool,
        told: bool,
    },
    CancelByHand,
    Lose(bool),
    LoseCancels,
    /// The exchange puts everything off, or refuses for a reason that passes.
    Refuse(RejectClass),
    FailLookups,
    Close,
    Restart,
    Buy,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (47_000i64..53_000).prop_map(Happening::Tick),
        2 => (1i64..8).prop_map(Happening::Wait),
        2 => (0u8..=4, any::<bool>(), any::<bool>())
            .prop_map(|(share, end, told)| Happening::Fire { share, end, told }),
        1 => Just(Happening::CancelByHand),
        1 => any::<bool>().prop_map(Happening::Lose),
        1 => Just(Happening::LoseCancels),
        1 => prop::sample::select(vec![RejectClass::Later, RejectClass::InsufficientBalance, RejectClass::PriceOut])
            .prop_map(Happening::Refuse),
        1 => Just(Happening::FailLookups),
        1 => Just(Happening::Close),
        1 => Just(Happening::Restart),
        2 => Just(Happening::Buy),
    ]
}

fn happen(world: &mut World, what: &Happening) {
    match what {
        Happening::Tick(at) => world.tick(BTC, &at.to_string()),
        Happening::Wait(seconds) => world.wait(*seconds),
        Happening::Fire { share, end, told } => {
            let Some(at) = world.exchange.resting().first().copied() else { return };
            let whole = world.exchange.orders[at].row.quantity;
            let amount = whole.scaled(rate(&format!("0.{}", share * 25 % 100)), aegis_model::Rounding::Floor);
            let amount = if *share == 4 { whole } else { amount.expect("fits") };
            let end = if *end { RowStatus::Cancelled } else { RowStatus::Rejected };
            let reports = world.exchange.fire(at, amount, end, world.now);
            if *told {
                reports.into_iter().for_each(|report| world.give(Input::Report(report)));
                world.pump();
            }
        }
        Happening::CancelByHand => {
            if let Some(at) = world.exchange.resting().first().copied() {
                world.exchange.orders[at].row.status = RowStatus::Cancelled;
            }
        }
        Happening::Lose(request) => {
            world.exchange.replies = Some(if *request { Replies::RequestLost } else { Replies::Lost });
        }
        Happening::LoseCancels => world.exchange.cancels_lost = true,
        Happening::Refuse(class) => world.exchange.fills = Some(Fills::Refuse(*class)),
        Happening::FailLookups => world.exchange.failing = vec!["lookup"],
        Happening::Close => world.command(Command::Close { instrument: l(BTC) }),
        Happening::Restart => world.restart(),
        Happening::Buy => world.buy(BTC, "0.5"),
    }
}

fn be_well(world: &mut World) {
    world.exchange.replies = None;
    world.exchange.cancels_lost = false;
    world.exchange.fills = None;
    world.exchange.failing.clear();
}

/// Coins in the account that are no position of ours.
const OTHERS: &str = "1";

/// Live sells at the exchange never exceed the position, and none of the other coins in the account was ever sold.
fn never_two_exits(world: &World) -> Result<(), TestCaseError> {
    let open = world.exchange.sides(Side::Sell).into_iter().filter(|r| r.status == RowStatus::Open);
    let live = open.map(|r| r.quantity.minus(r.cumulative).expect("fits"));
    let live = live.fold(quantity("0"), |sum, q| sum.plus(q).expect("fits"));
    let there = world.exchange.total("BTC").minus(quantity(OTHERS)).expect("fits");
    prop_assert!(live <= there, "{live} is on sale and {there} is there");
    prop_assert!(!there.is_negative(), "sold more than was there: {there}");
    Ok(())
}

proptest! {
    /// Whatever fires, is lost, cancelled, closed or killed, in any order: two exits never exceed the position, and
    /// once the exchange answers again fold and exchange agree and what is held has one owner of its exit.
    #[test]
    fn two_exits_never_exceed_the_position(
        exchange_only in any::<bool>(),
        story in prop::collection::vec(happening(), 1..40),
    ) {
        let mut settings = story_settings();
        settings.guarding = if exchange_only { Guarding::Exchange } else { Guarding::Both };
        settings.holdings = aegis_engine::settings::HoldingPolicy::Ignore;
        let mut world = World::with_exchange(settings, |exchange| {
            exchange.set_total("USDT", "1000000");
            exchange.set_total("BTC", OTHERS);
        });
        world.wait(700);
        world.tick(BTC, "50000");
        world.buy(BTC, "0.5");
        prop_assert!(world.held(BTC).is_positive(), "{:?}", refusals(&world));
        for what in &story {
            happen(&mut world, what);
            let lasts = matches!(
                what,
                Happening::Lose(_) | Happening::LoseCancels | Happening::Refuse(_) | Happening::FailLookups
            );
            if !lasts {
                be_well(&mut world);
            }
            never_two_exits(&world)?;
        }
        be_well(&mut world);
        world.wait(700);
        never_two_exits(&world)?;
        let there = world.exchange.total("BTC").minus(quantity(OTHERS)).expect("fits");
        prop_assert_eq!(there, world.held(BTC), "fold and exchange agree at rest");
        let instrument = world.instrument(BTC);
        if instrument.is_open() {
            prop_assert_eq!(world.exchange.resting().len(), 1, "what is held has its stop at the exchange");
        } else {
            prop_assert_eq!(world.exchange.resting().len(), 0);
        }
        prop_assert_eq!(world.state().digest(), world.replayed_digest());
    }
}
