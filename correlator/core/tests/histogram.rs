//! Histograms against what sorting every duration says.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use proptest::{collection::vec, prelude::*};
use weft_core::{CLASSIC_BOUNDS_NS, Histogram};

/// A bucket's bounds differ by a factor of 2^(1/16), so that a quantile is that far off at most.
const BUCKET_WIDTH: f64 = 1.044_274;

fn histogram(durations: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    durations.iter().for_each(|ns| histogram.record(*ns));
    histogram
}

/// Nearest rank, exactly.
fn exact_quantile(durations: &[u64], q: f64) -> u64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let rank = ((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len());
    sorted[rank - 1]
}

/// The same numbers on every run (Park and Miller's generator).
fn uniform(count: usize) -> impl Iterator<Item = f64> {
    let mut state = 42_u64;
    std::iter::repeat_with(move || {
        state = state * 48_271 % 2_147_483_647;
        state as f64 / 2_147_483_647.0
    })
    .take(count)
}

fn assert_quantiles(durations: &[u64]) {
    let histogram = histogram(durations);
    for q in [0.0, 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0] {
        let (exact, got) = (exact_quantile(durations, q) as f64, histogram.quantile(q).unwrap() as f64);
        assert!(
            got <= exact * BUCKET_WIDTH + 1.0 && got >= exact / BUCKET_WIDTH - 1.0,
            "q {q}: {got} for {exact}"
        );
    }
    assert_eq!(histogram.quantile(0.0), durations.iter().min().copied());
    assert_eq!(histogram.quantile(1.0), durations.iter().max().copied());
}

#[test]
fn quantiles_of_uniform_durations() {
    assert_quantiles(&uniform(10_000).map(|u| (u * 5e6) as u64).collect::<Vec<_>>());
}

#[test]
fn quantiles_of_exponential_durations() {
    assert_quantiles(&uniform(10_000).map(|u| (-u.ln() * 800_000.0) as u64).collect::<Vec<_>>());
}

#[test]
fn quantiles_of_a_long_tail() {
    assert_quantiles(&uniform(10_000).map(|u| (50_000.0 / u.powf(1.5)) as u64).collect::<Vec<_>>());
}

#[test]
fn quantiles_of_two_humps() {
    let fast_or_slow = |u: f64| if u < 0.9 { 300_000.0 + u * 1e5 } else { 2e9 + u * 1e8 };
    assert_quantiles(&uniform(10_000).map(|u| fast_or_slow(u) as u64).collect::<Vec<_>>());
}

#[test]
fn quantiles_of_one_duration_are_it() {
    let histogram = histogram(&[123_456_789]);
    assert_eq!([0.0, 0.5, 0.99, 1.0].map(|q| histogram.quantile(q)), [Some(123_456_789); 4]);
}

#[test]
fn nothing_has_no_quantile() {
    let empty = Histogram::default();
    assert_eq!((empty.quantile(0.5), empty.min(), empty.max(), empty.count()), (None, None, None, 0));
}

#[test]
fn zero_is_counted_apart() {
    let snapshot = histogram(&[0, 0, 0, 1_000_000]).snapshot();
    assert_eq!((snapshot.exponential.zero_count, snapshot.exponential.counts.iter().sum::<u64>()), (3, 1));
    assert_eq!((snapshot.p50_ns, snapshot.max_ns), (Some(0), Some(1_000_000)));
    assert_eq!(snapshot.classic[0], 3);
}

#[test]
fn a_duration_at_a_classic_bound_is_within_it() {
    for (position, bound) in CLASSIC_BOUNDS_NS.into_iter().enumerate() {
        let within = histogram(&[bound]).classic().position(|count| count == 1);
        let above = histogram(&[bound + 1]).classic().position(|count| count == 1);
        assert_eq!(within, Some(position));
        assert_eq!(above, (position + 1 < CLASSIC_BOUNDS_NS.len()).then_some(position + 1));
    }
}

#[test]
fn powers_of_two_seconds_end_their_buckets() {
    // Beyond 2^53 ns (104 days) a float no longer tells neighbours apart.
    for exponent in 0..23_i32 {
        let snapshot = histogram(&[1_000_000_000 << exponent]).snapshot();
        assert_eq!(snapshot.exponential.offset, exponent * 16 - 1);
        let snapshot = histogram(&[(1_000_000_000 << exponent) + 1]).snapshot();
        assert_eq!(snapshot.exponential.offset, exponent * 16);
    }
}

#[test]
fn extremes_stay_bounded() {
    let snapshot = histogram(&[u64::MAX, 1, 0, u64::MAX]).snapshot();
    assert_eq!(snapshot.exponential.counts.len(), 1025);
    assert_eq!(snapshot.sum_ns, u64::MAX);
    assert_eq!((snapshot.min_ns, snapshot.max_ns), (Some(0), Some(u64::MAX)));
}

proptest! {
    #[test]
    fn merging_is_recording_all(a in vec(any::<u64>(), 0..50), b in vec(0..10_000_000_000_u64, 0..50)) {
        let mut merged = histogram(&a);
        merged.merge(&histogram(&b));
        prop_assert_eq!(merged.snapshot(), histogram(&[a, b].concat()).snapshot());
    }

    #[test]
    fn every_form_counts_the_same(durations in vec(0..20_000_000_000_u64, 1..200)) {
        let snapshot = histogram(&durations).snapshot();
        prop_assert_eq!(snapshot.exponential.zero_count + snapshot.exponential.counts.iter().sum::<u64>(), snapshot.count);
        for (bound, count) in CLASSIC_BOUNDS_NS.iter().zip(&snapshot.classic) {
            prop_assert_eq!(durations.iter().filter(|ns| *ns <= bound).count() as u64, *count);
        }
    }
}
