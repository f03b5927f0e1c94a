//! Metrics of the operator's own, and how it went to read them.
use weft_metrics::exposition::{Kind, Page, Point};

use super::{super::custom::Readings, count};

pub(super) fn write(page: &mut Page<'_>, readings: &Readings) {
    for metric in &readings.metrics {
        metric.view.write(page);
    }
    if readings.metrics.is_empty() {
        return;
    }
    let help = "How often the maps of metrics.custom were read, by what came of it";
    let mut family = page.family(&count("weft.custom.reads", help, Kind::Counter));
    for metric in &readings.metrics {
        for (result, count) in metric.results.named() {
            family.value(&Point::own(&[("metric", &metric.name), ("result", result)]), count);
        }
    }
}
