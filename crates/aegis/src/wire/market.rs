//! What the market socket tells: the best bid and ask of each instrument. When nobody reads fast enough an older price
//! gives way to a newer one of the same instrument; none waits for long and none holds up the socket.

use crate::wire::settings::{QuoteSource, Settings};
use crate::wire::socket::told_time;
use crate::wire::words::{Heard, Quote};
use crate::wire::{Full, Shared};
use aegis_cryptocom::budget::SUBSCRIPTIONS_MAX;
use aegis_cryptocom::rows::{BookRow, Ticker};
use aegis_cryptocom::{Data, Push};
use aegis_model::ids::SECOND;
use aegis_model::{Label, Timestamp};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// The channels of the instruments that are traded, as many as one socket takes.
pub(crate) fn channels(settings: &Settings) -> Vec<String> {
    let channel = |name: &Label| match settings.quotes {
        QuoteSource::Ticker => format!("ticker.{name}"),
        QuoteSource::Book => format!("book.{name}.10"),
    };
    settings.instruments.iter().take(SUBSCRIPTIONS_MAX).map(channel).collect()
}

/// How much older than the newest a price may be and still be a frame that came late, ns. An older one is what a clock
/// that was set back looks like, and counts.
const LATE_NS: i64 = 2 * SECOND;

/// Prices that found the queue full, and how far each instrument has come.
#[derive(Default)]
pub(crate) struct Prices {
    waiting: BTreeMap<Label, Quote>,
    newest: BTreeMap<Label, Timestamp>,
}

impl Prices {
    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a frame with rows.
    pub(crate) fn push(&mut self, shared: &Shared, push: &Push) {
        let misfits = push.data.misfits().len() as u64;
        if misfits > 0 {
            let count = shared.counts.misfits.fetch_add(misfits, Ordering::Relaxed) + misfits;
            tracing::warn!(channel = push.data.channel(), count, "rows of a price channel cannot be read");
        }
        match &push.data {
            Data::Tickers(rows) => rows.rows.iter().for_each(|row| self.take(shared, of_ticker(row))),
            Data::Books(rows) => {
                let quotes = rows.rows.iter().filter_map(|row| of_book(push.instrument?, row));
                quotes.for_each(|quote| self.take(shared, quote));
            }
            Data::Orders(_)
            | Data::Triggers(_)
            | Data::Trades(_)
            | Data::Balances(_)
            | Data::PublicTrades(_)
            | Data::Deltas(_)
            | Data::Candles(_) => {}
        }
        self.offer(shared);
    }

    fn take(&mut self, shared: &Shared, quote: Quote) {
        told_time(shared, quote.at);
        let newest = self.newest.entry(quote.instrument).or_default();
        let behind = newest.since(quote.at);
        if behind > 0 && behind < LATE_NS {
            return;
        }
        *newest = quote.at;
        let quote = Quote { at: shared.clock.ours(quote.at), ..quote };
        if self.waiting.insert(quote.instrument, quote).is_some() {
            shared.counts.overtaken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Offers what waits, as far as there is room.
    pub(crate) fn offer(&mut self, shared: &Shared) {
        while let Some(entry) = self.waiting.first_entry() {
            match shared.offer(Heard::Quote(*entry.get())) {
                Ok(()) => {
                    entry.remove();
                }
                Err(Full) => return,
            }
        }
    }
}

fn of_ticker(row: &Ticker) -> Quote {
    Quote {
        instrument: row.instrument,
        at: row.time.0,
        bid: row.bid,
        bid_quantity: row.bid_quantity,
        ask: row.ask,
        ask_quantity: row.ask_quantity,
        last: row.last,
    }
}

fn of_book(instrument: Label, row: &BookRow) -> Option<Quote> {
    Some(Quote {
        instrument,
        at: row.changed.or(row.time)?.0,
        bid: row.bids.first().map(|level| level.price),
        bid_quantity: row.bids.first().map(|level| level.quantity),
        ask: row.asks.first().map(|level| level.price),
        ask_quantity: row.asks.first().map(|level| level.quantity),
        last: None,
    })
}
