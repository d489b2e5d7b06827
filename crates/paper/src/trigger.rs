//! Conditional orders: made, watched, fired into plain orders, and the lists that tie them.
//!
//! They live beside the orders, in a numbering and a namespace of their own, and reserve nothing: whether the account
//! can do what they ask for is found out when they fire. It never fires one twice and never leaves a list half
//! decided: what one leg does to the others happens in the same decision.

use crate::fact::{
    Linked, ListMade, TriggerAccepted, TriggerAmended, TriggerArmed, TriggerCancelled, TriggerFired,
    TriggerKind, TriggerRejected, TriggerSent, VenueFact, Watched,
};
use crate::input::{Conditional, TriggerRow, VenueEffect};
use crate::order::{Refusal, Wish, code, nothing};
use crate::state::Trigger;
use crate::venue::Venue;
use aegis_model::fixed::Rounding;
use aegis_model::input::RowStatus;
use aegis_model::order::RejectClass;
use aegis_model::{Actor, AssetId, InstrumentId, Label, Lsn, OrderKind, Price, Quantity, Side, Timestamp};
use alloc::vec::Vec;

/// Legs of a list, and independent conditional orders of one request, at most.
const LEGS_MAX: usize = 10;

impl TriggerKind {
    /// Whether it waits for a price.
    pub const fn waits(self) -> bool {
        match self {
            TriggerKind::StopLoss
            | TriggerKind::StopLimit
            | TriggerKind::TakeProfit
            | TriggerKind::TakeProfitLimit => true,
            TriggerKind::Limit | TriggerKind::Market => false,
        }
    }

    /// Whether it becomes a limit order.
    pub const fn is_limit(self) -> bool {
        match self {
            TriggerKind::StopLimit | TriggerKind::TakeProfitLimit | TriggerKind::Limit => true,
            TriggerKind::StopLoss | TriggerKind::TakeProfit | TriggerKind::Market => false,
        }
    }

    /// Whether a price fires it: a sell's stop and a buy's take-profit at or below, the others at or above.
    fn fires(self, side: Side, reference: Price, price: Price) -> bool {
        match (self, side) {
            (TriggerKind::StopLoss | TriggerKind::StopLimit, Side::Sell)
            | (TriggerKind::TakeProfit | TriggerKind::TakeProfitLimit, Side::Buy) => price <= reference,
            (TriggerKind::StopLoss | TriggerKind::StopLimit, Side::Buy)
            | (TriggerKind::TakeProfit | TriggerKind::TakeProfitLimit, Side::Sell) => price >= reference,
            (TriggerKind::Limit | TriggerKind::Market, _) => false,
        }
    }
}

impl Venue {
    /// Says once that a conditional order was made or has changed: its row is read when all is decided.
    fn tell(&mut self, trigger: u64) {
        let told = VenueEffect::Trigger { trigger };
        if !self.out.effects.contains(&told) {
            self.say(told);
        }
    }

    /// The price that a conditional order watches.
    fn watched(&self, instrument: InstrumentId, watched: Watched) -> Option<Price> {
        match watched {
            Watched::Mark | Watched::Index => self.market.mark(instrument),
            Watched::Last => self.market.last(instrument),
        }
    }

    /// Sets a mark price and looks at what it fires.
    pub(crate) fn set_mark(&mut self, name: Label, price: Option<Price>) {
        let Some(instrument) = self.state.instrument_names.get(&name).copied() else { return };
        self.market.set_mark(instrument, price.filter(|price| price.is_positive()));
        self.release_fired(instrument, Lsn::NONE);
    }

    /// Whether anything that is watched fires now.
    pub(crate) fn any_fires(&self, instrument: InstrumentId) -> bool {
        self.firing(instrument).next().is_some()
    }

    fn firing(&self, instrument: InstrumentId) -> impl Iterator<Item = (u64, Price)> {
        let here = self.state.armed.range((instrument, 0)..=(instrument, u64::MAX));
        here.filter_map(move |(_, number)| {
            let trigger = self.state.triggers.get(number)?;
            let price = self.watched(instrument, trigger.watched)?;
            trigger.kind.fires(trigger.side, trigger.reference, price).then_some((*number, price))
        })
    }

    /// Fires what is to be fired, older ones first.
    pub(crate) fn release_fired(&mut self, instrument: InstrumentId, cause: Lsn) {
        if !self.state.instruments.get(&instrument).is_some_and(|spec| spec.tradable) {
            return;
        }
        let firing: Vec<(u64, Price)> = self.firing(instrument).collect();
        for (number, reference) in firing {
            // An earlier one may have ended its sibling.
            let Some(trigger) = self.state.triggers.get(&number).copied().filter(Trigger::waits) else {
                continue;
            };
            let cause = self.emit(Actor::Market, cause, TriggerFired { trigger: number, reference });
            if self.state.lists.get(&trigger.list) == Some(&Linked::Oco) {
                // The sibling's reservation is needed by this one.
                self.end_siblings(number, trigger.list, cause);
            }
            self.send(number, &trigger, cause);
        }
    }

    /// Turns a conditional order into a plain one, which may be rejected.
    fn send(&mut self, number: u64, trigger: &Trigger, cause: Lsn) {
        let name = self.state.instrument_name(trigger.instrument).unwrap_or_default();
        let kind = if trigger.kind.is_limit() {
            OrderKind::Limit { price: trigger.limit, time_in_force: trigger.time_in_force }
        } else {
            OrderKind::Market
        };
        let free = |client: &Label| !self.state.clients.contains_key(client);
        let client = trigger.client.filter(|client| self.settings.repeats_clients() && free(client));
        let (side, quantity, fee) = (trigger.side, trigger.quantity, trigger.fee);
        let wish = Wish { client, instrument: name, side, kind, quantity, fee, refuse: None };
        let order = self.next_order();
        match self.place_for(Actor::Market, wish) {
            None => {
                self.emit(Actor::Market, cause, TriggerSent { trigger: number, order });
            }
            Some(Refusal { code, text, .. }) => {
                self.emit(Actor::Market, cause, TriggerRejected { trigger: number, code, text });
            }
        }
        self.tell(number);
    }

    /// Makes conditional orders.
    pub(crate) fn condition(&mut self, linked: Option<Linked>, legs: &[Conditional]) {
        let checked: Vec<Result<_, Refusal>> =
            legs.iter().map(|leg| self.conditional(leg, linked.is_some())).collect();
        let Some(linked) = linked else {
            for (place, (leg, checked)) in legs.iter().zip(checked).enumerate() {
                // Again: an earlier one of this request may have taken the client order id.
                match checked.and_then(|found| self.conditional(leg, false).map(|_| found)) {
                    Ok((instrument, fee)) => {
                        let number = self.make(leg, instrument, fee, (0, 0), true);
                        self.tell(number);
                    }
                    Err(refusal) => self.refuse_trigger(place, refusal),
                }
            }
            return;
        };
        let mut found = Vec::new();
        for (place, one) in checked.into_iter().enumerate() {
            match one {
                Ok(one) => found.push(one),
                Err(refusal) => return self.refuse_trigger(place, refusal),
            }
        }
        let ids: Vec<Label> = legs.iter().filter_map(|leg| leg.client).collect();
        let twice = ids.iter().enumerate().any(|(at, id)| ids[..at].contains(id));
        if twice || legs.len() > LEGS_MAX {
            let text = "two legs have one client order id";
            return self.refuse_trigger(0, nothing(RejectClass::Duplicate, code::DUPLICATE_CLIENT_ID, text));
        }
        let list = self.state.lists.last_key_value().map_or(1, |(last, _)| last + 1);
        self.emit(Actor::Engine, Lsn::NONE, ListMade { list, linked });
        let armed_at_once = linked == Linked::Oco;
        let mut made = Vec::new();
        for (at, (leg, (instrument, fee))) in legs.iter().zip(found).enumerate() {
            let number = u8::try_from(at + 1).unwrap_or(u8::MAX);
            let armed = armed_at_once && leg.kind.waits();
            made.push((self.make(leg, instrument, fee, (list, number), armed), leg.kind.waits()));
        }
        self.say(VenueEffect::Listed { list });
        for (number, waits) in made {
            match self.state.triggers.get(&number).copied() {
                Some(trigger) if !waits && trigger.waits() => self.send(number, &trigger, Lsn::NONE),
                Some(_) | None => self.tell(number),
            }
        }
    }

    fn refuse_trigger(&mut self, place: usize, refusal: Refusal) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let Refusal { class, code, text, .. } = refusal;
        self.say(VenueEffect::TriggerRefused { place, class, code, text });
    }

    /// What can be said of a conditional order before anything is watched.
    fn conditional(
        &self,
        leg: &Conditional,
        in_list: bool,
    ) -> Result<(InstrumentId, Option<AssetId>), Refusal> {
        if leg.client.is_some_and(|client| self.state.trigger_clients.contains_key(&client)) {
            let text = "this client order id was used before; the earlier order stands";
            return Err(nothing(RejectClass::Duplicate, code::DUPLICATE_CLIENT_ID, text));
        }
        let Some((id, spec)) = self.state.instrument(leg.instrument) else {
            return Err(nothing(RejectClass::Permanent, code::UNKNOWN_INSTRUMENT, "no such instrument"));
        };
        let permanent = |code: u32, text: &str| Err(nothing(RejectClass::Permanent, code, text));
        if !leg.quantity.is_positive() || !leg.quantity.0.is_multiple_of(spec.quantity_tick.0) {
            return permanent(code::INVALID_QUANTITY, "not a positive multiple of the quantity's tick");
        }
        let on_tick = |price: Price| price.is_positive() && price.0.is_multiple_of(spec.price_tick.0);
        if leg.kind.is_limit() && !on_tick(leg.limit) {
            return permanent(code::INVALID_PRICE, "not a positive multiple of the price's tick");
        }
        if leg.kind.waits() {
            if !on_tick(leg.reference) {
                return permanent(code::INVALID_REFERENCE, "not a positive multiple of the price's tick");
            }
            let Some(price) = self.watched(id, leg.watched) else {
                let text = "the market shows no price now";
                return Err(nothing(RejectClass::Later, code::NO_MARKET_PRICE, text));
            };
            if !in_list && leg.kind.fires(leg.side, leg.reference, price) {
                let text = "the market is beyond the trigger already";
                return Err(nothing(RejectClass::PriceOut, code::TRIGGER_THROUGH, text));
            }
        }
        let measure = if leg.kind.is_limit() { Some(leg.limit) } else { Some(leg.reference) };
        let measure = measure.filter(|price| price.is_positive()).or_else(|| self.market.mark(id));
        let worth = measure.and_then(|price| price.times(leg.quantity, Rounding::Floor).ok());
        if worth.is_some_and(|worth| worth < spec.minimum_notional) {
            return Err(nothing(
                RejectClass::TooSmall,
                code::BELOW_MINIMUM,
                "below the least worth of an order",
            ));
        }
        Ok((id, leg.fee.and_then(|name| self.state.asset_names.get(&name)).copied()))
    }

    fn make(
        &mut self,
        leg: &Conditional,
        instrument: InstrumentId,
        fee: Option<AssetId>,
        (list, place): (u64, u8),
        armed: bool,
    ) -> u64 {
        self.record_places(instrument);
        let trigger = self.state.triggers.last_key_value().map_or(1, |(last, _)| last + 1);
        let fact = TriggerAccepted {
            trigger,
            client: leg.client,
            instrument,
            side: leg.side,
            kind: leg.kind,
            quantity: leg.quantity,
            reference: leg.reference,
            watched: leg.watched,
            limit: leg.limit,
            time_in_force: leg.time_in_force,
            fee,
            list,
            leg: place,
            armed,
        };
        self.emit(Actor::Engine, Lsn::NONE, fact);
        trigger
    }

    /// Cancels a conditional order, or the order that it became; of a list, every leg.
    pub(crate) fn cancel_trigger(&mut self, number: u64) {
        let Some(trigger) = self.state.triggers.get(&number).copied() else { return self.no_such_trigger() };
        let mut any = self.end_leg(number, Lsn::NONE);
        if trigger.list > 0 {
            for leg in self.legs_of(trigger.list) {
                any |= self.end_leg(leg, Lsn::NONE);
            }
        }
        if !any {
            self.no_such_trigger();
        }
    }

    fn no_such_trigger(&mut self) {
        let refusal = nothing(RejectClass::Permanent, code::NO_SUCH_ORDER, "no such order is open");
        self.refuse_trigger(0, refusal);
    }

    fn legs_of(&self, list: u64) -> Vec<u64> {
        self.state.legs.range((list, 0)..=(list, u64::MAX)).map(|(_, leg)| *leg).collect()
    }

    /// Ends a leg if it waits or if its order is open; whether it did.
    fn end_leg(&mut self, number: u64, cause: Lsn) -> bool {
        let Some(trigger) = self.state.triggers.get(&number).copied() else { return false };
        let ended = if trigger.waits() {
            self.emit(Actor::Engine, cause, TriggerCancelled { trigger: number });
            true
        } else {
            let open = trigger.order.filter(|order| self.is_open(*order));
            if let Some(order) = open {
                self.cancel_open(Actor::Engine, order);
            }
            open.is_some()
        };
        if ended {
            self.tell(number);
        }
        ended
    }

    fn end_siblings(&mut self, number: u64, list: u64, cause: Lsn) {
        for leg in self.legs_of(list).into_iter().filter(|leg| *leg != number) {
            self.end_leg(leg, cause);
        }
    }

    /// Changes a conditional order while it waits.
    pub(crate) fn amend_trigger(
        &mut self,
        number: u64,
        quantity: Quantity,
        reference: Option<Price>,
        limit: Price,
    ) {
        let waiting = self.state.triggers.get(&number).copied().filter(Trigger::waits);
        let Some(trigger) = waiting else { return self.no_such_trigger() };
        let reference = reference.unwrap_or(trigger.reference);
        let limit = if trigger.kind.is_limit() { limit } else { Price::ZERO };
        let changed = Conditional {
            client: None,
            instrument: self.state.instrument_name(trigger.instrument).unwrap_or_default(),
            side: trigger.side,
            kind: trigger.kind,
            quantity,
            reference,
            watched: trigger.watched,
            limit,
            time_in_force: trigger.time_in_force,
            fee: None,
        };
        match self.conditional(&changed, trigger.list > 0) {
            Err(refusal) => self.refuse_trigger(0, refusal),
            Ok(_) => {
                // A restarted process must not show it a price from before the change.
                self.record_places(trigger.instrument);
                let fact = TriggerAmended { trigger: number, quantity, reference, limit };
                self.emit(Actor::Engine, Lsn::NONE, fact);
                self.tell(number);
            }
        }
    }

    /// What the events of this decision do to lists and to the rows of conditional orders, until nothing follows
    /// any more.
    pub(crate) fn settle_lists(&mut self) {
        if self.state.sent.is_empty() {
            return;
        }
        let mut at = 0;
        while let Some(event) = self.out.events.get(at) {
            at += 1;
            let order = match &event.fact {
                VenueFact::OrderTraded(fact) => fact.order,
                VenueFact::OrderCancelled(fact) => fact.order,
                VenueFact::OrderExpired(fact) => fact.order,
                VenueFact::OrderRejected(fact) => fact.order,
                VenueFact::TriggerSent(fact) => fact.order,
                VenueFact::VenueCreated(_)
                | VenueFact::VenueOpened(_)
                | VenueFact::AssetNamed(_)
                | VenueFact::InstrumentListed(_)
                | VenueFact::TickSeen(_)
                | VenueFact::FundsMoved(_)
                | VenueFact::OrderAccepted(_)
                | VenueFact::RequestRefused(_)
                | VenueFact::OrderTriggered(_)
                | VenueFact::OrderFeeChosen(_)
                | VenueFact::OrderAmended(_)
                | VenueFact::TriggerAccepted(_)
                | VenueFact::ListMade(_)
                | VenueFact::TriggerArmed(_)
                | VenueFact::TriggerFired(_)
                | VenueFact::TriggerAmended(_)
                | VenueFact::TriggerCancelled(_)
                | VenueFact::TriggerRejected(_) => continue,
            };
            if let Some(number) = self.state.sent.get(&order).copied() {
                self.settle_leg(number, order);
            }
        }
    }

    fn settle_leg(&mut self, number: u64, order: u64) {
        let (Some(trigger), Some(order)) =
            (self.state.triggers.get(&number).copied(), self.state.orders.get(&order).copied())
        else {
            return;
        };
        self.tell(number);
        let Some(linked) = self.state.lists.get(&trigger.list).copied() else { return };
        let cause = self.state.lsn;
        let ended = order.status != RowStatus::Open;
        match (linked, trigger.leg) {
            (Linked::Oco, _) if order.cumulative.is_positive() => {
                self.end_siblings(number, trigger.list, cause)
            }
            (Linked::Oto | Linked::Otoco, 1) if order.status == RowStatus::Filled => {
                for leg in self.legs_of(trigger.list).into_iter().filter(|leg| *leg != number) {
                    let waits = self.state.triggers.get(&leg).is_some_and(|leg| leg.waits() && !leg.armed);
                    if waits {
                        self.emit(Actor::Venue, cause, TriggerArmed { trigger: leg });
                        self.tell(leg);
                    }
                }
            }
            (Linked::Oto | Linked::Otoco, 1) if ended => self.end_siblings(number, trigger.list, cause),
            (Linked::Otoco, 2..) if order.cumulative.is_positive() => {
                self.end_siblings(number, trigger.list, cause);
            }
            (Linked::Oco | Linked::Oto | Linked::Otoco, _) => {}
        }
    }

    /// A conditional order's row, by its number.
    pub fn trigger_row(&self, number: u64) -> Option<TriggerRow> {
        let trigger = self.state.triggers.get(&number)?;
        let order = trigger.order.and_then(|order| self.state.orders.get(&order));
        let linked = self.state.lists.get(&trigger.list).map(|linked| (trigger.list, *linked, trigger.leg));
        Some(TriggerRow {
            trigger: number,
            client: trigger.client,
            instrument: self.state.instrument_name(trigger.instrument).unwrap_or_default(),
            side: trigger.side,
            kind: trigger.kind,
            quantity: trigger.quantity,
            reference: Some(trigger.reference).filter(|price| price.is_positive()),
            watched: trigger.watched,
            limit: Some(trigger.limit).filter(|price| price.is_positive()),
            time_in_force: trigger.time_in_force,
            list: linked,
            status: order.map_or(trigger.status, |order| order.status),
            waits: trigger.waits(),
            fired: trigger.fired,
            order: trigger.order,
            code: order.map_or(trigger.code, |order| order.code),
            created: trigger.created,
            updated: order.map_or(trigger.updated, |order| order.updated.max(trigger.updated)),
        })
    }

    /// The number of the conditional order with a client order id.
    pub fn trigger_of(&self, client: Label) -> Option<u64> {
        self.state.trigger_clients.get(&client).copied()
    }

    /// All conditional orders made at or after a time, in order of their number.
    pub fn trigger_rows(&self, from: Timestamp) -> Vec<TriggerRow> {
        let wanted = self.state.triggers.iter().rev().take_while(|(_, trigger)| trigger.created >= from);
        let mut rows: Vec<TriggerRow> = wanted.filter_map(|(number, _)| self.trigger_row(*number)).collect();
        rows.reverse();
        rows
    }

    /// The conditional orders that wait, and those whose order is open, in order of their number.
    pub fn open_trigger_rows(&self) -> Vec<TriggerRow> {
        let open = self.state.triggers.iter().filter(|(_, trigger)| {
            let order = trigger.order.and_then(|order| self.state.orders.get(&order));
            order.map_or(trigger.status, |order| order.status) == RowStatus::Open
        });
        open.filter_map(|(number, _)| self.trigger_row(*number)).collect()
    }

    /// The legs of a list, in order; none when there is no such list.
    pub fn list_rows(&self, list: u64) -> Option<(Linked, Vec<TriggerRow>)> {
        let linked = *self.state.lists.get(&list)?;
        Some((linked, self.legs_of(list).into_iter().filter_map(|leg| self.trigger_row(leg)).collect()))
    }
}
