//! Reading in order, beside a live writer, and around gaps.

use crate::tests::*;
use crate::*;

fn drain<R: StorageRead>(reader: &mut JournalReader<R>) -> Vec<u64> {
    let mut out = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        out.push(record.lsn);
    }
    out
}

#[test]
fn a_reader_follows_what_is_durable_through_changes_of_segment() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut durable = JournalReader::open(writer.reader()).unwrap();
    let mut all = JournalReader::open(writer.reader()).unwrap().durable_only(false);
    assert_eq!(durable.identity(), ID);
    assert_eq!((drain(&mut durable), drain(&mut all)), (vec![], vec![]));
    let (mut seen_durable, mut seen_all) = (Vec::new(), Vec::new());
    let mut n = 0;
    while writer.stats().rotations < 3 {
        n += 1;
        append(&mut writer, 1 + n % 3, n).unwrap();
        if n % 5 == 0 {
            writer.sync().unwrap();
        }
        seen_durable.extend(drain(&mut durable));
        seen_all.extend(drain(&mut all));
        let known = |seen: &[u64]| seen.last().copied().unwrap_or(0);
        assert_eq!(known(&seen_durable), writer.durable_lsn(), "after batch {n}");
        // While a segment is being changed the next file has no name yet, and its records cannot be seen.
        assert!(
            (writer.durable_lsn()..=writer.appended_lsn()).contains(&known(&seen_all)),
            "after batch {n}"
        );
        if n % 5 == 0 {
            assert_eq!(known(&seen_all), writer.appended_lsn(), "after batch {n}");
        }
    }
    writer.close().unwrap();
    seen_durable.extend(drain(&mut durable));
    let expected: Vec<u64> = (1..=seen_durable.len() as u64).collect();
    assert_eq!(seen_durable, expected, "each record once, in order");
    // The same readers go on when another process takes over.
    let mut writer = recover(&disk).unwrap().0;
    append(&mut writer, 2, 1).unwrap();
    writer.sync().unwrap();
    assert_eq!(drain(&mut durable).len(), 2);
}

#[test]
fn a_reader_follows_a_writer_in_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(DirStorage::new(dir.path()).unwrap(), ID, SMALL).unwrap();
    let mut reader = JournalReader::open_dir(dir.path()).unwrap();
    const TOTAL: u64 = 3_000;
    let writing = std::thread::spawn(move || {
        while writer.next_lsn() <= TOTAL {
            let first = writer.next_lsn();
            append(&mut writer, 1 + first % 4, 5).unwrap();
            if first.is_multiple_of(3) {
                writer.sync().unwrap();
            }
        }
        writer.sync().unwrap();
        let last = writer.durable_lsn();
        writer.close().unwrap();
        last
    });
    let mut next = 1;
    while next <= TOTAL {
        match reader.next().unwrap() {
            Some(record) => {
                assert_eq!(record.lsn, next);
                assert!(!record.after_gap);
                next += 1;
            }
            None => std::thread::yield_now(),
        }
    }
    let last = writing.join().unwrap();
    while let Some(record) = reader.next().unwrap() {
        assert_eq!(record.lsn, next);
        next += 1;
    }
    assert_eq!(next, last + 1);
}

#[test]
fn seek_starts_at_any_record() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let mut total = 0;
    while writer.stats().rotations < 2 {
        total += append(&mut writer, 1 + total % 3, 2).unwrap().len() as u64;
    }
    writer.close().unwrap();
    let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
    for lsn in (1..=total).step_by(37).chain([total, total + 1, 1]) {
        reader.seek(lsn).unwrap();
        let first = reader.next().unwrap().map(|r| r.lsn);
        assert_eq!(first, (lsn <= total).then_some(lsn));
        assert_eq!(reader.position(), first.unwrap_or(reader.position()));
    }
}

#[test]
fn a_torn_tail_is_the_end_and_not_damage() {
    let (disk, records) = specimen(12);
    let name = "0000000001.seg";
    let bytes = disk.file(name).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap();
    disk.patch(name, end as u64 - 3, &[0; 4]);
    let (shown, damages) = read_all(Storage::reader(&disk)).unwrap();
    assert_eq!(damages, []);
    assert!(shown.len() < records.len());
    assert!(shown.last().unwrap().0.batch_end);
}

#[test]
fn a_live_file_is_believed_only_while_its_writer_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(DirStorage::new(dir.path()).unwrap(), ID, SMALL).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 1, 1).unwrap();
    let read = DirReader::new(dir.path()).unwrap();
    let live = read.live().unwrap().unwrap();
    assert_eq!((live.segment, live.durable_lsn), (1, 1));
    let mut reader = JournalReader::open_dir(dir.path()).unwrap();
    assert_eq!(drain(&mut reader), [1]);
    drop(writer); // gone without a sync, and without taking its live file along
    assert!(dir.path().join("live").exists());
    assert_eq!(read.live().unwrap(), None);
    assert_eq!(drain(&mut reader), [2], "what a recovery would keep");
}

/// A directory that counts what is asked of it.
struct Counting {
    read: MemReader,
    asked: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Counting {
    fn count(&self) {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

impl StorageRead for Counting {
    type Source = MemSource;

    fn list(&self) -> std::io::Result<Vec<Entry>> {
        self.count();
        self.read.list()
    }

    fn open(&self, name: &str) -> std::io::Result<MemSource> {
        self.count();
        self.read.open(name)
    }

    fn live(&self) -> std::io::Result<Option<Live>> {
        self.read.live()
    }

    fn writer_is_alive(&self) -> std::io::Result<bool> {
        self.read.writer_is_alive()
    }
}

#[test]
fn a_poll_and_a_new_record_open_and_list_nothing() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    let asked = std::sync::Arc::default();
    let mut reader =
        JournalReader::open(Counting { read: writer.reader(), asked: std::sync::Arc::clone(&asked) })
            .unwrap();
    assert_eq!(drain(&mut reader), [1, 2, 3]);
    let before = asked.load(std::sync::atomic::Ordering::Relaxed);
    for n in 0..50 {
        assert_eq!(drain(&mut reader), []);
        append(&mut writer, 1, n).unwrap();
        assert_eq!(drain(&mut reader), [], "not durable yet");
        writer.sync().unwrap();
        assert_eq!(drain(&mut reader), [4 + n]);
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), before);
}

/// A directory whose durable end is told by the test.
struct Published {
    read: MemReader,
    live: std::sync::Arc<std::sync::Mutex<Option<Live>>>,
}

impl StorageRead for Published {
    type Source = MemSource;

    fn list(&self) -> std::io::Result<Vec<Entry>> {
        self.read.list()
    }

    fn open(&self, name: &str) -> std::io::Result<MemSource> {
        self.read.open(name)
    }

    fn live(&self) -> std::io::Result<Option<Live>> {
        Ok(*self.live.lock().unwrap())
    }

    fn writer_is_alive(&self) -> std::io::Result<bool> {
        self.read.writer_is_alive()
    }
}

#[test]
fn a_segment_whose_durable_end_is_not_published_yet_holds_nothing() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    rotate(&mut writer, 1, 1);
    writer.sync().unwrap();
    let end = disk.file("0000000001.seg").unwrap().len() as u64 - SEAL_BYTES;
    let before = crate::layout::u64_at(&disk.file("0000000002.seg").unwrap(), 48);
    let now = Storage::reader(&disk).live().unwrap().expect("its writer lives");
    assert_eq!(now.segment, 2);
    // Between the rename and the publishing, a reader finds the file and not how far it may be believed.
    let old = Live { segment: 1, offset: end, durable_lsn: before - 1 };
    let live = std::sync::Arc::new(std::sync::Mutex::new(Some(old)));
    let read = || Published { read: writer.reader(), live: live.clone() };
    let mut reader = JournalReader::open(read()).unwrap();
    assert_eq!(drain(&mut reader).last(), Some(&(before - 1)));
    let mut behind = JournalReader::open(read()).unwrap();
    behind.seek(before).unwrap();
    assert_eq!(drain(&mut behind), []);
    *live.lock().unwrap() = Some(now);
    let all: Vec<u64> = (before..=now.durable_lsn).collect();
    assert_eq!((drain(&mut reader), drain(&mut behind)), (all.clone(), all));
}

#[test]
fn a_reader_that_met_damage_at_the_end_goes_on_with_what_a_recovery_begins_behind_it() {
    // In the last batch that was durable; and in the last segment's header and its first batch, so that nothing of it
    // can be read.
    for header in [false, true] {
        let (disk, _) = two_segments();
        let name = "0000000002.seg";
        let bytes = disk.file(name).unwrap();
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        if header {
            disk.patch(name, 50, &[0xff]);
        }
        disk.patch(name, if header { 4096 + 41 } else { last as u64 }, &[0xff]);
        let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
        let mut shown = Vec::new();
        let mut damages = 0;
        for _ in 0..10_000 {
            match reader.next() {
                Ok(Some(record)) => shown.push(record.lsn),
                Ok(None) => {}
                Err(_) => damages += 1,
            }
        }
        assert_eq!(damages, 1, "told once, however often it is asked");
        let (mut writer, kept, _) = recover(&disk).unwrap();
        assert_eq!(kept.len(), shown.len(), "header: {header}");
        let ours = append(&mut writer, 2, 9).unwrap();
        writer.sync().unwrap();
        let mut behind = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            behind.push((record.lsn, record.after_gap));
        }
        assert_eq!(behind, ours.iter().map(|record| (record.lsn, false)).collect::<Vec<_>>());
    }
}

/// A journal of two segments that nobody writes, and the LSN that the second one begins with.
fn two_segments() -> (MemStorage, u64) {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    rotate(&mut writer, 1, 1);
    writer.sync().unwrap();
    writer.close().unwrap();
    let second = crate::layout::u64_at(&disk.file("0000000002.seg").unwrap(), 48);
    (disk, second)
}

#[test]
fn a_header_of_a_newer_program_is_told_and_not_guessed_at() {
    let (disk, second) = two_segments();
    let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
    for _ in 1..second {
        reader.next().unwrap().unwrap();
    }
    // It follows, and another program begins a segment.
    let bytes = disk.file("0000000002.seg").unwrap();
    let header = crate::layout::Header::decode(&bytes).unwrap();
    disk.patch("0000000002.seg", 0, &crate::layout::Header { version: 99, ..header }.encode());
    let damage = reader.next().unwrap_err();
    assert_eq!((damage.segment, damage.offset, damage.lsn), (2, 0, second));
    assert!(reader.next().unwrap().is_none());
}

#[test]
fn a_newest_segment_of_zeros_is_told_and_read_once_it_is_more() {
    let (disk, second) = two_segments();
    let bytes = disk.file("0000000002.seg").unwrap();
    disk.set_file("0000000002.seg", &vec![0; bytes.len()]);
    let mut reader = JournalReader::open(Storage::reader(&disk)).unwrap();
    for _ in 1..second {
        reader.next().unwrap().unwrap();
    }
    let damage = reader.next().unwrap_err();
    assert_eq!((damage.segment, damage.offset, damage.lsn), (2, 0, second));
    assert!(reader.next().unwrap().is_none(), "once");
    // The records without the header: what that must be follows from the segment before.
    let mut zeroed = bytes;
    zeroed[..4096].fill(0);
    disk.set_file("0000000002.seg", &zeroed);
    assert_eq!(drain(&mut reader).first(), Some(&second));
}

#[test]
fn what_is_appended_behind_damage_that_was_told_is_shown() {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    let mut reader = JournalReader::open(writer.reader()).unwrap();
    let bytes = disk.file("0000000001.seg").unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    disk.patch("0000000001.seg", last as u64, &[bytes[last] ^ 1]);
    assert_eq!(reader.next().unwrap_err().lsn, 1);
    for _ in 0..3 {
        assert!(reader.next().unwrap().is_none());
    }
    for n in 0..3 {
        append(&mut writer, 2, n).unwrap();
        writer.sync().unwrap();
        let from = 4 + 2 * n;
        let mut shown = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            shown.push((record.lsn, record.after_gap));
        }
        assert_eq!(shown, [(from, true), (from + 1, true)]);
    }
}
