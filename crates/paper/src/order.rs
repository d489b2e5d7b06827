//! Placing and cancelling: what a request must fulfil, in which order it is asked, and under which code it fails.
//!
//! It never makes a second order under a client order id and never reserves what is not there.

use crate::fact::{
    OrderAccepted, OrderAmended, OrderCancelled, OrderFeeChosen, OrderRejected, RequestRefused, TickSeen,
};
use crate::input::{OrderReport, Said, VenueEffect};
use crate::market::{crosses, touch};
use crate::state::Order;
use crate::venue::Venue;
use aegis_model::fixed::Rounding;
use aegis_model::input::RowStatus;
use aegis_model::order::RejectClass;
use aegis_model::{
    Actor, AssetId, InstrumentId, Label, Lsn, OrderKind, Price, Quantity, Side, Text, Tick, TimeInForce,
    VenueOrderId, market::Instrument,
};
use alloc::string::ToString;
use alloc::vec::Vec;

/// The exchange's codes.
pub(crate) mod code {
    pub(crate) const DUPLICATE_CLIENT_ID: u32 = 204;
    pub(crate) const NO_MARKET_PRICE: u32 = 207;
    pub(crate) const NOT_TRADABLE: u32 = 208;
    pub(crate) const UNKNOWN_INSTRUMENT: u32 = 209;
    pub(crate) const NO_SUCH_ORDER: u32 = 212;
    pub(crate) const INVALID_QUANTITY: u32 = 213;
    pub(crate) const INVALID_REFERENCE: u32 = 229;
    pub(crate) const INSUFFICIENT_BALANCE: u32 = 306;
    pub(crate) const INVALID_PRICE: u32 = 308;
    pub(crate) const BELOW_MINIMUM: u32 = 415;
    pub(crate) const MISSING_ARGUMENT: u32 = 40_004;
    pub(crate) const FILL_OR_KILL: u32 = 43_003;
    pub(crate) const POST_ONLY: u32 = 43_005;
    pub(crate) const TRIGGER_THROUGH: u32 = 50_007;
    pub(crate) const INVALID_PARAMETERS: u32 = 50_010;
}

/// An order as it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) client: Option<Label>,
    pub(crate) instrument: Label,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    pub(crate) quantity: Quantity,
    /// The asset that is to pay the fee, if not the usual one.
    pub(crate) fee: Option<AssetId>,
    /// A refusal decided elsewhere, which leaves an ended order behind.
    pub(crate) refuse: Option<(RejectClass, u32)>,
}

/// An order that can be made.
struct Plan {
    instrument: InstrumentId,
    hold: Price,
    reserved: Quantity,
    /// The price at which it takes at once.
    take: Option<Price>,
}

/// Why not. With an instrument, an order came into being and ended; without, nothing exists.
pub(crate) struct Refusal {
    instrument: Option<InstrumentId>,
    pub(crate) class: RejectClass,
    pub(crate) code: u32,
    pub(crate) text: Text,
}

pub(crate) fn nothing(class: RejectClass, code: u32, text: &str) -> Refusal {
    Refusal { instrument: None, class, code, text: Text::new(text) }
}

fn ended(instrument: InstrumentId, class: RejectClass, code: u32, text: &str) -> Refusal {
    Refusal { instrument: Some(instrument), class, code, text: Text::new(text) }
}

impl Venue {
    /// Accepts or refuses an order, and fills what takes at once.
    pub(crate) fn place(&mut self, wish: Wish) {
        let actor = if wish.client.is_some() { Actor::Engine } else { Actor::Operator };
        if let Some(refusal) = self.place_for(actor, wish) {
            self.refuse(actor, wish, refusal);
        }
    }

    /// The same; a refusal that leaves nothing behind is told and not recorded.
    pub(crate) fn place_for(&mut self, actor: Actor, wish: Wish) -> Option<Refusal> {
        match self.check(&wish) {
            Err(refusal) if refusal.instrument.is_none() => Some(refusal),
            Err(refusal) => {
                self.refuse(actor, wish, refusal);
                None
            }
            Ok(plan) => {
                self.accept(actor, wish, &plan);
                None
            }
        }
    }

    fn accept(&mut self, actor: Actor, wish: Wish, plan: &Plan) {
        let Wish { client, side, kind, quantity, .. } = wish;
        let Plan { instrument, hold, reserved, take } = *plan;
        self.record_places(instrument);
        let number = self.next_order();
        let fact = OrderAccepted { order: number, client, instrument, side, kind, quantity, hold, reserved };
        let cause = self.emit(actor, Lsn::NONE, fact);
        if let Some(asset) = wish.fee {
            self.emit(actor, cause, OrderFeeChosen { order: number, asset });
        }
        self.report(number, Said::Accepted);
        let touched = take.zip(self.market.tick(instrument));
        if let Some((price, tick)) = touched {
            self.fill(number, &tick, price, crate::fact::Liquidity::Taker, cause);
        }
        let rests = match kind {
            OrderKind::Market => false,
            OrderKind::Limit { time_in_force, .. } => match time_in_force {
                TimeInForce::GoodTillCancel | TimeInForce::PostOnly => true,
                TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => false,
            },
            OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => true,
        };
        if !rests {
            self.expire_if_open(number, cause);
        }
        self.report_row(number);
    }

    /// Writes down where the feeds stand: an order must not meet a tick from before it, even if a restarted
    /// process reads the feeds again.
    pub(crate) fn record_places(&mut self, instrument: InstrumentId) {
        let shown = self.market.tick(instrument);
        let ticks: Vec<Tick> = shown.into_iter().chain(self.market.feeds().copied()).collect();
        for tick in ticks {
            if self.state.feed_position(tick.feed).is_none_or(|known| known.cursor < tick.cursor) {
                self.emit(Actor::Market, Lsn::NONE, TickSeen { tick });
            }
        }
    }

    fn refuse(&mut self, actor: Actor, wish: Wish, refusal: Refusal) {
        let Wish { client, side, kind, quantity, .. } = wish;
        let Refusal { instrument, class, code, text } = refusal;
        let said = Said::Rejected { class, code, text: text.clone() };
        match instrument {
            Some(instrument) => {
                let order = self.next_order();
                let fact =
                    OrderRejected { order, client, instrument, side, kind, quantity, class, code, text };
                self.emit(actor, Lsn::NONE, fact);
                self.report(order, said);
                self.report_row(order);
            }
            None => {
                let instrument = wish.instrument;
                self.emit(actor, Lsn::NONE, RequestRefused { client, instrument, class, code, text });
                let report = OrderReport { client, venue_order: None, what: said };
                self.say(VenueEffect::Order(report));
            }
        }
    }

    /// What can be said of the request alone, then of the account, then of the market.
    fn check(&self, wish: &Wish) -> Result<Plan, Refusal> {
        if let Some(client) = wish.client {
            if self.state.clients.contains_key(&client) {
                let text = "this client order id was used before; the earlier order stands";
                return Err(nothing(RejectClass::Duplicate, code::DUPLICATE_CLIENT_ID, text));
            }
            if client.is_empty() {
                let text = "an order needs a client order id";
                return Err(nothing(RejectClass::Permanent, code::MISSING_ARGUMENT, text));
            }
        }
        let Some((id, spec)) = self.state.instrument(wish.instrument) else {
            let text = "no such instrument";
            return Err(nothing(RejectClass::Permanent, code::UNKNOWN_INSTRUMENT, text));
        };
        if !spec.tradable {
            return Err(nothing(
                RejectClass::Later,
                code::NOT_TRADABLE,
                "the instrument takes no orders now",
            ));
        }
        check_ticks(wish, spec)?;
        if let Some((class, code)) = wish.refuse {
            return Err(ended(id, class, code, "the server has a rule against it"));
        }
        let touch = self.market.tick(id).and_then(|tick| touch(&tick, wish.side));
        let hold = holding_price(wish, touch)?;
        let too_large =
            |_| nothing(RejectClass::Permanent, code::INVALID_QUANTITY, "beyond the largest number");
        let worth = hold.times(wish.quantity, Rounding::Floor).map_err(too_large)?;
        let (asset, reserved) = match wish.side {
            Side::Buy => {
                let cost = hold.times(wish.quantity, Rounding::Ceil).map_err(too_large)?;
                (spec.quote, Quantity(cost.0))
            }
            Side::Sell => (spec.base, wish.quantity),
        };
        if worth < spec.minimum_notional {
            let text = alloc::format!("worth {worth}, at least {} is needed", spec.minimum_notional);
            return Err(ended(id, RejectClass::TooSmall, code::BELOW_MINIMUM, &text));
        }
        let holding = self.state.assets.get(&asset);
        let have = holding.and_then(|holding| holding.available().ok()).unwrap_or_default();
        if have < reserved {
            let text = alloc::format!("need {reserved} have {have}");
            return Err(ended(id, RejectClass::InsufficientBalance, code::INSUFFICIENT_BALANCE, &text));
        }
        let take = self.taking(wish, id, touch)?;
        Ok(Plan { instrument: id, hold, reserved, take })
    }

    /// The price at which the order takes at once, if it does and may.
    fn taking(&self, wish: &Wish, id: InstrumentId, touch: Option<Price>) -> Result<Option<Price>, Refusal> {
        match wish.kind {
            OrderKind::Market => Ok(touch),
            OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => Ok(None),
            OrderKind::Limit { price, time_in_force } => {
                let take = touch.filter(|touch| crosses(wish.side, price, *touch));
                match time_in_force {
                    TimeInForce::GoodTillCancel | TimeInForce::ImmediateOrCancel => Ok(take),
                    TimeInForce::PostOnly if take.is_some() => {
                        Err(ended(id, RejectClass::PriceOut, code::POST_ONLY, "a post-only order would take"))
                    }
                    TimeInForce::PostOnly => Ok(None),
                    TimeInForce::FillOrKill => {
                        let tick = self.market.tick(id).filter(|_| take.is_some());
                        let whole = tick.is_some_and(|tick| {
                            self.fillable(id, wish.side, wish.quantity, &tick) == wish.quantity
                        });
                        if whole {
                            return Ok(take);
                        }
                        let text = "not all of a fill-or-kill order can be filled at once";
                        Err(ended(id, RejectClass::PriceOut, code::FILL_OR_KILL, text))
                    }
                }
            }
        }
    }

    /// Cancels by client order id.
    pub(crate) fn cancel(&mut self, client: Label) {
        let number = self.state.clients.get(&client).copied();
        match number.filter(|number| self.is_open(*number)) {
            Some(number) => self.cancel_open(Actor::Engine, number),
            None => {
                let venue_order = number.map(order_id);
                self.refuse_cancel(Some(client), venue_order);
            }
        }
    }

    /// Cancels any order by the venue's id, as its owner may by hand.
    pub(crate) fn cancel_by_hand(&mut self, venue_order: VenueOrderId) {
        // Only the exact spelling names an order: `+1` and `01` do not.
        let number = venue_order.0.as_str().parse().ok().filter(|number| order_id(*number) == venue_order);
        match number.filter(|number| self.is_open(*number)) {
            Some(number) => self.cancel_open(Actor::Operator, number),
            None => {
                let client = number.and_then(|n| self.state.orders.get(&n)).and_then(|order| order.client);
                self.refuse_cancel(client, Some(venue_order));
            }
        }
    }

    pub(crate) fn cancel_open(&mut self, actor: Actor, number: u64) {
        self.emit(actor, Lsn::NONE, OrderCancelled { order: number });
        self.report_row(number);
    }

    /// Cancels by the order's number.
    pub(crate) fn cancel_number(&mut self, number: u64) {
        if self.is_open(number) {
            return self.cancel_open(Actor::Engine, number);
        }
        let order = self.state.orders.get(&number);
        self.refuse_cancel(order.and_then(|order| order.client), order.map(|_| order_id(number)));
    }

    /// Changes an open limit order under its number, and fills what takes at once then.
    pub(crate) fn amend(&mut self, number: u64, client: Option<Label>, price: Price, quantity: Quantity) {
        match self.amended(number, client, price, quantity) {
            Err(code) => self.say(VenueEffect::Amended { order: number, code }),
            Ok((fact, take)) => {
                let instrument = self.state.orders.get(&number).map(|order| order.instrument);
                if let Some(instrument) = instrument {
                    self.record_places(instrument);
                }
                let cause = self.emit(Actor::Engine, Lsn::NONE, fact);
                self.say(VenueEffect::Amended { order: number, code: 0 });
                let tick = instrument.and_then(|instrument| self.market.tick(instrument));
                if let Some((price, tick)) = take.zip(tick) {
                    self.fill(number, &tick, price, crate::fact::Liquidity::Taker, cause);
                }
                self.report_row(number);
            }
        }
    }

    fn amended(
        &self,
        number: u64,
        client: Option<Label>,
        price: Price,
        quantity: Quantity,
    ) -> Result<(OrderAmended, Option<Price>), u32> {
        let order = self.open_order(number).ok_or(code::NO_SUCH_ORDER)?;
        let OrderKind::Limit { time_in_force, price: before } = order.kind else {
            return Err(code::INVALID_PARAMETERS);
        };
        if client.is_some_and(|client| self.state.clients.contains_key(&client)) {
            return Err(code::DUPLICATE_CLIENT_ID);
        }
        if (price, quantity) == (before, order.quantity) {
            return Err(code::MISSING_ARGUMENT);
        }
        let (id, side) = (order.instrument, order.side);
        let spec = self.state.instruments.get(&id).ok_or(code::UNKNOWN_INSTRUMENT)?;
        let kind = OrderKind::Limit { price, time_in_force };
        let instrument = spec.name;
        let wish = Wish { client, instrument, side, kind, quantity, fee: None, refuse: None };
        check_ticks(&wish, spec).map_err(|refusal| refusal.code)?;
        let rest = quantity.minus(order.cumulative).map_err(|_| code::INVALID_QUANTITY)?;
        if !rest.is_positive() {
            return Err(code::INVALID_QUANTITY);
        }
        let worth = price.times(quantity, Rounding::Floor).map_err(|_| code::INVALID_QUANTITY)?;
        if worth < spec.minimum_notional {
            return Err(code::BELOW_MINIMUM);
        }
        let (asset, reserved) = match side {
            Side::Buy => {
                let cost = price.times(rest, Rounding::Ceil).map_err(|_| code::INVALID_QUANTITY)?;
                (spec.quote, Quantity(cost.0))
            }
            Side::Sell => (spec.base, rest),
        };
        let holding = self.state.assets.get(&asset).ok_or(code::INSUFFICIENT_BALANCE)?;
        let held = holding.held(order.reserved, reserved).map_err(|_| code::INSUFFICIENT_BALANCE)?;
        if held.total < held.reserved {
            return Err(code::INSUFFICIENT_BALANCE);
        }
        let touch = self.market.tick(id).and_then(|tick| touch(&tick, side));
        let take = touch.filter(|touch| crosses(side, price, *touch));
        if take.is_some() && time_in_force == TimeInForce::PostOnly {
            return Err(code::POST_ONLY);
        }
        Ok((OrderAmended { order: number, client, kind, quantity, hold: price, reserved }, take))
    }

    fn refuse_cancel(&mut self, client: Option<Label>, venue_order: Option<VenueOrderId>) {
        let what = Said::CancelRefused { code: code::NO_SUCH_ORDER };
        self.say(VenueEffect::Order(OrderReport { client, venue_order, what }));
    }

    pub(crate) fn is_open(&self, number: u64) -> bool {
        self.state.orders.get(&number).is_some_and(|order| order.status == RowStatus::Open)
    }

    pub(crate) fn open_order(&self, number: u64) -> Option<Order> {
        self.state.orders.get(&number).copied().filter(|order| order.status == RowStatus::Open)
    }

    pub(crate) fn next_order(&self) -> u64 {
        self.state.orders.last_key_value().map_or(1, |(last, _)| last + 1)
    }

    /// Says something about an order that exists.
    pub(crate) fn report(&mut self, number: u64, what: Said) {
        let client = self.state.orders.get(&number).and_then(|order| order.client);
        let venue_order = Some(order_id(number));
        self.say(VenueEffect::Order(OrderReport { client, venue_order, what }));
    }

    /// Says an order's row as it stands now.
    pub(crate) fn report_row(&mut self, number: u64) {
        if let Some(row) = self.row(number) {
            self.report(number, Said::Row(row));
        }
    }
}

/// Quantity and prices: positive, and multiples of the instrument's ticks.
fn check_ticks(wish: &Wish, spec: &Instrument) -> Result<(), Refusal> {
    if !wish.quantity.is_positive() || !wish.quantity.0.is_multiple_of(spec.quantity_tick.0) {
        let text = alloc::format!("{} is not a positive multiple of {}", wish.quantity, spec.quantity_tick);
        return Err(nothing(RejectClass::Permanent, code::INVALID_QUANTITY, &text));
    }
    let price = match wish.kind {
        OrderKind::Market => return Ok(()),
        OrderKind::Limit { price, .. } => price,
        OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => trigger,
    };
    if !price.is_positive() || !price.0.is_multiple_of(spec.price_tick.0) {
        let text = alloc::format!("{price} is not a positive multiple of {}", spec.price_tick);
        return Err(nothing(RejectClass::Permanent, code::INVALID_PRICE, &text));
    }
    Ok(())
}

/// The price that the order is measured and its funds are held at.
fn holding_price(wish: &Wish, touch: Option<Price>) -> Result<Price, Refusal> {
    let blind = || nothing(RejectClass::Later, code::NO_MARKET_PRICE, "the market shows no price now");
    let through =
        || nothing(RejectClass::PriceOut, code::TRIGGER_THROUGH, "the market is beyond the trigger already");
    match wish.kind {
        OrderKind::Market => touch.ok_or_else(blind),
        OrderKind::Limit { price, time_in_force } => match time_in_force {
            TimeInForce::GoodTillCancel | TimeInForce::PostOnly => Ok(price),
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => {
                touch.map(|_| price).ok_or_else(blind)
            }
        },
        OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => {
            if wish.side == Side::Buy {
                let text = "a trigger order sells";
                return Err(nothing(RejectClass::Permanent, code::INVALID_PARAMETERS, text));
            }
            if touch.is_some_and(|reference| fires(wish.kind, reference)) {
                Err(through())
            } else {
                Ok(trigger)
            }
        }
    }
}

/// Whether a trigger order is released at this reference price.
pub(crate) fn fires(kind: OrderKind, reference: Price) -> bool {
    match kind {
        OrderKind::StopLoss { trigger } => reference <= trigger,
        OrderKind::TakeProfit { trigger } => reference >= trigger,
        OrderKind::Market | OrderKind::Limit { .. } => false,
    }
}

/// The venue's id of an order: its number in decimal digits.
pub(crate) fn order_id(number: u64) -> VenueOrderId {
    VenueOrderId(digits(number))
}

/// A number in decimal digits.
pub(crate) fn digits(number: u64) -> Label {
    Label::lossy(&number.to_string())
}
