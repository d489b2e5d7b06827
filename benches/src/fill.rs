//! Filling journals: one way to append events, for every bench that needs a journal or measures appending.

use crate::{CYCLE, IDENTITY};
use aegis_journal::{Config, DirStorage, NewRecord, Room, Writer};
use aegis_model::{Event, RecordHead};
use std::path::Path;

/// Encodes events and appends them in batches; the buffers are kept.
#[derive(Debug)]
pub struct Appender {
    payloads: Vec<u8>,
    ends: Vec<(RecordHead, usize)>,
}

impl Default for Appender {
    fn default() -> Appender {
        Appender { payloads: Vec::with_capacity(1 << 16), ends: Vec::with_capacity(CYCLE as usize) }
    }
}

impl Appender {
    /// Appends events as one batch, at most [`CYCLE`] of them.
    ///
    /// # Panics
    /// When the journal refuses them.
    #[inline]
    pub fn batch(&mut self, writer: &mut Writer<DirStorage>, events: &[Event]) {
        self.payloads.clear();
        self.ends.clear();
        for event in events {
            let head = event.encode(&mut self.payloads);
            self.ends.push((head, self.payloads.len()));
        }
        let nothing = NewRecord { kind: 1, version: 1, actor: 1, time_ns: 0, cause: 0, payload: &[] };
        let mut records = [nothing; CYCLE as usize];
        let mut start = 0;
        for (slot, (head, end)) in records.iter_mut().zip(&self.ends) {
            *slot = NewRecord {
                kind: head.kind,
                version: head.version,
                actor: head.actor,
                time_ns: head.time.0,
                cause: head.cause.0,
                payload: &self.payloads[start..*end],
            };
            start = *end;
        }
        writer.append(&records[..events.len()], Room::Reserve).expect("room");
    }

    /// Appends all events in batches of this size.
    ///
    /// # Panics
    /// When the journal refuses them.
    pub fn all(&mut self, writer: &mut Writer<DirStorage>, events: &[Event], batch: usize) {
        for chunk in events.chunks(batch) {
            self.batch(writer, chunk);
        }
    }
}

/// A new journal in a directory that does not exist yet.
///
/// # Panics
/// When it cannot be made.
pub fn create(path: &Path, config: Config) -> Writer<DirStorage> {
    let storage = DirStorage::new(path).expect("a directory");
    aegis_journal::create(storage, IDENTITY, config).expect("a new journal")
}

/// Writes a whole journal of the prelude and `count` events of the mix, durable at the end; answers its records.
///
/// # Panics
/// When it cannot be written.
pub fn journal(path: &Path, count: u64) -> u64 {
    let mut writer = create(path, Config::default());
    let mut appender = Appender::default();
    appender.all(&mut writer, &crate::prelude(), CYCLE as usize);
    let mut events = Vec::with_capacity(CYCLE as usize);
    let mut n = 0;
    while n < count {
        events.clear();
        events.extend((n..count.min(n + CYCLE)).map(crate::mixed));
        appender.batch(&mut writer, &events);
        n += events.len() as u64;
    }
    writer.sync().expect("a sync");
    writer.appended_lsn()
}
