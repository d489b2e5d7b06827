//! Answers for people: columns that fit a terminal, numbers to the right; where there are too many columns, one line each.

use std::fmt::Write as _;

/// Columns between two columns.
const GAP: usize = 2;
/// A column is not cut below this.
const WIDTH_MIN: usize = 6;

/// Rows collected for one page.
pub struct Page {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Which columns hold numbers only.
    numbers: Vec<bool>,
}

impl Page {
    /// A page of these columns.
    pub fn new(names: &[String]) -> Page {
        Page { names: names.to_vec(), rows: Vec::new(), numbers: vec![true; names.len()] }
    }

    /// Adds a row; nothing is `-`.
    pub fn row(&mut self, cells: Vec<Option<String>>) {
        for (number, cell) in self.numbers.iter_mut().zip(&cells) {
            let is_number = |text: &String| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-')
            };
            *number &= cell.as_ref().is_none_or(is_number);
        }
        // A line break inside a cell would tear the page.
        let plain = |cell: String| cell.replace(|c: char| c.is_control(), " ");
        self.rows.push(cells.into_iter().map(|cell| cell.map_or_else(|| "-".to_owned(), plain)).collect());
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lines of at most `columns` characters; `first` is the number of the first row.
    pub fn lines(&self, columns: usize, first: u64) -> Vec<String> {
        self.widths(columns)
            .map_or_else(|| self.listed(columns, first), |widths| self.table(&widths, first == 1))
    }

    /// The width of each column; none if they do not fit.
    fn widths(&self, columns: usize) -> Option<Vec<usize>> {
        let width = |text: &String| text.chars().count();
        let mut widths: Vec<usize> = self.names.iter().map(width).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        let gaps = GAP * self.names.len().saturating_sub(1);
        let room = columns.checked_sub(gaps)?;
        while widths.iter().sum::<usize>() > room {
            // Texts are cut, numbers never: a number that lacks digits is another number.
            let over = widths.iter().sum::<usize>() - room;
            let texts =
                widths.iter_mut().zip(&self.numbers).filter(|(w, number)| !**number && **w > WIDTH_MIN);
            let (widest, _) = texts.max_by_key(|(w, _)| **w)?;
            *widest -= over.min((*widest - WIDTH_MIN).div_ceil(2));
        }
        Some(widths)
    }

    fn table(&self, widths: &[usize], head: bool) -> Vec<String> {
        let line = |cells: &[String]| {
            let mut line = String::new();
            for ((cell, width), number) in cells.iter().zip(widths).zip(&self.numbers) {
                if !line.is_empty() {
                    line.push_str(&" ".repeat(GAP));
                }
                let cell = cut(cell, *width);
                // Writing to a string cannot fail.
                let _ = if *number { write!(line, "{cell:>width$}") } else { write!(line, "{cell:<width$}") };
            }
            line.truncate(line.trim_end().len());
            line
        };
        let mut lines = Vec::new();
        if head {
            lines.push(line(&self.names));
            let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
            lines.push(line(&rules));
        }
        lines.extend(self.rows.iter().map(|row| line(row)));
        lines
    }

    fn listed(&self, columns: usize, first: u64) -> Vec<String> {
        let widest = self.names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (number, row) in (first..).zip(&self.rows) {
            lines.push(format!("row {number}"));
            for (name, cell) in self.names.iter().zip(row) {
                let room = columns.saturating_sub(widest + 2 * GAP).max(WIDTH_MIN);
                let characters: Vec<char> = cell.chars().collect();
                for (at, part) in characters.chunks(room).enumerate() {
                    let name = if at == 0 { name } else { "" };
                    let part: String = part.iter().collect();
                    lines.push(format!("  {name:<widest$}  {part}").trim_end().to_owned());
                }
            }
        }
        lines
    }
}

/// A text of at most so many characters; what is cut is shown.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('\u{2026}');
    short
}

#[cfg(test)]
mod tests {
    //! Every line fits, and no digit is lost.

    use super::*;

    fn page(rows: &[&[&str]]) -> Page {
        let names: Vec<String> = (0..rows[0].len()).map(|n| format!("column{n}")).collect();
        let mut page = Page::new(&names);
        for row in rows {
            page.row(row.iter().map(|c| Some((*c).to_owned()).filter(|c| !c.is_empty())).collect());
        }
        page
    }

    #[test]
    fn texts_are_cut_and_numbers_never() {
        let long = "a long text that says more than anybody wants to read in one line";
        let page = page(&[&["1", long, "-0.000000000000000001"], &["20", "", "3"]]);
        for columns in [60, 80, 200] {
            let lines = page.lines(columns, 1);
            assert_eq!(lines.len(), 4);
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:#?}");
            assert!(lines[2].ends_with("-0.000000000000000001"), "{lines:#?}");
        }
        assert!(page.lines(60, 1)[2].contains('\u{2026}'));
        assert!(page.lines(200, 1)[2].contains(long));
    }

    #[test]
    fn too_many_columns_become_lines() {
        let wide: Vec<&str> = vec!["0.123456789012345678"; 12];
        let page = page(&[&wide]);
        let lines = page.lines(80, 7);
        assert_eq!(lines.len(), 13);
        assert_eq!(lines[0], "row 7");
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
    }
}
