//! Where an asset went: every movement of it, folded from the first record, so that the movements add up to what is
//! held to the last digit.

use super::lines::wrapped;
use super::{ExplainError, Explanation, Options};
use crate::replay::{Point, ReadError, Reading, Until};
use crate::words::{clock, words};
use aegis_journal::StorageRead;
use aegis_model::{AssetId, Event, Fact, Label, Lsn, Quantity, Side};
use aegis_projection::State;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Movements shown unless all are asked for.
const SHOWN: usize = 40;
/// Movements shown at most.
const SHOWN_MAX: usize = 100_000;
/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 16;

/// One movement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Movement {
    /// The record that made it.
    pub lsn: u64,
    /// Its time, RFC 3339.
    pub time: String,
    /// Which pocket changed: `position BTC_USDT`, `dust BTC_USDT`, `quarantine`, `account`.
    pub pocket: String,
    /// How: `bought`, `sold`, `fee`, `dust`, `correction`, `flow`, `opening`, `balance`, `quarantine`.
    pub class: &'static str,
    /// By how much, signed.
    pub change: Quantity,
    /// What the pocket holds then.
    pub after: Quantity,
    /// The record in words.
    pub words: String,
}

/// A place where an asset can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Pocket {
    Position(usize),
    Dust(usize),
    Quarantine,
    /// What the venue's account is expected to hold.
    Account,
}

fn pockets(state: &State, asset: AssetId, out: &mut Vec<(Pocket, Quantity)>) {
    out.clear();
    let Some(a) = state.asset(asset) else { return };
    for id in &a.base_of {
        if let Some(i) = state.instrument(*id) {
            out.push((Pocket::Position(id.0 as usize), i.held()));
            out.push((Pocket::Dust(id.0 as usize), i.dust.quantity));
        }
    }
    out.push((Pocket::Quarantine, a.quarantined));
    let account = a.balance.map_or(Some(a.since), |b| b.total.plus(a.since).ok());
    out.push((Pocket::Account, account.unwrap_or(Quantity::ZERO)));
}

struct Ledger {
    asset: AssetId,
    name: Label,
    amount: Option<Quantity>,
    shown_max: usize,
    shown: VecDeque<Movement>,
    folded: u64,
    /// By pocket: sums of all movements.
    sums: BTreeMap<Pocket, Quantity>,
    /// By pocket and class: sums.
    classes: BTreeMap<(Pocket, &'static str), Quantity>,
    overflowed: bool,
}

/// The record that moves something.
struct At<'a> {
    lsn: Lsn,
    event: &'a Event,
    state: &'a State,
    /// The account moves by what positions, dust and quarantine move by: it is not shown a second time.
    mirrored: bool,
}

impl Ledger {
    fn moved(
        &mut self,
        point: &Point,
        state: &State,
        before: &[(Pocket, Quantity)],
        after: &[(Pocket, Quantity)],
    ) {
        let changes = after.iter().map(|(pocket, now)| {
            let was = before.iter().find(|(p, _)| p == pocket).map_or(Quantity::ZERO, |(_, q)| *q);
            (*pocket, now.minus(was).unwrap_or(Quantity::ZERO))
        });
        let sum = |sum: Quantity, change: Quantity| sum.plus(change).unwrap_or(sum);
        let (account, others): (Vec<_>, Vec<_>) = changes.clone().partition(|(p, _)| *p == Pocket::Account);
        let of =
            |changes: Vec<(Pocket, Quantity)>| changes.into_iter().map(|(_, c)| c).fold(Quantity::ZERO, sum);
        let mirrored = of(account) == of(others);
        let at = At { lsn: point.lsn, event: &point.event, state, mirrored };
        for (pocket, change) in changes {
            if !change.is_zero() {
                self.split(&at, pocket, change);
            }
        }
    }

    fn add(&mut self, at: &At<'_>, pocket: Pocket, class: &'static str, change: Quantity) {
        if change.is_zero() {
            return;
        }
        let At { lsn, event, state, .. } = *at;
        let sum = self.sums.entry(pocket).or_default();
        match sum.plus(change) {
            Ok(new) => *sum = new,
            Err(_) => self.overflowed = true,
        }
        let after = *sum;
        let by_class = self.classes.entry((pocket, class)).or_default();
        *by_class = by_class.plus(change).unwrap_or(*by_class);
        let asked = self.amount.is_none_or(|amount| change.abs() == amount.abs() || after == amount);
        if !asked || at.mirrored && pocket == Pocket::Account {
            return;
        }
        let movement = Movement {
            lsn: lsn.0,
            time: clock(event.at),
            pocket: spelled(pocket, state),
            class,
            change,
            after,
            words: words(event, state),
        };
        self.shown.push_back(movement);
        if self.shown.len() > self.shown_max {
            self.shown.pop_front();
            self.folded += 1;
        }
    }

    /// Splits a change of one pocket into what was traded and what was paid, where that adds up to it.
    fn split(&mut self, at: &At<'_>, pocket: Pocket, change: Quantity) {
        let At { event, state, .. } = *at;
        if let Fact::FillBooked(f) = &event.fact
            && let Some(spec) = state.instrument(f.instrument).map(|i| i.spec)
            && let Pocket::Position(_) | Pocket::Account = pocket
        {
            let fee = f
                .fee
                .filter(|fee| fee.asset == self.asset)
                .map_or(Quantity::ZERO, |fee| fee.amount.negated());
            let value = f.price.times(f.quantity, aegis_model::Rounding::HalfEven).map(|v| Quantity(v.0));
            let traded = match (self.asset == spec.base, self.asset == spec.quote, f.side) {
                (true, _, Side::Buy) => Ok(f.quantity),
                (true, _, Side::Sell) => Ok(f.quantity.negated()),
                (false, true, Side::Buy) => value.map(Quantity::negated),
                (false, true, Side::Sell) => value,
                (false, false, _) => Ok(Quantity::ZERO),
            };
            if let Ok(traded) = traded
                && traded.plus(fee) == Ok(change)
            {
                let class = if traded.is_negative() { "sold" } else { "bought" };
                let class = if self.asset == spec.quote {
                    if traded.is_negative() { "paid" } else { "received" }
                } else {
                    class
                };
                self.add(at, pocket, class, traded);
                self.add(at, pocket, "fee", fee);
                return;
            }
        }
        self.add(at, pocket, class_of(event), change);
    }
}

fn class_of(event: &Event) -> &'static str {
    match &event.fact {
        Fact::FillBooked(_) => "fill",
        Fact::FillInferred(_) => "inferred fill",
        Fact::FeeResolved(_) => "fee",
        Fact::DustKept(_) | Fact::DustReturned(_) => "dust",
        Fact::CorrectionBooked(_) => "correction",
        Fact::ExcessSellSettled(_) => "sold by others",
        Fact::CashFlowRecorded(_) => "flow",
        Fact::BalanceRecorded(_) => "balance",
        Fact::HoldingQuarantined(_) => "quarantine",
        Fact::ClaimChecked(_) => "claim",
        Fact::FileImported(_)
        | Fact::ClaimImported(_)
        | Fact::ClaimDisputed(_)
        | Fact::JournalCreated(_)
        | Fact::Started(_)
        | Fact::Stopped(_)
        | Fact::SettingRecorded(_)
        | Fact::GapFound(_)
        | Fact::GapAccepted(_)
        | Fact::ForeignIntentSeen(_)
        | Fact::ForeignIntentAccepted(_)
        | Fact::AssetNamed(_)
        | Fact::InstrumentListed(_)
        | Fact::TickSeen(_)
        | Fact::BlindStarted(_)
        | Fact::BlindEnded(_)
        | Fact::SignalReceived(_)
        | Fact::SignalRefused(_)
        | Fact::EntryRefused(_)
        | Fact::EntryPrepared(_)
        | Fact::OrderIntended(_)
        | Fact::OrderResent(_)
        | Fact::OrderAcknowledged(_)
        | Fact::OrderRejected(_)
        | Fact::OrderUnknown(_)
        | Fact::OrderLookedUp(_)
        | Fact::CancelIntended(_)
        | Fact::OrderAmended(_)
        | Fact::OrderEnded(_)
        | Fact::OrderTriggered(_)
        | Fact::PositionClosed(_)
        | Fact::CycleRestated(_)
        | Fact::StopArmed(_)
        | Fact::StopMoved(_)
        | Fact::StopRetired(_)
        | Fact::ExitDecided(_)
        | Fact::VenueStopRested(_)
        | Fact::TradesWalked(_)
        | Fact::DriftSeen(_)
        | Fact::DriftCleared(_)
        | Fact::InstrumentBlocked(_)
        | Fact::InstrumentReleased(_)
        | Fact::Reconciled(_)
        | Fact::LinkLost(_)
        | Fact::LinkRestored(_)
        | Fact::CommandReceived(_)
        | Fact::CommandRefused(_)
        | Fact::TradingHalted(_)
        | Fact::TradingEnabled(_)
        | Fact::PauseStarted(_)
        | Fact::DayStarted(_)
        | Fact::AlarmRaised(_)
        | Fact::AlarmCleared(_)
        | Fact::AnomalyNoted(_)
        | Fact::MessageQueued(_)
        | Fact::MessageDelivered(_) => "other",
    }
}

fn spelled(pocket: Pocket, state: &State) -> String {
    let name = |at: usize| state.instruments.get(at).map_or(Label::EMPTY, |i| i.spec.name);
    match pocket {
        Pocket::Position(at) => format!("position {}", name(at)),
        Pocket::Dust(at) => format!("dust {}", name(at)),
        Pocket::Quarantine => "quarantine".to_owned(),
        Pocket::Account => "account".to_owned(),
    }
}

/// Explains an asset: all its movements, or those of exactly one size.
pub(super) fn asset<R: StorageRead>(
    open: &impl Fn() -> Result<R, ReadError>,
    asset: AssetId,
    amount: Option<Quantity>,
    options: Options,
    progress: &dyn Fn(u64),
) -> Result<Explanation, ExplainError> {
    let mut reading = Reading::new(open()?)?;
    let mut ledger = Ledger {
        asset,
        name: Label::EMPTY,
        amount,
        shown_max: if options.all || amount.is_some() { SHOWN_MAX } else { SHOWN },
        shown: VecDeque::new(),
        folded: 0,
        sums: BTreeMap::new(),
        classes: BTreeMap::new(),
        overflowed: false,
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut more = true;
    while more {
        more = reading.step_batch(Until::End, &mut |point, state| {
            pockets(state, asset, &mut after);
            if before != after {
                ledger.moved(point, state, &before, &after);
            }
            std::mem::swap(&mut before, &mut after);
            if point.lsn.0.is_multiple_of(PROGRESS_RECORDS) {
                progress(point.lsn.0);
            }
        })?;
    }
    let state = &reading.state;
    ledger.name = state.asset(asset).map_or(Label::EMPTY, |a| a.name);
    let mut told = Explanation::new(ledger.answer(state), Vec::new());
    told.movements = ledger.shown.into();
    told.movements_folded = ledger.folded;
    Ok(told)
}

impl Ledger {
    fn answer(&self, state: &State) -> Vec<String> {
        let mut now = Vec::new();
        pockets(state, self.asset, &mut now);
        let mut out = Vec::new();
        let mut held = Quantity::ZERO;
        let mut account = Quantity::ZERO;
        let mut adds_up = !self.overflowed;
        for (pocket, quantity) in &now {
            let moved = self.sums.get(pocket).copied().unwrap_or_default();
            adds_up &= moved == *quantity;
            match pocket {
                Pocket::Account => account = *quantity,
                Pocket::Position(_) | Pocket::Dust(_) | Pocket::Quarantine => {
                    held = held.plus(*quantity).unwrap_or(held);
                }
            }
            let parts: Vec<String> = self
                .classes
                .iter()
                .filter(|((p, _), sum)| p == pocket && !sum.is_zero())
                .map(|((_, class), sum)| format!("{class} {}", signed(*sum)))
                .collect();
            if !parts.is_empty() {
                out.push(format!("{}: {quantity} = {}", spelled(*pocket, state), parts.join(", ")));
            }
        }
        let base = state.asset(self.asset).is_some_and(|a| !a.base_of.is_empty());
        if base {
            let rest = account.minus(held).unwrap_or(Quantity::ZERO);
            out.insert(
                0,
                format!(
                    "{} {} is held in positions, as dust and in quarantine; the account is expected to hold {account}{}",
                    held,
                    self.name,
                    if rest.is_zero() { String::new() } else { format!(", which is {} more or less", signed(rest)) }
                ),
            );
        } else {
            out.insert(0, format!("the account is expected to hold {account} {}", self.name));
        }
        out.push(if adds_up {
            "the movements add up to that, to the last digit".to_owned()
        } else {
            "THE MOVEMENTS DO NOT ADD UP TO THAT: this is a bug, please report it".to_owned()
        });
        if let Some(amount) = self.amount {
            out.push(match self.shown.len() {
                0 => format!("no movement was exactly {amount} {}, and no pocket ever held that", self.name),
                1 => format!("1 movement was exactly {amount} {}, or left a pocket with that", self.name),
                n => format!("{n} movements were exactly {amount} {}, or left a pocket with that", self.name),
            });
        }
        out
    }
}

fn signed(quantity: Quantity) -> String {
    if quantity.is_negative() { quantity.to_string() } else { format!("+{quantity}") }
}

impl Explanation {
    /// The movements as a table.
    pub(super) fn render_movements(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.movements.is_empty() {
            return out;
        }
        out.push(String::new());
        if self.movements_folded > 0 {
            out.push(format!("{:>8}  {} earlier movements; --all shows them", "", self.movements_folded));
        }
        let width =
            |of: fn(&Movement) -> String| self.movements.iter().map(|m| of(m).len()).max().unwrap_or(0);
        let (changes, afters) = (width(|m| signed(m.change)), width(|m| m.after.to_string()));
        let pockets = width(|m| m.pocket.clone());
        let mut told = 0;
        for m in &self.movements {
            let time: String = m.time.chars().take(19).collect();
            out.push(format!(
                "{:>8}  {}  {:>changes$}  {:<pockets$}  {:>afters$}  {}",
                m.lsn,
                time.replace('T', " "),
                signed(m.change),
                m.pocket,
                m.after.to_string(),
                m.class
            ));
            if std::mem::replace(&mut told, m.lsn) == m.lsn {
                continue;
            }
            out.extend(wrapped(&m.words, 88).into_iter().map(|line| format!("{:>10}{line}", "")));
        }
        out
    }
}
