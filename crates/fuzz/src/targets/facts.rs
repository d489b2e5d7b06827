//! Bodies of records and saved states of engine and exchange.

use crate::Target;
use aegis_model::ids::Actor;
use aegis_model::wire::DecodeError;
use aegis_model::{Event, Fact, Lsn, Timestamp};
use aegis_paper::{VenueEvent, VenueFact};

/// Every kind of record, spelled once for ever.
const GOLDEN: &str = include_str!("../../../model/src/event/golden.tsv");

/// Kind and body of each golden line.
fn golden() -> impl Iterator<Item = (u16, Vec<u8>)> {
    GOLDEN.lines().map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        let bytes = (0..cells[2].len() / 2)
            .map(|at| u8::from_str_radix(&cells[2][at * 2..at * 2 + 2], 16).expect("hexadecimal"))
            .collect();
        (cells[0].parse().expect("a kind"), bytes)
    })
}

fn event(fact: Fact) -> Event {
    Event {
        at: Timestamp(1_700_000_000_000_000_000),
        actor: Actor::from_number(1).expect("one"),
        cause: Lsn::NONE,
        fact,
    }
}

/// The target for bodies: whose it is, kind and version, then the body.
pub(crate) struct Payload;

impl Payload {
    pub(crate) fn new() -> Payload {
        Payload
    }
}

impl Target for Payload {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let of = |whose: u8| {
            golden().map(move |(kind, body)| [&[whose][..], &kind.to_le_bytes(), &[1], &body].concat())
        };
        of(0).chain(of(1)).collect()
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [whose, low, high, version, body @ ..] = input else { return 0 };
        let kind = u16::from_le_bytes([*low, *high]);
        let mut again = Vec::with_capacity(body.len());
        let read = if whose % 2 == 0 {
            let read = Fact::decode_body(kind, *version, body);
            if let Ok(fact) = read {
                fact.encode_body(&mut again);
                let mut state = aegis_projection::State::default();
                state.apply(&event(fact));
                true
            } else {
                false
            }
        } else if let Ok(fact) = VenueFact::decode_body(kind, *version, body) {
            fact.encode_body(&mut again);
            let mut state = aegis_paper::State::default();
            let at = Timestamp(1_700_000_000_000_000_000);
            state.apply(&VenueEvent {
                at,
                actor: Actor::from_number(1).expect("one"),
                cause: Lsn::NONE,
                fact,
            });
            true
        } else {
            false
        };
        assert!(!read || again == body, "kind {kind} is spelled in two ways");
        u64::from(*whose % 2) | u64::from(read) << 1 | if read { u64::from(kind) << 8 } else { 0 }
    }
}

/// The target for states: whose it is, then the state.
pub(crate) struct Saved;

impl Saved {
    pub(crate) fn new() -> Saved {
        Saved
    }
}

/// Reads a state and saves it again.
fn load(whose: u8, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if whose.is_multiple_of(2) {
        aegis_projection::State::load(bytes).map(|state| state.save())
    } else {
        aegis_paper::State::load(bytes).map(|state| state.save())
    }
}

impl Target for Saved {
    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut engine = aegis_projection::State::default();
        let mut seeds = vec![
            [&[0][..], &engine.save()].concat(),
            [&[1][..], &aegis_paper::State::default().save()].concat(),
        ];
        for (kind, body) in golden() {
            engine.apply(&event(Fact::decode_body(kind, 1, &body).expect("golden")));
            seeds.push([&[0][..], &engine.save()].concat());
        }
        seeds
    }

    fn run(&mut self, input: &[u8]) -> u64 {
        let [whose, bytes @ ..] = input else { return 0 };
        let again = load(*whose, bytes);
        match again {
            Ok(again) => {
                let twice = load(*whose, &again).expect("what was saved is a state");
                assert!(twice == again, "a state is not what was saved");
                1 + u64::from(whose % 2) + (u64::from(again == *bytes) << 2)
            }
            Err(error) => 8 + u64::from(whose % 2) + ((error.to_string().len() as u64) << 4),
        }
    }
}
