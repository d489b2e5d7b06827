//! `aegis run --live`: one thread owns the engine's node; the exchange, the clock, the control socket and signals reach
//! it through one bounded queue. What the engine asks for leaves once its records are durable, never before. Nothing
//! here decides about trading, and nothing here waits for the exchange.
//!
//! ```text
//! wire (sockets, lookups, listings) --+
//! control socket, SIGTERM, SIGINT  ---+--> queue --> node: decide, append, sync --> wire.ask
//! signals, notifications taken  ------+
//! ```

use crate::config::{Config, Live};
use crate::control::outcome::Asked;
use crate::control::words::{Ask as Word, Reply};
use crate::control::{self, Desk, Request};
use crate::exit::{Exit, Failure};
use crate::ids::Draw;
use crate::market::FEED;
use crate::notify::{self, Sink};
use crate::place;
use crate::signals::Signals;
use crate::summary::Summary;
use crate::wire::{self, Ask, Heard, Quote, Said, Wire};
use crate::world::{Kill, KillAt, Opening, gap_found, open_engine};
use crate::{cli, status};
use aegis_engine::Engine;
use aegis_journal::DirStorage;
use aegis_model::event::JournalCreated;
use aegis_model::ids::SECOND;
use aegis_model::input::{Answer, Lookup, Opened, Report, Reported, VenueSnapshot};
use aegis_model::order::RejectClass;
use aegis_model::{Effect, Event, Input, Label, Lsn, Mode, Purpose, Text, Timestamp};
use aegis_node::Node;
use clock::{LiveClock, News};
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;
use translate::{Told, Wish};

mod clock;
pub(crate) mod disk;
pub(crate) mod translate;

/// The live run's name, and that of its directory.
pub(crate) const NAME: &str = "live";
/// News that may wait for the engine's thread; a socket that finds no room is closed and connects again.
const QUEUE: usize = 8192;
/// News that one turn takes at most, so that what they lead to is not held up.
const TURN: usize = 256;
/// The longest sleep: the journal is marked after it, signals are looked at.
const IDLE: Duration = Duration::from_secs(1);
/// How often a queue of signals is looked at while signals may come.
const SIGNALS_EVERY: Duration = Duration::from_millis(50);
/// The instruments are asked for again after this long without an answer.
const INSTRUMENTS_RETRY: Duration = Duration::from_secs(5);
/// How long a stop waits for working entries to be cancelled and confirmed.
const STOP_NS: i64 = 10 * SECOND;
/// Rounds of answers that the program itself gives within a turn.
const ROUNDS_MAX: usize = 100;
/// How often it is looked whether somebody has replaced, cut or deleted the journal's file.
const PLACE_EVERY: Duration = Duration::from_secs(60);
/// The number of a message that no record has.
const UNRECORDED: u64 = 0;

/// What reaches the engine's thread.
#[expect(clippy::large_enum_variant, reason = "the queue is made of the large ones")]
pub(crate) enum Item {
    /// From the exchange.
    Wire(Heard),
    /// From a person or the system.
    Desk(control::Heard),
    /// A message was taken by its service.
    Delivered(u64),
}

impl From<Heard> for Item {
    fn from(heard: Heard) -> Item {
        Item::Wire(heard)
    }
}

impl From<Item> for Option<Heard> {
    fn from(item: Item) -> Option<Heard> {
        match item {
            Item::Wire(heard) => Some(heard),
            Item::Desk(_) | Item::Delivered(_) => None,
        }
    }
}

/// A live run under way.
struct Run<'a> {
    live: &'a Live,
    node: Node<Engine, DirStorage>,
    clock: LiveClock,
    disk: disk::Watch,
    /// What the monotonic clock is counted from.
    began: Instant,
    wire: Option<Wire>,
    sink: Option<Sink>,
    queue: Receiver<Item>,
    signals: Signals,
    cursor: u64,
    /// The newest prices of what is not listed in the journal yet: sockets are faster than listings.
    early: BTreeMap<Label, Quote>,
    /// When it is looked next whether the journal's file is still the one of its name.
    placed_next: Instant,
    /// When the instruments are asked for next.
    instruments: Instant,
    /// How often they are read anyway.
    instruments_every: Duration,
    older: Option<crate::world::Older>,
    reserve_only: bool,
    /// Commands that somebody waits to hear about.
    asked: Vec<(Asked, oneshot::Sender<Reply>)>,
    kill: Option<Kill>,
    placed: u64,
    /// Decisions of this process that have left records.
    recorded: u64,
}

/// Trades until it is asked to stop.
///
/// # Errors
/// [`Failure`]; the journal is as a crash would leave it.
pub(crate) fn run(config: &Config, asked: &cli::Run, json: bool) -> Result<Exit, Failure> {
    let live = &config.live;
    if let Some(why) = live.refusal() {
        return Err(Failure::new(Exit::Config, why));
    }
    let signer = live.keys.signer()?;
    if asked.fresh
        && let Some(aside) = place::move_aside(&config.data)?
    {
        eprintln!("aegis: the old data lie in {}", aside.display());
    }
    place::prepare(&config.data)?;
    let dir = config.data.join(NAME);
    // Never from a seed: a journal restored from a backup would draw the ids of orders that are at the exchange already.
    let draw = Draw::new(None, NAME);
    let Opening { node, report, older } = open_engine(&dir, &live.engine, Mode::Live, config, &draw)?;
    let gap = node.lost().map(|(first, last)| gap_found(first, last, report.as_ref()));
    let (sender, queue) = channel(QUEUE);
    let ours = translate::ours(node.machine().state());
    let sink = live.notify.as_ref().map(|url| sink(url, &node, sender.clone())).transpose()?;
    let disk = watch_disk(live.disk, sink.as_ref())?;
    let wire = Wire::start_here(live.wire.clone(), signer, &ours, wire::outlet_here(sender.clone()))?;
    desk(config, sender)?;
    let cursor = node.machine().state().feeds.get(&FEED).map_or(0, |seen| seen.cursor);
    let clock = LiveClock::new(node.time(), Duration::ZERO);
    let mut run = Run {
        live,
        node,
        clock,
        disk,
        began: Instant::now(),
        wire: Some(wire),
        sink,
        queue,
        signals: Signals::open(&live.signals, crate::config::Pace::Factor(1000))?,
        cursor,
        early: BTreeMap::new(),
        placed_next: Instant::now() + PLACE_EVERY,
        instruments: Instant::now(),
        instruments_every: live.wire.instruments_every,
        older,
        reserve_only: false,
        asked: Vec::new(),
        kill: asked.debug_kill,
        placed: 0,
        recorded: 0,
    };
    if !json {
        crate::print(&format!("live at {}; journal {}", live.wire.rest, dir.join("engine").display()))?;
    }
    run.open(&draw, gap)?;
    let why = run.walk()?;
    run.stop(why, json)
}

/// Where messages for a person are posted to; what was taken comes back through the queue.
fn sink(url: &str, node: &Node<Engine, DirStorage>, sender: Sender<Item>) -> Result<Sink, Failure> {
    let installation = node.machine().state().journal.installation;
    let about = format!("aegis {installation:010x}");
    let taken = move |number| number == UNRECORDED || sender.try_send(Item::Delivered(number)).is_ok();
    Sink::start(notify::Settings::to(url.to_owned(), about), Box::new(taken))
}

/// What hangs is told to the log, and to the service for messages, although no record can be made of it now.
fn watch_disk(bounds: crate::config::live::DiskBounds, sink: Option<&Sink>) -> Result<disk::Watch, Failure> {
    let door = sink.map(Sink::door);
    let tell = move |words: &str| {
        tracing::error!("{words}");
        if let Some(door) = &door {
            // One that finds no room stands in the log.
            let _ = door.deliver(UNRECORDED, Text::new(words));
        }
    };
    disk::Watch::start(bounds, Box::new(tell))
        .map_err(|e| Failure::io("the thread that watches the disk", &e))
}

/// The control socket and the system's signals, forwarded into the one queue.
fn desk(config: &Config, sender: Sender<Item>) -> Result<(), Failure> {
    let desk = Desk::open(&config.data, config.control)?;
    let forward = move || {
        loop {
            let heard = desk.hear(Duration::from_secs(3600));
            let last = matches!(heard, control::Heard::Stop(_));
            if matches!(heard, control::Heard::Nothing) {
                continue;
            }
            // The engine's thread ended; or this was the last word. The socket's file goes with the desk.
            if sender.blocking_send(Item::Desk(heard)).is_err() || last {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("desk".to_owned()).spawn(forward);
    spawned.map(drop).map_err(|e| Failure::io("the thread that forwards commands", &e))
}

impl Run<'_> {
    /// The engine's time.
    fn now(&mut self) -> Timestamp {
        let now = self.clock.read(wire::clock::now(), self.began.elapsed());
        match self.clock.news() {
            Some(News::Ahead(ns)) => tracing::warn!(
                seconds = ns / SECOND,
                "the wall clock is behind what the journal has seen; time is counted from there until it catches up"
            ),
            Some(News::CaughtUp) => tracing::info!("the wall clock has caught up"),
            None => {}
        }
        now
    }

    /// The engine's opening: lookups of what was under way, the comparison, missing stops.
    fn open(&mut self, draw: &Draw, gap: Option<aegis_model::event::GapFound>) -> Result<(), Failure> {
        let journal = &self.node.machine().state().journal;
        let created = match journal.mode {
            Some(Mode::Live) => None,
            Some(Mode::Paper) => {
                return Err(Failure::usage("this journal is one of paper trading: give another --data"));
            }
            None => Some(JournalCreated {
                mode: Mode::Live,
                installation: draw.installation()?,
                quote: self.live.quote,
            }),
        };
        let opened = Opened {
            created,
            run: draw.run(journal.openings)?,
            version: Label::lossy(env!("CARGO_PKG_VERSION")),
            config_digest: crate::act::config_digest(&self.live.recorded),
            seed: draw.seed(),
            settings: self.live.recorded.clone(),
            gap,
        };
        self.tell(vec![Input::Opened(opened)])
    }

    /// Until somebody asks it to stop; why.
    fn walk(&mut self) -> Result<&'static str, Failure> {
        let mut marked = false;
        loop {
            self.instruments_due();
            self.housekeeping()?;
            let sleep = self.sleep(marked);
            match self.hear(sleep) {
                Ok(item) => {
                    marked = false;
                    if let Some(why) = self.turn(item)? {
                        return Ok(why);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.now();
                    let due = self.node.machine().next_timer().is_some_and(|due| due <= now);
                    if due {
                        self.tell(vec![Input::Clock])?;
                    } else if !marked {
                        self.disk.over(|| self.node.mark()).0?;
                        crate::world::warn_of(self.node.compression_trouble());
                        marked = true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::bug("the queue of news is gone")),
            }
        }
    }

    /// What comes within `wait`; writes go on meanwhile.
    fn hear(&mut self, wait: Duration) -> Result<Item, RecvTimeoutError> {
        match self.wire.as_ref().and_then(Wire::here) {
            Some(here) => here.hear(&mut self.queue, wait),
            None => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// Until the next timer, and no longer than idleness lasts.
    fn sleep(&mut self, marked: bool) -> Duration {
        let most = match (marked, self.signals.may_come()) {
            (_, true) => SIGNALS_EVERY,
            (true, false) => IDLE * 10,
            (false, false) => IDLE,
        };
        let now = self.now();
        let due = self.node.machine().next_timer().map(|due| due.since(now).max(0).unsigned_abs());
        due.map_or(most, |ns| Duration::from_nanos(ns).min(most))
    }

    /// One turn: this and what waits behind it, decided upon in order, synced once.
    fn turn(&mut self, first: Item) -> Result<Option<&'static str>, Failure> {
        let mut inputs = Vec::new();
        let mut next = Some(first);
        while let Some(item) = next.take() {
            match item {
                Item::Wire(heard) => self.translate(heard, &mut inputs),
                Item::Delivered(number) => inputs.push(Input::Delivered(number)),
                Item::Desk(control::Heard::Stop(signal)) => {
                    self.tell(inputs)?;
                    return Ok(Some(signal));
                }
                Item::Desk(control::Heard::Request(request)) => {
                    self.tell(std::mem::take(&mut inputs))?;
                    self.answer(request)?;
                }
                Item::Desk(control::Heard::Nothing) => {}
            }
            if inputs.len() < TURN {
                next = self.queue.try_recv().ok();
            }
        }
        let listed = inputs.iter().any(|input| matches!(input, Input::Instruments(_)));
        self.tell(inputs)?;
        if listed {
            self.early_quotes()?;
        }
        Ok(None)
    }

    fn translate(&mut self, heard: Heard, inputs: &mut Vec<Input>) {
        if matches!(heard, Heard::Queued { cancel: false, .. }) {
            self.kill_when(KillAt::Accepted);
        }
        match &heard {
            Heard::Connected(which) => {
                inputs.push(Input::Link { link: Label::lossy(&which.to_string()), lost: None });
            }
            Heard::Disconnected { which, why } => {
                inputs.push(Input::Link { link: Label::lossy(&which.to_string()), lost: Some(why.clone()) });
            }
            Heard::Instruments(_)
            | Heard::Account(_)
            | Heard::Report { .. }
            | Heard::Queued { .. }
            | Heard::LookedUp { .. }
            | Heard::Snapshot(_)
            | Heard::Quote(_)
            | Heard::Missed(_)
            | Heard::Odd { .. }
            | Heard::AccessRefused { .. } => {}
        }
        if matches!(heard, Heard::Instruments(Ok(_))) {
            self.instruments = Instant::now() + self.instruments_every;
        }
        // What is refused for good may be so because a tick or a minimum has changed.
        if matches!(&heard, Heard::Report { said: Said::Rejected { class, .. }, .. } if *class != RejectClass::Later)
        {
            self.instruments = self.instruments.min(Instant::now() + INSTRUMENTS_RETRY);
        }
        let heard = self.in_our_time(heard);
        let state = self.node.machine().state();
        match translate::told(state, heard) {
            Told::Input(input) => inputs.push(*input),
            Told::Quote(quote) if state.find_instrument(&quote.instrument).is_none() => {
                self.early.insert(quote.instrument, quote);
            }
            Told::Quote(quote) => self.quote(&quote, inputs),
            Told::Nothing => {}
        }
    }

    /// The moments of the wall clock in something heard, in the engine's time. What the exchange dates stays as it is.
    fn in_our_time(&mut self, mut heard: Heard) -> Heard {
        self.now();
        if let Heard::Quote(quote) = &mut heard {
            quote.at = self.clock.of_wall(quote.at);
        }
        if let Heard::Snapshot(snapshot) = &mut heard {
            snapshot.requested = self.clock.of_wall(snapshot.requested);
        }
        heard
    }

    fn quote(&mut self, quote: &Quote, inputs: &mut Vec<Input>) {
        if let Some(tick) = translate::tick(self.node.machine().state(), quote, FEED, self.cursor + 1) {
            self.cursor += 1;
            inputs.push(Input::Tick(tick));
        }
    }

    /// Prices that came before their instruments were listed.
    fn early_quotes(&mut self) -> Result<(), Failure> {
        let mut inputs = Vec::new();
        for (name, quote) in std::mem::take(&mut self.early) {
            if self.node.machine().state().find_instrument(&name).is_some() {
                self.quote(&quote, &mut inputs);
            } else {
                self.early.insert(name, quote);
            }
        }
        self.tell(inputs)
    }

    /// Gives inputs to the engine and carries out what it asks for; answers that the program gives itself follow.
    fn tell(&mut self, inputs: Vec<Input>) -> Result<(), Failure> {
        let mut pending = inputs;
        for _ in 0..ROUNDS_MAX {
            if pending.is_empty() {
                return self.answer_asked();
            }
            let answered =
                pending.iter().any(|input| matches!(input, Input::Report(_) | Input::LookedUp(..)));
            let now = self.now();
            let before = self.node.machine().state().lsn;
            let asked = &mut self.asked;
            let hear =
                |lsn: Lsn, event: &Event| asked.iter_mut().for_each(|(asked, _)| asked.hear(lsn, event));
            let (effects, took) = self.disk.over(|| self.node.step_telling(now, &pending, hear));
            let effects = effects?;
            if self.node.machine().state().lsn != before {
                self.recorded += 1;
                self.kill_when(KillAt::Recorded);
            }
            if answered {
                self.kill_when(KillAt::Answered);
            }
            let orders = effects.iter().filter(|e| matches!(e, Effect::Place(_))).count() as u64;
            self.placed += orders;
            if orders > 0 {
                self.kill_when(KillAt::Intended);
            }
            // Orders are with the system before anything else is begun.
            let (writes, others): (Vec<&Effect>, Vec<&Effect>) =
                effects.iter().partition(|e| matches!(e, Effect::Place(_) | Effect::Cancel { .. }));
            pending = writes.iter().filter_map(|effect| self.carry_out(effect, took)).collect();
            if !writes.is_empty()
                && let Some(here) = self.wire.as_ref().and_then(Wire::here)
            {
                here.let_go();
            }
            pending.extend(others.into_iter().filter_map(|effect| self.carry_out(effect, took)));
            pending.extend(self.disk.judge(took).map(|told| Input::DiskSlow {
                milliseconds: match told {
                    disk::Told::Slow(took) => u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1),
                    disk::Told::Well => 0,
                },
            }));
        }
        Err(Failure::bug("the engine keeps asking for what has no room"))
    }

    /// Hands an effect over whose record took so long to become durable; the answer when it is not sent.
    fn carry_out(&mut self, effect: &Effect, took: Duration) -> Option<Input> {
        match translate::wish(self.node.machine().state(), effect) {
            Wish::Ask(ask) if self.disk.is_late(took) && is_entry(self.node.machine().state(), effect) => {
                let why = format!(
                    "the disk took {:.1} s: too late for an entry; nothing was sent",
                    took.as_secs_f64()
                );
                unsent(effect, &ask, self.now(), Text::new(&why))
            }
            Wish::Ask(mut ask) => {
                if let Ask::LookUp(asked) = &mut *ask {
                    asked.earliest = self.clock.to_wall(asked.earliest);
                }
                let taken = self.wire.as_ref().is_some_and(|wire| wire.ask((*ask).clone()).is_ok());
                if taken { None } else { unsent(effect, &ask, self.now(), Text::new(BEHIND)) }
            }
            Wish::Notify { number, text } => {
                tracing::info!(number, "{text}");
                match &self.sink {
                    // One that finds no room stays in the outbox and is asked for again at the next start.
                    Some(sink) => {
                        if sink.deliver(number, text).is_err() {
                            tracing::warn!(
                                number,
                                "too many messages wait; it stays in the journal's outbox"
                            );
                        }
                        None
                    }
                    None => Some(Input::Delivered(number)),
                }
            }
            Wish::Nothing => None,
        }
    }

    fn answer(&mut self, request: Request) -> Result<(), Failure> {
        let reply = match request.ask.command() {
            Err(what) => Reply::refused(what),
            Ok(None) if matches!(request.ask, Word::Reconcile {}) => {
                self.tell(vec![Input::Compare])?;
                Reply::done("a comparison with the exchange was asked for")
            }
            Ok(None) => {
                let state = self.node.machine().state();
                Reply { ok: true, text: String::new(), status: status::of(NAME, state) }
            }
            Ok(Some(command)) => {
                self.asked.push((Asked::default(), request.reply));
                return self.tell(vec![Input::Command { by: request.by, command }]);
            }
        };
        // Whoever asked may have gone.
        let _ = request.reply.send(reply);
        Ok(())
    }

    /// Answers those whose command is decided; an entry that waits for its balance is answered when it has come.
    fn answer_asked(&mut self) -> Result<(), Failure> {
        if self.asked.iter().all(|(asked, _)| asked.waits()) {
            return Ok(());
        }
        self.disk.over(|| self.node.flush()).0?;
        let state = self.node.machine().state();
        for (asked, reply) in self.asked.extract_if(.., |(asked, _)| !asked.waits()) {
            // Whoever asked may have gone.
            let _ = reply.send(asked.reply(state));
        }
        Ok(())
    }

    fn instruments_due(&mut self) {
        if self.instruments <= Instant::now() {
            self.instruments = Instant::now() + INSTRUMENTS_RETRY;
            if self.wire.as_ref().is_none_or(|wire| wire.ask(Ask::Instruments).is_err()) {
                tracing::warn!("the instruments could not be asked for: the connection is too far behind");
            }
        }
    }

    /// Signals that are due, rot in older records, the journal's last reserve.
    fn housekeeping(&mut self) -> Result<(), Failure> {
        let state = self.node.machine().state();
        let open = state.instruments.iter().filter(|i| i.is_open());
        let guarded = open.clone().filter(|i| i.resting_stop(state).is_some()).count();
        self.disk.about(open.count(), guarded);
        if self.placed_next <= Instant::now() {
            self.placed_next = Instant::now() + PLACE_EVERY;
            self.node.check_place()?;
        }
        loop {
            let now = self.now();
            let Some((_, input)) = self.signals.due(now, now) else { break };
            self.tell(vec![input])?;
        }
        if let Some(found) = self.older.as_ref().and_then(crate::world::Older::found) {
            self.older = None;
            for gap in &found {
                self.node.declare(gap)?;
                self.tell(vec![crate::world::halt_for(gap)])?;
            }
        }
        let reserve_only = self.node.reserve_only();
        if reserve_only != self.reserve_only {
            self.reserve_only = reserve_only;
            self.tell(vec![Input::JournalSpace { reserve_only }])?;
        }
        Ok(())
    }

    /// The clean end: no new entries, working ones cancelled and confirmed, stops left as they are.
    fn stop(mut self, why: &'static str, json: bool) -> Result<Exit, Failure> {
        let label = Label::lossy(why);
        self.tell(vec![Input::Stopping(label)])?;
        let end = self.now().after(STOP_NS);
        while !self.node.machine().idle() && self.now() < end {
            let sleep = self.sleep(false).min(SIGNALS_EVERY);
            match self.hear(sleep) {
                Ok(item) => drop(self.turn(item)?),
                Err(RecvTimeoutError::Timeout) => self.tell(vec![Input::Clock])?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(sink) = self.sink.take() {
            sink.shutdown();
        }
        let last = self.wire.take().map(Wire::shutdown).unwrap_or_default();
        let mut inputs = Vec::new();
        while let Ok(item) = self.queue.try_recv() {
            match item {
                Item::Wire(heard) => self.translate(heard, &mut inputs),
                Item::Delivered(number) => inputs.push(Input::Delivered(number)),
                Item::Desk(_) => {}
            }
        }
        last.into_iter().for_each(|heard| self.translate(heard, &mut inputs));
        self.tell(inputs)?;
        let working =
            self.node.machine().state().orders.values().filter(|o| o.purpose == Purpose::Entry).count();
        if working > 0 {
            tracing::warn!(working, "entries are still working; the next start asks about them");
        }
        self.tell(vec![Input::Stopped(label)])?;
        let state = self.node.machine().state().clone();
        let summary = Summary::of(&state);
        self.node.close()?;
        if json {
            let line = serde_json::json!({ "act": NAME, "ended": why, "engine": summary });
            crate::print(&line.to_string())?;
        } else {
            crate::print(&format!("{summary}stopped by {why}"))?;
        }
        Ok(Exit::Ok)
    }

    fn kill_when(&self, at: KillAt) {
        let reached = if at == KillAt::Recorded { self.recorded } else { self.placed };
        if self.kill.is_some_and(|kill| kill.at == at && kill.nth <= reached) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}

/// Why something found no room.
const BEHIND: &str = "the connection to the exchange is too far behind; nothing was sent";

/// Whether an effect begins a new exposure.
fn is_entry(state: &aegis_projection::State, effect: &Effect) -> bool {
    let Effect::Place(place) = effect else { return false };
    state.orders.values().any(|order| order.client == place.client && order.purpose == Purpose::Entry)
}

/// What the engine hears of something that was never sent.
fn unsent(effect: &Effect, ask: &Ask, now: Timestamp, why: Text) -> Option<Input> {
    match (effect, ask) {
        (Effect::Place(place), _) => {
            let what = Reported::Rejected { class: RejectClass::Later, code: 0, text: why };
            Some(Input::Report(Report { client: place.client, venue_order: None, what }))
        }
        (Effect::LookUp { order, .. }, _) => Some(Input::LookedUp(*order, Lookup::Failed(why))),
        (Effect::AskSnapshot { number, trades_from, .. }, _) => Some(Input::Snapshot(VenueSnapshot {
            number: *number,
            requested: now,
            balances: Answer::Failed(why.clone()),
            open_orders: Answer::Failed(why.clone()),
            orders_at: *trades_from,
            ended_orders: Answer::Failed(why.clone()),
            trades: Answer::Failed(why.clone()),
            flows: Answer::Failed(why),
            trades_from: *trades_from,
            trades_through: *trades_from,
        })),
        // A cancel that is not answered is looked into by its own timer.
        (Effect::Cancel { .. } | Effect::Notify { .. }, _) => None,
    }
}
