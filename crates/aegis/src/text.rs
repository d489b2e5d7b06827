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

/// How many of something a second.
pub(crate) fn per_second(count: u64, took: Duration) -> u64 {
    let ns = took.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / ns).unwrap_or(u64::MAX)
}
