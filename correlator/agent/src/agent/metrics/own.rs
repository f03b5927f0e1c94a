//! Connections of pods, where exchanges' time went, and what weft says of itself.
use weft_core::{CLASSIC_BOUNDS_NS, HistogramSnapshot, NamedCount, PodSnapshot, Snapshot};
use weft_metrics::{
    Family, PodLabels, Registry,
    exposition::{Distribution, Kind, Label, Page},
    seconds,
};

use super::labelled;

pub(super) fn write(page: &mut Page, snapshot: &Snapshot, registry: &Registry) {
    phases(page, snapshot);
    connections(page, snapshot);
    bytes(page, snapshot);
    let exchanges = &snapshot.exchanges;
    let sides = [("server", exchanges.server), ("client", exchanges.client)];
    labelled(page, ("weft_exchanges", "Exchanges that left the pipeline", Kind::Counter), "side", sides);
    named(
        page,
        ("weft_events_lost", "Records that the programs could not write"),
        "reason",
        &snapshot.events_lost,
    );
    named(page, ("weft_anomalies", "Odd things about connections and messages"), "kind", &snapshot.anomalies);
    let links = ("weft_parent_links", "Exchanges by the evidence for their parent");
    named(page, links, "evidence", &snapshot.parent_links);
    tables(page, snapshot, registry);
}

fn phases(page: &mut Page, snapshot: &Snapshot) {
    let help = "Where the time of exchanges went, of those in which it was measured";
    let mut family = page.family("weft_exchange_phase_seconds", help, Kind::Histogram);
    for (own, pod) in pods(snapshot) {
        for (side, series) in [("server", &pod.series.server), ("client", &pod.series.client)] {
            for phase in &series.phases {
                let [namespace, name] = own.labels();
                let labels = [namespace, name, ("side", side), ("phase", phase.phase)];
                histogram(&mut family, &labels, &phase.time);
            }
        }
    }
}

fn connections(page: &mut Page, snapshot: &Snapshot) {
    let connect = ("weft_tcp_connect_duration_seconds", "connect(2) until the connection was established");
    durations(page, snapshot, connect, |pod| &pod.series.connections.connect);
    let rtt = ("weft_tcp_rtt_seconds", "Smoothed round-trip time of connections when they closed");
    durations(page, snapshot, rtt, |pod| &pod.series.connections.rtt);
    let mut family = page.family("weft_tcp_retransmits", "Segments that the pod sent again", Kind::Counter);
    for (own, pod) in pods(snapshot) {
        family.value(&own.labels(), pod.series.connections.retransmitted_segments);
    }
    drop(family);
    let help = "Connections that ended and carried bytes that are not followed";
    let mut family = page.family("weft_connections", help, Kind::Counter);
    for (own, pod) in pods(snapshot) {
        let [namespace, name] = own.labels();
        let connections = &pod.series.connections;
        for (protocol, count) in [("tls", connections.tls), ("tcp", connections.tcp)] {
            family.value(&[namespace, name, ("protocol", protocol)], count);
        }
    }
}

fn bytes(page: &mut Page, snapshot: &Snapshot) {
    let (loss, total) = (&snapshot.loss, &snapshot.loss.total);
    let outcomes = [
        ("seen", total.seen),
        ("decoded", total.decoded),
        ("opaque", total.opaque),
        ("duplicate", total.duplicate),
        ("lost", total.lost),
    ];
    let help = "TCP payload bytes by what became of them";
    labelled(page, ("weft_capture_bytes", help, Kind::Counter), "outcome", outcomes);
    let help = "Bytes that passed and have no place in the account, or none for good";
    let states = [("pending", total.pending), ("unexplained", loss.unexplained_bytes())];
    labelled(page, ("weft_capture_unsettled_bytes", help, Kind::Gauge), "state", states);
}

fn tables(page: &mut Page, snapshot: &Snapshot, registry: &Registry) {
    let counts = registry.counts();
    let own = [("metric_series", counts.series, counts.expired)];
    let tables = snapshot.tables.iter().map(|table| (table.table, table.entries, table.evicted)).chain(own);
    let tables: Vec<_> = tables.collect();
    let evictions = ("weft_table_evictions", "Entries that gave way or found no room", Kind::Counter);
    labelled(page, evictions, "table", tables.iter().map(|(table, _, evicted)| (*table, *evicted)));
    let entries = ("weft_table_entries", "Entries of the pipeline's tables", Kind::Gauge);
    labelled(page, entries, "table", tables.iter().map(|(table, entries, _)| (*table, *entries)));
    let overflow = Family::ALL.map(Family::duration).into_iter().zip(counts.overflow);
    let pods = [("pods", snapshot.series_overflow)];
    let help = "What was counted in the series other";
    labelled(page, ("weft_series_overflow", help, Kind::Counter), "metric", overflow.chain(pods));
}

fn named(page: &mut Page, (name, help): (&str, &str), label: &str, counts: &[NamedCount]) {
    let counts = counts.iter().map(|count| (count.name, count.count));
    labelled(page, (name, help, Kind::Counter), label, counts);
}

fn durations(
    page: &mut Page,
    snapshot: &Snapshot,
    (name, help): (&str, &str),
    of: impl Fn(&PodSnapshot) -> &HistogramSnapshot,
) {
    let mut family = page.family(name, help, Kind::Histogram);
    for (own, pod) in pods(snapshot) {
        histogram(&mut family, &own.labels(), of(pod));
    }
}

/// A series; none where nothing was counted.
fn histogram(
    family: &mut weft_metrics::exposition::Family<'_>,
    labels: &[Label<'_>],
    histogram: &HistogramSnapshot,
) {
    if histogram.count == 0 {
        return;
    }
    let bounds = CLASSIC_BOUNDS_NS.into_iter().map(seconds);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.classic.iter().copied()).collect();
    let (count, sum) = (histogram.count, seconds(histogram.sum_ns));
    family.distribution(labels, &Distribution::of(count, sum, &buckets));
}

fn pods(snapshot: &Snapshot) -> impl Iterator<Item = (PodLabels, &PodSnapshot)> {
    snapshot.pods.iter().map(|pod| (PodLabels::new(&pod.namespace, &pod.name, pod.netns), pod))
}
