//! A fold under test: one instrument, events by hand.

use aegis_model::event::{
    AssetNamed, Fee, FillBooked, FillSource, InstrumentListed, JournalCreated, OrderIntended, Started,
};
use aegis_model::market::Instrument;
use aegis_model::{
    Actor, AssetId, Event, Fact, InstrumentId, Lsn, Mode, OrderId, OrderKind, Purpose, Side, Timestamp,
    TradeId,
};
use aegis_projection::State;
use aegis_projection::state::InstrumentState;
use aegis_tests::{label, money, price, quantity};

/// The instrument of these tests, and one whose base pays fees elsewhere.
pub(super) const BTC: InstrumentId = InstrumentId(0);
pub(super) const CRO: InstrumentId = InstrumentId(1);
/// Assets by number.
pub(super) const USDT: AssetId = AssetId(0);
pub(super) const BTC_COIN: AssetId = AssetId(1);
pub(super) const CRO_COIN: AssetId = AssetId(2);

/// A state with USDT, BTC and CRO and their two instruments.
pub(super) fn fresh() -> State {
    let mut state = State::default();
    let created = JournalCreated { mode: Mode::Paper, installation: 7, quote: label("USDT") };
    apply(&mut state, 0, created);
    apply(&mut state, 0, Started { run: 1, version: label("t"), config_digest: [0; 32], seed: None });
    for (asset, name) in [(USDT, "USDT"), (BTC_COIN, "BTC"), (CRO_COIN, "CRO")] {
        apply(&mut state, 0, AssetNamed { asset, name: label(name) });
    }
    for (instrument, base, name) in [(BTC, BTC_COIN, "BTC_USDT"), (CRO, CRO_COIN, "CRO_USDT")] {
        let spec = Instrument {
            name: label(name),
            base,
            quote: USDT,
            price_tick: price("0.01"),
            quantity_tick: quantity("0.0001"),
            minimum_notional: money("1"),
            tradable: true,
        };
        apply(&mut state, 0, InstrumentListed { instrument, spec });
    }
    state
}

/// Folds a fact at a second of the story.
pub(super) fn apply(state: &mut State, second: i64, fact: impl Into<Fact>) {
    let at = Timestamp(second * aegis_model::ids::SECOND);
    state.apply(&Event { at, actor: Actor::Venue, cause: Lsn::NONE, fact: fact.into() });
    let (left, right) = state.conservation().expect("in range");
    assert_eq!(left, right, "money adds up after every event");
}

/// An execution: side, quantity, price, at a second, with an id.
pub(super) fn fill(id: &str, side: Side, amount: &str, at: &str, second: i64) -> FillBooked {
    FillBooked {
        instrument: BTC,
        trade: TradeId(label(id)),
        order: OrderId(0),
        venue_order: None,
        side,
        price: price(at),
        quantity: quantity(amount),
        fee: Some(Fee { asset: USDT, amount: quantity("0") }),
        executed: Timestamp(second * aegis_model::ids::SECOND),
        source: FillSource::External,
    }
}

/// The same with a fee.
pub(super) fn with_fee(fill: FillBooked, asset: AssetId, amount: &str) -> FillBooked {
    FillBooked { fee: Some(Fee { asset, amount: quantity(amount) }), ..fill }
}

/// An intent.
pub(super) fn intent(order: u64, side: Side, amount: &str) -> OrderIntended {
    OrderIntended {
        order: OrderId(order),
        run: 1,
        instrument: BTC,
        side,
        kind: OrderKind::Market,
        quantity: quantity(amount),
        purpose: match side {
            Side::Buy => Purpose::Entry,
            Side::Sell => Purpose::Exit { reason: aegis_model::ExitReason::Stop, others: 0 },
        },
        valid_until: Timestamp(i64::MAX),
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: price("100"),
    }
}

/// The first instrument.
pub(super) fn btc(state: &State) -> &InstrumentState {
    state.instrument(BTC).expect("listed")
}
