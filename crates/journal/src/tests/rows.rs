//! The rows of the recovery table, each met by a journal that was really brought into that state.

use super::*;
use crate::{Newer, PowerCut, Row};

const SEGMENT: &str = "0000000001.seg";

/// A journal whose first `synced` batches are durable and whose later ones, of 3 KiB each, are not.
fn unsynced(synced: u64, then: u64) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut records = Vec::new();
    for n in 0..synced + then {
        let mut batch = batch_of(writer.next_lsn(), 2, n);
        batch[1].payload.resize(3_000, n as u8);
        writer.append(&new_records(&batch), Room::Normal).unwrap();
        if n < synced {
            writer.sync().unwrap();
        }
        records.extend(batch);
    }
    (disk, records)
}

#[test]
fn row_a_and_b_a_clean_journal() {
    let (disk, records) = specimen(20);
    let (_, kept, report) = recover(&disk).unwrap();
    assert_eq!(kept, records);
    assert_eq!((report.row, report.cut, report.gap), (Row::B, None, None));
}

#[test]
fn rows_c_and_d_after_power_cuts_keep_copies() {
    let (mut torn, mut reordered) = (0, 0);
    for seed in 0..60 {
        let (disk, records) = unsynced(3, 8);
        let after = disk.power_cut(PowerCut { seed, torn: true });
        let before = after.file(SEGMENT).unwrap();
        let (_, kept, report) = recover(&after).unwrap();
        assert!(kept.len() >= 6, "what was synced is there");
        assert_eq!(kept, records[..kept.len()]);
        assert_eq!(report.gap, None);
        let Some(cut) = report.cut else { continue };
        match cut.row {
            Row::C => torn += 1,
            Row::D => {
                reordered += 1;
                assert!(cut.records > 0 && cut.last_lsn_seen > cut.first_lsn);
            }
            Row::A | Row::B | Row::E | Row::H | Row::J => panic!("{cut:?}"),
        }
        assert_eq!(report.copies.len(), 1);
        let copy = after.file(&report.copies[0]).unwrap();
        let range = cut.offset as usize..(cut.offset + cut.bytes) as usize;
        assert_eq!(copy, before[range], "the cut bytes are kept, every one");
    }
    assert!(torn > 3 && reordered > 3, "both rows were met: C {torn}, D {reordered}");
}

#[test]
fn row_e_rot_of_what_a_later_record_calls_durable() {
    let (disk, records) = specimen(20);
    disk.patch(SEGMENT, 4096 + 300, &[0xee; 8]);
    let (mut writer, kept, report) = recover(&disk).unwrap();
    let gap = report.gap.clone().unwrap();
    assert_eq!(report.row, Row::E);
    assert_eq!(gap.first_lsn as usize, kept.len() + 1);
    assert_eq!(gap.last_lsn as usize, records.len());
    assert!(gap.offset <= 4096 + 300 && gap.bytes > 0 && gap.intact_behind > 0);
    let before = disk.file(SEGMENT).unwrap();
    // The caller's record of the gap comes first, then work goes on.
    let first = append(&mut writer, 1, 1).unwrap()[0].lsn;
    assert_eq!(first, gap.last_lsn + 1);
    writer.close().unwrap();
    assert_eq!(disk.file(SEGMENT).unwrap(), before, "the damaged segment is never written again");
    let (shown, damages) = read_all(crate::Storage::reader(&disk)).unwrap();
    assert_eq!(damages, [], "declared damage is passed in silence");
    let behind: Vec<u64> = shown.iter().filter(|(_, after)| *after).map(|(r, _)| r.lsn).collect();
    assert_eq!(behind.len() as u64, gap.intact_behind);
    assert!(behind.iter().all(|lsn| (gap.first_lsn..=gap.last_lsn).contains(lsn)));
    assert_eq!(shown.last().map(|(r, after)| (r.lsn, *after)), Some((first, false)));
}

#[test]
fn row_e_the_last_batch_after_a_clean_stop() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 1, 1).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.close().unwrap();
    let bytes = disk.file(SEGMENT).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap();
    disk.patch(SEGMENT, end as u64, &[bytes[end] ^ 1]);
    let report = recover(&disk).unwrap().2;
    assert_eq!((report.row, report.last_lsn, report.next_lsn), (Row::E, 1, 3));
}

#[test]
fn row_h_a_newer_header_and_a_newer_record() {
    let (disk, _) = specimen(5);
    let knows: crate::Config = crate::Config { knows: |kind, _| kind < 5, ..SMALL };
    let refused = open(disk.clone(), EXPECT, knows).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { what: Newer::Record { .. }, .. }), "{refused}");

    let mut page = disk.file(SEGMENT).unwrap();
    let newer = crate::FORMAT_VERSION + 1;
    page[8] = newer as u8;
    let crc = crate::layout::crc32(0, &page[..232]);
    page[232..236].copy_from_slice(&crc.to_le_bytes());
    disk.set_file(SEGMENT, &page);
    let before = disk.names();
    let refused = opened(&disk).unwrap_err();
    assert!(
        matches!(refused, OpenError::Newer { what: Newer::Format { version }, .. } if version == newer),
        "{refused}"
    );
    assert!(refused.to_string().contains(&format!("format version {newer}")), "{refused}");
    assert_eq!(disk.names(), before, "nothing was changed");
}

#[test]
fn row_h_reading_goes_on_over_kinds_the_writer_does_not_know() {
    let (disk, records) = specimen(5);
    let (shown, _) = read_all(crate::Storage::reader(&disk)).unwrap();
    assert_eq!(shown.len(), records.len());
}

#[test]
fn rows_k_w_s_m_refuse_by_name() {
    let (disk, _) = specimen(3);
    let held = opened(&disk).unwrap();
    assert!(matches!(opened(&disk), Err(OpenError::Locked { pid: Some(_) })));
    drop(held);
    let other = Expect { journal_id: Some([9; 16]), ..EXPECT };
    assert!(matches!(open(disk.clone(), other, SMALL), Err(OpenError::WrongJournal { .. })));
    let other = Expect { schema: 7, ..EXPECT };
    assert!(matches!(
        open(disk.clone(), other, SMALL),
        Err(OpenError::WrongSchema { expected: 7, found: 1 })
    ));
    let other = Expect { mode: 9, ..EXPECT };
    assert!(matches!(open(disk.clone(), other, SMALL), Err(OpenError::WrongMode { expected: 9, found: 2 })));
    assert!(opened(&disk).is_ok());
    assert!(matches!(create(disk.clone(), ID, SMALL), Err(OpenError::NotEmpty { .. })));
    assert!(matches!(open(MemStorage::new(), EXPECT, SMALL), Err(OpenError::NoJournal)));
}

#[test]
fn a_journal_that_lost_its_only_header_is_opened_on_the_callers_word() {
    let (disk, records) = specimen(5);
    disk.patch(SEGMENT, 0, &[0; 512]);
    let unnamed = Expect { journal_id: None, ..EXPECT };
    assert!(matches!(open(disk.clone(), unnamed, SMALL), Err(OpenError::Unidentified)));
    let (_, kept, report) = recover(&disk).unwrap();
    assert_eq!(kept, records);
    assert_eq!(report.notes.len(), 1);
}

#[test]
fn row_h_a_flag_of_a_newer_program_is_refused_with_its_batch() {
    use crate::layout::{crc32, u32_at};
    let (disk, records) = specimen(20);
    let mut reader = crate::JournalReader::open(crate::Storage::reader(&disk)).unwrap();
    let mut offsets = Vec::new();
    while let Ok(Some(record)) = reader.next() {
        offsets.push(record.offset as usize);
    }
    // The last record of a batch of four, so that no other checksum continues its own.
    let (before, last) = (offsets[offsets.len() - 2], offsets[offsets.len() - 1]);
    let file = disk.file(SEGMENT).unwrap();
    let size = crate::frame::frame_bytes(records.last().unwrap().payload.len(), false);
    let mut frame = file[last..last + size].to_vec();
    let sum = |frame: &[u8]| crc32(crc32(u32_at(&file, before + 4), &frame[..4]), &frame[8..]);
    assert_eq!(sum(&frame), u32_at(&frame, 4), "its checksum as it was");
    frame[3] |= 1 << 3;
    let crc = sum(&frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    disk.patch(SEGMENT, last as u64, &frame);
    let refused = recover(&disk).err().unwrap();
    // A batch is taken whole or not at all: it is named by its first record.
    let first = records.last().unwrap().lsn - 3;
    assert!(
        matches!(refused, OpenError::Newer { what: Newer::Flags { lsn }, .. } if lsn == first),
        "{refused}"
    );
    let after = disk.file(SEGMENT).unwrap();
    assert_eq!(after[last..last + size], frame[..], "and nothing is cut");
}
