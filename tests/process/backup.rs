//! `aegis backup` beside an engine under load, killed again and again; and `aegis restore` of what it left.

use crate::program::{PATIENCE, Stage, aegis};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Backups that are killed.
const KILLS: u32 = 24;
/// The one seed of the moments.
const SEED: u64 = 0x5eed_ba11;

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}: {} {}", output.status, text(&output.stdout), text(&output.stderr))
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn backing_up(stage: &Stage, data: &str) -> Command {
    let mut command = aegis();
    command.args(["backup", "--json"]).arg(stage.path("backup")).arg("--data").arg(stage.path(data));
    command
}

fn last_lsn(backup: &Path) -> u64 {
    let manifest = std::fs::read_to_string(backup.join("market/engine/manifest")).unwrap_or_default();
    let last = |line: &str| line.strip_prefix("segment ")?.split(' ').nth(3)?.parse().ok();
    manifest.lines().filter_map(last).max().unwrap_or(0)
}

/// What `replay` of a data directory makes of its engine's journal: last record and digest.
fn replayed(stage: &Stage, data: &str, until: Option<u64>) -> (u64, String) {
    let until = until.map(|lsn| lsn.to_string());
    let mut words = vec!["replay", "--json", "--no-checkpoints"];
    words.extend(until.iter().flat_map(|lsn| ["--until", lsn]));
    let out = stage.on(data, &words);
    assert_eq!(out.status.code(), Some(0), "{}", told(&out));
    let line = &lines(&out)[0];
    (line["lsn"].as_u64().expect("a number"), line["summary"]["digest"].to_string())
}

#[test]
fn a_backup_beside_a_running_engine_killed_again_and_again_restores_to_the_state_that_was_there() {
    let stage = Stage::small(16_000);
    let mut running = stage.start("data", &[]);
    let backup = stage.path("backup");
    let asked = Instant::now();
    while !stage.path("data/market/engine/0000000001.seg").is_file() {
        assert!(asked.elapsed() < PATIENCE, "no journal: {}", running.said());
        std::thread::yield_now();
    }
    let (mut seed, mut held, mut struck, mut beside) = (SEED, 0, 0, 0);
    let mut longest = Duration::from_millis(40);
    for kill in 0..KILLS {
        // xorshift: the moment is anywhere in the time that a whole backup takes.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let moment = longest.mul_f64(f64::from((seed >> 40) as u32) / f64::from(1 << 24));
        let began = Instant::now();
        let mut child = backing_up(&stage, "data")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while began.elapsed() < moment && child.try_wait().expect("its state").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("SIGKILL");
        let ended = child.wait().expect("its end");
        if ended.code().is_none() {
            struck += 1;
        } else {
            longest = longest.max(began.elapsed());
        }
        beside += u32::from(running.is_alive());
        let lsn = last_lsn(&backup);
        assert!(lsn >= held, "kill {kill}: {lsn} where {held} was held");
        held = lsn;
        if held > 0 {
            let verify = aegis().arg("verify").arg(backup.join("market/engine")).output().expect("it starts");
            assert_eq!(verify.status.code(), Some(0), "kill {kill}: {}", told(&verify));
        }
        if kill % 6 == 5 {
            // One that is let through, so that the killed ones have something to build on.
            let whole = backing_up(&stage, "data").output().expect("it starts");
            assert_eq!(whole.status.code(), Some(0), "{}", told(&whole));
            longest = longest.max(began.elapsed().saturating_sub(moment));
        }
    }
    assert!(struck > 0 && beside > 0, "{struck} kills struck, {beside} beside a running engine");
    let done = backing_up(&stage, "data").output().expect("it starts");
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let engine = lines(&done).into_iter().find(|line| line["journal"].to_string().contains("engine"));
    let lsn = engine.expect("the engine's line")["last_lsn"].as_u64().expect("a number");
    assert!(lsn >= held && lsn > 0);
    // A plain copy under load is backed up if it is whole, and refused if a file was lost or torn on the way.
    let copied =
        Command::new("cp").arg("-r").arg(stage.path("data/market/engine")).arg(stage.path("copy")).status();
    assert!(copied.is_ok());
    let of_copy = stage.path("of-copy").display().to_string();
    let copy = stage
        .on("none", &["backup", &of_copy, "--journal", &stage.path("copy").display().to_string(), "--json"]);
    let copied =
        (copy.status.code() == Some(0)).then(|| lines(&copy)[0]["last_lsn"].as_u64().expect("a number"));
    assert!(copied.is_some() || copy.status.code() == Some(65), "{}", told(&copy));
    let status = running.wait(PATIENCE);
    assert!(status.success(), "{}", running.said());
    println!(
        "{KILLS} backups, {struck} killed in their course, {beside} beside a running engine; {lsn} records"
    );

    let restored = stage
        .on("none", &["restore", &backup.display().to_string(), &stage.path("back").display().to_string()]);
    assert_eq!(restored.status.code(), Some(0), "{}", told(&restored));
    // The backup reads as a data directory where it lies, and both hold the state that was there.
    let there = replayed(&stage, "data", Some(lsn));
    assert_eq!(there.0, lsn);
    assert_eq!(replayed(&stage, "backup", None), there);
    assert_eq!(replayed(&stage, "back", None), there);
    let head = |data: &str| {
        stage.on(
            "none",
            &["verify", "--print-head", &stage.path(data).join("market/engine").display().to_string()],
        )
    };
    let printed = String::from_utf8_lossy(&head("back").stdout).trim().to_owned();
    assert!(printed.starts_with(&format!("{lsn}:")), "{printed}");
    let kept = stage
        .on("none", &["verify", &stage.path("data/market/engine").display().to_string(), "--head", &printed]);
    assert_eq!(kept.status.code(), Some(0), "{}", told(&kept));
    // No engine starts on the backup itself.
    let mut run = aegis();
    run.args(stage.run("backup"));
    let refused = run.output().expect("it starts");
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    if let Some(lsn) = copied.filter(|lsn| *lsn > 0) {
        let out = stage.on("none", &["replay", &of_copy, "--json", "--no-checkpoints"]);
        let digest = lines(&out)[0]["summary"]["digest"].to_string();
        assert_eq!((lsn, digest), replayed(&stage, "data", Some(lsn)));
    }
    // And of the finished run: restored, it is finished; the same directory takes what is new.
    let done = backing_up(&stage, "data").output().expect("it starts");
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let again = stage
        .on("none", &["restore", &backup.display().to_string(), &stage.path("end").display().to_string()]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    assert_eq!(replayed(&stage, "end", None), replayed(&stage, "data", None));
    stage.complete("end", &[]);
}

#[test]
fn a_restore_that_is_killed_leaves_no_directory_and_the_next_one_completes() {
    let stage = Stage::small(6_000);
    stage.complete("data", &[]);
    let done = backing_up(&stage, "data").output().expect("it starts");
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let restoring = || {
        let mut command = aegis();
        command.arg("restore").arg(stage.path("backup")).arg(stage.path("back"));
        command
    };
    let mut struck = 0;
    for ms in 0..40 {
        let mut child = restoring().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(ms * 3)
            && child.try_wait().expect("its state").is_none()
        {
            std::thread::yield_now();
        }
        child.kill().expect("SIGKILL");
        if child.wait().expect("its end").code().is_some() {
            break;
        }
        struck += 1;
        assert!(
            !stage.path("back").exists() || replayed(&stage, "back", None) == replayed(&stage, "data", None),
            "it is there whole or not at all"
        );
        if stage.path("back").exists() {
            break;
        }
    }
    assert!(struck > 0);
    if !stage.path("back").exists() {
        let out = restoring().output().expect("it starts");
        assert_eq!(out.status.code(), Some(0), "{}", told(&out));
    }
    assert_eq!(replayed(&stage, "back", None), replayed(&stage, "data", None));
    let left: Vec<_> = std::fs::read_dir(stage.path(".")).expect("the stage").flatten().collect();
    assert!(!left.iter().any(|e| e.file_name().to_string_lossy().ends_with(".restoring")));
}

#[test]
fn what_no_backup_or_restore_is_made_of_is_refused_in_words_and_changes_nothing() {
    let mut stage = Stage::small(3_000);
    stage.complete("data", &[]);
    // Ids are drawn from the seed: another one makes another journal.
    let seed = stage.options.iter_mut().find(|option| *option == "7").expect("a seed");
    *seed = "8".to_owned();
    stage.complete("other", &[]);
    let path = |name: &str| stage.path(name).display().to_string();
    let refused = |words: &[&str], code: i32, why: &str| {
        let out = stage.on("data", words);
        assert_eq!(
            (out.status.code(), text(&out).contains(why)),
            (Some(code), true),
            "{words:?}: {}",
            told(&out)
        );
    };
    refused(&["backup", &path("data/inside")], 2, "lie within each other");
    refused(&["backup", &path(".")], 2, "lie within each other");
    refused(&["backup", &path("data")], 2, "lie within each other");
    assert!(!stage.path("data/inside").exists());
    std::fs::create_dir(stage.path("foreign")).expect("made");
    stage.write("foreign/note", "mine");
    refused(&["backup", &path("foreign")], 2, "holds something");
    refused(&["backup", &path("foreign"), "--journal", &path("data/market/engine")], 2, "holds note");
    refused(&["backup", &path("new"), "--journal", &path("foreign")], 2, "no journal");
    refused(&["backup", &path("nowhere/new")], 74, "No such file");
    // A link where a directory should be is not followed.
    let whole = stage.on("data", &["backup", &path("backup")]);
    assert_eq!(whole.status.code(), Some(0), "{}", told(&whole));
    std::fs::create_dir(stage.path("linked")).expect("made");
    std::fs::copy(stage.path("backup/AEGIS-BACKUP"), stage.path("linked/AEGIS-BACKUP")).expect("copied");
    std::os::unix::fs::symlink(stage.path("foreign"), stage.path("linked/market")).expect("a link");
    refused(&["backup", &path("linked")], 2, "is a link");
    std::os::unix::fs::symlink(stage.path("backup"), stage.path("link")).expect("a link");
    refused(&["backup", &path("link")], 2, "is a link");
    // A first backup that was interrupted between the two journals of an act.
    let half = stage.on("data", &["backup", &path("half")]);
    assert_eq!(half.status.code(), Some(0), "{}", told(&half));
    std::fs::remove_file(stage.path("half/market/venue/manifest")).expect("removed");
    refused(&["restore", &path("half"), &path("new")], 2, "no finished backup");
    let verified = stage.on("half", &["verify"]);
    assert_eq!(verified.status.code(), Some(2), "{}", told(&verified));
    assert!(told(&verified).contains("no finished backup"), "{}", told(&verified));
    std::fs::remove_dir_all(stage.path("half/market/venue")).expect("removed");
    refused(&["restore", &path("half"), &path("new")], 65, "the other journal is missing");
    assert!(!stage.path("new").exists());
    // Another journal, an occupied target, something that is no backup.
    let other = stage.on("other", &["backup", &path("backup")]);
    assert_eq!(other.status.code(), Some(2), "{}", told(&other));
    assert!(text(&other).contains("another directory"), "{}", told(&other));
    refused(&["restore", &path("backup"), &path("foreign")], 2, "nothing is restored over anything");
    refused(&["restore", &path("backup"), &path("backup/x")], 2, "lie within each other");
    refused(&["restore", &path("foreign"), &path("new")], 2, "no backup");
    refused(&["restore", &path("nowhere"), &path("new")], 2, "no backup");
    std::fs::create_dir(stage.path("new.restoring")).expect("made");
    stage.write("new.restoring/note", "mine");
    refused(&["restore", &path("backup"), &path("new")], 2, "move it away");
    assert!(!stage.path("new").exists() && stage.path("new.restoring/note").is_file());
    // One journal by itself, into the directory that is named, and back.
    let one = stage.on("none", &["backup", &path("one"), "--journal", &path("data/market/engine"), "--json"]);
    assert_eq!((one.status.code(), lines(&one).len()), (Some(0), 1), "{}", told(&one));
    let back = stage.on("none", &["restore", &path("one"), &path("single")]);
    assert_eq!(back.status.code(), Some(0), "{}", told(&back));
    for name in ["one", "single"] {
        let out = stage.on("none", &["diff", &path("data/market/engine"), &path(name)]);
        assert_eq!(out.status.code(), Some(0), "{}", told(&out));
    }
    refused(&["backup", &path("one")], 2, "say --journal");
    // Damage: the journal's is refused, the backup's is found by `verify` and mended by reading everything.
    let rot = |file: &str| {
        let mut bytes = std::fs::read(stage.path(file)).expect("a segment");
        bytes[9_000] ^= 1;
        std::fs::write(stage.path(file), bytes).expect("written");
    };
    rot("backup/market/engine/0000000001.seg");
    let found = stage.on("backup", &["verify"]);
    assert_eq!(found.status.code(), Some(65), "{}", told(&found));
    let not = stage.on("data", &["restore", &path("backup"), &path("rotten")]);
    assert_eq!(not.status.code(), Some(65), "{}", told(&not));
    assert!(!stage.path("rotten").exists());
    let mended = stage.on("data", &["backup", &path("backup"), "--full"]);
    assert_eq!(stage.on("backup", &["verify"]).status.code(), Some(0), "{}", told(&mended));
    rot("data/market/engine/0000000001.seg");
    let damaged = stage.on("data", &["backup", &path("backup"), "--full"]);
    assert_eq!(damaged.status.code(), Some(65), "{}", told(&damaged));
    assert!(text(&damaged).contains("offset"), "{}", told(&damaged));
    assert_eq!(stage.on("backup", &["verify"]).status.code(), Some(0));
    let with = stage.on("data", &["backup", &path("asis"), "--as-it-is"]);
    assert_eq!(with.status.code(), Some(65), "{}", told(&with));
    assert!(told(&with).contains("with their damage"), "{}", told(&with));
}

#[test]
fn a_journal_is_archived_between_two_runs_and_ends_as_one_that_kept_everything() {
    let stage = Stage::small(31_000);
    stage.complete("kept", &[]);
    let path = |name: &str| stage.path(name).display().to_string();
    let done = |data: &str, words: &[&str], code: i32| {
        let out = stage.on(data, words);
        assert_eq!(out.status.code(), Some(code), "{words:?}: {}", told(&out));
        out
    };
    let (backup, engine) = (path("backup"), path("data/market/engine"));
    let first = |name: &str| {
        let names = std::fs::read_dir(stage.path(name)).expect("a journal").flatten();
        let names = names.filter_map(|e| e.file_name().into_string().ok());
        names.filter(|name| name.ends_with(".seg")).min()
    };
    let mut begins = 0;
    for rows in ["16000", "29000"] {
        let mut run = aegis();
        let out = run.args(stage.run("data")).args(["--stop-after", rows]).output().expect("it starts");
        assert!(out.status.success(), "{}", told(&out));
        let head = String::from_utf8_lossy(&done("none", &["verify", "--print-head", &engine], 0).stdout)
            .trim()
            .to_owned();
        let names = first("data/market/engine");
        done("data", &["prune", &backup, "--keep-from", "1"], if begins == 0 { 2 } else { 0 });
        assert_eq!(first("data/market/engine"), names, "nothing that is to be kept is dropped");
        let archived = lines(&done("data", &["archive", &backup, "--json"], 0));
        let line = archived
            .iter()
            .find(|line| line["records"].as_u64() > Some(0))
            .unwrap_or_else(|| panic!("nothing was dropped: {archived:?}"));
        let last = line["begins_behind"].as_u64().expect("a number");
        assert!(last > begins, "{line}");
        begins = last;
        let begin = stage.path("data/market/engine").join(first("data/market/engine").expect("a page"));
        assert_eq!(begin.metadata().expect("it is there").len(), 4096, "a page stands where segments were");
        done("data", &["verify"], 0);
        done("none", &["verify", &engine, "--head", &head], 0);
        done("backup", &["verify"], 0);
        // What needs the whole history says where it is; the state and the last records are read here.
        for words in [
            &["audit", &engine][..],
            &["explain", "asset", "USDT", "--journal", &engine],
            &["query", "--journal", &engine, "select 1"],
            &["replay", &engine, "--until", "5"],
            &["replay", &engine, "--no-checkpoints"],
            &["log", &engine],
        ] {
            let out = stage.on("none", words);
            assert_eq!(out.status.code(), Some(2), "{words:?}: {}", told(&out));
            assert!(text(&out).contains("backup in") && text(&out).contains("were pruned"), "{}", told(&out));
        }
        let state = |out: &Output| lines(out)[0]["summary"]["digest"].to_string();
        let here = state(&done("none", &["replay", &engine, "--json"], 0));
        let there =
            state(&done("none", &["replay", &path("backup/market/engine"), "--json", "--no-checkpoints"], 0));
        assert_eq!(here, there);
        done("data", &["status"], 0);
        let end = head.split(':').next().expect("a number").to_owned();
        assert_eq!(lines(&done("none", &["log", &engine, "--from", &end, "--json"], 0)).len(), 1);
    }
    // Brought back, it is whole; and goes again.
    let unpruned = lines(&done("data", &["unprune", &backup, "--json"], 0));
    assert!(unpruned.iter().any(|line| line["segments"].as_u64() > Some(0)), "{unpruned:?}");
    done("none", &["audit", &engine, "--json"], 0);
    assert_eq!(replayed(&stage, "data", None), replayed(&stage, "backup", None));
    done("data", &["prune", &backup], 0);
    done("none", &["audit", &engine, "--json"], 2);
    // No journal is a backup of itself, and no backup is pruned.
    std::fs::create_dir_all(stage.path("alias/market")).expect("made");
    for room in ["engine", "venue"] {
        std::os::unix::fs::symlink(
            stage.path(&format!("data/market/{room}")),
            stage.path(&format!("alias/market/{room}")),
        )
        .expect("a link");
    }
    assert!(text(&done("data", &["prune", &path("alias")], 2)).contains("one directory"));
    assert!(text(&done("backup", &["prune", &path("data")], 2)).contains("is a backup"));
    stage.complete("data", &[]);
    done("data", &["backup", &backup], 0);
    let records = replayed(&stage, "backup", None);
    let kept = replayed(&stage, "kept", None);
    assert_eq!(worth(&stage, "backup"), worth(&stage, "kept"), "{records:?} {kept:?}");
    // An engine that runs keeps its journal.
    let mut running = stage.start("fresh", &["--pace", "realtime"]);
    let asked = Instant::now();
    while !stage.path("fresh/market/engine/live").is_file() {
        assert!(asked.elapsed() < PATIENCE, "no journal: {}", running.said());
        std::thread::yield_now();
    }
    assert!(text(&done("fresh", &["archive", &path("other")], 73)).contains("stop it first"));
    assert!(running.is_alive() && !stage.path("other").exists());
    running.kill();
}

/// What a run came to: fills, closed positions, money.
fn worth(stage: &Stage, data: &str) -> String {
    let out = stage.on(data, &["replay", "--json", "--no-checkpoints"]);
    let summary = lines(&out)[0]["summary"].clone();
    ["fills", "closed", "realised", "fees", "dust"].map(|name| summary[name].to_string()).join(" ")
}
