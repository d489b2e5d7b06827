//! What a seed means: which faults are on, how the house is set up, and what people and machines do when.
//!
//! Everything is drawn before the world begins, each act from a stream of its own, so that leaving one out leaves the
//! others as they are. A [`Line`] is a seed with what was left out; it is all that is needed to see a run again.

use crate::draw::Draw;
use std::fmt;
use std::str::FromStr;

macro_rules! classes {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal,)+) => {
        /// A class of faults, on or off for a whole run.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum Class { $($(#[doc = $doc])* $name,)+ }

        impl Class {
            /// All of them.
            pub const ALL: &'static [Class] = &[$(Class::$name,)+];

            /// In a word.
            pub const fn word(self) -> &'static str {
                match self { $(Class::$name => $word,)+ }
            }
        }
    };
}

classes! {
    /// A request is lost on its way.
    LostRequest "lost requests",
    /// The exchange acts and its answer is lost.
    LostReply "lost replies",
    /// Calls and frames take up to longer than the nonce window.
    Delay "delays",
    /// A request arrives twice.
    Duplicate "duplicates",
    /// Frames overtake each other or come twice.
    Reorder "reordered reports",
    /// Frames are lost.
    Drop "dropped reports",
    /// Pages of a gateway and codes without meaning.
    Garbage "unknown outcomes",
    /// Reads fail.
    ReadFail "failed reads",
    /// Reads show what was so some seconds ago, each its own.
    Lag "lagging reads",
    /// New orders are hidden for a while.
    Hidden "hidden orders",
    /// Orders that are not ours rest and go.
    Foreign "foreign orders",
    /// The owner trades by hand and cancels our orders.
    Manual "manual trades",
    /// Deposits and withdrawals.
    Flows "deposits and withdrawals",
    /// The exchange is away for minutes.
    Maintenance "maintenance",
    /// Ticks and minimums change.
    TickSize "tick sizes",
    /// The machine's clock is off, and set.
    Skew "clock skew",
    /// Little is shown at the touch.
    Partial "partial fills",
    /// Prices jump.
    Wild "wild prices",
    /// Prices stand still and unseen for minutes.
    Frozen "frozen feed",
    /// The socket is closed and opened again.
    Socket "closed sockets",
    /// The process is killed, between any two operations of the disk.
    Kill "kills",
    /// The power fails.
    PowerCut "power cuts",
    /// And again while it recovers.
    Nested "crashes in recovery",
    /// A sync fails.
    SyncFail "failing syncs",
    /// The disk is full for a while.
    DiskFull "a full disk",
    /// People command.
    Commands "commands",
}

/// A set of classes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mask(pub u64);

impl Mask {
    /// Whether a class is on.
    pub const fn has(self, class: Class) -> bool {
        self.0 >> class as u8 & 1 == 1
    }

    /// With a class.
    #[must_use]
    pub const fn with(self, class: Class) -> Mask {
        Mask(self.0 | 1 << class as u8)
    }

    /// Without a class.
    #[must_use]
    pub const fn without(self, class: Class) -> Mask {
        Mask(self.0 & !(1 << class as u8))
    }

    /// The classes that are on.
    pub fn classes(self) -> impl Iterator<Item = Class> {
        Class::ALL.iter().copied().filter(move |class| self.has(*class))
    }
}

/// A run in one line: seed, classes that are on, minutes until the faults end, acts that are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The seed.
    pub seed: u64,
    /// Classes that are on.
    pub mask: Mask,
    /// Minutes with faults.
    pub minutes: u32,
    /// Acts that happen, by number; all of them when none are named.
    pub kept: Option<Vec<u32>>,
}

impl Line {
    /// The run of a seed: each class is on for half of all seeds.
    pub fn of(seed: u64) -> Line {
        let mut draw = Draw::keyed(seed, 1, 0);
        let mask = Mask(draw.bits() & ((1 << Class::ALL.len()) - 1));
        let minutes = u32::try_from(draw.scaled(8, 240)).unwrap_or(60);
        let mask = if is_behind(seed) {
            let people = [Class::Manual, Class::Foreign, Class::Flows];
            people.into_iter().fold(mask.with(Class::Lag), Mask::without)
        } else {
            mask
        };
        let days = u32::try_from(draw.between(24 * 60, 96 * 60)).unwrap_or(60);
        let minutes = if is_slow(seed) { days } else { minutes };
        Line { seed, mask, minutes, kept: None }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:x}:{}:", self.seed, self.mask.0, self.minutes)?;
        match &self.kept {
            None => f.write_str("*"),
            Some(kept) => {
                let words: Vec<String> = kept.iter().map(u32::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let bad = |what: &str| format!("{text:?}: {what}; a line is seed:classes:minutes:acts");
        let parts: Vec<&str> = text.trim().split(':').collect();
        let [seed, mask, minutes, kept] = parts.as_slice() else { return Err(bad("four parts")) };
        let acts = |kept: &str| -> Result<Vec<u32>, String> {
            let words = kept.split(',').filter(|word| !word.is_empty());
            words.map(|word| word.parse().map_err(|_| bad("an act is a number"))).collect()
        };
        Ok(Line {
            seed: seed.parse().map_err(|_| bad("the seed is a number"))?,
            mask: Mask(u64::from_str_radix(mask, 16).map_err(|_| bad("classes are hexadecimal"))?),
            minutes: minutes.parse().map_err(|_| bad("minutes are a number"))?,
            kept: if *kept == "*" { None } else { Some(acts(kept)?) },
        })
    }
}

/// Whether the world of this seed is slow: days in which something happens now and then, where other worlds have
/// crowded hours.
pub(crate) fn is_slow(seed: u64) -> bool {
    Draw::keyed(seed, 23, 0).one_in(4)
}

/// Whether the engine of this seed is idle: it records every tick, has little to do, and so long has much to lose.
fn is_idle(seed: u64) -> bool {
    Draw::keyed(seed, 19, 0).one_in(6)
}

/// Whether readings of this seed's exchange lag by many seconds, of each other too, while nothing moves from outside:
/// whatever then seems to differ is nothing to correct.
fn is_behind(seed: u64) -> bool {
    Draw::keyed(seed, 29, 0).one_in(8) && !is_slow(seed) && !is_idle(seed)
}

/// The stream that says whether people set narrow limits; with this number none of the runs that are kept has any.
const BOUNDED: u64 = 38;

/// How the house is set up.
#[derive(Clone, Debug)]
pub(crate) struct Knobs {
    pub(crate) instruments: usize,
    pub(crate) guarding: u8,
    pub(crate) entry_style: u8,
    pub(crate) segment_bytes: u64,
    pub(crate) checkpoint_records: u64,
    pub(crate) unsynced_max: u64,
    pub(crate) taker_bp: i64,
    pub(crate) repeats_clients: bool,
    pub(crate) reject_in_answer: bool,
    pub(crate) record_all: bool,
    pub(crate) adopt: bool,
    pub(crate) minimum: i64,
    pub(crate) reconcile_s: i64,
    pub(crate) tick_ms: i64,
    pub(crate) volatility: i64,
    /// A signal for one in so many market points.
    pub(crate) signal_every: u64,
    pub(crate) take_profit: bool,
    pub(crate) hold_s: Option<i64>,
    pub(crate) ahead_ms: i64,
    pub(crate) hidden_ms: i64,
    /// One in so many messages meets each fault that is on.
    pub(crate) rate: u64,
    pub(crate) torn: bool,
    /// One reading in so many lags, where some do, and by how much at most.
    pub(crate) lag_rate: u64,
    pub(crate) lag_ms: i64,
    /// How long the engine lets balances lag.
    pub(crate) lag_allowed_s: i64,
    /// Seconds between two marks, and therefore the longest that anything waits for a sync.
    pub(crate) mark_s: i64,
    /// Positions and entries at once at most.
    pub(crate) positions: u32,
    /// What a day may lose, where that is limited.
    pub(crate) daily_loss: Option<i64>,
}

impl Knobs {
    pub(crate) fn of(line: &Line) -> Knobs {
        let usual = Knobs::usual(line);
        let mut draw = Draw::keyed(line.seed, 24, 0);
        if is_slow(line.seed) {
            Knobs {
                tick_ms: draw.scaled(20_000, 60_000),
                reconcile_s: draw.of(&[120, 300]),
                record_all: false,
                mark_s: 600,
                ..usual
            }
        } else if is_idle(line.seed) {
            Knobs {
                tick_ms: draw.scaled(500, 2_000),
                signal_every: u64::try_from(draw.scaled(256, 2_048)).unwrap_or(512),
                reconcile_s: 300,
                unsynced_max: 4096,
                record_all: true,
                mark_s: 600,
                ..usual
            }
        } else if is_behind(line.seed) {
            Knobs {
                signal_every: u64::try_from(draw.scaled(4, 16)).unwrap_or(8),
                reconcile_s: 60,
                lag_rate: 2,
                lag_ms: 10_000,
                lag_allowed_s: 15,
                ..usual
            }
        } else {
            usual
        }
    }

    fn usual(line: &Line) -> Knobs {
        let mut draw = Draw::keyed(line.seed, 2, 0);
        let knobs = Knobs {
            instruments: 1 + draw.below(3) as usize,
            guarding: draw.of(&[0, 1, 2, 2]),
            entry_style: draw.of(&[0, 0, 1, 2]),
            segment_bytes: draw.of(&[64 << 10, 64 << 10, 128 << 10, 256 << 10]),
            checkpoint_records: draw.of(&[0, 40, 400]),
            unsynced_max: draw.of(&[1, 16, 4096]),
            taker_bp: draw.of(&[0, 10, 50]),
            repeats_clients: draw.one_in(2),
            reject_in_answer: draw.one_in(2),
            record_all: draw.one_in(5),
            adopt: draw.one_in(3),
            minimum: draw.of(&[0, 1, 10]),
            reconcile_s: draw.of(&[60, 120, 300]),
            tick_ms: draw.scaled(500, 20_000),
            volatility: draw.scaled(2, 40),
            signal_every: u64::try_from(draw.scaled(8, 128)).unwrap_or(32),
            take_profit: draw.one_in(3),
            hold_s: draw.one_in(4).then(|| draw.between(60, 1800)),
            ahead_ms: draw.between(-90_000, 90_000),
            hidden_ms: draw.scaled(200, 12_000),
            rate: u64::try_from(draw.scaled(4, 64)).unwrap_or(8),
            torn: !draw.one_in(3),
            mark_s: draw.of(&[5, 30, 600]),
            lag_rate: 0,
            lag_ms: 4_000,
            lag_allowed_s: 0,
            positions: 4,
            daily_loss: None,
        };
        let mut draw = Draw::keyed(line.seed, BOUNDED, 0);
        let knobs = if draw.one_in(4) {
            Knobs { positions: draw.of(&[1, 2]), daily_loss: Some(draw.of(&[20, 60, 200])), ..knobs }
        } else {
            knobs
        };
        Knobs { lag_rate: knobs.rate, ..knobs }
    }
}

/// Something that happens beside the market's own movement.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Signal { instrument: usize, up: bool },
    Open { instrument: usize, units: i64 },
    Close { instrument: usize },
    AdjustStop { instrument: usize, below_bp: i64, loosen: bool },
    Halt,
    Enable,
    Flatten,
    Release { instrument: usize },
    Manual { instrument: usize, buy: bool, share: i64 },
    ManualCancel,
    Foreign { instrument: usize, buy: bool, away_bp: i64 },
    Flow { asset: usize, share: i64 },
    Maintenance { seconds: i64 },
    TickSize { instrument: usize, factor: i64, minimum: i64 },
    Clock { milliseconds: i64 },
    Jump { instrument: usize, bp: i64 },
    Freeze { seconds: i64 },
    CloseSocket { seconds: i64 },
    Crash { after: u64, cut: Option<u64>, nested: Vec<u64>, down_s: i64 },
    Stop { down_s: i64 },
    FailSync { nth: u64, down_s: i64 },
    DiskFull { seconds: i64 },
}

impl Act {
    /// The class that it belongs to, if it can be switched off.
    pub(crate) const fn class(&self) -> Option<Class> {
        Some(match self {
            Act::Signal { .. } | Act::Open { .. } | Act::Stop { .. } | Act::Release { .. } => return None,
            Act::Close { .. } | Act::AdjustStop { .. } | Act::Halt | Act::Enable | Act::Flatten => {
                Class::Commands
            }
            Act::Manual { .. } | Act::ManualCancel => Class::Manual,
            Act::Foreign { .. } => Class::Foreign,
            Act::Flow { .. } => Class::Flows,
            Act::Maintenance { .. } => Class::Maintenance,
            Act::TickSize { .. } => Class::TickSize,
            Act::Clock { .. } => Class::Skew,
            Act::Jump { .. } => Class::Wild,
            Act::Freeze { .. } => Class::Frozen,
            Act::CloseSocket { .. } => Class::Socket,
            Act::Crash { cut: None, .. } => Class::Kill,
            Act::Crash { cut: Some(_), .. } => Class::PowerCut,
            Act::FailSync { .. } => Class::SyncFail,
            Act::DiskFull { .. } => Class::DiskFull,
        })
    }

    fn of(draw: &mut Draw, instruments: usize) -> Act {
        let instrument = draw.below(instruments as u64) as usize;
        match draw.below(46) {
            0..=7 => Act::Signal { instrument, up: !draw.one_in(4) },
            8..=13 => Act::Open { instrument, units: draw.scaled(1, 64) },
            14..=15 => Act::Close { instrument },
            16 => Act::AdjustStop { instrument, below_bp: draw.scaled(5, 800), loosen: draw.one_in(3) },
            17 => Act::Halt,
            18 => Act::Enable,
            19 => {
                if draw.one_in(2) {
                    Act::Flatten
                } else {
                    Act::Enable
                }
            }
            20..=21 => Act::Release { instrument },
            22..=23 => Act::Manual { instrument, buy: draw.one_in(2), share: draw.between(1, 100) },
            24 => Act::ManualCancel,
            25 => Act::Foreign { instrument, buy: draw.one_in(2), away_bp: draw.scaled(2, 400) },
            26..=27 => Act::Flow {
                asset: draw.below(instruments as u64 + 1) as usize,
                share: draw.between(-60, 100),
            },
            28 => Act::Maintenance { seconds: draw.scaled(10, 1200) },
            29 => Act::TickSize { instrument, factor: draw.of(&[1, 5, 10]), minimum: draw.of(&[0, 1, 10]) },
            30 => Act::Clock { milliseconds: draw.between(-90_000, 90_000) },
            31..=33 => {
                let size = draw.scaled(20, 3000);
                Act::Jump { instrument, bp: if draw.one_in(3) { size } else { -size } }
            }
            34 => Act::Freeze { seconds: draw.scaled(5, 600) },
            35..=36 => Act::CloseSocket { seconds: draw.scaled(1, 120) },
            37..=42 => {
                let cut = draw.one_in(2).then(|| draw.bits());
                let nested = (0..draw.below(4)).map(|_| draw.below(40)).collect();
                Act::Crash { after: draw.below(24), cut, nested, down_s: draw.scaled(1, 900) }
            }
            43 => Act::Stop { down_s: draw.scaled(1, 600) },
            44 => Act::FailSync { nth: 1 + draw.below(3), down_s: draw.scaled(1, 120) },
            _ => Act::DiskFull { seconds: draw.scaled(5, 300) },
        }
    }
}

/// The acts of a run with their numbers and times in ns after its begin, in order of time.
pub(crate) fn acts(line: &Line, knobs: &Knobs) -> Vec<(i64, u32, Act)> {
    let whole = i64::from(Line::of(line.seed).minutes) * 60;
    let mut draw = Draw::keyed(line.seed, 3, 0);
    let often = draw.scaled(1, 4);
    let count = 4 + if is_slow(line.seed) { whole / 3600 * often } else { whole / 60 * often / 3 };
    let mut acts = Vec::new();
    for number in 0..u32::try_from(count).unwrap_or(0) {
        let mut draw = Draw::keyed(line.seed, 4, u64::from(number));
        let at_ms = draw.between(2_000, whole * 1000);
        let act = Act::of(&mut draw, knobs.instruments);
        let kept = line.kept.as_ref().is_none_or(|kept| kept.contains(&number));
        let on = act.class().is_none_or(|class| line.mask.has(class));
        if kept && on && at_ms < i64::from(line.minutes) * 60_000 {
            acts.push((at_ms * 1_000_000, number, act));
        }
    }
    acts.sort_by_key(|(at, number, _)| (*at, *number));
    acts
}
