//! A stop that rests at the venue: placed for what could be sold, found again, replaced, and taken over from.
//!
//! One owner of the exit at a time: while a stop rests at the venue it owns the quantity, and the engine sells only
//! what a proven end of that stop has left. It never places a second one and never sells beside one.

use crate::Engine;
use crate::settings::Guarding;
use aegis_model::event::{AlarmKind, Blocks, ExitDecided, OrderIntended, VenueStopRested};
use aegis_model::order::{OrderKind, OrderStatus, RejectClass};
use aegis_model::protection::ExitReason;
use aegis_model::{InstrumentId, OrderId, Price, Purpose, Quantity, Rate, Side, Timestamp};

/// What is due about an instrument's stop at the venue; lost with the process and found anew by looking.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Due {
    /// When its place at the venue is looked at again.
    pub(crate) look: Option<Timestamp>,
    /// When the engine takes over, since the stop was crossed and the venue has not sold.
    pub(crate) take_over: Option<Timestamp>,
}

impl Engine {
    /// Brings the stop at the venue in line with what is held. Idempotent; called whenever anything about the
    /// instrument was settled.
    pub(crate) fn rest_stop(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        if self.settings.guarding == Guarding::Engine && instrument.live.is_empty() {
            return;
        }
        let resting = instrument.resting_stop(&self.state).map(|(order, o)| {
            (
                order,
                o.status,
                o.kind.trigger().unwrap_or(Price::ZERO),
                o.rest().unwrap_or_default(),
                o.intended_at,
            )
        });
        let wanted = self.wanted_stop(id);
        match (resting, wanted) {
            (None, None) => self.forget_due(id),
            (None, Some((stop, quantity))) => self.place_stop(id, stop, quantity),
            (Some((order, ..)), None) => {
                // Nothing is left for it to protect, or something else is to sell it.
                self.forget_due(id);
                self.cancel(order, "no longer wanted");
            }
            (Some((order, status, stop, quantity, placed)), Some(wanted)) => {
                if wanted == (stop, quantity) || status == OrderStatus::Unknown || self.asks.stopping {
                    return;
                }
                // Only a changed price alone may wait; coins without a stop, and a stop without coins, may not.
                let due = placed.after(self.settings.stop_push_ns);
                if wanted.1 == quantity && due > self.turn.now {
                    self.due(id).look = Some(due);
                    self.wake_by(due);
                } else {
                    self.cancel(order, "replaced");
                    if aegis_model::mutant!(12) {
                        self.due(id).look = Some(Timestamp(i64::MAX));
                    }
                    if self.state.order(order).is_none() {
                        // It never came to rest and has ended at once; the next one at the pace of refusals.
                        let look = self.turn.now.after(self.settings.exit_retry_ns.max(1));
                        self.due(id).look = Some(look);
                        self.wake_by(look);
                    }
                }
            }
        }
    }

    /// The trigger and quantity of the stop that should rest at the venue, if one should.
    pub(crate) fn wanted_stop(&self, id: InstrumentId) -> Option<(Price, Quantity)> {
        let instrument = self.state.instrument(id)?;
        let protection = instrument.protection.as_ref()?;
        let rests = instrument.resting_stop(&self.state).is_some();
        // An exit that the venue refused for good waits for a person, and the stop may stand for that long; one that
        // was crossed already could not come to rest.
        let above = || {
            let reference = self.market.reference(id, self.turn.now, &self.settings);
            reference.is_none_or(|price| price > protection.stop)
        };
        let waits = self.waits_for_a_person(id) && (rests || above());
        let nobody_sells = !instrument.has_selling_exit(&self.state)
            && (waits || instrument.exit_wanted.is_none() && self.state.trading.flatten.is_none());
        let quantity = self.coverable(id);
        let fits = quantity.is_positive() && instrument.spec.sellable(quantity, protection.stop);
        let at_venue = self.settings.guarding != Guarding::Engine || rests;
        (at_venue && instrument.is_open() && nobody_sells && fits && protection.stop.is_positive())
            .then_some((protection.stop, quantity))
    }

    fn place_stop(&mut self, id: InstrumentId, stop: Price, quantity: Quantity) {
        if let Some(look) = self.asks.due.get(&id).and_then(|due| due.look)
            && look > self.turn.now
        {
            return; // refused just now: not at once again
        }
        self.forget_due(id);
        let reference = self.market.reference(id, self.turn.now, &self.settings).unwrap_or(Price::ZERO);
        self.send(OrderIntended {
            order: OrderId(self.state.last_order.0 + 1),
            run: self.state.journal.run,
            instrument: id,
            side: Side::Sell,
            kind: OrderKind::StopLoss { trigger: stop },
            quantity,
            purpose: Purpose::Exit { reason: ExitReason::Stop, others: 0 },
            valid_until: Timestamp(i64::MAX),
            cancel_at: None,
            replaces: OrderId(0),
            plan: None,
            reference,
        });
    }

    /// The venue has it: told once, with how long nothing rested there.
    pub(crate) fn rested(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order).filter(|o| o.is_resting_stop() && o.cancel.is_none())
        else {
            return;
        };
        let (id, stop) = (known.instrument, known.kind.trigger().unwrap_or(Price::ZERO));
        let quantity = known.rest().unwrap_or_default();
        let since = self.state.instrument(id).and_then(|i| i.bare_since);
        if let Some(since) = since {
            let bare_ns = self.turn.now.since(since);
            self.emit(VenueStopRested { instrument: id, order, quantity, stop, bare_ns });
        }
        self.clear(AlarmKind::VenueStopMissing, Some(id));
    }

    /// The venue refused to let it rest: the engine stands alone until a later try.
    pub(crate) fn stop_refused(&mut self, id: InstrumentId, class: RejectClass, code: u32, text: &str) {
        let wait = match class {
            RejectClass::Permanent => self.settings.exit_slow_ns,
            RejectClass::InsufficientBalance
            | RejectClass::TooSmall
            | RejectClass::PriceOut
            | RejectClass::Later
            | RejectClass::Duplicate => self.settings.exit_retry_ns,
        };
        let look = self.turn.now.after(wait.max(1));
        self.due(id).look = Some(look);
        self.wake_by(look);
        let reason = alloc::format!(
            "the venue refuses the stop with code {code}: {text}; the engine guards alone and tries again"
        );
        self.raise(AlarmKind::VenueStopMissing, Some(id), Blocks::InstrumentEntries, &reason);
    }

    /// The venue keeps putting the stop off: told once the fast tries are used up.
    pub(crate) fn stop_put_off(&mut self, order: OrderId, code: u32, text: &str) {
        let Some(known) = self.state.order(order) else { return };
        let id = known.instrument;
        if known.attempts >= self.settings.exit_tries {
            let reason = alloc::format!(
                "the venue puts the stop off with code {code}: {text}; the engine guards alone and goes on trying"
            );
            self.raise(AlarmKind::VenueStopMissing, Some(id), Blocks::InstrumentEntries, &reason);
        }
    }

    /// The reference has reached the stop. True when the engine is to sell now; false while the venue's stop, whose
    /// turn it is, is given its grace (semantics rule 30).
    pub(crate) fn stop_is_ours(&mut self, id: InstrumentId, reference: Price) -> bool {
        let Some(instrument) = self.state.instrument(id) else { return true };
        let Some(stop) = instrument.protection.as_ref().map(|p| p.stop) else { return true };
        if instrument.resting_stop(&self.state).is_none_or(|(_, stop)| stop.is_nowhere()) {
            return true;
        }
        if self.settings.guarding == Guarding::Exchange {
            return false;
        }
        let far = stop
            .scaled(self.settings.takeover.complement().unwrap_or(Rate::ONE), aegis_model::Rounding::Floor)
            .is_ok_and(|level| reference <= level);
        let now = self.turn.now;
        let grace = self.settings.takeover_ns;
        let due = *self.due(id).take_over.get_or_insert(now.after(grace));
        self.wake_by(due);
        far || due <= now
    }

    /// An exit is wanted while a stop rests at the venue: decided for the record, that stop cancelled; the exit goes
    /// out once it is proven ended. False when nothing rests there.
    pub(crate) fn decide_behind_stop(&mut self, id: InstrumentId, reason: ExitReason, others: u8) -> bool {
        let Some(instrument) = self.state.instrument(id) else { return false };
        let Some((order, stop)) = instrument.resting_stop(&self.state) else { return false };
        if stop.is_nowhere() {
            // It never came to rest: nothing stands in the way of the exit.
            self.cancel(order, "exit wanted");
            return false;
        }
        if instrument.exit_wanted.is_none() || self.waits_for_a_person(id) {
            let reference = self.market.reference(id, self.turn.now, &self.settings);
            let reference = reference.or_else(|| self.market.value_price(id)).unwrap_or(Price::ZERO);
            self.emit(ExitDecided { instrument: id, reason, others, reference });
        }
        self.forget_due(id);
        self.cancel(order, "exit wanted");
        true
    }

    /// What time has made due about stops at the venue.
    pub(crate) fn stops_due(&mut self) {
        if self.asks.due.is_empty() {
            return;
        }
        let now = self.turn.now;
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let ids: alloc::vec::Vec<_> = self
            .asks
            .due
            .iter()
            .filter(|(_, d)| due(d.look) || due(d.take_over))
            .map(|(id, d)| (*id, due(d.take_over)))
            .collect();
        for (id, take_over) in ids {
            if take_over {
                self.due(id).take_over = None;
                let open = self.state.instrument(id).is_some_and(|i| i.is_open() && i.exit_wanted.is_none());
                if open {
                    self.want_exit(id, ExitReason::Stop, 0);
                }
            }
            if self.asks.due.get(&id).is_some_and(|d| due(d.look)) {
                self.due(id).look = None;
                self.rest_stop(id);
            }
        }
    }

    /// When something is due about a stop at the venue.
    pub(crate) fn next_stop_due(&self) -> Option<Timestamp> {
        if self.asks.due.is_empty() {
            return None;
        }
        self.asks.due.values().flat_map(|d| [d.look, d.take_over]).flatten().min()
    }

    /// The next timer is no later than this, whether or not this input decides anything else.
    fn wake_by(&mut self, at: Timestamp) {
        self.asks.next_timer = Some(self.asks.next_timer.map_or(at, |next| next.min(at)));
    }

    fn due(&mut self, id: InstrumentId) -> &mut Due {
        self.asks.due.entry(id).or_default()
    }

    fn forget_due(&mut self, id: InstrumentId) {
        if !self.asks.due.is_empty() {
            self.asks.due.remove(&id);
        }
    }
}
