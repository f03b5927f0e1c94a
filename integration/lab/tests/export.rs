//! What the real OpenTelemetry Collector is told of real traffic, against what the load generator counted. Needs root and Go; the
//! Collector is built the first time, which takes some minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::load::LoadReport;
use weft_lab::otelcol::{Collector, DataPoint, SpanRead};
use weft_lab::shop::NAMESPACE;
use weft_lab::{Agent, Lab, Shop, prometheus, tools};

const PATIENCE: Duration = Duration::from_secs(40);
const SERVER: &str = "http.server.request.duration";

/// The shop, with an agent that exports to a Collector every second.
fn open(lab: &Lab, endpoint: String, more: Value) -> Result<Shop> {
    let mut otlp = json!({"endpoint": endpoint, "interval": "1s"});
    if let (Some(otlp), Value::Object(more)) = (otlp.as_object_mut(), more) {
        otlp.extend(more);
    }
    // Every span: it is not sampling that is looked at.
    let config = json!({"export": {"otlp": otlp}, "sampling": {"default": 1.0}});
    let agent = Agent::start(lab, &tools::rust_binaries()?.weft, config)?;
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
    steady(&points)?;
    exemplars_lead_to_spans(&points, &spans(&collector, sent)?)
}

/// A cumulative series begins once, before all of its points; also one that weft did not see begin, a Go runtime's.
fn steady(points: &[DataPoint]) -> Result<()> {
    let mut starts = BTreeMap::new();
    let cumulative = points.iter().filter(|point| point.temporality == Some(2));
    for point in cumulative {
        ensure!(0 < point.start && point.start < point.time, "{point:?}");
        let start = *starts.entry(point.series()).or_insert(point.start);
        ensure!(start == point.start, "{point:?} began at {start} before");
    }
    for metric in [SERVER, "go.memory.gc.cycles", "weft.exchanges"] {
        ensure!(starts.keys().any(|(name, ..)| name == metric), "{metric} is missing");
    }
    Ok(())
}

/// Each stands for an exchange of which there is a span.
fn exemplars_lead_to_spans(points: &[DataPoint], spans: &[SpanRead]) -> Result<()> {
    let known: BTreeSet<_> = spans.iter().map(|span| (span.trace.as_str(), span.id.as_str())).collect();
    let of = |point: &DataPoint| point.json["exemplars"].as_array().cloned().unwrap_or_default();
    let exemplars: Vec<_> = points.iter().filter(|point| point.metric == SERVER).flat_map(of).collect();
    ensure!(!exemplars.is_empty(), "there is no exemplar");
    for exemplar in &exemplars {
        let id = |key: &str| exemplar[key].as_str().unwrap_or_default();
        ensure!(known.contains(&(id("traceId"), id("spanId"))), "{exemplar} leads nowhere");
    }
    Ok(())
}

/// Spans of the shop, once there are six for each of so many requests.
fn spans(collector: &Collector, sent: u64) -> Result<Vec<SpanRead>> {
    wait(|| collector.spans(), |spans| spans.len() as u64 == 6 * sent)
}

#[test]
fn the_collector_has_whole_trees_and_draws_the_graph() -> Result<()> {
    let lab = lab()?;
    let collector = Collector::start(&lab)?;
    let shop = open(&lab, collector.grpc(), json!({}))?;
    let pids: Vec<_> = shop.services.iter().map(|service| service.process.pid()).collect();
    shop.agent.wait_processes(&pids)?;
    let sent = answered(&shop.run(&shop.load().rate(50).seconds(3).connections(4))?)?;
    let spans = spans(&collector, sent)?;
    assert_eq!(spans.len() as u64, 6 * sent, "{}", shop.agent.stderr());
    let mut traces: BTreeMap<&str, Vec<&SpanRead>> = BTreeMap::new();
    for span in &spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    for (trace, spans) in &traces {
        let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
        let roots = spans.iter().filter(|span| span.parent.is_empty()).count();
        let orphans = spans.iter().filter(|span| !span.parent.is_empty() && !ids.contains(&span.parent));
        assert_eq!((spans.len(), ids.len(), roots, orphans.count()), (6, 6, 1, 0), "{trace}: {spans:#?}");
    }
    assert_eq!(traces.len() as u64, sent);
    let kinds = |kind: u64, service: &str| {
        let of = |span: &&SpanRead| span.kind == kind && span.resource["service.name"] == service;
        spans.iter().filter(of).count() as u64
    };
    for (service, server, client) in
        [("client", 0, sent), ("gateway", sent, sent), ("orders", sent, sent), ("inventory", sent, 0)]
    {
        assert_eq!((kinds(2, service), kinds(3, service)), (server, client), "{service}");
    }
    // What its own connectors make of them.
    let edges = wait(|| Ok(edges(&collector.derived()?)), |edges| *edges == graph(sent))?;
    assert_eq!(edges, graph(sent));
    assert_eq!(wait(|| collector.counted(), |calls| *calls == 6 * sent)?, 6 * sent);
    assert_eq!(outcomes(&shop)?, Outcomes { sent: 6 * sent, ..Outcomes::default() });
    Ok(())
}

/// Who asks whom, and how often.
type Edges = BTreeMap<(String, String), u64>;

fn graph(sent: u64) -> Edges {
    let edges = [("client", "gateway"), ("gateway", "orders"), ("orders", "inventory")];
    edges.map(|(client, server)| ((client.to_owned(), server.to_owned()), sent)).into()
}

/// Of the connector `servicegraph`.
fn edges(derived: &[DataPoint]) -> Edges {
    let mut edges = Edges::new();
    for point in derived.iter().filter(|point| point.metric == "traces_service_graph_request_total") {
        let end = |key: &str| point.attributes.get(key).cloned().unwrap_or_default();
        edges.insert((end("client"), end("server")), point.count());
    }
    edges
}

/// The Collector is away under load. What it missed it gets when it is back: spans from the queue, and of metrics, as they are
/// told by what is added, everything since the last that it took.
#[test]
fn what_the_collector_missed_it_gets_when_it_is_back() -> Result<()> {
    let lab = lab()?;
    let mut collector = Collector::start(&lab)?;
    let shop = open(&lab, collector.http(), json!({"protocol": "http", "temporality": "delta"}))?;
    let mut sent = answered(&shop.run(&shop.load().rate(50).seconds(2).connections(4))?)?;
    collector.stop();
    sent += answered(&shop.run(&shop.load().rate(50).seconds(4).connections(4))?)?;
    collector.resume()?;
    sent += answered(&shop.run(&shop.load().rate(50).seconds(2).connections(4))?)?;
    let points = wait(|| collector.points(), |points| added(points) == everywhere(sent))?;
    assert_eq!(added(&points), everywhere(sent), "{}", shop.agent.stderr());
    assert!(points.iter().filter(|point| point.metric == SERVER).all(|point| point.temporality == Some(1)));
    contiguous(&points)?;
    let spans = spans(&collector, sent)?;
    assert_eq!(spans.len() as u64, 6 * sent, "{}", shop.agent.stderr());
    assert_eq!(spans.iter().map(|span| &span.id).collect::<BTreeSet<_>>().len() as u64, 6 * sent);
    assert_eq!(outcomes(&shop)?, Outcomes { sent: 6 * sent, ..Outcomes::default() });
    Ok(())
}

/// What all points of a pod add up to.
fn added(points: &[DataPoint]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for point in points.iter().filter(|point| point.metric == SERVER) {
        let pod = point.resource.get("k8s.pod.name").cloned().unwrap_or_default();
        *counts.entry(pod).or_default() += point.count();
    }
    counts
}

/// Each point of a series begins when the one before ended, at the earliest.
fn contiguous(points: &[DataPoint]) -> Result<()> {
    let mut ends = BTreeMap::new();
    for point in points.iter().filter(|point| point.metric == SERVER) {
        ensure!(point.start < point.time, "{point:?}");
        let before = ends.insert(point.series(), point.time).unwrap_or(0);
        ensure!(point.start >= before, "{point:?} overlaps the one before, which ended at {before}");
    }
    Ok(())
}

/// What the agent says became of spans.
#[derive(Debug, Default, PartialEq)]
struct Outcomes {
    sent: u64,
    rejected: u64,
    queue_full: u64,
    given_up: u64,
}

fn outcomes(shop: &Shop) -> Result<Outcomes> {
    let page = String::from_utf8(shop.agent.get("/metrics")?.body)?;
    let of = |outcome: &str| {
        let series = format!("weft_export_items_total{{signal=\"spans\",outcome=\"{outcome}\"}}");
        let value = prometheus::sample(&page, &series).context(series.clone())?;
        value.parse::<u64>().context(series)
    };
    Ok(Outcomes {
        sent: of("sent")?,
        rejected: of("rejected")?,
        queue_full: of("queue_full")?,
        given_up: of("given_up")?,
    })
}

/// With a queue that is too small for that: what found no room is counted, and the rest arrives.
#[test]
fn what_finds_no_room_is_counted() -> Result<()> {
    let lab = lab()?;
    let mut collector = Collector::start(&lab)?;
    let shop = open(&lab, collector.grpc(), json!({"queue": 100}))?;
    collector.stop();
    let sent = answered(&shop.run(&shop.load().rate(100).seconds(3).connections(4))?)?;
    let full = |outcomes: &Outcomes| outcomes.queue_full == 6 * sent - 100;
    let away = wait(|| outcomes(&shop), full)?;
    assert_eq!(away, Outcomes { queue_full: 6 * sent - 100, ..Outcomes::default() });
    collector.resume()?;
    let spans = wait(|| collector.spans(), |spans| spans.len() == 100)?;
    assert_eq!(spans.len(), 100);
    let back = wait(|| outcomes(&shop), |outcomes| outcomes.sent == 100)?;
    assert_eq!(back, Outcomes { sent: 100, ..away });
    Ok(())
}

/// Nothing was sent until then: metrics have an hour.
#[test]
fn an_agent_that_ends_says_what_it_has() -> Result<()> {
    let lab = lab()?;
    let collector = Collector::start(&lab)?;
    let mut shop = open(&lab, collector.grpc(), json!({"interval": "1h"}))?;
    let sent = answered(&shop.run(&shop.load().rate(100).seconds(2).connections(4))?)?;
    let counted = |pods: &Value| {
        let pods = pods["pods"].as_array().into_iter().flatten();
        pods.filter(|pod| pod["server"]["latency"]["count"] == sent).count()
    };
    wait(|| shop.agent.json("/api/v1/pods"), |pods| counted(pods) == 3)?;
    assert!(collector.points()?.is_empty());
    shop.agent.detach();
    let points = wait(|| collector.points(), |points| by_pod(points, SERVER) == everywhere(sent))?;
    assert_eq!(by_pod(&points, SERVER), everywhere(sent));
    assert_eq!(spans(&collector, sent)?.len() as u64, 6 * sent);
    Ok(())
}

/// The newest point of a pod's metric.
fn last_of<'a>(points: &'a [DataPoint], metric: &str, pod: &str) -> Result<&'a DataPoint> {
    let of_pod = |point: &&DataPoint| point.resource.get("k8s.pod.name").is_some_and(|name| name == pod);
    let points = points.iter().filter(|point| point.metric == metric).filter(of_pod);
    points.max_by_key(|point| point.time).with_context(|| format!("no {metric} of {pod}"))
}
