//! S16 and S55 over real sockets: the old bot's files imported while the engine is down, then judged by the exchange.

use crate::stage::{Stage, until};
use crate::stories::{hold, rules};
use aegis_model::Fact;
use aegis_model::claim::ClaimVerdict;
use serde_json::json;
use std::path::Path;

/// The engine knows BTC 0.0001 and ETH 0.01; the old bot bought another 0.0001 BTC and 0.5 SOL while it was down.
fn the_gap(stage: &mut Stage) {
    stage.start();
    hold(stage, "BTC_USDT", "0.0001");
    hold(stage, "ETH_USDT", "0.01");
    stage.kill();
    stage.exchange.by_hand("BTC_USDT", "BUY", "0.0001");
    stage.exchange.by_hand("SOL_USDT", "BUY", "0.5");
    until("it is there", || stage.ledger()["balances"]["SOL"]["total"] == json!("0.5"));
    // Where the old bot had seen it go.
    stage.exchange.price("SOL_USDT", "101", "101.01");
}

fn sample(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/legacy/json").join(name);
    file.to_str().expect("a path").to_owned()
}

fn import(stage: &Stage, name: &str) {
    stage.order(&["import", &sample(name), "--timezone", "UTC"]);
}

fn checked(stage: &Stage) -> usize {
    stage.count(|f| matches!(f, Fact::ClaimChecked(c) if c.verdict == ClaimVerdict::Confirmed))
}

fn booked(stage: &Stage) -> (usize, usize) {
    let external = |f: &Fact| matches!(f, Fact::FillBooked(b) if b.order.0 == 0);
    (stage.count(external), stage.count(|f| matches!(f, Fact::CorrectionBooked(_))))
}

#[test]
fn s16_imported_claims_are_confirmed_and_the_stop_is_taken() {
    let mut stage = Stage::new("USDT=100000", &rules("holdings = \"adopt\"\n"));
    the_gap(&mut stage);
    import(&stage, "trailing_stops.json");
    import(&stage, "trailing_stops.json");
    assert_eq!(stage.count(|f| matches!(f, Fact::FileImported(_))), 1, "S55: twice is once");
    stage.start();
    until("all claims are judged", || checked(&stage) == 3);
    let file = sample("positions.json");
    let busy = stage.on(&["import", &file, "--timezone", "UTC"]);
    assert_eq!(busy.status.code(), Some(73), "an engine that runs holds its journal");
    assert_eq!(booked(&stage), (2, 0), "two corrections, by real trades");
    stage.until_held("BTC_USDT", "0.0002");
    stage.until_held("SOL_USDT", "0.5");
    let stops = ["BTC_USDT", "ETH_USDT", "SOL_USDT"].map(|name| stage.stop_of(name).unwrap_or_default());
    assert_eq!(stops, ["49000", "2940", "100.47"]);
    let sell = |name: &str, amount: &str| (name.to_owned(), amount.to_owned());
    let all = [sell("BTC_USDT", "0.0002"), sell("ETH_USDT", "0.01"), sell("SOL_USDT", "0.5")];
    until("a stop for each rests at the exchange", || {
        let mut resting = stage.resting();
        resting.sort();
        resting == all
    });
    stage.exchange.price("SOL_USDT", "100.4", "100.41");
    stage.until_held("SOL_USDT", "0");
    stage.agrees().expect("at rest");
}

#[test]
fn s16_by_default_a_claim_takes_its_lot_out_of_the_quarantine() {
    let mut stage = Stage::new("USDT=100000", &rules(""));
    the_gap(&mut stage);
    import(&stage, "positions.json");
    stage.start();
    until("all claims are judged", || checked(&stage) == 3);
    stage.until_held("SOL_USDT", "0.5");
    assert_eq!(booked(&stage), (0, 1), "one adoption, at the claimed entry price");
    assert_eq!(
        (stage.held("BTC_USDT").as_str(), stage.stop_of("SOL_USDT").as_deref()),
        ("0.0001", Some("98"))
    );
    stage.until_guarded("SOL_USDT");
    stage.kill();
    stage.start();
    assert_eq!(
        (stage.held("SOL_USDT").as_str(), booked(&stage)),
        ("0.5", (0, 1)),
        "a second look adds nothing"
    );
    stage.agrees().expect("at rest");
}
