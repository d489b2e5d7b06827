//! Orders that follow what is told of them, as somebody saw it at another exchange: what was executed there is executed
//! here at the same price, for the same fee.
//!
//! It never lets an account spend what it does not have, and the market never reaches an order while it follows.

use crate::fact::{
    Liquidity, OrderAccepted, OrderCancelled, OrderExpired, OrderTraded, OrderTriggered, RequestRefused,
};
use crate::input::{Became, Followed, OrderReport, Said, VenueEffect};
use crate::order::code;
use crate::state::Order;
use crate::venue::Venue;
use aegis_model::fixed::Rounding;
use aegis_model::order::RejectClass;
use aegis_model::{Actor, AssetId, Label, Lsn, OrderKind, Price, Quantity, Rate, Side, Text, TimeInForce};

impl Venue {
    /// Accepts an order that follows. The other exchange took it, so that only what this account has is asked about.
    pub(crate) fn follow(&mut self, followed: &Followed) {
        let Followed { client, instrument, side, kind, quantity, hold } = *followed;
        let refused = match self.followable(followed) {
            Err(refused) => refused,
            Ok((instrument, reserved)) => {
                self.record_places(instrument);
                let order = self.next_order();
                let client = Some(client);
                let fact = OrderAccepted { order, client, instrument, side, kind, quantity, hold, reserved };
                self.emit(Actor::Engine, Lsn::NONE, fact);
                self.following.insert(order);
                self.report(order, Said::Accepted);
                self.report_row(order);
                return;
            }
        };
        let (class, code, text) = refused;
        self.refuse_request(client, instrument, class, code, Text::new(text));
    }

    fn followable(
        &self,
        followed: &Followed,
    ) -> Result<(aegis_model::InstrumentId, Quantity), (RejectClass, u32, &'static str)> {
        if self.state.clients.contains_key(&followed.client) {
            let text = "this client order id was used before; the earlier order stands";
            return Err((RejectClass::Duplicate, code::DUPLICATE_CLIENT_ID, text));
        }
        let Some((id, spec)) = self.state.instrument(followed.instrument) else {
            return Err((RejectClass::Permanent, code::UNKNOWN_INSTRUMENT, "no such instrument"));
        };
        let short = (RejectClass::InsufficientBalance, code::INSUFFICIENT_BALANCE, "more than is available");
        if !followed.quantity.is_positive() || followed.hold.is_negative() {
            return Err((RejectClass::Permanent, code::INVALID_QUANTITY, "a quantity is above zero"));
        }
        let (asset, reserved) = match followed.side {
            Side::Buy => {
                let cost = followed.hold.times(followed.quantity, Rounding::Ceil).map_err(|_| short)?;
                (spec.quote, Quantity(cost.0))
            }
            Side::Sell => (spec.base, followed.quantity),
        };
        let holding = self.state.assets.get(&asset);
        let have = holding.and_then(|holding| holding.available().ok()).unwrap_or_default();
        if have < reserved { Err(short) } else { Ok((id, reserved)) }
    }

    /// What became of one.
    pub(crate) fn became(&mut self, client: Label, what: Became) {
        let number = self.state.clients.get(&client).copied();
        let Some((number, order)) = number.and_then(|n| Some((n, self.open_order(n)?))) else { return };
        match what {
            Became::Kept => {
                self.following.insert(number);
                return;
            }
            Became::LetGo => {
                self.following.remove(&number);
                return;
            }
            Became::Traded { price, quantity, fee } => {
                let fee = fee.and_then(|(asset, amount)| Some((self.asset(asset)?, amount)));
                let Some(fact) = self.told_trade((number, &order), price, quantity, fee) else { return };
                let cause = match order.kind {
                    OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. }
                        if order.cumulative.is_zero() =>
                    {
                        let fired = OrderTriggered { order: number, reference: price };
                        self.emit(Actor::Market, Lsn::NONE, fired)
                    }
                    OrderKind::StopLoss { .. }
                    | OrderKind::TakeProfit { .. }
                    | OrderKind::Market
                    | OrderKind::Limit { .. } => Lsn::NONE,
                };
                let trade = fact.trade;
                self.emit(Actor::Market, cause, fact);
                if let Some(row) = self.trade_row(trade) {
                    self.report(number, Said::Traded(row));
                }
            }
            Became::Cancelled => drop(self.emit(Actor::Venue, Lsn::NONE, OrderCancelled { order: number })),
            Became::Expired => drop(self.emit(Actor::Venue, Lsn::NONE, OrderExpired { order: number })),
        }
        if !self.is_open(number) {
            self.following.remove(&number);
        }
        self.report_row(number);
    }

    /// The execution as a fact; none if it cannot have happened to this account.
    fn told_trade(
        &self,
        (number, order): (u64, &Order),
        price: Price,
        quantity: Quantity,
        fee: Option<(AssetId, Quantity)>,
    ) -> Option<OrderTraded> {
        let spec = self.state.instruments.get(&order.instrument)?;
        let left = order.quantity.minus(order.cumulative).ok()?.minus(quantity).ok()?;
        if !quantity.is_positive() || left.is_negative() || !price.is_positive() {
            return None;
        }
        let value = price.times(quantity, Rounding::Floor).ok()?;
        order.value.plus(value).ok()?;
        let liquidity = liquidity(order.kind);
        let usual = match order.side {
            Side::Buy => spec.base,
            Side::Sell => spec.quote,
        };
        let (fee_asset, fee) = fee.unwrap_or((usual, Quantity::ZERO));
        order.fee.plus(fee).ok()?;
        let (paying, reserved) = match order.side {
            Side::Buy => (spec.quote, Quantity(order.hold.times(left, Rounding::Ceil).ok()?.0)),
            Side::Sell => (spec.base, left),
        };
        let after = self.state.after_trade(order, quantity, value, (fee_asset, fee)).ok()??;
        for (asset, holding) in after.into_iter().flatten() {
            let holding =
                if asset == paying { holding.held(order.reserved, reserved).ok()? } else { holding };
            if holding.total < holding.reserved || holding.reserved.is_negative() {
                return None;
            }
        }
        let tick = self.market.tick(order.instrument)?;
        let trade = self.state.trades.last_key_value().map_or(1, |(last, _)| last + 1);
        Some(OrderTraded {
            trade,
            order: number,
            price,
            quantity,
            value,
            fee_asset,
            fee,
            liquidity,
            reserved,
            feed: tick.feed,
            cursor: tick.cursor,
        })
    }

    /// A refusal in somebody's words; nothing exists after it.
    pub(crate) fn refuse_request(
        &mut self,
        client: Label,
        instrument: Label,
        class: RejectClass,
        code: u32,
        text: Text,
    ) {
        let fact = RequestRefused { client: Some(client), instrument, class, code, text: text.clone() };
        self.emit(Actor::Venue, Lsn::NONE, fact);
        let what = Said::Rejected { class, code, text };
        self.say(VenueEffect::Order(OrderReport { client: Some(client), venue_order: None, what }));
    }

    /// Sets an instrument's fee rate, or takes it away; a rate outside -1 to 1 is no rate.
    pub(crate) fn charge(&mut self, name: Label, rate: Option<Rate>) {
        let Some((id, _)) = self.state.instrument(name) else { return };
        match rate.filter(|rate| rate.abs() <= Rate::ONE) {
            Some(rate) => self.charged.insert(id, rate),
            None => self.charged.remove(&id),
        };
    }
}

/// An order that may rest is taken to have rested.
const fn liquidity(kind: OrderKind) -> Liquidity {
    match kind {
        OrderKind::Limit { time_in_force: TimeInForce::GoodTillCancel | TimeInForce::PostOnly, .. } => {
            Liquidity::Maker
        }
        OrderKind::Limit { .. }
        | OrderKind::Market
        | OrderKind::StopLoss { .. }
        | OrderKind::TakeProfit { .. } => Liquidity::Taker,
    }
}
