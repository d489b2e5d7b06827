//! Orders that follow what is told of them: the market does not reach them, and the account pays for them as for any.

use crate::rig::{PAIR, Rig};
use aegis_model::order::RejectClass;
use aegis_model::{Label, OrderKind, Price, Quantity, Rate, Side, Text};
use aegis_paper::{Became, Followed, Said, VenueEffect, VenueInput};

const A: Label = Label::literal("a");

fn rig() -> Rig {
    let mut rig = Rig::new(aegis_paper::Settings::default());
    let fund = |id, asset, quantity| VenueInput::Fund {
        id: Label::literal(id),
        asset: Label::literal(asset),
        quantity,
    };
    rig.give(&fund("f1", "USDT", Quantity::new(1_000, 0)));
    rig.give(&fund("f2", "BTC", Quantity::new(2, 0)));
    shown(&mut rig, "100", "101");
    rig
}

fn shown(rig: &mut Rig, bid: &str, ask: &str) -> Vec<VenueEffect> {
    let tick = rig.tick(Some(bid), Some(ask), None);
    rig.give(&VenueInput::Tick { name: PAIR, tick }).effects
}

fn follow(rig: &mut Rig, client: Label, side: Side, kind: OrderKind, hold: i64) -> Vec<VenueEffect> {
    let quantity = Quantity::new(2, 0);
    let hold = Price::new(hold, 0);
    rig.give(&VenueInput::Follow(Followed { client, instrument: PAIR, side, kind, quantity, hold })).effects
}

fn became(rig: &mut Rig, client: Label, what: Became) -> Vec<VenueEffect> {
    let effects = rig.give(&VenueInput::Became { client, what }).effects;
    rig.venue.state().audit().expect("the laws hold");
    effects
}

fn traded(price: i64, tenths: i64, fee: Option<(Label, Quantity)>) -> Became {
    Became::Traded { price: Price::new(price, 0), quantity: Quantity::new(tenths, 1), fee }
}

/// Balances as `total/reserved` of BTC and USDT.
fn balances(rig: &Rig) -> [String; 2] {
    ["BTC", "USDT"].map(|name| {
        let all = rig.venue.balances();
        let one = all.iter().find(|b| b.asset.as_str() == name).expect("it was named");
        format!("{}/{}", one.total, one.reserved)
    })
}

#[test]
fn an_order_follows_what_is_told_and_not_the_market() {
    let mut rig = rig();
    let market = OrderKind::Market;
    assert_eq!(follow(&mut rig, A, Side::Buy, market, 110).len(), 2, "accepted, and its row");
    assert_eq!(balances(&rig), ["2/0", "1000/220"]);
    assert!(shown(&mut rig, "90", "91").is_empty());
    let fee = Some((Label::literal("USDT"), Quantity::new(7, 1)));
    let said = became(&mut rig, A, traded(105, 5, fee));
    assert!(
        matches!(&said[0], VenueEffect::Order(o) if matches!(&o.what, Said::Traded(t)
            if t.price == Price::new(105, 0) && t.fee == Quantity::new(7, 1) && t.fee_asset.as_str() == "USDT")),
        "{said:?}"
    );
    // 0.5 * 105 and 0.7 are paid; 1.5 are held at 110.
    assert_eq!(balances(&rig), ["2.5/0", "946.8/165"]);
    became(&mut rig, A, Became::Expired);
    assert_eq!(balances(&rig), ["2.5/0", "946.8/0"]);
    assert!(became(&mut rig, A, traded(105, 5, None)).is_empty(), "it has ended");
    // Live equals replay, which it asserts.
    rig.restart();
}

#[test]
fn nothing_is_executed_that_the_account_cannot_pay() {
    let mut rig = rig();
    let refused = follow(&mut rig, A, Side::Buy, OrderKind::Market, 501);
    assert!(
        matches!(&refused[..], [VenueEffect::Order(o)] if matches!(&o.what, Said::Rejected { class, .. }
            if *class == RejectClass::InsufficientBalance)),
        "{refused:?}"
    );
    follow(&mut rig, A, Side::Buy, OrderKind::Market, 400);
    for too_much in [traded(600, 20, None), traded(1, 21, None), traded(0, 1, None), traded(1, -1, None)] {
        assert!(became(&mut rig, A, too_much).is_empty(), "{too_much:?}");
    }
    let fee = Some((Label::literal("CRO"), Quantity::new(1, 0)));
    assert!(became(&mut rig, A, traded(100, 10, fee)).is_empty(), "there is no CRO");
    assert_eq!(balances(&rig), ["2/0", "1000/800"]);
    let (id, asset) = (Label::literal("f3"), Label::literal("CRO"));
    rig.give(&VenueInput::Fund { id, asset, quantity: Quantity::new(1, 0) });
    assert_eq!(became(&mut rig, A, traded(100, 10, fee)).len(), 2, "traded, and its row");
    assert_eq!(balances(&rig), ["3/0", "900/400"]);
}

#[test]
fn a_stop_that_is_let_go_is_reached_by_the_market() {
    let mut rig = rig();
    let stop = OrderKind::StopLoss { trigger: Price::new(95, 0) };
    follow(&mut rig, A, Side::Sell, stop, 95);
    assert!(shown(&mut rig, "94", "95").is_empty());
    // A restart forgets that it follows, until it is told again.
    rig.restart();
    became(&mut rig, A, Became::Kept);
    assert!(shown(&mut rig, "93", "94").is_empty());
    became(&mut rig, A, Became::LetGo);
    let name = PAIR;
    rig.give(&VenueInput::Charge { name, rate: Some(Rate::new(1, 2)) });
    assert_eq!(shown(&mut rig, "92", "93").len(), 2, "sold, and its row");
    // 2 * 92, less the one percent that is charged.
    assert_eq!(balances(&rig), ["0/0", "1182.16/0"]);
}

#[test]
fn a_request_is_refused_in_the_words_that_are_told() {
    let mut rig = rig();
    let text = Text::new("too many requests");
    let (class, code) = (RejectClass::Later, 42_901);
    let refuse = VenueInput::Refuse { client: A, instrument: PAIR, class, code, text: text.clone() };
    let said = rig.give(&refuse).effects;
    let rejected = Said::Rejected { class, code, text };
    assert!(matches!(&said[..], [VenueEffect::Order(o)] if o.what == rejected && o.venue_order.is_none()));
    assert_eq!(follow(&mut rig, A, Side::Buy, OrderKind::Market, 100).len(), 2, "its id was not used up");
}
