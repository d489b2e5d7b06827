//! The exchange's protocol, both sides of it: answers, messages on sockets, requests.

use crate::Target;
use aegis_cryptocom::server::answer;
use aegis_cryptocom::{
    Asked as Question, Frame, Inbound, Integers, Method, Oddities, ReadOutcome, Reading, Secret, Signer,
    Wire, WriteOutcome, judge_elements, judge_read, judge_write, parse_target,
};
use aegis_model::Label;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// The exchange's own description of itself, with its examples.
const EXCERPT: &str = include_str!("../../../../fixtures/venue/openapi-excerpt.json");
const STATUSES: [Option<u16>; 8] =
    [Some(200), Some(200), None, Some(400), Some(401), Some(429), Some(500), Some(502)];

/// Every object of the description that names a method: requests, answers and frames.
fn examples() -> Vec<Value> {
    fn collect(value: &Value, out: &mut Vec<Value>) {
        match value {
            Value::Object(members) => {
                if members.get("method").is_some_and(Value::is_string) {
                    out.push(value.clone());
                }
                members.values().for_each(|value| collect(value, out));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, out)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut out = Vec::new();
    collect(&serde_json::from_str(EXCERPT).expect("JSON"), &mut out);
    out
}

/// Whether every time in a written text is of this age of the world. The digits of a time tell its unit, so one of 1970
/// does not survive being written: a row without such times must.
fn is_timely(written: &str) -> bool {
    fn of(value: &Value) -> bool {
        match value {
            Value::Object(members) => members.iter().all(|(name, value)| {
                let is_time = name.contains("time")
                    || name.ends_with("_ns")
                    || ["t", "tt", "tn"].contains(&name.as_str());
                let digits = value.to_string().chars().filter(char::is_ascii_digit).count();
                let fits = !is_time || value.is_object() || value.is_array() || digits == 13 || digits == 19;
                fits && of(value)
            }),
            Value::Array(items) => items.iter().all(of),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    serde_json::from_str(written).is_ok_and(|value| of(&value))
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn method_at(number: u8) -> Method {
    Method::ALL[usize::from(number) % Method::ALL.len()]
}

/// The target for answers: method, HTTP status, body.
pub(crate) struct Reply;

impl Reply {
    pub(crate) fn new() -> Reply {
        Reply
    }
}

/// A read is judged; what was found, written as the server would, is found again.
fn read<T: Wire>(question: &Question, status: Option<u16>, body: &[u8]) -> u64 {
    match judge_read::<T>(question, status, body) {
        ReadOutcome::Failed(evidence) => 4 + ((evidence.text.as_str().len() as u64) << 8),
        ReadOutcome::NotFound(_) => {
            assert!(is_json(body), "an answer that is no JSON was believed");
            2
        }
        ReadOutcome::Found(value) => {
            assert!(is_json(body), "an answer that is no JSON was believed");
            let _ = Oddities::of_reply(body, &value);
            let written = answer(1, question.method, &value, Integers::Bare);
            if !is_timely(&written.body) {
                return 1;
            }
            let asked = Question { id: Some(1), ..*question };
            match judge_read::<T>(&asked, Some(written.status), written.body.as_bytes()) {
                ReadOutcome::Found(again) => {
                    let twice = answer(1, question.method, &again, Integers::Bare);
                    assert_eq!(twice.body, written.body, "what is read is not what was written");
                }
                ReadOutcome::NotFound(e) | ReadOutcome::Failed(e) => {
                    panic!(
                        "what was understood cannot be read when written: {} {}",
                        e.text.as_str(),
                        written.body
                    )
                }
            }
            3 + ((written.body.len().min(4095) as u64 / 64) << 8)
        }
    }
}

fn judge(question: &Question, status: Option<u16>, body: &[u8]) -> u64 {
    struct Judge<'a>(&'a Question, Option<u16>, &'a [u8]);
    impl Reading for Judge<'_> {
        type Out = u64;

        fn read<T: Wire>(self) -> u64 {
            read::<T>(self.0, self.1, self.2)
        }

        fn write(self) -> u64 {
            write(self.0, self.1, self.2)
        }
    }
    question.method.with_answer(Judge(question, status, body))
}

fn write(question: &Question, status: Option<u16>, body: &[u8]) -> u64 {
    let ours = [question.client_oid, None];
    for outcome in judge_elements(question, &ours, status, body) {
        assert!(
            matches!(outcome, WriteOutcome::Unknown(_)) || is_json(body),
            "{outcome:?} of what is no JSON"
        );
    }
    let outcome = judge_write(question, status, body);
    assert!(matches!(outcome, WriteOutcome::Unknown(_)) || is_json(body), "{outcome:?} of what is no JSON");
    let evidence = |evidence: &aegis_cryptocom::Evidence| evidence.text.as_str().len() as u64;
    match &outcome {
        WriteOutcome::Queued(_) => 16,
        WriteOutcome::Recorded(_, e) => 17 + (evidence(e) << 8),
        WriteOutcome::Exists(_, _) => 18,
        WriteOutcome::LookUp(e) => 19 + (evidence(e) << 8),
        WriteOutcome::Refused(e) => 20 + (evidence(e) << 8),
        WriteOutcome::Later(_) => 21,
        WriteOutcome::Access(_) => 22,
        WriteOutcome::Unknown(e) => 23 + (evidence(e) << 8),
    }
}

impl Target for Reply {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let place = |name: &str| Method::ALL.iter().position(|method| method.name() == name);
        examples()
            .iter()
            .filter_map(|example| {
                let at = place(example["method"].as_str()?)?;
                let body = example.to_string();
                (body.len() < 4000).then(|| [&[at as u8, 0], body.as_bytes()].concat())
            })
            .collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [method, status, body @ ..] = input else { return 0 };
        let id = (*status >= 128).then_some(1);
        let client_oid = (status & 64 != 0).then_some(Label::literal("a"));
        let question = Question { method: method_at(*method), id, client_oid };
        let status = STATUSES[usize::from(*status) % STATUSES.len()];
        u64::from(*method) << 48 ^ judge(&question, status, body)
    }
}

/// The target for messages on a socket.
pub(crate) struct Message;

impl Message {
    pub(crate) fn new() -> Message {
        Message
    }
}

impl Target for Message {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let examples = examples();
        // The description shows no frame with rows; its rows come over sockets just so.
        let pushed = examples.iter().flat_map(|example| {
            let channels: &[&str] = match example["method"].as_str().unwrap_or_default() {
                "private/get-open-orders" => &["user.order", "user.advance.order"],
                "private/get-trades" => &["user.trade"],
                "private/user-balance" => &["user.balance"],
                "public/get-tickers" => &["ticker"],
                "public/get-trades" => &["trade"],
                "public/get-book" => &["book"],
                "public/get-candlestick" => &["candlestick"],
                _ => &[],
            };
            let rows = example["result"].get("data").cloned();
            channels.iter().filter_map(move |channel| {
                let result = json!({"channel": channel, "subscription": format!("{channel}.BTC_USDT"),
                    "instrument_name": "BTC_USDT", "depth": 10, "interval": "1m", "data": rows.clone()?});
                Some(json!({"id": -1, "method": "subscribe", "code": 0, "result": result}).to_string())
            })
        });
        let update = json!({"id": -1, "method": "subscribe", "code": 0, "result": {"channel": "book.update",
            "subscription": "book.BTC_USDT.10", "instrument_name": "BTC_USDT", "depth": 10, "data": [{"update":
            {"bids": [["61234.49", "0", "0"]], "asks": []}, "t": 1, "tt": 1, "u": 90012, "pu": 90011}]}});
        let all = pushed.chain([update.to_string()]).chain(examples.iter().map(Value::to_string));
        let seeds: Vec<Vec<u8>> = all.map(String::into_bytes).filter(|bytes| bytes.len() < 8000).collect();
        assert!(seeds.iter().filter(|seed| matches!(Frame::read(seed), Frame::Push(_))).count() >= 8);
        seeds
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let read = Frame::read(input);
        assert!(matches!(read, Frame::Unknown(_)) || is_json(input), "{read:?} of what is no JSON");
        match read {
            Frame::Heartbeat(_) => 1,
            Frame::Answer { method, code, .. } => {
                2 + (method.map_or(0, |method| method.name().len() as u64) << 8)
                    + (u64::from(code == 0) << 16)
            }
            Frame::Unknown(evidence) => 3 + ((evidence.text.as_str().len() as u64) << 8),
            Frame::Push(push) => {
                let _ = Oddities::of_frame(input, &push);
                let text = push.text(Integers::Bare);
                if !is_timely(&text) {
                    return 5;
                }
                let Frame::Push(again) = Frame::read(text.as_bytes()) else {
                    panic!("what was understood cannot be read when written: {text}")
                };
                assert_eq!(again.text(Integers::Bare), text, "what is read is not what was written");
                let rows = push.data.misfits().len().min(3) as u64;
                4 + (rows << 8)
                    + ((push.data.channel().len() as u64) << 16)
                    + ((text.len() as u64 / 64) << 32)
            }
        }
    }
}

/// The target for requests: a byte that says where it comes in, then the body or the target of a GET.
pub(crate) struct Asked {
    signer: Signer,
}

impl Asked {
    pub(crate) fn new() -> Asked {
        Asked { signer: Signer::new("AEGISfuzzKey", &Secret::new("nobody knows it".to_owned())) }
    }
}

impl Target for Asked {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let bodies =
            examples().into_iter().map(|example| [&[0][..], example.to_string().as_bytes()].concat());
        let targets = [
            "public/get-book?instrument_name=BTC_USDT&depth=10",
            "public/get-candlestick?instrument_name=BTC_USDT&timeframe=1m&count=3",
            "public/get-tickers",
            "public/get-trades?instrument_name=%42TC_USDT&count=5",
        ];
        bodies
            .filter(|bytes| bytes.len() < 3000)
            .chain(targets.iter().map(|target| [&[1][..], target.as_bytes()].concat()))
            .collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [door, bytes @ ..] = input else { return 0 };
        if door % 2 == 1 {
            let Ok(text) = str::from_utf8(bytes) else { return 1 };
            return match parse_target(text) {
                Ok(request) => {
                    let target = request.target();
                    assert_eq!(parse_target(&target), Ok(request), "{target}");
                    2 + ((target.len() as u64 / 8) << 8)
                }
                Err(code) => 3 + ((code as u64) << 8),
            };
        }
        let Ok(inbound) = Inbound::parse(bytes) else { return 4 };
        assert!(is_json(bytes), "a request that is no JSON was understood");
        let verified = inbound.verify(&self.signer, 2, 60_000);
        assert!(verified.is_err(), "nobody knows the secret");
        match inbound.request() {
            Ok(request) => {
                let body = request.body(&self.signer, 7, 8);
                let again = Inbound::parse(body.as_bytes()).expect("JSON");
                // The digits of a time tell its unit, so one of 1970 does not survive; everything else does.
                if !body.contains("_time\"") {
                    assert_eq!(again.request().as_ref(), Ok(&request), "{body}");
                } else if let Ok(second) = again.request() {
                    let body = second.body(&self.signer, 7, 8);
                    let third = Inbound::parse(body.as_bytes()).expect("JSON").request();
                    assert_eq!(third.as_ref(), Ok(&second), "{body}");
                }
                assert_eq!(again.verify(&self.signer, 8, 60_000), Ok(()), "{body}");
                5 + ((body.len() as u64 / 16) << 8)
            }
            Err(code) => 6 + ((code as u64) << 8),
        }
    }
}
