//! Frames of the sockets, as a client reads them and as a server writes them (reference, section 12).
//!
//! A frame with the request's id may be both its acknowledgement and a first snapshot, so rows are taken from
//! whichever frame carries them. The order of `user.order`, `user.trade` and `user.balance` for one execution is not
//! defined: fold by ids. It never panics; a frame that is not understood is [`Frame::Unknown`] with its evidence.

use crate::code::{Class, class_of};
use crate::json::Value;
use crate::reply::{Evidence, excerpt};
use crate::request::{Effect, Method, NO_ID};
use crate::rows::{BalanceRow, BookDelta, BookRow, CandleRow, OrderRow, PublicTrade, Ticker, TradeRow};
use crate::wire::{Manner, Misfit, Rows, Wire, fill, put_member};
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
    fn read(channel: &str, rows: &Value<'_>) -> Option<Result<Data, Misfit>> {
        const MANNER: Manner = Manner::Tolerant;
        Some(match channel {
            "user.order" => Rows::read(rows, MANNER).map(Data::Orders),
            "user.advance.order" | "user.advanced.order" => Rows::read(rows, MANNER).map(Data::Triggers),
            "user.trade" => Rows::read(rows, MANNER).map(Data::Trades),
            "user.balance" => Rows::read(rows, MANNER).map(Data::Balances),
            "ticker" => Rows::read(rows, MANNER).map(Data::Tickers),
            "trade" => Rows::read(rows, MANNER).map(Data::PublicTrades),
            "book" => Rows::read(rows, MANNER).map(Data::Books),
            "book.update" => Rows::read(rows, MANNER).map(Data::Deltas),
            "candlestick" => Rows::read(rows, MANNER).map(Data::Candles),
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
        let unknown = |code: Option<i64>, why: &str| {
            let class = code.map_or(Class::Unknown, |code| class_of(code, Effect::Read, false));
            Frame::Unknown(Evidence {
                status: None,
                code,
                class,
                text: Text::new(why),
                excerpt: excerpt(bytes),
            })
        };
        let value = match Value::parse(bytes) {
            Ok(value) => value,
            Err(e) => return unknown(None, &format!("{e}")),
        };
        let id = value.get("id").and_then(Value::whole);
        let method = value.get("method").and_then(Value::text);
        if method == Some(HEARTBEAT) {
            return id.map_or_else(|| unknown(None, "a heartbeat without an id"), Frame::Heartbeat);
        }
        let id = id.filter(|id| *id >= 0);
        let code = value.get("code").and_then(Value::whole);
        let result = value.get("result");
        let rows = result.and_then(|result| result.get("data"));
        match (code, result, rows) {
            (Some(0) | None, Some(result), Some(rows)) => match Push::read(id, result, rows) {
                Ok(push) => Frame::Push(push),
                Err(why) => unknown(code, &why),
            },
            (Some(code), _, _) => Frame::Answer {
                id,
                method: method.and_then(Method::from_name),
                code,
                text: Text::new(value.get("message").and_then(Value::text).unwrap_or_default()),
            },
            (None, _, _) => unknown(None, "neither code nor rows"),
        }
    }
}

impl Push {
    fn read(id: Option<i64>, result: &Value<'_>, rows: &Value<'_>) -> Result<Push, String> {
        let channel = result.get("channel").and_then(Value::text).ok_or("rows without a channel")?;
        let data = match Data::read(channel, rows) {
            Some(Ok(data)) => data,
            Some(Err(misfit)) => return Err(format!("data: {misfit}")),
            None => return Err(format!("unknown channel {}", Label::lossy(channel))),
        };
        let subscription = result.get("subscription").and_then(Value::text).unwrap_or(channel);
        let mut push = Push {
            id,
            subscription: String::from(subscription),
            instrument: None,
            depth: None,
            interval: None,
            data,
        };
        // Beside the rows these are hints: one that cannot be read is as good as absent.
        let hint = |name: &str| result.get(name);
        if let Some(value) = hint("instrument_name") {
            let _ = fill(&mut push.instrument, "instrument_name", value, Manner::Tolerant);
        }
        if let Some(value) = hint("depth") {
            let _ = fill(&mut push.depth, "depth", value, Manner::Tolerant);
        }
        if let Some(value) = hint("interval") {
            let _ = fill(&mut push.interval, "interval", value, Manner::Tolerant);
        }
        Ok(push)
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
mod tests;
