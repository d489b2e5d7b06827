//! Values on the wire, one by one, and a maker of values of any contents for the tests of the whole crate.

use super::*;
use crate::rows::*;
use crate::write::{Integers, Json};
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

/// Numbers that values are made from; zeros once they run out, so that shrinking makes values plain.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    words: Vec<u64>,
    at: usize,
}

impl Source {
    pub(crate) fn word(&mut self) -> u64 {
        let word = self.words.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        word
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.word() % end
    }

    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

pub(crate) fn source() -> impl Strategy<Value = Source> {
    prop::collection::vec(any::<u64>(), 0..200).prop_map(|words| Source { words, at: 0 })
}

/// A value of any contents that the wire carries without loss.
pub(crate) trait Made {
    fn made(source: &mut Source) -> Self;
}

impl<T: Made> Made for Option<T> {
    fn made(source: &mut Source) -> Option<T> {
        if source.below(2) == 1 { Some(T::made(source)) } else { None }
    }
}

impl<T: Made> Made for Vec<T> {
    fn made(source: &mut Source) -> Vec<T> {
        (0..source.below(4)).map(|_| T::made(source)).collect()
    }
}

impl<T: Made> Made for Rows<T> {
    fn made(source: &mut Source) -> Rows<T> {
        Rows::of(Vec::made(source))
    }
}

impl<T: Made> Made for Listing<T> {
    fn made(source: &mut Source) -> Listing<T> {
        Listing { data: Rows::made(source) }
    }
}

impl<T: Made> Made for Spare<T> {
    fn made(source: &mut Source) -> Spare<T> {
        Spare(Option::made(source))
    }
}

impl Made for String {
    fn made(source: &mut Source) -> String {
        const CHARS: &[char] = &[
            'a', 'Z', '0', '"', '\\', '/', '\n', '\u{1}', '\u{7f}', 'é', '\u{2028}', '😀', '&', '=', '%',
            '+', ' ', ',', '{',
        ];
        (0..source.below(8)).map(|_| source.pick(CHARS)).collect()
    }
}

impl Made for Label {
    fn made(source: &mut Source) -> Label {
        let bytes: Vec<u8> = (0..source.below(37)).map(|_| b' ' + source.below(95) as u8).collect();
        Label::from_bytes(&bytes).expect("printable")
    }
}

impl Made for VenueOrderId {
    fn made(source: &mut Source) -> VenueOrderId {
        VenueOrderId(Label::literal("").max(format!("{}", source.word()).parse().expect("digits")))
    }
}

impl Made for TradeId {
    fn made(source: &mut Source) -> TradeId {
        TradeId(VenueOrderId::made(source).0)
    }
}

impl Made for Fixed {
    fn made(source: &mut Source) -> Fixed {
        let units = match source.below(4) {
            0 => i128::from(source.word() as i64),
            1 => i128::from(source.word()) << 63 | i128::from(source.word()),
            2 => i128::from(source.word() as i32) * 10_000_000_000_000_000,
            _ => 0,
        };
        Fixed::from_units(units).expect("not the least number")
    }
}

macro_rules! made_of_fixed {
    ($($name:ident),+) => { $(
        impl Made for $name {
            fn made(source: &mut Source) -> $name { $name(Fixed::made(source)) }
        }
    )+ };
}
made_of_fixed!(Price, Quantity, Money, Rate);

impl Made for bool {
    fn made(source: &mut Source) -> bool {
        source.below(2) == 1
    }
}

impl Made for u32 {
    fn made(source: &mut Source) -> u32 {
        source.word() as u32
    }
}

impl Made for i64 {
    fn made(source: &mut Source) -> i64 {
        source.word() as i64
    }
}

impl Made for Limit {
    fn made(source: &mut Source) -> Limit {
        Limit(u32::made(source))
    }
}

/// Between 2001 and 2262, where digits tell the unit, and whole milliseconds.
impl Made for Ms {
    fn made(source: &mut Source) -> Ms {
        Ms(Timestamp((1_000_000_000_000 + source.below(8_000_000_000_000) as i64) * 1_000_000))
    }
}

impl Made for Ns {
    fn made(source: &mut Source) -> Ns {
        Ns(Timestamp(1_000_000_000_000_000_000 + source.below(8_000_000_000_000_000_000) as i64))
    }
}

impl Made for Level {
    fn made(source: &mut Source) -> Level {
        Level { price: Made::made(source), quantity: Made::made(source), orders: Made::made(source) }
    }
}

impl Made for crate::request::NoParams {
    fn made(_: &mut Source) -> crate::request::NoParams {
        crate::request::NoParams
    }
}

pub(crate) fn written<T: Wire>(value: &T, integers: Integers) -> String {
    let mut out = Json::new(64, integers);
    value.put(&mut out);
    out.into_text()
}

/// The two ways of reading agree, also about what does not fit.
fn two_ways<T: Wire + PartialEq + fmt::Debug>(text: &[u8]) -> Result<(), TestCaseError> {
    for manner in [Manner::Tolerant, Manner::Strict] {
        let pulled = Reader::over(text).map_err(Stop::Json).and_then(|mut reader| {
            let value = T::pull(&mut reader, manner)?;
            reader.finish()?;
            Ok(value)
        });
        match Value::parse(text) {
            Ok(tree) => prop_assert_eq!(pulled, T::read(&tree, manner).map_err(Stop::Misfit)),
            // A misfit may be met before the place where the document breaks.
            Err(_) => prop_assert!(pulled.is_err()),
        }
    }
    Ok(())
}

/// Written in both manners and read back, it is the same.
fn survives<T: Wire + PartialEq + fmt::Debug>(value: &T) -> Result<(), TestCaseError> {
    for integers in [Integers::Bare, Integers::Quoted] {
        let text = written(value, integers);
        let tree = Value::parse(text.as_bytes()).expect("what is written is JSON");
        let back = T::read(&tree, Manner::Tolerant);
        prop_assert_eq!(back.as_ref(), Ok(value), "{}", text);
        two_ways::<T>(text.as_bytes())?;
    }
    Ok(())
}

fn read<T: Wire>(json: &str, manner: Manner) -> Result<T, Fault> {
    T::read(&Value::parse(json.as_bytes()).expect("JSON"), manner).map_err(|misfit| misfit.fault)
}

#[test]
fn decimals_by_hand() {
    let check = |json: &str, tolerant: Result<&str, Fault>, strict: Result<&str, Fault>| {
        let text = |r: Result<Fixed, Fault>| r.map(|v| v.to_string());
        assert_eq!(text(read(json, Manner::Tolerant)), tolerant.map(str::to_string), "{json}");
        assert_eq!(text(read(json, Manner::Strict)), strict.map(str::to_string), "{json}");
    };
    check(r#""61234.50""#, Ok("61234.5"), Ok("61234.5"));
    check(r#""-0.0000125""#, Ok("-0.0000125"), Ok("-0.0000125"));
    check(r#""29.01316839415396""#, Ok("29.01316839415396"), Ok("29.01316839415396"));
    check("61234.50", Ok("61234.5"), Err(Fault::Type));
    check("0.1", Ok("0.1"), Err(Fault::Type));
    check("1e-7", Err(Fault::Form), Err(Fault::Type));
    check("1e400", Err(Fault::Form), Err(Fault::Type));
    for (json, fault) in [
        (r#""1e5""#, Fault::Form),
        (r#""NaN""#, Fault::Form),
        (r#""""#, Fault::Form),
        (r#"".5""#, Fault::Form),
        (r#""5.""#, Fault::Form),
        (r#""+5""#, Fault::Form),
        (r#"" 5""#, Fault::Form),
        (r#""1,000""#, Fault::Form),
        (r#""0.0000000000000000001""#, Fault::Inexact),
        (r#""1000000000000000000000""#, Fault::Inexact),
        ("true", Fault::Type),
        ("[]", Fault::Type),
    ] {
        check(json, Err(fault), Err(fault));
    }
}

#[test]
fn digits_tell_the_unit_of_time() {
    let check = |json: &str, ns: Option<i64>| {
        assert_eq!(read::<Ms>(json, Manner::Tolerant).ok().map(|t| t.0.0), ns, "{json}");
        assert_eq!(read::<Ns>(json, Manner::Tolerant).ok().map(|t| t.0.0), ns, "{json}");
    };
    check("1760000000", Some(1_760_000_000_000_000_000));
    check("1760000000310", Some(1_760_000_000_310_000_000));
    check(r#""1760000000310""#, Some(1_760_000_000_310_000_000));
    check("1760000000310123", Some(1_760_000_000_310_123_000));
    check(r#""1760000000310123456""#, Some(1_760_000_000_310_123_456));
    check("0", Some(0));
    check("-1", None);
    check("17600000003101234567", None);
    check("1760000000.5", None);
    check("1.76e12", None);
    check(r#""yesterday""#, None);
}

#[test]
fn words_are_kept() {
    use crate::words::{OrderStatus, Side};
    assert_eq!(read(r#""BUY""#, Manner::Strict), Ok(Side::Buy));
    assert_eq!(read(r#""buy""#, Manner::Tolerant), Ok(Side::Buy), "recorded in lower case once");
    assert_eq!(read::<Side>(r#""buy""#, Manner::Strict), Err(Fault::Form), "everything is case-sensitive");
    let word = read::<OrderStatus>(r#""PARTIALLY_FILLED""#, Manner::Tolerant).expect("kept");
    assert_eq!((word.word(), word.is_known(), word.is_terminal()), ("PARTIALLY_FILLED", false, None));
    assert_eq!(written(&word, Integers::Bare), r#""PARTIALLY_FILLED""#);
    assert_eq!(read::<OrderStatus>("7", Manner::Tolerant), Err(Fault::Type));
}

#[test]
fn ids_are_never_numbers_with_a_loss() {
    let id = |json: &str| read::<VenueOrderId>(json, Manner::Tolerant).map(|id| id.0.as_str().to_string());
    assert_eq!(id("6498090546073999001"), Ok("6498090546073999001".to_string()));
    assert_eq!(id("18446744073709551617"), Ok("18446744073709551617".to_string()));
    assert_eq!(id(r#""6498090546073999001""#), Ok("6498090546073999001".to_string()));
    assert_eq!(id("6.498e18"), Err(Fault::Form));
    assert_eq!(id("-1"), Err(Fault::Form));
}

#[test]
fn one_bad_row_does_not_hide_the_others() {
    let rows = r#"{"data":[{"t":1,"o":"1","h":"1","l":"1","c":"1","v":"1"},{"t":2},7]}"#;
    let listing = read::<Listing<CandleRow>>(rows, Manner::Tolerant).expect("a listing");
    assert_eq!((listing.data.rows.len(), listing.data.misfits.len()), (1, 2));
    assert_eq!(listing.data.complete(), None, "but it is no whole listing");
    assert_eq!(listing.data.misfits[0], Misfit { member: "c", fault: Fault::Missing });
    assert_eq!(
        read::<Listing<CandleRow>>("{}", Manner::Tolerant),
        Err(Fault::Missing),
        "absent is not empty"
    );
    assert_eq!(read::<Listing<CandleRow>>(r#"{"data":null}"#, Manner::Tolerant), Err(Fault::Missing));
}

#[test]
fn a_repeated_member_is_refused_and_an_unknown_one_ignored() {
    let point = |json: &str| read::<BalancePoint>(json, Manner::Tolerant);
    assert!(point(r#"{"t":1760000000000,"c":"1","new":{"a":[1e400]}}"#).is_ok());
    assert_eq!(point(r#"{"t":1760000000000,"c":"1","c":"2"}"#), Err(Fault::Repeated));
}

#[test]
fn a_figure_nothing_depends_on_hides_nothing() {
    let json = r#"{"instrument_name":"BTC","quantity":"1","haircut":"0.12345678901234567890123","reserved_qty":"0"}"#;
    let coin = read::<PositionBalance>(json, Manner::Tolerant).expect("a balance");
    assert_eq!(coin.haircut, Spare(None));
    let json = r#"{"instrument_name":"BTC","quantity":"0.12345678901234567890123"}"#;
    assert_eq!(read::<PositionBalance>(json, Manner::Tolerant), Err(Fault::Inexact));
}

#[test]
fn later_rows_replace_earlier_ones_only_forwards() {
    use crate::words::OrderStatus::{Active, Canceled, Filled, Pending};
    let row = |status, filled: i64, at: i64| OrderRow {
        status,
        cumulative_quantity: Quantity::new(filled, 0),
        update_time: Some(Ms(Timestamp(at))),
        ..OrderRow::default()
    };
    let check = |old: &OrderRow, new: &OrderRow, replaced: bool| {
        assert_eq!(old.gives_way_to(new), replaced, "{old:?} {new:?}");
    };
    check(&row(Pending, 0, 1), &row(Active, 1, 1), true);
    check(&row(Active, 2, 9), &row(Active, 1, 10), false);
    check(&row(Filled, 2, 1), &row(Active, 2, 5), false);
    check(&row(Active, 2, 5), &row(Canceled, 2, 4), true);
    check(&row(Canceled, 1, 5), &row(Filled, 2, 4), true);
    check(&row(Active, 1, 5), &row(Active, 1, 4), false);
    check(
        &row(Active, 1, 5),
        &OrderRow { cumulative_quantity: Quantity::new(1, 0), ..OrderRow::default() },
        false,
    );
}

#[test]
fn names_rise() {
    assert!(
        ascending(&[])
            && ascending(&["a"])
            && ascending(&["a", "ab", "b"])
            && ascending(&["order", "order_id"])
    );
    assert!(!ascending(&["a", "a"]) && !ascending(&["b", "a"]) && !ascending(&["ab", "a"]));
}

proptest! {
    #[test]
    fn every_row_survives(mut source in source()) {
        survives(&InstrumentRow::made(&mut source.clone()))?;
        survives(&RiskParameters::made(&mut source.clone()))?;
        survives(&Ticker::made(&mut source.clone()))?;
        survives(&BookResult::made(&mut source.clone()))?;
        survives(&BookDelta::made(&mut source.clone()))?;
        survives(&PublicTrade::made(&mut source.clone()))?;
        survives(&CandleResult::made(&mut source.clone()))?;
        survives(&OrderAck::made(&mut source.clone()))?;
        survives(&Vec::<ListAck>::made(&mut source.clone()))?;
        survives(&ListMade::made(&mut source.clone()))?;
        survives(&OrderRow::made(&mut source.clone()))?;
        survives(&TradeRow::made(&mut source.clone()))?;
        survives(&TransactionRow::made(&mut source.clone()))?;
        survives(&Listing::<BalanceRow>::made(&mut source.clone()))?;
        survives(&FeeRates::made(&mut source.clone()))?;
        survives(&InstrumentFeeRates::made(&mut source.clone()))?;
        survives(&BalancePoints::made(&mut source.clone()))?;
        survives(&AccountsResult::made(&mut source))?;
    }

    #[test]
    fn damaged_rows_are_read_alike(mut source in source(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let damage = |mut text: Vec<u8>| {
            let at = at.index(text.len());
            if cut { text.truncate(at) } else { text[at] = byte }
            text
        };
        let orders = Listing::<OrderRow>::made(&mut source.clone());
        two_ways::<Rows<OrderRow>>(&damage(written(&orders.data, Integers::Bare).into_bytes()))?;
        two_ways::<Listing<OrderRow>>(&damage(written(&orders, Integers::Bare).into_bytes()))?;
        let trades = Rows::<TradeRow>::made(&mut source.clone());
        two_ways::<Rows<TradeRow>>(&damage(written(&trades, Integers::Quoted).into_bytes()))?;
        let balances = Rows::<BalanceRow>::made(&mut source);
        two_ways::<Rows<BalanceRow>>(&damage(written(&balances, Integers::Bare).into_bytes()))?;
    }

    #[test]
    fn the_short_way_is_the_long_way(text in "-?[0-9]{0,12}(\\.[0-9]{0,12})?", noise in "[-+.0-9eE ]{0,8}") {
        for text in [text, noise] {
            prop_assert_eq!(decimal(&text), wide(&text), "{}", text);
        }
    }

    #[test]
    fn unknown_words_survive(word in "[a-z_]{1,36}") {
        let tree = format!("\"{word}\"");
        let status = read::<crate::words::OrderStatus>(&tree, Manner::Tolerant).expect("kept");
        prop_assert!(written(&status, Integers::Bare).eq_ignore_ascii_case(&tree));
    }

    #[test]
    fn texts_are_written_as_serde_json_reads_them(text in any::<String>()) {
        let read: String = serde_json::from_str(&written(&text, Integers::Bare)).expect("JSON");
        prop_assert_eq!(read, text);
    }
}
