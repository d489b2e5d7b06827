//! A lawful journal has no finding; each law that is broken has one, at its record.

use super::*;
use crate::testing::Written;
use aegis_model::event::*;
use aegis_model::market::Instrument;
use aegis_model::{
    AssetId, FeedId, Label, Mode, Money, OrderId, Price, Quantity, Side, Timestamp, TradeId, VenueOrderId,
};
use aegis_projection::testing::{BEGIN, event};

fn begin() -> Vec<Event> {
    let label = Label::literal;
    let spec = Instrument {
        name: label("BTC_USD"),
        base: AssetId(1),
        quote: AssetId(0),
        price_tick: Price::new(1, 2),
        quantity_tick: Quantity::new(1, 4),
        minimum_notional: Money::new(1, 0),
        tradable: true,
    };
    vec![
        event(BEGIN, JournalCreated { mode: Mode::Paper, installation: 1, quote: label("USD") }),
        event(BEGIN, Started { run: 7, version: label("0"), config_digest: [0; 32], seed: None }),
        event(BEGIN, AssetNamed { asset: AssetId(0), name: label("USD") }),
        event(BEGIN, AssetNamed { asset: AssetId(1), name: label("BTC") }),
        event(BEGIN, InstrumentListed { instrument: InstrumentId(0), spec }),
    ]
}

fn tick(at: Timestamp, cursor: u64) -> Event {
    let tick = TickSeen {
        feed: FeedId(1),
        cursor,
        instrument: InstrumentId(0),
        time: at,
        bid: None,
        ask: None,
        last: Some(Price::new(50_000, 0)),
        bid_quantity: None,
        ask_quantity: None,
        path: aegis_model::market::PricePath::Jump,
    };
    event(at, tick)
}

fn fill(order: u64) -> Event {
    let fill = FillBooked {
        instrument: InstrumentId(0),
        trade: TradeId(Label::literal("t1")),
        order: OrderId(order),
        venue_order: None,
        side: Side::Buy,
        price: Price::new(50_000, 0),
        quantity: Quantity::new(1, 4),
        fee: None,
        executed: BEGIN.after(20),
        source: FillSource::External,
    };
    event(BEGIN.after(20), fill)
}

fn told(written: &Written) -> DeepReport {
    deep(|| Ok(written.read()), &mut |_| ()).expect("a journal")
}

#[test]
fn a_lawful_journal_and_its_checkpoints_have_no_finding() {
    let mut written = Written::of(&[begin()]);
    written.checkpoint();
    written.batch(&[tick(BEGIN.after(1), 1), tick(BEGIN.after(2), 2)]);
    written.checkpoint();
    written.batch(&[tick(BEGIN.after(3), 3)]);
    let report = told(&written);
    assert_eq!(report.findings, Vec::new());
    assert_eq!((report.records, report.batches), (8, 3));
    assert_eq!(report.checkpoints_equal, vec![5, 7]);
    assert_eq!(report.digest, hex(&written.state.digest()));
}

#[test]
fn each_broken_law_is_told_at_its_record() {
    let acknowledged =
        OrderAcknowledged { order: OrderId(9), venue_order: VenueOrderId(Label::literal("1")) };
    for (batch, rule) in [
        (vec![tick(BEGIN.after(-5), 1)], "time"),
        (vec![event(BEGIN.after(5), acknowledged)], "intent"),
        (vec![fill(0)], "protection"),
        (vec![event(BEGIN.after(5), AssetNamed { asset: AssetId(7), name: Label::literal("X") })], "fold"),
    ] {
        let report = told(&Written::of(&[begin(), batch]));
        let rules: Vec<_> = report.findings.iter().map(|f| (f.lsn, f.rule)).collect();
        assert!(rules.contains(&(6, rule)), "{rule}: {:?}", report.findings);
    }
}

#[test]
fn a_checkpoint_of_another_state_is_found_although_it_is_whole() {
    let mut written = Written::of(&[begin()]);
    let honest = written.state.clone();
    written.state.totals.fills += 1;
    written.checkpoint();
    written.state = honest;
    let report = told(&written);
    let [finding] = &report.findings[..] else { panic!("{:?}", report.findings) };
    assert_eq!((finding.lsn, finding.rule), (5, "checkpoint"));
    assert!(finding.what.contains("total fills: 0 | 1"), "{}", finding.what);
}
