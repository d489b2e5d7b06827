//! The exchange's facts: everything that is ever stored in a venue journal.
//!
//! Each fact is a struct with a frozen layout; kinds are numbered, never reused, and 0 is reserved. A changed
//! shape is a new version with an upcast and a specimen. Nothing here decides.

use aegis_model::order::RejectClass;
use aegis_model::wire::{self, DecodeError};
use aegis_model::{
    Actor, AssetId, FeedId, InstrumentId, Label, Lsn, Money, OrderKind, Price, Quantity, Rate, RecordHead,
    Side, Text, Tick, TimeInForce, Timestamp, market,
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

/// What a conditional order becomes, and which way it waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bincode::Encode, bincode::Decode)]
pub enum TriggerKind {
    /// A market order; a sell waits for a fall, a buy for a rise.
    StopLoss,
    /// The same, becoming a limit order.
    StopLimit,
    /// A market order; a sell waits for a rise, a buy for a fall.
    TakeProfit,
    /// The same, becoming a limit order.
    TakeProfitLimit,
    /// A leg that waits for nothing: a limit order.
    Limit,
    /// A leg that waits for nothing: a market order.
    Market,
}

/// The price that a conditional order watches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bincode::Encode, bincode::Decode)]
pub enum Watched {
    /// The mark price.
    Mark,
    /// The index price, which here is the mark price.
    Index,
    /// The last price shown.
    Last,
}

/// What ties the legs of a list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, bincode::Encode, bincode::Decode)]
pub enum Linked {
    /// The first execution of one cancels the other.
    Oco,
    /// The second waits until the first is complete.
    Oto,
    /// Two wait until the first is complete, and then cancel each other.
    Otoco,
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
    /// The order's fee is to be paid in another asset than the usual one, as long as that has enough.
    47 OrderFeeChosen {
        /// The order.
        order: u64,
        /// The asset.
        asset: AssetId,
    }
    /// An open limit order was changed under the same number.
    48 OrderAmended {
        /// The order.
        order: u64,
        /// A new client order id, used up from here on beside the old one.
        client: Option<Label>,
        /// What it is now.
        kind: OrderKind,
        /// Base quantity, what is filled included.
        quantity: Quantity,
        /// The price that a buy's funds are held at.
        hold: Price,
        /// What is reserved for the rest.
        reserved: Quantity,
    }

    /// A conditional order exists, in a numbering and a namespace of its own. It reserves nothing.
    50 TriggerAccepted {
        /// Its number, from 1.
        trigger: u64,
        /// Its client order id.
        client: Option<Label>,
        /// The instrument.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// What it becomes and which way it waits.
        kind: TriggerKind,
        /// Base quantity.
        quantity: Quantity,
        /// The price that it waits for; zero for a leg that waits for none.
        reference: Price,
        /// The price that it watches.
        watched: Watched,
        /// The limit of what it becomes; zero for a market order.
        limit: Price,
        /// How long that lives.
        time_in_force: TimeInForce,
        /// The asset that is to pay its fee, if not the usual one.
        fee: Option<AssetId>,
        /// The list that it is a leg of; 0 for none.
        list: u64,
        /// Which leg, from 1; 0 outside lists.
        leg: u8,
        /// Whether it is watched from now on.
        armed: bool,
    }
    /// The legs that follow belong together.
    51 ListMade {
        /// Its number, from 1.
        list: u64,
        /// How.
        linked: Linked,
    }
    /// A leg is watched from now on: the first of its list is complete.
    52 TriggerArmed {
        /// The conditional order.
        trigger: u64,
    }
    /// The price that it waits for was there.
    53 TriggerFired {
        /// The conditional order.
        trigger: u64,
        /// The price that fired it.
        reference: Price,
    }
    /// It became an order, which may have been rejected.
    54 TriggerSent {
        /// The conditional order.
        trigger: u64,
        /// The order.
        order: u64,
    }
    /// It was changed while it waited.
    55 TriggerAmended {
        /// The conditional order.
        trigger: u64,
        /// Base quantity.
        quantity: Quantity,
        /// The price that it waits for.
        reference: Price,
        /// The limit of what it becomes; zero for a market order.
        limit: Price,
    }
    /// It was cancelled while it waited.
    56 TriggerCancelled {
        /// The conditional order.
        trigger: u64,
    }
    /// It fired and no order came of it.
    57 TriggerRejected {
        /// The conditional order.
        trigger: u64,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
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
