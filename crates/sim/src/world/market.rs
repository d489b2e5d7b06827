//! The exchange's instruments and prices as they wander, and what the account is given.

use super::*;

impl World<'_> {
    pub(super) fn listed(&self) -> Vec<ListedInstrument> {
        let one = |(market, (base, _, digits)): (&Market, &(&str, i64, u32))| ListedInstrument {
            name: market.name,
            base: Label::lossy(base),
            quote: Label::literal("USDT"),
            price_tick: Price::new(market.factor, 2),
            quantity_tick: Quantity::new(market.factor, *digits),
            minimum_notional: Money::new(market.minimum, 0),
            tradable: true,
        };
        self.markets.iter().zip(&LISTED).map(one).collect()
    }

    pub(super) fn fund(&mut self, asset: Label, quantity: Quantity) {
        self.flows += 1;
        let id = Label::lossy(&format!("flow-{}", self.flows));
        self.exchange.step(self.now, &VenueInput::Fund { id, asset, quantity });
    }

    // The market.

    pub(super) fn market(&mut self, at: usize) {
        let cursor = self.markets[at].cursor;
        let mut draw = Draw::keyed(self.line.seed, 10 + at as u64, cursor);
        let step_bp = draw.between(-self.knobs.volatility, self.knobs.volatility);
        let market = &mut self.markets[at];
        market.price = (market.price + market.price * step_bp / 10_000 / 4).max(LISTED[at].1 / 100);
        market.cursor += 1;
        let (bid, ask) = self.quotes(at);
        let partial = self.line.mask.has(Class::Partial);
        let shown = |draw: &mut Draw| {
            partial.then(|| Quantity::new(draw.scaled(1, 1 << 12) * self.markets[at].factor, LISTED[at].2))
        };
        let (bid_quantity, ask_quantity) = (shown(&mut draw), shown(&mut draw));
        let frozen = self.now < self.frozen_until;
        let market = &self.markets[at];
        let name = market.name;
        if !frozen {
            let tick = Tick {
                feed: FEED,
                cursor: self.markets.iter().map(|m| m.cursor).sum(),
                instrument: InstrumentId(0),
                at: Timestamp(self.now),
                bid: Some(bid),
                ask: Some(ask),
                last: Some(bid),
                bid_quantity,
                ask_quantity,
                path: PricePath::Jump,
            };
            self.exchange.step(self.now, &VenueInput::Tick { name, tick });
            if self.process.is_some() && self.now >= self.away_until {
                let quote = Quote {
                    instrument: name,
                    at: Timestamp(self.now + self.ahead),
                    bid: Some(bid),
                    bid_quantity,
                    ask: Some(ask),
                    ask_quantity,
                    last: Some(bid),
                };
                let epoch = self.epoch;
                self.put(
                    self.now + draw.between(MILLI, 80 * MILLI),
                    Happening::Quote { epoch, quote: Box::new(quote) },
                );
            }
        }
        // The reference strategy: now and then it likes what it sees.
        if draw.one_in(self.knobs.signal_every) && self.process.is_some() && self.faults {
            let up = !draw.one_in(5);
            self.signal(at, up);
        }
        let pause = draw.between(self.knobs.tick_ms / 2, self.knobs.tick_ms * 3 / 2) * MILLI;
        self.put(self.now + pause.max(MILLI), Happening::Market(at));
    }

    pub(super) fn quotes(&self, at: usize) -> (Price, Price) {
        let market = &self.markets[at];
        let bid = market.price - market.price % market.factor;
        (Price::new(bid, 2), Price::new(bid + market.factor, 2))
    }

    // What happens.
}
