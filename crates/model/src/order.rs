//! The words of an order: sides, kinds, purposes, ends.

use crate::money::Price;
use crate::protection::ExitReason;
use crate::wire::byte_enum;

byte_enum! {
    /// Buy or sell, seen from us.
    pub enum Side {
        /// We pay quote and receive base.
        Buy = 1,
        /// We deliver base and receive quote.
        Sell = 2,
    }
}

byte_enum! {
    /// How long a limit order lives.
    pub enum TimeInForce {
        /// Until cancelled.
        GoodTillCancel = 1,
        /// What fills at once; the rest ends.
        ImmediateOrCancel = 2,
        /// All at once or nothing.
        FillOrKill = 3,
        /// Rests or is refused: never takes.
        PostOnly = 4,
    }
}

/// What kind of order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// At whatever price the book shows.
    Market,
    /// At this price or better.
    Limit {
        /// The worst price.
        price: Price,
        /// How long it lives.
        time_in_force: TimeInForce,
    },
    /// A market sell released when the price falls to the trigger.
    StopLoss {
        /// The trigger.
        trigger: Price,
    },
    /// A market sell released when the price rises to the trigger.
    TakeProfit {
        /// The trigger.
        trigger: Price,
    },
}

impl OrderKind {
    /// The price at which it is released, if it waits for one.
    pub const fn trigger(&self) -> Option<Price> {
        match self {
            OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => Some(*trigger),
            OrderKind::Market | OrderKind::Limit { .. } => None,
        }
    }
}

/// Why we have an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To open or build a position.
    Entry,
    /// To close one; carries the first reason and, as bits by number, the others that held at the same input.
    Exit {
        /// The reason that came first (semantics rule 25).
        reason: ExitReason,
        /// Bit n set: the reason with number n held too.
        others: u8,
    },
}

byte_enum! {
    /// How an order ended. An ended order is never open again; late fills may still turn it into `Filled`.
    pub enum OrderEnd {
        /// All of its quantity was filled.
        Filled = 1,
        /// Cancelled, by us or by the venue; fills before it stand.
        Cancelled = 2,
        /// The venue refused it.
        Rejected = 3,
        /// Its time in force ran out with a part unfilled.
        Expired = 4,
        /// Proven never to have reached the venue.
        NotSent = 5,
        /// Acknowledged once, then absent in two complete looks; its fills stand.
        Lost = 6,
    }
}

byte_enum! {
    /// Where an order that has not ended stands.
    pub enum OrderStatus {
        /// Durable; the venue has not answered yet.
        Intended = 1,
        /// The venue knows it.
        Acknowledged = 2,
        /// Some of it is filled.
        PartiallyFilled = 3,
        /// Its outcome is not known; it is looked up and blocks its instrument.
        Unknown = 4,
    }
}

byte_enum! {
    /// Why an outcome is unknown.
    pub enum UnknownCause {
        /// No answer in time.
        Timeout = 1,
        /// An answer that proves nothing (a 5xx page, an unknown code, a torn reply).
        Ambiguous = 2,
        /// The process ended between the intent and its answer.
        Restart = 3,
        /// A cancel was not answered.
        CancelUnanswered = 4,
        /// The venue's listing did not show it.
        Unlisted = 5,
    }
}

byte_enum! {
    /// What a definite refusal by the venue means for a retry.
    pub enum RejectClass {
        /// The order itself is wrong for ever.
        Permanent = 1,
        /// Not enough available balance.
        InsufficientBalance = 2,
        /// Below the venue's minimum.
        TooSmall = 3,
        /// The price is out of the allowed band or the stop is already through.
        PriceOut = 4,
        /// Not now: rate limit, nonce, maintenance.
        Later = 5,
        /// The client order id was used before: the earlier order exists.
        Duplicate = 6,
    }
}

byte_enum! {
    /// What one lookup by client order id found.
    pub enum LookupAnswer {
        /// The venue knows the order.
        Present = 1,
        /// Definitely not found, everywhere it could be.
        Absent = 2,
        /// No answer: proves nothing.
        Failed = 3,
        /// Not found anywhere, while a copy under way could still be accepted: proves nothing yet.
        AbsentInWindow = 4,
    }
}
