//! Go processes: what is listened at in them, and when their world stood still.
use hashbrown::HashMap;

use super::lately::Lately;
use crate::{GoProcess, Ktime, Probes, ProcessUpdate, wire::TableSize};

/// Processes that are known; further ones are as if they were no Go processes.
const LIMIT: usize = 8192;

/// One process.
#[derive(Default)]
struct Known {
    probes: Probes,
    stops: Lately,
    /// Since when its world stands still.
    stopped: Option<Ktime>,
}

/// All of them, by their ids.
#[derive(Default)]
pub(super) struct Processes {
    known: HashMap<u32, Known>,
    refused: u64,
}

impl Processes {
    pub(super) fn update(&mut self, update: ProcessUpdate) {
        match update {
            ProcessUpdate::Go(GoProcess { pid, probes, .. }) => {
                if self.known.len() >= LIMIT && !self.known.contains_key(&pid) {
                    self.refused += 1;
                    return;
                }
                self.known.entry(pid).or_default().probes = probes;
            }
            ProcessUpdate::Gone { pid } => {
                self.known.remove(&pid);
            }
        }
    }

    /// What is listened at; nothing of a process that is not known.
    pub(super) fn probes(&self, pid: u32) -> Probes {
        self.known.get(&pid).map(|known| known.probes).unwrap_or_default()
    }

    pub(super) fn is_go(&self, pid: u32) -> bool {
        self.known.contains_key(&pid)
    }

    pub(super) fn world_stops(&mut self, pid: u32, at: Ktime) {
        if let Some(known) = self.known.get_mut(&pid) {
            known.stopped = Some(at);
        }
    }

    pub(super) fn world_goes_on(&mut self, pid: u32, at: Ktime) {
        let Some(known) = self.known.get_mut(&pid) else { return };
        let Some(since) = known.stopped.take() else { return };
        known.stops.push(since, at);
    }

    /// When its world stood still behind this time, the last time first.
    pub(super) fn stops(&self, pid: u32, since: Ktime) -> impl Iterator<Item = (Ktime, Ktime)> {
        self.known.get(&pid).into_iter().flat_map(move |known| known.stops.since(since))
    }

    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "go_processes",
            entries: self.known.len() as u64,
            limit: LIMIT as u64,
            evicted: self.refused,
        }
    }
}
