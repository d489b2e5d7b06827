//! What the old bot left: files of every kind, torn, turned and invented.
//!
//! The oracle finds figures by itself: every run of characters that a number may have, read as a float, and every eight or
//! fewer bytes that SQLite may store one in. It is as exact as a float, which is enough to tell a figure that stands in the
//! file from one that does not.

use crate::Target;
use aegis_legacy::judge::{Judged, Read, judge};
use aegis_legacy::limits::Answers;
use aegis_legacy::report::{Report, item};
use aegis_legacy::venue::Venue;
use aegis_legacy::{Document, Zone, read};
use aegis_model::claim::{Claim, SourceKind};

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        &[$(include_bytes!(concat!("../../../../fixtures/legacy/", $name)).as_slice()),+]
    };
}

const SAMPLES: &[&[u8]] = samples!(
    "json/positions.json",
    "json/trailing_stops.json",
    "json/trailing_stops.same_symbol_twice.json",
    "json/dynamic_stoploss_state.json",
    "json/bot_status.json",
    "json/trades.jsonl",
    "env/dotenv.seed",
    "env/dotenv.phase2_extra",
    "config/apex_config.json",
    "config/trading.json",
    "exchange/gap_user_balance.json",
    "exchange/gap_get_trades.json",
    "db/data_positions_1399.db",
    "db/databases_trading.db",
    "db/data_trading_b726.db",
    "db/trading_engine_9c60.db",
);

/// Parts that such files are made of.
pub(crate) const PARTS: &[&[u8]] = &[
    b"NaN",
    b"Infinity",
    b"null",
    b"-1",
    b"0",
    b"1e-05",
    b"1e400",
    b"2.9926112430408125e-05",
    b"99999999999999999999999",
    b"\"symbol\": \"BTC/USDT\", ",
    b"\"stop_loss\": ",
    b"\"stop_price\": ",
    b"\"amount\": ",
    b"\"highest_price\": ",
    b"\"side\": \"short\", ",
    b"_1760956229.123",
    b"2025-10-26T02:30:00",
    b"API_KEY=canary\n",
    b"STOP_LOSS_PCT=",
    b"{\"trading_enabled\": false, ",
    b"SQLite format 3\0",
    b"CREATE TABLE positions (",
    b"}\n{",
];

/// The target.
pub(crate) struct Legacy {
    zone: Zone,
}

impl Legacy {
    pub(crate) fn new() -> Legacy {
        Legacy { zone: "+02:00".parse().expect("a zone") }
    }
}

impl Target for Legacy {
    fn seeds(&self) -> Vec<Vec<u8>> {
        SAMPLES.iter().map(|sample| sample.to_vec()).collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let mut venue = Venue::default();
        let answered = venue.add(input).is_ok();
        let listed = item("x", input, &self.zone);
        assert_eq!(listed.bytes, input.len() as u64);
        let outcome = read(input, &self.zone);
        let read = Read { name: "x".to_owned(), bytes: input.len() as u64, outcome };
        let judged = judge(vec![read], &self.zone, &Answers::default(), answered.then_some(&venue));
        let report = Report::of(&judged, |_| false);
        let said = format!("{report}{}", serde_json::to_string(&report).expect("a report is JSON"));
        match &judged.read[0].outcome {
            Ok(document) => {
                stands(document, input);
                if document.kind == SourceKind::Dotenv {
                    keeps_secrets(input, &said);
                }
                known(document, &judged)
            }
            Err(refused) => {
                assert!(!refused.to_string().trim().is_empty());
                assert!(judged.files.is_empty(), "something of a refused file would be recorded");
                let words = refused.to_string();
                let kind =
                    words.bytes().take(60).fold(0u64, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
                2 + u64::from(answered) + ((kind % 512) << 8)
            }
        }
    }
}

/// What came of a file that was read, as a number.
fn known(document: &Document, judged: &Judged) -> u64 {
    let disputes = document.disputes.iter().fold(0u64, |bits, d| bits | 1 << d.kind.number());
    let claims = document.claims.len().min(7) as u64;
    4 + ((u64::from(document.kind.number())
        | claims << 4
        | disputes << 8
        | (judged.questions.len() as u64) << 24)
        << 8)
}

/// Every figure of a position or trade stands in the file.
fn stands(document: &Document, input: &[u8]) {
    let figures = figures(input);
    let is_there = |figure: String| {
        let value: f64 = figure.parse().expect("a figure is one");
        let near = |there: &f64| (there - value).abs() <= (value.abs() * 1e-9).max(1e-18);
        assert!(figures.iter().any(near), "{figure} is claimed and stands nowhere in the file");
    };
    for row in &document.claims {
        match &row.claim {
            Claim::Position(position) => {
                is_there(position.quantity.to_string());
                is_there(position.entry.to_string());
                position.stop.iter().chain(&position.highest).for_each(|price| is_there(price.to_string()));
            }
            Claim::Trade(trade) => {
                is_there(trade.quantity.to_string());
                is_there(trade.price.to_string());
            }
            Claim::Limit { .. } | Claim::TradingDisabled | Claim::Note { .. } => {}
        }
    }
}

/// Every figure that may stand in the bytes, as text or as SQLite stores it.
fn figures(input: &[u8]) -> Vec<f64> {
    let mut found = vec![0.0, 1.0];
    let part = |byte: &u8| !(byte.is_ascii_digit() || b"+-.eE".contains(byte));
    for run in input.split(part).filter(|run| run.iter().any(u8::is_ascii_digit)) {
        let text = String::from_utf8_lossy(run);
        found.extend(text.parse::<f64>().ok());
        found.extend(text.split(['+', '-']).filter_map(|piece| piece.parse::<f64>().ok()));
    }
    if input.starts_with(b"SQLite") {
        for (at, _) in input.iter().enumerate() {
            for len in [1, 2, 3, 4, 6, 8] {
                let Some(bytes) = input.get(at..at + len) else { continue };
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1i64 };
                let whole = bytes.iter().fold(sign, |sum, byte| sum << 8 | i64::from(*byte));
                found.push(whole as f64);
                if len == 8 {
                    found.push(f64::from_bits(whole.cast_unsigned()));
                }
            }
        }
    }
    found
}

/// No value of an environment is said that could be a secret: one of a name that tells so, longer than a word.
fn keeps_secrets(input: &[u8], said: &str) {
    for line in String::from_utf8_lossy(input).lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let value = value.trim();
        if name.contains("SECRET")
            && value.len() >= 8
            && !String::from_utf8_lossy(input).replacen(value, "", 1).contains(value)
        {
            assert!(!said.contains(value), "the value of {name} was said");
        }
    }
}
