//! What a journal says of its orders: why each was made, what the exchange did with it and when, and what was usual
//! there. It decides nothing.

use crate::precedent::{Moment, News, Precedent, Precedents, Why};
use aegis_model::event::{Fee, FillBooked, FillInferred, FillSource};
use aegis_model::input::ListedInstrument;
use aegis_model::order::Purpose;
use aegis_model::{
    AssetId, Fact, InstrumentId, Label, Lsn, OrderId, Price, Quantity, Rate, Rounding, Side, TradeId,
};
use aegis_projection::State;
use std::collections::BTreeMap;

/// The orders of a journal.
#[derive(Default)]
pub(super) struct Orders {
    /// In order of their decision.
    all: Vec<Precedent>,
    by_number: BTreeMap<OrderId, usize>,
    /// The last signal or command.
    input: Lsn,
    /// The signal or command because of which an entry is being made.
    because: BTreeMap<InstrumentId, Lsn>,
    /// Executions whose fee is not known yet: order and place among its news.
    unpriced: BTreeMap<(InstrumentId, TradeId), (usize, usize)>,
    /// What is held to be executed of an order while the trade itself is not known.
    inferred: BTreeMap<OrderId, (Moment, FillInferred)>,
    /// Bid and ask that were seen last.
    touches: BTreeMap<InstrumentId, (Option<Price>, Option<Price>)>,
    /// How much worse than the touch executions were, buys and sells.
    off_touch: [Vec<Rate>; 2],
}

/// What was usual at the exchange of a record.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub(super) struct Usual {
    /// Orders.
    pub(super) orders: u64,
    /// Executions of them.
    pub(super) fills: u64,
    /// The median time from an order's decision to the first word about it, ns.
    pub(super) delay_ns: i64,
    /// Median fee rates by instrument.
    #[serde(serialize_with = "by_name")]
    pub(super) fee_rates: Vec<(Label, Rate)>,
    /// How much worse than the touch that was seen last buys were executed, median; negative when better.
    pub(super) buys_off: Option<Rate>,
    /// The same of sells.
    pub(super) sells_off: Option<Rate>,
}

impl Orders {
    /// One more fact, already in the state.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is not about orders")]
    pub(super) fn see(&mut self, now: Moment, cause: Lsn, fact: &Fact, state: &State) {
        match fact {
            Fact::TickSeen(f) => {
                let only_last = f.bid.is_none() && f.ask.is_none();
                let touch = if only_last { (f.last, f.last) } else { (f.bid, f.ask) };
                self.touches.insert(f.instrument, touch);
            }
            // Asked for again, a balance has a timer as its cause; the reason is the first one.
            Fact::EntryPrepared(f) if f.snapshot != 0 && cause == self.input => {
                self.because.insert(f.instrument, cause);
            }
            Fact::SignalReceived(_) | Fact::CommandReceived(_) => self.input = now.lsn,
            Fact::OrderIntended(f) => {
                let Some(instrument) = state.instrument(f.instrument) else { return };
                let why = match f.purpose {
                    Purpose::Entry => {
                        Why::Entry(self.because.get(&f.instrument).copied().unwrap_or(Lsn::NONE))
                    }
                    Purpose::Exit { reason, .. } => Why::Exit(reason),
                };
                self.by_number.insert(f.order, self.all.len());
                self.all.push(Precedent {
                    instrument: instrument.spec.name,
                    side: f.side,
                    quantity: f.quantity,
                    trigger: f.kind.trigger(),
                    why,
                    decided: now,
                    cancel: None,
                    news: Vec::new(),
                });
            }
            Fact::OrderAcknowledged(f) => drop(self.heard(f.order, now, News::Accepted)),
            Fact::OrderRejected(f) => {
                self.heard(f.order, now, News::Refused(f.class, f.code, f.text.clone()));
            }
            Fact::OrderUnknown(f) => drop(self.heard(f.order, now, News::Unknown(f.cause))),
            Fact::OrderTriggered(f) => drop(self.heard(f.order, now, News::Fired)),
            Fact::OrderEnded(f) => drop(self.heard(f.order, now, News::Ended(f.end))),
            Fact::CancelIntended(f) => {
                if let Some(order) = self.by_number.get(&f.order).and_then(|n| self.all.get_mut(*n)) {
                    order.cancel = Some(now);
                }
            }
            Fact::FillBooked(f) if f.source != FillSource::External => self.filled(f, now, state),
            Fact::FillInferred(f) if f.quantity.is_positive() => {
                self.inferred.entry(f.order).or_insert_with(|| (now, f.clone())).1 = f.clone();
            }
            Fact::FillInferred(f) => drop(self.inferred.remove(&f.order)),
            Fact::FeeResolved(f) => {
                let Some((order, at)) = self.unpriced.remove(&(f.instrument, f.trade)) else { return };
                if let Some((_, News::Traded(.., fee, _))) = self.all[order].news.get_mut(at) {
                    *fee = named(&f.fee, state);
                }
            }
            _ => {}
        }
    }

    /// At the record's end: what stayed inferred was executed at its average, for a fee that nobody knows.
    pub(super) fn ends(&mut self) {
        for (order, (moment, f)) in std::mem::take(&mut self.inferred) {
            if let Ok(price) = f.value.0.over(f.quantity.0, Rounding::HalfEven) {
                self.heard(order, moment, News::Traded(Price(price), f.quantity, None, f.executed));
            }
        }
    }

    /// Notes news of an order; its places among all orders and among its news.
    fn heard(&mut self, order: OrderId, now: Moment, news: News) -> Option<(usize, usize)> {
        let number = *self.by_number.get(&order)?;
        let all = &mut self.all.get_mut(number)?.news;
        all.push((now, news));
        Some((number, all.len() - 1))
    }

    fn filled(&mut self, f: &FillBooked, now: Moment, state: &State) {
        let fee = f.fee.as_ref().and_then(|fee| named(fee, state));
        let news = News::Traded(f.price, f.quantity, fee, f.executed);
        // What was inferred before counted from then on.
        let known = self.inferred.get(&f.order).map_or(now, |(moment, _)| *moment);
        let Some(place) = self.heard(f.order, known, news) else { return };
        if f.fee.is_none() {
            self.unpriced.insert((f.instrument, f.trade), place);
        }
        let touch = self.touches.get(&f.instrument).copied().unwrap_or_default();
        let off = match f.side {
            Side::Buy => touch.1.and_then(|ask| share(f.price, ask, ask)),
            Side::Sell => touch.0.and_then(|bid| share(bid, f.price, bid)),
        };
        self.off_touch[usize::from(f.side == Side::Sell)].extend(off);
    }

    /// What was usual.
    pub(super) fn usual(&self, instruments: &[ListedInstrument]) -> Usual {
        let delays = self.all.iter().filter_map(|order| {
            let answers = |news: &News| match news {
                News::Accepted | News::Traded(..) | News::Refused(..) => true,
                News::Fired | News::Unknown(_) | News::Ended(_) => false,
            };
            let (first, _) = order.news.iter().find(|(_, news)| answers(news))?;
            Some(first.at.since(order.decided.at))
        });
        let fills = self.all.iter().flat_map(|order| order.fills());
        let fee_rates = instruments.iter().filter_map(|i| {
            let of = self.all.iter().filter(|order| order.instrument == i.name);
            let rates = of.flat_map(|order| order.fills()).filter_map(|(price, quantity, fee)| {
                let (asset, amount) = fee?;
                let whole = if asset == i.base {
                    quantity.0
                } else if asset == i.quote {
                    price.times(quantity, Rounding::HalfEven).ok()?.0
                } else {
                    return None;
                };
                amount.0.over(whole, Rounding::HalfEven).ok().map(Rate)
            });
            Some((i.name, median(rates.collect())?))
        });
        Usual {
            orders: self.all.len() as u64,
            fills: fills.count() as u64,
            delay_ns: median(delays.collect()).unwrap_or(0).max(0),
            fee_rates: fee_rates.collect(),
            buys_off: median(self.off_touch[0].clone()),
            sells_off: median(self.off_touch[1].clone()),
        }
    }

    /// What a model is to do as the exchange did.
    pub(super) fn precedents(&self, instruments: &[ListedInstrument]) -> Precedents {
        let usual = self.usual(instruments);
        let mut others: BTreeMap<Label, Quantity> = BTreeMap::new();
        let traded = |asset: &Label| instruments.iter().any(|i| i.base == *asset || i.quote == *asset);
        for (_, _, fee) in self.all.iter().flat_map(|order| order.fills()) {
            if let Some((asset, amount)) =
                fee.filter(|(asset, amount)| !traded(asset) && amount.is_positive())
            {
                let sum = others.entry(asset).or_default();
                *sum = sum.plus(amount).unwrap_or(*sum);
            }
        }
        Precedents::new(self.all.clone(), usual.delay_ns, usual.fee_rates, others.into_iter().collect())
    }
}

impl Precedent {
    /// Its executions: price, quantity, fee.
    fn fills(&self) -> impl Iterator<Item = (Price, Quantity, Option<(Label, Quantity)>)> {
        self.news.iter().filter_map(|(_, news)| match news {
            News::Traded(price, quantity, fee, _) => Some((*price, *quantity, *fee)),
            News::Accepted | News::Refused(..) | News::Fired | News::Unknown(_) | News::Ended(_) => None,
        })
    }
}

fn named(fee: &Fee, state: &State) -> Option<(Label, Quantity)> {
    let name = |id: AssetId| state.asset(id).map(|asset| asset.name);
    Some((name(fee.asset)?, fee.amount))
}

/// `(more - less) / of`.
fn share(more: Price, less: Price, of: Price) -> Option<Rate> {
    more.0.minus(less.0).ok()?.over(of.0, Rounding::HalfEven).ok().map(Rate)
}

fn by_name<S: serde::Serializer>(rates: &[(Label, Rate)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(rates.iter().map(|(name, rate)| (name.as_str(), rate)))
}

/// The middle one, of an even number the lower of the two: one that was recorded.
fn median<T: Ord + Copy>(mut all: Vec<T>) -> Option<T> {
    all.sort_unstable();
    all.get(all.len().checked_sub(1)? / 2).copied()
}
