//! Histories that an engine and a venue could bring about, step by step against the state they make.
//!
//! Three instruments: BTC_USD and BNB_USD in the counting asset, BNB also being the asset of third fees, and ETH_USD.
//! Fills come late, twice, contradicting, unknown, too large, external; some steps are any tame fact.

use super::{BEGIN, Dice, any_fact, event};
use crate::State;
use crate::book::Change;
use aegis_model::event::*;
use aegis_model::ids::{DAY, SECOND};
use aegis_model::market::Instrument;
use aegis_model::order::{LookupAnswer, OrderEnd, OrderKind, Purpose, RejectClass, Side, UnknownCause};
use aegis_model::protection::{Distance, ExitReason, Plan, StopRule};
use aegis_model::{
    AssetId, Event, Fact, InstrumentId, Label, Mode, Money, OrderId, Price, Quantity, Rate, Text, Timestamp,
    TradeId, VenueOrderId,
};
use alloc::vec::Vec;

/// A history under way.
#[derive(Clone, Debug)]
pub struct Story {
    /// What has happened so far.
    pub events: Vec<Event>,
    /// What it folds to.
    pub state: State,
    now: Timestamp,
    fills: Vec<FillBooked>,
    trades: u64,
}

impl Story {
    /// The records that every journal begins with.
    pub fn begin() -> Story {
        let mut story =
            Story { events: Vec::new(), state: State::default(), now: BEGIN, fills: Vec::new(), trades: 0 };
        let label = Label::literal;
        story.tell(JournalCreated { mode: Mode::Paper, installation: 0xab, quote: label("USD") });
        story.tell(Started { run: 7, version: label("0"), config_digest: [0; 32], seed: None });
        for (at, name) in ["USD", "BTC", "BNB", "ETH"].into_iter().enumerate() {
            story.tell(AssetNamed { asset: AssetId(at as u16), name: label(name) });
        }
        for (at, name) in ["BTC_USD", "BNB_USD", "ETH_USD"].into_iter().enumerate() {
            let spec = Instrument {
                name: label(name),
                base: AssetId(at as u16 + 1),
                quote: AssetId(0),
                price_tick: Price::new(1, 2),
                quantity_tick: Quantity::new(1, 4),
                minimum_notional: Money::new(1, 0),
                tradable: true,
            };
            story.tell(InstrumentListed { instrument: InstrumentId(at as u32), spec });
        }
        story
    }

    /// Records a fact now.
    pub fn tell(&mut self, fact: impl Into<Fact>) {
        let event = event(self.now, fact);
        self.state.apply(&event);
        self.events.push(event);
    }

    /// One step further.
    pub fn step(&mut self, dice: &mut Dice) {
        let pause = match dice.below(40) {
            0 => dice.below(20 * DAY),
            1..10 => 0,
            _ => dice.below(600 * SECOND),
        };
        self.now = self.now.after(pause);
        match dice.below(24) {
            0..3 => self.enter(dice),
            3..5 => self.leave(dice),
            5..8 => self.order_news(dice),
            8..14 => self.fill_of_order(dice),
            14 => self.external(dice),
            15 => self.again(dice),
            16 => self.infer(dice),
            17 => self.late_fee(dice),
            18 => self.settle(dice),
            19 => self.correct(dice),
            20 => self.balance(dice),
            21 => self.close_cycles(),
            _ => {
                let fact = any_fact(dice, true);
                self.tell(fact);
            }
        }
        if dice.one_in(3) {
            self.close_cycles();
        }
    }

    fn instrument(dice: &mut Dice) -> InstrumentId {
        InstrumentId(dice.of(&[0, 0, 0, 1, 1, 2]))
    }

    fn quantity(dice: &mut Dice) -> Quantity {
        // Ticks of four digits mostly; now and then dust.
        if dice.one_in(8) {
            Quantity::new(1 + dice.below(999_999), 10)
        } else {
            Quantity::new(1 + dice.below(50_000), 4)
        }
    }

    fn price(dice: &mut Dice) -> Price {
        Price::new(1 + dice.below(3_000_000), 2)
    }

    fn enter(&mut self, dice: &mut Dice) {
        let (instrument, quantity) = (Self::instrument(dice), Self::quantity(dice));
        let plan = Plan {
            initial: Distance::Relative(Rate::new(5, 2)),
            rule: StopRule::Fixed,
            atr: None,
            take_profit: None,
            hold_ns: None,
        };
        self.intend(instrument, Side::Buy, quantity, Purpose::Entry, Some(plan), dice);
    }

    fn leave(&mut self, dice: &mut Dice) {
        let instrument = Self::instrument(dice);
        let held = self.state.instrument(instrument).map_or(Quantity::ZERO, |i| i.held());
        let quantity = if held.is_positive() { held } else { Self::quantity(dice) };
        let purpose = Purpose::Exit { reason: dice.of(ExitReason::ALL), others: 0 };
        self.intend(instrument, Side::Sell, quantity, purpose, None, dice);
    }

    fn intend(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        quantity: Quantity,
        purpose: Purpose,
        plan: Option<Plan>,
        dice: &mut Dice,
    ) {
        let order = OrderId(self.state.last_order.0 + 1);
        self.tell(OrderIntended {
            order,
            run: 7,
            instrument,
            side,
            kind: OrderKind::Market,
            quantity,
            purpose,
            valid_until: self.now.after(60 * SECOND),
            cancel_at: None,
            replaces: OrderId(0),
            plan,
            reference: Self::price(dice),
        });
    }

    /// One of our orders, open or ended.
    fn some_order(&self, dice: &mut Dice) -> OrderId {
        OrderId(self.state.last_order.0.saturating_sub(dice.roll() % 5).max(1))
    }

    fn order_news(&mut self, dice: &mut Dice) {
        let order = self.some_order(dice);
        match dice.below(9) {
            0 | 1 => self.tell(OrderAcknowledged { order, venue_order: VenueOrderId(Label::literal("v")) }),
            2 => self.tell(OrderUnknown { order, cause: UnknownCause::Timeout }),
            3 => self.tell(OrderLookedUp { order, answer: LookupAnswer::Absent, absent: 1 }),
            4 => self.tell(OrderResent { order, attempt: 2 }),
            5 => self.tell(CancelIntended { order, reason: Label::literal("test") }),
            6 => {
                let (class, text) = (dice.of(RejectClass::ALL), Text::new("no"));
                self.tell(OrderRejected { order, class, code: 1, text });
                self.tell(OrderEnded { order, end: OrderEnd::Rejected, cumulative: None });
            }
            7 => self.tell(OrderAmended { order, price: None, quantity: Self::quantity(dice) }),
            _ => self.tell(OrderEnded { order, end: dice.of(OrderEnd::ALL), cumulative: None }),
        }
    }

    fn fee(&self, id: InstrumentId, side: Side, quantity: Quantity, dice: &mut Dice) -> Option<Fee> {
        let base = self.state.instrument(id).map_or(AssetId(0), |i| i.spec.base);
        let small = |dice: &mut Dice| Quantity::new(dice.below(5_000), 10);
        let share = quantity.scaled(Rate::new(25, 4), aegis_model::Rounding::Ceil).unwrap_or(Quantity::ZERO);
        match dice.below(8) {
            0 => None,
            1 => Some(Fee { asset: AssetId(2), amount: small(dice) }),
            2 => Some(Fee { asset: AssetId(0), amount: small(dice).negated() }),
            3 if side == Side::Sell => Some(Fee { asset: base, amount: share }),
            3 | 4 => Some(Fee { asset: AssetId(0), amount: Quantity::new(dice.below(900_000), 6) }),
            _ if side == Side::Buy => Some(Fee { asset: base, amount: share }),
            _ => Some(Fee { asset: AssetId(0), amount: small(dice) }),
        }
    }

    fn fill(&mut self, id: InstrumentId, order: OrderId, side: Side, quantity: Quantity, dice: &mut Dice) {
        self.trades += 1;
        let late = match dice.below(6) {
            0 => dice.below(5 * DAY),
            1 | 2 => dice.below(30 * SECOND),
            _ => 0,
        };
        let fill = FillBooked {
            instrument: id,
            trade: TradeId(Label::lossy(&alloc::format!("{}", self.trades))),
            order,
            venue_order: None,
            side,
            price: Self::price(dice),
            quantity,
            fee: self.fee(id, side, quantity, dice),
            executed: self.now.after(-late),
            source: if order.0 == 0 { FillSource::External } else { FillSource::Report },
        };
        self.fills.push(fill.clone());
        self.tell(fill);
    }

    fn fill_of_order(&mut self, dice: &mut Dice) {
        let number = self.some_order(dice);
        let Some(order) = self.state.any_order(number) else { return };
        let (id, side, rest, ordered) = (order.instrument, order.side, order.rest(), order.quantity);
        let rest = rest.unwrap_or(Quantity::ZERO);
        let quantity = match dice.below(8) {
            0 => ordered,
            1 | 2 => Self::quantity(dice).min(ordered),
            _ => rest,
        };
        if !quantity.is_positive() {
            return;
        }
        self.fill(id, number, side, quantity, dice);
        let Some(order) = self.state.any_order(number).filter(|o| o.inferred.is_positive()) else { return };
        // What an engine does: the inferred part shrinks by what is real now.
        let rest = order.cumulative.minus(order.filled).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
        let value = if rest.is_zero() { Money::ZERO } else { Money::new(7, 0) };
        self.tell(FillInferred { order: number, quantity: rest, value, executed: self.now });
    }

    fn external(&mut self, dice: &mut Dice) {
        let (id, side) = (Self::instrument(dice), dice.of(Side::ALL));
        let quantity = Self::quantity(dice);
        self.fill(id, OrderId(0), side, quantity, dice);
    }

    /// A fill told before comes again, sometimes with other numbers.
    fn again(&mut self, dice: &mut Dice) {
        if self.fills.is_empty() {
            return;
        }
        let mut fill =
            self.fills[usize::try_from(dice.roll() % self.fills.len() as u64).unwrap_or(0)].clone();
        if dice.one_in(3) {
            fill.quantity = Self::quantity(dice);
        }
        self.tell(fill);
    }

    fn infer(&mut self, dice: &mut Dice) {
        let order = self.some_order(dice);
        let Some(known) = self.state.any_order(order) else { return };
        let rest = known.quantity.minus(known.filled).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
        let quantity = if dice.one_in(4) { Quantity::ZERO } else { rest };
        let value = Money::new(1 + dice.below(1_000_000), 4);
        self.tell(FillInferred { order, quantity, value, executed: self.now });
    }

    fn late_fee(&mut self, dice: &mut Dice) {
        let id = Self::instrument(dice);
        let Some(instrument) = self.state.instrument(id) else { return };
        let unknown = |change: &Change| change.execution().is_some_and(|x| x.fee.is_none() && !x.inferred);
        let Some(entry) = instrument.book.entries.iter().find(|e| unknown(&e.change)).copied() else {
            return;
        };
        let side = if matches!(entry.change, Change::Sell(_)) { Side::Sell } else { Side::Buy };
        let quantity = entry.change.execution().map_or(Quantity::ZERO, |x| x.quantity);
        if let Some(fee) = self.fee(id, side, quantity, dice) {
            self.tell(FeeResolved { instrument: id, trade: TradeId(entry.id), fee });
        }
    }

    /// Waiting sells, dust that stays and dust that comes back.
    fn settle(&mut self, dice: &mut Dice) {
        let id = Self::instrument(dice);
        let Some(instrument) = self.state.instrument(id) else { return };
        let (holding, dust) = (instrument.book.now.clone(), instrument.dust);
        if holding.waiting.is_positive() {
            self.tell(ExcessSellSettled { instrument: id, excess: holding.waiting });
        } else if holding.is_open() && dice.one_in(2) {
            let (cycle, quantity, cost) = (holding.cycle, holding.held, holding.cost);
            self.tell(DustKept { instrument: id, cycle, quantity, cost });
        } else if dust.quantity.is_positive() {
            let by = Label::literal("ann");
            self.tell(DustReturned { instrument: id, by, quantity: dust.quantity, cost: dust.cost });
        }
    }

    fn correct(&mut self, dice: &mut Dice) {
        let id = Self::instrument(dice);
        let Some(instrument) = self.state.instrument(id) else { return };
        let (held, opened) = (instrument.held(), instrument.book.now.opened);
        let kind = dice.of(CorrectionKind::ALL);
        let quantity = match kind {
            CorrectionKind::Missing => Self::quantity(dice).min(held),
            CorrectionKind::Adopted => Self::quantity(dice),
            CorrectionKind::Cost => held,
        };
        let time = match kind {
            CorrectionKind::Adopted if held.is_positive() => opened.after(-1),
            CorrectionKind::Adopted | CorrectionKind::Missing | CorrectionKind::Cost => self.now,
        };
        let mut content = [0; 16];
        content[..8].copy_from_slice(&dice.roll().to_le_bytes());
        self.tell(CorrectionBooked {
            id: content,
            instrument: id,
            kind,
            quantity,
            average: Some(Self::price(dice)),
            lot: None,
            time,
            evidence: Text::new("venue"),
        });
    }

    fn balance(&mut self, dice: &mut Dice) {
        let asset = AssetId(dice.below(4) as u16);
        self.tell(BalanceRecorded {
            snapshot: self.state.last_snapshot + 1,
            asset,
            total: Quantity::new(dice.below(1_000_000_000), 4),
            reserved: Quantity::ZERO,
            requested: self.now.after(-dice.below(5 * SECOND)),
        });
    }

    /// Tells all that is to be told of ended cycles: an engine does so with each decision.
    pub fn tell_cycles(&mut self) {
        let mut told = usize::MAX;
        while told != self.events.len() {
            told = self.events.len();
            self.close_cycles();
        }
    }

    /// What an engine tells of ended cycles.
    fn close_cycles(&mut self) {
        for at in 0..self.state.instruments.len() {
            let book = &self.state.instruments[at].book;
            let news = book.ended.iter().find(|c| book.told.get(&c.sums.cycle) != Some(&c.sums.realised));
            let Some(sums) = news.map(|c| c.sums.clone()) else { continue };
            let instrument = InstrumentId(at as u32);
            if let Some(old) = book.told.get(&sums.cycle).copied() {
                self.tell(CycleRestated { instrument, cycle: sums.cycle, old, new: sums.realised });
                continue;
            }
            self.tell(PositionClosed {
                instrument,
                cycle: sums.cycle,
                opened: sums.opened,
                closed: sums.last,
                bought: sums.bought,
                buy_value: sums.buy_value,
                sold: sums.sold,
                sell_value: sums.sell_value,
                quote_fees: sums.quote_fees,
                base_fees: sums.base_fees,
                realised: sums.realised,
                rate: Rate::ZERO,
                dust: sums.dust,
                reason: None,
            });
        }
    }
}
