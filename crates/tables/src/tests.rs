//! Nothing of a record is missing in its row, and the tables of the fold say what the fold says.

use crate::schema::renamed;
use crate::testing::{Kept, reading, written};
use crate::{Source, Table, export, tables};
use aegis_forensics::Until;
use aegis_model::{Event, Fact, Fixed, Lsn};
use aegis_projection::testing::{BEGIN, Dice, Story, any_fact, event};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

fn kept(batches: &[Vec<Event>], until: Until) -> (Kept, crate::Told) {
    let all: Vec<&Table> = tables().iter().collect();
    let mut sink = Kept::default();
    let told =
        export(reading(&written(batches)), until, &all, &mut sink, &mut |_| ()).expect("a good journal");
    assert!(sink.finished);
    (sink, told)
}

/// What a JSON value says at its leaves; a list of bytes is one.
fn leaves(value: &Json, into: &mut Vec<String>) {
    match value {
        Json::Null => {}
        Json::Bool(yes) => into.push(yes.to_string()),
        Json::Number(n) => into.push(n.to_string()),
        Json::String(text) => into.push(text.clone()),
        Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_u64) => {
            let bytes: Vec<u64> = items.iter().filter_map(Json::as_u64).collect();
            into.push(format!("{bytes:?}"));
        }
        Json::Array(items) => items.iter().for_each(|item| leaves(item, into)),
        Json::Object(members) => {
            for (name, member) in members {
                // A variant with fields is an object named after it.
                if member.is_object() || name == "relative" || name == "offset" {
                    into.push(name.clone());
                }
                leaves(member, into);
            }
        }
    }
}

#[test]
fn every_field_of_every_kind_has_a_column_and_no_name_is_reserved_or_there_twice() {
    for doc in Fact::DOCS {
        let table =
            tables().iter().find(|t| t.source == Source::Kind(doc.kind)).expect("a table for each kind");
        assert!(!table.doc.is_empty());
        for (field, _) in doc.fields {
            let name = renamed(field);
            let there = |c: &crate::Column| c.name == name || c.name.starts_with(&format!("{name}_"));
            assert!(table.columns.iter().any(there), "{}.{field}", table.name);
        }
    }
    let names: BTreeSet<&str> = tables().iter().map(|t| t.name).collect();
    assert_eq!(names.len(), tables().len());
    for table in tables() {
        let columns: BTreeSet<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
        for column in &table.columns {
            assert!(!column.doc.is_empty(), "{}.{} says nothing", table.name, column.name);
            for word in ["order", "by", "end", "group", "select", "from", "to", "table", "index", "check"] {
                assert_ne!(column.name, word, "{}", table.name);
            }
        }
    }
}

/// What JSON has a number for and a row nothing: no record, no order, no end.
fn is_none(text: &str) -> bool {
    text == "0" || text == "9223372036854775807"
}

#[test]
fn every_value_of_every_record_is_in_its_row() {
    let mut dice = Dice::new(11);
    let facts: Vec<Event> = (0..20_000)
        .map(|n| {
            let mut fact = any_fact(&mut dice, n % 2 == 0);
            // A loss ahead of the record that tells of it would contradict the journal's own numbers.
            if let Fact::GapFound(gap) = &mut fact {
                gap.last = gap.last.min(Lsn(n));
            }
            event(BEGIN, fact)
        })
        .collect();
    let mut seen = BTreeSet::new();
    let batches: Vec<Vec<Event>> = facts.chunks(50).map(<[Event]>::to_vec).collect();
    let (sink, told) = kept(&batches, Until::End);
    assert_eq!(told.last, Lsn(facts.len() as u64));
    assert_eq!(sink.of("records").len(), facts.len());
    let mut stages: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    for row in sink.of("plan_stages") {
        let cells = ["activation", "distance", "distance_unit"].map(|name| row[name].as_str()).to_vec();
        stages.entry(row["lsn"].as_str()).or_default().push(cells);
    }
    for (at, event) in facts.iter().enumerate() {
        let lsn = (at + 1).to_string();
        let json = serde_json::to_value(&event.fact).expect("JSON");
        let (name, body) = json.as_object().and_then(|o| o.iter().next()).expect("one variant");
        let table = tables().iter().find(|t| t.name == name).unwrap_or_else(|| panic!("{name}"));
        let rows = sink.of(table.name);
        let found = rows.binary_search_by_key(&(at as u64 + 1), |row| row["lsn"].parse().expect("a number"));
        let row = &rows[found.expect("a row for each record")];
        let batch = (at / 50 * 50 + 1).to_string();
        assert_eq!((row["batch_lsn"].as_str(), row["actor"].as_str()), (batch.as_str(), event.actor.word()));
        for (field, value) in body.as_object().expect("fields") {
            let name = renamed(field);
            let has = |column: &str| column == name || column.starts_with(&format!("{name}_"));
            let mut cells: Vec<&str> =
                row.iter().filter(|(column, _)| has(column)).map(|(_, text)| text.as_str()).collect();
            for stage in stages.get(lsn.as_str()).into_iter().flatten() {
                cells.extend(stage);
            }
            let mut wanted = Vec::new();
            leaves(value, &mut wanted);
            for leaf in wanted {
                let structural = ["rule", "plan", "initial", "distance"].contains(&leaf.as_str());
                let there = structural || cells.contains(&leaf.as_str()) || is_none(&leaf);
                assert!(there, "{}.{field}: {leaf} of {value} is not in {row:?}", table.name);
            }
        }
        seen.insert(event.fact.kind());
    }
    let all: BTreeSet<u16> = Fact::KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(seen, all, "every kind was drawn");
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a BTreeMap<&'static str, String>>, column: &str) -> Fixed {
    rows.into_iter().filter_map(|row| row.get(column)).fold(Fixed::ZERO, |sum, text| {
        sum.plus(text.parse().expect("a decimal")).expect("a sum within range")
    })
}

#[test]
fn the_tables_of_the_fold_add_up_to_the_fold() {
    for seed in 1..12 {
        let mut story = Story::begin();
        let mut dice = Dice::new(seed);
        while story.events.len() < 3_000 {
            story.step(&mut dice);
            story.tell_cycles();
        }
        let batches: Vec<Vec<Event>> = story.events.chunks(3).map(<[Event]>::to_vec).collect();
        let (sink, _) = kept(&batches, Until::End);
        let state = &story.state;
        let open = state.instruments.iter().filter(|i| i.is_open());
        assert_eq!(sink.of("positions").len(), open.clone().count());
        let held = open.fold(Fixed::ZERO, |sum, i| sum.plus(i.held().0).expect("in range"));
        assert_eq!(sum(sink.of("positions"), "held"), held);
        for (at, i) in state.instruments.iter().enumerate() {
            let id = at.to_string();
            let cycles = sink.of("cycles").iter().filter(|row| row["instrument_id"] == id);
            let (book, name) = (&i.book.now, &i.spec.name);
            let of = |column| sum(cycles.clone(), column);
            assert_eq!(of("realised"), book.realised_total.0, "seed {seed}, {name}");
            let numbers: Vec<u32> = cycles.map(|row| row["cycle"].parse().expect("a number")).collect();
            assert!(numbers.iter().all(|n| *n <= book.cycle), "seed {seed}, {name}: {numbers:?}");
        }
        assert_eq!(sink.of("fills").len() as u64, state.totals.fills, "seed {seed}");
        assert_eq!(sink.of("balances").len(), state.assets.len());
        let standing = sink.of("stops").iter().filter(|row| !row.contains_key("until_lsn")).count();
        assert_eq!(standing, state.instruments.iter().filter(|i| i.protection.is_some()).count());
        let moves = sink.of("stops").iter().filter(|row| row.contains_key("why")).count();
        assert!(moves as u64 <= state.totals.stop_moves);
    }
}

#[test]
fn a_table_that_is_named_twice_is_chosen_once() {
    let names = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let chosen = crate::selection(&names(&["fills", "cycles", "fills"])).expect("tables");
    assert_eq!(chosen.iter().map(|table| table.name).collect::<Vec<_>>(), ["fills", "cycles"]);
    assert_eq!(crate::selection(&[]).expect("all").len(), tables().len());
    assert_eq!(crate::selection(&names(&["fills", "fils"])).err().as_deref(), Some("fils"));
}

#[test]
fn a_point_in_the_middle_is_the_end_of_a_batch() {
    let mut story = Story::begin();
    let mut dice = Dice::new(5);
    while story.events.len() < 300 {
        story.step(&mut dice);
    }
    let batches: Vec<Vec<Event>> = story.events.chunks(4).map(<[Event]>::to_vec).collect();
    let (sink, told) = kept(&batches, Until::Lsn(Lsn(101)));
    assert_eq!((told.last, sink.of("records").len()), (Lsn(104), 104));
    let (sink, told) = kept(&batches, Until::Before(Lsn(101)));
    assert_eq!((told.last, sink.of("records").len()), (Lsn(100), 100));
}

/// Every table with its columns, for people.
fn document() -> String {
    let mut text = String::from(
        "# Tables of a journal\n\n\
         What `aegis query` asks and `aegis export` writes. Types: `u64` and `i64` whole numbers, `bool`, `text`, `time` UTC with \
         nanoseconds, `decimal` exact with 18 digits behind the point, `bytes`. A column marked with `?` may hold nothing. \
         This file is held against the program by a test of `aegis-tables`; `AEGIS_RENEW=1` writes it anew.\n",
    );
    for table in tables() {
        let kind = match table.source {
            Source::Kind(kind) => format!(" (records of kind {kind})"),
            Source::Records | Source::Stages => String::new(),
            Source::Positions | Source::Cycles | Source::Fills | Source::Balances | Source::Stops => {
                " (folded)".to_owned()
            }
        };
        text.push_str(&format!("\n## {}{kind}\n\n{}\n\n", table.name, table.doc));
        for c in &table.columns {
            let null = if c.nullable { "?" } else { "" };
            text.push_str(&format!("- `{}` {}{null}: {}\n", c.name, c.kind.name(), c.doc));
        }
    }
    text
}

#[test]
fn the_document_lists_every_table_and_column() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tables.md");
    if std::env::var_os("AEGIS_RENEW").is_some() {
        std::fs::write(&path, document()).expect("a file of the repository");
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == document(),
        "{} is not what the program has: AEGIS_RENEW=1 writes it anew",
        path.display()
    );
}
