//! Being in charge: the heartbeat, and the kernel's counters counted from the moment of taking over.
use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::Result;
use weft_abi::{Bank, LOSS_REASONS, LossReason, MAX_CAPTURE, VANTAGE_SOCKETS, VantageKey};
use weft_core::{DirectionCount, KernelCounters, Ktime, VantageCounters};
use weft_loader::{Counted, Kernel, Losses, Pins, Vantages, state::StateDir};

use crate::clock;

/// How long the programs go on recording without a heartbeat. Short enough that a dead agent soon costs nothing, long
/// enough that one that is restarted finds in the ring what it missed.
const ALIVE: u64 = 10_000_000_000;

type LossCounts = [u64; LOSS_REASONS.len()];

/// The agent's side of the control block and the counters.
pub struct Charge {
    kernel: Kernel,
    vantages: Vantages,
    losses: Losses,
    bank: u8,
    /// The bank's counters when this agent took it.
    base: BTreeMap<VantageKey, Bank>,
    /// The losses that agents before this one have reported.
    reported: LossCounts,
    /// Where the losses reported so far are kept for the next agent.
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
    pub fn take(
        pins: &Pins,
        state: &StateDir,
        ports: &[u16],
        exclude_ports: &[u16],
    ) -> Result<(Self, Undrained)> {
        let mut kernel = Kernel::open(pins)?;
        let vantages = Vantages::open(pins)?;
        let losses = Losses::open(pins)?;
        let bank = (kernel.generation().wrapping_add(1) & 1) as u8;
        // Nobody writes this bank now: what is in it is what this agent must not count as its own.
        let base =
            vantages.read().into_iter().map(|counted| (counted.key, of_bank(&counted, bank))).collect();
        let reported_file = state.path().join("losses_reported.json");
        let reported = read_reported(&reported_file, &total(&losses));
        let undrained = undrained(&reported, &total(&losses));
        kernel.filter_ports(ports, exclude_ports)?;
        kernel.take_charge(clock::monotonic().after(ALIVE).0, MAX_CAPTURE as u32)?;
        Ok((Self { kernel, vantages, losses, bank, base, reported, reported_file }, undrained))
    }

    /// The heartbeat. Also notes what was reported, for the next agent.
    pub fn beat(&mut self, now: Ktime) {
        if let Err(error) = self.kernel.beat(now.after(ALIVE).0) {
            tracing::error!(%error, "the programs cannot be told that the agent is alive: they will only count");
        }
        let text = serde_json::to_vec(&total(&self.losses).to_vec()).unwrap_or_default();
        // Without the file the next agent reports these losses once more; that is no reason to stop.
        let _ = fs::write(&self.reported_file, text);
    }

    /// The counters since this agent took charge; the losses also since the one before stopped reporting.
    pub fn counters(&self) -> KernelCounters {
        self.counters_since(&self.base)
    }

    /// The same, as if this agent had taken charge now: where a recording begins.
    pub fn rebased_counters(&self) -> KernelCounters {
        let now = self
            .vantages
            .read()
            .into_iter()
            .map(|counted| (counted.key, of_bank(&counted, self.bank)))
            .collect();
        self.counters_since(&now)
    }

    fn counters_since(&self, base: &BTreeMap<VantageKey, Bank>) -> KernelCounters {
        let devices =
            self.vantages.read().into_iter().filter(|counted| counted.kind != u32::from(VANTAGE_SOCKETS));
        KernelCounters {
            bank: self.bank,
            vantages: devices
                .map(|counted| VantageCounters {
                    netns: counted.netns,
                    ifindex: counted.key.ifindex,
                    directions: since(of_bank(&counted, self.bank), base.get(&counted.key).copied()),
                })
                .collect(),
            losses: difference(&total(&self.losses), &self.reported),
        }
    }
}

fn of_bank(counted: &Counted, bank: u8) -> Bank {
    let [even, odd] = counted.banks;
    if bank & 1 == 0 { even } else { odd }
}

fn since(now: Bank, base: Option<Bank>) -> [DirectionCount; 2] {
    let base = base.unwrap_or_default().directions;
    let [ingress, egress] = now.directions;
    let [ingress_base, egress_base] = base;
    [(ingress, ingress_base), (egress, egress_base)].map(|(now, base)| DirectionCount {
        segments: now.segments.saturating_sub(base.segments),
        bytes_seen: now.bytes_seen.saturating_sub(base.bytes_seen),
        bytes_unrecorded: now.bytes_unrecorded.saturating_sub(base.bytes_unrecorded),
    })
}

fn total(losses: &Losses) -> LossCounts {
    losses.read().map(|cpus| cpus.iter().sum())
}

fn difference(now: &LossCounts, base: &LossCounts) -> LossCounts {
    std::array::from_fn(|index| {
        now.get(index).copied().unwrap_or(0).saturating_sub(base.get(index).copied().unwrap_or(0))
    })
}

/// What earlier agents have reported of these maps; maps that count less than that are new ones.
fn read_reported(file: &PathBuf, now: &LossCounts) -> LossCounts {
    let kept = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Vec<u64>>(&text).ok());
    let Some(Ok(reported)) = kept.map(LossCounts::try_from) else { return *now };
    if reported.iter().zip(now).all(|(reported, now)| reported <= now) {
        reported
    } else {
        LossCounts::default()
    }
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
        let reported = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let now = [3, 1, 0, 10, 0, 5, 7, 0, 0, 0];
        assert_eq!(undrained(&reported, &now), Undrained { segments: 12, socket_records: 6 });
    }

    #[test]
    fn new_maps_start_at_nothing() {
        let file = std::env::temp_dir().join(format!("weft-losses-{}", std::process::id()));
        fs::write(&file, "[9,0,0,0,0,0,0,0,0,0]").unwrap();
        assert_eq!(read_reported(&file, &[1; 10]), [0; 10]);
        assert_eq!(read_reported(&file, &[9; 10]), [9, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        fs::remove_file(&file).unwrap();
        assert_eq!(read_reported(&file, &[4; 10]), [4; 10], "no agent reported before: nothing is owed");
    }
}
