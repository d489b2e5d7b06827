//! How far a long read or the playing of recorded data is: a line on standard error, only when that is a terminal, and
//! gone when the work is done. The trading build shows none.

pub(crate) use shown::Bar;

#[cfg(feature = "terminal")]
mod shown {
    use indicatif::{ProgressBar, ProgressStyle};
    use std::path::Path;
    use std::time::Duration;

    /// Nothing is shown of what is done sooner.
    const REFRESH: Duration = Duration::from_millis(100);

    /// A count of records, or of what there is to play.
    pub(crate) struct Bar(ProgressBar);

    impl Bar {
        /// For one journal.
        pub(crate) fn new(path: &Path, what: &'static str) -> Bar {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{prefix}: {msg} {human_pos} records, {per_sec}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(path.display().to_string());
            bar.set_message(what);
            bar.enable_steady_tick(REFRESH);
            Bar(bar)
        }

        /// For so many steps.
        pub(crate) fn of(name: &str, length: u64) -> Bar {
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

        /// So much is done.
        pub(crate) fn reached(&self, done: u64) {
            self.0.set_position(done);
        }

        /// What stands beside it.
        pub(crate) fn say(&self, words: String) {
            self.0.set_message(words);
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "terminal"))]
mod shown {
    use std::path::Path;

    /// Nobody sees it.
    pub(crate) struct Bar;

    impl Bar {
        pub(crate) fn new(_path: &Path, _what: &'static str) -> Bar {
            Bar
        }

        pub(crate) fn of(_name: &str, _length: u64) -> Bar {
            Bar
        }

        pub(crate) fn hidden() -> Bar {
            Bar
        }

        pub(crate) fn is_hidden(&self) -> bool {
            true
        }

        pub(crate) fn reached(&self, _done: u64) {}

        pub(crate) fn say(&self, _words: String) {}
    }

    // It is ended by dropping it, as the one that is seen.
    impl Drop for Bar {
        fn drop(&mut self) {}
    }
}
