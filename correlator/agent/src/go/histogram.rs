//! The runtime's `timeHistogram` (Go's src/runtime/histogram.go): counts by the duration's highest bit and the bits behind it.
use weft_gobin::TimeHistogram;

/// More than any runtime's counts: what says that it needs more is not believed.
const MOST_COUNTS: u64 = 4096;

/// Bounds of what is exported, in ns: powers of four from 256 ns to 17 s. Each is a bound of the runtime's, too, so the counts
/// at them are exact.
pub const BOUNDS_NS: [u64; 14] = {
    let mut bounds = [0; 14];
    let mut index = 0;
    while index < bounds.len() {
        bounds[index] = 1 << (8 + 2 * index);
        index += 1;
    }
    bounds
};

/// Durations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// How many were at most [`BOUNDS_NS`], each bound by itself.
    pub up_to: [u64; BOUNDS_NS.len()],
    /// How many there were.
    pub count: u64,
    /// Their sum in ns, taken from the middles of the runtime's buckets: it keeps none. Within 12.5 %, mostly within 1 %.
    pub sum_ns: u64,
}

/// Bytes of a histogram of this shape, underflow and overflow included; nothing where the shape is none.
pub fn size(shape: TimeHistogram) -> Option<usize> {
    let TimeHistogram { min_bucket_bits, max_bucket_bits, sub_bucket_bits } = shape;
    let sound =
        sub_bucket_bits < min_bucket_bits && min_bucket_bits <= max_bucket_bits && max_bucket_bits <= 64;
    let buckets = u64::from(max_bucket_bits.checked_sub(min_bucket_bits)?) + 1;
    let counts = buckets.checked_shl(sub_bucket_bits).filter(|counts| sound && *counts <= MOST_COUNTS)?;
    usize::try_from((counts + 2) * 8).ok()
}

/// Reads one. Nothing where there are not as many bytes as its shape says.
pub fn decode(shape: TimeHistogram, bytes: &[u8]) -> Option<Durations> {
    let (words, []) = bytes.as_chunks::<8>() else { return None };
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let ([underflow, overflow], counts) = words
        .split_last_chunk::<2>()
        .filter(|_| size(shape) == Some(bytes.len()))
        .map(|(rest, ends)| (ends, rest))?;
    let mut durations = Durations::default();
    durations.add(*underflow, 0, 0);
    for (index, count) in counts.iter().enumerate() {
        durations.add(*count, lower_bound(shape, index), lower_bound(shape, index + 1));
    }
    let most = lower_bound(shape, counts.len());
    durations.count = durations.count.saturating_add(*overflow);
    durations.sum_ns = durations.sum_ns.saturating_add(overflow.saturating_mul(most));
    Some(durations)
}

impl Durations {
    /// So many from `lower` to below `upper`.
    fn add(&mut self, count: u64, lower: u64, upper: u64) {
        let fits = self.up_to.iter_mut().zip(BOUNDS_NS).filter(|(_, bound)| upper <= *bound);
        fits.for_each(|(sum, _)| *sum = sum.saturating_add(count));
        self.count = self.count.saturating_add(count);
        let middle = lower + (upper - lower) / 2;
        self.sum_ns = self.sum_ns.saturating_add(count.saturating_mul(middle));
    }
}

/// Where a bucket begins, in ns; that behind the last one is where the overflow begins.
fn lower_bound(shape: TimeHistogram, index: usize) -> u64 {
    let sub_buckets = 1 << shape.sub_bucket_bits;
    let (bucket, sub_bucket) = (index as u64 / sub_buckets, index as u64 % sub_buckets);
    let first = u64::from(shape.min_bucket_bits) - 1;
    // The lowest bucket is all that is below the first bit.
    let bit = first + bucket.saturating_sub(1);
    let base = if bucket == 0 { 0 } else { 1_u64.checked_shl(bit as u32).unwrap_or(u64::MAX) };
    let width = bit - u64::from(shape.sub_bucket_bits);
    base.saturating_add(sub_bucket.checked_shl(width as u32).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: TimeHistogram =
        TimeHistogram { min_bucket_bits: 9, max_bucket_bits: 48, sub_bucket_bits: 2 };

    /// `timeHistogram.record`, written after the runtime's.
    fn record(counts: &mut [u64], duration: u64) {
        let bits = 64 - duration.leading_zeros();
        let (bit, bucket) = if bits < 9 { (9, 0) } else { (bits, bits - 8) };
        let sub_bucket = (duration >> (bit - 3)) % 4;
        counts[(bucket * 4) as usize + sub_bucket as usize] += 1;
    }

    fn bytes(counts: &[u64], underflow: u64, overflow: u64) -> Vec<u8> {
        counts.iter().chain(&[underflow, overflow]).flat_map(|count| count.to_le_bytes()).collect()
    }

    #[test]
    fn buckets_are_those_of_the_runtime() {
        // From /sched/latencies:seconds of runtime/metrics, in ns.
        let first: Vec<u64> = (0..14).map(|index| lower_bound(SHAPE, index)).collect();
        assert_eq!(first, [0, 64, 128, 192, 256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280]);
        assert_eq!(lower_bound(SHAPE, 160), 1 << 47);
        assert_eq!(size(SHAPE), Some(162 * 8));
    }

    #[test]
    fn every_duration_is_counted_at_the_bounds_around_it() {
        let durations = [0, 1, 63, 255, 256, 1023, 1024, 4095, 5000, 1_000_000, 16_777_215, 1 << 34, 1 << 40];
        let mut counts = [0; 160];
        durations.iter().for_each(|duration| record(&mut counts, *duration));
        let decoded = decode(SHAPE, &bytes(&counts, 0, 0)).unwrap();
        for (bound, up_to) in BOUNDS_NS.into_iter().zip(decoded.up_to) {
            assert_eq!(
                up_to,
                durations.iter().filter(|duration| **duration < bound).count() as u64,
                "{bound}"
            );
        }
        assert_eq!(decoded.count, durations.len() as u64);
        let (sum, exact) = (decoded.sum_ns as f64, durations.iter().sum::<u64>() as f64);
        assert!((sum / exact - 1.0).abs() < 0.125, "{sum} {exact}");
    }

    #[test]
    fn what_is_out_of_range_is_counted() {
        let decoded = decode(SHAPE, &bytes(&[0; 160], 3, 2)).unwrap();
        assert_eq!((decoded.up_to, decoded.count), ([3; 14], 5));
        assert_eq!(decoded.sum_ns, 2 << 47);
    }

    #[test]
    fn a_shape_that_is_none_and_bytes_that_do_not_fit_give_nothing() {
        let shape = |min_bucket_bits, max_bucket_bits, sub_bucket_bits| TimeHistogram {
            min_bucket_bits,
            max_bucket_bits,
            sub_bucket_bits,
        };
        for wrong in [
            shape(0, 0, 0),
            shape(9, 8, 2),
            shape(9, 48, 9),
            shape(9, 48, 40),
            shape(1, 65, 0),
            shape(60, 64, 59),
        ] {
            assert_eq!(size(wrong), None, "{wrong:?}");
            assert_eq!(decode(wrong, &[0; 162 * 8]), None);
        }
        assert_eq!(decode(SHAPE, &[0; 162 * 8 - 1]), None);
        assert_eq!(decode(SHAPE, &[0; 161 * 8]), None);
        assert_eq!(decode(SHAPE, &[]), None);
        let full = decode(SHAPE, &[0xff; 162 * 8]).unwrap();
        assert_eq!((full.count, full.sum_ns), (u64::MAX, u64::MAX));
    }
}
