//! What is written, decoded from the bytes that would be sent.
use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    metrics::v1::{AggregationTemporality, ExponentialHistogramDataPoint, metric::Data},
};
use prost::Message as _;
use weft_core::{CLASSIC_BOUNDS_NS, Histogram, SpanId, TraceId};
use weft_metrics::{
    Exemplar, PodLabels,
    exposition::{Distribution, Exponential, Kind, Metric, Page, Point, Unit},
    seconds,
};

use super::{Batch, Collection, Resources, Streams, Times};
use crate::settings::{Histograms, Temporality};

const LATENCY: Metric<'_> =
    Metric { name: "latency", unit: Unit::Seconds, help: "How long", kind: Kind::Histogram };
const LOST: Metric<'_> = Metric { name: "lost", unit: Unit::Count, help: "How many", kind: Kind::Counter };
const WAITING: Metric<'_> = Metric { name: "waiting", unit: Unit::Bytes, help: "Now", kind: Kind::Gauge };

/// A backend that is told by `write` every 10 ns, from 100 on.
struct Backend {
    how: (Temporality, Histograms),
    resources: Resources,
    streams: Streams,
    now: u64,
}

impl Backend {
    fn new(temporality: Temporality) -> Self {
        let resources = Resources::new(&[("service.name", "weft")], Some("node-1"));
        Self { how: (temporality, Histograms::Exponential), resources, streams: Streams::default(), now: 100 }
    }

    fn collect(&mut self, write: impl FnOnce(&mut Page<'_>)) -> Vec<Batch> {
        self.now += 10;
        let times = Times { began: 50, previous: self.now - 10, now: self.now };
        let mut collection = Collection::new(self.how, times, &self.resources, &mut self.streams);
        write(&mut Page::new(&mut collection));
        collection.finish()
    }

    /// It takes everything.
    fn take(&mut self, batches: Vec<Batch>) -> Vec<ExportMetricsServiceRequest> {
        let messages = decoded(&batches);
        batches.into_iter().for_each(|batch| self.streams.commit(batch.taken));
        self.streams.forget(self.now);
        messages
    }
}

fn decoded(batches: &[Batch]) -> Vec<ExportMetricsServiceRequest> {
    let decode = |batch: &Batch| ExportMetricsServiceRequest::decode(batch.request.bytes.clone()).unwrap();
    batches.iter().map(decode).collect()
}

/// Every metric with the name of the service that it is of.
fn metrics(messages: &[ExportMetricsServiceRequest]) -> Vec<(String, String, Data)> {
    let mut metrics = Vec::new();
    for of in messages.iter().flat_map(|message| &message.resource_metrics) {
        let attributes = &of.resource.as_ref().unwrap().attributes;
        let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
        let name = format!("{:?}", name.value);
        let name = name.split('"').nth(1).unwrap().to_owned();
        for metric in of.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            metrics.push((name.clone(), metric.name.clone(), metric.data.clone().unwrap()));
        }
    }
    metrics
}

fn lost(count: u64) -> impl FnOnce(&mut Page<'_>) {
    move |page| page.family(&LOST).value(&Point::own(&[("reason", "full")]), count)
}

/// Value and start of the only point of a counter.
fn sum(messages: &[ExportMetricsServiceRequest]) -> Option<(i64, u64)> {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    let (_, _, Data::Sum(sum)) = metrics(messages).pop()? else { panic!("no sum") };
    assert!(sum.is_monotonic);
    let [point] = &sum.data_points[..] else { panic!("{sum:?}") };
    let Some(Value::AsInt(value)) = point.value else { panic!("{point:?}") };
    Some((value, point.start_time_unix_nano))
}

fn latency(histogram: &Histogram, since: u64, exemplar: Option<Exemplar>) -> impl FnOnce(&mut Page<'_>) {
    move |page| {
        let buckets: Vec<_> = CLASSIC_BOUNDS_NS.into_iter().map(seconds).zip(histogram.classic()).collect();
        let (offset, counts) = histogram.exponential();
        let exponential =
            Exponential { scale: Histogram::SCALE, zero_count: histogram.zeroes(), offset, counts };
        let distribution = Distribution {
            exponential: Some(exponential),
            exemplar: exemplar.as_ref(),
            ..Distribution::of(histogram.count(), seconds(histogram.sum()), &buckets)
        };
        let pod = PodLabels::new("shop", "orders", 7);
        page.family(&LATENCY)
            .distribution(&Point { since: Some(since), ..Point::of(&pod, &[]) }, &distribution);
    }
}

fn exponential(messages: &[ExportMetricsServiceRequest]) -> ExponentialHistogramDataPoint {
    let Some((_, _, Data::ExponentialHistogram(histogram))) = metrics(messages).pop() else {
        panic!("no exponential histogram")
    };
    histogram.data_points[0].clone()
}

fn histogram(durations: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    durations.iter().for_each(|ns| histogram.record(*ns));
    histogram
}

#[test]
fn everything_since_the_beginning_or_what_was_added() {
    let mut cumulative = Backend::new(Temporality::Cumulative);
    let mut delta = Backend::new(Temporality::Delta);
    for (count, expected_cumulative, expected_delta) in [
        (3, (3, 50), Some((3, 50))),
        (5, (5, 50), Some((2, 110))),
        (5, (5, 50), None),
        (9, (9, 50), Some((4, 120))),
    ] {
        let batches = cumulative.collect(lost(count));
        assert_eq!(sum(&cumulative.take(batches)), Some(expected_cumulative));
        let batches = delta.collect(lost(count));
        assert_eq!(sum(&delta.take(batches)), expected_delta);
    }
}

#[test]
fn what_the_backend_did_not_take_is_part_of_the_next() {
    let mut backend = Backend::new(Temporality::Delta);
    let batches = backend.collect(lost(3));
    backend.take(batches);
    drop(backend.collect(lost(5)));
    let batches = backend.collect(lost(9));
    assert_eq!(sum(&backend.take(batches)), Some((6, 110)));
}

/// Somebody else's counter: nobody knows since when it counts, and what it had counted before is no increase.
#[test]
fn what_was_counted_before_is_no_part_of_what_is_added() {
    let (mut cumulative, mut delta) =
        (Backend::new(Temporality::Cumulative), Backend::new(Temporality::Delta));
    let write = |count: u64| {
        move |page: &mut Page<'_>| {
            page.family(&LOST).value(&Point { inherited: Some(100), ..Point::default() }, count);
        }
    };
    for (count, expected_cumulative, expected_delta) in
        [(100, (100, 0), None), (103, (103, 0), Some((3, 50))), (104, (104, 0), Some((1, 120)))]
    {
        let batches = cumulative.collect(write(count));
        assert_eq!(sum(&cumulative.take(batches)), Some(expected_cumulative));
        let batches = delta.collect(write(count));
        assert_eq!(sum(&delta.take(batches)), expected_delta);
    }
}

#[test]
fn a_gauge_can_be_below_0() {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    let mut backend = Backend::new(Temporality::Delta);
    let batches = backend.collect(|page| page.family(&WAITING).signed(&Point::default(), -5));
    let Some((_, _, Data::Gauge(gauge))) = metrics(&backend.take(batches)).pop() else { panic!("no gauge") };
    assert_eq!(gauge.data_points[0].value, Some(Value::AsInt(-5)));
}

#[test]
fn a_series_that_went_and_came_again_begins_anew() {
    let mut backend = Backend::new(Temporality::Delta);
    let batches = backend.collect(latency(&histogram(&[1000, 2000]), 90, None));
    assert_eq!(exponential(&backend.take(batches)).start_time_unix_nano, 90);
    // Of more than before, but since later.
    let batches = backend.collect(latency(&histogram(&[1000, 2000, 3000]), 115, None));
    let point = exponential(&backend.take(batches));
    assert_eq!((point.count, point.start_time_unix_nano), (3, 115));
    // Of less.
    let batches = backend.collect(lost(7));
    backend.take(batches);
    let batches = backend.collect(lost(2));
    assert_eq!(sum(&backend.take(batches)), Some((2, 50)));
}

#[test]
fn exponential_buckets_are_ours_and_differences_of_them() {
    let (before, after) = ([1_000, 2_000_000], [0, 5_000_000, 7_000_000_000]);
    let whole = histogram(&[&before[..], &after[..]].concat());
    let mut cumulative = Backend::new(Temporality::Cumulative);
    let batches = cumulative.collect(latency(&whole, 60, None));
    let point = exponential(&cumulative.take(batches));
    let positive = point.positive.unwrap();
    assert_eq!((positive.offset, &positive.bucket_counts[..]), whole.exponential());
    assert_eq!((point.scale, point.zero_count, point.count), (4, 1, 5));
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (60, 110));
    let mut delta = Backend::new(Temporality::Delta);
    let batches = delta.collect(latency(&histogram(&before), 60, None));
    delta.take(batches);
    let batches = delta.collect(latency(&whole, 60, None));
    let point = exponential(&delta.take(batches));
    let positive = point.positive.unwrap();
    assert_eq!((positive.offset, &positive.bucket_counts[..]), histogram(&after).exponential());
    assert_eq!((point.zero_count, point.count, point.start_time_unix_nano), (1, 3, 110));
    assert!((point.sum.unwrap() - 7.005).abs() < 1e-9, "{:?}", point.sum);
}

#[test]
fn explicit_buckets_for_those_who_know_no_others() {
    let mut backend = Backend::new(Temporality::Cumulative);
    backend.how.1 = Histograms::Explicit;
    let batches = backend.collect(latency(&histogram(&[50_000, 100_000, 100_001, 20_000_000_000]), 60, None));
    let Some((_, _, Data::Histogram(histogram))) = metrics(&backend.take(batches)).pop() else { panic!() };
    assert_eq!(histogram.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    let point = &histogram.data_points[0];
    assert_eq!(point.explicit_bounds, CLASSIC_BOUNDS_NS.map(seconds));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    // Upper bounds are inclusive.
    assert_eq!((&point.bucket_counts[..2], point.bucket_counts.last()), (&[2, 1][..], Some(&1)));
}

#[test]
fn an_exemplar_is_told_once() {
    let exemplar =
        Exemplar { trace_id: TraceId(1), span_id: SpanId(2), duration_ns: 1_500_000, time_ns: 105 };
    let mut backend = Backend::new(Temporality::Cumulative);
    let histogram = histogram(&[1_500_000]);
    let batches = backend.collect(latency(&histogram, 60, Some(exemplar)));
    let exemplars = exponential(&backend.take(batches)).exemplars;
    assert_eq!((exemplars.len(), exemplars[0].time_unix_nano), (1, 105));
    assert_eq!(exemplars[0].trace_id, [[0; 15].as_slice(), &[1]].concat());
    assert_eq!(exemplars[0].span_id, [0, 0, 0, 0, 0, 0, 0, 2]);
    let batches = backend.collect(latency(&histogram, 60, Some(exemplar)));
    assert_eq!(exponential(&backend.take(batches)).exemplars, []);
}

#[test]
fn each_pod_has_a_resource_and_so_has_the_agent() {
    let mut backend = Backend::new(Temporality::Cumulative);
    let batches = backend.collect(|page| {
        lost(1)(page);
        let mut family = page.family(&WAITING);
        for (name, netns) in [("a", 1), ("a", 2), ("", 3)] {
            family.value(&Point::of(&PodLabels::new("shop", name, netns), &[]), netns);
        }
        drop(family);
        page.family(&Metric { name: "target", kind: Kind::Info, ..LOST }).value(&Point::default(), 1);
    });
    let told: Vec<_> = metrics(&backend.take(batches)).into_iter().map(|(of, name, _)| (of, name)).collect();
    let expected = [("weft", "lost"), ("netns-1", "waiting"), ("netns-2", "waiting"), ("netns-3", "waiting")];
    assert_eq!(told, expected.map(|(of, name)| (of.to_owned(), name.to_owned())));
}

#[test]
fn requests_are_bounded_and_lose_nothing() {
    let mut backend = Backend::new(Temporality::Delta);
    let long = "x".repeat(1000);
    let batches = backend.collect(|page| {
        let mut family = page.family(&LOST);
        for number in 0..5000_u64 {
            let value = format!("{number}{long}");
            let pod = PodLabels::new("shop", "orders", number / 1500);
            family.value(&Point::of(&pod, &[("reason", &value)]), number + 1);
        }
    });
    assert!(batches.len() >= 4, "{}", batches.len());
    for Batch { request, taken } in &batches {
        assert!(request.bytes.len() < 2 << 20, "{}", request.bytes.len());
        assert_eq!(request.items, taken.len() as u64);
    }
    let points = metrics(&decoded(&batches)).into_iter().map(|(_, _, data)| match data {
        Data::Sum(sum) => sum.data_points.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(points.sum::<usize>(), 5000);
    assert_eq!(batches.iter().map(|batch| batch.request.items).sum::<u64>(), 5000);
}
