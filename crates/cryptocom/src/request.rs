//! What is asked of the venue: every method with its parameters, and the bytes that carry it.
//!
//! The one table below names each method, its parameters, its door and what it does. A client writes a [`Request`];
//! a server reads the same type ([`crate::server`]). It never sends anything; ids and nonces are arguments.

use crate::budget::Rate;
use crate::json::Value;
use crate::sign::Signer;
use crate::wire::{Fault, Limit, Manner, Misfit, Ms, Ns, Wire, members};
use crate::words::{
    BookSubscription, CancelScope, ContingencyType, DisconnectScope, ExecInst, JournalType, OrderType,
    RefPriceType, Side, SpotMargin, StpInst, StpScope, TimeInForce, Timeframe,
};
use crate::write::{Integers, Json, Sink};
use aegis_model::{Label, Money, Price, Quantity, VenueOrderId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The id in answers to requests without one, and in live pushes (sections 2 and 12.1).
pub const NO_ID: i64 = -1;
/// Orders of one list at most, 1 to 10; an eleventh is 40004 (section 4).
pub const LIST_MAX: usize = 10;
/// Rows of one page of a history, default and most (section 10.3).
pub const PAGE_MAX: u32 = 100;
/// Candles and trades of one public answer at most (section 6).
pub const CANDLES_MAX: u32 = 300;
/// See [`CANDLES_MAX`].
pub const PUBLIC_TRADES_MAX: u32 = 150;

/// No parameters; any that are sent are ignored, as the venue does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NoParams;

impl Wire for NoParams {
    fn put(&self, out: &mut dyn Sink) {
        out.open_object();
        out.close_object();
    }

    fn read(value: &Value<'_>, _: Manner) -> Result<NoParams, Misfit> {
        match value {
            Value::Object(_) => Ok(NoParams),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Array(_) => {
                Err(Misfit::new(Fault::Type))
            }
        }
    }
}

members! {
    /// An order of the plain namespace (section 7.1): `LIMIT` and `MARKET` only since 2025-12-17.
    pub struct CreateOrder {
        /// Ignored by the venue; some clients send one.
        broker_id: Option<String> = "broker_id",
        /// Our durable key; without one the venue takes the nonce, so always given (section 14.1).
        client_oid: Option<Label> = "client_oid",
        /// Post-only and the like; not sent when there are none.
        exec_inst: Option<Vec<ExecInst>> = "exec_inst",
        /// The currency that pays the fee (section 11.1).
        fee_instrument_name: Option<Label> = "fee_instrument_name",
        /// Which, such as `BTC_USDT`.
        instrument_name: Label = "instrument_name",
        /// Quote units to spend, on a market buy without quantity. The engine never sends it.
        notional: Option<Money> = "notional",
        /// The limit; ignored on a market order.
        price: Option<Price> = "price",
        /// Base units.
        quantity: Option<Quantity> = "quantity",
        /// Only of trigger types, which this method refuses today (140001) and took once.
        ref_price: Option<Price> = "ref_price",
        /// Buy or sell.
        side: Side = "side",
        /// Spot by default.
        spot_margin: Option<SpotMargin> = "spot_margin",
        /// `"0"` to `"32767"`.
        stp_id: Option<Label> = "stp_id",
        /// Must be there when a scope is.
        stp_inst: Option<StpInst> = "stp_inst",
        /// Among whose orders self-trades are prevented.
        stp_scope: Option<StpScope> = "stp_scope",
        /// Good till cancelled by default.
        time_in_force: Option<TimeInForce> = "time_in_force",
        /// Always sent: an absent type has ended as a market order.
        order_type: OrderType = "type",
    }
}

members! {
    /// An order that waits for a trigger, or a leg of a list (sections 8.1 and 8.2).
    pub struct TriggerOrder {
        /// An existing order to attach to.
        attach_order_id: Option<VenueOrderId> = "attach_order_id",
        /// Our durable key.
        client_oid: Option<Label> = "client_oid",
        /// See [`CreateOrder::exec_inst`].
        exec_inst: Option<Vec<ExecInst>> = "exec_inst",
        /// See [`CreateOrder::fee_instrument_name`].
        fee_instrument_name: Option<Label> = "fee_instrument_name",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// Documented for legs of lists.
        notional: Option<Money> = "notional",
        /// The limit of the limit types.
        price: Option<Price> = "price",
        /// Base units.
        quantity: Quantity = "quantity",
        /// The trigger. A trigger type needs it; a plain leg has none.
        ref_price: Option<Price> = "ref_price",
        /// What is watched: the **mark price** by default, not the last trade.
        ref_price_type: Option<RefPriceType> = "ref_price_type",
        /// Buy or sell.
        side: Side = "side",
        /// Documented for legs of lists.
        spot_margin: Option<SpotMargin> = "spot_margin",
        /// See [`CreateOrder::stp_id`].
        stp_id: Option<Label> = "stp_id",
        /// See [`CreateOrder::stp_inst`].
        stp_inst: Option<StpInst> = "stp_inst",
        /// See [`CreateOrder::stp_scope`].
        stp_scope: Option<StpScope> = "stp_scope",
        /// Of the limit types.
        time_in_force: Option<TimeInForce> = "time_in_force",
        /// A trigger type; in lists also `LIMIT`.
        order_type: OrderType = "type",
    }
}

members! {
    /// An order by the venue's id or by ours; one of both must be there, else 40004 (sections 7.4, 8.3, 10.2).
    pub struct OrderKey {
        /// Ours.
        client_oid: Option<Label> = "client_oid",
        /// The venue's; it wins.
        order_id: Option<VenueOrderId> = "order_id",
    }
}

impl OrderKey {
    /// By our id.
    pub fn of_client(client_oid: Label) -> OrderKey {
        OrderKey { client_oid: Some(client_oid), order_id: None }
    }
}

members! {
    /// A member of `cancel-order-list` (section 7.4).
    pub struct CancelEntry {
        /// Ours.
        client_oid: Option<Label> = "client_oid",
        /// Which instrument; the advanced call does not need it.
        instrument_name: Option<Label> = "instrument_name",
        /// The venue's.
        order_id: Option<VenueOrderId> = "order_id",
    }
}

members! {
    /// Several independent plain orders; not atomic (section 7.2).
    pub struct CreateOrderList {
        /// `LIST`; `OCO` here is 140001.
        contingency_type: ContingencyType = "contingency_type",
        /// 1 to 10.
        order_list: Vec<CreateOrder> = "order_list",
    }
}

members! {
    /// Several cancels (section 7.4).
    pub struct CancelOrderList {
        /// `LIST`; the advanced call has none.
        contingency_type: Option<ContingencyType> = "contingency_type",
        /// 1 to 10.
        order_list: Vec<CancelEntry> = "order_list",
    }
}

members! {
    /// A change of price and quantity (section 7.3). The one write whose retry cannot be recognised: the engine
    /// cancels and creates instead.
    pub struct AmendOrder {
        /// A new id of ours for the order.
        client_oid: Option<Label> = "client_oid",
        /// Always required.
        new_price: Price = "new_price",
        /// Always required; the whole order, not its rest.
        new_quantity: Quantity = "new_quantity",
        /// The venue's id; it wins.
        order_id: Option<VenueOrderId> = "order_id",
        /// Our id of the order.
        orig_client_oid: Option<Label> = "orig_client_oid",
    }
}

members! {
    /// A change of a trigger order (section 8.2).
    pub struct AmendTrigger {
        /// Our id of the order.
        client_oid: Option<Label> = "client_oid",
        /// `"0"` for types that become market orders.
        new_price: Price = "new_price",
        /// Required.
        new_quantity: Quantity = "new_quantity",
        /// The new trigger.
        new_ref_price: Option<Price> = "new_ref_price",
        /// The venue's id.
        order_id: Option<VenueOrderId> = "order_id",
    }
}

members! {
    /// Cancel everything, of one instrument or of all (sections 7.4 and 8.2).
    pub struct CancelAll {
        /// All when absent.
        instrument_name: Option<Label> = "instrument_name",
        /// All when absent.
        scope: Option<CancelScope> = "type",
    }
}

members! {
    /// One instrument, or all when absent.
    pub struct OfInstrument {
        /// Which.
        instrument_name: Option<Label> = "instrument_name",
    }
}

members! {
    /// Exactly one instrument.
    pub struct OneInstrument {
        /// Which.
        instrument_name: Label = "instrument_name",
    }
}

members! {
    /// A page of a history (section 10.3): start inclusive, end exclusive, at most 7 days; a swap of both raises no
    /// error. There is no filter by order.
    pub struct History {
        /// Exclusive; now when absent.
        end_time: Option<Ns> = "end_time",
        /// All instruments when absent.
        instrument_name: Option<Label> = "instrument_name",
        /// 1 to [`PAGE_MAX`].
        limit: Option<Limit> = "limit",
        /// Inclusive; a day before the end when absent.
        start_time: Option<Ns> = "start_time",
    }
}

members! {
    /// A page of the ledger (section 10.3): the only call that explains what trades do not.
    pub struct Transactions {
        /// Exclusive.
        end_time: Option<Ns> = "end_time",
        /// All when absent.
        instrument_name: Option<Label> = "instrument_name",
        /// Only rows of this type.
        journal_type: Option<JournalType> = "journal_type",
        /// 1 to [`PAGE_MAX`].
        limit: Option<Limit> = "limit",
        /// Inclusive.
        start_time: Option<Ns> = "start_time",
    }
}

members! {
    /// Total value over time, in USD; no history per coin exists (section 11.3).
    pub struct BalanceHistory {
        /// Must be a number.
        end_time: Option<Ms> = "end_time",
        /// At most 120 hours or 30 days.
        limit: Option<Limit> = "limit",
        /// `H1` or `D1`.
        timeframe: Option<Timeframe> = "timeframe",
    }
}

members! {
    /// A page of accounts (section 11.3).
    pub struct Accounts {
        /// From 0.
        page: Option<u32> = "page",
        /// 20 when absent.
        page_size: Option<u32> = "page_size",
    }
}

members! {
    /// The legs of a list or independent triggers (section 8.2).
    pub struct TriggerList {
        /// Exactly 2 for OCO and OTO, 3 for OTOCO, 1 to 10 for independent ones.
        order_list: Vec<TriggerOrder> = "order_list",
    }
}

members! {
    /// One list by its id (section 8.2).
    pub struct ListKey {
        /// The venue's id of the list.
        list_id: VenueOrderId = "list_id",
    }
}

members! {
    /// Several lists (section 8.2): the only way to learn the legs that a list call made.
    pub struct ListDetail {
        /// At least one.
        list_id_list: Vec<VenueOrderId> = "list_id_list",
    }
}

members! {
    /// A book (section 6).
    pub struct GetBook {
        /// 1 to 50.
        depth: Option<u32> = "depth",
        /// Which.
        instrument_name: Label = "instrument_name",
    }
}

members! {
    /// Public trades (section 6): at most 7 days, a day by default.
    pub struct GetPublicTrades {
        /// 25 by default, at most [`PUBLIC_TRADES_MAX`]; 0 is 40004.
        count: Option<u32> = "count",
        /// Exclusive.
        end_ts: Option<Ms> = "end_ts",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// Inclusive.
        start_ts: Option<Ms> = "start_ts",
    }
}

members! {
    /// Candles (section 6).
    pub struct GetCandlestick {
        /// 25 by default, at most [`CANDLES_MAX`]; 0 is 40004.
        count: Option<u32> = "count",
        /// End.
        end_ts: Option<Ms> = "end_ts",
        /// Which.
        instrument_name: Label = "instrument_name",
        /// Start.
        start_ts: Option<Ms> = "start_ts",
        /// A minute by default.
        timeframe: Option<Timeframe> = "timeframe",
    }
}

members! {
    /// Channels of a socket (section 12).
    pub struct Channels {
        /// Of book channels.
        book_subscription_type: Option<BookSubscription> = "book_subscription_type",
        /// Of book channels, ms: 10 or 100, 500 for snapshots.
        book_update_frequency: Option<u32> = "book_update_frequency",
        /// At least one, such as `user.order` or `ticker.BTC_USDT`.
        channels: Vec<String> = "channels",
    }
}

members! {
    /// Of `set-cancel-on-disconnect` (section 12.5). The engine never sends it: its stops must survive a crash.
    pub struct CancelOnDisconnect {
        /// What is cancelled.
        scope: DisconnectScope = "scope",
    }
}

/// By which door a method goes in (section 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// GET with a query, no key.
    Public,
    /// POST with a signed body.
    Private,
    /// A socket only.
    Socket,
}

/// What a method does to the account, and therefore what silence after it means (section 13.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: asked again freely.
    Read,
    /// It may make, change or end orders: silence is Unknown.
    Write,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident($params:ty) = $name:literal, $door:ident, $effect:ident, $rate:ident;)+) => {
        /// A method of the venue.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum Method { $($(#[$doc])* $variant,)+ }

        impl Method {
            /// Every method.
            pub const ALL: &'static [Method] = &[$(Method::$variant,)+];

            /// Its name, which is also its path.
            pub const fn name(self) -> &'static str {
                match self { $(Method::$variant => $name,)+ }
            }

            /// The method with this name; anything else is 40002.
            pub fn from_name(name: &str) -> Option<Method> {
                match name {
                    $($name => Some(Method::$variant),)+
                    _ => None,
                }
            }

            /// Its door.
            pub const fn door(self) -> Door {
                match self { $(Method::$variant => Door::$door,)+ }
            }

            /// What it does.
            pub const fn effect(self) -> Effect {
                match self { $(Method::$variant => Effect::$effect,)+ }
            }

            /// How often it may be called (section 4).
            pub const fn rate(self) -> Rate {
                match self { $(Method::$variant => Rate::$rate,)+ }
            }
        }

        /// A method with its parameters.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Request { $($(#[$doc])* $variant($params),)+ }

        impl Request {
            /// The method.
            pub const fn method(&self) -> Method {
                match self { $(Request::$variant(_) => Method::$variant,)+ }
            }

            /// Reads parameters as strictly as the venue does.
            ///
            /// # Errors
            /// [`Misfit`]; [`crate::server::refusal_code`] tells the venue's code for it.
            pub fn read(method: Method, params: &Value<'_>) -> Result<Request, Misfit> {
                match method {
                    $(Method::$variant => {
                        <$params as Wire>::read(params, Manner::Strict).map(Request::$variant)
                    })+
                }
            }

            /// A request of any contents, for tests.
            #[cfg(test)]
            pub(crate) fn made(method: Method, source: &mut crate::wire::tests::Source) -> Request {
                match method {
                    $(Method::$variant => Request::$variant(crate::wire::tests::Made::made(source)),)+
                }
            }

            /// Writes the parameters.
            pub fn put_params(&self, out: &mut dyn Sink) {
                match self { $(Request::$variant(params) => params.put(out),)+ }
            }
        }
    };
}

methods! {
    /// All instruments of all kinds; filters are ignored (section 5).
    GetInstruments(NoParams) = "public/get-instruments", Public, Read, PUBLIC;
    /// Prices of the day (section 6).
    GetTickers(OfInstrument) = "public/get-tickers", Public, Read, PUBLIC;
    /// A book (section 6).
    GetBook(GetBook) = "public/get-book", Public, Read, PUBLIC;
    /// Public trades (section 6).
    GetPublicTrades(GetPublicTrades) = "public/get-trades", Public, Read, PUBLIC;
    /// Candles (section 6).
    GetCandlestick(GetCandlestick) = "public/get-candlestick", Public, Read, PUBLIC;
    /// Minimum notionals among others (section 5).
    GetRiskParameters(NoParams) = "public/get-risk-parameters", Public, Read, PUBLIC;
    /// A plain order (section 7.1).
    CreateOrder(CreateOrder) = "private/create-order", Private, Write, ORDER;
    /// Several plain orders (section 7.2).
    CreateOrderList(CreateOrderList) = "private/create-order-list", Private, Write, OTHER;
    /// A change (section 7.3).
    AmendOrder(AmendOrder) = "private/amend-order", Private, Write, OTHER;
    /// A cancel (section 7.4).
    CancelOrder(OrderKey) = "private/cancel-order", Private, Write, ORDER;
    /// Several cancels (section 7.4).
    CancelOrderList(CancelOrderList) = "private/cancel-order-list", Private, Write, OTHER;
    /// All plain orders (section 7.4).
    CancelAllOrders(CancelAll) = "private/cancel-all-orders", Private, Write, ORDER;
    /// Open plain orders, all of them, unpaged (section 10.2).
    GetOpenOrders(OfInstrument) = "private/get-open-orders", Private, Read, OTHER;
    /// One plain order (section 10.2).
    GetOrderDetail(OrderKey) = "private/get-order-detail", Private, Read, ORDER_DETAIL;
    /// Ended plain orders (section 10.3).
    GetOrderHistory(History) = "private/get-order-history", Private, Read, HISTORY;
    /// Fills (section 10.3).
    GetTrades(History) = "private/get-trades", Private, Read, HISTORY;
    /// The ledger (section 10.3).
    GetTransactions(Transactions) = "private/get-transactions", Private, Read, OTHER;
    /// Balances (section 11.2).
    UserBalance(NoParams) = "private/user-balance", Private, Read, OTHER;
    /// Total value over time (section 11.3).
    UserBalanceHistory(BalanceHistory) = "private/user-balance-history", Private, Read, OTHER;
    /// Accounts (section 11.3). Replies hold personal data: never journaled or logged.
    GetAccounts(Accounts) = "private/get-accounts", Private, Read, OTHER;
    /// Fee rates of the account (section 11.1).
    GetFeeRate(NoParams) = "private/get-fee-rate", Private, Read, OTHER;
    /// Fee rates of an instrument (section 11.1).
    GetInstrumentFeeRate(OneInstrument) = "private/get-instrument-fee-rate", Private, Read, OTHER;
    /// A trigger order (section 8.1).
    AdvancedCreateOrder(TriggerOrder) = "private/advanced/create-order", Private, Write, OTHER;
    /// A change of one (section 8.2).
    AdvancedAmendOrder(AmendTrigger) = "private/advanced/amend-order", Private, Write, OTHER;
    /// One cancels the other (section 8.2).
    AdvancedCreateOco(TriggerList) = "private/advanced/create-oco", Private, Write, OTHER;
    /// Its end (section 8.2).
    AdvancedCancelOco(ListKey) = "private/advanced/cancel-oco", Private, Write, OTHER;
    /// One triggers the other (section 8.2).
    AdvancedCreateOto(TriggerList) = "private/advanced/create-oto", Private, Write, OTHER;
    /// Its end (section 8.2).
    AdvancedCancelOto(ListKey) = "private/advanced/cancel-oto", Private, Write, OTHER;
    /// One triggers two (section 8.2).
    AdvancedCreateOtoco(TriggerList) = "private/advanced/create-otoco", Private, Write, OTHER;
    /// Its end (section 8.2).
    AdvancedCancelOtoco(ListKey) = "private/advanced/cancel-otoco", Private, Write, OTHER;
    /// A cancel of a trigger or a leg (section 8.2).
    AdvancedCancelOrder(OrderKey) = "private/advanced/cancel-order", Private, Write, OTHER;
    /// Several independent triggers (section 8.2).
    AdvancedCreateOrderList(TriggerList) = "private/advanced/create-order-list", Private, Write, OTHER;
    /// Several cancels (section 8.2).
    AdvancedCancelOrderList(CancelOrderList) = "private/advanced/cancel-order-list", Private, Write, OTHER;
    /// All trigger orders (section 8.2).
    AdvancedCancelAllOrders(CancelAll) = "private/advanced/cancel-all-orders", Private, Write, OTHER;
    /// Open trigger orders (section 8.3).
    AdvancedGetOpenOrders(OfInstrument) = "private/advanced/get-open-orders", Private, Read, OTHER;
    /// One trigger order (section 8.3).
    AdvancedGetOrderDetail(OrderKey) = "private/advanced/get-order-detail", Private, Read, OTHER;
    /// Ended trigger orders (section 8.3).
    AdvancedGetOrderHistory(History) = "private/advanced/get-order-history", Private, Read, OTHER;
    /// The legs of lists (section 8.3).
    AdvancedGetOrderListDetail(ListDetail) = "private/advanced/get-order-list-detail", Private, Read, OTHER;
    /// Login of a user socket (section 12.1).
    Auth(NoParams) = "public/auth", Socket, Read, USER_SOCKET;
    /// Channels begin (section 12.1).
    Subscribe(Channels) = "subscribe", Socket, Read, USER_SOCKET;
    /// Channels end (section 12.1).
    Unsubscribe(Channels) = "unsubscribe", Socket, Read, USER_SOCKET;
    /// The answer to a heartbeat, due within 5 s (section 12.2).
    RespondHeartbeat(NoParams) = "public/respond-heartbeat", Socket, Read, USER_SOCKET;
    /// Cancel when the connection drops (section 12.5).
    SetCancelOnDisconnect(CancelOnDisconnect) = "private/set-cancel-on-disconnect", Socket, Write, USER_SOCKET;
    /// Whether (section 12.5).
    GetCancelOnDisconnect(NoParams) = "private/get-cancel-on-disconnect", Socket, Read, USER_SOCKET;
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Method {
    /// Whether it belongs to the advanced namespace (section 8): other error meanings, other orders.
    pub fn is_advanced(self) -> bool {
        self.name().starts_with("private/advanced/")
    }

    /// Whether the user socket also takes it (section 12.5).
    pub const fn over_socket(self) -> bool {
        matches!(
            self,
            Method::CreateOrder
                | Method::CreateOrderList
                | Method::AmendOrder
                | Method::CancelOrder
                | Method::CancelOrderList
                | Method::CancelAllOrders
        ) || matches!(self.door(), Door::Socket)
    }
}

/// Room for the body of an ordinary request.
const BODY_ROOM: usize = 512;

/// Lets a signer sign a request's parameters without knowing their type.
struct Params<'a>(&'a Request);

impl Wire for Params<'_> {
    fn put(&self, out: &mut dyn Sink) {
        self.0.put_params(out);
    }

    fn read(_: &Value<'_>, _: Manner) -> Result<Self, Misfit> {
        Err(Misfit::new(Fault::Type))
    }
}

impl Request {
    /// The signed body of a POST (section 2). `id` is echoed; `nonce` is the client's clock in milliseconds and must
    /// be within [`crate::sign::NONCE_WINDOW_MS`] of the venue's.
    pub fn body(&self, signer: &Signer, id: i64, nonce: i64) -> String {
        let method = self.method().name();
        let signature = signer.sign(method, id, Some(&Params(self)), nonce);
        let mut out = Json::new(BODY_ROOM, Integers::Bare);
        out.open_object();
        out.name("id");
        out.whole(id);
        out.name("method");
        out.text(method);
        out.name("api_key");
        out.text(signer.api_key());
        out.name("params");
        self.put_params(&mut out);
        out.name("nonce");
        out.whole(nonce);
        out.name("sig");
        out.text(signature.as_str());
        out.close_object();
        out.into_text()
    }

    /// The method and query of a GET, to be appended to the REST root (section 1).
    pub fn target(&self) -> String {
        let mut out = Query { out: String::from(self.method().name()), first: true };
        self.put_params(&mut out);
        out.out
    }

    /// A frame of a socket: no key and no signature, the connection has authenticated (sections 12.1 and 12.5).
    pub fn frame(&self, id: i64, nonce: i64) -> String {
        let mut out = Json::new(BODY_ROOM, Integers::Bare);
        out.open_object();
        out.name("id");
        out.whole(id);
        out.name("method");
        out.text(self.method().name());
        out.name("params");
        self.put_params(&mut out);
        out.name("nonce");
        out.whole(nonce);
        out.close_object();
        out.into_text()
    }
}

/// The login frame of a user socket (section 12.1), sent once per connection and not before a second has passed
/// since it opened (section 4).
pub fn auth_frame(signer: &Signer, id: i64, nonce: i64) -> String {
    let method = Method::Auth.name();
    let signature = signer.sign::<NoParams>(method, id, None, nonce);
    let mut out = Json::new(BODY_ROOM, Integers::Bare);
    out.open_object();
    out.name("id");
    out.whole(id);
    out.name("method");
    out.text(method);
    out.name("api_key");
    out.text(signer.api_key());
    out.name("sig");
    out.text(signature.as_str());
    out.name("nonce");
    out.whole(nonce);
    out.close_object();
    out.into_text()
}

/// The answer to a heartbeat with this id, due within 5 s (section 12.2).
pub fn heartbeat_answer(id: i64) -> String {
    let mut out = Json::new(64, Integers::Bare);
    out.open_object();
    out.name("id");
    out.whole(id);
    out.name("method");
    out.text(Method::RespondHeartbeat.name());
    out.close_object();
    out.into_text()
}

/// `name=value` pairs. Parameters of public methods are flat.
struct Query {
    out: String,
    first: bool,
}

impl Query {
    fn escaped(&mut self, text: &str) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                self.out.push(char::from(byte));
            } else {
                self.out.push('%');
                self.out.push(char::from(HEX[usize::from(byte >> 4)]));
                self.out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

impl Sink for Query {
    fn name(&mut self, name: &str) {
        self.out.push(if self.first { '?' } else { '&' });
        self.first = false;
        self.escaped(name);
        self.out.push('=');
    }

    fn text(&mut self, text: &str) {
        self.escaped(text);
    }

    fn plain(&mut self, text: fmt::Arguments<'_>) {
        self.escaped(&alloc::fmt::format(text));
    }

    fn whole(&mut self, number: i64) {
        self.plain(format_args!("{number}"));
    }

    fn number(&mut self, digits: &str) {
        self.escaped(digits);
    }

    fn flag(&mut self, flag: bool) {
        self.out.push_str(if flag { "true" } else { "false" });
    }

    fn null(&mut self) {}

    fn open_object(&mut self) {}

    fn close_object(&mut self) {}

    fn open_array(&mut self) {}

    fn close_array(&mut self) {}
}

#[cfg(test)]
pub(crate) mod tests;
