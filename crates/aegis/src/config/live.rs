//! What `aegis run --live` is given: addresses, where the keys are (never the keys), what is traded, and the protocol's
//! times by name. The defaults are the exchange's real values.

use crate::config::layers::Layers;
use crate::config::{SignalSource, engine, label, recorded, signal_source, values};
use crate::wire;
use crate::wire::keys::{KeySource, SecretSource};
use crate::wire::settings::QuoteSource;
use aegis_cryptocom::words::RefPriceType;
use aegis_engine::settings::Guarding;
use aegis_model::{Label, Text};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The key of the address for messages; its value may carry a secret.
pub(super) const NOTIFY: &str = "live.notify";

/// How long the journal may wait for the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskBounds {
    /// A wait this long raises an alarm.
    pub(crate) slow: Duration,
    /// An entry whose record took this long to become durable is not sent: what it was decided upon is old.
    pub(crate) late: Duration,
    /// A wait this long ends the process.
    pub(crate) limit: Duration,
}

/// The live run.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// The asset that money is counted in.
    pub(crate) quote: Label,
    /// Where signals come from.
    pub(crate) signals: SignalSource,
    /// Where the keys are.
    pub(crate) keys: KeySource,
    /// Addresses and times.
    pub(crate) wire: wire::Settings,
    /// How long the journal may wait for the disk.
    pub(crate) disk: DiskBounds,
    /// Where messages for a person are posted to; none: they stand in the log only.
    pub(crate) notify: Option<String>,
    /// Nobody guards while the engine is down, and the operator said that this is accepted.
    pub(crate) accept_unguarded_downtime: bool,
    /// The engine's rules.
    pub(crate) engine: aegis_engine::Settings,
    /// What stands in the journal as settings.
    pub(crate) recorded: Vec<(Text, Text)>,
}

impl Live {
    /// Why this may not trade, if it may not.
    pub(crate) fn refusal(&self) -> Option<String> {
        (self.engine.guarding == Guarding::Engine && !self.accept_unguarded_downtime).then(|| {
            "live.engine.protection is \"engine\": no stop would rest at the exchange, and nothing would guard a \
             holding while this program is down. Set it to \"both\", or set live.accept_unguarded_downtime = true"
                .to_owned()
        })
    }
}

fn time(layers: &mut Layers, key: &str) -> Option<Duration> {
    time_from(layers, key, 0)
}

/// A time of at least so many ms.
fn time_from(layers: &mut Layers, key: &str, least_ms: i64) -> Option<Duration> {
    span(layers, &format!("live.protocol.{key}"), least_ms)
}

fn span(layers: &mut Layers, key: &str, least_ms: i64) -> Option<Duration> {
    layers.one(key, |text| {
        let ns = values::span_from(least_ms)(text)?;
        u64::try_from(ns).map(Duration::from_nanos).map_err(|_| format!("{text:?} is below zero"))
    })
}

/// The first and the longest of pauses that double: the first above zero, the longest no shorter.
fn pauses(layers: &mut Layers, least: &str, most: &str) -> Option<(Duration, Duration)> {
    let (first, longest) = (time_from(layers, least, 1), time_from(layers, most, 1));
    let (first, longest) = (first?, longest?);
    let path = format!("live.protocol.{most}");
    if longest < first
        && let Some(leaf) = layers.ask(&path)
    {
        layers.wrong(&path, &leaf, &format!("must be at least live.protocol.{least}, {first:?}"));
        return None;
    }
    Some((first, longest))
}

fn count(layers: &mut Layers, key: &str) -> Option<u32> {
    layers.one(&format!("live.protocol.{key}"), |text| match values::whole(text)? {
        0 => Err("at least 1".to_owned()),
        count => Ok(count),
    })
}

fn address(layers: &mut Layers, key: &str, schemes: [&str; 2]) -> Option<String> {
    layers.one(&format!("live.{key}"), |text| {
        let [safe, plain] = schemes.map(|scheme| text.strip_prefix(&format!("{scheme}://")));
        match (safe, plain) {
            (Some(_), _) => Ok(text.to_owned()),
            (None, Some(rest)) if is_near(rest) => Ok(text.to_owned()),
            (None, Some(_)) => Err(format!(
                "{text:?} is not encrypted: anybody on the way could read the key and change the answers; {}://, or an \
                 address of this machine or of a private network",
                schemes[0]
            )),
            (None, None) => Err(format!("{text:?} does not begin with {}://", schemes[0])),
        }
    })
}

/// Whether `host[:port][/path]` names this machine or, by its number, one of a private network (RFC 1918, RFC 4193). A
/// name could be anybody's.
fn is_near(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or(""),
        None => authority.split(':').next().unwrap_or(""),
    };
    match host.parse() {
        Ok(IpAddr::V4(at)) => at.is_loopback() || at.is_private(),
        Ok(IpAddr::V6(at)) => at.is_loopback() || at.is_unique_local(),
        Err(_) => host == "localhost",
    }
}

/// Reads the section; every error is noted.
pub(super) fn live(layers: &mut Layers) -> Option<Live> {
    let rest = address(layers, "rest", ["https", "http"]);
    let user = address(layers, "user", ["wss", "ws"]);
    let market = address(layers, "market", ["wss", "ws"]);
    let instruments = layers.many("live.instruments", |names| {
        if names.is_empty() {
            Err("at least one instrument".to_owned())
        } else {
            names.iter().map(|n| label(n)).collect()
        }
    });
    let quote = layers.label("live.quote");
    let price_age_ns = layers.one("live.price_age", values::span_from(1));
    let last_price = layers.one("live.reference", |text| match text {
        "bid" => Ok(false),
        "last" => Ok(true),
        _ => Err(format!("{text:?} is neither bid nor last")),
    });
    let signals = layers.one("live.signals", |text| match text {
        "embedded" => Err("a live run has no embedded signals: none, - or a file".to_owned()),
        other => Ok(signal_source(other)),
    });
    let key_env = layers.text("live.key_env");
    let secret_env = layers.text("live.secret_env");
    let secret_file = layers.text("live.secret_file");
    let notify = layers.one(NOTIFY, |text| match text {
        "none" | "" => Ok(None),
        url if url.starts_with("http://") || url.starts_with("https://") => Ok(Some(url.to_owned())),
        // It may carry a secret, so it is not repeated.
        _ => Err("it is neither none nor an http address".to_owned()),
    });
    let accept = layers.one("live.accept_unguarded_downtime", values::yes_no);
    let quotes = layers.one("live.quotes", |text| match text {
        "ticker" => Ok(QuoteSource::Ticker),
        "book" => Ok(QuoteSource::Book),
        _ => Err(format!("{text:?} is neither ticker nor book")),
    });
    let trigger_price = layers.one("live.trigger_price", |text| match text {
        "mark" => Ok(RefPriceType::MarkPrice),
        "index" => Ok(RefPriceType::IndexPrice),
        "last" => Ok(RefPriceType::LastPrice),
        _ => Err(format!("{text:?} is not mark, index or last")),
    });
    let slow = span(layers, "live.disk.slow", 10);
    let late = span(layers, "live.disk.late", 10);
    let limit = span(layers, "live.disk.limit", 100);
    let engine = engine::settings(layers, "live");
    let connect = time_from(layers, "connect", 10);
    let deadline = time_from(layers, "deadline", 10);
    let write_wait = time(layers, "write_wait");
    let idle_close = time_from(layers, "idle_close", 10);
    let warm_every = time_from(layers, "warm_every", 10);
    let read_tries = count(layers, "read_tries");
    let read_retry = time(layers, "read_retry");
    let nonce_window = time_from(layers, "nonce_window", 100);
    let absence_margin = time_from(layers, "absence_margin", 10);
    let record_look = time(layers, "record_look");
    let record_tries = count(layers, "record_tries");
    let lookup_overlap = time(layers, "lookup_overlap");
    let trades_overlap = time(layers, "trades_overlap");
    let trades_lag = time(layers, "trades_lag");
    let balance_rounds = count(layers, "balance_rounds");
    let connect_pause = time(layers, "connect_pause");
    let login = time_from(layers, "login", 10);
    let watchdog = time_from(layers, "watchdog", 100);
    let restart_pause = time(layers, "restart_pause");
    let rate_speed = count(layers, "rate_speed");
    let instruments_every = time_from(layers, "instruments_every", 100);
    let missed_every = time_from(layers, "missed_every", 1);
    let reconnect = pauses(layers, "reconnect_min", "reconnect_max");
    let backoff = pauses(layers, "backoff_min", "backoff_max");
    let ((reconnect_min, reconnect_max), (backoff_min, backoff_max)) = (reconnect?, backoff?);
    let wire = wire::Settings {
        rest: rest.map(|root| if root.ends_with('/') { root } else { root + "/" })?,
        user: user?,
        market: market?,
        instruments: instruments?,
        quotes: quotes?,
        trigger_price: trigger_price?,
        connect: connect?,
        deadline: deadline?,
        write_wait: write_wait?,
        idle_close: idle_close?,
        warm_every: warm_every?,
        read_tries: read_tries?,
        read_retry: read_retry?,
        nonce_window: nonce_window?,
        absence_margin: absence_margin?,
        record_look: record_look?,
        record_tries: record_tries?,
        lookup_overlap: lookup_overlap?,
        trades_overlap: trades_overlap?,
        trades_lag: trades_lag?,
        balance_rounds: balance_rounds?,
        connect_pause: connect_pause?,
        login: login?,
        watchdog: watchdog?,
        reconnect_min,
        reconnect_max,
        restart_pause: restart_pause?,
        backoff_min,
        backoff_max,
        rate_speed: rate_speed?,
        instruments_every: instruments_every?,
        missed_every: missed_every?,
    };
    let mut engine = engine?;
    engine.price_age_ns.insert(crate::market::FEED, price_age_ns?);
    if last_price? {
        engine.last_price_feeds.insert(crate::market::FEED);
    }
    let secret = match (secret_env?, secret_file?) {
        (_, file) if file != "none" && !file.is_empty() => SecretSource::File(PathBuf::from(file)),
        (name, _) => SecretSource::Env(name),
    };
    Some(Live {
        quote: quote?,
        signals: signals?,
        keys: KeySource { key_env: key_env?, secret },
        wire,
        disk: DiskBounds { slow: slow?, late: late?, limit: limit? },
        notify: notify?,
        accept_unguarded_downtime: accept?,
        engine,
        recorded: recorded(layers, "live"),
    })
}
