//! What a record is about: an instrument, an order, an asset. Once for an event, and once for stored bytes, so that a
//! scan over millions of records decodes only those that it wants.
//!
//! Both are one exhaustive list; a test holds them against each other for every kind.

use aegis_model::{AssetId, Event, Fact, InstrumentId, OrderId};

/// What a record names; an order's records name their instrument only in the intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct About {
    pub(crate) instrument: Option<InstrumentId>,
    pub(crate) order: Option<OrderId>,
    pub(crate) asset: Option<AssetId>,
}

impl About {
    const fn instrument(id: InstrumentId) -> About {
        About { instrument: Some(id), order: None, asset: None }
    }

    fn order(id: OrderId) -> About {
        About { instrument: None, order: Some(id).filter(|id| id.0 != 0), asset: None }
    }

    const fn asset(id: AssetId) -> About {
        About { instrument: None, order: None, asset: Some(id) }
    }

    fn both(instrument: InstrumentId, order: OrderId) -> About {
        About { instrument: Some(instrument), ..About::order(order) }
    }
}

/// What an event is about.
pub(crate) fn about(event: &Event) -> About {
    match &event.fact {
        Fact::TickSeen(f) => About::instrument(f.instrument),
        Fact::BlindStarted(f) => About::instrument(f.instrument),
        Fact::BlindEnded(f) => About::instrument(f.instrument),
        Fact::SignalReceived(f) => About::instrument(f.instrument),
        Fact::EntryRefused(f) => About::instrument(f.instrument),
        Fact::EntryPrepared(f) => About::instrument(f.instrument),
        Fact::OrderIntended(f) => About::both(f.instrument, f.order),
        Fact::OrderResent(f) => About::order(f.order),
        Fact::OrderAcknowledged(f) => About::order(f.order),
        Fact::OrderRejected(f) => About::order(f.order),
        Fact::OrderUnknown(f) => About::order(f.order),
        Fact::OrderLookedUp(f) => About::order(f.order),
        Fact::CancelIntended(f) => About::order(f.order),
        Fact::OrderAmended(f) => About::order(f.order),
        Fact::OrderEnded(f) => About::order(f.order),
        Fact::OrderTriggered(f) => About::order(f.order),
        Fact::FillBooked(f) => About::both(f.instrument, f.order),
        Fact::FillInferred(f) => About::order(f.order),
        Fact::FeeResolved(f) => About::instrument(f.instrument),
        Fact::ExcessSellSettled(f) => About::instrument(f.instrument),
        Fact::PositionClosed(f) => About::instrument(f.instrument),
        Fact::CycleRestated(f) => About::instrument(f.instrument),
        Fact::DustKept(f) => About::instrument(f.instrument),
        Fact::DustReturned(f) => About::instrument(f.instrument),
        Fact::StopArmed(f) => About::instrument(f.instrument),
        Fact::StopMoved(f) => About::instrument(f.instrument),
        Fact::StopRetired(f) => About::instrument(f.instrument),
        Fact::ExitDecided(f) => About::instrument(f.instrument),
        Fact::VenueStopRested(f) => About::both(f.instrument, f.order),
        Fact::BalanceRecorded(f) => About::asset(f.asset),
        Fact::CashFlowRecorded(f) => About::asset(f.asset),
        Fact::DriftSeen(f) => About::asset(f.asset),
        Fact::DriftCleared(f) => About::asset(f.asset),
        Fact::HoldingQuarantined(f) => About::asset(f.asset),
        Fact::CorrectionBooked(f) => About::instrument(f.instrument),
        Fact::InstrumentBlocked(f) => About::instrument(f.instrument),
        Fact::InstrumentReleased(f) => About::instrument(f.instrument),
        Fact::AlarmRaised(f) => About { instrument: f.instrument, ..About::default() },
        Fact::AlarmCleared(f) => About { instrument: f.instrument, ..About::default() },
        Fact::AnomalyNoted(f) => About { instrument: f.instrument, ..About::order(f.order) },
        Fact::ClaimChecked(f) => About::instrument(f.instrument),
        Fact::ForeignIntentSeen(f) => About { instrument: f.instrument, ..About::default() },
        Fact::FileImported(_)
        | Fact::ClaimImported(_)
        | Fact::ClaimDisputed(_)
        | Fact::JournalCreated(_)
        | Fact::Started(_)
        | Fact::Stopped(_)
        | Fact::SettingRecorded(_)
        | Fact::GapFound(_)
        | Fact::GapAccepted(_)
        | Fact::ForeignIntentAccepted(_)
        | Fact::AssetNamed(_)
        | Fact::InstrumentListed(_)
        | Fact::SignalRefused(_)
        | Fact::TradesWalked(_)
        | Fact::Reconciled(_)
        | Fact::LinkLost(_)
        | Fact::LinkRestored(_)
        | Fact::CommandReceived(_)
        | Fact::TradingHalted(_)
        | Fact::TradingEnabled(_)
        | Fact::PauseStarted(_)
        | Fact::DayStarted(_)
        | Fact::CommandRefused(_)
        | Fact::MessageQueued(_)
        | Fact::MessageDelivered(_) => About::default(),
    }
}

/// The same from a kind and its stored payload (`journal-format.md`, *Payloads*). What is not spelled as documented
/// names nothing; whoever decodes it is told.
#[inline]
pub(crate) fn glance(kind: u16, payload: &[u8]) -> About {
    let instrument = |at| number(payload, at).map(|b| InstrumentId(u32::from_le_bytes(b)));
    let order = |at| number(payload, at).map(|b| OrderId(u64::from_le_bytes(b))).filter(|id| id.0 != 0);
    let asset = |at| number(payload, at).map(|b| AssetId(u16::from_le_bytes(b)));
    let behind_label = |at: usize| Some(at + 1 + usize::from(*payload.get(at)?));
    let mut about = About::default();
    match kind {
        7 => about.instrument = if payload.first() == Some(&1) { instrument(1) } else { None },
        20 => about.instrument = instrument(10),
        21 | 22 | 32 | 33 | 52 | 53 | 60..=63 | 70..=73 | 95 | 96 => about.instrument = instrument(0),
        30 => about.instrument = behind_label(0).and_then(|at| instrument(at + 8)),
        40 => (about.order, about.instrument) = (order(0), instrument(12)),
        41..=49 | 51 => about.order = order(0),
        50 => (about.instrument, about.order) = (instrument(0), behind_label(4).and_then(order)),
        74 => (about.instrument, about.order) = (instrument(0), order(4)),
        80 => about.asset = asset(8),
        81 => about.asset = behind_label(0).and_then(asset),
        91 | 92 | 94 => about.asset = asset(0),
        93 => about.instrument = instrument(16),
        133 => about.instrument = instrument(32),
        110..=112 => {
            let named = payload.get(1) == Some(&1);
            about.instrument = if named { instrument(2) } else { None };
            about.order = if kind == 112 { order(if named { 6 } else { 2 }) } else { None };
        }
        _ => {}
    }
    about
}

/// The label at an offset of a payload.
pub(crate) fn label_at(payload: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(*payload.get(at)?);
    payload.get(at + 1..at + 1 + length)
}

fn number<const N: usize>(payload: &[u8], at: usize) -> Option<[u8; N]> {
    payload.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    //! Both lists say the same.

    use super::*;
    use aegis_projection::testing::{BEGIN, Dice, any_fact, event};
    use std::collections::BTreeSet;

    #[test]
    fn bytes_and_events_are_about_the_same() {
        let mut dice = Dice::new(1);
        let mut kinds = BTreeSet::new();
        for n in 0..40_000 {
            let event = event(BEGIN, any_fact(&mut dice, n % 2 == 0));
            let mut payload = Vec::new();
            let head = event.encode(&mut payload);
            assert_eq!(glance(head.kind, &payload), about(&event), "{event:?}");
            for short in [0, payload.len() / 2] {
                glance(head.kind, &payload[..short]);
            }
            kinds.insert(head.kind);
        }
        let all: BTreeSet<u16> = Fact::KINDS.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, all, "every kind was drawn");
    }
}
