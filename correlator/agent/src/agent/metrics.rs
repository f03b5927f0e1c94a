//! The snapshot under the names that dashboards ask for: docs/METRICS.md lists them.
mod go;

use std::{fmt, sync::Arc};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use weft_core::{CLASSIC_BOUNDS_NS, HistogramSnapshot, NamedCount, PodSnapshot, Snapshot};

use self::go::GoCollector;
use crate::go::view::View;

/// The content type of what [`render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics as OpenMetrics text.
///
/// # Errors
/// When formatting fails, which it does not for a string.
pub fn render(snapshot: Arc<Snapshot>, go: Arc<View>) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(GoCollector { view: go, snapshot: Arc::clone(&snapshot) }));
    registry.register_collector(Box::new(SnapshotCollector { snapshot }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct SnapshotCollector {
    snapshot: Arc<Snapshot>,
}

impl Collector for SnapshotCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Snapshot { loss, events_lost, anomalies, parent_links, tables, exchanges, .. } = &*self.snapshot;
        self.requests(&mut encoder)?;
        self.connections(&mut encoder)?;
        let total = &loss.total;
        let bytes = [
            ("seen", total.seen),
            ("decoded", total.decoded),
            ("opaque", total.opaque),
            ("duplicate", total.duplicate),
            ("lost", total.lost),
        ];
        counters(
            &mut encoder,
            "weft_capture_bytes",
            "TCP payload bytes by what became of them",
            "outcome",
            bytes,
        )?;
        gauges(
            &mut encoder,
            "weft_capture_unsettled_bytes",
            "Bytes that passed and have no place in the account, or none for good",
            "state",
            [("pending", total.pending), ("unexplained", loss.unexplained_bytes())],
        )?;
        let sides = [("server", exchanges.server), ("client", exchanges.client)];
        counters(&mut encoder, "weft_exchanges", "Exchanges that left the pipeline", "side", sides)?;
        named(
            &mut encoder,
            "weft_events_lost",
            "Records that the programs could not write",
            "reason",
            events_lost,
        )?;
        named(
            &mut encoder,
            "weft_anomalies",
            "Odd things about connections and messages",
            "kind",
            anomalies,
        )?;
        named(
            &mut encoder,
            "weft_parent_links",
            "Exchanges by the evidence for their parent",
            "evidence",
            parent_links,
        )?;
        let evicted = tables.iter().map(|table| (table.table, table.evicted));
        counters(
            &mut encoder,
            "weft_table_evictions",
            "Entries that gave way or found no room",
            "table",
            evicted,
        )?;
        let entries = tables.iter().map(|table| (table.table, table.entries));
        gauges(&mut encoder, "weft_table_entries", "Entries of the pipeline's tables", "table", entries)?;
        let overflow = [("http_request_duration_seconds", self.snapshot.series_overflow)];
        counters(
            &mut encoder,
            "weft_series_overflow",
            "Events counted in the series other",
            "metric",
            overflow,
        )?;
        target_info(&mut encoder)
    }
}

impl SnapshotCollector {
    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "First byte of the request to last byte of the response, at the pod's own device";
        self.histogram(encoder, "http_server_request_duration_seconds", help, |pod| {
            &pod.series.server.latency
        })?;
        self.histogram(encoder, "http_client_request_duration_seconds", help, |pod| {
            &pod.series.client.latency
        })
    }

    fn connections(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let connect = "connect(2) until the connection was established";
        self.histogram(encoder, "weft_tcp_connect_duration_seconds", connect, |pod| {
            &pod.series.connections.connect
        })?;
        let rtt = "Smoothed round-trip time of connections when they closed";
        self.histogram(encoder, "weft_tcp_rtt_seconds", rtt, |pod| &pod.series.connections.rtt)?;
        let mut family = encoder.encode_descriptor(
            "weft_tcp_retransmits",
            "Segments that the pod sent again",
            None,
            MetricType::Counter,
        )?;
        for pod in self.named_pods() {
            let metric = family.encode_family(&pod.labels)?;
            ConstCounter::new(pod.pod.series.connections.retransmitted_segments).encode(metric)?;
        }
        self.followed_by_nobody(encoder)
    }

    fn followed_by_nobody(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Connections that ended and carried bytes that are not followed";
        let mut family = encoder.encode_descriptor("weft_connections", help, None, MetricType::Counter)?;
        for LabelledPod { labels: [namespace, name], pod } in self.named_pods() {
            let connections = &pod.series.connections;
            for (protocol, count) in [("tls", connections.tls), ("tcp", connections.tcp)] {
                let labels = [namespace.clone(), name.clone(), ("protocol", protocol.to_owned())];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn histogram(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&PodSnapshot) -> &HistogramSnapshot,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for pod in self.named_pods() {
            let histogram = of(pod.pod);
            if histogram.count > 0 {
                encode_histogram(family.encode_family(&pod.labels)?, histogram)?;
            }
        }
        Ok(())
    }

    fn named_pods(&self) -> impl Iterator<Item = LabelledPod<'_>> {
        self.snapshot.pods.iter().map(|pod| LabelledPod { labels: labels(pod), pod })
    }
}

struct LabelledPod<'a> {
    labels: [(&'static str, String); 2],
    pod: &'a PodSnapshot,
}

/// A netns that nobody named is told by its cookie, so that two of them never share a series.
fn labels(pod: &PodSnapshot) -> [(&'static str, String); 2] {
    let name = if pod.name.is_empty() { format!("netns-{}", pod.netns) } else { pod.name.clone() };
    [("k8s_namespace_name", pod.namespace.clone()), ("k8s_pod_name", name)]
}

fn encode_histogram(mut metric: MetricEncoder<'_>, histogram: &HistogramSnapshot) -> fmt::Result {
    let mut below = 0;
    let mut buckets: Vec<(f64, u64)> = CLASSIC_BOUNDS_NS
        .iter()
        .zip(&histogram.classic)
        .map(|(bound, cumulative)| {
            let count = cumulative.saturating_sub(below);
            below = *cumulative;
            (seconds(*bound), count)
        })
        .collect();
    buckets.push((f64::INFINITY, histogram.count.saturating_sub(below)));
    metric.encode_histogram::<NoLabelSet>(seconds(histogram.sum_ns), histogram.count, &buckets, None)
}

#[expect(clippy::cast_precision_loss, reason = "a double is what the exposition format has")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn named(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    counts: &[NamedCount],
) -> fmt::Result {
    counters(encoder, name, help, label, counts.iter().map(|count| (count.name, count.count)))
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    counts: impl IntoIterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl IntoIterator<Item = (&'static str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (value, entries) in values {
        ConstGauge::new(i64::try_from(entries).unwrap_or(i64::MAX))
            .encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

/// What scrapers join other metrics with: exactly one an instance.
fn target_info(encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let mut metric = encoder.encode_descriptor("target", "What this instance is", None, MetricType::Info)?;
    metric.encode_info(&[("service_name", "weft"), ("service_version", env!("CARGO_PKG_VERSION"))])
}
