//! Data points: the values of series as OTLP has them.
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{
        AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
        Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar,
        exponential_histogram_data_point, metric, number_data_point,
    },
};
use prost::Message as _;
use weft_metrics::{
    exposition::{self, Kind, Unit},
    seconds,
};

use super::measure::{self, Buckets, Measure};
use crate::settings::Temporality;

/// What a point is told with, beside its value.
#[derive(Debug)]
pub(super) struct About {
    pub(super) attributes: Vec<KeyValue>,
    /// In ns since the epoch.
    pub(super) start: u64,
    /// In ns since the epoch.
    pub(super) time: u64,
    pub(super) exemplars: Vec<Exemplar>,
}

/// One point.
#[derive(Debug)]
pub(super) enum Point {
    Number(NumberDataPoint),
    Explicit(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

/// Points of one metric.
#[derive(Debug, Default)]
pub(super) struct Points {
    numbers: Vec<NumberDataPoint>,
    explicit: Vec<HistogramDataPoint>,
    exponential: Vec<ExponentialHistogramDataPoint>,
}

impl Point {
    pub(super) fn new(measure: Measure, about: About) -> Self {
        match measure {
            Measure::Number(number) => {
                Self::Number(self::number(i64::try_from(number).unwrap_or(i64::MAX), about))
            }
            Measure::Signed(number) => Self::Number(self::number(number, about)),
            Measure::Histogram(histogram) => self::histogram(histogram, about),
        }
    }

    /// Bytes that it takes in a request.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Explicit(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }
}

fn number(number: i64, About { attributes, start, time, exemplars }: About) -> NumberDataPoint {
    let value = number_data_point::Value::AsInt(number);
    NumberDataPoint {
        attributes,
        start_time_unix_nano: start,
        time_unix_nano: time,
        exemplars,
        flags: 0,
        value: Some(value),
    }
}

fn histogram(histogram: measure::Histogram, about: About) -> Point {
    let measure::Histogram { count, sum, buckets } = histogram;
    let About { attributes, start: start_time_unix_nano, time: time_unix_nano, exemplars } = about;
    match buckets {
        Buckets::Explicit { bounds, counts } => Point::Explicit(HistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum: Some(sum),
            bucket_counts: counts,
            explicit_bounds: bounds,
            exemplars,
            ..HistogramDataPoint::default()
        }),
        Buckets::Exponential { scale, zero_count, offset, counts } => {
            let positive = exponential_histogram_data_point::Buckets { offset, bucket_counts: counts };
            Point::Exponential(ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano,
                time_unix_nano,
                count,
                sum: Some(sum),
                scale,
                zero_count,
                positive: Some(positive),
                exemplars,
                ..ExponentialHistogramDataPoint::default()
            })
        }
    }
}

/// One that stands for others.
pub(super) fn exemplar(exemplar: &weft_metrics::Exemplar) -> Exemplar {
    Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: exemplar.time_ns,
        span_id: exemplar.span_id.0.to_be_bytes().to_vec(),
        trace_id: exemplar.trace_id.0.to_be_bytes().to_vec(),
        value: Some(exemplar::Value::AsDouble(seconds(exemplar.duration_ns))),
    }
}

impl Points {
    pub(super) fn push(&mut self, point: Point) {
        match point {
            Point::Number(point) => self.numbers.push(point),
            Point::Explicit(point) => self.explicit.push(point),
            Point::Exponential(point) => self.exponential.push(point),
        }
    }

    /// The metric with these points; a family whose histograms have two forms is two metrics of one name.
    pub(super) fn into_metrics(
        self,
        about: &exposition::Metric<'_>,
        temporality: Temporality,
    ) -> impl Iterator<Item = Metric> {
        let Self { numbers, explicit, exponential } = self;
        let aggregation_temporality = match temporality {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        } as i32;
        let numbers = (!numbers.is_empty()).then_some(match about.kind {
            Kind::Counter => {
                metric::Data::Sum(Sum { data_points: numbers, aggregation_temporality, is_monotonic: true })
            }
            Kind::Gauge | Kind::Info | Kind::Histogram => metric::Data::Gauge(Gauge { data_points: numbers }),
        });
        let explicit = (!explicit.is_empty())
            .then_some(metric::Data::Histogram(Histogram { data_points: explicit, aggregation_temporality }));
        let exponential =
            (!exponential.is_empty()).then_some(metric::Data::ExponentialHistogram(ExponentialHistogram {
                data_points: exponential,
                aggregation_temporality,
            }));
        let (name, description) = (about.name.to_owned(), about.help.to_owned());
        let head = Metric { name, description, unit: unit(about).to_owned(), ..Metric::default() };
        let with = move |data| Metric { data: Some(data), ..head.clone() };
        [numbers, explicit, exponential].into_iter().flatten().map(with)
    }
}

/// In UCUM, as the conventions want it (general/metrics.md, Instrument units).
fn unit(metric: &exposition::Metric<'_>) -> &'static str {
    match metric.unit {
        Unit::Seconds => "s",
        Unit::Bytes => "By",
        // Not `1`, which is for ratios.
        Unit::Count => "",
    }
}
