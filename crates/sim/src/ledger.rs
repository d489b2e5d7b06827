//! The ledger of long runs: a row in `fixtures/soak.md` for each, so that what was run adds up over commits.

use aegis_sim::Stats;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/soak.md");
const HEAD: &str = "\
# What was run for how long, with what result

A row is added by a run itself, from its own counts: `cargo sim --seconds S --jobs J --ledger`. A commit with a `+` had
changes that were not committed. Seconds are of the wall clock.

| commit | command | seeds | simulated hours | events | starts | crash points | turned bits | holes | seconds | result |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|
";
/// Columns that are counts, which are added up.
const COUNTS: std::ops::Range<usize> = 3..11;

fn git(words: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = Command::new("git").args(words).current_dir(root).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}

/// What is run. To be asked when a run begins: the sources go on while it lasts.
pub(crate) fn commit() -> String {
    let changed = git(&["status", "--porcelain", "--untracked-files=no", ":/", ":!/fixtures/soak.md"]);
    git(&["log", "-1", "--format=%h"]) + if changed.is_empty() { "" } else { "+" }
}

/// Adds a run of this commit to the ledger; all rows together, in words.
pub(crate) fn add(
    commit: &str,
    stats: &Stats,
    seeds: u64,
    seconds: u64,
    result: &str,
) -> std::io::Result<String> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--ledger").collect();
    if !Path::new(FILE).exists() {
        std::fs::write(FILE, HEAD)?;
    }
    let row = format!(
        "| {commit} | `{}` | {seeds} | {} | {} | {} | {} | {} | {} | {seconds} | {result} |\n",
        words.join(" "),
        stats.simulated_ns / 3_600_000_000_000,
        stats.events,
        stats.starts,
        stats.crash_points,
        stats.rotted,
        stats.holes,
    );
    std::fs::OpenOptions::new().append(true).open(FILE)?.write_all(row.as_bytes())?;
    Ok(sum(&std::fs::read_to_string(FILE)?))
}

/// What the rows add up to.
fn sum(text: &str) -> String {
    let mut sums = [0_u64; COUNTS.end - COUNTS.start];
    for row in text.lines().filter(|row| row.starts_with("| ") && !row.starts_with("| commit")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for (sum, cell) in sums.iter_mut().zip(cells.get(COUNTS).unwrap_or_default()) {
            *sum += cell.parse::<u64>().unwrap_or(0);
        }
    }
    let [seeds, hours, events, starts, points, bits, holes, seconds] = sums;
    format!(
        "all rows: {seeds} seeds, {hours} h, {events} events, {starts} starts, {points} crash points, {bits} turned bits, \
         {holes} holes in {seconds} s"
    )
}
