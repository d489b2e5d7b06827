//! `aegis replay` and `aegis log`: an engine's journal read with no exchange and no configuration of it, also beside
//! a running process. Nothing is written.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure, code_of};
use crate::place;
use crate::summary::Summary;
use aegis_forensics::{Point, ReadError, Reading, Until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed journal is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

fn failure(path: &Path, error: &ReadError) -> Failure {
    let exit = if let ReadError::Open(cause) = error {
        code_of(cause)
    } else if matches!(error, ReadError::Schema { .. }) {
        Exit::Usage
    } else {
        Exit::Corrupt
    };
    Failure::new(exit, format!("{}: {error}", path.display()))
}

fn journals(config: &Config, named: Option<&PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    match named {
        Some(path) => Ok(vec![path.clone()]),
        None => Ok(place::engines(&config.data)?.into_iter().map(|j| j.path).collect()),
    }
}

/// Folds journals and shows the state.
///
/// # Errors
/// [`Failure`].
pub(crate) fn replay(config: &Config, asked: &cli::Replay, json: bool) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for path in journals(config, asked.journal.as_ref())? {
        let until = asked.until.unwrap_or(Until::End);
        let reading = Reading::open(&path).and_then(|r| r.run(until)).map_err(|e| failure(&path, &e))?;
        let summary = Summary::of(&reading.state);
        if json {
            let line = json!({
                "journal": path.display().to_string(),
                "lsn": reading.state.lsn.0,
                "behind_gap": reading.behind_gap,
                "summary": summary,
            });
            crate::print(&line.to_string())?;
        } else {
            crate::print(&format!("{}\n{}", path.display(), summary.to_string().trim_end()))?;
        }
        if reading.behind_gap > 0 {
            if !json {
                let count = reading.behind_gap;
                crate::print(&format!("  {count} intact records lie behind a gap and are not folded"))?;
            }
            exit = Exit::Finding;
        }
    }
    Ok(exit)
}

/// Prints the records in words.
///
/// # Errors
/// [`Failure`].
pub(crate) fn log(config: &Config, asked: &cli::Log, json: bool) -> Result<Exit, Failure> {
    let paths = journals(config, asked.journal.as_ref())?;
    if asked.follow && paths.len() > 1 {
        let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        return Err(Failure::usage(format!("one journal can be followed: name one of {}", names.join(", "))));
    }
    for path in &paths {
        if paths.len() > 1 && !json {
            crate::print(&format!("{}", path.display()))?;
        }
        let mut reading = Reading::open(path).map_err(|e| failure(path, &e))?;
        loop {
            match reading.next_point().map_err(|e| failure(path, &e))? {
                Some(point) if asked.to.is_some_and(|to| point.lsn.0 > to) => break,
                Some(point) if point.lsn.0 >= asked.from => {
                    let line = if json { in_json(path, &point) } else { point.line(&reading.state) };
                    crate::print(&line)?;
                }
                Some(_) => {}
                None if asked.follow => std::thread::sleep(FOLLOW),
                None => break,
            }
        }
    }
    Ok(Exit::Ok)
}

fn in_json(path: &Path, point: &Point) -> String {
    let event = serde_json::to_value(&point.event).unwrap_or(Value::Null);
    json!({
        "journal": path.display().to_string(),
        "lsn": point.lsn.0,
        "time": aegis_forensics::clock(point.event.at),
        "kind": point.event.fact.name(),
        "batch_end": point.batch_end,
        "event": event,
    })
    .to_string()
}
