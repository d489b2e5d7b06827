//! From words to a subject: what a question is about, or what it could be about.

use super::ExplainError;
use super::catalog::{Catalog, Match};
use aegis_model::{AssetId, ClientOrderId, Fixed, InstrumentId, Label, Lsn, OrderId, Quantity};

/// What is to be explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A position: one cycle of an instrument.
    Position {
        /// The instrument.
        instrument: InstrumentId,
        /// Which of its cycles, from 1.
        cycle: u32,
    },
    /// The stop of a position.
    Stop {
        /// The instrument.
        instrument: InstrumentId,
        /// Which of its cycles, from 1.
        cycle: u32,
    },
    /// One of our orders.
    Order {
        /// Its number.
        order: OrderId,
        /// The record of its intent.
        intent: Lsn,
    },
    /// One execution.
    Trade {
        /// The instrument.
        instrument: InstrumentId,
        /// Its record.
        lsn: Lsn,
    },
    /// A signal, by its record.
    Signal(Lsn),
    /// Any record.
    Record(Lsn),
    /// All movements of an asset.
    Asset {
        /// The asset.
        asset: AssetId,
        /// Only those of exactly this size.
        amount: Option<Quantity>,
    },
}

impl Subject {
    /// How it can be said without doubt.
    pub(super) fn words(&self, catalog: &Catalog) -> String {
        match self {
            Subject::Position { instrument, cycle } => {
                format!("position {} {cycle}", catalog.name(*instrument))
            }
            Subject::Stop { instrument, cycle } => format!("stop {} {cycle}", catalog.name(*instrument)),
            Subject::Order { order, .. } => format!("order {order}"),
            Subject::Signal(lsn) => format!("signal {lsn}"),
            Subject::Trade { lsn, .. } | Subject::Record(lsn) => format!("record {lsn}"),
            Subject::Asset { asset, amount } => {
                let name = catalog.names.asset(*asset).map_or(Label::EMPTY, |a| a.name);
                amount.map_or(format!("asset {name}"), |amount| format!("asset {name} {amount}"))
            }
        }
    }
}

/// What the words name.
pub(super) fn resolve(words: &str, catalog: &Catalog) -> Result<Subject, ExplainError> {
    let parts: Vec<&str> = words.split_whitespace().collect();
    let found = match parts[..] {
        [word] => one(word, catalog),
        ["position", name] => position(name, None, catalog),
        ["position", name, cycle] | [name, cycle]
            if cycle.parse::<u32>().is_ok() && is_instrument(name, catalog) =>
        {
            position(name, cycle.parse().ok(), catalog)
        }
        ["stop", name] => stop(name, None, catalog),
        ["stop", name, cycle] => stop(name, cycle.parse().ok(), catalog),
        ["asset", name] => asset(name, None, catalog),
        ["asset", name, amount] | [amount, name] if amount.parse::<Fixed>().is_ok() => {
            asset(name, amount.parse().ok().map(Quantity), catalog)
        }
        ["order", word] => order(word, catalog),
        ["intent", word] => intent(word, catalog),
        ["trade", _] => trades(catalog),
        ["signal", word] => signal(word, catalog),
        ["record", word] => record(word, catalog),
        _ => Vec::new(),
    };
    match found[..] {
        [subject] => Ok(subject),
        [] => Err(ExplainError::Unknown { words: words.to_owned(), known: known(catalog) }),
        _ => Err(ExplainError::Ambiguous {
            words: words.to_owned(),
            meanings: found.iter().map(|subject| meaning(subject, catalog)).collect(),
        }),
    }
}

fn is_instrument(name: &str, catalog: &Catalog) -> bool {
    find_instrument(name, catalog).is_some()
}

fn find_instrument(name: &str, catalog: &Catalog) -> Option<InstrumentId> {
    catalog.names.find_instrument(&Label::from_bytes(name.to_ascii_uppercase().as_bytes()).ok()?)
}

/// Everything that one word could mean.
fn one(word: &str, catalog: &Catalog) -> Vec<Subject> {
    let mut found = position(word, None, catalog);
    found.extend(asset(word, None, catalog));
    found.extend(record(word, catalog));
    found.extend(order(word, catalog));
    found.extend(trades(catalog));
    found.extend(catalog.matches.iter().filter_map(|m| match m {
        Match::Source(lsn) => Some(Subject::Signal(*lsn)),
        Match::VenueOrder(_) | Match::Foreign(_) | Match::Trade(..) => None,
    }));
    found.dedup();
    found
}

fn cycle_of(name: &str, cycle: Option<u32>, catalog: &Catalog) -> Option<(InstrumentId, u32)> {
    let instrument = find_instrument(name, catalog)?;
    let last = catalog.last_cycle(instrument)?;
    Some((instrument, cycle.unwrap_or(last))).filter(|(_, cycle)| (1..=last).contains(cycle))
}

fn position(name: &str, cycle: Option<u32>, catalog: &Catalog) -> Vec<Subject> {
    let found = cycle_of(name, cycle, catalog);
    found.map(|(instrument, cycle)| Subject::Position { instrument, cycle }).into_iter().collect()
}

fn stop(name: &str, cycle: Option<u32>, catalog: &Catalog) -> Vec<Subject> {
    let found = cycle_of(name, cycle, catalog);
    found.map(|(instrument, cycle)| Subject::Stop { instrument, cycle }).into_iter().collect()
}

/// As it is written, or else in capitals.
fn asset(name: &str, amount: Option<Quantity>, catalog: &Catalog) -> Vec<Subject> {
    let find = |name: &str| {
        let label = Label::from_bytes(name.as_bytes()).ok()?;
        catalog.names.find_asset(&label)
    };
    let found = find(name).or_else(|| find(&name.to_ascii_uppercase()));
    found.map(|asset| Subject::Asset { asset, amount }).into_iter().collect()
}

fn record(word: &str, catalog: &Catalog) -> Vec<Subject> {
    let lsn = word.parse().ok().filter(|lsn| (1..=catalog.last.0).contains(lsn));
    lsn.map(|lsn| Subject::Record(Lsn(lsn))).into_iter().collect()
}

/// By our number, our client order id, or the venue's id.
fn order(word: &str, catalog: &Catalog) -> Vec<Subject> {
    let number = word.strip_prefix('#').unwrap_or(word).parse().ok().map(OrderId);
    let client = word.parse::<ClientOrderId>().ok().filter(|id| id.installation == catalog.installation);
    let of = |order: OrderId| catalog.order(order).map(|o| Subject::Order { order, intent: o.lsn });
    let mut found: Vec<Subject> = number.or(client.map(|id| id.order)).and_then(of).into_iter().collect();
    for matched in &catalog.matches {
        let subject = match matched {
            Match::VenueOrder(order) => of(*order),
            Match::Foreign(lsn) => Some(Subject::Record(*lsn)),
            Match::Trade(..) | Match::Source(_) => None,
        };
        found.extend(subject.filter(|s| !found.contains(s)));
    }
    found
}

/// An order by the record of its intent, or else as any order.
fn intent(word: &str, catalog: &Catalog) -> Vec<Subject> {
    let lsn = word.parse().ok().map(Lsn);
    match catalog.orders.iter().find(|o| Some(o.lsn) == lsn) {
        Some(o) => vec![Subject::Order { order: o.order, intent: o.lsn }],
        None => order(word, catalog),
    }
}

/// Those whose id is the last word of the question, which the catalog has looked for.
fn trades(catalog: &Catalog) -> Vec<Subject> {
    let trades = catalog.matches.iter().filter_map(|m| match m {
        Match::Trade(instrument, lsn) => Some(Subject::Trade { instrument: *instrument, lsn: *lsn }),
        Match::VenueOrder(_) | Match::Foreign(_) | Match::Source(_) => None,
    });
    trades.collect()
}

/// By its record, its instrument or its source; of the latter two the last one.
fn signal(word: &str, catalog: &Catalog) -> Vec<Subject> {
    if let Some(id) = find_instrument(word, catalog) {
        let last = catalog.signals.get(id.0 as usize).copied().flatten();
        return last.map(Subject::Signal).into_iter().collect();
    }
    let source = catalog.matches.iter().find_map(|m| match m {
        Match::Source(lsn) => Some(*lsn),
        Match::VenueOrder(_) | Match::Foreign(_) | Match::Trade(..) => None,
    });
    let number = word.parse().ok().filter(|lsn| (1..=catalog.last.0).contains(lsn)).map(Lsn);
    source.or(number).map(Subject::Signal).into_iter().collect()
}

fn meaning(subject: &Subject, catalog: &Catalog) -> String {
    let what = match subject {
        Subject::Position { .. } => "a position".to_owned(),
        Subject::Stop { .. } => "the stop of a position".to_owned(),
        Subject::Order { intent, order } => {
            let name = catalog.order(*order).map_or(String::new(), |o| catalog.name(o.instrument));
            format!("an order of ours in {name}, intended by record {intent}")
        }
        Subject::Trade { instrument, lsn } => {
            format!("an execution in {}, record {lsn}", catalog.name(*instrument))
        }
        Subject::Signal(lsn) => format!("the last signal of a source, record {lsn}"),
        Subject::Record(lsn) => format!("the record with number {lsn}"),
        Subject::Asset { .. } => "an asset's movements".to_owned(),
    };
    format!("{}: {what}", subject.words(catalog))
}

/// What there is to ask about.
fn known(catalog: &Catalog) -> Vec<String> {
    let mut known = Vec::new();
    for (at, instrument) in catalog.names.instruments.iter().enumerate() {
        let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
        let cycles = catalog.last_cycle(id).unwrap_or(0);
        let name = instrument.spec.name;
        known.push(match cycles {
            0 => format!("{name}: no position yet"),
            1 => format!("{name} or stop {name}: 1 position"),
            n => format!("{name} or stop {name}: {n} positions, the last one without a number behind it"),
        });
    }
    let assets: Vec<String> = catalog.names.assets.iter().map(|a| format!("asset {}", a.name)).collect();
    if !assets.is_empty() {
        known.push(assets.join(", "));
    }
    if let (Some(first), Some(last)) = (catalog.orders.first(), catalog.orders.last()) {
        known.push(format!(
            "order {} to {}, by these numbers, their client order ids or the venue's ids",
            first.order, last.order
        ));
    }
    known.push("trade ID, signal SOURCE, signal INSTRUMENT or signal RECORD".to_owned());
    known.push(format!("record 1 to {}", catalog.last));
    known
}
