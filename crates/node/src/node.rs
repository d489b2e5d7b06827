//! The commit loop on an open journal. It never hands out an effect before its records are durable, and after the
//! first failure it does nothing any more: only a restart, which replays, goes on.

use aegis_journal::{GapEvidence, NewRecord, OlderCheck, Room, Space, Storage, Writer};
use aegis_model::ids::{Lsn, Timestamp};
use aegis_model::machine::{Machine, RecordHead};
use std::fmt;

/// Records that may wait for a sync when no effect asks for one: bounds what a power cut can take back, and with it
/// what a restart has to decide again.
pub const UNSYNCED_MAX: u64 = 4096;
/// Records between two automatic checkpoints: replaying that many takes some tens of milliseconds.
pub const CHECKPOINT_RECORDS: u64 = 200_000;
/// Bytes before the machine's own state in a checkpoint: the time of the last record, so that time cannot fall after
/// a start that replays nothing.
pub(crate) const CHECKPOINT_HEAD: usize = 8;

/// The bounds of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records that may be appended and not yet durable when a step ends.
    pub unsynced_max: u64,
    /// Records between automatic checkpoints; 0 for none.
    pub checkpoint_records: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { unsynced_max: UNSYNCED_MAX, checkpoint_records: CHECKPOINT_RECORDS }
    }
}

/// Why the node stopped. The process ends; a restart re-reads the disk and replays.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The batch could not be appended. The machine has already decided, so its memory is ahead of the journal.
    Append(aegis_journal::Fault),
    /// What was appended could not be made durable; nothing of it was released.
    Sync(aegis_journal::Fault),
    /// The journal broke while a checkpoint or mark was written.
    Upkeep(aegis_journal::Fault),
    /// An earlier fault stands; its words.
    Latched(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Append(cause) => write!(f, "a decision could not be appended to the journal: {cause}"),
            Fault::Sync(cause) => write!(f, "appended records could not be made durable: {cause}"),
            Fault::Upkeep(cause) => write!(f, "the journal broke during a checkpoint or mark: {cause}"),
            Fault::Latched(first) => write!(f, "stopped by an earlier fault: {first}"),
        }?;
        f.write_str("; nothing that was not durable has been acted on: restart to replay from the disk")
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Fault::Append(cause) | Fault::Sync(cause) | Fault::Upkeep(cause) => Some(cause),
            Fault::Latched(_) => None,
        }
    }
}

/// What was written since the node was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records appended.
    pub records: u64,
    /// Batches appended.
    pub batches: u64,
    /// Syncs.
    pub syncs: u64,
    /// Bytes appended, frames included.
    pub bytes: u64,
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Checkpoints that failed without harm: the next start replays more.
    pub checkpoints_failed: u64,
}

/// A machine on its journal.
pub struct Node<M: Machine, S: Storage> {
    machine: M,
    writer: Writer<S>,
    limits: Limits,
    last: Timestamp,
    latched: Option<String>,
    checkpointed: u64,
    stats: Stats,
    payloads: Vec<u8>,
    heads: Vec<(RecordHead, usize)>,
    older: Option<OlderCheck<S::Read>>,
}

impl<M: Machine, S: Storage> Node<M, S> {
    /// A node whose machine has folded everything that the writer's journal holds.
    pub(crate) fn new(
        machine: M,
        writer: Writer<S>,
        limits: Limits,
        last: Timestamp,
        checkpointed: u64,
        older: Option<OlderCheck<S::Read>>,
    ) -> Node<M, S> {
        Node {
            machine,
            writer,
            limits,
            last,
            latched: None,
            checkpointed,
            stats: Stats::default(),
            payloads: Vec::new(),
            heads: Vec::new(),
            older,
        }
    }

    /// Decides upon each input in order, appends each decision as one batch, and returns the effects once all of it
    /// is durable. `now` never goes back: an earlier time is read as the last one.
    ///
    /// Without an effect to release, a sync is left out until [`Limits::unsynced_max`] records wait.
    ///
    /// # Errors
    /// The first [`Fault`] is the last: every later call answers [`Fault::Latched`].
    pub fn step(&mut self, now: Timestamp, inputs: &[M::Input]) -> Result<Vec<M::Effect>, Fault> {
        self.step_telling(now, inputs, |_, _| ())
    }

    /// The same, and tells each event that was appended with its LSN, for somebody who waits to hear what became of an
    /// input. An event is durable only after the next [`Node::flush`], and nobody outside may hear of it before.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn step_telling(
        &mut self,
        now: Timestamp,
        inputs: &[M::Input],
        mut told: impl FnMut(Lsn, &M::Event),
    ) -> Result<Vec<M::Effect>, Fault> {
        self.alive()?;
        self.last = self.last.max(now);
        let mut effects = Vec::new();
        for input in inputs {
            let decision = self.machine.handle(self.last, input);
            if !decision.events.is_empty() {
                let first = self.append(&decision.events)?;
                (first..).zip(&decision.events).for_each(|(lsn, event)| told(Lsn(lsn), event));
            }
            effects.extend(decision.effects);
        }
        if aegis_journal::mutant!(1) && !effects.is_empty() {
            return Ok(effects);
        }
        if !effects.is_empty() || self.unsynced() >= self.limits.unsynced_max {
            self.flush()?;
        }
        self.checkpoint_when_due()?;
        Ok(effects)
    }

    /// The LSN of the first of them.
    fn append(&mut self, events: &[M::Event]) -> Result<u64, Fault> {
        self.payloads.clear();
        self.heads.clear();
        for event in events {
            let head = M::encode(event, &mut self.payloads);
            self.heads.push((head, self.payloads.len()));
        }
        let mut batch = Vec::with_capacity(events.len());
        let mut start = 0;
        for (head, end) in &self.heads {
            batch.push(NewRecord {
                kind: head.kind,
                version: head.version,
                actor: head.actor,
                time_ns: head.time.0,
                cause: head.cause.0,
                payload: &self.payloads[start..*end],
            });
            start = *end;
        }
        let room = if M::may_use_reserve(events) { Room::Reserve } else { Room::Normal };
        match self.writer.append(&batch, room) {
            Ok(first) => {
                let last = first + events.len() as u64 - 1;
                assert_eq!(self.machine.lsn(), Lsn(last), "the fold and the journal count the same records");
                self.stats.records += events.len() as u64;
                self.stats.batches += 1;
                Ok(first)
            }
            Err(cause) => Err(self.latch(Fault::Append(cause))),
        }
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn flush(&mut self) -> Result<(), Fault> {
        self.alive()?;
        if self.unsynced() == 0 {
            return Ok(());
        }
        match self.writer.sync() {
            Ok(durable) => {
                assert_eq!(durable, self.writer.appended_lsn(), "a sync covers all that was appended");
                Ok(())
            }
            Err(cause) => Err(self.latch(Fault::Sync(cause))),
        }
    }

    fn checkpoint_when_due(&mut self) -> Result<(), Fault> {
        let since = self.writer.appended_lsn().saturating_sub(self.checkpointed);
        if self.limits.checkpoint_records == 0 || since < self.limits.checkpoint_records {
            return Ok(());
        }
        self.checkpoint()
    }

    /// Writes the folded state beside the journal, so that the next start replays less. One that fails without
    /// harm to the journal is only counted.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn checkpoint(&mut self) -> Result<(), Fault> {
        self.flush()?;
        let durable = self.writer.durable_lsn();
        self.checkpointed = durable;
        if durable == 0 {
            return Ok(());
        }
        let (saved, digest) = self.machine.save_with_digest();
        let bytes = [&self.last.0.to_le_bytes()[..], &saved].concat();
        match self.writer.checkpoint(durable, digest, &bytes) {
            Ok(()) => self.stats.checkpoints += 1,
            Err(cause) if cause.is_latched() => return Err(self.latch(Fault::Upkeep(cause))),
            Err(_) => self.stats.checkpoints_failed += 1,
        }
        Ok(())
    }

    /// Flushes and writes how far the journal is durable into its header: after a second of idleness.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn mark(&mut self) -> Result<(), Fault> {
        self.flush()?;
        match self.writer.mark() {
            Err(cause) if cause.is_latched() => Err(self.latch(Fault::Upkeep(cause))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Looks whether the journal's file is still the one that the next opening will find, as
    /// [`Writer::check_place`]; about once a minute.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn check_place(&mut self) -> Result<(), Fault> {
        self.alive()?;
        self.writer.check_place().map_err(|cause| self.latch(Fault::Upkeep(cause)))
    }

    /// A clean end: everything durable, a checkpoint, the mark, the lock released.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn close(mut self) -> Result<Stats, Fault> {
        self.checkpoint()?;
        self.mark()?;
        let stats = self.stats();
        self.writer.close().map_err(Fault::Upkeep)?;
        Ok(stats)
    }

    /// The check of the records that a checkpoint covers and that the opening therefore did not read; once, for a
    /// thread of its own.
    pub const fn take_older(&mut self) -> Option<OlderCheck<S::Read>> {
        self.older.take()
    }

    /// Notes rot that [`Node::take_older`] found in the journal's headers, so that later openings know of it. The
    /// state is not touched: the checkpoint holds what the lost records made of it.
    ///
    /// # Errors
    /// As [`Node::step`].
    pub fn declare(&mut self, gap: &GapEvidence) -> Result<(), Fault> {
        self.flush()?;
        match self.writer.declare(gap) {
            Err(cause) if cause.is_latched() => Err(self.latch(Fault::Upkeep(cause))),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Numbers of records that the journal has passed over as lost and the fold does not know of yet: the next event
    /// must be the one that says so.
    pub fn lost(&self) -> Option<(Lsn, Lsn)> {
        let (next, fold) = (self.writer.next_lsn(), self.machine.lsn());
        (next > fold.0 + 1).then(|| (fold.next(), Lsn(next - 1)))
    }

    /// The machine, to be read.
    pub const fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine by itself; the journal is let go as it is.
    pub fn into_machine(self) -> M {
        self.machine
    }

    /// The time that the next input is decided at, at the earliest.
    pub const fn time(&self) -> Timestamp {
        self.last
    }

    /// The last record that is durable.
    pub fn durable(&self) -> Lsn {
        Lsn(self.writer.durable_lsn())
    }

    /// Records appended and not durable yet.
    pub fn unsynced(&self) -> u64 {
        self.writer.appended_lsn() - self.writer.durable_lsn()
    }

    /// Whether only the journal's last reserve is left; a batch that may not use it would be a fault, so the machine
    /// is to be told before.
    pub fn reserve_only(&mut self) -> bool {
        matches!(self.writer.space(), Space::ReserveOnly { .. })
    }

    /// Why sealed segments are not being compressed, if they should be and something stands in the way; the journal
    /// itself is whole without it.
    pub fn compression_trouble(&self) -> Option<String> {
        self.writer.compression().trouble.map(|facts| facts.to_string())
    }

    /// What was written since the node was opened.
    pub fn stats(&self) -> Stats {
        let journal = self.writer.stats();
        Stats { syncs: journal.syncs, bytes: journal.bytes, ..self.stats }
    }

    fn alive(&self) -> Result<(), Fault> {
        match &self.latched {
            Some(first) => Err(Fault::Latched(first.clone())),
            None => Ok(()),
        }
    }

    fn latch(&mut self, fault: Fault) -> Fault {
        self.latched = Some(fault.to_string());
        fault
    }
}

#[cfg(test)]
mod tests;
