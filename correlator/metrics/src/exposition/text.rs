//! Prometheus' text format, and OpenMetrics.
use std::{borrow::Cow, fmt::Write as _};

use super::{Distribution, Kind, Label, Sample};

/// The name that a family's samples have.
pub(super) fn sample_name(name: &str, kind: Kind) -> String {
    let suffix = match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    };
    format!("{name}{suffix}")
}

pub(super) fn header(text: &mut String, (name, help): (&str, &str), kind: Kind, openmetrics: bool) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::Info if openmetrics => "info",
        Kind::Gauge | Kind::Info => "gauge",
    };
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", escaped(help, openmetrics));
}

/// Labels in braces; nothing where there are none.
pub(super) fn labels(text: &mut String, labels: &[Label<'_>]) {
    if labels.is_empty() {
        return;
    }
    text.push('{');
    list(text, labels);
    text.push('}');
}

fn list(text: &mut String, labels: &[Label<'_>]) {
    for (index, (name, value)) in labels.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(name);
        text.push_str("=\"");
        text.push_str(&escaped(value, true));
        text.push('"');
    }
}

/// The lines of a histogram's series; with `sample` behind the bucket that it is in.
pub(super) fn distribution(
    text: &mut String,
    name: &str,
    labels: &[Label<'_>],
    distribution: &Distribution<'_>,
    sample: Option<&Sample<'_>>,
) {
    let Distribution { count, sum, buckets, .. } = distribution;
    let mut own = String::new();
    list(&mut own, labels);
    let comma = if own.is_empty() { "" } else { "," };
    let mut lower = f64::NEG_INFINITY;
    for (upper, up_to) in buckets.iter().copied().chain([(f64::INFINITY, *count)]) {
        text.push_str(name);
        text.push_str("_bucket{");
        text.push_str(&own);
        text.push_str(comma);
        let _ = if upper.is_finite() {
            write!(text, "le=\"{upper:?}\"}} {up_to}")
        } else {
            write!(text, "le=\"+Inf\"}} {up_to}")
        };
        if let Some(sample) = sample.filter(|sample| sample.value > lower && sample.value <= upper) {
            exemplar(text, sample);
        }
        text.push('\n');
        lower = upper;
    }
    let braces = if own.is_empty() { String::new() } else { format!("{{{own}}}") };
    let _ = writeln!(text, "{name}_sum{braces} {sum:?}\n{name}_count{braces} {count}");
}

fn exemplar(text: &mut String, sample: &Sample<'_>) {
    text.push_str(" # {");
    list(text, sample.labels);
    let (seconds, ms) = (sample.time_ns / 1_000_000_000, sample.time_ns / 1_000_000 % 1000);
    let _ = write!(text, "}} {:?} {seconds}.{ms:03}", sample.value);
}

/// Without what ends a value or a line.
fn escaped(value: &str, quotes: bool) -> Cow<'_, str> {
    if !value.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', r"\\").replace('\n', r"\n");
    Cow::Owned(if quotes { value.replace('"', "\\\"") } else { value })
}
