//! `aegis audit` on what a run left: three spellings of one report, a file that is never overwritten, a live journal's
//! copy that is damaged, and several journals where one is needed.

use super::program::*;
use std::fs;

#[test]
fn an_audit_is_written_once_and_tells_of_damage() {
    let stage = Stage::small(600);
    stage.complete("data", &[]);
    let engine = stage.path("data/market/engine");
    let engine = engine.to_str().expect("a plain path");
    let text = stage.on("data", &["audit"]);
    assert_eq!(text.status.code(), Some(0), "{}", told(&text));
    assert!(String::from_utf8_lossy(&text.stdout).contains("## Profit by source"), "{}", told(&text));
    let object = stage.on("elsewhere", &["audit", engine, "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&object.stdout).expect("one object");
    let replay = stage.on("data", &["replay", "--json"]);
    let replay: serde_json::Value = serde_json::from_slice(&replay.stdout).expect("one object");
    assert_eq!(object["sums"]["realised"], replay["summary"]["realised"]);
    assert_eq!(object["last"], replay["lsn"]);
    assert!(object["sums"]["closed"].as_u64().expect("a count") > 5, "{}", object["sums"]);

    let page = stage.path("audit.html");
    let words = ["audit", engine, "--format", "html", "--out", page.to_str().expect("a plain path")];
    assert_eq!(stage.on("elsewhere", &words).status.code(), Some(0));
    let first = fs::read(&page).expect("the page");
    assert!(String::from_utf8_lossy(&first).matches("<svg").count() > 5);
    let again = stage.on("elsewhere", &words);
    assert_eq!(again.status.code(), Some(2), "{}", told(&again));
    assert_eq!(fs::read(&page).expect("the page"), first, "it was left alone");
    assert_eq!(stage.on("data", &["audit", "--json", "--format", "md"]).status.code(), Some(2));
    assert!(!stage.path("elsewhere").exists(), "it makes no data directory");

    let mut segments: Vec<_> =
        fs::read_dir(engine).expect("the journal").map(|e| e.expect("an entry").path()).collect();
    segments.retain(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    let mut bytes = fs::read(&segments[0]).expect("a segment");
    bytes[100_000..100_016].fill(0xff);
    fs::write(&segments[0], bytes).expect("the damage");
    let damaged = stage.on("data", &["audit"]);
    assert_eq!(damaged.status.code(), Some(65), "{}", told(&damaged));
    assert!(String::from_utf8_lossy(&damaged.stdout).contains("Copied while live or damaged"));
}
