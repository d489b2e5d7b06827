//! Orders at the exchange under ids of ours that no record intended (row J of the recovery table): told, fenced off, and
//! accepted by a person.

use aegis_model::event::{AlarmKind, Refusal};
use aegis_model::input::{Reported, RowStatus};
use aegis_model::{
    ClientOrderId, Command, Fact, Input, Label, Machine, OrderId, Report, Side, Text, VenueOrderId,
};
use aegis_tests::world::id;
use aegis_tests::{World, label, quantity};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn client(world: &World, n: u64) -> ClientOrderId {
    ClientOrderId { installation: world.state().journal.installation, run: 77, order: OrderId(900 + n) }
}

/// An order of a lost tail: it rests at the exchange and no record knows of it. Its place there.
fn lost(world: &mut World, n: u64) -> usize {
    let (client, now) = (client(world, n), world.now);
    let at = world.exchange.rest_by_hand(id("ETH_USDT"), "0.01", now);
    world.exchange.orders[at].client = Some(client);
    world.exchange.orders[at].row.client = Some(client);
    at
}

fn seen(world: &World) -> Vec<(Label, Option<VenueOrderId>)> {
    let told = |fact| match fact {
        Fact::ForeignIntentSeen(f) => Some((f.client, f.venue_order)),
        _ => None,
    };
    world.events().into_iter().filter_map(|event| told(event.fact)).collect()
}

fn accept(world: &mut World, only: Option<Label>) {
    world.command(Command::AcceptForeign { client: only, reason: Text::new("of the lost tail") });
}

fn refused(world: &World) -> usize {
    world.count(|f| matches!(f, Fact::CommandRefused(_)))
}

fn stands(world: &World) -> bool {
    world.state().alarms.contains_key(&(AlarmKind::ForeignIntent, None))
}

/// Whether a buy by hand passes the gate now.
fn enters(world: &mut World, name: &str) -> bool {
    let before = world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Buy));
    world.tick(name, "100");
    world.buy(name, "1");
    world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Buy)) > before
}

#[test]
fn what_is_accepted_is_named_with_both_ids_and_entries_pass_until_another_shows() {
    let mut world = World::new();
    let at = [lost(&mut world, 1), lost(&mut world, 2)];
    world.wait(400);
    let venue = at.map(|at| Some(world.exchange.orders[at].row.venue_order));
    let ids = [1, 2].map(|n| client(&world, n).label());
    assert_eq!(seen(&world), [(ids[0], venue[0]), (ids[1], venue[1])]);
    let raised = |world: &World| {
        world.count(|f| matches!(f, Fact::AlarmRaised(a) if a.alarm == AlarmKind::ForeignIntent))
    };
    assert_eq!(raised(&world), 1, "one alarm about both");
    assert!(!enters(&mut world, "SOL_USDT"));
    world.wait(700);
    assert_eq!((seen(&world).len(), raised(&world)), (2, 1), "seen again, it is no news");

    accept(&mut world, None);
    let accepted: Vec<_> = world
        .events()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::ForeignIntentAccepted(f) => Some((f.by, f.client, f.venue_order, f.reason)),
            _ => None,
        })
        .collect();
    let said = |n: usize| (label("alice"), ids[n], venue[n], Text::new("of the lost tail"));
    assert_eq!(accepted, [said(0), said(1)]);
    assert!(!stands(&world) && enters(&mut world, "SOL_USDT"));

    // The same ones, changed meanwhile, in later comparisons, after a start and from a checkpoint: nothing new.
    world.wait(700);
    world.exchange.orders[at[0]].row.status = RowStatus::Cancelled;
    world.restart();
    world.wait(700);
    assert!(!stands(&world));
    let saved = world.engine.save();
    world.engine.load(&saved).expect("its own state");
    world.wait(700);
    let known = client(&world, 2);
    world.give(Input::Report(Report { client: known, venue_order: venue[1], what: Reported::Acknowledged }));
    world.pump();
    assert_eq!((seen(&world).len(), raised(&world), stands(&world)), (2, 1, false));
    assert_eq!(world.state().digest(), world.replayed_digest());

    lost(&mut world, 3);
    world.wait(700);
    assert!(stands(&world) && !enters(&mut world, "ETH_USDT"), "another one is another matter");
    let refusals = |f: &Fact| matches!(f, Fact::EntryRefused(r) if r.reason == Refusal::AlarmStanding);
    assert_eq!(world.count(refusals), 2);
    assert_eq!(seen(&world).len(), 3);
}

#[test]
fn one_of_several_is_accepted_by_its_id_and_the_alarm_stands_for_the_rest() {
    let mut world = World::new();
    accept(&mut world, None);
    assert_eq!(refused(&world), 1, "nothing was seen");
    lost(&mut world, 1);
    lost(&mut world, 2);
    world.wait(400);
    let ids = [1, 2, 3].map(|n| client(&world, n).label());
    accept(&mut world, Some(ids[2]));
    assert_eq!((refused(&world), stands(&world)), (2, true), "nobody has seen that one");
    accept(&mut world, Some(ids[0]));
    accept(&mut world, Some(ids[0]));
    assert_eq!((refused(&world), stands(&world)), (3, true), "it is accepted once");
    let reason = &world.state().alarms[&(AlarmKind::ForeignIntent, None)].reason;
    assert!(reason.as_str().contains(ids[1].as_str()) && !reason.as_str().contains(ids[0].as_str()));
    accept(&mut world, Some(ids[1]));
    assert_eq!((refused(&world), stands(&world)), (3, false));
}

/// A journal of a version that told of the alarm only.
#[test]
fn an_alarm_without_a_record_of_what_was_seen_is_cleared_too() {
    let mut world = World::new();
    lost(&mut world, 1);
    world.wait(400);
    for batch in &mut world.log {
        batch.retain(|(head, _)| head.kind != 7);
    }
    world.exchange.orders.clear();
    world.restart();
    assert!(stands(&world) && world.state().foreign.is_empty());
    let gone = client(&world, 1).label();
    accept(&mut world, Some(gone));
    assert_eq!((refused(&world), stands(&world)), (1, true), "no such order is known");
    accept(&mut world, None);
    assert_eq!((refused(&world), stands(&world)), (1, false));
}

/// That it is there hides nothing else that a comparison finds.
#[test]
fn beside_an_accepted_order_what_was_sold_too_much_is_still_settled() {
    let mut world = World::new();
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.002");
    let at = lost(&mut world, 1);
    let (amount, now) = (quantity("0.01"), world.now);
    world.exchange.set_total("ETH", "0.01");
    world.exchange.execute(at, amount, aegis_tests::price("3000"), now);
    world.wait(400);
    accept(&mut world, None);
    let now = world.now;
    world.exchange.by_hand(id("BTC_USDT"), Side::Sell, "0.003", "51000", now);
    world.wait(700);
    assert_eq!(world.count(|f| matches!(f, Fact::ExcessSellSettled(_))), 1);
    assert!(!stands(&world));
    assert_eq!(seen(&world).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever is seen, told of with or without the exchange's id, and accepted, in any order and across starts: the
    /// alarm stands exactly while one waits, each id is accepted once at most, and the live state is the replayed one.
    #[test]
    fn the_alarm_stands_exactly_while_one_waits(
        steps in proptest::collection::vec((0u8..8, 0u64..5), 1..40),
    ) {
        let mut world = World::new();
        let (mut waiting, mut accepted) = (BTreeSet::new(), BTreeSet::new());
        for (what, n) in steps {
            let client = client(&world, n);
            match what {
                0..4 => {
                    let venue_order = (what % 2 == 0).then(|| VenueOrderId(label(&format!("v{n}"))));
                    let report = Report { client, venue_order, what: Reported::Acknowledged };
                    world.give(Input::Report(report));
                    world.pump();
                    if !accepted.contains(&client) {
                        waiting.insert(client);
                    }
                }
                4 | 5 => {
                    accept(&mut world, Some(client.label()));
                    if waiting.remove(&client) {
                        accepted.insert(client);
                    }
                }
                6 => {
                    accept(&mut world, None);
                    accepted.append(&mut waiting);
                }
                _ => world.restart(),
            }
            prop_assert_eq!(stands(&world), !waiting.is_empty());
            prop_assert_eq!(world.state().foreign_waiting().count(), waiting.len());
            prop_assert_eq!(world.count(|f| matches!(f, Fact::ForeignIntentAccepted(_))), accepted.len());
        }
        prop_assert_eq!(world.state().digest(), world.replayed_digest());
    }
}

#[test]
fn what_an_accepted_one_does_later_is_looked_at_at_once() {
    let mut world = World::new();
    let at = lost(&mut world, 1);
    world.wait(400);
    accept(&mut world, None);
    world.wait(3);
    let compared = |world: &World| world.exchange.comparisons;
    let before = compared(&world);
    let venue_order = Some(world.exchange.orders[at].row.venue_order);
    let what = Reported::Acknowledged;
    world.give(Input::Report(Report { client: client(&world, 1), venue_order, what }));
    world.pump();
    world.wait(3);
    assert!(compared(&world) > before && !stands(&world));
}

#[test]
fn very_many_are_accepted_in_portions_that_fit_a_batch() {
    let mut world = World::new();
    for n in 0..450 {
        lost(&mut world, n);
    }
    world.wait(400);
    assert_eq!(seen(&world).len(), 450);
    let long = Text::new(&"x".repeat(1_024));
    let accepted = |world: &World| world.count(|f| matches!(f, Fact::ForeignIntentAccepted(_)));
    for (all, left) in [(400, true), (450, false)] {
        world.command(Command::AcceptForeign { client: None, reason: long.clone() });
        assert_eq!((accepted(&world), stands(&world)), (all, left));
    }
    let bytes =
        |batch: &Vec<(_, Vec<u8>)>| batch.iter().map(|(_, payload)| payload.len() + 64).sum::<usize>();
    assert!(world.log.iter().map(bytes).max().is_some_and(|most| most < 1 << 20));
}
