//! What the venue says about orders and executions: each fact once, whatever the order of arrival.
//!
//! It never guesses: what contradicts itself changes nothing and is noted once.

use crate::Engine;
use aegis_model::event::{
    AlarmKind, AnomalyKind, Blocks, FeeResolved, FillBooked, FillInferred, FillSource, OrderAcknowledged,
    OrderAmended, OrderEnded, OrderLookedUp, OrderRejected, OrderTriggered, OrderUnknown,
};
use aegis_model::input::{Lookup, OrderRow, Reported, RowStatus, Trade};
use aegis_model::order::{LookupAnswer, OrderStatus, RejectClass, UnknownCause};
use aegis_model::{
    Actor, ClientOrderId, Effect, Fixed, Money, OrderEnd, OrderId, Purpose, Quantity, Report, Rounding,
    VenueOrderId,
};

impl Engine {
    /// A report about one of our orders.
    pub(crate) fn report(&mut self, report: &Report) {
        self.turn.actor = Some(Actor::Venue);
        let Some(order) = self.known(report.client, report.venue_order) else { return };
        self.turn.cause = self.state.any_order(order).map_or(self.turn.cause, |o| o.intended);
        self.asks.lookups.remove(&order);
        match &report.what {
            Reported::Acknowledged => self.acknowledge(order, report.venue_order),
            Reported::Rejected { class, code, text } => {
                self.rejected(order, *class, *code, text.as_str());
            }
            Reported::Filled(trade) => {
                self.book(trade, Some(order), FillSource::Report);
                self.complete_if_filled(order);
            }
            Reported::Row(row) => self.row(order, row),
            Reported::Triggered { released } => self.triggered(order, *released),
            Reported::Unknown(cause) if self.state.order(order).is_some() => self.unknown(order, *cause),
            Reported::Unknown(cause) => self.reply_lost(order, *cause),
            Reported::CancelRefused { .. } => {
                if self.state.order(order).is_some() {
                    self.asks.cancel_again.insert(order);
                }
                self.look_up(order);
            }
        }
        self.settle_order(order);
    }

    /// Our order by its client id; anything else is noted.
    fn known(&mut self, client: ClientOrderId, venue_order: Option<VenueOrderId>) -> Option<OrderId> {
        let found = self
            .state
            .any_order(client.order)
            .filter(|known| known.client == client || aegis_model::mutant!(21));
        let Some(found) = found else {
            if client.installation == self.state.journal.installation && !aegis_model::mutant!(22) {
                self.foreign_seen(client, venue_order, None);
                self.alarm_foreign();
                // Whatever it does to balances, accepted or not, the comparison must see soon.
                self.asks.reconcile_wanted = true;
            } else {
                let detail = alloc::format!("client order id {client}");
                self.note(AnomalyKind::OrderUnknown, None, OrderId(0), Fixed::ZERO, Fixed::ZERO, &detail);
            }
            return None;
        };
        let (order, instrument) = (client.order, found.instrument);
        if let (Some(known), Some(told)) = (found.venue_order, venue_order)
            && known != told
            && found.released != Some(told)
        {
            let detail = alloc::format!("{client} is {} and not {}", known.0, told.0);
            self.note(AnomalyKind::IdsDisagree, Some(instrument), order, Fixed::ZERO, Fixed::ZERO, &detail);
            return None;
        }
        Some(order)
    }

    fn acknowledge(&mut self, order: OrderId, venue_order: Option<VenueOrderId>) {
        // A row of a released order may not know the id of the trigger that released it.
        let venue_order = venue_order.filter(|id| *id != VenueOrderId::default());
        let Some(known) = self.state.order(order) else { return };
        let open = matches!(known.status, OrderStatus::Acknowledged | OrderStatus::PartiallyFilled);
        let named = known.venue_order.is_some() || venue_order.is_none();
        if open && named {
            return;
        }
        let venue_order = venue_order.or(known.venue_order).unwrap_or_default();
        let cancel = known.cancel.is_some();
        let effect = Effect::Cancel {
            client: known.client,
            venue_order: Some(venue_order),
            instrument: known.instrument,
        };
        let was_unknown = known.status == OrderStatus::Unknown;
        self.emit(OrderAcknowledged { order, venue_order });
        // The cancel that an unknown outcome held back.
        if cancel && was_unknown {
            self.ask(effect);
        }
        self.rested(order);
    }

    fn rejected(&mut self, order: OrderId, class: RejectClass, code: u32, text: &str) {
        let Some(known) = self.state.order(order) else {
            if let Some(ended) = self.state.any_order(order) {
                let (instrument, filled) = (ended.instrument, ended.filled);
                self.note(
                    AnomalyKind::EndedReported,
                    Some(instrument),
                    order,
                    filled.0,
                    Fixed::from_int(i64::from(code)),
                    text,
                );
            }
            return;
        };
        let instrument = known.instrument;
        let filled = known.filled;
        if class == RejectClass::Duplicate {
            let first = known.attempts <= 1 && known.status != OrderStatus::Unknown;
            if first {
                // Nothing of ours was sent under this id before: a lost tail, another copy, or a repeating network.
                let detail = alloc::format!("{} was used before it was first sent: {text}", known.client);
                self.note(AnomalyKind::IdTaken, Some(instrument), order, Fixed::ZERO, filled.0, &detail);
                let about = self.state.lsn;
                self.tell(about, &detail);
            }
            // Proof of arrival: an earlier send of this very order exists, and is looked up.
            self.unknown(order, UnknownCause::Ambiguous);
            return;
        }
        if filled.is_positive() && class != RejectClass::Later {
            let detail = alloc::format!("refused with code {code} after fills: {text}");
            self.note(AnomalyKind::Contradiction, Some(instrument), order, filled.0, Fixed::ZERO, &detail);
            self.look_up(order);
            return;
        }
        let exit = matches!(known.purpose, Purpose::Exit { .. });
        let resting = known.is_resting_stop();
        self.emit(OrderRejected { order, class, code, text: aegis_model::Text::new(text) });
        if class == RejectClass::Later && exit {
            // The same order goes out again under its own id, by a timer.
            if resting {
                self.stop_put_off(order, code, text);
            } else {
                self.exit_alarm(instrument);
            }
            return;
        }
        self.emit(OrderEnded { order, end: OrderEnd::Rejected, cumulative: None });
        if resting {
            self.asks.reconcile_wanted |= class == RejectClass::InsufficientBalance;
            self.stop_refused(instrument, class, code, text);
            if class == RejectClass::PriceOut {
                // Already through: nothing can rest there any more, so it is sold (semantics rule 32).
                self.want_exit(instrument, aegis_model::protection::ExitReason::Stop, 0);
            }
        } else if exit {
            if class == RejectClass::InsufficientBalance {
                self.asks.reconcile_wanted = true;
            }
            self.exit_alarm(instrument);
        }
    }

    /// No answer, or one that proves nothing: looked up, never sent again blindly.
    pub(crate) fn unknown(&mut self, order: OrderId, cause: UnknownCause) {
        let Some(known) = self.state.order(order) else { return };
        if aegis_model::mutant!(9) && known.status != OrderStatus::Unknown {
            self.emit(OrderEnded { order, end: OrderEnd::NotSent, cumulative: None });
            return self.settle_order(order);
        }
        if known.status != OrderStatus::Unknown {
            self.emit(OrderUnknown { order, cause });
        }
        self.look_up(order);
    }

    /// The answer to a write was lost, and other news had told how its order ended: nothing is unknown any more, and
    /// the loss is on the record.
    fn reply_lost(&mut self, order: OrderId, cause: UnknownCause) {
        let Some(ended) = self.state.any_order(order) else { return };
        let (instrument, filled) = (ended.instrument, ended.filled);
        let detail = alloc::format!("the answer about {}: {cause}", ended.client);
        self.note(AnomalyKind::ReplyLost, Some(instrument), order, filled.0, filled.0, &detail);
    }

    /// Asks for the order by its client id.
    pub(crate) fn look_up(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order) else { return };
        if self.asks.lookups.contains_key(&order) {
            return;
        }
        let effect = Effect::LookUp { order, client: known.client, intended: known.intended_at };
        self.asks.lookups.insert(order, self.turn.now);
        self.ask(effect);
    }

    /// One execution. Repeats change nothing; a repeat with other numbers is noted and the first stands.
    pub(crate) fn book(&mut self, trade: &Trade, order: Option<OrderId>, source: FillSource) -> bool {
        let id = trade.instrument;
        let number = order.unwrap_or(OrderId(0));
        if self.state.instrument(id).is_none() {
            let detail = alloc::format!("trade {}", trade.trade.0);
            self.note(AnomalyKind::InstrumentUnknown, None, number, Fixed::ZERO, trade.quantity.0, &detail);
            return false;
        }
        if !trade.price.is_positive() || !trade.quantity.is_positive() {
            let detail = alloc::format!("trade {} at price {}", trade.trade.0, trade.price);
            self.note(AnomalyKind::BadFill, Some(id), number, Fixed::ZERO, trade.quantity.0, &detail);
            return false;
        }
        if self.known_trade(trade, number) {
            return false;
        }
        if self.state.is_beyond_memory(id, trade.executed) {
            // It cannot be told from a repeat here: the journal itself must be asked (see `log`).
            let detail = alloc::format!("trade {} is older than what is remembered", trade.trade.0);
            self.note(
                AnomalyKind::FillBeyondMemory,
                Some(id),
                number,
                Fixed::ZERO,
                trade.quantity.0,
                &detail,
            );
            return false;
        }
        let mut executed = trade.executed;
        if executed < self.state.walked {
            let detail =
                alloc::format!("trade {} is older than the last complete walk of trades", trade.trade.0);
            self.note(
                AnomalyKind::FillBeforeWalk,
                Some(id),
                number,
                Fixed::from_int(self.state.walked.0 / aegis_model::ids::SECOND),
                Fixed::from_int(executed.0 / aegis_model::ids::SECOND),
                &detail,
            );
            executed = self.turn.now;
        }
        let row_value = order.and_then(|order| self.row_value(order));
        self.emit(FillBooked {
            instrument: id,
            trade: trade.trade,
            order: number,
            venue_order: trade.venue_order,
            side: trade.side,
            price: trade.price,
            quantity: trade.quantity,
            fee: trade.fee,
            executed,
            source,
        });
        self.fee_alarms(trade);
        if let Some(order) = order {
            self.after_fill(order, row_value);
        }
        true
    }

    /// Whether the trade is booked already; its fee may have become known since.
    fn known_trade(&mut self, trade: &Trade, order: OrderId) -> bool {
        let Some(entry) = self.state.knows_trade(trade.instrument, &trade.trade) else { return false };
        if aegis_model::mutant!(10) && self.state.journal.reconciled.is_none() {
            return false;
        }
        let Some(execution) = entry.change.execution().copied() else { return true };
        let value = trade.price.times(trade.quantity, Rounding::HalfEven).unwrap_or(Money::ZERO);
        if execution.quantity != trade.quantity || execution.value != value {
            let detail = alloc::format!("trade {} repeated with other numbers", trade.trade.0);
            self.note(
                AnomalyKind::FillMismatch,
                Some(trade.instrument),
                order,
                execution.quantity.0,
                trade.quantity.0,
                &detail,
            );
        } else if let (None, Some(fee)) = (execution.fee, trade.fee) {
            self.emit(FeeResolved { instrument: trade.instrument, trade: trade.trade, fee });
            self.clear(AlarmKind::FeeUnknown, Some(trade.instrument));
        }
        true
    }

    /// A fee that is not known is asked for again; one far above the account's rate is told.
    fn fee_alarms(&mut self, trade: &Trade) {
        let id = trade.instrument;
        let Some(fee) = trade.fee else {
            self.raise(
                AlarmKind::FeeUnknown,
                Some(id),
                Blocks::Nothing,
                "the venue has not told a fee yet; the largest plausible one is assumed",
            );
            self.asks.reconcile_wanted = true;
            return;
        };
        let Some(spec) = self.state.instrument(id).map(|i| i.spec) else { return };
        let charged = if fee.asset == spec.base {
            fee.amount.0.over(trade.quantity.0, Rounding::Ceil)
        } else if fee.asset == spec.quote {
            trade
                .price
                .times(trade.quantity, Rounding::Floor)
                .and_then(|value| fee.amount.0.over(value.0, Rounding::Ceil))
        } else {
            return;
        };
        let limit = self.settings.taker_fee.0.times(self.settings.fee_alarm_multiple, Rounding::Ceil);
        if let (Ok(charged), Ok(limit)) = (charged, limit)
            && charged > limit
        {
            let reason = alloc::format!("trade {} paid a fee of {charged:.6} of its value", trade.trade.0);
            self.raise(AlarmKind::FeeHigh, Some(id), Blocks::Nothing, &reason);
        }
    }

    /// What follows for the order: the inferred part shrinks by what is real now, more than ordered is told.
    fn after_fill(&mut self, order: OrderId, row_value: Option<Money>) {
        let Some(known) = self.state.any_order(order) else { return };
        let (instrument, filled, ordered) = (known.instrument, known.filled, known.quantity);
        if let Some(row_value) = row_value {
            let quantity = known.cumulative.minus(filled).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
            let rest = row_value.minus(known.value).unwrap_or(Money::ZERO).max(Money::ZERO);
            let value = if quantity.is_zero() { Money::ZERO } else { rest };
            self.emit(FillInferred { order, quantity, value, executed: self.turn.now });
        }
        if filled > ordered {
            let reason = alloc::format!("order {order} was filled {filled} of {ordered} ordered");
            self.note(AnomalyKind::Overfill, Some(instrument), order, ordered.0, filled.0, &reason);
            self.raise(AlarmKind::Overfill, Some(instrument), Blocks::Nothing, &reason);
        }
    }

    /// The value that the order's row showed: real fills and the inferred part; none when nothing is inferred.
    fn row_value(&self, order: OrderId) -> Option<Money> {
        let known = self.state.any_order(order).filter(|o| o.inferred.is_positive())?;
        let book = &self.state.instrument(known.instrument)?.book;
        let executions = book.entries.iter().rev().filter_map(|entry| entry.change.execution());
        let inferred = executions.into_iter().find(|x| x.inferred && x.order == order)?;
        inferred.value.plus(known.value).ok()
    }

    /// An order whose real fills make its whole quantity has ended, whatever its row says yet.
    pub(crate) fn complete_if_filled(&mut self, order: OrderId) {
        if let Some(known) = self.state.order(order)
            && known.filled >= known.quantity
        {
            let cumulative = Some(known.filled);
            self.emit(OrderEnded { order, end: OrderEnd::Filled, cumulative });
        }
    }

    /// The order's row: amendments first, then what it says of fills, then its end (semantics rules 5, 6, 8).
    pub(crate) fn row(&mut self, order: OrderId, row: &OrderRow) {
        let Some(known) = self.state.any_order(order) else { return };
        let (instrument, known_cumulative, filled) = (known.instrument, known.cumulative, known.filled);
        if row.cumulative < known_cumulative || row.cumulative < filled {
            let known = known_cumulative.max(filled);
            let detail = "a row with less filled than known";
            self.note(
                AnomalyKind::CumulativeFell,
                Some(instrument),
                order,
                known.0,
                row.cumulative.0,
                detail,
            );
            return;
        }
        if row.status == RowStatus::Filled && row.cumulative < row.quantity {
            let detail = "a row that says filled, but short of its quantity";
            self.note(
                AnomalyKind::Contradiction,
                Some(instrument),
                order,
                row.quantity.0,
                row.cumulative.0,
                detail,
            );
            return;
        }
        self.acknowledge(order, Some(row.venue_order));
        if let Some(released) = row.released {
            self.triggered(order, released);
        }
        self.amend(order, row);
        self.infer(order, row);
        self.end_by_row(order, row);
        if row.status == RowStatus::Open {
            self.repeat_cancel(order);
        }
    }

    /// The venue shows an order as open whose cancel it had refused: the cancel had overtaken it, and goes out again.
    fn repeat_cancel(&mut self, order: OrderId) {
        let open = &self.state.orders;
        self.asks.cancel_again.retain(|n| open.contains_key(n));
        let Some(known) = self.state.order(order).filter(|o| o.cancel.is_some()) else { return };
        let (client, venue_order, instrument) = (known.client, known.venue_order, known.instrument);
        if self.asks.cancel_again.remove(&order) {
            self.ask(Effect::Cancel { client, venue_order, instrument });
        }
    }

    /// A trigger order has fired: told once.
    fn triggered(&mut self, order: OrderId, released: VenueOrderId) {
        let Some(known) = self.state.order(order) else { return };
        let told = known.released.is_some_and(|id| id == released || released == VenueOrderId::default());
        if known.kind.trigger().is_some() && !told {
            self.emit(OrderTriggered { order, released });
        }
    }

    fn amend(&mut self, order: OrderId, row: &OrderRow) {
        let Some(known) = self.state.order(order) else { return };
        let old_price =
            if let aegis_model::OrderKind::Limit { price, .. } = known.kind { Some(price) } else { None };
        let price = row.price.filter(|new| old_price.is_some_and(|old| old != *new));
        let quantity = row.quantity.max(known.filled);
        if price.is_some() || quantity != known.quantity {
            self.emit(OrderAmended { order, price, quantity });
        }
    }

    /// A row ahead of its trades: the trades are asked for first; what stays missing at the second look is
    /// inferred at the row's own price.
    fn infer(&mut self, order: OrderId, row: &OrderRow) {
        let Some(known) = self.state.any_order(order) else { return };
        let (filled, value, inferred) = (known.filled, known.value, known.inferred);
        let (instrument, ordered) = (known.instrument, known.quantity);
        let missing = row.cumulative.minus(filled).unwrap_or(Quantity::ZERO);
        if !missing.is_positive() {
            if inferred.is_positive() {
                let none = FillInferred {
                    order,
                    quantity: Quantity::ZERO,
                    value: Money::ZERO,
                    executed: row.updated,
                };
                self.emit(none);
            }
            return;
        }
        let answered = !self.asks.look_failed.contains_key(&order);
        let looked = answered
            && self.state.any_order(order).is_some_and(|o| o.looks > 0 && o.looked_at >= row.updated);
        if !looked && self.state.order(order).is_some() {
            self.look_up(order);
            return;
        }
        let rest = row.value.minus(value).unwrap_or(Money::ZERO);
        let capped = ordered.minus(filled).unwrap_or(Quantity::ZERO);
        if !rest.is_positive() || missing > capped {
            let detail = "the row's fills have no price or exceed the order: nothing is inferred";
            self.note(
                AnomalyKind::Contradiction,
                Some(instrument),
                order,
                filled.0,
                row.cumulative.0,
                detail,
            );
            return;
        }
        if missing != inferred {
            self.emit(FillInferred { order, quantity: missing, value: rest, executed: row.updated });
        }
    }

    fn end_by_row(&mut self, order: OrderId, row: &OrderRow) {
        let end = match row.status {
            RowStatus::Open => return,
            RowStatus::Filled => OrderEnd::Filled,
            RowStatus::Cancelled => OrderEnd::Cancelled,
            RowStatus::Rejected => OrderEnd::Rejected,
            RowStatus::Expired => OrderEnd::Expired,
        };
        let Some(known) = self.state.order(order) else { return };
        let (exit, instrument) = (matches!(known.purpose, Purpose::Exit { .. }), known.instrument);
        let (resting, ours) = (known.is_resting_stop(), known.cancel.is_some());
        // The trades of an ended order are asked for before its end is believed to be all.
        if row.cumulative > known.filled && known.inferred.is_zero() {
            return;
        }
        self.emit(OrderEnded { order, end, cumulative: Some(row.cumulative) });
        if resting {
            if !ours {
                let text = alloc::format!("it ended at the venue as {end}");
                self.stop_refused(instrument, RejectClass::Later, 0, &text);
            }
        } else if exit {
            self.asks.reconcile_wanted |= end == OrderEnd::Rejected;
            self.exit_alarm(instrument);
        }
    }

    /// The answer to a lookup by client order id.
    pub(crate) fn looked_up(&mut self, order: OrderId, lookup: &Lookup) {
        self.turn.actor = Some(Actor::Venue);
        self.asks.lookups.remove(&order);
        let Some(known) = self.state.any_order(order) else { return };
        self.turn.cause = known.intended;
        let open = self.state.order(order).is_some();
        let absent = known.absent;
        let was_unknown = open && known.status == OrderStatus::Unknown;
        if open && matches!(lookup, Lookup::Failed(_)) {
            let failed = self.asks.look_failed.entry(order).or_default();
            *failed = failed.saturating_add(1);
        } else {
            self.asks.look_failed.remove(&order);
        }
        match lookup {
            Lookup::Present { row, trades } => {
                if open {
                    self.emit(OrderLookedUp { order, answer: LookupAnswer::Present, absent: 0 });
                }
                self.acknowledge(order, Some(row.venue_order));
                self.amend(order, row);
                for trade in trades {
                    self.book(trade, Some(order), FillSource::Lookup);
                }
                self.row(order, row);
                self.complete_if_filled(order);
            }
            Lookup::Absent if open => {
                self.emit(OrderLookedUp { order, answer: LookupAnswer::Absent, absent: absent + 1 });
                self.absent(order);
            }
            Lookup::AbsentTooEarly { .. } | Lookup::Failed(_) if open => {
                let answer = match lookup {
                    Lookup::AbsentTooEarly { .. } => LookupAnswer::AbsentInWindow,
                    Lookup::Present { .. } | Lookup::Absent | Lookup::Failed(_) => LookupAnswer::Failed,
                };
                self.emit(OrderLookedUp { order, answer, absent });
                if matches!(lookup, Lookup::AbsentTooEarly { unchanged: true }) {
                    self.absent_in_window(order);
                }
                if self.state.order(order).is_some_and(|o| o.looks >= 3) {
                    let instrument = self.state.any_order(order).map(|o| o.instrument);
                    self.raise(
                        AlarmKind::UnknownOutcome,
                        instrument,
                        Blocks::InstrumentEntries,
                        "an order's outcome stays unknown; it is asked about until the venue answers",
                    );
                }
            }
            Lookup::Absent | Lookup::AbsentTooEarly { .. } | Lookup::Failed(_) => {}
        }
        // What was unknown may have moved more than the order: compare once it is known.
        if was_unknown && self.state.order(order).is_none_or(|o| o.status != OrderStatus::Unknown) {
            self.asks.reconcile_wanted = true;
        }
        self.settle_order(order);
    }

    /// Not found anywhere with nothing changed, while a copy under way could still arrive: an exit may go out again
    /// under its own id (the venue would refuse a second arrival as a duplicate), an entry never.
    fn absent_in_window(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order) else { return };
        let (instrument, quantity) = (known.instrument, known.quantity);
        let never_seen = known.venue_order.is_none() && !known.filled.is_positive();
        let exit = matches!(known.purpose, Purpose::Exit { .. });
        // A stop that is being cancelled goes out as well: only an order that exists can be proven cancelled soon.
        let wanted = known.cancel.is_none() || known.is_resting_stop();
        let due = self.turn.now.since(known.changed_at) >= self.resend_pause(order);
        if exit
            && never_seen
            && wanted
            && due
            && self.coverable(instrument) >= quantity
            && self.is_taken(order)
        {
            self.resend(order);
        }
    }

    /// How long an order that was proven absent waits before it goes out again: at once only the first time in a
    /// process's life; then no faster than orders are looked up.
    fn resend_pause(&self, order: OrderId) -> i64 {
        match self.state.order(order).map_or(0, |o| o.attempts) {
            _ if !self.asks.resent.contains(&order) => 0,
            few if few <= self.settings.exit_tries => self.settings.lookup_ns,
            _ => self.settings.exit_slow_ns,
        }
    }

    /// Absence is proven: an order that was never acknowledged never arrived; one that was is lost after two
    /// complete looks (semantics rules 9 and 35).
    fn absent(&mut self, order: OrderId) {
        let Some(known) = self.state.order(order) else { return };
        let (instrument, absent) = (known.instrument, known.absent);
        let acknowledged = known.venue_order.is_some() || known.filled.is_positive();
        if acknowledged {
            if absent >= 2 {
                let cumulative = Some(known.cumulative);
                self.emit(OrderEnded { order, end: OrderEnd::Lost, cumulative });
                self.exit_alarm(instrument);
            }
            return;
        }
        if known.purpose == Purpose::Entry
            && self.state.journal.reconciled.is_none()
            && known.valid_until >= self.turn.now
        {
            // Nothing passes the gate before the first comparison; asked about again right after it.
            self.asks.deferred.insert(order);
            return;
        }
        let still_wanted = match known.purpose {
            Purpose::Entry => {
                known.cancel.is_none()
                    && known.valid_until >= self.turn.now
                    && self.gate(instrument, Some(order)).is_ok()
            }
            Purpose::Exit { .. } => {
                let open = self.state.instrument(instrument).is_some_and(|i| i.is_open());
                open && known.cancel.is_none()
                    && self.coverable(instrument) >= known.quantity
                    && self.is_taken(order)
            }
        };
        if still_wanted && self.turn.now.since(known.changed_at) < self.resend_pause(order) {
            return;
        }
        if still_wanted {
            self.resend(order);
        } else {
            self.emit(OrderEnded { order, end: OrderEnd::NotSent, cumulative: None });
        }
    }

    /// Alarms and holdings after anything about an order.
    pub(crate) fn settle_order(&mut self, order: OrderId) {
        let Some(instrument) = self.state.any_order(order).map(|o| o.instrument) else { return };
        if self.state.instrument(instrument).is_some_and(|i| !i.has_unknown(&self.state)) {
            self.clear(AlarmKind::UnknownOutcome, Some(instrument));
        }
        self.settle(instrument);
        if self.asks.recompare && self.asks.lookups.is_empty() && !self.in_flight() {
            self.asks.recompare = false;
            self.asks.reconcile_wanted = true;
        }
    }

    /// Whether any order's outcome is open.
    fn in_flight(&self) -> bool {
        let open = |o: &aegis_projection::state::Order| {
            matches!(o.status, OrderStatus::Intended | OrderStatus::Unknown)
        };
        self.state.orders.values().any(open)
    }

    /// Entries that waited for the first comparison are asked about again.
    pub(crate) fn look_up_deferred(&mut self) {
        for order in core::mem::take(&mut self.asks.deferred) {
            self.look_up(order);
        }
    }
}
