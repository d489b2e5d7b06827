//! What a person reads: both outcomes side by side in 80 columns, the positions in which they differ, and what nobody can
//! know from a record.

use super::change;
use super::figures::{Difference, Figures, Side};
use super::market::Chosen;
use super::model::Part;
use super::orders::Usual;
use super::record::{Record, setting};
use super::{Change, Told};
use crate::precedent::Counts;
use crate::text::{percent, span};
use aegis_forensics::audit::{Moment, Share};
use aegis_model::ids::SECOND;
use aegis_model::{Fixed, Mode, Money, Price, Rate, Rounding};
use std::collections::BTreeSet;
use std::fmt::Write as _;

const MILLISECOND: i64 = SECOND / 1_000;
/// Columns of the text.
const COLUMNS: usize = 80;
/// Differing positions that are shown without --all.
const SHOWN: usize = 20;
/// Width of a figure's name and of each figure.
const NAME: usize = 24;
const FIGURE: usize = 18;

/// A time to the second, without the letters.
pub(super) fn minute(at: Moment) -> String {
    at.to_string().chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// The plans of a part: of all, or by instrument where they differ from it.
pub(super) fn plans(part: &Part, change: &Change) -> Vec<String> {
    let engine = &part.told.act.engine;
    let mut out = vec![change::words(&engine.plan)];
    for (name, plan) in &engine.plans {
        if *plan != engine.plan || change.instruments.contains(name) {
            out.push(format!("{name}: {}", change::words(plan)));
        }
    }
    out
}

/// What the record cannot say, as far as it is a matter of this one.
pub(super) fn unknowable(record: &Record, market: &Chosen, parts: &[Part], counts: &Counts) -> Vec<String> {
    let mut out = vec![
        format!(
            "what the sources would have said after other trades: the {} recorded signals come again at their \
             times. Entries refused then: {}; what stood in their way may not stand there now, and the other way round",
            record.signals, record.refused
        ),
        "how the market would have taken other orders: the paper exchange fills at the prices of the record; \
         an order moves no price and waits in no queue"
            .to_owned(),
    ];
    out.push(if market.candles {
        "the path inside a candle: it goes from open to low, high and close, so a stop is met before a take-profit \
         of the same candle"
            .to_owned()
    } else {
        "prices between two ticks".to_owned()
    });
    let u = &record.unplayed;
    if let Some(usual) = record.usual() {
        out.extend(other_orders(record, &usual, counts));
    }
    if record.commands > 0 {
        out.push(format!(
            "what people would have done: their commands ({}) come again at their times, whatever is held then",
            record.commands
        ));
    }
    let left_out = [
        (u.external, "executions that were not ours"),
        (u.corrections, "corrections and quarantines"),
        (u.flows, "deposits, withdrawals and adjustments"),
        (u.claims, "claims of another program's files"),
        (u.relisted, "changes of an instrument's facts"),
    ];
    for (count, what) in left_out {
        if count > 0 {
            out.push(format!("what {what} ({count}) led to: they are left out"));
        }
    }
    if u.restarts > 0 {
        let times = if u.restarts == 1 { "once".to_owned() } else { format!("{} times", u.restarts) };
        out.push(format!(
            "what was missed while no process ran: it was started again {times}, the model runs through"
        ));
    }
    let unknown: BTreeSet<&str> =
        parts.iter().flat_map(|part| part.told.unknown.iter().map(String::as_str)).collect();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.into_iter().collect();
        out.push(format!("what settings mean that this version does not know: {}", names.join(", ")));
    }
    out
}

/// What nobody knows of orders that the real exchange never saw, and what is taken in its place.
fn other_orders(record: &Record, usual: &Usual, counts: &Counts) -> [String; 3] {
    let u = &record.unplayed;
    let off = |rate: Option<Rate>| rate.map_or_else(|| "-".to_owned(), percent);
    let fills = format!(
        "how the real exchange would have filled other orders. With the other settings {} of {} orders are on the record \
         and have its prices, quantities, fees and delays ({} executions). The others fill at the price that is shown when \
         they arrive, as far as its size goes ({} executions). The median recorded execution was {} (buys) and {} (sells) \
         worse than the price seen last; that is not added",
        counts.orders_recorded,
        counts.orders_recorded + counts.orders_modelled,
        counts.fills_recorded,
        counts.fills_modelled,
        off(usual.buys_off),
        off(usual.sells_off),
    );
    let answers = format!(
        "how the real exchange would have answered them: they arrive after {}, the median of the record, are refused only \
         where the paper exchange refuses, and are answered at once; readings that failed and connections that were lost \
         keep no entry out again. On the record: orders refused {}, outcomes unknown for a time {}, connections lost {}",
        delay(usual.delay_ns),
        u.rejected,
        u.unknown,
        u.links
    );
    let rates: Vec<String> =
        usual.fee_rates.iter().map(|(name, rate)| format!("{name} {}", percent(*rate))).collect();
    let fee = |key| record.epochs.last().and_then(|epoch| setting(&epoch.settings, key)).unwrap_or("?");
    let known = if rates.is_empty() { "none".to_owned() } else { rates.join(", ") };
    let fees = format!(
        "what they would have cost: they are charged the median rate of the record ({known}) and, where it has none, that \
         of the settings, maker {} and taker {}",
        fee("venue.maker_fee"),
        fee("venue.taker_fee")
    );
    [fills, answers, fees]
}

/// A short time.
fn delay(ns: i64) -> String {
    if ns < MILLISECOND { format!("{} us", ns / 1_000) } else { format!("{} ms", ns / MILLISECOND) }
}

/// All of it.
pub(super) fn words(told: &Told<'_>, all: bool) -> String {
    let mut out = String::new();
    head(told, &mut out);
    table(told, &mut out);
    differing(told, all, &mut out);
    out.push_str("\nWhat it cannot know\n");
    for line in &told.unknowable {
        wrapped(&mut out, "- ", line);
    }
    out
}

fn head(told: &Told<'_>, out: &mut String) {
    let record = told.record;
    let begins = record.epochs.first().map_or(record.until, |e| e.at);
    let span = format!("{} to {}", minute(Moment(begins)), minute(Moment(record.until)));
    let from =
        record.from.map_or_else(String::new, |at| format!("; it differs from {} on", minute(Moment(at))));
    wrapped(out, "journal   ", &format!("{}, records 1 to {}", told.path.display(), record.last));
    wrapped(out, "time      ", &format!("{span}, UTC{from}"));
    wrapped(out, "market    ", &told.market.words);
    for (name, part) in [("recorded  ", told.settings[0]), ("what if   ", told.settings[1])] {
        for plan in plans(part, told.change) {
            wrapped(out, name, &plan);
        }
    }
    if told.parts > 1 {
        let times = if told.parts == 2 { "once".to_owned() } else { format!("{} times", told.parts - 1) };
        wrapped(
            out,
            "          ",
            &format!("at the end; settings changed {times} before, and are played as they were"),
        );
    }
    out.push('\n');
    let profit =
        format!("{} positions closed, profit {}", told.model.figures.closed, told.model.figures.realised);
    let [counts, _] = told.counts;
    let follow = match record.mode {
        Some(Mode::Live) => format!(
            "; {} of its {} orders were answered, filled and charged as the real exchange did it",
            counts.orders_recorded,
            counts.orders_recorded + counts.orders_modelled
        ),
        Some(Mode::Paper) | None => String::new(),
    };
    if told.exact {
        let said = format!(
            "The model with the recorded settings gives exactly what was recorded: {profit}{follow}."
        );
        wrapped(out, "", &said);
    } else {
        let off = told.model.figures.realised.minus(told.recorded.figures.realised).unwrap_or(Money::ZERO);
        let said = format!(
            "The model with the recorded settings does not give what was recorded: {profit}, which is {} off; {} \
             positions differ{follow}. The figures of the model are compared with each other; what was recorded stands \
             beside them.",
            signed(off),
            told.off.len()
        );
        wrapped(out, "", &said);
        for d in told.off.iter().take(3) {
            position(d, ["recorded", "model"], out);
        }
    }
}

/// A figure with its name.
type Named<T> = (&'static str, fn(&Figures) -> T);

const COUNTS: [Named<u64>; 7] = [
    ("positions closed", |f| f.closed),
    ("  with a profit", |f| f.won),
    ("positions open", |f| f.open),
    ("executions", |f| f.fills),
    ("stops raised", |f| f.stops_raised),
    ("stops hit", |f| f.stops_hit),
    ("entries refused", |f| f.refused),
];
const SUMS: [Named<Money>; 4] = [
    ("profit realised", |f| f.realised),
    ("  open, at last price", |f| f.unrealised),
    ("fees in quote", |f| f.quote_fees),
    ("deepest fall", |f| f.drawdown),
];
/// A grouping of the profit with its name.
type Group = (&'static str, fn(&Figures) -> &Vec<Share>);
const SHARES: [Group; 2] =
    [("profit by instrument", |f| &f.by_instrument), ("profit by reason", |f| &f.by_reason)];

/// The outcomes side by side.
struct Table<'a> {
    outcomes: Vec<(&'static str, &'a Figures)>,
    /// What is compared: the model's, and that of what differs.
    pair: [&'a Figures; 2],
    /// Whether there is room for a column of differences.
    room: bool,
    out: String,
}

impl Table<'_> {
    fn row(&mut self, name: &str, figure: impl Fn(&Figures) -> String, difference: Option<String>) {
        let figures = self.outcomes.iter().map(|(_, figures)| figure(figures));
        let difference = difference.filter(|_| self.room);
        let cells: Vec<String> = figures.chain(difference).collect();
        self.line(name, &cells);
    }

    fn line(&mut self, name: &str, cells: &[String]) {
        let mut line = format!("{name:<NAME$}");
        for cell in cells {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:>FIGURE$}");
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn money(
        &mut self,
        name: &str,
        figure: impl Fn(&Figures) -> Money,
        spelled: impl Fn(&Figures) -> String,
    ) {
        let [base, other] = self.pair;
        let more = figure(other).minus(figure(base)).ok().map(signed);
        self.row(name, spelled, more);
    }

    fn shares(&mut self, title: &str, shares: fn(&Figures) -> &Vec<Share>) {
        let names: BTreeSet<String> =
            self.outcomes.iter().flat_map(|(_, f)| shares(f).iter().map(|s| s.name.clone())).collect();
        self.line(title, &[]);
        for name in names {
            let of = |f: &Figures| {
                let share = shares(f).iter().find(|s| s.name == name);
                share.map_or((0, Money::ZERO), |s| (s.positions, s.profit))
            };
            let spelled = |f: &Figures| format!("{}: {}", of(f).0, short(of(f).1.0));
            self.money(&format!("  {name}"), |f| of(f).1, spelled);
        }
    }
}

fn table(told: &Told<'_>, out: &mut String) {
    let (recorded, model, what_if) = (&told.recorded.figures, &told.model.figures, &told.what_if.figures);
    let outcomes = if told.exact {
        // The model's, which values what is open at every price as the other one does.
        vec![("recorded", model), ("what if", what_if)]
    } else {
        vec![("recorded", recorded), ("model", model), ("what if", what_if)]
    };
    let mut table = Table { outcomes, pair: [model, what_if], room: told.exact, out: String::new() };
    let mut heads: Vec<String> = table.outcomes.iter().map(|(name, _)| (*name).to_owned()).collect();
    heads.extend(table.room.then(|| "difference".to_owned()));
    table.line("", &[]);
    table.line("", &heads);
    for (name, figure) in COUNTS {
        let more = i128::from(figure(what_if)) - i128::from(figure(model));
        let more = if more == 0 { "0".to_owned() } else { format!("{more:+}") };
        table.row(name, |f| figure(f).to_string(), Some(more));
    }
    for (name, figure) in SUMS {
        table.money(name, figure, |f| short(figure(f).0));
    }
    table.row("  of the peak", |f| f.drawdown_rate.map_or_else(|| "-".to_owned(), percent), None);
    table.row("time in the market", |f| span(f.held_ns / SECOND), None);
    table.row("  of all time", |f| share(f.held_ns, f.span_ns), None);
    let assets: BTreeSet<String> =
        table.outcomes.iter().flat_map(|(_, f)| f.fees.iter().map(|fee| fee.asset.clone())).collect();
    for asset in assets.iter().filter(|asset| *asset != told.record.quote.as_str()) {
        let paid = |f: &Figures| {
            f.fees.iter().find(|fee| fee.asset == *asset).map_or(Fixed::ZERO, |fee| fee.amount.0)
        };
        table.money(&format!("fees in {asset}"), |f| Money(paid(f)), |f| short(paid(f)));
    }
    for (title, shares) in SHARES {
        table.shares(title, shares);
    }
    out.push_str(&table.out);
}

fn differing(told: &Told<'_>, all: bool, out: &mut String) {
    let names = if told.exact { ["recorded", "what if"] } else { ["model", "what if"] };
    if told.differences.is_empty() {
        out.push_str("\nNo position differs.\n");
        return;
    }
    let shown = if all { told.differences.len() } else { told.differences.len().min(SHOWN) };
    let rest = told.differences.len() - shown;
    let more = if rest > 0 { format!("; the first {shown}, --all shows the rest") } else { String::new() };
    let _ = writeln!(out, "\nPositions that differ: {}{more}", told.differences.len());
    for difference in &told.differences[..shown] {
        position(difference, names, out);
    }
    let untold = told.model.more + told.what_if.more;
    if untold > 0 {
        wrapped(out, "", &format!("{untold} older positions are in the sums only and were not compared."));
    }
}

fn position(d: &Difference, names: [&str; 2], out: &mut String) {
    let opened = d.left.as_ref().or(d.right.as_ref()).map_or_else(String::new, |s| minute(s.opened));
    wrapped(out, "", &format!("{} {opened} {}", d.instrument, d.source));
    for (name, side) in names.into_iter().zip([&d.left, &d.right]) {
        let said = match side {
            None => d.why.clone().unwrap_or_else(|| "not entered".to_owned()),
            Some(side) => told_side(side),
        };
        let _ = writeln!(out, "  {name:<9} {said}");
    }
}

fn told_side(side: &Side) -> String {
    let price = |price: Option<Price>| price.map_or_else(|| "-".to_owned(), |p| short(p.0));
    let (reason, closed) = match (side.closed, side.reason) {
        (None, _) => ("open".to_owned(), String::new()),
        (Some(at), None) => ("no exit of ours".to_owned(), minute(at)),
        (Some(at), Some(reason)) => (reason.to_string(), minute(at)),
    };
    format!(
        "{:>9} to {:>9} {closed:<19} {reason:<11} {:>11}",
        price(side.entry),
        price(side.exit),
        short(side.profit.0)
    )
}

/// Two digits behind the point of what is one or more, up to eight of what is less.
fn short(value: Fixed) -> String {
    if value.is_zero() || value.abs() >= Fixed::from_int(1) {
        let rounded = value.to_multiple(Fixed::new(1, 2), Rounding::HalfEven).unwrap_or(value);
        format!("{rounded:.2}")
    } else {
        value.to_multiple(Fixed::new(1, 8), Rounding::HalfEven).unwrap_or(value).to_string()
    }
}

fn signed(value: Money) -> String {
    let spelled = short(value.0);
    if value.is_positive() { format!("+{spelled}") } else { spelled }
}

fn share(part: i64, whole: i64) -> String {
    Fixed::from_int(part)
        .over(Fixed::from_int(whole), Rounding::HalfEven)
        .map_or_else(|_| "-".to_owned(), |r| percent(Rate(r)))
}

/// Text in lines of the width, with its head on the first.
fn wrapped(out: &mut String, head: &str, text: &str) {
    let indent = " ".repeat(head.chars().count());
    let mut line = head.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line.clone_from(&indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
