//! What the old bot left behind: its files, read exactly and judged. Nothing here is believed: what a file says becomes
//! claims, with doubts beside them, and only the venue can confirm one.
//!
//! ```text
//! bytes -> look: what it is, by its content -> read: claims and disputes, or a refusal of the whole file
//!       -> limits: what files say of limits, side by side, and what a person answered
//!       -> judge: claims beside what the venue holds -> a report; and the files that go into the journal
//! ```
//!
//! It never writes, never opens a file itself, never copies a secret, and never computes with a float.
#![forbid(unsafe_code)]

mod database;
mod dotenv;
mod json;
pub mod judge;
mod ledger;
pub mod limits;
mod lines;
mod number;
pub mod report;
mod row;
mod settings;
pub mod venue;
mod zone;

pub use number::{Figure, figure};
pub use zone::{NoZone, Zone};

use aegis_cryptocom::json::{JsonError, Value};
use aegis_model::Text;
use aegis_model::claim::{ClaimRow, Dispute, SourceKind};
use limits::Stated;
use std::fmt;

/// Bytes that a file may have: databases of the old bot have some megabytes.
pub const FILE_MAX: usize = 64 << 20;
/// Claims and disputes of one file at most.
pub const CLAIMS_MAX: usize = 5_000;
/// Bytes that the records of one file may have: they are one batch of the journal, which holds a mebibyte with frames.
const BATCH_MAX: usize = 960 << 10;
/// What a record of a claim has beside its texts, its frame included; rather too much.
const RECORD: usize = 256;

/// What a file is, by its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// No byte, or white space only.
    Empty,
    /// One of the old bot's files.
    Source(SourceKind),
    /// An answer of the exchange, which is no claim.
    Reply,
    /// JSON that ends too early, or is none.
    BrokenJson,
    /// Nothing that is known.
    Unknown,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            What::Empty => "empty",
            What::Source(SourceKind::Positions) => "positions (stop_price)",
            What::Source(SourceKind::TrailingStops) => "trailing stops (stop_loss)",
            What::Source(SourceKind::StopState) => "saved state of a stop bot",
            What::Source(SourceKind::BotStatus) => "bot status and limits",
            What::Source(SourceKind::TradeLog) => "trades, one a line",
            What::Source(SourceKind::Database) => "SQLite database",
            What::Source(SourceKind::Dotenv) => "environment variables",
            What::Source(SourceKind::Settings) => "configuration",
            What::Reply => "an answer of the exchange",
            What::BrokenJson => "JSON that is not whole",
            What::Unknown => "unknown",
        })
    }
}

/// Why a file is refused as a whole. It is kept as it is, and nothing of it is recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Where in the file; empty for all of it.
    pub row: String,
    /// Why.
    pub why: Why,
}

/// The reasons of a [`Refused`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Why {
    /// No byte: a write that was cut off after the file was emptied.
    Empty,
    /// It ends too early: a torn write.
    Torn,
    /// More bytes, or more claims, than are read.
    TooLarge(usize),
    /// It is not spelled as its kind is; at this byte, if there is one.
    Syntax(String),
    /// A figure that is none, such as NaN.
    NotANumber(String),
    /// A figure that cannot be, such as a quantity below zero.
    Impossible(String),
    /// Something that must be there is not.
    Missing(String),
    /// The file contradicts itself.
    Contradictory(String),
    /// The database itself says that it is damaged.
    Damaged(String),
    /// Its content is nothing that is known.
    Unknown,
}

impl Refused {
    pub(crate) fn whole(why: Why) -> Refused {
        Refused { row: String::new(), why }
    }

    pub(crate) fn at(row: &str, why: Why) -> Refused {
        Refused { row: row.chars().take(120).collect(), why }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.row.is_empty() {
            write!(f, "{}: ", self.row)?;
        }
        match &self.why {
            Why::Empty => {
                f.write_str("it is empty, as after a write that was cut off; nothing can be told from it")
            }
            Why::Torn => f.write_str("it ends too early, as after a write that was cut off"),
            Why::TooLarge(n) => write!(f, "{n} bytes or rows are more than is read at once: split it"),
            Why::Syntax(what) => write!(f, "it is not spelled as its kind is: {what}"),
            Why::NotANumber(what) => write!(f, "{what} is no number"),
            Why::Impossible(what) => write!(f, "{what} cannot be"),
            Why::Missing(what) => write!(f, "{what} is missing"),
            Why::Contradictory(what) => write!(f, "it contradicts itself: {what}"),
            Why::Damaged(what) => write!(f, "the database is damaged: {what}"),
            Why::Unknown => f.write_str("its content is nothing that is known"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<JsonError> for Refused {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not exhaustive: any other is no JSON")]
    fn from(error: JsonError) -> Refused {
        Refused::whole(match error {
            JsonError::Truncated => Why::Torn,
            JsonError::TooLong(n) => Why::TooLarge(n),
            other => Why::Syntax(other.to_string()),
        })
    }
}

/// What a file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// What it is.
    pub kind: SourceKind,
    /// BLAKE3 of its content; of environment variables, of the names and of what is not secret.
    pub digest: [u8; 32],
    /// Its length.
    pub bytes: u64,
    /// Rows that were read, believed or not.
    pub rows: u64,
    /// What it claims, limits left out.
    pub claims: Vec<ClaimRow>,
    /// What is doubtful about it.
    pub disputes: Vec<Dispute>,
    /// What it says of limits.
    pub limits: Vec<Stated>,
    /// Names of keys that hold secrets; never their values.
    pub secrets: Vec<String>,
    /// Names of tables, or of parts, with how many rows each has.
    pub parts: Vec<(String, u64)>,
}

impl Document {
    pub(crate) fn new(kind: SourceKind, bytes: &[u8]) -> Document {
        Document {
            kind,
            digest: *blake3::hash(bytes).as_bytes(),
            bytes: bytes.len() as u64,
            rows: 0,
            claims: Vec::new(),
            disputes: Vec::new(),
            limits: Vec::new(),
            secrets: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Bytes that its records have at most.
    fn weight(&self) -> usize {
        use aegis_model::Claim;
        let id = |claim: &Claim| match claim {
            Claim::Position(position) => position.id.as_str().len(),
            Claim::Trade(trade) => trade.id.as_str().len(),
            Claim::Note { what } => what.as_str().len(),
            Claim::Limit { .. } | Claim::TradingDisabled => 0,
        };
        let claims = self.claims.iter().map(|row| RECORD + row.row.as_str().len() + id(&row.claim));
        let disputes = self.disputes.iter().map(|d| RECORD + d.row.as_str().len() + d.detail.as_str().len());
        // A limit may become a claim or a doubt.
        let limits = self.limits.iter().map(|stated| 2 * RECORD + stated.row.len());
        claims.chain(disputes).chain(limits).sum()
    }

    pub(crate) fn note(&mut self, row: &str, what: &str) {
        let claim = aegis_model::Claim::Note { what: Text::new(what) };
        self.claims.push(ClaimRow { row: Text::new(row), claim });
    }
}

/// What a file is, without reading all of it.
pub fn look(bytes: &[u8]) -> What {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return What::Empty;
    }
    if bytes.starts_with(database::MAGIC) {
        return What::Source(SourceKind::Database);
    }
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') if lines::is_log(bytes) => What::Source(SourceKind::TradeLog),
        Some(b'{') => match Value::parse(bytes) {
            Ok(value) => json::look(&value),
            Err(_) => What::BrokenJson,
        },
        Some(_) if dotenv::is_one(bytes) => What::Source(SourceKind::Dotenv),
        Some(_) | None => What::Unknown,
    }
}

/// Reads a file of the old bot.
///
/// # Errors
/// [`Refused`]: torn, empty, contradictory or unknown. Nothing of it is to be believed then.
pub fn read(bytes: &[u8], zone: &Zone) -> Result<Document, Refused> {
    if bytes.len() > FILE_MAX {
        return Err(Refused::whole(Why::TooLarge(bytes.len())));
    }
    let mut document = match look(bytes) {
        What::Empty => return Err(Refused::whole(Why::Empty)),
        What::Source(SourceKind::Database) => database::read(bytes, zone)?,
        What::Source(SourceKind::Dotenv) => dotenv::read(bytes)?,
        What::Source(SourceKind::TradeLog) => lines::read(bytes, zone)?,
        What::Source(kind) => json::read(kind, bytes, zone)?,
        What::BrokenJson => return Err(json::broken(bytes)),
        What::Reply | What::Unknown => return Err(Refused::whole(Why::Unknown)),
    };
    judge::lots_twice(&mut document);
    let records = document.claims.len() + document.disputes.len() + document.limits.len();
    if records > CLAIMS_MAX || document.weight() > BATCH_MAX {
        return Err(Refused::whole(Why::TooLarge(records)));
    }
    Ok(document)
}

#[cfg(test)]
mod tests;
