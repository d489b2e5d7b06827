//! One switch over every fact.
//!
//! Leaves live beside it: orders, holdings, balances. Nothing here decides.

use crate::state::{
    Alarm, AssetState, Day, DriftState, Halt, InstrumentState, Limits, Message, Prepared, SignalState, State,
};
use aegis_model::event::{AnomalyKind, InstrumentListed, JournalCreated, Started};
use aegis_model::input::Command;
use aegis_model::protection::{Protection, StopCause};
use aegis_model::{Event, Fact, InstrumentId, Lsn};

impl State {
    /// Folds one event. Total: whatever arrives, the state stays lawful; the impossible is a counted anomaly.
    pub fn apply(&mut self, event: &Event) {
        self.lsn = self.lsn.next();
        self.time = self.time.max(event.at);
        if aegis_model::mutant!(16) {
            self.time = self.time.after(i64::try_from(aegis_model::mutants::disorder()).unwrap_or(0));
        }
        match &event.fact {
            Fact::JournalCreated(f) => self.created(f),
            Fact::Started(f) => self.started(f),
            Fact::Stopped(_) => self.journal.stopped = true,
            Fact::SettingRecorded(f) => {
                if f.value.as_str().is_empty() {
                    self.settings.remove(&f.key);
                } else {
                    self.settings.insert(f.key.clone(), f.value.clone());
                }
            }
            Fact::GapFound(f) => {
                // The record of a gap stands behind the last number that was lost; half the numbers are never used.
                if f.last.0 < u64::MAX / 2 {
                    self.lsn = self.lsn.max(f.last.next());
                } else {
                    self.anomaly(AnomalyKind::OutOfOrder);
                }
                self.journal.open_gap = Some(self.lsn);
            }
            Fact::GapAccepted(_) => self.journal.open_gap = None,
            Fact::ForeignIntentSeen(f) => self.foreign_seen(f),
            Fact::ForeignIntentAccepted(f) => self.foreign_accepted(f),
            Fact::AssetNamed(f) => {
                if usize::from(f.asset.0) == self.assets.len() {
                    self.assets.push(AssetState { name: f.name, ..AssetState::default() });
                } else {
                    self.anomaly(AnomalyKind::OutOfOrder);
                }
            }
            Fact::InstrumentListed(f) => self.listed(f),
            Fact::TickSeen(f) => {
                self.feeds.insert(f.feed, f.clone());
            }
            Fact::BlindStarted(f) => self.on(f.instrument, |i| i.blind = Some(f.since)),
            Fact::BlindEnded(f) => self.on(f.instrument, |i| {
                i.blind = None;
                i.blind_ns = i.blind_ns.saturating_add(f.lasted_ns);
            }),
            Fact::SignalReceived(f) => {
                let lsn = self.lsn;
                self.totals.signals += 1;
                self.read(f.source, f.position);
                let signal =
                    SignalState { direction: f.direction, confidence: f.confidence, until: f.until, lsn };
                self.signals.insert((f.instrument, f.source), signal);
            }
            Fact::SignalRefused(f) => {
                self.totals.bad_signals += 1;
                self.read(f.source, f.position);
            }
            Fact::EntryRefused(f) => {
                *self.totals.refusals.entry(f.reason).or_default() += 1;
            }
            Fact::EntryPrepared(f) => {
                let lsn = self.lsn;
                let prepared = (f.snapshot != 0).then(|| Prepared { entry: f.clone(), lsn });
                self.on(f.instrument, |i| i.prepared = prepared);
            }
            Fact::OrderIntended(f) => self.intended(f),
            Fact::OrderResent(f) => self.resent(f),
            Fact::OrderAcknowledged(f) => self.acknowledged(f),
            Fact::OrderRejected(f) => self.rejected(f),
            Fact::OrderUnknown(f) => self.became_unknown(f),
            Fact::OrderLookedUp(f) => self.looked_up(f),
            Fact::CancelIntended(f) => self.cancel_intended(f),
            Fact::OrderAmended(f) => self.amended(f),
            Fact::OrderEnded(f) => self.order_ended(f),
            Fact::OrderTriggered(f) => self.triggered(f),
            Fact::FillBooked(f) => self.fill_booked(f),
            Fact::FillInferred(f) => self.fill_inferred(f),
            Fact::FeeResolved(f) => self.fee_resolved(f),
            Fact::ExcessSellSettled(f) => self.excess_settled(f),
            Fact::PositionClosed(f) => {
                self.totals.closed += 1;
                self.totals.won += u64::from(f.realised.is_positive());
                self.on(f.instrument, |i| {
                    i.book.told.insert(f.cycle, f.realised);
                });
            }
            Fact::CycleRestated(f) => self.on(f.instrument, |i| {
                i.book.told.insert(f.cycle, f.new);
            }),
            Fact::DustKept(f) => self.dust_kept(f),
            Fact::DustReturned(f) => self.dust_returned(f),
            Fact::StopArmed(f) => {
                let (lsn, at) = (self.lsn, self.time);
                self.on(f.instrument, |i| {
                    i.protection = Some(Protection {
                        plan: f.plan.clone(),
                        stop: f.stop,
                        take_profit: f.take_profit,
                        time_exit: f.time_exit,
                        mark: f.mark,
                        entry: i.entry_price().unwrap_or(f.mark),
                        stages_reached: 0,
                        quantity: f.quantity,
                        lsn,
                    });
                    if i.bare_since.is_none() {
                        i.bare_since = Some(at);
                    }
                });
            }
            Fact::StopMoved(f) => {
                self.totals.stop_moves += 1;
                let lsn = self.lsn;
                let instrument = self.instruments.get_mut(f.instrument.0 as usize);
                // A raised mark leaves the entry price as it is; the division is spared then.
                let entry = |i: &InstrumentState| match f.why {
                    StopCause::MarkRaised => None,
                    StopCause::Resized
                    | StopCause::EntryImproved
                    | StopCause::Commanded
                    | StopCause::Claimed => i.entry_price(),
                };
                match instrument.and_then(|i| Some((entry(i), i.protection.as_mut()?))) {
                    Some((entry, p)) => {
                        p.entry = entry.unwrap_or(p.entry);
                        p.stop = f.stop;
                        p.mark = f.mark;
                        p.quantity = f.quantity;
                        p.stages_reached = f.stages_reached;
                        p.take_profit = f.take_profit;
                        p.lsn = lsn;
                    }
                    None => self.anomaly(AnomalyKind::OutOfOrder),
                }
            }
            Fact::ExitDecided(f) => self.exit_decided(f),
            Fact::VenueStopRested(f) => self.venue_stop_rested(f),
            Fact::StopRetired(f) => self.on(f.instrument, |i| i.protection = None),
            Fact::BalanceRecorded(f) => self.balance_recorded(f),
            Fact::CashFlowRecorded(f) => self.cash_flow(f),
            Fact::TradesWalked(f) => self.walked = self.walked.max(f.through),
            Fact::DriftSeen(f) => {
                let drift = DriftState { venue: f.venue, expected: f.expected, look: f.look, lsn: self.lsn };
                self.on_asset(f.asset, |a| a.drift = Some(drift));
            }
            Fact::DriftCleared(f) => self.on_asset(f.asset, |a| a.drift = None),
            Fact::CorrectionBooked(f) => self.correction(f),
            Fact::HoldingQuarantined(f) => self.on_asset(f.asset, |a| a.quarantined = f.quantity),
            Fact::InstrumentBlocked(f) => {
                let lsn = self.lsn;
                self.on(f.instrument, |i| i.blocked = Some(lsn));
            }
            Fact::InstrumentReleased(f) => self.on(f.instrument, |i| i.blocked = None),
            Fact::Reconciled(f) => {
                self.journal.reconciled = Some(self.lsn);
                self.last_snapshot = self.last_snapshot.max(f.snapshot);
            }
            Fact::LinkLost(f) => {
                self.links.entry(f.link).or_insert(event.at);
            }
            Fact::LinkRestored(f) => {
                self.links.remove(&f.link);
            }
            Fact::CommandReceived(f) => self.commanded(&f.command),
            Fact::TradingHalted(f) => {
                let halt = Halt { by: f.by, reason: f.reason.clone(), at: event.at, lsn: self.lsn };
                self.trading.halted = Some(halt);
            }
            Fact::TradingEnabled(_) => {
                self.trading.halted = None;
                self.trading.flatten = None;
            }
            Fact::PauseStarted(f) => {
                self.trading.pauses.insert(f.rule, f.until);
            }
            Fact::DayStarted(f) => {
                let lsn = self.lsn;
                self.day = Some(Day { number: f.day, equity: f.equity, net_flows: Default::default(), lsn });
                self.forget();
            }
            Fact::CommandRefused(_) => {}
            Fact::AlarmRaised(f) => {
                let key = (f.alarm, f.instrument);
                let since = self.alarms.get(&key).map_or(event.at, |a| a.since);
                let alarm = Alarm { blocks: f.blocks, reason: f.reason.clone(), since, lsn: self.lsn };
                self.alarms.insert(key, alarm);
            }
            Fact::AlarmCleared(f) => {
                self.alarms.remove(&(f.alarm, f.instrument));
            }
            Fact::AnomalyNoted(f) => self.anomaly(f.anomaly),
            Fact::MessageQueued(f) => {
                if f.number > self.last_message {
                    self.totals.messages += 1;
                    self.last_message = f.number;
                    self.outbox.insert(f.number, Message { about: f.about, text: f.text.clone() });
                } else {
                    self.anomaly(AnomalyKind::OutOfOrder);
                }
            }
            Fact::MessageDelivered(f) => {
                self.outbox.remove(&f.number);
            }
            Fact::FileImported(f) => self.file_imported(f),
            Fact::ClaimImported(f) => self.claim_imported(f),
            Fact::ClaimDisputed(f) => self.claim_disputed(f),
            Fact::ClaimChecked(f) => self.claim_checked(f),
        }
    }

    /// Counts the impossible.
    pub(crate) fn anomaly(&mut self, kind: AnomalyKind) {
        *self.totals.anomalies.entry(kind).or_default() += 1;
    }

    /// Changes an instrument that exists.
    pub(crate) fn on(&mut self, id: InstrumentId, change: impl FnOnce(&mut InstrumentState)) {
        match self.instruments.get_mut(id.0 as usize) {
            Some(instrument) => change(instrument),
            None => self.anomaly(AnomalyKind::InstrumentUnknown),
        }
    }

    fn on_asset(&mut self, id: aegis_model::AssetId, change: impl FnOnce(&mut AssetState)) {
        match self.assets.get_mut(usize::from(id.0)) {
            Some(asset) => change(asset),
            None => self.anomaly(AnomalyKind::OutOfOrder),
        }
    }

    fn read(&mut self, source: aegis_model::Label, position: u64) {
        let read = self.sources.entry(source).or_default();
        *read = position.max(*read);
    }

    fn created(&mut self, f: &JournalCreated) {
        if self.journal.mode.is_some() {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        self.journal.mode = Some(f.mode);
        self.journal.installation = f.installation;
        self.journal.quote = f.quote;
    }

    fn started(&mut self, f: &Started) {
        self.journal.run = f.run;
        self.journal.openings += 1;
        self.journal.started = self.lsn;
        self.journal.stopped = false;
        self.journal.reconciled = None;
        self.trading.limits = Limits::default();
        self.trading.stopping = false;
    }

    fn listed(&mut self, f: &InstrumentListed) {
        let assets = self.assets.len();
        let known = usize::from(f.spec.base.0) < assets && usize::from(f.spec.quote.0) < assets;
        let at = f.instrument.0 as usize;
        let lsn = self.lsn;
        let end = self.instruments.len();
        match self.instruments.get_mut(at) {
            Some(i) if known && i.spec.base == f.spec.base && i.spec.quote == f.spec.quote => {
                i.spec = f.spec;
                i.listed = lsn;
            }
            None if known && at == end => {
                self.instruments.push(InstrumentState::new(f.spec, lsn));
                self.assets[usize::from(f.spec.base.0)].base_of.push(f.instrument);
            }
            // A number out of turn, or another pair under a number that has fills already.
            Some(_) | None => self.anomaly(AnomalyKind::OutOfOrder),
        }
    }

    fn commanded(&mut self, command: &Command) {
        self.totals.commands += 1;
        let lsn: Lsn = self.lsn;
        match command {
            Command::Flatten => self.trading.flatten = Some(lsn),
            Command::SetLimits { max_positions, daily_loss, budget } => {
                let limits = &mut self.trading.limits;
                limits.max_positions = max_positions.or(limits.max_positions);
                limits.daily_loss = daily_loss.or(limits.daily_loss);
                limits.budget = budget.or(limits.budget);
            }
            Command::Enable
            | Command::Halt { .. }
            | Command::Close { .. }
            | Command::Open { .. }
            | Command::AdjustStop { .. }
            | Command::Adopt { .. }
            | Command::Release { .. }
            | Command::AcceptGap
            | Command::AcceptForeign { .. }
            | Command::ReturnDust { .. } => {}
        }
    }
}
