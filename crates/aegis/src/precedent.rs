//! What a record says an exchange did with orders, done again with the same orders of a model: each news of such an
//! order comes at its recorded place among ticks and inputs. Other orders reach the paper exchange after the delay that
//! was usual. It decides nothing about trading.
//!
//! ```text
//! order of the model --same reason, side, quantity?--> precedent: its news go on the agenda at their recorded moments
//!                    \--no--> the paper exchange, a usual delay later
//! ```

use crate::act::Bound;
use crate::market::FEED;
use aegis_model::ids::SECOND;
use aegis_model::input::{Answer, Lookup, Place, Report, Reported, Trade};
use aegis_model::order::{OrderEnd, Purpose, RejectClass, UnknownCause};
use aegis_model::protection::ExitReason;
use aegis_model::{
    ClientOrderId, Input, Label, Lsn, OrderId, Price, Quantity, Rate, Side, Text, Timestamp, TradeId,
    VenueOrderId,
};
use aegis_paper::{Became, Followed, Said, VenueEffect, VenueInput, VenueTrade};
use aegis_projection::State;
use std::collections::{BTreeMap, BTreeSet};

/// How far apart what a timer led to may be in the record and in the model, where it is exactly at its time.
const TIMER_NS: i64 = SECOND;
/// How long after its signal an entry may have been decided upon: a balance is read between.
const DECIDED_NS: i64 = 120 * SECOND;

/// A moment of the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moment {
    /// When.
    pub(crate) at: Timestamp,
    /// The record.
    pub(crate) lsn: Lsn,
    /// The feed's place then.
    pub(crate) place: u64,
}

/// Why an order was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// To enter, because of this signal or command.
    Entry(Lsn),
    /// To leave.
    Exit(ExitReason),
}

/// What the exchange said of an order, or did with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum News {
    /// It knows the order.
    Accepted,
    /// It refused it.
    Refused(RejectClass, u32, Text),
    /// An execution; the fee by the asset's name, none while it was never told; when it was.
    Traded(Price, Quantity, Option<(Label, Quantity)>, Timestamp),
    /// Its trigger fired.
    Fired,
    /// Its answer proved nothing.
    Unknown(UnknownCause),
    /// It ended.
    Ended(OrderEnd),
}

/// An order of the record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Precedent {
    /// The instrument's name.
    pub(crate) instrument: Label,
    /// Buy or sell.
    pub(crate) side: Side,
    /// Base quantity.
    pub(crate) quantity: Quantity,
    /// The price that it waited for.
    pub(crate) trigger: Option<Price>,
    /// Why it was made.
    pub(crate) why: Why,
    /// When it was decided upon.
    pub(crate) decided: Moment,
    /// When we decided to cancel it.
    pub(crate) cancel: Option<Moment>,
    /// What became of it, in order.
    pub(crate) news: Vec<(Moment, News)>,
}

impl Precedent {
    /// Whether the record has anything definite of it.
    fn is_told(&self) -> bool {
        self.news.iter().any(|(_, news)| !matches!(news, News::Unknown(_)))
    }
}

/// How many orders and executions of a model are those of the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub(crate) struct Counts {
    /// Orders whose fate is the recorded one.
    pub(crate) orders_recorded: u64,
    /// Other orders.
    pub(crate) orders_modelled: u64,
    /// Executions as recorded.
    pub(crate) fills_recorded: u64,
    /// Other executions.
    pub(crate) fills_modelled: u64,
}

/// What happens next, and when.
#[derive(Debug)]
pub(crate) struct Item {
    /// When.
    pub(crate) at: Timestamp,
    /// What.
    pub(crate) what: What,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Something at the exchange.
    Venue(VenueInput),
    /// An execution at the exchange, dated as the other one dated it; whether its fee was ever told.
    Traded(VenueInput, Timestamp, bool),
    /// Something that is only told.
    Told(Report),
}

/// The agenda's order: time, record, place on the list. What is not of the record comes behind what is.
type Key = (Timestamp, Lsn, u64);

/// The record's orders, and what is still to come of those that a model made as well.
#[derive(Debug, Default)]
pub(crate) struct Precedents {
    /// In order of their decision.
    all: Vec<Precedent>,
    used: BTreeSet<usize>,
    /// How long an order takes to the exchange where the record says nothing, ns.
    delay_ns: i64,
    /// Fee rates by instrument.
    charged: Vec<(Label, Rate)>,
    /// What the account needs of other assets to pay the recorded fees.
    other_fees: Vec<(Label, Quantity)>,
    agenda: BTreeMap<Key, (Option<u64>, What)>,
    listed: u64,
    /// The model's orders that follow.
    following: BTreeMap<Label, usize>,
    /// Those among them that go their own way by now.
    let_go: BTreeSet<Label>,
    /// The recorded input that is being told.
    input: Option<Lsn>,
    /// What is shown next; nothing recorded at or behind it may happen before it.
    upto: u64,
    bound: Option<Bound>,
    /// The model's trades that are recorded ones: their dates, and whether their fees are known.
    dates: BTreeMap<TradeId, (Timestamp, bool)>,
    counts: Counts,
}

impl Precedents {
    /// From a record: its orders in the order of their decisions, the usual delay in ns, fee rates by instrument, and
    /// what of other assets than the traded ones paid fees.
    pub(crate) fn new(
        all: Vec<Precedent>,
        delay_ns: i64,
        charged: Vec<(Label, Rate)>,
        other_fees: Vec<(Label, Quantity)>,
    ) -> Precedents {
        Precedents { all, delay_ns, charged, other_fees, upto: u64::MAX, ..Precedents::default() }
    }

    /// How much came from the record so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// What the exchange is told at each opening: it forgets all of it.
    pub(crate) fn opening(&self) -> Vec<VenueInput> {
        let fund = |(asset, quantity): &(Label, Quantity)| VenueInput::Fund {
            id: Label::lossy(&format!("fees-{asset}")),
            asset: *asset,
            quantity: *quantity,
        };
        let charge = |(name, rate): &(Label, Rate)| VenueInput::Charge { name: *name, rate: Some(*rate) };
        let keep = |client: &Label| VenueInput::Became { client: *client, what: Became::Kept };
        let funds = self.other_fees.iter().map(fund);
        let following = self.following.keys().filter(|client| !self.let_go.contains(*client));
        funds.chain(self.charged.iter().map(charge)).chain(following.map(keep)).collect()
    }

    /// A recorded input is told from now on, or none any more.
    pub(crate) const fn because(&mut self, input: Option<Lsn>) {
        self.input = input;
    }

    /// The next point has this place; nothing behind the bound happens.
    pub(crate) const fn show(&mut self, upto: u64, bound: Option<Bound>) {
        self.upto = upto;
        self.bound = bound;
    }

    /// When the first thing on the agenda happens, if that is by `until` and before this record.
    pub(crate) fn next(&self, until: Timestamp, before: Lsn) -> Option<Timestamp> {
        let (&(at, lsn, _), (place, _)) = self.agenda.first_key_value()?;
        let shown =
            place.is_none_or(|place| place < self.upto && self.bound.is_none_or(|bound| bound.has(at, lsn)));
        (shown && (at, lsn) < (until, before)).then_some(at)
    }

    /// When the last of what the record says within the bound happens.
    pub(crate) fn last_recorded(&self) -> Option<Timestamp> {
        let within = |at: Timestamp, lsn: Lsn| self.bound.is_none_or(|bound| bound.has(at, lsn));
        let mut back = self.agenda.iter().rev();
        back.find(|((at, lsn, _), (place, _))| place.is_some() && within(*at, *lsn)).map(|((at, ..), _)| *at)
    }

    /// Takes the first thing from the agenda.
    pub(crate) fn take(&mut self) -> Option<Item> {
        let ((at, ..), (_, what)) = self.agenda.pop_first()?;
        if let What::Venue(VenueInput::Became { client, what: Became::LetGo }) = &what {
            self.let_go.insert(*client);
        }
        Some(Item { at, what })
    }

    /// An order of the model is sent: it follows its precedent, or goes its way a usual delay later.
    pub(crate) fn place(&mut self, state: &State, place: &Place, request: VenueInput, now: Timestamp) {
        let client = place.client.label();
        if let Some(number) = self.following.get(&client) {
            // Sent again: as the record has it, or on its own where that has no more to say.
            if self.all[*number].is_told() && !self.is_coming(client) {
                self.let_go.insert(client);
                self.later(now, What::Venue(request));
            }
            return;
        }
        match self.find(state, place, now) {
            None => {
                self.counts.orders_modelled += 1;
                self.later(now, What::Venue(request));
            }
            Some(number) => {
                self.counts.orders_recorded += 1;
                self.used.insert(number);
                self.following.insert(client, number);
                self.follow(number, place);
            }
        }
    }

    /// A cancel of the model: at its recorded end if the record has it too.
    pub(crate) fn cancel(
        &mut self,
        state: &State,
        client: ClientOrderId,
        request: VenueInput,
        now: Timestamp,
    ) {
        let client = client.label();
        let recorded = self.following.get(&client).and_then(|number| {
            let order = &self.all[*number];
            let decided = order.cancel.filter(|c| is_same(c, place_of(state), now, true))?;
            let ends = |(_, news): &&(Moment, News)| matches!(news, News::Ended(_));
            Some((decided, order.news.iter().rev().find(ends).map(|(at, _)| *at)))
        });
        match recorded {
            Some((_, Some(ended))) => self.at(ended, What::Venue(request)),
            // Its end is not on the record any more.
            Some((_, None)) => {}
            None => self.later(now, What::Venue(request)),
        }
    }

    /// The answer to a lookup of an order that has not reached the exchange yet.
    pub(crate) fn look_up(&self, order: OrderId, client: ClientOrderId) -> Option<Input> {
        let client = client.label();
        let on_its_way = self.agenda.values().any(|(_, what)| match what {
            What::Venue(VenueInput::Follow(followed)) => followed.client == client,
            What::Venue(VenueInput::Place { client: of, .. } | VenueInput::Refuse { client: of, .. }) => {
                *of == client
            }
            What::Venue(_) | What::Traded(..) | What::Told(_) => false,
        });
        let silent = self.following.get(&client).is_some_and(|n| !self.all[*n].is_told());
        (on_its_way || silent).then_some(Input::LookedUp(order, Lookup::AbsentTooEarly { unchanged: false }))
    }

    /// An execution that was told: its date, and whether its fee is known, whatever else is said of it.
    pub(crate) fn dated(&mut self, heard: &[VenueEffect], executed: Timestamp, priced: bool) {
        for effect in heard {
            if let VenueEffect::Order(report) = effect
                && let Said::Traded(VenueTrade { trade, .. }) = &report.what
            {
                self.dates.insert(*trade, (executed, priced));
            }
        }
    }

    /// Puts the recorded dates into an answer, and counts what it tells first.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest has no executions")]
    pub(crate) fn date(&mut self, input: &mut Input) {
        let dates = &self.dates;
        let date = |trade: &mut Trade| {
            let Some((executed, priced)) = dates.get(&trade.trade) else { return false };
            trade.executed = *executed;
            trade.fee = trade.fee.filter(|_| *priced);
            true
        };
        let all = |trades: &mut Vec<Trade>| {
            for trade in trades {
                let _ = date(trade);
            }
        };
        match input {
            Input::Report(Report { what: Reported::Filled(trade), .. }) => {
                let recorded = date(trade);
                self.counts.fills_recorded += u64::from(recorded);
                self.counts.fills_modelled += u64::from(!recorded);
            }
            Input::LookedUp(_, Lookup::Present { trades, .. }) => all(trades),
            Input::Snapshot(snapshot) => {
                // What was executed by then and is told later is not in the listing.
                let coming = self.agenda.values().filter_map(|(_, what)| match what {
                    What::Traded(_, executed, _) => Some(*executed),
                    What::Venue(_) | What::Told(_) => None,
                });
                snapshot.trades_through = coming.fold(snapshot.trades_through, Timestamp::min);
                if let Answer::Complete(trades) = &mut snapshot.trades {
                    all(trades);
                }
            }
            _ => {}
        }
    }

    /// Whether anything is still to come of an order.
    #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else is ever on the agenda")]
    fn is_coming(&self, client: Label) -> bool {
        self.agenda.values().any(|(_, what)| match what {
            What::Venue(request) | What::Traded(request, ..) => match request {
                VenueInput::Follow(followed) => followed.client == client,
                VenueInput::Place { client: of, .. }
                | VenueInput::Refuse { client: of, .. }
                | VenueInput::Became { client: of, .. } => *of == client,
                _ => false,
            },
            What::Told(report) => report.client.label() == client,
        })
    }

    /// The record's order that was made for the same reason, unless it was found before.
    fn find(&self, state: &State, place: &Place, now: Timestamp) -> Option<usize> {
        let order = state.any_order(place.client.order)?;
        let name = state.instrument(place.instrument)?.spec.name;
        let trigger = place.kind.trigger();
        let seen = place_of(state);
        let from = self.all.partition_point(|p| p.decided.at < now.after(-TIMER_NS));
        let near = self.all.iter().enumerate().skip(from);
        let near = near.take_while(|(_, p)| p.decided.at <= now.after(DECIDED_NS));
        let same = |p: &Precedent| match (order.purpose, p.why) {
            (Purpose::Entry, Why::Entry(input)) => self.input == Some(input),
            (Purpose::Exit { reason, .. }, Why::Exit(recorded)) => {
                // A stop at the exchange is moved by timers, too.
                let timed = reason == ExitReason::Time || trigger.is_some();
                reason == recorded && is_same(&p.decided, seen, now, timed)
            }
            (Purpose::Entry, Why::Exit(_)) | (Purpose::Exit { .. }, Why::Entry(_)) => false,
        };
        let mut fits = near.filter(|(number, p)| {
            !self.used.contains(number)
                && (p.instrument, p.side, p.quantity, p.trigger)
                    == (name, place.side, place.quantity, trigger)
                && same(p)
        });
        fits.next().map(|(number, _)| number)
    }

    /// Puts what became of a precedent on the agenda of an order.
    fn follow(&mut self, number: usize, place: &Place) {
        let Precedent { instrument, news, cancel, .. } = self.all[number].clone();
        let (client, side, kind, quantity) = (place.client.label(), place.side, place.kind, place.quantity);
        let most = news.iter().filter_map(|(_, news)| match news {
            News::Traded(price, ..) => Some(*price),
            News::Accepted | News::Refused(..) | News::Fired | News::Unknown(_) | News::Ended(_) => None,
        });
        let hold = most.max().unwrap_or(match kind {
            aegis_model::OrderKind::Limit { price, .. } => price,
            aegis_model::OrderKind::StopLoss { trigger } | aegis_model::OrderKind::TakeProfit { trigger } => {
                trigger
            }
            aegis_model::OrderKind::Market => Price::ZERO,
        });
        let mut known = false;
        for (moment, news) in news {
            let became = |what| VenueInput::Became { client, what };
            let exists = match &news {
                News::Accepted | News::Traded(..) | News::Fired => true,
                News::Ended(OrderEnd::Filled | OrderEnd::Cancelled | OrderEnd::Expired) => true,
                News::Ended(OrderEnd::Rejected | OrderEnd::NotSent | OrderEnd::Lost) => false,
                News::Refused(..) | News::Unknown(_) => false,
            };
            if exists && !std::mem::replace(&mut known, true) {
                let followed = Followed { client, instrument, side, kind, quantity, hold };
                self.at(moment, What::Venue(VenueInput::Follow(followed)));
            }
            let what = match news {
                News::Refused(class, code, text) => {
                    What::Venue(VenueInput::Refuse { client, instrument, class, code, text })
                }
                News::Traded(price, quantity, fee, executed) => {
                    What::Traded(became(Became::Traded { price, quantity, fee }), executed, fee.is_some())
                }
                News::Fired => {
                    let what = Reported::Triggered { released: VenueOrderId::default() };
                    What::Told(Report { client: place.client, venue_order: None, what })
                }
                News::Unknown(UnknownCause::Ambiguous) => {
                    let what = Reported::Unknown(UnknownCause::Ambiguous);
                    What::Told(Report { client: place.client, venue_order: None, what })
                }
                News::Ended(OrderEnd::Expired) => What::Venue(became(Became::Expired)),
                // What we cancelled ends when the model cancels it, too; if it does not, the record has no more to say.
                News::Ended(OrderEnd::Cancelled) if cancel.is_some() => What::Venue(became(Became::LetGo)),
                News::Ended(OrderEnd::Cancelled) => What::Venue(became(Became::Cancelled)),
                // The model's own timers tell it of the other causes.
                News::Accepted | News::Unknown(_) | News::Ended(_) => continue,
            };
            self.at(moment, what);
        }
    }

    fn at(&mut self, moment: Moment, what: What) {
        self.listed += 1;
        self.agenda.insert((moment.at, moment.lsn, self.listed), (Some(moment.place), what));
    }

    fn later(&mut self, now: Timestamp, what: What) {
        self.listed += 1;
        self.agenda.insert((now.after(self.delay_ns), Lsn(u64::MAX), self.listed), (None, what));
    }
}

/// Whether a decision of the model is the recorded one: made at the same point of the market, or, by a timer, at the
/// same time.
fn is_same(recorded: &Moment, seen: u64, now: Timestamp, timed: bool) -> bool {
    recorded.place == seen || timed && now.since(recorded.at).abs() <= TIMER_NS
}

fn place_of(state: &State) -> u64 {
    state.feeds.get(&FEED).map_or(0, |seen| seen.cursor)
}
