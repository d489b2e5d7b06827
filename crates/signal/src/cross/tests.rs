//! The cross against hand-computed examples and its laws.
//!
//! It never reads a file.

use super::*;
use crate::Strategy;
use crate::candles::tests::{any_candles, closes};
use aegis_model::Fixed;
use proptest::prelude::*;

#[test]
fn by_hand() {
    // Means of 2 and 3 on the last candle, and one before.
    let rows: [(&[i64], Direction); 6] = [
        (&[10, 10, 10, 13], Direction::Up),      // 10 = 10, then 11.5 > 11
        (&[10, 10, 10, 7], Direction::Down),     // 10 = 10, then 8.5 < 9
        (&[10, 11, 12, 13], Direction::Neutral), // above, and still above
        (&[13, 12, 11, 10], Direction::Neutral),
        (&[12, 11, 10, 15], Direction::Up), // 10.5 < 11, then 12.5 > 12
        (&[10, 10, 10, 10], Direction::Neutral),
    ];
    for (prices, direction) in rows {
        let candles = closes(prices.iter().map(|p| Fixed::from_int(*p)));
        assert_eq!(cross(&candles, 2, 3).map(|f| f.direction), Some(direction), "{prices:?}");
        assert_eq!(cross(&candles[1..], 2, 3), None, "too few");
        for (fast, slow) in [(0, 3), (3, 3), (3, 2), (1, usize::MAX)] {
            assert_eq!(cross(&candles, fast, slow), None);
        }
    }
}

#[test]
fn strategies_have_their_names() {
    for name in ["oracle", "oracle-legacy", "prophet", "cross"] {
        let strategy = Strategy::from_name(name).unwrap();
        assert_eq!(strategy.name(), name);
        let mut candles = closes((1..=150).map(Fixed::from_int));
        candles.truncate(strategy.candles());
        assert_eq!(strategy.forecast(&candles).is_some(), candles.len() == strategy.candles());
        assert_eq!(strategy.forecast(&candles[1..]), None);
    }
    assert_eq!(Strategy::from_name("Oracle"), None);
}

proptest! {
    #[test]
    fn bounded_whatever_comes(candles in any_candles(20), fast in 0usize..8, slow in 0usize..20) {
        if let Some(f) = cross(&candles, fast, slow) {
            prop_assert!(f == Forecast::NEUTRAL || f.confidence == CROSS_CONFIDENCE);
        }
    }

    #[test]
    fn directions_alternate(prices in prop::collection::vec(1i64..50, 8..120)) {
        let candles = closes(prices.iter().map(|p| Fixed::from_int(*p)));
        let said = (5..=candles.len()).filter_map(|n| cross(&candles[..n], 2, 4)).map(|f| f.direction);
        let mut previous = Direction::Neutral;
        for direction in said.filter(|d| *d != Direction::Neutral) {
            // Averages may touch and part again on the same side, but then they were equal in between.
            if direction == previous {
                let touched = (4..=candles.len()).any(|n| compare(&candles[..n], 2, 4) == Some(Ordering::Equal));
                prop_assert!(touched);
            }
            previous = direction;
        }
    }
}
