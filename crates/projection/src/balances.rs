//! Balances per asset: what the venue said last, and what our own executions changed since it was asked.

use crate::state::{Balance, Order, RecentChange, State};
use aegis_model::event::{AnomalyKind, BalanceRecorded, CashFlowRecorded};
use aegis_model::{AssetId, InstrumentId, Money, Quantity, Side, Timestamp};

/// Changes remembered one by one at most; then the older half is only in the sum.
const RECENT_MAX: usize = 256;
/// Doubtful changes remembered at most.
const DOUBTFUL_MAX: usize = 64;

/// The youngest ended orders that a balance may still count as open.
const LATELY_ENDED: usize = 64;

impl State {
    /// Both legs of an execution.
    pub(crate) fn move_balances(
        &mut self,
        base: AssetId,
        quote: AssetId,
        side: Side,
        quantity: Quantity,
        value: Money,
        time: Timestamp,
    ) {
        let value = Quantity(value.0);
        let (into_base, into_quote) = match side {
            Side::Buy => (quantity, value.negated()),
            Side::Sell => (quantity.negated(), value),
        };
        self.move_balance(base, into_base, time);
        self.move_balance(quote, into_quote, time);
    }

    /// A change that the recorded balance does not contain, unless it happened before that was asked for.
    pub(crate) fn move_balance(&mut self, id: AssetId, change: Quantity, time: Timestamp) {
        let (lsn, now) = (self.lsn, self.time);
        let Some(asset) = self.assets.get_mut(usize::from(id.0)) else { return };
        asset.touched = asset.touched.max(now);
        asset.touched_lsn = lsn;
        let recent = RecentChange { executed: time, booked: now, change };
        if asset.balance.is_some_and(|b| time < b.requested) {
            if asset.balance.is_some_and(|b| now > b.requested) {
                if asset.doubtful.len() >= DOUBTFUL_MAX {
                    asset.doubtful.remove(0);
                }
                asset.doubtful.push(recent);
            }
            return;
        }
        match asset.since.plus(change) {
            Ok(since) => asset.since = since,
            Err(_) => {
                self.anomaly(AnomalyKind::Overflow);
                return;
            }
        }
        if asset.recent.len() >= RECENT_MAX {
            asset.recent.drain(..RECENT_MAX / 2);
        }
        asset.recent.push(recent);
    }

    /// An intent touches both assets of its instrument.
    pub(crate) fn touch_instrument(&mut self, id: InstrumentId) {
        let (lsn, now) = (self.lsn, self.time);
        let Some(spec) = self.instruments.get(id.0 as usize).map(|i| i.spec) else { return };
        for asset in [spec.base, spec.quote] {
            if let Some(asset) = self.assets.get_mut(usize::from(asset.0)) {
                asset.touched = asset.touched.max(now);
                asset.touched_lsn = lsn;
            }
        }
    }

    pub(crate) fn balance_recorded(&mut self, f: &BalanceRecorded) {
        let lsn = self.lsn;
        self.last_snapshot = self.last_snapshot.max(f.snapshot);
        let reserved = f.reserved.is_positive();
        let ours = if reserved { self.sells_when_asked(f.asset, f.requested) } else { Quantity::ZERO };
        let Some(asset) = self.assets.get_mut(usize::from(f.asset.0)) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        let balance = Balance {
            total: f.total,
            reserved: f.reserved,
            foreign: f.reserved.minus(ours).unwrap_or(Quantity::ZERO).max(Quantity::ZERO),
            requested: f.requested,
            lsn,
            snapshot: f.snapshot,
        };
        asset.first = asset.first.or(Some(balance));
        asset.balance = Some(balance);
        // What was executed after the question may be missing from the answer; what we knew of before it is not,
        // whatever the venue's clock says.
        asset.doubtful.retain(|c| c.booked > f.requested);
        asset.recent.retain(|c| c.booked > f.requested && c.executed > f.requested);
        let later = asset.recent.iter().try_fold(Quantity::ZERO, |sum, c| sum.plus(c.change));
        asset.since = later.unwrap_or(Quantity::ZERO);
    }

    /// What our own sells reserved of an asset when a balance was asked for: those open since before, whether or not
    /// they have ended meanwhile, and what was sold of them after the question. A sell intended later reserved nothing
    /// then, whatever was sold of it since.
    fn sells_when_asked(&self, id: AssetId, asked: Timestamp) -> Quantity {
        let ours = |o: &Order| {
            let base = self.instruments.get(o.instrument.0 as usize).map(|i| i.spec.base);
            o.side == Side::Sell && base == Some(id)
        };
        let lately = || self.orders.all_ended().rev().take(LATELY_ENDED).filter(|e| e.at >= asked);
        let sells = || self.orders.values().chain(lately().map(|e| e.order)).filter(|o| ours(o));
        let rests = sells().filter(|o| o.intended_at <= asked).filter_map(|o| o.rest().ok());
        let later = sum(sells().filter(|o| o.intended_at > asked).map(|o| o.filled));
        let recent = self.assets.get(usize::from(id.0)).into_iter().flat_map(|a| &a.recent);
        let sold = recent.filter(|c| c.executed > asked && c.booked > asked && c.change.is_negative());
        let sold = sum(sold.map(|c| c.change.negated()));
        let sold = sold.minus(later).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
        sum(rests.chain([sold]))
    }

    pub(crate) fn cash_flow(&mut self, f: &CashFlowRecorded) {
        if self.flows.contains_key(&f.id.0) {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        self.flows.insert(f.id.0, self.lsn);
        let quote = self.find_asset(&self.journal.quote);
        let first = self.assets.get(usize::from(f.asset.0)).and_then(|a| a.first);
        if first.is_some_and(|first| f.time >= first.requested) {
            let mut fits = true;
            if let Some(asset) = self.assets.get_mut(usize::from(f.asset.0)) {
                match asset.net_flows.plus(f.quantity) {
                    Ok(flows) => asset.net_flows = flows,
                    Err(_) => fits = false,
                }
            }
            if quote == Some(f.asset)
                && let Some(day) = self.day.as_mut()
            {
                match day.net_flows.plus(Money(f.quantity.0)) {
                    Ok(flows) => day.net_flows = flows,
                    Err(_) => fits = false,
                }
            }
            if !fits {
                self.anomaly(AnomalyKind::Overflow);
            }
        }
        self.move_balance(f.asset, f.quantity, f.time);
    }
}

/// Their sum; nothing when it cannot be counted.
fn sum(quantities: impl Iterator<Item = Quantity>) -> Quantity {
    let mut quantities = quantities;
    quantities.try_fold(Quantity::ZERO, Quantity::plus).unwrap_or(Quantity::ZERO)
}
