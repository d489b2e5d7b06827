//! The worked example of `journal-format.md` is decoded here, so that document and code are one change.

use super::*;
use crate::layout::{Header, Mark, PAGE_BYTES, Seal};

const SEGMENT: &str = "0000000001.seg";

/// The journal the document shows: two batches, a mark, and what a recovery adds to it.
fn written() -> MemStorage {
    let disk = MemStorage::new();
    let mut writer = create(disk.clone(), ID, SMALL).unwrap();
    let record = |kind, actor, cause, payload| NewRecord {
        kind,
        version: 1,
        actor,
        time_ns: 1_700_000_000_000_000_000,
        cause,
        payload,
    };
    writer.append(&[record(1, 7, 0, b"hello"), record(2, 7, 1, b"")], Room::Normal).unwrap();
    writer.sync().unwrap();
    writer.append(&[record(1, 9, 2, b"aegis")], Room::Normal).unwrap();
    writer.close().unwrap();
    recover(&disk).unwrap();
    disk
}

/// Every `offset: bytes` line of the document's `hex` blocks.
fn shown() -> Vec<(usize, Vec<u8>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../journal-format.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line.trim() {
            "```hex" => inside = true,
            "```" => inside = false,
            line if inside => {
                let (offset, bytes) = line.split_once(':').expect("offset: bytes");
                let bytes = bytes.split('|').next().unwrap();
                let bytes = bytes.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
                lines.push((offset.trim().parse().unwrap(), bytes));
            }
            _ => {}
        }
    }
    lines
}

#[test]
fn the_worked_example_is_what_this_program_writes_and_reads() {
    let lines = shown();
    assert!(lines.len() >= 18, "the document shows an example: {} lines", lines.len());
    let end = lines.iter().map(|(offset, bytes)| offset + bytes.len()).max().unwrap();
    let mut file = vec![0; end];
    for (offset, bytes) in &lines {
        file[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    let ours = written().file(SEGMENT).unwrap();
    assert!(file == ours, "the document's bytes are ours");

    // And read back from the document alone.
    let header = Header::decode(&file[..PAGE_BYTES as usize]).unwrap();
    assert_eq!((header.identity, header.number, header.epoch, header.first_lsn), (ID, 1, 1, 1));
    let (mark, _) = Mark::newest(&file[..PAGE_BYTES as usize], header.salt());
    assert_eq!(mark, Some(Mark { durable_lsn: 3, sequence: 1 }));
    let seal = Seal::decode(&file[file.len() - 72..]).unwrap();
    assert_eq!((seal.last_lsn, seal.count, seal.epoch), (3, 3, 1));
    let disk = MemStorage::new();
    disk.set_file(SEGMENT, &file);
    let (records, damages) = read_all(crate::Storage::reader(&disk)).unwrap();
    assert_eq!(damages, []);
    let told: Vec<_> =
        records.iter().map(|(r, _)| (r.lsn, r.kind, r.actor, r.cause, &r.payload[..], r.batch_end)).collect();
    assert_eq!(
        told,
        [(1, 1, 7, 0, &b"hello"[..], false), (2, 2, 7, 1, &b""[..], true), (3, 1, 9, 2, &b"aegis"[..], true)]
    );
}

#[test]
fn the_document_prints_every_row_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../journal-format.md");
    let text = std::fs::read_to_string(path).unwrap();
    for row in ["A", "B", "C", "D", "E", "H", "J", "K", "W", "S", "M"] {
        assert!(text.contains(&format!("\n| {row} |")), "row {row}");
    }
    let version = format!("Format version: {}", crate::FORMAT_VERSION);
    assert!(text.contains(&version), "{version}");
}

/// Prints the example's lines, to be pasted into the document when the format changes.
#[test]
fn the_example_can_be_printed() {
    let file = written().file(SEGMENT).unwrap();
    let mut out = String::new();
    for (n, line) in file.chunks(16).enumerate() {
        if line.iter().any(|b| *b != 0) {
            let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
            out += &format!("{}: {}\n", n * 16, hex.join(" "));
        }
    }
    println!("{out}");
    assert!(out.lines().count() >= 18);
}
