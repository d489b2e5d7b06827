//! Between the engine's numbers and the venue's names: effects become requests, answers become inputs.
//!
//! It only translates. A name that the engine's journal does not know is passed over with a log line, never guessed;
//! for the paper venue, whose lookup sees its whole journal, "not found" is definite at once.

use aegis_model::event::Fee;
use aegis_model::input::{
    Answer, Effect, Input, Lookup, OrderRow, Report, Reported, Scope, Trade, VenueSnapshot,
};
use aegis_model::{ClientOrderId, InstrumentId, Label, OrderId, Timestamp, TradeId, VenueOrderId};
use aegis_paper::words::{Listing, Row, TradeRow, VenueEffect, VenueInput, VenueReported};
use aegis_paper::{ListQuery, PlaceOrder};
use aegis_projection::State;

/// What an effect of the engine asks for.
pub(crate) enum Wish {
    /// A request to the venue.
    Venue(VenueInput),
    /// A message for a person.
    Notify {
        /// Its number.
        number: u64,
        /// The words.
        text: aegis_model::Text,
    },
    /// Nothing that can be said: an instrument without a name.
    Nothing,
}

/// An effect in the venue's words.
pub(crate) fn wish(state: &State, effect: &Effect) -> Wish {
    match effect {
        Effect::Place(place) => match name(state, place.instrument) {
            Some(instrument) => Wish::Venue(VenueInput::Place(PlaceOrder {
                client: place.client.label(),
                instrument,
                side: place.side,
                kind: place.kind,
                quantity: place.quantity,
            })),
            None => Wish::Nothing,
        },
        Effect::Cancel { client, .. } => Wish::Venue(VenueInput::Cancel { client: client.label() }),
        Effect::LookUp { client, .. } => Wish::Venue(VenueInput::LookUp { client: client.label() }),
        Effect::AskSnapshot { number, scope, trades_from } => Wish::Venue(VenueInput::Query(ListQuery {
            number: *number,
            scope: *scope,
            trades_from: *trades_from,
        })),
        Effect::Notify { number, text } => Wish::Notify { number: *number, text: text.clone() },
    }
}

/// An answer of the venue as an input of the engine; `now` is when it was asked. None when it is about an order
/// that is not ours.
pub(crate) fn heard(state: &State, now: Timestamp, effect: &VenueEffect) -> Option<Input> {
    match effect {
        VenueEffect::Report { client, venue_order, what } => {
            let client = client.as_str().parse().ok()?;
            let what = reported(state, what)?;
            Some(Input::Report(Report { client, venue_order: venue_order.map(VenueOrderId), what }))
        }
        VenueEffect::LookedUp { client, found } => {
            let client: ClientOrderId = client.as_str().parse().ok()?;
            let lookup = match found {
                None => Lookup::Absent,
                Some((venue_row, trades)) => Lookup::Present {
                    row: row(state, venue_row)?,
                    trades: trades.iter().filter_map(|t| trade(state, t)).collect(),
                },
            };
            Some(Input::LookedUp(order_of(client), lookup))
        }
        VenueEffect::Listed(listing) => Some(Input::Snapshot(snapshot(state, now, listing))),
    }
}

const fn order_of(client: ClientOrderId) -> OrderId {
    client.order
}

fn reported(state: &State, what: &VenueReported) -> Option<Reported> {
    Some(match what {
        VenueReported::Accepted => Reported::Acknowledged,
        VenueReported::Rejected { class, code, text } => {
            Reported::Rejected { class: *class, code: *code, text: aegis_model::Text::new(text) }
        }
        VenueReported::Traded(venue_trade) => Reported::Filled(trade(state, venue_trade)?),
        VenueReported::Row(venue_row) => Reported::Row(row(state, venue_row)?),
        VenueReported::CancelRefused { code } => Reported::CancelRefused { code: *code },
    })
}

fn snapshot(state: &State, requested: Timestamp, listing: &Listing) -> VenueSnapshot {
    let full = listing.scope == Scope::Full;
    let rows = |rows: &[Row]| rows.iter().filter_map(|r| row(state, r)).collect::<Vec<_>>();
    VenueSnapshot {
        number: listing.number,
        requested,
        balances: Answer::Complete(listing.balances.clone()),
        open_orders: asked(full, || rows(&listing.open_orders)),
        ended_orders: asked(full, || rows(&listing.ended_orders)),
        trades: asked(full, || listing.trades.iter().filter_map(|t| trade(state, t)).collect()),
        flows: asked(full, || listing.flows.clone()),
        trades_from: listing.trades_from,
        trades_through: listing.trades_through,
    }
}

fn asked<T>(full: bool, what: impl FnOnce() -> T) -> Answer<T> {
    if full { Answer::Complete(what()) } else { Answer::NotAsked }
}

fn name(state: &State, id: InstrumentId) -> Option<Label> {
    state.instrument(id).map(|i| i.spec.name)
}

fn known(state: &State, instrument: &Label) -> Option<InstrumentId> {
    let id = state.find_instrument(instrument);
    if id.is_none() {
        tracing::warn!(%instrument, "the venue names an instrument that the journal does not list");
    }
    id
}

fn row(state: &State, row: &Row) -> Option<OrderRow> {
    Some(OrderRow {
        client: row.client.and_then(|c| c.as_str().parse().ok()),
        venue_order: VenueOrderId(row.venue_order),
        instrument: known(state, &row.instrument)?,
        side: row.side,
        status: row.status,
        price: row.price,
        quantity: row.quantity,
        cumulative: row.cumulative,
        value: row.value,
        updated: row.updated,
    })
}

fn trade(state: &State, row: &TradeRow) -> Option<Trade> {
    let fee = state.find_asset(&row.fee_asset).map(|asset| Fee { asset, amount: row.fee });
    Some(Trade {
        trade: TradeId(row.trade),
        instrument: known(state, &row.instrument)?,
        client: row.client.and_then(|c| c.as_str().parse().ok()),
        venue_order: Some(VenueOrderId(row.venue_order)),
        side: row.side,
        price: row.price,
        quantity: row.quantity,
        fee,
        executed: row.executed,
    })
}
