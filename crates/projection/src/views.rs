//! Reading the state: what engines decide on and people look at. Nothing here changes anything.

use crate::book::{Book, Entry};
use crate::state::{AssetState, Dust, InstrumentState, Order, STATE_VERSION, State};
use aegis_model::order::OrderStatus;
use aegis_model::wire::{self, DecodeError};
use aegis_model::{
    AssetId, InstrumentId, Label, Lsn, Money, OrderId, OrderKind, Price, Purpose, Quantity, Rate, Rounding,
    Side, Timestamp, TradeId,
};
use alloc::vec::Vec;

/// Room made for a saved state at once, and for each order in it: about what they take.
const SAVED_BYTES: usize = 4 << 10;
const SAVED_BYTES_ORDER: usize = 256;

impl InstrumentState {
    /// An instrument just listed.
    pub(crate) fn new(spec: aegis_model::Instrument, listed: Lsn) -> InstrumentState {
        InstrumentState {
            spec,
            listed,
            book: Book::default(),
            protection: None,
            opened: Lsn::NONE,
            plan: None,
            live: Vec::new(),
            prepared: None,
            blind: None,
            blind_ns: 0,
            blocked: None,
            exit_failures: 0,
            exit_failed: None,
            exit_wanted: None,
            dust: Dust::default(),
            bare_since: None,
        }
    }

    /// Whether something is held.
    pub const fn is_open(&self) -> bool {
        self.book.now.is_open()
    }

    /// Base quantity held.
    pub const fn held(&self) -> Quantity {
        self.book.now.held
    }

    /// Average price without fees; none while nothing is held.
    pub fn entry_price(&self) -> Option<Price> {
        self.book.now.entry_price()
    }

    fn live_orders<'a>(&'a self, state: &'a State) -> impl Iterator<Item = (OrderId, &'a Order)> {
        self.live.iter().filter_map(|id| state.orders.get(id).map(|o| (*id, o)))
    }

    /// Whether an outcome on the instrument is unknown.
    pub fn has_unknown(&self, state: &State) -> bool {
        self.live_orders(state).any(|(_, o)| o.status == OrderStatus::Unknown)
    }

    /// What live exits could still sell.
    pub fn live_exits_quantity(&self, state: &State) -> Quantity {
        self.live_orders(state)
            .filter(|(_, o)| o.side == Side::Sell)
            .filter_map(|(_, o)| o.rest().ok())
            .try_fold(Quantity::ZERO, Quantity::plus)
            .unwrap_or(Quantity::ZERO)
    }

    /// The stop that rests at the venue, or may: it was intended and is neither fired nor proven ended.
    pub fn resting_stop<'a>(&'a self, state: &'a State) -> Option<(OrderId, &'a Order)> {
        self.live_orders(state).find(|(_, o)| o.is_resting_stop())
    }

    /// Whether an exit is live that sells without waiting for a trigger.
    pub fn has_selling_exit(&self, state: &State) -> bool {
        self.live_orders(state).any(|(_, o)| o.side == Side::Sell && !o.is_resting_stop())
    }

    /// Who may sell what is held: the venue while a stop rests there, otherwise the engine. Two owners never exist.
    pub fn exit_owner(&self, state: &State) -> ExitOwner {
        self.resting_stop(state).map_or(ExitOwner::Engine, |(order, _)| ExitOwner::Venue(order))
    }

    /// The live entry order, if there is one.
    pub fn live_entry(&self, state: &State) -> Option<OrderId> {
        self.live_orders(state).find(|(_, o)| o.purpose == Purpose::Entry).map(|(id, _)| id)
    }
}

/// Who may sell a position (see [`InstrumentState::exit_owner`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitOwner {
    /// The engine.
    Engine,
    /// The stop that rests at the venue under this number of ours.
    Venue(OrderId),
}

impl AssetState {
    /// Whether a difference (venue less expected) is exactly what the two clocks leave open about the recorded balance:
    /// it lacked executions that were counted as in it, or held some that were counted as later.
    pub fn is_clock_difference(&self, difference: Quantity) -> bool {
        let sums = |changes: &[crate::state::RecentChange], wanted: Quantity| {
            (0..changes.len()).any(|from| {
                let mut sum = Quantity::ZERO;
                changes[from..].iter().any(|c| {
                    sum = sum.plus(c.change).unwrap_or(sum);
                    sum == wanted
                })
            })
        };
        !difference.is_zero()
            && (sums(&self.doubtful, difference) || sums(&self.recent, difference.negated()))
    }
}

impl Order {
    /// Whether it waits for its trigger at the venue, to protect what is held. One whose outcome is unknown, or that is
    /// being cancelled, still may.
    pub const fn is_resting_stop(&self) -> bool {
        matches!((self.purpose, self.kind), (Purpose::Exit { .. }, OrderKind::StopLoss { .. }))
            && self.released.is_none()
    }

    /// Whether anything of it is known to be filled.
    pub const fn has_fills(&self) -> bool {
        self.filled.is_positive() || self.inferred.is_positive()
    }

    /// Whether nothing of it can exist at the venue: the last send was refused for now, and no earlier one is without a
    /// certain outcome.
    pub const fn is_nowhere(&self) -> bool {
        self.put_off && !self.unproven && self.venue_order.is_none() && !self.has_fills()
    }

    /// Ordered and neither filled nor inferred; never below zero.
    ///
    /// # Errors
    /// [`aegis_model::ArithmeticError::Overflow`].
    pub fn rest(&self) -> Result<Quantity, aegis_model::ArithmeticError> {
        Ok(self.quantity.minus(self.filled)?.minus(self.inferred)?.max(Quantity::ZERO))
    }

    /// Quote that the rest of a buy may cost: at its limit, or at the decision's reference price.
    fn rest_value(&self) -> Quantity {
        let price = match self.kind {
            OrderKind::Limit { price, .. } => price,
            OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => self.reference,
        };
        let value = self.rest().and_then(|rest| price.times(rest, Rounding::Ceil));
        value.map_or(Quantity::ZERO, |v| Quantity(v.0))
    }
}

impl State {
    /// The LSN that the next event gets.
    pub const fn next_lsn(&self) -> Lsn {
        self.lsn.next()
    }

    /// An instrument by id.
    pub fn instrument(&self, id: InstrumentId) -> Option<&InstrumentState> {
        self.instruments.get(id.0 as usize)
    }

    /// An instrument's id by the venue's name.
    pub fn find_instrument(&self, name: &Label) -> Option<InstrumentId> {
        let at = self.instruments.iter().position(|i| i.spec.name == *name)?;
        u32::try_from(at).ok().map(InstrumentId)
    }

    /// An asset by id.
    pub fn asset(&self, id: AssetId) -> Option<&AssetState> {
        self.assets.get(usize::from(id.0))
    }

    /// An asset's id by the venue's name.
    pub fn find_asset(&self, name: &Label) -> Option<AssetId> {
        let at = self.assets.iter().position(|a| a.name == *name)?;
        u16::try_from(at).ok().map(AssetId)
    }

    /// An order that has not ended.
    pub fn order(&self, id: OrderId) -> Option<&Order> {
        self.orders.get(&id)
    }

    /// An order, open or remembered.
    pub fn any_order(&self, id: OrderId) -> Option<&Order> {
        self.orders.any(id)
    }

    /// The booked execution with this trade id, within the memory.
    pub fn knows_trade(&self, id: InstrumentId, trade: &TradeId) -> Option<&Entry> {
        self.instrument(id)?.book.find(&trade.0)
    }

    /// Whether an execution at this time lies in what the fold has forgotten: it cannot be told from a repeat here,
    /// only in the journal.
    pub fn is_beyond_memory(&self, id: InstrumentId, executed: Timestamp) -> bool {
        self.instrument(id).is_some_and(|i| i.book.is_forgotten(executed))
    }

    /// What could be sold if no exit were live: min(held, what the venue has for us), floored to the tick
    /// (semantics rule 17). Where a fee is not known yet, `worst_fee` of that execution is assumed gone.
    pub fn sellable(&self, id: InstrumentId, worst_fee: Rate) -> Quantity {
        let Some(instrument) = self.instrument(id) else { return Quantity::ZERO };
        let unknown = instrument.book.unknown_fee_quantity();
        let assumed = unknown.scaled(worst_fee, Rounding::Ceil).unwrap_or(Quantity::ZERO);
        let held = instrument.held().minus(assumed).unwrap_or(Quantity::ZERO).max(Quantity::ZERO);
        let there = self.there_for_us(id).unwrap_or(held);
        held.min(there.max(Quantity::ZERO))
            .to_tick(instrument.spec.quantity_tick, Rounding::Floor)
            .unwrap_or(Quantity::ZERO)
    }

    /// Venue total less quarantine, dust and what others reserve; none while no balance is known.
    fn there_for_us(&self, id: InstrumentId) -> Option<Quantity> {
        let instrument = self.instrument(id)?;
        let asset = self.asset(instrument.spec.base)?;
        let balance = asset.balance?;
        let mut total = balance.total.plus(asset.since).ok()?;
        if !asset.doubtful.is_empty() {
            total = total.plus(bought_in_doubt(&asset.doubtful)).ok()?;
        }
        total.minus(balance.foreign).ok()?.minus(asset.quarantined).ok()?.minus(instrument.dust.quantity).ok()
    }

    /// What our own live orders hold of an asset.
    fn reserved_by_us(&self, id: AssetId, counts: impl Fn(&Order) -> bool) -> Quantity {
        let mut sum = Quantity::ZERO;
        for order in self.orders.values().filter(|o| counts(o)) {
            let Some(spec) = self.instrument(order.instrument).map(|i| &i.spec) else { continue };
            let held = match order.side {
                Side::Sell if spec.base == id => order.rest().unwrap_or(Quantity::ZERO),
                Side::Buy if spec.quote == id => order.rest_value(),
                Side::Sell | Side::Buy => continue,
            };
            sum = sum.plus(held).unwrap_or(sum);
        }
        sum
    }

    /// Available = total - max(venue reserved, our orders that the balance covers) - intents since its request
    /// (semantics rule 36), with what our fills changed since. None while no balance is known.
    pub fn available(&self, id: AssetId) -> Option<Quantity> {
        let asset = self.asset(id)?;
        let balance = asset.balance?;
        let covered = self.reserved_by_us(id, |o| o.intended <= balance.lsn);
        let since = self.reserved_by_us(id, |o| o.intended > balance.lsn);
        let total = balance.total.plus(asset.since).ok()?;
        total.minus(balance.reserved.max(covered)).ok()?.minus(since).ok()
    }

    /// What our own live orders reserve of an asset now.
    pub fn reserved(&self, id: AssetId) -> Quantity {
        self.reserved_by_us(id, |_| true)
    }

    /// Positions and entries (working, unknown or prepared), counted by instrument; dust and quarantine do not count.
    pub fn exposure_count(&self) -> u32 {
        let exposed =
            |i: &&InstrumentState| i.is_open() || i.prepared.is_some() || i.live_entry(self).is_some();
        u32::try_from(self.instruments.iter().filter(exposed).count()).unwrap_or(u32::MAX)
    }

    /// Quote and what is held at the given prices (semantics rule 15), and the instruments without one.
    pub fn equity(&self, prices: impl Fn(InstrumentId) -> Option<Price>) -> (Money, Vec<InstrumentId>) {
        let quote = self.find_asset(&self.journal.quote).and_then(|id| self.asset(id));
        let total = quote.and_then(|a| a.balance.map_or(Some(a.since), |b| b.total.plus(a.since).ok()));
        let mut sum = Money(total.unwrap_or(Quantity::ZERO).0);
        let mut unpriced = Vec::new();
        for (at, instrument) in self.instruments.iter().enumerate().filter(|(_, i)| i.is_open()) {
            let id = InstrumentId(u32::try_from(at).unwrap_or(u32::MAX));
            let worth = prices(id).and_then(|p| p.times(instrument.held(), Rounding::HalfEven).ok());
            match worth.and_then(|worth| sum.plus(worth).ok()) {
                Some(with) => sum = with,
                None => unpriced.push(id),
            }
        }
        (sum, unpriced)
    }

    /// Both sides of the conservation law (semantics rule 14): quote paid less quote received, and cost held less
    /// realised less corrections. They are equal to the last digit after every event.
    ///
    /// # Errors
    /// [`aegis_model::ArithmeticError::Overflow`].
    pub fn conservation(&self) -> Result<(Money, Money), aegis_model::ArithmeticError> {
        let mut cost = Money::ZERO;
        for instrument in &self.instruments {
            cost = cost.plus(instrument.book.now.cost)?.plus(instrument.dust.cost)?;
        }
        let left = self.totals.quote_paid.minus(self.totals.quote_received)?;
        let right = cost.minus(self.totals.realised)?.minus(self.totals.corrections)?;
        Ok((left, right))
    }

    /// BLAKE3 of the version and the canonical encoding.
    pub fn digest(&self) -> [u8; 32] {
        State::digest_of(&self.save())
    }

    /// The digest of the state that [`State::save`] made these bytes of.
    pub fn digest_of(saved: &[u8]) -> [u8; 32] {
        *blake3::hash(saved).as_bytes()
    }

    /// The canonical encoding: the version, then every field in order, maps sorted by key.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SAVED_BYTES + self.orders.remembered() * SAVED_BYTES_ORDER);
        out.extend_from_slice(&STATE_VERSION.to_le_bytes());
        wire::encode(self, &mut out);
        out
    }

    /// Reads what [`State::save`] wrote.
    ///
    /// # Errors
    /// [`DecodeError`] when the version is another or the bytes are not a state.
    pub fn load(bytes: &[u8]) -> Result<State, DecodeError> {
        let (version, rest) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| DecodeError::Body { kind: 0, what: "shorter than its version".into() })?;
        if u32::from_le_bytes(*version) != STATE_VERSION {
            let what = alloc::format!("state version {}", u32::from_le_bytes(*version));
            return Err(DecodeError::Body { kind: 0, what });
        }
        wire::decode_state(rest)
    }
}

/// What was bought after a balance was asked for, although by a clock that is ahead it was asked for later. It may be in
/// that balance already, and then this is too much, which what is held bounds; taken for nothing it would leave what
/// was just bought without a stop.
#[cold]
fn bought_in_doubt(changes: &[crate::state::RecentChange]) -> Quantity {
    let bought = changes.iter().filter(|c| c.change.is_positive());
    bought.fold(Quantity::ZERO, |sum, c| sum.plus(c.change).unwrap_or(sum))
}
