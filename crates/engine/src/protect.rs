//! Protection of what is held: where a stop stands, when it moves, when it fires.
//!
//! The arithmetic is pure; a stop never falls here. Only a named command can loosen one (see `command`).

use crate::Engine;
use crate::market::Seen;
use aegis_model::event::{AlarmKind, BlindEnded, StopMoved};
use aegis_model::market::{Instrument, Tick};
use aegis_model::protection::{Distance, ExitReason, Plan, Protection, Stage, StopCause, StopRule};
use aegis_model::{ArithmeticError, Fact, InstrumentId, Price, Quantity, Rate, Rounding};
use aegis_projection::Holding;

/// The level a distance below a price, rounded up to the tick (semantics rule 24); never below zero.
pub(crate) fn below(price: Price, distance: Distance, tick: Price) -> Result<Price, ArithmeticError> {
    let level = match distance {
        Distance::Relative(rate) => price.scaled(rate.complement()?, Rounding::Ceil)?,
        Distance::Offset(offset) => price.minus(offset)?,
    };
    level.max(Price::ZERO).to_tick(tick, Rounding::Ceil)
}

/// The take-profit of a plan for an entry price.
pub(crate) fn take_profit(plan: &Plan, entry: Price, tick: Price) -> Result<Option<Price>, ArithmeticError> {
    let Some(rate) = plan.take_profit else { return Ok(None) };
    entry.scaled(Rate::ONE.plus(rate)?, Rounding::Ceil)?.to_tick(tick, Rounding::Ceil).map(Some)
}

/// Profit net of both fees at a price (semantics rule 22): (reference x held x (1 - taker)) / (cost + quote entry
/// fees) - 1.
pub(crate) fn net_profit(holding: &Holding, price: Price, taker: Rate) -> Result<Rate, ArithmeticError> {
    let proceeds =
        price.times(holding.held, Rounding::Floor)?.scaled(taker.complement()?, Rounding::Floor)?;
    let paid = holding.cost.plus(holding.entry_fees)?;
    proceeds.ratio(paid, Rounding::Floor)?.minus(Rate::ONE)
}

/// The distance that trails now, if any: the highest stage reached, else the base where it trails from the start.
fn trailing_distance(rule: &StopRule, reached: u8) -> Option<Distance> {
    match rule {
        StopRule::Fixed => None,
        StopRule::Trailing { distance, from_start, stages } => {
            match stages.get(usize::from(reached).wrapping_sub(1)) {
                Some(Stage { distance, .. }) => Some(*distance),
                None => from_start.then_some(*distance),
            }
        }
    }
}

/// A protection after a fresh reference, if anything about it changed: first the stages, then the mark, then the
/// stop, which never falls.
pub(crate) fn raised(
    protection: &Protection,
    holding: &Holding,
    spec: &Instrument,
    reference: Price,
    taker: Rate,
) -> Result<Option<StopMoved>, ArithmeticError> {
    if reference <= protection.mark {
        return Ok(None);
    }
    let mut reached = protection.stages_reached;
    if let StopRule::Trailing { stages, .. } = &protection.plan.rule {
        for (at, stage) in stages.iter().enumerate().skip(usize::from(reached)) {
            if net_profit(holding, reference, taker)? > stage.activation {
                reached = u8::try_from(at + 1).unwrap_or(u8::MAX);
            }
        }
    }
    let stop = match trailing_distance(&protection.plan.rule, reached) {
        Some(distance) => protection.stop.max(below(reference, distance, spec.price_tick)?),
        None => protection.stop,
    };
    Ok(Some(StopMoved {
        instrument: InstrumentId(0),
        why: StopCause::MarkRaised,
        stop,
        mark: reference,
        quantity: protection.quantity,
        stages_reached: reached,
        take_profit: protection.take_profit,
    }))
}

impl Engine {
    /// A point of the market: first the standing stop, then the take-profit, then the mark (semantics rule 23).
    pub(crate) fn tick(&mut self, tick: &Tick) {
        let seen = self.market.see(tick);
        if seen == Seen::Nothing {
            return;
        }
        if self.settings.record_all {
            self.position();
        }
        let id = tick.instrument;
        let Some(instrument) = self.state.instrument(id) else { return };
        if !instrument.is_open() {
            return;
        }
        if instrument.protection.is_none() {
            self.settle(id);
        }
        if seen == Seen::Another {
            self.fresh_until(id);
        }
        let Some(reference) = self.market.reference(id, self.turn.now, &self.settings) else {
            self.look_at_freshness(id);
            return;
        };
        if let Some(since) = self.state.instrument(id).and_then(|i| i.blind) {
            self.emit(BlindEnded { instrument: id, lasted_ns: self.turn.now.since(since) });
            self.clear(AlarmKind::Blind, Some(id));
        }
        self.guard(id, reference);
    }

    fn guard(&mut self, id: InstrumentId, reference: Price) {
        let Some(instrument) = self.state.instrument(id).filter(|i| i.protection.is_some()) else { return };
        if instrument.exit_wanted.is_some() {
            self.drive_exit(id);
            if self.waits_for_a_person(id) {
                self.rest_stop(id);
            }
            return;
        }
        let small = self.asks.too_small.get(id.0 as usize);
        if small.is_some_and(|(least, stands)| (reference < *least) != *stands) {
            self.unsellable_alarm(id);
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        let Some(protection) = instrument.protection.as_ref() else { return };
        let crossed = reference <= protection.stop;
        let profit_hit = protection.take_profit.is_some_and(|level| reference >= level);
        let time_hit = protection.time_exit.is_some_and(|time| time <= self.turn.now);
        let stop_hit = crossed && self.stop_is_ours(id, reference);
        let hits = [
            (ExitReason::Stop, stop_hit),
            (ExitReason::TakeProfit, profit_hit),
            (ExitReason::Time, time_hit),
        ];
        if let Some((first, _)) = hits.iter().find(|(_, hit)| *hit) {
            let others = hits
                .iter()
                .filter(|(reason, hit)| *hit && reason != first)
                .fold(0, |bits, (reason, _)| bits | 1 << reason.number());
            self.want_exit(id, *first, others);
            return;
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        let Some(protection) = instrument.protection.as_ref() else { return };
        let forgotten;
        let protection = if aegis_model::mutant!(13) && self.asks.compared.is_none() {
            forgotten = Protection { mark: Price::ZERO, stop: Price::ZERO, ..protection.clone() };
            &forgotten
        } else {
            protection
        };
        let moved =
            raised(protection, &instrument.book.now, &instrument.spec, reference, self.settings.taker_fee);
        if let Ok(Some(moved)) = moved {
            self.emit(Fact::StopMoved(StopMoved { instrument: id, ..moved }));
            self.rest_stop(id);
        }
    }

    /// The quantity that protection must cover: what could be sold if nothing else were going on.
    pub(crate) fn coverable(&self, id: InstrumentId) -> Quantity {
        let sellable = self.state.sellable(id, self.settings.taker_fee);
        if aegis_model::mutant!(11)
            && let Some(instrument) = self.state.instrument(id)
            && let Ok(gross) = Rate::ONE.plus(self.settings.taker_fee).and_then(|rate| {
                instrument
                    .held()
                    .scaled(rate, Rounding::Ceil)?
                    .to_tick(instrument.spec.quantity_tick, Rounding::Floor)
            })
        {
            return sellable.max(gross);
        }
        sellable
    }
}

#[cfg(test)]
mod tests;
