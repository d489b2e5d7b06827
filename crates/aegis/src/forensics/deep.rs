//! `aegis verify --deep`: what the records mean, folded from the first one and held against checkpoints and laws.

use crate::exit::{Exit, Failure};
use crate::offline::failure;
use crate::progress::Count;
use aegis_forensics::deep::{self, DeepReport};
use aegis_forensics::{ReadError, replay};
use serde_json::json;
use std::path::Path;

/// Verifies one engine's journal deeply; a venue's has no state that this could fold, which is said.
///
/// # Errors
/// [`Failure`] when the journal cannot be read.
pub(crate) fn verify(path: &Path, json: bool) -> Result<Exit, Failure> {
    let bar = Count::new(path, "folding");
    let report = deep::deep(|| replay::open_dir(path), &mut |n| bar.reached(n));
    drop(bar);
    let report = match report {
        Ok(report) => report,
        Err(ReadError::Schema { .. }) => {
            if !json {
                crate::print("  an exchange's journal: its records are not folded here")?;
            }
            return Ok(Exit::Ok);
        }
        Err(e) => return Err(failure(path, &e)),
    };
    if json {
        let line = json!({ "journal": path.display().to_string(), "deep": report });
        crate::print(&line.to_string())?;
    } else {
        crate::print(words(&report).trim_end())?;
    }
    let bad = !report.findings.is_empty() || report.more > 0;
    Ok(if report.hole.is_some() {
        Exit::Corrupt
    } else if bad {
        Exit::Finding
    } else {
        Exit::Ok
    })
}

fn words(report: &DeepReport) -> String {
    let list = |lsns: &[u64]| lsns.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut out = format!(
        "  folded {} records in {} batches: digest {}\n",
        report.records, report.batches, report.digest
    );
    if !report.checkpoints_equal.is_empty() {
        out.push_str(&format!("  the same state in checkpoints {}\n", list(&report.checkpoints_equal)));
    }
    if !report.checkpoints_passed.is_empty() {
        out.push_str(&format!("  not compared: checkpoints {}\n", list(&report.checkpoints_passed)));
    }
    if let Some(hole) = &report.hole {
        out.push_str(&format!("  copied while live or damaged: nothing was folded behind {hole}\n"));
    }
    for f in &report.findings {
        out.push_str(&format!("  record {}: {}: {}\n", f.lsn, f.rule, f.what));
    }
    if report.more > 0 {
        out.push_str(&format!("  and {} findings more\n", report.more));
    }
    if report.findings.is_empty() {
        out.push_str("  every law held after every batch\n");
    }
    out
}
