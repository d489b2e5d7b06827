//! A hand on the exchange's controls: enough of HTTP for a loopback server of our own.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// The exchange's addresses, `host:port`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// Calls and sockets.
    pub(crate) rest: String,
    /// Controls.
    pub(crate) control: String,
}

fn call(host: &str, method: &str, path: &str, body: &str) -> Value {
    let (status, text) = try_call(host, method, path, body);
    assert_eq!(status, "200", "{method} {path} {body}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

fn try_call(host: &str, method: &str, path: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(host).unwrap_or_else(|e| panic!("{host}: {e}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.split(' ').nth(1).unwrap_or("?").to_owned(), text.to_owned())
}

/// Asks.
pub(crate) fn get(host: &str, path: &str) -> Value {
    call(host, "GET", path, "")
}

impl Exchange {
    /// From the line that the exchange prints when it is ready.
    pub(crate) fn of(line: &str) -> Exchange {
        let address = |scheme: &str, nth: usize| {
            let found = line.match_indices(scheme).nth(nth).map(|(at, _)| &line[at + scheme.len()..]);
            let rest = found.unwrap_or_else(|| panic!("no address in {line:?}"));
            rest.split(['/', ' ', ',', '\n', ')', ';']).next().unwrap_or_default().to_owned()
        };
        Exchange { rest: address("http://", 0), control: address("http://", 1) }
    }

    /// Does something at the controls.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        call(&self.control, "POST", path, &body.to_string())
    }

    /// Does something at the controls that may be refused; whether it was done.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> bool {
        try_call(&self.control, "POST", path, &body.to_string()).0 == "200"
    }

    /// A point of the market, with much to trade at it.
    pub(crate) fn price(&self, instrument: &str, bid: &str, ask: &str) {
        self.post(
            "/price",
            &json!({ "instrument": instrument, "bid": bid, "ask": ask, "bid_quantity": "1000", "ask_quantity": "1000" }),
        );
    }

    /// A point of the market with sizes.
    pub(crate) fn sized(
        &self,
        instrument: &str,
        bid: &str,
        bid_quantity: &str,
        ask: &str,
        ask_quantity: &str,
    ) {
        self.post(
            "/price",
            &json!({
                "instrument": instrument, "bid": bid, "ask": ask,
                "bid_quantity": bid_quantity, "ask_quantity": ask_quantity,
            }),
        );
    }

    /// A person trades at the exchange's own interface.
    pub(crate) fn by_hand(&self, instrument: &str, side: &str, quantity: &str) {
        self.post(
            "/order",
            &json!({ "instrument": instrument, "side": side, "type": "MARKET", "quantity": quantity }),
        );
    }

    /// A deposit or, negative, a withdrawal.
    pub(crate) fn flow(&self, id: &str, asset: &str, quantity: &str) {
        self.post("/flow", &json!({ "id": id, "asset": asset, "quantity": quantity }));
    }

    /// The market of an instrument stands still.
    pub(crate) fn hold(&self, instrument: &str) {
        self.post("/market", &json!({ "instrument": instrument, "hold": true }));
    }

    /// A fault for the next requests that fit.
    pub(crate) fn fault(&self, when: &Value, act: &Value, times: u32) {
        self.post("/faults", &json!({ "when": when, "act": act, "times": times }));
    }

    /// No fault stands any more.
    pub(crate) fn heal(&self) {
        call(&self.control, "DELETE", "/faults", "");
    }

    /// What was applied so far.
    pub(crate) fn applied(&self) -> Value {
        get(&self.control, "/faults?from=0")
    }
}
