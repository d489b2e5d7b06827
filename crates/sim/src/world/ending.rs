//! The end: faults are over, people release what was blocked, and the rules of liveness are looked at.

use super::*;

/// What a start may take of the processor: so much, and so much more for each record.
const START_NS: u64 = 1_000_000_000;
const RECORD_NS: u64 = 2_000;
/// How often the end is looked at again, a second each: the longest way to the exchange and back is shorter.
const LOOKS: u32 = 5;

fn processor_ns() -> u64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    spent.tv_sec.cast_unsigned() * 1_000_000_000 + spent.tv_nsec.cast_unsigned()
}

impl World<'_> {
    /// L6: the processor's time for a start on what a crash would leave now. It is real time, and so not in the trace.
    fn start_takes(&self) -> u64 {
        let disk = self.disk.fork().kill();
        let began = processor_ns();
        drop(self.opens(&disk));
        processor_ns() - began
    }

    pub(super) fn quiet(&mut self) {
        self.say(|| "the faults end".to_owned());
        self.faults = false;
        self.away_until = 0;
        self.frozen_until = 0;
        self.disk.disk_full(false);
        self.disk.fail_sync(0);
        self.exchange.reject_in_answer = true;
        // One of them that fills between the last comparison and the end would be found by the next comparison only.
        let strangers: Vec<_> = self.exchange.venue.open_rows();
        for row in strangers.iter().filter(|row| row.client.is_none()) {
            let venue_order = row.venue_order;
            self.exchange.step(self.now, &VenueInput::ManualCancel { venue_order });
        }
        if let Some(dying) = &mut self.dying {
            dying.nested.clear();
        }
        // The process is restarted, as somebody would; whatever is armed to crash it is gone.
        if self.process.is_some() {
            self.dying = Some(Dying { cut: None, nested: Vec::new(), down: SECOND });
            self.died("restarted at the end of the faults");
        } else {
            self.disk = self.disk.kill();
            self.put(self.now + SECOND, Happening::Boot);
        }
    }

    /// Whether the end fell into the moment in which a stop is on its way from one price to the next: what is held has no
    /// stop at the exchange then, and is looked at again. Nothing else is excused.
    pub(super) fn under_way(&mut self) -> bool {
        let bare = self.live().is_err_and(|violation| violation.rule == "L3");
        let again = bare && self.looks < LOOKS && self.stop_moves();
        self.looks += u32::from(again);
        again
    }

    /// Whether a stop was intended, or its cancel, and the exchange has not answered yet.
    fn stop_moves(&self) -> bool {
        let Some(process) = &self.process else { return false };
        let state = process.node.machine().state();
        let live = state.instruments.iter().flat_map(|instrument| &instrument.live);
        live.filter_map(|id| state.order(*id)).any(|order| {
            matches!(order.kind, OrderKind::StopLoss { .. })
                && (order.status == aegis_model::order::OrderStatus::Intended || order.cancel.is_some())
        })
    }

    pub(super) fn end(&mut self) {
        if self.process.is_none() {
            return self.break_rule("L1", "the engine is not running".to_owned());
        }
        if self.options.canary && !self.canary_done {
            self.canary_done = true;
            self.fund(Label::literal("BTC"), Quantity::new(1, 2));
        }
        let holdings: Vec<_> = self.exchange.venue.state().holdings().copied().collect();
        let shown = holdings.iter().enumerate().map(|(at, held)| (at as u16 + 1, held.total.0.units()));
        let held = self.oracle.adds_up(shown);
        self.check(held);
        let found = self.live();
        self.check(found);
        let took = self.start_takes();
        let records = self.oracle.stored();
        if took > START_NS + RECORD_NS * records {
            self.break_rule("L6", format!("a start behind {records} records took {} ms", took / 1_000_000));
        }
        let undelivered = self.oracle.undelivered(self.now + self.ahead - 10 * SECOND);
        if let Some(first) = undelivered.first() {
            self.break_rule("L5", format!("message {first} was never delivered"));
        }
    }

    /// L1 to L4.
    pub(super) fn live(&self) -> Result<(), Violation> {
        let broken = |rule: &'static str, words: String| Err(Violation { rule, words });
        let Some(process) = &self.process else { return Ok(()) };
        let state = process.node.machine().state();
        for order in state.orders.values() {
            if order.status == aegis_model::order::OrderStatus::Unknown {
                return broken("L1", format!("order {} is unknown", order.client));
            }
        }
        let venue = &self.exchange.venue;
        for (at, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(u32::try_from(at).unwrap_or(0));
            let Some(asset) = state.asset(instrument.spec.base) else { continue };
            let there = venue.state().holding(asset.name).map(|held| held.total).unwrap_or_default();
            let known = instrument.held().0.units()
                + instrument.dust.quantity.0.units()
                + asset.quarantined.0.units();
            let difference = (there.0.units() - known).abs();
            if difference > instrument.spec.quantity_tick.0.units() {
                let words = format!(
                    "{}: {there} is there, known are {} held, {} dust, {} quarantined",
                    asset.name,
                    instrument.held(),
                    instrument.dust.quantity,
                    asset.quarantined
                );
                return broken("L2", words);
            }
            let open = instrument.is_open();
            let alarmed = state.alarms.keys().any(|(_, about)| *about == Some(id));
            // Below the minimum no stop is taken, and the fee of a sell may leave less than that.
            let stop = instrument.protection.as_ref().map(|protection| protection.stop).unwrap_or_default();
            let small = !instrument.spec.sellable(state.sellable(id, self.settings.taker_fee), stop);
            let leaving = small || instrument.exit_wanted.is_some() || instrument.blind.is_some();
            if open && !alarmed && !leaving && self.settings.guarding != Guarding::Engine {
                let waits = venue.trigger_rows(Timestamp::EPOCH).into_iter();
                let resting = waits
                    .filter(|row| row.waits && row.instrument == instrument.spec.name)
                    .any(|row| row.client.is_some());
                if !resting {
                    return broken("L3", format!("{} has no stop at the exchange", instrument.spec.name));
                }
            }
        }
        let halted = &state.trading.halted;
        let ordered = halted.as_ref().is_none_or(|halt| halt.by.as_str() == "alice");
        if !ordered && state.alarms.is_empty() {
            return broken("L4", "halted, and nobody knows why".to_owned());
        }
        Ok(())
    }
}
