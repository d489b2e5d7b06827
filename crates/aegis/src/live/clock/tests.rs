//! The engine's clock against a wall clock that is set forth and back.

use super::{LiveClock, News, SECOND};
use aegis_model::Timestamp;
use std::time::Duration;

const BEGAN: i64 = 1_000 * SECOND;

fn at(seconds: i64) -> Timestamp {
    Timestamp(BEGAN + seconds * SECOND)
}

fn mono(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_wall_clock_that_goes_right_is_the_engines_time() {
    let mut clock = LiveClock::new(at(-5), mono(7));
    assert_eq!(clock.read(at(0), mono(7)), at(0));
    assert_eq!(clock.read(at(3), mono(10)), at(3));
    assert_eq!((clock.of_wall(at(2)), clock.news()), (at(2), None));
}

#[test]
fn time_goes_on_while_the_wall_clock_is_behind_and_returns_to_it() {
    let mut clock = LiveClock::new(at(0), mono(0));
    assert_eq!(clock.read(at(10), mono(10)), at(10));
    // Set back by an hour.
    assert_eq!(clock.read(at(11 - 3600), mono(11)), at(11));
    assert_eq!(clock.news(), Some(News::Ahead(3600 * SECOND)));
    assert_eq!(clock.read(at(71 - 3600), mono(71)), at(71));
    assert_eq!(clock.news(), None, "told once");
    // A price that was pushed two seconds ago by the wall clock is two seconds old.
    assert_eq!(clock.of_wall(at(69 - 3600)), at(69));
    assert_eq!(clock.to_wall(at(69)), at(69 - 3600));
    // Set forth to five seconds past what the engine saw.
    assert_eq!(clock.read(at(77), mono(72)), at(77));
    assert_eq!((clock.of_wall(at(76)), clock.news()), (at(76), Some(News::CaughtUp)));
    assert_eq!(clock.read(at(78), mono(73)), at(78));
}

#[test]
fn a_journal_from_a_clock_that_was_ahead_does_not_stop_the_time() {
    let mut clock = LiveClock::new(at(3600), mono(2));
    assert_eq!(clock.read(at(0), mono(2)), at(3600));
    assert_eq!(clock.read(at(1), mono(3)), at(3601));
    assert_eq!(clock.news(), Some(News::Ahead(3600 * SECOND)));
}

#[test]
fn it_never_goes_back_and_what_lies_between_two_readings_does_not_stay() {
    let ms = |ms: i64| Timestamp(BEGAN + ms * SECOND / 1000);
    let mut clock = LiveClock::new(ms(0), Duration::ZERO);
    // The wall clock was read 30 ms late, then at once: time stands still for a moment, then is the wall's again.
    assert_eq!(clock.read(ms(130), Duration::from_millis(100)), ms(130));
    assert_eq!(clock.read(ms(110), Duration::from_millis(110)), ms(130));
    assert_eq!(clock.read(ms(200), Duration::from_millis(200)), ms(200));
    assert_eq!(clock.read(ms(200), Duration::from_millis(150)), ms(200), "nor by a monotonic reading");
}
