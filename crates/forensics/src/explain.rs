//! Why something is as it is: the chain of cause and effect that leads to it, as a tree of records.
//!
//! Two passes over the records, nothing kept between two questions. The first verifies every record and decodes only
//! names and ends (a few threads, whole segments each); it finds what the words of the question could mean. The second
//! reads the stretch that the subject lived in. An asset's ledger is folded instead, so that it adds up by construction.

mod catalog;
mod effects;
mod gather;
mod ledger;
mod lines;
mod position;
mod subject;

use crate::replay::ReadError;
use aegis_journal::{Damage, StorageRead};
use aegis_model::Lsn;
use serde::Serialize;
use std::fmt;

pub use ledger::Movement;
pub(crate) use lines::wrapped;
pub use lines::{Because, Line};
pub use subject::Subject;

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Show every adjustment, refusal and movement instead of folding long runs of them.
    pub all: bool,
}

/// What a question led to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation {
    /// What the words were taken for, as they can be said again without doubt.
    pub subject: String,
    /// The answer in sentences.
    pub answer: Vec<String>,
    /// The records that it rests on.
    pub lines: Vec<Line>,
    /// The movements of an asset, if that was asked for.
    pub movements: Vec<Movement>,
    /// Movements before the first shown one, which are folded into its running quantity.
    pub movements_folded: u64,
    /// The last record that was read.
    pub lsn: u64,
    /// What ended the reading before the journal's end, if anything did.
    pub hole: Option<String>,
    /// Intact records behind it.
    pub behind_gap: u64,
}

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExplainError {
    /// The journal cannot be read.
    Read(ReadError),
    /// The words name nothing in this journal.
    Unknown {
        /// The words.
        words: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The words could mean several things.
    Ambiguous {
        /// The words.
        words: String,
        /// Each of them, as it can be said without doubt, and what it is.
        meanings: Vec<String>,
    },
}

impl fmt::Display for ExplainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = |head: String, items: &[String]| {
            f.write_str(&head)?;
            items.iter().try_for_each(|item| write!(f, "\n  {item}"))
        };
        match self {
            ExplainError::Read(e) => e.fmt(f),
            ExplainError::Unknown { words, known } => {
                list(format!("nothing in this journal is called {words:?}; there are"), known)
            }
            ExplainError::Ambiguous { words, meanings } => list(format!("{words:?} could mean"), meanings),
        }
    }
}

impl std::error::Error for ExplainError {}

impl From<ReadError> for ExplainError {
    fn from(error: ReadError) -> ExplainError {
        ExplainError::Read(error)
    }
}

/// Explains what some words name. `open` makes handles on one journal; `progress` is told, from any thread, how many
/// records were read.
///
/// # Errors
/// [`ExplainError`].
pub fn explain<R: StorageRead>(
    open: &(impl Fn() -> Result<R, ReadError> + Sync),
    words: &str,
    options: Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Explanation, ExplainError> {
    let catalog = catalog::Catalog::read(open, words, progress)?;
    let subject = subject::resolve(words, &catalog)?;
    let mut told = match subject {
        Subject::Position { instrument, cycle } => {
            position::position(open, &catalog, instrument, cycle, options)?
        }
        Subject::Stop { instrument, cycle } => position::stop(open, &catalog, instrument, cycle, options)?,
        Subject::Record(lsn) | Subject::Signal(lsn) | Subject::Order { intent: lsn, .. } => {
            effects::of(open, &catalog, lsn)?
        }
        Subject::Trade { lsn, .. } => effects::trade(open, &catalog, lsn)?,
        Subject::Asset { asset, amount } => ledger::asset(open, asset, amount, options, progress)?,
    };
    told.subject = subject.words(&catalog);
    told.hole = catalog.hole.as_ref().map(Damage::to_string);
    told.behind_gap = catalog.behind_gap;
    told.lsn = catalog.last.0;
    Ok(told)
}

impl Explanation {
    fn new(answer: Vec<String>, lines: Vec<Line>) -> Explanation {
        Explanation {
            subject: String::new(),
            answer,
            lines,
            movements: Vec::new(),
            movements_folded: 0,
            lsn: Lsn::NONE.0,
            hole: None,
            behind_gap: 0,
        }
    }
}

#[cfg(test)]
mod tests;
