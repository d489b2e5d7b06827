//! Damage of every kind to a specimen: it is classified, nothing panics, and no record that did not verify is
//! ever shown.
//!
//! Two specimens are hurt: one whose process was killed after its last sync, and one that stopped cleanly, so
//! that a mark speaks for its last batch.

use super::*;
use crate::{Flaw, Note, Proof, Row, verify};
use proptest::prelude::*;

const SEGMENT: &str = "0000000001.seg";

/// What one damaged copy is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// Nothing is lost, nothing is noted: the damage hit bytes that carry nothing.
    Harmless,
    /// Nothing is lost and the damage is reported.
    Noted,
    /// The end was cut, as after a crash.
    Torn,
    /// Row E.
    Rot,
    /// Opening was refused with a reason.
    Refused,
}

/// Opens a damaged copy and checks all that must hold whatever was damaged.
fn classify(disk: &MemStorage, original: &[Owned], acked: usize) -> Class {
    classify_and(disk, original, acked, true)
}

/// As `classify`; `go_on` says whether the recovered journal is also written and opened again.
fn classify_and(disk: &MemStorage, original: &[Owned], acked: usize, go_on: bool) -> Class {
    let recovered = if go_on {
        recover_damaged(disk, original)
    } else {
        recover(disk).map(|(_, records, report)| {
            assert!(records == original[..records.len()], "what is folded is a prefix");
            report
        })
    };
    let report = match recovered {
        Ok(report) => report,
        Err(_) => return Class::Refused,
    };
    let kept = report.last_lsn as usize;
    match report.row {
        Row::E => {
            let gap = report.gap.expect("row E names its gap");
            assert!(gap.first_lsn as usize == kept + 1, "{gap:?}");
            assert!(report.next_lsn > gap.last_lsn, "no lost LSN is given again");
            Class::Rot
        }
        Row::C | Row::D => {
            assert!(kept < acked || report.cut.is_some());
            Class::Torn
        }
        Row::B if kept < acked => Class::Torn,
        Row::B if report.notes.is_empty() => Class::Harmless,
        Row::B => Class::Noted,
        Row::A | Row::H | Row::J => panic!("not a row for a whole journal: {:?}", report.row),
    }
}

fn recover_damaged(disk: &MemStorage, original: &[Owned]) -> Result<RecoveryReport, OpenError> {
    // Readers first: they must not change a byte, and show only what verified.
    if let Ok((shown, _)) = read_all(crate::Storage::reader(disk)) {
        for (record, _) in &shown {
            assert_eq!(
                Some(record),
                original.get(record.lsn as usize - 1),
                "a record that was never written"
            );
        }
    }
    let (mut writer, records, report) = recover(disk)?;
    assert_eq!(records, original[..records.len()], "what is folded is a prefix");
    // The journal goes on, and what is appended now survives the next opening.
    let next = append(&mut writer, 1, 99).expect("room");
    assert_eq!(next[0].lsn, report.next_lsn);
    writer.sync().expect("a good disk");
    drop(writer);
    let (_, again, second) = recover(disk)?;
    let (before, last) = again.split_at(records.len());
    assert_eq!(before, records, "opening twice finds the same");
    assert_eq!(last, next);
    assert!(second.gap.is_none(), "a declared gap is not found again: {second:?}");
    Ok(report)
}

fn damaged(disk: &MemStorage, change: impl FnOnce(&mut Vec<u8>)) -> MemStorage {
    let copy = disk.fork();
    let mut bytes = copy.file(SEGMENT).expect("the specimen's segment");
    change(&mut bytes);
    copy.set_file(SEGMENT, &bytes);
    copy
}

/// Offsets of all records of the first segment, and of their end.
fn offsets(disk: &MemStorage) -> Vec<u64> {
    let (mut reader, mut out) = (JournalReader::open(crate::Storage::reader(disk)).unwrap(), Vec::new());
    while let Some(record) = reader.next().unwrap() {
        out.push(record.offset);
    }
    let bytes = disk.file(SEGMENT).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap() as u64 + 1;
    out.push(end.next_multiple_of(8));
    out
}

/// A specimen of more than fifty records, and one like it that was stopped cleanly.
fn specimens() -> (MemStorage, MemStorage, Vec<Owned>) {
    let (killed, records) = specimen(22);
    assert!(records.len() >= 50, "{}", records.len());
    let stopped = MemStorage::new();
    let mut writer = create(stopped.clone(), ID, SMALL).unwrap();
    for n in 0..22 {
        append(&mut writer, 1 + n % 4, 7).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    (killed, stopped, records)
}

/// Flips every bit of header, marks and records, and every bit of a sample of the reserved bytes.
fn flip_every_bit(disk: &MemStorage, records: &[Owned], last_batch_is_proven: bool) {
    let offsets = offsets(disk);
    let end = *offsets.last().unwrap() as usize;
    let last_batch = {
        let last = records.iter().rposition(|r| r.batch_end && r.lsn < records.len() as u64).unwrap();
        offsets[last + 1] as usize
    };
    let places = (0..240).chain((240..3072).step_by(97)).chain(3072..3100).chain(3584..3612);
    let mut rot = 0;
    for byte in places.chain(4096..end) {
        for bit in 0..8 {
            let copy = damaged(disk, |bytes| bytes[byte] ^= 1 << bit);
            // Going on after the damage is the same for all bits of a byte.
            let class = classify_and(&copy, records, records.len(), bit == byte % 8);
            let allowed: &[Class] = match byte {
                3072..3096 | 3584..3608 => &[Class::Noted, Class::Harmless],
                0..4096 => &[Class::Noted],
                _ if byte >= last_batch && !last_batch_is_proven => &[Class::Torn],
                _ => &[Class::Rot],
            };
            assert!(allowed.contains(&class), "byte {byte} bit {bit}: {class:?}");
            rot += u64::from(class == Class::Rot);
        }
    }
    assert!(rot > 30_000, "{rot} flips were told to be rot");
}

#[test]
fn every_single_bit_flip_after_a_kill_is_classified() {
    let (killed, _, records) = specimens();
    flip_every_bit(&killed, &records, false);
}

#[test]
fn every_single_bit_flip_after_a_clean_stop_is_classified() {
    let (_, stopped, records) = specimens();
    flip_every_bit(&stopped, &records, true);
}

#[test]
fn every_truncation_is_classified() {
    let (killed, stopped, records) = specimens();
    let offsets = offsets(&killed);
    let end = *offsets.last().unwrap() as usize;
    for length in (0..end + 64).chain([20_000, 65_535]) {
        let copy = damaged(&killed, |bytes| bytes.truncate(length));
        let class = classify(&copy, &records, records.len());
        // A file that is cut where a later record said nothing looks like one that was never written.
        let expected: &[Class] = match length {
            0..=4096 => &[Class::Noted, Class::Rot, Class::Torn],
            _ if length < end => &[Class::Torn],
            _ => &[Class::Harmless],
        };
        assert!(expected.contains(&class), "cut to {length} of {end}: {class:?}");
        let copy = damaged(&stopped, |bytes| bytes.truncate(length));
        let class = classify(&copy, &records, records.len());
        if length >= 4096 && length < end {
            assert_eq!(class, Class::Rot, "the mark proves that more was durable; cut to {length}");
        }
    }
}

#[test]
fn every_zeroed_sector_and_page_is_classified() {
    let (killed, stopped, records) = specimens();
    let offsets = offsets(&killed);
    let end = *offsets.last().unwrap() as usize;
    for size in [512, 4096] {
        for start in (4096..end).step_by(size) {
            let zero = |bytes: &mut Vec<u8>| bytes[start..(start + size).min(65_536)].fill(0);
            let class = classify(&damaged(&stopped, zero), &records, records.len());
            assert_eq!(class, Class::Rot, "{size} bytes at {start}");
            let class = classify(&damaged(&killed, zero), &records, records.len());
            // Only when nothing at all is left behind the hole is there nobody to say that it was durable.
            let whole_batch_behind = records.iter().zip(&offsets).any(|(r, offset)| {
                r.batch_end && r.lsn != records.len() as u64 && *offset as usize >= start + size
            });
            if whole_batch_behind {
                assert_eq!(class, Class::Rot, "{size} bytes at {start}");
            } else {
                assert!(matches!(class, Class::Torn | Class::Rot), "{size} bytes at {start}: {class:?}");
            }
        }
    }
}

#[test]
fn swapped_repeated_and_missing_records_are_seen() {
    let (_, stopped, records) = specimens();
    let offsets = offsets(&stopped);
    let frame = |n: usize| offsets[n] as usize..offsets[n + 1] as usize;
    for n in 0..records.len() - 1 {
        // Missing: everything behind moves up.
        let missing = damaged(&stopped, |bytes| {
            let range = frame(n);
            bytes.copy_within(range.end.., range.start);
        });
        assert_eq!(classify(&missing, &records, records.len()), Class::Rot, "record {n} missing");
        // Repeated: a second copy behind the first.
        let repeated = damaged(&stopped, |bytes| {
            let range = frame(n);
            let length = range.len();
            let tail = bytes[range.start..bytes.len() - length].to_vec();
            bytes[range.start + length..].copy_from_slice(&tail);
        });
        assert_eq!(classify(&repeated, &records, records.len()), Class::Rot, "record {n} repeated");
        // Swapped with its neighbour.
        let swapped = damaged(&stopped, |bytes| {
            let (a, b) = (bytes[frame(n)].to_vec(), bytes[frame(n + 1)].to_vec());
            let start = frame(n).start;
            bytes[start..start + b.len()].copy_from_slice(&b);
            bytes[start + b.len()..start + b.len() + a.len()].copy_from_slice(&a);
        });
        assert_eq!(classify(&swapped, &records, records.len()), Class::Rot, "records {n} and its neighbour");
    }
}

#[test]
fn records_of_another_epoch_or_journal_never_verify() {
    let (killed, records) = specimen(10);
    let other = MemStorage::new();
    let foreign = crate::Identity { journal_id: *b"another--journal", ..ID };
    let mut writer = create(other.clone(), foreign, SMALL).unwrap();
    for n in 0..10 {
        append(&mut writer, 1 + n % 4, 7).unwrap();
        writer.sync().unwrap();
    }
    drop(writer);
    let theirs = other.file(SEGMENT).unwrap();
    let end = *offsets(&killed).last().unwrap() as usize;
    // The same records, byte for byte the same payloads, in a segment that is not theirs.
    let copy = damaged(&killed, |bytes| bytes[4096..end].copy_from_slice(&theirs[4096..end]));
    let report = recover(&copy).unwrap().2;
    assert_eq!(report.last_lsn, 0, "only the header is ours: {report:?}");
    let _ = records;
}

/// A journal of several finished segments and the records in it.
fn long(checkpoint_at: Option<u64>) -> (MemStorage, Vec<Owned>) {
    long_with(checkpoint_at, SMALL)
}

fn long_with(checkpoint_at: Option<u64>, config: crate::Config) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, config).unwrap();
    let mut records = Vec::new();
    while writer.stats().rotations < 4 {
        let batch = append(&mut writer, 1 + records.len() as u64 % 4, 11).unwrap();
        records.extend(batch);
        if records.len() % 8 == 0 {
            writer.sync().unwrap();
        }
        if checkpoint_at.is_some_and(|at| writer.appended_lsn() >= at && writer.durable_lsn() < at) {
            writer.sync().unwrap();
            let lsn = writer.durable_lsn();
            writer.checkpoint(lsn, [1; 32], b"state").unwrap();
        }
    }
    append(&mut writer, 3, 11).map(|batch| records.extend(batch)).unwrap();
    writer.close().unwrap();
    (disk, records)
}

fn name(number: u64) -> String {
    format!("{number:010}.seg")
}

#[test]
fn a_missing_short_swapped_or_stale_segment_is_rot() {
    let (disk, records) = long(None);
    let whole = recover(&disk.fork()).unwrap().2;
    assert_eq!((whole.row, whole.last_lsn), (Row::B, records.len() as u64));
    type Hurt = Box<dyn Fn(&MemStorage)>;
    let hurts: Vec<(&str, Hurt)> = vec![
        ("first missing", Box::new(|d| d.remove_file(&name(1)))),
        ("missing", Box::new(|d| d.remove_file(&name(3)))),
        ("two missing", Box::new(|d| (2..4).for_each(|n| d.remove_file(&name(n))))),
        (
            "short",
            Box::new(|d| {
                let mut bytes = d.file(&name(2)).unwrap();
                bytes.truncate(bytes.len() / 2);
                d.set_file(&name(2), &bytes);
            }),
        ),
        ("empty", Box::new(|d| d.set_file(&name(2), &[]))),
        (
            "swapped",
            Box::new(|d| {
                let (a, b) = (d.file(&name(2)).unwrap(), d.file(&name(3)).unwrap());
                d.set_file(&name(2), &b);
                d.set_file(&name(3), &a);
            }),
        ),
        (
            "doubled",
            Box::new(|d| {
                let a = d.file(&name(2)).unwrap();
                d.set_file(&name(3), &a);
            }),
        ),
        ("unreadable", Box::new(|d| d.read_error(&name(2), 5))),
        ("payload", Box::new(|d| d.patch(&name(2), 20_000, &[0xaa; 64]))),
    ];
    for (what, hurt) in hurts {
        let copy = disk.fork();
        hurt(&copy);
        let (shown, damages) = read_all(crate::Storage::reader(&copy)).unwrap();
        assert!(!damages.is_empty(), "{what}: a reader says so");
        for (record, _) in &shown {
            assert_eq!(record, &records[record.lsn as usize - 1], "{what}");
        }
        let behind = shown.iter().filter(|(_, after_gap)| *after_gap).count();
        assert!(behind > 0, "{what}: what is intact behind is shown and marked");
        let findings = verify(&crate::Storage::reader(&copy), |_| ()).unwrap().findings;
        assert!(!findings.is_empty(), "{what}: verify says so");
        let report = recover_damaged(&copy, &records).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(report.row, Row::E, "{what}");
        let gap = report.gap.unwrap();
        assert_eq!(gap.last_lsn, records.len() as u64, "{what}");
        assert!(gap.intact_behind > 0, "{what}: {gap:?}");
    }
}

#[test]
fn damage_to_a_seal_loses_nothing() {
    let (disk, records) = long(None);
    let bytes = disk.file(&name(2)).unwrap();
    let at = bytes.len() as u64 - 72;
    for byte in 0..72 {
        let copy = disk.fork();
        copy.patch(&name(2), at + byte, &[bytes[(at + byte) as usize] ^ 0x10]);
        let (_, kept, report) = recover(&copy).unwrap();
        assert!(kept == records, "byte {byte}");
        assert!(report.notes.iter().any(|n| matches!(n, Note::SealDamaged { .. })), "byte {byte}");
        assert_eq!(report.gap, None, "byte {byte}");
    }
}

#[test]
fn rot_before_a_checkpoint_leaves_the_state_whole() {
    let (disk, records) = long(Some(900));
    let lsn = opened(&disk.fork()).unwrap().checkpoints()[0].lsn;
    assert!(lsn >= 900);
    // Rot in the header of the first segment's successor, far before the checkpoint.
    let copy = disk.fork();
    copy.patch(&name(1), 9_000, &[0x55; 900]);
    let mut bytes = copy.file(&name(1)).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1; // and the seal, so that opening has to look inside
    copy.set_file(&name(1), &bytes);

    let mut opening = opened(&copy).unwrap();
    let gap = opening.report().gap.clone().expect("rot is found");
    assert_eq!(gap.through_lsn, lsn, "{gap:?}");
    assert_eq!(opening.last_lsn(), records.len() as u64);
    assert!(matches!(folded(&mut opening, 1), Err(OpenError::NeedsCheckpoint { lsn: at, .. }) if at == lsn));
    assert_eq!(folded(&mut opening, lsn + 1).unwrap(), records[lsn as usize..]);
    let (mut writer, _) = opening.finish().unwrap();
    append(&mut writer, 1, 3).unwrap();
    // The checkpoint the gap depends on outlives newer ones.
    for _ in 0..4 {
        append(&mut writer, 1, 3).unwrap();
        let at = writer.sync().unwrap();
        writer.checkpoint(at, [2; 32], b"later").unwrap();
    }
    writer.close().unwrap();
    let second = opened(&copy.kill()).unwrap();
    assert_eq!(second.report().gap, None, "declared and not found again");
    assert!(second.checkpoints().iter().any(|c| c.lsn == lsn));
    drop(second);

    // Without any checkpoint the truth is a longer gap, said aloud, and never a state with a hole in it.
    for file in copy.names().into_iter().filter(|n| n.ends_with(".ckpt")) {
        copy.remove_file(&file);
    }
    let mut opening = opened(&copy.kill()).unwrap();
    let gap = opening.report().gap.clone().expect("rot is found again");
    let kept = folded(&mut opening, 1).unwrap();
    assert_eq!(kept.len() as u64, gap.first_lsn - 1);
    assert_eq!(kept, records[..kept.len()]);
}

#[test]
fn rot_that_opening_did_not_look_at_is_found_in_the_background() {
    let (disk, records) = long(Some(1_500));
    disk.patch(&name(1), 9_000, &[0x55; 300]);
    let mut opening = opened(&disk).unwrap();
    let lsn = opening.checkpoints()[0].lsn;
    assert_eq!(opening.report().gap, None, "headers and seals are whole");
    assert_eq!(folded(&mut opening, lsn + 1).unwrap(), records[lsn as usize..]);
    assert!(matches!(folded(&mut opening, 1), Err(OpenError::Damaged(_))), "but it never verifies");
    let check = opening.older(lsn);
    let (mut writer, _) = opening.finish().unwrap();
    let found = std::thread::spawn(move || check.run()).join().unwrap().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].segment, found[0].through_lsn), (1, lsn));
    append(&mut writer, 1, 1).unwrap();
    writer.declare(&found[0]).unwrap();
    let rotations = writer.stats().rotations;
    writer.declare(&found[0]).unwrap();
    assert_eq!(writer.stats().rotations, rotations, "once is enough");
    append(&mut writer, 1, 1).unwrap();
    writer.close().unwrap();
    let opening = opened(&disk.kill()).unwrap();
    assert_eq!(opening.report().known_gaps.len(), 1);
    let check = opening.older(lsn);
    assert_eq!(check.run().unwrap(), [], "it is declared now");
}

/// Opening believes what lies before the checkpoint in its own segment, too; even in the newest one.
#[test]
fn rot_before_a_checkpoint_in_the_newest_segment_is_found_in_the_background() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut records = Vec::new();
    for n in 0..60 {
        records.extend(append(&mut writer, 1 + n % 3, 4).unwrap());
        writer.sync().unwrap();
        if n == 40 {
            writer.checkpoint(writer.durable_lsn(), [1; 32], b"state").unwrap();
        }
    }
    drop(writer);
    let whole = opened(&disk.fork()).unwrap();
    let lsn = whole.checkpoints()[0].lsn;
    assert!(whole.report().records_verified < records.len() as u64 / 2, "the checkpoint's place was used");
    disk.patch(SEGMENT, 4096 + 700, &[0x55; 90]);
    let mut opening = opened(&disk).unwrap();
    assert_eq!((opening.report().gap.clone(), opening.last_lsn()), (None, records.len() as u64));
    assert_eq!(folded(&mut opening, lsn + 1).unwrap(), records[lsn as usize..]);
    assert!(matches!(folded(&mut opening, 1), Err(OpenError::Damaged(_))), "but it never verifies");
    let check = opening.older(lsn);
    let (mut writer, _) = opening.finish().unwrap();
    let found = check.run().unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].segment, found[0].through_lsn), (1, lsn));
    writer.declare(&found[0]).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.close().unwrap();
    let opening = opened(&disk).unwrap();
    assert_eq!(opening.report().known_gaps.len(), 1);
    assert_eq!(opening.older(lsn).run().unwrap(), [], "it is declared now");
}

/// The place only saves time: when no whole batch stands there, all of the segment is read and judged as ever.
#[test]
fn a_checkpoints_place_that_is_damaged_itself_is_not_believed() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut at = 0;
    for n in 0..60 {
        if n == 40 {
            at = 4096 + writer.stats().bytes;
        }
        append(&mut writer, 1 + n % 3, 4).unwrap();
        writer.sync().unwrap();
        if n == 40 {
            writer.checkpoint(writer.durable_lsn(), [1; 32], b"state").unwrap();
        }
    }
    drop(writer);
    disk.patch(SEGMENT, at + 20, &[0x55; 4]);
    let report = opened(&disk).unwrap().report().clone();
    let gap = report.gap.expect("row E");
    assert_eq!((gap.offset, gap.through_lsn), (at, report.checkpoint_lsn));
}

#[test]
fn a_damaged_checkpoint_means_a_longer_replay() {
    let (disk, records) = long(Some(400));
    let file = disk.names().into_iter().find(|n| n.ends_with(".ckpt")).unwrap();
    let bytes = disk.file(&file).unwrap();
    for (byte, value) in bytes.iter().enumerate() {
        let copy = disk.fork();
        copy.patch(&file, byte as u64, &[value ^ 4]);
        let mut opening = opened(&copy).unwrap();
        assert!(opening.checkpoints().is_empty(), "byte {byte}");
        assert!(opening.report().notes.contains(&Note::CheckpointDamaged { file: file.clone() }));
        if byte % 29 == 0 {
            assert!(folded(&mut opening, 1).unwrap() == records, "byte {byte}");
        }
    }
}

#[test]
fn an_unreadable_page_is_an_error_with_a_place_and_never_a_torn_tail() {
    let (killed, records) = specimen(120);
    let offsets = offsets(&killed);
    let pages = offsets.last().unwrap() / 4096;
    assert!(pages >= 3);
    for page in 1..=pages {
        let copy = killed.fork();
        copy.read_error(SEGMENT, page);
        let (_, kept, report) = recover(&copy).unwrap();
        let gap = report.gap.expect("row E");
        assert_eq!((gap.flaw, gap.proof), (Flaw::Unreadable, Proof::DeviceError), "page {page}: {gap:?}");
        assert_eq!(kept, records[..kept.len()]);
    }
    // The header page too: its content follows from the caller's word, and the records verify.
    let copy = killed.fork();
    copy.read_error(SEGMENT, 0);
    let (_, kept, _) = recover(&copy).unwrap();
    assert_eq!(kept, records);
}

/// One thing that may happen to a file at rest.
#[derive(Clone, Debug)]
enum Hurt {
    Flip(u64, u8),
    Zero(u64, u64),
    Scribble(u64, u64),
    Truncate(u64),
    Remove,
    CopyOver(u64),
    Unreadable(u64),
}

fn hurt() -> impl Strategy<Value = Hurt> {
    prop_oneof![
        4 => (any::<u64>(), 0u8..8).prop_map(|(at, bit)| Hurt::Flip(at, bit)),
        3 => (any::<u64>(), 1u64..5000).prop_map(|(at, n)| Hurt::Zero(at, n)),
        3 => (any::<u64>(), 1u64..5000).prop_map(|(at, n)| Hurt::Scribble(at, n)),
        2 => any::<u64>().prop_map(Hurt::Truncate),
        1 => Just(Hurt::Remove),
        1 => (1u64..6).prop_map(Hurt::CopyOver),
        1 => any::<u64>().prop_map(Hurt::Unreadable),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(240))]

    /// Whatever happens to whatever files: nothing panics, nothing hangs, nothing unverified is shown, and
    /// what was found once is not found anew.
    #[test]
    fn any_damage_leaves_only_what_verifies(
        checkpointed: bool,
        packed: bool,
        hurts in proptest::collection::vec((0usize..7, hurt()), 1..5),
    ) {
        static SPECIMENS: std::sync::OnceLock<Vec<(MemStorage, Vec<Owned>)>> = std::sync::OnceLock::new();
        let specimens = SPECIMENS.get_or_init(|| {
            let of = |config| [None, Some(1_100)].map(|at| long_with(at, config));
            [of(SMALL), of(PACKED)].concat()
        });
        let (disk, records) = &specimens[usize::from(checkpointed) + 2 * usize::from(packed)];
        let disk = disk.fork();
        for (file, hurt) in hurts {
            let names = disk.names();
            let Some(file) = names.get(file % names.len().max(1)).cloned() else { continue };
            let mut bytes = disk.file(&file).unwrap();
            let length = bytes.len().max(1) as u64;
            let range = |at: u64, n: u64| (at % length) as usize..((at % length + n).min(length)) as usize;
            match hurt {
                _ if bytes.is_empty() => {}
                Hurt::Flip(at, bit) => bytes[(at % length) as usize] ^= 1 << bit,
                Hurt::Zero(at, n) => bytes[range(at, n)].fill(0),
                Hurt::Scribble(at, n) => {
                    bytes[range(at, n)].iter_mut().enumerate().for_each(|(i, b)| *b = (at as u8) ^ ((i as u8).wrapping_mul(7)));
                }
                Hurt::Truncate(at) => bytes.truncate((at % length) as usize),
                Hurt::Remove => {
                    disk.remove_file(&file);
                    continue;
                }
                Hurt::CopyOver(number) => {
                    if let Some(other) = disk.file(&name(number)) {
                        bytes = other;
                    }
                }
                Hurt::Unreadable(at) => {
                    disk.read_error(&file, at % length / 4096);
                    continue;
                }
            }
            disk.set_file(&file, &bytes);
        }
        if let Ok((shown, _)) = read_all(crate::Storage::reader(&disk)) {
            for (record, _) in &shown {
                prop_assert_eq!(Some(record), records.get(record.lsn as usize - 1));
            }
        }
        let _ = verify(&crate::Storage::reader(&disk), |_| ());
        let Ok(mut opening) = opened(&disk) else { return Ok(()) };
        let lsn = opening.checkpoints().first().map_or(0, |c| c.lsn);
        let kept = folded(&mut opening, lsn + 1);
        let Ok(kept) = kept else { panic!("opening verified it: {:?}", kept.err()) };
        prop_assert!(kept == records[lsn as usize..lsn as usize + kept.len()], "a prefix from the checkpoint on");
        let next_lsn = opening.report().next_lsn;
        let gap = opening.report().gap.clone();
        prop_assert!(gap.is_none_or(|gap| gap.last_lsn < next_lsn));
        let (mut writer, _) = opening.finish().unwrap();
        let ours = append(&mut writer, 2, 5).unwrap();
        prop_assert_eq!(ours[0].lsn, next_lsn);
        writer.close().unwrap();
        let mut again = opened(&disk).unwrap();
        prop_assert!(again.report().gap.is_none(), "declared once: {:?}", again.report());
        let second = folded(&mut again, lsn + 1).unwrap();
        prop_assert!(second[..kept.len()] == kept[..] && second[kept.len()..] == ours[..]);
    }
}

/// A journal whose first segment is compressed, with four blocks of records in it, and the segment's own name.
fn compressed() -> (MemStorage, Vec<Owned>, String) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, PACKED).unwrap();
    let mut records = Vec::new();
    for n in 0..40 {
        let mut batch = batch_of(writer.next_lsn(), 1 + n % 4, 7);
        // Long records in few bytes, so that every bit of the file can be tried.
        batch.iter_mut().for_each(|record| record.payload = vec![n as u8; 120]);
        writer.append(&new_records(&batch), Room::Normal).unwrap();
        writer.sync().unwrap();
        records.extend(batch);
    }
    writer.close().unwrap();
    for _ in 0..2 {
        let (mut writer, _, _) = recover_with(&disk, PACKED).unwrap();
        records.extend(append(&mut writer, 2, 7).unwrap());
        writer.close().unwrap();
    }
    let file = crate::segment::packed_name(1);
    assert!(disk.file(&file).is_some() && disk.file(SEGMENT).is_none(), "{:?}", disk.names());
    (disk, records, file)
}

/// Bytes before and behind the blocks, each block's offsets in the file, and where what is in it begins in the segment.
type Divided = (usize, Vec<std::ops::Range<usize>>, Vec<u64>);

/// How a compressed file is divided, taken from its bytes as the document describes them.
fn divided(bytes: &[u8]) -> Divided {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let count = word(12) as usize;
    let list = 32 + 16 * count;
    let (mut at, mut raw) = (list, 0);
    let (mut blocks, mut starts) = (Vec::new(), Vec::new());
    for n in 0..count {
        let stored = word(32 + 16 * n + 4) as usize;
        blocks.push(at..at + stored);
        starts.push(raw);
        at += stored;
        raw += u64::from(word(32 + 16 * n));
    }
    assert_eq!(at + list, bytes.len());
    (list, blocks, starts)
}

/// What must be found when these blocks of a compressed segment are lost: the class, and for rot how it is told.
fn check_lost(
    copy: &MemStorage,
    records: &[Owned],
    starts: &[u64],
    lost: &[usize],
    go_on: bool,
    context: &str,
) {
    let class = classify_and(&copy.fork(), records, records.len(), false);
    let of_records = lost.iter().filter(|n| **n != 0 && **n + 1 != starts.len()).copied().min();
    let Some(first) = of_records else {
        assert_eq!(class, Class::Noted, "{context}");
        return;
    };
    assert_eq!(class, Class::Rot, "{context}");
    if !go_on {
        return;
    }
    let gap = opened(copy).unwrap().report().gap.clone().unwrap();
    // Without its header and its first records, nothing says whose the others are.
    let nameless = lost.starts_with(&[0, 1]);
    let flaw = if nameless { Flaw::Checksum } else { Flaw::Block };
    assert_eq!((gap.file.as_str(), gap.flaw, gap.segment), ("0000000001.segz", flaw, 1), "{context}");
    let place = if nameless { 0..1 } else { starts[first] - 2000..starts[first + 1] };
    assert!(place.contains(&gap.offset), "{context}: {gap:?}");
    let (shown, damages) = read_all(crate::Storage::reader(copy)).unwrap();
    assert!(!damages.is_empty() && damages[0].file == gap.file, "{context}: {damages:?}");
    assert_eq!((damages[0].offset, damages[0].lsn), (gap.offset, gap.first_lsn), "{context}");
    for (record, after_gap) in &shown {
        assert_eq!(record, &records[record.lsn as usize - 1], "{context}");
        assert_eq!(*after_gap, record.lsn >= gap.first_lsn, "{context}");
    }
    // Only what touches a lost block is missing.
    let whole = records.len() - shown.len();
    assert!(whole <= lost.len() * 4096 / 60, "{context}: {whole} records are missing");
    let findings = verify(&crate::Storage::reader(copy), |_| ()).unwrap().findings;
    assert!(findings.iter().any(|f| f.to_string().contains("0000000001.segz")), "{context}: {findings:?}");
}

#[test]
fn every_single_bit_flip_of_a_compressed_segment_is_classified() {
    let (disk, records, file) = compressed();
    let whole = disk.file(&file).unwrap();
    let (list, blocks, starts) = divided(&whole);
    assert!(blocks.len() >= 6, "{}", blocks.len());
    for bit in 0..whole.len() * 8 {
        let byte = bit / 8;
        let copy = disk.fork();
        let mut bytes = whole.clone();
        bytes[byte] ^= 1 << (bit % 8);
        copy.set_file(&file, &bytes);
        let hit = blocks.iter().position(|block| block.contains(&byte));
        assert_eq!(hit.is_none(), byte < list || byte >= whole.len() - list);
        let lost: Vec<usize> = hit.into_iter().collect();
        // What is told of a flip is the same for all bits of a block.
        let go_on = bit % 8 == byte % 8 && byte % 8 == 0;
        check_lost(&copy, &records, &starts, &lost, go_on, &format!("byte {byte} bit {}", bit % 8));
    }
}

#[test]
fn every_truncation_of_a_compressed_segment_is_classified() {
    let (disk, records, file) = compressed();
    let whole = disk.file(&file).unwrap();
    let (list, blocks, starts) = divided(&whole);
    for length in 0..whole.len() {
        let copy = disk.fork();
        copy.set_file(&file, &whole[..length]);
        if length < list {
            // Nothing says any more what is where: all of the segment is lost, and what is behind it is shown.
            let report = opened(&copy).unwrap().report().clone();
            let gap = report.gap.unwrap();
            assert_eq!((report.row, gap.first_lsn, gap.file), (Row::E, 1, file.clone()), "cut to {length}");
            let (shown, damages) = read_all(crate::Storage::reader(&copy)).unwrap();
            assert!(!damages.is_empty() && shown.iter().all(|(_, after_gap)| *after_gap), "cut to {length}");
            assert_eq!(shown.len(), 4, "cut to {length}");
            continue;
        }
        let lost: Vec<usize> = (0..blocks.len()).filter(|n| blocks[*n].end > length).collect();
        check_lost(&copy, &records, &starts, &lost, length % 8 == 0, &format!("cut to {length}"));
    }
}

#[test]
fn a_compressed_segment_of_a_newer_version_is_refused_by_name() {
    let (disk, _, file) = compressed();
    let mut bytes = disk.file(&file).unwrap();
    bytes[8] = 9;
    let crc = crate::layout::crc32(0, &bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    disk.set_file(&file, &bytes);
    let newer = |e: &OpenError| matches!(e, OpenError::Newer { file: named, what: crate::Newer::Format { version: 9 } } if *named == file);
    let refused = opened(&disk).unwrap_err();
    assert!(newer(&refused), "{refused}");
    let refused = verify(&crate::Storage::reader(&disk), |_| ()).unwrap_err();
    assert!(newer(&refused), "{refused}");
}

/// Both of the newest files are gone and a compressed one is the last: it was durable, and is judged as such.
#[test]
fn a_compressed_segment_is_never_a_torn_tail() {
    let (disk, records, file) = compressed();
    let last = disk.names().into_iter().filter(|n| n.ends_with(".seg")).collect::<Vec<_>>();
    last.iter().for_each(|name| disk.remove_file(name));
    let kept = records.len() - 4;
    let (_, whole, report) = recover(&disk.fork()).unwrap();
    assert_eq!((whole.len(), report.row), (kept, Row::B));
    let bytes = disk.file(&file).unwrap();
    let (_, blocks, _) = divided(&bytes);
    disk.patch(&file, blocks[blocks.len() - 2].start as u64 + 9, &[0x55; 4]);
    let before = disk.file(&file);
    let (writer, some, report) = recover(&disk).unwrap();
    assert!(some.len() < kept && report.row == Row::E, "{report:?}");
    assert!(report.next_lsn > kept as u64, "its seal says how many LSNs were given");
    writer.close().unwrap();
    assert_eq!(disk.file(&file), before);
}
