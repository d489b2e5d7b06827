//! What stands exactly on an edge: the same instant, the last number that fits, the first that is forgotten; and the
//! counts that nothing else looks at.

use super::*;
use aegis_model::Command;
use aegis_projection::state::{MEMORY_NS, RecentChange};

const ETH: AssetId = AssetId(3);

fn flow(n: u64, quantity: &str, second: i64) -> CashFlowRecorded {
    let id = TradeId(Label::lossy(&format!("flow{n}")));
    CashFlowRecorded { id, asset: USD, quantity: q(quantity), time: at(second) }
}

#[test]
fn an_instrument_is_listed_under_the_next_number_with_known_assets_and_keeps_its_pair() {
    let mut world = World::new();
    let spec = world.btc().spec;
    let next = InstrumentId(3);
    let unknown = AssetId(4);
    let refused = [
        (next, unknown, USD),
        (next, BTC, unknown),
        (InstrumentId(4), BTC, USD),
        (BTC_USD, BNB, USD),
        (BTC_USD, BTC, ETH),
        (BTC_USD, unknown, USD),
    ];
    for (n, (instrument, base, quote)) in (1..).zip(refused) {
        world.tell(1, InstrumentListed { instrument, spec: aegis_model::Instrument { base, quote, ..spec } });
        assert_eq!(world.anomalies(AnomalyKind::OutOfOrder), n, "{instrument:?} {base:?} {quote:?}");
    }
    assert_eq!((world.0.instruments.len(), world.btc().spec), (3, spec));
    world.tell(2, InstrumentListed { instrument: next, spec });
    assert_eq!((world.0.instruments.len(), &world.0.assets[1].base_of[..]), (4, &[BTC_USD, next][..]));
    let coarse = aegis_model::Instrument { quantity_tick: q("0.1"), ..spec };
    world.tell(3, InstrumentListed { instrument: BTC_USD, spec: coarse });
    assert_eq!((world.btc().spec, world.btc().listed), (coarse, world.0.lsn));
    assert_eq!(world.0.find_instrument(&Label::literal("BNB_USD")), Some(BNB_USD));
    assert_eq!(world.0.find_instrument(&Label::literal("BNB_EUR")), None);
    assert_eq!(world.0.find_asset(&Label::literal("BNB")), Some(BNB));
    assert_eq!(world.0.find_asset(&Label::literal("XRP")), None);
    assert_eq!(world.anomalies(AnomalyKind::OutOfOrder), 6);
}

#[test]
fn each_total_counts_each_of_its_facts_once() {
    let mut world = World::new();
    let by = Label::literal("ann");
    for n in 1..=3u64 {
        let second = 10 * n as i64;
        world.tell(second, CommandReceived { by, command: Command::Enable });
        let (from, until) = (Label::literal("oracle"), at(second + 5));
        let confidence = Rate::ZERO;
        let direction = Direction::Up;
        let instrument = BTC_USD;
        world.tell(
            second,
            SignalReceived { source: from, position: n, instrument, direction, confidence, until },
        );
        world.tell(second, SignalRefused { source: from, position: n, reason: Text::new("no line") });
        world.tell(second, MessageQueued { number: n, about: Lsn(1), text: Text::new("words") });
        world.tell(second, entry(3 * n, "1")).tell(second, ended(3 * n, OrderEnd::Cancelled));
        world.tell(second, exit(3 * n + 1, "1", ExitReason::Command));
        world.tell(second, OrderResent { order: OrderId(3 * n + 1), attempt: 2 });
        world.tell(second, ended(3 * n + 1, OrderEnd::Lost));
        let kind = OrderKind::StopLoss { trigger: p("90") };
        world.tell(second, OrderIntended { kind, ..exit(3 * n + 2, "1", ExitReason::Stop) });
        let trade = format!("t{n}");
        world.tell(second, buy(&trade, "1", "100", second));
        let moved = StopMoved {
            instrument,
            why: aegis_model::protection::StopCause::Commanded,
            stop: p("90"),
            mark: p("100"),
            quantity: q("1"),
            stages_reached: 0,
            take_profit: None,
        };
        world.tell(second, moved);
    }
    let t = &world.0.totals;
    assert_eq!((t.commands, t.signals, t.bad_signals, t.messages, t.fills), (3, 3, 3, 3, 3));
    assert_eq!((t.entries, t.exits, t.venue_stops, t.resends, t.stop_moves), (3, 3, 3, 3, 3));
    assert_eq!((t.ended[&OrderEnd::Cancelled], t.ended[&OrderEnd::Lost]), (3, 3));
}

#[test]
fn the_venues_id_of_an_order_is_not_lost_to_an_answer_without_one() {
    let mut world = World::new();
    let id = VenueOrderId(Label::literal("v1"));
    world.tell(1, entry(1, "1")).tell(2, OrderAcknowledged { order: OrderId(1), venue_order: id });
    world.tell(3, OrderAcknowledged { order: OrderId(1), venue_order: VenueOrderId::default() });
    assert_eq!(world.0.orders[&OrderId(1)].venue_order, Some(id));
}

#[test]
fn an_entry_or_a_stop_that_waits_at_the_venue_is_no_selling_exit() {
    let mut world = World::new();
    world.tell(1, entry(1, "1"));
    assert!(!world.btc().has_selling_exit(&world.0), "an entry");
    let kind = OrderKind::StopLoss { trigger: p("90") };
    world.tell(2, OrderIntended { kind, ..exit(2, "1", ExitReason::Stop) });
    assert!(!world.btc().has_selling_exit(&world.0), "a stop that waits");
    world.tell(3, exit(3, "1", ExitReason::Command));
    assert!(world.btc().has_selling_exit(&world.0), "an exit");
}

#[test]
fn a_balance_holds_what_was_booked_or_executed_up_to_its_question_and_nothing_later() {
    let change = |executed: i64, booked: i64, quantity: &str| RecentChange {
        executed: at(executed),
        booked: at(booked),
        change: q(quantity),
    };
    let mut world = World::new();
    world.tell(10, balance(BTC, "1", "0", 10)).tell(10, buy("a", "0.5", "100", 5));
    let btc = &world.0.assets[1];
    assert_eq!((btc.since, btc.doubtful.len()), (q("0"), 0), "known in the instant of the question: in it");
    world.tell(11, buy("b", "0.25", "100", 9)).tell(12, buy("c", "0.125", "100", 9));
    let doubtful = [change(9, 11, "0.25"), change(9, 12, "0.125")];
    assert_eq!(world.0.assets[1].doubtful, doubtful, "learned of later, executed before");
    world.tell(13, balance(BTC, "1", "0", 11));
    assert_eq!(
        world.0.assets[1].doubtful,
        doubtful[1..],
        "what was booked in the instant of the question is in it"
    );
    // Executed behind the question: missing from it. In its instant, by either clock: in it.
    world
        .tell(20, buy("d", "2", "100", 18))
        .tell(20, buy("e", "4", "100", 19))
        .tell(20, buy("f", "8", "100", 25));
    assert_eq!(world.0.assets[1].since, q("14"));
    world.tell(21, balance(BTC, "1", "0", 18));
    assert_eq!(world.0.assets[1].recent, [change(19, 20, "4"), change(25, 20, "8")]);
    assert_eq!(world.0.assets[1].since, q("12"));
    world.tell(22, balance(BTC, "1", "0", 20));
    assert_eq!((world.0.assets[1].since, world.0.assets[1].recent.len()), (q("0"), 0));
}

#[test]
fn what_others_reserve_is_what_our_own_sells_do_not_explain() {
    let foreign = |asked: i64, reserved: &str| {
        let mut world = World::new();
        world.tell(1, balance(BTC, "0", "0", 1)).tell(1, buy("a", "3", "100", 1));
        world.tell(2, exit(1, "1", ExitReason::Command)).tell(3, sell("s", "0.25", "100", 3).of(1));
        world.tell(6, sell("t", "0.125", "100", 5).of(1)).tell(6, buy("b", "0.5", "100", 6));
        world.tell(7, balance(BTC, "9", reserved, asked));
        world.0.assets[1].balance.map(|b| b.foreign)
    };
    // 0.625 are open; what was sold after the question was reserved still, what was sold in its instant was not.
    assert_eq!(foreign(4, "1"), Some(q("0.25")), "0.75 were ours");
    assert_eq!(foreign(5, "1"), Some(q("0.375")), "0.625 were ours");
    assert_eq!(foreign(6, "1"), Some(q("0.375")), "what is open alone");
    assert_eq!(foreign(2, "1"), Some(q("0")), "all of it, in the instant of its intent");
}

#[test]
fn what_is_sold_of_a_sell_intended_after_the_question_was_not_reserved_then() {
    let foreign = |asked: i64| {
        let mut world = World::new();
        world.tell(1, balance(BTC, "0", "0", 1)).tell(1, buy("a", "3", "100", 1));
        world.tell(3, exit(1, "1", ExitReason::Command)).tell(4, sell("s", "0.25", "100", 4).of(1));
        world.tell(7, balance(BTC, "9", "1", asked));
        world.0.assets[1].balance.map(|b| b.foreign)
    };
    assert_eq!(foreign(2), Some(q("1")), "the sell was intended behind the question: all of it is others'");
    assert_eq!(foreign(3), Some(q("0")), "intended in its instant: all of it was ours");
}

#[test]
fn an_asset_remembers_its_youngest_changes_and_the_sum_of_all() {
    let mut world = World::new();
    world.tell(1, balance(BTC, "0", "0", 1));
    for n in 0..256 {
        world.tell(10 + n, buy(&format!("t{n}"), "1", "1", 10 + n));
    }
    assert_eq!(world.0.assets[1].recent.len(), 256);
    world.tell(300, buy("last", "1", "1", 300));
    let btc = &world.0.assets[1];
    assert_eq!((btc.recent.len(), btc.recent[0].executed, btc.since), (129, at(138), q("257")));
    // The same for what the clocks leave open.
    world.tell(400, balance(BTC, "257", "0", 350));
    for n in 0..65 {
        world.tell(401 + n, buy(&format!("d{n}"), "1", "1", 310 + n.min(30)));
    }
    let doubtful = &world.0.assets[1].doubtful;
    assert_eq!((doubtful.len(), doubtful[0].booked, doubtful[63].booked), (64, at(402), at(465)));
}

#[test]
fn a_flow_counts_from_the_first_balance_on_and_one_beyond_the_range_is_an_anomaly() {
    let large = "100000000000000000000";
    let mut world = World::new();
    world.tell(5, balance(USD, "1", "0", 5)).tell(6, DayStarted { day: 1, equity: m("1") });
    world.tell(6, flow(1, "8", 4)).tell(6, flow(2, "2", 5)).tell(7, flow(3, "0.5", 7));
    assert_eq!((world.0.assets[0].net_flows, world.0.day.map(|d| d.net_flows)), (q("2.5"), Some(m("2.5"))));
    assert!(world.0.totals.anomalies.is_empty());
    world.tell(8, flow(4, large, 8));
    assert!(world.0.totals.anomalies.is_empty());
    world.tell(9, flow(5, large, 9));
    assert!(world.anomalies(AnomalyKind::Overflow) > 0);
}

#[test]
fn the_older_half_of_ten_thousand_flows_and_corrections_is_forgotten_at_once() {
    let mut world = World::new();
    let day = DAY / SECOND;
    for n in 0..10_000 {
        world.tell(1, flow(n, "1", 1));
    }
    world.tell(day, DayStarted { day: 1, equity: m("1") });
    assert_eq!(world.0.flows.len(), 10_000);
    world.tell(day, flow(10_000, "1", 1)).tell(2 * day, DayStarted { day: 2, equity: m("1") });
    let remembers = |n| world.0.flows.contains_key(&flow(n, "1", 1).id.0);
    assert_eq!(
        (world.0.flows.len(), remembers(4_999), remembers(5_000), remembers(10_000)),
        (5_001, false, true, true)
    );
}

#[test]
fn what_was_executed_exactly_thirty_days_ago_is_remembered() {
    let month = MEMORY_NS / SECOND;
    let mut world = World::new();
    // Sells of what is not there yet lie between cycles.
    world.tell(1, sell("s", "1", "100", 1)).tell(2, sell("t", "1", "100", 2));
    world.tell(2 + month, buy("b", "2", "100", 2 + month));
    assert_eq!((world.btc().book.entries.len(), world.btc().book.horizon), (2, Some(at(1))));
    assert!(world.0.is_beyond_memory(BTC_USD, at(1)) && !world.0.is_beyond_memory(BTC_USD, at(2)));
    let mut world = World::new();
    world.tell(1, buy("b", "1", "100", 1)).tell(2, sell("s", "1", "100", 2));
    world.tell(2 + month, buy("c", "2", "100", 2 + month));
    assert_eq!((world.btc().book.entries.len(), world.btc().book.horizon), (3, None), "the cycle's last");
}

#[test]
fn an_execution_in_the_instant_of_a_correction_explains_it() {
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(10, correction(1, CorrectionKind::Missing, "0.5", None, 10));
    world.tell(11, sell("s", "0.25", "100", 10));
    assert_eq!(world.btc().held(), q("0.5"), "it is part of what was missing");
    world.tell(12, correction(2, CorrectionKind::Adopted, "1", Some("100"), 12));
    world.tell(13, buy("b", "0.25", "100", 12));
    assert_eq!(world.btc().held(), q("1.5"), "it is part of what was adopted");
}

#[test]
fn a_send_stays_unproven_until_its_absence_is_proven() {
    use aegis_model::order::LookupAnswer::{Absent, AbsentInWindow, Failed, Present};
    let mut world = World::new();
    world.tell(1, entry(1, "1")).tell(2, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    for answer in [Present, Failed, AbsentInWindow] {
        world.tell(3, OrderLookedUp { order: OrderId(1), answer, absent: 0 });
        assert!(world.0.orders[&OrderId(1)].unproven, "{answer:?}");
    }
    world.tell(4, OrderLookedUp { order: OrderId(1), answer: Absent, absent: 1 });
    let order = &world.0.orders[&OrderId(1)];
    assert_eq!((order.unproven, order.looks, order.looked_at), (false, 4, at(4)));
}

#[test]
fn an_order_is_nowhere_only_if_it_was_put_off_and_nothing_else_is_known_of_it() {
    let put_off = |world: &mut World, order| {
        let text = Text::new("not now");
        world.tell(3, OrderRejected { order, class: RejectClass::Later, code: 42, text });
    };
    let (first, second, third, fourth) = (OrderId(1), OrderId(2), OrderId(3), OrderId(4));
    let mut world = World::new();
    world.tell(1, entry(1, "1")).tell(1, entry(2, "1")).tell(1, entry(3, "1")).tell(1, entry(4, "1"));
    assert!(!world.0.orders[&first].is_nowhere(), "it may be under way");
    world.tell(2, OrderUnknown { order: second, cause: UnknownCause::Timeout });
    world.tell(2, OrderAcknowledged { order: third, venue_order: VenueOrderId(Label::literal("v")) });
    world.tell(2, buy("a", "0.5", "100", 2).of(4));
    for order in [first, second, third, fourth] {
        put_off(&mut world, order);
    }
    let nowhere = [first, second, third, fourth].map(|order| world.0.orders[&order].is_nowhere());
    assert_eq!(nowhere, [true, false, false, false]);
}

#[test]
fn a_stop_that_fires_at_the_venue_is_an_exit_that_is_wanted() {
    let kind = OrderKind::StopLoss { trigger: p("90") };
    let stop = |order| OrderIntended { kind, ..exit(order, "1", ExitReason::Stop) };
    let released = VenueOrderId(Label::literal("r"));
    let rested = VenueStopRested {
        instrument: BTC_USD,
        order: OrderId(1),
        quantity: q("1"),
        stop: p("90"),
        bare_ns: 0,
    };
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(2, stop(1));
    world.tell(3, OrderAcknowledged { order: OrderId(1), venue_order: VenueOrderId(Label::literal("v")) });
    world.tell(3, rested);
    assert_eq!((world.btc().exit_wanted, world.btc().bare_since), (None, None), "a precaution");
    world.tell(4, OrderTriggered { order: OrderId(1), released });
    let order = &world.0.orders[&OrderId(1)];
    assert_eq!((order.released, order.status), (Some(released), OrderStatus::Acknowledged));
    assert_eq!(world.btc().exit_wanted, Some((ExitReason::Stop, OrderId(1))));
    assert_eq!(world.btc().bare_since, Some(at(4)), "nothing rests there any more");
    assert!(world.btc().has_selling_exit(&world.0) && world.btc().resting_stop(&world.0).is_none());
    // What was unknown stays so, and what was wanted first stays the reason.
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(2, stop(1)).tell(3, exit(2, "1", ExitReason::TakeProfit));
    world.tell(4, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    world.tell(5, OrderTriggered { order: OrderId(1), released });
    assert_eq!(world.0.orders[&OrderId(1)].status, OrderStatus::Unknown);
    assert_eq!(world.btc().exit_wanted, Some((ExitReason::TakeProfit, OrderId(2))));
}

#[test]
fn two_clocks_leave_open_what_a_run_of_changes_adds_up_to() {
    let changes = |quantities: &[&str]| {
        let change = |quantity: &&str| RecentChange { executed: at(1), booked: at(2), change: q(quantity) };
        quantities.iter().map(change).collect()
    };
    let asset = aegis_projection::state::AssetState {
        doubtful: changes(&["1", "-4", "16"]),
        recent: changes(&["64", "256"]),
        ..Default::default()
    };
    let explained = ["1", "-4", "16", "-3", "12", "13", "-64", "-256", "-320"];
    for difference in explained {
        assert!(asset.is_clock_difference(q(difference)), "{difference}");
    }
    for difference in ["0", "17", "4", "64", "320", "-1", "2"] {
        assert!(!asset.is_clock_difference(q(difference)), "{difference}");
    }
}

#[test]
fn live_orders_reserve_what_they_may_still_take_of_their_own_asset() {
    let mut world = World::new();
    world.tell(1, entry(1, "2")).tell(1, exit(2, "0.5", ExitReason::Command));
    assert_eq!(
        (world.0.reserved(USD), world.0.reserved(BTC), world.0.reserved(BNB)),
        (q("200"), q("0.5"), q("0"))
    );
    world.tell(2, buy("a", "1.5", "90", 2).of(1)).tell(3, sell("s", "0.25", "90", 3).of(2));
    assert_eq!((world.0.reserved(USD), world.0.reserved(BTC)), (q("50"), q("0.25")));
}

#[test]
fn digests_are_equal_for_equal_states_and_differ_for_others() {
    let mut world = World::new();
    let before = world.0.clone();
    assert_eq!(world.0.digest(), before.digest());
    world.tell(1, TradingEnabled { by: Label::literal("ann") });
    assert_ne!(world.0.digest(), before.digest());
    assert_eq!(State::load(&world.0.save()).expect("a state").digest(), world.0.digest());
}

#[test]
fn a_sell_that_waits_is_booked_with_its_value_and_fees_by_the_buy_that_opens_the_next_cycle() {
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(2, sell("b", "1", "110", 2));
    world
        .tell(3, sell("c", "0.5", "120", 3).fee(USD, "0.25"))
        .tell(4, sell("d", "0.25", "120", 4).fee(BTC, "0.25"));
    let now = world.now();
    assert_eq!((now.waiting, now.waiting_base_fees), (q("1"), q("0.25")));
    assert_eq!((now.waiting_value, now.waiting_fees), (m("90"), m("0.25")));
    world.tell(5, buy("e", "3", "80", 5));
    let now = world.now();
    assert_eq!((now.held, now.cost, now.sold, now.base_fees), (q("2"), m("160"), q("0.75"), q("0.25")));
    assert_eq!((now.waiting, now.waiting_base_fees), (q("0"), q("0")));
    assert_eq!((now.waiting_value, now.waiting_fees), (m("0"), m("0")));
    assert_eq!((now.cycle, now.opened, now.last, now.bought), (2, at(5), at(5), q("3")));
    assert_eq!(
        (now.sell_value, now.realised, now.realised_total),
        (m("90"), m("9.75"), m("19.75")),
        "90 - 80 - 0.25"
    );
    assert_eq!((now.paid_total, now.received_total, now.fees_total), (m("340.25"), m("200"), m("0.25")));
}

#[test]
fn what_entered_by_correction_and_what_became_dust_stay_known_over_cycles() {
    let mut world = World::new();
    world
        .tell(1, correction(1, CorrectionKind::Adopted, "1.5", Some("100"), 1))
        .tell(2, sell("a", "1", "100", 2));
    world.tell(3, DustKept { instrument: BTC_USD, cycle: 1, quantity: q("0.5"), cost: m("50") });
    world.tell(4, buy("b", "1", "80", 4));
    let now = world.now();
    assert_eq!((now.cycle, now.corrections, now.dust_left, now.dust_cost), (2, m("150"), q("0.5"), m("50")));
    assert_eq!((now.entered, now.dust, now.held, now.cost), (q("0"), q("0"), q("1"), m("80")));
}

#[test]
fn an_index_of_the_same_executions_is_the_same_and_of_others_is_not() {
    let index = |fills: &[FillBooked]| {
        let mut world = World::new();
        world.tell_all(fills);
        world.btc().book.index.clone()
    };
    let (a, b, later) = (buy("a", "1", "100", 1), buy("b", "1", "100", 2), buy("b", "1", "100", 3));
    assert_eq!(index(&[a.clone(), b.clone()]), index(&[b.clone(), a.clone()]));
    assert_ne!(index(std::slice::from_ref(&a)), index(std::slice::from_ref(&b)));
    assert_ne!(index(&[a.clone(), b.clone()]), index(&[a.clone(), later]));
    assert_ne!(index(&[a.clone(), b]), index(&[a]));
    assert!(index(&[]).is_empty());
}
