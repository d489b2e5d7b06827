//! Bounded texts: `Label` lies inline and is copied freely, `Text` is for words that people read.
//!
//! Neither ever holds more than its bound, so no stored record can.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// Bytes that a [`Label`] holds at most: the longest client order id a venue takes.
pub const LABEL_MAX: usize = 36;
/// Bytes that a [`Text`] holds at most.
pub const TEXT_MAX: usize = 1024;

/// Up to 36 printable ASCII characters, kept inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    // Zero padded, so that the order of the array is the order of the text.
    bytes: [u8; LABEL_MAX],
    len: u8,
}

/// Why a text is not a label.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LabelError {
    /// More than 36 bytes.
    TooLong(usize),
    /// A byte outside printable ASCII, at this place.
    Byte(usize),
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabelError::TooLong(n) => write!(f, "{n} bytes where at most {LABEL_MAX} are allowed"),
            LabelError::Byte(at) => write!(f, "a byte outside printable ASCII at {at}"),
        }
    }
}

impl core::error::Error for LabelError {}

impl Label {
    /// The empty label.
    pub const EMPTY: Label = Label { bytes: [0; LABEL_MAX], len: 0 };

    /// A label from bytes.
    ///
    /// # Errors
    /// [`LabelError`] when it is too long or not printable ASCII.
    pub const fn from_bytes(text: &[u8]) -> Result<Label, LabelError> {
        if text.len() > LABEL_MAX {
            return Err(LabelError::TooLong(text.len()));
        }
        let mut bytes = [0; LABEL_MAX];
        let mut i = 0;
        while i < text.len() {
            if text[i] < 0x20 || text[i] > 0x7e {
                return Err(LabelError::Byte(i));
            }
            bytes[i] = text[i];
            i += 1;
        }
        Ok(Label { bytes, len: text.len() as u8 })
    }

    /// The label of the first `len` bytes; none when one of them is not printable. Without a branch a byte, since it is
    /// read with every fill.
    #[inline]
    pub(crate) fn from_wide(mut bytes: [u8; LABEL_MAX], len: u8) -> Option<Label> {
        debug_assert!(usize::from(len) <= LABEL_MAX);
        let mut unprintable = false;
        let mut at = 0;
        while at < LABEL_MAX {
            let within = (at as u8) < len;
            unprintable |= within & (bytes[at].wrapping_sub(b' ') > b'~' - b' ');
            bytes[at] &= (within as u8).wrapping_neg();
            at += 1;
        }
        if unprintable { None } else { Some(Label { bytes, len }) }
    }

    /// A label from a literal in code; panics when the literal is not one.
    pub const fn literal(text: &str) -> Label {
        match Label::from_bytes(text.as_bytes()) {
            Ok(label) => label,
            Err(_) => panic!("a literal label must be at most 36 printable ASCII characters"),
        }
    }

    /// The text cut to 36 bytes, with anything unprintable replaced by `?`: for venue words kept as evidence.
    pub fn lossy(text: &str) -> Label {
        let mut label = Label::EMPTY;
        for c in text.chars().take(LABEL_MAX) {
            label.bytes[label.len as usize] = if (' '..='~').contains(&c) { c as u8 } else { b'?' };
            label.len += 1;
        }
        label
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("")
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for Label {
    fn default() -> Label {
        Label::EMPTY
    }
}

impl FromStr for Label {
    type Err = LabelError;
    fn from_str(text: &str) -> Result<Label, LabelError> {
        Label::from_bytes(text.as_bytes())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl serde::Serialize for Label {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Label {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Words for people: at most 1024 bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize)]
#[serde(transparent)]
pub struct Text(String);

impl Text {
    /// The text, cut at a character boundary to at most 1024 bytes.
    pub fn new(text: &str) -> Text {
        let mut end = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Text(String::from(&text[..end]))
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
