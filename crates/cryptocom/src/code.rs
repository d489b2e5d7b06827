//! The error table: every code that the venue is known to answer, what it means and what it proves.
//!
//! One row a code, one exhaustive match. A code that is not here proves nothing: of a write its class is U. The
//! source is section 13.1 of the reference, the HTTP status that of the vendor's table; nothing branches on it.

use crate::request::{Effect, Method};

/// What a code proves about the request that it answers (section 13.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// The request succeeded; of a create: it was queued, which is not an acceptance.
    Success,
    /// F: refused, nothing exists. The request is wrong; the same again is refused again.
    Refused,
    /// B: refused, nothing exists. Later, with the same client order id.
    Later,
    /// E: refused by the engine after an order id was assigned: an ended order exists, its client order id is burnt.
    Ended,
    /// X: a part may have been executed. Read the order.
    Partial,
    /// U: unknown. Reconcile before anything else (section 14.3).
    Unknown,
    /// A: key, account or rights. Stop trading, alarm.
    Access,
    /// 204: an earlier order has this client order id. After a lost answer that is proof of arrival.
    Exists,
    /// The order named is unknown, ended, or not there yet. Look it up; absence is not proven.
    LookUp,
    /// Not about orders.
    Aside,
}

impl Class {
    /// The letter of the reference's table; the last four have none.
    pub const fn letter(self) -> Option<char> {
        match self {
            Class::Refused => Some('F'),
            Class::Later => Some('B'),
            Class::Ended => Some('E'),
            Class::Partial => Some('X'),
            Class::Unknown => Some('U'),
            Class::Access => Some('A'),
            Class::Success | Class::Exists | Class::LookUp | Class::Aside => None,
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The number on the wire.
    pub number: i64,
    /// The vendor's name.
    pub name: &'static str,
    /// The HTTP status that it comes with; none where no source states one.
    pub http: Option<u16>,
    /// What it proves.
    pub class: Class,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($(#[doc = $meaning:literal] $variant:ident = $number:literal $name:literal $http:tt $class:ident;)+) => {
        /// A known code.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code { $(#[doc = $meaning] $variant,)+ }

        impl Code {
            /// Every known code, in the order of its number.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)+];

            /// The code with this number.
            pub const fn from_number(number: i64) -> Option<Code> {
                match number {
                    $($number => Some(Code::$variant),)+
                    _ => None,
                }
            }

            /// Its row.
            pub const fn row(self) -> Row {
                match self {
                    $(Code::$variant => Row {
                        number: $number,
                        name: $name,
                        http: codes!(@http $http),
                        class: Class::$class,
                        meaning: $meaning,
                    },)+
                }
            }
        }
    };
    (@http -) => { None };
    (@http $http:literal) => { Some($http) };
}

codes! {
    #[doc = "Queued; an id is assigned. Not an acceptance."]
    Success = 0 "SUCCESS" 200 Success;
    #[doc = "No position. Derivatives."]
    NoPosition = 201 "NO_POSITION" 500 Refused;
    #[doc = "The account is suspended."]
    AccountIsSuspended = 202 "ACCOUNT_IS_SUSPENDED" 400 Access;
    #[doc = "Accounts do not match."]
    AccountsDoNotMatch = 203 "ACCOUNTS_DO_NOT_MATCH" 500 Refused;
    #[doc = "The client order id was used before: the earlier order exists. On a first attempt a collision: alarm."]
    DuplicateClordid = 204 "DUPLICATE_CLORDID" 400 Exists;
    #[doc = "Duplicate order id."]
    DuplicateOrderid = 205 "DUPLICATE_ORDERID" 500 Refused;
    #[doc = "The instrument has expired."]
    InstrumentExpired = 206 "INSTRUMENT_EXPIRED" 500 Refused;
    #[doc = "No mark price now."]
    NoMarkPrice = 207 "NO_MARK_PRICE" 400 Later;
    #[doc = "The instrument is not tradable: pause it."]
    InstrumentNotTradable = 208 "INSTRUMENT_NOT_TRADABLE" 400 Refused;
    #[doc = "No such instrument."]
    InvalidInstrument = 209 "INVALID_INSTRUMENT" 400 Refused;
    #[doc = "Invalid account."]
    InvalidAccount = 210 "INVALID_ACCOUNT" 500 Refused;
    #[doc = "Invalid currency."]
    InvalidCurrency = 211 "INVALID_CURRENCY" 500 Refused;
    #[doc = "A cancel or change of an unknown or ended order: look it up."]
    InvalidOrderid = 212 "INVALID_ORDERID" 500 LookUp;
    #[doc = "The quantity is no multiple of its tick."]
    InvalidOrderqty = 213 "INVALID_ORDERQTY" 400 Refused;
    #[doc = "Invalid settlement currency."]
    InvalidSettleCurrency = 214 "INVALID_SETTLE_CURRENCY" 500 Refused;
    #[doc = "The currency cannot pay this fee."]
    InvalidFeeCurrency = 215 "INVALID_FEE_CURRENCY" 500 Refused;
    #[doc = "Invalid position quantity."]
    InvalidPositionQty = 216 "INVALID_POSITION_QTY" 500 Refused;
    #[doc = "Invalid open quantity."]
    InvalidOpenQty = 217 "INVALID_OPEN_QTY" 500 Refused;
    #[doc = "Bad order type."]
    InvalidOrdtype = 218 "INVALID_ORDTYPE" 400 Refused;
    #[doc = "Bad execution instruction."]
    InvalidExecinst = 219 "INVALID_EXECINST" 500 Refused;
    #[doc = "Bad side."]
    InvalidSide = 220 "INVALID_SIDE" 400 Refused;
    #[doc = "Bad time in force."]
    InvalidTif = 221 "INVALID_TIF" 400 Refused;
    #[doc = "The mark price is stale now."]
    StaleMarkPrice = 222 "STALE_MARK_PRICE" 400 Later;
    #[doc = "No client order id."]
    NoClordid = 223 "NO_CLORDID" 400 Refused;
    #[doc = "Rejected by the matching engine."]
    RejByMatchingEngine = 224 "REJ_BY_MATCHING_ENGINE" 400 Ended;
    #[doc = "Above the leverage at entry. Not spot."]
    ExceedMaximumEntryLeverage = 225 "EXCEED_MAXIMUM_ENTRY_LEVERAGE" 400 Refused;
    #[doc = "Invalid leverage. Not spot."]
    InvalidLeverage = 226 "INVALID_LEVERAGE" 400 Refused;
    #[doc = "Invalid slippage. Not spot."]
    InvalidSlippage = 227 "INVALID_SLIPPAGE" 400 Refused;
    #[doc = "Invalid floor price. Not spot."]
    InvalidFloorPrice = 228 "INVALID_FLOOR_PRICE" 400 Refused;
    #[doc = "Bad trigger price, or not sent as a string."]
    InvalidRefPrice = 229 "INVALID_REF_PRICE" 400 Refused;
    #[doc = "Bad kind of trigger price."]
    InvalidRefPriceType = 230 "INVALID_REF_PRICE_TYPE" 400 Refused;
    #[doc = "The account is in a margin call."]
    AccountIsInMarginCall = 301 "ACCOUNT_IS_IN_MARGIN_CALL" 500 Ended;
    #[doc = "Above the account's risk limit."]
    ExceedsAccountRiskLimit = 302 "EXCEEDS_ACCOUNT_RISK_LIMIT" 500 Ended;
    #[doc = "Above the position's risk limit."]
    ExceedsPositionRiskLimit = 303 "EXCEEDS_POSITION_RISK_LIMIT" 500 Ended;
    #[doc = "Would be liquidated at once."]
    OrderWillLeadToImmediateLiquidation = 304 "ORDER_WILL_LEAD_TO_IMMEDIATE_LIQUIDATION" 500 Ended;
    #[doc = "Would trigger a margin call."]
    OrderWillTriggerMarginCall = 305 "ORDER_WILL_TRIGGER_MARGIN_CALL" 500 Ended;
    #[doc = "Not enough available balance; recorded with a result."]
    InsufficientAvailableBalance = 306 "INSUFFICIENT_AVAILABLE_BALANCE" 500 Ended;
    #[doc = "The order's status does not allow it: look it up."]
    InvalidOrdstatus = 307 "INVALID_ORDSTATUS" 500 LookUp;
    #[doc = "The price is no multiple of its tick, or not sent as a string."]
    InvalidPrice = 308 "INVALID_PRICE" 400 Refused;
    #[doc = "The market is not open."]
    MarketIsNotOpen = 309 "MARKET_IS_NOT_OPEN" 500 Later;
    #[doc = "Beyond the liquidation price. Not spot."]
    OrderPriceBeyondLiquidationPrice = 310 "ORDER_PRICE_BEYOND_LIQUIDATION_PRICE" 500 Refused;
    #[doc = "The position is in liquidation. Not spot."]
    PositionIsInLiquidation = 311 "POSITION_IS_IN_LIQUIDATION" 500 Refused;
    #[doc = "Above the price band: price again."]
    OrderPriceGreaterThanLimitupprice = 312 "ORDER_PRICE_GREATER_THAN_LIMITUPPRICE" 500 Ended;
    #[doc = "Below the price band: price again."]
    OrderPriceLessThanLimitdownprice = 313 "ORDER_PRICE_LESS_THAN_LIMITDOWNPRICE" 500 Ended;
    #[doc = "Above the largest order; recorded with a result."]
    ExceedsMaxOrderSize = 314 "EXCEEDS_MAX_ORDER_SIZE" 400 Ended;
    #[doc = "Too far from the market; recorded with a result. Clients disagree on it: always look the order up."]
    FarAwayLimitPrice = 315 "FAR_AWAY_LIMIT_PRICE" 400 Ended;
    #[doc = "No active order: look it up."]
    NoActiveOrder = 316 "NO_ACTIVE_ORDER" 500 LookUp;
    #[doc = "The position does not exist. Not spot."]
    PositionNoExist = 317 "POSITION_NO_EXIST" 500 Refused;
    #[doc = "200 open orders of an instrument or 1000 of all."]
    ExceedsMaxAllowedOrders = 318 "EXCEEDS_MAX_ALLOWED_ORDERS" 400 Later;
    #[doc = "Above the largest position. Not spot."]
    ExceedsMaxPositionSize = 319 "EXCEEDS_MAX_POSITION_SIZE" 400 Refused;
    #[doc = "Above the initial margin. Not spot."]
    ExceedsInitialMargin = 320 "EXCEEDS_INITIAL_MARGIN" 500 Refused;
    #[doc = "Above the available balance."]
    ExceedsMaxAvailableBalance = 321 "EXCEEDS_MAX_AVAILABLE_BALANCE" 500 Ended;
    #[doc = "Above the day's volume; recorded, not in the vendor's table."]
    ExceedDailyVolLimit = 325 "EXCEED_DAILY_VOL_LIMIT" - Ended;
    #[doc = "The account does not exist."]
    AccountDoesNotExist = 401 "ACCOUNT_DOES_NOT_EXIST" 400 Access;
    #[doc = "The account is not active."]
    AccountIsNotActive = 406 "ACCOUNT_IS_NOT_ACTIVE" 500 Access;
    #[doc = "The margin unit does not exist."]
    MarginUnitDoesNotExist = 407 "MARGIN_UNIT_DOES_NOT_EXIST" 500 Access;
    #[doc = "The margin unit is suspended; not an HTTP 408."]
    MarginUnitIsSuspended = 408 "MARGIN_UNIT_IS_SUSPENDED" 400 Access;
    #[doc = "Invalid user."]
    InvalidUser = 409 "INVALID_USER" 500 Access;
    #[doc = "The user is not active."]
    UserIsNotActive = 410 "USER_IS_NOT_ACTIVE" 500 Access;
    #[doc = "The user may not trade derivatives."]
    UserNoDerivAccess = 411 "USER_NO_DERIV_ACCESS" 500 Access;
    #[doc = "The account may not trade derivatives."]
    AccountNoDerivAccess = 412 "ACCOUNT_NO_DERIV_ACCESS" 500 Access;
    #[doc = "Below the least notional; recorded with a result."]
    BelowMinOrderSize = 415 "BELOW_MIN_ORDER_SIZE" 500 Ended;
    #[doc = "The user may not trade on margin."]
    UserNoMarginAccess = 416 "USER_NO_MARGIN_ACCESS" 400 Refused;
    #[doc = "Above the effective leverage. Not spot."]
    ExceedMaximumEffectiveLeverage = 501 "EXCEED_MAXIMUM_EFFECTIVE_LEVERAGE" 500 Refused;
    #[doc = "Invalid collateral price. Not spot."]
    InvalidCollateralPrice = 604 "INVALID_COLLATERAL_PRICE" 500 Refused;
    #[doc = "Invalid margin calculation. Not spot."]
    InvalidMarginCalc = 605 "INVALID_MARGIN_CALC" 500 Refused;
    #[doc = "Above the allowed slippage. Not spot."]
    ExceedAllowedSlippage = 606 "EXCEED_ALLOWED_SLIPPAGE" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    InvalidIsolationId = 613 "INVALID_ISOLATION_ID" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    ExceedsIsolatedPositionLimit = 614 "EXCEEDS_ISOLATED_POSITION_LIMIT" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    AccountDoesNotSupportIsolatedPosition = 615 "ACCOUNT_DOES_NOT_SUPPORT_ISOLATED_POSITION" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    CreateIsolatedPositionFailed = 616 "CREATE_ISOLATED_POSITION_FAILED" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    DuplicatedInstrumentOrderForIsolatedMargin = 617 "DUPLICATED_INSTRUMENT_ORDER_FOR_ISOLATED_MARGIN" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    TooManyPendingIsolatedMarginRequests = 618 "TOO_MANY_PENDING_ISOLATED_MARGIN_REQUESTS" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    UnsupportedOperationOnIsolatedPosition = 619 "UNSUPPORTED_OPERATION_ON_ISOLATED_POSITION" 500 Refused;
    #[doc = "Isolated margin. Not spot."]
    CreateIsolatedPositionTimeout = 620 "CREATE_ISOLATED_POSITION_TIMEOUT" 500 Refused;
    #[doc = "Reduce-only was rejected. Not spot."]
    ReduceOnlyRejected = 1110 "REDUCE_ONLY_REJECTED" 400 Ended;
    #[doc = "The amount is too large."]
    MaxAmountViolated = 30024 "MAX_AMOUNT_VIOLATED" 400 Refused;
    #[doc = "A mistake in the client."]
    BadRequest = 40001 "BAD_REQUEST" 400 Refused;
    #[doc = "No such method."]
    MethodNotFound = 40002 "METHOD_NOT_FOUND" 400 Refused;
    #[doc = "A mistake in the client, such as a limit sent as a string or a GET to a private method."]
    InvalidRequest = 40003 "INVALID_REQUEST" 400 Refused;
    #[doc = "A parameter is missing or invalid."]
    MissingOrInvalidArgument = 40004 "MISSING_OR_INVALID_ARGUMENT" 400 Refused;
    #[doc = "Invalid date."]
    InvalidDate = 40005 "INVALID_DATE" 400 Refused;
    #[doc = "Duplicate request; nobody documents when: reconcile."]
    DuplicateRequest = 40006 "DUPLICATE_REQUEST" 400 Unknown;
    #[doc = "Key or signature; also a quantity sent as a number."]
    Unauthorized = 40101 "UNAUTHORIZED" 401 Access;
    #[doc = "The nonce is more than 60 s off: mend the clock, then the same client order id with a new nonce."]
    InvalidNonce = 40102 "INVALID_NONCE" 400 Later;
    #[doc = "The address is not allowed."]
    IpIllegal = 40103 "IP_ILLEGAL" 401 Access;
    #[doc = "The user's tier does not allow it."]
    UserTierInvalid = 40104 "USER_TIER_INVALID" 401 Access;
    #[doc = "More than 400 subscriptions on a connection."]
    ExceedMaxSubscriptions = 40107 "EXCEED_MAX_SUBSCRIPTIONS" 400 Aside;
    #[doc = "Not found; shortly after a create no proof of absence."]
    NotFound = 40401 "NOT_FOUND" 200 LookUp;
    #[doc = "The venue gave up waiting: nothing is known."]
    RequestTimeout = 40801 "REQUEST_TIMEOUT" 408 Unknown;
    #[doc = "Too many requests; not processed."]
    TooManyRequests = 42901 "TOO_MANY_REQUESTS" 429 Later;
    #[doc = "Fill or kill: nothing filled."]
    FillOrKill = 43003 "FILL_OR_KILL" 500 Ended;
    #[doc = "The remainder was killed; a part may have filled."]
    ImmediateOrCancel = 43004 "IMMEDIATE_OR_CANCEL" 500 Partial;
    #[doc = "Post-only would have taken."]
    PostOnlyRej = 43005 "POST_ONLY_REJ" 500 Ended;
    #[doc = "Self-trade prevention; seen as the reason of a cancel."]
    SelfTradePrevention = 43012 "SELF_TRADE_PREVENTION" 200 Partial;
    #[doc = "Internal error; also a notional sent as a number, a bad spot_margin, a POST to a public method."]
    ErrInternal = 50001 "ERR_INTERNAL" 400 Unknown;
    #[doc = "Advanced namespace: invalid price. Elsewhere the number means DW_CREDIT_LINE_NOT_MAINTAINED (section 8.1)."]
    AdvancedInvalidPrice = 50002 "INVALID_PRICE" - Refused;
    #[doc = "Advanced namespace: the trigger is on the wrong side of the market."]
    InvalidTriggerPrice = 50007 "INVALID_TRIGGER_PRICE" - Refused;
    #[doc = "Advanced namespace: the parameters do not fit together."]
    InvalidOrderParameters = 50010 "INVALID_ORDER_PARAMETERS" - Refused;
    #[doc = "Rejected."]
    Rejected = 120009 "REJECTED" 500 Ended;
    #[doc = "Not applicable."]
    NonApplicable = 130008 "NON_APPLICABLE" 500 Ended;
    #[doc = "The method moved to the advanced namespace."]
    ApiDisabled = 140001 "API_DISABLED" 400 Refused;
    #[doc = "Maintenance; of a write nothing is known."]
    SystemMaintenance = 9010001 "SYSTEM_MAINTENANCE" - Later;
}

impl Code {
    /// The status that a server answers with; 400 where no source states one.
    pub const fn status(self) -> u16 {
        match self.row().http {
            Some(status) => status,
            None => 400,
        }
    }
}

/// What a code proves, for the method that it answers. An unknown code proves nothing (U), maintenance nothing about
/// a write, and the advanced namespace's own codes mean something else, and so nothing, outside it.
pub const fn class_of(number: i64, effect: Effect, advanced: bool) -> Class {
    let Some(code) = Code::from_number(number) else { return Class::Unknown };
    match (code, effect) {
        (Code::SystemMaintenance, Effect::Write) => Class::Unknown,
        (Code::AdvancedInvalidPrice | Code::InvalidTriggerPrice | Code::InvalidOrderParameters, _)
            if !advanced =>
        {
            Class::Unknown
        }
        (code, _) => code.row().class,
    }
}

/// [`class_of`] for a method.
pub fn class_for(number: i64, method: Method) -> Class {
    class_of(number, method.effect(), method.is_advanced())
}

#[cfg(test)]
mod tests;
