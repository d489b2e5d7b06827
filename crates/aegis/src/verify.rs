//! `aegis verify`: every byte of every journal against its checksums, chain and seals, with the state that comes out.
//! It repairs nothing: opening for writing does, and says so.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::place;
use crate::text::size;
use aegis_journal::{Finding, VerifyReport};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Verifies journals.
///
/// # Errors
/// [`Failure`].
pub(crate) fn verify(config: &Config, asked: &cli::Journals, json: bool) -> Result<Exit, Failure> {
    let paths: Vec<PathBuf> = if asked.journals.is_empty() {
        place::engines(&config.data)?;
        place::journals(&config.data).into_iter().map(|j| j.path).collect()
    } else {
        asked.journals.clone()
    };
    let mut worst = Verdict::Whole;
    for path in &paths {
        let report = aegis_journal::verify_dir(path, |_| {}).map_err(|e| {
            let failure = Failure::from(e);
            Failure { text: format!("{}: {}", path.display(), failure.text), ..failure }
        })?;
        crate::print(&if json { in_json(path, &report) } else { words(path, &report) })?;
        worst = worst.max(judge(&report));
    }
    Ok(match worst {
        Verdict::Whole => Exit::Ok,
        Verdict::Findings => Exit::Finding,
        Verdict::Damaged => Exit::Corrupt,
    })
}

/// Rot is damage; what loses no record, and a gap that was declared before, is a finding; a torn tail is what any crash
/// leaves.
fn judge(report: &VerifyReport) -> Verdict {
    if report.findings.iter().any(|f| matches!(f, Finding::Rot(_))) {
        Verdict::Damaged
    } else if !report.findings.is_empty() || !report.gaps.is_empty() {
        Verdict::Findings
    } else {
        Verdict::Whole
    }
}

/// What verification says, the worse the later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Whole,
    Findings,
    Damaged,
}

fn words(path: &Path, report: &VerifyReport) -> String {
    let verdict = match judge(report) {
        Verdict::Whole => "whole",
        Verdict::Findings => "every record whole, with findings",
        Verdict::Damaged => "DAMAGED",
    };
    let mut out = format!(
        "{}: {verdict}\n  {} records to {}, {} segments, {}, {} checkpoints",
        path.display(),
        report.records,
        report.last_lsn,
        report.segments,
        size(report.bytes),
        report.checkpoints.len()
    );
    if let Some(cut) = &report.torn_tail {
        out.push_str(&format!(
            "\n  torn tail: {} bytes from record {} on (segment {}, offset {}); none was ever acknowledged, the next \
             start copies them aside and cuts",
            cut.bytes, cut.first_lsn, cut.segment, cut.offset
        ));
    }
    for gap in &report.gaps {
        out.push_str(&format!("\n  known gap: records {} to {}", gap.first_lsn, gap.through_lsn));
    }
    for finding in &report.findings {
        out.push_str(&format!("\n  {finding}"));
    }
    out
}

fn in_json(path: &Path, report: &VerifyReport) -> String {
    let finding = |f: &Finding| match f {
        Finding::Rot(gap) => json!({
            "file": gap.file, "segment": gap.segment, "offset": gap.offset, "lsn": gap.first_lsn, "what": f.to_string()
        }),
        Finding::Note(_) => json!({ "what": f.to_string() }),
    };
    let findings: Vec<_> = report.findings.iter().map(finding).collect();
    let torn = report.torn_tail.as_ref().map(|cut| {
        json!({ "segment": cut.segment, "offset": cut.offset, "bytes": cut.bytes, "first_lsn": cut.first_lsn })
    });
    let gaps: Vec<_> = report.gaps.iter().map(|g| json!([g.first_lsn, g.through_lsn])).collect();
    json!({
        "journal": path.display().to_string(),
        "whole": judge(report) == Verdict::Whole,
        "records": report.records,
        "last_lsn": report.last_lsn,
        "segments": report.segments,
        "bytes": report.bytes,
        "checkpoints": report.checkpoints,
        "torn_tail": torn,
        "gaps": gaps,
        "findings": findings,
    })
    .to_string()
}
