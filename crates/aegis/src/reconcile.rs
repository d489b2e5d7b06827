//! `aegis reconcile --dry-run`: what a comparison with the exchange would find, as a table, and nothing else. It reads
//! the journal without a lock, asks the exchange, writes to neither.

use crate::config::Config;
use crate::exit::{Exit, Failure, code_of};
use crate::live::{NAME, translate};
use crate::place;
use crate::wire::{self, Ask, Heard, Wire};
use aegis_engine::Engine;
use aegis_engine::reconcile::{self, BalanceFinding, Finding};
use aegis_model::event::ENGINE_SCHEMA;
use aegis_model::input::{Scope, VenueSnapshot};
use aegis_model::{AssetId, InstrumentId, OrderId};
use aegis_projection::State;
use std::fmt::Write as _;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How long the exchange has to answer everything, at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// News that may wait; sockets talk beside the answer.
const QUEUE: usize = 1024;

/// One line of the table.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) struct Difference {
    /// `fill`, `order`, `balance`, `flow`, `foreign`.
    pub(crate) what: &'static str,
    /// Which order, asset or trade.
    pub(crate) which: String,
    /// What the journal's fold says.
    pub(crate) journal: String,
    /// What the exchange says.
    pub(crate) exchange: String,
    /// What a comparison would do.
    pub(crate) outcome: String,
}

/// Compares and prints.
///
/// # Errors
/// [`Failure`] when the journal or the keys cannot be read. An exchange that does not answer is the exit code 2.
pub(crate) fn dry_run(config: &Config, json: bool) -> Result<Exit, Failure> {
    let path = config.data.join(NAME).join("engine");
    let mut engine = Engine::new(config.live.engine.clone());
    aegis_node::read(&mut engine, ENGINE_SCHEMA, place::reader(&path)?).map_err(|e| {
        let exit = if let aegis_node::ReadError::Open(cause) = &e { code_of(cause) } else { Exit::Corrupt };
        Failure::new(exit, format!("{}: {e}", path.display()))
    })?;
    let state = engine.state();
    let asked = ask(config, state)?;
    let snapshot = match asked {
        Ok(snapshot) => snapshot,
        Err(why) => return not_asked(&[("everything".to_owned(), why)], json),
    };
    let failed = reconcile::failed_queries(&snapshot);
    if !failed.is_empty() {
        let failed: Vec<(String, String)> =
            failed.iter().map(|(name, why)| ((*name).to_owned(), why.to_string())).collect();
        return not_asked(&failed, json);
    }
    let differences = compare(state, &snapshot, &config.live.engine);
    if json {
        for one in &differences {
            crate::print(&serde_json::to_string(one).map_err(Failure::bug)?)?;
        }
        let line = serde_json::json!({
            "in_sync": differences.is_empty(), "differences": differences.len(), "lsn": state.lsn.0,
            "foreign_orders": reconcile::foreign_orders(state, &snapshot)
                .map(reconcile::foreign_words)
                .collect::<Vec<_>>(),
            "compared_at": crate::text::clock(snapshot.requested),
        });
        crate::print(&line.to_string())?;
    } else {
        crate::print(table(state, &snapshot, &differences).trim_end())?;
    }
    Ok(if differences.is_empty() { Exit::Ok } else { Exit::Finding })
}

/// Asks for everything; the words of why not.
fn ask(config: &Config, state: &State) -> Result<Result<VenueSnapshot, String>, Failure> {
    let signer = config.live.keys.signer()?;
    let (sender, queue) = sync_channel::<crate::live::Item>(QUEUE);
    let ours = translate::ours(state);
    let wire = Wire::start(config.live.wire.clone(), signer, &ours, wire::outlet(sender))?;
    let number = state.last_snapshot + 1;
    let trades_from = state.walked;
    if wire.ask(Ask::Snapshot { number, scope: Scope::Full, trades_from, ours }).is_err() {
        return Err(Failure::bug("a fresh connection has no room for a question"));
    }
    let begun = Instant::now();
    let answer = loop {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        match queue.recv_timeout(left) {
            Ok(crate::live::Item::Wire(Heard::Snapshot(listing))) if listing.number == number => {
                break Ok(translate::snapshot(state, *listing));
            }
            Ok(_) => {}
            Err(_) => break Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    };
    drop(wire.shutdown());
    Ok(answer)
}

fn not_asked(failed: &[(String, String)], json: bool) -> Result<Exit, Failure> {
    for (name, why) in failed {
        if json {
            crate::print(&serde_json::json!({ "failed": name, "why": why }).to_string())?;
        } else {
            crate::print(&format!("no answer about {name}: {why}"))?;
        }
    }
    if !json {
        crate::print("nothing was compared: a question that failed is no empty answer")?;
    }
    Ok(Exit::Usage)
}

/// What a comparison would find, in order: executions and orders first, then quantities. Quantities are judged as if
/// what the first step found were booked.
fn compare(state: &State, snapshot: &VenueSnapshot, settings: &aegis_engine::Settings) -> Vec<Difference> {
    let findings = reconcile::executions(state, snapshot);
    let mut differences: Vec<Difference> =
        findings.iter().map(|finding| of_finding(state, finding)).collect();
    differences.extend(state.foreign_waiting().map(|(client, known)| {
        Difference {
            what: "foreign",
            which: known.instrument.map_or(client.to_string(), |id| format!("{} {client}", name(state, id))),
            journal: format!("never intended, seen by record {}", known.seen),
            exchange: known
                .venue_order
                .map_or("an order of this installation".to_owned(), |id| format!("its order {}", id.0)),
            outcome: "refuses entries until `aegis accept-foreign`".to_owned(),
        }
    }));
    // A balance that was only not recorded for a while is no drift.
    let quiet = findings.is_empty();
    for finding in reconcile::balances(state, snapshot, settings) {
        differences.extend(of_balance(state, &finding, quiet));
    }
    differences
}

fn name(state: &State, id: InstrumentId) -> String {
    state.instrument(id).map_or_else(|| format!("instrument {}", id.0), |i| i.spec.name.to_string())
}

fn asset(state: &State, id: AssetId) -> String {
    state.asset(id).map_or_else(|| format!("asset {}", id.0), |a| a.name.to_string())
}

fn order_words(state: &State, order: OrderId) -> String {
    state.any_order(order).map_or_else(
        || "unknown".to_owned(),
        |o| format!("{} of {} filled, {}", o.filled, o.quantity, o.status),
    )
}

fn of_finding(state: &State, finding: &Finding) -> Difference {
    let line = |what, which, journal, exchange, outcome: &str| Difference {
        what,
        which,
        journal,
        exchange,
        outcome: outcome.to_owned(),
    };
    match finding {
        Finding::MissedFill(order, trade) => line(
            "fill",
            format!("{} trade {}", name(state, trade.instrument), trade.trade.0),
            order_words(state, *order),
            format!("{} {} at {}", trade.side, trade.quantity, trade.price),
            "booked to its order",
        ),
        Finding::ExternalFill(trade) => line(
            "foreign",
            format!("{} trade {}", name(state, trade.instrument), trade.trade.0),
            "no order of ours".to_owned(),
            format!("{} {} at {}", trade.side, trade.quantity, trade.price),
            "by policy for holdings; a sell reduces the position",
        ),
        Finding::PerhapsOfStop(order, trade) => line(
            "fill",
            format!("{} trade {}", name(state, trade.instrument), trade.trade.0),
            format!("order {order} rests as a stop"),
            format!("{} {} at {}", trade.side, trade.quantity, trade.price),
            "looks the stop up: it may have fired",
        ),
        Finding::ForeignIntent(client, venue_order, instrument) => line(
            "foreign",
            format!("{} {client}", name(state, *instrument)),
            "never intended".to_owned(),
            venue_order
                .map_or("an order of this installation".to_owned(), |id| format!("its order {}", id.0)),
            "entries halt: a lost tail or a second copy",
        ),
        Finding::Row(order, row) => line(
            "order",
            format!("{} order {order}", name(state, row.instrument)),
            order_words(state, *order),
            format!("{} of {} filled, {:?}", row.cumulative, row.quantity, row.status),
            "follows the exchange",
        ),
        Finding::LookUp(order) => line(
            "order",
            format!("order {order}"),
            order_words(state, *order),
            "not in the listing".to_owned(),
            "looked up by its client order id",
        ),
        Finding::Flow(flow) => line(
            "flow",
            format!("{} {}", flow.asset, flow.id.0),
            "not recorded".to_owned(),
            flow.quantity.to_string(),
            "recorded as a flow, not as profit",
        ),
        Finding::Excess(id, quantity) => line(
            "balance",
            name(state, *id),
            "sold more than was bought".to_owned(),
            quantity.to_string(),
            "the excess becomes an external sell",
        ),
    }
}

fn of_balance(state: &State, finding: &BalanceFinding, quiet: bool) -> Option<Difference> {
    let line = |which: AssetId, journal: String, exchange: String, outcome: &str| Difference {
        what: "balance",
        which: asset(state, which),
        journal,
        exchange,
        outcome: outcome.to_owned(),
    };
    match finding {
        BalanceFinding::Fresh(..) | BalanceFinding::Settled(_) => None,
        // While executions are missing the quantities differ by them and by nothing else that could be told yet.
        BalanceFinding::Drift { .. } if !quiet => None,
        BalanceFinding::Drift { asset, venue, expected, look } => Some(line(
            *asset,
            expected.to_string(),
            venue.to_string(),
            if *look > 1 { "confirmed: corrected" } else { "looked at once more, then corrected" },
        )),
        BalanceFinding::Missing { instrument, quantity, .. } => {
            let base = state.instrument(*instrument).map_or(AssetId(0), |i| i.spec.base);
            let held = state.instrument(*instrument).map_or_else(String::new, |i| i.held().to_string());
            Some(line(
                base,
                held,
                format!("{quantity} less"),
                "the position falls, entries there are blocked",
            ))
        }
        BalanceFinding::Quarantine { asset: id, quantity, .. } => {
            Some(line(*id, "unexplained".to_owned(), quantity.to_string(), "quarantined"))
        }
        BalanceFinding::Accepted { asset: id, difference } => {
            Some(line(*id, "unexplained".to_owned(), difference.to_string(), "taken as it is, noted"))
        }
    }
}

fn table(state: &State, snapshot: &VenueSnapshot, differences: &[Difference]) -> String {
    let mut out = String::new();
    let at = crate::text::clock(snapshot.requested);
    let _ = writeln!(out, "journal at record {}, exchange at {at}", state.lsn);
    for (position, instrument) in state.instruments.iter().enumerate().filter(|(_, i)| i.is_open()) {
        let stop = instrument.protection.as_ref().map_or("none".to_owned(), |p| p.stop.to_string());
        let id = InstrumentId(u32::try_from(position).unwrap_or(u32::MAX));
        let _ = writeln!(out, "  {} holds {}, stop {stop}", name(state, id), instrument.held());
    }
    for row in reconcile::foreign_orders(state, snapshot) {
        let _ = writeln!(
            out,
            "  {} {}; it is left alone",
            name(state, row.instrument),
            reconcile::foreign_words(row)
        );
    }
    // Only while a listing goes back to lots that the journal does not know is this a figure.
    if let Some((known, all)) = reconcile::lots_known(state, snapshot).filter(|(known, all)| known < all) {
        let percent = (all - known) * 100 / all;
        let _ = writeln!(out, "  {known} of {all} lots are known, a divergence of {percent} %");
    }
    if differences.is_empty() {
        let _ = writeln!(out, "in sync: nothing differs");
        return out;
    }
    let head = ["what", "which", "journal", "exchange", "a comparison would"];
    let cells = |d: &Difference| {
        [d.what.to_owned(), d.which.clone(), d.journal.clone(), d.exchange.clone(), d.outcome.clone()]
    };
    let rows: Vec<[String; 5]> = differences.iter().map(cells).collect();
    let wide = |at: usize| rows.iter().map(|r| r[at].len()).chain([head[at].len()]).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(wide);
    let mut put = |row: &[String; 5]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(text, width)| format!("{text:width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    };
    put(&head.map(str::to_owned));
    rows.iter().for_each(put);
    let _ = writeln!(out, "{} difference(s); nothing was changed", differences.len());
    out
}
