//! The laws, over random histories: money is conserved, nothing is negative, live equals replay, a restart changes
//! nothing, no order is overfilled, no shown size exceeded, no gapped trigger filled at its own price.
//!
//! The sums here are made from the records alone and share no code with the exchange's fold.

use crate::rig::{label, listed};
use aegis_model::fixed::Rounding;
use aegis_model::input::{ListedInstrument, Scope};
use aegis_model::market::PricePath;
use aegis_model::{
    Actor, FeedId, Fixed, InstrumentId, Label, Machine, Money, OrderKind, Price, Quantity, Rate, Side, Tick,
    TimeInForce, Timestamp, VenueOrderId,
};
use aegis_paper::fact::OrderAccepted;
use aegis_paper::{
    Asked, Conditional, Created, Linked, Liquidity, Settings, TriggerKind, Venue, VenueEvent, VenueFact,
    VenueInput, Watched,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const FEED: FeedId = FeedId(1);

/// Ticks so fine that products of prices and quantities have more digits than a number keeps.
fn instruments() -> [ListedInstrument; 2] {
    let first =
        ListedInstrument { price_tick: Price::new(1, 12), quantity_tick: Quantity::new(1, 9), ..listed() };
    let (name, base, quote) = (label("ETH_BTC"), label("ETH"), label("BTC"));
    [first.clone(), ListedInstrument { name, base, quote, minimum_notional: Money::ZERO, ..first }]
}

/// One step of a history, before it has cursors and times.
#[derive(Clone, Debug)]
enum Step {
    Input(VenueInput),
    Tick { name: Label, tick: Tick, ahead: u64, warm: bool },
    Again(usize),
    Restart,
}

/// A price in cents, now and then with a few 10^-12 on top.
fn cents(range: std::ops::Range<i64>) -> impl Strategy<Value = Price> {
    let fine = prop_oneof![2 => Just(0i64), 1 => 1i64..999];
    (range, fine).prop_map(|(n, fine)| Price::new(n, 2).plus(Price::new(fine, 12)).expect("small"))
}

fn name() -> impl Strategy<Value = Label> {
    prop_oneof![3 => Just(label("BTC_USDT")), 1 => Just(label("ETH_BTC"))]
}

fn kind() -> impl Strategy<Value = OrderKind> {
    let force = proptest::sample::select(TimeInForce::ALL);
    prop_oneof![
        2 => Just(OrderKind::Market),
        5 => (cents(950..1050), force).prop_map(|(price, time_in_force)| OrderKind::Limit { price, time_in_force }),
        2 => cents(940..1010).prop_map(|trigger| OrderKind::StopLoss { trigger }),
        1 => cents(990..1060).prop_map(|trigger| OrderKind::TakeProfit { trigger }),
    ]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    // Mostly whole ticks; sometimes none, negative or too fine.
    prop_oneof![
        14 => (1i64..4000).prop_map(|n| Quantity::new(n, 3)),
        6 => (1i64..4_000_000_000).prop_map(|n| Quantity::new(n, 9)),
        1 => (-5i64..50).prop_map(|n| Quantity::new(n, 10)),
    ]
}

fn client() -> impl Strategy<Value = Label> {
    (0u32..60).prop_map(|n| label(&format!("c{n}")))
}

fn side() -> impl Strategy<Value = Side> {
    proptest::sample::select(Side::ALL)
}

fn tick() -> impl Strategy<Value = Step> {
    let size = || proptest::option::of((0i64..3_000_000_000).prop_map(|n| Quantity::new(n, 9)));
    let quotes = prop_oneof![
        3 => (cents(940..1060), 0i64..20).prop_map(|(bid, spread)| {
            (Some(bid), Some(bid.plus(Price::new(spread, 2)).expect("small")), None)
        }),
        2 => cents(940..1060).prop_map(|last| (None, None, Some(last))),
        1 => cents(-1..2).prop_map(|bid| (Some(bid), None, Some(bid))),
    ];
    let path = proptest::sample::select(PricePath::ALL);
    let at = 0i64..50;
    let whole = (name(), quotes, size(), size(), path, at, 1u64..3, proptest::bool::weighted(0.1));
    whole.prop_map(|(name, (bid, ask, last), bid_quantity, ask_quantity, path, at, ahead, warm)| {
        let (feed, instrument, at) = (FEED, InstrumentId(9), Timestamp(at));
        let tick = Tick { feed, cursor: 0, instrument, at, bid, ask, last, bid_quantity, ask_quantity, path };
        Step::Tick { name, tick, ahead, warm }
    })
}

fn change() -> impl Strategy<Value = VenueInput> {
    (0usize..2, any::<bool>(), 0u32..3).prop_map(|(which, tradable, finer)| {
        let mut one = instruments()[which].clone();
        one.tradable = tradable || finer > 0;
        one.quantity_tick = Quantity::new(1, 9 - finer);
        VenueInput::List(vec![one])
    })
}

/// Independent conditional orders, or a list whose legs are of the kinds that it is made of.
fn condition() -> impl Strategy<Value = VenueInput> {
    let kinds = [
        TriggerKind::StopLoss,
        TriggerKind::StopLimit,
        TriggerKind::TakeProfit,
        TriggerKind::TakeProfitLimit,
    ];
    let force = proptest::sample::select(TimeInForce::ALL);
    let watched = proptest::sample::select(&[Watched::Mark, Watched::Index, Watched::Last][..]);
    let prices = (cents(940..1060), cents(940..1060));
    let leg =
        (client(), side(), proptest::sample::select(kinds.to_vec()), quantity(), prices, watched, force);
    let leg = leg.prop_map(|(client, side, kind, quantity, (reference, limit), watched, time_in_force)| {
        let limit = if kind.is_limit() { limit } else { Price::ZERO };
        let (client, instrument, fee) = (Some(client), Label::EMPTY, None);
        Conditional {
            client,
            instrument,
            side,
            kind,
            quantity,
            reference,
            watched,
            limit,
            time_in_force,
            fee,
        }
    });
    let linked = [None, Some(Linked::Oco), Some(Linked::Oto), Some(Linked::Otoco)];
    let legs = proptest::collection::vec(leg, 3);
    (name(), proptest::sample::select(linked.to_vec()), legs).prop_map(|(instrument, linked, mut legs)| {
        legs.iter_mut().for_each(|leg| leg.instrument = instrument);
        if linked.is_some() {
            let first = legs[0];
            legs[0] = Conditional {
                kind: TriggerKind::Limit,
                limit: first.reference,
                reference: Price::ZERO,
                ..first
            };
        }
        if matches!(linked, Some(Linked::Oco | Linked::Oto)) {
            legs.truncate(2);
        }
        VenueInput::Condition { linked, legs }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let fund = (0u32..20, proptest::sample::select(&["USDT", "BTC", "ETH"][..]), -3_000i64..3_000);
    let fund = fund.prop_map(|(id, asset, n)| {
        let id = label(&format!("f{id}"));
        VenueInput::Fund { id, asset: label(asset), quantity: Quantity::new(n, 2) }
    });
    let place = (client(), name(), side(), kind(), quantity());
    let place = place.prop_map(|(client, instrument, side, kind, quantity)| VenueInput::Place {
        client,
        instrument,
        side,
        kind,
        quantity,
    });
    let manual = (name(), side(), kind(), quantity());
    let manual = manual.prop_map(|(instrument, side, kind, quantity)| VenueInput::Manual {
        instrument,
        side,
        kind,
        quantity,
    });
    let by_hand = (1u64..40)
        .prop_map(|n| VenueInput::ManualCancel { venue_order: VenueOrderId(label(&n.to_string())) });
    let asked = (0i64..100).prop_map(|from| VenueInput::Listing {
        number: 1,
        scope: Scope::Full,
        trades_from: Timestamp(from),
    });
    let ask = (client(), name(), side(), kind(), quantity(), any::<bool>());
    let ask = ask.prop_map(|(client, instrument, side, kind, quantity, quote)| {
        let fee = quote.then(|| label(if instrument == label("BTC_USDT") { "USDT" } else { "BTC" }));
        let client = Some(client);
        VenueInput::Ask(Asked { client, instrument, side, kind, quantity, fee, refuse: None })
    });
    let amend = (1u64..40, proptest::option::of(client()), cents(950..1050), quantity());
    let amend = amend.prop_map(|(order, client, price, quantity)| VenueInput::Amend {
        order,
        client,
        price,
        quantity,
    });
    let change_trigger = (1u64..20, quantity(), proptest::option::of(cents(940..1060)), cents(940..1060));
    let change_trigger = change_trigger.prop_map(|(trigger, quantity, reference, limit)| {
        VenueInput::AmendTrigger { trigger, quantity, reference, limit }
    });
    prop_oneof![
        8 => tick(),
        2 => ask.prop_map(Step::Input),
        2 => amend.prop_map(Step::Input),
        4 => condition().prop_map(Step::Input),
        1 => change_trigger.prop_map(Step::Input),
        1 => (1u64..20).prop_map(|trigger| Step::Input(VenueInput::CancelTrigger { trigger })),
        1 => (1u64..40).prop_map(|order| Step::Input(VenueInput::CancelNumber { order })),
        7 => place.prop_map(Step::Input),
        1 => manual.prop_map(Step::Input),
        1 => client().prop_map(|client| Step::Input(VenueInput::Cancel { client })),
        1 => by_hand.prop_map(Step::Input),
        1 => fund.prop_map(Step::Input),
        1 => change().prop_map(Step::Input),
        1 => asked.prop_map(Step::Input),
        1 => client().prop_map(|client| Step::Input(VenueInput::LookUp { client, token: 0 })),
        1 => (1usize..6).prop_map(Step::Again),
        1 => Just(Step::Restart),
    ]
}

/// The exchange, a second one that only ever folds records, and a third that is killed now and then.
struct World {
    live: Venue,
    folded: Venue,
    killed: Venue,
    events: Vec<VenueEvent>,
    market: Vec<VenueInput>,
    cursor: u64,
    now: i64,
}

fn settings() -> Settings {
    Settings::new(Rate::basis_points(25), Rate::basis_points(50), Rate::basis_points(7)).expect("in range")
}

impl World {
    fn new() -> World {
        let venue = || Venue::new(settings());
        let (events, market) = (Vec::new(), Vec::new());
        let mut world =
            World { live: venue(), folded: venue(), killed: venue(), events, market, cursor: 0, now: 0 };
        let created = Some(Created { account: label("laws") });
        world.give(&VenueInput::Open { created, version: label("0") });
        world.give(&VenueInput::List(instruments().to_vec()));
        for (asset, n) in [("USDT", 100), ("BTC", 10), ("ETH", 5)] {
            let (id, asset) = (label(asset), label(asset));
            world.give(&VenueInput::Fund { id, asset, quantity: Quantity::new(n, 0) });
        }
        world
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Input(input) => self.give(input),
            Step::Tick { name, tick, ahead, warm } => {
                self.cursor += ahead;
                self.now += tick.at.0;
                let tick = Tick { cursor: self.cursor, at: Timestamp(self.now), ..*tick };
                let name = *name;
                let input =
                    if *warm { VenueInput::Warmup { name, tick } } else { VenueInput::Tick { name, tick } };
                self.market.push(input.clone());
                self.give(&input);
            }
            Step::Again(ago) => {
                if let Some(input) = self.market.len().checked_sub(*ago).map(|at| self.market[at].clone()) {
                    self.market.push(input.clone());
                    self.give(&input);
                }
            }
            Step::Restart => {
                self.killed = Venue::new(settings());
                self.events.iter().for_each(|event| self.killed.apply(event));
                for input in &self.market {
                    let again = self.killed.handle(Timestamp(self.now), input);
                    assert_eq!(again.events, [], "a market read again decides nothing anew");
                }
            }
        }
    }

    /// One input to all; the laws that hold after every record and every decision.
    fn give(&mut self, input: &VenueInput) {
        let now = Timestamp(self.now);
        let decision = self.live.handle(now, input);
        assert_eq!(self.killed.handle(now, input), decision, "a restarted exchange decides alike");
        for event in &decision.events {
            let mut bytes = Vec::new();
            let head = Venue::encode(event, &mut bytes);
            let read = Venue::decode(head, &bytes).expect("its own record");
            assert_eq!(&read, event);
            self.folded.apply(&read);
            self.folded.state().audit().expect("every prefix of the journal is lawful");
        }
        assert_eq!(self.folded.digest(), self.live.digest(), "live equals replay");
        assert_eq!(self.killed.digest(), self.live.digest(), "a restart changes nothing");
        self.events.extend(decision.events);
    }
}

/// What the records say, added up without the fold.
#[derive(Default)]
struct Ledger {
    names: BTreeMap<u16, Label>,
    pairs: BTreeMap<InstrumentId, (u16, u16)>,
    orders: BTreeMap<u64, OrderAccepted>,
    filled: BTreeMap<u64, i128>,
    clients: BTreeMap<Label, u64>,
    totals: BTreeMap<u16, i128>,
    taken: BTreeMap<(InstrumentId, u64, Side), i128>,
    triggered: BTreeMap<u64, Price>,
    fired: BTreeSet<u64>,
    sent: BTreeSet<u64>,
    trades: u64,
}

impl Ledger {
    fn read(&mut self, event: &VenueEvent, shown: &BTreeMap<u64, Tick>) {
        match &event.fact {
            VenueFact::AssetNamed(fact) => {
                self.names.insert(fact.asset.0, fact.name);
            }
            VenueFact::InstrumentListed(fact) => {
                self.pairs.insert(fact.instrument, (fact.spec.base.0, fact.spec.quote.0));
            }
            VenueFact::FundsMoved(fact) => {
                *self.totals.entry(fact.asset.0).or_default() += fact.quantity.0.units()
            }
            VenueFact::OrderAccepted(fact) => {
                if let Some(client) = fact.client {
                    assert_eq!(
                        self.clients.insert(client, fact.order),
                        None,
                        "one order for one client order id"
                    );
                }
                self.orders.insert(fact.order, fact.clone());
            }
            VenueFact::OrderRejected(fact) => {
                if let Some(client) = fact.client {
                    assert_eq!(
                        self.clients.insert(client, fact.order),
                        None,
                        "one order for one client order id"
                    );
                }
            }
            VenueFact::OrderTriggered(fact) => {
                self.triggered.insert(fact.order, fact.reference);
            }
            VenueFact::OrderTraded(fact) => {
                self.trades += 1;
                assert_eq!(fact.trade, self.trades, "trade ids are counted");
                assert_eq!(event.actor, Actor::Market);
                let order = &self.orders[&fact.order];
                let tick = &shown[&fact.cursor];
                let (base, quote) = self.pairs[&order.instrument];
                let (quantity, value, fee) =
                    (fact.quantity.0.units(), fact.value.0.units(), fact.fee.0.units());
                assert_eq!(Ok(fact.value), fact.price.times(fact.quantity, Rounding::Floor));
                let rate =
                    if fact.liquidity == Liquidity::Maker { settings().maker() } else { settings().taker() };
                let mut move_to = |asset: u16, n: i128| *self.totals.entry(asset).or_default() += n;
                let in_quote = fact.fee_asset.0 == quote;
                assert!(in_quote || fact.fee_asset.0 == base, "base or quote pays");
                let (of, size) = match order.side {
                    Side::Buy => {
                        move_to(base, quantity - if in_quote { 0 } else { fee });
                        move_to(quote, -value - if in_quote { fee } else { 0 });
                        (if in_quote { fact.value.0 } else { fact.quantity.0 }, tick.ask_quantity)
                    }
                    Side::Sell => {
                        assert!(in_quote, "sells pay in quote");
                        move_to(base, -quantity);
                        move_to(quote, value - fee);
                        (fact.value.0, tick.bid_quantity)
                    }
                };
                assert_eq!(
                    Ok(fact.fee.0),
                    of.times(rate.0, Rounding::Ceil),
                    "a fee is a share of what it is paid in"
                );
                let filled = self.filled.entry(fact.order).or_default();
                *filled += quantity;
                assert!(quantity > 0 && *filled <= order.quantity.0.units(), "never more than ordered");
                let taken = self.taken.entry((order.instrument, fact.cursor, order.side)).or_default();
                *taken += quantity;
                assert!(size.is_none_or(|size| *taken <= size.0.units()), "never more than was shown");
                let touch = price_of(tick, order.side).expect("a price");
                match order.kind {
                    OrderKind::Market => assert_eq!(fact.price, touch),
                    OrderKind::Limit { price, .. } => {
                        let better = if order.side == Side::Buy { touch <= price } else { touch >= price };
                        let at = if fact.liquidity == Liquidity::Maker { price } else { touch };
                        assert!(better && fact.price == at, "a limit never trades beyond itself");
                    }
                    OrderKind::StopLoss { trigger } | OrderKind::TakeProfit { trigger } => {
                        let reference = self.triggered[&fact.order];
                        assert_eq!(reference, touch);
                        if tick.path == PricePath::Jump {
                            assert_eq!(fact.price, touch, "a gapped trigger fills at the tick");
                        } else {
                            let kept = settings().slippage().complement().expect("below one");
                            let least = trigger.scaled(kept, Rounding::Floor).expect("small");
                            let below = least.minus(Price(Fixed::new(1, 2))).expect("small");
                            assert!(fact.price == touch || (fact.price <= trigger && fact.price > below));
                        }
                    }
                }
            }
            VenueFact::VenueCreated(_)
            | VenueFact::VenueOpened(_)
            | VenueFact::TickSeen(_)
            | VenueFact::RequestRefused(_)
            | VenueFact::OrderCancelled(_)
            | VenueFact::OrderExpired(_)
            | VenueFact::OrderFeeChosen(_)
            | VenueFact::TriggerAccepted(_)
            | VenueFact::ListMade(_)
            | VenueFact::TriggerArmed(_)
            | VenueFact::TriggerAmended(_)
            | VenueFact::TriggerCancelled(_)
            | VenueFact::TriggerRejected(_) => {}
            VenueFact::TriggerFired(fact) => {
                assert!(self.fired.insert(fact.trigger), "a conditional order fires once");
            }
            VenueFact::TriggerSent(fact) => {
                assert!(self.sent.insert(fact.trigger), "and becomes one order");
            }
            VenueFact::OrderAmended(fact) => {
                if let Some(order) = self.orders.get_mut(&fact.order) {
                    (order.kind, order.quantity) = (fact.kind, fact.quantity);
                }
            }
        }
    }
}

fn price_of(tick: &Tick, side: Side) -> Option<Price> {
    match (tick.bid, tick.ask, side) {
        (None, None, _) => tick.last,
        (_, ask, Side::Buy) => ask,
        (bid, _, Side::Sell) => bid,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_laws_hold_after_every_record_of_any_history(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let mut shown = BTreeMap::new();
        for input in &world.market {
            if let VenueInput::Tick { tick, .. } | VenueInput::Warmup { tick, .. } = input {
                shown.insert(tick.cursor, *tick);
            }
        }
        let mut ledger = Ledger::default();
        let mut time = Timestamp(i64::MIN);
        for event in &world.events {
            prop_assert!(event.at >= time, "time never falls");
            time = event.at;
            ledger.read(event, &shown);
        }
        for (asset, name) in &ledger.names {
            let total = ledger.totals.get(asset).copied().unwrap_or_default();
            let holding = world.live.state().holding(*name).expect("a named asset");
            prop_assert_eq!(holding.total.0.units(), total, "deposits, trades and fees make the balance of {}", name);
        }
        prop_assert_eq!(world.live.state().counters().trades, ledger.trades);
    }

    #[test]
    fn any_damage_to_a_saved_state_is_refused_or_is_the_same_state(
        steps in proptest::collection::vec(step(), 1..40),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let mut bytes = world.live.save();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let mut other = Venue::new(settings());
        if other.load(&bytes).is_ok() {
            prop_assert_eq!(other.save(), bytes, "what is read is spelled one way only");
        }
    }

    #[test]
    fn a_stop_never_fills_above_what_a_gap_left(stop in 9_000i64..9_999, gap in 1i64..8_999, size in 1i64..50_000) {
        let mut world = World::new();
        let name = label("BTC_USDT");
        let quote = |bid: i64, size: Option<i64>| Step::Tick {
            name,
            tick: Tick {
                feed: FEED,
                cursor: 0,
                instrument: InstrumentId(0),
                at: Timestamp(1),
                bid: Some(Price::new(bid, 2)),
                ask: Some(Price::new(bid + 1, 2)),
                last: None,
                bid_quantity: size.map(|size| Quantity::new(size, 4)),
                ask_quantity: None,
                path: PricePath::Jump,
            },
            ahead: 1,
            warm: false,
        };
        world.step(&quote(10_000, None));
        let kind = OrderKind::StopLoss { trigger: Price::new(stop, 2) };
        let (client, side, quantity) = (label("s"), Side::Sell, Quantity::new(4, 0));
        world.step(&Step::Input(VenueInput::Place { client, instrument: name, side, kind, quantity }));
        world.step(&quote(stop - gap, Some(size)));
        let found = world.live.find(client).expect("the stop");
        prop_assert_eq!(found.trades.len(), 1);
        prop_assert_eq!(found.trades[0].price, Price::new(stop - gap, 2));
        prop_assert_eq!(found.trades[0].quantity, Quantity::new(size.min(40_000), 4));
    }
}
