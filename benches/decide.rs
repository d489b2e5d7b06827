//! Deciding: price ticks with four open positions and with ten thousand, and listing twenty thousand of them.
//!
//! A tick touches its own instrument only, so its cost may not depend on how many others are held.

use aegis_benches::held::{Held, LONG, SHORT, engine};
use aegis_benches::report::{Latencies, Report, Unit, interleaved, repetitions};
use aegis_benches::{clock, size, timed};
use aegis_engine::Engine;

/// What a person's list of open positions shows, for each: name, quantity, entry price, cost and stop.
fn list(engine: &Engine) -> usize {
    let open = engine.state().instruments.iter().filter(|i| i.is_open());
    open.map(|i| {
        let stop = i.protection.as_ref().map(|p| p.stop);
        std::hint::black_box((&i.spec.name, i.held(), i.entry_price(), i.book.now.cost, stop));
    })
    .count()
}

/// Ticks with few positions and with many, in turn.
fn beside(
    report: &Report,
    what: &str,
    many: &str,
    ticks: fn(&mut Held, u64) -> Latencies,
    n: u64,
    mut few: Held,
    mut lots: Held,
) {
    let (mut ours, mut limit) = interleaved(repetitions(), || ticks(&mut lots, n), || ticks(&mut few, n));
    report.percentiles(&format!("4 positions, tick that {what}"), Unit::Ns, &mut limit, &mut []);
    report.percentiles(&format!("{many} positions, tick that {what}"), Unit::Ns, &mut ours, &mut limit);
}

fn main() {
    let report = Report::new(
        "decide",
        "one price tick to its decision (goals: p50 below 500 ns; with 10,000 positions within 1.2 of 4 positions, \
         which is the limit here; 20,000 positions listed below 1 ms)",
    );
    let many = size(10_000, 500) as u32;
    let quiet = size(400_000, 2_000);
    let raising = size(100_000, 500);
    let few = || Held::new(4, SHORT, 4);
    beside(
        &report,
        "changes nothing",
        &many.to_string(),
        Held::quiet,
        quiet,
        few(),
        Held::new(many, LONG, 4),
    );
    beside(
        &report,
        "raises a stop",
        &many.to_string(),
        Held::raising,
        raising,
        few(),
        Held::new(many, LONG, 4),
    );
    // Each tick meets an instrument that has left the nearest caches since its last: what that costs, and the looks
    // at freshness, are the rest.
    let all = format!("{many} in turn");
    beside(&report, "changes nothing", &all, Held::quiet, quiet, few(), Held::new(many, SHORT, many));
    beside(&report, "raises a stop", &all, Held::raising, raising, few(), Held::new(many, SHORT, many));
    report.row("  of each: the clock", 1001, Unit::Ns, &[clock::cost()]);

    let listed = size(20_000, 500) as u32;
    let engine = engine(listed, SHORT);
    let took: Vec<f64> = (0..repetitions())
        .map(|_| {
            let (took, count) = timed(|| list(&engine));
            assert_eq!(count, listed as usize);
            took.as_nanos() as f64 / 1e3
        })
        .collect();
    report.row(&format!("{listed} open positions listed"), u64::from(listed), Unit::Us, &took);
}
