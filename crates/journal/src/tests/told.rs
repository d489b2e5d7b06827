//! What is told of damage, to the LSN and the byte.
//!
//! Each thing that is stored (a frame of a batch, a header page, a seal, a mark, a checkpoint, a file) is hurt or not.
//! What must be told follows from which ones are: it is reckoned here, from where they lie alone, and compared with all
//! that an opening reports.

use super::*;
use crate::{DeclaredGap, Finding, GapEvidence, verify};
use laid::{Batch, Hurt, Laid, PAGE};
use proptest::prelude::*;
use reckoning::{Told, reckon};
use std::collections::BTreeSet;

mod laid;
mod reckoning;

/// What the next segment declares: what a checkpoint holds up to that, and the rest up to the end, each as one gap.
fn declared(told: &Told) -> Vec<DeclaredGap> {
    let base = told.checkpoint_lsn;
    let firsts = || told.gaps.iter().map(|gap| gap.first_lsn);
    let held = firsts().filter(|first| *first <= base).min();
    let open =
        told.gaps.iter().filter(|gap| gap.through_lsn > base).map(|gap| gap.first_lsn.max(base + 1)).min();
    let gap = |first_lsn, through_lsn, by_checkpoint| DeclaredGap { first_lsn, through_lsn, by_checkpoint };
    let open = open.map(|first| gap(first, told.next_lsn - 1, false));
    open.into_iter().chain(held.map(|first| gap(first, base, true))).collect()
}

/// Hurts a journal, compares what is told, and goes on with it.
fn check(laid: &Laid, hurts: &BTreeSet<Hurt>) {
    let disk = laid.hurt(hurts);
    let expected = reckon(laid, hurts, &disk, true).sum();
    let all = reckon(laid, hurts, &disk, false);
    let (shows, damages) = all.read();
    if (1..=laid.last).any(|number| all.headed(number)) {
        let (shown, met) =
            read_all(crate::Storage::reader(&disk)).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
        assert_eq!(met, damages, "{hurts:?}");
        assert_eq!(
            shown.iter().map(|(record, behind)| (record.lsn, *behind)).collect::<Vec<_>>(),
            shows,
            "{hurts:?}"
        );
        assert!(
            shown.iter().all(|(record, _)| *record == laid.records[record.lsn as usize - 1]),
            "{hurts:?}"
        );
    }
    if let Ok(mut reader) = JournalReader::open(crate::Storage::reader(&disk)) {
        for lsn in [1, 2, 90, laid.records.len() as u64] {
            reader.seek(lsn).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
            let mut found = Vec::new();
            loop {
                match reader.next() {
                    Ok(Some(record)) => found.push(record.lsn),
                    Ok(None) => break,
                    Err(_) => {}
                }
            }
            let behind = shows.iter().map(|(shown, _)| *shown).filter(|shown| *shown >= lsn);
            assert_eq!(found, behind.collect::<Vec<_>>(), "{hurts:?} from {lsn}");
        }
    }
    let all = all.sum();
    let opened =
        || crate::open(disk.clone(), EXPECT, laid.config).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let report = verify(&crate::Storage::reader(&disk), |_| ()).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let found =
        all.gaps.iter().cloned().map(Finding::Rot).chain(all.notes.iter().cloned().map(Finding::Note));
    assert_eq!(report.findings, found.collect::<Vec<_>>(), "{hurts:?}");
    let counts = (report.torn_tail, report.records, report.segments, report.last_lsn);
    assert_eq!(counts, (all.cut, all.verified, all.segments, all.last_lsn), "{hurts:?}");
    let mut opening = opened();
    let told = Told::of(opening.report());
    assert_eq!(told, expected, "{hurts:?}");
    let base = expected.checkpoint_lsn;
    let folded = folded(&mut opening, base + 1).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    assert!(folded[..] == laid.records[base as usize..expected.last_lsn as usize], "{hurts:?}");
    let older = opening.older(base);
    let (mut writer, _) = opening.finish().unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    // What the opening believed is looked at behind it, and what is found there is new.
    let place = |gap: &GapEvidence| (gap.segment, gap.offset, gap.bytes, gap.first_lsn, gap.flaw);
    let older = older.run().unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let known = declared(&expected);
    let is_known =
        |gap: &GapEvidence| known.iter().any(|k| (k.first_lsn..=k.through_lsn).contains(&gap.first_lsn));
    let unknown = all.gaps.iter().filter(|gap| gap.first_lsn <= base && !is_known(gap));
    assert_eq!(
        older.iter().map(place).collect::<Vec<_>>(),
        unknown.map(place).collect::<Vec<_>>(),
        "{hurts:?}"
    );
    let rotations = writer.stats().rotations + 1;
    let mut ours = Vec::new();
    while writer.stats().rotations < rotations {
        let mut batch = batch_of(writer.next_lsn(), 2, 9);
        batch.iter_mut().for_each(|record| record.payload.resize(laid.config.segment_bytes as usize / 7, 9));
        writer.append(&new_records(&batch), Room::Normal).expect("room");
        ours.extend(batch);
    }
    assert_eq!(ours[0].lsn, expected.next_lsn, "{hurts:?}");
    writer.close().expect("a good disk");
    // What was found once is not found again, and every root fits.
    let again = verify(&crate::Storage::reader(&disk), |_| ()).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    let rot = again.findings.iter().filter_map(|finding| match finding {
        Finding::Rot(gap) => Some(place(gap)),
        Finding::Note(_) => None,
    });
    // But for what the check behind the opening found, which nobody has declared here.
    assert_eq!(rot.collect::<Vec<_>>(), older.iter().map(place).collect::<Vec<_>>(), "{hurts:?}");
    let mut opening = opened();
    assert_eq!(
        (&opening.report().gap, &opening.report().known_gaps),
        (&None, &declared(&expected)),
        "{hurts:?}"
    );
    let second = super::folded(&mut opening, base + 1).unwrap_or_else(|e| panic!("{hurts:?}: {e}"));
    assert!(second[..folded.len()] == folded[..] && second[folded.len()..] == ours[..], "{hurts:?}");
}

/// The journals that are hurt, of segments that a reader's window holds and of longer ones: without and with checkpoints,
/// in a finished segment and in the newest; stopped cleanly and killed.
fn journals() -> &'static [Laid] {
    static LAID: std::sync::OnceLock<Vec<Laid>> = std::sync::OnceLock::new();
    LAID.get_or_init(|| {
        vec![
            Laid::new(1, None, false),
            Laid::new(1, None, true),
            Laid::new(1, Some(100), false),
            Laid::new(1, Some(1), true),
            Laid::new(6, Some(200), false),
            Laid::new(6, None, false),
        ]
    })
}

/// Everything that can be hurt alone, in the order in which it lies in the files.
fn all(laid: &Laid) -> Vec<Hurt> {
    let mut hurts = vec![Hurt::Checkpoint];
    for number in 1..=laid.last {
        hurts.extend([Hurt::Header(number), Hurt::Marks(number), Hurt::Unreadable(number, 0)]);
        let mut page = 1;
        for (at, batch) in laid.batches.iter().enumerate().filter(|(_, batch)| batch.segment == number) {
            hurts.push(Hurt::Zeros(at));
            hurts.extend((0..batch.frames.len()).map(|frame| Hurt::Frame(at, frame)));
            let end = laid.end_of(at) / PAGE as u64;
            hurts.extend((page..=end).map(|page| Hurt::Unreadable(number, page)));
            page = page.max(end + 1);
        }
        if number < laid.last {
            hurts.extend([Hurt::Seal(number), Hurt::Missing(number)]);
        } else {
            hurts.push(Hurt::Unreadable(number, page));
        }
    }
    hurts
}

#[test]
fn what_is_told_of_each_damage_is_what_was_done() {
    for laid in journals() {
        check(laid, &BTreeSet::new());
        for hurt in all(laid) {
            check(laid, &BTreeSet::from([hurt]));
        }
    }
    println!("{} damages", journals().iter().map(|laid| all(laid).len()).sum::<usize>());
}

/// What cannot be read behind a place is not what is wrong there, however close.
#[test]
fn what_is_told_of_a_lost_batch_is_not_the_unreadable_page_behind_its_beginning() {
    let mut pairs = 0;
    for laid in journals() {
        for (at, batch) in laid.batches.iter().enumerate() {
            let next = batch.offset / PAGE as u64 + 1;
            if next * PAGE as u64 - batch.offset <= 512 {
                check(laid, &BTreeSet::from([Hurt::Zeros(at), Hurt::Unreadable(batch.segment, next)]));
                pairs += 1;
            }
        }
    }
    assert!(pairs > 20, "{pairs}");
}

/// Where segments begin and end: what the one has lost decides what is known of the other.
#[test]
fn what_is_told_of_two_damages_around_a_change_of_segment_is_what_was_done() {
    let mut pairs = 0;
    for laid in &journals()[1..4] {
        let edges = |number: u64| {
            let of = |(_, batch): &(usize, &Batch)| batch.segment == number;
            let mut batches = laid.batches.iter().enumerate().filter(of).map(|(at, _)| at);
            let (first, last) =
                (batches.next().expect("batches"), batches.next_back().expect("more than one"));
            let frame = laid.batches[last].frames.len() - 1;
            let mut edges = vec![
                Hurt::Header(number),
                Hurt::Marks(number),
                Hurt::Unreadable(number, 0),
                Hurt::Zeros(first),
                Hurt::Frame(first, 0),
                Hurt::Zeros(last),
                Hurt::Frame(last, frame),
            ];
            if number < laid.last {
                edges.extend([Hurt::Seal(number), Hurt::Missing(number)]);
            }
            edges
        };
        for number in 1..=laid.last {
            let one = edges(number);
            let next = if number < laid.last { edges(number + 1) } else { Vec::new() };
            for (at, first) in one.iter().enumerate() {
                for second in one[at + 1..].iter().chain(&next) {
                    check(laid, &BTreeSet::from([*first, *second]));
                    pairs += 1;
                }
            }
        }
    }
    println!("{pairs} pairs");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(400)))]

    #[test]
    fn what_is_told_of_any_damage_is_what_was_done(
        journal in 0_usize..6,
        near: prop::sample::Index,
        picks in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..7),
    ) {
        let laid = &journals()[journal];
        let all = all(laid);
        // Half of them close to each other: what matters is what lies beside what.
        let from = near.index(all.len());
        let hurts = picks.iter().map(|(pick, close)| {
            if *close { all[(from + pick.index(12)) % all.len()] } else { *pick.get(&all) }
        });
        check(laid, &hurts.collect());
    }
}
