//! The exchange as a process with a client: spoken to over plain HTTP/1.1 and WebSocket, one blocking call at a time.

use crate::schema::Excerpt;
use aegis_cryptocom::{Method, Secret, Signer, auth_frame, heartbeat_answer};
use aegis_model::{Price, Quantity};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, WebSocket, client};

pub(crate) const KEY: &str = "AEGISdemoKey0001";
pub(crate) const SECRET: &str = "cxakp_demo_SECRET_do_not_use";
/// The longest wait for anything that has to come.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Venue {
    dir: TempDir,
    more: Vec<String>,
    child: Option<Child>,
    pub(crate) rest: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) excerpt: Excerpt,
}

/// A second of the protocol at the scale of [`QUIET`], and as much again.
const CONNECT_PAUSE: Duration = Duration::from_millis(2);

/// An answer: its HTTP status and its body.
pub(crate) type Answer = (u16, Value);

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("before 2262")
}

pub(crate) fn signer() -> Signer {
    Signer::new(KEY, &Secret::new(SECRET.to_owned()))
}

/// Options of most tests: quotas of a ten-thousandth, so that no call waits for one, heartbeats far away, a market that
/// moves when told to.
pub(crate) const QUIET: &[&str] = &[
    "--market",
    "none",
    "--protocol-scale",
    "0.0001",
    "--set",
    "heartbeat=1000000s",
    "--set",
    "nonce_window=600000s",
];

impl Venue {
    pub(crate) fn quiet() -> Venue {
        Venue::start(QUIET)
    }

    pub(crate) fn start(more: &[&str]) -> Venue {
        let mut venue = Venue {
            dir: tempfile::tempdir().expect("a directory"),
            more: more.iter().map(|&m| m.to_owned()).collect(),
            child: None,
            rest: ([0, 0, 0, 0], 0).into(),
            control: ([0, 0, 0, 0], 0).into(),
            excerpt: Excerpt::read(),
        };
        venue.up();
        venue
    }

    /// Starts the process on the same data.
    pub(crate) fn up(&mut self) {
        let mut child = self.command(&self.more).spawn().expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        self.child = Some(child);
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        let address = |name: &str| -> SocketAddr {
            let text = ready[name].as_str().expect("an address");
            text.trim_start_matches("http://").split('/').next().expect("a host").parse().expect("an address")
        };
        (self.rest, self.control) = (address("rest"), address("control"));
    }

    pub(crate) fn command(&self, more: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
        let data = self.dir.path().join("data");
        command.args(["--json", "--data"]).arg(data).arg("venue");
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]);
        command.args(["--account", &format!("{KEY}:{SECRET}"), "--fund", "BTC=1,USDT=10000"]);
        command.args(more).stdout(Stdio::piped()).stdin(Stdio::null());
        command
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    /// SIGTERM; the exit status.
    pub(crate) fn terminate(&mut self) -> i32 {
        let mut child = self.child.take().expect("it runs");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        let until = Instant::now() + WAIT;
        loop {
            if let Some(status) = child.try_wait().expect("a status") {
                return status.code().expect("a code");
            }
            assert!(Instant::now() < until, "it does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One HTTP exchange; none when the connection ended without an answer.
    pub(crate) fn http(&self, to: SocketAddr, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(to).expect("it listens");
        stream.set_read_timeout(Some(WAIT)).expect("a timeout");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: venue\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Err(e) if text.is_empty() && e.kind() != std::io::ErrorKind::WouldBlock => return None,
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) => panic!("{path}: {e}"),
        }
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Some((status, body.to_owned()))
    }

    /// A public request.
    pub(crate) fn get(&self, target: &str) -> Answer {
        let (status, body) =
            self.http(self.rest, "GET", &format!("/exchange/v1/{target}"), "").expect("an answer");
        (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{body}: {e}")))
    }

    /// A POST with these bytes; none when the connection was cut.
    pub(crate) fn post(&self, method: &str, body: &str) -> Option<(u16, String)> {
        self.http(self.rest, "POST", &format!("/exchange/v1/{method}"), body)
    }

    /// A signed request of any parameters, with a nonce so many milliseconds off.
    pub(crate) fn signed(&self, method: &str, params: &Value, off: i64) -> String {
        let nonce = now_ms() + off;
        let text = params.to_string();
        let read = aegis_cryptocom::json::Value::parse(text.as_bytes()).expect("JSON");
        let sig = signer().sign_value(method, 7, &read, nonce);
        let head = json!({"id": 7, "method": method, "api_key": KEY, "nonce": nonce, "sig": sig.as_str()});
        let head = head.to_string();
        format!("{},\"params\":{text}}}", head.trim_end_matches('}'))
    }

    /// A private request of any parameters.
    pub(crate) fn call(&self, method: &str, params: &Value) -> Answer {
        self.try_call(method, params).unwrap_or_else(|| panic!("{method}: the connection was cut"))
    }

    /// The same; none when the connection was cut.
    pub(crate) fn try_call(&self, method: &str, params: &Value) -> Option<Answer> {
        let (status, body) = self.post(method, &self.signed(method, params, 0))?;
        let value = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Some((status, value))
    }

    /// A private request that succeeds, its reply checked against the reference; the result.
    pub(crate) fn does(&self, method: &str, params: &Value) -> Value {
        let (status, reply) = self.call(method, params);
        assert_eq!((status, &reply["code"]), (200, &json!(0)), "{method} {params}: {reply}");
        let known = Method::from_name(method).expect("a method");
        self.excerpt.check(self.excerpt.success(known), &reply.to_string());
        reply["result"].clone()
    }

    /// A private request that is refused with this code; the reply, checked as well.
    pub(crate) fn refuses(&self, method: &str, params: &Value, code: i64) -> Value {
        let (status, reply) = self.call(method, params);
        assert_eq!(reply["code"], json!(code), "{method} {params}: {reply}");
        let known = aegis_cryptocom::Code::from_number(code).expect("a code of the table");
        assert_eq!(status, known.status(), "{reply}");
        self.excerpt.check(self.excerpt.named("ApiError"), &reply.to_string());
        reply
    }

    /// An order of the control endpoint.
    pub(crate) fn tell(&self, path: &str, what: &Value) -> Value {
        let (status, body) = self.http(self.control, "POST", path, &what.to_string()).expect("an answer");
        assert_eq!(status, 200, "{path} {what}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub(crate) fn told(&self, path: &str) -> Value {
        let (status, body) = self.http(self.control, "GET", path, "").expect("an answer");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    pub(crate) fn ledger(&self) -> Value {
        let ledger = self.told("/ledger");
        assert_eq!(ledger["audit"], Value::Null, "the exchange's books");
        ledger
    }

    pub(crate) fn fault(&self, script: &Value) {
        self.tell("/faults", script);
    }

    /// The names of the faults that were applied.
    pub(crate) fn applied(&self) -> Vec<String> {
        let log = self.told("/faults")["applied"].as_array().expect("a list").clone();
        let acts = log.iter().filter(|one| one["script"] != json!(0));
        acts.map(|one| one["act"].as_object().expect("an act").keys().next().expect("a name").clone())
            .collect()
    }

    pub(crate) fn price(&self, bid: &str, ask: &str) {
        self.price_of(bid, ask, "10");
    }

    pub(crate) fn price_of(&self, bid: &str, ask: &str, size: &str) {
        self.tell(
            "/price",
            &json!({"instrument": "BTC_USDT", "bid": bid, "ask": ask, "bid_quantity": size, "ask_quantity": size, "last": bid}),
        );
    }

    /// The reading that has to be true within the bound.
    pub(crate) fn until<T>(&self, what: &str, read: impl Fn() -> Option<T>) -> T {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(found) = read() {
                return found;
            }
            assert!(Instant::now() < until, "{what}: not within {WAIT:?}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// A connected socket.
    pub(crate) fn socket(&self, which: &str) -> Socket {
        let stream = TcpStream::connect(self.rest).expect("it listens");
        stream.set_read_timeout(Some(WAIT)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let url = format!("ws://{}/exchange/v1/{which}", self.rest);
        let (socket, _) = client(url, stream).expect("a socket");
        // What the protocol asks of a client: silence until the second in which it connected is over, scaled.
        std::thread::sleep(CONNECT_PAUSE);
        Socket { socket, next: 1, kept: Vec::new() }
    }

    /// A user socket that is logged in.
    pub(crate) fn user(&self) -> Socket {
        let mut socket = self.socket("user");
        socket.send(&auth_frame(&signer(), 1, now_ms()));
        assert_eq!(socket.answer(1)["code"], json!(0));
        socket
    }

    /// A user socket with channels.
    pub(crate) fn listener(&self, channels: &[&str]) -> Socket {
        let mut socket = self.user();
        let id = socket.subscribe(channels);
        assert_eq!(socket.answer(id)["code"], json!(0));
        socket
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) struct Socket {
    socket: WebSocket<TcpStream>,
    next: i64,
    kept: Vec<Value>,
}

/// How a socket ended.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    Code(u16),
    Abruptly,
}

impl Socket {
    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text.to_owned())).expect("sent");
    }

    /// Sends a method; its id.
    pub(crate) fn say(&mut self, method: &str, params: &Value) -> i64 {
        self.next += 1;
        let frame = json!({"id": self.next, "method": method, "params": params, "nonce": now_ms()});
        self.send(&frame.to_string());
        self.next
    }

    pub(crate) fn subscribe(&mut self, channels: &[&str]) -> i64 {
        self.say("subscribe", &json!({"channels": channels}))
    }

    fn next(&mut self) -> Result<Value, Ended> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return Ok(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}")));
                }
                Ok(Message::Close(Some(CloseFrame { code, .. }))) => return Err(Ended::Code(code.into())),
                Ok(Message::Close(None)) => return Err(Ended::Abruptly),
                Ok(_) => {}
                Err(Error::Io(e)) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing came"),
                Err(_) => return Err(Ended::Abruptly),
            }
        }
    }

    /// The next frame that is wanted; the others are kept for later, heartbeats are answered.
    pub(crate) fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        let until = Instant::now() + WAIT;
        loop {
            assert!(Instant::now() < until, "{what}: not within {WAIT:?}; kept {:?}", self.kept);
            let frame = self
                .next()
                .unwrap_or_else(|e| panic!("{what}: the socket ended {e:?}; kept {:?}", self.kept));
            if frame["method"] == json!("public/heartbeat") && !wanted(&frame) {
                let id = frame["id"].as_i64().expect("an id");
                self.send(&heartbeat_answer(id));
            } else if wanted(&frame) {
                return frame;
            } else {
                self.kept.push(frame);
            }
        }
    }

    /// The answer to a request: without rows.
    pub(crate) fn answer(&mut self, id: i64) -> Value {
        self.wait("an answer", |frame| frame["id"] == json!(id) && frame["result"]["channel"].is_null())
    }

    /// The next frame of a channel.
    pub(crate) fn push(&mut self, channel: &str) -> Value {
        self.wait(channel, |frame| frame["result"]["channel"] == json!(channel))
    }

    /// The next frame of a channel with a row like this.
    pub(crate) fn row(&mut self, channel: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = |frame: &Value| {
            let rows = frame["result"]["data"].as_array();
            frame["result"]["channel"] == json!(channel) && rows.is_some_and(|rows| rows.iter().any(&wanted))
        };
        let frame = self.wait(channel, found);
        frame["result"]["data"]
            .as_array()
            .expect("rows")
            .iter()
            .find(|row| wanted(row))
            .expect("a row")
            .clone()
    }

    /// Everything until the socket ends, and how.
    pub(crate) fn ending(&mut self) -> Ended {
        loop {
            if let Err(ended) = self.next() {
                return ended;
            }
        }
    }

    /// Frames that came and were not asked for.
    pub(crate) fn kept(&self) -> &[Value] {
        &self.kept
    }
}

/// A limit order's parameters.
pub(crate) fn limit(side: &str, quantity: &str, price: &str, client: &str) -> Value {
    json!({"instrument_name": "BTC_USDT", "side": side, "type": "LIMIT", "price": price, "quantity": quantity, "client_oid": client})
}

/// A market order's parameters.
pub(crate) fn market(side: &str, quantity: &str, client: &str) -> Value {
    json!({"instrument_name": "BTC_USDT", "side": side, "type": "MARKET", "quantity": quantity, "client_oid": client})
}

/// A stop's parameters.
pub(crate) fn stop(quantity: &str, reference: &str, client: &str) -> Value {
    json!({"instrument_name": "BTC_USDT", "side": "SELL", "type": "STOP_LOSS", "quantity": quantity, "ref_price": reference, "client_oid": client})
}

/// A decimal of a reply.
pub(crate) fn decimal(value: &Value) -> Quantity {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().expect("a decimal")
}

/// The same as a price.
pub(crate) fn price(value: &Value) -> Price {
    Price(decimal(value).0)
}
