//! OpenTelemetry's names as Prometheus has them (specification/compatibility/prometheus_and_openmetrics.md).
use super::{Kind, Metric, Unit};

/// A family's name without what its samples add: with its unit.
pub(super) fn family(metric: &Metric<'_>) -> String {
    let mut name = String::with_capacity(metric.name.len() + "_seconds_total".len());
    label(metric.name, &mut name);
    name.push_str(match metric.unit {
        Unit::Count => "",
        Unit::Seconds => "_seconds",
        Unit::Bytes => "_bytes",
    });
    name
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
pub(super) fn label(name: &str, text: &mut String) {
    let mut parts = name.split('.');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        text.push('_');
        text.push_str(part);
    }
}
