//! Orders by number: the open ones, and the bounded memory of those that ended.
//!
//! Both lie in one list in the order of their numbers, so that an order is written once and ending it moves nothing.
//! Numbers are given one after the other, so that an order is found by counting from the newest; where numbers were
//! left out, by halving. It never forgets an order that is open.

use crate::state::{MEMORY_NS, MEMORY_ORDERS, Order};
use aegis_model::ids::{Lsn, OrderId, Timestamp};
use aegis_model::order::OrderEnd;
use aegis_model::wire;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::ops::Index;

/// Orders that room is made for at once while a saved state is read.
const ROOM_MAX: usize = 1024;

/// How an order ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct Ended {
    /// In which way.
    pub end: OrderEnd,
    /// When.
    pub at: Timestamp,
    /// The record.
    pub lsn: Lsn,
}

/// An order that ended, as far as it is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedOrder<'a> {
    /// The order as it stood.
    pub order: &'a Order,
    /// How it ended.
    pub end: OrderEnd,
    /// When.
    pub at: Timestamp,
    /// The record.
    pub lsn: Lsn,
}

/// One remembered order.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
struct Slot {
    order: Order,
    ended: Option<Ended>,
}

impl Slot {
    const fn id(&self) -> OrderId {
        self.order.client.order
    }

    fn as_ended(&self) -> Option<EndedOrder<'_>> {
        let Ended { end, at, lsn } = self.ended?;
        Some(EndedOrder { order: &self.order, end, at, lsn })
    }
}

/// The open orders of a state, with the memory of those that ended. Where nothing else is said, a method is about the
/// open ones.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Orders {
    /// By rising number.
    slots: VecDeque<Slot>,
    /// Numbers of the open ones, rising.
    open: Vec<OrderId>,
    /// The UTC day on which forgetting was last looked at.
    swept: i64,
}

impl Orders {
    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// How many there are with those that ended.
    pub(crate) fn remembered(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether this one is open.
    pub fn contains_key(&self, id: &OrderId) -> bool {
        self.get(id).is_some()
    }

    /// An open order.
    pub fn get(&self, id: &OrderId) -> Option<&Order> {
        let slot = &self.slots[self.position(*id)?];
        if slot.ended.is_none() { Some(&slot.order) } else { None }
    }

    /// Numbers of the open orders, rising.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &OrderId> + '_ {
        self.open.iter()
    }

    /// The open orders by rising number.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Order> + '_ {
        self.open.iter().filter_map(|id| self.get(id))
    }

    /// Number and order of the open ones, rising.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&OrderId, &Order)> + '_ {
        self.open.iter().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// An order, open or remembered.
    pub fn any(&self, id: OrderId) -> Option<&Order> {
        self.position(id).map(|at| &self.slots[at].order)
    }

    /// An order that ended and is remembered.
    pub fn ended(&self, id: OrderId) -> Option<EndedOrder<'_>> {
        self.slots[self.position(id)?].as_ended()
    }

    /// Remembered orders that ended, by rising number.
    pub fn all_ended(&self) -> impl DoubleEndedIterator<Item = EndedOrder<'_>> + '_ {
        self.slots.iter().filter_map(Slot::as_ended)
    }

    /// Where an order lies, open or remembered.
    fn position(&self, id: OrderId) -> Option<usize> {
        let newest = self.slots.back()?.id();
        let behind = newest.0.checked_sub(id.0)?;
        let counted = usize::try_from(behind).ok().and_then(|n| (self.slots.len() - 1).checked_sub(n));
        if let Some(at) = counted
            && self.slots[at].id() == id
        {
            return Some(at);
        }
        self.slots.binary_search_by_key(&id, Slot::id).ok()
    }

    /// A new order, whose number is above every other.
    pub(crate) fn intend(&mut self, order: Order) {
        let id = order.client.order;
        debug_assert!(self.slots.back().is_none_or(|last| last.id() < id), "numbers rise");
        self.slots.push_back(Slot { order, ended: None });
        self.open.push(id);
    }

    /// An open order, to be changed.
    pub(crate) fn get_mut(&mut self, id: OrderId) -> Option<&mut Order> {
        let at = self.position(id)?;
        let slot = &mut self.slots[at];
        if slot.ended.is_none() { Some(&mut slot.order) } else { None }
    }

    /// An order to be changed, open or remembered, with how it ended.
    pub(crate) fn any_mut(&mut self, id: OrderId) -> Option<(&mut Order, &mut Option<Ended>)> {
        let at = self.position(id)?;
        let slot = &mut self.slots[at];
        Some((&mut slot.order, &mut slot.ended))
    }

    /// An open order ends.
    pub(crate) fn end(&mut self, id: OrderId, ended: Ended) {
        let Some(at) = self.position(id) else { return };
        self.slots[at].ended = Some(ended);
        // The young ones end first, as a rule.
        if let Some(at) = self.open.iter().rposition(|open| *open == id) {
            self.open.remove(at);
        }
    }

    /// Keeps the memory of what ended within its bounds: by age once a day, by count when there are too many, and then
    /// by a sixteenth at once, so that each order is looked at a bounded number of times.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let over = self.slots.len() - self.open.len() > MEMORY_ORDERS;
        let today = now.utc_day();
        if !over && self.swept >= today {
            return;
        }
        self.swept = today;
        let cutoff = now.after(-MEMORY_NS);
        let remembered = self.slots.len() - self.open.len();
        let spare = if over { remembered - (MEMORY_ORDERS - MEMORY_ORDERS / 16) } else { 0 };
        let mut gone = 0;
        let stays = |slot: &Slot| match slot.ended {
            Some(ended) if ended.at < cutoff || gone < spare => {
                gone += 1;
                false
            }
            Some(_) => true,
            None => false,
        };
        let front = self.slots.iter().position(stays).unwrap_or(self.slots.len());
        let open: Vec<Slot> = self.slots.drain(..front).filter(|slot| slot.ended.is_none()).collect();
        for slot in open.into_iter().rev() {
            self.slots.push_front(slot);
        }
    }
}

impl Index<&OrderId> for Orders {
    type Output = Order;

    /// # Panics
    /// When the order is not open.
    fn index(&self, id: &OrderId) -> &Order {
        self.get(id).expect("an open order")
    }
}

impl bincode::Encode for Orders {
    fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
        self.swept.encode(encoder)?;
        (self.slots.len() as u64).encode(encoder)?;
        self.slots.iter().try_for_each(|slot| slot.encode(encoder))
    }
}

impl<Context> bincode::Decode<Context> for Orders {
    fn decode<D: bincode::de::Decoder<Context = Context>>(
        decoder: &mut D,
    ) -> Result<Orders, bincode::error::DecodeError> {
        let swept = i64::decode(decoder)?;
        let mut orders = Orders { swept, ..Orders::default() };
        let count = u64::decode(decoder)?;
        // A number that is only claimed gets no memory.
        orders.slots.reserve(usize::try_from(count).unwrap_or(usize::MAX).min(ROOM_MAX));
        for _ in 0..count {
            let slot = Slot::decode(decoder)?;
            if orders.slots.back().is_some_and(|last| last.id() >= slot.id()) {
                return Err(wire::refused("orders are not in the order of their numbers"));
            }
            if slot.ended.is_none() {
                orders.open.push(slot.id());
            }
            orders.slots.push_back(slot);
        }
        Ok(orders)
    }
}
bincode::impl_borrow_decode!(Orders);

#[cfg(test)]
mod tests;
