//! The arithmetic of stops: levels, stages, and that no price path lowers a stop.

use super::*;
use aegis_model::market::Instrument;
use aegis_model::{AssetId, Label, Lsn, Money};
use proptest::prelude::*;

fn spec() -> Instrument {
    Instrument {
        name: Label::literal("BTC_USDT"),
        base: AssetId(1),
        quote: AssetId(0),
        price_tick: Price::new(1, 2),
        quantity_tick: Quantity::new(1, 5),
        minimum_notional: Money::ZERO,
        tradable: true,
    }
}

fn bought(price: Price, quantity: Quantity) -> Holding {
    let cost = price.times(quantity, Rounding::HalfEven).expect("in range");
    Holding { held: quantity, gross: quantity, cost, ..Holding::default() }
}

fn protection(rule: StopRule, entry: Price) -> Protection {
    Protection {
        plan: Plan {
            initial: Distance::Relative(Rate::new(2, 2)),
            rule,
            atr: None,
            take_profit: None,
            hold_ns: None,
        },
        stop: below(entry, Distance::Relative(Rate::new(2, 2)), spec().price_tick).expect("in range"),
        take_profit: None,
        time_exit: None,
        mark: entry,
        entry,
        stages_reached: 0,
        quantity: Quantity::new(1, 0),
        lsn: Lsn(1),
    }
}

#[test]
fn levels_round_up_to_the_tick_and_stop_at_zero() {
    let tick = Price::new(1, 2);
    assert_eq!(below(Price::new(100, 0), Distance::Relative(Rate::new(15, 3)), tick), Ok(Price::new(985, 1)));
    assert_eq!(below(Price::new(1, 2), Distance::Relative(Rate::new(5, 1)), tick), Ok(Price::new(1, 2)));
    assert_eq!(below(Price::new(100, 0), Distance::Offset(Price::new(200, 0)), tick), Ok(Price::ZERO));
}

#[test]
fn net_profit_takes_both_fees() {
    let holding = Holding { entry_fees: Money::new(1, 0), ..bought(Price::new(100, 0), Quantity::new(1, 0)) };
    // 110 x 0.99 / 101 - 1
    let profit = net_profit(&holding, Price::new(110, 0), Rate::new(1, 2)).expect("in range");
    assert_eq!(format!("{:.6}", profit.0), "0.078217");
}

extern crate std;
use std::format;

proptest! {
    #[test]
    fn a_stop_never_falls_whatever_the_prices(
        prices in prop::collection::vec(1i64..20_000_000, 1..80),
        trail in 1i64..5_000,
        from_start in any::<bool>(),
        staged in any::<bool>(),
    ) {
        let entry = Price::new(50_000, 0);
        let holding = bought(entry, Quantity::new(1, 3));
        let stages = if staged {
            alloc::vec![Stage { activation: Rate::new(5, 2), distance: Distance::Relative(Rate::new(1, 2)) }]
        } else {
            alloc::vec::Vec::new()
        };
        let rule = StopRule::Trailing { distance: Distance::Relative(Rate::new(trail, 4)), from_start, stages };
        let mut now = protection(rule, entry);
        for cents in prices {
            let price = Price::new(cents, 2);
            let moved = raised(&now, &holding, &spec(), price, Rate::new(5, 3)).expect("in range");
            if let Some(moved) = moved {
                prop_assert!(moved.stop >= now.stop && moved.mark > now.mark && moved.stages_reached >= now.stages_reached);
                prop_assert!(moved.stop.0.is_multiple_of(spec().price_tick.0));
                (now.stop, now.mark, now.stages_reached) = (moved.stop, moved.mark, moved.stages_reached);
            } else {
                prop_assert!(price <= now.mark);
            }
        }
    }
}
