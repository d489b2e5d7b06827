//! `aegis doctor`: everything that a live run rests on, looked at once: settings, keys, disk, journal, lock, stops, and
//! the exchange as it answers. A line each; it changes nothing and sends no order.

use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::live::NAME;
use crate::place;
use crate::text::size;
use crate::wire::doctor::{Check, Grade, examine};
use aegis_engine::Engine;
use aegis_engine::settings::Guarding;
use aegis_journal::StorageRead;
use aegis_model::event::ENGINE_SCHEMA;
use std::path::Path;
use std::time::Duration;

/// How long the exchange has to answer everything.
const PATIENCE: Duration = Duration::from_secs(20);
/// Free bytes below which a run is soon in trouble: some segments and their spares.
const FREE_LOW: u64 = 1 << 30;
const FREE_BAD: u64 = 256 << 20;

/// Looks and tells: exit 0 when everything is good or only worth a word, 1 otherwise.
///
/// # Errors
/// [`Failure`] when nothing could be looked at.
pub(crate) fn doctor(config: &Config, json: bool) -> Result<Exit, Failure> {
    let mut checks = vec![Check::new("configuration", Grade::Good, "right; every setting is understood")];
    checks.push(guarding(config));
    let dir = config.data.join(NAME).join("engine");
    checks.push(disk(&config.data));
    checks.extend(journal(&dir, config));
    match config.live.keys.signer() {
        Err(failure) => checks.push(Check::new("key", Grade::Bad, failure.text)),
        Ok(signer) => {
            checks.push(Check::new("keys found", Grade::Good, "key and secret are where the settings say"));
            checks.extend(examine(&config.live.wire, signer, PATIENCE)?);
        }
    }
    checks.push(match &config.live.notify {
        Some(_) => Check::new("messages", Grade::Good, "are posted to live.notify"),
        None => Check::new("messages", Grade::Warning, "stand in the log only: set live.notify"),
    });
    for check in &checks {
        if json {
            crate::print(&serde_json::to_string(check).map_err(Failure::bug)?)?;
        } else {
            let mark = match check.grade {
                Grade::Good => "good",
                Grade::Warning => "note",
                Grade::Bad => "BAD ",
            };
            crate::print(&format!("{mark}  {:18}  {}", check.about, check.text))?;
        }
    }
    let bad = checks.iter().any(|check| check.grade == Grade::Bad);
    Ok(if bad { Exit::Finding } else { Exit::Ok })
}

fn guarding(config: &Config) -> Check {
    let live = &config.live;
    match (live.refusal(), live.engine.guarding) {
        (Some(why), _) => Check::new("protection", Grade::Bad, why),
        (None, Guarding::Engine) => Check::new(
            "protection",
            Grade::Warning,
            "the engine alone: while it is down nothing guards what is held, and that was accepted",
        ),
        (None, Guarding::Exchange) => Check::new(
            "protection",
            Grade::Good,
            "a stop at the exchange; the engine does not stand behind it",
        ),
        (None, Guarding::Both) => {
            Check::new("protection", Grade::Good, "a stop at the exchange, and the engine behind it")
        }
    }
}

/// A file system by its magic number of statfs(2), what may be built on it, and why not everything.
fn kind(magic: i64) -> (&'static str, Grade, &'static str) {
    let untried = ": power cuts and full disks were not tried there";
    match magic {
        0xef53 => ("ext4", Grade::Good, ""),
        0x5846_5342 => ("xfs", Grade::Good, ""),
        0x9123_683e => (
            "btrfs",
            Grade::Warning,
            ": a full disk there ends the engine by SIGBUS instead of an error, though nothing acknowledged is lost",
        ),
        0x0102_1994 => ("tmpfs", Grade::Bad, ": nothing there survives a power cut"),
        0x6969 => ("nfs", Grade::Bad, ": a sync there is no sync"),
        0x2fc1_2fc1 => ("zfs", Grade::Warning, untried),
        0x794c_7630 => ("overlayfs", Grade::Warning, untried),
        _ => ("a file system that is not known here", Grade::Warning, untried),
    }
}

/// Free space and the kind of file system of the nearest directory that exists.
fn disk(data: &Path) -> Check {
    let there = data.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    match rustix::fs::statfs(there) {
        Err(e) => Check::new("disk", Grade::Bad, format!("{}: {e}", there.display())),
        Ok(told) => {
            let free = u64::try_from(told.f_bsize).unwrap_or(0).saturating_mul(told.f_bavail);
            let (kind, grade, doubt) = kind(told.f_type);
            let text = format!("{} free on {kind} at {}{doubt}", size(free), there.display());
            if grade == Grade::Bad {
                return Check::new("disk", grade, text);
            }
            let grade = match free {
                0..FREE_BAD => Grade::Bad,
                FREE_BAD..FREE_LOW => Grade::Warning,
                _ => grade,
            };
            Check::new("disk", grade, text)
        }
    }
}

/// The journal's bytes, its lock, and whether what is held has its stops.
fn journal(dir: &Path, config: &Config) -> Vec<Check> {
    if !dir.is_dir() {
        return vec![Check::new(
            "journal",
            Grade::Good,
            format!("none yet; it will lie in {}", dir.display()),
        )];
    }
    let mut checks = Vec::new();
    match aegis_journal::verify_dir(dir, |_| {}) {
        Err(e) => checks.push(Check::new("journal", Grade::Bad, format!("{}: {e}", dir.display()))),
        Ok(report) if report.findings.is_empty() && report.gaps.is_empty() => checks.push(Check::new(
            "journal",
            Grade::Good,
            format!("{} records, {}, every byte verified", report.records, size(report.bytes)),
        )),
        Ok(report) => checks.push(Check::new(
            "journal",
            Grade::Bad,
            format!("{} finding(s), {} gap(s): see `aegis verify`", report.findings.len(), report.gaps.len()),
        )),
    }
    let busy = place::reader(dir).ok().and_then(|reader| reader.writer_is_alive().ok());
    checks.push(match busy {
        Some(true) => Check::new("lock", Grade::Good, "held by a running engine"),
        Some(false) => Check::new("lock", Grade::Good, "free"),
        None => Check::new("lock", Grade::Warning, "cannot be told"),
    });
    let mut engine = Engine::new(config.live.engine.clone());
    if let Ok(reader) = place::reader(dir)
        && aegis_node::read(&mut engine, ENGINE_SCHEMA, reader).is_ok()
    {
        checks.push(stops(&engine, config));
    }
    checks
}

fn stops(engine: &Engine, config: &Config) -> Check {
    let state = engine.state();
    let open: Vec<_> = state.instruments.iter().filter(|i| i.is_open()).collect();
    let without: Vec<String> =
        open.iter().filter(|i| i.protection.is_none()).map(|i| i.spec.name.to_string()).collect();
    let bare: Vec<String> = open
        .iter()
        .filter(|i| config.live.engine.guarding != Guarding::Engine && i.bare_since.is_some())
        .map(|i| i.spec.name.to_string())
        .collect();
    if !without.is_empty() {
        return Check::new("stops", Grade::Bad, format!("none for {}", without.join(", ")));
    }
    if !bare.is_empty() {
        let text = format!("none rests at the exchange for {}; the engine guards them", bare.join(", "));
        return Check::new("stops", Grade::Warning, text);
    }
    Check::new("stops", Grade::Good, format!("{} position(s), every one covered", open.len()))
}
