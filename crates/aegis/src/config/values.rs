//! How values are spelled: durations, rates, distances, choices. Every refusal says what would be right.

use aegis_model::ids::SECOND;
use aegis_model::protection::{Distance, STAGES_MAX, Stage};
use aegis_model::{Fixed, Price, Rate};
use std::str::FromStr;

/// A whole number.
pub(crate) fn whole<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is not a whole number of a fitting size"))
}

/// `true` or `false`.
pub(crate) fn yes_no(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// An exact decimal.
pub(crate) fn decimal(text: &str) -> Result<Fixed, String> {
    text.parse().map_err(|e| format!("{text:?} is not a decimal number: {e}"))
}

/// A ratio: `0.015`, `1.5%` or `150bp`.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let spelled = text.trim();
    let (number, digits) = match (spelled.strip_suffix('%'), spelled.strip_suffix("bp")) {
        (Some(percent), _) => (percent, 2),
        (_, Some(points)) => (points, 4),
        (None, None) => (spelled, 0),
    };
    let value = decimal(number.trim())?;
    let scale = Fixed::new(1, digits);
    value
        .times(scale, aegis_model::Rounding::HalfEven)
        .map(Rate)
        .map_err(|e| format!("{text:?} is not a rate such as 0.015, 1.5% or 150bp: {e}"))
}

/// A time span: `250ms`, `30s`, `5m`, `2h`, `1d` or `0`; in nanoseconds.
pub(crate) fn span(text: &str) -> Result<i64, String> {
    let spelled = text.trim();
    let wrong = || format!("{text:?} is not a time span such as 250ms, 30s, 5m, 2h or 1d");
    if spelled == "0" {
        return Ok(0);
    }
    let digits = spelled.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: i64 = spelled[..digits].parse().map_err(|_| wrong())?;
    let unit = match spelled[digits..].trim() {
        "ms" => SECOND / 1000,
        "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "d" => 86_400 * SECOND,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// A time span of at least so many ms.
pub(crate) fn span_from(least_ms: i64) -> impl Fn(&str) -> Result<i64, String> + Copy {
    move |text| match span(text)? {
        ns if ns < least_ms * (SECOND / 1000) => Err(format!("{text:?} is too short: at least {least_ms}ms")),
        ns => Ok(ns),
    }
}

/// A ratio above zero.
pub(crate) fn rate_above_zero(text: &str) -> Result<Rate, String> {
    match rate(text)? {
        rate if rate.is_positive() => Ok(rate),
        _ => Err(format!("{text:?} is not above zero")),
    }
}

/// How old a price may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Age {
    /// This long, ns.
    Span(i64),
    /// This many intervals of the candles.
    Intervals(Fixed),
}

/// A time span, or `2.5 intervals`.
pub(crate) fn age(text: &str) -> Result<Age, String> {
    match text.trim().strip_suffix("intervals") {
        Some(number) => match decimal(number.trim())? {
            number if number.is_positive() => Ok(Age::Intervals(number)),
            _ => Err(format!("{text:?} is not above zero")),
        },
        None => span_from(1)(text).map(Age::Span),
    }
}

/// `none` or what the rest spells.
pub(crate) fn optional<T>(text: &str, some: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    if text.trim() == "none" { Ok(None) } else { some(text).map(Some) }
}

/// A distance: `1.5%` or `150bp` of the price, or `offset 12.5` in quote units.
pub(crate) fn distance(text: &str) -> Result<Distance, String> {
    let spelled = text.trim();
    let distance = if let Some(offset) = spelled.strip_prefix("offset") {
        Distance::Offset(Price(decimal(offset.trim())?))
    } else if spelled.ends_with('%') || spelled.ends_with("bp") {
        Distance::Relative(rate(spelled)?)
    } else {
        return Err(format!("{text:?} is not a distance such as 1.5%, 150bp or offset 12.5"));
    };
    let sound = match distance {
        Distance::Relative(rate) => rate.is_positive() && rate < Rate::ONE,
        Distance::Offset(price) => price.is_positive(),
    };
    if sound { Ok(distance) } else { Err(format!("{text:?} is not above zero and below the price")) }
}

/// Stages such as `3% -> 1%`: from this profit on, this distance.
pub(crate) fn stages(texts: &[String]) -> Result<Vec<Stage>, String> {
    let mut stages = Vec::new();
    for text in texts {
        let (activation, far) =
            text.split_once("->").ok_or_else(|| format!("{text:?} is not a stage such as \"3% -> 1%\""))?;
        stages.push(Stage { activation: rate(activation)?, distance: distance(far)? });
    }
    if stages.len() > STAGES_MAX {
        return Err(format!("{} stages where at most {STAGES_MAX} are allowed", stages.len()));
    }
    if stages.windows(2).any(|pair| pair[0].activation >= pair[1].activation) {
        return Err("stages must stand in order of rising activation".to_owned());
    }
    Ok(stages)
}
