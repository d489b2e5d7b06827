//! How the program ends and what it says: one engine a journal, full disks, wrong words, readers who leave.

use crate::journals::Story;
use crate::program::{Stage, aegis, told, until};
use aegis_forensics::Reading;
use aegis_model::Fact;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use std::io::Read;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const BOUND: Duration = Duration::from_secs(60);

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn s42_a_second_engine_refuses_and_names_the_holder() {
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2", "--pace", "realtime"]);
    let mut first = stage.start("data", &[]);
    until("the first engine answers `status`", BOUND, || {
        let status = stage.on("data", &["status", "--json"]);
        String::from_utf8_lossy(&status.stdout).contains("\"running\":true")
    });
    let second = aegis().args(stage.run("data")).output().expect("the program starts");
    assert_eq!(second.status.code(), Some(73), "a second engine on the same data: {}", told(&second));
    let pid = first.child.id().to_string();
    assert!(
        stderr(&second).contains(&pid),
        "the holder is process {pid}, and the refusal says: {}",
        stderr(&second)
    );
    for words in
        [&["replay"][..], &["log"], &["status"], &["verify"], &["replay", "--json"], &["log", "--json"]]
    {
        let reader = stage.on("data", words);
        assert_eq!(reader.status.code(), Some(0), "`{words:?}` beside the running engine: {}", told(&reader));
        assert!(!reader.stdout.is_empty(), "`{words:?}` beside the running engine printed nothing");
    }
    let asked = Instant::now();
    first.signal(Signal::TERM);
    let status = first.wait(BOUND);
    assert!(asked.elapsed() < Duration::from_secs(10), "SIGTERM took {:?}", asked.elapsed());
    assert_eq!(status.code(), Some(0), "after SIGTERM: {}", first.said());
    let mut reading = Reading::open(&stage.path("data/act2/engine")).expect("its journal");
    let mut last = None;
    while let Some(point) = reading.next_point().expect("an intact record") {
        last = Some(point.event.fact);
    }
    assert!(matches!(last, Some(Fact::Stopped(_))), "the journal ends with {last:?} and not with Stopped");
    let third =
        aegis().args(stage.run("data")).args(["--stop-after", "1"]).output().expect("the program starts");
    assert_eq!(third.status.code(), Some(0), "once the holder is gone: {}", told(&third));
}

#[test]
fn a_command_that_is_not_carried_out_says_so_and_why_and_one_that_is_names_its_records() {
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2", "--pace", "realtime"]);
    let mut running = stage.start("data", &[]);
    until("it answers `status`", BOUND, || {
        String::from_utf8_lossy(&stage.on("data", &["status", "--json"]).stdout).contains("\"running\":true")
    });
    for (words, why) in [
        (&["open", "BTC_USDT", "0.000000001"][..], "refused: BTC_USDT entry: bad request"),
        (&["return-dust", "BTC_USDT"], "refused: BTC_USDT has no dust"),
        (&["accept-gap"], "refused: no gap waits to be accepted"),
        (&["accept-foreign", "--reason", "why not"], "refused: no order of ours"),
        (&["close", "DOGE_USDT"], "refused: instrument DOGE_USDT is not listed"),
    ] {
        let refused = stage.on("data", words);
        assert_eq!(refused.status.code(), Some(2), "`{words:?}`: {}", told(&refused));
        let said = stderr(&refused);
        assert!(said.contains(why), "`{words:?}`: {said}");
        // The record that it names says the same.
        let lsn = said.rsplit_once("(record ").map(|(_, rest)| rest.trim().trim_end_matches(')'));
        let lsn: u64 = lsn.and_then(|lsn| lsn.parse().ok()).unwrap_or_else(|| panic!("no record: {said}"));
        let mut reading = Reading::open(&stage.path("data/act2/engine")).expect("its journal");
        let record = std::iter::from_fn(|| reading.next_point().expect("an intact record"))
            .find(|point| point.lsn.0 == lsn)
            .expect("durable before it is told");
        assert!(
            matches!(record.event.fact, Fact::CommandRefused(_) | Fact::EntryRefused(_)),
            "{:?}",
            record.event
        );
    }
    let done = stage.on("data", &["halt", "enough"]);
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    assert!(String::from_utf8_lossy(&done.stdout).starts_with("done: records "), "{}", told(&done));
    running.signal(Signal::TERM);
    assert_eq!(running.wait(BOUND).code(), Some(0), "{}", running.said());
}

#[test]
fn a_journal_whose_first_segments_and_checkpoints_were_removed_is_refused_and_goes_on_once_they_are_back() {
    let stage = Stage::small(9_000);
    stage.complete("data", &[]);
    let (engine, aside) = (stage.path("data/market/engine"), stage.path("aside"));
    std::fs::create_dir(&aside).expect("a directory");
    let list = |dir: &std::path::Path| {
        let entries = std::fs::read_dir(dir).expect("it").map(|entry| entry.expect("an entry").path());
        // What holds records or state; the rest tells of the process that had the lock last.
        let entries = entries.filter(|path| path.extension().is_some());
        let named = entries.map(|path| (path.clone(), std::fs::read(path).unwrap_or_default()));
        named.collect::<std::collections::BTreeMap<_, _>>()
    };
    let whole = list(&engine);
    let is_taken = |name: &str| name.ends_with(".ckpt") || name.starts_with("0000000001.");
    for path in whole.keys() {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        if is_taken(name) {
            std::fs::rename(path, aside.join(name)).expect("moved");
        }
    }
    let before = list(&engine);
    assert!(before.len() + 1 < whole.len(), "a segment and a checkpoint are gone at least");
    for _ in 0..2 {
        let run = aegis().args(stage.run("data")).output().expect("the program starts");
        assert_eq!(run.status.code(), Some(65), "without its beginning: {}", told(&run));
        let text = stderr(&run);
        for what in ["market/engine", "record 1 is lost: 0000000001", "is missing", "aegis restore"] {
            assert!(text.contains(what), "{what} is not in: {text}");
        }
        assert!(!text.contains("panicked"), "{text}");
        assert!(list(&engine) == before, "something was changed");
    }
    for path in list(&aside).keys() {
        std::fs::rename(path, engine.join(path.file_name().expect("a name"))).expect("moved back");
    }
    stage.complete("data", &[]);
}

#[test]
fn s38_data_where_nothing_can_be_made() {
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2"]);
    stage.write("file", "not a directory\n");
    for data in ["file", "file/below"] {
        let run = aegis().args(stage.run(data)).output().expect("the program starts");
        assert_eq!(run.status.code(), Some(74), "--data {data}: {}", told(&run));
        assert!(stderr(&run).contains("file"), "--data {data}: the message names no path: {}", stderr(&run));
    }
    assert_eq!(std::fs::read_to_string(stage.path("file")).expect("still there"), "not a directory\n");

    // A foreign directory is not touched.
    std::fs::create_dir(stage.path("foreign")).expect("a directory");
    stage.write("foreign/letter.txt", "dear\n");
    let run = aegis().args(stage.run("foreign")).output().expect("the program starts");
    assert_eq!(run.status.code(), Some(2), "a directory with foreign files: {}", told(&run));
    assert_eq!(std::fs::read_dir(stage.path("foreign")).expect("it").count(), 1, "something was put there");

    // No file may grow beyond 64 KiB: the first segment cannot be made. SIGXFSZ is ignored, so that it is an error.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_aegis")]);
    let run = limited.args(stage.run("full")).stdin(Stdio::null()).output().expect("a shell");
    assert_eq!(run.status.code(), Some(74), "no room for the first segment: {}", told(&run));
    assert!(stderr(&run).contains("full"), "the message names no path: {}", stderr(&run));
    stage.complete("full", &[]);
    stage.complete("calm", &[]);
    let [full, calm] = ["full/act2", "calm/act2"].map(|act| Story::read(&stage.path(act)));
    full.agrees("after a start without room");
    full.equals(&calm, "after a start without room");
}

#[test]
fn s38_the_disk_fills_while_it_runs() {
    let stage = Stage::small(12_000);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_aegis")]);
    limited.args(stage.run("data")).stdin(Stdio::null());
    let mut running = stage.spawn(limited);
    let engine = stage.path("data/market/engine");
    until("a first record", BOUND, || {
        Reading::open(&engine).is_ok_and(|mut r| r.next_point().is_ok_and(|p| p.is_some()))
    });
    // From here on no file can be made larger than 64 KiB: no next segment.
    let limit = Rlimit { current: Some(65_536), maximum: Some(65_536) };
    prlimit(Some(Pid::from_child(&running.child)), Resource::Fsize, limit).expect("a lower limit");
    let status = running.wait(crate::program::PATIENCE);
    assert_eq!(status.code(), Some(74), "no room for the next segment: {}", running.said());
    assert!(running.said().contains("aegis: "), "no message: {}", running.said());
    let before = Story::read(&stage.path("data/market"));
    let verify = stage.on("data", &["verify"]);
    assert_eq!(verify.status.code(), Some(0), "what it left: {}", told(&verify));
    stage.complete("data", &[]);
    let after = Story::read(&stage.path("data/market"));
    after.agrees("after the disk was full");
    assert!(after.fills.starts_with(&before.fills), "fills from before the full disk changed");
    assert!(after.records > before.records, "nothing was played after the full disk");
}

#[test]
fn demo_amnesia_tells_the_story() {
    let demo = aegis().args(["demo", "amnesia"]).output().expect("the program starts");
    assert_eq!(demo.status.code(), Some(0), "{}", told(&demo));
    let text = String::from_utf8_lossy(&demo.stdout).to_lowercase();
    for fact in [
        "s01",
        "s02",
        "killed by signal 9",
        "order 1: buy",
        "order 2: buy",
        "one buy, one sell",
        "stop",
        "looked up",
    ] {
        assert!(text.contains(fact), "the story does not tell {fact:?}: {}", told(&demo));
    }
    assert!(!text.contains("not as it should be"), "{}", told(&demo));
}

#[test]
fn wrong_words_and_settings_end_with_their_code() {
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2"]);
    for words in [
        &["run", "--no-such-option"][..],
        &["dance"],
        &["run", "--act", "no-such-act"],
        &["run", "--seed", "x"],
        // A restored journal would draw ids a second time that the exchange knows.
        &["run", "--live", "--seed", "7"],
    ] {
        let run = stage.on("wrong", words);
        assert_eq!(run.status.code(), Some(2), "{words:?}: {}", told(&run));
        assert!(!run.stderr.is_empty(), "{words:?} said nothing");
    }
    let bad = stage.write("bad.toml", "[engine]\nbudgett = \"5\"\nconfidence_min = \"high\"\n");
    let run =
        aegis().args(stage.run("wrong")).arg("--config").arg(&bad).output().expect("the program starts");
    assert_eq!(run.status.code(), Some(78), "{}", told(&run));
    for key in ["engine.budgett", "engine.confidence_min"] {
        assert!(
            stderr(&run).contains(key),
            "every error at once with its key; {key} is missing: {}",
            stderr(&run)
        );
    }
    assert!(!stage.path("wrong").exists(), "a refused command made a data directory");
    for word in ["replay", "log", "verify", "status"] {
        let run = stage.on("nowhere", &[word]);
        assert_eq!(run.status.code(), Some(2), "`{word}` without a journal: {}", told(&run));
        assert!(stderr(&run).contains("nowhere"), "`{word}` names no directory: {}", stderr(&run));
    }
    let halt = stage.on("nowhere", &["halt"]);
    assert_eq!(halt.status.code(), Some(69), "`halt` with nobody running: {}", told(&halt));
}

#[test]
fn a_reader_who_leaves_is_no_panic() {
    let stage = Stage::new(&["--seed", "7", "--act", "act2"]);
    stage.complete("data", &[]);
    for words in [&["log"][..], &["log", "--json"], &["config", "show"], &["replay"]] {
        let mut command = aegis();
        command
            .args(words)
            .arg("--data")
            .arg(stage.path("data"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
        let status = child.wait().expect("its end");
        assert_eq!(status.code(), Some(0), "{words:?} into a closed pipe: {said}");
        assert!(!said.contains("panicked"), "{words:?} into a closed pipe: {said}");
    }
}

#[test]
fn the_program_holds_no_broken_variants() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_aegis")).expect("the program");
    // In front of every registry of broken variants (`mutants.rs` of the model and of the journal); the simulator's
    // own program holds it, which `.ci/run` looks at.
    let mark = b"this program can be broken on purpose";
    assert!(
        !program.windows(mark.len()).any(|bytes| bytes == mark),
        "a program that can be broken on purpose"
    );
}
