//! The audit as Markdown. What comes from the journal is escaped, so that it can neither leave its cell nor be taken for
//! markup.

use super::Audit;
use super::sections::{Table, head, sections};

/// The report.
pub fn markdown(audit: &Audit) -> String {
    let (title, text) = head(audit);
    let mut out = format!("# {title}\n\n{}\n", paragraph(&text));
    for section in sections(audit) {
        out.push_str(&format!("\n## {}\n", section.title));
        if !section.text.is_empty() {
            out.push_str(&format!("\n{}\n", paragraph(&section.text)));
        }
        if let Some(table) = &section.table {
            out.push('\n');
            push_table(&mut out, table);
        }
    }
    out
}

fn paragraph(sentences: &[String]) -> String {
    sentences.iter().map(|s| escaped(s)).collect::<Vec<_>>().join("\n")
}

fn push_table(out: &mut String, table: &Table) {
    let line = |out: &mut String, cells: &mut dyn Iterator<Item = String>| {
        out.push('|');
        cells.for_each(|cell| out.push_str(&format!(" {cell} |")));
        out.push('\n');
    };
    line(out, &mut table.head.iter().map(|(name, _)| (*name).to_owned()));
    line(out, &mut table.head.iter().map(|(_, number)| if *number { "---:" } else { "---" }.to_owned()));
    for row in &table.rows {
        line(out, &mut row.iter().map(|cell| escaped(cell)));
    }
}

/// Text without a meaning in Markdown or HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '`' | '[' | ']' | '<' | '>' | '*' | '\\' | '#' | '&' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
