//! Crashes at every step, with every kind of aftermath: what was acknowledged survives, and what is
//! recovered is a prefix of what was appended.

use super::*;
use crate::{Fault, PowerCut, Row, Space};

/// How a process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Power(u64),
}

fn end(disk: &MemStorage, how: End) -> MemStorage {
    match how {
        End::Kill => disk.kill(),
        End::Power(seed) => disk.power_cut(PowerCut { seed, torn: true }),
    }
}

/// What a run acknowledged before it ended.
#[derive(Default, Clone)]
struct Told {
    appended: Vec<Owned>,
    acked: usize,
}

/// One life of a writer: appends, syncs every third batch, takes checkpoints, changes segment, stops cleanly.
/// Ends quietly at the first fault, as a process that died does.
fn life(disk: &MemStorage, told: &mut Told, batches: u64, seed: u64) {
    life_with(disk, told, batches, seed, SMALL);
}

fn life_with(disk: &MemStorage, told: &mut Told, batches: u64, seed: u64, config: Config) {
    let started = if disk.names().iter().any(|n| n.ends_with(".seg")) {
        recover_with(disk, config).map(|(writer, records, _)| {
            assert!(records.len() >= told.acked, "acknowledged records survive");
            assert_eq!(records, told.appended[..records.len()], "what is recovered is a prefix");
            told.appended.truncate(records.len());
            told.acked = records.len();
            writer
        })
    } else {
        create(disk.clone(), ID, config)
    };
    let Ok(mut writer) = started else {
        assert!(disk.crashed(), "only a crash stops a start: {:?}", started.err());
        return;
    };
    for n in 0..batches {
        // Batches of up to 30 KiB, so that two segments are changed within a few steps.
        let size = if n % 5 == 4 { 12_000 } else { 40 };
        let mut batch = batch_of(writer.next_lsn(), 1 + n % 3, seed);
        for record in &mut batch {
            record.payload.resize(size, seed as u8 ^ n as u8);
        }
        // From here on the records may reach the disk, whether or not this returns.
        let known = told.appended.len();
        told.appended.extend(batch.clone());
        if writer.append(&new_records(&batch), Room::Normal).is_err() {
            told.appended.truncate(known);
            return;
        }
        if n % 3 == 2 {
            if writer.sync().is_err() {
                return;
            }
            told.acked = told.appended.len();
        }
        if n % 7 == 5 {
            if writer.sync().is_err() {
                return;
            }
            told.acked = told.appended.len();
            let lsn = writer.durable_lsn();
            if writer.checkpoint(lsn, [seed as u8; 32], &lsn.to_le_bytes()).is_err() {
                return;
            }
        }
    }
    if writer.close().is_ok() {
        told.acked = told.appended.len();
    }
}

fn check_survivors(disk: &MemStorage, told: &Told, context: &str) {
    let mut opening = match opened(disk) {
        Ok(opening) => opening,
        Err(OpenError::NoJournal) if told.acked == 0 => return,
        Err(e) => panic!("{context}: {e}"),
    };
    let report = opening.report().clone();
    assert!(report.gap.is_none(), "{context}: a crash is never taken for rot: {report:?}");
    assert!(
        matches!(report.row, Row::B | Row::C | Row::D),
        "{context}: a crash meets rows B, C and D only: {report:?}"
    );
    // Seals, headers and checkpoints are durable before anything builds on them. A mark may be torn.
    assert!(
        report.notes.iter().all(|note| matches!(note, crate::Note::MarkDamaged { .. })),
        "{context}: {:?}",
        report.notes
    );
    let records = folded(&mut opening, 1).expect("readable");
    assert!(records.len() >= told.acked, "{context}: acknowledged records survive");
    assert_eq!(records, told.appended[..records.len()], "{context}: a prefix of what was appended");
    assert!(records.last().is_none_or(|r| r.batch_end), "{context}: whole batches only");
    if let Some(checkpoint) = opening.checkpoints().first() {
        assert_eq!(checkpoint.bytes, checkpoint.lsn.to_le_bytes(), "{context}");
        let lsn = checkpoint.lsn;
        assert!(lsn as usize <= records.len());
        let tail = folded(&mut opening, lsn + 1).expect("readable");
        assert_eq!(tail, records[lsn as usize..], "{context}");
    }
}

#[test]
fn a_crash_at_every_step_keeps_what_was_acknowledged() {
    let whole = MemStorage::new();
    life(&whole, &mut Told::default(), 24, 3);
    let steps = whole.ops();
    assert!(steps > 60, "the life has many steps: {steps}");
    for step in 0..=steps {
        let disk = MemStorage::new();
        disk.crash_after(step);
        let mut told = Told::default();
        life(&disk, &mut told, 24, 3);
        for how in (0..24).map(End::Power).chain([End::Kill]) {
            let after = end(&disk.fork(), how);
            check_survivors(&after, &told, &format!("step {step} of {steps}, {how:?}"));
        }
    }
}

#[test]
fn a_crash_at_every_step_of_recovery_is_recovered_from() {
    let mut nested = 0;
    for step in (20..90).step_by(3) {
        let disk = MemStorage::new();
        disk.crash_after(step);
        let mut told = Told::default();
        life(&disk, &mut told, 24, 5);
        for how in [End::Kill, End::Power(step), End::Power(step + 1000)] {
            let first = end(&disk.fork(), how);
            for second_step in 0..30 {
                let second = first.fork();
                second.crash_after(second_step);
                let mut told = told.clone();
                life(&second, &mut told, 3, 6);
                let finished = !second.crashed();
                for how in [End::Kill, End::Power(second_step), End::Power(second_step + 77)] {
                    let after = end(&second.fork(), how);
                    check_survivors(&after, &told, &format!("{step} {how:?} {second_step}"));
                    nested += 1;
                }
                if finished {
                    break;
                }
            }
        }
    }
    assert!(nested > 3000, "{nested} nested crashes were tried");
}

/// Whether nothing is left to be compressed, and nothing of an attempt is left.
fn is_packed(disk: &MemStorage) -> bool {
    let names = disk.names();
    let plain = names.iter().filter(|n| n.ends_with(".seg")).count();
    plain == 2 && !names.iter().any(|n| n == "pack.tmp")
}

#[test]
fn a_crash_at_every_step_of_compressing_leaves_every_segment_whole() {
    // Three segments wait to be compressed when the last opening of this begins.
    let before = MemStorage::new();
    let mut told = Told::default();
    life(&before, &mut told, 24, 3);
    life(&before, &mut told, 2, 4);
    life(&before, &mut told, 2, 5);
    let whole = before.fork();
    let first_step = whole.ops();
    life_with(&whole, &mut told.clone(), 9, 6, PACKED);
    assert!(is_packed(&whole), "{:?}", whole.names());
    let steps = whole.ops() - first_step;
    assert!(steps > 40, "{steps}");
    let mut both = 0;
    for step in 0..=steps {
        let disk = before.fork();
        disk.crash_after(step);
        let mut told = told.clone();
        life_with(&disk, &mut told, 9, 6, PACKED);
        for how in (0..24).map(End::Power).chain([End::Kill]) {
            let after = end(&disk.fork(), how);
            let context = format!("step {step} of {steps}, {how:?}");
            let names = after.names();
            both += usize::from(names.iter().any(|n| names.contains(&format!("{n}z"))));
            check_survivors(&after, &told, &context);
            if !matches!(how, End::Power(3..)) {
                // Whoever goes on with it finishes it; whoever goes on without it reads it.
                let without = after.fork();
                let mut later = told.clone();
                life(&without, &mut later, 3, 7);
                check_survivors(&without, &later, &context);
                life_with(&after, &mut told.clone(), 0, 8, PACKED);
                assert!(is_packed(&after), "{context}: {:?}", after.names());
                check_survivors(&after, &told, &context);
            }
        }
    }
    assert!(both > 3, "both names were met {both} times");
}

#[test]
fn many_lives_with_power_cuts_stay_one_journal() {
    for seed in 0..80 {
        let mut disk = MemStorage::new();
        let mut told = Told::default();
        for n in 0..6u64 {
            let step = (seed * 31 + n * 17) % 97;
            disk.crash_after(step);
            let config = if seed % 2 == 0 { SMALL } else { PACKED };
            life_with(&disk, &mut told, 12, seed * 10 + n, config);
            disk = end(&disk, if n % 2 == 0 { End::Power(seed ^ n) } else { End::Kill });
            check_survivors(&disk, &told, &format!("seed {seed} life {n}"));
        }
    }
}

#[test]
fn a_failed_sync_latches_and_is_not_tried_again() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let kept = append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 1, 1).unwrap();
    disk.fail_sync(1);
    let fault = writer.sync().unwrap_err();
    assert!(fault.is_latched());
    let syncs = disk.syncs();
    assert!(writer.sync().unwrap_err().is_latched());
    assert!(append(&mut writer, 1, 1).unwrap_err().is_latched());
    assert!(writer.mark().unwrap_err().is_latched());
    assert!(writer.checkpoint(2, [0; 32], &[]).unwrap_err().is_latched());
    assert_eq!(writer.durable_lsn(), 2);
    assert!(writer.close().unwrap_err().is_latched());
    assert_eq!(disk.syncs(), syncs, "no sync after the failed one");
    // The cache still shows the record; the device never got it. A restart believes the device.
    let after = disk.kill();
    let (_, records, _) = recover(&after).unwrap();
    assert_eq!(records, kept);
}

#[test]
fn a_failed_sync_at_every_place_never_loses_what_was_acknowledged() {
    for nth in 1..40 {
        let disk = MemStorage::new();
        disk.fail_sync(nth);
        let mut told = Told::default();
        let started = create(disk.clone(), ID, SMALL);
        if let Ok(mut writer) = started {
            for n in 0..30 {
                let mut batch = batch_of(writer.next_lsn(), 1, 4);
                batch[0].payload.resize(6_000, n as u8);
                told.appended.extend(batch.clone());
                if writer.append(&new_records(&batch), Room::Normal).is_err() {
                    told.appended.pop();
                    break;
                }
                if writer.sync().is_err() {
                    break;
                }
                told.acked = told.appended.len();
            }
        }
        let after = disk.kill();
        after.fail_sync(u64::MAX / 2); // the last ones are beyond this life and would meet the recovery
        check_survivors(&after, &told, &format!("sync {nth} fails"));
    }
}

#[test]
fn a_full_disk_leaves_the_reserve_to_exits() {
    for nth in 1..6 {
        let disk = MemStorage::new();
        disk.fail_allocation(nth);
        let Ok(mut writer) = create(disk.clone(), ID, SMALL) else {
            assert_eq!(nth, 1, "only the first segment is needed to begin");
            continue;
        };
        disk.disk_full(true);
        let mut kept = 0;
        let refusal = loop {
            let batch = batch_of(writer.next_lsn(), 1, 9);
            match writer.append(&new_records(&batch), Room::Normal) {
                Ok(_) => kept += 1,
                Err(fault) => break fault,
            }
            if kept == 9 {
                assert_eq!(
                    writer.space(),
                    Space::Normal,
                    "no next segment can be made, and half of this one is left"
                );
            }
        };
        assert!(
            matches!(refusal, Fault::Refused(crate::Refusal::OnlyReserve { records_left }) if records_left > 50),
            "{refusal:?}"
        );
        assert!(matches!(writer.space(), Space::ReserveOnly { .. }));
        let mut exits = 0;
        let refusal = loop {
            let batch = batch_of(writer.next_lsn(), 1, 9);
            match writer.append(&new_records(&batch), Room::Reserve) {
                Ok(_) => exits += 1,
                Err(fault) => break fault,
            }
        };
        assert!(matches!(refusal, Fault::Refused(crate::Refusal::Full)), "{refusal:?}");
        assert!(exits > 200, "half of a 64 KiB segment is kept: {exits}");
        writer.sync().unwrap();
        // Room again: the writer goes on by itself.
        disk.disk_full(false);
        append(&mut writer, 1, 9).unwrap();
        assert_eq!(writer.space(), Space::Normal);
        writer.close().unwrap();
        let (_, records, _) = recover(&disk).unwrap();
        assert_eq!(records.len(), kept + exits + 1);
    }
}

#[test]
fn a_sync_that_lies_is_found_out_by_the_mark_or_the_next_record() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    // Over several pages, so that its last one, where the next record begins, can land without its first.
    let mut batch = batch_of(writer.next_lsn(), 1, 1);
    batch[0].payload.resize(9_000, 1);
    writer.append(&new_records(&batch), Room::Normal).unwrap();
    disk.lie_sync(1);
    writer.sync().unwrap(); // record 1 is not on the device, and we were told that it is
    append(&mut writer, 1, 1).unwrap();
    let found = (0..200).filter(|seed| {
        let after = disk.fork().power_cut(PowerCut { seed: *seed, torn: false });
        match opened(&after) {
            Ok(opening) => opening.report().row == Row::E,
            Err(_) => false,
        }
    });
    // Some cuts leave the later record, which says that the first one was durable, and not the first one; others leave
    // nothing that could speak.
    let found = found.count();
    assert!((1..200).contains(&found), "{found} of 200 cuts were found out");
    for seed in 0..50 {
        let after = disk.fork().power_cut(PowerCut { seed, torn: true });
        let records = recover(&after).unwrap().1;
        assert!(records.len() <= 2);
    }
}
