//! The engine's settings of one act: `acts.<act>.engine.<key>`, or `live.engine.<key>`, over `engine.<key>`. It only reads; what the figures
//! mean is the engine's business.

use crate::config::layers::Layers;
use crate::config::{label, values};
use aegis_engine::Settings;
use aegis_engine::settings::{AtrSettings, EntryStyle, Guarding, HoldingPolicy, PlanSettings, StopOutPause};
use aegis_model::protection::{Plan, StopRule};
use aegis_model::{Fixed, Money, Rate};
use std::collections::{BTreeMap, BTreeSet};

/// What is done again after a pause is never done again at once: the least pause, ms.
const AGAIN_MS: i64 = 10;

/// The keys of one act, or of the live run.
struct Keys<'a> {
    layers: &'a mut Layers,
    /// `acts.<act>` or `live`.
    root: &'a str,
}

impl Keys<'_> {
    /// The path that holds: the act's own if it is written, else the common one.
    fn path(&mut self, key: &str) -> String {
        let own = format!("{}.engine.{key}", self.root);
        let common = format!("engine.{key}");
        self.layers.ask(&common);
        if self.layers.ask(&own).is_some() { own } else { common }
    }

    fn one<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let path = self.path(key);
        self.layers.one(&path, parse)
    }

    fn rate(&mut self, key: &str) -> Option<Rate> {
        self.one(key, values::rate)
    }

    /// A rate within 0..=1.
    fn share(&mut self, key: &str) -> Option<Rate> {
        self.one(key, share)
    }

    fn money(&mut self, key: &str) -> Option<Money> {
        self.one(key, |text| values::decimal(text).map(Money))
    }

    fn span(&mut self, key: &str) -> Option<i64> {
        self.one(key, values::span)
    }

    /// A span of at least so many ms.
    fn span_from(&mut self, key: &str, least_ms: i64) -> Option<i64> {
        self.one(key, values::span_from(least_ms))
    }
}

fn share(text: &str) -> Result<Rate, String> {
    let rate = values::rate(text)?;
    if rate.is_negative() || rate > Rate::ONE { Err(format!("{text:?} is outside 0 to 1")) } else { Ok(rate) }
}

/// Reads the settings of what stands at `root`: an act, or the live run.
pub(super) fn settings(layers: &mut Layers, root: &str) -> Option<Settings> {
    let mut keys = Keys { layers, root };
    let max_positions = keys.one("max_positions", values::whole);
    let confidence_min = keys.share("confidence_min");
    let exit_confidence_min = keys.one("exit_confidence_min", |t| values::optional(t, share));
    let disagreement_width = keys.share("disagreement_width");
    let budget = keys.money("budget");
    let weight = keys.share("weight");
    let risk = keys.share("risk");
    let taker_fee = keys.share("taker_fee");
    let fee_alarm_multiple: Option<Fixed> = keys.one("fee_alarm_multiple", values::decimal);
    let minimum_margin = keys.share("minimum_margin");
    let market_margin = keys.share("market_margin");
    let lifetime = keys.span_from("entry_lifetime", 1);
    let style = keys.one("entry_style", |text| match text {
        "limit-immediate" => Ok(EntryStyle::LimitImmediate),
        "market" => Ok(EntryStyle::Market),
        "limit-resting" => Ok(EntryStyle::LimitResting { lifetime_ns: 0 }),
        _ => Err(format!("{text:?} is not limit-immediate, market or limit-resting")),
    });
    let slippage = keys.share("slippage");
    let price_sanity = keys.share("price_sanity");
    let entry_valid_ns = keys.span_from("entry_valid", 1);
    let balance_age_ns = keys.span_from("balance_age", 1);
    let daily_loss = keys.one("daily_loss", |t| values::optional(t, |t| values::decimal(t).map(Money)));
    let stop_outs: Option<u32> = keys.one("stop_outs", values::whole);
    let window = keys.span("stop_outs_window");
    let pause = keys.span("stop_outs_pause");
    let market_fall = keys.one("market_fall", |t| values::optional(t, values::rate));
    let leader_fall = keys.one("leader_fall", |t| values::optional(t, values::rate));
    let leader = keys.one("leader", label);
    let exit_tries = keys.one("exit_tries", values::whole);
    let exit_retry_ns = keys.span_from("exit_retry", AGAIN_MS);
    let exit_slow_ns = keys.span_from("exit_slow", AGAIN_MS);
    let balance_lag_ns = keys.span("balance_lag");
    let guarding = keys.one("protection", |text| match text {
        "engine" => Ok(Guarding::Engine),
        "exchange" => Ok(Guarding::Exchange),
        "both" => Ok(Guarding::Both),
        _ => Err(format!("{text:?} is not engine, exchange or both")),
    });
    let takeover = keys.share("takeover");
    let takeover_ns = keys.span("takeover_after");
    let stop_push_ns = keys.span_from("stop_push", 1);
    let lookup_ns = keys.span_from("lookup", AGAIN_MS);
    let answer_ns = keys.span_from("answer", AGAIN_MS);
    let reconcile_ns = keys.span("reconcile");
    let holdings = keys.one("holdings", policy);
    let cost_tolerance = keys.rate("cost_tolerance");
    let record_all = keys.one("record", |text| match text {
        "decisive" => Ok(false),
        "all" => Ok(true),
        _ => Err(format!("{text:?} is neither decisive nor all")),
    });
    let path = keys.path("universe");
    let universe = keys.layers.many(&path, |names| names.iter().map(|n| label(n)).collect());
    let plan = plan(&mut keys, "plan");
    let plans = plans(&mut keys);
    let holdings_by_asset = by_asset(&mut keys);
    Some(Settings {
        max_positions: max_positions?,
        confidence_min: confidence_min?,
        exit_confidence_min: exit_confidence_min?,
        disagreement_width: disagreement_width?,
        budget: budget?,
        weight: weight?,
        risk: risk?,
        taker_fee: taker_fee?,
        fee_alarm_multiple: fee_alarm_multiple?,
        minimum_margin: minimum_margin?,
        market_margin: market_margin?,
        entry_style: match (style?, lifetime?) {
            (EntryStyle::LimitResting { .. }, lifetime_ns) => EntryStyle::LimitResting { lifetime_ns },
            (style, _) => style,
        },
        slippage: slippage?,
        price_sanity: price_sanity?,
        entry_valid_ns: entry_valid_ns?,
        balance_age_ns: balance_age_ns?,
        price_age_ns: BTreeMap::new(),
        last_price_feeds: BTreeSet::new(),
        daily_loss: daily_loss?,
        stop_outs: match (stop_outs?, window?, pause?) {
            (0, ..) => None,
            (count, window_ns, pause_ns) => Some(StopOutPause { count, window_ns, pause_ns }),
        },
        market_fall: market_fall?,
        leader_fall: leader_fall?,
        leader: leader?,
        plan: plan?,
        plans: plans?,
        exit_tries: exit_tries?,
        exit_retry_ns: exit_retry_ns?,
        exit_slow_ns: exit_slow_ns?,
        balance_lag_ns: balance_lag_ns?,
        guarding: guarding?,
        takeover: takeover?,
        takeover_ns: takeover_ns?,
        stop_push_ns: stop_push_ns?,
        lookup_ns: lookup_ns?,
        answer_ns: answer_ns?,
        reconcile_ns: reconcile_ns?,
        holdings: holdings?,
        holdings_by_asset: holdings_by_asset?,
        cost_tolerance: cost_tolerance?,
        record_all: record_all?,
        universe: universe?,
    })
}

fn policy(text: &str) -> Result<HoldingPolicy, String> {
    match text {
        "quarantine" => Ok(HoldingPolicy::Quarantine),
        "adopt" => Ok(HoldingPolicy::Adopt),
        "ignore" => Ok(HoldingPolicy::Ignore),
        _ => Err(format!("{text:?} is not quarantine, adopt or ignore")),
    }
}

/// The plan at `base`; a key that an instrument's plan leaves out is that of the act's own plan.
fn plan(keys: &mut Keys<'_>, base: &str) -> Option<PlanSettings> {
    let key = |keys: &mut Keys<'_>, name: &str| {
        let own = format!("{base}.{name}");
        let path = keys.path(&own);
        if keys.layers.ask(&path).is_some() { own } else { format!("plan.{name}") }
    };
    let named = ["initial", "rule", "trail", "trail_from_start", "stages", "take_profit", "hold"];
    let [initial, rule, trail, from_start, stages, take_profit, hold] = named.map(|name| key(keys, name));
    let [period, multiple] = ["atr_period", "atr_multiple"].map(|name| key(keys, name));
    let initial = keys.one(&initial, values::distance);
    let trailing = keys.one(&rule, |text| match text {
        "fixed" => Ok(false),
        "trailing" => Ok(true),
        _ => Err(format!("{text:?} is neither fixed nor trailing")),
    });
    let trail = keys.one(&trail, values::distance);
    let from_start = keys.one(&from_start, values::yes_no);
    let stages_path = keys.path(&stages);
    let stages = keys.layers.many(&stages_path, values::stages);
    let take_profit = keys.one(&take_profit, |t| values::optional(t, values::rate_above_zero));
    let hold_ns = keys.one(&hold, |t| values::optional(t, values::span_from(1)));
    let period: Option<u32> = keys.one(&period, values::whole);
    let multiple = keys.one(&multiple, values::rate_above_zero);
    let (distance, from_start, stages) = (trail?, from_start?, stages?);
    let rule = if trailing? { StopRule::Trailing { distance, from_start, stages } } else { StopRule::Fixed };
    Some(PlanSettings {
        plan: Plan { initial: initial?, rule, atr: None, take_profit: take_profit?, hold_ns: hold_ns? },
        atr: match (period?, multiple?) {
            (0, _) => None,
            (period, multiple) => Some(AtrSettings { period, multiple }),
        },
    })
}

/// The plans of single instruments, common and the act's own.
fn plans(keys: &mut Keys<'_>) -> Option<BTreeMap<aegis_model::Label, PlanSettings>> {
    let mut names = keys.layers.names("engine.plans");
    names.extend(keys.layers.names(&format!("{}.engine.plans", keys.root)));
    let mut plans = BTreeMap::new();
    for name in names {
        let read = plan(keys, &format!("plans.{name}"))?;
        match label(&name) {
            Ok(name) => drop(plans.insert(name, read)),
            Err(what) => keys.layers.errors.push(format!("engine.plans.{name}: {what}")),
        }
    }
    Some(plans)
}

fn by_asset(keys: &mut Keys<'_>) -> Option<BTreeMap<aegis_model::Label, HoldingPolicy>> {
    let mut names = keys.layers.keys("engine.holdings_by_asset");
    names.extend(keys.layers.keys(&format!("{}.engine.holdings_by_asset", keys.root)));
    let mut policies = BTreeMap::new();
    for name in names {
        let read = keys.one(&format!("holdings_by_asset.{name}"), policy)?;
        match label(&name) {
            Ok(name) => drop(policies.insert(name, read)),
            Err(what) => keys.layers.errors.push(format!("engine.holdings_by_asset.{name}: {what}")),
        }
    }
    Some(policies)
}
