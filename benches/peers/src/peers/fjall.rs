//! fjall: a log-structured merge tree with a journal. A unit is a batch, the key is the record's number.
//!
//! Without a sync, a write leaves fjall's own buffer for the kernel's at once, as by default.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

pub(crate) struct Fjall;

struct Open {
    database: Database,
    records: Keyspace,
    next: u64,
    sync: Sync,
}

fn open(dir: &Path) -> Done<(Database, Keyspace)> {
    let database = Database::builder(dir.join("fjall")).open()?;
    let records = database.keyspace("records", KeyspaceCreateOptions::default)?;
    Ok((database, records))
}

impl Peer for Fjall {
    fn facts(&self) -> Facts {
        Facts {
            name: "fjall",
            title: "fjall",
            package: Some("fjall"),
            checks: "XXH3 a journal batch, a table block",
            unsynced: "yes: a prefix",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let (database, records) = open(place.dir)?;
        let mut open = Open { database, records, next: 0, sync };
        work(&mut open)?;
        open.database.persist(PersistMode::SyncAll)?;
        Ok(())
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        let (_database, records) = open(dir)?;
        for guard in records.iter() {
            check.see(&guard.value()?);
        }
        Ok(check)
    }
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        if let [record] = unit {
            // Alone, an insert is cheaper than a batch of one.
            self.records.insert(self.next.to_be_bytes(), record.payload)?;
            self.next += 1;
            if self.sync == Sync::Each {
                self.database.persist(PersistMode::SyncData)?;
            }
            return Ok(());
        }
        let mut batch = self.database.batch();
        if self.sync == Sync::Each {
            batch = batch.durability(Some(PersistMode::SyncData));
        }
        for record in unit {
            batch.insert(&self.records, self.next.to_be_bytes(), record.payload);
            self.next += 1;
        }
        batch.commit()?;
        Ok(())
    }
}
