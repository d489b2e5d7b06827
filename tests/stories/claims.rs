//! D and J: what the old bot's files claim, recorded and compared with the exchange (S16, S50, S55).

use super::support::*;
use aegis_engine::reconcile::lots_known;
use aegis_engine::settings::HoldingPolicy;
use aegis_legacy::judge::{Read, judge};
use aegis_legacy::limits::Answers;
use aegis_legacy::venue::Venue;
use aegis_legacy::{Zone, read};
use aegis_model::claim::{ClaimFile, ClaimVerdict};
use aegis_model::event::CorrectionKind;
use aegis_model::ids::SECOND;
use aegis_model::input::{Report, Reported, RowStatus};
use aegis_model::{Actor, Fact, Input, Timestamp, VenueSnapshot};
use aegis_tests::exchange::Fills;
use aegis_tests::world::{id, story_settings};
use aegis_tests::{World, price, quantity};

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../../fixtures/legacy/", $name)).as_slice()
    };
}

/// A minute before the first trade of the exchange's listing.
const BEFORE: Timestamp = Timestamp(1_760_956_169_000_000_000);

fn utc() -> Zone {
    "UTC".parse().expect("a zone")
}

fn file_of(name: &str, bytes: &[u8], answers: &[&str]) -> ClaimFile {
    let mut given = Answers::default();
    answers.iter().for_each(|answer| given.take(answer).expect("an answer"));
    let read = Read { name: name.to_owned(), bytes: bytes.len() as u64, outcome: read(bytes, &utc()) };
    judge(vec![read], &utc(), &given, None).files.remove(0)
}

fn import(world: &mut World, name: &str, bytes: &[u8]) {
    world.give(Input::Import(Box::new(file_of(name, bytes, &[]))));
    world.pump();
}

fn gap() -> Venue {
    let mut venue = Venue::default();
    for bytes in [
        sample!("exchange/gap_user_balance.json"),
        sample!("exchange/gap_get_trades.json"),
        sample!("exchange/gap_get_open_orders.json"),
    ] {
        venue.add(bytes).expect("an answer");
    }
    venue
}

fn listing(world: &World) -> VenueSnapshot {
    let state = world.state();
    gap().snapshot(99, world.now, |name| state.find_instrument(name), |name| state.find_asset(name))
}

/// The journal of S16 knows BTC 0.0001 at 50000 and ETH 0.01 at 3000, as trades 1 and 2 of the exchange's listing; the
/// exchange then shows what is in the files.
fn two_of_four(policy: HoldingPolicy) -> World {
    let mut settings = story_settings();
    settings.holdings = policy;
    // As at the real exchange: soon after an execution a balance that differs says nothing.
    settings.balance_lag_ns = 30 * SECOND;
    let mut world = World::with_exchange(settings, |exchange| exchange.set_total("USDT", "93"));
    world.now = BEFORE;
    let trades = listing(&world).trades.complete().expect("trades").clone();
    let bought = [("BTC_USDT", "0.0001", "50000", "88"), ("ETH_USDT", "0.01", "3000", "58")];
    for (at, (name, amount, at_price, left)) in bought.into_iter().enumerate() {
        world.exchange.fills = Some(Fills::Nothing);
        world.tick(name, at_price);
        world.buy(name, amount);
        let order = &mut world.exchange.orders[at];
        (order.row.status, order.row.cumulative) = (RowStatus::Filled, quantity(amount));
        order.row.value =
            price(at_price).times(quantity(amount), aegis_model::Rounding::HalfEven).expect("fits");
        let (client, venue_order) = (order.client.expect("ours"), order.row.venue_order);
        let trade = aegis_model::input::Trade { client: Some(client), ..trades[at] };
        assert_eq!(trade.instrument, id(name));
        world.exchange.trades.push(trade);
        world.exchange.set_total("USDT", left);
        world.exchange.set_total(name.trim_end_matches("_USDT"), amount);
        let what = Reported::Filled(trade);
        world.now = trade.executed.after(SECOND / 10);
        world.give(Input::Report(Report { client, venue_order: Some(venue_order), what }));
        world.pump();
        assert_eq!(world.held(name), quantity(amount));
    }
    world.exchange.fills = None;
    world.exchange.trades.extend_from_slice(&trades[2..]);
    world.now = trades[3].executed.after(60 * SECOND);
    for (asset, balance) in gap().balances.expect("balances") {
        world.exchange.balances.insert(asset, balance.0);
    }
    world
}

fn external(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::FillBooked(fill) if fill.order.0 == 0))
}

fn booked(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::CorrectionBooked(_)))
}

fn checked(world: &World) -> Vec<(ClaimVerdict, String, Option<String>)> {
    let events = world.events();
    let of = events.iter().filter_map(|event| match &event.fact {
        Fact::ClaimChecked(f) => {
            Some((f.verdict, f.adopted.to_string(), f.stop.map(|stop| stop.to_string())))
        }
        _ => None,
    });
    of.collect()
}

fn covers(world: &World) -> [Option<(String, String)>; 3] {
    ["BTC_USDT", "ETH_USDT", "SOL_USDT"].map(|name| {
        let protection = world.instrument(name).protection.as_ref();
        protection.map(|p| (p.stop.to_string(), p.quantity.to_string()))
    })
}

fn cover(stop: &str, amount: &str) -> Option<(String, String)> {
    Some((stop.to_owned(), amount.to_owned()))
}

#[test]
fn s16_the_gap_is_closed_by_two_corrections() {
    let mut world = two_of_four(HoldingPolicy::Adopt);
    assert_eq!(lots_known(world.state(), &listing(&world)), Some((2, 4)), "divergence 50 %");
    let before = world.log.len();
    import(&mut world, "positions.json", sample!("json/positions.json"));
    let kinds = world.log[before].iter().map(|(head, _)| head.kind);
    assert_eq!(kinds.collect::<Vec<_>>(), [130, 131, 131, 131, 132, 132, 132], "one file is one batch");
    assert_eq!(world.exchange.orders.len(), 2, "nothing is traded because of a claim");
    world.restart();
    assert_eq!((external(&world), booked(&world)), (2, 0), "two corrections, by real trades");
    let held = ["BTC_USDT", "ETH_USDT", "SOL_USDT"].map(|name| world.held(name));
    assert_eq!(held, [quantity("0.0002"), quantity("0.01"), quantity("0.5")]);
    let lots = |name: &str| world.instrument(name).book.lots().expect("lots").len();
    assert_eq!((lots("BTC_USDT"), lots("ETH_USDT"), lots("SOL_USDT")), (2, 1, 1));
    assert_eq!(covers(&world), [cover("49000", "0.0002"), cover("2940", "0.01"), cover("98", "0.5")]);
    assert_eq!(lots_known(world.state(), &listing(&world)), Some((4, 4)), "divergence 0 %");
    let verdict = |stop: &str| (ClaimVerdict::Confirmed, "0".to_owned(), Some(stop.to_owned()));
    assert_eq!(checked(&world), [verdict("49000"), verdict("2940"), verdict("98")]);
    assert!(world.state().claims.open.is_empty());
    // A second comparison appends nothing, nor does a second import.
    let before = world.log.len();
    world.give(Input::Compare);
    world.pump();
    import(&mut world, "positions.json", sample!("json/positions.json"));
    assert_eq!(world.log.len(), before);
    assert_replays(&world);
}

#[test]
fn s16_a_claimed_stop_above_ours_is_taken_and_never_lowered() {
    let mut world = two_of_four(HoldingPolicy::Adopt);
    import(&mut world, "trailing_stops.json", sample!("json/trailing_stops.json"));
    world.restart();
    assert_eq!(covers(&world)[2], cover("100.47", "0.5"), "the old bot had trailed it there");
    let mark = |world: &World| world.instrument("SOL_USDT").protection.as_ref().map(|p| p.mark);
    assert_eq!(mark(&world), Some(price("102")));
    // The other dialect claims 98 for the same lot: it changes nothing.
    import(&mut world, "positions.json", sample!("json/positions.json"));
    world.give(Input::Compare);
    world.pump();
    assert_eq!((covers(&world)[2].clone(), mark(&world)), (cover("100.47", "0.5"), Some(price("102"))));
    world.tick("SOL_USDT", "104");
    assert_eq!(world.stop("SOL_USDT"), Some(price("102.44")), "and it trails on from there");
    assert_replays(&world);
}

#[test]
fn s16_by_default_a_claim_takes_its_lot_out_of_the_quarantine() {
    let mut world = two_of_four(HoldingPolicy::Quarantine);
    import(&mut world, "positions.json", sample!("json/positions.json"));
    world.restart();
    assert_eq!(external(&world), 0);
    let adopted = world.events().into_iter().filter_map(|event| match event.fact {
        Fact::CorrectionBooked(f) if f.kind == CorrectionKind::Adopted => Some((f.quantity, f.average)),
        _ => None,
    });
    let adopted: Vec<_> = adopted.collect();
    assert_eq!(adopted, [(quantity("0.5"), Some(price("100")))], "at the claimed entry price");
    assert_eq!(covers(&world), [cover("49000", "0.0001"), cover("2940", "0.01"), cover("98", "0.5")]);
    let quarantined = |asset: &str| {
        let all = world.state().assets.iter();
        all.filter(|a| a.name.as_str() == asset).map(|a| a.quarantined).next()
    };
    assert_eq!(quarantined("SOL"), Some(quantity("0")));
    assert_eq!(quarantined("BTC"), Some(quantity("0.0001")), "the lot that nobody claims stays there");
    assert_replays(&world);
}

#[test]
fn s16_crashed_anywhere_it_ends_the_same() {
    let finished = {
        let mut world = two_of_four(HoldingPolicy::Adopt);
        import(&mut world, "positions.json", sample!("json/positions.json"));
        world.restart();
        world
    };
    let first = two_of_four(HoldingPolicy::Adopt).log.len();
    for cut in first..=finished.log.len() {
        let mut world = two_of_four(HoldingPolicy::Adopt);
        import(&mut world, "positions.json", sample!("json/positions.json"));
        world.restart();
        world.log.truncate(cut);
        world.restart();
        import(&mut world, "positions.json", sample!("json/positions.json"));
        world.give(Input::Compare);
        world.pump();
        assert_eq!(external(&world), 2, "cut at batch {cut}");
        assert_eq!(covers(&world), covers(&finished), "cut at batch {cut}");
        assert_eq!(checked(&world).len(), 3, "cut at batch {cut}");
    }
}

#[test]
fn a_claim_that_the_exchange_does_not_confirm_changes_nothing_and_is_told() {
    let mut world = two_of_four(HoldingPolicy::Adopt);
    world.exchange.trades.truncate(2);
    for (asset, total) in [("SOL", "0"), ("BTC", "0.0001"), ("USDT", "58")] {
        world.exchange.set_total(asset, total);
    }
    import(
        &mut world,
        "trailing_stops.same_symbol_twice.json",
        sample!("json/trailing_stops.same_symbol_twice.json"),
    );
    world.restart();
    let nothing = "0".to_owned();
    let expected = [
        (ClaimVerdict::Partly, nothing.clone(), Some("49000".to_owned())),
        (ClaimVerdict::Confirmed, nothing.clone(), Some("2940".to_owned())),
        (ClaimVerdict::Contradicted, nothing, None),
    ];
    assert_eq!(checked(&world), expected);
    assert_eq!((world.held("BTC_USDT"), world.held("SOL_USDT")), (quantity("0.0001"), quantity("0")));
    assert_eq!((external(&world), booked(&world)), (0, 0));
    let told = world
        .exchange
        .messages
        .iter()
        .any(|(_, text)| text.contains("SOL_USDT 0.5") && text.contains("contradicted"));
    assert!(told, "{:?}", world.exchange.messages);
}

#[test]
fn a_claimed_stop_of_another_holding_is_not_put_on_this_one() {
    let mut world = two_of_four(HoldingPolicy::Adopt);
    let other = std::str::from_utf8(sample!("json/positions.json")).expect("text");
    let other = other.replace("50000.0", "60000.0").replace("49000.0", "58800.0");
    import(&mut world, "positions.json", other.as_bytes());
    world.restart();
    assert_eq!(covers(&world)[0], cover("49000", "0.0002"));
    assert_eq!(checked(&world)[0], (ClaimVerdict::Confirmed, "0".to_owned(), None));
    assert_eq!(world.exchange.orders.len(), 2, "nothing is sold because of it");
}

#[test]
fn a_proposed_stop_is_taken_only_when_a_person_says_so() {
    let text = std::str::from_utf8(sample!("json/trailing_stops.json")).expect("text");
    let text = text.replacen("\"highest_price\": 50000.0", "\"highest_price\": 51000", 1);
    for (answers, stop) in [(&[][..], "49000"), (&["stops=proposed"][..], "50235")] {
        let mut world = two_of_four(HoldingPolicy::Adopt);
        let file = file_of("trailing_stops.json", text.as_bytes(), answers);
        world.give(Input::Import(Box::new(file)));
        world.pump();
        world.restart();
        assert_eq!(world.stop("BTC_USDT"), Some(price(stop)), "S50");
    }
}

#[test]
fn the_old_bots_switch_halts_until_a_person_resumes() {
    let mut world = World::new();
    let status = sample!("json/bot_status.json");
    import(&mut world, "bot_status.json", status);
    let halt = world.state().trading.halted.clone().expect("halted");
    assert_eq!(
        (halt.by, halt.reason.as_str()),
        (l("import"), "bot_status.json says that the old bot was told not to trade")
    );
    assert!(
        world.events().iter().filter(|e| e.fact.name() == "TradingHalted").all(|e| e.actor == Actor::Import)
    );
    world.restart();
    assert!(world.state().trading.halted.is_some(), "across restarts");
    world.command(aegis_model::Command::Enable);
    import(&mut world, "bot_status.json", status);
    assert!(world.state().trading.halted.is_none(), "what was recorded is not recorded again");
}

#[test]
fn a_limit_that_waits_for_an_answer_is_imported_once_it_is_given() {
    let mut world = World::new();
    let (name, bytes) = ("trading.json", sample!("config/trading.json"));
    import(&mut world, name, bytes);
    let claimed = |world: &World| {
        world.count(|fact| {
            matches!(fact, Fact::ClaimImported(f) if matches!(f.claim, aegis_model::Claim::Limit { .. }))
        })
    };
    assert_eq!(claimed(&world), 0);
    for (answers, expected) in [(&["stop_loss=2%"][..], 1), (&["stop_loss=2%", "take_profit=4%"][..], 2)] {
        for _ in 0..2 {
            world.give(Input::Import(Box::new(file_of(name, bytes, answers))));
            world.pump();
            assert_eq!(claimed(&world), expected);
        }
    }
    assert_eq!(world.count(|fact| matches!(fact, Fact::FileImported(_))), 1);
    assert_replays(&world);
}
