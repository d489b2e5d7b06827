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
    rotate(&mut writer, 3, 5);
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
    rotate(&mut writer, 1, 5);
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
    rotate(&mut writer, 2, 5);
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

/// Two lives: a segment that recovery sealed, so that its root stands nowhere, and one behind it.
fn two_lives(forged: bool) -> MemStorage {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut batch = batch_of(1, 3, 5);
    batch[1].payload = vec![u8::from(forged); 40];
    writer.append(&new_records(&batch), Room::Normal).unwrap();
    writer.sync().unwrap();
    drop(writer);
    let mut writer = recover(&disk).unwrap().0;
    rotate(&mut writer, 1, 5);
    writer.close().unwrap();
    disk
}

#[test]
fn a_rewritten_segment_whose_root_stood_nowhere_is_found_out_by_the_root_behind_it() {
    let (ours, theirs) = (two_lives(false), two_lives(true));
    assert!(verify(&Storage::reader(&theirs), |_| ()).unwrap().findings.is_empty());
    // Every checksum, chain value and seal is made anew; only the root of the second segment is left as it was.
    let name = "0000000002.seg";
    let kept = seal_of(&ours.file(name).unwrap()).root;
    let mut bytes = theirs.file(name).unwrap();
    let seal = seal_of(&bytes);
    assert_ne!((seal.root, kept), (kept, NO_ROOT));
    let at = bytes.len() - 72;
    bytes[at..].copy_from_slice(&Seal { root: kept, ..seal }.encode());
    theirs.set_file(name, &bytes);
    let third = theirs.file("0000000003.seg").unwrap();
    let mut header = crate::layout::Header::decode(&third).unwrap();
    header.root_before = kept;
    let marks = third[3072..4096].to_vec();
    theirs.patch("0000000003.seg", 0, &header.encode());
    theirs.patch("0000000003.seg", 3072, &marks);
    let findings = verify(&Storage::reader(&theirs), |_| ()).unwrap().findings;
    let [Finding::Rot(gap)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((gap.segment, gap.flaw), (2, Flaw::Seal));
}

// The steps themselves, whatever portions they come in.

use super::{AHEAD_BYTES, Before, LAG_BYTES_MAX, PORTION_BYTES, Unhashed, Work};
use crate::layout::{Header, PAGE_BYTES, Root};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

fn work(disk: &MemStorage) -> Work<MemStorage> {
    Work {
        read: Storage::reader(disk),
        names: Storage::names(disk).expect("a simulated disk"),
        stop: Arc::new(AtomicBool::new(false)),
        before: Some(NO_ROOT),
        backlog: Default::default(),
        hashing: None,
        buffer: Vec::new(),
    }
}

/// A file with the header of segment `number` and bytes behind it up to `end`, and its root upon another.
fn stored(disk: &MemStorage, number: u64, end: u64) -> Header {
    let header = Header {
        version: 2,
        identity: ID,
        number,
        epoch: 1,
        first_lsn: number * 1000,
        segment_bytes: end + 4096,
        chain: 7,
        root_before: NO_ROOT,
        gaps: Vec::new(),
    };
    let mut bytes = header.encode().to_vec();
    bytes.extend((bytes.len() as u64..end).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8));
    disk.set_file(&format!("{number:010}.seg"), &bytes);
    header
}

fn root_of(disk: &MemStorage, header: &Header, end: u64, before: &Root) -> Root {
    let bytes = disk.file(&format!("{:010}.seg", header.number)).expect("it is there");
    let mut hasher = header.root_hasher();
    hasher.update(&bytes[PAGE_BYTES as usize..end as usize]);
    header.root(hasher, before)
}

proptest! {
    #[test]
    fn a_root_is_the_same_in_whatever_portions_its_segment_is_taken(
        words in 0_u64..80_000,
        cuts in proptest::collection::vec(0_u64..80_000, 0..6),
        fast: bool,
    ) {
        let disk = MemStorage::new();
        let end = PAGE_BYTES + words * 8;
        let header = stored(&disk, 1, end);
        let mut work = work(&disk);
        work.hashing = Some(work.hashing(header.clone(), None));
        let mut cuts: Vec<u64> = cuts.into_iter().filter(|cut| *cut <= words).collect();
        cuts.sort_unstable();
        for cut in cuts {
            work.reached(PAGE_BYTES + cut * 8, fast);
            prop_assert_eq!(work.hashing.as_ref().map(|hashing| hashing.taken), Some(PAGE_BYTES + cut * 8));
        }
        prop_assert_eq!(work.finish(end).ok(), Some(Some(root_of(&disk, &header, end, &NO_ROOT))));
    }
}

#[test]
fn a_backlog_is_worked_off_by_portions_and_the_present_segment_waits_behind_it() {
    let disk = MemStorage::new();
    let ends = [PAGE_BYTES + 3 * PORTION_BYTES, PAGE_BYTES + PORTION_BYTES + 8, PAGE_BYTES + 80];
    let headers: Vec<Header> = (1..).zip(ends).map(|(number, end)| stored(&disk, number, end)).collect();
    let first = [5; 32];
    let mut root = first;
    for (header, end) in headers.iter().zip(ends) {
        root = root_of(&disk, header, end, &root);
    }
    let backlog =
        || (0..2).map(|n| Unhashed { header: headers[n].clone(), end: ends[n] }).collect::<Vec<_>>();
    let mut late = work(&disk);
    late.carry_out(super::Command::Backlog(Before { root: first, unhashed: backlog() }));
    late.hashing = Some(late.hashing(headers[2].clone(), None));
    assert_eq!(late.finish(ends[2]).expect("a good disk"), None, "it would be waited for");
    // Three portions, two, and one.
    let portions = std::iter::repeat_with(|| late.work_off()).take_while(|more| *more).count();
    assert_eq!((portions, late.before), (6, Some(root)));
    // Worked off before, there is nothing to wait for.
    let mut early = work(&disk);
    early.carry_out(super::Command::Backlog(Before { root: first, unhashed: backlog() }));
    while early.work_off() {}
    early.hashing = Some(early.hashing(headers[2].clone(), None));
    assert_eq!(early.finish(ends[2]).expect("a good disk"), Some(root));
    // Rot in it: the root is not known, and neither is any that builds on it.
    disk.read_error("0000000001.seg", 3);
    let mut rotten = work(&disk);
    rotten.carry_out(super::Command::Backlog(Before { root: first, unhashed: backlog() }));
    while rotten.work_off() {}
    rotten.hashing = Some(rotten.hashing(headers[2].clone(), None));
    assert_eq!(rotten.finish(ends[2]).expect("its own file is good"), None);
}

#[test]
fn what_would_take_long_to_hash_is_not_waited_for() {
    let disk = MemStorage::new();
    for (more, waits) in [(0, false), (8, true)] {
        let end = PAGE_BYTES + LAG_BYTES_MAX + more;
        let header = stored(&disk, 1, end);
        let mut work = work(&disk);
        work.hashing = Some(work.hashing(header.clone(), None));
        let root = root_of(&disk, &header, end, &NO_ROOT);
        assert_eq!(work.finish(end).expect("a good disk"), (!waits).then_some(root), "{more}");
        while work.work_off() {}
        assert_eq!(work.before, Some(root));
    }
}

#[test]
fn a_writer_that_goes_away_wants_no_roots() {
    let disk = MemStorage::new();
    let end = PAGE_BYTES + 800;
    let header = stored(&disk, 1, end);
    let mut work = work(&disk);
    work.hashing = Some(work.hashing(header, None));
    work.stop.store(true, Ordering::Relaxed);
    assert_eq!(work.finish(end).expect("nothing is read"), None);
    assert!(work.work_off(), "there was something");
    assert_eq!((work.work_off(), work.before), (false, None));
}

#[test]
fn without_a_handle_to_read_with_a_root_waits_and_a_short_file_is_an_error() {
    let disk = MemStorage::new();
    let end = PAGE_BYTES + 800;
    let header = stored(&disk, 1, end);
    let mut work = work(&disk);
    work.hashing = Some(work.hashing(header.clone(), None));
    disk.handles_used_up(true);
    assert_eq!(work.finish(end).expect("it says nothing of the file"), None);
    assert!(!work.work_off(), "not now");
    disk.handles_used_up(false);
    assert!(work.work_off());
    assert_eq!(work.before, Some(root_of(&disk, &header, end, &NO_ROOT)));
    work.hashing = Some(work.hashing(header, None));
    let error = work.finish(end + 8).expect_err("eight bytes are missing").to_string();
    assert!(error.contains("read back") && error.contains("0000000001.seg"), "{error}");
    assert!(error.contains("shorter than what was stored"), "{error}");
}

#[test]
fn pages_ahead_of_a_fast_writer_are_touched_once() {
    let disk = MemStorage::new();
    let header = stored(&disk, 1, PAGE_BYTES + 4 * AHEAD_BYTES);
    let mut work = work(&disk);
    let touched = Arc::new(Mutex::new(Vec::new()));
    let seen = touched.clone();
    let ahead: crate::storage::TouchAhead =
        Box::new(move |from, bytes| seen.lock().expect("no panic").push((from, bytes)));
    work.hashing = Some(work.hashing(header, Some(ahead)));
    let (a, b, c) = (PAGE_BYTES + 800, PAGE_BYTES + 8_000, PAGE_BYTES + 3 * AHEAD_BYTES);
    for (offset, fast) in [(PAGE_BYTES, false), (a, true), (b, true), (b, true), (c, true)] {
        work.reached(offset, fast);
    }
    let expected = [(a, AHEAD_BYTES), (a + AHEAD_BYTES, b - a), (b + AHEAD_BYTES, 0), (c, AHEAD_BYTES)];
    assert_eq!(*touched.lock().expect("no panic"), expected);
}
