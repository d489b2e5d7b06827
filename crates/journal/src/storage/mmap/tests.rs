//! The map: stores land in the file and never outside.

use std::io::Write;

use super::*;

#[test]
fn stores_reach_the_file_and_leave_the_rest_alone() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[1; 8192]).unwrap();
    let mut map = Map::new(&file, 8192).unwrap();
    map.store(4090, b"across the page");
    map.store(8191, b"!");
    map.store(8192, b"");
    drop(map);
    let mut bytes = vec![0; 8192];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).unwrap();
    assert_eq!(&bytes[4090..4105], b"across the page");
    assert_eq!(bytes[8191], b'!');
    assert!(bytes[..4090].iter().chain(&bytes[4105..8191]).all(|b| *b == 1));
}

#[test]
fn a_map_longer_than_its_file_is_an_error() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    assert!(Map::new(&file, 8192).is_err());
}

#[test]
#[should_panic(expected = "leaves the map")]
fn a_store_behind_the_end_is_a_bug() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    Map::new(&file, 4096).unwrap().store(4090, b"too long");
}
