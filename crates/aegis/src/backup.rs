//! `aegis backup` and `aegis restore`: journals into a directory that reads as journals, and back. They need no
//! configuration but where the data is, and no network; the work itself is `aegis-journal`'s.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure, code_of};
use crate::place::{self, Journal};
use crate::progress::{Bar, Count};
use crate::text::{clock, hex, size};
use aegis_journal::{
    Backed, BackupError, Copying, DirReader, DirStorage, How, Kept, Manifest, StorageRead, Verified,
};
use aegis_model::{Mode, Timestamp};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The file that makes a directory a place for backups of a data directory.
const MARKER: &str = "AEGIS-BACKUP";
const MARKER_TEXT: &str = "Backups of an aegis data directory. Every journal in it can be read where it lies; `aegis restore` makes a data \
     directory of it. Do not run an engine on it.\n";
/// The file that makes a directory the beginning of a restored one, which nothing else depends on.
const UNFINISHED: &str = "AEGIS-RESTORE";
/// The file of a backup, or of a journal's directory that was copied from one.
const MANIFEST: &str = "manifest";

/// The code of what went wrong; what is not named is damage.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the enum is not exhaustive: a new way to be wrong is damage"
)]
fn code(error: &BackupError) -> Exit {
    match error {
        BackupError::Journal(cause) => code_of(cause),
        BackupError::Target(_) | BackupError::NoRoom { .. } => Exit::Io,
        BackupError::Busy { .. } => Exit::Locked,
        BackupError::NotABackup { .. }
        | BackupError::NoManifest
        | BackupError::OtherJournal { .. }
        | BackupError::Diverged { .. }
        | BackupError::Shorter { .. }
        | BackupError::Behind { .. }
        | BackupError::Alone { .. }
        | BackupError::OfABackup
        | BackupError::NotHeld { .. }
        | BackupError::Differs { .. } => Exit::Usage,
        _ => Exit::Corrupt,
    }
}

pub(crate) fn failure(path: &Path, error: &BackupError) -> Failure {
    Failure::new(code(error), format!("{}: {error}", path.display()))
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> Failure + '_ {
    move |e| Failure::io(path.display(), &e)
}

/// How far it is: records while the journal is looked at, bytes while something is copied or read.
pub(crate) struct Shown {
    path: PathBuf,
    looking: Option<Count>,
    bar: Option<Bar>,
}

impl Shown {
    pub(crate) fn of(path: &Path) -> Shown {
        Shown { path: path.to_path_buf(), looking: None, bar: None }
    }

    pub(crate) fn reached(&mut self, copying: Copying) {
        if copying.bytes_all == 0 {
            let looking = self.looking.get_or_insert_with(|| Count::new(&self.path, "looking at"));
            looking.reached(copying.records);
            return;
        }
        self.looking = None;
        let name = || self.path.display().to_string();
        let bar = self.bar.get_or_insert_with(|| Bar::new(&name(), copying.bytes_all));
        let said = format!("segment {} of {}, {}", copying.segment, copying.segments, size(copying.bytes));
        bar.reached(copying.bytes, said);
    }
}

/// Where a path leads when it is there, else where it would.
pub(crate) fn leads_to(path: &Path) -> Result<PathBuf, Failure> {
    match fs::canonicalize(path) {
        Ok(there) => Ok(there),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let parent = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                Some(_) | None => Path::new("."),
            };
            let name = path
                .file_name()
                .ok_or_else(|| Failure::usage(format!("{} names no directory", path.display())))?;
            Ok(fs::canonicalize(parent).map_err(io(parent))?.join(name))
        }
        Err(e) => Err(Failure::io(path.display(), &e)),
    }
}

/// Refuses to write inside of what is read, and the other way round.
pub(crate) fn apart(read: &Path, written: &Path) -> Result<(), Failure> {
    let (from, to) = (leads_to(read)?, leads_to(written)?);
    if from.starts_with(&to) || to.starts_with(&from) {
        return Err(Failure::usage(format!(
            "{} and {} lie within each other: name a directory outside, best on another disk",
            read.display(),
            written.display()
        )));
    }
    Ok(())
}

/// A directory of mode 0700, made or there already; never a link.
fn directory(path: &Path) -> Result<(), Failure> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(io(path)(e)),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(path).map_err(io(path))?;
    if found.is_dir() {
        Ok(())
    } else {
        Err(Failure::usage(format!("{} is not a directory, or is a link to one", path.display())))
    }
}

fn sync(path: &Path) -> Result<(), Failure> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io(path))
}

fn is_empty(path: &Path) -> Result<bool, Failure> {
    Ok(fs::read_dir(path).map_err(io(path))?.next().is_none())
}

/// Writes a file whose name outlives a power cut.
fn write(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    fs::write(&path, text).and_then(|()| File::open(&path)?.sync_all()).map_err(io(&path))?;
    sync(dir)
}

/// Makes a directory a place for backups, or refuses one that holds something else.
fn prepare(dir: &Path) -> Result<(), Failure> {
    directory(dir)?;
    // Its own name outlives a power cut, too.
    let there = leads_to(dir)?;
    sync(there.parent().unwrap_or(&there))?;
    if dir.join(MARKER).is_file() {
        return Ok(());
    }
    if dir.join(MANIFEST).is_file() {
        return Err(Failure::usage(format!("{} is the backup of one journal: say --journal", dir.display())));
    }
    if !is_empty(dir)? {
        return Err(Failure::usage(format!(
            "{} holds something and no file {MARKER}: name an empty or a new directory",
            dir.display()
        )));
    }
    write(dir, MARKER, MARKER_TEXT)
}

/// Backs journals up.
///
/// # Errors
/// [`Failure`].
pub(crate) fn backup(config: &Config, asked: &cli::Backup, json: bool) -> Result<Exit, Failure> {
    let how = How { now_ns: crate::wire::clock::now().0, full: asked.full, as_it_is: asked.as_it_is };
    if let Some(journal) = &asked.journal {
        apart(journal, &asked.to)?;
        return one(journal, &asked.to, &how, json).map(|(exit, _)| exit);
    }
    apart(&config.data, &asked.to)?;
    place::engines(&config.data)?;
    prepare(&asked.to)?;
    let mut exit = Exit::Ok;
    let mut failed: Option<Failure> = None;
    for Journal { act, room, path } in place::journals(&config.data) {
        let above = asked.to.join(&act);
        let to = above.join(room);
        let done =
            directory(&above).and_then(|()| sync(&asked.to)).and_then(|()| one(&path, &to, &how, json));
        match done {
            Ok((found, _)) => exit = exit.worse(found),
            // The others are backed up all the same; what went wrong first is told last, where it is seen.
            Err(e) => {
                exit = exit.worse(e.exit);
                match &failed {
                    None => failed = Some(e),
                    Some(_) => eprintln!("aegis: {e}"),
                }
            }
        }
    }
    match failed {
        Some(first) => Err(Failure { exit, ..first }),
        None => Ok(exit),
    }
}

/// Backs one journal up.
fn one(from: &Path, to: &Path, how: &How, json: bool) -> Result<(Exit, Backed), Failure> {
    let source = DirReader::at(from).map_err(Failure::from)?;
    let live = source.writer_is_alive().map_err(io(from))?;
    // Before a directory is made for it.
    aegis_journal::JournalReader::open_dir(from).map_err(|e| failure(from, &BackupError::Journal(e)))?;
    let mut target = DirStorage::new(to).map_err(io(to))?;
    let mut shown = Shown::of(from);
    let done = aegis_journal::backup(&source, &mut target, how, &mut |copying| shown.reached(copying));
    drop(shown);
    let done = done.map_err(|e| failure(from, &e))?;
    let same_disk = match (fs::metadata(from), fs::metadata(to)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev(),
        (_, _) => false,
    };
    let places = Places { from, to, live, same_disk };
    crate::print(&if json { places.in_json(&done) } else { places.words(&done) })?;
    let damaged = done.manifest.segments.values().any(|held| held.kept == Kept::AsItIs);
    let exit = if done.undeclared > 0 || !done.lost_here.is_empty() {
        Exit::Corrupt
    } else if !done.mended.is_empty() || !done.only_here.is_empty() || (damaged && done.gaps.is_empty()) {
        Exit::Finding
    } else {
        Exit::Ok
    };
    Ok((exit, done))
}

struct Places<'a> {
    from: &'a Path,
    to: &'a Path,
    live: bool,
    same_disk: bool,
}

fn numbers(list: impl IntoIterator<Item = u64>) -> String {
    list.into_iter().map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}

fn as_it_is(manifest: &Manifest) -> Vec<u64> {
    let damaged = manifest.segments.iter().filter(|(_, held)| held.kept == Kept::AsItIs);
    damaged.map(|(number, _)| *number).collect()
}

impl Places<'_> {
    fn words(&self, done: &Backed) -> String {
        let manifest = &done.manifest;
        let mut out = format!("{} to {}\n", self.from.display(), self.to.display());
        out.push_str(&match &manifest.head {
            None => "  no record yet\n".to_owned(),
            Some(head) => {
                let end = if self.live { ", where it is durable now" } else { "" };
                format!("  records to {}{end}\n  head {head}\n", manifest.last_lsn().max(head.lsn))
            }
        });
        out.push_str(&format!(
            "  {} segments, {} copied ({}) and read back, {} there already{}\n",
            manifest.segments.len(),
            done.segments_copied,
            size(done.bytes_copied),
            done.segments_unchanged,
            if done.segments_reread > 0 { " and read again" } else { "" },
        ));
        if let Some(begins) = manifest.begins {
            out.push_str(&format!(
                "  it begins behind record {}, as the journal did when this backup was begun\n",
                begins.last_lsn
            ));
        }
        if !manifest.checkpoints.is_empty() {
            let lsns = numbers(manifest.checkpoints.iter().map(|(lsn, _)| *lsn));
            out.push_str(&format!("  checkpoints {lsns}\n"));
        }
        let mut told = |list: &[u64], what: &str| {
            if !list.is_empty() {
                out.push_str(&format!("  segments {}: {what}\n", numbers(list.iter().copied())));
            }
        };
        told(&done.mended, "were damaged in the backup and were copied anew");
        told(&done.only_here, "are damaged or lost in the journal; what the backup has of them stays");
        told(&done.lost_here, "were pruned from the journal and are DAMAGED OR LOST IN THE BACKUP");
        told(&as_it_is(manifest), "are in the backup with their damage");
        for gap in &done.gaps {
            out.push_str(&format!(
                "  the journal declares a gap: records {} to {} are not folded\n",
                gap.first_lsn, gap.through_lsn
            ));
        }
        if self.same_disk {
            out.push_str("  both are on one file system: this does not help when that is lost\n");
        }
        out.trim_end().to_owned()
    }

    fn in_json(&self, done: &Backed) -> String {
        let mut line = said(&done.manifest);
        let gaps: Vec<Value> = done
            .gaps
            .iter()
            .map(|gap| json!({ "first": gap.first_lsn, "through": gap.through_lsn }))
            .collect();
        let more = json!({
            "journal": self.from.display().to_string(),
            "backup": self.to.display().to_string(),
            "live": self.live,
            "same_disk": self.same_disk,
            "segments_copied": done.segments_copied,
            "segments_unchanged": done.segments_unchanged,
            "segments_reread": done.segments_reread,
            "bytes_copied": done.bytes_copied,
            "mended": done.mended,
            "only_here": done.only_here,
            "lost_here": done.lost_here,
            "gaps": gaps,
        });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        line.to_string()
    }
}

/// What a manifest says, as both commands tell it.
fn said(manifest: &Manifest) -> Value {
    let lsns: Vec<u64> = manifest.checkpoints.iter().map(|(lsn, _)| *lsn).collect();
    let oldest = manifest.segments.values().map(|held| held.verified_ns).min();
    json!({
        "journal_id": hex(&manifest.identity.journal_id),
        "taken": clock(Timestamp(manifest.taken_ns)),
        "verified_since": oldest.map(|ns| clock(Timestamp(ns))),
        "begins_behind": manifest.begins.map(|begins| begins.last_lsn),
        "last_lsn": manifest.last_lsn(),
        "head": manifest.head.map(|head| head.to_string()),
        "segments": manifest.segments.len(),
        "as_it_is": as_it_is(manifest),
        "checkpoints": lsns,
    })
}

/// Restores a backup into a new directory.
///
/// # Errors
/// [`Failure`]; the directory is there whole, or not at all.
pub(crate) fn restore(asked: &cli::Restore, json: bool) -> Result<Exit, Failure> {
    let (backup, to) = (&asked.backup, &asked.to);
    apart(backup, to)?;
    if to.symlink_metadata().is_ok() && (!to.is_dir() || to.is_symlink() || !is_empty(to)?) {
        return Err(Failure::usage(format!(
            "{} is there and not an empty directory: nothing is restored over anything",
            to.display()
        )));
    }
    let there = leads_to(to)?;
    let above = there.parent().unwrap_or(&there);
    let mounted = matches!((fs::metadata(to), fs::metadata(above)), (Ok(a), Ok(b)) if a.dev() != b.dev());
    if mounted || std::env::current_dir().is_ok_and(|here| here == there) {
        return Err(Failure::usage(format!(
            "{} cannot be replaced as a whole, since it is a mount point or where this runs: name a new directory in it",
            to.display()
        )));
    }
    let single = backup.join(MANIFEST).is_file();
    let rooms: Vec<Journal> = if single { Vec::new() } else { place::journals(backup) };
    if !single {
        whole(backup, &rooms)?;
    }
    let beside = unfinished(to)?;
    let mut told = Vec::new();
    if single {
        told.push((backup.clone(), to.clone(), bring_back(backup, &beside)?));
    } else {
        for room in &rooms {
            let above = beside.join(&room.act);
            directory(&above)?;
            told.push((
                room.path.clone(),
                to.join(&room.act).join(room.room),
                bring_back(&room.path, &above.join(room.room))?,
            ));
            sync(&above)?;
        }
        place::prepare_restored(&beside)?;
    }
    sync(&beside)?;
    fs::rename(&beside, to).map_err(io(to))?;
    let above = leads_to(to)?;
    sync(above.parent().unwrap_or(&above))?;
    // Only now: until here its presence is what lets the next attempt begin anew.
    fs::remove_file(to.join(UNFINISHED)).map_err(io(to))?;
    sync(to)?;
    for (from, to, verified) in &told {
        crate::print(&if json {
            restored_in_json(from, to, verified)
        } else {
            restored(from, to, verified)
        })?;
    }
    if !json {
        crate::print(
            "What was acknowledged after that is not in it. The next `aegis run` draws a new number for its ids and\n\
             compares with the exchange before any entry; an order of ours that it does not know stops all entries.",
        )?;
    }
    let damaged = told.iter().any(|(_, _, verified)| !as_it_is(&verified.manifest).is_empty());
    Ok(if damaged { Exit::Finding } else { Exit::Ok })
}

/// That each journal of a backup has its manifest, and each paper act both of its journals: a first backup that was
/// interrupted has not.
fn whole(backup: &Path, rooms: &[Journal]) -> Result<(), Failure> {
    if rooms.is_empty() {
        return Err(Failure::usage(format!("{} holds no backup of a journal", backup.display())));
    }
    for room in rooms {
        let source = DirReader::at(&room.path).map_err(Failure::from)?;
        let manifest = Manifest::read(&source).map_err(|e| failure(&room.path, &e))?;
        let manifest = manifest.ok_or_else(|| failure(&room.path, &BackupError::NoManifest))?;
        let alone = !rooms.iter().any(|other| other.act == room.act && other.room != room.room);
        if alone && manifest.identity.mode == Mode::Paper.number() {
            return Err(Failure::new(
                Exit::Corrupt,
                format!(
                    "{}: of {} the other journal is missing: a first `aegis backup` that was interrupted or \
                     refused leaves that; run it again",
                    backup.display(),
                    room.act
                ),
            ));
        }
    }
    Ok(())
}

/// The directory beside the target in which it is put together; what an earlier attempt left there goes.
fn unfinished(to: &Path) -> Result<PathBuf, Failure> {
    let there = leads_to(to)?;
    let name = there.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = there.with_file_name(format!("{name}.restoring"));
    if beside.symlink_metadata().is_ok() {
        let ours = !beside.is_symlink() && beside.is_dir();
        if !ours || !(beside.join(UNFINISHED).is_file() || is_empty(&beside)?) {
            return Err(Failure::usage(format!(
                "{} is there and is not what an interrupted restore leaves: move it away",
                beside.display()
            )));
        }
        for entry in fs::read_dir(&beside).map_err(io(&beside))? {
            let path = entry.map_err(io(&beside))?.path();
            let kind = fs::symlink_metadata(&path).map_err(io(&path))?;
            // What says that all of this may go is kept, so that a kill in here is one more interrupted restore.
            if kind.is_dir() {
                fs::remove_dir_all(&path).map_err(io(&path))?;
            } else if !path.ends_with(UNFINISHED) {
                fs::remove_file(&path).map_err(io(&path))?;
            }
        }
    }
    directory(&beside)?;
    write(&beside, UNFINISHED, "An unfinished `aegis restore`; the next one begins anew.\n")?;
    Ok(beside)
}

fn bring_back(backup: &Path, to: &Path) -> Result<Verified, Failure> {
    let source = DirReader::at(backup).map_err(Failure::from)?;
    let mut target = DirStorage::new(to).map_err(io(to))?;
    let mut shown = Shown::of(backup);
    let own = [UNFINISHED];
    aegis_journal::restore(&source, &mut target, &own, &mut |copying| shown.reached(copying))
        .map_err(|e| failure(backup, &e))
}

/// Holds a directory that says it is a backup against what it says; nothing when it says nothing.
///
/// # Errors
/// [`Failure`] when the answer cannot be printed.
pub(crate) fn verify(path: &Path, last_lsn: u64, json: bool) -> Result<Exit, Failure> {
    if !path.join(MANIFEST).is_file() {
        return Ok(Exit::Ok);
    }
    let source = DirReader::at(path).map_err(Failure::from)?;
    let mut shown = Shown::of(path);
    let found = aegis_journal::verify_backup(&source, &mut |copying| shown.reached(copying));
    drop(shown);
    let (line, words, exit) = match &found {
        Ok(verified) => {
            let manifest = &verified.manifest;
            let words = format!(
                "  a backup, and what its manifest says: records to {} as of {}",
                manifest.last_lsn(),
                clock(Timestamp(manifest.taken_ns))
            );
            (json!({ "journal": path.display().to_string(), "backup": said(manifest) }), words, Exit::Ok)
        }
        // A writer that went on in a copied backup has removed checkpoints of then.
        Err(BackupError::Checkpoint { .. }) if goes_on(path, last_lsn) => return Ok(Exit::Ok),
        Err(e) => {
            let line = json!({ "journal": path.display().to_string(), "backup": Value::Null, "error": e.to_string() });
            (line, format!("  {e}"), code(e))
        }
    };
    crate::print(&if json { line.to_string() } else { words })?;
    Ok(exit)
}

/// That a directory of backups lacks none of its journals; nothing when it is no such directory.
///
/// # Errors
/// [`Failure`] when one is missing, or has no manifest.
pub(crate) fn complete(dir: &Path) -> Result<(), Failure> {
    if dir.join(MARKER).is_file() { whole(dir, &place::journals(dir)) } else { Ok(()) }
}

/// Whether the journal has more than the manifest names.
fn goes_on(path: &Path, last_lsn: u64) -> bool {
    let manifest = DirReader::new(path).ok().and_then(|read| Manifest::read(&read).ok()).flatten();
    manifest.is_some_and(|manifest| manifest.last_lsn() < last_lsn)
}

fn restored(from: &Path, to: &Path, verified: &Verified) -> String {
    let manifest = &verified.manifest;
    let mut out = format!("{} from {}\n", to.display(), from.display());
    out.push_str(&format!(
        "  records to {}, as of {}; every byte verified\n",
        manifest.last_lsn(),
        clock(Timestamp(manifest.taken_ns))
    ));
    if let Some(head) = &manifest.head {
        out.push_str(&format!("  head {head}\n"));
    }
    out.push_str(&format!("  {} segments, {}", manifest.segments.len(), size(verified.bytes)));
    let damaged = as_it_is(manifest);
    if !damaged.is_empty() {
        out.push_str(&format!("\n  segments {}: with the damage that they had", numbers(damaged)));
    }
    out
}

fn restored_in_json(from: &Path, to: &Path, verified: &Verified) -> String {
    let mut line = said(&verified.manifest);
    let more = json!({
        "backup": from.display().to_string(),
        "journal": to.display().to_string(),
        "bytes": verified.bytes,
    });
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line.to_string()
}
