//! raft-engine: TiKV's log of many Raft groups, here with one group. A unit is a log batch, a record is an entry.
//!
//! Entries have to be protobuf messages with an index and some bytes. Raft's own are in a crate of generated code that
//! is costly to build; this message of the protobuf library has fields of the same two types, and so the same bytes.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use protobuf::descriptor::UninterpretedOption;
use raft_engine::{Config, Engine, LogBatch, MessageExt, RecoveryMode};
use std::path::Path;

/// The one Raft group.
const GROUP: u64 = 1;
/// Entries read at once.
const CHUNK: u64 = 1024;

pub(crate) struct RaftEngine;

#[derive(Clone)]
struct Indexed;

impl MessageExt for Indexed {
    type Entry = UninterpretedOption;

    fn index(entry: &UninterpretedOption) -> u64 {
        entry.get_positive_int_value()
    }
}

struct Open {
    engine: Engine,
    batch: LogBatch,
    entries: Vec<UninterpretedOption>,
    index: u64,
    sync: Sync,
}

fn open(dir: &Path, recovery_mode: RecoveryMode) -> Done<Engine> {
    let dir = dir.join("raft-engine").to_str().ok_or("the directory's name is not UTF-8")?.to_owned();
    Ok(Engine::open(Config { dir, recovery_mode, ..Config::default() })?)
}

/// Opens it so that nothing damaged is tolerated.
pub(crate) fn strictly(_: &dyn Peer, dir: &Path, check: Check) -> Done<Check> {
    read(&open(dir, RecoveryMode::AbsoluteConsistency)?, check)
}

fn read(engine: &Engine, mut check: Check) -> Done<Check> {
    // Without any entry there is nothing to read, and nothing was said.
    let (Some(first), Some(last)) = (engine.first_index(GROUP), engine.last_index(GROUP)) else {
        return Ok(check);
    };
    let mut entries = Vec::new();
    for from in (first..last + 1).step_by(CHUNK as usize) {
        entries.clear();
        engine.fetch_entries_to::<Indexed>(GROUP, from, (last + 1).min(from + CHUNK), None, &mut entries)?;
        for entry in &entries {
            check.see(entry.get_string_value());
        }
    }
    Ok(check)
}

impl Peer for RaftEngine {
    fn facts(&self) -> Facts {
        Facts {
            name: "raft-engine",
            title: "raft-engine",
            package: Some("raft-engine"),
            checks: "CRC-32 a batch",
            unsynced: "yes: a prefix",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let mut open = Open {
            engine: open(place.dir, Config::default().recovery_mode)?,
            batch: LogBatch::default(),
            entries: Vec::new(),
            index: 0,
            sync,
        };
        work(&mut open)?;
        open.engine.sync()?;
        Ok(())
    }

    fn replay(&self, dir: &Path, check: Check) -> Done<Check> {
        read(&open(dir, Config::default().recovery_mode)?, check)
    }
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        self.entries.clear();
        for record in unit {
            self.index += 1;
            let mut entry = UninterpretedOption::new();
            entry.set_positive_int_value(self.index);
            entry.set_string_value(record.payload.to_vec());
            self.entries.push(entry);
        }
        self.batch.add_entries::<Indexed>(GROUP, &self.entries)?;
        self.engine.write(&mut self.batch, self.sync == Sync::Each)?;
        Ok(())
    }
}
