//! The recovery table: every combination of facts meets exactly one row.

use super::*;

const SEEN: [Seen; 5] = [Seen::Valid, Seen::Newer, Seen::Zeros, Seen::Bad, Seen::Unreadable];

/// The table as the document prints it: one predicate per row, written without looking at the function.
fn rows_met(e: Evidence) -> Vec<Row> {
    let stored_nothing_whole = matches!(e.seen, Seen::Zeros | Seen::Bad);
    let acknowledged = e.proof || e.place == Place::Older || e.seen == Seen::Unreadable;
    let table: [(Row, bool); 7] = [
        (Row::A, e.seen == Seen::Valid),
        (Row::B, e.seen == Seen::Zeros && !acknowledged && !e.witness && !e.valid_behind),
        (Row::C, e.seen == Seen::Bad && !acknowledged && !e.witness && !e.valid_behind),
        (Row::D, stored_nothing_whole && !acknowledged && !e.witness && e.valid_behind),
        (Row::E, (stored_nothing_whole || e.seen == Seen::Unreadable) && acknowledged),
        (Row::H, e.seen == Seen::Newer),
        (Row::J, stored_nothing_whole && !acknowledged && e.witness),
    ];
    table.into_iter().filter(|(_, met)| *met).map(|(row, _)| row).collect()
}

#[test]
fn every_combination_meets_exactly_one_row() {
    let mut met = std::collections::BTreeSet::new();
    for seen in SEEN {
        for place in [Place::Tail, Place::Older] {
            for bits in 0..8 {
                let evidence = Evidence {
                    seen,
                    place,
                    valid_behind: bits & 1 != 0,
                    proof: bits & 2 != 0,
                    witness: bits & 4 != 0,
                };
                let rows = rows_met(evidence);
                assert_eq!(rows, [decide(evidence)], "{evidence:?}");
                met.insert(rows[0]);
            }
        }
    }
    assert_eq!(met.len(), 7, "every row is met by some combination");
}

#[test]
fn every_entrance_is_let_in_or_refused_for_its_first_reason() {
    for bits in 0..32 {
        let entrance = Entrance {
            locked: bits & 1 != 0,
            version: if bits & 2 != 0 { Version::Newer } else { Version::Known },
            journal_fits: bits & 4 == 0,
            schema_fits: bits & 8 == 0,
            mode_fits: bits & 16 == 0,
        };
        let reasons = [
            (bits & 1, Refused::Locked),
            (bits & 2, Refused::Newer),
            (bits & 4, Refused::Journal),
            (bits & 8, Refused::Schema),
            (bits & 16, Refused::Mode),
        ];
        let first = reasons.into_iter().find(|(bit, _)| *bit != 0).map(|(_, reason)| reason);
        assert_eq!(admit(entrance).err(), first, "{entrance:?}");
    }
}
