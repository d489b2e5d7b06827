//! The laws of replay on the real commit loop: random lives of an engine on a node, killed and opened again, have one
//! state however it is read back, and every prefix of whole batches is a legal one.

use super::support::*;
use aegis_journal::{MemStorage, Storage};
use aegis_model::event::{Direction, JournalCreated};
use aegis_model::ids::{Mode, SECOND};
use aegis_model::input::{ListedInstrument, Opened, SignalIn};
use aegis_model::market::{PricePath, Tick};
use aegis_model::{Command, Event, Fixed, Input, InstrumentId, Machine, Money, Price, Text, Timestamp};
use aegis_node::{Limits, Node};
use aegis_projection::State;
use aegis_tests::world::{BEGIN, Engine, FEED, NAMES, story_settings};
use aegis_tests::{Exchange, label, price, quantity, rate};
use proptest::prelude::*;
use std::collections::VecDeque;

/// Histories tried; more with `PROPTEST_CASES`, 10,000 in the long run.
const CASES: u32 = 48;
const LIMITS: Limits = Limits { unsynced_max: 16, checkpoint_records: 60 };

/// A step of a life.
#[derive(Clone, Debug)]
enum Act {
    Tick {
        instrument: u32,
        basis_points: i64,
    },
    Signal {
        instrument: u32,
        up: bool,
    },
    Buy {
        instrument: u32,
    },
    Close {
        instrument: u32,
    },
    Halt,
    Enable,
    Flatten,
    Wait {
        seconds: i64,
    },
    Checkpoint,
    /// `kill -9`, and a new process.
    Kill,
    /// A clean end, and a new process.
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let instrument = 0..2u32;
    let act = prop_oneof![
        10 => (instrument.clone(), -250..250i64)
            .prop_map(|(instrument, basis_points)| Act::Tick { instrument, basis_points }),
        3 => (instrument.clone(), any::<bool>()).prop_map(|(instrument, up)| Act::Signal { instrument, up }),
        3 => instrument.clone().prop_map(|instrument| Act::Buy { instrument }),
        2 => instrument.prop_map(|instrument| Act::Close { instrument }),
        1 => Just(Act::Halt),
        2 => Just(Act::Enable),
        1 => Just(Act::Flatten),
        2 => (1..400i64).prop_map(|seconds| Act::Wait { seconds }),
        1 => Just(Act::Checkpoint),
        2 => Just(Act::Kill),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..80)
}

fn listed() -> Vec<ListedInstrument> {
    let facts = [("BTC", "0.01", "0.00000001"), ("ETH", "0.01", "0.0001")];
    let listed = facts.iter().map(|(base, price_tick, quantity_tick)| ListedInstrument {
        name: label(&format!("{base}_USDT")),
        base: label(base),
        quote: label("USDT"),
        price_tick: price(price_tick),
        quantity_tick: quantity(quantity_tick),
        minimum_notional: Money::ZERO,
        tradable: true,
    });
    listed.collect()
}

/// An engine on its node, an exchange, and the time.
struct Life {
    node: Option<Node<Engine, MemStorage>>,
    disk: MemStorage,
    exchange: Exchange,
    now: Timestamp,
    prices: [Price; 2],
    cursor: u64,
    positions: u64,
    openings: u32,
    replayed: u64,
    loaded: u64,
}

impl Life {
    fn begin() -> Life {
        let mut exchange = Exchange {
            instruments: listed().iter().map(|i| (i.base, i.quote)).collect(),
            asset_ids: ["USDT", "BTC", "ETH"].iter().map(|a| label(a)).collect(),
            fee: rate("0.0025"),
            ..Exchange::default()
        };
        exchange.set_total("USDT", "100000");
        let disk = MemStorage::new();
        let engine = Engine::new(story_settings());
        let node = Node::create(engine, disk.clone(), IDENTITY, CONFIG, LIMITS).expect("an empty disk");
        let mut life = Life {
            node: Some(node),
            disk,
            exchange,
            now: BEGIN,
            prices: [price("50000"), price("3000")],
            cursor: 0,
            positions: 0,
            openings: 0,
            replayed: 0,
            loaded: 0,
        };
        life.opened(true);
        life
    }

    fn node(&mut self) -> &mut Node<Engine, MemStorage> {
        self.node.as_mut().expect("a running process")
    }

    fn opened(&mut self, new: bool) {
        self.openings += 1;
        let created = new.then(|| JournalCreated {
            mode: Mode::Paper,
            installation: 0xa1_b2c3_d4e5,
            quote: label("USDT"),
        });
        self.give(Input::Opened(Opened {
            created,
            run: self.openings,
            version: label("test"),
            config_digest: [0; 32],
            seed: Some(1),
            settings: Vec::new(),
            gap: None,
        }));
        self.give(Input::Instruments(listed()));
    }

    /// One input and everything that comes of it.
    fn give(&mut self, input: Input) {
        let mut queue = VecDeque::from([input]);
        let mut steps = 0;
        while let Some(input) = queue.pop_front() {
            let now = self.now;
            let effects = self.node().step(now, &[input]).expect("a good disk");
            for effect in &effects {
                queue.extend(self.exchange.carry_out(effect, now));
            }
            steps += 1;
            assert!(steps < 10_000, "a life comes to rest");
        }
    }

    fn tick(&mut self, at: usize) {
        self.cursor += 1;
        self.now = self.now.after(SECOND);
        let instrument = InstrumentId(u32::try_from(at).expect("two"));
        self.exchange.prices.insert(instrument, self.prices[at]);
        self.give(Input::Tick(Tick {
            feed: FEED,
            cursor: self.cursor,
            instrument,
            at: self.now,
            bid: None,
            ask: None,
            last: Some(self.prices[at]),
            bid_quantity: None,
            ask_quantity: None,
            path: PricePath::Jump,
        }));
    }

    fn command(&mut self, command: Command) {
        self.give(Input::Command { by: label("alice"), command });
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Tick { instrument, basis_points } => {
                let at = instrument as usize;
                let cents =
                    self.prices[at].0.units() / 10_i128.pow(16) * i128::from(10_000 + basis_points) / 10_000;
                self.prices[at] = price(&format!("{}.{:02}", cents / 100, cents % 100));
                self.tick(at);
            }
            Act::Signal { instrument, up } => {
                self.positions += 1;
                let signal = SignalIn {
                    source: label("oracle"),
                    position: self.positions,
                    instrument: label(NAMES[instrument as usize]),
                    direction: if up { Direction::Up } else { Direction::Down },
                    confidence: rate("0.9"),
                    at: self.now,
                    horizon_ns: 3600 * SECOND,
                };
                self.give(Input::Signal(signal));
            }
            Act::Buy { instrument } => {
                let instrument = label(NAMES[instrument as usize]);
                self.command(Command::Open { instrument, quantity: quantity("0.013"), stop: None });
            }
            Act::Close { instrument } => {
                self.command(Command::Close { instrument: label(NAMES[instrument as usize]) })
            }
            Act::Halt => self.command(Command::Halt { reason: Text::new("test") }),
            Act::Enable => self.command(Command::Enable),
            Act::Flatten => self.command(Command::Flatten),
            Act::Wait { seconds } => {
                self.now = self.now.after(seconds * SECOND);
                self.give(Input::Clock);
            }
            Act::Checkpoint => self.node().checkpoint().expect("a good disk"),
            Act::Kill => self.again(true),
            Act::Restart => self.again(false),
        }
    }

    /// The end of this process and the start of the next: what it knew is what is read back.
    fn again(&mut self, killed: bool) {
        let digest = self.node().machine().digest();
        let node = self.node.take().expect("a running process");
        if killed {
            self.disk = self.disk.kill();
            drop(node);
        } else {
            node.close().expect("a good disk");
        }
        let engine = Engine::new(story_settings());
        let (node, report) =
            Node::open(engine, self.disk.clone(), EXPECT, CONFIG, LIMITS).expect("a whole journal");
        assert_eq!(node.machine().digest(), digest, "checkpoint and tail against live");
        assert!(report.skipped.is_empty(), "{:?}", report.skipped);
        self.replayed += report.replayed;
        self.loaded += u64::from(report.checkpoint.is_some());
        self.node = Some(node);
        self.opened(false);
    }
}

/// What must hold of any prefix of whole batches.
fn check_legal(state: &State, taker_fee: aegis_model::Rate) {
    let (left, right) = state.conservation().expect("in range");
    assert_eq!(left, right, "conservation at {}", state.lsn);
    for (at, instrument) in state.instruments.iter().enumerate() {
        let id = InstrumentId(u32::try_from(at).expect("few"));
        assert!(instrument.held().0 >= Fixed::ZERO, "held at {}", state.lsn);
        if !instrument.is_open() {
            continue;
        }
        let covered = instrument.protection.as_ref().map(|p| p.quantity);
        let alarmed = state
            .alarms
            .keys()
            .any(|(kind, about)| *kind == aegis_model::event::AlarmKind::Unprotected && *about == Some(id));
        assert!(
            covered == Some(state.sellable(id, taker_fee)) || alarmed || instrument.exit_wanted.is_some(),
            "{} holds {} with cover {covered:?} at {}",
            instrument.spec.name,
            instrument.held(),
            state.lsn
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES)
    ) })]

    #[test]
    fn live_equals_replay_and_checkpoint_plus_tail(acts in acts()) {
        let mut life = Life::begin();
        life.tick(0);
        life.tick(1);
        for act in &acts {
            life.act(act);
        }
        let live = life.node().machine().digest();
        life.node().flush().expect("a good disk");

        // A full replay, beside the live writer.
        let mut replayed = Engine::new(story_settings());
        let count = aegis_node::read(&mut replayed, IDENTITY.schema, life.disk.reader()).expect("no damage");
        prop_assert_eq!(replayed.digest(), live);

        // Batch by batch: every prefix is legal, and the whole is the live state.
        let records = read(&life.disk);
        prop_assert_eq!(records.len() as u64, count);
        let mut state = State::default();
        for record in &records {
            state.apply(&Event::decode(record.head, &record.payload).expect("an event"));
            if record.batch_end {
                check_legal(&state, story_settings().taker_fee);
            }
        }
        prop_assert_eq!(state.digest(), live);

        // Checkpoint and tail, after a kill and after a clean end; without any checkpoint, the same.
        life.again(true);
        life.again(false);
        let live = life.node().machine().digest();
        drop(life.node.take());
        let disk = life.disk.kill();
        for name in disk.names().iter().filter(|n| !n.ends_with(".seg")) {
            disk.remove_file(name);
        }
        let engine = Engine::new(story_settings());
        let (node, report) = Node::open(engine, disk, EXPECT, CONFIG, LIMITS).expect("a whole journal");
        prop_assert_eq!(report.checkpoint, None);
        prop_assert_eq!(node.machine().digest(), live);
        prop_assert!(life.loaded > 0, "a clean end leaves a checkpoint");
    }
}
