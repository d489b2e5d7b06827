//! Trigger orders: when they fire and at which price.

use crate::rig::{check, check_with};
use aegis_model::Rate;
use aegis_paper::Settings;

#[test]
fn a_stop_fires_at_or_below_its_trigger_and_a_take_profit_at_or_above() {
    check(
        "fund BTC 2                  | booked f1
         quote 100 101               | -
         sell s 1 stop 95            | accepted s, s open 0/1
         sell t 1 take 110           | accepted t, t open 0/1
         have                        | BTC 2(2), USDT 0
         quote 95.01 96              | -
         quote 95 96                 | traded s 1@95 fee 0.475 USDT taker, s filled 1/1
         quote 109.99 120            | -
         quote 110 111               | traded t 1@110 fee 0.55 USDT taker, t filled 1/1
         have                        | BTC 0, USDT 203.975",
    );
}

#[test]
fn a_stop_gapped_through_fills_at_the_tick_and_never_at_the_stop_price() {
    check(
        "fund BTC 1                  | booked f1
         last 100                    | -
         sell s 1 stop 95            | accepted s, s open 0/1
         last 90                     | traded s 1@90 fee 0.45 USDT taker, s filled 1/1",
    );
}

#[test]
fn a_candle_that_opens_beyond_the_stop_fills_at_its_open() {
    check(
        "fund BTC 1                  | booked f1
         last 100                    | -
         sell s 1 stop 95            | accepted s, s open 0/1
         candle 92 99 85 98          | traded s 1@92 fee 0.46 USDT taker, s filled 1/1",
    );
}

#[test]
fn a_stop_inside_a_candle_fills_at_its_own_price_and_low_comes_before_high() {
    check(
        "fund BTC 2                  | booked f1
         last 100                    | -
         sell t 1 take 105           | accepted t, t open 0/1
         sell s 1 stop 95            | accepted s, s open 0/1
         candle 99 106 94 100        | traded s 1@95 fee 0.475 USDT taker, s filled 1/1, traded t 1@105 fee 0.525 USDT taker, t filled 1/1",
    );
}

#[test]
fn slippage_is_taken_from_the_trigger_only_when_the_price_traded_through_it() {
    let settings = Settings::new(Rate::ZERO, Rate::ZERO, Rate::new(1, 3)).expect("in range");
    check_with(
        settings,
        "fund BTC 4                  | booked f1
         last 100                    | -
         sell s 1 stop 95.55         | accepted s, s open 0/1
         through 95                  | traded s 1@95.45 fee 0 USDT taker, s filled 1/1
         last 100                    | -
         sell t 1 take 110           | accepted t, t open 0/1
         through 111                 | traded t 1@109.89 fee 0 USDT taker, t filled 1/1
         last 100                    | -
         sell u 1 stop 95            | accepted u, u open 0/1
         last 94                     | traded u 1@94 fee 0 USDT taker, u filled 1/1
         last 100                    | -
         sell v 1 stop 95            | accepted v, v open 0/1
         last 95                     | traded v 1@95 fee 0 USDT taker, v filled 1/1",
    );
}

#[test]
fn a_trigger_that_the_market_is_beyond_already_is_refused_and_makes_nothing() {
    check(
        "fund BTC 1                  | booked f1
         quote 95 96                 | -
         sell s 1 stop 95            | rejected s 50007 price out nothing
         sell s 1 take 95            | rejected s 50007 price out nothing
         sell s 1 stop 94.99         | accepted s, s open 0/1",
    );
}

#[test]
fn a_trigger_placed_without_any_price_rests_and_treats_the_first_price_as_a_gap() {
    check(
        "fund BTC 1                  | booked f1
         sell s 1 stop 95            | accepted s, s open 0/1
         through 90                  | traded s 1@90 fee 0.45 USDT taker, s filled 1/1",
    );
}

#[test]
fn a_fired_stop_takes_what_is_shown_and_the_rest_comes_back() {
    check(
        "fund BTC 2                  | booked f1
         quote 100 101               | -
         sell s 1 stop 95            | accepted s, s open 0/1
         sell u 1 stop 95            | accepted u, u open 0/1
         quote 94 95 0.6 9           | traded s 0.6@94 fee 0.282 USDT taker, s expired 0.6/1, u expired 0/1
         have                        | BTC 1.4, USDT 56.118
         quote 93 94                 | -",
    );
}

#[test]
fn a_stop_cannot_be_covered_by_coins_that_another_order_holds() {
    check(
        "fund BTC 1                  | booked f1
         quote 100 101               | -
         sell s 1 stop 95            | accepted s, s open 0/1
         sell u 0.1 stop 95          | rejected u 306 insufficient balance, u rejected 0/0.1
         cancel s                    | s cancelled 0/1
         sell v 1 stop 96            | accepted v, v open 0/1",
    );
}

#[test]
fn an_order_placed_inside_a_candle_sees_only_the_rest_of_the_path() {
    check(
        "fund USDT 1000              | booked f1
         last 100                    | -
         through 90                  | -
         through 104                 | -
         buy a 1 limit 95            | accepted a, a open 0/1
         through 101                 | -
         cancel a                    | a cancelled 0/1",
    );
}
