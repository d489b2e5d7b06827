//! Walks against hand-written paths, and the law that a walk left anywhere goes on with the same points.
//!
//! It never asks for more of a level function than that it depends on the points before it.

use super::*;
use aegis_model::Quantity;
use proptest::prelude::*;

const FEED: FeedId = FeedId(3);
const BTC: InstrumentId = InstrumentId(1);

/// Open time and open, high, low, close.
type Bar = (i64, [i64; 4]);

fn rows(bars: &[Bar]) -> Arc<[CandleRow]> {
    let candle = |(at, ohlc): &Bar| {
        let [open, high, low, close] = ohlc.map(|p| Price::new(p, 0));
        Candle { open_time: Timestamp(*at), open, high, low, close, volume: Quantity::ZERO }
    };
    bars.iter().enumerate().map(|(i, bar)| CandleRow { row: i as u64 + 1, candle: candle(bar) }).collect()
}

/// Each step as `leg.j price @time`, `closed` for a closed candle.
fn spell(steps: impl IntoIterator<Item = Step>) -> Vec<String> {
    let place = |cursor: u64| format!("{}/{}.{}", cursor / 64, cursor / 16 % 4, cursor % 16);
    let step = |step| match step {
        Step::Point(t) => format!("{} {} @{}", place(t.cursor), t.last.unwrap_or_default(), t.at.0),
        Step::Closed(_) => String::from("closed"),
    };
    steps.into_iter().map(step).collect()
}

fn all(mut walk: Walk, levels: &[i64]) -> Vec<Step> {
    let levels: Vec<Price> = levels.iter().map(|p| Price::new(*p, 0)).collect();
    std::iter::from_fn(|| walk.next(&levels)).collect()
}

#[test]
fn a_candle_is_open_low_high_close() {
    let walk = Walk::new(rows(&[(1000, [50, 60, 40, 55]), (1800, [70, 70, 70, 70])]), 400, FEED, BTC);
    let steps = all(walk.clone(), &[]);
    let expected = [
        "1/0.15 50 @1000",
        "1/1.15 40 @1100",
        "1/2.15 60 @1200",
        "1/3.15 55 @1399",
        "closed",
        "2/0.15 70 @1800",
        "2/1.15 70 @1900",
        "2/2.15 70 @2000",
        "2/3.15 70 @2199",
        "closed",
    ];
    assert_eq!(spell(steps.clone()), expected, "a gap between the candles shows nothing");
    for step in steps {
        let Step::Point(t) = step else { continue };
        let path = if t.cursor % 64 == 15 { PricePath::Jump } else { PricePath::Through };
        assert_eq!((t.feed, t.instrument, t.path, t.bid, t.ask), (FEED, BTC, path, None, None));
    }
}

#[test]
fn guarded_prices_are_met_in_the_order_of_travel() {
    let walk = Walk::new(rows(&[(1600, [50, 60, 40, 55])]), 1600, FEED, BTC);
    let expected = [
        "1/0.15 50 @1600",
        "1/1.0 48 @1625",
        "1/1.1 45 @1650",
        "1/1.15 40 @2000",
        "1/2.0 45 @2025",
        "1/2.1 48 @2050",
        "1/2.2 58 @2075",
        "1/2.15 60 @2400",
        "1/3.0 58 @2449",
        "1/3.15 55 @3199",
        "closed",
    ];
    // The ends themselves (40, 50, 60) are points anyway; 39 and 61 lie outside.
    assert_eq!(spell(all(walk.clone(), &[58, 45, 48, 48, 40, 39, 60, 61])), expected);
    let many: Vec<i64> = (41..50).chain(51..60).collect();
    let steps = spell(all(walk, &many));
    assert_eq!(steps.iter().filter(|s| s.starts_with("1/2.")).count(), 15, "14 of the 18, then the end");
    assert!(
        steps.iter().any(|s| s.starts_with("1/2.13 55 "))
            && steps.iter().any(|s| s.starts_with("1/2.15 60 "))
    );
}

#[test]
fn the_caller_knows_where_the_next_leg_goes() {
    let mut walk = Walk::new(rows(&[(0, [5, 6, 4, 5])]), 100, FEED, BTC);
    let falls: Vec<bool> = std::iter::from_fn(|| {
        let falls = walk.falls();
        walk.next(&[]).map(|_| falls)
    })
    .collect();
    assert_eq!(falls, [false, true, false, true, false]);
}

#[test]
fn an_overlapped_candle_ends_where_the_next_opens() {
    let walk = Walk::new(rows(&[(0, [5, 6, 4, 5]), (100, [5, 6, 4, 5])]), 400, FEED, BTC);
    let times = |s: &Step| match s {
        Step::Point(t) => Some(t.at.0),
        Step::Closed(_) => None,
    };
    let steps = all(walk, &[]);
    assert_eq!(steps.iter().filter_map(times).collect::<Vec<_>>(), [0, 25, 50, 99, 100, 200, 300, 499]);
}

#[test]
fn warmup_reaches_as_far_back_as_asked() {
    let walk =
        Walk::new(rows(&[(0, [5, 6, 4, 5]), (100, [5, 6, 4, 5]), (200, [5, 6, 4, 5])]), 100, FEED, BTC);
    let third_open = 3 * 64 + 15;
    assert_eq!(walk.warmup(third_open, 9).count(), 11);
    assert_eq!(spell(walk.warmup(third_open, 2))[0], "2/0.15 5 @100");
    assert_eq!(spell(walk.warmup(third_open, 1)), ["3/0.15 5 @200"]);
    assert_eq!(walk.warmup(third_open, 0).count(), 0);
    assert_eq!(walk.warmup(0, 9).count(), 0);
    assert_eq!(spell(walk.warmup(2 * 64 + 48 + 15, 1)).last().map(String::as_str), Some("closed"));
    assert_eq!(spell(walk.warmup(2 * 64 + 48 + 3, 1)).last().map(String::as_str), Some("2/2.15 6 @150"));
}

#[test]
fn other_candles_are_told_apart() {
    let walk = Walk::new(rows(&[(0, [50, 60, 40, 55])]), 100, FEED, BTC);
    let resume =
        |leg: u64, j: u64, price: i64| walk.clone().resume(64 + leg * 16 + j, Price::new(price, 0)).err();
    for (leg, j, price) in [(0, 15, 50), (1, 15, 40), (1, 0, 45), (1, 13, 41), (2, 0, 59), (3, 15, 55)] {
        assert_eq!(resume(leg, j, price), None);
    }
    for (leg, j, price) in [(0, 15, 51), (1, 15, 45), (1, 0, 40), (1, 0, 51), (3, 2, 54), (3, 15, 54)] {
        assert!(matches!(resume(leg, j, price), Some(ResumeError::OtherPrice { row: 1, .. })));
    }
    for cursor in [1, 63, 64, 64 + 14, 64 + 16 + 14, 2 * 64 + 15, u64::MAX] {
        let resumed = walk.clone().resume(cursor, Price::new(50, 0));
        assert!(matches!(resumed.err(), Some(ResumeError::NoSuchPlace { .. })), "{cursor}");
    }
    let again = walk.clone().resume(64 + 40, Price::new(50, 0)).and_then(|w| w.resume(0, Price::ZERO));
    assert_eq!(again.map(|w| all(w, &[])), Ok(all(walk, &[])), "cursor 0 is the start");
}

#[test]
fn the_embedded_candles_walk_without_a_step_back() {
    let rows: Arc<[CandleRow]> = crate::feed::candles::embedded().expect("the embedded candles").rows.into();
    let interval = crate::feed::candles::interval_ns(&rows).expect("many rows");
    let mut walk = Walk::new(rows, interval, FEED, BTC);
    let (mut points, mut closed, mut cursor, mut at) = (0u64, 0u64, 0u64, Timestamp(0));
    let level = [Price::new(20_000, 0)];
    while let Some(step) = walk.next(&level) {
        match step {
            Step::Point(t) => {
                assert!(t.cursor > cursor && t.at >= at);
                (points, cursor, at) = (points + u64::from(ends_leg(t.cursor)), t.cursor, t.at);
            }
            Step::Closed(c) => {
                assert!(c.open_time <= at);
                closed += 1;
            }
        }
    }
    assert_eq!((points, closed), (4 * 55_765, 55_765));
}

/// Levels that depend on the point before, as an engine's do.
fn levels_after(seed: u64, last: Option<&Tick>) -> Vec<Price> {
    let mut x = seed ^ last.map_or(0, |t| t.cursor.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut draw = || {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(x >> 33).unwrap_or(0)
    };
    (0..draw() % 6).map(|_| Price::new(draw() % 400, 1)).collect()
}

fn run(mut walk: Walk, seed: u64, mut last: Option<Tick>) -> Vec<Step> {
    std::iter::from_fn(|| {
        let step = walk.next(&levels_after(seed, last.as_ref()))?;
        if let Step::Point(tick) = step {
            last = Some(tick);
        }
        Some(step)
    })
    .collect()
}

fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let bar = (1i64..400, 1i64..40, 1i64..40, 1i64..40, 1i64..40).prop_map(|(wait, a, b, c, d)| {
        let (high, low) = (a.max(b).max(c).max(d), a.min(b).min(c).min(d));
        (wait, [a, high, low, b])
    });
    prop::collection::vec(bar, 1..6).prop_map(|mut bars| {
        let mut at = 0;
        bars.iter_mut().for_each(|bar| {
            at += bar.0;
            bar.0 = at;
        });
        bars
    })
}

proptest! {
    #[test]
    fn killed_anywhere_it_goes_on_with_the_same_points(bars in bars(), interval in 1i64..400, seed: u64) {
        let walk = Walk::new(rows(&bars), interval, FEED, BTC);
        let whole = run(walk.clone(), seed, None);
        let mut last = None;
        for kill in 0..=whole.len() {
            let (cursor, price) = last.map_or((0, Price::ZERO), |t: Tick| (t.cursor, t.last.unwrap_or_default()));
            let rest = run(walk.clone().resume(cursor, price).unwrap(), seed, last);
            // A closed candle right after the last point belongs to the warmup.
            let skip = kill + usize::from(matches!(whole.get(kill), Some(Step::Closed(_))));
            prop_assert_eq!(&rest[..], &whole[skip..], "killed after {} steps", kill);
            let warm: Vec<Step> = walk.warmup(cursor, usize::MAX).collect();
            let before: Vec<Step> = whole[..skip]
                .iter()
                .filter(|s| matches!(s, Step::Closed(_)) || matches!(s, Step::Point(t) if ends_leg(t.cursor)))
                .copied()
                .collect();
            prop_assert_eq!(warm, before);
            if let Some(Step::Point(tick)) = whole.get(kill) {
                last = Some(*tick);
            }
        }
    }

    #[test]
    fn cursors_rise_time_does_not_fall_and_prices_stay_inside(bars in bars(), interval in 1i64..400, seed: u64) {
        let rows = rows(&bars);
        let (mut cursor, mut at) = (0, Timestamp(0));
        for step in run(Walk::new(rows.clone(), interval, FEED, BTC), seed, None) {
            let Step::Point(t) = step else { continue };
            prop_assert!(t.cursor > cursor && t.at >= at);
            (cursor, at) = (t.cursor, t.at);
            let candle = rows[(cursor / 64) as usize - 1].candle;
            let price = t.last.unwrap();
            prop_assert!(candle.low <= price && price <= candle.high && candle.open_time <= at);
        }
    }

    #[test]
    fn every_guarded_price_on_the_way_is_met(bars in bars(), level in 1i64..40) {
        let steps = all(Walk::new(rows(&bars), 100, FEED, BTC), &[level]);
        let prices: Vec<Option<Price>> = steps
            .iter()
            .filter_map(|s| match s {
                Step::Point(t) => Some((t.path == PricePath::Through).then_some(t.last?)),
                Step::Closed(_) => None,
            })
            .collect();
        let points: Vec<Tick> = steps
            .iter()
            .filter_map(|s| match s {
                Step::Point(t) => Some(*t),
                Step::Closed(_) => None,
            })
            .collect();
        prop_assert_eq!(prices.len(), points.len());
        for pair in points.windows(2).filter(|pair| pair[1].path == PricePath::Through) {
            let (a, b) = (pair[0].last.unwrap(), pair[1].last.unwrap());
            prop_assert!(!between(a, Price::new(level, 0), b), "{a} to {b} passed over {level}");
        }
    }
}
