//! What each sample leads to: the scenarios S34 and S49 to S55, as far as files alone can tell, and that nothing a
//! program could have left makes the reading guess or fail.

use super::*;
use crate::judge::{Judged, Read, judge, positions};
use crate::limits::Answers;
use crate::report::Report;
use crate::venue::Venue;
use aegis_model::claim::{Claim, ClaimVerdict, DisputeKind, LimitKind, LimitUnit, PositionClaim};
use aegis_model::{Fixed, Price, Quantity};
use proptest::prelude::*;

macro_rules! sample {
    ($name:literal) => {
        (include_bytes!(concat!("../../../fixtures/legacy/", $name)).as_slice(), $name)
    };
}

fn utc() -> Zone {
    "UTC".parse().expect("a zone")
}

fn n(text: &str) -> Fixed {
    text.parse().expect("a number")
}

fn document((bytes, name): (&[u8], &str)) -> Document {
    super::read(bytes, &utc()).unwrap_or_else(|refused| panic!("{name}: {refused}"))
}

fn lots(document: &Document) -> Vec<&PositionClaim> {
    let mut lots = Vec::new();
    for row in &document.claims {
        if let Claim::Position(position) = &row.claim {
            lots.push(position);
        }
    }
    lots
}

fn doubts(document: &Document, kind: DisputeKind) -> Vec<(String, String, String)> {
    let of = |d: &Dispute| (d.claimed.to_string(), d.found.to_string(), d.detail.to_string());
    document.disputes.iter().filter(|d| d.kind == kind).map(of).collect()
}

fn figures(document: &Document, kind: DisputeKind) -> Vec<(String, String)> {
    doubts(document, kind).into_iter().map(|(claimed, found, _)| (claimed, found)).collect()
}

fn pair(claimed: &str, found: &str) -> Vec<(String, String)> {
    vec![(claimed.to_owned(), found.to_owned())]
}

fn judged(samples: &[(&[u8], &str)], answers: &[&str], venue: Option<&Venue>) -> Judged {
    let mut given = Answers::default();
    answers.iter().for_each(|answer| given.take(answer).expect("an answer"));
    let read = samples.iter().map(|(bytes, name)| Read {
        name: (*name).to_owned(),
        bytes: bytes.len() as u64,
        outcome: super::read(bytes, &utc()),
    });
    judge(read.collect(), &utc(), &given, venue)
}

/// What the exchange of S16 holds.
fn gap() -> Venue {
    let mut venue = Venue::default();
    for (bytes, name) in [
        sample!("exchange/gap_user_balance.json"),
        sample!("exchange/gap_get_trades.json"),
        sample!("exchange/gap_get_open_orders.json"),
    ] {
        venue.add(bytes).unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }
    venue
}

#[test]
fn s34_the_forgotten_table_exists_and_has_no_row() {
    let document = document(sample!("db/data_trading_b726.db"));
    assert!(document.parts.contains(&("positions".to_owned(), 0)), "{:?}", document.parts);
    let note = document.claims.iter().find(|row| row.row.as_str() == "table positions").expect("a note");
    assert_eq!(note.claim, Claim::Note { what: Text::new("table positions exists and has 0 rows") });
}

#[test]
fn s34_every_legacy_file_is_told_by_its_content() {
    for (sample, what) in [
        (sample!("json/positions.json"), What::Source(SourceKind::Positions)),
        (sample!("json/trailing_stops.json"), What::Source(SourceKind::TrailingStops)),
        (sample!("json/trailing_stops.truncated.json"), What::BrokenJson),
        (sample!("json/trailing_stops.nan.json"), What::BrokenJson),
        (sample!("json/trailing_stops.empty.json"), What::Empty),
        (sample!("json/dynamic_stoploss_state.json"), What::Source(SourceKind::StopState)),
        (sample!("json/bot_status.json"), What::Source(SourceKind::BotStatus)),
        (sample!("json/trades.jsonl"), What::Source(SourceKind::TradeLog)),
        (sample!("env/dotenv.seed"), What::Source(SourceKind::Dotenv)),
        (sample!("env/dotenv.phase2_extra"), What::Source(SourceKind::Dotenv)),
        (sample!("env/dotenv.deployment_guide_dialect"), What::Source(SourceKind::Dotenv)),
        (sample!("config/apex_config.json"), What::Source(SourceKind::Settings)),
        (sample!("config/trading.json"), What::Source(SourceKind::Settings)),
        (sample!("config/system.json"), What::Source(SourceKind::Settings)),
        (sample!("config/mode.json"), What::Source(SourceKind::Settings)),
        (sample!("config/n8n_config.json"), What::Source(SourceKind::Settings)),
        (sample!("exchange/gap_get_trades.json"), What::Reply),
        (sample!("db/positions_psm.db"), What::Source(SourceKind::Database)),
    ] {
        assert_eq!(look(sample.0), what, "{}", sample.1);
    }
    assert_eq!(look(b"# a README\nwith words\n"), What::Unknown);
    let item = report::item("trading.db", sample!("db/data_trading_b726.db").0, &utc());
    assert_eq!((item.bytes, item.what.as_str()), (28672, "SQLite database"));
    assert_eq!(item.detail, "orders 13, positions 0, trades 3");
}

#[test]
fn s49_both_dialects_give_the_same_lots() {
    let (s, c) = (document(sample!("json/positions.json")), document(sample!("json/trailing_stops.json")));
    let lot =
        |p: &PositionClaim| (p.instrument.to_string(), p.quantity.to_string(), p.entry.to_string(), p.stop);
    let of = |document: &Document| lots(document).into_iter().map(lot).collect::<Vec<_>>();
    let expected = [("BTC_USDT", "0.0001", "50000", "49000"), ("ETH_USDT", "0.01", "3000", "2940")];
    let expected =
        expected.map(|(i, q, e, stop)| (i.to_owned(), q.to_owned(), e.to_owned(), Some(Price(n(stop)))));
    assert_eq!((&of(&s)[..2], &of(&c)[..2]), (&expected[..], &expected[..]));
    assert_eq!(lots(&s)[2].stop, Some(Price(n("98"))));
    let sol = lots(&c)[2];
    assert_eq!((sol.stop, sol.highest), (Some(Price(n("100.47"))), Some(Price(n("102")))));
    // The id's epoch is a year early; the time of creation is taken, and the id kept.
    assert_eq!(doubts(&s, DisputeKind::TimesDisagree).len(), 3);
    assert_eq!(lots(&s)[0].opened.map(|t| t.0), Some(1_760_956_229_000_000_000));
    assert_eq!(lots(&s)[0].id.as_str(), "BTC_USDT_1729473829.123");
    assert_eq!(doubts(&c, DisputeKind::TimesDisagree), []);
    assert_eq!(lots(&c)[0].opened.map(|t| t.0), Some(1_760_956_229_123_004_000));
}

#[test]
fn s49_torn_files_are_refused_and_named() {
    let why = |(bytes, name): (&[u8], &str)| super::read(bytes, &utc()).expect_err(name).to_string();
    assert_eq!(
        why(sample!("json/trailing_stops.truncated.json")),
        "it ends too early, as after a write that was cut off"
    );
    assert_eq!(
        why(sample!("json/trailing_stops.empty.json")),
        "it is empty, as after a write that was cut off; nothing can be told from it"
    );
    assert_eq!(why(sample!("json/trailing_stops.nan.json")), "line 17: NaN is no number");
    // Every truncation: the old bot loaded each of them as "no positions".
    let whole = sample!("json/trailing_stops.json").0;
    let end = whole.iter().rposition(|byte| *byte == b'}').expect("an end");
    for cut in 0..end {
        assert!(super::read(&whole[..cut], &utc()).is_err(), "cut at {cut}");
    }
}

#[test]
fn s49_two_lots_of_one_symbol_are_both_kept() {
    let document = document(sample!("json/trailing_stops.same_symbol_twice.json"));
    let btc: Vec<_> = lots(&document).into_iter().filter(|p| p.instrument.as_str() == "BTC_USDT").collect();
    assert_eq!((lots(&document).len(), btc.len()), (4, 2));
    let sum = btc[0].quantity.plus(btc[1].quantity).expect("a sum");
    assert_eq!(sum, Quantity(n("0.0002")));
}

#[test]
fn s49_a_saved_state_and_a_wrong_zone() {
    let sample = sample!("json/dynamic_stoploss_state.json");
    let document = document(sample);
    assert_eq!((lots(&document).len(), lots(&document)[0].stop), (1, Some(Price(n("49000")))));
    let elsewhere = super::read(sample.0, &"+02:00".parse().expect("a zone")).expect("a document");
    let (_, _, words) = &doubts(&elsewhere, DisputeKind::TimesDisagree)[0];
    assert_eq!(
        words,
        "the id's epoch and the time of creation are -7200 s apart, as zones are: is --timezone right?"
    );
}

#[test]
fn s50_a_stop_behind_its_own_rule_is_proposed_and_never_lowered() {
    let text = r#"{"BTC/USDT_1760956229.123": {"symbol": "BTC/USDT", "entry_price": 50000.0, "amount": 0.0001,
        "stop_loss": 49000.0, "highest_price": 51000, "trailing_percent": 1.5,
        "created_at": "2025-10-20T10:30:29.123004"}}"#;
    let sample = (text.as_bytes(), "report.json");
    let document = document(sample);
    assert_eq!(figures(&document, DisputeKind::StopBehindRule), pair("49000", "50235"));
    assert!(doubts(&document, DisputeKind::StopBehindRule)[0].2.ends_with("Proposed: 50235"));
    let stop =
        |answers: &[&str]| positions(&judged(&[sample], answers, None).files[0]).next().expect("one").stop;
    assert_eq!(stop(&[]), Some(Price(n("49000"))), "a claim stays what it is until a person says otherwise");
    assert_eq!(stop(&["stops=proposed"]), Some(Price(n("50235"))));
    // A stop above its rule is never brought down to it.
    let above = text.replace("49000.0", "50500.0");
    let above = (above.as_bytes(), "above.json");
    assert_eq!(
        positions(&judged(&[above], &["stops=proposed"], None).files[0]).next().expect("one").stop,
        Some(Price(n("50500")))
    );
}

#[test]
fn s51_the_forgotten_ether_is_found() {
    let document = document(sample!("db/data_trading_b726.db"));
    assert_eq!(lots(&document).len(), 0);
    assert_eq!(figures(&document, DisputeKind::HoldingForgotten), pair("0", "0.0028"));
    let words = &doubts(&document, DisputeKind::HoldingForgotten)[0].2;
    assert_eq!(words, "10 buys less 3 sells leave 0.0028 of ETH_USDT; its positions name 0");
    assert_eq!(figures(&document, DisputeKind::ProfitDiffers), pair("0.0004", "0.0088"));
    let words = &doubts(&document, DisputeKind::ProfitDiffers)[0].2;
    assert!(words.contains("0.0088 first in, first out, and 0.005103125 at average cost"), "{words}");
}

#[test]
fn s52_rows_that_repeat_a_total_and_a_cancelled_fill() {
    let document = document(sample!("db/trading_engine_9c60.db"));
    let [lot] = lots(&document)[..] else { panic!("{:?}", lots(&document)) };
    assert_eq!((lot.quantity, lot.entry), (Quantity(n("0.002")), Price(n("50050"))));
    assert_eq!(figures(&document, DisputeKind::RowsCumulative), pair("0.003", "0.002"));
    assert_eq!(figures(&document, DisputeKind::StatusContradictsFill), pair("0", "0.001"));
    assert_eq!(
        figures(&document, DisputeKind::HoldingForgotten),
        [],
        "the fills leave what the last row names"
    );
    let trades = document.claims.iter().filter(|row| matches!(row.claim, Claim::Trade(_))).count();
    assert_eq!(trades, 2, "the cancelled one is a fill");
}

#[test]
fn s53_lots_bought_twice_and_an_order_without_a_position() {
    let document = document(sample!("db/trading_engine_6151.db"));
    assert_eq!(lots(&document).len(), 2);
    assert_eq!(figures(&document, DisputeKind::LotsTwice), pair("0.002", "0.001"));
    assert!(doubts(&document, DisputeKind::LotsTwice)[0].2.contains("within 4 min 39 s"));
    assert_eq!(figures(&document, DisputeKind::OrderWithoutPosition), pair("0", "0.001"));
    assert!(doubts(&document, DisputeKind::OrderWithoutPosition)[0].2.contains("buy_BTC_USDT_100000008"));
}

#[test]
fn s54_a_balance_that_never_noticed_what_was_bought() {
    let document = document(sample!("db/data_positions_1399.db"));
    assert_eq!(lots(&document).len(), 2);
    assert_eq!(figures(&document, DisputeKind::BalanceImpossible), pair("10000", "80"));
    let words = &doubts(&document, DisputeKind::BalanceImpossible)[0].2;
    assert_eq!(words, "80 is held by its own positions, and 10000 of 10000 is called available");
}

#[test]
fn s55_the_snapshot_confirms_and_contradicts() {
    let samples = [sample!("json/positions.json"), sample!("db/data_positions_1399.db")];
    let judged = judged(&samples, &[], Some(&gap()));
    let of = |file: &str, instrument: &str| {
        let mut all = judged.verdicts.iter().flatten();
        all.find(|v| v.file == file && v.instrument.as_str() == instrument).map(|v| v.verdict)
    };
    assert_eq!(of("positions.json", "BTC_USDT"), Some(ClaimVerdict::Confirmed));
    assert_eq!(of("positions.json", "SOL_USDT"), Some(ClaimVerdict::Confirmed));
    assert_eq!(of("data_positions_1399.db", "BTC_USDT"), Some(ClaimVerdict::Partly));
    let report = Report::of(&judged, |_| false);
    let c = report.counts;
    assert_eq!((c.files, c.refused, c.positions, c.confirmed, c.partly, c.contradicted), (2, 0, 5, 4, 1, 0));
}

#[test]
fn a_holding_of_the_exchange_that_no_file_claims_is_told() {
    let judged = judged(&[sample!("json/dynamic_stoploss_state.json")], &[], Some(&gap()));
    let names: Vec<&str> = judged.unclaimed.iter().map(|(asset, _)| asset.as_str()).collect();
    assert_eq!(names, ["ETH", "SOL"]);
}

#[test]
fn an_answer_of_the_exchange_that_failed_is_no_empty_listing() {
    let mut venue = Venue::default();
    let refused = venue.add(br#"{"id":1,"method":"private/user-balance","code":10009,"result":{"data":[]}}"#);
    assert!(refused.is_err());
    assert_eq!(venue.held("BTC"), None);
    assert_eq!(gap().trades.map(|trades| trades.len()), Some(4));
    let mut fee = Venue::default();
    fee.add(sample!("exchange/gap_get_trades_with_fee.json").0).expect("trades");
    assert_eq!(fee.trades.expect("trades")[0].fee.1, Quantity(n("0.00000025")));
}

#[test]
fn limits_in_shares_and_percent_are_asked_about() {
    let samples = [
        sample!("json/bot_status.json"),
        sample!("env/dotenv.seed"),
        sample!("env/dotenv.deployment_guide_dialect"),
        sample!("config/apex_config.json"),
        sample!("config/trading.json"),
    ];
    let open = judged(&samples, &[], None);
    let asked: Vec<&str> = open.questions.iter().map(|question| question.key).collect();
    assert_eq!(asked, ["stop_loss", "take_profit", "position_size", "positions", "daily_loss", "trade_risk"]);
    assert_eq!(open.limits, [(LimitKind::Drawdown, n("0.1"), LimitUnit::Share)]);
    let stop = &open.questions[0].said;
    assert!(
        stop.iter().any(|s| s.ends_with("risk_management.stop_loss = 0.02 (it does not say of what)")),
        "{stop:?}"
    );
    assert!(stop.iter().any(|s| s.ends_with("stop_loss_percent = 2 (2 %)")), "{stop:?}");
    let contested = |judged: &Judged| {
        let all = judged.files.iter().flat_map(|file| &file.disputes);
        all.filter(|dispute| dispute.kind == DisputeKind::LimitContested).count()
    };
    assert_eq!(contested(&open), 17);
    assert!(Report::of(&open, |_| false).is_open());
    let answers = [
        "stop_loss=2%",
        "take_profit=5%",
        "position_size=0.5",
        "positions=4",
        "daily_loss=1",
        "trade_risk=skip",
    ];
    let answered = judged(&samples, &answers, None);
    assert_eq!((answered.questions.len(), contested(&answered)), (0, 0));
    assert_eq!(answered.limits.len(), 6);
    // Without the file that does not say, percent and percent agree.
    let agreed = judged(&samples[..2], &[], None);
    assert!(agreed.limits.contains(&(LimitKind::StopLoss, n("0.02"), LimitUnit::Share)));
}

#[test]
fn answers_that_say_nothing_are_refused() {
    for answer in
        ["stop_loss", "stop_loss=2", "stop_loss=0%", "stop_loss=200%", "x=1", "positions=1.5", "stops=up"]
    {
        assert!(Answers::default().take(answer).is_err(), "{answer}");
    }
    let mut twice = Answers::default();
    twice.take("positions=4").expect("an answer");
    assert!(twice.take("positions=10").is_err());
}

#[test]
fn no_secret_of_the_environment_is_told() {
    let secret = "canary-5f1e";
    let text = format!(
        "EXCHANGE_API_KEY={secret}1\nEXCHANGE_API_SECRET=\"{secret}2\"\nexport TELEGRAM_BOT_TOKEN='{secret}3'\n\
         SOMETHING_ELSE={secret}4\nSTOP_LOSS_PCT=2.0\nINITIAL_BALANCE=3.0\nDATADOG_API_KEY=\n"
    );
    let document = document((text.as_bytes(), ".env"));
    assert_eq!(document.secrets, ["EXCHANGE_API_KEY", "EXCHANGE_API_SECRET", "TELEGRAM_BOT_TOKEN"]);
    let judged = judged(&[(text.as_bytes(), ".env")], &[], None);
    let report = Report::of(&judged, |_| false);
    let said = format!("{document:?}{judged:?}{report}{}", serde_json::to_string(&report).expect("JSON"));
    assert!(!said.contains("canary"), "{said}");
    assert!(said.contains("INITIAL_BALANCE = 3 was typed in by a person, and is no balance"));
    // The digest is no digest of the secrets either.
    let other = text.replace("canary", "another");
    assert_eq!(document.digest, super::tests::document((other.as_bytes(), ".env")).digest);
    // What is set wrongly, or twice, is refused without being shown.
    for wrong in
        ["STOP_LOSS_PCT=canary\n", "A=canary\nA=canary2\n", "API_KEY=canary\nEXCHANGE_API_KEY=canary2\n"]
    {
        let refused = super::read(wrong.as_bytes(), &utc()).expect_err("refused").to_string();
        assert!(!refused.contains("canary"), "{refused}");
    }
}

#[test]
fn the_switch_of_the_old_bot_is_a_claim_and_its_balance_a_note() {
    let document = document(sample!("json/bot_status.json"));
    assert!(document.claims.iter().any(|row| row.claim == Claim::TradingDisabled));
    let note = document.claims.iter().find(|row| row.row.as_str() == "balance").expect("a note");
    assert_eq!(
        note.claim,
        Claim::Note { what: Text::new("balance 3 is what the old bot was told, and no balance") }
    );
    let broken = br#"{"trading_enabled": "no"}"#;
    assert!(super::read(broken, &utc()).is_err(), "a switch that is neither on nor off is not guessed");
}

#[test]
fn a_log_of_trades_with_a_torn_last_line() {
    let (bytes, name) = sample!("json/trades.jsonl");
    let document = document((bytes, name));
    assert_eq!(document.claims.len(), 2);
    let Claim::Trade(sell) = &document.claims[1].claim else { panic!("a trade") };
    assert_eq!(sell.profit.map(|p| p.to_string()).as_deref(), Some("1"));
    assert_eq!(document.disputes[0].row.as_str(), "line 3");
    // A line that is torn elsewhere was not the last write.
    let turned = [bytes.split(|b| *b == b'\n').nth(2).expect("a line"), b"\n", bytes].concat();
    assert!(super::read(&turned, &utc()).is_err());
}

#[test]
fn a_file_that_makes_more_than_one_batch_is_refused() {
    let line = |n: usize| {
        format!(
            "{{\"timestamp\": \"2025-10-19T19:00:29.1\", \"trade_id\": \"{n}\", \"symbol\": \"BTC/USDT\", \"side\": \"buy\", \
             \"amount\": 0.001, \"price\": 50000, \"value\": 50}}\n"
        )
    };
    let log = |lines: usize| (0..lines).map(line).collect::<String>();
    assert_eq!(super::read(log(3_000).as_bytes(), &utc()).expect("a log").claims.len(), 3_000);
    let refused = super::read(log(4_900).as_bytes(), &utc()).expect_err("more than a batch");
    assert_eq!(refused.why, Why::TooLarge(4_900));
}

#[test]
fn only_what_was_executed_is_history() {
    let document = document(sample!("db/databases_trading.db"));
    assert_eq!(document.parts, [("positions".to_owned(), 0), ("trades".to_owned(), 3)]);
    let trades: Vec<_> = document.claims.iter().filter(|row| matches!(row.claim, Claim::Trade(_))).collect();
    assert_eq!(trades.len(), 1);
    let Claim::Trade(trade) = &trades[0].claim else { panic!("a trade") };
    assert_eq!((trade.instrument.as_str(), trade.quantity), ("BTC_USD", Quantity(n("0.001"))));
    for archived in [
        sample!("db/databases_ai_council.db"),
        sample!("db/databases_ai_decisions.db"),
        sample!("db/databases_market_data.db"),
        sample!("db/databases_risk.db"),
        sample!("db/databases_risk_management.db"),
        sample!("db/databases_simulation.db"),
        sample!("db/patch_manager.db"),
        sample!("db/siul_core.db"),
    ] {
        let document = super::tests::document(archived);
        assert_eq!(document.claims.len() + document.disputes.len(), 0, "{}", archived.1);
        assert!(!document.parts.is_empty());
    }
}

#[test]
fn the_successors_rows_carry_the_stops() {
    let document = document(sample!("db/positions_psm.db"));
    let of = |p: &PositionClaim| (p.instrument.to_string(), p.stop.map(|s| s.to_string()));
    let lots: Vec<_> = lots(&document).into_iter().map(of).collect();
    let stop = |text: &str| Some(text.to_owned());
    assert!(lots.contains(&("BTC_USDT".to_owned(), stop("49742.5"))));
    assert!(lots.contains(&("SOL_USDT".to_owned(), stop("98"))), "from its metadata");
    assert!(lots.contains(&("ADA_USDT".to_owned(), None)), "adopted without a stop");
    assert_eq!(lots.len(), 3, "the closed one is none");
    assert_eq!(doubts(&document, DisputeKind::StopMissing).len(), 1);
    assert_eq!(doubts(&document, DisputeKind::SideMisread).len(), 1);
}

#[test]
fn databases_that_are_torn_or_turned_are_refused() {
    let whole = sample!("db/positions_psm.db").0;
    for cut in (0..whole.len()).step_by(512) {
        assert!(super::read(&whole[..cut], &utc()).is_err(), "cut at {cut}");
    }
    let mut logged = whole.to_vec();
    (logged[18], logged[19]) = (2, 2);
    assert!(super::read(&logged, &utc()).is_ok(), "a file that was written with a log is read without one");
}

#[test]
fn positions_that_cannot_be_are_refused() {
    let good = r#"{"BTC_USDT_1": {"symbol": "BTC/USDT", "entry_price": 50000.0, "amount": 0.0001, "stop_price": 49000.0,
        "highest_price": 50000.0, "trailing_percent": 1.5, "created_at": "2025-10-20T10:30:29"}}"#;
    assert!(super::read(good.as_bytes(), &utc()).is_ok());
    for (from, to) in [
        ("0.0001", "-0.0001"),
        ("0.0001", "0"),
        ("0.0001", "\"0.0001\""),
        ("0.0001", "1e99"),
        ("50000.0, \"amount", "-5, \"amount"),
        ("BTC/USDT", "BTC"),
        ("\"stop_price\": 49000.0", "\"stop_price\": 51000.0"),
        ("\"highest_price\": 50000.0", "\"highest_price\": 40000.0"),
        ("1.5", "150"),
        ("\"stop_price\": 49000.0", "\"stop_price\": 49000.0, \"stop_price\": 49500.0"),
        ("\"stop_price\": 49000.0", "\"stop_price\": 49000.0, \"stop_loss\": 49500.0"),
        ("\"symbol\"", "\"side\": \"short\", \"symbol\""),
        ("\"amount\"", "\"volume\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let refused = super::read(bad.as_bytes(), &utc()).expect_err(&bad);
        assert!(!refused.to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn every_figure_that_is_claimed_stands_in_the_file(
        entry in "[1-9][0-9]{0,6}(\\.[0-9]{1,6})?", amount in "0\\.[0-9]{0,8}[1-9]", symbol in "[A-Z]{2,5}/USDT",
    ) {
        let text = format!(
            "{{\"x_1\": {{\"symbol\": \"{symbol}\", \"entry_price\": {entry}, \"amount\": {amount}, \"stop_price\": null}}}}"
        );
        let document = super::read(text.as_bytes(), &utc()).expect("a document");
        let lot = lots(&document)[0];
        prop_assert_eq!(lot.entry.0, n(&entry));
        prop_assert_eq!(lot.quantity.0, n(&amount));
        prop_assert_eq!(lot.instrument.to_string(), symbol.replace('/', "_"));
    }

    #[test]
    fn nothing_that_is_read_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = super::read(&bytes, &utc());
        let _ = report::item("x", &bytes, &utc());
    }
}
