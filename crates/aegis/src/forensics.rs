//! The commands that read a journal without an exchange: thin shells around `aegis-forensics`. They need no
//! configuration and no network, and write nothing but the files that an audit or an export is asked for into.

pub(crate) mod audit;
pub(crate) mod deep;
pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod query;
pub(crate) mod watch;

/// Columns that results are laid out for: the terminal's, or a hundred where there is none.
pub(crate) fn columns() -> usize {
    use std::io::IsTerminal;
    const DEFAULT: usize = 100;
    if !std::io::stdout().is_terminal() {
        return DEFAULT;
    }
    crossterm::terminal::size().map_or(DEFAULT, |(columns, _)| usize::from(columns).max(60))
}
