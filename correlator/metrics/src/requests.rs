//! The families of a registry on a page: requests and calls, by pod and by what was asked for.
use weft_core::{CLASSIC_BOUNDS_NS, Histogram, Side, semconv};

use crate::{
    Bodies, Exemplar, Family, Labels, OTHER, PodFamily, PodLabels, Registry, Series, Sizes, Status,
    exposition::{Distribution, Kind, Label, Native, Page, Sample},
    seconds,
};

const DURATION: &str = "First byte of the request to last byte of the response, at the pod's own device";
const REQUEST_BODY: &str = "Bytes of the requests' bodies";
const RESPONSE_BODY: &str = "Bytes of the responses' bodies";

/// Writes all of them.
pub fn write(page: &mut Page, registry: &Registry) {
    for family in Family::ALL {
        durations(page, registry, family);
    }
    for family in Family::ALL.into_iter().filter(|family| !family.is_rpc()) {
        let side = family.side().name();
        let name = |message| format!("http_{side}_{message}_body_size_bytes");
        sizes(page, registry, (family, &name("request"), REQUEST_BODY), |bodies| &bodies.request);
        sizes(page, registry, (family, &name("response"), RESPONSE_BODY), |bodies| &bodies.response);
    }
}

fn durations(page: &mut Page, registry: &Registry, family: Family) {
    let mut out = page.family(family.duration(), DURATION, Kind::Histogram);
    each(registry, family, |labels, series| {
        let duration = &series.duration;
        let buckets: Vec<(f64, u64)> =
            CLASSIC_BOUNDS_NS.into_iter().map(seconds).zip(duration.classic()).collect();
        let exemplar = series.exemplar.map(|exemplar| Names::new(&exemplar));
        let shown = exemplar.as_ref().map(Names::labels);
        let sample = exemplar.as_ref().zip(shown.as_ref()).map(|(names, labels)| names.sample(labels));
        let classic = Distribution::of(duration.count(), seconds(duration.sum()), &buckets);
        out.distribution(
            labels,
            &Distribution { native: Some(native(duration)), exemplar: sample, ..classic },
        );
    });
}

fn native(histogram: &Histogram) -> Native<'_> {
    let (offset, counts) = histogram.exponential();
    Native { schema: Histogram::SCALE, zero_count: histogram.zeroes(), offset, counts }
}

/// Of all that a pod was asked for, or asked for, together.
fn sizes(
    page: &mut Page,
    registry: &Registry,
    (family, name, help): (Family, &str, &str),
    of: impl Fn(&Bodies) -> &Sizes,
) {
    let mut out = page.family(name, help, Kind::Histogram);
    registry.visit(family, |netns, pod, PodFamily { bodies, .. }| {
        let (count, sum, buckets) = of(bodies).cumulative();
        out.distribution(&labels_of(pod, netns).labels(), &Distribution::of(count, sum, &buckets));
    });
}

fn labels_of(pod: Option<&str>, netns: u64) -> PodLabels {
    let (namespace, name) = pod.and_then(|pod| pod.split_once('/')).unwrap_or_default();
    PodLabels::new(namespace, name, netns)
}

/// Shows every series of a family with all its labels.
fn each(registry: &Registry, family: Family, mut show: impl FnMut(&[Label<'_>], &Series)) {
    registry.visit(family, |netns, pod, PodFamily { series: all, .. }| {
        let own = labels_of(pod, netns);
        for (labels, series) in all {
            let status = status(labels.status, family);
            let mut known = Vec::with_capacity(10);
            known.extend(own.labels());
            known.extend(what(labels, &status, family).into_iter().filter(|(_, value)| !value.is_empty()));
            show(&known, series);
        }
    });
}

/// What was asked for, of whom, and what came of it.
fn what<'a>(labels: &'a Labels, status: &'a str, family: Family) -> [Label<'a>; 8] {
    let is_server = family.side() == Side::Server;
    let error = if is_error(labels.status, family) { status } else { "" };
    let (route, code) = if family.is_rpc() {
        ("rpc_method", "rpc_response_status_code")
    } else {
        ("http_route", "http_response_status_code")
    };
    [
        ("http_request_method", labels.method),
        (route, &labels.route),
        (code, status),
        ("error_type", error),
        ("network_protocol_version", labels.version),
        ("server_address", &labels.server),
        (if is_server { "source_service" } else { "destination_service" }, &labels.service),
        (if is_server { "source_pod" } else { "destination_pod" }, &labels.peer),
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

/// An exemplar's ids as text.
struct Names {
    exemplar: Exemplar,
    trace: String,
    span: String,
}

impl Names {
    fn new(exemplar: &Exemplar) -> Self {
        let (trace, span) = (exemplar.trace_id.to_string(), exemplar.span_id.to_string());
        Self { exemplar: *exemplar, trace, span }
    }

    fn labels(&self) -> [Label<'_>; 2] {
        [("trace_id", &self.trace), ("span_id", &self.span)]
    }

    fn sample<'a>(&self, labels: &'a [Label<'a>]) -> Sample<'a> {
        let Exemplar { duration_ns, time_ns, .. } = self.exemplar;
        Sample { labels, value: seconds(duration_ns), time_ns }
    }
}
