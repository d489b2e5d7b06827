//! What people and strangers do: commands, signals, trades by hand, transfers, broken connections.

use super::*;

impl World<'_> {
    pub(super) fn command(&mut self, command: Command) {
        self.inbox.push(Input::Command { by: Label::literal("alice"), command });
    }

    pub(super) fn signal(&mut self, instrument: usize, up: bool) {
        self.signals += 1;
        self.inbox.push(Input::Signal(SignalIn {
            source: Label::literal("oracle"),
            position: self.signals,
            instrument: self.markets[instrument].name,
            direction: if up { Direction::Up } else { Direction::Down },
            confidence: Rate::new(9, 1),
            at: Timestamp(self.now + self.ahead),
            horizon_ns: 300 * SECOND,
        }));
    }

    pub(super) fn act(&mut self, at: usize) {
        let (_, number, act) = self.acts[at].clone();
        self.say(|| format!("act {number}: {act:?}"));
        let name = |at: usize| self.markets[at].name;
        match act {
            Act::Signal { instrument, up } => self.signal(instrument, up),
            Act::Open { instrument, units } => {
                let unit = self.markets[instrument].factor * 40;
                let quantity = Quantity::new(units * unit, LISTED[instrument].2);
                self.command(Command::Open { instrument: name(instrument), quantity, stop: None });
            }
            Act::Close { instrument } => self.command(Command::Close { instrument: name(instrument) }),
            Act::AdjustStop { instrument, below_bp, loosen } => {
                let market = &self.markets[instrument];
                let stop = market.price - market.price * below_bp / 10_000;
                let stop = Price::new(stop - stop % market.factor, 2);
                self.command(Command::AdjustStop { instrument: name(instrument), stop, loosen });
            }
            Act::Halt => {
                self.command(Command::Halt { reason: Text::new("alice halts") });
                let epoch = self.epoch;
                self.settle();
                if self.epoch != epoch {
                    return;
                }
                // Answered, and therefore durable: from here on it stands, whatever becomes of the process.
                match self.process.as_mut().map(|process| process.node.flush()) {
                    Some(Ok(())) if !self.disk.crashed() => self.oracle.halted = true,
                    Some(Ok(())) => self.died("the process dies before it answers"),
                    Some(Err(fault)) => self.died(&fault.to_string()),
                    None => {}
                }
            }
            Act::Enable => {
                self.oracle.halted = false;
                self.command(Command::Enable);
            }
            Act::Flatten => self.command(Command::Flatten),
            Act::Release { instrument } => self.command(Command::Release { instrument: name(instrument) }),
            Act::Manual { instrument, buy, share } => self.manual(instrument, buy, share),
            Act::ManualCancel => {
                let rows = self.exchange.venue.open_rows();
                if let Some(row) = rows.first() {
                    let venue_order = row.venue_order;
                    self.exchange.step(self.now, &VenueInput::ManualCancel { venue_order });
                }
                let triggers = self.exchange.venue.trigger_rows(Timestamp::EPOCH);
                if let Some(row) = triggers.iter().find(|row| row.waits) {
                    self.exchange.step(self.now, &VenueInput::CancelTrigger { trigger: row.trigger });
                }
            }
            Act::Foreign { instrument, buy, away_bp } => {
                let market = &self.markets[instrument];
                let away = market.price * away_bp / 10_000 + market.factor;
                let price = if buy { market.price - away } else { market.price + away };
                let price = Price::new(price - price % market.factor, 2);
                let quantity = Quantity::new(market.factor * 60, LISTED[instrument].2);
                let kind = OrderKind::Limit { price, time_in_force: TimeInForce::GoodTillCancel };
                let side = if buy { Side::Buy } else { Side::Sell };
                let input = VenueInput::Manual { instrument: name(instrument), side, kind, quantity };
                self.exchange.step(self.now, &input);
            }
            Act::Flow { asset, share } => self.flow(asset, share),
            Act::Maintenance { seconds } => {
                if self.now >= self.away_until {
                    self.away_since = self.now;
                }
                self.away_until = self.now + seconds * SECOND;
                self.close_socket(0);
            }
            Act::TickSize { instrument, factor, minimum } => {
                self.markets[instrument].factor = factor;
                self.markets[instrument].minimum = minimum;
                let listed = self.listed();
                self.exchange.step(self.now, &VenueInput::List(listed));
                let epoch = self.epoch;
                self.put(self.now + 20 * SECOND, Happening::Instruments { epoch });
            }
            Act::Clock { milliseconds } => self.ahead = milliseconds * MILLI,
            Act::Jump { instrument, bp } => {
                let market = &mut self.markets[instrument];
                market.price = (market.price + market.price * bp / 10_000).max(LISTED[instrument].1 / 100);
            }
            Act::Freeze { seconds } => self.frozen_until = self.now + seconds * SECOND,
            Act::CloseSocket { seconds } => self.close_socket(seconds),
            Act::Crash { after, cut, nested, down_s } => {
                let cut = cut.map(|seed| PowerCut { seed, torn: self.knobs.torn });
                self.dying = Some(Dying { cut, nested, down: down_s * SECOND });
                self.disk.crash_after(after);
            }
            Act::Stop { down_s } => {
                let dying = Dying { cut: None, nested: Vec::new(), down: down_s * SECOND };
                if let Some(process) = self.process.take() {
                    self.dying = Some(dying);
                    match process.node.close() {
                        Ok(_) => self.died("a clean stop"),
                        Err(fault) => self.died(&fault.to_string()),
                    }
                }
            }
            Act::FailSync { nth, down_s } => {
                self.disk.fail_sync(nth);
                self.dying = Some(Dying { cut: None, nested: Vec::new(), down: down_s * SECOND });
            }
            Act::DiskFull { seconds } => {
                self.disk.disk_full(true);
                self.put(self.now + seconds * SECOND, Happening::DiskEmpty);
            }
        }
        if self.process.is_none() {
            self.inbox.clear();
        }
    }

    pub(super) fn close_socket(&mut self, seconds: i64) {
        self.socket_until = self.now + seconds * SECOND;
        self.connected = false;
        self.connection += 1;
        let epoch = self.epoch;
        self.put(self.now + seconds * SECOND + SECOND, Happening::Connect { epoch });
    }

    pub(super) fn manual(&mut self, instrument: usize, buy: bool, share: i64) {
        let name = self.markets[instrument].name;
        let digits = LISTED[instrument].2;
        let tick = Quantity::new(self.markets[instrument].factor, digits);
        let quantity = if buy {
            Quantity::new(self.markets[instrument].factor * share, digits)
        } else {
            let held = self.exchange.venue.state().holding(Label::lossy(LISTED[instrument].0));
            let free = held.and_then(|held| held.available().ok()).unwrap_or_default();
            let part = free.scaled(Rate::new(share, 2), Rounding::Floor).unwrap_or_default();
            part.to_tick(tick, Rounding::Floor).unwrap_or_default()
        };
        let side = if buy { Side::Buy } else { Side::Sell };
        let input = VenueInput::Manual { instrument: name, side, kind: OrderKind::Market, quantity };
        self.exchange.step(self.now, &input);
    }

    pub(super) fn flow(&mut self, asset: usize, share: i64) {
        let name = asset.checked_sub(1).map_or("USDT", |at| LISTED[at % LISTED.len()].0);
        let label = Label::lossy(name);
        let held = self.exchange.venue.state().holding(label).map(|held| held.total).unwrap_or_default();
        let part = held.scaled(Rate::new(share, 2), Rounding::Floor).unwrap_or_default();
        let quantity = if part.is_zero() { Quantity::new(share.abs().max(1), 2) } else { part };
        self.fund(label, quantity);
    }

    // The end.
}
