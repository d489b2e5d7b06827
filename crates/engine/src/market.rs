//! The market's last words: inputs beside the state, rebuilt from the feed after a restart.
//!
//! It never decides and is never part of a digest.

use crate::settings::{HOUR, Settings};
use aegis_model::market::{Candle, PricePath, Tick};
use aegis_model::{FeedId, InstrumentId, Price, Rate, Rounding, Timestamp};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Prices are remembered once in each such span of time, ns: the first of it, so that it does not matter where a
/// feed is taken up again.
const SAMPLE_NS: i64 = 5 * 60 * aegis_model::ids::SECOND;
/// How long prices are remembered, ns: a day and the longest outage that the 24 h change bridges.
const SAMPLES_NS: i64 = 36 * HOUR;
/// Closed candles remembered for average true ranges.
const CANDLES_MAX: usize = 512;

/// What the feeds showed last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Market {
    /// The last point of each feed.
    pub(crate) feeds: Vec<Tick>,
    quotes: Vec<Quotes>,
}

/// What is known of one instrument's market.
#[derive(Debug, Default, Clone)]
struct Quotes {
    bid_ask: Option<Quote>,
    last: Option<(Price, Timestamp, FeedId)>,
    samples: VecDeque<(Timestamp, Price)>,
    /// The span of time of the newest sample, beside the rest so that a tick need not look among the samples.
    sampled: Option<i64>,
    candles: VecDeque<Candle>,
}

#[derive(Debug, Clone, Copy)]
struct Quote {
    bid: Option<Price>,
    ask: Option<Price>,
    at: Timestamp,
    feed: FeedId,
}

/// What a point of a feed changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The feed's place did not rise: nothing.
    Nothing,
    /// The same sources say something later: what was fresh stays so for at least as long.
    Later,
    /// Another source, or an earlier time: a reference may stop being fresh sooner than it would have.
    Another,
}

impl Market {
    /// Takes a point.
    pub(crate) fn see(&mut self, tick: &Tick) -> Seen {
        match self.feeds.iter_mut().find(|seen| seen.feed == tick.feed) {
            Some(seen) if seen.cursor >= tick.cursor => return Seen::Nothing,
            Some(seen) => *seen = *tick,
            None => self.feeds.push(*tick),
        }
        let at = tick.instrument.0 as usize;
        if self.quotes.len() <= at {
            self.quotes.resize(at + 1, Quotes::default());
        }
        let quotes = &mut self.quotes[at];
        let later = |source: Option<(Timestamp, FeedId)>| {
            source.is_some_and(|(time, feed)| feed == tick.feed && time <= tick.at)
        };
        let mut seen = Seen::Later;
        if tick.bid.is_some() || tick.ask.is_some() {
            if !later(quotes.bid_ask.map(|quote| (quote.at, quote.feed))) {
                seen = Seen::Another;
            }
            quotes.bid_ask = Some(Quote { bid: tick.bid, ask: tick.ask, at: tick.at, feed: tick.feed });
        }
        if let Some(last) = tick.last {
            if !later(quotes.last.map(|(_, time, feed)| (time, feed))) {
                seen = Seen::Another;
            }
            quotes.last = Some((last, tick.at, tick.feed));
        }
        let price = tick.last.or(tick.bid);
        // Guarded prices inside a candle depend on what was guarded then; a memory that is to be equal after a
        // restart keeps only points that the feed itself names.
        if let Some(price) = price
            && tick.path == PricePath::Jump
            && price.is_positive()
            && quotes.sampled.is_none_or(|span| tick.at.0 / SAMPLE_NS > span)
        {
            quotes.sampled = Some(tick.at.0 / SAMPLE_NS);
            quotes.samples.push_back((tick.at, price));
            while quotes.samples.front().is_some_and(|(time, _)| tick.at.since(*time) > SAMPLES_NS) {
                quotes.samples.pop_front();
            }
        }
        seen
    }

    /// Takes a closed candle.
    pub(crate) fn close_candle(&mut self, instrument: InstrumentId, candle: Candle) {
        let at = instrument.0 as usize;
        if self.quotes.len() <= at {
            self.quotes.resize(at + 1, Quotes::default());
        }
        let candles = &mut self.quotes[at].candles;
        if candles.back().is_some_and(|last| last.open_time >= candle.open_time) {
            return;
        }
        candles.push_back(candle);
        if candles.len() > CANDLES_MAX {
            candles.pop_front();
        }
    }

    fn of(&self, id: InstrumentId) -> Option<&Quotes> {
        self.quotes.get(id.0 as usize)
    }

    /// The price for raising and firing (semantics rule 19), if its source is there, uncrossed, positive and
    /// fresh. There is no fallback from one source to another.
    pub(crate) fn reference(&self, id: InstrumentId, now: Timestamp, settings: &Settings) -> Option<Price> {
        let (price, at, feed) = self.raw_reference(id, settings)?;
        (now.since(at) <= settings.price_age(feed)).then_some(price)
    }

    /// When the instrument's good reference was last true, and when it stops being fresh.
    pub(crate) fn freshness(&self, id: InstrumentId, settings: &Settings) -> Option<(Timestamp, Timestamp)> {
        let (_, at, feed) = self.raw_reference(id, settings)?;
        Some((at, at.after(settings.price_age(feed))))
    }

    fn raw_reference(&self, id: InstrumentId, settings: &Settings) -> Option<(Price, Timestamp, FeedId)> {
        let quotes = self.of(id)?;
        if let Some((last, at, feed)) = quotes.last
            && settings.last_price_feeds.contains(&feed)
        {
            return last.is_positive().then_some((last, at, feed));
        }
        let quote = quotes.bid_ask?;
        let bid = quote.bid.filter(|bid| bid.is_positive())?;
        let crossed = quote.ask.is_some_and(|ask| ask < bid || !ask.is_positive());
        (!crossed).then_some((bid, quote.at, quote.feed))
    }

    /// What a buy pays now: the ask, or the last trade on feeds so configured; fresh or nothing.
    pub(crate) fn ask(&self, id: InstrumentId, now: Timestamp, settings: &Settings) -> Option<Price> {
        let quotes = self.of(id)?;
        if let Some((last, at, feed)) = quotes.last
            && settings.last_price_feeds.contains(&feed)
        {
            let fresh = now.since(at) <= settings.price_age(feed);
            return (fresh && last.is_positive()).then_some(last);
        }
        let quote = quotes.bid_ask?;
        let fresh = now.since(quote.at) <= settings.price_age(quote.feed);
        let ask = quote.ask.filter(|ask| ask.is_positive())?;
        let crossed = quote.bid.is_some_and(|bid| ask < bid);
        (fresh && !crossed).then_some(ask)
    }

    /// The last price of any source and age, for valuing what is held; none when never seen.
    pub(crate) fn value_price(&self, id: InstrumentId) -> Option<Price> {
        let quotes = self.of(id)?;
        quotes.bid_ask.and_then(|q| q.bid).or(quotes.last.map(|(price, _, _)| price))
    }

    /// Change of the price over the span, as a rate; none when the memory does not reach back.
    pub(crate) fn change(&self, id: InstrumentId, now: Timestamp, span_ns: i64) -> Option<Rate> {
        let quotes = self.of(id)?;
        let then = now.after(-span_ns);
        let (_, old) = quotes.samples.iter().rev().find(|(time, _)| *time <= then)?;
        let price = self.value_price(id)?;
        price.0.over(old.0, Rounding::HalfEven).ok().and_then(|r| Rate(r).minus(Rate::ONE).ok())
    }

    /// Wilder's average true range over closed candles: the mean of the first `period` true ranges, then
    /// `(previous * (period - 1) + range) / period` (J. Welles Wilder, New Concepts in Technical Trading Systems,
    /// 1978). None when fewer than `period + 1` candles are known.
    pub(crate) fn average_true_range(&self, id: InstrumentId, period: u32) -> Option<Price> {
        let candles = &self.of(id)?.candles;
        let period_len = usize::try_from(period).ok().filter(|p| *p > 0)?;
        if candles.len() <= period_len {
            return None;
        }
        let n = aegis_model::Fixed::from_int(i64::from(period));
        let mut sum = Price::ZERO;
        let mut average = Price::ZERO;
        let pairs = candles.iter().zip(candles.iter().skip(1));
        for (at, (before, candle)) in pairs.enumerate() {
            let high = candle.high.max(before.close);
            let low = candle.low.min(before.close);
            let range = high.minus(low).ok()?;
            if at < period_len {
                sum = sum.plus(range).ok()?;
                if at + 1 == period_len {
                    average = Price(sum.0.over(n, Rounding::HalfEven).ok()?);
                }
            } else {
                let weighted =
                    average.0.times(n.minus(aegis_model::Fixed::ONE).ok()?, Rounding::HalfEven).ok()?;
                average = Price(weighted.plus(range.0).ok()?.over(n, Rounding::HalfEven).ok()?);
            }
        }
        Some(average)
    }
}
