//! Stored batches, put into a journal.

use aegis_journal::{NewRecord, Room, Storage, Writer};
use aegis_model::RecordHead;

/// A batch as it is stored.
pub type Batch = Vec<(RecordHead, Vec<u8>)>;

/// Appends a batch; nothing is durable yet.
///
/// # Panics
/// When the journal does not take it.
pub fn append<S: Storage>(writer: &mut Writer<S>, batch: &Batch) {
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
    writer.append(&records, Room::Normal).expect("room in the segment");
}
