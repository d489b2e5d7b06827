//! The recovery table of `journal-format.md` as two pure functions: who may open a journal, and what a place
//! in it means.
//!
//! Every judgement over damage in this crate goes through [`decide`]; nothing here reads a byte.

/// A row of the recovery table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// The record is valid and its chain fits: accept it.
    A,
    /// Nothing was stored behind the last record: a clean end.
    B,
    /// A torn tail: cut it, keep a copy, report.
    C,
    /// Write-back out of order: what stands here was never acknowledged, though later records are whole.
    /// Cut all of it, keep a copy, report how many.
    D,
    /// Rot of acknowledged data: never write to this segment again, go on behind a declared gap.
    E,
    /// Written by a newer program: refuse to write, let reading tools go on.
    H,
    /// A witness outside the journal knows of records behind its end: as E, said by the caller.
    J,
}

/// What stands where the next record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole batch that continues the chain.
    Valid,
    /// As `Valid`, but of a kind, version or flag this program does not know.
    Newer,
    /// Zeros to the end of the file or to the next valid record.
    Zeros,
    /// Anything else that can be read.
    Bad,
    /// The device reports an error. A torn write never does that.
    Unreadable,
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the newest segment, behind which nothing was written.
    Tail,
    /// In a segment that was finished before a later one was begun: all of it was durable.
    Older,
}

/// Everything a decision over one place depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What stands there.
    pub seen: Seen,
    /// Whether valid records of the same segment and epoch follow.
    pub valid_behind: bool,
    /// Whether a later record, a mark, a seal or a checkpoint says that this LSN was durable.
    pub proof: bool,
    /// Which segment it is in.
    pub place: Place,
    /// Whether the caller's witness knows of records at or behind this place.
    pub witness: bool,
}

/// The row a place in a journal falls into.
pub fn decide(evidence: Evidence) -> Row {
    match (evidence.seen, evidence.place, evidence.proof, evidence.witness, evidence.valid_behind) {
        (Seen::Valid, _, _, _, _) => Row::A,
        (Seen::Newer, _, _, _, _) => Row::H,
        (Seen::Unreadable, _, _, _, _) => Row::E,
        (Seen::Zeros | Seen::Bad, Place::Older, _, _, _) => Row::E,
        (Seen::Zeros | Seen::Bad, Place::Tail, true, _, _) => Row::E,
        (Seen::Zeros | Seen::Bad, Place::Tail, false, true, _) => Row::J,
        (Seen::Zeros | Seen::Bad, Place::Tail, false, false, true) => Row::D,
        (Seen::Zeros, Place::Tail, false, false, false) => Row::B,
        (Seen::Bad, Place::Tail, false, false, false) => Row::C,
    }
}

/// The format version of the newest header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One this program can write.
    Known,
    /// A later one.
    Newer,
}

/// What is known before the first record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Whether another process holds the lock.
    pub locked: bool,
    /// The format version.
    pub version: Version,
    /// Whether the journal's id is the expected one.
    pub journal_fits: bool,
    /// Whether the schema is the expected one.
    pub schema_fits: bool,
    /// Whether the mode is the expected one.
    pub mode_fits: bool,
}

/// Why a writer is not let in; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Row K: another process writes it.
    Locked,
    /// Row H: a newer program wrote it.
    Newer,
    /// Row W: it is another journal.
    Journal,
    /// Row S: it has another schema.
    Schema,
    /// Row M: it was made in another mode.
    Mode,
}

/// Whether a writer may open a journal. The first reason that applies is named.
pub fn admit(entrance: Entrance) -> Result<(), Refused> {
    match entrance {
        Entrance { locked: true, .. } => Err(Refused::Locked),
        Entrance { version: Version::Newer, .. } => Err(Refused::Newer),
        Entrance { journal_fits: false, .. } => Err(Refused::Journal),
        Entrance { schema_fits: false, .. } => Err(Refused::Schema),
        Entrance { mode_fits: false, .. } => Err(Refused::Mode),
        Entrance {
            locked: false,
            version: Version::Known,
            journal_fits: true,
            schema_fits: true,
            mode_fits: true,
        } => Ok(()),
    }
}

#[cfg(test)]
mod tests;
