//! What people hand to the program: its configuration, signals, market files.

use crate::Target;
use crate::config::{Config, DEFAULTS, Overrides};
use crate::feed::{candles, ticks};
use crate::port::Port;
use aegis_model::{Fixed, Rate};
use std::fs;
use std::io::Write as _;
use tempfile::TempDir;

/// Parts that configurations are made of.
pub(crate) const TOML: &[&[u8]] = &[
    b"\n[run]\n",
    b"\n[live]\n",
    b"\n[journal]\n",
    b"\n[acts.hourly]\n",
    b"\n[instruments.BTC_USDT]\n",
    b" = \"\"\n",
    b" = 0\n",
    b" = -1\n",
    b" = 1e400\n",
    b" = 99999999999999999999\n",
    b" = []\n",
    b" = { a = 1 }\n",
    b"nan",
    b"0.000000000000000000000000001",
    b"%",
    b"h",
    b"ms",
    b"candles:",
    b"\"\"\"",
];

/// Parts that market files are made of.
pub(crate) const ROWS: &[&[u8]] = &[
    b",",
    b"\n",
    b"\r\n",
    b"-1",
    b"0",
    b"1e9",
    b"9223372036854775807",
    b"99999999999999999999",
    b"0.00000000000000000001",
    b"NaN",
    b"\x1f\x8b",
    b"BTCUSDT",
];

/// A file of its own for a thread, in memory where there is such a place.
fn place() -> TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a directory")
}

/// What is in force, without where it was written.
fn values(config: &Config) -> impl Iterator<Item = &str> {
    config.effective.lines().map(|line| line.rsplit_once("  # ").map_or(line, |(value, _)| value))
}

/// The target for configurations.
pub(crate) struct Settings {
    place: TempDir,
}

impl Settings {
    pub(crate) fn new() -> Settings {
        Settings { place: place() }
    }
}

impl Target for Settings {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = vec![DEFAULTS.as_bytes().to_vec(), Vec::new()];
        // Each section alone, so that small changes are not lost in a long file.
        seeds.extend(DEFAULTS.split("\n[").skip(1).map(|section| [b"[", section.as_bytes()].concat()));
        seeds
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let path = self.place.path().join("aegis.toml");
        fs::write(&path, input).expect("room");
        match Config::load(Some(&path), std::iter::empty(), &Overrides::default()) {
            Ok(config) => {
                assert!(str::from_utf8(input).is_ok(), "what is no text was understood");
                // What is said to be in force is a configuration that says the same.
                fs::write(&path, &config.effective).expect("room");
                let again = Config::load(Some(&path), std::iter::empty(), &Overrides::default());
                let again = again
                    .unwrap_or_else(|e| panic!("what is in force is refused: {e}\n{}", config.effective));
                assert!(values(&again).eq(values(&config)), "what is in force is not what is read");
                1 + ((config.effective.len() as u64) << 8)
            }
            Err(failure) => {
                let words = failure.to_string();
                assert!(!words.trim().is_empty());
                2 + ((words.len() as u64 / 16) << 8)
            }
        }
    }
}

/// The target for signals.
pub(crate) struct Signals;

impl Signals {
    pub(crate) fn new() -> Signals {
        Signals
    }
}

impl Target for Signals {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let played = include_str!("../../../../fixtures/market/act2_signals.ndjson");
        let mut seeds: Vec<Vec<u8>> = played.lines().take(8).map(|line| line.as_bytes().to_vec()).collect();
        seeds.push(played.lines().take(5).collect::<Vec<_>>().join("\n").into_bytes());
        seeds
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let lines = input.split(|byte| *byte == b'\n').count() as u64;
        let mut port = Port::new(input);
        let (mut before, mut good, mut bad, mut words) = (0, 0_u64, 0_u64, 0);
        while let Some(line) = port.next_line().expect("memory can be read") {
            let position = match line {
                Ok(signal) => {
                    good += 1;
                    assert!(signal.confidence >= Rate(Fixed::ZERO) && signal.confidence <= Rate(Fixed::ONE));
                    assert!(signal.horizon_ns > 0);
                    signal.position
                }
                Err(line) => {
                    bad += 1;
                    words = (words * 31 + line.reason.as_str().len() as u64) & 0xffff;
                    assert!(!line.reason.as_str().chars().any(char::is_control), "{:?}", line.reason);
                    line.position
                }
            };
            assert!(position > before && position <= lines, "line {position} of {lines} behind {before}");
            before = position;
        }
        good.min(4) + (bad.min(4) << 4) + (words << 8)
    }
}

/// The target for market files: which kind, then the file.
pub(crate) struct Market {
    place: TempDir,
}

impl Market {
    pub(crate) fn new() -> Market {
        let place = place();
        fs::write(place.path().join("quotes"), L1).expect("room");
        fs::write(place.path().join("trades"), TRADES).expect("room");
        Market { place }
    }
}

const CANDLES: &str = "open_time_ms,open,high,low,close,volume
1502942400000,4261.48,4313.62,4261.32,4308.83,47.181009
1502946000000,4308.83,4328.69,4291.37,4315.32,23.234916
1502949600000,4330.29,4345.45,4309.37,4324.35,7.229691
";
const L1: &str = "exchange_ns,received_ns,symbol,bid_px,bid_qty,ask_px,ask_qty
1742944020773674205,1742944020773684644,ETHUSDT,2059.10000000,33.09140000,2059.11000000,3.01460000
1742944020840478284,1742944020840482813,BTCUSDT,87232.00000000,2.42385000,87232.01000000,2.64517000
";
const TRADES: &str = "exchange_ns,received_ns,symbol,trade_id,side,price,qty
1742944020715000000,1742944020847021081,BTCUSDT,4744868157,sell,87232.0,0.00012
1742944021315000000,1742944021489517771,SOLUSDT,1169618299,buy,143.54,0.428
";

/// A file, compressed.
fn zipped(text: &str) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(text.as_bytes()).and_then(|()| out.finish()).expect("memory")
}

impl Target for Market {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let texts = [(0, CANDLES), (1, L1), (2, TRADES)];
        texts
            .iter()
            .flat_map(|(kind, text)| {
                [text.as_bytes().to_vec(), zipped(text)].map(|file| [&[*kind][..], &file].concat())
            })
            .collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [kind, bytes @ ..] = input else { return 0 };
        let path = self.place.path().join("file");
        fs::write(&path, bytes).expect("room");
        let (quotes, trades) = (self.place.path().join("quotes"), self.place.path().join("trades"));
        let told = match kind % 3 {
            0 => candles::from_path(&path).map(|held| {
                let rows = held.rows;
                assert!(rows.windows(2).all(|two| two[0].candle.open_time < two[1].candle.open_time));
                let inside =
                    |c: &aegis_model::Candle| c.low <= c.open.min(c.close) && c.high >= c.open.max(c.close);
                assert!(rows.iter().all(|row| inside(&row.candle)), "a price outside its candle");
                rows.len()
            }),
            1 => ticks::from_paths(&path, &trades).map(|held| ordered(&held.rows)),
            _ => ticks::from_paths(&quotes, &path).map(|held| ordered(&held.rows)),
        };
        let kind = u64::from(kind % 3);
        match told {
            Ok(rows) => kind + 4 + ((rows.min(12) as u64) << 4),
            Err(error) => {
                let words = error.to_string();
                assert!(words.contains("file"), "{words}");
                kind + ((words.len() as u64 - self.place.path().as_os_str().len() as u64) << 8)
            }
        }
    }
}

fn ordered(points: &[ticks::Point]) -> usize {
    assert!(points.windows(2).all(|two| two[0].received <= two[1].received));
    assert!(points.iter().zip(1..).all(|(point, cursor)| point.cursor == cursor));
    points.len()
}
