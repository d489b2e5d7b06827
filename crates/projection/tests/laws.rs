//! The fold's laws over generated histories.
//!
//! Case counts come from `PROPTEST_CASES` (256 by default). The long run:
//! `PROPTEST_CASES=10000 cargo test --release -p aegis-projection --test laws`.

use aegis_model::event::{FillBooked, FillInferred, FillSource};
use aegis_model::ids::{DAY, SECOND};
use aegis_model::{
    AssetId, Event, Fact, InstrumentId, Label, Money, OrderId, Price, Quantity, Side, Timestamp, TradeId,
};
use aegis_projection::State;
use aegis_projection::book::{Book, Change, Entry, Holding};
use aegis_projection::testing::{BEGIN, Dice, Story, event, fold, histories, wild_histories};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What holds of every state, whatever was folded.
fn lawful(state: &State) -> Result<(), TestCaseError> {
    for instrument in &state.instruments {
        let now = &instrument.book.now;
        prop_assert!(!now.held.is_negative(), "held {}", now.held);
        prop_assert!(!now.waiting.is_negative(), "waiting {}", now.waiting);
        prop_assert!(!now.dust_left.is_negative(), "dust {}", now.dust_left);
        prop_assert!(now.held.is_zero() || now.waiting.is_zero(), "a sell waits beside a holding");
        prop_assert!(
            now.held.is_positive() || (now.cost.is_zero() && now.gross.is_zero()),
            "cost of nothing"
        );
        let keys: Vec<_> = instrument.book.entries.iter().map(|e| e.time).collect();
        prop_assert!(keys.is_sorted(), "entries in fold order");
        for id in &instrument.live {
            prop_assert!(state.orders.contains_key(id), "a live order is open");
        }
    }
    for id in state.orders.keys() {
        prop_assert!(state.orders.ended(*id).is_none(), "open and ended at once");
        prop_assert!(*id <= state.last_order);
    }
    if let Ok((left, right)) = state.conservation() {
        prop_assert_eq!(left, right, "quote paid - received = cost - realised - corrections");
    }
    Ok(())
}

/// Bought and entered less what left by name is what is held.
fn quantities_add_up(now: &Holding) -> Result<(), TestCaseError> {
    let sum = now
        .bought
        .plus(now.entered)
        .and_then(|q| q.minus(now.base_fees))
        .and_then(|q| q.minus(now.sold))
        .and_then(|q| q.minus(now.lost))
        .and_then(|q| q.minus(now.dust));
    prop_assert_eq!(sum, Ok(now.held));
    Ok(())
}

/// What of an order may only rise, or only happen once.
fn orders_only_advance(
    state: &State,
    cumulative: &mut BTreeMap<OrderId, Quantity>,
    ended: &mut BTreeMap<OrderId, ()>,
) -> Result<(), TestCaseError> {
    for order in state.orders.values().chain(state.orders.all_ended().map(|e| e.order)) {
        let known = cumulative.entry(order.client.order).or_insert(order.cumulative);
        prop_assert!(order.cumulative >= *known, "cumulative fell");
        prop_assert!(order.cumulative >= order.filled);
        *known = order.cumulative;
    }
    ended.extend(state.orders.all_ended().map(|e| (e.order.client.order, ())));
    for id in ended.keys() {
        prop_assert!(state.order(*id).is_none(), "an ended order is open again");
    }
    Ok(())
}

proptest! {
    #[test]
    fn live_equals_replay(events in histories(60), at in any::<prop::sample::Index>()) {
        let live = fold(&events);
        prop_assert_eq!(&fold(&events), &live);
        let cut = at.index(events.len() + 1);
        let prefix = fold(&events[..cut]);
        let mut resumed = State::load(&prefix.save()).expect("what was saved loads");
        prop_assert_eq!(&resumed, &prefix);
        for event in &events[cut..] {
            resumed.apply(event);
        }
        prop_assert_eq!(resumed.digest(), live.digest());
        prop_assert_eq!(&resumed, &live);
        prop_assert_eq!(resumed.save(), live.save());
    }

    #[test]
    fn every_prefix_is_lawful(events in histories(60)) {
        let mut state = State::default();
        let (mut cumulative, mut ended) = (BTreeMap::new(), BTreeMap::new());
        for event in &events {
            let before = state.lsn;
            state.apply(event);
            prop_assert!(state.lsn > before);
            lawful(&state)?;
            prop_assert!(state.conservation().is_ok());
            for instrument in &state.instruments {
                quantities_add_up(&instrument.book.now)?;
            }
            orders_only_advance(&state, &mut cumulative, &mut ended)?;
        }
    }

    #[test]
    fn anything_at_all_is_survived(events in wild_histories(80)) {
        let mut state = State::default();
        let (mut cumulative, mut ended) = (BTreeMap::new(), BTreeMap::new());
        for event in &events {
            state.apply(event);
            lawful(&state)?;
            orders_only_advance(&state, &mut cumulative, &mut ended)?;
        }
        let loaded = State::load(&state.save()).expect("what was saved loads");
        prop_assert_eq!(&loaded, &state);
        for (at, instrument) in state.instruments.iter().enumerate() {
            let id = InstrumentId(at as u32);
            state.sellable(id, aegis_model::Rate::new(1, 2));
            let _ = (instrument.has_unknown(&state), instrument.live_entry(&state));
            let _ = (instrument.live_exits_quantity(&state), instrument.entry_price());
            let _ = (instrument.book.exit_results(), instrument.book.lots());
        }
        for at in 0..state.assets.len() {
            let _ = (state.available(AssetId(at as u16)), state.reserved(AssetId(at as u16)));
        }
        let _ = (state.equity(|_| Some(Price::new(1, 0))), state.exposure_count());
    }

    #[test]
    fn a_damaged_save_never_panics(events in histories(20), at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = fold(&events).save();
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        let _ = State::load(&bytes[..]);
        let _ = State::load(&bytes[..at]);
    }

    #[test]
    fn the_sums_are_those_of_a_fold_from_the_beginning(events in histories(60)) {
        let state = fold(&events);
        for instrument in &state.instruments {
            let mut anew = Book {
                base: instrument.book.base.clone(),
                now: instrument.book.base.clone(),
                forgotten: instrument.book.forgotten,
                ..Book::default()
            };
            for entry in &instrument.book.entries {
                prop_assert_eq!(anew.insert(*entry), Ok(()));
            }
            prop_assert_eq!(&anew.now, &instrument.book.now);
            prop_assert_eq!(&anew.ended, &instrument.book.ended);
            prop_assert_eq!(&anew.index, &instrument.book.index);
            prop_assert_eq!(anew.fees_unknown, instrument.book.fees_unknown);
        }
    }

    #[test]
    fn exits_and_lots_explain_the_sums(events in histories(60)) {
        let state = fold(&events);
        for instrument in &state.instruments {
            let now = &instrument.book.now;
            let lots = instrument.book.lots().expect("small numbers");
            let left = lots.iter().try_fold(Quantity::ZERO, |sum, lot| sum.plus(lot.left)).expect("small numbers");
            prop_assert_eq!(left, now.held);
            if !now.is_open() && instrument.book.ended.is_empty() {
                continue; // The last cycle is forgotten; its record tells.
            }
            let exits = instrument.book.exit_results().expect("small numbers");
            let sum = |of: fn(&aegis_projection::book::ExitResult) -> Money| {
                exits.iter().try_fold(Money::ZERO, |sum, exit| sum.plus(of(exit))).expect("small numbers")
            };
            let booked = sum(|e| e.booked).minus(now.entry_fees).expect("small numbers");
            prop_assert_eq!(booked, now.realised);
            if !now.is_open() {
                prop_assert_eq!(sum(|e| e.net), now.realised, "both views agree at the close");
            }
        }
    }
}

/// Fills of one instrument pair within a few minutes, with all kinds of fees; times collide often.
fn fills() -> impl Strategy<Value = Vec<FillBooked>> {
    prop::collection::vec(any::<u64>(), 1..24).prop_map(|seeds| {
        let made = seeds.into_iter().enumerate().map(|(at, seed)| {
            let mut dice = Dice::new(seed);
            let side = dice.of(Side::ALL);
            let fee = aegis_model::event::Fee {
                asset: AssetId(dice.of(&[0, 1, 1, 2])),
                amount: Quantity::new(dice.below(40) - 4, 6),
            };
            FillBooked {
                instrument: InstrumentId(dice.of(&[0, 0, 0, 1])),
                trade: TradeId(Label::lossy(&format!("{}", at * 7 % 24))),
                order: OrderId(0),
                venue_order: None,
                side,
                price: Price::new(1 + dice.below(99_999), 3),
                quantity: Quantity::new(1 + dice.below(30_000), 4),
                fee: dice.maybe(|_| fee),
                executed: BEGIN.after(dice.below(12) * SECOND),
                source: FillSource::Listing,
            }
        });
        made.collect()
    })
}

fn delivered(fills: &[FillBooked]) -> State {
    let mut story = Story::begin();
    for fill in fills {
        story.tell(fill.clone());
    }
    story.state
}

proptest! {
    #[test]
    fn every_delivery_order_gives_the_same_position(
        (straight, shuffled) in fills().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle()))
    ) {
        let (one, two) = (delivered(&straight), delivered(&shuffled));
        for (a, b) in one.instruments.iter().zip(&two.instruments) {
            prop_assert_eq!(&a.book.now, &b.book.now);
            prop_assert_eq!(&a.book.ended, &b.book.ended);
            prop_assert_eq!(a.entry_price(), b.entry_price());
            prop_assert_eq!(a.dust, b.dust);
        }
        prop_assert_eq!(&one.totals, &two.totals);
        let since = |s: &State| s.assets.iter().map(|a| (a.since, a.fees, a.third_fees)).collect::<Vec<_>>();
        prop_assert_eq!(since(&one), since(&two));
    }

    #[test]
    fn twice_is_once(fills in fills(), again in any::<prop::sample::Index>()) {
        let once = delivered(&fills);
        let mut doubled = fills.clone();
        doubled.extend_from_slice(&fills[..=again.index(fills.len())]);
        let twice = delivered(&doubled);
        prop_assert_eq!(&once.totals, &twice.totals);
        prop_assert_eq!(&once.assets.iter().map(|a| a.since).collect::<Vec<_>>(),
                        &twice.assets.iter().map(|a| a.since).collect::<Vec<_>>());
        prop_assert_eq!(&once.instruments, &twice.instruments);
    }

    #[test]
    fn inferred_parts_leave_nothing_behind(fills in fills(), pieces in 1i64..5) {
        // A buy of `pieces` real fills, seen first as a row without trades, among other fills.
        let mut story = Story::begin();
        for fill in fills {
            story.tell(fill);
        }
        let mut plain = story.clone();
        let order = OrderId(1);
        let whole = Quantity::new(pieces, 1);
        for story in [&mut story, &mut plain] {
            story.tell(entry(order, whole));
        }
        let executed = BEGIN.after(20 * SECOND);
        let infer = |left: i64| FillInferred {
            order,
            quantity: Quantity::new(left, 1),
            value: Money::new(left * 11, 0),
            executed,
        };
        story.tell(infer(pieces));
        for piece in 1..=pieces {
            let fill = FillBooked {
                instrument: InstrumentId(0),
                trade: TradeId(Label::lossy(&format!("p{piece}"))),
                order,
                venue_order: None,
                side: Side::Buy,
                price: Price::new(100 + piece, 0),
                quantity: Quantity::new(1, 1),
                fee: None,
                executed,
                source: FillSource::Report,
            };
            story.tell(fill.clone());
            story.tell(infer(pieces - piece));
            plain.tell(fill);
        }
        let (a, b) = (&story.state, &plain.state);
        prop_assert_eq!(&a.instruments[0].book.now, &b.instruments[0].book.now);
        prop_assert_eq!(&a.totals, &b.totals);
        prop_assert_eq!(a.assets[0].since, b.assets[0].since);
        prop_assert_eq!(a.assets[1].since, b.assets[1].since);
        prop_assert_eq!(a.orders[&order].inferred, Quantity::ZERO);
    }

    #[test]
    fn forgetting_changes_no_sum(steps in prop::collection::vec((any::<u64>(), 0i64..10), 1..80)) {
        let (mut forgetful, mut elephant) = (Book::default(), Book::default());
        let mut time = BEGIN;
        for (at, (seed, days)) in steps.into_iter().enumerate() {
            let mut dice = Dice::new(seed);
            time = time.after(days * DAY + 1);
            let quantity = Quantity::new(1 + dice.below(3), 0);
            let x = aegis_projection::book::Execution {
                order: OrderId(0),
                quantity,
                value: Money::new(1 + dice.below(100_000), 2),
                fee: None,
                base_fee: Quantity::new(dice.below(3), 2),
                quote_fee: Money::new(dice.below(3), 2),
                inferred: false,
            };
            let change = match dice.below(5) {
                0 | 1 => Change::Buy(x),
                2 | 3 => Change::Sell(x),
                _ => Change::FeeDrain(quantity),
            };
            let entry = Entry { time, id: Label::lossy(&format!("{at}")), change, lsn: aegis_model::Lsn(1) };
            prop_assert_eq!(forgetful.insert(entry), Ok(()));
            prop_assert_eq!(elephant.insert(entry), Ok(()));
            forgetful.forget(time.after(-30 * DAY));
            prop_assert_eq!(&forgetful.now, &elephant.now);
            let kept = forgetful.ended.len();
            let tail = elephant.ended.range(elephant.ended.len() - kept..);
            prop_assert!(forgetful.ended.iter().zip(tail).all(|(a, b)| a.sums == b.sums));
            // Remembered is what is young, and the cycle that is open with whatever waits for it.
            let old = forgetful.entries.iter().filter(|e| e.time < time.after(-30 * DAY)).count();
            prop_assert!(old == 0 || forgetful.now.is_open() || kept > 0, "{old} old entries of no cycle");
            prop_assert_eq!(forgetful.index.len(), forgetful.entries.iter().filter(|e| e.change.execution().is_some()).count());
        }
    }
}

fn entry(order: OrderId, quantity: Quantity) -> aegis_model::event::OrderIntended {
    aegis_model::event::OrderIntended {
        order,
        run: 7,
        instrument: InstrumentId(0),
        side: Side::Buy,
        kind: aegis_model::OrderKind::Market,
        quantity,
        purpose: aegis_model::Purpose::Entry,
        valid_until: Timestamp(i64::MAX),
        cancel_at: None,
        replaces: OrderId(0),
        plan: None,
        reference: Price::new(100, 0),
    }
}

/// The generator reaches what it is for: otherwise the laws above would say little.
#[test]
fn histories_reach_every_kind_of_change() {
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    let (mut closed, mut dust, mut reopened, mut anomalies) = (0, 0, 0, BTreeMap::new());
    for seed in 0..300u64 {
        let mut story = Story::begin();
        for step in 0..60 {
            story.step(&mut Dice::new(seed * 1_000 + step));
        }
        for event in &story.events {
            *seen.entry(event.fact.name()).or_default() += 1;
        }
        let restated = |e: &&Event| matches!(e.fact, Fact::CycleRestated(_));
        reopened += story.events.iter().filter(restated).count();
        closed += story.state.totals.closed;
        dust += u64::from(story.state.instruments.iter().any(|i| i.dust.quantity.is_positive()));
        for (kind, n) in &story.state.totals.anomalies {
            *anomalies.entry(format!("{kind:?}")).or_insert(0) += n;
        }
    }
    for (_, name) in Fact::KINDS {
        assert!(seen.contains_key(name), "{name} is never generated");
    }
    assert!(
        closed > 500 && dust > 20 && reopened > 50,
        "{closed} closed, {dust} with dust, {reopened} restated"
    );
    for kind in ["FillMismatch", "OrderUnknown", "EndedReported", "OutOfOrder", "BadFill"] {
        assert!(anomalies.contains_key(kind), "{kind} is never met: {anomalies:?}");
    }
    let _ = event(BEGIN, aegis_model::event::Stopped { reason: Label::EMPTY });
}
