//! Rows into facts and orders into requests, by hand.

use super::*;
use crate::reply::{Asked, judge_read};
use crate::request::Method;
use crate::rows::PositionBalance;
use crate::wire::{Ms, Rows, Spare};
use crate::words::JournalType;
use aegis_model::{OrderId, Quantity, Timestamp, TradeId, VenueOrderId};

const BTC_USDT: InstrumentId = InstrumentId(3);

fn client() -> ClientOrderId {
    ClientOrderId { installation: 0xab, run: 7, order: OrderId(12) }
}

#[test]
fn orders_become_requests() {
    let order = |kind, side| Place {
        client: client(),
        instrument: BTC_USDT,
        side,
        kind,
        quantity: Quantity::new(1496, 5),
    };
    let check = |order: &Place, target: &str, params: &str| {
        let request = place(order, Label::literal("BTC_USDT"), RefPriceType::LastPrice);
        assert_eq!(request.method().name(), target);
        let frame = request.frame(1, 2);
        let expected =
            alloc::format!(r#""params":{{"client_oid":"00000000ab-00000007-12",{params}}},"nonce":2}}"#);
        assert!(frame.ends_with(&expected), "{frame}");
    };
    let price = Price::new(59900, 0);
    check(
        &order(OrderKind::StopLoss { trigger: price }, aegis_model::Side::Sell),
        "private/advanced/create-order",
        r#""instrument_name":"BTC_USDT","quantity":"0.01496","ref_price":"59900","ref_price_type":"LAST_PRICE","side":"SELL","type":"STOP_LOSS""#,
    );
    check(
        &order(OrderKind::TakeProfit { trigger: price }, aegis_model::Side::Sell),
        "private/advanced/create-order",
        r#""instrument_name":"BTC_USDT","quantity":"0.01496","ref_price":"59900","ref_price_type":"LAST_PRICE","side":"SELL","type":"TAKE_PROFIT""#,
    );
    check(
        &order(OrderKind::Market, aegis_model::Side::Sell),
        "private/create-order",
        r#""instrument_name":"BTC_USDT","quantity":"0.01496","side":"SELL","type":"MARKET""#,
    );
    let limit = |time_in_force| OrderKind::Limit { price, time_in_force };
    for (time_in_force, words) in [
        (aegis_model::TimeInForce::GoodTillCancel, r#""time_in_force":"GOOD_TILL_CANCEL""#),
        (aegis_model::TimeInForce::ImmediateOrCancel, r#""time_in_force":"IMMEDIATE_OR_CANCEL""#),
        (aegis_model::TimeInForce::FillOrKill, r#""time_in_force":"FILL_OR_KILL""#),
    ] {
        let params = alloc::format!(
            r#""instrument_name":"BTC_USDT","price":"59900","quantity":"0.01496","side":"BUY",{words},"type":"LIMIT""#
        );
        check(&order(limit(time_in_force), aegis_model::Side::Buy), "private/create-order", &params);
    }
    check(
        &order(limit(aegis_model::TimeInForce::PostOnly), aegis_model::Side::Buy),
        "private/create-order",
        r#""exec_inst":["POST_ONLY"],"instrument_name":"BTC_USDT","price":"59900","quantity":"0.01496","side":"BUY","time_in_force":"GOOD_TILL_CANCEL","type":"LIMIT""#,
    );
}

#[test]
fn rows_become_facts() {
    let row = OrderRow {
        client_oid: Some(client().label()),
        order_id: VenueOrderId(Label::literal("1")),
        status: OrderStatus::Canceled,
        side: Side::Buy,
        quantity: Quantity::new(2, 0),
        cumulative_quantity: Quantity::new(1, 0),
        cumulative_value: Money::new(5, 0),
        limit_price: Some(Price::new(5, 0)),
        update_time: Some(Ms(Timestamp(9_000_000))),
        ..OrderRow::default()
    };
    let fact = order_row(&row, BTC_USDT).expect("a fact");
    assert_eq!((fact.client, fact.status), (Some(client()), RowStatus::Cancelled));
    assert_eq!((fact.cumulative, fact.updated), (Quantity::new(1, 0), Timestamp(9_000_000)));
    let fault = |row: OrderRow| order_row(&row, BTC_USDT).err().map(|misfit| misfit.member);
    let strange = OrderStatus::Unknown(Label::literal("HALF_DONE"));
    assert_eq!(fault(OrderRow { status: strange, ..row.clone() }), Some("status"), "never a guess");
    assert_eq!(fault(OrderRow { side: Side::default(), ..row.clone() }), Some("side"));
    assert_eq!(fault(OrderRow { update_time: None, ..row.clone() }), Some("update_time"));
    let foreign = OrderRow { client_oid: Some(Label::literal("by-hand")), ..row };
    assert_eq!(order_row(&foreign, BTC_USDT).map(|fact| fact.client), Ok(None));
}

#[test]
fn fills_turn_the_sign_of_the_fee() {
    let row = TradeRow {
        trade_id: TradeId(Label::literal("41")),
        side: Side::Buy,
        traded_price: Price::new(6123450, 2),
        traded_quantity: Quantity::new(5, 3),
        fees: Some(Quantity::new(-125, 7)),
        create_time: Some(Ms(Timestamp(1))),
        ..TradeRow::default()
    };
    let fact = trade(&row, BTC_USDT, Some(AssetId(2))).expect("a fact");
    assert_eq!(fact.fee, Some(Fee { asset: AssetId(2), amount: Quantity::new(125, 7) }));
    let unknown = |row: &TradeRow, asset| trade(row, BTC_USDT, asset).expect("a fact").fee;
    assert_eq!(unknown(&row, None), None, "unknown, never 0");
    assert_eq!(unknown(&TradeRow { fees: None, ..row.clone() }, Some(AssetId(2))), None);
    let fault = |row: TradeRow| trade(&row, BTC_USDT, None).err().map(|misfit| misfit.member);
    assert_eq!(fault(TradeRow { traded_price: Price::ZERO, ..row.clone() }), Some("traded_price"));
    assert_eq!(
        fault(TradeRow { traded_quantity: Quantity::new(-1, 0), ..row.clone() }),
        Some("traded_quantity")
    );
    assert_eq!(fault(TradeRow { create_time: None, ..row }), Some("create_time"));
}

#[test]
fn a_part_of_the_balances_is_not_the_whole() {
    let coin = |reserved: Option<Quantity>| PositionBalance {
        instrument_name: Label::literal("BTC"),
        quantity: Quantity::new(149625, 7),
        reserved_qty: reserved,
        market_value: Spare(None),
        ..PositionBalance::default()
    };
    let account =
        |coins: Rows<PositionBalance>| BalanceRow { position_balances: coins, ..BalanceRow::default() };
    let whole = account(Rows::of(vec![coin(Some(Quantity::ZERO))]));
    let facts = balances(core::slice::from_ref(&whole)).expect("facts");
    assert_eq!((facts.len(), facts[0].total), (1, Quantity::new(149625, 7)));
    assert_eq!(balances(&[]).err().map(|m| m.member), Some("data"), "no row is no empty account");
    let silent = account(Rows::of(vec![coin(None)]));
    assert_eq!(balances(&[silent]).err().map(|m| m.member), Some("reserved_qty"));
    let mut torn = whole;
    torn.position_balances.misfits.push(misfit("quantity", Fault::Form));
    assert_eq!(balances(&[torn]).err().map(|m| m.member), Some("quantity"));
}

#[test]
fn flows_are_what_trades_do_not_explain() {
    let row = |journal_type| TransactionRow {
        journal_type,
        instrument_name: Some(Label::literal("BTC")),
        transaction_qty: Quantity::new(1, 0),
        event_timestamp_ms: Some(Ms(Timestamp(5))),
        ..TransactionRow::default()
    };
    assert_eq!(flow(&row(JournalType::Trading)), Ok(None));
    assert_eq!(flow(&row(JournalType::TradeFee)), Ok(None));
    for kind in [JournalType::OnchainDeposit, JournalType::ManualConversion, JournalType::default()] {
        assert!(matches!(flow(&row(kind)), Ok(Some(_))), "{kind:?}");
    }
}

#[test]
fn only_spot_is_listed() {
    let body = br#"{"id": 1, "method": "public/get-instruments", "code": 0, "result": {"data": [
      {"symbol": "BTC_USDT", "inst_type": "CCY_PAIR", "display_name": "BTC/USDT", "base_ccy": "BTC", "quote_ccy": "USDT",
       "quote_decimals": 2, "quantity_decimals": 5, "price_tick_size": "0.01", "qty_tick_size": "0.00001",
       "max_leverage": "50", "tradable": true, "expiry_timestamp_ms": 0, "beta_product": false},
      {"symbol": "BTCUSD-PERP", "inst_type": "PERPETUAL_SWAP", "base_ccy": "BTC", "quote_ccy": "USD", "quote_decimals": 1,
       "quantity_decimals": 4, "price_tick_size": "0.1", "qty_tick_size": "0.0001", "tradable": true}]}}"#;
    let asked = Asked { method: Method::GetInstruments, id: None, client_oid: None };
    let rows =
        judge_read::<crate::wire::Listing<InstrumentRow>>(&asked, Some(200), body).found().expect("rows");
    let listed: Vec<_> =
        rows.data.rows.iter().filter_map(|row| listed_instrument(row, Money::new(1, 0))).collect();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].price_tick, listed[0].quantity_tick), (Price::new(1, 2), Quantity::new(1, 5)));
}

#[test]
fn refusals_by_hand() {
    let check = |code: i64, class: Option<RejectClass>| {
        assert_eq!(
            reject_class(code, crate::code::class_for(code, Method::AdvancedCreateOrder)),
            class,
            "{code}"
        );
    };
    check(306, Some(RejectClass::InsufficientBalance));
    check(415, Some(RejectClass::TooSmall));
    check(315, Some(RejectClass::PriceOut));
    check(50007, Some(RejectClass::PriceOut));
    check(42901, Some(RejectClass::Later));
    check(40102, Some(RejectClass::Later));
    check(204, Some(RejectClass::Duplicate));
    check(213, Some(RejectClass::Permanent));
    check(43004, None);
    check(50001, None);
    check(212, None);
    check(123_456, None);
}
