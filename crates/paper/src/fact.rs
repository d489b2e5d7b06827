//! The exchange's facts: everything that is ever stored in a venue journal.
//!
//! Each fact is a struct with a frozen layout; kinds are numbered, never reused, and 0 is reserved. A changed
//! shape is a new version with an upcast and a specimen. Nothing here decides.

use aegis_model::order::RejectClass;
use aegis_model::wire::{self, DecodeError};
use aegis_model::{
    Actor, AssetId, FeedId, InstrumentId, Label, Lsn, Money, OrderKind, Price, Quantity, Rate, RecordHead,
    Side, Text, Tick, Timestamp, market,
};
use alloc::vec::Vec;

/// The version of every kind so far.
pub const VERSION: u8 = 1;

/// A fact with when, by whom and because of which record it came about. Its LSN is its place in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VenueEvent {
    /// Market time where a tick led to it, otherwise the time given with the input; never falls in a journal.
    pub at: Timestamp,
    /// Who brought it about.
    pub actor: Actor,
    /// The record that led to it; [`Lsn::NONE`] when it came from outside.
    pub cause: Lsn,
    /// What happened.
    pub fact: VenueFact,
}

/// Whether an execution gave or took liquidity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub enum Liquidity {
    /// The order rested and was met.
    Maker,
    /// The order took what was shown.
    Taker,
}

macro_rules! facts {
    ($($(#[$doc:meta])* $number:literal $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
            pub struct $name { $($(#[$fdoc])* pub $field: $type,)* }

            impl From<$name> for VenueFact {
                fn from(body: $name) -> VenueFact { VenueFact::$name(body) }
            }
        )+

        /// One stored fact of the exchange.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum VenueFact { $($(#[$doc])* $name($name),)+ }

        impl VenueFact {
            /// Every kind that this version knows: number and name, in rising order.
            pub const KINDS: &'static [(u16, &'static str)] = &[$(($number, stringify!($name)),)+];

            /// The record kind.
            pub const fn kind(&self) -> u16 {
                match self { $(VenueFact::$name(_) => $number,)+ }
            }

            /// The name of the record kind.
            pub const fn name(&self) -> &'static str {
                match self { $(VenueFact::$name(_) => stringify!($name),)+ }
            }

            /// Appends the body's bytes.
            pub fn encode_body(&self, out: &mut Vec<u8>) {
                match self { $(VenueFact::$name(body) => wire::encode(body, out),)+ }
            }

            /// Reads a body.
            ///
            /// # Errors
            /// [`DecodeError`] when kind or version are unknown or the bytes are not spelled as documented.
            pub fn decode_body(kind: u16, version: u8, bytes: &[u8]) -> Result<VenueFact, DecodeError> {
                match (kind, version) {
                    $(($number, VERSION) => wire::decode_body::<$name>(kind, bytes).map(VenueFact::$name),)+
                    (kind, version) => Err(if VenueFact::KINDS.iter().any(|known| known.0 == kind) {
                        DecodeError::Version { kind, version }
                    } else {
                        DecodeError::Kind(kind)
                    }),
                }
            }
        }
    };
}

facts! {
    /// The journal's first record.
    1 VenueCreated {
        /// The account's name.
        account: Label,
    }
    /// The journal was opened by a writer, with these terms in force from here on.
    2 VenueOpened {
        /// The program's version.
        version: Label,
        /// Fee rate of makers.
        maker: Rate,
        /// Fee rate of takers.
        taker: Rate,
        /// What a trigger loses when the price trades through it.
        slippage: Rate,
    }

    /// An asset got its number.
    10 AssetNamed {
        /// The number: one more than the last, from 1.
        asset: AssetId,
        /// Its name.
        name: Label,
    }
    /// An instrument's facts, when first listed and whenever they change (a tick size, for one).
    11 InstrumentListed {
        /// The number: one more than the last, from 1, or that of the instrument that changed.
        instrument: InstrumentId,
        /// Its facts.
        spec: market::Instrument,
    }

    /// A market tick that the records after it rest on: it led to a trade or a trigger, or it is where its feed
    /// stood when an order was accepted.
    20 TickSeen {
        /// The tick, with this journal's number of the instrument.
        tick: Tick,
    }

    /// A deposit or a withdrawal.
    30 FundsMoved {
        /// The id of the flow; a repeat is not booked again.
        id: Label,
        /// The asset.
        asset: AssetId,
        /// Signed: a deposit is positive.
        quantity: Quantity,
    }

    /// An order exists and its funds are reserved.
    40 OrderAccepted {
        /// Its number, from 1; in decimal digits its venue order id.
        order: u64,
        /// Its client order id; none for an order made by hand.
        client: Option<Label>,
        /// The instrument.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// Market, limit or trigger.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
        /// The price that a buy's funds are held at: the limit, or the ask of a market order.
        hold: Price,
        /// What is reserved: of a buy in the quote asset, of a sell in the base asset.
        reserved: Quantity,
    }
    /// An order was refused after it got its number: its row exists, ended, and its client order id is used up.
    41 OrderRejected {
        /// Its number.
        order: u64,
        /// Its client order id; none for an order made by hand.
        client: Option<Label>,
        /// The instrument.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// Market, limit or trigger.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
        /// What the refusal means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
    }
    /// A request was refused before any order came of it: nothing exists, and the client order id stays as it was.
    42 RequestRefused {
        /// The client order id that it carried.
        client: Option<Label>,
        /// The instrument's name as asked.
        instrument: Label,
        /// What the refusal means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
    }
    /// A trigger fired.
    43 OrderTriggered {
        /// The order.
        order: u64,
        /// The price that fired it.
        reference: Price,
    }
    /// One execution, at the time of this record.
    44 OrderTraded {
        /// Its number, from 1; in decimal digits its trade id.
        trade: u64,
        /// The order.
        order: u64,
        /// The price.
        price: Price,
        /// Base quantity.
        quantity: Quantity,
        /// Price times quantity, rounded down at the 18th digit.
        value: Money,
        /// The asset that pays the fee: the base of a buy, the quote of a sell.
        fee_asset: AssetId,
        /// The fee, rounded up at the 18th digit.
        fee: Quantity,
        /// Maker or taker.
        liquidity: Liquidity,
        /// What stays reserved for the order.
        reserved: Quantity,
        /// The feed whose tick it filled at.
        feed: FeedId,
        /// That tick's place in the feed.
        cursor: u64,
    }
    /// An open order was cancelled; its fills stand.
    45 OrderCancelled {
        /// The order.
        order: u64,
    }
    /// What was left of an order ended by its time in force.
    46 OrderExpired {
        /// The order.
        order: u64,
    }
}

impl VenueEvent {
    /// Appends the payload bytes and tells the rest of the record's head.
    pub fn encode(&self, out: &mut Vec<u8>) -> RecordHead {
        self.fact.encode_body(out);
        RecordHead {
            kind: self.fact.kind(),
            version: VERSION,
            actor: self.actor.number(),
            time: self.at,
            cause: self.cause,
        }
    }

    /// Reads an event from a record.
    ///
    /// # Errors
    /// [`DecodeError`] when kind, version, actor or body are not as documented.
    pub fn decode(head: RecordHead, payload: &[u8]) -> Result<VenueEvent, DecodeError> {
        let actor = Actor::from_number(head.actor)
            .ok_or(DecodeError::Body { kind: head.kind, what: alloc::format!("actor {}", head.actor) })?;
        let fact = VenueFact::decode_body(head.kind, head.version, payload)?;
        Ok(VenueEvent { at: head.time, actor, cause: head.cause, fact })
    }
}
