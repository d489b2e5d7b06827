//! A venue snapshot in files, as the exchange answers: balances, open orders, trades; and what a state differs from it in.
//!
//! It reads the members it needs and ignores others. What it cannot read it refuses by name, so that half a snapshot is
//! never taken for a whole one.

use crate::diff::Difference;
use aegis_model::{AssetId, Fixed, Label, OrderId, Quantity, Side};
use aegis_projection::State;
use aegis_projection::state::Order;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the venue said. A part that no file held is not compared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// By asset: all of it, and what is reserved.
    pub balances: Option<BTreeMap<String, (Quantity, Quantity)>>,
    /// Open orders.
    pub orders: Option<Vec<OpenOrder>>,
    /// Trades.
    pub trades: Option<Vec<Traded>>,
}

/// An open order of the snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOrder {
    /// The venue's id.
    pub id: String,
    /// The client order id, if it has one.
    pub client: Option<String>,
    /// The instrument's name.
    pub instrument: String,
    /// Buy or sell.
    pub side: Side,
    /// Base quantity ordered.
    pub quantity: Quantity,
    /// Of it, filled.
    pub filled: Quantity,
}

/// A trade of the snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Traded {
    /// The venue's ids of the execution; either may be what the journal knows it by.
    pub ids: Vec<String>,
    /// The venue's id of its order.
    pub order: String,
    /// The instrument's name.
    pub instrument: String,
    /// Buy or sell.
    pub side: Side,
    /// Base quantity.
    pub quantity: Quantity,
    /// Price, as it was written.
    pub price: String,
}

impl Snapshot {
    /// Takes in the text of one file: a reply of the exchange, or a list of them. Replies of one kind replace each other.
    ///
    /// # Errors
    /// In words: what is not JSON, not a reply, refused by the exchange, or lacks a member.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let whole: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        match whole.as_array() {
            Some(replies) => replies.iter().try_for_each(|reply| self.reply(reply)),
            None => self.reply(&whole),
        }
    }

    fn reply(&mut self, reply: &Value) -> Result<(), String> {
        let method = reply
            .get("method")
            .and_then(Value::as_str)
            .ok_or("no \"method\": not a reply of the exchange")?;
        if reply.get("code").is_some_and(|code| *code != 0 && *code != "0") {
            return Err(format!(
                "{method} was answered with code {}: it holds nothing to compare",
                reply["code"]
            ));
        }
        let data = reply.pointer("/result/data").and_then(Value::as_array);
        let rows = data.ok_or_else(|| format!("{method}: no result.data"))?;
        match method {
            "private/user-balance" => self.balances = Some(balances(rows)?),
            "private/get-open-orders" => {
                self.orders = Some(rows.iter().map(order).collect::<Result<_, _>>()?)
            }
            "private/get-trades" => self.trades = Some(rows.iter().map(trade).collect::<Result<_, _>>()?),
            other => {
                return Err(format!(
                    "{other}: a snapshot has private/user-balance, private/get-open-orders and private/get-trades"
                ));
            }
        }
        Ok(())
    }
}

/// A member that is text, or a number taken as it was written.
fn text(row: &Value, name: &str) -> Result<String, String> {
    match row.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            Err(format!("a row without {name:?}: {row}"))
        }
    }
}

fn quantity(row: &Value, name: &str) -> Result<Quantity, String> {
    let text = text(row, name)?;
    let number: Result<Fixed, _> = text.parse();
    number.map(Quantity).map_err(|e| format!("{name} {text:?}: {e}"))
}

fn side(row: &Value) -> Result<Side, String> {
    match text(row, "side")?.as_str() {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        other => Err(format!("side {other:?}")),
    }
}

fn balances(rows: &[Value]) -> Result<BTreeMap<String, (Quantity, Quantity)>, String> {
    let mut out = BTreeMap::new();
    for row in rows {
        let list = row
            .get("position_balances")
            .and_then(Value::as_array)
            .ok_or("a balance without position_balances")?;
        for asset in list {
            let both = (quantity(asset, "quantity")?, quantity(asset, "reserved_qty")?);
            out.insert(text(asset, "instrument_name")?, both);
        }
    }
    Ok(out)
}

fn order(row: &Value) -> Result<OpenOrder, String> {
    Ok(OpenOrder {
        id: text(row, "order_id")?,
        client: text(row, "client_oid").ok().filter(|id| !id.is_empty()),
        instrument: text(row, "instrument_name")?,
        side: side(row)?,
        quantity: quantity(row, "quantity")?,
        filled: quantity(row, "cumulative_quantity")?,
    })
}

fn trade(row: &Value) -> Result<Traded, String> {
    let ids =
        ["trade_match_id", "trade_id"].iter().filter_map(|name| text(row, name).ok()).collect::<Vec<_>>();
    if ids.is_empty() {
        return Err(format!("a trade without an id: {row}"));
    }
    Ok(Traded {
        ids,
        order: text(row, "order_id")?,
        instrument: text(row, "instrument_name")?,
        side: side(row)?,
        quantity: quantity(row, "traded_quantity")?,
        price: text(row, "traded_price")?,
    })
}

/// What a state differs from the venue in. The left side is the journal, the right one the venue.
pub fn compare(state: &State, venue: &Snapshot) -> Vec<Difference> {
    let mut out = Vec::new();
    if let Some(balances) = &venue.balances {
        compare_balances(state, balances, &mut out);
    }
    if let Some(orders) = &venue.orders {
        compare_orders(state, orders, &mut out);
    }
    for trade in venue.trades.iter().flatten().filter(|trade| !is_known(state, trade)) {
        out.push(Difference {
            place: format!("trade {}", trade.ids[0]),
            left: None,
            right: Some(format!(
                "{} {} {} at {}, order {}",
                trade.side, trade.quantity, trade.instrument, trade.price, trade.order
            )),
        });
    }
    out
}

/// What the journal says is there of an asset, and of what that consists.
fn there(state: &State, id: AssetId) -> (Quantity, String) {
    let Some(asset) = state.asset(id) else { return (Quantity::ZERO, String::new()) };
    let account = asset.balance.and_then(|b| b.total.plus(asset.since).ok()).unwrap_or(asset.since);
    if asset.base_of.is_empty() {
        return (account, String::new());
    }
    let mut sum = asset.quarantined;
    let mut parts = Vec::new();
    let mut add = |what: String, quantity: Quantity| {
        if !quantity.is_zero() {
            sum = sum.plus(quantity).unwrap_or(sum);
            parts.push(format!("{what} {quantity}"));
        }
    };
    for instrument in asset.base_of.iter().filter_map(|id| state.instrument(*id)) {
        add(format!("position {}", instrument.spec.name), instrument.held());
        add(format!("dust of {}", instrument.spec.name), instrument.dust.quantity);
    }
    if !asset.quarantined.is_zero() {
        parts.push(format!("quarantine {}", asset.quarantined));
    }
    (sum, if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) })
}

fn compare_balances(
    state: &State,
    balances: &BTreeMap<String, (Quantity, Quantity)>,
    out: &mut Vec<Difference>,
) {
    let mut known = Vec::new();
    for (at, asset) in state.assets.iter().enumerate() {
        let name = asset.name.to_string();
        let (ours, parts) = there(state, AssetId(u16::try_from(at).unwrap_or(u16::MAX)));
        let theirs = balances.get(&name).map_or(Quantity::ZERO, |(total, _)| *total);
        if ours != theirs {
            let difference = theirs.minus(ours).unwrap_or(Quantity::ZERO);
            let how = if difference.is_negative() { "less" } else { "more" };
            out.push(Difference {
                place: format!("balance {name}"),
                left: Some(format!("{ours}{parts}")),
                right: Some(format!("{theirs}, {} {how}", difference.abs())),
            });
        }
        known.push(name);
    }
    for (name, (total, _)) in
        balances.iter().filter(|(name, (total, _))| !known.contains(name) && !total.is_zero())
    {
        out.push(Difference { place: format!("balance {name}"), left: None, right: Some(total.to_string()) });
    }
}

fn compare_orders(state: &State, orders: &[OpenOrder], out: &mut Vec<Difference>) {
    let matches = |ours: &Order, theirs: &OpenOrder| {
        ours.venue_order.is_some_and(|v| v.0.as_str() == theirs.id)
            || theirs.client.as_deref() == Some(ours.client.to_string().as_str())
    };
    let said = |id: &OrderId, o: &Order| {
        let name = state.instrument(o.instrument).map_or(Label::EMPTY, |i| i.spec.name);
        (
            format!("order {id}"),
            format!("{} {} {name}, {}, {} filled", o.side, o.quantity, o.status, o.filled),
        )
    };
    for (id, ours) in state.orders.iter() {
        let (place, words) = said(id, ours);
        match orders.iter().find(|theirs| matches(ours, theirs)) {
            None => out.push(Difference { place, left: Some(words), right: None }),
            Some(theirs) if theirs.filled != ours.filled || theirs.quantity != ours.quantity => {
                out.push(Difference {
                    place,
                    left: Some(words),
                    right: Some(format!("{} {}, {} filled", theirs.side, theirs.quantity, theirs.filled)),
                });
            }
            Some(_) => {}
        }
    }
    for theirs in orders.iter().filter(|theirs| !state.orders.values().any(|ours| matches(ours, theirs))) {
        let client = theirs.client.as_ref().map_or(String::new(), |c| format!(", client order id {c}"));
        out.push(Difference {
            place: format!("open order {}", theirs.id),
            left: None,
            right: Some(format!(
                "{} {} {}, {} filled{client}",
                theirs.side, theirs.quantity, theirs.instrument, theirs.filled
            )),
        });
    }
}

/// Whether a trade is in the books, under either of its ids. Books remember thirty days; an older trade shows as unknown.
fn is_known(state: &State, trade: &Traded) -> bool {
    let Ok(name) = Label::from_bytes(trade.instrument.as_bytes()) else { return false };
    let Some(id) = state.find_instrument(&name) else { return false };
    trade.ids.iter().any(|text| {
        Label::from_bytes(text.as_bytes())
            .is_ok_and(|label| state.knows_trade(id, &aegis_model::TradeId(label)).is_some())
    })
}

#[cfg(test)]
mod tests;
