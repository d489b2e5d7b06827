//! The engine's facts: everything that is ever stored in an engine journal.
//!
//! Each fact is a struct with a frozen layout; kinds are numbered, never reused, and 0 is reserved. A changed
//! shape is a new version with an upcast and a specimen. Fields are facts in the past tense; nothing here decides.

use crate::claim::{Claim, ClaimVerdict, DisputeKind, SourceKind};
use crate::ids::{
    Actor, AssetId, ClientOrderId, FeedId, InstrumentId, Lsn, Mode, OrderId, Timestamp, TradeId, VenueOrderId,
};
use crate::input::Command;
use crate::machine::RecordHead;
use crate::market::{Instrument, PricePath};
use crate::money::{Money, Price, Quantity, Rate};
use crate::order::{LookupAnswer, OrderEnd, OrderKind, Purpose, RejectClass, Side, UnknownCause};
use crate::protection::{ExitReason, Plan, RetireCause, StopCause};
use crate::text::{Label, Text};
use crate::wire::{self, DecodeError};
use alloc::vec::Vec;

mod words;

pub use words::{AlarmKind, AnomalyKind, Blocks, CorrectionKind, Direction, FillSource, PauseRule, Refusal};

/// A fact with when, by whom and because of which record it came about. Its LSN is its place in the journal.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Event {
    /// Event time: in a run over recorded data the market's, otherwise the process's clock; never falls within a
    /// journal.
    pub at: Timestamp,
    /// Who brought it about.
    pub actor: Actor,
    /// The record that led to it; [`Lsn::NONE`] when it came from outside.
    pub cause: Lsn,
    /// What happened.
    pub fact: Fact,
}

/// What a kind of record says, for people. Texts begin with a space, and so does each further line of theirs.
#[derive(Clone, Copy, Debug)]
pub struct KindDoc {
    /// The record kind.
    pub kind: u16,
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub doc: &'static str,
    /// Its fields in stored order: name, and what it says.
    pub fields: &'static [(&'static str, &'static str)],
}

macro_rules! facts {
    ($(
        $(#[doc = $doc:literal])* $number:literal $name:ident
        { $($(#[doc = $fdoc:literal])* $field:ident: $type:ty,)* }
    )+) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
            pub struct $name { $($(#[doc = $fdoc])* pub $field: $type,)* }

            impl From<$name> for Fact {
                #[inline]
                fn from(body: $name) -> Fact { Fact::$name(body) }
            }
        )+

        /// One stored fact.
        #[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fact { $($(#[doc = $doc])* $name($name),)+ }

        impl Fact {
            /// Every kind that this version knows: number and name, in rising order.
            pub const KINDS: &'static [(u16, &'static str)] = &[$(($number, stringify!($name)),)+];

            /// What each kind and each of its fields says, in the words of their documentation; in the order of
            /// [`Fact::KINDS`].
            pub const DOCS: &'static [KindDoc] = &[$(KindDoc {
                kind: $number,
                name: stringify!($name),
                doc: concat!($($doc),*),
                fields: &[$((stringify!($field), concat!($($fdoc),*)),)*],
            },)+];

            /// The record kind.
            pub const fn kind(&self) -> u16 {
                match self { $(Fact::$name(_) => $number,)+ }
            }

            /// The name of the record kind.
            pub const fn name(&self) -> &'static str {
                match self { $(Fact::$name(_) => stringify!($name),)+ }
            }

            /// Appends the body's bytes.
            pub fn encode_body(&self, out: &mut Vec<u8>) {
                match self { $(Fact::$name(body) => wire::encode(body, out),)+ }
            }

            /// Reads a body.
            ///
            /// # Errors
            /// [`DecodeError`] when kind or version are unknown or the bytes are not spelled as documented.
            pub fn decode_body(kind: u16, version: u8, bytes: &[u8]) -> Result<Fact, DecodeError> {
                match (kind, version) {
                    $(($number, VERSION) => wire::decode_body::<$name>(kind, bytes).map(Fact::$name),)+
                    (kind, version) => Err(unknown(kind, version)),
                }
            }
        }

        impl Event {
            /// Reads an event from a record.
            ///
            /// # Errors
            /// [`DecodeError`] when kind, version, actor or body are not as documented.
            pub fn decode(head: RecordHead, payload: &[u8]) -> Result<Event, DecodeError> {
                match (head.kind, head.version) {
                    $(($number, VERSION) => decode_event::<$name>(&head, payload),)+
                    (kind, version) => Err(unknown(kind, version)),
                }
            }
        }
    };
}

/// The version of every kind so far.
pub const VERSION: u8 = 1;

/// The `schema` of an engine journal's segment header.
pub const ENGINE_SCHEMA: u16 = 1;
/// The `schema` of a paper venue journal's segment header.
pub const VENUE_SCHEMA: u16 = 2;

/// A fee as the venue stated it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, bincode::Encode, bincode::Decode)]
pub struct Fee {
    /// The asset it is paid in.
    pub asset: AssetId,
    /// How much, in units of that asset; negative for a rebate.
    pub amount: Quantity,
}

facts! {
    /// The journal's first record.
    1 JournalCreated {
        /// Paper or live.
        mode: Mode,
        /// 40 random bits that begin every client order id of this journal.
        installation: u64,
        /// The asset that money is counted in.
        quote: Label,
    }
    /// The journal was opened by a writer.
    2 Started {
        /// 32 random bits of this opening, second part of client order ids.
        run: u32,
        /// The program's version.
        version: Label,
        /// BLAKE3 of the effective configuration without secrets.
        config_digest: [u8; 32],
        /// The seed, if the run was started with one.
        seed: Option<u64>,
    }
    /// A clean stop.
    3 Stopped {
        /// Why, in a word.
        reason: Label,
    }
    /// A setting that this opening found changed (or, in the first opening, set).
    4 SettingRecorded {
        /// The key's path.
        key: Text,
        /// The value in force from here on, for positions opened later.
        value: Text,
    }
    /// Acknowledged records were lost to rot; nothing is traded until a person accepts it.
    5 GapFound {
        /// First LSN lost.
        first: Lsn,
        /// Last LSN lost, as far as is known.
        last: Lsn,
        /// Bytes that could not be verified.
        bytes: u64,
        /// The segment's number.
        segment: u64,
        /// How it is known that they were acknowledged.
        evidence: Text,
    }
    /// A person accepted the repair of a gap; entries are possible again.
    6 GapAccepted {
        /// Who.
        by: Label,
    }
    /// The venue knows an order under a client id of our installation that no record of this journal intended: records
    /// were lost, or another copy of the journal runs. No entry passes until a person accepts it.
    7 ForeignIntentSeen {
        /// Its instrument, if the venue told.
        instrument: Option<InstrumentId>,
        /// Its client order id, as the venue spells it.
        client: Label,
        /// The venue's id of it, if the venue told.
        venue_order: Option<VenueOrderId>,
    }
    /// A person accepted such an order: that it is seen again is no news any more. What it did to balances is the affair
    /// of the comparison.
    8 ForeignIntentAccepted {
        /// Who.
        by: Label,
        /// Its client order id.
        client: Label,
        /// The venue's id of it, as far as it was known then.
        venue_order: Option<VenueOrderId>,
        /// Why, in the person's words.
        reason: Text,
    }

    /// An asset got its number.
    10 AssetNamed {
        /// The number: one more than the last.
        asset: AssetId,
        /// The venue's name for it.
        name: Label,
    }
    /// An instrument's facts, when first seen and whenever they change.
    11 InstrumentListed {
        /// The number: one more than the last, or that of the instrument that changed.
        instrument: InstrumentId,
        /// Its facts.
        spec: Instrument,
    }

    /// A market tick that led to the records after it (or every tick, with `record = "all"`).
    20 TickSeen {
        /// The feed.
        feed: FeedId,
        /// Its place in the feed.
        cursor: u64,
        /// The instrument.
        instrument: InstrumentId,
        /// The venue's time of it.
        time: Timestamp,
        /// Best bid.
        bid: Option<Price>,
        /// Best ask.
        ask: Option<Price>,
        /// Last trade.
        last: Option<Price>,
        /// Quantity at the bid.
        bid_quantity: Option<Quantity>,
        /// Quantity at the ask.
        ask_quantity: Option<Quantity>,
        /// How the price came here.
        path: PricePath,
    }
    /// The instrument's reference price is missing, crossed or stale: no price-based exit, no stop move.
    21 BlindStarted {
        /// The instrument.
        instrument: InstrumentId,
        /// When the last good reference was true.
        since: Timestamp,
    }
    /// A fresh reference came back.
    22 BlindEnded {
        /// The instrument.
        instrument: InstrumentId,
        /// How long it was away, ns.
        lasted_ns: i64,
    }

    /// A source's signal; the latest per source and instrument counts until its horizon ends.
    30 SignalReceived {
        /// The source.
        source: Label,
        /// Its place in the source's stream; a restart does not read it again.
        position: u64,
        /// What it is about.
        instrument: InstrumentId,
        /// Up, down or neutral.
        direction: Direction,
        /// 0..=1.
        confidence: Rate,
        /// When it stops counting.
        until: Timestamp,
    }
    /// A line of a source that is not a signal.
    31 SignalRefused {
        /// The source.
        source: Label,
        /// Its place in the stream.
        position: u64,
        /// What was wrong.
        reason: Text,
    }
    /// An entry that the gate did not let through, with the numbers that decided.
    32 EntryRefused {
        /// The instrument.
        instrument: InstrumentId,
        /// Which gate.
        reason: Refusal,
        /// What was needed, in the gate's unit.
        need: crate::Fixed,
        /// What there was, in the gate's unit.
        have: crate::Fixed,
        /// The record that stands in the way, such as the open position's; none if it is a number.
        blocking: Lsn,
    }
    /// An entry passed every gate but the balance, which was asked for; or one is dropped.
    33 EntryPrepared {
        /// The instrument.
        instrument: InstrumentId,
        /// The snapshot that was asked for; 0 drops the entry that was prepared.
        snapshot: u64,
        /// When it was asked for.
        requested: Timestamp,
        /// Until when the entry may still be made.
        until: Timestamp,
        /// The confidence that it passed with; none when a person asked for it.
        confidence: Option<Rate>,
        /// The quantity that was decided on; the fresh balance must cover it whole.
        quantity: Quantity,
        /// The reference price that it was decided at.
        reference: Price,
        /// The stop that a person asked for.
        stop: Option<Price>,
    }

    /// We decided to place an order. Durable before anything is sent.
    40 OrderIntended {
        /// Its number.
        order: OrderId,
        /// The run part of its client order id.
        run: u32,
        /// The instrument.
        instrument: InstrumentId,
        /// Buy or sell.
        side: Side,
        /// Market, limit or trigger.
        kind: OrderKind,
        /// Base quantity.
        quantity: Quantity,
        /// Entry or exit, and why.
        purpose: Purpose,
        /// Until when it may first be sent; exits carry the end of time.
        valid_until: Timestamp,
        /// When a working entry is cancelled; none for orders that end by themselves.
        cancel_at: Option<Timestamp>,
        /// The proven-ended order that this one tries again; 0 for none.
        replaces: OrderId,
        /// How the position it opens is to be protected; none for exits.
        plan: Option<Plan>,
        /// The reference price of the decision.
        reference: Price,
    }
    /// The same order goes out again under its own id, since absence was proven and it is still wanted.
    41 OrderResent {
        /// The order.
        order: OrderId,
        /// How many sends that makes.
        attempt: u32,
    }
    /// The venue knows the order.
    42 OrderAcknowledged {
        /// The order.
        order: OrderId,
        /// The venue's id.
        venue_order: VenueOrderId,
    }
    /// The venue refused it definitely.
    43 OrderRejected {
        /// The order.
        order: OrderId,
        /// What the refusal means for a retry.
        class: RejectClass,
        /// The venue's code.
        code: u32,
        /// The venue's words.
        text: Text,
    }
    /// Its outcome is not known; it blocks its instrument until it is.
    44 OrderUnknown {
        /// The order.
        order: OrderId,
        /// Why.
        cause: UnknownCause,
    }
    /// A lookup by client order id was answered.
    45 OrderLookedUp {
        /// The order.
        order: OrderId,
        /// What it found.
        answer: LookupAnswer,
        /// How many definite looks found nothing so far, this one included; presence resets it.
        absent: u32,
    }
    /// We decided to cancel it.
    46 CancelIntended {
        /// The order.
        order: OrderId,
        /// Why, in a word.
        reason: Label,
    }
    /// The venue changed it (semantics rule 8).
    47 OrderAmended {
        /// The order.
        order: OrderId,
        /// The new limit price, if it changed.
        price: Option<Price>,
        /// The new quantity; never below what is filled.
        quantity: Quantity,
    }
    /// It ended.
    48 OrderEnded {
        /// The order.
        order: OrderId,
        /// How.
        end: OrderEnd,
        /// The venue's cumulative filled quantity, if it told.
        cumulative: Option<Quantity>,
    }

    /// A trigger order that rested at the venue fired: the order that it released goes on under the same number of
    /// ours. Until its end it is the exit of its instrument.
    49 OrderTriggered {
        /// The order.
        order: OrderId,
        /// The venue's id of the order that it released; empty when the venue lists it under the same id.
        released: VenueOrderId,
    }

    /// One execution, counted once by (instrument, trade).
    50 FillBooked {
        /// The instrument.
        instrument: InstrumentId,
        /// The venue's trade id.
        trade: TradeId,
        /// Our order; 0 for an execution that was not ours.
        order: OrderId,
        /// The venue's order id, if told.
        venue_order: Option<VenueOrderId>,
        /// Buy or sell.
        side: Side,
        /// Execution price.
        price: Price,
        /// Base quantity as traded, before fees.
        quantity: Quantity,
        /// The fee; none while unknown, which is not zero.
        fee: Option<Fee>,
        /// The venue's execution time.
        executed: Timestamp,
        /// How we learned of it.
        source: FillSource,
    }
    /// The part of an order that its row shows and no trade explains yet; replaces the earlier figure, 0 removes it.
    51 FillInferred {
        /// The order.
        order: OrderId,
        /// Row cumulative less real fills.
        quantity: Quantity,
        /// Row value less real value.
        value: Money,
        /// The row's time.
        executed: Timestamp,
    }
    /// The fee of a booked fill became known.
    52 FeeResolved {
        /// The instrument.
        instrument: InstrumentId,
        /// The fill.
        trade: TradeId,
        /// Its fee.
        fee: Fee,
    }
    /// A sell that found too little, and that a complete reconcile did not explain: the excess was not ours.
    53 ExcessSellSettled {
        /// The instrument.
        instrument: InstrumentId,
        /// The quantity that becomes an external sell.
        excess: Quantity,
    }

    /// A cycle ended: held reached zero, or only dust remained.
    60 PositionClosed {
        /// The instrument.
        instrument: InstrumentId,
        /// Which of its cycles, from 1.
        cycle: u32,
        /// Earliest execution of the cycle.
        opened: Timestamp,
        /// Latest execution of the cycle.
        closed: Timestamp,
        /// Base bought, as traded.
        bought: Quantity,
        /// Quote paid for it, without fees.
        buy_value: Money,
        /// Base sold.
        sold: Quantity,
        /// Quote received, without fees.
        sell_value: Money,
        /// Quote fees, entry and exit.
        quote_fees: Money,
        /// Base fees.
        base_fees: Quantity,
        /// Realised profit net of quote fees (semantics rule 11).
        realised: Money,
        /// realised / (buy value + quote entry fees).
        rate: Rate,
        /// What remained as dust.
        dust: Quantity,
        /// Why it was left, if by an exit of ours.
        reason: Option<ExitReason>,
    }
    /// A late fill changed a closed cycle.
    61 CycleRestated {
        /// The instrument.
        instrument: InstrumentId,
        /// The cycle.
        cycle: u32,
        /// Profit as it was told.
        old: Money,
        /// Profit as it is.
        new: Money,
    }
    /// What cannot be sold was moved, with its cost, to the dust ledger.
    62 DustKept {
        /// The instrument.
        instrument: InstrumentId,
        /// The cycle it remained from.
        cycle: u32,
        /// How much.
        quantity: Quantity,
        /// Its share of cost.
        cost: Money,
    }
    /// Dust was put back into a position by command, or by a comparison that found it sold or gone.
    63 DustReturned {
        /// The instrument.
        instrument: InstrumentId,
        /// Who said so.
        by: Label,
        /// How much.
        quantity: Quantity,
        /// Its cost.
        cost: Money,
    }

    /// A position got its protection.
    70 StopArmed {
        /// The instrument.
        instrument: InstrumentId,
        /// The cycle.
        cycle: u32,
        /// The plan.
        plan: Plan,
        /// The stop.
        stop: Price,
        /// The take-profit.
        take_profit: Option<Price>,
        /// The time exit.
        time_exit: Option<Timestamp>,
        /// Where the mark starts.
        mark: Price,
        /// The quantity covered.
        quantity: Quantity,
    }
    /// The mark, the stop or the covered quantity changed.
    71 StopMoved {
        /// The instrument.
        instrument: InstrumentId,
        /// Why.
        why: StopCause,
        /// The stop now.
        stop: Price,
        /// The mark now.
        mark: Price,
        /// The covered quantity now.
        quantity: Quantity,
        /// Stages reached now.
        stages_reached: u8,
        /// The take-profit now.
        take_profit: Option<Price>,
    }
    /// The protection ended with its holding.
    72 StopRetired {
        /// The instrument.
        instrument: InstrumentId,
        /// Why.
        why: RetireCause,
    }

    /// An exit is wanted and cannot go out yet: the stop that rests at the venue owns the quantity and is cancelled
    /// first, or what is held is below what the venue lets us sell. The exit is intended once that stop is proven ended,
    /// and only for what it left; what cannot be sold becomes dust once no entry of it is under way.
    73 ExitDecided {
        /// The instrument.
        instrument: InstrumentId,
        /// The reason that came first (semantics rule 25).
        reason: ExitReason,
        /// Bit n set: the reason with number n held too.
        others: u8,
        /// The reference price of the decision; zero if there was none.
        reference: Price,
    }
    /// A stop rests at the venue again, or for the first time in this position.
    74 VenueStopRested {
        /// The instrument.
        instrument: InstrumentId,
        /// The order.
        order: OrderId,
        /// What it covers, base.
        quantity: Quantity,
        /// Its trigger.
        stop: Price,
        /// How long none had rested there, ns: from the first holding, or from the cancel or end of the one before.
        bare_ns: i64,
    }

    /// The venue's balance of one asset.
    80 BalanceRecorded {
        /// The snapshot's number.
        snapshot: u64,
        /// The asset.
        asset: AssetId,
        /// All of it.
        total: Quantity,
        /// What the venue reserves for open orders.
        reserved: Quantity,
        /// When we asked.
        requested: Timestamp,
    }
    /// A deposit, withdrawal or adjustment: a flow, not profit.
    81 CashFlowRecorded {
        /// The venue's id of it.
        id: TradeId,
        /// The asset.
        asset: AssetId,
        /// Signed: a deposit is positive.
        quantity: Quantity,
        /// The venue's time of it.
        time: Timestamp,
    }

    /// Trades were listed completely up to here.
    90 TradesWalked {
        /// Every trade executed before this time is known.
        through: Timestamp,
    }
    /// Venue and fold differ by more than a tick; a second agreeing look decides.
    91 DriftSeen {
        /// The asset.
        asset: AssetId,
        /// The venue's total.
        venue: Quantity,
        /// What the fold expects.
        expected: Quantity,
        /// Which look of this figure: 1 for the first.
        look: u8,
    }
    /// A difference ended by itself or was explained.
    92 DriftCleared {
        /// The asset.
        asset: AssetId,
    }
    /// Holdings or costs were corrected on evidence; quote did not move.
    93 CorrectionBooked {
        /// A function of the correction's content: the same correction is never booked twice.
        id: [u8; 16],
        /// The instrument.
        instrument: InstrumentId,
        /// What was corrected.
        kind: CorrectionKind,
        /// Quantity that left or entered; for a cost correction the quantity held.
        quantity: Quantity,
        /// The average price at which it entered, or that was stated.
        average: Option<Price>,
        /// The oldest lot, for a loss.
        lot: Option<TradeId>,
        /// Where in time it stands in the position's fold.
        time: Timestamp,
        /// What the venue showed.
        evidence: Text,
    }
    /// The venue holds more than anything explains; the excess is never sold and never added to a position.
    94 HoldingQuarantined {
        /// The asset.
        asset: AssetId,
        /// The quarantined quantity now; 0 ends the quarantine.
        quantity: Quantity,
        /// What the venue showed.
        evidence: Text,
    }
    /// Entries in an instrument stay refused until a person releases it.
    95 InstrumentBlocked {
        /// The instrument.
        instrument: InstrumentId,
        /// Why.
        reason: Text,
    }
    /// A person released it.
    96 InstrumentReleased {
        /// The instrument.
        instrument: InstrumentId,
        /// Who.
        by: Label,
    }
    /// The first complete comparison with the venue since the opening succeeded.
    97 Reconciled {
        /// The snapshot that it compared with.
        snapshot: u64,
    }

    /// A connection to the venue was lost; what it would have told may have been missed.
    98 LinkLost {
        /// Which, in the program's word: `user`, `market`.
        link: Label,
        /// Why, as far as is known.
        reason: Text,
    }
    /// It is back; a comparison follows.
    99 LinkRestored {
        /// Which.
        link: Label,
        /// How long it was away, ns.
        lasted_ns: i64,
    }

    /// A person's wish.
    100 CommandReceived {
        /// Who.
        by: Label,
        /// What.
        command: Command,
    }
    /// No new exposure; protection goes on.
    101 TradingHalted {
        /// Who.
        by: Label,
        /// Why.
        reason: Text,
    }
    /// Entries are allowed again.
    102 TradingEnabled {
        /// Who.
        by: Label,
    }
    /// Entries pause by rule.
    103 PauseStarted {
        /// Which rule.
        rule: PauseRule,
        /// Until when.
        until: Timestamp,
        /// The figure that reached the limit.
        figure: crate::Fixed,
    }
    /// The first input of a UTC day, with the equity that the day's loss is counted from.
    104 DayStarted {
        /// Days since the epoch.
        day: i64,
        /// Equity at that input; unpriced assets left out.
        equity: Money,
    }
    /// A command that was not carried out; nothing changed.
    105 CommandRefused {
        /// Who gave it.
        by: Label,
        /// What was wrong and what to do.
        reason: Text,
    }

    /// A standing condition that a person must know of.
    110 AlarmRaised {
        /// Which.
        alarm: AlarmKind,
        /// About which instrument, if one.
        instrument: Option<InstrumentId>,
        /// What it blocks.
        blocks: Blocks,
        /// In words.
        reason: Text,
    }
    /// It ended.
    111 AlarmCleared {
        /// Which.
        alarm: AlarmKind,
        /// About which instrument.
        instrument: Option<InstrumentId>,
    }
    /// Something arrived that contradicts what is known; noted once, nothing else changed.
    112 AnomalyNoted {
        /// Which.
        anomaly: AnomalyKind,
        /// The instrument, if one.
        instrument: Option<InstrumentId>,
        /// Our order, 0 for none.
        order: OrderId,
        /// What was known.
        known: crate::Fixed,
        /// What arrived.
        arrived: crate::Fixed,
        /// In words or an id.
        detail: Text,
    }

    /// A message for a person; delivered at least once, in order of its number.
    120 MessageQueued {
        /// Its number, from 1.
        number: u64,
        /// The record that it cites.
        about: Lsn,
        /// The words.
        text: Text,
    }
    /// The notification service took it.
    121 MessageDelivered {
        /// Its number.
        number: u64,
    }

    /// A file of another program was imported: what it claims follows in the same batch, and is believed by nobody yet.
    130 FileImported {
        /// BLAKE3 of its content; of a file with secrets, of its content without them.
        digest: [u8; 32],
        /// Its name, without the directory.
        name: Text,
        /// What it is.
        source: SourceKind,
        /// Its length.
        bytes: u64,
        /// The zone that its local times were read in.
        timezone: Text,
        /// Claims that follow.
        claims: u32,
        /// Doubts that follow.
        disputes: u32,
    }
    /// One thing that a file claims; nothing is traded because of it.
    131 ClaimImported {
        /// The file.
        digest: [u8; 32],
        /// The place in it.
        row: Text,
        /// What is claimed.
        claim: Claim,
    }
    /// A doubt about what a file claims. A limit that waits for an answer can be imported later, once.
    132 ClaimDisputed {
        /// The file.
        digest: [u8; 32],
        /// The place in it.
        row: Text,
        /// What is doubtful.
        kind: DisputeKind,
        /// About which instrument, by the venue's name; empty for none.
        instrument: Label,
        /// The figure that is claimed.
        claimed: crate::Fixed,
        /// The figure that stands against it.
        found: crate::Fixed,
        /// In words.
        detail: Text,
    }
    /// The first complete comparison since told what the venue makes of a file's claim of one instrument.
    133 ClaimChecked {
        /// The file.
        digest: [u8; 32],
        /// The instrument.
        instrument: InstrumentId,
        /// What the venue makes of it.
        verdict: ClaimVerdict,
        /// The sum of the file's lots.
        claimed: Quantity,
        /// What the venue holds of the base asset.
        venue: Quantity,
        /// What joined the position because of it.
        adopted: Quantity,
        /// The claimed stop, where it was taken over.
        stop: Option<Price>,
        /// The snapshot that it was compared with.
        snapshot: u64,
    }
}

impl Event {
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
}

/// Reads a body and builds the event where the caller wants it: a fact is as large as the largest of them, and moving
/// it from hand to hand would cost more than reading it.
#[inline(never)]
fn decode_event<T: bincode::Decode<()> + Into<Fact>>(
    head: &RecordHead,
    payload: &[u8],
) -> Result<Event, DecodeError> {
    let Some(actor) = Actor::from_number(head.actor) else {
        return Err(DecodeError::Body { kind: head.kind, what: alloc::format!("actor {}", head.actor) });
    };
    match wire::decode_body::<T>(head.kind, payload) {
        Ok(body) => Ok(Event { at: head.time, actor, cause: head.cause, fact: body.into() }),
        Err(e) => Err(e),
    }
}

#[cold]
fn unknown(kind: u16, version: u8) -> DecodeError {
    if Fact::KINDS.iter().any(|known| known.0 == kind) {
        DecodeError::Version { kind, version }
    } else {
        DecodeError::Kind(kind)
    }
}

/// The client order id of an intended order.
impl OrderIntended {
    /// Spells the id for the journal's installation.
    pub const fn client_id(&self, installation: u64) -> ClientOrderId {
        ClientOrderId { installation, run: self.run, order: self.order }
    }
}

impl TickSeen {
    /// The tick as the feed showed it.
    pub const fn tick(&self) -> crate::market::Tick {
        crate::market::Tick {
            feed: self.feed,
            cursor: self.cursor,
            instrument: self.instrument,
            at: self.time,
            bid: self.bid,
            ask: self.ask,
            last: self.last,
            bid_quantity: self.bid_quantity,
            ask_quantity: self.ask_quantity,
            path: self.path,
        }
    }
}

impl From<&crate::market::Tick> for TickSeen {
    fn from(t: &crate::market::Tick) -> TickSeen {
        TickSeen {
            feed: t.feed,
            cursor: t.cursor,
            instrument: t.instrument,
            time: t.at,
            bid: t.bid,
            ask: t.ask,
            last: t.last,
            bid_quantity: t.bid_quantity,
            ask_quantity: t.ask_quantity,
            path: t.path,
        }
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
