//! `aegis demo amnesia`: the story of S01 and S02 with a real child process, a real SIGKILL and a real paper exchange.
//! It prints what is found in the journals and nothing that it did not look up; it ends with 1 if the story fails.

use crate::exit::{Exit, Failure};
use crate::place::reader;
use crate::print;
use aegis_forensics::{Reading, words};
use aegis_model::event::VENUE_SCHEMA;
use aegis_model::{Event, Fact, Label, Lsn, Machine, OrderKind, Quantity, Rate, Side, Timestamp};
use aegis_paper::{Settings, Venue, VenueInput, VenueRow};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const MARKET: &str = include_str!("demo/market.csv");
const SIGNALS: &str = include_str!("demo/signals.ndjson");
const CONFIG: &str = include_str!("demo/demo.toml");
const ACT: &str = "market";

/// One of the two stories.
struct Story {
    title: &'static str,
    kill: &'static str,
    killed: &'static str,
}

const STORIES: [Story; 2] = [
    Story {
        title: "S01: a position is held, the process dies, and a signal says BUY again",
        kill: "after-answer:1",
        killed: "the buy was filled, its fill and its stop are in the journal",
    },
    Story {
        title: "S02: the exchange took the order, the process dies before it reads the reply",
        kill: "after-accept:1",
        killed: "the order is filled at the exchange; nobody has read the answer",
    },
];

/// Plays both stories.
///
/// # Errors
/// [`Failure`].
pub(crate) fn amnesia() -> Result<Exit, Failure> {
    let stage = Stage::set()?;
    let mut exit = Exit::Ok;
    for (number, story) in STORIES.iter().enumerate() {
        if !stage.play(number + 1, story)? {
            exit = Exit::Finding;
        }
    }
    print(if exit == Exit::Ok {
        "Both times one BUY and one SELL reached the exchange, and the stop was never lost."
    } else {
        "THE STORY FAILED: see above. Please report it."
    })?;
    Ok(exit)
}

/// A directory of its own, removed at the end.
struct Stage(PathBuf);

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Stage {
    fn set() -> Result<Stage, Failure> {
        let dir = std::env::temp_dir().join(format!("aegis-demo-{}", std::process::id()));
        let io = |e: std::io::Error| Failure::io(dir.display(), &e);
        std::fs::create_dir(&dir).map_err(io)?;
        let stage = Stage(dir.clone());
        for (name, text) in [("market.csv", MARKET), ("signals.ndjson", SIGNALS), ("demo.toml", CONFIG)] {
            std::fs::write(dir.join(name), text).map_err(io)?;
        }
        Ok(stage)
    }

    /// Starts the program again, as a process of its own.
    fn child(&self, data: &Path, more: &[&str]) -> Result<std::process::ExitStatus, Failure> {
        let program = std::env::current_exe().map_err(|e| Failure::io("our own program", &e))?;
        let file = |name: &str| self.0.join(name);
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AEGIS_"))
        {
            // The story is told with its own settings.
            command.env_remove(name);
        }
        let mut child = command
            .arg("run")
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(file("demo.toml"))
            .arg("--market")
            .arg(file("market.csv"))
            .arg("--signals")
            .arg(file("signals.ndjson"))
            .args(["--seed", "7"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| Failure::io("the child process", &e))?;
        let pid = child.id();
        let status = child.wait().map_err(|e| Failure::io("the child process", &e))?;
        print(&match status.signal() {
            Some(signal) => format!("     child process {pid} was killed by signal {signal}"),
            None => format!("     child process {pid} ended with code {}", status.code().unwrap_or(-1)),
        })?;
        Ok(status)
    }

    fn play(&self, number: usize, story: &Story) -> Result<bool, Failure> {
        let data = self.0.join(format!("story-{number}"));
        print(&format!("\n{}\n", story.title))?;
        print("  1. aegis starts; a signal says BUY BTC 0.90. SIGKILL strikes when")?;
        print(&format!("     {}.", story.killed))?;
        let status = self.child(&data, &["--debug-kill", story.kill])?;
        let killed = status.signal() == Some(9);
        let venue = venue(&data)?;
        print("  2. What the exchange holds (its own journal):")?;
        show(&venue)?;
        print("  3. What a bot with positions in memory believes after its restart: it holds nothing.")?;
        print("     The next BUY 0.90 passes its gate, for it holds nothing. On a copy of the exchange:")?;
        let naive = naive(&venue)?;
        show(&naive)?;
        print("     It knows half of that, and no stop protects the other half.")?;
        let known = last_lsn(&data)?;
        print(&format!("  4. aegis starts again on its journal of {known} records:"))?;
        let status = self.child(&data, &[])?;
        self.tell(&data, known)?;
        let end = self::venue(&data)?;
        print("  5. What the exchange counted in the end:")?;
        show(&end)?;
        let sides: Vec<Side> = orders(&end).iter().map(|o| o.side).collect();
        let flat = end.state().holding(Label::literal("BTC")).is_none_or(|h| h.total.is_zero());
        let good = killed && status.success() && sides == [Side::Buy, Side::Sell] && flat;
        print(if good { "     One BUY, one SELL, nothing left over." } else { "     NOT AS IT SHOULD BE." })?;
        Ok(good)
    }

    /// The records of the second life that tell the story.
    fn tell(&self, data: &Path, from: Lsn) -> Result<(), Failure> {
        let path = data.join(ACT).join("engine");
        let mut reading = Reading::open(&path).map_err(Failure::bug)?;
        while let Some(point) = reading.next_point().map_err(Failure::bug)? {
            if point.lsn > from && tells(&point.event) {
                print(&format!("     {:>4}  {}", point.lsn, words(&point.event, &reading.state)))?;
            }
        }
        Ok(())
    }
}

fn tells(event: &Event) -> bool {
    matches!(
        event.fact,
        Fact::Started(_)
            | Fact::OrderIntended(_)
            | Fact::OrderUnknown(_)
            | Fact::OrderLookedUp(_)
            | Fact::OrderAcknowledged(_)
            | Fact::FillBooked(_)
            | Fact::StopArmed(_)
            | Fact::Reconciled(_)
            | Fact::SignalReceived(_)
            | Fact::EntryRefused(_)
            | Fact::PositionClosed(_)
    )
}

fn last_lsn(data: &Path) -> Result<Lsn, Failure> {
    let mut reading = Reading::open(&data.join(ACT).join("engine")).map_err(Failure::bug)?;
    while reading.next_point().map_err(Failure::bug)?.is_some() {}
    Ok(reading.state.lsn)
}

/// The exchange as its journal tells.
fn venue(data: &Path) -> Result<Venue, Failure> {
    let mut venue = Venue::new(no_fees());
    let path = data.join(ACT).join("venue");
    aegis_node::read(&mut venue, VENUE_SCHEMA, reader(&path)?).map_err(Failure::bug)?;
    Ok(venue)
}

fn no_fees() -> Settings {
    Settings::new(Rate::ZERO, Rate::ZERO, Rate::ZERO).unwrap_or_default()
}

/// A copy of the exchange after a bot that forgot bought the same again.
fn naive(venue: &Venue) -> Result<Venue, Failure> {
    let mut copy = Venue::new(no_fees());
    copy.load(&venue.state().save()).map_err(Failure::bug)?;
    let now = venue.state().clock();
    if let Some(seen) = venue.feed_position(crate::market::FEED) {
        copy.handle(now, &VenueInput::Warmup { name: Label::literal("BTC_USDT"), tick: seen });
    }
    let quantity = orders(venue).first().map_or(Quantity::ZERO, |o| o.quantity);
    let order = VenueInput::Place {
        client: Label::literal("forgetful-1"),
        instrument: Label::literal("BTC_USDT"),
        side: Side::Buy,
        kind: OrderKind::Market,
        quantity,
    };
    copy.handle(now, &order);
    Ok(copy)
}

/// All orders, in the order they were made.
fn orders(venue: &Venue) -> Vec<VenueRow> {
    let mut rows = venue.ended_rows(Timestamp::EPOCH);
    rows.extend(venue.open_rows());
    rows.sort_by_key(|row| row.created);
    rows
}

fn show(venue: &Venue) -> Result<(), Failure> {
    for (at, order) in orders(venue).iter().enumerate() {
        print(&format!(
            "       order {}: {} {} BTC, filled {}",
            at + 1,
            order.side,
            order.quantity,
            order.cumulative
        ))?;
    }
    let held = venue.state().holdings().filter(|h| !h.total.is_zero());
    let held: Vec<String> = held.map(|h| format!("{} {}", h.total, h.name)).collect();
    print(&format!("       holdings: {}", held.join(", ")))
}
