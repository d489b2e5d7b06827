//! How values are spelled as text, without memory of their own: shortest plain decimals, RFC 3339 with nanoseconds,
//! hexadecimal digits.

use aegis_model::{Fixed, Timestamp};

/// Units in one.
const ONE: u128 = 10u128.pow(aegis_model::fixed::SCALE);

/// The shortest plain decimal, as [`Fixed`] displays itself.
pub(crate) fn decimal(value: Fixed, out: &mut Vec<u8>) {
    if value.units() < 0 {
        out.push(b'-');
    }
    let magnitude = value.units().unsigned_abs();
    // What is behind the point has 18 digits and what is before it at most 21: the latter in two parts.
    let (whole, part) = (magnitude / ONE, (magnitude % ONE) as u64);
    if whole >= ONE {
        integer((whole / ONE) as u64, out);
        digits((whole % ONE) as u64, 18, out);
    } else {
        integer(whole as u64, out);
    }
    if part != 0 {
        out.push(b'.');
        digits(part, 18, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// A whole number.
pub(crate) fn integer(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A signed whole number.
pub(crate) fn signed(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    integer(n.unsigned_abs(), out);
}

/// A number in exactly so many digits.
fn digits(mut n: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

/// RFC 3339 in UTC, always with nine digits of a second, so that texts sort as times do.
pub(crate) fn time(at: Timestamp, out: &mut Vec<u8>) {
    const SECOND: i64 = 1_000_000_000;
    let (days, within) = (at.utc_day(), at.0.rem_euclid(86_400 * SECOND));
    let (year, month, day) = civil(days);
    let seconds = within / SECOND;
    let parts = [
        (year as u64, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        ((seconds / 3600) as u64, 2, b':'),
        ((seconds / 60 % 60) as u64, 2, b':'),
        ((seconds % 60) as u64, 2, b'.'),
        ((within % SECOND) as u64, 9, b'Z'),
    ];
    for (number, width, behind) in parts {
        digits(number, width, out);
        out.push(behind);
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar. Every [`Timestamp`] lies
/// in the years 1677 to 2262.
fn civil(days: i64) -> (i64, u64, u64) {
    // Counted from 0000-03-01, so that the day that only leap years have comes last; 146,097 days are 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month as u64, day as u64)
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// What was spelled: all of it is ASCII.
pub(crate) fn text(out: &[u8]) -> &str {
    std::str::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    //! Against the spellings of the model and of `time`.

    use super::*;
    use aegis_projection::testing::Dice;

    fn spelled(spell: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        spell(&mut out);
        text(&out).to_owned()
    }

    #[test]
    fn decimals_are_spelled_as_the_model_does() {
        let mut dice = Dice::new(2);
        let ends = [Fixed::ZERO, Fixed::MAX, Fixed::MAX.negated(), Fixed::STEP, Fixed::ONE.negated()];
        for value in ends.into_iter().chain((0..50_000).map(|_| dice.number())) {
            assert_eq!(spelled(|out| decimal(value, out)), value.to_string());
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let mut dice = Dice::new(3);
        let drawn = (0..50_000).map(|_| Timestamp(dice.roll() as i64));
        let ends = [i64::MIN, -1, 0, 1, 951_782_399_999_999_999, 951_868_800_000_000_000, i64::MAX];
        for at in ends.map(Timestamp).into_iter().chain(drawn) {
            let exact = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0)).expect("in range");
            let wanted = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z",
                exact.year(),
                u8::from(exact.month()),
                exact.day(),
                exact.hour(),
                exact.minute(),
                exact.second(),
                exact.nanosecond()
            );
            assert_eq!(spelled(|out| super::time(at, out)), wanted);
        }
    }

    #[test]
    fn whole_numbers_and_bytes() {
        assert_eq!(spelled(|out| integer(u64::MAX, out)), u64::MAX.to_string());
        assert_eq!(spelled(|out| signed(i64::MIN, out)), i64::MIN.to_string());
        assert_eq!(spelled(|out| hex(&[0, 0x9f, 0xff], out)), "009fff");
    }
}
