use crate::snapshot::{ExponentialBuckets, HistogramSnapshot};

/// Upper bounds of the classic buckets in ns: those of the semantic conventions' `http.server.request.duration`, with
/// finer ones below, because most requests in a mesh take less than the first of them.
pub const CLASSIC_BOUNDS_NS: [u64; 19] = [
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

/// Buckets an octave are `2^SCALE`.
const SCALE: i32 = 4;
const BUCKETS_AN_OCTAVE: i32 = 1 << SCALE;
/// Counts in 64 bytes.
const BUCKETS_A_LINE: usize = 64 / size_of::<u64>();

/// `2^(j/16)`, correctly rounded: the bounds of an octave's buckets.
const MANTISSAS: [u64; 17] = [
    ONE,
    0x3ff0_b558_6cf9_890f,
    0x3ff1_72b8_3c7d_517b,
    0x3ff2_387a_6e75_6238,
    0x3ff3_06fe_0a31_b715,
    0x3ff3_dea6_4c12_3422,
    0x3ff4_bfda_d536_2a27,
    0x3ff5_ab07_dd48_5429,
    0x3ff6_a09e_667f_3bcd,
    0x3ff7_a114_73eb_0187,
    0x3ff8_ace5_422a_a0db,
    0x3ff9_c491_82a3_f090,
    0x3ffa_e89f_995a_d3ad,
    0x3ffc_199b_dd85_529c,
    0x3ffd_5818_dcfb_a487,
    0x3ffe_a4af_a2a4_90da,
    0x4000_0000_0000_0000,
];

/// An octave in 32 cells of equal width: each holds one of [`MANTISSAS`] at most, because these are 0.044 apart and more.
const CELL_BITS: u32 = 5;

/// By cell, the first of [`MANTISSAS`] that is not below its start.
const FIRST_BOUNDS: [u8; 1 << CELL_BITS] = first_bounds();

/// 1.0
const ONE: u64 = 0x3ff0_0000_0000_0000;

const NS_PER_SECOND: f64 = 1e9;
const EXPONENT_BIAS: i32 = 1023;
const MANTISSA_BITS: u32 = 52;
const MANTISSA_MASK: u64 = (1 << MANTISSA_BITS) - 1;

/// A histogram of durations in ns, in two forms at once. Base-2 exponential buckets of scale 4 over **seconds** (as
/// OpenTelemetry and Prometheus' native histograms want them: lower bound exclusive, upper inclusive): a bucket's
/// bounds differ by 4.4%, and the 64-bit range of ns needs at most 1025 of them, allocated as far as they are used.
/// And exact counts at [`CLASSIC_BOUNDS_NS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    zero: u64,
    /// Index of `buckets[0]`.
    offset: i32,
    buckets: Vec<u64>,
    /// Not cumulative; what is above the last bound is in none.
    classic: [u64; CLASSIC_BOUNDS_NS.len()],
}

impl Histogram {
    /// Adds one duration in ns.
    pub fn record(&mut self, ns: u64) {
        self.widen_extremes(ns, ns);
        self.count += 1;
        self.sum = self.sum.saturating_add(ns);
        if let Some(classic) = self.classic.get_mut(classic_index(ns)) {
            *classic += 1;
        }
        if ns == 0 {
            self.zero += 1;
        } else {
            *self.bucket(bucket_index(ns)) += 1;
        }
    }

    /// Adds all that another one holds: the same as recording its durations here.
    pub fn merge(&mut self, other: &Self) {
        let Self { count, sum, min, max, zero, offset, buckets, classic } = other;
        if *count == 0 {
            return;
        }
        self.widen_extremes(*min, *max);
        self.count += count;
        self.sum = self.sum.saturating_add(*sum);
        self.zero += zero;
        for (index, added) in (*offset..).zip(buckets).filter(|(_, added)| **added > 0) {
            *self.bucket(index) += added;
        }
        for (mine, added) in self.classic.iter_mut().zip(classic) {
            *mine += added;
        }
    }

    /// How many durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in ns, saturating.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The shortest in ns.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The longest in ns.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The `q`-quantile (0 to 1) in ns by nearest rank: the durations of a bucket are taken to be spread evenly over it
    /// (over 4.4%, evenly and log-evenly differ by 0.05%), and the result lies between the shortest and the longest.
    /// No logarithm is used: these differ between machines, and a replay must not.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let (min, max) = (self.min()?, self.max()?);
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        if rank == 1 || rank == self.count {
            return Some(if rank == 1 { min } else { max });
        }
        Some(self.value_at(rank).clamp(min, max))
    }

    /// How many took at most each of [`CLASSIC_BOUNDS_NS`].
    pub fn classic(&self) -> impl Iterator<Item = u64> {
        self.classic.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        })
    }

    /// Buckets an octave are 2 to the power of this: OpenTelemetry's scale, Prometheus' schema.
    pub const SCALE: i32 = SCALE;

    /// OpenTelemetry's index of the first exponential bucket, and how many are in each from there on.
    pub fn exponential(&self) -> (i32, &[u64]) {
        (self.offset, &self.buckets)
    }

    /// How many took 0 ns.
    pub fn zeroes(&self) -> u64 {
        self.zero
    }

    /// As plain data.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            count: self.count,
            sum_ns: self.sum,
            min_ns: self.min(),
            max_ns: self.max(),
            p50_ns: self.quantile(0.5),
            p90_ns: self.quantile(0.9),
            p99_ns: self.quantile(0.99),
            classic: if self.count == 0 { Vec::new() } else { self.classic().collect() },
            exponential: ExponentialBuckets {
                scale: SCALE,
                zero_count: self.zero,
                offset: self.offset,
                counts: self.buckets.clone(),
            },
        }
    }

    fn widen_extremes(&mut self, min: u64, max: u64) {
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = self.max.max(max);
    }

    fn value_at(&self, rank: u64) -> u64 {
        let mut below = self.zero;
        if rank <= below {
            return 0;
        }
        for (index, &count) in (self.offset..).zip(&self.buckets) {
            if rank <= below + count {
                let part = ((rank - below) as f64 - 0.5) / count as f64;
                let (lower, upper) = (lower_bound(index), lower_bound(index + 1));
                return ((lower + (upper - lower) * part) * NS_PER_SECOND).round() as u64;
            }
            below += count;
        }
        self.max
    }

    /// The count of the bucket with this index; makes room for it.
    fn bucket(&mut self, index: i32) -> &mut u64 {
        if self.buckets.is_empty() {
            self.offset = index;
        }
        if index < self.offset {
            let missing = (self.offset - index) as usize;
            self.buckets.splice(..0, std::iter::repeat_n(0, missing));
            self.offset = index;
        }
        let position = (index - self.offset) as usize;
        if position >= self.buckets.len() {
            // To the end of a cache line and no further: there are many histograms, and each grows a few times and then no more.
            let room = (position + 1).next_multiple_of(BUCKETS_A_LINE);
            self.buckets.reserve_exact(room - self.buckets.len());
            self.buckets.resize(position + 1, 0);
        }
        &mut self.buckets[position]
    }
}

/// OpenTelemetry's index of the bucket for a duration that is not 0: of `(2^(i/16), 2^((i+1)/16)]` seconds.
fn bucket_index(ns: u64) -> i32 {
    // Divided, not multiplied by 1e-9: only the division is exact where the duration is a power of two seconds.
    let bits = (ns as f64 / NS_PER_SECOND).to_bits();
    let octave = (bits >> MANTISSA_BITS) as i32 - EXPONENT_BIAS;
    octave * BUCKETS_AN_OCTAVE + bounds_below(bits & MANTISSA_MASK) - 1
}

/// How many of [`MANTISSAS`] are below the one with this fraction. Equal is not below: an upper bound belongs to its bucket.
fn bounds_below(fraction: u64) -> i32 {
    let first = FIRST_BOUNDS[(fraction >> (MANTISSA_BITS - CELL_BITS)) as usize];
    i32::from(first) + i32::from(MANTISSAS[usize::from(first)] < fraction | ONE)
}

const fn first_bounds() -> [u8; 1 << CELL_BITS] {
    let mut first = [0; 1 << CELL_BITS];
    let mut cell = 1;
    while cell < first.len() {
        let start = ONE | (cell as u64) << (MANTISSA_BITS - CELL_BITS);
        first[cell] = first[cell - 1] + (MANTISSAS[first[cell - 1] as usize] < start) as u8;
        cell += 1;
    }
    first
}

/// `2^(index/16)`.
fn lower_bound(index: i32) -> f64 {
    let octave = index.div_euclid(BUCKETS_AN_OCTAVE);
    let mantissa = MANTISSAS[index.rem_euclid(BUCKETS_AN_OCTAVE) as usize];
    f64::from_bits(mantissa) * f64::from_bits(((octave + EXPONENT_BIAS) as u64) << MANTISSA_BITS)
}

/// The first classic bucket that holds a duration; behind the last when none does.
fn classic_index(ns: u64) -> usize {
    CLASSIC_BOUNDS_NS.partition_point(|bound| *bound < ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_two_belongs_to_the_bucket_that_it_ends() {
        assert_eq!(bucket_index(1_000_000_000), -1);
        assert_eq!(bucket_index(1_000_000_001), 0);
        assert_eq!(bucket_index(999_999_999), -1);
        assert_eq!(bucket_index(2_000_000_000), 15);
        assert_eq!(bucket_index(2_000_000_001), 16);
        assert_eq!(bucket_index(500_000_000), -17);
        assert_eq!(bucket_index(500_000_001), -16);
    }

    #[test]
    fn every_duration_lies_within_its_bucket() {
        let durations =
            (0..64).flat_map(|shift| [1_u64 << shift, (1_u64 << shift) + 1, (1_u64 << shift) / 3 * 2 + 1]);
        for ns in durations.chain([u64::MAX]) {
            let (index, seconds) = (bucket_index(ns), ns as f64 / NS_PER_SECOND);
            assert!(lower_bound(index) < seconds && seconds <= lower_bound(index + 1), "{ns} ns in {index}");
        }
    }

    #[test]
    fn cells_find_the_bounds_that_comparing_all_finds() {
        let cells = (0..32).map(|cell| ONE | cell << (MANTISSA_BITS - CELL_BITS));
        for edge in MANTISSAS[..16].iter().copied().chain(cells) {
            for mantissa in [edge - 1, edge, edge + 1].into_iter().filter(|mantissa| *mantissa >= ONE) {
                let expected = MANTISSAS.iter().filter(|bound| **bound < mantissa).count() as i32;
                assert_eq!(bounds_below(mantissa & MANTISSA_MASK), expected, "{mantissa:x}");
            }
        }
    }

    #[test]
    fn bounds_of_the_range() {
        assert_eq!(bucket_index(u64::MAX) - bucket_index(1) + 1, 1025);
        assert_eq!(lower_bound(0), 1.0);
        assert_eq!(lower_bound(-16), 0.5);
        assert_eq!(lower_bound(17), 2.0 * f64::from_bits(MANTISSAS[1]));
    }
}
