//! Zeros and stores on two threads: no zero ever lands on a store.

use rustix::fs as rfs;

use super::*;
use crate::storage::mmap::Map;

const BYTES: u64 = 8 << 20;

fn file() -> (tempfile::NamedTempFile, Map) {
    let near = std::env::current_exe().unwrap();
    let file = tempfile::NamedTempFile::new_in(near.parent().unwrap()).unwrap();
    rfs::fallocate(file.as_file(), rfs::FallocateFlags::empty(), 0, BYTES).unwrap();
    let map = Map::new(file.as_file(), BYTES).unwrap();
    (file, map)
}

fn ends(file: &tempfile::NamedTempFile, map: &Map) -> (Fill, Filler) {
    fill(file.reopen().unwrap(), BYTES, map.populate(), Arc::default())
}

#[test]
fn zeros_never_land_on_what_is_stored() {
    for sync_each in [700u64, 97, 5, 1_000_000] {
        let (file, mut map) = file();
        let (mut fill, mut filler) = ends(&file, &map);
        filler.catch_up().unwrap();
        let thread = std::thread::spawn(move || filler.follow());
        let touch = fill.beside(map.ahead());
        let store = [0xa5u8; 1000];
        let end = BYTES / 1000 * 1000;
        for (count, at) in (0..end).step_by(1000).enumerate() {
            fill.enter(at + 1000);
            map.store(at, &store);
            let count = count as u64;
            if count.is_multiple_of(sync_each) {
                fill.synced();
            }
            if count.is_multiple_of(501) {
                touch(at, 512 << 10);
            }
            if sync_each == 5 && count == 3000 {
                fill.is_full(); // hurried while it is stored into
            }
        }
        drop(fill);
        thread.join().unwrap();
        file.as_file().sync_data().unwrap();
        let mut bytes = vec![0; BYTES as usize];
        file.as_file().read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[..end as usize].iter().all(|b| *b == 0xa5), "{sync_each}");
        assert!(bytes[end as usize..].iter().all(|b| *b == 0));
    }
}

#[test]
fn a_fill_writes_a_window_and_no_more_until_the_writer_syncs_often() {
    let (file, map) = file();
    let (mut fill, mut filler) = ends(&file, &map);
    filler.catch_up().unwrap();
    assert_eq!(fill.shared.lock().next, WINDOW_BYTES);
    fill.enter(WINDOW_BYTES);
    filler.catch_up().unwrap();
    assert_eq!(fill.shared.lock().next, WINDOW_BYTES + STEP_BYTES, "passed over, and nothing written");
    fill.synced();
    filler.catch_up().unwrap();
    assert_eq!(fill.shared.lock().next, WINDOW_BYTES + STEP_BYTES, "one sync is no reason");
    (1..SYNCS_MIN).for_each(|_| fill.synced());
    filler.catch_up().unwrap();
    let next = fill.shared.lock().next;
    assert!((2 * WINDOW_BYTES..2 * WINDOW_BYTES + 2 * PORTION_BYTES).contains(&next), "{next}");
    assert!(!fill.is_full(), "but now it is asked for");
    filler.catch_up().unwrap();
    assert!(fill.is_full());
}

#[test]
fn an_idle_journal_is_filled_to_its_end() {
    let (file, map) = file();
    let (mut fill, filler) = ends(&file, &map);
    fill.enter(1); // it is in use
    filler.follow(); // returns when nothing is left to fill
    assert!(fill.is_full());
}

#[test]
fn a_fill_that_nobody_wants_ends_at_once() {
    let (file, map) = file();
    let (fill, filler) = ends(&file, &map);
    let thread = std::thread::spawn(move || filler.follow());
    fill.is_full();
    drop(fill);
    thread.join().unwrap();
}

#[test]
fn a_failure_ends_the_fill_and_holds_nobody_up() {
    let (file, map) = file();
    let unwritable = File::open(file.path()).unwrap();
    let (mut fill, mut filler) = fill(unwritable, BYTES, map.populate(), Arc::default());
    assert!(filler.catch_up().is_err());
    fill.enter(BYTES);
    fill.synced();
    assert!(fill.is_full());
    filler.follow();
}
