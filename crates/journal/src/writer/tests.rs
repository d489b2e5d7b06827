//! The writer: batches, bounds, rotation, the reserve, the latch.

use crate::tests::*;
use crate::*;

fn writer() -> (MemStorage, Writer<MemStorage>) {
    let disk = MemStorage::new();
    let writer = create(disk.clone(), ID, SMALL).unwrap();
    (disk, writer)
}

fn one(payload: &[u8]) -> NewRecord<'_> {
    NewRecord { kind: 1, version: 1, actor: 0, time_ns: 0, cause: 0, payload }
}

#[test]
fn refusals_change_nothing() {
    let (disk, mut writer) = writer();
    append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    let before = disk.file("0000000001.seg").unwrap();
    let large = vec![0; 100_000];
    type Case<'a> = (Vec<NewRecord<'a>>, fn(&Refusal) -> bool);
    let cases: Vec<Case<'_>> = vec![
        (vec![], |r| *r == Refusal::Empty),
        (vec![one(&large)], |r| matches!(r, Refusal::TooLarge { bytes_max: 61_368, .. })),
        (vec![one(b"x"), NewRecord { kind: 0, ..one(b"y") }], |r| {
            matches!(r, Refusal::BadRecord { index: 1, .. })
        }),
        (vec![NewRecord { cause: 3, ..one(b"y") }], |r| matches!(r, Refusal::BadRecord { index: 0, .. })),
        (vec![one(b"x"), NewRecord { cause: 4, ..one(b"y") }], |r| {
            matches!(r, Refusal::BadRecord { index: 1, .. })
        }),
    ];
    for (batch, expected) in cases {
        let fault = writer.append(&batch, Room::Reserve).unwrap_err();
        assert!(!fault.is_latched());
        let Fault::Refused(refusal) = fault else { panic!("{fault:?}") };
        assert!(expected(&refusal), "{refusal:?}");
        assert_eq!((writer.next_lsn(), writer.durable_lsn()), (3, 2));
    }
    assert_eq!(disk.file("0000000001.seg").unwrap(), before);
    // A cause inside the same batch is fine.
    writer.append(&[one(b"x"), NewRecord { cause: 3, ..one(b"y") }], Room::Normal).unwrap();
}

#[test]
fn a_batch_of_a_mebibyte_fits_and_never_spans_segments() {
    let disk = MemStorage::new();
    let config = Config { segment_bytes: 4 << 20, ..Config::default() };
    let mut writer = create(disk.clone(), ID, config).unwrap();
    let payload = vec![7; (1 << 20) - 40];
    for _ in 0..9 {
        writer.append(&[one(&payload)], Room::Normal).unwrap();
    }
    assert!(matches!(
        writer.append(&[one(&payload), one(b"")], Room::Normal),
        Err(Fault::Refused(Refusal::TooLarge { .. }))
    ));
    writer.close().unwrap();
    let report = verify(&Storage::reader(&disk), |_| ()).unwrap();
    assert_eq!((report.records, report.segments, report.findings.len()), (9, 3, 0));
}

#[test]
fn one_sync_serves_all_that_wait_and_none_is_made_for_nothing() {
    let (disk, mut writer) = writer();
    let before = disk.syncs();
    for _ in 0..10 {
        append(&mut writer, 3, 1).unwrap();
    }
    assert_eq!(writer.durable_lsn(), 0, "nothing is durable before a sync");
    assert_eq!(writer.sync().unwrap(), 30);
    assert_eq!(writer.sync().unwrap(), 30);
    assert_eq!(disk.syncs(), before + 1);
    assert_eq!(writer.stats().syncs, 1);
}

#[test]
fn checkpoints_are_taken_at_the_durable_end_only_and_two_are_kept() {
    let (disk, mut writer) = writer();
    append(&mut writer, 2, 1).unwrap();
    for lsn in [0, 1, 2, 3] {
        assert!(matches!(
            writer.checkpoint(lsn, [0; 32], b""),
            Err(Fault::Refused(Refusal::NotDurable { durable_lsn: 0, .. }))
        ));
    }
    for n in 1..6u64 {
        append(&mut writer, 2, 1).unwrap();
        let lsn = writer.sync().unwrap();
        writer.checkpoint(lsn, [n as u8; 32], &[n as u8; 100]).unwrap();
    }
    let kept: Vec<String> = disk.names().into_iter().filter(|n| n.ends_with(".ckpt")).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    writer.close().unwrap();
    let opening = opened(&disk).unwrap();
    let newest = &opening.checkpoints()[0];
    assert_eq!((newest.lsn, newest.digest, newest.bytes.len()), (12, [5; 32], 100));
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_journal_alone() {
    let (disk, mut writer) = writer();
    append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    disk.disk_full(true);
    let fault = writer.checkpoint(2, [0; 32], &[1; 5000]).unwrap_err();
    assert!(matches!(fault, Fault::CheckpointFailed(_)) && !fault.is_latched(), "{fault:?}");
    assert!(!disk.names().iter().any(|n| n == "write.tmp"), "no half file is left");
    append(&mut writer, 2, 1).unwrap();
    assert_eq!(writer.sync().unwrap(), 4);
}

#[test]
fn configurations_out_of_range_are_refused() {
    for segment_bytes in [0, 4096, (64 << 10) + 1, (64 << 10) + 512, (1 << 30) + 4096] {
        let config = Config { segment_bytes, ..Config::default() };
        assert!(matches!(create(MemStorage::new(), ID, config), Err(OpenError::Config { .. })));
    }
}

#[test]
fn a_clean_stop_gives_the_spare_back() {
    let (disk, mut writer) = writer();
    append(&mut writer, 1, 1).unwrap();
    writer.close().unwrap();
    assert_eq!(disk.names(), ["0000000001.seg"]);
}

#[test]
fn the_small_first_segment_of_an_opening_takes_no_batch_away() {
    let config = Config { segment_bytes: 8 << 20, ..Config::default() };
    let disk = MemStorage::new();
    create(disk.clone(), ID, config).unwrap().close().unwrap();
    let mut writer = open(disk.clone(), EXPECT, config).unwrap().finish().unwrap().0;
    assert!(disk.file("0000000002.seg").unwrap().len() < 8 << 20);
    assert_eq!(writer.batch_bytes_max(), BATCH_BYTES_MAX);
    let payload = vec![7; (1 << 20) - 40];
    for _ in 0..4 {
        writer.append(&[one(&payload)], Room::Normal).unwrap();
    }
    writer.close().unwrap();
    let report = verify(&Storage::reader(&disk), |_| ()).unwrap();
    assert_eq!((report.records, report.findings.len()), (4, 0));
}

/// The reserve is half a segment: what is opened on a nearly full disk must still be able to leave and to protect.
#[test]
fn an_opening_keeps_a_reserve_and_makes_do_with_less_on_a_full_disk() {
    for (full, reserve) in [(false, 2 << 20), (true, 256 << 10)] {
        let disk = MemStorage::new();
        create(disk.clone(), ID, Config::default()).unwrap().close().unwrap();
        if full {
            disk.fail_allocation(1);
        }
        let writer = open(disk.clone(), EXPECT, Config::default()).unwrap().finish().unwrap().0;
        assert_eq!(writer.reserve_bytes(), reserve, "full: {full}");
    }
}

#[test]
fn what_is_stored_while_a_segment_is_changed_is_not_durable_and_not_in_a_segment() {
    let (disk, mut writer) = writer();
    while writer.stats().rotations < 1 {
        append(&mut writer, 2, 1).unwrap();
    }
    let (durable, syncs) = (writer.durable_lsn(), disk.syncs());
    append(&mut writer, 2, 1).unwrap();
    assert_eq!(
        (writer.durable_lsn(), disk.syncs()),
        (durable, syncs),
        "a change of segment waits for nothing"
    );
    assert!(disk.file("0000000002.seg").is_none());
    assert_eq!(writer.sync().unwrap(), writer.appended_lsn());
    assert!(disk.file("0000000002.seg").is_some());
    assert_eq!(
        disk.syncs(),
        syncs + 4,
        "records and seal, header, the next spare, and then what was waited for"
    );
}

#[test]
fn a_change_of_segment_that_fails_latches_the_next_sync() {
    for nth in 1..3 {
        let (disk, mut writer) = writer();
        append(&mut writer, 2, 1).unwrap();
        let durable = writer.sync().unwrap();
        while writer.stats().rotations < 1 {
            append(&mut writer, 2, 1).unwrap();
        }
        disk.fail_sync(nth);
        append(&mut writer, 2, 1).unwrap();
        assert!(writer.sync().unwrap_err().is_latched());
        assert!(append(&mut writer, 2, 1).unwrap_err().is_latched());
        assert_eq!(writer.durable_lsn(), durable);
        assert!(disk.file("0000000002.seg").is_none(), "sync {nth}: no name for what may not be durable");
    }
}

/// A process that has no handle left for a while changes its segment all the same: what it needs for that it has had
/// since the next file was made, and a root can wait.
#[test]
fn a_change_of_segment_needs_no_new_handle() {
    let (disk, mut writer) = writer();
    let mut records = append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    disk.handles_used_up(true);
    while writer.stats().rotations < 1 {
        records.extend(append(&mut writer, 2, 1).unwrap());
    }
    writer.sync().unwrap();
    let root = |disk: &MemStorage, number: u64| {
        let bytes = disk.file(&crate::segment::segment_name(number)).unwrap();
        crate::layout::Seal::decode(&bytes[bytes.len() - 72..]).expect("a seal").root
    };
    assert_eq!(root(&disk, 1), crate::layout::NO_ROOT, "nobody could read it");
    // No third file could be made, so only the reserve is left, and said so; nothing is latched.
    let refused = loop {
        match append(&mut writer, 2, 1) {
            Ok(batch) => records.extend(batch),
            Err(fault) => break fault,
        }
    };
    assert!(matches!(refused, Fault::Refused(Refusal::OnlyReserve { .. })), "{refused}");
    writer.sync().unwrap();
    disk.handles_used_up(false);
    while writer.stats().rotations < 3 {
        records.extend(append(&mut writer, 2, 1).unwrap());
    }
    writer.sync().unwrap();
    assert_ne!(root(&disk, 3), crate::layout::NO_ROOT, "the one that was left out is in the later ones");
    writer.close().unwrap();
    assert!(verify(&Storage::reader(&disk), |_| ()).unwrap().findings.is_empty());
    let (_, kept, _) = recover(&disk).unwrap();
    assert_eq!(kept, records);
}

#[test]
fn a_file_that_somebody_else_deleted_replaced_or_cut_is_noticed_and_latches() {
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    type Mischief<'a> = (&'a str, &'a dyn Fn(&std::path::Path, &std::path::Path));
    let cases: [Mischief<'_>; 5] = [
        ("it was deleted or renamed by somebody else", &|_, file| std::fs::remove_file(file).unwrap()),
        ("another file has taken its name", &|dir, file| {
            std::fs::copy(file, dir.join("copy")).unwrap();
            std::fs::rename(dir.join("copy"), file).unwrap();
        }),
        ("somebody else cut it shorter", &|_, file| {
            std::fs::File::options().write(true).open(file).unwrap().set_len(PAGE_BYTES).unwrap();
        }),
        ("its directory is gone from where it was opened", &|dir, _| {
            std::fs::rename(dir, dir.with_extension("aside")).unwrap();
        }),
        ("its directory is another than the one that was opened", &|dir, _| {
            let aside = dir.with_extension("aside");
            std::fs::rename(dir, &aside).unwrap();
            copied(&aside, dir);
        }),
    ];
    for (words, mischief) in cases {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("journal");
        let mut writer = create(DirStorage::new(&dir).unwrap(), ID, SMALL).unwrap();
        append(&mut writer, 1, 5).unwrap();
        writer.sync().unwrap();
        writer.check_place().unwrap();
        mischief(&dir, &dir.join(crate::segment::segment_name(writer.header.number)));
        let told = writer.check_place().unwrap_err();
        assert!(told.is_latched() && told.to_string().contains(words), "{told}");
        assert!(append(&mut writer, 1, 5).is_err(), "nothing is taken any more: {words}");
    }
}

#[test]
fn a_journal_that_nobody_touches_stays_in_its_place_through_changes_of_segment() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("journal");
    let mut writer = create(DirStorage::new(&dir).unwrap(), ID, SMALL).unwrap();
    while writer.stats().rotations < 3 {
        append(&mut writer, 1, 200).unwrap();
        writer.check_place().unwrap();
    }
    writer.sync().unwrap();
    writer.check_place().unwrap();
}

#[test]
fn a_cause_lies_no_further_back_than_its_field_can_say() {
    let disk = MemStorage::new();
    let reach = u64::from(u32::MAX);
    let start = crate::writer::Start {
        number: 1,
        epoch: 1,
        first_lsn: reach + 10,
        chain: 0,
        root_before: crate::layout::NO_ROOT,
        before: crate::roots::Before { root: crate::layout::NO_ROOT, unhashed: Vec::new() },
        untrimmed: Vec::new(),
        pinned: Vec::new(),
        gaps: Vec::new(),
    };
    let mut writer = Writer::begin(disk.clone(), ID, SMALL, start).unwrap();
    let lsn = writer.next_lsn();
    for (back, taken) in [(reach + 1, false), (reach + 5, false), (reach, true)] {
        let record = NewRecord { cause: lsn - back, ..one(b"x") };
        match writer.append(&[record], Room::Normal) {
            Ok(_) => assert!(taken, "{back}"),
            Err(Fault::Refused(Refusal::BadRecord { index: 0, what })) if !taken => {
                assert!(what.contains("2^32"), "{what}");
            }
            Err(e) => panic!("{back}: {e}"),
        }
    }
    writer.sync().unwrap();
    let mut reader = JournalReader::open(writer.reader()).unwrap();
    assert_eq!(reader.next().unwrap().map(|record| (record.lsn, record.cause)), Some((lsn, lsn - reach)));
}

#[test]
fn behind_its_small_first_segment_an_opening_has_full_ones() {
    let config = Config { segment_bytes: 8 << 20, ..Config::default() };
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, config).unwrap();
    let payload = vec![7; (1 << 20) - 40];
    while writer.stats().rotations < 1 {
        writer.append(&[one(&payload)], Room::Normal).unwrap();
    }
    writer.sync().unwrap();
    let lsn = writer.durable_lsn();
    // Seven batches fit into a full one beside header and seal; the one that began it is in it.
    for _ in 0..6 {
        writer.append(&[one(&payload)], Room::Normal).unwrap();
    }
    writer.sync().unwrap();
    assert_eq!((writer.stats().rotations, writer.durable_lsn()), (1, lsn + 6));
    writer.check_place().unwrap();
    let bytes = disk.file("0000000002.seg").unwrap();
    assert_eq!((bytes.len(), crate::layout::u64_at(&bytes, 56)), (8 << 20, 8 << 20));
}

#[test]
fn asking_for_the_next_segment_hurries_the_change_of_this_one() {
    let (disk, mut writer) = writer();
    rotate(&mut writer, 1, 1);
    assert_eq!(disk.names().iter().filter(|name| name.ends_with(".seg")).count(), 1, "it is under way");
    assert!(writer.next_segment_is_ready());
    assert_eq!(disk.names().iter().filter(|name| name.ends_with(".seg")).count(), 2, "it is done");
}
