//! The beginning and the end of a process's life with its journal.
//!
//! After replay nothing is assumed: open intents are asked about by client order id, the venue is compared with
//! the fold, missing stops are armed, and only then do entries pass the gate.

use crate::Engine;
use aegis_model::event::{
    AlarmKind, AnomalyKind, AssetNamed, Blocks, InstrumentListed, LinkLost, LinkRestored, MessageDelivered,
    SettingRecorded, Started,
};
use aegis_model::input::{ListedInstrument, Opened, Scope};
use aegis_model::order::{OrderStatus, UnknownCause};
use aegis_model::{Actor, AssetId, Effect, Fixed, InstrumentId, Label, Lsn, OrderId, Text};

impl Engine {
    /// The first input after replay.
    pub(crate) fn opened(&mut self, opened: &Opened) {
        self.turn.actor = Some(Actor::Process);
        self.asks.opened = true;
        if let Some(created) = &opened.created {
            self.emit(created.clone());
        }
        if let Some(gap) = &opened.gap {
            self.emit(gap.clone());
        }
        self.turn.cause = self.emit_because(
            Lsn::NONE,
            Started {
                run: opened.run,
                version: opened.version,
                config_digest: opened.config_digest,
                seed: opened.seed,
            },
        );
        for (key, value) in &opened.settings {
            if self.state.settings.get(key) != Some(value) {
                self.emit(SettingRecorded { key: key.clone(), value: value.clone() });
            }
        }
        for key in self.state.settings.keys().cloned().collect::<alloc::vec::Vec<_>>() {
            if !opened.settings.iter().any(|(k, _)| *k == key) && self.state.settings[&key] != Text::default()
            {
                self.emit(SettingRecorded { key, value: Text::default() });
            }
        }
        if self.state.journal.open_gap.is_some() {
            let reason = "acknowledged records are lost: compare with the venue, then accept the gap";
            self.raise(AlarmKind::JournalGap, None, Blocks::AllEntries, reason);
        }
        self.resume();
    }

    /// Asks about everything that was under way when the last process ended.
    fn resume(&mut self) {
        let open: alloc::vec::Vec<_> = self.state.orders.iter().map(|(n, o)| (*n, o.status)).collect();
        for (order, status) in open {
            if status == OrderStatus::Intended {
                self.unknown(order, UnknownCause::Restart);
            } else {
                self.look_up(order);
            }
        }
        let unsent: alloc::vec::Vec<(u64, Text)> =
            self.state.outbox.iter().map(|(n, m)| (*n, m.text.clone())).collect();
        for (number, text) in unsent {
            if !self
                .turn
                .out
                .effects
                .iter()
                .any(|e| matches!(e, Effect::Notify { number: n, .. } if *n == number))
            {
                self.ask(Effect::Notify { number, text });
            }
        }
        if !self.state.instruments.is_empty() {
            for id in self.all_instruments() {
                self.settle(id);
            }
            self.ask_snapshot(Scope::Full);
        }
    }

    /// The venue's instruments: facts in the journal, recorded when new and whenever they change.
    pub(crate) fn instruments_listed(&mut self, listed: &[ListedInstrument]) {
        self.turn.actor = Some(Actor::Venue);
        let none_before = self.state.instruments.is_empty();
        let quote = self.state.journal.quote;
        if !quote.is_empty() {
            self.asset_named(quote);
        }
        for instrument in listed {
            let base = self.asset_named(instrument.base);
            let quote = self.asset_named(instrument.quote);
            let spec = instrument.spec(base, quote);
            match self.state.find_instrument(&instrument.name) {
                Some(id) if self.state.instrument(id).is_some_and(|i| i.spec == spec) => {}
                Some(id) => {
                    self.emit(InstrumentListed { instrument: id, spec });
                    self.settle(id);
                }
                None => {
                    let next = u32::try_from(self.state.instruments.len()).unwrap_or(u32::MAX);
                    self.emit(InstrumentListed { instrument: InstrumentId(next), spec });
                }
            }
        }
        if none_before && !self.state.instruments.is_empty() {
            self.ask_snapshot(Scope::Full);
        }
    }

    pub(crate) fn asset_named(&mut self, name: Label) -> AssetId {
        if let Some(known) = self.state.find_asset(&name) {
            return known;
        }
        let asset = AssetId(u16::try_from(self.state.assets.len()).unwrap_or(u16::MAX));
        self.emit(AssetNamed { asset, name });
        asset
    }

    /// A message reached its service.
    pub(crate) fn delivered(&mut self, number: u64) {
        if self.state.outbox.contains_key(&number) {
            self.turn.actor = Some(Actor::Process);
            self.turn.positioned = true;
            self.emit(MessageDelivered { number });
        }
    }

    /// A connection to the venue is lost, told once until it is back.
    pub(crate) fn link(&mut self, link: Label, lost: Option<&Text>) {
        self.turn.actor = Some(Actor::Process);
        match (lost, self.state.links.get(&link).copied()) {
            (Some(reason), None) => drop(self.emit(LinkLost { link, reason: reason.clone() })),
            (None, Some(since)) => {
                let lasted_ns = self.turn.now.since(since);
                self.emit(LinkRestored { link, lasted_ns });
                self.asks.venue_is_back();
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// The venue's answers or news were odd: noted with how often.
    pub(crate) fn odd(&mut self, anomaly: AnomalyKind, count: u64, detail: &Text) {
        self.turn.actor = Some(Actor::Process);
        let met = Fixed::from_int(i64::try_from(count).unwrap_or(i64::MAX));
        self.note(anomaly, None, OrderId(0), Fixed::ZERO, met, detail.as_str());
    }

    pub(crate) fn journal_space(&mut self, reserve_only: bool) {
        self.turn.actor = Some(Actor::Process);
        self.asks.reserve_only = reserve_only;
        if reserve_only {
            let reason = "the next journal segment cannot be made: free disk space; exits and stops go on";
            self.raise(AlarmKind::JournalReserve, None, Blocks::AllEntries, reason);
        } else {
            self.clear(AlarmKind::JournalReserve, None);
        }
    }

    /// One alarm for as long as it lasts: each record about a slow disk is one more that the disk has to take.
    #[cold]
    pub(crate) fn disk_slow(&mut self, milliseconds: u64) {
        self.turn.actor = Some(Actor::Process);
        let standing = self.state.alarms.contains_key(&(AlarmKind::DiskSlow, None));
        if milliseconds == 0 {
            self.clear(AlarmKind::DiskSlow, None);
        } else if !standing {
            let reason = alloc::format!(
                "the disk took {milliseconds} ms to make records durable: nothing was sent meanwhile; exits and stops go on"
            );
            self.raise(AlarmKind::DiskSlow, None, Blocks::AllEntries, &reason);
        }
    }

    /// No new entries; working ones are cancelled; stops stay as they are.
    pub(crate) fn stopping(&mut self, _why: Label) {
        self.turn.actor = Some(Actor::Process);
        self.asks.stopping = true;
        for id in self.all_instruments() {
            self.drop_prepared(id);
            self.cancel_entry(id, "stopping");
        }
    }
}
