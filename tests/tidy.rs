//! What the compiler does not check about the house: who may name whom, what a pure room's head says, that every
//! file says what it is, and that no test is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and the rooms that each may name. One way only.
const GRAPH: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("journal", &[]),
    ("projection", &["model"]),
    ("cryptocom", &["model"]),
    ("signal", &["model"]),
    ("engine", &["projection", "model"]),
    ("paper", &["model"]),
    ("node", &["model", "journal"]),
    ("forensics", &["projection", "model", "journal"]),
    ("legacy", &["model", "cryptocom"]),
    ("tables", &["model", "journal", "projection", "forensics"]),
    ("columns", &["model", "tables"]),
    // It runs the program's own client of the exchange, by naming its files; it links nothing of the program.
    ("sim", &["model", "journal", "projection", "cryptocom", "engine", "paper", "node"]),
    // It too reads with the program's files: configuration, signals, market data.
    ("fuzz", &["model", "journal", "projection", "cryptocom", "signal", "engine", "paper", "node", "legacy"]),
    (
        "aegis",
        &[
            "model",
            "journal",
            "projection",
            "cryptocom",
            "signal",
            "engine",
            "paper",
            "node",
            "forensics",
            "legacy",
            "tables",
            "columns",
        ],
    ),
];

/// Rooms whose own code names no clock, file, thread or environment.
const PURE: &[&str] = &["model", "projection", "cryptocom", "signal", "engine", "paper"];

/// Crates that live only in the program.
const ONLY_IN_AEGIS: &[&str] =
    &["axum", "clap", "crossterm", "reqwest", "rustls", "tokio", "tokio-tungstenite", "tracing-subscriber"];

/// Crates that the trading build may link at most, our own rooms among them. Six more only run while it is
/// compiled, mostly for the C and assembly in zstd, blake3 and ring, and are in no program.
const TRADING_CRATES_MAX: usize = 150;
const TRADING_CRATES_TO_BUILD_MAX: usize = 156;
/// What an analyst or a guest needs, and no trader.
const NOT_TO_TRADE: &[&str] = &[
    "aegis-columns",
    "aegis-forensics",
    "aegis-legacy",
    "aegis-tables",
    "arrow-array",
    "arrow-buffer",
    "arrow-ipc",
    "arrow-schema",
    "axum",
    "clap_complete",
    "crossterm",
    "indicatif",
    "jiff",
    "parquet",
    "plotters",
    "rusqlite",
];
/// What a library for reading journals brings nobody.
const NOT_TO_READ: &[&str] = &["hyper", "mio", "reqwest", "rustls", "tokio", "tracing"];

/// The one file of the product that may contain unsafe code.
const UNSAFE_FILE: &str = "crates/journal/src/storage/mmap.rs";
/// An analyst's file that must promise SQLite the layout of two structs: the words `unsafe impl`, and nothing else unsafe.
const PROMISES_FILE: &str = "crates/tables/src/query/vtab.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every file below `dir` with this extension, build output left out.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rooms() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("crates"))
        .expect("crates/")
        .map(|e| e.expect("an entry").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    names
}

/// Names under `[dependencies]`, and under the other dependency tables when asked for.
fn dependencies(manifest: &Path, tables: &[&str]) -> BTreeSet<String> {
    let parsed: toml::Table =
        read(manifest).parse().unwrap_or_else(|e| panic!("{}: {e}", manifest.display()));
    tables
        .iter()
        .filter_map(|table| parsed.get(*table).and_then(|t| t.as_table()))
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = GRAPH.iter().copied().collect();
    for room in rooms() {
        let may =
            allowed.get(room.as_str()).unwrap_or_else(|| panic!("crates/{room} is no room of the house"));
        let manifest = root().join("crates").join(&room).join("Cargo.toml");
        for name in dependencies(&manifest, &["dependencies", "build-dependencies"]) {
            if let Some(other) = name.strip_prefix("aegis-") {
                assert!(may.contains(&other), "crates/{room} names {other}: the arrow runs the wrong way");
            }
            let only = ONLY_IN_AEGIS.contains(&name.as_str()) && room != "aegis";
            assert!(!only, "crates/{room} depends on {name}, which lives only in the program");
        }
    }
}

/// Names and versions of what a package is linked with on this machine, itself among it.
fn tree(options: &[&str]) -> BTreeSet<String> {
    let out = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--prefix", "none", "--format", "{p}"])
        .args(options)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(out.status.success(), "cargo tree {options:?}: {}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("names are text");
    // Name and version; whether a line repeats an earlier one and where a package lies does not count.
    lines.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// Which of some crates are among those of a tree.
fn present<'a>(tree: &BTreeSet<String>, names: &[&'a str]) -> Vec<&'a str> {
    let is_there = |name: &&str| tree.iter().any(|package| package.split(' ').next() == Some(*name));
    names.iter().copied().filter(is_there).collect()
}

#[test]
fn the_trading_build_stays_small() {
    let bare = ["--package", "aegis", "--no-default-features", "--edges"];
    let linked = tree(&[&bare[..], &["normal"]].concat());
    let built = tree(&[&bare[..], &["normal,build"]].concat());
    let counts = (linked.len(), built.len());
    assert!(counts.0 <= TRADING_CRATES_MAX, "{} crates: {linked:#?}", counts.0);
    assert!(counts.1 <= TRADING_CRATES_TO_BUILD_MAX, "{} crates to build: {built:#?}", counts.1);
    assert_eq!(present(&built, NOT_TO_TRADE), [""; 0], "the trading build needs none of these");
    let whole = tree(&["--package", "aegis", "--edges", "normal"]);
    let must = ["aegis-forensics", "aegis-legacy", "aegis-tables", "axum", "crossterm", "rusqlite"];
    assert_eq!(
        present(&whole, &must),
        must,
        "the whole program has them, so that their absence says something"
    );
}

#[test]
fn the_libraries_bring_no_runtime_and_no_client() {
    for room in ["aegis-model", "aegis-journal", "aegis-projection"] {
        let tree = tree(&["--package", room, "--all-features", "--edges", "normal,build"]);
        assert!(tree.iter().any(|package| package.starts_with(room)), "{room} is in its own tree");
        assert_eq!(present(&tree, NOT_TO_READ), [""; 0], "{room}");
    }
    // Examples and tests of the two are compiled by whoever works on them.
    for room in ["aegis-journal", "aegis-projection"] {
        let tree = tree(&["--package", room, "--edges", "all"]);
        assert_eq!(present(&tree, &["reqwest", "tokio"]), [""; 0], "{room} with what its tests need");
    }
}

#[test]
fn pure_rooms_say_so_and_keep_to_it() {
    let banned = ["std::", "f32", "f64", "HashMap", "HashSet", "SystemTime", "Instant::", "tokio", "thread"];
    for room in rooms().iter().filter(|r| PURE.contains(&r.as_str())) {
        let src = root().join("crates").join(room).join("src");
        let head = read(&src.join("lib.rs"));
        assert!(head.contains("#![no_std]"), "crates/{room} must be no_std");
        assert!(head.contains("#![forbid(unsafe_code)]"), "crates/{room} must forbid unsafe code");
        let floats = head.contains("#![deny(clippy::float_arithmetic)]");
        assert!(floats || room == "signal", "crates/{room} must deny floats");
        for file in files(&src, "rs") {
            if file.ends_with("tests.rs") || file.components().any(|c| c.as_os_str() == "tests") {
                continue;
            }
            for (at, line) in read(&file).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for word in banned {
                    assert!(!code.contains(word), "{}:{}: `{word}` in a pure room", file.display(), at + 1);
                }
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is() {
    for dir in ["crates", "tests", "benches"] {
        for file in files(&root().join(dir), "rs") {
            let text = read(&file);
            assert!(text.starts_with("//!"), "{}: no head comment", file.display());
            assert!(!text.starts_with("//! placeholder"), "{}: still a placeholder", file.display());
        }
    }
}

#[test]
fn unsafe_code_lives_in_one_file() {
    for file in files(&root().join("crates"), "rs") {
        if file.ends_with(UNSAFE_FILE) || file.starts_with(root().join(UNSAFE_FILE)) {
            continue;
        }
        let promises = file.ends_with(PROMISES_FILE);
        for (at, line) in read(&file).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let words = if promises {
                &["unsafe {", "unsafe fn"][..]
            } else {
                &["unsafe {", "unsafe fn", "unsafe impl"]
            };
            let found = words.iter().any(|word| code.contains(word));
            assert!(!found, "{}:{}: unsafe outside {UNSAFE_FILE}", file.display(), at + 1);
        }
    }
    let promised = read(&root().join(PROMISES_FILE)).matches("unsafe impl").count();
    assert_eq!(promised, 2, "{PROMISES_FILE} promises the layout of two structs");
    let lines = read(&root().join(UNSAFE_FILE)).lines().count();
    assert!(lines <= 150, "{UNSAFE_FILE} has {lines} lines; 150 are allowed");
}

#[test]
fn no_test_is_forgotten_or_skipped() {
    for dir in ["crates", "tests", "benches"] {
        for file in files(&root().join(dir), "rs") {
            let text = read(&file);
            let forbidden = ["#[ignore", "todo!(", "unimplemented!("];
            for word in forbidden {
                let itself = file.ends_with("tests/tidy.rs");
                assert!(itself || !text.contains(word), "{}: {word}", file.display());
            }
            if file.file_name().is_some_and(|n| n == "tests.rs") {
                let parent = file.parent().expect("a folder");
                let owners = [
                    parent.with_extension("rs"),
                    parent.join("lib.rs"),
                    parent.join("main.rs"),
                    parent.join("mod.rs"),
                ];
                let declared = owners
                    .iter()
                    .filter(|owner| owner.exists())
                    .any(|owner| read(owner).contains("mod tests;"));
                assert!(declared, "{}: no `mod tests;` names it", file.display());
            }
        }
    }
    for package in ["tests", "benches"] {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        // Tests of the program itself belong to its package, which knows where the binary lies; a bench of columns belongs
        // to theirs, so that the others are not built with what it needs.
        let others = ["aegis", "columns"]
            .map(|room| read(&root().join("crates").join(room).join("Cargo.toml")))
            .concat();
        for file in files(&root().join(package), "rs") {
            let name = file.strip_prefix(root().join(package)).expect("below").to_string_lossy().into_owned();
            if name.contains('/') {
                continue;
            }
            let named = manifest.contains(&format!("path = \"{name}\""))
                || others.contains(&format!("path = \"../../{package}/{name}\""));
            assert!(named, "{package}/{name} is in no [[test]] or [[bench]]");
        }
    }
}

#[test]
fn readme_begins_with_what_a_newcomer_needs() {
    let text = read(&root().join("README.md"));
    let first: String = text.lines().take(40).collect::<Vec<_>>().join("\n");
    for command in ["cargo run --release -- run", "cargo test --workspace"] {
        assert!(first.contains(command), "the README's first screen must show `{command}`");
    }
    let ci = read(&root().join(".ci/run"));
    for command in ["cargo test --workspace", "cargo fmt", "cargo clippy --workspace --all-targets"] {
        assert!(ci.contains(command), ".ci/run must call `{command}`");
    }
}

/// Names of every function under `#[test]`, in whatever macro it stands.
fn tests_by_name() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for dir in ["crates", "tests", "benches"] {
        for file in files(&root().join(dir), "rs") {
            let text = read(&file);
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
                    is_test = true;
                } else if let Some(rest) =
                    line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")).filter(|_| is_test)
                {
                    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                    names.insert(rest[..end].to_owned());
                    is_test = false;
                } else if !(line.is_empty() || line.starts_with("//") || line.starts_with("#[")) {
                    is_test = false;
                }
            }
        }
    }
    names
}

/// The rows of the design's three tables: how many there are of each.
fn faults() -> BTreeSet<String> {
    let journal = ["A", "B", "C", "D", "E", "H", "J"].map(|row| format!("1.{row}"));
    let machine = (1..=18).map(|row| format!("2.{row}"));
    let exchange = (1..=21).map(|row| format!("3.{row}"));
    journal.into_iter().chain(machine).chain(exchange).collect()
}

#[test]
fn every_fault_names_what_proves_how_it_ends() {
    let tests = tests_by_name();
    let sim = root().join("crates/sim/src");
    let rules = read(&sim.join("oracle.rs"));
    let classes = read(&sim.join("plan.rs"));
    let mutants = read(&sim.join("mutants.rs"));
    let targets = read(&root().join("crates/fuzz/src/targets.rs"));
    let mut seen = BTreeSet::new();
    let table = read(&root().join("fixtures/faults.tsv"));
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [row, fault, proofs, lacking] = cells[..] else { panic!("four columns: {line:?}") };
        assert!(!fault.is_empty() && !proofs.is_empty(), "row {row} says too little");
        assert!(seen.insert(row.to_owned()), "row {row} is there twice");
        if proofs == "none" {
            assert!(!lacking.is_empty(), "row {row} has no proof and does not say why");
            continue;
        }
        for proof in proofs.split(", ") {
            let exists = match proof.split_once(':') {
                None => tests.contains(proof),
                Some(("sim", name)) => {
                    rules.contains(&format!("\"{name}\",")) || classes.contains(&format!(" \"{name}\","))
                }
                Some(("mutant", number)) => mutants.contains(&format!("mutant({number}, \"")),
                Some(("fuzz", name)) => targets.contains(&format!("name: \"{name}\"")),
                Some(_) => false,
            };
            assert!(exists, "row {row} names {proof}, which does not exist");
        }
    }
    assert_eq!(seen, faults(), "every row of the design is there");
}
