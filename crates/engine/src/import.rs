//! Claims of other programs: recorded as such, then judged by a complete comparison with the venue.
//!
//! A claim is evidence only (semantics rule 39, after trades and transfers): it explains a holding that the venue has, and
//! it never makes one, never shrinks one, and never lowers a stop. No order follows from a claim, only the protection of
//! what is held.

use crate::Engine;
use crate::reconcile;
use aegis_model::claim::{Claim, ClaimFile, ClaimRow, ClaimVerdict, Dispute};
use aegis_model::event::{
    ClaimChecked, ClaimDisputed, ClaimImported, FileImported, StopMoved, TradingHalted,
};
use aegis_model::input::VenueSnapshot;
use aegis_model::protection::StopCause;
use aegis_model::{Actor, Fixed, InstrumentId, Label, Lsn, Price, Quantity, Rounding, Text};
use aegis_projection::state::OpenClaim;
use alloc::vec::Vec;

/// Who halts when a file says that its program was told not to trade.
const IMPORT: Label = Label::literal("import");

impl Engine {
    /// One file is one batch. What was recorded before is not recorded again: a file by its content, a row that waited for
    /// an answer by its place.
    #[cold]
    pub(crate) fn import(&mut self, file: &ClaimFile) {
        self.turn.actor = Some(Actor::Import);
        let known = self.state.claims.files.get(&file.digest).cloned();
        let is_new = |row: &Text| known.as_ref().is_none_or(|known| known.withheld.contains(row));
        let claims: Vec<&ClaimRow> = file.claims.iter().filter(|claim| is_new(&claim.row)).collect();
        let disputes: &[Dispute] = if known.is_none() { &file.disputes } else { &[] };
        self.turn.cause = match &known {
            Some(_) if claims.is_empty() => return,
            Some(known) => known.lsn,
            None => self.emit_because(
                Lsn::NONE,
                FileImported {
                    digest: file.digest,
                    name: file.name.clone(),
                    source: file.kind,
                    bytes: file.bytes,
                    timezone: file.timezone.clone(),
                    claims: u32::try_from(claims.len()).unwrap_or(u32::MAX),
                    disputes: u32::try_from(disputes.len()).unwrap_or(u32::MAX),
                },
            ),
        };
        let disabled = claims.iter().any(|row| row.claim == Claim::TradingDisabled);
        for ClaimRow { row, claim } in claims {
            self.emit(ClaimImported { digest: file.digest, row: row.clone(), claim: claim.clone() });
        }
        for dispute in disputes {
            self.emit(ClaimDisputed {
                digest: file.digest,
                row: dispute.row.clone(),
                kind: dispute.kind,
                instrument: dispute.instrument,
                claimed: dispute.claimed,
                found: dispute.found,
                detail: dispute.detail.clone(),
            });
        }
        if disabled && self.state.trading.halted.is_none() {
            let reason = alloc::format!("{} says that the old bot was told not to trade", file.name);
            self.emit(TradingHalted { by: IMPORT, reason: Text::new(&reason) });
        }
    }

    /// Judges the claims that no comparison has judged yet. Needs a complete snapshot whose findings are mended; what is
    /// still being looked at, or not listed, waits for the next one.
    pub(crate) fn check_claims(&mut self, snapshot: &VenueSnapshot) {
        let Some(balances) = snapshot.balances.complete() else { return };
        let open: Vec<((Label, [u8; 32]), OpenClaim)> =
            self.state.claims.open.iter().map(|(key, claim)| (*key, *claim)).collect();
        for ((name, digest), claim) in open {
            let Some(id) = self.state.find_instrument(&name) else { continue };
            let Some((base, asset)) = self.base_of(id) else { continue };
            let venue = balances.iter().find(|balance| balance.asset == asset);
            let venue = venue.map_or(Quantity::ZERO, |balance| balance.total);
            if !reconcile::is_settled(&self.state, base, venue, snapshot.requested, &self.settings) {
                // What this comparison booked itself is in the next one; there is no other reason to hurry.
                let booked = self.state.asset(base).is_some_and(|asset| asset.touched > snapshot.requested);
                self.asks.recompare |= booked;
                continue;
            }
            self.check_claim(id, digest, &claim, venue, snapshot.number);
        }
    }

    fn base_of(&self, id: InstrumentId) -> Option<(aegis_model::AssetId, Label)> {
        let base = self.state.instrument(id)?.spec.base;
        Some((base, self.state.asset(base)?.name))
    }

    fn check_claim(
        &mut self,
        id: InstrumentId,
        digest: [u8; 32],
        claim: &OpenClaim,
        venue: Quantity,
        snapshot: u64,
    ) {
        let Some(tick) = self.state.instrument(id).map(|i| i.spec.quantity_tick) else { return };
        let within = |quantity: Quantity| quantity.plus(tick).is_ok_and(|most| claim.quantity <= most);
        let verdict = if within(venue) {
            ClaimVerdict::Confirmed
        } else if venue > tick {
            ClaimVerdict::Partly
        } else {
            ClaimVerdict::Contradicted
        };
        let confirmed = claim.quantity.min(venue);
        let adopted = self.adopt_claimed(id, claim, confirmed, tick);
        let stop = if verdict == ClaimVerdict::Contradicted { None } else { self.take_stop(id, claim) };
        let checked = ClaimChecked {
            digest,
            instrument: id,
            verdict,
            claimed: claim.quantity,
            venue,
            adopted,
            stop,
            snapshot,
        };
        let lsn = self.emit_because(claim.lsn, checked);
        if adopted.is_positive() || stop.is_some() {
            self.settle(id);
        }
        let name = self.instrument_name(Some(id));
        let file = self.state.claims.files.get(&digest).map(|file| file.name.clone()).unwrap_or_default();
        let stop = stop.map_or_else(alloc::string::String::new, |stop| alloc::format!(", stop {stop}"));
        let words = match verdict {
            ClaimVerdict::Confirmed => "confirmed",
            ClaimVerdict::Partly => "confirmed in part",
            ClaimVerdict::Contradicted => "contradicted",
        };
        let text = alloc::format!(
            "claim of{name} {} in {file} {words}: the venue holds {venue}; {adopted} adopted{stop}",
            claim.quantity
        );
        self.tell(lsn, &text);
    }

    /// Takes out of the quarantine what the claim explains and the venue confirms, at the claimed entry price.
    fn adopt_claimed(
        &mut self,
        id: InstrumentId,
        claim: &OpenClaim,
        confirmed: Quantity,
        tick: Quantity,
    ) -> Quantity {
        let nothing = Quantity::ZERO;
        let Some(instrument) = self.state.instrument(id) else { return nothing };
        let quarantined = self.state.asset(instrument.spec.base).map_or(nothing, |asset| asset.quarantined);
        let held = reconcile::with_dust(instrument);
        let missing = confirmed.minus(held).unwrap_or_default();
        let quantity = missing.min(quarantined);
        if quantity < tick {
            return nothing;
        }
        let Ok(average) = claim.cost.per(claim.quantity, Rounding::HalfEven) else { return nothing };
        let file = alloc::format!("claimed at {average} (record {}), and held at the venue", claim.lsn.0);
        match self.take_in(id, average, quantity, &file) {
            Ok(()) => quantity,
            // Without a positive price it stays where it is, with its alarm.
            Err(_) => nothing,
        }
    }

    /// The claimed stop and highest price, where they lie above ours and are about this very holding: its entry price is
    /// the claimed one. Nothing is ever lowered, and what another holding once had is not put on this one.
    fn take_stop(&mut self, id: InstrumentId, claim: &OpenClaim) -> Option<Price> {
        self.cover(id);
        let instrument = self.state.instrument(id)?;
        let protection = instrument.protection.clone()?;
        let tick = instrument.spec.price_tick;
        let entry = instrument.entry_price()?;
        let claimed = claim.cost.per(claim.quantity, Rounding::HalfEven).ok()?;
        let off = entry.0.minus(claimed.0).map_or(Fixed::MAX, Fixed::abs);
        let allowed = entry.scaled(self.settings.cost_tolerance, Rounding::Floor).ok()?;
        if off > allowed.0 || instrument.exit_wanted.is_some() {
            return None;
        }
        let stop = claim.stop?.to_tick(tick, Rounding::Ceil).ok()?;
        let mark = claim.highest.unwrap_or(Price::ZERO).max(protection.mark);
        if stop > protection.stop || mark > protection.mark {
            self.emit(StopMoved {
                instrument: id,
                why: StopCause::Claimed,
                stop: stop.max(protection.stop),
                mark,
                quantity: protection.quantity,
                stages_reached: protection.stages_reached,
                take_profit: protection.take_profit,
            });
        }
        (stop >= protection.stop).then_some(stop)
    }
}
