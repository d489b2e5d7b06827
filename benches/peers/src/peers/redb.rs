//! redb: a copy-on-write B-tree with a checksum a page. A unit is a write transaction, the key is the record's number.
//!
//! It verifies checksums only when it is told to while opening; it is told to.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

pub(crate) struct Redb;

struct Open {
    database: Database,
    next: u64,
    durability: Durability,
}

impl Peer for Redb {
    fn facts(&self) -> Facts {
        Facts {
            name: "redb",
            title: "redb",
            package: Some("redb"),
            checks: "XXH3 a page, all of them while opening",
            unsynced: "yes: the last durable commit",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let durability = match sync {
            Sync::Later => Durability::None,
            Sync::Each => Durability::Immediate,
        };
        let mut open = Open { database: Database::create(place.dir.join("redb"))?, next: 0, durability };
        work(&mut open)?;
        open.durability = Durability::Immediate;
        open.append(&[])?;
        Ok(())
    }

    fn replay(&self, dir: &Path, check: Check) -> Done<Check> {
        read(Database::builder().set_check_integrity_on_open(true).open(dir.join("redb"))?, check)
    }
}

fn read(database: Database, mut check: Check) -> Done<Check> {
    let records = database.begin_read()?.open_table(RECORDS)?;
    for entry in records.iter()? {
        check.see(entry?.1.value());
    }
    Ok(check)
}

/// Opens it without being told to verify anything.
pub(crate) fn as_it_comes(_: &dyn Peer, dir: &Path, check: Check) -> Done<Check> {
    read(Database::open(dir.join("redb"))?, check)
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        let mut records = transaction.open_table(RECORDS)?;
        for record in unit {
            records.insert(self.next, record.payload)?;
            self.next += 1;
        }
        drop(records);
        transaction.commit()?;
        Ok(())
    }
}
