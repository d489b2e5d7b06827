//! The acceptance scenarios that need the exchange, over real sockets: the engine's process and the exchange's process,
//! with SIGKILL where a story says crash. Each test is named after its S-number.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for the facts it is about")]

#[path = "wire/claims.rs"]
mod claims;
#[path = "wire/clocks.rs"]
mod clocks;
#[path = "wire/codes.rs"]
mod codes;
#[path = "faults/ground.rs"]
#[allow(dead_code, reason = "shared with the tests of real faults, which use all of it")]
mod ground;
#[path = "wire/http.rs"]
mod http;
#[path = "faults/ledger.rs"]
mod ledger;
#[path = "wire/messages.rs"]
mod messages;
#[path = "wire/network.rs"]
mod network;
#[path = "wire/pauses.rs"]
mod pauses;
#[path = "wire/stage.rs"]
mod stage;
#[path = "wire/stories.rs"]
mod stories;
#[path = "wire/week.rs"]
mod week;
#[path = "wire/whatif.rs"]
mod whatif;
