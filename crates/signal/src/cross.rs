//! The moving-average cross: a signal on the candle at which the fast average passes the slow one.
//!
//! It never repeats itself while the averages stay on the same sides.

use crate::Forecast;
use crate::candles::{last, sum_close};
use aegis_model::event::Direction;
use aegis_model::{Candle, Rate};
use core::cmp::Ordering;

/// The confidence of a cross.
pub const CROSS_CONFIDENCE: Rate = Rate::new(8, 1);

/// Candles, oldest first: up when the mean of the last `fast` closes is above that of the last `slow` and was not
/// one candle ago, down in the mirrored case, both with 0.8; else neutral. The means are compared exactly.
///
/// `None` with fewer than `slow + 1` candles, unless `0 < fast < slow`, or when a sum is out of range.
pub fn cross(candles: &[Candle], fast: usize, slow: usize) -> Option<Forecast> {
    if fast == 0 || fast >= slow {
        return None;
    }
    let window = last(candles, slow.checked_add(1)?)?;
    let now = compare(window, fast, slow)?;
    let before = compare(&window[..slow], fast, slow)?;
    let direction = match (before, now) {
        (Ordering::Less | Ordering::Equal, Ordering::Greater) => Direction::Up,
        (Ordering::Greater | Ordering::Equal, Ordering::Less) => Direction::Down,
        (Ordering::Less, Ordering::Less)
        | (Ordering::Greater, Ordering::Greater)
        | (Ordering::Less | Ordering::Equal | Ordering::Greater, Ordering::Equal) => {
            return Some(Forecast::NEUTRAL);
        }
    };
    Some(Forecast { direction, confidence: CROSS_CONFIDENCE })
}

/// How the mean of the last `fast` closes stands to the mean of the last `slow`: sums multiplied crosswise.
fn compare(candles: &[Candle], fast: usize, slow: usize) -> Option<Ordering> {
    let fast_sum = sum_close(candles, fast)?.units().checked_mul(i128::try_from(slow).ok()?)?;
    let slow_sum = sum_close(candles, slow)?.units().checked_mul(i128::try_from(fast).ok()?)?;
    Some(fast_sum.cmp(&slow_sum))
}

#[cfg(test)]
mod tests;
