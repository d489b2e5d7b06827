//! The signal port: one JSON object a line, from a file, a pipe or a socket.
//!
//! ```text
//! {"instrument":"BTC_USDT","direction":"up","confidence":0.9,"source":"desk","horizon_min":60,"at":"2025-03-25T23:07:02Z"}
//! ```
//!
//! A line is a signal or a named fault, and a fault never stops the lines after it. Numbers are read as they are
//! written: nothing passes through a float. It never keeps more than 64 KiB of a line and never reads the clock.

use aegis_model::event::Direction;
use aegis_model::ids::SECOND;
use aegis_model::input::SignalIn;
use aegis_model::{Fixed, Input, Label, Rate, Text, Timestamp};
use serde_json::value::RawValue;
use std::io::{self, BufRead};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bytes of a line that are read; a signal has about 150.
pub(crate) const LINE_MAX: usize = 64 * 1024;

/// Minutes that a signal may count at most: 366 days. More is most likely another unit.
const HORIZON_MAX_MIN: i64 = 366 * 24 * 60;

/// A well-formed signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SignalLine {
    /// Its line, from 1: its place in the stream of every source that writes there.
    pub(crate) position: u64,
    /// Who says it.
    pub(crate) source: Label,
    /// The instrument's name; whether it is listed is not known here.
    pub(crate) instrument: Label,
    /// Up, down or neutral.
    pub(crate) direction: Direction,
    /// 0..=1.
    pub(crate) confidence: Rate,
    /// When it is to be delivered; at once when absent.
    pub(crate) at: Option<Timestamp>,
    /// How long it counts, ns; above zero.
    pub(crate) horizon_ns: i64,
}

/// A line that is not a signal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BadLine {
    /// Its line, from 1.
    pub(crate) position: u64,
    /// Who says it, where that much can be read.
    pub(crate) source: Option<Label>,
    /// What is wrong with it, without control characters.
    pub(crate) reason: Text,
}

impl SignalLine {
    /// The signal as an input; one without a time of its own was made now.
    pub(crate) fn input(&self, now: Timestamp) -> Input {
        Input::Signal(SignalIn {
            source: self.source,
            position: self.position,
            instrument: self.instrument,
            direction: self.direction,
            confidence: self.confidence,
            at: self.at.unwrap_or(now),
            horizon_ns: self.horizon_ns,
        })
    }
}

impl BadLine {
    /// The fault as an input, in the name of the port where the line does not tell its source.
    pub(crate) fn input(&self, port: Label) -> Input {
        Input::BadSignal {
            source: self.source.unwrap_or(port),
            position: self.position,
            reason: self.reason.clone(),
        }
    }
}

/// A stream of signals.
pub(crate) struct Port<R> {
    input: R,
    position: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Port<R> {
    /// A port on a stream, before its first line.
    pub(crate) const fn new(input: R) -> Port<R> {
        Port { input, position: 0, text: Vec::new() }
    }

    /// The next line that is not blank: a signal or what is wrong with it. `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream's own, which say nothing about the line: it is not counted as read.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Result<SignalLine, BadLine>>> {
        loop {
            self.text.clear();
            let Some(fits) = take_line(&mut self.input, &mut self.text)? else { return Ok(None) };
            self.position += 1;
            if !fits {
                let reason = Text::new("a line longer than 64 KiB");
                return Ok(Some(Err(BadLine { position: self.position, source: None, reason })));
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some(parse(self.position, &self.text)));
            }
        }
    }
}

/// Reads one line into `text`, or passes over it when it is too long (`Some(false)`). `None` at the end.
fn take_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let (mut any, mut fits) = (false, true);
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if chunk.is_empty() {
            return Ok(any.then_some(fits));
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        fits &= text.len() + part.len() <= LINE_MAX;
        if fits {
            text.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            return Ok(Some(fits));
        }
    }
}

/// The fields as they are written; numbers stay text.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    instrument: String,
    direction: String,
    #[serde(borrow)]
    confidence: &'a RawValue,
    source: String,
    #[serde(borrow)]
    horizon_min: &'a RawValue,
    #[serde(borrow, default)]
    at: Option<&'a RawValue>,
}

/// Reads one line.
fn parse(position: u64, text: &[u8]) -> Result<SignalLine, BadLine> {
    signal(position, text).map_err(|reason| {
        #[derive(serde::Deserialize)]
        struct Named {
            source: String,
        }
        let named =
            serde_json::from_slice::<Named>(text).ok().and_then(|named| label("source", &named.source).ok());
        let reason: String = reason.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        BadLine { position, source: named, reason: Text::new(&reason) }
    })
}

fn signal(position: u64, text: &[u8]) -> Result<SignalLine, String> {
    let text = str::from_utf8(text).map_err(|e| format!("not UTF-8: {e}"))?;
    let written: Written<'_> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let confidence = decimal("confidence", written.confidence)?;
    if confidence.is_negative() || confidence > Fixed::ONE {
        return Err(format!("confidence: {confidence} is not within 0 to 1"));
    }
    Ok(SignalLine {
        position,
        source: label("source", &written.source)?,
        instrument: label("instrument", &written.instrument)?,
        direction: direction(&written.direction)?,
        confidence: Rate(confidence),
        at: written.at.map(time_of).transpose()?,
        horizon_ns: horizon_ns(written.horizon_min)?,
    })
}

fn label(field: &str, text: &str) -> Result<Label, String> {
    match text.parse::<Label>() {
        Ok(label) if label.is_empty() => Err(format!("{field}: empty")),
        Ok(label) => Ok(label),
        Err(e) => Err(format!("{field}: {e}")),
    }
}

fn direction(text: &str) -> Result<Direction, String> {
    match text.to_ascii_lowercase().as_str() {
        "up" | "buy" | "long" => Ok(Direction::Up),
        "down" | "sell" => Ok(Direction::Down),
        "neutral" | "hold" => Ok(Direction::Neutral),
        "short" => Err(String::from("direction: nothing is sold short; say down to leave a position")),
        _ => Err(format!("direction: {text:?} is none of up, down, neutral (or buy, long, sell, hold)")),
    }
}

/// The exact value of a number, or of a number in quotes.
fn decimal(field: &str, raw: &RawValue) -> Result<Fixed, String> {
    let quoted = string(raw);
    let text = match &quoted {
        Some(text) => text.as_str(),
        None => raw.get(),
    };
    if !text.starts_with(['-', '+', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
        return Err(format!("{field}: {} is not a number", raw.get()));
    }
    if text.contains(['e', 'E']) {
        return Err(format!("{field}: {text} has an exponent; write it out"));
    }
    text.parse().map_err(|e| format!("{field}: {e}: {text}"))
}

fn horizon_ns(raw: &RawValue) -> Result<i64, String> {
    let minutes = decimal("horizon_min", raw)?;
    if !minutes.is_positive() || minutes > Fixed::from_int(HORIZON_MAX_MIN) {
        return Err(format!("horizon_min: {minutes} is not above 0 and at most {HORIZON_MAX_MIN} minutes"));
    }
    // Minutes in units of 10^-18, times 60 * 10^9 ns; bounded above, so the product fits.
    let scaled = minutes.units() * i128::from(60 * SECOND);
    if scaled % Fixed::ONE.units() != 0 {
        return Err(format!("horizon_min: {minutes} is no whole number of nanoseconds"));
    }
    i64::try_from(scaled / Fixed::ONE.units()).map_err(|e| format!("horizon_min: {e}"))
}

/// Nanoseconds since 1970 as an integer, or a time of RFC 3339 in quotes.
fn time_of(raw: &RawValue) -> Result<Timestamp, String> {
    let ns = match string(raw) {
        Some(text) => {
            let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(|e| format!("at: {text:?}: {e}"))?;
            i64::try_from(time.unix_timestamp_nanos()).ok()
        }
        None => raw.get().parse::<i64>().ok(),
    };
    let ns = ns.filter(|ns| *ns >= 0);
    ns.map(Timestamp).ok_or_else(|| {
        format!("at: {} is neither whole nanoseconds since 1970 nor an RFC 3339 time in quotes", raw.get())
    })
}

/// The content, when it is a string.
fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests;
