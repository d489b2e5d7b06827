//! Claims of files: which were recorded, and which of them no comparison has judged yet. They change no holding.

use crate::state::{ImportedFile, OpenClaim, State};
use aegis_model::Rounding;
use aegis_model::claim::{Claim, DisputeKind, PositionClaim};
use aegis_model::event::{AnomalyKind, ClaimChecked, ClaimDisputed, ClaimImported, FileImported};

impl State {
    #[cold]
    #[inline(never)]
    pub(crate) fn file_imported(&mut self, f: &FileImported) {
        let lsn = self.lsn;
        if self.claims.files.contains_key(&f.digest) {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        }
        let file = ImportedFile { lsn, name: f.name.clone(), ..ImportedFile::default() };
        self.claims.files.insert(f.digest, file);
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn claim_imported(&mut self, f: &ClaimImported) {
        let Some(file) = self.claims.files.get_mut(&f.digest) else {
            self.anomaly(AnomalyKind::OutOfOrder);
            return;
        };
        file.withheld.remove(&f.row);
        self.claims.imported += 1;
        match &f.claim {
            Claim::Position(position) => self.position_claimed(f.digest, position),
            Claim::Trade(_) | Claim::Limit { .. } | Claim::TradingDisabled | Claim::Note { .. } => {}
        }
    }

    fn position_claimed(&mut self, digest: [u8; 32], position: &PositionClaim) {
        let lsn = self.lsn;
        let open = self.claims.open.entry((position.instrument, digest)).or_default();
        let cost =
            position.entry.times(position.quantity, Rounding::HalfEven).and_then(|c| open.cost.plus(c));
        match (open.quantity.plus(position.quantity), cost) {
            (Ok(quantity), Ok(cost)) => {
                *open = OpenClaim {
                    lsn,
                    lots: open.lots.saturating_add(1),
                    quantity,
                    cost,
                    stop: open.stop.max(position.stop),
                    highest: open.highest.max(position.highest),
                };
            }
            (Err(_), _) | (_, Err(_)) => self.anomaly(AnomalyKind::Overflow),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn claim_disputed(&mut self, f: &ClaimDisputed) {
        self.claims.disputed += 1;
        match self.claims.files.get_mut(&f.digest) {
            Some(file) if f.kind == DisputeKind::LimitContested => {
                file.withheld.insert(f.row.clone());
            }
            Some(_) => {}
            None => self.anomaly(AnomalyKind::OutOfOrder),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn claim_checked(&mut self, f: &ClaimChecked) {
        let name = self.instrument(f.instrument).map(|instrument| instrument.spec.name);
        match name.and_then(|name| self.claims.open.remove(&(name, f.digest))) {
            Some(_) => *self.claims.checked.entry(f.verdict).or_default() += 1,
            None => self.anomaly(AnomalyKind::OutOfOrder),
        }
    }
}
