//! Any fact: every kind, with ids that meet existing ones often and numbers from anywhere (or, tame, of a size that
//! sums never overflow).

use super::{BEGIN, Dice};
use aegis_model::claim::{
    Claim, ClaimVerdict, DisputeKind, LimitKind, LimitUnit, PositionClaim, SourceKind, TradeClaim,
};
use aegis_model::event::*;
use aegis_model::input::Command;
use aegis_model::market::{Instrument, PricePath};
use aegis_model::order::{
    LookupAnswer, OrderEnd, OrderKind, Purpose, RejectClass, Side, TimeInForce, UnknownCause,
};
use aegis_model::protection::{Distance, ExitReason, Plan, RetireCause, Stage, StopCause, StopRule};
use aegis_model::{
    AssetId, Fact, FeedId, Fixed, InstrumentId, Label, Lsn, Mode, Money, OrderId, Price, Quantity, Rate,
    Text, Timestamp, TradeId, VenueOrderId,
};

/// Numbers and ids for one fact.
struct Draw<'a> {
    dice: &'a mut Dice,
    tame: bool,
}

/// Any fact.
pub fn any_fact(dice: &mut Dice, tame: bool) -> Fact {
    let kinds = i64::try_from(Fact::KINDS.len()).unwrap_or(1);
    let kind = Fact::KINDS[usize::try_from(dice.below(kinds)).unwrap_or(0)].0;
    Draw { dice, tame }.fact(kind)
}

impl Draw<'_> {
    fn number(&mut self) -> Fixed {
        if self.tame { Fixed::new(self.dice.below(2_000_001) - 500_000, 4) } else { self.dice.number() }
    }
    fn quantity(&mut self) -> Quantity {
        Quantity(self.number())
    }
    fn price(&mut self) -> Price {
        Price(self.number())
    }
    fn money(&mut self) -> Money {
        Money(self.number())
    }
    fn time(&mut self) -> Timestamp {
        if self.tame { BEGIN.after(self.dice.below(1 << 45)) } else { self.dice.time() }
    }
    fn asset(&mut self) -> AssetId {
        AssetId(self.dice.of(&[0, 1, 2, 3, 3, 4, 9, u16::MAX]))
    }
    fn instrument(&mut self) -> InstrumentId {
        InstrumentId(self.dice.of(&[0, 0, 1, 1, 2, 3, u32::MAX]))
    }
    fn order(&mut self) -> OrderId {
        OrderId(if self.tame { self.dice.roll() % 12 } else { self.dice.of(&[0, 1, 2, 3, 7, u64::MAX]) })
    }
    fn lsn(&mut self) -> Lsn {
        Lsn(if self.tame {
            self.dice.roll() % 100
        } else {
            self.dice.of(&[0, 1, 99, u64::MAX / 2, u64::MAX])
        })
    }
    fn count(&mut self) -> u64 {
        self.dice.of(&[0, 1, 2, 3, 50, if self.tame { 51 } else { u64::MAX }])
    }
    fn label(&mut self) -> Label {
        self.dice.label()
    }
    fn text(&mut self) -> Text {
        Text::new(self.dice.of(&["", "a", "some words"]))
    }
    fn trade(&mut self) -> TradeId {
        TradeId(self.label())
    }
    fn fee(&mut self) -> Fee {
        Fee { asset: self.asset(), amount: self.quantity() }
    }
    fn side(&mut self) -> Side {
        self.dice.of(Side::ALL)
    }
    fn reason(&mut self) -> ExitReason {
        self.dice.of(ExitReason::ALL)
    }
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        [self.dice.of(&[0, 1, 2, 255]); N]
    }
    fn distance(&mut self) -> Distance {
        if self.dice.one_in(2) {
            Distance::Relative(Rate(self.number()))
        } else {
            Distance::Offset(self.price())
        }
    }
    fn plan(&mut self) -> Plan {
        let rule = if self.dice.one_in(2) {
            StopRule::Fixed
        } else {
            let stage = Stage { activation: Rate(self.number()), distance: self.distance() };
            let stages = alloc::vec![stage; usize::from(self.dice.one_in(2))];
            StopRule::Trailing { distance: self.distance(), from_start: self.dice.one_in(2), stages }
        };
        let take_profit = self.dice.maybe(Dice::number).map(Rate);
        Plan { initial: self.distance(), rule, atr: None, take_profit, hold_ns: Some(self.time().0) }
    }
    fn kind(&mut self) -> OrderKind {
        match self.dice.below(4) {
            0 => OrderKind::Market,
            1 => OrderKind::Limit { price: self.price(), time_in_force: self.dice.of(TimeInForce::ALL) },
            2 => OrderKind::StopLoss { trigger: self.price() },
            _ => OrderKind::TakeProfit { trigger: self.price() },
        }
    }
    fn spec(&mut self) -> Instrument {
        Instrument {
            name: self.label(),
            base: self.asset(),
            quote: self.asset(),
            price_tick: self.price(),
            quantity_tick: self.quantity(),
            minimum_notional: self.money(),
            tradable: self.dice.one_in(2),
        }
    }
    fn command(&mut self) -> Command {
        let instrument = self.label();
        match self.dice.below(12) {
            0 => Command::Enable,
            1 => Command::Halt { reason: self.text() },
            2 => Command::Flatten,
            3 => Command::Close { instrument },
            4 => Command::Open { instrument, quantity: self.quantity(), stop: None },
            5 => Command::AdjustStop { instrument, stop: self.price(), loosen: self.dice.one_in(2) },
            6 => Command::SetLimits {
                max_positions: Some(3),
                daily_loss: Some(self.money()),
                budget: self.dice.maybe(Dice::number).map(Money),
            },
            7 => Command::Adopt { instrument, average: self.price(), quantity: self.quantity() },
            8 => Command::Release { instrument },
            9 => Command::AcceptGap,
            10 => Command::AcceptForeign {
                client: self.dice.one_in(2).then(|| self.label()),
                reason: self.text(),
            },
            _ => Command::ReturnDust { instrument },
        }
    }

    fn fact(&mut self, kind: u16) -> Fact {
        match kind {
            1..=11 => self.identity(kind),
            20..=33 => self.market(kind),
            40..=49 => self.life_of_order(kind),
            50..=63 => self.holding(kind),
            70..=99 => self.protection_and_balance(kind),
            130..=133 => self.claims(kind),
            _ => self.control(kind),
        }
    }

    fn claim(&mut self) -> Claim {
        let (instrument, id) = (self.label(), self.text());
        match self.dice.below(5) {
            0 => Claim::Position(PositionClaim {
                instrument,
                id,
                quantity: self.quantity(),
                entry: self.price(),
                stop: self.dice.maybe(Dice::number).map(Price),
                highest: None,
                trail: Some(Rate(self.number())),
                opened: Some(self.time()),
            }),
            1 => Claim::Trade(TradeClaim {
                instrument,
                id,
                side: self.side(),
                quantity: self.quantity(),
                price: self.price(),
                profit: Some(self.money()),
                time: None,
            }),
            2 => Claim::Limit {
                limit: self.dice.of(LimitKind::ALL),
                value: self.number(),
                unit: self.dice.of(LimitUnit::ALL),
                answered: None,
            },
            3 => Claim::TradingDisabled,
            _ => Claim::Note { what: id },
        }
    }

    fn claims(&mut self, kind: u16) -> Fact {
        let (digest, row) = (self.bytes(), self.text());
        match kind {
            130 => FileImported {
                digest,
                name: row,
                source: self.dice.of(SourceKind::ALL),
                bytes: self.count(),
                timezone: self.text(),
                claims: 1,
                disputes: 0,
            }
            .into(),
            131 => ClaimImported { digest, row, claim: self.claim() }.into(),
            132 => ClaimDisputed {
                digest,
                row,
                kind: self.dice.of(DisputeKind::ALL),
                instrument: self.label(),
                claimed: self.number(),
                found: self.number(),
                detail: self.text(),
            }
            .into(),
            _ => ClaimChecked {
                digest,
                instrument: self.instrument(),
                verdict: self.dice.of(ClaimVerdict::ALL),
                claimed: self.quantity(),
                venue: self.quantity(),
                adopted: self.quantity(),
                stop: self.dice.maybe(Dice::number).map(Price),
                snapshot: self.count(),
            }
            .into(),
        }
    }

    fn identity(&mut self, kind: u16) -> Fact {
        match kind {
            1 => JournalCreated {
                mode: self.dice.of(Mode::ALL),
                installation: self.count(),
                quote: self.label(),
            }
            .into(),
            2 => Started { run: 7, version: self.label(), config_digest: self.bytes(), seed: None }.into(),
            3 => Stopped { reason: self.label() }.into(),
            4 => SettingRecorded { key: self.text(), value: self.text() }.into(),
            5 => GapFound {
                first: self.lsn(),
                last: self.lsn(),
                bytes: self.count(),
                segment: self.count(),
                evidence: self.text(),
            }
            .into(),
            6 => GapAccepted { by: self.label() }.into(),
            7 => ForeignIntentSeen {
                instrument: self.dice.one_in(2).then(|| self.instrument()),
                client: self.label(),
                venue_order: self.dice.one_in(2).then(|| VenueOrderId(self.label())),
            }
            .into(),
            8 => ForeignIntentAccepted {
                by: self.label(),
                client: self.label(),
                venue_order: self.dice.one_in(2).then(|| VenueOrderId(self.label())),
                reason: self.text(),
            }
            .into(),
            10 => AssetNamed { asset: self.asset(), name: self.label() }.into(),
            _ => InstrumentListed { instrument: self.instrument(), spec: self.spec() }.into(),
        }
    }

    fn market(&mut self, kind: u16) -> Fact {
        let (instrument, source, position) = (self.instrument(), self.label(), self.count());
        match kind {
            20 => TickSeen {
                feed: FeedId(1),
                cursor: position,
                instrument,
                time: self.time(),
                bid: Some(self.price()),
                ask: self.dice.maybe(Dice::number).map(Price),
                last: None,
                bid_quantity: None,
                ask_quantity: Some(self.quantity()),
                path: self.dice.of(PricePath::ALL),
            }
            .into(),
            21 => BlindStarted { instrument, since: self.time() }.into(),
            22 => BlindEnded { instrument, lasted_ns: self.time().0 }.into(),
            30 => SignalReceived {
                source,
                position,
                instrument,
                direction: self.dice.of(Direction::ALL),
                confidence: Rate(self.number()),
                until: self.time(),
            }
            .into(),
            31 => SignalRefused { source, position, reason: self.text() }.into(),
            32 => EntryRefused {
                instrument,
                reason: self.dice.of(Refusal::ALL),
                need: self.number(),
                have: self.number(),
                blocking: self.lsn(),
            }
            .into(),
            _ => EntryPrepared {
                instrument,
                snapshot: position,
                requested: self.time(),
                until: self.time(),
                confidence: None,
                quantity: self.quantity(),
                reference: self.price(),
                stop: Some(self.price()),
            }
            .into(),
        }
    }

    fn life_of_order(&mut self, kind: u16) -> Fact {
        let order = self.order();
        match kind {
            40 => {
                let others = 0;
                let entry = self.dice.one_in(2);
                let exit = Purpose::Exit { reason: self.reason(), others };
                OrderIntended {
                    order,
                    run: 7,
                    instrument: self.instrument(),
                    side: self.side(),
                    kind: self.kind(),
                    quantity: self.quantity(),
                    purpose: if entry { Purpose::Entry } else { exit },
                    valid_until: self.time(),
                    cancel_at: None,
                    replaces: self.order(),
                    plan: if entry { Some(self.plan()) } else { None },
                    reference: self.price(),
                }
                .into()
            }
            41 => OrderResent { order, attempt: 2 }.into(),
            42 => OrderAcknowledged { order, venue_order: VenueOrderId(self.label()) }.into(),
            43 => OrderRejected { order, class: self.dice.of(RejectClass::ALL), code: 1, text: self.text() }
                .into(),
            44 => OrderUnknown { order, cause: self.dice.of(UnknownCause::ALL) }.into(),
            45 => OrderLookedUp { order, answer: self.dice.of(LookupAnswer::ALL), absent: 1 }.into(),
            46 => CancelIntended { order, reason: self.label() }.into(),
            49 => OrderTriggered { order, released: VenueOrderId(self.label()) }.into(),
            47 => OrderAmended { order, price: Some(self.price()), quantity: self.quantity() }.into(),
            _ => {
                let cumulative = Some(self.quantity());
                OrderEnded { order, end: self.dice.of(OrderEnd::ALL), cumulative }.into()
            }
        }
    }

    fn holding(&mut self, kind: u16) -> Fact {
        let instrument = self.instrument();
        match kind {
            50 => {
                let known = !self.dice.one_in(4);
                FillBooked {
                    instrument,
                    trade: self.trade(),
                    order: self.order(),
                    venue_order: None,
                    side: self.side(),
                    price: self.price(),
                    quantity: self.quantity(),
                    fee: if known { Some(self.fee()) } else { None },
                    executed: self.time(),
                    source: self.dice.of(FillSource::ALL),
                }
                .into()
            }
            51 => FillInferred {
                order: self.order(),
                quantity: self.quantity(),
                value: self.money(),
                executed: self.time(),
            }
            .into(),
            52 => FeeResolved { instrument, trade: self.trade(), fee: self.fee() }.into(),
            53 => ExcessSellSettled { instrument, excess: self.quantity() }.into(),
            60 => PositionClosed {
                instrument,
                cycle: self.count() as u32,
                opened: self.time(),
                closed: self.time(),
                bought: self.quantity(),
                buy_value: self.money(),
                sold: self.quantity(),
                sell_value: self.money(),
                quote_fees: self.money(),
                base_fees: self.quantity(),
                realised: self.money(),
                rate: Rate(self.number()),
                dust: self.quantity(),
                reason: Some(self.reason()),
            }
            .into(),
            61 => {
                CycleRestated { instrument, cycle: self.count() as u32, old: self.money(), new: self.money() }
                    .into()
            }
            62 => DustKept { instrument, cycle: 1, quantity: self.quantity(), cost: self.money() }.into(),
            _ => DustReturned { instrument, by: self.label(), quantity: self.quantity(), cost: self.money() }
                .into(),
        }
    }

    fn protection_and_balance(&mut self, kind: u16) -> Fact {
        let (instrument, asset) = (self.instrument(), self.asset());
        match kind {
            70 => StopArmed {
                instrument,
                cycle: 1,
                plan: self.plan(),
                stop: self.price(),
                take_profit: None,
                time_exit: Some(self.time()),
                mark: self.price(),
                quantity: self.quantity(),
            }
            .into(),
            71 => StopMoved {
                instrument,
                why: self.dice.of(StopCause::ALL),
                stop: self.price(),
                mark: self.price(),
                quantity: self.quantity(),
                stages_reached: 1,
                take_profit: Some(self.price()),
            }
            .into(),
            98 => LinkLost { link: self.label(), reason: self.text() }.into(),
            99 => LinkRestored { link: self.label(), lasted_ns: 1 }.into(),
            72 => StopRetired { instrument, why: self.dice.of(RetireCause::ALL) }.into(),
            73 => ExitDecided {
                instrument,
                reason: self.dice.of(ExitReason::ALL),
                others: 0,
                reference: self.price(),
            }
            .into(),
            74 => VenueStopRested {
                instrument,
                order: self.order(),
                quantity: self.quantity(),
                stop: self.price(),
                bare_ns: 1,
            }
            .into(),
            80 => BalanceRecorded {
                snapshot: self.count(),
                asset,
                total: self.quantity(),
                reserved: self.quantity(),
                requested: self.time(),
            }
            .into(),
            81 => CashFlowRecorded { id: self.trade(), asset, quantity: self.quantity(), time: self.time() }
                .into(),
            90 => TradesWalked { through: self.time() }.into(),
            91 => DriftSeen { asset, venue: self.quantity(), expected: self.quantity(), look: 1 }.into(),
            92 => DriftCleared { asset }.into(),
            93 => CorrectionBooked {
                id: self.bytes(),
                instrument,
                kind: self.dice.of(CorrectionKind::ALL),
                quantity: self.quantity(),
                average: Some(self.price()),
                lot: None,
                time: self.time(),
                evidence: self.text(),
            }
            .into(),
            94 => HoldingQuarantined { asset, quantity: self.quantity(), evidence: self.text() }.into(),
            95 => InstrumentBlocked { instrument, reason: self.text() }.into(),
            96 => InstrumentReleased { instrument, by: self.label() }.into(),
            _ => Reconciled { snapshot: self.count() }.into(),
        }
    }

    fn control(&mut self, kind: u16) -> Fact {
        let by = self.label();
        let instrument = Some(self.instrument());
        match kind {
            100 => CommandReceived { by, command: self.command() }.into(),
            101 => TradingHalted { by, reason: self.text() }.into(),
            102 => TradingEnabled { by }.into(),
            103 => {
                PauseStarted { rule: self.dice.of(PauseRule::ALL), until: self.time(), figure: self.number() }
                    .into()
            }
            104 => DayStarted { day: self.time().utc_day(), equity: self.money() }.into(),
            105 => CommandRefused { by, reason: self.text() }.into(),
            110 => AlarmRaised {
                alarm: self.dice.of(AlarmKind::ALL),
                instrument,
                blocks: self.dice.of(Blocks::ALL),
                reason: self.text(),
            }
            .into(),
            111 => AlarmCleared { alarm: self.dice.of(AlarmKind::ALL), instrument }.into(),
            112 => AnomalyNoted {
                anomaly: self.dice.of(AnomalyKind::ALL),
                instrument,
                order: self.order(),
                known: self.number(),
                arrived: self.number(),
                detail: self.text(),
            }
            .into(),
            120 => MessageQueued { number: self.count(), about: self.lsn(), text: self.text() }.into(),
            _ => MessageDelivered { number: self.count() }.into(),
        }
    }
}
