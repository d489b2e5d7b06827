//! What arrives at the exchange and what it answers. Instruments, assets and orders go by name here, so that no
//! journal's numbers leak into another's. None of this is stored as such.

use crate::fact::{Linked, Liquidity, TriggerKind, Watched};
use aegis_model::input::{Answer, ListedInstrument, RowStatus, Scope, VenueBalance};
use aegis_model::order::RejectClass;
use aegis_model::{
    Candle, FeedId, Label, Money, OrderKind, Price, Quantity, Rate, Side, Text, Tick, TimeInForce, Timestamp,
    TradeId, VenueOrderId,
};
use alloc::vec::Vec;

/// Everything that can happen to the exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VenueInput {
    /// The process opened the journal as its writer; the first input after replay.
    Open {
        /// Set when the journal is new.
        created: Option<Created>,
        /// The program's version.
        version: Label,
    },
    /// Instruments to list, or to change where they are listed. Those not named stay as they are.
    List(Vec<ListedInstrument>),
    /// A deposit (positive) or a withdrawal (negative). An id is booked once.
    Fund {
        /// The id of the flow.
        id: Label,
        /// The asset's name.
        asset: Label,
        /// How much; signed.
        quantity: Quantity,
    },
    /// A point of a market feed. One at or below the feed's place here decides nothing.
    Tick {
        /// The instrument's name; the number in the tick is the caller's and is not read.
        name: Label,
        /// The tick.
        tick: Tick,
    },
    /// A market point from before the restart: fills the market's memory, decides nothing, moves no cursor.
    Warmup {
        /// The instrument's name.
        name: Label,
        /// The tick.
        tick: Tick,
    },
    /// A candle as four ticks at once (see [`crate::candle_ticks`]), for callers with nobody acting inside it.
    Candle {
        /// The instrument's name.
        name: Label,
        /// The feed.
        feed: FeedId,
        /// The cursor of the open; low, high and close take the next three.
        cursor: u64,
        /// How long the candle lasts, ns.
        span_ns: i64,
        /// The candle.
        candle: Candle,
    },
    /// Place an order.
    Place {
        /// Its client order id.
        client: Label,
        /// The instrument's name.
        instrument: Label,
        /// Buy or sell.
        side: Side,
        /// Market, limit or trigger.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
    },
    /// Cancel an order by its client order id.
    Cancel {
        /// Its client order id.
        client: Label,
    },
    /// Look an order up by its client order id.
    LookUp {
        /// Its client order id.
        client: Label,
        /// Repeated in the answer.
        token: u64,
    },
    /// List what the account has.
    Listing {
        /// Repeated in the answer.
        number: u64,
        /// Balances only, or everything.
        scope: Scope,
        /// Trades, ended orders and flows from this time on.
        trades_from: Timestamp,
    },
    /// The account's owner places an order by hand, without a client order id.
    Manual {
        /// The instrument's name.
        instrument: Label,
        /// Buy or sell.
        side: Side,
        /// Market, limit or trigger.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
    },
    /// The account's owner cancels any order by hand.
    ManualCancel {
        /// The venue's id of the order.
        venue_order: VenueOrderId,
    },
    /// Place an order with what a server knows beside it.
    Ask(Asked),
    /// Cancel an order by its number.
    CancelNumber {
        /// The order.
        order: u64,
    },
    /// Change an open limit order.
    Amend {
        /// The order.
        order: u64,
        /// A new client order id.
        client: Option<Label>,
        /// The new limit.
        price: Price,
        /// The new base quantity, what is filled included.
        quantity: Quantity,
    },
    /// The mark price of an instrument, from now on or, with none, what its market shows again. Not remembered over
    /// a restart.
    Mark {
        /// The instrument's name.
        name: Label,
        /// The price.
        price: Option<Price>,
    },
    /// Make conditional orders: independent ones, each for itself, or the legs of one list, all or none.
    Condition {
        /// What ties them; none when they are independent.
        linked: Option<Linked>,
        /// The orders; of a list the one that waits for nothing, or the first, is the first leg.
        legs: Vec<Conditional>,
    },
    /// Cancel a conditional order, or the order that it became. Of a list all legs go.
    CancelTrigger {
        /// The conditional order.
        trigger: u64,
    },
    /// Change a conditional order while it waits.
    AmendTrigger {
        /// The conditional order.
        trigger: u64,
        /// Base quantity.
        quantity: Quantity,
        /// The price that it waits for; unchanged when none is given.
        reference: Option<Price>,
        /// The limit of what it becomes; zero for a market order.
        limit: Price,
    },
    /// Place an order that follows what is told of it: the market does not reach it.
    Follow(Followed),
    /// What became of an order that follows; nothing if it is not open.
    Became {
        /// Its client order id.
        client: Label,
        /// What.
        what: Became,
    },
    /// Refuse a request in somebody's words: no order comes of it.
    Refuse {
        /// The client order id that it carries.
        client: Label,
        /// The instrument's name.
        instrument: Label,
        /// What the refusal means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
    },
    /// The fee rate of an instrument's executions from now on, whoever takes, or with none that of the settings again.
    /// Not remembered over a restart.
    Charge {
        /// The instrument's name.
        name: Label,
        /// The rate, from -1 to 1; negative for a rebate.
        rate: Option<Rate>,
    },
}

/// An order whose fate is told: it was at another exchange once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Its client order id.
    pub client: Label,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit or trigger.
    pub kind: OrderKind,
    /// Base quantity.
    pub quantity: Quantity,
    /// The price that a buy's funds are held at: no less than it will cost.
    pub hold: Price,
}

/// What is told of an order that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Became {
    /// One execution. It does not happen if the account cannot pay it or the order has less left.
    Traded {
        /// The price.
        price: Price,
        /// Base quantity.
        quantity: Quantity,
        /// The name of the asset that paid the fee, and how much; none if no fee was ever told, and then none is charged.
        fee: Option<(Label, Quantity)>,
    },
    /// What was left of it was cancelled.
    Cancelled,
    /// What was left of it ended by its time in force.
    Expired,
    /// Nothing more is told: from now on the market reaches it as any other.
    LetGo,
    /// It goes on following, after a restart.
    Kept,
}

/// An order as a server asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// Its client order id; none for an order made by hand.
    pub client: Option<Label>,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit or trigger.
    pub kind: OrderKind,
    /// Base quantity.
    pub quantity: Quantity,
    /// The asset that is to pay the fee, if not the usual one.
    pub fee: Option<Label>,
    /// The server's own refusal, which leaves an ended order behind: what the machine has no rule for.
    pub refuse: Option<(RejectClass, u32)>,
}

/// A conditional order as it is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conditional {
    /// Its client order id.
    pub client: Option<Label>,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// What it becomes and which way it waits.
    pub kind: TriggerKind,
    /// Base quantity.
    pub quantity: Quantity,
    /// The price that it waits for; zero for a leg that waits for none.
    pub reference: Price,
    /// The price that it watches.
    pub watched: Watched,
    /// The limit of what it becomes; zero for a market order.
    pub limit: Price,
    /// How long that lives.
    pub time_in_force: TimeInForce,
    /// The asset that is to pay its fee, if not the usual one.
    pub fee: Option<Label>,
}

/// Facts of a new journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Created {
    /// The account's name.
    pub account: Label,
}

/// What the exchange says once the records of the decision are durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VenueEffect {
    /// Something about one order.
    Order(OrderReport),
    /// The answer to a lookup.
    LookedUp {
        /// The client order id asked for.
        client: Label,
        /// As asked.
        token: u64,
        /// The order with all its trades; none when it definitely does not exist.
        found: Option<Found>,
    },
    /// The answer to a listing.
    Listing(Listing),
    /// The answer to a deposit or withdrawal.
    Flow {
        /// The flow's id.
        id: Label,
        /// What came of it.
        outcome: FlowOutcome,
    },
    /// A conditional order was made or has changed; its row tells how.
    Trigger {
        /// Its number.
        trigger: u64,
    },
    /// A conditional order was not made, changed or cancelled.
    TriggerRefused {
        /// Its place among those asked for, from 0.
        place: u32,
        /// What the refusal means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
    },
    /// A list of conditional orders was made.
    Listed {
        /// Its number.
        list: u64,
    },
    /// An order was changed, or why not.
    Amended {
        /// The order.
        order: u64,
        /// The exchange's code; 0 when it was changed.
        code: u32,
    },
    /// An instrument could not be listed; the others were.
    ListingRefused {
        /// The instrument's name.
        name: Label,
        /// Why.
        text: Text,
    },
}

/// What the exchange says about one order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderReport {
    /// The client order id; none for an order made by hand.
    pub client: Option<Label>,
    /// The venue's id; none when no order came of the request.
    pub venue_order: Option<VenueOrderId>,
    /// What.
    pub what: Said,
}

/// The content of an order report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// The order exists.
    Accepted,
    /// Refused. Without a venue order id nothing exists (or, as a duplicate, the earlier order does).
    Rejected {
        /// What that means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// In words.
        text: Text,
    },
    /// One execution.
    Traded(VenueTrade),
    /// The order's row after it changed.
    Row(VenueRow),
    /// There was no open order to cancel.
    CancelRefused {
        /// The exchange's code.
        code: u32,
    },
}

/// What came of a deposit or withdrawal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlowOutcome {
    /// It moved the balance now.
    Booked,
    /// It had been booked before, with the same asset and quantity.
    Already,
    /// It moved nothing.
    Refused {
        /// The exchange's code.
        code: u32,
        /// Why.
        text: Text,
    },
}

/// An order and all its trades.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The row.
    pub row: VenueRow,
    /// Its trades, in order.
    pub trades: Vec<VenueTrade>,
}

/// An order as the exchange lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueRow {
    /// The client order id; none for an order made by hand.
    pub client: Option<Label>,
    /// The venue's id.
    pub venue_order: VenueOrderId,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit or trigger.
    pub kind: OrderKind,
    /// Where it stands. An order that is open with a positive cumulative is partially filled.
    pub status: RowStatus,
    /// Limit or trigger price, if it has one.
    pub price: Option<Price>,
    /// Ordered base quantity.
    pub quantity: Quantity,
    /// Filled so far.
    pub cumulative: Quantity,
    /// Quote value of what is filled.
    pub value: Money,
    /// Fees so far, in the base asset of a buy and the quote asset of a sell.
    pub fee: Quantity,
    /// Code of the rejection; 0 for none.
    pub code: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When the row was last changed.
    pub updated: Timestamp,
}

/// An execution as the exchange lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueTrade {
    /// The trade id: decimal digits, counted from 1.
    pub trade: TradeId,
    /// The client order id; none for an order made by hand.
    pub client: Option<Label>,
    /// The venue's id of the order.
    pub venue_order: VenueOrderId,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// The price.
    pub price: Price,
    /// Base quantity as traded.
    pub quantity: Quantity,
    /// Quote value.
    pub value: Money,
    /// Name of the asset that paid the fee.
    pub fee_asset: Label,
    /// The fee, positive when charged.
    pub fee: Quantity,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Market time of the execution.
    pub executed: Timestamp,
}

/// A conditional order as the exchange lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TriggerRow {
    /// Its number, from 1.
    pub trigger: u64,
    /// Its client order id.
    pub client: Option<Label>,
    /// The instrument's name.
    pub instrument: Label,
    /// Buy or sell.
    pub side: Side,
    /// What it becomes and which way it waits.
    pub kind: TriggerKind,
    /// Base quantity.
    pub quantity: Quantity,
    /// The price that it waits for; none for a leg that waits for none.
    pub reference: Option<Price>,
    /// The price that it watches.
    pub watched: Watched,
    /// The limit of what it becomes; none for a market order.
    pub limit: Option<Price>,
    /// How long that lives.
    pub time_in_force: TimeInForce,
    /// The list that it is a leg of, and which leg.
    pub list: Option<(u64, Linked, u8)>,
    /// Where it stands; once it became an order, where that stands.
    pub status: RowStatus,
    /// Whether it still waits.
    pub waits: bool,
    /// The price that fired it.
    pub fired: Option<Price>,
    /// The order that it became.
    pub order: Option<u64>,
    /// Code of its rejection; 0 for none.
    pub code: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it, or the order that it became, was last changed.
    pub updated: Timestamp,
}

/// A deposit or withdrawal as the exchange lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VenueFlow {
    /// Its id.
    pub id: Label,
    /// The asset's name.
    pub asset: Label,
    /// Signed: a deposit is positive.
    pub quantity: Quantity,
    /// When.
    pub time: Timestamp,
}

/// What the account has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// As asked.
    pub number: u64,
    /// Every asset that was ever named, in order of its number.
    pub balances: Answer<Vec<VenueBalance>>,
    /// All open orders, in order of their number.
    pub open_orders: Answer<Vec<VenueRow>>,
    /// Orders that ended from `trades_from` on, in order of their end.
    pub ended_orders: Answer<Vec<VenueRow>>,
    /// Trades executed from `trades_from` on, in order.
    pub trades: Answer<Vec<VenueTrade>>,
    /// Deposits and withdrawals from `trades_from` on, in order.
    pub flows: Answer<Vec<VenueFlow>>,
    /// As asked.
    pub trades_from: Timestamp,
    /// Trades executed before this are all in the listing, now and for ever: nothing is executed earlier any more.
    pub trades_through: Timestamp,
}
