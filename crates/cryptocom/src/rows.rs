//! What the venue tells: rows and results, as its clients read them and as its server writes them.
//!
//! A member that something depends on is typed and its misfit is the row's; a member nothing depends on is a
//! [`Spare`]. Members that one source shows and another lacks are options (reference, sections 5, 6, 10 and 11). A
//! server fills what `fixtures/venue/openapi-excerpt.json` requires.

use crate::json::Value;
use crate::wire::{Fault, Manner, Misfit, Ms, Ns, Rows, Spare, Wire, members};
use crate::words::{
    ContingencyType, ExecInst, InstrumentType, JournalType, OrderStatus, OrderType, RefPriceType, Side,
    TakerSide, TimeInForce,
};
use crate::write::Sink;
use aegis_model::{Label, Money, Price, Quantity, Rate, Timestamp, TradeId, VenueOrderId};
use alloc::string::String;
use alloc::vec::Vec;

members! {
    /// An instrument (section 5). Ticks change: they are read at start and never written into code.
    pub struct InstrumentRow {
        /// What is bought.
        base_ccy: Label = "base_ccy",
        /// Whether it is a trial listing.
        beta_product: Option<bool> = "beta_product",
        /// Units of a contract; derivatives.
        contract_size: Spare<Quantity> = "contract_size",
        /// For people.
        display_name: Option<String> = "display_name",
        /// When it ends; 0 for never.
        expiry_timestamp_ms: Spare<Ms> = "expiry_timestamp_ms",
        /// Spot is `CCY_PAIR`.
        inst_type: InstrumentType = "inst_type",
        /// Margin.
        margin_buy_enabled: Option<bool> = "margin_buy_enabled",
        /// Margin.
        margin_sell_enabled: Option<bool> = "margin_sell_enabled",
        /// Margin.
        max_leverage: Spare<Rate> = "max_leverage",
        /// Prices are multiples of this.
        price_tick_size: Price = "price_tick_size",
        /// Quantities are multiples of this; also the smallest.
        qty_tick_size: Quantity = "qty_tick_size",
        /// Decimals of a quantity.
        quantity_decimals: u32 = "quantity_decimals",
        /// What is paid.
        quote_ccy: Label = "quote_ccy",
        /// Decimals of a price.
        quote_decimals: u32 = "quote_decimals",
        /// Its name, `BASE_QUOTE` for spot.
        symbol: Label = "symbol",
        /// Whether orders are taken.
        tradable: bool = "tradable",
    }
}

members! {
    /// Limits of a base currency, in USD (section 5).
    pub struct BaseRisk {
        /// Volume of a day at most.
        daily_notional_limit: Spare<Money> = "daily_notional_limit",
        /// The currency.
        instrument_name: Label = "instrument_name",
        /// Above: 314.
        max_order_notional_usd: Option<Money> = "max_order_notional_usd",
        /// Below: 415.
        min_order_notional_usd: Option<Money> = "min_order_notional_usd",
        /// Of one order.
        order_limit: Spare<Quantity> = "order_limit",
    }
}

members! {
    /// `public/get-risk-parameters` (section 5).
    pub struct RiskParameters {
        /// By base currency.
        base_currency_config: Rows<BaseRisk> = "base_currency_config",
        /// When it was changed.
        update_timestamp_ms: Option<Ms> = "update_timestamp_ms",
    }
}

members! {
    /// Prices of an instrument (section 6). A member is absent when nothing traded or a side is empty.
    pub struct Ticker {
        /// Last trade.
        last: Option<Price> = "a",
        /// Best bid.
        bid: Option<Price> = "b",
        /// Quantity at the best bid; sockets only.
        bid_quantity: Option<Quantity> = "bs",
        /// Change of 24 hours as a ratio: 0.0123 is 1.23 percent.
        change: Spare<Rate> = "c",
        /// Highest of 24 hours.
        high: Spare<Price> = "h",
        /// Which.
        instrument: Label = "i",
        /// Best ask.
        ask: Option<Price> = "k",
        /// Quantity at the best ask; sockets only.
        ask_quantity: Option<Quantity> = "ks",
        /// Lowest of 24 hours.
        low: Spare<Price> = "l",
        /// Open interest; derivatives.
        open_interest: Spare<Quantity> = "oi",
        /// When.
        time: Ms = "t",
        /// Base volume of 24 hours.
        volume: Spare<Quantity> = "v",
        /// The same in USD.
        volume_usd: Spare<Money> = "vv",
    }
}

/// A price level of a book: `[price, quantity, number of orders]`, all strings (section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// What is offered there; 0 in a delta takes the level away.
    pub quantity: Quantity,
    /// By how many orders.
    pub orders: u32,
}

impl Wire for Level {
    fn put(&self, out: &mut dyn Sink) {
        out.open_array();
        self.price.put(out);
        self.quantity.put(out);
        out.plain(format_args!("{}", self.orders));
        out.close_array();
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Level, Misfit> {
        let Value::Array(items) = value else { return Err(Misfit::new(Fault::Type)) };
        let [price, quantity, rest @ ..] = items.as_slice() else { return Err(Misfit::new(Fault::Form)) };
        Ok(Level {
            price: Price::read(price, manner)?,
            quantity: Quantity::read(quantity, manner)?,
            orders: rest.first().and_then(|n| u32::read(n, manner).ok()).unwrap_or_default(),
        })
    }
}

members! {
    /// A whole book (sections 6 and 12.4), best first.
    pub struct BookRow {
        /// Offers.
        asks: Vec<Level> = "asks",
        /// Bids.
        bids: Vec<Level> = "bids",
        /// When it was sent.
        time: Option<Ms> = "t",
        /// When it was last changed; sockets only.
        changed: Option<Ms> = "tt",
        /// Its number; sockets only.
        number: Option<i64> = "u",
    }
}

members! {
    /// `public/get-book` (section 6).
    pub struct BookResult {
        /// One element.
        data: Vec<BookRow> = "data",
        /// Levels a side.
        depth: Option<u32> = "depth",
        /// Which.
        instrument_name: Label = "instrument_name",
    }
}

members! {
    /// Changed levels of a book (section 12.4).
    pub struct BookChange {
        /// Offers.
        asks: Vec<Level> = "asks",
        /// Bids.
        bids: Vec<Level> = "bids",
    }
}

members! {
    /// A delta (section 12.4). It applies only to the book or delta whose number is `previous`; else the book is
    /// thrown away and subscribed again.
    pub struct BookDelta {
        /// The number that it follows.
        previous: i64 = "pu",
        /// When it was sent.
        time: Option<Ms> = "t",
        /// When the book was changed.
        changed: Option<Ms> = "tt",
        /// Its number.
        number: i64 = "u",
        /// What changed.
        update: BookChange = "update",
    }
}

members! {
    /// A trade between anybody (section 6).
    pub struct PublicTrade {
        /// Its id.
        trade: TradeId = "d",
        /// Which instrument.
        instrument: Label = "i",
        /// Its match.
        matching: Option<TradeId> = "m",
        /// Price.
        price: Price = "p",
        /// Base quantity.
        quantity: Quantity = "q",
        /// The taker's side; recorded in lower case once.
        taker: Side = "s",
        /// When.
        time: Ms = "t",
        /// When, finer.
        time_ns: Option<Ns> = "tn",
    }
}

members! {
    /// A candle (section 6); the last one of an answer may not have ended.
    pub struct CandleRow {
        /// Last price.
        close: Price = "c",
        /// Highest.
        high: Price = "h",
        /// Lowest.
        low: Price = "l",
        /// First.
        open: Price = "o",
        /// When it opened.
        time: Ms = "t",
        /// Base volume.
        volume: Quantity = "v",
    }
}

members! {
    /// `public/get-candlestick` (section 6).
    pub struct CandleResult {
        /// The candles.
        data: Rows<CandleRow> = "data",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// Their interval.
        interval: Label = "interval",
    }
}

members! {
    /// The ids of an order (sections 7.1 and 13.2).
    pub struct OrderAck {
        /// Ours, or what the venue put in its place.
        client_oid: Option<Label> = "client_oid",
        /// The venue's.
        order_id: Option<VenueOrderId> = "order_id",
    }
}

members! {
    /// One element of a list call's answer (section 7.2): the call succeeds although elements fail.
    pub struct ListAck {
        /// Ours.
        client_oid: Option<Label> = "client_oid",
        /// 0 or an error.
        code: i64 = "code",
        /// Its place in the request.
        index: u32 = "index",
        /// The venue's words.
        message: Option<String> = "message",
        /// The venue's id, on errors too.
        order_id: Option<VenueOrderId> = "order_id",
    }
}

members! {
    /// All that creating a linked list answers (section 8.2).
    pub struct ListMade {
        /// Its id; documented as a string and as a bare number of 19 digits.
        list_id: VenueOrderId = "list_id",
    }
}

members! {
    /// An order (sections 8.3 and 10.1), plain or advanced. On a socket updates add the transaction times.
    pub struct OrderRow {
        /// The account.
        account_id: Option<Label> = "account_id",
        /// The order that it is attached to.
        attach_order_id: Option<VenueOrderId> = "attach_order_id",
        /// Average price so far; 0 before the first fill.
        avg_price: Option<Price> = "avg_price",
        /// Our id as sent, else the nonce of the request.
        client_oid: Option<Label> = "client_oid",
        /// What ties it to others.
        contingency_type: Option<ContingencyType> = "contingency_type",
        /// When it was made.
        create_time: Option<Ms> = "create_time",
        /// The same, finer.
        create_time_ns: Option<Ns> = "create_time_ns",
        /// Fees so far, positive when charged; the trades are to be believed.
        cumulative_fee: Spare<Quantity> = "cumulative_fee",
        /// Filled so far, base units; above zero also in ended orders.
        cumulative_quantity: Quantity = "cumulative_quantity",
        /// Filled so far, quote units.
        cumulative_value: Money = "cumulative_value",
        /// The plain order that the trigger became (section 8.3).
        exchange_order_id: Option<VenueOrderId> = "exchange_order_id",
        /// Instructions.
        exec_inst: Option<Vec<ExecInst>> = "exec_inst",
        /// The currency of the fee.
        fee_instrument_name: Option<Label> = "fee_instrument_name",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// Its number in a list, 1 to 3. The vendor's texts disagree on which is which: the type tells.
        leg_id: Option<u32> = "leg_id",
        /// The limit; absent on market orders.
        limit_price: Option<Price> = "limit_price",
        /// The list that it belongs to.
        list_id: Option<VenueOrderId> = "list_id",
        /// A fraction.
        maker_fee_rate: Spare<Rate> = "maker_fee_rate",
        /// `YYYY-MM-DD`, UTC.
        order_date: Option<Label> = "order_date",
        /// The venue's id.
        order_id: VenueOrderId = "order_id",
        /// What kind.
        order_type: OrderType = "order_type",
        /// An estimate of what is reserved.
        order_value: Spare<Money> = "order_value",
        /// Ordered, base units; not documented for orders by notional.
        quantity: Quantity = "quantity",
        /// The code why the venue ended it.
        reason: Option<i64> = "reason",
        /// The trigger; 0 on plain orders.
        ref_price: Option<Price> = "ref_price",
        /// What is watched; `NULL_VAL` on plain orders.
        ref_price_type: Option<RefPriceType> = "ref_price_type",
        /// Why a trigger failed.
        reject_reason: Option<String> = "reject_reason",
        /// Buy or sell.
        side: Side = "side",
        /// Where it stands.
        status: OrderStatus = "status",
        /// A fraction.
        taker_fee_rate: Spare<Rate> = "taker_fee_rate",
        /// How long it lives.
        time_in_force: Option<TimeInForce> = "time_in_force",
        /// When the change was made; sockets only.
        transaction_time: Option<Ms> = "transaction_time",
        /// The same, finer.
        transaction_time_ns: Option<Ns> = "transaction_time_ns",
        /// The price at which it was triggered.
        trigger_price: Spare<Price> = "trigger_price",
        /// When it was last changed; may precede its creation by a millisecond.
        update_time: Option<Ms> = "update_time",
        /// Who changed it.
        update_user_id: Option<Label> = "update_user_id",
    }
}

impl OrderRow {
    /// When it was made, as finely as told.
    pub fn created(&self) -> Option<Timestamp> {
        self.create_time_ns.map(|t| t.0).or(self.create_time.map(|t| t.0))
    }

    /// When it was last changed, as finely as told.
    pub fn updated(&self) -> Option<Timestamp> {
        let told = self.transaction_time_ns.map(|t| t.0).or(self.transaction_time.map(|t| t.0));
        told.or(self.update_time.map(|t| t.0)).or_else(|| self.created())
    }

    /// Whether `newer` may replace this row of the same order: it takes back no fill and does not leave a terminal
    /// status (section 9). Events of one order come in any order. An unknown status replaces nothing.
    pub fn gives_way_to(&self, newer: &OrderRow) -> bool {
        let (Some(ended), Some(newly_ended)) = (self.status.is_terminal(), newer.status.is_terminal()) else {
            return self.status.is_terminal().is_none() && newer.status.is_terminal().is_some();
        };
        let rank = |row: &OrderRow, ended: bool| (ended, row.cumulative_quantity, row.updated());
        newer.cumulative_quantity >= self.cumulative_quantity && rank(newer, newly_ended) >= rank(self, ended)
    }
}

members! {
    /// A fill (section 10.3).
    pub struct TradeRow {
        /// The account.
        account_id: Option<Label> = "account_id",
        /// Our id of the order.
        client_oid: Option<Label> = "client_oid",
        /// Of an immediate fill the *order's* time: neither unique nor an order of execution.
        create_time: Option<Ms> = "create_time",
        /// The same, finer.
        create_time_ns: Option<Ns> = "create_time_ns",
        /// `YYYY-MM-DD`, UTC.
        event_date: Option<Label> = "event_date",
        /// Credit used for the fee.
        fee_credits: Spare<Quantity> = "fee_credits",
        /// The currency of the fee, which is not always the one asked for.
        fee_instrument_name: Option<Label> = "fee_instrument_name",
        /// **Negative when charged**, positive for a rebate; net of credits. Absent while unknown, never 0 then.
        fees: Option<Quantity> = "fees",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// `TRADING`.
        journal_type: Option<JournalType> = "journal_type",
        /// Parts of the match.
        match_count: Spare<u32> = "match_count",
        /// Which part.
        match_index: Spare<u32> = "match_index",
        /// The venue's id of the order.
        order_id: VenueOrderId = "order_id",
        /// Our side.
        side: Side = "side",
        /// Our role.
        taker_side: Option<TakerSide> = "taker_side",
        /// The key of the fill.
        trade_id: TradeId = "trade_id",
        /// The match; both sides share it, and a self-trade has it twice.
        trade_match_id: Option<TradeId> = "trade_match_id",
        /// Price.
        traded_price: Price = "traded_price",
        /// Base quantity.
        traded_quantity: Quantity = "traded_quantity",
        /// When it was executed; queries.
        transact_time_ns: Option<Ns> = "transact_time_ns",
        /// When it was executed; sockets.
        transaction_time: Option<Ns> = "transaction_time",
    }
}

impl TradeRow {
    /// When it was executed, as well as told.
    pub fn executed(&self) -> Option<Timestamp> {
        let told = self.transact_time_ns.or(self.transaction_time).or(self.create_time_ns);
        told.map(|t| t.0).or(self.create_time.map(|t| t.0))
    }

    /// Its place in a history.
    pub fn key(&self) -> Option<crate::walk::Key> {
        let made = self.create_time_ns.map(|t| t.0).or(self.create_time.map(|t| t.0));
        Some(crate::walk::Key { id: self.trade_id.0, time: made.or_else(|| self.executed())? })
    }
}

impl OrderRow {
    /// Its place in a history.
    pub fn key(&self) -> Option<crate::walk::Key> {
        Some(crate::walk::Key { id: self.order_id.0, time: self.created()? })
    }
}

members! {
    /// A row of the ledger (section 10.3).
    pub struct TransactionRow {
        /// The account.
        account_id: Option<Label> = "account_id",
        /// Our id.
        client_oid: Option<Label> = "client_oid",
        /// `YYYY-MM-DD`, UTC.
        event_date: Option<Label> = "event_date",
        /// When.
        event_timestamp_ms: Option<Ms> = "event_timestamp_ms",
        /// When, finer.
        event_timestamp_ns: Option<Ns> = "event_timestamp_ns",
        /// A currency or an instrument.
        instrument_name: Option<Label> = "instrument_name",
        /// Its key.
        journal_id: TradeId = "journal_id",
        /// Why it exists.
        journal_type: JournalType = "journal_type",
        /// The order, if any.
        order_id: Option<VenueOrderId> = "order_id",
        /// Derivatives.
        realized_pnl: Spare<Money> = "realized_pnl",
        /// Our side.
        side: Option<Side> = "side",
        /// Our role.
        taker_side: Option<TakerSide> = "taker_side",
        /// The fill, if any.
        trade_id: Option<TradeId> = "trade_id",
        /// The match, if any.
        trade_match_id: Option<TradeId> = "trade_match_id",
        /// Quote value.
        transaction_cost: Spare<Money> = "transaction_cost",
        /// Signed.
        transaction_qty: Quantity = "transaction_qty",
    }
}

impl TransactionRow {
    /// When.
    pub fn time(&self) -> Option<Timestamp> {
        self.event_timestamp_ns.map(|t| t.0).or(self.event_timestamp_ms.map(|t| t.0))
    }

    /// Its place in the ledger.
    pub fn key(&self) -> Option<crate::walk::Key> {
        Some(crate::walk::Key { id: self.journal_id.0, time: self.time()? })
    }
}

members! {
    /// One coin (section 11.2). Free is `quantity` less `reserved_qty`.
    pub struct PositionBalance {
        /// Of the account's collateral.
        collateral_amount: Spare<Money> = "collateral_amount",
        /// Shown as `"true"` at times.
        collateral_eligible: Spare<bool> = "collateral_eligible",
        /// Of the collateral.
        haircut: Spare<Rate> = "haircut",
        /// Of a loan.
        hourly_interest_rate: Spare<Rate> = "hourly_interest_rate",
        /// The currency.
        instrument_name: Label = "instrument_name",
        /// In USD.
        market_value: Spare<Money> = "market_value",
        /// What may leave.
        max_withdrawal_balance: Spare<Quantity> = "max_withdrawal_balance",
        /// All of it; up to 14 decimals.
        quantity: Quantity = "quantity",
        /// In open orders. An absent figure is unknown, not 0.
        reserved_qty: Option<Quantity> = "reserved_qty",
    }
}

members! {
    /// The account (section 11.2); totals in USD. It carries no time and no number: stamped on receipt.
    pub struct BalanceRow {
        /// `USD`.
        instrument_name: Option<Label> = "instrument_name",
        /// Whether it is being liquidated.
        is_liquidating: Option<bool> = "is_liquidating",
        /// Coins.
        position_balances: Rows<PositionBalance> = "position_balances",
        /// Limit.
        position_limit: Spare<Money> = "position_limit",
        /// Free.
        total_available_balance: Spare<Money> = "total_available_balance",
        /// Cash.
        total_cash_balance: Spare<Money> = "total_cash_balance",
        /// Collateral.
        total_collateral_value: Spare<Money> = "total_collateral_value",
        /// Leverage.
        total_effective_leverage: Spare<Rate> = "total_effective_leverage",
        /// Haircut.
        total_haircut: Spare<Money> = "total_haircut",
        /// Margin.
        total_initial_margin: Spare<Money> = "total_initial_margin",
        /// Margin.
        total_maintenance_margin: Spare<Money> = "total_maintenance_margin",
        /// Margin.
        total_margin_balance: Spare<Money> = "total_margin_balance",
        /// Cost.
        total_position_cost: Spare<Money> = "total_position_cost",
        /// Margin.
        total_position_im: Spare<Money> = "total_position_im",
        /// Derivatives.
        total_session_realized_pnl: Spare<Money> = "total_session_realized_pnl",
        /// Derivatives.
        total_session_unrealized_pnl: Spare<Money> = "total_session_unrealized_pnl",
        /// Limit.
        used_position_limit: Spare<Money> = "used_position_limit",
    }
}

members! {
    /// Fee rates of the account, in basis points (section 11.1).
    pub struct FeeRates {
        /// Derivatives.
        deriv_maker_bps: Spare<Rate> = "effective_deriv_maker_rate_bps",
        /// Derivatives.
        deriv_taker_bps: Spare<Rate> = "effective_deriv_taker_rate_bps",
        /// 25 is 0.25 percent.
        spot_maker_bps: Rate = "effective_spot_maker_rate_bps",
        /// 50 is 0.5 percent.
        spot_taker_bps: Rate = "effective_spot_taker_rate_bps",
        /// The tier.
        spot_tier: Option<Label> = "spot_tier",
    }
}

members! {
    /// Fee rates of an instrument, in basis points (section 11.1).
    pub struct InstrumentFeeRates {
        /// Maker.
        maker_bps: Rate = "effective_maker_rate_bps",
        /// Taker.
        taker_bps: Rate = "effective_taker_rate_bps",
        /// Which.
        instrument_name: Label = "instrument_name",
    }
}

members! {
    /// Total value at a time, in USD (section 11.3).
    pub struct BalancePoint {
        /// Value.
        value: Money = "c",
        /// When.
        time: Ms = "t",
    }
}

members! {
    /// `private/user-balance-history` (section 11.3).
    pub struct BalancePoints {
        /// The points.
        data: Rows<BalancePoint> = "data",
        /// `USD`.
        instrument_name: Option<Label> = "instrument_name",
    }
}

members! {
    /// An account (section 11.3), without the personal data that the venue adds.
    pub struct AccountRow {
        /// When it was made.
        create_time: Option<Ms> = "create_time",
        /// Whether it is enabled.
        enabled: Option<bool> = "enabled",
        /// Its name.
        label: Option<String> = "label",
        /// `DEFAULT` or `DISABLED`.
        margin_access: Option<Label> = "margin_access",
        /// Whether it is suspended.
        suspended: Option<bool> = "suspended",
        /// Whether it has ended.
        terminated: Option<bool> = "terminated",
        /// Whether it may trade.
        tradable: Option<bool> = "tradable",
        /// Its id.
        uuid: Label = "uuid",
    }
}

members! {
    /// `private/get-accounts` (section 11.3).
    pub struct AccountsResult {
        /// The master.
        master_account: AccountRow = "master_account",
        /// Its sub-accounts.
        sub_account_list: Rows<AccountRow> = "sub_account_list",
    }
}

members! {
    /// `private/get-cancel-on-disconnect` (section 12.5).
    pub struct DisconnectResult {
        /// What is cancelled; absent when nothing is.
        scope: Option<Label> = "scope",
    }
}
