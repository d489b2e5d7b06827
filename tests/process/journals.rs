//! What the journals tell of a run: its trades, its closed positions, its orders, and what was seen of them while it
//! lived.

use aegis_forensics::Reading;
use aegis_journal::{DirReader, JournalReader};
use aegis_model::{Fact, Lsn, RecordHead, Timestamp};
use aegis_paper::{VenueEvent, VenueFact};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What must not depend on whether the process was killed.
#[derive(Default)]
pub(crate) struct Story {
    /// Closed positions, in words.
    pub(crate) closed: Vec<String>,
    /// Booked fills, in words, in the order they were booked.
    pub(crate) fills: Vec<String>,
    /// What the exchange holds at the end: asset and total.
    pub(crate) balances: BTreeMap<String, String>,
    /// Client order ids in the engine's intents.
    intended: BTreeSet<String>,
    /// Client order ids that the exchange accepted, in order.
    accepted: Vec<String>,
    /// Requests that the exchange refused, in words.
    refused: Vec<String>,
    /// Trades of the exchange.
    trades: usize,
    /// Records of the engine's journal.
    pub(crate) records: u64,
}

impl Story {
    /// Reads both journals of an act.
    pub(crate) fn read(act: &Path) -> Story {
        let mut story = Story::default();
        let path = act.join("engine");
        let mut reading = Reading::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        while let Some(point) = reading.next_point().unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
            match &point.event.fact {
                Fact::PositionClosed(closed) => story.closed.push(format!(
                    "{} cycle {} opened {} closed {} bought {} for {} sold {} for {} realised {}",
                    closed.instrument.0,
                    closed.cycle,
                    closed.opened.0,
                    closed.closed.0,
                    closed.bought,
                    closed.buy_value,
                    closed.sold,
                    closed.sell_value,
                    closed.realised
                )),
                Fact::FillBooked(fill) => story.fills.push(format!(
                    "trade {:?} {} {} {} at {} fee {:?} executed {}",
                    fill.trade,
                    fill.instrument.0,
                    fill.side,
                    fill.quantity,
                    fill.price,
                    fill.fee,
                    fill.executed.0
                )),
                Fact::OrderIntended(order) => {
                    let installation = reading.state.journal.installation;
                    story.intended.insert(order.client_id(installation).to_string());
                }
                _ => {}
            }
        }
        story.records = reading.state.lsn.0;
        story.read_venue(&act.join("venue"));
        story
    }

    fn read_venue(&mut self, path: &Path) {
        let mut venue = aegis_paper::Venue::new(aegis_paper::Settings::default());
        let reader = DirReader::new(path).expect("the exchange's journal");
        aegis_node::read(&mut venue, aegis_model::event::VENUE_SCHEMA, reader)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for holding in venue.state().holdings().filter(|h| !h.total.is_zero()) {
            self.balances.insert(holding.name.to_string(), holding.total.to_string());
        }
        let mut reader = JournalReader::open_dir(path).expect("the exchange's journal");
        while let Some(record) = reader.next().expect("an intact record") {
            let head = RecordHead {
                kind: record.kind,
                version: record.version,
                actor: record.actor,
                time: Timestamp(record.time_ns),
                cause: Lsn(record.cause),
            };
            let event = VenueEvent::decode(head, record.payload).expect("a record of this version");
            match event.fact {
                VenueFact::OrderAccepted(order) => {
                    self.accepted.push(order.client.map_or("made by hand".to_owned(), |c| c.to_string()));
                }
                VenueFact::OrderTraded(_) => self.trades += 1,
                VenueFact::OrderRejected(order) => {
                    self.refused.push(format!("{:?} {}", order.client, order.text))
                }
                VenueFact::RequestRefused(r) => self.refused.push(format!("{:?} {}", r.client, r.text)),
                _ => {}
            }
        }
    }

    /// The engine and the exchange agree about every order and trade, and none was sent twice.
    pub(crate) fn agrees(&self, whose: &str) {
        let mut seen = BTreeSet::new();
        for id in &self.accepted {
            assert!(
                self.intended.contains(id),
                "{whose}: the exchange has order {id}, which no intent precedes"
            );
            assert!(seen.insert(id), "{whose}: the exchange accepted order {id} twice");
        }
        assert!(self.refused.is_empty(), "{whose}: the exchange refused {:?}", self.refused);
        assert_eq!(
            self.fills.len(),
            self.trades,
            "{whose}: fills booked (left) and trades of the exchange (right)"
        );
    }

    /// Trade by trade, position by position, balance by balance.
    pub(crate) fn equals(&self, calm: &Story, whose: &str) {
        same(&calm.fills, &self.fills, &format!("{whose}: fills"));
        same(&calm.closed, &self.closed, &format!("{whose}: closed positions"));
        assert_eq!(calm.balances, self.balances, "{whose}: balances never killed (left) and killed (right)");
        assert_eq!(
            calm.accepted.len(),
            self.accepted.len(),
            "{whose}: orders never killed (left) and killed (right)"
        );
    }
}

fn same(calm: &[String], killed: &[String], what: &str) {
    let differs = calm.iter().zip(killed).position(|(a, b)| a != b);
    let at = differs.unwrap_or_else(|| calm.len().min(killed.len()));
    assert!(
        calm == killed,
        "{what}: {} never killed, {} killed; the first difference is number {}:\n  never killed: {:?}\n  killed:       {:?}",
        calm.len(),
        killed.len(),
        at + 1,
        calm.get(at),
        killed.get(at)
    );
}

/// Every record of a journal that was shown as durable, by number.
#[derive(Default)]
pub(crate) struct Seen {
    checks: Vec<blake3::Hash>,
}

impl Seen {
    /// The last number seen.
    pub(crate) fn last(&self) -> u64 {
        self.checks.len() as u64
    }

    /// Reads on; whatever was seen before must still stand there, or it was lost. None when there is no journal yet.
    pub(crate) fn look(&mut self, journal: &Path, from: u64, when: &str) -> Option<u64> {
        let mut reader = JournalReader::open_dir(journal).ok()?.durable_only(true);
        reader.seek(from.max(1)).ok()?;
        let mut last = from.saturating_sub(1);
        while let Some(record) =
            reader.next().unwrap_or_else(|e| panic!("{when}: {} is damaged: {e}", journal.display()))
        {
            last = record.lsn;
            let mut hasher = blake3::Hasher::new();
            hasher.update(&record.time_ns.to_le_bytes());
            hasher.update(&[record.version, record.actor, u8::from(record.batch_end)]);
            hasher.update(&record.kind.to_le_bytes());
            hasher.update(record.payload);
            let check = hasher.finalize();
            match self.checks.get(record.lsn as usize - 1) {
                Some(before) => assert!(
                    *before == check,
                    "{when}: record {} of {} is another one than was shown as durable",
                    record.lsn,
                    journal.display()
                ),
                None => {
                    assert_eq!(record.lsn, self.last() + 1, "{when}: {} skips a record", journal.display());
                    self.checks.push(check);
                }
            }
        }
        Some(last)
    }

    /// After the process is gone: nothing that was shown as durable may be missing.
    pub(crate) fn is_kept(&mut self, journal: &Path, from: u64, when: &str) {
        let shown = self.last();
        let kept = self.look(journal, from, when).unwrap_or(0);
        assert!(
            kept >= shown,
            "{when}: {} kept {kept} records, but {shown} had been shown as durable: acknowledged records are lost",
            journal.display()
        );
    }
}
