//! The prophet: where a 30-day average stands against a 60-day one, and whether the last month rose.
//!
//! It never weighs volume and never looks inside a day.

use crate::Forecast;
use crate::candles::{last, mean_close, momentum, ratio_less_one};
use aegis_model::event::Direction;
use aegis_model::{Candle, Rate};
use core::cmp::Ordering;

/// Daily candles that the prophet is shown; with fewer it says nothing.
pub const PROPHET_CANDLES: usize = 90;

/// Days of the short average and of the momentum.
const SHORT: usize = 30;
/// Days of the long average.
const LONG: usize = 60;
/// How far the averages must be apart to be a trend; reached counts.
const BAND: Rate = Rate::new(5, 2);

/// The prophet's five classes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outlook {
    /// The averages fell apart by 5 % or more, and the month fell.
    StrongBear,
    /// One of the two falls, the other is flat.
    Bear,
    /// Both flat, or they contradict each other.
    Neutral,
    /// One of the two rises, the other is flat.
    Bull,
    /// The averages rose apart by 5 % or more, and the month rose.
    StrongBull,
}

/// Daily candles, oldest first: the trend is +1 when SMA30 / SMA60 - 1 is at least 5 %, -1 when at most -5 %, else
/// 0; the momentum is the sign of close / (close 30 days back) - 1. Their sum, -2 to 2, is the class.
///
/// `None` with fewer than 90 candles, when a price it needs is not above zero, or when a figure is out of range.
pub fn outlook(candles: &[Candle]) -> Option<Outlook> {
    let window = last(candles, PROPHET_CANDLES)?;
    let apart = ratio_less_one(mean_close(window, SHORT)?, mean_close(window, LONG)?)?;
    let trend = i8::from(apart >= BAND) - i8::from(apart <= BAND.negated());
    let month = match momentum(window, SHORT)?.cmp(&Rate::ZERO) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    };
    Some(match trend + month {
        i8::MIN..=-2 => Outlook::StrongBear,
        -1 => Outlook::Bear,
        0 => Outlook::Neutral,
        1 => Outlook::Bull,
        2..=i8::MAX => Outlook::StrongBull,
    })
}

/// The [`outlook`] as a forecast: 0.85 for the strong classes, 0.65 for the plain ones, 0.5 for neutral.
pub fn prophet(candles: &[Candle]) -> Option<Forecast> {
    let (strong, plain) = (Rate::new(85, 2), Rate::new(65, 2));
    Some(match outlook(candles)? {
        Outlook::StrongBear => Forecast { direction: Direction::Down, confidence: strong },
        Outlook::Bear => Forecast { direction: Direction::Down, confidence: plain },
        Outlook::Neutral => Forecast::NEUTRAL,
        Outlook::Bull => Forecast { direction: Direction::Up, confidence: plain },
        Outlook::StrongBull => Forecast { direction: Direction::Up, confidence: strong },
    })
}

#[cfg(test)]
mod tests;
