//! A simulated venue that inserts rows late, orders pages as it likes and cuts them short; the walk misses none.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Row {
    id: Label,
    time: Timestamp,
    visible: Timestamp,
    instrument: Label,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    NewestFirst,
    OldestFirst,
    Any(u64),
}

/// What the venue answers for a span at a time.
fn answer(rows: &[Row], span: Span, now: Timestamp, limit: usize, order: Order) -> Vec<Row> {
    let within = |row: &&Row| {
        row.visible <= now
            && (span.start..span.end).contains(&row.time)
            && span.instrument.is_none_or(|name| name == row.instrument)
    };
    let mut page: Vec<Row> = rows.iter().filter(within).cloned().collect();
    match order {
        Order::NewestFirst => page.sort_by_key(|row| (-row.time.0, row.id)),
        Order::OldestFirst => page.sort_by_key(|row| (row.time, row.id)),
        Order::Any(seed) => page.sort_by_key(|row| {
            let id = row.id.as_bytes().iter().fold(seed, |h, b| h.rotate_left(7) ^ u64::from(*b));
            id.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }),
    }
    page.truncate(limit);
    page
}

fn id(n: usize) -> Label {
    alloc::format!("{n}").parse().expect("digits")
}

fn name(n: usize) -> Label {
    alloc::format!("I{n}").parse().expect("a name")
}

/// Walks once from `now`; the clock moves by `step` a page. The ids that were new, and how it ended.
fn walk_once(
    walk: &mut Walk,
    rows: &[Row],
    now: &mut Timestamp,
    step: i64,
    limit: usize,
    order: Order,
) -> (Vec<Label>, Result<Timestamp, Vec<Gap>>) {
    let mut fresh = Vec::new();
    walk.begin(*now, &[name(0), name(1), name(2)]);
    for _ in 0..100_000 {
        let Some(span) = walk.next() else { return (fresh, walk.finish()) };
        assert_eq!(walk.next(), Some(span), "the same until it is answered");
        assert!(span.start < span.end && span.end.since(span.start) <= SPAN_NS);
        let page = answer(rows, span, *now, limit, order);
        let keys: Vec<Key> = page.iter().map(|row| Key { id: row.id, time: row.time }).collect();
        fresh.extend(walk.page(&keys, true).into_iter().map(|at| keys[at].id));
        *now = now.after(step);
    }
    panic!("the walk does not end");
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::NewestFirst), Just(Order::OldestFirst), any::<u64>().prop_map(Order::Any)]
}

#[test]
fn an_empty_history_takes_a_page_a_day() {
    let mut walk = Walk::new(Timestamp(1_760_000_000 * SECOND));
    let now = Timestamp(1_760_000_000 * SECOND + 2 * DAY);
    walk.begin(now, &[]);
    let mut pages = 0;
    while walk.next().is_some() {
        assert!(walk.finish().is_err(), "not before every page");
        assert_eq!(walk.page(&[], true), Vec::<usize>::new());
        pages += 1;
    }
    assert_eq!((pages, walk.finish()), (3, Ok(now)), "two days and the overlap");
    assert_eq!(walk.finish(), Err(Vec::new()), "a walk ends once");
}

#[test]
fn exactly_a_full_page_is_not_the_end() {
    let start = 1_760_000_000 * SECOND;
    let row = |n: usize| Row {
        id: id(n),
        time: Timestamp(start + n as i64),
        visible: Timestamp(0),
        instrument: name(0),
    };
    let rows: Vec<Row> = (0..200).map(row).collect();
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Any(7)] {
        let mut walk = Walk::new(Timestamp(start));
        let mut now = Timestamp(start + 1000);
        let (mut fresh, end) = walk_once(&mut walk, &rows, &mut now, SECOND, 100, order);
        fresh.sort_unstable();
        fresh.dedup();
        assert_eq!((fresh.len(), end), (200, Ok(Timestamp(start + 1000))), "{order:?}");
    }
}

#[test]
fn gaps_are_told_and_hold_the_watermark() {
    let start = 1_760_000_000 * SECOND;
    // 150 fills of one instrument in one nanosecond: nothing can list them.
    let row =
        |n: usize| Row { id: id(n), time: Timestamp(start), visible: Timestamp(0), instrument: name(0) };
    let rows: Vec<Row> = (0..150).map(row).collect();
    let mut walk = Walk::new(Timestamp(start));
    let mut now = Timestamp(start + SECOND);
    let (fresh, end) = walk_once(&mut walk, &rows, &mut now, 1, 100, Order::NewestFirst);
    assert_eq!(fresh.len(), 100);
    let crowded = Span { start: Timestamp(start), end: Timestamp(start + 1), instrument: Some(name(0)) };
    assert_eq!(end, Err(alloc::vec![Gap::Crowded(crowded)]));
    assert_eq!(walk.watermark(), Timestamp(start), "nothing is claimed");
    assert_eq!(walk.finish(), Err(Vec::new()), "and not by asking twice");
    // Spread over three instruments they are found.
    let rows: Vec<Row> =
        rows.into_iter().enumerate().map(|(n, r)| Row { instrument: name(n % 3), ..r }).collect();
    let (fresh, end) = walk_once(&mut walk, &rows, &mut now, 1, 100, Order::NewestFirst);
    assert_eq!((fresh.len(), end.is_ok()), (50, true));

    let mut walk = Walk::new(Timestamp(start));
    walk.begin(Timestamp(start + 1), &[]);
    let span = walk.next().expect("a page");
    walk.page(&[], false);
    assert_eq!(walk.finish(), Err(alloc::vec![Gap::Unreadable(span)]));

    let mut walk = Walk::new(Timestamp(start));
    walk.begin(Timestamp(start + 200 * DAY), &[]);
    while walk.next().is_some() {
        walk.page(&[], true);
    }
    let lost =
        Span { start: Timestamp(start - OVERLAP_NS), end: Timestamp(start + 20 * DAY), instrument: None };
    assert_eq!(walk.finish(), Err(alloc::vec![Gap::TooOld(lost)]));
    walk.accept(Timestamp(start + 20 * DAY));
    assert_eq!(walk.watermark(), Timestamp(start + 20 * DAY));
}

#[test]
fn a_venue_whose_pages_are_always_full_does_not_hold_us() {
    let start = 1_760_000_000 * SECOND;
    let mut walk = Walk::with(Timestamp(start), 1, 0);
    walk.begin(Timestamp(start + DAY), &[]);
    let mut pages = 0u32;
    while let Some(span) = walk.next() {
        pages += 1;
        assert!(pages <= PAGES_MAX + SPANS_MAX as u32);
        walk.page(&[Key { id: id(0), time: span.start }], true);
    }
    assert!(walk.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Rows appear up to the overlap late, also between pages and behind what was already proven.
    #[test]
    fn nothing_is_lost(
        made in prop::collection::vec((0i64..2_000, 0i64..300, 0usize..3), 0..120),
        limit in 2usize..7, order in order(), step in 1i64..60, walks in 1usize..4,
    ) {
        let start = 1_760_000_000 * SECOND;
        let overlap = 300;
        let rows: Vec<Row> = made.iter().enumerate().map(|(n, (time, late, instrument))| {
            let time = Timestamp(start + time);
            Row { id: id(n), time, visible: time.after(*late), instrument: name(*instrument) }
        }).collect();
        let mut walk = Walk::with(Timestamp(start), limit, overlap);
        let mut now = Timestamp(start + 100);
        let mut fresh = Vec::new();
        for _ in 0..walks {
            fresh.extend(walk_once(&mut walk, &rows, &mut now, step, limit, order).0);
        }
        now = now.max(Timestamp(start + 3_000));
        let (new, end) = walk_once(&mut walk, &rows, &mut now, step, limit, order);
        fresh.extend(new);
        let told = fresh.len();
        fresh.sort_unstable();
        fresh.dedup();
        prop_assert_eq!(fresh.len(), told, "each once");
        match end {
            Ok(_) => prop_assert_eq!(fresh.len(), rows.len(), "all of them"),
            Err(gaps) => {
                // Only where an instant holds a page of one instrument.
                for gap in gaps {
                    let Gap::Crowded(span) = gap else { return Err(TestCaseError::fail("another gap")) };
                    let there = rows.iter().filter(|r| r.time == span.start && Some(r.instrument) == span.instrument);
                    prop_assert!(there.count() >= limit);
                }
            }
        }
    }

    #[test]
    fn the_cut_lies_strictly_inside(start in -1_000i64..1_000, length in 2i64..1_000, times in prop::collection::vec(any::<i64>(), 0..9)) {
        let span = Span { start: Timestamp(start), end: Timestamp(start + length), instrument: None };
        let keys: Vec<Key> = times.iter().map(|t| Key { id: id(0), time: Timestamp(*t) }).collect();
        let at = cut(span, &keys);
        prop_assert!(span.start < at && at < span.end);
    }
}

#[test]
fn pages_of_a_busy_minute_are_few() {
    for (order, most) in [(Order::NewestFirst, 12), (Order::OldestFirst, 12), (Order::Any(7), 60)] {
        let rows: Vec<Row> = (0..460)
            .map(|n| {
                let time = Timestamp(1_760_000_000_000_000_000 + n as i64 * 73_123_457);
                Row { id: id(n), time, visible: time, instrument: name(0) }
            })
            .collect();
        let now = Timestamp(1_760_000_060_000_000_000);
        let mut walk = Walk::with(now.after(-600 * SECOND), 100, 0);
        walk.begin(now, &[name(0)]);
        let mut pages = 0;
        let mut found = 0;
        while let Some(span) = walk.next() {
            let page = answer(&rows, span, now, 100, order);
            let keys: Vec<Key> = page.iter().map(|row| Key { id: row.id, time: row.time }).collect();
            found += walk.page(&keys, true).len();
            pages += 1;
        }
        assert_eq!((walk.finish().is_ok(), found), (true, 460));
        assert!(pages <= most, "{order:?}: {pages} pages");
    }
}
