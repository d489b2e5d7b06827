//! Instruments as the venue lists them, and what a market feed shows.

use crate::fixed::Rounding;
use crate::ids::{AssetId, FeedId, InstrumentId, Timestamp};
use crate::money::{Money, Price, Quantity};
use crate::text::Label;
use crate::wire::byte_enum;

/// A spot instrument's facts. Venues change them, so they are records in the journal and never constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Instrument {
    /// The venue's name, such as `BTC_USDT`.
    pub name: Label,
    /// What is bought.
    pub base: AssetId,
    /// What is paid.
    pub quote: AssetId,
    /// Prices are multiples of this; above zero.
    pub price_tick: Price,
    /// Quantities are multiples of this; above zero.
    pub quantity_tick: Quantity,
    /// The least worth of an order, in the quote asset; zero when the venue has none.
    pub minimum_notional: Money,
    /// Whether the venue takes orders for it now.
    pub tradable: bool,
}

impl Instrument {
    /// Whether an order of this size is above the venue's minimums at this price.
    pub fn sellable(&self, quantity: Quantity, price: Price) -> bool {
        quantity >= self.quantity_tick
            && price.times(quantity, Rounding::Floor).is_ok_and(|worth| worth >= self.minimum_notional)
    }
}

byte_enum! {
    /// How the price came from the feed's previous point of the instrument to this one.
    pub enum PricePath {
        /// Everything between may have been skipped: a new candle's open, or a tick of a quote feed.
        Jump = 1,
        /// Every price between was traded: inside a candle.
        Through = 2,
    }
}

/// One point of a market feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Tick {
    /// The feed.
    pub feed: FeedId,
    /// The feed's own place: rises by at least one with every point of the feed.
    pub cursor: u64,
    /// The instrument.
    pub instrument: InstrumentId,
    /// When it was true, by the venue's clock.
    pub at: Timestamp,
    /// Best bid; absent on feeds without quotes.
    pub bid: Option<Price>,
    /// Best ask; absent on feeds without quotes.
    pub ask: Option<Price>,
    /// Last traded price; absent on pure quote feeds.
    pub last: Option<Price>,
    /// Quantity shown at the best bid; absent when the feed does not tell (then unlimited for the paper venue).
    pub bid_quantity: Option<Quantity>,
    /// Quantity shown at the best ask.
    pub ask_quantity: Option<Quantity>,
    /// How the price came here.
    pub path: PricePath,
}

/// A closed candle.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Candle {
    /// When it opened.
    pub open_time: Timestamp,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base quantity traded.
    pub volume: Quantity,
}
