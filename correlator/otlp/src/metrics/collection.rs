use opentelemetry_proto::tonic::metrics::v1::{Metric as Message, ResourceMetrics, ScopeMetrics};
use weft_metrics::exposition::{Distribution, Kind, Metric, Output, Point};

use super::{
    measure::{Histogram, Measure},
    point::{self, About, Points},
    resources::Resources,
    streams::{Added, Streams, Taken},
};
use crate::{
    attributes,
    request::{Builder, ENOUGH_BYTES, Request},
    settings::{Histograms, Temporality},
};

/// In ns since the epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Since when the agent counts.
    pub began: u64,
    /// The collection before.
    pub previous: u64,
    /// This one.
    pub now: u64,
}

/// A request, and what the backend has once it took it.
#[derive(Debug)]
pub struct Batch {
    /// What is sent.
    pub request: Request,
    pub(crate) taken: Vec<Taken>,
}

/// One collection: everything that is written to it becomes requests of bounded sizes. Nothing but the requests, and what is
/// open of the last one, is held.
#[derive(Debug)]
pub struct Collection<'a> {
    temporality: Temporality,
    histograms: Histograms,
    times: Times,
    resources: &'a Resources,
    streams: &'a mut Streams,
    /// The family that began last.
    family: Family,
    points: Points,
    /// Whose points they are, and whose metrics.
    netns: Option<u64>,
    metrics: Vec<Message>,
    /// Of points and metrics.
    open: Open,
    taken: Vec<Taken>,
    builder: Builder,
    batches: Vec<Batch>,
}

/// [`Metric`] with a life of its own.
#[derive(Debug, Default)]
struct Family {
    name: String,
    help: String,
    shape: Option<(weft_metrics::exposition::Unit, Kind)>,
}

#[derive(Debug, Default)]
struct Open {
    points: u64,
    bytes: usize,
}

impl<'a> Collection<'a> {
    /// An empty one.
    pub fn new(
        (temporality, histograms): (Temporality, Histograms),
        times: Times,
        resources: &'a Resources,
        streams: &'a mut Streams,
    ) -> Self {
        Self {
            temporality,
            histograms,
            times,
            resources,
            streams,
            family: Family::default(),
            points: Points::default(),
            netns: None,
            metrics: Vec::new(),
            open: Open::default(),
            taken: Vec::new(),
            builder: Builder::default(),
            batches: Vec::new(),
        }
    }

    /// What is to be sent.
    pub fn finish(mut self) -> Vec<Batch> {
        self.close_resource();
        self.close_request();
        self.batches
    }

    /// A series' value: what it is since its beginning, or what came to it.
    fn push(&mut self, point: &Point<'_>, measure: Measure, exemplar: Option<&weft_metrics::Exemplar>) {
        let Times { began, previous, now } = self.times;
        let Some(metric) = self.family.metric() else { return };
        let adds = metric.kind != Kind::Gauge && self.temporality == Temporality::Delta;
        let (measure, start, taken) = if adds {
            let added = self.streams.added((&metric, point), measure, (began, now));
            let Some(Added { measure, start, taken }) = added else { return };
            (measure, start, Some(taken))
        } else {
            // 0 is OTLP's word for what is unknown, and what a gauge has.
            let unknown = metric.kind == Kind::Gauge || point.inherited.is_some();
            let start = if unknown { 0 } else { point.since.unwrap_or(began) };
            (measure, start, None)
        };
        let about = About {
            attributes: point.labels.iter().map(|(key, value)| attributes::text(key, value)).collect(),
            start,
            time: now,
            exemplars: exemplar
                .filter(|exemplar| exemplar.time_ns > previous)
                .map(point::exemplar)
                .into_iter()
                .collect(),
        };
        self.add(point.pod.map(|pod| pod.netns), point::Point::new(measure, about));
        // Behind it: what was open before may be a request of its own now.
        self.taken.extend(taken);
    }

    fn add(&mut self, netns: Option<u64>, point: point::Point) {
        if netns != self.netns || self.open.bytes >= ENOUGH_BYTES / 2 {
            self.close_resource();
            self.netns = netns;
        }
        self.open.points += 1;
        self.open.bytes += point.len();
        self.points.push(point);
    }

    fn close_metric(&mut self) {
        if let Some(metric) = self.family.metric() {
            let points = std::mem::take(&mut self.points);
            self.metrics.extend(points.into_metrics(&metric, self.temporality));
        }
    }

    fn close_resource(&mut self) {
        self.close_metric();
        let Open { points, bytes: _ } = std::mem::take(&mut self.open);
        let metrics = std::mem::take(&mut self.metrics);
        if metrics.is_empty() {
            return;
        }
        let scope = Some(attributes::scope());
        let scope = ScopeMetrics { scope, metrics, schema_url: String::new() };
        let resource = Some(self.resources.of(self.netns));
        let of = ResourceMetrics { resource, scope_metrics: vec![scope], schema_url: String::new() };
        self.builder.add(&of, points);
        if self.builder.is_enough() {
            self.close_request();
        }
    }

    fn close_request(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.batches.extend(self.builder.take().map(|request| Batch { request, taken }));
    }
}

impl Family {
    fn metric(&self) -> Option<Metric<'_>> {
        let (unit, kind) = self.shape?;
        Some(Metric { name: &self.name, unit, help: &self.help, kind })
    }
}

impl Output for Collection<'_> {
    fn begin(&mut self, metric: &Metric<'_>) {
        let shape = (metric.kind != Kind::Info).then_some((metric.unit, metric.kind));
        self.family = Family { name: metric.name.to_owned(), help: metric.help.to_owned(), shape };
    }

    fn value(&mut self, point: &Point<'_>, value: u64) {
        self.push(point, Measure::Number(value), None);
    }

    fn signed(&mut self, point: &Point<'_>, value: i64) {
        self.push(point, Measure::Signed(value), None);
    }

    fn distribution(&mut self, point: &Point<'_>, distribution: &Distribution<'_>) {
        let measure = Measure::Histogram(Histogram::of(distribution, self.histograms));
        self.push(point, measure, distribution.exemplar);
    }

    fn end(&mut self) {
        self.close_metric();
    }
}
