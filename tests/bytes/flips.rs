//! Every truncation and every flipped bit of the whole specimen: each is a row of the recovery table or a refusal by
//! name, and no record is ever shown that is not the one that was written.

use super::support::*;
use aegis_journal::{JournalReader, MemStorage, OpenError, Row, Storage};
use std::collections::BTreeMap;

/// Bits between two flips that are tried: a debug build samples, a release build tries each.
const STRIDE: usize = if cfg!(debug_assertions) { 7 } else { 1 };
/// Damaged copies between two whose recovery is carried out and repeated, not only judged.
const CARRIED_OUT: usize = 31;

/// Bytes of the header page.
const PAGE: usize = 4096;

struct Bench {
    files: Vec<(String, Vec<u8>)>,
    disk: MemStorage,
    records: Vec<Owned>,
    /// How often each outcome was met.
    met: BTreeMap<String, usize>,
    tried: usize,
}

fn refusal(cause: &OpenError) -> &'static str {
    if matches!(cause, OpenError::Damaged(_)) {
        "refused: damaged"
    } else if matches!(cause, OpenError::Unidentified) {
        "refused: unidentified"
    } else if matches!(cause, OpenError::Newer { .. }) {
        "refused: H"
    } else {
        panic!("damage is not {cause}")
    }
}

impl Bench {
    fn new() -> Bench {
        let files = segments(&specimen("v1/whole"));
        let disk = disk(&files);
        let records = read(&disk);
        assert!(records.len() >= 50, "a specimen of at least 50 records");
        Bench { files, disk, records, met: BTreeMap::new(), tried: 0 }
    }

    /// Where the last record of a file ends, its seal included.
    fn content_end(&self, file: usize) -> usize {
        self.files[file].1.iter().rposition(|b| *b != 0).expect("a segment is not empty") + 1
    }

    /// Judges the journal with this file in place of the whole one.
    fn judge(&mut self, file: usize, damaged: &[u8], what: &str) {
        let name = &self.files[file].0;
        let disk = self.disk.fork();
        disk.set_file(name, damaged);
        self.tried += 1;
        let carried_out = self.tried.is_multiple_of(CARRIED_OUT);
        let mut found = None;
        let outcome = match recover(disk.clone(), carried_out) {
            Ok((kept, report)) => {
                found = Some(kept.len());
                assert_eq!(kept[..], self.records[..kept.len()], "{name} {what}: a verified prefix");
                // All of the specimen is acknowledged: its mark says so.
                let lost = kept.len() < self.records.len();
                assert_eq!(lost, report.row == Row::E, "{name} {what}: {report:?}");
                assert!(matches!(report.row, Row::A | Row::B | Row::C | Row::E), "{name} {what}: {report:?}");
                assert_eq!(report.gap.is_some(), lost, "{name} {what}");
                // The mark in the header page tells how far numbers were used, unless that is cut off too.
                let told = damaged.len() >= PAGE;
                let next = usize::try_from(report.next_lsn).expect("small");
                assert!(next > self.records.len() || !told, "{name} {what}: LSN {next} is used twice");
                format!("{:?}", report.row)
            }
            Err(cause) => refusal(&cause).to_owned(),
        };
        if carried_out {
            let again = recover(disk.kill(), false);
            match (again, found) {
                (Ok((kept, _)), Some(found)) => {
                    let gap_records = usize::from(found < self.records.len());
                    assert_eq!(kept[..found], self.records[..found], "{name} {what}: opened again");
                    assert_eq!(kept.len(), found + gap_records, "{name} {what}: opened again");
                }
                (Err(cause), None) => assert_eq!(refusal(&cause), outcome, "{name} {what}: opened again"),
                (Err(cause), Some(_)) => panic!("{name} {what}: opened once and not again: {cause}"),
                (Ok(_), None) => panic!("{name} {what}: refused, and then opened"),
            }
        } else {
            self.shown(&disk, what);
        }
        *self.met.entry(outcome).or_default() += 1;
    }

    /// What a reader shows of a damaged journal.
    fn shown(&self, disk: &MemStorage, what: &str) {
        let mut reader = match JournalReader::open(disk.reader()) {
            Ok(reader) => reader,
            Err(cause) => {
                refusal(&cause);
                return;
            }
        };
        let (mut last, mut damages) = (0, 0);
        loop {
            match reader.next() {
                Ok(Some(record)) => {
                    let at = usize::try_from(record.lsn).expect("small") - 1;
                    assert!(record.lsn > last, "{what}: LSNs rise");
                    last = record.lsn;
                    assert_eq!(
                        self.records.get(at),
                        Some(&Owned::of(&record)),
                        "{what}: the record of its LSN"
                    );
                    assert!(record.after_gap || damages == 0, "{what}: behind damage nothing counts");
                }
                Ok(None) => break,
                Err(_) => damages += 1,
            }
            assert!(damages < 1000, "{what}: a reader comes to an end");
        }
    }
}

/// In a release build every truncation of the content and each of its bits, 137,000 damaged copies:
/// `cargo test --release -p aegis-tests --test bytes every_`. A debug build tries every seventh. Behind the content,
/// where only zeros stand, every 512th byte is enough in both.
#[test]
fn every_truncation_and_every_bit_flip_of_a_specimen_is_classified() {
    let mut bench = Bench::new();
    for file in 0..bench.files.len() {
        let whole = bench.files[file].1.clone();
        let end = bench.content_end(file);
        let lengths = (0..end).step_by(STRIDE).chain((end..whole.len()).step_by(512));
        for length in lengths {
            bench.judge(file, &whole[..length], &format!("cut at {length}"));
        }
        let bits = (0..end * 8).step_by(STRIDE).chain((end * 8..whole.len() * 8).step_by(512 * 8 + 1));
        for bit in bits {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            bench.judge(file, &damaged, &format!("bit {} of byte {}", bit % 8, bit / 8));
        }
    }
    println!("{} damaged copies: {:?}", bench.tried, bench.met);
    assert!(bench.met.get("E").is_some_and(|n| *n > bench.tried / 4), "{:?}", bench.met);
}
