//! `aegis run`: the acts one after the other, each with its own account and journals, and what they add up to. An act
//! that has nothing left to play is shown and not opened.

use crate::act::{self, Ended, Script};
use crate::cli;
use crate::config::{Act, Config};
use crate::control::Desk;
use crate::exit::{Exit, Failure};
use crate::ids::Draw;
use crate::market::Market;
use crate::place;
use crate::place::reader;
use crate::summary::Summary;
use crate::text::{per_second, size};
use aegis_model::event::{ENGINE_SCHEMA, VENUE_SCHEMA};
use aegis_model::{Fixed, Label, Rounding, Timestamp};
use aegis_paper::Venue;
use serde::Serialize;
use std::fmt::Write as _;

/// What an act adds up to.
#[derive(Serialize)]
struct ActSummary {
    act: String,
    title: String,
    /// `complete`, `complete before` or the reason of the stop.
    ended: String,
    engine: Summary,
    venue: VenueSummary,
    /// What this process did; none when the act was complete before.
    process: Option<Process>,
    journal_bytes: u64,
    venue_journal_bytes: u64,
}

/// The paper exchange's own counters.
#[derive(Serialize)]
pub(crate) struct VenueSummary {
    orders_accepted: u64,
    orders_refused: u64,
    duplicates_refused: u64,
    trades: u64,
    balances: Vec<(String, String)>,
    /// Quote and holdings at the last price shown.
    equity: Option<String>,
}

/// What one process did.
#[derive(Serialize)]
struct Process {
    points: u64,
    records: u64,
    syncs: u64,
    milliseconds: u128,
    events_per_second: u64,
}

/// Plays the acts.
///
/// # Errors
/// [`Failure`].
pub(crate) fn run(config: &Config, asked: &cli::Run, json: bool) -> Result<Exit, Failure> {
    if asked.fresh
        && let Some(aside) = place::move_aside(&config.data)?
    {
        eprintln!("aegis: the old data lie in {}", aside.display());
    }
    let acts: Vec<&Act> =
        config.acts.iter().filter(|a| asked.act.is_empty() || asked.act.contains(&a.name)).collect();
    if let Some(unknown) = asked.act.iter().find(|name| !config.acts.iter().any(|a| a.name == **name)) {
        return Err(Failure::usage(format!(
            "no act {unknown} is enabled; see `aegis config show --effective`"
        )));
    }
    if acts.is_empty() {
        return Err(Failure::usage("no act is enabled"));
    }
    place::prepare(&config.data)?;
    let (mut desk, mut complete_before) = (None, 0);
    for (number, act) in acts.iter().enumerate() {
        if !json {
            crate::print(&format!("act {} of {}: {}", number + 1, acts.len(), act.title))?;
        }
        let (summary, ended) = one(config, act, asked, &mut desk)?;
        complete_before += usize::from(summary.process.is_none());
        if json {
            crate::print(&serde_json::to_string(&summary).map_err(Failure::bug)?)?;
        } else {
            crate::print(&words(&summary))?;
        }
        if let Ended::Stopped(why) = ended {
            if !json {
                crate::print(&format!("stopped by {why}: run the same command again to go on from here"))?;
            }
            return Ok(Exit::Ok);
        }
    }
    if complete_before == acts.len() && !json {
        crate::print(&format!(
            "this run was complete already: nothing was played. `aegis run --fresh` moves {} aside and begins anew",
            config.data.display()
        ))?;
    }
    Ok(Exit::Ok)
}

fn one(
    config: &Config,
    act: &Act,
    asked: &cli::Run,
    desk: &mut Option<Desk>,
) -> Result<(ActSummary, Ended), Failure> {
    // Once: it may be a pipe.
    let (market, digest) = Market::read(&act.feed, &act::names(act))?;
    let act = act::with_market(act, &market, digest)?;
    if let Some((engine, venue)) = finished(config, &act)?
        && act::is_complete(&engine, &act, market.clone())?
    {
        let summary = summary(config, &act, "complete before", &engine, venue, None);
        return Ok((summary, Ended::Complete));
    }
    let script = Script {
        act: &act,
        config,
        draw: Draw::new(asked.seed, &act.name),
        stop_after: asked.stop_after,
        kill: asked.debug_kill,
        progress: true,
    };
    let played = act::play(&script, market, desk)?;
    let ended = match played.ended {
        Ended::Complete => "complete".to_owned(),
        Ended::Stopped(why) => format!("stopped by {why}"),
    };
    let (engine, venue, how) = (played.engine, played.venue, played.ended);
    let process = Process {
        points: played.points,
        records: played.records,
        syncs: played.syncs,
        milliseconds: played.took.as_millis(),
        events_per_second: per_second(played.records + played.points, played.took),
    };
    Ok((summary(config, &act, &ended, &engine, venue, Some(process)), how))
}

/// Both states of an act whose last process stopped cleanly; read without a lock.
fn finished(config: &Config, act: &Act) -> Result<Option<(aegis_projection::State, VenueSummary)>, Failure> {
    let [engine_dir, venue_dir] = ["engine", "venue"].map(|room| act::dir_of(&config.data, &act.name, room));
    if !engine_dir.is_dir() || !venue_dir.is_dir() {
        return Ok(None);
    }
    let mut engine = aegis_engine::Engine::new(act.engine.clone());
    // Anything unusual is judged by the opening for writing, which knows what to do.
    if aegis_node::read(&mut engine, ENGINE_SCHEMA, reader(&engine_dir)?).is_err()
        || !engine.state().journal.stopped
    {
        return Ok(None);
    }
    let mut venue = aegis_paper::Venue::new(act.venue);
    if aegis_node::read(&mut venue, VENUE_SCHEMA, reader(&venue_dir)?).is_err() {
        return Ok(None);
    }
    let venue = VenueSummary::of(&venue, engine.state());
    Ok(Some((engine.state().clone(), venue)))
}

fn summary(
    config: &Config,
    act: &Act,
    ended: &str,
    engine: &aegis_projection::State,
    venue: VenueSummary,
    process: Option<Process>,
) -> ActSummary {
    let bytes = |room: &str| place::record_bytes(&act::dir_of(&config.data, &act.name, room));
    ActSummary {
        act: act.name.clone(),
        title: act.title.clone(),
        ended: ended.to_owned(),
        engine: Summary::of(engine),
        venue,
        process,
        journal_bytes: bytes("engine"),
        venue_journal_bytes: bytes("venue"),
    }
}

impl VenueSummary {
    /// Reads the exchange, in the engine's names.
    pub(crate) fn of(venue: &Venue, engine: &aegis_projection::State) -> VenueSummary {
        let counters = venue.state().counters();
        let held = venue.state().holdings().filter(|h| !h.total.is_zero());
        VenueSummary {
            orders_accepted: counters.accepted,
            orders_refused: counters.rejected,
            duplicates_refused: counters.duplicates,
            trades: counters.trades,
            balances: held.map(|h| (h.name.to_string(), h.total.to_string())).collect(),
            equity: equity(venue, engine),
        }
    }
}

/// Quote plus holdings at the last price that each was traded at; none when a holding has no price.
fn equity(venue: &Venue, engine: &aegis_projection::State) -> Option<String> {
    let quote = engine.journal.quote;
    let trades = venue.trade_rows(Timestamp::EPOCH);
    let base_of = |instrument: &Label| {
        let spec = engine.instrument(engine.find_instrument(instrument)?)?.spec;
        Some(engine.asset(spec.base)?.name)
    };
    let mut sum = Fixed::ZERO;
    for holding in venue.state().holdings().filter(|h| !h.total.is_zero()) {
        if holding.name == quote {
            sum = sum.plus(holding.total.0).ok()?;
        } else {
            let last = trades.iter().rev().find(|t| base_of(&t.instrument) == Some(holding.name))?;
            sum = sum.plus(last.price.times(holding.total, Rounding::HalfEven).ok()?.0).ok()?;
        }
    }
    Some(format!("{sum:.8}"))
}

fn words(summary: &ActSummary) -> String {
    let mut out = summary.engine.to_string();
    let venue = &summary.venue;
    let mut line = |head: &str, text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "  {head:<17} {text}");
    };
    line(
        "paper exchange",
        &format!(
            "{} orders accepted, {} refused, {} duplicates",
            venue.orders_accepted, venue.orders_refused, venue.duplicates_refused
        ),
    );
    for (asset, total) in &venue.balances {
        line("", &format!("{total} {asset}"));
    }
    if let Some(equity) = &venue.equity {
        line("equity", &format!("{equity} (holdings at the last price traded)"));
    }
    line(
        "journals",
        &format!("{}, venue's {}", size(summary.journal_bytes), size(summary.venue_journal_bytes)),
    );
    match &summary.process {
        Some(p) => line(
            "this process",
            &format!(
                "{} points, {} records, {} syncs, {}.{:03} s",
                p.points,
                p.records,
                p.syncs,
                p.milliseconds / 1000,
                p.milliseconds % 1000
            ),
        ),
        None => line("this process", "nothing: the act was complete"),
    }
    if let Some(p) = &summary.process {
        line("speed", &format!("{} events a second (points and records)", p.events_per_second));
    }
    line("ended", &summary.ended);
    out.truncate(out.trim_end().len());
    out
}
