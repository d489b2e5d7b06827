//! Where a backup begins, and what it alone holds of a journal that was pruned.
//!
//! The beginning of a backup never moves: what it has stays in it, whatever becomes of the journal.

use super::copy::{Copier, begin_in, header_in, seal_in};
use super::restore::{Steps, check};
use super::{Backed, BackupError, Begins, Held, How, Kept, Manifest};
use crate::Identity;
use crate::begin::Begin;
use crate::error::Damage;
use crate::frame::Flaw;
use crate::layout::roots_agree;
use crate::segment::{open_segment, segment_name};
use crate::storage::{Storage, StorageRead};

/// Where the backup begins: a new one where the journal does, another one where it began. Its page is put there, or anew.
pub(super) fn beginning<R: StorageRead, T: Storage>(
    copier: &mut Copier<'_, R, T>,
    identity: &Identity,
    journal: &Begin,
    old: &Manifest,
) -> Result<Begin, BackupError> {
    if !old.segments.is_empty()
        && let Some(begins) = old.begins
    {
        let there = begin_in(&copier.target.reader(), identity, begins.segment);
        let ours = Some(journal.clone());
        let right = |begin: &Begin| Begins::of(begin) == Some(begins);
        if let Some(begin) = there.filter(right) {
            return Ok(begin);
        }
        let Some(begin) = ours.filter(right) else {
            return Err(BackupError::Unsound(Damage {
                file: segment_name(begins.segment),
                segment: begins.segment,
                offset: 0,
                lsn: begins.last_lsn,
                flaw: Flaw::Checksum,
            }));
        };
        copier.begin(identity, &begin)?;
        return Ok(begin);
    }
    if !old.segments.is_empty() {
        return Ok(Begin::FIRST);
    }
    if journal.number > 0 {
        copier.begin(identity, journal)?;
    }
    Ok(journal.clone())
}

/// Looks at what only the backup has, since the journal was pruned: all of it is read when everything is, else that the
/// files are there with their headers and seals.
pub(super) fn archived<T: StorageRead>(
    target: &T,
    begin: &Begin,
    dropped: u64,
    how: &How,
    old: &Manifest,
    done: &mut Backed,
) -> Result<(), BackupError> {
    let mut steps = Steps::new(&old.segments, begin);
    while let Some((number, held, before)) = steps.next() {
        if number > dropped {
            break;
        }
        let right = if how.full {
            check(target, &old.identity, number, held, before).is_ok()
        } else {
            let file = open_segment(target, number);
            file.is_ok_and(|file| match held.kept {
                Kept::AsItIs => true,
                Kept::Sealed | Kept::Open => {
                    let seal = seal_in(&file, held.end);
                    header_in(&file, number, &old.identity).is_some()
                        && seal.is_some_and(|seal| roots_agree(&seal.root, &held.digest))
                }
            })
        };
        if !right {
            done.lost_here.push(number);
        } else if how.full {
            done.segments_reread += 1;
            let held = Held { verified_ns: how.now_ns, ..held.clone() };
            done.manifest.segments.insert(number, held);
        }
    }
    Ok(())
}
