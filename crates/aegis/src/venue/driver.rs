//! Where prices come from: a seeded random walk, a recorded market, or nothing but what the control endpoint says.
//!
//! Market time may run faster than ours; when the next point is due is told in ours. The walk is counted, not
//! remembered: a point follows from the seed, the instrument and its number, in whole ticks and never in floats.

use crate::config::Pace;
use crate::exit::Failure;
use crate::market::{Market, Next, Stream};
use crate::venue::board::{Point, mix, ordinary};
use crate::venue::clock::span;
use aegis_cryptocom::words::Side;
use aegis_model::input::ListedInstrument;
use aegis_model::{Fixed, InstrumentId, Label, Price, Quantity, Rounding, Tick, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The shortest time between two rounds of the walk.
const ROUND_MIN: Duration = Duration::from_millis(1);
/// Minutes of the walk that candles are shown of from before the start.
const MINUTES_BEFORE: i64 = 300;

/// A point for the machine and the board.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    /// The instrument.
    pub(crate) name: Label,
    /// What it shows.
    pub(crate) point: Point,
    /// The recorded tick, if it is one: with its own feed and cursor.
    pub(crate) tick: Option<Tick>,
    /// Market time.
    pub(crate) at: Timestamp,
}

/// The source of prices.
pub(crate) enum Driver {
    /// Nothing by itself.
    Silent,
    /// A walk.
    Walk(Walk),
    /// A record.
    Recorded(Box<Recorded>),
}

impl Driver {
    /// When the next point is due; none when there is none by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Driver::Silent => None,
            Driver::Walk(walk) => Some(walk.next),
            Driver::Recorded(recorded) => recorded.next.as_ref().map(|(at, _)| *at),
        }
    }

    /// The points that are due now. `guarded` are the prices of an instrument at which something waits.
    pub(crate) fn points(&mut self, now: Instant, guarded: impl Fn(Label) -> Vec<Price>) -> Vec<Due> {
        match self {
            Driver::Silent => Vec::new(),
            Driver::Walk(walk) if walk.next <= now => walk.round(now),
            Driver::Recorded(recorded) => recorded.take(now, guarded).into_iter().collect(),
            Driver::Walk(_) => Vec::new(),
        }
    }

    /// Market time of a wall time.
    pub(crate) fn market_time(&self, wall: Timestamp) -> Timestamp {
        match self {
            Driver::Silent => wall,
            Driver::Walk(walk) => walk.at,
            Driver::Recorded(recorded) => recorded.at,
        }
    }

    /// Stops moving an instrument, or lets it move again from a price.
    pub(crate) fn hold(&mut self, name: Label, held: bool, price: Option<Price>) {
        if let Driver::Walk(walk) = self {
            if held {
                walk.held.insert(name);
            } else {
                walk.held.remove(&name);
            }
            if let Some(path) = walk.paths.iter_mut().find(|path| path.spec.name == name) {
                path.price = price.unwrap_or(path.price);
            }
        }
    }

    /// Whether it shows an instrument at all.
    pub(crate) fn shows(&self, name: Label) -> bool {
        match self {
            Driver::Silent => false,
            Driver::Walk(_) => true,
            Driver::Recorded(recorded) => recorded.names.contains(&name),
        }
    }

    /// Whether an instrument moves by itself.
    pub(crate) fn moves(&self, name: Label) -> bool {
        match self {
            Driver::Silent => false,
            Driver::Walk(walk) => !walk.held.contains(&name),
            Driver::Recorded(recorded) => recorded.next.is_some(),
        }
    }
}

/// One instrument of the walk.
struct Path {
    spec: ListedInstrument,
    start: Price,
    price: Price,
    number: u64,
}

/// A random walk of every instrument.
pub(crate) struct Walk {
    seed: u64,
    paths: Vec<Path>,
    held: BTreeSet<Label>,
    next: Instant,
    every: Duration,
    step_ns: i64,
    at: Timestamp,
}

impl Walk {
    /// A walk from these prices. One point of all instruments comes every `step_ns` of market time.
    pub(crate) fn new(
        seed: u64,
        from: Vec<(ListedInstrument, Price)>,
        step_ns: i64,
        pace: Pace,
        now: Timestamp,
    ) -> Walk {
        let path = |(spec, price): (ListedInstrument, Price)| Path { spec, start: price, price, number: 0 };
        Walk {
            seed,
            paths: from.into_iter().map(path).collect(),
            held: BTreeSet::new(),
            next: Instant::now(),
            every: pace.lasts(step_ns).max(ROUND_MIN),
            step_ns,
            at: now,
        }
    }

    /// Points from before the start, for candles only: one a minute, the last of them at the walk's beginning.
    pub(crate) fn before(&mut self) -> Vec<Due> {
        let minute = 60 * aegis_model::ids::SECOND;
        let now = self.at;
        let mut all = Vec::new();
        for n in (1..=MINUTES_BEFORE).rev() {
            let at = now.after(-n * minute);
            all.extend(self.paths.iter_mut().map(|path| path.step(self.seed, at)));
        }
        all
    }

    fn round(&mut self, now: Instant) -> Vec<Due> {
        self.at = self.at.after(self.step_ns);
        self.next += self.every;
        if self.next < now {
            // A machine that slept goes on from now; it does not catch up.
            self.next = now + self.every;
        }
        let (seed, at, held) = (self.seed, self.at, &self.held);
        let moving = self.paths.iter_mut().filter(|path| !held.contains(&path.spec.name));
        moving.map(|path| path.step(seed, at)).collect()
    }
}

impl Path {
    fn step(&mut self, seed: u64, at: Timestamp) -> Due {
        self.number += 1;
        let name = self.spec.name;
        let named = name.as_bytes().iter().fold(seed, |sum, byte| mix(sum ^ u64::from(*byte)));
        let draw = mix(named ^ self.number);
        let tick = self.spec.price_tick;
        // Steps of up to three twenty-thousandths.
        let unit = self.price.0.times(Fixed::new(5, 5), Rounding::HalfEven).map(Price);
        let unit = unit.and_then(|unit| unit.to_tick(tick, Rounding::Ceil)).unwrap_or(tick);
        let steps = Fixed::from_int(i64::try_from(draw % 7).unwrap_or(3) - 3);
        let moved = unit.0.times(steps, Rounding::HalfEven).and_then(|by| self.price.0.plus(by)).map(Price);
        let (least, most) = (Fixed::new(25, 2), Fixed::from_int(4));
        let within = |price: &Price| {
            let bound = |by: Fixed| self.start.0.times(by, Rounding::HalfEven).unwrap_or(self.start.0);
            price.is_positive() && price.0 >= bound(least) && price.0 <= bound(most)
        };
        self.price = moved.ok().filter(within).unwrap_or(self.price);
        let spread = Fixed::from_int(1 + i64::try_from(draw >> 16 & 3).unwrap_or(0) % 3);
        let ask = tick
            .0
            .times(spread, Rounding::Ceil)
            .and_then(|by| self.price.0.plus(by))
            .map_or(self.price, Price);
        let size = |bits: u64, parts: i64| {
            let eighths = Fixed::from_int(1 + i64::try_from(bits % 16).unwrap_or(0));
            let whole = ordinary(self.price, self.spec.quantity_tick);
            let part = whole.0.times_over(eighths, Fixed::from_int(parts), Rounding::Ceil).map(Quantity);
            let part = part.and_then(|part| part.to_tick(self.spec.quantity_tick, Rounding::Ceil));
            part.unwrap_or(whole)
        };
        let taker = if draw >> 40 & 1 == 0 { Side::Buy } else { Side::Sell };
        let traded = if taker == Side::Buy { ask } else { self.price };
        let trade = (draw >> 41 & 1 == 0).then(|| (traded, size(draw >> 44, 200), taker));
        let point = Point {
            bid: Some((self.price, Some(size(draw >> 20, 8)))),
            ask: Some((ask, Some(size(draw >> 28, 8)))),
            trade,
            last: None,
        };
        Due { name, point, tick: None, at }
    }
}

/// A recorded market.
pub(crate) struct Recorded {
    stream: Stream,
    pace: Pace,
    began: Option<(Instant, Timestamp)>,
    next: Option<(Instant, Due)>,
    at: Timestamp,
    specs: BTreeMap<Label, ListedInstrument>,
    /// Whose points it has.
    names: BTreeSet<Label>,
}

impl Recorded {
    /// A record, taken up right after `from`.
    ///
    /// # Errors
    /// [`Failure`] when it has no such place.
    pub(crate) fn new(
        market: Market,
        specs: BTreeMap<Label, ListedInstrument>,
        from: Option<&Tick>,
        pace: Pace,
    ) -> Result<Recorded, Failure> {
        let numbers: BTreeMap<Label, InstrumentId> =
            specs.keys().enumerate().map(|(n, name)| (*name, InstrumentId(n as u32 + 1))).collect();
        let at = market.begins();
        let names = market.names();
        let stream = market.stream(&numbers, from)?;
        let mut recorded = Recorded { stream, pace, began: None, next: None, at, specs, names };
        recorded.advance(&[]);
        Ok(recorded)
    }

    fn advance(&mut self, levels: &[Price]) {
        self.next = None;
        while let Some(next) = self.stream.next(levels) {
            let Next::Point(point) = next else { continue };
            let (began, first) = *self.began.get_or_insert((Instant::now(), point.now));
            let after = self.pace.lasts(point.now.0.saturating_sub(first.0));
            let due = self.due(&point);
            self.next = Some((began + after, due));
            return;
        }
        tracing::info!("the recorded market has ended; its last prices stand");
    }

    /// A recorded point as the board shows it: a feed without quotes is quoted around its last price.
    fn due(&self, point: &crate::market::Point) -> Due {
        let Tick { bid, ask, last, bid_quantity, ask_quantity, .. } = point.tick;
        let spec = self.specs.get(&point.name);
        let mut tick = point.tick;
        let shown = match (bid, ask, last) {
            (None, None, Some(last)) if self.stream.guarded().is_some() => {
                let step = spec.map_or(Price::ZERO, |spec| spec.price_tick);
                let size = spec.map(|spec| ordinary(last, spec.quantity_tick));
                let above = last.plus(step).unwrap_or(last);
                (tick.bid, tick.ask) = (Some(last), Some(above));
                (tick.bid_quantity, tick.ask_quantity) = (size, size);
                Point { bid: Some((last, size)), ask: Some((above, size)), trade: None, last: Some(last) }
            }
            (None, None, Some(last)) => {
                let size = spec.map_or(Quantity::ZERO, |spec| spec.quantity_tick);
                Point { trade: Some((last, size, Side::Buy)), ..Point::default() }
            }
            (_, _, _) => Point {
                bid: bid.map(|price| (price, bid_quantity)),
                ask: ask.map(|price| (price, ask_quantity)),
                trade: None,
                last,
            },
        };
        Due { name: point.name, point: shown, tick: Some(tick), at: point.now }
    }

    fn take(&mut self, now: Instant, guarded: impl Fn(Label) -> Vec<Price>) -> Option<Due> {
        self.next.as_ref().filter(|(at, _)| *at <= now)?;
        let (_, due) = self.next.take()?;
        self.at = due.at;
        let levels = guarded(due.name);
        self.advance(&levels);
        Some(due)
    }
}

/// How long to wait for something that is due at `at`, at most `most` ns.
pub(crate) fn wait(at: Option<Instant>, most: i64) -> Duration {
    let most = span(most);
    at.map_or(most, |at| at.saturating_duration_since(Instant::now()).min(most))
}
