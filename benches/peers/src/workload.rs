//! The records that everybody stores: real events of the lawful mix, encoded once, before anything is timed.
//!
//! Logs are compared here, not codecs, so nobody encodes while the clock runs. A record also has a kind, a time and an
//! actor; aegis keeps them in its frame, the others store the payload alone.

use aegis_benches::{Encoded, mixed};
use aegis_journal::NewRecord;
use std::sync::Arc;

/// Encoded events.
pub(crate) struct Workload {
    encoded: Arc<Encoded>,
}

impl Workload {
    /// The first `count` events of the mix.
    pub(crate) fn of(count: usize) -> Workload {
        let mut encoded = Encoded { heads: Vec::with_capacity(count), payloads: Vec::new() };
        for n in 0..count as u64 {
            let head = mixed(n).encode(&mut encoded.payloads);
            encoded.heads.push((head, encoded.payloads.len()));
        }
        Workload { encoded: Arc::new(encoded) }
    }

    /// The records, borrowed.
    pub(crate) fn records(&self) -> Vec<NewRecord<'_>> {
        self.encoded.records().collect()
    }

    /// Bytes of the first `count` payloads.
    pub(crate) fn payload_bytes(&self, count: usize) -> u64 {
        count.checked_sub(1).map_or(0, |last| self.encoded.heads[last].1 as u64)
    }

    /// What the first `count` payloads must read back as.
    pub(crate) fn check(&self, count: usize) -> Check {
        Check { encoded: self.encoded.clone(), count, next: 0, start: 0, wrong: None }
    }
}

/// Compares every payload that is read with the one that was written in its place.
#[derive(Clone)]
pub(crate) struct Check {
    encoded: Arc<Encoded>,
    count: usize,
    next: usize,
    start: usize,
    wrong: Option<usize>,
}

impl Check {
    /// The next payload that a peer hands back.
    #[inline]
    pub(crate) fn see(&mut self, payload: &[u8]) {
        let end = if self.next < self.count { self.encoded.heads[self.next].1 } else { self.start };
        if self.encoded.payloads[self.start..end] != *payload && self.wrong.is_none() {
            self.wrong = Some(self.next);
        }
        self.start = end;
        self.next += 1;
    }

    /// How many were seen, all of them as they were written; none when one was not, or one more was.
    pub(crate) fn seen(&self) -> Option<usize> {
        (self.wrong.is_none() && self.next <= self.count).then_some(self.next)
    }

    /// How many were seen, when all of them and nothing else came back.
    pub(crate) fn finish(self) -> Result<usize, String> {
        match self.wrong {
            Some(n) => Err(format!("record {n} of {} came back different", self.count)),
            None if self.next < self.count => {
                Err(format!("only {} of {} records came back", self.next, self.count))
            }
            None => Ok(self.next),
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("count", &self.count).field("next", &self.next).finish_non_exhaustive()
    }
}
