//! Words that several stories share.

use aegis_model::event::{Direction, Refusal};
use aegis_model::{Fact, Money, Side};
use aegis_tests::{World, label};

/// Refusals recorded so far, in order.
pub(super) fn refusals(world: &World) -> Vec<Refusal> {
    world
        .events()
        .iter()
        .filter_map(|e| match &e.fact {
            Fact::EntryRefused(r) => Some(r.reason),
            _ => None,
        })
        .collect()
}

/// Realised profit of the whole journal.
pub(super) fn realised(world: &World) -> Money {
    world.state().totals.realised
}

/// Orders of each side at the exchange that came from the engine.
pub(super) fn orders(world: &World) -> (usize, usize) {
    (world.exchange.sides(Side::Buy).len(), world.exchange.sides(Side::Sell).len())
}

/// Law 1: the live state and a replay of the stored bytes have one digest.
pub(super) fn assert_replays(world: &World) {
    assert_eq!(world.state().digest(), world.replayed_digest(), "live state and replay differ");
}

/// A world that holds an instrument, bought at a price.
pub(super) fn holding(name: &str, amount: &str, price: &str) -> World {
    let mut world = World::new();
    buy_at(&mut world, name, amount, price);
    world
}

/// Buys by hand at a price, and sees the fill through.
pub(super) fn buy_at(world: &mut World, name: &str, amount: &str, price: &str) {
    world.tick(name, price);
    world.buy(name, amount);
    assert_eq!(world.held(name), aegis_tests::quantity(amount), "{:?}", refusals(world));
}

/// An up signal of a source.
pub(super) fn up(world: &mut World, name: &str, confidence: &str) {
    world.signal(name, Direction::Up, confidence);
}

/// A label, for brevity.
pub(super) fn l(text: &str) -> aegis_model::Label {
    label(text)
}
