//! Lines of a tree: records with what caused them, and how they are put on a terminal.

use super::Explanation;
use crate::words::{clock, words};
use aegis_model::{Event, Lsn, Timestamp};
use aegis_projection::State;
use serde::Serialize;

/// One record of an explanation, with the records that came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Line {
    /// The record's number; 0 for a line that stands for several.
    pub lsn: u64,
    /// Its time, RFC 3339; empty with number 0.
    pub time: String,
    /// Who brought it about.
    pub actor: String,
    /// The name of its kind; `folded` for a line that stands for several.
    pub kind: &'static str,
    /// What it says.
    pub words: String,
    /// What it rests on: a price, an order, a record that stood in the way.
    pub because: Vec<Because>,
    /// How many records a folded line stands for; 0 for a record.
    pub folded: u64,
    /// What came of it.
    pub children: Vec<Line>,
}

/// A record that another one rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Because {
    /// Its number.
    pub lsn: u64,
    /// What it says.
    pub words: String,
}

impl Because {
    pub(super) fn of(lsn: Lsn, event: &Event, names: &State) -> Because {
        Because { lsn: lsn.0, words: words(event, names) }
    }
}

impl Line {
    pub(super) fn of(lsn: Lsn, event: &Event, names: &State) -> Line {
        Line {
            lsn: lsn.0,
            time: clock(event.at),
            actor: event.actor.to_string(),
            kind: event.fact.name(),
            words: words(event, names),
            because: Vec::new(),
            folded: 0,
            children: Vec::new(),
        }
    }

    /// A line that stands for several records.
    pub(super) fn folded(count: u64, words: String) -> Line {
        Line {
            lsn: 0,
            time: String::new(),
            actor: String::new(),
            kind: "folded",
            words,
            because: Vec::new(),
            folded: count,
            children: Vec::new(),
        }
    }
}

/// A time of day as a line shows it: to the millisecond, or to the second where that is all of it.
fn time_of_day(rfc3339: &str) -> (&str, String) {
    let (date, time) = rfc3339.split_once('T').unwrap_or(("", rfc3339));
    let time = time.trim_end_matches('Z');
    let shown = time.split_once('.').map_or_else(|| time.to_owned(), |(s, f)| format!("{s}.{f:.3}"));
    (date, shown)
}

/// Columns before the words of a line.
const HEAD: usize = 33;
/// Columns that words get at least, however narrow the terminal is.
const WORDS_MIN: usize = 28;

/// Text in lines of at most `width` characters, broken between words; a longer word stands alone.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let used = line.chars().count();
        if used == 0 {
            line.push_str(word);
        } else if used + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

struct Drawing {
    out: Vec<String>,
    date: String,
    width: usize,
    depth_max: usize,
}

impl Drawing {
    fn line(&mut self, line: &Line, prefix: &str, branch: &str, depth: usize) {
        let (date, time) = time_of_day(&line.time);
        if !date.is_empty() && date != self.date {
            self.date = date.to_owned();
            self.out.push(format!("{:>8}  {date}", ""));
        }
        let more = match branch {
            "" => String::new(),
            "└ " => format!("{prefix}  "),
            _ => format!("{prefix}│ "),
        };
        let hidden = if depth == self.depth_max { count(&line.children) } else { 0 };
        let mut texts = vec![line.words.clone()];
        texts.extend(line.because.iter().map(|b| format!("<- {}: {}", b.lsn, b.words)));
        if hidden > 0 {
            texts.push(format!("({hidden} more below; give a larger --depth)"));
        }
        let below = if line.children.is_empty() || hidden > 0 { "  " } else { "│ " };
        let mut first = true;
        for (at, text) in texts.iter().enumerate() {
            let lead = if at == 0 { "" } else { "   " };
            let room = self.width.saturating_sub(HEAD + more.chars().count() + 2 + lead.len()).max(WORDS_MIN);
            for part in wrapped(text, room) {
                let row = if first {
                    let lsn = if line.lsn == 0 { String::new() } else { line.lsn.to_string() };
                    format!("{lsn:>8}  {time:<12}  {:<8} {prefix}{branch}{part}", line.actor)
                } else {
                    format!("{:HEAD$}{more}{below}{lead}{part}", "")
                };
                self.out.push(row.trim_end().to_owned());
                first = false;
            }
        }
        if hidden > 0 {
            return;
        }
        for (at, child) in line.children.iter().enumerate() {
            let last = at + 1 == line.children.len();
            self.line(child, &more, if last { "└ " } else { "├ " }, depth + 1);
        }
    }
}

fn count(lines: &[Line]) -> u64 {
    lines.iter().map(|line| line.folded.max(1) + count(&line.children)).sum()
}

impl Explanation {
    /// The answer and the tree, `width` columns wide, down to `depth` levels.
    pub fn render(&self, width: usize, depth: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for sentence in &self.answer {
            let parts = wrapped(sentence, width.saturating_sub(2).max(WORDS_MIN));
            out.extend(
                parts
                    .into_iter()
                    .enumerate()
                    .map(|(at, part)| if at == 0 { part } else { format!("  {part}") }),
            );
        }
        if let Some(hole) = &self.hole {
            out.extend(wrapped(
                &format!(
                    "copied while live or damaged: read up to record {}, its last whole batch before {hole}; {} intact \
                     records lie behind it",
                    self.lsn, self.behind_gap
                ),
                width,
            ));
        }
        if !self.lines.is_empty() && !out.is_empty() {
            out.push(String::new());
        }
        let mut drawing = Drawing { out, date: String::new(), width, depth_max: depth };
        for line in &self.lines {
            drawing.line(line, "", "", 1);
        }
        let mut out = drawing.out;
        out.extend(self.render_movements());
        out
    }

    /// The lines of the tree one after the other, each with its depth and the record above it.
    pub fn flat(&self) -> Vec<(usize, u64, &Line)> {
        fn walk<'a>(lines: &'a [Line], depth: usize, above: u64, out: &mut Vec<(usize, u64, &'a Line)>) {
            for line in lines {
                out.push((depth, above, line));
                walk(&line.children, depth + 1, line.lsn, out);
            }
        }
        let mut out = Vec::new();
        walk(&self.lines, 1, 0, &mut out);
        out
    }
}

/// A time in a sentence: to the millisecond.
pub(super) fn brief(at: Timestamp) -> String {
    clock(Timestamp(at.0.saturating_sub(at.0.rem_euclid(1_000_000))))
}

/// How often, in words.
pub(super) fn times(count: u64) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        n => format!("{n} times"),
    }
}

/// How long it was between two times, in the two largest units.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let s = to.since(from) / aegis_model::ids::SECOND;
    match s {
        ..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s / 60 % 60),
        _ => format!("{} d {} h", s / 86_400, s / 3_600 % 24),
    }
}
