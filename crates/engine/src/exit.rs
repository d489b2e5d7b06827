//! Leaving a position: one exit at a time for what is held, retried by bounded rules, in every halted mode.
//!
//! Exits are sized from the fold alone; they need no snapshot, no confidence and no limit.

use crate::Engine;
use aegis_model::event::{
    AlarmKind, Blocks, CancelIntended, ExitDecided, OrderEnded, OrderIntended, OrderResent,
};
use aegis_model::input::Place;
use aegis_model::order::{OrderEnd, OrderStatus, RejectClass, UnknownCause};
use aegis_model::protection::ExitReason;
use aegis_model::text::Label;
use aegis_model::{
    ClientOrderId, Effect, InstrumentId, OrderId, OrderKind, Price, Purpose, Quantity, Rounding, Side,
    Timestamp,
};

impl Engine {
    /// An exit is wanted for a reason: the working entry is cancelled first, then what is held is sold. If an exit
    /// is wanted already, nothing more happens: one exit, however many ticks follow.
    pub(crate) fn want_exit(&mut self, id: InstrumentId, reason: ExitReason, others: u8) {
        let Some(instrument) = self.state.instrument(id) else { return };
        if instrument.exit_wanted.is_some() {
            return;
        }
        if let Some(entry) = instrument.live_entry(&self.state) {
            self.cancel(entry, "exit wanted");
        }
        self.send_exit(id, reason, others, OrderId(0));
    }

    /// Goes on with an exit that is wanted and has no live order, when its time has come.
    pub(crate) fn drive_exit(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        if !instrument.is_open() {
            return;
        }
        let (reason, replaces) = match instrument.exit_wanted {
            Some((reason, first)) => (reason, instrument.exit_failed.map_or(first, |f| f.order)),
            None if self.state.trading.flatten.is_some() => (ExitReason::Command, OrderId(0)),
            None => return,
        };
        if instrument.exit_wanted.is_some() && self.exit_due(id).is_none_or(|due| due > self.turn.now) {
            return;
        }
        self.send_exit(id, reason, 0, replaces);
    }

    /// When a wanted exit without a live order is tried (again); none while a person must decide.
    pub(crate) fn exit_due(&self, id: InstrumentId) -> Option<Timestamp> {
        let instrument = self.state.instrument(id)?;
        instrument.exit_wanted?;
        let whole = |quantity: Quantity| {
            quantity.to_tick(instrument.spec.quantity_tick, Rounding::Floor).unwrap_or_default()
        };
        let free = whole(self.coverable(id));
        // Too little to sell while more may still be bought: the entry's end decides, or a better price. And what others
        // reserve cannot be sold: its release decides. While no price is known the first one decides.
        let may_grow = instrument.live_entry(&self.state).is_some() || instrument.has_unknown(&self.state);
        let unpriced = self.market.reference(id, self.turn.now, &self.settings).is_none();
        if (unpriced || may_grow || free < whole(instrument.held()))
            && (free.is_zero() || self.is_too_small(id))
        {
            return None;
        }
        let Some(failed) = instrument.exit_failed else { return Some(self.turn.now) };
        match failed.class {
            Some(RejectClass::Permanent) if self.waits_for_a_person(id) => None,
            _ if instrument.exit_failures == 0 => Some(failed.at.after(self.settings.exit_retry_ns)),
            _ if instrument.exit_failures < self.settings.exit_tries => {
                Some(failed.at.after(self.settings.exit_retry_ns))
            }
            _ => Some(failed.at.after(self.settings.exit_slow_ns)),
        }
    }

    /// Whether an exit is wanted that the venue refused for good: nothing more is sent until a person has decided.
    pub(crate) fn waits_for_a_person(&self, id: InstrumentId) -> bool {
        self.state.instrument(id).is_some_and(|i| {
            let refused = i.exit_failed.is_some_and(|f| f.class == Some(RejectClass::Permanent));
            i.exit_wanted.is_some() && refused && i.exit_failures > 0
        })
    }

    pub(crate) fn send_exit(&mut self, id: InstrumentId, reason: ExitReason, others: u8, replaces: OrderId) {
        if self.decide_behind_stop(id, reason, others) {
            return;
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        // Only an exit proven ended frees its quantity (semantics rules 30 and 33).
        let in_exits = instrument.live_exits_quantity(&self.state);
        let tick = instrument.spec.quantity_tick;
        let quantity = self
            .coverable(id)
            .minus(in_exits)
            .and_then(|q| q.to_tick(tick, Rounding::Floor))
            .unwrap_or(Quantity::ZERO);
        let reference = self
            .market
            .reference(id, self.turn.now, &self.settings)
            .or_else(|| self.market.value_price(id))
            .unwrap_or(Price::ZERO);
        // What others reserve waits for its release, and what the exits on their way sell needs no other. What the venue
        // would not take is not sent either: it waits for its entry's end, and what is left then is dust.
        if !quantity.is_positive() || in_exits.is_zero() && self.is_too_small(id) {
            if instrument.exit_wanted.is_none() {
                self.emit(ExitDecided { instrument: id, reason, others, reference });
            }
            return;
        }
        // A remainder beside a live exit that could not be sold by itself waits for that exit's end.
        if in_exits.is_positive() && !instrument.spec.sellable(quantity, reference) {
            return;
        }
        let order = OrderId(self.state.last_order.0 + 1);
        let intended = OrderIntended {
            order,
            run: self.state.journal.run,
            instrument: id,
            side: Side::Sell,
            kind: OrderKind::Market,
            quantity,
            purpose: Purpose::Exit { reason, others },
            valid_until: Timestamp(i64::MAX),
            cancel_at: None,
            replaces,
            plan: None,
            reference,
        };
        self.send(intended);
    }

    /// Whether all that could be sold is worth less than the venue takes, at a price that is known. While none is, as
    /// after a start, what was too small at the best price it ever had waits for the first one.
    fn is_too_small(&self, id: InstrumentId) -> bool {
        let Some(instrument) = self.state.instrument(id) else { return false };
        let best = || instrument.protection.as_ref().map(|p| p.mark).or_else(|| instrument.entry_price());
        let price = self.market.reference(id, self.turn.now, &self.settings).or_else(best);
        price.is_some_and(|price| !instrument.spec.sellable(self.coverable(id), price))
    }

    /// Whether the venue would take this exit as it was intended: its ticks and its minimum may have changed since. One
    /// that it refuses again and again would never be proven absent.
    pub(crate) fn is_taken(&self, order: OrderId) -> bool {
        let Some(known) = self.state.order(order) else { return false };
        let Some(instrument) = self.state.instrument(known.instrument) else { return false };
        let (spec, trigger) = (&instrument.spec, known.kind.trigger());
        let on_tick = known.quantity.to_tick(spec.quantity_tick, Rounding::Floor) == Ok(known.quantity)
            && trigger.is_none_or(|price| price.to_tick(spec.price_tick, Rounding::Floor) == Ok(price));
        let price =
            trigger.or_else(|| self.market.reference(known.instrument, self.turn.now, &self.settings));
        on_tick && price.is_none_or(|price| spec.sellable(known.quantity, price))
    }

    /// Records an intent and asks for it to be sent.
    pub(crate) fn send(&mut self, intended: OrderIntended) {
        let place = Place {
            client: intended.client_id(self.state.journal.installation),
            instrument: intended.instrument,
            side: intended.side,
            kind: intended.kind,
            quantity: intended.quantity,
        };
        self.emit(intended);
        self.ask(Effect::Place(place));
    }

    /// Sends the same order again under its own id, since absence is proven and it is still wanted.
    pub(crate) fn resend(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order) else { return };
        let place = Place {
            client: known.client,
            instrument: known.instrument,
            side: known.side,
            kind: known.kind,
            quantity: known.quantity,
        };
        let place = Place { client: renamed(place.client), ..place };
        let attempt = known.attempts + 1;
        let open = &self.state.orders;
        self.asks.resent.retain(|n| open.contains_key(n));
        self.asks.resent.insert(order);
        self.emit(OrderResent { order, attempt });
        self.ask(Effect::Place(place));
    }

    /// The venue refused an exit or a stop for now: the same order goes out again under its own id if it is still what
    /// is wanted. One that is not has ended where nothing of it can exist, and is looked up where something might.
    pub(crate) fn try_again(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order) else { return };
        let id = known.instrument;
        let as_stop = known.kind.trigger().map(|stop| (stop, known.quantity));
        let fits =
            self.coverable(id) >= known.quantity && (as_stop.is_none() || self.wanted_stop(id) == as_stop);
        if fits && known.cancel.is_none() {
            self.resend(order);
        } else if known.is_nowhere() {
            self.emit(OrderEnded { order, end: OrderEnd::NotSent, cumulative: None });
            self.settle_order(order);
        } else {
            self.unknown(order, UnknownCause::Ambiguous);
        }
    }

    /// Decides to cancel an order, once.
    pub(crate) fn cancel(&mut self, order: OrderId, reason: &'static str) {
        let Some(known) = self.state.order(order) else { return };
        if known.cancel.is_some() {
            return;
        }
        if known.is_nowhere() {
            // Refused for now, every time it was sent: there is nothing to cancel.
            let cause = known.intended;
            self.emit_because(cause, CancelIntended { order, reason: Label::literal(reason) });
            self.emit(OrderEnded { order, end: OrderEnd::NotSent, cumulative: None });
            return;
        }
        let effect = Effect::Cancel {
            client: known.client,
            venue_order: known.venue_order,
            instrument: known.instrument,
        };
        let unknown = known.status == OrderStatus::Unknown;
        let cause = known.intended;
        self.emit_because(cause, CancelIntended { order, reason: Label::literal(reason) });
        // An order whose outcome is unknown is looked up first; the cancel goes out when it proves to be open.
        if !unknown {
            self.ask(effect);
        }
    }

    /// After an exit failed: nothing, or an alarm when its fast tries are used up or a person must decide.
    pub(crate) fn exit_alarm(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let Some(failed) = instrument.exit_failed else { return };
        let failures = instrument.exit_failures;
        if instrument.is_open() && failed.class == Some(RejectClass::Permanent) {
            self.raise(
                AlarmKind::ExitFailing,
                Some(id),
                Blocks::InstrumentEntries,
                "the venue refuses the exit for good; close it by command or by hand",
            );
        } else if instrument.is_open() && failures >= self.settings.exit_tries {
            self.raise(
                AlarmKind::ExitFailing,
                Some(id),
                Blocks::InstrumentEntries,
                "the exit keeps failing and is tried slowly from here on",
            );
        } else if failures == 0 {
            self.clear(AlarmKind::ExitFailing, Some(id));
        }
    }
}

/// The client order id of an intent, whatever happens to it.
fn renamed(client: ClientOrderId) -> ClientOrderId {
    if aegis_model::mutant!(8) {
        return ClientOrderId { run: client.run ^ (1 << 31), ..client };
    }
    client
}
