//! The oracle: short momentum, volume and the last return weighed into one score.
//!
//! Two spellings exist. `oracle_legacy` adds the volume trend as it is, so a doubled volume alone (0.3) outweighs
//! any ordinary return and the confidence sticks at its ceiling; it is kept to reproduce old records. `oracle`
//! bounds it. Neither ever looks further back than its last 21 candles or keeps anything between calls.

use crate::Forecast;
use crate::candles::{last, momentum, ratio_less_one};
use aegis_model::event::Direction;
use aegis_model::{Candle, Fixed, Rate, Rounding};

/// Hourly candles that an oracle is shown; with fewer it says nothing.
pub const ORACLE_CANDLES: usize = 100;

/// Candles of the momentum and of each half of the volume trend.
const SPAN: usize = 10;
/// Weight of the momentum.
const MOMENTUM: Fixed = Fixed::new(4, 1);
/// Weight of the volume term.
const VOLUME: Fixed = Fixed::new(3, 1);
/// Weight of the last return.
const RETURN: Fixed = Fixed::new(3, 1);
/// Scores nearer to zero than this are neutral.
const NEUTRAL_BELOW: Fixed = Fixed::new(1, 3);
/// The score from which on the confidence stays at 0.95, since 0.5 + 50 * 0.009 = 0.95.
const SURE_FROM: Fixed = Fixed::new(9, 3);

/// Hourly candles, oldest first: `score = 0.4 m + 0.3 m v + 0.3 r` with m the [`momentum`] over 10 candles, v the
/// [`volume_trend`] clamped to -1..=1 and r the last return.
///
/// The volume trend scales the momentum instead of standing beside it: the term is return-sized, its size is at
/// most |m|, and since |v| <= 1 the momentum's whole share lies between 0.1 m and 0.7 m. Volume thus strengthens
/// or weakens a direction and never makes one. |score| below 0.001 is neutral with 0.5; otherwise up or down
/// with confidence `min(0.5 + 50 |score|, 0.95)`.
///
/// `None` with fewer than 100 candles, when a price it needs is not above zero, or when a figure is out of range.
pub fn oracle(candles: &[Candle]) -> Option<Forecast> {
    judge(candles, |m, v| {
        let bounded = v.0.clamp(Fixed::ONE.negated(), Fixed::ONE);
        m.0.times(bounded, Rounding::HalfEven).ok()
    })
}

/// The oracle as it was first written: `score = 0.4 m + 0.3 v + 0.3 r` with the volume trend v unscaled. It
/// saturates: volume that moves by 3 % reaches the ceiling by itself. The rest is as in [`oracle`].
pub fn oracle_legacy(candles: &[Candle]) -> Option<Forecast> {
    judge(candles, |_, v| Some(v.0))
}

/// Sum of the last 10 volumes over the sum of the 10 before, less one. Zero when the earlier ones are not above
/// zero, since then there is nothing to compare with. `None` with fewer than 20 candles or out of range.
pub fn volume_trend(candles: &[Candle]) -> Option<Rate> {
    let (earlier, later) = last(candles, 2 * SPAN)?.split_at(SPAN);
    let sum = |part: &[Candle]| part.iter().try_fold(Fixed::ZERO, |sum, c| sum.plus(c.volume.0).ok());
    let (earlier, later) = (sum(earlier)?, sum(later)?);
    if earlier.is_positive() { ratio_less_one(later, earlier) } else { Some(Rate::ZERO) }
}

fn judge(candles: &[Candle], volume_term: impl Fn(Rate, Rate) -> Option<Fixed>) -> Option<Forecast> {
    let window = last(candles, ORACLE_CANDLES)?;
    let m = momentum(window, SPAN)?;
    let terms =
        [(MOMENTUM, m.0), (VOLUME, volume_term(m, volume_trend(window)?)?), (RETURN, momentum(window, 1)?.0)];
    let score = terms.iter().try_fold(Fixed::ZERO, |sum, (weight, term)| {
        sum.plus(weight.times(*term, Rounding::HalfEven).ok()?).ok()
    })?;
    forecast(score)
}

fn forecast(score: Fixed) -> Option<Forecast> {
    let size = score.abs();
    if size < NEUTRAL_BELOW {
        return Some(Forecast::NEUTRAL);
    }
    let above = size.min(SURE_FROM).times(Fixed::from_int(50), Rounding::HalfEven).ok()?;
    let confidence = Forecast::NEUTRAL.confidence.plus(Rate(above)).ok()?;
    let direction = if score.is_positive() { Direction::Up } else { Direction::Down };
    Some(Forecast { direction, confidence })
}

#[cfg(test)]
mod tests;
