//! What the runtimes of Go processes count, under the names of the semantic conventions (docs/runtime/go-metrics.md of
//! OpenTelemetry's, as Prometheus writes them), and what weft does about Go processes. What is unknown is absent.
use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};
use weft_core::Snapshot;

use super::{counters, gauges, labels, seconds};
use crate::go::{
    histogram::{BOUNDS_NS, Durations},
    memory::Counted,
    view::{ProcessView, View},
};

/// The view under its names.
#[derive(Debug)]
pub struct GoCollector {
    /// What is known of Go processes.
    pub view: Arc<View>,
    /// The pods' names.
    pub snapshot: Arc<Snapshot>,
}

impl Collector for GoCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.runtimes(&mut encoder)?;
        self.collections(&mut encoder)?;
        self.own(&mut encoder)
    }
}

impl GoCollector {
    fn runtimes(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Goroutines that live; before Go 1.26 without the runtime's own";
        self.gauge(encoder, "go_goroutine_count", help, |counted| counted.goroutines)?;
        let help = "Threads that can execute Go code at a time (GOMAXPROCS)";
        self.gauge(encoder, "go_processor_limit", help, |counted| counted.processors)?;
        let help = "How long goroutines that were able to run did not; the sum is from the buckets' middles";
        self.histogram(encoder, "go_schedule_duration_seconds", help, |counted| counted.schedule.as_ref())
    }

    fn collections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Heap size at which the next garbage collection is to be over";
        self.gauge(encoder, "go_memory_gc_goal_bytes", help, |counted| counted.heap_goal)?;
        let help = "Heap that was in use at the last garbage collection, and what was allocated since";
        self.gauge(encoder, "weft_go_memory_heap_live_bytes", help, |counted| counted.heap_live)?;
        let help = "Garbage collections that were completed";
        self.counter(encoder, "go_memory_gc_cycles", help, |counted| counted.gc_cycles)?;
        let help = "How long the world was stopped for the garbage collector each time; the sum is from the buckets' middles";
        self.histogram(encoder, "go_memory_gc_pause_duration_seconds", help, |counted| {
            counted.gc_pauses.as_ref()
        })
    }

    fn own(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let View { processes, probes, counts } = &*self.view;
        let processes = i64::try_from(processes.len()).unwrap_or(i64::MAX);
        let metric = encoder.encode_descriptor(
            "weft_go_processes",
            "Go processes of pods",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(processes).encode(metric)?;
        let help = "Groups of probes in the binaries that are executed, by their state";
        gauges(
            encoder,
            "weft_go_probes",
            help,
            "state",
            probes.iter().map(|(state, count)| (*state, *count)),
        )?;
        let help = "Binaries of processes of pods that were read, by what came of it";
        counters(encoder, "weft_go_binaries", help, "outcome", counts.binaries.named())?;
        let help = "What was said of processes and found no room: found by the next look at all processes";
        counters(encoder, "weft_go_overflow", help, "queue", counts.overflow.named())
    }

    fn gauge(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&Counted) -> Option<u64>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in self.known(of) {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
                .encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counter(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&Counted) -> Option<u64>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in self.known(of) {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&Counted) -> Option<&Durations>,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, durations) in self.known(of) {
            encode_durations(family.encode_family(&labels)?, durations)?;
        }
        Ok(())
    }

    /// What is known of each process, with its labels.
    fn known<'a, T>(
        &'a self,
        of: impl Fn(&'a Counted) -> Option<T>,
    ) -> impl Iterator<Item = ([(&'static str, String); 3], T)> {
        let known = move |process: &'a ProcessView| Some((self.labels(process)?, of(&process.counted)?));
        self.view.processes.iter().filter_map(known)
    }

    /// The pod's, and the process: a pod may have several, and others come and go.
    fn labels(&self, process: &ProcessView) -> Option<[(&'static str, String); 3]> {
        let pod = self.snapshot.pods.iter().find(|pod| pod.netns == process.netns)?;
        let [namespace, name] = labels(pod);
        Some([namespace, name, ("process_pid", process.pid.to_string())])
    }
}

fn encode_durations(mut metric: MetricEncoder<'_>, durations: &Durations) -> fmt::Result {
    let mut below = 0;
    let mut buckets = Vec::with_capacity(BOUNDS_NS.len() + 1);
    for (bound, up_to) in BOUNDS_NS.into_iter().zip(durations.up_to) {
        buckets.push((seconds(bound), up_to.saturating_sub(std::mem::replace(&mut below, up_to))));
    }
    buckets.push((f64::INFINITY, durations.count.saturating_sub(below)));
    metric.encode_histogram::<NoLabelSet>(seconds(durations.sum_ns), durations.count, &buckets, None)
}
