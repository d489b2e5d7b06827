//! Every reply of every endpoint, and every frame, against the machine-readable reference.

use crate::rig::{Venue, limit, market, stop};
use aegis_cryptocom::Method;
use aegis_cryptocom::request::Door;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Answers every method once, with rows wherever rows can be.
fn every_method(venue: &Venue) -> BTreeSet<&'static str> {
    let mut met = BTreeSet::new();
    let mut does = |method: &'static str, params: Value| {
        met.insert(method);
        venue.does(method, &params)
    };
    let pair = json!({"instrument_name": "BTC_USDT"});
    let resting = does("private/create-order", limit("BUY", "0.01", "59000", "s-1"));
    does("private/create-order", market("BUY", "0.02", "s-2"));
    let many = json!({"contingency_type": "LIST", "order_list": [limit("BUY", "0.001", "58000", "s-3"), limit("BUY", "9", "58000", "s-4")]});
    let acks = does("private/create-order-list", many);
    assert_eq!((&acks[0]["code"], &acks[1]["code"], &acks[1]["index"]), (&json!(0), &json!(306), &json!(1)));
    let open = does("private/get-open-orders", pair.clone());
    assert_eq!(open["data"].as_array().map(Vec::len), Some(2));
    does("private/get-order-detail", json!({"order_id": resting["order_id"]}));
    does(
        "private/amend-order",
        json!({"order_id": resting["order_id"], "new_price": "58500", "new_quantity": "0.02"}),
    );
    does("private/cancel-order", json!({"order_id": resting["order_id"]}));
    does(
        "private/cancel-order-list",
        json!({"contingency_type": "LIST", "order_list": [{"instrument_name": "BTC_USDT", "client_oid": "s-3"}, {"instrument_name": "BTC_USDT", "client_oid": "nobody"}]}),
    );
    does("private/cancel-all-orders", pair.clone());
    assert!(
        does("private/get-order-history", pair.clone())["data"]
            .as_array()
            .is_some_and(|rows| rows.len() == 4)
    );
    assert!(does("private/get-trades", pair.clone())["data"].as_array().is_some_and(|rows| rows.len() == 1));
    let rows = does("private/get-transactions", json!({}));
    assert!(rows["data"].as_array().is_some_and(|rows| rows.len() == 4), "{rows}");
    does("private/user-balance", json!({}));
    does("private/user-balance-history", json!({"timeframe": "H1", "limit": 10}));
    does("private/get-accounts", json!({"page": 0}));
    does("private/get-fee-rate", json!({}));
    does("private/get-instrument-fee-rate", pair.clone());

    let waiting = does("private/advanced/create-order", stop("0.01", "50000", "t-1"));
    does(
        "private/advanced/amend-order",
        json!({"order_id": waiting["order_id"], "new_quantity": "0.02", "new_price": "0", "new_ref_price": "51000"}),
    );
    does(
        "private/advanced/create-order-list",
        json!({"order_list": [stop("0.01", "50000", "t-2"), stop("0.01", "70000", "t-3")]}),
    );
    let leg = |side: &str, kind: &str, price: &str, reference: &str, client: &str| {
        let mut leg = json!({"instrument_name": "BTC_USDT", "side": side, "type": kind, "quantity": "0.01", "client_oid": client});
        if !price.is_empty() {
            leg["price"] = json!(price);
        }
        if !reference.is_empty() {
            leg["ref_price"] = json!(reference);
        }
        leg
    };
    let oco = json!({"order_list": [leg("SELL", "LIMIT", "70000", "", "l-1"), leg("SELL", "STOP_LOSS", "", "50000", "l-2")]});
    let oco = does("private/advanced/create-oco", oco);
    let oto = json!({"order_list": [leg("BUY", "LIMIT", "50000", "", "l-3"), leg("SELL", "STOP_LOSS", "", "45000", "l-4")]});
    let oto = does("private/advanced/create-oto", oto);
    let otoco = json!({"order_list": [leg("BUY", "LIMIT", "50000", "", "l-5"), leg("SELL", "STOP_LOSS", "", "45000", "l-6"), leg("SELL", "TAKE_PROFIT", "", "70000", "l-7")]});
    let otoco = does("private/advanced/create-otoco", otoco);
    let legs = does(
        "private/advanced/get-order-list-detail",
        json!({"list_id_list": [oco["list_id"], otoco["list_id"]]}),
    );
    assert_eq!(legs["data"].as_array().map(Vec::len), Some(5));
    assert!(
        does("private/advanced/get-open-orders", json!({}))["data"]
            .as_array()
            .is_some_and(|rows| rows.len() == 9)
    );
    does("private/advanced/get-order-detail", json!({"client_oid": "l-2"}));
    does("private/advanced/cancel-oco", json!({"list_id": oco["list_id"]}));
    does("private/advanced/cancel-oto", json!({"list_id": oto["list_id"]}));
    does("private/advanced/cancel-otoco", json!({"list_id": otoco["list_id"]}));
    does("private/advanced/cancel-order", json!({"client_oid": "t-1"}));
    does(
        "private/advanced/cancel-order-list",
        json!({"order_list": [{"client_oid": "t-2"}, {"client_oid": "nobody"}]}),
    );
    does("private/advanced/cancel-all-orders", json!({}));
    assert!(
        does("private/advanced/get-order-history", json!({}))["data"]
            .as_array()
            .is_some_and(|rows| rows.len() == 9)
    );
    met
}

#[test]
fn every_reply_of_every_endpoint_validates() {
    for integers in ["numbers", "strings"] {
        let venue = Venue::quiet();
        venue.tell("/integers", &json!({"as": integers}));
        if integers == "strings" {
            let (_, reply) = venue.call("private/user-balance", &json!({}));
            assert_eq!((&reply["id"], &reply["code"]), (&json!("7"), &json!("0")));
            continue;
        }
        let mut met = every_method(&venue);
        for (target, name) in [
            ("public/get-instruments", "public/get-instruments"),
            ("public/get-tickers", "public/get-tickers"),
            ("public/get-tickers?instrument_name=BTC_USDT", "public/get-tickers"),
            ("public/get-book?instrument_name=BTC_USDT&depth=5", "public/get-book"),
            ("public/get-trades?instrument_name=BTC_USDT&count=5", "public/get-trades"),
            (
                "public/get-candlestick?instrument_name=BTC_USDT&timeframe=5m&count=5",
                "public/get-candlestick",
            ),
            ("public/get-risk-parameters", "public/get-risk-parameters"),
        ] {
            let (status, reply) = venue.get(target);
            assert_eq!((status, &reply["code"]), (200, &json!(0)), "{target}: {reply}");
            let method = Method::from_name(name).expect("a method");
            venue.excerpt.check(venue.excerpt.success(method), &reply.to_string());
            met.insert(name);
        }
        let all: BTreeSet<&str> =
            Method::ALL.iter().filter(|m| m.door() != Door::Socket).map(|m| m.name()).collect();
        assert_eq!(met, all, "every method is met");
        venue.ledger();
    }
}

#[test]
fn every_frame_validates() {
    let venue = Venue::quiet();
    let check =
        |name: &str, frame: &Value| venue.excerpt.check(venue.excerpt.named(name), &frame.to_string());
    venue.does("private/create-order", &limit("BUY", "0.01", "59000", "f-0"));
    let mut user = venue.user();
    let id = user.subscribe(&["user.order", "user.trade", "user.balance", "user.advance.order"]);
    check("WsAck", &user.answer(id));
    let snapshot = user.push("user.order");
    check("WsUserOrder", &snapshot);
    assert_eq!(snapshot["id"], json!(id), "the snapshot answers the request");
    assert_eq!(snapshot["result"]["data"][0]["client_oid"], json!("f-0"), "and shows what is open");
    venue.does("private/create-order", &market("BUY", "0.01", "f-1"));
    venue.does("private/advanced/create-order", &stop("0.01", "50000", "f-2"));
    for (name, channel) in [
        ("WsUserOrder", "user.order"),
        ("WsUserTrade", "user.trade"),
        ("WsUserBalance", "user.balance"),
        ("WsUserAdvanceOrder", "user.advance.order"),
    ] {
        let frame = user
            .wait(channel, |frame| frame["result"]["channel"] == json!(channel) && frame["id"] == json!(-1));
        check(name, &frame);
    }

    let mut market_socket = venue.socket("market");
    let id = market_socket.say(
        "subscribe",
        &json!({"channels": ["ticker.BTC_USDT", "trade.BTC_USDT", "book.BTC_USDT.10", "candlestick.1m.BTC_USDT"],
            "book_subscription_type": "SNAPSHOT_AND_UPDATE", "book_update_frequency": 10}),
    );
    assert_eq!(market_socket.answer(id)["code"], json!(0));
    check("WsTicker", &market_socket.push("ticker"));
    check("WsTrade", &market_socket.push("trade"));
    let book = market_socket.push("book");
    check("WsBookSnapshot", &book);
    market_socket.push("candlestick");
    venue.price("60010", "60010.01");
    let delta = market_socket.push("book.update");
    check("WsBookUpdate", &delta);
    let number = |frame: &Value, name: &str| frame["result"]["data"][0][name].as_i64().expect("a number");
    assert_eq!(number(&delta, "pu"), number(&book, "u"), "a delta follows what was sent before it");
}
