//! Refused for now, overtaken, half answered: what is sent again must still be wanted, and what waits must say so.

use super::support::*;
use aegis_engine::Settings;
use aegis_engine::settings::Guarding;
use aegis_model::event::{AlarmKind, AnomalyKind};
use aegis_model::input::{Answer, ListedInstrument, Lookup, Reported, RowStatus, VenueSnapshot};
use aegis_model::order::{OrderEnd, RejectClass};
use aegis_model::{Command, Effect, Fact, Input, Machine, OrderKind, Report, Side, VenueOrderId};
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, price, quantity, rate};

const BTC: &str = "BTC_USDT";

fn guarded(guarding: Guarding) -> World {
    World::with(Settings { guarding, ..story_settings() })
}

/// An entry that rests, and the report of its fill, which the story delivers.
fn resting_entry(w: &mut World) -> Input {
    w.tick(BTC, "50000");
    w.exchange.fills = Some(Fills::Nothing);
    w.buy(BTC, "0.5");
    let client = w.state().orders.values().find(|o| o.side == Side::Buy).expect("the entry").client;
    let at = w.exchange.orders.iter().position(|o| o.client == Some(client)).expect("at the exchange");
    let trade = w.exchange.execute(at, quantity("0.5"), price("50000"), w.now);
    Input::Report(Report { client, venue_order: None, what: Reported::Filled(trade) })
}

/// It fills while the exchange puts everything off: no stop comes to rest.
fn holding_with_its_stop_put_off(guarding: Guarding) -> World {
    let mut w = guarded(guarding);
    let filled = resting_entry(&mut w);
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    w.give(filled);
    w.pump();
    w
}

#[test]
fn an_exit_that_was_put_off_is_not_sent_for_what_is_gone() {
    let mut w = World::with_exchange(story_settings(), |e| {
        e.set_total("USDT", "100000");
        e.set_total("BTC", "1");
    });
    w.wait(20);
    w.command(Command::Release { instrument: l(BTC) });
    buy_at(&mut w, BTC, "0.5", "50000");
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    w.tick(BTC, "48000");
    w.exchange.by_hand(id(BTC), Side::Sell, "0.5", "48000", w.now);
    w.give(Input::Compare);
    w.pump();
    w.exchange.fills = None;
    w.wait(5);
    assert_eq!(w.exchange.total("BTC"), quantity("1"), "coins that are not the position's were sold");
}

#[test]
fn an_exit_does_not_wait_for_a_stop_that_never_came_to_rest() {
    let mut w = holding_with_its_stop_put_off(Guarding::Both);
    // Live, absence is never "late" while the order goes out again every second: AbsentTooEarly is all that comes.
    w.exchange.failing.push("lookup");
    let n = w.state().last_order;
    w.tick(BTC, "48000");
    for _ in 0..120 {
        w.wait(1);
        w.give(Input::LookedUp(n, Lookup::AbsentTooEarly { unchanged: true }));
        w.pump();
    }
    let sells = w.count(
        |f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell && o.kind == OrderKind::Market),
    );
    let resends = w.count(|f| matches!(f, Fact::OrderResent(_)));
    assert!(sells > 0, "no exit was even tried in two minutes; the stop was sent {resends} times more");
}

#[test]
fn an_exit_that_keeps_being_put_off_says_so_and_slows_down() {
    let mut w = holding(BTC, "0.5", "50000");
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    w.tick(BTC, "48000");
    w.wait(3600);
    let sent = w.count(|f| matches!(f, Fact::OrderResent(_)));
    assert!(
        w.state().alarms.contains_key(&(AlarmKind::ExitFailing, Some(id(BTC)))),
        "{sent} sends, no alarm"
    );
    // One, two, four ... thirty-two seconds, then one a minute.
    assert!((60..=70).contains(&sent), "{sent} sends in an hour");
}

#[test]
fn a_stop_that_keeps_being_put_off_leaves_the_engine_on_guard() {
    let mut w = holding_with_its_stop_put_off(Guarding::Exchange);
    w.wait(600);
    let alarm = (AlarmKind::VenueStopMissing, Some(id(BTC)));
    assert!(w.state().alarms.contains_key(&alarm), "{:?}", w.state().alarms.keys());
    w.tick(BTC, "30000");
    w.wait(60);
    assert!(w.instrument(BTC).exit_wanted.is_some(), "the engine guards where no stop rests");
}

#[test]
fn an_exit_refused_for_good_leaves_a_stop_at_the_exchange_and_a_person_ends_it() {
    let mut w = guarded(Guarding::Both);
    buy_at(&mut w, BTC, "0.5", "50000");
    w.exchange.fills = Some(Fills::RefuseMarket(RejectClass::Permanent));
    w.command(Command::Close { instrument: l(BTC) });
    assert_eq!(w.held(BTC), quantity("0.5"), "refused for good");
    assert!(w.state().alarms.contains_key(&(AlarmKind::ExitFailing, Some(id(BTC)))));
    assert_eq!(w.exchange.resting().len(), 1, "no stop rests while a person is waited for");
    assert_eq!(w.instrument(BTC).bare_since, None);
    w.exchange.fills = None;
    w.command(Command::Close { instrument: l(BTC) });
    w.wait(5);
    assert_eq!(w.held(BTC), quantity("0"), "closed by the person who was waited for");
    assert_eq!(w.exchange.resting().len(), 0);
    let sells = w.count(
        |f| matches!(f, Fact::OrderIntended(o) if o.kind == OrderKind::Market && o.side == Side::Sell),
    );
    assert_eq!(sells, 2);
}

#[test]
fn a_stop_fires_for_an_exit_that_was_refused_for_good() {
    let mut w = guarded(Guarding::Both);
    buy_at(&mut w, BTC, "0.5", "50000");
    w.exchange.fills = Some(Fills::RefuseMarket(RejectClass::Permanent));
    w.command(Command::Close { instrument: l(BTC) });
    let at = w.exchange.resting()[0];
    w.quote(BTC, "48900");
    for report in w.exchange.fire(at, quantity("0.5"), RowStatus::Filled, w.now) {
        w.give(Input::Report(report));
    }
    w.pump();
    assert_eq!(w.held(BTC), quantity("0"));
    let sells = w.count(
        |f| matches!(f, Fact::OrderIntended(o) if o.kind == OrderKind::Market && o.side == Side::Sell),
    );
    assert_eq!(sells, 1, "nothing beside the stop");
}

#[test]
fn an_id_that_was_used_before_its_first_send_is_told() {
    let mut w = World::new();
    w.tick(BTC, "50000");
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Duplicate));
    w.buy(BTC, "0.5");
    let taken = |f: &Fact| matches!(f, Fact::AnomalyNoted(a) if a.anomaly == AnomalyKind::IdTaken);
    let told = |f: &Fact| matches!(f, Fact::MessageQueued(m) if m.text.as_str().contains("used before"));
    assert_eq!((w.count(taken), w.count(told)), (1, 1));
    assert_eq!(w.held(BTC), quantity("0"));
}

/// How many cancels a decision asks for.
fn cancels(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::Cancel { .. })).count()
}

#[test]
fn a_cancel_that_overtook_its_order_goes_out_again_when_the_order_shows() {
    let mut w = guarded(Guarding::Both);
    let filled = resting_entry(&mut w);
    w.exchange.fills = None;
    // The stop is on its way, and so is its cancel, which arrives first.
    let decided = w.engine.handle(w.now, &filled);
    let place = |effect: &Effect| if let Effect::Place(place) = effect { Some(*place) } else { None };
    let stop = decided.effects.iter().find_map(place).expect("a stop");
    let close = Command::Close { instrument: l(BTC) };
    let decided = w.engine.handle(w.now, &Input::Command { by: l("x"), command: close });
    let cancel =
        decided.effects.iter().find(|e| matches!(e, Effect::Cancel { .. })).expect("a cancel").clone();
    for refused in w.exchange.carry_out(&cancel, w.now) {
        assert_eq!(cancels(&w.engine.handle(w.now, &refused).effects), 0, "looked up first");
    }
    let mut again = 0;
    for report in w.exchange.place(&stop, w.now) {
        again += cancels(&w.engine.handle(w.now, &Input::Report(report)).effects);
    }
    assert_eq!(again, 1, "at once, and once");
}

#[test]
fn a_sell_of_a_fired_stop_is_not_taken_for_somebody_elses() {
    let mut w = guarded(Guarding::Both);
    buy_at(&mut w, BTC, "0.5", "50000");
    let at = w.exchange.resting()[0];
    w.quote(BTC, "48900");
    drop(w.exchange.fire(at, quantity("0.5"), RowStatus::Filled, w.now));
    let client = w.exchange.orders[at].client.expect("ours");
    let released: VenueOrderId = w.exchange.orders[at].row.released.expect("fired");
    let mut seen = *w.exchange.trades.last().expect("one");
    seen.client = None;
    seen.venue_order = Some(released);
    let f = || Answer::Failed(aegis_model::Text::new("no"));
    w.give(Input::Snapshot(VenueSnapshot {
        number: 99,
        requested: w.now,
        balances: Answer::Failed(aegis_model::Text::new("no")),
        open_orders: f(),
        orders_at: w.now,
        ended_orders: f(),
        trades: Answer::Complete(vec![seen]),
        flows: Answer::Failed(aegis_model::Text::new("no")),
        trades_from: aegis_model::Timestamp::EPOCH,
        trades_through: w.now,
    }));
    w.pump();
    w.give(Input::LookedUp(
        client.order,
        Lookup::Present {
            row: w.exchange.orders[at].row,
            trades: vec![*w.exchange.trades.last().expect("one")],
        },
    ));
    w.pump();
    let inferred = w.count(|f| matches!(f, Fact::FillInferred(i) if i.quantity.is_positive()));
    assert_eq!(inferred, 0, "the same execution twice");
}

#[test]
fn a_lookup_that_failed_is_asked_again() {
    let mut s = story_settings();
    s.reconcile_ns = 0;
    let mut w = World::with(s);
    buy_at(&mut w, BTC, "0.5", "50000");
    w.exchange.fills = Some(Fills::Nothing);
    w.tick(BTC, "48000");
    let at = w.exchange.orders.len() - 1;
    let client = w.exchange.orders[at].client.expect("ours");
    w.exchange.execute(at, quantity("0.5"), aegis_tests::price("48000"), w.now);
    w.exchange.failing.push("lookup");
    w.give(Input::Report(Report {
        client,
        venue_order: None,
        what: Reported::Row(w.exchange.orders[at].row),
    }));
    w.pump();
    w.exchange.failing.clear();
    w.wait(3600);
    assert_eq!(w.held(BTC), quantity("0"), "an hour later; alarms {:?}", w.state().alarms.keys());
}

#[test]
fn an_order_that_nobody_answers_about_is_looked_up_more_slowly_until_the_exchange_is_back() {
    let mut s = story_settings();
    s.reconcile_ns = 0;
    let mut w = World::with(s);
    buy_at(&mut w, BTC, "0.5", "50000");
    w.exchange.replies = Some(Replies::Lost);
    w.exchange.failing.push("lookup");
    w.tick(BTC, "48000");
    w.exchange.replies = None;
    let lookups = |w: &World| w.count(|f| matches!(f, Fact::OrderLookedUp(_)));
    w.wait(600);
    let asked = lookups(&w);
    assert!((60..90).contains(&asked), "{asked} in ten minutes; two seconds apart they were three hundred");
    w.exchange.failing.clear();
    w.give(Input::Compare);
    w.pump();
    w.wait(3);
    assert_eq!(w.held(BTC), quantity("0"));
    assert_replays(&w);
}

/// BTC with a least worth of an order.
fn with_minimum(w: &mut World, least: &str) {
    let spec = w.instrument(BTC).spec;
    w.give(Input::Instruments(vec![ListedInstrument {
        name: spec.name,
        base: l("BTC"),
        quote: l("USDT"),
        price_tick: spec.price_tick,
        quantity_tick: spec.quantity_tick,
        minimum_notional: aegis_tests::money(least),
        tradable: true,
    }]));
    w.pump();
}

#[test]
fn rule_17_what_is_below_the_minimum_is_never_sent() {
    for cancelled in [true, false] {
        let mut w = World::new();
        with_minimum(&mut w, "10");
        w.tick(BTC, "50000");
        w.exchange.fills = Some(Fills::Part(quantity("0.0001")));
        w.buy(BTC, "0.001");
        // Five quote's worth is held, its entry works on, and an exit is wanted.
        w.exchange.cancels_lost = !cancelled;
        w.command(Command::Close { instrument: l(BTC) });
        w.tick(BTC, "50001");
        w.wait(5);
        assert!(w.exchange.sides(Side::Sell).is_empty(), "nothing that the venue would refuse");
        w.exchange.cancels_lost = false;
        w.wait(60);
        assert_eq!(w.held(BTC), quantity("0"), "dust once the entry has ended");
        assert!(w.exchange.sides(Side::Sell).is_empty());
        assert_eq!(w.count(|f| matches!(f, Fact::DustKept(_))), 1);
    }
}

#[test]
fn rule_17_a_position_under_the_minimum_is_alarmed_whenever_it_falls_below() {
    let mut w = World::new();
    with_minimum(&mut w, "10");
    w.settings.plan.plan.initial = aegis_model::protection::Distance::Relative(rate("0.9"));
    buy_at(&mut w, BTC, "0.00021", "50000");
    let alarm = (AlarmKind::Unsellable, Some(id(BTC)));
    assert!(!w.state().alarms.contains_key(&alarm));
    w.command(Command::AdjustStop { instrument: l(BTC), stop: price("100"), loosen: true });
    w.tick(BTC, "40000");
    w.wait(1);
    assert!(w.state().alarms.contains_key(&alarm), "{:?}", w.state().alarms.keys());
    w.tick(BTC, "50000");
    w.wait(1);
    assert!(!w.state().alarms.contains_key(&alarm), "the price recovered");
}

#[test]
fn an_exit_that_became_too_small_is_not_sent_again_so_that_its_absence_can_be_proven() {
    for (least, again) in [("1", 1), ("1000000", 0)] {
        let mut w = holding(BTC, "0.5", "50000");
        w.exchange.replies = Some(Replies::RequestLost);
        w.exchange.failing.push("lookup");
        w.tick(BTC, "48000");
        let order = w.state().last_order;
        w.exchange.replies = None;
        with_minimum(&mut w, least);
        // Inside the window first; then its absence is proven.
        w.give(Input::LookedUp(order, Lookup::AbsentTooEarly { unchanged: true }));
        w.pump();
        assert_eq!(w.count(|f| matches!(f, Fact::OrderResent(_))), again, "least {least}");
        if again == 0 {
            w.give(Input::LookedUp(order, Lookup::Absent));
            w.pump();
            assert_eq!(w.count(|f| matches!(f, Fact::OrderResent(_))), 0);
            let ended =
                |f: &Fact| matches!(f, Fact::OrderEnded(e) if e.order == order && e.end == OrderEnd::NotSent);
            assert_eq!(w.count(ended), 1, "it is closed, not unknown for ever");
            // Once the exchange takes it again, the holding leaves.
            w.exchange.failing.clear();
            with_minimum(&mut w, "1");
            w.tick(BTC, "47900");
            w.wait(5);
            assert_eq!(w.held(BTC), quantity("0"));
        }
        assert_replays(&w);
    }
}
