//! Each kind once, by hand; told at once, then rarely.

use super::*;
use aegis_cryptocom::Frame;
use std::cell::RefCell;

const EVERY: Duration = Duration::from_secs(3600);

fn row(order: &str, status: &str, filled: &str, updated: u64) -> String {
    format!(
        "{{\"id\":-1,\"method\":\"subscribe\",\"code\":0,\"result\":{{\"channel\":\"user.order\",\
         \"subscription\":\"user.order\",\"data\":[{{\"order_id\":\"{order}\",\"instrument_name\":\"BTC_USDT\",\
         \"side\":\"BUY\",\"order_type\":\"MARKET\",\"status\":\"{status}\",\"quantity\":\"2\",\
         \"cumulative_quantity\":\"{filled}\",\"cumulative_value\":\"0\",\"update_time\":{updated}}}]}}}}"
    )
}

fn hear(said: &mut Said, tally: &Tally, frame: &str) {
    let Frame::Push(push) = Frame::read(frame.as_bytes()) else { panic!("no rows: {frame}") };
    assert_eq!(push.data.misfits(), []);
    said.news(tally, frame, &push);
}

fn told(tally: &Tally) -> Vec<(AnomalyKind, u64, String)> {
    let all = RefCell::new(Vec::new());
    tally.tell(|heard| {
        let Heard::Odd { anomaly, count, detail } = heard else { panic!("{heard:?}") };
        all.borrow_mut().push((anomaly, count, detail.to_string()));
        Ok(())
    });
    all.into_inner()
}

#[test]
fn nothing_odd_about_an_orders_life() {
    let (mut said, tally) = (Said::default(), Tally::new(EVERY));
    for (status, filled, updated) in
        [("ACTIVE", "0", 1_760_000_000_000u64), ("ACTIVE", "1", 1_760_000_000_001)]
    {
        hear(&mut said, &tally, &row("7", status, filled, updated));
    }
    hear(&mut said, &tally, &row("7", "FILLED", "2", 1_760_000_000_002));
    hear(&mut said, &tally, &row("8", "ACTIVE", "0", 1_760_000_000_000));
    assert_eq!(told(&tally), []);
}

#[test]
fn repeated_and_late_news() {
    let (mut said, tally) = (Said::default(), Tally::new(EVERY));
    let (first, last) =
        (row("7", "ACTIVE", "0", 1_760_000_000_000), row("7", "FILLED", "2", 1_760_000_000_002));
    hear(&mut said, &tally, &last);
    hear(&mut said, &tally, &first);
    hear(&mut said, &tally, &first);
    hear(&mut said, &tally, &last);
    let all = told(&tally);
    let kinds: Vec<(AnomalyKind, u64)> = all.iter().map(|(kind, count, _)| (*kind, *count)).collect();
    assert_eq!(kinds, [(AnomalyKind::NewsRepeated, 2), (AnomalyKind::NewsOutOfOrder, 1)], "{all:?}");
    assert_eq!(all[1].2, "order 7 ACTIVE after FILLED");
}

#[test]
fn spellings_and_strangers() {
    let (mut said, tally) = (Said::default(), Tally::new(EVERY));
    let plain = row("7", "ACTIVE", "0", 1_760_000_000_000);
    hear(&mut said, &tally, &plain.replace("1760000000000", "\"1760000000000\""));
    hear(&mut said, &tally, &plain.replace("\"side\"", "\"mood\":\"fair\",\"side\""));
    let all = told(&tally);
    assert_eq!(
        all[0],
        (AnomalyKind::NewsRespelled, 1, "user.order: update_time in another spelling".to_owned())
    );
    assert_eq!(all[1], (AnomalyKind::NewsUnknown, 1, "user.order: mood is not known".to_owned()));
}

#[test]
fn a_kind_is_told_at_once_and_then_rarely_with_its_count() {
    let tally = Tally::new(EVERY);
    tally.met(AnomalyKind::NewsRepeated, "one");
    // No room: it stays due.
    tally.tell(|_| Err(Full));
    assert_eq!(told(&tally), [(AnomalyKind::NewsRepeated, 1, "one".to_owned())]);
    tally.met(AnomalyKind::NewsRepeated, "two");
    assert_eq!(told(&tally), []);
    tally.met(AnomalyKind::NewsUnknown, "other");
    assert_eq!(told(&tally), [(AnomalyKind::NewsUnknown, 1, "other".to_owned())]);
    let tally = Tally::new(Duration::ZERO);
    for met in 1..=3 {
        tally.met(AnomalyKind::NewsRepeated, "again");
        assert_eq!(told(&tally), [(AnomalyKind::NewsRepeated, met, "again".to_owned())]);
    }
}

#[test]
fn a_heartbeat_that_did_not_come() {
    let (mut said, tally) = (Said::default(), Tally::new(EVERY));
    let begin = Instant::now();
    for seconds in [0, 30, 60, 91, 120] {
        said.heartbeat(&tally, begin + Duration::from_secs(seconds));
    }
    assert_eq!(told(&tally), []);
    said.heartbeat(&tally, begin + Duration::from_secs(180));
    assert_eq!(told(&tally).len(), 1);
}
