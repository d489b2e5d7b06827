//! What files of another program claim: never believed, only recorded and compared with the venue.
//!
//! A claim keeps the figures as the file spelled them; nothing here judges them.

use crate::fixed::Fixed;
use crate::ids::Timestamp;
use crate::money::{Money, Price, Quantity, Rate};
use crate::order::Side;
use crate::text::{Label, Text};
use crate::wire::byte_enum;
use alloc::vec::Vec;

byte_enum! {
    /// What a file is, told by its content.
    pub enum SourceKind {
        /// Positions by an opaque id, with the stop under `stop_price`.
        Positions = 1,
        /// Trailing stops by `SYMBOL_epoch`, with the stop under `stop_loss`.
        TrailingStops = 2,
        /// A saved state of a stop bot: positions, metrics and a time in one object.
        StopState = 3,
        /// Whether the bot may trade, and its limits.
        BotStatus = 4,
        /// One trade a line.
        TradeLog = 5,
        /// An SQLite database.
        Database = 6,
        /// Environment variables.
        Dotenv = 7,
        /// A configuration.
        Settings = 8,
    }
}

byte_enum! {
    /// What a limit bounds.
    pub enum LimitKind {
        /// Distance of the stop below the entry price.
        StopLoss = 1,
        /// Profit at which to leave.
        TakeProfit = 2,
        /// Size of one position.
        PositionSize = 3,
        /// Positions at most.
        Positions = 4,
        /// Loss of a day at most.
        DailyLoss = 5,
        /// Fall of equity from its highest at most.
        Drawdown = 6,
        /// Risk of one trade.
        TradeRisk = 7,
    }
}

byte_enum! {
    /// In what a limit is stated.
    pub enum LimitUnit {
        /// A share: 0.02 is two percent.
        Share = 1,
        /// Units of the quote asset.
        Quote = 2,
        /// A number of things.
        Count = 3,
        /// The file does not say.
        Unstated = 4,
    }
}

byte_enum! {
    /// Why a claim is doubtful, by itself or beside others.
    pub enum DisputeKind {
        /// Two lots of one instrument look like one entry that was made twice.
        LotsTwice = 1,
        /// A filled order belongs to no position.
        OrderWithoutPosition = 2,
        /// The file's own trades leave a holding that its positions do not name.
        HoldingForgotten = 3,
        /// The profit that the file states is not what its trades make.
        ProfitDiffers = 4,
        /// Rows that repeat a growing total, of which the last was taken.
        RowsCumulative = 5,
        /// An order that was filled whole is called cancelled.
        StatusContradictsFill = 6,
        /// What is held was not taken off what is called available.
        BalanceImpossible = 7,
        /// Two times of one thing disagree.
        TimesDisagree = 8,
        /// The stop lies below where the file's own rule puts it.
        StopBehindRule = 9,
        /// Files contradict each other about a limit, or it does not say in what it is stated; nobody answered yet.
        LimitContested = 10,
        /// A position without a stop.
        StopMissing = 11,
        /// A row that is not whole, at the end of a file that is read line by line.
        RowTorn = 12,
        /// A side or a profit that is spelled so that its own program misread it.
        SideMisread = 13,
    }
}

byte_enum! {
    /// What the venue makes of what is claimed of one instrument.
    pub enum ClaimVerdict {
        /// All of it is held there.
        Confirmed = 1,
        /// A part of it is.
        Partly = 2,
        /// Nothing of it is.
        Contradicted = 3,
    }
}

/// A position that a file claims.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct PositionClaim {
    /// The instrument, in the venue's spelling.
    pub instrument: Label,
    /// The file's own id of it: opaque.
    pub id: Text,
    /// Base quantity.
    pub quantity: Quantity,
    /// Entry price.
    pub entry: Price,
    /// The stop, if the file names one.
    pub stop: Option<Price>,
    /// The highest price seen, if the file names one.
    pub highest: Option<Price>,
    /// The trailing distance as a share of the highest price.
    pub trail: Option<Rate>,
    /// When it was opened, as far as that could be read.
    pub opened: Option<Timestamp>,
}

/// A trade that a file claims: history, never evidence of a holding.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct TradeClaim {
    /// The instrument, in the venue's spelling.
    pub instrument: Label,
    /// The file's own id of it: opaque.
    pub id: Text,
    /// Buy or sell.
    pub side: Side,
    /// Base quantity.
    pub quantity: Quantity,
    /// Price.
    pub price: Price,
    /// The profit that the file states.
    pub profit: Option<Money>,
    /// When, as far as that could be read.
    pub time: Option<Timestamp>,
}

/// One thing that a file claims.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// An open position.
    Position(PositionClaim),
    /// A trade of the past.
    Trade(TradeClaim),
    /// A limit.
    Limit {
        /// What it bounds.
        limit: LimitKind,
        /// The figure, in `unit`.
        value: Fixed,
        /// In what it is stated.
        unit: LimitUnit,
        /// What a person answered about it, in which unit, where files contradicted each other.
        answered: Option<(Fixed, LimitUnit)>,
    },
    /// The old program was told not to trade.
    TradingDisabled,
    /// Something that is told and never used, such as a balance.
    Note {
        /// In words.
        what: Text,
    },
}

/// A claim with its place in its file.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct ClaimRow {
    /// The place: a line, a table and key, an id.
    pub row: Text,
    /// What is claimed there.
    pub claim: Claim,
}

/// A doubt about what a file claims.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Dispute {
    /// The place in the file.
    pub row: Text,
    /// What is doubtful.
    pub kind: DisputeKind,
    /// About which instrument; empty for none.
    pub instrument: Label,
    /// The figure that is claimed.
    pub claimed: Fixed,
    /// The figure that stands against it.
    pub found: Fixed,
    /// In words.
    pub detail: Text,
}

/// A file of claims, as it is handed to the engine: recorded whole in one batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimFile {
    /// Its name, without the directory.
    pub name: Text,
    /// BLAKE3 of its content; of a file that holds secrets, of its content without any of their values.
    pub digest: [u8; 32],
    /// What it is.
    pub kind: SourceKind,
    /// Its length.
    pub bytes: u64,
    /// The zone that its local times were read in.
    pub timezone: Text,
    /// What it claims, each row once.
    pub claims: Vec<ClaimRow>,
    /// What is doubtful about it.
    pub disputes: Vec<Dispute>,
}
