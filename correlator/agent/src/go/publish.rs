//! What is known of Go processes, put together for whoever asks.
use std::collections::BTreeMap;

use super::{
    listeners::Listeners,
    process::Process,
    processes::Processes,
    view::{Counts, ProbeState, ProcessView, View},
};

impl Processes {
    /// Everything that is known now. `missed`: events that found no room.
    pub fn view(&mut self, missed: u64) -> View {
        self.changed = false;
        View {
            processes: self.known.values().map(|process| view(process, &self.listeners)).collect(),
            probes: states(&self.listeners),
            counts: self.counted(missed),
        }
    }

    fn counted(&self, missed: u64) -> Counts {
        let mut counts = self.counts;
        counts.binaries = self.binaries.counts;
        counts.overflow.events = missed;
        counts.overflow.files = self.binaries.no_room;
        counts.overflow.binaries = self.binaries.evicted();
        counts
    }
}

fn view(process: &Process, listeners: &Listeners) -> ProcessView {
    let states = listeners.states(process.file).into_iter();
    ProcessView {
        pid: process.pid,
        netns: process.pod.netns,
        began: process.began,
        go_version: process.binary.version.to_string(),
        executable: process.path.clone(),
        probes: states.map(|(group, state)| (group.name(), state.view())).collect(),
        missing: process.binary.missing.clone(),
        counted: process.counted.clone(),
    }
}

/// How many groups of all binaries are in which state.
fn states(listeners: &Listeners) -> BTreeMap<&'static str, u64> {
    let mut states: BTreeMap<_, _> = ProbeState::NAMES.into_iter().map(|name| (name, 0)).collect();
    for file in listeners.files() {
        for (_, state) in listeners.states(file) {
            *states.entry(state.name()).or_default() += 1;
        }
    }
    states
}
