//! The table against the reference's and against the vendor's, row by row.

use super::*;
use crate::json::Value;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Section 13.1 of the reference: class and codes, `=` for 204, `?` for the look-ups, `-` for the rest.
const CLASSES: &str = "
    0: 0
    F: 201 203 205 206 208 209 210 211 213 214 215 216 217 218 219 220 221 223 225 226 227 228 229 230 308
       310 311 317 319 320 416 501 604 605 606 613 614 615 616 617 618 619 620 30024
       40001 40002 40003 40004 40005 50002 50007 50010 140001
    B: 207 222 309 318 40102 42901 9010001
    E: 224 301 302 303 304 305 306 312 313 314 315 321 325 415 1110 43003 43005 120009 130008
    X: 43004 43012
    U: 40006 40801 50001
    A: 202 401 406 407 408 409 410 411 412 40101 40103 40104
    =: 204
    ?: 212 307 316 40401
    -: 40107";

#[test]
fn every_code_has_its_class() {
    let mut expected = BTreeMap::new();
    let mut letter = "";
    for word in CLASSES.split_whitespace() {
        match word.strip_suffix(':') {
            Some(next) => letter = next,
            None => {
                assert!(expected.insert(word.parse::<i64>().expect("a code"), letter).is_none(), "{word}")
            }
        }
    }
    for code in Code::ALL {
        let row = code.row();
        let letter = match row.class {
            Class::Success => "0",
            Class::Refused => "F",
            Class::Later => "B",
            Class::Ended => "E",
            Class::Partial => "X",
            Class::Unknown => "U",
            Class::Access => "A",
            Class::Exists => "=",
            Class::LookUp => "?",
            Class::Aside => "-",
        };
        assert_eq!(expected.remove(&row.number), Some(letter), "{row:?}");
        assert_eq!(Code::from_number(row.number), Some(*code));
        assert!(!row.meaning.is_empty() && !row.meaning.starts_with(' '));
    }
    assert!(expected.is_empty(), "not in the table: {expected:?}");
}

#[test]
fn every_code_is_the_vendors() {
    let file = include_str!("../../../../fixtures/venue/openapi-excerpt.json");
    let file = Value::parse(file.as_bytes()).expect("JSON");
    let Some(Value::Array(codes)) = file.get("x-error-codes") else { panic!("no codes") };
    let mut numbers: Vec<i64> = Vec::new();
    for entry in codes {
        let number = entry.get("code").and_then(Value::whole).expect("a number");
        let row = Code::from_number(number).unwrap_or_else(|| panic!("{number} is missing")).row();
        // The one number with two names; the table has the one that a spot engine can meet.
        let name = entry.get("name").and_then(Value::text);
        let name = if number == 50002 { Some("INVALID_PRICE") } else { name };
        assert_eq!(Some(row.name), name, "{number}");
        let http = entry.get("http").and_then(Value::whole).map(|http| http as u16);
        assert!(row.http == http || number == 50002, "{number}");
        numbers.push(number);
    }
    numbers.sort_unstable();
    let ours: Vec<i64> = Code::ALL.iter().map(|code| code.row().number).collect();
    assert_eq!(ours, numbers, "in order, and none besides");
}

#[test]
fn what_is_not_known_proves_nothing() {
    for number in [1, -1, 999, 213_000, i64::MAX, i64::MIN] {
        assert_eq!(class_for(number, Method::CreateOrder), Class::Unknown);
    }
    let maintenance = Code::SystemMaintenance.row().number;
    assert_eq!(class_for(maintenance, Method::CreateOrder), Class::Unknown);
    assert_eq!(class_for(maintenance, Method::UserBalance), Class::Later);
    assert_eq!(class_for(50002, Method::AdvancedCreateOrder), Class::Refused);
    assert_eq!(class_for(50002, Method::CreateOrder), Class::Unknown);
}
