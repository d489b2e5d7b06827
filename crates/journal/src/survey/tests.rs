//! What a survey tells of damage that several facts speak of at once.

use crate::decide::Row;
use crate::layout::{PAGE_BYTES, SEAL_BYTES};
use crate::segment::segment_name;
use crate::tests::*;
use crate::{DeclaredGap, JournalReader, MemStorage, Room, Storage, create, verify};

/// A journal of at least four segments, each batch synced, and the first LSN of each segment.
fn long(seed: u64) -> (MemStorage, Vec<Owned>, Vec<u64>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).expect("an empty disk");
    let mut told = Vec::new();
    while writer.stats().rotations < 4 {
        let mut batch = batch_of(writer.next_lsn(), 3, seed);
        // As long as ever, whatever the seed: segments of two histories begin with the same records.
        batch.iter_mut().for_each(|record| record.payload.resize(1_500, seed as u8));
        writer.append(&new_records(&batch), Room::Normal).expect("room");
        writer.sync().expect("a good disk");
        told.extend(batch);
    }
    drop(writer);
    let disk = disk.kill();
    let starts = JournalReader::open(Storage::reader(&disk)).expect("a journal").segments().expect("headers");
    (disk, told, starts.into_iter().map(|(_, lsn)| lsn).collect())
}

#[test]
fn a_segment_that_lost_its_end_costs_no_more_than_that() {
    let (disk, told, starts) = long(1);
    let name = segment_name(2);
    let bytes = disk.file(&name).expect("it is there");
    let middle = bytes.len() / 2;
    disk.patch(&name, middle as u64, &vec![0xee; bytes.len() - middle]);
    let mut opening = opened(&disk).expect("it opens");
    let gap = opening.report().gap.clone().expect("rot");
    assert_eq!((gap.segment, opening.report().gaps.len()), (2, 1), "{:?}", opening.report().gaps);
    assert!(gap.first_lsn > starts[1] + 3 && gap.first_lsn < starts[2], "{gap:?} {starts:?}");
    assert_eq!(folded(&mut opening, 1).expect("the prefix"), told[..gap.first_lsn as usize - 1]);
    assert_eq!(gap.intact_behind, told.len() as u64 + 1 - starts[2]);
}

#[test]
fn a_segment_of_another_history_and_the_one_before_it_are_both_in_doubt_and_what_is_behind_is_counted() {
    let (disk, told, starts) = long(1);
    let (other, _, others) = long(2);
    assert_eq!(starts, others, "both begin their segments alike");
    disk.set_file(&segment_name(2), &other.file(&segment_name(2)).expect("it is there"));
    let report = verify(&Storage::reader(&disk), |_| ()).expect("a journal");
    let opening = opened(&disk).expect("it opens");
    let gaps = &opening.report().gaps;
    assert_eq!(report.findings.len(), gaps.len());
    let behind = |from: u64| told.len() as u64 + 1 - from;
    let found: Vec<_> = gaps.iter().map(|gap| (gap.segment, gap.first_lsn, gap.intact_behind)).collect();
    assert_eq!(found, [(1, 1, behind(starts[1])), (2, starts[1], behind(starts[2]))]);
}

#[test]
fn a_seal_behind_which_a_file_was_cut_proves_what_is_before_it() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).expect("an empty disk");
    for n in 0..6 {
        append(&mut writer, 2, n).expect("room");
        writer.sync().expect("a good disk");
    }
    drop(writer);
    drop(recover(&disk).expect("it opens"));
    let bytes = disk.file(&segment_name(1)).expect("it is there");
    let end = bytes.iter().rposition(|b| *b != 0).expect("records") + 1;
    // The root of a segment that recovery sealed is not known, and so its last bytes are zeros.
    let sealed = (PAGE_BYTES as usize..end)
        .rev()
        .find(|at| {
            crate::layout::Seal::decode(bytes.get(*at..at + SEAL_BYTES as usize).unwrap_or(&[])).is_some()
        })
        .expect("a seal");
    let (alone, torn) = (MemStorage::new(), sealed - 20);
    let mut cut = bytes[..sealed + SEAL_BYTES as usize].to_vec();
    cut[3072..4096].fill(0);
    cut[torn] ^= 1;
    alone.set_file(&segment_name(1), &cut);
    let report = opened(&alone).expect("it opens").report().clone();
    assert_eq!((report.row, report.cut, report.last_lsn), (Row::E, None, 10), "{:?}", report.gap);
    // In a file as long as it was allocated, the same seal may have come to the disk before the records.
    let whole = MemStorage::new();
    cut.resize(SMALL.segment_bytes as usize, 0);
    whole.set_file(&segment_name(1), &cut);
    let report = opened(&whole).expect("it opens").report().clone();
    assert_eq!((report.row, report.last_lsn, report.gap), (Row::C, 10, None));
}

/// Somebody finds a whole copy of what was declared lost and puts it back: nothing is found that does not fit, and what
/// was declared stays declared.
#[test]
fn a_segment_that_comes_back_whole_after_its_loss_was_declared_is_no_new_loss() {
    let (disk, told, starts) = long(1);
    let name = segment_name(starts.len() as u64);
    let whole = disk.file(&name).expect("it is there");
    // Nothing of it can be read, so how many records it held is not known: their LSNs are never given again.
    disk.patch(&name, 50, &[0xff]);
    disk.patch(&name, PAGE_BYTES + 41, &[0xff]);
    let (mut writer, _, report) = recover(&disk).expect("it opens");
    assert!(report.next_lsn > told.len() as u64 + 1, "{report:?}");
    let ours = append(&mut writer, 2, 3).expect("room");
    writer.close().expect("a good disk");
    disk.set_file(&name, &whole);
    let mut opening = opened(&disk).expect("it opens");
    let first_lsn = *starts.last().expect("segments");
    let declared = DeclaredGap { first_lsn, through_lsn: ours[0].lsn - 1, by_checkpoint: false };
    let report = opening.report();
    assert_eq!((&report.gap, &report.known_gaps), (&None, &vec![declared]));
    let kept = [&told[..first_lsn as usize - 1], &ours].concat();
    assert_eq!(folded(&mut opening, 1).expect("the rest"), kept);
    assert!(verify(&Storage::reader(&disk), |_| ()).expect("a journal").findings.is_empty());
}
