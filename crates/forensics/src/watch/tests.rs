//! Keys pressed on a film: where it stands, that going back shows the state that was there, and how the picture looks.

use super::*;
use crate::testing::Written;
use aegis_journal::MemReader;
use aegis_model::Event;
use aegis_projection::testing::{Dice, Story, fold};

fn life(n: usize) -> Vec<Event> {
    let (mut story, mut dice) = (Story::begin(), Dice::new(7));
    while story.events.len() < n {
        story.step(&mut dice);
    }
    story.events.retain(|e| !matches!(e.fact, Fact::GapFound(_)));
    story.events
}

fn film(events: &[Event]) -> (Written, Film<MemReader, impl Fn() -> Result<MemReader, ReadError> + use<>>) {
    let batches: Vec<Vec<Event>> = events.chunks(3).map(<[Event]>::to_vec).collect();
    let written = Written::of(&batches);
    let read = written.read();
    (written, Film::new(move || Ok(read.clone())).expect("a journal"))
}

#[test]
fn keys_move_and_the_state_is_always_that_of_the_record() {
    let events = life(5_000);
    let last = events.len() as u64;
    let (_written, mut film) = film(&events);
    assert_eq!(film.lsn(), Lsn(1));
    let keys = [
        (Key::Forward(1), 2),
        (Key::Forward(20), 22),
        (Key::Back(1), 21),
        (Key::Back(100), 1),
        (Key::To(Lsn(4_321)), 4_321),
        (Key::Back(20), 4_301),
        (Key::First, 1),
        (Key::Last, last),
        (Key::Forward(1), last),
        (Key::Back(1_500), last - 1_500),
        (Key::To(Lsn(last + 7)), last),
    ];
    for (key, expected) in keys {
        film.press(key).expect("whole");
        assert_eq!(film.lsn(), Lsn(expected), "{key:?}");
        assert_eq!(film.state().digest(), fold(&events[..expected as usize]).digest(), "{key:?}");
    }
}

#[test]
fn it_jumps_to_the_next_and_the_previous_of_a_sort() {
    let events = life(800);
    let (_written, mut film) = film(&events);
    for sought in [Sought::Fill, Sought::Order, Sought::Correction, Sought::Anomaly] {
        let places: Vec<u64> =
            (1..).zip(&events).filter(|(_, e)| sought.is(&e.fact)).map(|(lsn, _)| lsn).collect();
        film.press(Key::First).expect("whole");
        for place in &places {
            film.press(Key::Next(sought)).expect("whole");
            assert_eq!(film.lsn().0, *place, "{sought:?}");
        }
        film.press(Key::Next(sought)).expect("whole");
        assert_eq!(film.lsn().0, places.last().copied().unwrap_or(1), "it stays where there is no later one");
        if places.len() > 1 {
            film.press(Key::Previous(sought)).expect("whole");
            assert_eq!(film.lsn().0, places[places.len() - 2], "{sought:?}");
        }
    }
}

#[test]
fn memory_is_bounded_however_long_the_film_is() {
    let (_written, mut film) = film(&life(1_000));
    film.distance = 1;
    film.press(Key::Last).expect("whole");
    assert!(film.kept() <= KEPT_MAX && film.kept() > KEPT_MAX / 4, "{}", film.kept());
    assert!(film.past.len() <= 2 * PAST);
    film.press(Key::Back(500)).expect("whole");
    assert_eq!(film.state().digest(), fold(&life(1_000)[..film.lsn().0 as usize]).digest());
}

#[test]
fn the_picture_fits_and_shows_record_and_state_side_by_side() {
    let events = life(600);
    let (_written, mut film) = film(&events);
    film.press(Key::Next(Sought::Fill)).expect("whole");
    for (width, height) in [(80, 24), (100, 30), (40, 10), (200, 60)] {
        let picture = film.picture(width, height);
        assert_eq!(picture.len(), height);
        assert!(picture.iter().all(|row| row.chars().count() <= width), "{width}: {picture:#?}");
    }
    let picture = film.picture(120, 24).join("\n");
    for part in ["FillBooked", "POSITIONS AND STOPS", "BALANCES", &format!("record {}", film.lsn())] {
        assert!(picture.contains(part), "{part} in\n{picture}");
    }
}

#[test]
fn characters_stand_for_keys() {
    assert_eq!(Key::of('f'), Some(Key::Next(Sought::Fill)));
    assert_eq!(Key::of('C'), Some(Key::Previous(Sought::Correction)));
    assert_eq!(Key::of('q'), None, "whoever shows the film ends it");
}
