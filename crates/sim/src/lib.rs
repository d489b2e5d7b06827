//! A seeded world around the product: a disk that tears and fails, an exchange that loses, delays and repeats, people
//! who trade beside the engine, crashes between any two operations; and an oracle that shares nothing with the product
//! but bytes and facts.
//!
//! ```text
//! seed -> plan (faults, acts) -> world (one thread, discrete events) -> oracle -> the first rule that did not hold
//! failing seed -> shrink -> one line -> replay: the story
//! ```
//!
//! It drives the production `Node<Engine>`, the production journal on [`aegis_journal::MemStorage`], and the program's
//! own client of the exchange, whose files it compiles as they are ([`wire`]), against the paper exchange behind the
//! protocol's real bytes. It never reads a clock and never draws but from the seed.
#![forbid(unsafe_code)]

// The program's client sleeps by this name; here the world says when it wakes.
extern crate self as tokio;

mod draw;
mod exchange;
#[cfg(feature = "mutants")]
pub mod mutants;
mod oracle;
mod plan;
mod shrink;
mod tape;
mod time;
#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../aegis/src/live/translate.rs"]
mod translate;
mod wire;
mod world;

pub use oracle::{RULES, Violation};
pub use plan::{Class, Line, Mask};
pub use shrink::shrink;
pub use world::{Options, Outcome, STORY_MAX, Stats, run};

/// Runs a line; a panic of the product is a rule broken like any other.
pub fn run_safely(line: &Line, options: Options) -> Outcome {
    let caught = std::panic::catch_unwind(|| run(line, options));
    caught.unwrap_or_else(|cause| {
        let words = cause.downcast_ref::<String>().cloned();
        let words = words.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let words = words.unwrap_or_else(|| "a panic without words".to_owned());
        Outcome {
            violation: Some(Violation { rule: "PANIC", words }),
            hash: 0,
            story: Vec::new(),
            stats: Stats::default(),
        }
    })
}

#[cfg(test)]
mod tests;
