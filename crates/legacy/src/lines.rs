//! `trades.jsonl`: one trade a line. A line that was cut off at the end is told and left out; what is wrong elsewhere
//! refuses the file.

use crate::row::{Row, instrument, short};
use crate::{Document, Refused, Why, Zone};
use aegis_cryptocom::json::{JsonError, Value};
use aegis_model::claim::{Claim, ClaimRow, Dispute, DisputeKind, SourceKind, TradeClaim};
use aegis_model::{Fixed, Label, Money, Price, Quantity, Rounding, Side, Text};

/// Whether the first line is a trade by itself.
pub(crate) fn is_log(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Value::parse(line).is_ok_and(|value| value.get("trade_id").is_some() && value.get("symbol").is_some())
}

/// Reads a log of trades.
pub(crate) fn read(bytes: &[u8], zone: &Zone) -> Result<Document, Refused> {
    let mut document = Document::new(SourceKind::TradeLog, bytes);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let last = lines.iter().rposition(|line| !line.trim_ascii().is_empty()).unwrap_or(0);
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let row = format!("line {}", at + 1);
        match Value::parse(line) {
            Ok(value) => {
                document.rows += 1;
                let claim = Claim::Trade(trade(&Row::of(&row, &value)?, zone)?);
                document.claims.push(ClaimRow { row: Text::new(&row), claim });
            }
            // Appending is not atomic: the last line may have been cut off, and no other.
            Err(JsonError::Truncated) if at == last && at > 0 => document.disputes.push(Dispute {
                row: Text::new(&row),
                kind: DisputeKind::RowTorn,
                instrument: Label::EMPTY,
                claimed: Fixed::ZERO,
                found: Fixed::ZERO,
                detail: Text::new("the last line was cut off while it was written; it is left out"),
            }),
            Err(error) => return Err(Refused { row, why: Refused::from(error).why }),
        }
    }
    document.parts.push(("trades".to_owned(), document.rows));
    Ok(document)
}

fn trade(row: &Row<'_>, zone: &Zone) -> Result<TradeClaim, Refused> {
    let symbol = row.text("symbol")?;
    let Some(instrument) = instrument(symbol) else {
        return Err(row.refuse(Why::Syntax(format!("symbol {:?} is no pair", short(symbol)))));
    };
    let (quantity, price) = (Quantity(row.must("amount")?.value), Price(row.must("price")?.value));
    if let Some(value) = row.positive("value")? {
        let product = price
            .times(quantity, Rounding::HalfEven)
            .map_err(|_| row.refuse(Why::Impossible("value".to_owned())))?;
        let off = product.0.minus(value.value).map_or(Fixed::ONE, Fixed::abs);
        // The program computed it in floats and printed seventeen digits.
        if off > product.0.times(Fixed::new(1, 9), Rounding::Ceil).unwrap_or(Fixed::ZERO) {
            let detail = format!("value {} where price times amount is {product}", value.value);
            return Err(row.refuse(Why::Contradictory(detail)));
        }
    }
    Ok(TradeClaim {
        instrument,
        id: Text::new(row.text("trade_id")?),
        side: side(row.text("side")?)
            .ok_or_else(|| row.refuse(Why::Syntax("side is neither buy nor sell".to_owned())))?,
        quantity,
        price,
        profit: row.figure("pnl")?.map(|figure| Money(figure.value)),
        time: zone.moment(row.text("timestamp")?),
    })
}

/// A side in any of the old bot's spellings.
pub(crate) fn side(text: &str) -> Option<Side> {
    match text {
        "buy" | "BUY" => Some(Side::Buy),
        "sell" | "SELL" => Some(Side::Sell),
        _ => None,
    }
}
