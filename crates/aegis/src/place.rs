//! The data directory: a marker that says it is ours, one directory per act, two journals in each. It never removes
//! anything; starting anew moves the old directory aside.

use crate::exit::{Exit, Failure};
use aegis_journal::{DirReader, StorageRead};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The file that makes a directory an aegis data directory.
const MARKER: &str = "AEGIS-DATA";
const MARKER_TEXT: &str =
    "An aegis data directory: journals of trading state. Do not edit; see `aegis verify`.\n";
/// Old directories kept beside the data directory at most.
const ASIDE_MAX: u32 = 10_000;

/// A journal in the data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Journal {
    /// The act it belongs to.
    pub(crate) act: String,
    /// `engine` or `venue`.
    pub(crate) room: &'static str,
    /// Its directory.
    pub(crate) path: PathBuf,
}

/// Makes the directory ours, or refuses one that holds something else.
///
/// # Errors
/// [`Failure`].
pub(crate) fn prepare(dir: &Path) -> Result<(), Failure> {
    let io = |e: std::io::Error| Failure::io(dir.display(), &e);
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(io(e)),
        Ok(()) | Err(_) => {}
    }
    if is_ours(dir) {
        return Ok(());
    }
    if fs::read_dir(dir).map_err(io)?.next().is_some() {
        return Err(Failure::usage(format!(
            "{} holds something that is not ours (no file {MARKER}): give another directory with --data",
            dir.display()
        )));
    }
    fs::write(dir.join(MARKER), MARKER_TEXT).map_err(io)
}

/// Makes a directory of restored journals a data directory, durably.
///
/// # Errors
/// [`Failure`].
pub(crate) fn prepare_restored(dir: &Path) -> Result<(), Failure> {
    let marker = dir.join(MARKER);
    fs::write(&marker, MARKER_TEXT)
        .and_then(|()| fs::File::open(&marker)?.sync_all())
        .map_err(|e| Failure::io(marker.display(), &e))
}

fn is_ours(dir: &Path) -> bool {
    dir.join(MARKER).is_file()
}

/// Moves a data directory aside; nothing is removed. None when there is none.
///
/// # Errors
/// [`Failure`] when it is not ours, or when a process is writing in it.
pub(crate) fn move_aside(dir: &Path) -> Result<Option<PathBuf>, Failure> {
    if !dir.exists() {
        return Ok(None);
    }
    if !is_ours(dir) {
        return Err(Failure::usage(format!(
            "{} is not an aegis data directory (no file {MARKER}): --fresh does not touch it",
            dir.display()
        )));
    }
    for journal in journals(dir) {
        let busy = reader(&journal.path)?.writer_is_alive();
        if busy.is_ok_and(|busy| busy) {
            return Err(Failure::new(
                Exit::Locked,
                format!("{} is being written by a running process: stop it first", journal.path.display()),
            ));
        }
    }
    let name = dir.file_name().map_or_else(|| "aegis-data".into(), |n| n.to_string_lossy().into_owned());
    for n in 1..=ASIDE_MAX {
        let aside = dir.with_file_name(format!("{name}.old-{n}"));
        if !aside.exists() {
            fs::rename(dir, &aside).map_err(|e| Failure::io(dir.display(), &e))?;
            return Ok(Some(aside));
        }
    }
    Err(Failure::usage(format!("{ASIDE_MAX} old directories lie beside {}: remove some", dir.display())))
}

/// All journals of a data directory, by act, the engine's first.
pub(crate) fn journals(dir: &Path) -> Vec<Journal> {
    let mut acts: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    acts.sort();
    let of = |act: &String, room: &'static str| {
        let path = dir.join(act).join(room);
        path.is_dir().then(|| Journal { act: act.clone(), room, path })
    };
    acts.iter().flat_map(|act| [of(act, "engine"), of(act, "venue")]).flatten().collect()
}

/// The engines' journals of a data directory.
///
/// # Errors
/// [`Failure`] when there is none.
pub(crate) fn engines(dir: &Path) -> Result<Vec<Journal>, Failure> {
    let engines: Vec<Journal> = journals(dir).into_iter().filter(|j| j.room == "engine").collect();
    if engines.is_empty() {
        return Err(Failure::usage(format!(
            "no journal under {}: start one with `aegis run`, or name another directory with --data",
            dir.display()
        )));
    }
    Ok(engines)
}

/// Bytes of a journal's segments up to the last record of each; 0 when it cannot be read.
pub(crate) fn record_bytes(dir: &Path) -> u64 {
    let Ok(mut reader) = aegis_journal::JournalReader::open_dir(dir) else { return 0 };
    let (mut sum, mut segment, mut end) = (0, 0, 0);
    while let Ok(Some(record)) = reader.next() {
        if record.segment != segment {
            sum += end;
            segment = record.segment;
        }
        end = record.offset + aegis_journal::FRAME_BYTES as u64 + record.payload.len() as u64;
    }
    sum + end
}

/// A journal's directory, to be read.
///
/// # Errors
/// [`Failure`] when it cannot be opened.
pub(crate) fn reader(path: &Path) -> Result<DirReader, Failure> {
    DirReader::new(path).map_err(|e| Failure::io(path.display(), &e))
}
