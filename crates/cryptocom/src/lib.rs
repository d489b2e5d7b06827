//! Crypto.com Exchange v1, both sides of the wire, without sockets: what is asked, how it is signed, what an answer
//! proves.
//!
//! A client builds a [`Request`] and judges the bytes that come back ([`judge_read`], [`judge_write`],
//! [`Frame::read`]); a server reads the same request ([`Inbound`]) and writes the same rows ([`rows`]). Each message
//! is declared once (`wire`), so the two sides cannot disagree. Each rule of the venue names its section in the
//! reference, `cryptocom-exchange-v1.md`; `fixtures/venue/` holds the machine-readable part of it.
//!
//! ```text
//! Place -> bridge -> Request -> sign -> bytes --->  Inbound -> verify -> Request -> (paper)
//! engine's words  <- bridge <- judge_* <- bytes <---  server::answer, refuse  <- rows
//! ```
//!
//! Laws, each a test: no bytes make it panic; a request that the server reads is the request that the client wrote;
//! a row that the client reads is the row that the server wrote; a signature does not depend on the order of members;
//! an answer that is not understood is Unknown and never a guess; a walk through a history loses nothing.
//!
//! It never opens a socket, reads a clock, draws a number or holds a float. Numbers go from the digits on the wire to
//! exact decimals; `json` says how.
#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]
extern crate alloc;

pub mod answers;
pub mod bridge;
pub mod budget;
pub mod code;
pub mod frame;
pub mod json;
pub mod odd;
pub mod reply;
pub mod request;
pub mod rows;
pub mod server;
pub mod sign;
pub mod walk;
pub mod wire;
pub mod words;
pub mod write;

pub use answers::Reading;
pub use budget::{Budgets, ConnectionQuota, Rate, Window, backoff_ns};
pub use code::{Class, Code, class_for};
pub use frame::{Data, Frame, Push};
pub use odd::Oddities;
pub use reply::{Asked, Evidence, Ids, ReadOutcome, WriteOutcome, judge_elements, judge_read, judge_write};
pub use request::{Method, Request, auth_frame, heartbeat_answer};
pub use server::{Inbound, Reply, parse_target};
pub use sign::{Secret, Signature, Signer};
pub use walk::{Gap, Key, Span, Walk};
pub use wire::{Listing, Manner, Misfit, Rows, Wire};
pub use write::Integers;
