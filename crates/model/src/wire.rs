//! The bytes of stored values: the only place that names `bincode`.
//!
//! bincode 2.0.1 with fixed-width little-endian integers (`legacy()`), its own derive, a byte limit, and a check
//! that every byte was consumed. Numbers, labels, texts and small enums have spellings of their own, each value
//! exactly one; a decoder refuses any other. See journal-format.md, *Payloads*.

use crate::fixed::{Fixed, SCALE};
use crate::text::{LABEL_MAX, Label, TEXT_MAX, Text};
use alloc::vec::Vec;
use bincode::de::DecoderImpl;
use bincode::de::read::Reader;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError as Refused, EncodeError as Unwritable};
use core::fmt;

/// Bytes that one payload may have at most.
pub const PAYLOAD_MAX: usize = 1 << 20;

/// Set in the scale byte when the mantissa needs 128 bits.
const WIDE: u8 = 0x80;

fn config() -> bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Fixint,
    bincode::config::Limit<PAYLOAD_MAX>,
> {
    bincode::config::legacy().with_limit::<PAYLOAD_MAX>()
}

/// Why stored bytes are not a value.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum DecodeError {
    /// A record kind this version does not know.
    Kind(u16),
    /// A record version this version does not know.
    Version {
        /// The record's kind.
        kind: u16,
        /// The version found.
        version: u8,
    },
    /// The body does not follow its table in journal-format.md.
    Body {
        /// The record's kind; 0 outside records.
        kind: u16,
        /// What the decoder met.
        what: alloc::string::String,
    },
    /// Bytes were left over after the value.
    Trailing {
        /// The record's kind; 0 outside records.
        kind: u16,
        /// How many.
        bytes: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Kind(kind) => {
                write!(f, "record kind {kind} is unknown to this version: read it with a newer aegis")
            }
            DecodeError::Version { kind, version } => {
                write!(f, "version {version} of record kind {kind} is unknown: read it with a newer aegis")
            }
            DecodeError::Body { kind, what } => {
                write!(f, "the body of record kind {kind} is not spelled as documented: {what}")
            }
            DecodeError::Trailing { kind, bytes } => {
                write!(f, "{bytes} bytes are left over after the body of record kind {kind}")
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Appends the bytes of a value.
///
/// # Panics
/// Never for the types of this crate: their sizes are bounded and their writer is a vector.
pub fn encode<T: bincode::Encode>(value: &T, out: &mut Vec<u8>) {
    struct Out<'a>(&'a mut Vec<u8>);
    impl Writer for Out<'_> {
        #[inline(always)]
        fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritable> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
    }
    let written = bincode::encode_into_writer(value, Out(out), config());
    assert!(written.is_ok(), "a value of the model is always encodable");
}

/// Reads exactly one value from all of `bytes`.
///
/// # Errors
/// [`DecodeError::Body`] for a spelling that `encode` would not write, [`DecodeError::Trailing`] for bytes left.
pub fn decode<T: bincode::Decode<()>>(kind: u16, bytes: &[u8]) -> Result<T, DecodeError> {
    decode_within(kind, bytes, config())
}

/// As [`decode`], for the bodies of records: without counting at every field what is claimed.
///
/// The types of record bodies hold no list but the stages of a plan, and those check their number before any memory is
/// asked for; whatever else a body claims, it has to show.
///
/// # Errors
/// As [`decode`].
#[inline(always)]
pub fn decode_body<T: bincode::Decode<()>>(kind: u16, bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > PAYLOAD_MAX {
        return Err(too_long(kind, bytes.len()));
    }
    decode_within(kind, bytes, bincode::config::legacy())
}

#[inline(always)]
fn decode_within<T: bincode::Decode<()>>(
    kind: u16,
    bytes: &[u8],
    config: impl bincode::config::Config,
) -> Result<T, DecodeError> {
    // Not `decode_from_slice`: its pair of value and count would be moved once more for every record.
    let mut decoder = DecoderImpl::new(In(bytes), config, ());
    match T::decode(&mut decoder) {
        Ok(value) => match bincode::de::Decoder::reader(&mut decoder).0.len() {
            0 => Ok(value),
            bytes => Err(DecodeError::Trailing { kind, bytes }),
        },
        Err(e) => Err(misspelled(kind, &e)),
    }
}

/// The bytes that are still to be read.
struct In<'a>(&'a [u8]);

impl Reader for In<'_> {
    #[inline(always)]
    fn read(&mut self, bytes: &mut [u8]) -> Result<(), Refused> {
        match self.0.split_at_checked(bytes.len()) {
            Some((read, rest)) => {
                bytes.copy_from_slice(read);
                self.0 = rest;
                Ok(())
            }
            None => Err(Refused::UnexpectedEnd { additional: bytes.len() - self.0.len() }),
        }
    }

    #[inline(always)]
    fn peek_read(&mut self, n: usize) -> Option<&[u8]> {
        self.0.get(..n)
    }

    #[inline(always)]
    fn consume(&mut self, n: usize) {
        self.0 = self.0.get(n..).unwrap_or_default();
    }
}

#[cold]
fn too_long(kind: u16, bytes: usize) -> DecodeError {
    let what = alloc::format!("{bytes} bytes, where at most {PAYLOAD_MAX} are written");
    DecodeError::Body { kind, what }
}

#[cold]
fn misspelled(kind: u16, e: &Refused) -> DecodeError {
    DecodeError::Body { kind, what: alloc::format!("{e:?}") }
}

/// As [`encode`], for a whole folded state: no byte limit.
pub fn encode_state<T: bincode::Encode>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out);
    out
}

/// As [`decode`], for a whole folded state: bounded by the bytes given instead of by the payload limit.
///
/// A forged length must not make the decoder ask for memory without end, so what may be claimed is some hundred
/// times the bytes given: values in memory are larger than their spelling, but never by that much.
///
/// # Errors
/// As [`decode`].
pub fn decode_state<T: bincode::Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
    fn within<T: bincode::Decode<()>, const CLAIM_MAX: usize>(bytes: &[u8]) -> Result<(T, usize), Refused> {
        bincode::decode_from_slice(bytes, bincode::config::legacy().with_limit::<CLAIM_MAX>())
    }
    let decoded = match bytes.len() {
        0..=0x1000 => within::<T, { 1 << 20 }>(bytes),
        0x1001..=0x10_0000 => within::<T, { 1 << 28 }>(bytes),
        0x10_0001..=0x400_0000 => within::<T, { 1 << 34 }>(bytes),
        _ => within::<T, { 1 << 42 }>(bytes),
    };
    let (value, used) = decoded.map_err(|e| misspelled(0, &e))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(DecodeError::Trailing { kind: 0, bytes: bytes.len() - used })
    }
}

/// A refusal by a spelling rule of this module.
pub fn refused(what: &'static str) -> Refused {
    Refused::Other(what)
}

impl bincode::Encode for Fixed {
    #[inline]
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), Unwritable> {
        match self.shortest_narrow() {
            Some((mantissa, scale)) => encode_narrow(encoder, mantissa, scale),
            None => encode_any(encoder, *self),
        }
    }
}

#[inline(always)]
fn encode_narrow<E: bincode::enc::Encoder>(
    encoder: &mut E,
    mantissa: i64,
    scale: u32,
) -> Result<(), Unwritable> {
    let mut bytes = [scale as u8; 9];
    bytes[1..].copy_from_slice(&mantissa.to_le_bytes());
    encoder.writer().write(&bytes)
}

#[cold]
#[inline(never)]
fn encode_any<E: bincode::enc::Encoder>(encoder: &mut E, number: Fixed) -> Result<(), Unwritable> {
    let (mantissa, scale) = number.shortest();
    match i64::try_from(mantissa) {
        Ok(narrow) => encode_narrow(encoder, narrow, scale),
        Err(_) => {
            let mut bytes = [scale as u8 | WIDE; 17];
            bytes[1..].copy_from_slice(&mantissa.to_le_bytes());
            encoder.writer().write(&bytes)
        }
    }
}

impl<Context> bincode::Decode<Context> for Fixed {
    #[inline(always)]
    fn decode<D: bincode::de::Decoder<Context = Context>>(decoder: &mut D) -> Result<Fixed, Refused> {
        decoder.claim_bytes_read(9)?;
        let mut head = [0; 9];
        decoder.reader().read(&mut head)?;
        let [scale, narrow @ ..] = head;
        let wide = scale & WIDE != 0;
        let scale = u32::from(scale & !WIDE);
        if scale > SCALE {
            return Err(refused("a number's scale is above 18"));
        }
        let mantissa = i64::from_le_bytes(narrow);
        if !wide {
            if scale != 0 && mantissa.unsigned_abs().is_multiple_of(10) {
                return Err(refused("a number's mantissa has a trailing zero"));
            }
            return Ok(Fixed::from_narrow(mantissa, scale));
        }
        decode_wide(decoder, scale, narrow)
    }
}

/// The rest of a number whose mantissa needs 128 bits.
#[cold]
#[inline(never)]
fn decode_wide<D: bincode::de::Decoder>(
    decoder: &mut D,
    scale: u32,
    narrow: [u8; 8],
) -> Result<Fixed, Refused> {
    decoder.claim_bytes_read(8)?;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&narrow);
    decoder.reader().read(&mut bytes[8..])?;
    let mantissa = i128::from_le_bytes(bytes);
    if i64::try_from(mantissa).is_ok() {
        return Err(refused("a number is spelled wide where 64 bits hold it"));
    }
    if mantissa % 10 == 0 && scale != 0 {
        return Err(refused("a number's mantissa has a trailing zero"));
    }
    Fixed::from_parts(mantissa, scale).ok_or(refused("a number is beyond the range"))
}

impl bincode::Encode for Label {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), Unwritable> {
        let text = self.as_bytes();
        let mut bytes = [0; LABEL_MAX + 1];
        bytes[0] = text.len() as u8;
        bytes[1..=text.len()].copy_from_slice(text);
        encoder.writer().write(&bytes[..=text.len()])
    }
}

impl<Context> bincode::Decode<Context> for Label {
    #[inline]
    fn decode<D: bincode::de::Decoder<Context = Context>>(decoder: &mut D) -> Result<Label, Refused> {
        const UNPRINTABLE: &str = "a label holds a byte outside printable ASCII";
        let len = u8::decode(decoder)?;
        if usize::from(len) > LABEL_MAX {
            return Err(refused("a label is longer than 36 bytes"));
        }
        decoder.claim_bytes_read(usize::from(len))?;
        // Most labels have enough bytes behind them to be read at full width, in a few wide steps.
        if let Some(wide) = decoder.reader().peek_read(LABEL_MAX).and_then(|bytes| bytes.first_chunk()) {
            let label = Label::from_wide(*wide, len).ok_or(refused(UNPRINTABLE))?;
            decoder.reader().consume(usize::from(len));
            return Ok(label);
        }
        let mut bytes = [0; LABEL_MAX];
        decoder.reader().read(&mut bytes[..usize::from(len)])?;
        Label::from_wide(bytes, len).ok_or(refused(UNPRINTABLE))
    }
}

impl bincode::Encode for Text {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), Unwritable> {
        let text = self.as_str().as_bytes();
        (text.len() as u16).encode(encoder)?;
        encoder.writer().write(text)
    }
}

impl<Context> bincode::Decode<Context> for Text {
    fn decode<D: bincode::de::Decoder<Context = Context>>(decoder: &mut D) -> Result<Text, Refused> {
        let len = usize::from(u16::decode(decoder)?);
        if len > TEXT_MAX {
            return Err(refused("a text is longer than 1024 bytes"));
        }
        decoder.claim_bytes_read(len)?;
        let mut bytes = alloc::vec![0; len];
        decoder.reader().read(&mut bytes)?;
        let text = core::str::from_utf8(&bytes).map_err(|_| refused("a text is not UTF-8"))?;
        Ok(Text::new(text))
    }
}

/// Defines an enum whose stored spelling is one byte; numbers are frozen, 0 is reserved, any other is refused.
#[macro_export]
macro_rules! byte_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)+ }

        impl $name {
            /// Every value, in the order of its number.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The stored number.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The variant's name in lower case with underscores, as in JSON.
            pub const fn word(self) -> &'static str {
                match self {
                    $($name::$variant => {
                        const BYTES: [u8; $crate::wire::snake_len(stringify!($variant))] =
                            $crate::wire::snake(stringify!($variant));
                        const WORD: &str = $crate::wire::ascii(&BYTES);
                        WORD
                    })+
                }
            }

            /// The value with a stored number.
            pub const fn from_number(number: u8) -> Option<$name> {
                match number {
                    $($number => Some($name::$variant),)+
                    _ => None,
                }
            }
        }

        impl core::fmt::Display for $name {
            /// The variant's name in lower case with spaces.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let name = match self { $($name::$variant => stringify!($variant),)+ };
                $crate::wire::spaced(name, f)
            }
        }

        impl bincode::Encode for $name {
            fn encode<E: bincode::enc::Encoder>(
                &self,
                encoder: &mut E,
            ) -> Result<(), bincode::error::EncodeError> {
                bincode::Encode::encode(&self.number(), encoder)
            }
        }

        impl<Context> bincode::Decode<Context> for $name {
            #[inline]
            fn decode<D: bincode::de::Decoder<Context = Context>>(
                decoder: &mut D,
            ) -> Result<$name, bincode::error::DecodeError> {
                let number = <u8 as bincode::Decode<Context>>::decode(decoder)?;
                $name::from_number(number)
                    .ok_or($crate::wire::refused(concat!("unknown number of ", stringify!($name))))
            }
        }
        bincode::impl_borrow_decode!($name);
    };
}
pub use byte_enum;

bincode::impl_borrow_decode!(Fixed);
bincode::impl_borrow_decode!(Label);
bincode::impl_borrow_decode!(Text);

/// Bytes of a name once it is spelled with underscores.
pub const fn snake_len(name: &str) -> usize {
    let (bytes, mut at, mut len) = (name.as_bytes(), 0, name.len());
    while at < bytes.len() {
        len += (at > 0 && bytes[at].is_ascii_uppercase()) as usize;
        at += 1;
    }
    len
}

/// `CamelCase` as `camel_case`; `N` is its [`snake_len`].
pub const fn snake<const N: usize>(name: &str) -> [u8; N] {
    let (bytes, mut at, mut to, mut out) = (name.as_bytes(), 0, 0, [0; N]);
    while at < bytes.len() {
        if at > 0 && bytes[at].is_ascii_uppercase() {
            out[to] = b'_';
            to += 1;
        }
        out[to] = bytes[at].to_ascii_lowercase();
        (at, to) = (at + 1, to + 1);
    }
    out
}

/// The text of a name's bytes.
///
/// # Panics
/// When they are no text (a mistake in the program).
pub const fn ascii(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("names are ASCII"),
    }
}

/// `CamelCase` as `camel case`.
pub fn spaced(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = alloc::string::String::with_capacity(name.len() + 4);
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            text.push(' ');
        }
        text.push(c.to_ascii_lowercase());
    }
    f.pad(&text)
}

#[cfg(test)]
mod tests;
