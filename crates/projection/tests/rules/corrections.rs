//! Rules 40 to 43: what the venue shows beyond trades; and sums beyond the range.

use super::*;

#[test]
fn rule_40_missing_falls_at_average_cost_and_realised_stays() {
    // S20: two lots of 0.0001, the venue has one.
    let mut world = World::new();
    world.tell(1, buy("lot1", "0.0001", "50000", 1)).tell(2, buy("lot2", "0.0001", "60000", 2));
    let lots = world.btc().book.lots().expect("small numbers");
    assert_eq!(lots.iter().map(|l| l.id.as_str()).collect::<Vec<_>>(), ["lot1", "lot2"], "oldest first");
    world.tell(3, correction(1, CorrectionKind::Missing, "0.0001", None, 3));
    assert_eq!((world.btc().held(), world.now().cost), (q("0.0001"), m("5.5")));
    assert_eq!((world.0.totals.realised, world.0.totals.corrections), (m("0"), m("-5.5")));
    let lots = world.btc().book.lots().expect("small numbers");
    assert_eq!((lots.len(), lots[0].id.as_str(), lots[0].left), (1, "lot2", q("0.0001")));
    world.tell(3, InstrumentBlocked { instrument: BTC_USD, reason: Text::new("less than known") });
    assert!(world.btc().blocked.is_some());
    world.tell(4, InstrumentReleased { instrument: BTC_USD, by: Label::literal("ann") });
    assert!(world.btc().blocked.is_none());
    // More than is held cannot leave.
    world.tell(5, correction(2, CorrectionKind::Missing, "7", None, 5));
    assert_eq!(
        (world.btc().held(), world.0.totals.corrections, world.btc().book.ended.len()),
        (q("0"), m("-11"), 1)
    );
}

#[test]
fn rule_41_adopted_at_the_stated_average_before_the_first_fill() {
    let mut world = World::new();
    world.tell(5, buy("a", "1", "100", 5));
    // 3 at 110 are stated: (330 - 100) / 2 = 115 for the 2 that were not known.
    let adopted = CorrectionBooked {
        time: at(5).after(-1),
        ..correction(1, CorrectionKind::Adopted, "2", Some("115"), 0)
    };
    world.tell(9, adopted);
    assert_eq!(
        (world.btc().held(), world.now().cost, world.btc().entry_price()),
        (q("3"), m("330"), Some(p("110")))
    );
    assert_eq!(
        (world.now().opened, world.0.totals.corrections, world.0.totals.realised),
        (at(5).after(-1), m("230"), m("0"))
    );
    // Equal quantity, another average: one cost correction.
    world.tell(10, correction(2, CorrectionKind::Cost, "3", Some("120"), 10));
    assert_eq!(
        (world.now().cost, world.btc().entry_price(), world.0.totals.corrections),
        (m("360"), Some(p("120")), m("260"))
    );
    assert_eq!(world.btc().book.entries.len(), 3, "fills stay");
    // Without a positive price nothing enters.
    let before = world.btc().held();
    for average in [None, Some("0"), Some("-5")] {
        world.tell(11, correction(3, CorrectionKind::Adopted, "1", average, 11));
    }
    assert_eq!((world.btc().held(), world.anomalies(AnomalyKind::OutOfOrder)), (before, 3));
    // Quarantine is beside every position.
    world.tell(12, HoldingQuarantined { asset: BTC, quantity: q("4"), evidence: Text::new("e") });
    assert_eq!((world.btc().held(), world.0.assets[1].quarantined), (before, q("4")));
}

#[test]
fn rule_42_external_fills_count_with_their_own_price_and_fee() {
    let mut world = World::new();
    world.tell(1, buy("a", "2", "100", 1));
    world.tell(2, FillBooked { source: FillSource::External, ..sell("x", "0.5", "130", 2).fee(USD, "0.1") });
    assert_eq!((world.btc().held(), world.now().realised), (q("1.5"), m("14.9")), "65 - 50 - 0.1");
    world.tell(3, FillBooked { source: FillSource::External, ..buy("y", "0.5", "140", 3) });
    assert_eq!(
        (world.btc().held(), world.btc().entry_price()),
        (q("2"), Some(p("110"))),
        "joins the position"
    );
}

#[test]
fn rule_43_a_correction_is_booked_once_and_a_real_trade_supersedes_it() {
    let mut world = World::new();
    let missing = correction(1, CorrectionKind::Missing, "0.4", None, 10);
    world.tell(1, buy("a", "1", "100", 1)).tell(10, missing.clone()).tell(11, missing);
    assert_eq!((world.btc().held(), world.0.totals.corrections), (q("0.6"), m("-40")));
    // The sale of 0.3 of them turns up: 0.1 are still unexplained.
    world.tell(12, sell("s", "0.3", "120", 8));
    assert_eq!(
        (world.btc().held(), world.0.totals.corrections, world.0.totals.realised),
        (q("0.6"), m("-10"), m("6"))
    );
    // A sale after the correction explains nothing; nor does one whose order was intended after it.
    world.tell(13, sell("t", "0.1", "120", 13));
    assert_eq!(world.btc().held(), q("0.5"));
    world.tell(14, exit(1, "0.2", ExitReason::Command)).tell(15, sell("u", "0.2", "120", 9).of(1));
    assert_eq!((world.btc().held(), world.0.totals.corrections), (q("0.3"), m("-10")));
    // What was adopted is explained by the buy behind it.
    let mut world = World::new();
    world.tell(20, correction(1, CorrectionKind::Adopted, "1", Some("90"), 20));
    assert_eq!((world.btc().held(), world.0.totals.corrections), (q("1"), m("90")));
    world.tell(21, buy("b", "0.75", "100", 5));
    assert_eq!((world.btc().held(), world.now().cost), (q("1"), m("97.5")), "75 paid, 22.5 still adopted");
    assert_eq!((world.0.totals.corrections, world.0.totals.quote_paid), (m("22.5"), m("75")));
}

#[test]
fn sums_beyond_the_range_change_nothing() {
    let mut world = World::new();
    let large = "100000000000000000000";
    world.tell(1, buy("a", large, "1", 1));
    let before = (world.btc().clone(), world.0.totals.clone());
    world.tell(2, buy("b", large, "1", 2)).tell(3, buy("c", "1", large, 0));
    world.tell(4, FillBooked { instrument: BNB_USD, ..buy("d", "1", large, 3) });
    assert_eq!(world.anomalies(AnomalyKind::Overflow), 3, "the third fits its book and not the totals");
    assert_eq!(world.btc().book, before.0.book);
    assert_eq!((world.0.totals.quote_paid, world.0.totals.fills), (before.1.quote_paid, before.1.fills));
    assert_eq!((world.0.instruments[1].held(), world.0.instruments[1].book.entries.len()), (q("0"), 0));
}
