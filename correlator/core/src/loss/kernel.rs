use std::collections::BTreeMap;

use crate::{DirectionCount, VantageCounters, snapshot::TableSnapshot};

/// Netns cookie and interface index.
pub(crate) type VantageId = (u64, u32);

/// `[DIRECTION_INGRESS, DIRECTION_EGRESS]`.
pub(crate) type Counts = [DirectionCount; 2];

/// What the kernel counted, by vantage. A vantage that the kernel no longer lists keeps its last counters. At most
/// `Limits::vantages`: then the oldest unlisted one (cookies rise) moves into a sum without names, and without such a one
/// the newcomers are counted there. Both are counted.
#[derive(Debug, Default)]
pub(crate) struct KernelTable {
    limit: usize,
    vantages: BTreeMap<VantageId, KernelCount>,
    forgotten: Counts,
    /// What newcomers without room counted, when that was most.
    homeless: Counts,
    evicted: u64,
}

/// One vantage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelCount {
    /// Counted by entries of the kernel's map that were replaced by new ones of the same key.
    before: Counts,
    last: Counts,
    /// The kernel has it still.
    pub(crate) listed: bool,
}

impl KernelTable {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// All that the kernel lists, cumulative.
    pub(crate) fn update(&mut self, listed: &[VantageCounters]) {
        self.vantages.values_mut().for_each(|count| count.listed = false);
        // Those that have a place first: else a newcomer could take it.
        let homeless: Vec<_> = listed.iter().filter(|counters| !self.update_known(counters)).collect();
        let mut together = Counts::default();
        for counters in homeless {
            if self.make_room() {
                self.vantages
                    .entry((counters.netns, counters.ifindex))
                    .or_default()
                    .update(counters.directions);
            } else {
                add(&mut together, &counters.directions);
            }
        }
        self.homeless = larger(&self.homeless, &together);
    }

    pub(crate) fn get(&self, vantage: VantageId) -> Option<&KernelCount> {
        self.vantages.get(&vantage)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = VantageId> {
        self.vantages.keys().copied()
    }

    /// What was counted without a name.
    pub(crate) fn nameless(&self) -> Counts {
        let mut counts = self.forgotten;
        add(&mut counts, &self.homeless);
        counts
    }

    pub(crate) fn table(&self) -> TableSnapshot {
        let (entries, limit) = (self.vantages.len() as u64, self.limit as u64);
        TableSnapshot { table: "kernel_counters", entries, limit, evicted: self.evicted }
    }

    fn update_known(&mut self, counters: &VantageCounters) -> bool {
        let known = self.vantages.get_mut(&(counters.netns, counters.ifindex));
        known.map(|count| count.update(counters.directions)).is_some()
    }

    fn make_room(&mut self) -> bool {
        if self.vantages.len() < self.limit {
            return true;
        }
        self.evicted += 1;
        let unlisted = self.vantages.iter().find(|(_, count)| !count.listed).map(|(vantage, _)| *vantage);
        let Some(count) = unlisted.and_then(|vantage| self.vantages.remove(&vantage)) else { return false };
        add(&mut self.forgotten, &count.total());
        true
    }
}

impl KernelCount {
    pub(crate) fn total(&self) -> Counts {
        let mut total = self.before;
        add(&mut total, &self.last);
        total
    }

    fn update(&mut self, now: Counts) {
        self.listed = true;
        for ((before, last), now) in self.before.iter_mut().zip(&mut self.last).zip(now) {
            if now.segments < last.segments {
                add_one(before, last);
            }
            *last = now;
        }
    }
}

fn add(sum: &mut Counts, counts: &Counts) {
    for (sum, count) in sum.iter_mut().zip(counts) {
        add_one(sum, count);
    }
}

fn add_one(sum: &mut DirectionCount, count: &DirectionCount) {
    let DirectionCount { segments, bytes_seen, bytes_unrecorded } = count;
    sum.segments = sum.segments.saturating_add(*segments);
    sum.bytes_seen = sum.bytes_seen.saturating_add(*bytes_seen);
    sum.bytes_unrecorded = sum.bytes_unrecorded.saturating_add(*bytes_unrecorded);
}

fn larger(a: &Counts, b: &Counts) -> Counts {
    let one = |a: &DirectionCount, b: &DirectionCount| DirectionCount {
        segments: a.segments.max(b.segments),
        bytes_seen: a.bytes_seen.max(b.bytes_seen),
        bytes_unrecorded: a.bytes_unrecorded.max(b.bytes_unrecorded),
    };
    std::array::from_fn(|direction| one(&a[direction], &b[direction]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(netns: u64, segments: u64) -> VantageCounters {
        let count = DirectionCount { segments, bytes_seen: segments * 100, bytes_unrecorded: segments };
        VantageCounters { netns, ifindex: 2, directions: [count, DirectionCount::default()] }
    }

    fn seen(table: &KernelTable) -> u64 {
        let named: u64 = table.vantages.values().map(|count| count.total()[0].bytes_seen).sum();
        named + table.nameless()[0].bytes_seen
    }

    #[test]
    fn a_vantage_that_is_gone_keeps_its_counters() {
        let mut table = KernelTable::new(8);
        table.update(&[counters(1, 5), counters(2, 7)]);
        table.update(&[counters(2, 9)]);
        assert_eq!(seen(&table), 500 + 900);
        assert!(!table.get((1, 2)).unwrap().listed);
    }

    #[test]
    fn a_replaced_entry_counts_on() {
        let mut table = KernelTable::new(8);
        table.update(&[counters(1, 5)]);
        table.update(&[counters(1, 3)]);
        table.update(&[counters(1, 4)]);
        assert_eq!(seen(&table), 500 + 400);
    }

    #[test]
    fn past_the_limit_the_unlisted_give_way_and_nothing_is_lost() {
        let mut table = KernelTable::new(2);
        table.update(&[counters(1, 5), counters(2, 7)]);
        table.update(&[counters(3, 1), counters(2, 8)]);
        assert_eq!(table.ids().collect::<Vec<_>>(), [(2, 2), (3, 2)]);
        assert_eq!(seen(&table), 500 + 800 + 100);
        table.update(&[counters(2, 8), counters(3, 1), counters(4, 6)]);
        assert_eq!((seen(&table), table.table().evicted), (500 + 800 + 100 + 600, 2));
        table.update(&[counters(2, 8), counters(3, 1)]);
        assert_eq!(seen(&table), 500 + 800 + 100 + 600);
    }
}
