//! Queries against the rows that an export gives; what is left to us by SQLite loses nothing; nothing is written.

use super::*;
use crate::testing::{Kept, directory, history, reading, written};
use crate::{Type, export};
use aegis_model::{Event, Fixed, Lsn};
use std::collections::BTreeMap;

type Rows = Vec<Vec<Option<String>>>;

struct Asking {
    dir: tempfile::TempDir,
}

impl Asking {
    fn new(batches: &[Vec<Event>]) -> Asking {
        Asking { dir: directory(batches) }
    }

    fn query(&self, until: Until) -> Query {
        Query::open(self.dir.path(), until, Box::new(|_| ())).expect("a journal")
    }

    fn rows(&self, sql: &str) -> Rows {
        answer(&self.query(Until::End), sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    fn one(&self, sql: &str) -> String {
        self.rows(sql)[0][0].clone().unwrap_or_else(|| "nothing".to_owned())
    }
}

fn answer(query: &Query, sql: &str) -> Result<Rows, QueryError> {
    let mut rows = Vec::new();
    query.ask(
        sql,
        |_| Ok::<(), QueryError>(()),
        |cells| {
            let text = |cell: &Cell<'_>| match cell {
                Cell::Null => None,
                Cell::Int(n) => Some(n.to_string()),
                Cell::Real(n) => Some(format!("float {n}")),
                Cell::Text(text) => Some((*text).to_owned()),
                Cell::Bytes(bytes) => Some(format!("{bytes:?}")),
            };
            rows.push(cells.iter().map(text).collect());
            Ok(())
        },
    )?;
    Ok(rows)
}

fn kept(batches: &[Vec<Event>]) -> Kept {
    let all: Vec<&crate::Table> = tables().iter().collect();
    let mut kept = Kept::default();
    export(reading(&written(batches)), Until::End, &all, &mut kept, &mut |_| ()).expect("a journal");
    kept
}

#[test]
fn every_table_says_what_an_export_gives() {
    let (batches, _) = history(21, 900);
    let (asking, kept) = (Asking::new(&batches), kept(&batches));
    for table in tables() {
        // Each name stands as it is, so none of them is a word of SQL.
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let rows = asking.rows(&format!("select {} from {}", names.join(", "), table.name));
        assert_eq!(rows.len(), kept.of(table.name).len(), "{}", table.name);
        for (found, wanted) in rows.iter().zip(kept.of(table.name)) {
            for (column, cell) in table.columns.iter().zip(found) {
                let known = wanted.get(column.name.as_str());
                assert_eq!(cell.is_some(), known.is_some(), "{}.{}", table.name, column.name);
                if matches!(column.kind, Type::U64 | Type::I64 | Type::Text | Type::Decimal | Type::Bytes) {
                    assert_eq!(cell.as_ref(), known, "{}.{}", table.name, column.name);
                }
            }
        }
        let count = asking.one(&format!("select count(*) from {}", table.name));
        assert_eq!(count, rows.len().to_string(), "{}", table.name);
    }
}

#[test]
fn bounds_on_records_and_times_read_a_part_and_lose_nothing() {
    let (batches, state) = history(8, 40_000);
    let asking = Asking::new(&batches);
    let last = state.lsn.0;
    for (bounds, from) in [
        ("lsn between 20000 and 20100", Some(20_000)),
        ("lsn > 30000 and lsn <= 30007", Some(30_001)),
        ("lsn = 12345", Some(12_345)),
        // Between the two nothing is vouched for either.
        ("lsn in (700, 12345)", Some(12_345)),
        ("lsn < 50", None),
        ("lsn > 5 and lsn < 5", None),
        ("lsn = null", None),
    ] {
        let query = asking.query(Until::End);
        let found = answer(&query, &format!("select * from records where {bounds}")).expect("an answer");
        // The sign in front of a column keeps the bound from us.
        let plain = bounds.replace("lsn", "+lsn");
        assert_eq!(found, asking.rows(&format!("select * from records where {plain}")), "{bounds}");
        assert_eq!(query.asked().unread_before, from, "{bounds}");
    }
    let at = asking.one(&format!("select event_time from records where lsn = {}", last - 300));
    for sign in [">", ">=", "<", "<=", "="] {
        let bounded = asking.rows(&format!("select lsn from records where event_time {sign} '{at}'"));
        let plain =
            asking.rows(&format!("select lsn from records where +event_time {sign} '{at}' collate time"));
        assert_eq!(bounded, plain, "{sign} {at}");
        assert!(!bounded.is_empty(), "{sign} {at}");
    }
    let query = asking.query(Until::End);
    answer(&query, &format!("select lsn from records where event_time > '{at}'")).expect("an answer");
    assert!(query.asked().unread_before.is_some_and(|lsn| lsn > last / 2), "{:?}", query.asked());
    // The batch of a record in the middle is found although it begins before.
    let (batch, lsn) = (asking.one("select batch_lsn from records where lsn = 20001"), 20_000 / 3 * 3 + 1);
    assert_eq!(batch, lsn.to_string());
}

#[test]
fn names_are_known_in_the_middle() {
    let (batches, _) = history(8, 20_000);
    let asking = Asking::new(&batches);
    let sql = "select instrument_id, instrument from fill_booked where";
    let rows = asking.rows(&format!("{sql} lsn > 15000"));
    assert_eq!(rows, asking.rows(&format!("{sql} +lsn > 15000")));
    let named = rows.iter().filter(|row| row[1].is_some()).count();
    assert!(named > 100 && named > rows.len() / 2, "{named} of {}", rows.len());
}

#[test]
fn decimals_are_exact_and_compare_by_value() {
    let (batches, _) = history(3, 3_000);
    let (asking, kept) = (Asking::new(&batches), kept(&batches));
    let decimals = |column: &str| -> Vec<Fixed> {
        let rows = kept.of("fill_booked").iter().filter_map(|row| row.get(column));
        rows.map(|text| text.parse().expect("a decimal")).collect()
    };
    let (prices, quantities) = (decimals("price"), decimals("quantity"));
    let sum = quantities.iter().fold(Fixed::ZERO, |sum, q| sum.plus(*q).expect("in range")).to_string();
    assert_eq!(asking.one("select sum(quantity) from fill_booked"), sum);
    assert_eq!(asking.one("select decimal_sum(quantity) from fill_booked"), sum);
    assert_eq!(asking.one("select sum(quantity) over () from fill_booked limit 1"), sum);
    let highest = prices.iter().max().expect("fills").to_string();
    assert_eq!(asking.one("select max(price) from fill_booked"), highest);
    let mut sorted = prices.clone();
    sorted.sort();
    let found: Vec<Fixed> = asking
        .rows("select price from fill_booked order by price")
        .iter()
        .map(|row| row[0].as_ref().expect("a price").parse().expect("a decimal"))
        .collect();
    assert_eq!(found, sorted);
    let middle = sorted[sorted.len() / 2];
    let above = sorted.iter().filter(|p| **p > middle).count().to_string();
    assert_eq!(asking.one(&format!("select count(*) from fill_booked where price > {middle}")), above);
    assert_eq!(asking.one("select sum(order_id) from order_ended"), {
        let ids = kept.of("order_ended").iter().filter_map(|row| row.get("order_id"));
        ids.map(|id| id.parse::<i64>().expect("a number")).sum::<i64>().to_string()
    });
}

/// What the README and `aegis query --help` say about what a function makes.
#[test]
fn what_a_function_makes_is_sorted_and_compared_as_it_is_documented() {
    let (batches, _) = history(11, 3_000);
    let (asking, kept) = (Asking::new(&batches), kept(&batches));
    let decimal = |text: &str| text.parse::<Fixed>().expect("a decimal");
    let mut sums: BTreeMap<String, Fixed> = BTreeMap::new();
    let mut ends: Vec<Fixed> = Vec::new();
    for row in kept.of("cycles") {
        let end = decimal(&row["realised"]);
        let instrument = &row["instrument_id"];
        let key = format!("{instrument} {}", row.get("reason").map_or("", String::as_str));
        let sum = sums.entry(key).or_default();
        *sum = sum.plus(end).expect("in range");
        ends.push(end);
    }
    let grouped = "from cycles group by instrument_id, reason";
    let all = |sql: &str| -> Vec<Fixed> {
        asking.rows(sql).iter().map(|row| decimal(row[0].as_deref().expect("a sum"))).collect()
    };
    let mut sorted: Vec<Fixed> = sums.into_values().collect();
    sorted.sort();
    assert!(sorted[0].is_negative() && sorted[1].is_negative() && sorted.len() > 3, "{sorted:?}");
    let order = "order by sum(realised) collate decimal";
    assert_eq!(all(&format!("select sum(realised) {grouped} {order}")), sorted);
    assert_eq!(all(&format!("select sum(realised) s {grouped} order by s collate decimal")), sorted);
    let bound = sorted[1];
    for (sign, wanted) in [
        ("<", sorted.iter().filter(|s| **s < bound).copied().collect::<Vec<_>>()),
        (">", sorted.iter().filter(|s| **s > bound).copied().collect()),
        ("=", sorted.iter().filter(|s| **s == bound).copied().collect()),
    ] {
        let having = format!("having decimal_cmp(sum(realised), '{bound}') {sign} 0");
        assert_eq!(all(&format!("select sum(realised) {grouped} {having} {order}")), wanted, "{sign}");
    }
    let lost = sorted.iter().filter(|s| s.is_negative()).copied().collect::<Vec<_>>();
    let having = "having decimal_cmp(sum(realised), 0) < 0";
    assert_eq!(all(&format!("select sum(realised) {grouped} {having} {order}")), lost);
    let made = "decimal_add(realised, 0) collate decimal";
    let ends = [*ends.iter().min().expect("cycles"), *ends.iter().max().expect("cycles")];
    let found =
        asking.rows(&format!("select min({made}), max({made}), min(realised), max(realised) from cycles"));
    let found: Vec<Fixed> = found[0].iter().map(|cell| decimal(cell.as_deref().expect("one"))).collect();
    assert_eq!(found, [ends, ends].concat());
    // A column beside the greatest is of its row.
    let beside = asking.rows("select max(realised), realised from cycles");
    assert_eq!(beside[0][0], beside[0][1]);
    // Columns need none of it.
    let negative = kept.of("cycles").iter().filter(|row| decimal(&row["realised"]).is_negative()).count();
    assert_eq!(asking.one("select count(*) from cycles where realised < 0"), negative.to_string());
    assert!(negative > 0);
}

#[test]
fn floats_are_refused_where_sums_are_exact() {
    let (batches, _) = history(3, 600);
    let asking = Asking::new(&batches);
    let query = asking.query(Until::End);
    for sql in ["select sum(price * quantity) from fill_booked", "select decimal_add('0.1', 0.5)"] {
        let error = answer(&query, sql).expect_err("a float").to_string();
        assert!(error.contains("a float is not exact"), "{error}");
    }
    assert_eq!(
        answer(&query, "select decimal_mul('0.1', '0.25')").expect("exact")[0][0].as_deref(),
        Some("0.025")
    );
    assert_eq!(answer(&query, "select decimal_cmp('10', '9')").expect("exact")[0][0].as_deref(), Some("1"));
}

#[test]
fn a_text_that_is_none_is_shown_as_bytes() {
    let (batches, _) = history(3, 30);
    let rows = Asking::new(&batches).rows("select cast(x'61ff' as text), cast(x'6162' as text)");
    assert_eq!(rows, [[Some("[97, 255]".to_owned()), Some("ab".to_owned())]]);
}

#[test]
fn joins_look_rows_up() {
    let (batches, _) = history(14, 3_000);
    let (asking, kept) = (Asking::new(&batches), kept(&batches));
    let mut orders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in kept.of("order_intended") {
        orders.entry(row["order_id"].as_str()).or_default().push(row["lsn"].as_str());
    }
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for fill in kept.of("fill_booked") {
        let ended = fill.get("order_id").and_then(|order| orders.get(order.as_str()));
        wanted.extend(ended.into_iter().flatten().map(|lsn| (fill["lsn"].as_str(), *lsn)));
    }
    let rows = asking.rows(
        "select f.lsn, o.lsn from fill_booked f join order_intended o on o.order_id = f.order_id \
         order by f.lsn, o.lsn",
    );
    let found: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row[0].as_deref().expect("a number"), row[1].as_deref().expect("a number")))
        .collect();
    assert!(found.len() > 50, "{}", found.len());
    assert_eq!(found, wanted);
}

#[test]
fn a_query_only_reads_and_says_what_is_wrong() {
    let (batches, _) = history(3, 300);
    let asking = Asking::new(&batches);
    let outside = asking.dir.path().join("outside.db");
    let attach = format!("attach '{}' as other", outside.display());
    for sql in [
        attach.as_str(),
        "create table x (a)",
        "create temp table x (a)",
        "insert into fills values (1)",
        "delete from records",
        "drop table records",
        "pragma journal_mode = wal",
        "vacuum into 'x.db'",
        "select load_extension('x')",
        "begin",
    ] {
        let error = answer(&asking.query(Until::End), sql);
        assert!(error.is_err(), "{sql} was carried out");
    }
    assert!(!outside.exists());
    let told = |sql: &str| answer(&asking.query(Until::End), sql).expect_err(sql).to_string();
    assert_eq!(
        told("select lsn, pricee from fill_booked"),
        "no such column: pricee\n  select lsn, pricee from fill_booked\n              ^\n\
         `aegis query --tables` lists the tables, `--tables NAME` the columns of one"
    );
    assert!(told("select * from nowhere").starts_with("no such table: nowhere"));
    assert!(told("select 1; select 2").contains("one SELECT at a time"));
    assert!(told("").contains("no SELECT"));
    assert!(told("select ?").contains("no parameters"));
}

#[test]
fn a_point_in_the_middle_is_the_end_for_every_table() {
    let (batches, _) = history(6, 3_000);
    let asking = Asking::new(&batches);
    let query = asking.query(Until::Lsn(Lsn(1_000)));
    let rows = answer(&query, "select max(lsn), count(*) from records").expect("an answer");
    assert_eq!(rows, [[Some("1002".to_owned()), Some("1002".to_owned())]]);
    let fills = answer(&query, "select max(lsn) from fills").expect("an answer");
    let booked = answer(&query, "select max(lsn) from fill_booked").expect("an answer");
    assert_eq!(fills, booked);
    assert_eq!(query.asked().last, Some(1_002));
}

/// A journal of some 6,000 records with damage in its first segment, at a byte or, if less than 0, before its end.
fn damaged(at: isize) -> Asking {
    let (batches, _) = history(6, 6_000);
    let asking = Asking::new(&batches);
    let path = asking.dir.path().join("0000000001.seg");
    let mut bytes = std::fs::read(&path).expect("a segment");
    let at = if at < 0 { bytes.len().checked_add_signed(at).expect("a place") } else { at.unsigned_abs() };
    bytes[at..at + 8].fill(0xff);
    std::fs::write(&path, bytes).expect("the damage");
    asking
}

#[test]
fn a_point_behind_a_hole_is_not_reached_and_it_is_told() {
    let asking = damaged(30_000);
    let full = asking.query(Until::End);
    answer(&full, "select count(*) from records").expect("an answer");
    let full = full.asked();
    for until in
        [Until::Lsn(Lsn(5_000)), Until::Before(Lsn(5_000)), Until::Time(aegis_model::Timestamp(i64::MAX))]
    {
        let query = asking.query(until);
        let told = query.asked();
        assert!(told.hole.is_some() && told.behind_gap > 1_000, "{until:?}: {told:?}");
        let rows = answer(&query, "select max(lsn), count(*) from records").expect("an answer");
        assert_eq!(rows[0][0].as_deref(), full.last.map(|last| last.to_string()).as_deref(), "{until:?}");
        let told = query.asked();
        assert_eq!(
            (&told.hole, told.behind_gap, told.last),
            (&full.hole, full.behind_gap, full.last),
            "{until:?}"
        );
    }
    let query = asking.query(Until::Lsn(Lsn(50)));
    answer(&query, "select max(lsn), count(*) from records").expect("an answer");
    assert_eq!((query.asked().hole, query.asked().last), (None, Some(51)));
}

#[test]
fn rows_from_behind_a_hole_are_marked() {
    let asking = damaged(30_000);
    let (few, many) =
        ("(select count(*) from records where lsn < 10)", "(select count(*) from records where lsn > 5000)");
    let all = "(select count(*) from fills)";
    let query = asking.query(Until::End);
    let rows = answer(&query, &format!("select {few}, {many}")).expect("an answer");
    assert_eq!(rows[0][0].as_deref(), Some("9"));
    assert_ne!(rows[0][1].as_deref(), Some("0"));
    assert_eq!((query.asked().unread_before, query.asked().hole), (Some(5_001), None));
    // What is behind a hole that is known does not belong to the query.
    for scan in [all, "(select count(*) from records)"] {
        let query = asking.query(Until::End);
        answer(&query, &format!("select {scan}")).expect("an answer");
        let (end, hole, behind) = (query.asked().last, query.asked().hole, query.asked().behind_gap);
        assert!(
            hole.is_some() && behind > 1_000 && end.is_some_and(|end| end < 1_000),
            "{:?}",
            query.asked()
        );
        assert_eq!(answer(&query, &format!("select {many}")).expect("an answer")[0][0].as_deref(), Some("0"));
        assert_eq!((query.asked().last, query.asked().hole), (end, hole));
        // What was met first in the other order is marked by both.
        let query = asking.query(Until::End);
        answer(&query, &format!("select {many}")).expect("an answer");
        assert!(query.asked().last.is_some_and(|last| last > 5_000), "{:?}", query.asked());
        answer(&query, &format!("select {scan}")).expect("an answer");
        let told = query.asked();
        assert_eq!((told.last, told.behind_gap, told.unread_before), (end, behind, Some(5_001)), "{told:?}");
    }
    // Scans that together read all of it leave nothing unread.
    let (batches, _) = history(6, 3_000);
    let asking = Asking::new(&batches);
    for (sql, unread) in [
        (format!("select {all}, (select count(*) from records where lsn > 1000)"), None),
        ("select (select count(*) from records where lsn < 900), (select count(*) from records where lsn > 800)".to_owned(), None),
        (format!("select {few}, (select count(*) from records where lsn > 1000)"), Some(1_001)),
        ("select count(*) from records r join records c on c.lsn = r.cause_lsn limit 1".to_owned(), None),
    ] {
        let query = asking.query(Until::End);
        answer(&query, &sql).expect("an answer");
        assert_eq!(query.asked().unread_before, unread, "{sql}");
    }
}

#[test]
fn a_batch_behind_damage_begins_where_it_begins() {
    // The next segment begins so soon behind it that a look back begins before it.
    let asking = damaged(-1_500);
    let query = asking.query(Until::End);
    answer(&query, "select count(*) from records").expect("an answer");
    let hole = query.asked().last.expect("an end");
    let behind: Vec<u64> = (hole + 1..hole + 80)
        .filter(|lsn| {
            let found = asking.rows(&format!("select batch_lsn from records where lsn = {lsn}"));
            let batch = (lsn - 1) / 3 * 3 + 1;
            assert!(found.iter().all(|row| row[0] == Some(batch.to_string())), "{lsn}: {found:?}");
            !found.is_empty()
        })
        .collect();
    assert!(behind.len() > 20 && behind[0] > hole + 1, "{hole}: {behind:?}");
}

#[test]
fn behind_a_hole_nothing_is_shown_and_it_is_told() {
    let asking = damaged(30_000);
    let query = asking.query(Until::End);
    let rows = answer(&query, "select count(*), max(lsn) from records").expect("an answer");
    let told = query.asked();
    assert!(told.hole.is_some() && told.behind_gap > 1_000, "{told:?}");
    let count: u64 = rows[0][0].as_ref().expect("a count").parse().expect("a number");
    assert!(count > 100 && count + told.behind_gap <= 6_003, "{count} of {told:?}");
    assert_eq!(rows[0][0], rows[0][1]);
    let again =
        answer(&query, "select count(*) from records, (select count(*) from fills)").expect("an answer");
    assert_eq!(again[0][0], rows[0][0]);
    assert_eq!(query.asked().behind_gap, told.behind_gap, "it is counted once");
}
