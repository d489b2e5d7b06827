//! The client side of the exchange, the program's own: its files are compiled here as they are, over calls that the
//! simulated world answers. Only what touches sockets, threads and clocks is replaced.
//!
//! ```text
//! the program's lookup, snapshot, orders, ledger, words --call--> post --world--> exchange --world--> post --> answer
//! ```
//!
//! A call is a future that waits in the [`post`]; the world decides when, how often and whether it arrives, and wakes
//! the future with its answer or its silence. One thread, no runtime.

#[allow(dead_code, reason = "the program tells all silences apart; the world only lets calls be late")]
#[path = "../../aegis/src/wire/answer.rs"]
pub(crate) mod answer;
pub(crate) mod budget;
pub(crate) mod clock;
#[path = "../../aegis/src/wire/history.rs"]
mod history;
#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../aegis/src/wire/ledger.rs"]
pub(crate) mod ledger;
#[path = "../../aegis/src/wire/lookup.rs"]
mod lookup;
#[path = "../../aegis/src/wire/orders.rs"]
mod orders;
pub(crate) mod pause;
pub(crate) mod post;
pub(crate) mod rest;
#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../aegis/src/wire/settings.rs"]
pub(crate) mod settings;
#[path = "../../aegis/src/wire/snapshot.rs"]
mod snapshot;
#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../aegis/src/wire/words.rs"]
pub(crate) mod words;

use aegis_cryptocom::Frame;
use aegis_model::{Text, Timestamp};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use words::{
    Ask, Checked, Found, Heard, LookUp, NamedRow, NamedTrade, Ours, Quote, Said, Snapshot, Socket,
};

/// What all calls of a process share.
pub(crate) struct Shared {
    pub(crate) settings: settings::Settings,
    pub(crate) clock: clock::Clock,
    pub(crate) budget: budget::Budget,
    ledger: ledger::Ledger,
    stirred: AtomicU64,
    began: Timestamp,
    heard: Mutex<Vec<Heard>>,
}

impl Shared {
    /// A process that begins now.
    pub(crate) fn new(ours: &[Ours]) -> Shared {
        let shared = Shared {
            settings: settings::Settings::production(Vec::new()),
            clock: clock::Clock,
            budget: budget::Budget,
            ledger: ledger::Ledger::default(),
            stirred: AtomicU64::new(0),
            began: clock::now(),
            heard: Mutex::new(Vec::new()),
        };
        shared.ledger.learn(ours);
        shared
    }

    async fn tell(&self, heard: Heard) {
        self.put(heard);
    }

    fn put(&self, heard: Heard) {
        self.heard.lock().expect("one thread").push(heard);
    }

    /// What was told since the last time.
    pub(crate) fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.heard.lock().expect("one thread"))
    }

    /// The socket begins anew: the next row of each order counts.
    pub(crate) fn forget_told(&self) {
        self.ledger.forget_told();
    }

    /// A frame of the user socket.
    pub(crate) fn frame(&self, text: &str) {
        let push = match Frame::read(text.as_bytes()) {
            Frame::Push(push) => push,
            Frame::Heartbeat(_) | Frame::Answer { .. } => return,
            Frame::Unknown(evidence) => return self.put(Heard::Missed(evidence.text)),
        };
        self.stirred.fetch_add(1, Ordering::AcqRel);
        let (all, misfits) = self.ledger.push(&push);
        all.into_iter().for_each(|heard| self.put(heard));
        if let Some(first) = misfits.first() {
            self.put(Heard::Missed(Text::new(&format!("a row cannot be read: {first}"))));
        }
    }
}
