//! Making an entry: a signal or a person asks, the gate decides, a fresh balance is asked for, the order goes out.
//!
//! The size is fixed before the balance is asked for; a balance that does not cover it whole refuses, and nothing
//! is shrunk afterwards.

use crate::Engine;
use crate::gate::{Opinion, Refused};
use crate::settings::EntryStyle;
use aegis_model::event::{
    Direction, EntryPrepared, EntryRefused, OrderIntended, PauseStarted, Refusal, SignalReceived,
    SignalRefused,
};
use aegis_model::input::{Scope, SignalIn};
use aegis_model::protection::{Distance, ExitReason};
use aegis_model::{
    Actor, Effect, InstrumentId, Label, Lsn, OrderId, OrderKind, Price, Purpose, Quantity, Rate, Rounding,
    Side, Text, TimeInForce, Timestamp,
};

/// Who asks for an entry.
#[derive(Clone, Copy)]
pub(crate) enum Asker {
    /// The instrument's signals, with the end of the one that arrived.
    Signals(Timestamp),
    /// A person: quantity and stop.
    Person(Quantity, Option<Price>),
}

impl Engine {
    /// A signal: read once, recorded, then acted on.
    pub(crate) fn signal(&mut self, signal: &SignalIn) {
        if self.state.sources.get(&signal.source).is_some_and(|read| signal.position <= *read) {
            return;
        }
        self.turn.actor = Some(Actor::Signal);
        let id = self.state.find_instrument(&signal.instrument);
        let in_range = !signal.confidence.is_negative() && signal.confidence <= Rate::ONE;
        let Some(id) = id.filter(|_| in_range && signal.horizon_ns > 0) else {
            let reason = if id.is_none() {
                alloc::format!("instrument {} is not listed", signal.instrument)
            } else {
                alloc::format!(
                    "confidence {} must lie in 0 to 1 and the horizon be above 0",
                    signal.confidence
                )
            };
            self.bad_signal(signal.source, signal.position, Text::new(&reason));
            return;
        };
        let until = signal.at.after(signal.horizon_ns);
        let received = SignalReceived {
            source: signal.source,
            position: signal.position,
            instrument: id,
            direction: signal.direction,
            confidence: signal.confidence,
            until,
        };
        self.turn.cause = self.emit_because(Lsn::NONE, received);
        self.turn.actor = None;
        match signal.direction {
            Direction::Neutral => {}
            Direction::Up => self.consider(id, Asker::Signals(until)),
            Direction::Down => self.consider_leaving(id),
        }
    }

    pub(crate) fn bad_signal(&mut self, source: Label, position: u64, reason: Text) {
        if self.state.sources.get(&source).is_some_and(|read| position <= *read) {
            return;
        }
        self.turn.actor = Some(Actor::Signal);
        self.emit(SignalRefused { source, position, reason });
    }

    /// A down signal that passes agreement and confidence makes one exit for a held instrument, else nothing.
    fn consider_leaving(&mut self, id: InstrumentId) {
        let least = self.settings.exit_confidence_min.unwrap_or(self.settings.confidence_min);
        let Some(instrument) = self.state.instrument(id) else { return };
        let held = instrument.is_open();
        let entry = instrument.live_entry(&self.state);
        match self.opinion(id) {
            Opinion::Points(Direction::Down, confidence) if confidence >= least => {
                if held {
                    self.want_exit(id, ExitReason::Signal, 0);
                } else if let Some(order) = entry {
                    self.cancel(order, "sell signal");
                }
            }
            Opinion::None | Opinion::Disagree(_) | Opinion::Points(..) => {}
        }
    }

    /// Passes a wish through the gate; asks for a fresh balance or records the refusal.
    pub(crate) fn consider(&mut self, id: InstrumentId, asker: Asker) {
        if let Err(refused) = self.prepare(id, asker) {
            self.refuse(id, refused);
        }
    }

    pub(crate) fn refuse(&mut self, id: InstrumentId, refused: Refused) {
        self.emit(EntryRefused {
            instrument: id,
            reason: refused.reason,
            need: refused.need,
            have: refused.have,
            blocking: refused.blocking,
        });
    }

    fn prepare(&mut self, id: InstrumentId, asker: Asker) -> Result<(), Refused> {
        let now = self.turn.now;
        let named = self.state.instrument(id).map(|i| i.spec.name);
        if !self.settings.universe.is_empty() && !named.is_some_and(|n| self.settings.universe.contains(&n)) {
            return Err(Refused::by(Refusal::NotTradable, Lsn::NONE));
        }
        self.gate(id, None)?;
        let (confidence, until, wish, stop) = match asker {
            Asker::Signals(until) => {
                if until <= now {
                    return Err(Refused::by(Refusal::SignalExpired, Lsn::NONE));
                }
                (Some(self.agreed_up(id)?), until, None, None)
            }
            Asker::Person(quantity, stop) => (None, Timestamp(i64::MAX), Some(quantity), stop),
        };
        let reference = self
            .market
            .reference(id, now, &self.settings)
            .ok_or(Refused::by(Refusal::PriceStale, Lsn::NONE))?;
        if let Some((rule, figure, until)) = self.market_pause()? {
            self.emit(PauseStarted { rule, until, figure });
            return Err(Refused::by(Refusal::Paused, self.state.lsn));
        }
        let size = self.size(id, stop, wish)?;
        let number = self.ask_snapshot(Scope::Balances);
        self.emit(EntryPrepared {
            instrument: id,
            snapshot: number,
            requested: now,
            until: until.min(now.after(self.settings.entry_valid_ns)),
            confidence,
            quantity: size.quantity,
            reference,
            stop,
        });
        Ok(())
    }

    /// The balance that a prepared entry waited for has come (or could not be had).
    pub(crate) fn go_on_with_entry(&mut self, id: InstrumentId, fresh: bool) {
        let Some(prepared) = self.state.instrument(id).and_then(|i| i.prepared.clone()) else { return };
        self.turn.cause = prepared.lsn;
        let refused = if fresh {
            self.place_entry(id, &prepared.entry).err()
        } else {
            Some(Refused::by(Refusal::BalanceStale, prepared.lsn))
        };
        if let Some(refused) = refused {
            self.drop_prepared(id);
            self.refuse(id, refused);
        }
    }

    fn place_entry(&mut self, id: InstrumentId, entry: &EntryPrepared) -> Result<(), Refused> {
        let now = self.turn.now;
        if entry.until < now {
            return Err(Refused::by(Refusal::SignalExpired, Lsn::NONE));
        }
        self.gate_of_prepared(id)?;
        let reference = self
            .market
            .reference(id, now, &self.settings)
            .ok_or(Refused::by(Refusal::PriceStale, Lsn::NONE))?;
        let moved = reference.0.minus(entry.reference.0)?.abs();
        let allowed = entry.reference.scaled(self.settings.price_sanity, Rounding::Floor)?;
        if moved > allowed.0 {
            return Err(Refused::short(Refusal::PriceFar, allowed.0, moved));
        }
        let spec =
            self.state.instrument(id).map(|i| i.spec).ok_or(Refused::by(Refusal::InputMissing, Lsn::NONE))?;
        let size = self.size(id, entry.stop, Some(entry.quantity))?;
        let balance = self.state.asset(spec.quote).and_then(|a| a.balance);
        let age = balance.map_or(i64::MAX, |b| now.since(b.requested));
        let stale =
            balance.is_none_or(|b| b.requested < entry.requested) || age > self.settings.balance_age_ns;
        if stale {
            return Err(Refused::by(Refusal::BalanceStale, balance.map_or(Lsn::NONE, |b| b.lsn)));
        }
        let available =
            self.state.available(spec.quote).ok_or(Refused::by(Refusal::BalanceStale, Lsn::NONE))?;
        if size.need.0 > available.0 {
            return Err(Refused::short(Refusal::InsufficientBalance, size.need.0, available.0));
        }
        let mut plan = self.plan_of(id)?;
        if let Some(stop) = entry.stop {
            plan.initial = Distance::Offset(reference.minus(stop)?);
        }
        let (kind, cancel_at) = match self.settings.entry_style {
            EntryStyle::LimitImmediate => {
                (OrderKind::Limit { price: size.worst, time_in_force: TimeInForce::ImmediateOrCancel }, None)
            }
            EntryStyle::Market => (OrderKind::Market, None),
            EntryStyle::LimitResting { lifetime_ns } => {
                let price = self
                    .market
                    .ask(id, now, &self.settings)
                    .ok_or(Refused::by(Refusal::PriceStale, Lsn::NONE))?;
                let kind = OrderKind::Limit { price, time_in_force: TimeInForce::GoodTillCancel };
                (kind, Some(now.after(lifetime_ns)))
            }
        };
        self.send(OrderIntended {
            order: OrderId(self.state.last_order.0 + 1),
            run: self.state.journal.run,
            instrument: id,
            side: Side::Buy,
            kind,
            quantity: size.quantity,
            purpose: Purpose::Entry,
            valid_until: entry.until,
            cancel_at,
            replaces: OrderId(0),
            plan: Some(plan),
            reference,
        });
        Ok(())
    }

    /// The gate for an entry whose own preparation counts as exposure already.
    fn gate_of_prepared(&self, id: InstrumentId) -> Result<(), Refused> {
        self.gate(id, Some(OrderId(u64::MAX)))
    }

    /// Asks the venue; the answer carries the number.
    pub(crate) fn ask_snapshot(&mut self, scope: Scope) -> u64 {
        let full = matches!(scope, Scope::Full);
        if let Some((number, was_full, _)) = self.asks.snapshot
            && self.turn.out.effects.iter().any(|e| matches!(e, Effect::AskSnapshot { .. }))
            && (was_full || !full)
        {
            return number;
        }
        let number = self.asks.last_number.max(self.state.last_snapshot) + 1;
        self.asks.last_number = number;
        self.asks.snapshot = Some((number, full, self.turn.now));
        self.ask(Effect::AskSnapshot { number, scope, trades_from: self.state.walked });
        number
    }
}
