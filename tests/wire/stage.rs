//! The stage of a story over the wire: an exchange process, an engine process, a hand on the exchange's controls, and
//! the journal as everybody may read it. Nothing sleeps to hide a race: every wait looks for a fact, within a bound.

use crate::http::{Exchange, get};
use aegis_forensics::Reading;
use aegis_model::{Event, Fact};
use aegis_projection::State;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; a step takes some hundred milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(5);
/// Protocol times of both sides: a hundredth of the exchange's.
const SCALE: &str = "0.01";
pub(crate) const KEY: &str = "test-key";
const SECRET: &str = "test-secret-not-a-real-one";

/// What every stage trades, and where it stands still.
const STILL: [(&str, &str); 3] = [("BTC_USDT", "50000"), ("ETH_USDT", "3000"), ("SOL_USDT", "100")];

/// A directory with an exchange and an engine in it; kept when the test fails.
pub(crate) struct Stage {
    dir: TempDir,
    fund: String,
    settings: String,
    instruments: Vec<String>,
    /// More words for the exchange.
    words: Vec<String>,
    venue: Option<Child>,
    engine: Option<Child>,
    starts: u32,
    /// The address that the exchange listens on.
    host: String,
    /// The network namespace of the engine, where it is not the test's.
    engine_net: Option<Arc<OwnedFd>>,
    /// More of the engine's environment.
    pub(crate) engine_env: Vec<(&'static str, String)>,
    /// The exchange's addresses.
    pub(crate) exchange: Exchange,
}

/// The program under test.
pub(crate) fn aegis() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegis"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AEGIS_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let asked = Instant::now();
    while !so() {
        assert!(asked.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

impl Stage {
    /// An exchange with these funds (`USDT=10000`) that takes no fees, started; and an engine with these settings, not
    /// started.
    pub(crate) fn new(fund: &str, engine: &str) -> Stage {
        Stage::with_fee(fund, engine, "0")
    }

    /// The same with a fee.
    pub(crate) fn with_fee(fund: &str, engine: &str, fee: &str) -> Stage {
        let mut stage = Stage::unstarted(fund, engine, fee);
        stage.start_venue();
        stage.still();
        stage
    }

    /// The same without a fee and with so many instruments more (`X01_USDT` ...), all at 100.
    pub(crate) fn broad(fund: &str, engine: &str, more: usize) -> Stage {
        let mut stage = Stage::unstarted(fund, engine, "0");
        let mut config = std::fs::read_to_string(stage.path("venue.toml")).expect("a file of the test");
        for number in 1..=more {
            let _ = writeln!(
                config,
                "[instruments.X{number:02}_USDT]\nbase = \"X{number:02}\"\nquote = \"USDT\"\nprice_tick = \"0.01\"\n\
                 quantity_tick = \"0.001\"\nminimum_notional = \"0\""
            );
            stage.instruments.push(format!("X{number:02}_USDT"));
        }
        std::fs::write(stage.path("venue.toml"), config).expect("a file of the test");
        stage.start_venue();
        stage.still();
        for name in stage.instruments.iter().skip(STILL.len()) {
            stage.exchange.price(name, "100", "100");
        }
        stage
    }

    fn unstarted(fund: &str, engine: &str, fee: &str) -> Stage {
        let dir = tempfile::Builder::new().prefix("aegis-wire-").tempdir().expect("a temporary directory");
        let stage = Stage {
            dir,
            fund: fund.to_owned(),
            settings: engine.to_owned(),
            instruments: STILL.iter().map(|(name, _)| (*name).to_owned()).collect(),
            words: Vec::new(),
            venue: None,
            engine: None,
            starts: 0,
            host: "127.0.0.1".to_owned(),
            engine_net: None,
            engine_env: Vec::new(),
            exchange: Exchange::default(),
        };
        let config = format!(
            "[venue]\nmaker_fee = \"{fee}\"\ntaker_fee = \"{fee}\"\n\
             [instruments.BTC_USDT]\nquantity_tick = \"0.00001\"\nminimum_notional = \"0\"\n\
             [instruments.ETH_USDT]\nminimum_notional = \"0\"\n[instruments.SOL_USDT]\nminimum_notional = \"0\"\n"
        );
        std::fs::write(stage.path("venue.toml"), config).expect("a file of the test");
        stage
    }

    /// The same on an address of the test's own network; the engine, and whoever speaks to it, lives in another one.
    pub(crate) fn apart(fund: &str, engine: &str, host: &str, engine_net: Arc<OwnedFd>) -> Stage {
        let mut stage = Stage::unstarted(fund, engine, "0");
        (stage.host, stage.engine_net) = (host.to_owned(), Some(engine_net));
        stage.start_venue();
        stage.still();
        stage
    }

    /// An exchange that plays a market file at this pace.
    pub(crate) fn playing(fund: &str, engine: &str, market: &str, pace: &str) -> Stage {
        let words = ["--market", market, "--pace", pace].map(str::to_owned).to_vec();
        let mut stage = Stage::unstarted(fund, engine, "25bp");
        stage.words = words;
        stage.start_venue();
        stage
    }

    fn still(&self) {
        for (name, price) in STILL {
            self.exchange.price(name, price, price);
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn output(&self, name: &str) -> Stdio {
        let file = File::options().create(true).append(true).open(self.path(name));
        Stdio::from(file.expect("a file for output"))
    }

    /// Starts the exchange's process, on the same addresses if it ran before.
    pub(crate) fn start_venue(&mut self) {
        let (listen, control) = match &self.exchange.rest {
            rest if rest.is_empty() => (format!("{}:0", self.host), "127.0.0.1:0".to_owned()),
            rest => (rest.clone(), self.exchange.control.clone()),
        };
        let ready = format!("venue-{}.out", self.starts);
        self.starts += 1;
        let mut command = aegis();
        command
            .args(["venue", "--listen", &listen, "--control", &control, "--account"])
            .arg(format!("{KEY}:{SECRET}"))
            .args(["--fund", &self.fund, "--protocol-scale", SCALE, "--seed", "7", "--data"])
            .arg(self.path("venue"))
            .arg("--config")
            .arg(self.path("venue.toml"))
            .args(&self.words)
            .stdout(self.output(&ready))
            .stderr(self.output("venue.err"));
        ends_with_us(&mut command);
        self.venue = Some(command.spawn().expect("the program starts"));
        let path = self.path(&ready);
        let mut line = String::new();
        until("the exchange is ready", || {
            line = std::fs::read_to_string(&path).unwrap_or_default();
            line.ends_with('\n')
        });
        self.exchange = Exchange::of(&line);
        if !self.words.is_empty() {
            return;
        }
        // The market stands still unless a story moves it.
        for name in &self.instruments {
            self.exchange.hold(name);
        }
    }

    /// SIGKILL of the exchange.
    pub(crate) fn kill_venue(&mut self) {
        end(self.venue.take(), Signal::KILL);
    }

    fn config(&self) -> PathBuf {
        let path = self.path("aegis.toml");
        let e = &self.exchange;
        let text = format!(
            "[live]\nrest = \"http://{0}/exchange/v1\"\nuser = \"ws://{0}/exchange/v1/user\"\n\
             market = \"ws://{0}/exchange/v1/market\"\nkey_env = \"TEST_KEY\"\nsecret_env = \"TEST_SECRET\"\n\
             instruments = {2:?}\nprice_age = \"60s\"\n{1}\n\
             [live.protocol]\nconnect = \"1s\"\ndeadline = \"2s\"\nnonce_window = \"600ms\"\n\
             absence_margin = \"150ms\"\nconnect_pause = \"10ms\"\nwatchdog = \"2s\"\nreconnect_min = \"10ms\"\n\
             reconnect_max = \"320ms\"\nrestart_pause = \"100ms\"\nbackoff_min = \"10ms\"\nbackoff_max = \"320ms\"\n\
             read_retry = \"5ms\"\nrecord_look = \"5ms\"\ntrades_lag = \"50ms\"\nrate_speed = 100\n\
             instruments_every = \"1s\"\nmissed_every = \"300ms\"\nlookup_overlap = \"60s\"\n",
            e.rest, self.settings, self.instruments
        );
        std::fs::write(&path, text).expect("a file of the test");
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = aegis();
        command.args(words).arg("--data").arg(self.path("data")).arg("--config").arg(self.config());
        command.env("TEST_KEY", KEY).env("TEST_SECRET", SECRET).env("AEGIS_LOG", "info");
        if let Some(net) = self.engine_net.clone() {
            // SAFETY: one system call between fork and exec, with a handle that `net` keeps open.
            unsafe { command.pre_exec(move || enter(&net)) };
        }
        ends_with_us(&mut command);
        command
    }

    /// Other settings of the engine, from its next start on.
    pub(crate) fn set(&mut self, engine: &str) {
        engine.clone_into(&mut self.settings);
    }

    /// Any command on the engine's data, to its end.
    pub(crate) fn on(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the program starts")
    }

    /// A command that must be carried out.
    pub(crate) fn order(&self, words: &[&str]) {
        let output = self.on(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the engine and waits until it has compared with the exchange once in this opening.
    pub(crate) fn start(&mut self) {
        let before = self.openings();
        self.start_with(&[]);
        until("the engine has compared", || {
            let state = self.state();
            state.journal.openings > before && state.journal.reconciled.is_some()
        });
    }

    /// Starts the engine, with more words, and waits for nothing.
    pub(crate) fn start_with(&mut self, more: &[&str]) {
        let mut command = self.command(&["run", "--live"]);
        command.envs(self.engine_env.iter().map(|(name, value)| (name, value)));
        command.args(more).stdout(self.output("engine.out")).stderr(self.output("engine.err"));
        self.engine = Some(command.spawn().expect("the program starts"));
    }

    /// The engine's process id.
    pub(crate) fn engine_id(&self) -> u32 {
        self.engine.as_ref().expect("an engine was started").id()
    }

    /// The exchange's process id.
    pub(crate) fn venue_id(&self) -> u32 {
        self.venue.as_ref().expect("an exchange was started").id()
    }

    /// A command that is not waited for.
    pub(crate) fn begin(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }

    /// Asks to open, and tells whether it was let through; for a price that may not have arrived yet. What the program
    /// says is what stands in the journal.
    pub(crate) fn open_at(&self, name: &str, quantity: &str) -> bool {
        let before = self.state().totals;
        let output = self.on(&["open", name, quantity]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let passed = match output.status.code() {
            Some(0) => true,
            Some(2) if said.contains(&format!("refused: {name} entry: ")) => false,
            code => panic!("open {name} {quantity}: {code:?}, {said}"),
        };
        let after = self.state().totals;
        let refusals = |totals: &aegis_projection::state::Totals| totals.refusals.values().sum::<u64>();
        if passed {
            assert!(after.entries > before.entries, "{said}: no record intends an entry");
        } else {
            assert!(refusals(&after) > refusals(&before), "{said}: no record refuses it");
        }
        passed
    }

    /// Instruments and quantities of the stops that wait at the exchange, in order.
    pub(crate) fn resting(&self) -> Vec<(String, String)> {
        let ledger = self.ledger();
        let triggers = ledger["triggers"].as_array().cloned().unwrap_or_default();
        let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let open = triggers.iter().filter(|row| row["waits"] == true);
        open.map(|row| (word(row, "instrument"), word(row, "quantity"))).collect()
    }

    /// SIGKILL of the engine.
    pub(crate) fn kill(&mut self) {
        end(self.engine.take(), Signal::KILL);
    }

    /// Whether the engine has ended by itself.
    pub(crate) fn is_dead(&mut self) -> bool {
        let child = self.engine.as_mut().expect("an engine was started");
        let dead = child.try_wait().expect("its state").is_some();
        if dead {
            self.engine = None;
        }
        dead
    }

    /// Waits for the engine to end by itself; its exit code.
    pub(crate) fn wait_dead(&mut self) -> Option<i32> {
        let child = self.engine.as_mut().expect("an engine was started");
        let mut code = None;
        until("the engine ends", || {
            code = child.try_wait().expect("its state").map(|status| status.code());
            code.is_some()
        });
        self.engine = None;
        code.flatten()
    }

    /// What the engine's processes said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("engine.err")).expect("a file for output")
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let child = self.engine.as_mut()?;
        kill_process(Pid::from_child(child), Signal::TERM).expect("a child that was not waited for");
        let mut code = None;
        until("the engine stops", || {
            code = child.try_wait().expect("its state").map(|status| status.code());
            code.is_some()
        });
        self.engine = None;
        code.flatten()
    }

    fn openings(&self) -> u64 {
        self.state().journal.openings
    }

    /// Every record of the engine's journal so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        let Ok(mut reading) = Reading::open(&self.path("data/live/engine")) else { return Vec::new() };
        let mut events = Vec::new();
        while let Ok(Some(point)) = reading.next_point() {
            events.push(point.event);
        }
        events
    }

    /// The fold of it.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        self.events().iter().for_each(|event| state.apply(event));
        state
    }

    /// How many facts satisfy a predicate.
    pub(crate) fn count(&self, want: impl Fn(&Fact) -> bool) -> usize {
        self.events().iter().filter(|e| want(&e.fact)).count()
    }

    /// What is held, in words.
    pub(crate) fn held(&self, name: &str) -> String {
        let state = self.state();
        let id = state.find_instrument(&name.parse().expect("a name"));
        id.and_then(|id| state.instrument(id)).map_or_else(|| "0".to_owned(), |i| i.held().to_string())
    }

    /// The stop of a position.
    pub(crate) fn stop_of(&self, name: &str) -> Option<String> {
        let state = self.state();
        let id = state.find_instrument(&name.parse().expect("a name"))?;
        state.instrument(id)?.protection.as_ref().map(|p| p.stop.to_string())
    }

    /// Waits until so much is held.
    pub(crate) fn until_held(&self, name: &str, quantity: &str) {
        until(&format!("{name} holds {quantity} and not {}", self.held(name)), || {
            self.held(name) == quantity
        });
    }

    /// Waits until a stop for what is held rests at the exchange.
    pub(crate) fn until_guarded(&self, name: &str) {
        until(&format!("a stop for {name} rests at the exchange"), || {
            let state = self.state();
            let id = state.find_instrument(&name.parse().expect("a name"));
            id.and_then(|id| state.instrument(id)).is_some_and(|i| i.is_open() && i.bare_since.is_none())
        });
    }

    /// The exchange's own ledger.
    pub(crate) fn ledger(&self) -> Value {
        get(&self.exchange.control, "/ledger")
    }

    /// Fold and ledger agree to the last digit in every asset: what is held by the fills of the journal, not what the
    /// exchange said last; and no difference was ever taken as it was, without a trade or a transfer that explains it.
    pub(crate) fn agrees(&self) -> Result<(), String> {
        let (events, ledger) = (self.events(), self.ledger());
        let mut state = State::default();
        events.iter().for_each(|event| state.apply(event));
        let unexplained =
            |f: &Fact| matches!(f, Fact::CashFlowRecorded(c) if c.id.0.as_str().starts_with("unexplained"));
        if let Some(event) = events.iter().find(|e| unexplained(&e.fact)) {
            return Err(format!("money from nowhere: {:?}", event.fact));
        }
        if let Some((number, order)) = state.orders.iter().find(|(_, o)| o.inferred.is_positive()) {
            return Err(format!("order {number}: {} is only inferred", order.inferred));
        }
        for (at, asset) in state.assets.iter().enumerate() {
            let Some(balance) = asset.balance else { continue };
            let id = aegis_model::AssetId(u16::try_from(at).expect("few"));
            let base_of = aegis_engine::reconcile::base_instruments(&state, id);
            let expected = if base_of.is_empty() {
                balance.total.plus(asset.since).map_err(|e| e.to_string())?
            } else {
                aegis_engine::reconcile::expectation(&state, id, &base_of).unwrap_or_default()
            };
            let told = ledger["balances"][asset.name.as_str()]["total"].as_str().unwrap_or("0").to_owned();
            if told != expected.to_string() {
                return Err(format!("{}: the exchange has {told}, the fold {expected}", asset.name));
            }
        }
        Ok(())
    }
}

/// What is started ends with the thread that started it, whatever ends that.
fn ends_with_us(command: &mut Command) {
    // SAFETY: one system call between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
}

/// Moves the calling thread into a network namespace.
pub(crate) fn enter(net: &OwnedFd) -> std::io::Result<()> {
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::setns(net.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

fn end(child: Option<Child>, signal: Signal) {
    let Some(mut child) = child else { return };
    let _ = kill_process(Pid::from_child(&child), signal);
    let _ = child.wait();
}

impl Drop for Stage {
    fn drop(&mut self) {
        end(self.engine.take(), Signal::KILL);
        end(self.venue.take(), Signal::KILL);
        if std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("everything is kept in {}", self.dir.path().display());
        }
    }
}
