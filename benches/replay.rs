//! Reading back: verify alone; verify, decode and fold into the real state; and opening with a checkpoint.

use aegis_benches::{Encoded, IDENTITY, median, mixed, prelude, row, size, timed};
use aegis_engine::{Engine, Settings};
use aegis_journal::{Config, DirStorage, Expect, JournalReader, NewRecord, Room};
use aegis_model::{Event, Lsn, RecordHead, Timestamp};
use aegis_node::{Limits, Node};
use aegis_projection::State;

fn main() {
    let count = size(1_000_000, 10_000);
    let mut events = prelude();
    events.extend((0..count).map(mixed));
    let encoded = Encoded::of(&events);
    let records: Vec<NewRecord<'_>> = encoded.records().collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let mut writer =
        aegis_journal::create(DirStorage::new(&path).expect("a directory"), IDENTITY, Config::default())
            .expect("a new journal");
    for batch in records.chunks(20) {
        writer.append(batch, Room::Reserve).expect("room");
    }
    writer.sync().expect("a sync");
    drop(writer);
    let n = events.len() as u64;
    let repetitions = size(5, 1) as usize;
    println!("replay of {n} events of the mix (goal: below 150 ns an event with verification and fold)");

    let verified = median(repetitions, || {
        let (took, seen) = timed(|| {
            let mut reader = JournalReader::open_dir(&path).expect("a journal");
            let mut seen = 0;
            while reader.next().expect("whole").is_some() {
                seen += 1;
            }
            seen
        });
        assert_eq!(seen, n);
        took
    });
    row("read and verify", n, verified);

    let mut digest = None;
    let folded = median(repetitions, || {
        let (took, state) = timed(|| {
            let mut reader = JournalReader::open_dir(&path).expect("a journal");
            let mut state = State::default();
            while let Some(record) = reader.next().expect("whole") {
                let head = RecordHead {
                    kind: record.kind,
                    version: record.version,
                    actor: record.actor,
                    time: Timestamp(record.time_ns),
                    cause: Lsn(record.cause),
                };
                state.apply(&Event::decode(head, record.payload).expect("a stored event"));
            }
            state
        });
        assert!(state.totals.anomalies.is_empty(), "the mix is lawful: {:?}", state.totals.anomalies);
        let this = state.digest();
        assert_eq!(*digest.get_or_insert(this), this);
        took
    });
    row("read, verify, decode and fold", n, folded);

    let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
    let open = || {
        let storage = DirStorage::new(&path).expect("a directory");
        Node::open(Engine::new(Settings::default()), storage, expect, Config::default(), Limits::default())
            .expect("opens")
    };
    let (took, (node, report)) = timed(open);
    assert_eq!(report.replayed, n);
    row("open without a checkpoint (whole)", 1, took);
    node.close().expect("closes");
    let with_checkpoint = median(repetitions, || {
        let (took, (node, report)) = timed(open);
        assert_eq!(report.replayed, 0);
        drop(node);
        took
    });
    let parts = || {
        let storage = DirStorage::new(&path).expect("a directory");
        let (looked, opening) =
            timed(|| aegis_journal::open(storage, expect, Config::default()).expect("opens"));
        let (began, writer) = timed(|| opening.finish().expect("begins"));
        drop(writer);
        (looked, began)
    };
    println!("open with a checkpoint at {n} events (goal: below 50 ms)");
    let looked = median(repetitions, || parts().0);
    let began = median(repetitions, || parts().1);
    row("  of it: looking at the journal", 1, looked);
    row("  of it: beginning a segment", 1, began);
    row("open with a checkpoint (whole)", 1, with_checkpoint);
}
