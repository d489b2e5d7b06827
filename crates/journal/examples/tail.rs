//! Follows a journal that another process writes: `cargo run -p aegis-journal --example tail -- aegis-data/act2/engine`.
//! It takes no lock and stops nobody; it shows a record once it is durable, and never one that is not.

use aegis_journal::{Damage, JournalReader, Lsn, StorageRead};
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

/// Shows what is new, and says which record was the last.
fn show<R: StorageRead>(reader: &mut JournalReader<R>, out: &mut impl Write) -> Result<Lsn, Box<dyn Error>> {
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                let (lsn, kind, bytes) = (record.lsn, record.kind, record.payload.len());
                let lost = if record.after_gap { ", behind what was lost" } else { "" };
                writeln!(out, "{lsn} at {} ns: kind {kind}, {bytes} bytes{lost}", record.time_ns)?;
            }
            Ok(None) => return Ok(reader.position()),
            // Each damaged place is told once; what is intact behind it comes next.
            Err(damage @ Damage { .. }) => writeln!(out, "damaged: {damage}")?,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which directory?")?;
    // Where to begin, such as the number after the last one seen.
    let from = std::env::args().nth(2).map_or(Ok(1), |lsn| lsn.parse())?;
    let mut reader = JournalReader::open_dir(dir.as_ref())?;
    reader.seek(from)?;
    loop {
        show(&mut reader, &mut io::stdout().lock())?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aegis_journal::{Config, DirReader, DirStorage, Identity, NewRecord, Room, create};

    #[test]
    fn what_is_durable_is_shown_once_and_nothing_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = Identity { journal_id: [7; 16], schema: 1, mode: 1 };
        let config = Config { segment_bytes: Config::SEGMENT_BYTES_MIN, ..Config::default() };
        let storage = DirStorage::new(dir.path()).expect("storage");
        let mut writer = create(storage, identity, config).expect("a journal");
        let mut reader = JournalReader::open(DirReader::at(dir.path()).expect("there")).expect("a journal");
        let (mut last, mut seen) = (0, Vec::new());
        // Enough to change segments several times.
        for n in 0..400 {
            let payload = [n as u8; 1_000];
            let record = NewRecord { kind: 9, version: 1, actor: 1, time_ns: n, cause: 0, payload: &payload };
            last = writer.append(&[record, record], Room::Normal).expect("room") + 1;
            let before = seen.len();
            assert_eq!(show(&mut reader, &mut seen).expect("shown"), last - 2, "not durable yet");
            assert_eq!(seen.len(), before);
            writer.sync().expect("a sync");
            assert_eq!(show(&mut reader, &mut seen).expect("shown"), last);
        }
        let seen = String::from_utf8(seen).expect("text");
        let numbers: Vec<u64> =
            seen.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    }
}
