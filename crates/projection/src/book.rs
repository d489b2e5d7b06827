//! One instrument's fills, folded by execution time: quantity, cost, profit, cycles.
//!
//! The order of arrival never matters: entries are kept sorted and folded in that order. It never rounds without
//! a name, and what a rounding leaves stays in the cost.

use aegis_model::event::Fee;
use aegis_model::{ArithmeticError, Rounding};
use aegis_model::ids::{Lsn, OrderId, Timestamp};
use aegis_model::money::{Money, Price, Quantity};
use aegis_model::text::Label;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What changes a book.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub enum Change {
    /// A buy.
    Buy(Execution),
    /// Fees of another instrument's fill, paid in this base asset.
    FeeDrain(Quantity),
    /// A holding adopted at this cost.
    Adopted {
        /// How much.
        quantity: Quantity,
        /// Its cost.
        cost: Money,
    },
    /// Dust put back.
    DustIn {
        /// How much.
        quantity: Quantity,
        /// Its cost.
        cost: Money,
    },
    /// The cost was set to a stated average times the held quantity.
    CostSet(Price),
    /// A sell.
    Sell(Execution),
    /// The venue has less.
    Missing(Quantity),
    /// Moved to the dust ledger.
    DustOut(Quantity),
    /// This much of waiting sells was not ours.
    Excess(Quantity),
}

/// The numbers of a buy or sell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Execution {
    /// Our order; 0 for none.
    pub order: OrderId,
    /// Base quantity as traded.
    pub quantity: Quantity,
    /// Quote value, without fees.
    pub value: Money,
    /// The fee, while known.
    pub fee: Option<Fee>,
    /// Of the fee: the part in this instrument's base asset.
    pub base_fee: Quantity,
    /// Of the fee: the part in this instrument's quote asset.
    pub quote_fee: Money,
    /// Whether it stands for a row's part without trades yet.
    pub inferred: bool,
}

/// One entry of a book; its order is (time, rank, id).
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Entry {
    /// Execution time (or where a correction stands).
    pub time: Timestamp,
    /// Trade id, or the correction's or order's name.
    pub id: Label,
    /// What.
    pub change: Change,
    /// Its record.
    pub lsn: Lsn,
}

/// What is held, and the sums of the current (or last) cycle.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Holding {
    /// Which cycle, from 1; 0 before the first.
    pub cycle: u32,
    /// Base quantity held, net of base fees.
    pub held: Quantity,
    /// Quantity as traded, shrunk in proportion by sells; `cost / gross` is the entry price.
    pub gross: Quantity,
    /// Quote paid for what is held, without quote fees.
    pub cost: Money,
    /// Sells that found too little: quantity.
    pub waiting: Quantity,
    /// Their value, not booked yet.
    pub waiting_value: Money,
    /// Their quote fees, not booked yet.
    pub waiting_fees: Money,
    /// Earliest execution of the cycle.
    pub opened: Timestamp,
    /// Latest execution of the cycle.
    pub last: Timestamp,
    /// Base bought in the cycle, as traded.
    pub bought: Quantity,
    /// Its quote value.
    pub buy_value: Money,
    /// Base sold in the cycle.
    pub sold: Quantity,
    /// Its quote value.
    pub sell_value: Money,
    /// Quote fees of the cycle's buys.
    pub entry_fees: Money,
    /// Quote fees of the cycle, all.
    pub quote_fees: Money,
    /// Base fees of the cycle.
    pub base_fees: Quantity,
    /// Realised profit of the cycle net of quote fees.
    pub realised: Money,
    /// What of the cycle became dust.
    pub dust: Quantity,
    /// Realised profit since the journal began.
    pub realised_total: Money,
    /// The corrections account's share of this book since the journal began.
    pub corrections: Money,
    /// Quote paid since the journal began, quote fees included.
    pub paid_total: Money,
    /// Quote received since the journal began, before fees.
    pub received_total: Money,
    /// Quote fees since the journal began.
    pub fees_total: Money,
    /// The dust ledger: quantity set aside and not returned.
    pub dust_left: Quantity,
    /// Its cost.
    pub dust_cost: Money,
}

/// A cycle that has ended, within the book's memory.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct CycleSummary {
    /// The sums as they stood when it ended; `sums.cycle` is its number.
    pub sums: Holding,
}

/// One instrument's entries and what they amount to.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Book {
    /// What the forgotten entries amount to.
    pub base: Holding,
    /// Remembered entries in fold order.
    pub entries: Vec<Entry>,
    /// What all entries amount to.
    pub now: Holding,
    /// Ended cycles of the remembered entries, oldest first.
    pub ended: Vec<CycleSummary>,
    /// Profit of each remembered ended cycle as it was last told by `PositionClosed` or `CycleRestated`.
    pub told: BTreeMap<u32, Money>,
    /// Times of the remembered entries by id, so that a repeat is found without a scan.
    pub index: BTreeMap<Label, Timestamp>,
    /// Remembered executions whose fee is not known.
    pub fees_unknown: u32,
}

/// The result of a position's exits with the entry fees shared by quantity (semantics rule 12).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExitResult {
    /// Realised profit of what was sold, its share of the entry fees included.
    pub net: Money,
    /// Entry fees that still belong to what is held.
    pub fees_left: Money,
}

impl Change {
    /// The place among entries of one time: what adds comes before what takes away.
    const fn rank(&self) -> u8 {
        match self {
            Change::Buy(_) | Change::Adopted { .. } | Change::DustIn { .. } => 0,
            Change::FeeDrain(_) | Change::CostSet(_) => 1,
            Change::Sell(_) | Change::Missing(_) | Change::DustOut(_) => 2,
            Change::Excess(_) => 3,
        }
    }

    const fn fee_unknown(&self) -> bool {
        match self {
            Change::Buy(x) | Change::Sell(x) => x.fee.is_none() && !x.inferred,
            Change::FeeDrain(_)
            | Change::Adopted { .. }
            | Change::DustIn { .. }
            | Change::CostSet(_)
            | Change::Missing(_)
            | Change::DustOut(_)
            | Change::Excess(_) => false,
        }
    }
}

impl Entry {
    fn key(&self) -> (Timestamp, u8, Label) {
        (self.time, self.change.rank(), self.id)
    }
}

type Exact<T> = Result<T, ArithmeticError>;

impl Holding {
    /// Whether something is held.
    pub const fn is_open(&self) -> bool {
        self.held.is_positive()
    }

    /// cost / gross: price only, no fees (semantics rule 10). None while nothing is held.
    pub fn entry_price(&self) -> Option<Price> {
        if self.is_open() { self.cost.per(self.gross, Rounding::HalfEven).ok() } else { None }
    }

    /// One entry further; `ended` receives the sums of a cycle that ends with it.
    fn step(&mut self, entry: &Entry, ended: &mut Vec<CycleSummary>) -> Exact<()> {
        match entry.change {
            Change::Buy(x) => {
                self.enter(entry.time);
                self.held = self.held.plus(x.quantity)?.minus(x.base_fee)?;
                self.gross = self.gross.plus(x.quantity)?;
                self.cost = self.cost.plus(x.value)?;
                self.bought = self.bought.plus(x.quantity)?;
                self.buy_value = self.buy_value.plus(x.value)?;
                self.entry_fees = self.entry_fees.plus(x.quote_fee)?;
                self.base_fees = self.base_fees.plus(x.base_fee)?;
                self.paid_total = self.paid_total.plus(x.value)?;
                self.pay_fee(x.quote_fee)?;
                if self.held.is_negative() {
                    return Err(ArithmeticError::Overflow);
                }
                self.match_waiting(entry.time, ended)
            }
            Change::Sell(x) => {
                let leaving = x.quantity.plus(x.base_fee)?;
                let matched = leaving.min(self.held);
                self.base_fees = self.base_fees.plus(x.base_fee)?;
                let (value, fee) = if matched == leaving {
                    (x.value, x.quote_fee)
                } else {
                    let half = Rounding::HalfEven;
                    (x.value.share(matched, leaving, half)?, x.quote_fee.share(matched, leaving, half)?)
                };
                self.waiting = self.waiting.plus(leaving.minus(matched)?)?;
                self.waiting_value = self.waiting_value.plus(x.value.minus(value)?)?;
                self.waiting_fees = self.waiting_fees.plus(x.quote_fee.minus(fee)?)?;
                if matched.is_positive() { self.sell(matched, value, fee, entry.time, ended) } else { Ok(()) }
            }
            Change::FeeDrain(quantity) => {
                let taken = quantity.min(self.held);
                self.held = self.held.minus(taken)?;
                self.base_fees = self.base_fees.plus(taken)?;
                if self.held.is_zero() && taken.is_positive() {
                    // All that was held went as fees: its cost is lost with it.
                    self.book_profit(self.cost.negated())?;
                    self.end(entry.time, ended);
                }
                Ok(())
            }
            Change::Adopted { quantity, cost } => {
                self.enter(entry.time);
                self.held = self.held.plus(quantity)?;
                self.gross = self.gross.plus(quantity)?;
                self.cost = self.cost.plus(cost)?;
                self.corrections = self.corrections.plus(cost)?;
                self.match_waiting(entry.time, ended)
            }
            Change::DustIn { quantity, cost } => {
                let quantity = quantity.min(self.dust_left);
                let cost = cost.min(self.dust_cost);
                self.enter(entry.time);
                self.dust_left = self.dust_left.minus(quantity)?;
                self.dust_cost = self.dust_cost.minus(cost)?;
                self.held = self.held.plus(quantity)?;
                self.gross = self.gross.plus(quantity)?;
                self.cost = self.cost.plus(cost)?;
                Ok(())
            }
            Change::CostSet(average) => {
                if !self.is_open() {
                    return Ok(());
                }
                let cost = average.times(self.gross, Rounding::HalfEven)?;
                self.corrections = self.corrections.plus(cost.minus(self.cost)?)?;
                self.cost = cost;
                Ok(())
            }
            Change::Missing(quantity) => {
                let taken = quantity.min(self.held);
                if !taken.is_positive() {
                    return Ok(());
                }
                let cost = self.shrink(taken)?;
                self.corrections = self.corrections.minus(cost)?;
                self.end_if_flat(entry.time, ended);
                Ok(())
            }
            Change::DustOut(quantity) => {
                let taken = quantity.min(self.held);
                if !taken.is_positive() {
                    return Ok(());
                }
                let cost = self.shrink(taken)?;
                self.dust = self.dust.plus(taken)?;
                self.dust_left = self.dust_left.plus(taken)?;
                self.dust_cost = self.dust_cost.plus(cost)?;
                self.end_if_flat(entry.time, ended);
                Ok(())
            }
            Change::Excess(quantity) => {
                let (_, value, fee) = self.take_waiting(quantity)?;
                self.received_total = self.received_total.plus(value)?;
                self.paid_total = self.paid_total.plus(fee)?;
                self.fees_total = self.fees_total.plus(fee)?;
                self.corrections = self.corrections.plus(value.minus(fee)?)?;
                Ok(())
            }
        }
    }

    /// A cycle begins with the first addition from flat.
    fn enter(&mut self, time: Timestamp) {
        if self.is_open() {
            self.last = self.last.max(time);
            return;
        }
        *self = Holding {
            cycle: self.cycle + 1,
            opened: time,
            last: time,
            waiting: self.waiting,
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

    /// Takes a quantity out; the cost that leaves with it is cost x taken / held, half-even at the 18th digit, and
    /// all of it when nothing is left (semantics rule 11).
    fn shrink(&mut self, taken: Quantity) -> Exact<Money> {
        let whole = taken == self.held;
        let cost = if whole { self.cost } else { self.cost.share(taken, self.held, Rounding::HalfEven)? };
        let gross = if whole { self.gross } else { self.gross.share(taken, self.held, Rounding::HalfEven)? };
        self.cost = self.cost.minus(cost)?;
        self.gross = self.gross.minus(gross)?;
        self.held = self.held.minus(taken)?;
        Ok(cost)
    }

    fn sell(
        &mut self,
        quantity: Quantity,
        value: Money,
        fee: Money,
        time: Timestamp,
        ended: &mut Vec<CycleSummary>,
    ) -> Exact<()> {
        let cost = self.shrink(quantity)?;
        self.sold = self.sold.plus(quantity)?;
        self.sell_value = self.sell_value.plus(value)?;
        self.received_total = self.received_total.plus(value)?;
        self.book_profit(value.minus(cost)?)?;
        self.pay_fee(fee)?;
        self.last = self.last.max(time);
        self.end_if_flat(time, ended);
        Ok(())
    }

    /// Takes some of the waiting sells: quantity, value, fees.
    fn take_waiting(&mut self, quantity: Quantity) -> Exact<(Quantity, Money, Money)> {
        let taken = quantity.min(self.waiting);
        let (value, fee) = if taken == self.waiting {
            (self.waiting_value, self.waiting_fees)
        } else {
            let half = Rounding::HalfEven;
            (
                self.waiting_value.share(taken, self.waiting, half)?,
                self.waiting_fees.share(taken, self.waiting, half)?,
            )
        };
        self.waiting = self.waiting.minus(taken)?;
        self.waiting_value = self.waiting_value.minus(value)?;
        self.waiting_fees = self.waiting_fees.minus(fee)?;
        Ok((taken, value, fee))
    }

    /// Sells that found too little are matched by the next additions (semantics rule 2).
    fn match_waiting(&mut self, time: Timestamp, ended: &mut Vec<CycleSummary>) -> Exact<()> {
        if !self.waiting.is_positive() || !self.is_open() {
            return Ok(());
        }
        let (taken, value, fee) = self.take_waiting(self.held)?;
        self.sell(taken, value, fee, time, ended)
    }

    fn end_if_flat(&mut self, time: Timestamp, ended: &mut Vec<CycleSummary>) {
        if self.held.is_zero() {
            self.end(time, ended);
        }
    }

    fn end(&mut self, time: Timestamp, ended: &mut Vec<CycleSummary>) {
        self.cost = Money::ZERO;
        self.gross = Quantity::ZERO;
        self.last = self.last.max(time);
        ended.push(CycleSummary { sums: self.clone() });
    }

    /// What the exits earned with their share of the entry fees, by quantity sold of quantity bought; at the close
    /// it equals `realised`.
    pub fn exit_result(&self) -> ExitResult {
        let half = Rounding::HalfEven;
        let out = self.sold.plus(self.dust).unwrap_or(self.sold);
        let whole = out.plus(self.held).unwrap_or(out);
        let share = if self.held.is_zero() || whole.is_zero() {
            self.entry_fees
        } else {
            self.entry_fees.share(out, whole, half).unwrap_or(self.entry_fees)
        };
        let fees_left = self.entry_fees.minus(share).unwrap_or(Money::ZERO);
        ExitResult { net: self.realised.plus(fees_left).unwrap_or(self.realised), fees_left }
    }
}

impl Book {
    /// The entry with this id.
    pub fn find(&self, id: &Label) -> Option<&Entry> {
        let time = *self.index.get(id)?;
        let from = self.entries.partition_point(|e| e.time < time);
        self.entries[from..].iter().take_while(|e| e.time == time).find(|e| e.id == *id)
    }

    /// Adds an entry in its place. At the end this is one step; before it, the remembered entries are folded anew.
    ///
    /// # Errors
    /// [`ArithmeticError`] when a sum leaves the range of numbers; the book is unchanged then.
    pub fn insert(&mut self, entry: Entry) -> Exact<()> {
        if self.entries.last().is_none_or(|last| last.key() < entry.key()) {
            let mut now = self.now.clone();
            let ended = self.ended.len();
            if let Err(e) = now.step(&entry, &mut self.ended) {
                self.ended.truncate(ended);
                return Err(e);
            }
            self.now = now;
            self.note(&entry);
            self.entries.push(entry);
            return Ok(());
        }
        let at = self.entries.partition_point(|e| e.key() < entry.key());
        self.entries.insert(at, entry);
        if let Err(e) = self.refold() {
            self.entries.remove(at);
            return Err(e);
        }
        self.note(&entry);
        Ok(())
    }

    /// Puts another entry in the place of the one with its id (or just adds it).
    ///
    /// # Errors
    /// As [`Book::insert`]; the book is unchanged then.
    pub fn replace(&mut self, entry: Entry) -> Exact<()> {
        let before = self.clone();
        self.remove(&entry.id)?;
        self.insert(entry).inspect_err(|_| *self = before)
    }

    /// Takes the entry with this id out.
    ///
    /// # Errors
    /// As [`Book::insert`]; the book is unchanged then.
    pub fn remove(&mut self, id: &Label) -> Exact<()> {
        let Some(at) = self.position(id) else { return Ok(()) };
        let entry = self.entries.remove(at);
        if let Err(e) = self.refold() {
            self.entries.insert(at, entry);
            return Err(e);
        }
        self.index.remove(id);
        self.fees_unknown -= u32::from(entry.change.fee_unknown());
        Ok(())
    }

    fn position(&self, id: &Label) -> Option<usize> {
        let time = *self.index.get(id)?;
        let from = self.entries.partition_point(|e| e.time < time);
        self.entries[from..].iter().position(|e| e.id == *id).map(|at| from + at)
    }

    fn note(&mut self, entry: &Entry) {
        self.index.insert(entry.id, entry.time);
        self.fees_unknown += u32::from(entry.change.fee_unknown());
    }

    fn refold(&mut self) -> Exact<()> {
        let mut now = self.base.clone();
        let mut ended = Vec::new();
        for entry in &self.entries {
            now.step(entry, &mut ended)?;
        }
        self.now = now;
        self.ended = ended;
        Ok(())
    }

    /// Forgets ended cycles whose last execution lies before `cutoff`; what they amount to stays. The newest ended
    /// cycle is kept while anything is open or was told last, so that a late fill still finds it.
    pub fn forget(&mut self, cutoff: Timestamp) {
        while self.ended.len() > 1 && self.ended[0].sums.last < cutoff {
            let mut at = 0;
            let mut gone = Vec::new();
            let mut base = self.base.clone();
            while gone.is_empty() && at < self.entries.len() {
                if base.step(&self.entries[at], &mut gone).is_err() {
                    return;
                }
                at += 1;
            }
            let folded: Vec<Entry> = self.entries.drain(..at).collect();
            for entry in folded {
                self.index.remove(&entry.id);
                self.fees_unknown -= u32::from(entry.change.fee_unknown());
            }
            let cycle = self.ended.remove(0).sums.cycle;
            self.told.remove(&cycle);
            self.base = base;
        }
    }

    /// Base quantity of the open cycle's executions whose fee is not known.
    pub fn unknown_fee_quantity(&self) -> Quantity {
        if self.fees_unknown == 0 {
            return Quantity::ZERO;
        }
        let open = self.entries.iter().rev().take_while(|e| e.time >= self.now.opened);
        open.filter(|e| e.change.fee_unknown())
            .filter_map(|e| match e.change {
                Change::Buy(x) => Some(x.quantity),
                _ => None,
            })
            .try_fold(Quantity::ZERO, Quantity::plus)
            .unwrap_or(Quantity::ZERO)
    }
}
