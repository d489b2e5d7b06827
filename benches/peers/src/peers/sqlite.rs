//! SQLite with a write-ahead log, twice: as one table of blobs, and as the two tables of the old system, a row in each
//! for each event. A unit is a transaction.
//!
//! Durable means `synchronous = FULL`, which syncs at each commit; without a sync means `NORMAL`, which syncs only when
//! the write-ahead log is taken into the database. SQLite verifies frames of that log when it recovers; the pages of
//! the database have no checksum, and after a clean close all data is there.

use crate::log::{Done, Facts, Log, Peer, Place, Sync, Work};
use crate::workload::Check;
use aegis_journal::NewRecord;
use rusqlite::{Connection, Statement, params};
use std::fmt::Write;
use std::path::Path;

const CHECKS: &str = "frames of the WAL; none in the database";
const UNSYNCED: &str = "yes: a prefix of the commits";

pub(crate) struct Blob;
pub(crate) struct TwoTables;

fn open(dir: &Path, sync: Sync) -> Done<Connection> {
    let connection = Connection::open(dir.join("sqlite"))?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(format!("the journal mode is {mode}").into());
    }
    // As in SQLite itself; the bundled build would look up the parent of each event.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(
        None,
        "synchronous",
        match sync {
            Sync::Later => "NORMAL",
            Sync::Each => "FULL",
        },
    )?;
    Ok(connection)
}

/// Closing takes the write-ahead log into the database.
fn close(connection: Connection) -> Done {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.close().map_err(|(_, e)| e)?;
    Ok(())
}

struct OpenBlob<'c> {
    begin: Statement<'c>,
    insert: Statement<'c>,
    commit: Statement<'c>,
}

impl Peer for Blob {
    fn facts(&self) -> Facts {
        Facts {
            name: "sqlite",
            title: "SQLite, blobs",
            package: Some("rusqlite"),
            checks: CHECKS,
            unsynced: UNSYNCED,
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let connection = open(place.dir, sync)?;
        connection.execute_batch("CREATE TABLE records (id INTEGER PRIMARY KEY, payload BLOB NOT NULL)")?;
        let mut open = OpenBlob {
            begin: connection.prepare("BEGIN")?,
            insert: connection.prepare("INSERT INTO records (payload) VALUES (?1)")?,
            commit: connection.prepare("COMMIT")?,
        };
        work(&mut open)?;
        drop(open);
        close(connection)
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        let connection = open(dir, Sync::Each)?;
        let mut select = connection.prepare("SELECT payload FROM records ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            check.see(row.get_ref(0)?.as_blob()?);
        }
        Ok(check)
    }
}

impl Log for OpenBlob<'_> {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        if let [record] = unit {
            // A statement alone is a transaction.
            self.insert.execute([record.payload])?;
            return Ok(());
        }
        self.begin.execute([])?;
        for record in unit {
            self.insert.execute([record.payload])?;
        }
        self.commit.execute([])?;
        Ok(())
    }
}

const TWO_TABLES: &str = "
CREATE TABLE positions (
    position_id TEXT PRIMARY KEY, symbol TEXT NOT NULL, side TEXT NOT NULL, entry_price REAL NOT NULL,
    amount REAL NOT NULL, stop_price REAL, take_profit_price REAL, opened_at TEXT NOT NULL, closed_at TEXT,
    status TEXT NOT NULL, pnl REAL, created_by TEXT, metadata TEXT);
CREATE TABLE position_events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT, position_id TEXT NOT NULL REFERENCES positions (position_id),
    event_type TEXT NOT NULL, event_data BLOB NOT NULL, timestamp INTEGER NOT NULL);";

struct OpenTwoTables<'c> {
    begin: Statement<'c>,
    position: Statement<'c>,
    event: Statement<'c>,
    commit: Statement<'c>,
    id: String,
    next: u64,
}

impl Peer for TwoTables {
    fn facts(&self) -> Facts {
        Facts {
            name: "sqlite-two",
            title: "SQLite, two tables",
            package: Some("rusqlite"),
            checks: CHECKS,
            unsynced: UNSYNCED,
            can_defer: true,
        }
    }

    fn write(&self, place: &Place<'_>, sync: Sync, work: Work<'_>) -> Done {
        let connection = open(place.dir, sync)?;
        connection.execute_batch(TWO_TABLES)?;
        let mut open = OpenTwoTables {
            begin: connection.prepare("BEGIN")?,
            position: connection.prepare(
                "INSERT INTO positions VALUES (?1, 'BTC_USDT', 'buy', 50000.5, 0.001, ?2, 52500.5, \
                 '2025-11-22T10:00:00Z', NULL, 'open', 0.25, 'engine', '{}')",
            )?,
            event: connection.prepare(
                "INSERT INTO position_events (position_id, event_type, event_data, timestamp) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?,
            commit: connection.prepare("COMMIT")?,
            id: String::new(),
            next: 0,
        };
        work(&mut open)?;
        drop(open);
        close(connection)
    }

    fn replay(&self, dir: &Path, mut check: Check) -> Done<Check> {
        let connection = open(dir, Sync::Each)?;
        let mut events =
            connection.prepare("SELECT position_id, event_data FROM position_events ORDER BY event_id")?;
        let mut positions = connection.prepare("SELECT position_id FROM positions ORDER BY rowid")?;
        let (mut events, mut positions) = (events.query([])?, positions.query([])?);
        while let Some(event) = events.next()? {
            let position = positions.next()?.ok_or("an event has no position")?;
            if event.get_ref(0)?.as_bytes()? != position.get_ref(0)?.as_bytes()? {
                return Err("an event belongs to another position".into());
            }
            check.see(event.get_ref(1)?.as_blob()?);
        }
        Ok(check)
    }
}

impl Log for OpenTwoTables<'_> {
    fn append(&mut self, unit: &[NewRecord<'_>]) -> Done {
        self.begin.execute([])?;
        for record in unit {
            self.id.clear();
            write!(self.id, "pos-{:012}", self.next)?;
            self.position.execute(params![self.id, 49_000.0 + self.next as f64])?;
            let kind = if record.kind.is_multiple_of(2) { "stop_moved" } else { "order_filled" };
            self.event.execute(params![self.id, kind, record.payload, record.time_ns])?;
            self.next += 1;
        }
        self.commit.execute([])?;
        Ok(())
    }
}
