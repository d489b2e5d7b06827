//! What the files say of limits, side by side. Files that agree and state their unit are believed to mean it; for
//! everything else a person is asked, and nothing is guessed.

use crate::figure;
use crate::number::Figure;
use aegis_model::claim::{LimitKind, LimitUnit};
use aegis_model::{Fixed, Rounding};
use std::collections::BTreeMap;
use std::fmt;

/// A limit as one key of one file states it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stated {
    /// The key.
    pub row: String,
    /// What it bounds.
    pub limit: LimitKind,
    /// The figure as written.
    pub written: Fixed,
    /// The figure in `unit`.
    pub value: Fixed,
    /// In what it is stated.
    pub unit: LimitUnit,
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.row, self.written, spelled(self.value, self.unit))
    }
}

/// A figure with its unit.
pub fn spelled(value: Fixed, unit: LimitUnit) -> String {
    match unit {
        LimitUnit::Share => {
            let percent = value.times(Fixed::from_int(100), Rounding::HalfEven).unwrap_or(value);
            format!("{percent} %")
        }
        LimitUnit::Quote => format!("{value} of the quote asset"),
        LimitUnit::Count => format!("{value} positions"),
        LimitUnit::Unstated => "it does not say of what".to_owned(),
    }
}

/// The word that a limit is asked about by.
pub const fn key(limit: LimitKind) -> &'static str {
    match limit {
        LimitKind::StopLoss => "stop_loss",
        LimitKind::TakeProfit => "take_profit",
        LimitKind::PositionSize => "position_size",
        LimitKind::Positions => "positions",
        LimitKind::DailyLoss => "daily_loss",
        LimitKind::Drawdown => "drawdown",
        LimitKind::TradeRisk => "trade_risk",
    }
}

/// The word that proposed stops are asked about by.
pub const STOPS: &str = "stops";

/// What a person answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answers {
    limits: BTreeMap<LimitKind, Option<(Fixed, LimitUnit)>>,
    /// Take the stops that the files' own rules propose, where they are higher.
    pub proposed_stops: bool,
}

impl Answers {
    /// Takes `key=value`: a limit as `5%`, `250` of the quote asset or `4` positions, or `skip`; or `stops=proposed`.
    ///
    /// # Errors
    /// What was wrong, and what can be said.
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        let Some((name, value)) = text.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
        else {
            return Err(format!("{text:?} is no key=value"));
        };
        if name == STOPS {
            self.proposed_stops = match value {
                "proposed" => true,
                "claimed" => false,
                _ => return Err("stops is answered with proposed or claimed".to_owned()),
            };
            return Ok(());
        }
        let Some(limit) = LimitKind::ALL.iter().copied().find(|limit| key(*limit) == name) else {
            let known: Vec<&str> = LimitKind::ALL.iter().map(|limit| key(*limit)).chain([STOPS]).collect();
            return Err(format!("{name:?} is not asked: {}", known.join(", ")));
        };
        let answer = answer(limit, value)?;
        match self.limits.insert(limit, answer) {
            Some(before) if before != answer => Err(format!("{name} is answered twice, differently")),
            Some(_) | None => Ok(()),
        }
    }

    /// The answer about a limit: none while there is none, and a none inside to leave it out.
    pub fn about(&self, limit: LimitKind) -> Option<Option<(Fixed, LimitUnit)>> {
        self.limits.get(&limit).copied()
    }
}

fn answer(limit: LimitKind, value: &str) -> Result<Option<(Fixed, LimitUnit)>, String> {
    if value == "skip" {
        return Ok(None);
    }
    let read = |digits: &str| match figure(digits) {
        Some(Figure { value, cut: false }) if value.is_positive() => Ok(value),
        Some(_) | None => Err(format!("{value:?} is no figure above 0")),
    };
    if let Some(percent) = value.strip_suffix('%') {
        let share = read(percent.trim_end())?.times(Fixed::new(1, 2), Rounding::HalfEven);
        let share = share.ok().filter(|share| *share < Fixed::ONE).ok_or("a share of all or more")?;
        return Ok(Some((share, LimitUnit::Share)));
    }
    let plain = read(value)?;
    match limit {
        LimitKind::Positions if plain.is_multiple_of(Fixed::ONE) => Ok(Some((plain, LimitUnit::Count))),
        LimitKind::Positions => Err(format!("{value} is no number of positions")),
        LimitKind::PositionSize | LimitKind::DailyLoss => Ok(Some((plain, LimitUnit::Quote))),
        LimitKind::StopLoss | LimitKind::TakeProfit | LimitKind::Drawdown | LimitKind::TradeRisk => {
            Err(format!("{} is a share: say {value}%", key(limit)))
        }
    }
}

/// A limit about which the files are not of one mind.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Question {
    /// The word to answer by.
    pub key: &'static str,
    /// Why it is asked.
    pub why: &'static str,
    /// What each file says.
    pub said: Vec<String>,
}

/// What became of a limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All files mean this.
    Agreed(Fixed, LimitUnit),
    /// A person said so, or said to leave it out.
    Answered(Option<(Fixed, LimitUnit)>),
    /// It is asked.
    Asked(Question),
}

/// Lays what the files say of each limit side by side.
pub fn settle(said: &[(&str, &Stated)], answers: &Answers) -> BTreeMap<LimitKind, Outcome> {
    let mut outcomes = BTreeMap::new();
    for limit in LimitKind::ALL.iter().copied() {
        let all: Vec<(&str, &Stated)> = said.iter().filter(|(_, one)| one.limit == limit).copied().collect();
        let Some((_, first)) = all.first() else { continue };
        let same = all.iter().all(|(_, one)| (one.value, one.unit) == (first.value, first.unit));
        let unstated = all.iter().any(|(_, one)| one.unit == LimitUnit::Unstated);
        let outcome = match answers.about(limit) {
            _ if same && !unstated => Outcome::Agreed(first.value, first.unit),
            Some(answer) => Outcome::Answered(answer),
            None => Outcome::Asked(Question {
                key: key(limit),
                why: if unstated { "a file does not say in what it is stated" } else { "the files disagree" },
                said: all.iter().map(|(file, one)| format!("{file}: {one}")).collect(),
            }),
        };
        outcomes.insert(limit, outcome);
    }
    outcomes
}
