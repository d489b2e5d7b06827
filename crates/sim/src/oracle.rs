//! What must hold, judged from bytes and facts alone: the journal as it is stored, and the exchange's own ledger.
//!
//! It folds facts with a few maps and whole numbers of its own and calls nothing of the product that decides or folds.
//! Each rule carries the number that it has in the design of faults: S for what must hold always, L for what must hold
//! once the faults are over.

use crate::plan::{Class, Mask};
use crate::tape::{self, Raw, Tail};
use aegis_journal::{MemStorage, Storage as _};
use aegis_model::event::FillSource;
use aegis_model::input::Place;
use aegis_model::order::{LookupAnswer, OrderEnd};
use aegis_model::protection::StopCause;
use aegis_model::{Actor, Event, Fact, Label, Lsn, Purpose, Quantity, RecordHead, Side, Timestamp};
use aegis_paper::{VenueEvent, VenueFact};
use aegis_projection::State;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A rule that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which rule, such as `S4`.
    pub rule: &'static str,
    /// What was seen.
    pub words: String,
}

/// The rules that are checked, each with what it says.
pub const RULES: &[(&str, &str)] = &[
    ("S1", "an order that leaves has its intent on the platter"),
    ("S2", "one entry at a time for an instrument, and none while an outcome there is unknown"),
    ("S3", "an intent has one client order id, and an id one content"),
    ("S4", "what was durable is there after any crash"),
    ("S5", "what is recovered is a prefix of what was appended, to the byte"),
    ("S6", "the state after a start is the fold of the stored bytes, and the live state at that record"),
    ("S7", "a checkpoint with its tail gives the same state"),
    ("S8", "no balance is below zero; what is held is what the fills, fees and corrections make"),
    ("S9", "at the exchange cash and coins add up to the last digit"),
    ("S10", "each trade counts once, and no trade is booked that did not happen"),
    ("S11", "what is held is protected, on its way out, or alarmed"),
    ("S12", "a stop is never loosened unless a person says so"),
    ("S13", "orders keep to tick, step and minimum, and sells to what is there"),
    ("S14", "behind a halt no entry is intended or leaves"),
    ("S15", "no entry beyond the limits on positions, on an entry's size and on the day's loss"),
    ("S16", "an order found absent is absent"),
    ("S17", "orders of others are left alone"),
    ("S18", "nothing is corrected where nothing moved from outside"),
    ("S19", "records are numbered without gaps and their times do not fall"),
    ("S20", "rot of durable records is never read as a shorter journal"),
    ("S21", "a journal has one writer: a second engine is turned away and changes nothing"),
    (
        "S22",
        "the engine rests between its timers, asks little of an exchange that is away, and piles nothing up",
    ),
    ("S23", "what strangers say changes nothing and brings nothing about"),
    ("S24", "no record holds the secret of the account"),
    ("S25", "an error is never told as an empty answer"),
    ("L1", "no outcome is unknown"),
    ("L2", "the fold holds what the exchange holds"),
    ("L3", "what is held has its stop where it belongs"),
    ("L4", "a halt that nobody ordered has an alarm"),
    ("L5", "every message was delivered"),
    ("L6", "a start takes no longer than its records need"),
];

/// What signs requests, and stands nowhere else.
pub(crate) const SECRET: &str = "a secret of the simulator";

/// Records between two places from which images of crashes are read again.
const RUNG: u64 = 64;

/// Folds kept: crashes of one step leave few different ends.
const ASKED_MAX: usize = 4;

/// Sells in a row that may be refused as too small.
const TOO_SMALL_MAX: u32 = 3;

/// How far an entry may exceed its budget, since prices move while it is decided: one part in so many.
const BUDGET_SLACK: i128 = 20;
/// A day, ns.
const DAY_NS: i64 = 86_400_000_000_000;
/// Units of an amount of one.
const ONE: i128 = 1_000_000_000_000_000_000;
/// What coins may be worth together that count as none, and what a day's loss may exceed its limit by for them.
const CRUMBS: i128 = 5 * ONE;

/// The limits that people set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Positions and entries at once.
    pub(crate) positions: usize,
    /// Of an entry by signals, in units.
    pub(crate) budget: i128,
    /// Of a day's loss, in units.
    pub(crate) loss: Option<i128>,
}

/// One order as the journal's facts tell it.
#[derive(Clone, Debug)]
struct Known {
    instrument: u32,
    entry: bool,
    ended: bool,
    unknown: bool,
    not_sent: bool,
}

/// One order as the exchange's ledger tells it; conditional ones are numbered behind [`TRIGGERS`].
#[derive(Clone, Debug)]
struct Theirs {
    client: Option<Label>,
    ours: bool,
    buy: bool,
    instrument: u32,
    accepted: bool,
}

/// Where the oracle numbers conditional orders.
const TRIGGERS: u64 = 1_000_000_000;

/// What the stored facts say, folded by the oracle.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    installation: u64,
    time: i64,
    orders: BTreeMap<u64, Known>,
    clients: BTreeMap<u64, Label>,
    fills: BTreeSet<(u32, Label)>,
    stops: BTreeMap<u32, i128>,
    halted: bool,
    /// Instruments whose newest entry was decided by signals.
    by_signal: BTreeSet<u32>,
    /// Messages and when they were queued.
    queued: BTreeMap<u64, i64>,
    delivered: BTreeSet<u64>,
}

impl View {
    /// Instruments but this one that are held or about to be.
    fn exposed(&self, but: u32) -> usize {
        let entries = self.orders.values().filter(|order| order.entry && !order.ended);
        let mut all: BTreeSet<u32> = entries.map(|order| order.instrument).collect();
        all.extend(self.stops.keys());
        all.remove(&but);
        all.len()
    }
}

/// The product's fold of the first events.
struct Folded {
    count: usize,
    state: State,
    digest: Option<[u8; 32]>,
}

/// The oracle.
pub(crate) struct Oracle {
    mask: Mask,
    bounds: Bounds,
    tail: Tail,
    hashes: Vec<u64>,
    pub(crate) events: Vec<Event>,
    /// Places between batches, each some records behind the one before.
    rungs: Vec<Tail>,
    /// The product's fold of so many events: what a fold of more begins with.
    folded: (usize, State),
    /// Folds that were asked for, the newest ones.
    asked: VecDeque<Folded>,
    /// How far the platter was read, and the orders whose intents it has: instrument, side and quantity by number and run.
    platter: Tail,
    intents: BTreeMap<(u64, u32), (Side, Quantity)>,
    pub(crate) view: View,
    sent: BTreeMap<Label, Place>,
    judged: usize,
    trades: BTreeMap<u64, (u32, bool, i128, i128)>,
    /// The last traded price of each instrument, what was paid in, and when the first of it was.
    prices: BTreeMap<u32, i128>,
    paid_in: i128,
    began: i64,
    balances: BTreeMap<u16, i128>,
    exchange_orders: BTreeMap<u64, Theirs>,
    spawned: BTreeSet<u64>,
    instruments: BTreeMap<u32, (u16, u16)>,
    /// Sells in a row that were refused as too small, by instrument.
    too_small: BTreeMap<u32, u32>,
    /// A person halted, the answer came, and nobody has enabled since.
    pub(crate) halted: bool,
    /// Facts of the journal seen so far.
    pub(crate) facts: u64,
}

/// A sum over all that a record says, eight bytes at a time.
fn hash(raw: &Raw) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |word: u64| {
        sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 29;
    };
    let small = u64::from(raw.kind) << 16 | u64::from(raw.version) << 8 | u64::from(raw.actor);
    [raw.lsn, raw.time.cast_unsigned(), raw.cause, small, raw.payload.len() as u64]
        .into_iter()
        .for_each(&mut eat);
    for part in raw.payload.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        eat(u64::from_le_bytes(word));
    }
    sum
}

fn broken<T>(rule: &'static str, words: impl Into<String>) -> Result<T, Violation> {
    Err(Violation { rule, words: words.into() })
}

fn event_of(raw: &Raw) -> Result<Event, Violation> {
    let head = RecordHead {
        kind: raw.kind,
        version: raw.version,
        actor: raw.actor,
        time: Timestamp(raw.time),
        cause: Lsn(raw.cause),
    };
    Event::decode(head, &raw.payload)
        .map_err(|e| Violation { rule: "S5", words: format!("record {} cannot be read: {e}", raw.lsn) })
}

impl Oracle {
    pub(crate) fn new(mask: Mask, bounds: Bounds) -> Oracle {
        Oracle {
            mask,
            bounds,
            tail: Tail::default(),
            hashes: Vec::new(),
            events: Vec::new(),
            rungs: Vec::new(),
            folded: (0, State::default()),
            asked: VecDeque::new(),
            platter: Tail::default(),
            intents: BTreeMap::new(),
            view: View::default(),
            sent: BTreeMap::new(),
            judged: 0,
            trades: BTreeMap::new(),
            prices: BTreeMap::new(),
            paid_in: 0,
            began: 0,
            balances: BTreeMap::new(),
            exchange_orders: BTreeMap::new(),
            spawned: BTreeSet::new(),
            instruments: BTreeMap::new(),
            too_small: BTreeMap::new(),
            halted: false,
            facts: 0,
        }
    }

    fn outside(&self) -> bool {
        [Class::Manual, Class::Foreign, Class::Flows].iter().any(|class| self.mask.has(*class))
    }

    /// How many records are stored.
    pub(crate) fn stored(&self) -> u64 {
        self.hashes.len() as u64
    }

    /// Records appended by a step.
    pub(crate) fn appended(&mut self, disk: &MemStorage) -> Result<(), Violation> {
        for raw in self.tail.follow(&disk.reader(), true) {
            self.facts += 1;
            self.take(&raw)?;
        }
        Ok(())
    }

    fn take(&mut self, raw: &Raw) -> Result<(), Violation> {
        self.behind(self.stored(), raw)?;
        let event = event_of(raw)?;
        self.hashes.push(hash(raw));
        self.rise(raw);
        let judged = self.judge(&event);
        self.fold(&event);
        self.events.push(event);
        judged
    }

    /// What is asked of the bytes of any record behind so many.
    fn behind(&mut self, before: u64, raw: &Raw) -> Result<(), Violation> {
        if raw.lsn != before + 1 || raw.time < self.view.time {
            return broken("S19", format!("record {} behind {before}", raw.lsn));
        }
        self.view.time = raw.time;
        // The first byte is compared by itself: most do not fit.
        let secret = SECRET.as_bytes();
        if raw.payload.windows(secret.len()).any(|bytes| bytes[0] == secret[0] && bytes == secret) {
            return broken("S24", format!("record {} holds the secret", raw.lsn));
        }
        Ok(())
    }

    fn rise(&mut self, raw: &Raw) {
        if raw.last && self.rungs.last().map_or(0, |rung| rung.lsn) + RUNG <= raw.lsn {
            self.rungs.push(raw.behind);
        }
    }

    /// What a start finds: `durable` records must be there, and all of it was appended before.
    pub(crate) fn recovered(&mut self, disk: &MemStorage, durable: u64) -> Result<(), Violation> {
        let (all, tail) = tape::scan(&disk.reader());
        self.prefix(0, &all, durable)?;
        // Each record is what was appended, and so says what it said then.
        self.hashes.truncate(all.len());
        self.events.truncate(all.len());
        self.asked.clear();
        self.rungs.clear();
        self.view = View::default();
        self.tail = tail;
        if self.folded.0 > all.len() {
            self.folded = (0, State::default());
        }
        self.platter = Tail::default();
        self.intents.clear();
        let events = std::mem::take(&mut self.events);
        let read = all.iter().zip(&events).enumerate().try_for_each(|(at, (raw, event))| {
            self.behind(at as u64, raw)?;
            self.rise(raw);
            self.fold(event);
            Ok(())
        });
        self.events = events;
        read
    }

    /// S4 and S5 for a list of recovered records behind so many that were not read again.
    pub(crate) fn prefix(&self, before: u64, all: &[Raw], durable: u64) -> Result<(), Violation> {
        let there = before + all.len() as u64;
        if there < durable {
            return broken("S4", format!("{durable} records were durable and {there} are there"));
        }
        for (at, raw) in all.iter().enumerate() {
            if self.hashes.get(before as usize + at) != Some(&hash(raw)) {
                return broken("S5", format!("record {} is not what was appended", raw.lsn));
            }
        }
        Ok(())
    }

    /// S5 for one record as the product reads it.
    pub(crate) fn appended_so(&self, raw: &Raw) -> bool {
        raw.lsn.checked_sub(1).and_then(|at| self.hashes.get(at as usize)) == Some(&hash(raw))
    }

    /// A place between two batches at or before a record, from which an image may be read on.
    pub(crate) fn rung(&self, lsn: u64) -> Tail {
        let at = self.rungs.partition_point(|rung| rung.lsn <= lsn);
        at.checked_sub(1).map_or_else(Tail::default, |at| self.rungs[at])
    }

    /// The product's fold of the first events, with its digest once that was asked for; none when there are not so
    /// many. What is kept of it stays within `durable`, which no crash takes back.
    fn fold_of(&mut self, count: usize, durable: u64) -> Option<&mut Folded> {
        let events = self.events.get(..count)?;
        if let Some(at) = self.asked.iter().position(|folded| folded.count == count) {
            return self.asked.get_mut(at);
        }
        let kept = count.min(durable as usize);
        if kept > self.folded.0 {
            events[self.folded.0..kept].iter().for_each(|event| self.folded.1.apply(event));
            self.folded.0 = kept;
        }
        let (from, mut state) =
            if count >= self.folded.0 { self.folded.clone() } else { (0, State::default()) };
        events[from..].iter().for_each(|event| state.apply(event));
        if self.asked.len() == ASKED_MAX {
            self.asked.pop_front();
        }
        self.asked.push_back(Folded { count, state, digest: None });
        self.asked.back_mut()
    }

    /// The digest of the product's fold of the first events; none when there are not so many.
    pub(crate) fn digest(&mut self, count: usize, durable: u64) -> Option<[u8; 32]> {
        let Folded { state, digest, .. } = self.fold_of(count, durable)?;
        Some(*digest.get_or_insert_with(|| state.digest()))
    }

    /// Whether a state is the product's fold of the first events; none when there are not so many. Equal states have
    /// equal digests, and are compared sooner.
    pub(crate) fn is_fold(&mut self, count: usize, durable: u64, state: &State) -> Option<bool> {
        let same = self.fold_of(count, durable)?.state == *state;
        Some(same || self.digest(count, durable)? == state.digest())
    }

    fn name(&self, order: u64) -> Option<Label> {
        self.view.clients.get(&order).copied()
    }

    /// Rules about one new fact, before it is folded.
    fn judge(&self, event: &Event) -> Result<(), Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "rules are about some facts only")]
        match &event.fact {
            Fact::OrderIntended(fact) => {
                if self.view.orders.contains_key(&fact.order.0) {
                    return broken("S3", format!("order number {} is intended twice", fact.order.0));
                }
                let entry = matches!(fact.purpose, Purpose::Entry);
                if !entry {
                    return Ok(());
                }
                if self.view.halted {
                    return broken("S14", format!("entry {} is intended in a halt", fact.order.0));
                }
                let here = |known: &&Known| known.instrument == fact.instrument.0 && !known.ended;
                if self.view.orders.values().filter(here).any(|known| known.unknown || known.entry) {
                    return broken("S2", format!("entry {} beside one that is not settled", fact.order.0));
                }
                let value =
                    fact.reference.0.units() / 1_000_000_000 * (fact.quantity.0.units() / 1_000_000_000);
                let signalled = self.view.by_signal.contains(&fact.instrument.0);
                if signalled && value > self.bounds.budget + self.bounds.budget / BUDGET_SLACK {
                    return broken("S15", format!("entry {} is beyond its budget", fact.order.0));
                }
                let exposed = self.view.exposed(fact.instrument.0);
                if exposed >= self.bounds.positions {
                    return broken("S15", format!("entry {} beside {exposed} exposures", fact.order.0));
                }
            }
            Fact::OrderResent(fact) => {
                let entry = self.view.orders.get(&fact.order.0).is_some_and(|known| known.entry);
                if entry && self.view.halted {
                    return broken("S14", format!("entry {} goes out again in a halt", fact.order.0));
                }
            }
            Fact::OrderLookedUp(fact) if fact.answer == LookupAnswer::Absent => {
                let name = self.name(fact.order.0);
                if self.exchange_orders.values().any(|order| order.client == name) {
                    return broken("S16", format!("order {} is called absent and exists", fact.order.0));
                }
            }
            Fact::OrderEnded(fact) if fact.end == OrderEnd::NotSent => {
                let name = self.name(fact.order.0);
                if self.exchange_orders.values().any(|order| order.accepted && order.client == name) {
                    return broken("S16", format!("order {} is given up and exists", fact.order.0));
                }
            }
            Fact::FillBooked(fact) => {
                if self.view.fills.contains(&(fact.instrument.0, fact.trade.0)) {
                    return broken("S10", format!("trade {} is booked twice", fact.trade.0));
                }
                let number = fact.trade.0.as_str().parse::<u64>().unwrap_or(0) % 1_000_000_000;
                let buy = fact.side == Side::Buy;
                match self.trades.get(&number) {
                    Some((_, bought, price, quantity))
                        if (*bought, *price, *quantity)
                            == (buy, fact.price.0.units(), fact.quantity.0.units()) => {}
                    Some(_) | None => {
                        return broken("S10", format!("trade {} never happened so", fact.trade.0));
                    }
                }
                if fact.source == FillSource::External && !self.outside() {
                    return broken("S18", format!("trade {} is called external", fact.trade.0));
                }
            }
            Fact::StopMoved(fact) => {
                let before = self.view.stops.get(&fact.instrument.0);
                let lower = before.is_some_and(|before| fact.stop.0.units() < *before);
                if lower && fact.why != StopCause::Commanded {
                    return broken("S12", format!("the stop falls to {}", fact.stop));
                }
            }
            Fact::CorrectionBooked(fact) if !self.outside() => {
                return broken("S18", format!("a correction of {} and nothing moved", fact.quantity));
            }
            Fact::HoldingQuarantined(fact) if !self.outside() && fact.quantity.is_positive() => {
                return broken("S18", format!("{} quarantined and nothing moved", fact.quantity));
            }
            _ => {}
        }
        Ok(())
    }

    fn fold(&mut self, event: &Event) {
        let installation = self.view.installation;
        #[expect(clippy::wildcard_enum_match_arm, reason = "the oracle remembers little")]
        match &event.fact {
            Fact::JournalCreated(fact) => self.view.installation = fact.installation,
            Fact::OrderIntended(fact) => {
                let known = Known {
                    instrument: fact.instrument.0,
                    entry: matches!(fact.purpose, Purpose::Entry),
                    ended: false,
                    unknown: false,
                    not_sent: false,
                };
                self.view.orders.insert(fact.order.0, known);
                let text = format!("{installation:010x}-{:08x}-{}", fact.run, fact.order.0);
                self.view.clients.insert(fact.order.0, Label::lossy(&text));
            }
            Fact::EntryPrepared(fact) if fact.confidence.is_some() => {
                self.view.by_signal.insert(fact.instrument.0);
            }
            Fact::EntryPrepared(fact) => {
                self.view.by_signal.remove(&fact.instrument.0);
            }
            Fact::OrderUnknown(fact) => self.change(fact.order.0, |known| known.unknown = true),
            Fact::OrderAcknowledged(fact) => self.change(fact.order.0, |known| known.unknown = false),
            Fact::OrderResent(fact) => self.change(fact.order.0, |known| known.unknown = false),
            Fact::OrderLookedUp(fact) if fact.answer == LookupAnswer::Present => {
                self.change(fact.order.0, |known| known.unknown = false);
            }
            Fact::OrderRejected(fact) => self.change(fact.order.0, |known| known.unknown = false),
            Fact::OrderEnded(fact) => {
                let not_sent = fact.end == OrderEnd::NotSent;
                self.change(fact.order.0, |known| {
                    known.ended = true;
                    known.unknown = false;
                    known.not_sent = not_sent;
                });
            }
            Fact::FillBooked(fact) => {
                self.view.fills.insert((fact.instrument.0, fact.trade.0));
                self.change(fact.order.0, |known| known.unknown = false);
            }
            Fact::StopArmed(fact) => {
                self.view.stops.insert(fact.instrument.0, fact.stop.0.units());
            }
            Fact::StopMoved(fact) => {
                self.view.stops.insert(fact.instrument.0, fact.stop.0.units());
            }
            Fact::StopRetired(fact) => {
                self.view.stops.remove(&fact.instrument.0);
            }
            Fact::TradingHalted(_) => self.view.halted = true,
            Fact::TradingEnabled(_) => self.view.halted = false,
            Fact::MessageQueued(fact) => {
                self.view.queued.insert(fact.number, self.view.time);
            }
            Fact::MessageDelivered(fact) => {
                self.view.delivered.insert(fact.number);
            }
            _ => {}
        }
    }

    fn change(&mut self, order: u64, how: impl FnOnce(&mut Known)) {
        if let Some(known) = self.view.orders.get_mut(&order) {
            how(known);
        }
    }

    /// S4: what was called durable is on the platter.
    pub(crate) fn on_platter(&mut self, disk: &MemStorage, durable: u64) -> Result<(), Violation> {
        if self.platter.lsn < durable {
            self.read_platter(disk)?;
        }
        let there = self.platter.lsn;
        if there < durable {
            return broken(
                "S4",
                format!("{durable} records were called durable and {there} are on the platter"),
            );
        }
        Ok(())
    }

    /// The platter is read on from where it was read before.
    fn read_platter(&mut self, disk: &MemStorage) -> Result<(), Violation> {
        for raw in self.platter.follow(&disk.platter_reader(), false) {
            if !self.appended_so(&raw) {
                return broken("S5", format!("record {} on the platter is not what was appended", raw.lsn));
            }
            if let Fact::OrderIntended(fact) = event_of(&raw)?.fact {
                self.intents.insert((fact.order.0, fact.run), (fact.side, fact.quantity));
            }
        }
        Ok(())
    }

    /// An order leaves: its intent is on the platter, under this id, with this content; not in a halt.
    pub(crate) fn leaves(&mut self, disk: &MemStorage, durable: u64, place: &Place) -> Result<(), Violation> {
        let name = place.client.label();
        let renamed =
            self.sent.keys().copied().find(|sent| *sent != name && number_of(*sent) == number_of(name));
        if let Some(before) = renamed {
            return broken("S3", format!("{name} is the order that left as {before}"));
        }
        match self.sent.insert(name, *place) {
            Some(before) if before != *place => {
                return broken("S3", format!("{name} left before with another content"));
            }
            Some(_) | None => {}
        }
        if (self.view.halted || self.halted) && place.side == Side::Buy {
            return broken("S14", format!("{name} leaves in a halt"));
        }
        if place.side == Side::Buy {
            self.within_loss(name)?;
        }
        self.on_platter(disk, durable)?;
        let intent = (place.client.order.0, place.client.run);
        if !self.intents.contains_key(&intent) {
            self.read_platter(disk)?;
        }
        match self.intents.get(&intent) {
            Some((side, quantity)) if (*side, *quantity) == (place.side, place.quantity) => Ok(()),
            Some(_) => broken("S1", format!("{name} is not what was intended")),
            None => broken("S1", format!("{name} leaves and its intent is not on the platter")),
        }
    }

    /// S15: the first day's loss by the exchange's own ledger, at a moment when nothing is held there or thought to
    /// be held, so that no price is needed.
    fn within_loss(&self, name: Label) -> Result<(), Violation> {
        let Some(limit) = self.bounds.loss else { return Ok(()) };
        let working = self.view.orders.values().filter(|order| !order.ended).count();
        let first_day = self.view.time / DAY_NS == self.began / DAY_NS;
        if self.outside()
            || self.mask.has(Class::Skew)
            || !first_day
            || working > 1
            || !self.view.stops.is_empty()
        {
            return Ok(());
        }
        let Some((_, quote)) = self.instruments.values().next() else { return Ok(()) };
        let worth = |(instrument, (base, _)): (&u32, &(u16, u16))| {
            let held = self.balances.get(base).copied().unwrap_or_default();
            let price = self.prices.get(instrument).copied().unwrap_or_default();
            held / 1_000_000_000 * (price / 1_000_000_000)
        };
        if self.instruments.iter().map(worth).sum::<i128>() > CRUMBS {
            return Ok(());
        }
        let loss = self.paid_in - self.balances.get(quote).copied().unwrap_or_default();
        if loss > limit + CRUMBS {
            return broken("S15", format!("{name} leaves after a loss of {}", loss / ONE));
        }
        Ok(())
    }

    /// New facts of the exchange.
    pub(crate) fn exchange(&mut self, ledger: &[VenueEvent]) -> Result<(), Violation> {
        while let Some(event) = ledger.get(self.judged) {
            self.judged += 1;
            self.take_exchange(event)?;
        }
        Ok(())
    }

    fn add(&mut self, asset: u16, units: i128) -> Result<(), Violation> {
        let balance = self.balances.entry(asset).or_default();
        *balance += units;
        if *balance < 0 {
            return broken("S8", format!("asset {asset} at the exchange is below zero"));
        }
        Ok(())
    }

    fn take_exchange(&mut self, event: &VenueEvent) -> Result<(), Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the oracle reads what moves money and orders")]
        match &event.fact {
            VenueFact::FundsMoved(fact) => {
                if self.began == 0 {
                    (self.began, self.paid_in) = (event.at.0, fact.quantity.0.units());
                }
                self.add(fact.asset.0, fact.quantity.0.units())?;
            }
            VenueFact::InstrumentListed(fact) => {
                self.instruments.insert(fact.instrument.0, (fact.spec.base.0, fact.spec.quote.0));
            }
            VenueFact::OrderAccepted(fact) => {
                self.arrives(fact.client)?;
                self.know(fact.order, fact.client, fact.side, fact.instrument.0, true);
            }
            VenueFact::TriggerAccepted(fact) => {
                self.arrives(fact.client)?;
                self.know(TRIGGERS + fact.trigger, fact.client, fact.side, fact.instrument.0, true);
            }
            VenueFact::TriggerSent(fact) => {
                self.spawned.insert(fact.order);
                let ours = self.exchange_orders.get(&(TRIGGERS + fact.trigger)).is_some_and(|o| o.ours);
                if let Some(order) = self.exchange_orders.get_mut(&fact.order) {
                    order.ours |= ours;
                }
            }
            VenueFact::OrderRejected(fact) => {
                self.know(fact.order, fact.client, fact.side, fact.instrument.0, false);
                let owned = self.exchange_orders.get(&fact.order).is_some_and(|order| order.ours);
                // A price that falls while a sell is on its way may make it too small; one that is sent again and again
                // was never looked at.
                if owned && fact.side == Side::Sell && fact.code == 415 {
                    let refused = self.too_small.entry(fact.instrument.0).or_default();
                    *refused += 1;
                    if *refused > TOO_SMALL_MAX {
                        return broken(
                            "S13",
                            format!("sells below the minimum, order {} the last", fact.order),
                        );
                    }
                }
                let wrong = matches!(fact.code, 213 | 308) || fact.side == Side::Buy && fact.code == 415;
                if owned && wrong && !self.mask.has(Class::TickSize) {
                    return broken("S13", format!("order {} is refused: {}", fact.order, fact.text));
                }
                if owned && fact.side == Side::Sell && fact.code == 306 && !self.outside() {
                    return broken("S13", format!("order {} sells more than is there", fact.order));
                }
            }
            VenueFact::OrderCancelled(fact) => {
                let owned = self.exchange_orders.get(&fact.order).is_some_and(|order| order.ours);
                if !owned && event.actor != Actor::Operator {
                    return broken("S17", format!("order {} of somebody else is cancelled", fact.order));
                }
            }
            VenueFact::OrderTraded(fact) => {
                let Some(order) = self.exchange_orders.get(&fact.order) else {
                    return broken("S9", format!("trade {} of no order", fact.trade));
                };
                let (buy, instrument) = (order.buy, order.instrument);
                self.too_small.remove(&instrument);
                let (quantity, value) = (fact.quantity.0.units(), fact.value.0.units());
                self.trades.insert(fact.trade, (instrument, buy, fact.price.0.units(), quantity));
                self.prices.insert(instrument, fact.price.0.units());
                let (base, quote) = self.instruments.get(&instrument).copied().unwrap_or_default();
                let sign = if buy { 1 } else { -1 };
                self.move_coins(base, sign * quantity);
                self.move_coins(quote, -sign * value);
                self.move_coins(fact.fee_asset.0, -fact.fee.0.units());
                for asset in [base, quote] {
                    self.add(asset, 0)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn move_coins(&mut self, asset: u16, units: i128) {
        *self.balances.entry(asset).or_default() += units;
    }

    fn know(&mut self, number: u64, client: Option<Label>, side: Side, instrument: u32, accepted: bool) {
        let ours = client.is_some_and(|name| self.sent.contains_key(&name)) || self.spawned.contains(&number);
        self.exchange_orders
            .insert(number, Theirs { client, ours, buy: side == Side::Buy, instrument, accepted });
    }

    fn arrives(&self, client: Option<Label>) -> Result<(), Violation> {
        match client.filter(|name| self.not_sent(*name)) {
            Some(name) => broken("S16", format!("{name} was found absent and given up, and arrives")),
            None => Ok(()),
        }
    }

    /// S9: what the exchange shows is what its ledger adds up to.
    pub(crate) fn adds_up(&self, shown: impl Iterator<Item = (u16, i128)>) -> Result<(), Violation> {
        for (asset, units) in shown {
            let ours = self.balances.get(&asset).copied().unwrap_or_default();
            if ours != units {
                return broken("S9", format!("asset {asset}: the ledger makes {ours}, shown are {units}"));
            }
        }
        Ok(())
    }

    fn not_sent(&self, name: Label) -> bool {
        let number = number_of(name);
        let known = number.and_then(|number| self.view.orders.get(&number));
        known.is_some_and(|known| known.not_sent) && number.and_then(|number| self.name(number)) == Some(name)
    }

    /// Messages that were queued before this time and never delivered.
    pub(crate) fn undelivered(&self, before: i64) -> Vec<u64> {
        let old = self.view.queued.iter().filter(|(_, at)| **at < before).map(|(number, _)| *number);
        old.filter(|number| !self.view.delivered.contains(number)).collect()
    }
}

/// The number of the order in a client order id.
fn number_of(name: Label) -> Option<u64> {
    name.as_str().rsplit('-').next().and_then(|number| number.parse().ok())
}
