//! What the runtimes of Go processes count, under the names of the semantic conventions (docs/runtime/go-metrics.md of
//! OpenTelemetry's, as Prometheus writes them), and what weft does about Go processes. What is unknown is absent.
use weft_metrics::{
    PodLabels,
    exposition::{Distribution, Kind, Label, Metric, Page, Point, Unit},
    seconds,
};

use super::{Pods, count, durations, labelled};
use crate::go::{
    histogram::{BOUNDS_NS, Durations},
    memory::Counted,
    view::{ProcessView, View},
};

pub(super) fn write(page: &mut Page<'_>, view: &View, pods: &Pods) {
    let go = Go { view, pods };
    go.runtimes(page);
    go.collections(page);
    go.own(page);
}

struct Go<'a> {
    view: &'a View,
    pods: &'a Pods,
}

impl Go<'_> {
    fn runtimes(&self, page: &mut Page<'_>) {
        let help = "Goroutines that live; before Go 1.26 without the runtime's own";
        self.values(page, &count("go.goroutine.count", help, Kind::Gauge), |counted| counted.goroutines);
        let help = "Threads that can execute Go code at a time (GOMAXPROCS)";
        self.values(page, &count("go.processor.limit", help, Kind::Gauge), |counted| counted.processors);
        let help = "How long goroutines that were able to run did not; the sum is from the buckets' middles";
        let schedule = durations("go.schedule.duration", help);
        self.histograms(page, &schedule, |counted| counted.schedule.as_ref());
    }

    fn collections(&self, page: &mut Page<'_>) {
        let bytes = |name, help| Metric { name, unit: Unit::Bytes, help, kind: Kind::Gauge };
        let goal = bytes("go.memory.gc.goal", "Heap size at which the next garbage collection is to be over");
        self.values(page, &goal, |counted| counted.heap_goal);
        let help = "Heap that was in use at the last garbage collection, and what was allocated since";
        self.values(page, &bytes("weft.go.memory.heap.live", help), |counted| counted.heap_live);
        let cycles = count("go.memory.gc.cycles", "Garbage collections that were completed", Kind::Counter);
        self.values(page, &cycles, |counted| counted.gc_cycles);
        let help = "How long the world was stopped for the garbage collector each time; the sum is from the buckets' middles";
        let pauses = durations("go.memory.gc.pause.duration", help);
        self.histograms(page, &pauses, |counted| counted.gc_pauses.as_ref());
    }

    fn own(&self, page: &mut Page<'_>) {
        let View { processes, probes, functions: _, counts } = self.view;
        page.family(&count("weft.go.processes", "Go processes of pods", Kind::Gauge))
            .value(&Point::default(), processes.len() as u64);
        let help = "Groups of probes in the binaries that are executed, by their state";
        let probes = probes.iter().map(|(state, count)| (*state, *count));
        labelled(page, &count("weft.go.probes", help, Kind::Gauge), "state", probes);
        let help = "Binaries of processes of pods that were read, by what came of it";
        labelled(page, &count("weft.go.binaries", help, Kind::Counter), "outcome", counts.binaries.named());
        let help = "What was said of processes and found no room: found by the next look at all processes";
        labelled(page, &count("weft.go.overflow", help, Kind::Counter), "queue", counts.overflow.named());
    }

    fn values(&self, page: &mut Page<'_>, metric: &Metric<'_>, of: impl Fn(&Counted) -> Option<u64>) {
        let mut family = page.family(metric);
        for (process, value) in self.known(of) {
            family.value(&process.point(&process.labels()), value);
        }
    }

    fn histograms(
        &self,
        page: &mut Page<'_>,
        metric: &Metric<'_>,
        of: impl Fn(&Counted) -> Option<&Durations>,
    ) {
        let mut family = page.family(metric);
        for (process, durations) in self.known(of) {
            let bounds = BOUNDS_NS.into_iter().map(seconds);
            let buckets: Vec<(f64, u64)> = bounds.zip(durations.up_to).collect();
            let (count, sum) = (durations.count, seconds(durations.sum_ns));
            let distribution = Distribution::of(count, sum, &buckets);
            family.distribution(&process.point(&process.labels()), &distribution);
        }
    }

    /// What is known of each process, with what tells it from others: a pod may have several.
    fn known<'a, T>(
        &'a self,
        of: impl Fn(&'a Counted) -> Option<T>,
    ) -> impl Iterator<Item = (Identity<'a>, T)> {
        let known = move |process: &'a ProcessView| Some((self.identity(process)?, of(&process.counted)?));
        self.view.processes.iter().filter_map(known)
    }

    fn identity(&self, process: &ProcessView) -> Option<Identity<'_>> {
        let pod = self.pods.get(&process.netns)?;
        Some(Identity { pod, pid: process.pid.to_string(), began: process.began })
    }
}

/// Which process it is. Its runtime counts since it began, not since weft knows it.
struct Identity<'p> {
    pod: &'p PodLabels,
    pid: String,
    began: u64,
}

impl Identity<'_> {
    fn labels(&self) -> [Label<'_>; 1] {
        [("process.pid", &self.pid)]
    }

    fn point<'a>(&'a self, labels: &'a [Label<'a>]) -> Point<'a> {
        Point { since: Some(self.began), ..Point::of(self.pod, labels) }
    }
}
