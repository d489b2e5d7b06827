//! Batches and seals wherever the window of their reader ends, and batches longer than any may be.

use super::*;
use crate::{Row, verify};

const SEGMENT: &str = "0000000001.seg";

/// A batch of two records by the document alone, `bytes` long.
fn batch_of_bytes(page: &[u8], bytes: usize) -> Vec<u8> {
    let crc = |initial: u32, bytes: &[u8]| {
        let mut hasher = crc32fast::Hasher::new_with_initial(initial);
        hasher.update(bytes);
        hasher.finalize()
    };
    let epoch = &page[40..48];
    let salt = crc(crc(crc(0, &page[16..32]), &page[32..40]), epoch);
    let mut chain = crc(0, epoch);
    let mut out = Vec::new();
    for (lsn, flags, room) in [(1_u64, 1 << 25, bytes / 2), (2, 1 << 24, bytes - bytes / 2)] {
        let first = flags == 1 << 25;
        let head = if first { 40 } else { 32 };
        let mut frame = ((room - head) as u32 | flags | 1 << 26).to_le_bytes().to_vec();
        frame.extend([0; 4]);
        frame.extend(lsn.to_le_bytes());
        frame.extend([0; 8]);
        frame.extend([0, 0, 0, 0, 1, 0, 1, 0]);
        if first {
            frame.extend(1_u32.to_le_bytes());
            frame.extend((chain ^ salt).to_le_bytes());
        }
        frame.resize(room, 5);
        chain = crc(crc(chain, &frame[..4]), &frame[8..]);
        frame[4..8].copy_from_slice(&chain.to_le_bytes());
        out.extend(frame);
    }
    out
}

#[test]
fn a_batch_of_more_than_a_mebibyte_is_not_believed() {
    let config = crate::Config { segment_bytes: 4 << 20, ..SMALL };
    for (bytes, records) in [(1 << 20, 2), ((1 << 20) + 16, 0), (3 << 20, 0)] {
        let disk = MemStorage::new();
        drop(create(disk.clone(), ID, config).unwrap());
        let disk = disk.kill();
        let page = disk.file(SEGMENT).unwrap();
        disk.patch(SEGMENT, 4096, &batch_of_bytes(&page, bytes));
        let (shown, damages) = read_all(crate::Storage::reader(&disk)).unwrap();
        assert_eq!((shown.len(), damages.len()), (records, 0), "{bytes}");
        let report = recover_with(&disk, config).unwrap().2;
        let row = if records == 0 { Row::C } else { Row::B };
        assert_eq!((report.row, report.last_lsn), (row, records as u64), "{bytes}");
    }
}

#[test]
fn a_seal_is_read_wherever_the_window_of_its_reader_ends() {
    let config = crate::Config { segment_bytes: 1 << 20, ..SMALL };
    let window = 4096 + (256 << 10);
    for seal in (window - 80..=window + 8).step_by(8) {
        let disk = MemStorage::new();
        let mut writer = create(disk.clone(), ID, config).unwrap();
        let mut batch = batch_of(1, 1, 1);
        batch[0].payload.resize(1_000, 1);
        writer.append(&new_records(&batch), Room::Normal).unwrap();
        let mut batch = batch_of(2, 1, 1);
        batch[0].payload.resize(seal - 4096 - 1_040 - 40, 1);
        writer.append(&new_records(&batch), Room::Normal).unwrap();
        writer.sync().unwrap();
        drop(writer);
        drop(recover_with(&disk, config).unwrap());
        assert!(disk.file(SEGMENT).unwrap().len() >= seal + 72);
        let report = verify(&crate::Storage::reader(&disk), |_| ()).unwrap();
        assert_eq!((report.records, report.findings), (2, Vec::new()), "seal at {seal}");
    }
}
