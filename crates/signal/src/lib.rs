//! Reference strategies as pure functions: closed candles in, a direction with a confidence out.
//!
//! Everything is computed in fixed point and rounded half-even at the 18th digit, so a forecast is the same on
//! every machine. It never reads a clock, keeps a memory, does I/O or touches a float; whoever calls decides
//! which candles are closed and what a forecast is worth.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

pub mod candles;
mod cross;
mod oracle;
mod prophet;

pub use candles::{atr, change, days, momentum};
pub use cross::{CROSS_CONFIDENCE, cross};
pub use oracle::{ORACLE_CANDLES, oracle, oracle_legacy, volume_trend};
pub use prophet::{Outlook, PROPHET_CANDLES, outlook, prophet};

use aegis_model::event::Direction;
use aegis_model::ids::{DAY, SECOND};
use aegis_model::{Candle, Rate};

/// What a strategy makes of the candles it was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// Where it points.
    pub direction: Direction,
    /// How sure it is, 0..=1; 0.5 is a coin.
    pub confidence: Rate,
}

impl Forecast {
    /// Nothing to say.
    pub const NEUTRAL: Forecast = Forecast { direction: Direction::Neutral, confidence: Rate::new(5, 1) };
}

/// A reference strategy by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// [`oracle`].
    Oracle,
    /// [`oracle_legacy`].
    OracleLegacy,
    /// [`prophet`].
    Prophet,
    /// [`cross`] of two averages.
    Cross {
        /// Candles of the fast average.
        fast: usize,
        /// Candles of the slow average.
        slow: usize,
    },
}

impl Strategy {
    /// The strategy with this name; `cross` gets 10 and 30 candles.
    pub fn from_name(name: &str) -> Option<Strategy> {
        match name {
            "oracle" => Some(Strategy::Oracle),
            "oracle-legacy" => Some(Strategy::OracleLegacy),
            "prophet" => Some(Strategy::Prophet),
            "cross" => Some(Strategy::Cross { fast: 10, slow: 30 }),
            _ => None,
        }
    }

    /// Its name, which is also the signal source that its forecasts come from.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Oracle => "oracle",
            Strategy::OracleLegacy => "oracle-legacy",
            Strategy::Prophet => "prophet",
            Strategy::Cross { .. } => "cross",
        }
    }

    /// How many closed candles it looks at; with fewer it says nothing, more change nothing.
    pub const fn candles(self) -> usize {
        match self {
            Strategy::Oracle | Strategy::OracleLegacy => ORACLE_CANDLES,
            Strategy::Prophet => PROPHET_CANDLES,
            Strategy::Cross { slow, .. } => slow.saturating_add(1),
        }
    }

    /// The interval of the candles it is made for, ns: a day for the prophet, an hour for the others.
    pub const fn interval_ns(self) -> i64 {
        match self {
            Strategy::Prophet => DAY,
            Strategy::Oracle | Strategy::OracleLegacy | Strategy::Cross { .. } => 3_600 * SECOND,
        }
    }

    /// What it makes of these candles, oldest first; `None` as its function documents.
    pub fn forecast(self, candles: &[Candle]) -> Option<Forecast> {
        match self {
            Strategy::Oracle => oracle(candles),
            Strategy::OracleLegacy => oracle_legacy(candles),
            Strategy::Prophet => prophet(candles),
            Strategy::Cross { fast, slow } => cross(candles, fast, slow),
        }
    }
}
