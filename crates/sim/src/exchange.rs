//! The misbehaving exchange: the paper machine behind the protocol's own bytes, both ways. What it does with an order
//! is the machine's business; what it shows of it, how late, and whether it answers at all, is chosen here.
//!
//! It keeps every fact of the machine as the ledger that the oracle reads.

use aegis_cryptocom::request::{CreateOrder, History, OrderKey, TriggerOrder};
use aegis_cryptocom::rows::{BalanceRow, OrderAck, OrderRow, PositionBalance, TradeRow, TransactionRow};
use aegis_cryptocom::server::{answer, answer_saying, refuse};
use aegis_cryptocom::wire::{Limit, Ms, Ns};
use aegis_cryptocom::words::{JournalType, OrderStatus, OrderType, Side, TimeInForce};
use aegis_cryptocom::{Code, Data, Inbound, Integers, Listing, Push, Reply, Request, Rows, Signer};
use aegis_model::input::RowStatus;
use aegis_model::{
    Label, Machine, OrderKind, Price, Side as ModelSide, TimeInForce as ModelForce, Timestamp, TradeId,
    VenueOrderId,
};
use aegis_paper::{
    Asked, Conditional, Said, TriggerKind, TriggerRow, Venue, VenueEffect, VenueEvent, VenueInput, VenueRow,
    VenueTrade, Watched,
};
use std::collections::VecDeque;

const ORDERS: u64 = 6_530_219_000_000_000_000;
const TRADES: u64 = 7_530_219_000_000_000_000;
const TRIGGERS: u64 = 5_755_600_460_000_000_000;
const FLOWS: u64 = 8_500_000_000_000_000_000;
/// How far back a reading may lag, ns.
const MEMORY: i64 = 30 * aegis_model::ids::SECOND;
const BARE: Integers = Integers::Bare;

fn numbered(base: u64, number: u64) -> Label {
    Label::lossy(&(base + number).to_string())
}

fn number_of(id: &VenueOrderId, base: u64) -> Option<u64> {
    id.0.as_str().parse::<u64>().ok()?.checked_sub(base).filter(|n| *n > 0 && *n < 1_000_000_000)
}

fn machine_number(id: &Label) -> u64 {
    id.as_str().parse().unwrap_or(0)
}

/// What the exchange shows to one reading.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sight {
    /// How old what it sees may be, ns.
    pub(crate) lag: i64,
    /// How long a new order is hidden, ns.
    pub(crate) hidden: i64,
}

/// The exchange.
pub(crate) struct Exchange {
    pub(crate) venue: Venue,
    signer: Signer,
    /// Every fact, in order.
    pub(crate) ledger: Vec<VenueEvent>,
    /// Until when a version stood, and how many facts had made it.
    versions: VecDeque<(i64, usize)>,
    /// The machine of the oldest version or of one before it, and the one shown last, each with the facts in it.
    oldest: (usize, Venue),
    shown: (usize, Venue),
    /// Frames of the user socket not yet sent.
    pub(crate) frames: Vec<String>,
    /// Whether versions are kept for readings that lag.
    pub(crate) keeps_versions: bool,
    /// Whether a refused order says so in its answer, or only in its row.
    pub(crate) reject_in_answer: bool,
}

impl Exchange {
    pub(crate) fn new(venue: Venue, signer: Signer) -> Exchange {
        Exchange {
            signer,
            ledger: Vec::new(),
            versions: VecDeque::new(),
            oldest: (0, venue.clone()),
            shown: (0, venue.clone()),
            venue,
            frames: Vec::new(),
            keeps_versions: false,
            reject_in_answer: true,
        }
    }

    /// What is now is all that was ever seen.
    pub(crate) fn forget_versions(&mut self) {
        self.versions.clear();
    }

    /// Gives the machine one input; its frames wait in `frames`.
    pub(crate) fn step(&mut self, now: i64, input: &VenueInput) -> Vec<VenueEffect> {
        let quiet = matches!(input, VenueInput::Tick { .. });
        let decision = self.venue.handle(Timestamp(now), input);
        if self.keeps_versions && !quiet && !decision.events.is_empty() {
            self.versions.push_back((now, self.ledger.len()));
            while self.versions.front().is_some_and(|(at, _)| *at < now - MEMORY) {
                self.versions.pop_front();
            }
        }
        self.ledger.extend(decision.events);
        for effect in &decision.effects {
            self.push(effect);
        }
        decision.effects
    }

    /// The machine as it was so long ago, as far as it is remembered: each version stood until its time. It is made
    /// again from the facts, since few versions are ever looked at.
    fn seen(&mut self, now: i64, lag: i64) -> &Venue {
        let then = now - lag;
        let Some((_, facts)) = self.versions.iter().find(|(until, _)| *until > then) else {
            return &self.venue;
        };
        let fold = |(folded, venue): &mut (usize, Venue), until: usize| {
            self.ledger[*folded..until].iter().for_each(|event| venue.apply(event));
            *folded = until;
        };
        let first = self.versions.front().map_or(*facts, |(_, facts)| *facts);
        fold(&mut self.oldest, first);
        if !(first..=*facts).contains(&self.shown.0) {
            self.shown = self.oldest.clone();
        }
        fold(&mut self.shown, *facts);
        &self.shown.1
    }

    fn push(&mut self, effect: &VenueEffect) {
        let data = match effect {
            VenueEffect::Order(report) => match &report.what {
                Said::Traded(trade) => Data::Trades(Rows::of(vec![trade_row(trade)])),
                Said::Accepted | Said::Row(_) | Said::Rejected { .. } => {
                    let number = report.venue_order.map(|id| machine_number(&id.0));
                    let Some(row) = number.and_then(|n| self.venue.order_row(n)) else { return };
                    Data::Orders(Rows::of(vec![order_row(&row)]))
                }
                Said::CancelRefused { .. } => return,
            },
            VenueEffect::Trigger { trigger } => {
                let Some(row) = self.venue.trigger_row(*trigger) else { return };
                Data::Triggers(Rows::of(vec![trigger_row(&self.venue, &row)]))
            }
            VenueEffect::LookedUp { .. }
            | VenueEffect::Listing(_)
            | VenueEffect::Flow { .. }
            | VenueEffect::TriggerRefused { .. }
            | VenueEffect::Listed { .. }
            | VenueEffect::Amended { .. }
            | VenueEffect::ListingRefused { .. } => return,
        };
        let channel = data.channel().to_owned();
        let push =
            Push { id: None, subscription: channel, instrument: None, depth: None, interval: None, data };
        self.frames.push(push.text(BARE));
    }

    /// Answers a request.
    pub(crate) fn serve(&mut self, now: i64, body: &[u8], sight: Sight) -> Reply {
        let inbound = match Inbound::parse(body) {
            Ok(inbound) => inbound,
            Err(code) => return refuse(-1, "ERROR", code, None, None, BARE),
        };
        let id = inbound.id();
        let name = inbound.method_name().to_owned();
        let refused = |code: Code| refuse(id, &name, code, None, None, BARE);
        let window = aegis_cryptocom::sign::NONCE_WINDOW_MS;
        if let Err(code) = inbound.verify(&self.signer, now.div_euclid(1_000_000), window) {
            return refused(code);
        }
        let request = match inbound.request() {
            Ok(request) => request,
            Err(code) => return refused(code),
        };
        let method = request.method();
        #[expect(clippy::wildcard_enum_match_arm, reason = "the client asks for these and no others")]
        match &request {
            Request::CreateOrder(order) => self.create(now, id, order),
            Request::AdvancedCreateOrder(order) => self.create_trigger(now, id, order),
            Request::CancelOrder(key) => {
                let input = match (key.order_id.and_then(|id| number_of(&id, ORDERS)), key.client_oid) {
                    (Some(order), _) => VenueInput::CancelNumber { order },
                    (None, Some(client)) => VenueInput::Cancel { client },
                    (None, None) => return refused(Code::InvalidOrderid),
                };
                let effects = self.step(now, &input);
                let code = effects.iter().find_map(|effect| match effect {
                    VenueEffect::Order(report) => match report.what {
                        Said::CancelRefused { code } => Some(code),
                        Said::Accepted | Said::Rejected { .. } | Said::Traded(_) | Said::Row(_) => None,
                    },
                    _ => None,
                });
                match code {
                    Some(code) => refused(wire_code(code)),
                    None => {
                        let order_id = key.order_id.or_else(|| {
                            let number = self.venue.order_of(key.client_oid?)?;
                            Some(VenueOrderId(numbered(ORDERS, number)))
                        });
                        let ack = OrderAck { client_oid: key.client_oid, order_id };
                        answer_saying(id, method, "NO_ERROR", &ack, BARE)
                    }
                }
            }
            Request::AdvancedCancelOrder(key) => {
                let Some(row) = trigger_of(&self.venue, key) else { return refused(Code::InvalidOrderid) };
                let effects = self.step(now, &VenueInput::CancelTrigger { trigger: row.trigger });
                let code = effects.iter().find_map(|effect| match effect {
                    VenueEffect::TriggerRefused { code, .. } => Some(*code),
                    _ => None,
                });
                match code {
                    Some(code) => refused(wire_code(code)),
                    None => {
                        let order_id = Some(VenueOrderId(numbered(TRIGGERS, row.trigger)));
                        answer(id, method, &OrderAck { client_oid: row.client, order_id }, BARE)
                    }
                }
            }
            Request::GetOrderDetail(key) => {
                let venue = self.seen(now, sight.lag);
                let number = match key.order_id {
                    Some(id) => number_of(&id, ORDERS),
                    None => key.client_oid.and_then(|client| venue.order_of(client)),
                };
                let row = number.and_then(|n| venue.order_row(n));
                match row.filter(|row| row.created.0 + sight.hidden <= now) {
                    Some(row) => answer(id, method, &order_row(&row), BARE),
                    None => refused(Code::NotFound),
                }
            }
            Request::AdvancedGetOrderDetail(key) => {
                let venue = self.seen(now, sight.lag);
                match trigger_of(venue, key).filter(|row| row.created.0 + sight.hidden <= now) {
                    Some(row) => answer(id, method, &trigger_row(venue, &row), BARE),
                    None => refused(Code::NotFound),
                }
            }
            Request::GetOpenOrders(_) => {
                let rows = self.seen(now, sight.lag).open_rows();
                let shown = rows.iter().filter(|row| row.created.0 + sight.hidden <= now);
                answer(id, method, &Listing::of(shown.map(order_row).collect()), BARE)
            }
            Request::AdvancedGetOpenOrders(_) => {
                let venue = self.seen(now, sight.lag);
                let rows = venue.open_trigger_rows();
                let shown = rows.iter().filter(|row| row.created.0 + sight.hidden <= now);
                answer(id, method, &Listing::of(shown.map(|row| trigger_row(venue, row)).collect()), BARE)
            }
            Request::GetOrderHistory(page) => {
                let rows = self.seen(now, sight.lag).ended_rows(since(page.start_time));
                let rows = rows.iter().filter(|row| wanted(page, row.created, row.instrument));
                let rows = newest(rows.map(order_row).collect(), page.limit, |row| row.created());
                answer(id, method, &Listing::of(rows), BARE)
            }
            Request::AdvancedGetOrderHistory(page) => {
                let venue = self.seen(now, sight.lag);
                let rows = venue.trigger_rows(since(page.start_time)).into_iter();
                let rows = rows
                    .filter(|row| row.status != RowStatus::Open && wanted(page, row.created, row.instrument));
                let rows = rows.map(|row| trigger_row(venue, &row)).collect();
                let rows = newest(rows, page.limit, |row: &OrderRow| row.created());
                answer(id, method, &Listing::of(rows), BARE)
            }
            Request::GetTrades(page) => {
                let rows = self.seen(now, sight.lag).trade_rows(since(page.start_time));
                let rows = rows.iter().filter(|row| wanted(page, row.executed, row.instrument));
                let rows = newest(rows.map(trade_row).collect(), page.limit, |row| row.executed());
                answer(id, method, &Listing::of(rows), BARE)
            }
            Request::GetTransactions(page) => {
                let rows = self.seen(now, sight.lag).flow_rows(Timestamp::EPOCH);
                let span = (page.start_time.map(|t| t.0), page.end_time.map(|t| t.0));
                let rows = rows.iter().enumerate().filter(|(_, row)| within(span, row.time));
                let rows = rows.map(|(at, row)| flow_row(at as u64 + 1, row)).collect();
                let rows = newest(rows, page.limit, TransactionRow::time);
                answer(id, method, &Listing::of(rows), BARE)
            }
            Request::UserBalance(_) => {
                let coins = self.seen(now, sight.lag).balances();
                let coins = coins.iter().map(|held| PositionBalance {
                    instrument_name: held.asset,
                    quantity: held.total,
                    reserved_qty: Some(held.reserved),
                    ..PositionBalance::default()
                });
                let row = BalanceRow {
                    instrument_name: Some(Label::literal("USD")),
                    position_balances: Rows::of(coins.collect()),
                    ..BalanceRow::default()
                };
                answer(id, method, &Listing::of(vec![row]), BARE)
            }
            _ => refused(Code::MethodNotFound),
        }
    }

    fn create(&mut self, now: i64, id: i64, order: &CreateOrder) -> Reply {
        let method = aegis_cryptocom::Method::CreateOrder;
        let Some(client) = order.client_oid else {
            return refuse(id, method.name(), Code::NoClordid, None, None, BARE);
        };
        let side = match order.side {
            Side::Buy => ModelSide::Buy,
            Side::Sell | Side::Unknown(_) => ModelSide::Sell,
        };
        let kind = match (order.order_type, order.price) {
            (OrderType::Limit, Some(price)) => {
                let time_in_force = match order.time_in_force {
                    Some(TimeInForce::ImmediateOrCancel) => ModelForce::ImmediateOrCancel,
                    Some(TimeInForce::FillOrKill) => ModelForce::FillOrKill,
                    Some(TimeInForce::GoodTillCancel | TimeInForce::Unknown(_)) | None => {
                        ModelForce::GoodTillCancel
                    }
                };
                OrderKind::Limit { price, time_in_force }
            }
            (_, _) => OrderKind::Market,
        };
        let asked = Asked {
            client: Some(client),
            instrument: order.instrument_name,
            side,
            kind,
            quantity: order.quantity.unwrap_or_default(),
            fee: None,
            refuse: None,
        };
        let effects = self.step(now, &VenueInput::Ask(asked));
        let mut accepted = None;
        let mut rejected = None;
        for effect in &effects {
            if let VenueEffect::Order(report) = effect
                && report.client == Some(client)
            {
                let number = report.venue_order.map(|id| machine_number(&id.0));
                match report.what {
                    Said::Accepted => accepted = number,
                    Said::Rejected { code, .. } => rejected = Some((number, code)),
                    Said::Traded(_) | Said::Row(_) | Said::CancelRefused { .. } => {}
                }
            }
        }
        let ack = |number: u64| OrderAck {
            client_oid: Some(client),
            order_id: Some(VenueOrderId(numbered(ORDERS, number))),
        };
        match (rejected, accepted) {
            // 204 names no order.
            (Some((_, 204)), _) => refuse(id, method.name(), Code::DuplicateClordid, None, None, BARE),
            (Some((Some(number), _)), _) if !self.reject_in_answer => answer(id, method, &ack(number), BARE),
            (Some((Some(number), code)), _) => {
                refuse(id, method.name(), wire_code(code), Some(&ack(number)), None, BARE)
            }
            (Some((None, code)), _) => refuse(id, method.name(), wire_code(code), None, None, BARE),
            (None, Some(number)) => answer(id, method, &ack(number), BARE),
            (None, None) => refuse(id, method.name(), Code::ErrInternal, None, None, BARE),
        }
    }

    fn create_trigger(&mut self, now: i64, id: i64, order: &TriggerOrder) -> Reply {
        let method = aegis_cryptocom::Method::AdvancedCreateOrder;
        let kind = if order.order_type == OrderType::TakeProfit {
            TriggerKind::TakeProfit
        } else {
            TriggerKind::StopLoss
        };
        let leg = Conditional {
            client: order.client_oid,
            instrument: order.instrument_name,
            side: if order.side == Side::Buy { ModelSide::Buy } else { ModelSide::Sell },
            kind,
            quantity: order.quantity,
            reference: order.ref_price.unwrap_or_default(),
            watched: Watched::Mark,
            limit: Price::ZERO,
            time_in_force: ModelForce::GoodTillCancel,
            fee: None,
        };
        let effects = self.step(now, &VenueInput::Condition { linked: None, legs: vec![leg] });
        for effect in &effects {
            if let VenueEffect::TriggerRefused { code, .. } = effect {
                return refuse(id, method.name(), wire_code(*code), None, None, BARE);
            }
            if let VenueEffect::Trigger { trigger } = effect {
                let order_id = Some(VenueOrderId(numbered(TRIGGERS, *trigger)));
                return answer(id, method, &OrderAck { client_oid: order.client_oid, order_id }, BARE);
            }
        }
        refuse(id, method.name(), Code::ErrInternal, None, None, BARE)
    }
}

fn wire_code(code: u32) -> Code {
    Code::from_number(i64::from(code)).unwrap_or(Code::ErrInternal)
}

fn trigger_of(venue: &Venue, key: &OrderKey) -> Option<TriggerRow> {
    let number = match key.order_id {
        Some(id) => number_of(&id, TRIGGERS),
        None => key.client_oid.and_then(|client| venue.trigger_of(client)),
    };
    venue.trigger_row(number?)
}

/// What is older cannot be on the page: an order ends after it was made.
fn since(start: Option<Ns>) -> Timestamp {
    start.map_or(Timestamp::EPOCH, |start| start.0)
}

fn within((start, end): (Option<Timestamp>, Option<Timestamp>), at: Timestamp) -> bool {
    start.is_none_or(|start| start <= at) && end.is_none_or(|end| at < end)
}

fn wanted(page: &History, at: Timestamp, instrument: Label) -> bool {
    within((page.start_time.map(|t| t.0), page.end_time.map(|t| t.0)), at)
        && page.instrument_name.is_none_or(|name| name == instrument)
}

/// A page: the newest first.
fn newest<T>(mut rows: Vec<T>, limit: Option<Limit>, time: impl Fn(&T) -> Option<Timestamp>) -> Vec<T> {
    rows.reverse();
    rows.sort_by_key(|row| std::cmp::Reverse(time(row)));
    rows.truncate(limit.map_or(100, |limit| limit.0) as usize);
    rows
}

const fn side(side: ModelSide) -> Side {
    match side {
        ModelSide::Buy => Side::Buy,
        ModelSide::Sell => Side::Sell,
    }
}

/// An order made by hand shows the nonce of its request in place of a client order id.
fn shown(client: Option<Label>, created: Timestamp) -> Option<Label> {
    Some(client.unwrap_or_else(|| Label::lossy(&created.0.div_euclid(1_000_000).to_string())))
}

const fn status(status: RowStatus) -> OrderStatus {
    match status {
        RowStatus::Open => OrderStatus::Active,
        RowStatus::Filled => OrderStatus::Filled,
        RowStatus::Cancelled | RowStatus::Expired => OrderStatus::Canceled,
        RowStatus::Rejected => OrderStatus::Rejected,
    }
}

fn reason(row: RowStatus, code: u32) -> Option<i64> {
    match row {
        RowStatus::Rejected => Some(i64::from(code)),
        RowStatus::Expired => Some(Code::ImmediateOrCancel.row().number),
        RowStatus::Open | RowStatus::Filled | RowStatus::Cancelled => None,
    }
}

fn order_row(row: &VenueRow) -> OrderRow {
    let (order_type, limit_price) = match row.kind {
        OrderKind::Limit { price, .. } => (OrderType::Limit, Some(price)),
        OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => {
            (OrderType::Market, None)
        }
    };
    OrderRow {
        order_id: VenueOrderId(numbered(ORDERS, machine_number(&row.venue_order.0))),
        client_oid: shown(row.client, row.created),
        order_type,
        side: side(row.side),
        quantity: row.quantity,
        limit_price,
        status: status(row.status),
        reason: reason(row.status, row.code),
        cumulative_quantity: row.cumulative,
        cumulative_value: row.value,
        create_time: Some(Ms(row.created)),
        create_time_ns: Some(Ns(row.created)),
        update_time: Some(Ms(row.updated)),
        instrument_name: row.instrument,
        ..OrderRow::default()
    }
}

fn trigger_row(venue: &Venue, row: &TriggerRow) -> OrderRow {
    let became = row.order.and_then(|number| venue.order_row(number));
    let (shown_status, why) = match &became {
        Some(order) => (status(order.status), reason(order.status, order.code)),
        None if row.status == RowStatus::Open => (OrderStatus::Pending, None),
        None => (status(row.status), reason(row.status, row.code)),
    };
    OrderRow {
        order_id: VenueOrderId(numbered(TRIGGERS, row.trigger)),
        client_oid: shown(row.client, row.created),
        order_type: match row.kind {
            TriggerKind::TakeProfit | TriggerKind::TakeProfitLimit => OrderType::TakeProfit,
            TriggerKind::StopLoss | TriggerKind::StopLimit | TriggerKind::Limit | TriggerKind::Market => {
                OrderType::StopLoss
            }
        },
        side: side(row.side),
        quantity: row.quantity,
        ref_price: row.reference,
        exchange_order_id: row.order.map(|number| VenueOrderId(numbered(ORDERS, number))),
        status: shown_status,
        reason: why,
        cumulative_quantity: became.map(|order| order.cumulative).unwrap_or_default(),
        cumulative_value: became.map(|order| order.value).unwrap_or_default(),
        create_time: Some(Ms(row.created)),
        create_time_ns: Some(Ns(row.created)),
        update_time: Some(Ms(row.updated)),
        instrument_name: row.instrument,
        ..OrderRow::default()
    }
}

fn trade_row(trade: &VenueTrade) -> TradeRow {
    let number = machine_number(&trade.trade.0);
    TradeRow {
        client_oid: shown(trade.client, trade.executed),
        create_time: Some(Ms(trade.executed)),
        create_time_ns: Some(Ns(trade.executed)),
        fee_instrument_name: Some(trade.fee_asset),
        fees: Some(trade.fee.negated()),
        instrument_name: trade.instrument,
        order_id: VenueOrderId(numbered(ORDERS, machine_number(&trade.venue_order.0))),
        side: side(trade.side),
        trade_id: TradeId(numbered(TRADES, number)),
        traded_price: trade.price,
        traded_quantity: trade.quantity,
        ..TradeRow::default()
    }
}

fn flow_row(number: u64, flow: &aegis_paper::VenueFlow) -> TransactionRow {
    TransactionRow {
        event_timestamp_ms: Some(Ms(flow.time)),
        event_timestamp_ns: Some(Ns(flow.time)),
        instrument_name: Some(flow.asset),
        journal_id: TradeId(numbered(FLOWS, number)),
        journal_type: if flow.quantity.is_negative() {
            JournalType::OnchainWithdrawal
        } else {
            JournalType::OnchainDeposit
        },
        transaction_qty: flow.quantity,
        ..TransactionRow::default()
    }
}
