use weft_core::Exchange;

/// Upper bounds in bytes: powers of four from 64 B to 64 MiB.
pub const SIZE_BOUNDS: [u64; 11] =
    [1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26];

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

/// The bodies of exchanges: of a pod's of one family, or of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// The requests'.
    pub request: Sizes,
    /// The responses'.
    pub response: Sizes,
    /// When the first exchange ended, in ns since the epoch.
    pub since_ns: u64,
}

impl Bodies {
    /// Counts both bodies of an exchange that ended at `time_ns`, in ns since the epoch.
    pub(crate) fn record(&mut self, exchange: &Exchange, time_ns: u64) {
        if self.request.count == 0 {
            self.since_ns = time_ns;
        }
        self.request.record(exchange.request.body_bytes);
        self.response.record(exchange.response.map_or(0, |response| response.body_bytes));
    }
}

impl Sizes {
    pub(crate) fn record(&mut self, bytes: u64) {
        self.count += 1;
        self.sum = self.sum.saturating_add(bytes);
        if let Some(bucket) = self.buckets.get_mut(bounds_below(bytes)) {
            *bucket += 1;
        }
    }

    /// How many, their sum, and how many are at most so large, by bound.
    #[expect(clippy::cast_precision_loss, reason = "a double is what the exposition formats have")]
    pub(crate) fn cumulative(&self) -> (u64, f64, Vec<(f64, u64)>) {
        let mut up_to = 0;
        let cumulative = self.buckets.iter().map(|count| {
            up_to += count;
            up_to
        });
        let buckets = SIZE_BOUNDS.into_iter().map(|bound| bound as f64).zip(cumulative).collect();
        (self.count, self.sum as f64, buckets)
    }
}

/// How many of [`SIZE_BOUNDS`] are below so many bytes: from the bits of the number, which spares a search.
fn bounds_below(bytes: u64) -> usize {
    let log2 = u64::BITS - bytes.saturating_sub(1).leading_zeros();
    let first = SIZE_BOUNDS[0].trailing_zeros();
    ((log2.saturating_sub(first) as usize).div_ceil(2)).min(SIZE_BOUNDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_a_size_find_the_bounds_that_comparing_finds() {
        let edges = SIZE_BOUNDS.into_iter().flat_map(|bound| [bound - 1, bound, bound + 1, 2 * bound]);
        for bytes in edges.chain([0, 1, u64::MAX]) {
            let compared = SIZE_BOUNDS.partition_point(|bound| *bound < bytes);
            assert_eq!(bounds_below(bytes), compared, "{bytes} bytes");
        }
    }
}
