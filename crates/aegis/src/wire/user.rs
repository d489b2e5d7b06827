//! What the user socket tells: rows and executions of our orders, each placed under the order that it belongs to.
//! Orders that are not ours are passed over here; listings show them.

use crate::wire::words::Heard;
use crate::wire::{Full, Shared};
use aegis_cryptocom::Push;
use aegis_model::Text;
use aegis_model::event::AnomalyKind;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What is subscribed to.
pub(crate) const CHANNELS: [&str; 4] = ["user.order", "user.trade", "user.balance", "user.advance.order"];

/// When it was last told that something could not be read.
pub(crate) struct Missed {
    every: Duration,
    last: Option<Instant>,
}

impl Missed {
    /// Nothing was missed yet.
    pub(crate) const fn new(every: Duration) -> Missed {
        Missed { every, last: None }
    }

    /// That something could not be read; none when that was told a moment ago.
    pub(crate) fn tell(&mut self, why: &str) -> Option<Heard> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < self.every) {
            return None;
        }
        self.last = Some(now);
        Some(Heard::Missed(Text::new(why)))
    }
}

/// Takes a frame with rows.
///
/// # Errors
/// [`Full`] when the queue has no room for all of it: nothing that comes after may be told on this connection.
pub(crate) fn push(shared: &Shared, missed: &mut Missed, push: &Push) -> Result<(), Full> {
    shared.stirred.fetch_add(1, Ordering::AcqRel);
    let (all, misfits) = shared.ledger.push(push);
    for heard in all {
        shared.offer(heard)?;
    }
    if let Some(first) = misfits.first() {
        let count = shared.counts.misfits.fetch_add(misfits.len() as u64, Ordering::Relaxed) + 1;
        let channel = push.data.channel();
        tracing::warn!(channel, count, "a row cannot be read: {first}");
        shared.odd.met(AnomalyKind::NewsUnreadable, &format!("{channel}: {first}"));
        if let Some(told) = missed.tell(&format!("{channel}: a row cannot be read: {first}")) {
            shared.offer(told)?;
        }
    }
    Ok(())
}
