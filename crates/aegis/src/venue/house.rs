//! What all connections share: keys, quotas, the public board, the way to the desk; and how a request is verified and
//! answered, whichever door it came by (reference, sections 1 to 6 and 13).
//!
//! The order of checks is the reference's: JSON, method, key and signature, nonce, maintenance, rate, parameters. It
//! never waits for a desk longer than [`ANSWER_WITHIN`] and never queues without a bound.

use crate::config::venue_server::VenueServer;
use crate::venue::board::Board;
use crate::venue::clock::Clock;
use crate::venue::desk::{ANSWER_WITHIN, Asked, Job};
use crate::venue::faults::{Action, Faults, Subject};
use aegis_cryptocom::json::Value;
use aegis_cryptocom::request::{CANDLES_MAX, GetCandlestick, GetPublicTrades, PUBLIC_TRADES_MAX};
use aegis_cryptocom::rows::{BaseRisk, BookResult, CandleResult, InstrumentRow, PublicTrade, RiskParameters};
use aegis_cryptocom::server::{answer, knock, parse_target, refuse};
use aegis_cryptocom::wire::{Ms, Spare};
use aegis_cryptocom::words::{InstrumentType, OrderType, Timeframe};
use aegis_cryptocom::write::{Json, Sink};
use aegis_cryptocom::{
    Budgets, Code, Inbound, Integers, Listing, Manner, Method, Reply, Request, Rows, Signer, Wire,
};
use aegis_model::{Fixed, Label, Money, Quantity, Rate, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Addresses whose quotas are counted; a loopback server meets few.
const ADDRESSES_MAX: usize = 1024;
/// The deepest book.
const DEPTH_MAX: u32 = 50;
/// What a widespread client asks for before anything else. It is not in the reference and nothing depends on it.
const NETWORKS: &str = "private/get-currency-networks";
/// Rows of public answers when no count is given.
const COUNT_USUAL: u32 = 25;

/// What all connections share.
pub(crate) struct House {
    pub(crate) settings: Arc<VenueServer>,
    pub(crate) clock: Arc<Clock>,
    /// Keys in the order of the accounts.
    pub(crate) signers: Vec<Signer>,
    pub(crate) jobs: SyncSender<Job>,
    pub(crate) board: Arc<RwLock<Board>>,
    pub(crate) turn: watch::Receiver<u64>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) maintenance: AtomicBool,
    pub(crate) quoted: AtomicBool,
    pub(crate) private: Mutex<Vec<Budgets>>,
    pub(crate) public: Mutex<BTreeMap<IpAddr, Budgets>>,
    /// Turns when the process ends.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// How the answer to a request leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// As it is.
    Reply(Reply),
    /// A page of a gateway.
    Page(u16),
    /// Not at all: the connection is cut.
    Cut,
}

/// A request with the door that it came by.
pub(crate) struct Knock {
    /// `private/create-order`.
    pub(crate) method: String,
    /// The query of a GET.
    pub(crate) query: String,
    /// The body of a POST, or a frame.
    pub(crate) body: Vec<u8>,
    /// By which door.
    pub(crate) door: DoorKind,
}

/// The doors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DoorKind {
    /// GET.
    Get(IpAddr),
    /// POST.
    Post,
    /// An authenticated user socket: its account and its number.
    Socket(usize, u64),
}

impl House {
    /// How whole numbers leave now.
    pub(crate) fn integers(&self) -> Integers {
        if self.quoted.load(Ordering::Relaxed) { Integers::Quoted } else { Integers::Bare }
    }

    /// The account with a key.
    pub(crate) fn account_of(&self, key: Option<&str>) -> Option<usize> {
        self.signers.iter().position(|signer| Some(signer.api_key()) == key)
    }

    /// What a request is about, for scripted faults.
    fn subject(&self, knock: &Knock) -> Subject {
        if let DoorKind::Get(_) = knock.door {
            let mut subject = Subject::of(&knock.method, "", None);
            let names = knock.query.split('&').filter_map(|part| part.strip_prefix("instrument_name="));
            subject.instruments = names.map(str::to_owned).collect();
            return subject;
        }
        let parsed = Value::parse(&knock.body).ok();
        let own = match knock.door {
            DoorKind::Socket(account, _) => self.signers.get(account).map(Signer::api_key),
            DoorKind::Get(_) | DoorKind::Post => {
                parsed.as_ref().and_then(|value| value.get("api_key")).and_then(Value::text)
            }
        };
        let params = parsed.as_ref().and_then(|value| value.get("params"));
        Subject::of(&knock.method, own.unwrap_or_default(), params)
    }

    /// Answers a request, with whatever fault is scripted for it. It goes on when its client is gone.
    pub(crate) async fn answer(self: Arc<House>, knock: Knock) -> Answer {
        let subject = self.subject(&knock);
        let fault = self.faults.take(crate::venue::faults::Stage::Request, &subject);
        let task = tokio::spawn(async move { self.with_fault(&knock, fault).await });
        // A task that was cancelled means that the process ends.
        task.await.unwrap_or(Answer::Cut)
    }

    async fn with_fault(&self, knock: &Knock, fault: Option<Action>) -> Answer {
        let integers = self.integers();
        let Some(fault) = fault else { return Answer::Reply(self.process(knock, integers, 0).await) };
        let coded = |code: i64| {
            let known = Code::from_number(code).unwrap_or(Code::ErrInternal);
            let id = Inbound::parse(&knock.body).map_or(-1, |inbound| inbound.id());
            refuse(id, &knock.method, known, None, None, integers)
        };
        match fault {
            Action::DropRequest {} => Answer::Cut,
            Action::DropReply {} => {
                self.process(knock, integers, 0).await;
                Answer::Cut
            }
            Action::Page { status, processed } => {
                if processed {
                    self.process(knock, integers, 0).await;
                }
                Answer::Page(status)
            }
            Action::Code { code, processed } => {
                if processed {
                    self.process(knock, integers, 0).await;
                }
                Answer::Reply(coded(code))
            }
            Action::DelayRequest { ms } => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Answer::Reply(self.process(knock, integers, 0).await)
            }
            Action::HoldRequest { ms } => Answer::Reply(self.process(knock, integers, ms).await),
            Action::DelayReply { ms } => {
                let reply = self.process(knock, integers, 0).await;
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Answer::Reply(reply)
            }
            Action::RepeatRequest {} => {
                let reply = self.process(knock, integers, 0).await;
                self.process(knock, integers, 0).await;
                Answer::Reply(reply)
            }
            Action::Strings {} => Answer::Reply(self.process(knock, Integers::Quoted, 0).await),
            Action::ExtraFields {} | Action::LowerCaseSide {} | Action::NullValues {} => {
                let reply = self.process(knock, integers, 0).await;
                let body = crate::venue::faults::reshaped(reply.body, &fault);
                Answer::Reply(Reply { body, ..reply })
            }
            Action::DropFrame {}
            | Action::DuplicateFrame {}
            | Action::ReorderFrame {}
            | Action::DelayFrame { .. }
            | Action::Close { .. }
            | Action::SkipHeartbeat {} => Answer::Reply(self.process(knock, integers, 0).await),
        }
    }

    /// Answers a request as the venue does; `hold` ms pass between the check of its nonce and its processing.
    async fn process(&self, knock: &Knock, integers: Integers, hold: u64) -> Reply {
        match knock.door {
            DoorKind::Get(address) => self.public(knock, address, integers),
            DoorKind::Post | DoorKind::Socket(..) => self.private(knock, integers, hold).await,
        }
    }

    async fn private(&self, from: &Knock, integers: Integers, hold: u64) -> Reply {
        let refused = |id: i64, code: Code| refuse(id, &from.method, code, None, None, integers);
        let Some(method) = Method::from_name(&from.method) else {
            let inbound = Inbound::parse(&from.body);
            let id = inbound.as_ref().map_or(-1, Inbound::id);
            let networks = inbound.ok().filter(|_| from.method == NETWORKS && from.door == DoorKind::Post);
            return match networks.map(|inbound| self.signed(&inbound)) {
                Some(Ok(_)) => self.networks(id, integers),
                Some(Err(code)) => refused(id, code),
                None => refused(id, Code::MethodNotFound),
            };
        };
        if from.door == DoorKind::Post
            && let Err(code) = knock(method, true)
        {
            return refused(-1, code);
        }
        let inbound = match Inbound::parse(&from.body) {
            Ok(inbound) => inbound,
            Err(code) => return refused(-1, code),
        };
        let id = inbound.id();
        let asked = match self.verified(from, method, &inbound) {
            Ok(asked) => asked,
            Err(code) => return refused(id, code),
        };
        drop(inbound);
        if hold > 0 {
            tokio::time::sleep(Duration::from_millis(hold)).await;
        }
        let asked = Asked { id, integers, ..asked };
        match self.desk(|reply| Job::Ask(Box::new(asked), reply)).await {
            Ok(reply) => reply,
            Err(code) => refused(id, code),
        }
    }

    /// What a request asks, once everything about it is right.
    fn verified(&self, from: &Knock, method: Method, inbound: &Inbound<'_>) -> Result<Asked, Code> {
        let (account, connection) = match from.door {
            DoorKind::Socket(account, connection) => (account, Some(connection)),
            DoorKind::Get(_) | DoorKind::Post => {
                if inbound.method_name() != from.method {
                    return Err(Code::BadRequest);
                }
                (self.signed(inbound)?, None)
            }
        };
        if self.maintenance.load(Ordering::Relaxed) {
            return Err(Code::SystemMaintenance);
        }
        if connection.is_none() {
            let mut budgets = self.private.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let budget = budgets.get_mut(account).ok_or(Code::Unauthorized)?;
            budget.take(method, self.clock.protocol()).map_err(|_| Code::TooManyRequests)?;
        }
        let request = match inbound.request() {
            Err(Code::ApiDisabled) if self.settings.legacy_triggers && method == Method::CreateOrder => {
                legacy(&from.body)?
            }
            request => request?,
        };
        let nonce = inbound.nonce().unwrap_or_else(|| self.clock.shown().0.div_euclid(1_000_000));
        Ok(Asked { account, id: -1, nonce, request, integers: Integers::Bare, connection })
    }

    /// Whose a request is, by key, signature and nonce.
    pub(crate) fn signed(&self, inbound: &Inbound<'_>) -> Result<usize, Code> {
        let account = self.account_of(inbound.api_key()).ok_or(Code::Unauthorized)?;
        let window = self.settings.times.nonce_window.div_euclid(1_000_000);
        let now = self.clock.shown().0.div_euclid(1_000_000);
        let signer = self.signers.get(account).ok_or(Code::Unauthorized)?;
        inbound.verify(signer, now, window)?;
        Ok(account)
    }

    /// The currencies, without any network to withdraw over.
    fn networks(&self, id: i64, integers: Integers) -> Reply {
        let assets: std::collections::BTreeSet<Label> =
            self.settings.instruments.iter().flat_map(|spec| [spec.base, spec.quote]).collect();
        let mut out = Json::new(512, integers);
        out.open_object();
        out.name("id");
        out.whole(id);
        out.name("method");
        out.text(NETWORKS);
        out.name("code");
        out.whole(0);
        out.name("result");
        out.open_object();
        out.name("update_time");
        out.whole(self.clock.shown().0.div_euclid(1_000_000));
        out.name("currency_map");
        out.open_object();
        for asset in assets {
            out.name(asset.as_str());
            out.open_object();
            out.name("full_name");
            out.text(asset.as_str());
            out.name("default_network");
            out.null();
            out.name("network_list");
            out.open_array();
            out.close_array();
            out.close_object();
        }
        out.close_object();
        out.close_object();
        out.close_object();
        Reply { status: 200, body: out.into_text() }
    }

    /// Asks the desk.
    ///
    /// # Errors
    /// 42901 when too much waits already: not processed. 40801 when the answer takes too long: nobody knows.
    pub(crate) async fn desk<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, Code> {
        let (sender, receiver) = oneshot::channel();
        self.jobs.try_send(job(sender)).map_err(|_| Code::TooManyRequests)?;
        match tokio::time::timeout(ANSWER_WITHIN, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Code::RequestTimeout),
        }
    }

    fn public(&self, from: &Knock, address: IpAddr, integers: Integers) -> Reply {
        let refused = |code: Code| refuse(-1, &from.method, code, None, None, integers);
        let Some(method) = Method::from_name(&from.method) else { return refused(Code::MethodNotFound) };
        if let Err(code) = knock(method, false) {
            return refused(code);
        }
        {
            let mut public = self.public.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if public.len() >= ADDRESSES_MAX && !public.contains_key(&address) {
                public.clear();
            }
            let budget = public.entry(address).or_insert_with(|| Budgets::new(0));
            if budget.take(method, self.clock.protocol()).is_err() {
                return refused(Code::TooManyRequests);
            }
        }
        let target = if from.query.is_empty() {
            from.method.clone()
        } else {
            format!("{}?{}", from.method, from.query)
        };
        match parse_target(&target).and_then(|request| self.shown(method, &request, integers)) {
            Ok(reply) => reply,
            Err(code) => refused(code),
        }
    }

    /// What everybody may see.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only public methods come by this door")]
    fn shown(&self, method: Method, request: &Request, integers: Integers) -> Result<Reply, Code> {
        let board = self.board.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = self.clock.shown();
        let of = |name: Label| board.shown.get(&name).ok_or(Code::InvalidInstrument);
        match request {
            Request::GetInstruments(_) => {
                let rows = board.shown.values().map(|shown| instrument_row(&shown.spec)).collect();
                // Recorded with the id 1, where other public answers carry -1 (section 2).
                Ok(answer(1, method, &Listing::of(rows), integers))
            }
            Request::GetTickers(asked) => {
                if let Some(name) = asked.instrument_name {
                    of(name)?;
                }
                let rows = board.tickers(asked.instrument_name, now);
                Ok(answer(-1, method, &Listing::of(rows), integers))
            }
            Request::GetBook(asked) => {
                let depth = asked.depth.unwrap_or(DEPTH_MAX).min(150);
                let shown = of(asked.instrument_name)?;
                let row = shown.book(depth as usize, now);
                let row = aegis_cryptocom::rows::BookRow { changed: None, number: None, ..row };
                let result = BookResult {
                    data: vec![row],
                    depth: Some(depth),
                    instrument_name: asked.instrument_name,
                };
                Ok(answer(-1, method, &result, integers))
            }
            Request::GetPublicTrades(asked) => {
                let rows = public_trades(of(asked.instrument_name)?, asked, now);
                Ok(answer(-1, method, &Listing::of(rows), integers))
            }
            Request::GetCandlestick(asked) => {
                let timeframe = asked.timeframe.unwrap_or(Timeframe::M1);
                let rows = candle_rows(of(asked.instrument_name)?, asked, timeframe);
                let result = CandleResult {
                    data: Rows::of(rows),
                    instrument_name: asked.instrument_name,
                    interval: timeframe.word().parse().unwrap_or_default(),
                };
                Ok(answer(-1, method, &result, integers))
            }
            Request::GetRiskParameters(_) => {
                let rows = board.shown.values().map(|shown| self.risk_row(&shown.spec)).collect();
                let result = RiskParameters {
                    base_currency_config: Rows::of(rows),
                    update_timestamp_ms: Some(Ms(now)),
                };
                Ok(answer(-1, method, &result, integers))
            }
            _ => Err(Code::MethodNotFound),
        }
    }

    fn risk_row(&self, spec: &aegis_model::input::ListedInstrument) -> BaseRisk {
        BaseRisk {
            daily_notional_limit: Spare(Some(Money::new(100_000_000, 0))),
            instrument_name: spec.base,
            max_order_notional_usd: Some(self.settings.largest.unwrap_or(Money::new(100_000_000, 0))),
            min_order_notional_usd: Some(spec.minimum_notional),
            order_limit: Spare(Some(Quantity::new(1_000_000, 0))),
        }
    }
}

/// A plain create of a trigger type, which the strict reader refuses today.
fn legacy(body: &[u8]) -> Result<Request, Code> {
    let value = Value::parse(body).map_err(|_| Code::InvalidRequest)?;
    let params = value.get("params").ok_or(Code::MissingOrInvalidArgument)?;
    let order = aegis_cryptocom::request::CreateOrder::read(params, Manner::Strict)
        .map_err(|misfit| aegis_cryptocom::server::refusal_code(&misfit))?;
    if matches!(order.order_type, OrderType::Limit | OrderType::Market) {
        return Err(Code::ApiDisabled);
    }
    Ok(Request::CreateOrder(order))
}

/// Decimals of a tick: 0.01 has two.
fn decimals(tick: Fixed) -> u32 {
    tick.shortest().1
}

/// An instrument as it is listed.
pub(crate) fn instrument_row(spec: &aegis_model::input::ListedInstrument) -> InstrumentRow {
    InstrumentRow {
        base_ccy: spec.base,
        beta_product: Some(false),
        contract_size: Spare(None),
        display_name: Some(format!("{}/{}", spec.base, spec.quote)),
        expiry_timestamp_ms: Spare(Some(Ms(Timestamp::EPOCH))),
        inst_type: InstrumentType::CcyPair,
        margin_buy_enabled: Some(false),
        margin_sell_enabled: Some(false),
        max_leverage: Spare(Some(Rate::new(1, 0))),
        price_tick_size: spec.price_tick,
        qty_tick_size: spec.quantity_tick,
        quantity_decimals: decimals(spec.quantity_tick.0),
        quote_ccy: spec.quote,
        quote_decimals: decimals(spec.price_tick.0),
        symbol: spec.name,
        tradable: spec.tradable,
    }
}

/// The newest first, as recorded.
fn public_trades(
    shown: &crate::venue::board::Shown,
    asked: &GetPublicTrades,
    now: Timestamp,
) -> Vec<PublicTrade> {
    let end = asked.end_ts.map_or(now.after(1), |t| t.0);
    let day = end.after(-aegis_model::ids::DAY);
    let start = asked.start_ts.map_or(day, |t| t.0).max(end.after(-7 * aegis_model::ids::DAY));
    let count = asked.count.unwrap_or(COUNT_USUAL).min(PUBLIC_TRADES_MAX) as usize;
    let rows = shown.trades.iter().rev().map(|(_, trade)| trade);
    let wanted = rows.filter(|trade| trade.time.0 >= start && trade.time.0 < end);
    wanted.take(count).cloned().collect()
}

/// Oldest first, the newest so many.
fn candle_rows(
    shown: &crate::venue::board::Shown,
    asked: &GetCandlestick,
    timeframe: Timeframe,
) -> Vec<aegis_cryptocom::rows::CandleRow> {
    let mut rows = shown.candles(timeframe);
    rows.retain(|row| {
        asked.start_ts.is_none_or(|start| row.time.0 >= start.0)
            && asked.end_ts.is_none_or(|end| row.time.0 < end.0)
    });
    let count = asked.count.unwrap_or(COUNT_USUAL).min(CANDLES_MAX) as usize;
    let first = rows.len().saturating_sub(count);
    rows.split_off(first)
}
