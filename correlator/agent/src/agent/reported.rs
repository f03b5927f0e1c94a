//! What has been reported of the kernel's counters: one agent keeps it in the state folder for the next, which owes a
//! report of everything that was counted in between.
use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use weft_abi::{Bank, LOSS_REASONS, VantageKey};
use weft_loader::{Counted, Losses};

/// The name of the file in the state folder.
pub const FILE: &str = "losses_reported.json";

/// By reason, summed over the CPUs.
pub type LossCounts = [u64; LOSS_REASONS.len()];

/// Bytes in segments that no record was written of, by vantage and direction, in both banks together.
pub type Unrecorded = BTreeMap<VantageKey, [u64; 2]>;

/// The kernel's counters of what was not recorded, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// Records.
    pub losses: LossCounts,
    /// Bytes.
    pub unrecorded: Unrecorded,
}

/// As the file holds it: vantages as (netns cookie, interface index, bytes).
#[derive(Serialize, Deserialize)]
struct Kept {
    losses: Vec<u64>,
    unrecorded: Vec<(u64, u32, [u64; 2])>,
}

impl Unwritten {
    /// What the kernel has counted so far.
    pub fn now(losses: &Losses, vantages: &[Counted]) -> Self {
        let unrecorded = vantages.iter().map(|counted| (counted.key, unrecorded(&counted.banks)));
        Self { losses: total(losses), unrecorded: unrecorded.collect() }
    }

    /// What earlier agents have reported of these maps. Without a word of theirs nothing is owed; maps that count less
    /// than was reported are new ones.
    pub fn reported(file: &Path, now: &Self) -> Self {
        let kept = fs::read(file).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let Some((losses, unrecorded)) = kept.and_then(Kept::into_parts) else { return now.clone() };
        if losses.iter().zip(now.losses).any(|(reported, now)| *reported > now) {
            return Self::default();
        }
        Self { losses, unrecorded }
    }

    /// Keeps it for the next agent. Where it cannot be written, that one reports these losses once more; that is no
    /// reason to stop.
    pub fn keep(&self, file: &Path) {
        let unrecorded = self.unrecorded.iter().map(|(key, bytes)| (key.netns, key.ifindex, *bytes));
        let kept = Kept { losses: self.losses.to_vec(), unrecorded: unrecorded.collect() };
        let next = file.with_extension("next");
        let text = serde_json::to_vec(&kept).unwrap_or_default();
        let _ = fs::write(&next, text).and_then(|()| fs::rename(&next, file));
    }

    /// What is not yet reported of a vantage that has counted `now` bytes. One that counts less than was reported is
    /// a new one.
    pub fn owed(&self, key: VantageKey, now: [u64; 2]) -> [u64; 2] {
        let [ingress, egress] = self.unrecorded.get(&key).copied().unwrap_or_default();
        let [ingress_now, egress_now] = now;
        [(ingress_now, ingress), (egress_now, egress)].map(|(now, then)| now.checked_sub(then).unwrap_or(now))
    }
}

impl Kept {
    fn into_parts(self) -> Option<(LossCounts, Unrecorded)> {
        let key = |netns, ifindex| VantageKey { netns, ifindex, pad: 0 };
        let unrecorded =
            self.unrecorded.into_iter().map(|(netns, ifindex, bytes)| (key(netns, ifindex), bytes));
        Some((self.losses.try_into().ok()?, unrecorded.collect()))
    }
}

/// The counts of all CPUs together.
pub fn total(losses: &Losses) -> LossCounts {
    losses.read().map(|cpus| cpus.iter().sum())
}

/// Bytes by direction in both banks together.
pub fn unrecorded(banks: &[Bank; 2]) -> [u64; 2] {
    let [[ingress, egress], [ingress_too, egress_too]] =
        banks.map(|bank| bank.directions.map(|counters| counters.bytes_unrecorded));
    [ingress + ingress_too, egress + egress_too]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: VantageKey = VantageKey { netns: 3, ifindex: 7, pad: 0 };

    fn counts(losses: LossCounts, bytes: [u64; 2]) -> Unwritten {
        Unwritten { losses, unrecorded: [(KEY, bytes)].into() }
    }

    #[test]
    fn the_next_agent_owes_what_was_counted_meanwhile() {
        let file = std::env::temp_dir().join(format!("weft-reported-{}", std::process::id()));
        let (then, now) =
            (counts([9; LOSS_REASONS.len()], [100, 0]), counts([10; LOSS_REASONS.len()], [150, 8]));
        then.keep(&file);
        let reported = Unwritten::reported(&file, &now);
        assert_eq!(reported, then);
        assert_eq!(reported.owed(KEY, now.unrecorded[&KEY]), [50, 8]);
        assert_eq!(
            Unwritten::reported(&file, &counts([1; LOSS_REASONS.len()], [0, 0])),
            Unwritten::default(),
            "new maps"
        );
        fs::remove_file(&file).unwrap();
        assert_eq!(Unwritten::reported(&file, &now), now, "no agent reported before: nothing is owed");
    }

    #[test]
    fn a_vantage_that_is_new_owes_all_of_it() {
        assert_eq!(Unwritten::default().owed(KEY, [5, 6]), [5, 6]);
        assert_eq!(counts([0; LOSS_REASONS.len()], [9, 9]).owed(KEY, [5, 6]), [5, 6]);
    }
}
