//! From a failing run to a small one that breaks the same rule: fewer faults, less time, fewer acts.

use crate::plan::{Class, Knobs, Line, acts};
use crate::run_safely;
use crate::world::{Options, Outcome};

fn breaks(line: &Line, options: Options, rule: &str) -> bool {
    run_safely(line, options).violation.is_some_and(|violation| violation.rule == rule)
}

/// The smallest line found within `tries` runs, with its outcome.
pub fn shrink(line: &Line, options: Options, tries: usize) -> (Line, Outcome) {
    let mut best = line.clone();
    let Some(violation) = run_safely(&best, options).violation else {
        return (best.clone(), run_safely(&best, options));
    };
    let rule = violation.rule;
    let mut left = tries;
    let mut attempt = |best: &mut Line, candidate: Line| {
        if left == 0 || candidate == *best {
            return false;
        }
        left -= 1;
        let smaller = breaks(&candidate, options, rule);
        if smaller {
            *best = candidate;
        }
        smaller
    };
    // Faults that are not needed.
    for class in Class::ALL {
        let candidate = Line { mask: best.mask.without(*class), ..best.clone() };
        attempt(&mut best, candidate);
    }
    // The horizon.
    let mut step = best.minutes / 2;
    while step > 0 {
        let candidate = Line { minutes: best.minutes - step.min(best.minutes), ..best.clone() };
        if !attempt(&mut best, candidate) {
            step /= 2;
        }
    }
    // Acts, in ever smaller parts.
    let all: Vec<u32> = acts(&best, &Knobs::of(&best)).iter().map(|(_, number, _)| *number).collect();
    let mut kept = all;
    let whole = Line { kept: Some(kept.clone()), ..best.clone() };
    attempt(&mut best, whole);
    let mut part = kept.len().div_ceil(2);
    while part > 0 {
        let mut at = 0;
        while at < kept.len() {
            let rest: Vec<u32> = kept
                .iter()
                .enumerate()
                .filter(|(i, _)| *i < at || *i >= at + part)
                .map(|(_, n)| *n)
                .collect();
            let candidate = Line { kept: Some(rest.clone()), ..best.clone() };
            if attempt(&mut best, candidate) {
                kept = rest;
            } else {
                at += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    for class in Class::ALL {
        let candidate = Line { mask: best.mask.without(*class), ..best.clone() };
        attempt(&mut best, candidate);
    }
    let outcome = run_safely(&best, options);
    (best, outcome)
}
