//! What differs between two states, in words; and the first record where two journals part.

use crate::replay::{Point, ReadError, Reading, Until};
use crate::words::{clock, words};
use aegis_journal::StorageRead;
use aegis_model::{AssetId, InstrumentId};
use aegis_projection::State;
use serde::Serialize;
use std::collections::BTreeMap;

/// One thing that is not the same on both sides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Difference {
    /// What it is about: `position BTC_USDT`, `stop BTC_USDT`, `order #3`, `balance USDT`, `setting enabled` and the like.
    pub place: String,
    /// The first side; none where it has nothing there.
    pub left: Option<String>,
    /// The second side; none where it has nothing there.
    pub right: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{}: {} | {}", self.place, side(&self.left), side(&self.right))
    }
}

/// Where two journals part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Parting {
    /// The first record that is not the same in both.
    pub lsn: u64,
    /// What it is in the first; none where that has ended.
    pub left: Option<String>,
    /// What it is in the second; none where that has ended.
    pub right: Option<String>,
}

impl std::fmt::Display for Parting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.left, &self.right) {
            (Some(left), Some(right)) => {
                write!(f, "they part at record {}: {left} | {right}", self.lsn)
            }
            (Some(left), None) => write!(f, "the second ends before record {}, which is {left}", self.lsn),
            (None, Some(right)) => write!(f, "the first ends before record {}, which is {right}", self.lsn),
            (None, None) => write!(f, "both end before record {}", self.lsn),
        }
    }
}

/// What a state says of one place.
type Facts = BTreeMap<String, String>;

/// Everything that differs between two states, by place. Equal states have equal digests and no difference.
pub fn states(left: &State, right: &State) -> Vec<Difference> {
    let (a, b) = (facts(left), facts(right));
    let mut out = Vec::new();
    for (place, said) in &a {
        let other = b.get(place);
        if other != Some(said) {
            out.push(Difference { place: place.clone(), left: Some(said.clone()), right: other.cloned() });
        }
    }
    for (place, said) in b.iter().filter(|(place, _)| !a.contains_key(*place)) {
        out.push(Difference { place: place.clone(), left: None, right: Some(said.clone()) });
    }
    out.sort_by(|a, b| a.place.cmp(&b.place));
    let same_record = left.lsn == right.lsn && left.time == right.time;
    if out.is_empty() && same_record && left.digest() != right.digest() {
        let hex = |state: &State| state.digest().iter().map(|b| format!("{b:02x}")).collect::<String>();
        out.push(Difference {
            place: "digest, and nothing that is compared by name".to_owned(),
            left: Some(hex(left)),
            right: Some(hex(right)),
        });
    }
    out
}

/// A state in words, by place. What only counts records (the place in the journal) is left out.
fn facts(state: &State) -> Facts {
    let mut out = Facts::new();
    let mut put = |place: String, said: String| drop(out.insert(place, said));
    let journal = &state.journal;
    if let Some(mode) = journal.mode {
        put(
            "journal".into(),
            format!("{mode}, installation {:010x}, money in {}", journal.installation, journal.quote),
        );
    }
    put("opening".into(), format!("number {}, run {:08x}", journal.openings, journal.run));
    if let Some(gap) = journal.open_gap {
        put("gap".into(), format!("not accepted yet, record {gap}"));
    }
    for (key, value) in &state.settings {
        put(format!("setting {key}"), value.to_string());
    }
    for (at, instrument) in state.instruments.iter().enumerate() {
        put_instrument(&mut put, InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)), instrument);
    }
    for (at, asset) in state.assets.iter().enumerate() {
        let id = AssetId(u16::try_from(at).unwrap_or(u16::MAX));
        if let Some(balance) = asset.balance {
            let total = balance.total.plus(asset.since).map_or("beyond range".to_owned(), |t| t.to_string());
            put(format!("balance {}", asset.name), format!("{total}, reserved by us {}", state.reserved(id)));
        }
        if !asset.quarantined.is_zero() {
            put(format!("quarantine {}", asset.name), asset.quarantined.to_string());
        }
        if let Some(drift) = asset.drift {
            put(
                format!("drift {}", asset.name),
                format!("venue {}, expected {}", drift.venue, drift.expected),
            );
        }
        if !asset.fees.is_zero() {
            put(format!("fees {}", asset.name), asset.fees.to_string());
        }
        if !asset.net_flows.is_zero() {
            put(format!("flows {}", asset.name), asset.net_flows.to_string());
        }
    }
    for (id, order) in state.orders.iter() {
        put(format!("order {id}"), order_words(state, order));
    }
    for ((kind, about), alarm) in &state.alarms {
        let name =
            about.and_then(|id| state.instrument(id)).map_or(String::new(), |i| format!(" {}", i.spec.name));
        put(format!("alarm {kind}{name}"), format!("{} (blocks {})", alarm.reason, alarm.blocks));
    }
    if let Some(halt) = &state.trading.halted {
        put("trading".into(), format!("halted by {}: {}", halt.by, halt.reason));
    }
    for (rule, until) in &state.trading.pauses {
        put(format!("pause {rule}"), format!("until {}", clock(*until)));
    }
    for (label, since) in &state.links {
        put(format!("connection {label}"), format!("away since {}", clock(*since)));
    }
    for (number, message) in &state.outbox {
        put(format!("message {number}"), format!("not delivered: {}", message.text));
    }
    put_totals(&mut put, state);
    out
}

fn put_totals(put: &mut impl FnMut(String, String), state: &State) {
    let t = &state.totals;
    let figures = [
        ("signals", t.signals.to_string()),
        ("entries", t.entries.to_string()),
        ("exits", t.exits.to_string()),
        ("fills", t.fills.to_string()),
        ("positions closed", t.closed.to_string()),
        ("stop adjustments", t.stop_moves.to_string()),
        ("realised profit", t.realised.to_string()),
        ("quote fees", t.quote_fees.to_string()),
        ("quote paid", t.quote_paid.to_string()),
        ("quote received", t.quote_received.to_string()),
        ("corrections", t.corrections.to_string()),
        ("commands", t.commands.to_string()),
        ("entries refused", t.refusals.values().sum::<u64>().to_string()),
    ];
    for (name, figure) in figures {
        put(format!("total {name}"), figure);
    }
    for (kind, count) in &t.anomalies {
        put(format!("anomaly {kind}"), count.to_string());
    }
}

fn put_instrument(
    put: &mut impl FnMut(String, String),
    id: InstrumentId,
    instrument: &aegis_projection::state::InstrumentState,
) {
    let name = instrument.spec.name;
    let spec = &instrument.spec;
    put(
        format!("instrument {name}"),
        format!(
            "number {}, price tick {}, quantity tick {}, minimum {}, tradable {}",
            id.0, spec.price_tick, spec.quantity_tick, spec.minimum_notional, spec.tradable
        ),
    );
    if instrument.is_open() {
        let now = &instrument.book.now;
        let entry = instrument.entry_price().map_or("-".to_owned(), |p| p.to_string());
        put(
            format!("position {name}"),
            format!("{} at {entry}, cost {}, cycle {}", now.held, now.cost, now.cycle),
        );
    }
    if let Some(p) = &instrument.protection {
        let take_profit = p.take_profit.map_or(String::new(), |t| format!(", take-profit {t}"));
        put(
            format!("stop {name}"),
            format!("{} for {}, highest price {}{take_profit}", p.stop, p.quantity, p.mark),
        );
    }
    if instrument.dust.quantity.is_positive() {
        put(format!("dust {name}"), format!("{}, cost {}", instrument.dust.quantity, instrument.dust.cost));
    }
    if instrument.blocked.is_some() {
        put(format!("blocked {name}"), "until a person releases it".to_owned());
    }
    if instrument.blind.is_some() {
        put(format!("blind {name}"), "no fresh price".to_owned());
    }
    if let Some((reason, _)) = instrument.exit_wanted {
        put(format!("exit {name}"), format!("wanted: {reason}"));
    }
    if let Some(prepared) = &instrument.prepared {
        put(format!("entry {name}"), format!("{} prepared", prepared.entry.quantity));
    }
}

fn order_words(state: &State, order: &aegis_projection::state::Order) -> String {
    let name = state.instrument(order.instrument).map_or_else(String::new, |i| i.spec.name.to_string());
    let venue = order.venue_order.map_or(String::new(), |v| format!(", the venue's {}", v.0));
    format!("{} {} {name}, {}, {} filled{venue}", order.side, order.quantity, order.status, order.filled)
}

/// What two journals differ in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Compared {
    /// The last record folded of each.
    pub lsns: (u64, u64),
    /// Where their records part; none when one state is compared with another of the same journal, or when they are
    /// the same as far as they were read.
    pub parting: Option<Parting>,
    /// What differs in the states.
    pub differences: Vec<Difference>,
}

/// Compares two journals record by record up to a point of each, and the states there.
///
/// # Errors
/// [`ReadError`] of either.
pub fn journals<R: StorageRead, S: StorageRead>(
    mut left: Reading<R>,
    mut right: Reading<S>,
    until: (Until, Until),
) -> Result<(Compared, Reading<R>, Reading<S>), ReadError> {
    let mut parting = None;
    let (mut a, mut b): (Vec<Point>, Vec<Point>) = (Vec::new(), Vec::new());
    let (mut more_a, mut more_b) = (true, true);
    while more_a || more_b {
        if more_a && a.is_empty() {
            more_a = left.step_batch(until.0, &mut |point, _| a.push(point.clone()))?;
        }
        if more_b && b.is_empty() {
            more_b = right.step_batch(until.1, &mut |point, _| b.push(point.clone()))?;
        }
        if parting.is_none() {
            let (names_a, names_b) = (&left.state, &right.state);
            parting = part(&a, &b, (more_a, more_b), |p| said(p, names_a), |p| said(p, names_b));
        }
        // Batches may be cut otherwise in a journal made anew: what both have shown is done with, the rest waits.
        let done = if parting.is_some() { usize::MAX } else { a.len().min(b.len()) };
        a.drain(..done.min(a.len()));
        b.drain(..done.min(b.len()));
    }
    let differences = states(&left.state, &right.state);
    let lsns = (left.state.lsn.0, right.state.lsn.0);
    Ok((Compared { lsns, parting, differences }, left, right))
}

fn said(point: &Point, names: &State) -> String {
    format!("{} {} {}", clock(point.event.at), point.event.actor, words(&point.event, names))
}

/// The first record that is not the same, among those that both have shown; or the first behind the end of one.
fn part(
    a: &[Point],
    b: &[Point],
    (more_a, more_b): (bool, bool),
    left: impl Fn(&Point) -> String,
    right: impl Fn(&Point) -> String,
) -> Option<Parting> {
    for (x, y) in a.iter().zip(b) {
        if x.lsn != y.lsn || x.event != y.event {
            let lsn = x.lsn.min(y.lsn).0;
            return Some(Parting { lsn, left: Some(left(x)), right: Some(right(y)) });
        }
    }
    let common = a.len().min(b.len());
    match (a.get(common), b.get(common)) {
        (Some(x), None) if !more_b => Some(Parting { lsn: x.lsn.0, left: Some(left(x)), right: None }),
        (None, Some(y)) if !more_a => Some(Parting { lsn: y.lsn.0, left: None, right: Some(right(y)) }),
        (Some(_) | None, _) => None,
    }
}

#[cfg(test)]
mod tests;
