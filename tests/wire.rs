//! The acceptance scenarios that need the exchange, over real sockets: the engine's process and the exchange's process,
//! with SIGKILL where a story says crash. Each test is named after its S-number.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for the facts it is about")]

#[path = "wire/claims.rs"]
mod claims;
#[path = "wire/codes.rs"]
mod codes;
#[path = "wire/http.rs"]
mod http;
#[path = "wire/messages.rs"]
mod messages;
#[path = "wire/pauses.rs"]
mod pauses;
#[path = "wire/stage.rs"]
mod stage;
#[path = "wire/stories.rs"]
mod stories;
#[path = "wire/week.rs"]
mod week;
