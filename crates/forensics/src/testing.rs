//! Journals for tests: batches of events as an engine stores them, with checkpoints as a node writes them. With the feature
//! `testing` other rooms' tests store batches the same way.

use aegis_journal::{NewRecord, Room, Storage, Writer};
use aegis_model::{Event, RecordHead};

#[cfg(test)]
pub(crate) use written::{ID, SMALL, Written};

/// Stores events as one batch; nothing is durable yet.
///
/// # Panics
/// When the journal does not take it.
pub fn append<S: Storage>(writer: &mut Writer<S>, events: &[Event]) {
    let encoded: Vec<(RecordHead, Vec<u8>)> = events
        .iter()
        .map(|event| {
            let mut payload = Vec::new();
            (event.encode(&mut payload), payload)
        })
        .collect();
    append_encoded(writer, &encoded);
}

/// The same of events that are encoded already.
///
/// # Panics
/// As [`append`].
pub fn append_encoded<S: Storage>(writer: &mut Writer<S>, batch: &[(RecordHead, Vec<u8>)]) {
    let records: Vec<NewRecord<'_>> = batch
        .iter()
        .map(|(head, payload)| NewRecord {
            kind: head.kind,
            version: head.version,
            actor: head.actor,
            time_ns: head.time.0,
            cause: head.cause.0,
            payload,
        })
        .collect();
    writer.append(&records, Room::Normal).expect("room");
}

#[cfg(test)]
mod written {
    use super::append;
    use aegis_journal::{Config, Identity, MemReader, MemStorage, Storage, Writer, create};
    use aegis_model::Event;
    use aegis_model::event::ENGINE_SCHEMA;
    use aegis_projection::State;

    pub(crate) const ID: Identity =
        Identity { journal_id: *b"forensic-journal", schema: ENGINE_SCHEMA, mode: 1 };
    pub(crate) const SMALL: Config =
        Config { segment_bytes: Config::SEGMENT_BYTES_MIN, knows: |_, _| true, compress: false };

    /// A journal being written, and the state that it folds to.
    pub(crate) struct Written {
        pub(crate) disk: MemStorage,
        pub(crate) state: State,
        writer: Writer<MemStorage>,
    }

    impl Written {
        pub(crate) fn new() -> Written {
            let disk = MemStorage::new();
            let writer = create(disk.clone(), ID, SMALL).expect("an empty disk");
            Written { disk, state: State::default(), writer }
        }

        pub(crate) fn of(batches: &[Vec<Event>]) -> Written {
            let mut written = Written::new();
            for batch in batches {
                written.batch(batch);
            }
            written
        }

        pub(crate) fn batch(&mut self, events: &[Event]) {
            append(&mut self.writer, events);
            self.writer.sync().expect("a good disk");
            events.iter().for_each(|event| self.state.apply(event));
        }

        /// What a node stores beside the journal.
        pub(crate) fn checkpoint(&mut self) {
            let mut bytes = self.state.time.0.to_le_bytes().to_vec();
            bytes.extend(self.state.save());
            self.writer.checkpoint(self.state.lsn.0, self.state.digest(), &bytes).expect("a good disk");
        }

        pub(crate) fn read(&self) -> MemReader {
            Storage::reader(&self.disk)
        }

        /// The disk once the writer is gone.
        pub(crate) fn closed(self) -> MemStorage {
            self.writer.close().expect("a good disk");
            self.disk
        }
    }
}
