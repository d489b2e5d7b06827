//! The plain namespace: creating, changing and cancelling orders, and reading them (reference, sections 7, 10, 11).
//!
//! What the machine has no rule for is decided here before it is asked: prices far from the market, sizes, counts of
//! open orders, margin. It never makes up a row: whatever is answered is the machine's, as far as it may be seen.

use crate::venue::clock::wall;
use crate::venue::desk::{Asked, Desk, Lags, wire_code};
use crate::venue::rows::{self, machine_number, order_id, order_number, shown_client};
use crate::venue::seen::View;
use aegis_cryptocom::request::{
    AmendOrder, CancelAll, CancelEntry, CreateOrder, History, OrderKey, PAGE_MAX, Transactions,
};
use aegis_cryptocom::rows::{
    AccountRow, AccountsResult, BalancePoint, BalancePoints, FeeRates, InstrumentFeeRates, ListAck, OrderAck,
    OrderRow, TradeRow, TransactionRow,
};
use aegis_cryptocom::server::{answer, answer_saying, done, refuse};
use aegis_cryptocom::wire::{Ms, Spare};
use aegis_cryptocom::words::{CancelScope, ExecInst, OrderType, Side, SpotMargin, TimeInForce};
use aegis_cryptocom::{Code, Listing, Reply, Request, Rows};
use aegis_model::ids::DAY;
use aegis_model::input::VenueBalance;
use aegis_model::order::RejectClass;
use aegis_model::{
    Fixed, Label, Money, OrderKind, Price, Quantity, Rate, Rounding, Side as ModelSide,
    TimeInForce as ModelForce, Timestamp, VenueOrderId,
};
use aegis_paper::{Asked as Order, VenueInput, VenueRow};

/// Open orders of one instrument, and of all, at most; more are 318 (section 4).
pub(crate) const OPEN_OF_ONE: usize = 200;
/// See [`OPEN_OF_ONE`].
pub(crate) const OPEN_OF_ALL: usize = 1000;
/// How long rows are kept: six months (section 10.3).
const RETAINED: i64 = 182 * DAY;
/// The longest window of trades and ledger (section 10.3).
const WINDOW: i64 = 7 * DAY;
/// The window when none is given.
const WINDOW_USUAL: i64 = DAY;

/// What became of a request for one order.
pub(crate) struct Made {
    pub(crate) code: Code,
    pub(crate) ack: OrderAck,
}

/// An order before the machine sees it, or why it does not.
enum Prepared {
    Order(Order),
    Refused(Code),
}

pub(crate) const fn model_side(side: Side) -> Option<ModelSide> {
    match side {
        Side::Buy => Some(ModelSide::Buy),
        Side::Sell => Some(ModelSide::Sell),
        Side::Unknown(_) => None,
    }
}

/// How an order lives; `Err` when its instructions contradict each other.
pub(crate) fn model_force(force: Option<TimeInForce>, post: bool) -> Result<ModelForce, Code> {
    match (force.unwrap_or(TimeInForce::GoodTillCancel), post) {
        (TimeInForce::GoodTillCancel, false) => Ok(ModelForce::GoodTillCancel),
        (TimeInForce::GoodTillCancel, true) => Ok(ModelForce::PostOnly),
        (TimeInForce::ImmediateOrCancel, false) => Ok(ModelForce::ImmediateOrCancel),
        (TimeInForce::FillOrKill, false) => Ok(ModelForce::FillOrKill),
        (TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill, true) => Err(Code::PostOnlyRej),
        (TimeInForce::Unknown(_), _) => Err(Code::InvalidTif),
    }
}

impl Desk {
    /// Answers a request; none once a journal has failed.
    pub(crate) fn asked(&mut self, asked: &Asked) -> Option<Reply> {
        let Asked { account: at, id, integers, .. } = *asked;
        let method = asked.request.method();
        let refused = |code: Code| refuse(id, method.name(), code, None, None, integers);
        Some(match &asked.request {
            Request::CreateOrder(order) => {
                let made = self.create(at, order, asked.nonce.to_string(), asked.connection)?;
                if made.code == Code::Success {
                    answer(id, method, &made.ack, integers)
                } else {
                    let record = made.ack.order_id.is_some().then_some(&made.ack);
                    refuse(id, method.name(), made.code, record, None, integers)
                }
            }
            Request::CreateOrderList(list) => {
                let mut acks = Vec::new();
                for (index, order) in list.order_list.iter().enumerate() {
                    let made =
                        self.create(at, order, format!("{}_{index}", asked.nonce), asked.connection)?;
                    acks.push(list_ack(index, made.code, made.ack));
                }
                answer(id, method, &acks, integers)
            }
            Request::AmendOrder(amend) => match self.amend(at, amend, asked.nonce)? {
                Ok(ack) => answer(id, method, &ack, integers),
                Err((code, record)) => refuse(id, method.name(), code, record.as_ref(), None, integers),
            },
            Request::CancelOrder(key) => match self.cancel(at, key)? {
                Ok(ack) => answer_saying(id, method, "NO_ERROR", &ack, integers),
                Err(code) => refused(code),
            },
            Request::CancelOrderList(list) => {
                let mut acks = Vec::new();
                for (index, entry) in list.order_list.iter().enumerate() {
                    let CancelEntry { client_oid, order_id, .. } = *entry;
                    let key = OrderKey { client_oid, order_id };
                    acks.push(match self.cancel(at, &key)? {
                        Ok(ack) => list_ack(index, Code::Success, ack),
                        Err(code) => list_ack(index, code, OrderAck { client_oid, order_id }),
                    });
                }
                answer(id, method, &acks, integers)
            }
            Request::CancelAllOrders(all) => {
                self.cancel_all(at, all)?;
                done(id, method, integers)
            }
            Request::GetOpenOrders(of) => {
                let rows = self.open_orders(at, of.instrument_name);
                answer(id, method, &Listing::of(rows), integers)
            }
            Request::GetOrderDetail(key) => match self.detail(at, key) {
                Some(row) => answer(id, method, &row, integers),
                None => refused(Code::NotFound),
            },
            Request::GetOrderHistory(page) => {
                let rows = self.history(at, page);
                answer(id, method, &Listing::of(rows), integers)
            }
            Request::GetTrades(page) => match self.trades(at, page) {
                Ok(rows) => answer(id, method, &Listing::of(rows), integers),
                Err(code) => refused(code),
            },
            Request::GetTransactions(page) => match self.transactions(at, page) {
                Ok(rows) => answer(id, method, &Listing::of(rows), integers),
                Err(code) => refused(code),
            },
            Request::UserBalance(_) => {
                let balances = self.seen_balances(at);
                answer(id, method, &Listing::of(vec![self.balance_row(at, &balances)]), integers)
            }
            Request::UserBalanceHistory(_) => {
                let row = self.balance_row(at, &self.accounts.get(at)?.venue().balances());
                let now = wall();
                let hour = Timestamp(now.0 - now.0.rem_euclid(3600 * aegis_model::ids::SECOND));
                let point =
                    BalancePoint { value: row.total_cash_balance.0.unwrap_or_default(), time: Ms(hour) };
                let points = BalancePoints {
                    data: Rows::of(vec![point]),
                    instrument_name: Some(Label::literal("USD")),
                };
                answer(id, method, &points, integers)
            }
            Request::GetAccounts(_) => answer(id, method, &self.account_rows(at)?, integers),
            Request::GetFeeRate(_) => {
                let terms = self.accounts.get(at)?.venue().settings();
                let rates = FeeRates {
                    deriv_maker_bps: Spare(Some(Rate::new(15, 1))),
                    deriv_taker_bps: Spare(Some(Rate::new(4, 0))),
                    spot_maker_bps: in_points(terms.maker()),
                    spot_taker_bps: in_points(terms.taker()),
                    spot_tier: Some(Label::literal("1")),
                };
                answer(id, method, &rates, integers)
            }
            Request::GetInstrumentFeeRate(of) => {
                if self.spec(of.instrument_name).is_none() {
                    return Some(refused(Code::InvalidInstrument));
                }
                let terms = self.accounts.get(at)?.venue().settings();
                let rates = InstrumentFeeRates {
                    maker_bps: in_points(terms.maker()),
                    taker_bps: in_points(terms.taker()),
                    instrument_name: of.instrument_name,
                };
                answer(id, method, &rates, integers)
            }
            Request::AdvancedCreateOrder(_)
            | Request::AdvancedAmendOrder(_)
            | Request::AdvancedCreateOco(_)
            | Request::AdvancedCancelOco(_)
            | Request::AdvancedCreateOto(_)
            | Request::AdvancedCancelOto(_)
            | Request::AdvancedCreateOtoco(_)
            | Request::AdvancedCancelOtoco(_)
            | Request::AdvancedCancelOrder(_)
            | Request::AdvancedCreateOrderList(_)
            | Request::AdvancedCancelOrderList(_)
            | Request::AdvancedCancelAllOrders(_)
            | Request::AdvancedGetOpenOrders(_)
            | Request::AdvancedGetOrderDetail(_)
            | Request::AdvancedGetOrderHistory(_)
            | Request::AdvancedGetOrderListDetail(_) => return self.asked_advanced(asked),
            // Public methods and those of sockets are answered where they arrive.
            Request::GetInstruments(_)
            | Request::GetTickers(_)
            | Request::GetBook(_)
            | Request::GetPublicTrades(_)
            | Request::GetCandlestick(_)
            | Request::GetRiskParameters(_)
            | Request::Auth(_)
            | Request::Subscribe(_)
            | Request::Unsubscribe(_)
            | Request::RespondHeartbeat(_)
            | Request::SetCancelOnDisconnect(_)
            | Request::GetCancelOnDisconnect(_) => refused(Code::MethodNotFound),
        })
    }

    /// Creates an order. Without a client order id of its own the venue takes the nonce (section 14.1).
    fn create(
        &mut self,
        at: usize,
        order: &CreateOrder,
        nonce: String,
        connection: Option<u64>,
    ) -> Option<Made> {
        let named = order.client_oid.filter(|id| !id.is_empty());
        let client = named.unwrap_or_else(|| Label::lossy(&nonce));
        let nothing = |code: Code| Made { code, ack: OrderAck { client_oid: Some(client), order_id: None } };
        if order.order_type.is_trigger() {
            return self.create_legacy(at, order, client);
        }
        let prepared = match self.prepare(at, order, client) {
            Prepared::Refused(code) => return Some(nothing(code)),
            Prepared::Order(order) => order,
        };
        let outcome = self.step(at, &[VenueInput::Ask(prepared)])?;
        let ack = |number: u64| OrderAck { client_oid: Some(client), order_id: Some(order_id(number)) };
        Some(match (outcome.rejected, outcome.accepted) {
            (Some((Some(number), _)), _) if !self.settings.reject_in_answer => {
                Made { code: Code::Success, ack: ack(number) }
            }
            (Some((Some(number), code)), _) => Made { code: wire_code(code), ack: ack(number) },
            (Some((None, code)), _) => nothing(wire_code(code)),
            (None, Some(number)) => {
                self.made_on(at, connection, number);
                Made { code: Code::Success, ack: ack(number) }
            }
            (None, None) => nothing(Code::ErrInternal),
        })
    }

    /// What can be said of an order before the machine is asked.
    fn prepare(&self, at: usize, order: &CreateOrder, client: Label) -> Prepared {
        let name = order.instrument_name;
        let Some(account) = self.accounts.get(at) else { return Prepared::Refused(Code::InvalidAccount) };
        let venue = account.venue();
        if self.settings.shared_ids && venue.trigger_of(client).is_some() {
            return Prepared::Refused(Code::DuplicateClordid);
        }
        let Some(side) = model_side(order.side) else { return Prepared::Refused(Code::InvalidSide) };
        let Some(spec) = self.spec(name) else { return Prepared::Refused(Code::InvalidInstrument) };
        if order.spot_margin == Some(SpotMargin::Margin) {
            return Prepared::Refused(Code::UserNoMarginAccess);
        }
        let fee = match fee_asset(order.fee_instrument_name, spec.base, spec.quote, side) {
            Ok(fee) => fee.filter(|_| !self.fee_falls_back),
            Err(code) => return Prepared::Refused(code),
        };
        let instructions = order.exec_inst.as_deref().unwrap_or_default();
        let smart = instructions.contains(&ExecInst::SmartPostOnly);
        let post = smart || instructions.contains(&ExecInst::PostOnly);
        if instructions.iter().any(|i| !matches!(i, ExecInst::PostOnly | ExecInst::SmartPostOnly)) {
            return Prepared::Refused(Code::InvalidExecinst);
        }
        let mut refuse = None;
        let force = match model_force(order.time_in_force, post) {
            Ok(force) => force,
            Err(Code::PostOnlyRej) => {
                refuse = Some((RejectClass::PriceOut, Code::PostOnlyRej));
                ModelForce::PostOnly
            }
            Err(code) => return Prepared::Refused(code),
        };
        let kind = match (order.order_type, order.price) {
            (OrderType::Limit, Some(price)) => {
                let price = if smart { self.resting(at, name, side, price) } else { price };
                OrderKind::Limit { price, time_in_force: force }
            }
            (OrderType::Limit, None) => return Prepared::Refused(Code::MissingOrInvalidArgument),
            (_, _) => {
                if post {
                    refuse = Some((RejectClass::PriceOut, Code::PostOnlyRej));
                }
                OrderKind::Market
            }
        };
        let quantity = match (order.quantity, order.notional) {
            (Some(quantity), _) => quantity,
            (None, Some(notional)) => match self.bought_for(at, name, notional) {
                Ok(quantity) => quantity,
                Err(code) => return Prepared::Refused(code),
            },
            (None, None) => return Prepared::Refused(Code::MissingOrInvalidArgument),
        };
        let open = venue.open_rows();
        let here = open.iter().filter(|row| row.instrument == name).count();
        if here >= OPEN_OF_ONE || open.len() >= OPEN_OF_ALL {
            return Prepared::Refused(Code::ExceedsMaxAllowedOrders);
        }
        let refuse = refuse.or_else(|| self.out_of_bounds(at, name, kind, quantity));
        let refuse = refuse.and_then(|(class, code)| Some((class, u32::try_from(code.row().number).ok()?)));
        Prepared::Order(Order { client: Some(client), instrument: name, side, kind, quantity, fee, refuse })
    }

    /// A limit price at which a post-only order rests: one tick off the touch.
    fn resting(&self, at: usize, name: Label, side: ModelSide, price: Price) -> Price {
        let tick = self.spec(name).map_or(Price::ZERO, |spec| spec.price_tick);
        match (side, self.touch(at, name, side)) {
            (ModelSide::Buy, Some((ask, _))) => price.min(ask.minus(tick).unwrap_or(price)),
            (ModelSide::Sell, Some((bid, _))) => price.max(bid.plus(tick).unwrap_or(price)),
            (_, None) => price,
        }
    }

    /// How much a market buy gets for an amount of quote at the touch, in whole ticks.
    fn bought_for(&self, at: usize, name: Label, notional: Money) -> Result<Quantity, Code> {
        let (price, _) = self.touch(at, name, ModelSide::Buy).ok_or(Code::NoMarkPrice)?;
        let tick = self.spec(name).map_or(Quantity::ZERO, |spec| spec.quantity_tick);
        let exact = notional.0.over(price.0, Rounding::Floor).map(Quantity);
        exact.and_then(|exact| exact.to_tick(tick, Rounding::Floor)).map_err(|_| Code::InvalidOrderqty)
    }

    /// 314 and 315: too large, or too far from the market.
    fn out_of_bounds(
        &self,
        at: usize,
        name: Label,
        kind: OrderKind,
        quantity: Quantity,
    ) -> Option<(RejectClass, Code)> {
        let mark = self.accounts.get(at)?.venue().mark_price(name);
        let price = match kind {
            OrderKind::Limit { price, .. } => Some(price),
            OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => mark,
        };
        let worth = price.and_then(|price| price.times(quantity, Rounding::Floor).ok());
        if self.settings.largest.zip(worth).is_some_and(|(largest, worth)| worth > largest) {
            return Some((RejectClass::PriceOut, Code::ExceedsMaxOrderSize));
        }
        let (OrderKind::Limit { price, .. }, Some(band), Some(mark)) = (kind, self.settings.band, mark)
        else {
            return None;
        };
        let share = band.complement().ok()?;
        let below = mark.scaled(share, Rounding::Floor).ok()?;
        let above = mark.0.over(share.0, Rounding::Ceil).ok().map(Price);
        (price < below || above.is_some_and(|above| price > above))
            .then_some((RejectClass::PriceOut, Code::FarAwayLimitPrice))
    }

    fn number_of(&self, at: usize, order: Option<&VenueOrderId>, client: Option<Label>) -> Option<u64> {
        let venue = self.accounts.get(at)?.venue();
        match order {
            Some(id) => order_number(id).filter(|number| venue.order_row(*number).is_some()),
            None => client.and_then(|client| venue.order_of(client)),
        }
    }

    fn amend(
        &mut self,
        at: usize,
        amend: &AmendOrder,
        nonce: i64,
    ) -> Option<Result<OrderAck, (Code, Option<OrderAck>)>> {
        let number = self.number_of(at, amend.order_id.as_ref(), amend.orig_client_oid);
        let Some(number) = number else { return Some(Err((Code::InvalidOrderid, None))) };
        let client = amend.client_oid.unwrap_or_else(|| Label::lossy(&nonce.to_string()));
        let input = VenueInput::Amend {
            order: number,
            client: Some(client),
            price: amend.new_price,
            quantity: amend.new_quantity,
        };
        let code = self.step(at, &[input])?.amended.unwrap_or(0);
        let ack = OrderAck { client_oid: Some(client), order_id: Some(order_id(number)) };
        let code = wire_code(code);
        // Too little money is recorded with a result (section 7.3).
        let record = (code == Code::InsufficientAvailableBalance).then(|| ack.clone());
        Some(if code == Code::Success { Ok(ack) } else { Err((code, record)) })
    }

    fn cancel(&mut self, at: usize, key: &OrderKey) -> Option<Result<OrderAck, Code>> {
        let Some(number) = self.number_of(at, key.order_id.as_ref(), key.client_oid) else {
            return Some(Err(Code::InvalidOrderid));
        };
        let outcome = self.step(at, &[VenueInput::CancelNumber { order: number }])?;
        if outcome.cancel_refused {
            return Some(Err(Code::InvalidOrderid));
        }
        let row = self.accounts.get(at)?.venue().order_row(number)?;
        let client_oid = Some(shown_client(row.client, row.created));
        Some(Ok(OrderAck { client_oid, order_id: Some(order_id(number)) }))
    }

    fn cancel_all(&mut self, at: usize, all: &CancelAll) -> Option<()> {
        // Nothing of the plain namespace waits for a trigger.
        if all.scope == Some(CancelScope::Trigger) {
            return Some(());
        }
        let open = self.accounts.get(at)?.venue().open_rows();
        let wanted = open.iter().filter(|row| all.instrument_name.is_none_or(|name| name == row.instrument));
        let inputs: Vec<VenueInput> = wanted
            .map(|row| VenueInput::CancelNumber { order: machine_number(&row.venue_order.0) })
            .collect();
        self.step(at, &inputs).map(|_| ())
    }

    /// A row as a reading with this lag sees it.
    fn seen_order(&self, at: usize, row: VenueRow, lag: i64) -> Option<VenueRow> {
        if self.lags == Lags::default() {
            return Some(row);
        }
        let number = machine_number(&row.venue_order.0);
        match self.accounts.get(at)?.seen.order_at(number, self.horizon(lag)) {
            View::Now => Some(row),
            View::Then(row) => Some(row),
            View::Nothing => None,
        }
    }

    /// Open plain orders, as far as they may be seen.
    pub(crate) fn open_orders(&self, at: usize, name: Option<Label>) -> Vec<OrderRow> {
        let Some(account) = self.accounts.get(at) else { return Vec::new() };
        let venue = account.venue();
        // What ended a moment ago may still be shown as open.
        let mut rows = venue.open_rows();
        if self.lags != Lags::default() {
            rows.extend(venue.ended_rows(self.horizon_wall(self.lags.open)));
        }
        let seen = rows.into_iter().filter_map(|row| self.seen_order(at, row, self.lags.open));
        let open = seen.filter(|row| row.status == aegis_model::input::RowStatus::Open);
        let wanted = open.filter(|row| name.is_none_or(|name| name == row.instrument));
        wanted.filter_map(|row| self.shown_order(at, &row, false)).collect()
    }

    fn detail(&self, at: usize, key: &OrderKey) -> Option<OrderRow> {
        let number = self.number_of(at, key.order_id.as_ref(), key.client_oid)?;
        let row = self.accounts.get(at)?.venue().order_row(number)?;
        let row = self.seen_order(at, row, self.lags.detail)?;
        self.shown_order(at, &row, false)
    }

    fn history(&self, at: usize, page: &History) -> Vec<OrderRow> {
        let (start, end) = window(page.start_time.map(|t| t.0), page.end_time.map(|t| t.0));
        let Some(account) = self.accounts.get(at) else { return Vec::new() };
        let rows = account.venue().ended_rows(start);
        let seen = rows.into_iter().filter_map(|row| self.seen_order(at, row, self.lags.history));
        let ended = seen.filter(|row| row.status != aegis_model::input::RowStatus::Open);
        let mut rows: Vec<VenueRow> = ended
            .filter(|row| row.created >= start && row.created < end)
            .filter(|row| page.instrument_name.is_none_or(|name| name == row.instrument))
            .collect();
        // The newest first: only so does paging by the earliest time lose nothing.
        rows.sort_by_key(|row| std::cmp::Reverse((row.created, machine_number(&row.venue_order.0))));
        rows.truncate(limit(page.limit));
        rows.iter().filter_map(|row| self.shown_order(at, row, false)).collect()
    }

    fn trades(&self, at: usize, page: &History) -> Result<Vec<TradeRow>, Code> {
        let (start, end) = week(page.start_time.map(|t| t.0), page.end_time.map(|t| t.0))?;
        let Some(account) = self.accounts.get(at) else { return Ok(Vec::new()) };
        let seen = self.horizon_wall(self.lags.trades);
        let rows = account.venue().trade_rows(start);
        let wanted = rows.iter().rev().filter(|trade| {
            trade.executed < end
                && (self.lags == Lags::default() || trade.executed <= seen)
                && page.instrument_name.is_none_or(|name| name == trade.instrument)
        });
        let shown = wanted.take(limit(page.limit));
        Ok(shown.filter_map(|trade| self.trade_row(at, trade, false)).collect())
    }

    fn transactions(&self, at: usize, page: &Transactions) -> Result<Vec<TransactionRow>, Code> {
        let (start, end) = week(page.start_time.map(|t| t.0), page.end_time.map(|t| t.0))?;
        let Some(account) = self.accounts.get(at) else { return Ok(Vec::new()) };
        let venue = account.venue();
        let mut rows: Vec<TransactionRow> =
            venue.trade_rows(start).iter().flat_map(|trade| rows::ledger(account.id, trade)).collect();
        let flows = venue.flow_rows(Timestamp::EPOCH);
        let flows = flows.iter().enumerate().filter(|(_, flow)| flow.time >= start);
        rows.extend(flows.map(|(n, flow)| rows::flow(account.id, flow, n as u64 + 1)));
        rows.retain(|row| {
            row.time().is_some_and(|time| time >= start && time < end)
                && page.journal_type.is_none_or(|kind| kind == row.journal_type)
                && page.instrument_name.is_none_or(|name| Some(name) == row.instrument_name)
        });
        rows.sort_by_key(|row| std::cmp::Reverse((row.time(), row.journal_id)));
        rows.truncate(limit(page.limit));
        Ok(rows)
    }

    /// The balances as far as they may be seen.
    pub(crate) fn seen_balances(&self, at: usize) -> Vec<VenueBalance> {
        let Some(account) = self.accounts.get(at) else { return Vec::new() };
        match account.seen.balances_at(self.horizon(self.lags.balance)) {
            View::Then(balances) if self.lags != Lags::default() => balances,
            View::Then(_) | View::Now | View::Nothing => account.venue().balances(),
        }
    }

    fn account_rows(&self, at: usize) -> Option<AccountsResult> {
        let account = self.accounts.get(at)?;
        let master_account = AccountRow {
            create_time: Some(Ms(account
                .venue()
                .flow_rows(Timestamp::EPOCH)
                .first()
                .map_or(wall(), |f| f.time))),
            enabled: Some(true),
            label: Some("a simulated account".to_owned()),
            margin_access: Some(Label::literal("DISABLED")),
            suspended: Some(false),
            terminated: Some(false),
            tradable: Some(true),
            uuid: account.id,
        };
        Some(AccountsResult { master_account, sub_account_list: Rows::of(Vec::new()) })
    }
}

/// One element of a list's answer.
pub(crate) fn list_ack(index: usize, code: Code, ack: OrderAck) -> ListAck {
    ListAck {
        client_oid: ack.client_oid,
        code: code.row().number,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        message: (code != Code::Success).then(|| code.row().name.to_owned()),
        order_id: ack.order_id,
    }
}

/// The asset that is asked to pay the fee, if it is not the usual one; what the account cannot have falls back to the
/// usual one by itself (section 11.1).
pub(crate) fn fee_asset(
    asked: Option<Label>,
    base: Label,
    quote: Label,
    side: ModelSide,
) -> Result<Option<Label>, Code> {
    let Some(asked) = asked.filter(|asked| !asked.is_empty()) else { return Ok(None) };
    let money = matches!(asked.as_str(), "USD" | "USDT" | "EUR");
    match side {
        ModelSide::Buy if asked == base => Ok(None),
        ModelSide::Buy if asked == quote => Ok(Some(quote)),
        ModelSide::Sell if asked == quote => Ok(None),
        ModelSide::Buy | ModelSide::Sell if money => Ok(None),
        ModelSide::Buy | ModelSide::Sell => Err(Code::InvalidFeeCurrency),
    }
}

/// The window of a history: now and a day before it when nothing is given, and nothing older than is kept.
pub(crate) fn window(start: Option<Timestamp>, end: Option<Timestamp>) -> (Timestamp, Timestamp) {
    let now = wall();
    let end = end.unwrap_or(now.after(1));
    let start = start.unwrap_or(end.after(-WINDOW_USUAL));
    (start.max(now.after(-RETAINED)), end)
}

/// The same, at most seven days; more is 40005 (the venue's own code for it is not documented).
fn week(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<(Timestamp, Timestamp), Code> {
    let now = wall();
    let until = end.unwrap_or(now.after(1));
    let from = start.unwrap_or(until.after(-WINDOW_USUAL));
    if until.0.saturating_sub(from.0) > WINDOW {
        return Err(Code::InvalidDate);
    }
    Ok(window(Some(from), Some(until)))
}

pub(crate) fn limit(asked: Option<aegis_cryptocom::wire::Limit>) -> usize {
    asked.map_or(PAGE_MAX, |limit| limit.0.min(PAGE_MAX)) as usize
}

/// A rate in basis points.
fn in_points(rate: Rate) -> Rate {
    rate.0.times(Fixed::from_int(10_000), Rounding::HalfEven).map_or(rate, Rate)
}
