//! The table against two plain maps: the open orders, and those that ended, forgotten by the same rule.

use super::{Ended, Orders};
use crate::state::{MEMORY_NS, MEMORY_ORDERS, Order};
use aegis_model::ids::{ClientOrderId, DAY, InstrumentId, Lsn, OrderId, Timestamp};
use aegis_model::money::{Money, Price, Quantity};
use aegis_model::order::{OrderEnd, OrderKind, OrderStatus, Purpose, Side};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use proptest::prelude::*;

fn order(n: u64) -> Order {
    Order {
        client: ClientOrderId { installation: 1, run: 2, order: OrderId(n) },
        instrument: InstrumentId(0),
        side: Side::Buy,
        kind: OrderKind::Market,
        quantity: Quantity::new(1, 0),
        purpose: Purpose::Entry,
        status: OrderStatus::Intended,
        filled: Quantity::ZERO,
        value: Money::ZERO,
        inferred: Quantity::ZERO,
        cumulative: Quantity::ZERO,
        venue_order: None,
        valid_until: Timestamp(0),
        cancel_at: None,
        intended_at: Timestamp(0),
        intended: Lsn(n),
        changed: Lsn(n),
        changed_at: Timestamp(0),
        attempts: 1,
        looks: 0,
        absent: 0,
        looked_at: Timestamp::EPOCH,
        cancel: None,
        cancel_intended_at: Timestamp::EPOCH,
        replaces: OrderId(0),
        reference: Price::new(1, 0),
        put_off: false,
        unproven: false,
        released: None,
    }
}

const fn ended(at: Timestamp) -> Ended {
    Ended { end: OrderEnd::Cancelled, at, lsn: Lsn(1) }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new order this many numbers on.
    Intend(u64),
    /// The nth of the open ones ends, counted from the youngest.
    End(usize),
    /// Days pass.
    Pass(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop_oneof![9 => Just(1u64), 1 => 2..1u64 << 40].prop_map(Step::Intend),
        4 => prop_oneof![5 => 0..3usize, 1 => 0..40usize].prop_map(Step::End),
        1 => (0..20i64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn it_is_two_maps(steps in steps()) {
        let mut orders = Orders::default();
        let (mut open, mut past) = (BTreeMap::new(), BTreeMap::new());
        let (mut last, mut now, mut swept) = (0, Timestamp(0), 0);
        for step in steps {
            match step {
                Step::Intend(on) => {
                    last += on;
                    orders.intend(order(last));
                    open.insert(last, ());
                }
                Step::End(nth) => {
                    let Some(n) = open.keys().rev().nth(nth).copied() else { continue };
                    open.remove(&n);
                    past.insert(n, now);
                    orders.end(OrderId(n), ended(now));
                    orders.forget(now);
                    if now.utc_day() > swept {
                        swept = now.utc_day();
                        let kept = past.iter().find(|(_, at)| **at >= now.after(-MEMORY_NS)).map(|(n, _)| *n);
                        past = kept.map_or_else(BTreeMap::new, |kept| past.split_off(&kept));
                    }
                }
                Step::Pass(days) => now = now.after(days * DAY),
            }
            let numbers = |ids: Vec<OrderId>| ids.into_iter().map(|id| id.0).collect::<Vec<_>>();
            prop_assert_eq!(numbers(orders.keys().copied().collect()), open.keys().copied().collect::<Vec<_>>());
            prop_assert_eq!(numbers(orders.values().map(|o| o.client.order).collect()), numbers(orders.keys().copied().collect()));
            let remembered: Vec<_> = orders.all_ended().map(|e| (e.order.client.order.0, e.at)).collect();
            prop_assert_eq!(remembered, past.iter().map(|(n, at)| (*n, *at)).collect::<Vec<_>>());
            prop_assert_eq!(orders.len(), open.len());
        }
        for n in open.keys().chain(past.keys()).flat_map(|n| [n.saturating_sub(1), *n, n + 1]) {
            prop_assert_eq!(orders.get(&OrderId(n)).is_some(), open.contains_key(&n));
            prop_assert_eq!(orders.ended(OrderId(n)).is_some(), past.contains_key(&n));
            prop_assert_eq!(orders.any(OrderId(n)).is_some(), open.contains_key(&n) || past.contains_key(&n));
        }
        let bytes = aegis_model::wire::encode_state(&orders);
        prop_assert_eq!(aegis_model::wire::decode_state::<Orders>(&bytes), Ok(orders));
    }
}

#[test]
fn what_ended_is_bounded_by_number_and_what_is_open_stays() {
    let mut orders = Orders::default();
    for n in 1..=MEMORY_ORDERS as u64 + 10 {
        orders.intend(order(n));
        if n != 7 {
            orders.end(OrderId(n), ended(Timestamp(1)));
            orders.forget(Timestamp(1));
        }
    }
    let remembered = orders.all_ended().count();
    assert!(remembered <= MEMORY_ORDERS && remembered > MEMORY_ORDERS / 2, "{remembered}");
    assert!(orders.contains_key(&OrderId(7)) && orders.ended(OrderId(1)).is_none());
}

#[test]
fn exactly_as_many_as_are_remembered_are_remembered_whatever_else_is_open() {
    let mut orders = Orders::default();
    orders.intend(order(1));
    for n in 2..=MEMORY_ORDERS as u64 + 1 {
        orders.intend(order(n));
        orders.end(OrderId(n), ended(Timestamp(1)));
    }
    orders.forget(Timestamp(1));
    assert_eq!(orders.all_ended().count(), MEMORY_ORDERS);
    orders.intend(order(MEMORY_ORDERS as u64 + 2));
    orders.end(OrderId(MEMORY_ORDERS as u64 + 2), ended(Timestamp(1)));
    orders.forget(Timestamp(1));
    assert_eq!(orders.all_ended().count(), MEMORY_ORDERS - MEMORY_ORDERS / 16, "a sixteenth goes at once");
}

#[test]
fn numbers_out_of_order_are_no_table() {
    let mut orders = Orders::default();
    orders.intend(order(1));
    orders.intend(order(2));
    orders.slots.swap(0, 1);
    let bytes = aegis_model::wire::encode_state(&orders);
    assert!(aegis_model::wire::decode_state::<Orders>(&bytes).is_err());
}
