//! Random choices from a seed, and from nothing else: the same seed makes the same choices on every machine.

/// A stream of choices (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Draw {
    /// A stream of its own for the `place`-th thing of a kind: what is left out elsewhere does not move it.
    pub(crate) fn keyed(seed: u64, kind: u64, place: u64) -> Draw {
        Draw(mix(seed ^ mix(kind.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mix(place.wrapping_add(0x51ed_2701)))))
    }

    /// 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Below `end`, which is above zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// From `least` to `most`, both included.
    pub(crate) fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = u64::try_from(most.saturating_sub(least)).unwrap_or(0).saturating_add(1);
        least.saturating_add(i64::try_from(self.below(span)).unwrap_or(0))
    }

    /// True once in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these.
    pub(crate) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// Between `least` and `most`, small ones as likely as large ones: the exponent is even.
    pub(crate) fn scaled(&mut self, least: i64, most: i64) -> i64 {
        let (low, high) = (least.max(1).ilog2(), most.max(1).ilog2());
        let exponent = low + u32::try_from(self.below(u64::from(high - low) + 1)).unwrap_or(0);
        self.between(1 << exponent, (2 << exponent) - 1).clamp(least, most)
    }
}
