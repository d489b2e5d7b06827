//! What the old bot left, through the real binary: S34 (inventory), S49 (torn files), S55 (twice is once, no secret in any
//! byte).

use crate::program::Stage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Values that must never appear anywhere but in the old bot's own file.
const CANARIES: [&str; 4] =
    ["canary-key-7d1f", "canary-secret-90aa", "canary-token-3e5b", "canary-other-c2c2"];

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/legacy")
}

/// Every file below a directory, with its bytes.
fn bytes_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                files.insert(path, bytes);
            }
        }
    }
    files
}

/// The samples and an environment of its own, copied to where they may be imported from.
fn old_bot(stage: &Stage) -> PathBuf {
    let old = stage.path("old");
    for (path, bytes) in bytes_of(&samples()) {
        let to = old.join(path.strip_prefix(samples()).expect("below"));
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(to, bytes).expect("a copy");
    }
    let [key, secret, token, other] = CANARIES;
    let text = format!(
        "EXCHANGE_API_KEY={key}\nEXCHANGE_API_SECRET='{secret}'\nTELEGRAM_BOT_TOKEN=\"{token}\"\nWHATEVER={other}\n\
         STOP_LOSS_PCT=2.0\nLIVE_MODE=True\n"
    );
    fs::write(old.join(".env"), text).expect("a file");
    old
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

fn import<'a>(stage: &Stage, data: &str, files: &[&'a str], more: &[&'a str]) -> Output {
    let mut words = vec!["import", "--timezone", "UTC"];
    words.extend_from_slice(more);
    words.extend_from_slice(files);
    stage.on(data, &words)
}

#[test]
fn s34_the_inventory_lists_every_file_with_its_size() {
    let stage = Stage::new(&[]);
    let old = old_bot(&stage);
    let output = stage.on("data", &["inventory", old.to_str().expect("a path"), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let listed: BTreeMap<String, (u64, String)> = String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .map(|item| {
            let word = |name: &str| item[name].as_str().expect("a word").to_owned();
            (word("name"), (item["bytes"].as_u64().expect("a size"), word("what")))
        })
        .collect();
    let files = bytes_of(&old);
    assert_eq!(listed.len(), files.len());
    for (path, bytes) in &files {
        let name = path.strip_prefix(&old).expect("below").to_str().expect("a name");
        assert_eq!(listed[name].0, bytes.len() as u64, "{name}");
    }
    assert_eq!(listed["db/data_trading_b726.db"], (28672, "SQLite database".to_owned()));
    assert_eq!(listed["json/trailing_stops.empty.json"], (0, "empty".to_owned()));
    assert_eq!(listed["README.md"].1, "unknown", "unknown ones too");
    assert!(!stage.path("data").exists(), "looking writes nothing");
}

#[test]
fn s49_torn_files_are_named_and_leave_no_trace() {
    let stage = Stage::new(&[]);
    let old = old_bot(&stage);
    for name in ["truncated", "empty", "nan"] {
        let file = old.join(format!("json/trailing_stops.{name}.json"));
        let file = file.to_str().expect("a path");
        let output = import(&stage, "data", &[file], &[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains(&format!("REFUSED  {file}: ")), "{}", text(&output));
        assert!(!stage.path("data").exists(), "{name}: nothing of it was recorded");
    }
    // A whole file beside a torn one is taken, whole.
    let files = ["json/positions.json", "json/trailing_stops.nan.json"].map(|name| old.join(name));
    let files = files.each_ref().map(|file| file.to_str().expect("a path"));
    let output = import(&stage, "data", &files, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    assert_eq!((&report["counts"]["refused"], &report["counts"]["positions"]), (&1.into(), &3.into()));
    assert!(report["recorded"].as_u64() > Some(0));
}

#[test]
fn s49_a_database_whose_rows_lie_in_a_log_beside_it_is_refused() {
    let stage = Stage::new(&[]);
    let old = old_bot(&stage);
    let file = old.join("db/positions_psm.db");
    fs::write(old.join("db/positions_psm.db-wal"), [7; 32]).expect("a log");
    let output = import(&stage, "data", &[file.to_str().expect("a path")], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("a -wal file lies beside it"), "{}", text(&output));
}

#[test]
fn s55_importing_twice_is_importing_once_and_no_secret_is_in_any_byte() {
    let stage = Stage::new(&[]);
    let old = old_bot(&stage);
    let before = bytes_of(&old);
    let dir = old.to_str().expect("a path");
    let dry = import(&stage, "data", &[dir], &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(1), "{}", text(&dry));
    assert!(!stage.path("data").exists(), "a dry run writes nothing");
    let first = import(&stage, "data", &[dir], &["--json", "-v", "-v", "-v"]);
    assert_eq!(first.status.code(), Some(1), "questions and torn files are left: {}", text(&first));
    let report: serde_json::Value = serde_json::from_slice(&first.stdout).expect("JSON");
    let count = |name: &str| report["counts"][name].as_u64().expect("a count");
    assert_eq!(count("refused"), 3);
    assert!(count("questions") >= 5);
    assert!(report["recorded"].as_u64() > Some(60), "{}", report["recorded"]);
    assert_eq!(report["trading_disabled"], true);
    let secrets: Vec<&str> =
        report["secrets"].as_array().expect("names").iter().filter_map(|name| name.as_str()).collect();
    assert!(
        secrets.contains(&"EXCHANGE_API_SECRET") && secrets.contains(&"TELEGRAM_BOT_TOKEN"),
        "{secrets:?}"
    );
    let doubts = report["disputes"].as_array().expect("doubts");
    let found = |kind: &str, words: &str| {
        doubts.iter().any(|d| d["kind"] == kind && d["detail"].as_str().expect("words").contains(words))
    };
    assert!(found("holding forgotten", "0.0028 of ETH_USDT"), "S51");
    assert!(found("rows cumulative", "0.002, not their sum, 0.003"), "S52");
    assert!(found("lots twice", "4 min 39 s"), "S53");
    assert!(found("balance impossible", "80 is held"), "S54");

    let journal = bytes_of(&stage.path("data"));
    let again = import(&stage, "data", &[dir], &["--json"]);
    assert_eq!(json(&again)["recorded"], 0);
    assert_eq!(bytes_of(&stage.path("data")), journal, "the second import changes no byte");
    assert_eq!(bytes_of(&old), before, "the old bot's files are as they were, and nothing lies beside them");

    let log = stage.on("data", &["log"]);
    assert_eq!(log.status.code(), Some(0), "{}", text(&log));
    assert!(text(&log).contains("SOL_USDT 0.5 at 100, stop 98"), "{}", text(&log));
    let verified = stage.on("data", &["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", text(&verified));
    let status = stage.on("data", &["status"]);
    assert!(
        text(&status).contains("claim, unjudged"),
        "what no comparison has judged is shown: {}",
        text(&status)
    );
    assert!(text(&status).contains("old bot was told not to trade"), "the halt stands: {}", text(&status));

    // An answer takes what waited for it, and nothing else.
    let answered = import(&stage, "data", &[dir], &["--json", "--answer", "take_profit=5%"]);
    let recorded = json(&answered)["recorded"].as_u64();
    assert!((1..20).contains(&recorded.expect("a count")), "{recorded:?}");

    let said = [&dry, &first, &again, &log, &verified, &status, &answered].map(text).concat();
    for canary in CANARIES {
        assert!(!said.contains(canary), "{canary} was said");
        for (path, bytes) in bytes_of(&stage.path("data")) {
            let found = bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} is in {}", path.display());
        }
    }
}
