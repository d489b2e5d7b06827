//! The gate for new exposure: every rule in one order, each refusal with the numbers that decided.
//!
//! It reads and answers; it emits nothing.

use crate::Engine;
use crate::settings::{EntryStyle, HOUR};
use aegis_model::event::{AlarmKind, Blocks, Direction, PauseRule, Refusal};
use aegis_model::order::OrderStatus;
use aegis_model::{
    ArithmeticError, Fixed, InstrumentId, Lsn, Money, OrderId, Price, Quantity, Rate, Rounding, Timestamp,
};

/// Why an entry is refused, with the figures of the gate that refused it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Refusal,
    pub(crate) need: Fixed,
    pub(crate) have: Fixed,
    pub(crate) blocking: Lsn,
}

impl Refused {
    pub(crate) const fn by(reason: Refusal, blocking: Lsn) -> Refused {
        Refused { reason, need: Fixed::ZERO, have: Fixed::ZERO, blocking }
    }

    pub(crate) const fn short(reason: Refusal, need: Fixed, have: Fixed) -> Refused {
        Refused { reason, need, have, blocking: Lsn::NONE }
    }
}

impl From<ArithmeticError> for Refused {
    fn from(_: ArithmeticError) -> Refused {
        Refused::by(Refusal::BadRequest, Lsn::NONE)
    }
}

/// What the signals of an instrument agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opinion {
    /// Nothing counts now.
    None,
    /// Both directions, too close to each other: their difference.
    Disagree(Rate),
    /// One direction with the mean confidence of its signals.
    Points(Direction, Rate),
}

/// How large an entry is and what it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    pub(crate) quantity: Quantity,
    pub(crate) worst: Price,
    pub(crate) stop: Price,
    pub(crate) need: Money,
}

impl Engine {
    /// Everything but signals, size and balance. `own` is the order that asks, when one is sent again.
    pub(crate) fn gate(&self, id: InstrumentId, own: Option<OrderId>) -> Result<(), Refused> {
        let state = &self.state;
        if self.asks.stopping || state.trading.stopping {
            return Err(Refused::by(Refusal::Stopping, Lsn::NONE));
        }
        if self.asks.reserve_only {
            return Err(Refused::by(Refusal::JournalReserve, Lsn::NONE));
        }
        if let Some(gap) = state.journal.open_gap {
            return Err(Refused::by(Refusal::GapOpen, gap));
        }
        if let Some(halt) = &state.trading.halted {
            return Err(Refused::by(Refusal::TradingHalted, halt.lsn));
        }
        if state.journal.reconciled.is_none() {
            return Err(Refused::by(Refusal::NotReconciled, state.journal.started));
        }
        let Some(instrument) = state.instrument(id) else {
            return Err(Refused::by(Refusal::UnknownInstrument, Lsn::NONE));
        };
        for ((kind, about), alarm) in &state.alarms {
            // That its outcome was unknown for long is no reason against the very order that was proven absent.
            if own.is_some() && *kind == AlarmKind::UnknownOutcome && *about == Some(id) {
                continue;
            }
            let blocks = match alarm.blocks {
                Blocks::Nothing => false,
                Blocks::InstrumentEntries => *about == Some(id),
                Blocks::AllEntries => true,
            };
            if blocks {
                return Err(Refused::by(Refusal::AlarmStanding, alarm.lsn));
            }
        }
        if let Some(lsn) = instrument.blocked {
            return Err(Refused::by(Refusal::InstrumentBlocked, lsn));
        }
        if !instrument.spec.tradable {
            return Err(Refused::by(Refusal::NotTradable, instrument.listed));
        }
        if instrument.book.now.waiting.is_positive() {
            return Err(Refused::by(Refusal::SellWaiting, Lsn::NONE));
        }
        let mut live = instrument.live.iter().filter(|o| Some(**o) != own).filter_map(|o| state.order(*o));
        if let Some(unknown) = live.clone().find(|o| o.status == OrderStatus::Unknown) {
            return Err(Refused::by(Refusal::UnknownOutcome, unknown.intended));
        }
        if instrument.is_open() {
            return Err(Refused::by(Refusal::PositionOpen, instrument.opened));
        }
        if instrument.book.now.cycle > 0 && instrument.book.now.last >= self.turn.now {
            // Executions of one instant fold buys first (semantics rule 1): an entry at the instant of an exit would
            // run into its cycle.
            return Err(Refused::by(Refusal::PositionOpen, instrument.opened));
        }
        if let Some(order) = live.next() {
            return Err(Refused::by(Refusal::OrderWorking, order.intended));
        }
        if own.is_none()
            && let Some(prepared) = &instrument.prepared
        {
            return Err(Refused::by(Refusal::OrderWorking, prepared.lsn));
        }
        let limit = state.trading.limits.max_positions.unwrap_or(self.settings.max_positions);
        let others = state.exposure_count() - u32::from(own.is_some());
        if others >= limit && !aegis_model::mutant!(19) {
            let (need, have) = (Fixed::from_int(i64::from(limit)), Fixed::from_int(i64::from(others)));
            return Err(Refused::short(Refusal::TooManyPositions, need, have));
        }
        self.pauses(id)
    }

    /// Pauses in force, by the record of no one in particular: the rule's end is the figure needed.
    fn pauses(&self, _id: InstrumentId) -> Result<(), Refused> {
        let now = self.turn.now;
        match self.state.trading.pauses.iter().find(|(_, until)| **until > now) {
            Some((_, until)) => Err(Refused::short(
                Refusal::Paused,
                Fixed::from_int(until.0 / aegis_model::ids::SECOND),
                Fixed::from_int(now.0 / aegis_model::ids::SECOND),
            )),
            None => Ok(()),
        }
    }

    /// Rules over the whole market: a pause to start, or a figure that is missing.
    pub(crate) fn market_pause(&self) -> Result<Option<(PauseRule, Fixed, Timestamp)>, Refused> {
        let now = self.turn.now;
        let until = now.after(HOUR);
        let missing = Refused::by(Refusal::InputMissing, Lsn::NONE);
        if let Some(limit) = self.settings.leader_fall {
            let leader = self.state.find_instrument(&self.settings.leader).ok_or(missing)?;
            let change = self.market.change(leader, now, HOUR).ok_or(missing)?;
            if change <= limit.negated() {
                return Ok(Some((PauseRule::LeaderFell, change.0, until)));
            }
        }
        if let Some(limit) = self.settings.market_fall {
            let mut sum = Rate::ZERO;
            let mut count = 0;
            for at in 0..self.state.instruments.len() {
                let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
                sum = sum.plus(self.market.change(id, now, 24 * HOUR).ok_or(missing)?)?;
                count += 1;
            }
            let mean = Rate(sum.0.over(Fixed::from_int(count), Rounding::HalfEven)?);
            if mean < limit {
                return Ok(Some((PauseRule::MarketFell, mean.0, until)));
            }
        }
        Ok(None)
    }

    /// What the latest signal of each source adds up to; a signal counts until its horizon ends.
    pub(crate) fn opinion(&self, id: InstrumentId) -> Opinion {
        let now = self.turn.now;
        let mean = |direction: Direction| -> Option<Rate> {
            let first = (id, aegis_model::Label::EMPTY);
            let mut sum = Fixed::ZERO;
            let mut count = 0;
            let range = self.state.signals.range(first..).take_while(|((i, _), _)| *i == id);
            for (_, signal) in range.filter(|(_, s)| s.direction == direction && s.until > now) {
                sum = sum.plus(signal.confidence.0).ok()?;
                count += 1;
            }
            (count > 0).then(|| sum.over(Fixed::from_int(count), Rounding::HalfEven).ok().map(Rate))?
        };
        match (mean(Direction::Up), mean(Direction::Down)) {
            (None, None) => Opinion::None,
            (Some(up), None) => Opinion::Points(Direction::Up, up),
            (None, Some(down)) => Opinion::Points(Direction::Down, down),
            (Some(up), Some(down)) => {
                let difference = Rate(up.0.minus(down.0).map_or(Fixed::ZERO, Fixed::abs));
                if difference < self.settings.disagreement_width {
                    Opinion::Disagree(difference)
                } else if up > down {
                    Opinion::Points(Direction::Up, up)
                } else {
                    Opinion::Points(Direction::Down, down)
                }
            }
        }
    }

    /// Whether the signals allow an entry (semantics rule 37: thresholds are inclusive).
    pub(crate) fn agreed_up(&self, id: InstrumentId) -> Result<Rate, Refused> {
        match self.opinion(id) {
            Opinion::None => Err(Refused::by(Refusal::SignalExpired, Lsn::NONE)),
            Opinion::Disagree(have) => {
                Err(Refused::short(Refusal::SignalsDisagree, self.settings.disagreement_width.0, have.0))
            }
            Opinion::Points(Direction::Up, confidence) if confidence >= self.settings.confidence_min => {
                Ok(confidence)
            }
            Opinion::Points(Direction::Up, have) => {
                Err(Refused::short(Refusal::ConfidenceLow, self.settings.confidence_min.0, have.0))
            }
            Opinion::Points(_, have) => {
                Err(Refused::short(Refusal::SignalsDisagree, self.settings.confidence_min.0, have.0))
            }
        }
    }

    /// What buys cost at worst: the ask plus the maximum slippage, rounded down to the tick (rule 24).
    pub(crate) fn worst_price(&self, id: InstrumentId) -> Result<Price, Refused> {
        let tick = self.state.instrument(id).map_or(Price::ZERO, |i| i.spec.price_tick);
        let ask = self
            .market
            .ask(id, self.turn.now, &self.settings)
            .ok_or(Refused::by(Refusal::PriceStale, Lsn::NONE))?;
        let worst = ask.scaled(Rate::ONE.plus(self.settings.slippage)?, Rounding::Floor)?;
        // On a coarse tick the limit may round below the ask; the ask itself always lies on the tick.
        Ok(worst.to_tick(tick, Rounding::Floor)?.max(ask))
    }

    /// What an entry needs at worst, fees and market-order margin included, rounded up.
    pub(crate) fn need(&self, worst: Price, quantity: Quantity) -> Result<Money, ArithmeticError> {
        let value = worst.times(quantity, Rounding::Ceil)?;
        match self.settings.entry_style {
            EntryStyle::Market => value.scaled(Rate::ONE.plus(self.settings.market_margin)?, Rounding::Ceil),
            EntryStyle::LimitImmediate | EntryStyle::LimitResting { .. } => Ok(value),
        }
    }

    /// How large an entry may be: min(budget, weight x available, risk x equity / stop distance), floored to the
    /// tick, and large enough after the fee at the stop price (rules 34 and 36). A wished quantity is taken as it
    /// is or refused.
    pub(crate) fn size(
        &self,
        id: InstrumentId,
        stop: Option<Price>,
        wish: Option<Quantity>,
    ) -> Result<Size, Refused> {
        let missing = Refused::by(Refusal::InputMissing, Lsn::NONE);
        let instrument = self.state.instrument(id).ok_or(missing)?;
        let spec = &instrument.spec;
        let worst = self.worst_price(id)?;
        let stop = match stop {
            Some(stop) => stop,
            None => {
                let plan = self.plan_of(id)?;
                crate::protect::below(worst, plan.initial, spec.price_tick)?
            }
        };
        let distance = worst.minus(stop)?;
        let available =
            self.state.available(spec.quote).ok_or(Refused::by(Refusal::BalanceStale, Lsn::NONE))?;
        let equity = self.equity().ok_or(Refused::by(Refusal::BalanceStale, Lsn::NONE))?;
        let quantity = match wish {
            Some(quantity) => quantity,
            None => {
                let budget = self.state.trading.limits.budget.unwrap_or(self.settings.budget);
                let share = Money(available.0).scaled(self.settings.weight, Rounding::Floor)?;
                let by_cost = budget.min(share).at(worst, Rounding::Floor)?;
                let by_risk = if distance.is_positive() {
                    equity.scaled(self.settings.risk, Rounding::Floor)?.at(distance, Rounding::Floor)?
                } else {
                    by_cost
                };
                by_cost.min(by_risk).to_tick(spec.quantity_tick, Rounding::Floor)?
            }
        };
        let after_fee = quantity
            .scaled(self.settings.taker_fee.complement()?, Rounding::Floor)?
            .to_tick(spec.quantity_tick, Rounding::Floor)?;
        let worth = stop.times(after_fee, Rounding::Floor)?;
        let least =
            spec.minimum_notional.scaled(Rate::ONE.plus(self.settings.minimum_margin)?, Rounding::Ceil)?;
        if after_fee < spec.quantity_tick {
            return Err(Refused::short(Refusal::BelowMinimum, spec.quantity_tick.0, after_fee.0));
        }
        if worth < least {
            return Err(Refused::short(Refusal::BelowMinimum, least.0, worth.0));
        }
        let size = Size { quantity, worst, stop, need: self.need(worst, quantity)? };
        self.within_daily_loss(&size)?;
        Ok(size)
    }

    /// The day's loss with this entry's loss at its stop stays within the limit (rule 38).
    fn within_daily_loss(&self, size: &Size) -> Result<(), Refused> {
        let Some(limit) = self.daily_loss_limit() else { return Ok(()) };
        let loss = self.daily_loss().ok_or(Refused::by(Refusal::InputMissing, Lsn::NONE))?;
        let at_stop = size.worst.minus(size.stop)?.times(size.quantity, Rounding::Ceil)?;
        let risked = loss.plus(at_stop)?;
        if risked > limit {
            return Err(Refused::short(Refusal::DailyLoss, limit.0, risked.0));
        }
        Ok(())
    }

    /// The plan for a new position, its average-true-range distance filled in.
    pub(crate) fn plan_of(&self, id: InstrumentId) -> Result<aegis_model::Plan, Refused> {
        let missing = Refused::by(Refusal::InputMissing, Lsn::NONE);
        let instrument = self.state.instrument(id).ok_or(missing)?;
        let settings = self.settings.plan_for(&instrument.spec.name);
        let mut plan = settings.plan.clone();
        if let Some(atr) = settings.atr {
            let range = self
                .market
                .average_true_range(id, atr.period)
                .ok_or(Refused::by(Refusal::TooFewCandles, Lsn::NONE))?;
            let offset = range.scaled(atr.multiple, Rounding::Ceil)?;
            plan.initial = aegis_model::protection::Distance::Offset(offset);
            plan.atr = Some(range);
        }
        Ok(plan)
    }
}
