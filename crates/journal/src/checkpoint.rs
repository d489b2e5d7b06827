//! Checkpoints: the caller's folded state at one LSN, in a file of its own that is whole or not there.
//!
//! A checkpoint only ever saves time. A missing or damaged one means a longer replay; this file never hands
//! out one whose every byte is not covered by its hash.

use std::io;

use crate::layout::{CHECKPOINT_VERSION, Place, u16_at, u32_at, u64_at};
use crate::storage::{Source, Storage, StorageFile, StorageRead, TEMP};
use crate::survey::Listing;
use crate::{Identity, IoFacts, Lsn, OpenError};

const MAGIC: &[u8; 8] = b"AEGISCKP";
/// Bytes before the state: what version 1 had, and the place that version 2 put behind it.
const HEAD_BYTES_V1: usize = 80;
const HEAD_BYTES: usize = 112;
const HASH_BYTES: usize = 32;
/// Checkpoints kept beside those that a declared gap depends on.
pub(crate) const KEPT: usize = 2;

/// A whole checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last LSN folded into the state: a durable end of a batch.
    pub lsn: Lsn,
    /// The caller's digest of the state.
    pub digest: [u8; 32],
    /// The caller's encoding of the state.
    pub bytes: Vec<u8>,
}

/// File name of the checkpoint at `lsn`.
pub(crate) fn name(lsn: Lsn) -> String {
    format!("{lsn:020}.ckpt")
}

/// The LSN in a checkpoint's file name.
pub(crate) fn lsn_of(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(".ckpt")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

impl Checkpoint {
    fn encode(&self, identity: &Identity, place: Option<Place>) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.bytes.len() + HASH_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&CHECKPOINT_VERSION.to_le_bytes());
        out.extend_from_slice(&identity.schema.to_le_bytes());
        out.push(identity.mode);
        out.extend_from_slice(&[0; 3]);
        out.extend_from_slice(&identity.journal_id);
        out.extend_from_slice(&self.lsn.to_le_bytes());
        out.extend_from_slice(&self.digest);
        out.extend_from_slice(&(self.bytes.len() as u64).to_le_bytes());
        let place = place.unwrap_or(Place { segment: 0, offset: 0, lsn: 0, chain: 0 });
        out.extend_from_slice(&place.segment.to_le_bytes());
        out.extend_from_slice(&place.offset.to_le_bytes());
        out.extend_from_slice(&place.lsn.to_le_bytes());
        out.extend_from_slice(&place.chain.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        assert_eq!(out.len(), HEAD_BYTES);
        out.extend_from_slice(&self.bytes);
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        out
    }

    /// Decodes a checkpoint file; `None` when any byte of it is not what was written.
    pub(crate) fn decode(mut file: Vec<u8>) -> Option<Named> {
        if file.len() < HEAD_BYTES_V1 + HASH_BYTES || &file[..8] != MAGIC {
            return None;
        }
        let (body, hash) = file.split_at(file.len() - HASH_BYTES);
        let head = match u16_at(body, 8) {
            1 => HEAD_BYTES_V1,
            CHECKPOINT_VERSION => HEAD_BYTES,
            _ => return None,
        };
        let whole = blake3::hash(body).as_bytes() == hash
            && body.len().checked_sub(head) == usize::try_from(u64_at(body, 72)).ok();
        if !whole {
            return None;
        }
        let place = (head == HEAD_BYTES && u64_at(body, 80) != 0).then(|| Place {
            segment: u64_at(body, 80),
            offset: u64_at(body, 88),
            lsn: u64_at(body, 96),
            chain: u32_at(body, 104),
        });
        let identity = Identity {
            journal_id: body[16..32].try_into().expect("sixteen bytes"),
            schema: u16_at(body, 10),
            mode: body[12],
        };
        let lsn = u64_at(body, 32);
        let digest = body[40..72].try_into().expect("thirty-two bytes");
        // The state stays in the memory it was read into: it may be large, and an opening waits for it.
        file.truncate(file.len() - HASH_BYTES);
        file.drain(..head);
        let checkpoint = Checkpoint { lsn, digest, bytes: file };
        Some(Named { identity, checkpoint, place })
    }
}

/// Writes `bytes` under a temporary name, syncs it, renames it and syncs the directory.
pub(crate) fn replace<S: Storage>(storage: &mut S, name: &str, bytes: &[u8]) -> Result<(), IoFacts> {
    let facts = |operation| move |e: io::Error| IoFacts::new(operation, name, &e);
    let mut file = storage.create(TEMP).map_err(facts("create"))?;
    file.write_at(0, bytes).map_err(facts("write"))?;
    file.sync().map_err(facts("sync"))?;
    storage.rename(TEMP, name).map_err(facts("rename"))?;
    storage.sync_dir().map_err(facts("sync the directory of"))
}

/// Writes a checkpoint and removes those that are no longer needed. `pinned` are kept beside the newest.
pub(crate) fn write<S: Storage>(
    storage: &mut S,
    identity: &Identity,
    checkpoint: &Checkpoint,
    place: Option<Place>,
    pinned: &[Lsn],
) -> Result<(), IoFacts> {
    if let Err(facts) = replace(storage, &name(checkpoint.lsn), &checkpoint.encode(identity, place)) {
        // The space of a half-written file is given back; the first failure is the one to report.
        let _ = storage.remove(TEMP);
        return Err(facts);
    }
    let entries = storage.reader().list().map_err(|e| IoFacts::new("list", ".", &e))?;
    let mut lsns: Vec<Lsn> = entries.iter().filter_map(|e| lsn_of(&e.name)).collect();
    lsns.sort_unstable_by(|a, b| b.cmp(a));
    for lsn in lsns.into_iter().skip(KEPT).filter(|lsn| !pinned.contains(lsn)) {
        let name = name(lsn);
        storage.remove(&name).map_err(|e| IoFacts::new("remove", name, &e))?;
    }
    Ok(())
}

/// A checkpoint, whose it is, and where the batch stands that ends with its LSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) identity: Identity,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) place: Option<Place>,
}

/// The whole checkpoints of the journal in a directory, newest first, for tools that read without opening. A writer
/// keeps the two newest, and those that a declared gap depends on.
///
/// # Errors
/// When the directory cannot be read or holds no journal. A damaged checkpoint is not there.
pub fn checkpoints<R: StorageRead>(read: &R) -> Result<Vec<Checkpoint>, OpenError> {
    let listing = Listing::read(read)?;
    let identity = listing.identity(None).ok_or(OpenError::Unidentified)?;
    let ours = listing.checkpoints.into_iter().filter(|named| named.identity == identity);
    Ok(ours.map(|named| named.checkpoint).collect())
}

/// All checkpoint files of a directory: the whole ones newest first, and the names of the others.
pub(crate) fn load<R: StorageRead>(read: &R) -> io::Result<(Vec<Named>, Vec<String>)> {
    let mut whole: Vec<Named> = Vec::new();
    let mut damaged = Vec::new();
    for entry in read.list()? {
        let Some(lsn) = lsn_of(&entry.name) else { continue };
        let mut bytes = vec![0; usize::try_from(entry.bytes).map_err(io::Error::other)?];
        let read_all = read.open(&entry.name).and_then(|file| file.read_at(0, &mut bytes));
        let decoded = match read_all {
            Ok(n) if n == bytes.len() => Checkpoint::decode(bytes),
            Ok(_) | Err(_) => None, // unreadable is the same as damaged: a longer replay
        };
        match decoded {
            Some(named) if named.checkpoint.lsn == lsn => whole.push(named),
            Some(_) | None => damaged.push(entry.name),
        }
    }
    whole.sort_by_key(|named| std::cmp::Reverse(named.checkpoint.lsn));
    Ok((whole, damaged))
}

#[cfg(test)]
mod tests;
