//! The exchange itself: one switch over its inputs, the books that are not orders (opening, listing, funds), and
//! the seam to the commit loop.
//!
//! It never lets an answer go before the facts behind it: both leave in one decision.

use crate::fact::{
    AssetNamed, FundsMoved, InstrumentListed, VenueCreated, VenueEvent, VenueFact, VenueOpened,
};
use crate::input::{Asked, Created, FlowOutcome, VenueEffect, VenueInput};
use crate::market::{Memory, candle_ticks};
use crate::order::{Wish, code};
use crate::settings::Settings;
use crate::state::State;
use aegis_model::input::ListedInstrument;
use aegis_model::wire::DecodeError;
use aegis_model::{
    Actor, AssetId, Decision, FeedId, InstrumentId, Label, Lsn, Machine, Quantity, Rate, RecordHead, Side,
    Text, Tick, Timestamp,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A simulated spot exchange with one account.
#[derive(Clone, Debug, Default)]
pub struct Venue {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) market: Memory,
    pub(crate) out: Decision<VenueEvent, VenueEffect>,
    /// Open orders that follow what is told of them.
    pub(crate) following: BTreeSet<u64>,
    /// Fee rates that stand in for the settings'.
    pub(crate) charged: BTreeMap<InstrumentId, Rate>,
    at: Timestamp,
}

impl Venue {
    /// An exchange with nothing in it.
    pub fn new(settings: Settings) -> Venue {
        Venue { settings, ..Venue::default() }
    }

    /// The terms in force.
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The folded journal.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The durable place in a feed, with the tick of its last decisive record. A recorded feed is read again from
    /// the record after it; the tick itself may be given as [`VenueInput::Warmup`]. Its instrument number is this
    /// journal's (see [`State::instruments`]).
    pub fn feed_position(&self, feed: FeedId) -> Option<Tick> {
        self.state.feed_position(feed)
    }

    /// The fold of one fact, live: applied at once, stored with the decision.
    pub(crate) fn emit(&mut self, actor: Actor, cause: Lsn, fact: impl Into<VenueFact>) -> Lsn {
        let event = VenueEvent { at: self.at, actor, cause, fact: fact.into() };
        self.state.apply(&event);
        self.out.events.push(event);
        self.state.lsn
    }

    /// An answer; it leaves once the facts before it are durable.
    pub(crate) fn say(&mut self, effect: VenueEffect) {
        self.out.effects.push(effect);
    }

    fn open(&mut self, created: Option<Created>, version: Label) {
        if let Some(created) = created.filter(|_| self.state.account.is_none()) {
            self.emit(Actor::Process, Lsn::NONE, VenueCreated { account: created.account });
        }
        let terms = self.settings;
        let (maker, taker, slippage) = (terms.maker(), terms.taker(), terms.slippage());
        self.emit(Actor::Process, Lsn::NONE, VenueOpened { version, maker, taker, slippage });
    }

    fn list(&mut self, listed: &ListedInstrument) {
        match self.listable(listed) {
            Err(why) => self.say(VenueEffect::ListingRefused { name: listed.name, text: Text::new(why) }),
            Ok(known) => {
                let (Some(base), Some(quote)) = (self.asset(listed.base), self.asset(listed.quote)) else {
                    return;
                };
                let spec = listed.spec(base, quote);
                let instrument = known.unwrap_or(InstrumentId(self.state.instruments.len() as u32 + 1));
                if self.state.instruments.get(&instrument) != Some(&spec) {
                    // What was passed over under the old facts is not met again under the new ones.
                    self.record_places(instrument);
                    self.emit(Actor::Venue, Lsn::NONE, InstrumentListed { instrument, spec });
                }
            }
        }
    }

    /// The number of the instrument if it is listed already, or why it cannot be listed so.
    fn listable(&self, listed: &ListedInstrument) -> Result<Option<InstrumentId>, &'static str> {
        if listed.name.is_empty() || listed.base.is_empty() || listed.quote.is_empty() {
            return Err("an instrument, its base and its quote need names");
        }
        if listed.base == listed.quote {
            return Err("base and quote are the same asset");
        }
        if !listed.price_tick.is_positive() || !listed.quantity_tick.is_positive() {
            return Err("price and quantity ticks are above zero");
        }
        if listed.minimum_notional.is_negative() {
            return Err("a minimum notional is not below zero");
        }
        let Some((id, spec)) = self.state.instrument(listed.name) else {
            let room = usize::from(u16::MAX) - self.state.assets.len();
            return if room >= 2 { Ok(None) } else { Err("too many assets") };
        };
        let named = |id: AssetId| self.state.assets.get(&id).map(|holding| holding.name);
        if (named(spec.base), named(spec.quote)) == (Some(listed.base), Some(listed.quote)) {
            Ok(Some(id))
        } else {
            Err("a listed instrument keeps its base and its quote")
        }
    }

    /// The asset's number, given now if it has none; none when there is no number left.
    pub(crate) fn asset(&mut self, name: Label) -> Option<AssetId> {
        if let Some(known) = self.state.asset_names.get(&name) {
            return Some(*known);
        }
        let asset = AssetId(u16::try_from(self.state.assets.len() + 1).ok()?);
        self.emit(Actor::Venue, Lsn::NONE, AssetNamed { asset, name });
        Some(asset)
    }

    fn fund(&mut self, id: Label, asset: Label, quantity: Quantity) {
        let outcome = match self.fundable(id, asset, quantity) {
            Err(outcome) => outcome,
            Ok(()) => match self.asset(asset) {
                None => refused(code::MISSING_ARGUMENT, "too many assets"),
                Some(asset) => {
                    self.emit(Actor::Operator, Lsn::NONE, FundsMoved { id, asset, quantity });
                    FlowOutcome::Booked
                }
            },
        };
        self.say(VenueEffect::Flow { id, outcome });
    }

    fn fundable(&self, id: Label, asset: Label, quantity: Quantity) -> Result<(), FlowOutcome> {
        if id.is_empty() || asset.is_empty() || quantity.is_zero() {
            return Err(refused(code::MISSING_ARGUMENT, "a flow needs an id, an asset and a quantity"));
        }
        if let Some(flow) = self.state.flow_ids.get(&id).and_then(|number| self.state.flows.get(number)) {
            let same = self.state.asset_names.get(&asset) == Some(&flow.asset) && flow.quantity == quantity;
            return Err(if same {
                FlowOutcome::Already
            } else {
                refused(code::MISSING_ARGUMENT, "this id was used for another flow")
            });
        }
        let Some(holding) = self.state.holding(asset) else {
            return if quantity.is_negative() { Err(short()) } else { Ok(()) };
        };
        match holding.moved(quantity) {
            Ok(after) if after.total >= after.reserved => Ok(()),
            Ok(_) => Err(short()),
            Err(_) => Err(refused(code::INVALID_QUANTITY, "beyond the largest number that can be kept")),
        }
    }

    fn tick_named(&mut self, name: Label, tick: &Tick) {
        if let Some(instrument) = self.state.instrument_names.get(&name).copied() {
            self.on_tick(Tick { instrument, ..*tick });
        }
    }
}

fn refused(code: u32, text: &str) -> FlowOutcome {
    FlowOutcome::Refused { code, text: Text::new(text) }
}

fn short() -> FlowOutcome {
    refused(code::INSUFFICIENT_BALANCE, "more than is available")
}

impl Machine for Venue {
    type Input = VenueInput;
    type Event = VenueEvent;
    type Effect = VenueEffect;

    fn handle(&mut self, now: Timestamp, input: &VenueInput) -> Decision<VenueEvent, VenueEffect> {
        self.at = self.state.clock.max(now);
        match input {
            VenueInput::Open { created, version } => self.open(*created, *version),
            VenueInput::List(listed) => listed.iter().for_each(|one| self.list(one)),
            VenueInput::Fund { id, asset, quantity } => self.fund(*id, *asset, *quantity),
            VenueInput::Tick { name, tick } => self.tick_named(*name, tick),
            VenueInput::Warmup { name, tick } => {
                if let Some(instrument) = self.state.instrument_names.get(name).copied() {
                    self.market.remember(Tick { instrument, ..*tick });
                }
            }
            VenueInput::Candle { name, feed, cursor, span_ns, candle } => {
                for tick in candle_ticks(*feed, *cursor, InstrumentId(0), *span_ns, candle) {
                    self.tick_named(*name, &tick);
                }
            }
            VenueInput::Place { client, instrument, side, kind, quantity } => {
                let (client, instrument) = (Some(*client), *instrument);
                let (side, kind, quantity) = (*side, *kind, *quantity);
                self.place(Wish { client, instrument, side, kind, quantity, fee: None, refuse: None });
            }
            VenueInput::Manual { instrument, side, kind, quantity } => {
                let (client, instrument) = (None, *instrument);
                let (side, kind, quantity) = (*side, *kind, *quantity);
                self.place(Wish { client, instrument, side, kind, quantity, fee: None, refuse: None });
            }
            VenueInput::Cancel { client } => self.cancel(*client),
            VenueInput::ManualCancel { venue_order } => self.cancel_by_hand(*venue_order),
            VenueInput::LookUp { client, token } => self.look_up(*client, *token),
            VenueInput::Listing { number, scope, trades_from } => {
                self.answer_listing(*number, *scope, *trades_from);
            }
            VenueInput::Ask(asked) => {
                let Asked { client, instrument, side, kind, quantity, fee, refuse } = *asked;
                let fee = fee.and_then(|name| self.state.asset_names.get(&name)).copied();
                self.place(Wish { client, instrument, side, kind, quantity, fee, refuse });
            }
            VenueInput::CancelNumber { order } => self.cancel_number(*order),
            VenueInput::Amend { order, client, price, quantity } => {
                self.amend(*order, *client, *price, *quantity);
            }
            VenueInput::Mark { name, price } => self.set_mark(*name, *price),
            VenueInput::Condition { linked, legs } => self.condition(*linked, legs),
            VenueInput::CancelTrigger { trigger } => self.cancel_trigger(*trigger),
            VenueInput::AmendTrigger { trigger, quantity, reference, limit } => {
                self.amend_trigger(*trigger, *quantity, *reference, *limit);
            }
            VenueInput::Follow(followed) => self.follow(followed),
            VenueInput::Became { client, what } => self.became(*client, *what),
            VenueInput::Refuse { client, instrument, class, code, text } => {
                self.refuse_request(*client, *instrument, *class, *code, text.clone());
            }
            VenueInput::Charge { name, rate } => self.charge(*name, *rate),
        }
        self.settle_lists();
        core::mem::take(&mut self.out)
    }

    fn apply(&mut self, event: &VenueEvent) {
        self.state.apply(event);
    }

    fn encode(event: &VenueEvent, out: &mut Vec<u8>) -> RecordHead {
        event.encode(out)
    }

    fn decode(head: RecordHead, payload: &[u8]) -> Result<VenueEvent, DecodeError> {
        VenueEvent::decode(head, payload)
    }

    fn lsn(&self) -> Lsn {
        self.state.lsn
    }

    fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.state.save()).as_bytes()
    }

    fn save(&self) -> Vec<u8> {
        self.state.save()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        self.state = State::load(state)?;
        self.market = Memory::default();
        self.following = BTreeSet::new();
        self.charged = BTreeMap::new();
        Ok(())
    }

    /// A new buy may not use the reserve; ticks, sells, cancels and flows may.
    fn may_use_reserve(events: &[VenueEvent]) -> bool {
        !events
            .iter()
            .any(|event| matches!(&event.fact, VenueFact::OrderAccepted(fact) if fact.side == Side::Buy))
    }
}

impl Venue {
    /// Moves the time of the facts to a tick's, never back.
    pub(crate) fn at_market(&mut self, tick: &Tick) {
        self.at = self.state.clock.max(tick.at);
    }
}
