//! Names become numbers only where the journal has them, and "unchanged" is said only when everything agrees.

use super::{Told, Wish, ours, told, wish};
use crate::wire::{Ask, Checked, Found, Heard, NamedRow, NamedTrade, Said, Socket};
use aegis_model::event::{
    AssetNamed, BalanceRecorded, FillBooked, FillSource, InstrumentListed, JournalCreated, OrderAcknowledged,
    OrderIntended, OrderTriggered, Started,
};
use aegis_model::input::{Effect, Input, Lookup, OrderRow, Reported, RowStatus, Trade, VenueBalance};
use aegis_model::market::Instrument;
use aegis_model::protection::ExitReason;
use aegis_model::{
    Actor, AssetId, ClientOrderId, Event, Fact, InstrumentId, Label, Lsn, Mode, OrderId, OrderKind, Purpose,
    Side, Text, Timestamp, TradeId, VenueOrderId,
};
use aegis_projection::State;

const BTC: InstrumentId = InstrumentId(0);
const T: Timestamp = Timestamp(1_760_000_000_000_000_000);

fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a number")
}

fn client(n: u64) -> ClientOrderId {
    ClientOrderId { installation: 7, run: 1, order: OrderId(n) }
}

fn apply(state: &mut State, fact: impl Into<Fact>) {
    state.apply(&Event { at: T, actor: Actor::Engine, cause: Lsn::NONE, fact: fact.into() });
}

fn intended(n: u64, kind: OrderKind) -> OrderIntended {
    OrderIntended {
        order: OrderId(n),
        run: 1,
        instrument: BTC,
        side: Side::Sell,
        kind,
        quantity: number("0.01"),
        purpose: Purpose::Exit { reason: ExitReason::Command, others: 0 },
        valid_until: T,
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: number("60000"),
    }
}

fn bought() -> FillBooked {
    FillBooked {
        instrument: BTC,
        trade: TradeId(label("t1")),
        order: OrderId(0),
        venue_order: None,
        side: Side::Buy,
        price: number("60000"),
        quantity: number("0.5"),
        fee: None,
        executed: T.after(1),
        source: FillSource::External,
    }
}

/// A journal with one instrument, one BTC recorded and half a BTC bought since, a market exit and a resting stop.
fn state() -> State {
    let mut state = State::default();
    apply(&mut state, JournalCreated { mode: Mode::Live, installation: 7, quote: label("USDT") });
    apply(&mut state, Started { run: 1, version: label("0"), config_digest: [0; 32], seed: None });
    apply(&mut state, AssetNamed { asset: AssetId(0), name: label("USDT") });
    apply(&mut state, AssetNamed { asset: AssetId(1), name: label("BTC") });
    let spec = Instrument {
        name: label("BTC_USDT"),
        base: AssetId(1),
        quote: AssetId(0),
        price_tick: number("0.01"),
        quantity_tick: number("0.00001"),
        minimum_notional: number("1"),
        tradable: true,
    };
    apply(&mut state, InstrumentListed { instrument: BTC, spec });
    let balance = BalanceRecorded {
        snapshot: 1,
        asset: AssetId(1),
        total: number("1"),
        reserved: number("0"),
        requested: T,
    };
    apply(&mut state, balance);
    apply(&mut state, bought());
    apply(&mut state, intended(1, OrderKind::Market));
    apply(&mut state, intended(2, OrderKind::StopLoss { trigger: number("59000") }));
    apply(&mut state, OrderAcknowledged { order: OrderId(2), venue_order: VenueOrderId(label("8001")) });
    state
}

fn asked(state: &State, effect: &Effect) -> Ask {
    match wish(state, effect) {
        Wish::Ask(ask) => *ask,
        wish @ (Wish::Notify { .. } | Wish::Nothing) => panic!("not a question: {wish:?}"),
    }
}

fn input(state: &State, heard: Heard) -> Option<Input> {
    match told(state, heard) {
        Told::Input(input) => Some(*input),
        Told::Quote(_) | Told::Nothing => None,
    }
}

#[test]
fn a_trigger_order_is_cancelled_and_looked_up_as_one() {
    let mut state = state();
    let cancel = |n| Effect::Cancel { client: client(n), venue_order: None, instrument: BTC };
    assert!(matches!(asked(&state, &cancel(1)), Ask::Cancel { advanced: false, .. }));
    assert!(matches!(asked(&state, &cancel(2)), Ask::Cancel { advanced: true, .. }));
    let look = Effect::LookUp { order: OrderId(2), client: client(2), intended: T };
    let Ask::LookUp(question) = asked(&state, &look) else { panic!() };
    assert_eq!((question.token, question.advanced, question.released), (2, true, None));
    assert_eq!(question.venue_order, Some(VenueOrderId(label("8001"))));
    // Fired, and listed under its own id.
    apply(&mut state, OrderTriggered { order: OrderId(2), released: VenueOrderId::default() });
    let Ask::LookUp(question) = asked(&state, &look) else { panic!() };
    assert_eq!(question.released, Some(VenueOrderId(label("8001"))));
    assert_eq!(ours(&state).len(), 2);
}

#[test]
fn an_effect_about_something_without_a_name_asks_for_nothing() {
    let effect = Effect::Cancel { client: client(1), venue_order: None, instrument: InstrumentId(9) };
    assert!(matches!(wish(&state(), &effect), Wish::Nothing));
}

fn named_row(instrument: &str) -> NamedRow {
    NamedRow {
        instrument: label(instrument),
        row: OrderRow {
            client: Some(client(1)),
            venue_order: VenueOrderId(label("7001")),
            instrument: InstrumentId(77),
            side: Side::Sell,
            status: RowStatus::Open,
            price: None,
            quantity: number("0.01"),
            cumulative: number("0"),
            value: number("0"),
            updated: T,
            released: None,
        },
    }
}

fn named_trade(id: &str, fee: Option<&str>) -> NamedTrade {
    NamedTrade {
        instrument: label("BTC_USDT"),
        fee: fee.map(|asset| (label(asset), number("0.1"))),
        trade: Trade {
            trade: TradeId(label(id)),
            instrument: InstrumentId(77),
            client: Some(client(1)),
            venue_order: None,
            side: Side::Sell,
            price: number("60000"),
            quantity: number("0.01"),
            fee: None,
            executed: T,
        },
    }
}

#[test]
fn names_become_numbers_or_nothing() {
    let state = state();
    let report = |said| Heard::Report { client: client(1), venue_order: None, said };
    let Some(Input::Report(told)) = input(&state, report(Said::Row(named_row("BTC_USDT")))) else { panic!() };
    assert!(matches!(told.what, Reported::Row(row) if row.instrument == BTC));
    assert_eq!(input(&state, report(Said::Row(named_row("ETH_USDT")))), None, "never guessed");
    for (asset, known) in [(Some("USDT"), true), (Some("CRO"), false), (None, false)] {
        let said = Said::Filled(named_trade("t2", asset));
        let Some(Input::Report(told)) = input(&state, report(said)) else { panic!() };
        assert!(matches!(told.what, Reported::Filled(trade) if trade.fee.is_some() == known), "{asset:?}");
    }
}

#[test]
fn unchanged_needs_the_expected_balance_and_no_unknown_trade() {
    let state = state();
    let balance = |total| VenueBalance { asset: label("BTC"), total: number(total), reserved: number("0") };
    let lookup = |late, checked| {
        let found = Found::Absent { late, checked };
        match input(&state, Heard::LookedUp { token: 1, found, evidence: Text::default() }) {
            Some(Input::LookedUp(OrderId(1), lookup)) => lookup,
            other => panic!("{other:?}"),
        }
    };
    let checked = |total, trades| Some(Checked { balances: vec![balance(total)], trades });
    let known = || vec![named_trade("t1", None)];
    let early = |unchanged| Lookup::AbsentTooEarly { unchanged };
    assert_eq!(lookup(false, checked("1.5", known())), early(true));
    assert_eq!(lookup(false, checked("1.5", Vec::new())), early(true));
    assert_eq!(lookup(false, checked("1.49", known())), early(false), "something was sold");
    assert_eq!(lookup(false, checked("1.5", vec![named_trade("t9", None)])), early(false));
    assert_eq!(lookup(false, Some(Checked { balances: Vec::new(), trades: Vec::new() })), early(false));
    assert_eq!(lookup(false, None), early(false), "nothing was checked");
    assert_eq!(lookup(true, checked("9", Vec::new())), Lookup::Absent);
}

#[test]
fn what_may_have_been_missed_leads_to_a_comparison() {
    let state = state();
    assert_eq!(input(&state, Heard::Connected(Socket::User)), Some(Input::Compare));
    assert_eq!(input(&state, Heard::Missed(Text::new("torn"))), Some(Input::Compare));
    assert_eq!(input(&state, Heard::Connected(Socket::Market)), None);
    let refused = Heard::AccessRefused { code: 40_101, text: Text::new("UNAUTHORIZED") };
    assert!(matches!(input(&state, refused), Some(Input::Command { .. })));
}
