//! What time alone brings about: days, freshness, unanswered questions, retries, time exits, comparisons.
//!
//! Time is the `now` of the input; a bound on the next due moment spares every other input the work.

use crate::Engine;
use crate::watch::needs_fresh;
use aegis_model::event::{AlarmKind, BlindStarted, Blocks, DayStarted, Refusal};
use aegis_model::order::{OrderStatus, UnknownCause};
use aegis_model::protection::ExitReason;
use aegis_model::{InstrumentId, Lsn, OrderId, Timestamp};

impl Engine {
    /// Runs after every input.
    pub(crate) fn run_timers(&mut self) {
        if !self.asks.opened {
            return; // the memories are being refilled: nothing is decided before the opening is recorded
        }
        self.watch.learn(&self.state);
        self.day();
        self.freshness();
        let decided = !self.turn.out.events.is_empty() || !self.turn.out.effects.is_empty();
        if decided
            || self.asks.next_timer.is_some_and(|due| due <= self.turn.now)
            || self.asks.reconcile_wanted
        {
            self.due_work();
            self.asks.next_timer = self.next_due();
            debug_assert!(self.watch.agrees(&self.state), "the index says what the state says");
        }
        self.watch.turn_over();
    }

    /// The first input of a UTC day records the equity that the day's loss is counted from (semantics rule 38).
    fn day(&mut self) {
        let number = self.turn.now.utc_day();
        if self.state.day.is_some_and(|day| day.number >= number) || self.state.journal.started == Lsn::NONE {
            return;
        }
        if let Some(equity) = self.equity() {
            self.emit_because(Lsn::NONE, DayStarted { day: number, equity });
        }
    }

    /// Open positions whose reference is missing or stale become blind: no stop move, no price-based exit.
    fn freshness(&mut self) {
        for id in self.watch.take_stale(self.turn.now) {
            if !needs_fresh(&self.state, id) {
                continue;
            }
            self.look_at_freshness(id);
            if needs_fresh(&self.state, id) {
                let ends = self.market.freshness(id, &self.settings).map(|(_, ends)| ends.after(1));
                // One that is not fresh and not blind is looked at again when its price or its state changes.
                let until = ends.filter(|ends| *ends > self.turn.now).unwrap_or(Timestamp(i64::MAX));
                self.watch.file_fresh(id, Some(until));
            }
        }
    }

    /// A price was seen: a source that ages faster than the one before brings the next look forward.
    pub(crate) fn fresh_until(&mut self, id: InstrumentId) {
        if let Some((_, ends)) = self.market.freshness(id, &self.settings) {
            self.watch.fresh_until(id, ends.after(1));
        }
    }

    pub(crate) fn look_at_freshness(&mut self, id: InstrumentId) {
        let blind = self.market.reference(id, self.turn.now, &self.settings).is_none();
        let known = self.state.instrument(id).is_some_and(|i| i.blind.is_some());
        if blind && !known && self.state.journal.started != Lsn::NONE {
            let since = self.market.freshness(id, &self.settings).map_or(self.turn.now, |(at, _)| at);
            self.emit(BlindStarted { instrument: id, since });
            let reason = "no fresh reference price: stops neither move nor fire until one comes";
            self.raise(AlarmKind::Blind, Some(id), Blocks::InstrumentEntries, reason);
        }
    }

    /// Everything whose time has come, in a fixed order.
    fn due_work(&mut self) {
        let orders: alloc::vec::Vec<OrderId> = self.state.orders.keys().copied().collect();
        for order in orders {
            self.order_due(order);
        }
        let exits = self.watch.exits_due(self.turn.now);
        let mut from = Some(InstrumentId(0));
        // What one instrument's turn changes about a later one counts when that one's turn comes.
        while let Some(id) = from.and_then(|from| {
            [self.watch.busy_from(from), exits.range(from..).next().copied()].into_iter().flatten().min()
        }) {
            self.instrument_due(id);
            from = id.0.checked_add(1).map(InstrumentId);
        }
        self.stops_due();
        self.compare_due();
    }

    fn order_due(&mut self, order: OrderId) {
        let now = self.turn.now;
        let Some(known) = self.state.order(order) else { return };
        if self.order_due_at(order).is_none_or(|due| due > now) {
            return;
        }
        match known.status {
            OrderStatus::Intended => {
                if known.put_off {
                    self.try_again(order);
                } else {
                    self.unknown(order, UnknownCause::Timeout);
                }
            }
            OrderStatus::Unknown => {
                self.asks.lookups.remove(&order);
                self.look_up(order);
            }
            OrderStatus::Acknowledged | OrderStatus::PartiallyFilled => {
                if known.cancel.is_some() {
                    self.unknown(order, UnknownCause::CancelUnanswered);
                } else if known.absent > 0
                    || self.asks.lookups.contains_key(&order)
                    || self.asks.look_failed.contains_key(&order)
                {
                    self.asks.lookups.remove(&order);
                    self.look_up(order);
                } else {
                    self.cancel(order, "lifetime over");
                }
            }
        }
    }

    /// When an open order needs attention next.
    fn order_due_at(&self, order: OrderId) -> Option<Timestamp> {
        let known = self.state.order(order)?;
        let asked = self.asks.lookups.get(&order).copied();
        let answer = self.settings.answer_ns;
        match known.status {
            OrderStatus::Intended if known.put_off => {
                // Ever slower, down to the pace of slow tries.
                let doubled = 1i64 << known.attempts.saturating_sub(1).min(20);
                let pause = self.settings.exit_retry_ns.saturating_mul(doubled);
                Some(known.changed_at.after(pause.min(self.settings.exit_slow_ns)))
            }
            OrderStatus::Intended => Some(known.changed_at.after(answer)),
            OrderStatus::Unknown => match asked {
                Some(asked) => Some(asked.after(answer)),
                None => Some(known.looked_at.max(known.changed_at).after(self.lookup_pause(order))),
            },
            OrderStatus::Acknowledged | OrderStatus::PartiallyFilled => {
                if known.cancel.is_some() {
                    // A lookup that found it open sent the cancel again: that one has its own time to be answered.
                    return Some(known.cancel_intended_at.max(known.changed_at).after(answer));
                }
                if let Some(asked) = asked {
                    return Some(asked.after(answer));
                }
                if known.absent > 0 || self.asks.look_failed.contains_key(&order) {
                    return Some(known.looked_at.after(self.lookup_pause(order)));
                }
                known.cancel_at
            }
        }
    }

    /// How long until an order is looked up again: ever longer while nobody answers.
    fn lookup_pause(&self, order: OrderId) -> i64 {
        let failed = self.asks.look_failed.get(&order).copied().unwrap_or(0);
        self.settings.lookup_ns.saturating_mul(1 << failed.saturating_sub(1).min(2))
    }

    fn instrument_due(&mut self, id: InstrumentId) {
        let now = self.turn.now;
        let Some(instrument) = self.state.instrument(id) else { return };
        if let Some(prepared) = &instrument.prepared {
            let (until, lsn) = (prepared.entry.until, prepared.lsn);
            if until < now {
                self.drop_prepared(id);
                self.refuse(id, crate::gate::Refused::by(Refusal::BalanceStale, lsn));
            } else if self.asks.snapshot.is_none() {
                let entry = prepared.entry.clone();
                let number = self.ask_snapshot(aegis_model::input::Scope::Balances);
                self.emit(aegis_model::event::EntryPrepared { snapshot: number, requested: now, ..entry });
            }
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        let time_exit = instrument.protection.as_ref().and_then(|p| p.time_exit);
        if instrument.is_open()
            && time_exit.is_some_and(|time| time <= now)
            && instrument.exit_wanted.is_none()
        {
            // Time exits need no price (semantics rule 19).
            self.want_exit(id, ExitReason::Time, 0);
        }
        let unprotected = self.state.alarms.contains_key(&(AlarmKind::Unprotected, Some(id)));
        if unprotected {
            self.cover(id);
        }
        if self.exit_due(id).is_some_and(|due| due <= now) {
            self.settle(id);
        }
    }

    fn compare_due(&mut self) {
        let now = self.turn.now;
        if let Some((_, full, asked)) = self.asks.snapshot {
            // A question that was never answered is asked again, as what it was.
            if now.since(asked) >= self.settings.answer_ns {
                self.asks.snapshot = None;
                self.asks.reconcile_wanted |= full;
            }
        }
        let period = self.settings.reconcile_ns;
        let due = period > 0 && self.asks.compared.is_some_and(|at| now.since(at) >= period);
        let again = self.state.journal.started != Lsn::NONE
            && !self.state.instruments.is_empty()
            && self.compare_again_at().is_some_and(|at| now >= at);
        if due || again || self.asks.reconcile_wanted {
            self.ask_full();
        }
    }

    /// When a comparison that was not whole is made again: soon, then at a slower and slower pace, since no entry
    /// passes while the venue's word is missing and an exchange that is down is not to be hammered.
    fn compare_again_at(&self) -> Option<Timestamp> {
        if self.state.journal.reconciled.is_some() && self.asks.unanswered == 0 {
            return None;
        }
        let pause =
            self.settings.lookup_ns.saturating_mul(1 << self.asks.unanswered.saturating_sub(1).min(4));
        self.asks.compared.map(|at| at.after(pause))
    }

    /// The next moment at which [`Engine::due_work`] has something to do.
    fn next_due(&self) -> Option<Timestamp> {
        let orders = self.state.orders.keys().filter_map(|o| self.order_due_at(*o)).min();
        let instruments = self
            .watch
            .busy()
            .filter_map(|id| {
                let instrument = self.state.instrument(id)?;
                let exit = if instrument.is_open() && instrument.live_exits_quantity(&self.state).is_zero() {
                    self.exit_due(id)
                } else {
                    None
                };
                let prepared = instrument.prepared.as_ref().map(|p| p.entry.until.after(1));
                [exit, prepared].into_iter().flatten().min()
            })
            .min();
        let exits = self.watch.next_exit();
        let asked = self.asks.snapshot.map(|(_, _, at)| at.after(self.settings.answer_ns));
        let period = (self.settings.reconcile_ns > 0 && self.asks.snapshot.is_none())
            .then(|| self.asks.compared.map(|at| at.after(self.settings.reconcile_ns)))
            .flatten();
        let again = self.compare_again_at().filter(|_| self.asks.snapshot.is_none());
        let stops = self.next_stop_due();
        [orders, instruments, exits, asked, period, again, stops].into_iter().flatten().min()
    }
}
