//! What tables there are: names, columns, types, meanings. Made once, from the list of records and that of the fold.

use crate::{folded, kinds};
use std::sync::LazyLock;

/// What a column holds. None of them is a float.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Type {
    /// A whole number from 0 to 2^64 - 1.
    U64,
    /// A whole number from -2^63 to 2^63 - 1.
    I64,
    /// Yes or no.
    Bool,
    /// UTF-8.
    Text,
    /// Nanoseconds since 1970-01-01T00:00:00Z, UTC. A limit that never comes is nothing.
    Time,
    /// An exact decimal: a count of 10^-18 in 128 bits, at most about 1.7 * 10^20 (39 digits, 18 of them behind the
    /// point).
    Decimal,
    /// Bytes, such as a digest.
    Bytes,
}

impl Type {
    /// Its name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Type::U64 => "u64",
            Type::I64 => "i64",
            Type::Bool => "bool",
            Type::Text => "text",
            Type::Time => "time",
            Type::Decimal => "decimal",
            Type::Bytes => "bytes",
        }
    }
}

/// One column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name: lower case with underscores, never a word that SQL reserves.
    pub name: String,
    /// What it holds.
    pub kind: Type,
    /// Whether a row may have nothing there.
    pub nullable: bool,
    /// What it means.
    pub doc: String,
}

/// Where a table's rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Source {
    /// Every record, one row each.
    Records,
    /// Records of one kind, one row each; the first five columns are those of [`Source::Records`].
    Kind(u16),
    /// Stages of trailing stops in plans, one row each: a list inside records.
    Stages,
    /// Open positions at the end, from the fold.
    Positions,
    /// Closed and open cycles, from the fold.
    Cycles,
    /// Executions with fee, purpose and cycle, from the fold.
    Fills,
    /// Assets at the end, from the fold.
    Balances,
    /// Each place that a stop stood at and how long, from the fold.
    Stops,
}

impl Source {
    /// Whether the rows need the records to be folded.
    pub const fn is_folded(self) -> bool {
        match self {
            Source::Records | Source::Kind(_) | Source::Stages => false,
            Source::Positions | Source::Cycles | Source::Fills | Source::Balances | Source::Stops => true,
        }
    }
}

/// One table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub doc: String,
    /// Where rows come from.
    pub source: Source,
    /// Its columns, in order.
    pub columns: Vec<Column>,
}

impl Table {
    /// The place of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name)
    }
}

/// Every table: `records`, one for each kind of record in the order of the kinds, `plan_stages`, those of the fold.
pub fn tables() -> &'static [Table] {
    static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
        let mut all = vec![kinds::records()];
        all.extend(kinds::tables());
        all.push(kinds::stages());
        all.extend(folded::tables());
        all
    });
    &TABLES
}

/// Columns being listed.
#[derive(Default)]
pub(crate) struct Shape(pub(crate) Vec<Column>);

/// What the next column is called and means.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) nullable: bool,
    pub(crate) doc: String,
}

impl Place {
    pub(crate) fn new(name: &str, doc: &str) -> Place {
        Place { name: renamed(name).to_owned(), nullable: false, doc: doc.trim().to_owned() }
    }

    /// A part of this one: `name_suffix`, with a meaning of its own.
    pub(crate) fn part(&self, suffix: &str, doc: &str) -> Place {
        let doc = format!("{} {doc}", self.doc);
        Place { name: format!("{}_{suffix}", self.name), nullable: self.nullable, doc }
    }

    /// The same, which may be missing.
    pub(crate) fn optional(&self) -> Place {
        Place { nullable: true, ..self.clone() }
    }
}

impl Shape {
    pub(crate) fn push(&mut self, place: &Place, kind: Type) {
        let Place { name, nullable, doc } = place.clone();
        self.0.push(Column { name, kind, nullable, doc });
    }

    /// Adds a column that stands alone.
    pub(crate) fn add(&mut self, name: &str, kind: Type, nullable: bool, doc: &str) {
        self.push(&Place { nullable, ..Place::new(name, doc) }, kind);
    }
}

/// Fields whose names SQL reserves have others in tables.
pub(crate) fn renamed(field: &str) -> &str {
    match field {
        "order" => "order_id",
        "by" => "by_whom",
        "end" => "outcome",
        other => other,
    }
}
