//! `aegis prune` and `aegis archive`: the oldest segments of journals go once a backup holds them. What may go, and in which
//! steps, is `aegis-journal`'s; here it is only found out which journal has which backup, and told what was done.

use crate::backup::{self, Shown, apart, failure, leads_to};
use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::place::{self, Journal};
use crate::text::size;
use aegis_journal::{
    BackupError, DirReader, DirStorage, Dropped, JournalReader, OpenError, PruneHow, StorageRead,
};
use serde_json::json;
use std::path::PathBuf;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// A journal and the directory of its backup.
struct Pair {
    journal: PathBuf,
    backup: PathBuf,
}

fn pairs(config: &Config, asked: &cli::Prune) -> Result<Vec<Pair>, Failure> {
    if let Some(journal) = &asked.journal {
        apart(journal, &asked.backup)?;
        return Ok(vec![Pair { journal: journal.clone(), backup: asked.backup.clone() }]);
    }
    apart(&config.data, &asked.backup)?;
    place::engines(&config.data)?;
    let pair =
        |Journal { act, room, path }| Pair { journal: path, backup: asked.backup.join(act).join(room) };
    Ok(place::journals(&config.data).into_iter().map(pair).collect())
}

/// That nobody writes a journal: what it would be dropped from is locked until that process ends.
fn nobody_writes(pairs: &[Pair]) -> Result<(), Failure> {
    for Pair { journal, .. } in pairs {
        let read = DirReader::at(journal).map_err(Failure::from)?;
        if read.writer_is_alive().map_err(|e| Failure::io(journal.display(), &e))? {
            return Err(Failure::new(
                Exit::Locked,
                format!(
                    "{}: an engine writes this journal: stop it first, which takes as long as a restart (`aegis backup` \
                     works beside it)",
                    journal.display()
                ),
            ));
        }
    }
    Ok(())
}

/// Brings the backup up to date, and drops what it holds.
///
/// # Errors
/// [`Failure`].
pub(crate) fn archive(config: &Config, asked: &cli::Prune, json: bool) -> Result<Exit, Failure> {
    nobody_writes(&pairs(config, asked)?)?;
    let backup = cli::Backup {
        to: asked.backup.clone(),
        journal: asked.journal.clone(),
        full: false,
        as_it_is: false,
    };
    let exit = backup::backup(config, &backup, json)?;
    if exit == Exit::Ok { prune(config, asked, json) } else { Ok(exit) }
}

/// Drops what a backup holds.
///
/// # Errors
/// [`Failure`]; of several journals, the others are pruned all the same.
pub(crate) fn prune(config: &Config, asked: &cli::Prune, json: bool) -> Result<Exit, Failure> {
    let pairs = pairs(config, asked)?;
    nobody_writes(&pairs)?;
    let mut failed: Option<Failure> = None;
    for pair in &pairs {
        match one(pair, asked) {
            Ok(done) => crate::print(&told(pair, asked.dry_run, &done, json))?,
            Err(e) => match &failed {
                None => failed = Some(e),
                Some(_) => eprintln!("aegis: {e}"),
            },
        }
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn one(Pair { journal, backup }: &Pair, asked: &cli::Prune) -> Result<Dropped, Failure> {
    let of_journal = |e: OpenError| failure(journal, &BackupError::Journal(e));
    if !backup.is_dir() {
        return Err(Failure::usage(format!(
            "{}: no backup of {} is there: make one with `aegis backup`, or use `aegis archive`",
            backup.display(),
            journal.display()
        )));
    }
    // Before anything is made there: that it is a journal, and a backup.
    let mut reader = JournalReader::open_dir(journal).map_err(of_journal)?;
    let keep_from = match (asked.keep_from, asked.keep_days) {
        (Some(lsn), _) => lsn,
        (None, Some(days)) => {
            let since = crate::wire::clock::now().0.saturating_sub(i64::from(days).saturating_mul(DAY_NS));
            first_since(&mut reader, since).map_err(of_journal)?
        }
        (None, None) => u64::MAX,
    };
    let held = DirReader::at(backup).map_err(|e| failure(backup, &BackupError::Journal(e)))?;
    let mut storage = DirStorage::new(journal).map_err(|e| Failure::io(journal.display(), &e))?;
    let held_in = leads_to(backup)?.display().to_string();
    let how = PruneHow { keep_from, held_in: &held_in, dry: asked.dry_run };
    let mut shown = Shown::of(backup);
    let done = aegis_journal::prune(&mut storage, &held, &how, &mut |copying| shown.reached(copying));
    drop(shown);
    done.map_err(|e| {
        let of = if is_of_the_backup(&e) { backup } else { journal };
        failure(of, &e)
    })
}

const fn is_of_the_backup(error: &BackupError) -> bool {
    matches!(
        error,
        BackupError::NoManifest
            | BackupError::Manifest
            | BackupError::Newer { .. }
            | BackupError::OtherJournal { .. }
            | BackupError::Unsound(_)
            | BackupError::NotHeld { .. }
            | BackupError::Checkpoint { .. }
    )
}

/// A record before which nothing is as young as `since`: the first one of the last segment that begins before then.
fn first_since(reader: &mut JournalReader<DirReader>, since: i64) -> Result<u64, OpenError> {
    let mut from = 0;
    for (_, lsn) in reader.segments()? {
        reader.seek(lsn)?;
        // A damaged place is told by what comes next.
        let Ok(Some(record)) = reader.next() else { continue };
        if record.time_ns >= since {
            break;
        }
        from = lsn;
    }
    Ok(from)
}

fn told(pair: &Pair, dry: bool, done: &Dropped, json: bool) -> String {
    let Pair { journal, backup } = pair;
    if json {
        return json!({
            "journal": journal.display().to_string(),
            "backup": backup.display().to_string(),
            "backup_lsn": done.backup_lsn,
            "dry_run": dry,
            "segments": done.segments,
            "records": done.records,
            "bytes": done.bytes,
            "begins_behind": done.pruned.as_ref().map(|pruned| pruned.last_lsn),
        })
        .to_string();
    }
    let mut out = format!(
        "{} by {}, which was read from first to last: records to {}\n",
        journal.display(),
        backup.display(),
        done.backup_lsn
    );
    let last = done.pruned.as_ref().map_or(0, |pruned| pruned.last_lsn);
    if done.segments == 0 {
        out.push_str(
            "  nothing to drop: what is there is to be kept, or is what the two newest checkpoints need",
        );
    } else {
        let would = if dry { "would be dropped" } else { "dropped" };
        out.push_str(&format!(
            "  records {} to {last} {would}: {} segments, {}",
            last + 1 - done.records,
            done.segments,
            size(done.bytes)
        ));
    }
    if last > 0 && !dry {
        out.push_str(&format!("\n  the journal begins behind record {last}"));
    }
    out
}
