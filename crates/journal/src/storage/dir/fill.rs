//! Zeros ahead of the writer, written by the thread that made the file, while the file is already stored into.
//!
//! ```text
//! 0 ........ offset ...... permit ...... next ............ bytes
//!   records         theirs        zeros       allocated, never written
//!                   to take       are here
//! ```
//!
//! A file is usable as soon as its space is allocated. Zeros only make syncs cheaper, so they are written a portion
//! at a time, where they pay: a little ahead of a writer that syncs often, and everywhere while it does not sync at all
//! for a while. Never a burst that its syncs would have to share the device with; and a writer that syncs seldom, or
//! much at once, would only pay twice for each byte.
//!
//! Zeros never meet records: the writer stores only below its permit and the fill writes only at or above it. Both
//! change hands under one lock, and the writer waits for the one portion that is under way if it must pass it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::layout::PAGE_BYTES;
use crate::storage::TouchAhead;

/// Bytes of zeros written at a time: some milliseconds of the device at worst, and seldom enough that the commit of
/// the file system's journal, which the next sync then makes, is lost among many.
const PORTION_BYTES: u64 = 256 << 10;
/// How far zeros are kept ahead of the writer: longer than a portion takes at any rate the device can sync.
const WINDOW_BYTES: u64 = 1 << 20;
/// So many syncs in a step make zeros worth their writing. Measured here, nanoseconds a record with zeros written ahead
/// and without: 64 small records a sync (5 KiB) 3500 and 3800, 1024 a sync (90 KiB) 1050 and 940.
const SYNCS_MIN: u64 = 3;
/// So long without a sync, and the device is taken to be idle; it is looked at as often.
const QUIET: Duration = Duration::from_millis(5);
/// Between two portions while it is: whoever comes back waits for one of them at most, and other users of the device
/// keep most of it.
const PAUSE: Duration = Duration::from_millis(1);
/// The writer takes room in steps, so that it asks for the lock once in a thousand records.
const STEP_BYTES: u64 = 128 << 10;

/// The writer's end of it. Dropping it ends the fill, and waits for what is under way.
#[derive(Debug)]
pub(super) struct Fill {
    shared: Arc<Shared>,
    /// Stores below this need not ask.
    permit: u64,
    /// Syncs since the writer last asked.
    syncs: u64,
}

/// The thread's end of it.
pub(super) struct Filler {
    shared: Arc<Shared>,
    /// Opened for this alone. An error of writing is told once to each opening of a file, so that what a sync here is
    /// told is told to the writer's sync as well.
    file: File,
    touch: TouchAhead,
    /// Changes when a sync of the journal begins and when it ends, whichever file it is of; odd in between.
    beat: Arc<AtomicU64>,
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

fn waited_for<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    time: Duration,
) -> (MutexGuard<'a, State>, bool) {
    let (state, result) =
        condition.wait_timeout(state, time).unwrap_or_else(|poisoned| poisoned.into_inner());
    (state, result.timed_out())
}

/// Both ends, for a file with `bytes` of allocated space that nobody stores into yet.
pub(super) fn fill(file: File, bytes: u64, touch: TouchAhead, beat: Arc<AtomicU64>) -> (Fill, Filler) {
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
    (Fill { shared: shared.clone(), permit: 0, syncs: 0 }, Filler { shared, file, touch, beat })
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
        if self.syncs >= SYNCS_MIN {
            self.shared.want(&mut state, permit + WINDOW_BYTES);
        }
        self.syncs = 0;
    }

    /// The writer syncs; where it does so often, zeros ahead of it are worth their writing.
    #[inline]
    pub(super) fn synced(&mut self) {
        self.syncs += 1;
        if self.syncs == SYNCS_MIN {
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

    /// `touch` for pages that no zeros will be written to from then on: they are as good as stored into, and zeros
    /// would only be written twice.
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
                (self.touch)(from, until - from);
            }
            self.shared.lock().working = false;
            self.shared.done.notify_all();
            written?;
        }
        Ok(())
    }

    /// As `catch_up`, whenever something is wanted or the journal is idle, until all is full or the writer's end is
    /// gone.
    pub(super) fn follow(mut self) {
        let (mut seen, mut pause) = (None, QUIET);
        loop {
            // A failure has ended the fill; the file is as usable as without it.
            let _ = self.catch_up();
            let mut state = self.shared.lock();
            loop {
                let from = state.next.max(state.permit);
                if state.stop || from >= state.bytes {
                    return;
                }
                if from < state.wanted {
                    break;
                }
                let timed_out;
                (state, timed_out) = waited_for(&self.shared.wake, state, pause);
                if timed_out {
                    let beat = Some(self.beat.load(Ordering::Relaxed));
                    // A file that is not yet in use can wait, and so can one whose writer stores and does not sync.
                    let beat = beat.map(|beat| (beat, state.permit));
                    if beat == seen && matches!(beat, Some((beat, permit)) if beat % 2 == 0 && permit > 0) {
                        pause = PAUSE;
                        let until = state.next.max(state.permit) + PORTION_BYTES;
                        state.wanted = state.wanted.max(until.min(state.bytes));
                    } else {
                        pause = QUIET;
                        seen = beat;
                    }
                }
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

    /// In pages, so that the cache holds pages and not large folios, of which one store would dirty the whole. And
    /// written out here, so that nothing gathers that a sync of the writer would have to carry out. Past the cache it
    /// takes less than half of the processor's time and no less of the device's, but the kernel takes a page that
    /// becomes dirty beside a direct write for an error of the file.
    fn zero(&self, from: u64, until: u64) -> io::Result<()> {
        let page = [0; PAGE_BYTES as usize];
        (from..until).step_by(page.len()).try_for_each(|at| self.file.write_all_at(&page, at))?;
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests;
