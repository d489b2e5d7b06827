//! What may be seen already: the last states of rows and balances, so that a reading can lag behind the machine.
//!
//! It is a bounded memory of the process and never says more than the machine does.

use aegis_model::input::VenueBalance;
use aegis_paper::{TriggerRow, VenueRow};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// How long states are remembered; no lag is longer.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(600);
/// States of one row or of the balances that are remembered.
const STATES: usize = 256;

/// The states of one thing, oldest first.
type States<T> = VecDeque<(Instant, T)>;

/// A memory of states.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    orders: BTreeMap<u64, Kept<VenueRow>>,
    triggers: BTreeMap<u64, Kept<TriggerRow>>,
    balances: States<Vec<VenueBalance>>,
}

/// The states of one row, and whether the first of them is the row's very first.
#[derive(Debug)]
struct Kept<T> {
    born: bool,
    states: States<T>,
}

/// What a reading that lags sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum View<T> {
    /// What the machine has.
    Now,
    /// An older state.
    Then(T),
    /// Nothing yet.
    Nothing,
}

fn keep<T>(states: &mut States<T>, state: T) {
    let now = Instant::now();
    states.push_back((now, state));
    // The newest that is too old to matter stays, as what stood then.
    while states.len() > STATES || states.get(1).is_some_and(|(at, _)| now.duration_since(*at) > REMEMBERED) {
        states.pop_front();
    }
}

impl<T: Clone> Kept<T> {
    fn at(&self, until: Instant) -> View<T> {
        match self.states.iter().rev().find(|(at, _)| *at <= until) {
            Some((_, state)) => View::Then(state.clone()),
            None if self.born => View::Nothing,
            None => self.states.front().map_or(View::Now, |(_, first)| View::Then(first.clone())),
        }
    }
}

fn add<T>(rows: &mut BTreeMap<u64, Kept<T>>, number: u64, row: T, born: bool) {
    keep(&mut rows.entry(number).or_insert_with(|| Kept { born, states: VecDeque::new() }).states, row);
}

impl Seen {
    /// An order has changed; `born` when one that is not remembered yet did not exist before.
    pub(crate) fn order(&mut self, number: u64, row: VenueRow, born: bool) {
        add(&mut self.orders, number, row, born);
    }

    /// A conditional order has changed.
    pub(crate) fn trigger(&mut self, number: u64, row: TriggerRow, born: bool) {
        add(&mut self.triggers, number, row, born);
    }

    /// The balances have changed.
    pub(crate) fn balance(&mut self, balances: Vec<VenueBalance>) {
        keep(&mut self.balances, balances);
    }

    /// An order as it stood at a time.
    pub(crate) fn order_at(&self, number: u64, until: Instant) -> View<VenueRow> {
        self.orders.get(&number).map_or(View::Now, |kept| kept.at(until))
    }

    /// A conditional order as it stood at a time.
    pub(crate) fn trigger_at(&self, number: u64, until: Instant) -> View<TriggerRow> {
        self.triggers.get(&number).map_or(View::Now, |kept| kept.at(until))
    }

    /// The balances as they stood at a time.
    pub(crate) fn balances_at(&self, until: Instant) -> View<Vec<VenueBalance>> {
        let then = self.balances.iter().rev().find(|(at, _)| *at <= until).or_else(|| self.balances.front());
        then.map_or(View::Now, |(_, balances)| View::Then(balances.clone()))
    }

    /// Forgets everything: nothing lags any more.
    pub(crate) fn clear(&mut self) {
        *self = Seen::default();
    }
}
