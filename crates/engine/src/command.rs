//! What a person may order. Every command is an event with its actor; one that is not carried out says why.

use crate::Engine;
use crate::entry::Asker;
use crate::gate::Refused;
use crate::reconcile;
use aegis_model::event::{
    AlarmKind, CommandReceived, CommandRefused, CorrectionBooked, CorrectionKind, DustReturned,
    EntryPrepared, GapAccepted, HoldingQuarantined, InstrumentReleased, Refusal, StopArmed, StopMoved,
    TradingEnabled, TradingHalted,
};
use aegis_model::protection::{ExitReason, StopCause};
use aegis_model::{
    Actor, ArithmeticError, Command, Fixed, InstrumentId, Label, Lsn, OrderId, Price, Quantity, Rounding,
    Text, Timestamp,
};

impl Engine {
    /// The one switch over commands.
    pub(crate) fn command(&mut self, by: Label, command: &Command) {
        self.turn.actor = Some(Actor::Operator);
        self.turn.cause = self.emit_because(Lsn::NONE, CommandReceived { by, command: command.clone() });
        let done = match command {
            Command::Enable => self.enable(by),
            Command::Halt { reason } => self.halt(by, reason),
            Command::Flatten => self.flatten(by),
            Command::Close { instrument } => self.close(*instrument),
            Command::Open { instrument, quantity, stop } => self.open(*instrument, *quantity, *stop),
            Command::AdjustStop { instrument, stop, loosen } => self.adjust_stop(*instrument, *stop, *loosen),
            // Limits are state by the command's own record.
            Command::SetLimits { .. } => Ok(()),
            Command::Adopt { instrument, average, quantity } => self.adopt(*instrument, *average, *quantity),
            Command::Release { instrument } => self.release(by, *instrument),
            Command::AcceptGap => self.accept_gap(by),
            Command::ReturnDust { instrument } => self.return_dust(by, *instrument),
            Command::AcceptForeign { client, reason } => self.accept_foreign(by, *client, reason),
        };
        if let Err(reason) = done {
            self.emit(CommandRefused { by, reason });
        }
    }

    fn listed(&self, name: Label) -> Result<InstrumentId, Text> {
        self.state.find_instrument(&name).ok_or_else(|| {
            Text::new(&alloc::format!("instrument {name} is not listed; `aegis status` names those that are"))
        })
    }

    fn enable(&mut self, by: Label) -> Result<(), Text> {
        if self.state.trading.halted.is_some() || self.state.trading.flatten.is_some() {
            self.emit(TradingEnabled { by });
        }
        Ok(())
    }

    fn halt(&mut self, by: Label, reason: &Text) -> Result<(), Text> {
        if aegis_model::mutant!(15) {
            self.asks.reserve_only = true;
        } else if self.state.trading.halted.is_none() {
            self.emit(TradingHalted { by, reason: reason.clone() });
        }
        for id in self.all_instruments() {
            self.drop_prepared(id);
            self.cancel_entry(id, "halted");
        }
        Ok(())
    }

    /// Halt entries, cancel entries, exit all. A second one finds nothing left to do.
    fn flatten(&mut self, by: Label) -> Result<(), Text> {
        self.halt(by, &Text::new("flatten"))?;
        for id in self.all_instruments() {
            if self.state.instrument(id).is_some_and(|i| i.is_open()) {
                self.want_exit(id, ExitReason::Command, 0);
                self.settle(id);
            }
        }
        Ok(())
    }

    fn close(&mut self, name: Label) -> Result<(), Text> {
        let id = self.listed(name)?;
        let coming = self
            .state
            .instrument(id)
            .is_some_and(|i| i.prepared.is_some() || i.live_entry(&self.state).is_some());
        self.drop_prepared(id);
        self.cancel_entry(id, "closed by command");
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        if !instrument.is_open() && coming {
            return Ok(());
        }
        if !instrument.is_open() {
            return Err(Text::new(&alloc::format!("nothing is held in {name}")));
        }
        if instrument.exit_wanted.is_some() {
            self.retry_exit(id);
        } else {
            self.want_exit(id, ExitReason::Command, 0);
        }
        self.settle(id);
        Ok(())
    }

    fn open(&mut self, name: Label, quantity: Quantity, stop: Option<Price>) -> Result<(), Text> {
        let id = self.listed(name)?;
        let Some(spec) = self.state.instrument(id).map(|i| i.spec) else { return Ok(()) };
        let reference = self.market.reference(id, self.turn.now, &self.settings);
        let whole = quantity.0.is_multiple_of(spec.quantity_tick.0) && quantity.is_positive();
        let stop_fits = stop.is_none_or(|stop| {
            stop.0.is_multiple_of(spec.price_tick.0)
                && !stop.is_negative()
                && reference.is_none_or(|price| stop < price)
        });
        if !whole || !stop_fits {
            let (need, have) = if whole {
                (reference.unwrap_or(spec.price_tick).0, stop.unwrap_or(Price::ZERO).0)
            } else {
                (spec.quantity_tick.0, quantity.0)
            };
            self.refuse(id, Refused::short(Refusal::BadRequest, need, have));
            return Ok(());
        }
        self.consider(id, Asker::Person(quantity, stop));
        Ok(())
    }

    /// A stop moves by named command only, and down only when the command says so (semantics rule 28).
    fn adjust_stop(&mut self, name: Label, stop: Price, loosen: bool) -> Result<(), Text> {
        let id = self.listed(name)?;
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        if !instrument.is_open() {
            return Err(Text::new(&alloc::format!("nothing is held in {name}: there is no stop to adjust")));
        }
        let tick = instrument.spec.price_tick;
        if stop.is_negative() || !stop.0.is_multiple_of(tick.0) {
            let reason = alloc::format!("stop {stop} must be a multiple of {tick} and not negative");
            return Err(Text::new(&reason));
        }
        let quantity = self.coverable(id);
        let Some(protection) = &instrument.protection else {
            let plan = instrument.plan.clone().unwrap_or_else(|| self.settings.plan_for(&name).plan.clone());
            let mark = instrument.entry_price().unwrap_or(stop);
            let cycle = instrument.book.now.cycle;
            let armed = StopArmed {
                instrument: id,
                cycle,
                plan,
                stop,
                take_profit: None,
                time_exit: None,
                mark,
                quantity,
            };
            self.emit(armed);
            self.cover(id);
            return Ok(());
        };
        if stop < protection.stop && !loosen {
            let reason = alloc::format!(
                "{stop} is below the standing stop {}: say loosen to move it down",
                protection.stop
            );
            return Err(Text::new(&reason));
        }
        if stop != protection.stop {
            let moved = StopMoved {
                instrument: id,
                why: StopCause::Commanded,
                stop,
                mark: protection.mark,
                quantity,
                stages_reached: protection.stages_reached,
                take_profit: protection.take_profit,
            };
            self.emit(moved);
        }
        Ok(())
    }

    /// Takes the quarantined holding into the position so that the whole has the stated average (rule 41), or
    /// corrects the cost when the quantities agree.
    fn adopt(&mut self, name: Label, average: Price, quantity: Quantity) -> Result<(), Text> {
        let id = self.listed(name)?;
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let spec = instrument.spec;
        let held = instrument.held();
        let quarantined = self.state.asset(spec.base).map_or(Quantity::ZERO, |a| a.quarantined);
        if !average.is_positive() {
            return Err(Text::new("the average price must be above 0"));
        }
        let difference = quantity.minus(held).unwrap_or(Quantity::ZERO);
        if difference.abs() <= spec.quantity_tick && quarantined.is_zero() {
            return self.correct_cost(id, average);
        }
        if difference <= Quantity::ZERO || difference > quarantined {
            let reason = alloc::format!(
                "{quantity} is stated, {held} is held and {quarantined} quarantined: state what is to be held then, at most their sum"
            );
            return Err(Text::new(&reason));
        }
        let evidence = alloc::format!("stated average {average} for {quantity}");
        self.take_in(id, average, difference, &evidence)?;
        self.settle(id);
        Ok(())
    }

    /// Takes `quantity` out of the quarantine into the position, at the price with which the whole has the average.
    pub(crate) fn take_in(
        &mut self,
        id: InstrumentId,
        average: Price,
        quantity: Quantity,
        evidence: &str,
    ) -> Result<(), Text> {
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let (base, held) = (instrument.spec.base, instrument.held());
        let quarantined = self.state.asset(base).map_or(Quantity::ZERO, |a| a.quarantined);
        let whole = held.plus(quantity).map_err(|e| Text::new(&alloc::format!("{e}")))?;
        let priced = adoption_price(average, whole, instrument.entry_price(), held)
            .map_err(|e| Text::new(&alloc::format!("{e}")))?;
        if !priced.is_positive() {
            return Err(Text::new(
                "that average leaves no positive price for what is adopted; it stays quarantined",
            ));
        }
        // Just before the first known fill of the cycle; for a flat instrument, now.
        let time = if instrument.is_open() {
            Timestamp(instrument.book.now.opened.0.saturating_sub(1).max(0))
        } else {
            self.turn.now
        };
        let correction = reconcile::correction_id(id, CorrectionKind::Adopted, quantity, None, time);
        if self.state.corrections.contains_key(&correction) {
            return Err(Text::new("this very adoption is booked already"));
        }
        let evidence = Text::new(evidence);
        self.emit(CorrectionBooked {
            id: correction,
            instrument: id,
            kind: CorrectionKind::Adopted,
            quantity,
            average: Some(priced),
            lot: None,
            time,
            evidence: evidence.clone(),
        });
        let left = quarantined.minus(quantity).unwrap_or_default();
        self.emit(HoldingQuarantined { asset: base, quantity: left, evidence });
        if left.is_zero() {
            self.clear(AlarmKind::Quarantine, Some(id));
        }
        Ok(())
    }

    fn correct_cost(&mut self, id: InstrumentId, average: Price) -> Result<(), Text> {
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let Some(entry) = instrument.entry_price() else { return Err(Text::new("nothing is held")) };
        let off = average.0.minus(entry.0).map_or(Fixed::ZERO, Fixed::abs);
        let allowed = entry.scaled(self.settings.cost_tolerance, Rounding::Floor).unwrap_or(Price::ZERO);
        if off <= allowed.0 {
            return Err(Text::new("the stated average agrees with the entry price: nothing to correct"));
        }
        let quantity = instrument.held();
        let time = self.turn.now;
        let correction = reconcile::correction_id(id, CorrectionKind::Cost, quantity, None, time);
        self.emit(CorrectionBooked {
            id: correction,
            instrument: id,
            kind: CorrectionKind::Cost,
            quantity,
            average: Some(average),
            lot: None,
            time,
            evidence: Text::new(&alloc::format!("stated average {average}, entry price was {entry}")),
        });
        self.settle(id);
        Ok(())
    }

    fn release(&mut self, by: Label, name: Label) -> Result<(), Text> {
        let id = self.listed(name)?;
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let blocked = instrument.blocked.is_some();
        let alarmed = [AlarmKind::Drift, AlarmKind::Quarantine]
            .iter()
            .any(|kind| self.state.alarms.contains_key(&(*kind, Some(id))));
        if !blocked && !alarmed {
            return Err(Text::new(&alloc::format!("{name} is not blocked")));
        }
        self.emit(InstrumentReleased { instrument: id, by });
        self.clear(AlarmKind::Drift, Some(id));
        self.clear(AlarmKind::Quarantine, Some(id));
        Ok(())
    }

    fn accept_gap(&mut self, by: Label) -> Result<(), Text> {
        if self.state.journal.open_gap.is_none() {
            return Err(Text::new("no gap waits to be accepted"));
        }
        self.emit(GapAccepted { by });
        self.clear(AlarmKind::JournalGap, None);
        Ok(())
    }

    fn return_dust(&mut self, by: Label, name: Label) -> Result<(), Text> {
        let id = self.listed(name)?;
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let dust = instrument.dust;
        if !dust.quantity.is_positive() {
            return Err(Text::new(&alloc::format!("{name} has no dust")));
        }
        if !instrument.is_open() {
            return Err(Text::new(&alloc::format!(
                "no position is open in {name}: dust alone cannot be sold and would be a position without an exit"
            )));
        }
        self.emit(DustReturned { instrument: id, by, quantity: dust.quantity, cost: dust.cost });
        self.settle(id);
        Ok(())
    }

    /// A person asks again for an exit that failed for good or waits: at once, as a new intent.
    fn retry_exit(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        if instrument.has_selling_exit(&self.state) {
            return;
        }
        let replaces = instrument.exit_failed.map_or(OrderId(0), |f| f.order);
        self.send_exit(id, ExitReason::Command, 0, replaces);
    }

    pub(crate) fn cancel_entry(&mut self, id: InstrumentId, why: &'static str) {
        if let Some(order) = self.state.instrument(id).and_then(|i| i.live_entry(&self.state)) {
            self.cancel(order, why);
        }
    }

    /// An entry that waits for its balance is given up.
    pub(crate) fn drop_prepared(&mut self, id: InstrumentId) {
        let Some(prepared) = self.state.instrument(id).and_then(|i| i.prepared.clone()) else { return };
        self.emit(EntryPrepared { snapshot: 0, ..prepared.entry });
    }

    pub(crate) fn all_instruments(&self) -> impl Iterator<Item = InstrumentId> + use<> {
        (0..u32::try_from(self.state.instruments.len()).unwrap_or(u32::MAX)).map(InstrumentId)
    }
}

/// The price at which `q' - q` must enter so that the whole has the average `a'` (rule 41): (q'a' - qa) / (q' - q).
fn adoption_price(
    average: Price,
    quantity: Quantity,
    entry: Option<Price>,
    held: Quantity,
) -> Result<Price, ArithmeticError> {
    let whole = average.times(quantity, Rounding::HalfEven)?;
    let ours = entry.unwrap_or(Price::ZERO).times(held, Rounding::HalfEven)?;
    whole.minus(ours)?.per(quantity.minus(held)?, Rounding::HalfEven)
}
