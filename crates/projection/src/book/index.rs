//! Which executions a book remembers, by trade id: the answer to "was this one counted already?".
//!
//! It follows from the entries, so it is no part of the canonical encoding, and it is only ever asked for one id:
//! nothing depends on the order in which the table holds them.

use super::Entry;
use aegis_model::ids::Timestamp;
use aegis_model::text::Label;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Times of the remembered executions by trade id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TradeIndex(HashMap<Label, Timestamp, FixedState>);

impl TradeIndex {
    /// The index of these entries.
    pub(super) fn of(entries: &[Entry]) -> TradeIndex {
        let trades = entries.iter().filter(|e| e.is_trade());
        TradeIndex(trades.map(|e| (e.id, e.time)).collect())
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When the execution with this id was executed, if it is remembered.
    pub fn get(&self, id: &Label) -> Option<Timestamp> {
        self.0.get(id).copied()
    }

    pub(super) fn insert(&mut self, id: Label, time: Timestamp) {
        self.0.insert(id, time);
    }

    pub(super) fn remove(&mut self, id: &Label) {
        self.0.remove(id);
    }
}
