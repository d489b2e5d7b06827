//! Writing: one walk over a typed value serves the JSON that is sent and the text that is signed.
//!
//! Both come from the same calls, so that a signature can only be about the very characters of the body
//! (reference, section 3, traps). Numbers leave as digits; decimals always as strings.

use alloc::string::String;
use core::fmt::{self, Write as _};

/// Where a value writes itself.
pub trait Sink {
    /// The name of the member that follows.
    fn name(&mut self, name: &str);
    /// A string.
    fn text(&mut self, text: &str);
    /// A string of plain characters that need no escape, such as a decimal.
    fn plain(&mut self, text: fmt::Arguments<'_>);
    /// A whole number.
    fn whole(&mut self, number: i64);
    /// A number in the digits given.
    fn number(&mut self, digits: &str);
    /// `true` or `false`.
    fn flag(&mut self, flag: bool);
    /// `null`.
    fn null(&mut self);
    /// An object begins.
    fn open_object(&mut self);
    /// An object ends.
    fn close_object(&mut self);
    /// An array begins.
    fn open_array(&mut self);
    /// An array ends.
    fn close_array(&mut self);
}

/// How whole numbers leave: the vendor's documentation shows strings since 2025, recorded traffic shows numbers
/// (reference, section 2). A server offers both; a client sends them bare.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Integers {
    /// `7`.
    #[default]
    Bare,
    /// `"7"`.
    Quoted,
}

/// JSON text.
#[derive(Debug, Default)]
pub struct Json {
    out: String,
    comma: bool,
    integers: Integers,
}

impl Json {
    /// An empty text with room for `capacity` bytes.
    pub fn new(capacity: usize, integers: Integers) -> Json {
        Json { out: String::with_capacity(capacity), comma: false, integers }
    }

    /// What was written.
    pub fn into_text(self) -> String {
        self.out
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: char) {
        self.out.push(bracket);
        self.comma = true;
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.out.push_str(&text[plain..at]);
            plain = at + 1;
            match byte {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                _ => put(&mut self.out, format_args!("\\u{byte:04x}")),
            }
        }
        self.out.push_str(&text[plain..]);
        self.out.push('"');
    }
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, what: fmt::Arguments<'_>) {
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok());
}

impl Sink for Json {
    fn name(&mut self, name: &str) {
        self.separate();
        self.quoted(name);
        self.out.push(':');
        self.comma = false;
    }

    fn text(&mut self, text: &str) {
        self.separate();
        self.quoted(text);
    }

    fn plain(&mut self, text: fmt::Arguments<'_>) {
        self.separate();
        self.out.push('"');
        put(&mut self.out, text);
        self.out.push('"');
    }

    fn whole(&mut self, number: i64) {
        match self.integers {
            Integers::Quoted => return self.plain(format_args!("{number}")),
            Integers::Bare => {}
        }
        self.separate();
        put(&mut self.out, format_args!("{number}"));
    }

    fn number(&mut self, digits: &str) {
        self.separate();
        self.out.push_str(digits);
    }

    fn flag(&mut self, flag: bool) {
        self.separate();
        self.out.push_str(if flag { "true" } else { "false" });
    }

    fn null(&mut self) {
        self.separate();
        self.out.push_str("null");
    }

    fn open_object(&mut self) {
        self.open('{');
    }

    fn close_object(&mut self) {
        self.close('}');
    }

    fn open_array(&mut self) {
        self.open('[');
    }

    fn close_array(&mut self) {
        self.close(']');
    }
}

/// The parameter string of the signature: names and values without separators (reference, section 3). Members must
/// be written in ascending order of their names; a typed parameter set does so by a compile-time check.
#[derive(Debug, Default)]
pub(crate) struct ParamText {
    pub(crate) out: String,
}

impl Sink for ParamText {
    fn name(&mut self, name: &str) {
        self.out.push_str(name);
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn plain(&mut self, text: fmt::Arguments<'_>) {
        put(&mut self.out, text);
    }

    fn whole(&mut self, number: i64) {
        put(&mut self.out, format_args!("{number}"));
    }

    fn number(&mut self, digits: &str) {
        self.out.push_str(digits);
    }

    fn flag(&mut self, flag: bool) {
        self.out.push_str(if flag { "true" } else { "false" });
    }

    fn null(&mut self) {
        self.out.push_str("null");
    }

    fn open_object(&mut self) {}

    fn close_object(&mut self) {}

    fn open_array(&mut self) {}

    fn close_array(&mut self) {}
}
