//! Which market a record is played on: the one that it holds, the one that it was played on and that somebody names, or
//! none. A market is taken only if it is proven to be the same.

use super::record::{Record, setting};
use crate::config::FeedSource;
use crate::exit::Failure;
use crate::market::Market;
use aegis_model::Label;
use std::path::{Path, PathBuf};

/// A market with where it comes from.
pub(super) struct Chosen {
    pub(super) market: Market,
    /// In words.
    pub(super) words: String,
    /// Whether the path inside candles is a convention.
    pub(super) candles: bool,
    /// Whether it is made of the record's own points.
    pub(super) from_record: bool,
}

/// The market of a record.
///
/// # Errors
/// [`Failure`] when there is none, or none that is proven to be the same.
pub(super) fn choose(record: &Record, journal: &Path, named: Option<&str>) -> Result<Chosen, Failure> {
    let digests = record.digests();
    let feed = record.settings().and_then(|s| setting(s, "feed")).unwrap_or_default();
    if named.is_none()
        && let Some(market) = record.market()
    {
        let what = if market.is_last_price() { "candles from their points" } else { "ticks" };
        let words = format!("{} {what} in the journal", market.length());
        return Ok(chosen(market, words, true));
    }
    let place = journal.display();
    if digests.is_empty() && record.every_tick {
        return Err(Failure::usage(format!("{place} holds every tick itself: leave --market out")));
    }
    let digest = match digests[..] {
        [] => {
            return Err(Failure::usage(format!(
                "{place}: neither the ticks nor the digest of their file are in the journal, so that nothing can be \
                 proven to be the market that it saw. Ticks are kept with engine.record = \"all\"; the digest of a \
                 market file is recorded by each `aegis run` of this version, so `aegis run --fresh` on the same file \
                 makes a journal that can be played again"
            )));
        }
        [digest] => digest,
        [..] => {
            return Err(Failure::usage(format!(
                "{place}: it was played on several markets, or on a file that grew: take the part before the second with --until, and \
                 --market with the file as it was then"
            )));
        }
    };
    let source = match (named, feed) {
        (Some(named), _) => source(named, feed)?,
        (None, "embedded-candles") => FeedSource::EmbeddedCandles,
        (None, "embedded-ticks") => FeedSource::EmbeddedTicks,
        (None, feed) => {
            return Err(Failure::usage(format!(
                "{place}: the ticks are not in the journal (engine.record = \"all\" keeps them). Name the file that it \
                 was played on with --market; it was {feed:?}, its BLAKE3 digest is {digest}"
            )));
        }
    };
    let names: Vec<Label> = record.instruments.iter().map(|i| i.name).collect();
    let (market, found) = Market::read(&source, &names)?;
    if found.as_str() != digest {
        let what = named.unwrap_or("the market that this version carries");
        return Err(Failure::usage(format!(
            "{what} is not the market that {place} was played on: its BLAKE3 digest is {found} and not {digest}. A \
             digest is that of the file as it lies there; one that was packed anew has another"
        )));
    }
    let words = match named {
        Some(named) => format!("{named}, the file of the recorded digest"),
        None => format!("{feed}, of the recorded digest"),
    };
    Ok(chosen(market, words, false))
}

fn chosen(market: Market, words: String, from_record: bool) -> Chosen {
    Chosen { candles: market.is_last_price(), from_record, market, words }
}

fn source(named: &str, feed: &str) -> Result<FeedSource, Failure> {
    let ticks = feed == "embedded-ticks" || feed.starts_with("ticks:");
    match (ticks, named.split_once(',')) {
        (true, Some((l1, trades))) => Ok(FeedSource::Ticks(l1.into(), trades.into())),
        (true, None) => Err(Failure::usage(format!(
            "--market {named}: it was played on ticks, which are two files: L1_FILE,TRADES_FILE"
        ))),
        (false, _) => Ok(FeedSource::Candles(PathBuf::from(named))),
    }
}
