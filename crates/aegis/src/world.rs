//! The engine and the paper venue, each a node on a journal of its own, owned by one thread and talking until both are
//! quiet. Every answer is durable at the venue before the engine hears it, every intent durable at the engine before
//! the venue sees it. It never decides and never lets one point of the market overtake another.

use crate::act::Bound;
use crate::adapter::{self, Wish};
use crate::config::{Act, Config};
use crate::control::outcome::Asked;
use crate::control::words::Reply;
use crate::exit::{Exit, Failure};
use crate::ids::Draw;
use crate::market::Point;
use crate::precedent::{Item, Precedents, What};
use aegis_engine::Engine;
use aegis_journal::{DirReader, DirStorage, Expect, GapEvidence, Identity, OlderCheck, Storage};
use aegis_model::event::{ENGINE_SCHEMA, Fact, GapFound, VENUE_SCHEMA, VERSION};
use aegis_model::{Command, Effect, Input, Label, Lsn, Mode, Purpose, Text, Timestamp};
use aegis_node::{Node, OpenError, OpenReport};
use aegis_paper::{Venue, VenueEffect, VenueFact, VenueInput};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

/// Rounds of effects and answers that one input may lead to; a run on the recorded data needs about six.
const ROUNDS_MAX: usize = 1_000;
/// Timers that may be due before one point of the market; more would be one that never moves on.
const TIMERS_MAX: usize = 100_000;

/// A place at which a test or the demonstration makes the process kill itself, with a real SIGKILL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KillAt {
    /// An order's intent is durable and nothing was sent.
    Intended,
    /// The venue has the order, durable, and its answer was not read.
    Accepted,
    /// The answer is durable in the engine's journal, fills and stops with it.
    Answered,
    /// The nth decision with records is in the journal and nothing of it was carried out. Live runs only.
    Recorded,
}

/// Kill at the nth order that reaches the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kill {
    /// Where.
    pub(crate) at: KillAt,
    /// At which order, from 1.
    pub(crate) nth: u64,
}

impl std::str::FromStr for Kill {
    type Err = String;
    fn from_str(text: &str) -> Result<Kill, String> {
        let (at, nth) = text.split_once(':').unwrap_or((text, "1"));
        let at = match at {
            "after-intent" => KillAt::Intended,
            "after-accept" => KillAt::Accepted,
            "after-answer" => KillAt::Answered,
            "after-record" => KillAt::Recorded,
            _ => {
                return Err(format!(
                    "{at:?} is not after-intent, after-accept, after-answer or after-record"
                ));
            }
        };
        nth.parse().map(|nth| Kill { at, nth }).map_err(|_| format!("{nth:?} is not a count"))
    }
}

/// Both nodes.
pub(crate) struct World<S: Storage = DirStorage> {
    /// The engine on its journal.
    pub(crate) engine: Node<Engine, S>,
    /// The venue on its journal.
    pub(crate) venue: Node<Venue, S>,
    /// Market time as both have seen it.
    pub(crate) now: Timestamp,
    /// Orders sent by this process.
    placed: u64,
    kill: Option<Kill>,
    reserve_only: bool,
    /// What the check of older records found, once it is through.
    older: Option<Older>,
    /// What a record says the exchange did, where one is played again.
    precedents: Option<Box<Precedents>>,
    /// The command that is being carried out.
    asked: Option<Asked>,
}

pub(crate) fn knows_engine(kind: u16, version: u8) -> bool {
    version == VERSION && Fact::KINDS.iter().any(|known| known.0 == kind)
}

pub(crate) fn knows_venue(kind: u16, version: u8) -> bool {
    version == aegis_paper::fact::VERSION && VenueFact::KINDS.iter().any(|known| known.0 == kind)
}

/// An engine's node as opened.
pub(crate) struct Opening {
    /// The node.
    pub(crate) node: Node<Engine, DirStorage>,
    /// What recovery found; none for a new journal.
    pub(crate) report: Option<OpenReport>,
    /// The check of older records, on its way.
    pub(crate) older: Option<Older>,
}

/// Opens the engine's journal under `dir`, or creates it.
///
/// # Errors
/// [`Failure`], naming the journal.
pub(crate) fn open_engine(
    dir: &Path,
    settings: &aegis_engine::Settings,
    mode: Mode,
    config: &Config,
    draw: &Draw,
) -> Result<Opening, Failure> {
    make_dir(dir)?;
    let engine = || Engine::new(settings.clone());
    let (mut node, report) =
        open_node(engine, &dir.join("engine"), (ENGINE_SCHEMA, mode), knows_engine, config, draw)?;
    let older = node.take_older().map(check_older).transpose()?;
    Ok(Opening { node, report, older })
}

fn make_dir(dir: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Failure::io(dir.display(), &e))
}

/// Opens a node, or creates its journal; logs what recovery found.
pub(crate) fn open_node<M: aegis_model::Machine>(
    machine: impl Fn() -> M,
    dir: &Path,
    (schema, mode): (u16, Mode),
    knows: fn(u16, u8) -> bool,
    config: &Config,
    draw: &Draw,
) -> Result<(Node<M, DirStorage>, Option<OpenReport>), Failure> {
    let storage = || DirStorage::new(dir).map_err(|e| Failure::io(dir.display(), &e));
    let journal = aegis_journal::Config { knows, ..config.journal };
    let expect = Expect { journal_id: None, schema, mode: mode.number() };
    let named =
        |failure: Failure| Failure { text: format!("{}: {}", dir.display(), failure.text), ..failure };
    match Node::open(machine(), storage()?, expect, journal, config.limits) {
        Ok((node, report)) => {
            let recovery = &report.recovery;
            tracing::info!(
                journal = %dir.display(), row = ?recovery.row, last = recovery.last_lsn,
                checkpoint = ?report.checkpoint, replayed = report.replayed, "opened"
            );
            for (lsn, why) in &report.skipped {
                tracing::warn!(journal = %dir.display(), %lsn, "a checkpoint was passed over: {why}");
            }
            if let Some(cut) = &recovery.cut {
                tracing::warn!(
                    journal = %dir.display(), bytes = cut.bytes, first = cut.first_lsn, copies = ?recovery.copies,
                    "a torn tail was cut; none of it was ever acknowledged"
                );
            }
            Ok((node, Some(report)))
        }
        Err(OpenError::Journal(aegis_journal::OpenError::NoJournal)) => {
            let identity = Identity { journal_id: draw.journal_id(schema)?, schema, mode: mode.number() };
            let node = Node::create(machine(), storage()?, identity, journal, config.limits)
                .map_err(|e| named(Failure::from(e)))?;
            Ok((node, None))
        }
        Err(error) => Err(named(Failure::from(error))),
    }
}

/// What the engine records of lost records: exactly the numbers that the journal passed over.
pub(crate) fn gap_found(first: Lsn, last: Lsn, report: Option<&OpenReport>) -> GapFound {
    let gap = report.and_then(|r| r.recovery.gap.as_ref());
    GapFound {
        first,
        last,
        bytes: gap.map_or(0, |g| g.bytes),
        segment: gap.map_or(0, |g| g.segment),
        evidence: Text::new(&gap.map_or_else(
            || "declared in the header of a later segment by an earlier opening".to_owned(),
            |g| format!("{} at offset {}: {}, proven by {:?}", g.file, g.offset, g.flaw, g.proof),
        )),
    }
}

/// The check of older records, on a thread of its own; trading need not wait for it.
pub(crate) struct Older(Receiver<Vec<GapEvidence>>);

impl Older {
    /// What it found, once it is through.
    pub(crate) fn found(&self) -> Option<Vec<GapEvidence>> {
        self.0.try_recv().ok()
    }
}

/// Segments that cannot be compressed are told; nothing else depends on them.
pub(crate) fn warn_of(trouble: Option<String>) {
    if let Some(why) = trouble {
        tracing::warn!("sealed segments stay as they are: {why}");
    }
}

/// What rot in records that a checkpoint covers leads to: entries halt until a person has looked.
pub(crate) fn halt_for(gap: &GapEvidence) -> Input {
    let reason =
        format!("rot in {} at offset {}, record {}: {}", gap.file, gap.offset, gap.first_lsn, gap.flaw);
    tracing::error!("{reason}");
    let command = Command::Halt { reason: Text::new(&reason) };
    Input::Command { by: Label::literal("check of older records"), command }
}

fn check_older(check: OlderCheck<DirReader>) -> Result<Older, Failure> {
    let (sender, receiver) = sync_channel(1);
    let run = move || match check.run() {
        // Nobody listens any more when the run has ended.
        Ok(found) => drop(sender.send(found)),
        Err(e) => tracing::warn!("older records could not be checked: {e}"),
    };
    let spawned = std::thread::Builder::new().name("older records".to_owned()).spawn(run);
    spawned.map_err(|e| Failure::io("the thread that checks older records", &e))?;
    Ok(Older(receiver))
}

impl World {
    /// Opens both journals of an act under `dir`.
    ///
    /// # Errors
    /// [`Failure`], naming the journal.
    pub(crate) fn open(
        dir: &Path,
        act: &Act,
        config: &Config,
        draw: &Draw,
        kill: Option<Kill>,
    ) -> Result<(World, Option<GapFound>), Failure> {
        let Opening { node: engine, report, older } =
            open_engine(dir, &act.engine, Mode::Paper, config, draw)?;
        let venue = || Venue::new(act.venue);
        let (venue, _) =
            open_node(venue, &dir.join("venue"), (VENUE_SCHEMA, Mode::Paper), knows_venue, config, draw)?;
        if venue.lost().is_some() {
            return Err(Failure::new(
                Exit::Corrupt,
                format!(
                    "{}: acknowledged records of the paper exchange are lost: it is not what it was. Look at it with \
                     `aegis verify`, or begin anew with --fresh",
                    dir.join("venue").display()
                ),
            ));
        }
        let gap = engine.lost().map(|(first, last)| gap_found(first, last, report.as_ref()));
        let now = engine.time().max(venue.time()).max(Timestamp::EPOCH);
        Ok((
            World {
                engine,
                venue,
                now,
                placed: 0,
                kill,
                reserve_only: false,
                older,
                asked: None,
                precedents: None,
            },
            gap,
        ))
    }
}

impl<S: Storage> World<S> {
    /// Both nodes on journals that somebody else has opened or made.
    #[cfg(feature = "forensics")]
    pub(crate) fn of(
        engine: Node<Engine, S>,
        venue: Node<Venue, S>,
        precedents: Option<Box<Precedents>>,
    ) -> World<S> {
        let now = engine.time().max(venue.time()).max(Timestamp::EPOCH);
        World {
            engine,
            venue,
            now,
            placed: 0,
            kill: None,
            reserve_only: false,
            older: None,
            asked: None,
            precedents,
        }
    }

    /// What a record says, for the next part.
    #[cfg(feature = "forensics")]
    pub(crate) fn take_precedents(&mut self) -> Option<Box<Precedents>> {
        self.precedents.take()
    }

    /// After the exchange's opening: what it does as in the record.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn follow_record(&mut self) -> Result<(), Failure> {
        let Some(requests) = self.precedents.as_ref().map(|p| p.opening()) else { return Ok(()) };
        self.venue_hears(&requests)
    }

    /// What is shown or happens next lies behind this place, and within the bound.
    pub(crate) fn next_place(&mut self, place: u64, bound: Option<Bound>) {
        if let Some(precedents) = &mut self.precedents {
            precedents.show(place, bound);
        }
    }

    /// Tells a recorded input; what it leads to has it as its reason.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn tell_recorded(&mut self, lsn: Lsn, input: Input) -> Result<(), Failure> {
        if let Some(precedents) = &mut self.precedents {
            precedents.because(Some(lsn));
        }
        self.tell(vec![input])?;
        if let Some(precedents) = &mut self.precedents {
            precedents.because(None);
        }
        Ok(())
    }

    /// When the last of what the record says of orders happens; none when nothing is left of it.
    pub(crate) fn last_recorded(&self) -> Option<Timestamp> {
        self.precedents.as_ref().and_then(|p| p.last_recorded())
    }

    /// Lets happen what the exchange did in the record before this one, without timers.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn answers(&mut self, until: Timestamp, before: Lsn) -> Result<(), Failure> {
        while self.precedents.as_ref().is_some_and(|p| p.next(until, before).is_some()) {
            self.answer()?;
        }
        Ok(())
    }

    /// The first thing on the agenda happens.
    fn answer(&mut self) -> Result<(), Failure> {
        let Some(Item { at, what }) = self.precedents.as_mut().and_then(|p| p.take()) else { return Ok(()) };
        self.now = self.now.max(at);
        match what {
            What::Told(report) => self.tell(vec![Input::Report(report)]),
            What::Venue(request) => self.venue_hears(&[request]),
            What::Traded(request, executed, priced) => {
                let heard = self.venue.step(self.now, &[request])?;
                if let Some(precedents) = &mut self.precedents {
                    precedents.dated(&heard, executed, priced);
                }
                let inputs = self.heard(&heard);
                self.tell(inputs)
            }
        }
    }

    /// Gives inputs to the engine and carries effects and answers to and fro until no effect is left.
    ///
    /// # Errors
    /// [`Failure`]: a fault of a journal, or the two never becoming quiet, which is a bug.
    pub(crate) fn tell(&mut self, inputs: Vec<Input>) -> Result<(), Failure> {
        let mut pending = inputs;
        for _ in 0..ROUNDS_MAX {
            if pending.is_empty() {
                return Ok(());
            }
            let asked = &mut self.asked;
            let effects = self.engine.step_telling(self.now, &pending, |lsn, event| {
                asked.iter_mut().for_each(|asked| asked.hear(lsn, event));
            })?;
            self.kill_when(KillAt::Answered);
            pending = self.perform(&effects)?;
        }
        Err(Failure::bug(format!(
            "engine and venue are not quiet after {ROUNDS_MAX} rounds at {}",
            self.now.0
        )))
    }

    /// Does what the engine asked for and brings back the answers.
    fn perform(&mut self, effects: &[Effect]) -> Result<Vec<Input>, Failure> {
        let mut requests = Vec::new();
        let mut answers = Vec::new();
        for effect in effects {
            let state = self.engine.machine().state();
            match adapter::wish(state, effect) {
                Wish::Venue(request) if self.precedents.is_some() => {
                    let Some(precedents) = &mut self.precedents else { continue };
                    match effect {
                        Effect::Place(place) => precedents.place(state, place, *request, self.now),
                        Effect::Cancel { client, .. } => {
                            precedents.cancel(state, *client, *request, self.now);
                        }
                        Effect::LookUp { order, client, .. } => match precedents.look_up(*order, *client) {
                            Some(answer) => answers.push(answer),
                            None => requests.push(*request),
                        },
                        Effect::AskSnapshot { .. } | Effect::Notify { .. } => requests.push(*request),
                    }
                }
                Wish::Venue(request) => requests.push(*request),
                Wish::Notify { number, text } => {
                    tracing::info!(number, "{text}");
                    answers.push(Input::Delivered(number));
                }
                Wish::Nothing => tracing::error!(?effect, "an effect names an instrument without a name"),
            }
        }
        if requests.is_empty() {
            return Ok(answers);
        }
        let orders = requests.iter().filter(|r| matches!(r, VenueInput::Place { .. })).count() as u64;
        self.placed += orders;
        if orders > 0 {
            self.kill_when(KillAt::Intended);
        }
        let heard = self.venue.step(self.now, &requests)?;
        if orders > 0 {
            self.kill_when(KillAt::Accepted);
        }
        let mut inputs = self.heard(&heard);
        inputs.append(&mut answers);
        Ok(inputs)
    }

    fn heard(&mut self, effects: &[VenueEffect]) -> Vec<Input> {
        let state = self.engine.machine().state();
        let mut inputs: Vec<Input> =
            effects.iter().filter_map(|effect| adapter::heard(state, self.now, effect)).collect();
        if let Some(precedents) = &mut self.precedents {
            inputs.iter_mut().for_each(|input| precedents.date(input));
        }
        inputs
    }

    /// Gives requests to the venue that come from no effect of the engine, and what it says of them to the engine.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn venue_hears(&mut self, requests: &[VenueInput]) -> Result<(), Failure> {
        let heard = self.venue.step(self.now, requests)?;
        let inputs = self.heard(&heard);
        self.tell(inputs)
    }

    /// Timers that are due before `until` run first, each at its own time.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn clock(&mut self, until: Timestamp) -> Result<(), Failure> {
        self.clock_before(until, Lsn(u64::MAX))
    }

    /// The same, with what the exchange did in the record before this one.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn clock_before(&mut self, until: Timestamp, before: Lsn) -> Result<(), Failure> {
        for _ in 0..TIMERS_MAX {
            let due = self.engine.machine().next_timer().filter(|due| *due <= until);
            let answer = self.precedents.as_ref().and_then(|p| p.next(until, before));
            // An answer is an input, and each input runs the timers that are due then.
            if answer.is_some_and(|at| due.is_none_or(|due| at <= due)) {
                self.answer()?;
                continue;
            }
            let Some(due) = due else { return Ok(()) };
            self.now = self.now.max(due);
            self.tell(vec![Input::Clock])?;
            if self.engine.machine().next_timer().is_some_and(|next| next <= due) {
                return Ok(());
            }
        }
        Err(Failure::bug("a timer is due for ever"))
    }

    /// Shows a point of the market: to the venue first, then to the engine, both to the end.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn show(&mut self, point: &Point) -> Result<(), Failure> {
        self.space()?;
        self.now = self.now.max(point.now);
        self.venue_hears(&[VenueInput::Tick { name: point.name, tick: point.tick }])?;
        self.tell(vec![Input::Tick(point.tick)])
    }

    /// Shows a point that was finished before the restart: fills memories, decides nothing.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn warm(&mut self, point: &Point, engine_too: bool) -> Result<(), Failure> {
        let heard =
            self.venue.step(point.now, &[VenueInput::Warmup { name: point.name, tick: point.tick }])?;
        let effects =
            if engine_too { self.engine.step(point.now, &[Input::Warmup(point.tick)])? } else { Vec::new() };
        if heard.is_empty() && effects.is_empty() {
            Ok(())
        } else {
            Err(Failure::bug("a point shown for memory led to an effect"))
        }
    }

    /// Rot in records that a checkpoint covers is row E: declared in the journal, and entries halted until a person
    /// looked at it.
    fn older(&mut self) -> Result<(), Failure> {
        let Some(found) = self.older.as_ref().and_then(Older::found) else { return Ok(()) };
        self.older = None;
        for gap in &found {
            self.engine.declare(gap)?;
            self.tell(vec![halt_for(gap)])?;
        }
        Ok(())
    }

    /// Tells the engine when a journal comes to its last reserve, and when it leaves it.
    fn space(&mut self) -> Result<(), Failure> {
        self.older()?;
        let reserve_only = self.engine.reserve_only() || self.venue.reserve_only();
        if reserve_only != self.reserve_only {
            self.reserve_only = reserve_only;
            self.tell(vec![Input::JournalSpace { reserve_only }])?;
        }
        Ok(())
    }

    /// The clean end: no new entries, working ones cancelled and confirmed, then everything durable and closed.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn stop(&mut self, why: Label) -> Result<(), Failure> {
        self.tell(vec![Input::Stopping(why)])?;
        // The paper venue answers at once, so what is not confirmed now waits for a timer; ten seconds of them.
        let end = self.now.after(10 * aegis_model::ids::SECOND);
        // Behind a record nothing is known, so what is under way there stays so.
        if self.precedents.is_none() && !self.engine.machine().idle() {
            self.clock(end)?;
        }
        let state = self.engine.machine().state();
        let working = state.orders.values().filter(|o| o.purpose == Purpose::Entry).count();
        if working > 0 && self.precedents.is_none() {
            tracing::warn!(
                working,
                "entries are still working after ten seconds; the next start asks about them"
            );
        }
        self.tell(vec![Input::Stopped(why)])
    }

    /// Gives a command of a person to the engine; what became of it, once that is durable.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn command(&mut self, by: Label, command: Command) -> Result<Reply, Failure> {
        self.asked = Some(Asked::default());
        self.tell(vec![Input::Command { by, command }])?;
        let asked = self.asked.take().unwrap_or_default();
        self.engine.flush()?;
        Ok(asked.reply(self.engine.machine().state()))
    }

    /// After a second of idleness: everything durable, and marked as such.
    ///
    /// # Errors
    /// As [`World::tell`].
    pub(crate) fn mark(&mut self) -> Result<(), Failure> {
        self.engine.mark()?;
        self.venue.mark()?;
        warn_of(self.engine.compression_trouble());
        warn_of(self.venue.compression_trouble());
        Ok(())
    }

    fn kill_when(&self, at: KillAt) {
        if self.kill.is_some_and(|kill| kill.at == at && kill.nth <= self.placed) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
