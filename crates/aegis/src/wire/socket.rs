//! A socket's life: connect, say nothing for a second, log in, subscribe, listen; again after a jittered pause.
//!
//! The task that reads never waits for anybody: heartbeats are answered from it, and what is heard is offered to a
//! bounded queue. When that is full, news of orders close the socket, so that what was lost is known to be lost and a
//! comparison follows the next connection; prices give way to newer prices.
//!
//! ```text
//! connect -> pause -> (login) -> subscribe -> live -- silence, close, error, full queue --> pause, connect
//! ```

use crate::wire::clock::now;
use crate::wire::odd;
use crate::wire::pause::{draw, jittered};
use crate::wire::settings::Settings;
use crate::wire::user;
use crate::wire::words::{Heard, Socket};
use crate::wire::{Full, Shared};
use aegis_cryptocom::request::{Channels, Method, auth_frame, heartbeat_answer};
use aegis_cryptocom::words::BookSubscription;
use aegis_cryptocom::{Code, Frame, Request, Signer};
use aegis_model::Text;
use aegis_model::event::AnomalyKind;
use futures_util::{SinkExt, StreamExt};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

/// Bytes of one message at most; the largest is all open orders, some 700 bytes each.
const MESSAGE_MAX: usize = 4 << 20;
/// The exchange restarts or asks to come back later.
const TRY_LATER: u16 = 1013;
/// Ids of our frames.
const LOGIN: i64 = 1;
const SUBSCRIBE: i64 = 2;

type Stream = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// How a connection ended.
#[derive(Debug)]
struct Ended {
    why: String,
    /// Whether it had been live.
    lived: bool,
    /// Whether the exchange asked to come back later, or does not know the key.
    later: bool,
}

impl Ended {
    fn early(why: impl Into<String>) -> Ended {
        Ended { why: why.into(), lived: false, later: false }
    }
}

/// Where a connection stands; each stage but the last has an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Pause,
    Login,
    Subscribe,
    Live,
}

/// One of the two sockets, for as long as the process wants it.
pub(crate) struct Line {
    which: Socket,
    shared: Arc<Shared>,
    signer: Arc<Signer>,
    /// Prices that found the queue full, the newest of each instrument.
    prices: crate::wire::market::Prices,
    missed: user::Missed,
}

impl Line {
    /// A socket that is not connected yet.
    pub(crate) fn new(which: Socket, shared: Arc<Shared>, signer: Arc<Signer>) -> Line {
        let missed = user::Missed::new(shared.settings.missed_every);
        Line { which, shared, signer, prices: crate::wire::market::Prices::default(), missed }
    }

    /// Keeps it connected until `stop` says otherwise.
    pub(crate) async fn keep(mut self, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        loop {
            let ended = tokio::select! {
                ended = self.live() => ended,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            failures = if ended.lived { 1 } else { failures + 1 };
            tracing::warn!(socket = %self.which, failures, "disconnected: {}", ended.why);
            let Settings { reconnect_min, reconnect_max, restart_pause, .. } = self.shared.settings;
            let mut pause = jittered(reconnect_min, reconnect_max, failures, draw());
            if ended.later {
                pause += restart_pause;
            }
            let gone = Heard::Disconnected { which: self.which, why: Text::new(&ended.why) };
            tokio::select! {
                // Nothing is connected, so this may wait for room.
                () = async { self.shared.tell(gone).await; tokio::time::sleep(pause).await } => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn connect(&self) -> Result<Stream, Ended> {
        let settings = &self.shared.settings;
        let address = match self.which {
            Socket::User => &settings.user,
            Socket::Market => &settings.market,
        };
        let bounds =
            WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
        let connecting = connect_async_with_config(address.as_str(), Some(bounds), true);
        match tokio::time::timeout(settings.connect, connecting).await {
            Ok(Ok((stream, _))) => Ok(stream),
            Ok(Err(e)) => Err(Ended::early(format!("cannot connect: {e}"))),
            Err(_) => Err(Ended::early(format!("cannot connect within {:?}", settings.connect))),
        }
    }

    /// One connection, from its first to its last moment.
    async fn live(&mut self) -> Ended {
        let mut stream = match self.connect().await {
            Ok(stream) => stream,
            Err(ended) => return ended,
        };
        let settings = &self.shared.settings;
        let (pause, login, watchdog) = (settings.connect_pause, settings.login, settings.watchdog);
        let mut stage = Stage::Pause;
        let mut due = Instant::now() + pause;
        let mut silent = Instant::now() + watchdog;
        let ended = |stage, why: String| Ended { why, lived: stage == Stage::Live, later: false };
        let mut said = odd::Said::default();
        loop {
            let wait = if stage == Stage::Live { silent } else { due.min(silent) };
            let next = if stage == Stage::Live && !self.prices.is_empty() {
                // Prices wait for room in the queue: looked at again soon, whatever comes.
                wait.min(Instant::now() + Duration::from_millis(5))
            } else {
                wait
            };
            let message = match timeout_at(next, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(e))) => return ended(stage, format!("broke: {e}")),
                Ok(None) => return ended(stage, "closed without a word".to_owned()),
                Err(_) => {
                    self.prices.offer(&self.shared);
                    if Instant::now() >= silent {
                        return ended(stage, format!("nothing heard for {watchdog:?}"));
                    }
                    if stage == Stage::Live || Instant::now() < due {
                        continue;
                    }
                    let (said, next) = match stage {
                        Stage::Pause if self.which == Socket::User => (self.login(), Stage::Login),
                        Stage::Pause => (self.subscription(), Stage::Subscribe),
                        Stage::Login => return ended(stage, format!("no answer to the login in {login:?}")),
                        Stage::Subscribe | Stage::Live => {
                            return ended(stage, format!("no answer to the subscription in {login:?}"));
                        }
                    };
                    if let Err(why) = self.say(&mut stream, said).await {
                        return ended(stage, why);
                    }
                    (stage, due) = (next, Instant::now() + login);
                    continue;
                }
            };
            silent = Instant::now() + watchdog;
            if stage == Stage::Live {
                self.shared.odd.tell(|heard| self.shared.offer(heard));
            }
            let text = match message {
                Message::Text(text) => text,
                Message::Close(frame) => {
                    let later = frame.as_ref().is_some_and(|frame| u16::from(frame.code) == TRY_LATER);
                    let code = frame.map_or_else(|| "no code".to_owned(), |frame| frame.code.to_string());
                    return Ended { later, ..ended(stage, format!("closed by the exchange: {code}")) };
                }
                // tungstenite answers pings by itself.
                Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_) => continue,
            };
            let heard = Frame::read(text.as_bytes());
            match heard {
                Frame::Heartbeat(id) => {
                    said.heartbeat(&self.shared.odd, std::time::Instant::now());
                    if let Err(why) = self.say(&mut stream, heartbeat_answer(id)).await {
                        return ended(stage, why);
                    }
                }
                Frame::Push(push) => {
                    let first = stage == Stage::Subscribe;
                    if first {
                        stage = Stage::Live;
                    }
                    let told = match first {
                        true => self.connected().and_then(|()| self.push(&push)),
                        false => self.push(&push),
                    };
                    match self.which {
                        Socket::User => said.news(&self.shared.odd, &text, &push),
                        Socket::Market => said.prices(&self.shared.odd, &text, &push),
                    }
                    if let Err(why) = told {
                        return ended(stage, why.to_owned());
                    }
                }
                Frame::Answer { code: 0, method, .. } => match (stage, method) {
                    (Stage::Login, Some(Method::Auth) | None) => {
                        let subscription = self.subscription();
                        if let Err(why) = self.say(&mut stream, subscription).await {
                            return ended(stage, why);
                        }
                        (stage, due) = (Stage::Subscribe, Instant::now() + login);
                    }
                    (Stage::Subscribe, Some(Method::Subscribe) | None) => {
                        stage = Stage::Live;
                        if let Err(why) = self.connected() {
                            return ended(stage, why.to_owned());
                        }
                    }
                    (_, _) => {}
                },
                Frame::Answer { code, method, text, .. } => {
                    let about = method.map_or("a frame", Method::name);
                    let why = format!("{about} was refused with code {code}: {text}");
                    let refused = self.refused(code, &text).await;
                    return Ended { later: refused, ..ended(stage, why) };
                }
                Frame::Unknown(evidence) => {
                    let count = self.shared.counts.unread.fetch_add(1, Ordering::Relaxed) + 1;
                    tracing::warn!(socket = %self.which, count, "a frame cannot be read: {}", evidence.text);
                    let words = format!("{} socket: {}", self.which, evidence.text);
                    self.shared.odd.met(AnomalyKind::NewsUnreadable, &words);
                    if self.which == Socket::User
                        && let Some(missed) = self.missed.tell(evidence.text.as_str())
                        && self.shared.offer(missed).is_err()
                    {
                        return ended(stage, FULL.to_owned());
                    }
                }
            }
        }
    }

    fn connected(&self) -> Result<(), &'static str> {
        tracing::info!(socket = %self.which, "connected");
        self.shared.offer(Heard::Connected(self.which)).map_err(|Full| FULL)
    }

    fn push(&mut self, push: &aegis_cryptocom::Push) -> Result<(), &'static str> {
        match self.which {
            Socket::Market => {
                self.prices.push(&self.shared, push);
                Ok(())
            }
            Socket::User => user::push(&self.shared, &mut self.missed, push).map_err(|Full| {
                self.shared.ledger.forget_told();
                FULL
            }),
        }
    }

    async fn say(&self, stream: &mut Stream, text: String) -> Result<(), String> {
        let login = self.shared.settings.login;
        match tokio::time::timeout(login, stream.send(Message::text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(format!("cannot send: {e}")),
            Err(_) => Err(format!("cannot send within {login:?}")),
        }
    }

    fn nonce(&self) -> i64 {
        self.shared.clock.venue_now().0.0.div_euclid(1_000_000)
    }

    fn login(&self) -> String {
        auth_frame(&self.signer, LOGIN, self.nonce())
    }

    fn subscription(&self) -> String {
        let channels = match self.which {
            Socket::User => Channels {
                channels: user::CHANNELS.iter().map(|channel| (*channel).to_owned()).collect(),
                ..Channels::default()
            },
            Socket::Market => {
                let channels = crate::wire::market::channels(&self.shared.settings);
                let book = self.shared.settings.quotes == crate::wire::settings::QuoteSource::Book;
                Channels {
                    channels,
                    book_subscription_type: book.then_some(BookSubscription::Snapshot),
                    book_update_frequency: None,
                }
            }
        };
        Request::Subscribe(channels).frame(SUBSCRIBE, self.nonce())
    }

    /// A refused login or subscription; true when trying again soon is no use.
    async fn refused(&self, code: i64, text: &Text) -> bool {
        match Code::from_number(code) {
            Some(Code::InvalidNonce) => {
                self.shared.clock.refused(self.shared.clock.bounds().used);
                self.shared.measure.notify_one();
                false
            }
            Some(known) if known.row().class == aegis_cryptocom::Class::Access => {
                let code = u32::try_from(code).unwrap_or_default();
                self.shared.tell(Heard::AccessRefused { code, text: text.clone() }).await;
                true
            }
            Some(_) | None => true,
        }
    }
}

/// Why a socket is closed that nobody reads.
const FULL: &str = "closed by us: what was heard is not read fast enough";

/// Notes a time that was just received.
pub(crate) fn told_time(shared: &Shared, time: aegis_model::Timestamp) {
    shared.clock.told(time, now());
}
