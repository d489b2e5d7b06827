//! The JSON files: positions in two dialects, a stop bot's saved state, the bot's status. Their numbers are the digits
//! that stand there.

use crate::row::{Found, Row, epoch_of};
use crate::{Document, Refused, What, Why, Zone, settings};
use aegis_cryptocom::json::{JsonError, Value};
use aegis_model::Text;
use aegis_model::claim::{Claim, ClaimRow, SourceKind};

/// What an object is.
pub(crate) fn look(value: &Value<'_>) -> What {
    let Value::Object(members) = value else { return What::Unknown };
    let has = |name: &str| members.iter().any(|(key, _)| key == name);
    if has("code") && has("method") && has("result") {
        return What::Reply;
    }
    if has("positions") && has("metrics") {
        return What::Source(SourceKind::StopState);
    }
    if has("trading_enabled") {
        return What::Source(SourceKind::BotStatus);
    }
    if settings::is_one(value) {
        return What::Source(SourceKind::Settings);
    }
    let mut rows = members.iter().map(|(_, row)| row).filter(|row| row.get("symbol").is_some());
    match rows.next() {
        Some(row) if row.get("stop_loss").is_some() => What::Source(SourceKind::TrailingStops),
        Some(_) => What::Source(SourceKind::Positions),
        None => What::Unknown,
    }
}

/// Why this is no JSON; a NaN is named.
pub(crate) fn broken(bytes: &[u8]) -> Refused {
    match Value::parse(bytes) {
        Err(JsonError::Syntax(at)) => {
            let line = bytes[..at.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
            let rest = &bytes[at.min(bytes.len())..];
            let word =
                [&b"NaN"[..], b"Infinity", b"-Infinity"].into_iter().find(|word| rest.starts_with(word));
            let row = format!("line {line}");
            match word.map(String::from_utf8_lossy) {
                Some(word) => Refused::at(&row, Why::NotANumber(word.into_owned())),
                None => Refused::at(&row, Why::Syntax(format!("not JSON at byte {at}"))),
            }
        }
        Err(other) => other.into(),
        Ok(_) => Refused::whole(Why::Unknown),
    }
}

/// Reads one of the kinds that [`look`] tells apart.
pub(crate) fn read(kind: SourceKind, bytes: &[u8], zone: &Zone) -> Result<Document, Refused> {
    let value = Value::parse(bytes)?;
    let mut document = Document::new(kind, bytes);
    let top = Row::of("", &value)?;
    match kind {
        SourceKind::Positions | SourceKind::TrailingStops => {
            let stop = if kind == SourceKind::Positions { "stop_price" } else { "stop_loss" };
            positions(&top, stop, &mut document, zone)?;
        }
        SourceKind::StopState => {
            let Some(rows) = top.get("positions") else {
                return Err(top.refuse(Why::Missing("positions".to_owned())));
            };
            positions(&Row::of("positions", rows)?, "stop_price", &mut document, zone)?;
        }
        SourceKind::BotStatus => status(&top, &mut document)?,
        SourceKind::Settings => settings::read(&top, &mut document)?,
        SourceKind::TradeLog | SourceKind::Database | SourceKind::Dotenv => {
            return Err(Refused::whole(Why::Unknown));
        }
    }
    Ok(document)
}

fn positions(rows: &Row<'_>, stop: &str, document: &mut Document, zone: &Zone) -> Result<(), Refused> {
    for (id, value) in rows.members() {
        let row = Row::of(id, value)?;
        let other = if stop == "stop_price" { "stop_loss" } else { "stop_price" };
        if row.get(other).is_some() {
            return Err(row.refuse(Why::Contradictory(format!("{other} stands where {stop} is expected"))));
        }
        document.rows += 1;
        let found = Found {
            row: id.to_owned(),
            id,
            symbol: row.text("symbol")?,
            side: match row.get("side") {
                Some(_) => Some(row.text("side")?),
                None => None,
            },
            quantity: row.must("amount")?,
            entry: row.must("entry_price")?,
            stop: row.positive(stop)?,
            highest: row.positive("highest_price")?,
            trail: row.figure("trailing_percent")?,
            opened: row.get("created_at").and_then(Value::text),
            epoch: epoch_of(id),
        };
        found.judge(document, zone)?;
    }
    document.parts.push(("positions".to_owned(), document.rows));
    Ok(())
}

fn status(row: &Row<'_>, document: &mut Document) -> Result<(), Refused> {
    document.rows = 1;
    match row.get("trading_enabled") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            let claim = Claim::TradingDisabled;
            document.claims.push(ClaimRow { row: Text::new("trading_enabled"), claim });
        }
        Some(_) | None => {
            return Err(row.refuse(Why::Syntax("trading_enabled is neither true nor false".to_owned())));
        }
    }
    settings::limits(row, settings::STATUS, document)?;
    if let Some(balance) = row.figure("balance")? {
        let what = format!("balance {} is what the old bot was told, and no balance", balance.value);
        document.note("balance", &what);
    }
    Ok(())
}
