//! Compressing behind the writer: the same records with it and without, nothing lost whatever fails, and no end of the
//! writer because of it.

use crate::layout::Header;
use crate::packed::Packed;
use crate::segment::{packed_name, segment_name};
use crate::tests::*;
use crate::*;
use proptest::prelude::*;
use std::ops::ControlFlow;

fn opened_packing(disk: &MemStorage) -> Opening<MemStorage> {
    open(disk.clone(), EXPECT, PACKED).unwrap()
}

/// Appends until so many segments were changed.
fn fill<S: Storage>(writer: &mut Writer<S>, rotations: u64) -> Vec<Owned> {
    let mut records = Vec::new();
    while writer.stats().rotations < rotations {
        records.extend(append(writer, 3, 5).unwrap());
        if records.len() % 8 == 0 {
            writer.sync().unwrap();
        }
    }
    writer.sync().unwrap();
    records
}

fn unpacked(disk: &MemStorage, number: u64) -> Vec<u8> {
    let packed = Packed::open(Storage::reader(disk).open(&packed_name(number)).unwrap());
    let mut bytes = vec![0; packed.bytes().unwrap() as usize];
    assert_eq!(packed.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn names(disk: &MemStorage) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.contains(".seg") || name.contains("pack")).collect()
}

fn shown(disk: &MemStorage) -> Vec<Owned> {
    let (shown, damages) = read_all(Storage::reader(disk)).unwrap();
    assert_eq!(damages, []);
    assert!(shown.iter().all(|(_, after_gap)| !after_gap));
    shown.into_iter().map(|(record, _)| record).collect()
}

#[test]
fn all_but_the_newest_two_are_compressed_and_come_back_bit_for_bit() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, PACKED).unwrap();
    let (mut records, mut plain) = (Vec::new(), Vec::new());
    for rotations in 1..=5 {
        records.extend(fill(&mut writer, rotations));
        plain.push(disk.file(&segment_name(rotations)).expect("sealed and not compressed yet"));
    }
    let expected: Vec<String> = (1..=4).map(packed_name).chain((5..=6).map(segment_name)).collect();
    assert_eq!(names(&disk), expected);
    for number in 1..=4 {
        assert!(unpacked(&disk, number) == plain[number as usize - 1], "segment {number}");
    }
    let told = writer.compression();
    assert_eq!((told.segments, told.trouble.is_none()), (4, true));
    assert_eq!(told.bytes_before, plain[..4].iter().map(|bytes| bytes.len() as u64).sum::<u64>());
    let after: u64 = (1..=4).map(|n| disk.file(&packed_name(n)).unwrap().len() as u64).sum();
    assert_eq!(told.bytes_after, after);
    assert!(after < told.bytes_before);
    writer.close().unwrap();
    assert_eq!(shown(&disk), records);
    let report = verify(&Storage::reader(&disk), |_| ()).unwrap();
    assert_eq!((report.records, report.findings.len(), report.segments), (records.len() as u64, 0, 6));
    let (_, kept, _) = recover(&disk).unwrap();
    assert_eq!(kept, records);
}

/// What knows of no compression must not take a compressed segment for a missing one.
#[test]
fn a_version_that_knows_nothing_of_it_is_refused_wherever_anything_is_compressed() {
    let versions = |disk: &MemStorage| -> Vec<u16> {
        let plain = disk.names().into_iter().filter(|name| name.ends_with(".seg"));
        plain.map(|name| Header::decode(&disk.file(&name).unwrap()[..4096]).unwrap().version).collect()
    };
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    fill(&mut writer, 3);
    writer.close().unwrap();
    assert_eq!(versions(&disk), [2, 2, 2, 2], "who does not compress excludes nobody");
    let (writer, _) = opened_packing(&disk).finish().unwrap();
    writer.close().unwrap();
    assert_eq!(
        names(&disk)[..4],
        [1, 2, 3].map(packed_name).into_iter().chain([segment_name(4)]).collect::<Vec<_>>()[..]
    );
    for _ in 0..4 {
        assert!(versions(&disk).contains(&3));
        recover(&disk).unwrap().0.close().unwrap();
    }
    // Again with it, so that those that told of it are compressed as well: the newest tells of it then.
    let (writer, _) = opened_packing(&disk).finish().unwrap();
    writer.close().unwrap();
    assert_eq!(versions(&disk).last(), Some(&3));
}

#[test]
fn where_both_names_are_there_the_plain_one_is_read_and_compressed_again() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let records = fill(&mut writer, 3);
    writer.close().unwrap();
    for leftover in [b"not a segment at all".to_vec(), Vec::new(), disk.file(&segment_name(2)).unwrap()] {
        let disk = disk.fork();
        disk.set_file(&packed_name(1), &leftover);
        disk.set_file("pack.tmp", &leftover);
        assert_eq!(shown(&disk), records);
        assert!(verify(&Storage::reader(&disk), |_| ()).unwrap().findings.is_empty());
        let plain = disk.file(&segment_name(1)).unwrap();
        let (_, kept, report) = recover(&disk.fork()).unwrap();
        assert_eq!((kept, report.row), (records.clone(), Row::B));
        let (writer, _) = opened_packing(&disk).finish().unwrap();
        assert_eq!(writer.compression().segments, 3);
        writer.close().unwrap();
        assert!(unpacked(&disk, 1) == plain);
        assert!(!names(&disk).iter().any(|name| *name == segment_name(1) || name == "pack.tmp"));
    }
}

#[test]
fn a_full_disk_leaves_the_segment_and_the_writer_goes_on() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut records = fill(&mut writer, 3);
    writer.close().unwrap();
    let (mut writer, _) = open(disk.clone(), EXPECT, SMALL).unwrap().finish().unwrap();
    records.extend(append(&mut writer, 1, 5).unwrap());
    writer.close().unwrap();
    let opening = opened_packing(&disk);
    // Room for the first segment of the opening and for its spare; none to write anything else.
    let plain = names(&disk);
    let mut writer = opening.finish().unwrap().0;
    assert_eq!(writer.compression().segments, 4, "{plain:?}");
    disk.disk_full(true);
    // The spare is there, so the writer can change its segment once.
    records.extend(fill(&mut writer, 1));
    let told = writer.compression();
    assert_eq!(told.segments, 4);
    let trouble = told.trouble.expect("told");
    assert_eq!((trouble.kind, trouble.file.as_str()), (std::io::ErrorKind::StorageFull, "pack.tmp"));
    assert!(!names(&disk).contains(&"pack.tmp".to_owned()), "its space is given back");
    records.extend(append(&mut writer, 1, 5).unwrap());
    writer.sync().unwrap();
    disk.disk_full(false);
    records.extend(fill(&mut writer, 2));
    let told = writer.compression();
    assert!(told.trouble.is_none() && told.segments > 4, "{told:?}");
    writer.close().unwrap();
    assert_eq!(shown(&disk), records);
}

#[test]
fn a_failure_at_any_sync_of_it_is_no_failure_of_the_writer() {
    let mut troubles = 0;
    for nth in 1..12 {
        let disk = MemStorage::new();
        let mut writer = create(disk.clone(), ID, SMALL).unwrap();
        let mut records = fill(&mut writer, 4);
        writer.close().unwrap();
        let opening = opened_packing(&disk);
        disk.fail_sync(nth);
        // The first three are those of the recovery: the seal, the header, the spare.
        let Ok((mut writer, _)) = opening.finish() else {
            assert!(nth < 3, "{nth}");
            continue;
        };
        troubles += u32::from(writer.compression().trouble.is_some());
        disk.fail_sync(u64::MAX / 2);
        records.extend(fill(&mut writer, 1));
        assert!(writer.compression().trouble.is_none(), "{nth}: it was tried again");
        writer.close().unwrap();
        assert_eq!(shown(&disk), records);
        assert!(!names(&disk).contains(&"pack.tmp".to_owned()));
    }
    assert!(troubles >= 4, "{troubles}");
}

#[test]
fn a_sync_of_it_that_lies_loses_nothing() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let records = fill(&mut writer, 3);
    writer.close().unwrap();
    for nth in 3..9 {
        let disk = disk.fork();
        let opening = opened_packing(&disk);
        disk.lie_sync(nth);
        let (writer, _) = opening.finish().unwrap();
        drop(writer);
        assert_eq!(shown(&disk.kill()), records, "{nth}");
    }
}

#[test]
fn a_damaged_segment_is_left_as_it_is() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    fill(&mut writer, 4);
    writer.close().unwrap();
    type Hurt = fn(&MemStorage);
    let hurts: [(&str, Hurt); 5] = [
        ("a record", |d| d.patch(&segment_name(2), 9_000, &[0x55; 9])),
        ("the header", |d| d.patch(&segment_name(2), 20, &[0x55; 9])),
        ("the seal", |d| {
            let at = d.file(&segment_name(2)).unwrap().len() as u64 - 20;
            d.patch(&segment_name(2), at, &[0x55; 9]);
        }),
        ("a page", |d| d.read_error(&segment_name(2), 3)),
        ("something behind the seal", |d| {
            let at = d.file(&segment_name(2)).unwrap().len() as u64;
            d.patch(&segment_name(2), at + 100, &[0x55; 9]);
        }),
    ];
    for (what, hurt) in hurts {
        let disk = disk.fork();
        hurt(&disk);
        let before = disk.file(&segment_name(2));
        // Its successor's header is needed to vouch for the one before it, and is there.
        let (writer, _) = opened_packing(&disk).finish().unwrap();
        assert!(writer.compression().trouble.is_none(), "{what}: others tell of it");
        writer.close().unwrap();
        assert_eq!(disk.file(&segment_name(2)), before, "{what}");
        assert!(disk.file(&packed_name(2)).is_none() && disk.file(&packed_name(3)).is_some(), "{what}");
    }
}

#[test]
fn zeros_behind_a_seal_that_was_never_cut_cost_nothing() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let records = fill(&mut writer, 3);
    writer.close().unwrap();
    let (cut, mut uncut) = (disk.file(&segment_name(1)).unwrap(), disk.file(&segment_name(1)).unwrap());
    uncut.resize(64 << 10, 0);
    disk.set_file(&segment_name(1), &uncut);
    let (writer, _) = opened_packing(&disk).finish().unwrap();
    writer.close().unwrap();
    assert!(unpacked(&disk, 1) == cut);
    assert_eq!(shown(&disk), records);
}

#[test]
fn a_reader_in_the_middle_of_a_segment_goes_on_while_it_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(DirStorage::new(dir.path()).unwrap(), ID, PACKED).unwrap();
    let records = fill(&mut writer, 1);
    let mut readers: Vec<_> = (0..3).map(|_| JournalReader::open_dir(dir.path()).unwrap()).collect();
    // One at its first record, one in the middle of the first segment, one at the end of everything.
    for (reader, n) in readers.iter_mut().zip([0, records.len() / 2, records.len()]) {
        for record in &records[..n] {
            assert_eq!(reader.next().unwrap().map(|r| Owned::of(&r)).as_ref(), Some(record));
        }
    }
    let more = fill(&mut writer, 4);
    while writer.compression().segments < 3 {
        assert!(writer.compression().trouble.is_none());
        std::thread::yield_now();
    }
    let all = [records.clone(), more].concat();
    for (reader, n) in readers.iter_mut().zip([0, records.len() / 2, records.len()]) {
        for record in &all[n..] {
            assert_eq!(reader.next().unwrap().map(|r| Owned::of(&r)).as_ref(), Some(record));
        }
        assert!(reader.next().unwrap().is_none());
    }
    for lsn in [1, 2, all.len() as u64 / 3, all.len() as u64] {
        readers[0].seek(lsn).unwrap();
        assert_eq!(readers[0].next().unwrap().map(|r| r.lsn), Some(lsn));
    }
    writer.close().unwrap();
    assert!(verify_dir(dir.path(), |_| ()).unwrap().findings.is_empty());
}

/// A writer that goes away does not wait for what is under way, and nothing of it stays.
#[test]
fn what_is_under_way_is_given_up_with_its_writer() {
    for rotations in 3..9 {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = create(DirStorage::new(dir.path()).unwrap(), ID, PACKED).unwrap();
        let records = fill(&mut writer, rotations);
        drop(writer);
        let listed: Vec<String> =
            DirReader::new(dir.path()).unwrap().list().unwrap().into_iter().map(|e| e.name).collect();
        assert!(!listed.contains(&"pack.tmp".to_owned()), "{listed:?}");
        let mut opening = open(DirStorage::new(dir.path()).unwrap(), EXPECT, PACKED).unwrap();
        let mut kept = Vec::new();
        opening
            .records(1, |record| {
                kept.push(Owned::of(&record));
                ControlFlow::<()>::Continue(())
            })
            .unwrap();
        assert_eq!(kept, records);
    }
}

/// A directory that is listed while a file in it changes its name: neither name is seen.
struct Racing {
    read: MemReader,
    hidden: u64,
}

impl StorageRead for Racing {
    type Source = MemSource;

    fn list(&self) -> std::io::Result<Vec<Entry>> {
        let mut entries = self.read.list()?;
        entries.retain(|entry| !entry.name.starts_with(&format!("{:010}", self.hidden)));
        Ok(entries)
    }

    fn open(&self, name: &str) -> std::io::Result<MemSource> {
        self.read.open(name)
    }

    fn live(&self) -> std::io::Result<Option<Live>> {
        self.read.live()
    }

    fn writer_is_alive(&self) -> std::io::Result<bool> {
        self.read.writer_is_alive()
    }
}

#[test]
fn a_segment_that_a_listing_missed_is_not_missing() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, PACKED).unwrap();
    let records = fill(&mut writer, 5);
    for hidden in 1..=4 {
        let racing = || Racing { read: writer.reader(), hidden };
        let report = verify(&racing(), |_| ()).unwrap();
        assert_eq!((report.findings.len(), report.records), (0, records.len() as u64), "{hidden}");
        let mut reader = JournalReader::open(racing()).unwrap();
        for record in &records {
            assert_eq!(reader.next().unwrap().map(|r| Owned::of(&r)).as_ref(), Some(record));
        }
    }
}

#[test]
fn what_a_checkpoint_covers_is_checked_in_compressed_segments_too() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, PACKED).unwrap();
    let mut records = fill(&mut writer, 4);
    let lsn = writer.durable_lsn();
    writer.checkpoint(lsn, [1; 32], b"state").unwrap();
    records.extend(append(&mut writer, 3, 5).unwrap());
    writer.close().unwrap();
    let bytes = disk.file(&packed_name(2)).unwrap();
    disk.patch(&packed_name(2), bytes.len() as u64 / 2, &[0x55; 9]);
    let mut opening = open(disk.clone(), EXPECT, PACKED).unwrap();
    assert_eq!(opening.report().gap, None, "its header and its seal are blocks of their own, and whole");
    assert!(opening.report().records_verified < 100);
    assert_eq!(folded(&mut opening, lsn + 1).unwrap(), records[lsn as usize..]);
    let Err(OpenError::Damaged(damage)) = folded(&mut opening, 1) else { panic!("it never verifies") };
    assert_eq!((damage.file, damage.flaw), (packed_name(2), Flaw::Block));
    let check = opening.older(lsn);
    let (mut writer, _) = opening.finish().unwrap();
    let found = check.run().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].file.as_str(), found[0].through_lsn, found[0].flaw),
        ("0000000002.segz", lsn, Flaw::Block)
    );
    writer.declare(&found[0]).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.close().unwrap();
    assert_eq!(opened(&disk).unwrap().report().known_gaps.len(), 1);
}

/// One step of a random life of a journal.
#[derive(Clone, Debug)]
enum Step {
    Append(u64, usize),
    Sync,
    Checkpoint,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1u64..40, 0usize..1500).prop_map(|(count, size)| Step::Append(count, size)),
        3 => Just(Step::Sync),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
    ]
}

/// Lives it; answers what is read in the end, in every way there is to read.
fn live(steps: &[Step], config: Config) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, config).unwrap();
    for (n, step) in steps.iter().enumerate() {
        match step {
            Step::Append(count, size) => {
                let mut batch = batch_of(writer.next_lsn(), *count, n as u64);
                batch[0].payload.resize(*size, n as u8);
                writer.append(&new_records(&batch), Room::Normal).unwrap();
            }
            Step::Sync => drop(writer.sync().unwrap()),
            Step::Checkpoint => {
                let lsn = writer.sync().unwrap();
                if lsn > 0 {
                    writer.checkpoint(lsn, [lsn as u8; 32], &lsn.to_le_bytes()).unwrap();
                }
            }
            Step::Reopen => {
                writer.close().unwrap();
                writer = open(disk.clone(), EXPECT, config).unwrap().finish().unwrap().0;
            }
        }
    }
    writer.close().unwrap();
    let shown = shown(&disk);
    assert!(verify(&Storage::reader(&disk), |_| ()).unwrap().findings.is_empty());
    let mut opening = open(disk.clone(), EXPECT, SMALL).unwrap();
    assert!(opening.report().notes.is_empty() && opening.report().gap.is_none());
    assert_eq!(folded(&mut opening, 1).unwrap(), shown);
    drop(opening);
    (disk, shown)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_are_the_same_with_it_and_without(
        steps in proptest::collection::vec(step(), 1..80),
        segment_pages in prop_oneof![Just(16u64), 16u64..64],
    ) {
        let segment_bytes = segment_pages * 4096;
        let (plain_disk, plain) = live(&steps, Config { segment_bytes, ..SMALL });
        let (packed_disk, packed) = live(&steps, Config { segment_bytes, ..PACKED });
        prop_assert!(plain == packed);
        let newest = names(&plain_disk).len() as u64;
        let expected: Vec<String> =
            (1..=newest).map(|n| if n + 2 <= newest { packed_name(n) } else { segment_name(n) }).collect();
        prop_assert_eq!(names(&packed_disk), expected);
        for number in 1..newest.saturating_sub(1) {
            // But for the version in the header, and what follows from it, the bytes are the same.
            let (ours, theirs) = (unpacked(&packed_disk, number), plain_disk.file(&segment_name(number)).unwrap());
            prop_assert_eq!(&ours[4096..ours.len() - 72], &theirs[4096..theirs.len() - 72]);
        }
    }
}
