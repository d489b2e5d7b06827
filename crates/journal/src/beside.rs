//! Work on one file that a second core does while the first one reads it: hashing what is being verified, and
//! proving that the end is zero. Each reads for itself, from its own handle; both are plain functions of the bytes.

use std::thread::JoinHandle;

use crate::layout::{Header, PAGE_BYTES};
use crate::scan::first_not_zero;
use crate::storage::Source;

/// Bytes read at a time.
const PORTION_BYTES: u64 = 256 << 10;
/// Bytes read at a time past the cache, where nobody reads ahead.
const LONG_PORTION_BYTES: u64 = 1 << 20;
/// Less than this is done sooner than a thread is started.
const WORTH_BYTES: u64 = 1 << 20;

/// A result that is on its way. It is waited for, also when nobody wants it any more.
pub(crate) struct Beside<T>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Beside<T> {
    /// Starts `work` if there is enough of it; `None` when the caller had better do it.
    fn start(bytes: u64, work: impl FnOnce() -> T + Send + 'static) -> Option<Beside<T>> {
        if bytes < WORTH_BYTES {
            return None;
        }
        let thread = std::thread::Builder::new().name("journal-beside".into()).spawn(work).ok()?;
        Some(Beside(Some(thread)))
    }

    /// The result; `None` when there is none.
    pub(crate) fn wait(mut self) -> Option<T> {
        self.0.take().and_then(|thread| thread.join().ok())
    }
}

impl<T> Drop for Beside<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Hashes the header and the frames up to `end`.
pub(crate) fn hash<F: Source>(
    source: F,
    header: &Header,
    end: u64,
) -> Option<Beside<Option<blake3::Hasher>>> {
    let header = header.clone();
    Beside::start(end.saturating_sub(PAGE_BYTES), move || {
        let mut hasher = header.root_hasher();
        portions(&source, PAGE_BYTES, end, PORTION_BYTES, |bytes| {
            hasher.update(bytes);
            true
        })
        .then_some(hasher)
    })
}

/// As `all_zero`, on a second core.
pub(crate) fn zeros<F: Source>(source: F, from: u64, until: u64) -> Option<Beside<bool>> {
    Beside::start(until.saturating_sub(from), move || all_zero(&source, from, until))
}

/// Whether every byte from `from` to `until` is there, readable and zero.
pub(crate) fn all_zero<F: Source>(source: &F, from: u64, until: u64) -> bool {
    portions(source, from, until, LONG_PORTION_BYTES, |bytes| first_not_zero(bytes).is_none())
}

/// Hands the bytes on while `take` wants more; whether it took all of them.
fn portions<F: Source>(
    source: &F,
    from: u64,
    until: u64,
    portion: u64,
    mut take: impl FnMut(&[u8]) -> bool,
) -> bool {
    let page = PAGE_BYTES as usize;
    let mut buffer = vec![0; portion as usize + page];
    let address = buffer.as_ptr().addr();
    // A page of the file at a page of the memory, as in the scan.
    let skew = address.next_multiple_of(page) - address;
    let mut at = from;
    while at < until {
        let within = (at % PAGE_BYTES) as usize;
        let wanted = (portion as usize - within).min((until - at) as usize);
        let target = &mut buffer[skew + within..skew + within + wanted];
        if !matches!(source.read_at(at, target), Ok(n) if n == wanted) || !take(target) {
            return false;
        }
        at += wanted as u64;
    }
    true
}

#[cfg(test)]
mod tests;
