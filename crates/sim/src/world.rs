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
use crate::oracle::{Oracle, Violation};
use crate::plan::{Act, Class, Knobs, Line, acts};
use crate::translate::{self, Told, Wish};
use crate::wire::post::Want;
use crate::wire::rest::{Reply, Rest, Silence};
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
use aegis_projection::State;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// When every world begins: 2025-01-01T00:00:00Z.
const BEGIN: i64 = 1_735_689_600 * SECOND;
/// Instruments: base, first price in hundredths, quantity tick as digits behind the point.
const LISTED: [(&str, i64, u32); 3] = [("BTC", 5_000_000, 5), ("ETH", 300_000, 4), ("SOL", 15_000, 2)];
const FEED: FeedId = FeedId(1);
const MILLI: i64 = 1_000_000;
/// How long faults are over before the L rules are looked at, ns.
const QUIET: i64 = 900 * SECOND;
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
    digests: BTreeMap<u64, [u8; 32]>,
    inbox: Vec<Input>,
    tasks: u64,
    violation: Option<Violation>,
    hash: u64,
    story: VecDeque<String>,
    stats: Stats,
    steps: u64,
    canary_done: bool,
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
            world.end();
            break;
        }
        world.happen(happening);
        world.settle();
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
        daily_loss: None,
        stop_outs: None,
        market_fall: None,
        leader_fall: None,
        record_all: knobs.record_all,
        reconcile_ns: knobs.reconcile_s * SECOND,
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
        let signer = || Signer::new("sim", &Secret::new("a secret of the simulator".to_owned()));
        let mut exchange =
            Exchange::new(Venue::new(terms.repeating_clients(knobs.repeats_clients)), signer());
        exchange.keeps_versions = line.mask.has(Class::Lag);
        exchange.reject_in_answer = knobs.reject_in_answer;
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
            settings: settings(&knobs),
            process: None,
            signer: Rc::new(signer()),
            exchange,
            markets: markets.collect(),
            oracle: Oracle::new(line.mask),
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
            digests: BTreeMap::new(),
            inbox: Vec::new(),
            tasks: 0,
            violation: None,
            hash: 0xcbf2_9ce4_8422_2325,
            story: VecDeque::new(),
            stats: Stats::default(),
            steps: 0,
            canary_done: false,
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

    fn listed(&self) -> Vec<ListedInstrument> {
        let one = |(market, (base, _, digits)): (&Market, &(&str, i64, u32))| ListedInstrument {
            name: market.name,
            base: Label::lossy(base),
            quote: Label::literal("USDT"),
            price_tick: Price::new(market.factor, 2),
            quantity_tick: Quantity::new(market.factor, *digits),
            minimum_notional: Money::new(market.minimum, 0),
            tradable: true,
        };
        self.markets.iter().zip(&LISTED).map(one).collect()
    }

    fn fund(&mut self, asset: Label, quantity: Quantity) {
        self.flows += 1;
        let id = Label::lossy(&format!("flow-{}", self.flows));
        self.exchange.step(self.now, &VenueInput::Fund { id, asset, quantity });
    }

    // The market.

    fn market(&mut self, at: usize) {
        let cursor = self.markets[at].cursor;
        let mut draw = Draw::keyed(self.line.seed, 10 + at as u64, cursor);
        let step_bp = draw.between(-self.knobs.volatility, self.knobs.volatility);
        let market = &mut self.markets[at];
        market.price = (market.price + market.price * step_bp / 10_000 / 4).max(LISTED[at].1 / 100);
        market.cursor += 1;
        let (bid, ask) = self.quotes(at);
        let partial = self.line.mask.has(Class::Partial);
        let shown = |draw: &mut Draw| {
            partial.then(|| Quantity::new(draw.scaled(1, 1 << 12) * self.markets[at].factor, LISTED[at].2))
        };
        let (bid_quantity, ask_quantity) = (shown(&mut draw), shown(&mut draw));
        let frozen = self.now < self.frozen_until;
        let market = &self.markets[at];
        let name = market.name;
        if !frozen {
            let tick = Tick {
                feed: FEED,
                cursor: self.markets.iter().map(|m| m.cursor).sum(),
                instrument: InstrumentId(0),
                at: Timestamp(self.now),
                bid: Some(bid),
                ask: Some(ask),
                last: Some(bid),
                bid_quantity,
                ask_quantity,
                path: PricePath::Jump,
            };
            self.exchange.step(self.now, &VenueInput::Tick { name, tick });
            if self.process.is_some() && self.now >= self.away_until {
                let quote = Quote {
                    instrument: name,
                    at: Timestamp(self.now + self.ahead),
                    bid: Some(bid),
                    bid_quantity,
                    ask: Some(ask),
                    ask_quantity,
                    last: Some(bid),
                };
                let epoch = self.epoch;
                self.put(
                    self.now + draw.between(MILLI, 80 * MILLI),
                    Happening::Quote { epoch, quote: Box::new(quote) },
                );
            }
        }
        // The reference strategy: now and then it likes what it sees.
        if draw.one_in(self.knobs.signal_every) && self.process.is_some() && self.faults {
            let up = !draw.one_in(5);
            self.signal(at, up);
        }
        let pause = draw.between(self.knobs.tick_ms / 2, self.knobs.tick_ms * 3 / 2) * MILLI;
        self.put(self.now + pause.max(MILLI), Happening::Market(at));
    }

    fn quotes(&self, at: usize) -> (Price, Price) {
        let market = &self.markets[at];
        let bid = market.price - market.price % market.factor;
        (Price::new(bid, 2), Price::new(bid + market.factor, 2))
    }

    // What happens.

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
                        self.put(self.now + 30 * SECOND, Happening::Mark { epoch });
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

    fn quote(&mut self, epoch: u64, quote: &Quote) {
        if epoch != self.epoch {
            return;
        }
        let Some(process) = &mut self.process else { return };
        match translate::tick(process.node.machine().state(), quote, FEED, process.cursor + 1) {
            Some(tick) => {
                process.cursor += 1;
                self.inbox.push(Input::Tick(tick));
            }
            None => {
                process.early.retain(|known| known.instrument != quote.instrument);
                process.early.push(*quote);
            }
        }
    }

    /// Frames that the exchange made leave for the socket that is open now.
    fn frames(&mut self) {
        let ledger = &self.exchange.ledger;
        let judged = self.oracle.exchange(ledger);
        self.check(judged);
        for text in std::mem::take(&mut self.exchange.frames) {
            if !self.connected {
                continue;
            }
            let mut draw = self.message();
            if self.meets(Class::Drop, &mut draw) {
                self.say(|| "a frame is lost".to_owned());
                continue;
            }
            let mut pause = draw.between(5 * MILLI, 60 * MILLI);
            let late = self.meets(Class::Delay, &mut draw) || self.meets(Class::Reorder, &mut draw);
            if late {
                pause = draw.scaled(50 * MILLI, 20_000 * MILLI);
            }
            let connection = self.connection;
            if self.meets(Class::Reorder, &mut draw) {
                let again = pause + draw.scaled(MILLI, 8_000 * MILLI);
                self.put(self.now + again, Happening::Frame { connection, text: text.clone() });
            }
            self.put(self.now + pause, Happening::Frame { connection, text });
        }
    }

    fn connect(&mut self, epoch: u64) {
        if epoch != self.epoch || self.process.is_none() {
            return;
        }
        let closed = self.now < self.socket_until || self.now < self.away_until;
        if closed {
            return self.put(self.now + 2 * SECOND, Happening::Connect { epoch });
        }
        self.connected = true;
        if let Some(process) = &self.process {
            process.rest.shared.forget_told();
        }
        self.say(|| "the user socket is open".to_owned());
        self.hear(vec![Heard::Connected(Socket::User)]);
    }

    // Calls.

    fn arrive(&mut self, epoch: u64, number: u64, method: Method, body: &str) {
        let mut draw = self.message();
        let away = self.now < self.away_until;
        let write = is_write(method);
        let back = self.now + self.travel(&mut draw);
        if away {
            let reply = page(503);
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        if !write && self.meets(Class::ReadFail, &mut draw) {
            let reply = page(draw.of(&[500, 502, 504]));
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        let lag = if self.meets(Class::Lag, &mut draw) { draw.scaled(10 * MILLI, 4_000 * MILLI) } else { 0 };
        let hidden =
            if self.faults && self.line.mask.has(Class::Hidden) { self.knobs.hidden_ms * MILLI } else { 0 };
        let answer = self.exchange.serve(self.now, body.as_bytes(), Sight { lag, hidden });
        if write {
            let (status, code) = (answer.status, code_of(&answer.body));
            self.say(|| format!("the exchange hears {method}: HTTP {status}, code {code}"));
        }
        if self.meets(Class::LostReply, &mut draw) {
            if write {
                self.say(|| format!("the answer to {method} is lost"));
            }
            return;
        }
        if self.meets(Class::Garbage, &mut draw) {
            let reply = match draw.below(3) {
                0 => page(502),
                1 => Reply { status: 200, body: b"{\"id\":".to_vec() },
                _ => {
                    Reply { status: 500, body: b"{\"id\":-1,\"method\":\"ERROR\",\"code\":9010001}".to_vec() }
                }
            };
            return self.put(back, Happening::Reply { epoch, number, reply });
        }
        let reply = Reply { status: answer.status, body: answer.body.into_bytes() };
        self.put(back, Happening::Reply { epoch, number, reply });
    }

    fn answered(&mut self, epoch: u64, number: u64, answer: Result<Reply, Silence>) {
        if epoch != self.epoch || self.process.as_ref().is_none_or(|p| !p.owners.contains_key(&number)) {
            return;
        }
        post::answer(number, answer);
        self.poll_owner(number);
    }

    fn poll_owner(&mut self, number: u64) {
        let owner = self.process.as_mut().and_then(|process| process.owners.remove(&number));
        if let Some(task) = owner {
            self.poll(task);
        }
    }

    fn spawn(&mut self, task: Task) -> u64 {
        self.tasks += 1;
        let number = self.tasks;
        if let Some(process) = &mut self.process {
            process.tasks.insert(number, task);
        }
        self.poll(number);
        number
    }

    /// Lets a task go on until it waits; what it asked for is on its way.
    fn poll(&mut self, number: u64) {
        let Some(process) = &mut self.process else { return };
        let Some(task) = process.tasks.get_mut(&number) else { return };
        let mut context = Context::from_waker(Waker::noop());
        let done = matches!(task.as_mut().poll(&mut context), Poll::Ready(()));
        if done {
            process.tasks.remove(&number);
            if let Some(token) = process.lookups.remove(&number) {
                process.looked_for.remove(&token);
            }
            if process.full == Some(number) {
                process.full = None;
            }
        }
        for want in post::wants() {
            self.want(number, want);
        }
        self.listen();
        let next = self.process.as_mut().filter(|p| p.full.is_none()).and_then(|p| p.waiting.pop_front());
        if let Some(ask) = next {
            self.ask(ask);
        }
    }

    fn want(&mut self, task: u64, want: Want) {
        let epoch = self.epoch;
        match want {
            Want::Sleep { number, lasts } => {
                self.own(number, task);
                let ns = i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX);
                self.put(self.now + ns, Happening::Wake { epoch, number });
            }
            Want::Call { number, method, body } => {
                self.own(number, task);
                let deadline = std::time::Duration::from_secs(10);
                let silence = Silence::Late(deadline);
                self.put(self.now + 10 * SECOND, Happening::Silent { epoch, number, silence });
                let mut draw = self.message();
                let write = is_write(method);
                if self.meets(Class::LostRequest, &mut draw) {
                    if write {
                        self.say(|| format!("a {method} is lost on its way"));
                    }
                    return;
                }
                let pause = self.travel(&mut draw);
                if write && self.meets(Class::Duplicate, &mut draw) {
                    let again = pause + self.travel(&mut draw);
                    self.say(|| format!("a {method} will arrive twice"));
                    // Nobody waits for the second answer.
                    let second = Happening::Arrive { epoch: u64::MAX, number, method, body: body.clone() };
                    self.put(self.now + again, second);
                }
                self.put(self.now + pause, Happening::Arrive { epoch, number, method, body });
            }
        }
    }

    fn own(&mut self, number: u64, task: u64) {
        if let Some(process) = &mut self.process {
            process.owners.insert(number, task);
        }
    }

    fn listen(&mut self) {
        let heard = self.process.as_ref().map(|process| process.rest.shared.take()).unwrap_or_default();
        self.hear(heard);
    }

    fn hear(&mut self, heard: Vec<Heard>) {
        for one in heard {
            let Some(process) = &self.process else { return };
            if let Told::Input(input) = translate::told(process.node.machine().state(), one) {
                self.inbox.push(*input);
            }
        }
    }

    fn ask(&mut self, ask: Ask) {
        let Some(process) = &mut self.process else { return };
        let rest = Rc::clone(&process.rest);
        match ask {
            Ask::Place { .. } | Ask::Cancel { .. } => {
                self.spawn(Box::pin(async move { rest.write(ask).await }));
            }
            Ask::LookUp(asked) => {
                if process.looked_for.insert(asked.token) {
                    let number = self.tasks + 1;
                    process.lookups.insert(number, asked.token);
                    self.spawn(Box::pin(async move { rest.look_up(asked).await }));
                }
            }
            Ask::Snapshot { number, scope, trades_from, ours } => {
                let whole = scope == Scope::Full;
                if whole && process.full.is_some() {
                    return process.waiting.push_back(Ask::Snapshot { number, scope, trades_from, ours });
                }
                if whole {
                    process.full = Some(self.tasks + 1);
                }
                self.spawn(Box::pin(async move { rest.snapshot(number, scope, trades_from, &ours).await }));
            }
            Ask::Instruments | Ask::Account => {}
        }
    }

    // The engine.

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

    fn step(&mut self, inputs: &[Input]) {
        let Some(process) = &mut self.process else { return };
        self.steps += 1;
        let wall = Timestamp((self.now + self.ahead).max(process.node.time().0));
        let audit = self.faults && Draw::keyed(self.line.seed, 7, self.steps).one_in(1024);
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
        let sampled = unsynced == 0 && Draw::keyed(self.line.seed, 8, durable).one_in(8);
        if sampled {
            self.digests.insert(durable, process.node.machine().digest());
        }
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
        if self.line.mask.has(Class::DiskFull) {
            let reserve_only = process.node.reserve_only();
            if reserve_only != process.reserve_only {
                process.reserve_only = reserve_only;
                self.inbox.push(Input::JournalSpace { reserve_only });
            }
        }
        self.protected();
        if !images.is_empty() {
            self.audit(&images, before);
        }
        for effect in effects {
            self.perform(&effect);
        }
    }

    fn perform(&mut self, effect: &Effect) {
        if let Effect::Place(place) = effect {
            self.stats.orders += 1;
            let left = self.oracle.leaves(&self.disk, place);
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
            if instrument.held().is_negative() {
                let words = format!("{} holds {}", instrument.spec.name, instrument.held());
                return self.break_rule("S8", words);
            }
        }
    }

    // Dying and starting.

    fn died(&mut self, why: &str) {
        let dying = self.dying.take().unwrap_or(Dying { cut: None, nested: Vec::new(), down: 5 * SECOND });
        let how = if dying.cut.is_some() { "the power fails" } else { "the process dies" };
        let why = why.to_owned();
        self.say(|| format!("{how}: {why}"));
        self.stats.crash_points += 1;
        self.process = None;
        self.connected = false;
        self.connection += 1;
        self.epoch += 1;
        self.inbox.clear();
        let _ = post::wants();
        self.timer = i64::MAX;
        self.disk = match dying.cut {
            Some(cut) => self.disk.power_cut(cut),
            None => self.disk.kill(),
        };
        let down = dying.down;
        // What is left of it is how the next starts end.
        self.dying = (!dying.nested.is_empty()).then_some(dying);
        self.put(self.now + down, Happening::Boot);
    }

    fn config(&self) -> (Config, Limits) {
        let config = Config { segment_bytes: self.knobs.segment_bytes, ..Config::default() };
        let limits = Limits {
            unsynced_max: self.knobs.unsynced_max,
            checkpoint_records: self.knobs.checkpoint_records,
        };
        (config, limits)
    }

    fn boot(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.stats.starts += 1;
        let nested = match &mut self.dying {
            Some(dying) if self.faults && self.line.mask.has(Class::Nested) => dying.nested.pop(),
            Some(_) | None => None,
        };
        if let Some(after) = nested {
            self.disk.crash_after(after);
        } else {
            self.dying = None;
        }
        let (config, limits) = self.config();
        let engine = Engine::new(self.settings.clone());
        let expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
        let opened = match Node::open(engine, self.disk.clone(), expect, config, limits) {
            Err(aegis_node::OpenError::Journal(aegis_journal::OpenError::NoJournal)) => {
                let engine = Engine::new(self.settings.clone());
                let identity =
                    Identity { journal_id: [7; 16], schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
                Node::create(engine, self.disk.clone(), identity, config, limits).map(|node| (node, None))
            }
            opened => opened.map(|(node, report)| (node, Some(report))),
        };
        let (node, report) = match opened {
            Ok(opened) if !self.disk.crashed() => opened,
            Ok(_) => return self.died("again while it started"),
            Err(_) if self.disk.crashed() => return self.died("again while it recovered"),
            Err(error) => {
                let excused = self.faults
                    && [Class::SyncFail, Class::DiskFull].iter().any(|class| self.line.mask.has(*class));
                if excused {
                    let words = error.to_string();
                    self.say(|| format!("the engine does not start: {words}"));
                    self.disk = self.disk.kill();
                    return self.put(self.now + 20 * SECOND, Happening::Boot);
                }
                return self.break_rule("S4", format!("the journal does not open: {error}"));
            }
        };
        let recovered = self.oracle.recovered(&self.disk, self.durable);
        self.check(recovered);
        let lsn = node.machine().state().lsn.0;
        self.durable = lsn;
        self.digests.retain(|at, _| *at <= lsn);
        let digest = node.machine().digest();
        if self.digests.get(&lsn).is_some_and(|known| *known != digest) {
            return self.break_rule("S6", format!("at record {lsn} the state is not what it was"));
        }
        let folded = folded(&self.oracle.events);
        if folded != digest {
            let checkpoint = report.as_ref().and_then(|report| report.checkpoint);
            let rule = if checkpoint.is_some() { "S7" } else { "S6" };
            return self.break_rule(rule, format!("at record {lsn} the fold of the stored bytes differs"));
        }
        if node.lost().is_some() {
            return self.break_rule("S20", "records are called lost, and nothing rotted".to_owned());
        }
        self.start(node);
    }

    fn start(&mut self, node: Node<Engine, MemStorage>) {
        self.openings += 1;
        self.epoch += 1;
        let state = node.machine().state();
        let lsn = state.lsn;
        let ours = translate::ours(state);
        let cursor = state.feeds.get(&FEED).map_or(0, |seen| seen.cursor);
        let created = state.journal.mode.is_none().then_some(JournalCreated {
            mode: Mode::Live,
            installation: 0xa1_b2c3_d4e5,
            quote: Label::literal("USDT"),
        });
        clock::set(self.now, self.ahead);
        let rest = Rc::new(Rest::new(Rc::new(Shared::new(&ours)), Rc::clone(&self.signer)));
        self.process = Some(Process {
            node,
            rest,
            tasks: BTreeMap::new(),
            owners: BTreeMap::new(),
            looked_for: BTreeSet::new(),
            lookups: BTreeMap::new(),
            full: None,
            waiting: VecDeque::new(),
            cursor,
            reserve_only: false,
            early: Vec::new(),
        });
        self.say(|| format!("the engine starts behind record {lsn}"));
        let run = u32::try_from(Draw::keyed(self.line.seed, 9, u64::from(self.openings)).bits() >> 32);
        self.inbox.push(Input::Opened(Opened {
            created,
            run: run.unwrap_or(self.openings),
            version: Label::literal("sim"),
            config_digest: [0; 32],
            seed: Some(self.line.seed),
            settings: Vec::new(),
            gap: None,
        }));
        let epoch = self.epoch;
        self.put(self.now + 200 * MILLI, Happening::Instruments { epoch });
        self.put(self.now + 1200 * MILLI, Happening::Connect { epoch });
        self.put(self.now + 30 * SECOND, Happening::Mark { epoch });
    }

    /// Crashes between any two operations of one step, each recovered, and again between any two of its recovery.
    fn audit(&mut self, images: &[MemStorage], durable: u64) {
        let mut draw = Draw::keyed(self.line.seed, 6, self.steps);
        for image in images {
            image.disk_full(false);
            image.fail_sync(0);
            let dead = if draw.one_in(2) {
                image.fork()
            } else {
                image.fork().power_cut(PowerCut { seed: draw.bits(), torn: self.knobs.torn })
            };
            let mut at = draw.below(8);
            loop {
                let disk = dead.fork();
                disk.crash_after(at);
                let opened = self.opens(&disk);
                self.stats.crash_points += 1;
                let crashed = disk.crashed();
                drop(opened);
                let again = if draw.one_in(2) {
                    disk.kill()
                } else {
                    disk.power_cut(PowerCut { seed: draw.bits(), torn: self.knobs.torn })
                };
                match self.opens(&again) {
                    Ok(digest) => {
                        let (records, _) = crate::tape::scan(&again);
                        let held = self.oracle.prefix(&records, durable);
                        self.check(held);
                        let stored = self.oracle.events.get(..records.len());
                        if stored.is_some_and(|events| folded(events) != digest) {
                            self.break_rule("S6", format!("after {} records", records.len()));
                        }
                    }
                    Err(why) => self.break_rule("S4", format!("a crash image does not open: {why}")),
                }
                if !crashed || self.violation.is_some() {
                    break;
                }
                at += 1 + draw.below(3);
            }
            if self.violation.is_some() {
                return;
            }
        }
    }

    /// Opens a disk as the engine does; the digest of what is there.
    fn opens(&self, disk: &MemStorage) -> Result<[u8; 32], String> {
        let (config, limits) = self.config();
        let expect = Expect { journal_id: None, schema: ENGINE_SCHEMA, mode: Mode::Live.number() };
        let engine = || Engine::new(self.settings.clone());
        match Node::open(engine(), disk.clone(), expect, config, limits) {
            Ok((node, _)) => Ok(node.machine().digest()),
            Err(aegis_node::OpenError::Journal(aegis_journal::OpenError::NoJournal)) => Ok(engine().digest()),
            Err(error) => Err(error.to_string()),
        }
    }

    // Acts.

    fn command(&mut self, command: Command) {
        self.inbox.push(Input::Command { by: Label::literal("alice"), command });
    }

    fn signal(&mut self, instrument: usize, up: bool) {
        self.signals += 1;
        self.inbox.push(Input::Signal(SignalIn {
            source: Label::literal("oracle"),
            position: self.signals,
            instrument: self.markets[instrument].name,
            direction: if up { Direction::Up } else { Direction::Down },
            confidence: Rate::new(9, 1),
            at: Timestamp(self.now + self.ahead),
            horizon_ns: 300 * SECOND,
        }));
    }

    fn act(&mut self, at: usize) {
        let (_, number, act) = self.acts[at].clone();
        self.say(|| format!("act {number}: {act:?}"));
        let name = |at: usize| self.markets[at].name;
        match act {
            Act::Signal { instrument, up } => self.signal(instrument, up),
            Act::Open { instrument, units } => {
                let unit = self.markets[instrument].factor * 40;
                let quantity = Quantity::new(units * unit, LISTED[instrument].2);
                self.command(Command::Open { instrument: name(instrument), quantity, stop: None });
            }
            Act::Close { instrument } => self.command(Command::Close { instrument: name(instrument) }),
            Act::AdjustStop { instrument, below_bp, loosen } => {
                let market = &self.markets[instrument];
                let stop = market.price - market.price * below_bp / 10_000;
                let stop = Price::new(stop - stop % market.factor, 2);
                self.command(Command::AdjustStop { instrument: name(instrument), stop, loosen });
            }
            Act::Halt => self.command(Command::Halt { reason: Text::new("alice halts") }),
            Act::Enable => self.command(Command::Enable),
            Act::Flatten => self.command(Command::Flatten),
            Act::Release { instrument } => self.command(Command::Release { instrument: name(instrument) }),
            Act::Manual { instrument, buy, share } => self.manual(instrument, buy, share),
            Act::ManualCancel => {
                let rows = self.exchange.venue.open_rows();
                if let Some(row) = rows.first() {
                    let venue_order = row.venue_order;
                    self.exchange.step(self.now, &VenueInput::ManualCancel { venue_order });
                }
                let triggers = self.exchange.venue.trigger_rows(Timestamp::EPOCH);
                if let Some(row) = triggers.iter().find(|row| row.waits) {
                    self.exchange.step(self.now, &VenueInput::CancelTrigger { trigger: row.trigger });
                }
            }
            Act::Foreign { instrument, buy, away_bp } => {
                let market = &self.markets[instrument];
                let away = market.price * away_bp / 10_000 + market.factor;
                let price = if buy { market.price - away } else { market.price + away };
                let price = Price::new(price - price % market.factor, 2);
                let quantity = Quantity::new(market.factor * 60, LISTED[instrument].2);
                let kind = OrderKind::Limit { price, time_in_force: TimeInForce::GoodTillCancel };
                let side = if buy { Side::Buy } else { Side::Sell };
                let input = VenueInput::Manual { instrument: name(instrument), side, kind, quantity };
                self.exchange.step(self.now, &input);
            }
            Act::Flow { asset, share } => self.flow(asset, share),
            Act::Maintenance { seconds } => {
                self.away_until = self.now + seconds * SECOND;
                self.close_socket(0);
            }
            Act::TickSize { instrument, factor, minimum } => {
                self.markets[instrument].factor = factor;
                self.markets[instrument].minimum = minimum;
                let listed = self.listed();
                self.exchange.step(self.now, &VenueInput::List(listed));
                let epoch = self.epoch;
                self.put(self.now + 20 * SECOND, Happening::Instruments { epoch });
            }
            Act::Clock { milliseconds } => self.ahead = milliseconds * MILLI,
            Act::Jump { instrument, bp } => {
                let market = &mut self.markets[instrument];
                market.price = (market.price + market.price * bp / 10_000).max(LISTED[instrument].1 / 100);
            }
            Act::Freeze { seconds } => self.frozen_until = self.now + seconds * SECOND,
            Act::CloseSocket { seconds } => self.close_socket(seconds),
            Act::Crash { after, cut, nested, down_s } => {
                let cut = cut.map(|seed| PowerCut { seed, torn: self.knobs.torn });
                self.dying = Some(Dying { cut, nested, down: down_s * SECOND });
                self.disk.crash_after(after);
            }
            Act::Stop { down_s } => {
                let dying = Dying { cut: None, nested: Vec::new(), down: down_s * SECOND };
                if let Some(process) = self.process.take() {
                    self.dying = Some(dying);
                    match process.node.close() {
                        Ok(_) => self.died("a clean stop"),
                        Err(fault) => self.died(&fault.to_string()),
                    }
                }
            }
            Act::FailSync { nth, down_s } => {
                self.disk.fail_sync(nth);
                self.dying = Some(Dying { cut: None, nested: Vec::new(), down: down_s * SECOND });
            }
            Act::DiskFull { seconds } => {
                self.disk.disk_full(true);
                self.put(self.now + seconds * SECOND, Happening::DiskEmpty);
            }
        }
        if self.process.is_none() {
            self.inbox.clear();
        }
    }

    fn close_socket(&mut self, seconds: i64) {
        self.socket_until = self.now + seconds * SECOND;
        self.connected = false;
        self.connection += 1;
        let epoch = self.epoch;
        self.put(self.now + seconds * SECOND + SECOND, Happening::Connect { epoch });
    }

    fn manual(&mut self, instrument: usize, buy: bool, share: i64) {
        let name = self.markets[instrument].name;
        let digits = LISTED[instrument].2;
        let tick = Quantity::new(self.markets[instrument].factor, digits);
        let quantity = if buy {
            Quantity::new(self.markets[instrument].factor * share, digits)
        } else {
            let held = self.exchange.venue.state().holding(Label::lossy(LISTED[instrument].0));
            let free = held.and_then(|held| held.available().ok()).unwrap_or_default();
            let part = free.scaled(Rate::new(share, 2), Rounding::Floor).unwrap_or_default();
            part.to_tick(tick, Rounding::Floor).unwrap_or_default()
        };
        let side = if buy { Side::Buy } else { Side::Sell };
        let input = VenueInput::Manual { instrument: name, side, kind: OrderKind::Market, quantity };
        self.exchange.step(self.now, &input);
    }

    fn flow(&mut self, asset: usize, share: i64) {
        let name = asset.checked_sub(1).map_or("USDT", |at| LISTED[at % LISTED.len()].0);
        let label = Label::lossy(name);
        let held = self.exchange.venue.state().holding(label).map(|held| held.total).unwrap_or_default();
        let part = held.scaled(Rate::new(share, 2), Rounding::Floor).unwrap_or_default();
        let quantity = if part.is_zero() { Quantity::new(share.abs().max(1), 2) } else { part };
        self.fund(label, quantity);
    }

    // The end.

    fn quiet(&mut self) {
        self.say(|| "the faults end".to_owned());
        self.faults = false;
        self.away_until = 0;
        self.frozen_until = 0;
        self.disk.disk_full(false);
        self.disk.fail_sync(0);
        self.exchange.reject_in_answer = true;
        if let Some(dying) = &mut self.dying {
            dying.nested.clear();
        }
        // The process is restarted, as somebody would; whatever is armed to crash it is gone.
        if self.process.is_some() {
            self.dying = Some(Dying { cut: None, nested: Vec::new(), down: SECOND });
            self.died("restarted at the end of the faults");
        } else {
            self.disk = self.disk.kill();
            self.put(self.now + SECOND, Happening::Boot);
        }
    }

    fn end(&mut self) {
        if self.process.is_none() {
            return self.break_rule("L1", "the engine is not running".to_owned());
        }
        if self.options.canary && !self.canary_done {
            self.canary_done = true;
            self.fund(Label::literal("BTC"), Quantity::new(1, 2));
        }
        let holdings: Vec<_> = self.exchange.venue.state().holdings().copied().collect();
        let shown = holdings.iter().enumerate().map(|(at, held)| (at as u16 + 1, held.total.0.units()));
        let held = self.oracle.adds_up(shown);
        self.check(held);
        let found = self.live();
        self.check(found);
        let undelivered = self.oracle.undelivered();
        if let Some(first) = undelivered.first() {
            self.break_rule("L5", format!("message {first} was never delivered"));
        }
    }

    /// L1 to L4.
    fn live(&self) -> Result<(), Violation> {
        let broken = |rule: &'static str, words: String| Err(Violation { rule, words });
        let Some(process) = &self.process else { return Ok(()) };
        let state = process.node.machine().state();
        for order in state.orders.values() {
            if order.status == aegis_model::order::OrderStatus::Unknown {
                return broken("L1", format!("order {} is unknown", order.client));
            }
        }
        let venue = &self.exchange.venue;
        for (at, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(u32::try_from(at).unwrap_or(0));
            let Some(asset) = state.asset(instrument.spec.base) else { continue };
            let there = venue.state().holding(asset.name).map(|held| held.total).unwrap_or_default();
            let known = instrument.held().0.units()
                + instrument.dust.quantity.0.units()
                + asset.quarantined.0.units();
            let difference = (there.0.units() - known).abs();
            if difference > instrument.spec.quantity_tick.0.units() {
                let words = format!(
                    "{}: {there} is there, known are {} held, {} dust, {} quarantined",
                    asset.name,
                    instrument.held(),
                    instrument.dust.quantity,
                    asset.quarantined
                );
                return broken("L2", words);
            }
            let open = instrument.is_open();
            let alarmed = state.alarms.keys().any(|(_, about)| *about == Some(id));
            // Below the minimum no stop is taken.
            let stop = instrument.protection.as_ref().map(|protection| protection.stop).unwrap_or_default();
            let small = !instrument.spec.sellable(instrument.held(), stop);
            let leaving = small || instrument.exit_wanted.is_some() || instrument.blind.is_some();
            if open && !alarmed && !leaving && self.settings.guarding != Guarding::Engine {
                let waits = venue.trigger_rows(Timestamp::EPOCH).into_iter();
                let resting = waits
                    .filter(|row| row.waits && row.instrument == instrument.spec.name)
                    .any(|row| row.client.is_some());
                if !resting {
                    return broken("L3", format!("{} has no stop at the exchange", instrument.spec.name));
                }
            }
        }
        let halted = &state.trading.halted;
        let ordered = halted.as_ref().is_none_or(|halt| halt.by.as_str() == "alice");
        if !ordered && state.alarms.is_empty() {
            return broken("L4", "halted, and nobody knows why".to_owned());
        }
        Ok(())
    }
}

fn folded(events: &[aegis_model::Event]) -> [u8; 32] {
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(event));
    state.digest()
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
