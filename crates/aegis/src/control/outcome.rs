//! What became of a command, by the records that answer it. It follows causes: the record of the command, the refusal
//! or the prepared entry that names it as its cause, and what names that one. It never decides anything.

use super::words::Reply;
use aegis_model::event::EntryRefused;
use aegis_model::input::Command;
use aegis_model::{Event, Fact, InstrumentId, Lsn, Text};
use aegis_projection::State;

/// A command that somebody waits to hear about.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The record of the command.
    command: Lsn,
    /// Whether it asked for an entry: what timers decide beside another command is none of its affair.
    enters: bool,
    /// An entry that passed every gate but the balance, which was asked for: its record, and where.
    prepared: Option<(Lsn, InstrumentId)>,
    end: Option<End>,
}

#[derive(Debug)]
enum End {
    /// The command was not carried out.
    Refused(Lsn, Text),
    /// A gate did not let the entry through.
    Gate(Lsn, EntryRefused),
    /// The prepared entry was given up before its balance came.
    Dropped(Lsn, InstrumentId),
    /// The prepared entry is an order.
    Intended,
}

impl Asked {
    /// Hears the next record; the first command among them is the one that is meant.
    pub(crate) fn hear(&mut self, lsn: Lsn, event: &Event) {
        if !matches!(self.end, None | Some(End::Dropped(..))) {
            return;
        }
        let ours = self.command != Lsn::NONE && event.cause == self.command;
        let here = |id: InstrumentId| self.prepared.is_some_and(|(_, instrument)| instrument == id);
        let entry = self.prepared.is_some_and(|(prepared, _)| event.cause == prepared);
        #[expect(clippy::wildcard_enum_match_arm, reason = "no other record answers a command")]
        match &event.fact {
            Fact::CommandReceived(f) if self.command == Lsn::NONE => {
                self.command = lsn;
                self.enters = matches!(f.command, Command::Open { .. });
            }
            Fact::CommandRefused(f) if ours => self.end = Some(End::Refused(lsn, f.reason.clone())),
            // What is refused was dropped just before; for want of a balance in time, by a timer and because of that record.
            Fact::EntryRefused(f)
                if (ours && self.enters)
                    || entry
                    || self.prepared.is_some_and(|(lsn, _)| lsn == f.blocking) =>
            {
                self.end = Some(End::Gate(lsn, f.clone()))
            }
            // Prepared, and once more when the balance is asked for again: an instrument has one prepared entry.
            Fact::EntryPrepared(f) if f.snapshot != 0 && (ours && self.enters || here(f.instrument)) => {
                self.prepared = Some((lsn, f.instrument));
            }
            Fact::EntryPrepared(f) if f.snapshot == 0 && here(f.instrument) => {
                self.end = Some(End::Dropped(lsn, f.instrument));
            }
            Fact::OrderIntended(_) if entry => self.end = Some(End::Intended),
            _ => {}
        }
    }

    /// Whether what became of it is still to come: an entry waits for its balance.
    pub(crate) const fn waits(&self) -> bool {
        self.prepared.is_some() && self.end.is_none()
    }

    /// What to tell. The records must be durable.
    pub(crate) fn reply(&self, state: &State) -> Reply {
        let name = |id: InstrumentId| state.instrument(id).map_or_else(Default::default, |i| i.spec.name);
        match &self.end {
            Some(End::Refused(lsn, reason)) => Reply::refused(format!("refused: {reason} (record {lsn})")),
            Some(End::Gate(lsn, f)) => {
                let mut text = format!("refused: {} entry: {}", name(f.instrument), f.reason);
                if !f.need.is_zero() || !f.have.is_zero() {
                    text.push_str(&format!(", need {} have {}", f.need, f.have));
                }
                if f.blocking != Lsn::NONE {
                    text.push_str(&format!(", because of record {}", f.blocking));
                }
                Reply::refused(format!("{text} (record {lsn})"))
            }
            Some(End::Dropped(lsn, id)) => {
                Reply::refused(format!("refused: {} entry was given up (record {lsn})", name(*id)))
            }
            Some(End::Intended) | None => {
                let waits = if self.waits() { "; the entry waits for the balance" } else { "" };
                Reply::done(format!("done: records {} to {}{waits}", self.command, state.lsn))
            }
        }
    }
}

#[cfg(test)]
mod tests;
