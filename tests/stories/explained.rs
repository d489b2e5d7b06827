//! S29: from a journal alone, without an exchange, each question about the old system's failure (S01, S14) and about a
//! stop, a fee and a refusal is answered by one question to `explain`; and `audit` tells what each of the failures cost.
//!
//! The answers are kept in `fixtures/forensics/`, and what is printed must be that. After a wanted change:
//! `AEGIS_RENEW=1 cargo test -p aegis-tests --test stories s29`, and read what it changed. With `AEGIS_STORIES=DIR` the
//! journals themselves are left in DIR, for the program to be tried on.

use super::support::*;
use aegis_engine::settings::HoldingPolicy;
use aegis_forensics::explain::{Options, explain};
use aegis_forensics::testing::append_encoded;
use aegis_forensics::{Audit, Explanation, Reading, Until};
use aegis_journal::{Config, Identity, MemStorage, Storage, create};
use aegis_model::event::{Direction, ENGINE_SCHEMA};
use aegis_model::{ExitReason, Fact, Money, Side};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, money, price, quantity, rate};
use std::path::Path;

/// The world's log as a journal.
fn journal(world: &World, name: &str) -> MemStorage {
    let identity = Identity { journal_id: *b"a story's record", schema: ENGINE_SCHEMA, mode: 1 };
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), identity, Config::default()).expect("an empty disk");
    for batch in &world.log {
        append_encoded(&mut writer, batch);
    }
    writer.close().expect("a good disk");
    if let Some(stories) = std::env::var_os("AEGIS_STORIES") {
        let dir = Path::new(&stories).join(name);
        std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        for file in disk.names() {
            std::fs::write(dir.join(&file), disk.file(&file).unwrap_or_default()).expect("written");
        }
    }
    disk
}

fn ask(disk: &MemStorage, words: &str) -> Explanation {
    explain(&|| Ok(disk.reader()), words, Options { all: false }, &|_| ())
        .unwrap_or_else(|e| panic!("{words}: {e}"))
}

/// Asks, compares the whole answer with the one that is kept, and looks for what matters in it.
fn asked(disk: &MemStorage, name: &str, words: &str, parts: &[&str]) {
    let told = ask(disk, words);
    let text = format!("$ aegis explain {words}\n{}\n", told.render(100, 64).join("\n"));
    is_kept(&format!("{name}.txt"), &text);
    let flat = text.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{words:?} must tell {part:?}:\n{text}");
    }
}

/// Compares with what is kept in `fixtures/forensics/`.
fn is_kept(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forensics").join(name);
    if std::env::var_os("AEGIS_RENEW").is_some() {
        std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(text, kept, "{name} is told otherwise than it is kept in fixtures/forensics");
}

/// Audits, compares the whole report with the one that is kept, and the shares with the world's own state: nothing is
/// left over that belongs to no position.
fn audited(disk: &MemStorage, name: &str, world: &World) -> Audit {
    let reading = Reading::new(disk.reader()).expect("a journal");
    let told =
        aegis_forensics::audit::audit(reading, None, Until::End, &mut |_| ()).expect("a whole journal");
    is_kept(&format!("{name}.md"), &aegis_forensics::audit::markdown::markdown(&told));
    for shares in [&told.by_instrument, &told.by_reason, &told.by_source] {
        let profit = shares.iter().try_fold(Money::ZERO, |sum, share| sum.plus(share.profit));
        assert_eq!(profit, Ok(world.state().totals.realised), "{shares:#?}");
        assert!(shares.iter().all(|share| share.positions > 0), "every share has a position: {shares:#?}");
    }
    told
}

fn folded(disk: &MemStorage, until: Until) -> Reading<aegis_journal::MemReader> {
    Reading::new(disk.reader()).and_then(|r| r.run(until)).expect("a whole journal")
}

#[test]
fn s29_restart_amnesia_is_explained() {
    let mut world = holding("BTC_USDT", "0.0001", "50000");
    let held = (world.state().lsn, world.state().digest());
    world.restart();
    up(&mut world, "BTC_USDT", "0.90");
    world.tick("BTC_USDT", "49000");
    let disk = journal(&world, "s01");
    let refused = "refused: position open, because of record";
    asked(&disk, "s01-why-was-this-signal-refused", "signal BTC_USDT", &[refused, "trade t1"]);
    asked(
        &disk,
        "s01-the-position",
        "BTC_USDT",
        &[
            "closed by stop",
            "profit -0.1",
            "a command of alice",
            "1 entry was refused",
            "the stop stood at 49000",
        ],
    );
    asked(&disk, "s01-the-order", "order 123", &["order #1 in BTC_USDT", "ended: filled"]);
    let told = audited(&disk, "s01-audit", &world);
    assert_eq!((told.positions.len(), told.positions[0].reason), (1, Some(ExitReason::Stop)));
    assert_eq!((told.positions[0].source.as_str(), told.refusals[0].count), ("command of alice", 1));
    for words in
        ["order #1", "order a1b2c3d4e5-00000001-1", "a1b2c3d4e5-00000001-1", "order 123", "intent 27"]
    {
        assert_eq!(ask(&disk, words).subject, "order #1", "{words}");
    }
    assert_eq!(ask(&disk, "btc_usdt 1").subject, ask(&disk, "BTC_USDT").subject);
    assert!(
        explain(&|| Ok(disk.reader()), "BTC_USDT 2", Options { all: false }, &|_| ()).is_err(),
        "one position"
    );
    let then = folded(&disk, Until::Lsn(held.0));
    assert_eq!(
        (then.state.lsn, then.state.digest()),
        held,
        "the state at any record is the one that was live"
    );
    assert_eq!(folded(&disk, Until::End).state.digest(), world.state().digest());
}

#[test]
fn s29_the_phantom_is_explained() {
    let mut settings = story_settings();
    settings.holdings = HoldingPolicy::Adopt;
    let mut world = World::with(settings);
    buy_at(&mut world, "BTC_USDT", "0.0001", "50000");
    world.quote("BTC_USDT", "50000");
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Buy, "0.0001", "50000", now);
    world.restart();
    let before_exit = world.state().next_lsn();
    world.tick("BTC_USDT", "49000");
    let disk = journal(&world, "s14");
    asked(
        &disk,
        "s14-who-opened-the-second-lot",
        "BTC_USDT",
        &[
            "lot 1: 0.0001 at 50000, trade t1",
            "our order #1 because of a command of alice",
            "lot 2: 0.0001 at 50000, trade t2",
            "the venue's order 456, which was none of ours",
            "profit -0.2",
        ],
    );
    asked(
        &disk,
        "s14-the-trade",
        "trade t2",
        &["made by the venue's order 456, which was none of ours", "resized"],
    );
    asked(&disk, "s14-why-is-the-stop-there", "stop BTC_USDT", &["49000", "0.0002"]);
    asked(
        &disk,
        "s14-where-is-the-bitcoin",
        "asset BTC",
        &["the movements add up to that, to the last digit"],
    );
    let told = audited(&disk, "s14-audit", &world);
    assert_eq!(told.by_source[0].name, "command of alice + an order that was not ours");
    assert_eq!(told.by_reason[0].profit, money("-0.2"));
    // T=9: which stop covered the second lot.
    let then = folded(&disk, Until::Before(before_exit));
    let stop = then.state.instruments[0].protection.as_ref().map(|p| (p.stop, p.quantity));
    assert_eq!(stop, Some((price("49000"), quantity("0.0002"))));
    let digest: String = then.state.digest().iter().map(|b| format!("{b:02x}")).collect();
    assert!(readme().contains(&digest), "the README's incident shows the digest {digest}");
}

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn s29_the_readme_shows_what_is_printed() {
    for name in ["s14-the-trade", "s01-why-was-this-signal-refused"] {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/forensics").join(format!("{name}.txt"));
        let kept = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, output) = kept.split_once('\n').expect("a question and its answer");
        assert!(readme().contains(output), "the README's incident shows {name} otherwise than it is printed");
    }
}

#[test]
fn s29_why_the_stop_is_at_52205() {
    let mut world = holding("BTC_USDT", "0.001", "50000");
    for tick in ["50000", "51000", "52000", "53000", "52500"] {
        world.tick("BTC_USDT", tick);
    }
    let disk = journal(&world, "s10-open");
    asked(
        &disk,
        "s10-why-is-the-stop-at-52205",
        "stop BTC_USDT",
        &["the stop of BTC_USDT is at 52205", "1.50 % below the highest price seen, 53000", "last 53000"],
    );
    world.tick("BTC_USDT", "52205");
    let disk = journal(&world, "s10-closed");
    asked(&disk, "s10-the-position", "position BTC_USDT", &["profit 2.205", "the stop stood at 52205"]);
}

#[test]
fn s29_where_a_little_bitcoin_went() {
    let mut settings = story_settings();
    settings.taker_fee = rate("0.001");
    let mut world = World::with(settings);
    world.exchange.fee = rate("0.001");
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.00925");
    assert_eq!(world.held("BTC_USDT"), quantity("0.00924075"));
    world.signal("BTC_USDT", Direction::Down, "0.90");
    assert_eq!(world.count(|f| matches!(f, Fact::PositionClosed(_))), 1);
    let disk = journal(&world, "fee");
    asked(&disk, "where-did-0.00000925-btc-go", "0.00000925 BTC", &["-0.00000925 position BTC_USDT", "fee"]);
    asked(&disk, "asset-btc", "asset BTC", &["bought +0.00925, fee -0.00000925, sold -0.00924075"]);
    asked(&disk, "asset-usdt", "asset USDT", &["the movements add up to that, to the last digit"]);
}

#[test]
fn s29_every_record_of_a_story_can_be_asked_about() {
    let mut world = holding("BTC_USDT", "0.0001", "50000");
    world.restart();
    up(&mut world, "BTC_USDT", "0.90");
    world.tick("BTC_USDT", "49000");
    let disk = journal(&world, "s01-again");
    for lsn in 1..=world.state().lsn.0 {
        let told = ask(&disk, &format!("record {lsn}"));
        assert!(
            told.flat().iter().any(|(_, _, line)| line.lsn == lsn),
            "record {lsn} is in its own explanation"
        );
    }
    assert_eq!(ask(&disk, "BTC_USDT").lsn, world.state().lsn.0);
}
