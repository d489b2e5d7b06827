//! What came of one call: a whole answer or silence, and what a read without its result means.

use aegis_cryptocom::{Asked, Evidence};
use aegis_model::Text;
use std::fmt;
use std::time::Duration;

/// An answer that came whole.
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// No whole answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// No connection was made: nothing was sent.
    NotSent(String),
    /// The deadline passed.
    Late(Duration),
    /// The connection broke, or the answer was torn.
    Broken(String),
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Silence::NotSent(why) => write!(f, "no connection: {why}"),
            Silence::Late(deadline) => write!(f, "no answer within {deadline:?}"),
            Silence::Broken(why) => write!(f, "no whole answer: {why}"),
        }
    }
}

/// One call with what is needed to judge its answer.
pub(crate) struct Called {
    /// What was asked.
    pub(crate) asked: Asked,
    /// What was added to our clock for the nonce.
    pub(crate) correction: i64,
    /// The answer.
    pub(crate) answer: Result<Reply, Silence>,
}

/// A read without its result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Missing {
    /// 40401.
    NotFound,
    /// Anything else, in words that name the read.
    Failed(Text),
}

impl Missing {
    /// In words.
    pub(crate) fn words(&self) -> Text {
        match self {
            Missing::NotFound => Text::new("not found (40401)"),
            Missing::Failed(text) => text.clone(),
        }
    }
}

/// What an answer says, for people.
pub(crate) fn words(evidence: &Evidence) -> String {
    let status = evidence.status.map_or_else(String::new, |status| format!("HTTP {status}, "));
    match evidence.code {
        Some(code) => format!("{status}code {code}: {}", evidence.text),
        None => format!("{status}{}", evidence.text),
    }
}
