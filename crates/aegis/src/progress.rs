//! How far the playing of recorded data is: a line on standard error, only when that is a terminal, and gone when the
//! work is done. The trading build shows none.

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
