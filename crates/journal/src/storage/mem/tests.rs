//! The simulated disk does what it says it does.

use super::*;

fn file(disk: &MemStorage, name: &str) -> MemFile {
    let mut storage = disk.clone();
    let mut file = storage.create(name).unwrap();
    file.allocate(8192).unwrap();
    file.sync().unwrap();
    storage.sync_dir().unwrap();
    file.map(8192).unwrap();
    file
}

#[test]
fn a_kill_keeps_the_cache_and_a_power_cut_chooses() {
    let disk = MemStorage::new();
    let mut f = file(&disk, "a");
    f.store(0, b"one");
    f.store(4096, b"two");
    f.store(0, b"six");
    let killed = disk.fork().kill();
    assert_eq!(&killed.file("a").unwrap()[..3], b"six");
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let after = disk.fork().power_cut(PowerCut { seed, torn: false });
        let bytes = after.file("a").unwrap();
        seen.insert((bytes[..3].to_vec(), bytes[4096..4099].to_vec()));
    }
    assert_eq!(seen.len(), 6, "every version of each page, in every combination: {seen:?}");
    f.sync().unwrap();
    let after = disk.fork().power_cut(PowerCut { seed: 1, torn: true });
    assert_eq!(&after.file("a").unwrap()[..3], b"six", "what was synced stays");
}

#[test]
fn a_hole_loses_one_page_in_front_of_others_and_the_platter_shows_what_was_synced() {
    let disk = MemStorage::new();
    let mut f = file(&disk, "a");
    assert!(disk.fork().power_cut_with_hole(1).is_none(), "nothing waits for a sync");
    f.allocate(5 * 4096).unwrap();
    f.map(5 * 4096).unwrap();
    for page in 0..5 {
        f.store(page * 4096, b"new");
    }
    let mut first = [0; 3];
    let shown = disk.platter_reader().open("a").unwrap();
    assert_eq!((shown.bytes().unwrap(), shown.read_at(0, &mut first).unwrap(), first), (8192, 3, [0; 3]));
    let mut holes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let bytes = disk.fork().power_cut_with_hole(seed).expect("pages wait").file("a").unwrap();
        let lost: Vec<usize> = (0..5).filter(|page| bytes[page * 4096] == 0).collect();
        assert_eq!(lost.len(), 1);
        holes.extend(lost);
    }
    assert_eq!(holes.into_iter().collect::<Vec<_>>(), [1, 2, 3], "never the first, never the last");
}

#[test]
fn an_unsynced_rename_may_be_lost() {
    let disk = MemStorage::new();
    file(&disk, "a");
    let mut storage = disk.clone();
    storage.rename("a", "b").unwrap();
    let names: std::collections::BTreeSet<_> =
        (0..50).map(|seed| disk.fork().power_cut(PowerCut { seed, torn: false }).names()).collect();
    assert_eq!(names.len(), 2);
    storage.sync_dir().unwrap();
    assert_eq!(disk.power_cut(PowerCut { seed: 0, torn: false }).names(), ["b"]);
}

#[test]
fn a_failed_sync_is_reported_once_and_the_page_is_lost() {
    let disk = MemStorage::new();
    let mut f = file(&disk, "a");
    disk.fail_sync(1);
    f.store(0, b"lost");
    assert!(f.sync().is_err());
    f.sync().unwrap();
    assert_eq!(&disk.file("a").unwrap()[..4], b"lost", "the cache shows it");
    disk.reader().open("a").unwrap().settle().unwrap();
    assert_eq!(&disk.file("a").unwrap()[..4], &[0; 4], "the device never got it");
}

#[test]
fn handles_of_a_dead_process_do_nothing() {
    let disk = MemStorage::new();
    let mut f = file(&disk, "a");
    let mut storage = disk.clone();
    storage.lock().unwrap();
    assert!(matches!(disk.clone().lock(), Err(LockError::Held { pid: Some(_) })));
    let alive = disk.kill();
    alive.clone().lock().unwrap();
    f.store(0, b"ghost");
    assert!(f.sync().is_err() && storage.create("b").is_err());
    assert_eq!(&alive.file("a").unwrap()[..5], &[0; 5]);
}

#[test]
fn faults_come_when_they_are_asked_for() {
    let disk = MemStorage::new();
    disk.fail_allocation(2);
    let mut storage = disk.clone();
    let mut f = storage.create("a").unwrap();
    f.allocate(4096).unwrap();
    assert_eq!(f.allocate(8192).unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.read_error("a", 0);
    let mut byte = [0];
    assert_eq!(disk.reader().open("a").unwrap().read_at(5, &mut byte).unwrap_err().raw_os_error(), Some(5));
    disk.crash_after(1);
    storage.create("b").unwrap();
    assert!(storage.create("c").is_err() && disk.crashed());
}
