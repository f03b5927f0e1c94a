//! What the runtimes of Go processes count, under the names of the semantic conventions (docs/runtime/go-metrics.md of
//! OpenTelemetry's, as Prometheus writes them), and what weft does about Go processes. What is unknown is absent.
use weft_core::Snapshot;
use weft_metrics::{
    PodLabels,
    exposition::{Distribution, Kind, Page},
    seconds,
};

use super::labelled;
use crate::go::{
    histogram::{BOUNDS_NS, Durations},
    memory::Counted,
    view::{ProcessView, View},
};

pub(super) fn write(page: &mut Page, view: &View, snapshot: &Snapshot) {
    let go = Go { view, snapshot };
    go.runtimes(page);
    go.collections(page);
    go.own(page);
}

struct Go<'a> {
    view: &'a View,
    snapshot: &'a Snapshot,
}

impl Go<'_> {
    fn runtimes(&self, page: &mut Page) {
        let help = "Goroutines that live; before Go 1.26 without the runtime's own";
        self.values(page, ("go_goroutine_count", help, Kind::Gauge), |counted| counted.goroutines);
        let help = "Threads that can execute Go code at a time (GOMAXPROCS)";
        self.values(page, ("go_processor_limit", help, Kind::Gauge), |counted| counted.processors);
        let help = "How long goroutines that were able to run did not; the sum is from the buckets' middles";
        self.durations(page, ("go_schedule_duration_seconds", help), |counted| counted.schedule.as_ref());
    }

    fn collections(&self, page: &mut Page) {
        let help = "Heap size at which the next garbage collection is to be over";
        self.values(page, ("go_memory_gc_goal_bytes", help, Kind::Gauge), |counted| counted.heap_goal);
        let help = "Heap that was in use at the last garbage collection, and what was allocated since";
        self.values(page, ("weft_go_memory_heap_live_bytes", help, Kind::Gauge), |counted| counted.heap_live);
        let help = "Garbage collections that were completed";
        self.values(page, ("go_memory_gc_cycles", help, Kind::Counter), |counted| counted.gc_cycles);
        let help = "How long the world was stopped for the garbage collector each time; the sum is from the buckets' middles";
        let name = "go_memory_gc_pause_duration_seconds";
        self.durations(page, (name, help), |counted| counted.gc_pauses.as_ref());
    }

    fn own(&self, page: &mut Page) {
        let View { processes, probes, counts } = self.view;
        page.family("weft_go_processes", "Go processes of pods", Kind::Gauge)
            .value(&[], processes.len() as u64);
        let help = "Groups of probes in the binaries that are executed, by their state";
        let probes = probes.iter().map(|(state, count)| (*state, *count));
        labelled(page, ("weft_go_probes", help, Kind::Gauge), "state", probes);
        let help = "Binaries of processes of pods that were read, by what came of it";
        labelled(page, ("weft_go_binaries", help, Kind::Counter), "outcome", counts.binaries.named());
        let help = "What was said of processes and found no room: found by the next look at all processes";
        labelled(page, ("weft_go_overflow", help, Kind::Counter), "queue", counts.overflow.named());
    }

    fn values(
        &self,
        page: &mut Page,
        (name, help, kind): (&str, &str, Kind),
        of: impl Fn(&Counted) -> Option<u64>,
    ) {
        let mut family = page.family(name, help, kind);
        for (labels, value) in self.known(of) {
            family.value(&labels.each_ref().map(|(name, value)| (*name, value.as_str())), value);
        }
    }

    fn durations(
        &self,
        page: &mut Page,
        (name, help): (&str, &str),
        of: impl Fn(&Counted) -> Option<&Durations>,
    ) {
        let mut family = page.family(name, help, Kind::Histogram);
        for (labels, durations) in self.known(of) {
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            let bounds = BOUNDS_NS.into_iter().map(seconds);
            let buckets: Vec<(f64, u64)> = bounds.zip(durations.up_to).collect();
            let (count, sum) = (durations.count, seconds(durations.sum_ns));
            family.distribution(&labels, &Distribution::of(count, sum, &buckets));
        }
    }

    /// What is known of each process, with its labels: its pod's, and the process's, for a pod may have several, and others
    /// come and go.
    fn known<'a, T>(
        &'a self,
        of: impl Fn(&'a Counted) -> Option<T>,
    ) -> impl Iterator<Item = ([(&'static str, String); 3], T)> {
        let known = move |process: &'a ProcessView| Some((self.labels(process)?, of(&process.counted)?));
        self.view.processes.iter().filter_map(known)
    }

    fn labels(&self, process: &ProcessView) -> Option<[(&'static str, String); 3]> {
        let pod = self.snapshot.pods.iter().find(|pod| pod.netns == process.netns)?;
        let PodLabels { namespace, name } = PodLabels::new(&pod.namespace, &pod.name, pod.netns);
        let pid = process.pid.to_string();
        Some([("k8s_namespace_name", namespace), ("k8s_pod_name", name), ("process_pid", pid)])
    }
}
