//! Values, and how each type of the model becomes cells. What has several parts becomes several cells; each part is
//! named by an exhaustive pattern, so that a new one stops the build here.

use crate::schema::{Place, Shape, Type};
use aegis_model::claim::{Claim, ClaimVerdict, DisputeKind, LimitKind, LimitUnit, SourceKind};
use aegis_model::claim::{PositionClaim, TradeClaim};
use aegis_model::event::{
    AlarmKind, AnomalyKind, Blocks, CorrectionKind, Direction, Fee, FillSource, PauseRule, Refusal,
};
use aegis_model::market::PricePath;
use aegis_model::order::{LookupAnswer, RejectClass, UnknownCause};
use aegis_model::protection::{Distance, RetireCause, Stage, StopCause};
use aegis_model::{
    Actor, AssetId, Command, ExitReason, Fact, FeedId, Fixed, Instrument, InstrumentId, Label, Lsn, Mode,
    Money, OrderEnd, OrderId, OrderKind, Plan, Price, Purpose, Quantity, Rate, Side, StopRule, Text,
    TimeInForce, Timestamp, TradeId, VenueOrderId,
};

/// One cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Of a [`Type::U64`] column.
    U64(u64),
    /// Of a [`Type::I64`] column.
    I64(i64),
    /// Of a [`Type::Bool`] column.
    Bool(bool),
    /// Of a [`Type::Text`] column.
    Text(&'a str),
    /// Of a [`Type::Time`] column.
    Time(Timestamp),
    /// Of a [`Type::Decimal`] column.
    Decimal(Fixed),
    /// Of a [`Type::Bytes`] column.
    Bytes(&'a [u8]),
}

/// Names of assets and instruments, as records 10 and 11 gave them.
#[derive(Clone, Default, Debug)]
pub(crate) struct Names {
    assets: Vec<Label>,
    instruments: Vec<Label>,
}

impl Names {
    /// Takes a name from a record, if it has one.
    pub(crate) fn learn(&mut self, fact: &Fact) {
        if let Fact::AssetNamed(f) = fact {
            put(&mut self.assets, usize::from(f.asset.0), f.name);
        } else if let Fact::InstrumentListed(f) = fact {
            put(&mut self.instruments, f.instrument.0 as usize, f.spec.name);
        }
    }

    /// An asset's name.
    pub(crate) fn asset(&self, id: AssetId) -> Option<&str> {
        self.assets.get(usize::from(id.0)).map(Label::as_str)
    }

    /// An instrument's name.
    pub(crate) fn instrument(&self, id: InstrumentId) -> Option<&str> {
        self.instruments.get(id.0 as usize).map(Label::as_str)
    }
}

/// Numbers are given one after the other; one that is out of turn names nothing, as in the fold.
fn put(names: &mut Vec<Label>, at: usize, name: Label) {
    if at == names.len() {
        names.push(name);
    } else if let Some(known) = names.get_mut(at) {
        *known = name;
    }
}

/// A row being filled.
pub(crate) struct Row<'a> {
    names: &'a Names,
    pub(crate) cells: Vec<Value<'a>>,
    /// Something is named by a number whose name is not known.
    pub(crate) nameless: bool,
}

impl<'a> Row<'a> {
    /// An empty one in the memory of an old one.
    pub(crate) fn new(names: &'a Names, spare: Vec<Value<'static>>) -> Row<'a> {
        Row { names, cells: spare, nameless: false }
    }

    /// Gives the memory back.
    pub(crate) fn spare(self) -> Vec<Value<'static>> {
        recycled(self.cells)
    }

    #[inline]
    pub(crate) fn push(&mut self, value: Value<'a>) {
        self.cells.push(value);
    }

    #[inline]
    pub(crate) fn field<T: Field>(&mut self, value: &'a T) {
        value.cells(self);
    }

    /// A value that lives shorter than the row and needs none of its own memory.
    #[inline]
    pub(crate) fn plain<T: Plain>(&mut self, value: T) {
        self.push(value.value());
    }

    #[inline]
    pub(crate) fn asset(&mut self, id: AssetId) {
        let name = self.names.asset(id);
        self.nameless |= name.is_none();
        self.push(Value::U64(u64::from(id.0)));
        self.push(name.map_or(Value::Null, Value::Text));
    }

    #[inline]
    pub(crate) fn instrument(&mut self, id: InstrumentId) {
        let name = self.names.instrument(id);
        self.nameless |= name.is_none();
        self.push(Value::U64(u64::from(id.0)));
        self.push(name.map_or(Value::Null, Value::Text));
    }

    pub(crate) fn nulls(&mut self, count: usize) {
        self.cells.extend(std::iter::repeat_n(Value::Null, count));
    }
}

/// The same memory for values of another life: the standard library collects into the buffer that it drains.
pub(crate) fn recycled<'b>(mut cells: Vec<Value<'_>>) -> Vec<Value<'b>> {
    cells.clear();
    cells.into_iter().map(|_| Value::Null).collect()
}

/// A type of the model as cells.
pub(crate) trait Field {
    /// How many cells.
    const CELLS: usize;
    /// Lists its columns.
    fn shape(shape: &mut Shape, place: &Place);
    /// Fills its cells.
    fn cells<'a>(&'a self, row: &mut Row<'a>);
}

/// A type that is one cell and lends nothing.
pub(crate) trait Plain: Copy {
    const KIND: Type;
    const NULLABLE: bool = false;
    fn value<'a>(self) -> Value<'a>;
}

impl<T: Plain> Field for T {
    const CELLS: usize = 1;
    fn shape(shape: &mut Shape, place: &Place) {
        let place = if T::NULLABLE { place.optional() } else { place.clone() };
        shape.push(&place, T::KIND);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        row.push(self.value());
    }
}

macro_rules! plain {
    ($($type:ty: $kind:ident($self:ident) $value:expr;)+) => {$(
        impl Plain for $type {
            const KIND: Type = Type::$kind;
            fn value<'a>($self) -> Value<'a> { Value::$kind($value) }
        }
    )+};
}

plain! {
    u8: U64(self) u64::from(self);
    u32: U64(self) u64::from(self);
    u64: U64(self) self;
    i64: I64(self) self;
    bool: Bool(self) self;
    FeedId: U64(self) u64::from(self.0);
    Fixed: Decimal(self) self;
    Price: Decimal(self) self.0;
    Quantity: Decimal(self) self.0;
    Money: Decimal(self) self.0;
    Rate: Decimal(self) self.0;
}

macro_rules! words {
    ($($type:ty),+ $(,)?) => {$(
        impl Plain for $type {
            const KIND: Type = Type::Text;
            fn value<'a>(self) -> Value<'a> { Value::Text(self.word()) }
        }
    )+};
}

words! {
    Actor, Mode, Direction, Refusal, Side, RejectClass, UnknownCause, LookupAnswer, OrderEnd, FillSource, ExitReason,
    StopCause, RetireCause, CorrectionKind, PauseRule, AlarmKind, Blocks, AnomalyKind, SourceKind, DisputeKind,
    ClaimVerdict, LimitKind, LimitUnit, PricePath, TimeInForce,
}

/// The end of time stands for no end: other programs have no such moment.
impl Plain for Timestamp {
    const KIND: Type = Type::Time;
    const NULLABLE: bool = true;
    fn value<'a>(self) -> Value<'a> {
        if self.0 == i64::MAX { Value::Null } else { Value::Time(self) }
    }
}

/// Number 0 stands for none.
macro_rules! numbers_from_one {
    ($($type:ty),+) => {$(
        impl Plain for $type {
            const KIND: Type = Type::U64;
            const NULLABLE: bool = true;
            fn value<'a>(self) -> Value<'a> {
                if self.0 == 0 { Value::Null } else { Value::U64(self.0) }
            }
        }
    )+};
}

numbers_from_one!(Lsn, OrderId);

macro_rules! lent {
    ($($type:ty: $kind:ident($self:ident) $value:expr;)+) => {$(
        impl Field for $type {
            const CELLS: usize = 1;
            fn shape(shape: &mut Shape, place: &Place) { shape.push(place, Type::$kind); }
            fn cells<'a>(&'a $self, row: &mut Row<'a>) { row.push(Value::$kind($value)); }
        }
    )+};
}

lent! {
    Label: Text(self) self.as_str();
    Text: Text(self) self.as_str();
    TradeId: Text(self) self.0.as_str();
    VenueOrderId: Text(self) self.0.as_str();
    [u8; 16]: Bytes(self) self;
    [u8; 32]: Bytes(self) self;
}

impl<T: Field> Field for Option<T> {
    const CELLS: usize = T::CELLS;
    fn shape(shape: &mut Shape, place: &Place) {
        T::shape(shape, &place.optional());
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        match self {
            Some(value) => value.cells(row),
            None => row.nulls(T::CELLS),
        }
    }
}

/// The number and the name.
fn named(shape: &mut Shape, place: &Place) {
    shape.push(&Place { name: format!("{}_id", place.name), ..place.clone() }, Type::U64);
    // The name was given by another record, which may be lost.
    shape.push(&place.optional(), Type::Text);
}

impl Field for AssetId {
    const CELLS: usize = 2;
    fn shape(shape: &mut Shape, place: &Place) {
        named(shape, place);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        row.asset(*self);
    }
}

impl Field for InstrumentId {
    const CELLS: usize = 2;
    fn shape(shape: &mut Shape, place: &Place) {
        named(shape, place);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        row.instrument(*self);
    }
}

/// A type of several fields, each a part with a suffix and a meaning.
macro_rules! parts {
    ($($type:ident { $($field:ident: $part:ty, $doc:literal;)+ })+) => {$(
        impl Field for $type {
            const CELLS: usize = 0 $(+ <$part as Field>::CELLS)+;
            fn shape(shape: &mut Shape, place: &Place) {
                $(<$part as Field>::shape(shape, &place.part(stringify!($field), $doc));)+
            }
            fn cells<'a>(&'a self, row: &mut Row<'a>) {
                let $type { $($field),+ } = self;
                $(row.field::<$part>($field);)+
            }
        }
    )+};
}

parts! {
    Fee {
        asset: AssetId, "The asset it is paid in.";
        amount: Quantity, "Units of that asset; negative for a rebate.";
    }
    Instrument {
        name: Label, "The venue's name.";
        base: AssetId, "What is bought.";
        quote: AssetId, "What is paid.";
        price_tick: Price, "Prices are multiples of this.";
        quantity_tick: Quantity, "Quantities are multiples of this.";
        minimum_notional: Money, "The least worth of an order, quote; 0 for none.";
        tradable: bool, "Whether the venue takes orders for it.";
    }
    Stage {
        activation: Rate, "The profit net of both fees that must be exceeded.";
        distance: Distance, "The distance from then on.";
    }
    Plan {
        initial: Distance, "The initial stop's distance below the entry price.";
        rule: StopRule, "How the stop moves.";
        atr: Option<Price>, "The average true range that the distance was computed from.";
        take_profit: Option<Rate>, "Profit over the entry price at which to leave.";
        hold_ns: Option<i64>, "How long to hold at most, ns.";
    }
}

impl Field for Distance {
    const CELLS: usize = 2;
    fn shape(shape: &mut Shape, place: &Place) {
        shape.push(place, Type::Decimal);
        shape
            .push(&place.part("unit", "`relative`: a share of the mark; `offset`: quote units."), Type::Text);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        let (value, unit) = match self {
            Distance::Relative(rate) => (rate.0, "relative"),
            Distance::Offset(price) => (price.0, "offset"),
        };
        row.push(Value::Decimal(value));
        row.push(Value::Text(unit));
    }
}

impl Field for StopRule {
    const CELLS: usize = 2 + Distance::CELLS;
    fn shape(shape: &mut Shape, place: &Place) {
        let place = place.clone();
        shape.push(
            &Place { doc: format!("{} `fixed` or `trailing`.", place.doc), ..place.clone() },
            Type::Text,
        );
        let part = |suffix, doc| place.part(suffix, doc).optional();
        Distance::shape(shape, &part("distance", "The distance before any stage is reached."));
        shape.push(&part("from_start", "Whether it trails before the first stage is reached."), Type::Bool);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        match self {
            StopRule::Fixed => {
                row.push(Value::Text("fixed"));
                row.nulls(3);
            }
            // The stages are a list and have a table of their own.
            StopRule::Trailing { distance, from_start, stages: _ } => {
                row.push(Value::Text("trailing"));
                row.field(distance);
                row.push(Value::Bool(*from_start));
            }
        }
    }
}

impl Field for OrderKind {
    const CELLS: usize = 4;
    fn shape(shape: &mut Shape, place: &Place) {
        shape.push(place, Type::Text);
        let part = |suffix, doc| place.part(suffix, doc).optional();
        shape.push(&part("price", "The worst price of a limit order."), Type::Decimal);
        shape.push(&part("time_in_force", "How long a limit order lives."), Type::Text);
        shape.push(&part("trigger", "What releases a trigger order."), Type::Decimal);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        let cells = match self {
            OrderKind::Market => [Value::Text("market"), Value::Null, Value::Null, Value::Null],
            OrderKind::Limit { price, time_in_force } => {
                [Value::Text("limit"), price.value(), time_in_force.value(), Value::Null]
            }
            OrderKind::StopLoss { trigger } => {
                [Value::Text("stop_loss"), Value::Null, Value::Null, trigger.value()]
            }
            OrderKind::TakeProfit { trigger } => {
                [Value::Text("take_profit"), Value::Null, Value::Null, trigger.value()]
            }
        };
        row.cells.extend(cells);
    }
}

impl Field for Purpose {
    const CELLS: usize = 3;
    fn shape(shape: &mut Shape, place: &Place) {
        shape.push(place, Type::Text);
        let part = |suffix, doc| place.part(suffix, doc).optional();
        shape.push(&part("reason", "The reason of an exit that came first."), Type::Text);
        shape.push(&part("others", "Bit n set: the reason with number n held too."), Type::U64);
    }
    fn cells<'a>(&'a self, row: &mut Row<'a>) {
        let cells = match self {
            Purpose::Entry => [Value::Text("entry"), Value::Null, Value::Null],
            Purpose::Exit { reason, others } => [Value::Text("exit"), reason.value(), others.value()],
        };
        row.cells.extend(cells);
    }
}

/// An enum whose variants have fields: a word, and parts of which each variant fills some.
macro_rules! variants {
    ($type:ident { $($part:ident: $ptype:ty, $doc:literal;)+ } $this:ident => $match:expr) => {
        impl Field for $type {
            const CELLS: usize = 1 $(+ <$ptype as Field>::CELLS)+;
            fn shape(shape: &mut Shape, place: &Place) {
                shape.push(place, Type::Text);
                $(<$ptype as Field>::shape(shape, &place.part(stringify!($part), $doc).optional());)+
            }
            fn cells<'a>(&'a self, row: &mut Row<'a>) {
                #[derive(Default)]
                struct Parts<'p> { $($part: Option<&'p $ptype>),+ }
                let $this = self;
                let (word, parts): (&str, Parts<'a>) = $match;
                row.push(Value::Text(word));
                $(match parts.$part {
                    Some(part) => row.field::<$ptype>(part),
                    None => row.nulls(<$ptype as Field>::CELLS),
                })+
            }
        }
    };
}

variants! {
    Command {
        reason: Text, "Why (halt, accept_foreign).";
        instrument: Label, "Which instrument, by the venue's name.";
        quantity: Quantity, "Base quantity (open); the whole holding (adopt).";
        stop: Price, "The stop that was asked for.";
        loosen: bool, "Whether a stop may be moved down.";
        max_positions: u32, "Positions at most.";
        daily_loss: Money, "Loss of a day at most, quote.";
        budget: Money, "Quote per entry at most.";
        average: Price, "The venue's average price (adopt).";
        client: Label, "The client order id of the only order to accept (accept_foreign).";
    }
    command => {
        let parts = Parts::default();
        match command {
            Command::Enable => ("enable", parts),
            Command::Halt { reason } => ("halt", Parts { reason: Some(reason), ..parts }),
            Command::Flatten => ("flatten", parts),
            Command::Close { instrument } => ("close", Parts { instrument: Some(instrument), ..parts }),
            Command::Open { instrument, quantity, stop } => (
                "open",
                Parts { instrument: Some(instrument), quantity: Some(quantity), stop: stop.as_ref(), ..parts },
            ),
            Command::AdjustStop { instrument, stop, loosen } => (
                "adjust_stop",
                Parts { instrument: Some(instrument), stop: Some(stop), loosen: Some(loosen), ..parts },
            ),
            Command::SetLimits { max_positions, daily_loss, budget } => (
                "set_limits",
                Parts {
                    max_positions: max_positions.as_ref(),
                    daily_loss: daily_loss.as_ref(),
                    budget: budget.as_ref(),
                    ..parts
                },
            ),
            Command::Adopt { instrument, average, quantity } => (
                "adopt",
                Parts { instrument: Some(instrument), average: Some(average), quantity: Some(quantity), ..parts },
            ),
            Command::Release { instrument } => ("release", Parts { instrument: Some(instrument), ..parts }),
            Command::AcceptGap => ("accept_gap", parts),
            Command::ReturnDust { instrument } => ("return_dust", Parts { instrument: Some(instrument), ..parts }),
            Command::AcceptForeign { client, reason } => {
                ("accept_foreign", Parts { client: client.as_ref(), reason: Some(reason), ..parts })
            }
        }
    }
}

variants! {
    Claim {
        instrument: Label, "The instrument, in the venue's spelling.";
        id: Text, "The file's own id of it.";
        side: Side, "Buy or sell (trade).";
        quantity: Quantity, "Base quantity.";
        entry: Price, "Entry price (position).";
        price: Price, "Price (trade).";
        stop: Price, "The stop (position).";
        highest: Price, "The highest price seen (position).";
        trail: Rate, "The trailing distance as a share of the highest price (position).";
        opened: Timestamp, "When it was opened (position).";
        profit: Money, "The profit that the file states (trade).";
        time: Timestamp, "When (trade).";
        limit: LimitKind, "What is bounded (limit).";
        value: Fixed, "The figure (limit).";
        unit: LimitUnit, "In what it is stated (limit).";
        answered: Fixed, "What a person answered (limit).";
        answered_unit: LimitUnit, "In what the answer is stated (limit).";
        what: Text, "In words (note).";
    }
    claim => {
        let parts = Parts::default();
        match claim {
            Claim::Position(PositionClaim { instrument, id, quantity, entry, stop, highest, trail, opened }) => (
                "position",
                Parts {
                    instrument: Some(instrument),
                    id: Some(id),
                    quantity: Some(quantity),
                    entry: Some(entry),
                    stop: stop.as_ref(),
                    highest: highest.as_ref(),
                    trail: trail.as_ref(),
                    opened: opened.as_ref(),
                    ..parts
                },
            ),
            Claim::Trade(TradeClaim { instrument, id, side, quantity, price, profit, time }) => (
                "trade",
                Parts {
                    instrument: Some(instrument),
                    id: Some(id),
                    side: Some(side),
                    quantity: Some(quantity),
                    price: Some(price),
                    profit: profit.as_ref(),
                    time: time.as_ref(),
                    ..parts
                },
            ),
            Claim::Limit { limit, value, unit, answered } => (
                "limit",
                Parts {
                    limit: Some(limit),
                    value: Some(value),
                    unit: Some(unit),
                    answered: answered.as_ref().map(|a| &a.0),
                    answered_unit: answered.as_ref().map(|a| &a.1),
                    ..parts
                },
            ),
            Claim::TradingDisabled => ("trading_disabled", parts),
            Claim::Note { what } => ("note", Parts { what: Some(what), ..parts }),
        }
    }
}
