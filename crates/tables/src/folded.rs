//! The tables of the fold: executions with what became known of them, cycles, stops as they stood, positions and balances at
//! the end.
//!
//! Rows leave as soon as nothing can change them; only what is still open is kept. The figures are those of the fold and
//! are never computed a second time here.

use crate::Sink;
use crate::read::Out;
use crate::row::Field;
use crate::schema::{Place, Shape, Source, Table};
use aegis_forensics::Point;
use aegis_model::event::{Fee, FillBooked, PositionClosed};
use aegis_model::protection::{RetireCause, StopCause};
use aegis_model::{
    AssetId, ExitReason, Fact, InstrumentId, Lsn, Money, OrderId, Price, Purpose, Quantity, Rate, Rounding,
    Side, Timestamp, TradeId, VenueOrderId,
};
use aegis_projection::{Holding, State};
use std::collections::BTreeMap;

/// A column's name, meaning and how a row type fills it: the columns and the cells of a table cannot differ.
macro_rules! table {
    ($(#[doc = $tdoc:literal])+ $name:ident $source:ident $table:literal {
        $($(#[doc = $doc:literal])+ $field:ident: $type:ty,)+
    }) => {
        #[derive(Clone, Debug)]
        struct $name { $($field: $type,)+ }

        impl $name {
            fn table() -> Table {
                let mut shape = Shape::default();
                $(<$type as Field>::shape(&mut shape, &Place::new(stringify!($field), concat!($($doc),+)));)+
                let doc = concat!($($tdoc),+).trim().to_owned();
                Table { name: $table, doc, source: Source::$source, columns: shape.0 }
            }

            fn tell<S: Sink>(&self, out: &mut Out<S>) {
                out.row(Source::$source, |row| {
                    let $name { $($field),+ } = self;
                    $(row.field::<$type>($field);)+
                });
            }
        }
    };
}

table! {
    /// Each execution once, with its fee as soon as that is known, what it was for, and its cycle. Rows come when nothing
    /// is open about them any more, so they are not in the order of their numbers.
    Fill Fills "fills" {
        /// The record that booked it.
        lsn: Lsn,
        /// When it was recorded.
        event_time: Timestamp,
        /// The venue's execution time.
        executed: Timestamp,
        /// The instrument.
        instrument: InstrumentId,
        /// Which cycle of the instrument it belongs to, from 1; nothing if that is forgotten.
        cycle: Option<u32>,
        /// The venue's trade id.
        trade: TradeId,
        /// Our order; nothing for an execution that was not ours.
        order: OrderId,
        /// The venue's order id, if told.
        venue_order: Option<VenueOrderId>,
        /// Buy or sell.
        side: Side,
        /// Base quantity as traded, before fees.
        quantity: Quantity,
        /// Execution price.
        price: Price,
        /// Quote value as it is booked: price times quantity, to the nearest 10^-18.
        value: Option<Money>,
        /// The fee; nothing while it is not known, which is not zero.
        fee: Option<Fee>,
        /// The record that told the fee.
        fee_lsn: Lsn,
        /// How we learned of it.
        source: aegis_model::event::FillSource,
        /// Why we had the order, if that is remembered.
        purpose: Option<Purpose>,
    }
}

table! {
    /// From the first execution to the end of a holding; an open cycle has no `closed`. Profit is as it was last told.
    Cycle Cycles "cycles" {
        /// The instrument.
        instrument: InstrumentId,
        /// Which of its cycles, from 1.
        cycle: u32,
        /// Earliest execution.
        opened: Timestamp,
        /// Latest execution; nothing while it is open.
        closed: Option<Timestamp>,
        /// Base bought, as traded.
        bought: Quantity,
        /// Quote paid for it, without fees.
        buy_value: Money,
        /// Base sold.
        sold: Quantity,
        /// Quote received, without fees.
        sell_value: Money,
        /// Quote fees, entry and exit.
        quote_fees: Money,
        /// Base fees.
        base_fees: Quantity,
        /// Realised profit net of quote fees.
        realised: Money,
        /// Realised profit / (buy value + quote entry fees), as told when it closed; nothing while it is open.
        rate: Option<Rate>,
        /// What remained as dust.
        dust: Quantity,
        /// Why it was left, if by an exit of ours.
        reason: Option<ExitReason>,
        /// How often its profit was told anew.
        restated: u32,
        /// The record that closed it; of an open cycle the one that opened it.
        lsn: Lsn,
    }
}

table! {
    /// Where a stop stood, from which record to which; the one in force has no `until_lsn`.
    Stop Stops "stops" {
        /// The instrument.
        instrument: InstrumentId,
        /// The cycle that it protects.
        cycle: u32,
        /// The stop.
        stop: Price,
        /// The highest reference price so far.
        mark: Price,
        /// The take-profit.
        take_profit: Option<Price>,
        /// The time exit.
        time_exit: Option<Timestamp>,
        /// The base quantity covered.
        quantity: Quantity,
        /// Stages reached.
        stages_reached: u8,
        /// Why it was moved here; nothing where it was armed.
        why: Option<StopCause>,
        /// The record that put it here.
        lsn: Lsn,
        /// When.
        event_time: Timestamp,
        /// The record that moved or retired it.
        until_lsn: Lsn,
        /// When.
        until_time: Option<Timestamp>,
        /// Why it was retired; nothing if it was moved or stands.
        retired: Option<RetireCause>,
    }
}

table! {
    /// What is held at the end, with its protection.
    Position Positions "positions" {
        /// The instrument.
        instrument: InstrumentId,
        /// Which of its cycles, from 1.
        cycle: u32,
        /// Base held, net of base fees.
        held: Quantity,
        /// Average price without fees.
        entry_price: Option<Price>,
        /// Quote paid for what is held, without quote fees.
        cost: Money,
        /// Earliest execution.
        opened: Timestamp,
        /// The record that opened it.
        lsn: Lsn,
        /// Base bought, as traded.
        bought: Quantity,
        /// Quote paid for it, without fees.
        buy_value: Money,
        /// Base sold.
        sold: Quantity,
        /// Quote received, without fees.
        sell_value: Money,
        /// Quote fees so far.
        quote_fees: Money,
        /// Base fees so far.
        base_fees: Quantity,
        /// Profit realised so far, net of quote fees.
        realised: Money,
        /// The stop; nothing if it is unprotected.
        stop: Option<Price>,
        /// The base quantity that the stop covers.
        covered: Option<Quantity>,
        /// The highest reference price since the entry.
        mark: Option<Price>,
        /// The take-profit.
        take_profit: Option<Price>,
        /// The time exit.
        time_exit: Option<Timestamp>,
        /// The record that armed or last moved the stop.
        stop_lsn: Option<Lsn>,
        /// The stop that rests at the venue, by our number.
        venue_stop: Option<OrderId>,
    }
}

table! {
    /// Each asset at the end: the venue's last balance, what our fills changed since, what is set apart.
    Balance Balances "balances" {
        /// The asset.
        asset: AssetId,
        /// The venue's total and what changed since; nothing while no balance is known.
        total: Option<Quantity>,
        /// What may be used.
        available: Option<Quantity>,
        /// What our own live orders reserve.
        reserved: Quantity,
        /// The venue's total as recorded.
        venue_total: Option<Quantity>,
        /// Of it, reserved by the venue.
        venue_reserved: Option<Quantity>,
        /// What our fills and flows changed since, signed.
        since: Quantity,
        /// When the balance was asked for.
        requested: Option<Timestamp>,
        /// The balance's record.
        lsn: Option<Lsn>,
        /// Holdings that nothing explains; never sold.
        quarantined: Quantity,
        /// All fees paid in this asset.
        fees: Quantity,
        /// Of them, for instruments that neither buy nor pay with it.
        third_fees: Quantity,
        /// Deposits less withdrawals since the first balance.
        net_flows: Quantity,
        /// The first balance ever recorded.
        first_total: Option<Quantity>,
        /// What cannot be sold, of the instruments that buy it.
        dust: Quantity,
    }
}

pub(crate) fn tables() -> [Table; 5] {
    [Position::table(), Cycle::table(), Fill::table(), Balance::table(), Stop::table()]
}

/// What is still open about rows to come.
#[derive(Default)]
pub(crate) struct Folded {
    /// Executions that the fold has booked so far.
    booked: u64,
    /// Executions whose fee is not known.
    fills: BTreeMap<(InstrumentId, TradeId), Fill>,
    /// In the order of the fills' records, so that two exports are the same byte for byte.
    waiting: BTreeMap<Lsn, (InstrumentId, TradeId)>,
    cycles: BTreeMap<(InstrumentId, u32), Cycle>,
    stops: BTreeMap<InstrumentId, Stop>,
}

impl Folded {
    /// A record and the state after it.
    pub(crate) fn point<S: Sink>(&mut self, point: &Point, state: &State, out: &mut Out<S>) {
        let (lsn, at) = (point.lsn, point.event.at);
        if let Fact::FillBooked(f) = &point.event.fact {
            self.fill(lsn, at, f, state, out);
        } else if let Fact::FeeResolved(f) = &point.event.fact {
            if let Some(mut fill) = self.fills.remove(&(f.instrument, f.trade)) {
                self.waiting.remove(&fill.lsn);
                (fill.fee, fill.fee_lsn) = (Some(f.fee), lsn);
                fill.tell(out);
            }
        } else if let Fact::PositionClosed(f) = &point.event.fact {
            // What the fold has no such cycle for is none.
            if let Some(sums) = ended(state, f.instrument, f.cycle) {
                let mut cycle = Cycle::closed(lsn, f);
                cycle.restate(sums);
                self.cycles.insert((f.instrument, f.cycle), cycle);
            }
        } else if let Fact::CycleRestated(f) = &point.event.fact {
            // All its sums are taken now: at the end the fold may have forgotten them.
            if let Some(sums) = ended(state, f.instrument, f.cycle) {
                let untold = || Cycle::open(f.instrument, sums, lsn);
                let cycle = self.cycles.entry((f.instrument, f.cycle)).or_insert_with(untold);
                cycle.restate(sums);
                cycle.restated += 1;
            }
        } else if let Fact::StopArmed(f) = &point.event.fact {
            let stop = Stop {
                instrument: f.instrument,
                cycle: f.cycle,
                stop: f.stop,
                mark: f.mark,
                take_profit: f.take_profit,
                time_exit: f.time_exit,
                quantity: f.quantity,
                stages_reached: 0,
                why: None,
                lsn,
                event_time: at,
                until_lsn: Lsn::NONE,
                until_time: None,
                retired: None,
            };
            self.end_stop(f.instrument, lsn, at, None, out);
            if state.instrument(f.instrument).is_some() {
                self.stops.insert(f.instrument, stop);
            }
        } else if let Fact::StopMoved(f) = &point.event.fact {
            if let Some(old) = self.end_stop(f.instrument, lsn, at, None, out) {
                let moved = Stop {
                    stop: f.stop,
                    mark: f.mark,
                    take_profit: f.take_profit,
                    quantity: f.quantity,
                    stages_reached: f.stages_reached,
                    why: Some(f.why),
                    lsn,
                    event_time: at,
                    until_lsn: Lsn::NONE,
                    until_time: None,
                    ..old
                };
                self.stops.insert(f.instrument, moved);
            }
        } else if let Fact::StopRetired(f) = &point.event.fact {
            self.end_stop(f.instrument, lsn, at, Some(f.why), out);
        }
    }

    fn fill<S: Sink>(&mut self, lsn: Lsn, at: Timestamp, f: &FillBooked, state: &State, out: &mut Out<S>) {
        // A repeat, or what cannot be, is an anomaly of the fold and no execution.
        if state.totals.fills == self.booked {
            return;
        }
        self.booked = state.totals.fills;
        let fill = Fill {
            lsn,
            event_time: at,
            executed: f.executed,
            instrument: f.instrument,
            cycle: cycle_at(state, f.instrument, f.executed),
            trade: f.trade,
            order: f.order,
            venue_order: f.venue_order,
            side: f.side,
            quantity: f.quantity,
            price: f.price,
            value: f.price.times(f.quantity, Rounding::HalfEven).ok(),
            fee: f.fee,
            fee_lsn: if f.fee.is_some() { lsn } else { Lsn::NONE },
            source: f.source,
            purpose: state.any_order(f.order).map(|order| order.purpose),
        };
        if fill.fee.is_some() {
            fill.tell(out);
        } else {
            self.waiting.insert(lsn, (f.instrument, f.trade));
            self.fills.insert((f.instrument, f.trade), fill);
        }
    }

    fn end_stop<S: Sink>(
        &mut self,
        instrument: InstrumentId,
        lsn: Lsn,
        at: Timestamp,
        retired: Option<RetireCause>,
        out: &mut Out<S>,
    ) -> Option<Stop> {
        let old = self.stops.remove(&instrument)?;
        let told = Stop { until_lsn: lsn, until_time: Some(at), retired, ..old.clone() };
        told.tell(out);
        Some(old)
    }

    /// The end was reached: what is still open, and the state.
    pub(crate) fn end<S: Sink>(mut self, state: &State, out: &mut Out<S>) {
        for key in self.waiting.values() {
            if let Some(fill) = self.fills.get(key) {
                fill.tell(out);
            }
        }
        for (at, i) in state.instruments.iter().enumerate() {
            let Ok(id) = u32::try_from(at).map(InstrumentId) else { break };
            // Late news can make one cycle of two: what was told as the second is none any more.
            let last = i.book.now.cycle;
            self.cycles.retain(|(of, cycle), _| *of != id || *cycle <= last);
            if i.is_open() {
                self.cycles.insert((id, i.book.now.cycle), Cycle::open(id, &i.book.now, i.opened));
            }
            // What came late changed more of a closed cycle than the profit that is told.
            for ended in &i.book.ended {
                if let Some(cycle) = self.cycles.get_mut(&(id, ended.sums.cycle)) {
                    cycle.restate(&ended.sums);
                }
            }
        }
        self.cycles.values().for_each(|cycle| cycle.tell(out));
        self.stops.values().for_each(|stop| stop.tell(out));
        for (at, i) in state.instruments.iter().enumerate().filter(|(_, i)| i.is_open()) {
            let Ok(id) = u32::try_from(at).map(InstrumentId) else { break };
            let (now, p) = (&i.book.now, i.protection.as_ref());
            let position = Position {
                instrument: id,
                cycle: now.cycle,
                held: now.held,
                entry_price: now.entry_price(),
                cost: now.cost,
                opened: now.opened,
                lsn: i.opened,
                bought: now.bought,
                buy_value: now.buy_value,
                sold: now.sold,
                sell_value: now.sell_value,
                quote_fees: now.quote_fees,
                base_fees: now.base_fees,
                realised: now.realised,
                stop: p.map(|p| p.stop),
                covered: p.map(|p| p.quantity),
                mark: p.map(|p| p.mark),
                take_profit: p.and_then(|p| p.take_profit),
                time_exit: p.and_then(|p| p.time_exit),
                stop_lsn: p.map(|p| p.lsn),
                venue_stop: i.resting_stop(state).map(|(order, _)| order),
            };
            position.tell(out);
        }
        for (at, a) in state.assets.iter().enumerate() {
            let Ok(id) = u16::try_from(at).map(AssetId) else { break };
            let dust = a.base_of.iter().filter_map(|id| state.instrument(*id)).map(|i| i.dust.quantity);
            let balance = Balance {
                asset: id,
                total: a.balance.and_then(|b| b.total.plus(a.since).ok()),
                available: state.available(id),
                reserved: state.reserved(id),
                venue_total: a.balance.map(|b| b.total),
                venue_reserved: a.balance.map(|b| b.reserved),
                since: a.since,
                requested: a.balance.map(|b| b.requested),
                lsn: a.balance.map(|b| b.lsn),
                quarantined: a.quarantined,
                dust: dust.fold(Quantity::ZERO, |sum, q| sum.plus(q).unwrap_or(sum)),
                fees: a.fees,
                third_fees: a.third_fees,
                net_flows: a.net_flows,
                first_total: a.first.map(|b| b.total),
            };
            balance.tell(out);
        }
    }
}

/// The cycle that an execution at this time belongs to.
fn cycle_at(state: &State, id: InstrumentId, executed: Timestamp) -> Option<u32> {
    let book = &state.instrument(id)?.book;
    let has = |sums: &Holding| sums.cycle > 0 && sums.opened <= executed && executed <= sums.last;
    if has(&book.now) {
        return Some(book.now.cycle);
    }
    book.ended.iter().rev().map(|ended| &ended.sums).find(|sums| has(sums)).map(|sums| sums.cycle)
}

/// A cycle that has ended, as far as the fold remembers it.
fn ended(state: &State, id: InstrumentId, cycle: u32) -> Option<&Holding> {
    let mut ended = state.instrument(id)?.book.ended.iter().rev().map(|ended| &ended.sums);
    ended.find(|sums| sums.cycle == cycle)
}

impl Cycle {
    fn closed(lsn: Lsn, f: &PositionClosed) -> Cycle {
        Cycle {
            instrument: f.instrument,
            cycle: f.cycle,
            opened: f.opened,
            closed: Some(f.closed),
            bought: f.bought,
            buy_value: f.buy_value,
            sold: f.sold,
            sell_value: f.sell_value,
            quote_fees: f.quote_fees,
            base_fees: f.base_fees,
            realised: f.realised,
            rate: Some(f.rate),
            dust: f.dust,
            reason: f.reason,
            restated: 0,
            lsn,
        }
    }

    fn open(instrument: InstrumentId, now: &Holding, opened: Lsn) -> Cycle {
        Cycle {
            instrument,
            cycle: now.cycle,
            opened: now.opened,
            closed: None,
            bought: now.bought,
            buy_value: now.buy_value,
            sold: now.sold,
            sell_value: now.sell_value,
            quote_fees: now.quote_fees,
            base_fees: now.base_fees,
            realised: now.realised,
            rate: None,
            dust: now.dust,
            reason: None,
            restated: 0,
            lsn: opened,
        }
    }

    /// Takes the sums as the fold has them now.
    fn restate(&mut self, sums: &Holding) {
        (self.opened, self.closed) = (sums.opened, Some(sums.last));
        (self.bought, self.buy_value) = (sums.bought, sums.buy_value);
        (self.sold, self.sell_value) = (sums.sold, sums.sell_value);
        (self.quote_fees, self.base_fees) = (sums.quote_fees, sums.base_fees);
        (self.dust, self.realised) = (sums.dust, sums.realised);
    }
}
