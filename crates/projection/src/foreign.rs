//! Orders at the venue under client ids of ours that no record intended: which were seen, and which of them a person has
//! accepted. They change no holding.

use crate::state::{ForeignIntent, MEMORY_FOREIGN, State};
use aegis_model::event::{AnomalyKind, ForeignIntentAccepted, ForeignIntentSeen};
use aegis_model::text::Label;

impl State {
    pub(crate) fn foreign_seen(&mut self, f: &ForeignIntentSeen) {
        if !self.foreign.contains_key(&f.client) && self.foreign.len() >= MEMORY_FOREIGN {
            let accepted = self.foreign.iter().filter_map(|(client, known)| Some((known.accepted?, *client)));
            let Some((_, oldest)) = accepted.min() else {
                self.anomaly(AnomalyKind::OutOfOrder);
                return;
            };
            self.foreign.remove(&oldest);
        }
        let lsn = self.lsn;
        let known = self.foreign.entry(f.client).or_insert(ForeignIntent { seen: lsn, ..Default::default() });
        known.instrument = f.instrument.or(known.instrument);
        known.venue_order = f.venue_order.or(known.venue_order);
    }

    pub(crate) fn foreign_accepted(&mut self, f: &ForeignIntentAccepted) {
        let lsn = self.lsn;
        match self.foreign.get_mut(&f.client) {
            Some(known) => known.accepted = Some(lsn),
            None => self.anomaly(AnomalyKind::OutOfOrder),
        }
    }

    /// Those that wait for a person, by client order id.
    pub fn foreign_waiting(&self) -> impl Iterator<Item = (Label, &ForeignIntent)> {
        self.foreign
            .iter()
            .filter(|(_, known)| known.accepted.is_none())
            .map(|(client, known)| (*client, known))
    }
}
