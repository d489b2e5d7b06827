//! A snapshot of the exchange from files: its answers as they were saved, which say what is held and what was traded.

use crate::row::Row;
use crate::{Refused, Why, figure};
use aegis_cryptocom::json::Value;
use aegis_model::event::Fee;
use aegis_model::input::{Trade, VenueBalance};
use aegis_model::{
    Answer, AssetId, InstrumentId, Label, Price, Quantity, Side, Timestamp, TradeId, VenueOrderId,
    VenueSnapshot,
};
use std::collections::BTreeMap;

/// An execution as the exchange lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VenueTrade {
    /// The exchange's id of it.
    pub trade: TradeId,
    /// The exchange's id of its order.
    pub order: VenueOrderId,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// Execution price.
    pub price: Price,
    /// Base quantity.
    pub quantity: Quantity,
    /// The fee's asset and amount; positive when it was paid.
    pub fee: (Label, Quantity),
    /// When.
    pub executed: Timestamp,
}

/// What the answers of the exchange say together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Venue {
    /// Total and reserved by asset; none while no answer told balances, which is not "nothing is held".
    pub balances: Option<BTreeMap<Label, (Quantity, Quantity)>>,
    /// Executions.
    pub trades: Option<Vec<VenueTrade>>,
    /// How many orders are open.
    pub open_orders: Option<usize>,
}

impl Venue {
    /// What is held of an asset; none while no answer told balances.
    pub fn held(&self, asset: &str) -> Option<Quantity> {
        let balances = self.balances.as_ref()?;
        Some(balances.iter().find(|(name, _)| name.as_str() == asset).map_or(Quantity::ZERO, |(_, b)| b.0))
    }

    /// The same as a full listing, in a journal's numbers; what the journal does not list is left out. What was not told
    /// is not asked, which is not "nothing".
    pub fn snapshot(
        &self,
        number: u64,
        requested: Timestamp,
        instrument: impl Fn(&Label) -> Option<InstrumentId>,
        asset: impl Fn(&Label) -> Option<AssetId>,
    ) -> VenueSnapshot {
        let trade = |t: &VenueTrade| {
            Some(Trade {
                trade: t.trade,
                instrument: instrument(&t.instrument)?,
                client: None,
                venue_order: Some(t.order),
                side: t.side,
                price: t.price,
                quantity: t.quantity,
                fee: asset(&t.fee.0).map(|asset| Fee { asset, amount: t.fee.1 }),
                executed: t.executed,
            })
        };
        let balances = self.balances.as_ref().map(|balances| {
            let of = |(asset, (total, reserved)): (&Label, &(Quantity, Quantity))| VenueBalance {
                asset: *asset,
                total: *total,
                reserved: *reserved,
            };
            balances.iter().map(of).collect()
        });
        let trades = self.trades.as_ref().map(|trades| trades.iter().filter_map(trade).collect());
        // Rows of open orders are not read: that there is none is all that can be told.
        let no_orders = self.open_orders.filter(|open| *open == 0).map(|_| Vec::new());
        VenueSnapshot {
            number,
            requested,
            balances: balances.map_or(Answer::NotAsked, Answer::Complete),
            open_orders: no_orders.clone().map_or(Answer::NotAsked, Answer::Complete),
            // Nothing says when the answers were saved.
            orders_at: Timestamp::EPOCH,
            ended_orders: no_orders.map_or(Answer::NotAsked, Answer::Complete),
            trades: trades.map_or(Answer::NotAsked, Answer::Complete),
            flows: Answer::Complete(Vec::new()),
            trades_from: Timestamp::EPOCH,
            trades_through: requested,
        }
    }

    /// Adds an answer.
    ///
    /// # Errors
    /// [`Refused`] when it is no answer of balances, trades or open orders, when its code is not 0, or when one of its
    /// kind is there already.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let value = Value::parse(bytes)?;
        let top = Row::of("", &value)?;
        if top.get("code").and_then(Value::whole) != Some(0) {
            return Err(
                top.refuse(Why::Impossible("an answer whose code is not 0 tells nothing: it".to_owned()))
            );
        }
        let Some(Value::Array(data)) = top.get("result").and_then(|result| result.get("data")) else {
            return Err(top.refuse(Why::Missing("result.data".to_owned())));
        };
        let twice = |what: &str| {
            Refused::whole(Why::Contradictory(format!("{what} were told by another file already")))
        };
        match top.text("method")? {
            "private/user-balance" if self.balances.is_some() => Err(twice("balances")),
            "private/get-trades" if self.trades.is_some() => Err(twice("trades")),
            "private/get-open-orders" if self.open_orders.is_some() => Err(twice("open orders")),
            "private/user-balance" => {
                let mut balances = BTreeMap::new();
                for account in data {
                    let Some(Value::Array(rows)) = account.get("position_balances") else {
                        return Err(top.refuse(Why::Missing("position_balances".to_owned())));
                    };
                    for (at, row) in rows.iter().enumerate() {
                        let row = Row::of(&format!("balance {}", at + 1), row)?;
                        let balance =
                            (Quantity(number(&row, "quantity")?), Quantity(number(&row, "reserved_qty")?));
                        balances.insert(label(&row, "instrument_name")?, balance);
                    }
                }
                self.balances = Some(balances);
                Ok(())
            }
            "private/get-trades" => {
                let rows = data
                    .iter()
                    .enumerate()
                    .map(|(at, row)| trade(&Row::of(&format!("trade {}", at + 1), row)?));
                self.trades = Some(rows.collect::<Result<_, _>>()?);
                Ok(())
            }
            "private/get-open-orders" => {
                self.open_orders = Some(data.len());
                Ok(())
            }
            _ => Err(Refused::whole(Why::Unknown)),
        }
    }
}

fn number(row: &Row<'_>, name: &str) -> Result<aegis_model::Fixed, Refused> {
    let digits =
        row.get(name).and_then(Value::digits).ok_or_else(|| row.refuse(Why::Missing(name.to_owned())))?;
    let read = figure(digits).filter(|figure| !figure.cut);
    read.map(|figure| figure.value).ok_or_else(|| row.refuse(Why::NotANumber(name.to_owned())))
}

fn label(row: &Row<'_>, name: &str) -> Result<Label, Refused> {
    row.text(name)?.parse().map_err(|_| row.refuse(Why::Syntax(name.to_owned())))
}

fn trade(row: &Row<'_>) -> Result<VenueTrade, Refused> {
    let side = match row.text("side")? {
        "BUY" => Side::Buy,
        "SELL" => Side::Sell,
        _ => return Err(row.refuse(Why::Syntax("side".to_owned()))),
    };
    let executed = row
        .text("create_time_ns")?
        .parse()
        .map_err(|_| row.refuse(Why::Syntax("create_time_ns".to_owned())))?;
    Ok(VenueTrade {
        trade: TradeId(label(row, "trade_id")?),
        order: VenueOrderId(label(row, "order_id")?),
        instrument: label(row, "instrument_name")?,
        side,
        price: Price(number(row, "traded_price")?),
        quantity: Quantity(number(row, "traded_quantity")?),
        fee: (label(row, "fee_instrument_name")?, Quantity(number(row, "fees")?).negated()),
        executed: Timestamp(executed),
    })
}
