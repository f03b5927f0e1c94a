//! Sets of moments.
use smallvec::SmallVec;

use crate::Ktime;

/// Spans of time in order that do not touch, each up to, and not with, its end. Nearly always there is one at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spans(SmallVec<[(Ktime, Ktime); 2]>);

impl Spans {
    /// The moments that are in any of these.
    pub(super) fn of(spans: impl IntoIterator<Item = (Ktime, Ktime)>) -> Self {
        let mut spans: SmallVec<[_; 2]> = spans.into_iter().filter(|(from, to)| from < to).collect();
        spans.sort_unstable();
        spans.dedup_by(|(from, to), (_, end)| {
            let touches = *from <= *end;
            if touches {
                *end = (*end).max(*to);
            }
            touches
        });
        Self(spans)
    }

    /// In either.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied())
    }

    /// In both.
    pub(super) fn within(&self, other: &Self) -> Self {
        let common = |(from, to): (Ktime, Ktime)| {
            other.0.iter().map(move |(start, end)| (from.max(*start), to.min(*end)))
        };
        Self::of(self.0.iter().copied().flat_map(common))
    }

    /// In this, and not in the other.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = SmallVec::<[_; 2]>::new();
        for (from, to) in self.0.iter().copied() {
            let mut at = from;
            for (start, end) in other.0.iter().copied().filter(|(start, end)| *start < to && from < *end) {
                left.push((at, start));
                at = at.max(end);
            }
            left.push((at, to));
        }
        Self::of(left)
    }

    /// In ns.
    pub(super) fn length(&self) -> u64 {
        self.0.iter().map(|(from, to)| to.since(*from)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(list: &[(u64, u64)]) -> Spans {
        Spans::of(list.iter().map(|(from, to)| (Ktime(*from), Ktime(*to))))
    }

    #[test]
    fn named_cases() {
        let spans_ = spans(&[(5, 9), (1, 3), (3, 4), (8, 12), (7, 7)]);
        assert_eq!(spans_, spans(&[(1, 4), (5, 12)]));
        assert_eq!(spans_.without(&spans(&[(0, 2), (6, 7), (11, 20)])), spans(&[(2, 4), (5, 6), (7, 11)]));
        assert_eq!(spans_.within(&spans(&[(0, 2), (6, 7), (11, 20)])), spans(&[(1, 2), (6, 7), (11, 12)]));
        assert_eq!(spans_.length(), 10);
    }

    proptest! {
        /// Moment by moment.
        #[test]
        fn as_sets_of_moments(
            a in proptest::collection::vec((0_u64..60, 0_u64..60), 0..8),
            b in proptest::collection::vec((0_u64..60, 0_u64..60), 0..8),
        ) {
            let (a, b) = (spans(&a), spans(&b));
            let has = |spans: &Spans, at| spans.0.iter().any(|(from, to)| (from.0..to.0).contains(&at));
            let moments = |is: &dyn Fn(u64) -> bool| (0..60).filter(|at| is(*at)).count() as u64;
            prop_assert_eq!(a.with(&b).length(), moments(&|at| has(&a, at) || has(&b, at)));
            prop_assert_eq!(a.within(&b).length(), moments(&|at| has(&a, at) && has(&b, at)));
            prop_assert_eq!(a.without(&b).length(), moments(&|at| has(&a, at) && !has(&b, at)));
        }
    }
}
