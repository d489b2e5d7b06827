//! Each value has one spelling and every other is refused; no bytes panic.
//!
//! It never compares with bytes that the encoder itself gave: expectations are written by hand.

use super::*;
use crate::fixed::tests::any_fixed;
use crate::{ClientOrderId, OrderId};
use alloc::string::{String, ToString};
use alloc::{format, vec};
use proptest::prelude::*;

fn bytes<T: bincode::Encode>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

/// Decodes, and holds the codec to its promise: what is accepted is spelled as the encoder would.
fn read<T: bincode::Encode + bincode::Decode<()>>(input: &[u8]) -> Result<T, DecodeError> {
    let value = decode::<T>(7, input)?;
    assert_eq!(bytes(&value), input, "a second spelling was accepted");
    Ok(value)
}

fn narrow(scale: u8, mantissa: i64) -> Vec<u8> {
    [&[scale][..], &mantissa.to_le_bytes()].concat()
}

fn wide(scale: u8, mantissa: i128) -> Vec<u8> {
    [&[scale | WIDE][..], &mantissa.to_le_bytes()].concat()
}

#[test]
fn numbers_by_hand() {
    for (text, spelling) in [
        ("0", narrow(0, 0)),
        ("1", narrow(0, 1)),
        ("-1", narrow(0, -1)),
        ("100", narrow(0, 100)),
        ("0.25", narrow(2, 25)),
        ("-43119.5", narrow(1, -431_195)),
        ("0.000000000000000001", narrow(18, 1)),
        ("9223372036854775807", narrow(0, i64::MAX)),
        ("-9223372036854775808", narrow(0, i64::MIN)),
        ("9.223372036854775807", narrow(18, i64::MAX)),
        ("9223372036854775808", wide(0, 1 << 63)),
        ("170141183460469231731.687303715884105727", wide(18, i128::MAX)),
        ("-170141183460469231731.687303715884105727", wide(18, -i128::MAX)),
    ] {
        let value: Fixed = text.parse().unwrap();
        assert_eq!(bytes(&value), spelling, "{text}");
        assert_eq!(read::<Fixed>(&spelling), Ok(value), "{text}");
    }
}

#[test]
fn refused_numbers() {
    for (what, spelling) in [
        ("trailing zero", narrow(1, 10)),
        ("zero with a scale", narrow(3, 0)),
        ("scale 19", narrow(19, 1)),
        ("scale 127", narrow(127, 1)),
        ("wide scale 19", wide(19, i128::MAX)),
        ("wide where narrow fits", wide(0, 5)),
        ("wide where narrow fits exactly", wide(0, i128::from(i64::MIN))),
        ("wide trailing zero", wide(1, 10 << 64)),
        ("beyond the range", wide(0, i128::MAX)),
        ("beyond the range by one whole", wide(0, 170_141_183_460_469_231_732)),
        ("the least integer", wide(18, i128::MIN)),
        ("torn", narrow(0, 1)[..8].to_vec()),
        ("torn wide", wide(18, i128::MAX)[..16].to_vec()),
        ("empty", vec![]),
    ] {
        assert!(matches!(read::<Fixed>(&spelling), Err(DecodeError::Body { kind: 7, .. })), "{what}");
    }
    let long = [narrow(0, 1), vec![0]].concat();
    assert_eq!(read::<Fixed>(&long), Err(DecodeError::Trailing { kind: 7, bytes: 1 }));
}

#[test]
fn labels_and_texts() {
    let full = "x".repeat(LABEL_MAX);
    for text in ["", "BTC_USDT", " ~", full.as_str()] {
        let label: Label = text.parse().unwrap();
        let spelling = [&[text.len() as u8][..], text.as_bytes()].concat();
        assert_eq!((bytes(&label), read(&spelling)), (spelling.clone(), Ok(label)));
        assert_eq!(label.as_str(), text);
    }
    let too_long = [&[37][..], &[b'x'; 37]].concat();
    for spelling in [&[1, 0x1f][..], &[1, 0x7f], &[2, b'a'], &[], &[1, 0xc3], &too_long] {
        assert!(read::<Label>(spelling).is_err(), "{spelling:?}");
    }

    let text = Text::new("d\u{e9}j\u{e0}");
    let spelling = [&[6, 0][..], "d\u{e9}j\u{e0}".as_bytes()].concat();
    assert_eq!((bytes(&text), read(&spelling)), (spelling, Ok(text)));
    let most = [&1024u16.to_le_bytes()[..], &[b'x'; 1024]].concat();
    assert!(read::<Text>(&most).is_ok());
    let more = [&1025u16.to_le_bytes()[..], &[b'x'; 1025]].concat();
    for spelling in [&[1, 0, 0xff][..], &[2, 0, b'a'], &[1], &more] {
        assert!(read::<Text>(spelling).is_err());
    }
}

#[test]
fn bounds_hold_where_texts_are_made() {
    assert_eq!("x".repeat(37).parse::<Label>(), Err(crate::text::LabelError::TooLong(37)));
    assert_eq!("a\tb".parse::<Label>(), Err(crate::text::LabelError::Byte(1)));
    assert_eq!(Label::lossy("caf\u{e9}\n").as_str(), "caf??");
    assert_eq!(Label::lossy(&"y".repeat(50)).as_str().len(), LABEL_MAX);
    assert_eq!(
        Text::new(&format!("{}\u{e9}", "x".repeat(1023))).as_str().len(),
        1023,
        "cut before the character"
    );
    let texts = ["", "A", "AA", "AB", "B", "a"];
    let labels: Vec<Label> = texts.iter().map(|t| t.parse().unwrap()).collect();
    assert!(labels.is_sorted(), "labels are ordered as their texts");
}

#[test]
fn client_order_ids() {
    let id = ClientOrderId { installation: 0xab_cdef_0123, run: 0x42, order: OrderId(7) };
    assert_eq!(
        (id.to_string().as_str(), id.label().as_str()),
        ("abcdef0123-00000042-7", "abcdef0123-00000042-7")
    );
    let longest =
        ClientOrderId { installation: (1 << 40) - 1, run: u32::MAX, order: OrderId(crate::ids::ORDER_MAX) };
    assert_eq!(longest.label().as_str().len(), LABEL_MAX);
    for text in [
        "",
        "abcdef0123-00000042",
        "abcdef0123-00000042-",
        "abcdef0123-00000042-07",
        "ABCDEF0123-00000042-7",
        "abcdef0123-42-7",
        "abcdef0123-00000042-+7",
        "+bcdef0123-00000042-7",
        "1abcdef0123-00000042-7",
        "abcdef0123-00000042-10000000000000000",
        "abcdef0123-00000042-7 ",
        "abcdef0123-00000042-7-1",
        "\u{e9}",
    ] {
        assert!(text.parse::<ClientOrderId>().is_err(), "{text:?}");
    }
}

/// One line for each small enum: its numbers are stored and therefore frozen.
#[test]
fn numbers_of_small_enums_are_frozen() {
    macro_rules! spell {
        ($($path:path),+ $(,)?) => {{
            let mut lines = String::new();
            $({
                type E = $path;
                let names: Vec<String> = E::ALL.iter().map(|e| format!("{} {e}", e.number())).collect();
                lines += &format!("{}: {}\n", stringify!($path).rsplit("::").next().unwrap().trim(), names.join(", "));
                for number in 0..=u8::MAX {
                    let known = E::ALL.iter().copied().find(|e| e.number() == number);
                    assert_eq!(E::from_number(number), known);
                    assert_eq!(read::<E>(&[number]).ok(), known, "number {number}");
                }
                assert!(E::from_number(0).is_none(), "0 is reserved");
            })+
            lines
        }};
    }
    let lines = spell!(
        crate::ids::Actor,
        crate::ids::Mode,
        crate::market::PricePath,
        crate::order::Side,
        crate::order::TimeInForce,
        crate::order::OrderEnd,
        crate::order::OrderStatus,
        crate::order::UnknownCause,
        crate::order::RejectClass,
        crate::order::LookupAnswer,
        crate::protection::ExitReason,
        crate::protection::StopCause,
        crate::protection::RetireCause,
        crate::event::Direction,
        crate::event::FillSource,
        crate::event::Refusal,
        crate::event::CorrectionKind,
        crate::event::PauseRule,
        crate::event::AlarmKind,
        crate::event::Blocks,
        crate::event::AnomalyKind,
        crate::claim::SourceKind,
        crate::claim::LimitKind,
        crate::claim::LimitUnit,
        crate::claim::DisputeKind,
        crate::claim::ClaimVerdict,
    );
    for (said, frozen) in lines.lines().zip(include_str!("small_enums.txt").lines()) {
        assert!(
            said.starts_with(frozen),
            "numbers are never changed, only added\n said   {said}\n frozen {frozen}"
        );
    }
    assert_eq!(lines, include_str!("small_enums.txt"), "add the new numbers to wire/small_enums.txt");
}

#[test]
fn a_state_may_claim_some_hundred_times_its_bytes_and_is_refused_before_more_is_asked_for() {
    for (bytes, limit) in
        [(0x1000, 1u64 << 20), (0x1001, 1 << 28), (0x10_0000, 1 << 28), (0x10_0001, 1 << 34)]
    {
        let mut forged = vec![0; bytes];
        forged[..8].copy_from_slice(&(limit / 8 + 1).to_le_bytes());
        let refused = decode_state::<Vec<u64>>(&forged);
        let expected = DecodeError::Body { kind: 0, what: "LimitExceeded".to_string() };
        assert_eq!(refused, Err(expected), "{bytes} bytes");
    }
    // As many as are there are never too many.
    for numbers in [511, 512, 131_071, 131_072] {
        let state = vec![7u64; numbers];
        assert_eq!(decode_state(&encode_state(&state)), Ok(state));
    }
}

proptest! {
    #[test]
    fn equal_numbers_are_equal_bytes(a in any_fixed(), b in any_fixed()) {
        prop_assert_eq!(read::<Fixed>(&bytes(&a)), Ok(a));
        prop_assert_eq!(a == b, bytes(&a) == bytes(&b));
        let again: Fixed = format!("{a}").parse().unwrap();
        prop_assert_eq!(bytes(&again), bytes(&a));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(input in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read::<Fixed>(&input);
        let _ = read::<Label>(&input);
        let _ = read::<Text>(&input);
        let _ = read::<ClientOrderId>(&input);
        let _ = read::<Option<Fixed>>(&input);
        let _ = read::<Vec<crate::protection::Stage>>(&input);
        let _ = read::<crate::OrderKind>(&input);
        let _ = read::<crate::Command>(&input);
    }

    #[test]
    fn any_number_bytes(scale in 0u8..=255, mantissa: i128, bits in 0u32..127) {
        let mantissa = mantissa >> bits;
        let _ = read::<Fixed>(&wide(scale & 31, mantissa));
        let _ = read::<Fixed>(&narrow(scale & 31, mantissa as i64));
        let _ = read::<Fixed>(&narrow(scale, 10));
    }

    #[test]
    fn client_order_ids_round_trip(installation in 0u64..1 << 40, run: u32, n in 0..=crate::ids::ORDER_MAX) {
        let id = ClientOrderId { installation, run, order: OrderId(n) };
        prop_assert_eq!(id.label().as_str().parse(), Ok(id));
        prop_assert_eq!(read(&bytes(&id)), Ok(id));
    }

    #[test]
    fn texts_round_trip(text in "\\PC{0,40}") {
        let text = Text::new(&text);
        prop_assert_eq!(read(&bytes(&text)), Ok(text));
    }

    #[test]
    fn a_length_is_never_believed(len: u64, tail in prop::collection::vec(any::<u8>(), 0..30)) {
        // A huge count of stages must be refused before memory is asked for.
        let input = [&len.to_le_bytes()[..], &tail].concat();
        let _ = read::<Vec<crate::protection::Stage>>(&input);
        let _ = decode_state::<Vec<u64>>(&input);
        let _ = decode_state::<Vec<[Option<Fixed>; 8]>>(&input);
    }

    #[test]
    fn states_round_trip(labels in prop::collection::vec(any::<Option<u8>>(), 0..3_000)) {
        // Small on the wire, large in memory: an absent label is one byte and 38.
        let spelled = |n: u8| format!("{n}").parse::<Label>().unwrap();
        let state: Vec<Option<Label>> = labels.into_iter().map(|n| n.map(spelled)).collect();
        let written = encode_state(&state);
        prop_assert_eq!(decode_state(&written), Ok(state));
        let long = [&written[..], &[0]].concat();
        let refused = decode_state::<Vec<Option<Label>>>(&long);
        prop_assert_eq!(refused, Err(DecodeError::Trailing { kind: 0, bytes: 1 }));
    }
}
