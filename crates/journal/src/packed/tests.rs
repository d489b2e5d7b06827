//! Compressed segments as bytes: what went in comes out, and nothing else ever does.

use super::*;
use crate::{MemSource, MemStorage, Storage, StorageRead};
use proptest::prelude::*;

const BLOCK: u64 = 4096;

fn file(bytes: &[u8]) -> MemSource {
    let disk = MemStorage::new();
    disk.set_file("file", bytes);
    Storage::reader(&disk).open("file").unwrap()
}

/// The compressed file of a segment whose records end 72 bytes before its own end.
fn packed(raw: &[u8], block_bytes: u64) -> Vec<u8> {
    let lengths = division(raw.len() as u64 - SEAL_BYTES, block_bytes);
    let mut packer = Packer::new(lengths.len()).unwrap();
    let mut out = vec![0; packer.list_bytes()];
    let mut at = 0;
    for length in lengths {
        packer.block(&raw[at..at + length as usize], &mut out).unwrap();
        at += length as usize;
    }
    let (first, last) = packer.lists();
    out[..first.len()].copy_from_slice(&first);
    out.extend_from_slice(&last);
    out
}

/// A segment's worth of bytes, some of which repeat and some of which do not.
fn raw(length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|n| {
            if n / 512 % 3 == 0 {
                (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8
            } else {
                (n / 40) as u8
            }
        })
        .collect()
}

fn read(file: &Packed<MemSource>, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0xee; length];
    let n = file.read_at(at, &mut bytes)?;
    bytes.truncate(n);
    Ok(bytes)
}

#[test]
fn header_page_and_seal_are_blocks_of_their_own() {
    assert_eq!(division(PAGE_BYTES, BLOCK), [4096, 72]);
    assert_eq!(division(PAGE_BYTES + 8, BLOCK), [4096, 8, 72]);
    assert_eq!(division(PAGE_BYTES + 2 * BLOCK, BLOCK), [4096, 4096, 4096, 72]);
    assert_eq!(division(PAGE_BYTES + 2 * BLOCK + 1, BLOCK), [4096, 4096, 4096, 1, 72]);
}

#[test]
fn what_repeats_is_shorter_and_what_does_not_costs_a_list() {
    let zeros = packed(&vec![0; 300_000], 64 << 10);
    assert!(zeros.len() < 1_000, "{}", zeros.len());
    let noise: Vec<u8> =
        (0..300_000u64).map(|n| (n.wrapping_mul(n ^ 0x9e37_79b9_7f4a_7c15) >> 51) as u8).collect();
    let stored = packed(&noise, 64 << 10);
    assert!(stored.len() <= noise.len() + 2 * (HEAD_BYTES + 8 * ENTRY_BYTES), "{}", stored.len());
    let back = Packed::open(file(&stored));
    assert_eq!(read(&back, 0, noise.len() + 10).unwrap(), noise);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_part_of_a_segment_comes_back(
        length in 4096usize + 72..60_000,
        block in prop_oneof![Just(4096u64), Just(8192), Just(65_536)],
        parts in proptest::collection::vec((0u64..70_000, 0usize..20_000), 1..20),
    ) {
        let raw = raw(length);
        let back = Packed::open(file(&packed(&raw, block)));
        prop_assert_eq!(back.bytes().unwrap(), length as u64);
        prop_assert!(back.lists_agree());
        for (at, n) in parts {
            let from = (at as usize).min(length);
            prop_assert_eq!(read(&back, at, n).unwrap(), &raw[from..(from + n).min(length)]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), honest: bool, blocks in 0u32..20) {
        let mut bytes = bytes;
        if honest {
            // A whole head over entries that nobody wrote.
            let entries = bytes.get(HEAD_BYTES..).unwrap_or_default();
            let entries = &entries[..entries.len().min(blocks as usize * ENTRY_BYTES)];
            let head = Head { blocks, bytes: 9, entries_crc: crc32(0, entries) }.encode();
            let n = bytes.len().min(HEAD_BYTES);
            bytes[..n].copy_from_slice(&head[..n]);
        }
        let back = Packed::open(file(&bytes));
        let _ = read(&back, 0, 100);
        let _ = back.lists_agree();
    }
}

/// Either the bytes that were there or an error, for each block; and which blocks are lost.
fn lost(raw: &[u8], damaged: &[u8], context: &str) -> (Vec<usize>, bool) {
    let back = Packed::open(file(damaged));
    let mut lost = Vec::new();
    let mut at = 0;
    for (index, length) in division(raw.len() as u64 - SEAL_BYTES, BLOCK).into_iter().enumerate() {
        match read(&back, at, length as usize) {
            Ok(bytes) => {
                assert!(bytes == raw[at as usize..(at + length) as usize], "{context}: block {index}")
            }
            Err(e) => {
                assert_eq!(e.kind(), io::ErrorKind::InvalidData, "{context}");
                lost.push(index);
            }
        }
        at += length;
    }
    (lost, back.lists_agree())
}

#[test]
fn every_flipped_bit_costs_its_block_or_one_of_the_lists() {
    let raw = raw(4096 + 3 * 4096 + 1000 + 72);
    let whole = packed(&raw, BLOCK);
    let List { blocks, .. } = List::at_begin(&file(&whole)).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let at = bit as u64 / 8;
        let hit =
            blocks.iter().position(|b| (b.stored..b.stored + u64::from(b.entry.stored_bytes)).contains(&at));
        let (lost, agree) = lost(&raw, &damaged, &format!("bit {bit}"));
        assert_eq!(lost, hit.into_iter().collect::<Vec<_>>(), "bit {bit}");
        assert_eq!(agree, hit.is_some(), "bit {bit}");
    }
}

#[test]
fn every_truncation_leaves_the_blocks_before_it() {
    let raw = raw(4096 + 3 * 4096 + 1000 + 72);
    let whole = packed(&raw, BLOCK);
    let list = List::at_begin(&file(&whole)).unwrap();
    for length in 0..whole.len() {
        let (lost, agree) = lost(&raw, &whole[..length], &format!("cut to {length}"));
        assert!(!agree, "cut to {length}");
        let first_list = list.blocks[0].stored as usize;
        let kept =
            |b: &Block| length >= first_list && b.stored as usize + b.entry.stored_bytes as usize <= length;
        let expected: Vec<usize> = (0..list.blocks.len()).filter(|n| !kept(&list.blocks[*n])).collect();
        assert_eq!(lost, expected, "cut to {length}");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(lost(&raw, &longer, "longer"), (Vec::new(), false));
}

#[test]
fn with_both_lists_gone_nothing_can_be_read_and_nothing_is_guessed() {
    let raw = raw(4096 + 5000 + 72);
    let mut damaged = packed(&raw, BLOCK);
    let last = damaged.len() - 1;
    (damaged[40], damaged[last]) = (damaged[40] ^ 1, damaged[last] ^ 1);
    let back = Packed::open(file(&damaged));
    assert_eq!(back.bytes().unwrap(), 0);
    assert_eq!(read(&back, 0, 10).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(back.newer(), None);
}

#[test]
fn a_newer_version_or_method_is_told_from_damage() {
    let raw = raw(4096 + 5000 + 72);
    let whole = packed(&raw, BLOCK);
    for (at, value, version) in [(8, 9, 9), (10, 2, FORMAT_VERSION + 1)] {
        let mut newer = whole.clone();
        newer[at] = value;
        let crc = crc32(0, &newer[..28]);
        newer[28..32].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Packed::open(file(&newer)).newer(), Some(version));
    }
}

#[test]
fn a_page_that_the_device_cannot_read_costs_its_blocks_and_says_why() {
    let raw = raw(4096 + 10 * 4096 + 72);
    let disk = MemStorage::new();
    disk.set_file("file", &packed(&raw, BLOCK));
    disk.read_error("file", 1);
    let back = Packed::open(Storage::reader(&disk).open("file").unwrap());
    let mut unreadable = 0;
    for at in (0..raw.len() as u64).step_by(4096) {
        match read(&back, at, 72) {
            Ok(bytes) => assert_eq!(bytes, raw[at as usize..at as usize + 72]),
            Err(e) => {
                assert_ne!(e.kind(), io::ErrorKind::InvalidData);
                // Asked again, it says the same.
                assert_eq!(read(&back, at, 1).unwrap_err().kind(), e.kind());
                unreadable += 1;
            }
        }
    }
    assert!((1..10).contains(&unreadable), "{unreadable}");
}
