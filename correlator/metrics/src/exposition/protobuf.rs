//! `io.prometheus.client.MetricFamily` (metrics.proto of prometheus/client_model), member by member under its numbers: a
//! structure for each of a hundred thousand series would cost more than all the rest.
use prost::encoding::{
    WireType, double, encode_key, encode_varint, int32, int64, sint32, sint64, uint32, uint64,
};

use super::{Distribution, Exponential, Kind, Label, name};
use crate::{seconds, series};

/// `MetricFamily.metric`.
const METRIC: u32 = 4;
/// `Metric.label`.
const LABEL: u32 = 1;

/// A family as bytes.
#[derive(Debug, Default)]
pub(super) struct Family {
    bytes: Vec<u8>,
    /// Each count less the one before, of the series that is written.
    deltas: Vec<i64>,
}

impl Family {
    pub(super) fn begin(&mut self, name: &str, help: &str, kind: Kind) {
        let kind = match kind {
            Kind::Counter => 0,
            Kind::Gauge | Kind::Info => 1,
            Kind::Histogram => 4,
        };
        self.bytes.clear();
        text(1, name, &mut self.bytes);
        text(2, help, &mut self.bytes);
        int32::encode(3, &kind, &mut self.bytes);
    }

    pub(super) fn value(&mut self, labels: &[Label<'_>], kind: Kind, value: f64) {
        // Gauge and Counter have the same first member.
        let tag = if kind == Kind::Counter { 3 } else { 2 };
        message(METRIC, &mut self.bytes, |to| {
            pairs(LABEL, labels, to);
            message(tag, to, |to| double::encode(1, &value, to));
        });
    }

    pub(super) fn distribution(&mut self, labels: &[Label<'_>], distribution: &Distribution<'_>) {
        let Self { bytes, deltas } = self;
        message(METRIC, bytes, |to| {
            pairs(LABEL, labels, to);
            message(7, to, |to| write_histogram(distribution, deltas, to));
        });
    }

    /// Writes it behind its length.
    pub(super) fn write(&mut self, page: &mut Vec<u8>) {
        encode_varint(self.bytes.len() as u64, page);
        page.append(&mut self.bytes);
    }
}

/// A member that is a message.
fn message(tag: u32, to: &mut Vec<u8>, members: impl FnOnce(&mut Vec<u8>)) {
    encode_key(tag, WireType::LengthDelimited, to);
    let length_at = to.len();
    // Most are short: their length takes a byte.
    to.push(0);
    members(to);
    let length = to.len() - length_at - 1;
    match (u8::try_from(length), to.get_mut(length_at)) {
        (Ok(length @ ..128), Some(place)) => *place = length,
        _ => {
            let mut longer = Vec::with_capacity(10);
            encode_varint(length as u64, &mut longer);
            to.splice(length_at..=length_at, longer);
        }
    }
}

fn text(tag: u32, value: &str, to: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, to);
    encode_varint(value.len() as u64, to);
    to.extend_from_slice(value.as_bytes());
}

/// `LabelPair`: name, value.
fn pairs(tag: u32, labels: &[Label<'_>], to: &mut Vec<u8>) {
    for (label, value) in labels {
        message(tag, to, |to| {
            message(1, to, |to| name::label(label, to));
            text(2, value, to);
        });
    }
}

/// `Histogram`. What is 0 is not written.
fn write_histogram(distribution: &Distribution<'_>, deltas: &mut Vec<i64>, to: &mut Vec<u8>) {
    let Distribution { count, sum, buckets, exponential, exemplar } = *distribution;
    count_of(1, count, to);
    double::encode(2, &sum, to);
    let mut lower = f64::NEG_INFINITY;
    for (upper, up_to) in buckets.iter().copied().chain([(f64::INFINITY, count)]) {
        message(3, to, |to| {
            count_of(1, up_to, to);
            double::encode(2, &upper, to);
            if let Some(exemplar) = exemplar.filter(|exemplar| exemplar.is_within(lower, upper)) {
                example(3, exemplar, to);
            }
        });
        lower = upper;
    }
    let Some(Exponential { scale, zero_count, offset, counts }) = exponential else { return };
    sint32::encode(5, &scale, to);
    count_of(7, zero_count, to);
    // An empty span tells a native histogram without buckets from a classic one.
    message(12, to, |to| {
        sint32::encode(1, &(offset + 1), to);
        uint32::encode(2, &u32::try_from(counts.len()).unwrap_or(u32::MAX), to);
    });
    let mut before = 0;
    deltas.clear();
    deltas.extend(
        counts.iter().map(|count| count.wrapping_sub(std::mem::replace(&mut before, *count)).cast_signed()),
    );
    sint64::encode_packed(13, deltas, to);
    if let Some(exemplar) = exemplar {
        example(16, exemplar, to);
    }
}

fn count_of(tag: u32, count: u64, to: &mut Vec<u8>) {
    if count != 0 {
        uint64::encode(tag, &count, to);
    }
}

/// `Exemplar`: label, value, and when, as a `google.protobuf.Timestamp`.
fn example(tag: u32, exemplar: &series::Exemplar, to: &mut Vec<u8>) {
    let seconds_of = |ns: u64| (ns / 1_000_000_000).cast_signed();
    let nanos = i32::try_from(exemplar.time_ns % 1_000_000_000).unwrap_or(0);
    let ids = exemplar.ids();
    message(tag, to, |to| {
        pairs(1, &ids.each_ref().map(|(name, id)| (*name, id.as_str())), to);
        double::encode(2, &seconds(exemplar.duration_ns), to);
        message(3, to, |to| {
            int64::encode(1, &seconds_of(exemplar.time_ns), to);
            int32::encode(2, &nanos, to);
        });
    });
}
