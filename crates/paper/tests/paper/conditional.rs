//! Conditional orders and their lists, amendments, and fees in another asset, as tables.

use crate::rig::{check, check_with};
use aegis_paper::Settings;

#[test]
fn a_conditional_order_watches_the_mark_price_and_is_checked_when_it_fires() {
    check(
        "fund BTC 1                    | booked f1
         quote 100 102                 | -
         when sell s 1 stop 95         | trigger 1
         have                          | BTC 1, USDT 0
         quote 94 102                  | -
         state 1                       | open waits 0
         mark 95                       | accepted #1, traded #1 1@94 fee 0.47 USDT taker, #1 filled 1/1, trigger 1
         state 1                       | filled order 1 0
         when sell t 1 stop 90         | trigger 2
         mark 90                       | rejected #2 306 insufficient balance, #2 rejected 0/1, trigger 2
         state 2                       | rejected order 2 306
         number 2                      | rejected 0/1 306
         restart                       | -",
    );
}

#[test]
fn the_wrong_side_of_the_market_and_a_used_id_are_refused() {
    check(
        "fund BTC 1                    | booked f1
         when sell s 1 stop 95         | refused 0 207 later
         quote 100 102                 | -
         when sell s 1 stop 101        | refused 0 50007 price out
         when sell s 1 take 101        | refused 0 50007 price out
         when buy s 1 stop 101         | refused 0 50007 price out
         when sell s 1 stop 95.001     | refused 0 229 permanent
         when sell s 0.00001 stop 95   | refused 0 213 permanent
         when sell s 0.001 stop 95     | refused 0 415 too small
         when sell s 1 stop 95 and sell s 1 stop 94 | trigger 1, refused 1 204 duplicate
         disarm 1                      | trigger 1
         disarm 1                      | refused 0 212 permanent
         state 1                       | cancelled 0",
    );
}

#[test]
fn of_an_oco_the_first_execution_cancels_the_other() {
    check(
        "fund BTC 1                    | booked f1
         quote 100 102                 | -
         oco sell a 1 limit 110 and sell b 1 stop 95 | list 1, accepted #1, #1 open 0/1, trigger 1, trigger 2
         have                          | BTC 1(1), USDT 0
         mark 95                       | #1 cancelled 0/1, trigger 1, accepted #2, traded #2 1@100 fee 0.5 USDT taker, #2 filled 1/1, trigger 2
         state 1                       | cancelled order 1 0
         fund BTC 1                    | booked f2
         mark none                     | -
         oco sell c 1 limit 110 and sell d 1 stop 95 | list 2, accepted #3, #3 open 0/1, trigger 3, trigger 4
         quote 110 112                 | traded #3 1@110 fee 0.275 USDT maker, #3 filled 1/1, trigger 3, trigger 4
         state 4                       | cancelled 0",
    );
}

#[test]
fn an_oto_arms_its_second_leg_only_after_a_complete_fill() {
    check(
        "fund USDT 1000                | booked f1
         quote 100 102                 | -
         otoco buy a 1 limit 101 and sell b 0.9 stop 95 and sell c 0.9 take 120 | list 1, accepted #1, #1 open 0/1, trigger 1, trigger 2, trigger 3
         quote 100 101 9 0.4           | traded #1 0.4@101 fee 0.001 BTC maker, #1 open 0.4/1, trigger 1
         mark 90                       | -
         mark none                     | -
         quote 100 101 9 9             | traded #1 0.6@101 fee 0.0015 BTC maker, #1 filled 1/1, trigger 1, trigger 2, trigger 3
         mark 121                      | accepted #2, traded #2 0.9@100 fee 0.45 USDT taker, #2 filled 0.9/0.9, trigger 3, trigger 2
         state 2                       | cancelled 0
         oto buy d 1 limit 90 and sell e 0.9 stop 85 | list 2, accepted #3, #3 open 0/1, trigger 4, trigger 5
         drop 3                        | #3 cancelled 0/1, trigger 4, trigger 5
         state 5                       | cancelled 0",
    );
}

#[test]
fn an_order_that_a_trigger_became_may_repeat_its_id() {
    check_with(
        Settings::default().repeating_clients(true),
        "fund BTC 2                    | booked f1
         quote 100 102                 | -
         when sell s 1 stop 95         | trigger 1
         mark 95                       | accepted s, traded s 1@100 fee 0.5 USDT taker, s filled 1/1, trigger 1
         mark none                     | -
         sell t 1 limit 200            | accepted t, t open 0/1
         when sell t 1 stop 95         | trigger 2
         drop 2                        | t cancelled 0/1
         mark 95                       | accepted #3, traded #3 1@100 fee 0.5 USDT taker, #3 filled 1/1, trigger 2",
    );
}

#[test]
fn an_amended_order_keeps_its_number_and_its_fills() {
    check(
        "fund USDT 1000                | booked f1
         quote 100 102 9 0.5           | -
         buy a 1 limit 102             | accepted a, traded a 0.5@102 fee 0.0025 BTC taker, a open 0.5/1
         have                          | BTC 0.4975, USDT 949(51)
         amend 1 1 102                 | amended 1 40004
         amend 1 0.5 99                | amended 1 213
         amend 1 99 99                 | amended 1 306
         amend 1 2 90 a                | amended 1 204
         amend 1 2 90 a2               | amended 1 0, a2 open 0.5/2
         have                          | BTC 0.4975, USDT 949(135)
         lookup a                      | present a open 0.5/2 trades 1
         quote 100 101                 | -
         amend 1 2 105                 | amended 1 0, traded a2 1.5@101 fee 0.0075 BTC taker, a2 filled 2/2
         amend 1 2 104                 | amended 1 212
         restart                       | -",
    );
}

#[test]
fn a_buy_may_pay_its_fee_in_quote_and_falls_back_when_there_is_too_little() {
    check(
        "fund USDT 203                 | booked f1
         quote 100 100                 | -
         ask buy a 1 USDT limit 100    | accepted a, traded a 1@100 fee 0.5 USDT taker, a filled 1/1
         have                          | BTC 1, USDT 102.5
         ask buy b 1.0245 USDT limit 100 | accepted b, traded b 1.0245@100 fee 0.0051225 BTC taker, b filled 1.0245/1.0245
         ask buy c 1 315 limit 100     | rejected c 315 price out, c rejected 0/1
         restart                       | -",
    );
}
