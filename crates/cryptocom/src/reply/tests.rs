//! What each answer proves, as a table; and that no bytes are ever a guess.

use super::*;
use crate::rows::{BalanceRow, OrderRow, TradeRow};
use crate::server::{answer, refuse};
use crate::wire::Listing;
use crate::wire::tests::{Made, source};
use crate::write::Integers;
use alloc::string::ToString;
use proptest::prelude::*;

const OURS: Label = Label::literal("aegis-7f3a-000005");

fn create() -> Asked {
    Asked { method: Method::CreateOrder, id: Some(51), client_oid: Some(OURS) }
}

fn word(outcome: &WriteOutcome) -> String {
    let of = |ids: &Ids| ids.order_id.map(|id| format!(" {}", id.0)).unwrap_or_default();
    match outcome {
        WriteOutcome::Queued(ids) => format!("queued{}", of(ids)),
        WriteOutcome::Recorded(ids, e) => format!("recorded{} {}", of(ids), e.code.unwrap_or(-1)),
        WriteOutcome::Exists(ids, _) => format!("exists{}", of(ids)),
        WriteOutcome::LookUp(e) => format!("look up {}", e.code.unwrap_or(-1)),
        WriteOutcome::Refused(e) => format!("refused {}", e.code.unwrap_or(-1)),
        WriteOutcome::Later(e) => format!("later {}", e.code.unwrap_or(-1)),
        WriteOutcome::Access(e) => format!("access {}", e.code.unwrap_or(-1)),
        WriteOutcome::Unknown(e) => format!("unknown: {}", e.text),
    }
}

#[test]
fn writes_by_hand() {
    let check = |status: u16, body: &str, expected: &str| {
        assert_eq!(word(&judge_write(&create(), Some(status), body.as_bytes())), expected, "{status} {body}");
    };
    let head = |rest: &str| format!(r#"{{"id":51,"method":"private/create-order",{rest}}}"#);
    let ids = r#""result":{"order_id":"6530219599901000705","client_oid":"aegis-7f3a-000005"}"#;
    let known = "6530219599901000705";
    check(200, &head(&format!(r#""code":0,{ids}"#)), &format!("queued {known}"));
    check(200, &head(&format!(r#""code":"0",{ids}"#)), &format!("queued {known}"));
    // Body before status: a definite refusal on a 500, with a record and without one.
    check(500, &head(&format!(r#""code":306,"message":"X",{ids}"#)), &format!("recorded {known} 306"));
    check(500, &head(r#""code":306"#), "recorded 306");
    check(500, &head(r#""code":"219""#), "refused 219");
    check(400, &head(r#""code":204"#), "exists");
    check(400, &head(r#""code":213,"message":"Invalid quantity format""#), "refused 213");
    check(400, &head(r#""code":40102"#), "later 40102");
    check(429, &head(r#""code":42901"#), "later 42901");
    check(401, &head(r#""code":40101"#), "access 40101");
    check(500, &head(r#""code":43004"#), "recorded 43004");
    check(500, &head(r#""code":212"#), "look up 212");
    check(400, &head(r#""code":140001"#), "refused 140001");
    // A record exists whatever the code says, also an unknown or a harmless one.
    check(400, &head(&format!(r#""code":315,{ids}"#)), &format!("recorded {known} 315"));
    check(400, &head(&format!(r#""code":987654,{ids}"#)), &format!("recorded {known} 987654"));
    check(400, &head(&format!(r#""code":213,{ids}"#)), &format!("recorded {known} 213"));
    check(400, &head(r#""code":213,"result":{"order_id":"0"}"#), "refused 213");
    check(400, &head(r#""code":213,"result":{"order_id":""}"#), "refused 213");
    // Nothing is known.
    check(502, "<html><body>502 Bad Gateway</body></html>", "unknown: not JSON at byte 0");
    check(200, "", "unknown: JSON that ends too early");
    check(200, r#"{"id":51,"method":"private/create-order","co"#, "unknown: JSON that ends too early");
    check(408, &head(r#""code":40801,"message":"REQUEST_TIMEOUT""#), "unknown: REQUEST_TIMEOUT");
    check(400, &head(r#""code":50001"#), "unknown: ERR_INTERNAL");
    check(400, &head(r#""code":40006"#), "unknown: DUPLICATE_REQUEST");
    check(400, &head(r#""code":9010001"#), "unknown: SYSTEM_MAINTENANCE");
    check(400, &head(r#""code":777,"message":"NEW_THING""#), "unknown: NEW_THING");
    check(200, &head(r#""code":0"#), "unknown: code 0 without an order id");
    check(200, &head(r#""code":0,"result":[]"#), "unknown: code 0 without an order id");
    check(502, &head(&format!(r#""code":0,{ids}"#)), "unknown: code 0 with a failing HTTP status");
    check(200, &head(r#""code":0.0"#), "unknown: no code that is a whole number");
    check(200, &head(r#""code":306,"code":0"#), "unknown: no code that is a whole number");
    check(200, &head(r#""message":"OK""#), "unknown: no code that is a whole number");
    check(200, "[0]", "unknown: no code that is a whole number");
    // The answer to somebody else.
    let other = r#"{"id":52,"method":"private/create-order","code":213}"#;
    check(400, other, "unknown: the answer to request 52, not to 51");
    let other = r#"{"id":51,"method":"private/cancel-order","code":213}"#;
    check(400, other, "unknown: the answer to private/cancel-order, not to private/create-order");
    let other = head(r#""code":0,"result":{"order_id":"1","client_oid":"theirs"}"#);
    check(200, &other, "unknown: the answer names client order id theirs, not aegis-7f3a-000005");
    // Echoes that the venue leaves out prove nothing against it.
    check(400, r#"{"id":-1,"method":"ERROR","code":40003}"#, "refused 40003");
    check(400, r#"{"code":40003}"#, "refused 40003");
}

#[test]
fn cancels_and_lists_by_hand() {
    let check = |method: Method, body: &str, expected: &str| {
        let asked = Asked { method, id: Some(1), client_oid: None };
        assert_eq!(word(&judge_write(&asked, Some(200), body.as_bytes())), expected, "{method} {body}");
    };
    check(
        Method::CancelOrder,
        r#"{"id":1,"code":0,"message":"NO_ERROR","result":{"order_id":"9"}}"#,
        "queued 9",
    );
    check(Method::CancelOrder, r#"{"id":1,"code":40401}"#, "look up 40401");
    check(Method::CancelOrder, r#"{"id":1,"code":316}"#, "look up 316");
    check(Method::CancelAllOrders, r#"{"id":1,"code":0}"#, "queued");
    check(
        Method::AdvancedCreateOco,
        r#"{"id":1,"code":0,"result":{"list_id":6498090546073999001}}"#,
        "queued",
    );
    check(Method::AdvancedCreateOco, r#"{"id":1,"code":0,"result":{}}"#, "unknown: code 0 without a list id");
    check(Method::AdvancedCreateOrder, r#"{"id":1,"code":50002}"#, "refused 50002");
    check(Method::AdvancedCreateOrder, r#"{"id":1,"code":50007}"#, "refused 50007");
    check(
        Method::CreateOrder,
        r#"{"id":1,"code":50002,"message":"DW_CREDIT_LINE_NOT_MAINTAINED"}"#,
        "unknown: DW_CREDIT_LINE_NOT_MAINTAINED",
    );
    check(Method::CreateOrderList, r#"{"id":1,"code":0,"result":{}}"#, "unknown: code 0 without elements");
}

#[test]
fn elements_are_judged_one_by_one() {
    let ours = |n: &str| Some(n.parse::<Label>().expect("a label"));
    let orders = [ours("a"), ours("b"), ours("c"), ours("d"), ours("e")];
    let body = r#"{"id":1,"method":"private/create-order-list","code":0,"result":[
        {"code":306,"index":1,"client_oid":"b","message":"INSUFFICIENT_AVAILABLE_BALANCE","order_id":"704"},
        {"code":0,"index":"0","client_oid":"a","order_id":"703"},
        {"code":0,"index":3,"client_oid":"x","order_id":"705"},
        {"code":0,"index":4,"client_oid":"e"}]}"#;
    let asked = Asked { method: Method::CreateOrderList, id: Some(1), client_oid: None };
    let words: Vec<String> =
        judge_elements(&asked, &orders, Some(200), body.as_bytes()).iter().map(word).collect();
    assert_eq!(
        words,
        [
            "queued 703",
            "recorded 704 306",
            "unknown: an element is missing",
            "unknown: another order's element",
            "unknown: code 0 without an order id",
        ]
    );
    let whole = judge_elements(&asked, &orders, Some(400), br#"{"id":1,"code":40004}"#);
    assert!(whole.len() == 5 && whole.iter().all(|o| word(o) == "refused 40004"));
}

#[test]
fn a_failed_read_is_never_an_empty_answer() {
    type Trades = Listing<TradeRow>;
    let check = |status: u16, body: &str, expected: &str| {
        let asked = Asked { method: Method::GetTrades, id: Some(1), client_oid: None };
        let outcome = judge_read::<Trades>(&asked, Some(status), body.as_bytes());
        let said = match outcome {
            ReadOutcome::Found(list) => format!("found {}", list.data.rows.len()),
            ReadOutcome::NotFound(_) => "not found".to_string(),
            ReadOutcome::Failed(e) => format!("failed: {}", e.text),
        };
        assert_eq!(said, expected, "{status} {body}");
    };
    check(200, r#"{"id":1,"method":"private/get-trades","code":0,"result":{"data":[]}}"#, "found 0");
    check(200, r#"{"id":1,"code":0,"result":{}}"#, "failed: result: data is missing");
    check(200, r#"{"id":1,"code":0}"#, "failed: result: data is missing");
    check(200, r#"{"id":1,"code":0,"result":{"data":null}}"#, "failed: result: data is missing");
    check(
        200,
        r#"{"id":1,"code":0,"result":{"data":{}}}"#,
        "failed: result: data has another JSON type than it may have",
    );
    check(503, r#"{"id":1,"code":0,"result":{"data":[]}}"#, "failed: code 0 with a failing HTTP status");
    check(200, r#"{"id":1,"code":40401}"#, "not found");
    check(429, r#"{"id":1,"code":42901}"#, "failed: TOO_MANY_REQUESTS");
    check(502, "<html>", "failed: not JSON at byte 0");
    check(200, r#"{"id":2,"code":0,"result":{"data":[]}}"#, "failed: the answer to request 2, not to 1");
}

#[test]
fn evidence_keeps_no_key_and_no_signature() {
    let body = br#"{"code":40101,"message":"UNAUTHORIZED","original":"{\"api_key\":\"AEGISdemoKey0001\",\"sig\":\"00ff\"}"}"#;
    let WriteOutcome::Access(evidence) = judge_write(&create(), Some(401), body) else { panic!("access") };
    assert_eq!(evidence.excerpt.as_str(), r#"{"code":40101,"message":"UNAUTHORIZED",""#);
    let echoed = excerpt(br#"{"id":1,"sig":"00ff","api_key":"AEGIS"}"#);
    assert!(!echoed.as_str().contains("00ff") && !echoed.as_str().contains("AEGIS"), "{echoed:?}");
    assert!(excerpt(&[0xff; 4_000]).as_str().len() <= 1_024);
}

/// What the reference shows is read (sections 10.1, 11.2).
#[test]
fn rows_as_the_reference_shows_them() {
    let body = br#"{"id": 31, "method": "private/get-order-detail", "code": 0, "result":
     {"account_id": "11111111-2222-4333-8444-555555555555", "order_id": "6530219599901000701", "client_oid": "aegis-7f3a-000001",
      "order_type": "LIMIT", "time_in_force": "GOOD_TILL_CANCEL", "side": "BUY", "exec_inst": [], "quantity": "0.01500", "limit_price": "61234.50",
      "order_value": "918.5175", "maker_fee_rate": "0.0025", "taker_fee_rate": "0.005", "avg_price": "61234.50", "ref_price": "0",
      "ref_price_type": "NULL_VAL", "cumulative_quantity": "0.01500", "cumulative_value": "918.5175", "cumulative_fee": "0.0000375",
      "status": "FILLED", "update_user_id": "11111111-2222-4333-8444-555555555555", "order_date": "2025-10-09", "instrument_name": "BTC_USDT",
      "fee_instrument_name": "BTC", "create_time": 1760000000310, "create_time_ns": "1760000000310123456", "update_time": 1760000004020}}"#;
    let asked = Asked { method: Method::GetOrderDetail, id: Some(31), client_oid: None };
    let row = judge_read::<OrderRow>(&asked, Some(200), body).found().expect("a row");
    assert_eq!(row.order_id.0.as_str(), "6530219599901000701");
    assert_eq!(row.created().map(|t| t.0), Some(1_760_000_000_310_123_456));
    assert_eq!(row.updated().map(|t| t.0), Some(1_760_000_004_020_000_000));
    assert_eq!(row.cumulative_value.to_string(), "918.5175");
    let body = br#"{"id":43,"method":"private/user-balance","code":0,"result":{"data":[{"position_balances":[
       {"instrument_name":"XRP","quantity":"29.01316839415396","collateral_eligible":"true","reserved_qty":"0"}]}]}}"#;
    let asked = Asked { method: Method::UserBalance, id: Some(43), client_oid: None };
    let listing = judge_read::<Listing<BalanceRow>>(&asked, Some(200), body).found().expect("a balance");
    let coin = &listing.data.rows[0].position_balances.rows[0];
    assert_eq!(
        (coin.quantity.to_string().as_str(), coin.collateral_eligible.0),
        ("29.01316839415396", Some(true))
    );
}

/// Every code, as the server answers it, with and without a record: what the client concludes.
#[test]
fn every_code_reaches_the_client_as_its_class() {
    let record = OrderAck { order_id: Some(VenueOrderId(Label::literal("705"))), client_oid: Some(OURS) };
    for code in Code::ALL.iter().filter(|code| **code != Code::Success) {
        for (method, integers) in
            [(Method::CreateOrder, Integers::Bare), (Method::AdvancedCreateOrder, Integers::Quoted)]
        {
            let asked = Asked { method, ..create() };
            let judge = |record: Option<&OrderAck>| {
                let reply = refuse(51, method.name(), *code, record, None, integers);
                judge_write(&asked, Some(reply.status), reply.body.as_bytes())
            };
            let (bare, recorded) = (judge(None), judge(Some(&record)));
            let class = class_for(code.row().number, method);
            let fits = match class {
                Class::Refused => matches!(bare, WriteOutcome::Refused(_)),
                Class::Later => matches!(bare, WriteOutcome::Later(_)),
                Class::Access => matches!(bare, WriteOutcome::Access(_)),
                Class::Ended | Class::Partial => matches!(bare, WriteOutcome::Recorded(..)),
                Class::Exists => matches!(bare, WriteOutcome::Exists(..)),
                Class::LookUp => matches!(bare, WriteOutcome::LookUp(_)),
                Class::Unknown | Class::Aside => matches!(bare, WriteOutcome::Unknown(_)),
                Class::Success => false,
            };
            assert!(fits, "{code:?} {method} {bare:?}");
            let exists = matches!(recorded, WriteOutcome::Recorded(..) | WriteOutcome::Exists(..));
            assert!(exists && !recorded.is_certainly_nothing(), "{code:?} {recorded:?}");
        }
    }
}

proptest! {
    #[test]
    fn rows_that_the_server_wrote_are_read_back(source in source(), id in 0..i64::MAX, quoted in any::<bool>()) {
        let integers = if quoted { Integers::Quoted } else { Integers::Bare };
        let asked = |method| Asked { method, id: Some(id), client_oid: None };
        let orders = Listing::<OrderRow>::made(&mut source.clone());
        let reply = answer(id, Method::GetOpenOrders, &orders, integers);
        let read = judge_read::<Listing<OrderRow>>(&asked(Method::GetOpenOrders), Some(reply.status), reply.body.as_bytes());
        prop_assert_eq!(read, ReadOutcome::Found(orders));
        let trades = Listing::<TradeRow>::made(&mut source.clone());
        let reply = answer(id, Method::GetTrades, &trades, integers);
        let read = judge_read::<Listing<TradeRow>>(&asked(Method::GetTrades), Some(reply.status), reply.body.as_bytes());
        prop_assert_eq!(read, ReadOutcome::Found(trades));
    }

    #[test]
    fn no_bytes_are_a_guess(bytes in prop::collection::vec(any::<u8>(), 0..120), status in any::<u16>(), at in any::<prop::sample::Index>()) {
        let asked = Asked { method: *at.get(Method::ALL), id: Some(1), client_oid: Some(OURS) };
        let outcome = judge_write(&asked, Some(status), &bytes);
        prop_assert!(matches!(outcome, WriteOutcome::Unknown(_)), "noise is no answer: {:?}", outcome);
        prop_assert!(judge_read::<Listing<TradeRow>>(&asked, Some(status), &bytes).found().is_none());
        prop_assert_eq!(judge_elements(&asked, &[None, None], None, &bytes).len(), 2);
    }

    /// A definite answer cut short or with a byte turned is not certainly nothing unless it still says so whole.
    #[test]
    fn a_torn_answer_is_unknown(cut in any::<prop::sample::Index>()) {
        let reply = refuse(51, "private/create-order", Code::InvalidPrice, None, None, Integers::Bare);
        let torn = &reply.body.as_bytes()[..cut.index(reply.body.len())];
        prop_assert!(matches!(judge_write(&create(), Some(400), torn), WriteOutcome::Unknown(_)));
    }

    #[test]
    fn damaged_rows_never_panic(mut source in source(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let orders = Listing::<OrderRow>::made(&mut source);
        let mut body = answer(1, Method::GetOpenOrders, &orders, Integers::Bare).body.into_bytes();
        let place = at.index(body.len());
        body[place] = byte;
        let asked = Asked { method: Method::GetOpenOrders, id: Some(1), client_oid: None };
        let _ = judge_read::<Listing<OrderRow>>(&asked, Some(200), &body);
        let _ = judge_write(&asked, Some(200), &body);
    }
}
