//! Where an export goes: a new file or directory, written under another name (`NAME.partial`) and given its own only once all
//! of it is durable. What ends before that, by a full disk or a signal, never has the name.

use crate::SinkError;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A file or directory in the making.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    partial: PathBuf,
    is_dir: bool,
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

impl Target {
    /// Begins a file. With `force` an existing file is replaced at the end, and only then.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn file(path: &Path, force: bool) -> Result<Target, SinkError> {
        Target::begin(path, force, false)
    }

    /// Begins a directory, empty. With `force` an existing one is replaced at the end if it holds only files that an
    /// export wrote: those with one of the extensions.
    ///
    /// # Errors
    /// [`SinkError`].
    pub fn dir(path: &Path, force: bool, extensions: &[&str]) -> Result<Target, SinkError> {
        if force && path.is_dir() {
            for entry in fs::read_dir(path).map_err(io_error(path))? {
                let found = entry.map_err(io_error(path))?.path();
                let ours = found.extension().is_some_and(|e| extensions.iter().any(|ours| *ours == e));
                if !ours || found.is_dir() {
                    let why = format!("holds {}, which no export wrote: it is not replaced", found.display());
                    return Err(SinkError::Format { path: path.to_path_buf(), why });
                }
            }
        }
        Target::begin(path, force, true)
    }

    fn begin(path: &Path, force: bool, is_dir: bool) -> Result<Target, SinkError> {
        if path.symlink_metadata().is_ok() && !(force && path.is_dir() == is_dir) {
            return Err(SinkError::There(path.to_path_buf()));
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let fail = io_error(&partial);
        let lock = if is_dir {
            match fs::create_dir(&partial) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fail(e)),
                Ok(()) | Err(_) => {}
            }
            File::open(&partial)
        } else {
            File::options().create(true).truncate(false).write(true).open(&partial)
        }
        .map_err(&fail)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = "another export is writing it".to_owned();
                return Err(SinkError::Format { path: partial, why });
            }
            Err(TryLockError::Error(e)) => return Err(fail(e)),
        }
        // What an export left that was killed.
        if is_dir {
            for entry in fs::read_dir(&partial).map_err(&fail)? {
                fs::remove_file(entry.map_err(&fail)?.path()).map_err(&fail)?;
            }
        } else {
            lock.set_len(0).map_err(&fail)?;
        }
        Ok(Target { path: path.to_path_buf(), partial, is_dir, force, lock, done: false })
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
        if self.is_dir {
            self.replace_dir()?;
        } else if self.force {
            fs::rename(&self.partial, &self.path).map_err(io_error(&self.path))?;
        } else {
            // Unlike a rename, a link replaces nothing that came there meanwhile.
            fs::hard_link(&self.partial, &self.path).map_err(|e| self.named(e))?;
            fs::remove_file(&self.partial).map_err(io_error(&self.partial))?;
        }
        self.done = true;
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(io_error(parent))
    }

    fn named(&self, error: io::Error) -> SinkError {
        if error.kind() == io::ErrorKind::AlreadyExists {
            SinkError::There(self.path.clone())
        } else {
            io_error(&self.path)(error)
        }
    }

    /// A directory takes the name of an empty one, or of none, in one step; an old one is emptied first.
    fn replace_dir(&self) -> Result<(), SinkError> {
        if self.force && self.path.is_dir() {
            for entry in fs::read_dir(&self.path).map_err(io_error(&self.path))? {
                let old = entry.map_err(io_error(&self.path))?.path();
                fs::remove_file(&old).map_err(io_error(&old))?;
            }
        }
        fs::rename(&self.partial, &self.path).map_err(|e| self.named(e))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done {
            // A partial file that cannot be removed still has no name that looks whole.
            let _ =
                if self.is_dir { fs::remove_dir_all(&self.partial) } else { fs::remove_file(&self.partial) };
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

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("x");
        let target = Target::file(&path, false).expect("new");
        fs::write(target.partial(), "half").expect("room");
        assert_eq!(names(dir.path()), ["x.partial"]);
        assert!(Target::file(&path, false).is_err(), "another export writes it");
        drop(target);
        assert_eq!(names(dir.path()), [""; 0]);
        let mut target = Target::file(&path, false).expect("new");
        fs::write(target.partial(), "whole").expect("room");
        target.finish().expect("room");
        drop(target);
        assert_eq!(names(dir.path()), ["x"]);
        assert!(matches!(Target::file(&path, false), Err(SinkError::There(_))));
        let target = Target::file(&path, true).expect("forced");
        assert_eq!(fs::read(&path).expect("still there"), b"whole");
        drop(target);
        assert_eq!(fs::read(&path).expect("still there"), b"whole");
    }

    #[test]
    fn a_directory_is_replaced_only_if_an_export_wrote_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("d");
        let write = |force| -> Result<(), SinkError> {
            let mut target = Target::dir(&path, force, &["csv"])?;
            fs::write(target.partial().join("a.csv"), "1").map_err(io_error(&path))?;
            target.finish()
        };
        write(false).expect("new");
        assert!(matches!(write(false), Err(SinkError::There(_))));
        write(true).expect("replaced");
        assert_eq!(names(&path), ["a.csv"]);
        fs::write(path.join("notes.txt"), "mine").expect("room");
        assert!(write(true).is_err());
        assert_eq!(names(&path), ["a.csv", "notes.txt"]);
        assert_eq!(names(dir.path()), ["d"]);
    }
}
