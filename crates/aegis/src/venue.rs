//! `aegis venue`: the paper exchange behind the real one's protocol, REST and sockets, so that clients made for
//! Crypto.com work against it unmodified except for the base address.
//!
//! ```text
//! http, socket     doors: bytes to requests, faults as scripted        tokio, one thread
//!   -> house       JSON, method, signature, nonce, rate, parameters
//!   -> desk        accounts: Node<Venue> each, durable before it answers   a thread of its own
//!        driver    prices: a walk, a record, or the control endpoint
//!   <- board       what everybody may see
//! control          scripts, prices, the exchange's own ledger           loopback only, off by default
//! ```
//!
//! What it does where the reference leaves a choice: the mark price is the middle of the quotes unless it is set; an
//! order fills against the touch, and a cancel of an order that a fill has ended is 212; a window of more than seven
//! days is 40005; a method in the body that is not the path's is 40001. Prices move by market time (`--pace`), while
//! everything a client sees of the clock, candles apart, is wall time.

mod advanced;
mod board;
mod clock;
mod control;
mod desk;
mod driver;
mod faults;
mod house;
mod http;
mod plain;
mod rows;
mod seen;
mod socket;
mod streams;

use crate::config::Config;
use crate::config::venue_server::{MarketSource, Set, VenueServer};
use crate::exit::{Exit, Failure};
use crate::ids::Draw;
use crate::market::Market;
use crate::place;
use crate::world::{knows_venue, open_node};
use aegis_cryptocom::{Budgets, Secret, Signer};
use aegis_model::event::VENUE_SCHEMA;
use aegis_model::input::ListedInstrument;
use aegis_model::{Label, Price};
use aegis_paper::{Created, FlowOutcome, Venue, VenueEffect, VenueInput};
use board::Board;
use clap::Args;
use clock::{Clock, wall};
use desk::{Account, Desk, Job, Lags};
use driver::{Driver, Recorded, Walk};
use faults::Faults;
use house::House;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, RwLock};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

/// The shortest secret that is taken: a mistyped option is shorter.
const SECRET_MIN: usize = 8;
/// Where an instrument without a price begins.
const PRICE_USUAL: Price = Price::new(100, 0);
/// Bytes under way to a client at most, asked of the system.
const SEND_BUFFER: u32 = 256 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long what is under way may take when the process ends.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// `KEY:SECRET` as it was written; it never prints.
#[derive(Clone)]
pub(crate) struct Written(String);

impl std::str::FromStr for Written {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Written, Self::Err> {
        Ok(Written(text.to_owned()))
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written(..)")
    }
}

/// `aegis venue`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The address to serve; port 0 takes a free one [default: venue_server.listen]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// An account: its key and its secret, or KEY:@FILE with the secret in a file; repeatable
    #[arg(long, value_name = "KEY:SECRET")]
    account: Vec<Written>,
    /// What each account starts with, such as BTC=1,USDT=10000; repeatable
    #[arg(long, value_name = "ASSET=AMOUNT,...")]
    fund: Vec<String>,
    /// walk, none, or a market: a file of candles, ticks:L1,TRADES, embedded-candles, embedded-ticks
    #[arg(long, value_name = "FILE")]
    market: Option<String>,
    /// Market time against ours: realtime, fast, or a factor such as 60x
    #[arg(long)]
    pace: Option<String>,
    /// The seed of the walk
    #[arg(long)]
    seed: Option<u64>,
    /// The address of the control endpoint, loopback only; it can do everything to the exchange
    #[arg(long, value_name = "HOST:PORT")]
    control: Option<String>,
    /// All protocol times times this: 0.01 for a hundred times faster
    #[arg(long, value_name = "FACTOR")]
    protocol_scale: Option<String>,
    /// Any other key of [venue_server], such as visible=300ms; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Keys of `[venue_server]` that `--set` may set.
const KEYS: [&str; 13] = [
    "tick",
    "nonce_window",
    "heartbeat",
    "heartbeat_answer",
    "connect_pause",
    "visible",
    "price_band",
    "max_notional",
    "integers",
    "legacy_triggers",
    "repeat_client_oid",
    "shared_client_oids",
    "rejections",
];

impl Options {
    /// What they set over the configuration.
    pub(crate) fn over(&self) -> Vec<Set> {
        let mut set: Vec<Set> = Vec::new();
        let mut one = |key: &'static str, value: Option<String>, option: &'static str| {
            set.extend(value.map(|value| (key, value, option)));
        };
        one("listen", self.listen.clone(), "--listen");
        one("control", self.control.clone(), "--control");
        one("fund", (!self.fund.is_empty()).then(|| self.fund.join(",")), "--fund");
        one("market", self.market.as_deref().map(market_of), "--market");
        one("pace", self.pace.clone(), "--pace");
        one("seed", self.seed.map(|seed| seed.to_string()), "--seed");
        one("protocol_scale", self.protocol_scale.clone(), "--protocol-scale");
        for pair in &self.set {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let Some(key) = KEYS.iter().find(|known| **known == key) {
                one(key, Some(value.to_owned()), "--set");
            }
        }
        set
    }

    /// Whether every `--set` names a key.
    fn check(&self) -> Result<(), Failure> {
        for pair in &self.set {
            let key = pair.split('=').next().unwrap_or_default();
            if !KEYS.contains(&key) {
                return Err(Failure::usage(format!(
                    "--set {key}: it may set {}; others have options or belong in a file",
                    KEYS.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// A bare path is a file of candles.
fn market_of(text: &str) -> String {
    let spelled = matches!(text, "walk" | "none" | "embedded-candles" | "embedded-ticks")
        || text.starts_with("candles:")
        || text.starts_with("ticks:");
    if spelled { text.to_owned() } else { format!("candles:{text}") }
}

/// Reads an account; no message repeats the secret.
fn signer(written: &str) -> Result<Signer, Failure> {
    let wrong = |why: &str| {
        Failure::usage(format!(
            "an account is KEY:SECRET or KEY:@FILE, the key of letters, digits, - and _: {why}"
        ))
    };
    let (key, secret) = written.split_once(':').ok_or_else(|| wrong("there is no colon"))?;
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if key.is_empty() || key.len() > 64 || !plain {
        return Err(wrong("this key is not made of 1 to 64 of them"));
    }
    let secret = match secret.strip_prefix('@') {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|e| Failure::io(file, &e))?;
            text.trim_end_matches(['\n', '\r']).to_owned()
        }
        None => secret.to_owned(),
    };
    if secret.len() < SECRET_MIN {
        return Err(wrong(&format!("the secret of {key} has fewer than {SECRET_MIN} characters")));
    }
    Ok(Signer::new(key, &Secret::new(secret)))
}

/// What `account_id` shows: a UUID that follows from the key.
fn account_id(key: &str) -> Label {
    let hex = blake3::hash(key.as_bytes()).to_hex();
    let hex = hex.as_str();
    let spelled =
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    Label::lossy(&spelled)
}

/// Serves until it is told to stop.
///
/// # Errors
/// [`Failure`].
pub(crate) fn serve(
    config: &Config,
    asked: &Options,
    data: Option<&Path>,
    json: bool,
) -> Result<Exit, Failure> {
    asked.check()?;
    let settings = &config.venue_server;
    let written =
        asked.account.iter().map(|w| w.0.as_str()).chain(settings.accounts.iter().map(String::as_str));
    let signers: Vec<Signer> = written.map(signer).collect::<Result<_, _>>()?;
    if signers.is_empty() {
        return Err(Failure::usage(
            "an exchange needs an account: --account KEY:SECRET (any key and secret will do)",
        ));
    }
    let mut keys: Vec<&str> = signers.iter().map(Signer::api_key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Failure::usage("two accounts have the same key"));
    }
    let data = data.unwrap_or(&settings.data);
    place::prepare(data)?;
    let runtime = crate::runtime::runtime().map_err(|e| Failure::io("the server's thread", &e))?;
    // Bound before a journal is opened: a busy port costs nothing.
    let listener = runtime.block_on(bind(&settings.listen, false))?;
    let control = match &settings.control {
        Some(address) => Some(runtime.block_on(bind(address, true))?),
        None => None,
    };
    let accounts: Vec<Account> =
        signers.iter().map(|signer| open(config, data, signer.api_key())).collect::<Result<_, _>>()?;
    runtime.block_on(run(settings, signers, accounts, listener, control, json))
}

/// Binds an address.
async fn bind(address: &str, loopback_only: bool) -> Result<TcpListener, Failure> {
    let wrong = |what: String| Failure::usage(format!("{address}: {what}"));
    let resolved: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|e| wrong(format!("not an address such as 127.0.0.1:8790: {e}")))?
        .collect();
    if loopback_only && resolved.iter().any(|address| !address.ip().is_loopback()) {
        return Err(wrong(
            "the control endpoint can do everything, so it listens on loopback only".to_owned(),
        ));
    }
    let first = resolved.first().ok_or_else(|| wrong("it names no address".to_owned()))?;
    listen(*first).map_err(|e| {
        if e.kind() == std::io::ErrorKind::AddrInUse {
            let text = format!("{address} is in use: stop who listens there, or give another port");
            Failure::new(Exit::Io, text)
        } else {
            Failure::io(address, &e)
        }
    })
}

/// Listens with bounded buffers: what is under way to somebody who does not read is no memory of ours.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Opens an account's journal, lists what is traded and books what it starts with.
fn open(config: &Config, data: &Path, key: &str) -> Result<Account, Failure> {
    let settings = &config.venue_server;
    let dir = data.join(key).join("venue");
    std::fs::create_dir_all(&dir).map_err(|e| Failure::io(dir.display(), &e))?;
    let terms = config.paper.repeating_clients(settings.repeat_client);
    let machine = || Venue::new(terms);
    let draw = Draw::new(None, key);
    let (mut node, report) =
        open_node(machine, &dir, (VENUE_SCHEMA, aegis_model::Mode::Paper), knows_venue, config, &draw)?;
    let account = Label::lossy(key);
    let created = report.is_none().then_some(Created { account });
    let version = Label::lossy(env!("CARGO_PKG_VERSION"));
    let mut inputs =
        vec![VenueInput::Open { created, version }, VenueInput::List(settings.instruments.clone())];
    inputs.extend(settings.fund.iter().map(|(asset, quantity)| VenueInput::Fund {
        id: Label::lossy(&format!("initial-{asset}")),
        asset: *asset,
        quantity: *quantity,
    }));
    for effect in node.step(wall(), &inputs)? {
        match effect {
            VenueEffect::ListingRefused { name, text } => {
                return Err(Failure::new(
                    Exit::Config,
                    format!("{name} cannot be listed: {}", text.as_str()),
                ));
            }
            VenueEffect::Flow { id, outcome: FlowOutcome::Refused { text, .. } } => {
                tracing::warn!(
                    account = key, %id,
                    "what the account starts with was booked at its first start and stays: {}", text.as_str()
                );
            }
            VenueEffect::Flow { .. }
            | VenueEffect::Order(_)
            | VenueEffect::LookedUp { .. }
            | VenueEffect::Listing(_)
            | VenueEffect::Trigger { .. }
            | VenueEffect::TriggerRefused { .. }
            | VenueEffect::Listed { .. }
            | VenueEffect::Amended { .. } => {}
        }
    }
    Ok(Account::new(key.to_owned(), account_id(key), node))
}

/// The price that an instrument begins at: where it stood when the journal last looked, else as configured.
fn begins(accounts: &[Account], settings: &VenueServer, spec: &ListedInstrument) -> Price {
    let remembered =
        accounts.iter().find_map(|account| account.remembered(spec.name)).and_then(|tick| tick.bid);
    remembered.unwrap_or_else(|| settings.prices.get(&spec.name).copied().unwrap_or(PRICE_USUAL))
}

/// The source of prices, and what is shown before it begins.
fn drive(accounts: &[Account], settings: &VenueServer) -> Result<(Driver, Vec<driver::Due>), Failure> {
    let from: Vec<(ListedInstrument, Price)> =
        settings.instruments.iter().map(|spec| (spec.clone(), begins(accounts, settings, spec))).collect();
    match &settings.market {
        MarketSource::Walk => {
            let mut walk = Walk::new(settings.seed, from, settings.tick, settings.pace, wall());
            let before = walk.before();
            Ok((Driver::Walk(walk), before))
        }
        MarketSource::Silent => Ok((Driver::Silent, Vec::new())),
        MarketSource::Recorded(source) => {
            let names: Vec<Label> = settings.instruments.iter().map(|spec| spec.name).take(1).collect();
            let (market, _) = Market::read(source, &names)?;
            let specs: BTreeMap<Label, ListedInstrument> =
                settings.instruments.iter().map(|spec| (spec.name, spec.clone())).collect();
            let place = accounts.iter().filter_map(|a| a.venue().feed_position(desk::RECORDED));
            let last = place.max_by_key(|tick| tick.cursor);
            let recorded = Recorded::new(market, specs, last.as_ref(), settings.pace)?;
            Ok((Driver::Recorded(Box::new(recorded)), Vec::new()))
        }
    }
}

/// One point of each instrument, for those that the source of prices does not show.
fn first_points(accounts: &[Account], settings: &VenueServer) -> Vec<driver::Due> {
    let quoted = |spec: &ListedInstrument| {
        let bid = begins(accounts, settings, spec);
        let size = Some(board::ordinary(bid, spec.quantity_tick));
        let ask = bid.plus(spec.price_tick).unwrap_or(bid);
        let point =
            board::Point { bid: Some((bid, size)), ask: Some((ask, size)), trade: None, last: Some(bid) };
        driver::Due { name: spec.name, point, tick: None, at: wall() }
    };
    settings.instruments.iter().map(quoted).collect()
}

async fn run(
    settings: &VenueServer,
    signers: Vec<Signer>,
    accounts: Vec<Account>,
    listener: TcpListener,
    control: Option<TcpListener>,
    json: bool,
) -> Result<Exit, Failure> {
    let settings = Arc::new(settings.clone());
    let clock = Arc::new(Clock::new(settings.times.scale_millionths));
    let board = Arc::new(RwLock::new(Board::default()));
    if let Ok(mut board) = board.write() {
        settings.instruments.iter().for_each(|spec| board.list(spec.clone()));
    }
    let (turn, turned) = watch::channel(0);
    let (stop, stopped) = watch::channel(false);
    let (jobs, queue) = sync_channel(desk::JOBS);
    let faults = Arc::new(Faults::default());
    let (driver, before) = drive(&accounts, &settings)?;
    let mut first = first_points(&accounts, &settings);
    first.retain(|due| !driver.shows(due.name));
    let mut desk = Desk {
        accounts,
        settings: Arc::clone(&settings),
        clock: Arc::clone(&clock),
        board: Arc::clone(&board),
        turn,
        driver,
        lags: Lags::default(),
        listed: settings.instruments.iter().map(|spec| (spec.name, spec.clone())).collect(),
        fee_falls_back: false,
        failed: None,
    };
    desk.set_lags(Lags { visible: settings.visible, ..Lags::default() });
    desk.picture(&before);
    desk.points(first);
    let (done, mut ended) = tokio::sync::oneshot::channel();
    let worker = std::thread::Builder::new()
        .name("desk".to_owned())
        .spawn(move || {
            // Nobody listens any more when the process was told to stop.
            drop(done.send(desk.work(&queue)));
        })
        .map_err(|e| Failure::io("the desk's thread", &e))?;
    let private = signers.iter().map(|_| Budgets::new(0)).collect();
    let house = Arc::new(House {
        quoted: AtomicBool::new(settings.quoted_integers),
        settings,
        clock,
        signers,
        jobs: jobs.clone(),
        board,
        turn: turned,
        faults,
        maintenance: AtomicBool::new(false),
        private: Mutex::new(private),
        public: Mutex::default(),
        stopped: stopped.clone(),
    });
    tell_ready(&listener, control.as_ref(), json)?;
    let doors = http::doors(Arc::clone(&house)).into_make_service_with_connect_info::<http::Peer>();
    let server = axum::serve(http::Gate::new(listener), doors).with_graceful_shutdown(until(stopped.clone()));
    let server = tokio::spawn(server.into_future());
    let control = control.map(|listener| {
        let server = axum::serve(listener, control::doors(Arc::clone(&house)));
        tokio::spawn(server.with_graceful_shutdown(until(stopped)).into_future())
    });
    let failed = tokio::select! {
        () = told_to_stop() => None,
        outcome = &mut ended => Some(outcome),
    };
    // Sockets close with 1013, requests under way are answered, then the journals are closed.
    let _ = stop.send(true);
    drop(tokio::time::timeout(GRACE, server).await);
    if let Some(control) = control {
        drop(tokio::time::timeout(GRACE, control).await);
    }
    let outcome = match failed {
        Some(outcome) => outcome,
        None => {
            // A full queue is emptied by the desk, which is alive.
            let stopping = tokio::task::spawn_blocking(move || drop(jobs.send(Job::Stop)));
            drop(stopping.await);
            ended.await
        }
    };
    drop(worker.join());
    match outcome {
        Ok(Ok(())) => Ok(Exit::Ok),
        Ok(Err(failure)) => Err(failure),
        Err(_) => Err(Failure::bug("the desk ended without a word")),
    }
}

/// The one line that says where everything is.
fn tell_ready(listener: &TcpListener, control: Option<&TcpListener>, json: bool) -> Result<(), Failure> {
    let address = |listener: &TcpListener| listener.local_addr().map_err(|e| Failure::io("the address", &e));
    let at = address(listener)?;
    let control = control.map(address).transpose()?;
    if json {
        let line = serde_json::json!({
            "rest": format!("http://{at}/exchange/v1"), "user": format!("ws://{at}/exchange/v1/user"),
            "market": format!("ws://{at}/exchange/v1/market"), "control": control.map(|c| format!("http://{c}")),
        });
        return crate::print(&line.to_string());
    }
    let control = control.map_or_else(String::new, |at| format!(" control http://{at}"));
    crate::print(&format!(
        "ready: rest http://{at}/exchange/v1 user ws://{at}/exchange/v1/user market ws://{at}/exchange/v1/market{control}"
    ))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is the end too.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// SIGTERM or SIGINT.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be caught: SIGTERM ends the process as SIGKILL does");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
