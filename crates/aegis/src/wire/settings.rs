//! The connection's settings: addresses, and every time and bound of the protocol by name. The defaults are the
//! exchange's real values; tests run both sides at a hundredth.

use aegis_cryptocom::words::RefPriceType;
use aegis_model::Label;
use std::time::Duration;

/// Where prices come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum QuoteSource {
    /// `ticker.X`: best bid and ask with quantities, and the last trade.
    Ticker,
    /// `book.X.10` as full snapshots: best bid and ask with quantities.
    Book,
}

/// Everything about the connection but its keys.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Root of the REST calls, with a slash at its end.
    pub(crate) rest: String,
    /// Address of the user socket.
    pub(crate) user: String,
    /// Address of the market socket.
    pub(crate) market: String,
    /// What is traded, by the exchange's names.
    pub(crate) instruments: Vec<Label>,
    /// Where prices come from.
    pub(crate) quotes: QuoteSource,
    /// What a trigger order watches. The exchange's own default is the mark price.
    pub(crate) trigger_price: RefPriceType,
    /// TCP and TLS of a call at most; nothing has left when it runs out.
    pub(crate) connect: Duration,
    /// A whole call at most.
    pub(crate) deadline: Duration,
    /// How long a write may wait for its own rate budget; then it is refused here and nothing is sent.
    pub(crate) write_wait: Duration,
    /// Idle connections are closed after this, before the exchange does it under a request.
    pub(crate) idle_close: Duration,
    /// The connection for writes is used at least this often, which also measures the clock.
    pub(crate) warm_every: Duration,
    /// Tries of one read.
    pub(crate) read_tries: u32,
    /// Pause before a read is tried again.
    pub(crate) read_retry: Duration,
    /// How far a nonce may be from the exchange's clock.
    pub(crate) nonce_window: Duration,
    /// What is added to the window before absence counts.
    pub(crate) absence_margin: Duration,
    /// First pause before an order is read that a refusal named; doubles with each try.
    pub(crate) record_look: Duration,
    /// Tries of that.
    pub(crate) record_tries: u32,
    /// How far a lookup reaches back before the intent or the order's creation.
    pub(crate) lookup_overlap: Duration,
    /// How far a listing of trades reaches back before what is known.
    pub(crate) trades_overlap: Duration,
    /// How late a trade may appear in a listing: so far before the question trades are taken for complete.
    pub(crate) trades_lag: Duration,
    /// Rounds until two balance reads agree around an unchanged set of trades.
    pub(crate) balance_rounds: u32,
    /// A fresh socket says nothing for so long.
    pub(crate) connect_pause: Duration,
    /// Login and subscription each at most.
    pub(crate) login: Duration,
    /// Silence after which a socket is taken for dead.
    pub(crate) watchdog: Duration,
    /// First pause before a socket connects again; doubles with each failure.
    pub(crate) reconnect_min: Duration,
    /// Longest such pause.
    pub(crate) reconnect_max: Duration,
    /// Added when the exchange said that it restarts (1013).
    pub(crate) restart_pause: Duration,
    /// First pause of a method after 42901; doubles.
    pub(crate) backoff_min: Duration,
    /// Longest such pause.
    pub(crate) backoff_max: Duration,
    /// Divides the periods of the rate limits; above 1 only against a server that does the same.
    pub(crate) rate_speed: u32,
    /// The instruments are read again this often.
    pub(crate) instruments_every: Duration,
    /// A frame that cannot be read leads to a comparison at most this often.
    pub(crate) missed_every: Duration,
}

impl Settings {
    /// Production, with the exchange's real times.
    pub(crate) fn production(instruments: Vec<Label>) -> Settings {
        Settings {
            rest: "https://api.crypto.com/exchange/v1/".to_owned(),
            user: "wss://stream.crypto.com/exchange/v1/user".to_owned(),
            market: "wss://stream.crypto.com/exchange/v1/market".to_owned(),
            instruments,
            quotes: QuoteSource::Ticker,
            trigger_price: RefPriceType::MarkPrice,
            connect: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            write_wait: Duration::from_millis(250),
            idle_close: Duration::from_secs(45),
            warm_every: Duration::from_secs(20),
            read_tries: 3,
            read_retry: Duration::from_millis(500),
            nonce_window: Duration::from_secs(60),
            absence_margin: Duration::from_secs(15),
            record_look: Duration::from_millis(250),
            record_tries: 5,
            lookup_overlap: Duration::from_secs(60),
            trades_overlap: Duration::from_secs(600),
            trades_lag: Duration::from_secs(5),
            balance_rounds: 5,
            connect_pause: Duration::from_secs(1),
            login: Duration::from_secs(5),
            watchdog: Duration::from_secs(35),
            reconnect_min: Duration::from_secs(1),
            reconnect_max: Duration::from_secs(32),
            restart_pause: Duration::from_secs(10),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(32),
            rate_speed: 1,
            instruments_every: Duration::from_secs(3_600),
            missed_every: Duration::from_secs(30),
        }
    }
}

/// Nanoseconds of a duration as the journal counts them.
pub(crate) fn ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
