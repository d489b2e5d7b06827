//! Waits that hang, and what is told of waits that ended.

use super::*;
use std::sync::mpsc;

const BOUNDS: DiskBounds = DiskBounds {
    slow: Duration::from_millis(40),
    late: Duration::from_millis(80),
    limit: Duration::from_secs(3600),
};

#[test]
fn a_wait_that_hangs_is_told_while_it_hangs_and_ever_more_rarely() {
    let (said, heard) = mpsc::channel();
    let tell = move |words: &str| said.send(words.to_owned()).expect("the test listens");
    let watch = Watch::start(BOUNDS, Box::new(tell)).expect("a thread");
    watch.about(3, 2);
    // Two words of one wait come before it ends: the second when it has doubled.
    let ((), took) = watch.over(|| {
        for _ in 0..2 {
            let words = heard.recv_timeout(Duration::from_secs(20)).expect("a word while it hangs");
            assert!(words.contains("of 3 open positions 2 have their stop"), "{words}");
        }
    });
    assert!(took >= BOUNDS.slow * 2, "{took:?}");
    assert!(watch.is_late(took));
    assert!(!watch.is_late(Duration::from_millis(79)));
    drop(watch);
    assert!(heard.recv().is_err(), "nothing is said of a wait that has ended, and the thread is gone");
}

#[test]
fn slowness_is_news_each_time_and_its_end_once() {
    let bounds = DiskBounds { slow: Duration::from_millis(1), ..BOUNDS };
    let mut watch = Watch::start(bounds, Box::new(|_| {})).expect("a thread");
    assert_eq!(watch.judge(Duration::ZERO), None, "nothing was slow yet");
    let slow = Duration::from_millis(7);
    assert_eq!(watch.judge(slow), Some(Told::Slow(slow)));
    assert_eq!(watch.judge(slow), Some(Told::Slow(slow)));
    // At once it is no news that a wait was short; after ten times the bound it is, and only once.
    let began = Instant::now();
    let first = watch.judge(Duration::ZERO);
    assert!(first.is_none() || began.elapsed() >= bounds.slow * SETTLED);
    while watch.slow.is_some() {
        if let Some(told) = watch.judge(Duration::ZERO) {
            assert_eq!(told, Told::Well);
            assert!(began.elapsed() >= bounds.slow * (SETTLED - 1));
        }
        std::thread::yield_now();
    }
    assert_eq!(watch.judge(Duration::ZERO), None);
}
