//! Playing a record again: the same engine and paper exchange, on journals in memory, by the code that plays acts. Where
//! settings changed it goes on as after a restart, since a change holds for later positions only.

use super::change::Change;
use super::market::Chosen;
use super::record::{Record, setting};
use crate::act::{self, Bound, Script};
use crate::config::recorded::{Facts, FromRecord, from_record};
use crate::exit::Failure;
use crate::ids::Draw;
use crate::market::{FEED, Market};
use crate::precedent::Counts;
use crate::signals::Signals;
use crate::world::{World, knows_engine, knows_venue};
use aegis_engine::Engine;
use aegis_journal::{Config, Expect, Identity, MemReader, MemStorage, Storage};
use aegis_model::event::{ENGINE_SCHEMA, VENUE_SCHEMA};
use aegis_model::{Lsn, Machine, Mode, Quantity, Timestamp};
use aegis_node::{Limits, Node};
use aegis_paper::Venue;

/// The segments of journals in memory, which are read once and thrown away.
const SEGMENT_BYTES: u64 = 4 << 20;
/// Its random bits are these, so that two runs are the same.
const SEED: u64 = 0;

/// A part of the run with one set of settings.
pub(super) struct Part {
    /// Where the next begins.
    ends: Bound,
    /// The settings.
    pub(super) told: FromRecord,
}

/// The parts of a run with recorded settings, and from --from on with what differs.
///
/// # Errors
/// [`Failure`]: settings that this version does not understand, an instrument that the run does not have.
pub(super) fn parts(
    record: &Record,
    market: &Market,
    change: Option<&Change>,
    end: Bound,
) -> Result<Vec<Part>, Failure> {
    if let Some(name) = change.iter().flat_map(|c| &c.instruments).find(|name| !has(record, name)) {
        let known: Vec<&str> = record.instruments.iter().map(|i| i.name.as_str()).collect();
        return Err(Failure::usage(format!("--instrument {name}: the run has {}", known.join(", "))));
    }
    // When each part begins, where that is, its settings, and whether it differs.
    let mut begins: Vec<(Timestamp, Bound, usize, bool)> =
        record.epochs.iter().enumerate().map(|(at, e)| (e.at, e.begins, at, false)).collect();
    if change.is_some() {
        let mut first = 0;
        if let Some(at) = record.from {
            first = begins.iter().position(|(begun, ..)| *begun >= at).unwrap_or(begins.len()).max(1);
            begins.insert(first, (at, Bound::Before(at), first - 1, true));
        }
        begins.iter_mut().skip(first).for_each(|(.., differs)| *differs = true);
    }
    let mut parts = Vec::new();
    for (at, (_, _, epoch, differs)) in begins.iter().enumerate() {
        let ends = begins.get(at + 1).map_or(end, |(_, bound, ..)| *bound);
        let mut told = read(record, *epoch)?;
        told.act = act::priced(&told.act, market)?;
        if told.last_price {
            told.act.engine.last_price_feeds.insert(FEED);
        }
        // Open positions are valued at every price, so that two outcomes are of one definition.
        told.act.engine.record_all = true;
        if let Some(change) = change.filter(|_| *differs) {
            change.lay(&mut told.act.engine);
        }
        parts.push(Part { ends, told });
    }
    Ok(parts)
}

fn has(record: &Record, name: &aegis_model::Label) -> bool {
    record.instruments.iter().any(|i| i.name == *name)
}

fn read(record: &Record, epoch: usize) -> Result<FromRecord, Failure> {
    let settings = &record.epochs[epoch].settings;
    let fund = setting(settings, "fund").is_none().then_some(record.fund).flatten();
    let facts =
        Facts { instruments: &record.instruments, quote: record.quote, fund: fund.unwrap_or(Quantity::ZERO) };
    from_record(settings, &facts)
}

/// Plays the parts one after the other and gives the engine's journal, and how much of it is as the record has it.
///
/// # Errors
/// [`Failure`]: what an act can meet.
pub(super) fn play(
    record: &Record,
    market: &Market,
    parts: &[Part],
    name: &str,
) -> Result<(MemReader, Counts), Failure> {
    let mut precedents = record.precedents().map(Box::new);
    let (engine, venue) = (MemStorage::new(), MemStorage::new());
    let mut signals = Signals::recorded(record.inputs.clone());
    for (at, part) in parts.iter().enumerate() {
        let (settings, terms) = (part.told.act.engine.clone(), part.told.act.venue);
        let nodes = (
            node(|| Engine::new(settings.clone()), &engine, ENGINE_SCHEMA, knows_engine)?,
            node(|| Venue::new(terms), &venue, VENUE_SCHEMA, knows_venue)?,
        );
        let mut named = part.told.act.clone();
        name.clone_into(&mut named.name);
        let script = Script {
            act: &named,
            config: &part.told.config,
            draw: Draw::new(Some(SEED), "what-if"),
            stop_after: None,
            kill: None,
            progress: true,
        };
        let last = at + 1 == parts.len();
        let world = World::of(nodes.0, nodes.1, precedents.take());
        (signals, precedents) = act::play_part(&script, world, market.clone(), signals, part.ends, last)?;
    }
    Ok((engine.reader(), precedents.map(|p| p.counts()).unwrap_or_default()))
}

/// The end of what is played: that of the record, or the time that --until names.
pub(super) fn end(record: &Record, market: &Chosen, until: Option<Timestamp>) -> Bound {
    match until {
        Some(at) => Bound::Time(at),
        None => {
            let place = record.seen_to(market.candles && market.from_record);
            Bound::Record { place, lsn: Lsn(u64::MAX) }
        }
    }
}

fn node<M: Machine>(
    machine: impl Fn() -> M,
    storage: &MemStorage,
    schema: u16,
    knows: fn(u16, u8) -> bool,
) -> Result<Node<M, MemStorage>, Failure> {
    let mode = Mode::Paper.number();
    let config = Config { segment_bytes: SEGMENT_BYTES, knows, ..Config::default() };
    let limits = Limits { checkpoint_records: u64::MAX, ..Limits::default() };
    if storage.names().is_empty() {
        let identity = Identity { journal_id: [0; 16], schema, mode };
        Node::create(machine(), storage.clone(), identity, config, limits).map_err(Failure::from)
    } else {
        let expect = Expect { journal_id: None, schema, mode };
        let opened = Node::open(machine(), storage.clone(), expect, config, limits);
        opened.map(|(node, _)| node).map_err(Failure::from)
    }
}
