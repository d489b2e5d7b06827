//! Verifying what the records mean: they are folded from the first one, and at each checkpoint the state must be the one
//! that was stored; after every batch the laws must hold.
//!
//! What it finds is told with the record it was found at; it changes nothing.

use crate::about::about;
use crate::replay::{ReadError, Reading, Until, loaded};
use crate::words::clock;
use aegis_journal::StorageRead;
use aegis_model::event::AlarmKind;
use aegis_model::{Event, Fact, InstrumentId, Lsn};
use aegis_projection::State;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Findings that are told one by one; more of them are only counted.
const FINDINGS_MAX: usize = 100;

/// Something that is not as it must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeepFinding {
    /// The record after whose batch it was found.
    pub lsn: u64,
    /// Which rule: `checkpoint`, `decode`, `conservation`, `intent`, `protection`, `time`, `fold`.
    pub rule: &'static str,
    /// What is wrong.
    pub what: String,
}

/// What a deep verification found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Default)]
pub struct DeepReport {
    /// Records folded.
    pub records: u64,
    /// Batches after which the laws were checked.
    pub batches: u64,
    /// BLAKE3 of the state at the end, hexadecimal.
    pub digest: String,
    /// Checkpoints that are the state at their record.
    pub checkpoints_equal: Vec<u64>,
    /// Checkpoints that were not compared: behind the last whole record, or of another version of the state.
    pub checkpoints_passed: Vec<u64>,
    /// What is wrong.
    pub findings: Vec<DeepFinding>,
    /// Findings that are not told one by one.
    pub more: u64,
    /// The first hole, behind which nothing was folded.
    pub hole: Option<String>,
}

/// Folds a journal from its first record and compares. `open` makes handles on it.
///
/// # Errors
/// [`ReadError`] when it cannot be opened, or when its state is only in a checkpoint.
pub fn deep<R: StorageRead>(
    open: impl Fn() -> Result<R, ReadError>,
    progress: &mut dyn FnMut(u64),
) -> Result<DeepReport, ReadError> {
    let stored = aegis_journal::checkpoints(&open()?).map_err(ReadError::Open)?;
    let mut due: BTreeMap<Lsn, _> = stored.into_iter().map(|c| (Lsn(c.lsn), c)).collect();
    let mut report = DeepReport::default();
    let mut laws = Laws::default();
    let mut reading = Reading::new(open()?)?;
    loop {
        let before = reading.state.totals.anomalies.values().sum::<u64>();
        let step =
            reading.step_batch(Until::End, &mut |point, state| laws.record(point.lsn, &point.event, state));
        match step {
            Ok(true) => {}
            Ok(false) => break,
            Err(ReadError::Decode { lsn, cause }) => {
                report.note(lsn, "decode", cause.to_string());
                break;
            }
            Err(e) => return Err(e),
        }
        report.batches += 1;
        laws.batch(&reading.state, before, &mut report);
        if let Some(checkpoint) = due.remove(&reading.state.lsn) {
            compare(&reading.state, &checkpoint, &mut report);
        }
        if report.batches.is_multiple_of(4_096) {
            progress(reading.state.lsn.0);
        }
    }
    report.records = reading.state.lsn.0;
    report.digest = hex(&reading.state.digest());
    report.hole = reading.hole.as_ref().map(ToString::to_string);
    for (lsn, _) in due {
        if lsn > reading.state.lsn {
            report.checkpoints_passed.push(lsn.0);
        } else {
            report.note(lsn, "checkpoint", "it names a record that ends no batch".to_owned());
        }
    }
    Ok(report)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A checkpoint against the state that the records make.
fn compare(state: &State, checkpoint: &aegis_journal::Checkpoint, report: &mut DeepReport) {
    let lsn = state.lsn;
    if checkpoint.digest == state.digest() && loaded(checkpoint).is_some_and(|stored| stored == *state) {
        report.checkpoints_equal.push(lsn.0);
        return;
    }
    match loaded(checkpoint) {
        Some(stored) => {
            let differences = crate::diff::states(state, &stored);
            let first = differences.first().map_or("fields without a name".to_owned(), ToString::to_string);
            let what = format!("it is not the state that the records make (records | checkpoint): {first}");
            report.note(lsn, "checkpoint", what);
        }
        None if checkpoint.digest == state.digest() => report.checkpoints_passed.push(lsn.0),
        None => report.note(
            lsn,
            "checkpoint",
            "its state cannot be read by this version, and its digest is not that of the records".to_owned(),
        ),
    }
}

impl DeepReport {
    fn note(&mut self, lsn: Lsn, rule: &'static str, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(DeepFinding { lsn: lsn.0, rule, what });
        } else {
            self.more += 1;
        }
    }
}

/// The laws, checked along the way.
#[derive(Default)]
struct Laws {
    time: Option<i64>,
    pending: Vec<(Lsn, &'static str, String)>,
    /// Anomalies that the journal itself notes: they are facts and not findings.
    noted: u64,
    /// Positions that were told to be without protection, so that each is told once.
    bare: BTreeSet<InstrumentId>,
}

impl Laws {
    fn record(&mut self, lsn: Lsn, event: &Event, state: &State) {
        if self.time.is_some_and(|time| event.at.0 < time) {
            self.pending.push((
                lsn,
                "time",
                format!("its time {} is before that of the record before", clock(event.at)),
            ));
        }
        self.time = Some(event.at.0.max(self.time.unwrap_or(i64::MIN)));
        if let Fact::AnomalyNoted(_) = &event.fact {
            self.noted += 1;
            return;
        }
        // Law 2: what is said of an order of ours has its intent before it.
        let Some(order) = about(event).order else { return };
        if order > state.last_order {
            let what = format!("{} of order {order}, which was never intended", event.fact.name());
            self.pending.push((lsn, "intent", what));
        }
    }

    fn batch(&mut self, state: &State, anomalies_before: u64, report: &mut DeepReport) {
        for (lsn, rule, what) in self.pending.drain(..) {
            report.note(lsn, rule, what);
        }
        let lsn = state.lsn;
        match state.conservation() {
            Ok((left, right)) if left == right => {}
            Ok((left, right)) => {
                let what =
                    format!("quote paid less received is {left}, cost less profit and corrections {right}");
                report.note(lsn, "conservation", what);
            }
            Err(e) => report.note(lsn, "conservation", e.to_string()),
        }
        let anomalies = state.totals.anomalies.values().sum::<u64>();
        let met = anomalies.saturating_sub(anomalies_before).saturating_sub(std::mem::take(&mut self.noted));
        if met > 0 {
            let what = format!("{met} facts of its batch met a state that does not allow them");
            report.note(lsn, "fold", what);
        }
        self.protection(state, report);
    }

    /// Law 3, as far as it can be told without the settings: what is held has a stop, an exit on its way, or an alarm.
    fn protection(&mut self, state: &State, report: &mut DeepReport) {
        for (at, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
            let alarmed = || {
                state.alarms.keys().any(|(kind, about)| {
                    *about == Some(id) && matches!(kind, AlarmKind::Unprotected | AlarmKind::Unsellable)
                })
            };
            let covered = instrument
                .protection
                .as_ref()
                .is_some_and(|p| p.quantity.is_positive() && p.quantity <= instrument.held());
            let safe = !instrument.is_open()
                || covered
                || instrument.exit_wanted.is_some()
                || instrument.has_selling_exit(state)
                || alarmed();
            if safe {
                self.bare.remove(&id);
            } else if self.bare.insert(id) {
                let name = instrument.spec.name;
                let what = format!(
                    "{name} holds {} without a stop, an exit on its way or an alarm",
                    instrument.held()
                );
                report.note(state.lsn, "protection", what);
            }
        }
    }
}

#[cfg(test)]
mod tests;
