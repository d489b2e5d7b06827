//! Where outcomes differ, and why one has a position that the other lacks, on outcomes made by hand.

use super::{Figures, Outcome, differences};
use aegis_forensics::audit::{Moment, Position};
use aegis_model::ids::SECOND;
use aegis_model::{Lsn, Money, Quantity, Timestamp};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600 * SECOND;

/// A position that was held for the hour before this one.
fn position(hour: i64) -> Position {
    Position {
        instrument: "BTC_USDT".to_owned(),
        cycle: 1,
        opened: Moment(Timestamp((hour - 1) * HOUR)),
        closed: Some(Moment(Timestamp(hour * HOUR - 1))),
        bought: Quantity::ZERO,
        buy_value: Money::ZERO,
        sold: Quantity::ZERO,
        sell_value: Money::ZERO,
        quote_fees: Money::ZERO,
        base_fees: Quantity::ZERO,
        profit: Money::ZERO,
        before: Money::ZERO,
        rate: None,
        dust: Quantity::ZERO,
        reason: None,
        source: "a test".to_owned(),
        restated: 0,
        lsn: Lsn(1),
        chart: None,
    }
}

/// An outcome with the positions of these hours, and so many that are only in its figures.
fn outcome(hours: &[i64], more: u64, refused: &[i64]) -> Outcome {
    let refusals = refused.iter().map(|hour| (Timestamp((hour - 1) * HOUR), "a reason".to_owned()));
    Outcome {
        figures: Figures::default(),
        positions: hours.iter().map(|hour| position(*hour)).collect(),
        more,
        refusals: BTreeMap::from([("BTC_USDT".to_owned(), refusals.collect())]),
    }
}

#[test]
fn a_position_that_the_other_side_kept_in_its_sums_only_is_not_told_as_not_entered() {
    let whole = outcome(&[10, 20, 30, 40], 0, &[]);
    let told = |other: &Outcome| -> Vec<Option<String>> {
        differences(&whole, other, 0).into_iter().map(|difference| difference.why).collect()
    };
    let sums = Some("in the sums only, with what is older".to_owned());
    assert_eq!(told(&outcome(&[30], 7, &[])), [sums.clone(), sums.clone(), None], "40 was not entered");
    assert_eq!(told(&outcome(&[], 7, &[])), [sums.clone(), sums.clone(), sums.clone(), sums.clone()]);
    assert_eq!(told(&outcome(&[30], 0, &[])), [None, None, None]);
    let refused = Some("refused: a reason".to_owned());
    assert_eq!(told(&outcome(&[30], 7, &[20])), [sums, refused, None], "what is known is told");
}

#[test]
fn a_restated_position_is_compared_by_its_profit_since_its_sums_are_as_they_were_told() {
    let with = |quote_fees: Money, restated: u32| {
        let mut outcome = outcome(&[10], 0, &[]);
        (outcome.positions[0].quote_fees, outcome.positions[0].restated) = (quote_fees, restated);
        outcome
    };
    let (fee, none) = (Money::new(1, 0), Money::ZERO);
    assert_eq!(differences(&with(fee, 0), &with(none, 0), 0).len(), 1);
    assert_eq!(differences(&with(fee, 0), &with(none, 1), 0).len(), 0);
    let mut other = with(none, 1);
    other.positions[0].profit = fee;
    assert_eq!(differences(&with(fee, 0), &other, 0).len(), 1);
}
