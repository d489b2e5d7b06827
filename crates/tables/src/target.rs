//! Where an export goes: a new file or directory, written under another name (`NAME.partial`) and given its own only once all
//! of it is durable. What ends before that, by a full disk or a signal, never has the name.
//!
//! A directory that is replaced is first called `NAME.partial.old`, and removed when the new one has its name. An export that
//! is killed between the two leaves both whole; the next one gives the old one its name back before it begins. Nothing is
//! removed or written over that no export wrote, whatever its name: that is refused.

use crate::{SinkError, tables};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file or directory in the making.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    partial: PathBuf,
    /// How the files of a directory end; none for a file.
    extensions: Option<&'static [&'static str]>,
    force: bool,
    /// Keeps a second export out of the same partial files.
    lock: File,
    done: bool,
}

/// An error with the path that it is about.
pub fn io_error(path: &Path) -> impl Fn(io::Error) -> SinkError + use<> {
    let path = path.to_path_buf();
    move |cause| SinkError::Io { path: path.clone(), cause }
}

/// How the files of a directory may end, in any format.
const EXTENSIONS: [&str; 4] = ["csv", "json", "parquet", "arrow"];
/// Bytes at the beginning of a file by which an export knows its own.
const HEAD_BYTES: u64 = 128;

impl Target {
    /// Begins a file. With `force` an existing file is replaced at the end, and only then. `ours` tells by the first bytes
    /// of a `NAME.partial` whether a killed export left it.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn file(path: &Path, force: bool, ours: fn(&[u8]) -> bool) -> Result<Target, SinkError> {
        free(path, force, None)?;
        let partial = beside(path, ".partial")?;
        let fail = io_error(&partial);
        if there(&partial)?.is_some_and(|found| !found.is_file()) {
            return Err(foreign(&partial, &partial));
        }
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&partial)
            .map_err(&fail)?;
        locked(&lock, &partial)?;
        let mut head = Vec::new();
        Read::by_ref(&mut lock).take(HEAD_BYTES).read_to_end(&mut head).map_err(&fail)?;
        if !head.is_empty() && !ours(&head) {
            return Err(foreign(&partial, &partial));
        }
        // What an export left that was killed.
        lock.set_len(0).map_err(&fail)?;
        Ok(Target { path: path.to_path_buf(), partial, extensions: None, force, lock, done: false })
    }

    /// Begins a directory, empty. With `force` an existing one is replaced at the end if it holds only files that an
    /// export wrote: those named after a table, with one of the extensions, and `schema.json` where `json` is one.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn dir(path: &Path, force: bool, extensions: &'static [&'static str]) -> Result<Target, SinkError> {
        let (partial, old) = (beside(path, ".partial")?, beside(path, ".partial.old")?);
        if there(&old)?.is_none() {
            free(path, force, Some(extensions))?;
        }
        let fail = io_error(&partial);
        match fs::create_dir(&partial) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => only_ours(&partial, &EXTENSIONS)?,
            made => made.map_err(&fail)?,
        }
        let lock = File::open(&partial).map_err(&fail)?;
        locked(&lock, &partial)?;
        // What an export left that was killed.
        empty(&partial)?;
        let target = Target {
            path: path.to_path_buf(),
            partial,
            extensions: Some(extensions),
            force,
            lock,
            done: false,
        };
        if there(&old)?.is_some() {
            only_ours(&old, &EXTENSIONS)?;
            if there(path)?.is_some() {
                removed(&old)?;
            } else {
                fs::rename(&old, path).map_err(io_error(path))?;
            }
            free(path, force, Some(extensions))?;
        }
        Ok(target)
    }

    /// Where to write meanwhile.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Makes it durable and gives it its name. The files of a directory are durable already.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn finish(&mut self) -> Result<(), SinkError> {
        self.lock.sync_all().map_err(io_error(&self.partial))?;
        let mut old = None;
        if self.extensions.is_some() {
            old = self.replace_dir()?;
        } else if self.force {
            free(&self.path, self.force, None)?;
            fs::rename(&self.partial, &self.path).map_err(io_error(&self.path))?;
        } else {
            // Unlike a rename, a link replaces nothing that came there meanwhile.
            fs::hard_link(&self.partial, &self.path).map_err(|e| self.named(e))?;
            fs::remove_file(&self.partial).map_err(io_error(&self.partial))?;
        }
        self.done = true;
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(io_error(parent))?;
        old.map_or(Ok(()), |old| removed(&old))
    }

    fn named(&self, error: io::Error) -> SinkError {
        if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty) {
            SinkError::There(self.path.clone())
        } else {
            io_error(&self.path)(error)
        }
    }

    /// Gives a directory its name; answers with the name that the old one has by then, if there was one.
    fn replace_dir(&self) -> Result<Option<PathBuf>, SinkError> {
        // It may hold more by now than when this export began.
        free(&self.path, self.force, self.extensions)?;
        let mut old = None;
        if there(&self.path)?.is_some() {
            let aside = beside(&self.path, ".partial.old")?;
            fs::rename(&self.path, &aside).map_err(io_error(&self.path))?;
            old = Some(aside);
        }
        let renamed = fs::rename(&self.partial, &self.path).map_err(|e| self.named(e));
        if let (Err(_), Some(old)) = (&renamed, &old) {
            fs::rename(old, &self.path).map_err(io_error(&self.path))?;
        }
        renamed.map(|()| old)
    }
}

/// A name beside a target: its own with more at the end.
fn beside(path: &Path, more: &str) -> Result<PathBuf, SinkError> {
    let Some(name) = path.file_name() else {
        let why = "names no file and no directory that could be made: give it a name of its own".to_owned();
        return Err(SinkError::Format { path: path.to_path_buf(), why });
    };
    let mut name = name.to_os_string();
    name.push(more);
    Ok(path.with_file_name(name))
}

/// What has a name, itself and not what it points to.
fn there(path: &Path) -> Result<Option<fs::FileType>, SinkError> {
    match path.symlink_metadata() {
        Ok(found) => Ok(Some(found.file_type())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error(path)(e)),
    }
}

/// Whether a target may be made or replaced: a directory has extensions.
fn free(path: &Path, force: bool, extensions: Option<&[&str]>) -> Result<(), SinkError> {
    let Some(found) = there(path)? else { return Ok(()) };
    if !force {
        return Err(SinkError::There(path.to_path_buf()));
    }
    match extensions {
        Some(extensions) => only_ours(path, extensions),
        None if found.is_file() => Ok(()),
        None => Err(foreign(path, path)),
    }
}

fn foreign(path: &Path, found: &Path) -> SinkError {
    let why = if path == found {
        "is there, and no export wrote it: it is not replaced".to_owned()
    } else {
        format!("holds {}, which no export wrote: it is not replaced", found.display())
    };
    SinkError::Format { path: path.to_path_buf(), why }
}

/// Whether this is a directory with nothing but files that an export wrote.
fn only_ours(dir: &Path, extensions: &[&str]) -> Result<(), SinkError> {
    if there(dir)?.is_none_or(|found| !found.is_dir()) {
        return Err(foreign(dir, dir));
    }
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        let entry = entry.map_err(io_error(dir))?;
        let (found, name) = (entry.path(), entry.file_name());
        let (stem, extension) = name.to_str().and_then(|name| name.rsplit_once('.')).unwrap_or_default();
        let known = match extension {
            "json" => stem == "schema",
            _ => tables().iter().any(|table| table.name == stem),
        };
        let is_file = entry.file_type().map_err(io_error(&found))?.is_file();
        if !(known && is_file && extensions.contains(&extension)) {
            return Err(foreign(dir, &found));
        }
    }
    Ok(())
}

/// Keeps a second export out.
fn locked(lock: &File, partial: &Path) -> Result<(), SinkError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let why = "another export is writing it".to_owned();
            Err(SinkError::Format { path: partial.to_path_buf(), why })
        }
        Err(TryLockError::Error(e)) => Err(io_error(partial)(e)),
    }
}

/// Removes the files of a directory that holds only files of ours.
fn empty(dir: &Path) -> Result<(), SinkError> {
    only_ours(dir, &EXTENSIONS)?;
    for entry in fs::read_dir(dir).map_err(io_error(dir))? {
        let found = entry.map_err(io_error(dir))?.path();
        fs::remove_file(&found).map_err(io_error(&found))?;
    }
    Ok(())
}

fn removed(dir: &Path) -> Result<(), SinkError> {
    empty(dir)?;
    fs::remove_dir(dir).map_err(io_error(dir))
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done {
            // A partial file that cannot be removed still has no name that looks whole.
            let _ = if self.extensions.is_some() {
                fs::remove_dir_all(&self.partial)
            } else {
                fs::remove_file(&self.partial)
            };
        }
    }
}

#[cfg(test)]
mod tests {
    //! What is there stays; what is not finished is not there.

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a directory")
            .map(|e| e.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        names.sort();
        names
    }

    const OURS: fn(&[u8]) -> bool = |head| head.starts_with(b"ours");

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x");
        let target = Target::file(&path, false, OURS).expect("new");
        fs::write(target.partial(), "half").expect("room");
        assert_eq!(names(dir.path()), ["x.partial"]);
        assert!(Target::file(&path, false, OURS).is_err(), "another export writes it");
        drop(target);
        assert_eq!(names(dir.path()), [""; 0]);
        let mut target = Target::file(&path, false, OURS).expect("new");
        fs::write(target.partial(), "whole").expect("room");
        target.finish().expect("room");
        drop(target);
        assert_eq!(names(dir.path()), ["x"]);
        assert!(matches!(Target::file(&path, false, OURS), Err(SinkError::There(_))));
        let target = Target::file(&path, true, OURS).expect("forced");
        assert_eq!(fs::read(&path).expect("still there"), b"whole");
        drop(target);
        assert_eq!(fs::read(&path).expect("still there"), b"whole");
        // What a killed export left is written over, and nothing else.
        let partial = dir.path().join("y.partial");
        for (left, taken) in [("ours, half", true), ("", true), ("a diary", false)] {
            fs::write(&partial, left).expect("room");
            let target = Target::file(&dir.path().join("y"), true, OURS);
            assert_eq!(target.is_ok(), taken, "{left}");
            drop(target);
            assert_eq!(fs::read_to_string(&partial).ok().as_deref(), (!taken).then_some(left));
        }
        fs::remove_file(&partial).expect("a file");
        std::os::unix::fs::symlink(&path, &partial).expect("a link");
        assert!(Target::file(&dir.path().join("y"), true, OURS).is_err(), "a link beside it");
        std::os::unix::fs::symlink(&path, dir.path().join("link")).expect("a link");
        assert!(Target::file(&dir.path().join("link"), true, OURS).is_err(), "a link");
        assert_eq!(fs::read(&path).expect("still there"), b"whole");
        assert_eq!(names(dir.path()), ["link", "x", "y.partial"]);
    }

    fn write(path: &Path, text: &str, force: bool) -> Result<(), SinkError> {
        let mut target = Target::dir(path, force, &["csv", "json"])?;
        for name in ["fills.csv", "schema.json"] {
            fs::write(target.partial().join(name), text).map_err(io_error(path))?;
        }
        target.finish()
    }

    #[test]
    fn a_directory_is_replaced_only_if_an_export_wrote_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("d");
        write(&path, "1", false).expect("new");
        assert!(matches!(write(&path, "2", false), Err(SinkError::There(_))));
        write(&path, "3", true).expect("replaced");
        assert_eq!(names(&path), ["fills.csv", "schema.json"]);
        assert_eq!(names(dir.path()), ["d"]);
        for foreign in ["notes.txt", "candles.csv", "fills.json", "fills.parquet", "fills"] {
            fs::write(path.join(foreign), "mine").expect("room");
            assert!(write(&path, "4", true).is_err(), "{foreign}");
            assert_eq!(fs::read_to_string(path.join(foreign)).expect("still there"), "mine");
            fs::remove_file(path.join(foreign)).expect("a file");
        }
        std::os::unix::fs::symlink("fills.csv", path.join("cycles.csv")).expect("a link");
        assert!(write(&path, "4", true).is_err(), "a link inside");
        fs::remove_file(path.join("cycles.csv")).expect("a link");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("d", &link).expect("a link");
        assert!(write(&link, "4", true).is_err(), "a link");
        assert_eq!(fs::read_to_string(link.join("fills.csv")).expect("still there"), "3");
        for nameless in [".", "..", "/"] {
            assert!(Target::dir(Path::new(nameless), true, &["csv"]).is_err(), "{nameless}");
            assert!(Target::file(Path::new(nameless), true, OURS).is_err(), "{nameless}");
        }
        // What came there while the export ran is kept, too.
        let mut target = Target::dir(&path, true, &["csv", "json"]).expect("ours");
        fs::write(path.join("notes.txt"), "mine").expect("room");
        assert!(target.finish().is_err());
        drop(target);
        assert_eq!(names(&path), ["fills.csv", "notes.txt", "schema.json"]);
        assert_eq!(names(dir.path()), ["d", "link"]);
    }

    #[test]
    fn what_a_killed_export_left_is_taken_back_and_what_is_not_its_own_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, partial) = (dir.path().join("d"), dir.path().join("d.partial"));
        let old = dir.path().join("d.partial.old");
        let fill = |dir: &Path, text: &str| {
            fs::create_dir(dir).expect("room");
            fs::write(dir.join("fills.csv"), text).expect("room");
        };
        let text = || fs::read_to_string(path.join("fills.csv")).expect("there");
        // Killed between the two names, with and without --force after it.
        fill(&old, "old");
        fill(&partial, "new");
        assert!(matches!(write(&path, "1", false), Err(SinkError::There(_))));
        assert_eq!((text().as_str(), names(dir.path())), ("old", vec!["d".to_owned()]));
        fs::rename(&path, &old).expect("a directory");
        write(&path, "2", true).expect("replaced");
        assert_eq!((text().as_str(), names(dir.path())), ("2", vec!["d".to_owned()]));
        // Killed before the old one was removed.
        fill(&old, "old");
        assert!(matches!(write(&path, "3", false), Err(SinkError::There(_))));
        assert_eq!((text().as_str(), names(dir.path())), ("2", vec!["d".to_owned()]));
        for foreign in [&old, &partial] {
            fill(foreign, "x");
            fs::write(foreign.join("notes.txt"), "mine").expect("room");
            assert!(write(&path, "4", true).is_err());
            assert_eq!((text().as_str(), names(foreign).len()), ("2", 2));
            fs::remove_dir_all(foreign).expect("a directory");
        }
        fs::write(&partial, "mine").expect("room");
        assert!(write(&path, "4", true).is_err());
        assert_eq!(fs::read_to_string(&partial).expect("still there"), "mine");
    }
}
