//! `aegis export --parquet` and `--arrow`: whole or not there, where the program has them; where it has not, it says how to
//! build it with them.

use super::program::*;

#[test]
fn columns_are_exported_whole_or_it_is_said_how_to_have_them() {
    let stage = Stage::small(600);
    stage.complete("data", &[]);
    for (option, name) in [("--parquet", "parquet"), ("--arrow", "arrow")] {
        let target = stage.path(name);
        let words = ["export", option, target.to_str().expect("a plain path"), "--json"];
        let first = stage.on("data", &words);
        if cfg!(not(feature = "columns")) {
            assert_eq!(first.status.code(), Some(2), "{}", told(&first));
            assert!(told(&first).contains("--features columns"), "{}", told(&first));
            assert!(!target.exists());
            continue;
        }
        assert_eq!(first.status.code(), Some(0), "{}", told(&first));
        let object: serde_json::Value = serde_json::from_slice(&first.stdout).expect("one object");
        let tables = object["rows"].as_object().expect("rows of each table");
        for table in tables.keys() {
            assert!(target.join(format!("{table}.{name}")).exists(), "{table}");
        }
        let again = stage.on("data", &words);
        assert_eq!(again.status.code(), Some(2), "{}", told(&again));
        let forced = stage.on("data", &[&words[..], &["--force"]].concat());
        assert_eq!(forced.status.code(), Some(0), "{}", told(&forced));
        assert!(!stage.path(&format!("{name}.partial")).exists());
    }
}
