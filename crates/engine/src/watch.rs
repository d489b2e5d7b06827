//! Which instruments time alone may concern: an index over the state, so that no input looks at all of them.
//!
//! It follows the facts that the engine emits and is built anew after a replay. It holds nothing that the state and
//! the market do not say; in builds with debug assertions every decision checks that.

use aegis_model::event::AlarmKind;
use aegis_model::{AssetId, Fact, InstrumentId, Timestamp};
use aegis_projection::State;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// The index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    /// False while facts were folded that it did not see.
    known: bool,
    /// What is filed of each instrument, by id.
    filed: Vec<Filed>,
    /// An entry is being made, an exit is wanted or protection is missing: looked at whenever anything is decided.
    busy: BTreeSet<InstrumentId>,
    /// Time exits of open positions that no exit is wanted for.
    exits: BTreeSet<(Timestamp, InstrumentId)>,
    /// When the reference of an open position that is not blind may stop being fresh; lower bounds.
    fresh: BTreeSet<(Timestamp, InstrumentId)>,
    /// Opened, or no longer blind, since the last look.
    opened: Vec<InstrumentId>,
    /// The same from earlier inputs: looked at with the next one.
    unlooked: Vec<InstrumentId>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Filed {
    exit: Option<Timestamp>,
    fresh: Option<Timestamp>,
}

fn is_busy(state: &State, id: InstrumentId) -> bool {
    let unprotected = || state.alarms.contains_key(&(AlarmKind::Unprotected, Some(id)));
    state.instrument(id).is_some_and(|i| i.prepared.is_some() || i.exit_wanted.is_some()) || unprotected()
}

fn exit_time(state: &State, id: InstrumentId) -> Option<Timestamp> {
    let instrument = state.instrument(id).filter(|i| i.is_open() && i.exit_wanted.is_none())?;
    instrument.protection.as_ref()?.time_exit
}

/// Whether the freshness of the instrument's reference matters and is not known to be lost.
pub(crate) fn needs_fresh(state: &State, id: InstrumentId) -> bool {
    state.instrument(id).is_some_and(|i| i.is_open() && i.blind.is_none())
}

fn all(state: &State) -> impl Iterator<Item = InstrumentId> + use<> {
    (0..u32::try_from(state.instruments.len()).unwrap_or(u32::MAX)).map(InstrumentId)
}

impl Watch {
    /// Facts were folded beside it.
    pub(crate) const fn forget(&mut self) {
        self.known = false;
    }

    /// Looks at the whole state if it must.
    pub(crate) fn learn(&mut self, state: &State) {
        if self.known {
            return;
        }
        *self = Watch { known: true, ..Watch::default() };
        for id in all(state) {
            self.look(state, id);
        }
        self.turn_over();
    }

    /// Follows a fact that the state has folded just now.
    pub(crate) fn follow(&mut self, state: &State, fact: &Fact) {
        if !self.known {
            return;
        }
        match fact {
            Fact::InstrumentListed(f) => self.look(state, f.instrument),
            Fact::BlindStarted(f) => self.look(state, f.instrument),
            Fact::BlindEnded(f) => self.look(state, f.instrument),
            Fact::EntryPrepared(f) => self.look(state, f.instrument),
            Fact::OrderIntended(f) => self.look(state, f.instrument),
            Fact::FillBooked(f) => {
                self.look(state, f.instrument);
                f.fee.into_iter().for_each(|fee| self.look_at_payers(state, fee.asset));
            }
            Fact::FeeResolved(f) => {
                self.look(state, f.instrument);
                self.look_at_payers(state, f.fee.asset);
            }
            Fact::ExcessSellSettled(f) => self.look(state, f.instrument),
            Fact::PositionClosed(f) => self.look(state, f.instrument),
            Fact::CycleRestated(f) => self.look(state, f.instrument),
            Fact::DustKept(f) => self.look(state, f.instrument),
            Fact::DustReturned(f) => self.look(state, f.instrument),
            Fact::StopArmed(f) => self.look(state, f.instrument),
            Fact::ExitDecided(f) => self.look(state, f.instrument),
            Fact::OrderTriggered(f) => self.look_at_order(state, f.order),
            Fact::StopRetired(f) => self.look(state, f.instrument),
            Fact::CorrectionBooked(f) => self.look(state, f.instrument),
            Fact::InstrumentBlocked(f) => self.look(state, f.instrument),
            Fact::InstrumentReleased(f) => self.look(state, f.instrument),
            Fact::AlarmRaised(f) => f.instrument.into_iter().for_each(|id| self.look(state, id)),
            Fact::AlarmCleared(f) => f.instrument.into_iter().for_each(|id| self.look(state, id)),
            Fact::OrderRejected(f) => self.look_at_order(state, f.order),
            Fact::OrderUnknown(f) => self.look_at_order(state, f.order),
            Fact::OrderLookedUp(f) => self.look_at_order(state, f.order),
            Fact::OrderAmended(f) => self.look_at_order(state, f.order),
            Fact::OrderEnded(f) => self.look_at_order(state, f.order),
            Fact::FillInferred(f) => self.look_at_order(state, f.order),
            // None of these opens or closes a holding, wants an exit, prepares an entry or sets a time.
            Fact::JournalCreated(_)
            | Fact::Started(_)
            | Fact::Stopped(_)
            | Fact::SettingRecorded(_)
            | Fact::GapFound(_)
            | Fact::GapAccepted(_)
            | Fact::ForeignIntentSeen(_)
            | Fact::ForeignIntentAccepted(_)
            | Fact::AssetNamed(_)
            | Fact::TickSeen(_)
            | Fact::SignalReceived(_)
            | Fact::SignalRefused(_)
            | Fact::EntryRefused(_)
            | Fact::OrderResent(_)
            | Fact::OrderAcknowledged(_)
            | Fact::CancelIntended(_)
            | Fact::StopMoved(_)
            | Fact::VenueStopRested(_)
            | Fact::BalanceRecorded(_)
            | Fact::CashFlowRecorded(_)
            | Fact::TradesWalked(_)
            | Fact::DriftSeen(_)
            | Fact::DriftCleared(_)
            | Fact::HoldingQuarantined(_)
            | Fact::Reconciled(_)
            | Fact::LinkLost(_)
            | Fact::LinkRestored(_)
            | Fact::CommandReceived(_)
            | Fact::TradingHalted(_)
            | Fact::TradingEnabled(_)
            | Fact::PauseStarted(_)
            | Fact::DayStarted(_)
            | Fact::CommandRefused(_)
            | Fact::AnomalyNoted(_)
            | Fact::MessageQueued(_)
            | Fact::MessageDelivered(_)
            | Fact::FileImported(_)
            | Fact::ClaimImported(_)
            | Fact::ClaimDisputed(_)
            | Fact::ClaimChecked(_) => {}
        }
    }

    fn look_at_order(&mut self, state: &State, order: aegis_model::OrderId) {
        if let Some(instrument) = state.any_order(order).map(|o| o.instrument) {
            self.look(state, instrument);
        }
    }

    /// A fee in a third asset drains whatever holding of that asset is open, and may leave nothing of it.
    fn look_at_payers(&mut self, state: &State, asset: AssetId) {
        for id in state.asset(asset).into_iter().flat_map(|a| &a.base_of) {
            self.look(state, *id);
        }
    }

    fn look(&mut self, state: &State, id: InstrumentId) {
        let at = id.0 as usize;
        if at >= state.instruments.len() {
            return;
        }
        if at >= self.filed.len() {
            self.filed.resize(at + 1, Filed::default());
        }
        if is_busy(state, id) {
            self.busy.insert(id);
        } else {
            self.busy.remove(&id);
        }
        let (exit, filed) = (exit_time(state, id), self.filed[at]);
        if exit != filed.exit {
            if let Some(old) = filed.exit {
                self.exits.remove(&(old, id));
            }
            if let Some(new) = exit {
                self.exits.insert((new, id));
            }
            self.filed[at].exit = exit;
        }
        match (needs_fresh(state, id), filed.fresh) {
            (true, None) => self.opened.push(id),
            (false, Some(_)) => self.file_fresh(id, None),
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Files until when the reference is fresh at least; none takes the instrument out.
    pub(crate) fn file_fresh(&mut self, id: InstrumentId, until: Option<Timestamp>) {
        let Some(filed) = self.filed.get_mut(id.0 as usize) else { return };
        if let Some(old) = core::mem::replace(&mut filed.fresh, until) {
            self.fresh.remove(&(old, id));
        }
        if let Some(until) = until {
            self.fresh.insert((until, id));
        }
    }

    /// The reference of the instrument stops being fresh at this time: what is filed may only be earlier.
    pub(crate) fn fresh_until(&mut self, id: InstrumentId, until: Timestamp) {
        if self.filed.get(id.0 as usize).and_then(|f| f.fresh).is_some_and(|filed| until < filed) {
            self.file_fresh(id, Some(until));
        }
    }

    /// The instruments whose freshness must be looked at now, in order of id. They are filed no longer.
    pub(crate) fn take_stale(&mut self, now: Timestamp) -> Vec<InstrumentId> {
        let due = self.fresh.first().is_some_and(|(until, _)| *until <= now);
        if !due && self.unlooked.is_empty() {
            return Vec::new();
        }
        let mut stale = core::mem::take(&mut self.unlooked);
        while let Some((until, id)) = self.fresh.first().copied().filter(|(until, _)| *until <= now) {
            self.fresh.remove(&(until, id));
            self.filed[id.0 as usize].fresh = None;
            stale.push(id);
        }
        stale.sort_unstable();
        stale.dedup();
        stale
    }

    /// The input ends: what opened in it is looked at with the next one.
    pub(crate) fn turn_over(&mut self) {
        self.unlooked.append(&mut self.opened);
    }

    /// When freshness must be looked at next: at once (`now`) when something opened that was not looked at yet; a lower
    /// bound.
    pub(crate) fn next_stale(&self, now: Timestamp) -> Option<Timestamp> {
        if self.unlooked.is_empty() { self.fresh.first().map(|(until, _)| *until) } else { Some(now) }
    }

    /// The instruments whose time exit has come.
    pub(crate) fn exits_due(&self, now: Timestamp) -> BTreeSet<InstrumentId> {
        self.exits.iter().take_while(|(time, _)| *time <= now).map(|(_, id)| *id).collect()
    }

    /// The next time exit.
    pub(crate) fn next_exit(&self) -> Option<Timestamp> {
        self.exits.first().map(|(time, _)| *time)
    }

    /// The first busy instrument from this one on.
    pub(crate) fn busy_from(&self, id: InstrumentId) -> Option<InstrumentId> {
        self.busy.range(id..).next().copied()
    }

    /// All busy instruments.
    pub(crate) fn busy(&self) -> impl Iterator<Item = InstrumentId> + '_ {
        self.busy.iter().copied()
    }

    /// Whether it says what a look at the whole state would.
    pub(crate) fn agrees(&self, state: &State) -> bool {
        let waits = |id: &InstrumentId| self.opened.contains(id) || self.unlooked.contains(id);
        let filed = |id: &InstrumentId| self.filed.get(id.0 as usize).is_some_and(|f| f.fresh.is_some());
        self.busy.iter().copied().eq(all(state).filter(|id| is_busy(state, *id)))
            && all(state)
                .filter_map(|id| exit_time(state, id).map(|time| (time, id)))
                .collect::<BTreeSet<_>>()
                == self.exits
            && all(state).filter(|id| needs_fresh(state, *id)).all(|id| filed(&id) || waits(&id))
            && self.fresh.iter().all(|(_, id)| needs_fresh(state, *id))
    }
}

#[cfg(test)]
mod tests;
