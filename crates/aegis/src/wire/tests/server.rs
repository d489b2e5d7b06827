//! A server that answers what it is told to: HTTP requests by a table of methods, sockets by commands of the test.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// How a request is answered.
#[derive(Clone)]
pub(super) enum Answer {
    /// Code 0 with this result.
    Result(Value),
    /// A code with a status and perhaps a result.
    Code(u16, i64, Option<Value>),
    /// A status with a body that is no JSON.
    Page(u16, &'static str),
    /// A body that ends before its announced length.
    Torn,
    /// The connection is reset after the request was read.
    Reset,
    /// Nothing, for longer than any deadline here.
    Silent,
    /// The other answer once this holds.
    Once(Arc<dyn Fn() -> bool + Send + Sync>, Box<Answer>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Result(result) => write!(f, "{result}"),
            Answer::Code(status, code, result) => write!(f, "HTTP {status} code {code} {result:?}"),
            Answer::Page(status, text) => write!(f, "HTTP {status} {text:?}"),
            Answer::Torn => f.write_str("torn"),
            Answer::Reset => f.write_str("reset"),
            Answer::Silent => f.write_str("silent"),
            Answer::Once(_, answer) => write!(f, "later {answer:?}"),
        }
    }
}

pub(super) fn rows(rows: &[Value]) -> Answer {
    Answer::Result(json!({ "data": rows }))
}

type Script = Box<dyn FnMut(&Value) -> Answer + Send>;

/// What the test tells a connected socket.
pub(super) enum Say {
    /// A text frame.
    Text(String),
    /// A close frame with this code.
    Close(u16),
    /// The TCP connection goes, without a word.
    Drop,
}

#[derive(Default)]
struct State {
    scripts: BTreeMap<String, Script>,
    /// Every request: method and parameters.
    asked: Vec<(String, Value)>,
    /// Every frame of a client.
    frames: Vec<(String, Value)>,
    sockets: BTreeMap<String, mpsc::UnboundedSender<Say>>,
    connections: BTreeMap<String, u32>,
    ends: BTreeMap<String, u32>,
    /// What the login and subscription are answered with; 0 is yes.
    login: i64,
    mute: bool,
}

/// The server; it ends with the process of the test.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Server {
    pub(super) fn start() -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let state: Arc<(Mutex<State>, Condvar)> = Arc::default();
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                loop {
                    let Ok((stream, _)) = listener.accept().await else { return };
                    tokio::spawn(serve(stream, Arc::clone(&served)));
                }
            });
        });
        let server = Server { address, state };
        for method in [
            "private/get-open-orders",
            "private/advanced/get-open-orders",
            "private/get-order-history",
            "private/advanced/get-order-history",
            "private/get-trades",
            "private/get-transactions",
            "public/get-tickers",
        ] {
            server.always(method, rows(&[]));
        }
        for method in ["private/get-order-detail", "private/advanced/get-order-detail"] {
            server.always(method, Answer::Code(200, 40_401, None));
        }
        server.always("private/user-balance", balances(&[("USDT", "1000", "0"), ("BTC", "0.01", "0")]));
        server
    }

    /// Answers a method by a function of its parameters.
    pub(super) fn on(&self, method: &str, script: impl FnMut(&Value) -> Answer + Send + 'static) {
        self.state.0.lock().unwrap().scripts.insert(method.to_owned(), Box::new(script));
    }

    /// Answers a method the same way always.
    pub(super) fn always(&self, method: &str, answer: Answer) {
        self.on(method, move |_| answer.clone());
    }

    /// Answers a method with these in turn, the last one for ever.
    pub(super) fn turns(&self, method: &str, answers: Vec<Answer>) {
        let mut left = answers.into_iter();
        let mut last = Answer::Silent;
        self.on(method, move |_| {
            if let Some(next) = left.next() {
                last = next;
            }
            last.clone()
        });
    }

    /// Parameters of every request of a method so far.
    pub(super) fn asked(&self, method: &str) -> Vec<Value> {
        let state = self.state.0.lock().unwrap();
        state.asked.iter().filter(|(name, _)| name == method).map(|(_, params)| params.clone()).collect()
    }

    /// Methods in the order in which they were asked.
    pub(super) fn order(&self) -> Vec<String> {
        self.state.0.lock().unwrap().asked.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The answer to logins and subscriptions from now on.
    pub(super) fn login(&self, code: i64) {
        self.state.0.lock().unwrap().login = code;
    }

    /// Whether logins and subscriptions are answered at all.
    pub(super) fn mute(&self, mute: bool) {
        self.state.0.lock().unwrap().mute = mute;
    }

    /// Says something on a connected socket (`user` or `market`).
    pub(super) fn say(&self, socket: &str, say: Say) {
        let state = self.state.0.lock().unwrap();
        let sender = state.sockets.get(socket).expect("a connected socket");
        assert!(sender.send(say).is_ok(), "the {socket} socket is gone");
    }

    /// Says a frame from within the answer to a request, where the table of methods is held.
    pub(super) fn later(&self, socket: &'static str, text: String) {
        let state = Arc::clone(&self.state);
        std::thread::spawn(move || {
            let state = state.0.lock().unwrap();
            let _ = state.sockets.get(socket).map(|sender| sender.send(Say::Text(text)));
        });
    }

    pub(super) fn push(&self, socket: &str, text: String) {
        self.say(socket, Say::Text(text));
    }

    /// How often a socket was connected.
    pub(super) fn connections(&self, socket: &str) -> u32 {
        self.state.0.lock().unwrap().connections.get(socket).copied().unwrap_or_default()
    }

    /// Waits until a socket has ended at least once.
    pub(super) fn ended(&self, socket: &str) {
        let (lock, changed) = &*self.state;
        let state = lock.lock().unwrap();
        let ended =
            changed.wait_timeout_while(state, super::PATIENCE, |state| !state.ends.contains_key(socket));
        assert!(!ended.unwrap().1.timed_out(), "the {socket} socket is still there");
    }

    /// Waits until a client's frame fits.
    pub(super) fn frame(&self, socket: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + super::PATIENCE;
        let (lock, changed) = &*self.state;
        let mut state = lock.lock().unwrap();
        loop {
            if let Some((_, frame)) = state.frames.iter().find(|(name, frame)| name == socket && fits(frame))
            {
                return frame.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no such frame on the {socket} socket: {:?}", state.frames);
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

pub(super) fn balances(coins: &[(&str, &str, &str)]) -> Answer {
    let coins: Vec<Value> = coins
        .iter()
        .map(|(name, total, reserved)| {
            json!({"instrument_name": name, "quantity": total, "reserved_qty": reserved})
        })
        .collect();
    rows(&[json!({"instrument_name": "USD", "position_balances": coins})])
}

async fn serve(stream: TcpStream, state: Arc<(Mutex<State>, Condvar)>) {
    let mut head = [0; 1024];
    let seen = stream.peek(&mut head).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&head[..seen]).to_lowercase();
    if text.contains("upgrade: websocket") {
        let name = if text.starts_with("get /exchange/v1/user") { "user" } else { "market" };
        socket(stream, name, &state).await;
        *state.0.lock().unwrap().ends.entry(name.to_owned()).or_default() += 1;
        state.1.notify_all();
    } else {
        http(stream, &state).await;
    }
}

async fn http(mut stream: TcpStream, state: &(Mutex<State>, Condvar)) {
    let mut read = Vec::new();
    loop {
        let Some((method, params, id)) = request(&mut stream, &mut read).await else { return };
        let mut answer = {
            let mut state = state.0.lock().unwrap();
            state.asked.push((method.clone(), params.clone()));
            match state.scripts.get_mut(&method) {
                Some(script) => script(&params),
                None => Answer::Code(400, 40_002, None),
            }
        };
        while let Answer::Once(holds, then) = answer {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            answer = *then;
        }
        let json_of = |code: i64, result: Option<Value>| {
            let mut body = json!({"id": id, "method": method, "code": code});
            if code != 0 {
                body["message"] = json!("SCRIPTED");
            }
            if let Some(result) = result {
                body["result"] = result;
            }
            body.to_string()
        };
        let (status, body, announced) = match answer {
            Answer::Result(result) => (200, json_of(0, Some(result)), None),
            Answer::Code(status, code, result) => (status, json_of(code, result), None),
            Answer::Page(status, text) => (status, text.to_owned(), None),
            Answer::Torn => (200, "{\"id\":1,\"method\":\"priv".to_owned(), Some(400)),
            Answer::Reset => return,
            Answer::Once(..) | Answer::Silent => return tokio::time::sleep(Duration::from_secs(60)).await,
        };
        let length = announced.unwrap_or(body.len());
        let text = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        if stream.write_all(text.as_bytes()).await.is_err() || announced.is_some() {
            return;
        }
    }
}

/// One request: method, parameters, id.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<(String, Value, Value)> {
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if read.len() >= end + 4 + length {
                let body: Vec<u8> = read.drain(..end + 4 + length).skip(end + 4).collect();
                let path = head.split(' ').nth(1)?.strip_prefix("/exchange/v1/")?.to_owned();
                if body.is_empty() {
                    let name = path.split('?').next()?.to_owned();
                    return Some((name, Value::Null, json!(-1)));
                }
                let body: Value = serde_json::from_slice(&body).unwrap();
                return Some((path, body["params"].clone(), body["id"].clone()));
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => read.extend_from_slice(&chunk[..n]),
        }
    }
}

async fn socket(stream: TcpStream, name: &'static str, shared: &(Mutex<State>, Condvar)) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let (sender, mut says) = mpsc::unbounded_channel();
    {
        let mut state = shared.0.lock().unwrap();
        state.sockets.insert(name.to_owned(), sender);
        *state.connections.entry(name.to_owned()).or_default() += 1;
        shared.1.notify_all();
    }
    loop {
        tokio::select! {
            say = says.recv() => match say {
                Some(Say::Text(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        return;
                    }
                }
                Some(Say::Close(code)) => {
                    let frame = CloseFrame { code: code.into(), reason: "scripted".into() };
                    let _ = socket.close(Some(frame)).await;
                    return;
                }
                Some(Say::Drop) | None => return,
            },
            heard = socket.next() => {
                let Some(Ok(Message::Text(text))) = heard else { return };
                let frame: Value = serde_json::from_str(&text).unwrap();
                let answer = {
                    let mut state = shared.0.lock().unwrap();
                    state.frames.push((name.to_owned(), frame.clone()));
                    shared.1.notify_all();
                    let login = matches!(frame["method"].as_str(), Some("public/auth" | "subscribe"));
                    (login && !state.mute)
                        .then(|| json!({"id": frame["id"], "method": frame["method"], "code": state.login}))
                };
                if let Some(answer) = answer
                    && socket.send(Message::text(answer.to_string())).await.is_err()
                {
                    return;
                }
            }
        }
    }
}
