//! The control endpoint: a loopback-only HTTP server with which a test or a person moves the market, scripts faults
//! and reads the exchange's own ledger. Off unless an address is given. It can do everything to the exchange and asks
//! nobody's leave; amounts are strings, times milliseconds.
//!
//! ```text
//! GET    /                  addresses of nothing: lags, skew, market, what stands
//! POST   /price             {"instrument","bid","ask","bid_quantity"?,"ask_quantity"?,"last"?,"hold"?}
//!                           a point of the market now; the walk leaves the instrument alone unless "hold" is false
//! POST   /mark              {"instrument","price"}   the mark price; null lets it follow the market again
//! POST   /market            {"instrument","hold"}    stop or go on with the walk
//! POST   /order             {"account"?,"instrument","side","type","price"?,"quantity","client_oid"?}
//!                           an order by hand: a foreign one, or with MARKET a manual trade
//! POST   /cancel            {"account"?,"order_id"}
//! POST   /flow              {"account"?,"id","asset","quantity"}   signed; the id's first word is its kind in the
//!                           ledger: deposit-1, withdrawal-1, adjustment-1, conversion-1, subaccount-1
//! POST   /instrument        {"name","price_tick"?,"quantity_tick"?,"minimum_notional"?,"tradable"?}
//! POST   /lag               {"visible","detail","open","history","trades","balance","stream"}   each optional, ms;
//!                           what is left out is 0
//! POST   /clock             {"skew_ms"}              the clock that clients see runs ahead (behind, if negative)
//! POST   /maintenance       {"on"}                   every private call is 9010001
//! POST   /integers          {"as":"numbers"|"strings"}
//! POST   /fees              {"fall_back"}            fee_instrument_name is not followed
//! POST   /faults            a script, or a list of them; see [`crate::venue::faults`]
//! GET    /faults?from=N     the log of what was applied, from that number on
//! DELETE /faults            no script stands any more
//! GET    /ledger?account=K  balances, orders, triggers, trades, flows, and orders accepted per client order id
//! ```
//!
//! A script: `{"when":{"method","channel","instrument","client_oid","account"},"act":{"drop_reply":{}},"times":2}`,
//! or `"for_ms"` instead of `"times"`, and `"after":N` to let N pass first. Acts: drop_request, drop_reply,
//! page {status, processed}, code {code, processed}, delay_request {ms}, hold_request {ms}, delay_reply {ms},
//! repeat_request, strings, extra_fields, lower_case_side, null_values, drop_frame, duplicate_frame, reorder_frame,
//! delay_frame {ms}, close {code}, skip_heartbeat. Those without members are written `{"drop_frame":{}}`.

use crate::venue::board::Point;
use crate::venue::clock::wall;
use crate::venue::desk::{Desk, Job, Lags, Outcome};
use crate::venue::driver::Due;
use crate::venue::faults::Script;
use crate::venue::house::House;
use crate::venue::rows::{list_id, machine_number, order_id, order_number, trigger_id};
use aegis_model::{
    Label, Money, OrderKind, Price, Quantity, Side, TimeInForce, Timestamp, VenueOrderId,
    input::ListedInstrument,
};
use aegis_paper::{Asked, FlowOutcome, VenueInput, VenueRow};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of an order.
const BODY_MAX: usize = 1 << 20;
/// The longest lag, ms.
const LAG_MAX: u64 = 600_000;

/// What the control endpoint may ask the desk for.
#[derive(Debug)]
pub(crate) enum Order {
    Price(SetPrice),
    Mark { instrument: Label, price: Option<Price> },
    Market { instrument: Label, hold: bool },
    Place(Place),
    Cancel { account: Option<String>, order_id: String },
    Flow { account: Option<String>, id: Label, asset: Label, quantity: Quantity },
    Instrument(Change),
    Lag(Lags),
    Fees { fall_back: bool },
    Ledger { account: Option<String> },
    Info,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPrice {
    instrument: Label,
    bid: Price,
    ask: Price,
    #[serde(default)]
    bid_quantity: Option<Quantity>,
    #[serde(default)]
    ask_quantity: Option<Quantity>,
    #[serde(default)]
    last: Option<Price>,
    #[serde(default = "yes")]
    hold: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetMark {
    instrument: Label,
    price: Option<Price>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetMarket {
    instrument: Label,
    hold: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    #[serde(default)]
    account: Option<String>,
    instrument: Label,
    side: String,
    #[serde(rename = "type")]
    order_type: String,
    #[serde(default)]
    price: Option<Price>,
    quantity: Quantity,
    #[serde(default)]
    client_oid: Option<Label>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetCancel {
    #[serde(default)]
    account: Option<String>,
    order_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFlow {
    #[serde(default)]
    account: Option<String>,
    id: Label,
    asset: Label,
    quantity: Quantity,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    name: Label,
    #[serde(default)]
    price_tick: Option<Price>,
    #[serde(default)]
    quantity_tick: Option<Quantity>,
    #[serde(default)]
    minimum_notional: Option<Money>,
    #[serde(default)]
    tradable: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SetLag {
    visible: u64,
    detail: u64,
    open: u64,
    history: u64,
    trades: u64,
    balance: u64,
    stream: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    skew_ms: i64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetOn {
    on: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetIntegers {
    #[serde(rename = "as")]
    spelled: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFees {
    fall_back: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scripts {
    One(Script),
    Many(Vec<Script>),
}

/// The endpoint.
pub(crate) fn doors(house: Arc<House>) -> Router {
    Router::new().fallback(serve).with_state(house)
}

async fn serve(State(house): State<Arc<House>>, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = match axum::body::to_bytes(request.into_body(), BODY_MAX).await {
        Ok(body) => body,
        Err(_) => return said(StatusCode::PAYLOAD_TOO_LARGE, &json!({"error": "too long"})),
    };
    match asked(&house, &method, &path, &query, &body).await {
        Ok(answer) => {
            let status = if answer.get("error").is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
            said(status, &answer)
        }
        Err(why) => said(StatusCode::BAD_REQUEST, &json!({"error": why})),
    }
}

fn said(status: StatusCode, answer: &Value) -> Response {
    let mut response = Response::new(Body::from(answer.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn of<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn in_query(query: &str, name: &str) -> Option<String> {
    let parts = query.split('&').filter_map(|part| part.split_once('='));
    parts.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned()).next()
}

async fn asked(
    house: &House,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Result<Value, String> {
    let post = *method == Method::POST;
    if post {
        let said: Value = if body.is_empty() { Value::Null } else { of(body)? };
        house.faults.note(json!({"control": path, "said": said}));
    }
    let order = match (path, post) {
        ("/price", true) => Order::Price(of(body)?),
        ("/mark", true) => of(body).map(|SetMark { instrument, price }| Order::Mark { instrument, price })?,
        ("/market", true) => {
            of(body).map(|SetMarket { instrument, hold }| Order::Market { instrument, hold })?
        }
        ("/order", true) => Order::Place(of(body)?),
        ("/cancel", true) => {
            of(body).map(|SetCancel { account, order_id }| Order::Cancel { account, order_id })?
        }
        ("/flow", true) => of(body).map(|SetFlow { account, id, asset, quantity }| Order::Flow {
            account,
            id,
            asset,
            quantity,
        })?,
        ("/instrument", true) => Order::Instrument(of(body)?),
        ("/lag", true) => Order::Lag(lags(&of(body)?)?),
        ("/fees", true) => of(body).map(|SetFees { fall_back }| Order::Fees { fall_back })?,
        ("/ledger", false) => Order::Ledger { account: in_query(query, "account") },
        ("/", false) => Order::Info,
        ("/clock", true) => {
            let SetClock { skew_ms } = of(body)?;
            house.clock.skew(skew_ms.saturating_mul(1_000_000));
            return Ok(json!({"ok": true}));
        }
        ("/maintenance", true) => {
            let SetOn { on } = of(body)?;
            house.maintenance.store(on, Ordering::Relaxed);
            return Ok(json!({"ok": true}));
        }
        ("/integers", true) => {
            let SetIntegers { spelled } = of(body)?;
            let quoted = match spelled.as_str() {
                "numbers" => false,
                "strings" => true,
                _ => return Err(format!("{spelled:?} is neither numbers nor strings")),
            };
            house.quoted.store(quoted, Ordering::Relaxed);
            return Ok(json!({"ok": true}));
        }
        ("/faults", true) => {
            let scripts = match of(body)? {
                Scripts::One(script) => vec![script],
                Scripts::Many(scripts) => scripts,
            };
            let numbers: Result<Vec<u64>, String> =
                scripts.into_iter().map(|script| house.faults.add(script)).collect();
            return Ok(json!({"ok": true, "scripts": numbers?}));
        }
        ("/faults", false) if *method == Method::DELETE => {
            house.faults.clear();
            return Ok(json!({"ok": true}));
        }
        ("/faults", false) => {
            let from = in_query(query, "from").and_then(|from| from.parse().ok()).unwrap_or(1);
            let (applied, standing) = house.faults.log(from);
            return Ok(json!({"applied": applied, "standing": standing}));
        }
        _ => return Err(format!("no {method} {path}: see the head of control.rs, or the README")),
    };
    house
        .desk(|reply| Job::Control(Box::new(order), reply))
        .await
        .map_err(|code| format!("the desk does not answer: {}", code.row().name))
}

fn lags(asked: &SetLag) -> Result<Lags, String> {
    let ns = |ms: u64| {
        let fits = i64::try_from(ms).ok().filter(|_| ms <= LAG_MAX).map(|ms| ms * 1_000_000);
        fits.ok_or_else(|| format!("{ms} ms are more than {LAG_MAX}"))
    };
    Ok(Lags {
        visible: ns(asked.visible)?,
        detail: ns(asked.detail)?,
        open: ns(asked.open)?,
        history: ns(asked.history)?,
        trades: ns(asked.trades)?,
        balance: ns(asked.balance)?,
        stream: ns(asked.stream)?,
    })
}

fn wrong(why: impl Into<String>) -> Value {
    json!({"error": why.into()})
}

impl Desk {
    /// Does what the control endpoint asks.
    pub(crate) fn control(&mut self, order: Order) -> Value {
        match order {
            Order::Price(price) => self.set_price(&price),
            Order::Mark { instrument, price } => {
                if self.spec(instrument).is_none() {
                    return wrong("no such instrument");
                }
                for at in 0..self.accounts.len() {
                    self.step(at, &[VenueInput::Mark { name: instrument, price }]);
                }
                json!({"ok": true})
            }
            Order::Market { instrument, hold } => {
                let price = self.touch(0, instrument, Side::Sell).map(|(bid, _)| bid);
                self.driver.hold(instrument, hold, price);
                json!({"ok": true})
            }
            Order::Place(place) => self.by_hand(&place),
            Order::Cancel { account, order_id } => {
                let Some(at) = self.named(account.as_deref()) else { return wrong("no such account") };
                let number = order_id.parse().ok().and_then(|id: Label| order_number(&VenueOrderId(id)));
                let Some(number) = number else { return wrong("no such order") };
                let venue_order = VenueOrderId(Label::lossy(&number.to_string()));
                match self.step(at, &[VenueInput::ManualCancel { venue_order }]) {
                    Some(Outcome { cancel_refused: false, .. }) => json!({"ok": true}),
                    Some(_) | None => wrong("no such order is open"),
                }
            }
            Order::Flow { account, id, asset, quantity } => {
                let Some(at) = self.named(account.as_deref()) else { return wrong("no such account") };
                match self.step(at, &[VenueInput::Fund { id, asset, quantity }]).and_then(|o| o.flow) {
                    Some(FlowOutcome::Booked) => json!({"ok": true}),
                    Some(FlowOutcome::Already) => json!({"ok": true, "already": true}),
                    Some(FlowOutcome::Refused { text, .. }) => wrong(text.as_str()),
                    None => wrong("the journal has failed"),
                }
            }
            Order::Instrument(change) => self.change(&change),
            Order::Lag(lags) => {
                self.set_lags(lags);
                json!({"ok": true})
            }
            Order::Fees { fall_back } => {
                self.fee_falls_back = fall_back;
                json!({"ok": true})
            }
            Order::Ledger { account } => match self.named(account.as_deref()) {
                Some(at) => self.ledger(at),
                None => wrong("no such account"),
            },
            Order::Info => json!({
                "accounts": self.accounts.iter().map(|a| a.key.clone()).collect::<Vec<_>>(),
                "instruments": self.listed.keys().map(ToString::to_string).collect::<Vec<_>>(),
                "moving": self.listed.keys().filter(|name| self.driver.moves(**name)).map(ToString::to_string).collect::<Vec<_>>(),
                "lags_ns": {"visible": self.lags.visible, "detail": self.lags.detail, "open": self.lags.open,
                    "history": self.lags.history, "trades": self.lags.trades, "balance": self.lags.balance,
                    "stream": self.lags.stream},
                "listeners": self.listeners(),
                "skew_ns": self.clock.skewed(),
                "market_time_ns": self.driver.market_time(wall()).0,
            }),
        }
    }

    fn named(&self, account: Option<&str>) -> Option<usize> {
        match account {
            Some(key) => self.accounts.iter().position(|a| a.key == key),
            None => (!self.accounts.is_empty()).then_some(0),
        }
    }

    fn set_price(&mut self, set: &SetPrice) -> Value {
        let name = set.instrument;
        if self.spec(name).is_none() {
            return wrong("no such instrument");
        }
        if !set.bid.is_positive() || set.ask < set.bid {
            return wrong("a bid is above zero and not above the ask");
        }
        self.driver.hold(name, set.hold, Some(set.bid));
        let point = Point {
            bid: Some((set.bid, set.bid_quantity)),
            ask: Some((set.ask, set.ask_quantity)),
            trade: None,
            last: set.last,
        };
        self.points(vec![Due { name, point, tick: None, at: self.driver.market_time(wall()) }]);
        json!({"ok": true})
    }

    fn by_hand(&mut self, place: &Place) -> Value {
        let Some(at) = self.named(place.account.as_deref()) else { return wrong("no such account") };
        let side = match place.side.as_str() {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => return wrong("a side is BUY or SELL"),
        };
        let kind = match (place.order_type.as_str(), place.price) {
            ("MARKET", _) => OrderKind::Market,
            ("LIMIT", Some(price)) => OrderKind::Limit { price, time_in_force: TimeInForce::GoodTillCancel },
            _ => return wrong("a type is MARKET, or LIMIT with a price"),
        };
        let Place { instrument, quantity, client_oid, .. } = *place;
        let asked = Asked { client: client_oid, instrument, side, kind, quantity, fee: None, refuse: None };
        match self.step(at, &[VenueInput::Ask(asked)]) {
            Some(Outcome { rejected: Some((_, code)), .. }) => wrong(format!("refused: {code}")),
            Some(Outcome { accepted: Some(number), .. }) => {
                json!({"ok": true, "order_id": order_id(number).0.to_string()})
            }
            Some(_) | None => wrong("the journal has failed"),
        }
    }

    fn change(&mut self, change: &Change) -> Value {
        let Some(spec) = self.listed.get(&change.name).cloned() else { return wrong("no such instrument") };
        let spec = ListedInstrument {
            price_tick: change.price_tick.unwrap_or(spec.price_tick),
            quantity_tick: change.quantity_tick.unwrap_or(spec.quantity_tick),
            minimum_notional: change.minimum_notional.unwrap_or(spec.minimum_notional),
            tradable: change.tradable.unwrap_or(spec.tradable),
            ..spec
        };
        for at in 0..self.accounts.len() {
            let refused =
                self.step(at, &[VenueInput::List(vec![spec.clone()])]).and_then(|o| o.listing_refused);
            if let Some(why) = refused {
                return wrong(why);
            }
        }
        if let Ok(mut board) = self.board.write() {
            board.list(spec.clone());
        }
        self.listed.insert(change.name, spec);
        json!({"ok": true})
    }

    /// Sets the delays; what stands now is remembered, so that the first change already lags.
    pub(crate) fn set_lags(&mut self, lags: Lags) {
        self.lags = lags;
        for account in &mut self.accounts {
            account.seen.clear();
            if lags == Lags::default() {
                continue;
            }
            let venue = account.node.machine();
            for row in venue.open_rows() {
                account.seen.order(machine_number(&row.venue_order.0), row, false);
            }
            for row in venue.trigger_rows(Timestamp::EPOCH) {
                if row.status == aegis_model::input::RowStatus::Open {
                    account.seen.trigger(row.trigger, row, false);
                }
            }
            account.seen.balance(venue.balances());
        }
    }

    /// The exchange's own books.
    fn ledger(&self, at: usize) -> Value {
        let Some(account) = self.accounts.get(at) else { return wrong("no such account") };
        let venue = account.venue();
        let balances: BTreeMap<String, Value> = venue
            .state()
            .holdings()
            .map(|h| {
                let figures = json!({"total": h.total, "reserved": h.reserved, "flows": h.flows, "fees": h.fees,
                    "market": h.market});
                (h.name.to_string(), figures)
            })
            .collect();
        let mut rows = venue.open_rows();
        rows.extend(venue.ended_rows(Timestamp::EPOCH));
        rows.sort_by_key(|row| machine_number(&row.venue_order.0));
        let (mut accepted, mut rejected): (BTreeMap<String, u64>, BTreeMap<String, u64>) = Default::default();
        for row in &rows {
            let refused = row.status == aegis_model::input::RowStatus::Rejected;
            let counts = if refused { &mut rejected } else { &mut accepted };
            if let Some(client) = row.client {
                *counts.entry(client.to_string()).or_default() += 1;
            }
        }
        let orders: Vec<Value> = rows.iter().map(order_json).collect();
        let triggers: Vec<Value> = venue.trigger_rows(Timestamp::EPOCH).iter().map(trigger_json).collect();
        let trades: Vec<Value> = venue
            .trade_rows(Timestamp::EPOCH)
            .iter()
            .map(|t| {
                json!({"trade": machine_number(&t.trade.0), "order_id": order_id(machine_number(&t.venue_order.0)).0.to_string(),
                    "client_oid": t.client.map(|c| c.to_string()), "instrument": t.instrument.to_string(),
                    "side": format!("{:?}", t.side).to_uppercase(), "price": t.price, "quantity": t.quantity,
                    "value": t.value, "fee": t.fee, "fee_asset": t.fee_asset.to_string(),
                    "liquidity": format!("{:?}", t.liquidity).to_uppercase(), "executed_ns": t.executed.0})
            })
            .collect();
        let flows: Vec<Value> = venue
            .flow_rows(Timestamp::EPOCH)
            .iter()
            .map(|f| json!({"id": f.id.to_string(), "asset": f.asset.to_string(), "quantity": f.quantity, "time_ns": f.time.0}))
            .collect();
        let counters = venue.state().counters();
        json!({
            "account": account.key, "balances": balances, "orders": orders, "triggers": triggers, "trades": trades,
            "flows": flows, "accepted": accepted, "rejected": rejected, "lsn": account.node.durable().0,
            "audit": venue.state().audit().err(),
            "counters": {"accepted": counters.accepted, "rejected": counters.rejected,
                "duplicates": counters.duplicates, "trades": counters.trades, "triggered": counters.triggered,
                "cancelled": counters.cancelled, "expired": counters.expired},
        })
    }
}

fn order_json(row: &VenueRow) -> Value {
    let (kind, force) = match row.kind {
        OrderKind::Market => ("MARKET", None),
        OrderKind::Limit { time_in_force, .. } => ("LIMIT", Some(format!("{time_in_force:?}"))),
        OrderKind::StopLoss { .. } => ("STOP_LOSS", None),
        OrderKind::TakeProfit { .. } => ("TAKE_PROFIT", None),
    };
    json!({"order_id": order_id(machine_number(&row.venue_order.0)).0.to_string(),
        "client_oid": row.client.map(|c| c.to_string()), "instrument": row.instrument.to_string(),
        "side": format!("{:?}", row.side).to_uppercase(), "type": kind, "time_in_force": force,
        "price": row.price, "quantity": row.quantity, "cumulative": row.cumulative, "value": row.value,
        "status": format!("{:?}", row.status).to_uppercase(), "code": row.code,
        "created_ns": row.created.0, "updated_ns": row.updated.0})
}

fn trigger_json(row: &aegis_paper::TriggerRow) -> Value {
    json!({"order_id": trigger_id(row.trigger).0.to_string(), "client_oid": row.client.map(|c| c.to_string()),
        "instrument": row.instrument.to_string(), "side": format!("{:?}", row.side).to_uppercase(),
        "type": format!("{:?}", row.kind), "quantity": row.quantity, "reference": row.reference,
        "limit": row.limit, "list_id": row.list.map(|(list, _, _)| list_id(list).0.to_string()),
        "status": format!("{:?}", row.status).to_uppercase(), "waits": row.waits, "fired": row.fired,
        "exchange_order_id": row.order.map(|order| order_id(order).0.to_string()), "code": row.code})
}
