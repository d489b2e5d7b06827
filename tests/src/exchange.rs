//! The scripted exchange of the stories: it does what a test tells it, and counts what it was asked.
//!
//! It knows nothing of the engine beyond the words of its inputs and effects.

use aegis_model::event::Fee;
use aegis_model::input::{
    Lookup, OrderRow, Place, Reported, RowStatus, Trade, VenueBalance, VenueFlow, VenueSnapshot,
};
use aegis_model::order::{RejectClass, UnknownCause};
use aegis_model::{
    Answer, AssetId, ClientOrderId, Effect, InstrumentId, Label, Money, OrderKind, Price, Quantity, Rate,
    Report, Rounding, Side, Text, Timestamp, TradeId, VenueOrderId,
};
use std::collections::BTreeMap;

/// How the next orders fill.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fills {
    /// Whole, at once.
    Whole,
    /// This much at once; the rest stays open.
    Part(Quantity),
    /// This much at once; the rest ends (immediate or cancel).
    PartThenExpire(Quantity),
    /// Nothing yet: the order rests.
    Nothing,
    /// Refused.
    Refuse(RejectClass),
    /// Refused at market; stops rest.
    RefuseMarket(RejectClass),
    /// Stops are refused; the rest is filled.
    RefuseStop(RejectClass),
}

/// What happens to the reply of the next orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replies {
    /// Delivered.
    Delivered,
    /// Lost: the caller sees a timeout.
    Lost,
    /// The request itself is lost: nothing happens at the exchange, and the caller sees a timeout.
    RequestLost,
}

/// An order at the exchange.
#[derive(Clone, Debug)]
pub struct VenueOrder {
    /// Our client id; none for orders made by hand.
    pub client: Option<ClientOrderId>,
    /// The row as listed.
    pub row: OrderRow,
    /// The price that it waits for, if it does.
    pub trigger: Option<Price>,
}

/// The scripted exchange.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Orders in the order of their arrival.
    pub orders: Vec<VenueOrder>,
    /// Trades in the order of their execution.
    pub trades: Vec<Trade>,
    /// Deposits and withdrawals.
    pub flows: Vec<VenueFlow>,
    /// Totals by asset name.
    pub balances: BTreeMap<Label, Quantity>,
    /// Instruments as (base, quote) names, by the engine's id.
    pub instruments: Vec<(Label, Label)>,
    /// Last prices, by the engine's id.
    pub prices: BTreeMap<InstrumentId, Price>,
    /// Fee rate; buys pay in base, sells in quote.
    pub fee: Rate,
    /// How the next orders fill.
    pub fills: Option<Fills>,
    /// What happens to replies.
    pub replies: Option<Replies>,
    /// The exchange's clock where it differs: the time of the next executions.
    pub stamp: Option<Timestamp>,
    /// How old a listing is when it arrives, ns.
    pub answer_age: i64,
    /// Requests to cancel are lost: nothing happens, nobody answers.
    pub cancels_lost: bool,
    /// Queries that fail, by name: balances, open, ended, trades, flows, lookup.
    pub failing: Vec<&'static str>,
    /// Requests refused because their client id was used before.
    pub duplicates: u32,
    /// Notifications taken, by number.
    pub messages: Vec<(u64, String)>,
    /// Whether the notification service answers.
    pub notifications_down: bool,
    /// Trades are listed again from so long before what was asked for, ns, as the program asks for them.
    pub overlap_ns: i64,
    /// Whether listings reach only as far as the last execution, as those of an exchange whose clock is its journal.
    pub clock_is_last_trade: bool,
    /// Names of assets, by the engine's id, for fees.
    pub asset_ids: Vec<Label>,
    /// How many times everything was asked for.
    pub comparisons: u32,
}

impl Exchange {
    /// The orders that came from the engine.
    pub fn engine_orders(&self) -> usize {
        self.orders.iter().filter(|o| o.client.is_some()).count()
    }

    /// Orders of one side that came from the engine.
    pub fn sides(&self, side: Side) -> Vec<&OrderRow> {
        self.orders.iter().filter(|o| o.client.is_some() && o.row.side == side).map(|o| &o.row).collect()
    }

    /// An asset's total.
    pub fn total(&self, asset: &str) -> Quantity {
        self.balances.get(&crate::label(asset)).copied().unwrap_or_default()
    }

    /// Puts an asset's total in place without a record of it.
    pub fn set_total(&mut self, asset: &str, total: &str) {
        self.balances.insert(crate::label(asset), crate::quantity(total));
    }

    /// A deposit (or, negative, a withdrawal) that the exchange lists.
    pub fn flow(&mut self, asset: &str, amount: &str, time: Timestamp) {
        let id = TradeId(crate::label(&format!("flow-{}", self.flows.len() + 1)));
        let quantity = crate::quantity(amount);
        self.flows.push(VenueFlow { id, asset: crate::label(asset), quantity, time });
        self.add(crate::label(asset), quantity);
    }

    fn add(&mut self, asset: Label, amount: Quantity) {
        let total = self.balances.entry(asset).or_default();
        *total = total.plus(amount).expect("a story's balance fits");
    }

    fn asset_id(&self, name: Label) -> AssetId {
        let at = self.asset_ids.iter().position(|a| *a == name).expect("a listed asset");
        AssetId(u16::try_from(at).expect("few assets"))
    }

    /// An execution on an order (by its place), at a price.
    pub fn execute(&mut self, order: usize, amount: Quantity, at_price: Price, time: Timestamp) -> Trade {
        let time = self.stamp.unwrap_or(time);
        let row = &mut self.orders[order].row;
        let value = at_price.times(amount, Rounding::HalfEven).expect("a story's value fits");
        row.cumulative = row.cumulative.plus(amount).expect("fits");
        row.value = row.value.plus(value).expect("fits");
        row.updated = time;
        if row.cumulative >= row.quantity {
            row.status = RowStatus::Filled;
        }
        let (instrument, side, venue_order) = (row.instrument, row.side, row.venue_order);
        let client = self.orders[order].client;
        let (base, quote) = self.instruments[instrument.0 as usize];
        let fee = if self.fee.is_zero() {
            Fee { asset: self.asset_id(if side == Side::Buy { base } else { quote }), amount: Quantity::ZERO }
        } else if side == Side::Buy {
            let paid = amount.scaled(self.fee, Rounding::Ceil).expect("fits");
            Fee { asset: self.asset_id(base), amount: paid }
        } else {
            let paid = value.scaled(self.fee, Rounding::Ceil).expect("fits");
            Fee { asset: self.asset_id(quote), amount: Quantity(paid.0) }
        };
        let minus = |q: Quantity| q.negated();
        match side {
            Side::Buy => {
                self.add(base, amount.minus(fee.amount).expect("fits"));
                self.add(quote, minus(Quantity(value.0)));
            }
            Side::Sell => {
                self.add(base, minus(amount));
                self.add(quote, Quantity(value.0).minus(fee.amount).expect("fits"));
            }
        }
        let trade = Trade {
            trade: TradeId(crate::label(&format!("t{}", self.trades.len() + 1))),
            instrument,
            client,
            venue_order: Some(venue_order),
            side,
            price: at_price,
            quantity: amount,
            fee: Some(fee),
            executed: time,
        };
        self.trades.push(trade);
        trade
    }

    fn admit(
        &mut self,
        client: Option<ClientOrderId>,
        instrument: InstrumentId,
        side: Side,
        kind: OrderKind,
        amount: Quantity,
        time: Timestamp,
    ) -> usize {
        let number = 123 + self.orders.len() * 333;
        let limit = match kind {
            OrderKind::Limit { price, .. } => Some(price),
            OrderKind::Market | OrderKind::StopLoss { .. } | OrderKind::TakeProfit { .. } => None,
        };
        let row = OrderRow {
            client,
            venue_order: VenueOrderId(crate::label(&number.to_string())),
            instrument,
            side,
            status: RowStatus::Open,
            price: limit,
            quantity: amount,
            cumulative: Quantity::ZERO,
            value: Money::ZERO,
            updated: time,
            released: None,
        };
        self.orders.push(VenueOrder { client, row, trigger: kind.trigger() });
        self.orders.len() - 1
    }

    /// A trade that a person makes by hand in the exchange's own interface.
    pub fn by_hand(
        &mut self,
        instrument: InstrumentId,
        side: Side,
        amount: &str,
        at_price: &str,
        time: Timestamp,
    ) {
        let order = self.admit(None, instrument, side, OrderKind::Market, crate::quantity(amount), time);
        self.execute(order, crate::quantity(amount), crate::price(at_price), time);
    }

    /// The owner's own sell that rests and reserves what it would sell; where it stands in `orders`.
    pub fn rest_by_hand(&mut self, instrument: InstrumentId, amount: &str, time: Timestamp) -> usize {
        let far = OrderKind::Limit {
            price: crate::price("1000000"),
            time_in_force: aegis_model::TimeInForce::GoodTillCancel,
        };
        self.admit(None, instrument, Side::Sell, far, crate::quantity(amount), time)
    }

    /// Takes an order; the reports that reach the caller.
    pub fn place(&mut self, place: &Place, time: Timestamp) -> Vec<Report> {
        let report = |venue_order, what| Report { client: place.client, venue_order, what };
        let replies = self.replies.unwrap_or(Replies::Delivered);
        if replies == Replies::RequestLost {
            return vec![report(None, Reported::Unknown(UnknownCause::Timeout))];
        }
        if self.orders.iter().any(|o| o.client == Some(place.client)) {
            self.duplicates += 1;
            let text = Text::new("DUPLICATE_CLORDID");
            return vec![report(None, Reported::Rejected { class: RejectClass::Duplicate, code: 204, text })];
        }
        let fills = self.fills.unwrap_or(Fills::Whole);
        let refused = match fills {
            Fills::Refuse(class) => Some(class),
            Fills::RefuseMarket(class) if place.kind == OrderKind::Market => Some(class),
            Fills::RefuseStop(class) if place.kind.trigger().is_some() => Some(class),
            Fills::RefuseMarket(_)
            | Fills::RefuseStop(_)
            | Fills::Whole
            | Fills::Part(_)
            | Fills::PartThenExpire(_)
            | Fills::Nothing => None,
        };
        if let Some(class) = refused {
            let text = Text::new("refused by script");
            return vec![report(None, Reported::Rejected { class, code: 999, text })];
        }
        let at =
            self.admit(Some(place.client), place.instrument, place.side, place.kind, place.quantity, time);
        let venue_order = Some(self.orders[at].row.venue_order);
        let mut reports = vec![report(venue_order, Reported::Acknowledged)];
        let market = self.prices.get(&place.instrument).copied().unwrap_or_default();
        if place.kind.trigger().is_some() {
            // It waits for its trigger, whatever the script says of fills.
            reports.push(report(venue_order, Reported::Row(self.orders[at].row)));
            return if replies == Replies::Lost {
                vec![report(None, Reported::Unknown(UnknownCause::Timeout))]
            } else {
                reports
            };
        }
        let amount = match fills {
            Fills::Whole | Fills::RefuseMarket(_) | Fills::RefuseStop(_) => place.quantity,
            Fills::Part(part) | Fills::PartThenExpire(part) => part.min(place.quantity),
            Fills::Nothing | Fills::Refuse(_) => Quantity::ZERO,
        };
        if amount.is_positive() {
            let trade = self.execute(at, amount, market, time);
            reports.push(report(venue_order, Reported::Filled(trade)));
        }
        if matches!(fills, Fills::PartThenExpire(_)) {
            self.orders[at].row.status = RowStatus::Expired;
        }
        reports.push(report(venue_order, Reported::Row(self.orders[at].row)));
        if replies == Replies::Lost {
            return vec![report(None, Reported::Unknown(UnknownCause::Timeout))];
        }
        reports
    }

    /// Stops that wait at the exchange for their trigger: their places.
    pub fn resting(&self) -> Vec<usize> {
        let waits = |o: &VenueOrder| {
            o.trigger.is_some() && o.row.status == RowStatus::Open && o.row.released.is_none()
        };
        (0..self.orders.len()).filter(|at| waits(&self.orders[*at])).collect()
    }

    /// A stop fires: it releases a market order with an id of its own, which sells this much at the last price. What
    /// it left ends as `end`, if anything.
    pub fn fire(&mut self, at: usize, amount: Quantity, end: RowStatus, time: Timestamp) -> Vec<Report> {
        let released = VenueOrderId(crate::label(&format!("9{}", self.orders[at].row.venue_order.0)));
        let client = self.orders[at].client.expect("a stop of ours");
        let venue_order = Some(self.orders[at].row.venue_order);
        let report = |what| Report { client, venue_order, what };
        self.orders[at].row.released = Some(released);
        let mut reports = vec![report(Reported::Triggered { released })];
        let market = self.prices[&self.orders[at].row.instrument];
        if amount.is_positive() {
            let trade = self.execute(at, amount, market, time);
            reports.push(report(Reported::Filled(Trade { venue_order: Some(released), ..trade })));
        }
        if self.orders[at].row.status == RowStatus::Open {
            self.orders[at].row.status = end;
            self.orders[at].row.updated = time;
        }
        reports.push(report(Reported::Row(self.orders[at].row)));
        reports
    }

    /// Cancels an order.
    pub fn cancel(&mut self, client: ClientOrderId, time: Timestamp) -> Vec<Report> {
        let Some(order) = self.orders.iter_mut().find(|o| o.client == Some(client)) else {
            return vec![Report { client, venue_order: None, what: Reported::CancelRefused { code: 212 } }];
        };
        let venue_order = Some(order.row.venue_order);
        if order.row.status != RowStatus::Open || order.row.released.is_some() {
            return vec![Report { client, venue_order, what: Reported::CancelRefused { code: 316 } }];
        }
        order.row.status = RowStatus::Cancelled;
        order.row.updated = time;
        vec![Report { client, venue_order, what: Reported::Row(order.row) }]
    }

    /// Looks an order up.
    pub fn look_up(&self, client: ClientOrderId) -> Lookup {
        if self.failing.contains(&"lookup") {
            return Lookup::Failed(Text::new("no answer"));
        }
        match self.orders.iter().find(|o| o.client == Some(client)) {
            Some(order) => Lookup::Present {
                row: order.row,
                trades: self.trades.iter().filter(|t| t.client == Some(client)).copied().collect(),
            },
            None => Lookup::Absent,
        }
    }

    fn answer<T>(&self, name: &'static str, asked: bool, value: T) -> Answer<T> {
        if !asked {
            Answer::NotAsked
        } else if self.failing.contains(&name) {
            Answer::Failed(Text::new("HTTP 200 with code 50001"))
        } else {
            Answer::Complete(value)
        }
    }

    /// Answers a question for balances or for everything.
    pub fn snapshot(&self, number: u64, full: bool, trades_from: Timestamp, now: Timestamp) -> VenueSnapshot {
        let open = self.orders.iter().filter(|o| o.row.status == RowStatus::Open);
        let reserved = |asset: Label| -> Quantity {
            let mut sum = Quantity::ZERO;
            for order in open.clone() {
                let rest = order.row.quantity.minus(order.row.cumulative).expect("fits");
                let (base, quote) = self.instruments[order.row.instrument.0 as usize];
                if order.row.side == Side::Sell && base == asset {
                    sum = sum.plus(rest).expect("fits");
                } else if order.row.side == Side::Buy && quote == asset {
                    let at = order.row.price.unwrap_or(self.prices[&order.row.instrument]);
                    sum = sum.plus(Quantity(at.times(rest, Rounding::Ceil).expect("fits").0)).expect("fits");
                }
            }
            sum
        };
        let balances = self
            .balances
            .iter()
            .map(|(asset, total)| VenueBalance { asset: *asset, total: *total, reserved: reserved(*asset) })
            .collect();
        let rows = |want_open: bool| {
            let all = self.orders.iter().map(|o| o.row);
            all.filter(|r| (r.status == RowStatus::Open) == want_open).collect::<Vec<_>>()
        };
        let trades_from = trades_from.after(-self.overlap_ns);
        let trades = self.trades.iter().filter(|t| t.executed >= trades_from).copied().collect();
        VenueSnapshot {
            number,
            requested: now,
            balances: if full && self.failing.contains(&"settling") {
                Answer::Unsettled(Text::new("no two reads agreed"))
            } else {
                self.answer("balances", true, balances)
            },
            open_orders: self.answer("open", full, rows(true)),
            orders_at: now.after(1),
            ended_orders: self.answer("ended", full, rows(false)),
            trades: self.answer("trades", full, trades),
            flows: self.answer("flows", full, self.flows.clone()),
            trades_from,
            trades_through: if self.clock_is_last_trade {
                self.trades.last().map_or(Timestamp::EPOCH, |t| t.executed)
            } else {
                now
            },
        }
    }

    /// Carries an effect out; the inputs that come of it.
    pub fn carry_out(&mut self, effect: &Effect, now: Timestamp) -> Vec<aegis_model::Input> {
        use aegis_model::Input;
        match effect {
            Effect::Place(place) => self.place(place, now).into_iter().map(Input::Report).collect(),
            Effect::Cancel { .. } if self.cancels_lost => Vec::new(),
            Effect::Cancel { client, .. } => {
                self.cancel(*client, now).into_iter().map(Input::Report).collect()
            }
            Effect::LookUp { order, client, .. } => vec![Input::LookedUp(*order, self.look_up(*client))],
            Effect::AskSnapshot { number, scope, trades_from } => {
                let full = matches!(scope, aegis_model::input::Scope::Full);
                self.comparisons += u32::from(full);
                vec![Input::Snapshot(self.snapshot(*number, full, *trades_from, now))]
            }
            Effect::Notify { number, text } => {
                if self.notifications_down {
                    return Vec::new();
                }
                self.messages.push((*number, text.as_str().to_owned()));
                vec![Input::Delivered(*number)]
            }
        }
    }
}
