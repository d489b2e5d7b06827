//! What the port takes and what it refuses, line by line.
//!
//! It never opens a socket.

use super::*;
use proptest::prelude::*;
use std::io::{BufReader, Cursor};

fn read(bytes: &[u8]) -> Vec<Result<SignalLine, BadLine>> {
    // A tiny buffer, so that lines span chunks.
    let mut port = Port::new(BufReader::with_capacity(7, Cursor::new(bytes)));
    std::iter::from_fn(|| port.next_line().expect("memory does not fail")).collect()
}

/// The one line's signal spelled out, or the reason it is refused.
fn check(line: &str, expected: &str) {
    let lines = read(line.as_bytes());
    let spelled = match &lines[..] {
        [Ok(s)] => {
            let at = s.at.map_or(String::from("now"), |at| at.0.to_string());
            format!("{} {} {} {} {} {}", s.source, s.instrument, s.direction, s.confidence, s.horizon_ns, at)
        }
        [Err(bad)] => bad.reason.as_str().to_owned(),
        other => panic!("{line}: {other:?}"),
    };
    assert!(spelled.contains(expected), "{line}\n  said: {spelled}\n  not:  {expected}");
}

/// A line with these fields in place of the usual ones.
fn with(field: &str, value: &str) -> String {
    let usual = [
        ("instrument", "\"BTC_USDT\""),
        ("direction", "\"up\""),
        ("confidence", "0.9"),
        ("source", "\"desk\""),
        ("horizon_min", "60"),
    ];
    let mut fields: Vec<String> = usual
        .iter()
        .filter(|(name, _)| *name != field)
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if value != "absent" {
        fields.push(format!("\"{field}\":{value}"));
    }
    format!("{{{}}}", fields.join(","))
}

#[test]
fn fields() {
    for (field, value, expected) in [
        ("direction", "\"up\"", "desk BTC_USDT up 0.9 3600000000000 now"),
        ("direction", "\"BUY\"", "BTC_USDT up"),
        ("direction", "\"Long\"", "BTC_USDT up"),
        ("direction", "\"down\"", "BTC_USDT down"),
        ("direction", "\"Sell\"", "BTC_USDT down"),
        ("direction", "\"NEUTRAL\"", "BTC_USDT neutral"),
        ("direction", "\"short\"", "nothing is sold short"),
        ("direction", "\"sideways\"", "direction: \"sideways\" is none of"),
        ("direction", "1", "invalid type: integer"),
        ("direction", "absent", "missing field `direction`"),
        ("confidence", "0", "up 0 "),
        ("confidence", "1", "up 1 "),
        ("confidence", "1.0", "up 1 "),
        ("confidence", "\"0.875\"", "up 0.875 "),
        ("confidence", "0.123456789012345678", "up 0.123456789012345678 "),
        ("confidence", "0.30000000000000004", "up 0.30000000000000004 "),
        ("confidence", "0.1234567890123456789", "confidence: more than 18 digits"),
        ("confidence", "1.000000000000000001", "not within 0 to 1"),
        ("confidence", "-0.1", "not within 0 to 1"),
        ("confidence", "9e-1", "has an exponent"),
        ("confidence", "1e999999999", "has an exponent"),
        ("confidence", "NaN", "expected value"),
        ("confidence", "\"NaN\"", "confidence: \"NaN\" is not a number"),
        ("confidence", "\"Infinity\"", "is not a number"),
        ("confidence", "\"0.9 \"", "unexpected character"),
        ("confidence", "\"\"", "is not a number"),
        ("confidence", "null", "confidence: null is not a number"),
        ("confidence", "true", "is not a number"),
        ("confidence", "[0.9]", "is not a number"),
        ("confidence", "99999999999999999999999999999999999999999", "beyond"),
        ("confidence", "absent", "missing field `confidence`"),
        ("horizon_min", "1", " 60000000000 now"),
        ("horizon_min", "0.5", " 30000000000 now"),
        ("horizon_min", "\"90\"", " 5400000000000 now"),
        ("horizon_min", "527040", " 31622400000000000 now"),
        ("horizon_min", "527040.1", "at most 527040"),
        ("horizon_min", "0", "not above 0"),
        ("horizon_min", "-5", "not above 0"),
        ("horizon_min", "0.000000000000000001", "whole number of nanoseconds"),
        ("at", "1742944022000000000", " 1742944022000000000"),
        ("at", "0", "desk BTC_USDT up 0.9 3600000000000 0"),
        ("at", "\"2025-03-25T23:07:02Z\"", " 1742944022000000000"),
        ("at", "\"2025-03-26T00:07:02.5+01:00\"", " 1742944022500000000"),
        ("at", "null", " now"),
        ("at", "-1", "at: -1 is neither"),
        ("at", "1.5", "at: 1.5 is neither"),
        ("at", "99999999999999999999", "is neither"),
        ("at", "\"1742944022000000000\"", "at: \"1742944022000000000\""),
        ("at", "\"9999-01-01T00:00:00Z\"", "is neither"),
        ("at", "\"yesterday\"", "at: \"yesterday\""),
        ("source", "\"\"", "source: empty"),
        ("source", "\"\u{e9}t\u{e9}\"", "source: a byte outside printable ASCII"),
        ("instrument", "\"1234567890123456789012345678901234567\"", "instrument: 37 bytes"),
        ("stop", "49000", "unknown field `stop`"),
        ("Confidence", "1", "unknown field `Confidence`"),
        ("a\\u001b[31m", "1", "unknown field `a\u{fffd}[31m`"),
        ("source", "\"a\",\"source\":\"b\"", "duplicate field `source`"),
    ] {
        check(&with(field, value), expected);
    }
}

#[test]
fn whole_lines() {
    check("{}", "missing field");
    check("[]", "invalid length");
    check("buy BTC", "expected value");
    check("{} {}", "missing field");
    check(&format!("{} trailing", with("", "absent")), "trailing characters");
    check(&format!("  {}  \r", with("", "absent")), "desk BTC_USDT up");
    check(&"[".repeat(60_000), "invalid");
    check("\u{feff}{}", "expected value");
}

#[test]
fn bad_lines_do_not_stop_the_good_ones() {
    let good = with("", "absent");
    let long = format!("{{\"instrument\":\"{}\"}}", "x".repeat(200_000));
    let almost = format!("{good}{}", " ".repeat(LINE_MAX - good.len()));
    let over = format!("{almost} ");
    let named = with("confidence", "7");
    let mut bytes = [&good, "", "   ", "oops", &long, &named, &almost, &over, &good].join("\n").into_bytes();
    bytes.extend_from_slice(b"\n\xff\xfe\n");
    bytes.extend_from_slice(good.as_bytes());
    let lines = read(&bytes);
    let places: Vec<(u64, bool)> = lines
        .iter()
        .map(|line| match line {
            Ok(signal) => (signal.position, true),
            Err(bad) => (bad.position, false),
        })
        .collect();
    let expected = [
        (1, true),
        (4, false),
        (5, false),
        (6, false),
        (7, true),
        (8, false),
        (9, true),
        (10, false),
        (11, true),
    ];
    assert_eq!(places, expected);
    let sources: Vec<Option<Label>> =
        lines.iter().filter_map(|l| l.as_ref().err()).map(|bad| bad.source).collect();
    assert_eq!(sources, [None, None, Some(Label::literal("desk")), None, None], "a readable source is kept");
    let reason = |n: usize| lines[n].as_ref().err().map(|bad| bad.reason.to_string());
    assert_eq!(reason(2).as_deref(), Some("a line longer than 64 KiB"));
    assert_eq!(reason(5), reason(2));
}

#[test]
fn a_long_line_is_not_kept() {
    let endless = io::Read::take(io::repeat(b'x'), 50_000_000);
    let mut port = Port::new(BufReader::new(endless));
    assert!(matches!(port.next_line(), Ok(Some(Err(_)))));
    assert!(port.text.capacity() <= 2 * LINE_MAX);
    assert!(matches!(port.next_line(), Ok(None)));
}

#[test]
fn a_broken_stream_is_not_a_bad_line() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let good = format!("{}\n", with("", "absent"));
    let mut port = Port::new(BufReader::new(io::Read::chain(Cursor::new(good), Broken)));
    assert!(matches!(port.next_line(), Ok(Some(Ok(_)))));
    assert!(port.next_line().is_err());
}

#[test]
fn the_signals_of_act_two() {
    let lines = read(include_bytes!("../../../../fixtures/market/act2_signals.ndjson"));
    let signals: Vec<SignalLine> = lines.into_iter().map(|line| line.expect("a committed signal")).collect();
    let points = crate::feed::ticks::embedded().expect("the embedded capture").rows;
    assert_eq!(
        signals.iter().map(|s| s.instrument.to_string()).collect::<Vec<_>>(),
        ["BTC_USDT", "ETH_USDT", "SOL_USDT"]
    );
    for signal in signals {
        assert_eq!((signal.direction, signal.confidence), (Direction::Up, Rate::new(9, 1)));
        let quoted = |p: &&crate::feed::ticks::Point| {
            p.name == signal.instrument && matches!(p.shown, crate::feed::ticks::Shown::Quote { .. })
        };
        let first = points.iter().find(quoted).expect("a quote");
        let at = signal.at.expect("a time");
        assert!(first.received < at && at < points[0].received.after(5 * SECOND));
        let Input::Signal(input) = signal.input(Timestamp(7)) else { panic!("a signal") };
        assert_eq!((input.at, input.horizon_ns), (at, 3600 * SECOND));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let lines = read(&bytes);
        let written = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        prop_assert_eq!(lines.len(), written);
    }

    #[test]
    fn a_damaged_line_is_a_signal_or_a_reason(at in 0usize..120, byte in any::<u8>()) {
        let mut bytes = with("at", "\"2025-03-25T23:07:02Z\"").into_bytes();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        for line in read(&bytes) {
            match line {
                Ok(s) => prop_assert!(s.confidence <= Rate::ONE && s.horizon_ns > 0 && !s.source.is_empty()),
                Err(bad) => prop_assert!(!bad.reason.as_str().is_empty()),
            }
        }
    }

    #[test]
    fn confidence_is_exact(units in 0i128..=1_000_000_000_000_000_000, quoted: bool) {
        let value = Fixed::from_units(units).unwrap();
        let text = if quoted { format!("\"{value}\"") } else { value.to_string() };
        let lines = read(with("confidence", &text).as_bytes());
        prop_assert_eq!(lines[0].as_ref().map(|s| s.confidence), Ok(Rate(value)));
    }
}
