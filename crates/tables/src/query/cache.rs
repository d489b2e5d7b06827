//! Rows of small tables that a query looks at again and again, as the inner side of a join does: kept in memory, with an
//! index for each column that is asked for one value.

use crate::scan::{Mask, Owned, Range, Scan, Shared};
use crate::schema::Table;
use aegis_forensics::ReadError;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Cells of a table that is kept at most; a larger one is read again each time.
const CELLS_MAX: usize = 4_000_000;
/// Scans from which on a table is kept: of all of it, and of a part.
const SCANS_WHOLE: u32 = 2;
const SCANS_PART: u32 = 64;

/// The rows of one table, and who asks for them.
#[derive(Default)]
pub(super) struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    scans: u32,
    too_large: bool,
    kept: Option<Arc<Kept>>,
}

type Index = BTreeMap<Key, Arc<Vec<usize>>>;

/// Rows in memory.
pub(super) struct Kept {
    pub(super) rows: Vec<Vec<Owned>>,
    indexes: Mutex<BTreeMap<usize, Arc<Index>>>,
}

/// What can be looked up.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    Int(i64),
    Text(String),
}

impl Cache {
    /// The rows, once it pays to keep them.
    pub(super) fn rows(
        &self,
        shared: &Shared,
        table: &'static Table,
        range: Range,
    ) -> Result<Option<Arc<Kept>>, ReadError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.scans += 1;
        let needed = if range == Range::ALL { SCANS_WHOLE } else { SCANS_PART };
        if inner.kept.is_some() || inner.too_large || inner.scans < needed {
            return Ok(inner.kept.clone());
        }
        let mut scan = Scan::begin(shared, table, Range::ALL, Mask::ALL)?;
        let (mut rows, mut row) = (Vec::new(), Vec::new());
        while scan.next(shared, &mut row)? {
            rows.push(std::mem::take(&mut row));
            if rows.len() * table.columns.len() > CELLS_MAX {
                inner.too_large = true;
                return Ok(None);
            }
        }
        inner.kept = Some(Arc::new(Kept { rows, indexes: Mutex::default() }));
        Ok(inner.kept.clone())
    }
}

impl Kept {
    /// The rows that have this value in a column.
    pub(super) fn find(&self, column: usize, key: &Key) -> Arc<Vec<usize>> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let index = indexes.entry(column).or_insert_with(|| {
            let mut index: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
            for (at, row) in self.rows.iter().enumerate() {
                let key = match row.get(column) {
                    Some(Owned::Int(n)) => Key::Int(*n),
                    Some(Owned::Text(text)) => Key::Text(text.clone()),
                    Some(Owned::Null | Owned::Bytes(_)) | None => continue,
                };
                index.entry(key).or_default().push(at);
            }
            Arc::new(index.into_iter().map(|(key, rows)| (key, Arc::new(rows))).collect())
        });
        index.get(key).cloned().unwrap_or_default()
    }
}
