//! What is known of Go processes, put together for whoever asks.
use std::{collections::BTreeMap, sync::Arc};

use super::{
    listeners::Listeners,
    process::Process,
    processes::Processes,
    view::{Counts, FunctionView, ProbeState, ProcessView, View},
};
use crate::config::FunctionMetric;

impl Processes {
    /// Everything that is known now. `missed`: events that found no room.
    pub fn view(&mut self, missed: u64) -> View {
        self.changed = false;
        View {
            processes: self.known.values().map(|process| view(process, &self.listeners)).collect(),
            probes: states(&self.listeners),
            functions: functions(&self.listeners),
            counts: self.counted(missed),
        }
    }

    fn counted(&self, missed: u64) -> Counts {
        let mut counts = self.counts;
        counts.binaries = self.binaries.counts;
        counts.overflow.events = missed;
        counts.overflow.files = self.binaries.no_room;
        counts.overflow.binaries = self.binaries.evicted();
        counts.overflow.functions = self.listeners.series().overflow;
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
        functions: listeners
            .function_states(process.file)
            .map(|(_, name, state)| (name.to_owned(), state.view()))
            .collect(),
        missing: process.binary.missing.clone(),
        counted: process.counted.clone(),
    }
}

/// How many groups of all binaries are in which state.
fn states(listeners: &Listeners) -> BTreeMap<&'static str, u64> {
    let mut counts = none();
    for (_, state) in listeners.files().flat_map(|file| listeners.states(file)) {
        *counts.entry(state.name()).or_default() += 1;
    }
    counts
}

fn functions(listeners: &Listeners) -> Vec<FunctionView> {
    let view = |(number, metric): &(u32, Arc<FunctionMetric>)| {
        (*number, FunctionView { metric: Arc::clone(metric), states: none(), pods: Vec::new() })
    };
    let mut views: BTreeMap<u32, FunctionView> = listeners.functions().iter().map(view).collect();
    for (number, _, state) in listeners.files().flat_map(|file| listeners.function_states(file)) {
        if let Some(view) = views.get_mut(&number) {
            *view.states.entry(state.name()).or_default() += 1;
        }
    }
    for (key, since) in listeners.series().all() {
        if let Some(view) = views.get_mut(&key.metric) {
            view.pods.push((key, since));
        }
    }
    views.into_values().collect()
}

/// All states, and nothing in them.
fn none() -> BTreeMap<&'static str, u64> {
    ProbeState::NAMES.into_iter().map(|name| (name, 0)).collect()
}
