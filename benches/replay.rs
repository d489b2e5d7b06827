//! Reading back: verify alone; verify, decode and fold into the real state; the same with a second thread that
//! verifies ahead; and how many allocations an event costs in the steady state.
//!
//! The limit is a loop over the same payloads in memory, framed as simply as can be: walk, crc32fast, decode.

use aegis_benches::allocations::{self, Counting};
use aegis_benches::report::{Report, Unit, repetitions};
use aegis_benches::{Encoded, bare, fill, is_full, mixed, prelude, size, timed};
use aegis_journal::{JournalReader, Record};
use aegis_model::{Event, Lsn, RecordHead, Timestamp};
use aegis_projection::State;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Records that change threads at once: large enough that the hand-over costs nothing, small enough for the cache.
const PORTION: usize = 2_048;
/// Portions under way between the two threads.
const PORTIONS: usize = 8;

fn head(record: &Record<'_>) -> RecordHead {
    RecordHead {
        kind: record.kind,
        version: record.version,
        actor: record.actor,
        time: Timestamp(record.time_ns),
        cause: Lsn(record.cause),
    }
}

fn verify(path: &Path) -> u64 {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut seen = 0;
    while reader.next().expect("whole").is_some() {
        seen += 1;
    }
    seen
}

fn fold(path: &Path) -> State {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut state = State::default();
    while let Some(record) = reader.next().expect("whole") {
        state.apply(&Event::decode(head(&record), record.payload).expect("a stored event"));
    }
    state
}

/// Verified records, owned: heads with the end of each payload, and the payloads.
#[derive(Default)]
struct Portion {
    heads: Vec<(RecordHead, usize)>,
    payloads: Vec<u8>,
}

/// Verifies and copies on this thread what the other one folds; the portions go round.
fn ahead(path: &Path, full: &SyncSender<Portion>, empty: &Receiver<Portion>) {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut portion = empty.recv().expect("a portion");
    while let Some(record) = reader.next().expect("whole") {
        portion.payloads.extend_from_slice(record.payload);
        let end = portion.payloads.len();
        portion.heads.push((head(&record), end));
        if portion.heads.len() == PORTION {
            full.send(portion).expect("somebody folds");
            portion = empty.recv().expect("a portion");
        }
    }
    full.send(portion).expect("somebody folds");
}

fn fold_with_a_second_thread(path: &Path) -> State {
    let (full, verified) = sync_channel(PORTIONS);
    let (back, empty) = sync_channel(PORTIONS);
    for _ in 0..PORTIONS {
        back.send(Portion::default()).expect("room");
    }
    std::thread::scope(|scope| {
        scope.spawn(move || ahead(path, &full, &empty));
        let mut state = State::default();
        for mut portion in verified {
            let mut start = 0;
            for (head, end) in portion.heads.drain(..) {
                let payload = &portion.payloads[start..end];
                start = end;
                state.apply(&Event::decode(head, payload).expect("a stored event"));
            }
            portion.payloads.clear();
            // The reader may have ended already; then nobody needs the portion any more.
            let _ = back.send(portion);
        }
        state
    })
}

/// What one kind of measurement took in each repetition, ns a record.
#[derive(Default)]
struct Rows {
    verify: Vec<f64>,
    fold: Vec<f64>,
    threads: Vec<f64>,
    walk: Vec<f64>,
    walk_decode: Vec<f64>,
    decode: Vec<f64>,
    apply: Vec<f64>,
}

/// Decoding and folding by themselves, over events that fit in the cache, one window after the other.
fn parts(count: u64) -> (f64, f64) {
    const WINDOW: u64 = 4_000;
    let mut state = State::default();
    prelude().iter().for_each(|event| state.apply(event));
    let (mut decoding, mut folding, mut n) = (Duration::ZERO, Duration::ZERO, 0);
    while n < count {
        let events: Vec<Event> = (n..n + WINDOW).map(mixed).collect();
        let encoded = Encoded::of(&events);
        let (took, ()) = timed(|| {
            let mut start = 0;
            for (head, end) in &encoded.heads {
                let event = Event::decode(*head, &encoded.payloads[start..*end]);
                start = *end;
                std::hint::black_box(&event).as_ref().expect("an event");
            }
        });
        decoding += took;
        let (took, ()) = timed(|| events.iter().for_each(|event| state.apply(event)));
        folding += took;
        n += WINDOW;
    }
    (decoding.as_nanos() as f64 / n as f64, folding.as_nanos() as f64 / n as f64)
}

/// Allocations of decode and fold over the second half of the events, when every table has its size.
fn allocations(path: &Path, total: u64) -> (f64, f64) {
    let mut reader = JournalReader::open_dir(path).expect("a journal");
    let mut state = State::default();
    let (mut reading, mut folding, mut counted) = (0, 0, 0);
    loop {
        let before = allocations::count();
        let Some(record) = reader.next().expect("whole") else { break };
        let read = allocations::count();
        state.apply(&Event::decode(head(&record), record.payload).expect("a stored event"));
        if record.lsn > total / 2 {
            reading += read - before;
            folding += allocations::count() - read;
            counted += 1;
        }
    }
    (reading as f64 / counted as f64, folding as f64 / counted as f64)
}

fn main() {
    let report = Report::new(
        "replay",
        "page cache warm (goals: read and verify 50 ns a record, verify, decode and fold 50 ns, no allocation in the \
         steady state); the limit is a walk over bare frames of the same payloads in memory",
    );
    let count = size(1_000_000, 10_000);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("j");
    let n = fill::journal(&path, count);
    let mut events = prelude();
    events.extend((0..count).map(mixed));
    let encoded = Encoded::of(&events);
    drop(events);
    let frames = bare::frames(&encoded);
    let each = |took: Duration| took.as_nanos() as f64 / n as f64;

    let mut digest = None;
    let mut agrees = |state: &State| {
        assert!(state.totals.anomalies.is_empty(), "the mix is lawful: {:?}", state.totals.anomalies);
        let this = state.digest();
        assert_eq!(*digest.get_or_insert(this), this, "every way of folding ends in the same state");
    };
    let mut rows = Rows::default();
    for _ in 0..repetitions() {
        let (took, seen) = timed(|| verify(&path));
        assert_eq!(seen, n);
        rows.verify.push(each(took));
        let (took, seen) = timed(|| bare::walk(&frames, |payload| _ = std::hint::black_box(payload)));
        assert_eq!(seen, n);
        rows.walk.push(each(took));
        let (took, state) = timed(|| fold(&path));
        agrees(&state);
        rows.fold.push(each(took));
        let (took, _) = timed(|| {
            let mut heads = encoded.heads.iter();
            bare::walk(&frames, |payload| {
                let (head, _) = heads.next().expect("as many heads as frames");
                let event = Event::decode(*head, payload);
                std::hint::black_box(&event).as_ref().expect("an event");
            })
        });
        rows.walk_decode.push(each(took));
        let (took, state) = timed(|| fold_with_a_second_thread(&path));
        agrees(&state);
        rows.threads.push(each(took));
        let (decode, apply) = parts(count.min(400_000));
        rows.decode.push(decode);
        rows.apply.push(apply);
    }
    report.beside("read and verify", n, Unit::Ns, &rows.verify, &rows.walk);
    report.beside("read, verify, decode and fold", n, Unit::Ns, &rows.fold, &rows.walk_decode);
    report.beside("the same, a second thread verifying ahead", n, Unit::Ns, &rows.threads, &rows.walk_decode);
    report.row("  of it: decode alone", n, Unit::Ns, &rows.decode);
    report.row("  of it: fold alone", n, Unit::Ns, &rows.apply);
    let (reading, folding) = allocations(&path, n);
    report.row("allocations in 1000 records, reading and verifying", n / 2, Unit::Count, &[reading * 1e3]);
    report.row("allocations in 1000 events, decode and fold", n / 2, Unit::Count, &[folding * 1e3]);
    // Below that size the memory of what ended is still growing to its bound.
    assert!(!is_full() || reading.max(folding) < 0.001, "a steady fold asks for no memory");
}
