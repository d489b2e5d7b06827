//! What was odd about the exchange's answers and news, for the record: counted by kind and told now and then, of a kind
//! that goes on ever more rarely. Whatever is here was understood, or made good by reading again.

use crate::wire::Full;
use crate::wire::words::Heard;
use aegis_cryptocom::rows::OrderRow;
use aegis_cryptocom::{Data, Oddities, Push};
use aegis_model::event::AnomalyKind;
use aegis_model::{Text, VenueOrderId};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The pause between two tellings of one kind doubles up to so many times the first.
const SLOWEST: u32 = 128;
/// Frames of a connection that are known again.
const FRAMES_MAX: usize = 64;
/// Orders of a connection whose newest row is remembered.
const ORDERS_MAX: usize = 256;
/// Every so many frames of prices one is looked at closely: they are many, and all written alike.
const PRICES_EACH: u64 = 8;

/// How often one kind was met.
struct Count {
    met: u64,
    told: u64,
    newest: Text,
    due: Instant,
    pause: Duration,
}

/// What all lanes and sockets have met.
pub(crate) struct Tally {
    every: Duration,
    kinds: Mutex<BTreeMap<AnomalyKind, Count>>,
}

impl Tally {
    /// Nothing odd was met yet; one kind is told no more often than `every`.
    pub(crate) const fn new(every: Duration) -> Tally {
        Tally { every, kinds: Mutex::new(BTreeMap::new()) }
    }

    /// Met once more.
    pub(crate) fn met(&self, kind: AnomalyKind, words: &str) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let count = kinds.entry(kind).or_insert_with(|| Count {
            met: 0,
            told: 0,
            newest: Text::default(),
            due: now,
            pause: self.every,
        });
        count.met += 1;
        count.newest = Text::new(words);
    }

    /// What a closer look at an answer or a frame has found.
    pub(crate) fn found(&self, about: &str, odd: &Oddities) {
        if let Some(member) = odd.respelled {
            self.met(AnomalyKind::NewsRespelled, &format!("{about}: {member} in another spelling"));
        }
        if let Some(member) = odd.strange {
            self.met(AnomalyKind::NewsUnknown, &format!("{about}: {member} is not known"));
        }
    }

    /// Tells what is due; what finds no room is due again.
    pub(crate) fn tell(&self, offer: impl Fn(Heard) -> Result<(), Full>) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        for (kind, count) in kinds.iter_mut().filter(|(_, count)| count.met > count.told && count.due <= now)
        {
            let heard = Heard::Odd { anomaly: *kind, count: count.met, detail: count.newest.clone() };
            if offer(heard).is_err() {
                return;
            }
            count.told = count.met;
            count.due = now + count.pause;
            count.pause = (count.pause * 2).min(self.every * SLOWEST);
        }
    }
}

/// What one connection has said so far, as far as it shows what is odd.
#[derive(Default)]
pub(crate) struct Said {
    frames: VecDeque<u64>,
    balances: Option<u64>,
    rows: BTreeMap<VenueOrderId, Box<OrderRow>>,
    prices: u64,
    heartbeat: Option<Instant>,
    shortest: Option<Duration>,
}

impl Said {
    /// A frame of the user socket.
    pub(crate) fn news(&mut self, tally: &Tally, frame: &str, push: &Push) {
        let channel = push.data.channel();
        tally.found(channel, &Oddities::of_frame(frame.as_bytes(), push));
        let mut hasher = DefaultHasher::new();
        frame.hash(&mut hasher);
        if self.is_repeated(hasher.finish(), &push.data) {
            tally.met(AnomalyKind::NewsRepeated, &format!("{channel}: the same frame again"));
            return;
        }
        if let Data::Orders(rows) | Data::Triggers(rows) = &push.data {
            for row in &rows.rows {
                self.row(tally, row);
            }
        }
    }

    /// The exchange tells every change of orders and trades with its time, so an equal frame is the same news; the same
    /// balances may well come back, but not twice running.
    fn is_repeated(&mut self, frame: u64, data: &Data) -> bool {
        if let Data::Balances(_) = data {
            return self.balances.replace(frame) == Some(frame);
        }
        if self.frames.contains(&frame) {
            return true;
        }
        if self.frames.len() >= FRAMES_MAX {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
        false
    }

    fn row(&mut self, tally: &Tally, row: &OrderRow) {
        if let Some(before) = self.rows.get_mut(&row.order_id) {
            if !before.gives_way_to(row) && **before != *row {
                let (order, status) = (row.order_id.0, row.status.word());
                let words = format!("order {order} {status} after {}", before.status.word());
                tally.met(AnomalyKind::NewsOutOfOrder, &words);
            } else {
                **before = row.clone();
            }
            return;
        }
        if self.rows.len() >= ORDERS_MAX {
            self.rows.pop_first();
        }
        self.rows.insert(row.order_id, Box::new(row.clone()));
    }

    /// A frame of the market socket.
    pub(crate) fn prices(&mut self, tally: &Tally, frame: &str, push: &Push) {
        if self.prices.is_multiple_of(PRICES_EACH) {
            tally.found(push.data.channel(), &Oddities::of_frame(frame.as_bytes(), push));
        }
        self.prices += 1;
    }

    /// A heartbeat came. Their shortest distance on this connection tells how often they should.
    pub(crate) fn heartbeat(&mut self, tally: &Tally, now: Instant) {
        if let Some(before) = self.heartbeat.replace(now) {
            let distance = now.duration_since(before);
            let shortest = *self.shortest.get_or_insert(distance);
            self.shortest = Some(shortest.min(distance));
            if distance > shortest * 8 / 5 {
                let words = format!("a heartbeat after {distance:?}, where they came every {shortest:?}");
                tally.met(AnomalyKind::HeartbeatMissed, &words);
            }
        }
    }
}

#[cfg(test)]
#[path = "odd/tests.rs"]
mod tests;
