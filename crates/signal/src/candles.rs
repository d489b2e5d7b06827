//! Figures of a run of closed candles, oldest first: changes, means, true range, days.
//!
//! It never judges them; a figure that cannot be had exactly is `None`, never a guess.

use aegis_model::ids::{DAY, Timestamp};
use aegis_model::{Candle, Fixed, Price, Quantity, Rate, Rounding};
use alloc::vec::Vec;

/// The last `n` candles, when there are as many.
pub(crate) fn last(candles: &[Candle], n: usize) -> Option<&[Candle]> {
    candles.get(candles.len().checked_sub(n)?..)
}

/// `value / base - 1`, rounded half-even; `None` unless the base is above zero and the result in range.
pub(crate) fn ratio_less_one(value: Fixed, base: Fixed) -> Option<Rate> {
    if !base.is_positive() {
        return None;
    }
    value.minus(base).ok()?.over(base, Rounding::HalfEven).ok().map(Rate)
}

/// The sum of the last `n` closes.
pub(crate) fn sum_close(candles: &[Candle], n: usize) -> Option<Fixed> {
    last(candles, n)?.iter().try_fold(Fixed::ZERO, |sum, c| sum.plus(c.close.0).ok())
}

/// The mean of the last `n` closes, n above zero.
pub(crate) fn mean_close(candles: &[Candle], n: usize) -> Option<Fixed> {
    let sum = sum_close(candles, n)?;
    sum.over(Fixed::from_int(i64::try_from(n).ok()?), Rounding::HalfEven).ok()
}

/// The last close against the close `back` candles before it: `close / earlier - 1`.
///
/// `None` with fewer than `back + 1` candles, when either price is not above zero, or out of range.
pub fn momentum(candles: &[Candle], back: usize) -> Option<Rate> {
    let window = last(candles, back.checked_add(1)?)?;
    let (earlier, close) = (window.first()?.close.0, window.last()?.close.0);
    if close.is_positive() { ratio_less_one(close, earlier) } else { None }
}

/// The last close against the latest close that is at least `window_ns` older: `close / earlier - 1`.
///
/// Counted in time and not in candles, so that a gap in the feed does not stretch the window unseen: with a gap
/// the earlier price is the last one known before it. `None` when no candle is that old, when either price is not
/// above zero, or out of range.
pub fn change(candles: &[Candle], window_ns: i64) -> Option<Rate> {
    let latest = candles.last()?;
    let before = latest.open_time.after(window_ns.checked_neg()?);
    let earlier = candles.iter().rev().find(|c| c.open_time <= before)?;
    if latest.close.is_positive() { ratio_less_one(latest.close.0, earlier.close.0) } else { None }
}

/// Wilder's average true range (semantics rule 27; J. W. Wilder, *New Concepts in Technical Trading Systems*, 1978).
///
/// The first average is the mean of the first `period` true ranges, each later one
/// `(average * (period - 1) + range) / period`, rounded half-even. A true range needs the close before it, so
/// `period + 1` candles are the least. The average remembers all candles it is given: the same figure needs the
/// same run of candles.
///
/// `None` with fewer candles, a period of zero, or out of range.
pub fn atr(candles: &[Candle], period: usize) -> Option<Price> {
    if period == 0 || candles.len() <= period {
        return None;
    }
    let count = i128::try_from(period).ok()?;
    let divisor = Fixed::from_int(i64::try_from(period).ok()?);
    let mean = |units: i128| Fixed::from_units(units)?.over(divisor, Rounding::HalfEven).ok();
    let mut ranges = candles.windows(2).map(|pair| true_range(&pair[0], &pair[1]));
    let mut sum = 0i128;
    for range in ranges.by_ref().take(period) {
        sum = sum.checked_add(range?.units())?;
    }
    let mut average = mean(sum)?;
    for range in ranges {
        let kept = average.units().checked_mul(count - 1)?;
        average = mean(kept.checked_add(range?.units())?)?;
    }
    Some(Price(average))
}

/// The greatest of high - low, |high - previous close| and |low - previous close|.
fn true_range(previous: &Candle, candle: &Candle) -> Option<Fixed> {
    let (high, low, close) = (candle.high.0, candle.low.0, previous.close.0);
    let inside = high.minus(low).ok()?;
    Some(inside.max(high.minus(close).ok()?.abs()).max(low.minus(close).ok()?.abs()))
}

/// Candles of a shorter interval joined into candles of UTC days, only those days that had ended by `until`.
///
/// A day takes the candles that opened in it, opens at its midnight whenever its first candle did, and counts as
/// ended whatever is missing from it: a day without candles is absent, as in the feed. Candles must be in order of
/// time. A volume beyond the range of numbers stays at the largest.
pub fn days(candles: &[Candle], until: Timestamp) -> Vec<Candle> {
    let mut days: Vec<Candle> = Vec::new();
    let ended = candles.iter().take_while(|c| c.open_time.utc_day() < until.utc_day());
    for candle in ended {
        let midnight = Timestamp(candle.open_time.utc_day().saturating_mul(DAY));
        match days.last_mut().filter(|day| day.open_time == midnight) {
            Some(day) => {
                day.high = day.high.max(candle.high);
                day.low = day.low.min(candle.low);
                day.close = candle.close;
                day.volume = day.volume.plus(candle.volume).unwrap_or(Quantity(Fixed::MAX));
            }
            None => days.push(Candle { open_time: midnight, ..*candle }),
        }
    }
    days
}

#[cfg(test)]
pub(crate) mod tests;
