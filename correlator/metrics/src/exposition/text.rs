//! Prometheus' text format, and OpenMetrics.
use std::{borrow::Cow, fmt::Write as _};

use super::{Distribution, Kind, Label, name};
use crate::{seconds, series::Exemplar};

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
        name::label(name, text);
        text.push_str("=\"");
        text.push_str(&escaped(value, true));
        text.push('"');
    }
}

/// What the lines of one family's histograms have in common.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A series' labels: `name_bucket{...` and a comma.
    beginning: String,
    /// By bucket: `le="..."} `. The same in all series of a family.
    bounds: Vec<(f64, String)>,
}

/// The lines of a histogram's series; with `exemplar` behind the bucket that it is in.
pub(super) fn distribution(
    (text, lines): (&mut String, &mut Lines),
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
        text.push_str(&lines.beginning);
        text.push_str(lines.bound(index, upper));
        text.push_str(digits.format(up_to));
        if let Some(exemplar) = exemplar.filter(|exemplar| exemplar.is_within(lower, upper)) {
            example(text, exemplar);
        }
        text.push('\n');
        lower = upper;
    }
    for (suffix, value) in [("_sum", None), ("_count", Some(*count))] {
        text.push_str(name);
        text.push_str(suffix);
        self::labels(text, labels);
        text.push(' ');
        match value {
            Some(count) => text.push_str(digits.format(count)),
            None => drop(write!(text, "{sum:?}")),
        }
        text.push('\n');
    }
}

impl Lines {
    fn begin(&mut self, name: &str, labels: &[Label<'_>]) {
        self.beginning.clear();
        self.beginning.push_str(name);
        self.beginning.push_str("_bucket{");
        list(&mut self.beginning, labels);
        self.beginning.push_str(if labels.is_empty() { "" } else { "," });
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

fn example(text: &mut String, exemplar: &Exemplar) {
    text.push_str(" # {");
    let ids = exemplar.ids();
    list(text, &ids.each_ref().map(|(name, id)| (*name, id.as_str())));
    let (whole, ms) = (exemplar.time_ns / 1_000_000_000, exemplar.time_ns / 1_000_000 % 1000);
    let _ = write!(text, "}} {:?} {whole}.{ms:03}", seconds(exemplar.duration_ns));
}

/// Without what ends a value or a line.
fn escaped(value: &str, quotes: bool) -> Cow<'_, str> {
    if !value.contains(['\\', '\n', '"']) {
        return Cow::Borrowed(value);
    }
    let value = value.replace('\\', r"\\").replace('\n', r"\n");
    Cow::Owned(if quotes { value.replace('"', "\\\"") } else { value })
}
