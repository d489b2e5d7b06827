//! What a person is told about an import: every file, every claim that may matter, every doubt, every question, counted.

use crate::judge::{Judged, Verdict, positions};
use crate::limits::{Question, key, spelled};
use crate::look;
use aegis_model::claim::{Claim, ClaimVerdict, DisputeKind};
use aegis_model::{Label, Price, Quantity};
use std::fmt;

/// A file in the report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it is.
    pub what: String,
    /// BLAKE3, in hexadecimal digits; empty for a file that is refused.
    pub digest: String,
    /// Rows read.
    pub rows: u64,
    /// Claims of positions, of past trades, and others.
    pub positions: usize,
    /// Claims of past trades.
    pub trades: usize,
    /// Tables or parts with their rows.
    pub parts: Vec<(String, u64)>,
    /// Why it is refused, if it is.
    pub refused: Option<String>,
    /// Whether the journal holds all of it already.
    pub known: bool,
}

/// A claimed position in the report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct PositionReport {
    /// The file.
    pub file: String,
    /// The instrument.
    pub instrument: Label,
    /// Quantity.
    pub quantity: Quantity,
    /// Entry price.
    pub entry: Price,
    /// Stop.
    pub stop: Option<Price>,
    /// Highest price.
    pub highest: Option<Price>,
}

/// A doubt in the report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct DisputeReport {
    /// The file.
    pub file: String,
    /// Its place there.
    pub row: String,
    /// What kind.
    pub kind: String,
    /// In words.
    pub detail: String,
}

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Counts {
    /// Files found.
    pub files: usize,
    /// Of those, refused.
    pub refused: usize,
    /// Of those, in the journal already.
    pub known: usize,
    /// Rows read.
    pub rows: u64,
    /// Claims that go into the journal.
    pub claims: usize,
    /// Of those, positions.
    pub positions: usize,
    /// Of those, past trades.
    pub trades: usize,
    /// Doubts.
    pub disputes: usize,
    /// Questions without an answer.
    pub questions: usize,
    /// Claims of an instrument that the venue confirms; none of these three without a snapshot.
    pub confirmed: usize,
    /// Those that it confirms in part.
    pub partly: usize,
    /// Those of which it holds nothing.
    pub contradicted: usize,
}

/// The report.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Report {
    /// Every file.
    pub files: Vec<FileReport>,
    /// Every claimed position.
    pub positions: Vec<PositionReport>,
    /// Every doubt.
    pub disputes: Vec<DisputeReport>,
    /// Every question.
    pub questions: Vec<Question>,
    /// Limits that are agreed upon or answered: what, and how much.
    pub limits: Vec<(String, String)>,
    /// Names of keys that hold secrets.
    pub secrets: Vec<String>,
    /// Whether a file says that the old bot was told not to trade.
    pub trading_disabled: bool,
    /// What the venue makes of it, when a snapshot was given.
    pub verdicts: Option<Vec<Verdict>>,
    /// What the venue holds and nobody claims.
    pub unclaimed: Vec<(Label, Quantity)>,
    /// The counts.
    pub counts: Counts,
}

impl Report {
    /// The report of what was judged; `known` tells which files the journal holds.
    pub fn of(judged: &Judged, known: impl Fn(&[u8; 32]) -> bool) -> Report {
        let mut counts =
            Counts { files: judged.read.len(), questions: judged.questions.len(), ..Counts::default() };
        let mut files = Vec::new();
        let mut secrets = Vec::new();
        for read in &judged.read {
            let mut file = FileReport {
                name: read.name.clone(),
                bytes: read.bytes,
                what: String::new(),
                digest: String::new(),
                rows: 0,
                positions: 0,
                trades: 0,
                parts: Vec::new(),
                refused: None,
                known: false,
            };
            match &read.outcome {
                Ok(document) => {
                    file.what = crate::What::Source(document.kind).to_string();
                    file.digest = document.digest.iter().map(|byte| format!("{byte:02x}")).collect();
                    file.rows = document.rows;
                    file.parts = document.parts.clone();
                    file.known = known(&document.digest);
                    let count =
                        |want: fn(&Claim) -> bool| document.claims.iter().filter(|r| want(&r.claim)).count();
                    file.positions = count(|claim| matches!(claim, Claim::Position(_)));
                    file.trades = count(|claim| matches!(claim, Claim::Trade(_)));
                    counts.rows += document.rows;
                    counts.known += usize::from(file.known);
                    secrets.extend(document.secrets.iter().cloned());
                }
                Err(refused) => {
                    file.refused = Some(refused.to_string());
                    counts.refused += 1;
                }
            }
            counts.positions += file.positions;
            counts.trades += file.trades;
            files.push(file);
        }
        secrets.sort_unstable();
        secrets.dedup();
        let of_file = |file: &aegis_model::ClaimFile| {
            let name = file.name.to_string();
            let reports = positions(file).map(move |position| PositionReport {
                file: name.clone(),
                instrument: position.instrument,
                quantity: position.quantity,
                entry: position.entry,
                stop: position.stop,
                highest: position.highest,
            });
            reports.collect::<Vec<_>>()
        };
        let disputes: Vec<DisputeReport> = judged
            .files
            .iter()
            .flat_map(|file| file.disputes.iter().map(move |dispute| (file, dispute)))
            .map(|(file, dispute)| DisputeReport {
                file: file.name.to_string(),
                row: dispute.row.to_string(),
                kind: dispute.kind.to_string(),
                detail: dispute.detail.to_string(),
            })
            .collect();
        counts.disputes = disputes.len();
        counts.claims = judged.files.iter().map(|file| file.claims.len()).sum();
        for verdict in judged.verdicts.iter().flatten() {
            match verdict.verdict {
                ClaimVerdict::Confirmed => counts.confirmed += 1,
                ClaimVerdict::Partly => counts.partly += 1,
                ClaimVerdict::Contradicted => counts.contradicted += 1,
            }
        }
        let disabled =
            |file: &aegis_model::ClaimFile| file.claims.iter().any(|r| r.claim == Claim::TradingDisabled);
        Report {
            files,
            positions: judged.files.iter().flat_map(of_file).collect(),
            disputes,
            questions: judged.questions.clone(),
            limits: judged
                .limits
                .iter()
                .map(|(limit, value, unit)| (key(*limit).to_owned(), spelled(*value, *unit)))
                .collect(),
            secrets,
            trading_disabled: judged.files.iter().any(disabled),
            verdicts: judged.verdicts.clone(),
            unclaimed: judged.unclaimed.clone(),
            counts,
        }
    }

    /// Whether something is left for a person: a refused file, or a question.
    pub const fn is_open(&self) -> bool {
        self.counts.refused > 0 || self.counts.questions > 0
    }
}

fn option(price: Option<Price>) -> String {
    price.map_or_else(|| "none".to_owned(), |price| price.to_string())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            match &file.refused {
                Some(why) => writeln!(f, "REFUSED  {}: {why}", file.name)?,
                None => {
                    let known = if file.known { ", imported already" } else { "" };
                    write!(f, "read     {}: {}, {} rows", file.name, file.what, file.rows)?;
                    writeln!(f, ", {} positions, {} trades{known}", file.positions, file.trades)?;
                }
            }
        }
        for claim in &self.positions {
            let (stop, highest) = (option(claim.stop), option(claim.highest));
            writeln!(
                f,
                "claimed  {} {} at {}, stop {stop}, highest {highest} ({})",
                claim.instrument, claim.quantity, claim.entry, claim.file
            )?;
        }
        for verdict in self.verdicts.iter().flatten() {
            let Verdict { file, instrument, lots, claimed, venue, verdict } = verdict;
            writeln!(
                f,
                "judged   {instrument} {claimed} in {lots} lots: {verdict}, the venue holds {venue} ({file})"
            )?;
        }
        for (asset, quantity) in &self.unclaimed {
            writeln!(f, "judged   {asset} {quantity} is held at the venue, and no file claims it")?;
        }
        // What is asked about a limit stands under the questions.
        let contested = DisputeKind::LimitContested.to_string();
        for dispute in self.disputes.iter().filter(|dispute| dispute.kind != contested) {
            writeln!(f, "doubt    {}, {}: {}: {}", dispute.file, dispute.row, dispute.kind, dispute.detail)?;
        }
        for (limit, value) in &self.limits {
            writeln!(f, "limit    {limit}: {value}")?;
        }
        for question in &self.questions {
            writeln!(
                f,
                "asked    {}: {}; answer with --answer {}=...",
                question.key, question.why, question.key
            )?;
            for said in &question.said {
                writeln!(f, "           {said}")?;
            }
        }
        if !self.secrets.is_empty() {
            writeln!(
                f,
                "secrets  {}: their values were not read into anything; rotate these keys at their services",
                self.secrets.join(", ")
            )?;
        }
        if self.trading_disabled {
            writeln!(
                f,
                "halted   the old bot was told not to trade: entries stay refused until `aegis resume`"
            )?;
        }
        let c = &self.counts;
        writeln!(
            f,
            "found {} files ({} refused, {} known), {} rows; {} claims: {} positions, {} trades; {} doubts, {} questions",
            c.files, c.refused, c.known, c.rows, c.claims, c.positions, c.trades, c.disputes, c.questions
        )?;
        if self.verdicts.is_some() {
            writeln!(
                f,
                "the snapshot confirms {}, {} in part, and contradicts {}",
                c.confirmed, c.partly, c.contradicted
            )?;
        }
        Ok(())
    }
}

/// One file of an inventory.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Item {
    /// Its path below the directory.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it is, by its content.
    pub what: String,
    /// What is in it, or why it would be refused.
    pub detail: String,
}

/// What a file is and holds; nothing is judged.
pub fn item(name: &str, bytes: &[u8], zone: &crate::Zone) -> Item {
    let what = look(bytes);
    let detail = match (what, crate::read(bytes, zone)) {
        (crate::What::Source(_), Ok(document)) => {
            let parts = document.parts.iter().map(|(name, rows)| format!("{name} {rows}"));
            let mut parts: Vec<String> = parts.collect();
            if !document.secrets.is_empty() {
                parts.push(format!("secrets in {}", document.secrets.join(", ")));
            }
            parts.join(", ")
        }
        (crate::What::Source(_) | crate::What::BrokenJson, Err(refused)) => {
            format!("would be refused: {refused}")
        }
        (_, _) => String::new(),
    };
    Item { name: name.to_owned(), bytes: bytes.len() as u64, what: what.to_string(), detail }
}
