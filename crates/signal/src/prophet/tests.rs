//! The prophet's classes against hand-computed examples and their laws.
//!
//! It never reads a file.

use super::*;
use crate::candles::tests::{any_candles, closes};
use aegis_model::Fixed;
use alloc::vec::Vec;
use proptest::prelude::*;

/// 30 days at 1000, 30 at `first`, 29 at `second`, and the last close.
fn run(first: i64, second: i64, close: i64) -> Vec<Candle> {
    let price = move |day| match day {
        0..30 => 1000,
        30..60 => first,
        60..89 => second,
        _ => close,
    };
    closes((0..90).map(move |day| Fixed::from_int(price(day))))
}

#[test]
fn by_hand() {
    let rows = [
        // SMA30 1200, SMA60 1100: +9.1 %; the month +20 %.
        (run(1000, 1200, 1200), Outlook::StrongBull, Direction::Up, "0.85"),
        // SMA30 1010, SMA60 1005: flat; +1 %.
        (run(1000, 1010, 1010), Outlook::Bull, Direction::Up, "0.65"),
        (run(1000, 1000, 1000), Outlook::Neutral, Direction::Neutral, "0.5"),
        // SMA30 (29 * 1200 + 990) / 30 = 1193, SMA60 1096.5: +8.8 %; the month -1 %.
        (run(1000, 1200, 990), Outlook::Neutral, Direction::Neutral, "0.5"),
        // SMA30 (29 * 1200 + 1000) / 30: up; the month is flat.
        (run(1000, 1200, 1000), Outlook::Bull, Direction::Up, "0.65"),
        (run(1000, 990, 990), Outlook::Bear, Direction::Down, "0.65"),
        // SMA30 800, SMA60 900: -11 %; the month -20 %.
        (run(1000, 800, 800), Outlook::StrongBear, Direction::Down, "0.85"),
        // SMA30 1050, SMA60 1000 exactly: reached counts.
        (run(950, 1050, 1050), Outlook::StrongBull, Direction::Up, "0.85"),
        (run(1050, 950, 950), Outlook::StrongBear, Direction::Down, "0.85"),
    ];
    for (candles, class, direction, confidence) in rows {
        assert_eq!(outlook(&candles), Some(class));
        let forecast = Forecast { direction, confidence: confidence.parse().unwrap() };
        assert_eq!(prophet(&candles), Some(forecast));
        assert_eq!(prophet(&candles[1..]), None, "too few");
    }
}

proptest! {
    #[test]
    fn bounded_whatever_comes(candles in any_candles(100)) {
        if let Some(f) = prophet(&candles) {
            prop_assert!(candles.len() >= PROPHET_CANDLES);
            prop_assert!(f.confidence >= Rate::new(5, 1) && f.confidence <= Rate::ONE);
        }
    }

    #[test]
    fn a_higher_close_never_points_lower(days in prop::collection::vec(1i64..100_000, 90), up in 0i64..100_000) {
        let low = closes(days.iter().map(|p| Fixed::from_int(*p)));
        let mut high = low.clone();
        high[89].close = high[89].close.plus(aegis_model::Price::new(up, 0)).unwrap();
        prop_assert!(outlook(&low) <= outlook(&high));
    }
}
