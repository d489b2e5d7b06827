//! After anything that changed a holding: tell ended cycles, arm or resize protection, keep dust, go on with exits.
//!
//! All of it lands in the batch of the change itself, so no crash leaves a holding between two of its facts.

use crate::Engine;
use crate::protect::{below, take_profit};
use aegis_model::event::{
    AlarmKind, Blocks, CycleRestated, DustKept, PauseRule, PauseStarted, PositionClosed, StopArmed,
    StopMoved, StopRetired,
};
use aegis_model::ids::DAY;
use aegis_model::protection::{ExitReason, Plan, RetireCause, StopCause};
use aegis_model::{
    ArithmeticError, Fixed, InstrumentId, Money, Price, Purpose, Quantity, Rate, Rounding, Timestamp,
};
use aegis_projection::Holding;

impl Engine {
    /// Brings everything that follows from an instrument's holding up to date. Idempotent: a second call emits
    /// nothing.
    pub(crate) fn settle(&mut self, id: InstrumentId) {
        self.keep_dust(id);
        self.tell_cycles(id);
        self.cover(id);
        self.waiting_alarm(id);
        self.drive_exit(id);
        self.rest_stop(id);
        self.unsellable_alarm(id);
        self.loss_pause();
    }

    /// What cannot be sold leaves the position: below one tick always, below the minimum notional when an exit is
    /// wanted and nothing of it is live (semantics rules 17 and 18).
    fn keep_dust(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let holding = &instrument.book.now;
        if !holding.held.is_positive() || instrument.has_unknown(&self.state) {
            return;
        }
        let entry_live = instrument.live_entry(&self.state).is_some();
        let exit_live = instrument.live_exits_quantity(&self.state).is_positive();
        let below_tick = holding.held < instrument.spec.quantity_tick;
        let wanted = instrument.exit_wanted.is_some() || self.state.trading.flatten.is_some();
        let too_small = |price: Price| {
            let whole = holding.held.to_tick(instrument.spec.quantity_tick, Rounding::Floor);
            whole.is_ok_and(|quantity| !instrument.spec.sellable(quantity, price))
        };
        let refused_small = instrument
            .exit_failed
            .is_some_and(|f| f.class == Some(aegis_model::order::RejectClass::TooSmall));
        let price = self.market.reference(id, self.turn.now, &self.settings);
        let below_minimum = wanted && (price.is_some_and(too_small) || refused_small);
        if exit_live || entry_live || !(below_tick || below_minimum) {
            return;
        }
        let kept =
            DustKept { instrument: id, cycle: holding.cycle, quantity: holding.held, cost: holding.cost };
        self.emit(kept);
    }

    /// One record for each ended cycle that was not told yet or whose profit a late fill changed.
    fn tell_cycles(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let untold: alloc::vec::Vec<Holding> = instrument
            .book
            .ended
            .iter()
            .filter(|c| instrument.book.told.get(&c.sums.cycle) != Some(&c.sums.realised))
            .map(|c| c.sums.clone())
            .collect();
        for sums in untold {
            self.tell_cycle(id, &sums);
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        if !instrument.is_open() && instrument.protection.is_some() {
            let why = if instrument.book.ended.back().is_some_and(|c| c.sums.dust.is_positive()) {
                RetireCause::Dust
            } else if instrument.book.ended.back().is_some_and(|c| c.sums.sold.is_zero()) {
                RetireCause::Corrected
            } else {
                RetireCause::Closed
            };
            self.emit(StopRetired { instrument: id, why });
            self.clear(AlarmKind::ExitFailing, Some(id));
            self.clear(AlarmKind::Blind, Some(id));
            self.clear(AlarmKind::VenueStopMissing, Some(id));
            self.stop_out_pause();
        }
    }

    fn tell_cycle(&mut self, id: InstrumentId, sums: &Holding) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let name = instrument.spec.name;
        if let Some(old) = instrument.book.told.get(&sums.cycle).copied() {
            let lsn = self.emit(CycleRestated { instrument: id, cycle: sums.cycle, old, new: sums.realised });
            self.tell(
                lsn,
                &alloc::format!(
                    "{name} cycle {} restated: profit {old} is now {}",
                    sums.cycle,
                    sums.realised
                ),
            );
            return;
        }
        let reason = instrument.exit_wanted.map(|(reason, _)| reason).or_else(|| self.last_exit_reason(id));
        let paid = sums.buy_value.plus(sums.entry_fees).unwrap_or(Money::ZERO);
        let rate = sums.realised.ratio(paid, Rounding::HalfEven).unwrap_or(Rate::ZERO);
        let lsn = self.emit(PositionClosed {
            instrument: id,
            cycle: sums.cycle,
            opened: sums.opened,
            closed: sums.last,
            bought: sums.bought,
            buy_value: sums.buy_value,
            sold: sums.sold,
            sell_value: sums.sell_value,
            quote_fees: sums.quote_fees,
            base_fees: sums.base_fees,
            realised: sums.realised,
            rate,
            dust: sums.dust,
            reason,
        });
        let why = reason.map_or_else(alloc::string::String::new, |r| alloc::format!(" ({r})"));
        self.tell(
            lsn,
            &alloc::format!(
                "{name} closed{why}: sold {} for {}, profit {}; fill {}",
                sums.sold,
                sums.sell_value,
                sums.realised,
                self.state.lsn
            ),
        );
    }

    /// The reason of the exit order that just ended, when the fold has already forgotten that one was wanted.
    fn last_exit_reason(&self, id: InstrumentId) -> Option<ExitReason> {
        let instrument = self.state.instrument(id)?;
        let live = instrument.live.iter().rev().filter_map(|o| self.state.order(*o));
        let ended = self.state.orders.all_ended().rev().take(8).filter(|e| e.order.instrument == id);
        // A stop that never fired sold nothing.
        let sellers = live.chain(ended.map(|e| e.order)).filter(|o| !o.is_resting_stop());
        sellers.map(|o| o.purpose).find_map(|purpose| match purpose {
            Purpose::Exit { reason, .. } => Some(reason),
            Purpose::Entry => None,
        })
    }

    /// Every open position has a stop for exactly what could be sold; when it cannot be armed, an alarm stands
    /// and blocks new exposure until it can.
    pub(crate) fn cover(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        if !instrument.is_open() {
            self.clear(AlarmKind::Unprotected, Some(id));
            return;
        }
        let done = if instrument.protection.is_some() { self.resize(id) } else { self.arm(id) };
        match done {
            Ok(()) => self.clear(AlarmKind::Unprotected, Some(id)),
            Err(why) => {
                let reason =
                    alloc::format!("the stop cannot be computed: {why}; close it or adjust the stop");
                self.raise(AlarmKind::Unprotected, Some(id), Blocks::InstrumentEntries, &reason);
            }
        }
    }

    fn arm(&mut self, id: InstrumentId) -> Result<(), ArithmeticError> {
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let name = instrument.spec.name;
        let tick = instrument.spec.price_tick;
        let holding = instrument.book.now.clone();
        let plan: Plan =
            instrument.plan.clone().unwrap_or_else(|| self.settings.plan_for(&name).plan.clone());
        let entry = match instrument.entry_price() {
            Some(price) => price,
            None => self.market.value_price(id).ok_or(ArithmeticError::DivisionByZero)?,
        };
        let stop = below(entry, plan.initial, tick)?;
        if stop >= entry && !plan_is_degenerate(&plan) && entry > tick {
            return Err(ArithmeticError::Overflow);
        }
        let profit = reachable_profit(&plan, entry, tick);
        let time_exit = plan.hold_ns.map(|ns| holding.opened.after(ns));
        let quantity = self.coverable(id);
        let cycle = holding.cycle;
        let lsn = self.emit(StopArmed {
            instrument: id,
            cycle,
            plan,
            stop,
            take_profit: profit,
            time_exit,
            mark: entry,
            quantity,
        });
        self.tell(
            lsn,
            &alloc::format!(
                "{name} bought {} at {entry:.8}, stop {stop}; fill {}",
                holding.held,
                self.opened_lsn(id)
            ),
        );
        Ok(())
    }

    fn opened_lsn(&self, id: InstrumentId) -> aegis_model::Lsn {
        self.state.instrument(id).map_or(aegis_model::Lsn::NONE, |i| i.opened)
    }

    fn resize(&mut self, id: InstrumentId) -> Result<(), ArithmeticError> {
        let Some(instrument) = self.state.instrument(id) else { return Ok(()) };
        let Some(protection) = instrument.protection.as_ref() else { return Ok(()) };
        let tick = instrument.spec.price_tick;
        let mut next = StopMoved {
            instrument: id,
            why: StopCause::Resized,
            stop: protection.stop,
            mark: protection.mark,
            quantity: protection.quantity,
            stages_reached: protection.stages_reached,
            take_profit: protection.take_profit,
        };
        // While the entry fills the stop may rise with the entry price and never falls (semantics rule 20).
        if let Some(entry) = instrument.entry_price()
            && entry != protection.entry
            && !instrument.has_selling_exit(&self.state)
            && instrument.exit_wanted.is_none()
        {
            let initial = below(entry, protection.plan.initial, tick)?;
            let profit = reachable_profit(&protection.plan, entry, tick);
            if (initial > next.stop && initial < entry)
                || (profit != next.take_profit && instrument.live_entry(&self.state).is_some())
            {
                next.stop = if initial < entry { next.stop.max(initial) } else { next.stop };
                next.take_profit = profit;
                next.why = StopCause::EntryImproved;
            }
            next.mark = next.mark.max(entry);
        }
        next.quantity = self.coverable(id);
        let changed = next.stop != protection.stop
            || next.mark != protection.mark
            || next.quantity != protection.quantity
            || next.take_profit != protection.take_profit;
        if changed {
            self.emit(next);
        }
        Ok(())
    }

    /// A sell that found too little blocks entries until its buys or the next complete comparison explain it.
    fn waiting_alarm(&mut self, id: InstrumentId) {
        let waiting = self.state.instrument(id).map_or(Quantity::ZERO, |i| i.book.now.waiting);
        if waiting.is_positive() {
            let reason = alloc::format!("{waiting} was sold that is not known to have been bought");
            self.raise(AlarmKind::SellWaiting, Some(id), Blocks::InstrumentEntries, &reason);
        } else {
            self.clear(AlarmKind::SellWaiting, Some(id));
        }
    }

    /// A position under the minimum with no exit wanted stays open, with an alarm: the price may recover.
    pub(crate) fn unsellable_alarm(&mut self, id: InstrumentId) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let price = self.market.reference(id, self.turn.now, &self.settings);
        let whole = instrument.held().to_tick(instrument.spec.quantity_tick, Rounding::Floor);
        let stuck = instrument.is_open()
            && instrument.live.is_empty()
            && price.is_some_and(|price| whole.is_ok_and(|q| !instrument.spec.sellable(q, price)));
        // The price at which that changes is looked at with every tick.
        let idle = instrument.is_open() && instrument.live.is_empty() && whole.is_ok_and(|q| q.is_positive());
        let least = whole
            .ok()
            .filter(|_| idle)
            .and_then(|whole| instrument.spec.minimum_notional.per(whole, Rounding::Ceil).ok());
        let at = id.0 as usize;
        if at >= self.asks.too_small.len() {
            self.asks.too_small.resize(at + 1, (Price::ZERO, false));
        }
        self.asks.too_small[at] = (least.unwrap_or(Price::ZERO), stuck);
        if stuck {
            let reason = alloc::format!("{} is below what the venue lets us sell", instrument.held());
            self.raise(AlarmKind::Unsellable, Some(id), Blocks::Nothing, &reason);
        } else if !instrument.is_open() || price.is_some() {
            self.clear(AlarmKind::Unsellable, Some(id));
        }
    }

    /// Repeated stop-outs pause entries, counted from the exit that reached the number; looking again does not
    /// extend the pause (semantics rule 38).
    fn stop_out_pause(&mut self) {
        let Some(rule) = self.settings.stop_outs else { return };
        let Some(last) = self.state.stop_outs.last().copied() else { return };
        let from = last.after(-rule.window_ns);
        let count = self.state.stop_outs.iter().filter(|t| **t > from).count();
        let until = last.after(rule.pause_ns);
        let standing =
            self.state.trading.pauses.get(&PauseRule::StopOuts).copied().unwrap_or(Timestamp::EPOCH);
        if count >= rule.count as usize && standing <= self.turn.now && until > self.turn.now {
            let figure = Fixed::from_int(i64::try_from(count).unwrap_or(i64::MAX));
            self.emit(PauseStarted { rule: PauseRule::StopOuts, until, figure });
        }
    }

    /// Reaching the daily loss pauses entries until the next UTC day, across restarts.
    pub(crate) fn loss_pause(&mut self) {
        let Some(limit) = self.daily_loss_limit() else { return };
        let Some(loss) = self.daily_loss() else { return };
        let next_day = Timestamp((self.turn.now.utc_day() + 1).saturating_mul(DAY));
        let standing = self.state.trading.pauses.get(&PauseRule::DailyLoss).copied();
        if loss >= limit && standing.is_none_or(|until| until < next_day) {
            self.emit(PauseStarted { rule: PauseRule::DailyLoss, until: next_day, figure: loss.0 });
        }
    }

    pub(crate) fn daily_loss_limit(&self) -> Option<Money> {
        if aegis_model::mutant!(20) {
            return None;
        }
        self.state.trading.limits.daily_loss.or(self.settings.daily_loss)
    }

    /// Equity at the day's first input plus net flows less equity now; none before the first balance.
    pub(crate) fn daily_loss(&self) -> Option<Money> {
        let day = self.state.day?;
        if day.number != self.turn.now.utc_day() {
            return None;
        }
        day.equity.plus(day.net_flows).ok()?.minus(self.equity()?).ok()
    }

    /// Equity now, at the last known prices; none before the first quote balance.
    pub(crate) fn equity(&self) -> Option<Money> {
        let quote = self.state.find_asset(&self.state.journal.quote)?;
        self.state.asset(quote)?.balance?;
        Some(self.state.equity(|id| self.market.value_price(id)).0)
    }
}

/// A take-profit beyond every price is never reached, and no reason to go without the stop.
fn reachable_profit(plan: &Plan, entry: Price, tick: Price) -> Option<Price> {
    take_profit(plan, entry, tick).unwrap_or(None)
}

/// A plan whose initial distance is zero protects at the entry price itself.
fn plan_is_degenerate(plan: &Plan) -> bool {
    match plan.initial {
        aegis_model::protection::Distance::Relative(rate) => rate.is_zero(),
        aegis_model::protection::Distance::Offset(offset) => offset.is_zero(),
    }
}
