//! The committed inputs of every target, and what every target begins with, as plain tests; and a short hunt, the same
//! every time, that shows that the targets work where nobody fuzzes.

use aegis_fuzz::draw::Draw;
use aegis_fuzz::mutate::mutate;
use aegis_fuzz::{KINDS, corpus};

#[test]
fn every_committed_input_of_every_target_holds() {
    for kind in KINDS {
        let mut target = (kind.make)();
        let seeds = target.seeds();
        assert!(!seeds.is_empty(), "{}: nothing to begin with", kind.name);
        let kept = corpus::read(kind.name);
        assert!(kept.len() >= 3, "{}: no corpus", kind.name);
        for input in seeds.iter().chain(&kept) {
            target.run(input);
        }
    }
}

#[test]
fn a_short_hunt_finds_nothing_and_meets_many_outcomes() {
    for kind in KINDS {
        let mut target = (kind.make)();
        let seeds = target.seeds();
        let mut draw = Draw::new(7);
        let mut outcomes = std::collections::BTreeSet::new();
        for _ in 0..150 {
            let mut input = seeds[draw.below(seeds.len())].clone();
            input.truncate(kind.most);
            let other = &seeds[draw.below(seeds.len())];
            mutate(&mut draw, &mut input, kind.most, kind.parts, other);
            target.mend(&mut draw, &mut input);
            outcomes.insert(target.run(&input));
        }
        assert!(outcomes.len() >= 3, "{}: {outcomes:?}", kind.name);
    }
}

#[test]
fn an_input_survives_being_written_down() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(corpus::input(&corpus::line(&all)), Some(all));
    assert_eq!(corpus::input("\\q"), None);
}

#[test]
fn names_are_unique() {
    let names: std::collections::BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(names.len(), KINDS.len());
}
