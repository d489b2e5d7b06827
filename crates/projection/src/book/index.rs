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

/// Remembered executions by trade id: the hash of the id, and when it was executed. Who asks holds the time against the
/// entries, which tell the id in full.
#[derive(Clone, Debug, Default)]
pub struct TradeIndex(HashTable<(u64, Timestamp)>);

fn hash(id: &Label) -> u64 {
    FixedState::default().hash_one(id)
}

impl TradeIndex {
    /// The index of these entries.
    pub(super) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> TradeIndex {
        let mut index = TradeIndex::default();
        for entry in entries.into_iter().filter(|e| e.is_trade()) {
            index.insert(&entry.id, entry.time);
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

    /// What `at` finds at one of the times that an execution with this id may have; ids with one hash are told apart by
    /// `at`.
    pub(super) fn find<T>(&self, id: &Label, at: impl Fn(Timestamp) -> Option<T>) -> Option<T> {
        let place = hash(id);
        let mut found = None;
        self.0.find(place, |(known, time)| {
            if *known == place {
                found = at(*time);
            }
            found.is_some()
        });
        found
    }

    pub(super) fn insert(&mut self, id: &Label, time: Timestamp) {
        let place = hash(id);
        self.0.insert_unique(place, (place, time), |(known, _)| *known);
    }

    /// Two executions with one hash and one time are one as good as the other here.
    pub(super) fn remove(&mut self, id: &Label, time: Timestamp) {
        let place = hash(id);
        if let Ok(found) = self.0.find_entry(place, |known| *known == (place, time)) {
            found.remove();
        }
    }

    fn count(&self, one: &(u64, Timestamp)) -> usize {
        self.0.iter_hash(one.0).filter(|known| *known == one).count()
    }
}

impl PartialEq for TradeIndex {
    fn eq(&self, other: &TradeIndex) -> bool {
        self.len() == other.len() && self.0.iter().all(|one| self.count(one) == other.count(one))
    }
}

impl Eq for TradeIndex {}
