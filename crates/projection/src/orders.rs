//! The life of orders: from the intent through what the venue says to an end that is never undone.
//!
//! Late fills still count after the end; nothing ever opens an ended order again.

use crate::order_table::Ended;
use crate::state::{ExitFailure, Order, State};
use aegis_model::event::{
    AnomalyKind, CancelIntended, ExitDecided, OrderAcknowledged, OrderAmended, OrderEnded, OrderIntended,
    OrderLookedUp, OrderRejected, OrderResent, OrderTriggered, OrderUnknown, VenueStopRested,
};
use aegis_model::order::{LookupAnswer, OrderStatus, RejectClass};
use aegis_model::protection::ExitReason;
use aegis_model::{
    ClientOrderId, InstrumentId, Money, OrderEnd, OrderId, OrderKind, Purpose, Quantity, Timestamp,
    VenueOrderId,
};

/// Exits by stop remembered for the stop-out pause.
const STOP_OUTS_MAX: usize = 64;

impl State {
    pub(crate) fn intended(&mut self, f: &OrderIntended) {
        let known = self.instruments.get(f.instrument.0 as usize).is_some();
        if f.order.0 <= self.last_order.0 || !known {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        let (lsn, at) = (self.lsn, self.time);
        self.last_order = f.order;
        let order = Order {
            client: ClientOrderId { installation: self.journal.installation, run: f.run, order: f.order },
            instrument: f.instrument,
            side: f.side,
            kind: f.kind,
            quantity: f.quantity,
            purpose: f.purpose,
            status: OrderStatus::Intended,
            filled: Quantity::ZERO,
            value: Money::ZERO,
            inferred: Quantity::ZERO,
            cumulative: Quantity::ZERO,
            venue_order: None,
            valid_until: f.valid_until,
            cancel_at: f.cancel_at,
            intended_at: at,
            intended: lsn,
            changed: lsn,
            changed_at: at,
            attempts: 1,
            looks: 0,
            absent: 0,
            looked_at: Timestamp::EPOCH,
            cancel: None,
            cancel_intended_at: Timestamp::EPOCH,
            replaces: f.replaces,
            reference: f.reference,
            put_off: false,
            unproven: false,
            released: None,
        };
        let resting = order.is_resting_stop();
        self.orders.intend(order);
        self.touch_instrument(f.instrument);
        match f.purpose {
            Purpose::Entry => self.totals.entries += 1,
            Purpose::Exit { .. } if resting => self.totals.venue_stops += 1,
            Purpose::Exit { .. } => self.totals.exits += 1,
        }
        self.on(f.instrument, |i| {
            i.live.push(f.order);
            match f.purpose {
                Purpose::Entry => {
                    i.prepared = None;
                    i.plan = f.plan.clone();
                }
                // A stop that rests at the venue is a precaution: nothing is wanted before it fires.
                Purpose::Exit { .. } if resting => {}
                Purpose::Exit { reason, .. } => {
                    if i.exit_wanted.is_none() {
                        i.exit_wanted = Some((reason, f.order));
                    }
                }
            }
        });
    }

    fn open_order(&mut self, order: OrderId) -> Option<&mut Order> {
        let (lsn, at) = (self.lsn, self.time);
        if !self.orders.contains_key(&order) {
            self.no_open_order(order);
        }
        let found = self.orders.get_mut(order)?;
        found.changed = lsn;
        found.changed_at = at;
        Some(found)
    }

    /// An event about an order that is not open: one that has ended is never open again.
    fn no_open_order(&mut self, order: OrderId) {
        let ended = self.orders.ended(order).is_some();
        self.anomaly(if ended { AnomalyKind::EndedReported } else { AnomalyKind::OrderUnknown });
    }

    /// An exit by stop sold something.
    fn stopped_out(&mut self) {
        if self.stop_outs.len() >= STOP_OUTS_MAX {
            self.stop_outs.remove(0);
        }
        self.stop_outs.push(self.time);
    }

    pub(crate) fn resent(&mut self, f: &OrderResent) {
        let Some(order) = self.open_order(f.order) else { return };
        order.status = OrderStatus::Intended;
        order.attempts = order.attempts.saturating_add(1);
        order.absent = 0;
        order.put_off = false;
        self.totals.resends += 1;
    }

    pub(crate) fn acknowledged(&mut self, f: &OrderAcknowledged) {
        let Some(order) = self.open_order(f.order) else { return };
        order.status =
            if order.filled.is_positive() { OrderStatus::PartiallyFilled } else { OrderStatus::Acknowledged };
        if f.venue_order != VenueOrderId::default() {
            order.venue_order = Some(f.venue_order);
        }
        order.absent = 0;
        order.put_off = false;
    }

    pub(crate) fn rejected(&mut self, f: &OrderRejected) {
        let at = self.time;
        let Some(order) = self.open_order(f.order) else { return };
        let (instrument, purpose, resting) = (order.instrument, order.purpose, order.is_resting_stop());
        if f.class == RejectClass::Later {
            order.status = OrderStatus::Intended;
            order.put_off = true;
        }
        if matches!(purpose, Purpose::Exit { .. }) && !resting {
            self.on(instrument, |i| {
                i.exit_failures = i.exit_failures.saturating_add(1);
                i.exit_failed = Some(ExitFailure { order: f.order, at, class: Some(f.class) });
            });
        }
    }

    pub(crate) fn became_unknown(&mut self, f: &OrderUnknown) {
        if let Some(order) = self.open_order(f.order) {
            order.status = OrderStatus::Unknown;
            order.put_off = false;
            order.unproven = true;
        }
    }

    pub(crate) fn looked_up(&mut self, f: &OrderLookedUp) {
        let at = self.time;
        match self.orders.get_mut(f.order) {
            Some(order) => {
                order.looks = order.looks.saturating_add(1);
                order.absent = f.absent;
                order.unproven &= f.answer != LookupAnswer::Absent;
                order.looked_at = at;
            }
            None => self.no_open_order(f.order),
        }
    }

    pub(crate) fn cancel_intended(&mut self, f: &CancelIntended) {
        let (lsn, at) = (self.lsn, self.time);
        match self.orders.get_mut(f.order) {
            Some(order) => {
                order.cancel = Some(lsn);
                order.cancel_intended_at = at;
                let (instrument, resting) = (order.instrument, order.is_resting_stop());
                if resting {
                    self.bare(instrument, at);
                }
            }
            None => self.no_open_order(f.order),
        }
    }

    /// No stop rests at the venue for what is held from now on, if one did.
    pub(crate) fn bare(&mut self, id: InstrumentId, at: Timestamp) {
        self.on(id, |i| {
            if i.is_open() && i.bare_since.is_none() {
                i.bare_since = Some(at);
            }
        });
    }

    pub(crate) fn triggered(&mut self, f: &OrderTriggered) {
        let Some(order) = self.open_order(f.order) else { return };
        order.released = Some(f.released);
        order.put_off = false;
        order.absent = 0;
        if order.status != OrderStatus::Unknown {
            order.status = OrderStatus::Acknowledged;
        }
        let (instrument, purpose, at) = (order.instrument, order.purpose, self.time);
        if let Purpose::Exit { reason, .. } = purpose {
            self.bare(instrument, at);
            self.on(instrument, |i| i.exit_wanted = i.exit_wanted.or(Some((reason, f.order))));
        }
    }

    pub(crate) fn exit_decided(&mut self, f: &ExitDecided) {
        self.on(f.instrument, |i| {
            if i.is_open() {
                i.exit_wanted = i.exit_wanted.or(Some((f.reason, OrderId(0))));
                // Decided anew: what failed before does not count against it.
                i.exit_failures = 0;
            }
        });
    }

    pub(crate) fn venue_stop_rested(&mut self, f: &VenueStopRested) {
        self.on(f.instrument, |i| i.bare_since = None);
    }

    pub(crate) fn amended(&mut self, f: &OrderAmended) {
        let Some(order) = self.open_order(f.order) else { return };
        order.quantity = f.quantity.max(order.filled);
        if let (OrderKind::Limit { price, .. }, Some(new)) = (&mut order.kind, f.price) {
            *price = new;
        }
    }

    pub(crate) fn order_ended(&mut self, f: &OrderEnded) {
        let (lsn, at) = (self.lsn, self.time);
        let Some(order) = self.orders.get_mut(f.order) else {
            self.no_open_order(f.order);
            return;
        };
        order.changed = lsn;
        order.changed_at = at;
        order.cumulative = order.cumulative.max(f.cumulative.unwrap_or(Quantity::ZERO));
        let (instrument, purpose, any_fill) = (order.instrument, order.purpose, order.has_fills());
        let resting = order.is_resting_stop();
        self.orders.end(f.order, Ended { end: f.end, at, lsn });
        *self.totals.ended.entry(f.end).or_default() += 1;
        if let Purpose::Exit { reason, .. } = purpose {
            if reason == ExitReason::Stop && any_fill {
                self.stopped_out();
            }
            self.on(instrument, |i| {
                let counted = i.exit_failed.is_some_and(|failed| failed.order == f.order);
                // A stop that never fired did not fail to sell.
                if !any_fill && !counted && !resting {
                    i.exit_failures = i.exit_failures.saturating_add(1);
                    i.exit_failed = Some(ExitFailure { order: f.order, at, class: None });
                } else if any_fill {
                    i.exit_failures = 0;
                    i.exit_failed = None;
                }
            });
        }
        self.on(instrument, |i| i.live.retain(|o| *o != f.order));
        if resting {
            self.bare(instrument, at);
        }
        self.orders.forget(at);
        self.forget_exit_when_flat(instrument);
    }

    /// A fill of one of our orders: counted whether the order is open or has ended.
    pub(crate) fn count_fill(
        &mut self,
        id: OrderId,
        quantity: Quantity,
        value: Money,
        venue: Option<VenueOrderId>,
    ) {
        let (lsn, at) = (self.lsn, self.time);
        let Some((order, ended)) = self.orders.any_mut(id) else {
            self.anomaly(AnomalyKind::OrderUnknown);
            return;
        };
        let is_open = ended.is_none();
        let fired = order.is_resting_stop();
        let sums = (order.filled.plus(quantity), order.value.plus(value));
        let (Ok(filled), Ok(value)) = sums else {
            self.anomaly(AnomalyKind::Overflow);
            return;
        };
        let first = !order.has_fills();
        order.filled = filled;
        order.value = value;
        order.cumulative = order.cumulative.max(filled);
        order.venue_order = order.venue_order.or(venue);
        order.absent = 0;
        let (instrument, purpose, complete) = (order.instrument, order.purpose, filled >= order.quantity);
        if is_open {
            // A fill implies acceptance (semantics rule 8), but does not tell what became of a cancel (rule 9).
            if order.status != OrderStatus::Unknown || order.cancel.is_none() {
                order.status = OrderStatus::PartiallyFilled;
            }
            order.put_off = false;
            order.changed = lsn;
            order.changed_at = at;
        }
        if let Some(ended) = ended.as_mut().filter(|e| complete && e.end != OrderEnd::Filled) {
            let old = core::mem::replace(&mut ended.end, OrderEnd::Filled);
            if let Some(count) = self.totals.ended.get_mut(&old) {
                *count = count.saturating_sub(1);
            }
            *self.totals.ended.entry(OrderEnd::Filled).or_default() += 1;
        }
        if fired {
            // What rested at the venue has sold something: it has fired, whether or not that was told.
            order.released = Some(VenueOrderId::default());
        }
        if let Purpose::Exit { reason, .. } = purpose {
            let at = self.time;
            if fired {
                self.bare(instrument, at);
            }
            self.on(instrument, |i| {
                i.exit_failures = 0;
                i.exit_failed = None;
                if fired && is_open {
                    i.exit_wanted = i.exit_wanted.or(Some((reason, id)));
                }
            });
            if !is_open && first && reason == ExitReason::Stop {
                self.stopped_out();
            }
        }
    }

    /// The part of an order that its row shows and no trade explains yet.
    pub(crate) fn count_inferred(&mut self, id: OrderId, quantity: Quantity) {
        if let Some((order, _)) = self.orders.any_mut(id) {
            order.inferred = quantity;
            let cumulative = order.filled.plus(quantity).unwrap_or(order.filled);
            order.cumulative = order.cumulative.max(cumulative);
        }
    }

    /// An exit is wanted until the position is closed.
    pub(crate) fn forget_exit_when_flat(&mut self, id: InstrumentId) {
        let at = self.time;
        self.on(id, |i| {
            if i.is_open() {
                return;
            }
            if let Some(since) = i.blind.take() {
                i.blind_ns = i.blind_ns.saturating_add(at.since(since));
            }
            i.exit_wanted = None;
            i.bare_since = None;
            i.exit_failed = None;
            i.exit_failures = 0;
        });
    }
}
