//! What a journal adds up to: the figures that a run ends with and `replay` shows.
//!
//! All of it is read from the folded state; nothing is counted twice elsewhere.

use crate::text::{clock, hex, percent, span};
use aegis_model::order::OrderEnd;
use aegis_model::{Label, Money, Rate, Rounding};
use aegis_projection::State;
use aegis_projection::state::OpenClaim;
use serde::Serialize;
use std::fmt;

/// The figures of a folded state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Summary {
    /// Records folded.
    pub(crate) events: u64,
    /// Time of the last one.
    pub(crate) until: String,
    /// BLAKE3 of the state, hexadecimal.
    pub(crate) digest: String,
    /// Openings of the journal.
    pub(crate) openings: u64,
    /// Signals received, and lines refused.
    pub(crate) signals: u64,
    /// Signal lines that were none.
    pub(crate) bad_signals: u64,
    /// Refused entries, by reason.
    pub(crate) refusals: Vec<(String, u64)>,
    /// Orders intended: entries and exits.
    pub(crate) entries: u64,
    /// Exits intended.
    pub(crate) exits: u64,
    /// Orders by how they ended.
    pub(crate) ended: Vec<(String, u64)>,
    /// Orders open now.
    pub(crate) open_orders: usize,
    /// Fills booked.
    pub(crate) fills: u64,
    /// Positions closed, and how many with profit.
    pub(crate) closed: u64,
    /// Closed with a profit above zero.
    pub(crate) won: u64,
    /// Realised profit net of quote fees.
    pub(crate) realised: Money,
    /// Quote fees.
    pub(crate) quote_fees: Money,
    /// Fees by asset.
    pub(crate) fees: Vec<(String, String)>,
    /// Dust by instrument.
    pub(crate) dust: Vec<(String, String)>,
    /// Stop adjustments.
    pub(crate) stop_moves: u64,
    /// Blind time by instrument, seconds.
    pub(crate) blind_s: Vec<(String, i64)>,
    /// Balances: asset, total, record, age of the snapshot in seconds at the last record.
    pub(crate) balances: Vec<BalanceLine>,
    /// Open positions.
    pub(crate) positions: Vec<PositionLine>,
    /// What the old bot's files claim to be held and no comparison has judged yet: nothing is traded because of it.
    pub(crate) claims: Vec<ClaimLine>,
    /// Standing alarms.
    pub(crate) alarms: Vec<String>,
    /// Anomalies by kind.
    pub(crate) anomalies: Vec<(String, u64)>,
    /// Undelivered messages.
    pub(crate) undelivered: usize,
    /// Who halted trading, if it is halted.
    pub(crate) halted: Option<String>,
    /// Whether both sides of the conservation law are equal to the last digit.
    pub(crate) conserved: bool,
    /// Net profit / (first quote balance + net flows).
    pub(crate) return_on_first: Option<String>,
}

/// A balance as people are shown it: never without the record it comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct BalanceLine {
    /// The asset.
    pub(crate) asset: String,
    /// The venue's total and what our fills changed since.
    pub(crate) total: String,
    /// What may be spent.
    pub(crate) available: String,
    /// Reserved by our own working orders.
    pub(crate) reserved: String,
    /// The snapshot's record.
    pub(crate) lsn: u64,
    /// Its age at the last record, seconds.
    pub(crate) age_s: i64,
}

/// An open position as people are shown it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct PositionLine {
    /// The instrument.
    pub(crate) instrument: String,
    /// Held.
    pub(crate) held: String,
    /// Entry price without fees.
    pub(crate) entry: String,
    /// Cost.
    pub(crate) cost: String,
    /// The stop.
    pub(crate) stop: Option<String>,
    /// The take-profit.
    pub(crate) take_profit: Option<String>,
    /// Quantity that the stop covers.
    pub(crate) covered: Option<String>,
    /// Record that opened it.
    pub(crate) opened: u64,
}

/// A claimed holding that waits for the next comparison.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct ClaimLine {
    /// The instrument.
    pub(crate) instrument: String,
    /// Base quantity, all lots of the file together.
    pub(crate) quantity: String,
    /// The highest stop that a lot of it names.
    pub(crate) stop: Option<String>,
    /// The file.
    pub(crate) file: String,
    /// The record of its last lot.
    pub(crate) lsn: u64,
}

impl ClaimLine {
    fn of(state: &State, (instrument, digest): &(Label, [u8; 32]), claim: &OpenClaim) -> ClaimLine {
        ClaimLine {
            instrument: instrument.to_string(),
            quantity: claim.quantity.to_string(),
            stop: claim.stop.map(|stop| stop.to_string()),
            file: state.claims.files.get(digest).map_or_else(|| "?".into(), |f| f.name.to_string()),
            lsn: claim.lsn.0,
        }
    }
}

impl Summary {
    /// Reads a state.
    pub(crate) fn of(state: &State) -> Summary {
        let t = &state.totals;
        let instruments = || state.instruments.iter();
        let positions = instruments()
            .filter(|i| i.is_open())
            .map(|i| PositionLine {
                instrument: i.spec.name.to_string(),
                held: i.held().to_string(),
                entry: i.entry_price().map_or("-".into(), |p| format!("{:.8}", p.0)),
                cost: i.book.now.cost.to_string(),
                stop: i.protection.as_ref().map(|p| p.stop.to_string()),
                take_profit: i.protection.as_ref().and_then(|p| p.take_profit).map(|p| p.to_string()),
                covered: i.protection.as_ref().map(|p| p.quantity.to_string()),
                opened: i.opened.0,
            })
            .collect();
        let balances = state
            .assets
            .iter()
            .enumerate()
            .filter_map(|(at, a)| {
                let balance = a.balance?;
                let id = aegis_model::AssetId(u16::try_from(at).ok()?);
                Some(BalanceLine {
                    asset: a.name.to_string(),
                    total: balance.total.plus(a.since).ok()?.to_string(),
                    available: state.available(id)?.to_string(),
                    reserved: state.reserved(id).to_string(),
                    lsn: balance.lsn.0,
                    age_s: state.time.since(balance.requested) / 1_000_000_000,
                })
            })
            .collect();
        let alarms = state
            .alarms
            .iter()
            .map(|((kind, about), alarm)| {
                let name = about
                    .and_then(|id| state.instrument(id))
                    .map_or(String::new(), |i| format!(" {}", i.spec.name));
                format!(
                    "{kind}{name} since {}: {} (blocks {})",
                    clock(alarm.since),
                    alarm.reason,
                    alarm.blocks
                )
            })
            .collect();
        Summary {
            events: state.lsn.0,
            until: clock(state.time),
            digest: hex(&state.digest()),
            openings: state.journal.openings,
            signals: t.signals,
            bad_signals: t.bad_signals,
            refusals: t.refusals.iter().map(|(k, n)| (k.to_string(), *n)).collect(),
            entries: t.entries,
            exits: t.exits,
            ended: t.ended.iter().map(|(k, n): (&OrderEnd, &u64)| (k.to_string(), *n)).collect(),
            open_orders: state.orders.len(),
            fills: t.fills,
            closed: t.closed,
            won: t.won,
            realised: t.realised,
            quote_fees: t.quote_fees,
            fees: state
                .assets
                .iter()
                .filter(|a| !a.fees.is_zero())
                .map(|a| (a.name.to_string(), a.fees.to_string()))
                .collect(),
            dust: instruments()
                .filter(|i| i.dust.quantity.is_positive())
                .map(|i| (i.spec.name.to_string(), i.dust.quantity.to_string()))
                .collect(),
            stop_moves: t.stop_moves,
            blind_s: instruments()
                .filter(|i| i.blind_ns > 0)
                .map(|i| (i.spec.name.to_string(), i.blind_ns / 1_000_000_000))
                .collect(),
            balances,
            positions,
            claims: state.claims.open.iter().map(|(key, claim)| ClaimLine::of(state, key, claim)).collect(),
            alarms,
            anomalies: t.anomalies.iter().map(|(k, n)| (k.to_string(), *n)).collect(),
            undelivered: state.outbox.len(),
            halted: state
                .trading
                .halted
                .as_ref()
                .map(|h| format!("by {} since {}: {}", h.by, clock(h.at), h.reason)),
            conserved: state.conservation().is_ok_and(|(left, right)| left == right),
            return_on_first: return_on_first(state).map(percent),
        }
    }
}

/// ROI = net profit / (first snapshot + net flows); there is no configured balance.
fn return_on_first(state: &State) -> Option<Rate> {
    let quote = state.find_asset(&state.journal.quote)?;
    let asset = state.asset(quote)?;
    let base = Money(asset.first?.total.0).plus(Money(asset.net_flows.0)).ok()?;
    if !base.is_positive() {
        return None;
    }
    state.totals.realised.ratio(base, Rounding::HalfEven).ok()
}

fn list(pairs: &[(String, u64)]) -> String {
    if pairs.is_empty() {
        return "none".into();
    }
    pairs.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
}

fn texts(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return "none".into();
    }
    pairs.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

/// Holds a number and its unit on one line.
const GLUE: &str = "\u{a0}";

fn age(seconds: i64) -> String {
    span(seconds).replace(' ', GLUE)
}

/// Lines wrapped to fit 80 columns behind their heads.
fn row(f: &mut fmt::Formatter<'_>, head: &str, text: &str) -> fmt::Result {
    let mut line = String::new();
    let mut first = true;
    for word in text.split(' ') {
        if line.chars().count() + word.chars().count() > 60 && !line.is_empty() {
            writeln!(f, "  {:<17} {}", if first { head } else { "" }, line.replace(GLUE, " "))?;
            first = false;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(f, "  {:<17} {}", if first { head } else { "" }, line.replace(GLUE, " "))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "signals", &format!("{}, lines refused {}", self.signals, self.bad_signals))?;
        row(f, "entries refused", &list(&self.refusals))?;
        row(
            f,
            "orders",
            &format!(
                "{} entries, {} exits; ended: {}; open {}",
                self.entries,
                self.exits,
                list(&self.ended),
                self.open_orders
            ),
        )?;
        row(f, "fills", &self.fills.to_string())?;
        row(f, "positions closed", &format!("{}, with profit {}", self.closed, self.won))?;
        row(
            f,
            "profit net of fees",
            &format!(
                "{:.8}{}",
                self.realised,
                self.return_on_first
                    .as_ref()
                    .map_or(String::new(), |r| format!(" ({r} of the first balance)"))
            ),
        )?;
        row(f, "fees", &texts(&self.fees))?;
        row(f, "dust", &texts(&self.dust))?;
        row(f, "stop adjustments", &self.stop_moves.to_string())?;
        let blind: Vec<String> = self.blind_s.iter().map(|(n, s)| format!("{n}{GLUE}{}", age(*s))).collect();
        row(f, "blind time", &if blind.is_empty() { "none".into() } else { blind.join(", ") })?;
        for b in &self.balances {
            row(
                f,
                "balance",
                &format!(
                    "{} {}, available {} (record {}, {}\u{a0}old)",
                    b.total,
                    b.asset,
                    b.available,
                    b.lsn,
                    age(b.age_s)
                ),
            )?;
        }
        for p in &self.positions {
            row(
                f,
                "position",
                &format!(
                    "{} {} at {}, stop {} covers {} (opened by record {})",
                    p.instrument,
                    p.held,
                    p.entry,
                    p.stop.as_deref().unwrap_or("none"),
                    p.covered.as_deref().unwrap_or("nothing"),
                    p.opened
                ),
            )?;
        }
        for c in &self.claims {
            let stop = c.stop.as_ref().map_or(String::new(), |stop| format!(", stop {stop}"));
            row(
                f,
                "claim, unjudged",
                &format!("{} {}{stop} ({}, record {})", c.instrument, c.quantity, c.file, c.lsn),
            )?;
        }
        if let Some(halted) = &self.halted {
            row(f, "trading halted", halted)?;
        }
        for alarm in &self.alarms {
            row(f, "ALARM", alarm)?;
        }
        if !self.anomalies.is_empty() {
            row(f, "anomalies", &list(&self.anomalies))?;
        }
        if self.undelivered > 0 {
            row(f, "undelivered", &self.undelivered.to_string())?;
        }
        row(f, "money adds up", if self.conserved { "yes, to the last digit" } else { "NO" })?;
        row(f, "events", &format!("{} until {}, {} openings", self.events, self.until, self.openings))?;
        row(f, "digest", &self.digest)
    }
}
