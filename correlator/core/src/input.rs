//! What the pipeline takes. Everything but a record of the ring is serialisable, because a recording holds it.
use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use weft_abi::LOSS_REASONS;

use crate::{ClusterUpdate, Config};

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ktime(pub u64);

impl Ktime {
    /// Nanoseconds from `earlier` to here; 0 when it is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This many nanoseconds later.
    #[must_use]
    pub fn after(self, nanoseconds: u64) -> Self {
        Self(self.0.saturating_add(nanoseconds))
    }
}

/// One input of the pipeline.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A record of the ring, as the programs wrote it.
    Probe(&'a [u8]),
    /// A pod came, changed or went.
    Workload(WorkloadUpdate),
    /// A Go process was understood, or is gone.
    Process(ProcessUpdate),
    /// What the kernel counted.
    KernelCounters(KernelCounters),
    /// The configuration, whole.
    Config(Arc<Config>),
    /// What to add to `CLOCK_MONOTONIC` for the time since the epoch.
    Clock(ClockOffset),
    /// Time passed: what waits for a deadline is looked at.
    Tick(Ktime),
}

/// Nanoseconds from `CLOCK_MONOTONIC` to the epoch's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(pub i64);

/// A change in who is behind a netns or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadUpdate {
    /// This pod is there; replaces what was said of its netns before.
    Pod(Pod),
    /// The netns is gone.
    Gone {
        /// Its cookie.
        netns: u64,
    },
    /// The cluster says who pods are, and whose addresses.
    Cluster(ClusterUpdate),
}

/// A change in what is known of the processes behind sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessUpdate {
    /// A Go process, and what is listened at in it; replaces what was said of it before.
    Go(GoProcess),
    /// The process is gone.
    Gone {
        /// Its id.
        pid: u32,
    },
}

/// A Go process of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GoProcess {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// Cookie of its netns.
    pub netns: u64,
    /// Go's version: `1.26.8`.
    pub version: String,
    /// What is listened at.
    pub probes: Probes,
}

/// Which functions of a Go process have probes: what needs one that is off is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probes {
    /// Where servers begin to handle a request.
    pub serve: bool,
    /// Where clients send a request.
    pub call: bool,
    /// Where goroutines are created.
    pub create: bool,
    /// Where the world is stopped and goes on.
    pub gc: bool,
    /// Where goroutines help the garbage collector.
    pub assist: bool,
    /// Where goroutines change their state.
    pub sched: bool,
}

/// A pod, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// Cookie of its netns.
    pub netns: u64,
    /// Inode number of its netns: for people.
    pub netns_inode: u64,
    /// Kubernetes namespace; empty when unknown.
    pub namespace: String,
    /// Pod name; empty when unknown.
    pub name: String,
    /// Kubernetes uid; empty when unknown.
    pub uid: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Pod {
    /// `namespace/name`; nothing for a pod without a name.
    pub fn label(&self) -> Option<String> {
        (!self.name.is_empty()).then(|| format!("{}/{}", self.namespace, self.name))
    }
}

/// The kernel's counters since this agent took charge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelCounters {
    /// The bank in force. Records of the other one were counted for the agent before, and lay in the ring.
    pub bank: u8,
    /// Every vantage with a device.
    pub vantages: Vec<VantageCounters>,
    /// By [`LOSS_REASONS`]. A recording of an older version has fewer: those that came later were not counted.
    #[serde(deserialize_with = "losses")]
    pub losses: [u64; LOSS_REASONS.len()],
}

fn losses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u64; LOSS_REASONS.len()], D::Error> {
    let counted = Vec::<u64>::deserialize(deserializer)?;
    if counted.len() > LOSS_REASONS.len() {
        return Err(D::Error::invalid_length(counted.len(), &"no more reasons than this version knows"));
    }
    Ok(std::array::from_fn(|reason| counted.get(reason).copied().unwrap_or(0)))
}

impl KernelCounters {
    /// What was counted after `earlier`: a vantage that it does not know counts from nothing.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let of = |counters: &VantageCounters| {
            let known =
                |found: &&VantageCounters| (found.netns, found.ifindex) == (counters.netns, counters.ifindex);
            let base = earlier.vantages.iter().find(known).map(|found| found.directions).unwrap_or_default();
            let [ingress, egress] = counters.directions;
            let [ingress_base, egress_base] = base;
            VantageCounters {
                directions: [ingress.since(ingress_base), egress.since(egress_base)],
                ..*counters
            }
        };
        let mut losses = self.losses;
        losses.iter_mut().zip(earlier.losses).for_each(|(now, before)| *now = now.saturating_sub(before));
        Self { bank: self.bank, vantages: self.vantages.iter().map(of).collect(), losses }
    }
}

/// The counters of one vantage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageCounters {
    /// Netns cookie of the pod.
    pub netns: u64,
    /// Interface index of the device in its own netns.
    pub ifindex: u32,
    /// `[DIRECTION_INGRESS, DIRECTION_EGRESS]`.
    pub directions: [DirectionCount; 2],
}

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectionCount {
    /// TCP segments.
    pub segments: u64,
    /// Bytes of TCP payload.
    pub bytes_seen: u64,
    /// Of these, bytes in segments for which no record could be written.
    pub bytes_unrecorded: u64,
}

impl DirectionCount {
    /// What was counted after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            segments: self.segments.saturating_sub(earlier.segments),
            bytes_seen: self.bytes_seen.saturating_sub(earlier.bytes_seen),
            bytes_unrecorded: self.bytes_unrecorded.saturating_sub(earlier.bytes_unrecorded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_since_a_moment_are_those_after_it() {
        let count = |bytes_seen| DirectionCount { bytes_seen, ..DirectionCount::default() };
        let vantage = |netns, bytes| VantageCounters { netns, ifindex: 1, directions: [count(bytes); 2] };
        let counters =
            |vantages| KernelCounters { vantages, losses: [5; LOSS_REASONS.len()], ..Default::default() };
        let since = counters(vec![vantage(1, 10), vantage(2, 7)]).since(&counters(vec![vantage(1, 4)]));
        assert_eq!(since.vantages, [vantage(1, 6), vantage(2, 7)]);
        assert_eq!(since.losses, [0; LOSS_REASONS.len()]);
    }
}
