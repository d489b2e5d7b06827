//! The server's side against the machine-readable reference: every reply, refusal and frame validates, every request
//! does, and every example of the vendor is read.

#[path = "excerpt/schema.rs"]
mod schema;

use aegis_cryptocom::frame::{acknowledge, heartbeat};
use aegis_cryptocom::request::*;
use aegis_cryptocom::rows::*;
use aegis_cryptocom::server::{answer, answer_saying, done, refuse};
use aegis_cryptocom::wire::{Limit, Ms, Ns, Spare, Wire};
use aegis_cryptocom::words::*;
use aegis_cryptocom::{
    Asked, Code, Data, Frame, Integers, Listing, Push, ReadOutcome, Reading, Reply, Rows, Secret, Signer,
    WriteOutcome, auth_frame, heartbeat_answer, judge_read, judge_write,
};
use aegis_model::{Label, Money, Price, Quantity, Rate, Timestamp, TradeId, VenueOrderId};
use schema::Excerpt;
use serde_json::Value;

/// A whole millisecond, so that it survives both units.
const T: Timestamp = Timestamp(1_760_000_000_310_000_000);
const ACCOUNT: Label = Label::literal("11111111-2222-4333-8444-555555555555");
const BTC_USDT: Label = Label::literal("BTC_USDT");
const OURS: Label = Label::literal("aegis-7f3a-000001");

fn ms() -> Option<Ms> {
    Some(Ms(T))
}

fn ns() -> Option<Ns> {
    Some(Ns(T))
}

fn venue_id(text: &str) -> VenueOrderId {
    VenueOrderId(text.parse().expect("a label"))
}

fn trade_id(text: &str) -> TradeId {
    TradeId(text.parse().expect("a label"))
}

fn order(status: OrderStatus) -> OrderRow {
    OrderRow {
        account_id: Some(ACCOUNT),
        order_id: venue_id("6530219599901000701"),
        client_oid: Some(OURS),
        order_type: OrderType::Limit,
        time_in_force: Some(TimeInForce::GoodTillCancel),
        side: Side::Buy,
        exec_inst: Some(vec![ExecInst::PostOnly]),
        quantity: Quantity::new(15, 3),
        limit_price: Some(Price::new(6_123_450, 2)),
        order_value: Spare(Some(Money::new(9_185_175, 4))),
        maker_fee_rate: Spare(Some(Rate::new(25, 4))),
        taker_fee_rate: Spare(Some(Rate::new(5, 3))),
        avg_price: Some(Price::new(6_123_450, 2)),
        ref_price: Some(Price::ZERO),
        ref_price_type: Some(RefPriceType::Null),
        cumulative_quantity: Quantity::new(5, 3),
        cumulative_value: Money::new(3_061_725, 4),
        cumulative_fee: Spare(Some(Quantity::new(125, 7))),
        status,
        update_user_id: Some(ACCOUNT),
        order_date: Some(Label::literal("2025-10-09")),
        instrument_name: BTC_USDT,
        fee_instrument_name: Some(Label::literal("BTC")),
        create_time: ms(),
        create_time_ns: ns(),
        update_time: ms(),
        ..OrderRow::default()
    }
}

fn stop() -> OrderRow {
    OrderRow {
        order_type: OrderType::StopLoss,
        limit_price: None,
        ref_price: Some(Price::new(59_900, 0)),
        ref_price_type: Some(RefPriceType::MarkPrice),
        list_id: Some(venue_id("6498090546073999001")),
        contingency_type: Some(ContingencyType::Oco),
        leg_id: Some(2),
        trigger_price: Spare(Some(Price::new(59_890, 0))),
        exchange_order_id: Some(venue_id("6530219599901000702")),
        reject_reason: Some("INSUFFICIENT_AVAILABLE_BALANCE".into()),
        transaction_time: ms(),
        transaction_time_ns: ns(),
        reason: Some(306),
        ..order(OrderStatus::Pending)
    }
}

fn fill() -> TradeRow {
    TradeRow {
        account_id: Some(ACCOUNT),
        event_date: Some(Label::literal("2025-10-09")),
        journal_type: Some(JournalType::Trading),
        side: Side::Buy,
        instrument_name: BTC_USDT,
        fees: Some(Quantity::new(-125, 7)),
        fee_credits: Spare(Some(Quantity::ZERO)),
        trade_id: trade_id("6530219600001000041"),
        trade_match_id: Some(trade_id("4611686018430000041")),
        create_time: ms(),
        create_time_ns: ns(),
        traded_price: Price::new(6_123_450, 2),
        traded_quantity: Quantity::new(5, 3),
        fee_instrument_name: Some(Label::literal("BTC")),
        client_oid: Some(OURS),
        taker_side: Some(TakerSide::Maker),
        order_id: venue_id("6530219599901000701"),
        match_count: Spare(Some(1)),
        match_index: Spare(Some(0)),
        transact_time_ns: ns(),
        transaction_time: ns(),
    }
}

fn balance() -> BalanceRow {
    let dollars = Spare(Some(Money::new(908_148, 2)));
    BalanceRow {
        instrument_name: Some(Label::literal("USD")),
        is_liquidating: Some(false),
        total_available_balance: dollars,
        total_cash_balance: dollars,
        total_effective_leverage: Spare(Some(Rate::new(0, 0))),
        position_balances: Rows::of(vec![PositionBalance {
            instrument_name: Label::literal("XRP"),
            quantity: "29.01316839415396".parse().expect("a decimal"),
            reserved_qty: Some(Quantity::ZERO),
            max_withdrawal_balance: Spare(Some(Quantity::new(29, 0))),
            collateral_eligible: Spare(Some(true)),
            haircut: Spare(Some(Rate::new(1, 1))),
            ..PositionBalance::default()
        }]),
        ..BalanceRow::default()
    }
}

fn ticker() -> Ticker {
    Ticker {
        instrument: BTC_USDT,
        last: Some(Price::new(6_123_450, 2)),
        bid: Some(Price::new(6_123_449, 2)),
        bid_quantity: Some(Quantity::new(1, 1)),
        change: Spare(Some(Rate::new(-71, 4))),
        time: Ms(T),
        volume: Spare(Some(Quantity::new(81_240_317, 5))),
        ..Ticker::default()
    }
}

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price::new(price, 2), quantity: Quantity::new(quantity, 5), orders: 3 }
}

fn book() -> BookRow {
    BookRow {
        bids: vec![level(6_123_449, 42_010)],
        asks: vec![level(6_123_451, 11_000), level(6_123_500, 0)],
        time: ms(),
        changed: ms(),
        number: Some(90_011),
    }
}

fn public_trade() -> PublicTrade {
    PublicTrade {
        trade: trade_id("1760000000099000001"),
        matching: Some(trade_id("4611686018430000001")),
        instrument: BTC_USDT,
        price: Price::new(6_123_450, 2),
        quantity: Quantity::new(15, 3),
        taker: Side::Sell,
        time: Ms(T),
        time_ns: ns(),
    }
}

fn candle() -> CandleRow {
    let price = Price::new(6_121_000, 2);
    CandleRow {
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Quantity::new(311_004, 5),
        time: Ms(T),
    }
}

fn instrument() -> InstrumentRow {
    InstrumentRow {
        symbol: BTC_USDT,
        inst_type: InstrumentType::CcyPair,
        display_name: Some("BTC/USDT".into()),
        base_ccy: Label::literal("BTC"),
        quote_ccy: Label::literal("USDT"),
        quote_decimals: 2,
        quantity_decimals: 5,
        price_tick_size: Price::new(1, 2),
        qty_tick_size: Quantity::new(1, 5),
        max_leverage: Spare(Some(Rate::new(50, 0))),
        tradable: true,
        expiry_timestamp_ms: Spare(Some(Ms(Timestamp(0)))),
        beta_product: Some(false),
        margin_buy_enabled: Some(false),
        margin_sell_enabled: Some(true),
        ..InstrumentRow::default()
    }
}

fn ack() -> OrderAck {
    OrderAck { order_id: Some(venue_id("6530219599901000701")), client_oid: Some(OURS) }
}

fn acks() -> Vec<ListAck> {
    let first =
        ListAck { index: 0, code: 0, client_oid: Some(OURS), order_id: Some(venue_id("703")), message: None };
    let message = Some("INSUFFICIENT_AVAILABLE_BALANCE".to_owned());
    vec![first.clone(), ListAck { index: 1, code: 306, message, ..first }]
}

/// A successful answer of every method.
fn reply(method: Method, integers: Integers) -> Reply {
    fn of<T: Wire>(method: Method, result: &T, integers: Integers) -> Reply {
        answer(1_760_000_000_002, method, result, integers)
    }
    let open = || Listing::of(vec![order(OrderStatus::Active), order(OrderStatus::New)]);
    let closed = || Listing::of(vec![order(OrderStatus::Canceled), order(OrderStatus::Filled)]);
    match method {
        Method::GetInstruments => of(method, &Listing::of(vec![instrument()]), integers),
        Method::GetTickers => of(method, &Listing::of(vec![ticker()]), integers),
        Method::GetBook => {
            let result = BookResult { data: vec![book()], depth: Some(2), instrument_name: BTC_USDT };
            of(method, &result, integers)
        }
        Method::GetPublicTrades => of(method, &Listing::of(vec![public_trade()]), integers),
        Method::GetCandlestick => {
            let interval = Label::literal("1m");
            of(
                method,
                &CandleResult { data: Rows::of(vec![candle()]), instrument_name: BTC_USDT, interval },
                integers,
            )
        }
        Method::GetRiskParameters => {
            let bitcoin = BaseRisk {
                instrument_name: Label::literal("BTC"),
                min_order_notional_usd: Some(Money::new(1, 0)),
                max_order_notional_usd: Some(Money::new(1_000_000, 0)),
                ..BaseRisk::default()
            };
            let result =
                RiskParameters { base_currency_config: Rows::of(vec![bitcoin]), update_timestamp_ms: ms() };
            of(method, &result, integers)
        }
        Method::CreateOrder
        | Method::AmendOrder
        | Method::AdvancedCreateOrder
        | Method::AdvancedAmendOrder
        | Method::AdvancedCancelOrder => of(method, &ack(), integers),
        Method::CancelOrder => answer_saying(12, method, "NO_ERROR", &ack(), integers),
        Method::CreateOrderList
        | Method::CancelOrderList
        | Method::AdvancedCreateOrderList
        | Method::AdvancedCancelOrderList => of(method, &acks(), integers),
        Method::CancelAllOrders
        | Method::AdvancedCancelAllOrders
        | Method::AdvancedCancelOco
        | Method::AdvancedCancelOto
        | Method::AdvancedCancelOtoco
        | Method::SetCancelOnDisconnect
        | Method::Auth
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::RespondHeartbeat => done(1, method, integers),
        Method::GetOpenOrders => of(method, &open(), integers),
        Method::GetOrderDetail => of(method, &order(OrderStatus::Rejected), integers),
        Method::GetOrderHistory => of(method, &closed(), integers),
        Method::GetTrades => of(method, &Listing::of(vec![fill()]), integers),
        Method::GetTransactions => {
            let row = TransactionRow {
                account_id: Some(ACCOUNT),
                event_date: Some(Label::literal("2025-10-09")),
                journal_type: JournalType::OnchainDeposit,
                journal_id: trade_id("4611686018430000099"),
                transaction_qty: Quantity::new(15, 3),
                transaction_cost: Spare(Some(Money::new(9, 0))),
                event_timestamp_ms: ms(),
                event_timestamp_ns: ns(),
                instrument_name: Some(Label::literal("BTC")),
                ..TransactionRow::default()
            };
            of(method, &Listing::of(vec![row]), integers)
        }
        Method::UserBalance => of(method, &Listing::of(vec![balance()]), integers),
        Method::UserBalanceHistory => {
            let point = BalancePoint { value: Money::new(811_621_851, 6), time: Ms(T) };
            let result =
                BalancePoints { data: Rows::of(vec![point]), instrument_name: Some(Label::literal("USD")) };
            of(method, &result, integers)
        }
        Method::GetAccounts => {
            let account = AccountRow {
                uuid: ACCOUNT,
                label: Some("demo".into()),
                enabled: Some(true),
                margin_access: Some(Label::literal("DEFAULT")),
                create_time: ms(),
                ..AccountRow::default()
            };
            let result =
                AccountsResult { master_account: account.clone(), sub_account_list: Rows::of(vec![account]) };
            of(method, &result, integers)
        }
        Method::GetFeeRate => {
            let result = FeeRates {
                spot_maker_bps: Rate::new(25, 0),
                spot_taker_bps: Rate::new(50, 0),
                spot_tier: Some(Label::literal("1")),
                deriv_maker_bps: Spare(Some(Rate::new(15, 1))),
                ..FeeRates::default()
            };
            of(method, &result, integers)
        }
        Method::GetInstrumentFeeRate => {
            let (maker_bps, taker_bps) = (Rate::new(25, 0), Rate::new(50, 0));
            of(method, &InstrumentFeeRates { maker_bps, taker_bps, instrument_name: BTC_USDT }, integers)
        }
        Method::AdvancedCreateOco | Method::AdvancedCreateOto | Method::AdvancedCreateOtoco => {
            of(method, &ListMade { list_id: venue_id("6498090546073999001") }, integers)
        }
        Method::AdvancedGetOpenOrders | Method::AdvancedGetOrderListDetail => {
            of(method, &Listing::of(vec![stop()]), integers)
        }
        Method::AdvancedGetOrderDetail => of(method, &stop(), integers),
        Method::AdvancedGetOrderHistory => {
            of(method, &Listing::of(vec![OrderRow { status: OrderStatus::Expired, ..stop() }]), integers)
        }
        Method::GetCancelOnDisconnect => {
            of(method, &DisconnectResult { scope: Some(Label::literal("CONNECTION")) }, integers)
        }
    }
}

/// A request of every private method that the excerpt describes.
fn request(method: Method) -> Option<Request> {
    let plain = || CreateOrder {
        instrument_name: BTC_USDT,
        side: Side::Buy,
        order_type: OrderType::Limit,
        price: Some(Price::new(6_123_450, 2)),
        quantity: Some(Quantity::new(15, 3)),
        client_oid: Some(OURS),
        time_in_force: Some(TimeInForce::GoodTillCancel),
        exec_inst: Some(vec![ExecInst::PostOnly]),
        spot_margin: Some(SpotMargin::Spot),
        stp_id: Some(Label::literal("7")),
        stp_inst: Some(StpInst::Both),
        stp_scope: Some(StpScope::SubAccount),
        ..CreateOrder::default()
    };
    let trigger = || TriggerOrder {
        instrument_name: BTC_USDT,
        side: Side::Sell,
        order_type: OrderType::StopLoss,
        quantity: Quantity::new(1_496, 5),
        ref_price: Some(Price::new(59_900, 0)),
        ref_price_type: Some(RefPriceType::MarkPrice),
        client_oid: Some(OURS),
        ..TriggerOrder::default()
    };
    let legs = |n: usize| TriggerList { order_list: vec![trigger(); n] };
    let key = || OrderKey { client_oid: Some(OURS), order_id: Some(venue_id("6530219599901000701")) };
    let page = || History {
        start_time: ns(),
        end_time: ns(),
        limit: Some(Limit(100)),
        instrument_name: Some(BTC_USDT),
    };
    let entry = || CancelEntry { client_oid: Some(OURS), instrument_name: Some(BTC_USDT), order_id: None };
    let of = || OfInstrument { instrument_name: Some(BTC_USDT) };
    let list = || ListKey { list_id: venue_id("6498090546073999001") };
    let all = || CancelAll { instrument_name: Some(BTC_USDT), scope: Some(CancelScope::All) };
    let cancels = |kind| CancelOrderList { contingency_type: kind, order_list: vec![entry()] };
    Some(match method {
        Method::CreateOrder => Request::CreateOrder(plain()),
        Method::CreateOrderList => Request::CreateOrderList(CreateOrderList {
            contingency_type: ContingencyType::List,
            order_list: vec![plain(), plain()],
        }),
        Method::AmendOrder => Request::AmendOrder(AmendOrder {
            new_price: Price::new(82_000, 0),
            new_quantity: Quantity::new(2, 4),
            order_id: Some(venue_id("6530219599901000701")),
            ..AmendOrder::default()
        }),
        Method::CancelOrder => Request::CancelOrder(key()),
        Method::CancelOrderList => Request::CancelOrderList(cancels(Some(ContingencyType::List))),
        Method::CancelAllOrders => Request::CancelAllOrders(all()),
        Method::GetOpenOrders => Request::GetOpenOrders(of()),
        Method::GetOrderDetail => Request::GetOrderDetail(key()),
        Method::GetOrderHistory => Request::GetOrderHistory(page()),
        Method::GetTrades => Request::GetTrades(page()),
        Method::GetTransactions => Request::GetTransactions(Transactions {
            journal_type: Some(JournalType::OnchainDeposit),
            limit: Some(Limit(100)),
            ..Transactions::default()
        }),
        Method::UserBalance => Request::UserBalance(NoParams),
        Method::UserBalanceHistory => Request::UserBalanceHistory(BalanceHistory {
            end_time: ms(),
            limit: Some(Limit(30)),
            timeframe: Some(Timeframe::OldD1),
        }),
        Method::GetAccounts => Request::GetAccounts(Accounts { page: Some(0), page_size: Some(20) }),
        Method::GetFeeRate => Request::GetFeeRate(NoParams),
        Method::GetInstrumentFeeRate => {
            Request::GetInstrumentFeeRate(OneInstrument { instrument_name: BTC_USDT })
        }
        Method::AdvancedCreateOrder => Request::AdvancedCreateOrder(trigger()),
        Method::AdvancedAmendOrder => Request::AdvancedAmendOrder(AmendTrigger {
            client_oid: Some(OURS),
            new_ref_price: Some(Price::new(59_000, 0)),
            ..AmendTrigger::default()
        }),
        Method::AdvancedCreateOco => Request::AdvancedCreateOco(legs(2)),
        Method::AdvancedCancelOco => Request::AdvancedCancelOco(list()),
        Method::AdvancedCreateOto => Request::AdvancedCreateOto(legs(2)),
        Method::AdvancedCancelOto => Request::AdvancedCancelOto(list()),
        Method::AdvancedCreateOtoco => Request::AdvancedCreateOtoco(legs(3)),
        Method::AdvancedCancelOtoco => Request::AdvancedCancelOtoco(list()),
        Method::AdvancedCancelOrder => Request::AdvancedCancelOrder(key()),
        Method::AdvancedCreateOrderList => Request::AdvancedCreateOrderList(legs(10)),
        Method::AdvancedCancelOrderList => Request::AdvancedCancelOrderList(cancels(None)),
        Method::AdvancedCancelAllOrders => Request::AdvancedCancelAllOrders(all()),
        Method::AdvancedGetOpenOrders => Request::AdvancedGetOpenOrders(of()),
        Method::AdvancedGetOrderDetail => Request::AdvancedGetOrderDetail(key()),
        Method::AdvancedGetOrderHistory => Request::AdvancedGetOrderHistory(page()),
        Method::AdvancedGetOrderListDetail => Request::AdvancedGetOrderListDetail(ListDetail {
            list_id_list: vec![venue_id("4611686018427705308")],
        }),
        Method::GetInstruments
        | Method::GetTickers
        | Method::GetBook
        | Method::GetPublicTrades
        | Method::GetCandlestick
        | Method::GetRiskParameters
        | Method::Auth
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::RespondHeartbeat
        | Method::SetCancelOnDisconnect
        | Method::GetCancelOnDisconnect => return None,
    })
}

/// Why the client does not read an answer, if it does not.
fn misread(method: Method, status: u16, body: &str) -> Option<String> {
    struct Misread<'a>(Asked, u16, &'a [u8]);
    impl Reading for Misread<'_> {
        type Out = Option<String>;

        fn read<T: Wire>(self) -> Option<String> {
            match judge_read::<T>(&self.0, Some(self.1), self.2) {
                ReadOutcome::Found(_) => None,
                ReadOutcome::NotFound(evidence) | ReadOutcome::Failed(evidence) => {
                    Some(format!("{evidence:?}"))
                }
            }
        }

        fn write(self) -> Option<String> {
            let outcome = judge_write(&self.0, Some(self.1), self.2);
            let queued = matches!(outcome, WriteOutcome::Queued(_));
            (!queued).then(|| format!("{outcome:?}"))
        }
    }
    let asked = Asked { method, id: None, client_oid: None };
    method.with_answer(Misread(asked, status, body.as_bytes()))
}

fn described() -> impl Iterator<Item = Method> {
    Method::ALL.iter().copied().filter(|method| method.door() != Door::Socket)
}

#[test]
fn the_methods_are_those_of_the_excerpt() {
    let excerpt = Excerpt::read();
    let mut paths: Vec<String> =
        excerpt.0["paths"].as_object().expect("paths").keys().map(|path| path[1..].to_owned()).collect();
    let mut ours: Vec<String> = described().map(|method| method.name().to_owned()).collect();
    paths.sort();
    ours.sort();
    assert_eq!(ours, paths);
}

#[test]
fn replies_validate_and_are_read() {
    let excerpt = Excerpt::read();
    for method in described() {
        for integers in [Integers::Bare, Integers::Quoted] {
            let reply = reply(method, integers);
            assert_eq!(reply.status, 200);
            excerpt.check(excerpt.success(method), &reply.body);
            assert_eq!(misread(method, reply.status, &reply.body), None, "{method} {}", reply.body);
        }
    }
}

#[test]
fn requests_validate() {
    let excerpt = Excerpt::read();
    let signer = Signer::new("AEGISdemoKey0001", &Secret::new("demo".into()));
    for method in described().filter(|method| method.door() == Door::Private) {
        let body = request(method).expect("a request").body(&signer, 1, 1_760_000_000_000);
        let schema = &excerpt.operation(method)["requestBody"]["content"]["application/json"]["schema"];
        excerpt.check(schema, &body);
    }
}

#[test]
fn refusals_validate() {
    let excerpt = Excerpt::read();
    for code in Code::ALL {
        for (record, original) in [(None, None), (Some(ack()), Some("{\"id\":1}"))] {
            let reply = refuse(51, "private/create-order", *code, record.as_ref(), original, Integers::Bare);
            excerpt.check(excerpt.named("ApiError"), &reply.body);
        }
    }
}

/// The vendor's own examples, whose numbers are strings where recorded traffic has numbers.
#[test]
fn the_vendors_examples_are_read() {
    let excerpt = Excerpt::read();
    let mut read = 0;
    for method in described() {
        let content = &excerpt.operation(method)["responses"]["200"]["content"]["application/json"];
        let Some(example) = content.get("example") else { continue };
        assert_eq!(misread(method, 200, &example.to_string()), None, "{method} {example}");
        read += 1;
    }
    assert!(read > 30, "{read} examples");
}

#[test]
fn frames_validate() {
    let excerpt = Excerpt::read();
    let push = |name: &str, subscription: &str, data: Data| {
        let depth = matches!(data, Data::Books(_) | Data::Deltas(_)).then_some(10);
        let push = Push {
            id: None,
            subscription: subscription.to_owned(),
            instrument: Some(BTC_USDT),
            depth,
            interval: None,
            data,
        };
        for integers in [Integers::Bare, Integers::Quoted] {
            let text = push.text(integers);
            excerpt.check(excerpt.named(name), &text);
            assert_eq!(Frame::read(text.as_bytes()), Frame::Push(push.clone()), "{text}");
        }
    };
    push("WsUserOrder", "user.order.BTC_USDT", Data::Orders(Rows::of(vec![order(OrderStatus::Active)])));
    push("WsUserAdvanceOrder", "user.advance.order", Data::Triggers(Rows::of(vec![stop()])));
    push("WsUserTrade", "user.trade", Data::Trades(Rows::of(vec![fill()])));
    push("WsUserBalance", "user.balance", Data::Balances(Rows::of(vec![balance()])));
    push("WsTicker", "ticker.BTC_USDT", Data::Tickers(Rows::of(vec![ticker()])));
    push("WsTrade", "trade.BTC_USDT", Data::PublicTrades(Rows::of(vec![public_trade()])));
    push("WsBookSnapshot", "book.BTC_USDT.10", Data::Books(Rows::of(vec![book()])));
    let update = BookChange { bids: vec![level(1, 0)], asks: vec![] };
    let delta = BookDelta { previous: 90_011, number: 90_012, time: ms(), changed: ms(), update };
    push("WsBookUpdate", "book.BTC_USDT.10", Data::Deltas(Rows::of(vec![delta])));

    let signer = Signer::new("AEGISdemoKey0001", &Secret::new("demo".into()));
    excerpt.check(excerpt.named("WsAuth"), &auth_frame(&signer, 1, 1_760_000_000_000));
    excerpt.check(excerpt.named("WsHeartbeat"), &heartbeat(1_760_000_030_000, Integers::Bare));
    excerpt.check(excerpt.named("WsRespondHeartbeat"), &heartbeat_answer(1_760_000_030_000));
    excerpt.check(excerpt.named("WsAck"), &acknowledge(2, "subscribe", 0, None, Integers::Quoted));
    let channels = Channels {
        channels: vec!["book.BTC_USDT.10".into()],
        book_subscription_type: Some(BookSubscription::SnapshotAndUpdate),
        book_update_frequency: Some(10),
    };
    excerpt.check(excerpt.named("WsSubscribe"), &Request::Subscribe(channels).frame(2, 1_760_000_000_000));
}

/// The validator sees what is wrong: without this the tests above could pass on anything.
#[test]
fn the_validator_refuses() {
    let excerpt = Excerpt::read();
    let schema = excerpt.success(Method::GetOpenOrders);
    let good: Value = serde_json::from_str(&reply(Method::GetOpenOrders, Integers::Bare).body).expect("JSON");
    assert!(excerpt.faults(schema, &good, "$").is_empty());
    let damaged = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        assert!(!excerpt.faults(schema, &value, "$").is_empty(), "{value}");
    };
    damaged(&|v| v["result"]["data"][0]["quantity"] = Value::from(1.5));
    damaged(&|v| v["result"]["data"][0]["quantity"] = Value::from("1e5"));
    damaged(&|v| v["result"]["data"][0]["status"] = Value::from("FILLED"));
    damaged(&|v| v["result"]["data"][0]["side"] = Value::from("buy"));
    damaged(&|v| v["result"]["data"][0]["create_time"] = Value::from("soon"));
    damaged(&|v| v["result"]["data"][0]["exec_inst"] = Value::from("POST_ONLY"));
    damaged(&|v| drop(v["result"]["data"][0].as_object_mut().expect("a row").remove("order_date")));
    damaged(&|v| drop(v.as_object_mut().expect("an object").remove("result")));
    damaged(&|v| v["result"]["data"] = Value::Null);
}
