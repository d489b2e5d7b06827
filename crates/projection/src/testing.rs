//! Generated journals for property tests (feature `testing`): every step is drawn from one number, so a failing
//! history shrinks by losing steps.
//!
//! Two kinds: `histories` are what an engine and a venue could bring about, with late, repeated, contradicting and
//! surplus facts mixed in; `wild_histories` are any facts with any ids and numbers. Nothing here changes the fold.

mod facts;
mod story;

use crate::State;
use aegis_model::{Actor, Event, Fact, Fixed, Label, Lsn, Timestamp};
use alloc::vec::Vec;
use proptest::prelude::*;

pub use facts::any_fact;
pub use story::Story;

/// 2024-01-01T00:00:00Z: where generated histories begin.
pub const BEGIN: Timestamp = Timestamp(1_704_067_200_000_000_000);

/// Plausible histories of up to `steps` steps (a step is one to four events).
pub fn histories(steps: usize) -> impl Strategy<Value = Vec<Event>> {
    seeds(steps).prop_map(|seeds| {
        let mut story = Story::begin();
        for seed in seeds {
            story.step(&mut Dice::new(seed));
        }
        story.events
    })
}

/// Histories of any facts, after the same beginning.
pub fn wild_histories(steps: usize) -> impl Strategy<Value = Vec<Event>> {
    seeds(steps).prop_map(|seeds| {
        let mut events = Story::begin().events;
        for seed in seeds {
            let mut dice = Dice::new(seed);
            let tame = dice.one_in(3);
            let fact = any_fact(&mut dice, tame);
            let at = if tame { BEGIN.after(dice.below(1 << 50)) } else { dice.time() };
            events.push(event(at, fact));
        }
        events
    })
}

fn seeds(steps: usize) -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec(any::<u64>(), 0..=steps)
}

/// An event of the engine's at a time.
pub fn event(at: Timestamp, fact: impl Into<Fact>) -> Event {
    Event { at, actor: Actor::Engine, cause: Lsn::NONE, fact: fact.into() }
}

/// Folds events from nothing.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> State {
    let mut state = State::default();
    for event in events {
        state.apply(event);
    }
    state
}

/// Numbers drawn one after another from a seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is above zero.
    pub fn below(&mut self, end: i64) -> i64 {
        i64::try_from(self.roll() % end.unsigned_abs()).unwrap_or(0)
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: i64) -> bool {
        self.below(n) == 0
    }

    /// One of some values.
    pub fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.roll() % values.len() as u64).unwrap_or(0)]
    }

    /// Something or nothing.
    pub fn maybe<T>(&mut self, draw: impl FnOnce(&mut Dice) -> T) -> Option<T> {
        if self.one_in(2) { Some(draw(self)) } else { None }
    }

    /// Any number at all, small ones, large ones and the ends of the range among them.
    pub fn number(&mut self) -> Fixed {
        let any = i128::from_le_bytes(core::array::from_fn(|_| self.roll() as u8));
        let fixed = match self.below(6) {
            0 => Fixed::from_units(any),
            1 => Fixed::from_units(any >> 60),
            2 => Fixed::from_units(i128::from(self.below(5)) - 2),
            3 => Some(self.of(&[Fixed::MAX, Fixed::MAX.negated(), Fixed::ZERO, Fixed::STEP])),
            _ => Fixed::from_units(any % 1_000_000_000_000_000_000_000),
        };
        fixed.unwrap_or(Fixed::ZERO)
    }

    /// Any time at all.
    pub fn time(&mut self) -> Timestamp {
        let any = self.roll() as i64;
        match self.below(4) {
            0 => Timestamp(any),
            1 => self.of(&[Timestamp(i64::MIN), Timestamp(i64::MAX), Timestamp::EPOCH]),
            _ => BEGIN.after(any >> 8),
        }
    }

    /// One of few labels, so that they meet again.
    pub fn label(&mut self) -> Label {
        self.of(&[
            Label::EMPTY,
            Label::literal("a"),
            Label::literal("t1"),
            Label::literal("t2"),
            Label::literal("~1"),
            Label::literal("=fix9"),
            Label::literal("USD"),
            Label::literal("abcdefghijklmnopqrstuvwxyz0123456789"),
        ])
    }
}
