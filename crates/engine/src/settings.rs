//! What a person may set: the engine's rules as figures, each with its default and its unit.
//!
//! Settings are no state: each opening journals those that changed, and a change never touches a stop.

use aegis_model::ids::{FeedId, SECOND};
use aegis_model::protection::{Distance, Plan, StopRule};
use aegis_model::text::Label;
use aegis_model::{Fixed, Money, Rate};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Nanoseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Nanoseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;

/// How entries are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryStyle {
    /// Limit, immediate or cancel, at the ask plus the maximum slippage (the default).
    LimitImmediate,
    /// Market.
    Market,
    /// Limit at the ask, good till cancelled, cancelled after this many nanoseconds.
    LimitResting {
        /// Lifetime, ns.
        lifetime_ns: i64,
    },
}

/// Who guards a position against its stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarding {
    /// The engine alone: nothing rests at the venue, and nothing guards while the engine is down (the default of the
    /// library; a live run asks for more).
    Engine,
    /// A stop that rests at the venue; the engine sells at the stop only where none can rest.
    Exchange,
    /// A stop that rests at the venue, and the engine behind it.
    Both,
}

/// What to do with holdings that nothing in the journal explains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HoldingPolicy {
    /// Keep apart, alarm, block entries in the instrument (the default).
    Quarantine,
    /// Take into the position at its trade price, with a stop at once.
    Adopt,
    /// Leave out of everything.
    Ignore,
}

/// How the initial distance of a plan is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanSettings {
    /// The plan with fixed distances.
    pub plan: Plan,
    /// When set, the initial distance is `multiple` times Wilder's average true range over `period` closed
    /// candles; with too few candles the entry is refused.
    pub atr: Option<AtrSettings>,
}

/// The average-true-range variant of a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AtrSettings {
    /// Closed candles, at least 1.
    pub period: u32,
    /// Ranges below the entry price.
    pub multiple: Rate,
}

/// A pause after repeated stop-outs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StopOutPause {
    /// How many exits by stop within the window start it.
    pub count: u32,
    /// The window, ns.
    pub window_ns: i64,
    /// How long entries pause, ns, from the exit that reached the count.
    pub pause_ns: i64,
}

/// The engine's rules as figures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Open, working and unknown entries at most. Default 4.
    pub max_positions: u32,
    /// Least confidence of an entry signal, inclusive. Default 0.65.
    pub confidence_min: Rate,
    /// Least confidence of an exit signal, inclusive. Default: the entry's.
    pub exit_confidence_min: Option<Rate>,
    /// Opposite signals whose mean confidences differ by less than this block; equal passes. Default 0.10.
    pub disagreement_width: Rate,
    /// Quote per entry at most. Default 10.
    pub budget: Money,
    /// Share of the available quote per entry at most. Default 0.25.
    pub weight: Rate,
    /// Share of equity that may be lost at the initial stop. Default 0.01.
    pub risk: Rate,
    /// Taker fee assumed for sizing and activation. Default 0.005.
    pub taker_fee: Rate,
    /// A fee above this multiple of `taker_fee` is alarmed. Default 3.
    pub fee_alarm_multiple: Fixed,
    /// What remains after fee must exceed the minimum notional at the stop by this share. Default 0.05.
    pub minimum_margin: Rate,
    /// Market orders must be covered with this margin. Default 0.01.
    pub market_margin: Rate,
    /// How entries are sent.
    pub entry_style: EntryStyle,
    /// Worst entry price over the ask. Default 20 basis points.
    pub slippage: Rate,
    /// The decision price may differ from the last fresh tick by this share. Default 0.02.
    pub price_sanity: Rate,
    /// How long an entry intent may first be sent, ns. Default 30 s.
    pub entry_valid_ns: i64,
    /// A balance older than this does not size an entry, ns. Default 10 s.
    pub balance_age_ns: i64,
    /// Reference prices older than this make a position blind, ns, per feed. Default 10 s.
    pub price_age_ns: BTreeMap<FeedId, i64>,
    /// Feeds whose reference is the last trade instead of the best bid. Default: none.
    pub last_price_feeds: BTreeSet<FeedId>,
    /// Loss of a UTC day at most, unsigned. Default 5; none switches the rule off.
    pub daily_loss: Option<Money>,
    /// Pause after repeated stop-outs. Default: 3 within an hour pause an hour.
    pub stop_outs: Option<StopOutPause>,
    /// Mean 24 h change of all instruments below which entries pause. Default -0.15.
    pub market_fall: Option<Rate>,
    /// Fall of the leader within an hour at which entries pause. Default 0.05.
    pub leader_fall: Option<Rate>,
    /// The leading instrument. Default `BTC_USDT`.
    pub leader: Label,
    /// How positions are protected unless their instrument says otherwise.
    pub plan: PlanSettings,
    /// Plans by instrument name.
    pub plans: BTreeMap<Label, PlanSettings>,
    /// Fast tries of a failing exit before its alarm. Default 3.
    pub exit_tries: u32,
    /// Time between fast tries, ns. Default 1 s.
    pub exit_retry_ns: i64,
    /// Time between slow tries after the alarm, ns. Default 60 s.
    pub exit_slow_ns: i64,
    /// How long after an execution a balance at the venue may still lack it, ns: a difference says nothing before.
    /// Default 0.
    pub balance_lag_ns: i64,
    /// Who guards against the stop.
    pub guarding: Guarding,
    /// How far below the stop the reference may be before the engine takes over from a stop that rests at the venue.
    /// Default 10 basis points.
    pub takeover: Rate,
    /// How long the venue's stop has after the stop was crossed, ns. Default 2 s.
    pub takeover_ns: i64,
    /// Least time between two prices of a stop that rests at the venue, ns. Default 5 s.
    pub stop_push_ns: i64,
    /// Time between lookups of an unknown order, ns. Default 2 s.
    pub lookup_ns: i64,
    /// How long no answer to a sent order may take before it is unknown, ns. Default 10 s.
    pub answer_ns: i64,
    /// Time between periodic comparisons with the venue, ns; 0 for none. Default 5 min.
    pub reconcile_ns: i64,
    /// Holdings nobody knows.
    pub holdings: HoldingPolicy,
    /// The same by asset name.
    pub holdings_by_asset: BTreeMap<Label, HoldingPolicy>,
    /// A stated average that differs by more than this share at equal quantity is a cost correction. Default 0.001.
    pub cost_tolerance: Rate,
    /// Record every tick, for later what-if; otherwise only decisive ones.
    pub record_all: bool,
    /// Instruments that may be entered; empty means every listed one.
    pub universe: Vec<Label>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            max_positions: 4,
            confidence_min: Rate::new(65, 2),
            exit_confidence_min: None,
            disagreement_width: Rate::new(10, 2),
            budget: Money::new(10, 0),
            weight: Rate::new(25, 2),
            risk: Rate::new(1, 2),
            taker_fee: Rate::basis_points(50),
            fee_alarm_multiple: Fixed::from_int(3),
            minimum_margin: Rate::new(5, 2),
            market_margin: Rate::new(1, 2),
            entry_style: EntryStyle::LimitImmediate,
            slippage: Rate::basis_points(20),
            price_sanity: Rate::new(2, 2),
            entry_valid_ns: 30 * SECOND,
            balance_age_ns: 10 * SECOND,
            price_age_ns: BTreeMap::new(),
            last_price_feeds: BTreeSet::new(),
            daily_loss: Some(Money::new(5, 0)),
            stop_outs: Some(StopOutPause { count: 3, window_ns: HOUR, pause_ns: HOUR }),
            market_fall: Some(Rate::new(-15, 2)),
            leader_fall: Some(Rate::new(5, 2)),
            leader: Label::literal("BTC_USDT"),
            plan: PlanSettings {
                plan: Plan {
                    initial: Distance::Relative(Rate::new(2, 2)),
                    rule: StopRule::Trailing {
                        distance: Distance::Relative(Rate::new(15, 3)),
                        from_start: true,
                        stages: Vec::new(),
                    },
                    atr: None,
                    take_profit: None,
                    hold_ns: None,
                },
                atr: None,
            },
            plans: BTreeMap::new(),
            exit_tries: 3,
            exit_retry_ns: SECOND,
            exit_slow_ns: 60 * SECOND,
            balance_lag_ns: 0,
            guarding: Guarding::Engine,
            takeover: Rate::basis_points(10),
            takeover_ns: 2 * SECOND,
            stop_push_ns: 5 * SECOND,
            lookup_ns: 2 * SECOND,
            answer_ns: 10 * SECOND,
            reconcile_ns: 5 * MINUTE,
            holdings: HoldingPolicy::Quarantine,
            holdings_by_asset: BTreeMap::new(),
            cost_tolerance: Rate::new(1, 3),
            record_all: false,
            universe: Vec::new(),
        }
    }
}

impl Settings {
    /// How old a feed's price may be, ns.
    pub fn price_age(&self, feed: FeedId) -> i64 {
        self.price_age_ns.get(&feed).copied().unwrap_or(10 * SECOND)
    }

    /// How a position in this instrument is to be protected.
    pub fn plan_for(&self, instrument: &Label) -> &PlanSettings {
        self.plans.get(instrument).unwrap_or(&self.plan)
    }

    /// What to do with an unexplained holding of this asset.
    pub fn policy_for(&self, asset: &Label) -> HoldingPolicy {
        self.holdings_by_asset.get(asset).copied().unwrap_or(self.holdings)
    }
}
