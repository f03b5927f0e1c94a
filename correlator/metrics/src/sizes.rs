/// Upper bounds in bytes: powers of four from 64 B to 64 MiB.
pub const SIZE_BOUNDS: [u64; 11] = [
    1 << 6,
    1 << 8,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
    1 << 26,
];

/// How large bodies were, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// How many bodies.
    pub count: u64,
    /// Their bytes together, saturating.
    pub sum: u64,
    /// How many are at most so large, and larger than the bound before; the last one: larger than all.
    pub buckets: [u64; SIZE_BOUNDS.len() + 1],
}

impl Sizes {
    pub(crate) fn record(&mut self, bytes: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(bytes);
        let index = SIZE_BOUNDS.partition_point(|bound| *bound < bytes);
        if let Some(bucket) = self.buckets.get_mut(index) {
            *bucket += 1;
        }
    }
}
