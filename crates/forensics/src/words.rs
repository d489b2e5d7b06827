//! Each kind of record in one line of words.
//!
//! One exhaustive switch: a new kind stops the build here.

use aegis_model::claim::Claim;
use aegis_model::{
    AssetId, Command, Event, Fact, InstrumentId, Label, OrderId, OrderKind, Purpose, Timestamp,
};
use aegis_projection::State;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in words: RFC 3339, UTC, as fine as it is.
pub fn clock(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0))
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{} ns", at.0))
}

/// What a record says, with names from the state that it was folded into.
pub fn words(event: &Event, state: &State) -> String {
    let name = |id: InstrumentId| state.instrument(id).map_or(Label::EMPTY, |i| i.spec.name);
    let named = |id: Option<InstrumentId>| id.map_or(String::new(), |id| format!(" {}", name(id)));
    let asset = |id: AssetId| state.asset(id).map_or(Label::EMPTY, |a| a.name);
    let order = |id: OrderId| if id.0 == 0 { "no order of ours".to_owned() } else { format!("order {id}") };
    match &event.fact {
        Fact::JournalCreated(f) => {
            format!("journal created, {}, installation {:010x}, money in {}", f.mode, f.installation, f.quote)
        }
        Fact::Started(f) => format!(
            "started: version {}, run {:08x}{}",
            f.version,
            f.run,
            f.seed.map_or(String::new(), |s| format!(", seed {s}"))
        ),
        Fact::Stopped(f) => format!("stopped: {}", f.reason),
        Fact::SettingRecorded(f) => format!("setting {} = {}", f.key, f.value),
        Fact::GapFound(f) => format!(
            "records {} to {} are lost ({} bytes of segment {}): {}",
            f.first, f.last, f.bytes, f.segment, f.evidence
        ),
        Fact::GapAccepted(f) => format!("gap accepted by {}", f.by),
        Fact::ForeignIntentSeen(f) => format!(
            "the venue knows {}{}{}, which no record intended",
            f.client,
            f.instrument.map_or(String::new(), |id| format!(" in {}", name(id))),
            f.venue_order.map_or(String::new(), |id| format!(" (its order {})", id.0))
        ),
        Fact::ForeignIntentAccepted(f) => format!(
            "{}{} accepted by {}: {}",
            f.client,
            f.venue_order.map_or(String::new(), |id| format!(" (the venue's order {})", id.0)),
            f.by,
            f.reason
        ),
        Fact::AssetNamed(f) => format!("asset {} is {}", f.asset.0, f.name),
        Fact::InstrumentListed(f) => format!(
            "instrument {} is {}: price tick {}, quantity tick {}, minimum {}{}",
            f.instrument.0,
            f.spec.name,
            f.spec.price_tick,
            f.spec.quantity_tick,
            f.spec.minimum_notional,
            if f.spec.tradable { "" } else { ", not tradable" }
        ),
        Fact::TickSeen(f) => {
            let side = |p: Option<aegis_model::Price>| p.map_or("-".to_owned(), |p| p.to_string());
            format!(
                "{} bid {} ask {} last {} (feed {} at {})",
                name(f.instrument),
                side(f.bid),
                side(f.ask),
                side(f.last),
                f.feed.0,
                f.cursor
            )
        }
        Fact::BlindStarted(f) => {
            format!("{} blind: no fresh price since {}", name(f.instrument), clock(f.since))
        }
        Fact::BlindEnded(f) => {
            format!("{} sees again after {} s", name(f.instrument), f.lasted_ns / 1_000_000_000)
        }
        Fact::SignalReceived(f) => format!(
            "{} says {} {} with {} until {}",
            f.source,
            f.direction,
            name(f.instrument),
            f.confidence,
            clock(f.until)
        ),
        Fact::SignalRefused(f) => format!("{} line {} refused: {}", f.source, f.position, f.reason),
        Fact::EntryRefused(f) => format!(
            "{} entry refused: {}{}{}",
            name(f.instrument),
            f.reason,
            if f.need.is_zero() && f.have.is_zero() {
                String::new()
            } else {
                format!(", need {} have {}", f.need, f.have)
            },
            if f.blocking.0 == 0 { String::new() } else { format!(", because of record {}", f.blocking) }
        ),
        Fact::EntryPrepared(f) if f.snapshot == 0 => format!("{} prepared entry dropped", name(f.instrument)),
        Fact::EntryPrepared(f) => format!(
            "{} entry of {} prepared at {}, balance asked for (snapshot {})",
            name(f.instrument),
            f.quantity,
            f.reference,
            f.snapshot
        ),
        Fact::OrderIntended(f) => format!(
            "order {} intended: {} {} {}{}{}",
            f.order,
            f.side,
            f.quantity,
            name(f.instrument),
            kind(&f.kind),
            match f.purpose {
                Purpose::Entry => String::new(),
                Purpose::Exit { reason, .. } => format!(" ({reason})"),
            }
        ),
        Fact::OrderTriggered(f) if f.released.0.is_empty() => format!("order {} has fired", f.order),
        Fact::OrderTriggered(f) => format!("order {} has fired and released {}", f.order, f.released.0),
        Fact::OrderResent(f) => format!("order {} sent again under its own id, send {}", f.order, f.attempt),
        Fact::OrderAcknowledged(f) => format!("order {} acknowledged as {}", f.order, f.venue_order.0),
        Fact::OrderRejected(f) => {
            format!("order {} refused by the venue ({}, code {}): {}", f.order, f.class, f.code, f.text)
        }
        Fact::OrderUnknown(f) => format!("order {} outcome unknown: {}", f.order, f.cause),
        Fact::OrderLookedUp(f) => format!(
            "order {} looked up: {}{}",
            f.order,
            f.answer,
            if f.absent > 0 { format!(" ({} in a row)", f.absent) } else { String::new() }
        ),
        Fact::CancelIntended(f) => format!("order {} to be cancelled: {}", f.order, f.reason),
        Fact::OrderAmended(f) => format!("order {} amended by the venue to {}", f.order, f.quantity),
        Fact::OrderEnded(f) => format!(
            "order {} ended: {}{}",
            f.order,
            f.end,
            f.cumulative.map_or(String::new(), |c| format!(", {c} filled"))
        ),
        Fact::FillBooked(f) => format!(
            "{} {} {} at {}, fee {} (trade {} of {}, {})",
            name(f.instrument),
            f.side,
            f.quantity,
            f.price,
            f.fee.map_or("unknown".to_owned(), |fee| format!("{} {}", fee.amount, asset(fee.asset))),
            f.trade.0,
            order(f.order),
            f.source
        ),
        Fact::FillInferred(f) => format!("order {} inferred fill {} worth {}", f.order, f.quantity, f.value),
        Fact::FeeResolved(f) => format!("trade {} paid {} {}", f.trade.0, f.fee.amount, asset(f.fee.asset)),
        Fact::ExcessSellSettled(f) => format!("{} {} sold that was never ours", name(f.instrument), f.excess),
        Fact::PositionClosed(f) => format!(
            "{} position {} closed{}: bought {} for {}, sold {} for {}, profit {} ({}), dust {}",
            name(f.instrument),
            f.cycle,
            f.reason.map_or(String::new(), |r| format!(" by {r}")),
            f.bought,
            f.buy_value,
            f.sold,
            f.sell_value,
            f.realised,
            percent(f.rate),
            f.dust
        ),
        Fact::CycleRestated(f) => {
            format!("{} position {} restated: profit {} is now {}", name(f.instrument), f.cycle, f.old, f.new)
        }
        Fact::DustKept(f) => format!("{} {} kept as dust, cost {}", name(f.instrument), f.quantity, f.cost),
        Fact::DustReturned(f) => {
            format!("{} {} of dust returned by {}", name(f.instrument), f.quantity, f.by)
        }
        Fact::StopArmed(f) => format!(
            "{} stop armed at {} for {}{}",
            name(f.instrument),
            f.stop,
            f.quantity,
            f.take_profit.map_or(String::new(), |t| format!(", take-profit {t}"))
        ),
        Fact::StopMoved(f) => {
            format!("{} stop {} (mark {}, {}) for {}", name(f.instrument), f.stop, f.mark, f.why, f.quantity)
        }
        Fact::LinkLost(f) => format!("the {} connection is lost: {}", f.link, f.reason),
        Fact::LinkRestored(f) => {
            format!("the {} connection is back after {} ms", f.link, f.lasted_ns / 1_000_000)
        }
        Fact::ExitDecided(f) => {
            format!("{} exit wanted ({}), and cannot go out yet", name(f.instrument), f.reason)
        }
        Fact::VenueStopRested(f) => format!(
            "{} stop {} for {} rests at the venue as order {}, after {} ms without one",
            name(f.instrument),
            f.stop,
            f.quantity,
            f.order,
            f.bare_ns / 1_000_000
        ),
        Fact::StopRetired(f) => format!("{} stop retired: {}", name(f.instrument), f.why),
        Fact::BalanceRecorded(f) => format!(
            "{} balance {}, reserved {} (snapshot {})",
            asset(f.asset),
            f.total,
            f.reserved,
            f.snapshot
        ),
        Fact::CashFlowRecorded(f) => format!("{} {} from outside ({})", f.quantity, asset(f.asset), f.id.0),
        Fact::TradesWalked(f) => format!("trades known completely before {}", clock(f.through)),
        Fact::DriftSeen(f) => format!(
            "{} is {} at the venue where {} is expected, look {}",
            asset(f.asset),
            f.venue,
            f.expected,
            f.look
        ),
        Fact::DriftCleared(f) => format!("{} difference settled", asset(f.asset)),
        Fact::CorrectionBooked(f) => format!(
            "{} correction ({}): {}{}; {}",
            name(f.instrument),
            f.kind,
            f.quantity,
            f.average.map_or(String::new(), |a| format!(" at {a}")),
            f.evidence
        ),
        Fact::HoldingQuarantined(f) => {
            format!("{} {} in quarantine: {}", f.quantity, asset(f.asset), f.evidence)
        }
        Fact::InstrumentBlocked(f) => format!("{} blocked: {}", name(f.instrument), f.reason),
        Fact::InstrumentReleased(f) => format!("{} released by {}", name(f.instrument), f.by),
        Fact::Reconciled(f) => format!("compared with the venue (snapshot {})", f.snapshot),
        Fact::CommandReceived(f) => format!("{} orders: {}", f.by, command(&f.command)),
        Fact::CommandRefused(f) => format!("command of {} refused: {}", f.by, f.reason),
        Fact::TradingHalted(f) => format!("trading halted by {}: {}", f.by, f.reason),
        Fact::TradingEnabled(f) => format!("trading enabled by {}", f.by),
        Fact::PauseStarted(f) => format!("entries pause until {}: {} ({})", clock(f.until), f.rule, f.figure),
        Fact::DayStarted(f) => format!("day begins with equity {}", f.equity),
        Fact::AlarmRaised(f) => {
            format!("ALARM {}{}: {} (blocks {})", f.alarm, named(f.instrument), f.reason, f.blocks)
        }
        Fact::AlarmCleared(f) => format!("alarm {}{} cleared", f.alarm, named(f.instrument)),
        Fact::AnomalyNoted(f) => format!(
            "anomaly {}{}, {}: known {}, arrived {}; {}",
            f.anomaly,
            named(f.instrument),
            order(f.order),
            f.known,
            f.arrived,
            f.detail
        ),
        Fact::MessageQueued(f) => format!("message {}: {}", f.number, f.text),
        Fact::MessageDelivered(f) => format!("message {} delivered", f.number),
        Fact::FileImported(f) => format!(
            "{} imported, {}, {} bytes, zone {}: {} claims and {} doubts follow",
            f.name, f.source, f.bytes, f.timezone, f.claims, f.disputes
        ),
        Fact::ClaimImported(f) => format!("claimed in {}: {}", f.row, claim(&f.claim)),
        Fact::ClaimDisputed(f) => format!("doubt about {}, {}: {}", f.row, f.kind, f.detail),
        Fact::ClaimChecked(f) => format!(
            "claim of {} {} is {}: the venue holds {}, {} adopted{}",
            name(f.instrument),
            f.claimed,
            f.verdict,
            f.venue,
            f.adopted,
            f.stop.map_or(String::new(), |stop| format!(", stop {stop}"))
        ),
    }
}

fn claim(claim: &Claim) -> String {
    match claim {
        Claim::Position(p) => {
            let stop = p.stop.map_or_else(|| "no stop".to_owned(), |stop| format!("stop {stop}"));
            format!("{} {} at {}, {stop}", p.instrument, p.quantity, p.entry)
        }
        Claim::Trade(t) => format!("{} {} {} at {} in the past", t.instrument, t.side, t.quantity, t.price),
        Claim::Limit { limit, value, unit, answered } => {
            let answer =
                answered.map_or(String::new(), |(value, unit)| format!(", answered {value} ({unit})"));
            format!("limit {limit} {value} ({unit}){answer}")
        }
        Claim::TradingDisabled => "the old bot was told not to trade".to_owned(),
        Claim::Note { what } => what.to_string(),
    }
}

/// A person's wish as it could be typed.
fn command(command: &Command) -> String {
    match command {
        Command::Enable => "resume".to_owned(),
        Command::Halt { reason } => format!("halt ({reason})"),
        Command::Flatten => "flatten".to_owned(),
        Command::Close { instrument } => format!("close {instrument}"),
        Command::Open { instrument, quantity, stop } => {
            format!(
                "open {instrument} {quantity}{}",
                stop.map_or(String::new(), |s| format!(" with a stop at {s}"))
            )
        }
        Command::AdjustStop { instrument, stop, loosen } => {
            format!("move the stop of {instrument} to {stop}{}", if *loosen { ", down too" } else { "" })
        }
        Command::SetLimits { max_positions, daily_loss, budget } => {
            let limits = [
                max_positions.map(|n| format!("{n} positions")),
                daily_loss.map(|loss| format!("loss of a day {loss}")),
                budget.map(|budget| format!("budget {budget}")),
            ];
            format!("limits: {}", limits.into_iter().flatten().collect::<Vec<_>>().join(", "))
        }
        Command::Adopt { instrument, average, quantity } => {
            format!("adopt {instrument}: {quantity} in all, at {average}")
        }
        Command::Release { instrument } => format!("release {instrument}"),
        Command::AcceptGap => "accept the gap".to_owned(),
        Command::AcceptForeign { client, reason } => format!(
            "accept {} that no record intended: {reason}",
            client.map_or("the orders".to_owned(), |client| format!("order {client}"))
        ),
        Command::ReturnDust { instrument } => format!("return the dust of {instrument}"),
    }
}

fn kind(kind: &OrderKind) -> String {
    match kind {
        OrderKind::Market => " at market".to_owned(),
        OrderKind::Limit { price, time_in_force } => format!(" at {price} or better, {time_in_force}"),
        OrderKind::StopLoss { trigger } => format!(" when {trigger} is reached from above"),
        OrderKind::TakeProfit { trigger } => format!(" when {trigger} is reached from below"),
    }
}

/// A rate in percent with two digits.
pub fn percent(rate: aegis_model::Rate) -> String {
    let hundredfold = rate.0.times(aegis_model::Fixed::from_int(100), aegis_model::Rounding::HalfEven);
    hundredfold.map_or_else(|_| rate.to_string(), |p| format!("{p:.2} %"))
}
