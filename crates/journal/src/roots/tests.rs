//! Roots: the same on a thread and in the caller, left out when they are not known, and never wrong.

use crate::layout::{NO_ROOT, Seal};
use crate::tests::*;
use crate::*;

fn seal_of(bytes: &[u8]) -> Seal {
    let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
    (0..=end).rev().filter(|at| at % 8 == 0).find_map(|at| Seal::decode(bytes.get(at..)?)).expect("a seal")
}

/// Fills and changes segments in a way that depends on nothing but its arguments.
fn filled<S: Storage>(storage: S) -> Writer<S> {
    let mut writer = create(storage, ID, SMALL).unwrap();
    while writer.stats().rotations < 3 {
        append(&mut writer, 3, 5).unwrap();
    }
    writer.sync().unwrap();
    writer
}

#[test]
fn a_thread_and_the_caller_come_to_the_same_roots() {
    let disk = MemStorage::new();
    drop(filled(disk.clone()));
    let dir = tempfile::tempdir().unwrap();
    drop(filled(DirStorage::new(dir.path()).unwrap()));
    let mut told = 0;
    for number in 1..=3 {
        let name = format!("{number:010}.seg");
        let ours = seal_of(&disk.file(&name).unwrap());
        let theirs = seal_of(&std::fs::read(dir.path().join(&name)).unwrap());
        assert_ne!(ours.root, NO_ROOT);
        // A thread may come too late, and then says nothing.
        assert!(theirs.root == ours.root || theirs.root == NO_ROOT);
        told += u32::from(theirs.root == ours.root);
        assert_eq!((theirs.last_lsn, theirs.chain), (ours.last_lsn, ours.chain));
    }
    println!("{told} of 3 roots came in time");
    let report = verify_dir(dir.path(), |_| ()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn a_segment_that_recovery_sealed_is_in_the_root_of_its_successor() {
    let (disk, records) = specimen(20);
    let mut writer = recover(&disk).unwrap().0;
    assert_eq!(seal_of(&disk.file("0000000001.seg").unwrap()).root, NO_ROOT);
    while writer.stats().rotations < 1 {
        append(&mut writer, 3, 5).unwrap();
    }
    writer.close().unwrap();
    assert_ne!(seal_of(&disk.file("0000000002.seg").unwrap()).root, NO_ROOT);
    assert!(verify(&Storage::reader(&disk), |_| ()).unwrap().findings.is_empty());
    // A change of the first segment that keeps every checksum right: only the root of the second can tell.
    let other = MemStorage::new();
    let mut forger = create(other.clone(), ID, SMALL).unwrap();
    let mut batch = records.clone();
    let last = batch.iter().rposition(|r| r.payload.len() > 8).unwrap();
    batch[last].payload[0] ^= 1;
    for batch in batch.chunk_by(|a, _| !a.batch_end) {
        forger.append(&new_records(batch), Room::Normal).unwrap();
        forger.sync().unwrap();
    }
    drop(forger);
    let (ours, theirs) = (disk.file("0000000001.seg").unwrap(), other.file("0000000001.seg").unwrap());
    let mut forged = ours.clone();
    forged[4096..].copy_from_slice(&theirs[4096..ours.len()]);
    let seal = Seal { chain: crate::layout::u32_at(&forged, last_checksum(&forged)), ..seal_of(&ours) };
    let at = forged.len() - 72;
    forged[at..].copy_from_slice(&seal.encode());
    disk.set_file("0000000001.seg", &forged);
    let findings = verify(&Storage::reader(&disk), |_| ()).unwrap().findings;
    assert!(!findings.is_empty(), "the forgery is found");
}

/// Offset of the stored checksum of the last record before the seal.
fn last_checksum(file: &[u8]) -> usize {
    let disk = MemStorage::new();
    disk.set_file("0000000001.seg", &file[..file.len() - 72]);
    let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
    let mut at = 0;
    while let Some(record) = reader.next().unwrap() {
        at = record.offset as usize + 4;
    }
    at
}

#[test]
fn a_segment_that_cannot_be_read_back_latches_at_its_end() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 3, 5).unwrap();
    disk.read_error("0000000001.seg", 1);
    let fault = loop {
        if let Err(fault) = append(&mut writer, 3, 5) {
            break fault;
        }
    };
    assert!(fault.is_latched(), "{fault:?}");
    assert!(fault.to_string().contains("read back"), "{fault}");
    assert_eq!(disk.names().iter().filter(|n| n.ends_with(".seg")).count(), 1, "no segment builds on it");
}

#[test]
fn what_a_writer_did_not_live_to_trim_the_next_opening_trims() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    while writer.stats().rotations < 2 {
        append(&mut writer, 3, 5).unwrap();
    }
    writer.sync().unwrap();
    drop(writer);
    let trimmed = disk.file("0000000001.seg").unwrap();
    assert!(trimmed.len() < 64 << 10);
    let mut longer = trimmed.clone();
    longer.resize(64 << 10, 0);
    for base in [false, true] {
        let disk = disk.fork();
        disk.set_file("0000000001.seg", &longer);
        if base {
            let mut writer = recover(&disk).unwrap().0;
            append(&mut writer, 1, 1).unwrap();
            let lsn = writer.sync().unwrap();
            writer.checkpoint(lsn, [0; 32], b"").unwrap();
            drop(writer);
            disk.set_file("0000000001.seg", &longer);
        }
        assert!(verify(&Storage::reader(&disk), |_| ()).unwrap().findings.is_empty());
        let (shown, damages) = read_all(Storage::reader(&disk)).unwrap();
        assert!(damages.is_empty() && !shown.is_empty());
        let (_, _, report) = recover(&disk).unwrap();
        assert_eq!((report.row, report.notes), (Row::B, vec![]));
        assert_eq!(disk.file("0000000001.seg").unwrap(), trimmed);
    }
}
