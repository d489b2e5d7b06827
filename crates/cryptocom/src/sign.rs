//! Signing: `hex(HMAC-SHA256(secret, method + id + api_key + params + nonce))` (reference, section 3).
//!
//! The secret is taken in once, is zeroed when dropped and never prints. Nonces and ids are arguments.

use crate::json::Value;
use crate::wire::Wire;
use crate::write::{ParamText, Sink};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Milliseconds by which a request's nonce may differ from the venue's clock, either way (section 2). Copies that a
/// network delays beyond it are refused with 40102.
pub const NONCE_WINDOW_MS: i64 = 60_000;

/// An API secret. It has no way to be printed, compared or copied, and its bytes are zeroed when it is dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the text over without copying it.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text.into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// An API key with the state of its keyed hash, whose parts zero themselves when dropped (`zeroize` of `sha2` and
/// `digest`).
pub struct Signer {
    api_key: String,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}

/// 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decimal digits before the parameters: method, id and key.
fn begin(method: &str, id: i64, api_key: &str) -> ParamText {
    let mut base = ParamText { out: String::with_capacity(256) };
    base.text(method);
    base.whole(id);
    base.text(api_key);
    base
}

impl Signer {
    /// A signer for this key. Any length of secret works.
    pub fn new(api_key: &str, secret: &Secret) -> Signer {
        match Hmac::new_from_slice(&secret.0) {
            Ok(mac) => Signer { api_key: String::from(api_key), mac },
            Err(_) => unreachable!("HMAC takes keys of every length (RFC 2104, section 2)"),
        }
    }

    /// The public half.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The signature of typed parameters; `None` for a frame without any (`public/auth`).
    pub fn sign<P: Wire>(&self, method: &str, id: i64, params: Option<&P>, nonce: i64) -> Signature {
        let mut base = begin(method, id, &self.api_key);
        if let Some(params) = params {
            params.put(&mut base);
        }
        base.whole(nonce);
        self.seal(&base.out)
    }

    /// The signature of parameters as they were read, for the venue's side and for tests; members in any order.
    pub fn sign_value(&self, method: &str, id: i64, params: &Value<'_>, nonce: i64) -> Signature {
        let mut base = begin(method, id, &self.api_key);
        base.out.push_str(&param_string(params));
        base.whole(nonce);
        self.seal(&base.out)
    }

    /// Whether `signature` is the one of this request, as the venue derives it from parsed JSON: a bare number with
    /// trailing zeros after its point was normalised before, so a signature over `1.50` does not verify (section 3,
    /// traps). Compared in constant time.
    pub fn verify(&self, method: &str, id: &str, params: &Value<'_>, nonce: &str, signature: &str) -> bool {
        let mut base = String::with_capacity(256);
        base.push_str(method);
        base.push_str(id);
        base.push_str(&self.api_key);
        gather(params, Numbers::Normalised, &mut base);
        base.push_str(nonce);
        let Some(bytes) = from_hex(signature) else { return false };
        let mut mac = self.mac.clone();
        mac.update(base.as_bytes());
        mac.verify_slice(&bytes).is_ok()
    }

    fn seal(&self, base: &str) -> Signature {
        let mut mac = self.mac.clone();
        mac.update(base.as_bytes());
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(mac.finalize().into_bytes()) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Signature(hex)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| HEX.iter().position(|h| *h == byte).and_then(|at| u8::try_from(at).ok());
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// How a bare number enters the text.
#[derive(Clone, Copy)]
enum Numbers {
    AsSent,
    Normalised,
}

/// The parameter string of any parameters: object members in ascending byte order of their names, each as name and
/// value, arrays element by element, no separators; `null` is `null` (section 3).
pub fn param_string(params: &Value<'_>) -> String {
    let mut out = String::new();
    gather(params, Numbers::AsSent, &mut out);
    out
}

fn gather(value: &Value<'_>, numbers: Numbers, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(digits) => out.push_str(match numbers {
            Numbers::AsSent => digits,
            Numbers::Normalised => normalised(digits),
        }),
        Value::Text(text) => out.push_str(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, numbers, out)),
        Value::Object(members) => {
            let mut order: Vec<_> = members.iter().collect();
            order.sort_by(|a, b| a.0.cmp(&b.0));
            for (name, value) in order {
                out.push_str(name);
                gather(value, numbers, out);
            }
        }
    }
}

fn normalised(digits: &str) -> &str {
    if digits.contains('.') && !digits.contains(['e', 'E']) {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

#[cfg(test)]
pub(crate) mod tests;
