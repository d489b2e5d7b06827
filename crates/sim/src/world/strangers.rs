//! What strangers say, told to a copy of the engine beside the run: words about orders, lookups and messages that this
//! journal never made change nothing and bring nothing about (S23). Only an id of this very installation that the
//! journal does not know is more than a stranger's: another engine trades on the account, or a tail was lost, and no
//! entry passes from then on (S21).

use super::*;
use aegis_model::event::{AlarmKind, Blocks, Fee};
use aegis_model::input::{Lookup, OrderRow, Report, Reported, RowStatus, Trade};
use aegis_model::order::{RejectClass, UnknownCause};
use aegis_model::{AssetId, ClientOrderId, Fact, Lsn, OrderId, TradeId, VenueOrderId};

/// All that can be said about an order, for one of this id.
fn sayings(
    client: ClientOrderId,
    state: &aegis_projection::State,
    at: Timestamp,
    draw: &mut Draw,
) -> Vec<Reported> {
    let known = state.orders.values().next();
    let venue_order = VenueOrderId(Label::lossy(&format!("9{}", draw.below(1 << 30))));
    let instrument = known.map_or(InstrumentId(0), |order| order.instrument);
    let side = if draw.one_in(2) { Side::Buy } else { Side::Sell };
    let quantity = known.map_or(Quantity::new(1, 2), |order| order.quantity);
    let price = Price::new(draw.between(1, 5_000_000), 2);
    let trade = Trade {
        trade: TradeId(Label::lossy(&format!("8{}", draw.below(1 << 30)))),
        instrument,
        client: Some(client),
        venue_order: Some(venue_order),
        side,
        price,
        quantity,
        fee: Some(Fee { asset: AssetId(0), amount: Quantity::ZERO }),
        executed: at,
    };
    let row = |status, cumulative: Quantity| OrderRow {
        client: Some(client),
        venue_order,
        instrument,
        side,
        status,
        price: None,
        quantity,
        cumulative,
        value: price.times(cumulative, Rounding::HalfEven).unwrap_or_default(),
        updated: at,
        released: None,
    };
    vec![
        Reported::Acknowledged,
        Reported::Rejected { class: RejectClass::Permanent, code: 999, text: Text::new("a stranger's") },
        Reported::Filled(trade),
        Reported::Row(row(RowStatus::Open, Quantity::ZERO)),
        Reported::Row(row(RowStatus::Filled, quantity)),
        Reported::Row(row(RowStatus::Cancelled, Quantity::ZERO)),
        Reported::Triggered { released: venue_order },
        Reported::Unknown(UnknownCause::Timeout),
        Reported::CancelRefused { code: 316 },
    ]
}

impl World<'_> {
    /// S23, and of S21 the fence between two engines on one account.
    pub(super) fn stranger(&mut self, wall: Timestamp) {
        let Some(process) = &self.process else { return };
        let live = process.node.machine();
        if live.state().journal.started == Lsn::NONE || live.state().instruments.is_empty() {
            return;
        }
        let mut draw = Draw::keyed(self.line.seed, 33, self.steps);
        let mut engine = live.clone();
        let last = engine.state().last_order.0;
        // A number that is ours, or one that nobody has given yet.
        let order = OrderId(1 + draw.below(last + 3));
        let run = u32::try_from(draw.bits() >> 32).unwrap_or(0);
        let installation = engine.state().journal.installation;
        let client = ClientOrderId { installation: installation ^ (1 + draw.below(1 << 20)), run, order };
        let mut inputs: Vec<Input> = sayings(client, engine.state(), wall, &mut draw)
            .into_iter()
            .map(|what| Input::Report(Report { client, venue_order: None, what }))
            .collect();
        inputs.push(Input::LookedUp(OrderId(last + 1 + draw.below(9)), Lookup::Absent));
        inputs.push(Input::Delivered(u64::MAX - draw.below(9)));
        // What the engine does as soon as it looks about is not theirs: it does so whenever something is noted.
        let first = ClientOrderId { order: OrderId(last + 99), ..client };
        let what = Reported::Acknowledged;
        drop(engine.handle(wall, &Input::Report(Report { client: first, venue_order: None, what })));
        for input in inputs {
            let said = engine.handle(wall, &input);
            let later = engine.handle(wall, &Input::Clock);
            let facts = said.events.iter().chain(&later.events);
            let strange = facts
                .map(|event| &event.fact)
                .find(|fact| !matches!(fact, Fact::AnomalyNoted(_) | Fact::TickSeen(_)));
            if let Some(fact) = strange {
                return self.break_rule("S23", format!("{input:?} brought {fact:?} about"));
            }
            if let Some(effect) = said.effects.first().or(later.effects.first()) {
                return self.break_rule("S23", format!("{input:?} is answered by {effect:?}"));
            }
        }
        let mut other = ClientOrderId { installation, run, order };
        if engine.state().any_order(order).is_some_and(|known| known.client == other) {
            other.run ^= 1;
        }
        let what = Reported::Acknowledged;
        drop(engine.handle(wall, &Input::Report(Report { client: other, venue_order: None, what })));
        let alarm = engine.state().alarms.get(&(AlarmKind::ForeignIntent, None));
        if alarm.is_none_or(|alarm| alarm.blocks != Blocks::AllEntries) {
            return self.break_rule("S21", format!("{other} is not ours, and entries still pass"));
        }
        let market = draw.below(self.markets.len() as u64) as usize;
        let quantity = Quantity::new(self.markets[market].factor * 40, LISTED[market].2);
        let command = Command::Open { instrument: self.markets[market].name, quantity, stop: None };
        let asked = engine.handle(wall, &Input::Command { by: Label::literal("alice"), command });
        let enters = |effect: &Effect| matches!(effect, Effect::Place(place) if place.side == Side::Buy);
        if asked.effects.iter().any(enters) {
            self.break_rule("S21", "an entry leaves although another engine is on the account".to_owned());
        }
    }
}
