//! The machine's rows as the wire shows them: numbers become ids of nineteen digits, times their two units, fees their
//! signs. It decides nothing.

use aegis_cryptocom::code::Code;
use aegis_cryptocom::rows::{BalanceRow, OrderRow, PositionBalance, TradeRow, TransactionRow};
use aegis_cryptocom::wire::{Ms, Ns, Rows, Spare};
use aegis_cryptocom::words::{
    ContingencyType, ExecInst, JournalType, OrderStatus, OrderType, RefPriceType, Side, TakerSide,
    TimeInForce,
};
use aegis_model::input::{ListedInstrument, RowStatus, VenueBalance};
use aegis_model::{
    Label, Money, OrderKind, Price, Quantity, Rate, Rounding, Side as ModelSide, TimeInForce as ModelForce,
    Timestamp, TradeId, VenueOrderId,
};
use aegis_paper::{
    Linked, Liquidity, Settings, TriggerKind, TriggerRow, VenueFlow, VenueRow, VenueTrade, Watched,
};

/// What is added to the machine's numbers, so that ids have nineteen digits and do not survive a float.
const ORDERS: u64 = 6_530_219_000_000_000_000;
const TRADES: u64 = 7_530_219_000_000_000_000;
const MATCHES: u64 = 4_611_686_018_000_000_000;
const TRIGGERS: u64 = 5_755_600_460_000_000_000;
const LISTS: u64 = 6_498_090_546_000_000_000;
const JOURNAL: u64 = 8_000_000_000_000_000_000;
const FLOWS: u64 = 8_500_000_000_000_000_000;

fn digits(number: u64) -> Label {
    Label::lossy(&number.to_string())
}

/// The id of an order by its number.
pub(crate) fn order_id(number: u64) -> VenueOrderId {
    VenueOrderId(digits(ORDERS.saturating_add(number)))
}

/// The id of a conditional order by its number.
pub(crate) fn trigger_id(number: u64) -> VenueOrderId {
    VenueOrderId(digits(TRIGGERS.saturating_add(number)))
}

/// The id of a list by its number.
pub(crate) fn list_id(number: u64) -> VenueOrderId {
    VenueOrderId(digits(LISTS.saturating_add(number)))
}

fn number(id: &VenueOrderId, base: u64) -> Option<u64> {
    id.0.as_str().parse::<u64>().ok()?.checked_sub(base).filter(|n| *n > 0)
}

/// The number of an order by its id; none for anything else.
pub(crate) fn order_number(id: &VenueOrderId) -> Option<u64> {
    number(id, ORDERS)
}

/// The number of a conditional order by its id.
pub(crate) fn trigger_number(id: &VenueOrderId) -> Option<u64> {
    number(id, TRIGGERS)
}

/// The number of a list by its id.
pub(crate) fn list_number(id: &VenueOrderId) -> Option<u64> {
    number(id, LISTS)
}

/// The machine's own number of a row or trade, whose id there is that number in digits.
pub(crate) fn machine_number(id: &Label) -> u64 {
    id.as_str().parse().unwrap_or(0)
}

/// `2025-10-09`, UTC.
fn date(at: Timestamp) -> Option<Label> {
    let day = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0)).ok()?.date();
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day()).parse().ok()
}

const fn side(side: ModelSide) -> Side {
    match side {
        ModelSide::Buy => Side::Buy,
        ModelSide::Sell => Side::Sell,
    }
}

/// The name that an order made by hand shows: the venue puts the nonce of its own request there.
pub(crate) fn shown_client(client: Option<Label>, created: Timestamp) -> Label {
    client.unwrap_or_else(|| Label::lossy(&created.0.div_euclid(1_000_000).to_string()))
}

/// What rows need to know beside themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The account's id.
    pub(crate) account: Label,
    /// The instrument.
    pub(crate) spec: &'a ListedInstrument,
    /// Fee rates.
    pub(crate) terms: Settings,
}

impl Frame<'_> {
    /// The asset that usually pays: the base of a buy, the quote of a sell.
    fn usual_fee(&self, side: ModelSide) -> Label {
        match side {
            ModelSide::Buy => self.spec.base,
            ModelSide::Sell => self.spec.quote,
        }
    }

    /// A plain order. `trades` are all of its trades, `chosen` the asset that its fee was to be paid in.
    pub(crate) fn order(&self, row: &VenueRow, trades: &[VenueTrade], chosen: Option<Label>) -> OrderRow {
        let (order_type, limit, force, post) = match row.kind {
            OrderKind::Limit { price, time_in_force } => {
                let (force, post) = force(time_in_force);
                (OrderType::Limit, Some(price), force, post)
            }
            OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => {
                (OrderType::Market, None, TimeInForce::GoodTillCancel, false)
            }
        };
        let number = machine_number(&row.venue_order.0);
        let paid = trades.last().map(|trade| trade.fee_asset);
        let fee_asset = paid.or(chosen).unwrap_or_else(|| self.usual_fee(row.side));
        let fees = trades.iter().filter(|trade| trade.fee_asset == fee_asset);
        let fee = fees.map(|trade| trade.fee).try_fold(Quantity::ZERO, |sum, fee| sum.plus(fee));
        let (status, reason) = status(row);
        OrderRow {
            order_id: order_id(number),
            client_oid: Some(shown_client(row.client, row.created)),
            order_type,
            time_in_force: Some(force),
            side: side(row.side),
            exec_inst: Some(if post { vec![ExecInst::PostOnly] } else { Vec::new() }),
            quantity: row.quantity,
            limit_price: limit,
            order_value: Spare(Some(self.estimate(row, limit))),
            ref_price: Some(Price::ZERO),
            ref_price_type: Some(RefPriceType::Null),
            status,
            reason,
            fee_instrument_name: Some(fee_asset),
            cumulative_fee: Spare(fee.ok()),
            ..self.common(row.instrument, row.created, row.updated, (row.cumulative, row.value))
        }
    }

    /// What both kinds of rows have.
    fn common(
        &self,
        instrument: Label,
        created: Timestamp,
        updated: Timestamp,
        (cumulative, value): (Quantity, Money),
    ) -> OrderRow {
        let average = if cumulative.is_positive() {
            let exact = value.per(cumulative, Rounding::HalfEven);
            exact.and_then(|price| price.to_tick(Price::new(1, 8), Rounding::HalfEven)).unwrap_or_default()
        } else {
            Price::ZERO
        };
        OrderRow {
            account_id: Some(self.account),
            update_user_id: Some(self.account),
            avg_price: Some(average),
            cumulative_quantity: cumulative,
            cumulative_value: value,
            cumulative_fee: Spare(Some(Quantity::ZERO)),
            maker_fee_rate: Spare(Some(self.terms.maker())),
            taker_fee_rate: Spare(Some(self.terms.taker())),
            order_date: date(created),
            instrument_name: instrument,
            create_time: Some(Ms(created)),
            create_time_ns: Some(Ns(created)),
            update_time: Some(Ms(updated)),
            ..OrderRow::default()
        }
    }

    /// The reservation as the venue estimates it: some 5 % above the cost of a market buy.
    fn estimate(&self, row: &VenueRow, limit: Option<Price>) -> Money {
        let worth = match limit {
            Some(limit) => limit.times(row.quantity, Rounding::Ceil),
            None if row.side == ModelSide::Buy => {
                row.value.scaled(Rate::basis_points(10_500), Rounding::Ceil)
            }
            None => Ok(row.value),
        };
        worth.unwrap_or(row.value)
    }

    /// A trade. Sockets tell its time under another name.
    pub(crate) fn trade(&self, trade: &VenueTrade, socket: bool) -> TradeRow {
        let number = machine_number(&trade.trade.0);
        let executed = Some(Ns(trade.executed));
        TradeRow {
            account_id: Some(self.account),
            client_oid: Some(shown_client(trade.client, trade.executed)),
            create_time: Some(Ms(trade.executed)),
            create_time_ns: executed,
            event_date: date(trade.executed),
            fee_credits: Spare(None),
            fee_instrument_name: Some(trade.fee_asset),
            fees: Some(trade.fee.negated()),
            instrument_name: trade.instrument,
            journal_type: Some(JournalType::Trading),
            match_count: Spare(Some(1)),
            match_index: Spare(Some(0)),
            order_id: order_id(machine_number(&trade.venue_order.0)),
            side: side(trade.side),
            taker_side: Some(match trade.liquidity {
                Liquidity::Maker => TakerSide::Maker,
                Liquidity::Taker => TakerSide::Taker,
            }),
            trade_id: TradeId(digits(TRADES.saturating_add(number))),
            trade_match_id: Some(TradeId(digits(MATCHES.saturating_add(number)))),
            traded_price: trade.price,
            traded_quantity: trade.quantity,
            transact_time_ns: executed.filter(|_| !socket),
            transaction_time: executed.filter(|_| socket),
        }
    }

    /// A conditional order; `became` is the order that it became, with its trades.
    pub(crate) fn trigger(&self, row: &TriggerRow, became: Option<(&VenueRow, &[VenueTrade])>) -> OrderRow {
        let done = became.map_or((Quantity::ZERO, Money::ZERO), |(order, _)| (order.cumulative, order.value));
        let order_type = match row.kind {
            TriggerKind::StopLoss => OrderType::StopLoss,
            TriggerKind::StopLimit => OrderType::StopLimit,
            TriggerKind::TakeProfit => OrderType::TakeProfit,
            TriggerKind::TakeProfitLimit => OrderType::TakeProfitLimit,
            TriggerKind::Limit => OrderType::Limit,
            TriggerKind::Market => OrderType::Market,
        };
        let (force, post) = force(row.time_in_force);
        let trades = became.map_or(&[][..], |(_, trades)| trades);
        let fee_asset = trades.last().map_or_else(|| self.usual_fee(row.side), |trade| trade.fee_asset);
        let fee = trades.iter().map(|trade| trade.fee).try_fold(Quantity::ZERO, |sum, fee| sum.plus(fee));
        let (status, reason) = match became {
            Some((order, _)) => status(order),
            None => match row.status {
                RowStatus::Open => (OrderStatus::Pending, None),
                RowStatus::Filled => (OrderStatus::Filled, None),
                RowStatus::Cancelled | RowStatus::Expired => (OrderStatus::Canceled, None),
                RowStatus::Rejected => (OrderStatus::Rejected, Some(i64::from(row.code))),
            },
        };
        let named = reason.and_then(Code::from_number).map(|code| code.row().name.to_owned());
        OrderRow {
            order_id: trigger_id(row.trigger),
            client_oid: Some(shown_client(row.client, row.created)),
            order_type,
            time_in_force: Some(force),
            side: side(row.side),
            exec_inst: Some(if post { vec![ExecInst::PostOnly] } else { Vec::new() }),
            quantity: row.quantity,
            limit_price: row.limit,
            ref_price: row.reference,
            ref_price_type: row.reference.map(|_| match row.watched {
                Watched::Mark => RefPriceType::MarkPrice,
                Watched::Index => RefPriceType::IndexPrice,
                Watched::Last => RefPriceType::LastPrice,
            }),
            trigger_price: Spare(row.fired),
            list_id: row.list.map(|(list, _, _)| list_id(list)),
            contingency_type: row.list.map(|(_, linked, _)| match linked {
                Linked::Oco => ContingencyType::Oco,
                Linked::Oto => ContingencyType::Oto,
                Linked::Otoco => ContingencyType::Otoco,
            }),
            leg_id: row.list.map(|(_, _, leg)| u32::from(leg)),
            exchange_order_id: row.order.map(order_id),
            status,
            reason,
            reject_reason: named.filter(|_| status == OrderStatus::Rejected),
            fee_instrument_name: Some(fee_asset),
            cumulative_fee: Spare(fee.ok()),
            ..self.common(row.instrument, row.created, row.updated, done)
        }
    }
}

const fn force(force: ModelForce) -> (TimeInForce, bool) {
    match force {
        ModelForce::GoodTillCancel => (TimeInForce::GoodTillCancel, false),
        ModelForce::PostOnly => (TimeInForce::GoodTillCancel, true),
        ModelForce::ImmediateOrCancel => (TimeInForce::ImmediateOrCancel, false),
        ModelForce::FillOrKill => (TimeInForce::FillOrKill, false),
    }
}

/// Where an order stands in the venue's words, and why the venue ended it. What could not be filled at once is
/// `CANCELED` with 43004.
fn status(row: &VenueRow) -> (OrderStatus, Option<i64>) {
    match row.status {
        RowStatus::Open => (OrderStatus::Active, None),
        RowStatus::Filled => (OrderStatus::Filled, None),
        RowStatus::Cancelled => (OrderStatus::Canceled, None),
        RowStatus::Expired => (OrderStatus::Canceled, Some(Code::ImmediateOrCancel.row().number)),
        RowStatus::Rejected => (OrderStatus::Rejected, Some(i64::from(row.code))),
    }
}

/// A deposit, withdrawal or adjustment in the ledger: its id says which, as `deposit-7`.
pub(crate) fn flow(account: Label, flow: &VenueFlow, number: u64) -> TransactionRow {
    let kind = flow.id.as_str().split('-').next().unwrap_or_default();
    let journal_type = match kind {
        "adjustment" => JournalType::Adjustment,
        "conversion" => JournalType::ManualConversion,
        "auto" => JournalType::AutoConversion,
        "subaccount" => JournalType::SubaccountTx,
        _ if flow.quantity.is_negative() => JournalType::OnchainWithdrawal,
        _ => JournalType::OnchainDeposit,
    };
    TransactionRow {
        account_id: Some(account),
        event_date: date(flow.time),
        event_timestamp_ms: Some(Ms(flow.time)),
        event_timestamp_ns: Some(Ns(flow.time)),
        instrument_name: Some(flow.asset),
        journal_id: TradeId(digits(FLOWS.saturating_add(number))),
        journal_type,
        transaction_cost: Spare(Some(Money::ZERO)),
        realized_pnl: Spare(Some(Money::ZERO)),
        transaction_qty: flow.quantity,
        ..TransactionRow::default()
    }
}

/// A trade in the ledger: the trade, and its fee.
pub(crate) fn ledger(account: Label, trade: &VenueTrade) -> [TransactionRow; 2] {
    let number = machine_number(&trade.trade.0);
    let buys = trade.side == ModelSide::Buy;
    let of = |place: u64, journal_type, instrument: Label, quantity: Quantity, cost: Money| TransactionRow {
        account_id: Some(account),
        client_oid: Some(shown_client(trade.client, trade.executed)),
        event_date: date(trade.executed),
        event_timestamp_ms: Some(Ms(trade.executed)),
        event_timestamp_ns: Some(Ns(trade.executed)),
        instrument_name: Some(instrument),
        journal_id: TradeId(digits(JOURNAL.saturating_add(number.saturating_mul(2)).saturating_add(place))),
        journal_type,
        order_id: Some(order_id(machine_number(&trade.venue_order.0))),
        realized_pnl: Spare(Some(Money::ZERO)),
        side: Some(side(trade.side)),
        taker_side: Some(match trade.liquidity {
            Liquidity::Maker => TakerSide::Maker,
            Liquidity::Taker => TakerSide::Taker,
        }),
        trade_id: Some(TradeId(digits(TRADES.saturating_add(number)))),
        trade_match_id: Some(TradeId(digits(MATCHES.saturating_add(number)))),
        transaction_cost: Spare(Some(cost)),
        transaction_qty: quantity,
    };
    let (quantity, cost) =
        if buys { (trade.quantity, trade.value.negated()) } else { (trade.quantity.negated(), trade.value) };
    [
        of(0, JournalType::Trading, trade.instrument, quantity, cost),
        of(1, JournalType::TradeFee, trade.fee_asset, trade.fee.negated(), Money::ZERO),
    ]
}

/// The account's coins; `usd` tells what a coin is worth.
pub(crate) fn balance(balances: &[VenueBalance], usd: impl Fn(Label) -> Option<Price>) -> BalanceRow {
    let cent = |worth: Money| worth.to_tick(Money::new(1, 2), Rounding::HalfEven).unwrap_or(worth);
    let zero = Spare(Some(Money::ZERO));
    let (mut total, mut free_total) = (Money::ZERO, Money::ZERO);
    let mut coins = Vec::new();
    for held in balances {
        let free = held.total.minus(held.reserved).unwrap_or_default();
        let worth = |quantity: Quantity| {
            usd(held.asset)
                .and_then(|price| price.times(quantity, Rounding::HalfEven).ok())
                .unwrap_or_default()
        };
        total = total.plus(worth(held.total)).unwrap_or(total);
        free_total = free_total.plus(worth(free)).unwrap_or(free_total);
        coins.push(PositionBalance {
            collateral_amount: Spare(Some(cent(worth(held.total)))),
            collateral_eligible: Spare(Some(true)),
            haircut: Spare(Some(Rate::ZERO)),
            hourly_interest_rate: Spare(Some(Rate::ZERO)),
            instrument_name: held.asset,
            market_value: Spare(Some(cent(worth(held.total)))),
            max_withdrawal_balance: Spare(Some(free)),
            quantity: held.total,
            reserved_qty: Some(held.reserved),
        });
    }
    let (total, free) = (Spare(Some(cent(total))), Spare(Some(cent(free_total))));
    BalanceRow {
        instrument_name: Some(Label::literal("USD")),
        is_liquidating: Some(false),
        position_balances: Rows::of(coins),
        position_limit: Spare(Some(Money::new(3_000_000, 0))),
        total_available_balance: free,
        total_cash_balance: total,
        total_collateral_value: total,
        total_effective_leverage: Spare(Some(Rate::ZERO)),
        total_haircut: zero,
        total_initial_margin: zero,
        total_maintenance_margin: zero,
        total_margin_balance: total,
        total_position_cost: zero,
        total_position_im: zero,
        total_session_realized_pnl: zero,
        total_session_unrealized_pnl: zero,
        used_position_limit: zero,
    }
}
