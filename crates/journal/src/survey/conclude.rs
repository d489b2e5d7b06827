//! From breaks to gaps: which were declared before, which a checkpoint covers, where folding ends, and which
//! LSN comes next.

use super::walk::Walk;
use super::{GapEvidence, Proof, RecoveryReport, Survey, TailEnd, WOUNDS_MAX, Wound};
use crate::decide::Row;
use crate::frame::Flaw;
use crate::layout::{DeclaredGap, PAGE_BYTES};
use crate::scan::is_declared;
use crate::storage::StorageRead;
use crate::{Checkpoint, Lsn};

/// Turns wounds into gaps: which of them were known, which a checkpoint covers, and where folding ends. `cover` is the
/// checkpoint that earlier openings may have left a gap to.
pub(super) fn conclude<R: StorageRead>(
    walk: Walk<'_, R>,
    last_number: u64,
    checkpoints: Vec<Checkpoint>,
    tail: TailEnd,
    cover: Lsn,
) -> Survey {
    let mut gaps: Vec<(u64, DeclaredGap)> =
        walk.segments.iter().flat_map(|s| s.header.gaps.iter().map(|gap| (s.header.number, *gap))).collect();
    // A gap behind which nothing was ever stored: the process died before the caller's record of it. It is told again.
    gaps.retain(|(_, gap)| {
        walk.spans.iter().any(|s| s.last_lsn >= s.first_lsn && s.first_lsn > gap.through_lsn)
    });
    let known_gaps = gaps.iter().map(|(_, gap)| *gap).collect();
    let base = walk.base;
    let newest_checkpoint = checkpoints.first().map_or(0, |c| c.lsn);
    let mut wounds = walk.wounds;
    // The tail simply ends, and yet something says that more was durable.
    let tail_end = walk.expected_lsn;
    let proven = if crate::mutant!(7) { 0 } else { walk.proven };
    if proven >= tail_end && wounds.last().is_none_or(|w| w.first_lsn < tail_end) {
        wounds.push(Wound {
            number: last_number,
            offset: PAGE_BYTES,
            first_lsn: tail_end,
            bytes: 0,
            flaw: Flaw::Zeros,
            proof: Proof::DurableLsn(proven),
        });
    }
    // What an earlier opening left to a checkpoint is lost after all when that checkpoint is; so is what was pruned.
    let dropped = walk.begin.pruned().map(|pruned| {
        let gap = DeclaredGap { first_lsn: 1, through_lsn: pruned.last_lsn, by_checkpoint: true };
        (pruned.segment, gap)
    });
    let left_to_one = gaps.iter().copied().chain(dropped);
    let lost_bases: Vec<(u64, DeclaredGap)> =
        left_to_one.filter(|(_, gap)| gap.by_checkpoint && cover < gap.through_lsn).collect();
    let wounds_found = wounds.len();
    wounds.extend(lost_bases.iter().map(|(number, gap)| Wound {
        number: *number,
        offset: 0,
        first_lsn: gap.first_lsn,
        bytes: 0,
        flaw: Flaw::Zeros,
        proof: Proof::Checkpoint(gap.through_lsn),
    }));
    let spans_end = walk.spans.iter().map(|s| s.last_lsn).max().unwrap_or(0);
    let end = spans_end.max(proven).max(tail_end - 1);
    let intact = |from: Lsn| -> u64 {
        walk.spans.iter().map(|s| (s.last_lsn + 1).saturating_sub(s.first_lsn.max(from))).sum()
    };
    let mut evidence = Vec::new();
    let mut fresh = Vec::new();
    let mut folded_end = (tail_end - 1).max(spans_end).max(base);
    let mut worst: Option<(Lsn, usize)> = None;
    for (index, wound) in wounds.iter().enumerate() {
        let base_is_lost = index >= wounds_found;
        if !base_is_lost && is_declared(&gaps, wound.number, wound.first_lsn) {
            continue;
        }
        let resume = walk
            .spans
            .iter()
            .filter(|s| s.last_lsn >= s.first_lsn && s.first_lsn > wound.first_lsn)
            .map(|s| s.first_lsn)
            .min()
            .filter(|_| !base_is_lost && index + 1 < WOUNDS_MAX);
        let lost_end = resume.map_or(end, |lsn| lsn - 1).max(wound.first_lsn);
        let covered = lost_end <= base;
        let (last_lsn, through_lsn) = if covered { (lost_end, base) } else { (end, end) };
        if covered || wound.first_lsn <= base {
            let gap = DeclaredGap { first_lsn: wound.first_lsn, through_lsn: base, by_checkpoint: true };
            fresh.push(gap);
        }
        if !covered {
            let first_lsn = wound.first_lsn.max(base + 1);
            fresh.push(DeclaredGap { first_lsn, through_lsn: end.max(first_lsn), by_checkpoint: false });
            folded_end = folded_end.min(first_lsn - 1);
            if worst.is_none_or(|(lsn, _)| wound.first_lsn < lsn) {
                worst = Some((wound.first_lsn, evidence.len()));
            }
        }
        evidence.push(GapEvidence {
            first_lsn: wound.first_lsn,
            last_lsn,
            through_lsn,
            bytes: wound.bytes,
            segment: wound.number,
            file: walk.listing.name(wound.number),
            offset: wound.offset,
            flaw: wound.flaw,
            proof: wound.proof,
            intact_behind: if covered { 0 } else { intact(lost_end + 1) },
        });
    }
    merge(&mut fresh);
    gaps.extend(fresh.iter().map(|gap| (u64::MAX, *gap)));
    let gap = worst.map(|(_, index)| evidence[index].clone()).or_else(|| evidence.first().cloned());
    let next_lsn = fresh.iter().map(|g| g.through_lsn).max().unwrap_or(0).max(end) + 1;
    let row = if gap.is_some() { Row::E } else { walk.row };
    let damaged_headers = walk.segments.iter().filter(|s| !s.header_whole).count() as u64
        + wounds.iter().filter(|w| w.offset == 0).count() as u64;
    let epoch = walk.segments.iter().map(|s| s.header.epoch).max().unwrap_or(walk.begin.epoch)
        + u64::from(!crate::mutant!(5))
        + damaged_headers;
    let report = RecoveryReport {
        row,
        epoch,
        segments: walk.segments.len() as u64,
        last_lsn: folded_end,
        next_lsn,
        checkpoint_lsn: newest_checkpoint,
        records_verified: walk.records,
        cut: walk.cut,
        gap,
        gaps: evidence,
        known_gaps,
        pruned: walk.begin.pruned(),
        notes: walk.notes,
        copies: Vec::new(),
    };
    Survey {
        identity: walk.identity,
        begin: walk.begin,
        segments: walk.segments,
        spans: walk.spans,
        gaps,
        fresh,
        tail,
        last_number,
        chain: walk.chain,
        root: walk.root,
        checkpoints,
        report,
    }
}

/// Gaps with the same end are one gap, from the first of them; there are two kinds and so at most two.
fn merge(gaps: &mut Vec<DeclaredGap>) {
    gaps.sort_by_key(|gap| (gap.by_checkpoint, gap.through_lsn, gap.first_lsn));
    gaps.dedup_by(|later, earlier| {
        later.by_checkpoint == earlier.by_checkpoint && later.through_lsn == earlier.through_lsn
    });
    assert!(gaps.len() <= 2, "one end of the journal and one checkpoint");
}
