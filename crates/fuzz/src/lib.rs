//! Damaged and invented bytes for everything that reads bytes: a target for each, with what must hold whatever comes.
//!
//! ```text
//! corpus ─► pick ─► change blindly ─► mend what checks would stop ─► run ─► a new kind of outcome is kept to go on from
//! ```
//!
//! It needs nothing but the stable compiler. What is read from beyond checksums is reached by mending them after a
//! change; what decides which inputs are kept is what came of them. `fixtures/fuzz/` holds a few inputs of each kind of
//! outcome, run as plain tests. It never decides what the product should do, and shares no code with its decoders: what
//! a record is, for one, is read from `journal-format.md` once more.
#![forbid(unsafe_code)]

pub mod corpus;
pub mod draw;
pub mod mutate;
mod targets;

/// Files of the program, as they are.
#[allow(dead_code, reason = "the program uses more of them")]
#[path = "../../aegis/src"]
mod program {
    pub(crate) mod config;
    pub(crate) mod exit;
    pub(crate) mod feed;
    pub(crate) mod port;
}
/// Of its client of the exchange, what its configuration names.
#[allow(dead_code, reason = "the program uses more of them")]
#[path = "../../aegis/src/wire"]
mod wire {
    pub(crate) mod keys;
    pub(crate) mod settings;
    pub(crate) use settings::Settings;
}
// Where the files look for each other.
use program::{config, exit, feed, port};

/// Where the program's configuration looks for the number of its one feed.
mod market {
    pub(crate) const FEED: aegis_model::FeedId = aegis_model::FeedId(1);
}

use draw::Draw;

/// Something that reads bytes, and what must hold whatever it reads.
pub trait Target {
    /// Whole inputs to begin with.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Makes whole again what a blind change broke and what would stop every reader at its door.
    fn mend(&mut self, _: &mut Draw, _: &mut Vec<u8>) {}

    /// Reads an input; panics when a promise is broken. What came of it, as a number: inputs with a new one are kept.
    fn run(&mut self, input: &[u8]) -> u64;
}

/// A target by its name.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What must hold.
    pub words: &'static str,
    /// Longest input.
    pub most: usize,
    /// Parts that inputs are made of.
    pub parts: &'static [&'static [u8]],
    /// Makes one for a thread.
    pub make: fn() -> Box<dyn Target>,
    /// How much of the time it gets when all run.
    pub share: u64,
}

pub use targets::KINDS;
