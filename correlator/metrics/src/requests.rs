//! The families of a registry: requests and calls, by pod and by what was asked for.
use std::borrow::Cow;

use weft_core::{CLASSIC_BOUNDS_NS, Histogram, Side, semconv};

use crate::{
    Bodies, Family, Labels, PodFamily, PodLabels, PodSeries, Profiles, Registry, Series, Sizes, Status,
    beyla::Service,
    exposition::{self, Distribution, Exponential, Kind, Label, Metric, Page, Point, Unit},
    seconds,
};

const DURATION: &str = "First byte of the request to last byte of the response, at the pod's own device";
const REQUEST_BODY: &str = "Bytes of the requests' bodies";
const RESPONSE_BODY: &str = "Bytes of the responses' bodies";

/// What dialect of a family's labels is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// The conventions'.
    Otel,
    /// The same, and what Beyla says of the pod. Of calls Beyla's names, which are those of older conventions.
    Beyla,
}

/// Writes all of them, under the names that are asked for. Where OpenTelemetry and Beyla have the same, it is there once.
pub fn write(page: &mut Page<'_>, registry: &Registry, profiles: Profiles) {
    for family in Family::ALL {
        for (name, dialect) in names(family, profiles) {
            durations(page, registry, (family, name), dialect);
        }
    }
    for family in Family::ALL.into_iter().filter(|_| profiles.by_request()) {
        let Some([request, response]) = family.bodies() else { continue };
        let by_series = profiles.beyla;
        bodies(page, registry, (family, request, REQUEST_BODY), by_series, |bodies| &bodies.request);
        bodies(page, registry, (family, response, RESPONSE_BODY), by_series, |bodies| &bodies.response);
    }
}

/// What a family's durations are called, and in whose words they are told.
fn names(family: Family, profiles: Profiles) -> impl Iterator<Item = (&'static str, Dialect)> {
    let Profiles { otel, beyla, istio: _ } = profiles;
    let older = match family {
        Family::RpcServer => Some("rpc.server.duration"),
        Family::RpcClient => Some("rpc.client.duration"),
        Family::HttpServer | Family::HttpClient => None,
    };
    let shared = beyla && older.is_none();
    let conventional =
        (otel || shared).then(|| (family.duration(), if shared { Dialect::Beyla } else { Dialect::Otel }));
    conventional.into_iter().chain(older.filter(|_| beyla).map(|name| (name, Dialect::Beyla)))
}

fn durations(page: &mut Page<'_>, registry: &Registry, (family, name): (Family, &str), dialect: Dialect) {
    let (unit, kind) = (Unit::Seconds, Kind::Histogram);
    let mut out = page.family(&Metric { name, unit, help: DURATION, kind });
    for pod in registry.pods() {
        each(&pod, family, dialect, |point, series| duration(&mut out, point, series));
        out.rest();
    }
}

fn duration(out: &mut exposition::Family<'_>, point: &Point<'_>, series: &Series) {
    let duration = &series.duration;
    let mut buckets = CLASSIC_BOUNDS_NS.map(|bound| (seconds(bound), 0));
    buckets.iter_mut().zip(duration.classic()).for_each(|((_, up_to), count)| *up_to = count);
    let classic = Distribution::of(duration.count(), seconds(duration.sum()), &buckets);
    let (exponential, exemplar) = (Some(exponential(duration)), series.exemplar.as_ref());
    out.distribution(point, &Distribution { exponential, exemplar, ..classic });
}

fn exponential(histogram: &Histogram) -> Exponential<'_> {
    let (offset, counts) = histogram.exponential();
    Exponential { scale: Histogram::SCALE, zero_count: histogram.zeroes(), offset, counts }
}

/// Of all that a pod was asked for, or asked for, together; `by_series`: by what was asked for, as Beyla counts them.
fn bodies(
    page: &mut Page<'_>,
    registry: &Registry,
    (family, name, help): (Family, &str, &str),
    by_series: bool,
    of: impl Fn(&Bodies) -> &Sizes,
) {
    let mut out = page.family(&Metric { name, unit: Unit::Bytes, help, kind: Kind::Histogram });
    let show = |out: &mut exposition::Family<'_>, point: &Point<'_>, bodies: &Bodies| {
        let (count, sum, buckets) = of(bodies).cumulative();
        out.distribution(point, &Distribution::of(count, sum, &buckets));
    };
    for pod in registry.pods() {
        if by_series {
            each(&pod, family, Dialect::Beyla, |point, series| {
                series.bodies.iter().for_each(|bodies| show(&mut out, point, bodies));
            });
        } else {
            pod.show(family, |netns, pod, PodFamily { bodies, .. }| {
                let (pod, since) = (PodLabels::of(pod, netns), Some(bodies.since_ns));
                show(&mut out, &Point { since, ..Point::of(&pod, &[]) }, bodies);
            });
        }
        out.rest();
    }
}

/// Shows a pod's series of a family, each with all its labels.
fn each(pod: &PodSeries, family: Family, dialect: Dialect, mut show: impl FnMut(&Point<'_>, &Series)) {
    pod.show_owned(family, |netns, pod, identity, PodFamily { series: all, .. }| {
        let own = PodLabels::of(pod, netns);
        let service = match dialect {
            Dialect::Otel => Service::default(),
            Dialect::Beyla => Service::of(&own, identity),
        };
        for (labels, series) in all {
            let words = Words::of(labels, family, dialect);
            let mut known = Vec::with_capacity(if dialect == Dialect::Beyla { 24 } else { 8 });
            known.extend(service.labels());
            known.extend(what(labels, &words, family).into_iter().filter(|(_, value)| !value.is_empty()));
            if dialect == Dialect::Beyla {
                known.extend(of_beyla(labels, family, &service));
            }
            let point = Point { since: Some(series.since_ns), ..Point::of(&own, &known) };
            show(&point, series);
        }
    });
}

/// What Beyla says of the request beside what the conventions do.
fn of_beyla<'a>(labels: &Labels, family: Family, service: &'a Service) -> impl Iterator<Item = Label<'a>> {
    let system = family.is_rpc().then_some(("rpc.system", "grpc"));
    let own = family.side() == Side::Server && labels.server.is_empty();
    system.into_iter().chain(own.then(|| ("server.address", service.name())))
}

/// What of a series' labels differs by dialect.
struct Words<'a> {
    route: (&'static str, Cow<'a, str>),
    code: (&'static str, String),
    error: String,
}

impl<'a> Words<'a> {
    fn of(labels: &'a Labels, family: Family, dialect: Dialect) -> Self {
        let route = Cow::Borrowed(&*labels.route);
        let said = said(labels.status, family);
        let error = if is_error(labels.status, family) { said.clone() } else { String::new() };
        let (route, code) = match (family.is_rpc(), dialect) {
            (false, _) => (("http.route", route), ("http.response.status_code", said)),
            (true, Dialect::Otel) => (("rpc.method", route), ("rpc.response.status_code", said)),
            (true, Dialect::Beyla) => {
                (("rpc.method", path(route)), ("rpc.grpc.status_code", labels.status.number()))
            }
        };
        Self { route, code, error }
    }
}

/// A method of gRPC as it is on the wire: with the slash that the conventions leave out.
fn path(method: Cow<'_, str>) -> Cow<'_, str> {
    if method.contains('/') { Cow::Owned(format!("/{method}")) } else { method }
}

/// What was asked for, of whom, and what came of it.
fn what<'a>(labels: &'a Labels, words: &'a Words<'_>, family: Family) -> [Label<'a>; 8] {
    let is_server = family.side() == Side::Server;
    let Words { route, code, error } = words;
    [
        ("http.request.method", labels.method),
        (route.0, &route.1),
        (code.0, &code.1),
        ("error.type", error),
        ("network.protocol.version", labels.version),
        ("server.address", &labels.server),
        (if is_server { "source.service" } else { "destination.service" }, &labels.service),
        (if is_server { "source.pod" } else { "destination.pod" }, &labels.peer),
    ]
}

/// In the conventions' words.
fn said(status: Status, family: Family) -> String {
    let name = match status {
        Status::Code(code) if family.is_rpc() => semconv::grpc_code(code),
        _ => None,
    };
    name.map_or_else(|| status.number(), str::to_owned)
}

fn is_error(status: Status, family: Family) -> bool {
    let Status::Code(code) = status else { return false };
    if family.is_rpc() {
        semconv::is_grpc_error(family.side(), code)
    } else {
        semconv::is_http_error(family.side(), code)
    }
}
