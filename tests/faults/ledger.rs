//! Rows of `fixtures/soak-real.md`: one for each run of a test of real faults under `AEGIS_LEDGER=1`, from its own counts,
//! and one for a run that broke.

use std::io::Write as _;
use std::process::Command;
use std::time::Instant;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/soak-real.md");

fn git(words: &[&str]) -> String {
    let said = Command::new("git").args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    said.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}

/// A run that will have a row.
pub(crate) struct Run {
    test: &'static str,
    began: Instant,
    told: bool,
}

impl Run {
    pub(crate) fn begin(test: &'static str) -> Run {
        Run { test, began: Instant::now(), told: false }
    }

    /// It held: so many faults of this kind, and so many records that had been acknowledged, where it counts them.
    pub(crate) fn held(mut self, faults: u64, what: &str, records: Option<u64>) {
        self.told = true;
        let records = records.map_or("-".to_owned(), |records| records.to_string());
        self.add(&format!("{faults} {what} | {records}"), "nothing lost");
    }

    fn add(&self, counts: &str, result: &str) {
        if std::env::var("AEGIS_LEDGER").is_ok_and(|value| value == "1") {
            let changed =
                git(&["status", "--porcelain", "--untracked-files=no", ":/", ":!/fixtures/soak-real.md"]);
            let commit = git(&["log", "-1", "--format=%h"]) + if changed.is_empty() { "" } else { "+" };
            let seconds = self.began.elapsed().as_secs();
            let row = format!("| {commit} | {} | {counts} | {seconds} | {result} |\n", self.test);
            let file = std::fs::OpenOptions::new().append(true).open(FILE);
            let written = file.and_then(|mut file| file.write_all(row.as_bytes()));
            if let Err(e) = written {
                eprintln!("{FILE}: {e}");
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.told && std::thread::panicking() {
            self.add("- | -", "broken");
        }
    }
}
