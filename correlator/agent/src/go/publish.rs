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
    count(listeners.files().flat_map(|file| listeners.states(file)).map(|(_, state)| state.name()))
}

fn functions(listeners: &Listeners) -> Vec<FunctionView> {
    let series: Vec<_> = listeners.series().all().collect();
    let view = |(number, metric): &(u32, Arc<FunctionMetric>)| {
        let states = listeners.files().flat_map(|file| listeners.function_states(file));
        let states = states.filter(|(of, ..)| of == number).map(|(_, _, state)| state.name());
        let pods = series.iter().filter(|(key, _)| key.metric == *number).copied();
        FunctionView { metric: Arc::clone(metric), states: count(states), pods: pods.collect() }
    };
    listeners.functions().iter().map(view).collect()
}

fn count(states: impl Iterator<Item = &'static str>) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = ProbeState::NAMES.into_iter().map(|name| (name, 0)).collect();
    states.for_each(|name| *counts.entry(name).or_default() += 1);
    counts
}
