//! A rig that reads rows of `input | answers`: the row is the specification. It never looks inside the exchange.

use aegis_model::input::{Answer, ListedInstrument, Scope};
use aegis_model::market::PricePath;
use aegis_model::{
    Candle, Decision, FeedId, InstrumentId, Label, Machine, Money, OrderKind, Price, Quantity, Side, Tick,
    TimeInForce, Timestamp, VenueOrderId,
};
use aegis_paper::{
    Asked, Conditional, Created, FlowOutcome, Linked, Said, Settings, TriggerKind, Venue, VenueEffect,
    VenueEvent, VenueInput, VenueRow, Watched,
};

pub(crate) const PAIR: Label = Label::literal("BTC_USDT");
pub(crate) const FEED: FeedId = FeedId(1);

pub(crate) struct Rig {
    pub(crate) venue: Venue,
    pub(crate) events: Vec<VenueEvent>,
    pub(crate) ticks: Vec<VenueInput>,
    settings: Settings,
    cursor: u64,
    now: i64,
    flows: u64,
}

pub(crate) fn listed() -> ListedInstrument {
    ListedInstrument {
        name: PAIR,
        base: Label::literal("BTC"),
        quote: Label::literal("USDT"),
        price_tick: Price::new(1, 2),
        quantity_tick: Quantity::new(1, 4),
        minimum_notional: Money::new(1, 0),
        tradable: true,
    }
}

/// Each line is `input | answer, answer`; `-` stands for no answer.
pub(crate) fn check(rows: &str) {
    check_with(Settings::default(), rows);
}

pub(crate) fn check_with(settings: Settings, rows: &str) {
    let mut rig = Rig::new(settings);
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (input, wanted) = row.split_once('|').unwrap_or((row, "-"));
        let said = rig.line(input.trim());
        assert_eq!(said, wanted.trim(), "after {input:?} of\n{rows}");
        rig.venue.state().audit().expect("the laws hold after every row");
    }
}

impl Rig {
    pub(crate) fn new(settings: Settings) -> Rig {
        let venue = Venue::new(settings);
        let (events, ticks) = (Vec::new(), Vec::new());
        let mut rig = Rig { venue, events, ticks, settings, cursor: 0, now: 1_000, flows: 0 };
        let created = Some(Created { account: Label::literal("test") });
        rig.give(&VenueInput::Open { created, version: Label::literal("0") });
        rig.give(&VenueInput::List(vec![listed()]));
        rig
    }

    pub(crate) fn give(&mut self, input: &VenueInput) -> Decision<VenueEvent, VenueEffect> {
        self.now += 1;
        let decision = self.venue.handle(Timestamp(self.now), input);
        self.events.extend(decision.events.iter().cloned());
        decision
    }

    pub(crate) fn tick(&mut self, bid: Option<&str>, ask: Option<&str>, last: Option<&str>) -> Tick {
        self.cursor += 1;
        self.now += 1;
        let price = |text: &str| text.parse::<Price>().expect("a price");
        Tick {
            feed: FEED,
            cursor: self.cursor,
            instrument: InstrumentId(77),
            at: Timestamp(self.now),
            bid: bid.map(price),
            ask: ask.map(price),
            last: last.map(price),
            bid_quantity: None,
            ask_quantity: None,
            path: PricePath::Jump,
        }
    }

    /// A killed process: only the journal is left; the market is read again from its beginning.
    pub(crate) fn restart(&mut self) -> Vec<VenueEvent> {
        let mut venue = Venue::new(self.settings);
        self.events.iter().for_each(|event| venue.apply(event));
        assert_eq!(venue.digest(), self.venue.digest(), "live equals replay");
        self.venue = venue;
        let now = Timestamp(self.now);
        self.ticks.iter().flat_map(|tick| self.venue.handle(now, tick).events).collect()
    }

    pub(crate) fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let input = match words[..] {
            ["restart"] => {
                let again = self.restart();
                return if again.is_empty() { "-".into() } else { format!("{again:?}") };
            }
            ["forget"] => {
                let mut venue = Venue::new(self.settings);
                venue.load(&self.venue.save()).expect("its own state");
                self.venue = venue;
                return "-".into();
            }
            ["have"] => return have(&self.venue),
            ["counters"] => {
                let c = self.venue.state().counters();
                let (ok, no, twice) = (c.accepted, c.rejected, c.duplicates);
                return format!("accepted {ok} rejected {no} duplicates {twice} trades {}", c.trades);
            }
            ["tradable", yes] => {
                VenueInput::List(vec![ListedInstrument { tradable: yes == "yes", ..listed() }])
            }
            ["ticks", price, quantity] => VenueInput::List(vec![ListedInstrument {
                price_tick: price.parse().expect("a price"),
                quantity_tick: quantity.parse().expect("a quantity"),
                ..listed()
            }]),
            [fund @ ("fund" | "withdraw"), asset, quantity, ref id @ ..] => {
                self.flows += 1;
                let id = id.last().map_or_else(|| format!("f{}", self.flows), |id| (*id).to_string());
                let quantity: Quantity = quantity.parse().expect("a quantity");
                let quantity = if fund == "fund" { quantity } else { quantity.negated() };
                VenueInput::Fund { id: label(&id), asset: label(asset), quantity }
            }
            [kind @ ("quote" | "quote-through" | "warm"), bid, ask, ref sizes @ ..] => {
                let mut tick = self.tick(Some(bid), Some(ask), None);
                if let [bid, ask] = sizes {
                    tick.bid_quantity = bid.parse().ok();
                    tick.ask_quantity = ask.parse().ok();
                }
                if kind == "quote-through" {
                    tick.path = PricePath::Through;
                }
                if kind == "warm" {
                    VenueInput::Warmup { name: PAIR, tick }
                } else {
                    VenueInput::Tick { name: PAIR, tick }
                }
            }
            ["bid", bid] => VenueInput::Tick { name: PAIR, tick: self.tick(Some(bid), None, Some("1")) },
            ["again", ago] => {
                let ago: usize = ago.parse().expect("a count");
                self.ticks[self.ticks.len() - ago].clone()
            }
            ["last", last] => VenueInput::Tick { name: PAIR, tick: self.tick(None, None, Some(last)) },
            ["through", last] => {
                let tick = Tick { path: PricePath::Through, ..self.tick(None, None, Some(last)) };
                VenueInput::Tick { name: PAIR, tick }
            }
            ["candle", open, high, low, close] => {
                let price = |text: &str| text.parse::<Price>().expect("a price");
                let candle = Candle {
                    open_time: Timestamp(self.now),
                    open: price(open),
                    high: price(high),
                    low: price(low),
                    close: price(close),
                    volume: Quantity::ZERO,
                };
                let cursor = self.cursor + 1;
                self.cursor += 4;
                VenueInput::Candle { name: PAIR, feed: FEED, cursor, span_ns: 30, candle }
            }
            ["hand", side @ ("buy" | "sell"), quantity, ref kind @ ..] => VenueInput::Manual {
                instrument: PAIR,
                side: side_of(side),
                kind: kind_of(kind),
                quantity: quantity.parse().expect("a quantity"),
            },
            [side @ ("buy" | "sell"), client, quantity, "of", instrument, ref kind @ ..] => {
                place(side, client, quantity, label(instrument), kind)
            }
            [side @ ("buy" | "sell"), client, quantity, ref kind @ ..] => {
                place(side, client, quantity, PAIR, kind)
            }
            ["cancel", client] => VenueInput::Cancel { client: label(client) },
            ["hand", "cancel", order] => VenueInput::ManualCancel { venue_order: VenueOrderId(label(order)) },
            ["lookup", client] => VenueInput::LookUp { client: label(client), token: 7 },
            ["list", from] => {
                let trades_from = Timestamp(from.parse().expect("a time"));
                VenueInput::Listing { number: 3, scope: Scope::Full, trades_from }
            }
            ["number", order] => {
                let row = self.venue.order_row(order.parse().expect("a number"));
                return row.map_or_else(|| "-".into(), |row| format!("{} {}", row_of(&row), row.code));
            }
            ["state", trigger] => {
                let row = self.venue.trigger_row(trigger.parse().expect("a number")).expect("a trigger");
                let waits = if row.waits { " waits" } else { "" };
                let order = row.order.map_or_else(String::new, |order| format!(" order {order}"));
                return format!("{:?}{waits}{order} {}", row.status, row.code).to_lowercase();
            }
            ["mark", price] => VenueInput::Mark { name: PAIR, price: price.parse().ok() },
            ["drop", order] => VenueInput::CancelNumber { order: order.parse().expect("a number") },
            ["amend", order, quantity, price, ref client @ ..] => VenueInput::Amend {
                order: order.parse().expect("a number"),
                client: client.first().map(|client| label(client)),
                price: price.parse().expect("a price"),
                quantity: quantity.parse().expect("a quantity"),
            },
            ["ask", side @ ("buy" | "sell"), client, quantity, fee, ref kind @ ..] => {
                let refuse = fee.parse().ok().map(|code| (aegis_model::order::RejectClass::PriceOut, code));
                VenueInput::Ask(Asked {
                    client: Some(label(client)),
                    instrument: PAIR,
                    side: side_of(side),
                    kind: kind_of(kind),
                    quantity: quantity.parse().expect("a quantity"),
                    fee: refuse.is_none().then(|| label(fee)),
                    refuse,
                })
            }
            ["when", ref legs @ ..] => {
                VenueInput::Condition { linked: None, legs: legs.split(|w| *w == "and").map(leg).collect() }
            }
            [linked @ ("oco" | "oto" | "otoco"), ref legs @ ..] => VenueInput::Condition {
                linked: Some(match linked {
                    "oco" => Linked::Oco,
                    "oto" => Linked::Oto,
                    _ => Linked::Otoco,
                }),
                legs: legs.split(|w| *w == "and").map(leg).collect(),
            },
            ["disarm", trigger] => VenueInput::CancelTrigger { trigger: trigger.parse().expect("a number") },
            ["rearm", trigger, quantity, reference] => VenueInput::AmendTrigger {
                trigger: trigger.parse().expect("a number"),
                quantity: quantity.parse().expect("a quantity"),
                reference: reference.parse().ok(),
                limit: Price::ZERO,
            },
            ["balances"] => {
                VenueInput::Listing { number: 4, scope: Scope::Balances, trades_from: Timestamp::EPOCH }
            }
            _ => panic!("not a row: {line:?}"),
        };
        if matches!(input, VenueInput::Tick { .. } | VenueInput::Warmup { .. } | VenueInput::Candle { .. }) {
            self.ticks.push(input.clone());
        }
        let said: Vec<String> = self.give(&input).effects.iter().map(words_of).collect();
        if said.is_empty() { "-".into() } else { said.join(", ") }
    }
}

/// `sell s1 1 stop 95`, `buy b1 1 take-limit 90 91`, `buy b2 1 limit 95`, `buy b3 1 market`.
fn leg(words: &[&str]) -> Conditional {
    let [side, client, quantity, kind, rest @ ..] = words else { panic!("not a leg: {words:?}") };
    let price = |at: usize| rest.get(at).map_or(Price::ZERO, |text| text.parse().expect("a price"));
    let (kind, reference, limit) = match *kind {
        "stop" => (TriggerKind::StopLoss, price(0), Price::ZERO),
        "stop-limit" => (TriggerKind::StopLimit, price(0), price(1)),
        "take" => (TriggerKind::TakeProfit, price(0), Price::ZERO),
        "take-limit" => (TriggerKind::TakeProfitLimit, price(0), price(1)),
        "limit" => (TriggerKind::Limit, Price::ZERO, price(0)),
        "market" => (TriggerKind::Market, Price::ZERO, Price::ZERO),
        other => panic!("not a kind: {other}"),
    };
    Conditional {
        client: Some(label(client)),
        instrument: PAIR,
        side: side_of(side),
        kind,
        quantity: quantity.parse().expect("a quantity"),
        reference,
        watched: Watched::Mark,
        limit,
        time_in_force: TimeInForce::GoodTillCancel,
        fee: None,
    }
}

fn place(side: &str, client: &str, quantity: &str, instrument: Label, kind: &[&str]) -> VenueInput {
    VenueInput::Place {
        client: if client == "\"\"" { Label::EMPTY } else { label(client) },
        instrument,
        side: side_of(side),
        kind: kind_of(kind),
        quantity: quantity.parse().expect("a quantity"),
    }
}

pub(crate) fn label(text: &str) -> Label {
    text.parse().expect("a label")
}

fn side_of(text: &str) -> Side {
    if text == "buy" { Side::Buy } else { Side::Sell }
}

fn kind_of(words: &[&str]) -> OrderKind {
    let price = |text: &str| text.parse::<Price>().expect("a price");
    let limit = |text: &str, time_in_force| OrderKind::Limit { price: price(text), time_in_force };
    match words {
        ["market"] => OrderKind::Market,
        ["limit", at] => limit(at, TimeInForce::GoodTillCancel),
        ["ioc", at] => limit(at, TimeInForce::ImmediateOrCancel),
        ["fok", at] => limit(at, TimeInForce::FillOrKill),
        ["post", at] => limit(at, TimeInForce::PostOnly),
        ["stop", at] => OrderKind::StopLoss { trigger: price(at) },
        ["take", at] => OrderKind::TakeProfit { trigger: price(at) },
        _ => panic!("not a kind: {words:?}"),
    }
}

/// Every asset as `total` or `total(reserved)`.
fn have(venue: &Venue) -> String {
    let one = |holding: &aegis_paper::Holding| {
        let Some(reserved) = Some(holding.reserved).filter(|reserved| !reserved.is_zero()) else {
            return format!("{} {}", holding.name, holding.total);
        };
        format!("{} {}({reserved})", holding.name, holding.total)
    };
    venue.state().holdings().map(one).collect::<Vec<_>>().join(", ")
}

fn row_of(row: &VenueRow) -> String {
    format!("{:?} {}/{}", row.status, row.cumulative, row.quantity).to_lowercase()
}

fn words_of(effect: &VenueEffect) -> String {
    match effect {
        VenueEffect::Order(report) => {
            let who = report.client.map_or_else(
                || report.venue_order.map_or_else(|| "hand".to_string(), |order| format!("#{}", order.0)),
                |client| client.to_string(),
            );
            match &report.what {
                Said::Accepted => format!("accepted {who}"),
                Said::Rejected { class, code, .. } => {
                    let nothing = if report.venue_order.is_none() { " nothing" } else { "" };
                    format!("rejected {who} {code} {class}{nothing}")
                }
                Said::Traded(trade) => format!(
                    "traded {who} {}@{} fee {} {} {}",
                    trade.quantity,
                    trade.price,
                    trade.fee,
                    trade.fee_asset,
                    format!("{:?}", trade.liquidity).to_lowercase()
                ),
                Said::Row(row) => format!("{who} {}", row_of(row)),
                Said::CancelRefused { code } => format!("not cancelled {who} {code}"),
            }
        }
        VenueEffect::LookedUp { client, token, found } => {
            assert_eq!(*token, 7);
            match found {
                None => format!("absent {client}"),
                Some(found) => {
                    format!("present {client} {} trades {}", row_of(&found.row), found.trades.len())
                }
            }
        }
        VenueEffect::Listing(listing) => match (&listing.open_orders, &listing.ended_orders) {
            (Answer::Complete(open), Answer::Complete(ended)) => {
                let trades = listing.trades.complete().map_or(0, Vec::len);
                let flows = listing.flows.complete().map_or(0, Vec::len);
                format!("open {} ended {} trades {trades} flows {flows}", open.len(), ended.len())
            }
            (_, _) => {
                let balances = listing.balances.complete().expect("balances are always there");
                let one =
                    |b: &aegis_model::input::VenueBalance| format!("{} {}-{}", b.asset, b.total, b.reserved);
                balances.iter().map(one).collect::<Vec<_>>().join(" ")
            }
        },
        VenueEffect::Flow { id, outcome } => match outcome {
            FlowOutcome::Booked => format!("booked {id}"),
            FlowOutcome::Already => format!("already {id}"),
            FlowOutcome::Refused { code, .. } => format!("refused {id} {code}"),
        },
        VenueEffect::ListingRefused { name, .. } => format!("not listed {name}"),
        VenueEffect::Trigger { trigger } => format!("trigger {trigger}"),
        VenueEffect::TriggerRefused { place, code, class, .. } => format!("refused {place} {code} {class}"),
        VenueEffect::Listed { list } => format!("list {list}"),
        VenueEffect::Amended { order, code } => format!("amended {order} {code}"),
    }
}
