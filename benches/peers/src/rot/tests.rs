//! Ends are told apart, and the journal of this project loses nothing without a word.

use super::{Damage, End, markdown, run, words};
use crate::peers;

#[test]
fn the_journal_names_damage_and_opens_behind_a_torn_write() {
    let openers: Vec<_> =
        peers::openers().into_iter().filter(|opener| opener.peer.facts().name == "aegis").collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let rows = run(&openers, 20, dir.path(), false).expect("runs");
    let [killed, closed] = &rows[0].cells;
    let count = |cell: &super::Cell, end| cell.get(&end).copied().unwrap_or(0);
    assert_eq!(
        count(&killed[Damage::Torn as usize], End::Right),
        20,
        "{}",
        words(&killed[Damage::Torn as usize])
    );
    for damage in [Damage::Bit, Damage::Sector, Damage::Cut] {
        let cell = &closed[damage as usize];
        assert_eq!(count(cell, End::Right), 20, "{damage:?}: {}", words(cell));
        let cell = &killed[damage as usize];
        assert_eq!(count(cell, End::Wrong) + count(cell, End::Crash), 0, "{damage:?}: {}", words(cell));
    }
    assert_eq!(markdown(&rows, 20).lines().count(), 6);
}

#[test]
fn a_store_without_checksums_is_caught_returning_other_bytes() {
    let openers: Vec<_> =
        peers::openers().into_iter().filter(|opener| opener.peer.facts().name == "sqlite").collect();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let rows = run(&openers, 20, dir.path(), false).expect("runs");
    let closed = &rows[0].cells[1][Damage::Bit as usize];
    assert!(closed.get(&End::Wrong).is_some_and(|count| *count > 0), "{}", words(closed));
}

#[test]
fn of_all_sectors_only_the_last_ones_can_be_lost_without_a_word() {
    let opener = &peers::openers()[0];
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (log, trial) = (dir.path().join("log"), dir.path().join("trial"));
    std::fs::create_dir_all(&log).expect("a directory");
    let [_, killed, _] = super::images(opener.peer.as_ref(), &log).expect("images");
    for (name, content) in killed.iter().filter(|(_, content)| content.bytes.len() > super::SECTOR) {
        let sectors = content.bytes.len().div_ceil(super::SECTOR);
        for sector in 0..sectors {
            let mut image = killed.clone();
            let bytes = &mut image.get_mut(name).expect("the file").bytes;
            let end = (sector * super::SECTOR + super::SECTOR).min(bytes.len());
            bytes[sector * super::SECTOR..end].fill(0);
            super::lay(&image, &trial).expect("laid out");
            let end = super::judge(opener, &trial, Damage::Sector);
            let last = sector + 2 >= sectors;
            assert!(
                end == End::Right || last && end == End::Short,
                "{sector} of {sectors} in {name:?}: {end:?}"
            );
        }
    }
}
