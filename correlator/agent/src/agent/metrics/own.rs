//! Connections of pods, where exchanges' time went, and what weft says of itself.
use weft_core::{CLASSIC_BOUNDS_NS, HistogramSnapshot, NamedCount, PodSnapshot, Snapshot};
use weft_metrics::{
    Family, PodLabels, Registry,
    exposition::{Distribution, Kind, Metric, Page, Point, Unit},
    seconds,
};

use super::{super::custom::Readings, count, durations, labelled, labels_of};

pub(super) fn write(page: &mut Page<'_>, snapshot: &Snapshot, series: (&Registry, &Readings)) {
    phases(page, snapshot);
    connections(page, snapshot);
    bytes(page, snapshot);
    let exchanges = &snapshot.exchanges;
    let sides = [("server", exchanges.server), ("client", exchanges.client)];
    let left = count("weft.exchanges", "Exchanges that left the pipeline", Kind::Counter);
    labelled(page, &left, "side", sides);
    let lost = ("weft.events_lost", "Records that the programs could not write");
    named(page, lost, "reason", &snapshot.events_lost);
    let odd = ("weft.anomalies", "Odd things about connections and messages");
    named(page, odd, "kind", &snapshot.anomalies);
    let links = ("weft.parent_links", "Exchanges by the evidence for their parent");
    named(page, links, "evidence", &snapshot.parent_links);
    tables(page, snapshot, series);
}

fn phases(page: &mut Page<'_>, snapshot: &Snapshot) {
    let help = "Where the time of exchanges went, of those in which it was measured";
    let mut family = page.family(&durations("weft.exchange.phase", help));
    for (own, pod) in pods(snapshot) {
        for (side, series) in [("server", &pod.series.server), ("client", &pod.series.client)] {
            for phase in &series.phases {
                let labels = [("side", side), ("phase", phase.phase)];
                histogram(&mut family, &Point::of(&own, &labels), &phase.time);
            }
        }
    }
}

fn connections(page: &mut Page<'_>, snapshot: &Snapshot) {
    let help = "connect(2) until the connection was established";
    let connect = durations("weft.tcp.connect.duration", help);
    histograms(page, snapshot, &connect, |pod| &pod.series.connections.connect);
    let help = "Smoothed round-trip time of connections when they closed";
    histograms(page, snapshot, &durations("weft.tcp.rtt", help), |pod| &pod.series.connections.rtt);
    let mut family =
        page.family(&count("weft.tcp.retransmits", "Segments that the pod sent again", Kind::Counter));
    for (own, pod) in pods(snapshot) {
        family.value(&Point::of(&own, &[]), pod.series.connections.retransmitted_segments);
    }
    drop(family);
    let help = "Connections that ended and carried bytes that are not followed";
    let mut family = page.family(&count("weft.connections", help, Kind::Counter));
    for (own, pod) in pods(snapshot) {
        let connections = &pod.series.connections;
        for (protocol, count) in [("tls", connections.tls), ("tcp", connections.tcp)] {
            family.value(&Point::of(&own, &[("protocol", protocol)]), count);
        }
    }
}

fn bytes(page: &mut Page<'_>, snapshot: &Snapshot) {
    let (loss, total) = (&snapshot.loss, &snapshot.loss.total);
    let outcomes = [
        ("seen", total.seen),
        ("decoded", total.decoded),
        ("opaque", total.opaque),
        ("duplicate", total.duplicate),
        ("lost", total.lost),
    ];
    let of = |name, help, kind| Metric { name, unit: Unit::Bytes, help, kind };
    let capture = of("weft.capture", "TCP payload bytes by what became of them", Kind::Counter);
    labelled(page, &capture, "outcome", outcomes);
    let help = "Bytes that passed and have no place in the account, or none for good";
    let states = [("pending", total.pending), ("unexplained", loss.unexplained_bytes())];
    labelled(page, &of("weft.capture.unsettled", help, Kind::Gauge), "state", states);
}

fn tables(page: &mut Page<'_>, snapshot: &Snapshot, (registry, custom): (&Registry, &Readings)) {
    let counts = registry.counts();
    let own = [("metric_series", counts.series, counts.expired)];
    let tables = snapshot.tables.iter().map(|table| (table.table, table.entries, table.evicted)).chain(own);
    let tables: Vec<_> = tables.collect();
    let evictions = count("weft.table.evictions", "Entries that gave way or found no room", Kind::Counter);
    labelled(page, &evictions, "table", tables.iter().map(|(table, _, evicted)| (*table, *evicted)));
    let entries = count("weft.table.entries", "Entries of the pipeline's tables", Kind::Gauge);
    labelled(page, &entries, "table", tables.iter().map(|(table, entries, _)| (*table, *entries)));
    let overflow = Family::ALL.map(Family::duration).into_iter().zip(counts.overflow);
    let pods = [("istio_requests", counts.istio_overflow), ("pods", snapshot.series_overflow)];
    let other = count("weft.series.overflow", "What was counted in the series other", Kind::Counter);
    labelled(page, &other, "metric", overflow.chain(pods).chain(custom.overflow()));
}

fn named(page: &mut Page<'_>, (name, help): (&str, &str), label: &str, counts: &[NamedCount]) {
    let counts = counts.iter().map(|count| (count.name, count.count));
    labelled(page, &count(name, help, Kind::Counter), label, counts);
}

fn histograms(
    page: &mut Page<'_>,
    snapshot: &Snapshot,
    metric: &Metric<'_>,
    of: impl Fn(&PodSnapshot) -> &HistogramSnapshot,
) {
    let mut family = page.family(metric);
    for (own, pod) in pods(snapshot) {
        histogram(&mut family, &Point::of(&own, &[]), of(pod));
    }
}

/// A series; none where nothing was counted.
fn histogram(
    family: &mut weft_metrics::exposition::Family<'_>,
    point: &Point<'_>,
    histogram: &HistogramSnapshot,
) {
    if histogram.count == 0 {
        return;
    }
    let bounds = CLASSIC_BOUNDS_NS.into_iter().map(seconds);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.classic.iter().copied()).collect();
    let (count, sum) = (histogram.count, seconds(histogram.sum_ns));
    family.distribution(point, &Distribution::of(count, sum, &buckets));
}

fn pods(snapshot: &Snapshot) -> impl Iterator<Item = (PodLabels, &PodSnapshot)> {
    snapshot.pods.iter().map(|pod| (labels_of(pod), pod))
}
