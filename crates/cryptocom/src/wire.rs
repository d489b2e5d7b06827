//! How one value stands on the wire, both ways: written, read tolerantly (a reply) or strictly (a request).
//!
//! Every message is declared once, by the `members` macro below: its Rust type, its writer and its reader come from
//! one list of names, so that the two sides of the wire cannot disagree and a misspelt name cannot be sent (the
//! venue ignores unknown parameters silently; reference, section 1). Unknown members are ignored, unknown words are
//! kept, `null` is absence, a repeated member is refused. It never guesses: what does not fit is a [`Misfit`].

use crate::json::{Bracket, JsonError, Reader, Value, whole};
use crate::odd::Oddities;
use crate::write::Sink;
use aegis_model::fixed::ParseFixedError;
use aegis_model::{Fixed, Label, Money, Price, Quantity, Rate, Timestamp, TradeId, VenueOrderId};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// How strictly a value is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// A reply: integers or digit strings, words in any case, unknown words kept.
    Tolerant,
    /// A request, as strict as the venue is (reference, section 2, "Type strictness").
    Strict,
}

/// What is wrong with a member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// It must be there.
    Missing,
    /// It is there twice.
    Repeated,
    /// Another JSON type than it may have.
    Type,
    /// The right type with contents that mean nothing here.
    Form,
    /// A decimal that cannot be kept exactly.
    Inexact,
}

/// The member that did not fit, by its name on the wire; empty for the value as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// Its name.
    pub member: &'static str,
    /// What is wrong.
    pub fault: Fault,
}

impl Misfit {
    pub(crate) const fn new(fault: Fault) -> Misfit {
        Misfit { member: "", fault }
    }

    pub(crate) fn at(self, member: &'static str) -> Misfit {
        if self.member.is_empty() { Misfit { member, ..self } } else { self }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = if self.member.is_empty() { "the value" } else { self.member };
        let what = match self.fault {
            Fault::Missing => "is missing",
            Fault::Repeated => "is there twice",
            Fault::Type => "has another JSON type than it may have",
            Fault::Form => "means nothing here",
            Fault::Inexact => "is a decimal beyond 18 fractional digits or 1.7e20",
        };
        write!(f, "{member} {what}")
    }
}

impl core::error::Error for Misfit {}

/// Why a value could not be pulled from a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The document is no JSON; nothing after this place can be read.
    Json(JsonError),
    /// The value does not fit; the reader stands somewhere inside it.
    Misfit(Misfit),
}

impl From<JsonError> for Stop {
    fn from(e: JsonError) -> Stop {
        Stop::Json(e)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Json(e) => e.fmt(f),
            Stop::Misfit(misfit) => misfit.fmt(f),
        }
    }
}

impl core::error::Error for Stop {}

const fn stop(fault: Fault) -> Stop {
    Stop::Misfit(Misfit::new(fault))
}

/// A value that stands on the wire.
pub trait Wire: Sized {
    /// Writes it as a JSON value.
    fn put(&self, out: &mut dyn Sink);

    /// Reads it.
    ///
    /// # Errors
    /// [`Misfit`] naming the member that does not fit.
    fn read(value: &Value<'_>, manner: Manner) -> Result<Self, Misfit>;

    /// Reads it straight from a document, without a tree in between: for frames, which are many and urgent. The same
    /// value and the same misfit as [`Wire::read`].
    ///
    /// # Errors
    /// [`Stop`].
    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Self, Stop> {
        Self::read(&reader.value()?, manner).map_err(Stop::Misfit)
    }

    /// What a member that is not there means; `None` when it must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether a member with this value is left out.
    fn is_absent(&self) -> bool {
        false
    }

    /// Notes what is odd about the spelling that this value was read from.
    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        let _ = (raw, odd);
    }
}

/// Whether names rise strictly, byte by byte: the order in which they are signed.
pub(crate) const fn ascending(names: &[&str]) -> bool {
    let mut i = 1;
    while i < names.len() {
        let (a, b) = (names[i - 1].as_bytes(), names[i].as_bytes());
        let mut at = 0;
        while at < a.len() && at < b.len() && a[at] == b[at] {
            at += 1;
        }
        let rises = if at == a.len() { at < b.len() } else { at < b.len() && a[at] < b[at] };
        if !rises {
            return false;
        }
        i += 1;
    }
    true
}

/// Reads one member into its place.
pub(crate) fn fill<T: Wire>(
    place: &mut Option<T>,
    name: &'static str,
    value: &Value<'_>,
    manner: Manner,
) -> Result<(), Misfit> {
    match value {
        Value::Null => return Ok(()),
        Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => {}
    }
    if place.is_some() {
        return Err(Misfit { member: name, fault: Fault::Repeated });
    }
    *place = Some(T::read(value, manner).map_err(|misfit| misfit.at(name))?);
    Ok(())
}

/// Pulls one member into its place.
pub(crate) fn draw<T: Wire>(
    place: &mut Option<T>,
    name: &'static str,
    reader: &mut Reader<'_>,
    manner: Manner,
) -> Result<(), Stop> {
    if reader.null()? {
        return Ok(());
    }
    if place.is_some() {
        return Err(Stop::Misfit(Misfit { member: name, fault: Fault::Repeated }));
    }
    *place = Some(T::pull(reader, manner).map_err(|e| match e {
        Stop::Misfit(misfit) => Stop::Misfit(misfit.at(name)),
        Stop::Json(e) => Stop::Json(e),
    })?);
    Ok(())
}

/// Pulls a value; one that does not fit is passed over whole.
fn attempt<T: Wire>(reader: &mut Reader<'_>, manner: Manner) -> Result<Result<T, Misfit>, Stop> {
    let here = *reader;
    match T::pull(reader, manner) {
        Ok(value) => Ok(Ok(value)),
        Err(Stop::Json(e)) => Err(Stop::Json(e)),
        Err(Stop::Misfit(misfit)) => {
            *reader = here;
            reader.skip()?;
            Ok(Err(misfit))
        }
    }
}

/// What a place holds in the end.
pub(crate) fn settle<T: Wire>(place: Option<T>, name: &'static str) -> Result<T, Misfit> {
    place.or_else(T::absent).ok_or(Misfit { member: name, fault: Fault::Missing })
}

/// Writes one member unless its value is absence.
pub(crate) fn put_member<T: Wire>(value: &T, name: &str, out: &mut dyn Sink) {
    if !value.is_absent() {
        out.name(name);
        value.put(out);
    }
}

/// Declares a JSON object: `field: Type = "name on the wire"`, names in ascending order.
macro_rules! members {
    ($(#[$doc:meta])* pub struct $struct:ident {
        $($(#[$fdoc:meta])* $field:ident: $type:ty = $name:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Debug, Default)]
        pub struct $struct { $($(#[$fdoc])* pub $field: $type,)* }

        impl $crate::wire::Wire for $struct {
            fn put(&self, out: &mut dyn $crate::write::Sink) {
                out.open_object();
                $($crate::wire::put_member(&self.$field, $name, out);)*
                out.close_object();
            }

            fn read(
                value: &$crate::json::Value<'_>,
                manner: $crate::wire::Manner,
            ) -> Result<$struct, $crate::wire::Misfit> {
                let $crate::json::Value::Object(members) = value else {
                    return Err($crate::wire::Misfit::new($crate::wire::Fault::Type));
                };
                $(let mut $field: Option<$type> = None;)*
                for (name, value) in members {
                    match name.as_ref() {
                        $($name => $crate::wire::fill(&mut $field, $name, value, manner)?,)*
                        _ => {}
                    }
                }
                Ok($struct { $($field: $crate::wire::settle($field, $name)?,)* })
            }

            fn pull(
                reader: &mut $crate::json::Reader<'_>,
                manner: $crate::wire::Manner,
            ) -> Result<$struct, $crate::wire::Stop> {
                if !reader.open($crate::json::Bracket::Object)? {
                    return Err($crate::wire::Stop::Misfit($crate::wire::Misfit::new($crate::wire::Fault::Type)));
                }
                $(let mut $field: Option<$type> = None;)*
                let mut first = true;
                while let Some(name) = reader.member(&mut first)? {
                    match name.as_ref() {
                        $($name => $crate::wire::draw(&mut $field, $name, reader, manner)?,)*
                        _ => reader.skip()?,
                    }
                }
                let settled = || {
                    Ok($struct { $($field: $crate::wire::settle($field, $name)?,)* })
                };
                settled().map_err($crate::wire::Stop::Misfit)
            }

            fn oddities(&self, raw: &$crate::json::Value<'_>, odd: &mut $crate::odd::Oddities) {
                let $crate::json::Value::Object(members) = raw else { return };
                for (name, value) in members {
                    match name.as_ref() {
                        $($name => odd.member($name, &self.$field, value),)*
                        other => odd.unknown(other),
                    }
                }
            }
        }

        #[cfg(test)]
        impl $crate::wire::tests::Made for $struct {
            fn made(source: &mut $crate::wire::tests::Source) -> $struct {
                $struct { $($field: $crate::wire::tests::Made::made(source),)* }
            }
        }

        const _: () = assert!(
            $crate::wire::ascending(&[$($name),*]),
            "members are declared in the order in which they are signed",
        );
    };
}
pub(crate) use members;

/// Declares a set of words of the venue; any other word is kept as `Unknown`.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $enum:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum $enum {
            $($(#[$vdoc])* $variant,)+
            /// A word that is not known: its first 36 characters, anything unprintable as `?`.
            Unknown(aegis_model::Label),
        }

        impl $enum {
            /// Every known word.
            pub const ALL: &'static [$enum] = &[$($enum::$variant,)+];

            /// The word as the venue spells it.
            pub fn word(&self) -> &str {
                match self {
                    $($enum::$variant => $word,)+
                    $enum::Unknown(word) => word.as_str(),
                }
            }

            /// Whether it is one of the known words.
            pub const fn is_known(&self) -> bool {
                !matches!(self, $enum::Unknown(_))
            }
        }

        impl Default for $enum {
            /// The empty unknown word.
            fn default() -> $enum {
                $enum::Unknown(aegis_model::Label::EMPTY)
            }
        }

        impl $crate::wire::Wire for $enum {
            fn put(&self, out: &mut dyn $crate::write::Sink) {
                out.text(self.word());
            }

            fn read(
                value: &$crate::json::Value<'_>,
                manner: $crate::wire::Manner,
            ) -> Result<$enum, $crate::wire::Misfit> {
                let text = value.text().ok_or($crate::wire::Misfit::new($crate::wire::Fault::Type))?;
                $enum::of(text, manner)
            }

            fn pull(
                reader: &mut $crate::json::Reader<'_>,
                manner: $crate::wire::Manner,
            ) -> Result<$enum, $crate::wire::Stop> {
                let read = match reader.plain_text()? {
                    Some(text) => $enum::of(text, manner),
                    None => $enum::read(&reader.value()?, manner),
                };
                read.map_err($crate::wire::Stop::Misfit)
            }

            fn oddities(&self, raw: &$crate::json::Value<'_>, odd: &mut $crate::odd::Oddities) {
                if self.is_known() {
                    odd.respelled_if(raw.text() != Some(self.word()));
                } else {
                    odd.strange();
                }
            }
        }

        impl $enum {
            fn of(text: &str, manner: $crate::wire::Manner) -> Result<$enum, $crate::wire::Misfit> {
                match text {
                    $($word => return Ok($enum::$variant),)+
                    _ => {}
                }
                match manner {
                    $crate::wire::Manner::Strict => {
                        Err($crate::wire::Misfit::new($crate::wire::Fault::Form))
                    }
                    $crate::wire::Manner::Tolerant => {
                        let known = $enum::ALL.iter().find(|w| w.word().eq_ignore_ascii_case(text));
                        Ok(known.copied().unwrap_or_else(|| $enum::Unknown(aegis_model::Label::lossy(text))))
                    }
                }
            }
        }

        #[cfg(test)]
        impl $crate::wire::tests::Made for $enum {
            fn made(source: &mut $crate::wire::tests::Source) -> $enum {
                source.pick($enum::ALL)
            }
        }
    };
}
pub(crate) use words;

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut dyn Sink) {
        match self {
            Some(value) => value.put(out),
            None => out.null(),
        }
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Option<T>, Misfit> {
        T::read(value, manner).map(Some)
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Option<T>, Stop> {
        T::pull(reader, manner).map(Some)
    }

    fn absent() -> Option<Option<T>> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        if let Some(value) = self {
            value.oddities(raw, odd);
        }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, out: &mut dyn Sink) {
        out.open_array();
        self.iter().for_each(|item| item.put(out));
        out.close_array();
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Vec<T>, Misfit> {
        let Value::Array(items) = value else { return Err(Misfit::new(Fault::Type)) };
        items.iter().map(|item| T::read(item, manner)).collect()
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Vec<T>, Stop> {
        if !reader.open(Bracket::Array)? {
            return Err(stop(Fault::Type));
        }
        let (mut items, mut first) = (Vec::new(), true);
        while reader.item(&mut first)? {
            items.push(T::pull(reader, manner)?);
        }
        Ok(items)
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        let Value::Array(items) = raw else { return };
        self.iter().zip(items).for_each(|(item, raw)| item.oddities(raw, odd));
    }
}

/// A list of rows in which one unreadable row does not hide the others. It is complete only while `misfits` is
/// empty; an absent list is a misfit of its parent and never an empty list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rows<T> {
    /// The rows that were read.
    pub rows: Vec<T>,
    /// Why the others were not.
    pub misfits: Vec<Misfit>,
}

impl<T> Rows<T> {
    /// These rows, all of them readable.
    pub const fn of(rows: Vec<T>) -> Rows<T> {
        Rows { rows, misfits: Vec::new() }
    }

    /// The rows, if every one was read.
    pub fn complete(&self) -> Option<&[T]> {
        if self.misfits.is_empty() { Some(&self.rows) } else { None }
    }
}

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows::of(Vec::new())
    }
}

impl<T: Wire> Wire for Rows<T> {
    fn put(&self, out: &mut dyn Sink) {
        out.open_array();
        self.rows.iter().for_each(|row| row.put(out));
        out.close_array();
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Rows<T>, Misfit> {
        let Value::Array(items) = value else { return Err(Misfit::new(Fault::Type)) };
        let mut rows = Rows::of(Vec::with_capacity(items.len()));
        for item in items {
            match T::read(item, manner) {
                Ok(row) => rows.rows.push(row),
                Err(misfit) => rows.misfits.push(misfit),
            }
        }
        Ok(rows)
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Rows<T>, Stop> {
        if !reader.open(Bracket::Array)? {
            return Err(stop(Fault::Type));
        }
        let (mut rows, mut first) = (Rows::default(), true);
        while reader.item(&mut first)? {
            match attempt(reader, manner)? {
                Ok(row) => rows.rows.push(row),
                Err(misfit) => rows.misfits.push(misfit),
            }
        }
        Ok(rows)
    }

    /// Of rows that were all read: with one missing nobody knows which is which.
    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        if self.misfits.is_empty() {
            self.rows.oddities(raw, odd);
        }
    }
}

/// `{"data": [...]}`, the shape of most results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing<T> {
    /// The rows.
    pub data: Rows<T>,
}

impl<T> Listing<T> {
    /// These rows.
    pub const fn of(rows: Vec<T>) -> Listing<T> {
        Listing { data: Rows::of(rows) }
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Listing<T> {
        Listing { data: Rows::default() }
    }
}

impl<T: Wire> Wire for Listing<T> {
    fn put(&self, out: &mut dyn Sink) {
        out.open_object();
        put_member(&self.data, "data", out);
        out.close_object();
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Listing<T>, Misfit> {
        let Value::Object(members) = value else { return Err(Misfit::new(Fault::Type)) };
        let mut data = None;
        for (_, value) in members.iter().filter(|(name, _)| name == "data") {
            fill(&mut data, "data", value, manner)?;
        }
        Ok(Listing { data: settle(data, "data")? })
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        if let Some(rows) = raw.get("data") {
            self.data.oddities(rows, odd);
        }
    }
}

/// A figure on which nothing depends: unreadable is absent, so that it cannot hide the row around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spare<T>(pub Option<T>);

impl<T> Default for Spare<T> {
    fn default() -> Spare<T> {
        Spare(None)
    }
}

impl<T: Wire> Wire for Spare<T> {
    fn put(&self, out: &mut dyn Sink) {
        self.0.put(out);
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Spare<T>, Misfit> {
        Ok(Spare(T::read(value, manner).ok()))
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Spare<T>, Stop> {
        Ok(Spare(attempt(reader, manner)?.ok()))
    }

    fn absent() -> Option<Spare<T>> {
        Some(Spare(None))
    }

    fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        match &self.0 {
            Some(value) => value.oddities(raw, odd),
            None => odd.strange(),
        }
    }
}

impl Wire for String {
    fn put(&self, out: &mut dyn Sink) {
        out.text(self);
    }

    fn read(value: &Value<'_>, _: Manner) -> Result<String, Misfit> {
        value.text().map(String::from).ok_or(Misfit::new(Fault::Type))
    }
}

impl Wire for Label {
    fn put(&self, out: &mut dyn Sink) {
        out.text(self.as_str());
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Label, Stop> {
        match reader.plain_text()? {
            Some(text) => text.parse().map_err(|_| stop(Fault::Form)),
            None => Label::read(&reader.value()?, manner).map_err(Stop::Misfit),
        }
    }

    /// Ids come as digit strings and, some of them, as bare integers (reference, section 2).
    fn read(value: &Value<'_>, _: Manner) -> Result<Label, Misfit> {
        let text = match value {
            Value::Number(digits) => whole_digits(digits)?,
            Value::Text(text) => text,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Misfit::new(Fault::Type));
            }
        };
        text.parse().map_err(|_| Misfit::new(Fault::Form))
    }
}

/// The digits of a bare number, when it is a whole number and so names an id.
fn whole_digits(digits: &str) -> Result<&str, Misfit> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { Ok(digits) } else { Err(Misfit::new(Fault::Form)) }
}

macro_rules! of_label {
    ($($name:ident),+) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut dyn Sink) {
                self.0.put(out);
            }

            fn read(value: &Value<'_>, manner: Manner) -> Result<$name, Misfit> {
                Label::read(value, manner).map($name)
            }

            fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<$name, Stop> {
                Label::pull(reader, manner).map($name)
            }
        }
    )+ };
}
of_label!(VenueOrderId, TradeId);

/// A plain decimal: `-`, digits, a point, digits. No exponent in either direction (reference, section 2).
pub(crate) fn decimal(text: &str) -> Result<Fixed, Fault> {
    match narrow(text) {
        Some(value) => Ok(value),
        None => wide(text),
    }
}

/// The same for up to 18 characters, which is nearly all there are: one pass over 64 bits. `None` leaves the
/// judgement to [`wide`].
fn narrow(text: &str) -> Option<Fixed> {
    let (negative, magnitude) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    if magnitude.is_empty() || magnitude.len() > 18 {
        return None;
    }
    let (mut mantissa, mut point) = (0i64, None);
    for (at, byte) in magnitude.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
            b'.' if at > 0 && point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let scale = point.map_or(0, |at| magnitude.len() - 1 - at);
    if point.is_some() && scale == 0 {
        return None;
    }
    let mantissa = if negative { -mantissa } else { mantissa };
    Fixed::from_parts(i128::from(mantissa), u32::try_from(scale).ok()?)
}

fn wide(text: &str) -> Result<Fixed, Fault> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let plain = match magnitude.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part),
        None => digits(magnitude),
    };
    if !plain {
        return Err(Fault::Form);
    }
    text.parse().map_err(|e| {
        let inexact = matches!(e, ParseFixedError::TooFine | ParseFixedError::TooLarge);
        if inexact { Fault::Inexact } else { Fault::Form }
    })
}

impl Wire for Fixed {
    fn put(&self, out: &mut dyn Sink) {
        out.plain(format_args!("{self}"));
    }

    fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<Fixed, Stop> {
        match reader.plain_text()? {
            Some(text) => decimal(text).map_err(stop),
            None => Fixed::read(&reader.value()?, manner).map_err(Stop::Misfit),
        }
    }

    /// Strictly only a string: the venue refuses bare numbers here, each parameter with a code of its own.
    fn read(value: &Value<'_>, manner: Manner) -> Result<Fixed, Misfit> {
        let text = match manner {
            Manner::Strict => value.text(),
            Manner::Tolerant => value.digits(),
        };
        decimal(text.ok_or(Misfit::new(Fault::Type))?).map_err(Misfit::new)
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        odd.respelled_if(raw.text().is_none());
    }
}

macro_rules! of_fixed {
    ($($name:ident),+) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut dyn Sink) {
                self.0.put(out);
            }

            fn read(value: &Value<'_>, manner: Manner) -> Result<$name, Misfit> {
                Fixed::read(value, manner).map($name)
            }

            fn pull(reader: &mut Reader<'_>, manner: Manner) -> Result<$name, Stop> {
                Fixed::pull(reader, manner).map($name)
            }

            fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
                self.0.oddities(raw, odd);
            }
        }
    )+ };
}
of_fixed!(Price, Quantity, Money, Rate);

macro_rules! of_whole {
    ($($name:ident),+) => { $(
        impl Wire for $name {
            fn put(&self, out: &mut dyn Sink) {
                out.whole(i64::from(*self));
            }

            fn read(value: &Value<'_>, _: Manner) -> Result<$name, Misfit> {
                let number = whole(value.digits().ok_or(Misfit::new(Fault::Type))?);
                number.and_then(|n| $name::try_from(n).ok()).ok_or(Misfit::new(Fault::Form))
            }

            fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
                odd.respelled_if(raw.text().is_some());
            }
        }
    )+ };
}
of_whole!(i64, u32);

impl Wire for bool {
    fn put(&self, out: &mut dyn Sink) {
        out.flag(*self);
    }

    /// One member has been shown as `"true"` (reference, section 2).
    fn read(value: &Value<'_>, _: Manner) -> Result<bool, Misfit> {
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Text(text) if text == "true" => Ok(true),
            Value::Text(text) if text == "false" => Ok(false),
            Value::Null | Value::Number(_) | Value::Text(_) | Value::Array(_) | Value::Object(_) => {
                Err(Misfit::new(Fault::Type))
            }
        }
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        odd.respelled_if(raw.text().is_some());
    }
}

/// `limit`: the one parameter that must be a bare number; a string is 40003 (reference, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limit(pub u32);

impl Wire for Limit {
    fn put(&self, out: &mut dyn Sink) {
        out.whole(i64::from(self.0));
    }

    fn read(value: &Value<'_>, manner: Manner) -> Result<Limit, Misfit> {
        match (value, manner) {
            (Value::Text(_), Manner::Strict) => Err(Misfit::new(Fault::Type)),
            (_, _) => u32::read(value, manner).map(Limit),
        }
    }
}

/// A time in the unit that its size tells: up to 11 digits are seconds, to 14 milliseconds, to 17 microseconds, more
/// nanoseconds. So 10, 13, 16 and 19 digits, all that the venue and its clients send between 2001 and 2262, are
/// certain (reference, sections 2 and 10.3). `None` for a negative number or one beyond the range of [`Timestamp`].
pub fn judged(number: i64) -> Option<Timestamp> {
    let unit = match number {
        ..0 => return None,
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
    };
    number.checked_mul(unit).map(Timestamp)
}

fn read_time(value: &Value<'_>) -> Result<Timestamp, Misfit> {
    let digits = value.digits().ok_or(Misfit::new(Fault::Type))?;
    whole(digits).and_then(judged).ok_or(Misfit::new(Fault::Form))
}

/// A time that leaves in milliseconds: what is below one is cut off. Read by its digits, whatever its name says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ms(pub Timestamp);

impl Wire for Ms {
    fn put(&self, out: &mut dyn Sink) {
        out.whole(self.0.0.div_euclid(1_000_000));
    }

    fn read(value: &Value<'_>, _: Manner) -> Result<Ms, Misfit> {
        read_time(value).map(Ms)
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        odd.respelled_if(raw.text().is_some());
    }
}

/// A time that leaves in nanoseconds, always as a string: 19 digits do not survive a reader that uses floats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Ns(pub Timestamp);

impl Wire for Ns {
    fn put(&self, out: &mut dyn Sink) {
        out.plain(format_args!("{}", self.0.0));
    }

    fn read(value: &Value<'_>, _: Manner) -> Result<Ns, Misfit> {
        read_time(value).map(Ns)
    }

    fn oddities(&self, raw: &Value<'_>, odd: &mut Oddities) {
        odd.respelled_if(raw.text().is_none());
    }
}

#[cfg(test)]
pub(crate) mod tests;
