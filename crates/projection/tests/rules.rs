//! The fold's share of the trading rules, by number, with figures worked out by hand.
//!
//! Time is in seconds after the beginning; BTC_USD is instrument 0, BNB_USD 1, ETH_USD 2.

#[path = "rules/corrections.rs"]
mod corrections;
#[path = "rules/edges.rs"]
mod edges;
#[path = "rules/money.rs"]
mod money;
#[path = "rules/orders.rs"]
mod orders;

use aegis_model::event::*;
use aegis_model::ids::{DAY, SECOND};
use aegis_model::order::{
    OrderEnd, OrderKind, OrderStatus, Purpose, RejectClass, Side, TimeInForce, UnknownCause,
};
use aegis_model::{
    AssetId, ExitReason, Fact, InstrumentId, Label, Lsn, Money, OrderId, Price, Quantity, Rate, Text,
    Timestamp, TradeId, VenueOrderId,
};
use aegis_projection::State;
use aegis_projection::book::Holding;
use aegis_projection::state::InstrumentState;
use aegis_projection::testing::{BEGIN, Story, event};

const USD: AssetId = AssetId(0);
const BTC: AssetId = AssetId(1);
const BNB: AssetId = AssetId(2);
const BTC_USD: InstrumentId = InstrumentId(0);
const BNB_USD: InstrumentId = InstrumentId(1);

fn q(text: &str) -> Quantity {
    text.parse().expect("a number")
}

fn m(text: &str) -> Money {
    text.parse().expect("a number")
}

fn p(text: &str) -> Price {
    text.parse().expect("a number")
}

fn at(second: i64) -> Timestamp {
    BEGIN.after(second * SECOND)
}

/// A journal with its three instruments; every event is checked for conservation.
struct World(State);

impl World {
    fn new() -> World {
        World(Story::begin().state)
    }

    fn tell(&mut self, second: i64, fact: impl Into<Fact>) -> &mut World {
        self.0.apply(&event(at(second), fact));
        let (left, right) = self.0.conservation().expect("small numbers");
        assert_eq!(left, right, "conservation");
        self
    }

    fn tell_all(&mut self, fills: &[FillBooked]) -> &mut World {
        for fill in fills {
            self.tell(100, fill.clone());
        }
        self
    }

    fn btc(&self) -> &InstrumentState {
        &self.0.instruments[0]
    }

    fn now(&self) -> &Holding {
        &self.btc().book.now
    }

    fn anomalies(&self, kind: AnomalyKind) -> u64 {
        self.0.totals.anomalies.get(&kind).copied().unwrap_or(0)
    }
}

/// A fill of nobody's order, without a fee.
fn fill(trade: &str, side: Side, quantity: &str, price: &str, second: i64) -> FillBooked {
    FillBooked {
        instrument: BTC_USD,
        trade: TradeId(Label::literal(trade)),
        order: OrderId(0),
        venue_order: None,
        side,
        price: p(price),
        quantity: q(quantity),
        fee: Some(Fee { asset: USD, amount: Quantity::ZERO }),
        executed: at(second),
        source: FillSource::Report,
    }
}

fn buy(trade: &str, quantity: &str, price: &str, second: i64) -> FillBooked {
    fill(trade, Side::Buy, quantity, price, second)
}

fn sell(trade: &str, quantity: &str, price: &str, second: i64) -> FillBooked {
    fill(trade, Side::Sell, quantity, price, second)
}

trait With: Sized {
    fn fee(self, asset: AssetId, amount: &str) -> Self;
    fn of(self, order: u64) -> Self;
}

impl With for FillBooked {
    fn fee(self, asset: AssetId, amount: &str) -> FillBooked {
        FillBooked { fee: Some(Fee { asset, amount: q(amount) }), ..self }
    }
    fn of(self, order: u64) -> FillBooked {
        FillBooked { order: OrderId(order), ..self }
    }
}

fn intent(order: u64, side: Side, quantity: &str, purpose: Purpose) -> OrderIntended {
    OrderIntended {
        order: OrderId(order),
        run: 7,
        instrument: BTC_USD,
        side,
        kind: OrderKind::Market,
        quantity: q(quantity),
        purpose,
        valid_until: Timestamp(i64::MAX),
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: p("100"),
    }
}

fn entry(order: u64, quantity: &str) -> OrderIntended {
    intent(order, Side::Buy, quantity, Purpose::Entry)
}

fn exit(order: u64, quantity: &str, reason: ExitReason) -> OrderIntended {
    intent(order, Side::Sell, quantity, Purpose::Exit { reason, others: 0 })
}

fn ended(order: u64, end: OrderEnd) -> OrderEnded {
    OrderEnded { order: OrderId(order), end, cumulative: None }
}

fn balance(asset: AssetId, total: &str, reserved: &str, second: i64) -> BalanceRecorded {
    BalanceRecorded { snapshot: 1, asset, total: q(total), reserved: q(reserved), requested: at(second) }
}

fn correction(
    id: u8,
    kind: CorrectionKind,
    quantity: &str,
    average: Option<&str>,
    second: i64,
) -> CorrectionBooked {
    CorrectionBooked {
        id: [id; 16],
        instrument: BTC_USD,
        kind,
        quantity: q(quantity),
        average: average.map(p),
        lot: None,
        time: at(second),
        evidence: Text::new("what the venue showed"),
    }
}
