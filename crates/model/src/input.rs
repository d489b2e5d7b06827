//! What arrives at the engine and what it may ask for. None of this is stored as such.
//!
//! A failed query is a value of its own ([`Answer::Failed`]) and can never be read as an empty list.

use crate::event::{AnomalyKind, Direction, Fee};
use crate::ids::{AssetId, ClientOrderId, InstrumentId, OrderId, Timestamp, TradeId, VenueOrderId};
use crate::market::{Candle, Instrument, Tick};
use crate::money::{Money, Price, Quantity, Rate};
use crate::order::{OrderKind, RejectClass, Side, UnknownCause};
use crate::text::{Label, Text};
use alloc::vec::Vec;

/// Everything that can happen to the engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The process opened the journal as its writer; the first input after replay.
    Opened(Opened),
    /// The venue's list of instruments.
    Instruments(Vec<ListedInstrument>),
    /// A point of a market feed.
    Tick(Tick),
    /// A market point that was finished before the restart: fills the market's memory, decides nothing.
    Warmup(Tick),
    /// A closed candle, for average true range and market-wide rules; decides nothing.
    CandleClosed(InstrumentId, Candle),
    /// A signal from a source.
    Signal(SignalIn),
    /// A line of a source that is not a signal.
    BadSignal {
        /// The source.
        source: Label,
        /// Its place in the stream.
        position: u64,
        /// What was wrong.
        reason: Text,
    },
    /// The venue said something about an order.
    Report(Report),
    /// The answer to a lookup by client order id.
    LookedUp(OrderId, Lookup),
    /// The answer to [`Effect::AskSnapshot`], or an unasked full listing.
    Snapshot(VenueSnapshot),
    /// A connection to the venue was lost, and why; or it is back.
    Link {
        /// Which, in the program's word.
        link: Label,
        /// Why it was lost; none when it is back.
        lost: Option<Text>,
    },
    /// The venue's answers or news were odd, and how often since the process began; for the record.
    Odd {
        /// In which way.
        anomaly: AnomalyKind,
        /// How often.
        count: u64,
        /// The newest of it, in words.
        detail: Text,
    },
    /// Something at the venue may have been missed, or a person asks: a full comparison is due.
    Compare,
    /// Time passed; timers are looked at.
    Clock,
    /// A person's wish.
    Command {
        /// Who.
        by: Label,
        /// What.
        command: Command,
    },
    /// A file of another program: what it claims is recorded, and judged by later comparisons.
    Import(alloc::boxed::Box<crate::claim::ClaimFile>),
    /// The notification service took a message.
    Delivered(u64),
    /// The journal's next segment can, or cannot, be made.
    JournalSpace {
        /// True while only the reserve is left.
        reserve_only: bool,
    },
    /// The disk took long to make records durable, or does no longer.
    DiskSlow {
        /// How long it took, ms; 0 once it has been well for a while.
        milliseconds: u64,
    },
    /// The process is asked to end: no new entries, working entries cancelled, stops left as they are.
    Stopping(Label),
    /// The last input of a clean stop, once nothing is pending.
    Stopped(Label),
}

/// Facts of an opening that the core cannot draw itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Set when the journal is new.
    pub created: Option<crate::event::JournalCreated>,
    /// 32 random bits, or from the seed.
    pub run: u32,
    /// The program's version.
    pub version: Label,
    /// BLAKE3 of the effective configuration without secrets.
    pub config_digest: [u8; 32],
    /// The seed, if one was given.
    pub seed: Option<u64>,
    /// Settings as key and value, in order of key.
    pub settings: Vec<(Text, Text)>,
    /// Acknowledged records that recovery found lost, if any.
    pub gap: Option<crate::event::GapFound>,
}

/// An instrument as the venue names it, before it has a number in the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedInstrument {
    /// The venue's name.
    pub name: Label,
    /// Base asset's name.
    pub base: Label,
    /// Quote asset's name.
    pub quote: Label,
    /// Price tick.
    pub price_tick: Price,
    /// Quantity tick.
    pub quantity_tick: Quantity,
    /// Minimum notional, 0 for none.
    pub minimum_notional: Money,
    /// Whether orders are taken.
    pub tradable: bool,
}

impl ListedInstrument {
    /// The facts with the journal's numbers for its assets.
    pub const fn spec(&self, base: AssetId, quote: AssetId) -> Instrument {
        Instrument {
            name: self.name,
            base,
            quote,
            price_tick: self.price_tick,
            quantity_tick: self.quantity_tick,
            minimum_notional: self.minimum_notional,
            tradable: self.tradable,
        }
    }
}

/// A signal as it arrives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignalIn {
    /// The source's name.
    pub source: Label,
    /// Its place in the source's stream, rising.
    pub position: u64,
    /// The instrument's name.
    pub instrument: Label,
    /// Up, down or neutral.
    pub direction: Direction,
    /// 0..=1.
    pub confidence: Rate,
    /// When it was made.
    pub at: Timestamp,
    /// How long it counts, ns.
    pub horizon_ns: i64,
}

/// What the venue said about one order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which order, by our client id as the venue repeated it.
    pub client: ClientOrderId,
    /// The venue's id, if told.
    pub venue_order: Option<VenueOrderId>,
    /// What.
    pub what: Reported,
}

/// The content of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reported {
    /// The order exists at the venue.
    Acknowledged,
    /// Definitely refused.
    Rejected {
        /// What that means for a retry.
        class: RejectClass,
        /// The venue's code.
        code: u32,
        /// The venue's words.
        text: Text,
    },
    /// One execution.
    Filled(Trade),
    /// The order's row as it stands.
    Row(OrderRow),
    /// Its trigger fired; the order that it released carries on under this id.
    Triggered {
        /// The venue's id of the released order; empty when it lists it under the same id.
        released: VenueOrderId,
    },
    /// Nothing is known: no answer, or one that proves nothing.
    Unknown(UnknownCause),
    /// The cancel was refused because the order is not open any more or unknown to the venue.
    CancelRefused {
        /// The venue's code.
        code: u32,
    },
}

/// An execution as the venue lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Trade {
    /// The venue's trade id.
    pub trade: TradeId,
    /// The instrument.
    pub instrument: InstrumentId,
    /// Our client id, if the order was one of ours.
    pub client: Option<ClientOrderId>,
    /// The venue's order id.
    pub venue_order: Option<VenueOrderId>,
    /// Buy or sell.
    pub side: Side,
    /// Execution price.
    pub price: Price,
    /// Base quantity as traded.
    pub quantity: Quantity,
    /// The fee; none while the venue has not told.
    pub fee: Option<Fee>,
    /// Execution time.
    pub executed: Timestamp,
}

/// An order as the venue lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OrderRow {
    /// Our client id, if it is one of ours.
    pub client: Option<ClientOrderId>,
    /// The venue's id.
    pub venue_order: VenueOrderId,
    /// The instrument.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Where it stands.
    pub status: RowStatus,
    /// Limit price, if it has one.
    pub price: Option<Price>,
    /// Ordered quantity.
    pub quantity: Quantity,
    /// Filled so far.
    pub cumulative: Quantity,
    /// Quote value of what is filled.
    pub value: Money,
    /// When the row was last changed.
    pub updated: Timestamp,
    /// Of a trigger order that has fired: the venue's id of the order that it released. Status and sums of the row
    /// are then those of the released order; `venue_order` stays the trigger's.
    pub released: Option<VenueOrderId>,
}

/// The venue's status word of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub enum RowStatus {
    /// Working.
    Open,
    /// Complete.
    Filled,
    /// Cancelled.
    Cancelled,
    /// Refused.
    Rejected,
    /// Ended by its time in force.
    Expired,
}

/// A query's answer. There is no way to read a failure as an empty list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer<T> {
    /// Everything that was asked for.
    Complete(T),
    /// No usable answer, and why.
    Failed(Text),
    /// It was answered each time, and moved each time while it was read: as little use as no answer, but the venue is
    /// there.
    Unsettled(Text),
    /// It was not asked.
    NotAsked,
}

impl<T> Answer<T> {
    /// The complete answer, if it is one.
    pub const fn complete(&self) -> Option<&T> {
        match self {
            Answer::Complete(value) => Some(value),
            Answer::Failed(_) | Answer::Unsettled(_) | Answer::NotAsked => None,
        }
    }

    /// The same answer with what it holds translated; a failure stays one.
    pub fn each<U>(&self, translate: impl Fn(&T) -> U) -> Answer<U> {
        match self {
            Answer::Complete(value) => Answer::Complete(translate(value)),
            Answer::Failed(why) => Answer::Failed(why.clone()),
            Answer::Unsettled(why) => Answer::Unsettled(why.clone()),
            Answer::NotAsked => Answer::NotAsked,
        }
    }
}

/// The answer to a lookup by client order id, in every namespace where the order could be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an answer is made once and looked at once")]
pub enum Lookup {
    /// The order exists: its row and all its trades.
    Present {
        /// The row.
        row: OrderRow,
        /// Its trades, complete as far as the venue lists them.
        trades: Vec<Trade>,
    },
    /// Definitely not found anywhere, asked at least this long after the intent as the venue may hide or still
    /// accept it (both zero for paper).
    Absent,
    /// Not found, but the venue could still be hiding it or could still accept it.
    AbsentTooEarly {
        /// Looked for wherever it could be (its detail in every namespace, open orders, history, trades since before
        /// the intent) and not seen, with balances and trades as they were at the intent. Only then may an exit go
        /// out again under its own id before the window has passed.
        unchanged: bool,
    },
    /// No answer.
    Failed(Text),
}

/// One asset's balance as the venue states it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueBalance {
    /// The asset's name.
    pub asset: Label,
    /// All of it.
    pub total: Quantity,
    /// Reserved for open orders.
    pub reserved: Quantity,
}

/// A deposit, withdrawal or adjustment as the venue lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueFlow {
    /// The venue's id.
    pub id: TradeId,
    /// The asset's name.
    pub asset: Label,
    /// Signed: a deposit is positive.
    pub quantity: Quantity,
    /// When.
    pub time: Timestamp,
}

/// What the venue says, all of it, or the parts that were asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VenueSnapshot {
    /// The number that we asked with.
    pub number: u64,
    /// When we asked.
    pub requested: Timestamp,
    /// All balances; an asset that is missing from a complete answer is zero.
    pub balances: Answer<Vec<VenueBalance>>,
    /// All open orders, ours and foreign.
    pub open_orders: Answer<Vec<OrderRow>>,
    /// The open orders stand as they were at this time of the venue's clock or later.
    pub orders_at: Timestamp,
    /// Orders that ended since the last complete walk.
    pub ended_orders: Answer<Vec<OrderRow>>,
    /// Trades executed since `trades_from`.
    pub trades: Answer<Vec<Trade>>,
    /// Deposits, withdrawals and adjustments since the last complete walk.
    pub flows: Answer<Vec<VenueFlow>>,
    /// Trades executed before this are not in the listing.
    pub trades_from: Timestamp,
    /// Trades executed before this are all in the listing.
    pub trades_through: Timestamp,
}

/// A person's wish. Every one is an event with its actor.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Allow entries.
    Enable,
    /// Refuse entries; protection goes on.
    Halt {
        /// Why.
        reason: Text,
    },
    /// Halt, cancel working entries, exit everything. Idempotent.
    Flatten,
    /// Exit one instrument.
    Close {
        /// Which.
        instrument: Label,
    },
    /// Open a position by hand; passes the gate like a signal does, without agreement and confidence.
    Open {
        /// Which.
        instrument: Label,
        /// Base quantity: a multiple of the tick.
        quantity: Quantity,
        /// The stop; by the configured plan when absent.
        stop: Option<Price>,
    },
    /// Move a stop.
    AdjustStop {
        /// Which.
        instrument: Label,
        /// Where to.
        stop: Price,
        /// Must be said to move it down.
        loosen: bool,
    },
    /// Change limits until the next start.
    SetLimits {
        /// Positions at most.
        max_positions: Option<u32>,
        /// Loss of a UTC day at most, quote units.
        daily_loss: Option<Money>,
        /// Quote per entry at most.
        budget: Option<Money>,
    },
    /// Take a quarantined holding into the position at a stated average.
    Adopt {
        /// Which.
        instrument: Label,
        /// The venue's average price of all that it holds; without it the last trade prices decide.
        average: Price,
        /// The whole quantity that the average is about: ours and the quarantined.
        quantity: Quantity,
    },
    /// Allow entries in a blocked instrument again; an unexplained excess stays quarantined.
    Release {
        /// Which.
        instrument: Label,
    },
    /// Accept that acknowledged records are lost.
    AcceptGap,
    /// Put an instrument's dust back into its position.
    ReturnDust {
        /// Which.
        instrument: Label,
    },
    /// Accept orders at the venue under ids of ours that no record intended.
    AcceptForeign {
        /// The client order id of the only one to accept; all that were seen when absent.
        client: Option<Label>,
        /// Why: what was found out about them.
        reason: Text,
    },
}

/// What the engine may do, once the events of its decision are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send an order.
    Place(Place),
    /// Cancel an order.
    Cancel {
        /// Its client id.
        client: ClientOrderId,
        /// The venue's id, if known.
        venue_order: Option<VenueOrderId>,
        /// Its instrument.
        instrument: InstrumentId,
    },
    /// Look an order up by its client id, in every namespace.
    LookUp {
        /// The order.
        order: OrderId,
        /// Its client id.
        client: ClientOrderId,
        /// When it was intended: absence counts only late enough after it.
        intended: Timestamp,
    },
    /// Ask the venue.
    AskSnapshot {
        /// The number to answer with.
        number: u64,
        /// Balances only, or everything.
        scope: Scope,
        /// List trades executed from here on.
        trades_from: Timestamp,
    },
    /// Deliver a message to a person.
    Notify {
        /// Its number; a repeat carries the same.
        number: u64,
        /// The words.
        text: Text,
    },
}

/// How much to ask the venue for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Balances only: before an entry.
    Balances,
    /// Balances, orders, trades, flows.
    Full,
}

/// An order to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its client id.
    pub client: ClientOrderId,
    /// The instrument.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit or trigger.
    pub kind: OrderKind,
    /// Base quantity.
    pub quantity: Quantity,
}
