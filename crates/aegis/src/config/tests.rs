//! Configuration: defaults load, every mistake is told at once and where, the environment lies on top.

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    load(Some(("my.toml", text)), std::iter::empty()).expect_err("mistakes").0
}

#[test]
fn the_documented_defaults_are_valid() {
    let config = load(None, std::iter::empty()).expect("the defaults");
    assert_eq!(config.acts.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["act1", "act2"]);
    assert_eq!(config.acts[0].engine.price_age_ns[&FEED], 9000 * SECOND, "2.5 candles");
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_paths() {
    let text = "[journal]\nsegment_mib = 0\n[act.act1.engine]\nconfidence_mim = \"0.5\"\nweight = \"2\"\nbudget = \"1e3\"\n";
    let found = mistakes(text);
    assert!(found.iter().any(|m| m.contains("my.toml:4") && m.contains("confidence_min")), "{found:?}");
    for path in ["journal.segment_mib", "act.act1.engine.weight", "act.act1.engine.budget"] {
        assert!(found.iter().any(|m| m.starts_with(path)), "{path}: {found:?}");
    }
}

#[test]
fn the_environment_lies_over_the_file() {
    let env = [("AEGIS__ACT__ACT1__ENGINE__MAX_POSITIONS".to_owned(), "2".to_owned())];
    let config = load(None, env.into_iter()).expect("valid");
    assert_eq!(config.acts[0].engine.max_positions, 2);
    let env = [("AEGIS__JOURNAL__SEGMENT_MB".to_owned(), "2".to_owned())];
    let wrong = load(None, env.into_iter()).expect_err("unknown");
    assert!(wrong.0[0].contains("segment_mib"), "{wrong}");
}

#[test]
fn settings_are_flat_sorted_and_digested() {
    let config = load(None, std::iter::empty()).expect("valid");
    let all = config.settings_of("act1");
    assert!(all.is_sorted() && all.iter().any(|(k, v)| k.as_str() == "act.engine.weight" && v.as_str() == "0.25"));
    assert_ne!(config.digest_of("act1"), config.digest_of("act2"));
}
