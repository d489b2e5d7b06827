//! What a backup says of itself: one small file of lines, replaced whole after everything that it names is durable.
//!
//! It is a claim with a checksum. Whoever relies on a backup reads the segments; the manifest only says what must be
//! found there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use crate::begin::Begin;
use crate::checkpoint;
use crate::storage::{Source, Storage, StorageRead, TEMP};
use crate::{Head, Identity, Lsn};

use super::BackupError;

/// Name of the file.
pub(crate) const MANIFEST: &str = "manifest";
/// The version of its lines; the first one knew of no pruned journal, and is written where there is none.
const VERSION: u32 = 2;
/// Longer files are not one: a line for each segment, and a journal of 10^12 bytes has 15,000 of them.
const BYTES_MAX: u64 = 64 << 20;

/// How a backup holds a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Sealed and whole; it never changes any more.
    Sealed,
    /// Its intact beginning, up to what was durable then.
    Open,
    /// Byte for byte as it was found, with its damage.
    AsItIs,
}

impl Kept {
    /// Its word in the manifest and in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kept::Sealed => "sealed",
            Kept::Open => "open",
            Kept::AsItIs => "as-it-is",
        }
    }

    fn of(word: &str) -> Option<Kept> {
        [Kept::Sealed, Kept::Open, Kept::AsItIs].into_iter().find(|kept| kept.word() == word)
    }
}

/// One segment in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// How it is held.
    pub kept: Kept,
    /// First LSN.
    pub first_lsn: Lsn,
    /// Last LSN; one less than the first when it is empty.
    pub last_lsn: Lsn,
    /// Offset in the segment behind its last record; of one that is kept as it is, the bytes of its file.
    pub end: u64,
    /// Its root, of an open one the head at its last LSN, and of one that is kept as it is BLAKE3 of its file.
    pub digest: [u8; 32],
    /// When it was last read back and verified, nanoseconds since 1970-01-01T00:00:00Z.
    pub verified_ns: i64,
}

/// The page that a backup of a pruned journal begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begins {
    /// Number of the last segment that is not in the backup.
    pub segment: u64,
    /// The last LSN that is not.
    pub last_lsn: Lsn,
    /// Root of that segment; zeros when it was not known.
    pub root: [u8; 32],
}

impl Begins {
    pub(crate) fn of(begin: &Begin) -> Option<Begins> {
        let pruned = begin.pruned()?;
        Some(Begins { segment: pruned.segment, last_lsn: pruned.last_lsn, root: pruned.root })
    }
}

/// What a backup says that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Which journal it is of.
    pub identity: Identity,
    /// When it was made, nanoseconds since 1970-01-01T00:00:00Z.
    pub taken_ns: i64,
    /// The last record in it and what everything up to it sums up in; none when there is no record.
    pub head: Option<Head>,
    /// Where the backup begins, when it is of a journal that was pruned before.
    pub begins: Option<Begins>,
    /// The segments by number.
    pub segments: BTreeMap<u64, Held>,
    /// LSN of each checkpoint, with BLAKE3 of its file, newest first.
    pub checkpoints: Vec<(Lsn, [u8; 32])>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; N];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(out)
}

impl Manifest {
    /// Of nothing yet.
    pub(crate) fn empty(identity: Identity, taken_ns: i64) -> Manifest {
        Manifest {
            identity,
            taken_ns,
            head: None,
            begins: None,
            segments: BTreeMap::new(),
            checkpoints: Vec::new(),
        }
    }

    /// The last LSN in it; 0 when there is none.
    #[must_use]
    pub fn last_lsn(&self) -> Lsn {
        self.segments.values().map(|held| held.last_lsn).max().unwrap_or(0)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Identity { journal_id, schema, mode } = self.identity;
        let head = self.head.map_or_else(|| "none".to_owned(), |head| head.to_string());
        let version = if self.begins.is_some() { VERSION } else { 1 };
        let mut out = format!("aegis-backup {version}\njournal {} {schema} {mode}\n", hex(&journal_id));
        out.push_str(&format!("taken {}\nhead {head}\n", self.taken_ns));
        if let Some(Begins { segment, last_lsn, root }) = &self.begins {
            out.push_str(&format!("pruned {segment} {last_lsn} {}\n", hex(root)));
        }
        for (number, held) in &self.segments {
            out.push_str(&format!(
                "segment {number} {} {} {} {} {} {}\n",
                held.kept.word(),
                held.first_lsn,
                held.last_lsn,
                held.end,
                hex(&held.digest),
                held.verified_ns
            ));
        }
        for (lsn, digest) in &self.checkpoints {
            out.push_str(&format!("checkpoint {lsn} {}\n", hex(digest)));
        }
        out.push_str(&format!("check {}\n", blake3::hash(out.as_bytes()).to_hex()));
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Manifest, BackupError> {
        let text = std::str::from_utf8(bytes).map_err(|_| BackupError::Manifest)?;
        let version = text.lines().next().and_then(|line| line.strip_prefix("aegis-backup ")?.parse().ok());
        match version {
            Some(1..=VERSION) => parse(text).ok_or(BackupError::Manifest),
            Some(version) if sealed_lines(text).is_some() => Err(BackupError::Newer { version }),
            Some(_) | None => Err(BackupError::Manifest),
        }
    }

    /// Reads the manifest of a directory; `None` when it has none.
    ///
    /// # Errors
    /// [`BackupError::Manifest`] when it is damaged, [`BackupError::Newer`], or when it cannot be read.
    pub fn read<R: StorageRead>(read: &R) -> Result<Option<Manifest>, BackupError> {
        let file = match read.open(MANIFEST) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(BackupError::target("open", MANIFEST, &e)),
        };
        let facts = |e: io::Error| BackupError::target("read", MANIFEST, &e);
        let length = file.bytes().map_err(facts)?;
        if length > BYTES_MAX {
            return Err(BackupError::Manifest);
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| BackupError::Manifest)?];
        let n = file.read_at(0, &mut bytes).map_err(facts)?;
        bytes.truncate(n);
        Manifest::decode(&bytes).map(Some)
    }

    /// Puts it in the place of the one before; a crash leaves one of the two.
    pub(crate) fn write<T: Storage>(&self, target: &mut T) -> Result<(), BackupError> {
        replace(target, MANIFEST, &self.encode())
    }
}

/// Puts `bytes` under a name, durably; what of it could not be written gives its space back.
pub(super) fn replace<T: Storage>(target: &mut T, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
    checkpoint::replace(target, name, bytes).map_err(|facts| {
        // The first failure is the one to report.
        let _ = target.remove(TEMP);
        BackupError::Target(facts)
    })
}

/// The lines before the checksum, if that is theirs.
fn sealed_lines(text: &str) -> Option<&str> {
    let at = text.rfind("check ")?;
    let (lines, check) = text.split_at(at);
    let expected = format!("check {}\n", blake3::hash(lines.as_bytes()).to_hex());
    (check == expected && lines.ends_with('\n')).then_some(lines)
}

fn parse(text: &str) -> Option<Manifest> {
    let mut lines = sealed_lines(text)?.lines().skip(1);
    let words: Vec<&str> = lines.next()?.split(' ').collect();
    let ["journal", id, schema, mode] = words[..] else { return None };
    let identity =
        Identity { journal_id: unhex(id)?, schema: schema.parse().ok()?, mode: mode.parse().ok()? };
    let taken_ns = lines.next()?.strip_prefix("taken ")?.parse().ok()?;
    let head = match lines.next()?.strip_prefix("head ")? {
        "none" => None,
        head => Some(head.parse().ok()?),
    };
    let mut manifest = Manifest { head, ..Manifest::empty(identity, taken_ns) };
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["segment", number, kept, first, last, end, digest, verified] => {
                let held = Held {
                    kept: Kept::of(kept)?,
                    first_lsn: first.parse().ok()?,
                    last_lsn: last.parse().ok()?,
                    end: end.parse().ok()?,
                    digest: unhex(digest)?,
                    verified_ns: verified.parse().ok()?,
                };
                manifest.segments.insert(number.parse().ok()?, held);
            }
            ["pruned", segment, last, root] => {
                manifest.begins = Some(Begins {
                    segment: segment.parse().ok()?,
                    last_lsn: last.parse().ok()?,
                    root: unhex(root)?,
                });
            }
            ["checkpoint", lsn, digest] => {
                manifest.checkpoints.push((lsn.parse().ok()?, unhex(digest)?));
            }
            _ => return None,
        }
    }
    Some(manifest)
}
