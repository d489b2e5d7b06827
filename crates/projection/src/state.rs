//! What the fold holds: what is open, running totals, and a bounded memory of what ended.
//!
//! Every map is ordered and every vector is dense by id, so the canonical encoding, and with it the digest, is a
//! function of the journal alone.

use crate::book::Book;
use crate::order_table::Orders;
use aegis_model::claim::ClaimVerdict;
use aegis_model::event::{
    AlarmKind, AnomalyKind, Blocks, Direction, EntryPrepared, PauseRule, Refusal, TickSeen,
};
use aegis_model::ids::{ClientOrderId, FeedId, InstrumentId, Lsn, Mode, OrderId, Timestamp, VenueOrderId};
use aegis_model::market::Instrument;
use aegis_model::money::{Money, Price, Quantity, Rate};
use aegis_model::order::{OrderEnd, OrderKind, OrderStatus, Purpose, RejectClass, Side};
use aegis_model::protection::{Plan, Protection};
use aegis_model::text::{Label, Text};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Version of the canonical encoding; part of it, so that digests of different layouts never agree by chance.
pub const STATE_VERSION: u32 = 5;
/// Event time that ended orders and their trade ids are remembered, ns (30 days).
pub const MEMORY_NS: i64 = 30 * aegis_model::ids::DAY;
/// Ended orders remembered at most.
pub const MEMORY_ORDERS: usize = 100_000;
/// Orders under ids of ours that no record intended, remembered at most: far more than a lost tail of a day could hold.
/// Beyond them the accepted ones are forgotten, oldest first; one that is seen again then has to be accepted again.
pub const MEMORY_FOREIGN: usize = 1_000;

/// The engine's folded state.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct State {
    /// Records folded so far: the LSN of the last one.
    pub lsn: Lsn,
    /// Time of the last record.
    pub time: Timestamp,
    /// Identity and life of the journal.
    pub journal: JournalFacts,
    /// Settings in force, by key.
    pub settings: BTreeMap<Text, Text>,
    /// Names of assets, by id.
    pub assets: Vec<AssetState>,
    /// Everything per instrument, by id.
    pub instruments: Vec<InstrumentState>,
    /// Orders that have not ended, and within the bounded memory those that did.
    pub orders: Orders,
    /// The highest order number intended so far.
    pub last_order: OrderId,
    /// Latest signal per (instrument, source).
    pub signals: BTreeMap<(InstrumentId, Label), SignalState>,
    /// How far each source was read.
    pub sources: BTreeMap<Label, u64>,
    /// The last recorded point of each feed.
    pub feeds: BTreeMap<FeedId, TickSeen>,
    /// Whether entries are allowed.
    pub trading: Trading,
    /// The UTC day's start.
    pub day: Option<Day>,
    /// Exits by stop within the memory, for the stop-out pause: times of the exits' ends.
    pub stop_outs: Vec<Timestamp>,
    /// Standing alarms.
    pub alarms: BTreeMap<(AlarmKind, Option<InstrumentId>), Alarm>,
    /// Connections to the venue that are away, and since when.
    pub links: BTreeMap<Label, Timestamp>,
    /// Messages not delivered yet, by number.
    pub outbox: BTreeMap<u64, Message>,
    /// The highest message number so far.
    pub last_message: u64,
    /// The highest snapshot number recorded so far.
    pub last_snapshot: u64,
    /// Trades executed before this are all known (complete walks).
    pub walked: Timestamp,
    /// Corrections booked, by id, within the bounded memory.
    pub corrections: BTreeMap<[u8; 16], Lsn>,
    /// Cash flows recorded, by venue id, within the bounded memory.
    pub flows: BTreeMap<Label, Lsn>,
    /// What files of another program claim.
    pub claims: Claims,
    /// Orders at the venue under client ids of ours that no record intended, by that id.
    pub foreign: BTreeMap<Label, ForeignIntent>,
    /// Running totals since the journal was created.
    pub totals: Totals,
}

/// An order under a client id of ours that no record of this journal intended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct ForeignIntent {
    /// The record that first told of it.
    pub seen: Lsn,
    /// Its instrument, if it was told.
    pub instrument: Option<InstrumentId>,
    /// The venue's id, if it was told.
    pub venue_order: Option<VenueOrderId>,
    /// The record by which a person accepted it.
    pub accepted: Option<Lsn>,
}

/// Claims of files, and what became of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Claims {
    /// Imported files by the digest of their content.
    pub files: BTreeMap<[u8; 32], ImportedFile>,
    /// Claimed holdings that no comparison has judged yet, by the instrument's name and the file.
    pub open: BTreeMap<(Label, [u8; 32]), OpenClaim>,
    /// Claims recorded.
    pub imported: u64,
    /// Doubts recorded.
    pub disputed: u64,
    /// Judged claims of an instrument, by verdict.
    pub checked: BTreeMap<ClaimVerdict, u64>,
}

/// A file whose claims are recorded.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct ImportedFile {
    /// Its record.
    pub lsn: Lsn,
    /// Its name.
    pub name: Text,
    /// Rows of it that wait for an answer and can still be imported.
    pub withheld: BTreeSet<Text>,
}

/// What a file claims to be held of an instrument: all its lots together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct OpenClaim {
    /// The record of the last lot.
    pub lsn: Lsn,
    /// How many lots.
    pub lots: u32,
    /// Their sum.
    pub quantity: Quantity,
    /// What they cost: the sum of quantity and entry price.
    pub cost: Money,
    /// The highest stop among them.
    pub stop: Option<Price>,
    /// The highest price that was seen.
    pub highest: Option<Price>,
}

/// Identity and life of the journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct JournalFacts {
    /// Paper or live; none before the first record.
    pub mode: Option<Mode>,
    /// Installation bits of client order ids.
    pub installation: u64,
    /// The asset that money is counted in.
    pub quote: Label,
    /// The run of the current opening.
    pub run: u32,
    /// How often it was opened.
    pub openings: u64,
    /// LSN of the current opening's `Started`.
    pub started: Lsn,
    /// Whether the last opening ended with `Stopped`.
    pub stopped: bool,
    /// The gap that was found and not accepted yet: LSN of its `GapFound`.
    pub open_gap: Option<Lsn>,
    /// LSN of the first complete comparison with the venue since the opening.
    pub reconciled: Option<Lsn>,
}

/// One asset.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct AssetState {
    /// The venue's name.
    pub name: Label,
    /// Instruments whose base it is, by id.
    pub base_of: Vec<InstrumentId>,
    /// The last recorded balance.
    pub balance: Option<Balance>,
    /// What changed at the venue by our fills since that balance was requested, signed: the expectation is
    /// `balance.total + since`.
    pub since: Quantity,
    /// The youngest of those changes, for balances asked for before them.
    pub recent: Vec<RecentChange>,
    /// Changes that were learned of after the recorded balance was asked for and executed before it by the venue's
    /// clock: whether it contains them only a clock that agrees with ours could tell.
    pub doubtful: Vec<RecentChange>,
    /// Time of the last fill or intent that touches this asset.
    pub touched: Timestamp,
    /// LSN of that fill or intent.
    pub touched_lsn: Lsn,
    /// Holdings that nothing explains; never sold.
    pub quarantined: Quantity,
    /// Fees paid in this asset where it is neither base nor quote of the fill's instrument.
    pub third_fees: Quantity,
    /// All fees paid in this asset.
    pub fees: Quantity,
    /// Deposits less withdrawals since the first balance.
    pub net_flows: Quantity,
    /// The first balance ever recorded, for the return on it.
    pub first: Option<Balance>,
    /// A difference seen and not yet settled.
    pub drift: Option<DriftState>,
}

/// A change of a balance by one of our executions or by a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct RecentChange {
    /// When it was executed, by the venue's clock.
    pub executed: Timestamp,
    /// When it was recorded, by ours.
    pub booked: Timestamp,
    /// Signed.
    pub change: Quantity,
}

/// A recorded balance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Balance {
    /// All of it.
    pub total: Quantity,
    /// Reserved by the venue.
    pub reserved: Quantity,
    /// Of that, what no sell of ours explains as it stood when it was asked for; never below zero.
    pub foreign: Quantity,
    /// When it was asked for.
    pub requested: Timestamp,
    /// Its record.
    pub lsn: Lsn,
    /// The snapshot's number.
    pub snapshot: u64,
}

/// A difference between venue and fold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct DriftState {
    /// The venue's total.
    pub venue: Quantity,
    /// What the fold expected.
    pub expected: Quantity,
    /// Agreeing looks so far.
    pub look: u8,
    /// The record of the last look.
    pub lsn: Lsn,
}

/// Everything per instrument.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct InstrumentState {
    /// Its facts now.
    pub spec: Instrument,
    /// LSN of those facts.
    pub listed: Lsn,
    /// Fills and corrections in fold order, and what they amount to.
    pub book: Book,
    /// The protection of the open position.
    pub protection: Option<Protection>,
    /// LSN of the record that opened the current cycle as it arrived.
    pub opened: Lsn,
    /// The plan of the entry that opened (or is opening) the current cycle.
    pub plan: Option<Plan>,
    /// Live orders: working, intended or unknown; in order of number.
    pub live: Vec<OrderId>,
    /// An entry that waits for a fresh balance.
    pub prepared: Option<Prepared>,
    /// Since when the reference is missing.
    pub blind: Option<Timestamp>,
    /// Sum of all finished blind spans, ns.
    pub blind_ns: i64,
    /// LSN of the record that blocks entries until a person releases it.
    pub blocked: Option<Lsn>,
    /// Exits that ended without filling anything since the last that did.
    pub exit_failures: u32,
    /// The last such exit: when, its number and how it was refused.
    pub exit_failed: Option<ExitFailure>,
    /// The reason of the exit that is wanted until the position is closed, with its first intent.
    pub exit_wanted: Option<(aegis_model::protection::ExitReason, OrderId)>,
    /// What cannot be sold, with its cost.
    pub dust: Dust,
    /// Since when no stop rests at the venue for what is held, or one rests that is being cancelled; none while one
    /// rests, and while nothing is held.
    pub bare_since: Option<Timestamp>,
}

/// An entry that waits for a fresh balance.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Prepared {
    /// What was prepared.
    pub entry: EntryPrepared,
    /// Its record.
    pub lsn: Lsn,
}

/// How an exit failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct ExitFailure {
    /// The order.
    pub order: OrderId,
    /// When it ended.
    pub at: Timestamp,
    /// How it was refused; none when it simply ended short.
    pub class: Option<RejectClass>,
}

/// The dust ledger of an instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Dust {
    /// How much.
    pub quantity: Quantity,
    /// Its cost.
    pub cost: Money,
}

/// An order that has not ended.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Order {
    /// Its client order id.
    pub client: ClientOrderId,
    /// The instrument.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// Market, limit or trigger.
    pub kind: OrderKind,
    /// Base quantity ordered.
    pub quantity: Quantity,
    /// Why we have it.
    pub purpose: Purpose,
    /// Where it stands.
    pub status: OrderStatus,
    /// Sum of its real fills.
    pub filled: Quantity,
    /// Value of its real fills.
    pub value: Money,
    /// The part its row shows beyond its fills (see `FillInferred`).
    pub inferred: Quantity,
    /// The highest cumulative quantity any report told.
    pub cumulative: Quantity,
    /// The venue's id.
    pub venue_order: Option<VenueOrderId>,
    /// Until when it may first be sent.
    pub valid_until: Timestamp,
    /// When a working entry is to be cancelled.
    pub cancel_at: Option<Timestamp>,
    /// When it was intended.
    pub intended_at: Timestamp,
    /// The record of the intent.
    pub intended: Lsn,
    /// The record that last changed its status.
    pub changed: Lsn,
    /// Time of that record.
    pub changed_at: Timestamp,
    /// Sends so far: 1 from the intent, more by `OrderResent`.
    pub attempts: u32,
    /// Lookups answered so far, and how many definite absences in a row.
    pub looks: u32,
    /// Definite absences in a row.
    pub absent: u32,
    /// When the last lookup was answered.
    pub looked_at: Timestamp,
    /// Whether a cancel was intended, and where.
    pub cancel: Option<Lsn>,
    /// When the cancel was intended.
    pub cancel_intended_at: Timestamp,
    /// The order it tries again; 0 for none.
    pub replaces: OrderId,
    /// Reference price of the decision.
    pub reference: Price,
    /// The venue refused it for now: the same order is to go out again.
    pub put_off: bool,
    /// A send of it had no certain outcome and may still arrive; a proven absence ends that.
    pub unproven: bool,
    /// Of a trigger order that has fired: the venue's id of the order that it released, empty when it is the same.
    pub released: Option<VenueOrderId>,
}

/// The latest signal of a source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct SignalState {
    /// Where it points.
    pub direction: Direction,
    /// 0..=1.
    pub confidence: Rate,
    /// When it stops counting.
    pub until: Timestamp,
    /// Its record.
    pub lsn: Lsn,
}

/// Whether entries are allowed.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Trading {
    /// Set while halted.
    pub halted: Option<Halt>,
    /// Running pauses by rule: until when.
    pub pauses: BTreeMap<PauseRule, Timestamp>,
    /// Whether a flatten is in force (set by the command, cleared by enabling).
    pub flatten: Option<Lsn>,
    /// Limits set by command in this opening.
    pub limits: Limits,
    /// The process was asked to stop in this opening: no new entries.
    pub stopping: bool,
}

/// A halt.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Halt {
    /// By whom.
    pub by: Label,
    /// Why.
    pub reason: Text,
    /// Since when.
    pub at: Timestamp,
    /// The record.
    pub lsn: Lsn,
}

/// Limits set by command; they fall back to the settings at the next start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Limits {
    /// Positions at most.
    pub max_positions: Option<u32>,
    /// Daily loss at most.
    pub daily_loss: Option<Money>,
    /// Budget per entry.
    pub budget: Option<Money>,
}

/// The UTC day that the loss is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Day {
    /// Days since the epoch.
    pub number: i64,
    /// Equity at its first input.
    pub equity: Money,
    /// Net quote flows since.
    pub net_flows: Money,
    /// Its record.
    pub lsn: Lsn,
}

/// A standing alarm.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Alarm {
    /// What it blocks.
    pub blocks: Blocks,
    /// In words.
    pub reason: Text,
    /// Since when.
    pub since: Timestamp,
    /// Its record.
    pub lsn: Lsn,
}

/// A message not delivered yet.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Message {
    /// The record it cites.
    pub about: Lsn,
    /// The words.
    pub text: Text,
}

/// Running totals since the journal was created.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Totals {
    /// Signals received.
    pub signals: u64,
    /// Signal lines refused.
    pub bad_signals: u64,
    /// Refused entries by reason.
    pub refusals: BTreeMap<Refusal, u64>,
    /// Entry intents.
    pub entries: u64,
    /// Exit intents, stops that rest at the venue left out.
    pub exits: u64,
    /// Intents of stops to rest at the venue.
    pub venue_stops: u64,
    /// Sends of intents again.
    pub resends: u64,
    /// Orders by how they ended.
    pub ended: BTreeMap<OrderEnd, u64>,
    /// Fills booked.
    pub fills: u64,
    /// Positions closed.
    pub closed: u64,
    /// Of those, with profit above zero.
    pub won: u64,
    /// Stop adjustments: `StopMoved`.
    pub stop_moves: u64,
    /// Quote paid, quote fees of buys and sells included; rebates reduce it.
    pub quote_paid: Money,
    /// Quote received, before fees.
    pub quote_received: Money,
    /// Profit net of quote fees, realised.
    pub realised: Money,
    /// Quote fees.
    pub quote_fees: Money,
    /// The corrections account: value that entered or left without quote moving, and external proceeds.
    pub corrections: Money,
    /// Anomalies met or noted, by kind.
    pub anomalies: BTreeMap<AnomalyKind, u64>,
    /// Messages queued.
    pub messages: u64,
    /// Commands received.
    pub commands: u64,
}
