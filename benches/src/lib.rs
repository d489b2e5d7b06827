//! What the benches share: a lawful mix of real events, a size that depends on how they are called, and rows.
//!
//! The mix is 60 % stop adjustments, 25 % order life, 10 % fills, 5 % balances, over 64 instruments.

use aegis_model::event::{
    AssetNamed, BalanceRecorded, Fee, FillBooked, FillSource, InstrumentListed, JournalCreated,
    OrderAcknowledged, OrderEnded, OrderIntended, Started, StopArmed, StopMoved,
};
use aegis_model::market::Instrument;
use aegis_model::protection::{Distance, ExitReason, Plan, StopCause, StopRule};
use aegis_model::{
    Actor, AssetId, Event, Fact, Fixed, InstrumentId, Label, Lsn, Mode, Money, OrderEnd, OrderId, OrderKind,
    Price, Purpose, Quantity, Rate, Side, Timestamp, TradeId, VenueOrderId,
};
use std::time::{Duration, Instant};

pub mod allocations;
pub mod bare;
pub mod child;
pub mod clock;
pub mod fill;
pub mod held;
pub mod report;

/// Instruments of the mix.
pub const INSTRUMENTS: u32 = 64;
/// Events of one order cycle: the mix in small.
pub const CYCLE: u64 = 20;

/// The size to run: full under `cargo bench`, smoke under `cargo test`; `AEGIS_BENCH_COUNT` replaces the larger
/// smoke sizes, for profilers.
pub fn size(full: u64, smoke: u64) -> u64 {
    let wished = std::env::var("AEGIS_BENCH_COUNT").ok().and_then(|n| n.parse().ok());
    if is_full() { full } else { wished.filter(|_| smoke >= 10_000).unwrap_or(smoke) }
}

/// Whether this is `cargo bench`.
pub fn is_full() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// Prints a row: what, nanoseconds each, per second.
pub fn row(what: &str, count: u64, took: Duration) {
    let ns = took.as_nanos() as f64 / count as f64;
    println!("{what:<52} {ns:>10.1} ns  {:>12.0} /s   n={count}", 1e9 / ns);
}

/// The median of repetitions of a measurement.
pub fn median(repetitions: usize, mut run: impl FnMut() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..repetitions).map(|_| run()).collect();
    all.sort_unstable();
    all[all.len() / 2]
}

/// How long a call takes.
pub fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let value = run();
    (start.elapsed(), value)
}

fn event(at: i64, fact: impl Into<Fact>) -> Event {
    Event { at: Timestamp(at), actor: Actor::Engine, cause: Lsn::NONE, fact: fact.into() }
}

/// The plan of every position of the mix.
pub fn plan() -> Plan {
    Plan {
        initial: Distance::Relative(Rate::new(2, 2)),
        rule: StopRule::Trailing {
            distance: Distance::Relative(Rate::new(15, 3)),
            from_start: true,
            stages: Vec::new(),
        },
        atr: None,
        take_profit: None,
        hold_ns: None,
    }
}

/// The events that come before the mix: identity, assets, instruments, protection.
pub fn prelude() -> Vec<Event> {
    let mut events = vec![
        event(0, JournalCreated { mode: Mode::Paper, installation: 1, quote: Label::literal("USDT") }),
        event(0, Started { run: 1, version: Label::literal("bench"), config_digest: [0; 32], seed: Some(1) }),
        event(0, AssetNamed { asset: AssetId(0), name: Label::literal("USDT") }),
    ];
    for n in 0..INSTRUMENTS {
        let base = AssetId(n as u16 + 1);
        events.push(event(0, AssetNamed { asset: base, name: Label::lossy(&format!("C{n}")) }));
        let spec = Instrument {
            name: Label::lossy(&format!("C{n}_USDT")),
            base,
            quote: AssetId(0),
            price_tick: Price::new(1, 2),
            quantity_tick: Quantity::new(1, 5),
            minimum_notional: Money::ZERO,
            tradable: true,
        };
        events.push(event(0, InstrumentListed { instrument: InstrumentId(n), spec }));
        events.push(event(
            0,
            StopArmed {
                instrument: InstrumentId(n),
                cycle: 1,
                plan: plan(),
                stop: Price::new(49_000, 0),
                take_profit: None,
                time_exit: None,
                mark: Price::new(50_000, 0),
                quantity: Quantity::new(1, 3),
            },
        ));
    }
    events
}

/// The nth event of the mix, from 0.
pub fn mixed(n: u64) -> Event {
    let (cycle, step) = (n / CYCLE, n % CYCLE);
    let instrument = InstrumentId((cycle % u64::from(INSTRUMENTS)) as u32);
    let at = 1_000_000_000 + n as i64 * 20_000_000_000;
    let order = |sell: u64| OrderId(cycle * 2 + 1 + sell);
    let price = Price(Fixed::new(5_000_000 + (n % 10_007) as i64 * 13, 2));
    let quantity = Quantity::new(1, 3);
    let intended = |side, sell, purpose| OrderIntended {
        order: order(sell),
        run: 1,
        instrument,
        side,
        kind: OrderKind::Limit { price, time_in_force: aegis_model::TimeInForce::ImmediateOrCancel },
        quantity,
        purpose,
        valid_until: Timestamp(at + 30),
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: price,
    };
    let filled = |side, sell| FillBooked {
        instrument,
        trade: TradeId(Label::lossy(&format!("46116860184{:08}", cycle * 2 + sell))),
        order: order(sell),
        venue_order: None,
        side,
        price,
        quantity,
        fee: Some(Fee { asset: AssetId(0), amount: Quantity::new(12, 3) }),
        executed: Timestamp(at),
        source: FillSource::Report,
    };
    let ended = |sell| OrderEnded { order: order(sell), end: OrderEnd::Filled, cumulative: Some(quantity) };
    match step {
        0 => event(at, intended(Side::Buy, 0, Purpose::Entry)),
        1 => event(
            at,
            OrderAcknowledged {
                order: order(0),
                venue_order: VenueOrderId(Label::lossy(&format!("6530219{:09}", cycle))),
            },
        ),
        2 => event(at, filled(Side::Buy, 0)),
        3 => event(at, ended(0)),
        16 => event(at, intended(Side::Sell, 1, Purpose::Exit { reason: ExitReason::Stop, others: 0 })),
        17 => event(at, filled(Side::Sell, 1)),
        18 => event(at, ended(1)),
        19 => event(
            at,
            BalanceRecorded {
                snapshot: cycle + 1,
                asset: AssetId(0),
                total: Quantity(Fixed::new(1_000_000 + n as i64, 4)),
                reserved: Quantity::ZERO,
                requested: Timestamp(at),
            },
        ),
        _ => event(
            at,
            StopMoved {
                instrument,
                why: StopCause::MarkRaised,
                stop: price,
                mark: price,
                quantity,
                stages_reached: 0,
                take_profit: None,
            },
        ),
    }
}

/// Encoded events ready to be appended one by one.
pub struct Encoded {
    /// Heads with the end of each payload.
    pub heads: Vec<(aegis_model::RecordHead, usize)>,
    /// Payloads, one behind the other.
    pub payloads: Vec<u8>,
}

impl Encoded {
    /// Encodes events.
    pub fn of(events: &[Event]) -> Encoded {
        let mut encoded = Encoded { heads: Vec::with_capacity(events.len()), payloads: Vec::new() };
        for event in events {
            let head = event.encode(&mut encoded.payloads);
            encoded.heads.push((head, encoded.payloads.len()));
        }
        encoded
    }

    /// The records, borrowed.
    pub fn records(&self) -> impl Iterator<Item = aegis_journal::NewRecord<'_>> {
        let mut start = 0;
        self.heads.iter().map(move |(head, end)| {
            let payload = &self.payloads[start..*end];
            start = *end;
            aegis_journal::NewRecord {
                kind: head.kind,
                version: head.version,
                actor: head.actor,
                time_ns: head.time.0,
                cause: head.cause.0,
                payload,
            }
        })
    }
}

/// Identity of bench journals.
pub const IDENTITY: aegis_journal::Identity =
    aegis_journal::Identity { journal_id: [7; 16], schema: aegis_model::event::ENGINE_SCHEMA, mode: 1 };
