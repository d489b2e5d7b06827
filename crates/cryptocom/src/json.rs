//! Reading JSON exactly: a borrowed tree, or a place in the text, whose numbers are the digits as sent.
//!
//! Why not `serde_json`: without its `arbitrary_precision` (a feature that would change every other crate of the build)
//! its tree keeps a number as `u64`, `i64` or a float, so `1.50` and a 20-digit id lose what the signature and the
//! ledger need, and `1e400` fails a whole reply because of one member nobody reads. Here a number stays the slice of
//! the input and only a typed reader turns it into a decimal; no float exists. `serde_json` is the oracle in the tests.
//!
//! It never accepts what RFC 8259 does not, never recurses deeper than [`DEPTH_MAX`], never panics.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Arrays and objects inside each other at most; the venue's deepest reply has six.
pub const DEPTH_MAX: usize = 16;
/// Bytes of one document at most. The largest reply, all instruments, has about half a megabyte.
pub const DOCUMENT_MAX: usize = 8 << 20;

/// What holds other values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bracket {
    /// `{}`.
    Object,
    /// `[]`.
    Array,
}

/// A JSON value that borrows from its document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The characters of a number as sent.
    Number(&'a str),
    /// A string without its escapes.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object's members in the order sent; a repeated name is kept, so that whoever reads it can refuse it.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Why bytes are not a JSON document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JsonError {
    /// Not UTF-8.
    NotText,
    /// Something else than JSON allows, at this byte.
    Syntax(usize),
    /// The document ends too early.
    Truncated,
    /// Deeper than [`DEPTH_MAX`].
    TooDeep,
    /// More than [`DOCUMENT_MAX`] bytes.
    TooLong(usize),
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::NotText => f.write_str("not UTF-8"),
            JsonError::Syntax(at) => write!(f, "not JSON at byte {at}"),
            JsonError::Truncated => f.write_str("JSON that ends too early"),
            JsonError::TooDeep => write!(f, "JSON deeper than {DEPTH_MAX}"),
            JsonError::TooLong(n) => write!(f, "{n} bytes where at most {DOCUMENT_MAX} are read"),
        }
    }
}

impl core::error::Error for JsonError {}

impl<'a> Value<'a> {
    /// Reads one document; nothing but white space may follow it.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Value<'a>, JsonError> {
        let mut reader = Reader::over(bytes)?;
        let value = reader.value()?;
        reader.finish()?;
        Ok(value)
    }

    /// The member with this name; none when it is absent, repeated, or when this is no object.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        let Value::Object(members) = self else { return None };
        let mut found = members.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value),
            (_, _) => None,
        }
    }

    /// The characters of a string.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The characters of a string or of a number: the venue sends digits either way (reference, section 2).
    pub fn digits(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Number(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A whole number, sent bare or as a digit string.
    pub fn whole(&self) -> Option<i64> {
        whole(self.digits()?)
    }
}

/// `-digits` or `digits` as a number; none beyond 64 bits or with anything else in it.
pub(crate) fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    let mut magnitude = 0u64;
    for byte in digits.bytes() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    if digits.len() == text.len() {
        i64::try_from(magnitude).ok()
    } else {
        0i64.checked_sub_unsigned(magnitude)
    }
}

/// How many bytes from here on are plain characters of a string: no quote, no backslash, no control character. Eight
/// at a time, since most of a frame is strings: the lowest mark of each test is exact, and only that one is used.
#[inline]
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let quote = below(word ^ (ONES * b'"' as u64), 1);
        let escape = below(word ^ (ONES * b'\\' as u64), 1);
        let marks = quote | escape | below(word, 0x20);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    at + tail.iter().take_while(plain).count()
}

/// A place in a document. Values are read from it one after the other, into a tree or straight into a type.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// How many more arrays and objects may be opened.
    depth: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("at", &self.at).field("depth", &self.depth).finish_non_exhaustive()
    }
}

impl<'a> Reader<'a> {
    /// The beginning of a document. A copy of a reader is a bookmark.
    ///
    /// # Errors
    /// [`JsonError::TooLong`], [`JsonError::NotText`].
    pub fn over(bytes: &'a [u8]) -> Result<Reader<'a>, JsonError> {
        if bytes.len() > DOCUMENT_MAX {
            return Err(JsonError::TooLong(bytes.len()));
        }
        let text = core::str::from_utf8(bytes).map_err(|_| JsonError::NotText)?;
        let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, depth: DEPTH_MAX };
        reader.space();
        Ok(reader)
    }

    /// The end of the document: nothing but white space is left.
    ///
    /// # Errors
    /// [`JsonError::Syntax`] for anything else.
    pub fn finish(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(JsonError::Syntax(self.at)) }
    }

    /// Opens an object or an array, or answers that this is none.
    ///
    /// # Errors
    /// [`JsonError::TooDeep`].
    pub fn open(&mut self, bracket: Bracket) -> Result<bool, JsonError> {
        let byte = match bracket {
            Bracket::Object => b'{',
            Bracket::Array => b'[',
        };
        if self.peek() != Some(byte) {
            return Ok(false);
        }
        self.depth = self.depth.checked_sub(1).ok_or(JsonError::TooDeep)?;
        self.at += 1;
        Ok(true)
    }

    /// Steps to the next element before its close. `first` is true right after the opening.
    #[inline(always)]
    fn step(&mut self, close: u8, first: &mut bool) -> Result<bool, JsonError> {
        self.space();
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.depth += 1;
                return Ok(false);
            }
            Some(b',') if !*first => {
                self.at += 1;
                self.space();
            }
            Some(_) if *first => *first = false,
            Some(_) | None => return self.wrong(),
        }
        Ok(true)
    }

    /// The name of the next member of an open object, whose value is read next; `None` at its end.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn member(&mut self, first: &mut bool) -> Result<Option<Cow<'a, str>>, JsonError> {
        if !self.step(b'}', first)? {
            return Ok(None);
        }
        let name = self.string()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(Some(name))
    }

    /// Whether an open array has another item, which is read next.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn item(&mut self, first: &mut bool) -> Result<bool, JsonError> {
        self.step(b']', first)
    }

    /// Whether a `null` is here; it is then read.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn null(&mut self) -> Result<bool, JsonError> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null", Value::Null).map(|_| true)
    }

    /// The string that is here, if it is one without escapes; else nothing is read.
    ///
    /// # Errors
    /// [`JsonError`].
    #[inline]
    pub fn plain_text(&mut self) -> Result<Option<&'a str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Ok(None);
        }
        let start = self.at + 1;
        let end = start + plain_run(&self.bytes[start..]);
        match self.bytes.get(end) {
            Some(b'"') => {
                self.at = end + 1;
                Ok(Some(&self.text[start..end]))
            }
            Some(b'\\') => Ok(None),
            Some(_) | None => {
                self.at = end;
                self.wrong()
            }
        }
    }

    /// Passes over one value, whatever it is.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn skip(&mut self) -> Result<(), JsonError> {
        let mut first = true;
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => {
                self.open(Bracket::Object)?;
                while self.member(&mut first)?.is_some() {
                    self.skip()?;
                }
                Ok(())
            }
            Some(b'[') => {
                self.open(Bracket::Array)?;
                while self.item(&mut first)? {
                    self.skip()?;
                }
                Ok(())
            }
            Some(_) | None => self.value().map(|_| ()),
        }
    }

    /// The value that is here, as a tree.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn value(&mut self) -> Result<Value<'a>, JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) | None => self.wrong(),
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline(always)]
    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    #[inline(never)]
    fn wrong<T>(&self) -> Result<T, JsonError> {
        Err(if self.at < self.bytes.len() { JsonError::Syntax(self.at) } else { JsonError::Truncated })
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return self.wrong();
        }
        self.at += 1;
        Ok(())
    }

    #[inline(never)]
    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, JsonError> {
        for byte in word.bytes() {
            self.expect(byte)?;
        }
        Ok(value)
    }

    #[inline(never)]
    fn object(&mut self) -> Result<Value<'a>, JsonError> {
        let (mut members, mut first) = (Vec::new(), true);
        self.open(Bracket::Object)?;
        while let Some(name) = self.member(&mut first)? {
            members.push((name, self.value()?));
        }
        Ok(Value::Object(members))
    }

    #[inline(never)]
    fn array(&mut self) -> Result<Value<'a>, JsonError> {
        let (mut items, mut first) = (Vec::new(), true);
        self.open(Bracket::Array)?;
        while self.item(&mut first)? {
            items.push(self.value()?);
        }
        Ok(Value::Array(items))
    }

    fn run_of_digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.wrong() } else { Ok(()) }
    }

    #[inline(never)]
    fn number(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.run_of_digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.run_of_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.run_of_digits()?;
        }
        Ok(Value::Number(&self.text[start..self.at]))
    }

    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.expect(b'"')?;
        let start = self.at;
        self.at += plain_run(&self.bytes[start..]);
        match self.peek() {
            Some(b'"') => {}
            Some(b'\\') => return self.escaped(start),
            Some(_) | None => return self.wrong(),
        }
        let text = &self.text[start..self.at];
        self.at += 1;
        Ok(Cow::Borrowed(text))
    }

    /// The rest of a string whose first escape is here.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut out = String::from(&self.text[start..self.at]);
        loop {
            let plain = self.at;
            self.at += plain_run(&self.bytes[plain..]);
            out.push_str(&self.text[plain..self.at]);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 1,
                Some(_) | None => return self.wrong(),
            }
            let c = match self.peek() {
                Some(b'"') => '"',
                Some(b'\\') => '\\',
                Some(b'/') => '/',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'u') => {
                    self.at += 1;
                    out.push(self.code_point()?);
                    continue;
                }
                Some(_) | None => return self.wrong(),
            };
            self.at += 1;
            out.push(c);
        }
        self.at += 1;
        Ok(Cow::Owned(out))
    }

    /// Four hexadecimal digits, and four more after the first half of a surrogate pair.
    fn code_point(&mut self) -> Result<char, JsonError> {
        let first = self.four_digits()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(JsonError::Syntax(self.at));
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let second = self.four_digits()?;
        if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
            return Err(JsonError::Syntax(self.at));
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            .ok_or(JsonError::Syntax(self.at))
    }

    fn four_digits(&mut self) -> Result<u32, JsonError> {
        let mut value = 0;
        for _ in 0..4 {
            let digit = match self.peek() {
                Some(byte) => char::from(byte).to_digit(16),
                None => None,
            };
            let Some(digit) = digit else { return self.wrong() };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
pub(crate) mod tests;
