//! Real files: permissions, links, locks, the live file, and how many bytes an append dirties.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use super::*;
use crate::tests::*;
use crate::{Config, OpenError, Room, create, open, verify_dir};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A directory on a file system that counts its writes: the build directory, since /tmp may be in memory.
fn disk_dir() -> tempfile::TempDir {
    let near = std::env::current_exe().unwrap();
    tempfile::tempdir_in(near.parent().unwrap()).unwrap()
}

#[test]
fn directory_and_files_are_for_the_owner_only() {
    let parent = dir();
    let path = parent.path().join("journal");
    let mut writer = create(DirStorage::new(&path).unwrap(), ID, SMALL).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.sync().unwrap();
    writer.checkpoint(1, [0; 32], b"state").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 4, "segment, checkpoint, lock and live: {files}");
}

#[test]
fn links_and_open_directories_are_refused() {
    let parent = dir();
    let path = parent.path().join("journal");
    create(DirStorage::new(&path).unwrap(), ID, SMALL).unwrap().close().unwrap();
    let link = parent.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(DirStorage::new(&link).is_err(), "a link to a directory");

    let segment = path.join("0000000001.seg");
    let moved = parent.path().join("elsewhere");
    std::fs::rename(&segment, &moved).unwrap();
    symlink(&moved, &segment).unwrap();
    assert!(DirReader::new(&path).unwrap().open("0000000001.seg").is_err(), "a link to a file");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refused = DirStorage::new(&path).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("chmod"), "{refused}");
}

const HOLD: &str = "AEGIS_JOURNAL_TEST_HOLD";

/// Not a test of its own: the process that `a_held_lock_names_its_process` starts.
#[test]
fn child_that_holds_a_lock() {
    let Ok(path) = std::env::var(HOLD) else { return };
    let mut writer = create(DirStorage::new(path).unwrap(), ID, SMALL).unwrap();
    append(&mut writer, 3, 1).unwrap();
    writer.sync().unwrap();
    append(&mut writer, 3, 1).unwrap();
    println!("holding");
    // Until the parent kills this process, or closes the pipe because it failed itself.
    let mut byte = [0];
    let _ = io::stdin().read(&mut byte);
    std::process::exit(3);
}

#[test]
fn a_held_lock_names_its_process_and_ends_with_it() {
    let parent = dir();
    let path = parent.path().join("journal");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::dir::tests::child_that_holds_a_lock", "--nocapture"])
        .env(HOLD, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = io::BufRead::lines(io::BufReader::new(child.stdout.take().unwrap()));
    let holding = lines.map_while(Result::ok).any(|line| line.contains("holding"));
    assert!(holding, "the child got the lock");

    let refused = open(DirStorage::new(&path).unwrap(), EXPECT, SMALL).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { pid: Some(pid) } if pid == child.id()), "{refused}");
    assert!(refused.to_string().contains(&child.id().to_string()), "{refused}");

    // Another process follows the child's durable end.
    let mut reader = crate::JournalReader::open_dir(&path).unwrap();
    let mut seen = 0;
    while let Some(record) = reader.next().unwrap() {
        seen = record.lsn;
    }
    assert_eq!(seen, 3, "as far as what is durable");

    child.kill().unwrap();
    child.wait().unwrap();
    let opening = open(DirStorage::new(&path).unwrap(), EXPECT, SMALL).unwrap();
    assert_eq!(opening.last_lsn(), 6, "a killed process leaves the cache");
    let (writer, _) = opening.finish().unwrap();
    assert_eq!(writer.epoch(), 2);
}

/// `write_bytes` of this thread's process, if the kernel counts them.
fn write_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.trim().parse().ok())
}

const COUNT_IO: &str = "AEGIS_JOURNAL_TEST_IO";
const APPENDS: u64 = 200;

/// Not a test of its own: counts the writing of durable appends in a process that does nothing else.
#[test]
fn child_that_counts_its_writing() {
    let Ok(path) = std::env::var(COUNT_IO) else { return };
    let config = Config { segment_bytes: 8 << 20, ..Config::default() };
    let mut writer = create(DirStorage::new(path).unwrap(), ID, config).unwrap();
    // The first segment is filled before it is used, every later one while it is: this is about a later one.
    let large = [7u8; 4000];
    let large = crate::NewRecord { kind: 1, version: 1, actor: 0, time_ns: 0, cause: 0, payload: &large };
    while writer.stats().rotations < 1 {
        writer.append(&[large], Room::Normal).unwrap();
    }
    writer.sync().unwrap();
    // Zeros are written in the background: wait for them, so that only appends are counted.
    while !writer.next_segment_is_ready() {
        std::thread::yield_now();
    }
    let payload = [7u8; 88];
    let record = crate::NewRecord { kind: 1, version: 1, actor: 0, time_ns: 0, cause: 0, payload: &payload };
    writer.append(&[record], Room::Normal).unwrap();
    writer.sync().unwrap();
    let before = write_bytes();
    for _ in 0..APPENDS {
        writer.append(&[record], Room::Normal).unwrap();
        writer.sync().unwrap();
    }
    let after = write_bytes();
    match (before, after) {
        (Some(before), Some(after)) => println!("dirtied {}", after - before),
        _ => println!("dirtied unknown"),
    }
}

#[test]
fn a_durable_append_of_128_bytes_dirties_at_most_8_kib() {
    let parent = disk_dir();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::dir::tests::child_that_counts_its_writing", "--nocapture"])
        .env(COUNT_IO, parent.path().join("journal"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let dirtied = text.lines().find_map(|line| line.split("dirtied ").nth(1)).map(str::trim);
    match dirtied.and_then(|n| n.parse::<u64>().ok()) {
        None | Some(0) => println!("skipped: this file system or kernel does not count writes: {text}"),
        Some(bytes) => {
            println!("{} bytes per durable append", bytes / APPENDS);
            assert!(bytes <= APPENDS * 8192, "{} bytes per append", bytes / APPENDS);
        }
    }
}

#[test]
fn a_real_directory_goes_through_a_whole_life() {
    let parent = dir();
    let path = parent.path().join("journal");
    let mut writer = create(DirStorage::new(&path).unwrap(), ID, SMALL).unwrap();
    let mut records = Vec::new();
    while writer.stats().rotations < 3 {
        records.extend(append(&mut writer, 3, 5).unwrap());
    }
    let lsn = writer.sync().unwrap();
    writer.checkpoint(lsn, [1; 32], b"folded").unwrap();
    records.extend(append(&mut writer, 3, 5).unwrap());
    drop(writer); // no sync: the cache holds it

    // A torn tail.
    let last = path.join("0000000004.seg");
    let mut bytes = std::fs::read(&last).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap();
    bytes[end] ^= 0x80;
    std::fs::write(&last, &bytes).unwrap();

    let mut opening = open(DirStorage::new(&path).unwrap(), EXPECT, SMALL).unwrap();
    assert_eq!(opening.checkpoints()[0].lsn, lsn);
    let mut kept = Vec::new();
    opening
        .records(1, |r| {
            kept.push(Owned::of(&r));
            std::ops::ControlFlow::<()>::Continue(())
        })
        .unwrap();
    assert!(kept == records[..records.len() - 3], "the torn batch is gone as a whole");
    let (mut writer, report) = opening.finish().unwrap();
    assert_eq!(report.copies.len(), 1);
    assert!(path.join(&report.copies[0]).exists());
    append(&mut writer, 2, 6).unwrap();
    writer.close().unwrap();
    let report = verify_dir(&path, |_| ()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.records, kept.len() as u64 + 2);
    assert_eq!(report.checkpoints, [lsn]);
}

#[test]
fn a_disk_without_room_is_an_error_and_not_a_signal() {
    // More than any disk has: the allocation itself must say so.
    let parent = dir();
    let mut storage = DirStorage::new(parent.path().join("journal")).unwrap();
    storage.spare_begin(1 << 50);
    assert!(matches!(storage.spare_take(true), Spare::Failed(_)));
    assert!(!parent.path().join("journal").join(SPARE).exists(), "the space is given back");
}

/// A person who takes a lock file for a stale one removes it; the next writer then holds another file of that name.
#[test]
fn a_reader_sees_the_writer_that_holds_another_lock_file() {
    let parent = dir();
    let path = parent.path().join("journal");
    let mut first = create(DirStorage::new(&path).unwrap(), ID, SMALL).unwrap();
    append(&mut first, 1, 1).unwrap();
    first.sync().unwrap();
    let reader = DirReader::new(&path).unwrap();
    assert_eq!(reader.live().unwrap().map(|live| live.durable_lsn), Some(1));
    first.close().unwrap();
    assert!(reader.live().unwrap().is_none(), "nobody writes");
    std::fs::remove_file(path.join(LOCK)).unwrap();
    std::fs::remove_file(path.join(LIVE)).unwrap();
    let (mut second, _) = open(DirStorage::new(&path).unwrap(), EXPECT, SMALL).unwrap().finish().unwrap();
    append(&mut second, 1, 2).unwrap();
    assert_eq!(
        reader.live().unwrap().map(|live| live.durable_lsn),
        Some(1),
        "what is not synced is not shown"
    );
}

/// A process that died before a sealed segment was cut leaves it long; it is cut when it holds nothing more, and left to
/// a person when it does.
#[test]
fn a_sealed_segment_is_cut_only_if_nothing_is_behind_its_seal() {
    for (more, is_cut) in [(&[0u8; 9000][..], true), (&[0, 0, 0, 7][..], false)] {
        let parent = dir();
        let path = parent.path().join("journal");
        let mut writer = create(DirStorage::new(&path).unwrap(), ID, SMALL).unwrap();
        while writer.stats().rotations == 0 {
            append(&mut writer, 20, 1).unwrap();
            writer.sync().unwrap();
        }
        writer.close().unwrap();
        let segment = path.join("0000000001.seg");
        let sealed = std::fs::read(&segment).unwrap();
        std::fs::write(&segment, [&sealed[..], more].concat()).unwrap();
        let (writer, report) =
            open(DirStorage::new(&path).unwrap(), EXPECT, SMALL).unwrap().finish().unwrap();
        assert!(report.gap.is_none(), "{report:?}");
        drop(writer); // waits for the thread that cuts
        let left = std::fs::read(&segment).unwrap();
        assert_eq!(left.len() == sealed.len(), is_cut, "{} bytes of {}", left.len(), sealed.len());
        assert_eq!(left[..sealed.len()], sealed);
    }
}
