//! OpenTelemetry's names as Prometheus has them (specification/compatibility/prometheus_and_openmetrics.md).
use super::{Kind, Metric, Unit};

/// A family's name without what its samples add (`_total`), with its unit: two metrics that share it cannot be told apart.
pub fn family(metric: &Metric<'_>) -> String {
    let unit = match metric.unit {
        Unit::Count => "",
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
    };
    metric.name.replace('.', "_") + unit
}

/// The name that a family's samples have.
pub(super) fn sample(metric: &Metric<'_>) -> String {
    let suffix = match metric.kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    };
    family(metric) + suffix
}

/// Adds a label's name.
pub(super) fn label(name: &str, text: &mut Vec<u8>) {
    text.extend(name.bytes().map(|byte| if byte == b'.' { b'_' } else { byte }));
}
