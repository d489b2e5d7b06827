//! `aegis what-if`: a record played again with other protection, and both outcomes side by side. It plays the recorded
//! settings first: whether that gives what was recorded says how far the rest may be believed. Nothing is written.

mod change;
mod figures;
mod market;
mod model;
mod orders;
mod record;
mod words;

pub(crate) use change::{OrNone, Stop, hold, take_profit};

use crate::cli;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::offline::{failure, incomplete, journals, one_of};
use crate::precedent::Counts;
use crate::progress::Count;
use aegis_forensics::audit::Moment;
use aegis_forensics::{Reading, Until};
use aegis_journal::MemReader;
use aegis_model::Mode;
use change::Change;
use figures::{Difference, Outcome};
use model::Part;
use orders::Usual;
use record::Record;
use serde_json::json;
use std::path::Path;

/// How far apart one signal's entries may be at a real exchange and in the model, ns.
const APART_NS: i64 = 60 * aegis_model::ids::SECOND;

/// All that is told.
struct Told<'a> {
    path: &'a Path,
    record: &'a Record,
    market: &'a market::Chosen,
    change: &'a Change,
    /// Of the last part: settings as recorded, and with what differs.
    settings: [&'a Part; 2],
    /// Parts with settings of their own, the last one's being told.
    parts: usize,
    recorded: &'a Outcome,
    model: &'a Outcome,
    what_if: &'a Outcome,
    /// What was usual at the exchange of a live run.
    usual: Option<Usual>,
    /// How much of the model, and of what differs, is as the record has it.
    counts: [Counts; 2],
    /// Whether the model gives what was recorded; of a live run the times may be some milliseconds off.
    exact: bool,
    /// Positions in which recorded settings and what was recorded differ.
    off: Vec<Difference>,
    /// Positions in which both settings differ.
    differences: Vec<Difference>,
    unknowable: Vec<String>,
}

/// Plays and tells.
///
/// # Errors
/// [`Failure`].
pub(crate) fn what_if(config: &Config, asked: &cli::WhatIf, json: bool) -> Result<Exit, Failure> {
    if matches!(asked.from, Some(Until::Before(_))) {
        return Err(Failure::usage("--from is a record number or a time"));
    }
    let change = Change {
        stop: asked.stop.clone(),
        take_profit: asked.take_profit,
        hold: asked.hold,
        instruments: asked.instrument.clone(),
    };
    if !change.is_said() {
        return Err(Failure::usage(
            "say what is to differ: --stop, --take-profit or --hold; --stop recorded plays the record as it is",
        ));
    }
    let paths = journals(config, asked.journal.as_ref())?;
    let [path] = &paths[..] else { return Err(one_of(&paths, "played again")) };
    let until = asked.until.unwrap_or(Until::End);
    let record = Record::read(path, asked.from, until)?;
    if record.settings().is_none_or(|s| s.is_empty()) {
        return Err(Failure::usage(format!("{}: it holds no settings to play it with", path.display())));
    }
    if asked.from.is_some() && record.from.is_none() {
        return Err(Failure::usage(format!(
            "--from lies behind the last record, {} at {}",
            record.last,
            Moment(record.until)
        )));
    }
    let market = market::choose(&record, path, asked.market.as_deref())?;
    if change.needs_candles() && !market.candles {
        return Err(Failure::usage(
            "an average true range is one of closed candles, and this run saw ticks: every entry would be refused",
        ));
    }
    let end = model::end(
        &record,
        &market,
        match until {
            // Behind the record's end the market is not what the run saw.
            Until::Time(at) if record.goes_on => Some(at),
            Until::End | Until::Lsn(_) | Until::Before(_) | Until::Time(_) => None,
        },
    );
    let parts = [None, Some(&change)].map(|change| model::parts(&record, &market.market, change, end));
    let [as_recorded, otherwise] = parts;
    let (as_recorded, otherwise) = (as_recorded?, otherwise?);
    let (journal, counts) = model::play(&record, &market.market, &as_recorded, "as recorded")?;
    let model = of_model(&record, &journal)?;
    let (journal, other_counts) = model::play(&record, &market.market, &otherwise, "what if")?;
    let what_if = of_model(&record, &journal)?;
    let bar = Count::new(path, "auditing");
    let recorded =
        figures::outcome(|| Reading::open(path), record.from, Until::Lsn(record.last), &mut |lsn| {
            bar.reached(lsn.0)
        });
    drop(bar);
    let recorded = recorded.map_err(|e| failure(path, &e))?;
    let apart = if record.mode == Some(Mode::Live) { APART_NS } else { 0 };
    let (Some(a), Some(b)) = (as_recorded.last(), otherwise.last()) else {
        return Err(Failure::bug("no part was played"));
    };
    let off = figures::differences(&recorded, &model, apart);
    let told = Told {
        path,
        record: &record,
        market: &market,
        change: &change,
        settings: [a, b],
        parts: as_recorded.len(),
        usual: record.usual(),
        counts: [counts, other_counts],
        exact: figures::equal(&recorded, &model, &off),
        off,
        differences: figures::differences(&model, &what_if, 0),
        unknowable: words::unknowable(&record, &market, &as_recorded, &other_counts),
        recorded: &recorded,
        model: &model,
        what_if: &what_if,
    };
    if json {
        crate::print(&in_json(&told).to_string())?;
    } else {
        crate::print(words::words(&told, asked.all).trim_end())?;
    }
    incomplete(path, record.hole.as_deref(), record.behind_gap, json)
}

fn of_model(record: &Record, journal: &MemReader) -> Result<Outcome, Failure> {
    figures::outcome(|| Reading::new(journal.clone()), record.from, Until::End, &mut |_| ())
        .map_err(|e| figures::bug(&e))
}

fn in_json(told: &Told<'_>) -> serde_json::Value {
    let settings = told.settings.map(|part| words::plans(part, told.change));
    json!({
        "journal": told.path.display().to_string(),
        "last": told.record.last,
        "from": told.record.from.map(Moment),
        "until": Moment(told.record.until),
        "hole": told.record.hole,
        "behind_gap": told.record.behind_gap,
        "market": told.market.words,
        "quote": told.record.quote.to_string(),
        "settings": { "recorded": settings[0], "what_if": settings[1] },
        "exact": told.exact,
        "off": told.off,
        "recorded": told.recorded.figures,
        "model": told.model.figures,
        "what_if": told.what_if.figures,
        "differences": told.differences,
        "exchange": told.usual.as_ref().map(|usual| json!({
            "recorded": usual,
            "model": told.counts[0],
            "what_if": told.counts[1],
        })),
        "positions_more": told.model.more + told.what_if.more,
        "unknowable": told.unknowable,
    })
}
