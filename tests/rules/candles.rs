//! Rule 26: the path inside a candle, at the paper exchange.

use aegis_model::input::ListedInstrument;
use aegis_model::{Candle, FeedId, Machine, Money, OrderKind, Price, Quantity, Rate, Side, Timestamp};
use aegis_paper::{Created, Said, Settings, Venue, VenueEffect, VenueInput};
use aegis_tests::{label, price, quantity};

const HOUR: i64 = 3600 * aegis_model::ids::SECOND;

/// An exchange that holds a bitcoin and 100,000 USDT and last traded at 100.
fn exchange(slippage: Rate) -> Venue {
    let settings = Settings::new(Rate::ZERO, Rate::ZERO, slippage).expect("in range");
    let mut venue = Venue::new(settings);
    let listed = ListedInstrument {
        name: label("BTC_USDT"),
        base: label("BTC"),
        quote: label("USDT"),
        price_tick: price("0.01"),
        quantity_tick: quantity("0.0001"),
        minimum_notional: Money::ZERO,
        tradable: true,
    };
    let fund = |asset: &str, amount: &str| VenueInput::Fund {
        id: label(asset),
        asset: label(asset),
        quantity: quantity(amount),
    };
    for input in [
        VenueInput::Open { created: Some(Created { account: label("a") }), version: label("t") },
        VenueInput::List(vec![listed]),
        fund("BTC", "1"),
        fund("USDT", "100000"),
        candle(1, ["100", "100", "100", "100"]),
    ] {
        venue.handle(Timestamp(0), &input);
    }
    venue
}

fn candle(hour: i64, [open, high, low, close]: [&str; 4]) -> VenueInput {
    VenueInput::Candle {
        name: label("BTC_USDT"),
        feed: FeedId(1),
        cursor: hour.unsigned_abs() * 10,
        span_ns: HOUR,
        candle: Candle {
            open_time: Timestamp(hour * HOUR),
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: quantity("1"),
        },
    }
}

fn place(venue: &mut Venue, name: &str, kind: OrderKind) {
    let place = VenueInput::Place {
        client: label(name),
        instrument: label("BTC_USDT"),
        side: Side::Sell,
        kind,
        quantity: quantity("0.5"),
    };
    venue.handle(Timestamp(HOUR), &place);
}

/// Prices and quantities of the executions that an input led to.
fn fills(venue: &mut Venue, input: &VenueInput) -> Vec<(Price, Quantity)> {
    let effects = venue.handle(Timestamp(0), input).effects;
    effects
        .iter()
        .filter_map(|effect| match effect {
            VenueEffect::Order(report) => match &report.what {
                Said::Traded(trade) => Some((trade.price, trade.quantity)),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

#[test]
fn rule_26_a_trigger_fills_at_the_open_when_gapped_and_at_its_own_price_when_traded_through() {
    let stop = OrderKind::StopLoss { trigger: price("95") };
    let profit = OrderKind::TakeProfit { trigger: price("110") };
    let half = quantity("0.5");
    // Gapped: the open is already beyond the trigger.
    let mut venue = exchange(Rate::ZERO);
    place(&mut venue, "stop", stop);
    assert_eq!(fills(&mut venue, &candle(2, ["90", "99", "88", "97"])), vec![(price("90"), half)]);
    // Traded through, with a configured slippage of 1 %.
    let mut venue = exchange(Rate::new(1, 2));
    place(&mut venue, "stop", stop);
    assert_eq!(fills(&mut venue, &candle(2, ["100", "101", "90", "96"])), vec![(price("94.05"), half)]);
    // Open, low, high, close: where both levels lie inside one candle, the stop is met first.
    let mut venue = exchange(Rate::ZERO);
    place(&mut venue, "stop", stop);
    place(&mut venue, "profit", profit);
    let both = fills(&mut venue, &candle(2, ["100", "112", "94", "111"]));
    assert_eq!(both, vec![(price("95"), half), (price("110"), half)]);
    // A take-profit that the open jumps over fills at the open as well.
    let mut venue = exchange(Rate::ZERO);
    place(&mut venue, "profit", profit);
    assert_eq!(fills(&mut venue, &candle(2, ["115", "116", "114", "115"])), vec![(price("115"), half)]);
    // An order made at a candle's close sees only what comes later.
    let mut venue = exchange(Rate::ZERO);
    fills(&mut venue, &candle(2, ["100", "100", "80", "100"]));
    place(&mut venue, "late", stop);
    assert_eq!(fills(&mut venue, &candle(3, ["100", "101", "96", "100"])), vec![]);
}
