//! A journal as a film: one record after the other with the state beside it, forward and back, to the next fill, order,
//! correction or anomaly. This is the film and its keys; whoever shows it owns the terminal.
//!
//! Going back folds again from a kept state. So many of those are kept that memory stays bounded however long the
//! journal is: when there are too many, every other one is dropped and the distance doubles.

use crate::explain::wrapped;
use crate::replay::{Point, ReadError, Reading};
use crate::words::{clock, words};
use aegis_journal::StorageRead;
use aegis_model::{Fact, Lsn};
use aegis_projection::State;

/// Kept states at most, and few of them at least, however large they are.
const KEPT_MAX: usize = 64;
const KEPT_MIN: usize = 4;
/// Memory that kept states may take, bytes, as far as their size can be told.
const KEPT_BYTES: usize = 256 << 20;
/// Records between two kept states at first.
const KEPT_RECORDS: u64 = 1_000;
/// Records that are shown above the present one.
const PAST: usize = 200;
/// Columns of the side with positions, at most.
const SIDE_MAX: usize = 46;

/// What is looked for by a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sought {
    /// An execution.
    Fill,
    /// An order's intent or end.
    Order,
    /// A correction, a drift or a quarantine.
    Correction,
    /// An anomaly or alarm.
    Anomaly,
}

impl Sought {
    /// Whether a fact is of that sort.
    pub const fn is(self, fact: &Fact) -> bool {
        match self {
            Sought::Fill => matches!(fact, Fact::FillBooked(_) | Fact::FillInferred(_)),
            Sought::Order => {
                matches!(fact, Fact::OrderIntended(_) | Fact::OrderEnded(_) | Fact::OrderRejected(_))
            }
            Sought::Correction => {
                matches!(fact, Fact::CorrectionBooked(_) | Fact::DriftSeen(_) | Fact::HoldingQuarantined(_))
            }
            Sought::Anomaly => matches!(fact, Fact::AnomalyNoted(_) | Fact::AlarmRaised(_)),
        }
    }
}

/// A key that the film understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// So many records on.
    Forward(u64),
    /// So many records back.
    Back(u64),
    /// To the first record.
    First,
    /// To the last record there is now.
    Last,
    /// To the next record of a sort.
    Next(Sought),
    /// To the one before.
    Previous(Sought),
    /// To a record by its number.
    To(Lsn),
}

impl Key {
    /// The key that a character stands for; a capital letter looks back.
    pub const fn of(character: char) -> Option<Key> {
        match character {
            'l' | ' ' => Some(Key::Forward(1)),
            'h' => Some(Key::Back(1)),
            'j' => Some(Key::Forward(20)),
            'k' => Some(Key::Back(20)),
            'g' => Some(Key::First),
            'G' => Some(Key::Last),
            'f' => Some(Key::Next(Sought::Fill)),
            'F' => Some(Key::Previous(Sought::Fill)),
            'o' => Some(Key::Next(Sought::Order)),
            'O' => Some(Key::Previous(Sought::Order)),
            'c' => Some(Key::Next(Sought::Correction)),
            'C' => Some(Key::Previous(Sought::Correction)),
            'a' => Some(Key::Next(Sought::Anomaly)),
            'A' => Some(Key::Previous(Sought::Anomaly)),
            _ => None,
        }
    }
}

/// The film of one journal.
pub struct Film<R: StorageRead, O: Fn() -> Result<R, ReadError>> {
    open: O,
    reading: Reading<R>,
    /// States to go back to.
    kept: Vec<State>,
    distance: u64,
    /// The records up to the present one, the newest last.
    past: Vec<Point>,
    /// What the last key found or did not find.
    note: String,
}

impl<R: StorageRead, O: Fn() -> Result<R, ReadError>> Film<R, O> {
    /// A film that stands at its first record. `open` makes handles on the journal.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn new(open: O) -> Result<Film<R, O>, ReadError> {
        let reading = Reading::new(open()?)?;
        let mut film = Film {
            open,
            reading,
            kept: Vec::new(),
            distance: KEPT_RECORDS,
            past: Vec::new(),
            note: String::new(),
        };
        film.forward()?;
        Ok(film)
    }

    /// The record the film stands at; none in an empty journal.
    pub fn lsn(&self) -> Lsn {
        self.reading.state.lsn
    }

    /// The state there.
    pub const fn state(&self) -> &State {
        &self.reading.state
    }

    /// What ended the film before the journal's end, if anything did.
    pub fn hole(&self) -> Option<String> {
        self.reading.hole.as_ref().map(ToString::to_string)
    }

    /// How many states are kept to go back to.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Does what a key stands for.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn press(&mut self, key: Key) -> Result<(), ReadError> {
        self.note.clear();
        match key {
            Key::Forward(count) => {
                for _ in 0..count {
                    if !self.forward()? {
                        self.note = self.end_note();
                        break;
                    }
                }
            }
            Key::Back(count) => {
                let to = self.lsn().0.saturating_sub(count).max(1);
                self.go(Lsn(to))?;
            }
            Key::First => self.go(Lsn(1))?,
            Key::Last => while self.forward()? {},
            Key::To(lsn) => self.go(lsn.max(Lsn(1)))?,
            Key::Next(sought) => {
                let from = self.lsn();
                while self.forward()? {
                    if self.past.last().is_some_and(|p| sought.is(&p.event.fact)) {
                        return Ok(());
                    }
                }
                self.go(from)?;
                self.note = format!("no later {sought:?}").to_lowercase();
            }
            Key::Previous(sought) => self.previous(sought)?,
        }
        Ok(())
    }

    fn end_note(&self) -> String {
        match self.hole() {
            Some(hole) => format!("copied while live or damaged: nothing is folded behind {hole}"),
            None => "the end".to_owned(),
        }
    }

    /// The last record of a sort before the present one, found by reading without folding.
    fn previous(&mut self, sought: Sought) -> Result<(), ReadError> {
        let here = self.lsn();
        let mut reading = Reading::new((self.open)()?)?;
        let mut found = None;
        while let Some(point) = reading.read()? {
            if point.lsn >= here {
                break;
            }
            if sought.is(&point.event.fact) {
                found = Some(point.lsn);
            }
        }
        match found {
            Some(lsn) => self.go(lsn),
            None => {
                self.note = format!("no earlier {sought:?}").to_lowercase();
                Ok(())
            }
        }
    }

    /// One record further; `false` at the end.
    fn forward(&mut self) -> Result<bool, ReadError> {
        let Some(point) = self.reading.next_point()? else { return Ok(false) };
        self.past.push(point);
        if self.past.len() > 2 * PAST {
            self.past.drain(..PAST);
        }
        let lsn = self.lsn().0;
        if lsn.is_multiple_of(self.distance) && self.kept.last().is_none_or(|k| k.lsn.0 < lsn) {
            self.kept.push(self.reading.state.clone());
            if self.kept.len() > kept_max(&self.reading.state) {
                self.distance *= 2;
                let distance = self.distance;
                self.kept.retain(|k| k.lsn.0.is_multiple_of(distance));
            }
        }
        Ok(true)
    }

    /// To a record, or to the last one there is.
    fn go(&mut self, to: Lsn) -> Result<(), ReadError> {
        if to < self.lsn() {
            let start = Lsn(to.0.saturating_sub(PAST as u64));
            let from = self.kept.iter().rev().find(|k| k.lsn <= start).cloned();
            self.reading = Reading::new((self.open)()?)?;
            self.past.clear();
            if let Some(state) = from {
                self.reading.resume(state)?;
            }
        }
        while self.lsn() < to && self.forward()? {}
        if self.lsn() < to {
            self.note = self.end_note();
        }
        Ok(())
    }

    /// The picture, `width` columns by `height` rows.
    pub fn picture(&self, width: usize, height: usize) -> Vec<String> {
        let side = (width / 2).min(SIDE_MAX);
        let main = width.saturating_sub(side + 3).max(1);
        let body = height.saturating_sub(4).max(1);
        let state = &self.reading.state;
        let mut out = Vec::with_capacity(height);
        let inside = self.past.last().is_some_and(|p| !p.batch_end);
        let inside = if inside { "  (its batch goes on)" } else { "" };
        let head = format!("record {}  {}{inside}  {}", state.lsn, clock(state.time), self.note);
        out.push(cut(&head, width));
        out.push("─".repeat(width));
        let left = self.records(main, body);
        let right = self.side(side, body);
        for row in 0..body {
            let a = left.get(row).map_or("", String::as_str);
            let b = right.get(row).map_or("", String::as_str);
            out.push(format!("{a:<main$} │ {b}").trim_end().to_owned());
        }
        out.push("─".repeat(width));
        out.push(cut(
            "→ ← one, ↓ ↑ twenty; next/previous: f/F fill, o/O order, c/C correction, a/A anomaly; g first, G last, q quit",
            width,
        ));
        out
    }

    /// The last records, the present one at the bottom and in full.
    fn records(&self, width: usize, height: usize) -> Vec<String> {
        let state = &self.reading.state;
        let mut rows: Vec<String> = Vec::new();
        for (n, point) in self.past.iter().enumerate().skip(self.past.len().saturating_sub(height)) {
            let said = words(&point.event, state);
            if n + 1 < self.past.len() {
                rows.push(cut(&format!("{:>8}  {said}", point.lsn), width));
                continue;
            }
            let cause = if point.event.cause == Lsn::NONE {
                String::new()
            } else {
                format!("  because of record {}", point.event.cause)
            };
            rows.push(cut(&format!("> {:>6}  {}{cause}", point.lsn, point.event.fact.name()), width));
            rows.push(cut(&format!("          {} by {}", clock(point.event.at), point.event.actor), width));
            let parts = wrapped(&said, width.saturating_sub(10).max(10));
            rows.extend(parts.into_iter().map(|part| cut(&format!("          {part}"), width)));
        }
        rows.split_off(rows.len().saturating_sub(height))
    }

    /// Positions, stops, balances, orders and alarms.
    fn side(&self, width: usize, height: usize) -> Vec<String> {
        let state = &self.reading.state;
        let mut rows = vec!["POSITIONS AND STOPS".to_owned()];
        for i in state.instruments.iter().filter(|i| i.is_open()) {
            let entry = i.entry_price().map_or("-".to_owned(), |p| p.to_string());
            rows.push(format!("{} {} at {entry}", i.spec.name, i.held()));
            rows.push(match &i.protection {
                Some(p) => format!("  stop {} for {}", p.stop, p.quantity),
                None => "  NO STOP".to_owned(),
            });
        }
        rows.push("BALANCES".to_owned());
        for asset in &state.assets {
            let Some(balance) = asset.balance else { continue };
            let total = balance.total.plus(asset.since).unwrap_or(balance.total);
            let quarantine = if asset.quarantined.is_zero() {
                String::new()
            } else {
                format!(" ({} in quarantine)", asset.quarantined)
            };
            rows.push(format!("{total} {}{quarantine}", asset.name));
        }
        if !state.orders.is_empty() {
            rows.push("ORDERS".to_owned());
        }
        for (id, order) in state.orders.iter() {
            rows.push(format!("{id} {} {} {}", order.side, order.quantity, order.status));
        }
        if !state.alarms.is_empty() {
            rows.push("ALARMS".to_owned());
        }
        for ((kind, _), alarm) in &state.alarms {
            rows.push(format!("{kind}: {}", alarm.reason));
        }
        rows.push(format!("profit {}", state.totals.realised));
        rows.truncate(height);
        rows.into_iter().map(|row| cut(&row, width)).collect()
    }
}

/// How many states of this size are kept.
fn kept_max(state: &State) -> usize {
    const BASE: usize = 64 << 10;
    const ORDER: usize = 512;
    const ENTRY: usize = 256;
    let orders = state.orders.len() + state.orders.all_ended().count();
    let entries: usize = state.instruments.iter().map(|i| i.book.entries.len()).sum();
    (KEPT_BYTES / (BASE + orders * ORDER + entries * ENTRY)).clamp(KEPT_MIN, KEPT_MAX)
}

/// At most `width` characters; what was cut off shows as an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
