//! The seam between the pure rooms and the commit loop: a machine turns inputs into facts and wishes to act.
//!
//! Two machines exist: the engine and the paper venue.

use crate::ids::{Lsn, Timestamp};
use crate::wire::DecodeError;
use alloc::vec::Vec;

/// What a record says beside its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordHead {
    /// Record kind; 0 is reserved.
    pub kind: u16,
    /// Version of the kind's layout.
    pub version: u8,
    /// Who brought it about.
    pub actor: u8,
    /// Event time.
    pub time: Timestamp,
    /// The record that led to it; [`Lsn::NONE`] for none.
    pub cause: Lsn,
}

/// What a machine decided upon one input: one batch, whole or not at all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision<E, F> {
    /// Facts, already applied to the machine's own state, in order.
    pub events: Vec<E>,
    /// What may be done once every one of the facts is durable.
    pub effects: Vec<F>,
}

impl<E, F> Default for Decision<E, F> {
    fn default() -> Decision<E, F> {
        Decision { events: Vec::new(), effects: Vec::new() }
    }
}

/// A pure, deterministic state machine on a journal.
pub trait Machine {
    /// What arrives.
    type Input;
    /// What is stored.
    type Event;
    /// What may leave once its events are durable.
    type Effect;

    /// Decides. The events in the answer have been applied already (emit is apply). `now` never falls.
    fn handle(&mut self, now: Timestamp, input: &Self::Input) -> Decision<Self::Event, Self::Effect>;

    /// Folds one stored event; total.
    fn apply(&mut self, event: &Self::Event);

    /// Appends an event's payload and tells the rest of its record.
    fn encode(event: &Self::Event, out: &mut Vec<u8>) -> RecordHead;

    /// Reads an event back.
    ///
    /// # Errors
    /// [`DecodeError`] when the record is not one of this machine's.
    fn decode(head: RecordHead, payload: &[u8]) -> Result<Self::Event, DecodeError>;

    /// Number of records folded so far.
    fn lsn(&self) -> Lsn;

    /// BLAKE3 of the canonical encoding of the folded state.
    fn digest(&self) -> [u8; 32];

    /// The canonical encoding of the folded state, for a checkpoint.
    fn save(&self) -> Vec<u8>;

    /// [`Machine::save`] with [`Machine::digest`]; one encoding may do for both.
    fn save_with_digest(&self) -> (Vec<u8>, [u8; 32]) {
        (self.save(), self.digest())
    }

    /// Takes over a state that [`Machine::save`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not one; the machine is unchanged then.
    fn load(&mut self, state: &[u8]) -> Result<(), DecodeError>;

    /// Whether the events of a decision may use the journal's last reserve: everything but new exposure may.
    fn may_use_reserve(events: &[Self::Event]) -> bool;
}
