//! Verification names what is wrong and where.

use crate::tests::*;
use crate::*;

#[test]
fn a_whole_journal_is_verified_with_progress() {
    let (disk, records) = specimen(30);
    let mut calls = 0;
    let report = verify(&Storage::reader(&disk), |progress| {
        calls += 1;
        assert!(progress.segment <= progress.segments);
    })
    .unwrap();
    assert_eq!((report.records, report.segments), (records.len() as u64, 1));
    assert_eq!(report.last_lsn, records.len() as u64);
    assert_eq!((report.identity, report.findings.len(), report.torn_tail), (ID, 0, None));
    assert_eq!(calls, 1);
}

#[test]
fn beside_a_live_writer_only_what_is_durable_is_judged() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 3, 1).unwrap();
    let report = verify(&writer.reader(), |_| ()).unwrap();
    assert_eq!((report.records, report.findings.len()), (3, 0));
}

#[test]
fn a_finding_names_file_offset_and_lsn() {
    let (disk, _) = specimen(30);
    disk.patch("0000000001.seg", 4096 + 40, &[1, 2, 3]);
    let report = verify(&Storage::reader(&disk), |_| ()).unwrap();
    let text = report.findings[0].to_string();
    assert!(text.starts_with("0000000001.seg offset 4096 LSN 1: "), "{text}");
    assert_eq!(report.last_lsn, 0);
}
