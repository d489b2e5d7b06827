//! The broken variants of the product, each with the rules that must notice it; and the search for the seed that does.

use crate::{Line, Options, Outcome, run_safely};
use std::sync::atomic::{AtomicU64, Ordering};

/// A broken variant.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Its number, as in `mutant!`.
    pub number: u8,
    /// What is broken.
    pub words: &'static str,
    /// The rules that must notice.
    pub rules: &'static [&'static str],
}

/// A seed that does not notice within these minutes is one that did not notice.
pub const MINUTES: u32 = 30;
/// Seeds within which each must die.
pub const SEEDS_MAX: u64 = 2_000;

const fn mutant(number: u8, words: &'static str, rules: &'static [&'static str]) -> Mutant {
    Mutant { number, words, rules }
}

/// All of them; the first eighteen as the design of faults numbers them.
pub const MUTANTS: &[Mutant] = &[
    mutant(1, "send before the sync returns", &["S1"]),
    mutant(2, "skip every 16th sync", &["S4"]),
    mutant(3, "sync again after a sync failed", &["S4"]),
    mutant(4, "checksum without the length", &["S5", "S20"]),
    mutant(5, "a new segment with the old epoch", &["S5"]),
    mutant(6, "accept valid records behind a hole", &["S5"]),
    mutant(7, "rot taken for a torn tail", &["S20"]),
    mutant(8, "a new client order id on a retry", &["S3"]),
    mutant(9, "no answer means not sent", &["S16", "S2"]),
    mutant(10, "trades known before a start forgotten", &["S10", "S8"]),
    mutant(11, "the fee in coins left out of the stop", &["S12", "S13"]),
    mutant(12, "a stop cancelled, the next not intended", &["S11"]),
    mutant(13, "the mark lost in a restart", &["S12"]),
    mutant(14, "a failed read told as empty", &["S25", "S16"]),
    mutant(15, "a halt kept in memory", &["S14"]),
    mutant(16, "disorder inside the fold", &["S6"]),
    mutant(17, "a difference booked at first sight", &["S18"]),
    mutant(18, "a segment named, its directory not synced", &["S4"]),
    mutant(19, "the limit of positions not looked at", &["S15"]),
    mutant(20, "the day's loss not looked at", &["S15"]),
    mutant(21, "an order known by its number alone", &["S23"]),
    mutant(22, "an id of another engine let pass", &["S21"]),
];

/// How the search for one ended.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// Seeds run until it was noticed, or all of them.
    pub seeds: u64,
    /// The rule that noticed and its words; none when it survived.
    pub killed: Option<(Line, &'static str, String)>,
    /// Seeds that broke another rule than the one that must notice.
    pub others: u64,
}

/// Runs seeds from `first` on until one notices the variant by a rule that must.
pub fn hunt(mutant: &Mutant, first: u64, most: u64, jobs: usize) -> Hunt {
    aegis_model::mutants::choose(mutant.number);
    aegis_journal::mutants::choose(mutant.number);
    // The first seed in order that notices, whatever the number of jobs.
    let (next, found) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    let work = || {
        let mut seen: Vec<(u64, Line, Outcome)> = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= most || at > found.load(Ordering::Relaxed) {
                return seen;
            }
            // Within minutes nothing happens in a slow world.
            if crate::plan::is_slow(first + at) {
                continue;
            }
            let whole = Line::of(first + at);
            let line = Line { minutes: whole.minutes.min(MINUTES), ..whole };
            let outcome = run_safely(&line, Options::default());
            if let Some(violation) = &outcome.violation {
                if mutant.rules.contains(&violation.rule) {
                    found.fetch_min(at, Ordering::Relaxed);
                }
                seen.push((at, line, outcome));
            }
        }
    };
    let mut seen: Vec<_> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        jobs.into_iter().flat_map(|job| job.join().expect("a panic of a run is its outcome")).collect()
    });
    aegis_model::mutants::choose(0);
    aegis_journal::mutants::choose(0);
    seen.sort_by_key(|(at, ..)| *at);
    let at = found.into_inner();
    let others = seen.iter().filter(|(other, ..)| *other < at).count() as u64;
    let killed = seen.into_iter().find(|(other, ..)| *other == at).and_then(|(_, line, outcome)| {
        outcome.violation.map(|violation| (line, violation.rule, violation.words))
    });
    Hunt { seeds: if killed.is_some() { at + 1 } else { most }, killed, others }
}
