//! Prometheus' text format, and OpenMetrics.
use std::{borrow::Cow, io::Write as _};

use memchr::memchr3;

use super::{Distribution, Kind, Label, name};
use crate::{seconds, series::Exemplar};

pub(super) fn header(text: &mut Vec<u8>, (name, help): (&str, &str), kind: Kind, openmetrics: bool) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::Info if openmetrics => "info",
        Kind::Gauge | Kind::Info => "gauge",
    };
    // Writing to memory does not fail.
    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, openmetrics));
}

/// Labels in braces; nothing where there are none.
pub(super) fn labels(text: &mut Vec<u8>, labels: &[Label<'_>]) {
    if labels.is_empty() {
        return;
    }
    text.push(b'{');
    list(text, labels);
    text.push(b'}');
}

fn list(text: &mut Vec<u8>, labels: &[Label<'_>]) {
    for (index, (name, value)) in labels.iter().enumerate() {
        text.extend_from_slice(if index == 0 { b"" } else { b"," });
        name::label(name, text);
        text.extend_from_slice(b"=\"");
        text.extend_from_slice(escaped(value, true).as_bytes());
        text.push(b'"');
    }
}

/// What the lines of one family's histograms have in common.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A series' labels.
    labels: Vec<u8>,
    /// Of its buckets: `name_bucket{`, the labels and a comma.
    beginning: Vec<u8>,
    /// By bucket: `le="..."} `. The same in all series of a family.
    bounds: Vec<(f64, String)>,
}

/// The lines of a histogram's series; with `exemplar` behind the bucket that it is in.
pub(super) fn distribution(
    (text, lines): (&mut Vec<u8>, &mut Lines),
    name: &str,
    labels: &[Label<'_>],
    distribution: &Distribution<'_>,
    exemplar: Option<&Exemplar>,
) {
    let Distribution { count, sum, buckets, .. } = distribution;
    lines.begin(name, labels);
    let mut digits = itoa::Buffer::new();
    let mut lower = f64::NEG_INFINITY;
    for (index, (upper, up_to)) in buckets.iter().copied().chain([(f64::INFINITY, *count)]).enumerate() {
        text.extend_from_slice(&lines.beginning);
        text.extend_from_slice(lines.bound(index, upper).as_bytes());
        text.extend_from_slice(digits.format(up_to).as_bytes());
        if let Some(exemplar) = exemplar.filter(|exemplar| exemplar.is_within(lower, upper)) {
            example(text, exemplar);
        }
        text.push(b'\n');
        lower = upper;
    }
    lines.total(text, name, "_sum");
    let _ = writeln!(text, "{sum:?}");
    lines.total(text, name, "_count");
    let _ = writeln!(text, "{count}");
}

impl Lines {
    fn begin(&mut self, name: &str, labels: &[Label<'_>]) {
        self.labels.clear();
        list(&mut self.labels, labels);
        self.beginning.clear();
        self.beginning.extend_from_slice(name.as_bytes());
        self.beginning.extend_from_slice(b"_bucket{");
        self.beginning.extend_from_slice(&self.labels);
        self.beginning.extend_from_slice(if labels.is_empty() { b"" } else { b"," });
    }

    /// The line of all of a series, up to its value.
    fn total(&self, text: &mut Vec<u8>, name: &str, suffix: &str) {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(suffix.as_bytes());
        if !self.labels.is_empty() {
            text.push(b'{');
            text.extend_from_slice(&self.labels);
            text.push(b'}');
        }
        text.push(b' ');
    }

    fn bound(&mut self, index: usize, upper: f64) -> &str {
        let known = self.bounds.get(index).is_some_and(|(known, _)| *known == upper);
        if !known {
            let text = if upper.is_finite() { format!("{upper:?}") } else { "+Inf".to_owned() };
            self.bounds.truncate(index);
            self.bounds.push((upper, format!("le=\"{text}\"}} ")));
        }
        self.bounds.get(index).map_or("", |(_, text)| text)
    }
}

fn example(text: &mut Vec<u8>, exemplar: &Exemplar) {
    text.extend_from_slice(b" # {");
    let ids = exemplar.ids();
    list(text, &ids.each_ref().map(|(name, id)| (*name, id.as_str())));
    let (whole, ms) = (exemplar.time_ns / 1_000_000_000, exemplar.time_ns / 1_000_000 % 1000);
    let _ = write!(text, "}} {:?} {whole}.{ms:03}", seconds(exemplar.duration_ns));
}

/// Without what ends a value or a line.
fn escaped(value: &str, quotes: bool) -> Cow<'_, str> {
    if memchr3(b'\\', b'\n', b'"', value.as_bytes()).is_none() {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', r"\\").replace('\n', r"\n");
    Cow::Owned(if quotes { value.replace('"', "\\\"") } else { value })
}
