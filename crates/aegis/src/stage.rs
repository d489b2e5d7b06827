//! One act's two worlds, engine and paper venue, each on a journal of its own, and the errands between them.
//!
//! The venue sees a market point first, then the engine; the next point is not shown before both have finished. Both
//! nodes release nothing before it is durable.

use crate::adapter::{self, Errand};
use crate::config::{Act, Config, FEED};
use aegis_engine::Engine;
use aegis_journal::{DirStorage, Expect, Identity};
use aegis_model::event::{ENGINE_SCHEMA, GapFound, JournalCreated, TickSeen, VENUE_SCHEMA};
use aegis_model::input::Opened;
use aegis_model::{Effect, Input, InstrumentId, Label, Lsn, Mode, Text, Tick, Timestamp};
use aegis_node::{Limits, Node};
use aegis_paper::{Settings as VenueSettings, Venue, VenueEffect, VenueInput};
use std::fmt;
use std::path::{Path, PathBuf};

/// Rounds of errands that one input may cause; more is a bug that must not run for ever.
const ROUNDS_MAX: usize = 10_000;

/// Why an act cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum StageError {
    /// A journal cannot be opened.
    Open {
        /// Whose.
        which: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        cause: aegis_node::OpenError,
    },
    /// The directory itself cannot be used.
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A journal broke.
    Fault(aegis_node::Fault),
    /// Engine and venue never came to rest over one input.
    Restless,
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StageError::Open { which, path, cause } => {
                write!(f, "the {which} journal in {}: {cause}", path.display())
            }
            StageError::Directory { path, cause } => write!(f, "{}: {cause}", path.display()),
            StageError::Fault(cause) => cause.fmt(f),
            StageError::Restless => write!(
                f,
                "engine and venue did not come to rest over one input within {ROUNDS_MAX} rounds: a bug, please report it"
            ),
        }
    }
}

impl std::error::Error for StageError {}

impl From<aegis_node::Fault> for StageError {
    fn from(cause: aegis_node::Fault) -> StageError {
        StageError::Fault(cause)
    }
}

/// Where a process is to end itself with SIGKILL; for demonstrations and tests only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kill {
    /// After the intent is durable, before it is sent.
    BeforeSend,
    /// After the venue's answer to an order is durable, before the engine reads it.
    BeforeReply,
    /// After everything that the order led to is durable.
    AfterAll,
}

impl std::str::FromStr for Kill {
    type Err = String;
    fn from_str(text: &str) -> Result<Kill, String> {
        match text {
            "before-send" => Ok(Kill::BeforeSend),
            "before-reply" => Ok(Kill::BeforeReply),
            "after-all" => Ok(Kill::AfterAll),
            other => Err(format!("{other:?} must be before-send, before-reply or after-all")),
        }
    }
}

/// Ends this very process as the kernel would.
fn kill_self() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}

/// The two worlds of an act.
pub(crate) struct Stage {
    /// The engine on its journal.
    pub(crate) engine: Node<Engine, DirStorage>,
    /// The venue on its own.
    pub(crate) venue: Node<Venue, DirStorage>,
    /// Where to die.
    pub(crate) kill: Option<Kill>,
    /// Whether either journal existed before.
    pub(crate) resumed: bool,
    gap: Option<GapFound>,
    created: Option<JournalCreated>,
    messages: u64,
    reserve: bool,
}

/// Random bits, or bits from a seed and what they are for.
pub(crate) fn bits(seed: Option<u64>, what: &str, count: u64) -> Result<u64, std::io::Error> {
    let mut bytes = [0; 8];
    match seed {
        Some(seed) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&seed.to_le_bytes());
            hasher.update(what.as_bytes());
            hasher.update(&count.to_le_bytes());
            bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        }
        None => {
            use std::io::Read;
            std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        }
    }
    Ok(u64::from_le_bytes(bytes))
}

impl Stage {
    /// Opens (or creates) both journals of an act and replays them.
    pub(crate) fn open(
        config: &Config,
        act: &Act,
        dir: &Path,
        seed: Option<u64>,
    ) -> Result<Stage, StageError> {
        let limits = Limits { checkpoint_records: config.checkpoint_records, ..Limits::default() };
        let engine_dir = dir.join("engine");
        let venue_dir = dir.join("venue");
        let directory = |path: &Path| {
            let path = path.to_path_buf();
            move |cause| StageError::Directory { path, cause }
        };
        let engine_new = is_new(&engine_dir);
        let venue_new = is_new(&venue_dir);
        let installation = bits(seed, "installation", 0).map_err(directory(dir))? & ((1 << 40) - 1);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&installation.to_le_bytes());
        id[8..].copy_from_slice(&bits(seed, "journal", 0).map_err(directory(dir))?.to_le_bytes());

        let venue_settings = VenueSettings {
            maker_fee: act.maker_fee,
            taker_fee: act.taker_fee,
            slippage: act.trigger_slippage,
        };
        let journal = aegis_journal::Config { segment_bytes: config.segment_bytes, ..Default::default() };
        let (venue, _) = open_node(
            "venue",
            Venue::new(venue_settings),
            &venue_dir,
            Identity { journal_id: id, schema: VENUE_SCHEMA, mode: Mode::Paper.number() },
            venue_new,
            journal.clone(),
            limits,
        )?;
        let (engine, report) = open_node(
            "engine",
            Engine::new(act.engine.clone()),
            &engine_dir,
            Identity { journal_id: id, schema: ENGINE_SCHEMA, mode: Mode::Paper.number() },
            engine_new,
            journal,
            limits,
        )?;
        let gap = report.as_ref().and_then(gap_of);
        if let Some(report) = &report {
            let r = &report.recovery;
            tracing::info!(row = ?r.row, records = r.last_lsn, replayed = report.replayed, "engine journal opened");
            if let Some(cut) = &r.cut {
                tracing::warn!(bytes = cut.bytes, from = cut.first_lsn, "a torn tail was cut: none of it was ever acknowledged");
            }
        }
        // A journal killed before its first record became durable begins anew.
        let created = engine.machine().state().journal.mode.is_none().then(|| JournalCreated {
            mode: Mode::Paper,
            installation,
            quote: Label::literal("USDT"),
        });
        let resumed = !engine_new && created.is_none();
        Ok(Stage { engine, venue, kill: None, resumed, gap, created, messages: 0, reserve: false })
    }

    /// The engine's last recorded point.
    pub(crate) fn engine_position(&self) -> Option<&TickSeen> {
        self.engine.machine().state().feeds.get(&FEED)
    }

    /// The venue's last recorded point, as a tick of the engine's numbering.
    pub(crate) fn venue_position(&self) -> Option<Tick> {
        let venue = self.venue.machine();
        let seen = venue.feed_position(FEED)?;
        let name = venue.state().instruments.get(seen.instrument.0 as usize)?.name;
        let instrument = self.engine.machine().state().find_instrument(&name)?;
        Some(Tick { instrument, ..seen.tick() })
    }

    /// Records the openings, funds a new account, lists the instruments, and sees everything that was under way
    /// through: lookups, comparison, missing stops.
    pub(crate) fn begin(
        &mut self,
        config: &Config,
        act: &Act,
        now: Timestamp,
        seed: Option<u64>,
    ) -> Result<(), StageError> {
        let account = (self.venue.machine().state().openings == 0).then(|| Label::lossy(&act.name));
        let mut first = vec![VenueInput::Open(account), VenueInput::List(act.instruments.clone())];
        for (asset, quantity) in &act.fund {
            let id = Label::lossy(&format!("opening-{asset}"));
            first.push(VenueInput::Fund { id, asset: *asset, quantity: *quantity });
        }
        self.venue.step(now, &first)?;
        self.venue.flush()?;
        let openings = self.engine.machine().state().journal.openings;
        let run = bits(seed, "run", openings).map_err(|cause| StageError::Directory { path: PathBuf::from("/dev/urandom"), cause })?;
        let opened = Opened {
            created: self.created.take(),
            run: (run & 0xffff_ffff) as u32,
            version: Label::lossy(env!("CARGO_PKG_VERSION")),
            config_digest: config.digest_of(&act.name),
            seed,
            settings: config.settings_of(&act.name),
            gap: self.gap.take(),
        };
        self.give(now, &[Input::Opened(opened), Input::Instruments(act.instruments.clone())])
    }

    /// Gives inputs to the engine and runs every errand to its end.
    pub(crate) fn give(&mut self, now: Timestamp, inputs: &[Input]) -> Result<(), StageError> {
        let effects = self.engine.step(now, inputs)?;
        if !effects.is_empty() {
            self.errands(now, effects)?;
        }
        self.tell_space(now)
    }

    /// The journal's reserve is told before a decision needs it.
    fn tell_space(&mut self, now: Timestamp) -> Result<(), StageError> {
        let reserve_only = self.engine.reserve_only() || self.venue.reserve_only();
        if reserve_only != self.reserve {
            self.reserve = reserve_only;
            let effects = self.engine.step(now, &[Input::JournalSpace { reserve_only }])?;
            self.errands(now, effects)?;
        }
        Ok(())
    }

    fn errands(&mut self, now: Timestamp, mut effects: Vec<Effect>) -> Result<(), StageError> {
        for _ in 0..ROUNDS_MAX {
            if effects.is_empty() {
                return Ok(());
            }
            let mut answers = Vec::new();
            let mut for_venue = Vec::new();
            let mut places = false;
            for effect in &effects {
                places |= matches!(effect, Effect::Place(_));
                match adapter::errand(self.engine.machine().state(), effect) {
                    Errand::Venue(input) => for_venue.push(input),
                    Errand::Message(number, text) => {
                        self.messages += 1;
                        tracing::info!(number, "{text}");
                        answers.push(Input::Delivered(number));
                    }
                }
            }
            if places && self.kill == Some(Kill::BeforeSend) {
                kill_self();
            }
            let replies = self.venue.step(now, &for_venue)?;
            if places && self.kill == Some(Kill::BeforeReply) {
                kill_self();
            }
            self.translate(&replies, now, &mut answers);
            effects = if answers.is_empty() { Vec::new() } else { self.engine.step(now, &answers)? };
            if places && self.kill == Some(Kill::AfterAll) {
                self.engine.flush()?;
                kill_self();
            }
        }
        Err(StageError::Restless)
    }

    fn translate(&self, replies: &[VenueEffect], now: Timestamp, into: &mut Vec<Input>) {
        let state = self.engine.machine().state();
        into.extend(replies.iter().filter_map(|reply| adapter::input(state, reply, now)));
    }

    /// One market point: the venue first, then the engine.
    pub(crate) fn point(&mut self, name: Label, tick: Tick) -> Result<(), StageError> {
        self.timers(tick.at)?;
        self.venue_point(name, tick)?;
        self.give(tick.at, &[Input::Tick(tick)])
    }

    /// The venue's half of a point, and what it reports of it.
    pub(crate) fn venue_point(&mut self, name: Label, tick: Tick) -> Result<(), StageError> {
        let replies = self.venue.step(tick.at, &[VenueInput::Tick(name, tick)])?;
        if !replies.is_empty() {
            let mut answers = Vec::new();
            self.translate(&replies, tick.at, &mut answers);
            self.give(tick.at, &answers)?;
        }
        Ok(())
    }

    /// Timers that are due before the next point.
    fn timers(&mut self, until: Timestamp) -> Result<(), StageError> {
        let mut last = None;
        while let Some(due) = self.engine.machine().next_timer().filter(|due| *due < until) {
            let due = due.max(self.engine.time());
            // A bound that does not move has nothing to do before the next point.
            if last.is_some_and(|before| due <= before) {
                break;
            }
            last = Some(due);
            self.give(due, &[Input::Clock])?;
        }
        Ok(())
    }

    /// A finished point: fills memories, decides nothing.
    pub(crate) fn warm(&mut self, name: Label, tick: Tick, engine: bool, venue: bool) -> Result<(), StageError> {
        if venue {
            self.venue.step(self.venue.time().max(Timestamp::EPOCH), &[VenueInput::Warmup(name, tick)])?;
        }
        if engine {
            self.engine.step(self.engine.time().max(Timestamp::EPOCH), &[Input::Warmup(tick)])?;
        }
        Ok(())
    }

    /// An instrument's number in the engine's journal; instruments not listed yet get theirs in the order of the
    /// configuration.
    pub(crate) fn instrument(&self, act: &Act, name: &Label) -> Option<InstrumentId> {
        self.engine.machine().state().find_instrument(name).or_else(|| {
            let at = act.instruments.iter().position(|i| i.name == *name)?;
            u32::try_from(at).ok().map(InstrumentId)
        })
    }

    /// A clean end: working entries cancelled and confirmed, checkpoint, mark, lock released.
    pub(crate) fn finish(mut self, now: Timestamp, why: &'static str) -> Result<(), StageError> {
        self.give(now, &[Input::Stopping(Label::literal(why))])?;
        self.give(now, &[Input::Stopped(Label::literal(why))])?;
        self.engine.close()?;
        self.venue.close()?;
        Ok(())
    }
}

fn is_new(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

fn gap_of(report: &aegis_node::OpenReport) -> Option<GapFound> {
    let gap = report.recovery.gap.as_ref()?;
    Some(GapFound {
        first: Lsn(gap.first_lsn),
        last: Lsn(gap.through_lsn),
        bytes: gap.bytes,
        segment: gap.segment,
        evidence: Text::new(&format!("{:?} in {} at {}, proven by {:?}", gap.flaw, gap.file, gap.offset, gap.proof)),
    })
}

#[allow(clippy::too_many_arguments, reason = "one call site each for two machines")]
fn open_node<M: aegis_model::Machine>(
    which: &'static str,
    machine: M,
    dir: &Path,
    identity: Identity,
    new: bool,
    journal: aegis_journal::Config,
    limits: Limits,
) -> Result<(Node<M, DirStorage>, Option<aegis_node::OpenReport>), StageError> {
    let path = dir.to_path_buf();
    let failed = |cause| StageError::Open { which, path: path.clone(), cause };
    let storage = DirStorage::new(dir).map_err(|cause| StageError::Directory { path: path.clone(), cause })?;
    if new {
        return Node::create(machine, storage, identity, journal, limits).map(|n| (n, None)).map_err(failed);
    }
    let expect = Expect { journal_id: None, schema: identity.schema, mode: identity.mode };
    Node::open(machine, storage, expect, journal, limits).map(|(n, r)| (n, Some(r))).map_err(failed)
}
