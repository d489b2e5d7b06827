//! Times of the old bot: local ones as Python prints them, and SQLite's own, which are UTC.

use aegis_model::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use std::str::FromStr;

/// The zone that local times are read in.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

impl Zone {
    /// As it was named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The moment that a text names; none when it names none, or two.
    ///
    /// `2025-10-20T10:30:29.5` is local time, as Python's `isoformat` writes it; with an offset or a `Z` it is what it
    /// says; `2025-10-20 10:30:29` is what SQLite's `CURRENT_TIMESTAMP` writes, which is UTC. A local time that does not
    /// exist or exists twice, where a clock was moved, names no moment.
    pub fn moment(&self, text: &str) -> Option<Timestamp> {
        let bytes = text.as_bytes();
        if bytes.len() > 40 || bytes.len() < 19 || !bytes.is_ascii() {
            return None;
        }
        let of = |moment: jiff::Timestamp| i64::try_from(moment.as_nanosecond()).ok().map(Timestamp);
        if bytes[10] == b'T' && (text.ends_with('Z') || text[11..].contains(['+', '-'])) {
            return jiff::Timestamp::from_str(text).ok().and_then(of);
        }
        let civil = DateTime::from_str(text).ok()?;
        let zone = match bytes[10] {
            b'T' => self.zone.clone(),
            b' ' => TimeZone::UTC,
            _ => return None,
        };
        zone.to_ambiguous_timestamp(civil).unambiguous().ok().and_then(of)
    }
}

/// Why a text names no zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoZone(String);

impl std::fmt::Display for NoZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?} is no time zone this machine knows: name the zone that the old bot's machine was set to, such as \
             UTC, +02:00 or Europe/Berlin",
            self.0
        )
    }
}

impl std::error::Error for NoZone {}

impl FromStr for Zone {
    type Err = NoZone;
    fn from_str(name: &str) -> Result<Zone, NoZone> {
        let zone = match name {
            "UTC" | "Z" => Some(TimeZone::UTC),
            _ if name.starts_with(['+', '-']) => offset(name).map(TimeZone::fixed),
            _ => TimeZone::get(name).ok(),
        };
        zone.map(|zone| Zone { name: name.to_owned(), zone })
            .ok_or_else(|| NoZone(name.chars().take(40).collect()))
    }
}

/// `+02:00`.
fn offset(text: &str) -> Option<Offset> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<i32>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if text.starts_with('-') { -seconds } else { seconds }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(zone: &str, text: &str) -> Option<i64> {
        zone.parse::<Zone>().expect("a zone").moment(text).map(|t| t.0)
    }

    #[test]
    fn local_times_are_read_in_their_zone_and_those_of_sqlite_are_utc() {
        let utc = at("UTC", "2025-10-20T10:30:29.123004").expect("a moment");
        assert_eq!(utc, 1_760_956_229_123_004_000);
        assert_eq!(at("+02:00", "2025-10-20T10:30:29.123004"), Some(utc - 7_200_000_000_000));
        assert_eq!(at("+02:00", "2025-10-20 10:30:29"), Some(1_760_956_229_000_000_000));
        assert_eq!(at("+02:00", "2025-10-20T10:30:29Z"), Some(1_760_956_229_000_000_000));
        assert_eq!(at("UTC", "2025-10-20T12:30:29+02:00"), Some(1_760_956_229_000_000_000));
        for text in
            ["", "2025-10-20", "2025-13-20T10:30:29", "2025-10-20x10:30:29", "yesterday at nine o'clock"]
        {
            assert_eq!(at("UTC", text), None, "{text}");
        }
    }

    #[test]
    fn what_names_no_zone_is_refused() {
        for name in ["", "Nowhere/Land", "+2", "+15:00", "2"] {
            assert!(name.parse::<Zone>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_local_time_that_exists_twice_or_never_is_no_moment() {
        // A machine without the zones of the world cannot read them; then the zone itself is refused.
        let Ok(zone) = "Europe/Berlin".parse::<Zone>() else { return };
        assert_eq!(zone.moment("2025-10-20T10:30:29"), Some(Timestamp(1_760_949_029_000_000_000)));
        assert_eq!(zone.moment("2025-10-26T02:30:00"), None);
        assert_eq!(zone.moment("2025-03-30T02:30:00"), None);
    }
}
