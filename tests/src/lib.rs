//! A world for stories: the real engine, a log of whole batches, and a scripted exchange of its own.
//!
//! The exchange here shares nothing with the paper venue, so that one misreading is not made twice. A crash keeps
//! exactly the batches that were durable; nothing sleeps and nothing is random.

pub mod exchange;
pub mod world;

pub use exchange::Exchange;
pub use world::{CrashPoint, World};

use aegis_model::{Fixed, Label, Money, Price, Quantity, Rate};

/// A number from a literal.
pub fn n(text: &str) -> Fixed {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A price from a literal.
pub fn price(text: &str) -> Price {
    Price(n(text))
}

/// A quantity from a literal.
pub fn quantity(text: &str) -> Quantity {
    Quantity(n(text))
}

/// A sum of money from a literal.
pub fn money(text: &str) -> Money {
    Money(n(text))
}

/// A rate from a literal.
pub fn rate(text: &str) -> Rate {
    Rate(n(text))
}

/// A label from a literal.
pub fn label(text: &str) -> Label {
    Label::from_bytes(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}
