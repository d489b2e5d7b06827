//! The commit loop against a disk that dies, lies and fails, with a machine that counts.

use super::*;
use crate::open::{OpenError, OpenReport};
use aegis_journal::{Config, Expect, Identity, MemStorage, PowerCut};
use aegis_model::machine::Decision;
use aegis_model::wire::DecodeError;
use proptest::prelude::*;

const IDENTITY: Identity = Identity { journal_id: [7; 16], schema: 9, mode: 1 };
const KIND: u16 = 1;

/// A sum of numbers and how many there were.
#[derive(Clone, Default)]
struct Counter {
    sum: u64,
    count: u64,
}

/// What the counter is asked: to add these numbers, and to act on it or not.
#[derive(Clone, Debug, Default)]
struct Add {
    numbers: Vec<u16>,
    acts: bool,
    exposes: bool,
}

/// A number, and whether it is new exposure.
#[derive(Clone)]
struct Added(u16, bool);

impl Machine for Counter {
    type Input = Add;
    type Event = Added;
    /// The record that the effect rests on.
    type Effect = Lsn;

    fn handle(&mut self, _now: Timestamp, input: &Add) -> Decision<Added, Lsn> {
        let events: Vec<Added> = input.numbers.iter().map(|n| Added(*n, input.exposes)).collect();
        events.iter().for_each(|event| self.apply(event));
        Decision { events, effects: if input.acts { vec![self.lsn()] } else { Vec::new() } }
    }

    fn apply(&mut self, event: &Added) {
        self.sum = self.sum.wrapping_mul(31).wrapping_add(u64::from(event.0));
        self.count += 1;
    }

    fn encode(event: &Added, out: &mut Vec<u8>) -> RecordHead {
        out.extend(event.0.to_le_bytes());
        out.push(u8::from(event.1));
        // Large enough that a small segment fills in a few hundred records.
        out.extend([0; 200]);
        RecordHead { kind: KIND, version: 1, actor: 1, time: Timestamp(i64::from(event.0)), cause: Lsn::NONE }
    }

    fn decode(head: RecordHead, payload: &[u8]) -> Result<Added, DecodeError> {
        match payload {
            [a, b, exposes, ..] if head.kind == KIND => {
                Ok(Added(u16::from_le_bytes([*a, *b]), *exposes == 1))
            }
            _ => Err(DecodeError::Kind(head.kind)),
        }
    }

    fn lsn(&self) -> Lsn {
        Lsn(self.count)
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&self.save());
        digest
    }

    fn save(&self) -> Vec<u8> {
        [self.sum.to_le_bytes(), self.count.to_le_bytes()].concat()
    }

    fn load(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        let (Some((sum, rest)), true) = (state.split_first_chunk::<8>(), state.len() == 16) else {
            return Err(DecodeError::Trailing { kind: 0, bytes: state.len() });
        };
        self.sum = u64::from_le_bytes(*sum);
        self.count = rest.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
        Ok(())
    }

    fn may_use_reserve(events: &[Added]) -> bool {
        !events.iter().any(|event| event.1)
    }
}

type Opened = (Node<Counter, MemStorage>, Option<OpenReport>);

fn config() -> Config {
    Config { segment_bytes: Config::SEGMENT_BYTES_MIN, ..Config::default() }
}

fn limits(checkpoint_records: u64) -> Limits {
    Limits { checkpoint_records, unsynced_max: 16 }
}

/// Opens the journal on a disk, or creates it.
fn open(disk: MemStorage, create: MemStorage, limits: Limits) -> Result<Opened, OpenError> {
    let expect = Expect { journal_id: None, schema: IDENTITY.schema, mode: IDENTITY.mode };
    match Node::open(Counter::default(), disk, expect, config(), limits) {
        Ok((node, report)) => Ok((node, Some(report))),
        Err(OpenError::Journal(aegis_journal::OpenError::NoJournal)) => {
            Node::create(Counter::default(), create, IDENTITY, config(), limits).map(|node| (node, None))
        }
        Err(error) => Err(error),
    }
}

fn fresh(limits: Limits) -> (Node<Counter, MemStorage>, MemStorage) {
    let disk = MemStorage::new();
    let (node, _) = open(disk.clone(), disk.clone(), limits).expect("a fresh disk");
    (node, disk)
}

fn add(numbers: &[u16], acts: bool) -> Add {
    Add { numbers: numbers.to_vec(), acts, exposes: false }
}

/// States by LSN after each batch of these inputs.
fn states(inputs: &[Add]) -> Vec<(u64, [u8; 32])> {
    let mut counter = Counter::default();
    let mut states = vec![(0, counter.digest())];
    for input in inputs {
        counter.handle(Timestamp::EPOCH, input);
        states.push((counter.count, counter.digest()));
    }
    states
}

#[test]
fn effects_come_only_after_a_sync_and_quiet_records_wait_for_one() {
    let (mut node, disk) = fresh(limits(0));
    let before = disk.syncs();
    assert_eq!(node.step(Timestamp(1), &[add(&[1, 2], false)]).expect("no fault"), []);
    assert_eq!((node.unsynced(), disk.syncs()), (2, before), "nothing to release, nothing synced");
    let effects = node.step(Timestamp(2), &[add(&[], true)]).expect("no fault");
    assert_eq!(
        (effects, node.unsynced()),
        (vec![Lsn(2)], 0),
        "an effect without events waits for the earlier ones"
    );
    assert_eq!(disk.syncs(), before + 1);
    node.step(Timestamp(3), &[add(&[], true)]).expect("no fault");
    assert_eq!(disk.syncs(), before + 1, "nothing was left to sync");
}

#[test]
fn each_event_is_told_with_its_number_in_order() {
    let (mut node, _) = fresh(limits(0));
    node.step(Timestamp(1), &[add(&[9, 9], false)]).expect("no fault");
    let mut told = Vec::new();
    let inputs = [add(&[1, 2], false), add(&[], true), add(&[3], true)];
    let effects = node.step_telling(Timestamp(2), &inputs, |lsn, event: &Added| told.push((lsn.0, event.0)));
    assert_eq!(told, [(3, 1), (4, 2), (5, 3)]);
    assert_eq!(effects.expect("no fault"), [Lsn(4), Lsn(5)], "and the effects are those of a step");
}

#[test]
fn one_sync_covers_all_inputs_of_a_step_and_the_bound_forces_one() {
    let (mut node, disk) = fresh(limits(0));
    let before = disk.syncs();
    let effects =
        node.step(Timestamp(1), &[add(&[1], true), add(&[2], true), add(&[3], true)]).expect("no fault");
    assert_eq!((effects.len(), disk.syncs()), (3, before + 1));
    node.step(Timestamp(1), &[add(&[0; 16], false)]).expect("no fault");
    assert_eq!((node.unsynced(), disk.syncs()), (0, before + 2), "sixteen may wait at most");
    assert_eq!(node.stats().batches, 4);
}

#[test]
fn the_first_fault_is_the_last_and_releases_nothing() {
    let (mut node, disk) = fresh(limits(0));
    disk.fail_sync(1);
    let fault = node.step(Timestamp(1), &[add(&[1], true)]).expect_err("the sync failed");
    assert!(matches!(fault, Fault::Sync(_)), "{fault}");
    for _ in 0..2 {
        assert!(matches!(node.step(Timestamp(2), &[add(&[], true)]), Err(Fault::Latched(_))));
        assert!(matches!(node.flush(), Err(Fault::Latched(_))));
        assert!(matches!(node.checkpoint(), Err(Fault::Latched(_))));
    }
}

#[test]
fn a_checkpoint_and_its_tail_give_the_state_of_a_full_replay() {
    let (mut node, disk) = fresh(limits(0));
    node.step(Timestamp(5), &[add(&[1, 2, 3], true)]).expect("no fault");
    node.checkpoint().expect("no fault");
    node.step(Timestamp(6), &[add(&[4], true)]).expect("no fault");
    let live = node.machine().digest();
    drop(node);
    let disk = disk.kill();
    let (node, report) = open(disk.clone(), disk.clone(), limits(0)).expect("opens");
    let report = report.expect("an existing journal");
    assert_eq!((report.checkpoint, report.replayed), (Some(Lsn(3)), 1));
    assert_eq!(node.machine().digest(), live);
    drop(node);
    let disk = disk.kill();
    disk.names().iter().filter(|name| name.ends_with(".ckpt")).for_each(|name| disk.remove_file(name));
    let (node, report) = open(disk.clone(), disk, limits(0)).expect("opens");
    assert_eq!((report.expect("existing").checkpoint, node.machine().digest()), (None, live));
}

#[test]
fn a_checkpoint_that_is_not_the_state_it_says_is_passed_over() {
    let (mut node, disk) = fresh(limits(0));
    node.step(Timestamp(5), &[add(&[1, 2, 3], true)]).expect("no fault");
    // Whole by its own checksum, but of another state: what a mistake in a fold would leave.
    node.writer
        .checkpoint(3, [9; 32], &[[0u8; CHECKPOINT_HEAD].to_vec(), vec![1; 16]].concat())
        .expect("written");
    let live = node.machine().digest();
    drop(node);
    let disk = disk.kill();
    let (node, report) = open(disk.clone(), disk, limits(0)).expect("opens");
    let report = report.expect("existing");
    assert_eq!((report.checkpoint, report.skipped.len(), report.replayed), (None, 1, 3));
    assert_eq!(node.machine().digest(), live);
}

#[test]
fn a_journal_without_its_beginning_is_refused_in_words_and_nothing_is_changed() {
    let (mut node, disk) = fresh(limits(0));
    let mut records = 0;
    while !disk.names().iter().any(|name| name.contains("0000000003")) {
        node.step(Timestamp(1), &[add(&[1; 20], true)]).expect("no fault");
        records += 20;
    }
    node.close().expect("no fault");
    let whole = disk.kill();
    let first = whole.names().into_iter().find(|name| name.contains("0000000001")).expect("a first segment");
    let checkpoints: Vec<String> = whole.names().into_iter().filter(|name| name.ends_with(".ckpt")).collect();
    assert!(!checkpoints.is_empty());
    let without = |missing: bool| {
        let disk = whole.fork();
        checkpoints.iter().for_each(|name| disk.remove_file(name));
        match missing {
            true => disk.remove_file(&first),
            false => disk.patch(&first, aegis_journal::PAGE_BYTES + 9, &[0xff; 4]),
        }
        disk
    };
    for missing in [true, false] {
        let disk = without(missing);
        let files = || {
            let names = disk.names().into_iter().filter(|name| !name.ends_with("lock"));
            names.map(|name| (disk.file(&name), name)).collect::<Vec<_>>()
        };
        let before = files();
        let refused = open(disk.clone(), disk.clone(), limits(0)).err().expect("nothing to go on from");
        let text = refused.to_string();
        let OpenError::Beginning { lost, skipped } = refused else { panic!("{text}") };
        assert_eq!((lost.file.as_str(), lost.missing, skipped.len()), (first.as_str(), missing, 0));
        let (_, last) = lost.whole.expect("two segments are whole");
        assert_eq!(last, records);
        let what = if missing { "is missing" } else { "offset 4096: a checksum that does not match" };
        assert!(text.contains(what) && text.contains("aegis restore"), "{text}");
        assert_eq!(files(), before, "nothing was changed");
        // A checkpoint that is brought back is enough.
        checkpoints.iter().for_each(|name| disk.set_file(name, &whole.file(name).expect("it was there")));
        let (node, report) = open(disk.clone(), disk.clone(), limits(0)).expect("opens");
        assert_eq!((report.expect("existing").checkpoint, node.lost()), (Some(Lsn(records)), None));
    }
}

#[test]
fn checkpoints_come_by_themselves_and_time_does_not_fall_behind_one() {
    let (mut node, disk) = fresh(limits(4));
    for n in 0..9 {
        node.step(Timestamp(100), &[add(&[n], false)]).expect("no fault");
    }
    assert_eq!(node.stats().checkpoints, 2);
    let stats = node.close().expect("no fault");
    assert_eq!(stats.checkpoints, 3, "one more at a clean end");
    let disk = disk.kill();
    let (mut node, report) = open(disk.clone(), disk, limits(4)).expect("opens");
    assert_eq!(report.expect("existing").replayed, 0);
    assert_eq!(node.time(), Timestamp(100), "nothing was replayed and the time is known");
    node.step(Timestamp(1), &[]).expect("no fault");
    assert_eq!(node.time(), Timestamp(100));
}

#[test]
fn an_unknown_record_refuses_the_writer_by_row_h() {
    let (mut node, disk) = fresh(limits(0));
    let strange = NewRecord { kind: 77, version: 1, actor: 1, time_ns: 0, cause: 0, payload: &[] };
    node.writer.append(&[strange], Room::Normal).expect("appended");
    node.writer.sync().expect("synced");
    drop(node);
    let disk = disk.kill();
    let refused = open(disk.clone(), disk, limits(0)).err().expect("refused");
    assert!(
        matches!(refused, OpenError::Unknown { lsn: Lsn(1), cause: DecodeError::Kind(77), .. }),
        "{refused}"
    );
    assert!(refused.to_string().starts_with("row H"));
}

#[test]
fn only_what_may_use_the_reserve_does() {
    let (mut node, disk) = fresh(limits(0));
    disk.disk_full(true);
    while !node.reserve_only() {
        node.step(Timestamp(1), &[add(&[1; 8], true)]).expect("room is left");
    }
    node.step(Timestamp(1), &[add(&[2], true)]).expect("an exit may use the reserve");
    let entry = Add { numbers: vec![3], acts: true, exposes: true };
    let fault = node.step(Timestamp(1), &[entry]).expect_err("an entry may not");
    assert!(matches!(fault, Fault::Append(_)), "{fault}");
    assert!(
        matches!(node.step(Timestamp(1), &[]), Err(Fault::Latched(_))),
        "its memory is ahead of the journal"
    );
}

/// Runs inputs on a disk that dies after `ops` changing operations; gives the released effects.
fn run_until_death(inputs: &[Add], ops: u64) -> (MemStorage, Vec<Lsn>, bool) {
    let disk = MemStorage::new();
    disk.crash_after(ops);
    let mut released = Vec::new();
    let Ok((mut node, _)) = open(disk.clone(), disk.clone(), limits(5)) else {
        return (disk, released, true);
    };
    for (at, input) in inputs.iter().enumerate() {
        match node.step(Timestamp(at as i64), std::slice::from_ref(input)) {
            Ok(effects) => released.extend(effects),
            Err(_) => return (disk, released, true),
        }
    }
    let died = node.close().is_err();
    (disk, released, died)
}

/// Law 1 and law 2 at one crash: what is recovered is the state of a prefix of whole batches, and no released effect
/// lost its record.
fn laws_hold(inputs: &[Add], disk: MemStorage, released: &[Lsn]) {
    let states = states(inputs);
    let (node, _) = match open(disk.clone(), disk.clone(), limits(5)) {
        Ok(opened) => opened,
        Err(error) => panic!("a crash never makes a journal unreadable: {error}"),
    };
    let lsn = node.machine().lsn().0;
    let expected = states.iter().find(|state| state.0 == lsn);
    assert_eq!(
        expected.map(|state| state.1),
        Some(node.machine().digest()),
        "a prefix of whole batches at {lsn}"
    );
    assert!(released.iter().all(|record| record.0 <= lsn), "{released:?} released, recovered to {lsn}");
}

fn story() -> Vec<Add> {
    (0..24u16).map(|n| add(&vec![n; usize::from(n % 4)], n % 3 == 0)).collect()
}

#[test]
fn a_kill_at_every_disk_operation_loses_nothing_that_was_released() {
    let inputs = story();
    for ops in 0.. {
        let (disk, released, died) = run_until_death(&inputs, ops);
        laws_hold(&inputs, disk.kill(), &released);
        if !died {
            assert!(ops > 50, "the story takes more than {ops} operations");
            return;
        }
    }
}

#[test]
fn a_power_cut_at_every_disk_operation_loses_nothing_that_was_released() {
    let inputs = story();
    for ops in 0.. {
        let (disk, released, died) = run_until_death(&inputs, ops);
        for seed in 0..3 {
            let cut = disk.fork().power_cut(PowerCut { seed: ops * 3 + seed, torn: true });
            laws_hold(&inputs, cut, &released);
        }
        if !died {
            assert!(ops > 50, "the story takes more than {ops} operations");
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn laws_hold_for_any_history_and_any_crash(
        history in prop::collection::vec((prop::collection::vec(any::<u16>(), 0..6), any::<bool>()), 1..40),
        ops in 0u64..400,
        seed in any::<u64>(),
        power in any::<bool>(),
    ) {
        let inputs: Vec<Add> = history.iter().map(|(numbers, acts)| add(numbers, *acts)).collect();
        let (disk, released, _) = run_until_death(&inputs, ops);
        let after = if power { disk.power_cut(PowerCut { seed, torn: true }) } else { disk.kill() };
        laws_hold(&inputs, after, &released);
    }
}
