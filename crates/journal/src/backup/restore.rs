//! Reading a backup against its manifest, and making a journal of it again.
//!
//! Nothing in a backup is believed because the manifest says so: every segment is read and verified, and what it sums up
//! in must be what the manifest names. What a later, interrupted backup added is left out.

use std::collections::BTreeMap;

use super::copy::{
    Before, Copier, Copying, begin_in, digest_of, examine, file_bytes, header_in, held_checkpoint,
};
use super::manifest::Begins;
use super::{BackupError, Held, Kept, Manifest, empty};
use crate::Identity;
use crate::begin::Begin;
use crate::error::{Damage, OpenError};
use crate::frame::Flaw;
use crate::layout::Header;
use crate::segment::{SegmentFile, open_segment, segment_name};
use crate::storage::{Source, Storage, StorageRead};

/// A backup that was read from its first byte to its last and is what its manifest says.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it holds.
    pub manifest: Manifest,
    /// Bytes of its segments, as they were before any was compressed.
    pub bytes: u64,
}

/// Reads all of a backup and holds it against its manifest.
///
/// # Errors
/// [`BackupError::NoManifest`] when it is none, or none was ever finished; [`BackupError::Unsound`], [`BackupError::NotHeld`] or
/// [`BackupError::Checkpoint`] for the first thing that is not as it must be.
pub fn verify_backup<R: StorageRead>(
    read: &R,
    progress: &mut dyn FnMut(Copying),
) -> Result<Verified, BackupError> {
    let manifest = Manifest::read(read)?.filter(|manifest| !manifest.segments.is_empty());
    let manifest = manifest.ok_or(BackupError::NoManifest)?;
    let all = manifest.segments.values().map(|held| held.end).sum();
    let segments = manifest.segments.keys().next_back().copied().unwrap_or(0);
    let mut done = Copying { segments, bytes_all: all, ..Copying::default() };
    let begin = begin_of(read, &manifest)?;
    let mut steps = Steps::new(&manifest.segments, &begin);
    while let Some((number, held, before)) = steps.next() {
        done.segment = number;
        progress(done);
        check(read, &manifest.identity, number, held, before)?;
        done.bytes += held.end;
    }
    progress(done);
    for (lsn, digest) in &manifest.checkpoints {
        if held_checkpoint(read, *lsn) != Some(*digest) {
            return Err(BackupError::Checkpoint { lsn: *lsn });
        }
    }
    Ok(Verified { bytes: done.bytes, manifest })
}

/// The segments of a manifest in order, each with what its root builds on.
pub(super) struct Steps<'a> {
    begin: &'a Begin,
    segments: std::collections::btree_map::Iter<'a, u64, Held>,
    last: Option<(u64, &'a Held)>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(segments: &'a BTreeMap<u64, Held>, begin: &'a Begin) -> Steps<'a> {
        Steps { begin, segments: segments.iter(), last: None }
    }

    pub(super) fn next(&mut self) -> Option<(u64, &'a Held, Before)> {
        let (number, held) = self.segments.next()?;
        let before = match self.last {
            None if (*number, held.first_lsn) == (self.begin.number + 1, self.begin.first_lsn) => {
                Before::beginning(self.begin)
            }
            Some((n, last)) if n + 1 == *number && last.last_lsn + 1 == held.first_lsn => {
                Before::behind(last)
            }
            None | Some(_) => Before::HOLE,
        };
        self.last = Some((*number, held));
        Some((*number, held, before))
    }
}

/// The page that a backup begins with, where its manifest says so.
pub(super) fn begin_of<R: StorageRead>(read: &R, manifest: &Manifest) -> Result<Begin, BackupError> {
    let Some(begins) = manifest.begins else { return Ok(Begin::FIRST) };
    let found = begin_in(read, &manifest.identity, begins.segment);
    found.filter(|begin| Begins::of(begin) == Some(begins)).ok_or_else(|| {
        BackupError::Unsound(Damage {
            file: segment_name(begins.segment),
            segment: begins.segment,
            offset: 0,
            lsn: begins.last_lsn,
            flaw: Flaw::Checksum,
        })
    })
}

fn opened<R: StorageRead>(read: &R, number: u64) -> Result<SegmentFile<R::Source>, BackupError> {
    open_segment(read, number).map_err(|e| {
        if e.kind() == std::io::ErrorKind::NotFound {
            BackupError::NotHeld { segment: number }
        } else {
            BackupError::target("open", &segment_name(number), &e)
        }
    })
}

fn unsound<F: Source>(file: &SegmentFile<F>, number: u64, held: &Held, flaw: Flaw) -> BackupError {
    BackupError::Unsound(Damage { file: file.name(), segment: number, offset: 0, lsn: held.first_lsn, flaw })
}

/// Reads one segment of a backup.
pub(super) fn check<R: StorageRead>(
    read: &R,
    identity: &Identity,
    number: u64,
    held: &Held,
    before: Before,
) -> Result<(), BackupError> {
    let file = opened(read, number)?;
    if held.kept == Kept::AsItIs {
        let name = file.name();
        let raw = read.open(&name).map_err(|e| BackupError::target("open", &name, &e))?;
        let same = digest_of(&raw, held.end).is_ok_and(|digest| digest == held.digest);
        return if same { Ok(()) } else { Err(unsound(&file, number, held, Flaw::Checksum)) };
    }
    let header = header_of(&file, identity, number, held)?;
    let bytes = file.bytes().map_err(|e| BackupError::target("read", &file.name(), &e))?;
    let (limit, sealed) = match held.kept {
        Kept::Sealed => (bytes, true),
        Kept::Open | Kept::AsItIs => (held.end.min(bytes), false),
    };
    let (agree, seen) = (file.lists_agree(), examine(file, &header, limit, before, None));
    let file = opened(read, number)?;
    let seen = seen.map_err(BackupError::Unsound)?;
    let right = (seen.end, seen.last_lsn, seen.root) == (held.end, held.last_lsn, held.digest)
        && (!sealed || (seen.seal.is_some() && agree));
    if right { Ok(()) } else { Err(unsound(&file, number, held, Flaw::Checksum)) }
}

fn header_of<F: Source>(
    file: &SegmentFile<F>,
    identity: &Identity,
    number: u64,
    held: &Held,
) -> Result<Header, BackupError> {
    let header = header_in(file, number, identity).filter(|header| header.first_lsn == held.first_lsn);
    header.ok_or_else(|| unsound(file, number, held, Flaw::Checksum))
}

/// Makes a journal of a backup in the directory `target`, which must be empty but for files with the names in `own`:
/// exactly what the manifest names, each file read back before it has its name. Records behind the manifest's last one
/// are not in it.
///
/// # Errors
/// As [`verify_backup`], which comes first; [`BackupError::NotABackup`] when the target is not empty. A target that was
/// not finished is no journal to be used.
pub fn restore<R: StorageRead, T: Storage>(
    backup: &R,
    target: &mut T,
    own: &[&str],
    progress: &mut dyn FnMut(Copying),
) -> Result<Verified, BackupError> {
    let verified = verify_backup(backup, progress)?;
    empty(&target.reader(), own)?;
    let manifest = &verified.manifest;
    let needed = manifest.segments.iter().map(|(number, held)| match held.kept {
        Kept::Open => held.end,
        Kept::Sealed | Kept::AsItIs => file_bytes(backup, *number).unwrap_or(held.end),
    });
    let needed = needed.sum();
    let free = target.free_bytes().map_err(|e| BackupError::target("look at", ".", &e))?;
    if let Some(free) = free.filter(|free| *free < needed) {
        return Err(BackupError::NoRoom { needed, free });
    }
    let segments = manifest.segments.keys().next_back().copied().unwrap_or(0);
    let done = Copying { segments, bytes_all: needed, ..Copying::default() };
    let mut copier = Copier { source: backup, target, progress, done };
    let begin = begin_of(backup, manifest)?;
    if begin.number > 0 {
        copier.begin(&manifest.identity, &begin)?;
    }
    let mut steps = Steps::new(&manifest.segments, &begin);
    while let Some((number, held, before)) = steps.next() {
        copier.at(number);
        let file = opened(backup, number)?;
        match held.kept {
            Kept::AsItIs => drop(copier.as_it_is(number, held.end).map_err(of_the_backup)?),
            Kept::Sealed => {
                let header = header_of(&file, &manifest.identity, number, held)?;
                copier.sealed(&header, held.end, before).map_err(of_the_backup)?;
            }
            Kept::Open => {
                let header = header_of(&file, &manifest.identity, number, held)?;
                copier.open(&header, held.end, held.last_lsn, before).map_err(of_the_backup)?;
            }
        }
    }
    for (lsn, _) in &manifest.checkpoints {
        if copier.checkpoint(*lsn)?.is_none() {
            return Err(BackupError::Checkpoint { lsn: *lsn });
        }
    }
    Ok(verified)
}

/// What is wrong with the source of a copy is, here, wrong with the backup.
fn of_the_backup(error: BackupError) -> BackupError {
    if let BackupError::Journal(OpenError::Damaged(damage)) = error {
        BackupError::Unsound(damage)
    } else {
        error
    }
}
