//! The results as text of 120 columns, as the README's table, and as JSON lines.

use crate::log::Facts;
use crate::measure::{Figures, Metric, Sizes, Spread};
use std::fmt::Write;

/// A peer and what was measured of it.
pub(crate) struct Row {
    /// What it is.
    pub(crate) facts: Facts,
    /// What was measured.
    pub(crate) figures: Figures,
}

/// The version of a package that this program was built with.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split("[[package]]").find(|e| e.contains(&format!("name = \"{package}\"\n")));
    let line = entry.and_then(|e| e.lines().find_map(|l| l.strip_prefix("version = ")));
    line.map_or("", |quoted| quoted.trim_matches('"'))
}

/// The package with its version; `-` for the bare file.
fn package(facts: &Facts) -> String {
    facts.package.map_or_else(|| "-".to_owned(), |package| format!("{package} {}", version(package)))
}

/// The name and the version in one cell.
pub(crate) fn name(facts: &Facts) -> String {
    match facts.package {
        Some("aegis-journal") | None => format!("**{}**", facts.title),
        Some(name) if name == facts.title => package(facts),
        Some(_) => format!("{} ({})", facts.title, package(facts)),
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v >= 999_500.0 => (v / 1e6, "M"),
        v if v >= 9_995.0 => (v / 1e3, "k"),
        v => (v, ""),
    };
    let digits = match scaled {
        s if unit.is_empty() || s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}

fn cell(figures: &Figures, metric: Metric, show: impl Fn(Spread) -> String) -> String {
    figures.spread(metric).map_or_else(|| "-".to_owned(), show)
}

fn median(figures: &Figures, metric: Metric) -> String {
    cell(figures, metric, |s| show(metric, s.median))
}

fn show(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Bytes => format!("{value:.1}"),
        Metric::Append
        | Metric::AppendCpu
        | Metric::Durable
        | Metric::P50
        | Metric::P99
        | Metric::P999
        | Metric::Group64
        | Metric::Group1024
        | Metric::Replay => short(value),
    }
}

fn heading(metric: Metric) -> &'static str {
    match metric {
        Metric::Append => "append/s",
        Metric::AppendCpu => "CPU ns",
        Metric::Durable => "durable/s",
        Metric::P50 => "p50 us",
        Metric::P99 => "p99",
        Metric::P999 => "p99.9",
        Metric::Group64 => "by 64/s",
        Metric::Group1024 => "by 1024/s",
        Metric::Replay => "replay/s",
        Metric::Bytes => "B/rec",
    }
}

fn explain(sizes: Sizes, payload_bytes: f64) -> String {
    format!(
        "{} repetitions, interleaved, medians; {} records of {payload_bytes:.1} payload bytes on average, {} durable \
         ones,\n{} groups of each size; a fifth more of each before the clock starts",
        sizes.repetitions, sizes.records, sizes.singles, sizes.groups
    )
}

/// Plain text.
pub(crate) fn text(rows: &[Row], sizes: Sizes, payload_bytes: f64) -> String {
    let mut out = explain(sizes, payload_bytes);
    let _ = write!(out, "\n\n{:<20}", "medians");
    for metric in Metric::ALL {
        let _ = write!(out, "{:>10}", heading(metric));
    }
    for Row { facts, figures } in rows {
        let _ = write!(out, "\n{:<20}", facts.title);
        for metric in Metric::ALL {
            let _ = write!(out, "{:>10}", median(figures, metric));
        }
    }
    let spreads =
        [Metric::Append, Metric::Durable, Metric::P999, Metric::Group64, Metric::Group1024, Metric::Replay];
    let _ = write!(out, "\n\n{:<20}", "least..most");
    for metric in spreads {
        let _ = write!(out, "{:>16}", heading(metric));
    }
    for Row { facts, figures } in rows {
        let _ = write!(out, "\n{:<20}", facts.title);
        for metric in spreads {
            let spread = |s: Spread| format!("{}..{}", show(metric, s.least), show(metric, s.most));
            let _ = write!(out, "{:>16}", cell(figures, metric, spread));
        }
    }
    let _ = write!(
        out,
        "\n\n{:<20}{:<20}{:<41}power-safe without syncs",
        "", "version", "checked when read back"
    );
    for Row { facts, .. } in rows {
        let _ =
            write!(out, "\n{:<20}{:<20}{:<41}{}", facts.title, package(facts), facts.checks, facts.unsynced);
    }
    out.push('\n');
    out
}

/// The README's table: medians, and in parentheses how many times aegis's figure it is.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let aegis = rows.iter().find(|row| row.facts.name == "aegis");
    let with_ratio = |figures: &Figures, metric: Metric| -> String {
        let ours = aegis.and_then(|row| row.figures.spread(metric)).map(|s| s.median);
        let is_ours = aegis.is_some_and(|row| std::ptr::eq(&row.figures, figures));
        cell(figures, metric, |s| match ours.filter(|ours| !is_ours && *ours > 0.0) {
            Some(ours) => format!("{} ({})", show(metric, s.median), ratio(s.median / ours)),
            None => show(metric, s.median),
        })
    };
    let mut out = String::from(
        "| records/s (times aegis's) | append, no sync | CPU ns | durable, one each | p50 / p99 / p99.9 us | groups of 64 \
         | groups of 1024 | replay, checked | bytes a record | checked when read | power-safe without syncs |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|\n",
    );
    for Row { facts, figures } in rows {
        let latencies =
            [Metric::P50, Metric::P99, Metric::P999].map(|metric| median(figures, metric)).join(" / ");
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {latencies} | {} | {} | {} | {} | {} | {} |",
            name(facts),
            with_ratio(figures, Metric::Append),
            median(figures, Metric::AppendCpu),
            with_ratio(figures, Metric::Durable),
            with_ratio(figures, Metric::Group64),
            with_ratio(figures, Metric::Group1024),
            with_ratio(figures, Metric::Replay),
            median(figures, Metric::Bytes),
            facts.checks,
            facts.unsynced,
        );
    }
    out
}

fn ratio(value: f64) -> String {
    if value < 0.0995 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// One object a row and metric; the limit is the bare file's median of the same run.
pub(crate) fn json(rows: &[Row]) -> String {
    let bare = rows.iter().find(|row| row.facts.name == "bare");
    let mut out = String::new();
    for metric in Metric::ALL {
        let (bench, unit) = match metric {
            Metric::Append => ("append", "records/s"),
            Metric::AppendCpu => ("append-cpu", "ns/record"),
            Metric::Durable => ("durable", "records/s"),
            Metric::P50 => ("durable-p50", "us"),
            Metric::P99 => ("durable-p99", "us"),
            Metric::P999 => ("durable-p99.9", "us"),
            Metric::Group64 => ("group-64", "records/s"),
            Metric::Group1024 => ("group-1024", "records/s"),
            Metric::Replay => ("replay", "records/s"),
            Metric::Bytes => ("bytes", "bytes/record"),
        };
        let limit = bare.and_then(|row| row.figures.spread(metric)).map(|s| s.median);
        for Row { facts, figures } in rows {
            let Some(spread) = figures.spread(metric) else { continue };
            let number = |value: Option<f64>| value.map_or("null".to_owned(), |v| format!("{v:.4}"));
            let _ = writeln!(
                out,
                "{{\"bench\":\"peers/{bench}\",\"variant\":\"{}\",\"n\":{},\"median\":{},\"min\":{},\"max\":{},\
                 \"unit\":\"{unit}\",\"limit\":{},\"ratio\":{}}}",
                facts.name,
                spread.n,
                number(Some(spread.median)),
                number(Some(spread.least)),
                number(Some(spread.most)),
                number(limit),
                number(limit.filter(|l| *l > 0.0).map(|l| spread.median / l)),
            );
        }
    }
    out
}
