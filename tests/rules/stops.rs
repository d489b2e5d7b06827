//! Rules 19 to 28 and 31 to 33: protection and exits.

use aegis_model::event::{AlarmKind, Direction, PauseRule};
use aegis_model::input::Reported;
use aegis_model::order::{OrderEnd, RejectClass};
use aegis_model::protection::{Distance, ExitReason, Plan, Stage, StopRule};
use aegis_model::{Candle, Command, Fact, Input, Purpose, Report, Side, Text};
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, label, money, price, quantity, rate};

fn holding(amount: &str, at: &str) -> World {
    holding_with(story_settings(), amount, at)
}

fn holding_with(settings: aegis_engine::Settings, amount: &str, at: &str) -> World {
    let mut world = World::with(settings);
    world.tick("BTC_USDT", at);
    world.buy("BTC_USDT", amount);
    assert_eq!(world.held("BTC_USDT"), quantity(amount));
    world
}

fn planned(plan: Plan) -> aegis_engine::Settings {
    let mut settings = story_settings();
    settings.plan.plan = plan;
    settings
}

fn fixed(distance: &str) -> Plan {
    Plan {
        initial: Distance::Relative(rate(distance)),
        rule: StopRule::Fixed,
        atr: None,
        take_profit: None,
        hold_ns: None,
    }
}

fn reasons(world: &World) -> Vec<(ExitReason, u8)> {
    world
        .events()
        .iter()
        .filter_map(|e| match &e.fact {
            Fact::OrderIntended(o) => match o.purpose {
                Purpose::Exit { reason, others } => Some((reason, others)),
                Purpose::Entry => None,
            },
            _ => None,
        })
        .collect()
}

#[test]
fn rule_19_no_fresh_price_makes_blind_and_neither_moves_nor_fires() {
    let mut world = holding("0.001", "50000");
    world.wait(3700);
    assert!(world.state().alarms.contains_key(&(AlarmKind::Blind, Some(id("BTC_USDT")))));
    assert!(world.instrument("BTC_USDT").blind.is_some());
    // Commands still go while blind.
    world.command(Command::Close { instrument: label("BTC_USDT") });
    assert_eq!(reasons(&world), vec![(ExitReason::Command, 0)]);
    let mut world = holding("0.001", "50000");
    world.wait(3700);
    world.tick("BTC_USDT", "51000");
    assert!(world.instrument("BTC_USDT").blind.is_none(), "it sees again");
    assert_eq!(world.stop("BTC_USDT"), Some(price("50235")));
    assert!(world.count(|f| matches!(f, Fact::BlindEnded(e) if e.lasted_ns > 0)) == 1);
    // Zero is no price: no silent fallback.
    world.tick("BTC_USDT", "0");
    assert_eq!((world.exchange.sides(Side::Sell).len(), world.stop("BTC_USDT")), (0, Some(price("50235"))));
}

#[test]
fn rule_20_the_initial_stop_rises_with_a_better_entry_and_never_falls() {
    let mut world = World::with(planned(fixed("0.02")));
    world.exchange.fills = Some(Fills::Part(quantity("0.001")));
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.002");
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")));
    let now = world.now;
    let trade = world.exchange.execute(0, quantity("0.001"), price("52000"), now);
    let client = world.exchange.orders[0].client.expect("ours");
    let report =
        aegis_model::Report { client, venue_order: None, what: aegis_model::input::Reported::Filled(trade) };
    world.give(Input::Report(report));
    world.pump();
    assert_eq!(world.instrument("BTC_USDT").entry_price(), Some(price("51000")));
    assert_eq!(world.stop("BTC_USDT"), Some(price("49980")), "51000 x 0.98");
}

#[test]
fn rule_21_the_mark_alone_yields_no_stop_and_equal_prices_no_event() {
    let mut world = holding("0.001", "50000");
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "not 49250: the mark starts at the entry");
    world.tick("BTC_USDT", "51000");
    let before = world.log.len();
    world.tick("BTC_USDT", "51000");
    world.tick("BTC_USDT", "50900");
    assert_eq!(world.log.len(), before, "nothing new, nothing recorded");
}

#[test]
fn rule_22_stages_activate_on_profit_net_of_both_fees_and_stay() {
    let plan = Plan {
        rule: StopRule::Trailing {
            distance: Distance::Relative(rate("0.015")),
            from_start: false,
            stages: vec![
                Stage { activation: rate("0.05"), distance: Distance::Relative(rate("0.02")) },
                Stage { activation: rate("0.1"), distance: Distance::Relative(rate("0.01")) },
            ],
        },
        ..fixed("0.02")
    };
    let mut settings = planned(plan);
    settings.taker_fee = rate("0.01");
    let mut world = holding_with(settings, "0.001", "50000");
    world.tick("BTC_USDT", "52500");
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "5 % gross is 3.95 % net: not active");
    world.tick("BTC_USDT", "53031");
    assert_eq!(world.stop("BTC_USDT"), Some(price("51970.38")), "just above 5 % net: 2 % below 53031");
    world.tick("BTC_USDT", "56000");
    assert_eq!(world.stop("BTC_USDT"), Some(price("55440")), "the highest stage reached rules: 1 %");
    assert_eq!(world.instrument("BTC_USDT").protection.as_ref().map(|p| p.stages_reached), Some(2));
}

#[test]
fn rule_23_a_stop_fires_at_its_price_and_a_take_profit_too() {
    let mut world = holding("0.001", "50000");
    world.tick("BTC_USDT", "49000.01");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 0);
    world.tick("BTC_USDT", "49000");
    assert_eq!(reasons(&world), vec![(ExitReason::Stop, 0)]);
    let mut world =
        holding_with(planned(Plan { take_profit: Some(rate("0.1")), ..fixed("0.02") }), "0.001", "50000");
    world.tick("BTC_USDT", "54999.99");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 0);
    world.tick("BTC_USDT", "55000");
    assert_eq!(reasons(&world), vec![(ExitReason::TakeProfit, 0)]);
    // A trigger of zero is a value: it protects nothing and is still one.
    let mut world = holding("0.001", "50000");
    world.command(Command::AdjustStop { instrument: label("BTC_USDT"), stop: price("0"), loosen: true });
    assert_eq!(world.stop("BTC_USDT"), Some(price("0")));
    world.tick("BTC_USDT", "100");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 0);
}

#[test]
fn rule_24_sell_triggers_round_up_to_the_tick_and_quantities_down() {
    let mut world = World::with(planned(fixed("0.0333")));
    world.tick("BTC_USDT", "50000.07");
    world.buy("BTC_USDT", "0.001");
    // 50000.07 x 0.9667 = 48335.067669
    assert_eq!(world.stop("BTC_USDT"), Some(price("48335.07")));
}

#[test]
fn rule_25_the_first_reason_is_carried_and_the_others_listed() {
    let plan = Plan { hold_ns: Some(2_000_000_000), ..fixed("0.02") };
    let mut world = holding_with(planned(plan), "0.001", "50000");
    world.quote("BTC_USDT", "50000");
    world.quote("BTC_USDT", "50000");
    world.tick("BTC_USDT", "48000");
    assert_eq!(reasons(&world), vec![(ExitReason::Stop, 1 << ExitReason::Time.number())]);
}

#[test]
fn rule_27_average_true_range_needs_its_candles_and_its_value_is_recorded() {
    let mut settings = story_settings();
    settings.plan.atr = Some(aegis_engine::settings::AtrSettings { period: 2, multiple: rate("3") });
    let mut world = World::with(settings);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "too few candles refuse");
    for (at, (high, low, close)) in
        [("101", "99", "100"), ("104", "100", "103"), ("104", "102", "102")].iter().enumerate()
    {
        let candle = Candle {
            open_time: aegis_model::Timestamp(at as i64 * 3600),
            open: price("100"),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: quantity("1"),
        };
        world.give(Input::CandleClosed(id("BTC_USDT"), candle));
        world.pump();
    }
    world.buy("BTC_USDT", "0.001");
    // True ranges 4 and 2: average 3; three of them below 50000.
    assert_eq!(world.stop("BTC_USDT"), Some(price("49991")));
    let plan = world.instrument("BTC_USDT").protection.as_ref().map(|p| p.plan.atr);
    assert_eq!(plan, Some(Some(price("3"))), "its value is in the record");
}

#[test]
fn rule_28_settings_apply_to_later_positions_and_a_stop_loosens_only_when_said() {
    let mut world = holding("0.001", "50000");
    world.settings.plan.plan = fixed("0.5");
    world.restart();
    assert_eq!(world.stop("BTC_USDT"), Some(price("49000")), "from the journal");
    world.tick("BTC_USDT", "51000");
    assert_eq!(world.stop("BTC_USDT"), Some(price("50235")), "its own plan still rules");
    let adjust =
        |stop: &str, loosen| Command::AdjustStop { instrument: label("BTC_USDT"), stop: price(stop), loosen };
    world.command(adjust("48000", false));
    assert_eq!(world.stop("BTC_USDT"), Some(price("50235")), "not without saying so");
    assert_eq!(world.count(|f| matches!(f, Fact::CommandRefused(_))), 1);
    world.command(adjust("48000", true));
    assert_eq!(world.stop("BTC_USDT"), Some(price("48000")));
    world.restart();
    assert_eq!(world.stop("BTC_USDT"), Some(price("48000")), "a restart does not undo a command");
    world.command(adjust("50500", false));
    assert_eq!(world.stop("BTC_USDT"), Some(price("50500")));
}

#[test]
fn rule_31_exits_need_no_snapshot_and_work_in_every_halt() {
    let mut world = holding("0.001", "50000");
    world.halt();
    world.exchange.failing = vec!["balances", "open", "ended", "trades", "flows"];
    world.tick("BTC_USDT", "49000");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1);
    // A sell signal cancels the working entry first.
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Part(quantity("0.001")));
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.002");
    world.exchange.fills = Some(Fills::Whole);
    world.signal("BTC_USDT", Direction::Down, "0.9");
    let facts: Vec<_> = world.events().iter().map(|e| e.fact.name()).collect();
    let cancel = facts.iter().position(|f| *f == "CancelIntended");
    let exit = facts.iter().rposition(|f| *f == "OrderIntended");
    assert!(cancel.is_some() && cancel < exit, "{facts:?}");
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}

#[test]
fn rule_32_a_refused_exit_is_tried_by_bounded_rules_then_alarms_then_slowly() {
    let mut world = holding("0.001", "50000");
    world.exchange.fills = Some(Fills::Refuse(RejectClass::PriceOut));
    world.tick("BTC_USDT", "49000");
    world.wait(30);
    let tries = world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell));
    assert_eq!(tries, 3, "three fast tries");
    assert!(world.state().alarms.contains_key(&(AlarmKind::ExitFailing, Some(id("BTC_USDT")))));
    world.wait(130);
    let slow = world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell));
    assert!((4..=6).contains(&slow), "slow tries: {slow}");
    let replaced = world
        .events()
        .iter()
        .filter(|e| matches!(&e.fact, Fact::OrderIntended(o) if o.replaces.0 > 0))
        .count();
    assert_eq!(replaced, slow - 1, "each names the one it tries again");
    world.exchange.fills = Some(Fills::Whole);
    world.wait(61);
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    assert!(world.state().alarms.is_empty(), "{:?}", world.state().alarms);
}

#[test]
fn rule_32_permanent_waits_for_a_command_and_later_keeps_its_id() {
    let mut world = holding("0.001", "50000");
    world.exchange.fills = Some(Fills::Refuse(RejectClass::Permanent));
    world.tick("BTC_USDT", "49000");
    world.wait(600);
    assert_eq!(world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell)), 1);
    world.exchange.fills = Some(Fills::Whole);
    world.command(Command::Close { instrument: label("BTC_USDT") });
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    let mut world = holding("0.001", "50000");
    world.exchange.fills = Some(Fills::Refuse(RejectClass::Later));
    world.tick("BTC_USDT", "49000");
    world.wait(3);
    world.exchange.fills = Some(Fills::Whole);
    // One, two, four seconds: ever slower.
    world.wait(5);
    assert_eq!(
        world.count(|f| matches!(f, Fact::OrderIntended(o) if o.side == Side::Sell)),
        1,
        "the same order"
    );
    assert!(world.count(|f| matches!(f, Fact::OrderResent(_))) >= 1);
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}

#[test]
fn rule_33_an_unknown_exit_blocks_another_for_its_quantity() {
    let mut world = holding("0.001", "50000");
    world.exchange.replies = Some(Replies::Lost);
    world.exchange.failing = vec!["lookup"];
    world.tick("BTC_USDT", "49000");
    for _ in 0..5 {
        world.tick("BTC_USDT", "48000");
        world.wait(5);
    }
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1, "no second exit while the first is unknown");
    world.exchange.failing.clear();
    world.wait(10);
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
    assert_eq!(world.exchange.sides(Side::Sell).len(), 1);
}

#[test]
fn an_exit_of_what_others_reserve_waits_for_its_release_and_does_not_spin() {
    let mut world = holding("0.001", "50000");
    let now = world.now;
    let theirs = world.exchange.rest_by_hand(id("BTC_USDT"), "0.001", now);
    world.wait(400);
    world.tick("BTC_USDT", "50000");
    world.command(Command::Close { instrument: label("BTC_USDT") });
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    assert!(world.engine.next_timer().is_some_and(|due| due > world.now), "nothing can be done now");
    world.exchange.orders[theirs].row.status = aegis_model::input::RowStatus::Cancelled;
    world.wait(400);
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}

#[test]
fn a_partial_exit_goes_on_with_the_rest_and_dust_ends_it() {
    let mut world = World::with_exchange(story_settings(), |e| e.set_total("USDT", "100000"));
    world.tick("ETH_USDT", "3000");
    world.buy("ETH_USDT", "0.01");
    world.exchange.fills = Some(Fills::PartThenExpire(quantity("0.004")));
    world.tick("ETH_USDT", "2940");
    world.wait(10);
    let sold: Vec<_> = world.exchange.sides(Side::Sell).iter().map(|o| o.cumulative).collect();
    assert_eq!(sold, vec![quantity("0.004"), quantity("0.004"), quantity("0.002")]);
    assert_eq!(world.held("ETH_USDT"), quantity("0"));
    assert_eq!(world.state().totals.ended[&OrderEnd::Expired], 2);
}

#[test]
fn rule_38_stop_outs_pause_entries_and_looking_again_does_not_extend() {
    let mut settings = story_settings();
    settings.stop_outs = Some(aegis_engine::settings::StopOutPause {
        count: 2,
        window_ns: 3600 * 1_000_000_000,
        pause_ns: 600 * 1_000_000_000,
    });
    let mut world = World::with(settings);
    for _ in 0..2 {
        world.tick("BTC_USDT", "50000");
        world.buy("BTC_USDT", "0.001");
        world.tick("BTC_USDT", "48000");
    }
    let until = world.state().trading.pauses[&PauseRule::StopOuts];
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "paused");
    world.wait(300);
    assert_eq!(world.state().trading.pauses[&PauseRule::StopOuts], until, "not extended");
    world.wait(310);
    world.tick("BTC_USDT", "50000");
    world.buy("BTC_USDT", "0.001");
    assert_eq!(world.held("BTC_USDT"), quantity("0.001"));
    assert_eq!(world.state().totals.realised, money("-4"));
    let _ = Text::default();
}

/// Nothing that only time brings about is due at this very moment: what is not done by waiting is not waited for.
fn rests(world: &World) -> bool {
    world.engine.next_timer().is_none_or(|due| due > world.now)
}

#[test]
fn rule_33_a_fill_in_place_of_an_inferred_one_leaves_the_exit_on_its_way_and_wanted() {
    let mut world =
        holding_with(planned(Plan { hold_ns: Some(60_000_000_000), ..fixed("0.02") }), "0.5", "50000");
    world.exchange.fills = Some(Fills::Nothing);
    world.wait(61);
    assert_eq!(reasons(&world), [(ExitReason::Time, 0)]);
    // The row tells of 0.3 and no trade explains them: they are inferred. Then the trade comes.
    let at = world.exchange.orders.len() - 1;
    let trade = world.exchange.execute(at, quantity("0.3"), price("50000"), world.now);
    world.exchange.trades.pop();
    let client = trade.client.expect("ours");
    let row = world.exchange.orders[at].row;
    let report = |what| Input::Report(Report { client, venue_order: Some(row.venue_order), what });
    world.give(report(Reported::Row(row)));
    world.pump();
    assert_eq!(world.count(|f| matches!(f, Fact::FillInferred(_))), 1);
    world.exchange.trades.push(trade);
    world.give(report(Reported::Filled(trade)));
    world.pump();
    assert_eq!(world.held("BTC_USDT"), quantity("0.2"));
    world.wait(1);
    assert!(rests(&world), "its time exit is over and on its way");
    assert!(world.instrument("BTC_USDT").exit_wanted.is_some());
    assert_eq!(reasons(&world).len(), 1, "one exit");
    let rest = world.exchange.execute(at, quantity("0.2"), price("50000"), world.now);
    world.give(report(Reported::Filled(rest)));
    world.pump();
    assert_eq!(world.held("BTC_USDT"), quantity("0"));
}

#[test]
fn rule_33_an_exit_below_a_tick_waits_for_the_entry_that_is_unknown_without_a_price_too() {
    let mut settings = story_settings();
    settings.taker_fee = rate("0.005");
    settings.price_age_ns.values_mut().for_each(|age| *age = 10_000_000_000);
    let mut world = World::with_exchange(settings, |exchange| {
        exchange.set_total("USDT", "100000");
        exchange.fee = rate("0.005");
    });
    world.exchange.fills = Some(Fills::Part(quantity("0.1")));
    world.tick("ADA_USDT", "1");
    world.buy("ADA_USDT", "100");
    assert_eq!(world.held("ADA_USDT"), quantity("0.0995"), "a tick is 0.1");
    world.exchange.cancels_lost = true;
    world.exchange.failing = vec!["lookup", "open", "ended", "trades", "balances"];
    world.command(Command::Close { instrument: label("ADA_USDT") });
    assert!(world.instrument("ADA_USDT").exit_wanted.is_some());
    world.wait(120);
    assert!(world.instrument("ADA_USDT").has_unknown(world.state()));
    assert!(world.instrument("ADA_USDT").blind.is_some());
    assert!(rests(&world), "nothing can be sold until the entry's end is known");
    assert!(reasons(&world).is_empty());
}

#[test]
fn rule_21_a_target_beyond_every_price_is_never_reached_and_leaves_the_stop_where_it_belongs() {
    let plan = Plan { take_profit: Some(rate("99999999999999999")), ..fixed("0.05") };
    let mut world = holding_with(planned(plan), "0.001", "50000");
    assert_eq!(world.stop("BTC_USDT"), Some(price("47500")));
    let protection = world.instrument("BTC_USDT").protection.as_ref();
    assert_eq!(protection.map(|p| (p.take_profit, p.quantity)), Some((None, quantity("0.001"))));
    world.tick("BTC_USDT", "47000");
    world.wait(10);
    assert_eq!(world.held("BTC_USDT"), quantity("0"), "and it is met");
}
