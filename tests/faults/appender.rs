//! A process that does nothing but append to a journal and tell which records are durable: this test program itself,
//! started again. What it appends follows from number and life alone, so that whoever knows both can check it.

use crate::ground::{Moments, number};
use aegis_journal::{
    Config, DirReader, DirStorage, Expect, Identity, JournalReader, NewRecord, OpenError, Room, Writer,
    create, open,
};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) const IDENTITY: Identity = Identity { journal_id: *b"faults of a disk", schema: 9, mode: 1 };
pub(crate) const EXPECT: Expect = Expect { journal_id: Some(IDENTITY.journal_id), schema: 9, mode: 1 };
const KIND: u16 = 1;
/// Records a batch at most.
const BATCH_MAX: u64 = 5;
/// Bytes a payload has at most.
const PAYLOAD_MAX: u64 = 700;

pub(crate) fn config(segment_bytes: u64) -> Config {
    Config { segment_bytes, ..Config::default() }
}

/// What record `lsn`, written in life `life`, holds.
pub(crate) fn payload(lsn: u64, life: u64) -> Vec<u8> {
    let mut moments = Moments(lsn.wrapping_mul(0x1_0001).wrapping_add(life << 40));
    let length = moments.below(PAYLOAD_MAX) as usize;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(moments.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Recovers the journal in `dir`, or makes it.
pub(crate) fn begin(dir: &Path, config: Config) -> Result<Writer<DirStorage>, String> {
    let storage = || DirStorage::new(dir).map_err(|e| e.to_string());
    let opening = match open(storage()?, EXPECT, config) {
        Err(OpenError::NoJournal) => return create(storage()?, IDENTITY, config).map_err(|e| e.to_string()),
        other => other.map_err(|e| e.to_string())?,
    };
    // A device that dies under the opening cannot be read, which is damage as far as anybody can tell; but then nothing
    // can be written either, and the finding is gone with the process.
    let (writer, report) = opening.finish().map_err(|e| e.to_string())?;
    if report.gap.is_some() || !report.known_gaps.is_empty() {
        return Err(format!("a failure of the power was taken for rot: {report:?}"));
    }
    Ok(writer)
}

/// Appends one batch of life `life`.
pub(crate) fn append<S: aegis_journal::Storage>(
    writer: &mut Writer<S>,
    records: u64,
    life: u64,
) -> Result<u64, aegis_journal::Fault> {
    let first = writer.next_lsn();
    let payloads: Vec<Vec<u8>> = (first..first + records).map(|lsn| payload(lsn, life)).collect();
    let batch: Vec<NewRecord<'_>> = payloads
        .iter()
        .map(|payload| NewRecord {
            kind: KIND,
            version: 1,
            actor: 1,
            time_ns: life as i64,
            cause: 0,
            payload,
        })
        .collect();
    writer.append(&batch, Room::Normal)
}

/// Not a test of its own: what the process does that the other tests start and cut off. It ends when something fails.
#[test]
fn appends_and_tells() {
    let Some(dir) = std::env::var_os("AEGIS_FAULTS_APPEND") else { return };
    let life = number("AEGIS_FAULTS_LIFE").expect("which life this is");
    let mut told = std::io::stderr().lock();
    let mut tell = |what: u8, value: u64| {
        let mut bytes = [what; 9];
        bytes[1..].copy_from_slice(&value.to_le_bytes());
        told.write_all(&bytes).expect("somebody listens");
    };
    let mut writer = match begin(&PathBuf::from(dir), config(256 << 10)) {
        Ok(writer) => writer,
        Err(e) => {
            // A cut that came this early is no finding; anything else the next life will say again.
            tell(b'F', 0);
            println!("{e}");
            std::process::exit(1);
        }
    };
    tell(b'B', writer.next_lsn());
    let mut moments = Moments(life);
    loop {
        // Mostly little waits for a sync; now and then many pages do.
        let batches = if moments.below(8) == 0 { 60 } else { 1 + moments.below(4) };
        for _ in 0..batches {
            let records = 1 + moments.below(BATCH_MAX);
            if append(&mut writer, records, life).is_err() {
                std::process::exit(0);
            }
        }
        let Ok(durable) = writer.sync() else { std::process::exit(0) };
        tell(b'D', durable);
        if moments.below(200) == 0 {
            // Folded states make a journal forget nothing, but they change what an opening reads.
            let _ = writer.checkpoint(durable, [7; 32], &durable.to_le_bytes());
        }
        if moments.below(500) == 0 && writer.mark().is_err() {
            std::process::exit(0);
        }
    }
}

/// A running process that appends.
pub(crate) struct Appender {
    child: Child,
}

/// What it told until it ended.
#[derive(Default)]
pub(crate) struct Told {
    /// The first number it would give.
    pub(crate) began: Option<u64>,
    /// The last number it knew as durable.
    pub(crate) durable: Option<u64>,
    /// Why it could not begin.
    pub(crate) refused: Option<String>,
}

impl Appender {
    pub(crate) fn start(dir: &Path, life: u64) -> Appender {
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "appender::appends_and_tells", "--nocapture", "--test-threads=1"])
            .env("AEGIS_FAULTS_APPEND", dir)
            .env("AEGIS_FAULTS_LIFE", life.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this program starts again");
        Appender { child }
    }

    /// Waits until it told something, as soon as which it is at work.
    pub(crate) fn begins(&mut self) -> [u8; 9] {
        let mut first = [0; 9];
        let told = self.child.stderr.as_mut().expect("its words").read_exact(&mut first);
        told.unwrap_or_else(|e| panic!("the appending process told nothing: {e}"));
        first
    }

    /// Everything it told, after it ended by itself or, where it still appends, was killed. A whole pipe of words is
    /// far more than a life between two cuts tells.
    pub(crate) fn ends(mut self, first: Option<[u8; 9]>) -> Told {
        let mut words = first.map(Vec::from).unwrap_or_default();
        let _ = self.child.stderr.as_mut().expect("its words").read_to_end(&mut words);
        let mut said = String::new();
        let _ = self.child.stdout.as_mut().expect("its output").read_to_string(&mut said);
        self.child.wait().expect("its end");
        let mut told = Told::default();
        for word in words.chunks_exact(9) {
            let value = u64::from_le_bytes(word[1..].try_into().expect("eight bytes"));
            match word[0] {
                b'B' => told.began = Some(value),
                b'D' => told.durable = Some(value),
                b'F' => told.refused = Some(said.clone()),
                _ => panic!("the appending process said {}", String::from_utf8_lossy(&words)),
            }
        }
        told
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In which life each durable record was written: the last number of each life that made any durable.
#[derive(Clone, Default)]
pub(crate) struct Lives(Vec<(u64, u64)>);

impl Lives {
    /// The last number that was told as durable.
    pub(crate) fn durable(&self) -> u64 {
        self.0.last().map_or(0, |&(lsn, _)| lsn)
    }

    pub(crate) fn told(&mut self, life: u64, durable: u64) {
        assert!(
            durable >= self.durable(),
            "life {life} knows {durable} records as durable, an earlier one more"
        );
        self.0.push((durable, life));
    }

    fn of(&self, lsn: u64) -> Option<u64> {
        let at = self.0.partition_point(|&(last, _)| last < lsn);
        self.0.get(at).map(|&(_, life)| life)
    }

    /// Reads the journal from `from` on: every record is one that was appended, and every durable one is there. Returns
    /// the number of the last.
    pub(crate) fn are_kept(&self, dir: &Path, from: u64, when: &str) -> u64 {
        let mut last = from - 1;
        let mut reader = match DirReader::new(dir).map(JournalReader::open) {
            Ok(Ok(reader)) => reader,
            _ if self.durable() == 0 => return 0,
            Ok(Err(e)) => panic!("{when}: {e}"),
            Err(e) => panic!("{when}: {e}"),
        };
        reader.seek(from).unwrap_or_else(|e| panic!("{when}: {e}"));
        while let Some(record) = reader.next().unwrap_or_else(|e| panic!("{when}: {e}")) {
            assert_eq!(record.lsn, last + 1, "{when}: the numbers have a hole");
            last = record.lsn;
            let life = record.time_ns as u64;
            assert_eq!(
                record.payload,
                payload(record.lsn, life),
                "{when}: record {last} holds something else"
            );
            if let Some(durable_in) = self.of(last) {
                assert!(
                    life <= durable_in,
                    "{when}: record {last}, durable in life {durable_in}, is one of life {life}"
                );
            }
        }
        assert!(
            last >= self.durable(),
            "{when}: record {} was told as durable, and {last} is the last one kept",
            self.durable()
        );
        last
    }
}
