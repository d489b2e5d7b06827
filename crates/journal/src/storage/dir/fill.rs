//! Zeros ahead of the writer, written by the thread that made the file, while the file is already stored into.
//!
//! ```text
//! 0 ........ offset ...... permit ...... next ............ bytes
//!   records         theirs        zeros       allocated, never written
//!                   to take       are here
//! ```
//!
//! A file is usable as soon as its space is allocated. Zeros only make syncs cheaper, so they are written a portion
//! at a time and a little ahead of a writer that syncs: never a burst that its syncs would have to share the device
//! with, and nothing at all for a writer that does not sync, which has no use for them.
//!
//! Zeros never meet records: the writer stores only below its permit and the fill writes only at or above it. Both
//! change hands under one lock, and the writer waits for the one portion that is under way if it must pass it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rustix::fs as rfs;

use crate::layout::PAGE_BYTES;
use crate::storage::TouchAhead;

/// Bytes of zeros written at a time: some milliseconds of the device at worst, and seldom enough that the commit of
/// the file system's journal, which the next sync then makes, is lost among many.
const PORTION_BYTES: u64 = 256 << 10;
/// How far zeros are kept ahead of the writer: longer than a portion takes at any rate the device can sync.
const WINDOW_BYTES: u64 = 1 << 20;
/// The writer takes room in steps, so that it asks for the lock once in a thousand records.
const STEP_BYTES: u64 = 128 << 10;

/// The writer's end of it. Dropping it ends the fill, and waits for what is under way.
#[derive(Debug)]
pub(super) struct Fill {
    shared: Arc<Shared>,
    /// Stores below this need not ask.
    permit: u64,
    /// The writer has synced since it last asked.
    synced: bool,
}

/// The thread's end of it.
pub(super) struct Filler {
    shared: Arc<Shared>,
    file: File,
    /// The same file without the cache; `None` where there is no such thing.
    direct: Option<File>,
    zeros: Vec<u8>,
    touch: TouchAhead,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// There is work, or no more of it.
    wake: Condvar,
    /// A portion is done.
    done: Condvar,
}

#[derive(Debug)]
struct State {
    bytes: u64,
    permit: u64,
    next: u64,
    /// How far zeros are wanted.
    wanted: u64,
    /// Where the portion under way begins.
    busy: Option<u64>,
    /// The thread uses the file or its map.
    working: bool,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements; a panic elsewhere does not change that.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn waited<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Both ends, for a file with `bytes` of allocated space that nobody stores into yet.
pub(super) fn fill(file: File, direct: Option<File>, bytes: u64, touch: TouchAhead) -> (Fill, Filler) {
    let state = State {
        bytes,
        permit: 0,
        next: 0,
        wanted: WINDOW_BYTES.min(bytes),
        busy: None,
        working: false,
        stop: false,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), done: Condvar::new() });
    let zeros = vec![0; (PORTION_BYTES + PAGE_BYTES) as usize];
    (Fill { shared: shared.clone(), permit: 0, synced: false }, Filler { shared, file, direct, zeros, touch })
}

impl Fill {
    /// Before bytes up to `end` are stored.
    #[inline]
    pub(super) fn enter(&mut self, end: u64) {
        if end > self.permit {
            self.take(end);
        }
    }

    #[cold]
    fn take(&mut self, end: u64) {
        let mut state = self.shared.lock();
        while state.busy.is_some_and(|from| from < end) {
            state = waited(&self.shared.done, state);
        }
        // A portion begins at a page, and so does what the next one may take.
        let end = end.next_multiple_of(PAGE_BYTES);
        let step = (end + STEP_BYTES).min(state.bytes);
        let permit = state.busy.map_or(step, |from| step.min(from)).max(end);
        state.permit = state.permit.max(permit);
        self.permit = state.permit;
        if self.synced {
            self.shared.want(&mut state, permit + WINDOW_BYTES);
            self.synced = false;
        }
    }

    /// The writer syncs, so zeros ahead of it are worth their writing.
    #[inline]
    pub(super) fn synced(&mut self) {
        if !self.synced {
            self.synced = true;
            let mut state = self.shared.lock();
            let wanted = state.permit + WINDOW_BYTES;
            self.shared.want(&mut state, wanted);
        }
    }

    /// Whether zeros are everywhere that no record is; asks for them.
    pub(super) fn is_full(&self) -> bool {
        let mut state = self.shared.lock();
        let wanted = state.bytes;
        self.shared.want(&mut state, wanted);
        state.next >= state.bytes && !state.working
    }

    /// `touch` for pages that no zeros will be written to from then on. None that are being written to: a page that
    /// is dirtied behind the back of a direct write is an error of the file to the kernel.
    pub(super) fn beside(&self, touch: TouchAhead) -> TouchAhead {
        let shared = self.shared.clone();
        Box::new(move |from, length| {
            let until = from.saturating_add(length).next_multiple_of(PAGE_BYTES);
            let mut state = shared.lock();
            if state.busy.is_none_or(|busy| until <= busy) {
                state.permit = state.permit.max(until.min(state.bytes));
                drop(state);
                touch(from, length);
            }
        })
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stop = true;
        self.shared.wake.notify_one();
        while state.working {
            state = waited(&self.shared.done, state);
        }
    }
}

impl Shared {
    fn want(&self, state: &mut State, until: u64) {
        let until = until.min(state.bytes);
        if until > state.wanted {
            state.wanted = until;
        }
        // Half a window is left before the thread is woken: one waking for several portions.
        if state.wanted > state.next && (state.next < state.permit + WINDOW_BYTES / 2 || until == state.bytes)
        {
            self.wake.notify_one();
        }
    }
}

impl Filler {
    /// Writes portions until as much as is wanted is there; the first failure is returned.
    pub(super) fn catch_up(&mut self) -> io::Result<()> {
        while let Some((from, until)) = self.begin() {
            let written = self.zero(from, until);
            {
                let mut state = self.shared.lock();
                state.busy = None;
                // After a failure nothing more is tried: what the writer stores and syncs will tell.
                state.next = if written.is_ok() { until } else { state.bytes };
                self.shared.done.notify_all();
            }
            if written.is_ok() {
                // Zeros that went past the cache are read into it, page by page and not in large folios, of which
                // one store would dirty the whole; and each page is entered into the map.
                let _ = rfs::fadvise(
                    &self.file,
                    from,
                    std::num::NonZeroU64::new(until - from),
                    rfs::Advice::WillNeed,
                );
                (self.touch)(from, until - from);
            }
            self.shared.lock().working = false;
            self.shared.done.notify_all();
            written?;
        }
        Ok(())
    }

    /// As `catch_up`, whenever something is wanted, until the writer's end is gone.
    pub(super) fn follow(mut self) {
        loop {
            // A failure has ended the fill; the file is as usable as without it.
            let _ = self.catch_up();
            let mut state = self.shared.lock();
            while !state.stop && state.next >= state.wanted {
                if state.next >= state.bytes {
                    return;
                }
                state = waited(&self.shared.wake, state);
            }
            if state.stop {
                return;
            }
        }
    }

    /// Claims a portion.
    fn begin(&self) -> Option<(u64, u64)> {
        let mut state = self.shared.lock();
        let from = state.next.max(state.permit);
        if state.stop || from >= state.wanted {
            state.next = from;
            return None;
        }
        state.busy = Some(from);
        state.working = true;
        Some((from, (from + PORTION_BYTES).min(state.bytes)))
    }

    /// Past the cache where that is possible: a fifth of the processor's time, and nothing is left for a sync of the
    /// writer to carry out.
    fn zero(&mut self, from: u64, until: u64) -> io::Result<()> {
        let page = PAGE_BYTES as usize;
        let address = self.zeros.as_ptr().addr();
        let skew = address.next_multiple_of(page) - address;
        let zeros = &self.zeros[skew..skew + (until - from) as usize];
        if let Some(direct) = &self.direct {
            match direct.write_all_at(zeros, from) {
                Err(e) if e.kind() == io::ErrorKind::InvalidInput => self.direct = None,
                result => return result,
            }
        }
        // In pages, so that the cache holds pages.
        (from..until).step_by(page).try_for_each(|at| self.file.write_all_at(&zeros[..page], at))
    }
}

#[cfg(test)]
mod tests;
