//! Configurations and what they say of limits: each key that is known, with the unit that its name states. A key that
//! nobody knows is not read: it may be a secret.

use crate::limits::Stated;
use crate::row::{PERCENT, Row, instrument, short};
use crate::{Document, Refused, Why};
use aegis_cryptocom::json::Value;
use aegis_model::claim::{Claim, ClaimRow, LimitKind, LimitUnit};
use aegis_model::{Rounding, Text};

/// How a key states its figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spelling {
    /// The name says percent: 2.0 is two percent.
    Percent,
    /// The name says dollars.
    Quote,
    /// A number of positions.
    Count,
    /// The name does not say: 0.02 may be a share, and 0.1 anything.
    Unstated,
}

/// A key with what it bounds.
pub(crate) type Known = (&'static str, LimitKind, Spelling);

/// Keys of the bot's status.
pub(crate) const STATUS: &[Known] = &[
    ("max_position_size", LimitKind::PositionSize, Spelling::Unstated),
    ("stop_loss_percent", LimitKind::StopLoss, Spelling::Percent),
    ("take_profit_percent", LimitKind::TakeProfit, Spelling::Percent),
];

/// Keys of environment variables.
pub(crate) const VARIABLES: &[Known] = &[
    ("MAX_POSITION_SIZE", LimitKind::PositionSize, Spelling::Unstated),
    ("STOP_LOSS_PCT", LimitKind::StopLoss, Spelling::Percent),
    ("TAKE_PROFIT_PCT", LimitKind::TakeProfit, Spelling::Percent),
    ("MAX_POSITIONS", LimitKind::Positions, Spelling::Count),
];

const TRADING: &[Known] = &[
    ("max_position_size", LimitKind::PositionSize, Spelling::Unstated),
    ("risk_per_trade", LimitKind::TradeRisk, Spelling::Unstated),
    ("max_position_size_usd", LimitKind::PositionSize, Spelling::Quote),
    ("max_positions", LimitKind::Positions, Spelling::Count),
    ("default_stop_loss_pct", LimitKind::StopLoss, Spelling::Percent),
    ("default_take_profit_pct", LimitKind::TakeProfit, Spelling::Percent),
];

const RISK: &[Known] = &[
    ("max_daily_loss", LimitKind::DailyLoss, Spelling::Unstated),
    ("stop_loss", LimitKind::StopLoss, Spelling::Unstated),
    ("take_profit", LimitKind::TakeProfit, Spelling::Unstated),
    ("max_daily_loss_usd", LimitKind::DailyLoss, Spelling::Quote),
    ("max_drawdown_pct", LimitKind::Drawdown, Spelling::Percent),
];

/// Members of which one shows that an object is a configuration.
const SIGNS: &[&str] = &["trading", "risk_management", "system", "database", "n8n_url", "mode"];

/// Whether an object is a configuration of the old bot.
pub(crate) fn is_one(value: &Value<'_>) -> bool {
    SIGNS.iter().any(|name| value.get(name).is_some())
}

/// Reads a configuration; what it holds beside limits, pairs and whether to trade is left alone.
pub(crate) fn read(top: &Row<'_>, document: &mut Document) -> Result<(), Refused> {
    document.rows = 1;
    for (section, known) in [("trading", TRADING), ("risk_management", RISK)] {
        let Some(value @ Value::Object(_)) = top.get(section) else { continue };
        let row = Row::of(section, value)?;
        limits(&row, known, document)?;
        if section == "trading" && row.get("enabled") == Some(&Value::Bool(false)) {
            let claim = Claim::TradingDisabled;
            document.claims.push(ClaimRow { row: Text::new("trading.enabled"), claim });
        }
        for name in ["trading_pairs", "default_pair"] {
            pairs(&row, name, document)?;
        }
    }
    if let Some(value @ Value::Object(_)) = top.get("simulation")
        && let Some(balance) = Row::of("simulation", value)?.figure("starting_balance")?
    {
        let what = format!("starting_balance {} is one of a simulation, and no balance", balance.value);
        document.note("simulation.starting_balance", &what);
    }
    Ok(())
}

/// The pairs of a key, in the venue's spelling.
fn pairs(row: &Row<'_>, name: &str, document: &mut Document) -> Result<(), Refused> {
    let texts: Vec<&str> = match row.get(name) {
        None => return Ok(()),
        Some(Value::Array(items)) => items.iter().filter_map(Value::text).collect(),
        Some(one) => one.text().into_iter().collect(),
    };
    let mut names = Vec::new();
    for text in texts {
        let wrong = || row.refuse(Why::Syntax(format!("{name}: {:?} is no pair", short(text))));
        names.push(instrument(text).ok_or_else(wrong)?.to_string());
    }
    document.note(&format!("trading.{name}"), &format!("pairs {}", names.join(", ")));
    Ok(())
}

/// What a row says of the limits that are known there.
pub(crate) fn limits(row: &Row<'_>, known: &[Known], document: &mut Document) -> Result<(), Refused> {
    for (name, limit, spelling) in known {
        let Some(figure) = row.positive(name)? else { continue };
        let key = if row.at.is_empty() { (*name).to_owned() } else { format!("{}.{name}", row.at) };
        let stated = stated(&key, *limit, *spelling, figure.value);
        document
            .limits
            .push(stated.ok_or_else(|| row.refuse(Why::Impossible(format!("{name} = {}", figure.value))))?);
    }
    Ok(())
}

/// A figure with its unit; none when it cannot be of that unit.
pub(crate) fn stated(
    key: &str,
    limit: LimitKind,
    spelling: Spelling,
    written: aegis_model::Fixed,
) -> Option<Stated> {
    let (value, unit) = match spelling {
        Spelling::Percent => (written.times(PERCENT, Rounding::HalfEven).ok()?, LimitUnit::Share),
        Spelling::Quote => (written, LimitUnit::Quote),
        Spelling::Count if written.is_multiple_of(aegis_model::Fixed::ONE) => (written, LimitUnit::Count),
        Spelling::Count => return None,
        Spelling::Unstated => (written, LimitUnit::Unstated),
    };
    Some(Stated { row: key.to_owned(), limit, written, value, unit })
}
