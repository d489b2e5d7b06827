//! The report's figures against the fold's, on generated journals; and by hand, on journals small enough to reckon.

use super::*;
use crate::testing::Written;
use aegis_journal::{MemReader, Storage};
use aegis_model::event::*;
use aegis_model::ids::SECOND;
use aegis_model::market::PricePath;
use aegis_model::order::{LookupAnswer, OrderEnd, OrderKind, Purpose, UnknownCause};
use aegis_model::protection::{Distance, ExitReason, StopRule};
use aegis_model::{
    AssetId, Command, Event, Fact, FeedId, InstrumentId, Label, OrderId, Plan, Price, Quantity, Side, Text,
    TradeId,
};
use aegis_projection::State;
use aegis_projection::testing::{BEGIN, Dice, Story, event, histories, wild_histories};
use proptest::prelude::*;

fn lawful(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|e| !matches!(e.fact, Fact::GapFound(_))).collect()
}

fn written(events: &[Event]) -> Written {
    let batches: Vec<Vec<Event>> = events.chunks(3).map(<[Event]>::to_vec).collect();
    Written::of(&batches)
}

fn over(read: MemReader, from: Option<Until>, until: Until) -> Audit {
    audit(Reading::new(read).expect("a journal"), from, until, &mut |_| ()).expect("a readable journal")
}

fn whole(read: MemReader) -> Audit {
    over(read, None, Until::End)
}

fn sum(values: impl Iterator<Item = Money>) -> Money {
    values.fold(Money::ZERO, |sum, value| sum.plus(value).expect("in range"))
}

fn shares_add_up(audit: &Audit, realised: Money) -> Result<(), TestCaseError> {
    for shares in [&audit.by_instrument, &audit.by_reason, &audit.by_source] {
        prop_assert_eq!(sum(shares.iter().map(|s| s.profit)), realised, "{:#?}", shares);
    }
    prop_assert_eq!(audit.sums.realised, realised);
    Ok(())
}

/// What must hold of every report on a whole journal.
fn agrees(audit: &Audit, state: &State) -> Result<(), TestCaseError> {
    let totals = &state.totals;
    shares_add_up(audit, totals.realised)?;
    prop_assert_eq!(audit.sums.quote_fees, totals.quote_fees);
    prop_assert_eq!(audit.sums.corrections, totals.corrections);
    prop_assert_eq!((audit.sums.fills, audit.sums.closed), (totals.fills, totals.closed));
    for asset in state.assets.iter().filter(|a| !a.fees.is_zero()) {
        let told = audit.fees.iter().find(|f| f.asset == asset.name.to_string());
        prop_assert_eq!(told.map(|f| f.amount), Some(asset.fees), "{}", asset.name);
    }
    prop_assert_eq!(
        audit.refusals.iter().map(|c| c.count).sum::<u64>(),
        totals.refusals.values().sum::<u64>()
    );
    prop_assert_eq!(
        audit.anomalies.iter().map(|c| c.count).sum::<u64>(),
        totals.anomalies.values().sum::<u64>()
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn shares_fees_and_counts_are_the_folds_to_the_last_digit(events in histories(120), cut in any::<prop::sample::Index>()) {
        let written = written(&lawful(events));
        let all = whole(written.read());
        agrees(&all, &written.state)?;
        // Two windows are together what one is.
        let lsn = Lsn(1 + cut.index(written.state.lsn.0 as usize) as u64);
        let early = over(written.read(), None, Until::Before(lsn));
        let late = over(written.read(), Some(Until::Lsn(lsn)), Until::End);
        prop_assert_eq!(late.first, early.last.next());
        shares_add_up(&early, early.sums.realised)?;
        shares_add_up(&late, late.sums.realised)?;
        prop_assert_eq!(early.sums.realised.plus(late.sums.realised).ok(), Some(all.sums.realised));
        prop_assert_eq!(early.sums.fills + late.sums.fills, all.sums.fills);
        prop_assert_eq!(early.unknown.total() + late.unknown.total() >= all.unknown.total(), true);
        prop_assert_eq!(early.commands.total() + late.commands.total(), all.commands.total());
        prop_assert_eq!(early.corrections.total() + late.corrections.total(), all.corrections.total());
    }

    #[test]
    fn any_journal_can_be_audited_and_spelled(events in wild_histories(60)) {
        let written = written(&lawful(events));
        let told = whole(written.read());
        prop_assert_eq!(told.last, written.state.lsn);
        is_alone(&html::html(&told));
        prop_assert!(markdown::markdown(&told).contains("## Anomalies"));
        let json: serde_json::Value = serde_json::from_str(&told.json().expect("JSON")).expect("JSON");
        prop_assert_eq!(&json["last"], &serde_json::json!(written.state.lsn.0));
    }
}

/// A page that needs nothing else and runs nothing.
fn is_alone(page: &str) {
    let without_namespace = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for part in ["http:", "https:", "<script", "src=", "<link", "@import", "url(", "<img", "<iframe"] {
        assert!(!without_namespace.contains(part), "{part} in {page}");
    }
    assert!(without_namespace.matches("href=\"").count() == without_namespace.matches("href=\"#").count());
}

const BTC: InstrumentId = InstrumentId(0);

/// A journal written by hand: the records every journal begins with, and then facts at seconds since.
struct Hand {
    events: Vec<Event>,
    state: State,
}

impl Hand {
    fn begin() -> Hand {
        let story = Story::begin();
        Hand { events: story.events, state: story.state }
    }

    fn at(&mut self, second: i64, fact: impl Into<Fact>) -> &mut Hand {
        let told = event(BEGIN.after(second * SECOND), fact);
        self.state.apply(&told);
        self.events.push(told);
        self
    }

    /// The same, caused by the record before.
    fn because(&mut self, second: i64, fact: impl Into<Fact>) -> &mut Hand {
        let cause = self.state.lsn;
        let told = Event { cause, ..event(BEGIN.after(second * SECOND), fact) };
        self.state.apply(&told);
        self.events.push(told);
        self
    }

    fn tick(&mut self, second: i64, bid: i64) -> &mut Hand {
        let time = BEGIN.after(second * SECOND);
        self.at(
            second,
            TickSeen {
                feed: FeedId(1),
                cursor: second.unsigned_abs(),
                instrument: BTC,
                time,
                bid: Some(Price::new(bid, 0)),
                ask: None,
                last: None,
                bid_quantity: None,
                ask_quantity: None,
                path: PricePath::Jump,
            },
        )
    }

    fn order(&mut self, second: i64, order: u64, side: Side, purpose: Purpose) -> &mut Hand {
        self.because(
            second,
            OrderIntended {
                order: OrderId(order),
                run: 7,
                instrument: BTC,
                side,
                kind: OrderKind::Market,
                quantity: Quantity::new(2, 0),
                purpose,
                valid_until: BEGIN.after(1_000 * SECOND),
                cancel_at: None,
                replaces: OrderId(0),
                plan: None,
                reference: Price::new(100, 0),
            },
        )
    }

    fn fill(&mut self, second: i64, order: u64, side: Side, price: i64, trade: &str) -> &mut Hand {
        self.at(
            second,
            FillBooked {
                instrument: BTC,
                trade: TradeId(Label::literal(trade)),
                order: OrderId(order),
                venue_order: None,
                side,
                price: Price::new(price, 0),
                quantity: Quantity::new(2, 0),
                fee: Some(Fee { asset: AssetId(0), amount: Quantity::new(1, 0) }),
                executed: BEGIN.after(second * SECOND),
                source: FillSource::Report,
            },
        )
    }

    fn read(&self) -> MemReader {
        let batches: Vec<Vec<Event>> = self.events.iter().map(|e| vec![e.clone()]).collect();
        Written::of(&batches).read()
    }
}

fn exit(reason: ExitReason) -> Purpose {
    Purpose::Exit { reason, others: 0 }
}

/// A signal buys 2 at 100; the price goes to 120, 90 and 110; the stop sells at 110. Each fill costs 1.
fn round_trip() -> Hand {
    let mut hand = Hand::begin();
    hand.at(
        1,
        BalanceRecorded {
            snapshot: 1,
            asset: AssetId(0),
            total: Quantity::new(1_000, 0),
            reserved: Quantity::ZERO,
            requested: BEGIN,
        },
    );
    hand.at(
        10,
        SignalReceived {
            source: Label::literal("oracle"),
            position: 1,
            instrument: BTC,
            direction: Direction::Up,
            confidence: Rate::new(9, 1),
            until: BEGIN.after(100 * SECOND),
        },
    );
    hand.order(10, 1, Side::Buy, Purpose::Entry).fill(12, 1, Side::Buy, 100, "b1");
    let plan = Plan {
        initial: Distance::Relative(Rate::new(5, 2)),
        rule: StopRule::Fixed,
        atr: None,
        take_profit: None,
        hold_ns: None,
    };
    hand.at(
        15,
        StopArmed {
            instrument: BTC,
            cycle: 1,
            plan,
            stop: Price::new(95, 0),
            take_profit: None,
            time_exit: None,
            mark: Price::new(100, 0),
            quantity: Quantity::new(2, 0),
        },
    );
    hand.tick(20, 120).tick(30, 90).tick(40, 110);
    hand.order(40, 2, Side::Sell, exit(ExitReason::Stop)).fill(42, 2, Side::Sell, 110, "s1");
    hand.at(
        42,
        PositionClosed {
            instrument: BTC,
            cycle: 1,
            opened: BEGIN.after(12 * SECOND),
            closed: BEGIN.after(42 * SECOND),
            bought: Quantity::new(2, 0),
            buy_value: Money::new(200, 0),
            sold: Quantity::new(2, 0),
            sell_value: Money::new(220, 0),
            quote_fees: Money::new(2, 0),
            base_fees: Quantity::ZERO,
            realised: Money::new(18, 0),
            rate: Rate::new(896, 4),
            dust: Quantity::ZERO,
            reason: Some(ExitReason::Stop),
        },
    );
    hand
}

#[test]
fn a_round_trip_is_reckoned_by_hand() {
    let hand = round_trip();
    let told = whole(hand.read());
    assert_eq!(told.sums.realised, Money::new(18, 0));
    let one = |shares: &[Share]| {
        let [share] = shares else { panic!("one share: {shares:#?}") };
        (share.name.clone(), share.positions, share.won, share.profit)
    };
    assert_eq!(one(&told.by_instrument), ("BTC_USD".to_owned(), 1, 1, Money::new(18, 0)));
    assert_eq!(one(&told.by_reason), ("stop".to_owned(), 1, 1, Money::new(18, 0)));
    assert_eq!(one(&told.by_source), ("signal oracle".to_owned(), 1, 1, Money::new(18, 0)));
    assert_eq!(told.fees, [Fees { asset: "USD".to_owned(), amount: Quantity::new(2, 0) }]);
    // 1000 - 1 + 2 * 20 = 1039 at the top, 1000 - 1 - 2 * 10 = 979 at the bottom.
    let fall = told.equity.drawdown.as_ref().expect("it fell");
    assert_eq!((fall.amount, fall.peak), (Money::new(60, 0), Money::new(1_039, 0)));
    assert_eq!(fall.peak_at, Moment(BEGIN.after(20 * SECOND)));
    assert_eq!(fall.trough_at, Moment(BEGIN.after(30 * SECOND)));
    assert_eq!(
        fall.rate.map(|r| r.to_tick(Rate::new(1, 6), aegis_model::Rounding::HalfEven)),
        Some(Ok(Rate::new(57_748, 6)))
    );
    assert_eq!(told.equity.curve.last().map(|p| p.1), Some(Money::new(1_018, 0)));
    let [cover] = &told.protection[..] else { panic!("one instrument: {:#?}", told.protection) };
    assert_eq!((cover.held_ns, cover.bare_ns, cover.bare_max_ns), (30 * SECOND, 3 * SECOND, 3 * SECOND));
    let [position] = &told.positions[..] else { panic!("one position") };
    let chart = position.chart.as_ref().expect("a chart");
    assert_eq!(chart.executions.len(), 2);
    assert_eq!(chart.stops, [(BEGIN.after(15 * SECOND), Some(Price::new(95, 0)))]);
    let page = html::html(&told);
    is_alone(&page);
    assert_eq!(page.matches("<svg").count(), 3, "two of the result and one of the position");
}

#[test]
fn a_window_leaves_out_what_was_earned_before_it() {
    let hand = round_trip();
    // From the tick at 90 on: the entry's fee was paid before.
    let late = over(hand.read(), Some(Until::Time(BEGIN.after(25 * SECOND))), Until::End);
    assert_eq!(late.sums.realised, Money::new(19, 0));
    assert_eq!(late.positions[0].before, Money::new(-1, 0));
    assert_eq!(late.by_source[0].profit, Money::new(19, 0));
    assert_eq!(late.by_source[0].name, "signal oracle");
    let fall = late.equity.drawdown.expect("from what it was when the window began");
    assert_eq!(fall.amount, Money::new(60, 0));
    let early = over(hand.read(), None, Until::Time(BEGIN.after(25 * SECOND)));
    assert_eq!((early.sums.realised, early.sums.open), (Money::new(-1, 0), Money::new(40, 0)));
    assert_eq!(early.by_reason[0].name, "still open");
    // The fee alone is a fall below the nothing that it began with.
    let fall = early.equity.drawdown.expect("the entry's fee");
    assert_eq!((fall.amount, fall.peak_at), (Money::new(1, 0), Moment(BEGIN)));
    let nothing = over(hand.read(), Some(Until::Lsn(Lsn(10_000))), Until::End);
    assert_eq!((nothing.from, nothing.positions.len()), (None, 0));
}

#[test]
fn an_unknown_outcome_is_told_with_its_end() {
    let mut hand = Hand::begin();
    let (order, venue_order) = (OrderId(1), aegis_model::VenueOrderId(Label::literal("v1")));
    hand.order(10, 1, Side::Buy, Purpose::Entry);
    hand.at(13, OrderUnknown { order, cause: UnknownCause::Timeout });
    hand.at(14, OrderLookedUp { order, answer: LookupAnswer::Failed, absent: 0 });
    hand.at(16, OrderLookedUp { order, answer: LookupAnswer::Present, absent: 0 });
    hand.at(16, OrderAcknowledged { order, venue_order });
    hand.fill(17, 1, Side::Buy, 100, "b1");
    hand.at(17, OrderEnded { order, end: OrderEnd::Filled, cumulative: Some(Quantity::new(2, 0)) });
    let told = whole(hand.read());
    let [row] = &told.unknown.rows[..] else { panic!("{:#?}", told.unknown) };
    assert_eq!((row.order, row.lasted_ns, row.cause.as_str()), (1, Some(3 * SECOND), "timeout"));
    assert_eq!(row.end.as_deref(), Some("filled"));
    let still = over(hand.read(), None, Until::Time(BEGIN.after(15 * SECOND)));
    assert_eq!((still.unknown.rows[0].lasted_ns, still.unknown.rows[0].lookups), (None, 1));
    assert_eq!(still.unknown.rows[0].end.as_deref(), Some("live: unknown"));
}

#[test]
fn what_the_journal_says_is_never_markup() {
    let mut hand = Hand::begin();
    let by = Label::literal("<script>x</script>|`a`");
    hand.at(1, CommandReceived { by, command: Command::Halt { reason: Text::new("<img src=x onerror=y>") } });
    hand.because(1, CommandRefused { by, reason: Text::new("a | b\n# c <b>") });
    hand.at(
        2,
        HoldingQuarantined {
            asset: AssetId(1),
            quantity: Quantity::new(1, 0),
            evidence: Text::new("\"></td><script src=http://x>"),
        },
    );
    let told = whole(hand.read());
    assert_eq!(told.commanders[0], Commander { by: by.to_string(), commands: 1, refused: 1 });
    assert_eq!(told.commands.rows[0].outcome.as_deref(), Some("refused: a | b\n# c <b>"));
    let page = html::html(&told);
    for part in ["<script", "<img", "<b>"] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    assert!(page.contains("&lt;script&gt;x&lt;/script&gt;"));
    let text = markdown::markdown(&told);
    for row in text.lines().filter(|line| line.contains("script")) {
        assert!(row.contains("\\<") && !row.replace("\\<", "").contains('<'), "{row}");
    }
    let cells = |row: &str| row.replace("\\|", "").matches('|').count();
    let commands: Vec<&str> =
        text.lines().skip_while(|l| *l != "## Commands").filter(|l| l.starts_with('|')).take(3).collect();
    assert!(commands.iter().all(|row| cells(row) == cells(commands[0])), "{commands:#?}");
}

#[test]
fn behind_a_hole_nothing_is_counted_and_the_hole_is_told() {
    let (mut story, mut dice) = (Story::begin(), Dice::new(7));
    while story.events.len() < 2_000 {
        story.step(&mut dice);
    }
    let written = written(&lawful(story.events));
    let all = whole(written.read());
    let disk = written.closed();
    disk.patch("0000000001.seg", 30_000, &[0xff; 16]);
    let cut = whole(disk.reader());
    assert!(cut.last < all.last && cut.behind_gap > 0 && cut.hole.is_some());
    assert!(markdown::markdown(&cut).contains("Copied while live or damaged"));
    shares_add_up(&cut, cut.sums.realised).expect("they add up");
}

#[test]
fn times_are_told_exactly() {
    for (ns, words) in [
        (999_999, "0 ms"),
        (1_500_000_000, "1.500 s"),
        (90 * SECOND, "90 s"),
        (125 * SECOND, "2 min 5 s"),
        (3_661 * SECOND, "1 h 1 min 1 s"),
        (90_061 * SECOND, "1 d 1 h 1 min"),
    ] {
        assert_eq!(sections::lasted(ns), words);
    }
}
