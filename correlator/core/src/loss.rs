//! The reconciliation: the kernel programs count every byte before they decide anything about it, and the pipeline counts
//! what became of every byte that it got. The two never look at each other, so that their difference means something.
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

use serde::Serialize;
use weft_abi::LOSS_REASONS;

use crate::{
    DirectionCount, KernelCounters,
    attribute::Pods,
    snapshot::{NamedCount, TableSnapshot},
    wire::{ByteAccount, VantageAccount},
};

mod kernel;
#[cfg(test)]
mod tests;

use kernel::{Counts, KernelCount, KernelTable, VantageId};

/// The account of every byte: what the kernel counted against what the pipeline made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LossReport {
    /// Whether the kernel's counters are known. Without them (a capture of somebody else's) `seen` is what was recorded
    /// and what was found missing, and `unexplained` says nothing.
    pub kernel_counters: bool,
    /// Everything together; never goes backwards but for `pending` and `unexplained`.
    pub total: Balance,
    /// By vantage, by (netns, ifindex).
    pub vantages: Vec<VantageBalance>,
    /// What vantages that are no longer listed counted; part of `total`.
    pub retired: Balance,
}

/// The account of one vantage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VantageBalance {
    /// Netns cookie of the pod.
    pub netns: u64,
    /// Interface index of the device in its own netns.
    pub ifindex: u32,
    /// `namespace/name`; absent while unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What entered the device: on a pod's veth, sent by the pod.
    pub ingress: Balance,
    /// What left through it: for the pod.
    pub egress: Balance,
}

/// Bytes of TCP payload: `seen = decoded + opaque + duplicate + pending + lost + unexplained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Segments, as the kernel programs counted them.
    pub segments: u64,
    /// Counted by the kernel programs, independently of any record.
    pub seen: u64,
    /// Of messages that were parsed.
    pub decoded: u64,
    /// Of unknown protocols, and of connections that could not be followed.
    pub opaque: u64,
    /// Passed before.
    pub duplicate: u64,
    /// Waiting for bytes before them.
    pub pending: u64,
    /// Missing in the sequence numbers of connections, though they reached their receiver.
    pub gap: u64,
    /// In segments for which the kernel could write no record.
    pub unrecorded: u64,
    /// The larger of `gap` and `unrecorded`, direction by direction: the same bytes, counted twice independently.
    pub lost: u64,
    /// What is left of `seen`. Not 0 for a moment between counters and records; else it is a defect.
    pub unexplained: i64,
}

/// Holds what the kernel counted against what the pipeline counted.
#[derive(Debug)]
pub(crate) struct Reconciliation {
    kernel: KernelTable,
    known: bool,
    losses: [u64; LOSS_REASONS.len()],
}

impl Reconciliation {
    /// `limit`: `Limits::vantages`.
    pub(crate) fn new(limit: usize) -> Self {
        Self { kernel: KernelTable::new(limit), known: false, losses: Default::default() }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.kernel.set_limit(limit);
    }

    /// The kernel's counters, whole.
    pub(crate) fn update(&mut self, counters: &KernelCounters) {
        self.known = true;
        self.kernel.update(&counters.vantages);
        for (last, now) in self.losses.iter_mut().zip(counters.losses) {
            *last = now.max(*last);
        }
    }

    /// What the kernel programs could not record, by reason.
    pub(crate) fn losses(&self) -> Vec<NamedCount> {
        let counts = LOSS_REASONS.iter().zip(self.losses);
        counts.map(|(reason, count)| NamedCount { name: reason.name(), count }).collect()
    }

    pub(crate) fn table(&self) -> TableSnapshot {
        self.kernel.table()
    }

    /// The account at this moment. A vantage is listed while the kernel or `pods` know it; the others are together in
    /// `retired`.
    pub(crate) fn report(&self, accounts: &[VantageAccount], pods: &Pods) -> LossReport {
        let accounts: BTreeMap<_, _> =
            accounts.iter().map(|account| ((account.netns, account.ifindex), account.directions)).collect();
        let vantages: BTreeSet<_> = self.kernel.ids().chain(accounts.keys().copied()).collect();
        let mut report = LossReport { kernel_counters: self.known, ..LossReport::default() };
        let mut nameless = <[ByteAccount; 2]>::default();
        for vantage in vantages {
            let (kernel, account) =
                (self.kernel.get(vantage), accounts.get(&vantage).copied().unwrap_or_default());
            let counts = kernel.map(KernelCount::total).unwrap_or_default();
            if !self.known || pods.get(vantage.0).is_some() || kernel.is_some_and(|count| count.listed) {
                report.list(vantage, self.balances(&counts, &account), pods);
            } else if kernel.is_some() {
                report.retire(self.balances(&counts, &account));
            } else {
                nameless.iter_mut().zip(account).for_each(|(sum, directions)| *sum += directions);
            }
        }
        // Whose these were is forgotten on the kernel's side: the two sides can be compared in sum only.
        report.retire(self.balances(&self.kernel.nameless(), &nameless));
        report
    }

    fn balances(&self, counts: &Counts, accounts: &[ByteAccount; 2]) -> [Balance; 2] {
        let balance = |count: &DirectionCount, account: &ByteAccount| {
            let seen = if self.known {
                count.bytes_seen.saturating_add(account.inherited)
            } else {
                account.recorded.saturating_add(account.gap)
            };
            Balance::new(seen, count, account)
        };
        std::array::from_fn(|direction| balance(&counts[direction], &accounts[direction]))
    }
}

impl LossReport {
    /// What is unexplained of each direction of each vantage, more or less than 0: they do not make up for each other.
    pub fn unexplained_bytes(&self) -> u64 {
        let directions = self.vantages.iter().flat_map(|vantage| [&vantage.ingress, &vantage.egress]);
        let unexplained = directions.chain([&self.retired]).map(|balance| balance.unexplained.unsigned_abs());
        unexplained.fold(0, u64::saturating_add)
    }

    fn list(&mut self, (netns, ifindex): VantageId, [ingress, egress]: [Balance; 2], pods: &Pods) {
        let pod = pods.get(netns).and_then(|entry| entry.label.as_deref().map(str::to_owned));
        self.total += ingress;
        self.total += egress;
        self.vantages.push(VantageBalance { netns, ifindex, pod, ingress, egress });
    }

    fn retire(&mut self, balances: [Balance; 2]) {
        for balance in balances {
            self.total += balance;
            self.retired += balance;
        }
    }
}

impl Balance {
    fn new(seen: u64, count: &DirectionCount, account: &ByteAccount) -> Self {
        let ByteAccount { recorded: _, inherited: _, decoded, opaque, duplicate, pending, gap } = *account;
        let lost = gap.max(count.bytes_unrecorded);
        let explained = [decoded, opaque, duplicate, pending, lost].map(i128::from).iter().sum::<i128>();
        let unexplained = i128::from(seen) - explained;
        Self {
            segments: count.segments,
            seen,
            decoded,
            opaque,
            duplicate,
            pending,
            gap,
            unrecorded: count.bytes_unrecorded,
            lost,
            unexplained: i64::try_from(unexplained).unwrap_or(if unexplained < 0 {
                i64::MIN
            } else {
                i64::MAX
            }),
        }
    }
}

impl AddAssign for Balance {
    fn add_assign(&mut self, other: Self) {
        let Self { segments, seen, decoded, opaque, duplicate, pending, gap, unrecorded, lost, unexplained } =
            other;
        self.segments = self.segments.saturating_add(segments);
        self.seen = self.seen.saturating_add(seen);
        self.decoded = self.decoded.saturating_add(decoded);
        self.opaque = self.opaque.saturating_add(opaque);
        self.duplicate = self.duplicate.saturating_add(duplicate);
        self.pending = self.pending.saturating_add(pending);
        self.gap = self.gap.saturating_add(gap);
        self.unrecorded = self.unrecorded.saturating_add(unrecorded);
        self.lost = self.lost.saturating_add(lost);
        self.unexplained = self.unexplained.saturating_add(unexplained);
    }
}
