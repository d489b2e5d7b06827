//! What a second core says of a file is what the first one would have said.

use super::*;
use crate::{MemStorage, Storage, StorageRead};

fn file(bytes: &[u8]) -> crate::MemSource {
    let disk = MemStorage::new();
    disk.set_file("file", bytes);
    Storage::reader(&disk).open("file").unwrap()
}

#[test]
fn zeros_are_told_from_one_byte_that_is_not_and_from_a_short_file() {
    let until = WORTH_BYTES + 10_000;
    let mut bytes = vec![0; until as usize];
    let all_zero = |bytes: &[u8], from| zeros(file(bytes), from, until).unwrap().wait().unwrap();
    assert!(all_zero(&bytes, 77));
    for at in [78, 4096, 262_143, 262_144, until as usize - 1] {
        bytes[at] = 1;
        assert!(!all_zero(&bytes, 77), "{at}");
        bytes[at] = 0;
    }
    bytes[5] = 1;
    assert!(all_zero(&bytes, 77), "what lies before is not asked for");
    assert!(!all_zero(&bytes[..until as usize - 1], 77));
    assert!(zeros(file(&bytes), until - 100, until).is_none(), "not worth a thread");
}
