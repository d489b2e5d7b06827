//! One table for each kind of record, with every field in a column. The list below is exhaustive in both directions: a kind
//! or a field that is missing here does not compile.

use crate::row::{Field, Row, Value};
use crate::schema::{Place, Shape, Source, Table, Type};
use aegis_model::event::{self, KindDoc};
use aegis_model::protection::{Distance, Stage};
use aegis_model::wire::{ascii, snake, snake_len};
use aegis_model::{Actor, Event, Fact, Lsn, Rate, StopRule, Timestamp};

/// What a record says beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) lsn: Lsn,
    pub(crate) at: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) cause: Lsn,
    /// The first record of its batch.
    pub(crate) batch: Lsn,
}

impl Head {
    pub(crate) const fn of(lsn: Lsn, batch: Lsn, event: &Event) -> Head {
        Head { lsn, at: event.at, actor: event.actor, cause: event.cause, batch }
    }

    /// The columns of `COMMON`.
    #[inline]
    fn cells(self, row: &mut Row<'_>) {
        row.plain(self.lsn);
        row.push(Value::Time(self.at));
        row.plain(self.actor);
        row.plain(self.cause);
        row.plain(self.batch);
    }
}

fn common() -> Shape {
    let mut shape = Shape::default();
    shape.add("lsn", Type::U64, false, "The record's number.");
    shape.add(
        "event_time",
        Type::Time,
        false,
        "When: in a run over recorded data the market's time, otherwise the process's clock. It never falls.",
    );
    shape.add("actor", Type::Text, false, "Who brought it about.");
    shape.add("cause_lsn", Type::U64, true, "The record that led to it; nothing when it came from outside.");
    shape.add("batch_lsn", Type::U64, false, "The first record of its batch: all of one decision.");
    shape
}

/// Every record in one row.
pub(crate) fn records() -> Table {
    let mut shape = common();
    shape.add("kind", Type::U64, false, "The number of its kind.");
    shape.add("name", Type::Text, false, "The table of its kind.");
    let doc = "Every record; the table of its kind has its fields.".to_owned();
    Table { name: "records", doc, source: Source::Records, columns: shape.0 }
}

pub(crate) fn records_row(head: Head, fact: &Fact, row: &mut Row<'_>) {
    head.cells(row);
    row.push(Value::U64(u64::from(fact.kind())));
    row.push(Value::Text(table_name(fact)));
}

/// Lists the columns of a field, whose type is that of the struct.
fn field<B, T: Field>(_of: impl Fn(&B) -> &T, shape: &mut Shape, doc: &KindDoc, name: &str) {
    let meaning = doc.fields.iter().find(|f| f.0 == name).map_or("", |f| f.1);
    T::shape(shape, &Place::new(name, meaning));
}

macro_rules! kinds {
    ($($name:ident { $($field:ident),* })+) => {
        /// The name of a record's table.
        pub(crate) const fn table_name(fact: &Fact) -> &'static str {
            match fact {
                $(Fact::$name(_) => {
                    const BYTES: [u8; snake_len(stringify!($name))] = snake(stringify!($name));
                    const NAME: &str = ascii(&BYTES);
                    NAME
                })+
            }
        }

        /// The cells of a record's fields.
        fn body<'a>(fact: &'a Fact, row: &mut Row<'a>) {
            match fact {
                $(Fact::$name(event::$name { $($field),* }) => { $(row.field($field);)* })+
            }
        }

        fn shape_of(doc: &KindDoc, shape: &mut Shape) -> &'static str {
            $(if doc.name == stringify!($name) {
                $(field(|body: &event::$name| &body.$field, shape, doc, stringify!($field));)*
                const BYTES: [u8; snake_len(stringify!($name))] = snake(stringify!($name));
                const NAME: &str = ascii(&BYTES);
                return NAME;
            })+
            unreachable!("{} is listed, or table_name would not compile", doc.name)
        }
    };
}

kinds! {
    JournalCreated { mode, installation, quote }
    Started { run, version, config_digest, seed }
    Stopped { reason }
    SettingRecorded { key, value }
    GapFound { first, last, bytes, segment, evidence }
    GapAccepted { by }
    ForeignIntentSeen { instrument, client, venue_order }
    ForeignIntentAccepted { by, client, venue_order, reason }
    AssetNamed { asset, name }
    InstrumentListed { instrument, spec }
    TickSeen { feed, cursor, instrument, time, bid, ask, last, bid_quantity, ask_quantity, path }
    BlindStarted { instrument, since }
    BlindEnded { instrument, lasted_ns }
    SignalReceived { source, position, instrument, direction, confidence, until }
    SignalRefused { source, position, reason }
    EntryRefused { instrument, reason, need, have, blocking }
    EntryPrepared { instrument, snapshot, requested, until, confidence, quantity, reference, stop }
    OrderIntended {
        order, run, instrument, side, kind, quantity, purpose, valid_until, cancel_at, replaces, plan,
        reference
    }
    OrderResent { order, attempt }
    OrderAcknowledged { order, venue_order }
    OrderRejected { order, class, code, text }
    OrderUnknown { order, cause }
    OrderLookedUp { order, answer, absent }
    CancelIntended { order, reason }
    OrderAmended { order, price, quantity }
    OrderEnded { order, end, cumulative }
    OrderTriggered { order, released }
    FillBooked { instrument, trade, order, venue_order, side, price, quantity, fee, executed, source }
    FillInferred { order, quantity, value, executed }
    FeeResolved { instrument, trade, fee }
    ExcessSellSettled { instrument, excess }
    PositionClosed {
        instrument, cycle, opened, closed, bought, buy_value, sold, sell_value, quote_fees, base_fees,
        realised, rate, dust, reason
    }
    CycleRestated { instrument, cycle, old, new }
    DustKept { instrument, cycle, quantity, cost }
    DustReturned { instrument, by, quantity, cost }
    StopArmed { instrument, cycle, plan, stop, take_profit, time_exit, mark, quantity }
    StopMoved { instrument, why, stop, mark, quantity, stages_reached, take_profit }
    StopRetired { instrument, why }
    ExitDecided { instrument, reason, others, reference }
    VenueStopRested { instrument, order, quantity, stop, bare_ns }
    BalanceRecorded { snapshot, asset, total, reserved, requested }
    CashFlowRecorded { id, asset, quantity, time }
    TradesWalked { through }
    DriftSeen { asset, venue, expected, look }
    DriftCleared { asset }
    CorrectionBooked { id, instrument, kind, quantity, average, lot, time, evidence }
    HoldingQuarantined { asset, quantity, evidence }
    InstrumentBlocked { instrument, reason }
    InstrumentReleased { instrument, by }
    Reconciled { snapshot }
    LinkLost { link, reason }
    LinkRestored { link, lasted_ns }
    CommandReceived { by, command }
    TradingHalted { by, reason }
    TradingEnabled { by }
    PauseStarted { rule, until, figure }
    DayStarted { day, equity }
    CommandRefused { by, reason }
    AlarmRaised { alarm, instrument, blocks, reason }
    AlarmCleared { alarm, instrument }
    AnomalyNoted { anomaly, instrument, order, known, arrived, detail }
    MessageQueued { number, about, text }
    MessageDelivered { number }
    FileImported { digest, name, source, bytes, timezone, claims, disputes }
    ClaimImported { digest, row, claim }
    ClaimDisputed { digest, row, kind, instrument, claimed, found, detail }
    ClaimChecked { digest, instrument, verdict, claimed, venue, adopted, stop, snapshot }
}

/// The tables of all kinds, in the order of the kinds' numbers.
pub(crate) fn tables() -> impl Iterator<Item = Table> {
    Fact::DOCS.iter().map(|doc| {
        let mut shape = common();
        let name = shape_of(doc, &mut shape);
        Table { name, doc: doc.doc.trim().to_owned(), source: Source::Kind(doc.kind), columns: shape.0 }
    })
}

/// A record's row in the table of its kind.
pub(crate) fn kind_row<'a>(head: Head, fact: &'a Fact, row: &mut Row<'a>) {
    head.cells(row);
    body(fact, row);
}

/// The list inside plans.
pub(crate) fn stages() -> Table {
    let mut shape = Shape::default();
    shape.add("lsn", Type::U64, false, "The record with the plan: of `order_intended` or `stop_armed`.");
    shape.add("stage", Type::U64, false, "Which stage of the plan, from 1.");
    Rate::shape(
        &mut shape,
        &Place::new("activation", "The profit net of both fees that must be exceeded; a share."),
    );
    Distance::shape(&mut shape, &Place::new("distance", "How far below the mark the stop is from then on."));
    let doc = "Stages of the trailing stops in plans, by rising activation.".to_owned();
    Table { name: "plan_stages", doc, source: Source::Stages, columns: shape.0 }
}

/// The stages that a record holds.
pub(crate) fn stages_of(fact: &Fact) -> &[Stage] {
    let plan = if let Fact::OrderIntended(f) = fact {
        f.plan.as_ref()
    } else if let Fact::StopArmed(f) = fact {
        Some(&f.plan)
    } else {
        None
    };
    match plan.map(|plan| &plan.rule) {
        Some(StopRule::Trailing { stages, .. }) => stages,
        Some(StopRule::Fixed) | None => &[],
    }
}

pub(crate) fn stage_row<'a>(lsn: Lsn, number: usize, stage: &'a Stage, row: &mut Row<'a>) {
    row.plain(lsn);
    row.push(Value::U64(number as u64 + 1));
    row.field(stage);
}
