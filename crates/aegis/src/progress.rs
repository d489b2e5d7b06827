//! How far a long read is: a line on standard error, only when that is a terminal, and gone when the work is done.

use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;
use std::time::Duration;

/// Nothing is shown of what is done sooner.
const REFRESH: Duration = Duration::from_millis(100);

/// A count of records.
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

    /// So many records were read.
    pub(crate) fn reached(&self, records: u64) {
        self.0.set_position(records);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
