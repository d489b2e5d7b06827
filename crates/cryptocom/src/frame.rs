//! Frames of the sockets, as a client reads them and as a server writes them (reference, section 12).
//!
//! A frame with the request's id may be both its acknowledgement and a first snapshot, so rows are taken from
//! whichever frame carries them. The order of `user.order`, `user.trade` and `user.balance` for one execution is not
//! defined: fold by ids. It never panics; a frame that is not understood is [`Frame::Unknown`] with its evidence.

use crate::code::{Class, class_of};
use crate::json::{Bracket, Reader, Value};
use crate::reply::{Evidence, excerpt};
use crate::request::{Effect, Method, NO_ID};
use crate::rows::{BalanceRow, BookDelta, BookRow, CandleRow, OrderRow, PublicTrade, Ticker, TradeRow};
use crate::wire::{Fault, Manner, Misfit, Rows, Stop, Wire, put_member};
use crate::write::{Integers, Json, Sink};
use aegis_model::{Label, Text};
use alloc::format;
use alloc::string::String;

/// The server's heartbeat.
pub const HEARTBEAT: &str = "public/heartbeat";

/// Rows of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// `user.order`: on every change; the first frame holds the open orders.
    Orders(Rows<OrderRow>),
    /// `user.advance.order`, which the vendor also spells `user.advanced.order`.
    Triggers(Rows<OrderRow>),
    /// `user.trade`.
    Trades(Rows<TradeRow>),
    /// `user.balance`: all coins, on every change.
    Balances(Rows<BalanceRow>),
    /// `ticker`.
    Tickers(Rows<Ticker>),
    /// `trade`.
    PublicTrades(Rows<PublicTrade>),
    /// `book`.
    Books(Rows<BookRow>),
    /// `book.update`.
    Deltas(Rows<BookDelta>),
    /// `candlestick`.
    Candles(Rows<CandleRow>),
}

impl Data {
    /// The rows of a channel; `None` when the channel is not known.
    fn pull(channel: &str, rows: &mut Reader<'_>) -> Option<Result<Data, Stop>> {
        const MANNER: Manner = Manner::Tolerant;
        Some(match channel {
            "user.order" => Rows::pull(rows, MANNER).map(Data::Orders),
            "user.advance.order" | "user.advanced.order" => Rows::pull(rows, MANNER).map(Data::Triggers),
            "user.trade" => Rows::pull(rows, MANNER).map(Data::Trades),
            "user.balance" => Rows::pull(rows, MANNER).map(Data::Balances),
            "ticker" => Rows::pull(rows, MANNER).map(Data::Tickers),
            "trade" => Rows::pull(rows, MANNER).map(Data::PublicTrades),
            "book" => Rows::pull(rows, MANNER).map(Data::Books),
            "book.update" => Rows::pull(rows, MANNER).map(Data::Deltas),
            "candlestick" => Rows::pull(rows, MANNER).map(Data::Candles),
            _ => return None,
        })
    }

    /// The family that carries such rows.
    pub const fn channel(&self) -> &'static str {
        match self {
            Data::Orders(_) => "user.order",
            Data::Triggers(_) => "user.advance.order",
            Data::Trades(_) => "user.trade",
            Data::Balances(_) => "user.balance",
            Data::Tickers(_) => "ticker",
            Data::PublicTrades(_) => "trade",
            Data::Books(_) => "book",
            Data::Deltas(_) => "book.update",
            Data::Candles(_) => "candlestick",
        }
    }

    fn put(&self, out: &mut dyn Sink) {
        match self {
            Data::Orders(rows) | Data::Triggers(rows) => put_member(rows, "data", out),
            Data::Trades(rows) => put_member(rows, "data", out),
            Data::Balances(rows) => put_member(rows, "data", out),
            Data::Tickers(rows) => put_member(rows, "data", out),
            Data::PublicTrades(rows) => put_member(rows, "data", out),
            Data::Books(rows) => put_member(rows, "data", out),
            Data::Deltas(rows) => put_member(rows, "data", out),
            Data::Candles(rows) => put_member(rows, "data", out),
        }
    }

    /// How many rows could not be read.
    pub fn misfits(&self) -> &[Misfit] {
        match self {
            Data::Orders(rows) | Data::Triggers(rows) => &rows.misfits,
            Data::Trades(rows) => &rows.misfits,
            Data::Balances(rows) => &rows.misfits,
            Data::Tickers(rows) => &rows.misfits,
            Data::PublicTrades(rows) => &rows.misfits,
            Data::Books(rows) => &rows.misfits,
            Data::Deltas(rows) => &rows.misfits,
            Data::Candles(rows) => &rows.misfits,
        }
    }
}

/// A frame with rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// The request that it also answers; none of a live push.
    pub id: Option<i64>,
    /// The full name of the subscription, such as `user.order.BTC_USDT`.
    pub subscription: String,
    /// The instrument, where the frame names one.
    pub instrument: Option<Label>,
    /// Of a book.
    pub depth: Option<u32>,
    /// Of candles.
    pub interval: Option<Label>,
    /// The rows.
    pub data: Data,
}

impl Push {
    /// The frame's text.
    pub fn text(&self, integers: Integers) -> String {
        let mut out = Json::new(512, integers);
        out.open_object();
        out.name("id");
        out.whole(self.id.unwrap_or(NO_ID));
        out.name("method");
        out.text("subscribe");
        out.name("code");
        out.whole(0);
        out.name("result");
        out.open_object();
        out.name("channel");
        out.text(self.data.channel());
        out.name("subscription");
        out.text(&self.subscription);
        put_member(&self.instrument, "instrument_name", &mut out);
        put_member(&self.depth, "depth", &mut out);
        put_member(&self.interval, "interval", &mut out);
        self.data.put(&mut out);
        out.close_object();
        out.close_object();
        out.into_text()
    }
}

/// A frame as a client sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// To be answered within 5 s with [`crate::request::heartbeat_answer`] and this id.
    Heartbeat(i64),
    /// Rows.
    Push(Push),
    /// The answer to a request: of an order command, judge the same bytes by [`crate::reply::judge_write`].
    Answer {
        /// Which request; none where the venue does not say.
        id: Option<i64>,
        /// Its method, if it is known.
        method: Option<Method>,
        /// 0 or an error.
        code: i64,
        /// The venue's words.
        text: Text,
    },
    /// Not understood. A torn or unknown frame means that something may have been missed.
    Unknown(Evidence),
}

impl Frame {
    /// Reads one text frame.
    pub fn read(bytes: &[u8]) -> Frame {
        let mut parts = Parts::default();
        let read = Reader::over(bytes).map_err(Stop::Json).and_then(|mut reader| parts.pull(&mut reader));
        let code = parts.code.as_ref().and_then(Value::whole);
        let unknown = |why: &str| {
            let class = code.map_or(Class::Unknown, |code| class_of(code, Effect::Read, false));
            Frame::Unknown(Evidence {
                status: None,
                code,
                class,
                text: Text::new(why),
                excerpt: excerpt(bytes),
            })
        };
        if let Err(stop) = read {
            return unknown(&format!("{stop}"));
        }
        let id = parts.id.as_ref().and_then(Value::whole);
        let method = parts.method.as_ref().and_then(Value::text);
        if method == Some(HEARTBEAT) {
            return id.map_or_else(|| unknown("a heartbeat without an id"), Frame::Heartbeat);
        }
        let id = id.filter(|id| *id >= 0);
        match (code, parts.result.rows()) {
            (Some(0) | None, Some(Ok(data))) => Frame::Push(parts.result.push(id, data)),
            (Some(0) | None, Some(Err(why))) => unknown(&why),
            (Some(code), _) => Frame::Answer {
                id,
                method: method.and_then(Method::from_name),
                code,
                text: Text::new(parts.message.as_ref().and_then(Value::text).unwrap_or_default()),
            },
            (None, None) => unknown("neither code nor rows"),
        }
    }
}

/// The members of a frame that mean something, before they are judged together.
#[derive(Default)]
struct Parts<'a> {
    id: Option<Value<'a>>,
    method: Option<Value<'a>>,
    code: Option<Value<'a>>,
    message: Option<Value<'a>>,
    result: ResultParts<'a>,
}

/// The same of its result. Rows are read where they stand if the channel is known by then, as the venue writes it,
/// and otherwise from a bookmark afterwards.
#[derive(Default)]
struct ResultParts<'a> {
    seen: bool,
    channel: Option<Value<'a>>,
    subscription: Option<Value<'a>>,
    instrument: Option<Value<'a>>,
    depth: Option<Value<'a>>,
    interval: Option<Value<'a>>,
    data: Option<Result<Data, Misfit>>,
    later: Option<Reader<'a>>,
}

/// Keeps a member; a repeated one makes the frame mean nothing.
fn keep<'a>(place: &mut Option<Value<'a>>, name: &'static str, reader: &mut Reader<'a>) -> Result<(), Stop> {
    let value = reader.value()?;
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Stop::Misfit(Misfit { member: name, fault: Fault::Repeated })),
    }
}

impl<'a> Parts<'a> {
    fn pull(&mut self, reader: &mut Reader<'a>) -> Result<(), Stop> {
        if !reader.open(Bracket::Object)? {
            // Any other document is read to its end, to tell a torn one from a strange one.
            reader.skip()?;
            return Ok(reader.finish()?);
        }
        let mut first = true;
        while let Some(name) = reader.member(&mut first)? {
            match name.as_ref() {
                "id" => keep(&mut self.id, "id", reader)?,
                "method" => keep(&mut self.method, "method", reader)?,
                "code" => keep(&mut self.code, "code", reader)?,
                "message" => keep(&mut self.message, "message", reader)?,
                "result" => self.result.pull(reader)?,
                _ => reader.skip()?,
            }
        }
        Ok(reader.finish()?)
    }
}

impl<'a> ResultParts<'a> {
    fn pull(&mut self, reader: &mut Reader<'a>) -> Result<(), Stop> {
        if core::mem::replace(&mut self.seen, true) {
            return Err(Stop::Misfit(Misfit { member: "result", fault: Fault::Repeated }));
        }
        if !reader.open(Bracket::Object)? {
            return Ok(reader.skip()?);
        }
        let mut first = true;
        while let Some(name) = reader.member(&mut first)? {
            match name.as_ref() {
                "channel" => keep(&mut self.channel, "channel", reader)?,
                "subscription" => keep(&mut self.subscription, "subscription", reader)?,
                "instrument_name" => keep(&mut self.instrument, "instrument_name", reader)?,
                "depth" => keep(&mut self.depth, "depth", reader)?,
                "interval" => keep(&mut self.interval, "interval", reader)?,
                "data" => self.pull_data(reader)?,
                _ => reader.skip()?,
            }
        }
        match self.later {
            Some(mut reader) => self.pull_known(&mut reader).map(|_| ()),
            None => Ok(()),
        }
    }

    fn pull_data(&mut self, reader: &mut Reader<'a>) -> Result<(), Stop> {
        if self.data.is_some() || self.later.is_some() {
            return Err(Stop::Misfit(Misfit { member: "data", fault: Fault::Repeated }));
        }
        if reader.null()? {
            return Ok(());
        }
        let here = *reader;
        if !self.pull_known(reader)? {
            self.later = Some(here);
            *reader = here;
            reader.skip()?;
        }
        Ok(())
    }

    /// Pulls the rows if their channel is known by now.
    fn pull_known(&mut self, reader: &mut Reader<'a>) -> Result<bool, Stop> {
        let here = *reader;
        let Some(pulled) = self.channel.as_ref().and_then(Value::text).and_then(|c| Data::pull(c, reader))
        else {
            return Ok(false);
        };
        self.data = Some(match pulled {
            Ok(data) => Ok(data),
            Err(Stop::Json(e)) => return Err(Stop::Json(e)),
            Err(Stop::Misfit(misfit)) => {
                *reader = here;
                reader.skip()?;
                Err(misfit)
            }
        });
        Ok(true)
    }

    /// The rows, or why they mean nothing; `None` without any.
    fn rows(&mut self) -> Option<Result<Data, String>> {
        match (self.data.take(), self.later, self.channel.as_ref().and_then(Value::text)) {
            (Some(Ok(data)), _, _) => Some(Ok(data)),
            (Some(Err(misfit)), _, _) => Some(Err(format!("data: {misfit}"))),
            (None, Some(_), Some(channel)) => Some(Err(format!("unknown channel {}", Label::lossy(channel)))),
            (None, Some(_), None) => Some(Err(String::from("rows without a channel"))),
            (None, None, _) => None,
        }
    }

    /// The frame. Beside its rows the other members are hints: one that cannot be read is as good as absent.
    fn push(&self, id: Option<i64>, data: Data) -> Push {
        fn hint<T: Wire>(value: Option<&Value<'_>>) -> Option<T> {
            T::read(value?, Manner::Tolerant).ok()
        }
        let subscription = self.subscription.as_ref().or(self.channel.as_ref()).and_then(Value::text);
        Push {
            id,
            subscription: String::from(subscription.unwrap_or_default()),
            instrument: hint(self.instrument.as_ref()),
            depth: hint(self.depth.as_ref()),
            interval: hint(self.interval.as_ref()),
            data,
        }
    }
}

/// The server's heartbeat frame, sent every 30 s (section 12.2).
pub fn heartbeat(id: i64, integers: Integers) -> String {
    acknowledge(id, HEARTBEAT, 0, None, integers)
}

/// The server's acknowledgement of a frame without a result.
pub fn acknowledge(id: i64, method: &str, code: i64, message: Option<&str>, integers: Integers) -> String {
    let mut out = Json::new(96, integers);
    out.open_object();
    out.name("id");
    out.whole(id);
    out.name("method");
    out.text(method);
    out.name("code");
    out.whole(code);
    if let Some(message) = message {
        out.name("message");
        out.text(message);
    }
    out.close_object();
    out.into_text()
}

#[cfg(test)]
pub(crate) mod tests;
