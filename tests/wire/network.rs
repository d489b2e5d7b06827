//! Packets are lost between the engine and the exchange, each in a network namespace of its own: on the way there, on the
//! way back, both ways, for moments and for longer than anybody waits, all of them or a part.
//!
//! ```text
//! engine, the commands ── va ═════ vb ── exchange, its controls, the test
//!        10.77.0.1          dropped here, on arrival          10.77.0.2
//! ```
//!
//! The namespaces belong to threads of the test and to what runs in them: with those they are gone, the pair with them.

use crate::ground::{Budget, Moments, is_asked_for, ok, reaches_least};
use crate::ledger::Run;
use crate::pauses::none_twice;
use crate::stage::{Stage, enter, until};
use crate::stories::{hold, rules};
use crate::week::{BARE_MAX, longest_bare};
use aegis_model::Fact;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

const ENGINE: &str = "10.77.0.1";
const EXCHANGE: &str = "10.77.0.2";

fn run(words: &[&str], net: Option<&Arc<OwnedFd>>) {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    if let Some(net) = net.cloned() {
        // SAFETY: one system call between fork and exec, with a handle that `net` keeps open.
        unsafe { command.pre_exec(move || enter(&net)) };
    }
    let output =
        command.output().unwrap_or_else(|e| panic!("{}: {e} (AEGIS_REAL_FAULTS=1 needs it)", words[0]));
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn own_network() {
    // SAFETY: the call takes no pointers.
    ok(unsafe { libc::unshare(libc::CLONE_NEWNET) }, "a network namespace");
}

/// Where packets arrive and are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ToExchange,
    ToEngine,
    Both,
}

/// Two networks with a wire between them.
struct Wire {
    engine: Arc<OwnedFd>,
    rules: Vec<(bool, Vec<String>)>,
}

impl Wire {
    /// The calling thread lives at the exchange's end from here on.
    fn new() -> Wire {
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            own_network();
            let _ = send.send(File::open("/proc/thread-self/ns/net").map(OwnedFd::from));
        });
        let engine = receive.recv().expect("a thread with a network").expect("its handle");
        own_network();
        let engine = Arc::new(engine);
        let inside = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&*engine));
        run(&["ip", "link", "add", "vb", "type", "veth", "peer", "name", "va", "netns", &inside], None);
        for (name, address, net) in [("va", ENGINE, Some(&engine)), ("vb", EXCHANGE, None)] {
            run(&["ip", "link", "set", "lo", "up"], net);
            run(&["ip", "address", "add", &format!("{address}/24"), "dev", name], net);
            run(&["ip", "link", "set", name, "up"], net);
        }
        Wire { engine, rules: Vec::new() }
    }

    /// Drops what arrives on this way: all of it, or this part of it.
    fn cut(&mut self, way: Way, part: Option<f64>) {
        let mut words: Vec<String> = ["INPUT", "-i", "", "-j", "DROP"].map(str::to_owned).to_vec();
        if let Some(part) = part {
            let part = part.to_string();
            let random = ["-m", "statistic", "--mode", "random", "--probability", &part];
            words.splice(3..3, random.map(str::to_owned));
        }
        for (at_engine, device, wanted) in
            [(true, "va", way != Way::ToExchange), (false, "vb", way != Way::ToEngine)]
        {
            if wanted {
                device.clone_into(&mut words[2]);
                self.rule("-A", at_engine, &words);
                self.rules.push((at_engine, words.clone()));
            }
        }
    }

    fn rule(&self, act: &str, at_engine: bool, words: &[String]) {
        let mut all = vec!["iptables", "-w", act];
        all.extend(words.iter().map(String::as_str));
        run(&all, at_engine.then_some(&self.engine));
    }

    fn mend(&mut self) {
        for (at_engine, words) in std::mem::take(&mut self.rules) {
            self.rule("-D", at_engine, &words);
        }
    }

    /// How many packets were dropped at both ends since the rules were made.
    fn dropped(&self) -> u64 {
        let count = |at_engine: bool| {
            let mut command = Command::new("iptables");
            command.args(["-w", "-L", "INPUT", "-v", "-x", "-n"]);
            if at_engine {
                let net = self.engine.clone();
                // SAFETY: one system call between fork and exec, with a handle that `net` keeps open.
                unsafe { command.pre_exec(move || enter(&net)) };
            }
            let output = command.output().expect("iptables");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let rows = text.lines().filter(|line| line.contains("DROP"));
            rows.filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok()).sum::<u64>()
        };
        count(true) + count(false)
    }
}

fn links_lost(stage: &Stage) -> usize {
    stage.count(|f| matches!(f, Fact::LinkLost(_)))
}

fn links_restored(stage: &Stage) -> usize {
    stage.count(|f| matches!(f, Fact::LinkRestored(_)))
}

fn wait(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

#[test]
fn lost_packets_leave_both_books_equal_and_each_order_once() {
    if !is_asked_for("lost packets") {
        return;
    }
    let mut wire = Wire::new();
    let mut stage = Stage::apart("USDT=1000000", &rules(""), EXCHANGE, wire.engine.clone());
    stage.start();
    hold(&stage, "ETH_USDT", "0.01");
    let run = Run::begin("lost packets");
    let budget = Budget::new("AEGIS_DROPS", 7);
    let mut moments = Moments::new();
    let (mut done, mut packets, mut deaths, mut asked) = (0, 0, 0, 0);
    while budget.goes_on(done) {
        let way = [Way::ToExchange, Way::ToEngine, Way::Both][done as usize % 3];
        // For a moment; for longer than heartbeats and the watchdog wait, which are 0.3 and 2 s here; and a part of it.
        let (millis, part) = match done % 7 {
            0..=2 => (3500 + moments.below(1500), None),
            3 | 4 => (50 + moments.below(400), None),
            _ => (2500, Some(0.1 + moments.below(4) as f64 / 10.0)),
        };
        let when = format!("drop {done}: {way:?} for {millis} ms, {part:?}");
        until(&format!("{when}: the sockets are mended"), || links_restored(&stage) == links_lost(&stage));
        let before = links_lost(&stage);
        // An order on its way as the packets begin to get lost, or already lost, or a stop that fires behind them.
        let act = moments.below(4);
        let opens = act < 2 && stage.held("BTC_USDT") == "0";
        stage.exchange.price("BTC_USDT", "50000", "50000");
        let mut wish = opens.then(|| stage.begin(&["open", "BTC_USDT", "0.001"]));
        wait(moments.below(60));
        wire.cut(way, part);
        if act == 2 {
            stage.exchange.price("BTC_USDT", "47000", "47001");
        } else if act == 3 {
            let words: &[&str] = if stage.held("BTC_USDT") == "0" {
                &["open", "BTC_USDT", "0.001"]
            } else {
                &["close", "BTC_USDT"]
            };
            wish = Some(stage.begin(words));
        }
        wait(millis);
        packets += wire.dropped();
        if part.is_none() && millis > 3000 {
            until(&format!("{when}: the silent socket is taken for dead"), || links_lost(&stage) > before);
            deaths += 1;
        }
        wire.mend();
        if let Some(mut wish) = wish {
            let _ = wish.wait();
            asked += 1;
        }
        let mut last = String::new();
        until(&format!("{when}: the books agree"), || {
            let quiet = stage.state().orders.values().all(|o| {
                use aegis_model::order::OrderStatus::{Acknowledged, PartiallyFilled};
                matches!(o.status, Acknowledged | PartiallyFilled) && o.cancel.is_none()
            });
            last = stage.agrees().err().unwrap_or_default();
            quiet && last.is_empty()
        });
        none_twice(&stage);
        assert_eq!(stage.held("ETH_USDT"), "0.01", "{when}");
        done += 1;
    }
    let events = stage.events();
    let state = stage.state();
    let (bare, _) = longest_bare(&events);
    assert!(bare <= BARE_MAX, "{} ms without a stop at the exchange", bare / 1_000_000);
    assert!(deaths > 0 && packets > 20, "{deaths} sockets died, {packets} packets were dropped");
    assert!(!stage.is_dead());
    println!(
        "{done} times packets were lost ({packets} of them): {} sockets taken for dead in {deaths} long silences, {asked} orders on their way, {} fills, each order once, books equal after each, longest without a stop at the exchange {} ms, {:.0} s",
        links_lost(&stage),
        state.totals.fills,
        bare / 1_000_000,
        budget.seconds()
    );
    reaches_least(done, "times that packets were lost");
    run.held(done, "times", Some(events.len() as u64));
    assert_eq!(stage.stop(), Some(0));
}
