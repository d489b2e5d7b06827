//! How far long work is, the playing of recorded data or the reading of a journal: a line on standard error, only when
//! that is a terminal, and gone when the work is done. The trading build shows none.

use std::path::Path;

#[cfg(feature = "terminal")]
use indicatif::{ProgressBar, ProgressStyle};

/// A bar.
#[cfg(feature = "terminal")]
pub(crate) struct Bar(ProgressBar);

#[cfg(feature = "terminal")]
impl Bar {
    /// Of so many steps.
    pub(crate) fn new(name: &str, length: u64) -> Bar {
        let bar = ProgressBar::new(length);
        let style = ProgressStyle::with_template("{prefix} {bar:24} {percent:>3}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.to_owned());
        Bar(bar)
    }

    /// One that nobody sees.
    pub(crate) fn hidden() -> Bar {
        Bar(ProgressBar::hidden())
    }

    /// Whether nobody sees it.
    pub(crate) fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// So many steps are done.
    pub(crate) fn reached(&self, steps: u64, said: String) {
        self.0.set_position(steps);
        self.0.set_message(said);
    }
}

#[cfg(feature = "terminal")]
impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// No bar.
#[cfg(not(feature = "terminal"))]
pub(crate) struct Bar;

#[cfg(not(feature = "terminal"))]
impl Bar {
    /// Of so many steps.
    pub(crate) fn new(_name: &str, _length: u64) -> Bar {
        Bar
    }

    /// One that nobody sees.
    pub(crate) fn hidden() -> Bar {
        Bar
    }

    /// Nobody sees it.
    pub(crate) fn is_hidden(&self) -> bool {
        true
    }

    /// Nobody sees it.
    pub(crate) fn reached(&self, _steps: u64, _said: String) {}
}

// It is ended by dropping it, as the one that is seen.
#[cfg(not(feature = "terminal"))]
impl Drop for Bar {
    fn drop(&mut self) {}
}

/// Nothing is shown of what is done sooner.
#[cfg(feature = "terminal")]
const REFRESH: std::time::Duration = std::time::Duration::from_millis(100);

/// A count of records that are read.
#[cfg(feature = "terminal")]
pub(crate) struct Count(ProgressBar);

#[cfg(feature = "terminal")]
impl Count {
    /// Of one journal.
    pub(crate) fn new(path: &Path, what: &'static str) -> Count {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{prefix}: {msg} {human_pos} records, {per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(path.display().to_string());
        bar.set_message(what);
        bar.enable_steady_tick(REFRESH);
        Count(bar)
    }

    /// So many records were read.
    pub(crate) fn reached(&self, records: u64) {
        self.0.set_position(records);
    }
}

#[cfg(feature = "terminal")]
impl Drop for Count {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// No count.
#[cfg(not(feature = "terminal"))]
pub(crate) struct Count;

#[cfg(not(feature = "terminal"))]
impl Count {
    /// Of one journal.
    pub(crate) const fn new(_path: &Path, _what: &'static str) -> Count {
        Count
    }

    /// Nobody sees it.
    pub(crate) const fn reached(&self, _records: u64) {}
}

// It is ended by dropping it, as the one that is seen.
#[cfg(not(feature = "terminal"))]
impl Drop for Count {
    fn drop(&mut self) {}
}
