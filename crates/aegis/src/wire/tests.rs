//! The connection against a scripted server on the loopback interface, at a hundredth of the exchange's times. The
//! server checks nothing; what it answers, tears or withholds is each test's to say.
#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about one thing and passes over the rest")]

mod clocks;
mod doctor;
mod lookups;
mod server;
mod snapshots;
mod sockets;
#[cfg(feature = "venue")]
mod venue;
mod writes;

use crate::wire::{Ask, Heard, Ours, Said, Settings, Wire, outlet};
use aegis_cryptocom::{Secret, Signer};
use aegis_model::{ClientOrderId, Label, OrderId, Side, VenueOrderId};
use serde_json::{Value, json};
use server::Server;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The exchange's times at a hundredth; deadlines with room for a busy machine.
fn settings(server: &Server) -> Settings {
    let mut settings = Settings::production(vec![Label::literal("BTC_USDT")]);
    settings.rest = format!("http://{}/exchange/v1/", server.address);
    settings.user = format!("ws://{}/exchange/v1/user", server.address);
    settings.market = format!("ws://{}/exchange/v1/market", server.address);
    settings.connect = ms(1_000);
    settings.deadline = ms(400);
    settings.read_retry = ms(5);
    settings.nonce_window = ms(600);
    settings.absence_margin = ms(150);
    settings.record_look = ms(3);
    settings.lookup_overlap = ms(600);
    settings.trades_overlap = ms(6_000);
    settings.trades_lag = ms(50);
    settings.connect_pause = ms(10);
    settings.login = ms(1_000);
    settings.watchdog = ms(2_000);
    settings.reconnect_min = ms(10);
    settings.reconnect_max = ms(320);
    settings.restart_pause = ms(100);
    settings.backoff_min = ms(10);
    settings.backoff_max = ms(320);
    settings.rate_speed = 100;
    settings.missed_every = ms(1);
    settings
}

fn signer() -> Signer {
    Signer::new("AEGISdemoKey0001", &Secret::new("cxakp_demo_SECRET_do_not_use".to_owned()))
}

/// A connection to a scripted server, with what is heard.
struct Bench {
    server: Server,
    wire: Wire,
    heard: Receiver<Heard>,
}

impl Bench {
    fn new() -> Bench {
        Bench::with(|_| (), &[])
    }

    fn with(change: impl FnOnce(&mut Settings), ours: &[Ours]) -> Bench {
        Bench::of(Server::start(), change, ours, 1_024)
    }

    fn of(server: Server, change: impl FnOnce(&mut Settings), ours: &[Ours], room: usize) -> Bench {
        let mut settings = settings(&server);
        change(&mut settings);
        let (sender, heard) = sync_channel(room);
        let wire = Wire::start(settings, signer(), ours, outlet::<Heard>(sender)).expect("threads");
        Bench { server, wire, heard }
    }

    fn ask(&self, ask: Ask) {
        self.wire.ask(ask).expect("room for an ask");
    }

    /// The next thing heard that the test is about.
    fn next<T>(&self, about: impl Fn(Heard) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let heard = self.heard.recv_timeout(left).expect("it is heard in time");
            if let Some(found) = about(heard) {
                return found;
            }
        }
    }

    /// The next report.
    fn report(&self) -> (ClientOrderId, Option<VenueOrderId>, Said) {
        self.next(|heard| match heard {
            Heard::Report { client, venue_order, said } => Some((client, venue_order, said)),
            Heard::Instruments(_)
            | Heard::Account(_)
            | Heard::Queued { .. }
            | Heard::LookedUp { .. }
            | Heard::Snapshot(_)
            | Heard::Quote(_)
            | Heard::Connected(_)
            | Heard::Disconnected { .. }
            | Heard::Missed(_)
            | Heard::Odd { .. }
            | Heard::AccessRefused { .. } => None,
        })
    }

    fn said(&self) -> Said {
        self.report().2
    }

    fn connected(&self, which: crate::wire::Socket) {
        self.next(|heard| (heard == Heard::Connected(which)).then_some(()));
    }
}

fn client(n: u64) -> ClientOrderId {
    ClientOrderId { installation: 0xae_915d_e300, run: 7, order: OrderId(n) }
}

fn id(text: &str) -> VenueOrderId {
    VenueOrderId(text.parse().expect("an id"))
}

fn btc() -> Label {
    Label::literal("BTC_USDT")
}

fn place(n: u64, side: Side) -> Ask {
    Ask::Place {
        client: client(n),
        instrument: btc(),
        side,
        kind: aegis_model::OrderKind::Market,
        quantity: "0.01".parse().expect("a quantity"),
    }
}

fn cancel(n: u64) -> Ask {
    Ask::Cancel { client: client(n), venue_order: None, instrument: btc(), advanced: false }
}

/// An order's row as the exchange shows it.
fn order(order_id: &str, client_oid: &str, status: &str, cumulative: &str) -> Value {
    let now = crate::wire::clock::now().0 / 1_000_000;
    json!({
        "account_id": "11111111-2222-4333-8444-555555555555", "order_id": order_id, "client_oid": client_oid,
        "order_type": "MARKET", "time_in_force": "GOOD_TILL_CANCEL", "side": "SELL", "exec_inst": [],
        "quantity": "0.01", "avg_price": "60000", "cumulative_quantity": cumulative,
        "cumulative_value": if cumulative == "0" { "0" } else { "600" }, "cumulative_fee": "0",
        "status": status, "instrument_name": "BTC_USDT", "fee_instrument_name": "USDT",
        "create_time": now, "update_time": now,
    })
}

/// A row of the advanced namespace.
fn trigger(order_id: &str, client_oid: &str, status: &str, released: Option<&str>) -> Value {
    let mut row = order(order_id, client_oid, status, "0");
    row["order_type"] = json!("STOP_LOSS");
    row["ref_price"] = json!("59000");
    row["ref_price_type"] = json!("MARK_PRICE");
    if let Some(released) = released {
        row["exchange_order_id"] = json!(released);
    }
    row
}

/// A trade's row.
fn trade(trade_id: &str, order_id: &str, client_oid: &str, quantity: &str) -> Value {
    let now = crate::wire::clock::now().0;
    json!({
        "account_id": "11111111-2222-4333-8444-555555555555", "event_date": "2025-10-09", "journal_type": "TRADING",
        "side": "SELL", "instrument_name": "BTC_USDT", "fees": "-0.6", "trade_id": trade_id,
        "trade_match_id": trade_id, "create_time": now / 1_000_000, "traded_price": "60000",
        "traded_quantity": quantity, "fee_instrument_name": "USDT", "client_oid": client_oid,
        "taker_side": "TAKER", "order_id": order_id, "create_time_ns": now.to_string(),
        "transact_time_ns": now.to_string(),
    })
}

/// A push of a channel.
fn push(channel: &str, rows: &[Value]) -> String {
    json!({"id": -1, "method": "subscribe", "code": 0,
           "result": {"channel": channel, "subscription": channel, "data": rows}})
    .to_string()
}

fn oid(n: u64) -> String {
    client(n).to_string()
}
