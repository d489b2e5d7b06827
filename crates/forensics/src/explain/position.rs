//! The story of a position: who opened each lot, its stop with every price that moved it, how it was left and what it
//! earned; and the story of a stop alone.

use super::catalog::Catalog;
use super::gather::{self, Gathered, Kept, gather};
use super::lines::{brief, span, times};
use super::{ExplainError, Explanation, Options};
use crate::replay::ReadError;
use crate::words::percent;
use aegis_journal::StorageRead;
use aegis_model::event::{CorrectionKind, PositionClosed};
use aegis_model::protection::{Distance, Plan, Stage, StopCause, StopRule};
use aegis_model::{
    ArithmeticError, Fact, InstrumentId, Lsn, Money, Price, Quantity, Rounding, Side, Timestamp,
};
use std::collections::BTreeSet;

/// Records behind the last one of a position that are still looked at: what else its last batch led to.
const AFTERMATH: u64 = 32;

fn stretch(catalog: &Catalog, instrument: InstrumentId, cycle: u32) -> (Lsn, Lsn) {
    let (from, end) = catalog.cycle(instrument, cycle);
    (from, end.map_or(catalog.last, |end| Lsn((end.0 + AFTERMATH).min(catalog.last.0))))
}

/// Explains one cycle of an instrument.
pub(super) fn position<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    catalog: &Catalog,
    instrument: InstrumentId,
    cycle: u32,
    options: Options,
) -> Result<Explanation, ExplainError> {
    let told = told(open, catalog, instrument, cycle, options)?;
    let name = catalog.name(instrument);
    let mut answer = Vec::new();
    match told.closed() {
        Some((lsn, closed)) => answer.extend(ended(&name, lsn, closed)),
        None => answer.push(told.open_words(&name, cycle)),
    }
    answer.extend(told.lots(catalog));
    answer.extend(told.stop_words(catalog, instrument));
    let mut lines = gather::tree(&told.gathered, &catalog.names);
    lines.extend(gather::refusals(&told.gathered, &catalog.names));
    Ok(Explanation::new(answer, lines))
}

/// Explains the stop of one cycle.
pub(super) fn stop<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    catalog: &Catalog,
    instrument: InstrumentId,
    cycle: u32,
    options: Options,
) -> Result<Explanation, ExplainError> {
    let mut told = told(open, catalog, instrument, cycle, options)?;
    let mut answer = told.stop_words(catalog, instrument);
    if answer.is_empty() {
        answer.push(format!("{} position {cycle} never had a stop", catalog.name(instrument)));
    }
    // The orders of the exit and what became of the stop stay, what built the position goes.
    told.gathered.kept.retain(|k| {
        matches!(
            k.event.fact,
            Fact::StopArmed(_)
                | Fact::StopRetired(_)
                | Fact::ExitDecided(_)
                | Fact::VenueStopRested(_)
                | Fact::PositionClosed(_)
        ) || matches!(&k.event.fact, Fact::FillBooked(f) if f.side == Side::Sell)
            || matches!(&k.event.fact, Fact::OrderIntended(f) if f.side == Side::Sell)
            || matches!(k.event.fact, Fact::CommandReceived(_))
    });
    // Of what persons wished only what this came of.
    let causes: BTreeSet<Lsn> = told.gathered.kept.iter().map(|k| k.event.cause).collect();
    told.gathered
        .kept
        .retain(|k| !matches!(k.event.fact, Fact::CommandReceived(_)) || causes.contains(&k.lsn));
    Ok(Explanation::new(answer, gather::tree(&told.gathered, &catalog.names)))
}

struct Told {
    gathered: Gathered,
    cycle: u32,
}

fn told<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    catalog: &Catalog,
    instrument: InstrumentId,
    cycle: u32,
    options: Options,
) -> Result<Told, ExplainError> {
    let stretch = stretch(catalog, instrument, cycle);
    let mut gathered = gather(open, catalog, instrument, stretch, options.all)?;
    trim(&mut gathered, cycle);
    Ok(Told { gathered, cycle })
}

/// Leaves out what lies between two positions: everything before the first record that led to this one, and everything
/// behind its end that did not come of it.
fn trim(gathered: &mut Gathered, cycle: u32) {
    let kept = &gathered.kept;
    let holds = |k: &Kept| {
        matches!(&k.event.fact, Fact::FillBooked(f) if f.side == Side::Buy)
            || matches!(&k.event.fact, Fact::CorrectionBooked(f) if f.kind == CorrectionKind::Adopted)
            || matches!(k.event.fact, Fact::DustReturned(_) | Fact::FillInferred(_))
    };
    let Some(first) = kept.iter().position(holds) else { return };
    let mut start = kept[first].lsn;
    // The intent of that fill, what it was prepared by, the signal or command before that.
    let of = |lsn: Lsn| kept.binary_search_by_key(&lsn, |k| k.lsn).ok().map(|n| &kept[n]);
    let order = crate::about::about(&kept[first].event).order;
    let intent =
        kept.iter().find(|k| matches!(&k.event.fact, Fact::OrderIntended(f) if Some(f.order) == order));
    let mut next = intent.map_or(kept[first].event.cause, |k| k.lsn);
    while let Some(k) = of(next) {
        start = start.min(k.lsn);
        if k.event.cause >= k.lsn {
            break;
        }
        next = k.event.cause;
    }
    let end = kept
        .iter()
        .find(|k| matches!(&k.event.fact, Fact::PositionClosed(f) if f.cycle == cycle))
        .map_or(Lsn(u64::MAX), |k| k.lsn);
    let mut inside: BTreeSet<Lsn> =
        kept.iter().map(|k| k.lsn).filter(|lsn| (start..=end).contains(lsn)).collect();
    // Causes come before effects, so one pass finds everything that came of it.
    let orders: BTreeSet<_> = kept
        .iter()
        .filter(|k| inside.contains(&k.lsn))
        .filter_map(|k| crate::about::about(&k.event).order)
        .collect();
    for k in kept.iter().filter(|k| k.lsn > end) {
        let about = if let Fact::MessageQueued(f) = &k.event.fact { f.about } else { k.event.cause };
        let ours = crate::about::about(&k.event).order.is_some_and(|order| orders.contains(&order));
        if ours || inside.contains(&about) {
            inside.insert(k.lsn);
        }
    }
    gathered.kept.retain(|k| inside.contains(&k.lsn));
}

impl Told {
    fn closed(&self) -> Option<(Lsn, &PositionClosed)> {
        self.gathered.kept.iter().find_map(|k| {
            let Fact::PositionClosed(f) = &k.event.fact else { return None };
            (f.cycle == self.cycle).then_some((k.lsn, f))
        })
    }

    /// Sums of an open position, of the records shown.
    fn open_words(&self, name: &str, cycle: u32) -> String {
        let sums = self.sums();
        let since =
            self.opened().map_or(String::new(), |(lsn, at)| format!(" since {} (record {lsn})", brief(at)));
        match sums {
            Ok(s) => {
                let average = s.cost.per(s.bought, Rounding::HalfEven);
                let fees = if s.base_fees.is_zero() {
                    String::new()
                } else {
                    format!(", {} of it went into fees", s.base_fees)
                };
                let sold = if s.sold.is_zero() { String::new() } else { format!(", sold {}", s.sold) };
                format!(
                    "{name} position {cycle} is open{since}: bought {} for {}{}{fees}{sold}",
                    s.bought,
                    s.cost,
                    average.map_or(String::new(), |a| format!(" at {a:.8}", a = a.0)),
                )
            }
            Err(e) => format!("{name} position {cycle} is open{since}; its sums cannot be told: {e}"),
        }
    }

    fn opened(&self) -> Option<(Lsn, Timestamp)> {
        let first = self.gathered.kept.iter().find(|k| lot(k).is_some());
        first.map(|k| (k.lsn, k.event.at))
    }

    fn sums(&self) -> Result<Sums, ArithmeticError> {
        let mut sums = Sums::default();
        for k in &self.gathered.kept {
            if let Fact::FillBooked(f) = &k.event.fact {
                let value = f.price.times(f.quantity, Rounding::HalfEven)?;
                if f.side == Side::Buy {
                    sums.bought = sums.bought.plus(f.quantity)?;
                    sums.cost = sums.cost.plus(value)?;
                } else {
                    sums.sold = sums.sold.plus(f.quantity)?;
                }
                if let Some(fee) = f.fee.filter(|_| f.side == Side::Buy)
                    && Some(fee.asset) == self.gathered.base
                {
                    sums.base_fees = sums.base_fees.plus(fee.amount)?;
                }
            } else if let Fact::CorrectionBooked(f) = &k.event.fact
                && f.kind == CorrectionKind::Adopted
                && let Some(average) = f.average
            {
                sums.bought = sums.bought.plus(f.quantity)?;
                sums.cost = sums.cost.plus(average.times(f.quantity, Rounding::HalfEven)?)?;
            }
        }
        Ok(sums)
    }

    /// Who opened each lot.
    fn lots(&self, catalog: &Catalog) -> Vec<String> {
        let kept = &self.gathered.kept;
        let lots = kept.iter().filter_map(|k| Some((k, lot(k)?)));
        let mut out: Vec<String> = lots
            .enumerate()
            .map(|(n, (k, what))| {
                format!(
                    "lot {}: {what}, record {}, {}: {}",
                    n + 1,
                    k.lsn,
                    brief(k.event.at),
                    self.opener(k, catalog)
                )
            })
            .collect();
        const LOTS_MAX: usize = 12;
        if out.len() > LOTS_MAX {
            let more = out.len() - LOTS_MAX;
            out.truncate(LOTS_MAX);
            out.push(format!("and {more} lots more, in the tree below"));
        }
        out
    }

    /// By whom, because of what.
    fn opener(&self, fill: &Kept, catalog: &Catalog) -> String {
        let Fact::FillBooked(f) = &fill.event.fact else {
            return format!("brought in by {} without an order of ours", fill.event.actor);
        };
        if f.order.0 == 0 {
            let order = f.venue_order.map_or("an order that the venue did not name".to_owned(), |o| {
                format!("the venue's order {}", o.0)
            });
            return format!("{order}, which was none of ours (source: {})", f.source);
        }
        let kept = &self.gathered.kept;
        let find = |lsn: Lsn| kept.binary_search_by_key(&lsn, |k| k.lsn).ok().map(|n| &kept[n]);
        let mut at = catalog.order(f.order).and_then(|o| find(o.lsn));
        let mut by = String::new();
        while let Some(k) = at {
            if let Fact::SignalReceived(s) = &k.event.fact {
                by = format!(" because of {}, record {}", gather::source(s), k.lsn);
            } else if let Fact::CommandReceived(c) = &k.event.fact {
                by = format!(" because of a command of {}, record {}", c.by, k.lsn);
            }
            at = find(k.event.cause).filter(|cause| cause.lsn < k.lsn);
        }
        format!("our order {}{by}", f.order)
    }

    /// Where the stop is, or was, and why.
    fn stop_words(&self, catalog: &Catalog, instrument: InstrumentId) -> Vec<String> {
        let name = catalog.name(instrument);
        let tick = catalog.names.instrument(instrument).map(|i| i.spec.price_tick);
        let mut out = Vec::new();
        let kept = &self.gathered.kept;
        let armed = kept.iter().rev().find_map(|k| {
            let Fact::StopArmed(f) = &k.event.fact else { return None };
            Some((k, f))
        });
        let Some((armed_at, armed)) = armed else { return out };
        let verb = if self.closed().is_some() { "ended at" } else { "is at" };
        let moves = self.gathered.moves.get(&armed_at.lsn);
        let set = moves.and_then(|m| m.set.as_ref()).and_then(|k| {
            let Fact::StopMoved(moved) = &k.event.fact else { return None };
            Some((k, moved))
        });
        let sentence = match set {
            Some((k, moved)) => {
                let why = match moved.why {
                    StopCause::Commanded => "a named person moved it there".to_owned(),
                    StopCause::EntryImproved => "the entry price rose while the entry filled".to_owned(),
                    StopCause::Claimed => "the old bot's stop was higher, and it is never lowered".to_owned(),
                    StopCause::Resized => "the covered quantity changed".to_owned(),
                    StopCause::MarkRaised => {
                        trailing(&armed.plan, moved.stages_reached, moved.mark, moved.stop, tick)
                    }
                };
                format!(
                    "the stop of {name} {verb} {} since record {}, {}: {why}",
                    moved.stop,
                    k.lsn,
                    brief(k.event.at)
                )
            }
            None => {
                format!("the stop of {name} {verb} {}, where record {} armed it", armed.stop, armed_at.lsn)
            }
        };
        out.push(sentence);
        let count = moves.map_or(0, |m| m.run.count);
        let covered = moves.and_then(gather::last_move).and_then(|k| {
            let Fact::StopMoved(f) = &k.event.fact else { return None };
            Some(f.quantity)
        });
        out.push(format!(
            "it was armed at {} ({}), adjusted {}, covers {}{}",
            armed.stop,
            plan(&armed.plan),
            times(count),
            covered.unwrap_or(armed.quantity),
            armed.take_profit.map_or(String::new(), |t| format!("; take-profit {t}"))
        ));
        out
    }
}

#[derive(Default)]
struct Sums {
    bought: Quantity,
    cost: Money,
    base_fees: Quantity,
    sold: Quantity,
}

/// What a record brought into the position.
fn lot(k: &Kept) -> Option<String> {
    if let Fact::FillBooked(f) = &k.event.fact {
        (f.side == Side::Buy).then(|| format!("{} at {}, trade {}", f.quantity, f.price, f.trade.0))
    } else if let Fact::CorrectionBooked(f) = &k.event.fact {
        let average = f.average?;
        (f.kind == CorrectionKind::Adopted)
            .then(|| format!("{} at {average}, adopted ({})", f.quantity, f.evidence))
    } else if let Fact::DustReturned(f) = &k.event.fact {
        Some(format!("{} of dust that {} returned", f.quantity, f.by))
    } else {
        None
    }
}

fn ended(name: &str, lsn: Lsn, f: &PositionClosed) -> Vec<String> {
    let reason = f.reason.map_or("without an exit of ours".to_owned(), |r| format!("by {r}"));
    let fees = format!("fees {} in quote and {} in base", f.quote_fees, f.base_fees);
    vec![
        format!(
            "{name} position {} was closed {reason} after {}, at {} (record {lsn})",
            f.cycle,
            span(f.opened, f.closed),
            brief(f.closed)
        ),
        format!(
            "bought {} for {}, sold {} for {}: profit {} ({}), {fees}, dust {}",
            f.bought,
            f.buy_value,
            f.sold,
            f.sell_value,
            f.realised,
            percent(f.rate),
            f.dust
        ),
    ]
}

fn distance(distance: Distance) -> String {
    match distance {
        Distance::Relative(rate) => percent(rate),
        Distance::Offset(offset) => offset.to_string(),
    }
}

fn plan(plan: &Plan) -> String {
    let rule = match &plan.rule {
        StopRule::Fixed => "then it stays".to_owned(),
        StopRule::Trailing { distance: base, from_start, stages } => {
            let start = if *from_start {
                format!("then {} below the highest price and never lower", distance(*base))
            } else {
                "then it stays until a stage is reached".to_owned()
            };
            if stages.is_empty() { start } else { format!("{start}, {} stages", stages.len()) }
        }
    };
    format!("{} below the entry, {rule}", distance(plan.initial))
}

/// Why a raised mark put the stop there. What does not follow from the plan is not said to.
fn trailing(plan: &Plan, reached: u8, mark: Price, stop: Price, tick: Option<Price>) -> String {
    let StopRule::Trailing { distance: base, stages, .. } = &plan.rule else {
        return format!("the highest price rose to {mark}");
    };
    let now = match stages.get(usize::from(reached).wrapping_sub(1)) {
        Some(Stage { distance, .. }) => *distance,
        None => *base,
    };
    let level = match now {
        Distance::Relative(rate) => rate.complement().and_then(|c| mark.scaled(c, Rounding::Ceil)),
        Distance::Offset(offset) => mark.minus(offset),
    };
    let level = level.and_then(|l| tick.map_or(Ok(l), |tick| l.to_tick(tick, Rounding::Ceil)));
    let follows = level == Ok(stop);
    let stage = if reached > 0 { format!(" (stage {reached})") } else { String::new() };
    if follows {
        format!(
            "it stands {} below the highest price seen, {mark}{stage}, rounded up to the tick",
            distance(now)
        )
    } else {
        format!("the highest price rose to {mark}{stage}")
    }
}
