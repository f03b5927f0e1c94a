//! What the real OpenTelemetry Collector is told of real traffic, against what the load generator counted. Needs root and Go; the
//! Collector is built the first time, which takes some minutes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::load::LoadReport;
use weft_lab::otelcol::{Collector, DataPoint};
use weft_lab::shop::NAMESPACE;
use weft_lab::{Agent, Lab, Shop, tools};

const PATIENCE: Duration = Duration::from_secs(40);
const SERVER: &str = "http.server.request.duration";

/// The shop, with an agent that exports to a Collector every second.
fn open(lab: &Lab, endpoint: String, more: Value) -> Result<Shop> {
    let mut otlp = json!({"endpoint": endpoint, "interval": "1s"});
    if let (Some(otlp), Value::Object(more)) = (otlp.as_object_mut(), more) {
        otlp.extend(more);
    }
    let agent = Agent::start(lab, &tools::rust_binaries()?.weft, json!({"export": {"otlp": otlp}}))?;
    Shop::with_agent(lab, agent)
}

fn lab() -> Result<Lab> {
    Lab::new(Shop::lab_options(&tools::rust_binaries()?))
}

fn answered(report: &LoadReport) -> Result<u64> {
    ensure!(report.ok == report.sent && report.errors.is_empty(), "the load itself failed: {report:?}");
    Ok(report.sent)
}

/// Looks until it is there, or for too long: then what was seen last decides.
fn wait<T>(look: impl Fn() -> Result<T>, done: impl Fn(&T) -> bool) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let seen = look()?;
        if done(&seen) || Instant::now() > end {
            return Ok(seen);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The last point of each series of a metric, by the name of its pod; several series of a pod are added up.
fn by_pod(points: &[DataPoint], metric: &str) -> BTreeMap<String, u64> {
    let mut last = BTreeMap::new();
    for point in points.iter().filter(|point| point.metric == metric) {
        last.insert(point.series(), point);
    }
    let mut counts = BTreeMap::new();
    for point in last.values() {
        let pod = point.resource.get("k8s.pod.name").cloned().unwrap_or_default();
        *counts.entry(pod).or_default() += point.count();
    }
    counts
}

fn everywhere(sent: u64) -> BTreeMap<String, u64> {
    ["gateway", "orders", "inventory"].map(|pod| (pod.to_owned(), sent)).into()
}

#[test]
fn the_collector_counts_what_the_clients_count() -> Result<()> {
    let lab = lab()?;
    let collector = Collector::start(&lab)?;
    let shop = open(&lab, collector.grpc(), json!({}))?;
    let sent = answered(&shop.run(&shop.load().rate(200).seconds(3).connections(8))?)?;
    let points = wait(|| collector.points(), |points| by_pod(points, SERVER) == everywhere(sent))?;
    assert_eq!(by_pod(&points, SERVER), everywhere(sent), "{}", shop.agent.stderr());
    let gateway = last_of(&points, SERVER, "gateway")?;
    assert_eq!((gateway.kind.as_str(), gateway.unit.as_str()), ("exponentialHistogram", "s"));
    assert_eq!((gateway.json["scale"].as_i64(), gateway.temporality), (Some(4), Some(2)));
    for (key, value) in [
        ("service.name", "gateway"),
        ("service.namespace", NAMESPACE),
        ("k8s.namespace.name", NAMESPACE),
        ("k8s.pod.uid", shop.gateway.uid()),
    ] {
        assert_eq!(gateway.resource.get(key).map(String::as_str), Some(value), "{key}");
    }
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/checkout/{id}"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(gateway.attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(gateway.start < gateway.time && gateway.start > 0, "{gateway:?}");
    Ok(())
}

/// The newest point of a pod's metric.
fn last_of<'a>(points: &'a [DataPoint], metric: &str, pod: &str) -> Result<&'a DataPoint> {
    let of_pod = |point: &&DataPoint| point.resource.get("k8s.pod.name").is_some_and(|name| name == pod);
    let points = points.iter().filter(|point| point.metric == metric).filter(of_pod);
    points.max_by_key(|point| point.time).with_context(|| format!("no {metric} of {pod}"))
}
