//! `aegis export` and `aegis query` on what a run left: files that appear whole or not at all and are never overwritten, answers
//! that agree with `status`, a live writer, and damage that is told.

use super::program::*;
use std::fs;

#[test]
fn exports_are_whole_or_not_there_and_agree_with_status() {
    let stage = Stage::small(600);
    stage.complete("data", &[]);
    let status = stage.on("data", &["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("one object");
    let path = |name: &str| stage.path(name).to_str().expect("a plain path").to_owned();
    for (option, name) in [("--csv", "csv"), ("--sqlite", "journal.db"), ("--beancount", "journal.beancount")]
    {
        let target = path(name);
        let words = ["export", option, target.as_str(), "--json"];
        let first = stage.on("data", &words);
        assert_eq!(first.status.code(), Some(0), "{}", told(&first));
        let object: serde_json::Value = serde_json::from_slice(&first.stdout).expect("one object");
        assert_eq!(object["lsn"], status["lsn"]);
        let again = stage.on("data", &words);
        assert_eq!(again.status.code(), Some(2), "{}", told(&again));
        let forced = stage.on("data", &[&words[..], &["--force"]].concat());
        assert_eq!(forced.status.code(), Some(0), "{}", told(&forced));
        assert!(!stage.path(&format!("{name}.partial")).exists());
    }
    let some = stage.on("data", &["export", "--csv", &path("some"), "--table", "fills", "cycles"]);
    assert_eq!(some.status.code(), Some(0), "{}", told(&some));
    let mut names: Vec<String> = fs::read_dir(stage.path("some"))
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["cycles.csv", "fills.csv", "schema.json"]);
    let none = stage.on("data", &["export", "--csv", &path("none"), "--table", "fils"]);
    assert_eq!(none.status.code(), Some(2), "{}", told(&none));
    assert!(!stage.path("none").exists() && !stage.path("none.partial").exists());

    let ask = |sql: &str| -> Vec<serde_json::Value> {
        let answer = stage.on("data", &["query", sql, "--json"]);
        assert_eq!(answer.status.code(), Some(0), "{}", told(&answer));
        let lines = String::from_utf8(answer.stdout).expect("text");
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let cycles = ask("select sum(realised) as profit, count(closed) as closed from cycles");
    assert_eq!(cycles[0]["columns"], serde_json::json!(["profit", "closed"]));
    assert_eq!(cycles[1]["profit"], status["summary"]["realised"]);
    assert_eq!(cycles[1]["closed"], status["summary"]["closed"]);
    assert_eq!(cycles[2]["lsn"], status["lsn"]);
    for balance in status["summary"]["balances"].as_array().expect("balances") {
        let sql = format!(
            "select total from balances where asset = '{}'",
            balance["asset"].as_str().expect("a name")
        );
        assert_eq!(ask(&sql)[1]["total"], balance["total"]);
    }
    let wrong = stage.on("data", &["query", "select x from fills"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", told(&wrong));
    assert!(told(&wrong).contains("--tables"), "{}", told(&wrong));
    let wide = stage.on("data", &["query", "select * from fills limit 3"]);
    let text = String::from_utf8(wide.stdout).expect("text");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.ends_with("(3 rows)\n"), "{text}");
    let tables = stage.on("data", &["query", "--tables"]);
    assert!(String::from_utf8_lossy(&tables.stdout).contains("plan_stages"), "{}", told(&tables));
}
