//! Frames: what encoding writes verification accepts, and nothing else.

use super::*;
use crate::NewRecord;
use proptest::prelude::*;

fn record(payload: &[u8]) -> NewRecord<'_> {
    NewRecord { kind: 7, version: 1, actor: 3, time_ns: -5, cause: 0, payload }
}

/// Appends a frame to what is there; its memory is not zero before.
fn append(out: &mut Vec<u8>, record: &NewRecord<'_>, link: &Link, durable: Option<Lsn>, end: bool) -> u32 {
    let start = out.len();
    out.resize(start + frame_bytes(record.payload.len(), durable.is_some()), 0xee);
    encode(&mut out[start..], record, link, durable, end)
}

const LINK: Link = Link { lsn: 9, chain: 0x1234_5678, salt: 0x9abc_def0 };

#[test]
fn an_empty_record_inside_a_batch_does_not_begin_with_zeros() {
    // It once did, and was taken for the end of the log.
    let mut bytes = Vec::new();
    append(&mut bytes, &record(&[]), &LINK, None, false);
    assert_eq!(bytes.len(), FRAME_BYTES);
    assert!(RawRecord(&bytes).verify(&LINK, false).is_ok());
    assert_ne!(u32_at(&bytes, 0), 0);
}

#[test]
fn the_checksum_depends_on_everything_and_on_the_record_before() {
    let mut bytes = Vec::new();
    let crc = append(&mut bytes, &record(b"payload"), &LINK, Some(5), true);
    let verified = RawRecord(&bytes).verify(&LINK, true).unwrap();
    assert_eq!((verified.crc, verified.size, verified.durable), (crc, bytes.len(), Some(5)));
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(RawRecord(&bytes).verify(&LINK, true).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for other in [Link { lsn: 10, ..LINK }, Link { chain: LINK.chain ^ 1, ..LINK }, Link { salt: 1, ..LINK }]
    {
        assert!(RawRecord(&bytes).verify(&other, true).is_err(), "{other:?}");
    }
    assert!(RawRecord(&bytes).verify(&LINK, false).is_err(), "a batch begins only where one may");
    for length in 0..bytes.len() {
        assert!(RawRecord(&bytes[..length]).verify(&LINK, true).is_err(), "cut to {length}");
    }
}

#[test]
fn a_first_frame_checks_out_alone_under_its_own_salt_only() {
    let mut bytes = Vec::new();
    append(&mut bytes, &record(b"x"), &LINK, Some(8), true);
    assert_eq!(RawRecord(&bytes).verify_alone(LINK.salt, 1, 100), Some((LINK, 8)));
    assert_eq!(RawRecord(&bytes).verify_alone(LINK.salt ^ 1, 1, 100), None);
    assert_eq!(RawRecord(&bytes).verify_alone(LINK.salt, 10, 100), None);
    for (first, last, fits) in [(9, 9, true), (1, 8, false), (10, 10, false)] {
        assert_eq!(
            RawRecord(&bytes).verify_alone(LINK.salt, first, last).is_some(),
            fits,
            "{first} to {last}"
        );
    }
    let mut empty = Vec::new();
    append(&mut empty, &record(&[]), &LINK, Some(8), true);
    assert_eq!(
        RawRecord(&empty).verify_alone(LINK.salt, 1, 100),
        Some((LINK, 8)),
        "no byte more than it needs"
    );
    assert_eq!(RawRecord(&empty[..39]).verify_alone(LINK.salt, 1, 100), None);
    let mut later = Vec::new();
    append(&mut later, &record(b"x"), &LINK, None, true);
    assert_eq!(RawRecord(&later).verify_alone(LINK.salt, 1, 100), None, "only a first frame says its link");
}

#[test]
fn a_flag_of_a_newer_version_is_told_from_damage() {
    let mut bytes = Vec::new();
    append(&mut bytes, &record(b"x"), &LINK, None, true);
    bytes[3] |= 0x08;
    assert_eq!(RawRecord(&bytes).verify(&LINK, false).unwrap_err(), Flaw::Checksum);
    let crc = checksum(LINK.chain, &bytes);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(RawRecord(&bytes).verify(&LINK, false).unwrap_err(), Flaw::NewerFlags);
}

proptest! {
    #[test]
    fn every_record_round_trips(
        kind in 1u16..,
        version: u8,
        actor: u8,
        time_ns: i64,
        lsn in 1u64..1 << 48,
        back in 0u64..1 << 20,
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        chain: u32,
        salt: u32,
        behind in proptest::option::of(0u64..1 << 20),
        end: bool,
    ) {
        let cause = if back == 0 || back >= lsn { 0 } else { lsn - back };
        let new = NewRecord { kind, version, actor, time_ns, cause, payload: &payload };
        let link = Link { lsn, chain, salt };
        let durable = behind.map(|behind| lsn.saturating_sub(behind + 1));
        let mut bytes = vec![0xee; 16];
        let crc = append(&mut bytes, &new, &link, durable, end);
        let raw = RawRecord(&bytes[16..]);
        let verified = raw.verify(&link, durable.is_some()).unwrap();
        prop_assert_eq!((verified.crc, verified.durable, verified.batch_end), (crc, durable, end));
        prop_assert_eq!(verified.size, bytes.len() - 16);
        prop_assert_eq!(verified.size % 8, 0);
        let (record, size) = raw.view(3, 16, false);
        prop_assert_eq!(size, verified.size);
        prop_assert_eq!(
            (record.lsn, record.kind, record.version, record.actor, record.time_ns, record.cause),
            (lsn, kind, version, actor, time_ns, cause)
        );
        prop_assert_eq!(record.payload, &payload[..]);
        prop_assert_eq!((record.batch_first, record.batch_end), (durable.is_some(), end));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), lsn: u64, chain: u32) {
        let link = Link { lsn, chain, salt: 0 };
        let _ = RawRecord(&bytes).verify(&link, true);
        let _ = RawRecord(&bytes).verify_alone(0, 0, u64::MAX);
    }
}
