//! The fold: `State::apply(&Event)` turns the journal's facts into orders, positions, balances and stops.
//!
//! It is total, pure and deterministic; it never decides, never reads a setting and never fails: the impossible
//! is a counted anomaly.
//!
//! ```
//! use aegis_model::event::{AssetNamed, Event};
//! use aegis_model::{Actor, AssetId, Label, Lsn, Timestamp};
//! use aegis_projection::State;
//!
//! let name = Label::literal("BTC");
//! let fact = AssetNamed { asset: AssetId(0), name }.into();
//! let event = Event { at: Timestamp(1), actor: Actor::Engine, cause: Lsn::NONE, fact };
//!
//! let mut state = State::default();
//! state.apply(&event);
//! assert_eq!(state.lsn, Lsn(1));
//! assert_eq!(state.find_asset(&name), Some(AssetId(0)));
//!
//! // A saved state and the records after it say the same as all records.
//! let mut resumed = State::load(&state.save())?;
//! resumed.apply(&event);
//! state.apply(&event);
//! assert_eq!(resumed.digest(), state.digest());
//! # Ok::<(), aegis_model::wire::DecodeError>(())
//! ```
//!
//! Events come out of the records of an `aegis-journal` by `Event::decode`. `examples/fold.rs` folds a journal in twenty
//! lines; `examples/own_projection.rs` is a projection of one's own over the same records, proven with the histories
//! that the feature `testing` generates. That feature adds generators and nothing else.
//!
//! # What may change when
//!
//! - *Records* never change: a kind and version that was once written is read and folded by every later version of this
//!   crate. New kinds may come with any version; a program that does not know one is told so by `Event::decode` and must
//!   not go on as if nothing had been there.
//! - *The state's layout*, and with it [`State::digest`] and [`State::save`], may change with a minor version. Then
//!   [`state::STATE_VERSION`] rises, [`State::load`] refuses what was saved before, and folding the records makes it anew.
//!   Digests of two versions are never equal by chance.
//! - *Names and signatures* follow semantic versioning, below 1.0 by the minor number. Public structs may gain fields
//!   with a minor version: read them, and make a [`State`] by folding.
//! - *Generated histories* of the same seed may differ with any version.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

mod apply;
mod balances;
pub mod book;
mod claims;
mod foreign;
mod holdings;
pub mod order_table;
mod orders;
pub mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod views;

pub use book::{Book, CycleSummary, Holding};
pub use order_table::Orders;
pub use state::State;
pub use views::ExitOwner;
