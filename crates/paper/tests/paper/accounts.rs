//! Funds, listings, lookups: what the account has and what it can ask.

use crate::rig::{Rig, check, label, listed};
use aegis_model::input::{ListedInstrument, Scope};
use aegis_model::{Machine, Money, Price, Quantity, Rate, Timestamp};
use aegis_paper::{Settings, SettingsError, Venue, VenueEffect, VenueFact, VenueInput};

#[test]
fn a_flow_is_booked_once_whatever_is_repeated() {
    check(
        "fund USDT 100 x             | booked x
         fund USDT 100 x             | already x
         fund USDT 50 x              | refused x 40004
         fund BTC 100 x              | refused x 40004
         withdraw USDT 30 y          | booked y
         restart                     | -
         withdraw USDT 30 y          | already y
         withdraw USDT 71 z          | refused z 306
         withdraw DOGE 1 z           | refused z 306
         fund USDT 0 w               | refused w 40004
         have                        | BTC 0, USDT 70",
    );
}

#[test]
fn reserved_funds_cannot_be_withdrawn() {
    check(
        "fund USDT 100               | booked f1
         quote 99 100                | -
         buy a 0.5 limit 90          | accepted a, a open 0/0.5
         withdraw USDT 55.01         | refused f2 306
         withdraw USDT 55            | booked f3
         have                        | BTC 0, USDT 45(45)",
    );
}

#[test]
fn a_listing_shows_balances_open_and_ended_orders_trades_and_flows() {
    check(
        "fund USDT 1000              | booked f1
         quote 99 100                | -
         buy a 1 market              | accepted a, traded a 1@100 fee 0.005 BTC taker, a filled 1/1
         buy b 1 limit 90            | accepted b, b open 0/1
         buy c 100 limit 90          | rejected c 306 insufficient balance, c rejected 0/100
         list 0                      | open 1 ended 2 trades 1 flows 1
         list 999999                 | open 1 ended 0 trades 0 flows 0
         balances                    | BTC 0.995-0 USDT 900-90
         lookup b                    | present b open 0/1 trades 0
         lookup c                    | present c rejected 0/100 trades 0
         lookup q                    | absent q",
    );
}

#[test]
fn nothing_is_executed_before_the_time_through_which_a_listing_is_complete() {
    let mut rig = Rig::new(Settings::default());
    for line in ["fund USDT 1000", "quote 99 100", "buy a 1 limit 90"] {
        rig.line(line);
    }
    let from = Timestamp::EPOCH;
    let asked = rig.give(&VenueInput::Listing { number: 1, scope: Scope::Full, trades_from: from });
    let [VenueEffect::Listing(listing)] = &asked.effects[..] else { panic!("one listing") };
    let through = listing.trades_through;
    // A tick from before the question is decided after it.
    let mut late = rig.tick(Some("80"), Some("81"), None);
    late.at = Timestamp(1);
    let events = rig.give(&VenueInput::Tick { name: label("BTC_USDT"), tick: late }).events;
    assert!(events.iter().any(|event| matches!(event.fact, VenueFact::OrderTraded(_))));
    assert!(events.iter().all(|event| event.at >= through), "{events:?} before {through:?}");
}

#[test]
fn an_instrument_is_listed_once_changed_by_name_and_never_changes_its_assets() {
    let mut rig = Rig::new(Settings::default());
    let same = rig.give(&VenueInput::List(vec![listed()]));
    assert!(same.events.is_empty() && same.effects.is_empty());
    let finer = ListedInstrument { price_tick: Price::new(1, 3), ..listed() };
    assert_eq!(rig.give(&VenueInput::List(vec![finer])).events.len(), 1);
    let bad = [
        ListedInstrument { base: label("ETH"), ..listed() },
        ListedInstrument { name: label("A_A"), base: label("A"), quote: label("A"), ..listed() },
        ListedInstrument { price_tick: Price::ZERO, ..listed() },
        ListedInstrument { quantity_tick: Quantity::new(-1, 0), ..listed() },
        ListedInstrument { minimum_notional: Money::new(-1, 0), ..listed() },
        ListedInstrument { name: label(""), ..listed() },
    ];
    let refused = rig.give(&VenueInput::List(bad.to_vec()));
    assert_eq!((refused.events.len(), refused.effects.len()), (0, bad.len()));
    let other =
        ListedInstrument { name: label("ETH_BTC"), base: label("ETH"), quote: label("BTC"), ..listed() };
    assert_eq!(rig.give(&VenueInput::List(vec![other])).events.len(), 2, "one new asset, one instrument");
    assert_eq!(rig.venue.state().instruments().count(), 2);
}

#[test]
fn creation_is_recorded_once_and_every_opening_with_its_terms() {
    let mut venue = Venue::new(Settings::default());
    let created = Some(aegis_paper::Created { account: label("a") });
    let open = VenueInput::Open { created, version: label("1") };
    let names = |venue: &mut Venue| -> Vec<&str> {
        venue.handle(Timestamp(1), &open).events.iter().map(|event| event.fact.name()).collect()
    };
    assert_eq!(names(&mut venue), ["VenueCreated", "VenueOpened"]);
    assert_eq!(names(&mut venue), ["VenueOpened"]);
    assert_eq!(venue.state().account(), Some(label("a")));
}

#[test]
fn terms_outside_their_range_are_refused_by_name() {
    let (zero, bad) = (Rate::ZERO, Rate::new(11, 1));
    assert_eq!(Settings::new(bad, zero, zero), Err(SettingsError::Maker(bad)));
    assert_eq!(Settings::new(zero, Rate::new(-1, 4), zero), Err(SettingsError::Taker(Rate::new(-1, 4))));
    assert_eq!(Settings::new(zero, zero, Rate::ONE), Err(SettingsError::Slippage(Rate::ONE)));
    let terms = Settings::default();
    assert_eq!((terms.maker(), terms.taker()), (Rate::basis_points(25), Rate::basis_points(50)));
}

#[test]
fn only_a_new_buy_is_kept_from_the_journals_last_reserve() {
    let mut rig = Rig::new(Settings::default());
    let may = |rig: &mut Rig, line: &str| {
        let before = rig.events.len();
        rig.line(line);
        Venue::may_use_reserve(&rig.events[before..])
    };
    for line in ["fund USDT 1000", "fund BTC 1", "quote 99 100"] {
        assert!(may(&mut rig, line), "{line}");
    }
    assert!(!may(&mut rig, "buy a 1 limit 98"));
    for line in ["sell b 1 stop 90", "quote 97 98", "quote 80 81", "cancel a"] {
        assert!(may(&mut rig, line), "{line}");
    }
}
