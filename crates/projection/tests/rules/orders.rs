//! Rules 1 to 9: fills and orders; and what else an order or an opening does to the state.

use super::*;

#[test]
fn rule_01_time_then_buys_then_trade_id_whatever_arrives_first() {
    let fills = [
        buy("1", "1", "100", 1),
        sell("2", "1", "120", 2),
        buy("3", "1", "110", 2),
        sell("4", "0.5", "90", 3),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
        let mut world = World::new();
        world.tell_all(&order.map(|n| fills[n].clone()));
        let now = world.now();
        // At second 2 the buy comes first: 2 held at 105. 120 - 105 = 15, then 45 - 52.5 = -7.5.
        assert_eq!((now.held, now.cost, now.realised), (q("0.5"), m("52.5"), m("7.5")), "{order:?}");
        assert_eq!((world.btc().entry_price(), now.opened), (Some(p("105")), at(1)), "{order:?}");
    }
}

#[test]
fn rule_02_a_waiting_sell_is_matched_settled_and_explained_late() {
    let mut world = World::new();
    world.tell_all(&[buy("b1", "1", "100", 1), sell("s1", "1.5", "120", 3).fee(USD, "0.3")]);
    // Two thirds of 180 and of 0.3 are matched: 120 - 100 - 0.2.
    assert_eq!((world.now().held, world.now().realised), (q("0"), m("19.8")));
    assert_eq!(
        (world.now().waiting, world.now().waiting_value, world.now().waiting_fees),
        (q("0.5"), m("60"), m("0.1"))
    );
    world.tell(100, ExcessSellSettled { instrument: BTC_USD, excess: q("0.5") });
    assert_eq!((world.now().waiting, world.0.totals.corrections), (q("0"), m("59.9")));
    assert_eq!((world.0.totals.quote_paid, world.0.totals.quote_received), (m("100.3"), m("180")));
    // The missing buy turns up after all: 180 - 145 - 0.3, and nothing was external.
    world.tell(101, buy("b0", "0.5", "90", 2));
    assert_eq!((world.0.totals.realised, world.0.totals.corrections), (m("34.7"), m("0")));
}

#[test]
fn rule_03_a_fill_stands_where_it_is_booked_and_none_before_what_is_forgotten() {
    let day = DAY / SECOND;
    let mut world = World::new();
    world.tell(1, buy("b", "1", "100", 1)).tell(2, sell("s", "1", "110", 2));
    world.tell(40 * day, buy("c", "1", "200", 40 * day));
    assert_eq!((world.btc().book.entries.len(), world.btc().book.ended.len()), (1, 0), "a month passed");
    assert_eq!((world.now().cycle, world.now().realised_total), (2, m("10")), "what it amounts to stays");
    world.tell(40 * day, buy("b", "1", "100", 1));
    assert_eq!(world.anomalies(AnomalyKind::FillBeyondMemory), 1);
    // Booked where it arrives: the engine gave it a later time.
    world.tell(41 * day, buy("late", "1", "300", 41 * day));
    assert_eq!((world.btc().held(), world.btc().entry_price()), (q("2"), Some(p("250"))));
    // A position that has been open for longer is never forgotten.
    world.tell(90 * day, buy("d", "1", "100", 90 * day));
    assert_eq!(world.btc().book.entries.len(), 3);
}

#[test]
fn rule_04_more_than_ordered_is_a_fact() {
    let mut world = World::new();
    world.tell(1, entry(1, "1")).tell(2, buy("a", "1.2", "100", 2).of(1));
    assert_eq!((world.btc().held(), world.0.orders[&OrderId(1)].filled), (q("1.2"), q("1.2")));
    let inferred = FillInferred { order: OrderId(1), quantity: q("0.1"), value: m("10"), executed: at(3) };
    world.tell(3, inferred);
    assert_eq!((world.btc().held(), world.anomalies(AnomalyKind::Overfill)), (q("1.2"), 1));
}

#[test]
fn rule_05_late_fills_complete_an_ended_stop_exit_and_count_as_a_stop_out() {
    let mut world = World::new();
    world.tell(1, buy("b", "1", "100", 1)).tell(5, exit(1, "1", ExitReason::Stop));
    world.tell(6, ended(1, OrderEnd::Cancelled));
    assert_eq!((world.btc().exit_failures, world.0.stop_outs.len()), (1, 0), "it ended without a fill");
    world.tell(7, OrderAcknowledged { order: OrderId(1), venue_order: VenueOrderId::default() });
    assert_eq!(
        (world.0.orders.len(), world.anomalies(AnomalyKind::EndedReported)),
        (0, 1),
        "never open again"
    );
    world.tell(8, sell("s1", "0.4", "95", 5).of(1));
    assert_eq!((world.btc().exit_failures, &world.0.stop_outs[..]), (0, &[at(8)][..]));
    assert_eq!(world.0.orders.ended(OrderId(1)).map(|e| e.end), Some(OrderEnd::Cancelled));
    world.tell(9, sell("s2", "0.6", "95", 5).of(1));
    assert_eq!(world.0.orders.ended(OrderId(1)).map(|e| e.end), Some(OrderEnd::Filled));
    assert_eq!(world.0.totals.ended[&OrderEnd::Cancelled], 0);
    assert_eq!((world.0.stop_outs.len(), world.btc().exit_wanted), (1, None), "closed: nothing is wanted");
}

#[test]
fn rule_06_real_fills_supersede_what_was_inferred_piece_by_piece() {
    let infer = |quantity: &str, value: &str| FillInferred {
        order: OrderId(1),
        quantity: q(quantity),
        value: m(value),
        executed: at(3),
    };
    let mut world = World::new();
    world.tell(1, balance(USD, "1000", "0", 1)).tell(2, entry(1, "3")).tell(3, infer("3", "300"));
    assert_eq!((world.btc().held(), world.0.assets[0].since), (q("3"), q("-300")));
    assert_eq!(world.0.orders[&OrderId(1)].cumulative, q("3"));
    world.tell(4, buy("a", "1", "101", 3).of(1)).tell(4, infer("2", "199"));
    assert_eq!(
        (world.btc().held(), world.now().cost, world.0.assets[0].since),
        (q("3"), m("300"), q("-300"))
    );
    world.tell(5, buy("b", "2", "98", 4).of(1)).tell(5, infer("0", "0"));
    assert_eq!(
        (world.btc().held(), world.now().cost, world.0.assets[0].since),
        (q("3"), m("297"), q("-297"))
    );
    assert_eq!((world.btc().book.entries.len(), world.btc().book.fees_unknown), (2, 0));
    // Without a positive value nothing is inferred; nor below zero.
    let mut world = World::new();
    world.tell(2, entry(1, "3")).tell(3, infer("3", "0")).tell(3, infer("-1", "5"));
    assert_eq!((world.btc().held(), world.anomalies(AnomalyKind::BadFill)), (q("0"), 2));
}

#[test]
fn rule_07_the_key_is_instrument_and_trade_and_a_mismatch_changes_nothing() {
    let mut world = World::new();
    world.tell_all(&[buy("x", "1", "100", 1), buy("x", "1", "100", 1)]);
    assert_eq!((world.0.totals.fills, world.0.totals.anomalies.len()), (1, 0), "a repeat is no news");
    world.tell_all(&[buy("x", "2", "100", 1), buy("x", "1", "101", 1), sell("x", "1", "100", 1)]);
    assert_eq!((world.btc().held(), world.anomalies(AnomalyKind::FillMismatch)), (q("1"), 3));
    world.tell(100, FillBooked { instrument: BNB_USD, ..buy("x", "5", "10", 1) });
    assert_eq!((world.0.totals.fills, world.0.instruments[1].held()), (2, q("5")), "another key");
    // Ids that name different orders: applied to neither.
    world
        .tell(101, entry(1, "1"))
        .tell(102, FillBooked { instrument: BNB_USD, ..buy("y", "1", "10", 2).of(1) });
    assert_eq!((world.0.instruments[1].held(), world.anomalies(AnomalyKind::IdsDisagree)), (q("5"), 1));
    world.tell(103, FillBooked { instrument: InstrumentId(9), ..buy("z", "1", "10", 2) });
    assert_eq!(world.anomalies(AnomalyKind::InstrumentUnknown), 1);
    assert!(world.0.knows_trade(BTC_USD, &TradeId(Label::literal("x"))).is_some());
    assert!(world.0.knows_trade(BTC_USD, &TradeId(Label::literal("y"))).is_none());
}

#[test]
fn rule_08_a_fill_implies_acceptance_and_an_amendment_keeps_what_is_filled() {
    let mut world = World::new();
    let kind = OrderKind::Limit { price: p("100"), time_in_force: TimeInForce::GoodTillCancel };
    world.tell(1, OrderIntended { kind, ..entry(1, "2") });
    world.tell(2, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    assert!(world.btc().has_unknown(&world.0));
    world.tell(3, buy("a", "0.5", "100", 2).of(1));
    assert_eq!(world.0.orders[&OrderId(1)].status, OrderStatus::PartiallyFilled);
    world.tell(4, OrderAcknowledged { order: OrderId(1), venue_order: VenueOrderId(Label::literal("v")) });
    assert_eq!(
        world.0.orders[&OrderId(1)].status,
        OrderStatus::PartiallyFilled,
        "late, and it changes nothing"
    );
    world.tell(5, OrderAmended { order: OrderId(1), price: Some(p("99")), quantity: q("0.2") });
    let order = &world.0.orders[&OrderId(1)];
    assert_eq!((order.quantity, order.rest()), (q("0.5"), Ok(q("0"))));
    assert_eq!(order.kind, OrderKind::Limit { price: p("99"), time_in_force: TimeInForce::GoodTillCancel });
}

#[test]
fn rule_09_an_unanswered_cancel_stays_unknown_and_presence_resets_the_looks() {
    use aegis_model::order::LookupAnswer::{Absent, Present};
    let mut world = World::new();
    world.tell(1, entry(1, "2"));
    world.tell(2, OrderLookedUp { order: OrderId(1), answer: Absent, absent: 1 });
    assert_eq!((world.0.orders[&OrderId(1)].absent, world.0.orders[&OrderId(1)].looks), (1, 1));
    world.tell(3, OrderLookedUp { order: OrderId(1), answer: Present, absent: 0 });
    assert_eq!((world.0.orders[&OrderId(1)].absent, world.0.orders[&OrderId(1)].looks), (0, 2));
    world.tell(4, CancelIntended { order: OrderId(1), reason: Label::literal("age") });
    world.tell(5, OrderUnknown { order: OrderId(1), cause: UnknownCause::CancelUnanswered });
    world.tell(6, buy("a", "0.5", "100", 4).of(1));
    assert!(world.btc().has_unknown(&world.0), "a fill does not tell what became of the cancel");
    world.tell(7, ended(1, OrderEnd::Lost));
    assert_eq!((world.btc().held(), world.0.orders.len()), (q("0.5"), 0), "its fills stand");
}

#[test]
fn exits_fail_and_are_wanted_until_the_position_ends() {
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(2, exit(1, "1", ExitReason::TakeProfit));
    assert_eq!(world.btc().exit_wanted, Some((ExitReason::TakeProfit, OrderId(1))));
    let class = RejectClass::InsufficientBalance;
    world.tell(3, OrderRejected { order: OrderId(1), class, code: 306, text: Text::new("no") });
    world.tell(3, ended(1, OrderEnd::Rejected));
    assert_eq!((world.btc().exit_failures, world.btc().exit_failed.and_then(|f| f.class)), (1, Some(class)));
    world.tell(4, exit(2, "1", ExitReason::Command)).tell(5, ended(2, OrderEnd::NotSent));
    assert_eq!((world.btc().exit_failures, world.btc().live.len()), (2, 0));
    assert_eq!(world.btc().exit_wanted, Some((ExitReason::TakeProfit, OrderId(1))), "the first reason stays");
    world.tell(6, exit(3, "1", ExitReason::Command)).tell(7, sell("s", "0.4", "110", 7).of(3));
    assert_eq!((world.btc().exit_failures, world.btc().exit_failed), (0, None));
    world.tell(8, sell("t", "0.6", "110", 8).of(3)).tell(8, ended(3, OrderEnd::Filled));
    assert_eq!((world.btc().exit_wanted, world.0.stop_outs.len()), (None, 0));
}

#[test]
fn an_order_goes_out_again_under_its_own_id() {
    let mut world = World::new();
    world.tell(1, entry(1, "1")).tell(1, OrderUnknown { order: OrderId(1), cause: UnknownCause::Restart });
    world.tell(2, OrderResent { order: OrderId(1), attempt: 2 });
    let order = &world.0.orders[&OrderId(1)];
    assert_eq!((order.status, order.attempts, world.0.totals.resends), (OrderStatus::Intended, 2, 1));
    assert_eq!((order.client.run, order.client.order, world.0.last_order), (7, OrderId(1), OrderId(1)));
    world.tell(3, entry(1, "1"));
    assert_eq!(
        (world.0.orders.len(), world.anomalies(AnomalyKind::OutOfOrder)),
        (1, 1),
        "a number is never reused"
    );
    assert_eq!(world.btc().live_entry(&world.0), Some(OrderId(1)));
}

#[test]
fn a_gap_moves_the_number_on_and_an_opening_drops_its_limits() {
    use aegis_model::Command;
    let mut world = World::new();
    let lsn = world.0.lsn.0;
    let gap = GapFound {
        first: Lsn(lsn + 1),
        last: Lsn(lsn + 9),
        bytes: 1,
        segment: 1,
        evidence: Text::new("chain"),
    };
    world.tell(1, gap);
    assert_eq!((world.0.lsn, world.0.journal.open_gap), (Lsn(lsn + 10), Some(Lsn(lsn + 10))));
    assert_eq!(world.0.next_lsn(), Lsn(lsn + 11));
    world.tell(2, GapAccepted { by: Label::literal("ann") });
    assert_eq!(world.0.journal.open_gap, None);
    let by = Label::literal("ann");
    let limits = Command::SetLimits { max_positions: Some(2), daily_loss: None, budget: Some(m("5")) };
    world.tell(3, CommandReceived { by, command: limits });
    world.tell(4, CommandReceived { by, command: Command::Flatten });
    world.tell(4, TradingHalted { by, reason: Text::new("flatten") });
    assert_eq!(
        (world.0.trading.limits.max_positions, world.0.trading.flatten),
        (Some(2), Some(Lsn(lsn + 13)))
    );
    world.tell(5, Started { run: 8, version: by, config_digest: [0; 32], seed: None });
    assert_eq!((world.0.trading.limits.max_positions, world.0.trading.halted.is_some()), (None, true));
    world.tell(6, TradingEnabled { by });
    assert_eq!((world.0.trading.flatten, world.0.trading.halted.is_none()), (None, true));
    assert_eq!((world.0.journal.openings, world.0.journal.run), (2, 8));
}

#[test]
fn orders_of_ours_that_nobody_intended_are_remembered_until_too_many_were_accepted() {
    use aegis_projection::state::MEMORY_FOREIGN;
    let client = |n: usize| format!("abcdef0123-00000042-{n}").parse::<Label>().expect("short");
    let seen = |n| ForeignIntentSeen { instrument: None, client: client(n), venue_order: None };
    let accepted = |n| ForeignIntentAccepted {
        by: Label::literal("ann"),
        client: client(n),
        venue_order: None,
        reason: Text::new("looked at"),
    };
    let odd = |world: &World| world.0.totals.anomalies.get(&AnomalyKind::OutOfOrder).copied().unwrap_or(0);
    let mut world = World::new();
    world.tell(1, accepted(7));
    assert_eq!((world.0.foreign.len(), odd(&world)), (0, 1), "nothing was seen");
    for n in 0..MEMORY_FOREIGN {
        world.tell(2, seen(n));
    }
    assert_eq!(world.0.foreign_waiting().count(), MEMORY_FOREIGN);
    world.tell(3, seen(MEMORY_FOREIGN));
    assert_eq!((world.0.foreign.len(), odd(&world)), (MEMORY_FOREIGN, 2), "all of them wait");
    world.tell(4, accepted(5)).tell(4, accepted(3));
    let told = ForeignIntentSeen {
        instrument: Some(BTC_USD),
        venue_order: Some(VenueOrderId(Label::literal("v3"))),
        ..seen(3)
    };
    world.tell(5, told).tell(5, seen(3));
    let third = world.0.foreign[&client(3)];
    assert_eq!((third.instrument, third.venue_order.is_some()), (Some(BTC_USD), true), "kept");
    assert!(third.accepted > Some(third.seen), "seen again, it stays accepted");
    world.tell(6, seen(MEMORY_FOREIGN));
    assert!(!world.0.foreign.contains_key(&client(5)), "the one that was accepted first is forgotten");
    assert!(
        world.0.foreign.contains_key(&client(3)) && world.0.foreign.contains_key(&client(MEMORY_FOREIGN))
    );
    assert_eq!((world.0.foreign.len(), odd(&world)), (MEMORY_FOREIGN, 2));
}
