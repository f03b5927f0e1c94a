//! The families of a registry: requests and calls, by pod and by what was asked for.
use weft_core::{CLASSIC_BOUNDS_NS, Histogram, Side, semconv};

use crate::{
    Bodies, Family, Labels, OTHER, PodFamily, PodLabels, PodSeries, Registry, Series, Sizes, Status,
    exposition::{Distribution, Exponential, Kind, Label, Metric, Page, Point, Unit},
    seconds,
};

const DURATION: &str = "First byte of the request to last byte of the response, at the pod's own device";
const REQUEST_BODY: &str = "Bytes of the requests' bodies";
const RESPONSE_BODY: &str = "Bytes of the responses' bodies";

/// Writes all of them.
pub fn write(page: &mut Page<'_>, registry: &Registry) {
    for family in Family::ALL {
        durations(page, registry, family);
    }
    for family in Family::ALL {
        let Some([request, response]) = family.bodies() else { continue };
        sizes(page, registry, (family, request, REQUEST_BODY), |bodies| &bodies.request);
        sizes(page, registry, (family, response, RESPONSE_BODY), |bodies| &bodies.response);
    }
}

fn durations(page: &mut Page<'_>, registry: &Registry, family: Family) {
    let (name, unit, kind) = (family.duration(), Unit::Seconds, Kind::Histogram);
    let mut out = page.family(&Metric { name, unit, help: DURATION, kind });
    for pod in registry.pods() {
        each(&pod, family, |point, series| {
            let duration = &series.duration;
            let mut buckets = CLASSIC_BOUNDS_NS.map(|bound| (seconds(bound), 0));
            buckets.iter_mut().zip(duration.classic()).for_each(|((_, up_to), count)| *up_to = count);
            let classic = Distribution::of(duration.count(), seconds(duration.sum()), &buckets);
            let (exponential, exemplar) = (Some(exponential(duration)), series.exemplar.as_ref());
            out.distribution(point, &Distribution { exponential, exemplar, ..classic });
        });
        out.rest();
    }
}

fn exponential(histogram: &Histogram) -> Exponential<'_> {
    let (offset, counts) = histogram.exponential();
    Exponential { scale: Histogram::SCALE, zero_count: histogram.zeroes(), offset, counts }
}

/// Of all that a pod was asked for, or asked for, together.
fn sizes(
    page: &mut Page<'_>,
    registry: &Registry,
    (family, name, help): (Family, &str, &str),
    of: impl Fn(&Bodies) -> &Sizes,
) {
    let mut out = page.family(&Metric { name, unit: Unit::Bytes, help, kind: Kind::Histogram });
    for pod in registry.pods() {
        pod.show(family, |netns, pod, PodFamily { bodies, .. }| {
            let (count, sum, buckets) = of(bodies).cumulative();
            let (pod, since) = (labels_of(pod, netns), Some(bodies.since_ns));
            let point = Point { since, ..Point::of(&pod, &[]) };
            out.distribution(&point, &Distribution::of(count, sum, &buckets));
        });
        out.rest();
    }
}

fn labels_of(pod: Option<&str>, netns: u64) -> PodLabels {
    let (namespace, name) = pod.and_then(|pod| pod.split_once('/')).unwrap_or_default();
    PodLabels::new(namespace, name, netns)
}

/// Shows a pod's series of a family, each with all its labels.
fn each(pod: &PodSeries, family: Family, mut show: impl FnMut(&Point<'_>, &Series)) {
    pod.show(family, |netns, pod, PodFamily { series: all, .. }| {
        let own = labels_of(pod, netns);
        for (labels, series) in all {
            let status = status(labels.status, family);
            let mut known = Vec::with_capacity(8);
            known.extend(what(labels, &status, family).into_iter().filter(|(_, value)| !value.is_empty()));
            let point = Point { since: Some(series.since_ns), ..Point::of(&own, &known) };
            show(&point, series);
        }
    });
}

/// What was asked for, of whom, and what came of it.
fn what<'a>(labels: &'a Labels, status: &'a str, family: Family) -> [Label<'a>; 8] {
    let is_server = family.side() == Side::Server;
    let error = if is_error(labels.status, family) { status } else { "" };
    let (route, code) = if family.is_rpc() {
        ("rpc.method", "rpc.response.status_code")
    } else {
        ("http.route", "http.response.status_code")
    };
    [
        ("http.request.method", labels.method),
        (route, &labels.route),
        (code, status),
        ("error.type", error),
        ("network.protocol.version", labels.version),
        ("server.address", &labels.server),
        (if is_server { "source.service" } else { "destination.service" }, &labels.service),
        (if is_server { "source.pod" } else { "destination.pod" }, &labels.peer),
    ]
}

fn status(status: Status, family: Family) -> String {
    match status {
        Status::Unknown => String::new(),
        Status::Other => OTHER.to_owned(),
        Status::Code(code) if family.is_rpc() => {
            semconv::grpc_code(code).map_or_else(|| code.to_string(), str::to_owned)
        }
        Status::Code(code) => code.to_string(),
    }
}

fn is_error(status: Status, family: Family) -> bool {
    let Status::Code(code) = status else { return false };
    if family.is_rpc() {
        semconv::is_grpc_error(family.side(), code)
    } else {
        semconv::is_http_error(family.side(), code)
    }
}
