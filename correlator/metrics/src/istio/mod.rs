//! Istio's standard metrics (istio.io, "Istio Standard Metrics"), for the dashboards that query them: what its proxy on the
//! pod's side would report, of what passed on the wire. Istio's word for what is not known is `unknown`.
mod key;
mod pod;
mod series;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use key::{Key, Service, Traffic, Workload};
pub(crate) use pod::PodSeries;
use series::{Buckets, Connections, Counted, Requests};
use weft_core::{Identity, Side};

use crate::{
    PodLabels, Registry,
    exposition::{Distribution, Family, Kind, Label, Metric, Page, Point, Unit},
};

const UNKNOWN: &str = "unknown";
/// Envoy's word for a response about which there is nothing to remark.
const NO_FLAGS: &str = "-";
const NS_IN_MS: f64 = 1e6;

/// Writes all of them.
pub fn write(page: &mut Page<'_>, registry: &Registry) {
    requests(page, registry);
    messages(page, registry);
    connections(page, registry);
}

fn requests(page: &mut Page<'_>, registry: &Registry) {
    let help = "Requests that were answered";
    each(page, registry, &counter("istio_requests", help), |family, point, counted| {
        if let Counted::Requests(requests) = counted {
            family.value(point, requests.duration.count());
        }
    });
    let help = "First byte of the request to last byte of the response, at the pod's own device";
    let name = "istio_request_duration_milliseconds";
    histogram(page, registry, (name, help, NS_IN_MS), |requests| &requests.duration);
    let help = "Bytes of the requests' bodies";
    histogram(page, registry, ("istio_request_bytes", help, 1.0), |requests| &requests.request_bytes);
    let help = "Bytes of the responses' bodies";
    histogram(page, registry, ("istio_response_bytes", help, 1.0), |requests| &requests.response_bytes);
}

fn messages(page: &mut Page<'_>, registry: &Registry) {
    type Of = fn(&Requests) -> u64;
    let all: [(&str, &str, Of); 2] = [
        ("istio_request_messages", "Messages of gRPC that clients sent", |requests| {
            requests.request_messages
        }),
        ("istio_response_messages", "Messages of gRPC that servers sent", |requests| {
            requests.response_messages
        }),
    ];
    for (name, help, of) in all {
        let mut out = page.family(&counter(name, help));
        visit(&mut out, registry, |family, key, point, counted| {
            if let (Traffic::Grpc, Counted::Requests(requests)) = (key.traffic, counted) {
                family.value(point, of(requests));
            }
        });
    }
}

fn connections(page: &mut Page<'_>, registry: &Registry) {
    type Of = fn(&Connections) -> u64;
    let all: [(&str, &str, Of); 3] = [
        ("istio_tcp_sent_bytes", "Bytes that servers sent over connections that are over", |all| all.sent),
        ("istio_tcp_received_bytes", "Bytes that clients sent over connections that are over", |all| {
            all.received
        }),
        ("istio_tcp_connections_closed", "Connections that are over", |all| all.closed),
    ];
    for (name, help, of) in all {
        each(page, registry, &counter(name, help), |family, point, counted| {
            if let Counted::Connections(connections) = counted {
                family.value(point, of(connections));
            }
        });
    }
}

/// The name has its unit: it is not one of those that Prometheus would have.
fn counter<'a>(name: &'a str, help: &'a str) -> Metric<'a> {
    Metric { name, unit: Unit::Count, help, kind: Kind::Counter }
}

/// `scale`: what is counted in the unit that is shown.
#[expect(clippy::cast_precision_loss, reason = "a double is what the exposition formats have")]
fn histogram(
    page: &mut Page<'_>,
    registry: &Registry,
    (name, help, scale): (&str, &str, f64),
    of: impl Fn(&Requests) -> &Buckets,
) {
    let metric = Metric { name, unit: Unit::Count, help, kind: Kind::Histogram };
    each(page, registry, &metric, |family, point, counted| {
        if let Counted::Requests(requests) = counted {
            let buckets = of(requests);
            let (count, sum) = (buckets.count(), buckets.sum as f64 / scale);
            family.distribution(point, &Distribution::of(count, sum, &buckets.cumulative()));
        }
    });
}

/// A family with all series of all pods.
fn each(
    page: &mut Page<'_>,
    registry: &Registry,
    metric: &Metric<'_>,
    show: impl Fn(&mut Family<'_>, &Point<'_>, &Counted),
) {
    let mut out = page.family(metric);
    visit(&mut out, registry, |family, _, point, counted| show(family, point, counted));
}

fn visit(
    out: &mut Family<'_>,
    registry: &Registry,
    show: impl Fn(&mut Family<'_>, &Key<Arc<str>>, &Point<'_>, &Counted),
) {
    for pod in registry.pods() {
        pod.show_istio(|netns, name, identity, pod| {
            let shown = Shown::of(netns, name, identity);
            for (key, series) in &pod.series {
                let words = Words::of(key);
                let labels = shown.labels(key, &words);
                let since = Some(series.since_ns);
                let point = Point { since, ..Point::of(&shown.pod, &labels) };
                show(out, key, &point, &series.counted);
            }
        });
        out.rest();
    }
}

/// A pod whose series are shown: two of one workload report by themselves, as two proxies would.
struct Shown<'a> {
    pod: PodLabels,
    own: Workload<&'a str>,
}

/// What of a series' labels is made for them.
struct Words {
    host: String,
    code: String,
    grpc: String,
}

impl Words {
    fn of(key: &Key<Arc<str>>) -> Self {
        let Service { host, name, namespace } = &key.service;
        let host = match (&**host, &**name) {
            ("", "") => String::new(),
            ("", name) => format!("{name}.{namespace}.svc.cluster.local"),
            (host, _) => host.to_owned(),
        };
        Self { host, code: key.code.number(), grpc: key.grpc.number() }
    }
}

impl<'a> Shown<'a> {
    fn of(netns: u64, name: Option<&'a str>, identity: Option<&'a Identity>) -> Self {
        Self { pod: PodLabels::of(name, netns), own: Workload::of(name, identity) }
    }

    fn labels<'b>(&'b self, key: &'b Key<Arc<str>>, words: &'b Words) -> Vec<Label<'b>> {
        let peer = key.peer.borrowed();
        let (reporter, source, destination) = match key.side {
            Side::Client => ("source", self.own, peer),
            Side::Server => ("destination", peer, self.own),
        };
        let mut labels = Vec::with_capacity(28);
        labels.push(("reporter", reporter));
        end(&mut labels, &SOURCE, source);
        end(&mut labels, &DESTINATION, destination);
        labels.extend([
            ("destination_service", known(&words.host)),
            ("destination_service_name", known(&key.service.name)),
            ("destination_service_namespace", known(&key.service.namespace)),
            ("request_protocol", key.traffic.name()),
            ("response_flags", NO_FLAGS),
            ("connection_security_policy", policy(key)),
        ]);
        let only = [("response_code", &words.code), ("grpc_response_status", &words.grpc)];
        labels.extend(
            only.into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name, value.as_str())),
        );
        labels
    }
}

/// The names of an end's labels: workload, its namespace, principal, app, version, cluster, canonical service and revision.
type Names = [&'static str; 8];
const SOURCE: Names = [
    "source_workload",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "source_canonical_service",
    "source_canonical_revision",
];
const DESTINATION: Names = [
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_cluster",
    "destination_canonical_service",
    "destination_canonical_revision",
];

/// Nobody tells of a cluster's name; and principals are those of mutual TLS, in which nothing is read.
fn end<'a>(labels: &mut Vec<Label<'a>>, names: &Names, end: Workload<&'a str>) {
    let Workload { namespace, name, app, version, service, revision } = end;
    let values = [name, namespace, UNKNOWN, app, version, UNKNOWN, service, revision].map(known);
    labels.extend(names.iter().copied().zip(values));
}

fn known(value: &str) -> &str {
    if value.is_empty() { UNKNOWN } else { value }
}

/// Istio's client does not say; its server says `none` of what is in the clear, as all requests are that weft reads.
fn policy(key: &Key<Arc<str>>) -> &'static str {
    match (key.side, key.traffic) {
        (Side::Server, Traffic::Http | Traffic::Grpc) => "none",
        _ => UNKNOWN,
    }
}
