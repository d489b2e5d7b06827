//! Which files there are, and their bytes: bounded, links not followed, nothing opened for writing. What may hold secrets
//! is wiped from memory once it was read.

use crate::exit::{Exit, Failure};
use aegis_legacy::{FILE_MAX, Refused, Why};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Files looked at in one go.
const FILES_MAX: usize = 10_000;
/// Directories inside each other.
const DEPTH_MAX: usize = 16;
/// Files that a database has beside it.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The first bytes of a database.
const SQLITE: &[u8] = b"SQLite format 3\0";

/// A file that was found.
pub(crate) struct Found {
    /// As it is shown: as it was named, or its path below the directory that was.
    pub(crate) name: String,
    /// Its length when it was found.
    pub(crate) len: u64,
    /// Whether it was named itself.
    pub(crate) named: bool,
    path: PathBuf,
}

/// Why a file's bytes are not there.
pub(crate) enum Unread {
    /// It is refused without being read.
    Refused(Refused),
    /// It could not be read.
    Io(std::io::Error),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unread::Refused(refused) => refused.fmt(f),
            Unread::Io(e) => e.fmt(f),
        }
    }
}

impl Found {
    /// Its bytes. A database whose newest rows lie in a log beside it is refused: read alone, it would tell less than it
    /// holds.
    pub(crate) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let refused = |why| Err(Unread::Refused(Refused { row: String::new(), why }));
        if self.len > FILE_MAX as u64 {
            return refused(Why::TooLarge(usize::try_from(self.len).unwrap_or(usize::MAX)));
        }
        let bytes = Zeroizing::new(fs::read(&self.path).map_err(Unread::Io)?);
        if bytes.starts_with(SQLITE) {
            for suffix in ["-wal", "-journal"] {
                let mut beside = OsString::from(&self.path);
                beside.push(suffix);
                if fs::metadata(&beside).is_ok_and(|found| found.len() > 0) {
                    let what = format!(
                        "a {suffix} file lies beside it, so rows may be missing: stop the old bot, and let `sqlite3 FILE \
                         'PRAGMA wal_checkpoint(TRUNCATE)'` on a copy of both bring them together"
                    );
                    return refused(Why::Damaged(what));
                }
            }
        }
        Ok(bytes)
    }
}

/// Every file that was named, and every file below every directory that was, in order of name.
///
/// # Errors
/// [`Failure`] when something cannot be listed, or there are too many.
pub(crate) fn collect(paths: &[PathBuf]) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let meta = fs::metadata(path).map_err(|e| Failure::io(path.display(), &e))?;
        if meta.is_dir() {
            let mut below = Vec::new();
            walk(path, path, 0, &mut below)?;
            below.sort_by(|a: &Found, b: &Found| a.name.cmp(&b.name));
            found.extend(below);
        } else {
            let name = path.display().to_string();
            found.push(Found { name, len: meta.len(), named: true, path: path.clone() });
        }
    }
    if found.len() > FILES_MAX { Err(too_many()) } else { Ok(found) }
}

fn too_many() -> Failure {
    Failure::new(
        Exit::Usage,
        format!("more than {FILES_MAX} files, or deeper than {DEPTH_MAX}: name a smaller part"),
    )
}

fn walk(top: &Path, dir: &Path, depth: usize, found: &mut Vec<Found>) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(too_many());
    }
    let io = |e: &std::io::Error| Failure::io(dir.display(), e);
    for entry in fs::read_dir(dir).map_err(|e| io(&e))? {
        let entry = entry.map_err(|e| io(&e))?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(|e| io(&e))?);
        let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        if kind.is_dir() {
            walk(top, &path, depth + 1, found)?;
        } else if kind.is_file() && !BESIDE.iter().any(|suffix| name.ends_with(suffix)) {
            let len = entry.metadata().map_err(|e| io(&e))?.len();
            found.push(Found { name, len, named: false, path });
            if found.len() > FILES_MAX {
                return Err(too_many());
            }
        }
    }
    Ok(())
}
