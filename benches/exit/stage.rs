//! The processes: the exchange, the engine, the market that this program plays, and the door between them.

use crate::door::{self, CROSSING, Echo, PATIENCE};
use crate::{Between, TICKS};
use aegis_benches::clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

const KEY: &str = "bench-key";
const SECRET: &str = "bench-secret-not-a-real-one";
/// The price in every other frame; the stop is 2 % below.
const RESTING: &str = "50000";
const LOOK: Duration = Duration::from_millis(5);

/// Entries at market, the engine its own guard, nothing that refuses an entry.
const RULES: &str = "\
accept_unguarded_downtime = true
[live.engine]
protection = \"engine\"
entry_style = \"market\"
market_margin = \"0\"
slippage = \"0\"
taker_fee = \"0\"
budget = \"1000000\"
weight = \"1\"
risk = \"1\"
minimum_margin = \"0\"
daily_loss = \"none\"
stop_outs = 0
balance_age = \"1d\"
reconcile = \"1h\"
balance_lag = \"20ms\"
market_fall = \"none\"
leader_fall = \"none\"
[live.engine.plan]
rule = \"fixed\"
[live.protocol]
nonce_window = \"6s\"
lookup_overlap = \"1s\"
rate_speed = 10
";

/// All of it.
pub(crate) struct Stage {
    dir: TempDir,
    venue: Child,
    engine: Child,
    echo: Echo,
    market: WebSocket<TcpStream>,
    exits: Receiver<u64>,
    frames: u64,
}

fn aegis() -> Command {
    let program =
        std::env::var_os("AEGIS_BENCH_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_aegis").into());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("AEGIS_")) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !so() {
        assert!(asked.elapsed() < PATIENCE * 2, "not in time: {what}");
        std::thread::sleep(LOOK);
    }
}

/// Waits for the engine's socket and answers its subscription.
fn market(listener: &TcpListener) -> WebSocket<TcpStream> {
    let (stream, _) = listener.accept().expect("the engine connects");
    stream.set_nodelay(true).expect("no delay");
    let mut socket = accept(stream).expect("a handshake");
    let asked = socket.read().expect("a subscription");
    let asked: Value = serde_json::from_str(asked.to_text().expect("text")).expect("a request");
    let answer = json!({ "id": asked["id"], "method": "subscribe", "code": 0 });
    socket.send(Message::text(answer.to_string())).expect("the engine listens");
    socket
}

impl Stage {
    /// Starts everything.
    pub(crate) fn new() -> Stage {
        let dir = tempfile::Builder::new().prefix("aegis-exit-").tempdir().expect("a temporary directory");
        let path = |name: &str| dir.path().join(name);
        let file = |name: &str| Stdio::from(File::create(path(name)).expect("a file for output"));
        let terms = "[venue]\nmaker_fee = \"0\"\ntaker_fee = \"0\"\n\
                     [instruments.BTC_USDT]\nquantity_tick = \"0.00001\"\nminimum_notional = \"0\"\n";
        std::fs::write(path("venue.toml"), terms).expect("a file");
        let mut command = aegis();
        command
            .args(["venue", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--market", "none"])
            .args(["--account", &format!("{KEY}:{SECRET}"), "--fund", "USDT=100000"])
            // Ten times the calls, so that rounds follow each other faster; the heartbeat comes every three seconds.
            .args(["--protocol-scale", "0.1", "--data"])
            .arg(path("venue"))
            .arg("--config")
            .arg(path("venue.toml"))
            .stdout(Stdio::piped())
            .stderr(file("venue.err"));
        let mut venue = command.spawn().expect("the program starts");
        let mut ready = String::new();
        let output = venue.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut ready).expect("the exchange is ready");
        let addresses: Vec<&str> = ready.split("http://").skip(1).collect();
        let address = |at: usize| {
            let found = addresses.get(at).unwrap_or_else(|| panic!("no address in {ready:?}"));
            found.split(['/', ' ', ',', '\n', ')', ';']).next().unwrap_or_default().to_owned()
        };
        price(&address(1));
        let (rest, exits) = door::open(address(0));
        let (listener, prices) = door::listen();
        let text = format!(
            "[live]\nrest = \"http://{rest}/exchange/v1\"\nuser = \"ws://{}/exchange/v1/user\"\n\
             market = \"ws://{prices}/\"\nkey_env = \"BENCH_KEY\"\nsecret_env = \"BENCH_SECRET\"\n\
             instruments = [\"BTC_USDT\"]\nprice_age = \"60s\"\n{RULES}",
            address(0)
        );
        std::fs::write(path("aegis.toml"), text).expect("a file");
        let mut command = aegis();
        command
            .args(["run", "--live", "--data"])
            .arg(path("data"))
            .arg("--config")
            .arg(path("aegis.toml"))
            .env("BENCH_KEY", KEY)
            .env("BENCH_SECRET", SECRET)
            .stdout(file("engine.out"))
            .stderr(file("engine.err"));
        let engine = command.spawn().expect("the program starts");
        let market = market(&listener);
        Stage { dir, venue, engine, echo: Echo::start(), market, exits, frames: 0 }
    }

    /// A file beside the journal.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn frame(&mut self, price: &str) -> String {
        self.frames += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        format!(
            "{{\"id\":-1,\"method\":\"subscribe\",\"code\":0,\"result\":{{\"channel\":\"ticker\",\
             \"subscription\":\"ticker.BTC_USDT\",\"instrument_name\":\"BTC_USDT\",\"data\":[{{\"i\":\"BTC_USDT\",\
             \"h\":\"62010.00\",\"l\":\"40544.13\",\"a\":\"{price}.{0:02}\",\"c\":\"0.0071\",\"b\":\"{price}.{0:02}\",\
             \"bs\":\"0.42010\",\"k\":\"{price}.{1:02}\",\"ks\":\"0.11000\",\"v\":\"812.40317\",\
             \"vv\":\"49748105.11\",\"oi\":\"0\",\"t\":{now}}}]}}}}",
            self.frames % 2,
            self.frames % 2 + 1
        )
    }

    fn send(&mut self, frame: String) {
        self.market.send(Message::text(frame)).expect("the engine listens");
    }

    fn tick(&mut self) {
        let frame = self.frame(RESTING);
        self.send(frame);
    }

    fn pass(&mut self, between: Between, mut tick: impl FnMut(&mut Stage)) {
        match between {
            Between::Nothing(time) => std::thread::sleep(time),
            Between::Ticks(count) => {
                let begin = Instant::now();
                for at in 1..=count {
                    let due = Duration::from_nanos(at * 1_000_000_000 / TICKS);
                    std::thread::sleep(due.saturating_sub(begin.elapsed()));
                    if at < count {
                        tick(self);
                    }
                }
            }
        }
    }

    /// Lets time pass, with ticks for the engine.
    pub(crate) fn wait(&mut self, between: Between) {
        self.pass(between, Stage::tick);
    }

    /// Lets time pass, with ticks for the process that does nothing.
    pub(crate) fn wait_with_echo(&mut self, between: Between) {
        self.pass(between, |stage| {
            let frame = stage.frame(RESTING);
            stage.echo.send(&frame);
        });
    }

    fn ask(&self, ask: &Value) -> Value {
        let Ok(mut stream) = UnixStream::connect(self.path("data/control.sock")) else { return Value::Null };
        let mut line = String::new();
        let said = writeln!(stream, "{ask}").and_then(|()| BufReader::new(stream).read_line(&mut line));
        said.ok().and_then(|_| serde_json::from_str(&line).ok()).unwrap_or(Value::Null)
    }

    fn positions(&self) -> usize {
        let told = self.ask(&json!({ "ask": "status" }));
        told["status"]["summary"]["positions"].as_array().map_or(0, Vec::len)
    }

    /// Buys, and waits until it is held.
    pub(crate) fn hold(&mut self) {
        let open = json!({ "ask": "open", "instrument": "BTC_USDT", "quantity": "0.001", "stop": null });
        let mut looks = 0;
        until("a position is held", || {
            self.tick();
            // Refused until the first comparison; asked again now and then.
            if looks % 100 == 0 {
                self.ask(&open);
            }
            looks += 1;
            self.positions() == 1
        });
    }

    /// Crosses the stop; how long it took until the exit had come, ns.
    pub(crate) fn cross(&mut self) -> u64 {
        assert!(self.exits.try_recv().is_err(), "an exit before its time");
        let frame = self.frame(CROSSING);
        let start = clock::now();
        self.send(frame);
        self.exits.recv_timeout(PATIENCE).expect("an exit") - start
    }

    /// Waits until the exit is filled, the price back where it was.
    pub(crate) fn settle(&mut self) {
        until("nothing is held", || {
            self.tick();
            self.positions() == 0
        });
        // The exchange makes its own records durable; that is over before the next measurement.
        self.wait(Between::Ticks(5));
    }

    /// The same for the process that does nothing.
    pub(crate) fn cross_echo(&mut self) -> u64 {
        let frame = self.frame(CROSSING);
        self.echo.cross(&frame)
    }

    /// Ends it all, the engine by its own clean stop.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.engine), Signal::TERM).expect("a child that was not waited for");
        assert!(self.engine.wait().expect("the engine ends").success(), "the engine stops cleanly");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in [&mut self.engine, &mut self.venue] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("everything is kept in {}", self.dir.path().display());
        }
    }
}

/// The exchange's own price, at which everything is filled.
fn price(control: &str) {
    let body = json!({
        "instrument": "BTC_USDT", "bid": RESTING, "ask": RESTING, "bid_quantity": "1000", "ask_quantity": "1000",
    })
    .to_string();
    let mut stream = TcpStream::connect(control).expect("the exchange's controls");
    let length = body.len();
    write!(
        stream,
        "POST /price HTTP/1.1\r\nHost: {control}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains(" 200 "), "{answer}");
}
