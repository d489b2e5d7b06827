//! The exchange's state: a pure fold of its journal. Assets, instruments, orders, trades, flows, the place in each
//! feed and what was taken of the size shown there.
//!
//! It never decides, never reads settings, and never refuses an event: the impossible is a counted anomaly.

use crate::fact::{
    Linked, Liquidity, OrderAccepted, OrderAmended, OrderRejected, OrderTraded, TriggerAccepted,
    TriggerAmended, TriggerKind, VenueEvent, VenueFact, Watched,
};
use aegis_model::input::RowStatus;
use aegis_model::order::RejectClass;
use aegis_model::wire::{self, DecodeError};
use aegis_model::{
    ArithmeticError, AssetId, FeedId, InstrumentId, Label, Lsn, Money, OrderKind, Price, Quantity, Side,
    Tick, TimeInForce, Timestamp, market::Instrument,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// The version of the state's encoding; another version is not read, the journal is replayed instead.
pub const STATE_VERSION: u16 = 2;

/// One asset of the account. Always: `flows = total + fees + market` and `0 <= reserved <= total`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Holding {
    /// The asset's name.
    pub name: Label,
    /// All of it.
    pub total: Quantity,
    /// Reserved for open orders.
    pub reserved: Quantity,
    /// Deposits less withdrawals.
    pub flows: Quantity,
    /// Fees paid.
    pub fees: Quantity,
    /// Delivered to the market less received from it.
    pub market: Quantity,
}

impl Holding {
    const fn new(name: Label) -> Holding {
        let zero = Quantity::ZERO;
        Holding { name, total: zero, reserved: zero, flows: zero, fees: zero, market: zero }
    }

    /// What is not reserved.
    ///
    /// # Errors
    /// [`ArithmeticError::Overflow`], which the laws of the type rule out.
    pub const fn available(&self) -> Result<Quantity, ArithmeticError> {
        self.total.minus(self.reserved)
    }

    /// After a deposit (or, negative, a withdrawal).
    pub(crate) fn moved(mut self, quantity: Quantity) -> Result<Holding, ArithmeticError> {
        self.total = self.total.plus(quantity)?;
        self.flows = self.flows.plus(quantity)?;
        Ok(self)
    }

    /// After receiving from the market (negative: delivering) and paying a fee.
    pub(crate) fn traded(mut self, received: Quantity, fee: Quantity) -> Result<Holding, ArithmeticError> {
        self.total = self.total.plus(received)?.minus(fee)?;
        self.market = self.market.minus(received)?;
        self.fees = self.fees.plus(fee)?;
        Ok(self)
    }

    /// After an order's reservation changed.
    pub(crate) fn held(mut self, before: Quantity, after: Quantity) -> Result<Holding, ArithmeticError> {
        self.reserved = self.reserved.minus(before)?.plus(after)?;
        Ok(self)
    }
}

/// An order, open or ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub(crate) struct Order {
    pub(crate) client: Option<Label>,
    pub(crate) instrument: InstrumentId,
    pub(crate) side: Side,
    pub(crate) kind: OrderKind,
    pub(crate) quantity: Quantity,
    pub(crate) hold: Price,
    pub(crate) reserved: Quantity,
    pub(crate) cumulative: Quantity,
    pub(crate) value: Money,
    pub(crate) fee: Quantity,
    pub(crate) status: RowStatus,
    pub(crate) code: u32,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

/// An execution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub(crate) struct Trade {
    pub(crate) order: u64,
    pub(crate) price: Price,
    pub(crate) quantity: Quantity,
    pub(crate) value: Money,
    pub(crate) fee_asset: AssetId,
    pub(crate) fee: Quantity,
    pub(crate) liquidity: Liquidity,
    pub(crate) executed: Timestamp,
}

/// A conditional order. What became of it after it was sent is told by the order that it became.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub(crate) struct Trigger {
    pub(crate) client: Option<Label>,
    pub(crate) instrument: InstrumentId,
    pub(crate) side: Side,
    pub(crate) kind: TriggerKind,
    pub(crate) quantity: Quantity,
    pub(crate) reference: Price,
    pub(crate) watched: Watched,
    pub(crate) limit: Price,
    pub(crate) time_in_force: TimeInForce,
    pub(crate) fee: Option<AssetId>,
    pub(crate) list: u64,
    pub(crate) leg: u8,
    pub(crate) armed: bool,
    pub(crate) fired: Option<Price>,
    pub(crate) order: Option<u64>,
    /// Open until it was sent, cancelled or rejected.
    pub(crate) status: RowStatus,
    pub(crate) code: u32,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Trigger {
    /// Whether nothing has become of it yet.
    pub(crate) fn waits(&self) -> bool {
        self.status == RowStatus::Open && self.order.is_none() && self.fired.is_none()
    }
}

/// A deposit or withdrawal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub(crate) struct Flow {
    pub(crate) id: Label,
    pub(crate) asset: AssetId,
    pub(crate) quantity: Quantity,
    pub(crate) time: Timestamp,
}

/// Holdings after an execution: base, quote, and a third asset that pays the fee.
pub(crate) type AfterTrade = [Option<(AssetId, Holding)>; 3];

/// What this account took of the size shown at one tick.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub(crate) struct Taken {
    pub(crate) feed: FeedId,
    pub(crate) cursor: u64,
    pub(crate) bid: Quantity,
    pub(crate) ask: Quantity,
}

/// Counts since the journal began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Counters {
    /// Orders accepted.
    pub accepted: u64,
    /// Orders and requests rejected, duplicates not among them.
    pub rejected: u64,
    /// Requests refused because their client order id was used before.
    pub duplicates: u64,
    /// Executions.
    pub trades: u64,
    /// Triggers fired.
    pub triggered: u64,
    /// Orders cancelled.
    pub cancelled: u64,
    /// Orders ended by their time in force.
    pub expired: u64,
    /// Events that the fold could not explain; zero in every journal that this exchange wrote.
    pub anomalies: u64,
}

/// The folded journal.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct State {
    pub(crate) lsn: Lsn,
    pub(crate) clock: Timestamp,
    pub(crate) account: Option<Label>,
    pub(crate) assets: BTreeMap<AssetId, Holding>,
    pub(crate) asset_names: BTreeMap<Label, AssetId>,
    pub(crate) instruments: BTreeMap<InstrumentId, Instrument>,
    pub(crate) instrument_names: BTreeMap<Label, InstrumentId>,
    pub(crate) orders: BTreeMap<u64, Order>,
    pub(crate) clients: BTreeMap<Label, u64>,
    pub(crate) open: BTreeSet<(InstrumentId, u64)>,
    pub(crate) ended: BTreeSet<(Timestamp, u64)>,
    pub(crate) trades: BTreeMap<u64, Trade>,
    pub(crate) order_trades: BTreeSet<(u64, u64)>,
    pub(crate) flows: BTreeMap<u64, Flow>,
    pub(crate) flow_ids: BTreeMap<Label, u64>,
    pub(crate) feeds: BTreeMap<FeedId, Tick>,
    pub(crate) taken: BTreeMap<InstrumentId, Taken>,
    pub(crate) counters: Counters,
    /// Assets that were chosen to pay the fees of orders.
    pub(crate) fee_choices: BTreeMap<u64, AssetId>,
    pub(crate) triggers: BTreeMap<u64, Trigger>,
    pub(crate) trigger_clients: BTreeMap<Label, u64>,
    /// Conditional orders that are watched.
    pub(crate) armed: BTreeSet<(InstrumentId, u64)>,
    pub(crate) lists: BTreeMap<u64, Linked>,
    pub(crate) legs: BTreeSet<(u64, u64)>,
    /// The conditional order that an order came from.
    pub(crate) sent: BTreeMap<u64, u64>,
}

impl State {
    /// The account's name, once the journal was created.
    pub const fn account(&self) -> Option<Label> {
        self.account
    }

    /// The latest time in the journal.
    pub const fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Counts for a summary.
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The account's assets, in order of their number.
    pub fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.assets.values()
    }

    /// One asset by name.
    pub fn holding(&self, name: Label) -> Option<&Holding> {
        self.asset_names.get(&name).and_then(|id| self.assets.get(id))
    }

    /// Listed instruments, in order of their number.
    pub fn instruments(&self) -> impl Iterator<Item = (InstrumentId, &Instrument)> {
        self.instruments.iter().map(|(id, spec)| (*id, spec))
    }

    /// A listed instrument by name.
    pub fn instrument(&self, name: Label) -> Option<(InstrumentId, &Instrument)> {
        let id = self.instrument_names.get(&name)?;
        self.instruments.get(id).map(|spec| (*id, spec))
    }

    /// The name of a listed instrument.
    pub fn instrument_name(&self, id: InstrumentId) -> Option<Label> {
        self.instruments.get(&id).map(|spec| spec.name)
    }

    /// How many orders are open.
    pub fn open_orders(&self) -> usize {
        self.open.len()
    }

    /// The durable place in a feed: the tick of the last record that rests on it.
    pub fn feed_position(&self, feed: FeedId) -> Option<Tick> {
        self.feeds.get(&feed).copied()
    }

    /// The canonical bytes of the state.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Vec::from(STATE_VERSION.to_le_bytes());
        wire::encode(self, &mut out);
        out
    }

    /// Reads what [`State::save`] wrote, and nothing else: other spellings of the same state are refused.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not a state of this version.
    pub fn load(bytes: &[u8]) -> Result<State, DecodeError> {
        let body = |what: &str| DecodeError::Body { kind: 0, what: String::from(what) };
        let (version, rest) = bytes.split_first_chunk::<2>().ok_or_else(|| body("no state version"))?;
        if u16::from_le_bytes(*version) != STATE_VERSION {
            return Err(body("a state of another version: replay the journal instead"));
        }
        let state: State = wire::decode_state(rest)?;
        if state.save() == bytes { Ok(state) } else { Err(body("not the canonical spelling of a state")) }
    }

    /// Folds one event.
    pub fn apply(&mut self, event: &VenueEvent) {
        self.lsn = self.lsn.next();
        self.clock = self.clock.max(event.at);
        let explained = match &event.fact {
            VenueFact::VenueCreated(fact) => {
                self.account = Some(fact.account);
                Some(())
            }
            VenueFact::VenueOpened(_) => Some(()),
            VenueFact::AssetNamed(fact) => {
                self.asset_names.insert(fact.name, fact.asset);
                self.assets.insert(fact.asset, Holding::new(fact.name));
                Some(())
            }
            VenueFact::InstrumentListed(fact) => {
                self.instrument_names.insert(fact.spec.name, fact.instrument);
                self.instruments.insert(fact.instrument, fact.spec);
                Some(())
            }
            VenueFact::TickSeen(fact) => {
                let at_or_behind =
                    self.feeds.get(&fact.tick.feed).is_some_and(|t| t.cursor >= fact.tick.cursor);
                if !at_or_behind {
                    self.feeds.insert(fact.tick.feed, fact.tick);
                }
                Some(())
            }
            VenueFact::FundsMoved(fact) => {
                let flow = Flow { id: fact.id, asset: fact.asset, quantity: fact.quantity, time: event.at };
                self.move_funds(flow)
            }
            VenueFact::OrderAccepted(fact) => self.accept(fact, event.at),
            VenueFact::OrderRejected(fact) => {
                self.reject(fact, event.at);
                Some(())
            }
            VenueFact::RequestRefused(fact) => {
                if fact.class == RejectClass::Duplicate {
                    self.counters.duplicates += 1;
                } else {
                    self.counters.rejected += 1;
                }
                Some(())
            }
            VenueFact::OrderTriggered(fact) => {
                self.counters.triggered += 1;
                self.orders.get_mut(&fact.order).map(|order| order.updated = event.at)
            }
            VenueFact::OrderTraded(fact) => self.trade(fact, event.at),
            VenueFact::OrderCancelled(fact) => {
                self.counters.cancelled += 1;
                self.end(fact.order, RowStatus::Cancelled, event.at)
            }
            VenueFact::OrderExpired(fact) => {
                self.counters.expired += 1;
                self.end(fact.order, RowStatus::Expired, event.at)
            }
            VenueFact::OrderFeeChosen(fact) => {
                self.fee_choices.insert(fact.order, fact.asset);
                Some(())
            }
            VenueFact::OrderAmended(fact) => self.amend(fact, event.at),
            VenueFact::TriggerAccepted(fact) => {
                self.accept_trigger(fact, event.at);
                Some(())
            }
            VenueFact::ListMade(fact) => {
                self.lists.insert(fact.list, fact.linked);
                Some(())
            }
            VenueFact::TriggerArmed(fact) => self.change_trigger(fact.trigger, event.at, |t| t.armed = true),
            VenueFact::TriggerFired(fact) => {
                self.counters.triggered += 1;
                self.change_trigger(fact.trigger, event.at, |t| t.fired = Some(fact.reference))
            }
            VenueFact::TriggerSent(fact) => {
                self.sent.insert(fact.order, fact.trigger);
                self.change_trigger(fact.trigger, event.at, |t| t.order = Some(fact.order))
            }
            VenueFact::TriggerAmended(fact) => {
                let TriggerAmended { quantity, reference, limit, .. } = *fact;
                self.change_trigger(fact.trigger, event.at, |t| {
                    (t.quantity, t.reference, t.limit) = (quantity, reference, limit);
                })
            }
            VenueFact::TriggerCancelled(fact) => {
                self.counters.cancelled += 1;
                self.change_trigger(fact.trigger, event.at, |t| t.status = RowStatus::Cancelled)
            }
            VenueFact::TriggerRejected(fact) => {
                self.counters.rejected += 1;
                let code = fact.code;
                self.change_trigger(fact.trigger, event.at, |t| {
                    (t.status, t.code) = (RowStatus::Rejected, code)
                })
            }
        };
        if explained.is_none() {
            self.counters.anomalies += 1;
        }
    }

    fn move_funds(&mut self, flow: Flow) -> Option<()> {
        let number = self.flows.len() as u64 + 1;
        self.flow_ids.insert(flow.id, number);
        self.flows.insert(number, flow);
        let holding = self.assets.get_mut(&flow.asset)?;
        *holding = holding.moved(flow.quantity).ok()?;
        Some(())
    }

    fn accept(&mut self, fact: &OrderAccepted, at: Timestamp) -> Option<()> {
        self.counters.accepted += 1;
        let order = Order {
            client: fact.client,
            instrument: fact.instrument,
            side: fact.side,
            kind: fact.kind,
            quantity: fact.quantity,
            hold: fact.hold,
            reserved: Quantity::ZERO,
            cumulative: Quantity::ZERO,
            value: Money::ZERO,
            fee: Quantity::ZERO,
            status: RowStatus::Open,
            code: 0,
            created: at,
            updated: at,
        };
        self.orders.insert(fact.order, order);
        self.open.insert((fact.instrument, fact.order));
        if let Some(client) = fact.client {
            self.clients.insert(client, fact.order);
        }
        self.reserve(fact.order, fact.reserved)
    }

    fn amend(&mut self, fact: &OrderAmended, at: Timestamp) -> Option<()> {
        self.reserve(fact.order, fact.reserved)?;
        let order = self.orders.get_mut(&fact.order)?;
        (order.kind, order.quantity, order.hold) = (fact.kind, fact.quantity, fact.hold);
        order.updated = at;
        if let Some(client) = fact.client {
            order.client = Some(client);
            self.clients.insert(client, fact.order);
        }
        Some(())
    }

    fn accept_trigger(&mut self, fact: &TriggerAccepted, at: Timestamp) {
        self.counters.accepted += 1;
        let trigger = Trigger {
            client: fact.client,
            instrument: fact.instrument,
            side: fact.side,
            kind: fact.kind,
            quantity: fact.quantity,
            reference: fact.reference,
            watched: fact.watched,
            limit: fact.limit,
            time_in_force: fact.time_in_force,
            fee: fact.fee,
            list: fact.list,
            leg: fact.leg,
            armed: fact.armed,
            fired: None,
            order: None,
            status: RowStatus::Open,
            code: 0,
            created: at,
            updated: at,
        };
        self.triggers.insert(fact.trigger, trigger);
        if let Some(client) = fact.client {
            self.trigger_clients.insert(client, fact.trigger);
        }
        if fact.list > 0 {
            self.legs.insert((fact.list, fact.trigger));
        }
        if fact.armed {
            self.armed.insert((fact.instrument, fact.trigger));
        }
    }

    /// Changes a conditional order, and whether it is watched with it.
    fn change_trigger(
        &mut self,
        number: u64,
        at: Timestamp,
        change: impl FnOnce(&mut Trigger),
    ) -> Option<()> {
        let trigger = self.triggers.get_mut(&number)?;
        change(trigger);
        trigger.updated = at;
        let key = (trigger.instrument, number);
        if trigger.armed && trigger.waits() {
            self.armed.insert(key);
        } else {
            self.armed.remove(&key);
        }
        Some(())
    }

    fn reject(&mut self, fact: &OrderRejected, at: Timestamp) {
        self.counters.rejected += 1;
        let order = Order {
            client: fact.client,
            instrument: fact.instrument,
            side: fact.side,
            kind: fact.kind,
            quantity: fact.quantity,
            hold: Price::ZERO,
            reserved: Quantity::ZERO,
            cumulative: Quantity::ZERO,
            value: Money::ZERO,
            fee: Quantity::ZERO,
            status: RowStatus::Rejected,
            code: fact.code,
            created: at,
            updated: at,
        };
        self.orders.insert(fact.order, order);
        self.ended.insert((at, fact.order));
        if let Some(client) = fact.client {
            self.clients.insert(client, fact.order);
        }
    }

    fn trade(&mut self, fact: &OrderTraded, at: Timestamp) -> Option<()> {
        self.counters.trades += 1;
        let trade = Trade {
            order: fact.order,
            price: fact.price,
            quantity: fact.quantity,
            value: fact.value,
            fee_asset: fact.fee_asset,
            fee: fact.fee,
            liquidity: fact.liquidity,
            executed: at,
        };
        self.trades.insert(fact.trade, trade);
        self.order_trades.insert((fact.order, fact.trade));
        let order = self.orders.get_mut(&fact.order)?;
        order.cumulative = order.cumulative.plus(fact.quantity).ok()?;
        order.value = order.value.plus(fact.value).ok()?;
        order.fee = order.fee.plus(fact.fee).ok()?;
        order.updated = at;
        let order = *order;
        self.take(&order, fact)?;
        self.reserve(fact.order, fact.reserved)?;
        let after =
            self.after_trade(&order, fact.quantity, fact.value, (fact.fee_asset, fact.fee)).ok()??;
        for (asset, holding) in after.into_iter().flatten() {
            self.assets.insert(asset, holding);
        }
        if order.cumulative >= order.quantity {
            return self.end(fact.order, RowStatus::Filled, at);
        }
        Some(())
    }

    /// Base and quote holdings after an execution, and that of a third asset that pays the fee; the live side asks
    /// before it lets one happen.
    pub(crate) fn after_trade(
        &self,
        order: &Order,
        quantity: Quantity,
        value: Money,
        (fee_asset, fee): (AssetId, Quantity),
    ) -> Result<Option<AfterTrade>, ArithmeticError> {
        let Some((spec, base, quote)) = self
            .instruments
            .get(&order.instrument)
            .and_then(|spec| Some((spec, *self.assets.get(&spec.base)?, *self.assets.get(&spec.quote)?)))
        else {
            return Ok(None);
        };
        let value = Quantity(value.0);
        let (in_base, in_quote) = match order.side {
            Side::Buy => (quantity, value.negated()),
            Side::Sell => (quantity.negated(), value),
        };
        let pays = |asset: AssetId| if asset == fee_asset { fee } else { Quantity::ZERO };
        let base = (spec.base, base.traded(in_base, pays(spec.base))?);
        let quote = (spec.quote, quote.traded(in_quote, pays(spec.quote))?);
        let third = match self.assets.get(&fee_asset) {
            Some(holding) if fee_asset != spec.base && fee_asset != spec.quote => {
                Some((fee_asset, holding.traded(Quantity::ZERO, fee)?))
            }
            Some(_) | None => None,
        };
        Ok(Some([Some(base), Some(quote), third]))
    }

    /// Counts an execution against the size shown at its tick.
    fn take(&mut self, order: &Order, fact: &OrderTraded) -> Option<()> {
        let fresh = Taken { feed: fact.feed, cursor: fact.cursor, bid: Quantity::ZERO, ask: Quantity::ZERO };
        let taken = self.taken.entry(order.instrument).or_insert(fresh);
        if (taken.feed, taken.cursor) != (fact.feed, fact.cursor) {
            *taken = fresh;
        }
        let side = match order.side {
            Side::Buy => &mut taken.ask,
            Side::Sell => &mut taken.bid,
        };
        *side = side.plus(fact.quantity).ok()?;
        Some(())
    }

    /// Sets what is reserved for an order.
    fn reserve(&mut self, number: u64, reserved: Quantity) -> Option<()> {
        let order = self.orders.get_mut(&number)?;
        let spec = self.instruments.get(&order.instrument)?;
        let asset = match order.side {
            Side::Buy => spec.quote,
            Side::Sell => spec.base,
        };
        let holding = self.assets.get_mut(&asset)?;
        *holding = holding.held(order.reserved, reserved).ok()?;
        order.reserved = reserved;
        Some(())
    }

    fn end(&mut self, number: u64, status: RowStatus, at: Timestamp) -> Option<()> {
        self.reserve(number, Quantity::ZERO)?;
        let order = self.orders.get_mut(&number)?;
        order.status = status;
        order.updated = at;
        self.ended.insert((at, number));
        self.open.remove(&(order.instrument, number)).then_some(())
    }

    /// Checks the laws of the fold: conservation, reservations, no negative balance, no overfilled order.
    ///
    /// # Errors
    /// The first law that does not hold, in words.
    pub fn audit(&self) -> Result<(), String> {
        let mut reserved: BTreeMap<AssetId, Quantity> = BTreeMap::new();
        for (number, order) in &self.orders {
            let open = self.open.contains(&(order.instrument, *number));
            let sums = self.order_sums(*number).map_err(|e| alloc::format!("order {number}: {e}"))?;
            if sums != (order.cumulative, order.value) || order.cumulative > order.quantity {
                return Err(alloc::format!("order {number}: its trades are not what it says is filled"));
            }
            if open != (order.status == RowStatus::Open) || (!open && !order.reserved.is_zero()) {
                return Err(alloc::format!("order {number}: open, ended and reserved disagree"));
            }
            let spec = self.instruments.get(&order.instrument).ok_or("an order of an unlisted instrument")?;
            let sum =
                reserved.entry(if order.side == Side::Buy { spec.quote } else { spec.base }).or_default();
            *sum = sum.plus(order.reserved).map_err(|e| alloc::format!("order {number}: {e}"))?;
        }
        for (id, holding) in &self.assets {
            let name = holding.name;
            let accounted = holding.total.plus(holding.fees).and_then(|sum| sum.plus(holding.market));
            if accounted != Ok(holding.flows) {
                return Err(alloc::format!("{name}: flows are not total, fees and market together"));
            }
            if holding.reserved != reserved.get(id).copied().unwrap_or_default() {
                return Err(alloc::format!("{name}: reserved is not the sum of the open orders'"));
            }
            if holding.reserved.is_negative() || holding.total < holding.reserved {
                return Err(alloc::format!("{name}: {} of {} reserved", holding.reserved, holding.total));
            }
        }
        if self.counters.anomalies == 0 { Ok(()) } else { Err(String::from("anomalies were counted")) }
    }

    fn order_sums(&self, number: u64) -> Result<(Quantity, Money), ArithmeticError> {
        let mut sums = (Quantity::ZERO, Money::ZERO);
        for (_, trade) in self.order_trades.range((number, 0)..=(number, u64::MAX)) {
            if let Some(trade) = self.trades.get(trade) {
                sums = (sums.0.plus(trade.quantity)?, sums.1.plus(trade.value)?);
            }
        }
        Ok(sums)
    }
}
