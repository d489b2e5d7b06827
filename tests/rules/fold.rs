//! Rules 1 to 18: fills, orders, cost, profit, cycles, dust.

use super::ledger::*;
use aegis_model::event::{
    AnomalyKind, BalanceRecorded, CorrectionBooked, CorrectionKind, DustKept, DustReturned,
    ExcessSellSettled, FeeResolved, FillInferred, OrderAcknowledged, OrderAmended, OrderEnded,
    PositionClosed,
};
use aegis_model::order::{OrderEnd, OrderStatus};
use aegis_model::{OrderId, Side, Timestamp, VenueOrderId};
use aegis_tests::{label, money, price, quantity, rate};
use proptest::prelude::*;

proptest! {
    #[test]
    fn rule_01_every_delivery_order_gives_the_same_position(order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle()) {
        let fills = [
            fill("a", Side::Buy, "1", "100", 1),
            fill("b", Side::Buy, "0.5", "110", 2),
            fill("c", Side::Sell, "0.7", "120", 3),
            fill("d", Side::Buy, "0.3", "90", 3),
            with_fee(fill("e", Side::Sell, "0.4", "105", 4), USDT, "0.01"),
            with_fee(fill("f", Side::Buy, "0.2", "101", 5), BTC_COIN, "0.001"),
            fill("g", Side::Sell, "0.3", "99", 6),
        ];
        let mut straight = fresh();
        for f in &fills {
            apply(&mut straight, 10, f.clone());
        }
        let mut shuffled = fresh();
        for at in order {
            apply(&mut shuffled, 10, fills[at].clone());
        }
        let (one, two) = (&btc(&straight).book.now, &btc(&shuffled).book.now);
        prop_assert_eq!(one, two);
        prop_assert_eq!(&straight.totals.realised, &shuffled.totals.realised);
    }
}

#[test]
fn rule_02_a_sell_that_finds_too_little_waits_and_its_excess_is_external() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b1", Side::Buy, "1", "100", 1));
    apply(&mut state, 2, fill("s1", Side::Sell, "1.5", "120", 2));
    assert_eq!((btc(&state).held(), btc(&state).book.now.waiting), (quantity("0"), quantity("0.5")));
    assert_eq!(state.totals.realised, money("20"), "the matched part");
    // The next buy in that order is matched.
    apply(&mut state, 3, fill("b2", Side::Buy, "0.2", "90", 3));
    assert_eq!(btc(&state).book.now.waiting, quantity("0.3"));
    assert_eq!(state.totals.realised, money("26"), "0.2 x (120 - 90)");
    // What a complete comparison does not explain becomes an external sell.
    apply(&mut state, 4, ExcessSellSettled { instrument: BTC, excess: quantity("0.3") });
    assert_eq!((btc(&state).held(), btc(&state).book.now.waiting), (quantity("0"), quantity("0")));
    assert_eq!((state.totals.realised, state.totals.corrections), (money("26"), money("36")));
}

#[test]
fn rule_03_a_fill_booked_where_it_arrives_joins_at_the_end() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b1", Side::Buy, "1", "100", 1));
    // The engine moves the execution time of such a fill to now; the fold books it there.
    apply(&mut state, 9, fill("late", Side::Buy, "1", "200", 9));
    assert_eq!(btc(&state).entry_price(), Some(price("150")));
    assert_eq!(btc(&state).book.entries.back().map(|e| e.id), Some(label("late")));
}

#[test]
fn rule_04_an_overfill_counts_and_an_inferred_fill_never_exceeds_the_order() {
    let mut state = fresh();
    apply(&mut state, 1, intent(1, Side::Buy, "1"));
    let over = |id: &str| aegis_model::event::FillBooked {
        order: OrderId(1),
        ..fill(id, Side::Buy, "0.8", "100", 2)
    };
    apply(&mut state, 2, over("x"));
    let inferred = FillInferred {
        order: OrderId(1),
        quantity: quantity("0.3"),
        value: money("30"),
        executed: Timestamp(3),
    };
    apply(&mut state, 3, inferred);
    assert_eq!(btc(&state).held(), quantity("0.8"), "0.3 would exceed the order");
    assert_eq!(state.totals.anomalies[&AnomalyKind::Overfill], 1);
    apply(&mut state, 4, over("y"));
    assert_eq!(btc(&state).held(), quantity("1.6"), "a real overfill is a fact");
}

#[test]
fn rule_05_an_ended_order_stays_ended_and_late_fills_may_complete_it() {
    let mut state = fresh();
    apply(&mut state, 1, intent(1, Side::Buy, "1"));
    let part = |id: &str, amount: &str| aegis_model::event::FillBooked {
        order: OrderId(1),
        ..fill(id, Side::Buy, amount, "100", 2)
    };
    apply(&mut state, 2, part("x", "0.4"));
    apply(
        &mut state,
        3,
        OrderEnded { order: OrderId(1), end: OrderEnd::Cancelled, cumulative: Some(quantity("0.4")) },
    );
    apply(&mut state, 4, OrderAcknowledged { order: OrderId(1), venue_order: VenueOrderId(label("9")) });
    assert!(state.order(OrderId(1)).is_none(), "never open again");
    apply(&mut state, 5, part("y", "0.6"));
    let ended = state.orders.ended(OrderId(1)).expect("it is remembered");
    assert_eq!((ended.end, ended.order.filled), (OrderEnd::Filled, quantity("1")));
    assert_eq!(state.totals.ended[&OrderEnd::Cancelled], 0);
    assert_eq!(btc(&state).held(), quantity("1"));
}

#[test]
fn rule_06_real_fills_supersede_the_inferred_part_piece_by_piece() {
    let mut state = fresh();
    apply(&mut state, 1, intent(1, Side::Buy, "1"));
    let infer = |q: &str, v: &str| FillInferred {
        order: OrderId(1),
        quantity: quantity(q),
        value: money(v),
        executed: Timestamp(2),
    };
    apply(&mut state, 2, infer("1", "101"));
    assert_eq!((btc(&state).held(), btc(&state).entry_price()), (quantity("1"), Some(price("101"))));
    // A real fill of 0.4 at 100: 61 is left for 0.6.
    let real = |id: &str, q: &str, p: &str| aegis_model::event::FillBooked {
        order: OrderId(1),
        ..fill(id, Side::Buy, q, p, 2)
    };
    apply(&mut state, 3, real("x", "0.4", "100"));
    apply(&mut state, 3, infer("0.6", "61"));
    assert_eq!((btc(&state).held(), btc(&state).book.now.cost), (quantity("1"), money("101")));
    apply(&mut state, 4, real("y", "0.6", "102"));
    apply(&mut state, 4, infer("0", "0"));
    assert_eq!((btc(&state).held(), btc(&state).book.now.cost), (quantity("1"), money("101.2")));
}

#[test]
fn rule_07_a_repeat_counts_once_and_other_numbers_change_nothing() {
    let mut state = fresh();
    apply(&mut state, 1, fill("x", Side::Buy, "1", "100", 1));
    apply(&mut state, 2, fill("x", Side::Buy, "1", "100", 1));
    assert_eq!((state.totals.fills, state.totals.anomalies.len()), (1, 0));
    apply(&mut state, 3, fill("x", Side::Buy, "2", "100", 1));
    assert_eq!(btc(&state).held(), quantity("1"), "the first stands");
    assert_eq!(state.totals.anomalies[&AnomalyKind::FillMismatch], 1);
}

#[test]
fn rule_08_amendments_never_shrink_below_filled_and_a_fill_implies_acceptance() {
    let mut state = fresh();
    apply(&mut state, 1, intent(1, Side::Buy, "1"));
    apply(
        &mut state,
        2,
        aegis_model::event::FillBooked { order: OrderId(1), ..fill("x", Side::Buy, "0.4", "100", 2) },
    );
    assert_eq!(state.orders[&OrderId(1)].status, OrderStatus::PartiallyFilled);
    apply(&mut state, 3, OrderAmended { order: OrderId(1), price: None, quantity: quantity("0.1") });
    assert_eq!(state.orders[&OrderId(1)].quantity, quantity("0.4"));
}

#[test]
fn rule_10_price_without_fees_and_a_base_fee_lowers_held_alone() {
    let mut state = fresh();
    apply(&mut state, 1, with_fee(fill("x", Side::Buy, "1", "100", 1), BTC_COIN, "0.0025"));
    let now = &btc(&state).book.now;
    assert_eq!((now.held, now.gross, now.cost), (quantity("0.9975"), quantity("1"), money("100")));
    assert_eq!(btc(&state).entry_price(), Some(price("100")), "cost / gross");
    apply(&mut state, 2, fill("s", Side::Sell, "0.4", "120", 2));
    let moved = btc(&state).entry_price().expect("open").0.minus(aegis_tests::n("100")).expect("fits").abs();
    assert!(
        moved <= aegis_tests::n("0.000000000000001"),
        "it stays, up to the last digits of a share: {moved}"
    );
}

#[test]
fn rule_11_cost_leaves_half_even_and_the_last_sale_takes_all() {
    let mut state = fresh();
    apply(&mut state, 1, with_fee(fill("x", Side::Buy, "3", "33.33", 1), USDT, "0.5"));
    assert_eq!(state.totals.realised, money("-0.5"), "the whole entry fee at entry");
    apply(&mut state, 2, fill("s1", Side::Sell, "1", "40", 2));
    apply(&mut state, 3, fill("s2", Side::Sell, "1", "40", 3));
    apply(&mut state, 4, with_fee(fill("s3", Side::Sell, "1", "40", 4), USDT, "0.1"));
    let ended = &btc(&state).book.ended[0].sums;
    assert_eq!(
        (btc(&state).book.now.cost, ended.realised),
        (money("0"), money("19.41")),
        "120 - 99.99 - 0.6"
    );
    // A base fee on a sell leaves with the sale and its cost counts; a rebate is a negative fee.
    let mut state = fresh();
    apply(&mut state, 1, fill("x", Side::Buy, "1", "100", 1));
    apply(&mut state, 2, with_fee(fill("s", Side::Sell, "0.5", "100", 2), BTC_COIN, "0.1"));
    assert_eq!((btc(&state).held(), state.totals.realised), (quantity("0.4"), money("-10")));
    apply(&mut state, 3, with_fee(fill("r", Side::Sell, "0.4", "100", 3), USDT, "-0.2"));
    assert_eq!(state.totals.realised, money("-9.8"));
}

#[test]
fn rule_12_exits_share_the_entry_fee_and_both_views_agree_at_the_close() {
    let mut state = fresh();
    apply(&mut state, 1, with_fee(fill("x", Side::Buy, "2", "100", 1), USDT, "1"));
    apply(&mut state, 2, fill("s1", Side::Sell, "1", "110", 2));
    let half = btc(&state).book.exit_results().expect("in range");
    assert_eq!((half.len(), half[0].net), (1, money("9.5")), "10 less half of the entry fee");
    apply(&mut state, 3, fill("s2", Side::Sell, "1", "110", 3));
    let whole = btc(&state).book.exit_results().expect("in range");
    let net = whole.iter().map(|r| r.net).try_fold(money("0"), |sum, net| sum.plus(net)).expect("in range");
    assert_eq!((net, btc(&state).book.ended[0].sums.realised), (money("19"), money("19")));
}

#[test]
fn rule_13_a_third_asset_fee_drains_its_own_position_and_unknown_is_not_zero() {
    let mut state = fresh();
    let cro = aegis_model::event::FillBooked { instrument: CRO, ..fill("c", Side::Buy, "100", "0.1", 1) };
    apply(&mut state, 1, cro);
    apply(&mut state, 2, with_fee(fill("x", Side::Buy, "1", "100", 2), CRO_COIN, "3"));
    assert_eq!(state.assets[2].third_fees, quantity("3"));
    let held = state.instrument(CRO).map(|i| i.held());
    assert_eq!(held, Some(quantity("97")), "that holding falls like by a base fee");
    assert_eq!(btc(&state).book.now.cost, money("100"), "never converted");
    let unknown = aegis_model::event::FillBooked { fee: None, ..fill("u", Side::Buy, "1", "100", 3) };
    apply(&mut state, 3, unknown);
    assert_eq!(state.sellable(BTC, rate("0.01")), quantity("1.99"), "the largest plausible fee is assumed");
    let fee = aegis_model::event::Fee { asset: BTC_COIN, amount: quantity("0.0025") };
    apply(&mut state, 4, FeeResolved { instrument: BTC, trade: aegis_model::TradeId(label("u")), fee });
    assert_eq!(
        (btc(&state).held(), state.sellable(BTC, rate("0.01"))),
        (quantity("1.9975"), quantity("1.9975"))
    );
}

proptest! {
    #[test]
    fn rule_14_money_is_conserved_to_the_last_digit(
        fills in prop::collection::vec((any::<bool>(), 1i64..50_000, 1i64..9_000_000, 0i64..300, 0i64..40), 1..40)
    ) {
        let mut state = fresh();
        for (at, (buy, units, cents, fee, second)) in fills.into_iter().enumerate() {
            let side = if buy { Side::Buy } else { Side::Sell };
            let amount = aegis_model::Fixed::new(units, 5).to_string();
            let price = aegis_model::Fixed::new(cents, 2).to_string();
            let fee = aegis_model::Fixed::new(fee.min(units), 5).to_string();
            let asset = if at % 3 == 0 { BTC_COIN } else { USDT };
            // `apply` checks both sides of the law after every event.
            apply(&mut state, second, with_fee(fill(&format!("t{at}"), side, &amount, &price, second), asset, &fee));
            prop_assert!(!btc(&state).held().is_negative());
        }
    }
}

#[test]
fn rule_15_equity_names_what_it_cannot_price() {
    let mut state = fresh();
    let balance = |asset, total: &str| BalanceRecorded {
        snapshot: 1,
        asset,
        total: quantity(total),
        reserved: quantity("0"),
        requested: Timestamp(0),
    };
    apply(&mut state, 0, balance(USDT, "1000"));
    apply(&mut state, 1, fill("x", Side::Buy, "1", "100", 1));
    let cro = aegis_model::event::FillBooked { instrument: CRO, ..fill("c", Side::Buy, "100", "0.1", 1) };
    apply(&mut state, 1, cro);
    let (equity, unpriced) = state.equity(|id| (id == BTC).then(|| price("150")));
    assert_eq!((equity, unpriced), (money("1040"), vec![CRO]), "1000 - 100 - 10 + 150");
}

#[test]
fn rule_16_cycles_begin_and_end_and_a_late_fill_reopens_one() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b", Side::Buy, "1", "100", 1));
    apply(&mut state, 3, fill("s", Side::Sell, "1", "110", 3));
    assert_eq!((btc(&state).is_open(), btc(&state).book.ended.len()), (false, 1));
    // A late buy, executed between the two: the cycle is open again, from its earliest execution.
    apply(&mut state, 5, fill("late", Side::Buy, "0.5", "100", 2));
    let now = &btc(&state).book.now;
    assert_eq!((now.held, now.cycle, now.opened), (quantity("0.5"), 1, Timestamp(aegis_model::ids::SECOND)));
    apply(&mut state, 6, fill("s2", Side::Sell, "0.5", "100", 6));
    apply(&mut state, 7, fill("b2", Side::Buy, "1", "100", 7));
    assert_eq!(btc(&state).book.now.cycle, 2);
}

#[test]
fn rule_17_sellable_is_what_the_venue_has_for_us_floored() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b", Side::Buy, "1.00009", "100", 1));
    assert_eq!(state.sellable(BTC, rate("0")), quantity("1"), "floored to the tick");
    let balance = BalanceRecorded {
        snapshot: 1,
        asset: BTC_COIN,
        total: quantity("1.00009"),
        reserved: quantity("0.4"),
        requested: Timestamp(2 * aegis_model::ids::SECOND),
    };
    apply(&mut state, 2, balance);
    assert_eq!(state.sellable(BTC, rate("0")), quantity("0.6"), "somebody else reserves 0.4");
}

#[test]
fn rule_18_dust_keeps_its_cost_and_returns_by_command_only() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b", Side::Buy, "1.00005", "100", 1));
    apply(&mut state, 2, fill("s", Side::Sell, "1", "110", 2));
    let (held, cost) = (btc(&state).held(), btc(&state).book.now.cost);
    apply(&mut state, 3, DustKept { instrument: BTC, cycle: 1, quantity: held, cost });
    assert!(!btc(&state).is_open(), "the position is closed");
    assert_eq!((btc(&state).dust.quantity, btc(&state).dust.cost), (quantity("0.00005"), money("0.005")));
    apply(&mut state, 4, fill("b2", Side::Buy, "1", "100", 4));
    assert_eq!(btc(&state).held(), quantity("1"), "never added by itself");
    let (quantity_back, cost_back) = (btc(&state).dust.quantity, btc(&state).dust.cost);
    let back = DustReturned { instrument: BTC, by: label("alice"), quantity: quantity_back, cost: cost_back };
    apply(&mut state, 5, back);
    assert_eq!((btc(&state).held(), btc(&state).dust.quantity), (quantity("1.00005"), quantity("0")));
}

#[test]
fn rule_40_what_is_missing_leaves_at_average_cost_and_not_through_profit() {
    let mut state = fresh();
    apply(&mut state, 1, fill("b", Side::Buy, "1", "100", 1));
    apply(&mut state, 2, fill("b2", Side::Buy, "1", "120", 2));
    let gone = CorrectionBooked {
        id: [1; 16],
        instrument: BTC,
        kind: CorrectionKind::Missing,
        quantity: quantity("0.5"),
        average: None,
        lot: None,
        time: Timestamp(3 * aegis_model::ids::SECOND),
        evidence: aegis_model::Text::new("e"),
    };
    apply(&mut state, 3, gone.clone());
    assert_eq!((btc(&state).held(), btc(&state).book.now.cost), (quantity("1.5"), money("165")));
    assert_eq!((state.totals.realised, state.totals.corrections), (money("0"), money("-55")));
    // Rule 43: the same correction is never booked twice.
    apply(&mut state, 4, gone);
    assert_eq!(btc(&state).held(), quantity("1.5"));
}

#[test]
fn closed_cycles_are_told_once_and_history_is_not_state() {
    let mut state = fresh();
    for cycle in 0..400i64 {
        let second = cycle * 86_400;
        apply(&mut state, second, fill(&format!("b{cycle}"), Side::Buy, "1", "100", second));
        apply(&mut state, second, fill(&format!("s{cycle}"), Side::Sell, "1", "101", second + 1));
        let sums = btc(&state).book.ended.back().expect("ended").sums.clone();
        apply(
            &mut state,
            second,
            PositionClosed {
                instrument: BTC,
                cycle: sums.cycle,
                opened: sums.opened,
                closed: sums.last,
                bought: sums.bought,
                buy_value: sums.buy_value,
                sold: sums.sold,
                sell_value: sums.sell_value,
                quote_fees: sums.quote_fees,
                base_fees: sums.base_fees,
                realised: sums.realised,
                rate: rate("0.01"),
                dust: sums.dust,
                reason: None,
            },
        );
    }
    assert_eq!((state.totals.closed, state.totals.realised), (400, money("400")));
    assert!(
        btc(&state).book.entries.len() < 100,
        "only 30 days are remembered: {}",
        btc(&state).book.entries.len()
    );
    assert_eq!(btc(&state).book.now.cycle, 400);
}
