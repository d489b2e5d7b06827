//! How long the journal waits for the disk. The engine's thread is the one that waits, so another watches it: what hangs
//! is told while it hangs, and a wait without an end ends the process, so that a restart or a person takes over.
//!
//! The stops that rest at the exchange are not touched by any of it.

use crate::config::live::DiskBounds;
use crate::exit::Exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often the watching thread looks, as a share of the shortest bound.
const LOOKS: u32 = 8;
const LOOK_MIN: Duration = Duration::from_millis(5);
/// The disk counts as well again after so many times [`DiskBounds::slow`] without a slow wait.
const SETTLED: u32 = 10;

/// What the engine should hear of a wait that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// It took this long.
    Slow(Duration),
    /// No wait was slow for a while.
    Well,
}

/// Where words go while the engine's thread hangs.
pub(super) type Tell = Box<dyn Fn(&str) + Send>;

struct Shared {
    began: Instant,
    /// Milliseconds after `began`, plus one, at which the present wait began; 0 while there is none.
    since: AtomicU64,
    ended: AtomicBool,
    /// Open positions, and those of them whose stop rests at the exchange.
    open: AtomicUsize,
    guarded: AtomicUsize,
}

/// The watch over the engine's thread.
pub(super) struct Watch {
    shared: Arc<Shared>,
    bounds: DiskBounds,
    thread: Option<std::thread::JoinHandle<()>>,
    /// When a wait was slow for the last time, while the engine believes that the disk is slow.
    slow: Option<Instant>,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// The thread cannot be had.
    pub(super) fn start(bounds: DiskBounds, tell: Tell) -> std::io::Result<Watch> {
        let shared = Arc::new(Shared {
            began: Instant::now(),
            since: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            guarded: AtomicUsize::new(0),
        });
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("disk".to_owned())
            .spawn(move || watch(&watched, bounds, &tell))?;
        Ok(Watch { shared, bounds, thread: Some(thread), slow: None })
    }

    /// What depends on it: so many positions are open, and the stops of so many of them rest at the exchange.
    pub(super) fn about(&self, open: usize, guarded: usize) {
        self.shared.open.store(open, Ordering::Relaxed);
        self.shared.guarded.store(guarded, Ordering::Relaxed);
    }

    /// Does what may wait for the disk; how long it took.
    pub(super) fn over<T>(&self, what: impl FnOnce() -> T) -> (T, Duration) {
        let began = Instant::now();
        let since = began.duration_since(self.shared.began).as_millis();
        self.shared.since.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Ordering::Release);
        let done = what();
        self.shared.since.store(0, Ordering::Release);
        (done, began.elapsed())
    }

    /// What the engine should hear of a wait of this length; none when that is no news.
    pub(super) fn judge(&mut self, took: Duration) -> Option<Told> {
        if took >= self.bounds.slow {
            self.slow = Some(Instant::now());
            return Some(Told::Slow(took));
        }
        if self.slow.is_some_and(|last| last.elapsed() >= self.bounds.slow * SETTLED) {
            self.slow = None;
            return Some(Told::Well);
        }
        None
    }

    /// Whether an entry that waited this long is too late to be sent.
    pub(super) fn is_late(&self, took: Duration) -> bool {
        took >= self.bounds.late
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A watch that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Until it is ended: tells once of each slow wait, again each time it has doubled, and ends the process at the limit.
fn watch(shared: &Shared, bounds: DiskBounds, tell: &Tell) {
    let pause = (bounds.slow.min(bounds.limit) / LOOKS).max(LOOK_MIN);
    let mut next = bounds.slow;
    while !shared.ended.load(Ordering::Acquire) {
        std::thread::park_timeout(pause);
        let since = shared.since.load(Ordering::Acquire);
        if since == 0 {
            next = bounds.slow;
            continue;
        }
        let waited = shared.began.elapsed().saturating_sub(Duration::from_millis(since - 1));
        if waited >= bounds.limit {
            let words = format!(
                "the disk has not made the journal's last records durable for {:.1} s (live.disk.limit): the process \
                 ends; nothing of what waited was sent, stops that rest at the exchange stay; look at the disk, then \
                 start again",
                waited.as_secs_f64()
            );
            tell(&words);
            eprintln!("aegis: {words}");
            std::process::exit(Exit::Io as i32);
        }
        if waited >= next {
            tell(&format!(
                "the disk has not made the journal's last records durable for {:.1} s: nothing is sent meanwhile; of {} \
                 open positions {} have their stop at the exchange",
                waited.as_secs_f64(),
                shared.open.load(Ordering::Relaxed),
                shared.guarded.load(Ordering::Relaxed)
            ));
            next = waited * 2;
        } else if waited < bounds.slow {
            next = bounds.slow;
        }
    }
}

#[cfg(test)]
mod tests;
