//! Each finding by an example and by the closest one that is none. Seconds after the beginning; BTC_USDT is instrument
//! 0, what was asked is complete unless a test says otherwise.

use super::*;
use aegis_model::event::*;
use aegis_model::ids::SECOND;
use aegis_model::input::Answer;
use aegis_model::market::Instrument;
use aegis_model::order::{LookupAnswer, OrderKind, Purpose, UnknownCause};
use aegis_model::{Actor, Event, ExitReason, Fact, Lsn, Mode, Money, Price};
use alloc::vec;

const INSTALLATION: u64 = 7;
const USDT: AssetId = AssetId(0);
const BTC: AssetId = AssetId(1);
const BTC_USDT: InstrumentId = InstrumentId(0);

fn q(text: &str) -> Quantity {
    text.parse().expect("a number")
}

fn at(second: i64) -> Timestamp {
    Timestamp(1_700_000_000 * SECOND).after(second * SECOND)
}

fn id(text: &str) -> TradeId {
    TradeId(Label::literal(text))
}

fn venue(text: &str) -> VenueOrderId {
    VenueOrderId(Label::literal(text))
}

fn client(order: u64) -> ClientOrderId {
    ClientOrderId { installation: INSTALLATION, run: 1, order: OrderId(order) }
}

struct World(State);

impl World {
    /// BTC_USDT and ETH_USDT are listed, nothing is held and no balance is known.
    fn new() -> World {
        let label = Label::literal;
        let mut world = World(State::default());
        let created = JournalCreated { mode: Mode::Paper, installation: INSTALLATION, quote: label("USDT") };
        world.tell(0, created);
        world.tell(0, Started { run: 1, version: label("0"), config_digest: [0; 32], seed: None });
        for (n, name) in (0..).zip(["USDT", "BTC", "ETH"]) {
            world.tell(0, AssetNamed { asset: AssetId(n), name: label(name) });
        }
        for (n, name) in (0..).zip(["BTC_USDT", "ETH_USDT"]) {
            let spec = Instrument {
                name: label(name),
                base: AssetId(n + 1),
                quote: USDT,
                price_tick: Price::new(1, 2),
                quantity_tick: q("0.001"),
                minimum_notional: Money::ZERO,
                tradable: true,
            };
            world.tell(0, InstrumentListed { instrument: InstrumentId(u32::from(n)), spec });
        }
        world
    }

    fn tell(&mut self, second: i64, fact: impl Into<Fact>) {
        self.0.apply(&Event { at: at(second), actor: Actor::Engine, cause: Lsn::NONE, fact: fact.into() });
    }

    fn intend(&mut self, second: i64, order: u64, side: Side, kind: OrderKind, quantity: &str) {
        let purpose = match side {
            Side::Buy => Purpose::Entry,
            Side::Sell => Purpose::Exit { reason: ExitReason::Stop, others: 0 },
        };
        let intended = OrderIntended {
            order: OrderId(order),
            run: 1,
            instrument: BTC_USDT,
            side,
            kind,
            quantity: q(quantity),
            purpose,
            valid_until: at(1_000),
            cancel_at: None,
            replaces: OrderId(0),
            plan: None,
            reference: Price::new(100, 0),
        };
        self.tell(second, intended);
    }

    /// A buy that the venue knows as `v<order>`.
    fn working(&mut self, second: i64, order: u64, name: &'static str) {
        self.intend(second, order, Side::Buy, OrderKind::Market, "1");
        self.tell(second, OrderAcknowledged { order: OrderId(order), venue_order: venue(name) });
    }

    /// A stop that waits at the venue.
    fn stop(&mut self, second: i64, order: u64) {
        let kind = OrderKind::StopLoss { trigger: Price::new(90, 0) };
        self.intend(second, order, Side::Sell, kind, "1");
        self.tell(second, OrderAcknowledged { order: OrderId(order), venue_order: venue("stop") });
    }

    fn fill(&mut self, second: i64, trade: &'static str, side: Side, quantity: &str, fee: Option<Fee>) {
        let fill = FillBooked {
            instrument: BTC_USDT,
            trade: id(trade),
            order: OrderId(0),
            venue_order: None,
            side,
            price: Price::new(100, 0),
            quantity: q(quantity),
            fee,
            executed: at(second),
            source: FillSource::Report,
        };
        self.tell(second, fill);
    }

    fn buy(&mut self, second: i64, trade: &'static str, quantity: &str) {
        self.fill(second, trade, Side::Buy, quantity, Some(no_fee()));
    }

    fn balance(&mut self, second: i64, asset: AssetId, total: &str) {
        let (total, reserved, requested) = (q(total), Quantity::ZERO, at(second));
        self.tell(second, BalanceRecorded { snapshot: 1, asset, total, reserved, requested });
    }

    fn executions(&self, snapshot: &VenueSnapshot) -> Vec<Finding> {
        executions(&self.0, snapshot)
    }

    fn balances(&self, snapshot: &VenueSnapshot) -> Vec<BalanceFinding> {
        balances(&self.0, snapshot, &Settings::default())
    }
}

const fn no_fee() -> Fee {
    Fee { asset: USDT, amount: Quantity::ZERO }
}

fn asked(second: i64) -> VenueSnapshot {
    VenueSnapshot {
        number: 1,
        requested: at(second),
        balances: Answer::Complete(vec![]),
        open_orders: Answer::Complete(vec![]),
        orders_at: at(second),
        ended_orders: Answer::Complete(vec![]),
        trades: Answer::Complete(vec![]),
        flows: Answer::Complete(vec![]),
        trades_from: Timestamp::EPOCH,
        trades_through: at(second),
    }
}

fn trade(name: &'static str, side: Side, quantity: &str, second: i64) -> Trade {
    Trade {
        trade: id(name),
        instrument: BTC_USDT,
        client: None,
        venue_order: Some(venue("somebody")),
        side,
        price: Price::new(100, 0),
        quantity: q(quantity),
        fee: Some(no_fee()),
        executed: at(second),
    }
}

fn row(of: Option<ClientOrderId>, name: &'static str) -> OrderRow {
    OrderRow {
        client: of,
        venue_order: venue(name),
        instrument: BTC_USDT,
        side: Side::Buy,
        status: RowStatus::Open,
        price: None,
        quantity: q("1"),
        cumulative: Quantity::ZERO,
        value: Money::ZERO,
        updated: at(1),
        released: None,
    }
}

fn trades(second: i64, trades: &[Trade]) -> VenueSnapshot {
    VenueSnapshot { trades: Answer::Complete(trades.to_vec()), ..asked(second) }
}

fn open(second: i64, rows: &[OrderRow]) -> VenueSnapshot {
    VenueSnapshot { open_orders: Answer::Complete(rows.to_vec()), ..asked(second) }
}

fn held(second: i64, totals: &[(&'static str, &str)]) -> VenueSnapshot {
    let total = |(asset, total): &(&'static str, &str)| VenueBalance {
        asset: Label::literal(asset),
        total: q(total),
        reserved: Quantity::ZERO,
    };
    VenueSnapshot { balances: Answer::Complete(totals.iter().map(total).collect()), ..asked(second) }
}

#[test]
fn a_flow_is_found_once_and_not_if_the_first_balance_contains_it() {
    let flow = |name, second| VenueFlow {
        id: id(name),
        asset: Label::literal("USDT"),
        quantity: q("5"),
        time: at(second),
    };
    let mut world = World::new();
    world.balance(10, USDT, "100");
    let listed = [flow("before", 9), flow("in the instant", 10), flow("after", 11), flow("told", 12)];
    world.tell(13, CashFlowRecorded { id: id("told"), asset: USDT, quantity: q("5"), time: at(12) });
    let snapshot = VenueSnapshot { flows: Answer::Complete(listed.to_vec()), ..asked(20) };
    assert_eq!(world.executions(&snapshot), [Finding::Flow(listed[1]), Finding::Flow(listed[2])]);
    let unasked = VenueSnapshot { flows: Answer::Failed(Text::new("502")), ..snapshot };
    assert_eq!(world.executions(&unasked), []);
}

#[test]
fn an_execution_is_found_until_it_is_booked_with_its_fee_or_answered_by_flows() {
    let mut world = World::new();
    world.buy(1, "known", "1");
    world.fill(2, "fee unknown", Side::Buy, "1", None);
    let listed = [
        trade("known", Side::Buy, "1", 1),
        trade("fee unknown", Side::Buy, "1", 2),
        trade("late", Side::Sell, "1", 4),
        trade("early", Side::Buy, "1", 3),
    ];
    let new = |world: &World| world.executions(&trades(9, &listed));
    let external = [1, 3, 2].map(|n| Finding::ExternalFill(listed[n]));
    assert_eq!(new(&world), external, "in the order of execution");
    let silent = Trade { fee: None, ..listed[1] };
    assert_eq!(world.executions(&trades(9, &[silent])), [], "there still is no fee");
    world.tell(5, FeeResolved { instrument: BTC_USDT, trade: id("fee unknown"), fee: no_fee() });
    assert_eq!(new(&world), external[1..]);
    let kept = kept_out_id("b", &listed[3]);
    world.tell(6, CashFlowRecorded { id: kept, asset: BTC, quantity: q("1"), time: at(3) });
    assert_eq!(new(&world), external[2..]);
}

#[test]
fn an_execution_is_left_out_only_if_it_is_both_walked_over_and_forgotten() {
    let month = 31 * 24 * 3_600;
    let mut world = World::new();
    world.buy(1, "a", "1");
    world.fill(5, "b", Side::Sell, "1", Some(no_fee()));
    world.buy(month, "c", "1");
    assert!(world.0.is_beyond_memory(BTC_USDT, at(5)) && !world.0.is_beyond_memory(BTC_USDT, at(6)));
    let found = |world: &World, second| {
        let listed = trade("x", Side::Buy, "1", second);
        !world.executions(&trades(month + 9, &[listed])).is_empty()
    };
    world.tell(month, TradesWalked { through: at(4) });
    assert_eq!([4, 5, 6].map(|second| found(&world, second)), [false, true, true]);
    world.tell(month, TradesWalked { through: at(7) });
    assert_eq!([4, 5, 6, 7, 8].map(|second| found(&world, second)), [false, false, true, true, true]);
}

#[test]
fn an_execution_belongs_to_the_order_that_either_id_names() {
    let mut world = World::new();
    world.working(1, 1, "v1");
    world.working(1, 2, "v2");
    world.tell(2, OrderEnded { order: OrderId(1), end: aegis_model::OrderEnd::Cancelled, cumulative: None });
    let sold = trade("t", Side::Buy, "1", 3);
    let of = |client, venue_order| Trade { client, venue_order, ..sold };
    let stranger = ClientOrderId { installation: 8, ..client(1) };
    for (trade, found) in [
        (of(Some(client(1)), None), Finding::MissedFill(OrderId(1), of(Some(client(1)), None))),
        (of(None, Some(venue("v1"))), Finding::MissedFill(OrderId(1), of(None, Some(venue("v1"))))),
        (of(None, Some(venue("v2"))), Finding::MissedFill(OrderId(2), of(None, Some(venue("v2"))))),
        (of(None, Some(venue("v3"))), Finding::ExternalFill(of(None, Some(venue("v3"))))),
        (of(Some(stranger), None), Finding::ExternalFill(of(Some(stranger), None))),
        (of(Some(client(9)), None), Finding::ForeignIntent(client(9), None, sold.instrument)),
    ] {
        let shown = VenueSnapshot { open_orders: Answer::NotAsked, ..trades(9, &[trade]) };
        assert_eq!(world.executions(&shown), [found]);
    }
    let elsewhere = Trade { instrument: InstrumentId(1), ..of(None, Some(venue("v2"))) };
    let shown = VenueSnapshot { open_orders: Answer::NotAsked, ..trades(9, &[elsewhere]) };
    assert_eq!(world.executions(&shown), [Finding::ExternalFill(elsewhere)], "of another instrument");
}

#[test]
fn a_sell_may_be_what_a_stop_released_unless_the_stop_is_shown_waiting() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    world.stop(2, 1);
    let sell = Trade { venue_order: Some(venue("x")), ..trade("s", Side::Sell, "1", 5) };
    let buy = Trade { venue_order: Some(venue("x")), ..trade("s", Side::Buy, "1", 5) };
    let waiting = OrderRow { side: Side::Sell, ..row(Some(client(1)), "stop") };
    let fired = OrderRow { released: Some(venue("y")), ..waiting };
    let found = |trade, row: OrderRow| {
        let shown = VenueSnapshot { trades: Answer::Complete(vec![trade]), ..open(9, &[row]) };
        world.executions(&shown).remove(0)
    };
    assert_eq!(found(sell, waiting), Finding::ExternalFill(sell));
    let just_now = Trade { executed: at(9), ..sell };
    assert_eq!(
        found(just_now, waiting),
        Finding::PerhapsOfStop(OrderId(1), just_now),
        "not before the listing"
    );
    assert_eq!(found(sell, fired), Finding::PerhapsOfStop(OrderId(1), sell));
    assert_eq!(found(sell, row(None, "another")), Finding::PerhapsOfStop(OrderId(1), sell));
    assert_eq!(found(buy, fired), Finding::ExternalFill(buy), "a stop buys nothing");
    let ended = OrderRow { status: RowStatus::Cancelled, ..waiting };
    assert_eq!(found(sell, ended), Finding::PerhapsOfStop(OrderId(1), sell), "it waits no more");
}

#[test]
fn a_row_is_news_if_it_says_more_than_is_known() {
    let mut world = World::new();
    world.working(1, 1, "v1");
    let known = row(Some(client(1)), "v1");
    let found = |world: &World, row: OrderRow| world.executions(&open(9, &[row]));
    let news = |row: OrderRow| vec![Finding::Row(OrderId(1), row)];
    assert_eq!(found(&world, known), [], "nothing new");
    for row in [
        OrderRow { status: RowStatus::Filled, ..known },
        OrderRow { cumulative: q("0.1"), ..known },
        OrderRow { quantity: q("0.9"), ..known },
    ] {
        assert_eq!(found(&world, row), news(row));
    }
    world.tell(
        2,
        FillInferred { order: OrderId(1), quantity: q("0.5"), value: Money::new(50, 0), executed: at(2) },
    );
    for (cumulative, is_news) in [("0.4", false), ("0.5", false), ("0.6", true)] {
        let row = OrderRow { cumulative: q(cumulative), ..known };
        assert_eq!(found(&world, row).is_empty(), !is_news, "{cumulative}");
    }
    let seen = OrderRow { cumulative: q("0.5"), ..known };
    world.tell(3, OrderLookedUp { order: OrderId(1), answer: LookupAnswer::Absent, absent: 1 });
    assert_eq!(found(&world, seen), news(seen), "it was thought absent");
    world.tell(4, OrderLookedUp { order: OrderId(1), answer: LookupAnswer::Present, absent: 0 });
    world.tell(5, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    assert_eq!(found(&world, seen), news(seen), "it was unknown");
    world.intend(6, 2, Side::Buy, OrderKind::Market, "1");
    let both = open(9, &[known, row(Some(client(2)), "v2")]);
    assert!(
        world.executions(&both).contains(&Finding::Row(OrderId(2), row(Some(client(2)), "v2"))),
        "unanswered"
    );
    // Rows of nobody and of others are no finding, one of an id that was never reached is.
    let stranger = ClientOrderId { installation: 8, ..client(1) };
    let shown = [
        known,
        row(None, "x"),
        row(Some(stranger), "y"),
        row(Some(client(9)), "z"),
        row(Some(client(2)), "v2"),
    ];
    let foreign = world.executions(&open(9, &shown));
    assert!(foreign.contains(&Finding::ForeignIntent(client(9), Some(venue("z")), known.instrument)));
    let count =
        |findings: &[Finding]| findings.iter().filter(|f| matches!(f, Finding::ForeignIntent(..))).count();
    assert_eq!(count(&foreign), 1);
    // Once it is on record with the venue's id, or was accepted without, showing it again tells nothing.
    let shown = open(9, &[known, row(Some(client(9)), "z")]);
    let by_ours =
        |venue_order| ForeignIntentSeen { instrument: None, client: client(9).label(), venue_order };
    world.tell(7, by_ours(None));
    assert_eq!(count(&world.executions(&shown)), 1, "the venue's id is news");
    let accepted = ForeignIntentAccepted {
        by: Label::literal("ann"),
        client: client(9).label(),
        venue_order: None,
        reason: Text::new("looked at"),
    };
    let mut other = World(world.0.clone());
    other.tell(8, accepted);
    assert_eq!(count(&other.executions(&shown)), 0, "it was accepted");
    world.tell(8, by_ours(Some(venue("z"))));
    assert_eq!(count(&world.executions(&shown)), 0, "all of it is on record");
}

#[test]
fn an_order_that_no_listing_shows_is_looked_up_if_it_is_older_than_the_question() {
    let mut world = World::new();
    world.working(5, 1, "v1");
    assert_eq!(world.executions(&asked(6)), [Finding::LookUp(OrderId(1))]);
    assert_eq!(world.executions(&asked(5)), [], "sent in the instant of the question");
    assert_eq!(world.executions(&asked(4)), []);
    let unsure = VenueSnapshot { ended_orders: Answer::Failed(Text::new("502")), ..asked(6) };
    assert_eq!(world.executions(&unsure), [], "half an answer shows nothing");
    assert_eq!(world.executions(&open(6, &[row(Some(client(1)), "v1")])), []);
    world.tell(8, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    assert_eq!(world.executions(&asked(8)), [], "changed in the instant of the question");
    assert_eq!(world.executions(&asked(9)), [Finding::LookUp(OrderId(1))]);
}

#[test]
fn a_sell_that_waits_is_an_excess_once_every_trade_behind_it_is_known() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    world.fill(2, "s", Side::Sell, "1.5", Some(no_fee()));
    let listing = |from: i64, through: i64| VenueSnapshot {
        trades_from: at(from),
        trades_through: at(through),
        ..asked(9)
    };
    world.tell(3, TradesWalked { through: at(3) });
    let excess = [Finding::Excess(BTC_USDT, q("0.5"))];
    assert_eq!(world.executions(&listing(3, 4)), excess);
    assert_eq!(
        world.executions(&listing(4, 5)),
        [],
        "trades between the last walk and this listing are missing"
    );
    assert_eq!(world.executions(&listing(3, 2)), [], "the sell itself is the last trade listed");
    let another =
        VenueSnapshot { trades: Answer::Complete(vec![trade("x", Side::Buy, "1", 3)]), ..listing(3, 4) };
    assert_eq!(world.executions(&another).len(), 1, "first what else was found");
    world.buy(5, "c", "1");
    assert_eq!(world.executions(&listing(3, 9)), [], "nothing waits any more");
}

#[test]
fn nothing_is_said_of_an_asset_that_moved_since_or_that_an_open_outcome_touches() {
    let mut world = World::new();
    world.buy(5, "b", "1");
    let drift = BalanceFinding::Drift { asset: BTC, venue: q("0.5"), expected: q("1"), look: 1 };
    let seen = |world: &World, second| world.balances(&held(second, &[("BTC", "0.5")])).contains(&drift);
    assert!(!seen(&world, 4), "it moved since");
    assert!(seen(&world, 5) && seen(&world, 6));
    world.intend(6, 1, Side::Buy, OrderKind::Market, "1");
    assert!(!seen(&world, 9), "not answered yet");
    assert!(
        world.balances(&held(9, &[])).iter().all(|f| matches!(f, BalanceFinding::Fresh(AssetId(2), _))),
        "ETH alone"
    );
    world.tell(7, OrderAcknowledged { order: OrderId(1), venue_order: venue("v") });
    assert!(seen(&world, 9), "an open order that is known moves nothing unseen");
    world.tell(8, OrderUnknown { order: OrderId(1), cause: UnknownCause::Timeout });
    assert!(!seen(&world, 9));
    let failed = VenueSnapshot { trades: Answer::Failed(Text::new("502")), ..held(9, &[("BTC", "0.5")]) };
    assert_eq!(world.balances(&failed), []);
}

#[test]
fn a_balance_lags_only_as_long_as_the_settings_say() {
    let mut world = World::new();
    world.buy(5, "b", "1");
    let asset = world.0.asset(BTC).expect("named");
    let lagging = |lag: i64, second| {
        let settings = Settings { balance_lag_ns: lag * SECOND, ..Settings::default() };
        lags(asset, at(second), &settings)
    };
    assert!(!lagging(0, 4) && !lagging(0, 5), "such balances never lag");
    assert!(lagging(2, 5) && lagging(2, 6) && !lagging(2, 7));
}

#[test]
fn a_difference_counts_after_two_looks_that_agree_in_both_figures() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    let look = |world: &World, total: &str| {
        let found = world.balances(&held(9, &[("BTC", total)]));
        found.into_iter().find(|f| {
            matches!(
                f,
                BalanceFinding::Drift { .. }
                    | BalanceFinding::Missing { .. }
                    | BalanceFinding::Quarantine { .. }
            )
        })
    };
    let drift = |total: &str, expected: &str| {
        Some(BalanceFinding::Drift { asset: BTC, venue: q(total), expected: q(expected), look: 1 })
    };
    assert_eq!(look(&world, "0.5"), drift("0.5", "1"));
    world.tell(2, DriftSeen { asset: BTC, venue: q("0.5"), expected: q("1"), look: 1 });
    assert_eq!(look(&world, "0.4"), drift("0.4", "1"), "another figure of the venue");
    assert!(
        matches!(look(&world, "0.5"), Some(BalanceFinding::Missing { instrument: BTC_USDT, quantity, .. }) if quantity == q("0.5"))
    );
    world.buy(3, "c", "1");
    assert_eq!(look(&world, "0.5"), drift("0.5", "2"), "another expectation");
    world.tell(4, DriftSeen { asset: BTC, venue: q("3"), expected: q("2"), look: 1 });
    assert!(
        matches!(look(&world, "3"), Some(BalanceFinding::Quarantine { asset: BTC, quantity, .. }) if quantity == q("1"))
    );
}

#[test]
fn up_to_a_tick_of_a_base_asset_is_no_difference_and_of_another_asset_it_is() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    world.balance(2, BTC, "1");
    world.balance(2, USDT, "100");
    let of = |world: &World, btc: &str, usdt: &str| {
        let found = world.balances(&held(9, &[("BTC", btc), ("USDT", usdt)]));
        found.into_iter().filter(|f| !matches!(f, BalanceFinding::Fresh(AssetId(2), _))).collect::<Vec<_>>()
    };
    assert_eq!(of(&world, "1", "100"), []);
    let fresh = |total: &str| {
        BalanceFinding::Fresh(
            BTC,
            VenueBalance { asset: Label::literal("BTC"), total: q(total), reserved: Quantity::ZERO },
        )
    };
    assert_eq!(of(&world, "1.001", "100"), [fresh("1.001")]);
    assert_eq!(of(&world, "0.999", "100"), [fresh("0.999")]);
    let drift = |asset, venue: &str, expected: &str| BalanceFinding::Drift {
        asset,
        venue: q(venue),
        expected: q(expected),
        look: 1,
    };
    assert_eq!(of(&world, "1.0011", "100"), [drift(BTC, "1.0011", "1")]);
    assert_eq!(of(&world, "1", "100.0001"), [drift(USDT, "100.0001", "100")]);
    world.tell(3, DriftSeen { asset: USDT, venue: q("100.0001"), expected: q("100"), look: 1 });
    let accepted = of(&world, "1", "100.0001");
    assert_eq!(
        accepted[..2],
        [BalanceFinding::Settled(USDT), BalanceFinding::Accepted { asset: USDT, difference: q("0.0001") }]
    );
    assert!(matches!(accepted[2], BalanceFinding::Fresh(USDT, _)) && accepted.len() == 3);
    assert_eq!(of(&world, "1", "100"), [BalanceFinding::Settled(USDT)], "gone");
}

#[test]
fn what_is_missing_is_taken_from_the_quarantine_then_from_what_is_held() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    world.tell(2, HoldingQuarantined { asset: BTC, quantity: q("0.25"), evidence: Text::new("e") });
    let missing = |total: &str| {
        let mut world = World(world.0.clone());
        world.tell(3, DriftSeen { asset: BTC, venue: q(total), expected: q("1.25"), look: 1 });
        let found = world.balances(&held(9, &[("BTC", total)]));
        let taken = found.into_iter().filter_map(|f| match f {
            BalanceFinding::Quarantine { quantity, .. } => Some(("left", quantity)),
            BalanceFinding::Missing { quantity, .. } => Some(("missing", quantity)),
            BalanceFinding::Fresh(..)
            | BalanceFinding::Drift { .. }
            | BalanceFinding::Settled(_)
            | BalanceFinding::Accepted { .. } => None,
        });
        taken.collect::<Vec<_>>()
    };
    assert_eq!(missing("1.2"), [("left", q("0.2"))]);
    assert_eq!(missing("1"), [("left", q("0"))]);
    assert_eq!(missing("0.5"), [("left", q("0")), ("missing", q("0.5"))]);
}

#[test]
fn foreign_orders_are_those_of_others_that_no_stop_of_ours_released() {
    let mut world = World::new();
    world.buy(1, "b", "1");
    world.stop(2, 1);
    world.working(2, 2, "v2");
    let stranger = Some(ClientOrderId { installation: 8, ..client(1) });
    let waiting = OrderRow { side: Side::Sell, ..row(Some(client(1)), "stop") };
    let sell = |of| OrderRow { side: Side::Sell, ..row(of, "x") };
    let shown = |rows: &[OrderRow]| {
        let snapshot = open(9, rows);
        foreign_orders(&world.0, &snapshot).copied().collect::<Vec<_>>()
    };
    assert_eq!(shown(&[waiting, row(Some(client(2)), "v2"), row(None, "v2")]), [], "ours, by either id");
    assert_eq!(shown(&[row(None, "x"), row(stranger, "y")]), [row(None, "x"), row(stranger, "y")]);
    assert_eq!(shown(&[sell(None)]), [], "perhaps what the stop released");
    assert_eq!(shown(&[sell(None), waiting]), [sell(None)], "the stop waits, so it did not");
    assert_eq!(shown(&[sell(stranger)]), [sell(stranger)], "an id of somebody else's");
    let cancelled = OrderRow { status: RowStatus::Cancelled, ..row(None, "x") };
    assert_eq!(shown(&[cancelled]), []);
}

#[test]
fn only_buys_are_kept_out_and_only_where_the_policy_does_not_adopt() {
    let eth = Label::literal("ETH");
    let settings = Settings {
        holdings_by_asset: [(eth, HoldingPolicy::Adopt)].into_iter().collect(),
        ..Settings::default()
    };
    assert!(kept_out(&settings, &Label::literal("BTC"), Side::Buy));
    assert!(!kept_out(&settings, &Label::literal("BTC"), Side::Sell));
    assert!(!kept_out(&settings, &eth, Side::Buy));
}

#[test]
fn a_correction_has_one_id_for_each_content() {
    let ids = [
        (0, CorrectionKind::Missing, "1", None, 1),
        (1, CorrectionKind::Missing, "1", None, 1),
        (0, CorrectionKind::Adopted, "1", None, 1),
        (0, CorrectionKind::Missing, "2", None, 1),
        (0, CorrectionKind::Missing, "1", Some("t"), 1),
        (0, CorrectionKind::Missing, "1", None, 2),
    ]
    .map(|(n, kind, quantity, lot, second)| {
        correction_id(InstrumentId(n), kind, q(quantity), lot.map(id), at(second))
    });
    for (n, one) in ids.iter().enumerate() {
        let (low, high) = one.split_at(8);
        assert_ne!(low, high, "two hashes");
        assert!(ids[n + 1..].iter().all(|other| other[..8] != *low && other[8..] != *high));
    }
    // Frozen: an id that was booked is found again by any later version.
    assert_eq!(ids[0], correction_id(BTC_USDT, CorrectionKind::Missing, q("1.0"), None, at(1)));
}

#[test]
fn a_snapshot_is_unsettled_only_if_nothing_else_failed() {
    let moved = VenueSnapshot { balances: Answer::Unsettled(Text::new("moving")), ..asked(1) };
    assert!(is_unsettled(&moved));
    assert_eq!(failed_queries(&moved), [("balances", Text::new("moving"))]);
    let failed = VenueSnapshot { flows: Answer::Failed(Text::new("502")), ..asked(1) };
    assert!(!is_unsettled(&failed));
    let both = VenueSnapshot { flows: Answer::Failed(Text::new("502")), ..moved };
    assert!(!is_unsettled(&both));
    assert_eq!(failed_queries(&both).len(), 2);
    assert_eq!(failed_queries(&VenueSnapshot { trades: Answer::NotAsked, ..asked(1) }), []);
}

#[test]
fn lots_are_known_by_their_trades_and_sold_first_bought_first_each_in_its_instrument() {
    let mut world = World::new();
    world.buy(1, "known", "1");
    let elsewhere = Trade { instrument: InstrumentId(1), ..trade("eth", Side::Buy, "1", 1) };
    let bought = [elsewhere, trade("known", Side::Buy, "1", 1), trade("unknown", Side::Buy, "1", 2)];
    let lots = |sold: &str| {
        let all = [&bought[..], &[trade("sell", Side::Sell, sold, 3)]].concat();
        lots_known(&world.0, &trades(9, &all))
    };
    assert_eq!(lots_known(&world.0, &trades(9, &bought)), Some((1, 3)));
    assert_eq!(lots("0.5"), Some((1, 3)), "a part of one is left");
    assert_eq!(lots("1"), Some((0, 2)));
    assert_eq!(lots("1.5"), Some((0, 2)));
    assert_eq!(lots("3"), Some((0, 1)), "of the other instrument nothing was sold");
    let failed = VenueSnapshot { trades: Answer::Failed(Text::new("502")), ..asked(9) };
    assert_eq!(lots_known(&world.0, &failed), None);
}

#[test]
fn a_figure_can_be_judged_if_it_agrees_or_nothing_can_change_it_any_more() {
    let mut world = World::new();
    world.buy(5, "b", "1");
    let judged = |world: &World, venue: &str, second, lag: i64| {
        let settings = Settings { balance_lag_ns: lag * SECOND, ..Settings::default() };
        is_settled(&world.0, BTC, q(venue), at(second), &settings)
    };
    assert!(
        judged(&world, "1", 4, 2) && judged(&world, "0.999", 4, 2),
        "it agrees, whenever it was asked for"
    );
    assert!(!judged(&world, "0.998", 4, 0), "something moved since it was asked for");
    assert!(!judged(&world, "0.5", 6, 2), "it may lack what was just bought");
    assert!(judged(&world, "0.5", 7, 2) && judged(&world, "0.5", 5, 0));
    world.tell(6, DriftSeen { asset: BTC, venue: q("0.5"), expected: q("1"), look: 1 });
    assert!(!judged(&world, "1", 9, 0), "a difference waits for its second look");
    world.tell(7, DriftCleared { asset: BTC });
    assert!(judged(&world, "1", 9, 0));
    world.intend(8, 1, Side::Buy, OrderKind::Market, "1");
    assert!(!judged(&world, "1", 9, 0), "an order is on its way");
}
