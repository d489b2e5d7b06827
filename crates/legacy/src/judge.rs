//! All files together: what of them goes into the journal, what is asked, what the venue makes of it.

use crate::limits::{Answers, Outcome, Question, Stated, settle};
use crate::venue::Venue;
use crate::{Document, Refused, Zone};
use aegis_model::claim::{
    Claim, ClaimFile, ClaimRow, ClaimVerdict, Dispute, DisputeKind, LimitKind, LimitUnit,
};
use aegis_model::{Fixed, Label, Price, Quantity, Text};
use std::collections::BTreeMap;

/// A file with what reading it came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// Its name, as it is shown.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it says, or why it is refused.
    pub outcome: Result<Document, Refused>,
}

/// What a file claims of one instrument, beside what the venue holds.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Verdict {
    /// The file.
    pub file: String,
    /// The instrument.
    pub instrument: Label,
    /// How many lots the file names.
    pub lots: usize,
    /// Their sum.
    pub claimed: Quantity,
    /// What the venue holds of the base asset.
    pub venue: Quantity,
    /// What follows.
    pub verdict: ClaimVerdict,
}

/// Everything that was made of the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// The files as read.
    pub read: Vec<Read>,
    /// What goes into the journal: for each file that was read, one.
    pub files: Vec<ClaimFile>,
    /// What a person is asked.
    pub questions: Vec<Question>,
    /// Limits that are agreed upon or answered.
    pub limits: Vec<(LimitKind, Fixed, LimitUnit)>,
    /// What the venue makes of the claims, when a snapshot was given.
    pub verdicts: Option<Vec<Verdict>>,
    /// Assets that the venue holds and no file claims.
    pub unclaimed: Vec<(Label, Quantity)>,
}

/// Judges files together.
pub fn judge(read: Vec<Read>, zone: &Zone, answers: &Answers, venue: Option<&Venue>) -> Judged {
    let mut said: Vec<(&str, &Stated)> = Vec::new();
    for one in &read {
        if let Ok(document) = &one.outcome {
            said.extend(document.limits.iter().map(|stated| (one.name.as_str(), stated)));
        }
    }
    let outcomes = settle(&said, answers);
    let files = read.iter().filter_map(|one| {
        let document = one.outcome.as_ref().ok()?;
        Some(file(&one.name, document, zone, answers, &outcomes))
    });
    let files: Vec<ClaimFile> = files.collect();
    let questions = outcomes.values().filter_map(|outcome| match outcome {
        Outcome::Asked(question) => Some(question.clone()),
        Outcome::Agreed(..) | Outcome::Answered(_) => None,
    });
    let limits = outcomes.iter().filter_map(|(limit, outcome)| match outcome {
        Outcome::Agreed(value, unit) | Outcome::Answered(Some((value, unit))) => {
            Some((*limit, *value, *unit))
        }
        Outcome::Answered(None) | Outcome::Asked(_) => None,
    });
    let verdicts = venue.filter(|venue| venue.balances.is_some()).map(|venue| verdicts(&files, venue));
    let unclaimed = venue.map_or_else(Vec::new, |venue| unclaimed(&files, venue));
    Judged { questions: questions.collect(), limits: limits.collect(), files, verdicts, unclaimed, read }
}

/// What of a file goes into the journal.
fn file(
    name: &str,
    document: &Document,
    zone: &Zone,
    answers: &Answers,
    outcomes: &BTreeMap<LimitKind, Outcome>,
) -> ClaimFile {
    let mut claims = document.claims.clone();
    let mut disputes = document.disputes.clone();
    if answers.proposed_stops {
        for dispute in disputes.iter().filter(|dispute| dispute.kind == DisputeKind::StopBehindRule) {
            for row in claims.iter_mut().filter(|row| row.row == dispute.row) {
                if let Claim::Position(position) = &mut row.claim {
                    position.stop = position.stop.max(Some(Price(dispute.found)));
                }
            }
        }
    }
    for stated in &document.limits {
        let row = Text::new(&stated.row);
        let recorded =
            |answered| Claim::Limit { limit: stated.limit, value: stated.value, unit: stated.unit, answered };
        match outcomes.get(&stated.limit) {
            Some(Outcome::Agreed(..)) => claims.push(ClaimRow { row, claim: recorded(None) }),
            Some(Outcome::Answered(answer)) => claims.push(ClaimRow { row, claim: recorded(*answer) }),
            Some(Outcome::Asked(question)) => disputes.push(Dispute {
                row,
                kind: DisputeKind::LimitContested,
                instrument: Label::EMPTY,
                claimed: stated.value,
                found: Fixed::ZERO,
                detail: Text::new(&format!("{}, and nobody answered: it is left out", question.why)),
            }),
            None => {}
        }
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    ClaimFile {
        name: Text::new(base),
        digest: document.digest,
        kind: document.kind,
        bytes: document.bytes,
        timezone: Text::new(zone.name()),
        claims,
        disputes,
    }
}

/// Lots that follow another one like them within this time look like one entry made twice, ns.
const TWICE_NS: i64 = 3600 * 1_000_000_000;

/// Notes lots of one instrument with equal quantity and price, opened within an hour of each other.
pub(crate) fn lots_twice(document: &mut Document) {
    let mut lots: Vec<(Text, &aegis_model::claim::PositionClaim)> = Vec::new();
    for row in &document.claims {
        if let Claim::Position(position) = &row.claim {
            lots.push((row.row.clone(), position));
        }
    }
    let mut found = Vec::new();
    for (at, (row, lot)) in lots.iter().enumerate() {
        let twin = lots[..at].iter().find(|(_, other)| {
            let near = lot
                .opened
                .zip(other.opened)
                .is_some_and(|(a, b)| a.since(b).unsigned_abs() <= TWICE_NS as u64);
            near && (lot.instrument, lot.quantity, lot.entry)
                == (other.instrument, other.quantity, other.entry)
        });
        if let Some((twin, other)) = twin {
            let apart = lot.opened.zip(other.opened).map_or(0, |(a, b)| a.since(b).abs() / 1_000_000_000);
            let both = lot.quantity.plus(other.quantity).unwrap_or(lot.quantity);
            let detail = format!(
                "{} of {} at {} was bought twice within {} min {} s (the other is {twin}): both are kept, and it looks \
                 like one entry made twice",
                lot.quantity,
                lot.instrument,
                lot.entry,
                apart / 60,
                apart % 60
            );
            found.push(Dispute {
                row: row.clone(),
                kind: DisputeKind::LotsTwice,
                instrument: lot.instrument,
                claimed: both.0,
                found: lot.quantity.0,
                detail: Text::new(&detail),
            });
        }
    }
    document.disputes.extend(found);
}

/// The base asset of an instrument's name.
pub(crate) fn base(instrument: &Label) -> &str {
    instrument.as_str().split_once('_').map_or("", |(base, _)| base)
}

fn verdicts(files: &[ClaimFile], venue: &Venue) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for file in files {
        let mut sums: BTreeMap<Label, (usize, Quantity)> = BTreeMap::new();
        for position in positions(file) {
            let (lots, sum) = sums.entry(position.instrument).or_default();
            *lots += 1;
            *sum = sum.plus(position.quantity).unwrap_or(*sum);
        }
        for (instrument, (lots, claimed)) in sums {
            let held = venue.held(base(&instrument)).unwrap_or_default();
            let verdict = if held >= claimed {
                ClaimVerdict::Confirmed
            } else if held.is_positive() {
                ClaimVerdict::Partly
            } else {
                ClaimVerdict::Contradicted
            };
            verdicts.push(Verdict {
                file: file.name.to_string(),
                instrument,
                lots,
                claimed,
                venue: held,
                verdict,
            });
        }
    }
    verdicts
}

/// Assets that are held, are no instrument's quote in the claims, and are claimed by nobody.
fn unclaimed(files: &[ClaimFile], venue: &Venue) -> Vec<(Label, Quantity)> {
    let claimed: Vec<&str> =
        files.iter().flat_map(positions).map(|position| base(&position.instrument)).collect();
    let money = ["USD", "USDT", "USDC", "EUR"];
    let held = venue.balances.iter().flatten().map(|(asset, balance)| (*asset, balance.0));
    held.filter(|(asset, total)| {
        !total.is_zero() && !money.contains(&asset.as_str()) && !claimed.contains(&asset.as_str())
    })
    .collect()
}

/// The positions that a file claims.
pub fn positions(file: &ClaimFile) -> impl Iterator<Item = &aegis_model::claim::PositionClaim> {
    file.claims.iter().filter_map(|row| match &row.claim {
        Claim::Position(position) => Some(position),
        Claim::Trade(_) | Claim::Limit { .. } | Claim::TradingDisabled | Claim::Note { .. } => None,
    })
}
