//! The engine's wall clock is falsified from outside, by libfaketime under the real program: hours and days ahead and
//! behind, and back to 1970, while it runs and while it does not. Monotonic time goes on as it is.

use crate::ground::{Budget, is_asked_for, reaches_least};
use crate::pauses::none_twice;
use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::Fact;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The library that answers instead of the clock.
fn library() -> PathBuf {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().find_map(|entry| {
        let path = entry.path().join("faketime/libfaketimeMT.so.1");
        path.exists().then_some(path)
    });
    found.expect("AEGIS_REAL_FAULTS=1 needs libfaketime (Debian: faketime)")
}

/// From the next look on the engine's clock is so many seconds off. In one step, so that no look meets half a file.
fn set(file: &Path, off: i64) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{off:+}\n")).expect("a file of the test");
    std::fs::rename(&next, file).expect("a file of the test");
}

/// Times never decrease from record to record. Returns how far the last one is off, in seconds.
fn times_never_decrease(stage: &Stage, when: &str) -> i64 {
    let events = stage.events();
    for (at, pair) in events.windows(2).enumerate() {
        assert!(pair[0].at <= pair[1].at, "{when}: record {} is older than record {}", at + 2, at + 1);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    events.last().map_or(0, |event| event.at.0 / 1_000_000_000 - now as i64)
}

/// Buys and sells, and sees both booked and the stop at rest in between.
fn trades(stage: &Stage, when: &str) {
    let mut prices = 0;
    until(&format!("{when}: an entry passes"), || {
        // As a feed does: the last price may be an hour old by the clock as it is now, or the difference of the clocks.
        prices += 1;
        let price = (50_000 + prices % 2).to_string();
        stage.exchange.price("BTC_USDT", &price, &price);
        stage.open_at("BTC_USDT", "0.001")
    });
    stage.until_held("BTC_USDT", "0.001");
    stage.until_guarded("BTC_USDT");
    stage.order(&["close", "BTC_USDT"]);
    stage.until_held("BTC_USDT", "0");
    until(&format!("{when}: the books agree"), || stage.agrees().is_ok());
    none_twice(stage);
    assert_eq!(stage.held("ETH_USDT"), "0.01", "{when}");
}

#[test]
fn a_wall_clock_that_jumps_changes_no_book_and_no_order_of_records() {
    if !is_asked_for("a wall clock that jumps") {
        return;
    }
    let mut stage = Stage::new("USDT=100000", &rules(""));
    let file = stage.path("clock");
    set(&file, 0);
    stage.engine_env = vec![
        ("LD_PRELOAD", library().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    stage.start();
    hold(&stage, "ETH_USDT", "0.01");
    let to_1970 = -(SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs() as i64) + DAY;
    // Behind comes first: once a clock was ahead, the engine's time stays there until the wall clock has caught up.
    let jumps = [
        ("an hour behind", -HOUR),
        ("a day behind", -DAY),
        ("1970", to_1970),
        ("right", 0),
        ("an hour ahead", HOUR),
        ("right again", 0),
        ("a day ahead", DAY),
    ];
    let budget = Budget::new("AEGIS_CLOCKS", 2 * jumps.len() as u64);
    let (mut done, mut ahead) = (0, 0);
    while budget.goes_on(done) {
        let (name, off) = jumps[done as usize / 2 % jumps.len()];
        let when = if done % 2 == 0 {
            // While it runs.
            set(&file, off);
            format!("jump {done}, while it runs: {name}")
        } else {
            // While it does not: what it finds is off already, by another time.
            assert_eq!(stage.stop(), Some(0), "jump {done}");
            set(&file, off + 60);
            stage.start();
            format!("jump {done}, between two runs: {name}")
        };
        trades(&stage, &when);
        let off_now = times_never_decrease(&stage, &when);
        ahead = ahead.max(off.max(0));
        // Never behind the truth by more than the clock of this moment, nor ahead by more than any was.
        assert!(
            off_now >= off.min(0) - 5 && off_now <= ahead + 65,
            "{when}: the records are {off_now} s off"
        );
        done += 1;
    }
    let verify = stage.on(&["verify"]);
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    assert_eq!(stage.count(|f| matches!(f, Fact::CorrectionBooked(_))), 0, "every trade has its fill");
    assert!(stage.state().totals.closed >= done, "each jump met a trade");
    println!(
        "{done} jumps of the wall clock (hours, days, 1970), {} fills: both books equal after each, times never decrease, {:.0} s",
        stage.state().totals.fills,
        budget.seconds()
    );
    reaches_least(done, "jumps of the wall clock");
    assert_eq!(stage.stop(), Some(0));
}
