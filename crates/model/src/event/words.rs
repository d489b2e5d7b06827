//! The small enums of the engine's facts. Their numbers are stored and never change their meaning.

use crate::wire::byte_enum;

byte_enum! {
    /// Where a signal points.
    pub enum Direction {
        /// Buy.
        Up = 1,
        /// Sell what is held.
        Down = 2,
        /// Nothing.
        Neutral = 3,
    }
}

byte_enum! {
    /// How a fill became known.
    pub enum FillSource {
        /// A report of the order.
        Report = 1,
        /// A lookup of the order.
        Lookup = 2,
        /// A listing of trades.
        Listing = 3,
        /// A trade in our account that no order of ours made.
        External = 4,
    }
}

byte_enum! {
    /// Which gate refused an entry.
    pub enum Refusal {
        /// Trading is halted.
        TradingHalted = 1,
        /// An outcome on the instrument is unknown.
        UnknownOutcome = 2,
        /// A position is open there.
        PositionOpen = 3,
        /// An order or intent is live there.
        OrderWorking = 4,
        /// As many positions as allowed are open, working or unknown.
        TooManyPositions = 5,
        /// Opposite signals are too close.
        SignalsDisagree = 6,
        /// Confidence below the minimum.
        ConfidenceLow = 7,
        /// The balance snapshot is too old or the query failed.
        BalanceStale = 8,
        /// Too small after fee, at the stop price or by tick.
        BelowMinimum = 9,
        /// No fresh price.
        PriceStale = 10,
        /// The price is too far from the last fresh tick.
        PriceFar = 11,
        /// The day's loss with this entry's risk would exceed the limit.
        DailyLoss = 12,
        /// A pause rule holds.
        Paused = 13,
        /// The instrument waits for a person.
        InstrumentBlocked = 14,
        /// The signal's horizon has ended.
        SignalExpired = 15,
        /// Less available than the order needs.
        InsufficientBalance = 16,
        /// A figure that the gate needs is missing.
        InputMissing = 17,
        /// The venue takes no orders for it.
        NotTradable = 18,
        /// The journal has only its reserve left.
        JournalReserve = 19,
        /// The wish itself is impossible: quantity, price or tick.
        BadRequest = 20,
        /// An instrument that is not listed.
        UnknownInstrument = 21,
        /// An alarm blocks it.
        AlarmStanding = 22,
        /// A gap in the journal was not accepted yet.
        GapOpen = 23,
        /// Too few candles for the plan.
        TooFewCandles = 24,
        /// No complete comparison with the venue since the opening.
        NotReconciled = 25,
        /// A sell of this instrument waits for its buys.
        SellWaiting = 26,
        /// The process is stopping.
        Stopping = 27,
    }
}

byte_enum! {
    /// What a correction changed.
    pub enum CorrectionKind {
        /// The venue has less and nothing explains it.
        Missing = 1,
        /// A holding was adopted at a stated average.
        Adopted = 2,
        /// The cost was corrected to a stated average.
        Cost = 3,
    }
}

byte_enum! {
    /// Which rule paused entries.
    pub enum PauseRule {
        /// The day's loss reached its limit.
        DailyLoss = 1,
        /// Too many stop-outs within the window.
        StopOuts = 2,
        /// The mean change over 24 hours is below its limit.
        MarketFell = 3,
        /// The leading instrument fell too far within the hour.
        LeaderFell = 4,
    }
}

byte_enum! {
    /// Standing conditions.
    pub enum AlarmKind {
        /// A position's reference price is missing or stale.
        Blind = 1,
        /// A holding has no live protection.
        Unprotected = 2,
        /// An exit keeps failing.
        ExitFailing = 3,
        /// A position is below the minimum that can be sold.
        Unsellable = 4,
        /// An order's outcome stays unknown.
        UnknownOutcome = 5,
        /// The venue does not answer a query that is needed.
        VenueUnanswered = 6,
        /// Fold and venue differ.
        Drift = 7,
        /// A holding is quarantined.
        Quarantine = 8,
        /// The next segment cannot be made.
        JournalReserve = 9,
        /// Acknowledged records are lost.
        JournalGap = 10,
        /// More was filled than ordered.
        Overfill = 11,
        /// A fee far above the account's rate.
        FeeHigh = 12,
        /// A sell found too little.
        SellWaiting = 13,
        /// A client order id of ours that this journal never intended.
        ForeignIntent = 14,
        /// A fee is not known yet.
        FeeUnknown = 15,
        /// No stop rests at the venue where one should: only the engine guards the position.
        VenueStopMissing = 16,
        /// Records take too long to become durable.
        DiskSlow = 17,
    }
}

byte_enum! {
    /// What an alarm blocks.
    pub enum Blocks {
        /// Nothing.
        Nothing = 1,
        /// Entries in its instrument.
        InstrumentEntries = 2,
        /// All entries.
        AllEntries = 3,
    }
}

byte_enum! {
    /// What contradicted what is known.
    pub enum AnomalyKind {
        /// A repeated trade id with other numbers; the first stands.
        FillMismatch = 1,
        /// More filled than ordered.
        Overfill = 2,
        /// Older than the bounded memory of ended orders.
        FillBeyondMemory = 3,
        /// Older than the last complete walk of trades.
        FillBeforeWalk = 4,
        /// A cumulative quantity lower than known.
        CumulativeFell = 5,
        /// A report that contradicts itself.
        Contradiction = 6,
        /// Client id and venue id name different orders.
        IdsDisagree = 7,
        /// An instrument that is not loaded.
        InstrumentUnknown = 8,
        /// A sum beyond the range of numbers.
        Overflow = 9,
        /// A report about an order that this journal does not know.
        OrderUnknown = 10,
        /// An event that its state does not allow.
        OutOfOrder = 11,
        /// More was sold than was held.
        Oversold = 12,
        /// A report that would open an ended order again.
        EndedReported = 13,
        /// A fill without a usable price or quantity.
        BadFill = 14,
        /// The answer to a write was lost or proved nothing, after other news had told how its order ended.
        ReplyLost = 15,
        /// The venue told the same news again.
        NewsRepeated = 16,
        /// The venue told news after newer news of the same order.
        NewsOutOfOrder = 17,
        /// The venue spelled something otherwise than documented; it was understood.
        NewsRespelled = 18,
        /// The venue named something that nobody knows; the rest was understood.
        NewsUnknown = 19,
        /// Part of an answer or of news could not be read; everything is compared anew.
        NewsUnreadable = 20,
        /// Signs of life of a connection did not come.
        HeartbeatMissed = 21,
        /// The venue had seen a client order id before it was first sent.
        IdTaken = 22,
        /// An open order in the account that is none of ours; it is left alone.
        ForeignOrder = 23,
    }
}
