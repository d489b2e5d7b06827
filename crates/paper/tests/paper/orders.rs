//! Plain orders: what is accepted, what fills, what is refused and under which code.

use crate::rig::{check, check_with};
use aegis_model::{Fixed, Rate};
use aegis_paper::Settings;

#[test]
fn a_market_order_fills_at_the_touch_and_pays_the_taker_fee_where_the_side_says() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1
         have                        | BTC 0.995, USDT 900
         sell b 0.5 market           | accepted b, traded b 0.5@99 fee 0.2475 USDT taker, b filled 0.5/0.5
         have                        | BTC 0.495, USDT 949.2525
         counters                    | accepted 2 rejected 0 duplicates 0 trades 2",
    );
}

#[test]
fn what_a_market_order_cannot_fill_of_the_shown_size_expires() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 0.4          | -
         buy a 1 market              | accepted a, traded a 0.4@100 fee 0.002 BTC taker, a expired 0.4/1
         buy b 1 market              | accepted b, b expired 0/1
         quote 99 100 1 0.4          | -
         buy c 0.3 market            | accepted c, traded c 0.3@100 fee 0.0015 BTC taker, c filled 0.3/0.3
         buy d 0.3 market            | accepted d, traded d 0.1@100 fee 0.0005 BTC taker, d expired 0.1/0.3
         have                        | BTC 0.796, USDT 920",
    );
}

#[test]
fn a_shown_size_between_two_ticks_fills_whole_ticks_only() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 0.40009      | -
         buy a 1 ioc 100             | accepted a, traded a 0.4@100 fee 0.002 BTC taker, a expired 0.4/1
         quote 99 100 1 0.00009      | -
         buy b 1 ioc 100             | accepted b, b expired 0/1
         quote 99 100 1 -3           | -
         buy c 1 ioc 100             | accepted c, c expired 0/1",
    );
}

#[test]
fn a_resting_limit_fills_as_maker_at_its_own_price_as_size_is_shown() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 2 limit 98            | accepted a, a open 0/2
         have                        | BTC 0, USDT 1000(196)
         quote 97.5 98.01            | -
         quote 97.5 98 5 0.5         | traded a 0.5@98 fee 0.00125 BTC maker, a open 0.5/2
         have                        | BTC 0.49875, USDT 951(147)
         quote 90 91 5 1             | traded a 1@98 fee 0.0025 BTC maker, a open 1.5/2
         quote 90 91                 | traded a 0.5@98 fee 0.00125 BTC maker, a filled 2/2
         have                        | BTC 1.995, USDT 804",
    );
}

#[test]
fn a_resting_sell_fills_when_the_bid_reaches_it() {
    check(
        "fund BTC 1                  | booked f1
         quote 99 100                | -
         sell a 1 limit 101          | accepted a, a open 0/1
         have                        | BTC 1(1), USDT 0
         quote 100.99 102            | -
         quote 103 104               | traded a 1@101 fee 0.2525 USDT maker, a filled 1/1
         have                        | BTC 0, USDT 100.7475",
    );
}

#[test]
fn a_limit_that_crosses_takes_what_is_shown_and_rests_with_the_remainder() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 0.4          | -
         buy a 1 limit 101           | accepted a, traded a 0.4@100 fee 0.002 BTC taker, a open 0.4/1
         have                        | BTC 0.398, USDT 960(60.6)
         quote 99 101.01             | -
         quote 99 101                | traded a 0.6@101 fee 0.0015 BTC maker, a filled 1/1
         have                        | BTC 0.9965, USDT 899.4",
    );
}

#[test]
fn a_feed_without_quotes_stands_for_both_sides_at_its_last_price() {
    check(
        "fund USDT 1000              | booked f1
         last 100                    | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1
         sell b 0.5 market           | accepted b, traded b 0.5@100 fee 0.25 USDT taker, b filled 0.5/0.5
         buy c 1 limit 98            | accepted c, c open 0/1
         last 98.01                  | -
         through 97                  | traded c 1@98 fee 0.0025 BTC maker, c filled 1/1",
    );
}

#[test]
fn a_one_sided_quote_offers_nothing_on_the_other_side() {
    check(
        "fund USDT 1000              | booked f1
         fund BTC 1                  | booked f2
         bid 100                     | -
         buy a 1 market              | rejected a 207 later nothing
         buy b 1 limit 1000          | accepted b, b open 0/1
         sell c 1 market             | accepted c, traded c 1@100 fee 0.5 USDT taker, c filled 1/1",
    );
}

#[test]
fn immediate_or_cancel_fill_or_kill_and_post_only_keep_their_word() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 1            | -
         buy a 2 fok 100             | rejected a 43003 price out, a rejected 0/2
         buy b 1 fok 99.99           | rejected b 43003 price out, b rejected 0/1
         buy c 0.6 fok 100           | accepted c, traded c 0.6@100 fee 0.003 BTC taker, c filled 0.6/0.6
         buy d 0.6 fok 100           | rejected d 43003 price out, d rejected 0/0.6
         buy e 0.6 ioc 100           | accepted e, traded e 0.4@100 fee 0.002 BTC taker, e expired 0.4/0.6
         buy f 0.6 ioc 99            | accepted f, f expired 0/0.6
         buy g 0.6 post 100          | rejected g 43005 price out, g rejected 0/0.6
         buy h 0.6 post 99.99        | accepted h, h open 0/0.6
         quote 98 99                 | traded h 0.6@99.99 fee 0.0015 BTC maker, h filled 0.6/0.6",
    );
}

#[test]
fn a_reused_client_id_is_refused_for_ever_and_makes_no_second_order() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1
         buy a 1 market              | rejected a 204 duplicate nothing
         buy b 100 market            | rejected b 306 insufficient balance, b rejected 0/100
         buy b 1 market              | rejected b 204 duplicate nothing
         restart                     | -
         sell a 1 market             | rejected a 204 duplicate nothing
         lookup a                    | present a filled 1/1 trades 1
         counters                    | accepted 1 rejected 1 duplicates 3 trades 1",
    );
}

#[test]
fn a_request_that_made_no_order_leaves_its_client_id_unused() {
    check(
        "fund USDT 1000              | booked f1
         buy a 1 market              | rejected a 207 later nothing
         lookup a                    | absent a
         quote 99 100                | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1",
    );
}

#[test]
fn what_a_request_must_fulfil_is_refused_under_the_venues_codes() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 of XRP_USDT market  | rejected a 209 permanent nothing
         buy a 0 market              | rejected a 213 permanent nothing
         buy a -1 market             | rejected a 213 permanent nothing
         buy a 0.00005 market        | rejected a 213 permanent nothing
         buy a 1 limit 0             | rejected a 308 permanent nothing
         buy a 1 limit -5            | rejected a 308 permanent nothing
         buy a 1 limit 99.001        | rejected a 308 permanent nothing
         sell a 1 stop 90.001        | rejected a 308 permanent nothing
         buy a 1 stop 90             | rejected a 50010 permanent nothing
         buy \"\" 1 market           | rejected  40004 permanent nothing
         buy a 170000000000000000000 limit 2 | rejected a 213 permanent nothing
         buy a 0.0099 limit 100      | rejected a 415 too small, a rejected 0/0.0099
         buy b 0.01 limit 100        | accepted b, traded b 0.01@100 fee 0.00005 BTC taker, b filled 0.01/0.01
         sell c 1 market             | rejected c 306 insufficient balance, c rejected 0/1
         tradable no                 | -
         buy d 1 market              | rejected d 208 later nothing
         tradable yes                | -
         buy d 1 market              | accepted d, traded d 1@100 fee 0.005 BTC taker, d filled 1/1",
    );
}

#[test]
fn open_orders_reserve_and_what_is_reserved_cannot_be_spent_twice() {
    check(
        "fund USDT 100               | booked f1
         quote 99 100                | -
         buy a 0.5 limit 80          | accepted a, a open 0/0.5
         buy b 0.61 limit 100        | rejected b 306 insufficient balance, b rejected 0/0.61
         buy c 0.6 limit 90          | accepted c, c open 0/0.6
         have                        | BTC 0, USDT 100(94)
         cancel a                    | a cancelled 0/0.5
         have                        | BTC 0, USDT 100(54)
         cancel a                    | not cancelled a 212
         cancel z                    | not cancelled z 212
         quote 89 90                 | traded c 0.6@90 fee 0.0015 BTC maker, c filled 0.6/0.6
         cancel c                    | not cancelled c 212
         have                        | BTC 0.5985, USDT 46",
    );
}

#[test]
fn better_limits_come_first_then_older_orders_and_the_shown_size_is_shared() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 limit 97            | accepted a, a open 0/1
         buy b 1 limit 98            | accepted b, b open 0/1
         buy c 1 limit 98            | accepted c, c open 0/1
         quote 96 97 9 1.5           | traded b 1@98 fee 0.0025 BTC maker, b filled 1/1, traded c 0.5@98 fee 0.00125 BTC maker, c open 0.5/1
         buy d 1 ioc 97              | accepted d, d expired 0/1",
    );
}

#[test]
fn an_order_by_hand_has_no_client_id_and_can_be_cancelled_by_hand() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         hand buy 1 market           | accepted #1, traded #1 1@100 fee 0.005 BTC taker, #1 filled 1/1
         hand buy 1 limit 90         | accepted #2, #2 open 0/1
         buy a 1 limit 90            | accepted a, a open 0/1
         hand cancel 2               | #2 cancelled 0/1
         hand cancel 3               | a cancelled 0/1
         hand cancel 03              | not cancelled #03 212
         list 0                      | open 0 ended 3 trades 1 flows 1",
    );
}

#[test]
fn an_open_order_outlives_a_change_of_ticks_and_new_ones_follow_it() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 0.1234 limit 98.01    | accepted a, a open 0/0.1234
         ticks 0.1 0.01              | -
         buy b 0.1234 limit 98       | rejected b 213 permanent nothing
         buy b 0.12 limit 98.01      | rejected b 308 permanent nothing
         buy b 0.12 limit 98         | accepted b, b open 0/0.12
         quote 97 98 1 0.1           | traded a 0.1@98.01 fee 0.00025 BTC maker, a open 0.1/0.1234
         quote 97 98                 | traded a 0.0234@98.01 fee 0.0000585 BTC maker, a filled 0.1234/0.1234, traded b 0.12@98 fee 0.0003 BTC maker, b filled 0.12/0.12",
    );
}

#[test]
fn nothing_fills_or_fires_while_the_instrument_is_not_traded() {
    check(
        "fund USDT 1000              | booked f1
         fund BTC 1                  | booked f2
         quote 99 100                | -
         buy a 1 limit 98            | accepted a, a open 0/1
         sell s 1 stop 95            | accepted s, s open 0/1
         tradable no                 | -
         quote 90 91                 | -
         cancel a                    | a cancelled 0/1
         tradable yes                | -
         quote-through 89 90         | traded s 1@89 fee 0.445 USDT taker, s filled 1/1",
    );
}

#[test]
fn fees_are_rounded_up_at_the_last_digit() {
    let least = Rate(Fixed::STEP);
    let settings = Settings::new(least, least, Rate::ZERO).expect("in range");
    check_with(
        settings,
        "fund USDT 1000              | booked f1
         quote 1.5 2                 | -
         buy a 1.5 market            | accepted a, traded a 1.5@2 fee 0.000000000000000002 BTC taker, a filled 1.5/1.5
         sell b 1 market             | accepted b, traded b 1@1.5 fee 0.000000000000000002 USDT taker, b filled 1/1
         have                        | BTC 0.499999999999999998, USDT 998.499999999999999998",
    );
}

#[test]
fn the_parts_of_an_order_never_cost_more_than_the_whole_reserved() {
    let settings = Settings::new(Rate::ZERO, Rate::ZERO, Rate::ZERO).expect("in range");
    // 1.0000000001 * 1.0000000001 has twenty digits after the point: the last two are rounded, up when reserved
    // and down when paid.
    check_with(
        settings,
        "ticks 0.0000000001 0.0000000001 | -
         fund USDT 3.000000000600000001 | booked f1
         quote 1.1 1.2               | -
         buy a 3.0000000003 limit 1.0000000001 | accepted a, a open 0/3.0000000003
         have                        | BTC 0, USDT 3.000000000600000001(3.000000000600000001)
         quote 0.9 1 9 1.0000000001  | traded a 1.0000000001@1.0000000001 fee 0 BTC maker, a open 1.0000000001/3.0000000003
         have                        | BTC 1.0000000001, USDT 2.000000000400000001(2.000000000400000001)
         quote 0.9 1 9 1.0000000001  | traded a 1.0000000001@1.0000000001 fee 0 BTC maker, a open 2.0000000002/3.0000000003
         have                        | BTC 2.0000000002, USDT 1.000000000200000001(1.000000000200000001)
         quote 0.9 1                 | traded a 1.0000000001@1.0000000001 fee 0 BTC maker, a filled 3.0000000003/3.0000000003
         have                        | BTC 3.0000000003, USDT 0.000000000000000001",
    );
}
