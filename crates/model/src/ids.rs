//! Names of things: small, `Copy`, ordered, and never reused.

use crate::text::Label;
use crate::wire::byte_enum;
use core::fmt;
use core::str::FromStr;

/// The number of a record in its journal: 1 for the first; 0 stands for none.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No record.
    pub const NONE: Lsn = Lsn(0);

    /// The next number.
    pub const fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Nanoseconds since 1970-01-01T00:00:00Z (UTC, leap seconds not counted). An input to the core, never read by it.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in a day.
pub const DAY: i64 = 86_400 * SECOND;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From milliseconds since the epoch.
    pub const fn from_millis(ms: i64) -> Timestamp {
        Timestamp(ms.saturating_mul(1_000_000))
    }

    /// This many nanoseconds later (or earlier, when negative); stops at the ends of the range.
    pub const fn after(self, ns: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to this.
    pub const fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Days since the epoch, UTC.
    pub const fn utc_day(self) -> i64 {
        self.0.div_euclid(DAY)
    }
}

/// An asset by its number in the journal; its name is in its `AssetNamed` event.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct AssetId(pub u16);

/// An instrument by its number in the journal; its facts are in its `InstrumentListed` event.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct InstrumentId(pub u32);

/// A market data feed by number.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct FeedId(pub u16);

/// One of our orders by its number in the journal, counted from 1 and never reused there.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct OrderId(pub u64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The venue's name for an order, exactly as it spells it.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct VenueOrderId(pub Label);

/// The venue's name for one execution, unique per account and instrument.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    serde::Serialize,
    serde::Deserialize,
    bincode::Encode,
    bincode::Decode,
)]
#[serde(transparent)]
pub struct TradeId(pub Label);

/// Our durable key of an order at the venue: `<installation>-<run>-<n>`, installation in 10 and run in 8
/// hexadecimal digits, n in decimal; at most 36 characters of `[A-Za-z0-9-_]`.
///
/// Installation (40 random bits) is drawn when the journal is created, run (32 random bits) at each opening as
/// writer, so a journal restored from a backup never spells an id that was used after the backup.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, bincode::Encode, bincode::Decode,
)]
pub struct ClientOrderId {
    /// 40 random bits of the journal.
    pub installation: u64,
    /// 32 random bits of the opening that intended the order.
    pub run: u32,
    /// The order's number in the journal; at most 16 decimal digits.
    pub order: OrderId,
}

/// The largest order number whose client order id still fits in 36 characters.
pub const ORDER_MAX: u64 = 9_999_999_999_999_999;

impl ClientOrderId {
    /// The spelling at the venue, as an inline text.
    pub fn label(self) -> Label {
        struct Out([u8; 36], usize);
        impl fmt::Write for Out {
            fn write_str(&mut self, s: &str) -> fmt::Result {
                let end = self.1 + s.len();
                self.0.get_mut(self.1..end).ok_or(fmt::Error)?.copy_from_slice(s.as_bytes());
                self.1 = end;
                Ok(())
            }
        }
        let mut out = Out([0; 36], 0);
        assert!(self.order.0 <= ORDER_MAX, "order numbers have at most 16 digits");
        assert!(self.installation < 1 << 40, "an installation has 40 bits");
        let written = fmt::Write::write_fmt(&mut out, format_args!("{self}"));
        assert!(written.is_ok(), "10 + 1 + 8 + 1 + 16 characters fit in 36");
        Label::from_bytes(&out.0[..out.1]).unwrap_or_default()
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010x}-{:08x}-{}", self.installation, self.run, self.order.0)
    }
}

/// The text is not one of our client order ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ForeignClientId;

impl fmt::Display for ForeignClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of the form <installation>-<run>-<n>")
    }
}

impl core::error::Error for ForeignClientId {}

impl FromStr for ClientOrderId {
    type Err = ForeignClientId;

    /// Accepts exactly the spelling that `Display` writes.
    fn from_str(text: &str) -> Result<ClientOrderId, ForeignClientId> {
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or(ForeignClientId);
        let (installation, run, n) = (part()?, part()?, part()?);
        let id = ClientOrderId {
            installation: u64::from_str_radix(installation, 16).map_err(|_| ForeignClientId)?,
            run: u32::from_str_radix(run, 16).map_err(|_| ForeignClientId)?,
            order: OrderId(n.parse().map_err(|_| ForeignClientId)?),
        };
        let canonical = id.installation < 1 << 40 && id.order.0 <= ORDER_MAX && id.label().as_str() == text;
        if canonical { Ok(id) } else { Err(ForeignClientId) }
    }
}

impl serde::Serialize for ClientOrderId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

byte_enum! {
    /// Who brought a record about.
    pub enum Actor {
        /// The engine's own rules.
        Engine = 1,
        /// The venue, by a report or a listing.
        Venue = 2,
        /// A person, named in the command.
        Operator = 3,
        /// A signal source.
        Signal = 4,
        /// Market data.
        Market = 5,
        /// Opening, recovery and closing of the journal.
        Process = 6,
        /// An import of foreign records.
        Import = 7,
    }
}

byte_enum! {
    /// Whether orders reach a simulated or a real venue. A journal never changes its mode.
    pub enum Mode {
        /// Simulated.
        Paper = 1,
        /// Real money.
        Live = 2,
    }
}
