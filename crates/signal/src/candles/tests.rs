//! Figures of candles against hand-computed examples and laws; helpers for the strategies' tests.
//!
//! It never reads a file.

use super::*;
use aegis_model::ids::SECOND;
use proptest::prelude::*;

const HOUR: i64 = 3_600 * SECOND;

/// Hourly candles with these closes, each a flat bar with volume 1.
pub(crate) fn closes(values: impl IntoIterator<Item = Fixed>) -> Vec<Candle> {
    let bar = |(hour, close): (usize, Fixed)| Candle {
        open_time: Timestamp(hour as i64 * HOUR),
        open: Price(close),
        high: Price(close),
        low: Price(close),
        close: Price(close),
        volume: Quantity::new(1, 0),
    };
    values.into_iter().enumerate().map(bar).collect()
}

fn bar(open_time: i64, ohlc: [i64; 4], volume: i64) -> Candle {
    let [open, high, low, close] = ohlc.map(|p| Price::new(p, 0));
    Candle { open_time: Timestamp(open_time), open, high, low, close, volume: Quantity::new(volume, 0) }
}

/// Candles of anything at all: any sign, any size, any order.
pub(crate) fn any_candles(most: usize) -> impl Strategy<Value = Vec<Candle>> {
    let number = prop_oneof![
        Just(Fixed::ZERO),
        Just(Fixed::MAX),
        Just(Fixed::MAX.negated()),
        Just(Fixed::STEP),
        any::<i64>().prop_map(|n| Fixed::new(n, 9)),
        (1i64..1_000_000).prop_map(|n| Fixed::new(n, 3)),
        any::<i128>().prop_map(|n| Fixed::from_units(n).unwrap_or(Fixed::MAX)),
    ];
    let candle = (any::<i64>(), prop::collection::vec(number, 5)).prop_map(|(time, n)| Candle {
        open_time: Timestamp(time),
        open: Price(n[0]),
        high: Price(n[1]),
        low: Price(n[2]),
        close: Price(n[3]),
        volume: Quantity(n[4]),
    });
    prop::collection::vec(candle, 0..most)
}

#[test]
fn atr_by_hand() {
    // True ranges: 4 (12-8), 5 (15-10), 10 (gap down: close 14 to low 4), 2.
    let candles = [
        bar(0, [10, 11, 9, 10], 1),
        bar(1, [10, 12, 8, 11], 1),
        bar(2, [11, 15, 10, 14], 1),
        bar(3, [6, 7, 4, 5], 1),
        bar(4, [5, 6, 4, 5], 1),
    ];
    assert_eq!(atr(&candles[..2], 2), None, "two true ranges need three candles");
    assert_eq!(atr(&candles[..3], 2), Some(Price::new(45, 1)), "(4 + 5) / 2");
    assert_eq!(atr(&candles[..4], 2), Some(Price::new(725, 2)), "(4.5 + 10) / 2");
    assert_eq!(atr(&candles, 2), Some(Price::new(4625, 3)), "(7.25 + 2) / 2");
    assert_eq!(atr(&candles, 4), Some(Price::new(525, 2)), "(4 + 5 + 10 + 2) / 4");
    assert_eq!(atr(&candles, 0), None);
    assert_eq!(atr(&candles, usize::MAX), None);
}

#[test]
fn change_counts_time_and_momentum_counts_candles() {
    let mut candles = closes([100, 110, 121].map(Fixed::from_int));
    assert_eq!(change(&candles, 2 * HOUR), Some(Rate::new(21, 2)));
    assert_eq!(change(&candles, HOUR), Some(Rate::new(1, 1)));
    assert_eq!(change(&candles, HOUR / 2), Some(Rate::new(1, 1)), "at least that old");
    assert_eq!(change(&candles, 3 * HOUR), None);
    assert_eq!(momentum(&candles, 2), Some(Rate::new(21, 2)));
    assert_eq!(momentum(&candles, 3), None);
    candles.remove(1);
    assert_eq!(change(&candles, HOUR), Some(Rate::new(21, 2)), "the last price known before the gap");
    candles[0].close = Price::ZERO;
    assert_eq!((change(&candles, HOUR), momentum(&candles, 1)), (None, None));
}

#[test]
fn days_by_hand() {
    let candles = [
        bar(DAY + 3 * HOUR, [10, 12, 9, 11], 1),
        bar(DAY + 23 * HOUR, [11, 15, 11, 14], 2),
        bar(3 * DAY, [20, 21, 5, 6], 4),
        bar(3 * DAY + 86 * 60 * SECOND, [6, 7, 6, 7], 8),
    ];
    let first = bar(DAY, [10, 15, 9, 14], 3);
    let second = bar(3 * DAY, [20, 21, 5, 7], 12);
    assert_eq!(days(&candles, Timestamp(2 * DAY - 1)), [], "the day has not ended");
    assert_eq!(days(&candles, Timestamp(2 * DAY)), [first]);
    assert_eq!(days(&candles, Timestamp(4 * DAY - 1)), [first]);
    assert_eq!(days(&candles, Timestamp(4 * DAY)), [first, second], "the day without candles is absent");
}

proptest! {
    #[test]
    fn no_figure_panics(candles in any_candles(40), n in 0usize..45, time in any::<i64>()) {
        let _ = momentum(&candles, n);
        let _ = change(&candles, time);
        let _ = days(&candles, Timestamp(time));
        if let Some(range) = atr(&candles, n) {
            prop_assert!(n > 0 && candles.len() > n);
            let tame = candles.iter().all(|c| c.low <= c.high);
            prop_assert!(!tame || !range.is_negative());
        }
    }

    #[test]
    fn atr_lies_between_the_smallest_and_the_largest_range(
        bars in prop::collection::vec((1i64..1000, 0i64..50), 3..40), period in 1usize..6,
    ) {
        let candles: Vec<Candle> =
            bars.iter().map(|(low, size)| bar(0, [*low, low + size, *low, *low], 1)).collect();
        let ranges: Vec<Fixed> = candles.windows(2).filter_map(|p| true_range(&p[0], &p[1])).collect();
        if let Some(Price(average)) = atr(&candles, period) {
            prop_assert!(ranges.iter().min() <= Some(&average));
            prop_assert!(Some(&average) <= ranges.iter().max());
        }
    }

    #[test]
    fn days_keep_volume_and_extremes(hours in prop::collection::btree_map(0i64..200, (1i64..100, 0i64..9), 0..90)) {
        let candles: Vec<Candle> =
            hours.iter().map(|(h, (p, v))| bar(h * HOUR, [*p, p + 1, *p, p + 1], *v)).collect();
        let days = days(&candles, Timestamp(i64::MAX));
        let volume = |c: &[Candle]| c.iter().map(|c| c.volume.0.units()).sum::<i128>();
        prop_assert_eq!(volume(&days), volume(&candles));
        prop_assert_eq!(days.iter().map(|c| c.high).max(), candles.iter().map(|c| c.high).max());
        prop_assert_eq!(days.iter().map(|c| c.low).min(), candles.iter().map(|c| c.low).min());
        prop_assert_eq!(days.last().map(|c| c.close), candles.last().map(|c| c.close));
        prop_assert!(days.windows(2).all(|d| d[0].open_time < d[1].open_time));
    }
}
