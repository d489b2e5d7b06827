//! What an answer proves: of a read its contents, of a write whether an order exists.
//!
//! ```text
//! bytes -> JSON? -> code? -> ours? -> code 0 -> the expected shape?       -> Found, Queued
//!            |        |        |         \-> another code -> order_id?    -> Recorded (look it up)
//!            \--------+--------+--------------\-> class of the code       -> Refused, Later, Exists, LookUp, Access
//!                     otherwise                                           -> Unknown, with the evidence
//! ```
//!
//! The body comes before the HTTP status: a 500 with code 306 is a definite refusal, a 502 page proves nothing
//! (reference, section 13.1). It never guesses, never panics, and never keeps a request's key or signature as
//! evidence.

use crate::code::{Class, Code, class_for};
use crate::json::Value;
use crate::request::{Effect, Method};
use crate::rows::{ListAck, ListMade, OrderAck};
use crate::wire::{Manner, Wire};
use aegis_model::{Label, Text, VenueOrderId};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What was asked, to know its answer by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The request's id; none of a GET.
    pub id: Option<i64>,
    /// Our id of the order, if the request is about one.
    pub client_oid: Option<Label>,
}

/// The answer's evidence: what was seen, and why it was judged so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// The HTTP status; none on a socket.
    pub status: Option<u16>,
    /// The venue's code, if there was one.
    pub code: Option<i64>,
    /// What the code proves; [`Class::Unknown`] when there was none to believe.
    pub class: Class,
    /// The venue's words; of an answer that could not be read, why.
    pub text: Text,
    /// The beginning of the body, up to anything that repeats the request.
    pub excerpt: Text,
}

/// The outcome of a read. A failure can never be taken for an empty answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadOutcome<T> {
    /// What was asked for.
    Found(T),
    /// 40401: the venue does not show it. Shortly after a create that is no proof of absence (section 14.2).
    NotFound(Evidence),
    /// No usable answer.
    Failed(Evidence),
}

impl<T> ReadOutcome<T> {
    /// What was asked for, if it came.
    pub fn found(self) -> Option<T> {
        match self {
            ReadOutcome::Found(value) => Some(value),
            ReadOutcome::NotFound(_) | ReadOutcome::Failed(_) => None,
        }
    }
}

/// Ids that a write's answer carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// The venue's id of the order.
    pub order_id: Option<VenueOrderId>,
    /// Our id, as the venue repeated it.
    pub client_oid: Option<Label>,
    /// The venue's id of the list.
    pub list_id: Option<VenueOrderId>,
}

/// The outcome of a write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WriteOutcome {
    /// Code 0: the request is queued. An order is accepted, or a cancel done, only when a row says so (section 7.1).
    Queued(Ids),
    /// An order record exists whatever the code says: look it up, journal how it ended, never use its client order
    /// id again (section 13.2). Without a venue id it is known by its class, E or X.
    Recorded(Ids, Evidence),
    /// 204: an earlier order has this client order id: look it up. After a lost answer it proves the arrival.
    Exists(Ids, Evidence),
    /// The order named is unknown, ended or not there yet: look it up. Of a cancel this is no failure (section 7.4).
    LookUp(Evidence),
    /// F: nothing exists, and the same request would be refused again.
    Refused(Evidence),
    /// B: nothing exists; later, with the same client order id.
    Later(Evidence),
    /// A: nothing exists; stop trading and call a person.
    Access(Evidence),
    /// U: nothing is known. Reconcile before anything else (section 14.3).
    Unknown(Evidence),
}

impl WriteOutcome {
    /// Whether it is certain that this request made and changed nothing.
    pub const fn is_certainly_nothing(&self) -> bool {
        matches!(self, WriteOutcome::Refused(_) | WriteOutcome::Later(_) | WriteOutcome::Access(_))
    }
}

/// An answer's frame, read as far as it can be.
struct Head<'a> {
    value: Value<'a>,
    code: i64,
}

impl<'a> Head<'a> {
    /// The head of an answer to `asked`, or why it is none.
    fn read(asked: &Asked, body: &'a [u8]) -> Result<Head<'a>, String> {
        let value = Value::parse(body).map_err(|e| format!("{e}"))?;
        let Some(code) = value.get("code").and_then(Value::whole) else {
            return Err(String::from("no code that is a whole number"));
        };
        let echo = value.get("id").and_then(Value::whole).filter(|id| *id >= 0);
        if let (Some(echo), Some(id)) = (echo, asked.id)
            && echo != id
        {
            return Err(format!("the answer to request {echo}, not to {id}"));
        }
        let method = value.get("method").and_then(Value::text).filter(|name| *name != "ERROR");
        if let Some(name) = method
            && name != asked.method.name()
        {
            return Err(format!("the answer to {}, not to {}", Label::lossy(name), asked.method));
        }
        Ok(Head { value, code })
    }

    fn message(&self) -> Text {
        let words = self.value.get("message").and_then(Value::text);
        let name = Code::from_number(self.code).map(|code| code.row().name);
        Text::new(words.or(name).unwrap_or_default())
    }
}

/// The beginning of a body without anything that may repeat the request (`original`, keys, signatures).
pub(crate) fn excerpt(body: &[u8]) -> Text {
    const KEPT: usize = 512;
    let text = String::from_utf8_lossy(&body[..body.len().min(KEPT)]);
    let end = ["original", "api_key", "sig\"", "\"sig"].iter().filter_map(|word| text.find(word)).min();
    Text::new(&text[..end.unwrap_or(text.len())])
}

fn unknown(status: Option<u16>, code: Option<i64>, why: &str, body: &[u8]) -> Evidence {
    Evidence { status, code, class: Class::Unknown, text: Text::new(why), excerpt: excerpt(body) }
}

/// Whether an HTTP status contradicts a success.
fn contradicts(status: Option<u16>) -> bool {
    status.is_some_and(|status| !(200..300).contains(&status))
}

/// Judges the answer to a read. `status` is `None` on a socket.
pub fn judge_read<T: Wire>(asked: &Asked, status: Option<u16>, body: &[u8]) -> ReadOutcome<T> {
    let head = match Head::read(asked, body) {
        Ok(head) => head,
        Err(why) => return ReadOutcome::Failed(unknown(status, None, &why, body)),
    };
    let code = head.code;
    if code != 0 {
        let class = class_for(code, asked.method);
        let evidence =
            Evidence { status, code: Some(code), class, text: head.message(), excerpt: excerpt(body) };
        return match Code::from_number(code) {
            Some(Code::NotFound) => ReadOutcome::NotFound(evidence),
            Some(_) | None => ReadOutcome::Failed(evidence),
        };
    }
    if contradicts(status) {
        return ReadOutcome::Failed(unknown(status, Some(code), "code 0 with a failing HTTP status", body));
    }
    let result = match head.value.get("result") {
        Some(result) => T::read(result, Manner::Tolerant),
        None => T::read(&Value::Object(Vec::new()), Manner::Tolerant),
    };
    match result {
        Ok(value) => ReadOutcome::Found(value),
        Err(misfit) => ReadOutcome::Failed(unknown(status, Some(code), &format!("result: {misfit}"), body)),
    }
}

/// The shape of a write's successful result.
enum Shape {
    /// Ids of one order.
    Order,
    /// An id of a list.
    List,
    /// An array, one element an order.
    Elements,
    /// Nothing that is needed.
    Nothing,
}

const fn shape(method: Method) -> Shape {
    match method {
        Method::CreateOrder
        | Method::AmendOrder
        | Method::CancelOrder
        | Method::AdvancedCreateOrder
        | Method::AdvancedAmendOrder
        | Method::AdvancedCancelOrder => Shape::Order,
        Method::AdvancedCreateOco | Method::AdvancedCreateOto | Method::AdvancedCreateOtoco => Shape::List,
        Method::CreateOrderList
        | Method::CancelOrderList
        | Method::AdvancedCreateOrderList
        | Method::AdvancedCancelOrderList => Shape::Elements,
        Method::CancelAllOrders
        | Method::AdvancedCancelAllOrders
        | Method::AdvancedCancelOco
        | Method::AdvancedCancelOto
        | Method::AdvancedCancelOtoco
        | Method::SetCancelOnDisconnect
        | Method::GetInstruments
        | Method::GetTickers
        | Method::GetBook
        | Method::GetPublicTrades
        | Method::GetCandlestick
        | Method::GetRiskParameters
        | Method::GetOpenOrders
        | Method::GetOrderDetail
        | Method::GetOrderHistory
        | Method::GetTrades
        | Method::GetTransactions
        | Method::UserBalance
        | Method::UserBalanceHistory
        | Method::GetAccounts
        | Method::GetFeeRate
        | Method::GetInstrumentFeeRate
        | Method::AdvancedGetOpenOrders
        | Method::AdvancedGetOrderDetail
        | Method::AdvancedGetOrderHistory
        | Method::AdvancedGetOrderListDetail
        | Method::Auth
        | Method::Subscribe
        | Method::Unsubscribe
        | Method::RespondHeartbeat
        | Method::GetCancelOnDisconnect => Shape::Nothing,
    }
}

/// An id that names an order: an empty one and `0` name none.
fn named(id: Option<VenueOrderId>) -> Option<VenueOrderId> {
    id.filter(|id| !matches!(id.0.as_str(), "" | "0"))
}

/// Judges the answer to a write about one order, or to a whole list call. `status` is `None` on a socket. An answer
/// that did not come is not judged here: it is Unknown.
pub fn judge_write(asked: &Asked, status: Option<u16>, body: &[u8]) -> WriteOutcome {
    let head = match Head::read(asked, body) {
        Ok(head) => head,
        Err(why) => return WriteOutcome::Unknown(unknown(status, None, &why, body)),
    };
    let result = head.value.get("result");
    let ack = result.and_then(|result| OrderAck::read(result, Manner::Tolerant).ok()).unwrap_or_default();
    let ids = Ids { order_id: named(ack.order_id), client_oid: ack.client_oid, list_id: None };
    if let (Some(told), Some(ours)) = (ids.client_oid, asked.client_oid)
        && told != ours
        && asked.method != Method::AmendOrder
        && asked.method != Method::AdvancedAmendOrder
    {
        let why = format!("the answer names client order id {told}, not {ours}");
        return WriteOutcome::Unknown(unknown(status, Some(head.code), &why, body));
    }
    if head.code == 0 {
        return succeeded(asked, status, body, ids, result);
    }
    let evidence = Evidence {
        status,
        code: Some(head.code),
        class: class_of_write(head.code, asked.method),
        text: head.message(),
        excerpt: excerpt(body),
    };
    by_class(ids, evidence)
}

/// A method of any kind judged as a write: silence about it is never taken for a failed read.
fn class_of_write(code: i64, method: Method) -> Class {
    crate::code::class_of(code, Effect::Write, method.is_advanced())
}

fn by_class(ids: Ids, evidence: Evidence) -> WriteOutcome {
    match evidence.class {
        Class::Exists => WriteOutcome::Exists(ids, evidence),
        _ if ids.order_id.is_some() => WriteOutcome::Recorded(ids, evidence),
        Class::Ended | Class::Partial => WriteOutcome::Recorded(ids, evidence),
        Class::LookUp => WriteOutcome::LookUp(evidence),
        Class::Refused => WriteOutcome::Refused(evidence),
        Class::Later => WriteOutcome::Later(evidence),
        Class::Access => WriteOutcome::Access(evidence),
        Class::Unknown | Class::Aside | Class::Success => WriteOutcome::Unknown(evidence),
    }
}

fn succeeded(
    asked: &Asked,
    status: Option<u16>,
    body: &[u8],
    ids: Ids,
    result: Option<&Value<'_>>,
) -> WriteOutcome {
    let unknown = |why: &str| WriteOutcome::Unknown(unknown(status, Some(0), why, body));
    if contradicts(status) {
        return unknown("code 0 with a failing HTTP status");
    }
    match shape(asked.method) {
        Shape::Nothing => WriteOutcome::Queued(ids),
        Shape::Order if ids.order_id.is_some() => WriteOutcome::Queued(ids),
        Shape::Order => unknown("code 0 without an order id"),
        Shape::List => match result.map(|result| ListMade::read(result, Manner::Tolerant)) {
            Some(Ok(made)) => WriteOutcome::Queued(Ids { list_id: named(Some(made.list_id)), ..ids }),
            Some(Err(_)) | None => unknown("code 0 without a list id"),
        },
        Shape::Elements => match result {
            Some(Value::Array(_)) => WriteOutcome::Queued(ids),
            Some(_) | None => unknown("code 0 without elements"),
        },
    }
}

/// Judges a list call: one outcome for each of `asked_for` orders, in the order of the request (section 7.2). The
/// call's own code 0 says nothing about them. An element that is missing, repeated or unreadable is Unknown; a call
/// that failed as a whole is the outcome of each.
pub fn judge_elements(
    asked: &Asked,
    asked_for: &[Option<Label>],
    status: Option<u16>,
    body: &[u8],
) -> Vec<WriteOutcome> {
    let whole = judge_write(asked, status, body);
    let WriteOutcome::Queued(_) = whole else {
        return asked_for.iter().map(|_| whole.clone()).collect();
    };
    let value = Value::parse(body).unwrap_or(Value::Null);
    let elements: Vec<ListAck> = match value.get("result") {
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| ListAck::read(item, Manner::Tolerant).ok()).collect()
        }
        Some(_) | None => Vec::new(),
    };
    let of = |(index, client_oid): (usize, &Option<Label>)| {
        let mut own = elements.iter().filter(|element| element.index as usize == index);
        match (own.next(), own.next()) {
            (Some(element), None) => element_outcome(asked.method, *client_oid, status, element, body),
            (Some(_), Some(_)) => WriteOutcome::Unknown(unknown(status, Some(0), "an element twice", body)),
            (None, _) => WriteOutcome::Unknown(unknown(status, Some(0), "an element is missing", body)),
        }
    };
    asked_for.iter().enumerate().map(of).collect()
}

fn element_outcome(
    method: Method,
    client_oid: Option<Label>,
    status: Option<u16>,
    element: &ListAck,
    body: &[u8],
) -> WriteOutcome {
    let ids = Ids { order_id: named(element.order_id), client_oid: element.client_oid, list_id: None };
    if let (Some(told), Some(ours)) = (element.client_oid, client_oid)
        && told != ours
    {
        return WriteOutcome::Unknown(unknown(status, Some(element.code), "another order's element", body));
    }
    let makes = matches!(method, Method::CreateOrderList | Method::AdvancedCreateOrderList);
    if element.code == 0 {
        if makes && ids.order_id.is_none() {
            return WriteOutcome::Unknown(unknown(status, Some(0), "code 0 without an order id", body));
        }
        return WriteOutcome::Queued(ids);
    }
    let name = Code::from_number(element.code).map(|code| code.row().name).unwrap_or_default();
    let evidence = Evidence {
        status,
        code: Some(element.code),
        class: class_of_write(element.code, method),
        text: Text::new(element.message.as_deref().unwrap_or(name)),
        excerpt: excerpt(body),
    };
    by_class(ids, evidence)
}

#[cfg(test)]
mod tests;
