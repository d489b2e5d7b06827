//! Rows of figures, each with the bare machine's figure of the same run where there is one.
//!
//! A figure is a cost (time or bytes), so a ratio above 1 always says how many times the limit it is. With
//! `AEGIS_BENCH_JSON=FILE` each row is also one JSON object on a line of its own, appended to FILE: `bench`,
//! `variant`, `n`, `median`, `unit`, and `limit` and `ratio`, which are null where nothing was measured beside it.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;

/// Repetitions of a measurement at full size.
const REPETITIONS: u64 = 5;

/// How often to measure: five times under `cargo bench`, once under `cargo test`.
pub fn repetitions() -> u64 {
    crate::size(REPETITIONS, 1)
}

/// What a figure counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds for one; the row shows how many that are in a second.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Mebibytes.
    MiB,
    /// Bytes.
    Bytes,
    /// A plain number.
    Count,
}

impl Unit {
    /// As printed and as in the JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Us => "us",
            Unit::Ms => "ms",
            Unit::MiB => "MiB",
            Unit::Bytes => "bytes",
            Unit::Count => "",
        }
    }
}

/// The median of the samples; the higher of the middle two.
pub fn middle(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs both measurements in turn, ours first, so that both meet the same machine; answers their samples.
pub fn interleaved<T, U>(
    repetitions: u64,
    mut ours: impl FnMut() -> T,
    mut limit: impl FnMut() -> U,
) -> (Vec<T>, Vec<U>) {
    (0..repetitions).map(|_| (ours(), limit())).unzip()
}

/// The rows of one bench.
#[derive(Debug)]
pub struct Report {
    bench: &'static str,
    /// The last row that stands for itself. Rows that begin with two spaces are parts of it; the JSON says of what.
    whole: RefCell<String>,
}

impl Report {
    /// Prints the heading: the bench and what it is measured against.
    pub fn new(bench: &'static str, goal: &str) -> Report {
        println!("{bench}: {goal}");
        Report { bench, whole: RefCell::default() }
    }

    /// A row without a limit: the median of the samples.
    pub fn row(&self, variant: &str, n: u64, unit: Unit, samples: &[f64]) {
        self.print(variant, n, unit, middle(samples), None);
    }

    /// A row with its limit, measured beside it in the same run.
    pub fn beside(&self, variant: &str, n: u64, unit: Unit, ours: &[f64], limit: &[f64]) {
        self.print(variant, n, unit, middle(ours), Some(middle(limit)));
    }

    fn print(&self, variant: &str, n: u64, unit: Unit, median: f64, limit: Option<f64>) {
        let figure = |value: f64| match unit {
            Unit::Count => format!("{value:>10.0}"),
            Unit::Ns | Unit::Us | Unit::Ms | Unit::MiB | Unit::Bytes => format!("{value:>10.1}"),
        };
        let rate = match unit {
            Unit::Ns => format!("  {:>8.2} M/s", 1e3 / median),
            Unit::Us | Unit::Ms | Unit::MiB | Unit::Bytes | Unit::Count => String::new(),
        };
        let ratio = limit.map(|limit| median / limit);
        let beside = match (limit, ratio) {
            (Some(limit), Some(ratio)) => format!("  limit {} = {ratio:.2} x", figure(limit)),
            _ => String::new(),
        };
        println!("  {variant:<58} {} {:<5}{rate}{beside}  n={n}", figure(median), unit.name());
        let variant = match variant.strip_prefix("  ") {
            Some(part) => format!("{}: {part}", self.whole.borrow()),
            None => {
                self.whole.replace(variant.to_owned());
                variant.to_owned()
            }
        };
        let Some(path) = std::env::var_os("AEGIS_BENCH_JSON") else { return };
        let object = serde_json::json!({
            "bench": self.bench,
            "variant": variant,
            "n": n,
            "median": median,
            "unit": unit.name(),
            "limit": limit,
            "ratio": ratio,
        });
        let mut file =
            File::options().create(true).append(true).open(&path).expect("AEGIS_BENCH_JSON names a file");
        writeln!(file, "{object}").expect("room for a row");
    }
}

/// The latencies of one repetition, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies(Vec<u64>);

impl Latencies {
    /// Room for so many, touched, so that taking one down costs the same each time.
    pub fn with_room(n: u64) -> Latencies {
        let mut room = vec![1; n as usize];
        room.clear();
        Latencies(room)
    }

    /// Takes one down.
    pub fn push(&mut self, ns: u64) {
        self.0.push(ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Their sum.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The longest.
    pub fn max(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }

    /// The latency that this share of them, in thousandths, does not exceed.
    pub fn permille(&mut self, permille: usize) -> u64 {
        if self.0.is_empty() {
            return 0;
        }
        let at = (self.0.len() - 1) * permille / 1000;
        *self.0.select_nth_unstable(at).1
    }
}

/// The given percentile of each repetition.
pub fn permilles(runs: &mut [Latencies], permille: usize, unit: Unit) -> Vec<f64> {
    let scale = match unit {
        Unit::Us => 1e3,
        Unit::Ms => 1e6,
        Unit::Ns | Unit::MiB | Unit::Bytes | Unit::Count => 1.0,
    };
    runs.iter_mut().map(|run| run.permille(permille) as f64 / scale).collect()
}

impl Report {
    /// Three rows, p50, p99 and p99.9: the median over the repetitions of each percentile, with those of the limit.
    pub fn percentiles(&self, variant: &str, unit: Unit, ours: &mut [Latencies], limit: &mut [Latencies]) {
        let n = ours.iter().map(Latencies::count).sum();
        for (name, permille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
            let variant = format!("{variant}, {name}");
            let ours = permilles(ours, permille, unit);
            if limit.is_empty() {
                self.row(&variant, n, unit, &ours);
            } else {
                self.beside(&variant, n, unit, &ours, &permilles(limit, permille, unit));
            }
        }
    }
}
