//! Backups of a journal that is written, kills and power cuts at every step, other histories, damage on either side.

use proptest::prelude::*;

use super::manifest::MANIFEST;
use super::*;
use crate::tests::*;
use crate::{
    Checkpoint, Fault, MemStorage, PowerCut, Room, Writer, checkpoints, create, heads, open, verify,
};

const SEGMENT: &str = "0000000001.seg";
pub(super) const HOW: How = How { now_ns: 1_000, full: false, as_it_is: false };
pub(super) const FULL: How = How { now_ns: 2_000, full: true, as_it_is: false };
const AS_IT_IS: How = How { as_it_is: true, ..HOW };

pub(super) fn back_up(disk: &MemStorage, target: &MemStorage, how: How) -> Result<Backed, BackupError> {
    backup(&disk.reader(), &mut target.clone(), &how, &mut |_| ())
}

pub(super) fn checked(target: &MemStorage) -> Result<Verified, BackupError> {
    verify_backup(&target.reader(), &mut |_| ())
}

pub(super) fn restored(target: &MemStorage) -> Result<MemStorage, BackupError> {
    let disk = MemStorage::new();
    restore(&target.reader(), &mut disk.clone(), &[], &mut |_| ()).map(|_| disk)
}

/// Appends synced batches, every third one large, until `segments` more segments were begun.
pub(super) fn grow(writer: &mut Writer<MemStorage>, segments: u64, told: &mut Vec<Owned>) {
    let until = writer.stats().rotations + segments;
    let mut n = 0;
    while writer.stats().rotations < until || n < 5 {
        let mut batch = batch_of(writer.next_lsn(), 1 + n % 3, 11);
        if n % 3 == 2 {
            batch.iter_mut().for_each(|record| record.payload.resize(9_000, n as u8));
        }
        writer.append(&new_records(&batch), Room::Normal).expect("room");
        writer.sync().expect("a good disk");
        told.extend(batch);
        n += 1;
    }
}

pub(super) fn mark_state(writer: &mut Writer<MemStorage>) {
    let lsn = writer.durable_lsn();
    writer.checkpoint(lsn, [3; 32], &lsn.to_le_bytes()).expect("a good disk");
}

/// A journal of some segments with checkpoints, and what is in it. Nobody writes it any more.
pub(super) fn grown(segments: u64, config: Config) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut told = Vec::new();
    let mut writer = create(disk.clone(), ID, config).expect("an empty disk");
    for _ in 0..segments {
        grow(&mut writer, 1, &mut told);
        mark_state(&mut writer);
    }
    grow(&mut writer, 0, &mut told);
    (disk, told)
}

/// Opens as an engine does: folded from the checkpoint on, with what is damaged before it declared.
pub(super) fn from_checkpoint(disk: &MemStorage) -> Writer<MemStorage> {
    let mut opening = opened(disk).unwrap();
    let lsn = opening.checkpoints()[0].lsn;
    folded(&mut opening, lsn + 1).unwrap();
    let check = opening.older(lsn);
    let (mut writer, _) = opening.finish().unwrap();
    append(&mut writer, 1, 1).unwrap();
    for found in check.run().unwrap() {
        writer.declare(&found).unwrap();
    }
    writer.sync().unwrap();
    writer
}

/// What a plain reader shows of a directory; nothing may be damaged.
pub(super) fn shown(disk: &MemStorage) -> Vec<Owned> {
    let report = verify(&disk.reader(), |_| ()).expect("a journal");
    let lost = report.findings.iter().filter(|finding| matches!(finding, crate::Finding::Rot(_)));
    assert_eq!(lost.collect::<Vec<_>>(), Vec::<&crate::Finding>::new(), "a backup is a whole journal");
    assert_eq!(report.torn_tail, None);
    let (records, damages) = read_all(disk.reader()).expect("a journal");
    assert_eq!(damages, vec![]);
    records.into_iter().map(|(record, _)| record).collect()
}

/// The backup is what its manifest says, reads as a journal, restores to exactly the manifest's records, and the result
/// opens for writing. Answers how many records.
pub(super) fn sound(target: &MemStorage, told: &[Owned]) -> usize {
    let manifest = checked(target).expect("a sound backup").manifest;
    let plain = shown(target);
    assert_eq!(plain, told[..plain.len()], "a prefix");
    let disk = restored(target).expect("a sound backup");
    let records = shown(&disk);
    assert_eq!(records.len() as u64, manifest.last_lsn());
    assert_eq!(records, told[..records.len()], "a prefix");
    assert!(plain.len() >= records.len(), "what an interrupted backup added is more and not less");
    let read = disk.reader();
    assert_eq!(heads(&read, &[], |_| ()).expect("a journal").last, manifest.head);
    let lsns: Vec<Lsn> = checkpoints(&read).expect("a journal").iter().map(|c: &Checkpoint| c.lsn).collect();
    assert_eq!(lsns, manifest.checkpoints.iter().map(|(lsn, _)| *lsn).collect::<Vec<_>>());
    let (writer, folded, report) = recover(&disk).expect("it opens for writing");
    assert_eq!((folded.len(), report.cut, report.gap), (records.len(), None, None));
    assert_eq!(writer.next_lsn(), manifest.last_lsn() + 1);
    records.len()
}

#[test]
fn beside_a_writer_it_holds_what_is_durable_and_grows_by_what_is_new() {
    for config in [SMALL, PACKED] {
        let (disk, target, mut told) = (MemStorage::new(), MemStorage::new(), Vec::new());
        let mut writer = create(disk.clone(), ID, config).unwrap();
        let empty = back_up(&disk, &target, HOW).unwrap();
        assert_eq!((empty.manifest.head, empty.manifest.last_lsn()), (None, 0));
        assert_eq!(sound(&target, &told), 0);
        let mut segments = 1;
        for round in 0..5 {
            grow(&mut writer, round, &mut told);
            mark_state(&mut writer);
            // What is appended and not synced is in no backup.
            let unsynced = append(&mut writer, 2, 5).unwrap();
            let done = back_up(&disk, &target, HOW).unwrap();
            assert_eq!(done.manifest.last_lsn(), told.len() as u64);
            assert_eq!(sound(&target, &told), told.len());
            assert_eq!(done.manifest.head, heads(&disk.reader(), &[], |_| ()).unwrap().last);
            let now = done.manifest.segments.len() as u64;
            assert_eq!(done.segments_copied, now - segments + 1, "the new ones and the open one");
            assert_eq!(done.segments_unchanged, segments - 1);
            segments = now;
            writer.sync().unwrap();
            told.extend(unsynced);
        }
        writer.close().unwrap();
        back_up(&disk, &target, HOW).unwrap();
        assert_eq!(sound(&target, &told), told.len());
        let full = back_up(&disk, &target, FULL).unwrap();
        assert_eq!((full.segments_reread, full.segments_copied), (segments - 1, 1));
        assert!(full.manifest.segments.values().all(|held| held.verified_ns == FULL.now_ns));
        // And after another process went on.
        let (mut writer, ..) = recover_with(&disk, config).unwrap();
        grow(&mut writer, 2, &mut told);
        let done = back_up(&disk, &target, HOW).unwrap();
        assert_eq!(done.mended, Vec::<u64>::new());
        assert_eq!(sound(&target, &told), told.len());
    }
}

#[test]
fn a_killed_journal_is_backed_up_to_where_a_recovery_would_keep_it() {
    let (disk, target, mut told) = (MemStorage::new(), MemStorage::new(), Vec::new());
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    grow(&mut writer, 1, &mut told);
    told.extend(append(&mut writer, 3, 5).unwrap());
    let dead = disk.kill();
    back_up(&dead, &target, HOW).unwrap();
    assert_eq!(sound(&target, &told), told.len());
    // A power cut takes nothing back that is in the backup: it was made durable first.
    let cut = dead.power_cut(PowerCut { seed: 3, torn: true });
    let (mut writer, records, _) = recover(&cut).unwrap();
    assert_eq!(records, told);
    grow(&mut writer, 1, &mut told);
    back_up(&cut, &target, HOW).unwrap();
    assert_eq!(sound(&target, &told), told.len());
}

/// Every operation of a backup on the disk is its last, by a kill and by power cuts: what the manifest named before is
/// there, the directory reads as a journal, and the next backup completes.
#[test]
fn a_crash_at_every_step_leaves_the_last_good_backup() {
    for config in [SMALL, PACKED] {
        let (disk, target, mut told) = (MemStorage::new(), MemStorage::new(), Vec::new());
        let mut writer = create(disk.clone(), ID, config).unwrap();
        let mut held = 0;
        for round in 0..3 {
            grow(&mut writer, 2 * round, &mut told);
            mark_state(&mut writer);
            let mut steps = 0;
            loop {
                let before = target.fork();
                before.crash_after(steps);
                match back_up(&disk, &before, HOW) {
                    Ok(_) => break,
                    Err(BackupError::Target(_)) if before.crashed() => {}
                    Err(e) => panic!("step {steps}: {e}"),
                }
                for seed in 0..4 {
                    let after = before.fork();
                    let after = match seed {
                        0 => after.kill(),
                        seed => after.power_cut(PowerCut { seed: seed + steps, torn: true }),
                    };
                    let context = format!("round {round}, step {steps}, end {seed}");
                    match checked(&after) {
                        Ok(_) => assert!(sound(&after, &told) >= held, "{context}"),
                        Err(BackupError::NoManifest) if round == 0 => {}
                        Err(e) => panic!("{context}: {e}"),
                    }
                    if seed < 2 {
                        back_up(&disk, &after, HOW).unwrap_or_else(|e| panic!("{context}: {e}"));
                        assert_eq!(sound(&after, &told), told.len(), "{context}");
                    }
                }
                steps += 1;
            }
            assert!(steps > 10, "{steps} steps");
            back_up(&disk, &target, HOW).unwrap();
            held = sound(&target, &told);
            assert_eq!(held, told.len());
        }
    }
}

#[test]
fn a_restore_that_was_killed_changed_nothing_of_the_backup_and_is_made_again() {
    let (disk, told) = grown(3, PACKED);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    let ops = target.ops();
    let mut steps = 0;
    loop {
        let fresh = MemStorage::new();
        fresh.crash_after(steps);
        match restore(&target.reader(), &mut fresh.clone(), &[], &mut |_| ()) {
            Ok(_) => break,
            Err(BackupError::Target(_)) => steps += 1,
            Err(e) => panic!("step {steps}: {e}"),
        }
    }
    assert!(steps > 10);
    assert_eq!(target.ops(), ops, "a backup is only read");
    assert_eq!(sound(&target, &told), told.len());
    // A directory that holds anything is no target.
    let full = restored(&target).unwrap();
    let again = restore(&target.reader(), &mut full.clone(), &[], &mut |_| ());
    assert!(matches!(again, Err(BackupError::NotABackup { .. })));
}

#[test]
fn what_was_restored_goes_on_and_is_backed_up_into_the_same_directory() {
    let (disk, told) = grown(2, SMALL);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    let disk = restored(&target).unwrap();
    let (mut writer, mut records, _) = recover(&disk).unwrap();
    assert_eq!(records, told);
    grow(&mut writer, 1, &mut records);
    back_up(&disk, &target, HOW).unwrap();
    assert_eq!(sound(&target, &records), records.len());
}

#[test]
fn another_history_another_journal_and_another_directory_are_refused_and_change_nothing() {
    let (disk, told) = grown(2, SMALL);
    let (old, target) = (MemStorage::new(), MemStorage::new());
    back_up(&disk, &old, HOW).unwrap();
    let (mut writer, mut records, _) = recover(&disk).unwrap();
    grow(&mut writer, 2, &mut records);
    back_up(&disk, &target, HOW).unwrap();
    let refused = |disk: &MemStorage| -> BackupError {
        let names = target.names();
        let error = back_up(disk, &target, HOW).unwrap_err();
        let after: Vec<String> = target.names();
        assert_eq!((names, sound(&target, &records)), (after, records.len()));
        error
    };
    // Restored from the older backup: shorter at first, then the same numbers with other records.
    let other = restored(&old).unwrap();
    assert!(matches!(refused(&other), BackupError::Shorter { .. }));
    let (mut writer, mut others, _) = recover(&other).unwrap();
    while others.len() <= records.len() {
        others.extend(append(&mut writer, 2, 99).unwrap());
        writer.sync().unwrap();
    }
    let BackupError::Diverged { lsn } = refused(&other) else { panic!("another history") };
    assert_eq!(lsn, told.len() as u64 + 1);
    // And where the parting lies within the segment that was open.
    let (stem, kept) = (MemStorage::new(), MemStorage::new());
    let mut writer = create(stem.clone(), ID, SMALL).unwrap();
    append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    let twin = stem.fork();
    append(&mut writer, 2, 2).unwrap();
    writer.sync().unwrap();
    back_up(&stem, &kept, HOW).unwrap();
    let (mut writer, ..) = recover(&twin).unwrap();
    for _ in 0..4 {
        append(&mut writer, 2, 3).unwrap();
    }
    writer.sync().unwrap();
    assert!(matches!(back_up(&twin, &kept, HOW), Err(BackupError::Diverged { lsn: 3 })));
    // Another journal, and directories that are none.
    let stranger = MemStorage::new();
    let mut writer = create(stranger.clone(), Identity { journal_id: [9; 16], ..ID }, SMALL).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.sync().unwrap();
    assert!(matches!(refused(&stranger), BackupError::OtherJournal { .. }));
    let (journal, _) = specimen(3);
    assert!(matches!(back_up(&disk, &journal, HOW), Err(BackupError::NotABackup { .. })));
    let nothing = MemStorage::new();
    let error = back_up(&nothing, &MemStorage::new(), HOW).unwrap_err();
    assert!(matches!(error, BackupError::Journal(OpenError::NoJournal)));
    let mut busy = target.clone();
    busy.lock().unwrap();
    assert!(matches!(refused(&disk), BackupError::Busy { .. }));
}

#[test]
fn a_damaged_journal_is_refused_and_what_the_backup_has_of_it_stays() {
    let (disk, told) = grown(3, SMALL);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    let (mut writer, mut records, _) = recover(&disk).unwrap();
    grow(&mut writer, 2, &mut records);
    drop(writer);
    // In a segment that the backup has, it is found by reading everything; the backup keeps what it has.
    let rotten = disk.fork();
    rotten.patch("0000000002.seg", 9_000, b"rot");
    assert!(matches!(back_up(&rotten, &target.fork(), FULL), Err(BackupError::Damaged { .. })));
    // In a new one, by copying it.
    let numbers: Vec<u64> = checked(&target).unwrap().manifest.segments.keys().copied().collect();
    let new = segment_name(numbers.last().unwrap() + 1);
    rotten.patch("0000000002.seg", 9_000, &disk.file("0000000002.seg").unwrap()[9_000..9_003]);
    rotten.patch(&new, 9_000, b"rot");
    let error = back_up(&rotten, &target, HOW).unwrap_err();
    let BackupError::Damaged { gaps, held } = error else { panic!("{error}") };
    assert_eq!((gaps.len(), gaps[0].file.as_str()), (1, new.as_str()));
    assert_eq!(held.map(|head| head.lsn), Some(told.len() as u64));
    assert!(sound(&target, &records) >= told.len());
    // With its damage at the user's wish; the second time it is there already.
    for _ in 0..2 {
        back_up(&rotten, &target, AS_IT_IS).unwrap();
        let manifest = checked(&target).unwrap().manifest;
        assert_eq!(manifest.segments.values().filter(|held| held.kept == Kept::AsItIs).count(), 1);
    }
    assert_eq!(read_all(target.reader()).unwrap(), read_all(rotten.reader()).unwrap());
    let again = restored(&target).unwrap();
    assert_eq!(read_all(again.reader()).unwrap(), read_all(rotten.reader()).unwrap());
}

#[test]
fn a_declared_gap_is_in_the_backup_and_a_whole_segment_is_not_replaced_by_its_damaged_self() {
    let (disk, told) = grown(3, SMALL);
    let (before, after) = (MemStorage::new(), MemStorage::new());
    back_up(&disk, &before, HOW).unwrap();
    for name in disk.names().iter().filter(|name| name.ends_with(".ckpt")) {
        disk.remove_file(name);
    }
    disk.patch("0000000002.seg", 9_000, b"rot");
    let mut opening = opened(&disk).unwrap();
    let folded = folded(&mut opening, 1).unwrap();
    let (mut writer, report) = opening.finish().unwrap();
    assert!(report.gap.is_some());
    let mut more = Vec::new();
    grow(&mut writer, 2, &mut more);
    for (target, kept, only_here) in [(&before, Kept::Sealed, vec![2]), (&after, Kept::AsItIs, vec![])] {
        let done = back_up(&disk, target, HOW).unwrap();
        assert_eq!((done.only_here, done.gaps.len()), (only_here, 1));
        assert_eq!(checked(target).unwrap().manifest.segments[&2].kept, kept);
        back_up(&disk, target, HOW).unwrap();
        let disk = restored(target).unwrap();
        let mut opening = opened(&disk).unwrap();
        let all = crate::tests::folded(&mut opening, 1).unwrap();
        assert_eq!(all[..folded.len()], folded, "what is lost to the fold is lost in both");
        assert_eq!(all[folded.len()..], more);
    }
    assert!(folded.len() < told.len());
}

#[test]
fn a_copy_made_as_it_is_gives_way_only_to_a_segment_that_has_all_of_it() {
    let (disk, _) = grown(2, SMALL);
    let (mut writer, ..) = recover(&disk).unwrap();
    let other = disk.fork();
    append(&mut writer, 4, 7).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let records = shown(&disk);
    let (hurt, target) = (disk.fork(), MemStorage::new());
    let newest = hurt.names().into_iter().filter(|name| name.ends_with(".seg")).max().unwrap();
    hurt.patch(&newest, 20, b"??");
    let done = back_up(&hurt, &target, HOW).unwrap();
    assert_eq!(done.undeclared, 0, "a header alone loses no record");
    assert_eq!(
        checked(&target).unwrap().manifest.last_lsn(),
        records.len() as u64,
        "none of them is left out"
    );
    // Another history, shorter at first.
    let before = target.file(&newest);
    let (mut writer, mut others, _) = recover(&other).unwrap();
    assert!(matches!(back_up(&other, &target, HOW), Err(BackupError::Shorter { .. })));
    while others.len() <= records.len() + 4 {
        others.extend(append(&mut writer, 2, 99).unwrap());
        writer.sync().unwrap();
    }
    for how in [HOW, FULL, AS_IT_IS] {
        assert!(matches!(back_up(&other, &target, how), Err(BackupError::Diverged { .. })));
        assert_eq!(target.file(&newest), before);
    }
    // The same history goes on.
    let (mut writer, mut records, _) = recover(&disk).unwrap();
    grow(&mut writer, 1, &mut records);
    back_up(&disk, &target, HOW).unwrap();
    assert_eq!(sound(&target, &records), records.len());
}

#[test]
fn a_copy_made_as_it_is_grows_with_the_damaged_segment_and_loses_nothing_of_it() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    for n in 0..6 {
        append(&mut writer, 3, n).unwrap();
    }
    writer.sync().unwrap();
    disk.patch(SEGMENT, PAGE_BYTES + 40, b"rot");
    let target = MemStorage::new();
    assert!(matches!(
        back_up(&disk, &target, HOW),
        Err(BackupError::Damaged { .. } | BackupError::Journal(_))
    ));
    let done = back_up(&disk, &target, AS_IT_IS).unwrap();
    assert_eq!((done.manifest.segments[&1].kept, done.undeclared), (Kept::AsItIs, 1));
    assert_eq!(done.manifest.last_lsn(), writer.durable_lsn());
    for n in 0..6 {
        append(&mut writer, 3, n).unwrap();
    }
    writer.sync().unwrap();
    let done = back_up(&disk, &target, AS_IT_IS).unwrap();
    assert_eq!((done.segments_copied, done.only_here), (1, vec![]));
    assert_eq!(read_all(target.reader()).unwrap().0, read_all(disk.reader()).unwrap().0);
    let done = back_up(&disk, &target, AS_IT_IS).unwrap();
    assert_eq!(done.segments_copied, 0, "nothing is new");
    // More damage in the journal than in the copy.
    let held = target.file(SEGMENT);
    let worse = disk.fork();
    worse.patch(SEGMENT, PAGE_BYTES + 900, b"rot");
    let done = back_up(&worse, &target, AS_IT_IS).unwrap();
    assert_eq!((done.segments_copied, done.only_here), (0, vec![1]));
    assert_eq!(target.file(SEGMENT), held);
}

#[test]
fn what_an_opening_left_to_a_checkpoint_is_no_damage_of_the_backup() {
    let (disk, _) = grown(3, SMALL);
    disk.patch("0000000002.seg", 9_000, b"rot");
    grow(&mut from_checkpoint(&disk), 2, &mut Vec::new());
    let report = verify(&disk.reader(), |_| ()).unwrap();
    assert_eq!((report.findings, report.gaps.len()), (vec![], 1), "it is a known gap and nothing else");
    for how in [HOW, FULL, HOW] {
        let target = MemStorage::new();
        for how in [how, HOW, FULL] {
            let done = back_up(&disk, &target, how).unwrap();
            assert_eq!(done.undeclared, 0);
        }
        let whole = restored(&target).unwrap();
        assert_eq!(read_all(whole.reader()).unwrap(), read_all(disk.reader()).unwrap());
    }
}

#[test]
fn a_segment_that_the_journal_lost_stays_in_the_backup_which_goes_on() {
    let (disk, _) = grown(2, SMALL);
    // The third segment is begun by an opening and not by a change of segment.
    let mut writer = from_checkpoint(&disk);
    grow(&mut writer, 2, &mut Vec::new());
    mark_state(&mut writer);
    drop(writer);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    for lost in [2, 3] {
        let (disk, target) = (disk.fork(), target.fork());
        disk.remove_file(&segment_name(lost));
        let mut writer = from_checkpoint(&disk);
        append(&mut writer, 3, 5).unwrap();
        writer.sync().unwrap();
        for how in [HOW, FULL] {
            let done = back_up(&disk, &target, how).unwrap();
            assert_eq!((done.only_here, done.undeclared), (vec![lost], 0));
            assert!(checked(&target).unwrap().manifest.segments.contains_key(&lost));
        }
    }
}

#[test]
fn rot_in_the_backup_is_found_and_mended_from_the_journal() {
    let (disk, told) = grown(4, PACKED);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    for name in target.names() {
        if name == LOCK || name == LIVE {
            continue;
        }
        let bytes = target.file(&name).unwrap();
        for at in (0..16).map(|n| n * (bytes.len() - 1) / 15) {
            let rotten = target.fork();
            rotten.patch(&name, at as u64, &[bytes[at] ^ 0x10]);
            let found = checked(&rotten);
            let mend = back_up(&disk, &rotten, FULL);
            // Bytes that nothing depends on, such as reserved ones between marks, are not found and not missed.
            if found.is_err() {
                mend.unwrap_or_else(|e| panic!("{name} at {at}: {e}"));
            }
            assert_eq!(sound(&rotten, &told), told.len(), "{name} at {at}");
        }
        if name == MANIFEST {
            continue;
        }
        let lost = target.fork();
        lost.remove_file(&name);
        assert!(checked(&lost).is_err(), "{name}");
        back_up(&disk, &lost, FULL).unwrap();
        assert_eq!(sound(&lost, &told), told.len(), "{name}");
    }
    // Without a manifest nothing is taken for longer than it is: an older copy is refused as ever.
    let (older, rotten) = (grown(2, PACKED).0, target.fork());
    rotten.patch(MANIFEST, 30, b"?");
    assert!(matches!(back_up(&older, &rotten, FULL), Err(BackupError::Shorter { .. })));
    // A manifest that is damaged is refused, and written anew by reading everything.
    let rotten = target.fork();
    rotten.patch(MANIFEST, 30, b"?");
    assert!(matches!(back_up(&disk, &rotten, HOW), Err(BackupError::Manifest)));
    assert!(matches!(checked(&rotten), Err(BackupError::Manifest)));
    back_up(&disk, &rotten, FULL).unwrap();
    assert_eq!(sound(&rotten, &told), told.len());
}

#[test]
fn a_full_disk_a_failing_sync_and_a_place_that_cannot_be_read_leave_the_backup_as_it_was() {
    let (disk, told) = grown(2, SMALL);
    let target = MemStorage::new();
    back_up(&disk, &target, HOW).unwrap();
    let (mut writer, mut records, _) = recover(&disk).unwrap();
    grow(&mut writer, 2, &mut records);
    let before = target.file(MANIFEST);
    let full = target.fork();
    full.disk_full(true);
    let ops = full.ops();
    let Err(BackupError::NoRoom { needed, free: 0 }) = back_up(&disk, &full, HOW) else { panic!("no room") };
    assert_eq!((full.ops(), needed > 0), (ops, true), "nothing was tried");
    let restoring = MemStorage::new();
    restoring.disk_full(true);
    let none = restore(&target.reader(), &mut restoring.clone(), &[], &mut |_| ());
    assert!(matches!(none, Err(BackupError::NoRoom { .. })));
    // And when somebody else fills it meanwhile.
    full.disk_full(false);
    let filling = full.clone();
    let error = backup(&disk.reader(), &mut full.clone(), &HOW, &mut |at| filling.disk_full(at.bytes > 0));
    let error = error.unwrap_err();
    assert!(
        matches!(&error, BackupError::Target(facts) if facts.kind == io::ErrorKind::StorageFull),
        "{error}"
    );
    assert!(!full.names().contains(&TEMP.to_owned()), "its space is given back");
    assert_eq!((full.file(MANIFEST), sound(&full, &records)), (before.clone(), told.len()));
    full.disk_full(false);
    back_up(&disk, &full, HOW).unwrap();
    assert_eq!(sound(&full, &records), records.len());
    for nth in 1..6 {
        let failing = target.fork();
        failing.fail_sync(nth);
        assert!(back_up(&disk, &failing, HOW).is_err(), "sync {nth}");
        let failing = failing.power_cut(PowerCut { seed: nth, torn: true });
        assert!(sound(&failing, &records) >= told.len(), "sync {nth}");
        back_up(&disk, &failing, HOW).unwrap();
    }
    let bad = disk.fork();
    let newest = checked(&target).unwrap().manifest.segments.keys().next_back().copied().unwrap();
    bad.read_error(&segment_name(newest + 1), 3);
    assert!(back_up(&bad, &target, HOW).is_err());
    assert!(sound(&target, &records) >= told.len());
}

proptest! {
    /// Whatever stands in the file, it is a manifest with its checksum or it is refused.
    #[test]
    fn any_bytes_are_a_manifest_or_refused(
        at in 0usize..2_000, byte in any::<u8>(), cut in 0usize..2_000, noise in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut manifest = Manifest::empty(ID, -5);
        for number in 1..9 {
            let held = Held {
                kept: [Kept::Sealed, Kept::Open, Kept::AsItIs][number as usize % 3],
                first_lsn: number * 10,
                last_lsn: number * 10 + 9,
                end: 5_000,
                digest: [number as u8; 32],
                verified_ns: 77,
            };
            manifest.segments.insert(number, held);
        }
        manifest.checkpoints.push((80, [8; 32]));
        manifest.head = head_of(&manifest);
        let bytes = manifest.encode();
        let read = |bytes: &[u8]| {
            let disk = MemStorage::new();
            disk.set_file(MANIFEST, bytes);
            Manifest::read(&disk.reader())
        };
        prop_assert_eq!(read(&bytes).expect("what was written"), Some(manifest));
        let mut other = bytes.clone();
        other[at % bytes.len()] ^= byte.max(1);
        prop_assert!(matches!(read(&other), Err(BackupError::Manifest)));
        prop_assert!(matches!(read(&bytes[..cut % bytes.len()]), Err(BackupError::Manifest)));
        prop_assert!(matches!(read(&noise), Err(BackupError::Manifest)));
    }

    /// Any lives of a writer with crashes in between, any backups with crashes in between: each backup that completed
    /// holds all that was acknowledged when it began, and restores to a prefix of what was appended.
    #[test]
    fn any_lives_and_any_crashes(
        rounds in proptest::collection::vec((1u64..12, 0u64..4, 0u64..80, any::<u64>(), any::<bool>()), 1..7),
    ) {
        let (disk, target) = (MemStorage::new(), MemStorage::new());
        let mut told: Vec<Owned> = Vec::new();
        let mut held = 0;
        for (batches, how_it_ends, crash, seed, packed) in rounds {
            let config = if packed { PACKED } else { SMALL };
            let mut writer = if disk.names().iter().any(|n| n.ends_with(".seg")) {
                let (writer, records, _) = recover_with(&disk, config).expect("nothing acknowledged is lost");
                prop_assert!(records.len() >= held, "what a backup holds, no crash takes away");
                prop_assert_eq!(&records[..], &told[..records.len()]);
                told.truncate(records.len());
                writer
            } else {
                create(disk.clone(), ID, config).expect("an empty disk")
            };
            for n in 0..batches {
                let mut batch = batch_of(writer.next_lsn(), 1 + n % 3, seed);
                batch.iter_mut().for_each(|r| r.payload.resize(if n % 4 == 3 { 12_000 } else { 30 }, n as u8));
                writer.append(&new_records(&batch), Room::Normal).expect("room");
                told.extend(batch);
                if n % 2 == 0 {
                    writer.sync().expect("a good disk");
                }
            }
            let durable = writer.durable_lsn() as usize;
            if how_it_ends == 3 {
                writer.sync().expect("a good disk");
                let lsn = writer.durable_lsn();
                let _: Result<(), Fault> = writer.checkpoint(lsn, [1; 32], b"state");
            }
            let ended = match how_it_ends {
                0 => None,
                1 => Some(disk.kill()),
                _ => Some(disk.power_cut(PowerCut { seed, torn: true })),
            };
            target.crash_after(crash);
            match back_up(&disk, &target, HOW) {
                Ok(done) => {
                    let lsn = done.manifest.last_lsn() as usize;
                    prop_assert!(lsn >= durable, "{} of {}", lsn, durable);
                    held = lsn;
                }
                Err(BackupError::Target(_)) if target.crashed() => {}
                Err(e) => prop_assert!(false, "{}", e),
            }
            target.power_cut(PowerCut { seed: seed ^ 1, torn: true });
            target.crash_after(u64::MAX / 2);
            if checked(&target).is_ok() {
                held = held.max(sound(&target, &told));
            } else {
                prop_assert_eq!(held, 0);
            }
            drop(writer);
            if ended.is_none() {
                disk.kill();
            }
        }
        drop(open(disk.clone(), EXPECT, SMALL).expect("a journal"));
    }
}

/// A checkpoint and a mark that come between the look at the durable end and the reading of the files prove more than
/// is looked at; that is no loss.
#[test]
fn what_was_proven_after_the_look_at_the_durable_end_is_no_rot() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    let live = disk.reader().live().unwrap().unwrap();
    append(&mut writer, 3, 2).unwrap();
    writer.sync().unwrap();
    mark_state(&mut writer);
    let mut listing = Listing::read(&disk.reader()).unwrap();
    listing.limit(live);
    let depth =
        Depth { base_limit: 0, cover_limit: 0, cover_known: 0, all_finished: false, hash_tail: false };
    let survey = survey(&disk.reader(), &mut listing, ID, SMALL, depth, &mut |_| ()).unwrap();
    assert_eq!((survey.report.gaps, survey.report.last_lsn, survey.checkpoints.len()), (vec![], 3, 0));
}
