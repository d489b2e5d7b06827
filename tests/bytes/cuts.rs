//! Cuts at every byte: S36, a torn file, and S40, crash point CP4 inside the batch that books an entry's fill.

use super::support::*;
use aegis_journal::{MemStorage, PowerCut, Row, create};
use aegis_model::event::{
    AlarmKind, AssetNamed, Direction, FillBooked, FillSource, InstrumentListed, StopArmed,
};
use aegis_model::market::Instrument;
use aegis_model::protection::{Distance, Plan, StopRule};
use aegis_model::{
    Actor, AssetId, Event, Fact, InstrumentId, Label, Lsn, Money, OrderId, Side, Timestamp, TradeId,
};
use aegis_tests::world::id;
use aegis_tests::{CrashPoint, World, price, quantity, rate};

/// A story of an entry, a trailed stop and a second entry.
fn story() -> Vec<Batch> {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    world.tick("BTC_USDT", "51000");
    world.tick("ETH_USDT", "3000");
    world.signal("ETH_USDT", Direction::Up, "0.9");
    world.tick("BTC_USDT", "52000");
    world.log
}

/// Where each record of a disk's only segment begins, and where the last one ends.
fn edges(disk: &MemStorage) -> (Vec<usize>, usize) {
    let (records, _) = recover(disk.fork(), false).expect("a whole journal");
    let starts: Vec<usize> = records.iter().map(|r| r.offset).collect();
    let last = records.last().expect("records");
    let header = if records.len() == 1 || records[records.len() - 2].batch_end { 40 } else { 32 };
    let end = last.offset + (header + last.payload.len()).next_multiple_of(8);
    (starts, end)
}

/// How many of the records are still there byte by byte, in whole batches.
fn intact(records: &[Owned], end: usize, whole: &[u8], damaged: &[u8]) -> usize {
    let mut kept = 0;
    for (at, record) in records.iter().enumerate() {
        let stop = records.get(at + 1).map_or(end, |next| next.offset);
        if damaged.len() < stop || damaged[record.offset..stop] != whole[record.offset..stop] {
            break;
        }
        if record.batch_end {
            kept = at + 1;
        }
    }
    kept
}

/// A file cut at `at`, and one that is zeros from there.
fn torn(whole: &[u8], at: usize) -> [Vec<u8>; 2] {
    let mut zeroed = whole.to_vec();
    zeroed[at..].fill(0);
    [whole[..at].to_vec(), zeroed]
}

#[test]
fn s36_torn_file_at_each_byte_of_the_last_three_records() {
    let batches = story();
    // The newest three records were never synced: nothing proves them.
    let mut unsynced = 0;
    while batches[batches.len() - unsynced..].iter().map(Vec::len).sum::<usize>() < 3 {
        unsynced += 1;
    }
    let disk = journal(&batches, unsynced);
    let (records, _) = recover(disk.fork(), false).expect("a whole journal");
    let (starts, end) = edges(&disk);
    let whole = disk.file(SEGMENT).expect("the segment");
    let (mut clean, mut cut) = (0, 0);
    for at in starts[starts.len() - 3]..end {
        for damaged in torn(&whole, at) {
            let copy = disk.fork();
            copy.set_file(SEGMENT, &damaged);
            let kept = intact(&records, end, &whole, &damaged);
            let (found, report) = recover(copy.clone(), true).unwrap_or_else(|e| panic!("torn at {at}: {e}"));
            assert_eq!(found, records[..kept], "torn at {at}: every earlier batch and nothing else");
            assert_eq!((report.gap, report.next_lsn), (None, kept as u64 + 1), "torn at {at}");
            let left = damaged[records.get(kept).map_or(end, |r| r.offset).min(damaged.len())..]
                .iter()
                .any(|b| *b != 0);
            if left {
                cut += 1;
                assert_eq!(report.row, Row::C, "torn at {at}");
                let said = report.cut.unwrap_or_else(|| panic!("torn at {at}: the cut is reported"));
                assert_eq!((said.first_lsn, said.offset as usize), (kept as u64 + 1, records[kept].offset));
            } else {
                clean += 1;
                assert_eq!((report.row, report.cut), (Row::B, None), "torn at {at}");
            }
            let (again, report) = recover(copy.kill(), true).expect("opened again");
            assert_eq!((again.len(), report.row), (kept, Row::B), "torn at {at}: opened again");
        }
    }
    assert!(clean > 0 && cut > 100, "clean {clean}, cut {cut}");
}

#[test]
fn s36_the_same_tears_with_proof_are_rot() {
    let batches = story();
    // A mark: a clean stop.
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), IDENTITY, CONFIG).expect("an empty disk");
    batches.iter().for_each(|batch| append(&mut writer, batch));
    writer.close().expect("a good disk");
    let (records, _) = recover(disk.fork(), false).expect("a whole journal");
    let (starts, end) = edges(&disk);
    let whole = disk.file(SEGMENT).expect("the segment");
    for at in starts[starts.len() - 3]..end {
        for damaged in torn(&whole, at) {
            let kept = intact(&records, end, &whole, &damaged);
            let copy = disk.fork();
            copy.set_file(SEGMENT, &damaged);
            let (found, report) = recover(copy, true).unwrap_or_else(|e| panic!("torn at {at}: {e}"));
            assert_eq!(found, records[..kept], "torn at {at}");
            if kept == records.len() {
                assert_eq!(report.row, Row::B, "torn at {at}: nothing but zeros was changed");
                continue;
            }
            assert_eq!(report.row, Row::E, "torn at {at}: {report:?}");
            let gap = report.gap.expect("rot names its gap");
            assert_eq!(
                (gap.first_lsn, gap.last_lsn),
                (kept as u64 + 1, records.len() as u64),
                "torn at {at}"
            );
            assert_eq!(report.next_lsn, records.len() as u64 + 1, "no LSN is used twice");
        }
    }
    // A later record that says they were durable.
    let disk = journal(&batches, 1);
    let whole = disk.file(SEGMENT).expect("the segment");
    let newest = records.len() - batches[batches.len() - 1].len();
    let mut met = 0;
    for at in records[newest - 3].offset..records[newest].offset {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        let copy = disk.fork();
        copy.set_file(SEGMENT, &damaged);
        let kept = intact(&records, end, &whole, &damaged);
        let (found, report) = recover(copy, true).unwrap_or_else(|e| panic!("changed at {at}: {e}"));
        assert_eq!((found.len(), report.row), (kept, Row::E), "changed at {at}");
        met += 1;
    }
    assert!(met > 100);
}

/// A world that died as soon as the batch with the entry's fill was durable.
fn bought() -> World {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.crash_at(CrashPoint::Cp5);
    world.buy("BTC_USDT", "0.001");
    assert!(world.dead);
    world
}

fn facts(batch: &Batch) -> Vec<&'static str> {
    batch.iter().map(|(head, bytes)| Event::decode(*head, bytes).expect("stored").fact.name()).collect()
}

/// One restart later there are a position, its stop, the money spent once, and one order.
fn assert_protected(world: &World, what: &str) {
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"), "{what}");
    assert_eq!(world.held("BTC_USDT"), world.exchange.total("BTC"), "{what}");
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "{what}");
    assert_eq!(world.exchange.engine_orders(), 1, "{what}: exactly one order");
    assert_eq!(world.exchange.duplicates, 0, "{what}");
    let usdt = world.state().find_asset(&aegis_tests::label("USDT")).expect("named");
    assert_eq!(world.state().available(usdt), Some(quantity("99950")), "{what}");
    assert_eq!(world.state().digest(), world.replayed_digest(), "{what}");
}

#[test]
fn s40_cp4_fill_position_stop_balance_are_all_or_none() {
    let batches = bought().log;
    let fill = batches.last().expect("batches");
    let names = facts(fill);
    for name in ["FillBooked", "StopArmed", "MessageQueued"] {
        assert!(names.contains(&name), "one batch: {names:?}");
    }
    let disk = journal(&batches, 1);
    let (starts, end) = edges(&disk);
    let whole = disk.file(SEGMENT).expect("the segment");
    let first = starts[starts.len() - fill.len()];
    let (mut all, mut none) = (0, 0);
    for at in first..=end {
        for damaged in torn(&whole, at) {
            let copy = disk.fork();
            copy.set_file(SEGMENT, &damaged);
            let (records, _) = recover(copy, true).unwrap_or_else(|e| panic!("cut at {at}: {e}"));
            let kept = super::support::batches(&records);
            let there = kept.len() == batches.len();
            assert_eq!(kept[..], batches[..batches.len() - usize::from(!there)], "cut at {at}: all or none");
            let state = fold(&records);
            let btc = state.instrument(id("BTC_USDT")).expect("listed");
            assert_eq!((btc.held().is_positive(), btc.protection.is_some()), (there, there), "cut at {at}");
            *(if there { &mut all } else { &mut none }) += 1;
            let mut world = bought();
            world.log = kept;
            world.restart();
            assert_protected(&world, &format!("cut at {at}"));
        }
    }
    assert!(all >= 2 && none > 200, "all {all}, none {none}");
}

/// Such a journal is never written: fill and stop are one batch. Made by hand, it is still not left unprotected.
#[test]
fn s40_cp4_a_journal_made_by_hand_whose_stop_is_missing() {
    let mut world = bought();
    let fill = world.log.last_mut().expect("batches");
    let (armed, kept): (Vec<_>, Vec<_>) = fill.drain(..).partition(|(head, bytes)| {
        matches!(Event::decode(*head, bytes).expect("stored").fact, Fact::StopArmed(_))
    });
    assert_eq!(armed.len(), 1);
    *fill = kept;
    world.restart();
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    let alarmed = world.state().alarms.keys().any(|(kind, _)| *kind == AlarmKind::Unprotected);
    assert!(alarmed || world.stop("BTC_USDT") == Some(price("49000")), "covered or alarmed");
    assert_eq!(world.exchange.engine_orders(), 1);
    assert_eq!(world.state().digest(), world.replayed_digest());
}

/// A position and its stop, in one batch with the coin that it is of.
fn position(n: u16) -> Batch {
    let (asset, instrument) = (AssetId(n + 1), InstrumentId(u32::from(n)));
    let coin = format!("C{n}");
    let spec = Instrument {
        name: Label::lossy(&format!("{coin}_USDT")),
        base: asset,
        quote: AssetId(0),
        price_tick: price("0.01"),
        quantity_tick: quantity("0.0001"),
        minimum_notional: Money::ZERO,
        tradable: true,
    };
    let fill = FillBooked {
        instrument,
        trade: TradeId(Label::lossy(&format!("t{n}"))),
        order: OrderId(0),
        venue_order: None,
        side: Side::Buy,
        price: price("100"),
        quantity: quantity("0.5"),
        fee: None,
        executed: Timestamp(i64::from(n) + 1),
        source: FillSource::External,
    };
    let stop = StopArmed {
        instrument,
        cycle: 1,
        plan: Plan {
            initial: Distance::Relative(rate("0.02")),
            rule: StopRule::Fixed,
            atr: None,
            take_profit: None,
            hold_ns: None,
        },
        stop: price("98"),
        take_profit: None,
        time_exit: None,
        mark: price("100"),
        quantity: quantity("0.5"),
    };
    let named = |asset, name: &str| Fact::from(AssetNamed { asset, name: Label::lossy(name) });
    let mut facts =
        vec![named(asset, &coin), InstrumentListed { instrument, spec }.into(), fill.into(), stop.into()];
    if n == 0 {
        facts.insert(0, named(AssetId(0), "USDT"));
    }
    let stored = |fact| {
        let mut payload = Vec::new();
        let at = Timestamp(i64::from(n) + 1);
        let head = Event { at, actor: Actor::Engine, cause: Lsn::NONE, fact }.encode(&mut payload);
        (head, payload)
    };
    facts.into_iter().map(stored).collect()
}

#[test]
fn s37_only_what_was_synced_survives_a_power_cut_and_all_of_it_does() {
    let mut cuts = 0;
    for positions in [10_u16, 100, 400] {
        let disk = MemStorage::new();
        let mut writer = create(disk.clone(), IDENTITY, CONFIG).expect("an empty disk");
        let mut acknowledged = 0;
        for n in 0..positions {
            append(&mut writer, &position(n));
            // Every third position waits for the next one's sync.
            if n % 3 != 1 {
                writer.sync().expect("a good disk");
                acknowledged = n + 1;
            }
            if n % (positions / 10) != 1 && n + 1 != positions {
                continue;
            }
            for seed in 0..6 {
                let after = disk.fork().power_cut(PowerCut { seed, torn: seed % 2 == 0 });
                let (records, report) = recover(after, true).expect("no rot");
                assert_eq!(report.gap, None, "{positions} positions, cut {seed} behind {n}");
                let state = fold(&records);
                let protected = |i: &&aegis_projection::state::InstrumentState| {
                    i.held() == quantity("0.5")
                        && i.protection.as_ref().is_some_and(|p| p.stop == price("98"))
                };
                let found = state.instruments.iter().filter(protected).count();
                assert_eq!(found, state.instruments.len(), "no position without its stop");
                assert!(
                    (usize::from(acknowledged)..=usize::from(n) + 1).contains(&found),
                    "{found} of {acknowledged} acknowledged positions after cut {seed} behind {n}"
                );
                cuts += 1;
            }
        }
    }
    assert!(cuts >= 130, "{cuts} cuts");
}
