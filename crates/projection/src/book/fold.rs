//! One entry further: the arithmetic of a holding.
//!
//! Every sum that conservation needs moves with its counterpart in the same step; a step that would overflow leaves
//! an error and a holding to be thrown away. It never sees the list of entries.

use super::{Change, Entry, Exact, Execution, Holding};
use aegis_model::Rounding;
use aegis_model::ids::Timestamp;
use aegis_model::money::{Money, Price, Quantity};

/// Part of the waiting sells.
struct Waiting {
    quantity: Quantity,
    base_fees: Quantity,
    value: Money,
    fees: Money,
}

impl Holding {
    /// Whether something is held.
    pub const fn is_open(&self) -> bool {
        self.held.is_positive()
    }

    /// cost / gross: price only, no fees (semantics rule 10). None while nothing is held.
    pub fn entry_price(&self) -> Option<Price> {
        if self.is_open() { self.cost.per(self.gross, Rounding::HalfEven).ok() } else { None }
    }

    /// One entry further; true when a cycle ends with it.
    pub(super) fn step(&mut self, entry: &Entry) -> Exact<bool> {
        let time = entry.time;
        match entry.change {
            Change::Buy(x) => self.buy(&x, time),
            Change::Sell(x) => self.sell(&x, time),
            Change::FeeDrain(quantity) => {
                if self.is_open() {
                    self.drain(quantity)?;
                    self.last = self.last.max(time);
                }
                self.lost_to_fees()
            }
            Change::Adopted { quantity, cost, explained, .. } => {
                let entering = quantity.minus(explained)?;
                if !entering.is_positive() {
                    return Ok(false);
                }
                let cost = cost.share(entering, quantity, Rounding::HalfEven)?;
                self.enter(time);
                self.add(entering, cost)?;
                self.corrections = self.corrections.plus(cost)?;
                self.match_waiting(time)
            }
            Change::DustIn { quantity, cost } => {
                let whole = quantity >= self.dust_left;
                let quantity = quantity.min(self.dust_left);
                if !quantity.is_positive() {
                    return Ok(false);
                }
                let cost = if whole { self.dust_cost } else { cost.min(self.dust_cost) };
                self.enter(time);
                self.dust_left = self.dust_left.minus(quantity)?;
                self.dust_cost = self.dust_cost.minus(cost)?;
                self.add(quantity, cost)?;
                self.match_waiting(time)
            }
            Change::CostSet(average) => {
                if self.is_open() {
                    let cost = average.times(self.gross, Rounding::HalfEven)?;
                    self.corrections = self.corrections.plus(cost.minus(self.cost)?)?;
                    self.cost = cost;
                }
                Ok(false)
            }
            Change::Missing { quantity, explained } => {
                let taken = quantity.minus(explained)?.min(self.held);
                if !taken.is_positive() {
                    return Ok(false);
                }
                let cost = self.shrink(taken)?;
                self.lost = self.lost.plus(taken)?;
                self.corrections = self.corrections.minus(cost)?;
                Ok(self.left(time))
            }
            Change::DustOut(quantity) => {
                let taken = quantity.min(self.held);
                if !taken.is_positive() {
                    return Ok(false);
                }
                let cost = self.shrink(taken)?;
                self.dust = self.dust.plus(taken)?;
                self.dust_left = self.dust_left.plus(taken)?;
                self.dust_cost = self.dust_cost.plus(cost)?;
                Ok(self.left(time))
            }
            Change::Excess(quantity) => {
                let gone = self.take_waiting(quantity)?;
                self.received_total = self.received_total.plus(gone.value)?;
                self.paid_total = self.paid_total.plus(gone.fees)?;
                self.fees_total = self.fees_total.plus(gone.fees)?;
                self.corrections = self.corrections.plus(gone.value.minus(gone.fees)?)?;
                Ok(false)
            }
        }
    }

    fn buy(&mut self, x: &Execution, time: Timestamp) -> Exact<bool> {
        self.enter(time);
        self.held = self.held.plus(x.quantity)?;
        self.gross = self.gross.plus(x.quantity)?;
        self.cost = self.cost.plus(x.value)?;
        self.bought = self.bought.plus(x.quantity)?;
        self.buy_value = self.buy_value.plus(x.value)?;
        self.entry_fees = self.entry_fees.plus(x.quote_fee)?;
        self.paid_total = self.paid_total.plus(x.value)?;
        self.pay_fee(x.quote_fee)?;
        self.drain(x.base_fee)?;
        if self.lost_to_fees()? {
            return Ok(true);
        }
        self.match_waiting(time)
    }

    /// What is held goes; what is not there yet waits for the next additions (semantics rule 2). A base fee leaves
    /// with the sale.
    fn sell(&mut self, x: &Execution, time: Timestamp) -> Exact<bool> {
        let half = Rounding::HalfEven;
        let leaving = x.quantity.plus(x.base_fee)?;
        let quantity = leaving.min(self.held);
        let now = if quantity == leaving {
            Waiting { quantity, base_fees: x.base_fee, value: x.value, fees: x.quote_fee }
        } else {
            Waiting {
                quantity,
                base_fees: x.base_fee.share(quantity, leaving, half)?,
                value: x.value.share(quantity, leaving, half)?,
                fees: x.quote_fee.share(quantity, leaving, half)?,
            }
        };
        self.waiting = self.waiting.plus(leaving.minus(now.quantity)?)?;
        self.waiting_base_fees = self.waiting_base_fees.plus(x.base_fee.minus(now.base_fees)?)?;
        self.waiting_value = self.waiting_value.plus(x.value.minus(now.value)?)?;
        self.waiting_fees = self.waiting_fees.plus(x.quote_fee.minus(now.fees)?)?;
        self.deliver(&now, time)
    }

    /// A cycle begins with the first addition from flat.
    fn enter(&mut self, time: Timestamp) {
        if self.is_open() {
            self.last = self.last.max(time);
            return;
        }
        *self = Holding {
            cycle: self.cycle.saturating_add(1),
            opened: time,
            last: time,
            waiting: self.waiting,
            waiting_base_fees: self.waiting_base_fees,
            waiting_value: self.waiting_value,
            waiting_fees: self.waiting_fees,
            realised_total: self.realised_total,
            corrections: self.corrections,
            paid_total: self.paid_total,
            received_total: self.received_total,
            fees_total: self.fees_total,
            dust_left: self.dust_left,
            dust_cost: self.dust_cost,
            ..Holding::default()
        };
    }

    /// Something enters without a buy.
    fn add(&mut self, quantity: Quantity, cost: Money) -> Exact<()> {
        self.held = self.held.plus(quantity)?;
        self.gross = self.gross.plus(quantity)?;
        self.cost = self.cost.plus(cost)?;
        self.entered = self.entered.plus(quantity)?;
        Ok(())
    }

    fn pay_fee(&mut self, fee: Money) -> Exact<()> {
        self.quote_fees = self.quote_fees.plus(fee)?;
        self.fees_total = self.fees_total.plus(fee)?;
        self.paid_total = self.paid_total.plus(fee)?;
        self.book_profit(fee.negated())
    }

    fn book_profit(&mut self, profit: Money) -> Exact<()> {
        self.realised = self.realised.plus(profit)?;
        self.realised_total = self.realised_total.plus(profit)?;
        Ok(())
    }

    /// A base fee lowers what is held, not the gross quantity and not the cost; never below zero.
    fn drain(&mut self, fee: Quantity) -> Exact<()> {
        let taken = fee.min(self.held);
        self.held = self.held.minus(taken)?;
        self.base_fees = self.base_fees.plus(taken)?;
        Ok(())
    }

    /// When fees took all that was held, its cost is lost with it and the cycle has ended.
    fn lost_to_fees(&mut self) -> Exact<bool> {
        if self.held.is_positive() || (self.gross.is_zero() && self.cost.is_zero()) {
            return Ok(false);
        }
        self.book_profit(self.cost.negated())?;
        self.cost = Money::ZERO;
        self.gross = Quantity::ZERO;
        Ok(true)
    }

    /// Takes a quantity out; the cost that leaves with it is cost x taken / held, half-even at the 18th digit, and
    /// all of it when nothing is left (semantics rule 11).
    fn shrink(&mut self, taken: Quantity) -> Exact<Money> {
        let whole = taken == self.held;
        let cost = if whole { self.cost } else { self.cost.share(taken, self.held, Rounding::HalfEven)? };
        let gross =
            if whole { self.gross } else { self.gross.share(taken, self.held, Rounding::HalfEven)? };
        self.cost = self.cost.minus(cost)?;
        self.gross = self.gross.minus(gross)?;
        self.held = self.held.minus(taken)?;
        Ok(cost)
    }

    /// Sold quantity leaves, its proceeds and fees are booked.
    fn deliver(&mut self, part: &Waiting, time: Timestamp) -> Exact<bool> {
        if !part.quantity.is_positive() {
            return Ok(false);
        }
        let cost = self.shrink(part.quantity)?;
        self.sold = self.sold.plus(part.quantity.minus(part.base_fees)?)?;
        self.base_fees = self.base_fees.plus(part.base_fees)?;
        self.sell_value = self.sell_value.plus(part.value)?;
        self.received_total = self.received_total.plus(part.value)?;
        self.book_profit(part.value.minus(cost)?)?;
        self.pay_fee(part.fees)?;
        Ok(self.left(time))
    }

    /// Takes some of the waiting sells.
    fn take_waiting(&mut self, quantity: Quantity) -> Exact<Waiting> {
        let half = Rounding::HalfEven;
        let quantity = quantity.min(self.waiting);
        let taken = if quantity == self.waiting {
            Waiting {
                quantity,
                base_fees: self.waiting_base_fees,
                value: self.waiting_value,
                fees: self.waiting_fees,
            }
        } else {
            Waiting {
                quantity,
                base_fees: self.waiting_base_fees.share(quantity, self.waiting, half)?,
                value: self.waiting_value.share(quantity, self.waiting, half)?,
                fees: self.waiting_fees.share(quantity, self.waiting, half)?,
            }
        };
        self.waiting = self.waiting.minus(taken.quantity)?;
        self.waiting_base_fees = self.waiting_base_fees.minus(taken.base_fees)?;
        self.waiting_value = self.waiting_value.minus(taken.value)?;
        self.waiting_fees = self.waiting_fees.minus(taken.fees)?;
        Ok(taken)
    }

    /// Sells that found too little are matched by the next additions (semantics rule 2).
    fn match_waiting(&mut self, time: Timestamp) -> Exact<bool> {
        if !self.waiting.is_positive() || !self.is_open() {
            return Ok(false);
        }
        let part = self.take_waiting(self.held)?;
        self.deliver(&part, time)
    }

    /// Something left at this time; true when nothing is held any more.
    fn left(&mut self, time: Timestamp) -> bool {
        self.last = self.last.max(time);
        self.held.is_zero()
    }
}
