//! One canonical fixed-point number: an `i128` count of 10^-18.
//!
//! Equal values are equal bytes; every operation is checked; products and quotients go through 256 bits and
//! round once, by a named direction. It never loses a digit silently and never holds a float.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// Fractional decimal digits that a [`Fixed`] carries.
pub const SCALE: u32 = 18;
/// 10^18: how many units make one.
pub const ONE: i128 = 1_000_000_000_000_000_000;

/// An exact decimal with 18 fractional digits; magnitude below about 1.7 * 10^20.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fixed(i128);

/// Which neighbour a result takes when it lies between two representable numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rounding {
    /// Towards minus infinity.
    Floor,
    /// Towards plus infinity.
    Ceil,
    /// To the nearest; a tie goes to the even last digit.
    HalfEven,
}

/// Why an exact operation has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ArithmeticError {
    /// The result's magnitude is beyond about 1.7 * 10^20.
    Overflow,
    /// The divisor is zero.
    DivisionByZero,
}

impl fmt::Display for ArithmeticError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ArithmeticError::Overflow => "the result is beyond 1.7e20, the largest number that can be kept",
            ArithmeticError::DivisionByZero => "division by zero",
        })
    }
}

impl core::error::Error for ArithmeticError {}

/// Why a text is not a number of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ParseFixedError {
    /// No digits at all.
    Empty,
    /// A character other than a digit, one point and one leading sign, at this byte.
    Character(usize),
    /// More than 18 fractional digits that are not zeros: keeping it would lose some.
    TooFine,
    /// Beyond about 1.7 * 10^20.
    TooLarge,
}

impl fmt::Display for ParseFixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseFixedError::Empty => f.write_str("no digits where a decimal number is expected"),
            ParseFixedError::Character(at) => {
                write!(f, "not a plain decimal number: unexpected character at byte {at}")
            }
            ParseFixedError::TooFine => f.write_str("more than 18 digits after the point"),
            ParseFixedError::TooLarge => f.write_str("beyond 1.7e20"),
        }
    }
}

impl core::error::Error for ParseFixedError {}

impl Fixed {
    /// Zero.
    pub const ZERO: Fixed = Fixed(0);
    /// One.
    pub const ONE: Fixed = Fixed(ONE);
    /// The smallest step, 10^-18.
    pub const STEP: Fixed = Fixed(1);
    /// The largest value.
    pub const MAX: Fixed = Fixed(i128::MAX);

    /// The number whose count of 10^-18 is `units`. `i128::MIN` is outside the range, so that every value has a
    /// negative.
    pub const fn from_units(units: i128) -> Option<Fixed> {
        if units == i128::MIN { None } else { Some(Fixed(units)) }
    }

    /// The count of 10^-18.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// A whole number.
    pub const fn from_int(n: i64) -> Fixed {
        Fixed(n as i128 * ONE)
    }

    /// `mantissa * 10^-scale`, for literals in code.
    ///
    /// # Panics
    /// When `scale` is above 18 (a mistake in the program).
    pub const fn new(mantissa: i64, scale: u32) -> Fixed {
        assert!(scale <= SCALE, "at most 18 fractional digits");
        Fixed(mantissa as i128 * pow10(SCALE - scale) as i128)
    }

    /// Sum.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub const fn plus(self, other: Fixed) -> Result<Fixed, ArithmeticError> {
        match self.0.checked_add(other.0) {
            Some(v) if v != i128::MIN => Ok(Fixed(v)),
            Some(_) | None => Err(ArithmeticError::Overflow),
        }
    }

    /// Difference.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub const fn minus(self, other: Fixed) -> Result<Fixed, ArithmeticError> {
        self.plus(Fixed(-other.0))
    }

    /// The value with its sign turned; always possible.
    pub const fn negated(self) -> Fixed {
        Fixed(-self.0)
    }

    /// The magnitude; always possible.
    pub const fn abs(self) -> Fixed {
        Fixed(self.0.abs())
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is above zero.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Product, rounded once at the 18th digit.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`].
    pub fn times(self, other: Fixed, rounding: Rounding) -> Result<Fixed, ArithmeticError> {
        self.times_over(other, Fixed::ONE, rounding)
    }

    /// Quotient, rounded once at the 18th digit.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
    pub fn over(self, divisor: Fixed, rounding: Rounding) -> Result<Fixed, ArithmeticError> {
        self.times_over(Fixed::ONE, divisor, rounding)
    }

    /// `self * factor / divisor` with one rounding at the end; the product is kept in 256 bits.
    ///
    /// # Errors
    /// [`ArithmeticError::DivisionByZero`], [`ArithmeticError::Overflow`].
    pub fn times_over(
        self,
        factor: Fixed,
        divisor: Fixed,
        rounding: Rounding,
    ) -> Result<Fixed, ArithmeticError> {
        if divisor.0 == 0 {
            return Err(ArithmeticError::DivisionByZero);
        }
        let negative = (self.0 < 0) ^ (factor.0 < 0) ^ (divisor.0 < 0);
        let (high, low) = wide_product(self.0.unsigned_abs(), factor.0.unsigned_abs());
        let divisor = divisor.0.unsigned_abs();
        let (quotient, remainder) = wide_quotient(high, low, divisor).ok_or(ArithmeticError::Overflow)?;
        let up = match rounding {
            Rounding::Floor => negative && remainder != 0,
            Rounding::Ceil => !negative && remainder != 0,
            Rounding::HalfEven => {
                let rest = divisor - remainder;
                remainder > rest || (remainder == rest && remainder != 0 && quotient & 1 == 1)
            }
        };
        let magnitude = quotient.checked_add(u128::from(up)).ok_or(ArithmeticError::Overflow)?;
        let value = i128::try_from(magnitude).map_err(|_| ArithmeticError::Overflow)?;
        Ok(Fixed(if negative { -value } else { value }))
    }

    /// The nearest multiple of `step` in the named direction. A step of zero leaves the value as it is.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`] when the multiple lies outside the range.
    pub fn to_multiple(self, step: Fixed, rounding: Rounding) -> Result<Fixed, ArithmeticError> {
        if step.0 == 0 {
            return Ok(self);
        }
        let step = step.0.abs();
        let below = self.0.rem_euclid(step);
        if below == 0 {
            return Ok(self);
        }
        let above = step - below;
        let up = match rounding {
            Rounding::Floor => false,
            Rounding::Ceil => true,
            Rounding::HalfEven => below > above || (below == above && self.0.div_euclid(step) & 1 == 1),
        };
        let value = if up { self.0.checked_add(above) } else { self.0.checked_sub(below) };
        let value = value.ok_or(ArithmeticError::Overflow)?;
        Fixed::from_units(value).ok_or(ArithmeticError::Overflow)
    }

    /// Whether it is a multiple of `step` (everything is a multiple of zero).
    pub const fn is_multiple_of(self, step: Fixed) -> bool {
        step.0 == 0 || self.0 % step.0 == 0
    }

    /// The shortest spelling: `(mantissa, scale)` with `scale` the fewest fractional digits that hold the value.
    pub const fn shortest(self) -> (i128, u32) {
        if let Some((mantissa, scale)) = self.shortest_narrow() {
            return (mantissa as i128, scale);
        }
        let (magnitude, scale) = strip_wide(self.0.unsigned_abs(), SCALE);
        let magnitude = magnitude as i128;
        (if self.0 < 0 { -magnitude } else { magnitude }, scale)
    }

    /// The shortest spelling of most numbers, which have at most eight fractional digits and are not large; none says
    /// nothing.
    #[inline]
    pub(crate) const fn shortest_narrow(self) -> Option<(i64, u32)> {
        let Some(hundred_millionths) = tenth_power_quotient(self.0.unsigned_abs()) else { return None };
        if hundred_millionths > i64::MAX as u64 {
            return None;
        }
        if hundred_millionths == 0 {
            return Some((0, 0));
        }
        let (magnitude, scale) = strip_eight(hundred_millionths);
        Some((if self.0 < 0 { -(magnitude as i64) } else { magnitude as i64 }, scale))
    }

    /// The value of a 64-bit mantissa with at most 18 fractional digits: always in range, since 2^63 * 10^18 is
    /// below 2^123.
    #[inline]
    pub(crate) const fn from_narrow(mantissa: i64, scale: u32) -> Fixed {
        Fixed(mantissa as i128 * pow10(SCALE - scale) as i128)
    }

    /// The value of `mantissa * 10^-scale` if `scale` is at most 18 and the value is in range.
    pub const fn from_parts(mantissa: i128, scale: u32) -> Option<Fixed> {
        if scale > SCALE {
            return None;
        }
        match mantissa.checked_mul(pow10(SCALE - scale) as i128) {
            Some(v) => Fixed::from_units(v),
            None => None,
        }
    }

    /// The value rounded to an `i64` count of `10^-scale`, for display and statistics only.
    pub fn approximate(self, scale: u32) -> i64 {
        let unit = pow10(SCALE - scale.min(SCALE)) as i128;
        i64::try_from(self.0 / unit).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }
}

/// 10^n for n up to 18.
#[inline]
const fn pow10(n: u32) -> u64 {
    const POWERS: [u64; SCALE as usize + 1] = {
        let mut powers = [1; SCALE as usize + 1];
        let mut i = 1;
        while i < powers.len() {
            powers[i] = powers[i - 1] * 10;
            i += 1;
        }
        powers
    };
    POWERS[n as usize]
}

/// The inverse of 5^k modulo 2^128, by Newton's iteration (each round doubles the correct bits).
const fn inverse_of_five_to(k: u32) -> u128 {
    let five = 5u128.pow(k);
    let mut x = five; // correct to 3 bits for any odd number
    let mut round = 0;
    while round < 7 {
        x = x.wrapping_mul(2u128.wrapping_sub(five.wrapping_mul(x)));
        round += 1;
    }
    x
}

const INVERSES: [(u32, u128, u128); 5] = {
    let mut table = [(0, 0, 0); 5];
    let mut i = 0;
    while i < 5 {
        let k = 16 >> i;
        table[i] = (k, inverse_of_five_to(k), u128::MAX / 5u128.pow(k));
        i += 1;
    }
    table
};

/// `n / 10^k` when it is exact; `k` is a power of two up to 16. A product with the inverse of 5^k is at most
/// `MAX / 5^k` exactly when 5^k divides, which costs three multiplications instead of a division.
const fn exact_quotient(n: u128, k: u32) -> Option<u128> {
    let row = INVERSES[(16 / k).trailing_zeros() as usize];
    let q = (n >> k).wrapping_mul(row.1);
    if q <= row.2 && n.trailing_zeros() >= k { Some(q) } else { None }
}

/// `n / 10^10` when it is exact and fits 64 bits: what the quotient would be modulo 2^64 is multiplied back.
#[inline]
const fn tenth_power_quotient(n: u128) -> Option<u64> {
    const INVERSE: u64 = inverse_of_five_to(10) as u64;
    let q = ((n >> 10) as u64).wrapping_mul(INVERSE);
    if q as u128 * pow10(10) as u128 == n { Some(q) } else { None }
}

/// Takes decimal zeros off a wide number, at most as many as there are fractional digits.
const fn strip_wide(mut n: u128, mut scale: u32) -> (u128, u32) {
    let mut step = 16;
    while step > 0 {
        if step <= scale
            && let Some(q) = exact_quotient(n, step)
        {
            n = q;
            scale -= step;
        }
        step /= 2;
    }
    (n, scale)
}

/// Takes up to eight decimal zeros off a number with eight fractional digits that is not zero: answers with what is left
/// and its scale. No branch, since which zeros there are follows no pattern: four, two, one and one is any number up to
/// eight.
#[inline]
const fn strip_eight(mut n: u64) -> (u64, u32) {
    const STEPS: [(u32, u64, u64); 4] = [strip_step(4), strip_step(2), strip_step(1), strip_step(1)];
    let (mut scale, mut i) = (8, 0);
    while i < STEPS.len() {
        let (k, inverse, limit) = STEPS[i];
        // The quotient if 10^k divides, and otherwise a number beyond every quotient.
        let q = n.wrapping_mul(inverse).rotate_right(k);
        let divides = q <= limit;
        n = if divides { q } else { n };
        scale -= if divides { k } else { 0 };
        i += 1;
    }
    (n, scale)
}

/// For a step of `k` zeros: the inverse of 5^k modulo 2^64 and the largest quotient.
const fn strip_step(k: u32) -> (u32, u64, u64) {
    (k, inverse_of_five_to(k) as u64, u64::MAX / pow10(k))
}

/// The 256-bit product of two 128-bit numbers, as (high, low).
fn wide_product(a: u128, b: u128) -> (u128, u128) {
    const HALF: u128 = u64::MAX as u128;
    let (a1, a0) = (a >> 64, a & HALF);
    let (b1, b0) = (b >> 64, b & HALF);
    let low = a0 * b0;
    let (middle, carry) = (a1 * b0).overflowing_add(a0 * b1);
    let (low, low_carry) = low.overflowing_add(middle << 64);
    let high = a1 * b1 + (middle >> 64) + (u128::from(carry) << 64) + u128::from(low_carry);
    (high, low)
}

/// `(high:low) / divisor` as (quotient, remainder); `None` when the quotient needs more than 128 bits.
fn wide_quotient(high: u128, low: u128, divisor: u128) -> Option<(u128, u128)> {
    if high == 0 {
        return Some((low / divisor, low % divisor));
    }
    if high >= divisor {
        return None;
    }
    if let Ok(d) = u64::try_from(divisor) {
        // high < divisor < 2^64: two steps of 128 by 64 bits.
        let d = u128::from(d);
        let first = (high << 64) | (low >> 64);
        let (q1, r1) = (first / d, first % d);
        let second = (r1 << 64) | (low & u128::from(u64::MAX));
        let (q0, r0) = (second / d, second % d);
        return Some(((q1 << 64) | q0, r0));
    }
    // Shift and subtract, one bit a round: rare (a divisor above 18.4) and at most 128 rounds.
    let (mut rest, mut low, mut quotient) = (high, low, 0u128);
    for _ in 0..128 {
        let carried = rest >> 127 == 1;
        rest = (rest << 1) | (low >> 127);
        low <<= 1;
        quotient <<= 1;
        if carried || rest >= divisor {
            rest = rest.wrapping_sub(divisor);
            quotient |= 1;
        }
    }
    Some((quotient, rest))
}

impl FromStr for Fixed {
    type Err = ParseFixedError;

    /// Reads `[-|+]digits[.digits]`. No exponent, no grouping, no surrounding space; zeros beyond the 18th
    /// fractional digit are accepted, anything else there is an error, since keeping it would lose a digit.
    fn from_str(text: &str) -> Result<Fixed, ParseFixedError> {
        let bytes = text.as_bytes();
        let (negative, start) = match bytes.first() {
            Some(b'-') => (true, 1),
            Some(b'+') => (false, 1),
            _ => (false, 0),
        };
        let (mut units, mut digits, mut fraction) = (0i128, 0usize, None::<u32>);
        for (at, byte) in bytes.iter().enumerate().skip(start) {
            match byte {
                b'0'..=b'9' => {
                    digits += 1;
                    let digit = i128::from(byte - b'0');
                    if let Some(seen) = fraction {
                        if seen == SCALE {
                            if digit != 0 {
                                return Err(ParseFixedError::TooFine);
                            }
                            continue;
                        }
                        fraction = Some(seen + 1);
                    }
                    units = units
                        .checked_mul(10)
                        .and_then(|u| u.checked_add(digit))
                        .ok_or(ParseFixedError::TooLarge)?;
                }
                b'.' if fraction.is_none() => fraction = Some(0),
                _ => return Err(ParseFixedError::Character(at)),
            }
        }
        if digits == 0 {
            return Err(ParseFixedError::Empty);
        }
        let missing = SCALE - fraction.unwrap_or(0);
        let units = units.checked_mul(i128::from(pow10(missing))).ok_or(ParseFixedError::TooLarge)?;
        Ok(Fixed(if negative { -units } else { units }))
    }
}

impl fmt::Display for Fixed {
    /// The shortest plain decimal: no exponent, no trailing zeros, no `-0`. A precision pads or floors the
    /// magnitude to that many digits, for tables only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, mut part) = (magnitude / ONE as u128, magnitude % ONE as u128);
        let mut width = SCALE as usize;
        if let Some(places) = f.precision() {
            while width > places {
                part /= 10;
                width -= 1;
            }
        } else {
            while width > 0 && part.is_multiple_of(10) {
                part /= 10;
                width -= 1;
            }
        }
        let mut text = String::new();
        use fmt::Write as _;
        write!(text, "{whole}")?;
        if width > 0 {
            write!(text, ".{part:0width$}")?;
        }
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Fixed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Fixed {
    /// From a string, or from an integer; never from a float.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fixed, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Fixed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number in quotes, such as \"0.25\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Fixed, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, n: i64) -> Result<Fixed, E> {
                Ok(Fixed::from_int(n))
            }
            fn visit_u64<E: serde::de::Error>(self, n: u64) -> Result<Fixed, E> {
                i64::try_from(n).map(Fixed::from_int).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
pub(crate) mod tests;
