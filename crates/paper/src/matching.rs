//! Meeting the market: which open orders a tick reaches, in which order, at which price and for how much.
//!
//! It never fills more than was shown, more than was ordered, or a gapped trigger at its own price.

use crate::fact::{Liquidity, OrderExpired, OrderTraded, OrderTriggered, TickSeen};
use crate::input::Said;
use crate::market::{crosses, shown, touch};
use crate::order::fires;
use crate::state::Order;
use crate::venue::Venue;
use aegis_model::fixed::Rounding;
use aegis_model::market::PricePath;
use aegis_model::{
    Actor, ArithmeticError, AssetId, InstrumentId, Lsn, Money, OrderKind, Price, Quantity, Rate, Side, Tick,
};
use alloc::vec::Vec;

/// An open order that a tick reaches. The derived order is the order of execution: resting orders before
/// triggers, better limits first, older orders first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reached {
    /// A resting limit; `rank` is smaller for a better price.
    Limit { rank: Price, number: u64, limit: Price },
    /// A trigger.
    Trigger { number: u64, reference: Price, price: Price },
}

/// The figures of an execution.
struct Execution {
    quantity: Quantity,
    value: Money,
    fee_asset: AssetId,
    fee: Quantity,
    reserved: Quantity,
}

impl Venue {
    /// Decides on a tick, unless its feed has been here before.
    pub(crate) fn on_tick(&mut self, tick: Tick) {
        let place = [self.state.feed_position(tick.feed), self.market.feed(tick.feed)];
        if place.into_iter().flatten().any(|known| tick.cursor <= known.cursor) {
            self.market.remember(tick);
            return;
        }
        let previous = self.market.tick(tick.instrument);
        self.market.decided(tick);
        if !self.state.instruments.get(&tick.instrument).is_some_and(|spec| spec.tradable) {
            return;
        }
        let mut reached = self.reached(&tick, previous);
        if reached.is_empty() && !self.any_fires(tick.instrument) {
            return;
        }
        reached.sort_unstable();
        self.at_market(&tick);
        let cause = self.emit(Actor::Market, Lsn::NONE, TickSeen { tick });
        for one in reached {
            match one {
                Reached::Limit { number, limit, .. } => {
                    if self.fill(number, &tick, limit, Liquidity::Maker, cause) {
                        self.report_row(number);
                    }
                }
                Reached::Trigger { number, reference, price } => {
                    let cause = self.emit(Actor::Market, cause, OrderTriggered { order: number, reference });
                    self.fill(number, &tick, price, Liquidity::Taker, cause);
                    self.expire_if_open(number, cause);
                    self.report_row(number);
                }
            }
        }
        self.release_fired(tick.instrument, cause);
    }

    fn reached(&self, tick: &Tick, previous: Option<Tick>) -> Vec<Reached> {
        let here = (tick.instrument, 0)..=(tick.instrument, u64::MAX);
        let here = self.state.open.range(here).filter(|(_, number)| !self.following.contains(number));
        let open = here.filter_map(|(_, number)| Some((*number, self.open_order(*number)?)));
        open.filter_map(|(number, order)| {
            let touch = touch(tick, order.side)?;
            match order.kind {
                OrderKind::Limit { price: limit, .. } => {
                    let rest = order.quantity.minus(order.cumulative).ok()?;
                    let size = self.fillable(order.instrument, order.side, rest, tick);
                    let rank = match order.side {
                        Side::Buy => limit.negated(),
                        Side::Sell => limit,
                    };
                    (crosses(order.side, limit, touch) && size.is_positive()).then_some(Reached::Limit {
                        rank,
                        number,
                        limit,
                    })
                }
                OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => {
                    fires(order.kind, touch).then(|| {
                        let price = self.trigger_price(&order, trigger, touch, tick, previous);
                        Reached::Trigger { number, reference: touch, price }
                    })
                }
                // A market order never rests.
                OrderKind::Market => None,
            }
        })
        .collect()
    }

    /// Where a fired trigger sells: at its own price less slippage if the price was traded on the way from a known
    /// point before the trigger, otherwise at what the tick shows.
    fn trigger_price(
        &self,
        order: &Order,
        trigger: Price,
        reference: Price,
        tick: &Tick,
        previous: Option<Tick>,
    ) -> Price {
        let before = previous.filter(|previous| previous.feed == tick.feed);
        let before = before.and_then(|previous| touch(&previous, order.side));
        let crossed = before.is_some_and(|before| !fires(order.kind, before));
        match tick.path {
            PricePath::Through if crossed => self.slipped(order.instrument, trigger).unwrap_or(reference),
            PricePath::Through | PricePath::Jump => reference,
        }
    }

    /// A price less the configured slippage, down to the tick and at least one tick.
    fn slipped(&self, instrument: InstrumentId, price: Price) -> Option<Price> {
        let tick = self.state.instruments.get(&instrument)?.price_tick;
        if self.settings.slippage().is_zero() {
            return Some(price);
        }
        let kept = self.settings.slippage().complement().ok()?;
        let slipped = price.scaled(kept, Rounding::Floor).ok()?.to_tick(tick, Rounding::Floor).ok()?;
        Some(slipped.max(tick.min(price)))
    }

    /// How much of `rest` the tick still shows, in whole quantity ticks unless it is all of it.
    pub(crate) fn fillable(
        &self,
        instrument: InstrumentId,
        side: Side,
        rest: Quantity,
        tick: &Tick,
    ) -> Quantity {
        let Some(shown) = shown(tick, side) else { return rest };
        let taken = self.state.taken.get(&instrument);
        let taken = taken.filter(|taken| (taken.feed, taken.cursor) == (tick.feed, tick.cursor));
        let taken = taken.map_or(Quantity::ZERO, |taken| match side {
            Side::Buy => taken.ask,
            Side::Sell => taken.bid,
        });
        let left = shown.minus(taken).unwrap_or_default();
        if left >= rest {
            return rest;
        }
        let step = self.state.instruments.get(&instrument).map(|spec| spec.quantity_tick).unwrap_or_default();
        left.to_tick(step, Rounding::Floor).unwrap_or_default().max(Quantity::ZERO)
    }

    /// Executes what can be executed of an open order at a price; says so, and tells whether anything was.
    ///
    /// An execution whose sums would leave the range of numbers does not happen.
    pub(crate) fn fill(
        &mut self,
        number: u64,
        tick: &Tick,
        price: Price,
        liquidity: Liquidity,
        cause: Lsn,
    ) -> bool {
        let Some(order) = self.open_order(number) else { return false };
        let Some(spec) = self.state.instruments.get(&order.instrument).copied() else { return false };
        let Ok(Some(execution)) = self.execution((number, &order), tick, price, liquidity) else {
            return false;
        };
        let Execution { quantity, value, fee_asset, fee, reserved } = execution;
        let trade = self.state.trades.last_key_value().map_or(1, |(last, _)| last + 1);
        let (feed, cursor) = (tick.feed, tick.cursor);
        let fact = OrderTraded {
            trade,
            order: number,
            price,
            quantity,
            value,
            fee_asset,
            fee,
            liquidity,
            reserved,
            feed,
            cursor,
        };
        self.emit(Actor::Market, cause, fact);
        for asset in [spec.base, spec.quote, fee_asset] {
            let sound = self
                .state
                .assets
                .get(&asset)
                .is_some_and(|h| h.total >= h.reserved && !h.reserved.is_negative());
            assert!(sound, "an execution never spends what is reserved for another order");
        }
        if let Some(row) = self.trade_row(trade) {
            self.report(number, Said::Traded(row));
        }
        true
    }

    fn execution(
        &self,
        (number, order): (u64, &Order),
        tick: &Tick,
        price: Price,
        liquidity: Liquidity,
    ) -> Result<Option<Execution>, ArithmeticError> {
        let rest = order.quantity.minus(order.cumulative)?;
        let quantity = self.fillable(order.instrument, order.side, rest, tick);
        let spec = self.state.instruments.get(&order.instrument).filter(|_| quantity.is_positive());
        let Some(spec) = spec else { return Ok(None) };
        let rate = self.rate(order.instrument, liquidity);
        // Rounded down: floor(a) + ceil(b) <= ceil(a + b), so that the parts never cost more than was reserved.
        let value = price.times(quantity, Rounding::Floor)?;
        order.value.plus(value)?;
        let left = rest.minus(quantity)?;
        let in_base = quantity.scaled(rate, Rounding::Ceil)?;
        let in_quote = Quantity(value.scaled(rate, Rounding::Ceil)?.0);
        let ((usual, fee), reserved) = match order.side {
            Side::Buy => {
                let held = order.hold.times(left, Rounding::Ceil)?;
                ((spec.base, in_base), Quantity(held.0))
            }
            Side::Sell => ((spec.quote, in_quote), left),
        };
        order.fee.plus(fee)?;
        // Another asset pays only if it has enough beside what is reserved; otherwise the usual one does.
        if let Some(chosen) =
            self.state.fee_choices.get(&number).copied().filter(|asset| *asset == spec.quote)
            && order.side == Side::Buy
            && let Some(after) = self.state.after_trade(order, quantity, value, (chosen, in_quote))?
            && let Some((_, quote)) = after.into_iter().flatten().find(|(asset, _)| *asset == chosen)
            && quote.held(order.reserved, reserved).is_ok_and(|held| held.total >= held.reserved)
        {
            return Ok(Some(Execution { quantity, value, fee_asset: chosen, fee: in_quote, reserved }));
        }
        let possible = self.state.after_trade(order, quantity, value, (usual, fee))?;
        Ok(possible.map(|_| Execution { quantity, value, fee_asset: usual, fee, reserved }))
    }

    /// The fee rate of an execution.
    pub(crate) fn rate(&self, instrument: InstrumentId, liquidity: Liquidity) -> Rate {
        self.charged.get(&instrument).copied().unwrap_or(match liquidity {
            Liquidity::Maker => self.settings.maker(),
            Liquidity::Taker => self.settings.taker(),
        })
    }

    /// Ends what is left of an order that does not wait.
    pub(crate) fn expire_if_open(&mut self, number: u64, cause: Lsn) {
        if self.is_open(number) {
            self.emit(Actor::Venue, cause, OrderExpired { order: number });
        }
    }
}
