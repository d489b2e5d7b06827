//! A simulated spot exchange as a pure machine: accounts, instruments, matching against a shown market, fees,
//! ticks, triggers, client order ids, queries.
//!
//! It is a world of its own: a second [`aegis_model::Machine`] on the same commit loop, with a journal of its own
//! ([`VENUE_SCHEMA`]) that is durable before the exchange answers. It never knows what the engine believes, and
//! never touches a disk, a clock, a socket, randomness or a float.
//!
//! Rules of the house, where a real exchange leaves a choice:
//! - The market is whatever the feed shows: a buy takes the ask, a sell takes the bid; a tick without any quote
//!   stands for both sides at its last price. Orders of the account never match each other.
//! - An order fills at one tick at most up to the quantity shown there, less what this account already took at
//!   that same tick (also before a restart). An absent quantity is unlimited.
//! - What a market order, an immediate-or-cancel order or a fired trigger cannot fill at once expires. A fired
//!   trigger does not wait for the next tick: whoever placed it sees the rest come back.
//! - A resting order fills as maker, at its own limit, when the opposite side touches or passes the limit.
//!   Better limits first, then older orders; resting orders before triggers.
//! - Triggers are sells. A gap through one fills at the tick's price, never at the trigger; a price that was
//!   traded through on the way (inside a candle) fills at the trigger less the configured slippage.
//! - Beside them there are *conditional* orders (`VenueInput::Condition`), in a numbering and a namespace of their
//!   own, which watch the mark price (the one that was set, else the middle of the quotes, else the last price) or the
//!   last price. They reserve nothing; when one fires, an order is placed for it and checked like any other, so that a
//!   sell without its coins is rejected then, with 306. Legs of a list cancel or arm each other in the same decision.
//! - An order may also *follow* (`VenueInput::Follow`): the market does not reach it, and its executions and its end are
//!   told, as somebody saw them at another exchange. The account pays for them as for any other.
//! - A client order id is used up for ever by an accepted order and by a rejected one; the memory of ids, orders
//!   and trades is kept whole, as large as the journal's history. A refused *request* (class
//!   [`aegis_model::order::RejectClass::Permanent`] or [`Later`](aegis_model::order::RejectClass::Later) without
//!   a venue order id) made no order and leaves its id unused.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

pub mod fact;
mod followed;
pub mod input;
pub mod market;
mod matching;
mod order;
mod query;
pub mod settings;
pub mod state;
mod trigger;
mod venue;

pub use aegis_model::event::VENUE_SCHEMA;
pub use fact::{Linked, Liquidity, TriggerKind, VenueEvent, VenueFact, Watched};
pub use input::{
    Asked, Became, Conditional, Created, FlowOutcome, Followed, Found, Listing, OrderReport, Said,
    TriggerRow, VenueEffect, VenueFlow, VenueInput, VenueRow, VenueTrade,
};
pub use market::candle_ticks;
pub use settings::{Settings, SettingsError};
pub use state::{Counters, Holding, State};
pub use venue::Venue;
