//! The audit of a journal: what was earned and paid, how far it fell, when something was held without protection, what was
//! not known and how that ended, what was corrected, commanded and refused, and what is missing.
//!
//! One pass over the records gathers plain values (`gather`, `ledger`); they are laid out once as sections (`sections`),
//! which Markdown and HTML spell. Every sum of money is exact and comes from the fold's own books, so that the shares add
//! up to its totals. Memory is bounded: long lists keep their first rows and count the rest, prices are thinned.

mod chart;
mod gather;
pub mod html;
mod ledger;
pub mod markdown;
mod sections;
mod thin;

pub use chart::Chart;
pub use gather::moves_money;
pub use ledger::{Fees, Position, Share};
pub use thin::Thinned;

use crate::replay::{ReadError, Reading, Until};
use crate::words::clock;
use aegis_journal::StorageRead;
use aegis_model::{Lsn, Mode, Money, Rate, Timestamp};
use serde::{Serialize, Serializer};
use std::fmt;

/// Rows kept of each list.
const ROWS_MAX: usize = 1_000;
/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 16;

/// A time that is told as RFC 3339, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(pub Timestamp);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&clock(self.0))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The first rows of a list, and how many there are more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Listed<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Rows that are not kept.
    pub more: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Listed<T> {
        Listed { rows: Vec::new(), more: 0 }
    }
}

impl<T> Listed<T> {
    fn push(&mut self, row: T) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(row);
        } else {
            self.more += 1;
        }
    }

    fn total(&self) -> u64 {
        self.rows.len() as u64 + self.more
    }
}

/// How often something was there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Count {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// A record in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Told {
    /// Its number.
    pub lsn: Lsn,
    /// Its time.
    pub time: Moment,
    /// By whom.
    pub by: String,
    /// What it says.
    pub words: String,
    /// What came of it, where that is told: a refusal, or how long it stood.
    pub outcome: Option<String>,
}

/// Sums of the fold over the window. Money is in the asset that the journal counts in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Sums {
    /// Profit that was realised, after fees in quote.
    pub realised: Money,
    /// What is held at the end at the last price seen, less its cost; no window.
    pub open: Money,
    /// Quote paid, fees included.
    pub quote_paid: Money,
    /// Quote received, before fees.
    pub quote_received: Money,
    /// Fees in quote.
    pub quote_fees: Money,
    /// Value that corrections brought in or took away without quote moving.
    pub corrections: Money,
    /// Executions booked.
    pub fills: u64,
    /// Positions that were closed.
    pub closed: u64,
    /// Of them, with a profit above zero.
    pub won: u64,
}

/// The deepest fall of the result below the highest value it had before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Drawdown {
    /// How far.
    pub amount: Money,
    /// Its share of the equity at the peak; none where that is not known.
    pub rate: Option<Rate>,
    /// When the peak was.
    pub peak_at: Moment,
    /// When the lowest point was.
    pub trough_at: Moment,
    /// The equity at the peak, or the result where the first balance is not known.
    pub peak: Money,
}

/// The result over time: realised profit and what is held at the last price seen, less its cost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Equity {
    /// The first quote balance that was recorded, which the curve starts from; deposits and withdrawals are left out.
    pub base: Option<Money>,
    /// The curve, thinned; each point includes the base.
    pub curve: Vec<(Moment, Money)>,
    /// How far the curve lies below its highest value so far, thinned.
    pub below: Vec<(Moment, Money)>,
    /// The deepest fall.
    pub drawdown: Option<Drawdown>,
}

/// How an instrument's holdings were protected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cover {
    /// The instrument.
    pub instrument: String,
    /// How long something was held, ns.
    pub held_ns: i64,
    /// Of that, without a stop of the engine and without an exit on its way, ns.
    pub bare_ns: i64,
    /// The longest such time, ns.
    pub bare_max_ns: i64,
    /// How long something was held while no process ran, ns.
    pub unattended_ns: i64,
    /// How long prices were missing, ns, as far as that ended.
    pub blind_ns: i64,
    /// How often a stop came to rest at the venue.
    pub venue_stops: u64,
    /// How long none rested before those, together, ns.
    pub venue_bare_ns: i64,
    /// The longest of these times, ns.
    pub venue_bare_max_ns: i64,
}

/// An order whose outcome was not known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Unknown {
    /// The record that said so first.
    pub lsn: Lsn,
    /// When.
    pub since: Moment,
    /// The order's number.
    pub order: u64,
    /// Its client order id.
    pub client: Option<String>,
    /// The order in words.
    pub what: String,
    /// Why it was not known.
    pub cause: String,
    /// Lookups answered meanwhile.
    pub lookups: u64,
    /// The record that made it known, in words; none while it is unknown.
    pub resolved: Option<Told>,
    /// How long that took, ns.
    pub lasted_ns: Option<i64>,
    /// How the order ended; none while it is live.
    pub end: Option<String>,
}

/// Commands of one person or program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Commander {
    /// Who.
    pub by: String,
    /// Commands given.
    pub commands: u64,
    /// Of them, refused.
    pub refused: u64,
}

/// A stretch of which something is missing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Missing {
    /// The record that tells of it.
    pub lsn: Lsn,
    /// What is missing.
    pub what: String,
    /// Its last moment.
    pub until: Moment,
    /// How long, ns; none where that is not known.
    pub lasted_ns: Option<i64>,
}

/// The report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Audit {
    /// The first record that counts; what lies before was folded only.
    pub first: Lsn,
    /// The last record read.
    pub last: Lsn,
    /// When the window begins; none when it holds no record.
    pub from: Option<Moment>,
    /// The time of the last record.
    pub until: Moment,
    /// Whether real money was traded.
    pub mode: Option<Mode>,
    /// The asset that money is counted in.
    pub quote: String,
    /// The digest of the state at the last record, hexadecimal.
    pub digest: String,
    /// The first damaged place; nothing behind it was read.
    pub hole: Option<String>,
    /// Intact records behind a gap, which were not folded.
    pub behind_gap: u64,
    /// The fold's sums.
    pub sums: Sums,
    /// Positions closed or restated in the window, and those open at its end, oldest first.
    pub positions: Vec<Position>,
    /// Older positions that are only in the shares.
    pub positions_more: u64,
    /// Profit by instrument.
    pub by_instrument: Vec<Share>,
    /// Profit by the reason of the exit.
    pub by_reason: Vec<Share>,
    /// Profit by what opened the position.
    pub by_source: Vec<Share>,
    /// Fees by asset.
    pub fees: Vec<Fees>,
    /// Executions whose fee is not known yet.
    pub fees_unknown: u64,
    /// The result over time.
    pub equity: Equity,
    /// Protection by instrument.
    pub protection: Vec<Cover>,
    /// Outcomes that were not known.
    pub unknown: Listed<Unknown>,
    /// Corrections and quarantines with their evidence.
    pub corrections: Listed<Told>,
    /// Differences that were seen at the venue, and settled ones.
    pub drifts: (u64, u64),
    /// Commands by who gave them.
    pub commanders: Vec<Commander>,
    /// The commands.
    pub commands: Listed<Told>,
    /// Refused entries by reason.
    pub refusals: Vec<Count>,
    /// Lines of signal sources that could not be used.
    pub signals_refused: u64,
    /// What is missing.
    pub gaps: Listed<Missing>,
    /// Anomalies by kind, whether noted or met by the fold.
    pub anomalies: Vec<Count>,
    /// Those that were noted.
    pub noted: Listed<Told>,
    /// Alarms, with how long each stood.
    pub alarms: Listed<Told>,
}

impl Audit {
    /// The report as one line of JSON. Money and quantities are strings.
    ///
    /// # Errors
    /// None that a caller can bring about: a value that JSON cannot spell.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Audits a journal from a point to another; without the first, from its first record. What lies before is folded as well,
/// since it says who opened what.
///
/// # Errors
/// [`ReadError`].
pub fn audit<R: StorageRead>(
    mut reading: Reading<R>,
    from: Option<Until>,
    until: Until,
    progress: &mut dyn FnMut(Lsn),
) -> Result<Audit, ReadError> {
    let mut gather = gather::Gather::default();
    if let Some(from) = from {
        let before = match from {
            Until::End => Until::End,
            Until::Lsn(lsn) | Until::Before(lsn) => Until::Before(lsn),
            Until::Time(at) => Until::Time(Timestamp(at.0.saturating_sub(1))),
        };
        run(&mut reading, before, &mut gather, progress)?;
    }
    gather.begin(&reading.state);
    run(&mut reading, until, &mut gather, progress)?;
    Ok(gather.finish(&reading))
}

fn run<R: StorageRead>(
    reading: &mut Reading<R>,
    until: Until,
    gather: &mut gather::Gather,
    progress: &mut dyn FnMut(Lsn),
) -> Result<(), ReadError> {
    let mut told = 0;
    while reading.step_batch(until, &mut |point, state| gather.see(point, state))? {
        if reading.state.lsn.0 - told >= PROGRESS_RECORDS {
            told = reading.state.lsn.0;
            progress(reading.state.lsn);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
