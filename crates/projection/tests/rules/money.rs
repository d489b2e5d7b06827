//! Rules 10 to 18 and 36: cost, price, profit, cycles, dust, balances; and S21.

use super::*;

#[test]
fn rule_10_entry_price_is_cost_over_gross_and_a_sell_leaves_it() {
    let mut world = World::new();
    world.tell_all(&[buy("a", "1", "100", 1).fee(BTC, "0.0025"), buy("b", "1", "110", 2)]);
    assert_eq!((world.now().held, world.now().gross, world.now().cost), (q("1.9975"), q("2"), m("210")));
    assert_eq!(world.btc().entry_price(), Some(p("105")));
    world.tell(3, sell("c", "0.99875", "120", 3));
    assert_eq!((world.now().gross, world.now().cost), (q("1"), m("105")), "half of each leaves");
    assert_eq!(
        (world.btc().entry_price(), world.now().realised),
        (Some(p("105")), m("14.85")),
        "119.85 - 105"
    );
}

#[test]
fn rule_11_half_even_at_the_last_digit_and_the_emptying_fill_takes_all() {
    let unit = "0.000000000000000001";
    let mut world = World::new();
    world.tell_all(&[
        buy("a", "1", unit, 1),
        buy("b", "1", "0.000000000000000002", 2),
        sell("c", "1", "1", 3),
    ]);
    // 3 units of cost, half of them: 1.5 goes to the even 2.
    assert_eq!((world.now().cost, world.now().realised), (m(unit), m("0.999999999999999998")));
    world.tell(4, sell("d", "1", "1", 4));
    assert_eq!((world.now().cost, world.now().realised), (m("0"), m("1.999999999999999997")));
    // Fees: the entry's at entry, a base fee on a sale takes its cost along, a rebate is negative.
    let mut world = World::new();
    world.tell(1, buy("a", "2", "100", 1).fee(USD, "0.4"));
    assert_eq!(world.now().realised, m("-0.4"));
    world.tell(2, sell("b", "0.9", "110", 2).fee(BTC, "0.1"));
    assert_eq!((world.now().held, world.now().realised), (q("1"), m("-1.4")), "99 - 100 - 0.4");
    assert_eq!((world.now().sold, world.now().base_fees), (q("0.9"), q("0.1")));
    world.tell(3, sell("c", "1", "110", 3).fee(USD, "-0.1"));
    assert_eq!((world.now().realised, world.0.totals.quote_fees), (m("8.7"), m("0.3")));
}

#[test]
fn rule_12_exits_share_the_entry_fees_by_quantity() {
    let mut world = World::new();
    world.tell(1, buy("a", "2", "100", 1).fee(USD, "1")).tell(2, sell("b", "0.5", "110", 2).fee(USD, "0.1"));
    let first = world.btc().book.exit_results().expect("small numbers");
    // 55 - 50 - 0.1 = 4.9 as booked; a quarter of the entry fee belongs to it.
    assert_eq!(
        (first.len(), first[0].booked, first[0].entry_fees, first[0].net),
        (1, m("4.9"), m("0.25"), m("4.65"))
    );
    world.tell(3, sell("c", "1.5", "90", 3).fee(USD, "0.2"));
    let both = world.btc().book.exit_results().expect("small numbers");
    assert_eq!((both[1].booked, both[1].entry_fees, both[1].net), (m("-15.2"), m("0.75"), m("-15.95")));
    assert_eq!(world.now().realised, m("-11.3"), "4.65 - 15.95, and -1 + 4.9 - 15.2");
}

#[test]
fn rule_13_third_fees_drain_their_own_holding_in_any_order_of_arrival() {
    let bnb = FillBooked { instrument: BNB_USD, ..buy("n", "10", "50", 1) };
    let btc = buy("b", "1", "100", 2).fee(BNB, "0.25");
    for fills in [[bnb.clone(), btc.clone()], [btc, bnb]] {
        let mut world = World::new();
        world.tell_all(&fills);
        let held = &world.0.instruments[1].book.now;
        assert_eq!((held.held, held.gross, held.cost), (q("9.75"), q("10"), m("500")));
        assert_eq!((world.0.assets[2].third_fees, world.0.assets[2].since), (q("0.25"), q("9.75")));
        assert_eq!((world.now().cost, world.now().quote_fees), (m("100"), m("0")), "never converted");
    }
    // Unknown is not zero: the worst plausible base fee is assumed for what can be sold.
    let mut world = World::new();
    world.tell(1, FillBooked { fee: None, ..buy("u", "2", "100", 1) });
    assert_eq!((world.btc().held(), world.0.sellable(BTC_USD, Rate::new(5, 3))), (q("2"), q("1.99")));
    world.tell(
        2,
        FeeResolved {
            instrument: BTC_USD,
            trade: TradeId(Label::literal("u")),
            fee: Fee { asset: BTC, amount: q("0.002") },
        },
    );
    assert_eq!((world.btc().held(), world.0.sellable(BTC_USD, Rate::new(5, 3))), (q("1.998"), q("1.998")));
    assert_eq!((world.0.assets[1].fees, world.btc().book.fees_unknown), (q("0.002"), 0));
    let known = FeeResolved {
        instrument: BTC_USD,
        trade: TradeId(Label::literal("u")),
        fee: Fee { asset: BTC, amount: q("9") },
    };
    world.tell(3, known);
    assert_eq!(
        (world.btc().held(), world.anomalies(AnomalyKind::OutOfOrder)),
        (q("1.998"), 1),
        "the first stands"
    );
    // A fee beyond its own fill is booked, takes what there is and never makes a holding negative.
    let mut world = World::new();
    world.tell(1, buy("f", "1", "100", 1).fee(BTC, "1.5"));
    assert_eq!((world.btc().held(), world.now().realised, world.now().cycle), (q("0"), m("-100"), 1));
    assert_eq!(world.btc().book.ended.len(), 1);
}

#[test]
fn rule_14_both_sides_to_the_last_digit() {
    let mut world = World::new();
    world
        .tell(1, buy("a", "3", "33.33", 1).fee(USD, "0.07"))
        .tell(2, sell("b", "1", "40", 2).fee(USD, "0.03"));
    world.tell(3, correction(1, CorrectionKind::Missing, "0.5", None, 3));
    world.tell(4, correction(2, CorrectionKind::Adopted, "1", Some("30"), 0));
    world.tell(5, correction(3, CorrectionKind::Cost, "2.5", Some("35"), 5));
    world
        .tell(6, sell("c", "3", "50", 6))
        .tell(7, ExcessSellSettled { instrument: BTC_USD, excess: q("0.5") });
    let totals = &world.0.totals;
    // 99.99 + 0.07 + 0.03 paid, 40 + 150 received.
    assert_eq!((totals.quote_paid, totals.quote_received), (m("100.09"), m("190")));
    assert_eq!(world.0.conservation(), Ok((m("-89.91"), m("-89.91"))));
    assert_eq!(totals.realised.plus(totals.corrections), Ok(m("89.91")), "nothing is held any more");
}

#[test]
fn rule_15_equity_counts_fills_since_the_balance_and_flows_are_no_profit() {
    let mut world = World::new();
    world.tell(1, balance(USD, "1000", "0", 1)).tell(2, buy("a", "1", "100", 2).fee(USD, "0.5"));
    assert_eq!(world.0.equity(|_| Some(p("120"))), (m("1019.5"), vec![]));
    assert_eq!(world.0.equity(|_| None), (m("899.5"), vec![BTC_USD]));
    world.tell(3, DayStarted { day: 1, equity: m("1019.5") });
    let flow =
        CashFlowRecorded { id: TradeId(Label::literal("d1")), asset: USD, quantity: q("50"), time: at(3) };
    world.tell(4, flow.clone()).tell(5, flow);
    assert_eq!((world.0.assets[0].net_flows, world.0.day.map(|d| d.net_flows)), (q("50"), Some(m("50"))));
    assert_eq!(world.0.equity(|_| Some(p("120"))).0, m("1069.5"));
    assert_eq!(world.0.totals.realised, m("-0.5"));
    // The next balance contains what was executed before it was asked for.
    world.tell(6, balance(USD, "949.5", "0", 6));
    assert_eq!((world.0.assets[0].since, world.0.equity(|_| Some(p("120"))).0), (q("0"), m("1069.5")));
    assert_eq!(world.0.assets[0].first.map(|b| b.total), Some(q("1000")));
}

#[test]
fn rule_16_cycles_end_at_zero_and_late_fills_restate_or_reopen_them() {
    let mut world = World::new();
    world.tell_all(&[buy("a", "1", "100", 1), sell("b", "1", "110", 5), buy("c", "1", "200", 9)]);
    assert_eq!((world.now().cycle, world.btc().book.ended.len()), (2, 1));
    let opened = world.btc().opened;
    world.tell(10, sell("d", "0.5", "108", 3)).tell(10, buy("e", "0.5", "104", 2));
    let first = &world.btc().book.ended[0].sums;
    // 1.5 at 101.33.. less 54 at 3, less 110 at 5: 164 - 152.
    assert_eq!((first.realised, first.cycle, first.opened, first.last), (m("12"), 1, at(1), at(5)));
    assert_eq!((world.now().cycle, world.now().cost, world.btc().opened), (2, m("200"), opened));
    // A late sell closes the open cycle, a late buy in it opens it again.
    let mut world = World::new();
    world.tell(1, buy("a", "1", "100", 1)).tell(5, sell("b", "1", "110", 5));
    assert_eq!((world.btc().is_open(), world.0.exposure_count()), (false, 0));
    world.tell(6, buy("late", "0.5", "100", 0));
    let lsn = world.0.lsn;
    assert_eq!((world.btc().held(), world.now().cycle, world.now().opened), (q("0.5"), 1, at(0)));
    assert_eq!((world.btc().opened, world.btc().book.ended.len(), world.0.exposure_count()), (lsn, 0, 1));
}

#[test]
fn rule_17_sellable_leaves_alone_what_is_not_ours() {
    let mut world = World::new();
    world.tell(1, buy("a", "1.00007", "100", 1));
    assert_eq!(world.0.sellable(BTC_USD, Rate::ZERO), q("1"), "floored; no balance is known yet");
    world.tell(2, exit(1, "0.4", ExitReason::Stop));
    world.tell(3, balance(BTC, "1.00007", "0.4", 3));
    assert_eq!(world.0.sellable(BTC_USD, Rate::ZERO), q("1"), "our own exit reserves the 0.4");
    assert_eq!(world.btc().live_exits_quantity(&world.0), q("0.4"));
    world.tell(4, balance(BTC, "1.00007", "0.7", 4));
    assert_eq!(world.0.sellable(BTC_USD, Rate::ZERO), q("0.7"), "0.3 is reserved by others");
    world.tell(5, balance(BTC, "0.8", "0.4", 5));
    assert_eq!(world.0.sellable(BTC_USD, Rate::ZERO), q("0.8"), "we cannot sell what is not there");
}

#[test]
fn rule_18_dust_has_its_own_ledger_and_returns_by_command() {
    let mut world = World::new();
    world.tell(1, buy("a", "1.00005", "100", 1)).tell(2, sell("z9", "1", "110", 2));
    world.tell(2, DustKept { instrument: BTC_USD, cycle: 1, quantity: q("0.00005"), cost: m("0.005") });
    assert_eq!(
        (world.btc().is_open(), world.btc().dust.quantity, world.btc().dust.cost),
        (false, q("0.00005"), m("0.005"))
    );
    assert_eq!((world.now().dust, world.0.exposure_count()), (q("0.00005"), 0));
    // The venue's clock lies behind ours: the next buy is still not mixed with the dust.
    world.tell(3, buy("b", "1", "100", 2).fee(USD, "0"));
    world.tell(4, buy("c", "1", "120", 4));
    assert_eq!(world.btc().dust.quantity, q("0.00005"));
    let back = DustReturned {
        instrument: BTC_USD,
        by: Label::literal("ann"),
        quantity: q("0.00005"),
        cost: m("0.005"),
    };
    world.tell(4, back.clone());
    assert_eq!(
        (world.btc().held(), world.now().cost, world.btc().dust.quantity),
        (q("2.00005"), m("220.005"), q("0"))
    );
    world.tell(5, back);
    assert_eq!(world.btc().held(), q("2.00005"), "there is no more of it");
    // Kept and returned at one and the same time.
    let mut world = World::new();
    world.tell(1, buy("a", "0.00005", "100", 1));
    world.tell(1, DustKept { instrument: BTC_USD, cycle: 1, quantity: q("0.00005"), cost: m("0.005") });
    world.tell(
        1,
        DustReturned { instrument: BTC_USD, by: Label::EMPTY, quantity: q("0.00005"), cost: m("0.005") },
    );
    assert_eq!((world.btc().held(), world.now().cycle), (q("0.00005"), 2));
}

#[test]
fn rule_36_available_is_what_no_order_and_no_intent_has() {
    let limit = |order, quantity: &str, price: &str| OrderIntended {
        kind: OrderKind::Limit { price: p(price), time_in_force: TimeInForce::GoodTillCancel },
        ..entry(order, quantity)
    };
    let mut world = World::new();
    assert_eq!(world.0.available(USD), None, "nothing is known yet");
    world.tell(1, limit(1, "3", "100")).tell(2, balance(USD, "1000", "200", 2));
    assert_eq!(world.0.available(USD), Some(q("700")), "ours is more than what the venue shows");
    world.tell(3, balance(USD, "1000", "350", 3));
    assert_eq!(world.0.available(USD), Some(q("650")));
    world.tell(4, limit(2, "1", "90"));
    assert_eq!((world.0.available(USD), world.0.reserved(USD)), (Some(q("560")), q("390")), "intended since");
    world.tell(5, buy("a", "1", "80", 5).of(2)).tell(5, ended(2, OrderEnd::Filled));
    assert_eq!(world.0.available(USD), Some(q("570")), "80 were paid instead of 90");
    assert_eq!((world.0.assets[0].touched, world.0.assets[0].touched_lsn), (at(5), Lsn(world.0.lsn.0 - 1)));
}

#[test]
fn s21_a_fee_in_the_base_coin() {
    let mut world = World::new();
    world.tell(1, buy("a", "0.0001", "50000", 1).fee(BTC, "0.00000025"));
    assert_eq!((world.btc().held(), world.btc().entry_price()), (q("0.00009975"), Some(p("50000"))));
    world.tell(2, balance(BTC, "0.00009975", "0", 2));
    let fine = aegis_model::Instrument { quantity_tick: q("0.00000001"), ..world.btc().spec };
    world.tell(3, InstrumentListed { instrument: BTC_USD, spec: fine });
    assert_eq!(world.0.sellable(BTC_USD, Rate::ZERO), q("0.00009975"), "and not 0.0001");
}
