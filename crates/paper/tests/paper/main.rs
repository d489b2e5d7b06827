//! The exchange's behaviour as tables, its laws as properties. One binary: linking is what hurts.
#![allow(missing_docs)]

mod accounts;
mod codec;
mod conditional;
mod followed;
mod laws;
mod orders;
mod restart;
mod rig;
mod triggers;
