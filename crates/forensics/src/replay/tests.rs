//! Where a replay may be asked to stop, that checkpoints change nothing but time, and what a damaged journal shows.

use super::*;
use crate::testing::Written;
use aegis_journal::{MemReader, Storage};
use aegis_model::Fact;
use aegis_projection::testing::histories;
use proptest::prelude::*;

#[test]
fn until_is_a_record_or_a_time() {
    let at = "2025-01-01T00:00:00Z".parse::<Until>();
    for (text, expected) in [
        ("7", Ok(Until::Lsn(Lsn(7)))),
        ("before 7", Ok(Until::Before(Lsn(7)))),
        ("1970-01-01T00:00:01Z", Ok(Until::Time(Timestamp(1_000_000_000)))),
    ] {
        assert_eq!(text.parse::<Until>(), expected, "{text}");
    }
    assert!(matches!(at, Ok(Until::Time(_))));
    for text in ["", "-1", "before", "yesterday", "2025-01-01"] {
        assert!(text.parse::<Until>().is_err(), "{text}");
    }
}

/// Batches of one to four events; what would move the count of records is left out.
fn batches(events: Vec<Event>) -> Vec<Vec<Event>> {
    let lawful = events.into_iter().filter(|e| !matches!(e.fact, Fact::GapFound(_)));
    let mut out: Vec<Vec<Event>> = Vec::new();
    for (n, event) in lawful.enumerate() {
        match out.last_mut() {
            Some(batch) if batch.len() < 1 + n % 4 => batch.push(event),
            Some(_) | None => out.push(vec![event]),
        }
    }
    out
}

fn folded(read: &MemReader, until: Until, near: bool) -> Reading<MemReader> {
    let reading = if near { Reading::near(|| Ok(read.clone()), until) } else { Reading::new(read.clone()) };
    reading.and_then(|r| r.run(until)).expect("a whole journal")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_checkpoint_and_its_tail_are_the_fold_from_the_first_record(
        events in histories(120),
        marks in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
        at in any::<prop::sample::Index>(),
    ) {
        let batches = batches(events);
        let mut written = Written::new();
        let mut states = vec![State::default()];
        let due: Vec<usize> = marks.iter().map(|m| m.index(batches.len())).collect();
        for (n, batch) in batches.iter().enumerate() {
            written.batch(batch);
            states.push(written.state.clone());
            if due.contains(&n) {
                written.checkpoint();
            }
        }
        let read = written.read();
        let state = &states[at.index(states.len())];
        let record = batches[at.index(batches.len())][0].at;
        let inside = Lsn(1 + at.index(written.state.lsn.0 as usize) as u64);
        let points =
            [Until::End, Until::Lsn(state.lsn), Until::Lsn(inside), Until::Before(inside), Until::Time(record)];
        for until in points {
            let (a, b) = (folded(&read, until, false), folded(&read, until, true));
            prop_assert_eq!(a.state.lsn, b.state.lsn);
            prop_assert_eq!(a.state.digest(), b.state.digest());
            prop_assert_eq!(a.checkpoint, None);
            prop_assert!(b.checkpoint.is_none_or(|c| c <= b.state.lsn));
            prop_assert!(states.contains(&a.state), "it stops at the end of a batch");
        }
        if let Some(last) = due.iter().max() {
            let used = folded(&read, Until::End, true).checkpoint;
            prop_assert_eq!(used, Some(states[last + 1].lsn), "the newest is used");
        }
    }
}

fn life(n: usize) -> Vec<Vec<Event>> {
    let mut story = aegis_projection::testing::Story::begin();
    let mut dice = aegis_projection::testing::Dice::new(7);
    while story.events.len() < n {
        story.step(&mut dice);
    }
    batches(story.events)
}

#[test]
fn a_hole_ends_the_state_before_it_and_is_told() {
    let batches = life(400);
    let written = Written::of(&batches);
    let whole = folded(&written.read(), Until::End, false).state.lsn;
    let mut offset = 0;
    let (mut before, mut total) = (Lsn::NONE, 0);
    {
        let mut reader = JournalReader::open(written.read()).expect("a journal");
        while let Some(record) = reader.next().expect("whole") {
            total += 1;
            if record.segment == 1 && record.lsn <= 200 && record.batch_first {
                (before, offset) = (Lsn(record.lsn - 1), record.offset);
            }
        }
    }
    let disk = written.closed();
    disk.patch("0000000001.seg", offset + 12, &[0xff; 4]);
    let read = disk.reader();
    let shown = folded(&read, Until::End, false);
    assert_eq!(shown.state.lsn, before);
    let hole = shown.hole.expect("it is told");
    assert_eq!((hole.lsn, hole.offset), (before.next().0, offset));
    assert!(shown.behind_gap > 0 && shown.behind_gap + before.0 < total, "what is behind is counted");
    assert!(shown.state.lsn < whole);
}

#[test]
fn a_checkpoint_that_is_not_what_it_says_is_passed_over() {
    let mut written = Written::of(&life(100));
    written.checkpoint();
    let name = format!("{:020}.ckpt", written.state.lsn.0);
    let read = written.read();
    assert_eq!(folded(&read, Until::End, true).checkpoint, Some(written.state.lsn));
    let mut bytes = written.disk.file(&name).expect("a checkpoint");
    bytes[200] ^= 1;
    written.disk.set_file(&name, &bytes);
    let without = folded(&read, Until::End, true);
    assert_eq!((without.checkpoint, without.state.digest()), (None, written.state.digest()));
}

#[test]
fn a_checkpoint_behind_the_last_record_of_a_copy_is_not_used() {
    let batches = life(300);
    let mut written = Written::new();
    let (first, rest) = batches.split_at(batches.len() / 2);
    for batch in first {
        written.batch(batch);
    }
    let copied = written.disk.fork();
    for batch in rest {
        written.batch(batch);
    }
    written.checkpoint();
    let name = format!("{:020}.ckpt", written.state.lsn.0);
    copied.set_file(&name, &written.disk.file(&name).expect("a checkpoint"));
    let shown = folded(&copied.reader(), Until::End, true);
    let expected: usize = first.iter().map(Vec::len).sum();
    assert_eq!((shown.checkpoint, shown.state.lsn), (None, Lsn(expected as u64)));
}

#[test]
fn a_part_of_a_batch_that_was_read_is_not_lost() {
    let written = Written::of(&life(60));
    let mut reading = Reading::new(written.read()).expect("a journal");
    while reading.step_batch(Until::Before(Lsn(30)), &mut |_, _| ()).expect("whole") {}
    assert!(reading.state.lsn < Lsn(30));
    while reading.step_batch(Until::End, &mut |_, _| ()).expect("whole") {}
    assert_eq!(reading.state.digest(), written.state.digest());
}

/// As `cp` does: file by file, each from its beginning to its end, while the writer goes on.
fn copied(from: &std::path::Path, to: &std::path::Path) {
    use std::io::{Read, Write};
    std::fs::create_dir(to).expect("a new directory");
    let mut buffer = vec![0; 32 << 10];
    for entry in std::fs::read_dir(from).expect("a directory").map(|e| e.expect("an entry")) {
        // A file may have got its final name since the directory was listed; cp says so and goes on, too.
        let Ok(mut source) = std::fs::File::open(entry.path()) else { continue };
        let mut target = std::fs::File::create(to.join(entry.file_name())).expect("a file");
        loop {
            let n = source.read(&mut buffer).expect("readable");
            if n == 0 {
                break;
            }
            target.write_all(&buffer[..n]).expect("room");
        }
    }
}

#[test]
fn s39_a_plain_copy_under_load_shows_a_prefix_of_whole_batches() {
    use aegis_journal::{DirStorage, create};
    let batches = life(12_000);
    let events: Vec<Event> = batches.iter().flatten().cloned().collect();
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("journal");
    let storage = DirStorage::new(&source).expect("a directory");
    let mut writer = create(storage, crate::testing::ID, crate::testing::SMALL).expect("a new journal");
    let ends: std::collections::BTreeSet<u64> = batches
        .iter()
        .scan(0, |lsn, batch| {
            *lsn += batch.len() as u64;
            Some(*lsn)
        })
        .chain([0])
        .collect();
    let writing = std::thread::spawn(move || {
        for (n, batch) in batches.iter().enumerate() {
            crate::testing::append(&mut writer, batch);
            if n % 64 == 0 {
                writer.sync().expect("a good disk");
            }
        }
        writer.close().expect("a good disk");
    });
    let (mut copies, mut shown_last) = (0, 0);
    while !writing.is_finished() || copies == 0 {
        let copy = dir.path().join(format!("copy-{copies}"));
        copied(&source, &copy);
        copies += 1;
        for reading in [Reading::open(&copy), Reading::open_near(&copy, Until::End)] {
            let reading = match reading {
                Ok(reading) => reading.run(Until::End).expect("a prefix"),
                // Copied before the first segment had its header.
                Err(ReadError::Open(_)) if copies < 3 => continue,
                Err(e) => panic!("copy {copies}: {e}"),
            };
            let lsn = reading.state.lsn.0;
            assert!(ends.contains(&lsn), "copy {copies} ends at record {lsn}, inside a batch");
            let expected = aegis_projection::testing::fold(&events[..lsn as usize]);
            assert_eq!(reading.state.digest(), expected.digest(), "copy {copies}");
            shown_last = lsn;
        }
        std::fs::remove_dir_all(&copy).expect("removed");
    }
    writing.join().expect("it wrote");
    let whole = Reading::open(&source).and_then(|r| r.run(Until::End)).expect("a journal");
    assert_eq!(whole.state.lsn.0, events.len() as u64);
    assert!(shown_last > 0 || copies < 3, "something was seen under way");
}
