//! The oracles against hand-computed examples and their laws.
//!
//! It never reads a file.

use super::*;
use crate::candles::tests::{any_candles, closes};
use aegis_model::Quantity;
use alloc::vec::Vec;
use proptest::prelude::*;

fn volumes(mut candles: Vec<Candle>, earlier: i64, later: i64) -> Vec<Candle> {
    let n = candles.len();
    candles[n - 20..n - 10].iter_mut().for_each(|c| c.volume = Quantity::new(earlier, 0));
    candles[n - 10..].iter_mut().for_each(|c| c.volume = Quantity::new(later, 0));
    candles
}

/// 100 candles at 100.000 whose close before the last and last close are these thousandths.
fn ending(previous: i64, close: i64) -> Vec<Candle> {
    closes((0..100).map(|i| {
        Fixed::new(
            if i == 99 {
                close
            } else if i == 98 {
                previous
            } else {
                100_000
            },
            3,
        )
    }))
}

fn check(candles: &[Candle], oracle_says: &str, legacy_says: &str) {
    let spell = |f: Option<Forecast>| f.map(|f| alloc::format!("{} {}", f.direction, f.confidence));
    assert_eq!(spell(oracle(candles)).as_deref(), Some(oracle_says), "oracle");
    assert_eq!(spell(oracle_legacy(candles)).as_deref(), Some(legacy_says), "legacy");
}

#[test]
fn by_hand() {
    // m = r = 0.01, v = 0: score 0.004 + 0.003 = 0.007.
    check(&ending(100_000, 101_000), "up 0.85", "up 0.85");
    check(&ending(100_000, 99_000), "down 0.85", "down 0.85");
    // v = 1: 0.004 + 0.003 + 0.003 = 0.01 is beyond 0.009; the legacy has 0.307.
    check(&volumes(ending(100_000, 101_000), 1, 2), "up 0.95", "up 0.95");
    // v = -1: 0.004 - 0.003 + 0.003 = 0.004; the legacy has -0.293 and turns the direction round.
    check(&volumes(ending(100_000, 101_000), 1, 0), "up 0.7", "down 0.95");
    // m = 0.002, r = 0: 0.0008 is neutral; doubled volume makes it 0.0014.
    check(&ending(100_200, 100_200), "neutral 0.5", "neutral 0.5");
    check(&volumes(ending(100_200, 100_200), 3, 6), "up 0.57", "up 0.95");
    // Volume alone: the legacy invents a direction out of it.
    check(&volumes(ending(100_000, 100_000), 1, 5), "neutral 0.5", "up 0.95");
    // The edge of the band: m = 0.0025, r = 0 is exactly 0.001, not neutral.
    check(&ending(100_250, 100_250), "up 0.55", "up 0.55");
    check(&ending(99_750, 99_750), "down 0.55", "down 0.55");
    check(&ending(100_249, 100_249), "neutral 0.5", "neutral 0.5");
}

#[test]
fn too_few_or_unusable() {
    let candles = ending(100_000, 101_000);
    assert_eq!((oracle(&candles[1..]), oracle_legacy(&[])), (None, None));
    let mut zero = candles.clone();
    zero[89].close = aegis_model::Price::ZERO;
    assert_eq!((oracle(&zero), oracle_legacy(&zero)), (None, None));
    assert_eq!(volume_trend(&volumes(candles.clone(), 0, 7)), Some(Rate::ZERO));
    assert_eq!(volume_trend(&candles[..19]), None);
}

proptest! {
    #[test]
    fn bounded_whatever_comes(candles in any_candles(110)) {
        for f in [oracle(&candles), oracle_legacy(&candles)].into_iter().flatten() {
            prop_assert!(candles.len() >= ORACLE_CANDLES);
            let neutral = f == Forecast::NEUTRAL;
            let sided = f.direction != Direction::Neutral
                && f.confidence >= Rate::new(55, 2) && f.confidence <= Rate::new(95, 2);
            prop_assert!(neutral || sided);
        }
    }

    #[test]
    fn the_last_hundred_decide(prices in prop::collection::vec(1i64..2_000_000, 100..130)) {
        let candles = closes(prices.into_iter().map(|p| Fixed::new(p, 2)));
        prop_assert_eq!(oracle(&candles), oracle(&candles[candles.len() - 100..]));
    }

    #[test]
    fn a_higher_close_never_points_lower(a in 90_000i64..110_000, b in 90_000i64..110_000, v in 0i64..40) {
        let signed = |f: Option<Forecast>| f.map(|f| match f.direction {
            Direction::Up => f.confidence.0.units(),
            Direction::Down => -f.confidence.0.units(),
            Direction::Neutral => 0,
        });
        let (low, high) = (a.min(b), a.max(b));
        let (low, high) = (volumes(ending(100_000, low), 10, v), volumes(ending(100_000, high), 10, v));
        prop_assert!(signed(oracle(&low)) <= signed(oracle(&high)));
    }

    #[test]
    fn volume_never_turns_the_momentum(close in 90_000i64..110_000, earlier in 0i64..50, later in 0i64..50) {
        // The last return is zero: the direction is the momentum's or none.
        let f = oracle(&volumes(ending(close, close), earlier, later)).unwrap();
        let wrong = if close >= 100_000 { Direction::Down } else { Direction::Up };
        prop_assert_ne!(f.direction, wrong);
    }
}
