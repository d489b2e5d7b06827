//! The rules of the wire, as a client meets them: who may come in, types, ids, reservations, windows, quotas, the
//! command line.

use crate::rig::{KEY, QUIET, SECRET, Venue, decimal, limit, market, now_ms, price, signer, stop};
use aegis_cryptocom::request::{NoParams, Request};
use aegis_cryptocom::{Secret, Signer};
use serde_json::{Value, json};
use std::process::Command;

/// Changes one member of an order.
fn with(mut order: Value, name: &str, value: Value) -> Value {
    order[name] = value;
    order
}

#[test]
fn only_the_key_holder_in_time_comes_in() {
    let venue = Venue::start(&["--market", "none"]);
    let request = Request::UserBalance(NoParams);
    let code = |body: &str| {
        let (status, text) = venue.post("private/user-balance", body).expect("an answer");
        let reply: Value = serde_json::from_str(&text).expect("JSON");
        (status, reply["code"].as_i64().expect("a number"))
    };
    let other = Signer::new(KEY, &Secret::new("another-secret-entirely".to_owned()));
    let stranger = Signer::new("stranger", &Secret::new(SECRET.to_owned()));
    assert_eq!(code(&request.body(&signer(), 1, now_ms())), (200, 0));
    assert_eq!(code(&request.body(&other, 1, now_ms())), (401, 40101));
    assert_eq!(code(&request.body(&stranger, 1, now_ms())), (401, 40101));
    assert_eq!(code(&request.body(&signer(), 1, now_ms() - 61_000)), (400, 40102));
    assert_eq!(code(&request.body(&signer(), 1, now_ms() + 61_000)), (400, 40102));
    assert_eq!(code("no json"), (400, 40003));
    assert_eq!(code("[]"), (400, 40003));
    let (status, text) = venue.post("private/no-such-thing", "{\"id\":5}").expect("an answer");
    let reply: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &reply["code"], &reply["id"]), (400, &json!(40002), &json!(5)));
    // By the wrong door.
    assert_eq!(venue.get("private/user-balance").1["code"], json!(40003));
    let (_, text) = venue.post("public/get-tickers", "{}").expect("an answer");
    assert!(text.contains("\"code\":50001"), "{text}");
    // Another method in the body than in the path.
    let (_, text) =
        venue.post("private/get-accounts", &request.body(&signer(), 1, now_ms())).expect("an answer");
    assert!(text.contains("\"code\":40001"), "{text}");
    // The clock that clients see.
    venue.tell("/clock", &json!({"skew_ms": 90_000}));
    assert_eq!(code(&request.body(&signer(), 1, now_ms())), (400, 40102));
    assert_eq!(code(&request.body(&signer(), 1, now_ms() + 90_000)), (200, 0));
    venue.tell("/clock", &json!({"skew_ms": 0}));
    venue.tell("/maintenance", &json!({"on": true}));
    assert_eq!(code(&request.body(&signer(), 1, now_ms())).1, 9_010_001);
    assert_eq!(venue.get("public/get-tickers").0, 200);
}

#[test]
fn types_and_values_are_as_strict_as_the_venue() {
    let venue = Venue::quiet();
    let order = || limit("BUY", "0.01", "59000", "never");
    let create = "private/create-order";
    for (params, code) in [
        (with(order(), "price", json!(59000)), 308),
        (with(order(), "quantity", json!(1)), 40101),
        (with(with(market("BUY", "1", "never"), "quantity", Value::Null), "notional", json!(100)), 50001),
        (with(order(), "side", json!("buy")), 220),
        (with(order(), "type", json!("limit")), 218),
        (with(order(), "type", json!("STOP_LOSS")), 140_001),
        (with(order(), "time_in_force", json!("DAY")), 221),
        (with(order(), "exec_inst", json!(["POST_ONLY", "SMART_POST_ONLY"])), 219),
        (with(order(), "exec_inst", json!(["REDUCE_ONLY"])), 219),
        (with(order(), "spot_margin", json!("MARGIN")), 416),
        (with(order(), "spot_margin", json!("NO")), 50001),
        (with(order(), "fee_instrument_name", json!("DOGE")), 215),
        (with(order(), "instrument_name", json!("btc_usdt")), 209),
        (with(order(), "price", json!("59000.001")), 308),
        (with(order(), "quantity", json!("0.0000001")), 213),
        (with(order(), "stp_scope", json!("M")), 40004),
        (with(order(), "client_oid", json!("x".repeat(37))), 40004),
        (json!({"instrument_name": "BTC_USDT", "side": "BUY"}), 40004),
    ] {
        let reply = venue.refuses(create, &params, code);
        assert!(reply["result"].is_null(), "nothing exists after {params}: {reply}");
    }
    venue.refuses("private/get-order-history", &json!({"limit": "10"}), 40003);
    venue.refuses("private/get-order-detail", &json!({}), 40004);
    venue.refuses("private/get-order-detail", &json!({"client_oid": "never"}), 40401);
    venue.refuses("private/cancel-order", &json!({"client_oid": "never"}), 212);
    // What is unknown is ignored, silently.
    venue.does(
        create,
        &with(limit("BUY", "0.01", "59000", "a"), "time_in_farce", json!("IMMEDIATE_OR_CANCEL")),
    );
    assert_eq!(
        venue.does("private/get-order-detail", &json!({"client_oid": "a"}))["status"],
        json!("ACTIVE")
    );
    // Without an id of its own an order gets the nonce.
    let made = venue.does(create, &with(limit("BUY", "0.01", "59000", "x"), "client_oid", Value::Null));
    let digits = made["client_oid"].as_str().expect("text");
    assert!(digits.len() == 13 && digits.bytes().all(|b| b.is_ascii_digit()), "{made}");
}

#[test]
fn rejections_by_the_engine_leave_an_ended_order_and_use_up_the_id() {
    let venue = Venue::quiet();
    let create = "private/create-order";
    for (params, code) in [
        (limit("BUY", "1", "59000", "e-306"), 306),
        (limit("BUY", "0.00001", "59000", "e-415"), 415),
        (limit("BUY", "0.01", "1", "e-315"), 315),
        (limit("SELL", "50", "59000", "e-314"), 314),
        (with(limit("BUY", "0.01", "60001", "e-43005"), "exec_inst", json!(["POST_ONLY"])), 43005),
        (with(limit("BUY", "0.01", "59000", "e-43003"), "time_in_force", json!("FILL_OR_KILL")), 43003),
    ] {
        let client = params["client_oid"].clone();
        let reply = venue.refuses(create, &params, code);
        assert_eq!(reply["result"]["client_oid"], client, "{reply}");
        let row = venue.does("private/get-order-detail", &json!({"order_id": reply["result"]["order_id"]}));
        assert_eq!((&row["status"], &row["reason"]), (&json!("REJECTED"), &json!(code)), "{row}");
        venue.refuses(create, &limit("BUY", "0.01", "59000", client.as_str().expect("text")), 204);
    }
    // An instruction to rest is re-priced to rest.
    let smart = with(limit("BUY", "0.01", "60001", "smart"), "exec_inst", json!(["SMART_POST_ONLY"]));
    venue.does(create, &smart);
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "smart"}));
    assert_eq!((&row["status"], &row["limit_price"]), (&json!("ACTIVE"), &json!("60000")));
    // An amount to spend.
    let spend = json!({"instrument_name": "BTC_USDT", "side": "BUY", "type": "MARKET", "notional": "100", "client_oid": "spend"});
    venue.does(create, &spend);
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "spend"}));
    assert_eq!((&row["status"], &row["cumulative_quantity"]), (&json!("FILLED"), &json!("0.00166")));
    // Rejections may also be told later only.
    let later = Venue::start(&[QUIET, &["--set", "rejections=later"]].concat());
    let made = later.does(create, &limit("BUY", "1", "59000", "later"));
    let row = later.does("private/get-order-detail", &json!({"order_id": made["order_id"]}));
    assert_eq!((&row["status"], &row["reason"]), (&json!("REJECTED"), &json!(306)));
}

#[test]
fn money_is_reserved_paid_and_charged_to_the_last_digit() {
    let venue = Venue::quiet();
    let coin = |name: &str| {
        let balance = venue.does("private/user-balance", &json!({}));
        let coins = balance["data"][0]["position_balances"].as_array().expect("coins").clone();
        let row = coins.into_iter().find(|row| row["instrument_name"] == json!(name)).expect("a coin");
        (
            row["quantity"].as_str().expect("text").to_owned(),
            row["reserved_qty"].as_str().expect("text").to_owned(),
        )
    };
    let is = |total: &str, reserved: &str| (total.to_owned(), reserved.to_owned());
    venue.price_of("60000", "60000.01", "0.004");
    venue.does("private/create-order", &limit("BUY", "0.01", "60000.01", "m-1"));
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "m-1"}));
    assert_eq!((&row["status"], &row["cumulative_quantity"]), (&json!("ACTIVE"), &json!("0.004")));
    assert_eq!((coin("BTC"), coin("USDT")), (is("1.00398", "0"), is("9759.99996", "360.00006")));
    venue.price("59000", "59000.01");
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "m-1"}));
    assert_eq!((&row["status"], &row["fee_instrument_name"]), (&json!("FILLED"), &json!("BTC")));
    assert_eq!(decimal(&row["cumulative_fee"]).to_string(), "0.000035");
    assert_eq!(price(&row["avg_price"]).to_string(), "60000.01");
    assert_eq!((coin("BTC"), coin("USDT")), (is("1.009965", "0"), is("9399.9999", "0")));
    // The fee in quote, while there is enough of it.
    venue.does(
        "private/create-order",
        &with(market("BUY", "0.01", "m-2"), "fee_instrument_name", json!("USDT")),
    );
    let trade = venue.does("private/get-trades", &json!({"limit": 1}))["data"][0].clone();
    assert_eq!((&trade["fee_instrument_name"], &trade["fees"]), (&json!("USDT"), &json!("-2.9500005")));
    venue.tell("/fees", &json!({"fall_back": true}));
    venue.does(
        "private/create-order",
        &with(market("BUY", "0.01", "m-3"), "fee_instrument_name", json!("USDT")),
    );
    let trade = venue.does("private/get-trades", &json!({"limit": 1}))["data"][0].clone();
    assert_eq!((&trade["fee_instrument_name"], &trade["fees"]), (&json!("BTC"), &json!("-0.00005")));
    // Deposits, withdrawals, orders by hand.
    venue.tell("/flow", &json!({"id": "deposit-1", "asset": "USDT", "quantity": "100"}));
    venue.tell("/flow", &json!({"id": "withdrawal-1", "asset": "BTC", "quantity": "-0.5"}));
    venue.tell(
        "/order",
        &json!({"instrument": "BTC_USDT", "side": "SELL", "type": "MARKET", "quantity": "0.1"}),
    );
    let foreign = venue.tell("/order", &json!({"instrument": "BTC_USDT", "side": "SELL", "type": "LIMIT", "price": "70000", "quantity": "0.1"}));
    let open = venue.does("private/get-open-orders", &json!({}));
    assert_eq!(open["data"][0]["order_id"], foreign["order_id"]);
    venue.tell("/cancel", &json!({"order_id": foreign["order_id"]}));
    let rows = venue.does("private/get-transactions", &json!({}))["data"].as_array().expect("rows").clone();
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["journal_type"].as_str()).collect();
    for kind in ["ONCHAIN_DEPOSIT", "ONCHAIN_WITHDRAWAL", "TRADING", "TRADE_FEE"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let only = venue.does("private/get-transactions", &json!({"journal_type": "ONCHAIN_WITHDRAWAL"}));
    assert_eq!(only["data"][0]["transaction_qty"], json!("-0.5"));
    let ledger = venue.ledger();
    assert_eq!(coin("BTC").0, ledger["balances"]["BTC"]["total"].as_str().expect("text"));
}

#[test]
fn an_order_is_unseen_for_a_while_after_its_answer() {
    let venue = Venue::quiet();
    venue.does("private/create-order", &limit("BUY", "0.01", "59000", "v-0"));
    venue.tell("/lag", &json!({"visible": 400_000}));
    let made = venue.does("private/create-order", &limit("BUY", "0.01", "59000", "v-1"));
    venue.refuses("private/get-order-detail", &json!({"order_id": made["order_id"]}), 40401);
    venue.refuses("private/create-order", &limit("BUY", "0.01", "59000", "v-1"), 204);
    let open = venue.does("private/get-open-orders", &json!({}));
    assert_eq!(open["data"].as_array().map(Vec::len), Some(1), "only what was there before");
    let balance = venue.does("private/user-balance", &json!({}));
    let coins = balance["data"][0]["position_balances"].as_array().expect("coins").clone();
    let usdt = coins.iter().find(|row| row["instrument_name"] == json!("USDT")).expect("USDT");
    assert_eq!(usdt["reserved_qty"], json!("590"));
    venue.tell("/lag", &json!({}));
    assert_eq!(venue.does("private/get-open-orders", &json!({}))["data"].as_array().map(Vec::len), Some(2));
    // Each reading by itself.
    venue.tell("/lag", &json!({"trades": 400_000}));
    venue.does("private/create-order", &market("BUY", "0.01", "v-2"));
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "v-2"}));
    assert_eq!(row["status"], json!("FILLED"));
    assert_eq!(venue.does("private/get-trades", &json!({}))["data"], json!([]), "its trade is not there yet");
    venue.tell("/lag", &json!({"detail": 400_000}));
    venue.does("private/cancel-order", &json!({"client_oid": "v-0"}));
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "v-0"}));
    assert_eq!(row["status"], json!("ACTIVE"), "the detail is of before the cancel");
    assert_eq!(venue.does("private/get-open-orders", &json!({}))["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn histories_have_windows_and_pages() {
    let venue = Venue::quiet();
    for n in 0..5 {
        venue.does("private/create-order", &market("BUY", "0.001", &format!("h-{n}")));
    }
    let mut seen = Vec::new();
    let mut end = Value::Null;
    loop {
        let mut params = json!({"limit": 2});
        if !end.is_null() {
            params["end_time"] = end.clone();
        }
        let rows = venue.does("private/get-trades", &params)["data"].as_array().expect("rows").clone();
        let fresh: Vec<Value> =
            rows.iter().map(|row| row["trade_id"].clone()).filter(|id| !seen.contains(id)).collect();
        if fresh.is_empty() {
            break;
        }
        seen.extend(fresh);
        let oldest = rows.iter().filter_map(|row| row["create_time_ns"].as_str()?.parse::<i64>().ok()).min();
        end = json!((oldest.expect("a time") + 1).to_string());
    }
    assert_eq!(seen.len(), 5, "paging by the earliest time loses nothing");
    let now = now_ms();
    let days = |n: i64| now - n * 86_400_000;
    venue.refuses("private/get-trades", &json!({"start_time": days(8), "end_time": now}), 40005);
    assert_eq!(
        venue.does("private/get-trades", &json!({"start_time": days(7) + 1, "end_time": now + 1}))["data"]
            .as_array()
            .map(Vec::len),
        Some(5)
    );
    assert_eq!(
        venue.does("private/get-trades", &json!({"start_time": now, "end_time": days(1)}))["data"],
        json!([]),
        "a swap is no error"
    );
    let history = venue.does("private/get-order-history", &json!({"limit": 3}));
    let clients: Vec<&str> = history["data"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["client_oid"].as_str())
        .collect();
    assert_eq!(clients, ["h-4", "h-3", "h-2"], "the newest come first");
}

#[test]
fn quotas_are_kept() {
    let venue = Venue::start(&["--market", "none", "--protocol-scale", "1000"]);
    assert_eq!(venue.call("private/get-trades", &json!({})).1["code"], json!(0));
    venue.refuses("private/get-trades", &json!({}), 42901);
    venue.does("private/get-order-history", &json!({}));
    for n in 0..15 {
        venue.does("private/create-order", &limit("BUY", "0.001", "59000", &format!("q-{n}")));
    }
    venue.refuses("private/create-order", &limit("BUY", "0.001", "59000", "q-15"), 42901);
    assert_eq!(
        venue.ledger()["accepted"].as_object().map(serde_json::Map::len),
        Some(15),
        "it was not processed"
    );
}

#[test]
fn instruments_change_and_triggers_follow_the_mark() {
    let venue = Venue::quiet();
    venue.does("private/create-order", &limit("BUY", "0.01", "59000.01", "i-1"));
    venue.tell("/instrument", &json!({"name": "BTC_USDT", "price_tick": "0.5", "quantity_tick": "0.001"}));
    let row = venue.get("public/get-instruments").1["result"]["data"][0].clone();
    assert_eq!((&row["price_tick_size"], &row["quantity_decimals"]), (&json!("0.5"), &json!(3)));
    venue.refuses("private/create-order", &limit("BUY", "0.01", "59000.01", "i-2"), 308);
    assert_eq!(venue.does("private/get-open-orders", &json!({}))["data"].as_array().map(Vec::len), Some(1));
    venue.tell("/instrument", &json!({"name": "BTC_USDT", "tradable": false}));
    venue.refuses("private/create-order", &limit("BUY", "0.01", "59000", "i-3"), 208);
    venue.tell(
        "/instrument",
        &json!({"name": "BTC_USDT", "tradable": true, "price_tick": "0.01", "quantity_tick": "0.00001"}),
    );

    for repeats in [false, true] {
        let venue = Venue::start(
            &[QUIET, &["--set", if repeats { "repeat_client_oid=true" } else { "repeat_client_oid=false" }]]
                .concat(),
        );
        venue.does("private/advanced/create-order", &stop("0.01", "59000", "w-1"));
        venue.refuses("private/advanced/create-order", &stop("0.01", "59000", "w-1"), 204);
        venue.refuses("private/get-order-detail", &json!({"client_oid": "w-1"}), 40401);
        venue.price("58000", "58000.01");
        let row = venue.does("private/advanced/get-order-detail", &json!({"client_oid": "w-1"}));
        assert_eq!(
            (&row["status"], &row["trigger_price"]),
            (&json!("FILLED"), &json!("58000.005")),
            "the middle of the quotes fired it"
        );
        let order = venue.does("private/get-order-detail", &json!({"order_id": row["exchange_order_id"]}));
        assert_eq!(order["order_type"], json!("MARKET"));
        assert_eq!(order["client_oid"] == json!("w-1"), repeats, "{order}");
    }
    let legacy = Venue::start(&[QUIET, &["--set", "legacy_triggers=true"]].concat());
    let made = legacy.does("private/create-order", &stop("0.01", "59000", "old"));
    let row = legacy.does("private/advanced/get-order-detail", &json!({"order_id": made["order_id"]}));
    assert_eq!(row["status"], json!("PENDING"));
    let shared = Venue::start(&[QUIET, &["--set", "shared_client_oids=true"]].concat());
    shared.does("private/create-order", &limit("BUY", "0.01", "59000", "both"));
    shared.refuses("private/advanced/create-order", &stop("0.01", "59000", "both"), 204);
}

#[test]
fn a_walk_moves_by_itself_and_market_orders_find_a_counterparty() {
    let venue = Venue::start(&["--protocol-scale", "0.001", "--set", "nonce_window=60000s", "--pace", "50x"]);
    let touch =
        || venue.get("public/get-book?instrument_name=ETH_USDT&depth=1").1["result"]["data"][0].clone();
    let first = touch();
    venue.until("another price", || (touch()["bids"] != first["bids"]).then_some(()));
    venue.does("private/create-order", &json!({"instrument_name": "ETH_USDT", "side": "BUY", "type": "MARKET", "quantity": "0.1", "client_oid": "walk"}));
    let row = venue.does("private/get-order-detail", &json!({"client_oid": "walk"}));
    assert_eq!((&row["status"], &row["cumulative_quantity"]), (&json!("FILLED"), &json!("0.1")));
    let candles = venue.get("public/get-candlestick?instrument_name=ETH_USDT&count=300").1;
    assert!(
        candles["result"]["data"].as_array().is_some_and(|rows| rows.len() > 100),
        "candles from before the start"
    );
}

#[test]
fn a_recorded_market_is_played_and_taken_up_again() {
    for market in ["embedded-candles", "embedded-ticks"] {
        let mut venue = Venue::start(&[
            "--market",
            market,
            "--pace",
            "36000x",
            "--protocol-scale",
            "0.0001",
            "--set",
            "nonce_window=600000s",
            "--set",
            "heartbeat=1000000s",
            "--set",
            "price_band=none",
        ]);
        let order = |n: u32| market_buy(&venue, &format!("p-{n}"));
        let first = order(1);
        let second = venue.until("another price", || {
            let (_, reply) = venue.get("public/get-tickers?instrument_name=BTC_USDT");
            let bid = reply["result"]["data"][0]["b"].as_str()?.to_owned();
            (json!(bid) != first["avg_price"]).then_some(bid)
        });
        assert!(!second.is_empty());
        // An instrument that the record does not show still has a price.
        let (_, reply) = venue.get("public/get-book?instrument_name=SOL_USDT&depth=1");
        assert!(
            reply["result"]["data"][0]["bids"].as_array().is_some_and(|bids| !bids.is_empty()),
            "{reply}"
        );
        order(2);
        let before = venue.ledger();
        venue.kill();
        venue.up();
        assert_eq!(venue.ledger()["trades"], before["trades"]);
        market_buy(&venue, "p-3");
        venue.ledger();
    }
}

/// A small market buy, tried until the market shows an ask; its row.
fn market_buy(venue: &Venue, client: &str) -> Value {
    let made = venue.until("an ask", || {
        let (_, reply) = venue.call("private/create-order", &market("BUY", "0.002", client));
        match reply["code"].as_i64() {
            Some(0) => Some(reply["result"].clone()),
            Some(207) => None,
            _ => panic!("{reply}"),
        }
    });
    venue.does("private/get-order-detail", &json!({"order_id": made["order_id"]}))
}

#[test]
fn several_accounts_trade_on_one_market() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("secret");
    std::fs::write(&file, "another_demo_SECRET\n").expect("written");
    let second = format!("second:@{}", file.display());
    let venue = Venue::start(&[QUIET, &["--account", &second]].concat());
    let other = Signer::new("second", &Secret::new("another_demo_SECRET".to_owned()));
    venue.does("private/create-order", &market("BUY", "0.01", "one"));
    let body = Request::UserBalance(NoParams).body(&other, 1, now_ms());
    let (status, text) = venue.post("private/user-balance", &body).expect("an answer");
    assert_eq!(status, 200, "{text}");
    let one = venue.ledger();
    let two = venue.told("/ledger?account=second");
    assert_eq!(one["balances"]["BTC"]["total"], json!("1.00995"));
    assert_eq!(two["balances"]["BTC"]["total"], json!("1"));
    assert_eq!(two["orders"], json!([]));
}

#[test]
fn what_is_asked_wrongly_is_told_and_no_secret_is_repeated() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = busy.local_addr().expect("an address").to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let run = |args: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_aegis"))
            .arg("--data")
            .arg(&data)
            .arg("venue")
            .args(args)
            .output();
        let out = out.expect("it runs");
        (out.status.code().expect("a code"), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let account = ["--account", "demo:hush-hush-hush"];
    for (args, exit, words) in [
        (vec!["--listen", "127.0.0.1:0"], 2, "--account KEY:SECRET"),
        (vec!["--account", "nocolon-hush-hush-hush"], 2, "no colon"),
        (vec!["--account", "bad key:hush-hush-hush"], 2, "letters, digits"),
        (vec!["--account", "demo:hush"], 2, "fewer than 8"),
        ([&account[..], &["--listen", &address]].concat(), 74, "in use"),
        ([&account[..], &["--listen", "nowhere"]].concat(), 2, "not an address"),
        ([&account[..], &["--listen", "127.0.0.1:0", "--control", "0.0.0.0:0"]].concat(), 2, "loopback"),
        ([&account[..], &["--fund", "BTC"]].concat(), 78, "BTC=1"),
        ([&account[..], &["--set", "wild=1"]].concat(), 2, "--set wild"),
        (
            [&account[..], &["--listen", "127.0.0.1:0", "--market", "/no/such/file"]].concat(),
            74,
            "/no/such/file",
        ),
    ] {
        let (code, said) = run(&args);
        assert_eq!(code, exit, "{args:?}: {said}");
        assert!(said.contains(words) && !said.contains("hush"), "{args:?}: {said}");
    }
}
