//! `aegis prune` and `aegis archive`: the oldest segments of journals go once a backup holds them; `aegis unprune` brings them
//! back. What may go, and in which steps, is `aegis-journal`'s; here it is only found out which journal has which backup, which
//! checkpoints this program can use, and told what was done.

use crate::backup::{self, Shown, apart, failure, leads_to};
use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::place::{self, Journal};
use crate::text::size;
use aegis_journal::{
    BackupError, BroughtBack, Checkpoint, DirReader, DirStorage, Dropped, JournalReader, OpenError, PruneHow,
    StorageRead,
};
use aegis_model::event::{ENGINE_SCHEMA, VENUE_SCHEMA};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// A journal and the directory of its backup.
struct Pair {
    journal: PathBuf,
    backup: PathBuf,
}

/// Each journal that is meant, with its backup; nobody writes any of them.
fn pairs(config: &Config, journal: Option<&Path>, backup: &Path) -> Result<Vec<Pair>, Failure> {
    let pairs: Vec<Pair> = if let Some(journal) = journal {
        apart(journal, backup)?;
        vec![Pair { journal: journal.to_path_buf(), backup: backup.to_path_buf() }]
    } else {
        apart(&config.data, backup)?;
        place::engines(&config.data)?;
        let pair = |Journal { act, room, path }| Pair { journal: path, backup: backup.join(act).join(room) };
        place::journals(&config.data).into_iter().map(pair).collect()
    };
    for Pair { journal, .. } in &pairs {
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
    Ok(pairs)
}

/// Brings the backup up to date, and drops what it holds.
///
/// # Errors
/// [`Failure`].
pub(crate) fn archive(config: &Config, asked: &cli::Prune, json: bool) -> Result<Exit, Failure> {
    pairs(config, asked.journal.as_deref(), &asked.backup)?;
    let backup = cli::Backup {
        to: asked.backup.clone(),
        journal: asked.journal.clone(),
        full: false,
        as_it_is: false,
    };
    let exit = backup::backup(config, &backup, json)?;
    if exit == Exit::Corrupt {
        eprintln!("aegis: nothing was dropped, since the backup has damage");
        return Ok(exit);
    }
    // What is only worth knowing of the backup is no hindrance: pruning looks at everything by itself.
    Ok(exit.worse(prune(config, asked, json)?))
}

/// Drops what a backup holds.
///
/// # Errors
/// [`Failure`]; of several journals, the others are pruned all the same.
pub(crate) fn prune(config: &Config, asked: &cli::Prune, json: bool) -> Result<Exit, Failure> {
    let pairs = pairs(config, asked.journal.as_deref(), &asked.backup)?;
    each(&pairs, |pair| Ok(told(pair, asked.dry_run, &one(pair, asked)?, json)))
}

/// Brings back what was dropped.
///
/// # Errors
/// [`Failure`]; of several journals, the others are brought back all the same.
pub(crate) fn unprune(config: &Config, asked: &cli::Unprune, json: bool) -> Result<Exit, Failure> {
    let pairs = pairs(config, asked.journal.as_deref(), &asked.backup)?;
    each(&pairs, |pair| {
        let (held, mut storage) = opened(pair)?;
        let mut shown = Shown::of(&pair.backup);
        let done = aegis_journal::unprune(&mut storage, &held, &mut |copying| shown.reached(copying));
        drop(shown);
        Ok(brought(pair, &done.map_err(|e| named(pair, &e))?, json))
    })
}

fn each(pairs: &[Pair], mut work: impl FnMut(&Pair) -> Result<String, Failure>) -> Result<Exit, Failure> {
    let mut failed: Option<Failure> = None;
    for pair in pairs {
        match work(pair) {
            Ok(said) => crate::print(&said)?,
            Err(e) => match &failed {
                None => failed = Some(e),
                Some(_) => eprintln!("aegis: {e}"),
            },
        }
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

/// Both directories, which are not one, under whatever names. The backup's entries outlive a power cut from here on.
fn opened(Pair { journal, backup }: &Pair) -> Result<(DirReader, DirStorage), Failure> {
    let io = |path: &Path, e: &std::io::Error| Failure::io(path.display(), e);
    if !backup.is_dir() {
        return Err(Failure::usage(format!(
            "{}: no backup of {} is there: make one with `aegis backup`, or use `aegis archive`",
            backup.display(),
            journal.display()
        )));
    }
    let place = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).map_err(|e| io(path, &e));
    if place(journal)? == place(backup)? {
        return Err(Failure::usage(format!(
            "{} and {} are one directory: a journal is no backup of itself",
            journal.display(),
            backup.display()
        )));
    }
    let there = leads_to(backup)?;
    for dir in [Some(there.as_path()), there.parent()].into_iter().flatten() {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| io(dir, &e))?;
    }
    let held = DirReader::at(backup).map_err(|e| failure(backup, &BackupError::Journal(e)))?;
    Ok((held, DirStorage::new(journal).map_err(|e| io(journal, &e))?))
}

/// Whether this program can go on from a checkpoint of a journal of this schema.
fn usable(schema: u16) -> Box<dyn Fn(&Checkpoint) -> bool> {
    match schema {
        ENGINE_SCHEMA => Box::new(|checkpoint| {
            let mut engine = aegis_engine::Engine::new(aegis_engine::Settings::default());
            aegis_node::usable(&mut engine, checkpoint)
        }),
        VENUE_SCHEMA => Box::new(|checkpoint| {
            let mut venue = aegis_paper::Venue::new(aegis_paper::Settings::default());
            aegis_node::usable(&mut venue, checkpoint)
        }),
        _ => Box::new(|_| false),
    }
}

fn one(pair: &Pair, asked: &cli::Prune) -> Result<Dropped, Failure> {
    let Pair { journal, backup } = pair;
    let of_journal = |e: OpenError| failure(journal, &BackupError::Journal(e));
    // Before anything is made there: that it is a journal.
    let mut reader = JournalReader::open_dir(journal).map_err(of_journal)?;
    let keep_from = match (asked.keep_from, asked.keep_days) {
        (Some(lsn), _) => lsn,
        (None, Some(days)) => {
            let since = crate::wire::clock::now().0.saturating_sub(i64::from(days).saturating_mul(DAY_NS));
            first_since(&mut reader, since).map_err(of_journal)?
        }
        (None, None) => u64::MAX,
    };
    let (held, mut storage) = opened(pair)?;
    let held_in = leads_to(backup)?.display().to_string();
    let usable = usable(reader.identity().schema);
    let how = PruneHow { keep_from, held_in: &held_in, usable: &*usable, dry: asked.dry_run };
    let mut shown = Shown::of(backup);
    let done = aegis_journal::prune(&mut storage, &held, &how, &mut |copying| shown.reached(copying));
    drop(shown);
    done.map_err(|e| named(pair, &e))
}

/// The failure, with the name of the directory that it is about.
fn named(pair: &Pair, error: &BackupError) -> Failure {
    let of_the_backup = matches!(
        error,
        BackupError::NoManifest
            | BackupError::Manifest
            | BackupError::Newer { .. }
            | BackupError::OtherJournal { .. }
            | BackupError::Unsound(_)
            | BackupError::NotHeld { .. }
            | BackupError::Differs { .. }
            | BackupError::Checkpoint { .. }
            | BackupError::Target(_)
    );
    failure(if of_the_backup { &pair.backup } else { &pair.journal }, error)
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

fn told(Pair { journal, backup }: &Pair, dry: bool, done: &Dropped, json: bool) -> String {
    if json {
        return json!({
            "journal": journal.display().to_string(),
            "backup": backup.display().to_string(),
            "backup_lsn": done.backup_lsn,
            "dry_run": dry,
            "segments": done.segments,
            "records": done.records,
            "bytes": done.bytes,
            "left": done.left,
            "checkpoints": done.checkpoints,
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
    let would = if dry { "would be " } else { "" };
    if done.segments > 0 {
        let (segments, records, bytes) = (done.segments, done.records, size(done.bytes));
        out.push_str(&format!("  {would}dropped: {segments} segments with {records} records, {bytes}\n"));
    } else if done.checkpoints < 2 {
        out.push_str(&format!(
            "  nothing to drop: checkpoints that this program can go on from: {}, and two must hold what is dropped\n",
            done.checkpoints
        ));
    } else {
        out.push_str(
            "  nothing to drop: what is there is to be kept, or is what the two newest checkpoints need\n",
        );
    }
    if done.segments == 0 && done.bytes > 0 {
        out.push_str(&format!(
            "  {would}freed: {}, which an interrupted pruning had left\n",
            size(done.bytes)
        ));
    }
    if !done.left.is_empty() {
        let numbers: Vec<String> = done.left.iter().map(u64::to_string).collect();
        out.push_str(&format!(
            "  segments {} lie there since an interrupted pruning and stay: this backup does not hold them\n",
            numbers.join(", ")
        ));
    }
    if last > 0 {
        let begins = if dry { "would begin" } else { "begins" };
        out.push_str(&format!("  the journal {begins} behind record {last}\n"));
    }
    out.trim_end().to_owned()
}

fn brought(Pair { journal, backup }: &Pair, done: &BroughtBack, json: bool) -> String {
    let behind = done.pruned.as_ref().map(|pruned| pruned.last_lsn);
    if json {
        return json!({
            "journal": journal.display().to_string(),
            "backup": backup.display().to_string(),
            "segments": done.segments,
            "bytes": done.bytes,
            "begins_behind": behind,
        })
        .to_string();
    }
    if done.segments == 0 {
        return format!("{}: nothing was pruned", journal.display());
    }
    let from = behind.map_or_else(String::new, |lsn| format!("; it still begins behind record {lsn}"));
    format!(
        "{} from {}: {} segments brought back ({}) and verified{from}",
        journal.display(),
        backup.display(),
        done.segments,
        size(done.bytes)
    )
}
