//! Metrics of Go functions that the operator wants (`metrics.custom`), and how it is about them. They are read when they are
//! written; a pod of which one of them is not counted has no series of it.
use weft_abi::GoCount;
use weft_metrics::exposition::{Distribution, Family, Kind, Page, Point};

use super::{Pods, count};
use crate::{
    config::FunctionMetric,
    go::{GoHandle, view::FunctionView},
};

pub(super) fn write(page: &mut Page<'_>, functions: &[FunctionView], counted: &GoHandle, pods: &Pods) {
    for function in functions.iter().filter(|function| !function.pods.is_empty()) {
        let mut family = page.family(&function.metric.metric());
        for (key, since) in &function.pods {
            let (Some(pod), Some(counted)) = (pods.get(&key.netns), counted.counted(*key)) else { continue };
            let point = Point { since: Some(*since), ..Point::of(pod, &[]) };
            add(&mut family, &function.metric, &point, &counted);
        }
    }
    if functions.is_empty() {
        return;
    }
    let help = "Binaries that processes of pods execute, by how it is about the function of a metric of metrics.custom in them";
    let mut family = page.family(&count("weft.custom.functions", help, Kind::Gauge));
    for FunctionView { metric, states, .. } in functions {
        for (state, count) in states {
            family.value(&Point::own(&[("metric", &metric.name), ("state", state)]), *count);
        }
    }
}

fn add(family: &mut Family<'_>, metric: &FunctionMetric, point: &Point<'_>, counted: &GoCount) {
    let calls = metric.calls(counted);
    if metric.metric().kind == Kind::Histogram {
        family.distribution(point, &Distribution::of(calls.count, calls.sum, &calls.buckets));
    } else {
        family.value(point, calls.count);
    }
}
