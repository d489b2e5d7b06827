//! `aegis status`: how things stand, from the running process or, when none runs, from the journals. Standing alarms
//! make it end with 1. It changes nothing.

use crate::config::Config;
use crate::control::words::Ask;
use crate::control::{self};
use crate::exit::{Exit, Failure, code_of};
use crate::place;
use crate::summary::Summary;
use aegis_model::event::ENGINE_SCHEMA;
use aegis_projection::State;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// An act's state for people and programs.
pub(crate) fn of(act: &str, state: &State) -> Value {
    json!({ "act": act, "summary": Summary::of(state), "lsn": state.lsn.0, "time": crate::text::clock(state.time) })
}

/// Shows the status.
///
/// # Errors
/// [`Failure`].
pub(crate) fn status(config: &Config, quiet: bool, json: bool) -> Result<Exit, Failure> {
    let live = control::ask(&config.data, &Ask::Status {})?.map(|reply| reply.status);
    let running = live.as_ref().and_then(|l| l["act"].as_str()).map(str::to_owned);
    let mut acts = Vec::new();
    for journal in place::engines(&config.data)? {
        if running.as_ref() == Some(&journal.act) {
            acts.extend(live.clone());
            continue;
        }
        let mut engine = aegis_engine::Engine::new(aegis_engine::Settings::default());
        aegis_node::read(&mut engine, ENGINE_SCHEMA, place::reader(&journal.path)?).map_err(|e| {
            let exit =
                if let aegis_node::ReadError::Open(cause) = &e { code_of(cause) } else { Exit::Corrupt };
            Failure::new(exit, format!("{}: {e}", journal.path.display()))
        })?;
        acts.push(of(&journal.act, engine.state()));
    }
    let alarms: usize = acts.iter().filter_map(|a| a["summary"]["alarms"].as_array()).map(Vec::len).sum();
    if !quiet {
        if json {
            for act in &acts {
                let live = running.as_deref() == act["act"].as_str();
                let mut line = act.clone();
                line["running"] = Value::Bool(live);
                crate::print(&line.to_string())?;
            }
        } else {
            crate::print(words(&acts, running.as_deref()).trim_end())?;
        }
    }
    Ok(if alarms == 0 { Exit::Ok } else { Exit::Finding })
}

fn words(acts: &[Value], running: Option<&str>) -> String {
    let mut out = String::new();
    for act in acts {
        let name = act["act"].as_str().unwrap_or("?");
        let how = if running == Some(name) { "running" } else { "not running; from the journal" };
        let summary = &act["summary"];
        let text = |key: &str| summary[key].as_str().unwrap_or("-").to_owned();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{name} ({how})");
        let mut line = |head: &str, text: &str| {
            let _ = writeln!(out, "  {head:<17} {text}");
        };
        line("as of", &format!("record {}, {}", act["lsn"], act["time"].as_str().unwrap_or("-")));
        line("trading", &summary["halted"].as_str().map_or("enabled".to_owned(), |h| format!("HALTED {h}")));
        for b in summary["balances"].as_array().into_iter().flatten() {
            let get = |key: &str| b[key].as_str().unwrap_or("-").to_owned();
            line(
                "balance",
                &format!(
                    "{} {}, available {}, reserved {}",
                    get("total"),
                    get("asset"),
                    get("available"),
                    get("reserved")
                ),
            );
            let age = b["age_s"].as_i64().map_or("?".into(), crate::text::span);
            line("", &format!("of record {}, {age} old", b["lsn"]));
        }
        let positions = summary["positions"].as_array().map_or(&[][..], Vec::as_slice);
        if positions.is_empty() {
            line("positions", "none");
        }
        for p in positions {
            let get = |key: &str| p[key].as_str().unwrap_or("none").to_owned();
            line("position", &format!("{} {} at {}", get("instrument"), get("held"), get("entry")));
            line(
                "",
                &format!(
                    "stop {} covers {}, take-profit {}",
                    get("stop"),
                    get("covered"),
                    get("take_profit")
                ),
            );
        }
        for c in summary["claims"].as_array().into_iter().flatten() {
            let get = |key: &str| c[key].as_str().unwrap_or("none").to_owned();
            line(
                "claim, unjudged",
                &format!("{} {}, stop {}", get("instrument"), get("quantity"), get("stop")),
            );
            line("", &format!("of {}, record {}; the next comparison judges it", get("file"), c["lsn"]));
        }
        line("profit", &format!("{} net of fees, {} closed", text("realised"), summary["closed"]));
        if summary["undelivered"].as_u64().unwrap_or(0) > 0 {
            line("undelivered", &summary["undelivered"].to_string());
        }
        let alarms = summary["alarms"].as_array().map_or(&[][..], Vec::as_slice);
        if alarms.is_empty() {
            line("alarms", "none");
        }
        for alarm in alarms {
            line("ALARM", alarm.as_str().unwrap_or("?"));
        }
        line("digest", &text("digest"));
    }
    out
}
