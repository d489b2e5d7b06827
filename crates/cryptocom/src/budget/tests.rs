//! No span of a period ever sees more than its limit, and nobody waits longer than needed.

use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

#[test]
fn a_burst_then_one_at_a_time() {
    let mut window = Window::new(Rate::ORDER, 0);
    let start = Timestamp(1_760_000_000 * SECOND);
    for _ in 0..15 {
        assert_eq!(window.take(start), Ok(()));
    }
    let later = start.after(TENTH);
    assert_eq!(window.take(start), Err(later));
    assert_eq!(window.take(later.after(-1)), Err(later));
    assert_eq!(window.take(later), Ok(()));
    assert_eq!(window.take(start), Ok(()), "a clock that went back stands still");
}

#[test]
fn methods_do_not_share_and_a_breach_stops_all() {
    let mut budgets = Budgets::new(CLIENT_MARGIN_NS);
    let now = Timestamp(1_760_000_000 * SECOND);
    assert_eq!(budgets.take(Method::GetTrades, now), Ok(()));
    assert_eq!(budgets.take(Method::GetTrades, now), Err(now.after(SECOND + CLIENT_MARGIN_NS)));
    assert_eq!(budgets.take(Method::GetOrderHistory, now), Ok(()));
    budgets.pause(now.after(SECOND));
    budgets.pause(now.after(1));
    assert_eq!(budgets.take(Method::CreateOrder, now), Err(now.after(SECOND)));
    assert_eq!(budgets.take(Method::CreateOrder, now.after(SECOND)), Ok(()));
}

#[test]
fn the_first_second_of_a_connection_is_pro_rated() {
    let second = 1_760_000_000 * SECOND;
    let mut quota = ConnectionQuota::new(Rate::MARKET_SOCKET, Timestamp(second + SECOND * 9 / 10));
    for _ in 0..10 {
        assert_eq!(quota.take(Timestamp(second + SECOND * 9 / 10)), Ok(()));
    }
    let next = Timestamp(second + SECOND);
    assert_eq!(quota.take(Timestamp(second + SECOND - 1)), Err(next));
    for _ in 0..100 {
        assert_eq!(quota.take(next), Ok(()));
    }
    assert_eq!(quota.take(next), Err(Timestamp(second + 2 * SECOND)));
}

#[test]
fn backoff_doubles_to_its_bound() {
    for (failures, least, most) in
        [(1, 500, 1_000), (2, 1_000, 2_000), (6, 16_000, 32_000), (u32::MAX, 16_000, 32_000)]
    {
        for draw in [0, 1, u64::MAX] {
            let wait = backoff_ns(failures, draw);
            let millis: i64 = wait / 1_000_000;
            assert!((least..=most).contains(&millis), "{failures} {draw} {wait}");
        }
    }
}

proptest! {
    #[test]
    fn no_span_sees_more_than_the_limit(limit in 1u32..6, period in 1i64..50, margin in 0i64..10, steps in prop::collection::vec(0i64..20, 0..80)) {
        let mut window = Window::new(Rate { limit, period_ns: period }, margin);
        let (mut now, mut taken) = (Timestamp(1_000), Vec::new());
        for step in steps {
            now = now.after(step);
            match window.take(now) {
                Ok(()) => taken.push(now),
                Err(ready) => {
                    prop_assert!(ready > now);
                    let earliest = taken[taken.len() - limit as usize].after(period + margin);
                    prop_assert_eq!(ready, earliest, "refused no longer than needed");
                }
            }
        }
        for (at, time) in taken.iter().enumerate() {
            let within = taken[at..].iter().filter(|t| t.since(*time) < period + margin).count();
            prop_assert!(within <= limit as usize);
        }
    }
}
