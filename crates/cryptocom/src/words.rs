//! The venue's words: closed sets in its documentation, open sets on the wire.
//!
//! A word that is not known is kept and never taken for a known one (reference, sections 7 to 12).

use crate::wire::words;
use aegis_model::ids::{DAY, SECOND};

words! {
    /// Seen from the account (section 7.1).
    pub enum Side {
        /// Pays quote, receives base.
        Buy = "BUY",
        /// Delivers base, receives quote.
        Sell = "SELL",
    }
}

words! {
    /// The `type` of an order (sections 7.1 and 8.1).
    pub enum OrderType {
        /// At a price or better.
        Limit = "LIMIT",
        /// At whatever the book shows.
        Market = "MARKET",
        /// Becomes a market order when the reference is at or past the trigger on the losing side.
        StopLoss = "STOP_LOSS",
        /// The same, becoming a limit order.
        StopLimit = "STOP_LIMIT",
        /// Becomes a market order on the winning side.
        TakeProfit = "TAKE_PROFIT",
        /// The same, becoming a limit order.
        TakeProfitLimit = "TAKE_PROFIT_LIMIT",
    }
}

impl OrderType {
    /// Whether it waits for a trigger: then it belongs to the advanced namespace (section 8).
    pub const fn is_trigger(self) -> bool {
        match self {
            OrderType::StopLoss
            | OrderType::StopLimit
            | OrderType::TakeProfit
            | OrderType::TakeProfitLimit => true,
            OrderType::Limit | OrderType::Market | OrderType::Unknown(_) => false,
        }
    }
}

words! {
    /// How long an order lives (section 7.1).
    pub enum TimeInForce {
        /// Until cancelled; the default.
        GoodTillCancel = "GOOD_TILL_CANCEL",
        /// What fills at once.
        ImmediateOrCancel = "IMMEDIATE_OR_CANCEL",
        /// All at once or nothing.
        FillOrKill = "FILL_OR_KILL",
    }
}

words! {
    /// Execution instructions (section 7.1).
    pub enum ExecInst {
        /// Rests or is refused with 43005.
        PostOnly = "POST_ONLY",
        /// Rests, at another price if need be.
        SmartPostOnly = "SMART_POST_ONLY",
        /// Derivatives.
        ReduceOnly = "REDUCE_ONLY",
        /// Isolated margin.
        IsolatedMargin = "ISOLATED_MARGIN",
        /// Seen in replies.
        MarginOrder = "MARGIN_ORDER",
        /// Seen in replies.
        Liquidation = "LIQUIDATION",
    }
}

words! {
    /// Where an order stands (section 9).
    pub enum OrderStatus {
        /// Queued, or waiting for its trigger.
        Pending = "PENDING",
        /// Taken, not yet working.
        New = "NEW",
        /// Working; partly filled when its cumulative quantity is above zero: there is no word for that.
        Active = "ACTIVE",
        /// All of it; terminal.
        Filled = "FILLED",
        /// Terminal; may have fills.
        Canceled = "CANCELED",
        /// Terminal.
        Rejected = "REJECTED",
        /// Terminal; may have fills.
        Expired = "EXPIRED",
    }
}

impl OrderStatus {
    /// Whether an order with this status has ended; `None` for an unknown word.
    pub const fn is_terminal(self) -> Option<bool> {
        match self {
            OrderStatus::Pending | OrderStatus::New | OrderStatus::Active => Some(false),
            OrderStatus::Filled | OrderStatus::Canceled | OrderStatus::Rejected | OrderStatus::Expired => {
                Some(true)
            }
            OrderStatus::Unknown(_) => None,
        }
    }
}

words! {
    /// What ties orders together (sections 7.2 and 8.3).
    pub enum ContingencyType {
        /// An independent batch.
        List = "LIST",
        /// One cancels the other.
        Oco = "OCO",
        /// One triggers the other.
        Oto = "OTO",
        /// One triggers two that cancel each other.
        Otoco = "OTOCO",
        /// Attached to a spot order.
        SpotAttach = "SPOT_ATTACH",
        /// Attached to a derivative order.
        DerivAttach = "DERIV_ATTACH",
    }
}

words! {
    /// The price that a trigger watches (section 8.1). The venue's default is the mark price.
    pub enum RefPriceType {
        /// Mark price; the only one inside lists.
        MarkPrice = "MARK_PRICE",
        /// Index price.
        IndexPrice = "INDEX_PRICE",
        /// Last trade.
        LastPrice = "LAST_PRICE",
        /// None: plain orders carry it in replies (section 10.1).
        Null = "NULL_VAL",
    }
}

words! {
    /// Spot or margin (section 7.1).
    pub enum SpotMargin {
        /// The default.
        Spot = "SPOT",
        /// Needs margin access, else 416.
        Margin = "MARGIN",
    }
}

words! {
    /// Which order self-trade prevention cancels (section 7.1).
    pub enum StpInst {
        /// The maker.
        Maker = "M",
        /// The taker.
        Taker = "T",
        /// Both.
        Both = "B",
    }
}

words! {
    /// Among whose orders self-trade prevention looks (section 7.1).
    pub enum StpScope {
        /// Master and sub-accounts.
        Master = "M",
        /// This sub-account.
        SubAccount = "S",
    }
}

words! {
    /// Our role in a trade (section 10.3).
    pub enum TakerSide {
        /// We rested.
        Maker = "MAKER",
        /// We took.
        Taker = "TAKER",
    }
}

words! {
    /// Why a ledger row exists (section 10.3).
    pub enum JournalType {
        /// A trade.
        Trading = "TRADING",
        /// Its fee.
        TradeFee = "TRADE_FEE",
        /// Coins left over a chain.
        OnchainWithdrawal = "ONCHAIN_WITHDRAWAL",
        /// Coins arrived over a chain.
        OnchainDeposit = "ONCHAIN_DEPOSIT",
        /// Funding of a perpetual.
        Funding = "FUNDING",
        /// Profit of a derivative.
        RealizedPnl = "REALIZED_PNL",
        /// Insurance fund.
        InsuranceFund = "INSURANCE_FUND",
        /// Socialised loss.
        SocializedLoss = "SOCIALIZED_LOSS",
        /// Liquidation fee.
        LiquidationFee = "LIQUIDATION_FEE",
        /// Session reset.
        SessionReset = "SESSION_RESET",
        /// Adjustment.
        Adjustment = "ADJUSTMENT",
        /// Session settlement.
        SessionSettle = "SESSION_SETTLE",
        /// Uncovered loss.
        UncoveredLoss = "UNCOVERED_LOSS",
        /// Adjustment by the venue's staff.
        AdminAdjustment = "ADMIN_ADJUSTMENT",
        /// Delisting.
        Delist = "DELIST",
        /// Settlement fee.
        SettlementFee = "SETTLEMENT_FEE",
        /// Conversion by the venue.
        AutoConversion = "AUTO_CONVERSION",
        /// Conversion by the user.
        ManualConversion = "MANUAL_CONVERSION",
        /// Between sub-accounts.
        SubaccountTx = "SUBACCOUNT_TX",
        /// A fiat withdrawal that was cancelled.
        FiatWithdrawalCancel = "FIAT_WITHDRAWAL_CANCEL",
        /// Interest on margin.
        MarginTradeInterest = "MARGIN_TRADE_INTEREST",
    }
}

impl JournalType {
    /// Whether such a row explains a balance change that no trade explains. Unknown words do: a row nobody can name
    /// must not be taken for a trade.
    pub const fn is_flow(self) -> bool {
        !matches!(self, JournalType::Trading | JournalType::TradeFee)
    }
}

words! {
    /// Which orders a mass cancel takes (sections 7.4 and 8.2).
    pub enum CancelScope {
        /// Limit orders.
        Limit = "LIMIT",
        /// Trigger orders.
        Trigger = "TRIGGER",
        /// All.
        All = "ALL",
    }
}

words! {
    /// The kind of an instrument (section 5).
    pub enum InstrumentType {
        /// Spot.
        CcyPair = "CCY_PAIR",
        /// Perpetual.
        PerpetualSwap = "PERPETUAL_SWAP",
        /// Dated.
        Future = "FUTURE",
        /// Warrant.
        Warrant = "WARRANT",
    }
}

words! {
    /// Candle intervals, new and old spellings (section 6).
    pub enum Timeframe {
        /// A minute.
        M1 = "1m",
        /// Five minutes.
        M5 = "5m",
        /// A quarter of an hour.
        M15 = "15m",
        /// Half an hour.
        M30 = "30m",
        /// An hour.
        H1 = "1h",
        /// Two hours.
        H2 = "2h",
        /// Four hours.
        H4 = "4h",
        /// Six hours.
        H6 = "6h",
        /// Half a day.
        H12 = "12h",
        /// A day.
        D1 = "1D",
        /// A week.
        D7 = "7D",
        /// Two weeks.
        D14 = "14D",
        /// A month.
        Month = "1M",
        /// Old spelling.
        OldM1 = "M1",
        /// Old spelling.
        OldM5 = "M5",
        /// Old spelling.
        OldM15 = "M15",
        /// Old spelling.
        OldM30 = "M30",
        /// Old spelling.
        OldH1 = "H1",
        /// Old spelling.
        OldH2 = "H2",
        /// Old spelling.
        OldH4 = "H4",
        /// Old spelling.
        OldH12 = "H12",
        /// Old spelling.
        OldD1 = "D1",
        /// Seen from clients.
        LowerD1 = "1d",
        /// Old spelling.
        OldD7 = "D7",
        /// Old spelling.
        OldD14 = "D14",
    }
}

impl Timeframe {
    /// Its length, ns; `None` for the month, which has none, and for unknown words.
    pub const fn interval_ns(self) -> Option<i64> {
        const MINUTE: i64 = 60 * SECOND;
        const HOUR: i64 = 60 * MINUTE;
        match self {
            Timeframe::M1 | Timeframe::OldM1 => Some(MINUTE),
            Timeframe::M5 | Timeframe::OldM5 => Some(5 * MINUTE),
            Timeframe::M15 | Timeframe::OldM15 => Some(15 * MINUTE),
            Timeframe::M30 | Timeframe::OldM30 => Some(30 * MINUTE),
            Timeframe::H1 | Timeframe::OldH1 => Some(HOUR),
            Timeframe::H2 | Timeframe::OldH2 => Some(2 * HOUR),
            Timeframe::H4 | Timeframe::OldH4 => Some(4 * HOUR),
            Timeframe::H6 => Some(6 * HOUR),
            Timeframe::H12 | Timeframe::OldH12 => Some(12 * HOUR),
            Timeframe::D1 | Timeframe::OldD1 | Timeframe::LowerD1 => Some(DAY),
            Timeframe::D7 | Timeframe::OldD7 => Some(7 * DAY),
            Timeframe::D14 | Timeframe::OldD14 => Some(14 * DAY),
            Timeframe::Month | Timeframe::Unknown(_) => None,
        }
    }
}

words! {
    /// How a book channel sends (section 12.4).
    pub enum BookSubscription {
        /// A full book every 500 ms.
        Snapshot = "SNAPSHOT",
        /// A full book, then changes.
        SnapshotAndUpdate = "SNAPSHOT_AND_UPDATE",
    }
}

words! {
    /// What `set-cancel-on-disconnect` covers (section 12.5).
    pub enum DisconnectScope {
        /// The orders made on this connection.
        Connection = "CONNECTION",
    }
}
