//! `aegis diff`: what two journals, two points of one, or a journal and a venue snapshot differ in. Exit code 1 when they
//! differ. With `--json` first an object with the verdict, then one for each difference.

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals};
use crate::progress::Count;
use aegis_forensics::diff::{self, Difference, Parting};
use aegis_forensics::snapshot::{self, Snapshot};
use aegis_forensics::{ReadError, Reading, Until};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A journal and a point in it.
struct Side {
    path: PathBuf,
    until: Option<Until>,
}

impl Side {
    /// `DIR` or `DIR@POINT`. A directory whose own name has such an ending is taken as it is.
    fn parse(text: &str) -> Result<Side, Failure> {
        if let Some((dir, point)) = text.rsplit_once('@')
            && !Path::new(text).exists()
        {
            let until = point.parse().map_err(|e| Failure::usage(format!("{text}: {e}")))?;
            return Ok(Side { path: dir.into(), until: Some(until) });
        }
        Ok(Side { path: text.into(), until: None })
    }

    fn name(&self) -> String {
        let path = self.path.display();
        match self.until {
            None | Some(Until::End) => path.to_string(),
            Some(Until::Lsn(lsn)) => format!("{path}@{lsn}"),
            Some(Until::Before(lsn)) => format!("{path}@before {lsn}"),
            Some(Until::Time(at)) => format!("{path}@{}", aegis_forensics::clock(at)),
        }
    }

    /// The state at its point.
    fn folded(&self) -> Result<Reading, Failure> {
        let bar = Count::new(&self.path, "folding");
        let until = self.until.unwrap_or(Until::End);
        Reading::open_near(&self.path, until)
            .and_then(|r| r.run_telling(until, &mut |lsn| bar.reached(lsn.0)))
            .map_err(|e| failure(&self.path, &e))
    }
}

/// Compares.
///
/// # Errors
/// [`Failure`].
pub(crate) fn diff(config: &Config, asked: &cli::Diff, json: bool) -> Result<Exit, Failure> {
    if let (Some(at), Some(and)) = (asked.at, asked.and) {
        let [path] = &asked.sides[..] else {
            return Err(Failure::usage("--at and --and are two points of one journal: name one"));
        };
        let side = |until| Side { path: path.into(), until: Some(until) };
        return points(&side(at), &side(and), json);
    }
    match &asked.sides[..] {
        [] | [_] => Err(Failure::usage(
            "two things are compared: two journals, one journal with --at and --and, or a journal and snapshot files",
        )),
        [journal, files @ ..] if files.iter().all(|file| Path::new(file).is_file()) => {
            venue(config, &Side::parse(journal)?, files, json)
        }
        [left, right] => {
            let (left, right) = (Side::parse(left)?, Side::parse(right)?);
            if left.path == right.path { points(&left, &right, json) } else { two(&left, &right, json) }
        }
        _ => Err(Failure::usage("two journals at most, or one journal and files of one snapshot")),
    }
}

/// What is said of both sides.
struct Verdict<'a> {
    left: String,
    right: String,
    lsns: (u64, Option<u64>),
    parting: Option<&'a Parting>,
    differences: &'a [Difference],
}

impl Verdict<'_> {
    fn show(&self, json: bool) -> Result<Exit, Failure> {
        let equal = self.differences.is_empty() && self.parting.is_none();
        if json {
            let head = json!({
                "left": self.left,
                "right": self.right,
                "lsn_left": self.lsns.0,
                "lsn_right": self.lsns.1,
                "equal": equal,
                "parting": self.parting,
                "differences": self.differences.len(),
            });
            crate::print(&head.to_string())?;
            for difference in self.differences {
                crate::print(&serde_json::to_string(difference).map_err(Failure::bug)?)?;
            }
        } else {
            crate::print(&format!("left:  {}\nright: {}", self.left, self.right))?;
            if let Some(parting) = self.parting {
                crate::print(&parting.to_string())?;
            }
            let nothing = || "nothing".to_owned();
            for d in self.differences {
                let (left, right) =
                    (d.left.clone().unwrap_or_else(nothing), d.right.clone().unwrap_or_else(nothing));
                crate::print(&format!("{}\n  left   {left}\n  right  {right}", d.place))?;
            }
            if equal {
                crate::print("they do not differ")?;
            } else if self.differences.is_empty() {
                crate::print("their states do not differ")?;
            }
        }
        Ok(if equal { Exit::Ok } else { Exit::Finding })
    }
}

/// Two points of one journal: states only, since one is a part of the other.
fn points(left: &Side, right: &Side, json: bool) -> Result<Exit, Failure> {
    let (a, b) = (left.folded()?, right.folded()?);
    let differences = diff::states(&a.state, &b.state);
    let verdict = Verdict {
        left: left.name(),
        right: right.name(),
        lsns: (a.state.lsn.0, Some(b.state.lsn.0)),
        parting: None,
        differences: &differences,
    };
    let exit = verdict.show(json)?;
    let hole = b.hole.or(a.hole).map(|hole| hole.to_string());
    Ok(exit.worse(incomplete(&right.path, hole.as_deref(), b.behind_gap, json)?))
}

fn two(left: &Side, right: &Side, json: bool) -> Result<Exit, Failure> {
    let open = |side: &Side| Reading::open(&side.path).map_err(|e| failure(&side.path, &e));
    let until = (left.until.unwrap_or(Until::End), right.until.unwrap_or(Until::End));
    let (a, b) = (open(left)?, open(right)?);
    let of_both = |e: &ReadError| failure(Path::new(&format!("{} or {}", left.name(), right.name())), e);
    let (compared, a, b) = diff::journals(a, b, until).map_err(|e| of_both(&e))?;
    let verdict = Verdict {
        left: left.name(),
        right: right.name(),
        lsns: (compared.lsns.0, Some(compared.lsns.1)),
        parting: compared.parting.as_ref(),
        differences: &compared.differences,
    };
    let mut exit = verdict.show(json)?;
    for (side, reading) in [(left, a), (right, b)] {
        let hole = reading.hole.map(|hole| hole.to_string());
        exit = exit.worse(incomplete(&side.path, hole.as_deref(), reading.behind_gap, json)?);
    }
    Ok(exit)
}

/// A journal against what the exchange says in files.
fn venue(config: &Config, journal: &Side, files: &[String], json: bool) -> Result<Exit, Failure> {
    let mut venue = Snapshot::default();
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|e| Failure::io(file, &e))?;
        venue.add(&text).map_err(|e| Failure::usage(format!("{file}: {e}")))?;
    }
    // An act's name does as well as its directory.
    let known = journals(config, None).unwrap_or_default();
    let named = known.iter().find(|path| {
        path.parent().and_then(Path::file_name).is_some_and(|act| act == journal.path.as_os_str())
    });
    let path = if journal.path.is_dir() {
        journal.path.clone()
    } else {
        named.cloned().unwrap_or(journal.path.clone())
    };
    let side = Side { path, until: journal.until };
    let reading = side.folded()?;
    let differences = snapshot::compare(&reading.state, &venue);
    let verdict = Verdict {
        left: side.name(),
        right: files.join(", "),
        lsns: (reading.state.lsn.0, None),
        parting: None,
        differences: &differences,
    };
    let exit = verdict.show(json)?;
    let hole = reading.hole.map(|hole| hole.to_string());
    Ok(exit.worse(incomplete(&side.path, hole.as_deref(), reading.behind_gap, json)?))
}
