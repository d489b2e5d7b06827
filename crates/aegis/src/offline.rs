//! `aegis replay` and `aegis log`: an engine's journal read with no exchange and no configuration of it, also beside
//! a running process. Nothing is written.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure, code_of};
use crate::forensics::watch::watch;
use crate::place;
use crate::progress::Count;
use crate::summary::Summary;
use aegis_forensics::{Point, ReadError, Reading, Until};
use aegis_model::Lsn;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a followed journal is looked at.
const FOLLOW: Duration = Duration::from_millis(200);

/// A journal that cannot be read, named.
pub(crate) fn failure(path: &Path, error: &ReadError) -> Failure {
    let exit = if let ReadError::Open(cause) = error {
        code_of(cause)
    } else if matches!(error, ReadError::Schema { .. } | ReadError::Pruned { .. }) {
        Exit::Usage
    } else {
        Exit::Corrupt
    };
    Failure::new(exit, format!("{}: {error}", path.display()))
}

/// The journal that was named, or all of the data directory.
///
/// # Errors
/// [`Failure`] when there is none.
pub(crate) fn journals(config: &Config, named: Option<&PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    match named {
        Some(path) => Ok(vec![path.clone()]),
        None => Ok(place::engines(&config.data)?.into_iter().map(|j| j.path).collect()),
    }
}

/// That several journals are there where one is needed.
pub(crate) fn one_of(paths: &[PathBuf], what: &str) -> Failure {
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    Failure::usage(format!("one journal can be {what}: name one of {}", names.join(", ")))
}

/// Folds journals and shows the state.
///
/// # Errors
/// [`Failure`].
pub(crate) fn replay(config: &Config, asked: &cli::Replay, json: bool) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    if asked.watch {
        let paths = journals(config, asked.journal.as_ref())?;
        let [path] = &paths[..] else { return Err(one_of(&paths, "watched")) };
        return watch(path, asked.until);
    }
    for path in journals(config, asked.journal.as_ref())? {
        let until = asked.until.unwrap_or(Until::End);
        let bar = Count::new(&path, "folding");
        let reading = match asked.until {
            Some(until) if !asked.no_checkpoints => Reading::open_near(&path, until),
            Some(_) => Reading::open(&path),
            None => match Reading::open(&path) {
                Err(ReadError::Pruned { .. }) if !asked.no_checkpoints => Reading::open_near(&path, until),
                whole => whole,
            },
        };
        let reading = reading.and_then(|r| r.run_telling(until, &mut |lsn| bar.reached(lsn.0)));
        let reading = reading.map_err(|e| failure(&path, &e))?;
        drop(bar);
        let summary = Summary::of(&reading.state);
        let hole = reading.hole.as_ref().map(ToString::to_string);
        if json {
            let line = json!({
                "journal": path.display().to_string(),
                "lsn": reading.state.lsn.0,
                "checkpoint": reading.checkpoint.map(|lsn| lsn.0),
                "behind_gap": reading.behind_gap,
                "hole": hole,
                "summary": summary,
            });
            crate::print(&line.to_string())?;
        } else {
            crate::print(&format!("{}\n{}", path.display(), summary.to_string().trim_end()))?;
            if let Some(lsn) = reading.checkpoint {
                crate::print(&format!(
                    "  from              checkpoint {lsn}; --no-checkpoints folds from record 1"
                ))?;
            }
        }
        exit = exit.worse(incomplete(&path, hole.as_deref(), reading.behind_gap, json)?);
    }
    Ok(exit)
}

/// Says what was not read, and how that ends: a journal with a hole is damaged or was copied while it was written.
///
/// # Errors
/// [`Failure`].
pub(crate) fn incomplete(path: &Path, hole: Option<&str>, behind: u64, json: bool) -> Result<Exit, Failure> {
    let exit = match (hole, behind) {
        (Some(_), _) => Exit::Corrupt,
        (None, 0) => return Ok(Exit::Ok),
        (None, _) => Exit::Finding,
    };
    if !json {
        let lie = format!("{behind} intact records lie behind it and are not folded");
        crate::print(&match hole {
            Some(hole) => format!(
                "  {}: copied while live or damaged: read up to the last whole batch before {hole}; {lie}",
                path.display()
            ),
            None => format!("  a gap was declared: {lie}"),
        })?;
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
        return Err(one_of(&paths, "followed"));
    }
    let mut exit = Exit::Ok;
    for path in &paths {
        if paths.len() > 1 && !json {
            crate::print(&format!("{}", path.display()))?;
        }
        let reading = match Reading::open(path) {
            Err(ReadError::Pruned { .. }) => Reading::open_near(path, Until::Before(Lsn(asked.from))),
            whole => whole,
        };
        let mut reading = reading.map_err(|e| failure(path, &e))?;
        let mut ended = false;
        loop {
            match reading.next_point().map_err(|e| failure(path, &e))? {
                Some(point) if asked.to.is_some_and(|to| point.lsn.0 > to) => break,
                Some(point) if point.lsn.0 >= asked.from => {
                    let line = if json { in_json(path, &point) } else { point.line(&reading.state) };
                    crate::print(&line)?;
                }
                Some(_) => {}
                None if asked.follow && reading.hole.is_none() => std::thread::sleep(FOLLOW),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        if ended {
            let hole = reading.hole.as_ref().map(ToString::to_string);
            exit = exit.worse(incomplete(path, hole.as_deref(), reading.behind_gap, json)?);
        }
    }
    Ok(exit)
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
