//! `aegis inventory` and `aegis import`: what the old bot left, looked at, judged, and recorded as claims in the live run's
//! journal. Files are read and never changed; what is refused stays where it is, and nothing of it is recorded.

use crate::config::Config;
use crate::exit::{Exit, Failure, code_of};
use crate::ids::Draw;
use crate::live::NAME;
use crate::place;
use crate::world::{Opening, open_engine};
use aegis_engine::{Engine, reconcile};
use aegis_legacy::judge::{Judged, Read, judge};
use aegis_legacy::limits::Answers;
use aegis_legacy::report::{Report, item};
use aegis_legacy::venue::Venue;
use aegis_legacy::{What, Zone, look};
use aegis_model::event::{ENGINE_SCHEMA, JournalCreated};
use aegis_model::input::Opened;
use aegis_model::{ClaimFile, Input, Label, Mode};
use aegis_node::Node;
use aegis_projection::State;
use clap::Args;
use files::{Found, collect};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod files;

/// Files that one journal may have imported; its state keeps the digest of each.
const IMPORTS_MAX: usize = 4096;

/// `aegis inventory`
#[derive(Args, Debug)]
pub(crate) struct Inventory {
    /// Where the old bot's files lie
    pub(crate) dir: PathBuf,
}

/// `aegis import`
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// Files or directories of the old bot
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) files: Vec<PathBuf>,
    /// The zone that the old bot's machine was set to: UTC, +02:00, Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Zone,
    /// Saved answers of the exchange to compare with: balances, trades, open orders
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) snapshot: Vec<PathBuf>,
    /// An answer to a question of the report, such as stop_loss=2%, positions=4, trade_risk=skip or stops=proposed
    #[arg(long = "answer", value_name = "KEY=VALUE")]
    pub(crate) answers: Vec<String>,
    /// A file of such answers, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) answers_from: Option<PathBuf>,
    /// Judge and report; record nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Lists what lies in a directory.
///
/// # Errors
/// [`Failure`] when it cannot be read.
pub(crate) fn inventory(asked: &Inventory, json: bool) -> Result<Exit, Failure> {
    // Times are not shown, so any zone will do.
    let zone: Zone = "UTC".parse().map_err(Failure::bug)?;
    let mut sum = 0;
    let found = collect(std::slice::from_ref(&asked.dir))?;
    for file in &found {
        let item = match file.bytes() {
            Ok(bytes) => item(&file.name, &bytes, &zone),
            Err(why) => aegis_legacy::report::Item {
                name: file.name.clone(),
                bytes: file.len,
                what: "unread".to_owned(),
                detail: why.to_string(),
            },
        };
        sum += item.bytes;
        if json {
            crate::print(&serde_json::to_string(&item).map_err(Failure::bug)?)?;
        } else {
            let detail = if item.detail.is_empty() { String::new() } else { format!(": {}", item.detail) };
            crate::print(&format!("{:>10}  {}  {}{detail}", item.bytes, item.name, item.what))?;
        }
    }
    if !json {
        crate::print(&format!("{:>10}  bytes in {} files", sum, found.len()))?;
    }
    Ok(Exit::Ok)
}

/// Judges the old bot's files, reports, and records what they claim.
///
/// # Errors
/// [`Failure`]; nothing was recorded then but whole files.
pub(crate) fn import(config: &Config, asked: &Import, json: bool) -> Result<Exit, Failure> {
    let answers = answers(asked)?;
    let venue = venue(&asked.snapshot)?;
    let mut read = Vec::new();
    let mut others = 0;
    for file in collect(&asked.files)? {
        match of(&file, &asked.timezone)? {
            Some(one) => read.push(one),
            None => others += 1,
        }
    }
    let judged = judge(read, &asked.timezone, &answers, venue.as_ref());
    let path = config.data.join(NAME).join("engine");
    let state = state(config, &path)?;
    let report = Report::of(&judged, |digest| state.claims.files.contains_key(digest));
    let news = news(&state, &judged);
    let recorded = match (asked.dry_run, news.is_empty()) {
        (true, _) | (_, true) => 0,
        (false, false) => record(config, &state, news)?,
    };
    let lots = venue.as_ref().and_then(|venue| lots(&state, venue));
    let traded = &config.live.wire.instruments;
    let waiting: BTreeSet<Label> =
        report.positions.iter().map(|claim| claim.instrument).filter(|name| !traded.contains(name)).collect();
    tell(&report, (others, &waiting), lots, (recorded, asked.dry_run, &path), json)?;
    let found = report.is_open() || report.counts.contradicted + report.counts.partly > 0;
    Ok(if found { Exit::Finding } else { Exit::Ok })
}

fn tell(
    report: &Report,
    (others, waiting): (usize, &BTreeSet<Label>),
    lots: Option<(usize, usize)>,
    (recorded, dry_run, path): (u64, bool, &Path),
    json: bool,
) -> Result<(), Failure> {
    if json {
        let mut line = serde_json::to_value(report).map_err(Failure::bug)?;
        line["recorded"] = recorded.into();
        line["dry_run"] = dry_run.into();
        line["left_alone"] = others.into();
        line["waiting"] = serde_json::json!(waiting);
        line["lots_known"] = serde_json::json!(lots.map(|(known, all)| [known, all]));
        return crate::print(&line.to_string());
    }
    let mut text = report.to_string();
    for name in waiting {
        text +=
            &format!("waits    {name} is not in live.instruments: what is claimed of it waits until it is\n");
    }
    if others > 0 {
        text += &format!("{others} other files were left alone; `aegis inventory` lists them\n");
    }
    if let Some(words) = lots.and_then(|(known, all)| divergence(known, all)) {
        text += &format!("of the venue's lots the journal knows {words}\n");
    }
    text += &match (dry_run, recorded) {
        (true, _) => "dry run: nothing was recorded".to_owned(),
        (false, 0) => "nothing new was recorded".to_owned(),
        (false, n) => format!(
            "{n} records in {}; the next `aegis run --live` compares them with the exchange before any entry",
            path.display()
        ),
    };
    crate::print(&text)
}

/// `2 of 4 (divergence 50 %)`; none where there is no lot.
fn divergence(known: usize, all: usize) -> Option<String> {
    let unknown = all.checked_sub(known)?;
    let percent = (unknown * 100).checked_div(all)?;
    Some(format!("{known} of {all} (divergence {percent} %)"))
}

fn answers(asked: &Import) -> Result<Answers, Failure> {
    let mut answers = Answers::default();
    let from = match &asked.answers_from {
        Some(path) => std::fs::read_to_string(path).map_err(|e| Failure::io(path.display(), &e))?,
        None => String::new(),
    };
    let lines = from.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for answer in lines.chain(asked.answers.iter().map(String::as_str)) {
        answers.take(answer).map_err(Failure::usage)?;
    }
    Ok(answers)
}

fn venue(paths: &[PathBuf]) -> Result<Option<Venue>, Failure> {
    if paths.is_empty() {
        return Ok(None);
    }
    let mut venue = Venue::default();
    for path in paths {
        let bytes = std::fs::read(path).map_err(|e| Failure::io(path.display(), &e))?;
        venue.add(&bytes).map_err(|refused| Failure::usage(format!("{}: {refused}", path.display())))?;
    }
    Ok(Some(venue))
}

/// A file with what reading it came to; none of one that was only found in a directory and is nothing of the old bot's.
fn of(file: &Found, zone: &Zone) -> Result<Option<Read>, Failure> {
    let read = |outcome| Some(Read { name: file.name.clone(), bytes: file.len, outcome });
    match file.bytes() {
        Ok(bytes) => {
            let unknown = matches!(look(&bytes), What::Unknown | What::Reply);
            if unknown && !file.named {
                return Ok(None);
            }
            Ok(read(aegis_legacy::read(&bytes, zone)))
        }
        Err(files::Unread::Refused(refused)) => Ok(read(Err(refused))),
        Err(files::Unread::Io(e)) => Err(Failure::io(&file.name, &e)),
    }
}

/// What the journal holds, read beside whoever writes it; an empty state where there is none.
fn state(config: &Config, path: &Path) -> Result<State, Failure> {
    if !path.is_dir() {
        return Ok(State::default());
    }
    let mut engine = Engine::new(config.live.engine.clone());
    match aegis_node::read(&mut engine, ENGINE_SCHEMA, place::reader(path)?) {
        Ok(_) | Err(aegis_node::ReadError::Open(aegis_journal::OpenError::NoJournal)) => {
            Ok(engine.state().clone())
        }
        Err(e) => {
            let exit =
                if let aegis_node::ReadError::Open(cause) = &e { code_of(cause) } else { Exit::Corrupt };
            Err(Failure::new(exit, format!("{}: {e}", path.display())))
        }
    }
}

/// Files of which the journal lacks something that can be recorded.
fn news(state: &State, judged: &Judged) -> Vec<ClaimFile> {
    let lacks = |file: &&ClaimFile| match state.claims.files.get(&file.digest) {
        None => true,
        Some(known) => file.claims.iter().any(|claim| known.withheld.contains(&claim.row)),
    };
    judged.files.iter().filter(lacks).cloned().collect()
}

/// Writes the claims down, each file as one batch; how many records that made.
fn record(config: &Config, state: &State, files: Vec<ClaimFile>) -> Result<u64, Failure> {
    if state.claims.files.len() + files.len() > IMPORTS_MAX {
        return Err(Failure::usage(format!("a journal takes the claims of {IMPORTS_MAX} files at most")));
    }
    place::prepare(&config.data)?;
    let draw = Draw::new(None, NAME);
    let dir = config.data.join(NAME);
    let Opening { mut node, .. } = open_engine(&dir, &config.live.engine, Mode::Live, config, &draw)?;
    if node.lost().is_some() {
        return Err(Failure::new(
            Exit::Corrupt,
            "acknowledged records of this journal are lost: start `aegis run --live`, which says so in the journal, \
             and import then",
        ));
    }
    let is_new = node.machine().state().journal.mode.is_none();
    let mut inputs = Vec::new();
    if is_new {
        inputs.push(opening(config, &draw, &node)?);
    }
    inputs.extend(files.into_iter().map(|file| Input::Import(Box::new(file))));
    if is_new {
        inputs.push(Input::Stopped(Label::literal("import")));
    }
    let before = node.machine().state().lsn;
    // What the engine may want meanwhile is wanted again at its next start: here nobody can carry it out.
    let effects = node.step(crate::wire::clock::now(), &inputs)?;
    drop(effects);
    node.flush()?;
    let recorded = node.machine().state().lsn.0 - before.0;
    node.close()?;
    Ok(recorded)
}

fn opening(
    config: &Config,
    draw: &Draw,
    node: &Node<Engine, aegis_journal::DirStorage>,
) -> Result<Input, Failure> {
    let live = &config.live;
    Ok(Input::Opened(Opened {
        created: Some(JournalCreated {
            mode: Mode::Live,
            installation: draw.installation()?,
            quote: live.quote,
        }),
        run: draw.run(node.machine().state().journal.openings)?,
        version: Label::lossy(env!("CARGO_PKG_VERSION")),
        config_digest: crate::act::config_digest(&live.recorded),
        seed: draw.seed(),
        settings: live.recorded.clone(),
        gap: None,
    }))
}

/// Lots that the journal knows of those that the snapshot's trades leave.
fn lots(state: &State, venue: &Venue) -> Option<(usize, usize)> {
    let instrument = |name: &Label| state.find_instrument(name);
    let snapshot = venue.snapshot(1, crate::wire::clock::now(), instrument, |name| state.find_asset(name));
    reconcile::lots_known(state, &snapshot)
}
