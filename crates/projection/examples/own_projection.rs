//! A projection of one's own: what was paid in fees, by instrument and asset. It sees the records that the engine's own
//! fold sees: `cargo run -p aegis-projection --example own_projection -- aegis-data/act2/engine`.

use aegis_journal::{JournalReader, Record};
use aegis_model::event::{ENGINE_SCHEMA, Fee};
use aegis_model::machine::RecordHead;
use aegis_model::wire::DecodeError;
use aegis_model::{AssetId, Event, Fact, InstrumentId, Label, Lsn, Quantity, Timestamp, TradeId};
use std::collections::BTreeMap;
use std::error::Error;

/// The fees. Records name assets and instruments by number, and tell the names before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Fees {
    assets: BTreeMap<AssetId, Label>,
    instruments: BTreeMap<InstrumentId, Label>,
    /// None while the fee is not known, which is not zero.
    fills: BTreeMap<(InstrumentId, TradeId), Option<Fee>>,
}

impl Fees {
    fn apply(&mut self, event: &Event) {
        // One arm for each kind that matters; a projection of one's own need not know the others.
        #[expect(clippy::wildcard_enum_match_arm)]
        match &event.fact {
            Fact::AssetNamed(f) => {
                self.assets.insert(f.asset, f.name);
            }
            Fact::InstrumentListed(f) => {
                self.instruments.insert(f.instrument, f.spec.name);
            }
            // A journal may tell an execution again; it is the same trade, and the first word counts.
            Fact::FillBooked(f) => {
                self.fills.entry((f.instrument, f.trade)).or_insert(f.fee);
            }
            Fact::FeeResolved(f) => {
                if let Some(unknown @ None) = self.fills.get_mut(&(f.instrument, f.trade)) {
                    *unknown = Some(f.fee);
                }
            }
            _ => {}
        }
    }

    /// Sums, exact; a sum beyond the range of numbers is none.
    fn paid(&self) -> BTreeMap<(InstrumentId, AssetId), Option<Quantity>> {
        let mut paid = BTreeMap::new();
        for ((instrument, _), fee) in &self.fills {
            let Some(fee) = fee else { continue };
            let sum = paid.entry((*instrument, fee.asset)).or_insert(Some(Quantity::ZERO));
            *sum = sum.and_then(|sum| sum.plus(fee.amount).ok());
        }
        paid
    }
}

/// The typed event of a record. Its payload alone says not when, by whom and why.
fn event(record: &Record<'_>) -> Result<Event, DecodeError> {
    let (kind, version, actor) = (record.kind, record.version, record.actor);
    let (time, cause) = (Timestamp(record.time_ns), Lsn(record.cause));
    Event::decode(RecordHead { kind, version, actor, time, cause }, record.payload)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which directory?")?;
    let mut reader = JournalReader::open_dir(dir.as_ref())?;
    if reader.identity().schema != ENGINE_SCHEMA {
        return Err("not a journal of an engine".into());
    }
    let mut fees = Fees::default();
    while let Some(record) = reader.next()? {
        fees.apply(&event(&record)?);
    }
    for ((instrument, asset), sum) in fees.paid() {
        let sum = sum.map_or("too much to say".to_owned(), |sum| sum.to_string());
        println!("{} {sum} {}", fees.instruments[&instrument], fees.assets[&asset]);
    }
    println!("{} fills", fees.fills.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aegis_projection::State;
    use aegis_projection::testing::{histories, wild_histories};
    use proptest::prelude::*;

    fn fees<'a>(from: &Fees, events: impl IntoIterator<Item = &'a Event>) -> Fees {
        let mut fees = from.clone();
        events.into_iter().for_each(|event| fees.apply(event));
        fees
    }

    proptest! {
        /// fold(a ++ b) = fold(fold(a), b), whatever stands in the records and wherever the cut is: nothing is
        /// remembered outside of the projection, and the end of a part means nothing to it.
        #[test]
        fn two_parts_are_the_whole(events in wild_histories(80), at in any::<prop::sample::Index>()) {
            let (a, b) = events.split_at(at.index(events.len() + 1));
            prop_assert_eq!(fees(&fees(&Fees::default(), a), b), fees(&Fees::default(), &events));
        }

        #[test]
        fn a_record_told_again_changes_nothing(events in wild_histories(80)) {
            let once = fees(&Fees::default(), &events);
            let twice = fees(&Fees::default(), events.iter().flat_map(|event| [event, event]));
            prop_assert_eq!(twice, once);
        }

        /// The engine's fold adds up fees by asset alone, of fills that it believes. Up to the first event that it does
        /// not believe (generated histories bring such, too) both have the same sums.
        #[test]
        fn by_instrument_or_by_asset_it_is_the_same_sum(events in histories(60)) {
            let (mut theirs, mut believed) = (State::default(), 0);
            for event in &events {
                let mut next = theirs.clone();
                next.apply(event);
                if !next.totals.anomalies.is_empty() {
                    break;
                }
                (theirs, believed) = (next, believed + 1);
            }
            let mut ours = BTreeMap::new();
            for ((_, asset), sum) in fees(&Fees::default(), &events[..believed]).paid() {
                let all = ours.entry(asset).or_insert(Quantity::ZERO);
                *all = all.plus(sum.expect("plausible sums")).expect("plausible sums");
            }
            for (at, asset) in theirs.assets.iter().enumerate() {
                let ours = ours.get(&AssetId(at as u16)).copied().unwrap_or(Quantity::ZERO);
                prop_assert_eq!(ours, asset.fees, "{}", asset.name);
            }
        }
    }
}
