//! The tables of the old bot's branches, told apart by their columns, and what each branch got wrong in them.

use super::{DbRow, Tables};
use crate::ledger::{self, Fill};
use crate::lines::side;
use crate::row::{Found, instrument, short};
use crate::{Document, Refused, Why};
use aegis_cryptocom::json::Value;
use aegis_model::claim::{Claim, ClaimRow, Dispute, DisputeKind, TradeClaim};
use aegis_model::{Fixed, Label, Money, Price, Quantity, Rounding, Side, Text};
use std::collections::BTreeMap;

/// Fills of each instrument, in order.
type Fills = BTreeMap<Label, Vec<Fill>>;

/// Reads what is known by its columns.
pub(crate) fn read(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    if tables.has("positions", &["position_id", "stop_price", "trailing_stop_pct", "metadata"]) {
        return successor(tables, document);
    }
    if tables.has("orders", &["order_id", "pair", "amount", "filled_at"]) {
        return lots(tables, document);
    }
    if tables.has("orders", &["order_id", "symbol", "filled_quantity", "status"]) {
        return cumulative(tables, document);
    }
    if tables.has("orders", &["id", "symbol", "side", "cost", "status"]) {
        return forgotten(tables, document);
    }
    if tables.has("portfolio_state", &["total_equity", "available_balance"]) {
        return portfolio(tables, document);
    }
    if tables.has("trades", &["symbol", "pair", "side", "status"]) {
        return history(tables, document);
    }
    Ok(())
}

fn pair(row: &DbRow, column: &str) -> Result<Label, Refused> {
    let text = row.must_text(column)?;
    instrument(text).ok_or_else(|| row.refuse(Why::Syntax(format!("{column} {:?} is no pair", short(text)))))
}

fn dispute(
    row: &str,
    kind: DisputeKind,
    instrument: Label,
    claimed: Fixed,
    found: Fixed,
    detail: &str,
) -> Dispute {
    Dispute { row: Text::new(row), kind, instrument, claimed, found, detail: Text::new(detail) }
}

/// A fill as a claim of history, and among the fills that are summed.
fn fill(
    row: &DbRow,
    (instrument, id): (Label, &str),
    (quantity, price): (&str, &str),
    (profit, time): (Option<&str>, Option<&str>),
    (document, fills): (&mut Document, &mut Fills),
    tables: &Tables<'_>,
) -> Result<(), Refused> {
    let Some(side) = side(row.must_text("side")?) else {
        return Err(row.refuse(Why::Syntax("side is neither buy nor sell".to_owned())));
    };
    let (quantity, price) = (Quantity(row.must(quantity)?.value), Price(row.must(price)?.value));
    let profit = match profit {
        Some(column) => row.figure(column)?.map(|figure| Money(figure.value)),
        None => None,
    };
    let time = match time {
        Some(column) => row.text(column)?.and_then(|text| tables.zone.moment(text)),
        None => None,
    };
    fills.entry(instrument).or_default().push(Fill { side, quantity, price });
    let claim = TradeClaim { instrument, id: Text::new(id), side, quantity, price, profit, time };
    document.claims.push(ClaimRow { row: Text::new(&row.at), claim: Claim::Trade(claim) });
    Ok(())
}

/// What positions claim of each instrument so far.
fn claimed(document: &Document) -> BTreeMap<Label, Quantity> {
    let mut sums: BTreeMap<Label, Quantity> = BTreeMap::new();
    for row in &document.claims {
        if let Claim::Position(position) = &row.claim {
            let sum = sums.entry(position.instrument).or_default();
            *sum = sum.plus(position.quantity).unwrap_or(*sum);
        }
    }
    sums
}

/// Where the fills of a file leave another holding than its positions name.
fn compare(fills: &Fills, document: &mut Document) -> Result<(), Refused> {
    let named = claimed(document);
    for (name, fills) in fills {
        let sums =
            ledger::sum(fills).map_err(|_| Refused::whole(Why::Impossible(format!("the sum of {name}"))))?;
        let positions = named.get(name).copied().unwrap_or_default();
        if sums.net != positions {
            let count = |side| fills.iter().filter(|fill| fill.side == side).count();
            let detail = format!(
                "{} buys less {} sells leave {} of {name}; its positions name {positions}",
                count(Side::Buy),
                count(Side::Sell),
                sums.net
            );
            let kind = DisputeKind::HoldingForgotten;
            document.disputes.push(dispute("positions", kind, *name, positions.0, sums.net.0, &detail));
        }
    }
    Ok(())
}

/// `data/trading.db`: orders that were filled when closed, sells again in `trades` with a profit, positions deleted.
fn forgotten(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    let mut fills = Fills::new();
    // The key of an order is a text: its time is what orders the fills.
    for row in tables.rows_by("orders", "created_at")? {
        if row.must_text("status")? != "closed" {
            continue;
        }
        let of = (pair(&row, "symbol")?, row.must_text("id")?);
        let sums = (&mut *document, &mut fills);
        fill(&row, of, ("amount", "price"), (None, Some("created_at")), sums, tables)?;
    }
    for row in tables.rows("positions")? {
        position(&row, ("symbol", "created_at"), document, tables)?;
    }
    compare(&fills, document)?;
    let mut stated: BTreeMap<Label, Money> = BTreeMap::new();
    for row in tables.rows("trades")? {
        let name = pair(&row, "symbol")?;
        if let Some(profit) = row.figure("pnl")? {
            let sum = stated.entry(name).or_default();
            *sum = sum.plus(Money(profit.value)).unwrap_or(*sum);
        }
    }
    for (name, stated) in stated {
        let empty = Vec::new();
        let sums = ledger::sum(fills.get(&name).unwrap_or(&empty));
        let sums = sums.map_err(|_| Refused::whole(Why::Impossible(format!("the sum of {name}"))))?;
        if sums.fifo != stated && sums.average != stated {
            let detail = format!(
                "the table states a profit of {stated}; its own fills make {} first in, first out, and {} at average \
                 cost, as aegis counts",
                sums.fifo, sums.average
            );
            let kind = DisputeKind::ProfitDiffers;
            document.disputes.push(dispute("trades", kind, name, stated.0, sums.fifo.0, &detail));
        }
    }
    Ok(())
}

/// A row of a positions table.
fn position(
    row: &DbRow,
    (symbol, opened): (&str, &str),
    document: &mut Document,
    tables: &Tables<'_>,
) -> Result<(), Refused> {
    let found = Found {
        row: row.at.clone(),
        id: row.at.split_once(' ').map_or("", |(_, id)| id),
        symbol: row.must_text(symbol)?,
        side: row.text("side")?,
        quantity: row.must("amount")?,
        entry: row.must("entry_price")?,
        stop: row.positive("stop_loss")?,
        highest: None,
        trail: row.figure("trailing_stop")?,
        opened: row.text(opened)?,
        epoch: None,
    };
    found.judge(document, tables.zone)
}

/// `data/positions.db` of branch 1399: a balance that never noticed what was bought with it.
fn portfolio(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    let mut held = Money::ZERO;
    for row in tables.rows("positions")? {
        position(&row, ("symbol", "entry_time"), document, tables)?;
        let (price, quantity) = (Price(row.must("entry_price")?.value), Quantity(row.must("amount")?.value));
        let value = price.times(quantity, Rounding::HalfEven).and_then(|value| held.plus(value));
        held = value.map_err(|_| row.refuse(Why::Impossible("the value of what is held".to_owned())))?;
    }
    for row in tables.rows("portfolio_state")? {
        let (equity, available) = (row.must("total_equity")?.value, row.figure("available_balance")?);
        let available = available.map_or(Fixed::ZERO, |figure| figure.value);
        document.note(&row.at, &format!("equity {equity}, available {available}: told, and no balance"));
        let left = equity.minus(held.0).unwrap_or(equity);
        if held.is_positive() && available > left {
            let detail = format!(
                "{held} is held by its own positions, and {available} of {equity} is called available"
            );
            let kind = DisputeKind::BalanceImpossible;
            document.disputes.push(dispute(&row.at, kind, Label::EMPTY, available, held.0, &detail));
        }
    }
    Ok(())
}

/// `trading_engine.db` of branch 9c60: rows of positions repeat a growing total, and an order that was filled is called
/// cancelled.
fn cumulative(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    let mut fills = Fills::new();
    for row in tables.rows_by("orders", "created_at")? {
        let Some(filled) = row.figure("filled_quantity")?.filter(|filled| !filled.value.is_zero()) else {
            continue;
        };
        let (status, quantity) = (row.must_text("status")?, row.must("quantity")?);
        let name = pair(&row, "symbol")?;
        let of = (name, row.must_text("order_id")?);
        let columns = ("filled_quantity", "average_price");
        fill(&row, of, columns, (None, Some("created_at")), (&mut *document, &mut fills), tables)?;
        if status == "CANCELLED" && filled.value >= quantity.value {
            let detail = format!("order {} was filled whole and is called cancelled: it is a fill", of.1);
            let kind = DisputeKind::StatusContradictsFill;
            document.disputes.push(dispute(&row.at, kind, name, Fixed::ZERO, filled.value, &detail));
        }
    }
    let mut last: BTreeMap<Label, (DbRow, Vec<Quantity>)> = BTreeMap::new();
    for row in tables.rows("positions")? {
        let name = pair(&row, "symbol")?;
        let quantity = Quantity(row.must("quantity")?.value);
        let mut seen = last.remove(&name).map_or_else(Vec::new, |(_, seen)| seen);
        seen.push(quantity);
        last.insert(name, (row, seen));
    }
    for (name, (row, seen)) in last {
        let found = Found {
            row: row.at.clone(),
            id: row.at.split_once(' ').map_or("", |(_, id)| id),
            symbol: row.must_text("symbol")?,
            side: None,
            quantity: row.must("quantity")?,
            entry: row.must("average_price")?,
            stop: None,
            highest: None,
            trail: None,
            opened: row.text("created_at")?,
            epoch: None,
        };
        let taken = found.quantity.value;
        found.judge(document, tables.zone)?;
        if seen.len() > 1 {
            let sum = ledger::total(seen.iter().copied());
            let detail = format!(
                "{} rows of {name} repeat a growing total: the last is taken, {taken}, not their sum, {sum}",
                seen.len()
            );
            let kind = DisputeKind::RowsCumulative;
            document.disputes.push(dispute(&row.at, kind, name, sum.0, taken, &detail));
        }
    }
    compare(&fills, document)
}

/// `trading_engine.db` of branch 6151: lots, some bought twice, some never entered.
fn lots(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    let mut open = Vec::new();
    for row in tables.rows("positions")? {
        if row.must_text("status")? != "open" {
            continue;
        }
        position(&row, ("pair", "opened_at"), document, tables)?;
        let quantity = row.must("amount")?.value;
        open.push((pair(&row, "pair")?, quantity, row.must_text("opened_at")?.to_owned()));
    }
    let mut orders = Vec::new();
    let mut fills = Fills::new();
    for row in tables.rows_by("orders", "filled_at")? {
        if row.must_text("status")? != "filled" {
            continue;
        }
        let name = pair(&row, "pair")?;
        let of = (name, row.must_text("order_id")?);
        fill(&row, of, ("amount", "price"), (None, Some("filled_at")), (&mut *document, &mut fills), tables)?;
        if side(row.must_text("side")?) == Some(Side::Buy) {
            let at = row.text("filled_at")?.unwrap_or_default().to_owned();
            orders.push((name, row.must("amount")?.value, at, of.1.to_owned(), row.at.clone()));
        }
    }
    // Each position is the youngest order like it that is not younger than itself.
    for (name, quantity, opened) in &open {
        let like = |order: &&(Label, Fixed, String, String, String)| {
            order.0 == *name && order.1 == *quantity && order.2 <= *opened
        };
        let taken = orders.iter().filter(like).max_by(|a, b| a.2.cmp(&b.2)).map(|order| order.4.clone());
        orders.retain(|order| Some(&order.4) != taken.as_ref());
    }
    // What was sold again needs no position.
    let sold = |name: &Label| fills[name].iter().filter(|fill| fill.side == Side::Sell).count();
    for (name, quantity, _, id, at) in &orders {
        if sold(name) == 0 {
            let detail = format!("order {id} bought {quantity} and belongs to no position");
            let kind = DisputeKind::OrderWithoutPosition;
            document.disputes.push(dispute(at, kind, *name, Fixed::ZERO, *quantity, &detail));
        }
    }
    Ok(())
}

/// `data/databases/trading.db`: tests, wishes and executions in one table; only what was executed is history.
fn history(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    let mut fills = Fills::new();
    for row in tables.rows_by("trades", "timestamp")? {
        if row.must_text("status")? != "executed" {
            continue;
        }
        let name = pair(&row, "pair")?;
        if pair(&row, "symbol")? != name {
            return Err(row.refuse(Why::Contradictory("symbol and pair name two instruments".to_owned())));
        }
        let id = row.at.split_once(' ').map_or("", |(_, id)| id);
        let sums = (&mut *document, &mut fills);
        fill(&row, (name, id), ("amount", "price"), (None, Some("timestamp")), sums, tables)?;
    }
    compare(&fills, document)
}

/// `positions.db` of the successor: the stop stands in the row and in none of its events.
fn successor(tables: &Tables<'_>, document: &mut Document) -> Result<(), Refused> {
    for row in tables.rows("positions")? {
        if row.must_text("status")? != "OPEN" {
            continue;
        }
        let initial = row.text("metadata")?.and_then(initial_stop);
        let stop = match row.positive("stop_price")? {
            Some(stop) => Some(stop),
            None => initial,
        };
        let symbol = row.must_text("symbol")?;
        let side = row.text("side")?;
        let found = Found {
            row: row.at.clone(),
            id: row.must_text("position_id")?,
            symbol,
            side,
            quantity: row.must("amount")?,
            entry: row.must("entry_price")?,
            stop,
            highest: None,
            trail: row.figure("trailing_stop_pct")?,
            opened: row.text("opened_at")?,
            epoch: None,
        };
        found.judge(document, tables.zone)?;
        let name = instrument(symbol).unwrap_or_default();
        if side == Some("long") {
            let detail = "its program takes a profit of side \"long\" for a loss, and a loss for a profit";
            let kind = DisputeKind::SideMisread;
            document.disputes.push(dispute(&row.at, kind, name, Fixed::ZERO, Fixed::ZERO, detail));
        }
    }
    Ok(())
}

/// The first stop that the successor keeps in a position's metadata where the row has none.
fn initial_stop(metadata: &str) -> Option<crate::Figure> {
    let value = Value::parse(metadata.as_bytes()).ok()?;
    let inner = value.get("metadata").unwrap_or(&value);
    match inner.get("initial_stop")? {
        Value::Number(digits) => crate::figure(digits).filter(|figure| figure.value.is_positive()),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
