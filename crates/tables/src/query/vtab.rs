//! A table of a journal as a virtual table of SQLite: the only file of this crate with `unsafe` in it, which is two promises
//! that SQLite's structs come first in ours. What SQLite can leave to us are bounds on record numbers and times, and one
//! value of a column of a table that is kept in memory.

use super::cache::{Cache, Kept, Key};
use super::functions::instant;
use crate::scan::{Mask, Owned, Range, Scan, Shared};
use crate::schema::{Table, Type};
use crate::sqlite::declared;
use aegis_forensics::ReadError;
use aegis_model::Timestamp;
use rusqlite::types::{Null, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor, sqlite3_vtab,
    sqlite3_vtab_cursor,
};
use rusqlite::{Error, Result};
use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int};
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::sync::Arc;

/// Every table is a table by itself; none can be created.
pub(super) const MODULE: Module<'static, JournalTable> = Module::eponymous_only_module();

/// Rows that a scan of all of a table is taken for, and of a part.
const ROWS_WHOLE: i64 = 1_000_000;
const ROWS_PART: i64 = 1_000;

/// Comparisons that can be left to us, and their signs in a plan.
const SIGNS: [(IndexConstraintOp, &str); 5] = [
    (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ, "="),
    (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT, ">"),
    (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE, "]"),
    (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT, "<"),
    (IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE, "["),
];

/// What a table is made from.
#[derive(Clone)]
pub(super) struct Aux {
    table: &'static Table,
    shared: Arc<Shared>,
    cache: Arc<Cache>,
}

impl Aux {
    pub(super) fn new(table: &'static Table, shared: Arc<Shared>) -> Aux {
        Aux { table, shared, cache: Arc::default() }
    }
}

/// One table.
#[repr(C)]
pub(super) struct JournalTable {
    /// SQLite's part. Must be first.
    #[allow(dead_code, reason = "SQLite reads it")]
    base: sqlite3_vtab,
    aux: Aux,
}

/// What a column is compared by, if not by its bytes or as a number.
const fn collation(kind: Type) -> Option<&'static str> {
    match kind {
        Type::Decimal => Some("decimal"),
        Type::Time => Some("time"),
        Type::U64 | Type::I64 | Type::Bool | Type::Text | Type::Bytes => None,
    }
}

/// The statement that tells SQLite the columns.
fn declaration(table: &Table) -> String {
    let mut sql = String::from("CREATE TABLE x(");
    for (at, column) in table.columns.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let collation = collation(column.kind).map_or(String::new(), |name| format!(" COLLATE {name}"));
        // Writing to a string cannot fail.
        let _ = write!(sql, "{comma}\"{}\" {}{collation}", column.name, declared(column.kind));
    }
    sql.push(')');
    sql
}

// SAFETY: `repr(C)` puts the field of SQLite's type first.
unsafe impl<'vtab> VTab<'vtab> for JournalTable {
    type Aux = Aux;
    type Cursor = TableCursor<'vtab>;

    fn connect(
        _db: &mut VTabConnection,
        aux: Option<&Aux>,
        _module_name: &[u8],
        _database_name: &[u8],
        _table_name: &[u8],
        _args: &[&[u8]],
    ) -> Result<(Cow<'static, CStr>, JournalTable)> {
        let aux = aux.ok_or_else(|| Error::ModuleError("a table without a journal".to_owned()))?.clone();
        let sql = CString::new(declaration(aux.table)).map_err(|e| Error::ModuleError(e.to_string()))?;
        Ok((Cow::Owned(sql), JournalTable { base: sqlite3_vtab::default(), aux }))
    }

    fn best_index(&self, info: &mut IndexInfo) -> Result<bool> {
        let table = self.aux.table;
        let mut plan = format!("{:x}", info.col_used());
        let (mut bounds, mut exact, mut keyed) = (0, false, false);
        let mut wanted = Vec::new();
        for (at, constraint) in info.constraints().enumerate() {
            let Ok(column) = usize::try_from(constraint.column()) else { continue };
            let Some(known) = table.columns.get(column).filter(|_| constraint.is_usable()) else { continue };
            // Somebody may compare otherwise, and then only SQLite can.
            if info.collation(at).unwrap_or_default() != collation(known.kind).unwrap_or("BINARY") {
                continue;
            }
            let operator = constraint.operator();
            let Some((_, sign)) = SIGNS.iter().find(|(known, _)| *known == operator) else { continue };
            let is_bound = !table.source.is_folded() && matches!(known.name.as_str(), "lsn" | "event_time");
            let is_key =
                *sign == "=" && matches!(known.kind, Type::U64 | Type::I64 | Type::Text | Type::Bool);
            if is_bound {
                bounds += 1;
                exact |= *sign == "=" && known.name == "lsn";
            } else if is_key && !keyed {
                keyed = true;
            } else {
                continue;
            }
            wanted.push((at, column, sign));
        }
        for (place, (at, column, sign)) in wanted.iter().enumerate() {
            let place = c_int::try_from(place + 1).map_err(|e| Error::ModuleError(e.to_string()))?;
            info.constraint_usage(*at).set_argv_index(place);
            let _ = write!(plan, " {sign}{column}");
        }
        let rows = match (exact, bounds, keyed) {
            (true, _, _) => 1,
            (false, 0, false) => ROWS_WHOLE,
            (false, _, _) => ROWS_PART,
        };
        info.set_estimated_rows(rows);
        info.set_estimated_cost(rows as f64);
        // Records come in their order.
        let ordered = !table.source.is_folded() && {
            let mut orders = info.order_bys();
            orders.next().is_some_and(|o| o.column() == 0 && !o.is_order_by_desc()) && orders.next().is_none()
        };
        if ordered {
            info.set_order_by_consumed(true);
        }
        info.set_idx_str(&plan);
        Ok(true)
    }

    fn open(&'vtab mut self) -> Result<TableCursor<'vtab>> {
        Ok(TableCursor {
            base: sqlite3_vtab_cursor::default(),
            aux: self.aux.clone(),
            rows: Rows::Nothing,
            row: Vec::new(),
            number: 0,
            phantom: PhantomData,
        })
    }
}

/// A place in a table.
#[repr(C)]
pub(super) struct TableCursor<'vtab> {
    /// SQLite's part. Must be first.
    #[allow(dead_code, reason = "SQLite reads it")]
    base: sqlite3_vtab_cursor,
    aux: Aux,
    rows: Rows,
    /// The row of a scan.
    row: Vec<Owned>,
    /// Which row, from 1.
    number: i64,
    phantom: PhantomData<&'vtab JournalTable>,
}

/// Where rows come from.
enum Rows {
    Nothing,
    Scanned(Box<Scan>),
    /// All rows in memory, and at which.
    Kept(Arc<Kept>, usize),
    /// Some of them, by an index.
    Found(Arc<Kept>, Arc<Vec<usize>>, usize),
}

impl TableCursor<'_> {
    fn failed(&self, error: ReadError) -> Error {
        let text = error.to_string();
        self.aux.shared.met().failure = Some(error);
        Error::ModuleError(text)
    }

    fn begin(&mut self, plan: &Plan) -> std::result::Result<(), ReadError> {
        let Aux { table, shared, cache } = &self.aux;
        self.rows = match (cache.rows(shared, table, plan.range)?, &plan.key) {
            _ if plan.empty => Rows::Nothing,
            (Some(kept), Some((column, key))) => {
                let found = kept.find(*column, key);
                Rows::Found(kept, found, 0)
            }
            (Some(kept), None) => Rows::Kept(kept, 0),
            (None, _) => Rows::Scanned(Box::new(Scan::begin(shared, table, plan.range, plan.mask)?)),
        };
        Ok(())
    }

    fn current(&self) -> &[Owned] {
        match &self.rows {
            Rows::Nothing => &[],
            Rows::Scanned(_) => &self.row,
            Rows::Kept(kept, at) => kept.rows.get(*at).map_or(&[], Vec::as_slice),
            Rows::Found(kept, found, at) => {
                found.get(*at).and_then(|row| kept.rows.get(*row)).map_or(&[], Vec::as_slice)
            }
        }
    }
}

// SAFETY: `repr(C)` puts the field of SQLite's type first.
unsafe impl VTabCursor for TableCursor<'_> {
    fn filter(&mut self, _idx_num: c_int, idx_str: Option<&str>, args: &Filters<'_>) -> Result<()> {
        let plan = Plan::of(self.aux.table, idx_str.unwrap_or_default(), args);
        self.number = 1;
        self.begin(&plan).map_err(|e| self.failed(e))?;
        if let Rows::Scanned(scan) = &mut self.rows {
            match scan.next(&self.aux.shared, &mut self.row) {
                Ok(true) => {}
                Ok(false) => self.rows = Rows::Nothing,
                Err(e) => return Err(self.failed(e)),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.number += 1;
        match &mut self.rows {
            Rows::Nothing => {}
            Rows::Scanned(scan) => match scan.next(&self.aux.shared, &mut self.row) {
                Ok(true) => {}
                Ok(false) => self.rows = Rows::Nothing,
                Err(e) => return Err(self.failed(e)),
            },
            Rows::Kept(_, at) | Rows::Found(_, _, at) => *at += 1,
        }
        Ok(())
    }

    fn eof(&self) -> bool {
        match &self.rows {
            Rows::Nothing => true,
            Rows::Scanned(_) => false,
            Rows::Kept(kept, at) => *at >= kept.rows.len(),
            Rows::Found(_, found, at) => *at >= found.len(),
        }
    }

    fn column(&self, context: &mut Context, column: c_int) -> Result<()> {
        let cell = usize::try_from(column).ok().and_then(|at| self.current().get(at));
        match cell {
            Some(Owned::Null) | None => context.set_result(Null),
            Some(Owned::Int(n)) => context.set_result(*n),
            Some(Owned::Text(text)) => context.set_result(text.as_str()),
            Some(Owned::Bytes(bytes)) => context.set_result(bytes.as_slice()),
        }
    }

    fn rowid(&self) -> Result<i64> {
        Ok(self.number)
    }
}

/// What SQLite left to us.
struct Plan {
    mask: Mask,
    range: Range,
    key: Option<(usize, Key)>,
    /// Nothing can fit.
    empty: bool,
}

impl Plan {
    /// Bounds may let too much through, since SQLite looks at each row again, but never too little.
    fn of(table: &Table, text: &str, args: &Filters<'_>) -> Plan {
        let mut words = text.split(' ');
        let mask = words.next().and_then(|hex| u64::from_str_radix(hex, 16).ok()).map_or(Mask::ALL, Mask);
        let mut plan = Plan { mask, range: Range::ALL, key: None, empty: false };
        for (word, value) in words.zip(args.iter()) {
            let (sign, column) = word.split_at(1);
            let Some((at, column)) =
                column.parse().ok().and_then(|at: usize| Some((at, table.columns.get(at)?)))
            else {
                continue;
            };
            if matches!(value, ValueRef::Null) {
                // No comparison with nothing is true.
                plan.empty = true;
                continue;
            }
            match (column.name.as_str(), value) {
                ("lsn", ValueRef::Integer(n)) if !table.source.is_folded() => plan.numbered(sign, n),
                ("event_time", ValueRef::Text(text)) if !table.source.is_folded() => {
                    if let Some(at) = std::str::from_utf8(text).ok().and_then(instant) {
                        plan.timed(sign, at);
                    }
                }
                (_, ValueRef::Integer(n)) if sign == "=" && column.kind != Type::Text => {
                    plan.key = Some((at, Key::Int(n)));
                }
                (_, ValueRef::Text(text)) if sign == "=" && column.kind == Type::Text => {
                    plan.key = std::str::from_utf8(text).ok().map(|text| (at, Key::Text(text.to_owned())));
                }
                _ => {}
            }
        }
        plan
    }

    fn numbered(&mut self, sign: &str, n: i64) {
        let at_least = |n: i64| u64::try_from(n).unwrap_or(0);
        if matches!(sign, "=" | "]") {
            self.range.from = self.range.from.max(at_least(n));
        } else if sign == ">" {
            self.range.from = self.range.from.max(at_least(n.saturating_add(1)));
        }
        if matches!(sign, "=" | "[") {
            self.range.to = self.range.to.min(at_least(n));
        } else if sign == "<" {
            self.range.to = self.range.to.min(at_least(n.saturating_sub(1)));
        }
        self.empty |= self.range.from > self.range.to;
    }

    fn timed(&mut self, sign: &str, at: Timestamp) {
        if matches!(sign, "=" | "]" | ">") {
            self.range.since = Some(self.range.since.map_or(at, |old| old.max(at)));
        }
        if matches!(sign, "=" | "[" | "<") {
            self.range.until = Some(self.range.until.map_or(at, |old| old.min(at)));
        }
    }
}
