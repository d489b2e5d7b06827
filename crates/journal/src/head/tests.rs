//! Heads: what they commit to, that they never change, and that a rewritten history cannot keep one.

use crate::tests::*;
use crate::*;

/// A journal over several segments; `edit` may change a batch before it is appended.
fn written(batches: u64, config: Config, edit: impl Fn(&mut Vec<Owned>)) -> (MemStorage, Vec<Owned>) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, config).unwrap();
    let mut records = Vec::new();
    for n in 0..batches {
        let mut batch = batch_of(writer.next_lsn(), 1 + n % 4, 7);
        edit(&mut batch);
        writer.append(&new_records(&batch), Room::Normal).unwrap();
        writer.sync().unwrap();
        records.extend(batch);
    }
    writer.close().unwrap();
    (disk, records)
}

fn ends(records: &[Owned]) -> Vec<Lsn> {
    records.iter().filter(|r| r.batch_end).map(|r| r.lsn).collect()
}

fn all_heads(disk: &MemStorage, wanted: &[Lsn]) -> Heads {
    heads(&Storage::reader(disk), wanted, |_| ()).unwrap()
}

#[test]
fn a_head_is_the_hash_that_the_document_names() {
    let (disk, records) = written(900, SMALL, |_| ());
    let found = all_heads(&disk, &ends(&records));
    assert_eq!(found.asked.iter().map(|h| h.lsn).collect::<Vec<_>>(), ends(&records));
    assert_eq!((found.last, found.holes.len()), (found.asked.last().copied(), 0));
    // Again from the files, with nothing of this crate but where records end.
    let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
    let (mut before, mut segment, mut roots) = ([0; 32], 0, Vec::new());
    let mut last = [0; 32];
    while let Some(record) = reader.next().unwrap() {
        if record.segment != segment {
            (before, segment) = (last, record.segment);
        }
        let size = 32 + if record.batch_first { 8 } else { 0 } + record.payload.len();
        let end = record.offset as usize + size.next_multiple_of(8);
        if record.batch_end {
            let bytes = disk.file(&format!("{segment:010}.seg")).unwrap();
            let mut hasher = blake3::Hasher::new();
            hasher.update(&bytes[..3072]).update(&bytes[4096..end]).update(&before);
            last = *hasher.finalize().as_bytes();
            roots.push(Head { lsn: record.lsn, root: last });
        }
    }
    assert!(segment > 2, "several segments");
    assert_eq!(found.asked, roots);
}

#[test]
fn a_head_stays_what_it_is_whoever_goes_on() {
    let (disk, records) = written(900, SMALL, |_| ());
    let wanted: Vec<Lsn> = ends(&records).into_iter().step_by(7).collect();
    let before = all_heads(&disk, &wanted).asked;
    let mut writer = recover(&disk).unwrap().0;
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    assert_eq!(all_heads(&disk, &wanted).asked, before, "beside a live writer, after a recovery");
    drop(writer);
    let mut writer = recover_with(&disk, PACKED).unwrap().0;
    for n in 0..600 {
        append(&mut writer, 4, n).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    assert!(disk.names().iter().any(|name| name.ends_with(".segz")), "something was compressed");
    assert_eq!(all_heads(&disk, &wanted).asked, before, "compressed");
}

#[test]
fn a_history_rewritten_with_all_its_checksums_is_found_out() {
    let (disk, records) = written(900, SMALL, |_| ());
    let changed = 1_000;
    let (forged, others) = written(900, SMALL, |batch| {
        for record in batch.iter_mut().filter(|r| r.lsn == changed) {
            record.time_ns += 1;
        }
    });
    let report = verify(&Storage::reader(&forged), |_| ()).unwrap();
    assert_eq!((report.findings.len(), report.records), (0, records.len() as u64), "every checksum is right");
    assert_ne!(records, others);
    let (honest, forged) = (all_heads(&disk, &ends(&records)), all_heads(&forged, &ends(&others)));
    for (a, b) in honest.asked.iter().zip(&forged.asked) {
        assert_eq!(a == b, a.lsn < changed, "record {}", a.lsn);
    }
}

#[test]
fn what_is_not_there_has_no_head() {
    let (disk, records) = written(10, SMALL, |_| ());
    let inside = records.iter().find(|r| !r.batch_end).unwrap().lsn;
    let beyond = records.len() as u64 + 1;
    assert_eq!(all_heads(&disk, &[inside, beyond]).asked, []);
    assert_eq!(all_heads(&create_empty(), &[1]).last, None);
}

fn create_empty() -> MemStorage {
    let disk = MemStorage::new();
    drop(create(disk.clone(), ID, SMALL).unwrap());
    disk
}

#[test]
fn behind_a_hole_the_next_header_is_built_on() {
    let (disk, records) = written(900, SMALL, |_| ());
    let wanted = ends(&records);
    let before = all_heads(&disk, &wanted).asked;
    disk.patch("0000000001.seg", 4096 + 40, &[1, 2, 3]);
    let after = all_heads(&disk, &wanted);
    assert_eq!(after.holes, vec![1]);
    assert!(!after.asked.is_empty());
    assert!(after.asked.iter().all(|head| before.contains(head)), "a root that was told in time stands");
}

#[test]
fn a_head_is_spelled_as_it_is_read() {
    let head = Head { lsn: 7, root: core::array::from_fn(|n| n as u8 * 7) };
    assert_eq!(head.to_string().parse(), Ok(head));
    for wrong in
        ["", "7", "0:", "7:00", "x:00", &format!("0:{}", "0".repeat(64)), &format!("1:+{}", "0".repeat(63))]
    {
        assert!(wrong.parse::<Head>().is_err(), "{wrong}");
    }
}
