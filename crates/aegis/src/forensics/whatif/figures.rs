//! What an outcome adds up to, recorded or modelled, from one definition: the audit of its journal. And where two of them
//! differ, position by position.

use crate::exit::Failure;
use aegis_forensics::audit::{self, Audit, Fees, Moment, Position, Share};
use aegis_forensics::{ReadError, Reading, Until};
use aegis_journal::StorageRead;
use aegis_model::protection::StopCause;
use aegis_model::{
    ExitReason, Fact, InstrumentId, Lsn, Money, OrderId, Price, Quantity, Rate, Rounding, Timestamp,
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Refused entries that are remembered, to say why a position is not there.
const REFUSED_MAX: usize = 1_000_000;
/// How long before a position's first execution its entry may have been decided on, ns.
const DECIDED_NS: i64 = 120 * aegis_model::ids::SECOND;

/// The figures of one outcome. Money is in the quote asset.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Figures {
    /// Positions closed.
    pub(super) closed: u64,
    /// Of them, with a profit above zero.
    pub(super) won: u64,
    /// Positions open at the end.
    pub(super) open: u64,
    /// Profit that was realised, after fees in quote.
    pub(super) realised: Money,
    /// What is held at the end at the last price seen, less its cost.
    pub(super) unrealised: Money,
    /// Fees in quote.
    pub(super) quote_fees: Money,
    /// Fees by asset.
    pub(super) fees: Vec<Fees>,
    /// The deepest fall of the result.
    pub(super) drawdown: Money,
    /// Its share of the equity at the peak.
    pub(super) drawdown_rate: Option<Rate>,
    /// How long something was held, ns.
    pub(super) held_ns: i64,
    /// How long that could have been, ns.
    pub(super) span_ns: i64,
    /// How often the price raised a stop.
    pub(super) stops_raised: u64,
    /// Positions that a stop ended.
    pub(super) stops_hit: u64,
    /// Executions, with those that are only inferred.
    pub(super) fills: u64,
    /// Entries that the gate refused.
    pub(super) refused: u64,
    /// Profit by instrument.
    pub(super) by_instrument: Vec<Share>,
    /// Profit by reason of the exit.
    pub(super) by_reason: Vec<Share>,
}

/// An outcome.
pub(super) struct Outcome {
    pub(super) figures: Figures,
    /// Its positions, oldest entry first.
    pub(super) positions: Vec<Position>,
    /// Positions that are only in the figures.
    pub(super) more: u64,
    /// Refused entries: instrument, time, and why.
    refusals: BTreeMap<String, Vec<(Timestamp, String)>>,
}

/// Audits an outcome from a time on; `open` makes a handle on its journal.
///
/// # Errors
/// [`ReadError`].
#[expect(clippy::wildcard_enum_match_arm, reason = "the audit tells the rest")]
pub(super) fn outcome<R: StorageRead>(
    open: impl Fn() -> Result<Reading<R>, ReadError>,
    from: Option<Timestamp>,
    until: Until,
    progress: &mut dyn FnMut(Lsn),
) -> Result<Outcome, ReadError> {
    let audit = audit::audit(open()?, from.map(Until::Time), until, progress)?;
    let mut reading = open()?;
    let begins = from.unwrap_or(Timestamp::EPOCH);
    let mut refusals: BTreeMap<String, Vec<(Timestamp, String)>> = BTreeMap::new();
    let mut stops: BTreeMap<InstrumentId, Price> = BTreeMap::new();
    let mut inferred: BTreeSet<OrderId> = BTreeSet::new();
    let (mut raised, mut refused) = (0, 0);
    let (mut first, mut last, mut held, mut held_ns) = (None, begins, false, 0);
    loop {
        let more = reading.step_batch(until, &mut |point, state| {
            let at = point.event.at;
            let counts = at >= begins;
            match &point.event.fact {
                // The highest price is recorded as well where the stop stays.
                Fact::StopArmed(f) => drop(stops.insert(f.instrument, f.stop)),
                Fact::StopMoved(f) => {
                    let before = stops.insert(f.instrument, f.stop);
                    let up = before.is_none_or(|before| f.stop > before);
                    raised += u64::from(counts && f.why == StopCause::MarkRaised && up);
                }
                Fact::FillInferred(f) if f.quantity.is_positive() => {
                    inferred.insert(f.order);
                }
                Fact::FillInferred(f) => {
                    inferred.remove(&f.order);
                }
                Fact::EntryRefused(f) if counts => {
                    refused += 1;
                    if let Some(instrument) = state.instrument(f.instrument)
                        && refused <= REFUSED_MAX
                    {
                        let of = refusals.entry(instrument.spec.name.to_string()).or_default();
                        of.push((at, f.reason.to_string()));
                    }
                }
                _ => {}
            }
        })?;
        if !more {
            break;
        }
        let now = reading.state.time.max(begins);
        first.get_or_insert(now);
        if held {
            held_ns += now.since(last);
        }
        held = reading.state.instruments.iter().any(|i| i.is_open());
        last = now;
    }
    let span_ns = last.since(first.unwrap_or(last).max(begins));
    let inferred = inferred.len() as u64;
    let counted = Counted { raised, inferred, refused: refused as u64, held_ns, span_ns };
    let figures = figures(&audit, &counted);
    let mut positions = audit.positions;
    positions.sort_by(|a, b| (a.opened, &a.instrument, a.cycle).cmp(&(b.opened, &b.instrument, b.cycle)));
    Ok(Outcome { figures, positions, more: audit.positions_more, refusals })
}

/// What the audit does not count.
struct Counted {
    raised: u64,
    /// Orders of which something is held to be executed at the end, while its trade is not known.
    inferred: u64,
    refused: u64,
    held_ns: i64,
    span_ns: i64,
}

fn figures(audit: &Audit, counted: &Counted) -> Figures {
    let stop = ExitReason::Stop.to_string();
    let fall = audit.equity.drawdown.as_ref();
    Figures {
        closed: audit.sums.closed,
        won: audit.sums.won,
        open: audit.positions.iter().filter(|p| p.closed.is_none()).count() as u64,
        realised: audit.sums.realised,
        unrealised: audit.sums.open,
        quote_fees: audit.sums.quote_fees,
        fees: audit.fees.clone(),
        drawdown: fall.map_or(Money::ZERO, |fall| fall.amount),
        drawdown_rate: fall.and_then(|fall| fall.rate),
        held_ns: counted.held_ns,
        span_ns: counted.span_ns,
        stops_raised: counted.raised,
        stops_hit: audit.by_reason.iter().find(|share| share.name == stop).map_or(0, |s| s.positions),
        fills: audit.sums.fills + counted.inferred,
        refused: counted.refused,
        by_instrument: audit.by_instrument.clone(),
        by_reason: audit.by_reason.clone(),
    }
}

/// One side of a difference: a position, shortened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Side {
    /// Its first execution.
    pub(super) opened: Moment,
    /// Its last; none while it is open.
    pub(super) closed: Option<Moment>,
    /// Base bought.
    pub(super) quantity: Quantity,
    /// The average price paid.
    pub(super) entry: Option<Price>,
    /// The average price got; none while nothing was sold.
    pub(super) exit: Option<Price>,
    /// Why it was left.
    pub(super) reason: Option<ExitReason>,
    /// What it earned, after fees in quote.
    pub(super) profit: Money,
}

impl Side {
    fn of(position: &Position) -> Side {
        let price = |value: Money, quantity: Quantity| {
            value.0.over(quantity.0, Rounding::HalfEven).ok().filter(|_| quantity.is_positive()).map(Price)
        };
        Side {
            opened: position.opened,
            closed: position.closed,
            quantity: position.bought,
            entry: price(position.buy_value, position.bought),
            exit: price(position.sell_value, position.sold),
            reason: position.reason,
            profit: position.profit_in_window(),
        }
    }
}

/// A position that two outcomes do not have in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Difference {
    /// The instrument.
    pub(super) instrument: String,
    /// What opened it.
    pub(super) source: String,
    /// The first outcome's; none where it has none.
    pub(super) left: Option<Side>,
    /// The second's.
    pub(super) right: Option<Side>,
    /// Why only one of them has it, as far as it is told.
    pub(super) why: Option<String>,
}

/// Where two outcomes differ, oldest first. Positions are the same if they are of one instrument and were opened no further
/// apart than `apart_ns`.
pub(super) fn differences(left: &Outcome, right: &Outcome, apart_ns: i64) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut taken = vec![false; right.positions.len()];
    for a in &left.positions {
        let from = right.positions.partition_point(|b| b.opened.0 < a.opened.0.after(-apart_ns));
        let near = right.positions[from..]
            .iter()
            .enumerate()
            .take_while(|(_, b)| b.opened.0.since(a.opened.0) <= apart_ns)
            .filter(|(at, b)| b.instrument == a.instrument && !taken[from + at])
            .min_by_key(|(_, b)| b.opened.0.since(a.opened.0).abs());
        let Some((at, b)) = near else {
            let why = why_not(right, a);
            found.push(difference(a, Some(a), None, why));
            continue;
        };
        taken[from + at] = true;
        if !same(a, b, apart_ns) {
            found.push(difference(a, Some(a), Some(b), None));
        }
    }
    for (b, _) in right.positions.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        found.push(difference(b, None, Some(b), why_not(left, b)));
    }
    found.sort_by_key(|d| (d.left.as_ref().or(d.right.as_ref()).map(|s| s.opened), d.instrument.clone()));
    found
}

fn difference(of: &Position, a: Option<&Position>, b: Option<&Position>, why: Option<String>) -> Difference {
    Difference {
        instrument: of.instrument.clone(),
        source: of.source.clone(),
        left: a.map(Side::of),
        right: b.map(Side::of),
        why,
    }
}

/// Whether two positions are one: everything but record numbers, and times where some distance is allowed. A position that
/// was restated has its profit as it is and its sums as they were told when it closed, so that those say nothing.
fn same(a: &Position, b: &Position, apart_ns: i64) -> bool {
    let sums = |p: &Position| (p.bought, p.buy_value, p.sold, p.sell_value, p.quote_fees, p.base_fees);
    let near = |a: Moment, b: Moment| a.0.since(b.0).abs() <= apart_ns;
    let ends = match (a.closed, b.closed) {
        (Some(a), Some(b)) => near(a, b),
        (a, b) => a == b,
    };
    ends && near(a.opened, b.opened)
        && (a.reason, a.dust, a.profit_in_window()) == (b.reason, b.dust, b.profit_in_window())
        && (a.restated > 0 || b.restated > 0 || sums(a) == sums(b))
}

/// Why an outcome has no such position: what it held then, what its gate said, or that it may have had it and kept no more
/// than its figures.
fn why_not(outcome: &Outcome, position: &Position) -> Option<String> {
    let at = position.opened.0;
    let held = outcome.positions.iter().find(|p| {
        p.instrument == position.instrument
            && p.opened.0 <= at
            && p.closed.is_none_or(|closed| closed.0 >= at)
    });
    if let Some(held) = held {
        return Some(format!("held since {}", super::words::minute(held.opened)));
    }
    let refusals = outcome.refusals.get(&position.instrument).map_or(&[][..], Vec::as_slice);
    let last = refusals[..refusals.partition_point(|(time, _)| *time <= at)].last();
    if let Some((_, reason)) = last.filter(|(time, _)| at.since(*time) <= DECIDED_NS) {
        return Some(format!("refused: {reason}"));
    }
    // The first that closed are the first that only the figures keep.
    let kept_from = outcome.positions.iter().filter_map(|p| p.closed).min();
    let trimmed = outcome.more > 0 && kept_from.is_none_or(|kept| at <= kept.0);
    trimmed.then(|| "in the sums only, with what is older".to_owned())
}

/// Whether the model gave what was recorded, to the last digit; `off` are the positions that differ. What is open is valued at the prices that each journal
/// holds, of which the model's has more, and does not count.
pub(super) fn equal(recorded: &Outcome, model: &Outcome, off: &[Difference]) -> bool {
    let sums = |f: &Figures| (f.closed, f.won, f.open, f.realised, f.quote_fees, f.fills);
    off.is_empty() && sums(&recorded.figures) == sums(&model.figures)
}

/// A failure of reading what was just made is a bug; the recorded journal's are told elsewhere.
pub(super) fn bug(error: &ReadError) -> Failure {
    Failure::bug(error)
}

#[cfg(test)]
mod tests;
