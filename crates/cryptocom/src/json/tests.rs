//! The reader against `serde_json` on documents, damaged documents and plain noise.

use super::*;
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

/// The same tree? Numbers are compared as `serde_json` spells them where it can hold them exactly.
fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::Number(a), serde_json::Value::Number(b)) => {
            serde_json::from_str::<serde_json::Number>(a).ok().as_ref() == Some(b)
        }
        (Value::Text(a), serde_json::Value::String(b)) => a == b,
        (Value::Array(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), serde_json::Value::Object(b)) => {
            // Theirs keeps the last of a repeated name.
            b.iter().all(|(name, b)| a.iter().rev().find(|(n, _)| n == name).is_some_and(|(_, a)| same(a, b)))
                && a.iter().all(|(name, _)| b.contains_key(name.as_ref()))
        }
        (_, _) => false,
    }
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    match (Value::parse(bytes), serde_json::from_slice::<serde_json::Value>(bytes)) {
        (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs), "{ours:?} {theirs:?}"),
        (Err(_), Err(_)) => {}
        (Err(JsonError::TooDeep), Ok(_)) => {}
        // A float beyond its range: theirs refuses the document, ours leaves the number to whoever reads it.
        (Ok(_), Err(e)) => prop_assert!(e.to_string().contains("out of range"), "only ours accepts: {e}"),
        (Err(e), Ok(_)) => prop_assert!(false, "only theirs accepts: {e}"),
    }
    Ok(())
}

pub(crate) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        ".{0,12}".prop_map(serde_json::Value::from),
        "[0-9]{1,19}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z_\"\\\\é]{0,6}", inner, 0..6)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

#[test]
fn numbers_stay_as_sent() {
    let check = |text: &str| {
        assert_eq!(Value::parse(text.as_bytes()), Ok(Value::Number(text)), "{text}");
    };
    for text in
        ["0", "-0", "1.50", "9223372036854775808", "1e400", "0.1e-7", "123456789012345678901234567890"]
    {
        check(text);
    }
    for text in ["01", "1.", ".5", "+1", "1e", "--1", "NaN", "Infinity", "0x1"] {
        assert!(Value::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn bounds_hold() {
    let nest = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(Value::parse(nest(DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(Value::parse(nest(DEPTH_MAX + 1).as_bytes()), Err(JsonError::TooDeep));
    assert_eq!(Value::parse(nest(1_000_000).as_bytes()), Err(JsonError::TooDeep));
    let long = alloc::vec![b' '; DOCUMENT_MAX + 1];
    assert_eq!(Value::parse(&long), Err(JsonError::TooLong(DOCUMENT_MAX + 1)));
    assert_eq!(Value::parse(b"[1, 2"), Err(JsonError::Truncated));
    assert_eq!(Value::parse(b"{} x"), Err(JsonError::Syntax(3)));
    assert_eq!(Value::parse(&[b'"', 0xff, b'"']), Err(JsonError::NotText));
    assert_eq!(Value::parse(br#""\ud800""#), Err(JsonError::Syntax(7)));
}

#[test]
fn a_repeated_member_is_nobodys() {
    let value = Value::parse(br#"{"code":0,"code":306,"id":1}"#).expect("JSON");
    assert_eq!(value.get("code"), None);
    assert_eq!(value.get("id").and_then(Value::whole), Some(1));
}

proptest! {
    #[test]
    fn a_plain_run_ends_at_the_first_byte_that_is_not(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(0x80), Just(b'a')], 0..40)) {
        let expected = bytes.iter().position(|b| *b < 0x20 || *b == b'"' || *b == b'\\').unwrap_or(bytes.len());
        prop_assert_eq!(plain_run(&bytes), expected);
    }

    #[test]
    fn whole_numbers_are_those_of_the_core(text in "-?[0-9]{0,21}", any in ".{0,4}") {
        let plain = !text.is_empty() && text != "-";
        prop_assert_eq!(whole(&text), if plain { text.parse().ok() } else { None });
        prop_assert!(whole(&any).is_none() || any.parse::<i64>().is_ok());
        for edge in [i64::MAX, i64::MIN] {
            prop_assert_eq!(whole(&edge.to_string()), Some(edge));
        }
    }

    #[test]
    fn documents_read_as_serde_json_reads_them(value in any_json()) {
        agree(value.to_string().as_bytes())?;
        agree(serde_json::to_string_pretty(&value).expect("JSON").as_bytes())?;
    }

    #[test]
    fn damaged_documents_are_refused_alike(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        agree(&bytes)?;
    }

    #[test]
    fn noise_is_judged_alike(bytes in prop::collection::vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:0-9eE+.truefalsn\\\\ -]{0,40}") {
        agree(&bytes)?;
        agree(text.as_bytes())?;
    }
}
