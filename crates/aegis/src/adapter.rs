//! Between the engine's numbers and the venue's names: effects become requests, answers become inputs.
//!
//! It only translates. A name that the engine's journal does not know is passed over with a log line, never guessed;
//! for the paper venue, whose lookup sees its whole journal, "not found" is definite at once.

use aegis_model::event::Fee;
use aegis_model::input::{
    Effect, Input, Lookup, OrderRow, Report, Reported, Trade, VenueFlow, VenueSnapshot,
};
use aegis_model::{ClientOrderId, InstrumentId, Label, OrderId, Timestamp, TradeId};
use aegis_paper::{Listing, OrderReport, Said, VenueEffect, VenueInput, VenueRow, VenueTrade};
use aegis_projection::State;

/// What an effect of the engine asks for.
pub(crate) enum Wish {
    /// A request to the venue.
    Venue(Box<VenueInput>),
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
    let request = match effect {
        Effect::Place(place) => match name(state, place.instrument) {
            Some(instrument) => VenueInput::Place {
                client: place.client.label(),
                instrument,
                side: place.side,
                kind: place.kind,
                quantity: place.quantity,
            },
            None => return Wish::Nothing,
        },
        Effect::Cancel { client, .. } => VenueInput::Cancel { client: client.label() },
        Effect::LookUp { order, client, .. } => VenueInput::LookUp { client: client.label(), token: order.0 },
        Effect::AskSnapshot { number, scope, trades_from } => {
            VenueInput::Listing { number: *number, scope: *scope, trades_from: *trades_from }
        }
        Effect::Notify { number, text } => return Wish::Notify { number: *number, text: text.clone() },
    };
    Wish::Venue(Box::new(request))
}

/// An answer of the venue as an input of the engine; `now` is when it was asked. None when it is about an order
/// that is not ours.
pub(crate) fn heard(state: &State, now: Timestamp, effect: &VenueEffect) -> Option<Input> {
    match effect {
        VenueEffect::Order(report) => order(state, report).map(Input::Report),
        VenueEffect::LookedUp { token, found, .. } => {
            let lookup = match found {
                None => Lookup::Absent,
                Some(found) => Lookup::Present {
                    row: row(state, &found.row)?,
                    trades: found.trades.iter().filter_map(|t| trade(state, t)).collect(),
                },
            };
            Some(Input::LookedUp(OrderId(*token), lookup))
        }
        VenueEffect::Listing(listing) => Some(Input::Snapshot(snapshot(state, now, listing))),
        VenueEffect::Flow { id, outcome } => {
            tracing::debug!(%id, ?outcome, "a deposit or withdrawal");
            None
        }
        VenueEffect::ListingRefused { name, text } => {
            tracing::error!(instrument = %name, "the paper exchange does not list it: {text}");
            None
        }
        // What only a server asks for.
        VenueEffect::Trigger { .. }
        | VenueEffect::TriggerRefused { .. }
        | VenueEffect::Listed { .. }
        | VenueEffect::Amended { .. } => None,
    }
}

fn order(state: &State, report: &OrderReport) -> Option<Report> {
    let client: ClientOrderId = report.client?.as_str().parse().ok()?;
    let what = match &report.what {
        Said::Accepted => Reported::Acknowledged,
        Said::Rejected { class, code, text } => {
            Reported::Rejected { class: *class, code: *code, text: text.clone() }
        }
        Said::Traded(venue_trade) => Reported::Filled(trade(state, venue_trade)?),
        Said::Row(venue_row) => Reported::Row(row(state, venue_row)?),
        Said::CancelRefused { code } => Reported::CancelRefused { code: *code },
    };
    Some(Report { client, venue_order: report.venue_order, what })
}

fn snapshot(state: &State, requested: Timestamp, listing: &Listing) -> VenueSnapshot {
    let rows = |rows: &Vec<VenueRow>| rows.iter().filter_map(|r| row(state, r)).collect();
    let trades = |trades: &Vec<VenueTrade>| trades.iter().filter_map(|t| trade(state, t)).collect();
    let flows = |flows: &Vec<aegis_paper::VenueFlow>| {
        flows
            .iter()
            .map(|f| VenueFlow { id: TradeId(f.id), asset: f.asset, quantity: f.quantity, time: f.time })
            .collect()
    };
    VenueSnapshot {
        number: listing.number,
        requested,
        balances: listing.balances.clone(),
        open_orders: listing.open_orders.each(rows),
        // One moment shows all of it.
        orders_at: listing.trades_through.after(1),
        ended_orders: listing.ended_orders.each(rows),
        trades: listing.trades.each(trades),
        flows: listing.flows.each(flows),
        trades_from: listing.trades_from,
        trades_through: listing.trades_through,
    }
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

fn row(state: &State, row: &VenueRow) -> Option<OrderRow> {
    Some(OrderRow {
        client: row.client.and_then(|c| c.as_str().parse().ok()),
        venue_order: row.venue_order,
        instrument: known(state, &row.instrument)?,
        side: row.side,
        status: row.status,
        price: row.price,
        quantity: row.quantity,
        cumulative: row.cumulative,
        value: row.value,
        updated: row.updated,
        released: None,
    })
}

fn trade(state: &State, row: &VenueTrade) -> Option<Trade> {
    let fee = state.find_asset(&row.fee_asset).map(|asset| Fee { asset, amount: row.fee });
    Some(Trade {
        trade: row.trade,
        instrument: known(state, &row.instrument)?,
        client: row.client.and_then(|c| c.as_str().parse().ok()),
        venue_order: Some(row.venue_order),
        side: row.side,
        price: row.price,
        quantity: row.quantity,
        fee,
        executed: row.executed,
    })
}
