//! A venue snapshot arrives: what it explains is recorded, what it does not is looked at twice, then corrected.
//!
//! The comparing itself is pure and lives in `reconcile`.

use crate::Engine;
use crate::reconcile::{self, BalanceFinding, Finding};
use aegis_model::event::{
    AlarmKind, AnomalyKind, BalanceRecorded, Blocks, CashFlowRecorded, CorrectionBooked, CorrectionKind,
    DriftCleared, DriftSeen, DustReturned, ExcessSellSettled, FillSource, HoldingQuarantined,
    InstrumentBlocked, Reconciled, TradesWalked,
};
use aegis_model::input::{Scope, Trade, VenueBalance, VenueFlow, VenueSnapshot};
use aegis_model::{Actor, AssetId, Fixed, InstrumentId, Label, OrderId, Quantity, Rounding, Text, TradeId};

/// How far the record of known trades may lie behind, ns: a week, of a memory of thirty days.
const WALK_NS: i64 = 7 * aegis_model::ids::DAY;

impl Engine {
    /// The answer to a question for balances or for everything.
    pub(crate) fn snapshot(&mut self, snapshot: &VenueSnapshot) {
        self.turn.actor = Some(Actor::Venue);
        if self.asks.snapshot.is_some_and(|(number, _, _)| snapshot.number >= number) {
            self.asks.snapshot = None;
        }
        self.asks.last_number = self.asks.last_number.max(snapshot.number);
        let failed = reconcile::failed_queries(snapshot);
        let full = snapshot.trades != aegis_model::Answer::NotAsked;
        if failed.is_empty() {
            self.clear(AlarmKind::VenueUnanswered, None);
        } else if !self.may_settle(snapshot) {
            let names: alloc::vec::Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
            let reason = alloc::format!("no answer about {}: {}", names.join(", "), failed[0].1);
            self.raise(AlarmKind::VenueUnanswered, None, Blocks::AllEntries, &reason);
        }
        if full {
            self.asks.unanswered = if failed.is_empty() { 0 } else { self.asks.unanswered.saturating_add(1) };
            if failed.is_empty() {
                self.asks.venue_is_back();
                self.asks.whole = Some(self.turn.now);
            }
            self.compare(snapshot, failed.is_empty());
        }
        self.serve_prepared(snapshot);
    }

    /// Whether only our own trading stood in the way of this comparison, and the last whole one is not long past.
    fn may_settle(&self, snapshot: &VenueSnapshot) -> bool {
        let patience = self.settings.reconcile_ns.max(self.settings.lookup_ns).saturating_mul(2);
        let recent = |at: aegis_model::Timestamp| self.turn.now.since(at) < patience;
        reconcile::is_unsettled(snapshot) && self.asks.whole.is_some_and(recent)
    }

    fn compare(&mut self, snapshot: &VenueSnapshot, complete: bool) {
        self.asks.compared = Some(self.turn.now);
        let before = self.state.lsn;
        // A coin that no listed instrument names may still pay fees, and a fee without a name stays unknown.
        for balance in snapshot.balances.complete().into_iter().flatten() {
            if !balance.total.is_zero() {
                self.asset_named(balance.asset);
            }
        }
        let mut touched = alloc::collections::BTreeSet::new();
        // What one finding mends may explain the next: compare again until the first step is quiet.
        let mut open_question = false;
        for _ in 0..4 {
            let findings = reconcile::executions(&self.state, snapshot);
            open_question = findings.iter().any(|f| matches!(f, Finding::PerhapsOfStop(..)));
            let quiet = self.state.lsn;
            let is_foreign = findings.iter().any(|f| matches!(f, Finding::ForeignIntent(..)));
            for finding in findings {
                touched.extend(self.mend(finding));
            }
            if is_foreign {
                self.alarm_foreign();
            }
            if self.state.lsn == quiet {
                break;
            }
        }
        for id in touched {
            self.settle(id);
        }
        let foreign: alloc::vec::Vec<_> = reconcile::foreign_orders(&self.state, snapshot).copied().collect();
        for row in foreign {
            let detail = reconcile::foreign_words(&row);
            let instrument = Some(row.instrument);
            self.note(
                AnomalyKind::ForeignOrder,
                instrument,
                OrderId(0),
                Fixed::ZERO,
                row.quantity.0,
                &detail,
            );
        }
        if open_question {
            self.asks.recompare = true;
        } else {
            for finding in reconcile::balances(&self.state, snapshot, &self.settings) {
                self.mend_balance(snapshot, finding);
            }
            if complete && !self.state.claims.open.is_empty() {
                self.check_claims(snapshot);
            }
        }
        if complete && self.state.journal.reconciled.is_none() {
            self.emit(Reconciled { snapshot: snapshot.number });
            self.look_up_deferred();
        }
        let open = |o: &aegis_projection::state::Order| {
            matches!(
                o.status,
                aegis_model::order::OrderStatus::Intended | aegis_model::order::OrderStatus::Unknown
            )
        };
        self.asks.recompare |= self.state.orders.values().any(open);
        // How far trades are known moves with what was learned, and at least well within the memory of orders.
        let late = self.turn.now.since(self.state.walked) > WALK_NS;
        if complete && (self.state.lsn > before || late) && snapshot.trades_through > self.state.walked {
            self.emit(TradesWalked { through: snapshot.trades_through });
        }
    }

    fn mend(&mut self, finding: Finding) -> Option<InstrumentId> {
        match finding {
            Finding::MissedFill(order, trade) => {
                self.turn.cause = self.state.any_order(order).map_or(self.turn.cause, |o| o.intended);
                self.book(&trade, Some(order), FillSource::Listing);
                self.complete_if_filled(order);
                Some(trade.instrument)
            }
            Finding::ExternalFill(trade) => self.external(&trade),
            Finding::ForeignIntent(client, venue_order, instrument) => {
                self.foreign_seen(client, venue_order, Some(instrument));
                None
            }
            Finding::Row(order, row) => {
                self.row(order, &row);
                Some(row.instrument)
            }
            Finding::PerhapsOfStop(order, _) | Finding::LookUp(order) => {
                self.look_up(order);
                None
            }
            Finding::Flow(flow) => {
                self.flow(&flow);
                None
            }
            Finding::Excess(instrument, excess) => {
                self.excess(instrument, excess);
                Some(instrument)
            }
        }
    }

    /// Somebody sold more than is held here (semantics rule 2): first what was quarantined, which has no cost of ours;
    /// then dust, which comes back at its cost and is what was sold; what is left over was never known.
    fn excess(&mut self, id: InstrumentId, excess: Quantity) {
        let Some(instrument) = self.state.instrument(id) else { return };
        let (base, name, dust) = (instrument.spec.base, instrument.spec.name, instrument.dust);
        let quarantined = self.state.asset(base).map_or(Quantity::ZERO, |a| a.quarantined);
        let set_apart = quarantined.min(excess);
        let mut rest = excess.minus(set_apart).unwrap_or_default();
        let swept = dust.quantity.min(rest);
        rest = rest.minus(swept).unwrap_or_default();
        if set_apart.is_positive() {
            self.emit(ExcessSellSettled { instrument: id, excess: set_apart });
            let left = quarantined.minus(set_apart).unwrap_or_default();
            let evidence = alloc::format!("{set_apart} of {name} was sold by no order of ours");
            self.quarantine(base, left, &evidence);
        }
        if swept.is_positive() {
            self.sweep(id, swept);
        }
        if rest.is_positive() {
            self.emit(ExcessSellSettled { instrument: id, excess: rest });
        }
        let detail = alloc::format!(
            "{excess} more was sold than was held: {set_apart} of it quarantined, {swept} dust, {rest} never ours"
        );
        self.note(AnomalyKind::Oversold, Some(id), OrderId(0), Fixed::ZERO, excess.0, &detail);
    }

    /// Dust went: it comes back, with its share of the cost, to be taken out as what it was.
    fn sweep(&mut self, id: InstrumentId, quantity: Quantity) {
        let Some(dust) = self.state.instrument(id).map(|i| i.dust) else { return };
        let cost = dust.cost.share(quantity, dust.quantity, Rounding::HalfEven).unwrap_or(dust.cost);
        self.emit(DustReturned { instrument: id, by: Label::literal("reconcile"), quantity, cost });
    }

    /// A trade in our account that no order of ours made. A sell reduces the position; a buy joins it only by
    /// policy, otherwise both its legs are flows and the quantity is quarantined.
    fn external(&mut self, trade: &Trade) -> Option<InstrumentId> {
        let spec = self.state.instrument(trade.instrument).map(|i| i.spec)?;
        let base = self.state.asset(spec.base).map(|a| a.name)?;
        if !reconcile::kept_out(&self.settings, &base, trade.side) {
            self.book(trade, None, FillSource::External);
            return Some(trade.instrument);
        }
        let value = trade.price.times(trade.quantity, Rounding::HalfEven).unwrap_or_default();
        let fee =
            |asset: AssetId| trade.fee.filter(|f| f.asset == asset).map_or(Quantity::ZERO, |f| f.amount);
        let quote = Quantity(value.0.negated()).minus(fee(spec.quote)).unwrap_or_default();
        let entered = trade.quantity.minus(fee(spec.base)).unwrap_or(trade.quantity);
        let legs = [("q", spec.quote, quote), ("b", spec.base, entered)];
        for (mark, asset, quantity) in legs {
            let id = reconcile::kept_out_id(mark, trade);
            if !self.state.flows.contains_key(&id.0) {
                self.emit(CashFlowRecorded { id, asset, quantity, time: trade.executed });
                if asset == spec.base {
                    let evidence = alloc::format!(
                        "trade {} bought {} at {} by no order of ours",
                        trade.trade.0,
                        trade.quantity,
                        trade.price
                    );
                    self.quarantine_more(asset, entered, &evidence);
                }
            }
        }
        None
    }

    fn flow(&mut self, flow: &VenueFlow) {
        let Some(asset) = self.state.find_asset(&flow.asset) else { return };
        let base_of = reconcile::base_instruments(&self.state, asset);
        self.emit(CashFlowRecorded { id: flow.id, asset, quantity: flow.quantity, time: flow.time });
        if base_of.is_empty() {
            return;
        }
        let evidence = alloc::format!("flow {} of {} {} from outside", flow.id.0, flow.quantity, flow.asset);
        if flow.quantity.is_positive() {
            self.quarantine_more(asset, flow.quantity, &evidence);
        } else {
            self.take_out(asset, &base_of, flow, &evidence);
        }
    }

    /// A withdrawal of a base asset: quarantine gives first, then the position, then dust; their cost leaves through
    /// the corrections account.
    fn take_out(&mut self, asset: AssetId, base_of: &[InstrumentId], flow: &VenueFlow, evidence: &str) {
        let mut rest = flow.quantity.negated();
        let quarantined = self.state.asset(asset).map_or(Quantity::ZERO, |a| a.quarantined);
        let taken = quarantined.min(rest);
        if taken.is_positive() {
            let quantity = quarantined.minus(taken).unwrap_or_default();
            self.emit(HoldingQuarantined { asset, quantity, evidence: Text::new(evidence) });
            rest = rest.minus(taken).unwrap_or_default();
        }
        for id in base_of {
            let there = self.state.instrument(*id).map_or(Quantity::ZERO, reconcile::with_dust);
            let quantity = there.min(rest);
            if quantity.is_positive() {
                self.lose(*id, quantity, evidence);
                rest = rest.minus(quantity).unwrap_or_default();
            }
        }
    }

    /// More is quarantined: one event, an alarm, entries blocked; never sold.
    fn quarantine_more(&mut self, asset: AssetId, quantity: Quantity, evidence: &str) {
        let Some(known) = self.state.asset(asset) else { return };
        if self.settings.policy_for(&known.name) == crate::settings::HoldingPolicy::Ignore {
            return;
        }
        let total = known.quarantined.plus(quantity).unwrap_or(quantity);
        self.quarantine(asset, total, evidence);
    }

    fn quarantine(&mut self, asset: AssetId, total: Quantity, evidence: &str) {
        self.emit(HoldingQuarantined { asset, quantity: total, evidence: Text::new(evidence) });
        let name = self.state.asset(asset).map_or(Label::EMPTY, |a| a.name);
        for id in reconcile::base_instruments(&self.state, asset) {
            if total.is_positive() {
                let reason = alloc::format!(
                    "{total} {name} is held that nothing explains: {evidence}; adopt it or release it"
                );
                self.raise(AlarmKind::Quarantine, Some(id), Blocks::InstrumentEntries, &reason);
            } else {
                self.clear(AlarmKind::Quarantine, Some(id));
            }
            self.cover(id);
            self.rest_stop(id);
        }
    }

    /// The venue has less: held falls at once, the oldest lot is named, realised stays (rule 40). What is more than
    /// held was dust.
    fn lose(&mut self, id: InstrumentId, quantity: Quantity, evidence: &str) {
        let held = self.state.instrument(id).map_or(Quantity::ZERO, |i| i.held());
        let swept = quantity.minus(held).unwrap_or_default();
        if swept.is_positive() {
            self.sweep(id, swept);
        }
        let Some(instrument) = self.state.instrument(id) else { return };
        let lot = instrument.book.lots().ok().and_then(|lots| lots.first().map(|lot| TradeId(lot.id)));
        let name = instrument.spec.name;
        let time = self.turn.now;
        let correction = reconcile::correction_id(id, CorrectionKind::Missing, quantity, lot, time);
        if self.state.corrections.contains_key(&correction) {
            return;
        }
        self.emit(CorrectionBooked {
            id: correction,
            instrument: id,
            kind: CorrectionKind::Missing,
            quantity,
            average: None,
            lot,
            time,
            evidence: Text::new(evidence),
        });
        let reason =
            alloc::format!("{quantity} of {name} left without a trade; compare with the venue, then release");
        self.emit(InstrumentBlocked { instrument: id, reason: Text::new(&reason) });
        self.raise(AlarmKind::Drift, Some(id), Blocks::InstrumentEntries, &reason);
        self.settle(id);
    }

    fn mend_balance(&mut self, snapshot: &VenueSnapshot, finding: BalanceFinding) {
        match finding {
            BalanceFinding::Fresh(asset, venue) => self.record_balance(snapshot, asset, &venue),
            BalanceFinding::Drift { asset, venue, expected, look } => {
                self.emit(DriftSeen { asset, venue, expected, look });
                // The second look follows at once; both must agree around an unchanged set of trades.
                self.asks.reconcile_wanted = true;
            }
            BalanceFinding::Settled(asset) => {
                self.emit(DriftCleared { asset });
            }
            BalanceFinding::Missing { instrument, quantity, evidence } => {
                self.lose(instrument, quantity, evidence.as_str());
            }
            BalanceFinding::Quarantine { asset, quantity, evidence } => {
                self.quarantine(asset, quantity, evidence.as_str());
            }
            BalanceFinding::Accepted { asset, difference } => {
                let name = self.state.asset(asset).map_or(Label::EMPTY, |a| a.name);
                let id = TradeId(Label::lossy(&alloc::format!("unexplained-{}", snapshot.number)));
                // As old as the question: the balance that follows contains it.
                self.emit(CashFlowRecorded { id, asset, quantity: difference, time: snapshot.requested });
                let detail = alloc::format!(
                    "{difference} {name} moved without any trade or transfer that the venue lists"
                );
                self.note(AnomalyKind::Contradiction, None, OrderId(0), Fixed::ZERO, difference.0, &detail);
            }
        }
    }

    pub(crate) fn record_balance(&mut self, snapshot: &VenueSnapshot, asset: AssetId, venue: &VenueBalance) {
        self.emit(BalanceRecorded {
            snapshot: snapshot.number,
            asset,
            total: venue.total,
            reserved: venue.reserved,
            requested: snapshot.requested,
        });
        for id in reconcile::base_instruments(&self.state, asset) {
            self.cover(id);
            self.rest_stop(id);
        }
    }

    /// Entries that waited for a balance go on with it, or are refused when it could not be had.
    fn serve_prepared(&mut self, snapshot: &VenueSnapshot) {
        let waiting = |i: &aegis_projection::state::InstrumentState| {
            i.prepared.as_ref().is_some_and(|p| p.entry.snapshot <= snapshot.number)
        };
        if !self.state.instruments.iter().any(waiting) {
            return;
        }
        let mut fresh = snapshot.balances.complete().is_some();
        if let Some(balances) = snapshot.balances.complete() {
            let quote = self.state.journal.quote;
            if let Some(asset) = self.state.find_asset(&quote) {
                let venue = balances.iter().find(|b| b.asset == quote).copied();
                let none = VenueBalance { asset: quote, total: Quantity::ZERO, reserved: Quantity::ZERO };
                let known = self.state.asset(asset).and_then(|a| a.balance);
                let total = venue.map_or(Quantity::ZERO, |b| b.total);
                let behind = self.state.asset(asset).is_some_and(|a| {
                    let expected = a.balance.and_then(|b| b.total.plus(a.since).ok());
                    reconcile::lags(a, snapshot.requested, &self.settings)
                        && expected.is_some_and(|expected| expected != total)
                });
                // One that lacks what was just executed is no balance to size an entry on.
                fresh &= !behind;
                if !behind && known.is_none_or(|b| b.snapshot < snapshot.number) {
                    self.record_balance(snapshot, asset, &venue.unwrap_or(none));
                }
            }
        }
        for at in 0..self.state.instruments.len() {
            if waiting(&self.state.instruments[at]) {
                self.go_on_with_entry(InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)), fresh);
            }
        }
    }

    /// Asks for everything once nothing else is under way.
    pub(crate) fn ask_full(&mut self) {
        if self.asks.snapshot.is_none() {
            self.asks.reconcile_wanted = false;
            self.ask_snapshot(Scope::Full);
        }
    }
}
