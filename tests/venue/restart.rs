//! Killed at any moment and started again, the exchange has the same orders, balances and trades.

use crate::rig::{Venue, decimal, limit, market, stop};
use serde_json::{Value, json};

/// What must survive.
fn books(venue: &Venue) -> Value {
    let mut ledger = venue.ledger();
    // The opening is a record of its own.
    ledger.as_object_mut().expect("an object").remove("lsn");
    ledger
}

#[test]
fn a_killed_exchange_has_its_books_as_they_were() {
    let mut venue = Venue::quiet();
    venue.does("private/create-order", &market("BUY", "0.02", "r-1"));
    venue.does("private/create-order", &limit("BUY", "0.01", "59000", "r-2"));
    venue.does("private/advanced/create-order", &stop("0.01", "58000", "r-3"));
    venue.does("private/create-order", &limit("SELL", "0.01", "61000", "r-4"));
    venue.does("private/cancel-order", &json!({"client_oid": "r-4"}));
    let before = books(&venue);
    let detail = venue.does("private/get-order-detail", &json!({"client_oid": "r-1"}));
    venue.kill();
    venue.up();
    assert_eq!(books(&venue), before);
    assert_eq!(
        venue.does("private/get-order-detail", &json!({"client_oid": "r-1"})),
        detail,
        "to the last member"
    );
    venue.refuses("private/create-order", &limit("BUY", "0.01", "59000", "r-1"), 204);
    // What waited goes on waiting.
    venue.price("58500", "58500.01");
    assert_eq!(
        venue.does("private/get-order-detail", &json!({"client_oid": "r-2"}))["status"],
        json!("FILLED")
    );
    venue.price("57900", "57900.01");
    let row = venue.does("private/advanced/get-order-detail", &json!({"client_oid": "r-3"}));
    assert_eq!(row["status"], json!("FILLED"));
    let before = books(&venue);
    assert_eq!(venue.terminate(), 0);
    venue.up();
    assert_eq!(books(&venue), before, "and after a clean stop");
}

#[test]
fn what_was_answered_before_a_kill_is_there_after_it() {
    let mut venue = Venue::quiet();
    let mut answered: Vec<String> = Vec::new();
    for round in 0..4 {
        let kill_after = 3 + round * 2;
        for n in 0..kill_after {
            let client = format!("k-{round}-{n}");
            let made = venue.does("private/create-order", &market("BUY", "0.001", &client));
            answered.push(made["order_id"].as_str().expect("an id").to_owned());
        }
        venue.kill();
        venue.up();
        let ledger = venue.ledger();
        let ids: Vec<&str> = ledger["orders"]
            .as_array()
            .expect("orders")
            .iter()
            .filter_map(|o| o["order_id"].as_str())
            .collect();
        assert!(answered.iter().all(|id| ids.contains(&id.as_str())), "an answered order is missing");
        assert!(ledger["accepted"].as_object().expect("counts").values().all(|n| n == &json!(1)));
        let bought = answered.len() as i64;
        let fees = decimal(&ledger["balances"]["BTC"]["fees"]);
        assert_eq!(fees.to_string(), aegis_model::Quantity::new(bought * 5, 6).to_string(), "each fee once");
    }
}
