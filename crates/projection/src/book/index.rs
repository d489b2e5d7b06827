//! Which executions a book remembers, by trade id: the answer to "was this one counted already?".
//!
//! It follows from the entries, so it is no part of the canonical encoding. It is asked for one id at a time and never
//! walked through in the order in which the table holds them, so that nothing depends on that order.

use super::Entry;
use aegis_model::ids::Timestamp;
use aegis_model::text::Label;
use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Times of the remembered executions by trade id.
#[derive(Clone, Debug, Default)]
pub struct TradeIndex(HashTable<(Label, Timestamp)>);

fn hash(id: &Label) -> u64 {
    FixedState::default().hash_one(id)
}

impl TradeIndex {
    /// The index of these entries.
    pub(super) fn of(entries: &[Entry]) -> TradeIndex {
        let mut index = TradeIndex::default();
        for entry in entries.iter().filter(|e| e.is_trade()) {
            index.insert(entry.id, entry.time);
        }
        index
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
        self.0.find(hash(id), |(known, _)| known == id).map(|(_, time)| *time)
    }

    /// Remembers an execution; one with this id is replaced.
    pub(super) fn insert(&mut self, id: Label, time: Timestamp) {
        let place = hash(&id);
        match self.0.find_mut(place, |(known, _)| *known == id) {
            Some(known) => known.1 = time,
            None => {
                self.0.insert_unique(place, (id, time), |(known, _)| hash(known));
            }
        }
    }

    pub(super) fn remove(&mut self, id: &Label) {
        if let Ok(found) = self.0.find_entry(hash(id), |(known, _)| known == id) {
            found.remove();
        }
    }
}

impl PartialEq for TradeIndex {
    fn eq(&self, other: &TradeIndex) -> bool {
        self.len() == other.len() && self.0.iter().all(|(id, time)| other.get(id) == Some(*time))
    }
}

impl Eq for TradeIndex {}
