//! Questions and their answers: rows, trades, lookups, listings.
//!
//! It never changes anything.

use crate::input::{Found, Listing, VenueEffect, VenueFlow, VenueRow, VenueTrade};
use crate::order::{digits, order_id};
use crate::venue::Venue;
use aegis_model::input::{Answer, Scope, VenueBalance};
use aegis_model::{AssetId, InstrumentId, Label, OrderKind, Price, Quantity, Side, Timestamp, TradeId};
use alloc::vec::Vec;

impl Venue {
    /// An order's row as it stands, by its number.
    pub(crate) fn row(&self, number: u64) -> Option<VenueRow> {
        let order = self.state.orders.get(&number)?;
        let price = match order.kind {
            OrderKind::Market => None,
            OrderKind::Limit { price, .. } => Some(price),
            OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => Some(trigger),
        };
        Some(VenueRow {
            client: order.client,
            venue_order: order_id(number),
            instrument: self.instrument_name(order.instrument),
            side: order.side,
            kind: order.kind,
            status: order.status,
            price,
            quantity: order.quantity,
            cumulative: order.cumulative,
            value: order.value,
            fee: order.fee,
            code: order.code,
            created: order.created,
            updated: order.updated,
        })
    }

    /// An execution as it is listed, by its number.
    pub(crate) fn trade_row(&self, number: u64) -> Option<VenueTrade> {
        let trade = self.state.trades.get(&number)?;
        let order = self.state.orders.get(&trade.order)?;
        Some(VenueTrade {
            trade: TradeId(digits(number)),
            client: order.client,
            venue_order: order_id(trade.order),
            instrument: self.instrument_name(order.instrument),
            side: order.side,
            price: trade.price,
            quantity: trade.quantity,
            value: trade.value,
            fee_asset: self.asset_name(trade.fee_asset),
            fee: trade.fee,
            liquidity: trade.liquidity,
            executed: trade.executed,
        })
    }

    fn instrument_name(&self, id: InstrumentId) -> Label {
        self.state.instrument_name(id).unwrap_or_default()
    }

    fn asset_name(&self, id: AssetId) -> Label {
        self.state.assets.get(&id).map(|holding| holding.name).unwrap_or_default()
    }

    /// An order with all its trades, by client order id; none when it definitely does not exist.
    pub fn find(&self, client: Label) -> Option<Found> {
        let number = *self.state.clients.get(&client)?;
        let trades = self.state.order_trades.range((number, 0)..=(number, u64::MAX));
        let trades = trades.filter_map(|(_, trade)| self.trade_row(*trade)).collect();
        self.row(number).map(|row| Found { row, trades })
    }

    /// An order's row by its number; its venue order id is that number in decimal digits.
    pub fn order_row(&self, number: u64) -> Option<VenueRow> {
        self.row(number)
    }

    /// The trades of an order, in order.
    pub fn order_trades(&self, number: u64) -> Vec<VenueTrade> {
        let trades = self.state.order_trades.range((number, 0)..=(number, u64::MAX));
        trades.filter_map(|(_, trade)| self.trade_row(*trade)).collect()
    }

    /// The number of the order with a client order id.
    pub fn order_of(&self, client: Label) -> Option<u64> {
        self.state.clients.get(&client).copied()
    }

    /// The asset that was chosen to pay an order's fee, if it is not the usual one.
    pub fn fee_choice(&self, number: u64) -> Option<Label> {
        self.state.fee_choices.get(&number).map(|asset| self.asset_name(*asset))
    }

    /// The price at which an order of this side would take now, and what is left there (none for no limit).
    pub fn touch(&self, name: Label, side: Side) -> Option<(Price, Option<Quantity>)> {
        let (id, _) = self.state.instrument(name)?;
        let tick = self.market.tick(id)?;
        let price = crate::market::touch(&tick, side)?;
        let limited = crate::market::shown(&tick, side);
        Some((price, limited.map(|shown| self.fillable(id, side, shown, &tick))))
    }

    /// The prices at which something waits: limits of open orders, triggers, and references of conditional orders.
    pub fn guarded(&self) -> Vec<(Label, Price)> {
        let open = self.state.open.iter().filter_map(|(id, number)| {
            let price = match self.state.orders.get(number)?.kind {
                OrderKind::Limit { price, .. } => price,
                OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => trigger,
                OrderKind::Market => return None,
            };
            Some((self.instrument_name(*id), price))
        });
        let armed = self.state.armed.iter().filter_map(|(id, number)| {
            Some((self.instrument_name(*id), self.state.triggers.get(number)?.reference))
        });
        open.chain(armed).collect()
    }

    /// The mark price of an instrument now.
    pub fn mark_price(&self, name: Label) -> Option<Price> {
        self.state.instrument(name).and_then(|(id, _)| self.market.mark(id))
    }

    /// Balances of every asset that was ever named.
    pub fn balances(&self) -> Vec<VenueBalance> {
        let one = |holding: &crate::state::Holding| VenueBalance {
            asset: holding.name,
            total: holding.total,
            reserved: holding.reserved,
        };
        self.state.holdings().map(one).collect()
    }

    /// Open orders, in order of their number.
    pub fn open_rows(&self) -> Vec<VenueRow> {
        let mut numbers: Vec<u64> = self.state.open.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| self.row(number)).collect()
    }

    /// Orders that ended at or after a time, in order of their end.
    pub fn ended_rows(&self, from: Timestamp) -> Vec<VenueRow> {
        self.state.ended.range((from, 0)..).filter_map(|(_, number)| self.row(*number)).collect()
    }

    /// Executions at or after a time, in order.
    pub fn trade_rows(&self, from: Timestamp) -> Vec<VenueTrade> {
        // Times never fall in a journal, so the wanted ones are the last ones.
        let wanted = self.state.trades.iter().rev().take_while(|(_, trade)| trade.executed >= from);
        let mut rows: Vec<VenueTrade> = wanted.filter_map(|(number, _)| self.trade_row(*number)).collect();
        rows.reverse();
        rows
    }

    /// Deposits and withdrawals at or after a time, in order.
    pub fn flow_rows(&self, from: Timestamp) -> Vec<VenueFlow> {
        let flows = self.state.flows.values().filter(|flow| flow.time >= from);
        let row = |flow: &crate::state::Flow| VenueFlow {
            id: flow.id,
            asset: self.asset_name(flow.asset),
            quantity: flow.quantity,
            time: flow.time,
        };
        flows.map(row).collect()
    }

    pub(crate) fn look_up(&mut self, client: Label, token: u64) {
        let found = self.find(client);
        self.say(VenueEffect::LookedUp { client, token, found });
    }

    pub(crate) fn answer_listing(&mut self, number: u64, scope: Scope, trades_from: Timestamp) {
        let full = scope == Scope::Full;
        let listing = Listing {
            number,
            balances: Answer::Complete(self.balances()),
            open_orders: asked(full, || self.open_rows()),
            ended_orders: asked(full, || self.ended_rows(trades_from)),
            trades: asked(full, || self.trade_rows(trades_from)),
            flows: asked(full, || self.flow_rows(trades_from)),
            trades_from,
            trades_through: self.state.clock,
        };
        self.say(VenueEffect::Listing(listing));
    }
}

fn asked<T>(wanted: bool, answer: impl FnOnce() -> T) -> Answer<T> {
    if wanted { Answer::Complete(answer()) } else { Answer::NotAsked }
}
