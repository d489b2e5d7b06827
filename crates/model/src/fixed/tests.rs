//! Fixed-point arithmetic against two independent witnesses: big integers and `rust_decimal`.
//!
//! It never computes an expectation with `Fixed` itself.

use super::*;
use alloc::format;
use alloc::string::ToString;
use core::cmp::Ordering;
use num_bigint::{BigInt, Sign};
use proptest::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};

const ROUNDINGS: [Rounding; 3] = [Rounding::Floor, Rounding::Ceil, Rounding::HalfEven];

fn fixed(units: i128) -> Fixed {
    Fixed::from_units(units).unwrap_or(Fixed::MAX)
}

/// Every size from one step to the end of the range, round numbers, and the corners.
pub(crate) fn any_fixed() -> impl Strategy<Value = Fixed> {
    prop_oneof![
        (any::<i128>(), 0u32..127).prop_map(|(n, bits)| fixed(n >> bits)),
        (any::<i32>(), 0u32..=18).prop_map(|(n, scale)| Fixed::new(i64::from(n), scale)),
        (1i128..10, 0u32..38).prop_map(|(n, zeros)| fixed(n.saturating_mul(10i128.pow(zeros)))),
        prop::sample::select(&[
            0,
            1,
            -1,
            ONE,
            -ONE,
            i128::MAX,
            -i128::MAX,
            i128::MAX - 1,
            1 << 64,
            u64::MAX as i128
        ])
        .prop_map(fixed),
    ]
}

/// numerator / denominator rounded by the definition.
fn exact(numerator: BigInt, denominator: BigInt, rounding: Rounding) -> BigInt {
    let zero = BigInt::ZERO;
    let (n, d) =
        if denominator.sign() == Sign::Minus { (-numerator, -denominator) } else { (numerator, denominator) };
    let (mut q, mut r) = (&n / &d, &n % &d);
    if r < zero {
        q -= 1;
        r += &d;
    }
    let up = match rounding {
        Rounding::Floor => false,
        Rounding::Ceil => r > zero,
        Rounding::HalfEven => match (&r + &r).cmp(&d) {
            Ordering::Less => false,
            Ordering::Equal => q.bit(0),
            Ordering::Greater => true,
        },
    };
    q + i32::from(up)
}

fn in_range(value: &BigInt) -> Result<Fixed, ArithmeticError> {
    i128::try_from(value).ok().and_then(Fixed::from_units).ok_or(ArithmeticError::Overflow)
}

fn big(value: Fixed) -> BigInt {
    BigInt::from(value.units())
}

fn decimal(mantissa: i32, scale: u32) -> Decimal {
    Decimal::new(i64::from(mantissa), scale)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn times_over_is_the_big_integer_result(a in any_fixed(), b in any_fixed(), c in any_fixed()) {
        for rounding in ROUNDINGS {
            let expected = |n: BigInt, d: Fixed| match d.is_zero() {
                true => Err(ArithmeticError::DivisionByZero),
                false => in_range(&exact(n, big(d), rounding)),
            };
            prop_assert_eq!(a.times_over(b, c, rounding), expected(big(a) * big(b), c));
            prop_assert_eq!(a.times(b, rounding), expected(big(a) * big(b), Fixed::ONE));
            prop_assert_eq!(a.over(c, rounding), expected(big(a) * ONE, c));
        }
    }

    #[test]
    fn ties_go_to_even(quotient in -1_000_000i128..1_000_000, divisor in 1i128..1 << 100) {
        // (2 q + 1) d / 2 d lies exactly between q and q + 1.
        let numerator = (2 * quotient + 1).checked_mul(divisor);
        let (Some(numerator), Some(double)) = (numerator, divisor.checked_mul(2)) else { return Ok(()) };
        let even = if quotient & 1 == 0 { quotient } else { quotient + 1 };
        let said = fixed(numerator).times_over(fixed(1), fixed(double), Rounding::HalfEven);
        prop_assert_eq!(said, Ok(fixed(even)));
    }

    #[test]
    fn sums_are_the_big_integer_result(a in any_fixed(), b in any_fixed()) {
        prop_assert_eq!(a.plus(b), in_range(&(big(a) + big(b))));
        prop_assert_eq!(a.minus(b), in_range(&(big(a) - big(b))));
        prop_assert_eq!(big(a.negated()), -big(a));
        prop_assert_eq!(a.abs(), if a.is_negative() { a.negated() } else { a });
        prop_assert_eq!(a.cmp(&b), big(a).cmp(&big(b)));
        prop_assert_eq!((a.is_zero(), a.is_positive()), (a.units() == 0, a.units() > 0));
    }

    #[test]
    fn to_multiple_is_the_big_integer_result(a in any_fixed(), step in any_fixed()) {
        for rounding in ROUNDINGS {
            let said = a.to_multiple(step, rounding);
            if step.is_zero() {
                prop_assert_eq!(said, Ok(a));
                continue;
            }
            let size = big(step.abs());
            prop_assert_eq!(said, in_range(&(exact(big(a), size.clone(), rounding) * size)));
            prop_assert!(said.is_err() || said.is_ok_and(|m| m.is_multiple_of(step)));
        }
    }

    #[test]
    fn spelled_and_read_back(a in any_fixed(), zeros in 0usize..25) {
        let text = a.to_string();
        prop_assert_eq!(text.parse(), Ok(a));
        prop_assert!(!text.contains('.') || !text.ends_with(['0', '.']), "{} is not the shortest", text);
        prop_assert!(text != "-0");
        let padded = format!("{text}{}{}", if text.contains('.') { "" } else { "." }, "0".repeat(zeros + 1));
        prop_assert_eq!(padded.parse(), Ok(a), "zeros change nothing, beyond the 18th digit neither");
        let json = format!("{a:?}");
        prop_assert_eq!(json, text);
    }

    #[test]
    fn shortest_is_canonical(a in any_fixed()) {
        let (mantissa, scale) = a.shortest();
        prop_assert_eq!(Fixed::from_parts(mantissa, scale), Some(a));
        prop_assert!(scale == 0 || mantissa % 10 != 0);
        let fraction = a.to_string().split_once('.').map_or(0, |(_, fraction)| fraction.len());
        prop_assert_eq!(scale as usize, fraction);
    }

    #[test]
    fn from_parts_is_the_big_integer_result(mantissa: i128, bits in 0u32..127, scale in 0u32..40) {
        let mantissa = mantissa >> bits;
        let expected = (scale <= SCALE)
            .then(|| in_range(&(BigInt::from(mantissa) * BigInt::from(10).pow(SCALE - scale))).ok())
            .flatten();
        prop_assert_eq!(Fixed::from_parts(mantissa, scale), expected);
    }

    #[test]
    fn rust_decimal_agrees(a: i32, b: i32, sa in 0u32..=9, sb in 0u32..=9, places in 0u32..=18) {
        let (x, y) = (Fixed::new(i64::from(a), sa), Fixed::new(i64::from(b), sb));
        let (p, q) = (decimal(a, sa), decimal(b, sb));
        let same = |f: Result<Fixed, ArithmeticError>, d: Decimal| f.map(|f| f.to_string()) == Ok(d.normalize().to_string());
        prop_assert!(same(Ok(x), p));
        prop_assert!(same(x.plus(y), p + q));
        prop_assert!(same(x.minus(y), p - q));
        prop_assert!(same(x.times(y, Rounding::Floor), p * q), "the product has at most 18 digits");
        prop_assert_eq!(x.cmp(&y), p.cmp(&q));
        let (step, product, exact) = (Fixed::new(1, places), x.times(y, Rounding::Floor).unwrap(), p * q);
        for (rounding, strategy) in [
            (Rounding::Floor, RoundingStrategy::ToNegativeInfinity),
            (Rounding::Ceil, RoundingStrategy::ToPositiveInfinity),
            (Rounding::HalfEven, RoundingStrategy::MidpointNearestEven),
        ] {
            let rounded = exact.round_dp_with_strategy(places, strategy);
            prop_assert!(same(product.to_multiple(step, rounding), rounded), "{} {:?}", product, rounding);
        }
    }

    #[test]
    fn no_text_panics(text in "[-+0-9. e]{0,50}|\\PC{0,12}") {
        if let Ok(value) = text.parse::<Fixed>() {
            let digits: alloc::string::String = value.abs().to_string();
            let trimmed = text.trim_start_matches(['-', '+']).trim_start_matches('0');
            prop_assert!(trimmed.is_empty() || trimmed.starts_with('.') || digits.starts_with(&trimmed[..1]));
        }
    }

    #[test]
    fn approximate_cuts_towards_zero(a in any_fixed(), scale in 0u32..25) {
        let unit = BigInt::from(10).pow(SCALE - scale.min(SCALE));
        let expected = big(a) / unit;
        let clamped = i64::try_from(&expected).unwrap_or(if a.is_negative() { i64::MIN } else { i64::MAX });
        prop_assert_eq!(a.approximate(scale), clamped);
    }
}

#[test]
fn refused_texts() {
    for (text, error) in [
        ("", ParseFixedError::Empty),
        ("-", ParseFixedError::Empty),
        (".", ParseFixedError::Empty),
        ("1e5", ParseFixedError::Character(1)),
        ("1_000", ParseFixedError::Character(1)),
        (" 1", ParseFixedError::Character(0)),
        ("--1", ParseFixedError::Character(1)),
        ("1.2.3", ParseFixedError::Character(3)),
        ("NaN", ParseFixedError::Character(0)),
        ("0.0000000000000000001", ParseFixedError::TooFine),
        ("170141183460469231731.687303715884105728", ParseFixedError::TooLarge),
        ("-170141183460469231731.687303715884105728", ParseFixedError::TooLarge),
        ("999999999999999999999999999999999999999999999", ParseFixedError::TooLarge),
    ] {
        assert_eq!(text.parse::<Fixed>(), Err(error), "{text:?}");
    }
    assert_eq!("170141183460469231731.687303715884105727".parse(), Ok(Fixed::MAX));
    assert_eq!("-0.000".parse(), Ok(Fixed::ZERO));
    assert_eq!(Fixed::from_units(i128::MIN), None);
}

#[test]
fn everything_is_a_multiple_of_zero_and_the_rest_by_its_remainder() {
    let multiple = |of: &str, step: &str| {
        let number = |text: &str| text.parse::<Fixed>().expect("a number");
        number(of).is_multiple_of(number(step))
    };
    assert!(multiple("0.3", "0") && multiple("0", "0") && multiple("0", "7"));
    assert!(
        multiple("0.3", "0.1") && multiple("-0.3", "0.1") && multiple("0.3", "-0.1") && multiple("5", "5")
    );
    assert!(!multiple("0.3", "0.2") && !multiple("0.1", "0.3"));
}

#[test]
fn numbers_are_read_from_strings_and_integers_and_never_from_floats() {
    use serde::Deserialize;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, F64Deserializer, I64Deserializer, StrDeserializer, U64Deserializer};
    let text = |text: &'static str| {
        let from: StrDeserializer<'_, Error> = text.into_deserializer();
        Fixed::deserialize(from)
    };
    assert_eq!((text("-0.25"), text("1e5").is_err()), (Ok(Fixed::new(-25, 2)), true));
    let signed = |n: i64| -> Result<Fixed, Error> { Fixed::deserialize(I64Deserializer::new(n)) };
    assert_eq!(signed(-3), Ok(Fixed::from_int(-3)));
    let unsigned = |n: u64| -> Result<Fixed, Error> { Fixed::deserialize(U64Deserializer::new(n)) };
    assert_eq!((unsigned(7), unsigned(u64::MAX).is_err()), (Ok(Fixed::from_int(7)), true));
    let float: Result<Fixed, Error> = Fixed::deserialize(F64Deserializer::new(0.5));
    assert!(float.is_err());
}

#[test]
fn tables_are_padded_and_cut() {
    let value = Fixed::new(-12_345_678, 6);
    assert_eq!(
        format!("{value}|{value:.2}|{value:12.2}|{:.3}", Fixed::ONE),
        "-12.345678|-12.34|      -12.34|1.000"
    );
}
