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

proptest::proptest! {
    #[test]
    fn portions_are_all_the_bytes_in_order(from in 0_u64..20_000, bytes in 0_u64..40_000, pages in 1_u64..4, stop in 0_usize..20) {
        let whole: Vec<u8> = (0..60_000_u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let source = file(&whole);
        let until = from + bytes;
        let (mut taken, mut calls) = (Vec::new(), 0);
        let all = portions(&source, from, until, pages * PAGE_BYTES, |bytes| {
            assert!(bytes.len() as u64 <= pages * PAGE_BYTES, "no more at a time");
            taken.extend_from_slice(bytes);
            calls += 1;
            calls != stop
        });
        let range = from as usize..until as usize;
        // As many as it takes, of which only the first may be short of whole pages.
        let portions = (until.div_ceil(PAGE_BYTES) - from / PAGE_BYTES).div_ceil(pages);
        if bytes == 0 {
            assert!(all && taken.is_empty());
        } else if stop == 0 || stop as u64 > portions {
            assert_eq!((all, calls as u64), (true, portions));
            assert_eq!(taken, &whole[range]);
        } else {
            assert!(!all, "told to stop");
            assert!(whole[range].starts_with(&taken));
        }
    }
}

#[test]
fn what_a_second_core_hashes_is_the_header_and_every_byte_up_to_the_end() {
    let header = Header {
        version: 2,
        identity: crate::tests::ID,
        number: 1,
        epoch: 1,
        first_lsn: 1,
        segment_bytes: 0,
        chain: 0,
        root_before: crate::layout::NO_ROOT,
        gaps: Vec::new(),
    };
    for more in [0, 8, PORTION_BYTES - 4096, PORTION_BYTES] {
        let end = PAGE_BYTES + WORTH_BYTES + more;
        let bytes: Vec<u8> = (0..end + 99).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        let mut hasher = header.root_hasher();
        hasher.update(&bytes[PAGE_BYTES as usize..end as usize]);
        let beside = hash(file(&bytes), &header, end).expect("worth a thread").wait().flatten();
        assert_eq!(beside.map(|beside| beside.finalize()), Some(hasher.finalize()), "{more}");
        assert!(
            hash(file(&bytes[..end as usize - 1]), &header, end)
                .expect("worth it")
                .wait()
                .flatten()
                .is_none()
        );
    }
    assert!(hash(file(&[0; 9000]), &header, PAGE_BYTES + WORTH_BYTES - 1).is_none(), "not worth a thread");
}
