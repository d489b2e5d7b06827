//! One instrument's fills, folded by execution time: quantity, cost, profit, cycles.
//!
//! The order of arrival never matters: entries are kept sorted and folded in that order (the fold itself is in
//! `fold`). It never rounds without a name, and what a rounding leaves stays in the cost.

mod explain;
mod fold;
mod index;

use aegis_model::ArithmeticError;
use aegis_model::event::Fee;
use aegis_model::ids::{Lsn, OrderId, Timestamp};
use aegis_model::money::{Money, Price, Quantity};
use aegis_model::text::Label;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

pub use explain::{ExitResult, Lot};
pub use index::TradeIndex;

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
        /// When it was adopted; real buys executed before, and learned of after, explain it.
        known: Timestamp,
        /// How much of it such buys have explained.
        explained: Quantity,
    },
    /// Dust put back.
    DustIn {
        /// How much.
        quantity: Quantity,
        /// Its cost.
        cost: Money,
    },
    /// The cost was set to a stated average times the gross quantity.
    CostSet(Price),
    /// A sell.
    Sell(Execution),
    /// The venue has less.
    Missing {
        /// How much less.
        quantity: Quantity,
        /// How much of it real sells, executed before and learned of after, have explained.
        explained: Quantity,
    },
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
    /// Sells that found too little: quantity, their base fees included.
    pub waiting: Quantity,
    /// Of `waiting`: base fees.
    pub waiting_base_fees: Quantity,
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
    /// Base sold in the cycle, as traded.
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
    /// What entered the cycle without a buy: adoptions and returned dust.
    pub entered: Quantity,
    /// What left the cycle without a sell, a fee or becoming dust.
    pub lost: Quantity,
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
    /// How many entries since the journal began lead to this end.
    pub through: u64,
}

/// One instrument's entries and what they amount to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Book {
    /// What the forgotten entries amount to.
    pub base: Holding,
    /// Remembered entries in fold order.
    pub entries: VecDeque<Entry>,
    /// What all entries amount to.
    pub now: Holding,
    /// Ended cycles of the remembered entries, oldest first.
    pub ended: VecDeque<CycleSummary>,
    /// Profit of each remembered ended cycle as it was last told by `PositionClosed` or `CycleRestated`.
    pub told: BTreeMap<u32, Money>,
    /// The remembered executions by trade id, so that a repeat is found without a scan.
    pub index: TradeIndex,
    /// Remembered executions whose fee is not known, inferred parts included.
    pub fees_unknown: u32,
    /// How many entries are forgotten.
    pub forgotten: u64,
    /// Time of the youngest forgotten entry: nothing can be put before it any more.
    pub horizon: Option<Timestamp>,
    /// The UTC day on which forgetting was last looked at.
    pub swept: i64,
    /// Up to when executions learned of later may explain a correction; none without corrections.
    pub corrected: Option<Timestamp>,
}

/// A change of a book's list of entries; [`Book::edit`] answers with the one that undoes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    /// A new entry, in its place.
    Insert(Entry),
    /// Another entry with the same time, rank and id.
    Replace(usize, Entry),
    /// An entry out.
    Remove(usize),
}

impl Change {
    /// The place among entries of one time: what adds comes before what takes away, and a rest is a rest of all that.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Change::Buy(_) | Change::Adopted { .. } | Change::DustIn { .. } => 0,
            Change::FeeDrain(_) | Change::CostSet(_) => 1,
            Change::Sell(_) => 2,
            Change::Missing { .. } => 3,
            Change::Excess(_) => 4,
            Change::DustOut(_) => 5,
        }
    }

    /// The buy or sell that it is, if it is one.
    pub const fn execution(&self) -> Option<&Execution> {
        match self {
            Change::Buy(x) | Change::Sell(x) => Some(x),
            Change::FeeDrain(_)
            | Change::Adopted { .. }
            | Change::DustIn { .. }
            | Change::CostSet(_)
            | Change::Missing { .. }
            | Change::DustOut(_)
            | Change::Excess(_) => None,
        }
    }

    const fn fee_unknown(&self) -> bool {
        match self.execution() {
            Some(x) => x.fee.is_none(),
            None => false,
        }
    }
}

impl Entry {
    fn key(&self) -> (Timestamp, u8, Label) {
        (self.time, self.change.rank(), self.id)
    }

    /// Whether it is an execution that the venue named, found by its trade id.
    const fn is_trade(&self) -> bool {
        match self.change.execution() {
            Some(x) => !x.inferred,
            None => false,
        }
    }
}

type Exact<T> = Result<T, ArithmeticError>;

impl bincode::Encode for Book {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        let Book {
            base,
            entries,
            now,
            ended,
            told,
            index: _,
            fees_unknown,
            forgotten,
            horizon,
            swept,
            corrected,
        } = self;
        base.encode(encoder)?;
        entries.encode(encoder)?;
        now.encode(encoder)?;
        ended.encode(encoder)?;
        told.encode(encoder)?;
        fees_unknown.encode(encoder)?;
        forgotten.encode(encoder)?;
        horizon.encode(encoder)?;
        swept.encode(encoder)?;
        corrected.encode(encoder)
    }
}

impl<Context> bincode::Decode<Context> for Book {
    fn decode<D: bincode::de::Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Book, bincode::error::DecodeError> {
        let base = Holding::decode(decoder)?;
        let entries = VecDeque::decode(decoder)?;
        Ok(Book {
            base,
            index: TradeIndex::of(&entries),
            entries,
            now: Holding::decode(decoder)?,
            ended: VecDeque::decode(decoder)?,
            told: BTreeMap::decode(decoder)?,
            fees_unknown: u32::decode(decoder)?,
            forgotten: u64::decode(decoder)?,
            horizon: Option::decode(decoder)?,
            swept: i64::decode(decoder)?,
            corrected: Option::decode(decoder)?,
        })
    }
}
bincode::impl_borrow_decode!(Book);

impl Book {
    /// The execution with this trade id.
    pub fn find(&self, id: &Label) -> Option<&Entry> {
        self.position(id).map(|at| &self.entries[at])
    }

    /// Where the execution with this trade id stands.
    pub(crate) fn position(&self, id: &Label) -> Option<usize> {
        self.index.find(id, |time| {
            let from = self.entries.partition_point(|e| e.time < time);
            let mut same_time = self.entries.range(from..).take_while(|e| e.time == time);
            same_time.position(|e| e.is_trade() && e.id == *id).map(|at| from + at)
        })
    }

    /// Where the entry stands that an order's row made without trades.
    pub(crate) fn inferred(&self, order: OrderId) -> Option<usize> {
        let of_order = |e: &Entry| e.change.execution().is_some_and(|x| x.inferred && x.order == order);
        self.entries.iter().rposition(of_order)
    }

    /// Whether an execution at this time lies in what is forgotten.
    pub fn is_forgotten(&self, time: Timestamp) -> bool {
        self.horizon.is_some_and(|horizon| time <= horizon)
    }

    /// Adds an entry in its place. At the end this is one step; before it, the cycle that it falls into and what
    /// comes after are folded anew.
    ///
    /// # Errors
    /// [`ArithmeticError`] when a sum leaves the range of numbers; the book is unchanged then.
    pub fn insert(&mut self, entry: Entry) -> Result<(), ArithmeticError> {
        self.edit(Edit::Insert(entry)).map(|_| ())
    }

    /// Makes one change of the list and folds what it concerns; answers with what undoes it.
    ///
    /// # Errors
    /// As [`Book::insert`]; the book is unchanged then.
    pub(crate) fn edit(&mut self, edit: Edit) -> Exact<Edit> {
        match edit {
            Edit::Insert(entry) => {
                let at = match self.entries.back() {
                    Some(last) if entry.key() <= last.key() => {
                        self.entries.partition_point(|e| e.key() <= entry.key())
                    }
                    _ => self.entries.len(),
                };
                if at == self.entries.len() {
                    self.append(&entry)?;
                } else {
                    self.entries.insert(at, entry);
                    if let Err(e) = self.refold(at) {
                        self.entries.remove(at);
                        return Err(e);
                    }
                    self.note(&entry);
                }
                Ok(Edit::Remove(at))
            }
            Edit::Replace(at, entry) => {
                let old = core::mem::replace(&mut self.entries[at], entry);
                if let Err(e) = self.refold(at) {
                    self.entries[at] = old;
                    return Err(e);
                }
                self.unnote(&old);
                self.note(&entry);
                Ok(Edit::Replace(at, old))
            }
            Edit::Remove(at) => {
                let old = self.entries[at];
                self.entries.remove(at);
                if let Err(e) = self.refold(at) {
                    self.entries.insert(at, old);
                    return Err(e);
                }
                self.unnote(&old);
                Ok(Edit::Insert(old))
            }
        }
    }

    /// Whether an entry comes behind all others.
    pub(crate) fn is_last(&self, entry: &Entry) -> bool {
        self.entries
            .back()
            .is_none_or(|last| (last.time, last.change.rank()) < (entry.time, entry.change.rank()))
    }

    /// Adds an entry behind all others.
    ///
    /// # Errors
    /// As [`Book::insert`]; the book is unchanged then.
    pub(crate) fn append(&mut self, entry: &Entry) -> Exact<()> {
        let before = self.now.clone();
        let ended = match self.now.step(entry) {
            Ok(ended) => ended,
            Err(e) => {
                self.now = before;
                return Err(e);
            }
        };
        self.entries.push_back(*entry);
        if ended {
            let through = self.forgotten + self.entries.len() as u64;
            self.ended.push_back(CycleSummary { sums: self.now.clone(), through });
        }
        self.note(entry);
        Ok(())
    }

    fn note(&mut self, entry: &Entry) {
        if entry.is_trade() {
            self.index.insert(&entry.id, entry.time);
        }
        self.fees_unknown += u32::from(entry.change.fee_unknown());
        let open_until = match entry.change {
            Change::Missing { .. } => Some(entry.time),
            Change::Adopted { known, .. } => Some(known),
            Change::Buy(_)
            | Change::FeeDrain(_)
            | Change::DustIn { .. }
            | Change::CostSet(_)
            | Change::Sell(_)
            | Change::DustOut(_)
            | Change::Excess(_) => None,
        };
        self.corrected = self.corrected.max(open_until);
    }

    fn unnote(&mut self, entry: &Entry) {
        if entry.is_trade() {
            self.index.remove(&entry.id, entry.time);
        }
        self.fees_unknown = self.fees_unknown.saturating_sub(u32::from(entry.change.fee_unknown()));
    }

    /// Folds anew from the last end of a cycle before the entry at `from`; nothing changes when a sum overflows.
    fn refold(&mut self, from: usize) -> Exact<()> {
        let kept = self.ended.partition_point(|c| c.through <= self.forgotten + from as u64);
        let (mut now, start) = self.flat_point(kept);
        let mut later = VecDeque::new();
        for (at, entry) in self.entries.iter().enumerate().skip(start) {
            if now.step(entry)? {
                later.push_back(CycleSummary { sums: now.clone(), through: self.forgotten + at as u64 + 1 });
            }
        }
        self.ended.truncate(kept);
        self.ended.append(&mut later);
        self.now = now;
        Ok(())
    }

    /// The state after the first `cycles` remembered ends, and how many of the remembered entries lead there.
    fn flat_point(&self, cycles: usize) -> (Holding, usize) {
        match cycles.checked_sub(1).and_then(|last| self.ended.get(last)) {
            Some(cycle) => {
                let remembered = cycle.through.saturating_sub(self.forgotten);
                (cycle.sums.clone(), usize::try_from(remembered).unwrap_or(usize::MAX))
            }
            None => (self.base.clone(), 0),
        }
    }

    /// Forgets ended cycles whose last execution lies before `cutoff`, and what lies between cycles before it; what
    /// they amount to stays. Nothing of an open cycle is ever forgotten.
    pub fn forget(&mut self, cutoff: Timestamp) {
        if self.entries.front().is_none_or(|e| e.time >= cutoff) {
            return;
        }
        let cycles = self.ended.partition_point(|c| c.sums.last < cutoff);
        let (mut base, mut through) = self.flat_point(cycles);
        while let Some(entry) = self.entries.get(through).filter(|e| e.time < cutoff) {
            let mut next = base.clone();
            match next.step(entry) {
                Ok(false) if !next.is_open() => (base, through) = (next, through + 1),
                Ok(_) | Err(_) => break,
            }
        }
        if through == 0 {
            return;
        }
        for _ in 0..through {
            let Some(entry) = self.entries.pop_front() else { break };
            self.unnote(&entry);
            self.horizon = self.horizon.max(Some(entry.time));
        }
        self.forgotten += through as u64;
        self.ended.drain(..cycles);
        self.told = self.told.split_off(&base.cycle.saturating_add(1));
        self.base = base;
    }

    /// Base quantity of the open cycle's buys whose fee is not known.
    pub fn unknown_fee_quantity(&self) -> Quantity {
        if self.fees_unknown == 0 {
            return Quantity::ZERO;
        }
        let open = self.entries.iter().rev().take_while(|e| e.time >= self.now.opened);
        open.filter(|e| matches!(e.change, Change::Buy(x) if x.fee.is_none()))
            .filter_map(|e| e.change.execution().map(|x| x.quantity))
            .try_fold(Quantity::ZERO, Quantity::plus)
            .unwrap_or(Quantity::ZERO)
    }

    /// Corrections that a real execution explains, which became known only after them (semantics rule 43): a sell
    /// explains what was missing, a buy what was adopted. Answers with the entries to put in their places.
    ///
    /// `since` is the record of the execution's intent: an order intended after a correction cannot explain it.
    pub(crate) fn explained_by(&self, entry: &Entry, since: Lsn, mut rest: Quantity) -> Vec<Edit> {
        let mut edits = Vec::new();
        if self.corrected.is_none_or(|until| entry.time > until) {
            return edits;
        }
        for (at, old) in self.entries.iter().enumerate() {
            if !rest.is_positive() {
                break;
            }
            if old.lsn <= since {
                continue;
            }
            let mut new = *old;
            let (quantity, explained) = match (&entry.change, &mut new.change) {
                (Change::Sell(_), Change::Missing { quantity, explained }) if entry.time <= old.time => {
                    (*quantity, explained)
                }
                (Change::Buy(_), Change::Adopted { quantity, known, explained, .. })
                    if entry.time <= *known =>
                {
                    (*quantity, explained)
                }
                _ => continue,
            };
            let Ok(open) = quantity.minus(*explained) else { continue };
            let taken = open.min(rest);
            if let (true, Ok(more), Ok(less)) =
                (taken.is_positive(), explained.plus(taken), rest.minus(taken))
            {
                *explained = more;
                rest = less;
                edits.push(Edit::Replace(at, new));
            }
        }
        edits
    }
}
