//! What `aegis doctor` finds out from the exchange: whether it answers, whether it takes the key, what it tells of the
//! account, how far apart the clocks are, both sockets, the instruments and their prices. It sends no order.

use crate::exit::Failure;
use crate::wire::settings::ns;
use crate::wire::words::{Account, Instruments};
use crate::wire::{Ask, Heard, Settings, Socket, Wire, clock, outlet};
use aegis_cryptocom::Signer;
use aegis_model::input::{Answer, Scope};
use aegis_model::{Label, Text, Timestamp};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// Things heard that may wait.
const QUEUE: usize = 4_096;
/// The number of the one listing that is asked for.
const NUMBER: u64 = 1;
/// A difference of the clocks that is worth a word, ns.
const NOTABLE_NS: i64 = 1_000_000_000;

/// How a check ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// It works, and a person should know.
    Warning,
    /// It does not work.
    Bad,
}

/// One line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) about: &'static str,
    /// How it ended.
    pub(crate) grade: Grade,
    /// In words.
    pub(crate) text: String,
}

impl Check {
    /// A line.
    pub(crate) fn new(about: &'static str, grade: Grade, text: impl Into<String>) -> Check {
        Check { about, grade, text: text.into() }
    }

    fn of(about: &'static str, good: bool, text: impl Into<String>) -> Check {
        Check::new(about, if good { Grade::Good } else { Grade::Bad }, text)
    }
}

/// What was heard so far.
#[derive(Default)]
struct Seen {
    instruments: Option<Result<Instruments, Text>>,
    account: Option<Result<Account, Text>>,
    balances: Option<Result<usize, Text>>,
    access: Option<String>,
    user: Option<Result<(), Text>>,
    market: Option<Result<(), Text>>,
    priced: BTreeSet<Label>,
}

impl Seen {
    fn take(&mut self, heard: Heard) {
        match heard {
            Heard::Instruments(read) => self.instruments = Some(read),
            Heard::Account(read) => self.account = Some(read),
            Heard::Snapshot(snapshot) => {
                self.balances = match snapshot.balances {
                    Answer::Complete(balances) => Some(Ok(balances.len())),
                    Answer::Failed(why) | Answer::Unsettled(why) => Some(Err(why)),
                    Answer::NotAsked => None,
                };
            }
            Heard::Connected(Socket::User) => self.user = Some(Ok(())),
            Heard::Connected(Socket::Market) => self.market = Some(Ok(())),
            Heard::Disconnected { which: Socket::User, why } => self.user = Some(Err(why)),
            Heard::Disconnected { which: Socket::Market, why } => self.market = Some(Err(why)),
            Heard::Quote(quote) => {
                self.priced.insert(quote.instrument);
            }
            Heard::AccessRefused { code, text } => {
                self.access.get_or_insert(format!("code {code}: {text}"));
            }
            Heard::Report { .. }
            | Heard::Queued { .. }
            | Heard::LookedUp { .. }
            | Heard::Missed(_)
            | Heard::Odd { .. } => {}
        }
    }

    /// Whether nothing more is to be waited for.
    fn is_whole(&self, settings: &Settings) -> bool {
        let market = settings.instruments.is_empty()
            || (self.market == Some(Ok(())) && self.priced.len() >= settings.instruments.len());
        let user = self.user == Some(Ok(())) || self.access.is_some();
        self.instruments.is_some() && self.account.is_some() && self.balances.is_some() && user && market
    }
}

/// Looks at the exchange for at most `patience`.
///
/// # Errors
/// [`Failure`] when nothing could be tried at all; an exchange that does not answer is a check that is bad.
pub(crate) fn examine(
    settings: &Settings,
    signer: Signer,
    patience: Duration,
) -> Result<Vec<Check>, Failure> {
    let (sender, queue) = sync_channel::<Heard>(QUEUE);
    let wire = Wire::start(settings.clone(), signer, &[], outlet(sender))?;
    let snapshot = Ask::Snapshot {
        number: NUMBER,
        scope: Scope::Balances,
        trades_from: Timestamp::EPOCH,
        ours: Vec::new(),
    };
    for ask in [Ask::Instruments, snapshot, Ask::Account] {
        if wire.ask(ask).is_err() {
            return Err(Failure::bug("a fresh connection has no room for a question"));
        }
    }
    let end = Instant::now() + patience;
    let mut seen = Seen::default();
    while !seen.is_whole(settings) {
        let Ok(heard) = queue.recv_timeout(end.saturating_duration_since(Instant::now())) else { break };
        seen.take(heard);
    }
    let bounds = wire.clock();
    wire.shutdown();
    Ok(judge(settings, &seen, bounds, patience))
}

fn judge(settings: &Settings, seen: &Seen, bounds: clock::Bounds, patience: Duration) -> Vec<Check> {
    let silent = || format!("no answer within {patience:?}");
    let mut checks = Vec::new();
    match &seen.instruments {
        None => checks.push(Check::of("connection", false, format!("{}: {}", settings.rest, silent()))),
        Some(Err(why)) => checks.push(Check::of("connection", false, format!("{}: {why}", settings.rest))),
        Some(Ok(instruments)) => {
            checks.push(Check::of("connection", true, format!("{} answers", settings.rest)));
            checks.extend(of_instruments(instruments));
        }
    }
    checks.push(match (&seen.access, &seen.balances) {
        (Some(why), _) => Check::of("key", false, format!("the exchange refuses it, {why}")),
        (None, Some(Ok(assets))) => {
            Check::of("key", true, format!("accepted; the account shows balances of {assets} assets"))
        }
        (None, Some(Err(why))) => Check::of("key", false, why.as_str()),
        (None, None) => Check::of("key", false, silent()),
    });
    checks.extend(of_account(seen.account.as_ref(), &silent));
    checks.push(of_clock(settings, bounds));
    let socket = |about, state: &Option<Result<(), Text>>| match state {
        Some(Ok(())) => Check::of(about, true, "connected and subscribed"),
        Some(Err(why)) => Check::of(about, false, why.as_str()),
        None => Check::of(about, false, silent()),
    };
    checks.push(socket("user socket", &seen.user));
    if !settings.instruments.is_empty() {
        checks.push(socket("market socket", &seen.market));
        let without: Vec<&str> = settings
            .instruments
            .iter()
            .filter(|name| !seen.priced.contains(*name))
            .map(Label::as_str)
            .collect();
        let text = if without.is_empty() {
            "every instrument shows one".to_owned()
        } else {
            format!("none within {patience:?} of {}", without.join(", "))
        };
        checks.push(Check::of("prices", without.is_empty(), text));
    }
    checks
}

fn of_instruments(instruments: &Instruments) -> Vec<Check> {
    let missing = instruments
        .missing
        .iter()
        .map(|name| Check::of("instrument", false, format!("{name} is not listed as a spot instrument")));
    let listed = instruments.listed.iter().map(|one| {
        let text = format!(
            "{}: price tick {}, quantity tick {}, minimum worth {} {}",
            one.name, one.price_tick, one.quantity_tick, one.minimum_notional, one.quote
        );
        if one.tradable {
            Check::new("instrument", Grade::Good, text)
        } else {
            Check::new("instrument", Grade::Warning, format!("{text}; not tradable now"))
        }
    });
    missing.chain(listed).collect()
}

fn of_account(account: Option<&Result<Account, Text>>, silent: &dyn Fn() -> String) -> Vec<Check> {
    let account = match account {
        Some(Ok(account)) => account,
        Some(Err(why)) => return vec![Check::new("account", Grade::Warning, why.as_str())],
        None => return vec![Check::new("account", Grade::Warning, silent())],
    };
    let trades = account.tradable != Some(false) && account.suspended != Some(true);
    let text = if trades { "may trade" } else { "may not trade, or is suspended" };
    let fees = format!("maker {} and taker {} basis points", account.maker_bps, account.taker_bps);
    vec![
        Check::of("account", trades, text),
        Check::new("fees", Grade::Good, fees),
        Check::new(
            "rights of the key",
            Grade::Good,
            "the exchange does not tell them: make sure there that this key may not withdraw",
        ),
    ]
}

fn of_clock(settings: &Settings, bounds: clock::Bounds) -> Check {
    let ms = |ns: i64| format!("{} ms", ns / 1_000_000);
    let told = |bound: Option<i64>| bound.map_or_else(|| "unknown".to_owned(), ms);
    let text = format!(
        "the exchange's is ahead of ours by {} to {}; {} are added",
        told(bounds.least),
        told(bounds.most),
        ms(bounds.used)
    );
    let grade = match bounds {
        clock::Bounds { least: None, most: None, .. } => Grade::Warning,
        clock::Bounds { used, .. } if used.abs() > ns(settings.nonce_window) / 2 => Grade::Bad,
        clock::Bounds { used, .. } if used.abs() > NOTABLE_NS => Grade::Warning,
        clock::Bounds { .. } => Grade::Good,
    };
    Check::new("clocks", grade, text)
}
