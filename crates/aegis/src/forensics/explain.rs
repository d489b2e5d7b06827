//! `aegis explain`: why something is as it is, as a tree of records. With `--json` first an object with the answer, then
//! one for each line of the tree or movement.

use super::columns;
use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals};
use crate::progress::Count;
use aegis_forensics::explain::Options;
use aegis_forensics::{ExplainError, Explanation, replay};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Explains.
///
/// # Errors
/// [`Failure`]: words that name nothing, or several things, are a usage error that lists what could be meant.
pub(crate) fn explain(config: &Config, asked: &cli::Explain, json: bool) -> Result<Exit, Failure> {
    let words = asked.what.join(" ");
    let options = Options { all: asked.all };
    let mut told: Vec<(PathBuf, Explanation)> = Vec::new();
    let mut unknown = Vec::new();
    for path in journals(config, asked.journal.as_ref())? {
        let bar = Count::new(&path, "looking");
        let open = || replay::open_dir(&path);
        let found = aegis_forensics::explain::explain(&open, &words, options, &|n| bar.reached(n));
        drop(bar);
        match found {
            Ok(explanation) => told.push((path, explanation)),
            Err(ExplainError::Read(e)) => return Err(failure(&path, &e)),
            Err(e @ ExplainError::Unknown { .. }) => unknown.push(format!("{}: {e}", path.display())),
            Err(e) => return Err(Failure::usage(format!("{}: {e}", path.display()))),
        }
    }
    match &told[..] {
        [] => Err(Failure::usage(unknown.join("\n"))),
        [(path, explanation)] => show(path, explanation, asked, json),
        several => {
            let places: Vec<String> = several
                .iter()
                .map(|(path, e)| format!("  --journal {}: {}", path.display(), e.subject))
                .collect();
            Err(Failure::usage(format!(
                "{words:?} is in several journals: name one of them\n{}",
                places.join("\n")
            )))
        }
    }
}

fn show(path: &Path, told: &Explanation, asked: &cli::Explain, json: bool) -> Result<Exit, Failure> {
    if json {
        let head = json!({
            "journal": path.display().to_string(),
            "subject": told.subject,
            "answer": told.answer,
            "lsn": told.lsn,
            "hole": told.hole,
            "behind_gap": told.behind_gap,
            "movements_folded": told.movements_folded,
        });
        crate::print(&head.to_string())?;
        for (depth, above, line) in told.flat() {
            if depth > usize::from(asked.depth) {
                continue;
            }
            let record = json!({
                "depth": depth,
                "above": above,
                "lsn": line.lsn,
                "time": line.time,
                "actor": line.actor,
                "kind": line.kind,
                "words": line.words,
                "because": line.because,
                "folded": line.folded,
            });
            crate::print(&record.to_string())?;
        }
        for movement in &told.movements {
            crate::print(&serde_json::to_string(movement).map_err(Failure::bug)?)?;
        }
    } else {
        let lines = told.render(columns(), usize::from(asked.depth));
        crate::print(&lines.join("\n"))?;
    }
    incomplete(path, told.hole.as_deref(), told.behind_gap, true)
}
