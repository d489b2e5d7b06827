//! Refused for now, overtaken, half answered: what is sent again must still be wanted, and what waits must say so.

use super::support::*;
use aegis_engine::Settings;
use aegis_engine::settings::Guarding;
use aegis_model::event::AlarmKind;
use aegis_model::input::{Answer, Lookup, Reported, RowStatus, VenueSnapshot};
use aegis_model::order::RejectClass;
use aegis_model::{Command, Effect, Fact, Input, Machine, OrderKind, Report, Side, VenueOrderId};
use aegis_tests::exchange::Fills;
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, quantity};
const BTC: &str = "BTC_USDT";
fn guarded(guarding: Guarding) -> World {
    World::with(Settings { guarding, ..story_settings() })
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
    let mut w = guarded(Guarding::Both);
    w.tick(BTC, "50000");
    w.exchange.fills = Some(Fills::Nothing);
    w.buy(BTC, "0.5");
    let o = w.state().orders.values().find(|o| o.side == Side::Buy).expect("e").client;
    let at = w.exchange.orders.iter().position(|x| x.client == Some(o)).expect("x");
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    let t = w.exchange.execute(at, quantity("0.5"), aegis_tests::price("50000"), w.now);
    w.give(Input::Report(Report { client: o, venue_order: None, what: Reported::Filled(t) }));
    w.pump();
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
    let n = w.count(|f| matches!(f, Fact::OrderResent(_)));
    assert!(
        w.state().alarms.contains_key(&(AlarmKind::ExitFailing, Some(id(BTC)))),
        "resent {n} times, no alarm"
    );
}
#[test]
fn a_stop_that_keeps_being_put_off_leaves_the_engine_on_guard() {
    let mut w = guarded(Guarding::Exchange);
    w.tick(BTC, "50000");
    w.exchange.fills = Some(Fills::Nothing);
    w.buy(BTC, "0.5");
    let o = w.state().orders.values().find(|o| o.side == Side::Buy).expect("e").client;
    let at = w.exchange.orders.iter().position(|x| x.client == Some(o)).expect("x");
    w.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    let t = w.exchange.execute(at, quantity("0.5"), aegis_tests::price("50000"), w.now);
    w.give(Input::Report(Report { client: o, venue_order: None, what: Reported::Filled(t) }));
    w.pump();
    w.wait(600);
    w.tick(BTC, "30000");
    w.wait(60);
    let decided = w.instrument(BTC).exit_wanted;
    assert!(
        decided.is_some() || w.state().alarms.contains_key(&(AlarmKind::VenueStopMissing, Some(id(BTC)))),
        "no stop, no guard, no alarm"
    );
}
#[test]
fn a_cancel_that_overtook_its_order_goes_out_again_when_the_order_shows() {
    let mut w = guarded(Guarding::Both);
    w.tick(BTC, "50000");
    w.exchange.fills = Some(Fills::Nothing);
    w.buy(BTC, "0.5");
    w.exchange.fills = None;
    let o = w.state().orders.values().find(|o| o.side == Side::Buy).expect("e").client;
    let at = w.exchange.orders.iter().position(|x| x.client == Some(o)).expect("x");
    let t = w.exchange.execute(at, quantity("0.5"), aegis_tests::price("50000"), w.now);
    let d = w
        .engine
        .handle(w.now, &Input::Report(Report { client: o, venue_order: None, what: Reported::Filled(t) }));
    let stop =
        d.effects.iter().find_map(|e| if let Effect::Place(p) = e { Some(*p) } else { None }).expect("stop");
    let d = w
        .engine
        .handle(w.now, &Input::Command { by: l("x"), command: Command::Close { instrument: l(BTC) } });
    let c = d.effects.iter().find(|e| matches!(e, Effect::Cancel { .. })).cloned().expect("cancel");
    for i in w.exchange.carry_out(&c, w.now) {
        w.engine.handle(w.now, &i);
    }
    // the create arrives now
    let reports = w.exchange.place(&stop, w.now);
    let mut again = 0;
    for r in reports {
        let d = w.engine.handle(w.now, &Input::Report(r));
        again += d.effects.iter().filter(|e| matches!(e, Effect::Cancel { .. })).count();
    }
    let n = stop.client.order;
    let d = w.engine.handle(w.now, &Input::LookedUp(n, w.exchange.look_up(stop.client)));
    again += d.effects.iter().filter(|e| matches!(e, Effect::Cancel { .. })).count();
    let mut waited = 0;
    while again == 0 && waited < 30 {
        waited += 1;
        w.now = w.now.after(1_000_000_000);
        let d = w.engine.handle(w.now, &Input::Clock);
        for e in &d.effects {
            if matches!(e, Effect::Cancel { .. }) {
                again += 1;
            }
            if matches!(e, Effect::LookUp { .. }) {
                for i in w.exchange.carry_out(e, w.now) {
                    let d = w.engine.handle(w.now, &i);
                    again += d.effects.iter().filter(|e| matches!(e, Effect::Cancel { .. })).count();
                }
            }
        }
    }
    assert!(waited < 3, "the cancel went out again after {waited} s");
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
