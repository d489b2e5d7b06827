//! Positions and what each earned: rows by instrument and cycle, and the shares that they add up to.

use super::{Chart, Moment};
use aegis_model::event::PositionClosed;
use aegis_model::{ExitReason, InstrumentId, Lsn, Money, Quantity, Rate};
use aegis_projection::State;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Positions kept as rows; older ones are only in the shares.
const POSITIONS_MAX: usize = 10_000;
/// Closed positions whose chart is kept.
const CHARTS_MAX: usize = 40;
/// What is booked outside of all positions that were told.
const UNTOLD: &str = "not told of a position";

/// A position from its first execution to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Position {
    /// The instrument.
    pub instrument: String,
    /// Which of its positions, from 1.
    pub cycle: u32,
    /// Its first execution.
    pub opened: Moment,
    /// Its last execution; none while it is open.
    pub closed: Option<Moment>,
    /// Base bought, as traded.
    pub bought: Quantity,
    /// Its value, without fees.
    pub buy_value: Money,
    /// Base sold, as traded.
    pub sold: Quantity,
    /// Its value, without fees.
    pub sell_value: Money,
    /// Fees in quote.
    pub quote_fees: Money,
    /// Fees in base.
    pub base_fees: Quantity,
    /// Profit realised until the end of the window, as it was last told.
    pub profit: Money,
    /// Of that, what was realised before the window.
    pub before: Money,
    /// Profit over what was paid; none while it is open.
    pub rate: Option<Rate>,
    /// What remained and cannot be sold.
    pub dust: Quantity,
    /// Why it was left; none while it is open, or when no exit of ours did.
    pub reason: Option<ExitReason>,
    /// What opened it, and what joined it.
    pub source: String,
    /// How often its profit was told anew.
    pub restated: u32,
    /// The record that closed it; while it is open, the one that opened it.
    pub lsn: Lsn,
    /// Prices, executions and the stop.
    #[serde(skip)]
    pub chart: Option<Box<Chart>>,
}

impl Position {
    /// What is realised in the window.
    pub fn profit_in_window(&self) -> Money {
        self.profit.minus(self.before).unwrap_or(self.profit)
    }

    /// Whether it is a matter of a window that begins with this record.
    fn counts(&self, first: Lsn) -> bool {
        self.closed.is_none() || self.lsn >= first || self.profit != self.before
    }

    fn reason_name(&self) -> String {
        match (self.closed, self.reason) {
            (None, _) => "still open".to_owned(),
            (Some(_), None) => "no exit of ours".to_owned(),
            (Some(_), Some(reason)) => reason.to_string(),
        }
    }
}

/// A part of the profit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Share {
    /// Of what.
    pub name: String,
    /// Positions, open ones included.
    pub positions: u64,
    /// Of them, with a profit above zero.
    pub won: u64,
    /// Of them, with a loss.
    pub lost: u64,
    /// The profit realised in the window.
    pub profit: Money,
}

/// Fees in one asset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fees {
    /// The asset.
    pub asset: String,
    /// All fees paid in it.
    pub amount: Quantity,
}

#[derive(Clone, Copy, Default)]
struct Part {
    positions: u64,
    won: u64,
    lost: u64,
    profit: Money,
}

impl Part {
    fn add(&mut self, other: Part) {
        self.positions += other.positions;
        self.won += other.won;
        self.lost += other.lost;
        self.profit = self.profit.plus(other.profit).unwrap_or(self.profit);
    }
}

/// By instrument, reason and source.
type Parts = BTreeMap<(String, String, String), Part>;

/// All positions.
#[derive(Default)]
pub(super) struct Ledger {
    rows: BTreeMap<(InstrumentId, u32), Position>,
    /// The cycle that each instrument is in.
    now: BTreeMap<InstrumentId, u32>,
    /// In the order in which they were closed.
    closed: VecDeque<(InstrumentId, u32)>,
    charts: VecDeque<(InstrumentId, u32)>,
    /// What the positions that are no rows any more earned.
    older: Parts,
    more: u64,
    /// The first record of the window.
    first: Lsn,
    /// Realised of each instrument before the window.
    realised_before: Vec<Money>,
}

impl Ledger {
    /// The window begins: what was realised until here is before it.
    pub(super) fn begin(&mut self, state: &State) {
        self.realised_before = state.instruments.iter().map(|i| i.book.now.realised_total).collect();
        self.first = state.lsn.next();
        self.older.clear();
        self.more = 0;
        let keys: Vec<_> = self.rows.keys().copied().collect();
        for key in keys {
            self.refresh(state, key);
        }
        self.rows.values_mut().for_each(|row| row.before = row.profit);
    }

    /// Takes what an open position has by now from the book.
    fn refresh(&mut self, state: &State, key: (InstrumentId, u32)) {
        let Some(row) = self.rows.get_mut(&key).filter(|row| row.closed.is_none()) else { return };
        let Some(book) = state.instrument(key.0).map(|i| &i.book) else { return };
        let now = if book.now.cycle == key.1 {
            &book.now
        } else if let Some(ended) = book.ended.iter().find(|e| e.sums.cycle == key.1) {
            &ended.sums
        } else {
            return;
        };
        row.opened = Moment(now.opened);
        (row.bought, row.buy_value) = (now.bought, now.buy_value);
        (row.sold, row.sell_value) = (now.sold, now.sell_value);
        (row.quote_fees, row.base_fees) = (now.quote_fees, now.base_fees);
        (row.profit, row.dust) = (now.realised, now.dust);
    }

    /// The chart of an instrument's open position.
    pub(super) fn chart(&mut self, instrument: InstrumentId) -> Option<&mut Chart> {
        let cycle = *self.now.get(&instrument)?;
        let row = self.rows.get_mut(&(instrument, cycle)).filter(|row| row.closed.is_none())?;
        row.chart.as_deref_mut()
    }

    /// Notices a position that was opened, and what brought something into it; answers whether one began.
    pub(super) fn entered(
        &mut self,
        state: &State,
        id: InstrumentId,
        lsn: Lsn,
        source: Option<&str>,
    ) -> bool {
        let Some(instrument) = state.instrument(id) else { return false };
        let cycle = instrument.book.now.cycle;
        if cycle == 0 {
            return false;
        }
        let began = self.now.insert(id, cycle) != Some(cycle);
        if began {
            // Late news can make one cycle of two: what was begun as the second is none.
            let later = self.rows.range((id, cycle.saturating_add(1))..=(id, u32::MAX));
            let gone: Vec<_> = later.filter(|(_, row)| row.closed.is_none()).map(|(key, _)| *key).collect();
            for key in gone.into_iter().filter(|key| key.1 > cycle) {
                self.rows.remove(&key);
            }
        }
        if began && !self.rows.contains_key(&(id, cycle)) {
            let row = Position {
                instrument: instrument.spec.name.to_string(),
                cycle,
                opened: Moment(instrument.book.now.opened),
                closed: None,
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
                source: source.unwrap_or_default().to_owned(),
                restated: 0,
                lsn,
                chart: Some(Box::default()),
            };
            self.rows.insert((id, cycle), row);
        } else if let (Some(source), Some(row)) = (source, self.rows.get_mut(&(id, cycle)))
            && !row.source.split(" + ").any(|known| known == source)
        {
            if !row.source.is_empty() {
                row.source.push_str(" + ");
            }
            row.source.push_str(source);
        }
        began
    }

    /// A position was told closed.
    pub(super) fn closed(&mut self, state: &State, lsn: Lsn, f: &PositionClosed) {
        let key = (f.instrument, f.cycle);
        if !self.rows.contains_key(&key) {
            self.entered(state, f.instrument, lsn, None);
        }
        let Some(row) = self.rows.get_mut(&key) else { return };
        let again = row.closed.is_some();
        row.opened = Moment(f.opened);
        row.closed = Some(Moment(f.closed));
        (row.bought, row.buy_value) = (f.bought, f.buy_value);
        (row.sold, row.sell_value) = (f.sold, f.sell_value);
        (row.quote_fees, row.base_fees) = (f.quote_fees, f.base_fees);
        (row.profit, row.rate) = (f.realised, Some(f.rate));
        (row.dust, row.reason, row.lsn) = (f.dust, f.reason, lsn);
        if again {
            return;
        }
        self.closed.push_back(key);
        self.charts.push_back(key);
        if self.charts.len() > CHARTS_MAX
            && let Some(row) = self.charts.pop_front().and_then(|old| self.rows.get_mut(&old))
        {
            row.chart = None;
        }
        if self.closed.len() > POSITIONS_MAX
            && let Some(row) = self.closed.pop_front().and_then(|old| self.rows.remove(&old))
        {
            if row.counts(self.first) {
                self.more += 1;
                add(&mut self.older, &row);
            }
        }
    }

    /// A closed position's profit was told anew.
    pub(super) fn restated(&mut self, id: InstrumentId, cycle: u32, profit: Money) {
        if let Some(row) = self.rows.get_mut(&(id, cycle)) {
            row.profit = profit;
            row.restated += 1;
        }
    }

    /// The rows of the window, how many older ones there are, and the shares by instrument, reason and source.
    pub(super) fn finish(mut self, state: &State) -> (Vec<Position>, u64, [Vec<Share>; 3]) {
        let keys: Vec<_> = self.rows.keys().copied().collect();
        keys.into_iter().for_each(|key| self.refresh(state, key));
        let mut parts = self.older;
        let mut rows: Vec<Position> = Vec::new();
        for row in self.rows.into_values() {
            if !row.counts(self.first) {
                continue;
            }
            add(&mut parts, &row);
            rows.push(row);
        }
        for (at, instrument) in state.instruments.iter().enumerate() {
            let name = instrument.spec.name.to_string();
            let before = self.realised_before.get(at).copied().unwrap_or(Money::ZERO);
            let all = instrument.book.now.realised_total.minus(before).unwrap_or(Money::ZERO);
            let sum = parts
                .iter()
                .filter(|((of, ..), _)| *of == name)
                .fold(Money::ZERO, |sum, (_, part)| sum.plus(part.profit).unwrap_or(sum));
            let rest = all.minus(sum).unwrap_or(Money::ZERO);
            if !rest.is_zero() {
                let part = Part { profit: rest, ..Part::default() };
                parts.entry((name, UNTOLD.to_owned(), UNTOLD.to_owned())).or_default().add(part);
            }
        }
        rows.sort_by_key(|row| (row.closed.is_none(), row.closed, row.lsn));
        let shares = [
            shares(&parts, |(instrument, _, _)| instrument),
            shares(&parts, |(_, reason, _)| reason),
            shares(&parts, |(_, _, source)| source),
        ];
        (rows, self.more, shares)
    }
}

fn add(parts: &mut Parts, row: &Position) {
    let profit = row.profit_in_window();
    let part = Part {
        positions: 1,
        won: u64::from(profit.is_positive()),
        lost: u64::from(profit.is_negative()),
        profit,
    };
    let source = if row.source.is_empty() { "not known" } else { &row.source };
    parts.entry((row.instrument.clone(), row.reason_name(), source.to_owned())).or_default().add(part);
}

fn shares(parts: &Parts, name: impl Fn(&(String, String, String)) -> &String) -> Vec<Share> {
    let mut sums: BTreeMap<&String, Part> = BTreeMap::new();
    for (key, part) in parts {
        sums.entry(name(key)).or_default().add(*part);
    }
    sums.into_iter()
        .map(|(name, part)| Share {
            name: name.clone(),
            positions: part.positions,
            won: part.won,
            lost: part.lost,
            profit: part.profit,
        })
        .collect()
}
