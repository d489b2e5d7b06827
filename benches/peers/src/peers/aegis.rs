//! aegis: the journal of this project, by its public interface. A unit is a batch.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_benches::IDENTITY;
use aegis_journal::{Config, DirStorage, Expect, JournalReader, NewRecord, Room, Writer};
use std::ops::ControlFlow;
use std::path::Path;

pub(crate) struct Aegis;

struct Open {
    writer: Writer<DirStorage>,
    sync: Sync,
}

impl Peer for Aegis {
    fn facts(&self) -> Facts {
        Facts {
            name: "aegis",
            title: "aegis",
            package: Some("aegis-journal"),
            checks: "CRC-32 a record, chained; BLAKE3 a file",
            unsynced: "yes: a prefix, and the cut is reported",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let storage = DirStorage::new(place.dir.join("journal"))?;
        let mut open = Open { writer: aegis_journal::create(storage, IDENTITY, Config::default())?, sync };
        work(&mut open)?;
        Ok(open.writer.close()?)
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        let mut reader = JournalReader::open_dir(&dir.join("journal"))?;
        while let Some(record) = reader.next()? {
            check.see(record.payload);
        }
        Ok(check)
    }
}

/// Opens it as a writer does: the report names what rotted, and records are those that are believed.
pub(crate) fn restart(_: &dyn Peer, dir: &Path, mut check: Check) -> Done<Check> {
    let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
    let mut opening = aegis_journal::open(DirStorage::new(dir.join("journal"))?, expect, Config::default())?;
    if let Some(gap) = &opening.report().gap {
        return Err(format!("records are lost: {gap:?}").into());
    }
    opening.records(1, |record| {
        check.see(record.payload);
        ControlFlow::<()>::Continue(())
    })?;
    Ok(check)
}

impl Log for Open {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        self.writer.append(unit, Room::Reserve)?;
        if self.sync == Sync::Each {
            self.writer.sync()?;
        }
        Ok(())
    }
}
