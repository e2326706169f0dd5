//! Seeded chance: the number that a failing test prints is enough to roll the same again.

/// A generator of random numbers (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    /// Of a seed and a name, so that no two names roll alike.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Dice(name.bytes().fold(seed, |seed, byte| mix(seed ^ u64::from(byte))))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }

    /// True once in so many times; never for none.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        times > 0 && self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
