//! Pruning, killed at every step; what is refused; the journal that is left, its backups, and the way back.

use super::*;
use crate::backup::tests::{
    FULL, HOW, back_up, checked, from_checkpoint, grow, grown, mark_state, restored, shown, sound,
};
use crate::backup::{How, Verified, backup};
use crate::tests::*;
use crate::{
    Checkpoint, Finding, Flaw, Head, JournalReader, MemStorage, Note, PowerCut, checkpoints, create, heads,
    verify,
};

const ALL: PruneHow<'_> =
    PruneHow { keep_from: Lsn::MAX, held_in: "/mnt/other", usable: &|_| true, dry: false };

fn pruned(disk: &MemStorage, target: &MemStorage, how: PruneHow<'_>) -> Result<Dropped, BackupError> {
    prune(&mut disk.clone(), &target.reader(), &how, &mut |_| ())
}

/// A journal of six segments with its backup, and what is in it.
fn archived(config: Config) -> (MemStorage, MemStorage, Vec<Owned>) {
    let (disk, told) = grown(6, config);
    let (disk, target) = (disk.kill(), MemStorage::new());
    back_up(&disk, &target, HOW).expect("a whole journal");
    (disk, target, told)
}

/// What is there beside temporary files.
fn files(disk: &MemStorage) -> Vec<String> {
    disk.names().into_iter().filter(|name| !name.ends_with(".tmp")).collect()
}

fn last_head(disk: &MemStorage) -> Option<Head> {
    heads(&disk.reader(), &[], |_| ()).expect("a journal").last
}

/// What a journal that may be pruned shows: a suffix of what was told, from its beginning on, and nothing damaged.
fn suffix(disk: &MemStorage, told: &[Owned]) -> Option<Pruned> {
    let pruned = JournalReader::open(disk.reader()).expect("a journal").pruned().cloned();
    let from = pruned.as_ref().map_or(0, |pruned| pruned.last_lsn as usize);
    assert_eq!(shown(disk), told[from..]);
    assert_eq!(verify(&disk.reader(), |_| ()).expect("a journal").pruned, pruned);
    pruned
}

/// Opens as an engine does, folding from the newest checkpoint on.
fn goes_on(disk: &MemStorage, told: &[Owned]) {
    let disk = disk.fork();
    let mut opening = opened(&disk).expect("it opens");
    let lsn = opening.checkpoints()[0].lsn;
    assert_eq!(folded(&mut opening, lsn + 1).expect("behind the checkpoint"), told[lsn as usize..]);
    drop(opening);
    let mut writer = from_checkpoint(&disk);
    assert_eq!(writer.next_lsn() - 2, told.len() as u64);
    let mut more = Vec::new();
    grow(&mut writer, 1, &mut more);
    mark_state(&mut writer);
    drop(writer);
    let report = verify(&disk.reader(), |_| ()).expect("a journal");
    // What an interrupted pruning left is told, and is no loss.
    let lost = report.findings.iter().any(|f| !matches!(f, Finding::Note(Note::Hidden { .. })));
    assert!(!lost && report.gaps.is_empty(), "{report:?}");
}

#[test]
fn what_a_backup_holds_and_no_checkpoint_needs_is_dropped_and_the_rest_goes_on() {
    for config in [SMALL, PACKED] {
        let (disk, target, told) = archived(config);
        let head = last_head(&disk);
        let names = disk.names();
        let would = pruned(&disk, &target, PruneHow { dry: true, ..ALL }).unwrap();
        assert_eq!(disk.names(), names, "nothing was changed");
        let done = pruned(&disk, &target, ALL).unwrap();
        assert_eq!(done, would);
        let begins = suffix(&disk, &told).expect("it was pruned");
        assert_eq!(done.pruned.as_ref(), Some(&begins));
        assert_eq!((done.segments, done.records), (begins.segment, begins.last_lsn));
        let old: Vec<Lsn> = checkpoints(&disk.reader()).unwrap().iter().map(|c: &Checkpoint| c.lsn).collect();
        assert!(begins.segment >= 3 && begins.last_lsn <= old[1], "{begins:?} {old:?}");
        assert_eq!(begins.held_in, "/mnt/other");
        assert_eq!(last_head(&disk), head, "the head commits to what was dropped");
        let left = disk.names().iter().filter_map(|n| crate::segment::segment_file(n)).map(|(n, _)| n).min();
        assert_eq!(left, Some(begins.segment), "the page stands where the last dropped one did");
        goes_on(&disk, &told);
        // Once more there is nothing to drop.
        let again = pruned(&disk, &target, ALL).unwrap();
        assert_eq!((again.segments, again.records, again.bytes, again.pruned), (0, 0, 0, Some(begins)));
    }
}

#[test]
fn what_is_to_be_kept_is_kept() {
    let (disk, target, told) = archived(SMALL);
    let starts = JournalReader::open(disk.reader()).unwrap().segments().unwrap();
    let kept = pruned(&disk, &target, PruneHow { keep_from: starts[2].1 + 1, ..ALL }).unwrap();
    assert_eq!(kept.pruned.map(|p| p.last_lsn), Some(starts[2].1 - 1), "only whole segments go");
    let none = pruned(&disk, &target, PruneHow { keep_from: starts[2].1 + 1, ..ALL }).unwrap();
    assert_eq!(none.segments, 0);
    assert!(suffix(&disk, &told).is_some_and(|pruned| pruned.segment == 2));
}

#[test]
fn a_crash_at_every_step_leaves_all_of_it_or_the_pruned_journal() {
    for config in [SMALL, PACKED] {
        let (disk, target, told) = archived(config);
        let want = {
            let disk = disk.fork();
            pruned(&disk, &target, ALL).unwrap();
            files(&disk)
        };
        let (mut before, mut after) = (0, 0);
        for steps in 0.. {
            let dying = disk.fork();
            dying.crash_after(steps);
            let result = pruned(&dying, &target, ALL);
            let done = result.is_ok() && !dying.crashed();
            for seed in 0..4 {
                let dead = match seed {
                    0 => dying.kill(),
                    seed => dying.power_cut(PowerCut { seed: seed + steps, torn: true }),
                };
                match suffix(&dead, &told) {
                    None => before += 1,
                    Some(_) => after += 1,
                }
                goes_on(&dead, &told);
                // The next one leaves what one that was never killed would have left.
                pruned(&dead, &target, ALL).unwrap();
                assert_eq!(files(&dead), want, "{steps} {seed}");
                assert_eq!(suffix(&dead, &told).map(|p| p.last_lsn > 0), Some(true));
            }
            if done {
                break;
            }
        }
        assert!(before > 3 && after > 3, "both were met: {before} {after}");
    }
}

#[test]
fn nothing_is_dropped_that_no_verified_backup_holds() {
    let (disk, target, told) = archived(SMALL);
    let names = disk.names();
    let refused = |disk: &MemStorage, target: &MemStorage| {
        let error = pruned(disk, target, ALL).unwrap_err();
        assert_eq!(disk.names(), names);
        assert_eq!(suffix(disk, &told), None);
        error
    };
    assert!(matches!(refused(&disk, &MemStorage::new()), BackupError::NoManifest));
    let gone = target.fork();
    gone.remove_file("0000000002.seg");
    assert!(matches!(refused(&disk, &gone), BackupError::NotHeld { segment: 2 }));
    let rotten = target.fork();
    rotten.patch("0000000002.seg", 8_000, &[0xff; 4]);
    assert!(matches!(refused(&disk, &rotten), BackupError::Unsound(_)));
    let torn = target.fork();
    torn.patch(crate::backup::manifest::MANIFEST, 30, b"x");
    assert!(matches!(refused(&disk, &torn), BackupError::Manifest));
    // A backup of when the journal was younger: its newest segment is a part of ours.
    let (young, target) = (MemStorage::new(), MemStorage::new());
    let mut writer = create(young.clone(), ID, SMALL).unwrap();
    let mut told = Vec::new();
    grow(&mut writer, 1, &mut told);
    back_up(&young, &target, HOW).unwrap();
    for _ in 0..4 {
        grow(&mut writer, 1, &mut told);
        mark_state(&mut writer);
    }
    drop(writer);
    assert!(matches!(pruned(&young, &target, ALL), Err(BackupError::Differs { segment: 2 })));
    assert_eq!(suffix(&young, &told), None);
    back_up(&young.kill(), &target, HOW).unwrap();
    assert!(pruned(&young, &target, ALL).unwrap().segments >= 2);
    // Of another journal.
    let other = MemStorage::new();
    drop(create(other.clone(), crate::Identity { journal_id: [1; 16], ..ID }, SMALL).unwrap());
    assert!(matches!(pruned(&other, &target, ALL), Err(BackupError::OtherJournal { .. })));
}

#[test]
fn a_writer_one_checkpoint_and_damage_are_reasons_to_drop_nothing() {
    let (disk, target, told) = archived(SMALL);
    let writer = from_checkpoint(&disk);
    let busy = prune(&mut disk.clone(), &target.reader(), &ALL, &mut |_| ());
    assert!(matches!(busy, Err(BackupError::Journal(OpenError::Locked { .. }))));
    drop(writer);
    let (disk, target, _) = archived(SMALL);
    let old: Vec<Lsn> = checkpoints(&disk.reader()).unwrap().iter().map(|c: &Checkpoint| c.lsn).collect();
    let lone = disk.fork();
    lone.patch(&checkpoint::name(old[1]), 120, &[0xff]);
    let one = pruned(&lone, &target, ALL).unwrap();
    assert_eq!((one.segments, one.checkpoints, one.bytes), (0, 1, 0));
    let other_version = PruneHow { usable: &|checkpoint| checkpoint.lsn != old[0], ..ALL };
    let one = pruned(&disk, &target, other_version).unwrap();
    assert_eq!((one.segments, one.checkpoints), (0, 1), "one that nobody can load is none");
    let hurt = disk.fork();
    hurt.patch("0000000002.seg", 8_000, &[0xff; 4]);
    assert!(matches!(pruned(&hurt, &target, ALL), Err(BackupError::NotPruned { .. })));
    assert_eq!(suffix(&disk, &told), None);
}

#[test]
fn a_backup_goes_on_behind_a_pruned_journal_and_keeps_all_of_it() {
    for config in [SMALL, PACKED] {
        let (disk, target, mut told) = archived(config);
        let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
        let mut opening = crate::open(disk.clone(), EXPECT, config).unwrap();
        let lsn = opening.checkpoints()[0].lsn;
        folded(&mut opening, lsn + 1).unwrap();
        let (mut writer, _) = opening.finish().unwrap();
        for _ in 0..3 {
            grow(&mut writer, 1, &mut told);
            mark_state(&mut writer);
        }
        for how in [HOW, FULL] {
            let done = back_up(&disk, &target, how).unwrap();
            assert_eq!((done.only_here, done.undeclared), (vec![], 0), "what was pruned is not lost");
            assert_eq!(sound(&target, &told), told.len());
        }
        drop(writer);
        // A new one begins where the journal does.
        let fresh = MemStorage::new();
        let manifest = back_up(&disk.kill(), &fresh, HOW).unwrap().manifest;
        assert_eq!(manifest.begins.map(|b| (b.segment, b.last_lsn)), Some((begins.segment, begins.last_lsn)));
        let Verified { manifest: again, .. } = checked(&fresh).unwrap();
        assert_eq!(again, manifest);
        let back = restored(&fresh).unwrap();
        assert_eq!(suffix(&back, &told), Some(begins.clone()));
        goes_on(&back, &told);
        // And is pruned by as well: what it does not hold was dropped before.
        let more = pruned(&disk, &fresh, ALL).unwrap();
        assert!(more.segments >= 2 && more.pruned.unwrap().segment == begins.segment + more.segments);
        suffix(&disk, &told);
        goes_on(&disk, &told);
        // Both go on after that.
        for target in [&target, &fresh] {
            back_up(&disk.kill(), target, HOW).unwrap();
            checked(target).unwrap();
        }
        assert_eq!(sound(&target, &told), told.len());
        // Its page is part of it.
        fresh.patch(&segment_name(begins.segment), 60, &[1]);
        assert!(matches!(checked(&fresh), Err(BackupError::Unsound(_))));
    }
}

#[test]
fn a_backup_that_ends_before_what_was_pruned_or_lost_its_manifest_is_left_as_it_is() {
    let (disk, target, mut told) = archived(SMALL);
    let young = target.fork();
    let mut writer = from_checkpoint(&disk);
    told.truncate(0);
    for _ in 0..4 {
        grow(&mut writer, 1, &mut told);
        mark_state(&mut writer);
    }
    drop(writer);
    back_up(&disk.kill(), &target, HOW).unwrap();
    pruned(&disk, &target, ALL).unwrap();
    let error = back_up(&disk, &young, HOW).unwrap_err();
    assert!(matches!(error, BackupError::Behind { .. }), "{error}");
    checked(&young).unwrap();
    for name in ["lost", "damaged"] {
        let bare = target.fork();
        match name {
            "lost" => bare.remove_file(crate::backup::manifest::MANIFEST),
            _ => bare.patch(crate::backup::manifest::MANIFEST, 30, b"x"),
        }
        let names = bare.names();
        let error = back_up(&disk, &bare, How { full: true, ..HOW }).unwrap_err();
        assert!(
            matches!(error, BackupError::Alone { .. } | BackupError::NotABackup { .. }),
            "{name}: {error}"
        );
        assert_eq!(bare.names(), names);
        assert_eq!(bare.file("0000000001.seg"), target.file("0000000001.seg"));
    }
}

#[test]
fn the_segments_copied_back_by_hand_make_the_whole_journal_again() {
    let (disk, target, told) = archived(SMALL);
    let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
    for number in 1..=begins.segment {
        let name = segment_name(number);
        disk.set_file(&name, &target.file(&name).unwrap());
        if number < begins.segment {
            // They are seen when the last of them takes the place of the page.
            let report = verify(&disk.reader(), |_| ()).unwrap();
            assert_eq!(report.findings, vec![Finding::Note(Note::Hidden { first: 1, last: number })]);
        }
    }
    assert_eq!(suffix(&disk, &told), None);
    goes_on(&disk, &told);
    let (_, records, report) = recover(&disk).unwrap();
    assert_eq!((records, report.gap), (told, None));
}

#[test]
fn unpruned_at_any_step_it_is_the_whole_journal_or_the_pruned_one() {
    for config in [SMALL, PACKED] {
        let (disk, target, told) = archived(config);
        let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
        let back = |disk: &MemStorage, target: &MemStorage| {
            unprune(&mut disk.clone(), &target.reader(), &mut |_| ())
        };
        let (mut before, mut after) = (0, 0);
        for steps in 0.. {
            let dying = disk.fork();
            dying.crash_after(steps);
            let done = back(&dying, &target).is_ok() && !dying.crashed();
            for seed in 0..3 {
                let dead = match seed {
                    0 => dying.kill(),
                    seed => dying.power_cut(PowerCut { seed: seed + steps, torn: true }),
                };
                let left = JournalReader::open(dead.reader()).unwrap().pruned().cloned();
                before += u32::from(left.is_some());
                after += u32::from(left.is_none());
                let lost = verify(&dead.reader(), |_| ()).unwrap().findings;
                assert!(!lost.iter().any(|f| matches!(f, Finding::Rot(_))), "{lost:?}");
                // Pruned again by the same backup it is as it was, and unpruned it is whole.
                let again = dead.fork();
                pruned(&again, &target, ALL).unwrap();
                assert_eq!(suffix(&again, &told), Some(begins.clone()));
                assert_eq!(files(&again), files(&disk), "nothing is left behind");
                back(&dead, &target).unwrap();
                assert_eq!(suffix(&dead, &told), None);
                goes_on(&dead, &told);
            }
            if done {
                break;
            }
        }
        assert!(before > 3 && after > 2, "both were met: {before} {after}");
        let nothing = back(&target.fork(), &target);
        assert!(matches!(nothing, Err(BackupError::OfABackup)));
        // By a backup that was begun later there is nothing to bring.
        let fresh = MemStorage::new();
        back_up(&disk, &fresh, HOW).unwrap();
        assert!(matches!(back(&disk, &fresh), Err(BackupError::NotHeld { .. })));
        let whole = disk.fork();
        assert_eq!(back(&whole, &target).unwrap().segments, begins.segment);
        assert_eq!(back(&whole, &target).unwrap().segments, 0, "there is nothing more to do");
    }
}

#[test]
fn what_an_interrupted_pruning_left_goes_only_if_this_backup_holds_it_too() {
    for config in [SMALL, PACKED] {
        let (disk, target, _) = archived(config);
        let whole = disk.fork();
        let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
        let fresh = MemStorage::new();
        back_up(&disk, &fresh, HOW).unwrap();
        let names: Vec<String> = files(&whole)
            .into_iter()
            .filter(|name| name.contains(".seg") && !files(&disk).contains(name))
            .collect();
        assert!(names.len() >= 4, "{names:?}");
        for name in &names {
            disk.set_file(name, &whole.file(name).unwrap());
        }
        let found = verify(&disk.reader(), |_| ()).unwrap().findings;
        assert!(matches!(found[..], [Finding::Note(Note::Hidden { first: 1, .. })]), "{found:?}");
        let there = files(&disk);
        let done = pruned(&disk, &fresh, ALL).unwrap();
        assert_eq!((done.segments, done.bytes, done.left.len()), (0, 0, names.len()));
        assert_eq!(files(&disk), there, "the later backup does not hold them");
        // One that is not what the backup holds stays, too.
        let odd = disk.fork();
        let mut bytes = odd.file(&names[1]).unwrap();
        let at = bytes.len() - 5;
        bytes[at] ^= 1;
        odd.set_file(&names[1], &bytes);
        let told = pruned(&odd, &target, ALL).unwrap();
        assert_eq!(
            told.left,
            if config.compress { vec![] } else { vec![2] },
            "a list at the end is one of two"
        );
        assert!(pruned(&disk, &target, ALL).unwrap().left.is_empty());
        assert!(files(&disk).len() == there.len() - names.len());
        assert_eq!(JournalReader::open(disk.reader()).unwrap().pruned(), Some(&begins));
    }
}

#[test]
fn a_file_that_no_header_explains_is_dropped_only_if_the_backup_has_it_as_it_is() {
    let (disk, _, _) = archived(SMALL);
    disk.patch("0000000001.seg", 0, &[0xee; 5000]);
    drop(from_checkpoint(&disk));
    let lost = disk.fork();
    lost.remove_file("0000000001.seg");
    let (with, without) = (MemStorage::new(), MemStorage::new());
    back_up(&disk, &with, HOW).unwrap();
    back_up(&lost, &without, HOW).unwrap();
    let names = files(&disk);
    assert!(matches!(pruned(&disk, &without, ALL), Err(BackupError::NotHeld { segment: 1 })));
    assert_eq!(files(&disk), names);
    // A segment that is missing in a declared gap is no hindrance, neither are its neighbours.
    let hurt = with.file("0000000001.seg").unwrap();
    assert_eq!(hurt[..8], [0xee; 8]);
    assert!(pruned(&disk, &with, ALL).unwrap().segments > 2);
    assert!(pruned(&lost, &without, ALL).unwrap().segments > 2);
    for left in [&disk, &lost] {
        drop(from_checkpoint(left));
    }
}

#[test]
fn a_backup_keeps_its_own_beginning_whatever_the_journal_begins_with() {
    let (disk, target, told) = archived(SMALL);
    let whole = disk.fork();
    let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
    let fresh = MemStorage::new();
    back_up(&disk, &fresh, HOW).unwrap();
    let page = fresh.file(&segment_name(begins.segment)).unwrap();
    // A journal that has more than the backup, as one that was restored from another.
    for how in [HOW, FULL] {
        let done = back_up(&whole, &fresh, how).unwrap();
        assert_eq!((done.only_here, done.lost_here), (vec![], vec![]));
        assert_eq!(checked(&fresh).unwrap().manifest.begins.map(|b| b.last_lsn), Some(begins.last_lsn));
        assert_eq!(fresh.file(&segment_name(begins.segment)).unwrap(), page);
    }
    // A journal whose own page is damaged.
    let hurt = disk.fork();
    hurt.patch(&segment_name(begins.segment), 60, &[0xff]);
    drop(from_checkpoint(&hurt));
    back_up(&hurt, &fresh, HOW).unwrap();
    checked(&fresh).unwrap();
    assert_eq!(fresh.file(&segment_name(begins.segment)).unwrap(), page);
    // And the other way round.
    let rotten = MemStorage::new();
    back_up(&disk, &rotten, HOW).unwrap();
    rotten.patch(&segment_name(begins.segment), 60, &[0xff]);
    assert!(checked(&rotten).is_err());
    back_up(&disk, &rotten, HOW).unwrap();
    checked(&rotten).unwrap();
    suffix(&rotten, &told);
}

#[test]
fn what_only_the_backup_has_is_still_looked_at() {
    let (disk, target, _) = archived(SMALL);
    pruned(&disk, &target, ALL).unwrap();
    assert_eq!(back_up(&disk, &target, FULL).unwrap().lost_here, vec![]);
    let gone = target.fork();
    gone.remove_file("0000000003.seg");
    let rotten = target.fork();
    rotten.patch("0000000002.seg", 8_000, &[0xff; 4]);
    for how in [HOW, FULL] {
        assert_eq!(back_up(&disk, &gone, how).unwrap().lost_here, vec![3]);
    }
    assert_eq!(back_up(&disk, &rotten, HOW).unwrap().lost_here, vec![], "not all of it is read each time");
    assert_eq!(back_up(&disk, &rotten, FULL).unwrap().lost_here, vec![2]);
    assert!(checked(&rotten).is_err(), "and what is damaged is not called whole");
}

#[test]
fn the_page_names_each_backup_that_one_needs() {
    let (disk, target, _) = archived(SMALL);
    let starts = JournalReader::open(disk.reader()).unwrap().segments().unwrap();
    let first = pruned(&disk, &target, PruneHow { keep_from: starts[2].1, ..ALL }).unwrap().pruned.unwrap();
    let fresh = MemStorage::new();
    back_up(&disk, &fresh, HOW).unwrap();
    let more = pruned(&disk, &fresh, PruneHow { held_in: "/mnt/new", ..ALL }).unwrap().pruned.unwrap();
    let words = format!("/mnt/new, and up to record {} the one in /mnt/other", first.last_lsn);
    assert_eq!(more.held_in, words);
}

#[test]
fn a_damaged_page_costs_no_record_and_a_page_of_another_journal_hides_none() {
    let (disk, target, told) = archived(SMALL);
    let whole = disk.fork();
    let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
    let page = segment_name(begins.segment);
    let hurt = disk.fork();
    hurt.patch(&page, 50, &[0xff]);
    let (records, damages) = read_all(hurt.reader()).unwrap();
    assert_eq!(records.iter().map(|(r, _)| r.clone()).collect::<Vec<_>>(), told[begins.last_lsn as usize..]);
    assert_eq!(damages.len(), 1, "{damages:?}");
    let mut opening = opened(&hurt).unwrap();
    let lsn = opening.checkpoints()[0].lsn;
    assert_eq!(folded(&mut opening, lsn + 1).unwrap(), told[lsn as usize..]);
    assert!(opening.report().gap.as_ref().is_some_and(|gap| gap.first_lsn == 1 && gap.through_lsn == lsn));
    // Another journal's page is a damaged segment and nothing more.
    let begin =
        Begin { number: 3, epoch: 1, first_lsn: 500, chain: 1, root: [1; 32], held_in: String::new() };
    let foreign = crate::Identity { journal_id: [9; 16], ..ID };
    whole.set_file("0000000003.seg", &begin.encode(&foreign));
    let (records, damages) = read_all(whole.reader()).unwrap();
    assert_eq!((records[0].0.lsn, damages[0].segment), (1, 3));
    assert!(matches!(damages[0].flaw, Flaw::Checksum | Flaw::Short), "{damages:?}");
}

#[test]
fn without_a_checkpoint_a_pruned_journal_is_not_opened_and_a_fold_from_the_first_record_is_refused() {
    let (disk, target, _) = archived(SMALL);
    let begins = pruned(&disk, &target, ALL).unwrap().pruned.unwrap();
    let mut opening = opened(&disk).unwrap();
    assert!(matches!(folded(&mut opening, 1), Err(OpenError::Pruned(found)) if found == begins));
    assert!(matches!(folded(&mut opening, begins.last_lsn), Err(OpenError::Pruned(_))));
    assert!(folded(&mut opening, begins.last_lsn + 1).is_ok());
    assert_eq!(opening.older(Lsn::MAX - 1).run().unwrap(), vec![]);
    drop(opening);
    let bare = disk.kill();
    for checkpoint in checkpoints(&bare.reader()).unwrap() {
        bare.remove_file(&checkpoint::name(checkpoint.lsn));
    }
    let names = bare.names();
    let error = opened(&bare).unwrap_err();
    assert!(matches!(&error, OpenError::Pruned(found) if *found == begins), "{error}");
    assert!(error.to_string().contains("/mnt/other"), "{error}");
    assert_eq!(bare.names(), names);
    let findings = verify(&bare.reader(), |_| ()).unwrap().findings;
    assert!(matches!(&findings[..], [Finding::Rot(gap)] if gap.first_lsn == 1), "{findings:?}");
    assert!(backup(&bare.reader(), &mut MemStorage::new(), &HOW, &mut |_| ()).is_err());
}

#[test]
fn what_an_opening_left_to_a_checkpoint_is_not_found_again_by_the_check_of_the_next_one() {
    let (disk, _) = grown(4, SMALL);
    let disk = disk.kill();
    disk.patch("0000000002.seg", 8_000, &[0xff; 4]);
    let mut writer = from_checkpoint(&disk);
    grow(&mut writer, 2, &mut Vec::new());
    mark_state(&mut writer);
    drop(writer);
    let mut opening = opened(&disk).unwrap();
    assert_eq!(opening.report().gap, None, "the first opening declared it");
    assert_eq!(opening.report().known_gaps.len(), 1);
    let lsn = opening.checkpoints()[0].lsn;
    folded(&mut opening, lsn + 1).unwrap();
    let check = opening.older(lsn);
    let (_writer, _) = opening.finish().unwrap();
    assert_eq!(check.run().unwrap(), vec![]);
}

proptest::proptest! {
    /// Whatever bit turns, wherever: what is shown is what was stored, and what is folded is that without a hole, behind the
    /// newest checkpoint that is left; or it is refused by name.
    #[test]
    fn any_turned_bit_shows_no_other_record_and_loses_none_in_silence(
        turns in proptest::collection::vec((0usize..16, 0u64..70_000, 0u8..8), 1..3),
        packed: bool,
    ) {
        let (disk, target, told) = archived(if packed { PACKED } else { SMALL });
        pruned(&disk, &target, ALL).expect("it is held");
        let names: Vec<String> = files(&disk).into_iter().filter(|name| name.contains('.')).collect();
        for (file, at, bit) in turns {
            let name = &names[file % names.len()];
            let mut bytes = disk.file(name).expect("it is listed");
            // Pages at the beginning, where the headers are, are as likely as all the rest.
            let at = if at % 2 == 0 { at / 2 % 300 } else { at } as usize % bytes.len();
            bytes[at] ^= 1 << bit;
            disk.set_file(name, &bytes);
        }
        if let Ok((records, _)) = read_all(disk.reader()) {
            for (record, _) in &records {
                proptest::prop_assert_eq!(record, &told[record.lsn as usize - 1]);
            }
        }
        let _ = heads(&disk.reader(), &[], |_| ());
        let before = disk.names();
        match opened(&disk) {
            Err(OpenError::Pruned(_) | OpenError::Newer { .. } | OpenError::Unidentified) => {
                proptest::prop_assert_eq!(disk.names(), before);
            }
            Err(e) => return Err(proptest::test_runner::TestCaseError::fail(e.to_string())),
            Ok(mut opening) => {
                let base = opening.checkpoints().first().map_or(0, |checkpoint| checkpoint.lsn);
                let records = folded(&mut opening, base + 1).expect("behind the checkpoint");
                let lost = opening.report().gap.is_some() || opening.report().cut.is_some();
                let end = told.len().min(base as usize + records.len());
                proptest::prop_assert_eq!(&records[..], &told[(base as usize).min(end)..end]);
                proptest::prop_assert!(end == told.len() || lost, "{} of {}", end, told.len());
            }
        }
    }
}

/// The root of a segment that recovery sealed stands in no seal and no header; what is hashed behind it later is hashed
/// upon the one that the begin page tells.
#[test]
fn what_follows_a_pruned_segment_whose_root_stood_nowhere_is_hashed_upon_the_begin_page() {
    let disk = MemStorage::new();
    let mut told = Vec::new();
    let mut writer = create(disk.clone(), ID, SMALL).expect("an empty disk");
    grow(&mut writer, 0, &mut told);
    drop(writer);
    let disk = disk.kill();
    let mut writer = recover(&disk).expect("it was only killed").0;
    for _ in 0..2 {
        grow(&mut writer, 0, &mut told);
        mark_state(&mut writer);
    }
    let second = writer.stats().rotations;
    assert_eq!(second, 0, "all of it is in segment 2");
    drop(writer);
    let (disk, target) = (disk.kill(), MemStorage::new());
    back_up(&disk, &target, HOW).expect("a whole journal");
    let begins = pruned(&disk, &target, ALL).unwrap().pruned.expect("segment 1 goes");
    assert_eq!(begins.segment, 1);
    let header = disk.file("0000000002.seg").expect("it is there");
    assert_eq!(header[72..104], [0; 32], "its header does not know what it continues");
    assert_ne!(begin_root(&disk), [0; 32]);
    goes_on(&disk, &told);
    // Also where nothing is left but the page and the checkpoints.
    let (whole, told_until) = (disk.fork(), told.len() as u64);
    whole.remove_file("0000000002.seg");
    let mut writer = from_checkpoint(&whole);
    assert!(writer.next_lsn() > told_until, "no LSN is given again");
    grow(&mut writer, 1, &mut Vec::new());
    drop(writer);
    // The next segment has the number of the one that nobody knows of, and is hashed upon the page as well.
    let report = verify(&whole.reader(), |_| ()).expect("a journal");
    assert!(report.findings.is_empty(), "{report:?}");
    let second = whole.file("0000000002.seg").expect("it is there");
    assert_eq!(second[72..104], begin_root(&whole), "its header names what it continues");
}

fn begin_root(disk: &MemStorage) -> [u8; 32] {
    disk.file("0000000001.seg").expect("the page")[72..104].try_into().expect("32 bytes")
}
