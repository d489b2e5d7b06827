//! Sockets: login, commands, heartbeats that must be answered, quotas, cancel on disconnect.

use crate::rig::{Ended, Venue, limit, now_ms};
use aegis_cryptocom::{Secret, Signer, auth_frame};
use serde_json::json;

#[test]
fn commands_come_over_an_authenticated_socket() {
    let venue = Venue::quiet();
    let mut stranger = venue.socket("user");
    let other = Signer::new("stranger", &Secret::new("some-other-secret".to_owned()));
    stranger.send(&auth_frame(&other, 1, now_ms()));
    assert_eq!(stranger.answer(1)["code"], json!(40101));
    let id = stranger.subscribe(&["user.order"]);
    assert_eq!(stranger.answer(id)["code"], json!(40101));

    let mut user = venue.listener(&["user.order.BTC_USDT", "user.trade"]);
    assert_eq!(user.push("user.order")["result"]["data"], json!([]), "nothing is open");
    let id = user.say("private/create-order", &limit("BUY", "0.01", "59000", "c-1"));
    let made = user.answer(id);
    assert_eq!((&made["code"], &made["method"]), (&json!(0), &json!("private/create-order")));
    assert_eq!(user.row("user.order", |row| row["client_oid"] == json!("c-1"))["status"], json!("ACTIVE"));
    let id = user.say("private/create-order", &limit("BUY", "0.01", "59000", "c-1"));
    assert_eq!(user.answer(id)["code"], json!(204));
    let id = user.say("private/create-order", &limit("BUY", "1", "59000", "c-2"));
    let refused = user.answer(id);
    assert_eq!((&refused["code"], &refused["result"]["client_oid"]), (&json!(306), &json!("c-2")));
    let id = user.say("private/cancel-order", &json!({"client_oid": "c-1"}));
    assert_eq!(user.answer(id)["message"], json!("NO_ERROR"));
    user.row("user.order", |row| row["client_oid"] == json!("c-1") && row["status"] == json!("CANCELED"));
    let id = user.say("private/get-order-detail", &json!({"client_oid": "c-1"}));
    assert_eq!(user.answer(id)["code"], json!(40002), "queries are REST only");
    let id = user.subscribe(&["user.nothing"]);
    assert_eq!(user.answer(id)["code"], json!(40003));
    user.send("no json");
    assert_eq!(user.answer(-1)["code"], json!(40003));
    // Fills in parts, each told.
    venue.price_of("60000", "60000.01", "0.004");
    venue.does("private/create-order", &limit("BUY", "0.01", "60000.01", "c-3"));
    let part = user.row("user.order", |row| row["client_oid"] == json!("c-3"));
    assert_eq!((&part["status"], &part["cumulative_quantity"]), (&json!("ACTIVE"), &json!("0.004")));
    venue.price("60000", "60000.01");
    user.row("user.order", |row| row["client_oid"] == json!("c-3") && row["status"] == json!("FILLED"));
    let trade = user.row("user.trade", |row| row["taker_side"] == json!("MAKER"));
    assert_eq!((&trade["traded_quantity"], &trade["fees"]), (&json!("0.006"), &json!("-0.000015")));
}

#[test]
fn orders_of_a_connection_go_with_it_when_asked_for() {
    let venue = Venue::quiet();
    venue.does("private/create-order", &limit("BUY", "0.01", "59000", "d-0"));
    let mut user = venue.user();
    let id = user.say("private/create-order", &limit("BUY", "0.01", "59000", "d-1"));
    assert_eq!(user.answer(id)["code"], json!(0));
    let id = user.say("private/set-cancel-on-disconnect", &json!({"scope": "CONNECTION"}));
    assert_eq!(user.answer(id)["result"]["scope"], json!("CONNECTION"));
    let id = user.say("private/get-cancel-on-disconnect", &json!({}));
    assert_eq!(user.answer(id)["result"]["scope"], json!("CONNECTION"));
    drop(user);
    venue.until("the order's end", || {
        let row = venue.does("private/get-order-detail", &json!({"client_oid": "d-1"}));
        (row["status"] == json!("CANCELED")).then_some(())
    });
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "d-0"}));
    assert_eq!(row["status"], json!("ACTIVE"), "orders by REST stay");
}

#[test]
fn a_heartbeat_must_be_answered() {
    let venue = Venue::start(&[
        "--market",
        "none",
        "--set",
        "heartbeat=200ms",
        "--set",
        "heartbeat_answer=3s",
        "--set",
        "nonce_window=600s",
    ]);
    for which in ["market", "user"] {
        let mut socket = venue.socket(which);
        let mut ids = Vec::new();
        for _ in 0..3 {
            let beat = socket.wait("a heartbeat", |frame| frame["method"] == json!("public/heartbeat"));
            venue.excerpt.check(venue.excerpt.named("WsHeartbeat"), &beat.to_string());
            let id = beat["id"].as_i64().expect("an id");
            socket.send(&aegis_cryptocom::heartbeat_answer(id));
            ids.push(id);
        }
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    }
    let strict =
        Venue::start(&["--market", "none", "--set", "heartbeat=50ms", "--set", "heartbeat_answer=50ms"]);
    assert_eq!(strict.socket("market").ending(), Ended::Code(1000), "silence is a missed heartbeat");
    assert_eq!(strict.socket("user").ending(), Ended::Code(1000));
}

#[test]
fn a_socket_has_a_quota_and_ends_with_the_process() {
    let mut venue = Venue::start(&["--market", "none", "--protocol-scale", "1000"]);
    let mut market = venue.socket("market");
    // A calendar second of this protocol time lasts long, so all of these fall into the first one.
    let mut refused = 0;
    for _ in 0..120 {
        let id = market.say("unsubscribe", &json!({"channels": ["ticker.BTC_USDT"]}));
        refused += usize::from(market.answer(id)["code"] == json!(42901));
    }
    assert!(refused >= 20, "of 120 frames {refused} were refused");
    let id = market.subscribe(&["ticker.NOPE"]);
    assert_ne!(market.answer(id)["code"], json!(0));
    let mut user = venue.socket("user");
    assert_eq!(venue.terminate(), 0, "SIGTERM ends it cleanly");
    assert_eq!((market.ending(), user.ending()), (Ended::Code(1013), Ended::Code(1013)));
}

#[test]
fn who_does_not_read_is_cut_off_and_holds_nobody_up() {
    let venue = Venue::quiet();
    let mut idle = venue.listener(&["user.order"]);
    let mut reader = venue.listener(&["user.order"]);
    let list = |round: usize| {
        let order = |n: usize| {
            let mut order = limit("BUY", "0.001", "59000", &format!("z-{round}-{n}"));
            order["time_in_force"] = json!("IMMEDIATE_OR_CANCEL");
            order
        };
        json!({"contingency_type": "LIST", "order_list": (0..10).map(order).collect::<Vec<_>>()})
    };
    // Until the queue and every buffer on the way are full; whoever reads sees all of it.
    let mut round = 0;
    while venue.told("/")["listeners"] == json!(2) {
        assert!(round < 5_000, "it is never cut off");
        venue.does("private/create-order-list", &list(round));
        for n in 0..10 {
            let client = format!("z-{round}-{n}");
            reader.row("user.order", |row| row["client_oid"] == json!(client));
        }
        round += 1;
    }
    assert!(matches!(idle.ending(), Ended::Abruptly | Ended::Code(1013)));
}
