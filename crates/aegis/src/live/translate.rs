//! Between the journal's numbers and the exchange's names: effects become asks, what is heard becomes inputs.
//!
//! It only translates. A name that the journal does not know is passed over with a log line, never guessed; an order
//! or an answer about one is never told under another's number.

use crate::wire::{
    Ask, Checked, Found, Heard, LookUp, NamedRow, NamedTrade, Ours, Quote, Said, Snapshot, Socket,
};
use aegis_model::event::Fee;
use aegis_model::input::{Command, Effect, Input, Lookup, OrderRow, Report, Reported, Trade, VenueSnapshot};
use aegis_model::market::{PricePath, Tick};
use aegis_model::{ClientOrderId, FeedId, InstrumentId, Label, OrderId, Text, Timestamp, VenueOrderId};
use aegis_projection::State;
use aegis_projection::state::Order;

/// Who halts when the exchange refuses the key.
const WIRE: Label = Label::literal("exchange connection");

/// What an effect of the engine asks for.
#[derive(Debug)]
pub(crate) enum Wish {
    /// A question or order for the exchange.
    Ask(Box<Ask>),
    /// A message for a person.
    Notify {
        /// Its number.
        number: u64,
        /// The words.
        text: Text,
    },
    /// Nothing that can be said: an instrument without a name.
    Nothing,
}

/// What something heard means.
#[derive(Debug)]
pub(crate) enum Told {
    /// An input of the engine.
    Input(Box<Input>),
    /// A price; [`tick`] makes a market point of it.
    Quote(Quote),
    /// Nothing for the engine.
    Nothing,
}

/// An effect in the exchange's names.
pub(crate) fn wish(state: &State, effect: &Effect) -> Wish {
    let name = |id: InstrumentId| state.instrument(id).map(|instrument| instrument.spec.name);
    let ask = match effect {
        Effect::Place(place) => name(place.instrument).map(|instrument| Ask::Place {
            client: place.client,
            instrument,
            side: place.side,
            kind: place.kind,
            quantity: place.quantity,
        }),
        Effect::Cancel { client, venue_order, instrument } => {
            name(*instrument).map(|instrument| Ask::Cancel {
                client: *client,
                venue_order: *venue_order,
                instrument,
                advanced: is_advanced(state, *client),
            })
        }
        Effect::LookUp { order, client, intended } => look_up(state, *order, *client, *intended),
        Effect::AskSnapshot { number, scope, trades_from } => Some(Ask::Snapshot {
            number: *number,
            scope: *scope,
            trades_from: *trades_from,
            ours: ours(state),
        }),
        Effect::Notify { number, text } => return Wish::Notify { number: *number, text: text.clone() },
    };
    match ask {
        Some(ask) => Wish::Ask(Box::new(ask)),
        None => {
            tracing::error!(?effect, "an effect about something that the journal has no name for");
            Wish::Nothing
        }
    }
}

/// The journal's orders that have not ended.
pub(crate) fn ours(state: &State) -> Vec<Ours> {
    let of = |order: &Order| Ours {
        client: order.client,
        advanced: order.kind.trigger().is_some(),
        venue_order: order.venue_order,
        released: released(order),
    };
    state.orders.values().map(of).collect()
}

/// What a trigger order released, as far as it is known; its own id where the exchange lists it under that.
fn released(order: &Order) -> Option<VenueOrderId> {
    let told = order.released?;
    if told == VenueOrderId::default() { order.venue_order } else { Some(told) }
}

fn is_advanced(state: &State, client: ClientOrderId) -> bool {
    state.any_order(client.order).is_some_and(|order| order.kind.trigger().is_some())
}

fn look_up(state: &State, number: OrderId, client: ClientOrderId, intended: Timestamp) -> Option<Ask> {
    let order = state.any_order(number)?;
    // One that went out again counts from no earlier than that.
    let sent = if order.attempts > 1 { order.changed_at.max(intended) } else { intended };
    Some(Ask::LookUp(LookUp {
        token: number.0,
        client,
        intended: sent,
        earliest: sent,
        venue_order: order.venue_order,
        released: released(order),
        instrument: state.instrument(order.instrument)?.spec.name,
        side: order.side,
        advanced: order.kind.trigger().is_some(),
    }))
}

/// What something heard means to the engine.
pub(crate) fn told(state: &State, heard: Heard) -> Told {
    let input = match heard {
        Heard::Instruments(Ok(instruments)) => {
            for name in &instruments.missing {
                tracing::error!(instrument = %name, "the exchange does not list it as a spot instrument");
            }
            Some(Input::Instruments(instruments.listed))
        }
        Heard::Instruments(Err(why)) => {
            tracing::error!("the instruments cannot be read: {why}");
            None
        }
        Heard::Report { client, venue_order, said } => {
            reported(state, client, said).map(|what| Input::Report(Report { client, venue_order, what }))
        }
        Heard::Queued { .. } | Heard::Account(_) => None,
        Heard::LookedUp { token, found, evidence: _ } => {
            lookup(state, OrderId(token), found).map(|found| Input::LookedUp(OrderId(token), found))
        }
        Heard::Snapshot(listing) => Some(Input::Snapshot(snapshot(state, *listing))),
        Heard::Quote(quote) => return Told::Quote(quote),
        Heard::Connected(Socket::User) => Some(Input::Compare),
        Heard::Missed(_) => Some(Input::Compare),
        Heard::Odd { anomaly, count, detail } => Some(Input::Odd { anomaly, count, detail }),
        Heard::Connected(Socket::Market) | Heard::Disconnected { .. } => None,
        Heard::AccessRefused { code, text } => {
            let reason = Text::new(&format!("the exchange refuses our key or account, code {code}: {text}"));
            tracing::error!("{reason}");
            // Said once: a halt in force is not halted again.
            let halt = Input::Command { by: WIRE, command: Command::Halt { reason } };
            state.trading.halted.is_none().then_some(halt)
        }
    };
    input.map_or(Told::Nothing, |input| Told::Input(Box::new(input)))
}

/// A price as a market point of a feed.
pub(crate) fn tick(state: &State, quote: &Quote, feed: FeedId, cursor: u64) -> Option<Tick> {
    Some(Tick {
        feed,
        cursor,
        instrument: known(state, &quote.instrument)?,
        at: quote.at,
        bid: quote.bid,
        ask: quote.ask,
        last: quote.last,
        bid_quantity: quote.bid_quantity,
        ask_quantity: quote.ask_quantity,
        path: PricePath::Jump,
    })
}

fn known(state: &State, instrument: &Label) -> Option<InstrumentId> {
    let id = state.find_instrument(instrument);
    if id.is_none() {
        tracing::warn!(%instrument, "the exchange names an instrument that the journal does not list");
    }
    id
}

fn row(state: &State, named: &NamedRow) -> Option<OrderRow> {
    Some(OrderRow { instrument: known(state, &named.instrument)?, ..named.row })
}

fn trade(state: &State, named: &NamedTrade) -> Option<Trade> {
    let fee = named.fee.and_then(|(name, amount)| match state.find_asset(&name) {
        Some(asset) => Some(Fee { asset, amount }),
        None => {
            tracing::warn!(asset = %name, trade = %named.trade.trade.0, "a fee in an asset that the journal has no name for");
            None
        }
    });
    Some(Trade { instrument: known(state, &named.instrument)?, fee, ..named.trade })
}

fn reported(state: &State, client: ClientOrderId, said: Said) -> Option<Reported> {
    Some(match said {
        Said::Row(named) => Reported::Row(row(state, &named)?),
        Said::Filled(named) => Reported::Filled(trade(state, &named)?),
        Said::Rejected { class, code, text } => Reported::Rejected { class, code, text },
        Said::Triggered { released } => Reported::Triggered { released },
        Said::Unknown { cause, text } => {
            tracing::warn!(%client, "the outcome is unknown: {text}");
            Reported::Unknown(cause)
        }
        Said::CancelRefused { code } => Reported::CancelRefused { code },
    })
}

fn lookup(state: &State, number: OrderId, found: Found) -> Option<Lookup> {
    Some(match found {
        Found::Present { row: named, trades } => Lookup::Present {
            row: row(state, &named)?,
            trades: trades.iter().filter_map(|named| trade(state, named)).collect(),
        },
        Found::Absent { late: true, .. } => Lookup::Absent,
        Found::Absent { late: false, checked } => {
            let unchanged = checked.is_some_and(|checked| is_unchanged(state, number, &checked));
            Lookup::AbsentTooEarly { unchanged }
        }
        Found::Failed(why) => Lookup::Failed(why),
    })
}

/// Whether the exchange holds of the order's base asset what the journal expects and lists no trade that the journal
/// does not know. An asset without a recorded balance proves nothing.
fn is_unchanged(state: &State, number: OrderId, checked: &Checked) -> bool {
    let Some(instrument) = state.any_order(number).map(|order| order.instrument) else { return false };
    let Some(base) = state.instrument(instrument).map(|known| known.spec.base) else { return false };
    let Some(asset) = state.asset(base) else { return false };
    let expected = asset.balance.and_then(|balance| balance.total.plus(asset.since).ok());
    let held = checked.balances.iter().find(|balance| balance.asset == asset.name);
    let held = held.map_or(aegis_model::Quantity::ZERO, |balance| balance.total);
    expected == Some(held)
        && checked.trades.iter().all(|named| state.knows_trade(instrument, &named.trade.trade).is_some())
}

/// A listing in the journal's numbers.
pub(crate) fn snapshot(state: &State, listing: Snapshot) -> VenueSnapshot {
    let rows = |rows: &Vec<NamedRow>| rows.iter().filter_map(|named| row(state, named)).collect();
    let trades = |trades: &Vec<NamedTrade>| trades.iter().filter_map(|named| trade(state, named)).collect();
    VenueSnapshot {
        number: listing.number,
        requested: listing.requested,
        open_orders: listing.open_orders.each(rows),
        orders_at: listing.orders_at,
        ended_orders: listing.ended_orders.each(rows),
        trades: listing.trades.each(trades),
        balances: listing.balances,
        flows: listing.flows,
        trades_from: listing.trades_from,
        trades_through: listing.trades_through,
    }
}

#[cfg(test)]
#[path = "translate/tests.rs"]
mod tests;
