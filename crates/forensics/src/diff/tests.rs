//! What differs is found whatever it is, and nothing else is; journals part where they were made to.

use super::*;
use crate::testing::Written;
use aegis_journal::MemReader;
use aegis_model::event::AlarmCleared;
use aegis_model::{Event, Fact};
use aegis_projection::testing::{Dice, Story, any_fact, event, fold, histories};
use proptest::prelude::*;

fn life(n: usize) -> Vec<Event> {
    let (mut story, mut dice) = (Story::begin(), Dice::new(7));
    while story.events.len() < n {
        story.step(&mut dice);
    }
    story.events.retain(|e| !matches!(e.fact, Fact::GapFound(_)));
    story.events
}

fn written(events: &[Event], by: usize) -> Written {
    let batches: Vec<Vec<Event>> = events.chunks(by).map(<[Event]>::to_vec).collect();
    Written::of(&batches)
}

fn compared(a: &Written, b: &Written) -> Compared {
    let open = |w: &Written| Reading::<MemReader>::new(w.read()).expect("a journal");
    journals(open(a), open(b), (Until::End, Until::End)).expect("whole").0
}

#[test]
fn equal_journals_do_not_differ_however_their_batches_are_cut() {
    let events = life(300);
    let told = compared(&written(&events, 3), &written(&events, 5));
    assert_eq!((told.parting, told.differences), (None, Vec::new()));
}

#[test]
fn journals_part_at_the_first_other_record_and_at_an_end() {
    let events = life(300);
    let mut others = events.clone();
    let at = others[199].at;
    others[199] = event(at, AlarmCleared { alarm: aegis_model::event::AlarmKind::Blind, instrument: None });
    others[250] = others[249].clone();
    let told = compared(&written(&events, 3), &written(&others, 3));
    let parting = told.parting.expect("they part");
    assert_eq!(parting.lsn, 200);
    assert!(parting.right.as_deref().is_some_and(|said| said.contains("alarm blind cleared")), "{parting}");
    let told = compared(&written(&events[..150], 3), &written(&events, 4));
    let parting = told.parting.expect("one ends");
    assert_eq!((parting.lsn, parting.left.is_none(), parting.right.is_some()), (151, true, true));
    assert!(!told.differences.is_empty(), "150 records make a difference");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn states_differ_exactly_when_their_digests_do(events in histories(60), seed in any::<u64>()) {
        let left = fold(&events);
        prop_assert_eq!(states(&left, &left.clone()), Vec::new());
        let mut right = left.clone();
        right.apply(&event(left.time, any_fact(&mut Dice::new(seed), true)));
        // The same place and time, so that only what the record made of them is compared.
        (right.lsn, right.time) = (left.lsn, left.time);
        prop_assert_eq!(states(&left, &right).is_empty(), left.digest() == right.digest());
    }
}
