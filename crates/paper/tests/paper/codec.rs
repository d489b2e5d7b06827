//! Records as bytes: every kind survives the way to the journal and back, and nothing else is taken for one.

use crate::rig::Rig;
use aegis_model::{Machine, RecordHead};
use aegis_paper::{Settings, Venue, VenueFact};

fn story() -> Rig {
    let mut rig = Rig::new(Settings::default());
    for line in [
        "fund USDT 1000",
        "fund BTC 1",
        "mark 100",
        "when sell z 1 stop 90",
        "mark 80",
        "mark none",
        "quote 99 100 1 0.5",
        "buy a 1 limit 100",
        "sell s 1 stop 95",
        "buy b 1000 market",
        "buy a 1 market",
        "quote 94 99 5 5",
        "buy c 1 limit 10",
        "cancel c",
        "buy d 1 ioc 98",
        "ask buy e 1 USDT limit 20",
        "amend 6 2 21 e2",
        "oto buy f 1 limit 99 and sell g 1 stop 90",
        "when sell h 1 stop 80 and sell i 0.5 take 120 and sell j 5 stop 70",
        "rearm 5 0.2 130",
        "disarm 5",
        "mark 60",
    ] {
        rig.line(line);
    }
    rig
}

#[test]
fn every_kind_of_record_is_written_and_read_back_alike() {
    let rig = story();
    let mut kinds: Vec<u16> = rig.events.iter().map(|event| event.fact.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let known: Vec<u16> = VenueFact::KINDS.iter().map(|known| known.0).collect();
    assert_eq!(kinds, known, "the story shows every kind");
    for event in &rig.events {
        let mut bytes = Vec::new();
        let head = Venue::encode(event, &mut bytes);
        assert_eq!(Venue::decode(head, &bytes).as_ref(), Ok(event));
        bytes.push(0);
        assert!(Venue::decode(head, &bytes).is_err(), "left over bytes of {}", event.fact.name());
        bytes.truncate(bytes.len() - 2);
        assert!(Venue::decode(head, &bytes).is_err(), "torn {}", event.fact.name());
    }
}

#[test]
fn kinds_are_frozen() {
    let table = [
        (1, "VenueCreated"),
        (2, "VenueOpened"),
        (10, "AssetNamed"),
        (11, "InstrumentListed"),
        (20, "TickSeen"),
        (30, "FundsMoved"),
        (40, "OrderAccepted"),
        (41, "OrderRejected"),
        (42, "RequestRefused"),
        (43, "OrderTriggered"),
        (44, "OrderTraded"),
        (45, "OrderCancelled"),
        (46, "OrderExpired"),
        (47, "OrderFeeChosen"),
        (48, "OrderAmended"),
        (50, "TriggerAccepted"),
        (51, "ListMade"),
        (52, "TriggerArmed"),
        (53, "TriggerFired"),
        (54, "TriggerSent"),
        (55, "TriggerAmended"),
        (56, "TriggerCancelled"),
        (57, "TriggerRejected"),
    ];
    assert_eq!(VenueFact::KINDS, table);
}

#[test]
fn unknown_kinds_versions_and_actors_are_refused() {
    let rig = story();
    let event = &rig.events[0];
    let mut bytes = Vec::new();
    let head = Venue::encode(event, &mut bytes);
    let heads =
        [RecordHead { kind: 0, ..head }, RecordHead { version: 2, ..head }, RecordHead { actor: 0, ..head }];
    for head in heads {
        assert!(Venue::decode(head, &bytes).is_err(), "{head:?}");
    }
}

#[test]
fn causes_name_the_record_that_led_to_each_other() {
    let rig = story();
    for (at, event) in rig.events.iter().enumerate() {
        let cause = event.cause.0;
        assert!(cause <= at as u64, "{event:?}");
        let about_a_tick = matches!(event.fact, VenueFact::OrderTriggered(_));
        if about_a_tick {
            let led = &rig.events[cause as usize - 1].fact;
            assert!(matches!(led, VenueFact::TickSeen(_)), "{led:?}");
        }
        if let VenueFact::OrderTraded(_) | VenueFact::OrderExpired(_) = event.fact {
            assert_ne!(cause, 0, "{event:?}");
        }
    }
}
