//! What led to one record, and everything that came of it: by the causes that records carry, and by order numbers.

use super::catalog::{Catalog, kind};
use super::gather::{decoded, each};
use super::lines::{Because, Line};
use super::{ExplainError, Explanation};
use crate::about::{about, glance};
use crate::replay::{ReadError, engine_reader};
use crate::words::words;
use aegis_journal::StorageRead;
use aegis_model::event::Direction;
use aegis_model::{Event, Fact, Lsn, OrderId};
use std::collections::{BTreeMap, BTreeSet};

/// Causes that are followed backwards.
const CHAIN_MAX: usize = 64;
/// Records that one record may have led to before the rest is only counted.
const EFFECTS_MAX: usize = 2_000;

/// One record by its number; none when it is lost.
fn fetch<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    lsn: Lsn,
) -> Result<Option<Event>, ReadError> {
    let mut reader = engine_reader(open()?)?;
    reader.seek(lsn.0).map_err(ReadError::Open)?;
    match reader.next() {
        Ok(Some(record)) if record.lsn == lsn.0 => decoded(&record).map(Some),
        Ok(_) | Err(_) => Ok(None),
    }
}

struct Found {
    /// In the order of the journal; the one that was asked about among them.
    events: BTreeMap<Lsn, Event>,
    more: u64,
}

/// The record and what came of it.
fn effects<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    root: Lsn,
    last: Lsn,
) -> Result<Found, ReadError> {
    let mut causes = BTreeSet::from([root]);
    let mut orders: BTreeSet<OrderId> = BTreeSet::new();
    let mut found = Found { events: BTreeMap::new(), more: 0 };
    each(open, root, last, |record| {
        let lsn = Lsn(record.lsn);
        let about = glance(record.kind, record.payload);
        let of_order = about.order.is_some_and(|order| orders.contains(&order));
        let caused = record.cause >= root.0 && causes.contains(&Lsn(record.cause));
        if lsn != root && !caused && !of_order {
            return Ok(());
        }
        if record.kind == kind::INTENDED {
            orders.extend(about.order);
        }
        if found.events.len() < EFFECTS_MAX {
            causes.insert(lsn);
            found.events.insert(lsn, decoded(record)?);
        } else {
            found.more += 1;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Explains a record: the chain that led to it above, what came of it below.
pub(super) fn of<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    catalog: &Catalog,
    lsn: Lsn,
) -> Result<Explanation, ExplainError> {
    let found = effects(open, lsn, catalog.last)?;
    let Some(root) = found.events.get(&lsn) else {
        return Ok(Explanation::new(vec![format!("record {lsn} is lost")], Vec::new()));
    };
    let answer = answer(root, lsn, &found, catalog);
    let mut line = below(open, &found, catalog, lsn)?;
    let mut cause = root.cause;
    for _ in 0..CHAIN_MAX {
        if cause == Lsn::NONE {
            break;
        }
        let Some(event) = fetch(open, cause)? else { break };
        let mut above = Line::of(cause, &event, &catalog.names);
        above.children.push(line);
        line = above;
        if event.cause >= cause {
            break;
        }
        cause = event.cause;
    }
    let mut lines = vec![line];
    if found.more > 0 {
        lines.push(Line::folded(found.more, format!("and {} records more", found.more)));
    }
    Ok(Explanation::new(answer, lines))
}

/// Explains an execution: the order that it belongs to, or the batch that learned of it.
pub(super) fn trade<R: StorageRead>(
    open: &(impl Fn() -> Result<R, ReadError> + Sync),
    catalog: &Catalog,
    lsn: Lsn,
) -> Result<Explanation, ExplainError> {
    let event = fetch(open, lsn)?;
    let order = event.as_ref().and_then(|e| about(e).order).and_then(|order| catalog.order(order));
    let Some(event) = &event else { return of(open, catalog, lsn) };
    // Of one that was none of ours: what else came of learning of it.
    let root = order.map_or(if event.cause == Lsn::NONE { lsn } else { event.cause }, |o| o.lsn);
    let mut told = of(open, catalog, root)?;
    let mut answer = vec![format!("{}, record {lsn}", words(event, &catalog.names))];
    if let (None, Fact::FillBooked(f)) = (order, &event.fact) {
        let whose = f.venue_order.map_or("an order that the venue did not name".to_owned(), |o| {
            format!("the venue's order {}", o.0)
        });
        answer.push(format!("it was made by {whose}, which was none of ours, and learned of by comparing"));
    } else {
        answer.append(&mut told.answer);
    }
    told.answer = answer;
    Ok(told)
}

/// A record with everything below it.
fn below<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    found: &Found,
    catalog: &Catalog,
    root: Lsn,
) -> Result<Line, ReadError> {
    let mut intents: BTreeMap<OrderId, Lsn> = BTreeMap::new();
    let mut lines: BTreeMap<Lsn, (Line, Option<Lsn>)> = BTreeMap::new();
    for (lsn, event) in &found.events {
        let mut parent = Some(event.cause).filter(|cause| found.events.contains_key(cause));
        if let Fact::OrderIntended(f) = &event.fact {
            intents.insert(f.order, *lsn);
        } else if let Some(intent) = about(event).order.and_then(|order| intents.get(&order)) {
            parent = Some(*intent);
        } else if let Fact::MessageQueued(f) = &event.fact
            && found.events.contains_key(&f.about)
        {
            parent = Some(f.about);
        }
        let mut line = Line::of(*lsn, event, &catalog.names);
        if let Some(blocking) = blocking(event)
            && let Some(event) = fetch(open, blocking)?
        {
            line.because.push(Because::of(blocking, &event, &catalog.names));
        }
        lines.insert(*lsn, (line, parent.filter(|p| p < lsn && *lsn != root)));
    }
    while lines.len() > 1 {
        let Some((_, (mut line, parent))) = lines.pop_last() else { break };
        line.children.reverse();
        if let Some((above, _)) = lines.get_mut(&parent.unwrap_or(root)) {
            above.children.push(line);
        }
    }
    let (_, (mut line, _)) =
        lines.pop_first().unwrap_or_else(|| (root, (Line::folded(0, String::new()), None)));
    line.children.reverse();
    Ok(line)
}

/// The record that stood in the way of an entry.
fn blocking(event: &Event) -> Option<Lsn> {
    let Fact::EntryRefused(f) = &event.fact else { return None };
    Some(f.blocking).filter(|lsn| *lsn != Lsn::NONE)
}

/// What there is to say of the record in a sentence.
fn answer(root: &Event, lsn: Lsn, found: &Found, catalog: &Catalog) -> Vec<String> {
    if let Fact::SignalReceived(signal) = &root.fact {
        let name = catalog.name(signal.instrument);
        let refused = found.events.values().find_map(|e| {
            let Fact::EntryRefused(f) = &e.fact else { return None };
            Some(f)
        });
        let intended = found.events.iter().find_map(|(lsn, e)| {
            let Fact::OrderIntended(f) = &e.fact else { return None };
            Some((*lsn, f))
        });
        let what = match (refused, intended) {
            (Some(f), _) => {
                let numbers = if f.need.is_zero() && f.have.is_zero() {
                    String::new()
                } else {
                    format!(": need {}, have {}", f.need, f.have)
                };
                let blocking = blocking_words(f.blocking);
                format!("it was refused: {}{numbers}{blocking}", f.reason)
            }
            (None, Some((lsn, f))) => format!("it led to order {} (record {lsn})", f.order),
            (None, None) if signal.direction == Direction::Up => {
                "no order came of it and no refusal: nothing was decided on it alone".to_owned()
            }
            (None, None) => "it asked for no entry, and no exit came of it".to_owned(),
        };
        return vec![format!(
            "{} said {} {name} with {}: {what}",
            signal.source, signal.direction, signal.confidence
        )];
    }
    if let Fact::OrderIntended(f) = &root.fact {
        let client = f.client_id(catalog.installation);
        let ended = found.events.iter().rev().find_map(|(lsn, e)| {
            let Fact::OrderEnded(f) = &e.fact else { return None };
            Some(format!("ended: {} (record {lsn})", f.end))
        });
        return vec![format!(
            "order {} in {}, client order id {client}, {}",
            f.order,
            catalog.name(f.instrument),
            ended.unwrap_or_else(|| "not ended".to_owned())
        )];
    }
    let more = found.events.len().saturating_sub(1) as u64 + found.more;
    let count = match more {
        0 => "nothing came of it".to_owned(),
        1 => "1 record came of it".to_owned(),
        n => format!("{n} records came of it"),
    };
    let cause = if root.cause == Lsn::NONE {
        "it came from outside".to_owned()
    } else {
        format!("record {} led to it", root.cause)
    };
    vec![format!("record {lsn} is a {}: {cause}, {count}", root.fact.name())]
}

fn blocking_words(lsn: Lsn) -> String {
    if lsn == Lsn::NONE { String::new() } else { format!(", because of record {lsn}") }
}
