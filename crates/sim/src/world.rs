//! The world: one thread, one clock that jumps to the next event, everything in it drawn from the seed.
//!
//! ```text
//! acts, market --> exchange <--bytes--> calls, frames <--> client <--> Node<Engine> <--> simulated disk
//!                     |                (lost, late, twice, torn)          |
//!                     +---- ledger ------------> oracle <---- bytes ------+
//! ```
//!
//! First comes the phase of faults, with the S rules after every step; then faults end, the exchange is well, people
//! release what was blocked, and after some minutes the L rules must hold.

use crate::draw::Draw;
use crate::exchange::{Exchange, Sight};
use crate::oracle::{Bounds, Oracle, SECRET, Violation};
use crate::plan::{Act, Class, Knobs, Line, acts};
use crate::translate::{self, Told, Wish};
use crate::wire::answer::{Reply, Silence};
use crate::wire::post::Want;
use crate::wire::rest::Rest;
use crate::wire::{Ask, Heard, Quote, Shared, Socket, clock, post};
use aegis_cryptocom::{Method, Secret, Signer};
use aegis_engine::Engine;
use aegis_engine::settings::{EntryStyle, Guarding, HoldingPolicy, PlanSettings, Settings};
use aegis_journal::{Config, Expect, Identity, MemStorage, PowerCut};
use aegis_model::event::{Direction, ENGINE_SCHEMA, JournalCreated};
use aegis_model::ids::SECOND;
use aegis_model::input::{ListedInstrument, Opened, Scope, SignalIn};
use aegis_model::market::PricePath;
use aegis_model::protection::{Distance, Plan, StopRule};
use aegis_model::{
    Command, Effect, FeedId, Input, InstrumentId, Label, Machine, Mode, Money, OrderKind, Price, Quantity,
    Rate, Rounding, Side, Text, Tick, TimeInForce, Timestamp,
};
use aegis_node::{Limits, Node};
use aegis_paper::{Created, Venue, VenueInput};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

mod calls;
mod ending;
mod life;
mod market;
mod people;
mod strangers;

/// When every world begins: 2025-01-01T00:00:00Z.
const BEGIN: i64 = 1_735_689_600 * SECOND;
/// Instruments: base, first price in hundredths, quantity tick as digits behind the point.
const LISTED: [(&str, i64, u32); 3] = [("BTC", 5_000_000, 5), ("ETH", 300_000, 4), ("SOL", 15_000, 2)];
const FEED: FeedId = FeedId(1);
const MILLI: i64 = 1_000_000;
/// How long faults are over before the L rules are looked at, ns.
const QUIET: i64 = 900 * SECOND;
/// How long an open position may be without a stop at the exchange that should rest there while nothing is done, ns.
const IDLE_MAX: i64 = 120 * SECOND;
/// Unsynced records that surely lie on more than one page.
const PAGE_RECORDS: u64 = 48;
/// Timers of the engine in a minute at most.
const TIMERS_MAX: u32 = 600;
/// Requests in a minute at most while the exchange is away, from its second minute on. A loop that does not slow down
/// makes several hundred.
const ASKED_MAX: u32 = 120;
/// Things at most that wait in one queue of the process.
const WAITING_MAX: usize = 32;
/// Rounds of effects that follow from one input at most.
const ROUNDS_MAX: usize = 1_000;
/// Lines of a story.
pub const STORY_MAX: usize = 40;

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Simulated time, ns.
    pub simulated_ns: i64,
    /// Events of the world.
    pub events: u64,
    /// Crashes, and images of crashes that were recovered.
    pub crash_points: u64,
    /// Starts of the engine.
    pub starts: u64,
    /// Orders that left.
    pub orders: u64,
    /// Records stored.
    pub records: u64,
    /// Trades at the exchange.
    pub trades: u64,
    /// Bits turned in records that were proven durable.
    pub rotted: u64,
    /// Images of crashes whose journal ended in a torn batch.
    pub torn: u64,
    /// Images of crashes that had whole records behind a hole.
    pub holes: u64,
}

impl Stats {
    /// Adds another run.
    pub fn add(&mut self, other: &Stats) {
        self.simulated_ns += other.simulated_ns;
        self.events += other.events;
        self.crash_points += other.crash_points;
        self.starts += other.starts;
        self.orders += other.orders;
        self.records += other.records;
        self.trades += other.trades;
        self.rotted += other.rotted;
        self.torn += other.torn;
        self.holes += other.holes;
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first rule that did not hold.
    pub violation: Option<Violation>,
    /// A hash over everything that happened.
    pub hash: u64,
    /// The last things that happened, in words.
    pub story: Vec<String>,
    /// Counts.
    pub stats: Stats,
}

/// How a run is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The canary: the exchange gives away a coin that no ledger knows. Some rule must say so.
    pub canary: bool,
    /// Tell everything as it happens.
    pub tell: bool,
    /// Crash at every operation of the disk of so many first steps, and at every one of each recovery; the run ends
    /// behind them. 0 for a whole run with samples.
    pub everywhere: u64,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

enum Happening {
    Act(usize),
    Market(usize),
    Quote { epoch: u64, quote: Box<Quote> },
    Arrive { epoch: u64, number: u64, method: Method, body: String },
    Reply { epoch: u64, number: u64, reply: Reply },
    Silent { epoch: u64, number: u64, silence: Silence },
    Wake { epoch: u64, number: u64 },
    Frame { connection: u64, text: String },
    Connect { epoch: u64 },
    Instruments { epoch: u64 },
    Delivered { epoch: u64, number: u64 },
    Timer { epoch: u64, at: i64 },
    Boot,
    Mark { epoch: u64 },
    DiskEmpty,
    Quiet,
    End,
}

struct Process {
    node: Node<Engine, MemStorage>,
    rest: Rc<Rest>,
    tasks: BTreeMap<u64, Task>,
    owners: BTreeMap<u64, u64>,
    looked_for: BTreeSet<u64>,
    lookups: BTreeMap<u64, u64>,
    full: Option<u64>,
    waiting: VecDeque<Ask>,
    cursor: u64,
    reserve_only: bool,
    early: Vec<Quote>,
}

struct Market {
    name: Label,
    price: i64,
    factor: i64,
    minimum: i64,
    cursor: u64,
}

/// How the process dies at the next chance.
#[derive(Clone, Debug)]
struct Dying {
    cut: Option<PowerCut>,
    nested: Vec<u64>,
    down: i64,
}

/// A run under way.
struct World<'a> {
    line: &'a Line,
    options: Options,
    knobs: Knobs,
    acts: Vec<(i64, u32, Act)>,
    now: i64,
    queue: BTreeMap<(i64, u64), Happening>,
    next: u64,
    disk: MemStorage,
    settings: Settings,
    process: Option<Process>,
    signer: Rc<Signer>,
    exchange: Exchange,
    markets: Vec<Market>,
    oracle: Oracle,
    faults: bool,
    messages: u64,
    epoch: u64,
    connection: u64,
    connected: bool,
    ahead: i64,
    away_until: i64,
    frozen_until: i64,
    socket_until: i64,
    dying: Option<Dying>,
    durable: u64,
    openings: u32,
    signals: u64,
    flows: u64,
    timer: i64,
    /// The minute, and the timers in it.
    timers: (i64, u32),
    /// Since when the exchange is away, as far as this process lives; the minute of that, and the requests in it.
    away_since: i64,
    asked: (i64, u32),
    bare: BTreeMap<u32, i64>,
    seeds: u64,
    inbox: Vec<Input>,
    tasks: u64,
    violation: Option<Violation>,
    hash: u64,
    story: VecDeque<String>,
    stats: Stats,
    steps: u64,
    canary_done: bool,
    /// How often the end was looked at again.
    looks: u32,
}

/// Runs a line.
pub fn run(line: &Line, options: Options) -> Outcome {
    post::clear();
    let mut world = World::new(line, options);
    world.begin();
    while world.violation.is_none() {
        let Some(((at, _), happening)) = world.queue.pop_first() else { break };
        world.now = world.now.max(at);
        clock::set(world.now, world.ahead);
        world.stats.events += 1;
        world.eat(&at.to_le_bytes());
        if matches!(happening, Happening::End) {
            if world.under_way() {
                world.put(world.now + SECOND, Happening::End);
                continue;
            }
            world.end();
            break;
        }
        world.happen(happening);
        world.settle();
        if world.steps > options.everywhere && options.everywhere > 0 {
            break;
        }
    }
    world.stats.simulated_ns = world.now - BEGIN;
    world.stats.records = world.oracle.facts;
    world.stats.trades = world.exchange.venue.state().counters().trades;
    Outcome { violation: world.violation, hash: world.hash, story: world.story.into(), stats: world.stats }
}

fn settings(knobs: &Knobs) -> Settings {
    let initial = Distance::Relative(Rate::new(2, 2));
    let mut settings = Settings {
        guarding: [Guarding::Engine, Guarding::Exchange, Guarding::Both][usize::from(knobs.guarding)],
        entry_style: match knobs.entry_style {
            0 => EntryStyle::LimitImmediate,
            1 => EntryStyle::Market,
            _ => EntryStyle::LimitResting { lifetime_ns: 60 * SECOND },
        },
        budget: Money::new(2_000, 0),
        weight: Rate::new(5, 1),
        risk: Rate::new(1, 1),
        taker_fee: Rate::basis_points(knobs.taker_bp),
        daily_loss: knobs.daily_loss.map(|loss| Money::new(loss, 0)),
        max_positions: knobs.positions,
        stop_outs: None,
        market_fall: None,
        leader_fall: None,
        record_all: knobs.record_all,
        reconcile_ns: knobs.reconcile_s * SECOND,
        balance_lag_ns: knobs.lag_allowed_s * SECOND,
        holdings: if knobs.adopt { HoldingPolicy::Adopt } else { HoldingPolicy::Quarantine },
        plan: PlanSettings {
            plan: Plan {
                initial,
                rule: StopRule::Trailing {
                    distance: Distance::Relative(Rate::new(15, 3)),
                    from_start: true,
                    stages: Vec::new(),
                },
                atr: None,
                take_profit: knobs.take_profit.then_some(Rate::new(1, 2)),
                hold_ns: knobs.hold_s.map(|seconds| seconds * SECOND),
            },
            atr: None,
        },
        ..Settings::default()
    };
    settings.price_age_ns.insert(FEED, 60 * SECOND);
    settings
}

impl<'a> World<'a> {
    fn new(line: &'a Line, options: Options) -> World<'a> {
        let knobs = Knobs::of(line);
        let taker = Rate::basis_points(knobs.taker_bp);
        let terms = aegis_paper::Settings::new(taker, taker, Rate::ZERO).expect("rates within their range");
        let signer = || Signer::new("sim", &Secret::new(SECRET.to_owned()));
        let mut exchange =
            Exchange::new(Venue::new(terms.repeating_clients(knobs.repeats_clients)), signer());
        exchange.keeps_versions = line.mask.has(Class::Lag);
        exchange.reject_in_answer = knobs.reject_in_answer;
        let settings = settings(&knobs);
        let bounds = Bounds {
            positions: settings.max_positions as usize,
            budget: settings.budget.0.units(),
            loss: settings.daily_loss.map(|loss| loss.0.units()),
        };
        let markets = LISTED.iter().take(knobs.instruments).map(|(base, price, _)| Market {
            name: Label::lossy(&format!("{base}_USDT")),
            price: *price,
            factor: 1,
            minimum: knobs.minimum,
            cursor: 0,
        });
        World {
            line,
            options,
            acts: acts(line, &knobs),
            now: BEGIN,
            queue: BTreeMap::new(),
            next: 0,
            disk: MemStorage::new(),
            settings,
            process: None,
            signer: Rc::new(signer()),
            exchange,
            markets: markets.collect(),
            oracle: Oracle::new(line.mask, bounds),
            faults: true,
            messages: 0,
            epoch: 0,
            connection: 0,
            connected: false,
            ahead: if line.mask.has(Class::Skew) { knobs.ahead_ms * MILLI } else { 0 },
            away_until: 0,
            frozen_until: 0,
            socket_until: 0,
            dying: None,
            durable: 0,
            openings: 0,
            signals: 0,
            flows: 0,
            timer: i64::MAX,
            timers: (0, 0),
            away_since: 0,
            asked: (0, 0),
            bare: BTreeMap::new(),
            seeds: 0,
            inbox: Vec::new(),
            tasks: 0,
            violation: None,
            hash: 0xcbf2_9ce4_8422_2325,
            story: VecDeque::new(),
            stats: Stats::default(),
            steps: 0,
            canary_done: false,
            looks: 0,
            knobs,
        }
    }

    fn begin(&mut self) {
        clock::set(self.now, self.ahead);
        let account = Label::literal("sim");
        let version = Label::literal("sim");
        self.exchange.step(self.now, &VenueInput::Open { created: Some(Created { account }), version });
        let listed = self.listed();
        self.exchange.step(self.now, &VenueInput::List(listed));
        self.fund(Label::literal("USDT"), Quantity::new(10_000, 0));
        for at in 0..self.markets.len() {
            self.market(at);
        }
        for at in 0..self.acts.len() {
            self.put(BEGIN + self.acts[at].0, Happening::Act(at));
        }
        let quiet = BEGIN + i64::from(self.line.minutes) * 60 * SECOND;
        self.put(quiet, Happening::Quiet);
        self.put(quiet + QUIET, Happening::End);
        self.put(BEGIN + SECOND, Happening::Boot);
        self.exchange.frames.clear();
        // No reading lags behind the beginning.
        self.exchange.forget_versions();
    }

    fn put(&mut self, at: i64, happening: Happening) {
        self.next += 1;
        self.queue.insert((at, self.next), happening);
    }

    fn eat(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn say(&mut self, words: impl FnOnce() -> String) {
        let since = (self.now - BEGIN) / MILLI;
        let text = format!("{:>6}.{:03} s  {}", since / 1000, since % 1000, words());
        if self.options.tell {
            println!("{text}");
        }
        self.eat(text.as_bytes());
        self.story.push_back(text);
        if self.story.len() > STORY_MAX {
            self.story.pop_front();
        }
    }

    fn check(&mut self, held: Result<(), Violation>) {
        if let Err(violation) = held {
            self.say(|| format!("{}: {}", violation.rule, violation.words));
            self.violation.get_or_insert(violation);
        }
    }

    fn break_rule(&mut self, rule: &'static str, words: String) {
        self.check(Err(Violation { rule, words }));
    }

    /// Whether this message meets a fault.
    fn meets(&self, class: Class, draw: &mut Draw) -> bool {
        self.faults && self.line.mask.has(class) && draw.one_in(self.knobs.rate)
    }

    fn message(&mut self) -> Draw {
        self.messages += 1;
        Draw::keyed(self.line.seed, 5, self.messages)
    }

    fn travel(&self, draw: &mut Draw) -> i64 {
        if self.meets(Class::Delay, draw) {
            draw.scaled(100 * MILLI, 90_000 * MILLI)
        } else {
            draw.between(5 * MILLI, 120 * MILLI)
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Act(at) => self.act(at),
            Happening::Market(at) => self.market(at),
            Happening::Quote { epoch, quote } => self.quote(epoch, &quote),
            Happening::Arrive { epoch, number, method, body } => self.arrive(epoch, number, method, &body),
            Happening::Reply { epoch, number, reply } => self.answered(epoch, number, Ok(reply)),
            Happening::Silent { epoch, number, silence } => self.answered(epoch, number, Err(silence)),
            Happening::Wake { epoch, number } => {
                if epoch == self.epoch {
                    post::wake(number);
                    self.poll_owner(number);
                }
            }
            Happening::Frame { connection, text } => {
                if connection == self.connection
                    && self.connected
                    && let Some(process) = &self.process
                {
                    process.rest.shared.frame(&text);
                    self.listen();
                }
            }
            Happening::Connect { epoch } => self.connect(epoch),
            Happening::Instruments { epoch } => {
                if epoch == self.epoch && self.process.is_some() {
                    if self.now < self.away_until {
                        return self.put(self.now + 5 * SECOND, Happening::Instruments { epoch });
                    }
                    self.inbox.push(Input::Instruments(self.listed()));
                    self.settle();
                    let early =
                        self.process.as_mut().map(|p| std::mem::take(&mut p.early)).unwrap_or_default();
                    for quote in early {
                        self.quote(epoch, &quote);
                    }
                }
            }
            Happening::Delivered { epoch, number } => {
                if epoch == self.epoch && self.process.is_some() {
                    self.inbox.push(Input::Delivered(number));
                }
            }
            Happening::Timer { epoch, at } => {
                if epoch == self.epoch && at == self.timer && self.process.is_some() {
                    self.timer = i64::MAX;
                    self.inbox.push(Input::Clock);
                    self.awake();
                }
            }
            Happening::Boot => self.boot(),
            Happening::Mark { epoch } => {
                if epoch == self.epoch
                    && let Some(process) = &mut self.process
                {
                    if let Err(fault) = process.node.mark() {
                        self.died(&fault.to_string());
                    } else {
                        self.durable = self.durable.max(process.node.durable().0);
                        self.put(self.now + self.knobs.mark_s * SECOND, Happening::Mark { epoch });
                    }
                }
            }
            Happening::DiskEmpty => {
                self.say(|| "the disk has room again".to_owned());
                self.disk.disk_full(false);
            }
            Happening::Quiet => self.quiet(),
            Happening::End => {}
        }
        self.frames();
    }

    /// Until nothing waits for the engine.
    fn settle(&mut self) {
        let mut rounds = 0;
        while !self.inbox.is_empty() && self.violation.is_none() {
            rounds += 1;
            if rounds > ROUNDS_MAX {
                return self.break_rule("S11", "the engine never comes to rest".to_owned());
            }
            let inputs = std::mem::take(&mut self.inbox);
            self.step(&inputs);
            self.frames();
        }
        self.wind();
    }

    /// The engine's next timer.
    fn wind(&mut self) {
        let Some(process) = &self.process else { return };
        let due = process.node.machine().next_timer().map(|due| due.0 - self.ahead);
        let Some(due) = due else { return };
        let at = due.max(self.now + MILLI);
        if at < self.timer || self.timer <= self.now {
            self.timer = at;
            let epoch = self.epoch;
            self.put(at, Happening::Timer { epoch, at });
        }
    }

    /// S22: an engine whose timers come and come, and bring nothing about, burns a processor and hammers the exchange.
    fn awake(&mut self) {
        let minute = self.now / (60 * SECOND);
        if self.timers.0 != minute {
            self.timers = (minute, 0);
        }
        self.timers.1 += 1;
        if self.timers.1 > TIMERS_MAX {
            self.break_rule("S22", format!("more than {TIMERS_MAX} timers in a minute"));
        }
    }

    /// S22: an exchange that is away is asked now and then, and what waits for it is bounded.
    fn asks_little(&mut self) {
        let Some(process) = &self.process else { return };
        let waiting = process.tasks.len().max(process.waiting.len());
        if waiting > WAITING_MAX {
            return self.break_rule("S22", format!("{waiting} things wait for the exchange"));
        }
        if self.now >= self.away_until {
            return;
        }
        let minute = (self.now - self.away_since) / (60 * SECOND);
        if self.asked.0 != minute {
            self.asked = (minute, 0);
        }
        self.asked.1 += 1;
        if minute > 0 && self.asked.1 > ASKED_MAX {
            self.break_rule(
                "S22",
                format!("more than {ASKED_MAX} requests in a minute to an exchange that is away"),
            );
        }
    }

    fn step(&mut self, inputs: &[Input]) {
        self.steps += 1;
        let everywhere = self.steps <= self.options.everywhere;
        let audit = everywhere || self.faults && self.tries(7, 2);
        let Some(process) = &mut self.process else { return };
        let wall = Timestamp((self.now + self.ahead).max(process.node.time().0));
        let before = self.durable;
        if audit {
            self.disk.keep_images(true);
        }
        let stepped = process.node.step(wall, inputs);
        let images = if audit { self.disk.take_images() } else { Vec::new() };
        self.disk.keep_images(false);
        let effects = match stepped {
            Ok(effects) if !self.disk.crashed() => effects,
            Ok(_) => {
                let followed = self.oracle.appended(&self.disk);
                self.check(followed);
                return self.died("the process dies between two operations of the disk");
            }
            Err(fault) => {
                // What was appended of the step is bytes that a start may or may not find.
                let followed = self.oracle.appended(&self.disk);
                self.check(followed);
                return self.died(&fault.to_string());
            }
        };
        self.durable = self.durable.max(process.node.durable().0);
        let (durable, unsynced) = (process.node.durable().0, process.node.unsynced());
        let known = self.oracle.events.len();
        let followed = self.oracle.appended(&self.disk);
        if self.options.tell {
            for event in &self.oracle.events[known..] {
                println!("              {:?}", event.fact);
            }
        }
        self.check(followed);
        let Some(process) = &mut self.process else { return };
        if self.oracle.stored() != process.node.machine().state().lsn.0 {
            let lsn = process.node.machine().state().lsn;
            let words = format!("{} records are stored, {lsn} were folded", self.oracle.stored());
            return self.break_rule("S5", words);
        }
        let there = self.oracle.on_platter(&self.disk, self.durable);
        self.check(there);
        if self.tries(8, 8) {
            self.is_the_fold();
        }
        let Some(process) = &mut self.process else { return };
        if self.line.mask.has(Class::DiskFull) {
            let reserve_only = process.node.reserve_only();
            if reserve_only != process.reserve_only {
                process.reserve_only = reserve_only;
                self.inbox.push(Input::JournalSpace { reserve_only });
            }
        }
        self.protected();
        if self.violation.is_none() && self.tries(12, 16) {
            self.rot();
        }
        if self.violation.is_none() && self.tries(19, 16) {
            self.second();
        }
        if self.violation.is_none() && self.tries(32, 8) {
            self.stranger(wall);
        }
        let cut = if unsynced == 0 { 32 } else { 4 };
        if self.violation.is_none() && self.tries(14, cut) {
            self.cut(durable);
        }
        if self.violation.is_none() && unsynced >= PAGE_RECORDS && self.tries(16, 8) {
            self.hole(durable);
        }
        if everywhere {
            self.everywhere(&images, before);
        } else {
            self.audit(&images, before);
        }
        for effect in effects {
            self.perform(&effect);
        }
    }

    /// S6: the live state is the fold of what was appended.
    fn is_the_fold(&mut self) {
        let Some(process) = &self.process else { return };
        let (stored, live) = (self.oracle.stored(), process.node.machine().digest());
        if self.oracle.digest(stored as usize, self.durable) != Some(live) {
            self.break_rule(
                "S6",
                format!("the live state at record {stored} is not the fold of the records"),
            );
        }
    }

    /// Whether this step is looked at closer: for one in `n` of a young journal, and for the fewer the longer it is,
    /// since each look reads all of it.
    fn tries(&self, kind: u64, n: u64) -> bool {
        let longer = 1 + self.oracle.stored() / 64;
        Draw::keyed(self.line.seed, kind, self.steps).one_in(n * longer)
    }

    fn perform(&mut self, effect: &Effect) {
        if let Effect::Place(place) = effect {
            self.stats.orders += 1;
            let left = self.oracle.leaves(&self.disk, self.durable, place);
            self.check(left);
            let (client, side, quantity) = (place.client, place.side, place.quantity);
            let kind = place.kind;
            self.say(|| format!("the engine sends {client}: {side:?} {quantity} {}", kind_words(&kind)));
        }
        if let Effect::Cancel { client, .. } = effect {
            self.say(|| format!("the engine cancels {client}"));
        }
        let Some(process) = &self.process else { return };
        match translate::wish(process.node.machine().state(), effect) {
            Wish::Ask(ask) => self.ask(*ask),
            Wish::Notify { number, .. } => {
                let mut draw = self.message();
                let epoch = self.epoch;
                self.put(self.now + draw.between(MILLI, 3 * SECOND), Happening::Delivered { epoch, number });
            }
            Wish::Nothing => {}
        }
    }

    /// S11, after every step.
    fn protected(&mut self) {
        let Some(process) = &self.process else { return };
        let state = process.node.machine().state();
        for (at, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(u32::try_from(at).unwrap_or(0));
            let alarmed = state.alarms.keys().any(|(_, about)| *about == Some(id));
            let covered = instrument.protection.is_some() || instrument.exit_wanted.is_some();
            if instrument.is_open() && !covered && !alarmed {
                let words = format!("{} holds {} bare", instrument.spec.name, instrument.held());
                return self.break_rule("S11", words);
            }
            // What should rest at the exchange does not, and nothing is being done about it.
            let stop = instrument.protection.as_ref().map(|protection| protection.stop).unwrap_or_default();
            let idle = self.settings.guarding != Guarding::Engine
                && instrument.is_open()
                && instrument.live.is_empty()
                && instrument.exit_wanted.is_none()
                && instrument.blind.is_none()
                && state.trading.flatten.is_none()
                && !alarmed
                && instrument.spec.sellable(state.sellable(id, self.settings.taker_fee), stop);
            let since = self.bare.entry(id.0).or_insert(self.now);
            if !idle {
                *since = self.now;
            }
            if self.now - *since > IDLE_MAX {
                let words =
                    format!("{} has no stop at the exchange and none on its way", instrument.spec.name);
                return self.break_rule("S11", words);
            }
            if instrument.held().is_negative() {
                let words = format!("{} holds {}", instrument.spec.name, instrument.held());
                return self.break_rule("S8", words);
            }
        }
    }

    // Dying and starting.
}

fn kind_words(kind: &OrderKind) -> String {
    match kind {
        OrderKind::Market => "at market".to_owned(),
        OrderKind::Limit { price, .. } => format!("limit {price}"),
        OrderKind::StopLoss { trigger } => format!("stop at {trigger}"),
        OrderKind::TakeProfit { trigger } => format!("take profit at {trigger}"),
    }
}

fn page(status: u16) -> Reply {
    Reply { status, body: b"<html>gateway</html>".to_vec() }
}

fn is_write(method: Method) -> bool {
    matches!(
        method,
        Method::CreateOrder | Method::CancelOrder | Method::AdvancedCreateOrder | Method::AdvancedCancelOrder
    )
}

fn code_of(body: &str) -> &str {
    let rest = body.split("\"code\":").nth(1).unwrap_or("?");
    rest.split([',', '}']).next().unwrap_or("?")
}
