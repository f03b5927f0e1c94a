//! `io.prometheus.client.MetricFamily` (metrics.proto of prometheus/client_model): what weft says of it, under its numbers.
use prost::{Message, encoding};

use super::{Distribution, Exponential, Kind, Label, name};
use crate::{seconds, series};

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// Gauge and Counter have the same first member.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Value>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Value>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    /// `MetricType`.
    #[prost(int32, tag = "3")]
    kind: i32,
}

/// `MetricFamily.metric`.
const METRIC: u32 = 4;

/// A family as bytes, so that no more than one series is held as a structure.
#[derive(Debug, Default)]
pub(super) struct Family {
    bytes: Vec<u8>,
}

impl Family {
    pub(super) fn new(name: &str, help: &str, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge | Kind::Info => 1,
            Kind::Histogram => 4,
        };
        Self { bytes: Head { name: name.into(), help: help.into(), kind }.encode_to_vec() }
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is what the format has")]
    pub(super) fn value(&mut self, labels: &[Label<'_>], kind: Kind, value: u64) {
        let value = Some(Value { value: value as f64 });
        let (gauge, counter) = if kind == Kind::Counter { (None, value) } else { (value, None) };
        self.push(&Metric { label: pairs(labels), gauge, counter, histogram: None });
    }

    pub(super) fn distribution(&mut self, labels: &[Label<'_>], distribution: &Distribution<'_>) {
        let histogram = Some(histogram(distribution));
        self.push(&Metric { label: pairs(labels), gauge: None, counter: None, histogram });
    }

    fn push(&mut self, metric: &Metric) {
        encoding::message::encode(METRIC, metric, &mut self.bytes);
    }

    /// Writes it behind its length.
    pub(super) fn write(&mut self, page: &mut Vec<u8>) {
        encoding::encode_varint(self.bytes.len() as u64, page);
        page.append(&mut self.bytes);
    }
}

fn pairs(labels: &[Label<'_>]) -> Vec<LabelPair> {
    let pair = |(name, value): &Label<'_>| {
        let mut own = String::with_capacity(name.len());
        name::label(name, &mut own);
        LabelPair { name: own, value: (*value).into() }
    };
    labels.iter().map(pair).collect()
}

fn histogram(distribution: &Distribution<'_>) -> Histogram {
    let Distribution { count, sum, buckets, exponential, exemplar } = distribution;
    let mut lower = f64::NEG_INFINITY;
    let bucket = buckets.iter().copied().chain([(f64::INFINITY, *count)]).map(|(upper, up_to)| {
        let own = exemplar.filter(|exemplar| exemplar.is_within(lower, upper));
        lower = upper;
        Bucket { cumulative_count: up_to, upper_bound: upper, exemplar: own.map(example) }
    });
    let bucket = bucket.collect();
    let classic = Histogram { sample_count: *count, sample_sum: *sum, bucket, ..Histogram::default() };
    let Some(Exponential { scale, zero_count, offset, counts }) = *exponential else { return classic };
    let length = u32::try_from(counts.len()).unwrap_or(u32::MAX);
    Histogram {
        schema: scale,
        zero_count,
        // An empty span tells a native histogram without buckets from a classic one.
        positive_span: vec![BucketSpan { offset: offset + 1, length }],
        positive_delta: deltas(counts),
        exemplars: exemplar.iter().copied().map(example).collect(),
        ..classic
    }
}

/// Each count less the one before.
fn deltas(counts: &[u64]) -> Vec<i64> {
    let mut before = 0;
    counts
        .iter()
        .map(|count| count.wrapping_sub(std::mem::replace(&mut before, *count)).cast_signed())
        .collect()
}

fn example(exemplar: &series::Exemplar) -> Exemplar {
    let seconds_of = |ns: u64| (ns / 1_000_000_000).cast_signed();
    let nanos = i32::try_from(exemplar.time_ns % 1_000_000_000).unwrap_or(0);
    let ids = exemplar.ids();
    Exemplar {
        label: pairs(&ids.each_ref().map(|(name, id)| (*name, id.as_str()))),
        value: seconds(exemplar.duration_ns),
        timestamp: Some(Timestamp { seconds: seconds_of(exemplar.time_ns), nanos }),
    }
}
