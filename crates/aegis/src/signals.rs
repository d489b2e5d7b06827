//! The port's signals beside a market: read before the run when the market is recorded, or by a thread of their own
//! when time passes. Order is the stream's; no line overtakes another, and the engine knows which it has read.

use crate::config::{Pace, SignalSource};
use crate::exit::Failure;
use crate::port::{BadLine, Port, SignalLine};
use aegis_model::{Input, Label, Lsn, Timestamp};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, sync_channel};

/// The file that the program carries for its second act.
const EMBEDDED: &[u8] = include_bytes!("../../../fixtures/market/act2_signals.ndjson");
/// Lines kept in memory at most.
const LINES_MAX: usize = 1_000_000;
/// Lines that a reading thread may be ahead.
const AHEAD: usize = 256;
/// The source that a line without one is counted to.
const PORT: Label = Label::literal("port");

type Line = Result<SignalLine, BadLine>;

/// Signals in the order of their stream.
pub(crate) struct Signals {
    waiting: VecDeque<Line>,
    live: Option<Receiver<Line>>,
    recorded: VecDeque<Recorded>,
}

/// What a journal says arrived beside its market: a signal, or a person's command.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The feed's place when it arrived; 0 before the first point.
    pub(crate) after: u64,
    /// When it arrived.
    pub(crate) at: Timestamp,
    /// The record that says so.
    pub(crate) lsn: Lsn,
    /// What arrived.
    pub(crate) input: Input,
}

impl Signals {
    /// Opens the source of an act.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be read.
    pub(crate) fn open(source: &SignalSource, pace: Pace) -> Result<Signals, Failure> {
        let none = Signals { waiting: VecDeque::new(), live: None, recorded: VecDeque::new() };
        match source {
            SignalSource::None => Ok(none),
            SignalSource::Embedded => all("the embedded signals", EMBEDDED),
            SignalSource::File(path) => {
                let name = path.display().to_string();
                let file =
                    File::open(path).map_err(|e| Failure::io(format!("{name} cannot be opened"), &e))?;
                all(&name, BufReader::new(file))
            }
            SignalSource::Stdin if pace == Pace::Fast => all("standard input", std::io::stdin().lock()),
            SignalSource::Stdin => Ok(Signals { live: Some(thread()?), ..none }),
        }
    }

    /// What a journal recorded, in its order.
    #[cfg(feature = "forensics")]
    pub(crate) const fn recorded(recorded: VecDeque<Recorded>) -> Signals {
        Signals { waiting: VecDeque::new(), live: None, recorded }
    }

    /// The next recorded input, if it arrived before the feed was at this place and is wanted.
    pub(crate) fn recorded_before(
        &mut self,
        cursor: u64,
        wanted: impl Fn(&Recorded) -> bool,
    ) -> Option<Recorded> {
        let next = self.recorded.front()?;
        if next.after < cursor && wanted(next) { self.recorded.pop_front() } else { None }
    }

    /// Whether any signal is left or may still come.
    pub(crate) fn may_come(&self) -> bool {
        self.live.is_some() || !self.waiting.is_empty()
    }

    /// The next signal that is due by `until`, with the time it is delivered at: its own, or now.
    pub(crate) fn due(&mut self, now: Timestamp, until: Timestamp) -> Option<(Timestamp, Input)> {
        if let Some(live) = &self.live {
            self.waiting.extend(live.try_iter().take(AHEAD));
        }
        let at = match self.waiting.front()? {
            Ok(signal) => signal.at.unwrap_or(now).max(now),
            Err(_) => now,
        };
        if at > until {
            return None;
        }
        let input = match self.waiting.pop_front()? {
            Ok(signal) => signal.input(at),
            Err(bad) => bad.input(PORT),
        };
        Some((at, input))
    }
}

fn all(name: &str, input: impl BufRead) -> Result<Signals, Failure> {
    let mut port = Port::new(input);
    let mut waiting = VecDeque::new();
    while let Some(line) = port.next_line().map_err(|e| Failure::io(name, &e))? {
        if waiting.len() == LINES_MAX {
            return Err(Failure::usage(format!("{name} has more than {LINES_MAX} signals: split it")));
        }
        waiting.push_back(line);
    }
    Ok(Signals { waiting, live: None, recorded: VecDeque::new() })
}

fn thread() -> Result<Receiver<Line>, Failure> {
    let (sender, receiver) = sync_channel(AHEAD);
    let read = move || {
        let mut port = Port::new(BufReader::new(std::io::stdin()));
        loop {
            match port.next_line() {
                Ok(Some(line)) => {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(e) => {
                    tracing::warn!("standard input cannot be read any more: {e}");
                    return;
                }
            }
        }
    };
    let spawned = std::thread::Builder::new().name("signals".to_owned()).spawn(read);
    spawned.map_err(|e| Failure::io("the thread that reads signals", &e))?;
    Ok(receiver)
}
