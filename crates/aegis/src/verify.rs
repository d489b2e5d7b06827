//! `aegis verify`: every byte of every journal against its checksums, chain and seals, with the state that comes out.
//! It repairs nothing: opening for writing does, and says so.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::place;
use crate::progress::Count;
use crate::text::size;
use aegis_journal::{Finding, Head, VerifyReport};
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
    if asked.print_head {
        return print_heads(&paths, json);
    }
    let mut exit = Exit::Ok;
    for path in &paths {
        let bar = Count::new(path, "verifying");
        let report =
            aegis_journal::verify_dir(path, |p| bar.reached(p.records)).map_err(|e| named(path, e))?;
        drop(bar);
        crate::print(&if json { in_json(path, &report) } else { words(path, &report) })?;
        exit = exit.worse(judge(&report).exit());
        exit = exit.worse(crate::backup::verify(path, report.last_lsn, json)?);
        #[cfg(feature = "forensics")]
        if asked.deep {
            exit = exit.worse(crate::forensics::deep::verify(path, json)?);
        }
    }
    if asked.journals.is_empty() {
        crate::backup::complete(&config.data)?;
    }
    if !asked.head.is_empty() {
        let [path] = &paths[..] else {
            return Err(Failure::usage("a head is of one journal: name it"));
        };
        exit = exit.worse(check_heads(path, &asked.head, json)?);
    }
    Ok(exit)
}

fn named(path: &Path, error: aegis_journal::OpenError) -> Failure {
    let failure = Failure::from(error);
    Failure { text: format!("{}: {}", path.display(), failure.text), ..failure }
}

/// One line for each journal; nothing else, so that it can be kept as it is.
fn print_heads(paths: &[PathBuf], json: bool) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for path in paths {
        let bar = Count::new(path, "hashing");
        let found =
            aegis_journal::heads_dir(path, &[], |p| bar.reached(p.records)).map_err(|e| named(path, e))?;
        drop(bar);
        let name = path.display().to_string();
        let head = found.last.map(|head| head.to_string());
        crate::print(&match (json, &head) {
            (true, _) => json!({ "journal": name, "head": head, "holes": found.holes }).to_string(),
            (false, Some(head)) if paths.len() == 1 => head.clone(),
            (false, Some(head)) => format!("{head}  {name}"),
            (false, None) => format!("{name}: no record yet, and so no head"),
        })?;
        if !found.holes.is_empty() {
            exit = Exit::Corrupt;
        }
    }
    Ok(exit)
}

/// Whether the records up to each head are those that were there when it was printed.
fn check_heads(path: &Path, heads: &[Head], json: bool) -> Result<Exit, Failure> {
    let mut heads = heads.to_vec();
    heads.sort_by_key(|head| head.lsn);
    let wanted: Vec<u64> = heads.iter().map(|head| head.lsn).collect();
    let bar = Count::new(path, "hashing");
    let found =
        aegis_journal::heads_dir(path, &wanted, |p| bar.reached(p.records)).map_err(|e| named(path, e))?;
    drop(bar);
    let end = found.last.map_or(0, |last| last.lsn);
    let mut exit = Exit::Ok;
    let mut right_until = 0;
    for head in &heads {
        let here = found.asked.iter().find(|h| h.lsn == head.lsn);
        let lost = found.holes.iter().find(|hole| **hole <= head.lsn);
        let (verdict, says) = if here == Some(head) {
            right_until = head.lsn;
            (
                "right",
                format!(
                    "head {}: right, the records up to it are those that were there when it was printed",
                    head.lsn
                ),
            )
        } else if head.lsn > end {
            let says = format!(
                "head {}: MISSING: the journal ends at record {end}, records were taken away",
                head.lsn
            );
            ("missing", says)
        } else if let Some(pruned) = found.pruned.as_ref().filter(|pruned| head.lsn <= pruned.last_lsn) {
            ("pruned", format!("head {}: it cannot be told here: {pruned}", head.lsn))
        } else if let Some(hole) = lost {
            let says = format!("head {}: it cannot be told, records from {hole} on are damaged", head.lsn);
            ("damaged", says)
        } else {
            let says = format!(
                "head {}: REWRITTEN: a record from {} to {} is not the one that was there when it was printed, \
                 though every checksum is right",
                head.lsn,
                right_until + 1,
                head.lsn
            );
            ("rewritten", says)
        };
        exit = exit.worse(match verdict {
            "right" => Exit::Ok,
            "pruned" => Exit::Finding,
            _ => Exit::Corrupt,
        });
        crate::print(&if json {
            let name = path.display().to_string();
            json!({ "journal": name, "head": head.lsn, "verdict": verdict, "right_until": right_until })
                .to_string()
        } else {
            format!("  {says}")
        })?;
    }
    Ok(exit)
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

/// What verification says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Whole,
    Findings,
    Damaged,
}

impl Verdict {
    const fn exit(self) -> Exit {
        match self {
            Verdict::Whole => Exit::Ok,
            Verdict::Findings => Exit::Finding,
            Verdict::Damaged => Exit::Corrupt,
        }
    }
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
    if let Some(pruned) = &report.pruned {
        out.push_str(&format!("\n  {pruned}"));
    }
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
        "pruned": report.pruned.as_ref().map(|p| json!({
            "segment": p.segment, "last_lsn": p.last_lsn, "root": crate::text::hex(&p.root), "held_in": p.held_in
        })),
        "findings": findings,
    })
    .to_string()
}
