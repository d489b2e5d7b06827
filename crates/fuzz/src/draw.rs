//! Random choices from a seed, and from nothing else.

/// A stream of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Draw {
        Draw(seed)
    }

    /// 64 bits.
    #[inline]
    pub const fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; zero where `end` is.
    #[inline]
    pub const fn below(&mut self, end: usize) -> usize {
        ((self.bits() >> 32).wrapping_mul(end as u64) >> 32) as usize
    }

    /// True once in `n`.
    #[inline]
    pub const fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
