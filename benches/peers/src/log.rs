//! What a peer must be able to do to be measured.
//!
//! ```text
//! Peer::write    make a new log in an empty directory ──► work(&mut dyn Log) ──► sync, close
//! Log::append    one unit, whole or not at all; under Sync::Each it is on the device when it returns
//! Peer::replay   open what another session left ──► every payload in order, checked ──► Check::see
//! ```
//!
//! The session is a closure and not a handle, because the handles of some peers borrow from each other.

use crate::workload::Check;
use aegis_journal::NewRecord;
use std::path::Path;

/// The end of an operation of a peer. Nobody branches on the error; it is printed and ends the run.
pub(crate) type Done<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// When a unit is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Whenever the peer or the kernel likes; all of it at the end of the session.
    Later,
    /// Each unit before its append returns.
    Each,
}

/// Where a session writes, and how much at most: some peers want to know it before the first byte.
pub(crate) struct Place<'a> {
    /// An empty directory on the disk that is measured.
    pub(crate) dir: &'a Path,
    /// Payload bytes that will be appended at most.
    pub(crate) payload_bytes: u64,
    /// Records that will be appended at most.
    pub(crate) records: u64,
}

/// What the table says about a peer beside its figures.
pub(crate) struct Facts {
    /// The name on the command line.
    pub(crate) name: &'static str,
    /// The name in the table.
    pub(crate) title: &'static str,
    /// The package whose version is named; none for the bare file.
    pub(crate) package: Option<&'static str>,
    /// What is checked when the data is read back.
    pub(crate) checks: &'static str,
    /// Whether a log that was appended to without syncs can be used after a power cut, and what is left of it.
    pub(crate) unsynced: &'static str,
    /// Whether it can append without a sync at all.
    pub(crate) can_defer: bool,
}

/// What a session does with an open log.
pub(crate) type Work<'a> = &'a mut dyn FnMut(&mut dyn Log) -> Done;

/// A store of records.
pub(crate) trait Peer {
    /// What it is.
    fn facts(&self) -> Facts;

    /// Makes a new log, hands it to `work`, makes everything durable and closes it.
    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done;

    /// Opens the log of an earlier session and shows every payload, in order, to the check; the peer's own checks are on.
    fn replay(&self, dir: &Path, check: Check) -> Done<Check>;
}

/// An open log.
pub(crate) trait Log {
    /// Appends records as one unit.
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done;
}
