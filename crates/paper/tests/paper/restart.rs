//! A killed process finds the exchange as it was: by its journal and its place in the market data alone.

use crate::rig::{FEED, PAIR, Rig, check, label};
use aegis_model::{Label, Machine, Timestamp};
use aegis_paper::{Settings, Venue, VenueEffect, VenueEvent, VenueFact, VenueInput};

#[test]
fn open_orders_balances_and_stops_are_there_after_a_kill() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 0.4          | -
         buy a 1 limit 100           | accepted a, traded a 0.4@100 fee 0.002 BTC taker, a open 0.4/1
         sell s 0.398 stop 95        | accepted s, s open 0/0.398
         restart                     | -
         have                        | BTC 0.398(0.398), USDT 960(60)
         quote 99.5 100.5            | -
         restart                     | -
         quote 94 95                 | traded a 0.6@100 fee 0.0015 BTC maker, a filled 1/1, traded s 0.398@94 fee 0.18706 USDT taker, s filled 0.398/0.398",
    );
}

#[test]
fn the_size_taken_at_a_tick_is_still_taken_after_a_restart() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100 1 0.5          | -
         buy a 0.3 market            | accepted a, traded a 0.3@100 fee 0.0015 BTC taker, a filled 0.3/0.3
         restart                     | -
         buy b 0.3 market            | accepted b, traded b 0.2@100 fee 0.001 BTC taker, b expired 0.2/0.3
         restart                     | -
         buy c 0.3 market            | accepted c, c expired 0/0.3",
    );
}

#[test]
fn ticks_at_or_below_the_place_in_the_feed_decide_nothing() {
    check(
        "fund USDT 1000              | booked f1
         quote 89 90                 | -
         quote 99 100                | -
         buy a 1 limit 95            | accepted a, a open 0/1
         again 2                     | -
         again 1                     | -
         restart                     | -
         again 2                     | -
         quote 94 95                 | traded a 1@95 fee 0.0025 BTC maker, a filled 1/1",
    );
}

#[test]
fn an_order_never_meets_a_tick_from_before_it_when_the_feed_is_read_again() {
    // The tick at 90 led to nothing when it came; the order came after the tick at 100.
    check(
        "fund BTC 1                  | booked f1
         quote 90 91                 | -
         quote 100 101               | -
         sell s 1 stop 95            | accepted s, s open 0/1
         restart                     | -
         list 0                      | open 1 ended 0 trades 0 flows 1",
    );
}

#[test]
fn without_the_market_a_restarted_exchange_does_not_trade_at_old_prices() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1
         forget                      | -
         buy b 1 market              | rejected b 207 later nothing
         warm 79 80                  | -
         buy b 1 market              | accepted b, traded b 1@80 fee 0.005 BTC taker, b filled 1/1",
    );
}

#[test]
fn warming_up_decides_nothing_and_moves_no_cursor() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 limit 95            | accepted a, a open 0/1
         warm 94 95                  | -
         list 0                      | open 1 ended 0 trades 0 flows 1",
    );
    let mut rig = Rig::new(Settings::default());
    for line in ["fund USDT 1000", "quote 99 100", "buy a 1 limit 95", "warm 94 95"] {
        rig.line(line);
    }
    let Some(VenueInput::Warmup { name, tick }) = rig.ticks.last().cloned() else { panic!("a warmup") };
    let decision = rig.give(&VenueInput::Tick { name, tick });
    assert!(decision.events.iter().any(|event| matches!(event.fact, VenueFact::OrderTraded(_))));
}

#[test]
fn the_place_in_a_feed_is_the_tick_of_its_last_decisive_record() {
    let mut rig = Rig::new(Settings::default());
    assert_eq!(rig.venue.feed_position(FEED), None);
    let cursor = |rig: &Rig| rig.venue.feed_position(FEED).map(|tick| tick.cursor);
    let rows = [
        ("fund USDT 1000", None),
        ("quote 99 100", None),
        ("buy a 1 limit 95", Some(1)),
        ("quote 98 99", Some(1)),
        ("quote 94 95", Some(3)),
        ("quote 93 94", Some(3)),
        ("sell b 0.1 market", Some(4)),
    ];
    for (line, wanted) in rows {
        rig.line(line);
        assert_eq!(cursor(&rig), wanted, "after {line}");
        rig.restart();
        assert_eq!(cursor(&rig), wanted, "after {line} and a restart");
    }
    let place = rig.venue.feed_position(FEED).expect("a place");
    assert_eq!(rig.venue.state().instrument_name(place.instrument), Some(PAIR));
}

#[test]
fn saving_and_loading_gives_the_same_exchange_and_refuses_anything_else() {
    let mut rig = Rig::new(Settings::default());
    for line in ["fund USDT 1000", "quote 99 100", "buy a 1 limit 95", "buy b 1 market", "quote 94 95 1 0.5"]
    {
        rig.line(line);
    }
    let saved = rig.venue.save();
    let mut other = Venue::new(Settings::default());
    other.load(&saved).expect("its own state");
    assert_eq!((other.digest(), other.lsn()), (rig.venue.digest(), rig.venue.lsn()));
    assert_eq!(other.save(), saved);
    let untouched = other.digest();
    let mut longer = saved.clone();
    longer.push(0);
    let mut newer = saved.clone();
    newer[0] ^= 0xff;
    for bad in [&longer[..], &newer[..], &saved[..saved.len() - 1], &[], &[1]] {
        assert!(other.load(bad).is_err());
        assert_eq!(other.digest(), untouched, "a failed load changes nothing");
    }
}

/// The scenario of a reply that was never read: the exchange filled, the process died, the order is there.
#[test]
fn an_order_whose_answer_was_lost_is_found_by_its_client_id_once() {
    let mut rig = Rig::new(Settings::default());
    rig.line("fund USDT 1000");
    rig.line("quote 49 50");
    let durable: Vec<VenueEvent> = {
        rig.line("buy c1 0.1 market");
        rig.events.clone()
    };
    let mut venue = Venue::new(Settings::default());
    durable.iter().for_each(|event| venue.apply(event));
    let client: Label = label("c1");
    let answer = venue.handle(Timestamp(5_000), &VenueInput::LookUp { client, token: 1 });
    assert!(answer.events.is_empty(), "a question changes nothing");
    let [VenueEffect::LookedUp { found: Some(found), .. }] = &answer.effects[..] else { panic!("present") };
    assert_eq!((found.trades.len(), found.row.cumulative.to_string()), (1, "0.1".to_string()));
}

#[test]
fn what_was_passed_over_while_trading_stood_still_is_not_met_when_it_goes_on() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 limit 98            | accepted a, a open 0/1
         tradable no                 | -
         quote 90 91                 | -
         tradable yes                | -
         again 1                     | -
         restart                     | -
         again 1                     | -
         list 0                      | open 1 ended 0 trades 0 flows 1",
    );
}
