//! One act from its opening to its end or to a stop: resume what was under way, then one market point after another,
//! each finished by both nodes before the next is shown.
//!
//! ```text
//! E = the engine's last recorded point   P = the venue's   R = the later of both
//! before R   finished by both: shown for memory only
//! R          the venue finished it; the engine did if E = R, else it is given now, after the opening
//! behind R   the walk goes on
//! ```

use crate::config::{Act, Config, Pace};
use crate::control::words::{Ask, Reply};
use crate::control::{Desk, Heard, Request};
use crate::exit::Failure;
use crate::ids::Draw;
use crate::market::{self, FEED, Market, Next, Point, Stream};
#[cfg(feature = "forensics")]
use crate::precedent::Precedents;
use crate::progress::Bar;
use crate::run::VenueSummary;
use crate::signals::{Recorded, Signals};
use crate::world::{Kill, World};
use aegis_journal::{DirStorage, Storage};
use aegis_model::event::{GapFound, JournalCreated};
use aegis_model::ids::DAY;
use aegis_model::input::{Opened, SignalIn};
use aegis_model::{Candle, Input, InstrumentId, Label, Lsn, Mode, Price, Text, Tick, Timestamp};
use aegis_paper::{Created, VenueInput};
use aegis_signal::Strategy;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

/// Candles that a memory holds at most.
const WINDOW_MAX: i64 = 200_000;
/// Candles that the engine itself may look back on.
const WINDOW_MIN: i64 = 600;
/// Points between two looks at the progress line.
const PROGRESS_EVERY: u64 = 256;
/// Idleness after which the journals are marked.
const IDLE: Duration = Duration::from_secs(1);

/// How an act ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    /// The market has no more points.
    Complete,
    /// Somebody or something asked it to stop.
    Stopped(&'static str),
}

/// What a played act leaves, beside its journals.
pub(crate) struct Played {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Points shown by this process.
    pub(crate) points: u64,
    /// Records appended by this process, both nodes.
    pub(crate) records: u64,
    /// Syncs made by this process, both nodes.
    pub(crate) syncs: u64,
    /// How long it took.
    pub(crate) took: Duration,
    /// The engine's state at the end.
    pub(crate) engine: aegis_projection::State,
    /// The venue's figures.
    pub(crate) venue: VenueSummary,
}

/// How an act is played.
pub(crate) struct Script<'a> {
    /// The act.
    pub(crate) act: &'a Act,
    /// Everything set.
    pub(crate) config: &'a Config,
    /// Random bits.
    pub(crate) draw: Draw,
    /// Points after which to stop.
    pub(crate) stop_after: Option<u64>,
    /// Where to be killed.
    pub(crate) kill: Option<Kill>,
    /// Whether a progress line may be drawn.
    pub(crate) progress: bool,
}

/// The act's settings with what only its market tells, and with the market's digest among what is recorded.
pub(crate) fn with_market(act: &Act, market: &Market, digest: Text) -> Result<Act, Failure> {
    let mut act = priced(act, market)?;
    let at = act.recorded.partition_point(|(key, _)| key.as_str() < market::DIGEST_KEY);
    act.recorded.insert(at, (Text::new(market::DIGEST_KEY), digest));
    Ok(act)
}

/// The act's settings with what its market tells of prices.
pub(crate) fn priced(act: &Act, market: &Market) -> Result<Act, Failure> {
    let mut act = act.clone();
    act.engine.price_age_ns.insert(FEED, market.price_age(act.price_age)?);
    if market.is_last_price() {
        act.engine.last_price_feeds.insert(FEED);
    }
    Ok(act)
}

/// Names of an act's instruments.
pub(crate) fn names(act: &Act) -> Vec<Label> {
    act.instruments.iter().map(|i| i.name).collect()
}

/// BLAKE3 of what is set.
pub(crate) fn config_digest(recorded: &[(Text, Text)]) -> [u8; 32] {
    let mut digest = blake3::Hasher::new();
    for (key, value) in recorded {
        digest.update(key.as_str().as_bytes());
        digest.update(b"=");
        digest.update(value.as_str().as_bytes());
        digest.update(b"\n");
    }
    *digest.finalize().as_bytes()
}

/// A run under way.
struct Play<'a, S: Storage = DirStorage> {
    script: &'a Script<'a>,
    world: World<S>,
    window: VecDeque<Candle>,
    window_max: usize,
    interval_ns: i64,
    signals: Signals,
    points: u64,
    last: Option<Point>,
}

/// Plays an act.
///
/// # Errors
/// [`Failure`]; the journals are as a crash would leave them.
pub(crate) fn play(script: &Script<'_>, market: Market, desk: &mut Option<Desk>) -> Result<Played, Failure> {
    let started = Instant::now();
    let dir = script.config.data.join(&script.act.name);
    let (world, gap) = World::open(&dir, script.act, script.config, &script.draw, script.kill)?;
    if desk.is_none() {
        // The journals are ours from here on, and so is the socket.
        *desk = Some(Desk::open(&script.config.data, script.config.control)?);
    }
    let signals = Signals::open(&script.act.signals, script.config.pace)?;
    let mut play = Play::new(script, world, signals, &market);
    let ended = play.through(market, gap, desk.as_ref(), None)?;
    let why = match ended {
        Ended::Complete => "end of data",
        Ended::Stopped(why) => why,
    };
    play.world.stop(Label::lossy(why))?;
    play.finish(ended, why, started)
}

/// Plays what a journal recorded beside its market, up to a bound, on nodes that are given. The next part goes on where it
/// ended, as after a crash; the last one stops cleanly. Gives back what has not arrived yet.
///
/// # Errors
/// [`Failure`].
#[cfg(feature = "forensics")]
pub(crate) fn play_part<S: Storage>(
    script: &Script<'_>,
    world: World<S>,
    market: Market,
    signals: Signals,
    bound: Bound,
    last: bool,
) -> Result<(Signals, Option<Box<Precedents>>), Failure> {
    let mut play = Play::new(script, world, signals, &market);
    play.through(market, None, None, Some(bound))?;
    if last {
        play.world.stop(Label::literal("end of the record"))?;
    }
    let signals = std::mem::replace(&mut play.signals, Signals::recorded(VecDeque::new()));
    let precedents = play.world.take_precedents();
    play.world.engine.close()?;
    play.world.venue.close()?;
    Ok((signals, precedents))
}

/// The last that is shown of a market.
#[cfg_attr(not(feature = "forensics"), allow(dead_code))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    /// The point of the feed with this place and all before; what was recorded before this record.
    Record {
        /// The place.
        place: u64,
        /// The record.
        lsn: Lsn,
    },
    /// What is not younger.
    Time(Timestamp),
    /// What is older.
    Before(Timestamp),
}

impl Bound {
    fn is_past(self, point: &Point) -> bool {
        match self {
            Bound::Record { place, .. } => point.tick.cursor > place,
            Bound::Time(at) => point.now > at,
            Bound::Before(at) => point.now >= at,
        }
    }

    /// Whether what was recorded then lies within it.
    pub(crate) fn has(self, at: Timestamp, lsn: Lsn) -> bool {
        match self {
            Bound::Record { lsn: end, .. } => lsn < end,
            Bound::Time(end) => at <= end,
            Bound::Before(end) => at < end,
        }
    }
}

impl<S: Storage> Play<'_, S> {
    fn new<'a>(script: &'a Script<'a>, world: World<S>, signals: Signals, market: &Market) -> Play<'a, S> {
        let interval_ns = market.interval_ns().unwrap_or(DAY);
        let window_max = window(&script.act.strategies, interval_ns);
        Play {
            script,
            world,
            window: VecDeque::new(),
            window_max,
            interval_ns,
            signals,
            points: 0,
            last: None,
        }
    }

    /// From the opening to the end of the market, to its bound or to a stop.
    fn through(
        &mut self,
        market: Market,
        gap: Option<GapFound>,
        desk: Option<&Desk>,
        bound: Option<Bound>,
    ) -> Result<Ended, Failure> {
        let (begins, length) = (market.begins(), market.length());
        let mut stream = self.begin(market, begins, gap)?;
        let shown = self.script.progress && self.script.config.pace == Pace::Fast;
        let bar = if shown { Bar::new(&self.script.act.name, length) } else { Bar::hidden() };
        let ended = self.walk(&mut stream, desk, bound, &bar)?;
        // What was recorded behind the last point still arrives.
        self.deliver_recorded(u64::MAX, bound)?;
        // What happens may lead to more of it.
        while let Some(at) = self.world.last_recorded() {
            self.world.clock(at)?;
            self.world.answers(at, Lsn(u64::MAX))?;
        }
        Ok(ended)
    }

    fn finish(self, ended: Ended, why: &str, started: Instant) -> Result<Played, Failure> {
        tracing::info!("stopped: {why}");
        let engine = self.world.engine.machine().state().clone();
        let venue = VenueSummary::of(self.world.venue.machine(), &engine);
        let a = self.world.engine.close()?;
        let b = self.world.venue.close()?;
        Ok(Played {
            ended,
            points: self.points,
            records: a.records + b.records,
            syncs: a.syncs + b.syncs,
            took: started.elapsed(),
            engine,
            venue,
        })
    }

    /// Opens, resumes, and brings both nodes to the end of the last point that either had recorded.
    fn begin(&mut self, market: Market, begins: Timestamp, gap: Option<GapFound>) -> Result<Stream, Failure> {
        let act = self.script.act;
        self.world.now = self.world.now.max(begins);
        let engine_at = self.world.engine.machine().state().feeds.get(&FEED).map(|seen| seen.tick());
        let venue_at = self.venue_position();
        let resume = [engine_at, venue_at].into_iter().flatten().max_by_key(|tick| tick.cursor);
        let new = self.world.venue.machine().state().account().is_none();
        let opening = [
            VenueInput::Open {
                created: new.then_some(Created { account: act.account }),
                version: Label::lossy(env!("CARGO_PKG_VERSION")),
            },
            VenueInput::List(act.instruments.clone()),
            VenueInput::Fund { id: Label::literal("initial"), asset: act.quote, quantity: act.fund },
        ];
        let Some(at) = resume else {
            self.world.venue_hears(&opening)?;
            self.world.follow_record()?;
            self.open(gap)?;
            return market.stream(&self.numbers(), None);
        };
        let stream = market.stream(&self.numbers(), Some(&at))?;
        let finished = engine_at.is_some_and(|tick| tick.cursor >= at.cursor);
        let point =
            stream.point(&at).ok_or_else(|| Failure::bug("the recorded point is not in the stream"))?;
        let closed = self.warm(&stream, &point, finished)?;
        self.world.now = self.world.now.max(point.now);
        self.world.venue_hears(&opening)?;
        self.world.follow_record()?;
        self.open(gap)?;
        self.last = Some(point);
        if !finished {
            self.world.tell(vec![Input::Tick(point.tick)])?;
        }
        if let Some((id, candle)) = closed {
            self.closed(id, candle)?;
        }
        Ok(stream)
    }

    /// Refills memories; gives back the candle that closed with the point, which is still to be delivered.
    fn warm(
        &mut self,
        stream: &Stream,
        at: &Point,
        finished: bool,
    ) -> Result<Option<(InstrumentId, Candle)>, Failure> {
        let mut steps = stream.warmup(&at.tick, self.window_max + 2);
        let closed_at = |step: &Next| match step {
            Next::Closed(id, candle) => Some((*id, *candle)),
            Next::Point(_) => None,
        };
        // A candle's own close is its last cursor, so a candle that closes last closed with the point itself.
        let ends_candle = stream.guarded().is_some() && at.tick.cursor % 64 == 63;
        let closed = if ends_candle { steps.last().and_then(closed_at) } else { None };
        if closed.is_some() {
            steps.pop();
        }
        for step in &steps {
            match step {
                Next::Point(point) => self.world.warm(point, true)?,
                Next::Closed(id, candle) => {
                    self.remember(*candle);
                    let now = self.world.engine.time();
                    let effects = self.world.engine.step(now, &[Input::CandleClosed(*id, *candle)])?;
                    if !effects.is_empty() {
                        return Err(Failure::bug("a candle shown for memory led to an effect"));
                    }
                }
            }
        }
        self.world.warm(at, finished)?;
        Ok(closed)
    }

    /// The venue's last recorded point in the engine's numbering.
    fn venue_position(&self) -> Option<Tick> {
        let venue = self.world.venue.machine();
        let seen = venue.feed_position(FEED)?;
        let name = venue.state().instrument_name(seen.instrument)?;
        let instrument = self.world.engine.machine().state().find_instrument(&name)?;
        Some(Tick { instrument, ..seen })
    }

    fn numbers(&self) -> BTreeMap<Label, InstrumentId> {
        let state = self.world.engine.machine().state();
        names(self.script.act).into_iter().filter_map(|n| Some((n, state.find_instrument(&n)?))).collect()
    }

    /// The engine's opening, and all that follows from it: lookups, comparison, missing stops.
    fn open(&mut self, gap: Option<GapFound>) -> Result<(), Failure> {
        let act = self.script.act;
        let draw = &self.script.draw;
        let journal = &self.world.engine.machine().state().journal;
        let created = match journal.mode {
            Some(_) => None,
            None => Some(JournalCreated {
                mode: Mode::Paper,
                installation: draw.installation()?,
                quote: act.quote,
            }),
        };
        let opened = Opened {
            created,
            run: draw.run(journal.openings)?,
            version: Label::lossy(env!("CARGO_PKG_VERSION")),
            config_digest: config_digest(&act.recorded),
            seed: draw.seed(),
            settings: act.recorded.clone(),
            gap,
        };
        self.world.tell(vec![Input::Opened(opened)])?;
        self.world.tell(vec![Input::Instruments(act.instruments.clone())])
    }

    /// The market, point by point.
    fn walk(
        &mut self,
        stream: &mut Stream,
        desk: Option<&Desk>,
        bound: Option<Bound>,
        bar: &Bar,
    ) -> Result<Ended, Failure> {
        let pace = self.script.config.pace;
        let (clock, origin) = (Instant::now(), self.world.now);
        loop {
            if self.script.stop_after.is_some_and(|most| self.points >= most) {
                return Ok(Ended::Stopped("--stop-after"));
            }
            let levels = self.levels(stream);
            let Some(next) = stream.next(&levels) else { return Ok(Ended::Complete) };
            match next {
                Next::Point(point) => {
                    if bound.is_some_and(|bound| bound.is_past(&point)) {
                        return Ok(Ended::Complete);
                    }
                    let due = pace.lasts(point.now.since(origin));
                    if let Some(desk) = desk
                        && let Some(stop) = self.wait(desk, clock, due)?
                    {
                        return Ok(Ended::Stopped(stop));
                    }
                    self.deliver_recorded(point.tick.cursor, bound)?;
                    self.deliver_signals(point.now)?;
                    self.world.clock(point.now)?;
                    self.world.show(&point)?;
                    self.last = Some(point);
                    self.points += 1;
                    if self.points.is_multiple_of(PROGRESS_EVERY) {
                        self.show_progress(stream, &point, bar);
                    }
                }
                Next::Closed(id, candle) => self.closed(id, candle)?,
            }
        }
    }

    /// Prices inside a candle at which something acts: stops where it falls, take-profits where it rises.
    fn levels(&self, stream: &Stream) -> Vec<Price> {
        let Some(id) = stream.guarded() else { return Vec::new() };
        let (stop, take_profit) = self.world.engine.machine().guard_levels(id);
        if stream.falls() { stop } else { take_profit }.into_iter().collect()
    }

    /// Answers requests until the next point is due; the signal's name when the process is asked to end.
    fn wait(&mut self, desk: &Desk, clock: Instant, due: Duration) -> Result<Option<&'static str>, Failure> {
        let mut marked = false;
        loop {
            let left = due.saturating_sub(clock.elapsed());
            let wait = if marked { left } else { left.min(IDLE) };
            match desk.hear(wait) {
                Heard::Stop(signal) => return Ok(Some(signal)),
                Heard::Request(request) => {
                    self.answer(request)?;
                    marked = false;
                }
                Heard::Nothing if left.is_zero() => return Ok(None),
                Heard::Nothing if !marked && left > IDLE => {
                    self.world.mark()?;
                    marked = true;
                }
                Heard::Nothing => {}
            }
        }
    }

    fn answer(&mut self, request: Request) -> Result<(), Failure> {
        let reply = match request.ask.command() {
            Ok(None) if matches!(request.ask, Ask::Reconcile {}) => {
                Reply::refused("this run plays on an exchange of its own and compares by itself")
            }
            Err(what) => Reply::refused(what),
            Ok(None) => {
                let state = self.world.engine.machine().state();
                Reply {
                    ok: true,
                    text: String::new(),
                    status: crate::status::of(&self.script.act.name, state),
                }
            }
            Ok(Some(command)) => self.world.command(request.by, command)?,
        };
        // Whoever asked may have gone.
        let _ = request.reply.send(reply);
        Ok(())
    }

    fn deliver_signals(&mut self, until: Timestamp) -> Result<(), Failure> {
        while let Some((at, input)) = self.signals.due(self.world.now, until) {
            self.world.clock(at)?;
            self.world.now = self.world.now.max(at);
            self.world.tell(vec![input])?;
        }
        Ok(())
    }

    /// What a journal recorded as having arrived before the feed was at a place. What arrived at the time of the last
    /// point followed it at once: no timer came between.
    fn deliver_recorded(&mut self, before: u64, bound: Option<Bound>) -> Result<(), Failure> {
        self.world.next_place(before, bound);
        let within = |r: &Recorded| bound.is_none_or(|b| b.has(r.at, r.lsn));
        while let Some(next) = self.signals.recorded_before(before, within) {
            if next.at > self.world.now {
                self.world.clock_before(next.at, next.lsn)?;
                self.world.now = self.world.now.max(next.at);
            } else {
                self.world.answers(next.at, next.lsn)?;
            }
            self.world.tell_recorded(next.lsn, next.input)?;
        }
        Ok(())
    }

    fn remember(&mut self, candle: Candle) {
        if self.window.len() == self.window_max {
            self.window.pop_front();
        }
        self.window.push_back(candle);
    }

    /// A candle closed: the engine is told, and each strategy whose turn it is speaks.
    fn closed(&mut self, id: InstrumentId, candle: Candle) -> Result<(), Failure> {
        let closes = candle.open_time.after(self.interval_ns);
        let day_ended = self
            .window
            .back()
            .is_some_and(|last| last.open_time.after(self.interval_ns).utc_day() < closes.utc_day());
        self.remember(candle);
        self.world.tell(vec![Input::CandleClosed(id, candle)])?;
        let Some(point) = self.last else { return Ok(()) };
        for strategy in &self.script.act.strategies {
            let candles = self.window.make_contiguous();
            let forecast = if strategy.interval_ns() >= DAY && self.interval_ns < DAY {
                if !day_ended {
                    continue;
                }
                strategy.forecast(&aegis_signal::days(candles, closes))
            } else {
                let from = candles.len().saturating_sub(strategy.candles());
                strategy.forecast(&candles[from..])
            };
            let Some(forecast) = forecast else { continue };
            let signal = SignalIn {
                source: Label::lossy(strategy.name()),
                position: point.tick.cursor,
                instrument: point.name,
                direction: forecast.direction,
                confidence: forecast.confidence,
                at: self.world.now,
                horizon_ns: strategy.interval_ns().max(self.interval_ns),
            };
            self.world.tell(vec![Input::Signal(signal)])?;
        }
        Ok(())
    }

    fn show_progress(&self, stream: &Stream, point: &Point, bar: &Bar) {
        if bar.is_hidden() {
            return;
        }
        let state = self.world.engine.machine().state();
        let open = state.instruments.iter().filter(|i| i.is_open()).count();
        let said = format!(
            "{} open {open} closed {} profit {:.2}",
            crate::text::clock(point.now).chars().take(16).collect::<String>(),
            state.totals.closed,
            state.totals.realised
        );
        bar.reached(stream.place(point.tick.cursor), said);
    }
}

/// Candles that the longest memory needs.
fn window(strategies: &[Strategy], interval_ns: i64) -> usize {
    let longest = strategies
        .iter()
        .map(|s| {
            let candles = i64::try_from(s.candles()).unwrap_or(WINDOW_MAX).saturating_add(2);
            if s.interval_ns() >= DAY { candles.saturating_mul((DAY / interval_ns).max(1)) } else { candles }
        })
        .max()
        .unwrap_or(0);
    usize::try_from(longest.clamp(WINDOW_MIN, WINDOW_MAX)).unwrap_or(usize::MAX)
}

/// Whether a stopped act has nothing left to play.
pub(crate) fn is_complete(
    state: &aegis_projection::State,
    act: &Act,
    market: Market,
) -> Result<bool, Failure> {
    let Some(seen) = state.feeds.get(&FEED).filter(|_| state.journal.stopped) else { return Ok(false) };
    let numbers = names(act).into_iter().filter_map(|n| Some((n, state.find_instrument(&n)?))).collect();
    let mut stream = market.stream(&numbers, Some(&seen.tick()))?;
    Ok(stream.next(&[]).is_none())
}

/// The directory of one of an act's journals.
pub(crate) fn dir_of(data: &Path, act: &str, room: &str) -> std::path::PathBuf {
    data.join(act).join(room)
}
