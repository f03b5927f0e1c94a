//! What a series has counted, by itself: so that it can be taken from what it counts later.
use weft_metrics::exposition::{Distribution, Exponential};

use crate::settings;

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Measure {
    Number(u64),
    /// Of a gauge.
    Signed(i64),
    Histogram(Histogram),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) buckets: Buckets,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Buckets {
    /// How many are in each bucket, one more than there are bounds: the last has what is above them all.
    Explicit { bounds: Vec<f64>, counts: Vec<u64> },
    /// As OpenTelemetry counts them; scale and index of the first are not the counts' business.
    Exponential { scale: i32, zero_count: u64, offset: i32, counts: Vec<u64> },
}

impl Measure {
    /// What came to it since `before`; nothing where it cannot be the same series: it counted less.
    pub(super) fn since(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Number(now), Self::Number(before)) => now.checked_sub(*before).map(Self::Number),
            (Self::Histogram(now), Self::Histogram(before)) => now.since(before).map(Self::Histogram),
            _ => None,
        }
    }

    /// Nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Number(number) => *number == 0,
            Self::Signed(number) => *number == 0,
            Self::Histogram(histogram) => histogram.count == 0,
        }
    }
}

impl Histogram {
    pub(super) fn of(distribution: &Distribution<'_>, form: settings::Histograms) -> Self {
        let Distribution { count, sum, buckets, exponential, exemplar: _ } = *distribution;
        let buckets = match exponential.filter(|_| form == settings::Histograms::Exponential) {
            Some(Exponential { scale, zero_count, offset, counts }) => {
                Buckets::Exponential { scale, zero_count, offset, counts: counts.to_vec() }
            }
            None => explicit(count, buckets),
        };
        Self { count, sum, buckets }
    }

    fn since(&self, before: &Self) -> Option<Self> {
        let count = self.count.checked_sub(before.count)?;
        let buckets = self.buckets.since(&before.buckets)?;
        Some(Self { count, sum: self.sum - before.sum, buckets })
    }
}

fn explicit(count: u64, cumulative: &[(f64, u64)]) -> Buckets {
    let mut below = 0;
    let one = |up_to: u64| up_to.saturating_sub(std::mem::replace(&mut below, up_to));
    let counts = cumulative.iter().map(|(_, up_to)| *up_to).chain([count]).map(one).collect();
    Buckets::Explicit { bounds: cumulative.iter().map(|(bound, _)| *bound).collect(), counts }
}

impl Buckets {
    fn since(&self, before: &Self) -> Option<Self> {
        match (self, before) {
            (Self::Explicit { bounds, counts }, Self::Explicit { counts: before, .. }) => {
                let less = counts.iter().zip(before).map(|(now, before)| now.checked_sub(*before));
                Some(Self::Explicit { bounds: bounds.clone(), counts: less.collect::<Option<_>>()? })
            }
            (
                Self::Exponential { scale, zero_count, offset, counts },
                Self::Exponential {
                    zero_count: zeroes_before, offset: offset_before, counts: before, ..
                },
            ) => {
                let (offset, counts) = less((*offset, counts), (*offset_before, before))?;
                let zero_count = zero_count.checked_sub(*zeroes_before)?;
                Some(Self::Exponential { scale: *scale, zero_count, offset, counts })
            }
            _ => None,
        }
    }
}

/// Counts from an index on, less others; without those at both ends that are 0 then.
fn less((offset, now): (i32, &[u64]), (offset_before, before): (i32, &[u64])) -> Option<(i32, Vec<u64>)> {
    let mut counts = now.to_vec();
    for (index, before) in (offset_before..).zip(before).filter(|(_, before)| **before > 0) {
        let position = usize::try_from(index.checked_sub(offset)?).ok()?;
        let count = counts.get_mut(position)?;
        *count = count.checked_sub(*before)?;
    }
    counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
    let zeroes = counts.iter().take_while(|count| **count == 0).count();
    counts.drain(..zeroes);
    Some((offset.checked_add(i32::try_from(zeroes).ok()?)?, counts))
}
