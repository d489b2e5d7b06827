//! Pictures: the result over time, how far it fell, and a position's prices with its executions and its stop; as SVG
//! without any text of the journal in it.
//!
//! Only here a number becomes a float, and only to find its place in a picture; no figure of the report comes from one.

use super::{Equity, Moment, Thinned};
use aegis_model::fixed::SCALE;
use aegis_model::{Fixed, Money, Price, Side, Timestamp};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;
use time::OffsetDateTime;

/// Executions that are shown.
const EXECUTIONS_MAX: usize = 200;
/// Places of the stop that are kept; when there are more, every other one between the ends is dropped.
const STOPS_MAX: usize = 1_000;
/// Pixels.
const WIDTH: u32 = 900;

const PRICE: RGBColor = RGBColor(51, 65, 85);
const STOP: RGBColor = RGBColor(220, 38, 38);
const BUY: RGBColor = RGBColor(22, 128, 61);
const SELL: RGBColor = RGBColor(180, 83, 9);
const RESULT: RGBColor = RGBColor(29, 78, 216);
const GRID: RGBColor = RGBColor(226, 232, 240);
const INK: RGBColor = RGBColor(71, 85, 105);

/// What is shown of a position over time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chart {
    /// Prices seen while it was open: the bid, or what else a tick had.
    pub prices: Thinned<Price>,
    /// Where the stop was set; none where it was taken away.
    pub stops: Vec<(Timestamp, Option<Price>)>,
    /// Executions.
    pub executions: Vec<(Timestamp, Side, Price)>,
}

impl Chart {
    pub(super) fn execution(&mut self, at: Timestamp, side: Side, price: Price) {
        if self.executions.len() < EXECUTIONS_MAX {
            self.executions.push((at, side, price));
        }
        self.prices.push(at, price);
    }

    pub(super) fn stop(&mut self, at: Timestamp, stop: Option<Price>) {
        if self.stops.last().is_some_and(|(_, last)| *last == stop) {
            return;
        }
        self.stops.push((at, stop));
        if self.stops.len() > STOPS_MAX {
            let last = self.stops.len() - 1;
            let mut at = 0..;
            self.stops.retain(|_| at.next().is_some_and(|n| n % 2 == 0 || n == last));
        }
    }
}

/// Why a picture could not be drawn.
type Drawn = Result<String, Box<dyn std::error::Error>>;

fn coordinate(value: Fixed) -> f64 {
    value.units() as f64 / 10f64.powi(i32::try_from(SCALE).unwrap_or(0))
}

fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1e9
}

/// Time along a picture, with marks at round times.
#[derive(Clone)]
struct Times(Range<f64>);

impl Times {
    /// Round distances between two marks, seconds.
    const STEPS: [f64; 22] = [
        0.001,
        0.01,
        0.1,
        1.0,
        2.0,
        5.0,
        10.0,
        30.0,
        60.0,
        120.0,
        300.0,
        600.0,
        1_800.0,
        3_600.0,
        7_200.0,
        21_600.0,
        43_200.0,
        86_400.0,
        172_800.0,
        604_800.0,
        2_592_000.0,
        7_776_000.0,
    ];
    const MARKS: f64 = 7.0;

    fn of(points: impl Iterator<Item = f64>) -> Times {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for at in points {
            (low, high) = (low.min(at), high.max(at));
        }
        if !low.is_finite() {
            (low, high) = (0.0, 1.0);
        }
        let margin = ((high - low) * 0.02).max(0.5);
        Times(low - margin..high + margin)
    }

    fn step(&self) -> f64 {
        let span = self.0.end - self.0.start;
        let fits = |step: &&f64| span / **step <= Times::MARKS;
        Times::STEPS.iter().find(fits).copied().unwrap_or_else(|| (span / Times::MARKS).ceil())
    }
}

impl Ranged for Times {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.0.start) / (self.0.end - self.0.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        let step = self.step();
        let first = (self.0.start / step).ceil();
        (0..20).map(|n| (first + f64::from(n)) * step).take_while(|at| *at <= self.0.end).collect()
    }

    fn range(&self) -> Range<f64> {
        self.0.clone()
    }
}

impl ValueFormatter<f64> for Times {
    fn format_ext(&self, value: &f64) -> String {
        let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos((value * 1e9).round() as i128) else {
            return String::new();
        };
        let (month, day) = (u8::from(at.month()), at.day());
        let span = self.0.end - self.0.start;
        if self.step() < 1.0 {
            format!("{:02}:{:02}:{:02}.{:03}", at.hour(), at.minute(), at.second(), at.millisecond())
        } else if span < 86_400.0 {
            format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
        } else if self.step() < 86_400.0 {
            format!("{month:02}-{day:02} {:02}:{:02}", at.hour(), at.minute())
        } else {
            format!("{}-{month:02}-{day:02}", at.year())
        }
    }
}

/// The range of values with room above and below.
fn values(points: impl Iterator<Item = f64>) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in points {
        (low, high) = (low.min(value), high.max(value));
    }
    if !low.is_finite() {
        return 0.0..1.0;
    }
    let margin = if high > low { (high - low) * 0.08 } else { (high.abs() * 0.01).max(0.000_001) };
    low - margin..high + margin
}

/// Decimals that tell the marks of a range apart.
fn decimals(range: &Range<f64>) -> usize {
    let span = range.end - range.start;
    (0..12).find(|digits| span * 10f64.powi(*digits) >= 20.0).map_or(12, |n| usize::try_from(n).unwrap_or(0))
}

type Plot<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<Times, plotters::coord::types::RangedCoordf64>>;

/// An empty picture with its axes, filled by `fill`.
fn picture(
    height: u32,
    times: Times,
    range: Range<f64>,
    fill: impl FnOnce(&mut Plot<'_, '_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Drawn {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let digits = decimals(&range);
        let mut plot = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(24)
            .x_label_area_size(26)
            .y_label_area_size(84)
            .build_cartesian_2d(times, range)?;
        plot.configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .y_labels(6)
            .y_label_formatter(&|value| format!("{value:.digits$}"))
            .label_style(("sans-serif", 12).into_font().color(&INK))
            .draw()?;
        fill(&mut plot)?;
        root.present()?;
    }
    Ok(svg)
}

fn series(points: &[(Moment, Money)]) -> Vec<(f64, f64)> {
    points.iter().map(|(at, value)| (seconds(at.0), coordinate(value.0))).collect()
}

/// The result over time.
pub(super) fn equity(equity: &Equity) -> Drawn {
    let points = steps(&series(&equity.curve));
    let (times, range) = (Times::of(points.iter().map(|p| p.0)), values(points.iter().map(|p| p.1)));
    picture(260, times, range, |plot| {
        plot.draw_series(LineSeries::new(points, RESULT.stroke_width(2)))?;
        Ok(())
    })
}

/// How far the result lies below its highest value so far.
pub(super) fn drawdown(equity: &Equity) -> Drawn {
    let points = steps(&series(&equity.below));
    let times = Times::of(points.iter().map(|p| p.0));
    let low = points.iter().map(|p| p.1).fold(-0.000_001, f64::min);
    picture(140, times, low * 1.08..0.0, |plot| {
        plot.draw_series(AreaSeries::new(points, 0.0, STOP.mix(0.2)).border_style(STOP.stroke_width(1)))?;
        Ok(())
    })
}

/// Between two points a value stays what it was.
fn steps(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::with_capacity(2 * points.len());
    for point in points {
        if let Some(last) = out.last().copied() {
            out.push((point.0, last.1));
        }
        out.push(*point);
    }
    out
}

/// A position's prices, executions and stop.
pub(super) fn position(chart: &Chart) -> Drawn {
    let prices: Vec<(f64, f64)> =
        chart.prices.points().into_iter().map(|(at, price)| (seconds(at), coordinate(price.0))).collect();
    let last = prices.last().map_or(0.0, |p| p.0);
    let stops = lines(&chart.stops, last);
    let executions: Vec<(f64, f64, Side)> =
        chart.executions.iter().map(|(at, side, price)| (seconds(*at), coordinate(price.0), *side)).collect();
    let places = || {
        let stops = stops.iter().flatten().copied();
        prices.iter().copied().chain(stops).chain(executions.iter().map(|e| (e.0, e.1)))
    };
    let (times, range) = (Times::of(places().map(|p| p.0)), values(places().map(|p| p.1)));
    picture(240, times, range, |plot| {
        plot.draw_series(LineSeries::new(steps(&prices), PRICE.stroke_width(1)))?;
        for line in stops {
            plot.draw_series(LineSeries::new(line, STOP.stroke_width(2)))?;
        }
        plot.draw_series(executions.into_iter().map(|(at, price, side)| {
            let (colour, up) = match side {
                Side::Buy => (BUY, 1),
                Side::Sell => (SELL, -1),
            };
            let corners = vec![(0, -7 * up), (-6, 5 * up), (6, 5 * up)];
            EmptyElement::at((at, price)) + Polygon::new(corners, colour.filled())
        }))?;
        Ok(())
    })
}

/// The stop as lines, each without an interruption.
fn lines(stops: &[(Timestamp, Option<Price>)], end: f64) -> Vec<Vec<(f64, f64)>> {
    let mut out: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut line: Vec<(f64, f64)> = Vec::new();
    for (at, stop) in stops {
        let at = seconds(*at);
        if let Some(last) = line.last().copied() {
            line.push((at, last.1));
        }
        match stop {
            Some(stop) => line.push((at, coordinate(stop.0))),
            None => out.push(std::mem::take(&mut line)),
        }
    }
    if let Some(last) = line.last().copied() {
        line.push((end.max(last.0), last.1));
        out.push(line);
    }
    out.retain(|line| !line.is_empty());
    out
}
