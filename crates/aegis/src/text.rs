//! Figures as people read them: times, percentages, sizes, hexadecimal. It never rounds what is stored.

use aegis_model::{Fixed, Rate, Rounding, Timestamp};
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in words: RFC 3339, UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0))
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{} ns", at.0))
}

/// A rate in percent with two digits, to the nearest.
pub(crate) fn percent(rate: Rate) -> String {
    let hundredfold = rate
        .0
        .times(Fixed::from_int(100), Rounding::HalfEven)
        .and_then(|p| p.to_multiple(Fixed::new(1, 2), Rounding::HalfEven));
    hundredfold.map_or_else(|_| rate.to_string(), |p| format!("{p:.2} %"))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A size in the largest fitting unit.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

/// A span of time in its two largest units; what is below the second one is cut off. `seconds` may be negative.
pub(crate) fn span(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let s = seconds.unsigned_abs();
    let (days, hours, minutes) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    match s {
        0..60 => format!("{sign}{s} s"),
        60..3_600 => format!("{sign}{minutes} min {} s", s % 60),
        3_600..86_400 => format!("{sign}{hours} h {minutes} min"),
        _ => format!("{sign}{days} d {hours} h"),
    }
}

/// How many of something a second.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let ns = took.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / ns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (seconds, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (-61, "-1 min 1 s"),
            (3_599, "59 min 59 s"),
            (86_399, "23 h 59 min"),
            (201_211_199, "2328 d 19 h"),
            (i64::MIN, "-106751991167300 d 15 h"),
        ] {
            assert_eq!(super::span(seconds), told);
        }
    }
}
