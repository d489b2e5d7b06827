//! Rows of `fixtures/soak-fuzz.md`: one for each target of a run.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/soak-fuzz.md");
/// What the table begins with.
const HEAD: &str = "
## Fuzzing

`cargo fuzz-all --seconds S --ledger`; a row for each target.

| commit | target | executions | seconds of the run | result |
|---|---|---:|---:|---|
";

fn git(words: &[&str]) -> String {
    let said = Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}

/// Adds a run; what all rows of its targets add up to, in words.
pub(crate) fn add(counts: &[(&str, Option<u64>)], seconds: u64) -> std::io::Result<String> {
    let changed = git(&["status", "--porcelain", "--untracked-files=no", ":/", ":!/fixtures/soak-fuzz.md"]);
    let commit = git(&["log", "-1", "--format=%h"]) + if changed.is_empty() { "" } else { "+" };
    let mut file = std::fs::OpenOptions::new().append(true).open(Path::new(FILE))?;
    if !std::fs::read_to_string(FILE)?.contains("\n## Fuzzing\n") {
        file.write_all(HEAD.as_bytes())?;
    }
    for (name, count) in counts {
        let result = if count.is_some() { "nothing broke" } else { "broken" };
        file.write_all(
            format!("| {commit} | {name} | {} | {seconds} | {result} |\n", count.unwrap_or(0)).as_bytes(),
        )?;
    }
    Ok(sum(&std::fs::read_to_string(FILE)?, counts))
}

fn sum(text: &str, counts: &[(&str, Option<u64>)]) -> String {
    let rows = text.split("\n## Fuzzing\n").nth(1).unwrap_or_default();
    let of = |name: &str| -> u64 {
        let cells = rows.lines().map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
        cells
            .filter(|cells| cells.get(2) == Some(&name))
            .filter_map(|cells| cells.get(3)?.parse::<u64>().ok())
            .sum()
    };
    let words: Vec<String> = counts.iter().map(|(name, _)| format!("{name} {}", of(name))).collect();
    format!("all rows: {}", words.join(", "))
}
