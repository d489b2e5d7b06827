//! What a file's own fills amount to: what is left of them, and what was earned, in two ways of counting.

use aegis_model::{ArithmeticError, Fixed, Money, Price, Quantity, Rounding, Side};
use std::collections::VecDeque;

/// One fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fill {
    pub(crate) side: Side,
    pub(crate) quantity: Quantity,
    pub(crate) price: Price,
}

/// What fills amount to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sums {
    /// Bought less sold; below zero when more was sold.
    pub(crate) net: Quantity,
    /// Realised, the first bought being sold first.
    pub(crate) fifo: Money,
    /// Realised at the average cost of what is held, as the engine counts.
    pub(crate) average: Money,
    /// What was sold without having been bought, in both ways.
    pub(crate) unbought: Quantity,
}

/// Sums fills in their order.
///
/// # Errors
/// [`ArithmeticError`] beyond the range of numbers.
pub(crate) fn sum(fills: &[Fill]) -> Result<Sums, ArithmeticError> {
    let mut sums = Sums::default();
    let mut lots: VecDeque<(Quantity, Price)> = VecDeque::new();
    let (mut held, mut cost) = (Quantity::ZERO, Money::ZERO);
    for fill in fills {
        let value = fill.price.times(fill.quantity, Rounding::HalfEven)?;
        match fill.side {
            Side::Buy => {
                sums.net = sums.net.plus(fill.quantity)?;
                lots.push_back((fill.quantity, fill.price));
                held = held.plus(fill.quantity)?;
                cost = cost.plus(value)?;
            }
            Side::Sell => {
                sums.net = sums.net.minus(fill.quantity)?;
                let sold = fill.quantity.min(held);
                sums.unbought = sums.unbought.plus(fill.quantity.minus(sold)?)?;
                let proceeds = fill.price.times(sold, Rounding::HalfEven)?;
                let mut bought = Money::ZERO;
                let mut rest = sold;
                while rest.is_positive() {
                    let Some((quantity, price)) = lots.pop_front() else { break };
                    let taken = quantity.min(rest);
                    bought = bought.plus(price.times(taken, Rounding::HalfEven)?)?;
                    rest = rest.minus(taken)?;
                    if quantity > taken {
                        lots.push_front((quantity.minus(taken)?, price));
                    }
                }
                sums.fifo = sums.fifo.plus(proceeds.minus(bought)?)?;
                let leaving = if sold == held { cost } else { cost.share(sold, held, Rounding::HalfEven)? };
                sums.average = sums.average.plus(proceeds.minus(leaving)?)?;
                held = held.minus(sold)?;
                cost = cost.minus(leaving)?;
            }
        }
    }
    Ok(sums)
}

/// Adds quantities; what is beyond the range stays where it is.
pub(crate) fn total(quantities: impl Iterator<Item = Quantity>) -> Quantity {
    quantities.fold(Quantity(Fixed::ZERO), |sum, quantity| sum.plus(quantity).unwrap_or(sum))
}
