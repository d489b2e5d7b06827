//! What is asked of the exchange and what is heard from it, by the exchange's names and never by the journal's numbers.
//!
//! A failure is a value of its own and can never be read as an empty list. Nothing here decides anything.

use aegis_cryptocom::rows::{OrderRow, TradeRow};
use aegis_cryptocom::{Misfit, bridge};
use aegis_model::event::AnomalyKind;
use aegis_model::input::{self, Answer, ListedInstrument, Scope, Trade, VenueBalance, VenueFlow};
use aegis_model::order::{OrderKind, RejectClass, Side, UnknownCause};
use aegis_model::{ClientOrderId, InstrumentId, Label, Price, Quantity, Rate, Text, Timestamp, VenueOrderId};

/// The journal's number that names stand in for until they are translated.
const UNNUMBERED: InstrumentId = InstrumentId(0);

/// A question or an order. Asking never blocks; the answer comes as [`Heard`].
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The facts of the instruments that are traded.
    Instruments,
    /// What the exchange tells of the account and its rates.
    Account,
    /// Send an order, exactly once. Stops and take-profits go to the advanced namespace.
    Place {
        /// Our durable key.
        client: ClientOrderId,
        /// Which.
        instrument: Label,
        /// Buy or sell.
        side: Side,
        /// What kind.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
    },
    /// Cancel an order, exactly once. Of a fired trigger order the order that it released is cancelled.
    Cancel {
        /// Our key.
        client: ClientOrderId,
        /// The venue's id, if known.
        venue_order: Option<VenueOrderId>,
        /// Which instrument.
        instrument: Label,
        /// Whether it was placed as a trigger order.
        advanced: bool,
    },
    /// What became of an order.
    LookUp(LookUp),
    /// What the account holds and has open.
    Snapshot {
        /// The number to answer with.
        number: u64,
        /// Balances only, or everything.
        scope: Scope,
        /// Trades executed before this are known. The epoch: nothing was ever walked, so what happened before the
        /// connection began is not asked for.
        trades_from: Timestamp,
        /// The journal's orders that have not ended.
        ours: Vec<Ours>,
    },
}

/// A lookup by client order id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookUp {
    /// The order's number, to answer with.
    pub(crate) token: u64,
    /// Our key.
    pub(crate) client: ClientOrderId,
    /// When it was intended, or last sent again, by our clock: absence counts only late enough after it.
    pub(crate) intended: Timestamp,
    /// When that may have been by our clock at the earliest, however it was set since: histories are read from there.
    pub(crate) earliest: Timestamp,
    /// The venue's id, if known.
    pub(crate) venue_order: Option<VenueOrderId>,
    /// The released order, if the trigger is known to have fired.
    pub(crate) released: Option<VenueOrderId>,
    /// Which instrument.
    pub(crate) instrument: Label,
    /// Buy or sell; only a sell is ever sent again early, so only for it the early cross-check is made.
    pub(crate) side: Side,
    /// Whether it was placed as a trigger order.
    pub(crate) advanced: bool,
}

/// An order of the journal that has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ours {
    /// Our key.
    pub(crate) client: ClientOrderId,
    /// Whether it was placed as a trigger order.
    pub(crate) advanced: bool,
    /// The venue's id, if known.
    pub(crate) venue_order: Option<VenueOrderId>,
    /// The released order, if the trigger is known to have fired.
    pub(crate) released: Option<VenueOrderId>,
}

/// Which socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Socket {
    /// Orders, trades and balances.
    User,
    /// Prices.
    Market,
}

impl std::fmt::Display for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Socket::User => "user",
            Socket::Market => "market",
        })
    }
}

/// What comes from the exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// The answer to [`Ask::Instruments`].
    Instruments(Result<Instruments, Text>),
    /// The answer to [`Ask::Account`].
    Account(Result<Account, Text>),
    /// News of one order of ours.
    Report {
        /// Our key.
        client: ClientOrderId,
        /// The venue's id; of a trigger order always the trigger's.
        venue_order: Option<VenueOrderId>,
        /// What.
        said: Said,
    },
    /// The exchange queued a write: it arrived, which is not an acceptance. For measurements; the engine is not told.
    Queued {
        /// Our key.
        client: ClientOrderId,
        /// The id that it was given.
        venue_order: Option<VenueOrderId>,
        /// Whether the write was a cancel.
        cancel: bool,
    },
    /// The answer to [`Ask::LookUp`].
    LookedUp {
        /// The token of the question.
        token: u64,
        /// What was found.
        found: Found,
        /// What was asked and answered, in words.
        evidence: Text,
    },
    /// The answer to [`Ask::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// A price.
    Quote(Quote),
    /// A socket is connected, logged in and subscribed. What happened before may have been missed.
    Connected(Socket),
    /// A socket is gone; it connects again by itself.
    Disconnected {
        /// Which.
        which: Socket,
        /// Why.
        why: Text,
    },
    /// Answers or news were odd, in one way; for the record.
    Odd {
        /// In which way.
        anomaly: AnomalyKind,
        /// How often since the process began.
        count: u64,
        /// The newest of it, in words.
        detail: Text,
    },
    /// Something on the user socket could not be read: a full comparison is due.
    Missed(Text),
    /// Key, account or rights were refused: trading stops until a person has looked.
    AccessRefused {
        /// The exchange's code.
        code: u32,
        /// Its words.
        text: Text,
    },
}

/// Instruments as listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Instruments {
    /// Those that are traded here and that the exchange lists.
    pub(crate) listed: Vec<ListedInstrument>,
    /// Those that are traded here and that it does not list.
    pub(crate) missing: Vec<Label>,
}

/// The account, without anything personal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Account {
    /// Whether it may trade, if told.
    pub(crate) tradable: Option<bool>,
    /// Whether it is suspended, if told.
    pub(crate) suspended: Option<bool>,
    /// Basis points that a maker pays.
    pub(crate) maker_bps: Rate,
    /// Basis points that a taker pays.
    pub(crate) taker_bps: Rate,
}

/// The content of a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    /// The order's row.
    Row(NamedRow),
    /// An execution.
    Filled(NamedTrade),
    /// Definitely refused. [`RejectClass::Later`] says that nothing exists.
    Rejected {
        /// What that means for a retry.
        class: RejectClass,
        /// The exchange's code.
        code: u32,
        /// Its words.
        text: Text,
    },
    /// A trigger order fired.
    Triggered {
        /// The order that it released.
        released: VenueOrderId,
    },
    /// Nothing is known of a write.
    Unknown {
        /// Why.
        cause: UnknownCause,
        /// In words.
        text: Text,
    },
    /// A cancel met an order that has ended, is unknown or is not there yet.
    CancelRefused {
        /// The exchange's code.
        code: u32,
    },
}

/// A row with the instrument by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NamedRow {
    /// Which instrument.
    pub(crate) instrument: Label,
    /// The row; its instrument's number means nothing yet.
    pub(crate) row: input::OrderRow,
}

impl NamedRow {
    /// A row of the exchange.
    ///
    /// # Errors
    /// As [`bridge::order_row`].
    pub(crate) fn of(row: &OrderRow) -> Result<NamedRow, Misfit> {
        Ok(NamedRow { instrument: row.instrument_name, row: bridge::order_row(row, UNNUMBERED)? })
    }

    /// The row of a trigger order that has fired: where the released order stands, under the trigger's ids. While the
    /// trigger's own is not known the row has none: the released order's would be taken for it ever after.
    ///
    /// # Errors
    /// As [`bridge::order_row`].
    pub(crate) fn released(
        plain: &OrderRow,
        client: ClientOrderId,
        trigger: Option<VenueOrderId>,
    ) -> Result<NamedRow, Misfit> {
        let mut named = NamedRow::of(plain)?;
        named.row.client = Some(client);
        named.row.venue_order = trigger.unwrap_or_default();
        named.row.released = Some(apart(trigger, plain.order_id));
        Ok(named)
    }
}

/// The released order's id as the engine hears it: empty when it is the trigger's own.
pub(crate) fn apart(trigger: Option<VenueOrderId>, released: VenueOrderId) -> VenueOrderId {
    if trigger == Some(released) { VenueOrderId::default() } else { released }
}

/// An execution with instrument and fee asset by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NamedTrade {
    /// Which instrument.
    pub(crate) instrument: Label,
    /// The fee's asset and amount, positive when charged; none while the exchange has not told.
    pub(crate) fee: Option<(Label, Quantity)>,
    /// The rest; its instrument's number and its fee mean nothing yet.
    pub(crate) trade: Trade,
}

impl NamedTrade {
    /// A trade of the exchange.
    ///
    /// # Errors
    /// As [`bridge::trade`].
    pub(crate) fn of(row: &TradeRow) -> Result<NamedTrade, Misfit> {
        let fee = match (row.fees, row.fee_instrument_name) {
            (Some(fees), Some(asset)) if !asset.is_empty() => Some((asset, fees.negated())),
            (_, _) => None,
        };
        Ok(NamedTrade { instrument: row.instrument_name, fee, trade: bridge::trade(row, UNNUMBERED, None)? })
    }

    /// A trade of an order of ours, under the id by which the engine knows that; of a released order the trigger's, if
    /// it is known.
    pub(crate) fn of_ours(mut self, client: ClientOrderId, venue_order: Option<VenueOrderId>) -> NamedTrade {
        self.trade.client = Some(client);
        self.trade.venue_order = venue_order;
        self
    }
}

/// What a lookup found.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "an answer is made once and looked at once")]
pub(crate) enum Found {
    /// The order, with all its trades as far as they are listed.
    Present {
        /// The row.
        row: NamedRow,
        /// Its trades.
        trades: Vec<NamedTrade>,
    },
    /// It is in neither namespace, nor anywhere else that was looked.
    Absent {
        /// Asked so late that no copy on its way could be accepted any more.
        late: bool,
        /// What the cross-check saw; none when it was not made.
        checked: Option<Checked>,
    },
    /// A read failed; the words say which.
    Failed(Text),
}

/// What was seen beside the order that was looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checked {
    /// All balances, read last.
    pub(crate) balances: Vec<VenueBalance>,
    /// All trades of the instrument since before the intent.
    pub(crate) trades: Vec<NamedTrade>,
}

/// A listing of the account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Snapshot {
    /// The number of the question.
    pub(crate) number: u64,
    /// When the balances were asked for, by our clock.
    pub(crate) requested: Timestamp,
    /// All balances.
    pub(crate) balances: Answer<Vec<VenueBalance>>,
    /// All open orders, ours and foreign, of both namespaces.
    pub(crate) open_orders: Answer<Vec<NamedRow>>,
    /// When they were asked for, at the earliest, by the exchange's clock.
    pub(crate) orders_at: Timestamp,
    /// The journal's orders that are not open there any more.
    pub(crate) ended_orders: Answer<Vec<NamedRow>>,
    /// Trades.
    pub(crate) trades: Answer<Vec<NamedTrade>>,
    /// What moved balances beside trades.
    pub(crate) flows: Answer<Vec<VenueFlow>>,
    /// Trades executed before this are not listed.
    pub(crate) trades_from: Timestamp,
    /// Trades executed before this are all listed.
    pub(crate) trades_through: Timestamp,
}

/// A price as pushed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Quote {
    /// Which instrument.
    pub(crate) instrument: Label,
    /// When it was true, by the exchange's clock, moved to ours by the measured difference.
    pub(crate) at: Timestamp,
    /// Best bid.
    pub(crate) bid: Option<Price>,
    /// Quantity at the best bid.
    pub(crate) bid_quantity: Option<Quantity>,
    /// Best ask.
    pub(crate) ask: Option<Price>,
    /// Quantity at the best ask.
    pub(crate) ask_quantity: Option<Quantity>,
    /// Last trade.
    pub(crate) last: Option<Price>,
}
