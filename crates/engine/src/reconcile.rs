//! Comparing the fold with what the venue says: pure functions of (state, snapshot), nothing emitted here.
//!
//! A failed or missing answer yields no finding about what it would have told, never "empty". Two steps, since the
//! second rests on what the first mended: executions and orders, then quantities. The same snapshot compared again
//! after its findings were recorded yields nothing.

use crate::settings::{HoldingPolicy, Settings};
use aegis_model::event::CorrectionKind;
use aegis_model::input::{Answer, OrderRow, RowStatus, Trade, VenueBalance, VenueFlow, VenueSnapshot};
use aegis_model::order::OrderStatus;
use aegis_model::{
    AssetId, ClientOrderId, InstrumentId, Label, OrderId, Quantity, Side, Text, Timestamp, TradeId,
    VenueOrderId,
};
use aegis_projection::State;
use aegis_projection::state::AssetState;
use alloc::vec::Vec;

/// One difference between fold and venue, and what the evidence makes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// An execution of an order of ours that is not booked.
    MissedFill(OrderId, Trade),
    /// An execution in our account that no order of ours made.
    ExternalFill(Trade),
    /// A sell that a stop of ours may have made, which is looked up; quantities are not judged before that is known.
    PerhapsOfStop(OrderId, Trade),
    /// An order, or an execution of one, under an id of our installation that this journal never intended, with the
    /// venue's id as far as it is told; one that is on record, or was accepted, is none.
    ForeignIntent(ClientOrderId, Option<VenueOrderId>, InstrumentId),
    /// The venue's row of an order of ours says more than the fold knows.
    Row(OrderId, OrderRow),
    /// An order of ours that the listings do not show, or whose outcome is unknown: to be looked up.
    LookUp(OrderId),
    /// A deposit, withdrawal or adjustment.
    Flow(VenueFlow),
    /// A sell still waits for its buys although every trade is known now.
    Excess(InstrumentId, Quantity),
}

/// What the balances say beyond executions and flows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BalanceFinding {
    /// The recorded balance is not the venue's any more although nothing is unexplained.
    Fresh(AssetId, VenueBalance),
    /// A difference seen for the first time, or with another figure than before.
    Drift {
        /// The asset.
        asset: AssetId,
        /// The venue's total.
        venue: Quantity,
        /// What the fold expects.
        expected: Quantity,
        /// Which agreeing look this is.
        look: u8,
    },
    /// An earlier difference is gone.
    Settled(AssetId),
    /// Confirmed: the venue has less of an instrument's base and nothing explains it.
    Missing {
        /// The instrument whose position falls.
        instrument: InstrumentId,
        /// By how much.
        quantity: Quantity,
        /// What the venue showed.
        evidence: Text,
    },
    /// Confirmed: the venue has more and nothing explains it; the quarantine is to hold this much.
    Quarantine {
        /// The asset.
        asset: AssetId,
        /// All of the unexplained excess.
        quantity: Quantity,
        /// What the venue showed.
        evidence: Text,
    },
    /// Confirmed: an asset that is no instrument's base differs; the venue's figure is taken, the difference noted.
    Accepted {
        /// The asset.
        asset: AssetId,
        /// Venue less expected.
        difference: Quantity,
    },
}

/// Looks of the same figure that confirm a difference.
const LOOKS: u8 = 2;

/// Step one: executions, orders and flows that the fold does not know.
pub fn executions(state: &State, snapshot: &VenueSnapshot) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(flows) = snapshot.flows.complete() {
        // What moved before the first balance of its asset is in that balance.
        let first = |flow: &VenueFlow| state.find_asset(&flow.asset).and_then(|id| state.asset(id)?.first);
        let before = |flow: &VenueFlow| first(flow).is_some_and(|first| flow.time < first.requested);
        let new = flows.iter().filter(|flow| !state.flows.contains_key(&flow.id.0) && !before(flow));
        findings.extend(new.copied().map(Finding::Flow));
    }
    if let Some(trades) = snapshot.trades.complete() {
        // Up to the last walk every listing since has shown the same trades; what was forgotten meanwhile was booked.
        let seen = |t: &Trade| t.executed <= state.walked && state.is_beyond_memory(t.instrument, t.executed);
        let forgotten = aegis_model::mutant!(10) && state.journal.reconciled.is_none();
        let unknown = |t: &Trade| {
            forgotten || state.knows_trade(t.instrument, &t.trade).is_none_or(|e| fee_is_new(e, t))
        };
        // What was kept out of positions was answered by flows.
        let answered = |t: &Trade| state.flows.contains_key(&kept_out_id("b", t).0);
        let mut new: Vec<&Trade> = trades.iter().filter(|t| !seen(t) && unknown(t) && !answered(t)).collect();
        new.sort_by_key(|t| (t.executed, t.side, t.trade));
        findings.extend(new.into_iter().filter_map(|trade| execution(state, snapshot, trade)));
    }
    for rows in [snapshot.open_orders.complete(), snapshot.ended_orders.complete()].into_iter().flatten() {
        findings.extend(rows.iter().filter_map(|row| row_finding(state, row)));
    }
    findings.extend(unlisted(state, snapshot));
    if snapshot.trades.complete().is_some() && snapshot.trades_from <= state.walked {
        for (at, instrument) in state.instruments.iter().enumerate() {
            let waiting = instrument.book.now.waiting;
            let known = instrument.book.now.last < snapshot.trades_through;
            if waiting.is_positive() && known && findings.is_empty() {
                findings.push(Finding::Excess(InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)), waiting));
            }
        }
    }
    findings
}

fn fee_is_new(entry: &aegis_projection::book::Entry, trade: &Trade) -> bool {
    use aegis_projection::book::Change;
    matches!(entry.change, Change::Buy(x) | Change::Sell(x) if x.fee.is_none() && trade.fee.is_some())
}

fn execution(state: &State, snapshot: &VenueSnapshot, trade: &Trade) -> Option<Finding> {
    let Some(client) = trade.client else {
        if let Some(order) = by_venue_order(state, trade.venue_order?, trade.instrument) {
            return Some(Finding::MissedFill(order, *trade));
        }
        return Some(match may_be_of_stop(state, snapshot, trade) {
            Some(stop) => Finding::PerhapsOfStop(stop, *trade),
            None => Finding::ExternalFill(*trade),
        });
    };
    if state.any_order(client.order).is_some_and(|o| o.client == client) {
        return Some(Finding::MissedFill(client.order, *trade));
    }
    if forgotten(state, client) {
        return None;
    }
    if client.installation == state.journal.installation {
        return foreign_intent(state, client, trade.venue_order, trade.instrument);
    }
    Some(Finding::ExternalFill(*trade))
}

/// A sell under an id that nobody knows may be what a stop of ours released, unless this very listing shows that stop
/// still waiting after the sell: then it is looked up before the sell is taken for somebody else's. Open orders are
/// listed before trades, and a stop may fire in between.
fn may_be_of_stop(state: &State, snapshot: &VenueSnapshot, trade: &Trade) -> Option<OrderId> {
    let (order, stop) = state.instrument(trade.instrument)?.resting_stop(state)?;
    let waited = trade.executed < snapshot.orders_at && waits(snapshot, stop.client);
    (trade.side == Side::Sell && !waited).then_some(order)
}

/// Whether a client order id is one that this journal intended and has forgotten since, as it may after its bounded
/// memory. An id with a number that was never reached is no such.
fn forgotten(state: &State, client: ClientOrderId) -> bool {
    client.installation == state.journal.installation
        && client.order <= state.last_order
        && state.any_order(client.order).is_none()
}

fn by_venue_order(state: &State, venue_order: VenueOrderId, instrument: InstrumentId) -> Option<OrderId> {
    let named = |o: &aegis_projection::state::Order| {
        (o.venue_order == Some(venue_order) || o.released == Some(venue_order)) && o.instrument == instrument
    };
    let open = state.orders.iter().find(|(_, o)| named(o)).map(|(n, _)| *n);
    open.or_else(|| {
        state.orders.all_ended().rev().map(|e| e.order).find(|o| named(o)).map(|o| o.client.order)
    })
}

fn row_finding(state: &State, row: &OrderRow) -> Option<Finding> {
    let client = row.client?;
    match state.any_order(client.order).filter(|o| o.client == client) {
        Some(_) => {
            let open = state.order(client.order)?;
            let news = open.status == OrderStatus::Intended
                || open.status == OrderStatus::Unknown
                || row.status != RowStatus::Open
                || row.cumulative > open.cumulative.max(open.filled)
                || row.quantity != open.quantity
                || open.absent > 0;
            news.then_some(Finding::Row(client.order, *row))
        }
        None if forgotten(state, client) => None,
        None if client.installation == state.journal.installation => {
            foreign_intent(state, client, Some(row.venue_order), row.instrument)
        }
        None => None,
    }
}

fn foreign_intent(
    state: &State,
    client: ClientOrderId,
    venue_order: Option<VenueOrderId>,
    instrument: InstrumentId,
) -> Option<Finding> {
    let news = !crate::foreign::is_known(state, client, venue_order);
    news.then_some(Finding::ForeignIntent(client, venue_order, instrument))
}

/// Our open orders that neither listing shows, as far as both were asked after what is known of them.
fn unlisted(state: &State, snapshot: &VenueSnapshot) -> Vec<Finding> {
    let (Some(open), Some(ended)) = (snapshot.open_orders.complete(), snapshot.ended_orders.complete())
    else {
        return Vec::new();
    };
    let shown = |client: ClientOrderId| open.iter().chain(ended).any(|row| row.client == Some(client));
    state
        .orders
        .iter()
        .filter(|(_, o)| o.changed_at < snapshot.requested)
        .filter(|(_, o)| !shown(o.client))
        .map(|(n, _)| Finding::LookUp(*n))
        .collect()
}

/// Step two: quantities, once step one's findings are recorded. Needs complete balances and trades; an asset that
/// something moved since the question was asked, or that an unknown order touches, is left for the next look.
pub fn balances(state: &State, snapshot: &VenueSnapshot, settings: &Settings) -> Vec<BalanceFinding> {
    let (Some(balances), Some(_)) = (snapshot.balances.complete(), snapshot.trades.complete()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (at, asset) in state.assets.iter().enumerate() {
        let id = AssetId(u16::try_from(at).unwrap_or(u16::MAX));
        // Something moved since the question was asked, or still may: the answer says nothing about it.
        if asset.touched > snapshot.requested || in_flight(state, id) {
            continue;
        }
        let venue = balances.iter().find(|b| b.asset == asset.name).copied().unwrap_or(VenueBalance {
            asset: asset.name,
            total: Quantity::ZERO,
            reserved: Quantity::ZERO,
        });
        findings.extend(asset_findings(state, id, &venue, snapshot.requested, settings));
    }
    findings
}

/// Whether a snapshot's figure of an asset can be judged: it is what the fold expects; or nothing moved since it was asked
/// for or still may, no difference waits for its second look, and the balance does not lag.
pub(crate) fn is_settled(
    state: &State,
    id: AssetId,
    venue: Quantity,
    requested: Timestamp,
    settings: &Settings,
) -> bool {
    let base_of = base_instruments(state, id);
    let tick =
        base_of.first().and_then(|i| state.instrument(*i)).map_or(Quantity::ZERO, |i| i.spec.quantity_tick);
    let agrees = expectation(state, id, &base_of)
        .is_some_and(|expected| venue.minus(expected).is_ok_and(|off| off.abs() <= tick));
    let quiet = |asset: &AssetState| asset.touched <= requested && !lags(asset, requested, settings);
    let ready = |asset: &AssetState| asset.drift.is_none() && (agrees || quiet(asset));
    !in_flight(state, id) && state.asset(id).is_some_and(ready)
}

/// Whether an unknown or unanswered order could still move the asset.
fn in_flight(state: &State, asset: AssetId) -> bool {
    state.orders.values().any(|o| {
        matches!(o.status, OrderStatus::Unknown | OrderStatus::Intended)
            && state.instrument(o.instrument).is_some_and(|i| i.spec.base == asset || i.spec.quote == asset)
    })
}

/// Whether a balance asked for at this time may still lack what was executed or sent before.
pub(crate) fn lags(asset: &AssetState, requested: Timestamp, settings: &Settings) -> bool {
    settings.balance_lag_ns > 0
        && !aegis_model::mutant!(17)
        && requested.since(asset.touched) < settings.balance_lag_ns
}

fn asset_findings(
    state: &State,
    id: AssetId,
    venue: &VenueBalance,
    requested: Timestamp,
    settings: &Settings,
) -> Vec<BalanceFinding> {
    let Some(asset) = state.asset(id) else { return Vec::new() };
    let base_of = base_instruments(state, id);
    let tick =
        base_of.first().and_then(|i| state.instrument(*i)).map_or(Quantity::ZERO, |i| i.spec.quantity_tick);
    let expected = match expectation(state, id, &base_of) {
        Some(expected) => expected,
        // Nothing is known of it yet: the first look is the beginning.
        None => return alloc::vec![BalanceFinding::Fresh(id, *venue)],
    };
    let difference = venue.total.minus(expected).unwrap_or(Quantity::ZERO);
    if difference.abs() <= tick && (!base_of.is_empty() || difference.is_zero()) {
        let mut findings = Vec::new();
        if asset.drift.is_some() {
            findings.push(BalanceFinding::Settled(id));
        }
        let recorded = asset.balance.map(|b| (b.total.plus(asset.since).unwrap_or(b.total), b.reserved));
        if recorded != Some((venue.total, venue.reserved)) {
            findings.push(BalanceFinding::Fresh(id, *venue));
        }
        return findings;
    }
    // Balances may lag behind executions: soon after one a difference says nothing yet.
    if lags(asset, requested, settings) {
        return Vec::new();
    }
    // Where only the clocks disagree, the newer reading settles it.
    if base_of.is_empty() && asset.is_clock_difference(difference) {
        return alloc::vec![BalanceFinding::Fresh(id, *venue)];
    }
    let agreeing = asset.drift.is_some_and(|d| d.venue == venue.total && d.expected == expected);
    let look = if agreeing { asset.drift.map_or(1, |d| d.look.saturating_add(1)) } else { 1 };
    if look < LOOKS && !aegis_model::mutant!(17) {
        return alloc::vec![BalanceFinding::Drift { asset: id, venue: venue.total, expected, look }];
    }
    let evidence = Text::new(&alloc::format!(
        "the venue's {} balance is {} where {expected} is expected; {look} agreeing reads around an unchanged trade set",
        asset.name,
        venue.total
    ));
    // The flow that an accepted difference becomes comes before the balance that already contains it.
    let mut findings = alloc::vec![BalanceFinding::Settled(id)];
    if base_of.is_empty() {
        findings.push(BalanceFinding::Accepted { asset: id, difference });
    }
    findings.push(BalanceFinding::Fresh(id, *venue));
    if base_of.is_empty() {
        return findings;
    }
    if difference.is_positive() {
        if settings.policy_for(&asset.name) != HoldingPolicy::Ignore {
            let quantity = asset.quarantined.plus(difference).unwrap_or(difference);
            findings.push(BalanceFinding::Quarantine { asset: id, quantity, evidence });
        }
    } else {
        findings.extend(shortfall(state, id, &base_of, difference.negated(), &evidence));
    }
    findings
}

/// Less than expected: the quarantine gives first, then positions fall, then dust.
fn shortfall(
    state: &State,
    id: AssetId,
    base_of: &[InstrumentId],
    missing: Quantity,
    evidence: &Text,
) -> Vec<BalanceFinding> {
    let mut findings = Vec::new();
    let mut rest = missing;
    let quarantined = state.asset(id).map_or(Quantity::ZERO, |a| a.quarantined);
    if quarantined.is_positive() {
        let taken = quarantined.min(rest);
        let quantity = quarantined.minus(taken).unwrap_or(Quantity::ZERO);
        findings.push(BalanceFinding::Quarantine { asset: id, quantity, evidence: evidence.clone() });
        rest = rest.minus(taken).unwrap_or(Quantity::ZERO);
    }
    for instrument in base_of {
        let quantity = state.instrument(*instrument).map_or(Quantity::ZERO, with_dust).min(rest);
        if quantity.is_positive() {
            findings.push(BalanceFinding::Missing {
                instrument: *instrument,
                quantity,
                evidence: evidence.clone(),
            });
            rest = rest.minus(quantity).unwrap_or(Quantity::ZERO);
        }
    }
    findings
}

/// What is held of an instrument, its dust included.
pub(crate) fn with_dust(instrument: &aegis_projection::state::InstrumentState) -> Quantity {
    instrument.held().plus(instrument.dust.quantity).unwrap_or_else(|_| instrument.held())
}

/// Instruments whose base this asset is.
pub fn base_instruments(state: &State, asset: AssetId) -> Vec<InstrumentId> {
    let all = state.instruments.iter().enumerate();
    all.filter(|(_, i)| i.spec.base == asset)
        .map(|(at, _)| InstrumentId(u32::try_from(at).unwrap_or(u32::MAX)))
        .collect()
}

/// The total that the fold expects at the venue: for a base asset what is held, dust and quarantine (less sells
/// that wait for their buys); for others the recorded balance and what our fills changed since. None when nothing
/// is known yet.
pub fn expectation(state: &State, id: AssetId, base_of: &[InstrumentId]) -> Option<Quantity> {
    let asset = state.asset(id)?;
    if base_of.is_empty() {
        return asset.balance?.total.plus(asset.since).ok();
    }
    let mut sum = asset.quarantined;
    for instrument in base_of {
        let i = state.instrument(*instrument)?;
        sum = sum.plus(i.held()).ok()?.plus(i.dust.quantity).ok()?.minus(i.book.now.waiting).ok()?;
    }
    // An ignored holding is part of the first balance and of no position.
    Some(sum)
}

/// The id of a correction: a function of its content, so that the same one is never booked twice (rule 43).
/// FNV-1a over its parts, twice with different beginnings: an index, not a proof against malice.
pub fn correction_id(
    instrument: InstrumentId,
    kind: CorrectionKind,
    quantity: Quantity,
    lot: Option<TradeId>,
    at: Timestamp,
) -> [u8; 16] {
    let words = alloc::format!("{}/{}/{quantity}/{}/{}", instrument.0, kind, lot.unwrap_or_default().0, at.0);
    let hash = |seed: u64| {
        words.bytes().fold(seed, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    let mut id = [0; 16];
    id[..8].copy_from_slice(&hash(0xcbf2_9ce4_8422_2325).to_le_bytes());
    id[8..].copy_from_slice(&hash(0x8422_2325_cbf2_9ce4).to_le_bytes());
    id
}

/// Open orders of the account that are none of ours: told, and never touched. A sell under no id of ours may be what
/// our stop released, unless this very listing shows that stop still waiting.
pub fn foreign_orders<'a>(
    state: &'a State,
    snapshot: &'a VenueSnapshot,
) -> impl Iterator<Item = &'a OrderRow> + 'a {
    let open = snapshot.open_orders.complete().map(Vec::as_slice).unwrap_or_default();
    open.iter().filter(move |row| {
        let foreign = match row.client {
            Some(client) => client.installation != state.journal.installation,
            None => by_venue_order(state, row.venue_order, row.instrument).is_none(),
        };
        let stop = || state.instrument(row.instrument)?.resting_stop(state);
        let released =
            || row.side == Side::Sell && stop().is_some_and(|(_, stop)| !waits(snapshot, stop.client));
        foreign && row.status == RowStatus::Open && (row.client.is_some() || !released())
    })
}

/// Whether a listing shows this stop of ours waiting for its trigger.
fn waits(snapshot: &VenueSnapshot, stop: ClientOrderId) -> bool {
    let waits =
        |row: &OrderRow| row.client == Some(stop) && row.status == RowStatus::Open && row.released.is_none();
    snapshot.open_orders.complete().is_some_and(|rows| rows.iter().any(waits))
}

/// What a foreign order is, in words.
pub fn foreign_words(row: &OrderRow) -> alloc::string::String {
    let price = row.price.map_or_else(alloc::string::String::new, |price| alloc::format!(" at {price}"));
    alloc::format!(
        "order {} is none of ours: {} {}{price}, {} filled",
        row.venue_order.0,
        row.side,
        row.quantity,
        row.cumulative
    )
}

/// Lots of the venue that the journal knows, and how many there are: the buys of a snapshot's trades that no later sell took
/// away, the first bought being sold first. None when trades were not told.
pub fn lots_known(state: &State, snapshot: &VenueSnapshot) -> Option<(usize, usize)> {
    let mut trades: Vec<&Trade> = snapshot.trades.complete()?.iter().collect();
    trades.sort_by_key(|t| (t.executed, t.side, t.trade));
    let mut lots: Vec<(InstrumentId, Quantity, bool)> = Vec::new();
    for trade in trades {
        match trade.side {
            Side::Buy => {
                let known = state.knows_trade(trade.instrument, &trade.trade).is_some();
                lots.push((trade.instrument, trade.quantity, known));
            }
            Side::Sell => {
                let mut rest = trade.quantity;
                for lot in lots.iter_mut().filter(|lot| lot.0 == trade.instrument) {
                    let taken = lot.1.min(rest);
                    lot.1 = lot.1.minus(taken).unwrap_or_default();
                    rest = rest.minus(taken).unwrap_or_default();
                }
            }
        }
    }
    lots.retain(|lot| lot.1.is_positive());
    Some((lots.iter().filter(|lot| lot.2).count(), lots.len()))
}

/// Which queries of a full snapshot failed, in words; empty when all succeeded.
pub fn failed_queries(snapshot: &VenueSnapshot) -> Vec<(&'static str, Text)> {
    let mut failed = Vec::new();
    let mut look = |name, why: Option<&Text>| failed.extend(why.map(|why| (name, why.clone())));
    look("balances", missing(&snapshot.balances));
    look("open orders", missing(&snapshot.open_orders));
    look("ended orders", missing(&snapshot.ended_orders));
    look("trades", missing(&snapshot.trades));
    look("flows", missing(&snapshot.flows));
    failed
}

const fn missing<T>(answer: &Answer<T>) -> Option<&Text> {
    match answer {
        Answer::Failed(why) | Answer::Unsettled(why) => Some(why),
        Answer::Complete(_) | Answer::NotAsked => None,
    }
}

/// Whether nothing failed, and balances moved while they were read.
pub fn is_unsettled(snapshot: &VenueSnapshot) -> bool {
    matches!(snapshot.balances, Answer::Unsettled(_)) && failed_queries(snapshot).len() == 1
}

/// The id of the flow that records one leg of an execution that is kept out of positions.
pub(crate) fn kept_out_id(leg: &str, trade: &Trade) -> TradeId {
    TradeId(Label::lossy(&alloc::format!("x{leg}:{}", trade.trade.0)))
}

/// Whether an external execution is a buy that the policy keeps out of positions.
pub fn kept_out(settings: &Settings, asset: &Label, side: Side) -> bool {
    side == Side::Buy && settings.policy_for(asset) != HoldingPolicy::Adopt
}

#[cfg(test)]
mod tests;
