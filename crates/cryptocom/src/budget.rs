//! Rate budgets: when the next call may leave, per method and per connection (reference, section 4).
//!
//! Pure machines: the time is an argument and a refusal names the time to come back. The venue tells neither the
//! remaining quota nor how it counts, so a client keeps the strictest reading: never more than the limit within *any*
//! span of the period, plus a margin for the jitter of the way there. Nothing here waits.

use crate::request::Method;
use aegis_model::Timestamp;
use aegis_model::ids::SECOND;
use alloc::collections::{BTreeMap, VecDeque};

/// So many calls per so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Calls.
    pub limit: u32,
    /// Per this long, ns.
    pub period_ns: i64,
}

const TENTH: i64 = SECOND / 10;

impl Rate {
    /// `create-order`, `cancel-order`, `cancel-all-orders`, each per key.
    pub const ORDER: Rate = Rate { limit: 15, period_ns: TENTH };
    /// `get-order-detail`.
    pub const ORDER_DETAIL: Rate = Rate { limit: 30, period_ns: TENTH };
    /// `get-trades` and `get-order-history`, each.
    pub const HISTORY: Rate = Rate { limit: 1, period_ns: SECOND };
    /// Every other private method, each; also `private/advanced/*`, for which nothing is stated.
    pub const OTHER: Rate = Rate { limit: 3, period_ns: TENTH };
    /// Public market data, per address and method.
    pub const PUBLIC: Rate = Rate { limit: 100, period_ns: SECOND };
    /// Frames sent on a user connection.
    pub const USER_SOCKET: Rate = Rate { limit: 150, period_ns: SECOND };
    /// Frames sent on a market connection.
    pub const MARKET_SOCKET: Rate = Rate { limit: 100, period_ns: SECOND };
}

/// Subscriptions of a market connection at most; one more is 40107.
pub const SUBSCRIPTIONS_MAX: usize = 400;
/// How long a fresh connection says nothing: the quota of the calendar second in which it opened is pro-rated.
pub const CONNECT_PAUSE_NS: i64 = SECOND;
/// What a client adds to every period: two calls can arrive closer together than they left.
pub const CLIENT_MARGIN_NS: i64 = SECOND / 50;
/// The venue sends a heartbeat this often (section 12.2).
pub const HEARTBEAT_NS: i64 = 30 * SECOND;
/// And closes when the answer takes longer than this.
pub const HEARTBEAT_ANSWER_NS: i64 = 5 * SECOND;
/// Silence after which a client takes the connection for dead: one heartbeat missed, with room (35 to 40 s).
pub const WATCHDOG_NS: i64 = 38 * SECOND;
/// First wait after 42901; the venue's advice is 1 to 32 s, exponential, with jitter.
pub const BACKOFF_MIN_NS: i64 = SECOND;
/// Longest wait after 42901.
pub const BACKOFF_MAX_NS: i64 = 32 * SECOND;

/// At most `limit` calls within any span of the period. Holds `limit` times, at most 150.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    rate: Rate,
    margin_ns: i64,
    taken: VecDeque<Timestamp>,
}

impl Window {
    /// A fresh budget. `margin_ns` is added to the period: [`CLIENT_MARGIN_NS`] for a client, 0 for a venue.
    pub fn new(rate: Rate, margin_ns: i64) -> Window {
        Window { rate, margin_ns: margin_ns.max(0), taken: VecDeque::new() }
    }

    /// When the next call may leave, at the earliest; the epoch when it may at once.
    pub fn ready(&self) -> Timestamp {
        if self.rate.limit == 0 {
            return Timestamp(i64::MAX);
        }
        if self.taken.len() < self.rate.limit as usize {
            return Timestamp::EPOCH;
        }
        let span = self.rate.period_ns.saturating_add(self.margin_ns);
        self.taken.front().map_or(Timestamp::EPOCH, |oldest| oldest.after(span))
    }

    /// Takes one call. A clock that went back counts as standing still.
    ///
    /// # Errors
    /// The time from which on it may be taken.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        let now = self.taken.back().map_or(now, |last| now.max(*last));
        let ready = self.ready();
        if now < ready {
            return Err(ready);
        }
        if self.taken.len() == self.rate.limit as usize {
            self.taken.pop_front();
        }
        self.taken.push_back(now);
        Ok(())
    }
}

/// The budgets of one API key (or, for public methods, one address), one per method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budgets {
    margin_ns: i64,
    windows: BTreeMap<Method, Window>,
    /// No call before this: the venue said 42901.
    paused: Option<Timestamp>,
}

impl Budgets {
    /// Fresh budgets; see [`Window::new`] for the margin.
    pub const fn new(margin_ns: i64) -> Budgets {
        Budgets { margin_ns, windows: BTreeMap::new(), paused: None }
    }

    /// Takes one call of a method.
    ///
    /// # Errors
    /// The time from which on it may be taken.
    pub fn take(&mut self, method: Method, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.paused
            && now < until
        {
            return Err(until);
        }
        let margin = self.margin_ns;
        self.windows.entry(method).or_insert_with(|| Window::new(method.rate(), margin)).take(now)
    }

    /// The venue answered 42901: nothing leaves before `until`.
    pub fn pause(&mut self, until: Timestamp) {
        self.paused = self.paused.max(Some(until));
    }
}

/// How long to wait after the `failures`-th 42901 in a row (from 1): 1, 2, 4 ... 32 s, of which the upper half is
/// drawn. `draw` is 64 random bits, an argument like every other chance here.
pub fn backoff_ns(failures: u32, draw: u64) -> i64 {
    let doublings = failures.saturating_sub(1).min(5);
    let whole = (BACKOFF_MIN_NS << doublings).min(BACKOFF_MAX_NS);
    let half = whole / 2;
    half + i64::try_from(draw % (half.unsigned_abs() + 1)).unwrap_or(half)
}

/// A connection's quota as the venue counts it: per calendar second, and for the second in which the connection
/// opened only the share that was left of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionQuota {
    limit: u32,
    opened: Timestamp,
    second: i64,
    used: u32,
}

impl ConnectionQuota {
    /// A connection that opened now. Of the rate only the limit counts, the period is a calendar second.
    pub const fn new(rate: Rate, opened: Timestamp) -> ConnectionQuota {
        ConnectionQuota { limit: rate.limit, opened, second: opened.0.div_euclid(SECOND), used: 0 }
    }

    /// Takes one frame.
    ///
    /// # Errors
    /// The next second's beginning, when this one's quota is used up: 42901.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        let second = now.0.div_euclid(SECOND);
        if second > self.second {
            (self.second, self.used) = (second, 0);
        }
        let allowed = if self.second == self.opened.0.div_euclid(SECOND) {
            let left = SECOND - self.opened.0.rem_euclid(SECOND);
            u32::try_from(i64::from(self.limit) * left / SECOND).unwrap_or(self.limit)
        } else {
            self.limit
        };
        if self.used >= allowed {
            return Err(Timestamp((self.second + 1).saturating_mul(SECOND)));
        }
        self.used += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
