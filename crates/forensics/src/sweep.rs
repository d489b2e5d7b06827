//! One read over a stretch of a journal, shared by a few threads: each takes whole segments, and what they found is put
//! together in the order of the journal.
//!
//! Every record is verified as ever. Nothing behind a hole is looked at.

use crate::replay::{ReadError, engine_reader};
use aegis_journal::{Damage, JournalReader, Record, StorageRead};
use aegis_model::Lsn;
use std::sync::atomic::{AtomicU64, Ordering};

/// Readers at most: a disk and two or three cores are busy with that many.
const THREADS_MAX: usize = 4;
/// Records between two calls about the progress.
const PROGRESS_RECORDS: u64 = 1 << 16;
/// Damaged places passed while what is intact behind them is counted.
const HOLES_MAX: u32 = 1_000;

/// Looks at the records of one part, in order.
pub(crate) trait Visitor: Send {
    fn visit(&mut self, record: &Record<'_>) -> Result<(), ReadError>;
}

/// What a sweep found.
pub(crate) struct Swept<V> {
    /// One visitor for each part, in the order of the journal.
    pub(crate) parts: Vec<V>,
    /// The last record that was looked at.
    pub(crate) last: Lsn,
    /// The first hole.
    pub(crate) hole: Option<Damage>,
    /// Intact records behind a gap.
    pub(crate) behind_gap: u64,
}

/// A stretch of records: both ends belong to it, and the batch of the last one does as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) from: Lsn,
    pub(crate) to: Lsn,
}

impl Stretch {
    pub(crate) const ALL: Stretch = Stretch { from: Lsn(1), to: Lsn(u64::MAX) };
}

/// Told how many records were read so far; called from any thread.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Reads a stretch. `open` makes a handle on the journal for each thread, `new` a visitor for each part.
///
/// # Errors
/// [`ReadError`], the first one in the order of the journal.
pub(crate) fn sweep<R: StorageRead, V: Visitor>(
    open: &(impl Fn() -> Result<R, ReadError> + Sync),
    stretch: Stretch,
    progress: Progress<'_>,
    new: &(impl Fn() -> V + Sync),
) -> Result<Swept<V>, ReadError> {
    let first = engine_reader(open()?)?;
    let segments = first.segments().map_err(ReadError::Open)?;
    let stretches = divide(&segments, stretch);
    let read = AtomicU64::new(0);
    let part = |reader: JournalReader<R>, stretch: Stretch| {
        let count = |n| progress(read.fetch_add(n, Ordering::Relaxed) + n);
        read_part(reader, stretch, new(), &count)
    };
    let mut results = std::thread::scope(|scope| {
        let part = &part;
        let others: Vec<_> = stretches[1..]
            .iter()
            .map(|stretch| scope.spawn(move || part(engine_reader(open()?)?, *stretch)))
            .collect();
        let mut results = vec![part(first, stretches[0])];
        for other in others {
            results.push(match other.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
        }
        results
    })
    .into_iter();
    let mut swept = Swept { parts: Vec::new(), last: Lsn::NONE, hole: None, behind_gap: 0 };
    for result in &mut results {
        let part = result?;
        if swept.hole.is_some() {
            swept.behind_gap += part.records + part.behind_gap;
            continue;
        }
        swept.parts.push(part.visitor);
        swept.last = swept.last.max(part.last);
        swept.hole = part.hole;
        swept.behind_gap += part.behind_gap;
    }
    Ok(swept)
}

/// Parts of about as many records each, cut where segments begin.
fn divide(segments: &[(u64, u64)], stretch: Stretch) -> Vec<Stretch> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, THREADS_MAX);
    let inside: Vec<u64> = segments
        .iter()
        .map(|(_, lsn)| *lsn)
        .filter(|lsn| *lsn > stretch.from.0 && *lsn <= stretch.to.0)
        .collect();
    // How many records the last segment holds is not known: segments are as good a measure.
    let parts = threads.min(inside.len() + 1);
    let mut starts = vec![stretch.from.0];
    starts.extend((1..parts).map(|n| inside[n * (inside.len() + 1) / parts - 1]));
    starts.dedup();
    let end = |n: usize| starts.get(n + 1).map_or(stretch.to, |next| Lsn(next - 1));
    (0..starts.len()).map(|n| Stretch { from: Lsn(starts[n]), to: end(n) }).collect()
}

struct Part<V> {
    visitor: V,
    records: u64,
    last: Lsn,
    hole: Option<Damage>,
    behind_gap: u64,
}

fn read_part<R: StorageRead, V: Visitor>(
    mut reader: JournalReader<R>,
    stretch: Stretch,
    visitor: V,
    count: &dyn Fn(u64),
) -> Result<Part<V>, ReadError> {
    let mut part = Part { visitor, records: 0, last: Lsn::NONE, hole: None, behind_gap: 0 };
    if stretch.from.0 > 1 {
        reader.seek(stretch.from.0).map_err(ReadError::Open)?;
    }
    let mut holes = 0;
    let mut told = 0;
    let mut ended = false;
    loop {
        match reader.next() {
            Ok(None) => break,
            Err(damage) => {
                part.hole.get_or_insert(damage);
                holes += 1;
                if holes == HOLES_MAX {
                    break;
                }
            }
            Ok(Some(record)) if record.lsn > stretch.to.0 && (ended || record.batch_first) => break,
            Ok(Some(record)) if record.after_gap => part.behind_gap += 1,
            Ok(Some(record)) => {
                part.visitor.visit(&record)?;
                part.last = Lsn(record.lsn);
                part.records += 1;
                ended = record.batch_end;
                if part.records - told == PROGRESS_RECORDS {
                    count(PROGRESS_RECORDS);
                    told = part.records;
                }
            }
        }
    }
    count(part.records - told);
    Ok(part)
}

#[cfg(test)]
mod tests {
    //! However it is divided, each record is seen once and in order.

    use super::*;
    use crate::testing::Written;
    use aegis_journal::Storage;
    use aegis_projection::testing::{Dice, Story};

    struct Seen(Vec<u64>);

    impl Visitor for Seen {
        fn visit(&mut self, record: &Record<'_>) -> Result<(), ReadError> {
            self.0.push(record.lsn);
            Ok(())
        }
    }

    fn seen(disk: &aegis_journal::MemStorage, stretch: Stretch) -> (Vec<u64>, Swept<Seen>) {
        let swept = sweep(&|| Ok(disk.reader()), stretch, &|_| (), &|| Seen(Vec::new())).expect("a journal");
        (swept.parts.iter().flat_map(|p| p.0.clone()).collect(), swept)
    }

    #[test]
    fn every_record_once_and_in_order_up_to_a_hole() {
        let mut story = Story::begin();
        let mut dice = Dice::new(3);
        while story.events.len() < 6_000 {
            story.step(&mut dice);
        }
        let mut written = Written::new();
        for batch in story.events.chunks(3) {
            written.batch(batch);
        }
        let total = story.events.len() as u64;
        let disk = written.closed();
        assert_eq!(seen(&disk, Stretch::ALL).0, (1..=total).collect::<Vec<_>>());
        let (from, to) = (Lsn(700), Lsn(total - 700));
        let end = to.0.div_ceil(3) * 3;
        assert_eq!(seen(&disk, Stretch { from, to }).0, (700..=end).collect::<Vec<_>>());
        let one = Stretch { from, to: from };
        assert_eq!(seen(&disk, one).0, (700..=702).collect::<Vec<_>>());
        disk.patch("0000000002.seg", 4096 + 40, &[0xff; 8]);
        let (records, swept) = seen(&disk, Stretch::ALL);
        let hole = swept.hole.expect("a hole").lsn;
        assert_eq!(records, (1..hole).collect::<Vec<_>>());
        assert!(swept.behind_gap > total - hole - 10, "what is behind is counted");
    }
}
