//! A series in bounded memory: stretches of equal length, of each the first, lowest, highest and last value. When there
//! are too many, two become one. What is dropped is never an extreme.

use aegis_model::Timestamp;

/// Stretches at most.
const STRETCHES_MAX: usize = 256;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Stretch<T> {
    slot: i64,
    first: (Timestamp, T),
    low: (Timestamp, T),
    high: (Timestamp, T),
    last: (Timestamp, T),
}

/// A thinned series of values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thinned<T> {
    start: Timestamp,
    /// Length of a stretch, ns.
    width: i64,
    stretches: Vec<Stretch<T>>,
}

impl<T> Default for Thinned<T> {
    fn default() -> Thinned<T> {
        Thinned { start: Timestamp::EPOCH, width: 1, stretches: Vec::new() }
    }
}

impl<T: Copy + Ord> Thinned<T> {
    /// Adds a value; a time before the last one counts as that.
    pub fn push(&mut self, at: Timestamp, value: T) {
        let Some(last) = self.stretches.last_mut() else {
            self.start = at;
            self.stretches.push(Stretch::of(0, at, value));
            return;
        };
        let at = at.max(last.last.0);
        let mut slot = at.since(self.start) / self.width;
        if slot == last.slot {
            last.join(&Stretch::of(slot, at, value));
            return;
        }
        self.stretches.push(Stretch::of(slot, at, value));
        while self.stretches.len() > STRETCHES_MAX || slot >= 2 * STRETCHES_MAX as i64 {
            self.width = self.width.saturating_mul(2);
            slot /= 2;
            self.halve();
        }
    }

    /// Every two neighbours become one.
    fn halve(&mut self) {
        let mut out: Vec<Stretch<T>> = Vec::with_capacity(self.stretches.len());
        for mut stretch in self.stretches.drain(..) {
            stretch.slot /= 2;
            match out.last_mut() {
                Some(last) if last.slot == stretch.slot => last.join(&stretch),
                Some(_) | None => out.push(stretch),
            }
        }
        self.stretches = out;
    }

    /// The points that are kept, in the order of time.
    pub fn points(&self) -> Vec<(Timestamp, T)> {
        let mut out: Vec<(Timestamp, T)> = Vec::new();
        for s in &self.stretches {
            let (mut one, mut other) = (s.low, s.high);
            if other.0 < one.0 {
                std::mem::swap(&mut one, &mut other);
            }
            for point in [s.first, one, other, s.last] {
                if out.last() != Some(&point) {
                    out.push(point);
                }
            }
        }
        out
    }
}

impl<T: Copy + Ord> Stretch<T> {
    const fn of(slot: i64, at: Timestamp, value: T) -> Stretch<T> {
        let point = (at, value);
        Stretch { slot, first: point, low: point, high: point, last: point }
    }

    fn join(&mut self, later: &Stretch<T>) {
        if later.low.1 < self.low.1 {
            self.low = later.low;
        }
        if later.high.1 > self.high.1 {
            self.high = later.high;
        }
        self.last = later.last;
    }
}

#[cfg(test)]
mod tests {
    //! Extremes, ends and order stay, however long the series is.

    use super::*;

    #[test]
    fn extremes_ends_and_order_stay() {
        for (step, count) in [(1, 100), (1_000_000_007, 100_000), (0, 1_000), (1 << 50, 8_000)] {
            let mut thinned = Thinned::default();
            let value = |n: i64| (n * 7_919) % 10_007 - 5_000;
            for n in 0..count {
                thinned.push(Timestamp(5 + n * step), value(n));
            }
            let points = thinned.points();
            assert!(points.len() <= 4 * STRETCHES_MAX, "{} points", points.len());
            assert!(points.windows(2).all(|w| w[0].0 <= w[1].0), "in the order of time");
            let all: Vec<i64> = (0..count).map(value).collect();
            assert_eq!(points.iter().map(|p| p.1).min(), all.iter().copied().min());
            assert_eq!(points.iter().map(|p| p.1).max(), all.iter().copied().max());
            assert_eq!(points.first(), Some(&(Timestamp(5), value(0))));
            assert_eq!(points.last(), Some(&(Timestamp(5 + (count - 1) * step), value(count - 1))));
        }
    }
}
