//! Scripted faults: each does what it says, once, to whom it is meant for, and is in the log; the books stay true.

use crate::rig::{Ended, Venue, limit, market};
use serde_json::{Value, json};

fn accepted(venue: &Venue) -> Vec<String> {
    venue.ledger()["accepted"].as_object().expect("counts").keys().cloned().collect()
}

#[test]
fn requests_are_lost_before_or_after_they_are_processed() {
    let venue = Venue::quiet();
    let create = "private/create-order";
    let order = |client: &str| limit("BUY", "0.001", "59000", client);
    let on = |client: &str, act: Value| {
        venue.fault(&json!({"when": {"method": create, "client_oid": client}, "act": act}))
    };

    on("a-1", json!({"drop_request": {}}));
    assert_eq!(venue.try_call(create, &order("a-1")), None);
    assert_eq!(accepted(&venue), [""; 0], "nothing was processed");
    venue.does(create, &order("a-1"));

    on("a-2", json!({"drop_reply": {}}));
    assert_eq!(venue.try_call(create, &order("a-2")), None);
    assert_eq!(accepted(&venue), ["a-1", "a-2"], "it was processed");
    venue.refuses(create, &order("a-2"), 204);

    on("a-3", json!({"page": {"status": 502, "processed": true}}));
    let (status, page) = venue.call(create, &order("a-3"));
    assert!(status == 502 && page.as_str().is_some_and(|page| page.starts_with("<html>")), "{page}");
    on("a-4", json!({"page": {"status": 503, "processed": false}}));
    assert_eq!(venue.call(create, &order("a-4")).0, 503);
    for (client, code, processed) in
        [("a-5", 50001, true), ("a-6", 40801, true), ("a-7", 50001, false), ("a-8", 42901, false)]
    {
        on(client, json!({"code": {"code": code, "processed": processed}}));
        venue.refuses(create, &order(client), code);
    }
    assert_eq!(accepted(&venue), ["a-1", "a-2", "a-3", "a-5", "a-6"]);
    assert_eq!(
        venue.applied(),
        ["drop_request", "drop_reply", "page", "page", "code", "code", "code", "code"],
        "each in the log, in order"
    );
    // A burst, and a fault that lets the first ones pass.
    venue.fault(&json!({"when": {"method": "private/*"}, "act": {"code": {"code": 42901, "processed": false}}, "times": 3}));
    for _ in 0..3 {
        venue.refuses("private/user-balance", &json!({}), 42901);
    }
    venue.does("private/user-balance", &json!({}));
    venue.fault(&json!({"when": {"instrument": "BTC_USDT"}, "act": {"drop_request": {}}, "after": 2}));
    venue.does(create, &order("a-9"));
    venue.does(create, &order("a-10"));
    assert_eq!(venue.try_call(create, &order("a-11")), None);
    // Twice on the way is once in the books.
    on("a-12", json!({"repeat_request": {}}));
    venue.does(create, &order("a-12"));
    assert_eq!(venue.ledger()["accepted"]["a-12"], json!(1));
    assert_eq!(venue.ledger()["counters"]["duplicates"], json!(2));
}

#[test]
fn requests_are_late_inside_and_beyond_the_nonce_window() {
    let venue = Venue::start(&[
        "--market",
        "none",
        "--protocol-scale",
        "0.001",
        "--set",
        "heartbeat=100000s",
        "--set",
        "nonce_window=400s",
    ]);
    let create = "private/create-order";
    venue.fault(&json!({"when": {"client_oid": "n-1"}, "act": {"delay_request": {"ms": 100}}}));
    venue.does(create, &limit("BUY", "0.001", "59000", "n-1"));
    venue.fault(&json!({"when": {"client_oid": "n-2"}, "act": {"delay_request": {"ms": 900}}}));
    venue.refuses(create, &limit("BUY", "0.001", "59000", "n-2"), 40102);
    // Held inside the venue, after its nonce was looked at, it is taken however late.
    venue.fault(&json!({"when": {"client_oid": "n-3"}, "act": {"hold_request": {"ms": 900}}}));
    venue.does(create, &limit("BUY", "0.001", "59000", "n-3"));
    venue.fault(&json!({"when": {"client_oid": "n-4"}, "act": {"delay_reply": {"ms": 100}}}));
    venue.does(create, &limit("BUY", "0.001", "59000", "n-4"));
    assert_eq!(accepted(&venue), ["n-1", "n-3", "n-4"]);
}

#[test]
fn answers_come_in_other_shapes() {
    let venue = Venue::quiet();
    venue.does("private/create-order", &market("BUY", "0.001", "x-1"));
    venue.fault(&json!({"when": {"method": "private/get-trades"}, "act": {"strings": {}}}));
    let (_, reply) = venue.call("private/get-trades", &json!({}));
    assert!(reply["code"] == json!("0") && reply["result"]["data"][0]["create_time"].is_string(), "{reply}");
    venue.fault(&json!({"when": {"method": "private/get-trades"}, "act": {"extra_fields": {}}}));
    let (_, reply) = venue.call("private/get-trades", &json!({}));
    assert!(!reply["x_new"].is_null() && reply["result"]["data"][0]["x_new"] == json!("1"), "{reply}");
    venue.fault(&json!({"when": {"method": "public/get-trades"}, "act": {"lower_case_side": {}}}));
    let (_, reply) = venue.get("public/get-trades?instrument_name=BTC_USDT");
    assert_eq!(reply["result"]["data"][0]["s"], json!("buy"));
    venue.fault(&json!({"when": {"method": "private/get-order-history"}, "act": {"null_values": {}}}));
    let (_, reply) = venue.call("private/get-order-history", &json!({}));
    assert_eq!(reply["result"]["data"][0]["time_in_force"], json!("NULL_VAL"));
}

#[test]
fn frames_are_lost_repeated_turned_round_and_sockets_closed() {
    let venue = Venue::quiet();
    let create = |client: &str| venue.does("private/create-order", &limit("BUY", "0.001", "59000", client));
    let on = |client: &str, act: Value| {
        venue.fault(&json!({"when": {"channel": "user.order", "client_oid": client}, "act": act}));
    };
    let mut user = venue.listener(&["user.order"]);
    user.push("user.order");
    on("f-1", json!({"drop_frame": {}}));
    create("f-1");
    on("f-2", json!({"duplicate_frame": {}}));
    create("f-2");
    assert_eq!(user.push("user.order")["result"]["data"][0]["client_oid"], json!("f-2"), "the first is lost");
    assert_eq!(
        user.push("user.order")["result"]["data"][0]["client_oid"],
        json!("f-2"),
        "the second comes twice"
    );
    on("f-3", json!({"reorder_frame": {}}));
    create("f-3");
    create("f-4");
    assert_eq!(user.push("user.order")["result"]["data"][0]["client_oid"], json!("f-4"));
    assert_eq!(user.push("user.order")["result"]["data"][0]["client_oid"], json!("f-3"), "behind the next");
    on("f-5", json!({"delay_frame": {"ms": 50}}));
    create("f-5");
    assert_eq!(user.push("user.order")["result"]["data"][0]["client_oid"], json!("f-5"));
    assert!(user.kept().is_empty(), "{:?}", user.kept());
    on("f-6", json!({"close": {"code": 1013}}));
    create("f-6");
    assert_eq!(user.ending(), Ended::Code(1013));
    let mut user = venue.listener(&["user.order"]);
    on("f-7", json!({"close": {"code": 1006}}));
    create("f-7");
    assert_eq!(user.ending(), Ended::Abruptly);
    assert_eq!(
        venue.applied(),
        ["drop_frame", "duplicate_frame", "reorder_frame", "delay_frame", "close", "close"]
    );
    // The answer to a command is a frame too; the order exists although it is lost.
    let mut user = venue.user();
    venue.fault(&json!({"when": {"method": "private/create-order"}, "act": {"drop_reply": {}}}));
    user.say("private/create-order", &limit("BUY", "0.001", "59000", "f-8"));
    assert_eq!(user.ending(), Ended::Abruptly);
    venue.does("private/get-order-detail", &json!({"client_oid": "f-8"}));
}

#[test]
fn a_heartbeat_is_skipped() {
    let venue = Venue::start(&[
        "--market",
        "none",
        "--set",
        "heartbeat=100ms",
        "--set",
        "heartbeat_answer=20s",
        "--set",
        "nonce_window=600s",
    ]);
    venue.fault(&json!({"act": {"skip_heartbeat": {}}, "times": 3}));
    let mut socket = venue.socket("market");
    socket.wait("a heartbeat", |frame| frame["method"] == json!("public/heartbeat"));
    assert_eq!(venue.applied(), ["skip_heartbeat"; 3]);
}
