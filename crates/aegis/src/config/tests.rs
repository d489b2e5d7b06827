//! Configuration: the defaults are right and complete, every mistake is told at once and where, the environment lies
//! on top.

use super::*;
use aegis_engine::settings::EntryStyle;
use aegis_model::Rate;
use aegis_model::protection::{Distance, StopRule};

fn load(text: &str, env: &[(&str, &str)], over: &Overrides) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("my.toml");
    std::fs::write(&file, text).expect("written");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::load(Some(&file), env, over).map_err(|failure| {
        assert_eq!(failure.exit, Exit::Config);
        failure.text
    })
}

fn plain(text: &str) -> Config {
    load(text, &[], &Overrides::default()).expect("right")
}

fn wrong(text: &str) -> String {
    load(text, &[], &Overrides::default()).expect_err("wrong")
}

#[test]
fn the_documented_defaults_are_right_and_play_two_acts() {
    let config = plain("");
    let names: Vec<&str> = config.acts.iter().map(|act| act.name.as_str()).collect();
    assert_eq!(names, ["act1", "act2"]);
    assert!(!config.journal.compress && plain("[journal]\ncompress = true\n").journal.compress);
    assert!(wrong("[journal]\ncompress = \"zstd\"\n").contains("neither true nor false"));
    assert_eq!(config.acts[0].price_age, Age::Intervals(Fixed::new(25, 1)));
    assert_eq!(config.acts[1].price_age, Age::Span(10_000_000_000));
    assert_eq!(config.acts[1].engine.plan.plan.initial, Distance::Relative(Rate::basis_points(20)));
    assert_eq!(config.acts[1].instruments.len(), 3);
}

#[test]
fn every_mistake_is_told_at_once_with_key_line_and_nearest_name() {
    let told = wrong(
        "[journal]\nsegment_mib = 0\n[engine]\nconfidence_mim = \"0.5\"\nweight = \"2\"\nbudget = \"1e3\"\n[acts.act1]\ninstruments = [\"XRP_USDT\"]\n",
    );
    for part in [
        "5 error(s)",
        "journal.segment_mib",
        "my.toml:2",
        "engine.confidence_mim",
        "my.toml:4",
        "did you mean engine.confidence_min?",
        "engine.weight",
        "engine.budget",
        "XRP_USDT has no section [instruments.XRP_USDT]",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn money_is_never_read_through_a_float() {
    let config = plain("[engine]\nbudget = 0.100000000000000005\n");
    assert_eq!(config.acts[0].engine.budget.to_string(), "0.100000000000000005");
    assert!(wrong("[engine]\nbudget = 1e3\n").contains("not a decimal number"));
}

#[test]
fn broken_toml_is_told_with_its_line() {
    assert!(wrong("[engine\nbudget = \"1\"\n").contains("my.toml:1"));
}

#[test]
fn the_environment_lies_over_the_file_and_knows_names_in_any_case() {
    let env = [
        ("AEGIS__ENGINE__MAX_POSITIONS", "2"),
        ("AEGIS__INSTRUMENTS__BTC_USDT__PRICE_TICK", "0.5"),
        ("AEGIS__ACTS__ACT1__STRATEGIES", "oracle, cross"),
    ];
    let config = load("[engine]\nmax_positions = 3\n", &env, &Overrides::default()).expect("right");
    assert_eq!(config.acts[0].engine.max_positions, 2);
    assert_eq!(config.acts[0].instruments[0].price_tick, Price::new(5, 1));
    assert_eq!(config.acts[0].strategies.len(), 2);
    let told = load("", &[("AEGIS__JOURNAL__SEGMENT_MB", "2")], &Overrides::default()).expect_err("unknown");
    assert!(
        told.contains("environment AEGIS__JOURNAL__SEGMENT_MB") && told.contains("segment_mib"),
        "{told}"
    );
}

#[test]
fn an_acts_own_keys_lie_over_the_common_ones() {
    let config = plain(
        "[engine]\nbudget = \"7\"\nentry_style = \"limit-resting\"\nentry_lifetime = \"5m\"\n[acts.act2.engine]\nbudget = \"8\"\n[acts.act2.engine.plan]\nrule = \"fixed\"\n[engine.plans.ETH_USDT]\ninitial = \"offset 5\"\n",
    );
    let [one, two] = &config.acts[..] else { panic!("two acts") };
    assert_eq!((one.engine.budget, two.engine.budget), (Money::new(7, 0), Money::new(8, 0)));
    assert_eq!(one.engine.entry_style, EntryStyle::LimitResting { lifetime_ns: 300_000_000_000 });
    assert_eq!(two.engine.plan.plan.rule, StopRule::Fixed);
    let eth = &two.engine.plans[&Label::literal("ETH_USDT")].plan;
    assert_eq!(eth.initial, Distance::Offset(Price::new(5, 0)));
    assert_eq!(eth.rule, StopRule::Fixed, "what an instrument leaves out is the act's");
    let recorded = |act: &Act, key: &str| {
        act.recorded.iter().find(|(k, _)| k.as_str() == key).map(|(_, value)| value.as_str().to_owned())
    };
    assert_eq!(recorded(two, "engine.budget").as_deref(), Some("8"));
    assert_eq!(recorded(one, "engine.budget").as_deref(), Some("7"));
}

#[test]
fn a_market_file_is_played_alone_and_the_command_line_is_the_last_word() {
    let over = Overrides {
        data: Some(PathBuf::from("/somewhere")),
        pace: Some("60x".to_owned()),
        market: Some("my.csv".to_owned()),
        signals: Some("-".to_owned()),
        ..Overrides::default()
    };
    let config = load("[run]\npace = \"realtime\"\n", &[], &over).expect("right");
    assert_eq!((config.acts.len(), config.acts[0].name.as_str()), (1, "market"));
    assert_eq!(config.acts[0].feed, FeedSource::Candles(PathBuf::from("my.csv")));
    assert_eq!(config.acts[0].signals, SignalSource::Stdin);
    assert_eq!(config.pace, Pace::Factor(60_000));
    assert_eq!(config.pace.lasts(60_000_000_000), Duration::from_secs(1));
}

#[test]
fn values_are_spelled_one_way_each() {
    let check = |text: &str, good: bool| {
        let toml = format!("[engine.plan]\n{text}\n");
        assert_eq!(load(&toml, &[], &Overrides::default()).is_ok(), good, "{text}");
    };
    for (text, good) in [
        ("initial = \"2%\"", true),
        ("initial = \"200bp\"", true),
        ("initial = \"offset 12.5\"", true),
        ("initial = \"0.02\"", false),
        ("initial = \"0%\"", false),
        ("initial = \"100%\"", false),
        ("stages = [\"3% -> 1%\", \"6% -> 0.5%\"]", true),
        ("stages = [\"6% -> 1%\", \"3% -> 0.5%\"]", false),
        ("stages = \"3%\"", false),
        ("hold = \"48h\"", true),
        ("hold = \"48\"", false),
        ("take_profit = \"none\"", true),
        ("trail_from_start = 1", false),
    ] {
        check(text, good);
    }
}

#[test]
fn the_documented_times_of_the_protocol_are_the_exchanges_own() {
    let config = Config::load(None, std::iter::empty(), &Overrides::default()).expect("the defaults");
    let mut wire = crate::wire::Settings::production(vec![Label::literal("BTC_USDT")]);
    wire.instruments.clone_from(&config.live.wire.instruments);
    assert_eq!(format!("{:?}", config.live.wire), format!("{wire:?}"));
    assert_eq!(config.live.refusal(), None, "both guard by default");
}

#[test]
fn live_without_a_guard_at_the_exchange_must_be_asked_for() {
    let with = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let alone = with("AEGIS__LIVE__ENGINE__PROTECTION", "engine");
    let read = |set: Vec<(String, String)>| {
        Config::load(None, set.into_iter(), &Overrides::default())
            .expect("a right configuration")
            .live
            .refusal()
    };
    assert!(read(vec![alone.clone()]).is_some_and(|why| why.contains("accept_unguarded_downtime")));
    assert_eq!(read(vec![alone, with("AEGIS__LIVE__ACCEPT_UNGUARDED_DOWNTIME", "true")]), None);
}

#[test]
fn what_would_break_an_invariant_is_refused_with_the_least_that_is_right() {
    let spans = [
        ("engine.answer", "10ms"),
        ("engine.exit_retry", "10ms"),
        ("engine.exit_slow", "10ms"),
        ("engine.lookup", "10ms"),
        ("engine.stop_push", "1ms"),
        ("engine.entry_valid", "1ms"),
        ("engine.entry_lifetime", "1ms"),
        ("engine.balance_age", "1ms"),
        ("engine.plan.hold", "1ms"),
        ("live.engine.answer", "10ms"),
        ("acts.act2.price_age", "1ms"),
        ("live.price_age", "1ms"),
        ("live.disk.slow", "10ms"),
        ("live.disk.late", "10ms"),
        ("live.disk.limit", "100ms"),
        ("live.protocol.connect", "10ms"),
        ("live.protocol.deadline", "10ms"),
        ("live.protocol.idle_close", "10ms"),
        ("live.protocol.warm_every", "10ms"),
        ("live.protocol.nonce_window", "100ms"),
        ("live.protocol.absence_margin", "10ms"),
        ("live.protocol.login", "10ms"),
        ("live.protocol.watchdog", "100ms"),
        ("live.protocol.reconnect_min", "1ms"),
        ("live.protocol.backoff_min", "1ms"),
        ("live.protocol.instruments_every", "100ms"),
        ("live.protocol.missed_every", "1ms"),
    ];
    // All at once, so that each is told beside the others.
    let with = |value: fn(&'static str) -> &'static str| {
        spans.iter().map(|(key, least)| format!("{key} = \"{}\"\n", value(least))).collect::<String>()
    };
    let told = wrong(&with(|_| "0"));
    for (key, least) in spans {
        let line = told.lines().find(|line| line.trim_start().starts_with(&format!("{key} ("))).unwrap_or("");
        assert!(line.ends_with(&format!("\"0\" is too short: at least {least}")), "{key} in {told}");
    }
    plain(&with(|least| least));
    for (line, part) in [
        ("engine.lookup = \"-2s\"", "not a time span"),
        ("engine.takeover = \"101%\"", "outside 0 to 1"),
        ("engine.takeover = \"-1%\"", "outside 0 to 1"),
        ("engine.plan.take_profit = \"-1%\"", "not above zero"),
        ("engine.plan.take_profit = \"0%\"", "not above zero"),
        ("engine.plan.atr_multiple = \"-2\"", "not above zero"),
        ("acts.act1.price_age = \"0 intervals\"", "not above zero"),
        ("live.protocol.reconnect_max = \"500ms\"", "at least live.protocol.reconnect_min"),
        ("live.protocol.backoff_max = \"500ms\"", "at least live.protocol.backoff_min"),
    ] {
        let told = wrong(line);
        assert!(told.contains(part) && told.contains("1 error(s)"), "{line}: {told}");
    }
    plain("engine.takeover_after = \"0\"\nengine.takeover = \"100%\"\nengine.reconcile = \"0\"\n");
    plain("live.protocol.nonce_window = \"600ms\"\nlive.engine.lookup = \"50ms\"\n");
}

#[test]
fn an_address_for_messages_is_neither_shown_nor_recorded() {
    let url = "https://hooks.example/T000/AEGISdemoSecret";
    let config = plain(&format!("[live]\nnotify = \"{url}\"\n"));
    assert_eq!(config.live.notify.as_deref(), Some(url));
    let line = config.effective.lines().find(|line| line.starts_with("live.notify = ")).expect("told");
    assert!(line.starts_with("live.notify = \"set\""), "{line}");
    assert!(!config.effective.contains("AEGISdemoSecret"));
    let recorded = config.live.recorded.iter().find(|(key, _)| key.as_str() == "notify").expect("recorded");
    assert_eq!(recorded.1.as_str(), "set");
    assert!(plain("").effective.contains("live.notify = \"none\""));
    let told = wrong("[live]\nnotify = \"hooks.example/AEGISdemoSecret\"\n");
    assert!(told.contains("live.notify") && !told.contains("AEGISdemoSecret"), "{told}");
}

#[test]
fn a_key_is_sent_unencrypted_to_nobody_but_this_machine_and_a_private_network() {
    let asks = |rest: &str| format!("[live]\nrest = \"{rest}\"\n");
    for near in ["http://127.0.0.1:9000/v1", "http://[::1]:9000", "http://localhost/", "http://10.77.0.2:80"]
    {
        plain(&asks(near));
    }
    for far in [
        "http://api.crypto.com/exchange/v1",
        "http://8.8.8.8",
        "http://[2001:db8::1]/",
        "http://127.0.0.1@api.crypto.com/",
        "http://127.0.0.1:80@api.crypto.com/",
        "http://localhost.example.org",
    ] {
        let told = wrong(&asks(far));
        assert!(told.contains("live.rest") && told.contains("not encrypted"), "{far}: {told}");
    }
    assert!(wrong("[live]\nuser = \"ws://stream.crypto.com/\"\n").contains("not encrypted"));
    assert!(wrong(&asks("ftp://127.0.0.1")).contains("does not begin with https://"));
}
