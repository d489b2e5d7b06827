//! How a holding is protected: the plan that its entry carried, and the reasons to leave.

use crate::ids::Timestamp;
use crate::money::{Money, Price, Rate};
use crate::wire::{byte_enum, refused};
use alloc::vec::Vec;

byte_enum! {
    /// Why an exit is wanted. The order of the numbers is the order of precedence (semantics rule 25).
    pub enum ExitReason {
        /// A person said so.
        Command = 1,
        /// The stop was reached.
        Stop = 2,
        /// The take-profit was reached.
        TakeProfit = 3,
        /// The time exit came.
        Time = 4,
        /// A sell signal passed.
        Signal = 5,
    }
}

/// How a trailing distance is stated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// A share of the mark: 0.015 puts the stop at mark * (1 - 0.015).
    Relative(Rate),
    /// A fixed offset below the mark, in quote units.
    Offset(Price),
}

/// From which profit on which distance trails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Stage {
    /// Profit net of both fees that must be exceeded (semantics rule 22); 0.03 is three percent.
    pub activation: Rate,
    /// The distance while this is the highest stage reached.
    pub distance: Distance,
}

/// The rule of a stop.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode)]
#[serde(rename_all = "snake_case")]
pub enum StopRule {
    /// The initial stop stays.
    Fixed,
    /// The stop follows the mark and never falls.
    Trailing {
        /// The distance before any stage is reached.
        distance: Distance,
        /// Whether that base distance trails before the first stage is reached.
        from_start: bool,
        /// Stages by rising activation; at most [`STAGES_MAX`].
        stages: Vec<Stage>,
    },
}

/// Stages that one plan may have at most.
pub const STAGES_MAX: usize = 8;

impl<Context> bincode::Decode<Context> for StopRule {
    /// As it would be derived, but a list that claims more than [`STAGES_MAX`] is refused before memory is asked for.
    fn decode<D: bincode::de::Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<StopRule, bincode::error::DecodeError> {
        match u32::decode(decoder)? {
            0 => Ok(StopRule::Fixed),
            1 => {
                let distance = Distance::decode(decoder)?;
                let from_start = bool::decode(decoder)?;
                let count = u64::decode(decoder)?;
                if count > STAGES_MAX as u64 {
                    return Err(refused("a plan has more than 8 stages"));
                }
                let stages = (0..count).map(|_| Stage::decode(decoder)).collect::<Result<_, _>>()?;
                Ok(StopRule::Trailing { distance, from_start, stages })
            }
            _ => Err(refused("unknown number of StopRule")),
        }
    }
}
bincode::impl_borrow_decode!(StopRule);

/// How a position is to be protected, decided with its entry and journaled with it.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Plan {
    /// Distance of the initial stop below the entry price.
    pub initial: Distance,
    /// How the stop moves afterwards.
    pub rule: StopRule,
    /// Wilder's average true range that `initial` was computed from, if it was.
    pub atr: Option<Price>,
    /// Profit over the entry price at which to leave; a price relation without fees.
    pub take_profit: Option<Rate>,
    /// How long to hold at most, in nanoseconds.
    pub hold_ns: Option<i64>,
}

/// The live protection of an open position.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Protection {
    /// The plan it follows.
    pub plan: Plan,
    /// The stop; a trigger of zero is a value, "none" is the absence of the protection.
    pub stop: Price,
    /// The take-profit trigger.
    pub take_profit: Option<Price>,
    /// When the time exit comes.
    pub time_exit: Option<Timestamp>,
    /// The highest fresh reference seen since the entry; starts at the entry price.
    pub mark: Price,
    /// The position's entry price when the protection was last set.
    pub entry: Price,
    /// How many stages of the plan have been reached; never falls.
    pub stages_reached: u8,
    /// The quantity it covers: the position's sellable quantity when it was last set.
    pub quantity: crate::money::Quantity,
    /// The record that armed or last moved it.
    pub lsn: crate::ids::Lsn,
}

byte_enum! {
    /// Why a stop was set to where it is.
    pub enum StopCause {
        /// The mark rose.
        MarkRaised = 1,
        /// The covered quantity changed.
        Resized = 2,
        /// The entry price rose while the entry filled.
        EntryImproved = 3,
        /// A named person moved it.
        Commanded = 4,
        /// The venue confirmed what a file claims, and the file's stop or highest price was above ours.
        Claimed = 5,
    }
}

byte_enum! {
    /// Why a stop was retired.
    pub enum RetireCause {
        /// The position closed.
        Closed = 1,
        /// The holding was corrected away.
        Corrected = 2,
        /// The rest is dust.
        Dust = 3,
    }
}

/// A sum in the quote asset with the return it stands for; for close records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Outcome {
    /// Realised profit net of quote fees.
    pub realised: Money,
    /// realised / (buy value + quote entry fees); zero when nothing was paid.
    pub rate: Rate,
}
