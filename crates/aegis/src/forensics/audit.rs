//! `aegis audit`: the report on a journal, as Markdown, HTML or JSON. It goes to standard output or to a file, which must not
//! be there yet.

use crate::cli::{self, AuditFormat};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals, one_of};
use crate::progress::Count;
use aegis_forensics::{Reading, Until, audit};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Audits one journal.
///
/// # Errors
/// [`Failure`].
pub(crate) fn report(config: &Config, asked: &cli::Audit, json: bool) -> Result<Exit, Failure> {
    if matches!(asked.from, Some(Until::Before(_))) {
        return Err(Failure::usage("--from is a record number or a time"));
    }
    let format = match (asked.format, json) {
        (Some(AuditFormat::Md | AuditFormat::Html), true) => {
            return Err(Failure::usage("--json and --format differ: leave one of them out"));
        }
        (Some(format), _) => format,
        (None, true) => AuditFormat::Json,
        (None, false) => AuditFormat::Md,
    };
    let paths = journals(config, asked.journal.as_ref())?;
    let [path] = &paths[..] else { return Err(one_of(&paths, "audited")) };
    let bar = Count::new(path, "folding");
    let reading = Reading::open(path).map_err(|e| failure(path, &e))?;
    let until = asked.until.unwrap_or(Until::End);
    let told = audit::audit(reading, asked.from, until, &mut |lsn| bar.reached(lsn.0));
    let told = told.map_err(|e| failure(path, &e))?;
    drop(bar);
    let text = match format {
        AuditFormat::Md => audit::markdown::markdown(&told),
        AuditFormat::Html => audit::html::html(&told),
        AuditFormat::Json => told.json().map_err(Failure::bug)?,
    };
    match &asked.out {
        Some(file) => write(file, &text)?,
        None => crate::print(text.trim_end())?,
    }
    // The report itself says what was not read.
    incomplete(path, told.hole.as_deref(), told.behind_gap, true)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let io = |e: std::io::Error| {
        if e.kind() == std::io::ErrorKind::AlreadyExists {
            Failure::usage(format!("{} is there already: nothing was written", file.display()))
        } else {
            Failure::io(file.display(), &e)
        }
    };
    let mut out = File::create_new(file).map_err(io)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(io)
}
