//! What an answer or a frame spells otherwise than its documentation, and is understood all the same: for the record,
//! so that a person can tell later how the exchange began to change.
//!
//! It is found by reading the same bytes once more beside the value that came of them; nothing is believed less for it.

use crate::frame::{Data, Push};
use crate::json::Value;
use crate::wire::Wire;
use aegis_model::Label;

/// The first member of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Oddities {
    /// A member in another spelling: a whole number as a string, a decimal as a bare number, a word in another case.
    pub respelled: Option<Label>,
    /// A member that nobody knows, or one whose word nobody knows.
    pub strange: Option<Label>,
    at: Label,
}

impl Oddities {
    /// What is odd about the result of a reply that was read as this value.
    pub fn of_reply<T: Wire>(body: &[u8], value: &T) -> Oddities {
        let mut odd = Oddities::default();
        if let Ok(document) = Value::parse(body)
            && let Some(result) = document.get("result")
        {
            value.oddities(result, &mut odd);
        }
        odd
    }

    /// What is odd about the rows of a frame that was read as this push.
    pub fn of_frame(frame: &[u8], push: &Push) -> Oddities {
        let mut odd = Oddities::default();
        let Ok(document) = Value::parse(frame) else { return odd };
        let Some(rows) = document.get("result").and_then(|result| result.get("data")) else { return odd };
        match &push.data {
            Data::Orders(read) | Data::Triggers(read) => read.oddities(rows, &mut odd),
            Data::Trades(read) => read.oddities(rows, &mut odd),
            Data::Balances(read) => read.oddities(rows, &mut odd),
            Data::Tickers(read) => read.oddities(rows, &mut odd),
            Data::PublicTrades(read) => read.oddities(rows, &mut odd),
            Data::Books(read) => read.oddities(rows, &mut odd),
            Data::Deltas(read) => read.oddities(rows, &mut odd),
            Data::Candles(read) => read.oddities(rows, &mut odd),
        }
        odd
    }

    /// A member with this value.
    pub(crate) fn member<T: Wire>(&mut self, name: &'static str, value: &T, raw: &Value<'_>) {
        if *raw != Value::Null {
            self.at = Label::literal(name);
            value.oddities(raw, self);
        }
    }

    /// A member of this name is not known.
    pub(crate) fn unknown(&mut self, name: &str) {
        self.strange.get_or_insert(Label::lossy(name));
    }

    /// The member that is looked at has a word or a form that is not known.
    pub(crate) fn strange(&mut self) {
        let at = self.at;
        self.strange.get_or_insert(at);
    }

    /// The member that is looked at is spelled otherwise, if so.
    pub(crate) fn respelled_if(&mut self, otherwise: bool) {
        if otherwise {
            let at = self.at;
            self.respelled.get_or_insert(at);
        }
    }
}

#[cfg(test)]
mod tests;
