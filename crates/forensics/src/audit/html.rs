//! The audit as one HTML file that needs nothing else: its style and pictures are inside, and it runs no script.

use super::sections::{Table, head, sections, short};
use super::{Audit, chart};

/// The report.
pub fn html(audit: &Audit) -> String {
    let (title, text) = head(audit);
    let title = escaped(&title);
    let sections = sections(audit);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    push_text(&mut out, &text);
    out.push_str("<nav>");
    for section in &sections {
        out.push_str(&format!("<a href=\"#{}\">{}</a> ", section.id, section.title));
    }
    out.push_str("</nav>\n");
    for section in &sections {
        out.push_str(&format!("<section id=\"{}\">\n<h2>{}</h2>\n", section.id, section.title));
        push_text(&mut out, &section.text);
        if section.id == "equity" && !audit.equity.curve.is_empty() {
            figure(&mut out, &format!("result over time, {}", audit.quote), chart::equity(&audit.equity));
            figure(&mut out, "below the highest value so far", chart::drawdown(&audit.equity));
        }
        if let Some(table) = &section.table {
            push_table(&mut out, table);
        }
        if section.id == "positions" {
            charts(&mut out, audit);
        }
        out.push_str("</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// The pictures of the positions.
fn charts(out: &mut String, audit: &Audit) {
    let drawn: Vec<_> = audit.positions.iter().filter_map(|p| p.chart.as_ref().map(|c| (p, c))).collect();
    if drawn.is_empty() {
        return;
    }
    let without = audit.positions.len() - drawn.len();
    out.push_str(
        "<p class=\"legend\"><span class=\"price\">price</span> <span class=\"stop\">stop</span> \
         <span class=\"buy\">&#9650; bought</span> <span class=\"sell\">&#9660; sold</span></p>\n",
    );
    if without > 0 {
        out.push_str(&format!(
            "<p>The newest {} positions are drawn; --from and --until move the window.</p>\n",
            drawn.len()
        ));
    }
    for (p, c) in drawn {
        let reason = match (p.closed, p.reason) {
            (None, _) => "open".to_owned(),
            (Some(_), Some(reason)) => format!("left by {reason}"),
            (Some(_), None) => "closed".to_owned(),
        };
        let name = format!(
            "{} {}, {} to {}: {reason}, profit {}, {}",
            p.instrument,
            p.cycle,
            short(p.opened),
            short(p.closed.unwrap_or(audit.until)),
            p.profit,
            p.source
        );
        figure(out, &name, chart::position(c));
    }
}

fn figure(out: &mut String, name: &str, drawn: Result<String, Box<dyn std::error::Error>>) {
    let picture = match drawn {
        Ok(svg) => svg,
        Err(e) => format!("<p>not drawn: {}</p>", escaped(&e.to_string())),
    };
    out.push_str(&format!("<figure>\n<figcaption>{}</figcaption>\n{picture}</figure>\n", escaped(name)));
}

fn push_text(out: &mut String, sentences: &[String]) {
    for sentence in sentences {
        out.push_str(&format!("<p>{}</p>\n", escaped(sentence)));
    }
}

fn push_table(out: &mut String, table: &Table) {
    let class = |number: bool| if number { " class=\"number\"" } else { "" };
    out.push_str("<div class=\"table\"><table>\n<thead><tr>");
    for (name, number) in &table.head {
        out.push_str(&format!("<th{}>{name}</th>", class(*number)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for (cell, (_, number)) in row.iter().zip(&table.head) {
            out.push_str(&format!("<td{}>{}</td>", class(*number), escaped(cell)));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// Text without a meaning in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "
body { font: 14px/1.45 system-ui, sans-serif; color: #1e293b; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #e2e8f0 }
p { margin: .3rem 0; overflow-wrap: anywhere } nav { margin: 1rem 0 } nav a { margin-right: .8rem; color: #1d4ed8 }
.table { overflow-x: auto } table { border-collapse: collapse; margin: .6rem 0; font-size: 13px }
th, td { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #e2e8f0; vertical-align: top }
th { color: #475569; font-weight: 600 } .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
figure { margin: 1rem 0 } figcaption { color: #475569 } svg { max-width: 100%; height: auto }
.legend span { margin-right: 1rem } .price { color: #334155 } .stop { color: #dc2626 } .buy { color: #16803d } .sell { color: #b45309 }
";
