//! Fills, corrections and dust: everything that changes a book, and what a book's change means for the totals.
//!
//! Conservation is kept by construction: totals move by the difference that the book's own sums made, and a change
//! that would leave the range of numbers anywhere changes nothing.

use crate::book::{Book, Change, Edit, Entry, Execution};
use crate::state::{Dust, MEMORY_NS, State};
use aegis_model::event::{
    AnomalyKind, CorrectionBooked, CorrectionKind, DustKept, DustReturned, ExcessSellSettled, Fee,
    FeeResolved, FillBooked, FillInferred,
};
use aegis_model::{
    ArithmeticError, AssetId, InstrumentId, Label, Lsn, Money, OrderId, Quantity, Rounding, Side, Timestamp,
};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Corrections and flows remembered at most; beyond it the older half is forgotten at once.
const IDS_MAX: usize = 10_000;

fn entry_id(kind: &str, lsn: Lsn) -> Label {
    Label::lossy(&alloc::format!("={kind}{}", lsn.0))
}

impl State {
    /// Changes a book and lets the totals follow; all of it or, when a sum would overflow, nothing.
    fn change_book(&mut self, id: InstrumentId, edits: &[Edit]) -> bool {
        let lsn = self.lsn;
        let Some(instrument) = self.instruments.get_mut(id.0 as usize) else {
            self.anomaly(AnomalyKind::InstrumentUnknown);
            return false;
        };
        let (was_open, cycle) = (instrument.is_open(), instrument.book.now.cycle);
        let before = Sums::of(&instrument.book);
        let book = &mut instrument.book;
        let changed = match edits {
            // As a rule there is one entry more, and it is the youngest: nothing is moved about for it.
            [Edit::Insert(entry)] if book.is_last(entry) => {
                let at = book.entries.len();
                book.append(entry).and_then(|()| {
                    before.follow(&mut self.totals, book).inspect_err(|_| undo(book, [Edit::Remove(at)]))
                })
            }
            edits => edit_all(book, edits, |book| before.follow(&mut self.totals, book)),
        };
        if changed.is_err() {
            self.anomaly(AnomalyKind::Overflow);
            return false;
        }
        let now = &instrument.book.now;
        instrument.dust = Dust { quantity: now.dust_left, cost: now.dust_cost };
        if instrument.is_open() && (!was_open || now.cycle != cycle) {
            instrument.opened = lsn;
        }
        self.forget_exit_when_flat(id);
        true
    }

    pub(crate) fn fill_booked(&mut self, f: &FillBooked) {
        self.forget_cycles(f.instrument);
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
        if let Some(known) = instrument.book.find(&f.trade.0) {
            let side = if matches!(known.change, Change::Sell(_)) { Side::Sell } else { Side::Buy };
            let numbers = known.change.execution().map(|x| (x.quantity, x.value));
            if side != f.side || numbers != Some((f.quantity, value)) {
                self.anomaly(AnomalyKind::FillMismatch);
            }
            return;
        }
        if instrument.book.is_forgotten(f.executed) {
            self.anomaly(AnomalyKind::FillBeyondMemory);
            return;
        }
        let (base, quote) = (instrument.spec.base, instrument.spec.quote);
        let Some(execution) = executed(f.order, f.side, f.quantity, value, f.fee, base, quote) else {
            self.anomaly(AnomalyKind::BadFill);
            return;
        };
        // An order's intent and the part of the fill that was not inferred before.
        let (mut since, mut news) = (Lsn::NONE, execution.quantity);
        if let Some(order) = self.any_order(f.order).filter(|_| f.order != OrderId(0)) {
            if order.instrument != f.instrument || order.side != f.side {
                self.anomaly(AnomalyKind::IdsDisagree);
                return;
            }
            since = order.intended;
            news = news.minus(order.inferred).unwrap_or(Quantity::ZERO);
        }
        let change = match f.side {
            Side::Buy => Change::Buy(execution),
            Side::Sell => Change::Sell(execution),
        };
        let entry = Entry { time: f.executed, id: f.trade.0, change, lsn: self.lsn };
        let mut edits = instrument.book.explained_by(&entry, since, news);
        let done = if edits.is_empty() {
            self.change_book(f.instrument, &[Edit::Insert(entry)])
        } else {
            edits.push(Edit::Insert(entry));
            self.change_book(f.instrument, &edits)
        };
        if !done {
            return;
        }
        self.totals.fills += 1;
        if f.order != OrderId(0) {
            self.count_fill(f.order, f.quantity, value, f.venue_order);
        }
        self.move_balances(base, quote, f.side, f.quantity, value, f.executed);
        if let Some(fee) = f.fee {
            self.pay(f.instrument, fee, f.executed);
        }
        self.forget_exit_when_flat(f.instrument);
    }

    /// A fee leaves its asset; one in a third asset is kept apart and drains a position in that asset.
    fn pay(&mut self, id: InstrumentId, fee: Fee, time: Timestamp) {
        let Some(spec) = self.instruments.get(id.0 as usize).map(|i| i.spec) else { return };
        let third = fee.asset != spec.base && fee.asset != spec.quote;
        let Some(asset) = self.assets.get_mut(usize::from(fee.asset.0)) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        let fees = asset.fees.plus(fee.amount);
        let thirds = asset.third_fees.plus(if third { fee.amount } else { Quantity::ZERO });
        let (Ok(fees), Ok(thirds)) = (fees, thirds) else {
            self.anomaly(AnomalyKind::Overflow);
            return;
        };
        (asset.fees, asset.third_fees) = (fees, thirds);
        // The instrument that holds some; while none does, the first that could, so that the order in which fills
        // arrive does not matter.
        let open = |id: &&InstrumentId| self.instruments.get(id.0 as usize).is_some_and(|i| i.is_open());
        let holder = asset.base_of.iter().find(open).or(asset.base_of.first()).copied();
        self.move_balance(fee.asset, fee.amount.negated(), time);
        if let Some(holder) = holder.filter(|_| third) {
            self.forget_cycles(holder);
            let change = Change::FeeDrain(fee.amount);
            let time = self.after_horizon(holder, time);
            let entry = Entry { time, id: entry_id("fee", self.lsn), change, lsn: self.lsn };
            self.change_book(holder, &[Edit::Insert(entry)]);
        }
    }

    pub(crate) fn fill_inferred(&mut self, f: &FillInferred) {
        let Some(order) = self.any_order(f.order) else {
            self.anomaly(AnomalyKind::OrderUnknown);
            return;
        };
        let (id, side, was) = (order.instrument, order.side, order.inferred);
        let allowed = order.quantity.minus(order.filled).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
        if f.quantity > allowed {
            // An inferred fill may never exceed what was ordered (semantics rule 4).
            self.anomaly(AnomalyKind::Overfill);
            return;
        }
        if f.quantity.is_negative() || (f.quantity.is_positive() && !f.value.is_positive()) {
            self.anomaly(AnomalyKind::BadFill);
            return;
        }
        let Some(instrument) = self.instruments.get(id.0 as usize) else { return };
        let (base, quote) = (instrument.spec.base, instrument.spec.quote);
        let at = if was.is_zero() { None } else { instrument.book.inferred(f.order) };
        let old = at.and_then(|at| instrument.book.entries.get(at)).copied();
        let time = old.map_or(f.executed, |old| old.time);
        if old.is_none() && instrument.book.is_forgotten(time) {
            self.anomaly(AnomalyKind::FillBeyondMemory);
            return;
        }
        let new = executed(f.order, side, f.quantity, f.value, None, base, quote).map(|x| {
            let x = Execution { inferred: true, ..x };
            let change = match side {
                Side::Buy => Change::Buy(x),
                Side::Sell => Change::Sell(x),
            };
            let id = old.map_or_else(|| Label::lossy(&alloc::format!("~{}", f.order.0)), |old| old.id);
            Entry { time, id, change, lsn: self.lsn }
        });
        let done = match (at, new) {
            (Some(at), Some(new)) => self.change_book(id, &[Edit::Replace(at, new)]),
            (Some(at), None) => self.change_book(id, &[Edit::Remove(at)]),
            (None, Some(new)) => self.change_book(id, &[Edit::Insert(new)]),
            (None, None) => true,
        };
        if !done {
            return;
        }
        let old_value = old.and_then(|e| e.change.execution().map(|x| x.value)).unwrap_or(Money::ZERO);
        let new_value = if f.quantity.is_zero() { Money::ZERO } else { f.value };
        let quantity = f.quantity.minus(was).unwrap_or(Quantity::ZERO);
        let value = new_value.minus(old_value).unwrap_or(Money::ZERO);
        self.move_balances(base, quote, side, quantity, value, time);
        self.count_inferred(f.order, f.quantity);
    }

    pub(crate) fn fee_resolved(&mut self, f: &FeeResolved) {
        let Some(instrument) = self.instruments.get(f.instrument.0 as usize) else {
            self.anomaly(AnomalyKind::InstrumentUnknown);
            return;
        };
        let (base, quote) = (instrument.spec.base, instrument.spec.quote);
        let Some(at) = instrument.book.position(&f.trade.0) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        let entry = instrument.book.entries[at];
        let (side, side_of): (Side, fn(Execution) -> Change) = if matches!(entry.change, Change::Sell(_)) {
            (Side::Sell, Change::Sell)
        } else {
            (Side::Buy, Change::Buy)
        };
        let unknown = entry.change.execution().filter(|x| x.fee.is_none());
        let with_fee =
            unknown.and_then(|x| executed(x.order, side, x.quantity, x.value, Some(f.fee), base, quote));
        let Some(change) = with_fee.map(side_of) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        if self.change_book(f.instrument, &[Edit::Replace(at, Entry { change, ..entry })]) {
            self.pay(f.instrument, f.fee, entry.time);
        }
    }

    /// Books an entry that is no execution.
    fn add(
        &mut self,
        id: InstrumentId,
        kind: &str,
        change: Change,
        quantity: Quantity,
        time: Timestamp,
    ) -> bool {
        if !quantity.is_positive() {
            self.anomaly(AnomalyKind::BadFill);
            return false;
        }
        let time = self.after_horizon(id, time);
        let entry = Entry { time, id: entry_id(kind, self.lsn), change, lsn: self.lsn };
        self.change_book(id, &[Edit::Insert(entry)])
    }

    pub(crate) fn excess_settled(&mut self, f: &ExcessSellSettled) {
        let time = self.time_of_last(f.instrument).unwrap_or(self.time).max(self.time);
        self.add(f.instrument, "excess", Change::Excess(f.excess), f.excess, time);
    }

    pub(crate) fn dust_kept(&mut self, f: &DustKept) {
        // Right behind what left it over: a later buy, whatever its clock, never lies before it.
        let time = self.time_of_last(f.instrument).unwrap_or(self.time);
        self.add(f.instrument, "dust", Change::DustOut(f.quantity), f.quantity, time);
    }

    pub(crate) fn dust_returned(&mut self, f: &DustReturned) {
        // Strictly behind its becoming dust, which may have happened at this very time.
        let time = self.time_of_last(f.instrument).map_or(self.time, |last| self.time.max(last.after(1)));
        let cost = f.cost.max(Money::ZERO);
        self.add(f.instrument, "back", Change::DustIn { quantity: f.quantity, cost }, f.quantity, time);
    }

    fn time_of_last(&self, id: InstrumentId) -> Option<Timestamp> {
        self.instrument(id).and_then(|i| i.book.entries.back()).map(|e| e.time)
    }

    fn after_horizon(&self, id: InstrumentId, time: Timestamp) -> Timestamp {
        let horizon = self.instrument(id).and_then(|i| i.book.horizon);
        horizon.map_or(time, |horizon| time.max(horizon))
    }

    pub(crate) fn correction(&mut self, f: &CorrectionBooked) {
        if self.corrections.contains_key(&f.id) {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        let average = f.average.filter(|a| a.is_positive());
        let change = match (f.kind, average) {
            (CorrectionKind::Missing, _) => {
                Change::Missing { quantity: f.quantity, explained: Quantity::ZERO }
            }
            (CorrectionKind::Cost, Some(average)) => Change::CostSet(average),
            (CorrectionKind::Adopted, Some(average)) => match average.times(f.quantity, Rounding::HalfEven) {
                Ok(cost) => Change::Adopted {
                    quantity: f.quantity,
                    cost,
                    known: self.time,
                    explained: Quantity::ZERO,
                },
                Err(_) => {
                    self.anomaly(AnomalyKind::Overflow);
                    return;
                }
            },
            // Without a positive price nothing enters a position (semantics rule 41).
            (CorrectionKind::Adopted | CorrectionKind::Cost, None) => {
                self.anomaly(AnomalyKind::OutOfOrder);
                return;
            }
        };
        if self.add(f.instrument, "fix", change, f.quantity, f.time) {
            self.corrections.insert(f.id, self.lsn);
            forget_older(&mut self.corrections);
        }
    }

    /// Forgets what lies beyond the memory; once a day is often enough.
    pub(crate) fn forget(&mut self) {
        for at in 0..self.instruments.len() {
            self.forget_cycles(InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)));
        }
        forget_older(&mut self.flows);
    }

    /// At most once per instrument and day, before anything new is booked, so that what is booked stays for a day.
    fn forget_cycles(&mut self, id: InstrumentId) {
        let (cutoff, today) = (self.time.after(-MEMORY_NS), self.time.utc_day());
        if let Some(instrument) = self.instruments.get_mut(id.0 as usize)
            && instrument.book.swept < today
        {
            instrument.book.swept = today;
            instrument.book.forget(cutoff);
        }
    }
}

/// Makes the changes in order and then `follow`; undoes all of them when one does not fit.
fn edit_all(
    book: &mut Book,
    edits: &[Edit],
    follow: impl FnOnce(&Book) -> Result<(), ArithmeticError>,
) -> Result<(), ArithmeticError> {
    let Some((last, first)) = edits.split_last() else { return follow(book) };
    let mut backwards = Vec::new();
    let mut done = Ok(());
    for edit in first {
        match book.edit(*edit) {
            Ok(back) => backwards.push(back),
            Err(e) => {
                done = Err(e);
                break;
            }
        }
    }
    if done.is_ok() {
        done = match book.edit(*last) {
            Ok(back) => follow(book).inspect_err(|_| backwards.push(back)),
            Err(e) => Err(e),
        };
    }
    if done.is_err() {
        undo(book, backwards.into_iter().rev());
    }
    done
}

/// Takes changes back: what was folded before folds again.
fn undo(book: &mut Book, edits: impl IntoIterator<Item = Edit>) {
    for edit in edits {
        let undone = book.edit(edit);
        debug_assert!(undone.is_ok(), "a book that was lawful before is lawful again");
    }
}

/// Drops the older half of a memory of ids once it is full: constant work per id over time.
fn forget_older<K: Ord + Copy>(ids: &mut BTreeMap<K, Lsn>) {
    if ids.len() <= IDS_MAX {
        return;
    }
    let mut lsns: Vec<Lsn> = ids.values().copied().collect();
    let (_, middle, _) = lsns.select_nth_unstable(IDS_MAX / 2);
    let oldest_kept = *middle;
    ids.retain(|_, lsn| *lsn >= oldest_kept);
}

/// An execution with its fee put where it belongs; none when there is no quantity or a rebate exceeds the sale.
fn executed(
    order: OrderId,
    side: Side,
    quantity: Quantity,
    value: Money,
    fee: Option<Fee>,
    base: AssetId,
    quote: AssetId,
) -> Option<Execution> {
    let base_fee = fee.filter(|f| f.asset == base).map_or(Quantity::ZERO, |f| f.amount);
    let quote_fee =
        fee.filter(|f| f.asset == quote && f.asset != base).map_or(Money::ZERO, |f| Money(f.amount.0));
    let leaving = quantity.plus(base_fee).is_ok_and(|leaving| leaving.is_positive());
    let lawful = quantity.is_positive() && (side == Side::Buy || leaving);
    lawful.then_some(Execution { order, quantity, value, fee, base_fee, quote_fee, inferred: false })
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

    /// Moves the totals from these sums to the book's; all of them or none.
    fn follow(&self, t: &mut crate::state::Totals, book: &Book) -> Result<(), ArithmeticError> {
        let after = Sums::of(book);
        let paid = t.quote_paid.plus(after.paid.minus(self.paid)?)?;
        let received = t.quote_received.plus(after.received.minus(self.received)?)?;
        let realised = t.realised.plus(after.realised.minus(self.realised)?)?;
        let fees = t.quote_fees.plus(after.fees.minus(self.fees)?)?;
        let corrections = t.corrections.plus(after.corrections.minus(self.corrections)?)?;
        (t.quote_paid, t.quote_received, t.realised) = (paid, received, realised);
        (t.quote_fees, t.corrections) = (fees, corrections);
        Ok(())
    }
}
