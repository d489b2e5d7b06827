//! A book read for people: what each exit earned with its share of the entry fees, and which lots are left.
//!
//! Money is average cost; these are views and nothing is ever booked from them.

use super::{Book, Change, Entry, Exact, Holding};
use aegis_model::Rounding;
use aegis_model::ids::Timestamp;
use aegis_model::money::{Money, Price, Quantity};
use aegis_model::text::Label;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What one exit of a cycle earned (semantics rule 12).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitResult {
    /// The entry that took something out: a sell, a correction, dust, or the buy that met waiting sells.
    pub id: Label,
    /// When.
    pub time: Timestamp,
    /// Base quantity that left, base fees of the sale included.
    pub quantity: Quantity,
    /// Profit as booked: proceeds less cost leaving less its own quote fees.
    pub booked: Money,
    /// The part of the cycle's entry fees that belongs to this quantity.
    pub entry_fees: Money,
    /// `booked - entry_fees`; over a closed cycle these sum to its realised profit.
    pub net: Money,
}

/// An entry that is not used up, first in first out; for naming only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lot {
    /// Trade id, or the name of what else brought it in.
    pub id: Label,
    /// When it entered.
    pub time: Timestamp,
    /// What is left of it.
    pub left: Quantity,
    /// Its own price; none for a lot without one.
    pub price: Option<Price>,
}

/// One step of the last cycle, with what entered and what left.
struct Step<'a> {
    entry: &'a Entry,
    before: &'a Holding,
    after: &'a Holding,
    entered: Quantity,
    left: Quantity,
    ended: bool,
}

impl Book {
    /// The results of the exits of the open cycle, or of the last one while nothing is held.
    ///
    /// # Errors
    /// [`aegis_model::ArithmeticError`] when a share leaves the range of numbers.
    pub fn exit_results(&self) -> Result<Vec<ExitResult>, aegis_model::ArithmeticError> {
        let mut results = Vec::new();
        let mut fees = Money::ZERO;
        self.walk(|step| {
            let (realised, entry_fees) = if step.before.cycle == step.after.cycle {
                (step.before.realised, step.before.entry_fees)
            } else {
                (Money::ZERO, Money::ZERO)
            };
            let paid = step.after.entry_fees.minus(entry_fees)?;
            fees = fees.plus(paid)?;
            let by_fee = matches!(step.entry.change, Change::FeeDrain(_));
            if !step.ended && (by_fee || !step.left.is_positive()) {
                return Ok(());
            }
            let whole = step.left.plus(step.after.held)?;
            let share = if step.ended { fees } else { fees.share(step.left, whole, Rounding::HalfEven)? };
            fees = fees.minus(share)?;
            let booked = step.after.realised.minus(realised)?.plus(paid)?;
            results.push(ExitResult {
                id: step.entry.id,
                time: step.entry.time,
                quantity: step.left,
                booked,
                entry_fees: share,
                net: booked.minus(share)?,
            });
            Ok(())
        })?;
        Ok(results)
    }

    /// What is left of the open cycle's lots, oldest first.
    ///
    /// # Errors
    /// [`aegis_model::ArithmeticError`] when a sum leaves the range of numbers.
    pub fn lots(&self) -> Result<Vec<Lot>, aegis_model::ArithmeticError> {
        let mut lots: VecDeque<Lot> = VecDeque::new();
        self.walk(|step| {
            if step.entered.is_positive() {
                let price = if let Change::Adopted { quantity, cost, .. } = step.entry.change {
                    cost.per(quantity, Rounding::HalfEven).ok()
                } else {
                    let bought = step.entry.change.execution();
                    bought.and_then(|x| x.value.per(x.quantity, Rounding::HalfEven).ok())
                };
                let (id, time) = (step.entry.id, step.entry.time);
                lots.push_back(Lot { id, time, left: step.entered, price });
            }
            let mut leaving = step.left;
            while leaving.is_positive() {
                let Some(oldest) = lots.front_mut() else { break };
                let taken = oldest.left.min(leaving);
                oldest.left = oldest.left.minus(taken)?;
                leaving = leaving.minus(taken)?;
                if oldest.left.is_zero() {
                    lots.pop_front();
                }
            }
            Ok(())
        })?;
        Ok(lots.into())
    }

    /// Walks the entries since the cycle before the last one ended.
    fn walk(&self, mut visit: impl FnMut(&Step<'_>) -> Exact<()>) -> Exact<()> {
        let cycles = if self.now.is_open() { self.ended.len() } else { self.ended.len().saturating_sub(1) };
        let (mut now, start) = self.flat_point(cycles);
        for entry in self.entries.iter().skip(start) {
            let before = now.clone();
            let ended = now.step(entry)?;
            let entered = match entry.change {
                Change::Buy(x) => x.quantity.minus(x.base_fee)?.max(Quantity::ZERO),
                Change::FeeDrain(q) if before.is_open() => q.negated().max(Quantity::ZERO),
                Change::Adopted { .. } | Change::DustIn { .. } => {
                    let same = before.cycle == now.cycle;
                    now.entered.minus(if same { before.entered } else { Quantity::ZERO })?
                }
                Change::FeeDrain(_)
                | Change::CostSet(_)
                | Change::Sell(_)
                | Change::Missing { .. }
                | Change::DustOut(_)
                | Change::Excess(_) => Quantity::ZERO,
            };
            let left = before.held.plus(entered)?.minus(now.held)?;
            visit(&Step { entry, before: &before, after: &now, entered, left, ended })?;
        }
        Ok(())
    }
}
