//! What is to differ: the protection plan of positions that are opened from a point on. It only reads the words and lays
//! them over the plan that was recorded.

use crate::config::values;
use aegis_engine::Settings;
use aegis_engine::settings::{AtrSettings, PlanSettings};
use aegis_model::ids::SECOND;
use aegis_model::protection::{Distance, StopRule};
use aegis_model::{Label, Price, Rate};
use std::str::FromStr;

const FORMS: &str = "give --stop one of: recorded; fixed:D; trailing:D; trailing:D,PART,... where D is a distance \
                     such as 1.5%, 150bp or offset 12.5, and a PART is initial=D, initial=atrNxM (M times Wilder's \
                     range over N candles), stage=P:D (from a profit of P on the distance is D) or from=stage (it \
                     trails only from the first stage on); fixed:atrNxM is a form, too";

/// Where the first stop is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Initial {
    Distance(Distance),
    Atr(AtrSettings),
}

/// `--stop`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stop(Option<(Initial, StopRule)>);

impl FromStr for Stop {
    type Err = String;

    fn from_str(text: &str) -> Result<Stop, String> {
        stop(text).map_err(|what| format!("{what}\n{FORMS}"))
    }
}

fn stop(text: &str) -> Result<Stop, String> {
    if text == "recorded" {
        return Ok(Stop(None));
    }
    let (rule, rest) = text.split_once(':').ok_or_else(|| format!("{text:?} is no form of a stop"))?;
    let mut parts = rest.split(',').map(str::trim);
    let first = parts.next().unwrap_or_default();
    match rule {
        "fixed" => match parts.next() {
            None => Ok(Stop(Some((initial(first)?, StopRule::Fixed)))),
            Some(more) => Err(format!("a fixed stop has no part {more:?}")),
        },
        "trailing" => {
            let distance = values::distance(first)?;
            let (mut begins, mut from_start, mut stages) = (Initial::Distance(distance), true, Vec::new());
            for part in parts {
                match part.split_once('=') {
                    Some(("initial", value)) => begins = initial(value)?,
                    Some(("from", "stage")) => from_start = false,
                    Some(("from", "start")) => from_start = true,
                    Some(("stage", value)) => stages.push(value.replacen(':', "->", 1)),
                    _ => return Err(format!("{part:?} is no part of a trailing stop")),
                }
            }
            let stages = values::stages(&stages)?;
            if !from_start && stages.is_empty() {
                return Err("from=stage needs a stage=P:D".to_owned());
            }
            Ok(Stop(Some((begins, StopRule::Trailing { distance, from_start, stages }))))
        }
        other => Err(format!("{other:?} is neither fixed nor trailing")),
    }
}

fn initial(text: &str) -> Result<Initial, String> {
    let Some(rest) = text.strip_prefix("atr") else { return values::distance(text).map(Initial::Distance) };
    let (period, multiple) = rest.split_once('x').ok_or_else(|| format!("{text:?} is not as atr14x2"))?;
    let period = match values::whole(period)? {
        0 => return Err(format!("{text:?}: at least one candle")),
        period => period,
    };
    Ok(Initial::Atr(AtrSettings { period, multiple: values::rate_above_zero(multiple)? }))
}

/// `--take-profit` or `--hold`: a value, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OrNone<T>(Option<T>);

/// `--take-profit`.
pub(crate) fn take_profit(text: &str) -> Result<OrNone<Rate>, String> {
    values::optional(text, values::rate_above_zero)
        .map(OrNone)
        .map_err(|what| format!("{what}; give a profit such as 3%, or none"))
}

/// `--hold`.
pub(crate) fn hold(text: &str) -> Result<OrNone<i64>, String> {
    values::optional(text, values::span_from(1)).map(OrNone).map_err(|what| format!("{what}, or none"))
}

/// What differs.
#[derive(Clone, Default)]
pub(super) struct Change {
    pub(super) stop: Option<Stop>,
    pub(super) take_profit: Option<OrNone<Rate>>,
    pub(super) hold: Option<OrNone<i64>>,
    /// For these instruments only; for all when empty.
    pub(super) instruments: Vec<Label>,
}

impl Change {
    /// Whether something was said.
    pub(super) const fn is_said(&self) -> bool {
        self.stop.is_some() || self.take_profit.is_some() || self.hold.is_some()
    }

    /// Whether a stop is asked for that only closed candles can tell.
    pub(super) const fn needs_candles(&self) -> bool {
        matches!(self.stop, Some(Stop(Some((Initial::Atr(_), _)))))
    }

    /// Lays it over settings.
    pub(super) fn lay(&self, settings: &mut Settings) {
        if self.instruments.is_empty() {
            self.over(&mut settings.plan);
            settings.plans.values_mut().for_each(|plan| self.over(plan));
        }
        for name in &self.instruments {
            let mut plan = settings.plan_for(name).clone();
            self.over(&mut plan);
            settings.plans.insert(*name, plan);
        }
    }

    fn over(&self, settings: &mut PlanSettings) {
        if let Some(Stop(Some((initial, rule)))) = &self.stop {
            settings.atr = match initial {
                Initial::Distance(distance) => {
                    settings.plan.initial = *distance;
                    None
                }
                Initial::Atr(atr) => Some(*atr),
            };
            settings.plan.rule = rule.clone();
        }
        if let Some(OrNone(rate)) = self.take_profit {
            settings.plan.take_profit = rate;
        }
        if let Some(OrNone(span)) = self.hold {
            settings.plan.hold_ns = span;
        }
    }
}

/// A plan in words.
pub(super) fn words(settings: &PlanSettings) -> String {
    let far = |distance: &Distance| match distance {
        Distance::Relative(rate) => crate::text::percent(*rate),
        Distance::Offset(Price(offset)) => format!("{offset}"),
    };
    let first = match settings.atr {
        Some(atr) => format!("{} times the range of {} candles", atr.multiple, atr.period),
        None => far(&settings.plan.initial),
    };
    let mut out = match &settings.plan.rule {
        StopRule::Fixed => format!("stop {first} below the entry, fixed"),
        StopRule::Trailing { distance, from_start, stages } => {
            let mut parts = Vec::new();
            if *from_start {
                parts.push(format!("trailing {}", far(distance)));
            }
            parts.extend(stages.iter().map(|s| {
                format!("{} from a profit of {} on", far(&s.distance), crate::text::percent(s.activation))
            }));
            format!("stop {first}, {}", parts.join(", "))
        }
    };
    match settings.plan.take_profit {
        Some(rate) => out.push_str(&format!("; take profit {}", crate::text::percent(rate))),
        None => out.push_str("; no take profit"),
    }
    if let Some(ns) = settings.plan.hold_ns {
        let span = match (ns / SECOND, ns % SECOND) {
            (..60, 1..) => format!("{} ms", ns / (SECOND / 1_000)),
            (seconds, _) => crate::text::span(seconds),
        };
        out.push_str(&format!("; held {span} at most"));
    }
    out
}
