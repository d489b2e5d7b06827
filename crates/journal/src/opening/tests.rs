//! Opening: refusals by name, recovery, and what is left behind.

use crate::tests::*;
use crate::*;
use proptest::prelude::*;

/// One step of a random life of a journal.
#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Sync,
    Checkpoint,
    Mark,
    Close,
    Kill,
    PowerCut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u64..40).prop_map(Step::Append),
        4 => Just(Step::Sync),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Mark),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_life_keeps_what_was_acknowledged(steps in proptest::collection::vec(step(), 1..60)) {
        let mut disk = MemStorage::new();
        let mut writer = create(disk.clone(), ID, SMALL).unwrap();
        let mut appended: Vec<Owned> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            let mut restart = true;
            match step {
                Step::Append(count) => {
                    appended.extend(append(&mut writer, count, n as u64).unwrap());
                    restart = false;
                }
                Step::Sync => {
                    prop_assert_eq!(writer.sync().unwrap(), appended.len() as u64);
                    restart = false;
                }
                Step::Checkpoint => {
                    let lsn = writer.sync().unwrap();
                    if lsn > 0 {
                        writer.checkpoint(lsn, [lsn as u8; 32], &lsn.to_le_bytes()).unwrap();
                    }
                    restart = false;
                }
                Step::Mark => {
                    writer.mark().unwrap();
                    restart = false;
                }
                Step::Close => {}
                Step::Kill => disk = disk.kill(),
                Step::PowerCut(seed) => disk = disk.power_cut(PowerCut { seed, torn: seed % 2 == 0 }),
            }
            if restart {
                let durable = writer.durable_lsn();
                // A close makes everything durable; after a kill it only finds that it is dead.
                let closed = writer.close().is_ok();
                let (next, records, report) = recover(&disk).unwrap();
                let least = if closed { appended.len() } else { durable as usize };
                prop_assert!(records.len() >= least);
                prop_assert!(records == appended[..records.len()]);
                prop_assert!(report.gap.is_none(), "{:?}", report);
                appended.truncate(records.len());
                writer = next;
            }
        }
    }
}

#[test]
fn every_opening_begins_a_segment_and_counts_an_epoch() {
    let (disk, records) = specimen(3);
    for epoch in 2..6 {
        let (writer, kept, report) = recover(&disk).unwrap();
        assert_eq!((writer.epoch(), report.epoch), (epoch, epoch));
        assert_eq!(kept, records);
        assert_eq!(writer.next_lsn(), records.len() as u64 + 1);
        writer.close().unwrap();
    }
    let segments = disk.names().into_iter().filter(|n| n.ends_with(".seg")).count();
    assert_eq!(segments, 5);
}

#[test]
fn opening_changes_nothing_before_finish() {
    let (disk, _) = specimen(6);
    let at = disk.file("0000000001.seg").unwrap().iter().rposition(|b| *b != 0).unwrap();
    disk.patch("0000000001.seg", at as u64, &[0x77]);
    let (names, bytes, ops) = (disk.names(), disk.file("0000000001.seg"), disk.ops());
    let mut opening = opened(&disk).unwrap();
    folded(&mut opening, 1).unwrap();
    assert!(opening.report().cut.is_some());
    drop(opening);
    assert_eq!((disk.names(), disk.file("0000000001.seg"), disk.ops()), (names, bytes, ops));
}

#[test]
fn records_stop_early_and_start_anywhere() {
    let (disk, records) = specimen(20);
    let mut opening = opened(&disk).unwrap();
    for from in 1..=records.len() as u64 + 1 {
        assert_eq!(folded(&mut opening, from).unwrap(), records[from as usize - 1..]);
    }
    let stopped = opening
        .records(5, |r| if r.lsn == 9 { ControlFlow::Break(r.lsn) } else { ControlFlow::Continue(()) })
        .unwrap();
    assert_eq!(stopped, Some(9));
}

use std::ops::ControlFlow;

/// The end of a real file is looked at past the cache and by two threads; one byte anywhere in it is seen all the same.
#[test]
fn one_byte_in_a_long_empty_end_is_seen() {
    use std::os::unix::fs::FileExt;
    let config = Config { segment_bytes: 8 << 20, ..Config::default() };
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(DirStorage::new(dir.path()).unwrap(), ID, config).unwrap();
    let records = append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let path = dir.path().join("0000000001.seg");
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert_eq!(bytes, 4 << 20);
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let found = || {
        let opening = open(DirStorage::new(dir.path()).unwrap(), EXPECT, config).unwrap();
        assert_eq!(opening.last_lsn(), records.len() as u64);
        (opening.report().row, opening.report().cut.as_ref().map(|cut| cut.offset + cut.bytes))
    };
    assert_eq!(found(), (Row::B, None));
    for at in [5_000, 8_191, 8_192, 1 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 4_096, bytes - 1] {
        file.write_all_at(&[1], at).unwrap();
        assert_eq!(found(), (Row::C, Some(at + 1)), "{at}");
        file.write_all_at(&[0], at).unwrap();
    }
    assert_eq!(found(), (Row::B, None));
}

#[test]
fn a_lost_beginning_is_told_with_its_place_unless_a_checkpoint_stands_in_for_it() {
    let expect = Expect { journal_id: Some(ID.journal_id), schema: ID.schema, mode: ID.mode };
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut lsn = 0;
    while !disk.names().contains(&"0000000003.seg".to_owned()) {
        lsn += append(&mut writer, 50, lsn).unwrap().len() as u64;
    }
    let lost = |disk: &MemStorage| open(disk.fork().kill(), expect, SMALL).unwrap().lost_beginning().unwrap();
    writer.sync().unwrap();
    assert_eq!(lost(&disk), None, "a whole journal");
    let first = |disk: &MemStorage| {
        let disk = disk.fork();
        disk.remove_file("0000000001.seg");
        disk
    };
    let found = lost(&first(&disk)).unwrap();
    assert_eq!((found.file.as_str(), found.missing), ("0000000001.seg", true));
    let (from, until) = found.whole.unwrap();
    assert!(from > 1 && until == lsn, "{found}");
    assert!(found.to_string().starts_with("record 1 is lost: 0000000001.seg is missing"), "{found}");
    let rotten = disk.fork();
    rotten.patch("0000000001.seg", crate::PAGE_BYTES + 40, &[0xee; 8]);
    let found = lost(&rotten).unwrap();
    assert_eq!((found.missing, found.offset, found.flaw), (false, crate::PAGE_BYTES, Flaw::Checksum));
    // Rot behind the first record leaves something to go on from.
    let later = disk.fork();
    later.patch("0000000002.seg", crate::PAGE_BYTES + 40, &[0xee; 8]);
    assert_eq!(lost(&later), None);
    writer.checkpoint(lsn, [1; 32], &[1]).unwrap();
    assert_eq!(lost(&first(&disk)), None, "the checkpoint has it");
}
