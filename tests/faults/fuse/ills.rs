//! What a disk can do wrong while it is not cut off: be unreadable in places, fail once and be well again, lie, be slow.

use super::disk::{Image, PAGE};
use super::protocol::Fuse;
use super::{Forked, Said, said, write_out};
use crate::appender::{EXPECT, Lives, append, begin, config};
use crate::ground::is_asked_for;
use crate::journals::{Seen, Story};
use crate::program::{PATIENCE, Stage, told, until};
use aegis_journal::{DirStorage, Finding, Proof, Writer, open, verify_dir};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Large enough for everything a test appends in one opening.
const SEGMENT_BYTES: u64 = 1 << 20;
const ALL: Ordering = Ordering::SeqCst;

/// Appends so many batches and syncs them.
fn batches(writer: &mut Writer<DirStorage>, count: u64, said: &Said) -> Result<(), String> {
    for _ in 0..count {
        append(writer, 5, 1).map_err(|e| e.to_string())?;
    }
    said.durable.store(writer.sync().map_err(|e| e.to_string())?, ALL);
    Ok(())
}

/// Waits until the other process has got so far.
fn waits_for(place: &AtomicU64, value: u64) -> Result<(), String> {
    let asked = Instant::now();
    while place.load(ALL) < value {
        if asked.elapsed() > PATIENCE {
            return Err("nobody went on".to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What stands durably in the root directory.
fn platter(fuse: &Fuse) -> Image {
    fuse.disk(|disk| disk.snapshot()).platter()
}

fn lives(durable: u64) -> Lives {
    let mut lives = Lives::default();
    lives.told(1, durable);
    lives
}

/// The last record that an opening of these files has without a gap, and the gap.
fn opened(image: &Image, when: &str) -> (u64, Option<aegis_journal::GapEvidence>) {
    let dir = tempfile::Builder::new().prefix("aegis-images-").tempdir_in("/dev/shm").expect("a directory");
    write_out(image, dir.path());
    let storage = DirStorage::new(dir.path()).unwrap_or_else(|e| panic!("{when}: {e}"));
    let opening = open(storage, EXPECT, config(SEGMENT_BYTES)).unwrap_or_else(|e| panic!("{when}: {e}"));
    let gap = opening.report().gap.clone();
    // A checkpoint may reach further than the records before the gap.
    let last = gap.as_ref().map_or(opening.report().last_lsn, |gap| gap.first_lsn - 1);
    drop(opening);
    let verified = verify_dir(dir.path(), |_| ()).unwrap_or_else(|e| panic!("{when}: {e}"));
    let rot = verified.findings.iter().any(|f| matches!(f, Finding::Rot(_)));
    assert_eq!(rot, gap.is_some(), "{when}: `verify` and an opening agree");
    (last, gap)
}

#[test]
fn a_disk_that_lied_is_found_out_by_whatever_came_later() {
    if !is_asked_for("a disk that lies") {
        return;
    }
    for (later, name) in ["a record", "a mark", "a clean stop", "a checkpoint", "nothing"].iter().enumerate()
    {
        let when = format!("a lie, and then {name}");
        let fuse = Fuse::new(&Image::new(), None);
        let said = said();
        let dir = fuse.path().to_owned();
        let child = Forked::begin(|| {
            let mut writer = begin(&dir, config(SEGMENT_BYTES))?;
            batches(&mut writer, 4, said)?;
            said.more[0].store(said.durable.load(ALL), ALL);
            waits_for(&said.more[1], 1)?;
            // Several pages, which are not there.
            batches(&mut writer, 12, said)?;
            said.more[0].store(said.durable.load(ALL), ALL);
            waits_for(&said.more[1], 2)?;
            let durable = said.durable.load(ALL);
            match later {
                0 => batches(&mut writer, 1, said)?,
                1 => writer.mark().map_err(|e| e.to_string())?,
                2 => return writer.close().map_err(|e| e.to_string()),
                3 => writer.checkpoint(durable, [7; 32], b"folded").map_err(|e| e.to_string())?,
                _ => {}
            }
            // SAFETY: ends the process at once, as a kill does.
            unsafe { libc::_exit(0) }
        });
        until("the honest part", PATIENCE, || said.more[0].load(ALL) >= 20);
        fuse.disk(|disk| disk.knobs.lies = Some(".seg"));
        said.more[1].store(1, ALL);
        until("the lie", PATIENCE, || said.more[0].load(ALL) >= 80);
        fuse.disk(|disk| disk.knobs.lies = None);
        said.more[1].store(2, ALL);
        assert_eq!(child.ends(), 0, "{when}");
        let (kept, gap) = opened(&platter(&fuse), &when);
        // A page that the next honest write shares is there after all.
        assert!((20..80).contains(&kept), "{when}: {kept} records are there");
        match (later, gap.map(|gap| gap.proof)) {
            (0 | 1, Some(Proof::DurableLsn(lsn))) => assert!(lsn >= 80, "{when}: proof of {lsn}"),
            (2, Some(Proof::DurableLsn(_) | Proof::FinishedSegment)) => {}
            (3, Some(Proof::Checkpoint(lsn))) => assert_eq!(lsn, 80, "{when}"),
            // The blind spot that is stated openly: nothing on this disk says what it had promised.
            (4, None) => assert_eq!(kept, 20, "{when}"),
            (_, other) => panic!("{when}: it was told as {other:?}"),
        }
    }
    println!(
        "5 lies: found out by a record, a mark, a clean stop, a checkpoint; and unseen where nothing came later"
    );
}

/// Appends until something fails; then nothing may succeed any more.
fn until_it_fails(dir: &Path, said: &Said) -> Result<(), String> {
    let Ok(mut writer) = begin(dir, config(64 << 10)) else { return Ok(()) };
    for _ in 0..30 {
        let done = append(&mut writer, 5, 1)
            .map_err(|e| e.to_string())
            .and_then(|_| writer.sync().map_err(|e| e.to_string()));
        let Ok(durable) = done else {
            let more = [
                writer.sync().is_ok(),
                writer.mark().is_ok(),
                append(&mut writer, 1, 1).is_ok(),
                writer.sync().is_ok(),
            ];
            said.more[0].store(1, ALL);
            said.more[1].store(more.iter().filter(|&&ok| ok).count() as u64, ALL);
            return Ok(());
        };
        said.durable.store(durable, ALL);
    }
    // SAFETY: ends the process at once, as a kill does.
    unsafe { libc::_exit(0) }
}

#[test]
fn a_sync_that_failed_once_is_never_believed_again() {
    if !is_asked_for("a disk that fails and is well again") {
        return;
    }
    let (mut failed, mut latched) = (0, 0);
    for of_write in [false, true] {
        for nth in 0.. {
            let when = format!("{} number {nth} fails", if of_write { "write" } else { "sync" });
            let fuse = Fuse::new(&Image::new(), None);
            fuse.disk(|disk| {
                let knob = if of_write { &mut disk.knobs.fails_write } else { &mut disk.knobs.fails_sync };
                *knob = Some(nth);
            });
            let first = said();
            let dir = fuse.path().to_owned();
            assert_eq!(Forked::begin(|| until_it_fails(&dir, first)).ends(), 0, "{when}");
            let struck =
                fuse.disk(|disk| disk.knobs.fails_sync.is_none() && disk.knobs.fails_write.is_none());
            if !struck {
                break;
            }
            failed += 1;
            latched += first.more[0].load(ALL);
            assert_eq!(first.more[1].load(ALL), 0, "{when}: something succeeded afterwards");
            // The disk is well again, and the kernel's cache still shows what the disk never got.
            let durable = first.durable.load(ALL);
            let second = said();
            let ended = Forked::begin(|| {
                let mut writer = begin(&dir, config(64 << 10))?;
                second.more[0].store(writer.next_lsn() - 1, ALL);
                append(&mut writer, 3, 2).map_err(|e| e.to_string())?;
                second.durable.store(writer.sync().map_err(|e| e.to_string())?, ALL);
                // SAFETY: ends the process at once, as a kill does.
                unsafe { libc::_exit(0) }
            });
            assert_eq!(ended.ends(), 0, "{when}: the next start");
            let mut lives = lives(durable);
            lives.told(2, second.durable.load(ALL));
            assert!(second.more[0].load(ALL) >= durable, "{when}: recovered less than was acknowledged");
            // And what the next start took for durable is: the power fails.
            let (kept, gap) = opened(&platter(&fuse), &when);
            assert_eq!((kept, gap), (lives.durable(), None), "{when}: on the platter");
            let copy = tempfile::tempdir_in("/dev/shm").expect("a directory");
            write_out(&platter(&fuse), copy.path());
            lives.are_kept(copy.path(), 1, &when);
        }
    }
    assert!(latched > 40, "only {latched} of {failed} failures met a writer at work");
    println!(
        "{failed} failed syncs and writes on a disk that was well again at once ({latched} of a writer at work): nothing acknowledged afterwards, nothing lost"
    );
}

#[test]
fn nothing_is_acknowledged_while_a_sync_takes_seconds() {
    if !is_asked_for("a slow disk") {
        return;
    }
    let delay = Duration::from_millis(2500);
    let fuse = Fuse::new(&Image::new(), None);
    let said = said();
    let dir = fuse.path().to_owned();
    let child = Forked::begin(|| {
        let mut writer = begin(&dir, config(SEGMENT_BYTES))?;
        batches(&mut writer, 4, said)?;
        said.more[0].store(1, ALL);
        waits_for(&said.more[1], 1)?;
        batches(&mut writer, 4, said)?;
        // SAFETY: ends the process at once, as a kill does.
        unsafe { libc::_exit(0) }
    });
    until("the quick part", PATIENCE, || said.more[0].load(ALL) == 1);
    let syncs = fuse.disk(|disk| {
        disk.knobs.delay = delay;
        disk.syncs
    });
    said.more[1].store(1, ALL);
    let began = Instant::now();
    let mut looks = 0;
    loop {
        // In this order: what is told before the sync was answered is told too early.
        let durable = said.durable.load(ALL);
        if fuse.disk(|disk| disk.syncs) != syncs {
            break;
        }
        assert_eq!(durable, 20, "told while the sync was under way");
        looks += 1;
        assert!(began.elapsed() < PATIENCE, "the sync never came");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(began.elapsed() >= delay && looks > 100, "{looks} looks in {:?}", began.elapsed());
    fuse.disk(|disk| disk.knobs.delay = Duration::ZERO);
    assert_eq!(child.ends(), 0);
    assert_eq!(said.durable.load(ALL), 40);
    assert_eq!(opened(&platter(&fuse), "after a slow sync"), (40, None));
    println!(
        "a sync of {delay:?}: {looks} looks meanwhile, nothing told before it was over, all of it afterwards"
    );
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_and_never_cut_as_a_torn_tail() {
    if !is_asked_for("a disk that is unreadable in places") {
        return;
    }
    let fuse = Fuse::new(&Image::new(), None);
    let said = said();
    let dir = fuse.path().to_owned();
    let child = Forked::begin(|| {
        let mut writer = begin(&dir, config(64 << 10))?;
        for _ in 0..10 {
            batches(&mut writer, 5, said)?;
        }
        // SAFETY: ends the process at once, as a kill does.
        unsafe { libc::_exit(0) }
    });
    assert_eq!(child.ends(), 0);
    let image = platter(&fuse);
    drop(fuse);
    let lives = lives(said.durable.load(ALL));
    let (mut told, mut harmless) = (0, 0);
    for (name, bytes) in image.iter().filter(|(name, _)| name.ends_with(".seg")) {
        for page in 0..(bytes.len() as u64).div_ceil(PAGE) {
            let when = format!("page {page} of {name}");
            let fuse = Fuse::new(&image, None);
            let part = page * PAGE..(page + 1) * PAGE;
            fuse.disk(|disk| disk.knobs.unreadable = Some((name.clone(), part.clone())));
            // Reading alone maps nothing and may be done from here.
            let report = verify_dir(fuse.path(), |_| ()).unwrap_or_else(|e| panic!("{when}: {e}"));
            assert!(report.torn_tail.is_none(), "{when}: taken for a torn tail: {:?}", report.torn_tail);
            let rot = report.findings.iter().find_map(|f| match f {
                Finding::Rot(gap) => Some(gap),
                Finding::Note(_) => None,
            });
            match rot {
                Some(gap) => {
                    assert_eq!(gap.file, *name, "{when}: {gap:?}");
                    // From the frame that runs into the page; or from the end of the records, if the page is behind it:
                    // nobody can say that nothing was there.
                    let there = gap.offset < part.end && gap.offset + 2 * PAGE > part.start;
                    assert!(there || gap.first_lsn == lives.durable() + 1, "{when}: {gap:?}");
                    told += 1;
                }
                // A header, whose content is known from elsewhere, or the empty end: nothing is lost.
                None => {
                    assert_eq!(report.last_lsn, lives.durable(), "{when}: silent loss");
                    harmless += 1;
                }
            }
            let path = fuse.path().to_owned();
            let opens = Forked::begin(|| {
                let storage = DirStorage::new(&path).map_err(|e| e.to_string())?;
                let opening = open(storage, EXPECT, config(64 << 10)).map_err(|e| e.to_string())?;
                let report = opening.report();
                let place = report.gap.as_ref().is_some_and(|gap| gap.file == *name);
                match (
                    report.cut.is_none(),
                    place == rot.is_some(),
                    rot.is_some() || report.last_lsn == lives.durable(),
                ) {
                    (true, true, true) => Ok(()),
                    _ => Err(format!("{report:?}")),
                }
            });
            assert_eq!(opens.ends(), 0, "{when}: an opening judges otherwise than `verify`");
        }
    }
    assert!(told >= 10, "only {told} pages held records");
    println!(
        "{told} unreadable pages were told with their place, {harmless} held nothing that was lost; none was taken for a torn tail"
    );
}

#[test]
fn a_page_that_cannot_be_read_under_the_map_ends_the_process_and_loses_nothing() {
    if !is_asked_for("an unreadable page under the map") {
        return;
    }
    let fuse = Fuse::new(&Image::new(), None);
    let said = said();
    let dir = fuse.path().to_owned();
    // Behind what an opening fills with zeros, and so has in the cache.
    let name = "0000000001.seg".to_owned();
    fuse.disk(|disk| disk.knobs.unreadable = Some((name, 700 << 10..1 << 20)));
    let child = Forked::begin(|| {
        let mut writer = begin(&dir, config(SEGMENT_BYTES))?;
        for _ in 0..1000 {
            batches(&mut writer, 2, said)?;
        }
        Err("all of it fitted".to_owned())
    });
    let ended = child.ends();
    let durable = said.durable.load(ALL);
    assert_eq!(ended, -libc::SIGBUS, "after {durable} records");
    assert!(durable > 1000, "{durable} records before the place");
    let (kept, gap) = opened(&platter(&fuse), "after the signal");
    assert!(kept >= durable && gap.is_none(), "{kept} of {durable} are there: {gap:?}");
    println!(
        "a page that cannot be read under the map: SIGBUS after {durable} acknowledged records, all of which are there"
    );
}

/// The files of a journal.
fn files(path: &Path) -> Image {
    let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let files = entries.flatten().map(|entry| {
        let name = entry.file_name().into_string().expect("a plain name");
        (name, std::fs::read(entry.path()).expect("a file of the journal"))
    });
    files.collect()
}

#[test]
fn the_program_on_a_disk_that_fails_once_ends_in_words_and_the_next_run_is_as_if_never() {
    if !is_asked_for("the program on a disk that fails once") {
        return;
    }
    let stage = Stage::small(4000);
    stage.complete("calm", &[]);
    let calm = Story::read(&stage.path("calm/market"));
    let mut ended = 0;
    for (round, of_write) in [(0, true), (1, false), (2, true), (3, false)] {
        let (data, when) = (format!("data-{round}"), format!("round {round}"));
        // Begun on an ordinary disk and killed; the engine's journal moves on to one of our own.
        let path = stage.path(&data).join("market/engine");
        let mut seen = Seen::default();
        let mut running = stage.start(&data, &[]);
        until("it is at work", PATIENCE, || seen.look(&path, 1, &when).is_some_and(|last| last > 100));
        running.kill();
        let fuse = Fuse::at(&path, &files(&path), None);
        fuse.disk(|disk| {
            let knob = if of_write { &mut disk.knobs.fails_write } else { &mut disk.knobs.fails_sync };
            *knob = Some(20 + round * 25);
        });
        let mut running = stage.start(&data, &[]);
        while running.is_alive() {
            seen.look(&path, seen.last() + 1, &when);
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = running.wait(PATIENCE);
        let said = running.said();
        assert!(status.code() == Some(74) && said.contains("aegis: "), "{when}: {status}: {said}");
        assert!(!said.contains("panicked"), "{when}: {said}");
        ended += 1;
        seen.is_kept(&path, 1, &when);
        // On the same mount: the cache still has what the disk never got.
        let mut running = stage.start(&data, &[]);
        let status = running.wait(PATIENCE);
        assert!(status.success(), "{when}: {status}: {}", running.said());
        seen.is_kept(&path, 1, &when);
        let story = Story::read(&stage.path(&data).join("market"));
        story.agrees(&when);
        story.equals(&calm, &when);
        let (verify, shown) = (stage.on(&data, &["verify"]), seen.last());
        assert!(verify.status.success(), "{when}: `verify` {}", told(&verify));
        assert!(shown > 0, "{when}: nothing was seen of it");
    }
    println!("{ended} runs on a disk that failed once ended with code 74, and the next run as if never");
}

#[test]
fn the_program_on_a_disk_that_is_unreadable_in_places_names_the_place() {
    if !is_asked_for("the program on a disk that is unreadable in places") {
        return;
    }
    let stage = Stage::small(1500);
    stage.complete("data", &[]);
    let path = stage.path("data/market/engine");
    let image = files(&path);
    let mut told_of = 0;
    for (name, bytes) in image.iter().filter(|(name, _)| name.ends_with(".seg")) {
        let pages = bytes.iter().rposition(|&b| b != 0).unwrap_or(0) as u64 / PAGE;
        for page in [1, pages / 2, pages].into_iter().filter(|&page| page > 0) {
            let when = format!("page {page} of {name}");
            let fuse = Fuse::at(&path, &image, None);
            fuse.disk(|disk| disk.knobs.unreadable = Some((name.clone(), page * PAGE..(page + 1) * PAGE)));
            let verify = stage.on("data", &["verify"]);
            let words = told(&verify);
            assert_eq!(verify.status.code(), Some(65), "{when}: `verify` {words}");
            assert!(words.contains(name.as_str()), "{when}: `verify` {words}");
            told_of += 1;
        }
    }
    assert!(told_of > 0, "no page held a record");
    println!("{told_of} unreadable places in the program's journal: `verify` ends with 65 and names each");
}
