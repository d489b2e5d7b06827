//! The nine vectors, and what a signature depends on.

use super::*;
use crate::request::{History, Method, OrderKey, Request, auth_frame};
use crate::server::Inbound;
use crate::wire::tests::source;
use crate::wire::{Limit, Ns};
use aegis_model::{Label, Timestamp};
use alloc::format;
use alloc::string::ToString;
use proptest::prelude::*;

const VECTORS: &str = include_str!("../../../../fixtures/venue/sign_vectors.json");

pub(crate) fn demo() -> Signer {
    Signer::new("AEGISdemoKey0001", &Secret::new(String::from("cxakp_demo_SECRET_do_not_use")))
}

#[test]
fn nine_vectors() {
    let file = Value::parse(VECTORS.as_bytes()).expect("JSON");
    let key = file.get("api_key").and_then(Value::text).expect("a key");
    let secret = Secret::new(String::from(file.get("secret").and_then(Value::text).expect("a secret")));
    let signer = Signer::new(key, &secret);
    let Some(Value::Array(vectors)) = file.get("vectors") else { panic!("no vectors") };
    assert_eq!(vectors.len(), 9);
    for vector in vectors {
        let text = |name: &str| vector.get(name).and_then(Value::text).expect("a text");
        let name = text("name");
        let empty = Value::Object(Vec::new());
        let params = match vector.get("params") {
            None | Some(Value::Null) => &empty,
            Some(params) => params,
        };
        let base = format!("{}{}{key}{}{}", text("method"), text("id"), param_string(params), text("nonce"));
        assert_eq!(base, text("base_string"), "{name}");
        let (id, nonce) = (text("id").parse().expect("id"), text("nonce").parse().expect("nonce"));
        let signature = signer.sign_value(text("method"), id, params, nonce);
        assert_eq!(signature.as_str(), text("sig"), "{name}");
        assert!(signer.verify(text("method"), text("id"), params, text("nonce"), text("sig")), "{name}");
        let other = text("sig").replace(['0', '1', '2'], "3");
        assert!(!signer.verify(text("method"), text("id"), params, text("nonce"), &other), "{name}");
        let upper = text("sig").to_uppercase();
        assert!(!signer.verify(text("method"), text("id"), params, text("nonce"), &upper), "lower case only");
    }
}

/// The vectors whose spelling is also the typed requests' own (the others carry trailing zeros).
#[test]
fn typed_requests_give_the_vectors() {
    let check = |request: &Request, id: i64, nonce: i64, signature: &str| {
        let body = request.body(&demo(), id, nonce);
        assert!(body.ends_with(&format!("\"sig\":\"{signature}\"}}")), "{body}");
    };
    let v1 = "c24856c659ebda17d2226c32ca460613a0edb576731df6c13d12bbd9c11e84ea";
    check(&Request::UserBalance(crate::request::NoParams), 1760000000001, 1760000000001, v1);
    let v5 = "eb35a9d64b6ce073e694637c13a9d8ee91e85f13ff709aaf4460408004c5e657";
    let page = History {
        instrument_name: Some(Label::literal("BTC_USDT")),
        start_time: Some(Ns(Timestamp(1759990000000000000))),
        end_time: Some(Ns(Timestamp(1760000000000000000))),
        limit: Some(Limit(100)),
    };
    check(&Request::GetTrades(page), 1760000000005, 1760000000005, v5);
    let x3 = "63f49e36d83753435a8760e4f0b23966161fa0a3a0fbc2b3b8c6e76b465aee06";
    check(
        &Request::CancelOrder(OrderKey::of_client(Label::literal("aegis-7f3a-000001"))),
        42,
        1760000000009,
        x3,
    );
    let v6 = "fb867535dd2f34bfac3a01d37be1f5bfcd6c0a3650f4339791985b1abf05a3ae";
    assert!(auth_frame(&demo(), 1760000000006, 1760000000006).contains(v6));
}

#[test]
fn a_secret_never_prints() {
    let secret = Secret::new(String::from("canary"));
    let signer = Signer::new("key", &secret);
    for text in [format!("{secret:?}"), format!("{signer:?}"), format!("{:#?}", (&secret, &signer))] {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(format!("{signer:?}").contains("key"));
}

#[test]
fn a_number_with_trailing_zeros_does_not_verify() {
    let signed = |number: &str, claimed: &str| {
        let of = |n: &str| format!(r#"{{"price":{n}}}"#);
        let (sent, theirs) = (of(number), of(claimed));
        let sent = Value::parse(sent.as_bytes()).expect("JSON");
        let theirs = Value::parse(theirs.as_bytes()).expect("JSON");
        let signature = demo().sign_value("private/create-order", 1, &theirs, 2);
        demo().verify("private/create-order", "1", &sent, "2", signature.as_str())
    };
    assert!(!signed("1.50", "1.50"), "the venue signs 1.5");
    assert!(signed("1.50", "1.5"));
    assert!(signed("1.5", "1.5"));
    assert!(signed("150", "150"));
    assert!(signed("2.0", "2"));
}

/// The same tree with the members of every object turned round.
fn turned<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().rev().map(|(name, value)| (name.clone(), turned(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(turned).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => value.clone(),
    }
}

proptest! {
    #[test]
    fn the_order_of_members_does_not_matter(json in crate::json::tests::any_json()) {
        let text = json.to_string();
        let value = Value::parse(text.as_bytes()).expect("JSON");
        prop_assert_eq!(param_string(&value), param_string(&turned(&value)));
        let sign = |params: &Value<'_>| demo().sign_value("private/x", 1, params, 2);
        prop_assert_eq!(sign(&value), sign(&turned(&value)));
    }

    /// What is signed while writing is what the venue derives from the bytes.
    #[test]
    fn every_typed_request_verifies(mut source in source(), at in any::<prop::sample::Index>(), id in 0..i64::MAX, nonce in 0..i64::MAX) {
        let method = *at.get(Method::ALL);
        let request = Request::made(method, &mut source);
        let body = request.body(&demo(), id, nonce);
        let inbound = Inbound::parse(body.as_bytes()).expect("JSON");
        prop_assert_eq!(inbound.verify(&demo(), nonce, 0), Ok(()), "{}", body);
    }
}
