//! Figures as the old bot wrote them, without any float: digits of JSON, and the shortest digits of an SQLite `REAL`,
//! which are the ones its program printed.
//!
//! An exponent is worked off exactly. A program that counts in floats writes up to seventeen digits, so a small figure
//! may have more than our eighteen decimals: the rest is cut, toward zero, and counted.

use aegis_model::Fixed;
use aegis_model::fixed::SCALE;

/// Decimals that an exponent may ask for at most; more is no figure of money.
const SHIFT_MAX: i64 = 60;
/// Characters that a figure may have.
const DIGITS_MAX: usize = 80;

/// A figure, and whether digits beyond the eighteenth decimal were cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figure {
    /// The figure.
    pub value: Fixed,
    /// Whether something was cut off.
    pub cut: bool,
}

/// Reads digits as JSON spells a number; none when they are none, or beyond the range.
pub fn figure(text: &str) -> Option<Figure> {
    if text.len() > DIGITS_MAX {
        return None;
    }
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], whole(&rest[at + 1..])?),
        None => (rest, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() || !digits(before) || !digits(after) || (mantissa.contains('.') && after.is_empty())
    {
        return None;
    }
    // The digits, and where the point stands among them once the exponent is worked off.
    let all: String = [before, after].concat();
    let point = i64::try_from(before.len()).ok()? + exponent;
    if all.bytes().all(|byte| byte == b'0') {
        return Some(Figure { value: Fixed::ZERO, cut: false });
    }
    if point.abs() > SHIFT_MAX {
        return None;
    }
    let at = usize::try_from(point.max(0)).ok()?;
    let mut whole: String = all.chars().take(at).collect();
    whole.extend(std::iter::repeat_n('0', at.saturating_sub(all.len())));
    let lead = usize::try_from((-point).max(0)).ok()?;
    let mut fraction: String = std::iter::repeat_n('0', lead).collect();
    fraction.extend(all.chars().skip(at));
    let cut = fraction.bytes().skip(SCALE as usize).any(|byte| byte != b'0');
    fraction.truncate(SCALE as usize);
    let sign = if negative { "-" } else { "" };
    let value = format!("{sign}{}.{}", if whole.is_empty() { "0" } else { &whole }, fraction + "0");
    value.trim_end_matches('0').trim_end_matches('.').parse().ok().map(|value| Figure { value, cut })
}

/// A whole number with a sign and at most four digits.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.strip_prefix('+').unwrap_or(text).parse().ok() } else { None }
}

/// The figure that a stored `REAL` was written as; none for one that is not finite.
pub(crate) fn real(stored: f64) -> Option<Figure> {
    // The shortest digits that name this very number, without an exponent; nothing is computed.
    if stored.is_finite() { figure(&stored.to_string()) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        figure(text).map(|f| f.value.to_string())
    }

    #[test]
    fn figures_are_read_to_the_last_digit() {
        for (text, expected) in [
            ("50000.0", "50000"),
            ("0.0001", "0.0001"),
            ("1e-05", "0.00001"),
            ("5.0E-5", "0.00005"),
            ("1.5e+3", "1500"),
            ("-0.25", "-0.25"),
            ("102", "102"),
            ("0e9999", "0"),
            ("12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        ] {
            assert_eq!(value(text).as_deref(), Some(expected), "{text}");
        }
        for text in
            ["", "-", ".5", "5.", "1e", "1e99999", "1e60", "NaN", "Infinity", "1_0", "+1", " 1", "0x1"]
        {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_beyond_the_eighteenth_decimal_is_cut_and_said() {
        let small = figure("2.9926112430408125e-05").expect("a figure");
        assert_eq!((small.value.to_string().as_str(), small.cut), ("0.000029926112430408", true));
        assert!(!figure("0.1234567890123456").expect("a figure").cut);
    }

    #[test]
    fn a_stored_real_is_the_digits_that_were_written() {
        for text in ["0.0004", "50050", "0.0000001", "0.0501", "2008"] {
            let stored: f64 = text.parse().expect("a float");
            assert_eq!(real(stored).map(|f| f.value.to_string()).as_deref(), Some(text));
        }
        assert_eq!((real(f64::NAN), real(f64::INFINITY)), (None, None));
    }
}
