//! The same connection against `aegis venue`, protocol times at a hundredth on both sides.

use super::{PATIENCE, btc, client, ms, signer};
use crate::wire::{Ask, Found, Heard, LookUp, Said, Settings, Snapshot, Socket, Wire, outlet};
use aegis_model::input::{Answer, RowStatus, Scope};
use aegis_model::order::RejectClass;
use aegis_model::{OrderKind, Side, TimeInForce};
use clap::Parser;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

/// A venue in this process, and a connection to it.
struct Trade {
    control: SocketAddr,
    wire: Wire,
    heard: Receiver<Heard>,
    _data: tempfile::TempDir,
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// One request of the control endpoint.
fn control(address: SocketAddr, verb: &str, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    let body = body.to_string();
    let length = body.len();
    let text = format!(
        "{verb} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let value: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{path}: {e}: {answer}"));
    assert!(value.get("error").is_none(), "{path}: {value}");
    value
}

impl Trade {
    fn open(set: &[&str]) -> Trade {
        let data = tempfile::tempdir().unwrap();
        let (listen, control) = (free_port(), free_port());
        let mut words: Vec<String> = [
            "aegis",
            "venue",
            "--account",
            "AEGISdemoKey0001:cxakp_demo_SECRET_do_not_use",
            "--fund",
            "BTC=1,USDT=100000",
            "--market",
            "none",
            "--protocol-scale",
            "0.01",
        ]
        .map(str::to_owned)
        .to_vec();
        for (option, value) in [("--listen", listen.to_string()), ("--control", control.to_string())] {
            words.extend([option.to_owned(), value]);
        }
        words.extend(["--data".to_owned(), data.path().join("venue").display().to_string()]);
        set.iter().for_each(|pair| words.extend(["--set".to_owned(), (*pair).to_owned()]));
        let cli = crate::cli::Cli::try_parse_from(words).expect("options");
        // It ends with the process of the test.
        std::thread::spawn(move || crate::carry_out(&cli));
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(listen).is_err() {
            assert!(Instant::now() < end, "the venue does not begin");
            std::thread::sleep(ms(5));
        }
        let mut settings = Settings::production(vec![btc()]);
        settings.rest = format!("http://{listen}/exchange/v1/");
        settings.user = format!("ws://{listen}/exchange/v1/user");
        settings.market = format!("ws://{listen}/exchange/v1/market");
        settings.deadline = ms(1_000);
        settings.warm_every = ms(200);
        settings.read_retry = ms(5);
        settings.nonce_window = ms(600);
        settings.absence_margin = ms(150);
        settings.record_look = ms(3);
        settings.lookup_overlap = ms(600);
        settings.trades_overlap = ms(6_000);
        settings.trades_lag = ms(50);
        settings.connect_pause = ms(10);
        settings.reconnect_min = ms(10);
        settings.reconnect_max = ms(320);
        settings.restart_pause = ms(100);
        settings.backoff_min = ms(10);
        settings.backoff_max = ms(320);
        settings.rate_speed = 100;
        let (sender, heard) = sync_channel(4_096);
        let wire = Wire::start(settings, signer(), &[], outlet::<Heard>(sender)).expect("threads");
        let trade = Trade { control, wire, heard, _data: data };
        trade.next(|heard| (*heard == Heard::Connected(Socket::User)).then_some(()));
        trade.price("60000.00", "60000.10");
        trade
    }

    fn control(&self, path: &str, body: &Value) {
        control(self.control, "POST", path, body);
    }

    fn price(&self, bid: &str, ask: &str) {
        self.control(
            "/price",
            &json!({"instrument": "BTC_USDT", "bid": bid, "ask": ask, "bid_quantity": "5", "ask_quantity": "5",
                    "last": bid}),
        );
    }

    fn fault(&self, method: &str, act: &Value) {
        self.control("/faults", &json!({"when": {"method": method}, "act": act, "times": 1}));
    }

    fn ask(&self, ask: Ask) {
        self.wire.ask(ask).expect("room");
    }

    fn place(&self, n: u64, side: Side, kind: OrderKind) {
        let quantity = "0.01".parse().unwrap();
        self.ask(Ask::Place { client: client(n), instrument: btc(), side, kind, quantity });
    }

    fn next<T>(&self, about: impl Fn(&Heard) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut passed = Vec::new();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.heard.recv_timeout(left) {
                Ok(heard) => {
                    if let Some(found) = about(&heard) {
                        return found;
                    }
                    if !matches!(heard, Heard::Quote(_)) {
                        passed.push(heard);
                    }
                }
                Err(_) => panic!("not heard in time; passed over: {passed:#?}"),
            }
        }
    }

    /// The next thing said about an order that this accepts.
    fn said<T>(&self, n: u64, about: impl Fn(&Said) -> Option<T>) -> T {
        self.next(|heard| match heard {
            Heard::Report { client: who, said, .. } if *who == client(n) => about(said),
            _ => None,
        })
    }

    fn row(&self, n: u64, status: RowStatus) -> crate::wire::NamedRow {
        self.said(n, |said| match said {
            Said::Row(row) if row.row.status == status => Some(*row),
            _ => None,
        })
    }

    fn look_up(&self, n: u64, intended: aegis_model::Timestamp, side: Side, advanced: bool) -> Found {
        self.ask(Ask::LookUp(LookUp {
            token: n,
            client: client(n),
            intended,
            earliest: intended,
            venue_order: None,
            released: None,
            instrument: btc(),
            side,
            advanced,
        }));
        self.next(|heard| match heard {
            Heard::LookedUp { token, found, .. } if *token == n => Some(found.clone()),
            _ => None,
        })
    }

    fn snapshot(&self) -> Snapshot {
        let trades_from = crate::wire::clock::now().after(-60_000_000_000);
        self.ask(Ask::Snapshot { number: 1, scope: Scope::Full, trades_from, ours: Vec::new() });
        self.next(|heard| match heard {
            Heard::Snapshot(snapshot) => Some((**snapshot).clone()),
            _ => None,
        })
    }
}

fn limit(price: &str) -> OrderKind {
    OrderKind::Limit { price: price.parse().unwrap(), time_in_force: TimeInForce::GoodTillCancel }
}

fn now() -> aegis_model::Timestamp {
    crate::wire::clock::now()
}

fn complete<T>(answer: &Answer<T>) -> &T {
    match answer {
        Answer::Complete(value) => value,
        Answer::Failed(why) | Answer::Unsettled(why) => panic!("{why}"),
        Answer::NotAsked => panic!("not asked"),
    }
}

#[test]
fn an_order_is_filled_and_every_read_agrees() {
    let trade = Trade::open(&[]);
    let intended = now();
    trade.place(1, Side::Buy, OrderKind::Market);
    let fill = trade.said(1, |said| match said {
        Said::Filled(fill) => Some(*fill),
        _ => None,
    });
    let Found::Present { row, trades } = trade.look_up(1, intended, Side::Buy, false) else { panic!() };
    assert_eq!((row.row.status, row.row.cumulative), (RowStatus::Filled, "0.01".parse().unwrap()));
    assert_eq!(trades.len(), 1);
    assert_eq!((trades[0].trade.trade, trades[0].fee), (fill.trade.trade, fill.fee));
    let snapshot = trade.snapshot();
    assert_eq!(complete(&snapshot.trades).len(), 1);
    let fee = fill.fee.expect("a fee");
    assert_eq!(fee.0.as_str(), "BTC");
    let held = "1.01".parse::<aegis_model::Quantity>().unwrap().minus(fee.1).unwrap();
    let balances = complete(&snapshot.balances);
    assert!(balances.iter().any(|b| b.asset.as_str() == "BTC" && b.total == held), "{balances:?}");
}

#[test]
fn a_lost_answer_is_unknown_and_the_order_is_found() {
    let trade = Trade::open(&[]);
    trade.fault("private/create-order", &json!({"drop_reply": {}}));
    let intended = now();
    trade.place(1, Side::Sell, limit("70000"));
    trade.said(1, |said| matches!(said, Said::Unknown { .. }).then_some(()));
    let found = trade.look_up(1, intended, Side::Sell, false);
    assert!(matches!(&found, Found::Present { row, .. } if row.row.status == RowStatus::Open), "{found:?}");
    // The same order again is refused as what it is.
    trade.place(1, Side::Sell, limit("70000"));
    trade.said(1, |said| matches!(said, Said::Rejected { class: RejectClass::Duplicate, .. }).then_some(()));
}

#[test]
fn a_lost_request_is_absent_early_and_late() {
    let trade = Trade::open(&[]);
    trade.fault("private/create-order", &json!({"drop_request": {}}));
    let intended = now();
    trade.place(1, Side::Sell, OrderKind::Market);
    trade.said(1, |said| matches!(said, Said::Unknown { .. }).then_some(()));
    let found = trade.look_up(1, intended, Side::Sell, false);
    let Found::Absent { late: false, checked: Some(checked) } = found else { panic!("{found:?}") };
    assert!(checked.trades.is_empty());
    let found = loop {
        let found = trade.look_up(1, intended, Side::Sell, false);
        if !matches!(found, Found::Absent { late: false, .. }) {
            break found;
        }
    };
    assert!(matches!(found, Found::Absent { late: true, checked: Some(_) }), "{found:?}");
    assert!(now().since(intended) > 750_000_000, "not before window and margin");
}

#[test]
fn a_cancel_is_confirmed_by_the_row_and_a_second_one_is_refused() {
    let trade = Trade::open(&[]);
    trade.place(1, Side::Buy, limit("50000"));
    trade.row(1, RowStatus::Open);
    let cancel = Ask::Cancel { client: client(1), venue_order: None, instrument: btc(), advanced: false };
    trade.ask(cancel.clone());
    trade.row(1, RowStatus::Cancelled);
    trade.ask(cancel);
    trade.said(1, |said| matches!(said, Said::CancelRefused { code: 212 }).then_some(()));
}

#[test]
fn an_order_beyond_the_balance_is_refused_with_its_class() {
    let trade = Trade::open(&[]);
    let quantity = "1.5".parse().unwrap();
    trade.ask(Ask::Place {
        client: client(1),
        instrument: btc(),
        side: Side::Sell,
        kind: OrderKind::Market,
        quantity,
    });
    let class = trade.said(1, |said| match said {
        Said::Rejected { class, code: 306, .. } => Some(*class),
        _ => None,
    });
    assert_eq!(class, RejectClass::InsufficientBalance);
}

#[test]
fn a_stop_fires_and_its_released_order_is_linked_in_both_manners() {
    for repeats in ["repeat_client_oid=true", "repeat_client_oid=false"] {
        let trade = Trade::open(&[repeats]);
        let intended = now();
        trade.place(1, Side::Sell, OrderKind::StopLoss { trigger: "59000".parse().unwrap() });
        let resting = trade.row(1, RowStatus::Open);
        assert_eq!(complete(&trade.snapshot().open_orders)[0].row.venue_order, resting.row.venue_order);
        trade.price("58990.00", "58990.10");
        let released = trade.said(1, |said| match said {
            Said::Triggered { released } => Some(*released),
            _ => None,
        });
        assert_ne!(released, resting.row.venue_order, "{repeats}");
        let Found::Present { row, trades } = trade.look_up(1, intended, Side::Sell, true) else { panic!() };
        assert_eq!(row.row.venue_order, resting.row.venue_order, "{repeats}");
        assert_eq!((row.row.released, row.row.status), (Some(released), RowStatus::Filled), "{repeats}");
        assert_eq!(trades.len(), 1, "{repeats}");
        let snapshot = trade.snapshot();
        assert_eq!(complete(&snapshot.trades)[0].trade.client, Some(client(1)), "{repeats}");
    }
}

#[test]
fn a_clock_that_runs_elsewhere_is_found_out() {
    for skew_ms in [5_000, -5_000] {
        let trade = Trade::open(&[]);
        trade.control("/clock", &json!({ "skew_ms": skew_ms }));
        let end = Instant::now() + PATIENCE;
        let mut n = 0;
        loop {
            n += 1;
            trade.price("60000.00", "60000.10");
            trade.place(n, Side::Buy, limit("50000"));
            let taken = trade.next(|heard| match heard {
                Heard::Queued { client: who, .. } if *who == client(n) => Some(true),
                Heard::Report { client: who, said: Said::Rejected { class, code, .. }, .. }
                    if *who == client(n) =>
                {
                    assert_eq!((*class, *code), (RejectClass::Later, 40_102));
                    Some(false)
                }
                _ => None,
            });
            if taken {
                break;
            }
            assert!(Instant::now() < end, "{skew_ms}: {:?}", trade.wire.clock());
        }
        let off = trade.wire.clock().used - skew_ms * 1_000_000;
        assert!(off.abs() < 1_000_000_000, "{skew_ms}: {off}");
        let answer = trade.snapshot();
        complete(&answer.balances);
    }
}

#[test]
fn sockets_live_through_heartbeats_and_mend_after_closes() {
    let trade = Trade::open(&[]);
    // Heartbeats every 300 ms, each due within 50 ms.
    let end = Instant::now() + ms(1_500);
    while let Ok(heard) = trade.heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
        assert!(!matches!(heard, Heard::Disconnected { .. }), "{heard:?}");
    }
    for code in [1013, 1006, 1000] {
        trade.control(
            "/faults",
            &json!({"when": {"channel": "user.*"}, "act": {"close": {"code": code}}, "times": 1}),
        );
        trade.place(code, Side::Buy, limit("50000"));
        trade.next(|heard| matches!(heard, Heard::Disconnected { which: Socket::User, .. }).then_some(()));
        trade.next(|heard| (*heard == Heard::Connected(Socket::User)).then_some(()));
        assert!(matches!(trade.look_up(code, now(), Side::Buy, false), Found::Present { .. }));
    }
}

#[test]
fn faults_of_every_read_are_told_as_failures_or_mended() {
    let trade = Trade::open(&[]);
    for act in [
        json!({"drop_reply": {}}),
        json!({"page": {"status": 502, "processed": false}}),
        json!({"strings": {}}),
    ] {
        trade.fault("private/get-trades", &act);
        trade.fault("private/user-balance", &act);
        complete(&trade.snapshot().balances);
    }
    let maintenance = json!({"on": true});
    trade.control("/maintenance", &maintenance);
    let snapshot = trade.snapshot();
    assert!(
        matches!(snapshot.balances, Answer::Failed(_)) && matches!(snapshot.open_orders, Answer::Failed(_))
    );
}
