//! Headers, marks and seals, byte for byte.

use super::*;

fn header() -> Header {
    Header {
        version: PACKED_VERSION,
        identity: Identity { journal_id: [7; 16], schema: 2, mode: 1 },
        number: 12,
        epoch: 3,
        first_lsn: 1000,
        segment_bytes: 64 << 20,
        chain: 0xdead_beef,
        root_before: [9; 32],
        gaps: vec![
            DeclaredGap { first_lsn: 5, through_lsn: 10, by_checkpoint: true },
            DeclaredGap { first_lsn: 900, through_lsn: 999, by_checkpoint: false },
        ],
    }
}

#[test]
fn a_header_round_trips_and_every_bit_of_it_counts() {
    let page = header().encode();
    assert_eq!(Header::decode(&page), Ok(header()));
    for bit in 0..236 * 8 {
        let mut damaged = page;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&damaged), Err(HeaderFlaw::Damaged), "bit {bit}");
    }
    for length in 0..page.len() {
        assert_eq!(Header::decode(&page[..length]), Err(HeaderFlaw::Damaged));
    }
    assert!(Header::reserved_is_zero(&page));
}

#[test]
fn a_newer_version_is_told_from_damage() {
    let mut page = header().encode();
    page[8] = 9;
    let crc = crc32(0, &page[..232]);
    page[232..236].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Header::decode(&page), Err(HeaderFlaw::Newer(9)));
}

#[test]
fn a_header_with_a_right_checksum_and_a_reserved_field_in_use_is_damaged() {
    for (at, value) in [(13, GAPS_MAX as u8 + 1), (15, 1), (68, 1), (71, 1)] {
        let mut page = header().encode();
        page[at] = value;
        let crc = crc32(0, &page[..232]);
        page[232..236].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(Header::decode(&page), Err(HeaderFlaw::Damaged), "byte {at}");
    }
    let most = Header { gaps: vec![header().gaps[0]; GAPS_MAX], ..header() };
    assert_eq!(Header::decode(&most.encode()), Ok(most));
}

#[test]
fn two_roots_agree_if_they_are_equal_or_one_is_not_known() {
    let (a, b) = ([1; 32], [2; 32]);
    assert!(roots_agree(&a, &a) && roots_agree(&a, &NO_ROOT) && roots_agree(&NO_ROOT, &b));
    assert!(!roots_agree(&a, &b));
}

#[test]
fn marks_alternate_and_a_torn_one_leaves_the_other() {
    let mut page = header().encode();
    let salt = header().salt();
    assert_eq!(Mark::newest(&page, salt), (None, 0));
    for sequence in 1..6 {
        let mark = Mark { durable_lsn: 100 + sequence, sequence };
        let at = mark.offset() as usize;
        page[at..at + 24].copy_from_slice(&mark.encode(salt));
        assert_eq!(Mark::newest(&page, salt), (Some(mark), 0));
    }
    let newest = Mark { durable_lsn: 105, sequence: 5 }.offset() as usize;
    page[newest] ^= 1;
    assert_eq!(Mark::newest(&page, salt), (Some(Mark { durable_lsn: 104, sequence: 4 }), 1));
    assert_eq!(Mark::newest(&page, salt ^ 2).0, None, "a mark of another segment says nothing here");
}

#[test]
fn a_seal_checks_out_alone_and_every_bit_counts() {
    let seal = Seal { last_lsn: 8, count: 3, epoch: 2, chain: 77, root: [4; 32] };
    let bytes = seal.encode();
    assert_eq!(Seal::decode(&bytes), Some(seal));
    assert!(Seal::begins_with(u32_at(&bytes, 0)));
    for bit in 0..72 * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Seal::decode(&damaged), None, "bit {bit}");
    }
    assert_eq!(Seal::decode(&bytes[..71]), None);
}

#[test]
fn seed_and_salt_differ_by_epoch_segment_and_journal() {
    assert_ne!(seed(1, 1), seed(1, 2));
    assert_ne!(seed(1, 1), seed(2, 1));
    assert_ne!(salt(&[1; 16], 1, 1), salt(&[1; 16], 1, 2));
    assert_ne!(salt(&[1; 16], 1, 1), salt(&[1; 16], 2, 1));
    assert_ne!(salt(&[1; 16], 1, 1), salt(&[2; 16], 1, 1));
}

#[test]
fn a_words_crc_is_that_of_its_bytes() {
    let mut mix = 1u32;
    for n in 0..10_000u32 {
        mix = mix.wrapping_mul(0x9e37_79b9).rotate_left(7) ^ n;
        assert_eq!(
            crc32_word(mix, n ^ mix.rotate_left(9)),
            crc32(mix, &(n ^ mix.rotate_left(9)).to_le_bytes())
        );
    }
}
