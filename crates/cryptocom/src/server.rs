//! The venue's side: what came in, whether it is signed and timely, what it asks, and the bytes that answer.
//!
//! The order of checks is the reference's (section 3, "Verification order"): JSON, method, key and signature, nonce,
//! rate (the caller's, see [`crate::budget`]), parameters. Types are as strict as the venue's, each with its own code
//! (section 2). Whatever needs a market, an account or a memory is not known here.

use crate::code::Code;
use crate::json::{Value, whole};
use crate::request::{Door, LIST_MAX, Method, NO_ID, Request, TriggerOrder};
use crate::rows::OrderAck;
use crate::sign::Signer;
use crate::wire::{Fault, Misfit, Wire};
use crate::words::{ContingencyType, ExecInst, OrderType, RefPriceType, Side};
use crate::write::{Integers, Json, Sink};
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// An HTTP answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: String,
}

/// A request that came in, not yet believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inbound<'a> {
    value: Value<'a>,
}

impl<'a> Inbound<'a> {
    /// Reads a POST body or a frame.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] (40003) for anything but a JSON object.
    pub fn parse(bytes: &'a [u8]) -> Result<Inbound<'a>, Code> {
        match Value::parse(bytes) {
            Ok(value @ Value::Object(_)) => Ok(Inbound { value }),
            Ok(_) | Err(_) => Err(Code::InvalidRequest),
        }
    }

    /// The id to echo, -1 without one. A number or a digit string (section 2).
    pub fn id(&self) -> i64 {
        self.value.get("id").and_then(Value::whole).unwrap_or(NO_ID)
    }

    /// The method as named, for the echo; `ERROR` without one.
    pub fn method_name(&self) -> &str {
        self.value.get("method").and_then(Value::text).unwrap_or("ERROR")
    }

    /// The method.
    ///
    /// # Errors
    /// [`Code::MethodNotFound`] (40002).
    pub fn method(&self) -> Result<Method, Code> {
        Method::from_name(self.method_name()).ok_or(Code::MethodNotFound)
    }

    /// The key that it claims.
    pub fn api_key(&self) -> Option<&str> {
        self.value.get("api_key").and_then(Value::text)
    }

    /// The nonce in milliseconds, if it is whole.
    pub fn nonce(&self) -> Option<i64> {
        self.value.get("nonce").and_then(Value::whole)
    }

    /// Checks key, signature and nonce. `now_ms` is the venue's clock, `window_ms` how far the nonce may be off:
    /// [`crate::sign::NONCE_WINDOW_MS`] by default.
    ///
    /// # Errors
    /// [`Code::Unauthorized`] (40101), also for a nonce that is no whole number; [`Code::InvalidNonce`] (40102).
    pub fn verify(&self, signer: &Signer, now_ms: i64, window_ms: i64) -> Result<(), Code> {
        let text = |name: &str| self.value.get(name).and_then(Value::digits);
        let (Some(id), Some(nonce), Some(signature)) =
            (text("id"), text("nonce"), self.value.get("sig").and_then(Value::text))
        else {
            return Err(Code::Unauthorized);
        };
        let Some(at) = whole(nonce) else { return Err(Code::Unauthorized) };
        let empty = Value::Object(Vec::new());
        let params = self.value.get("params").unwrap_or(&empty);
        let ours = self.api_key() == Some(signer.api_key());
        if !ours || !signer.verify(self.method_name(), id, params, nonce, signature) {
            return Err(Code::Unauthorized);
        }
        if at.abs_diff(now_ms) > window_ms.unsigned_abs() {
            return Err(Code::InvalidNonce);
        }
        Ok(())
    }

    /// What it asks, with every rule that needs nothing but the request.
    ///
    /// # Errors
    /// The code that the venue answers.
    pub fn request(&self) -> Result<Request, Code> {
        let method = self.method()?;
        let empty = Value::Object(Vec::new());
        let params = match self.value.get("params") {
            None | Some(Value::Null) => &empty,
            Some(params) => params,
        };
        checked(method, params)
    }
}

/// Reads the target of a GET, without the REST root: `public/get-book?instrument_name=BTC_USDT&depth=10`.
///
/// # Errors
/// [`Code::MethodNotFound`], or the code for a parameter. A private method by GET is [`Code::InvalidRequest`] (40003).
pub fn parse_target(target: &str) -> Result<Request, Code> {
    let (name, query) = target.split_once('?').unwrap_or((target, ""));
    let method = Method::from_name(name).ok_or(Code::MethodNotFound)?;
    knock(method, false)?;
    let pair = |part: &str| -> Option<(String, String)> {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Some((unescaped(name)?, unescaped(value)?))
    };
    let pairs: Option<Vec<_>> = query.split('&').filter(|part| !part.is_empty()).map(pair).collect();
    let members = pairs.ok_or(Code::InvalidRequest)?.into_iter();
    let params = members.map(|(name, value)| (Cow::Owned(name), Value::Text(Cow::Owned(value)))).collect();
    checked(method, &Value::Object(params))
}

/// Whether a method may come by this door: GET, or POST with a body (section 1).
///
/// # Errors
/// [`Code::ErrInternal`] (50001) for a POST to a public method, [`Code::InvalidRequest`] (40003) for a GET to a
/// private one, [`Code::MethodNotFound`] (40002) for what only a socket takes.
pub const fn knock(method: Method, post: bool) -> Result<(), Code> {
    match (method.door(), post) {
        (Door::Public, false) | (Door::Private, true) => Ok(()),
        (Door::Public, true) => Err(Code::ErrInternal),
        (Door::Private, false) => Err(Code::InvalidRequest),
        (Door::Socket, _) => Err(Code::MethodNotFound),
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let value = digit(rest.next())? * 16 + digit(rest.next())?;
                u8::try_from(value).ok()?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn checked(method: Method, params: &Value<'_>) -> Result<Request, Code> {
    let request = Request::read(method, params).map_err(|misfit| refusal_code(&misfit))?;
    match structural(&request) {
        Some(code) => Err(code),
        None => Ok(request),
    }
}

/// The venue's code for a parameter that does not fit (section 2, "Type strictness"; section 7.1). What the
/// reference does not state is 40004.
pub fn refusal_code(misfit: &Misfit) -> Code {
    if matches!(misfit.fault, Fault::Missing) {
        return Code::MissingOrInvalidArgument;
    }
    match (misfit.member, misfit.fault) {
        ("price" | "new_price", _) => Code::InvalidPrice,
        ("quantity" | "new_quantity", Fault::Type) => Code::Unauthorized,
        ("quantity" | "new_quantity", _) => Code::InvalidOrderqty,
        ("notional", Fault::Type) => Code::ErrInternal,
        ("ref_price" | "new_ref_price", _) => Code::InvalidRefPrice,
        ("side", _) => Code::InvalidSide,
        ("type", _) => Code::InvalidOrdtype,
        ("time_in_force", _) => Code::InvalidTif,
        ("exec_inst", _) => Code::InvalidExecinst,
        ("ref_price_type", _) => Code::InvalidRefPriceType,
        ("spot_margin", _) => Code::ErrInternal,
        ("fee_instrument_name", _) => Code::InvalidFeeCurrency,
        ("limit" | "timeframe" | "", _) => Code::InvalidRequest,
        (_, _) => Code::MissingOrInvalidArgument,
    }
}

/// Rules between parameters; none of them needs a market.
fn structural(request: &Request) -> Option<Code> {
    let argument = |wrong: bool| wrong.then_some(Code::MissingOrInvalidArgument);
    let size = |n: usize, least: usize, most: usize| argument(n < least || n > most);
    match request {
        Request::CreateOrder(order) => plain_order(order),
        Request::CreateOrderList(list) => match list.contingency_type {
            ContingencyType::List => size(list.order_list.len(), 1, LIST_MAX)
                .or_else(|| list.order_list.iter().find_map(plain_order)),
            ContingencyType::Oco
            | ContingencyType::Oto
            | ContingencyType::Otoco
            | ContingencyType::SpotAttach
            | ContingencyType::DerivAttach
            | ContingencyType::Unknown(_) => Some(Code::ApiDisabled),
        },
        Request::CancelOrderList(list) | Request::AdvancedCancelOrderList(list) => {
            let unnamed = |e: &crate::request::CancelEntry| e.client_oid.is_none() && e.order_id.is_none();
            size(list.order_list.len(), 1, LIST_MAX).or_else(|| argument(list.order_list.iter().any(unnamed)))
        }
        Request::AmendOrder(amend) => argument(amend.order_id.is_none() && amend.orig_client_oid.is_none()),
        Request::AdvancedAmendOrder(amend) => {
            argument(amend.order_id.is_none() && amend.client_oid.is_none())
        }
        Request::CancelOrder(key)
        | Request::GetOrderDetail(key)
        | Request::AdvancedCancelOrder(key)
        | Request::AdvancedGetOrderDetail(key) => {
            argument(key.order_id.is_none() && key.client_oid.is_none())
        }
        Request::AdvancedCreateOrder(order) => trigger_order(order),
        Request::AdvancedCreateOrderList(list) => size(list.order_list.len(), 1, LIST_MAX)
            .or_else(|| list.order_list.iter().find_map(trigger_order)),
        Request::AdvancedCreateOco(list) => legs(&list.order_list, 2, |a, b| a.side == b.side),
        Request::AdvancedCreateOto(list) => legs(&list.order_list, 2, |a, b| a.side != b.side),
        Request::AdvancedCreateOtoco(list) => legs(&list.order_list, 3, |a, b| a.side != b.side),
        Request::AdvancedGetOrderListDetail(list) => argument(list.list_id_list.is_empty()),
        Request::GetBook(book) => argument(book.depth == Some(0)),
        Request::GetPublicTrades(trades) => argument(trades.count == Some(0)),
        Request::GetCandlestick(candles) => argument(candles.count == Some(0)),
        Request::GetOrderHistory(page)
        | Request::GetTrades(page)
        | Request::AdvancedGetOrderHistory(page) => argument(page.limit.is_some_and(|limit| limit.0 == 0)),
        Request::GetTransactions(page) => argument(page.limit.is_some_and(|limit| limit.0 == 0)),
        Request::Subscribe(channels) | Request::Unsubscribe(channels) => {
            argument(channels.channels.is_empty())
        }
        Request::GetInstruments(_)
        | Request::GetTickers(_)
        | Request::GetRiskParameters(_)
        | Request::CancelAllOrders(_)
        | Request::GetOpenOrders(_)
        | Request::UserBalance(_)
        | Request::UserBalanceHistory(_)
        | Request::GetAccounts(_)
        | Request::GetFeeRate(_)
        | Request::GetInstrumentFeeRate(_)
        | Request::AdvancedCancelOco(_)
        | Request::AdvancedCancelOto(_)
        | Request::AdvancedCancelOtoco(_)
        | Request::AdvancedCancelAllOrders(_)
        | Request::AdvancedGetOpenOrders(_)
        | Request::Auth(_)
        | Request::RespondHeartbeat(_)
        | Request::SetCancelOnDisconnect(_)
        | Request::GetCancelOnDisconnect(_) => None,
    }
}

fn exclusive(instructions: Option<&Vec<ExecInst>>) -> Option<Code> {
    let both =
        |list: &&Vec<ExecInst>| list.contains(&ExecInst::PostOnly) && list.contains(&ExecInst::SmartPostOnly);
    instructions.filter(both).map(|_| Code::InvalidExecinst)
}

/// Section 7.1: what an order of the plain namespace must have.
fn plain_order(order: &crate::request::CreateOrder) -> Option<Code> {
    let needs = match order.order_type {
        OrderType::Limit => order.price.is_some() && order.quantity.is_some(),
        OrderType::Market => match order.side {
            Side::Buy => order.quantity.is_some() || order.notional.is_some(),
            Side::Sell => order.quantity.is_some(),
            Side::Unknown(_) => return Some(Code::InvalidSide),
        },
        OrderType::StopLoss | OrderType::StopLimit | OrderType::TakeProfit | OrderType::TakeProfitLimit => {
            return Some(Code::ApiDisabled);
        }
        OrderType::Unknown(_) => return Some(Code::InvalidOrdtype),
    };
    let half_prevention = order.stp_scope.is_some() && order.stp_inst.is_none();
    let incomplete = (!needs || half_prevention).then_some(Code::MissingOrInvalidArgument);
    incomplete.or_else(|| exclusive(order.exec_inst.as_ref()))
}

/// Section 8.1: what a trigger order must have.
fn trigger_order(order: &TriggerOrder) -> Option<Code> {
    let priced = match order.order_type {
        OrderType::StopLoss | OrderType::TakeProfit => true,
        OrderType::StopLimit | OrderType::TakeProfitLimit => order.price.is_some(),
        OrderType::Limit | OrderType::Market | OrderType::Unknown(_) => return Some(Code::InvalidOrdtype),
    };
    if order.ref_price_type == Some(RefPriceType::Null) {
        return Some(Code::InvalidRefPriceType);
    }
    let incomplete = (!priced || order.ref_price.is_none()).then_some(Code::MissingOrInvalidArgument);
    incomplete.or_else(|| exclusive(order.exec_inst.as_ref()))
}

/// Section 8.2: how many legs, which kinds, which sides; only the mark price triggers inside a list.
fn legs(
    list: &[TriggerOrder],
    count: usize,
    sides: impl Fn(&TriggerOrder, &TriggerOrder) -> bool,
) -> Option<Code> {
    let wrong = Some(Code::MissingOrInvalidArgument);
    if list.len() != count {
        return wrong;
    }
    let Some((first, others)) = list.split_first() else { return wrong };
    let plain = |leg: &TriggerOrder| matches!(leg.order_type, OrderType::Limit | OrderType::Market);
    let plain_ones = list.iter().filter(|leg| plain(leg)).count();
    let mark = |leg: &TriggerOrder| matches!(leg.ref_price_type, None | Some(RefPriceType::MarkPrice));
    let first_is_plain = count == 2 && first.side == others[0].side || plain(first);
    if plain_ones != 1
        || !first_is_plain
        || !list.iter().all(mark)
        || !others.iter().all(|leg| sides(first, leg))
    {
        return wrong;
    }
    list.iter().filter(|leg| !plain(leg)).find_map(trigger_order)
}

/// A successful answer.
pub fn answer<T: Wire>(id: i64, method: Method, result: &T, integers: Integers) -> Reply {
    respond(id, method.name(), Code::Success, None, Some(result), None, integers)
}

/// A successful answer that carries words too: cancels say `NO_ERROR` (section 7.4).
pub fn answer_saying<T: Wire>(id: i64, method: Method, words: &str, result: &T, integers: Integers) -> Reply {
    respond(id, method.name(), Code::Success, Some(words), Some(result), None, integers)
}

/// A successful answer without a result.
pub fn done(id: i64, method: Method, integers: Integers) -> Reply {
    respond::<OrderAck>(id, method.name(), Code::Success, None, None, None, integers)
}

/// A refusal. `record` are the ids of the ended order that it left behind (section 13.2), `original` the request's
/// text where the venue repeats it (section 2).
pub fn refuse(
    id: i64,
    method: &str,
    code: Code,
    record: Option<&OrderAck>,
    original: Option<&str>,
    integers: Integers,
) -> Reply {
    respond(id, method, code, Some(code.row().name), record, original, integers)
}

fn respond<T: Wire>(
    id: i64,
    method: &str,
    code: Code,
    words: Option<&str>,
    result: Option<&T>,
    original: Option<&str>,
    integers: Integers,
) -> Reply {
    let mut out = Json::new(256, integers);
    out.open_object();
    out.name("id");
    out.whole(id);
    out.name("method");
    out.text(method);
    out.name("code");
    out.whole(code.row().number);
    for (name, text) in [("message", words), ("original", original)] {
        if let Some(text) = text {
            out.name(name);
            out.text(text);
        }
    }
    if let Some(result) = result {
        out.name("result");
        result.put(&mut out);
    }
    out.close_object();
    Reply { status: code.status(), body: out.into_text() }
}

#[cfg(test)]
mod tests;
