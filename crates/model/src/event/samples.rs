//! At least one of every fact, written out, for the tests of the stored bytes.
//!
//! It never derives one from another; each line's bytes are frozen in golden.tsv.

use super::*;
use crate::Fixed;
use crate::order::TimeInForce;
use crate::protection::{Distance, Stage, StopRule};
use alloc::vec;

const I: InstrumentId = InstrumentId(2);
const O: OrderId = OrderId(41);
const NOW: Timestamp = Timestamp(1_742_944_022_000_000_000);

fn l(text: &str) -> Label {
    Label::lossy(text)
}

fn t(text: &str) -> Text {
    Text::new(text)
}

fn f<T: core::str::FromStr<Err = crate::fixed::ParseFixedError>>(text: &str) -> T {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn plan() -> Plan {
    let stage = |activation, distance| Stage { activation: f(activation), distance };
    Plan {
        initial: Distance::Relative(f("0.02")),
        rule: StopRule::Trailing {
            distance: Distance::Offset(f("150.5")),
            from_start: true,
            stages: vec![
                stage("0.01", Distance::Relative(f("0.015"))),
                stage("0.03", Distance::Offset(f("99"))),
            ],
        },
        atr: Some(f("312.25")),
        take_profit: Some(f("0.1")),
        hold_ns: Some(crate::ids::DAY),
    }
}

fn bare_plan() -> Plan {
    let initial = Distance::Offset(f("1000"));
    Plan { initial, rule: StopRule::Fixed, atr: None, take_profit: None, hold_ns: None }
}

/// Facts in the order of their kinds.
pub(super) fn samples() -> Vec<Fact> {
    let mut facts = journal();
    facts.extend(market());
    facts.extend(orders());
    facts.extend(fills());
    facts.extend(protection());
    facts.extend(reconciliation());
    facts.extend(commands());
    facts.extend(alarms());
    facts.extend(claims());
    facts
}

fn journal() -> Vec<Fact> {
    let spec = Instrument {
        name: l("BTC_USDT"),
        base: AssetId(1),
        quote: AssetId(0),
        price_tick: f("0.01"),
        quantity_tick: f("0.00001"),
        minimum_notional: f("10"),
        tradable: true,
    };
    let version = l("0.1.0");
    vec![
        JournalCreated { mode: Mode::Paper, installation: 0xab_cdef_0123, quote: l("USDT") }.into(),
        Started { run: 0x42, version, config_digest: [7; 32], seed: Some(9) }.into(),
        Started { run: u32::MAX, version, config_digest: [0xff; 32], seed: None }.into(),
        Stopped { reason: l("asked") }.into(),
        SettingRecorded { key: t("risk.max_positions"), value: t("3") }.into(),
        GapFound { first: Lsn(10), last: Lsn(12), bytes: 300, segment: 1, evidence: t("chain") }.into(),
        GapAccepted { by: l("ann") }.into(),
        ForeignIntentSeen {
            instrument: Some(I),
            client: l("abcdef0123-00000042-7"),
            venue_order: Some(VenueOrderId(l("6142"))),
        }
        .into(),
        ForeignIntentSeen { instrument: None, client: l("abcdef0123-00000042-8"), venue_order: None }.into(),
        ForeignIntentAccepted {
            by: l("ann"),
            client: l("abcdef0123-00000042-7"),
            venue_order: Some(VenueOrderId(l("6142"))),
            reason: t("from the lost tail"),
        }
        .into(),
        AssetNamed { asset: AssetId(1), name: l("BTC") }.into(),
        InstrumentListed { instrument: I, spec }.into(),
    ]
}

fn market() -> Vec<Fact> {
    let tick = TickSeen {
        feed: FeedId(1),
        cursor: 79,
        instrument: I,
        time: NOW,
        bid: Some(f("87232")),
        ask: Some(f("87232.01")),
        last: None,
        bid_quantity: Some(f("2.42385")),
        ask_quantity: None,
        path: PricePath::Jump,
    };
    vec![
        tick.into(),
        BlindStarted { instrument: I, since: NOW }.into(),
        BlindEnded { instrument: I, lasted_ns: -1 }.into(),
        SignalReceived {
            source: l("desk"),
            position: 3,
            instrument: I,
            direction: Direction::Up,
            confidence: f("0.9"),
            until: NOW,
        }
        .into(),
        SignalRefused { source: l("desk"), position: 4, reason: t("not UTF-8") }.into(),
        EntryRefused {
            instrument: I,
            reason: Refusal::InsufficientBalance,
            need: f("100.1"),
            have: f("99.999999999999999999"),
            blocking: Lsn::NONE,
        }
        .into(),
        EntryPrepared {
            instrument: I,
            snapshot: 12,
            requested: NOW,
            until: NOW,
            confidence: Some(f("0.875")),
            quantity: f("0.0001"),
            reference: f("50000"),
            stop: None,
        }
        .into(),
    ]
}

fn intended(kind: OrderKind, purpose: Purpose, plan: Option<Plan>) -> Fact {
    OrderIntended {
        order: O,
        run: 0x42,
        instrument: I,
        side: if plan.is_some() { Side::Buy } else { Side::Sell },
        kind,
        quantity: f("0.0001"),
        purpose,
        valid_until: Timestamp(i64::MAX),
        cancel_at: plan.as_ref().map(|_| NOW),
        replaces: OrderId(0),
        plan,
        reference: f("50000"),
    }
    .into()
}

fn orders() -> Vec<Fact> {
    let limit = OrderKind::Limit { price: f("50010.5"), time_in_force: TimeInForce::ImmediateOrCancel };
    let exit = Purpose::Exit { reason: ExitReason::Stop, others: 0b101000 };
    vec![
        intended(limit, Purpose::Entry, Some(plan())),
        intended(OrderKind::Market, exit, None),
        intended(OrderKind::StopLoss { trigger: f("49000") }, exit, Some(bare_plan())),
        intended(OrderKind::TakeProfit { trigger: f("0") }, exit, None),
        OrderResent { order: O, attempt: 2 }.into(),
        OrderAcknowledged { order: O, venue_order: VenueOrderId(l("5755600416280064767")) }.into(),
        OrderRejected { order: O, class: RejectClass::TooSmall, code: 315, text: t("MIN_NOTIONAL") }.into(),
        OrderUnknown { order: O, cause: UnknownCause::Timeout }.into(),
        OrderLookedUp { order: O, answer: LookupAnswer::Absent, absent: 1 }.into(),
        CancelIntended { order: O, reason: l("signal") }.into(),
        OrderAmended { order: O, price: Some(f("50011")), quantity: f("0.0002") }.into(),
        OrderAmended { order: O, price: None, quantity: f("0.0002") }.into(),
        OrderTriggered { order: O, released: VenueOrderId(l("6530219599901000709")) }.into(),
        OrderEnded { order: O, end: OrderEnd::Cancelled, cumulative: Some(f("0")) }.into(),
        OrderEnded { order: O, end: OrderEnd::Lost, cumulative: None }.into(),
    ]
}

fn fills() -> Vec<Fact> {
    let trade = TradeId(l("4744868157"));
    let fee = Fee { asset: AssetId(1), amount: f("-0.000000075") };
    let fill = FillBooked {
        instrument: I,
        trade,
        order: O,
        venue_order: Some(VenueOrderId(l("123"))),
        side: Side::Buy,
        price: f("50000"),
        quantity: f("0.0001"),
        fee: Some(fee),
        executed: NOW,
        source: FillSource::Report,
    };
    let foreign = FillBooked {
        order: OrderId(0),
        venue_order: None,
        fee: None,
        source: FillSource::External,
        ..fill.clone()
    };
    vec![
        fill.into(),
        foreign.into(),
        FillInferred { order: O, quantity: f("0.00005"), value: f("2.5"), executed: NOW }.into(),
        FeeResolved { instrument: I, trade, fee }.into(),
        ExcessSellSettled { instrument: I, excess: f("0.3") }.into(),
        PositionClosed {
            instrument: I,
            cycle: 1,
            opened: NOW,
            closed: NOW.after(1),
            bought: f("0.0001"),
            buy_value: f("5"),
            sold: f("0.0001"),
            sell_value: f("4.9"),
            quote_fees: f("0.0099"),
            base_fees: f("0"),
            realised: f("-0.1099"),
            rate: f("-0.021936127744510978"),
            dust: f("0.000000000000000001"),
            reason: Some(ExitReason::TakeProfit),
        }
        .into(),
        CycleRestated { instrument: I, cycle: 1, old: f("-0.1099"), new: f("0.1") }.into(),
        DustKept { instrument: I, cycle: 1, quantity: f("0.000001"), cost: f("0.05") }.into(),
        DustReturned { instrument: I, by: l("ann"), quantity: f("0.000001"), cost: f("0.05") }.into(),
    ]
}

fn protection() -> Vec<Fact> {
    vec![
        StopArmed {
            instrument: I,
            cycle: 1,
            plan: plan(),
            stop: f("49000"),
            take_profit: Some(f("55000")),
            time_exit: Some(NOW),
            mark: f("50000"),
            quantity: f("0.0001"),
        }
        .into(),
        StopMoved {
            instrument: I,
            why: StopCause::MarkRaised,
            stop: f("49500.01"),
            mark: f("50500"),
            quantity: f("0.0001"),
            stages_reached: 1,
            take_profit: None,
        }
        .into(),
        StopRetired { instrument: I, why: RetireCause::Dust }.into(),
        ExitDecided { instrument: I, reason: ExitReason::Command, others: 0b100, reference: f("49000.5") }
            .into(),
        VenueStopRested {
            instrument: I,
            order: O,
            quantity: f("0.0001"),
            stop: f("49000"),
            bare_ns: 1_500_000_000,
        }
        .into(),
    ]
}

fn reconciliation() -> Vec<Fact> {
    let asset = AssetId(1);
    vec![
        BalanceRecorded { snapshot: 1, asset, total: f("100000"), reserved: f("12.5"), requested: NOW }
            .into(),
        CashFlowRecorded { id: TradeId(l("w-9")), asset, quantity: f("-500"), time: NOW }.into(),
        TradesWalked { through: NOW }.into(),
        DriftSeen { asset, venue: f("1"), expected: f("1.5"), look: 1 }.into(),
        DriftCleared { asset }.into(),
        CorrectionBooked {
            id: [0x5a; 16],
            instrument: I,
            kind: CorrectionKind::Adopted,
            quantity: f("0.5"),
            average: Some(f("48000")),
            lot: Some(TradeId(l("1"))),
            time: Timestamp::EPOCH,
            evidence: t("two reads"),
        }
        .into(),
        HoldingQuarantined { asset, quantity: f("0.25"), evidence: t("unexplained") }.into(),
        InstrumentBlocked { instrument: I, reason: t("drift") }.into(),
        InstrumentReleased { instrument: I, by: l("ann") }.into(),
        Reconciled { snapshot: 1 }.into(),
        LinkLost { link: l("user"), reason: t("closed by the venue with 1013") }.into(),
        LinkRestored { link: l("user"), lasted_ns: 1_200_000_000 }.into(),
    ]
}

fn commands() -> Vec<Fact> {
    let instrument = l("BTC_USDT");
    let commands = [
        Command::Enable,
        Command::Halt { reason: t("news") },
        Command::Flatten,
        Command::Close { instrument },
        Command::Open { instrument, quantity: f("0.0001"), stop: Some(f("49000")) },
        Command::AdjustStop { instrument, stop: f("48000"), loosen: true },
        Command::SetLimits { max_positions: Some(3), daily_loss: None, budget: Some(f("250")) },
        Command::Adopt { instrument, average: f("47000"), quantity: f("1") },
        Command::Release { instrument },
        Command::AcceptGap,
        Command::ReturnDust { instrument },
        Command::AcceptForeign { client: Some(l("abcdef0123-00000042-7")), reason: t("from the lost tail") },
        Command::AcceptForeign { client: None, reason: t("restored") },
    ];
    let received = |command| CommandReceived { by: l("ann"), command }.into();
    let mut facts: Vec<Fact> = commands.into_iter().map(received).collect();
    facts.extend([
        Fact::from(TradingHalted { by: l("ann"), reason: t("news") }),
        TradingEnabled { by: l("ann") }.into(),
        PauseStarted { rule: PauseRule::StopOuts, until: NOW, figure: f("3") }.into(),
        DayStarted { day: 20_172, equity: f("100000") }.into(),
        CommandRefused { by: l("ann"), reason: t("no position") }.into(),
    ]);
    facts
}

fn alarms() -> Vec<Fact> {
    vec![
        AlarmRaised {
            alarm: AlarmKind::Unprotected,
            instrument: Some(I),
            blocks: Blocks::AllEntries,
            reason: t("no stop"),
        }
        .into(),
        AlarmCleared { alarm: AlarmKind::VenueUnanswered, instrument: None }.into(),
        AnomalyNoted {
            anomaly: AnomalyKind::Overfill,
            instrument: Some(I),
            order: O,
            known: f("0.0001"),
            arrived: Fixed::MAX,
            detail: t("d\u{e9}tail"),
        }
        .into(),
        MessageQueued { number: 1, about: Lsn(9), text: t("stop hit") }.into(),
        MessageDelivered { number: 1 }.into(),
    ]
}

fn claims() -> Vec<Fact> {
    use crate::claim::{LimitKind, LimitUnit, PositionClaim, TradeClaim};
    let digest = [0xc1; 32];
    let position = PositionClaim {
        instrument: l("SOL_USDT"),
        id: t("SOL/USDT_1760956349.789"),
        quantity: f("0.5"),
        entry: f("100"),
        stop: Some(f("100.47")),
        highest: Some(f("102")),
        trail: Some(f("0.015")),
        opened: Some(NOW),
    };
    let trade = TradeClaim {
        instrument: l("BTC_USDT"),
        id: t("1760901029.1"),
        side: Side::Sell,
        quantity: f("0.001"),
        price: f("51000"),
        profit: Some(f("1")),
        time: None,
    };
    let limit = Claim::Limit {
        limit: LimitKind::StopLoss,
        value: f("0.02"),
        unit: LimitUnit::Unstated,
        answered: Some((f("0.02"), LimitUnit::Share)),
    };
    let claims = [
        ("SOL/USDT_1760956349.789", Claim::Position(position)),
        ("line 2", Claim::Trade(trade)),
        ("risk_management.stop_loss", limit),
        ("trading_enabled", Claim::TradingDisabled),
        ("balance", Claim::Note { what: t("balance 3 is no balance") }),
    ];
    let mut facts = vec![
        FileImported {
            digest,
            name: t("trailing_stops.json"),
            source: SourceKind::TrailingStops,
            bytes: 953,
            timezone: t("+02:00"),
            claims: 5,
            disputes: 1,
        }
        .into(),
    ];
    facts.extend(claims.map(|(row, claim)| ClaimImported { digest, row: t(row), claim }.into()));
    facts.push(
        ClaimDisputed {
            digest,
            row: t("positions"),
            kind: DisputeKind::HoldingForgotten,
            instrument: l("ETH_USDT"),
            claimed: f("0"),
            found: f("0.0028"),
            detail: t("10 buys less 3 sells"),
        }
        .into(),
    );
    facts.push(
        ClaimChecked {
            digest,
            instrument: I,
            verdict: ClaimVerdict::Confirmed,
            claimed: f("0.5"),
            venue: f("0.5"),
            adopted: f("0.5"),
            stop: Some(f("100.47")),
            snapshot: 2,
        }
        .into(),
    );
    facts
}
