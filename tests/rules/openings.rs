//! What an opening, a connection and a settled holding bring about, each by an example and by what must not follow.

use aegis_engine::Settings;
use aegis_model::event::{AlarmKind, AnomalyKind, PauseRule, Refusal};
use aegis_model::ids::SECOND;
use aegis_model::input::Opened;
use aegis_model::protection::Distance;
use aegis_model::{Command, Fact, Input, Side, Text};
use aegis_tests::exchange::{Fills, Replies};
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, label, money, price, quantity, rate};

const BTC: &str = "BTC_USDT";
const HOUR: i64 = 3600 * SECOND;

fn open_with(world: &mut World, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let before = world.events().len();
    world.give(Input::Opened(Opened {
        created: None,
        run: 9,
        version: label("test"),
        config_digest: [0; 32],
        seed: None,
        settings: settings.iter().map(|(key, value)| (Text::new(key), Text::new(value))).collect(),
        gap: None,
    }));
    world.pump();
    let recorded = world.events()[before..].to_vec().into_iter().filter_map(|e| match e.fact {
        Fact::SettingRecorded(s) => Some((s.key.as_str().to_owned(), s.value.as_str().to_owned())),
        _ => None,
    });
    recorded.collect()
}

fn pairs(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn an_opening_records_the_settings_that_changed_and_those_that_are_gone() {
    let mut world = World::new();
    let first = [("a", "1"), ("b", "2")];
    assert_eq!(open_with(&mut world, &first), pairs(&first));
    assert_eq!(open_with(&mut world, &first), []);
    assert_eq!(open_with(&mut world, &[("b", "3"), ("c", "4")]), pairs(&[("b", "3"), ("c", "4"), ("a", "")]));
    assert_eq!(open_with(&mut world, &[("b", "3"), ("c", "4")]), []);
    assert_eq!(world.state().settings.len(), 2);
}

#[test]
fn a_connection_is_told_when_it_is_lost_and_when_it_is_back_each_once() {
    let mut world = World::new();
    let link = label("user");
    let told = |world: &World| {
        let lost = world.count(|f| matches!(f, Fact::LinkLost(_)));
        let back: Vec<i64> = world
            .events()
            .into_iter()
            .filter_map(|e| match e.fact {
                Fact::LinkRestored(r) => Some(r.lasted_ns),
                _ => None,
            })
            .collect();
        (lost, back)
    };
    let link_is = |world: &mut World, lost: Option<&str>| {
        world.give(Input::Link { link, lost: lost.map(Text::new) });
        world.pump();
    };
    link_is(&mut world, None);
    assert_eq!(told(&world), (0, vec![]), "it was never lost");
    link_is(&mut world, Some("closed"));
    world.wait(3);
    link_is(&mut world, Some("refused"));
    world.wait(4);
    assert_eq!((told(&world), world.state().links.len()), ((1, vec![]), 1));
    link_is(&mut world, None);
    link_is(&mut world, None);
    assert_eq!((told(&world), world.state().links.len()), ((1, vec![7 * SECOND]), 0));
}

#[test]
fn odd_news_of_the_venue_is_noted_with_how_often_it_came() {
    let mut world = World::new();
    for count in [1, 1, 8] {
        let detail = Text::new("a member nobody knows: colour");
        world.give(Input::Odd { anomaly: AnomalyKind::NewsUnknown, count, detail });
        world.pump();
    }
    let noted = world.events().into_iter().filter_map(|e| match e.fact {
        Fact::AnomalyNoted(n) => Some((n.anomaly, n.arrived)),
        _ => None,
    });
    let often = |count| (AnomalyKind::NewsUnknown, aegis_model::Fixed::from_int(count));
    assert_eq!(noted.collect::<Vec<_>>(), [often(1), often(8)]);
}

#[test]
fn a_slow_disk_stops_entries_with_one_alarm_for_as_long_as_it_lasts() {
    let mut world = World::new();
    world.tick(BTC, "50000");
    let slow = |world: &mut World, milliseconds| {
        world.give(Input::DiskSlow { milliseconds });
        world.pump();
    };
    let raised =
        |world: &World| world.count(|f| matches!(f, Fact::AlarmRaised(a) if a.alarm == AlarmKind::DiskSlow));
    slow(&mut world, 0);
    slow(&mut world, 1500);
    slow(&mut world, 1700);
    assert_eq!(raised(&world), 1, "another record about it is one more that the disk has to take");
    world.buy(BTC, "0.001");
    assert_eq!(world.held(BTC), quantity("0"));
    slow(&mut world, 0);
    world.buy(BTC, "0.001");
    assert_eq!((world.held(BTC), raised(&world)), (quantity("0.001"), 1));
}

#[test]
fn what_was_intended_and_not_answered_is_unknown_after_a_crash_and_what_was_acknowledged_is_not() {
    let unknown = |world: &World| world.count(|f| matches!(f, Fact::OrderUnknown(_)));
    for answered in [false, true] {
        let mut world = World::new();
        world.exchange.fills = Some(Fills::Nothing);
        world.tick(BTC, "50000");
        if !answered {
            world.crash_at(aegis_tests::CrashPoint::Cp1);
        }
        world.buy(BTC, "0.002");
        assert_eq!(world.state().orders.len(), 1);
        world.exchange.failing = vec!["lookup"];
        world.restart();
        assert_eq!(unknown(&world), usize::from(!answered), "answered: {answered}");
        assert_eq!(world.count(|f| matches!(f, Fact::OrderLookedUp(_))), 1, "each is asked about");
    }
}

#[test]
fn an_exit_that_never_arrives_goes_out_again_soon_and_then_slowly() {
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    world.exchange.replies = Some(Replies::RequestLost);
    world.command(Command::Close { instrument: label(BTC) });
    let resent = |world: &World| world.count(|f| matches!(f, Fact::OrderResent(_)));
    world.wait(30);
    let soon = resent(&world);
    assert!((3..=5).contains(&soon), "{soon} in half a minute");
    world.wait(3600);
    let later = resent(&world) - soon;
    assert!((50..=61).contains(&later), "{later} in an hour");
}

#[test]
fn a_stop_at_the_entry_price_itself_is_armed_if_the_plan_says_so() {
    let mut settings = story_settings();
    settings.plan.plan.initial = Distance::Relative(rate("0"));
    let mut world = World::with(settings);
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    assert_eq!(world.stop(BTC), Some(price("50000")));
    assert!(!world.state().alarms.contains_key(&(AlarmKind::Unprotected, Some(id(BTC)))));
}

#[test]
fn at_the_smallest_price_there_is_the_stop_is_that_price() {
    let mut world = World::new();
    world.tick("ADA_USDT", "0.0001");
    world.buy("ADA_USDT", "100");
    assert_eq!(world.held("ADA_USDT"), quantity("100"));
    assert_eq!(world.stop("ADA_USDT"), Some(price("0.0001")), "no price lies between it and zero");
    assert!(!world.state().alarms.contains_key(&(AlarmKind::Unprotected, Some(id("ADA_USDT")))));
}

#[test]
fn a_stop_that_its_tick_would_put_at_the_entry_price_is_an_alarm_and_no_stop() {
    let holdings = aegis_engine::settings::HoldingPolicy::Adopt;
    let mut world = World::with(Settings { holdings, ..story_settings() });
    let alarmed =
        |world: &World| world.state().alarms.contains_key(&(AlarmKind::Unprotected, Some(id("ADA_USDT"))));
    world.tick("ADA_USDT", "0.002");
    let now = world.now;
    world.exchange.by_hand(id("ADA_USDT"), Side::Buy, "100", "0.002", now);
    world.give(Input::Compare);
    world.pump();
    // 0.00196 is rounded up to 0.002, where it would sell at once.
    assert_eq!((world.held("ADA_USDT"), world.stop("ADA_USDT")), (quantity("100"), None));
    assert!(alarmed(&world));
    assert!(world.exchange.sides(Side::Sell).is_empty());
}

#[test]
fn rule_17_one_tick_can_be_sold_and_is_no_dust() {
    let mut world = World::new();
    world.tick(BTC, "50000");
    world.buy(BTC, "0.00000002");
    let now = world.now;
    world.exchange.by_hand(id(BTC), Side::Sell, "0.00000001", "50000", now);
    world.give(Input::Compare);
    world.pump();
    assert_eq!(world.held(BTC), quantity("0.00000001"));
    assert_eq!(world.instrument(BTC).protection.as_ref().map(|p| p.quantity), Some(quantity("0.00000001")));
    assert_eq!(world.count(|f| matches!(f, Fact::DustKept(_))), 0);
}

#[test]
fn each_closed_position_is_told_with_the_reason_of_its_own_exit_and_cites_its_records() {
    use aegis_model::protection::ExitReason;
    let mut world = World::new();
    for (name, at, amount) in [(BTC, "50000", "0.002"), ("ETH_USDT", "3000", "0.1")] {
        world.tick(name, at);
        world.buy(name, amount);
    }
    let opened = world.instrument("ETH_USDT").opened.0;
    world.tick(BTC, "48000");
    world.command(Command::Close { instrument: label("ETH_USDT") });
    let closed = world.events().into_iter().filter_map(|e| match e.fact {
        Fact::PositionClosed(c) => Some((c.instrument, c.reason)),
        _ => None,
    });
    let expected = [(id(BTC), Some(ExitReason::Stop)), (id("ETH_USDT"), Some(ExitReason::Command))];
    assert_eq!(closed.collect::<Vec<_>>(), expected);
    let cites = |(_, text): &&(u64, String)| {
        text.starts_with("ETH_USDT bought") && text.ends_with(&format!("fill {opened}"))
    };
    assert_eq!(world.exchange.messages.iter().filter(cites).count(), 1, "{:?}", world.exchange.messages);
}

#[test]
fn instruments_that_are_listed_again_ask_for_no_comparison() {
    let mut world = World::new();
    let before = world.exchange.comparisons;
    assert!(before > 0, "the first listing does");
    world.give(Input::Instruments(aegis_tests::world::listed()));
    world.pump();
    assert_eq!(world.exchange.comparisons, before);
}

#[test]
fn a_balance_that_lacks_what_was_just_bought_is_no_balance_to_size_an_entry_on() {
    let settings = Settings { balance_lag_ns: 60 * SECOND, balance_age_ns: SECOND, ..story_settings() };
    for (total, refused) in [("100000", 1), ("99900", 0)] {
        let mut world = World::with(settings.clone());
        world.tick(BTC, "50000");
        world.tick("ETH_USDT", "3000");
        world.buy(BTC, "0.002");
        let usdt = world.state().find_asset(&label("USDT")).expect("named");
        let expected = |world: &World| {
            let asset = world.state().asset(usdt).expect("named");
            asset.balance.and_then(|b| b.total.plus(asset.since).ok())
        };
        assert_eq!(expected(&world), Some(quantity("99900")));
        world.exchange.set_total("USDT", total);
        world.wait(2);
        world.tick("ETH_USDT", "3000");
        world.signal("ETH_USDT", aegis_model::event::Direction::Up, "0.9");
        let stale = world.count(|f| matches!(f, Fact::EntryRefused(r) if r.reason == Refusal::BalanceStale));
        assert_eq!(stale, refused, "{total}");
        let left = if refused == 1 { "99900" } else { "0" };
        assert_eq!(expected(&world), Some(quantity(left)), "the old figure is not recorded");
        assert_eq!(world.held("ETH_USDT").is_positive(), refused == 0);
    }
}

#[test]
fn stop_outs_within_the_window_pause_entries_from_the_one_that_reaches_the_number() {
    let rule = aegis_engine::settings::StopOutPause { count: 2, window_ns: HOUR, pause_ns: 2 * HOUR };
    let mut world = World::with(Settings { stop_outs: Some(rule), ..story_settings() });
    let stop_out = |world: &mut World| {
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        assert!(world.held(BTC).is_positive());
        world.tick(BTC, "48000");
        assert!(!world.held(BTC).is_positive());
    };
    let until = |world: &World| world.state().trading.pauses.get(&PauseRule::StopOuts).copied();
    stop_out(&mut world);
    world.wait(3598);
    stop_out(&mut world);
    let times = &world.state().stop_outs;
    assert_eq!(times[1].since(times[0]), HOUR);
    assert_eq!(until(&world), None, "the first lies the whole window back");
    stop_out(&mut world);
    let last = *world.state().stop_outs.last().expect("three of them");
    assert_eq!(until(&world), Some(last.after(2 * HOUR)));
    assert_eq!(world.count(|f| matches!(f, Fact::PauseStarted(_))), 1);
}

#[test]
fn rule_38_a_pause_that_is_over_is_not_begun_again_by_a_later_close() {
    let rule = aegis_engine::settings::StopOutPause { count: 1, window_ns: HOUR, pause_ns: 600 * SECOND };
    let mut world = World::with(Settings { stop_outs: Some(rule), ..story_settings() });
    world.tick("ETH_USDT", "3000");
    world.buy("ETH_USDT", "0.1");
    world.tick(BTC, "50000");
    world.buy(BTC, "0.002");
    world.tick(BTC, "48000");
    let until = world.state().trading.pauses[&PauseRule::StopOuts];
    world.now = until;
    world.command(Command::Close { instrument: label("ETH_USDT") });
    assert_eq!((world.held(BTC), world.held("ETH_USDT")), (quantity("0"), quantity("0")));
    assert_eq!(world.count(|f| matches!(f, Fact::PauseStarted(_))), 1, "nothing would be left of it");
    world.buy(BTC, "0.001");
    assert!(world.held(BTC).is_positive(), "entries pass from its end on");
}

#[test]
fn the_days_loss_pauses_entries_from_the_limit_on_until_the_next_day() {
    for (limit, paused) in [("4.01", 0), ("4", 1)] {
        let mut world = World::with(Settings { daily_loss: Some(money(limit)), ..story_settings() });
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        world.tick(BTC, "48000");
        world.wait(60);
        assert_eq!(world.state().totals.realised, money("-4"));
        let until = world.state().trading.pauses.get(&PauseRule::DailyLoss).copied();
        assert_eq!(world.count(|f| matches!(f, Fact::PauseStarted(_))), paused, "a limit of {limit}");
        let next_day = aegis_model::Timestamp((world.now.utc_day() + 1) * aegis_model::ids::DAY);
        assert_eq!(until, (paused == 1).then_some(next_day));
    }
}

#[test]
fn rule_38_a_pause_of_yesterday_does_not_stand_in_for_that_of_today() {
    let mut world = World::with(Settings { daily_loss: Some(money("4")), ..story_settings() });
    let until = |world: &World| world.state().trading.pauses.get(&PauseRule::DailyLoss).copied();
    for day in 1..=2 {
        world.tick(BTC, "50000");
        world.buy(BTC, "0.002");
        assert!(world.held(BTC).is_positive(), "day {day}");
        world.tick(BTC, "48000");
        let next_day = aegis_model::Timestamp((world.now.utc_day() + 1) * aegis_model::ids::DAY);
        assert_eq!(until(&world), Some(next_day), "day {day}");
        world.now = next_day;
    }
    assert_eq!(world.count(|f| matches!(f, Fact::PauseStarted(_))), 2);
}

#[test]
fn a_process_that_stops_enters_nothing_more_cancels_what_works_and_leaves_stops_and_exits() {
    let mut world = World::new();
    world.tick("ETH_USDT", "3000");
    world.buy("ETH_USDT", "0.1");
    world.tick(BTC, "50000");
    world.exchange.fills = Some(Fills::Nothing);
    world.buy(BTC, "0.002");
    assert_eq!(world.state().orders.len(), 1);
    world.give(Input::Stopping(label("signal")));
    world.pump();
    world.exchange.fills = None;
    assert_eq!((world.state().orders.len(), world.exchange.total("BTC")), (0, quantity("0")), "cancelled");
    let orders = world.exchange.engine_orders();
    world.tick("SOL_USDT", "100");
    world.buy("SOL_USDT", "1");
    assert_eq!(world.exchange.engine_orders(), orders, "nothing new");
    assert_eq!(world.stop("ETH_USDT"), Some(price("2940")));
    world.tick("ETH_USDT", "2900");
    assert_eq!(world.held("ETH_USDT"), quantity("0"), "its stop still fires");
}

#[test]
fn a_position_is_resized_by_what_fills_and_its_stop_only_rises_while_it_does() {
    let mut world = World::new();
    world.exchange.fills = Some(Fills::Part(quantity("0.001")));
    world.tick(BTC, "50000");
    world.buy(BTC, "0.003");
    let cover =
        |world: &World| world.instrument(BTC).protection.as_ref().map(|p| (p.quantity, p.stop, p.mark));
    assert_eq!(cover(&world), Some((quantity("0.001"), price("49000"), price("50000"))));
    let order = world.exchange.orders.len() - 1;
    let client = world.exchange.orders[order].client.expect("ours");
    let fill = |world: &mut World, at: &str| {
        let trade = world.exchange.execute(order, quantity("0.001"), price(at), world.now);
        let what = aegis_model::input::Reported::Filled(trade);
        world.give(Input::Report(aegis_model::Report { client, venue_order: None, what }));
        world.pump();
    };
    fill(&mut world, "49000");
    assert_eq!(
        cover(&world),
        Some((quantity("0.002"), price("49000"), price("50000"))),
        "49500 x 0.98 is below"
    );
    fill(&mut world, "54000");
    assert_eq!(cover(&world), Some((quantity("0.003"), price("49980"), price("51000"))), "51000 x 0.98");
    let moves = world.state().totals.stop_moves;
    world.wait(60);
    assert_eq!(world.state().totals.stop_moves, moves, "nothing changed");
    assert_eq!(world.exchange.sides(Side::Sell).len(), 0);
}

/// Another 0.001 of the first order.
fn fills_on(world: &mut World, at: &str) {
    let trade = world.exchange.execute(0, quantity("0.001"), price(at), world.now);
    let client = world.exchange.orders[0].client.expect("ours");
    let what = aegis_model::input::Reported::Filled(trade);
    world.give(Input::Report(aegis_model::Report { client, venue_order: None, what }));
    world.pump();
}

/// Stop and take-profit.
fn levels(world: &World) -> Option<(aegis_model::Price, Option<aegis_model::Price>)> {
    world.instrument(BTC).protection.as_ref().map(|p| (p.stop, p.take_profit))
}

/// An entry of 0.003 that has bought 0.001 at 50000.
fn filling(settings: Settings) -> World {
    let mut world = World::with(settings);
    world.exchange.fills = Some(Fills::Part(quantity("0.001")));
    world.tick(BTC, "50000");
    world.buy(BTC, "0.003");
    world
}

#[test]
fn rule_20_a_stop_never_rises_to_the_entry_price_itself() {
    let mut settings = story_settings();
    settings.plan.plan.initial = Distance::Relative(rate("0"));
    settings.plan.plan.take_profit = Some(rate("0.1"));
    let mut world = filling(settings);
    assert_eq!(world.stop(BTC), Some(price("50000")));
    fills_on(&mut world, "52000");
    assert_eq!(world.instrument(BTC).entry_price(), Some(price("51000")));
    assert_eq!(
        levels(&world),
        Some((price("50000"), Some(price("56100")))),
        "a stop of 51000 would sell at once"
    );
}

#[test]
fn rule_20_no_stop_moves_for_a_late_fill_once_an_exit_is_on_its_way() {
    let mut world = filling(story_settings());
    world.exchange.fills = Some(Fills::Nothing);
    world.command(Command::Close { instrument: label(BTC) });
    let before = world.instrument(BTC).protection.as_ref().map(|p| (p.stop, p.mark));
    assert_eq!(before, Some((price("49000"), price("50000"))));
    fills_on(&mut world, "52000");
    assert_eq!(world.instrument(BTC).entry_price(), Some(price("51000")));
    assert_eq!(world.instrument(BTC).protection.as_ref().map(|p| (p.stop, p.mark)), before);
}

#[test]
fn rule_28_a_late_fill_that_does_not_raise_the_stop_leaves_the_take_profit_too() {
    let mut settings = story_settings();
    settings.plan.plan.take_profit = Some(rate("0.1"));
    for (distance, late, stop, profit) in [
        ("0.9", "49999.9", "5000", "55000"),
        ("0.9", "49990", "5000", "55000"),
        ("0.9", "50010", "5000.5", "55005.5"),
        ("0", "50010", "50000", "55000"),
    ] {
        settings.plan.plan.initial = Distance::Relative(rate(distance));
        let mut world = filling(settings.clone());
        world.exchange.orders[0].row.status = aegis_model::input::RowStatus::Expired;
        let (client, row) = (world.exchange.orders[0].client.expect("ours"), world.exchange.orders[0].row);
        let what = aegis_model::input::Reported::Row(row);
        world.give(Input::Report(aegis_model::Report { client, venue_order: None, what }));
        world.pump();
        assert_eq!((world.state().orders.len(), world.held(BTC)), (0, quantity("0.001")));
        fills_on(&mut world, late);
        assert_eq!(world.held(BTC), quantity("0.002"));
        assert_eq!(levels(&world), Some((price(stop), Some(price(profit)))), "at {late} after its end");
    }
}

#[test]
fn rule_17_while_no_price_is_known_the_alarm_of_what_is_too_small_stands_and_it_ends_with_the_position() {
    let listed = |world: &mut World, least: &str| {
        let instruments = aegis_tests::world::listed().into_iter();
        let all =
            instruments.map(|i| aegis_model::input::ListedInstrument { minimum_notional: money(least), ..i });
        world.give(Input::Instruments(all.collect()));
        world.pump();
    };
    let mut world = World::new();
    let stands = |world: &World| world.state().alarms.contains_key(&(AlarmKind::Unsellable, Some(id(BTC))));
    world.tick(BTC, "50000");
    world.buy(BTC, "0.0002");
    listed(&mut world, "11");
    assert!(stands(&world), "it is worth 10");
    world.wait(3700);
    assert!(world.instrument(BTC).blind.is_some());
    listed(&mut world, "10.5");
    assert!(stands(&world), "nothing says that it could be sold");
    let now = world.now;
    world.exchange.by_hand(id(BTC), Side::Sell, "0.0002", "50000", now);
    world.give(Input::Compare);
    world.pump();
    assert_eq!(world.held(BTC), quantity("0"));
    assert!(!stands(&world), "nothing is held any more");
}
