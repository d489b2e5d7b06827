//! okaywal: a write-ahead log for other stores. A unit is an entry, a record is a chunk; every commit syncs.
//!
//! Its files are meant to be emptied by a checkpoint every 768 KiB. Here the log is the store, so one file is made as
//! large as the run needs, and nothing is ever checkpointed.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use okaywal::{Configuration, Entry, EntryId, LogManager, ReadChunkResult, SegmentReader, WriteAheadLog};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(crate) struct Okaywal;

struct Open(WriteAheadLog);

/// Shows what is recovered to the check; without one, there must be nothing.
#[derive(Debug)]
struct Recovering {
    check: Arc<Mutex<Option<Check>>>,
    payload: Vec<u8>,
}

impl LogManager for Recovering {
    fn recover(&mut self, entry: &mut Entry<'_>) -> io::Result<()> {
        let mut check = self.check.lock().expect("nobody panics with it");
        let check = check.as_mut().ok_or_else(|| io::Error::other("a new log has entries"))?;
        loop {
            match entry.read_chunk()? {
                ReadChunkResult::Chunk(mut chunk) => {
                    self.payload.clear();
                    chunk.read_to_end(&mut self.payload)?;
                    if !chunk.check_crc()? {
                        return Err(io::Error::other("a chunk does not verify"));
                    }
                    check.see(&self.payload);
                }
                ReadChunkResult::EndOfEntry => return Ok(()),
                ReadChunkResult::AbortedEntry => return Err(io::Error::other("an aborted entry")),
            }
        }
    }

    fn checkpoint_to(&mut self, _: EntryId, _: &mut SegmentReader, _: &WriteAheadLog) -> io::Result<()> {
        Err(io::Error::other("nothing is to be checkpointed"))
    }
}

fn open(dir: &Path, bytes: u64, check: Option<Check>) -> Done<(WriteAheadLog, Arc<Mutex<Option<Check>>>)> {
    let check = Arc::new(Mutex::new(check));
    let log = Configuration::default_for(dir.join("okaywal"))
        .preallocate_bytes(u32::try_from(bytes)?)
        .checkpoint_after_bytes(u64::MAX)
        .open(Recovering { check: check.clone(), payload: Vec::new() })?;
    Ok((log, check))
}

impl Peer for Okaywal {
    fn facts(&self) -> Facts {
        Facts {
            name: "okaywal",
            title: "okaywal",
            package: Some("okaywal"),
            checks: "CRC-32C a chunk, not its header",
            unsynced: "it always syncs",
            can_defer: false,
        }
    }

    fn write(&self, place: &Place<'_>, _: Sync, work: Work<'_>) -> Done {
        // An entry has 10 bytes around it and a chunk 9.
        let (log, _) = open(place.dir, place.payload_bytes + place.records * 32 + (1 << 20), None)?;
        let mut open = Open(log);
        work(&mut open)?;
        open.0.shutdown()?;
        Ok(())
    }

    fn replay(&self, dir: &Path, check: Check) -> Done<Check> {
        let (log, check) = open(dir, 1 << 20, Some(check))?;
        log.shutdown()?;
        Ok(check.lock().map_err(|_| "poisoned")?.take().ok_or("the check is gone")?)
    }
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        let mut entry = self.0.begin_entry()?;
        for record in unit {
            entry.write_chunk(record.payload)?;
        }
        entry.commit()?;
        Ok(())
    }
}
