//! Deliberately broken variants of the journal, so that the simulator can prove that it would notice them.
//!
//! Without the feature `mutants`, which only the simulator asks for, [`chosen`] is the constant false and nothing of
//! this is left in a program. The numbers are those of the table that `cargo sim --mutants` prints.

#[cfg(feature = "mutants")]
use core::sync::atomic::{AtomicU8, Ordering};

/// Stands in every program that has mutants in it, and in no other.
#[cfg(feature = "mutants")]
pub const MARK: &str = "this program can be broken on purpose: journal";

#[cfg(feature = "mutants")]
static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Breaks the whole process in one way; 0 for none.
#[cfg(feature = "mutants")]
pub fn choose(number: u8) {
    assert!(core::hint::black_box(MARK).len() > 1, "the mark stays in the program");
    CHOSEN.store(number, Ordering::Relaxed);
}

/// Whether this variant is the one that runs.
#[cfg(feature = "mutants")]
#[doc(hidden)]
pub fn chosen(number: u8) -> bool {
    CHOSEN.load(Ordering::Relaxed) == number
}

/// Whether this variant is the one that runs: never.
#[cfg(not(feature = "mutants"))]
#[doc(hidden)]
#[inline(always)]
pub const fn chosen(_number: u8) -> bool {
    false
}

/// Whether the broken variant of this number runs here.
#[macro_export]
#[doc(hidden)]
macro_rules! mutant {
    ($number:literal) => {
        $crate::mutants::chosen($number)
    };
}
