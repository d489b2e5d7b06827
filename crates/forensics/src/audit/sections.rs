//! The report laid out once: titles, sentences and tables, for Markdown and HTML to spell.

use super::{Audit, Count, Listed, Moment, Position, Share, Told};
use crate::words::percent;
use aegis_model::ids::{DAY, SECOND};
use aegis_model::{Money, Quantity, Rounding};
use std::fmt::Display;

/// Positions shown in a table; JSON has all that are kept.
const POSITIONS_SHOWN: usize = 500;
const MILLISECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// A part of the report.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Sentences above the table.
    pub(super) text: Vec<String>,
    pub(super) table: Option<Table>,
}

/// Rows under a head.
pub(super) struct Table {
    /// Names of the columns, and whether they hold numbers.
    pub(super) head: Vec<(&'static str, bool)>,
    pub(super) rows: Vec<Vec<String>>,
}

/// How long, in words; exact to the millisecond below two minutes, to the second above.
pub(super) fn lasted(ns: i64) -> String {
    const HOUR: i64 = 60 * MINUTE;
    let ns = ns.max(0);
    if ns < SECOND {
        format!("{} ms", ns / MILLISECOND)
    } else if ns < 2 * MINUTE {
        let ms = ns % SECOND / MILLISECOND;
        if ms == 0 { format!("{} s", ns / SECOND) } else { format!("{}.{ms:03} s", ns / SECOND) }
    } else if ns < HOUR {
        format!("{} min {} s", ns / MINUTE, ns % MINUTE / SECOND)
    } else if ns < DAY {
        format!("{} h {} min {} s", ns / HOUR, ns % HOUR / MINUTE, ns % MINUTE / SECOND)
    } else {
        format!("{} d {} h {} min", ns / DAY, ns % DAY / HOUR, ns % HOUR / MINUTE)
    }
}

fn time_or_dash(ns: i64) -> String {
    if ns == 0 { "-".to_owned() } else { lasted(ns) }
}

/// A time as it is shown in a table: to the second.
pub(super) fn short(at: Moment) -> String {
    let second = at.0.0.saturating_sub(at.0.0.rem_euclid(SECOND));
    Moment(aegis_model::Timestamp(second)).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

fn list<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn more(count: u64, what: &str) -> Option<String> {
    (count > 0).then(|| format!("Counted and not listed: {count} {what}."))
}

/// Title and head of the report.
pub(super) fn head(audit: &Audit) -> (String, Vec<String>) {
    let mode = audit.mode.map_or_else(String::new, |mode| format!(", {mode}"));
    let title = format!("Audit of records {} to {}", audit.first, audit.last);
    let from = audit.from.map_or_else(|| "no record lies in the window".to_owned(), |at| at.to_string());
    let mut text = vec![
        format!("From {from} to {}{mode}; money is in {}; times are UTC.", audit.until, audit.quote),
        format!("State at record {}: digest {}.", audit.last, audit.digest),
        "A record's number leads on: aegis explain record N.".to_owned(),
    ];
    if let Some(hole) = &audit.hole {
        text.push(format!(
            "Copied while live or damaged: read up to the last whole batch before {hole}; {} intact records lie behind it \
             and are not in this report.",
            audit.behind_gap
        ));
    } else if audit.behind_gap > 0 {
        text.push(format!(
            "A gap was declared: {} intact records lie behind it and are not in this report.",
            audit.behind_gap
        ));
    }
    (title, text)
}

/// All parts in their order.
pub(super) fn sections(audit: &Audit) -> Vec<Section> {
    vec![
        summary(audit),
        equity(audit),
        positions(audit),
        shares("by-instrument", "Profit by instrument", &audit.by_instrument),
        shares("by-reason", "Profit by reason of the exit", &audit.by_reason),
        shares("by-source", "Profit by source", &audit.by_source),
        fees(audit),
        protection(audit),
        unknown(audit),
        corrections(audit),
        commanders(audit),
        told("commands", "Commands", Vec::new(), &audit.commands, "commands"),
        refusals(audit),
        gaps(audit),
        counted("anomalies", "Anomalies", "No fact contradicted another.", &audit.anomalies),
        told("noted", "Anomalies that were noted", Vec::new(), &audit.noted, "anomalies"),
        told("alarms", "Alarms", Vec::new(), &audit.alarms, "alarms"),
    ]
}

fn summary(audit: &Audit) -> Section {
    let s = &audit.sums;
    let row = |name: &str, value: &dyn Display| vec![name.to_owned(), value.to_string()];
    let fall = audit.equity.drawdown.as_ref().map_or_else(|| "none".to_owned(), |d| d.amount.to_string());
    let open = audit.positions.iter().filter(|p| p.closed.is_none()).count();
    let rows = vec![
        row("profit realised, after fees in quote", &s.realised),
        row("open positions at the last price seen, less their cost", &s.open),
        row("deepest fall of the result", &fall),
        row("fees in quote", &s.quote_fees),
        row("corrections (value without quote)", &s.corrections),
        row("quote paid, fees included", &s.quote_paid),
        row("quote received", &s.quote_received),
        row("executions", &s.fills),
        row("positions closed", &s.closed),
        row("of them with a profit", &s.won),
        row("positions open at the end", &open),
        row("outcomes that were unknown", &audit.unknown.total()),
        row("corrections", &audit.corrections.total()),
        row("commands", &audit.commanders.iter().map(|c| c.commands).sum::<u64>()),
        row("entries refused", &audit.refusals.iter().map(|r| r.count).sum::<u64>()),
        row("anomalies", &audit.anomalies.iter().map(|a| a.count).sum::<u64>()),
    ];
    Section {
        id: "summary",
        title: "Summary",
        text: Vec::new(),
        table: Some(Table { head: vec![("figure", false), ("value", true)], rows }),
    }
}

fn equity(audit: &Audit) -> Section {
    let e = &audit.equity;
    let mut text = vec![match e.base {
        Some(base) => format!(
            "The curve begins with the first balance recorded, {base}, and adds realised profit and what is held at the \
             last price seen, less its cost; deposits, withdrawals and corrections are left out."
        ),
        None => "No balance was recorded: the curve is realised profit and what is held at the last price seen, less \
                 its cost; corrections are left out."
            .to_owned(),
    }];
    text.push(match &e.drawdown {
        Some(d) => format!(
            "Deepest fall: {}{} from {} at {} to {} at {}.",
            d.amount,
            d.rate.map_or_else(String::new, |rate| format!(" ({})", percent(rate))),
            d.peak,
            d.peak_at,
            d.peak.minus(d.amount).unwrap_or(Money::ZERO),
            d.trough_at
        ),
        None => "It never fell below an earlier value.".to_owned(),
    });
    Section { id: "equity", title: "Equity and drawdown", text, table: None }
}

fn price(value: Money, quantity: Quantity) -> String {
    list(value.per(quantity, Rounding::HalfEven).ok().filter(|_| quantity.is_positive()).map(|p| {
        // Shown with eight digits; the value and quantity beside it are exact.
        let cut = p.to_tick(aegis_model::Price::new(1, 8), Rounding::HalfEven);
        cut.unwrap_or(p)
    }))
}

fn position(p: &Position) -> Vec<String> {
    let reason = match (p.closed, p.reason) {
        (None, _) => "open".to_owned(),
        (Some(_), reason) => list(reason),
    };
    vec![
        format!("{} {}", p.instrument, p.cycle),
        short(p.opened),
        p.closed.map_or_else(|| "-".to_owned(), short),
        p.bought.to_string(),
        price(p.buy_value, p.bought),
        p.sold.to_string(),
        price(p.sell_value, p.sold),
        p.quote_fees.to_string(),
        p.profit.to_string(),
        p.rate.map_or_else(|| "-".to_owned(), percent),
        reason,
        p.source.clone(),
        p.lsn.to_string(),
    ]
}

fn positions(audit: &Audit) -> Section {
    let hidden = audit.positions.len().saturating_sub(POSITIONS_SHOWN);
    let mut text: Vec<String> =
        more(audit.positions_more + hidden as u64, "older positions").into_iter().collect();
    let restated: Vec<String> = audit
        .positions
        .iter()
        .filter(|p| p.restated > 0)
        .map(|p| format!("{} {}", p.instrument, p.cycle))
        .take(20)
        .collect();
    if !restated.is_empty() {
        text.push(format!("Told anew after later news: {}.", restated.join(", ")));
    }
    let before = audit.positions.iter().filter(|p| !p.before.is_zero());
    text.extend(before.take(20).map(|p| {
        format!("Of the profit of {} {}, {} was realised before the window.", p.instrument, p.cycle, p.before)
    }));
    let head = vec![
        ("position", false),
        ("opened", false),
        ("closed", false),
        ("bought", true),
        ("at", true),
        ("sold", true),
        ("at", true),
        ("quote fees", true),
        ("profit", true),
        ("rate", true),
        ("reason", false),
        ("source", false),
        ("record", true),
    ];
    let rows: Vec<Vec<String>> = audit.positions[hidden..].iter().map(position).collect();
    if rows.is_empty() {
        text.push("There was no position.".to_owned());
    }
    Section { id: "positions", title: "Positions", text, table: table(head, rows) }
}

fn table(head: Vec<(&'static str, bool)>, rows: Vec<Vec<String>>) -> Option<Table> {
    (!rows.is_empty()).then_some(Table { head, rows })
}

fn shares(id: &'static str, title: &'static str, shares: &[Share]) -> Section {
    let mut sorted: Vec<&Share> = shares.iter().collect();
    sorted.sort_by_key(|share| std::cmp::Reverse(share.profit));
    let cells = |name: String, positions: u64, won: u64, lost: u64, profit: Money| {
        vec![name, positions.to_string(), won.to_string(), lost.to_string(), profit.to_string()]
    };
    let mut rows: Vec<Vec<String>> =
        sorted.iter().map(|s| cells(s.name.clone(), s.positions, s.won, s.lost, s.profit)).collect();
    if rows.len() > 1 {
        let sum = |of: fn(&Share) -> u64| shares.iter().map(of).sum();
        let profit = shares.iter().fold(Money::ZERO, |sum, s| sum.plus(s.profit).unwrap_or(sum));
        rows.push(cells("all".to_owned(), sum(|s| s.positions), sum(|s| s.won), sum(|s| s.lost), profit));
    }
    let text = if rows.is_empty() { vec!["Nothing was earned or lost.".to_owned()] } else { Vec::new() };
    let head = vec![("of", false), ("positions", true), ("won", true), ("lost", true), ("profit", true)];
    Section { id, title, text, table: table(head, rows) }
}

fn fees(audit: &Audit) -> Section {
    let mut text = Vec::new();
    if audit.fees.is_empty() {
        text.push("No fee was paid.".to_owned());
    }
    if audit.fees_unknown > 0 {
        text.push(format!(
            "The fee of {} executions is not known yet; that is not zero, and not in here.",
            audit.fees_unknown
        ));
    }
    let rows = audit.fees.iter().map(|f| vec![f.asset.clone(), f.amount.to_string()]).collect();
    Section { id: "fees", title: "Fees", text, table: table(vec![("asset", false), ("paid", true)], rows) }
}

fn protection(audit: &Audit) -> Section {
    let rows: Vec<Vec<String>> = audit
        .protection
        .iter()
        .map(|c| {
            let mut row = vec![c.instrument.clone(), lasted(c.held_ns)];
            row.extend([c.bare_ns, c.bare_max_ns, c.unattended_ns, c.blind_ns].map(time_or_dash));
            row.push(c.venue_stops.to_string());
            row.extend([c.venue_bare_ns, c.venue_bare_max_ns].map(time_or_dash));
            row
        })
        .collect();
    let text = if rows.is_empty() {
        vec!["Nothing was held.".to_owned()]
    } else {
        vec![
            "Without: no stop of the engine and no exit on its way, judged after each batch. Unattended: held while no \
             process ran. Blind: no fresh price. At the venue: stops that came to rest there, and how long none had \
             before."
                .to_owned(),
        ]
    };
    let head = vec![
        ("instrument", false),
        ("held", true),
        ("without", true),
        ("longest", true),
        ("unattended", true),
        ("blind", true),
        ("stops at the venue", true),
        ("none there", true),
        ("longest", true),
    ];
    Section { id: "protection", title: "Time without protection", text, table: table(head, rows) }
}

fn unknown(audit: &Audit) -> Section {
    let rows: Vec<Vec<String>> = audit
        .unknown
        .rows
        .iter()
        .map(|u| {
            let known = u.resolved.as_ref();
            vec![
                u.lsn.to_string(),
                short(u.since),
                format!("order {}: {}", u.order, u.what),
                u.cause.clone(),
                u.lookups.to_string(),
                u.lasted_ns.map_or_else(|| "still unknown".to_owned(), lasted),
                known.map_or_else(|| "-".to_owned(), |t| format!("{} (record {})", t.words, t.lsn)),
                u.end.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let mut text: Vec<String> = more(audit.unknown.more, "outcomes").into_iter().collect();
    if rows.is_empty() {
        text.push("Every outcome was known at once.".to_owned());
    }
    let head = vec![
        ("record", true),
        ("since", false),
        ("order", false),
        ("why", false),
        ("lookups", true),
        ("lasted", true),
        ("known by", false),
        ("end of the order", false),
    ];
    Section { id: "unknown", title: "Unknown outcomes", text, table: table(head, rows) }
}

fn corrections(audit: &Audit) -> Section {
    let (seen, settled) = audit.drifts;
    let text = vec![format!(
        "Looks that found a difference to the venue: {seen}; settled without a correction: {settled}."
    )];
    told("corrections", "Corrections", text, &audit.corrections, "corrections")
}

fn told(
    id: &'static str,
    title: &'static str,
    mut text: Vec<String>,
    list: &Listed<Told>,
    what: &str,
) -> Section {
    text.extend(more(list.more, what));
    if list.rows.is_empty() {
        text.push("There was none.".to_owned());
    }
    let outcomes = list.rows.iter().any(|t| t.outcome.is_some());
    let mut head = vec![("record", true), ("time", false), ("by", false), ("what", false)];
    if outcomes {
        head.push(("outcome", false));
    }
    let rows = list
        .rows
        .iter()
        .map(|t| {
            let mut row = vec![t.lsn.to_string(), short(t.time), t.by.clone(), t.words.clone()];
            if outcomes {
                row.push(t.outcome.clone().unwrap_or_default());
            }
            row
        })
        .collect();
    Section { id, title, text, table: table(head, rows) }
}

fn commanders(audit: &Audit) -> Section {
    let rows: Vec<Vec<String>> = audit
        .commanders
        .iter()
        .map(|c| vec![c.by.clone(), c.commands.to_string(), c.refused.to_string()])
        .collect();
    let text = if rows.is_empty() { vec!["Nobody commanded anything.".to_owned()] } else { Vec::new() };
    let head = vec![("by", false), ("commands", true), ("refused", true)];
    Section { id: "commanders", title: "Commands by actor", text, table: table(head, rows) }
}

fn counted(id: &'static str, title: &'static str, none: &str, counts: &[Count]) -> Section {
    let rows: Vec<Vec<String>> = counts.iter().map(|c| vec![c.name.clone(), c.count.to_string()]).collect();
    let text = if rows.is_empty() { vec![none.to_owned()] } else { Vec::new() };
    Section { id, title, text, table: table(vec![("kind", false), ("count", true)], rows) }
}

fn refusals(audit: &Audit) -> Section {
    let mut section =
        counted("refusals", "Refused entries by reason", "No entry was refused.", &audit.refusals);
    if audit.signals_refused > 0 {
        section
            .text
            .push(format!("Lines of signal sources that could not be used: {}.", audit.signals_refused));
    }
    section
}

fn gaps(audit: &Audit) -> Section {
    let rows: Vec<Vec<String>> = audit
        .gaps
        .rows
        .iter()
        .map(|g| {
            let how_long = g.lasted_ns.map_or_else(|| "-".to_owned(), lasted);
            vec![g.lsn.to_string(), short(g.until), how_long, g.what.clone()]
        })
        .collect();
    let mut text: Vec<String> = more(audit.gaps.more, "gaps").into_iter().collect();
    if rows.is_empty() {
        text.push("Nothing is missing.".to_owned());
    }
    let head = vec![("record", true), ("until", false), ("lasted", true), ("what", false)];
    Section { id: "gaps", title: "Gaps in the data", text, table: table(head, rows) }
}
