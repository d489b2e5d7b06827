//! `aegis what-if` on what runs left: with the recorded settings it gives what was recorded, with others what is worked out
//! here by hand; it takes no market that is not proven to be the recorded one, and says what it does not have.
//!
//! The outputs of the handmade story are kept in `fixtures/forensics/`; after a wanted change
//! `AEGIS_RENEW=1 cargo test -p aegis --test process -- what_if`, and read what it changed.

use super::program::*;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

/// Candles by the hour from 2025-01-01T00:00:00Z: open, low, high, close.
const CANDLES: [[u32; 4]; 6] = [
    [50_000, 50_000, 50_000, 50_000],
    [50_000, 50_000, 51_000, 51_000],
    [51_000, 50_400, 51_000, 50_500],
    [50_500, 49_000, 53_000, 53_000],
    [53_000, 53_000, 53_000, 53_000],
    [53_000, 51_940, 53_000, 52_000],
];
/// An entry at 50000 at 00:20, and one at 53000 at 04:20, which a position stands in the way of.
const SIGNALS: &str = r#"{"instrument":"BTC_USDT","direction":"up","confidence":0.9,"source":"oracle","horizon_min":60,"at":1735690800000000000}
{"instrument":"BTC_USDT","direction":"up","confidence":0.9,"source":"oracle","horizon_min":60,"at":1735705200000000000}
"#;
/// No fees, 50 USDT an entry, a stop 5 % below it.
const CONFIG: &str = "[engine]\nbudget = \"50\"\ntaker_fee = \"0\"\nslippage = \"0\"\nmarket_fall = \"none\"\n\
                      leader_fall = \"none\"\n[engine.plan]\ninitial = \"5%\"\nrule = \"fixed\"\n[venue]\nmaker_fee = \"0\"\n\
                      taker_fee = \"0\"\n[acts.market]\nfund = \"1000\"\nstrategies = []\n";

/// The handmade story, not yet played.
fn story() -> Stage {
    let mut rows = "open_time_ms,open,high,low,close,volume\n".to_owned();
    for (hour, [open, low, high, close]) in CANDLES.iter().enumerate() {
        let time = 1_735_689_600_000 + 3_600_000 * hour as u64;
        rows.push_str(&format!("{time},{open},{high},{low},{close},10\n"));
    }
    let mut stage = Stage::new(&["--seed", "7", "--json"]);
    for (option, name, text) in
        [("--market", "market.csv", rows.as_str()), ("--signals", "signals.ndjson", SIGNALS)]
    {
        let path = stage.write(name, text);
        stage.options.extend([option.to_owned(), path.display().to_string()]);
    }
    let config = stage.write("aegis.toml", CONFIG);
    stage.options.extend(["--config".to_owned(), config.display().to_string()]);
    stage
}

/// Asks in the stage's directory, so that no path of this machine is told.
fn asked(stage: &Stage, words: &[&str]) -> Output {
    let mut command = aegis();
    command.arg("what-if").args(words).current_dir(stage.path("."));
    command.output().expect("the program starts")
}

fn object(stage: &Stage, words: &[&str]) -> Value {
    let out = asked(stage, &[words, &["--json"]].concat());
    assert_eq!(out.status.code(), Some(0), "{words:?}: {}", told(&out));
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{words:?}: {e}: {}", told(&out)))
}

/// Asks for what must be refused, and gives the words.
fn refused(stage: &Stage, words: &[&str]) -> String {
    let out = asked(stage, words);
    assert_eq!(out.status.code(), Some(2), "{words:?}: {}", told(&out));
    assert!(out.stdout.is_empty(), "{}", told(&out));
    // Lines are broken anywhere.
    String::from_utf8_lossy(&out.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_kept(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/forensics").join(name);
    if std::env::var_os("AEGIS_RENEW").is_some() {
        fs::write(&path, bytes).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(String::from_utf8_lossy(bytes), kept, "{name} is told otherwise than it is kept");
}

const ENGINE: &str = "data/market/engine";

#[test]
fn what_if_of_a_handmade_story_is_what_it_comes_to_by_hand() {
    let stage = story();
    stage.complete("data", &[]);
    let base = [ENGINE, "--market", "market.csv"];
    // 50 USDT buy 0.001 at 50000, which is held to the end, at 52000. The second signal finds it open.
    let tight = object(&stage, &[&base[..], &["--stop", "trailing:1.0%"]].concat());
    assert_eq!(tight["exact"], true, "{tight}");
    assert_eq!(tight["recorded"]["closed"], 0);
    assert_eq!(tight["recorded"]["refused"], 1);
    assert_eq!(tight["model"]["unrealised"], "2");
    // The high of 51000 puts the stop to 50490, and the next low is 50400: 0.001 * 490. Then 0.00094 are bought at 53000,
    // the stop is at 52470, and the low of 51940 meets it: -0.00094 * 530.
    let what_if = &tight["what_if"];
    assert_eq!((&what_if["closed"], &what_if["won"], &what_if["open"]), (&2.into(), &1.into(), &0.into()));
    assert_eq!(what_if["realised"], "-0.0082", "0.49 - 0.4982");
    assert_eq!((&what_if["stops_hit"], &what_if["refused"]), (&2.into(), &0.into()));
    // 00:20 to 02:00:56.25 and 04:20 to 05:00:56.25: a fall begins with the candle and lasts a quarter of it, and the first
    // price on its way at which something acts is a sixteenth of that behind.
    assert_eq!(what_if["held_ns"], 8_512_500_000_000_i64);
    assert_eq!((&what_if["stops_raised"], &tight["model"]["stops_raised"]), (&1.into(), &0.into()));
    let differences = tight["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 2, "{tight}");
    let (first, second) = (&differences[0], &differences[1]);
    assert_eq!((&first["left"]["reason"], &first["left"]["exit"]), (&Value::Null, &Value::Null));
    assert_eq!((&first["right"]["exit"], &first["right"]["profit"]), (&"50490".into(), &"0.49".into()));
    assert_eq!(first["left"]["opened"], first["right"]["opened"]);
    assert_eq!(second["why"], "held since 2025-01-01 00:20:00", "{second}");
    assert_eq!(
        (&second["right"]["quantity"], &second["right"]["exit"]),
        (&"0.00094".into(), &"52470".into())
    );
    // A take-profit is met on the way to that high, at its own price: 0.001 * 750.
    let taken = object(&stage, &[&base[..], &["--stop", "trailing:1.0%", "--take-profit", "1.5%"]].concat());
    assert_eq!(taken["what_if"]["realised"], "0.2518", "0.75 - 0.4982");
    assert_eq!(taken["what_if"]["stops_hit"], 1);
    // From 04:00 on, the first position keeps the stop that it was opened with.
    let later = [&base[..], &["--stop", "trailing:1.0%", "--from", "2025-01-01T04:00:00Z"]].concat();
    let later = object(&stage, &later);
    assert_eq!((&later["exact"], &later["differences"]), (&true.into(), &Value::Array(Vec::new())));
    // What is said of another instrument changes nothing here.
    let other = refused(&stage, &[&base[..], &["--stop", "fixed:1%", "--instrument", "ETH_USDT"]].concat());
    assert!(other.contains("the run has BTC_USDT"), "{other}");
}

#[test]
fn what_if_is_told_as_it_is_kept() {
    let stage = story();
    stage.complete("data", &[]);
    let words = [ENGINE, "--market", "market.csv", "--stop", "trailing:1.0%", "--take-profit", "3%"];
    let text = asked(&stage, &words);
    assert_eq!(text.status.code(), Some(0), "{}", told(&text));
    let printed = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(printed.lines().all(|line| line.chars().count() <= 80), "{printed}");
    is_kept("what-if.txt", &text.stdout);
    let line = asked(&stage, &[&words[..], &["--json"]].concat());
    is_kept("what-if.json", &line.stdout);
    assert_eq!(asked(&stage, &words).stdout, text.stdout, "asked again it says the same");
}

#[test]
fn what_if_with_the_recorded_settings_gives_what_was_recorded_by_a_run_that_was_killed() {
    let plans = [
        "initial = \"5%\"\ntrail = \"4%\"\ntake_profit = \"25%\"",
        "initial = \"3%\"\nrule = \"fixed\"\ntake_profit = \"2%\"\nhold = \"30h\"",
        "initial = \"2%\"\ntrail = \"3%\"\ntrail_from_start = false\nstages = [\"2% -> 1%\", \"5% -> 0.5%\"]",
        "atr_period = 14\natr_multiple = \"1.5\"\ntrail = \"offset 40\"",
    ];
    let mut closed = 0;
    for (number, plan) in plans.iter().enumerate() {
        let stage = Stage::small(400);
        let every = number % 2 == 1;
        let record = if every { "record = \"all\"\n" } else { "" };
        stage.write(
            "aegis.toml",
            &format!(
                "[acts.market.engine]\n{record}entry_valid = \"2h\"\n[acts.market.engine.plan]\n{plan}\n"
            ),
        );
        for at in ["after-intent:2", "after-accept:5", "after-answer:9"] {
            assert!(!stage.start("data", &["--debug-kill", at]).wait(PATIENCE).success(), "killed {at}");
        }
        stage.complete("data", &[]);
        let market = if every { &[][..] } else { &["--market", "market.csv"] };
        let told = object(&stage, &[&[ENGINE, "--stop", "recorded"], market].concat());
        assert_eq!(told["exact"], true, "{plan}: {}", told["off"]);
        assert_eq!(told["settings"]["recorded"], told["settings"]["what_if"]);
        assert_eq!(told["model"], told["what_if"]);
        assert_eq!(told["recorded"]["realised"], told["model"]["realised"]);
        assert_eq!(told["recorded"]["stops_raised"], told["model"]["stops_raised"]);
        closed += told["recorded"]["closed"].as_u64().expect("a count");
        // As after a restart at any time.
        let from = ["--stop", "recorded", "--from", "2017-08-25T10:10:00Z"];
        let told = object(&stage, &[&[ENGINE][..], &from, market].concat());
        assert_eq!((&told["exact"], &told["differences"]), (&true.into(), &Value::Array(Vec::new())));
        let until = ["--stop", "recorded", "--until", "2017-08-29T13:30:00Z"];
        let told = object(&stage, &[&[ENGINE][..], &until, market].concat());
        assert_eq!((&told["exact"], &told["differences"]), (&true.into(), &Value::Array(Vec::new())));
    }
    assert!(closed > 20, "{closed} positions");
}

#[test]
fn what_if_goes_on_where_settings_changed_between_two_runs() {
    let stage = Stage::small(400);
    stage.complete("data", &["--stop-after", "800"]);
    stage.write(
        "aegis.toml",
        "[acts.market.engine]\nentry_valid = \"2h\"\n[acts.market.engine.plan]\ninitial = \"2%\"\ntrail = \"1%\"\n",
    );
    stage.complete("data", &[]);
    let told = object(&stage, &[ENGINE, "--stop", "recorded", "--market", "market.csv"]);
    assert_eq!(told["exact"], true, "{}", told["off"]);
    let said = told["unknowable"].to_string();
    assert!(said.contains("it was started again once"), "{said}");
}

#[test]
fn what_if_refuses_a_market_that_is_not_proven() {
    let stage = story();
    stage.complete("data", &[]);
    let stop = ["--stop", "trailing:1%"];
    let none = refused(&stage, &[&[ENGINE][..], &stop].concat());
    assert!(none.contains("Name the file that it was played on with --market"), "{none}");
    let mut other = fs::read_to_string(stage.path("market.csv")).expect("the market");
    other = other.replace("53000", "53001");
    stage.write("other.csv", &other);
    let wrong = refused(&stage, &[&[ENGINE, "--market", "other.csv"][..], &stop].concat());
    assert!(wrong.contains("other.csv is not the market that data/market/engine was played on"), "{wrong}");
    let absent = asked(&stage, &[&[ENGINE, "--market", "absent.csv"][..], &stop].concat());
    assert_eq!(absent.status.code(), Some(74), "{}", told(&absent));
    // What is to differ must be said, in a form that is known.
    assert!(refused(&stage, &[ENGINE]).contains("say what is to differ: --stop, --take-profit or --hold"));
    for form in
        ["2%", "fixed", "fixed:2", "trailing:1%,often", "rising:1%", "fixed:atr0x2", "trailing:1%,from=stage"]
    {
        let said = refused(&stage, &[ENGINE, "--stop", form]);
        assert!(said.contains("give --stop one of: recorded; fixed:D; trailing:D"), "{form}: {said}");
    }
    assert!(refused(&stage, &[ENGINE, "--take-profit", "0%"]).contains("give a profit such as 3%, or none"));
    let late = refused(&stage, &[ENGINE, "--stop", "recorded", "--from", "2030-01-01T00:00:00Z"]);
    assert!(late.contains("--from lies behind the last record"), "{late}");
    let venue = asked(&stage, &["data/market/venue", "--stop", "recorded"]);
    assert_eq!(venue.status.code(), Some(2), "{}", told(&venue));
}

#[test]
fn what_if_plays_a_damaged_copy_up_to_the_hole_and_says_so() {
    let stage = Stage::small(400);
    stage.complete("data", &[]);
    let copy = stage.path("copy");
    fs::create_dir(&copy).expect("a directory");
    for entry in fs::read_dir(stage.path(ENGINE)).expect("the journal") {
        let entry = entry.expect("an entry");
        if entry.path().extension().is_some_and(|e| e == "seg") {
            fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
        }
    }
    let whole = object(&stage, &["copy", "--stop", "recorded", "--market", "market.csv"]);
    assert_eq!((&whole["exact"], &whole["hole"]), (&true.into(), &Value::Null));
    let mut segments: Vec<_> =
        fs::read_dir(&copy).expect("the copy").map(|e| e.expect("an entry").path()).collect();
    segments.sort();
    let mut bytes = fs::read(&segments[0]).expect("a segment");
    bytes[60_000..60_016].fill(0xff);
    fs::write(&segments[0], bytes).expect("the damage");
    let words = ["copy", "--stop", "recorded", "--market", "market.csv"];
    let damaged = asked(&stage, &words);
    assert_eq!(damaged.status.code(), Some(65), "{}", told(&damaged));
    let said = String::from_utf8_lossy(&damaged.stdout).into_owned();
    assert!(said.contains("copied while live or damaged"), "{said}");
    let line = asked(&stage, &[&words[..], &["--json"]].concat());
    let told: Value = serde_json::from_slice(&line.stdout).expect("one object");
    assert_eq!(told["exact"], true, "{}", told["off"]);
    assert!(told["hole"].as_str().is_some_and(|hole| !hole.is_empty()));
    assert!(told["behind_gap"].as_u64() > Some(0));
    assert!(told["last"].as_u64() < whole["last"].as_u64());
}

#[test]
fn what_if_of_ticks_changes_the_named_instrument_only() {
    let stage = Stage::new(&["--seed", "7", "--json", "--act", "act2"]);
    stage.complete("data", &[]);
    // The market is the one that the program carries.
    let wide = object(&stage, &["data/act2/engine", "--stop", "fixed:5%", "--instrument", "ETH_USDT"]);
    assert_eq!((&wide["exact"], &wide["recorded"]["closed"]), (&true.into(), &3.into()), "{wide}");
    let differences = wide["differences"].as_array().expect("a list");
    assert_eq!(differences.len(), 1, "{wide}");
    assert_eq!(differences[0]["instrument"], "ETH_USDT");
    assert_eq!((&wide["what_if"]["closed"], &wide["what_if"]["open"]), (&2.into(), &1.into()));
    let of = |side: &str, name: &str| {
        let shares = wide[side]["by_instrument"].as_array().cloned().unwrap_or_default();
        shares.into_iter().find(|share| share["name"] == name).expect("its share")
    };
    for name in ["BTC_USDT", "SOL_USDT"] {
        assert_eq!(of("model", name), of("what_if", name));
    }
    let atr = refused(&stage, &["data/act2/engine", "--stop", "fixed:atr14x2"]);
    assert!(atr.contains("this run saw ticks"), "{atr}");
    let one = refused(&stage, &["data/act2/engine", "--stop", "recorded", "--market", "l1.csv"]);
    assert!(one.contains("L1_FILE,TRADES_FILE"), "{one}");
}

#[test]
fn what_if_knows_a_market_that_came_through_a_pipe() {
    let stage = story();
    let file = fs::File::open(stage.path("market.csv")).expect("the market");
    let mut words = stage.run("data");
    let market = words.iter().position(|word| word == "--market").expect("a market");
    words[market + 1] = "/dev/stdin".to_owned();
    let mut cat = std::process::Command::new("cat");
    let mut cat = cat.stdin(file).stdout(std::process::Stdio::piped()).spawn().expect("cat");
    let pipe = cat.stdout.take().expect("a pipe");
    let run = aegis().args(&words).stdin(pipe).output().expect("the program starts");
    assert!(cat.wait().expect("cat ends").success());
    assert_eq!(run.status.code(), Some(0), "{}", told(&run));
    // Its digest is that of the file: it was read once.
    let again = object(&stage, &["data/market/engine", "--stop", "recorded", "--market", "market.csv"]);
    assert_eq!(again["exact"], true, "{again}");
}

#[test]
fn what_if_until_a_time_behind_the_record_plays_nothing_that_the_run_never_saw() {
    let mut stage = Stage::small(12_000);
    stage.options.extend(["--stop-after".to_owned(), "8000".to_owned()]);
    stage.complete("data", &[]);
    let market = stage.path("market.csv").display().to_string();
    let words = ["data/market/engine", "--stop", "recorded", "--market", &market];
    let plain = object(&stage, &words);
    let later = object(&stage, &[&words[..], &["--until", "2030-01-01T00:00:00Z"]].concat());
    assert_eq!(plain["exact"], true, "{plain}");
    assert_eq!(later, plain, "there is nothing behind the end");
}

#[test]
fn what_if_of_a_run_that_ended_inside_a_candle_plays_what_it_saw_and_no_further() {
    let stage = story();
    let config = CONFIG.replace("[engine]\n", "[engine]\nrecord = \"all\"\n").replace("\"5%\"", "\"1%\"");
    stage.write("aegis.toml", &config);
    // Three candles of four points, an open, and on the way to the low of 49000 the stop at 49500.
    stage.complete("data", &["--stop-after", "14"]);
    let same = object(&stage, &[ENGINE, "--stop", "recorded"]);
    assert_eq!((&same["exact"], &same["model"]["stops_hit"]), (&true.into(), &1.into()), "{same}");
    // Above what was seen a stop is met, below it nobody knows.
    for (stop, closed) in [("fixed:0.6%", 1), ("fixed:1.5%", 0)] {
        let other = object(&stage, &[ENGINE, "--stop", stop]);
        assert_eq!((&other["exact"], &other["what_if"]["closed"]), (&true.into(), &closed.into()), "{other}");
    }
    let near = object(&stage, &[ENGINE, "--stop", "fixed:0.6%"]);
    assert_eq!(near["differences"][0]["right"]["exit"], "49700", "{near}");
}

#[test]
fn what_if_tells_a_short_hold_in_milliseconds() {
    let stage = story();
    stage.complete("data", &[]);
    for (asked, told) in
        [("1ms", "held 1 ms at most"), ("1500ms", "held 1500 ms at most"), ("2s", "held 2 s at most")]
    {
        let short = object(&stage, &[ENGINE, "--market", "market.csv", "--hold", asked]);
        let said = short["settings"]["what_if"].to_string();
        assert!(said.contains(told), "{said}");
    }
}
