//! The vocabulary every other room speaks: exact decimals, ids, instruments, orders, fills, stops and
//! balances; what arrives (`Input`), what happened (`Event`), what may be done (`Effect`); and the bytes of a
//! stored event.
//!
//! It never touches a disk, a clock, a socket or a float.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

pub mod claim;
pub mod event;
pub mod fixed;
pub mod ids;
pub mod input;
pub mod machine;
pub mod market;
pub mod money;
pub mod mutants;
pub mod order;
pub mod protection;
pub mod text;
pub mod wire;

pub use claim::{Claim, ClaimFile};
pub use event::{Event, Fact};
pub use fixed::{ArithmeticError, Fixed, Rounding};
pub use ids::{
    Actor, AssetId, ClientOrderId, FeedId, InstrumentId, Lsn, Mode, OrderId, Timestamp, TradeId, VenueOrderId,
};
pub use input::{Answer, Command, Effect, Input, Report, VenueSnapshot};
pub use machine::{Decision, Machine, RecordHead};
pub use market::{Candle, Instrument, Tick};
pub use money::{Money, Price, Quantity, Rate};
pub use order::{OrderEnd, OrderKind, Purpose, Side, TimeInForce};
pub use protection::{ExitReason, Plan, StopRule};
pub use text::{Label, Text};
