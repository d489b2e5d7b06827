//! The page of a pruned journal, byte for byte.

use super::*;

const IDENTITY: Identity = Identity { journal_id: *b"0123456789abcdef", schema: 2, mode: 1 };

fn begin(held_in: &str) -> Begin {
    Begin {
        number: 7,
        epoch: 3,
        first_lsn: 1_001,
        chain: 0xdead_beef,
        root: [9; 32],
        held_in: held_in.to_owned(),
    }
}

#[test]
fn what_is_written_is_read() {
    for text in ["", "/mnt/other/aegis", "\u{20ac}"] {
        let page = begin(text).encode(&IDENTITY);
        assert_eq!(Begin::decode(&page), Some((IDENTITY, begin(text))), "{text:?}");
    }
}

#[test]
fn a_text_too_long_is_cut_at_a_whole_character() {
    let long = format!("/x{}", "\u{20ac}".repeat(400));
    let page = begin(&long).encode(&IDENTITY);
    let (_, read) = Begin::decode(&page).expect("it is whole");
    assert!(long.starts_with(&read.held_in) && read.held_in.len() > TEXT_BYTES_MAX - 4);
}

#[test]
fn any_changed_byte_is_noticed_or_costs_the_text_at_most() {
    let whole = begin("/mnt/other");
    let page = whole.encode(&IDENTITY);
    for at in 0..TEXT_AT + whole.held_in.len() {
        let mut changed = page;
        changed[at] ^= 0x40;
        match Begin::decode(&changed) {
            None => assert!(at < TEXT_CRC_AT, "byte {at}"),
            Some((identity, read)) => {
                assert!(at >= TEXT_CRC_AT, "byte {at}");
                assert_eq!((identity, read), (IDENTITY, Begin { held_in: String::new(), ..whole.clone() }));
            }
        }
    }
    assert_eq!(Begin::decode(&page[..4095]), None, "a page is a whole page");
}

#[test]
fn a_segment_is_no_beginning_and_a_beginning_no_segment() {
    let page = begin("").encode(&IDENTITY);
    assert!(crate::layout::Header::decode(&page).is_err());
    let header = crate::layout::Header {
        version: 3,
        identity: IDENTITY,
        number: 1,
        epoch: 1,
        first_lsn: 1,
        segment_bytes: 1 << 16,
        chain: 0,
        root_before: NO_ROOT,
        gaps: Vec::new(),
    };
    assert_eq!(Begin::decode(&header.encode()), None);
}
