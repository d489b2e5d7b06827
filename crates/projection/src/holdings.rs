//! Fills, corrections and dust: everything that changes a book, and what a book's change means for the totals.
//!
//! Conservation is kept by construction: totals move by the difference that the book's own sums made.

use crate::book::{Book, Change, Entry, Execution};
use crate::state::{Dust, MEMORY_NS, State};
use aegis_model::event::{
    AnomalyKind, CorrectionBooked, CorrectionKind, DustKept, DustReturned, ExcessSellSettled, Fee, FeeResolved,
    FillBooked, FillInferred,
};
use aegis_model::{
    ArithmeticError, AssetId, InstrumentId, Label, Lsn, Money, OrderId, Quantity, Rounding, Side, Timestamp,
};

/// Corrections and flows remembered at most.
const IDS_MAX: usize = 10_000;

/// The id of an order's inferred entry.
fn inferred_id(order: OrderId) -> Label {
    Label::lossy(&alloc::format!("~{}", order.0))
}

fn entry_id(kind: &str, lsn: Lsn) -> Label {
    Label::lossy(&alloc::format!("={kind}{}", lsn.0))
}

impl State {
    /// Changes a book and lets the totals follow.
    fn change_book(
        &mut self,
        id: InstrumentId,
        change: impl FnOnce(&mut Book) -> Result<(), ArithmeticError>,
    ) -> bool {
        let lsn = self.lsn;
        let Some(instrument) = self.instruments.get_mut(id.0 as usize) else {
            self.anomaly(AnomalyKind::InstrumentUnknown);
            return false;
        };
        let was_open = instrument.is_open();
        let cycle = instrument.book.now.cycle;
        let before = Sums::of(&instrument.book);
        if change(&mut instrument.book).is_err() {
            self.anomaly(AnomalyKind::Overflow);
            return false;
        }
        let after = Sums::of(&instrument.book);
        let now = &instrument.book.now;
        instrument.dust = Dust { quantity: now.dust_left, cost: now.dust_cost };
        if instrument.is_open() && (!was_open || now.cycle != cycle) {
            instrument.opened = lsn;
        }
        if self.totals_follow(&before, &after).is_err() {
            self.anomaly(AnomalyKind::Overflow);
        }
        self.forget_exit_when_flat(id);
        true
    }

    fn totals_follow(&mut self, before: &Sums, after: &Sums) -> Result<(), ArithmeticError> {
        let t = &mut self.totals;
        t.quote_paid = t.quote_paid.plus(after.paid.minus(before.paid)?)?;
        t.quote_received = t.quote_received.plus(after.received.minus(before.received)?)?;
        t.realised = t.realised.plus(after.realised.minus(before.realised)?)?;
        t.quote_fees = t.quote_fees.plus(after.fees.minus(before.fees)?)?;
        t.corrections = t.corrections.plus(after.corrections.minus(before.corrections)?)?;
        Ok(())
    }

    pub(crate) fn fill_booked(&mut self, f: &FillBooked) {
        let Some(instrument) = self.instruments.get(f.instrument.0 as usize) else {
            self.anomaly(AnomalyKind::InstrumentUnknown);
            return;
        };
        if !f.price.is_positive() || !f.quantity.is_positive() {
            self.anomaly(AnomalyKind::BadFill);
            return;
        }
        let Ok(value) = f.price.times(f.quantity, Rounding::HalfEven) else {
            self.anomaly(AnomalyKind::Overflow);
            return;
        };
        let (base, quote) = (instrument.spec.base, instrument.spec.quote);
        if let Some(known) = instrument.book.find(&f.trade.0) {
            let same = match known.change {
                Change::Buy(x) | Change::Sell(x) => x.quantity == f.quantity && x.value == value,
                _ => false,
            };
            if !same {
                self.anomaly(AnomalyKind::FillMismatch);
            }
            return;
        }
        let execution = executed(f.order, f.quantity, value, f.fee, base, quote);
        if !self.insert_execution(f.instrument, f.side, execution, f.executed, f.trade.0) {
            return;
        }
        self.totals.fills += 1;
        if f.order != OrderId(0) {
            self.count_fill(f.order, f.quantity, value, f.venue_order);
        }
        self.move_balances(base, quote, f.side, f.quantity, value, f.executed);
        if let Some(fee) = f.fee {
            self.pay(f.instrument, fee, f.executed, f.trade.0);
        }
        self.forget_exit_when_flat(f.instrument);
        self.forget_cycles(f.instrument);
    }

    fn insert_execution(
        &mut self,
        id: InstrumentId,
        side: Side,
        execution: Execution,
        time: Timestamp,
        name: Label,
    ) -> bool {
        let change = match side {
            Side::Buy => Change::Buy(execution),
            Side::Sell => Change::Sell(execution),
        };
        let entry = Entry { time, id: name, change, lsn: self.lsn };
        self.change_book(id, |book| book.insert(entry))
    }

    /// A fee leaves its asset; one in a third asset is kept apart and drains a position in that asset.
    fn pay(&mut self, id: InstrumentId, fee: Fee, time: Timestamp, trade: Label) {
        let Some(spec) = self.instruments.get(id.0 as usize).map(|i| i.spec) else { return };
        let third = fee.asset != spec.base && fee.asset != spec.quote;
        let Some(asset) = self.assets.get_mut(usize::from(fee.asset.0)) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        asset.fees = asset.fees.plus(fee.amount).unwrap_or(asset.fees);
        if third {
            asset.third_fees = asset.third_fees.plus(fee.amount).unwrap_or(asset.third_fees);
        }
        self.move_balance(fee.asset, fee.amount.negated(), time);
        if !third {
            return;
        }
        let holder = self.instruments.iter().position(|i| i.spec.base == fee.asset && i.is_open());
        if let Some(at) = holder {
            let holder = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
            let drain = Entry {
                time,
                id: Label::lossy(&alloc::format!("$ {trade}")),
                change: Change::FeeDrain(fee.amount),
                lsn: self.lsn,
            };
            self.change_book(holder, |book| book.insert(drain));
        }
    }

    pub(crate) fn fill_inferred(&mut self, f: &FillInferred) {
        let Some(order) = self.any_order(f.order) else {
            self.anomaly(AnomalyKind::OrderUnknown);
            return;
        };
        let (instrument, side, allowed) =
            (order.instrument, order.side, order.quantity.minus(order.filled).unwrap_or(Quantity::ZERO));
        if f.quantity.is_negative() || f.quantity > allowed.max(Quantity::ZERO) {
            // An inferred fill may never exceed what was ordered (semantics rule 4).
            self.anomaly(AnomalyKind::Overfill);
            return;
        }
        let name = inferred_id(f.order);
        let Some(state) = self.instruments.get(instrument.0 as usize) else { return };
        let (base, quote) = (state.spec.base, state.spec.quote);
        let old = state.book.find(&name).map(|e| match e.change {
            Change::Buy(x) | Change::Sell(x) => (x.quantity, x.value, e.time),
            _ => (Quantity::ZERO, Money::ZERO, e.time),
        });
        let done = if f.quantity.is_zero() {
            self.change_book(instrument, |book| book.remove(&name))
        } else {
            let execution =
                Execution { inferred: true, ..executed(f.order, f.quantity, f.value, None, base, quote) };
            let change = match side {
                Side::Buy => Change::Buy(execution),
                Side::Sell => Change::Sell(execution),
            };
            let time = old.map_or(f.executed, |(_, _, time)| time);
            let entry = Entry { time, id: name, change, lsn: self.lsn };
            self.change_book(instrument, |book| book.replace(entry))
        };
        if !done {
            return;
        }
        let (old_quantity, old_value, time) = old.unwrap_or((Quantity::ZERO, Money::ZERO, f.executed));
        let quantity = f.quantity.minus(old_quantity).unwrap_or(Quantity::ZERO);
        let value = f.value.minus(old_value).unwrap_or(Money::ZERO);
        self.move_balances(base, quote, side, quantity, value, time);
        let ended = &mut self.ended;
        let order = self.orders.get_mut(&f.order).or_else(|| ended.get_mut(&f.order).map(|e| &mut e.order));
        if let Some(order) = order {
            order.inferred = f.quantity;
            let cumulative = order.filled.plus(f.quantity).unwrap_or(order.filled);
            order.cumulative = order.cumulative.max(cumulative);
        }
    }

    pub(crate) fn fee_resolved(&mut self, f: &FeeResolved) {
        let Some(instrument) = self.instruments.get(f.instrument.0 as usize) else {
            self.anomaly(AnomalyKind::InstrumentUnknown);
            return;
        };
        let (base, quote) = (instrument.spec.base, instrument.spec.quote);
        let Some(entry) = instrument.book.find(&f.trade.0).copied() else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        let with_fee = |x: Execution| Execution {
            inferred: x.inferred,
            ..executed(x.order, x.quantity, x.value, Some(f.fee), base, quote)
        };
        let change = match entry.change {
            Change::Buy(x) if x.fee.is_none() => Change::Buy(with_fee(x)),
            Change::Sell(x) if x.fee.is_none() => Change::Sell(with_fee(x)),
            _ => {
                self.anomaly(AnomalyKind::OutOfOrder);
                return;
            }
        };
        if self.change_book(f.instrument, |book| book.replace(Entry { change, ..entry })) {
            self.pay(f.instrument, f.fee, entry.time, f.trade.0);
        }
    }

    pub(crate) fn excess_settled(&mut self, f: &ExcessSellSettled) {
        let time = self.time_at_end(f.instrument);
        let entry = Entry { time, id: entry_id("excess", self.lsn), change: Change::Excess(f.excess), lsn: self.lsn };
        self.change_book(f.instrument, |book| book.insert(entry));
    }

    /// Now, and not before anything that the book already holds: such entries close what stands.
    fn time_at_end(&self, id: InstrumentId) -> Timestamp {
        let last = self.instruments.get(id.0 as usize).and_then(|i| i.book.entries.last()).map(|e| e.time);
        self.time.max(last.unwrap_or(self.time))
    }

    pub(crate) fn dust_kept(&mut self, f: &DustKept) {
        let time = self.time_at_end(f.instrument);
        let entry = Entry { time, id: entry_id("dust", self.lsn), change: Change::DustOut(f.quantity), lsn: self.lsn };
        self.change_book(f.instrument, |book| book.insert(entry));
    }

    pub(crate) fn dust_returned(&mut self, f: &DustReturned) {
        let time = self.time_at_end(f.instrument);
        let change = Change::DustIn { quantity: f.quantity, cost: f.cost };
        let entry = Entry { time, id: entry_id("back", self.lsn), change, lsn: self.lsn };
        self.change_book(f.instrument, |book| book.insert(entry));
    }

    pub(crate) fn correction(&mut self, f: &CorrectionBooked) {
        if self.corrections.contains_key(&f.id) {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        let cost = |average: Option<aegis_model::Price>| {
            average.map_or(Ok(Money::ZERO), |a| a.times(f.quantity, Rounding::HalfEven))
        };
        let change = match f.kind {
            CorrectionKind::Missing => Change::Missing(f.quantity),
            CorrectionKind::Adopted => match cost(f.average) {
                Ok(cost) => Change::Adopted { quantity: f.quantity, cost },
                Err(_) => {
                    self.anomaly(AnomalyKind::Overflow);
                    return;
                }
            },
            CorrectionKind::Cost => match f.average {
                Some(average) => Change::CostSet(average),
                None => {
                    self.anomaly(AnomalyKind::OutOfOrder);
                    return;
                }
            },
        };
        let entry = Entry { time: f.time, id: entry_id("fix", self.lsn), change, lsn: self.lsn };
        if self.change_book(f.instrument, |book| book.insert(entry)) {
            self.corrections.insert(f.id, self.lsn);
            forget_oldest(&mut self.corrections);
        }
    }

    /// Forgets what lies beyond the memory; once a day is often enough.
    pub(crate) fn forget(&mut self) {
        for at in 0..self.instruments.len() {
            self.forget_cycles(InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)));
        }
        forget_oldest(&mut self.flows);
    }

    fn forget_cycles(&mut self, id: InstrumentId) {
        let cutoff = self.time.after(-MEMORY_NS);
        self.on(id, |i| {
            if i.book.ended.len() > 1 && i.book.ended[0].sums.last < cutoff {
                i.book.forget(cutoff);
            }
        });
    }
}

/// Drops the oldest records of a bounded memory of ids.
fn forget_oldest<K: Ord + Copy>(ids: &mut alloc::collections::BTreeMap<K, Lsn>) {
    while ids.len() > IDS_MAX {
        let Some(oldest) = ids.iter().min_by_key(|(_, lsn)| **lsn).map(|(k, _)| *k) else { return };
        ids.remove(&oldest);
    }
}

fn executed(
    order: OrderId,
    quantity: Quantity,
    value: Money,
    fee: Option<Fee>,
    base: AssetId,
    quote: AssetId,
) -> Execution {
    let base_fee = fee.filter(|f| f.asset == base).map_or(Quantity::ZERO, |f| f.amount);
    let quote_fee = fee.filter(|f| f.asset == quote && f.asset != base).map_or(Money::ZERO, |f| Money(f.amount.0));
    Execution { order, quantity, value, fee, base_fee, quote_fee, inferred: false }
}

/// The sums of a book that the totals follow.
struct Sums {
    paid: Money,
    received: Money,
    realised: Money,
    fees: Money,
    corrections: Money,
}

impl Sums {
    const fn of(book: &Book) -> Sums {
        Sums {
            paid: book.now.paid_total,
            received: book.now.received_total,
            realised: book.now.realised_total,
            fees: book.now.fees_total,
            corrections: book.now.corrections,
        }
    }
}
