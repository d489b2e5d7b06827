//! What is known of the exchange's clock, and what a refused nonce leads to.

use super::server::{Answer, rows};
use super::{Bench, place};
use crate::wire::Said;
use crate::wire::clock::{Clock, now};
use aegis_model::Side;
use aegis_model::ids::SECOND;
use aegis_model::order::RejectClass;
use serde_json::json;

#[test]
fn a_clock_that_agrees_is_left_alone() {
    let clock = Clock::default();
    assert_eq!(clock.bounds().used, 0);
    let t = now();
    // True to a second: the whole second that contains the moment of the call.
    let date = aegis_model::Timestamp(t.0 / SECOND * SECOND);
    clock.date(t, t.after(1_000_000), date);
    clock.told(t.after(-30 * SECOND), t);
    let bounds = clock.bounds();
    assert_eq!(bounds.used, 0);
    assert!(bounds.least.unwrap() <= 0 && bounds.most.unwrap() >= 0, "{bounds:?}");
}

#[test]
fn the_smallest_correction_within_the_bounds_is_taken() {
    let clock = Clock::default();
    let t = now();
    clock.date(t, t, t.after(-90 * SECOND));
    let bounds = clock.bounds();
    assert_eq!((bounds.least, bounds.most), (Some(-90 * SECOND), Some(-89 * SECOND)));
    assert_eq!(bounds.used, -89 * SECOND);
    // A row from later than the headers allow: the rows are the exchange's own.
    clock.told(t.after(5 * SECOND), t);
    assert_eq!(clock.bounds().used, 5 * SECOND);
}

#[test]
fn dates_narrow_each_other_and_the_newest_wins_a_contradiction() {
    let clock = Clock::default();
    let t = now();
    clock.date(t, t, t.after(3 * SECOND));
    clock.date(t, t, t.after(3 * SECOND + SECOND / 2));
    let bounds = clock.bounds();
    assert_eq!((bounds.least, bounds.most), (Some(3 * SECOND + SECOND / 2), Some(4 * SECOND)));
    clock.date(t, t, t.after(-60 * SECOND));
    assert_eq!(clock.bounds().least, Some(-60 * SECOND));
}

#[test]
fn what_was_just_heard_is_never_of_the_future() {
    // Ours was an hour ahead and is set right: until the difference is measured anew it is an hour too large.
    let clock = Clock::default();
    let t = now();
    clock.date(t, t, t.after(-3600 * SECOND));
    let heard = clock.ours(t.after(-SECOND));
    assert!(heard <= now(), "a price of {} s ahead", heard.since(now()) / SECOND);
    // What lies behind is left there: it is not fresh, and the next price will be.
    clock.date(t, t, t.after(3600 * SECOND));
    assert!(clock.ours(t) < t.after(-3000 * SECOND));
}

#[test]
fn headers_that_allowed_a_refused_nonce_are_not_believed_again() {
    let clock = Clock::default();
    let t = now();
    clock.date(t, t, t.after(-SECOND / 2));
    clock.refused(0);
    clock.date(t, t, t.after(-SECOND / 2));
    assert_eq!(clock.bounds().most, None);
    clock.told(t.after(-120 * SECOND), t);
    assert_eq!(clock.bounds().used, -120 * SECOND, "a venue that is behind is known only by its rows");
}

#[test]
fn a_refused_nonce_measures_the_clock_and_the_next_one_is_right() {
    // The exchange's clock is 90 s behind ours, and its window six tenths of a second.
    let behind = |ms: i64| now().0 / 1_000_000 - 90_000 + ms;
    let bench = Bench::new();
    bench.server.on("public/get-tickers", move |_| rows(&[json!({"i": "BTC_USDT", "t": behind(0)})]));
    bench.server.always("private/create-order", Answer::Code(400, 40_102, None));
    let before = bench.wire.clock().used;
    assert_eq!(before, 0);
    bench.ask(place(1, Side::Sell));
    assert!(matches!(bench.said(), Said::Rejected { class: RejectClass::Later, code: 40_102, .. }));
    let measured = std::time::Instant::now();
    while bench.wire.clock().used == 0 {
        assert!(measured.elapsed() < super::PATIENCE);
        std::thread::yield_now();
    }
    let off = bench.wire.clock().used + 90 * SECOND;
    assert!(off <= 0 && off > -SECOND, "{off}");
}
