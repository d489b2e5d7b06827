//! The stored bytes of every fact: frozen, read back, one spelling each, and two independent codecs agree.
//!
//! It never writes golden.tsv: a changed line is a changed format.

use super::samples::samples;
use super::*;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden.tsv");

fn body(fact: &Fact) -> Vec<u8> {
    let mut out = Vec::new();
    fact.encode_body(&mut out);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Decodes, and holds the codec to its promise: what is accepted is spelled as the encoder would.
fn read(kind: u16, bytes: &[u8]) -> Result<Fact, DecodeError> {
    let fact = Fact::decode_body(kind, VERSION, bytes)?;
    assert_eq!(fact.kind(), kind);
    assert_eq!(hex(&body(&fact)), hex(bytes), "a second spelling of {} was accepted", fact.name());
    Ok(fact)
}

#[test]
fn bytes_are_frozen() {
    let (facts, mut lines) = (samples(), GOLDEN.lines());
    for fact in &facts {
        let said = format!("{}\t{}\t{}", fact.kind(), fact.name(), hex(&body(fact)));
        assert_eq!(
            lines.next(),
            Some(said.as_str()),
            "stored bytes changed, or a sample has no golden line yet"
        );
    }
    assert_eq!(lines.next(), None, "a golden line without its sample");
}

#[test]
fn golden_bytes_are_read_back() {
    for (line, fact) in GOLDEN.lines().zip(samples()) {
        let mut columns = line.split('\t');
        let kind = columns.next().and_then(|kind| kind.parse().ok()).expect("a kind");
        let bytes = unhex(columns.nth(1).expect("bytes"));
        assert_eq!(read(kind, &bytes), Ok(fact), "{line}");
    }
}

#[test]
fn kinds_are_unique_rising_and_all_sampled() {
    assert!(Fact::KINDS.windows(2).all(|pair| pair[0].0 < pair[1].0), "kind numbers rise");
    assert!(Fact::KINDS[0].0 > 0, "0 is reserved");
    let names: BTreeSet<&str> = Fact::KINDS.iter().map(|(_, name)| *name).collect();
    assert_eq!(names.len(), Fact::KINDS.len());
    let sampled: BTreeSet<(u16, &str)> = samples().iter().map(|fact| (fact.kind(), fact.name())).collect();
    assert_eq!(
        sampled.into_iter().collect::<Vec<_>>(),
        Fact::KINDS,
        "each kind needs a sample and a golden line"
    );
}

#[test]
fn torn_and_trailing_bytes_are_refused() {
    for fact in samples() {
        let (kind, bytes) = (fact.kind(), body(&fact));
        for cut in 0..bytes.len() {
            let torn = read(kind, &bytes[..cut]);
            assert!(matches!(torn, Err(DecodeError::Body { .. })), "{} cut at {cut}", fact.name());
        }
        let long = [&bytes[..], &[0]].concat();
        assert_eq!(read(kind, &long), Err(DecodeError::Trailing { kind, bytes: 1 }));
    }
}

#[test]
fn every_changed_byte_is_refused_or_another_value() {
    for fact in samples() {
        let mut bytes = body(&fact);
        for at in 0..bytes.len() {
            let kept = bytes[at];
            for byte in [0, 1, 2, 3, 0x7f, 0x80, 0xff, kept ^ 1, kept.wrapping_add(1), kept ^ 0x80] {
                bytes[at] = byte;
                let changed = read(fact.kind(), &bytes);
                assert!(byte == kept || changed.as_ref() != Ok(&fact));
            }
            bytes[at] = kept;
        }
    }
}

#[test]
fn records_round_trip_and_unknown_heads_are_refused() {
    for (n, fact) in samples().into_iter().enumerate() {
        let actor = Actor::ALL[n % Actor::ALL.len()];
        let event = Event { at: Timestamp(n as i64 - 5), actor, cause: Lsn(n as u64), fact };
        let mut payload = Vec::new();
        let head = event.encode(&mut payload);
        assert_eq!((head.version, head.time, head.cause), (VERSION, event.at, event.cause));
        assert_eq!(Event::decode(head, &payload), Ok(event));
        for actor in [0, 8, 255] {
            let refused = Event::decode(RecordHead { actor, ..head }, &payload);
            assert!(matches!(refused, Err(DecodeError::Body { .. })));
        }
        for version in [0, VERSION + 1, 255] {
            let refused = Event::decode(RecordHead { version, ..head }, &payload);
            assert_eq!(refused, Err(DecodeError::Version { kind: head.kind, version }));
        }
    }
    for kind in (0..=u16::MAX).filter(|kind| Fact::KINDS.iter().all(|known| known.0 != *kind)) {
        assert_eq!(Fact::decode_body(kind, VERSION, &[]), Err(DecodeError::Kind(kind)));
    }
}

#[test]
fn ticks_are_kept_whole() {
    for fact in samples() {
        if let Fact::TickSeen(seen) = fact {
            assert_eq!(TickSeen::from(&seen.tick()), seen);
        }
    }
}

/// The same bytes from `wincode`, which shares no code with bincode: its default layout is bincode's fixed-width
/// little-endian one. It covers the order of fields, integer widths, option tags, the 32-bit tags of larger enums,
/// vector lengths and nesting. The spellings of our own (numbers, labels, texts, small enums) are given to it as
/// the plain integers and arrays that journal-format.md says they are.
#[test]
fn another_codec_writes_the_same_bytes() {
    fn check<T: wincode::SchemaWrite<wincode::config::DefaultConfig, Src = T>>(
        n: usize,
        name: &str,
        value: T,
    ) {
        let fact = &samples()[n];
        assert_eq!(fact.name(), name);
        assert_eq!(hex(&wincode::serialize(&value).expect("plain values")), hex(&body(fact)), "{name}");
    }
    let at = |name: &str| samples().iter().position(|fact| fact.name() == name).expect("a sample");
    let now = 1_742_944_022_000_000_000i64;

    check(0, "JournalCreated", (1u8, 0xab_cdef_0123u64, (4u8, *b"USDT")));
    check(1, "Started", (0x42u32, (5u8, *b"0.1.0"), [7u8; 32], Some(9u64)));
    check(2, "Started", (u32::MAX, (5u8, *b"0.1.0"), [0xffu8; 32], None::<u64>));
    check(at("GapFound"), "GapFound", (10u64, 12u64, 300u64, 1u64, (5u16, *b"chain")));
    let spec = ((8u8, *b"BTC_USDT", 1u16, 0u16), ((2u8, 1i64), (5u8, 1i64), (0u8, 10i64)), true);
    check(at("InstrumentListed"), "InstrumentListed", (2u32, spec));
    let quantities = (Some((5u8, 242_385i64)), None::<(u8, i64)>);
    let prices = (Some((0u8, 87_232i64)), Some((2u8, 8_723_201i64)), None::<(u8, i64)>);
    check(at("TickSeen"), "TickSeen", (1u16, 79u64, 2u32, now, (prices, quantities, 1u8)));

    let stages = alloc::vec![((2u8, 1i64), (0u32, (3u8, 15i64))), ((2u8, 3i64), (1u32, (0u8, 99i64))),];
    let rule = (1u32, (1u32, (1u8, 1505i64)), true, stages);
    let plan =
        ((0u32, (2u8, 2i64)), rule, (Some((2u8, 31_225i64)), Some((1u8, 1i64)), Some(86_400_000_000_000i64)));
    let limit = (1u32, (1u8, 500_105i64), 2u8);
    let entry = (
        (41u64, 0x42u32, 2u32, 1u8),
        (limit, (4u8, 1i64), 0u32),
        (i64::MAX, Some(now), 0u64, Some(plan), (0u8, 50_000i64)),
    );
    let n = at("OrderIntended");
    check(n, "OrderIntended", entry);
    type NoPlan = Option<u8>;
    let exit = (
        (41u64, 0x42u32, 2u32, 2u8),
        (0u32, (4u8, 1i64), (1u32, 2u8, 0b101000u8)),
        (i64::MAX, None::<i64>, 0u64, NoPlan::None, (0u8, 50_000i64)),
    );
    check(n + 1, "OrderIntended", exit);
    let fill = (
        (2u32, (10u8, *b"4744868157"), 41u64, Some((3u8, *b"123"))),
        (1u8, (0u8, 50_000i64), (4u8, 1i64)),
        (Some((1u16, (9u8, -75i64))), now, 1u8),
    );
    check(at("FillBooked"), "FillBooked", fill);
    let anomaly = (2u8, Some(2u32), 41u64, (4u8, 1i64), (0x92u8, i128::MAX), (7u16, *b"d\xc3\xa9tail"));
    check(at("AnomalyNoted"), "AnomalyNoted", anomaly);
    let n = at("CommandReceived");
    check(n, "CommandReceived", ((3u8, *b"ann"), 0u32));
    check(n + 1, "CommandReceived", ((3u8, *b"ann"), (1u32, (4u16, *b"news"))));
    let limits = (6u32, Some(3u32), None::<(u8, i64)>, Some((0u8, 250i64)));
    check(n + 6, "CommandReceived", ((3u8, *b"ann"), limits));
}

proptest! {
    #[test]
    fn any_bytes_are_a_fact_or_an_error(bytes in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..120)) {
        for (kind, _) in Fact::KINDS {
            let _ = read(*kind, &bytes);
        }
    }

    #[test]
    fn spliced_facts_are_a_fact_or_an_error(a: prop::sample::Index, b: prop::sample::Index, cut: prop::sample::Index) {
        let facts = samples();
        let (a, b) = (a.get(&facts), body(b.get(&facts)));
        let mut bytes = body(a);
        let cut = cut.index(bytes.len() + 1);
        bytes.truncate(cut);
        bytes.extend_from_slice(&b[cut.min(b.len())..]);
        let _ = read(a.kind(), &bytes);
    }
}

#[test]
fn a_forged_number_of_stages_is_refused_before_memory_is_asked_for() {
    let armed = samples().into_iter().find(|fact| matches!(fact, Fact::StopArmed(_))).expect("a sample");
    let Fact::StopArmed(mut armed) = armed else { unreachable!() };
    armed.plan.rule = crate::protection::StopRule::Trailing {
        distance: crate::protection::Distance::Offset(Price::new(7, 0)),
        from_start: true,
        stages: Vec::new(),
    };
    let (kind, good) = (Fact::StopArmed(armed.clone()).kind(), body(&Fact::StopArmed(armed)));
    // The only eight zero bytes that follow a "true" are the number of stages.
    let at = good.windows(9).position(|nine| nine == [1, 0, 0, 0, 0, 0, 0, 0, 0]).expect("no stages") + 1;
    for count in [9, u64::MAX / 48, u64::MAX] {
        let mut forged = good.clone();
        forged[at..at + 8].copy_from_slice(&count.to_le_bytes());
        let refused = Fact::decode_body(kind, VERSION, &forged);
        assert!(
            matches!(&refused, Err(DecodeError::Body { what, .. }) if what.contains("8 stages")),
            "{refused:?}"
        );
    }
}
