//! Scripted faults: what shall go wrong, how often or how long, for whom; and a bounded log of what did.
//!
//! A script is matched against a request (REST or a command on a socket) or against a frame that is about to leave.
//! The first one that fits is used. It never touches a machine: what the exchange holds stays true.

use crate::venue::clock::wall;
use aegis_cryptocom::json::Value;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Scripts that may stand at once.
const SCRIPTS_MAX: usize = 1_000;
/// Applied faults that are remembered.
const LOG_MAX: usize = 10_000;

/// What shall go wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// The connection is cut and nothing is processed.
    DropRequest {},
    /// It is processed and the connection is cut instead of an answer.
    DropReply {},
    /// A gateway's page with this status instead of an answer; processed or not.
    Page {
        /// 502, 503 or 504.
        status: u16,
        /// Whether it is processed before.
        processed: bool,
    },
    /// This code instead of the answer (50001, 40801, 42901, 9010001 ...); processed or not.
    Code {
        /// The code.
        code: i64,
        /// Whether it is processed before.
        processed: bool,
    },
    /// The request comes so much later, before its nonce is looked at; it is processed even if its client is gone.
    DelayRequest {
        /// Milliseconds of wall time.
        ms: u64,
    },
    /// The same after its nonce was looked at: inside the venue.
    HoldRequest {
        /// Milliseconds of wall time.
        ms: u64,
    },
    /// The answer comes so much later.
    DelayReply {
        /// Milliseconds of wall time.
        ms: u64,
    },
    /// It is processed twice, as a network may repeat it; the first answer counts.
    RepeatRequest {},
    /// Whole numbers of the answer or frame as strings.
    Strings {},
    /// Members that nobody knows, in the answer or frame and in its rows.
    ExtraFields {},
    /// `"s":"buy"` where `"s":"BUY"` was recorded later.
    LowerCaseSide {},
    /// `NULL_VAL` in members of rows that are words.
    NullValues {},
    /// A frame is lost.
    DropFrame {},
    /// A frame comes twice.
    DuplicateFrame {},
    /// A frame comes after the one behind it.
    ReorderFrame {},
    /// A frame, and all behind it, come so much later.
    DelayFrame {
        /// Milliseconds of wall time.
        ms: u64,
    },
    /// The socket is closed with this code instead of a frame; 1006 is no code on the wire, the connection just ends.
    Close {
        /// 1000, 1006, 1013 ...
        code: u16,
    },
    /// A heartbeat is not sent.
    SkipHeartbeat {},
}

/// At what a fault acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// A request.
    Request,
    /// A frame that leaves.
    Frame,
    /// A heartbeat.
    Heartbeat,
}

impl Action {
    /// Whether it acts at this stage.
    const fn acts_at(&self, stage: Stage) -> bool {
        match self {
            Action::DropRequest {}
            | Action::DropReply {}
            | Action::Page { .. }
            | Action::Code { .. }
            | Action::DelayRequest { .. }
            | Action::HoldRequest { .. }
            | Action::DelayReply { .. }
            | Action::RepeatRequest {} => matches!(stage, Stage::Request),
            Action::DropFrame {}
            | Action::DuplicateFrame {}
            | Action::ReorderFrame {}
            | Action::DelayFrame { .. }
            | Action::Close { .. } => matches!(stage, Stage::Frame),
            Action::Strings {}
            | Action::ExtraFields {}
            | Action::LowerCaseSide {}
            | Action::NullValues {} => {
                matches!(stage, Stage::Request | Stage::Frame)
            }
            Action::SkipHeartbeat {} => matches!(stage, Stage::Heartbeat),
        }
    }
}

/// Which requests or frames; a member that is left out fits all.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct When {
    /// `private/create-order`; of a frame `subscribe` or the method that it answers. `*` at the end fits any rest.
    pub(crate) method: Option<String>,
    /// `user.order`; frames only. `*` at the end fits any rest.
    pub(crate) channel: Option<String>,
    /// `BTC_USDT`.
    pub(crate) instrument: Option<String>,
    /// A client order id; `*` at the end fits any rest.
    pub(crate) client_oid: Option<String>,
    /// An API key.
    pub(crate) account: Option<String>,
}

/// A script as it is given.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Script {
    /// Which.
    #[serde(default)]
    pub(crate) when: When,
    /// What.
    pub(crate) act: Action,
    /// How often; once when neither this nor `for_ms` is given.
    #[serde(default)]
    pub(crate) times: Option<u64>,
    /// For how long, milliseconds of wall time from now.
    #[serde(default)]
    pub(crate) for_ms: Option<u64>,
    /// So many that fit are let pass first.
    #[serde(default)]
    pub(crate) after: u64,
}

/// What a request or frame is about.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Subject {
    /// The method.
    pub(crate) method: String,
    /// The channel of a frame.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) channel: String,
    /// Instruments that it names.
    pub(crate) instruments: Vec<String>,
    /// Client order ids that it names.
    pub(crate) client_oids: Vec<String>,
    /// The API key.
    pub(crate) account: String,
}

/// A fault that was applied.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Applied {
    /// Counted from 1.
    pub(crate) number: u64,
    /// Which script; 0 for an order of the control endpoint.
    pub(crate) script: u64,
    /// Wall time, ms.
    pub(crate) at: i64,
    /// What.
    pub(crate) act: serde_json::Value,
    /// To what.
    pub(crate) subject: Subject,
}

struct Standing {
    number: u64,
    script: Script,
    left: Option<u64>,
    until: Option<Instant>,
    pass: u64,
}

#[derive(Default)]
struct Inner {
    standing: Vec<Standing>,
    log: VecDeque<Applied>,
    scripts: u64,
    applied: u64,
}

/// All scripts and the log.
#[derive(Default)]
pub(crate) struct Faults {
    inner: Mutex<Inner>,
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faults(..)")
    }
}

fn fits(pattern: Option<&String>, texts: &[String]) -> bool {
    let Some(pattern) = pattern else { return true };
    texts.iter().any(|text| match pattern.strip_suffix('*') {
        Some(start) => text.starts_with(start),
        None => text == pattern,
    })
}

impl When {
    fn fits(&self, subject: &Subject) -> bool {
        let one = |text: &String| std::slice::from_ref(text).to_vec();
        fits(self.method.as_ref(), &one(&subject.method))
            && fits(self.channel.as_ref(), &one(&subject.channel))
            && fits(self.instrument.as_ref(), &subject.instruments)
            && fits(self.client_oid.as_ref(), &subject.client_oids)
            && fits(self.account.as_ref(), &one(&subject.account))
    }
}

impl Faults {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds a script; its number, or why not.
    pub(crate) fn add(&self, script: Script) -> Result<u64, String> {
        let mut inner = self.inner();
        if inner.standing.len() >= SCRIPTS_MAX {
            return Err(format!("{SCRIPTS_MAX} scripts stand already: DELETE /faults"));
        }
        inner.scripts += 1;
        let number = inner.scripts;
        let left = script.times.or(if script.for_ms.is_none() { Some(1) } else { None });
        let until = script.for_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let pass = script.after;
        inner.standing.push(Standing { number, script, left, until, pass });
        Ok(number)
    }

    /// Forgets every script; the log stays.
    pub(crate) fn clear(&self) {
        self.inner().standing.clear();
    }

    /// The fault for a request or frame, if one stands; it is logged as applied.
    pub(crate) fn take(&self, stage: Stage, subject: &Subject) -> Option<Action> {
        let now = Instant::now();
        let mut inner = self.inner();
        inner.standing.retain(|one| one.left != Some(0) && one.until.is_none_or(|until| now < until));
        let one = inner
            .standing
            .iter_mut()
            .find(|one| one.script.act.acts_at(stage) && one.script.when.fits(subject))?;
        if one.pass > 0 {
            one.pass -= 1;
            return None;
        }
        one.left = one.left.map(|left| left.saturating_sub(1));
        let (number, act) = (one.number, one.script.act.clone());
        let value = serde_json::to_value(&act).unwrap_or_default();
        inner.note(number, value, subject.clone());
        Some(act)
    }

    /// Notes an order of the control endpoint.
    pub(crate) fn note(&self, act: serde_json::Value) {
        self.inner().note(0, act, Subject::default());
    }

    /// The log from a number on, and how many scripts stand.
    pub(crate) fn log(&self, from: u64) -> (Vec<Applied>, usize) {
        let inner = self.inner();
        (inner.log.iter().filter(|one| one.number >= from).cloned().collect(), inner.standing.len())
    }
}

impl Inner {
    fn note(&mut self, script: u64, act: serde_json::Value, subject: Subject) {
        self.applied += 1;
        let at = wall().0.div_euclid(1_000_000);
        self.log.push_back(Applied { number: self.applied, script, at, act, subject });
        if self.log.len() > LOG_MAX {
            self.log.pop_front();
        }
    }
}

impl Subject {
    /// What a request's parameters name.
    pub(crate) fn of(method: &str, account: &str, params: Option<&Value<'_>>) -> Subject {
        let mut subject =
            Subject { method: method.to_owned(), account: account.to_owned(), ..Subject::default() };
        if let Some(params) = params {
            subject.gather(params, 0);
        }
        subject
    }

    fn gather(&mut self, value: &Value<'_>, depth: usize) {
        match value {
            Value::Object(members) if depth < 3 => {
                for (name, value) in members {
                    match (name.as_ref(), value.text()) {
                        ("instrument_name", Some(text)) => self.instruments.push(text.to_owned()),
                        ("client_oid" | "orig_client_oid", Some(text)) => {
                            self.client_oids.push(text.to_owned());
                        }
                        (_, _) => self.gather(value, depth + 1),
                    }
                }
            }
            Value::Array(items) if depth < 3 => items.iter().for_each(|item| self.gather(item, depth + 1)),
            Value::Object(_)
            | Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Text(_) => {}
        }
    }
}

/// A body or frame after a fault of its shape.
pub(crate) fn reshaped(text: String, act: &Action) -> String {
    match act {
        Action::ExtraFields {} => {
            let text = text.replacen("{\"id\"", "{\"x_new\":{\"a\":[1,null]},\"id\"", 1);
            text.replace("\"data\":[{", "\"data\":[{\"x_new\":\"1\",")
        }
        Action::LowerCaseSide {} => {
            text.replace("\"s\":\"BUY\"", "\"s\":\"buy\"").replace("\"s\":\"SELL\"", "\"s\":\"sell\"")
        }
        Action::NullValues {} => text
            .replace("\"time_in_force\":\"GOOD_TILL_CANCEL\"", "\"time_in_force\":\"NULL_VAL\"")
            .replace("\"ref_price_type\":\"MARK_PRICE\"", "\"ref_price_type\":\"NULL_VAL\""),
        Action::DropRequest {}
        | Action::DropReply {}
        | Action::Page { .. }
        | Action::Code { .. }
        | Action::DelayRequest { .. }
        | Action::HoldRequest { .. }
        | Action::DelayReply { .. }
        | Action::RepeatRequest {}
        | Action::DropFrame {}
        | Action::DuplicateFrame {}
        | Action::ReorderFrame {}
        | Action::DelayFrame { .. }
        | Action::Close { .. }
        | Action::SkipHeartbeat {} => text,
        Action::Strings {} => quoted(&text),
    }
}

/// JSON text with its bare numbers as strings.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut in_string, mut escaped, mut in_number) = (false, false, false);
    for c in text.chars() {
        let digit = !in_string && (c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
        // A number begins with a digit or a sign: the letters of `true` and `false` do not begin one.
        let number = digit && (in_number || c.is_ascii_digit() || c == '-');
        if number != in_number {
            out.push('"');
            in_number = number;
        }
        if c == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && c == '\\' && !escaped;
        out.push(c);
    }
    out
}
