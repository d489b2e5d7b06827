//! When a call may leave: each method has its own budget and its own pause after 42901, so that no read ever holds up
//! a write. A waiting call keeps its place in the queue of its method.

use crate::wire::pause::{draw, jittered};
use crate::wire::settings::Settings;
use aegis_cryptocom::budget::{CLIENT_MARGIN_NS, Rate, Window};
use aegis_cryptocom::request::Method;
use aegis_model::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Budgets of all methods of one key.
pub(crate) struct Budget {
    began: Instant,
    speed: i64,
    least: Duration,
    most: Duration,
    gates: Mutex<BTreeMap<Method, Arc<Gate>>>,
}

struct Gate {
    turn: tokio::sync::Mutex<()>,
    quota: Mutex<Quota>,
}

struct Quota {
    window: Window,
    paused: Timestamp,
    failures: u32,
}

impl Quota {
    fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if now < self.paused {
            return Err(self.paused);
        }
        self.window.take(now)
    }
}

impl Budget {
    /// Fresh budgets.
    pub(crate) fn new(settings: &Settings) -> Budget {
        Budget {
            began: Instant::now(),
            speed: i64::from(settings.rate_speed.max(1)),
            least: settings.backoff_min,
            most: settings.backoff_max,
            gates: Mutex::new(BTreeMap::new()),
        }
    }

    /// A clock that no one can set.
    fn now(&self) -> Timestamp {
        Timestamp(i64::try_from(self.began.elapsed().as_nanos()).unwrap_or(i64::MAX))
    }

    fn gate(&self, method: Method) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let made = gates.entry(method).or_insert_with(|| {
            let rate = method.rate();
            let rate = Rate { period_ns: rate.period_ns / self.speed, ..rate };
            Arc::new(Gate {
                turn: tokio::sync::Mutex::new(()),
                quota: Mutex::new(Quota {
                    window: Window::new(rate, CLIENT_MARGIN_NS / self.speed),
                    paused: Timestamp::EPOCH,
                    failures: 0,
                }),
            })
        });
        Arc::clone(made)
    }

    /// Takes one call, waiting for it as long as it needs; for reads.
    pub(crate) async fn wait(&self, method: Method) {
        let gate = self.gate(method);
        let _turn = gate.turn.lock().await;
        loop {
            let taken = gate.quota.lock().unwrap_or_else(PoisonError::into_inner).take(self.now());
            let Err(ready) = taken else { return };
            tokio::time::sleep(self.until(ready)).await;
        }
    }

    /// Takes one call within `patience`; for writes.
    ///
    /// # Errors
    /// How long it would have to wait; nothing was taken.
    pub(crate) async fn take(&self, method: Method, patience: Duration) -> Result<(), Duration> {
        let gate = self.gate(method);
        let end = tokio::time::Instant::now() + patience;
        let Ok(_turn) = tokio::time::timeout_at(end, gate.turn.lock()).await else { return Err(patience) };
        loop {
            let taken = gate.quota.lock().unwrap_or_else(PoisonError::into_inner).take(self.now());
            let Err(ready) = taken else { return Ok(()) };
            let wait = self.until(ready);
            if tokio::time::Instant::now() + wait > end {
                return Err(wait);
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn until(&self, ready: Timestamp) -> Duration {
        Duration::from_nanos(ready.since(self.now()).max(0).unsigned_abs())
    }

    /// The exchange said 42901: the method pauses, longer each time in a row.
    pub(crate) fn refused(&self, method: Method) {
        let gate = self.gate(method);
        let mut quota = gate.quota.lock().unwrap_or_else(PoisonError::into_inner);
        quota.failures = quota.failures.saturating_add(1);
        let pause = jittered(self.least, self.most, quota.failures, draw());
        quota.paused = self.now().after(crate::wire::settings::ns(pause));
    }

    /// The exchange answered: the next 42901 is the first in a row again.
    pub(crate) fn passed(&self, method: Method) {
        self.gate(method).quota.lock().unwrap_or_else(PoisonError::into_inner).failures = 0;
    }
}
