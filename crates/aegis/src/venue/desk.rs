//! The thread that owns the accounts' machines and the market: one job after the other, durable before it is answered.
//!
//! It holds no socket and never waits for one: jobs come over a bounded queue, answers and news leave over bounded
//! queues, and whoever does not take its news is cut off. Figures come from the machines; what is kept here beside
//! them (who listens, what may be seen already) does not outlive the process.

use crate::config::venue_server::VenueServer;
use crate::exit::Failure;
use crate::venue::board::{Board, Point};
use crate::venue::clock::{Clock, wall};
use crate::venue::control::Order;
use crate::venue::driver::{Driver, Due, wait};
use crate::venue::rows::{self, Frame, machine_number};
use crate::venue::seen::Seen;
use aegis_cryptocom::rows::{BalanceRow, OrderRow, TradeRow};
use aegis_cryptocom::words;
use aegis_cryptocom::{Code, Integers, Reply, Request};
use aegis_journal::DirStorage;
use aegis_model::input::{ListedInstrument, VenueBalance};
use aegis_model::market::PricePath;
use aegis_model::{FeedId, InstrumentId, Label, Price, Quantity, Side, Tick, Timestamp};
use aegis_node::Node;
use aegis_paper::{OrderReport, Said, Venue, VenueEffect, VenueInput, VenueRow, VenueTrade};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Jobs that may wait.
pub(crate) const JOBS: usize = 1024;
/// How long the desk sleeps at most; after so much idleness the journals are marked durable.
const IDLE_NS: i64 = aegis_model::ids::SECOND;
/// The feed of a recorded market.
pub(crate) const RECORDED: FeedId = FeedId(60_000);

/// What the desk is asked for.
pub(crate) enum Job {
    /// A request of an account.
    Ask(Box<Asked>, oneshot::Sender<Reply>),
    /// A user socket listens from now on.
    Join {
        /// Whose.
        account: usize,
        /// Which socket.
        connection: u64,
        /// Where news go.
        news: mpsc::Sender<News>,
    },
    /// A user socket asks to see what stands, by its queue so that nothing overtakes it.
    Show {
        /// Which socket.
        connection: u64,
        /// The request to answer.
        id: i64,
        /// The full name of the channel.
        channel: String,
    },
    /// A user socket is gone.
    Leave {
        /// Which.
        connection: u64,
        /// Whether the orders made on it go too.
        cancel: bool,
    },
    /// The orders made on a user socket go.
    CancelMade {
        /// Which.
        connection: u64,
    },
    /// The control endpoint.
    Control(Box<Order>, oneshot::Sender<serde_json::Value>),
    /// End.
    Stop,
}

/// A request that was verified.
pub(crate) struct Asked {
    pub(crate) account: usize,
    pub(crate) id: i64,
    pub(crate) nonce: i64,
    pub(crate) request: Request,
    pub(crate) integers: Integers,
    pub(crate) connection: Option<u64>,
}

/// What happened to an account, or what stands.
#[derive(Clone, Debug)]
pub(crate) struct News {
    /// Not to be seen before.
    pub(crate) due: Instant,
    /// The request that it answers, with the subscription that it shows; none for everybody.
    pub(crate) shows: Option<(i64, String)>,
    /// What.
    pub(crate) what: Arc<What>,
}

/// The rows of news.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Orders(Vec<OrderRow>),
    Triggers(Vec<OrderRow>),
    Trades(Vec<TradeRow>),
    Balance(Box<BalanceRow>),
    /// A channel that shows nothing by itself.
    Nothing,
}

/// Delays after which things may be seen, ns of wall time. `visible` concerns all that a new order does, the others
/// one kind of reading each, on top of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lags {
    pub(crate) visible: i64,
    pub(crate) detail: i64,
    pub(crate) open: i64,
    pub(crate) history: i64,
    pub(crate) trades: i64,
    pub(crate) balance: i64,
    pub(crate) stream: i64,
}

/// One account.
pub(crate) struct Account {
    pub(crate) key: String,
    /// What `account_id` shows.
    pub(crate) id: Label,
    pub(crate) node: Node<Venue, DirStorage>,
    pub(crate) seen: Seen,
    cursors: BTreeMap<FeedId, u64>,
    listeners: Vec<Listener>,
    told: Vec<VenueBalance>,
    /// Orders made on a socket, newest last.
    made: BTreeMap<u64, Vec<u64>>,
}

struct Listener {
    connection: u64,
    news: mpsc::Sender<News>,
}

/// The desk.
pub(crate) struct Desk {
    pub(crate) accounts: Vec<Account>,
    pub(crate) settings: Arc<VenueServer>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) board: Arc<RwLock<Board>>,
    pub(crate) turn: watch::Sender<u64>,
    pub(crate) driver: Driver,
    pub(crate) lags: Lags,
    pub(crate) listed: BTreeMap<Label, ListedInstrument>,
    pub(crate) fee_falls_back: bool,
    /// The first failure; the desk ends with it.
    pub(crate) failed: Option<Failure>,
}

/// What the effects of one step say of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) accepted: Option<u64>,
    /// Refused: the order that was left behind, and the code.
    pub(crate) rejected: Option<(Option<u64>, u32)>,
    pub(crate) cancel_refused: bool,
    pub(crate) triggers: Vec<u64>,
    pub(crate) triggers_refused: Vec<(u32, u32)>,
    pub(crate) list: Option<u64>,
    pub(crate) amended: Option<u32>,
    pub(crate) flow: Option<aegis_paper::FlowOutcome>,
    pub(crate) listing_refused: Option<String>,
}

impl Account {
    pub(crate) fn new(key: String, id: Label, node: Node<Venue, DirStorage>) -> Account {
        Account {
            key,
            id,
            node,
            seen: Seen::default(),
            cursors: BTreeMap::new(),
            listeners: Vec::new(),
            told: Vec::new(),
            made: BTreeMap::new(),
        }
    }

    /// The machine.
    pub(crate) const fn venue(&self) -> &Venue {
        self.node.machine()
    }

    /// The next place of a feed.
    fn cursor(&mut self, feed: FeedId) -> u64 {
        let durable = self.node.machine().feed_position(feed).map_or(0, |tick| tick.cursor);
        let next = self.cursors.get(&feed).copied().unwrap_or(0).max(durable) + 1;
        self.cursors.insert(feed, next);
        next
    }

    /// The last price that the journal knows of an instrument.
    pub(crate) fn remembered(&self, name: Label) -> Option<Tick> {
        let (id, _) = self.venue().state().instrument(name)?;
        self.venue().feed_position(feed_of(id))
    }
}

/// The feed of an instrument's points that are not recorded ones.
fn feed_of(id: InstrumentId) -> FeedId {
    FeedId(u16::try_from(id.0).unwrap_or(u16::MAX))
}

impl Desk {
    /// Works until it is told to stop, or until a journal fails.
    ///
    /// # Errors
    /// [`Failure`] of a journal: the process ends, a restart replays.
    pub(crate) fn work(mut self, jobs: &Receiver<Job>) -> Result<(), Failure> {
        let mut idle = false;
        loop {
            match jobs.recv_timeout(wait(self.driver.due(), IDLE_NS)) {
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(job) => {
                    idle = false;
                    self.job(job);
                }
                Err(RecvTimeoutError::Timeout) => {
                    if self.driver.due().is_none() && !idle {
                        idle = true;
                        for account in &mut self.accounts {
                            account.node.mark()?;
                        }
                    }
                }
            }
            self.market();
            if let Some(failure) = self.failed.take() {
                return Err(failure);
            }
        }
        for account in self.accounts {
            account.node.close()?;
        }
        Ok(())
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Ask(asked, reply) => {
                if let Some(answer) = self.asked(&asked) {
                    // Nobody listens when the client went away.
                    drop(reply.send(answer));
                }
            }
            Job::Join { account, connection, news } => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.listeners.push(Listener { connection, news });
                }
            }
            Job::Show { connection, id, channel } => self.show(connection, id, channel),
            Job::Leave { connection, cancel } => {
                for account in &mut self.accounts {
                    account.listeners.retain(|listener| listener.connection != connection);
                }
                self.forget_made(connection, cancel);
            }
            Job::CancelMade { connection } => self.forget_made(connection, true),
            Job::Control(order, reply) => {
                let answer = self.control(*order);
                drop(reply.send(answer));
            }
            Job::Stop => {}
        }
    }

    /// Gives inputs to an account's machine; nothing comes back once a journal has failed.
    pub(crate) fn step(&mut self, at: usize, inputs: &[VenueInput]) -> Option<Outcome> {
        let account = self.accounts.get_mut(at)?;
        match account.node.step(wall(), inputs) {
            Ok(effects) => Some(self.tell(at, &effects)),
            Err(fault) => {
                self.failed.get_or_insert(fault.into());
                None
            }
        }
    }

    /// What the effects say, told to whom it concerns.
    fn tell(&mut self, at: usize, effects: &[VenueEffect]) -> Outcome {
        let mut outcome = Outcome::default();
        let (mut orders, mut trades, mut triggers) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        let mut moved = false;
        for effect in effects {
            match effect {
                VenueEffect::Order(report) => {
                    moved = true;
                    told_of(report, &mut outcome, &mut orders, &mut trades);
                }
                VenueEffect::Flow { outcome: flow, .. } => {
                    moved = true;
                    outcome.flow = Some(flow.clone());
                }
                VenueEffect::Trigger { trigger } => {
                    outcome.triggers.push(*trigger);
                    triggers.insert(*trigger);
                }
                VenueEffect::TriggerRefused { place, code, .. } => {
                    outcome.triggers_refused.push((*place, *code))
                }
                VenueEffect::Listed { list } => outcome.list = Some(*list),
                VenueEffect::Amended { code, .. } => outcome.amended = Some(*code),
                VenueEffect::ListingRefused { text, .. } => {
                    outcome.listing_refused = Some(text.as_str().to_owned())
                }
                VenueEffect::LookedUp { .. } | VenueEffect::Listing(_) => {}
            }
        }
        self.remember(at, &orders, &triggers, moved);
        self.spread(at, &orders, &trades, &triggers, moved);
        outcome
    }

    /// Keeps what was changed for those who may not see it yet.
    fn remember(&mut self, at: usize, orders: &BTreeSet<u64>, triggers: &BTreeSet<u64>, moved: bool) {
        let lagging = self.lags != Lags::default();
        let Some(account) = self.accounts.get_mut(at).filter(|_| lagging) else { return };
        let venue = account.node.machine();
        for number in orders {
            if let Some(row) = venue.order_row(*number) {
                account.seen.order(*number, row, true);
            }
        }
        for number in triggers {
            if let Some(row) = venue.trigger_row(*number) {
                account.seen.trigger(*number, row, true);
            }
        }
        if moved {
            account.seen.balance(venue.balances());
        }
    }

    /// Sends news to the account's sockets, and its trades to the board.
    fn spread(
        &mut self,
        at: usize,
        orders: &BTreeSet<u64>,
        trades: &[VenueTrade],
        triggers: &BTreeSet<u64>,
        moved: bool,
    ) {
        let due = Instant::now() + crate::venue::clock::span(self.lags.visible + self.lags.stream);
        let rows: Vec<OrderRow> = orders.iter().filter_map(|n| self.order_row(at, *n, true)).collect();
        let waiting: Vec<OrderRow> = triggers.iter().filter_map(|n| self.trigger_row(at, *n, true)).collect();
        let fills: Vec<TradeRow> =
            trades.iter().filter_map(|trade| self.trade_row(at, trade, true)).collect();
        let mut news = Vec::new();
        for (empty, what) in [
            (rows.is_empty(), What::Orders(rows)),
            (fills.is_empty(), What::Trades(fills)),
            (waiting.is_empty(), What::Triggers(waiting)),
        ] {
            if !empty {
                news.push(what);
            }
        }
        if moved && let Some(balance) = self.balance_news(at) {
            news.push(balance);
        }
        for what in news {
            self.send(at, &News { due, shows: None, what: Arc::new(what) });
        }
        if !trades.is_empty() {
            self.publish(at, trades);
        }
    }

    fn balance_news(&mut self, at: usize) -> Option<What> {
        let balances = self.accounts.get(at)?.venue().balances();
        let account = self.accounts.get_mut(at)?;
        if account.told == balances {
            return None;
        }
        account.told.clone_from(&balances);
        Some(What::Balance(Box::new(self.balance_row(at, &balances))))
    }

    fn send(&mut self, at: usize, news: &News) {
        let Some(account) = self.accounts.get_mut(at) else { return };
        // Whoever is full or gone is cut off: its socket sees the end of its queue and closes.
        account.listeners.retain(|listener| listener.news.try_send(news.clone()).is_ok());
    }

    /// Shows what stands to one socket.
    fn show(&mut self, connection: u64, id: i64, channel: String) {
        let whose = self.accounts.iter().position(|a| a.listeners.iter().any(|l| l.connection == connection));
        let Some(at) = whose else { return };
        let (family, instrument) = split_channel(&channel);
        let instrument: Option<Label> = instrument.and_then(|name| name.parse().ok());
        let what = match family {
            "user.order" => What::Orders(self.open_orders(at, instrument)),
            "user.advance.order" | "user.advanced.order" => {
                What::Triggers(self.open_triggers(at, instrument))
            }
            "user.balance" => {
                let balances = self.seen_balances(at);
                What::Balance(Box::new(self.balance_row(at, &balances)))
            }
            _ => What::Nothing,
        };
        let news = News { due: Instant::now(), shows: Some((id, channel)), what: Arc::new(what) };
        if let Some(account) = self.accounts.get_mut(at) {
            let gone = |l: &Listener| l.connection != connection || l.news.try_send(news.clone()).is_ok();
            account.listeners.retain(gone);
        }
    }

    /// User sockets that are logged in.
    pub(crate) fn listeners(&self) -> usize {
        self.accounts.iter().map(|account| account.listeners.len()).sum()
    }

    /// Forgets what was made on a socket, and cancels it if asked to.
    fn forget_made(&mut self, connection: u64, cancel: bool) {
        for at in 0..self.accounts.len() {
            let made = self.accounts[at].made.remove(&connection).unwrap_or_default();
            if cancel {
                for order in made {
                    self.step(at, &[VenueInput::CancelNumber { order }]);
                }
            }
        }
    }

    /// Notes an order that was made on a socket.
    pub(crate) fn made_on(&mut self, at: usize, connection: Option<u64>, order: u64) {
        if let Some((account, connection)) = self.accounts.get_mut(at).zip(connection) {
            account.made.entry(connection).or_default().push(order);
        }
    }

    /// The facts of an instrument.
    pub(crate) fn spec(&self, name: Label) -> Option<&ListedInstrument> {
        self.listed.get(&name)
    }

    fn frame(&self, at: usize, name: Label) -> Option<(&Account, Frame<'_>)> {
        let account = self.accounts.get(at)?;
        let frame = Frame { account: account.id, spec: self.spec(name)?, terms: account.venue().settings() };
        Some((account, frame))
    }

    /// An order's row as the machine has it; on sockets with the time of the change.
    pub(crate) fn order_row(&self, at: usize, number: u64, socket: bool) -> Option<OrderRow> {
        let row = self.accounts.get(at)?.venue().order_row(number)?;
        self.shown_order(at, &row, socket)
    }

    /// A row of any time as it is shown: its trades are those up to it.
    pub(crate) fn shown_order(&self, at: usize, row: &VenueRow, socket: bool) -> Option<OrderRow> {
        let (account, frame) = self.frame(at, row.instrument)?;
        let number = machine_number(&row.venue_order.0);
        let mut trades = account.venue().order_trades(number);
        trades.retain(|trade| trade.executed <= row.updated);
        let shown = frame.order(row, &trades, account.venue().fee_choice(number));
        Some(if socket { with_transaction(shown, row.updated) } else { shown })
    }

    /// A conditional order's row.
    pub(crate) fn trigger_row(&self, at: usize, number: u64, socket: bool) -> Option<OrderRow> {
        let row = self.accounts.get(at)?.venue().trigger_row(number)?;
        self.shown_trigger(at, &row, socket)
    }

    /// The same, of any time.
    pub(crate) fn shown_trigger(
        &self,
        at: usize,
        row: &aegis_paper::TriggerRow,
        socket: bool,
    ) -> Option<OrderRow> {
        let (account, frame) = self.frame(at, row.instrument)?;
        let order = row.order.and_then(|order| account.venue().order_row(order));
        let trades = row.order.map_or_else(Vec::new, |order| account.venue().order_trades(order));
        let shown = frame.trigger(row, order.as_ref().map(|order| (order, trades.as_slice())));
        Some(if socket { with_transaction(shown, row.updated) } else { shown })
    }

    /// A trade's row.
    pub(crate) fn trade_row(&self, at: usize, trade: &VenueTrade, socket: bool) -> Option<TradeRow> {
        Some(self.frame(at, trade.instrument)?.1.trade(trade, socket))
    }

    /// The account's coins.
    pub(crate) fn balance_row(&self, at: usize, balances: &[VenueBalance]) -> BalanceRow {
        let venue = self.accounts.get(at).map(Account::venue);
        rows::balance(balances, |asset| {
            if matches!(asset.as_str(), "USD" | "USDT" | "USDC") {
                return Some(Price::new(1, 0));
            }
            let pair = self.listed.values().find(|spec| spec.base == asset)?;
            venue?.mark_price(pair.name)
        })
    }

    /// Moves the market on.
    fn market(&mut self) {
        let now = Instant::now();
        if self.driver.due().is_none_or(|due| due > now) {
            return;
        }
        let guarded: Vec<(Label, Price)> = match &self.driver {
            Driver::Recorded(_) => {
                self.accounts.iter().flat_map(|account| account.venue().guarded()).collect()
            }
            Driver::Walk(_) | Driver::Silent => Vec::new(),
        };
        let of =
            |name: Label| guarded.iter().filter(|(of, _)| *of == name).map(|(_, price)| *price).collect();
        let due = self.driver.points(now, of);
        self.points(due);
    }

    /// Shows points to the machines and to everybody.
    pub(crate) fn points(&mut self, due: Vec<Due>) {
        for one in due {
            self.point(&one);
        }
        self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// A point as the board alone shows it: history from before the start.
    pub(crate) fn picture(&self, due: &[Due]) {
        let Ok(mut board) = self.board.write() else { return };
        for one in due {
            if let Some(shown) = board.shown.get_mut(&one.name) {
                shown.show(&one.point, one.at, one.at);
            }
        }
    }

    fn point(&mut self, due: &Due) {
        let now = wall();
        if let Ok(mut board) = self.board.write()
            && let Some(shown) = board.shown.get_mut(&due.name)
        {
            shown.show(&due.point, self.clock.shown(), due.at);
        }
        for at in 0..self.accounts.len() {
            if let Some(tick) = self.tick(at, due, now) {
                self.step(at, &[VenueInput::Tick { name: due.name, tick }]);
            }
        }
    }

    /// The point as an account's machine takes it in: at wall time, since its facts are.
    fn tick(&mut self, at: usize, due: &Due, now: Timestamp) -> Option<Tick> {
        let account = self.accounts.get_mut(at)?;
        if let Some(tick) = due.tick {
            return Some(Tick { feed: RECORDED, at: now, ..tick });
        }
        let (instrument, _) = account.venue().state().instrument(due.name)?;
        let feed = feed_of(instrument);
        let cursor = account.cursor(feed);
        let Point { bid, ask, trade, last } = due.point;
        Some(Tick {
            feed,
            cursor,
            instrument,
            at: now,
            bid: bid.map(|(price, _)| price),
            ask: ask.map(|(price, _)| price),
            last: trade.map(|trade| trade.0).or(last),
            bid_quantity: bid.and_then(|(_, size)| size),
            ask_quantity: ask.and_then(|(_, size)| size),
            path: PricePath::Jump,
        })
    }

    /// Shows an account's trades to everybody, and the touch without what it took.
    fn publish(&mut self, at: usize, trades: &[VenueTrade]) {
        let Some(account) = self.accounts.get(at) else { return };
        let now = self.clock.shown();
        let market = self.driver.market_time(wall());
        if let Ok(mut board) = self.board.write() {
            for trade in trades {
                let Some(shown) = board.shown.get_mut(&trade.instrument) else { continue };
                let took = trade.liquidity == aegis_paper::Liquidity::Taker;
                let taker = match (trade.side, took) {
                    (Side::Buy, true) | (Side::Sell, false) => words::Side::Buy,
                    (Side::Sell, true) | (Side::Buy, false) => words::Side::Sell,
                };
                let point = Point { trade: Some((trade.price, trade.quantity, taker)), ..Point::default() };
                shown.show(&point, now, market);
                let left = |side: Side| account.venue().touch(trade.instrument, side).map(|(_, left)| left);
                shown.take(left(Side::Sell), left(Side::Buy), now);
            }
        }
        self.turn.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// The time up to which a reading with this lag may see.
    pub(crate) fn horizon(&self, lag: i64) -> Instant {
        let lag = crate::venue::clock::span(self.lags.visible + lag);
        Instant::now().checked_sub(lag).unwrap_or_else(Instant::now)
    }

    /// The same as wall time.
    pub(crate) fn horizon_wall(&self, lag: i64) -> Timestamp {
        wall().after(-(self.lags.visible + lag))
    }

    /// The touch of an account's market.
    pub(crate) fn touch(&self, at: usize, name: Label, side: Side) -> Option<(Price, Option<Quantity>)> {
        self.accounts.get(at)?.venue().touch(name, side)
    }
}

/// What one report says.
fn told_of(
    report: &OrderReport,
    outcome: &mut Outcome,
    orders: &mut BTreeSet<u64>,
    trades: &mut Vec<VenueTrade>,
) {
    let number = report.venue_order.map(|id| machine_number(&id.0));
    match &report.what {
        Said::Accepted => outcome.accepted = outcome.accepted.or(number),
        Said::Rejected { code, .. } => outcome.rejected = outcome.rejected.or(Some((number, *code))),
        Said::Traded(trade) => trades.push(*trade),
        Said::Row(_) => orders.extend(number),
        Said::CancelRefused { .. } => outcome.cancel_refused = true,
    }
}

/// `user.order.BTC_USDT` as `user.order` and `BTC_USDT`.
pub(crate) fn split_channel(channel: &str) -> (&str, Option<&str>) {
    for family in ["user.order", "user.trade", "user.balance", "user.advance.order", "user.advanced.order"] {
        if channel == family {
            return (family, None);
        }
        if let Some(rest) = channel.strip_prefix(family).and_then(|rest| rest.strip_prefix('.')) {
            return (family, Some(rest));
        }
    }
    (channel, None)
}

fn with_transaction(row: OrderRow, at: Timestamp) -> OrderRow {
    OrderRow {
        transaction_time: Some(aegis_cryptocom::wire::Ms(at)),
        transaction_time_ns: Some(aegis_cryptocom::wire::Ns(at)),
        ..row
    }
}

/// A machine's code as the wire has it; one that the table lacks is a rejection.
pub(crate) fn wire_code(code: u32) -> Code {
    Code::from_number(i64::from(code)).unwrap_or(Code::Rejected)
}

/// How long a desk may take to answer before its client is told 40801.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
