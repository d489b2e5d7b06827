//! Orders at the venue under client ids of ours that no record of this journal intended: an acknowledged tail was lost,
//! an older backup runs, or another copy does (row J of the recovery table). Each is a record, together they are one
//! alarm, and only a person ends it. What they did to balances is the affair of the comparison.

use crate::Engine;
use aegis_model::event::{AlarmKind, Blocks, ForeignIntentAccepted, ForeignIntentSeen};
use aegis_model::{ClientOrderId, InstrumentId, Label, Text, VenueOrderId};
use aegis_projection::State;
use aegis_projection::state::MEMORY_FOREIGN;
use alloc::vec::Vec;

/// Accepted by one command: each is a record with the reason, and all of them are one batch.
const ACCEPTED_AT_ONCE: usize = 400;

/// Whether seeing this order again tells nothing that is not on record: it is, and so is the venue's id of it; or a
/// person has accepted it.
pub(crate) fn is_known(state: &State, client: ClientOrderId, venue_order: Option<VenueOrderId>) -> bool {
    let told = venue_order.is_some_and(|id| id != VenueOrderId::default());
    let known = state.foreign.get(&client.label());
    known.is_some_and(|known| known.accepted.is_some() || known.venue_order.is_some() || !told)
}

impl Engine {
    /// The venue shows such an order; whoever calls raises the alarm when all of an answer has been seen.
    pub(crate) fn foreign_seen(
        &mut self,
        client: ClientOrderId,
        venue_order: Option<VenueOrderId>,
        instrument: Option<InstrumentId>,
    ) {
        if is_known(&self.state, client, venue_order) {
            return;
        }
        let client = client.label();
        let is_new = !self.state.foreign.contains_key(&client);
        // More than that many are not told apart: when those are accepted, the next comparison tells the rest.
        if !is_new || self.state.foreign_waiting().count() < MEMORY_FOREIGN {
            let venue_order = venue_order.filter(|id| *id != VenueOrderId::default());
            self.emit(ForeignIntentSeen { instrument, client, venue_order });
        }
    }

    /// One alarm for all that wait for a person; none when none does.
    pub(crate) fn alarm_foreign(&mut self) {
        let mut waiting: Vec<_> = self.state.foreign_waiting().map(|(client, f)| (f.seen, client)).collect();
        waiting.sort_unstable();
        let Some((_, first)) = waiting.first() else {
            self.clear(AlarmKind::ForeignIntent, None);
            return;
        };
        // Without their number: an alarm is told anew when its words change.
        let others = if waiting.len() > 1 { " and others of ours" } else { "" };
        let reason = alloc::format!(
            "the venue knows {first}{others}, which this journal never intended: its tail was lost, or another copy runs; \
             look into it, then accept-foreign"
        );
        self.raise(AlarmKind::ForeignIntent, None, Blocks::AllEntries, &reason);
    }

    /// All that were seen and wait, or the one that is named; of very many the first, and the alarm goes on for the others.
    pub(crate) fn accept_foreign(
        &mut self,
        by: Label,
        only: Option<Label>,
        reason: &Text,
    ) -> Result<(), Text> {
        let waiting: Vec<_> =
            self.state.foreign_waiting().map(|(client, f)| (client, f.venue_order)).collect();
        let accepted: Vec<_> =
            waiting.iter().copied().filter(|(client, _)| only.is_none_or(|only| only == *client)).collect();
        if accepted.is_empty() {
            if let (Some(only), Some((first, _))) = (only, waiting.first()) {
                let said = alloc::format!(
                    "{only} does not wait to be accepted; {} do, the first is {first}",
                    waiting.len()
                );
                return Err(Text::new(&said));
            }
            // An alarm of a version that did not record what it had seen.
            if only.is_some() || !self.state.alarms.contains_key(&(AlarmKind::ForeignIntent, None)) {
                return Err(Text::new("no order of ours that no record intended waits to be accepted"));
            }
        }
        for (client, venue_order) in accepted.into_iter().take(ACCEPTED_AT_ONCE) {
            self.emit(ForeignIntentAccepted { by, client, venue_order, reason: reason.clone() });
        }
        // Where no more could be remembered there may be more of them: the next comparison ends the alarm, or goes on.
        if self.state.foreign.len() < MEMORY_FOREIGN {
            self.alarm_foreign();
        }
        self.asks.reconcile_wanted = true;
        Ok(())
    }
}
