//! LMDB, through heed: a mapped copy-on-write B-tree without checksums. A unit is a write transaction; keys are the
//! records' numbers and are put at the end (`MDB_APPEND`).
//!
//! Without a sync means `MDB_NOSYNC`, after which a power cut may leave a file that cannot be used.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use heed::byteorder::BigEndian;
use heed::types::{Bytes, U64};
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, WithTls};
use std::path::Path;

type Records<'e> = Database<'e, U64<BigEndian>, Bytes>;

pub(crate) struct Lmdb;

struct Open<'e> {
    env: &'e Env,
    records: Records<'e>,
    next: u64,
}

#[expect(unsafe_code, reason = "heed opens by unsafe functions only")]
fn open(dir: &Path, map_bytes: u64, flags: EnvFlags) -> Done<Env<WithTls>> {
    let dir = dir.join("lmdb");
    std::fs::create_dir_all(&dir)?;
    let mut options = EnvOpenOptions::new();
    options.map_size(usize::try_from(map_bytes)?.next_multiple_of(1 << 20));
    // SAFETY: the file lies in a private temporary directory of this process, is opened once at a time, and nobody
    // else changes or truncates it while it is mapped; of the flags, only NO_SYNC is used, and after a session with it
    // everything is forced to the device.
    Ok(unsafe { options.flags(flags).open(dir)? })
}

impl Peer for Lmdb {
    fn facts(&self) -> Facts {
        Facts {
            name: "lmdb",
            title: "LMDB",
            package: Some("heed"),
            checks: "none",
            unsynced: "no: the file may be beyond use",
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let flags = match sync {
            Sync::Later => EnvFlags::NO_SYNC,
            Sync::Each => EnvFlags::empty(),
        };
        let env = open(place.dir, (place.payload_bytes + place.records * 64) * 2 + (64 << 20), flags)?;
        let records: Records<'_> = env
            .create_databases_and_commit(env.write_txn()?, |opener, transaction| -> Result<_, heed::Error> {
                Ok(CommitOrAbort::<_, ()>::Commit(opener.create_database(transaction, None)?))
            })?
            .unwrap_commit();
        let mut open = Open { env: &env, records, next: 0 };
        work(&mut open)?;
        env.force_sync()?;
        env.prepare_for_closing().wait();
        Ok(())
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        // A map as large as the file.
        let env = open(dir, std::fs::metadata(dir.join("lmdb/data.mdb"))?.len(), EnvFlags::empty())?;
        let records: Records<'_> = env
            .open_databases_and_commit(env.read_txn()?, |opener, transaction| -> Result<_, heed::Error> {
                Ok(CommitOrAbort::<_, ()>::Commit(opener.open_database(transaction, None)?))
            })?
            .unwrap_commit()
            .ok_or("no database")?;
        let transaction = env.read_txn()?;
        for entry in records.iter(&transaction)? {
            check.see(entry?.1);
        }
        drop(transaction);
        env.prepare_for_closing().wait();
        Ok(check)
    }
}

impl Log for Open<'_> {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        let mut transaction = self.env.write_txn()?;
        for record in unit {
            self.records.put_with_flags(&mut transaction, PutFlags::APPEND, &self.next, record.payload)?;
            self.next += 1;
        }
        transaction.commit()?;
        Ok(())
    }
}
