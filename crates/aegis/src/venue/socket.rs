//! Sockets (reference, section 12): login, subscriptions, heartbeats that must be answered, commands, and what is
//! sent.
//!
//! One task a socket. What a user socket has to say waits in a bounded queue, and a socket that does not take it is
//! cut off; a market socket has no queue at all, it sends what the board shows when it can. A write that takes longer
//! than [`WRITE_WITHIN`] ends the socket, so nobody slow holds anybody up.

use crate::venue::clock::{span, wall};
use crate::venue::desk::{Job, News, What, split_channel};
use crate::venue::faults::{Action, Stage, Subject, reshaped};
use crate::venue::house::{Answer, DoorKind, House, Knock};
use crate::venue::streams::Streams;
use aegis_cryptocom::frame::{acknowledge, heartbeat};
use aegis_cryptocom::request::{Channels, NO_ID};
use aegis_cryptocom::rows::{DisconnectResult, OrderRow, TradeRow};
use aegis_cryptocom::server::answer;
use aegis_cryptocom::{Code, ConnectionQuota, Data, Inbound, Integers, Method, Push, Rate, Request, Rows};
use aegis_model::Label;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// News that wait for one socket; one more cuts it off.
const NEWS: usize = 1024;
/// How long one write may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Numbers of sockets.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// Closed by the server, as after a missed heartbeat.
const NORMAL: u16 = 1000;
/// The server is restarting, or the socket was too slow.
const TRY_LATER: u16 = 1013;
/// No code: the connection just ends.
const ABNORMAL: u16 = 1006;

/// Why a socket ends: the code to close with.
struct End(u16);

/// What both kinds of sockets do alike.
struct Line {
    house: Arc<House>,
    socket: WebSocket,
    quota: ConnectionQuota,
    account: String,
    /// The heartbeat that waits for its answer, and until when.
    awaited: Option<(i64, Instant)>,
    next_heartbeat: Instant,
    /// A frame that goes after the next one.
    held: Option<String>,
}

impl Line {
    fn new(house: Arc<House>, socket: WebSocket, rate: Rate) -> Line {
        let quota = ConnectionQuota::new(rate, house.clock.protocol());
        let next_heartbeat = Instant::now() + span(house.settings.times.heartbeat);
        Line { house, socket, quota, account: String::new(), awaited: None, next_heartbeat, held: None }
    }

    fn integers(&self) -> Integers {
        self.house.integers()
    }

    /// When something about heartbeats is due.
    fn due(&self) -> Instant {
        self.awaited.map_or(self.next_heartbeat, |(_, until)| until.min(self.next_heartbeat))
    }

    /// Sends a heartbeat, or ends the socket that did not answer the last one.
    async fn beat(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.awaited.is_some_and(|(_, until)| until <= now) {
            return Err(End(NORMAL));
        }
        if self.next_heartbeat > now {
            return Ok(());
        }
        self.next_heartbeat = now + span(self.house.settings.times.heartbeat);
        let subject = Subject {
            account: self.account.clone(),
            method: "public/heartbeat".into(),
            ..Subject::default()
        };
        if self.house.faults.take(Stage::Heartbeat, &subject).is_some() {
            return Ok(());
        }
        let id = wall().0.div_euclid(1_000_000);
        self.awaited = Some((id, now + span(self.house.settings.times.heartbeat_answer)));
        let text = heartbeat(id, self.integers());
        self.write(text).await
    }

    fn answered(&mut self, id: i64) {
        if self.awaited.is_some_and(|(awaited, _)| awaited == id) {
            self.awaited = None;
        }
    }

    async fn write(&mut self, text: String) -> Result<(), End> {
        match timeout(WRITE_WITHIN, self.socket.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End(ABNORMAL)),
        }
    }

    /// Sends a frame, with whatever fault is scripted for it.
    async fn send(&mut self, text: String, subject: &Subject) -> Result<(), End> {
        let fault = self.house.faults.take(Stage::Frame, subject);
        let held = self.held.take();
        match fault {
            Some(Action::DropFrame {}) => {
                self.held = held;
                return Ok(());
            }
            Some(Action::ReorderFrame {}) => {
                if let Some(held) = held {
                    self.write(held).await?;
                }
                self.held = Some(text);
                return Ok(());
            }
            Some(Action::DuplicateFrame {}) => {
                self.write(text.clone()).await?;
                self.write(text).await?;
            }
            Some(Action::DelayFrame { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                self.write(text).await?;
            }
            Some(Action::Close { code }) => return Err(End(code)),
            Some(
                act @ (Action::Strings {}
                | Action::ExtraFields {}
                | Action::LowerCaseSide {}
                | Action::NullValues {}),
            ) => {
                self.write(reshaped(text, &act)).await?;
            }
            Some(_) | None => self.write(text).await?,
        }
        match held {
            Some(held) => self.write(held).await,
            None => Ok(()),
        }
    }

    /// Acknowledges a frame without a result.
    async fn acknowledge(&mut self, id: i64, method: &str, code: Code) -> Result<(), End> {
        let words = (code != Code::Success).then(|| code.row().name);
        let text = acknowledge(id, method, code.row().number, words, self.integers());
        let subject =
            Subject { method: method.to_owned(), account: self.account.clone(), ..Subject::default() };
        self.send(text, &subject).await
    }

    /// Takes one frame from the quota.
    fn allowed(&mut self) -> bool {
        self.quota.take(self.house.clock.protocol()).is_ok()
    }

    async fn close(mut self, End(code): End) {
        if code == ABNORMAL {
            return;
        }
        let frame = CloseFrame { code, reason: "".into() };
        // The other side may be gone already.
        drop(timeout(WRITE_WITHIN, self.socket.send(Message::Close(Some(frame)))).await);
    }
}

/// What came in: a frame's text, nothing of interest, or the end.
enum Heard {
    Text(Vec<u8>),
    Other,
    Gone,
}

fn heard(message: Option<Result<Message, axum::Error>>) -> Heard {
    match message {
        Some(Ok(Message::Text(text))) => Heard::Text(text.as_str().as_bytes().to_vec()),
        Some(Ok(Message::Binary(bytes))) => Heard::Text(bytes.to_vec()),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Other,
        Some(Ok(Message::Close(_)) | Err(_)) | None => Heard::Gone,
    }
}

/// A user socket.
pub(crate) async fn user(house: Arc<House>, socket: WebSocket) {
    let connection = NEXT.fetch_add(1, Ordering::Relaxed);
    let (news, queue) = mpsc::channel(NEWS);
    let mut user = User {
        line: Line::new(Arc::clone(&house), socket, Rate::USER_SOCKET),
        connection,
        account: None,
        channels: BTreeSet::new(),
        scope: None,
        news: Some(news),
        answers: VecDeque::new(),
    };
    let end = user.serve(queue).await;
    let cancel = user.scope.is_some();
    if user.account.is_some() && house.jobs.try_send(Job::Leave { connection, cancel }).is_err() {
        tracing::warn!("the desk is too busy to hear that a socket is gone");
    }
    user.line.close(end).await;
}

struct User {
    line: Line,
    connection: u64,
    /// Which account, once it logged in.
    account: Option<usize>,
    channels: BTreeSet<String>,
    scope: Option<Label>,
    /// Handed to the desk at the login, so that the queue ends when the desk cuts this socket off.
    news: Option<mpsc::Sender<News>>,
    /// Answers to commands, in the order in which they come.
    answers: VecDeque<tokio::task::JoinHandle<(String, Answer)>>,
}

impl User {
    async fn serve(&mut self, mut queue: mpsc::Receiver<News>) -> End {
        let mut stopped = self.line.house.stopped.clone();
        // News that may not be seen yet.
        let mut early: VecDeque<News> = VecDeque::new();
        loop {
            let due = self.line.due();
            let seen = early.front().map(|news| news.due);
            let done = tokio::select! {
                // What came in first: an answer to a heartbeat that is here is in time.
                biased;
                message = self.line.socket.recv() => match heard(message) {
                    Heard::Text(bytes) => self.frame(&bytes).await,
                    Heard::Other => Ok(()),
                    Heard::Gone => return End(ABNORMAL),
                },
                () = until(seen) => match early.pop_front() {
                    Some(news) => self.tell(&news).await,
                    None => Ok(()),
                },
                news = queue.recv(), if early.len() < NEWS => match news {
                    Some(news) => {
                        early.push_back(news);
                        Ok(())
                    }
                    None => return End(TRY_LATER),
                },
                (method, answer) = next_answer(&mut self.answers) => self.tell_answer(method, answer).await,
                () = sleep_until(due) => self.line.beat().await,
                _ = stopped.changed() => return End(TRY_LATER),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn tell_answer(&mut self, method: String, answer: Answer) -> Result<(), End> {
        match answer {
            Answer::Reply(reply) => {
                let account = self.line.account.clone();
                self.line.send(reply.body, &Subject { method, account, ..Subject::default() }).await
            }
            // A socket has no gateway's page: the answer is lost.
            Answer::Page(_) => Ok(()),
            Answer::Cut => Err(End(ABNORMAL)),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "what is no socket's own is a command for the desk")]
    async fn frame(&mut self, bytes: &[u8]) -> Result<(), End> {
        let inbound = match Inbound::parse(bytes) {
            Ok(inbound) => inbound,
            Err(code) => return self.line.acknowledge(NO_ID, "ERROR", code).await,
        };
        let (id, name) = (inbound.id(), inbound.method_name().to_owned());
        let method = match inbound.method() {
            Ok(method) => method,
            Err(code) => return self.line.acknowledge(id, &name, code).await,
        };
        if method == Method::RespondHeartbeat {
            self.line.answered(id);
            return Ok(());
        }
        if !self.line.allowed() {
            return self.line.acknowledge(id, &name, Code::TooManyRequests).await;
        }
        if method == Method::Auth {
            let code = self.login(&inbound);
            return self.line.acknowledge(id, &name, code).await;
        }
        let Some(account) = self.account else {
            return self.line.acknowledge(id, &name, Code::Unauthorized).await;
        };
        if !method.over_socket() {
            return self.line.acknowledge(id, &name, Code::MethodNotFound).await;
        }
        let request = match inbound.request() {
            Ok(request) => request,
            // Refused as any request is, once its faults and its legacy are looked at.
            Err(_) if method.door() != aegis_cryptocom::request::Door::Socket => {
                self.command(account, name, bytes);
                return Ok(());
            }
            Err(code) => return self.line.acknowledge(id, &name, code).await,
        };
        match request {
            Request::Subscribe(channels) => self.subscribe(id, &channels).await,
            Request::Unsubscribe(channels) => {
                for channel in &channels.channels {
                    self.channels.remove(channel);
                }
                // Counts as a disconnect (section 12.5).
                if self.scope.is_some() {
                    self.cancel_made();
                }
                self.line.acknowledge(id, &name, Code::Success).await
            }
            Request::SetCancelOnDisconnect(asked) => {
                self.scope = asked.scope.word().parse().ok();
                self.told_scope(id, method).await
            }
            Request::GetCancelOnDisconnect(_) => self.told_scope(id, method).await,
            _ => {
                self.command(account, name, bytes);
                Ok(())
            }
        }
    }

    /// Cancels what was made on this socket, which goes on listening.
    fn cancel_made(&mut self) {
        if self.line.house.jobs.try_send(Job::CancelMade { connection: self.connection }).is_err() {
            tracing::warn!("the desk is too busy to hear that a socket unsubscribed");
        }
    }

    async fn told_scope(&mut self, id: i64, method: Method) -> Result<(), End> {
        let reply = answer(id, method, &DisconnectResult { scope: self.scope }, self.line.integers());
        let account = self.line.account.clone();
        let subject = Subject { method: method.name().to_owned(), account, ..Subject::default() };
        self.line.send(reply.body, &subject).await
    }

    fn login(&mut self, inbound: &Inbound<'_>) -> Code {
        let house = &self.line.house;
        let account = match house.signed(inbound) {
            Ok(account) => account,
            Err(code) => return code,
        };
        let Some(signer) = house.signers.get(account) else { return Code::Unauthorized };
        self.line.account = signer.api_key().to_owned();
        if self.account.is_none()
            && let Some(news) = self.news.take()
        {
            let job = Job::Join { account, connection: self.connection, news };
            if house.jobs.try_send(job).is_err() {
                return Code::TooManyRequests;
            }
        }
        self.account = Some(account);
        Code::Success
    }

    async fn subscribe(&mut self, id: i64, asked: &Channels) -> Result<(), End> {
        let known = |channel: &String| {
            matches!(
                split_channel(channel).0,
                "user.order" | "user.trade" | "user.balance" | "user.advance.order" | "user.advanced.order"
            )
        };
        if !asked.channels.iter().all(known) {
            return self.line.acknowledge(id, "subscribe", Code::InvalidRequest).await;
        }
        self.line.acknowledge(id, "subscribe", Code::Success).await?;
        for channel in &asked.channels {
            self.channels.insert(channel.clone());
            let job = Job::Show { connection: self.connection, id, channel: channel.clone() };
            if self.line.house.jobs.try_send(job).is_err() {
                return Err(End(TRY_LATER));
            }
        }
        Ok(())
    }

    /// Hands a command over; its answer comes when it comes.
    fn command(&mut self, account: usize, method: String, bytes: &[u8]) {
        let door = DoorKind::Socket(account, self.connection);
        let knock = Knock { method: method.clone(), query: String::new(), body: bytes.to_vec(), door };
        let house = Arc::clone(&self.line.house);
        self.answers.push_back(tokio::spawn(async move { (method, house.answer(knock).await) }));
    }

    /// Sends news to the channels that they belong to.
    async fn tell(&mut self, news: &News) -> Result<(), End> {
        let channels: Vec<(Option<i64>, String)> = match &news.shows {
            Some((id, channel)) => vec![(Some(*id), channel.clone())],
            None => self.channels.iter().map(|channel| (None, channel.clone())).collect(),
        };
        for (id, channel) in channels {
            let (family, instrument) = split_channel(&channel);
            let only: Option<Label> = instrument.and_then(|name| name.parse().ok());
            for (instrument, data) in data_for(family, only, &news.what) {
                if news.shows.is_none() && is_empty(&data) {
                    continue;
                }
                let mut subject = Subject {
                    method: "subscribe".into(),
                    channel: data.channel().to_owned(),
                    account: self.line.account.clone(),
                    ..Subject::default()
                };
                name_rows(&data, &mut subject);
                let push = Push {
                    id: id.filter(|id| *id >= 0),
                    subscription: channel.clone(),
                    instrument,
                    depth: None,
                    interval: None,
                    data,
                };
                let text = push.text(self.line.integers());
                self.line.send(text, &subject).await?;
            }
        }
        Ok(())
    }
}

async fn until(due: Option<std::time::Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn next_answer(answers: &mut VecDeque<tokio::task::JoinHandle<(String, Answer)>>) -> (String, Answer) {
    match answers.front_mut() {
        Some(task) => {
            let answer = task.await.unwrap_or((String::new(), Answer::Cut));
            answers.pop_front();
            answer
        }
        None => std::future::pending().await,
    }
}

/// The rows of news that a channel shows, one frame an instrument: a frame of orders or trades names its instrument
/// even when the subscription does not, and clients rely on it. Nothing when the news are of another family; one empty
/// frame when the channel has no rows now.
fn data_for(family: &str, only: Option<Label>, what: &What) -> Vec<(Option<Label>, Data)> {
    fn split<T: Clone>(
        rows: &[T],
        only: Option<Label>,
        name: fn(&T) -> Label,
        data: fn(Rows<T>) -> Data,
    ) -> Vec<(Option<Label>, Data)> {
        let mut by_name: BTreeMap<Label, Vec<T>> = BTreeMap::new();
        for row in rows.iter().filter(|row| only.is_none_or(|only| only == name(row))) {
            by_name.entry(name(row)).or_default().push(row.clone());
        }
        if by_name.is_empty() {
            return vec![(only, data(Rows::default()))];
        }
        by_name.into_iter().map(|(name, rows)| (Some(name), data(Rows::of(rows)))).collect()
    }
    let of_order = |row: &OrderRow| row.instrument_name;
    match (family, what) {
        ("user.order", What::Orders(rows)) => split(rows, only, of_order, Data::Orders),
        ("user.advance.order" | "user.advanced.order", What::Triggers(rows)) => {
            split(rows, only, of_order, Data::Triggers)
        }
        ("user.trade", What::Trades(rows)) => {
            split(rows, only, |row: &TradeRow| row.instrument_name, Data::Trades)
        }
        ("user.balance", What::Balance(row)) => vec![(None, Data::Balances(Rows::of(vec![(**row).clone()])))],
        (_, _) => Vec::new(),
    }
}

fn is_empty(data: &Data) -> bool {
    match data {
        Data::Orders(rows) | Data::Triggers(rows) => rows.rows.is_empty(),
        Data::Trades(rows) => rows.rows.is_empty(),
        Data::Balances(_)
        | Data::Tickers(_)
        | Data::PublicTrades(_)
        | Data::Books(_)
        | Data::Deltas(_)
        | Data::Candles(_) => false,
    }
}

fn name_rows(data: &Data, subject: &mut Subject) {
    let name = |subject: &mut Subject, instrument: Label, client: Option<Label>| {
        subject.instruments.push(instrument.to_string());
        subject.client_oids.extend(client.map(|client| client.to_string()));
    };
    match data {
        Data::Orders(rows) | Data::Triggers(rows) => {
            rows.rows.iter().for_each(|row| name(subject, row.instrument_name, row.client_oid));
        }
        Data::Trades(rows) => {
            rows.rows.iter().for_each(|row| name(subject, row.instrument_name, row.client_oid))
        }
        Data::Balances(_)
        | Data::Tickers(_)
        | Data::PublicTrades(_)
        | Data::Books(_)
        | Data::Deltas(_)
        | Data::Candles(_) => {}
    }
}

/// A market socket.
pub(crate) async fn market(house: Arc<House>, socket: WebSocket) {
    let mut line = Line::new(Arc::clone(&house), socket, Rate::MARKET_SOCKET);
    let mut streams = Streams::default();
    let end = serve_market(&mut line, &mut streams).await;
    line.close(end).await;
}

async fn serve_market(line: &mut Line, streams: &mut Streams) -> End {
    let mut turn = line.house.turn.clone();
    let mut stopped = line.house.stopped.clone();
    loop {
        let due = line.due();
        let wake = streams.due();
        let done = tokio::select! {
            biased;
            message = line.socket.recv() => match heard(message) {
                Heard::Text(bytes) => market_frame(line, streams, &bytes).await,
                Heard::Other => Ok(()),
                Heard::Gone => return End(ABNORMAL),
            },
            turned = turn.changed() => match turned {
                Ok(()) => publish(line, streams).await,
                Err(_) => return End(TRY_LATER),
            },
            () = sleep_until(wake.into()), if streams.any() => publish(line, streams).await,
            () = sleep_until(due) => line.beat().await,
            _ = stopped.changed() => return End(TRY_LATER),
        };
        if let Err(end) = done {
            return end;
        }
    }
}

async fn publish(line: &mut Line, streams: &mut Streams) -> Result<(), End> {
    let pushes = {
        let board = line.house.board.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        streams.pushes(&board, line.house.clock.shown())
    };
    for push in pushes {
        let subject = Subject {
            method: "subscribe".into(),
            channel: push.data.channel().to_owned(),
            instruments: push.instrument.iter().map(ToString::to_string).collect(),
            ..Subject::default()
        };
        let text = push.text(line.integers());
        line.send(text, &subject).await?;
    }
    Ok(())
}

async fn market_frame(line: &mut Line, streams: &mut Streams, bytes: &[u8]) -> Result<(), End> {
    let inbound = match Inbound::parse(bytes) {
        Ok(inbound) => inbound,
        Err(code) => return line.acknowledge(NO_ID, "ERROR", code).await,
    };
    let (id, name) = (inbound.id(), inbound.method_name().to_owned());
    let request = inbound.request();
    if let Ok(Request::RespondHeartbeat(_)) = request {
        line.answered(id);
        return Ok(());
    }
    if !line.allowed() {
        return line.acknowledge(id, &name, Code::TooManyRequests).await;
    }
    match request {
        Ok(Request::Subscribe(asked)) => {
            let added = {
                let board = line.house.board.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                streams.add(&board, id, &asked)
            };
            match added {
                Ok(()) => {
                    line.acknowledge(id, &name, Code::Success).await?;
                    publish(line, streams).await
                }
                Err(code) => line.acknowledge(id, &name, code).await,
            }
        }
        Ok(Request::Unsubscribe(asked)) => {
            streams.remove(&asked);
            line.acknowledge(id, &name, Code::Success).await
        }
        Ok(_) => line.acknowledge(id, &name, Code::MethodNotFound).await,
        Err(code) => line.acknowledge(id, &name, code).await,
    }
}
