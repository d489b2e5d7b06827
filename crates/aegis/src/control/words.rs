//! What can be said on the control socket: one JSON object a line, one back. Numbers are decimal strings. It only
//! spells; what a command does is the engine's business.

use aegis_model::{Command, Label, Money, Price, Quantity, Text};
use serde::{Deserialize, Serialize};

/// A request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// How things stand.
    Status {},
    /// Allow entries.
    Enable {},
    /// Refuse entries.
    Halt {
        /// Why.
        reason: String,
    },
    /// Halt, cancel entries, exit everything.
    Flatten {},
    /// Exit one instrument.
    Close {
        /// Which.
        instrument: String,
    },
    /// Open by hand.
    Open {
        /// Which.
        instrument: String,
        /// Base quantity.
        quantity: String,
        /// The stop.
        stop: Option<String>,
    },
    /// Move a stop.
    AdjustStop {
        /// Which.
        instrument: String,
        /// Where to.
        stop: String,
        /// Said to move it down.
        loosen: bool,
    },
    /// Change limits until the next start.
    SetLimits {
        /// Positions at most.
        max_positions: Option<u32>,
        /// Loss of a day at most.
        daily_loss: Option<String>,
        /// Quote per entry at most.
        budget: Option<String>,
    },
    /// Take over a quarantined holding.
    Adopt {
        /// Which.
        instrument: String,
        /// The whole holding's average price.
        average: String,
        /// The whole holding.
        quantity: String,
    },
    /// Allow entries in a blocked instrument.
    Release {
        /// Which.
        instrument: String,
    },
    /// Accept lost records.
    AcceptGap {},
    /// Accept orders under ids of ours that no record intended.
    AcceptForeign {
        /// The only one; all that were seen when absent.
        client: Option<String>,
        /// Why.
        reason: String,
    },
    /// Compare with the exchange now; a live run only.
    Reconcile {},
    /// Put dust back.
    ReturnDust {
        /// Which.
        instrument: String,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// Whether it was done.
    pub(crate) ok: bool,
    /// In words.
    pub(crate) text: String,
    /// The state, where it was asked for.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub(crate) status: serde_json::Value,
}

impl Reply {
    /// Done.
    pub(crate) fn done(text: impl Into<String>) -> Reply {
        Reply { ok: true, text: text.into(), status: serde_json::Value::Null }
    }

    /// Not done.
    pub(crate) fn refused(text: impl Into<String>) -> Reply {
        Reply { ok: false, text: text.into(), status: serde_json::Value::Null }
    }
}

impl Ask {
    /// The command that it is, or none for a question.
    ///
    /// # Errors
    /// What is wrong with a name or number.
    pub(crate) fn command(&self) -> Result<Option<Command>, String> {
        let name = |text: &String| text.parse::<Label>().map_err(|e| format!("{text:?} is not a name: {e}"));
        Ok(Some(match self {
            Ask::Status {} | Ask::Reconcile {} => return Ok(None),
            Ask::Enable {} => Command::Enable,
            Ask::Halt { reason } => Command::Halt { reason: Text::new(reason) },
            Ask::Flatten {} => Command::Flatten,
            Ask::Close { instrument } => Command::Close { instrument: name(instrument)? },
            Ask::Open { instrument, quantity, stop } => Command::Open {
                instrument: name(instrument)?,
                quantity: number(quantity).map(Quantity)?,
                stop: stop.as_ref().map(|s| number(s).map(Price)).transpose()?,
            },
            Ask::AdjustStop { instrument, stop, loosen } => Command::AdjustStop {
                instrument: name(instrument)?,
                stop: number(stop).map(Price)?,
                loosen: *loosen,
            },
            Ask::SetLimits { max_positions, daily_loss, budget } => Command::SetLimits {
                max_positions: *max_positions,
                daily_loss: daily_loss.as_ref().map(|s| number(s).map(Money)).transpose()?,
                budget: budget.as_ref().map(|s| number(s).map(Money)).transpose()?,
            },
            Ask::Adopt { instrument, average, quantity } => Command::Adopt {
                instrument: name(instrument)?,
                average: number(average).map(Price)?,
                quantity: number(quantity).map(Quantity)?,
            },
            Ask::Release { instrument } => Command::Release { instrument: name(instrument)? },
            Ask::AcceptGap {} => Command::AcceptGap,
            Ask::AcceptForeign { client, reason } => {
                if reason.trim().is_empty() {
                    return Err("say why: what was found out about these orders".to_owned());
                }
                Command::AcceptForeign {
                    client: client.as_ref().map(name).transpose()?,
                    reason: Text::new(reason),
                }
            }
            Ask::ReturnDust { instrument } => Command::ReturnDust { instrument: name(instrument)? },
        }))
    }
}

fn number(text: &str) -> Result<aegis_model::Fixed, String> {
    text.parse().map_err(|e| format!("{text:?} is not a decimal number: {e}"))
}
