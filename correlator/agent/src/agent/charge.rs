//! Being in charge: the heartbeat, and the kernel's counters counted from the moment of taking over.
use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Result;
use weft_abi::{Bank, DirectionCounters, LOSS_REASONS, LossReason, MAX_CAPTURE, VANTAGE_SOCKETS, VantageKey};
use weft_core::{DirectionCount, KernelCounters, Ktime, PortFilter, VantageCounters};
use weft_loader::{Counted, Kernel, Losses, Pins, Vantages, state::StateDir};

use super::reported::{self, LossCounts, Unwritten, total, unrecorded};
use crate::clock;

/// How long the programs go on recording without a heartbeat. Short enough that a dead agent soon costs nothing, long
/// enough that one that is restarted finds in the ring what it missed.
const ALIVE: u64 = 10_000_000_000;

/// The agent's side of the control block and the counters.
pub struct Charge {
    kernel: Kernel,
    vantages: Vantages,
    losses: Losses,
    bank: u8,
    /// The bank's counters when this agent took it.
    base: BTreeMap<VantageKey, Bank>,
    /// What agents before this one have reported of what was not recorded.
    reported: Unwritten,
    /// Where that is kept for the next agent.
    reported_file: PathBuf,
}

/// What happened while nobody was in charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undrained {
    /// Segments that no record was written of.
    pub segments: u64,
    /// The same of socket events and socket I/O.
    pub socket_records: u64,
}

impl Charge {
    /// Takes charge, and tells what nobody took since the last agent.
    ///
    /// # Errors
    /// When the maps are not pinned or cannot be written.
    pub fn take(pins: &Pins, state: &StateDir, ports: &PortFilter) -> Result<(Self, Undrained)> {
        let mut kernel = Kernel::open(pins)?;
        let vantages = Vantages::open(pins)?;
        let losses = Losses::open(pins)?;
        let bank = (kernel.generation().wrapping_add(1) & 1) as u8;
        // Nobody writes this bank now: what is in it is what this agent must not count as its own.
        let counted = vantages.read();
        let base = counted.iter().map(|counted| (counted.key, of_bank(counted, bank))).collect();
        let reported_file = state.path().join(reported::FILE);
        let now = Unwritten::now(&losses, &counted);
        let reported = Unwritten::reported(&reported_file, &now);
        let undrained = undrained(&reported.losses, &now.losses);
        kernel.filter_ports(&ports.include, &ports.exclude)?;
        kernel.take_charge(clock::monotonic().after(ALIVE).0, MAX_CAPTURE as u32)?;
        Ok((Self { kernel, vantages, losses, bank, base, reported, reported_file }, undrained))
    }

    /// Says which ports are wanted from now on.
    ///
    /// # Errors
    /// When the maps cannot be written.
    pub fn filter_ports(&mut self, ports: &PortFilter) -> Result<()> {
        self.kernel.filter_ports(&ports.include, &ports.exclude)?;
        self.kernel.beat(clock::monotonic().after(ALIVE).0)?;
        Ok(())
    }

    /// The heartbeat. Gives the counters, and notes for the next agent what they report: from one look at the kernel's.
    pub fn beat(&mut self, now: Ktime) -> KernelCounters {
        if let Err(error) = self.kernel.beat(now.after(ALIVE).0) {
            tracing::error!(%error, "the programs cannot be told that the agent is alive: they will only count");
        }
        let counted = self.vantages.read();
        let unwritten = Unwritten::now(&self.losses, &counted);
        unwritten.keep(&self.reported_file);
        self.since_charge(&counted, &unwritten.losses)
    }

    /// The counters since this agent took charge; what was not recorded also since the one before stopped reporting:
    /// bytes that nobody drained are a gap in connections that go on, so they are seen and lost in this account.
    pub fn counters(&self) -> KernelCounters {
        self.since_charge(&self.vantages.read(), &total(&self.losses))
    }

    fn since_charge(&self, counted: &[Counted], losses: &LossCounts) -> KernelCounters {
        let devices = counted.iter().filter(|counted| counted.kind != u32::from(VANTAGE_SOCKETS));
        let vantages = devices.map(|counted| VantageCounters {
            netns: counted.netns,
            ifindex: counted.key.ifindex,
            directions: self.directions(counted),
        });
        KernelCounters {
            bank: self.bank,
            vantages: vantages.collect(),
            losses: difference(losses, &self.reported.losses),
        }
    }

    fn directions(&self, counted: &Counted) -> [DirectionCount; 2] {
        let base = self.base.get(&counted.key).copied().unwrap_or_default();
        let mut directions = since(of_bank(counted, self.bank), base);
        let before = unrecorded(&[of_bank(counted, self.bank ^ 1), base]);
        for (count, owed) in directions.iter_mut().zip(self.reported.owed(counted.key, before)) {
            count.bytes_seen += owed;
            count.bytes_unrecorded += owed;
        }
        directions
    }
}

fn of_bank(counted: &Counted, bank: u8) -> Bank {
    let [even, odd] = counted.banks;
    if bank & 1 == 0 { even } else { odd }
}

fn since(now: Bank, base: Bank) -> [DirectionCount; 2] {
    let [ingress, egress] = counts(now);
    let [ingress_base, egress_base] = counts(base);
    [ingress.since(ingress_base), egress.since(egress_base)]
}

fn counts(bank: Bank) -> [DirectionCount; 2] {
    bank.directions.map(|DirectionCounters { segments, bytes_seen, bytes_unrecorded }| DirectionCount {
        segments,
        bytes_seen,
        bytes_unrecorded,
    })
}

fn difference(now: &LossCounts, base: &LossCounts) -> LossCounts {
    std::array::from_fn(|index| {
        now.get(index).copied().unwrap_or(0).saturating_sub(base.get(index).copied().unwrap_or(0))
    })
}

fn undrained(reported: &LossCounts, now: &LossCounts) -> Undrained {
    let lost = difference(now, reported);
    let of = |reasons: &[LossReason]| {
        LOSS_REASONS
            .iter()
            .zip(lost)
            .filter(|(reason, _)| reasons.contains(reason))
            .map(|(_, count)| count)
            .sum()
    };
    Undrained {
        segments: of(&[LossReason::RingFullSegment, LossReason::NoAgentSegment]),
        socket_records: of(&[
            LossReason::RingFullSockEvent,
            LossReason::NoAgentSockEvent,
            LossReason::RingFullSockIo,
            LossReason::NoAgentSockIo,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_drained_is_what_was_not_reported() {
        let counts = |counted: &[(LossReason, u64)]| {
            let mut counts = LossCounts::default();
            counted.iter().for_each(|(reason, count)| counts[*reason as usize] = *count);
            counts
        };
        let reported = counts(&[(LossReason::RingFullSegment, 1)]);
        let now = counts(&[
            (LossReason::RingFullSegment, 3),
            (LossReason::RingFullSockEvent, 1),
            (LossReason::NoAgentSegment, 10),
            (LossReason::NoAgentSockIo, 5),
            (LossReason::PayloadUnreadable, 7),
        ]);
        assert_eq!(undrained(&reported, &now), Undrained { segments: 12, socket_records: 6 });
    }
}
