//! What Jaeger shows of real traffic. Needs root and Go, and some minutes of a processor to build Jaeger the first time:
//! `cargo xtask test --full`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::jaeger::Jaeger;
use weft_lab::{Agent, Lab, Shop, tools};

const PATIENCE: Duration = Duration::from_secs(40);
const REQUESTS: u64 = 100;
/// Of a request: each of its three hops at both ends.
const SPANS: usize = 6;

/// A span as Jaeger shows it: its service, kind and name, and its parent's id.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    service: String,
    kind: String,
    name: String,
    parent: Option<String>,
    status: Option<u64>,
}

/// The spans of a trace by their ids.
fn shown(trace: &Value) -> Result<BTreeMap<String, Shown>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all = BTreeMap::new();
    for span in trace["spans"].as_array().context("a trace without spans")? {
        let tags = span["tags"].as_array().map_or(&[][..], Vec::as_slice);
        let tag =
            |key: &str| tags.iter().find(|tag| tag["key"] == key).map_or(&Value::Null, |tag| &tag["value"]);
        let process = &trace["processes"][span["processID"].as_str().unwrap_or_default()];
        let references = span["references"].as_array().map_or(&[][..], Vec::as_slice);
        let parent = references.iter().find(|reference| reference["refType"] == "CHILD_OF");
        let one = Shown {
            service: text(&process["serviceName"]).context("no service")?,
            kind: text(tag("span.kind")).context("no kind")?,
            name: text(&span["operationName"]).context("no name")?,
            parent: parent.and_then(|parent| text(&parent["spanID"])),
            status: tag("http.response.status_code").as_u64(),
        };
        all.insert(text(&span["spanID"]).context("no id")?, one);
    }
    Ok(all)
}

/// Those with the gateway in it: more than there may be.
fn traces(jaeger: &Jaeger) -> Result<Vec<Value>> {
    jaeger.traces("gateway", 2 * REQUESTS as u32)
}

fn is_whole(trace: &Value) -> bool {
    trace["spans"].as_array().is_some_and(|all| all.len() == SPANS)
}

/// From the client's request down, each one's parent is the one before.
fn is_a_chain(trace: &Value) -> Result<()> {
    let spans = shown(trace)?;
    let roots: Vec<_> = spans.iter().filter(|(_, span)| span.parent.is_none()).map(|(id, _)| id).collect();
    ensure!(roots.len() == 1, "{spans:?}");
    let (mut at, mut chain) = (roots.first().copied(), Vec::new());
    while let Some(id) = at {
        chain.push((spans[id].service.as_str(), spans[id].kind.as_str()));
        ensure!(spans[id].status == Some(200), "{spans:?}");
        at = spans.iter().find(|(_, span)| span.parent.as_ref() == Some(id)).map(|(id, _)| id);
    }
    let expected = [
        ("client", "client"),
        ("gateway", "server"),
        ("gateway", "client"),
        ("orders", "server"),
        ("orders", "client"),
        ("inventory", "server"),
    ];
    ensure!(chain == expected, "{spans:?}");
    Ok(())
}

#[test]
#[ignore = "Jaeger takes minutes to build: cargo xtask test --full"]
fn jaeger_shows_every_request_as_a_trace() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let lab = Lab::new(Shop::lab_options(&binaries))?;
    let jaeger = Jaeger::start(&lab)?;
    let config = json!({
        "export": {"otlp": {"endpoint": jaeger.grpc(), "signals": ["spans"]}},
        "sampling": {"default": 1.0},
        "go": {"probes": "auto", "budget": "100%"},
    });
    let agent = Agent::start(&lab, &binaries.weft, config)?;
    let shop = Shop::with_agent(&lab, agent)?;
    let pids: Vec<_> = shop.services.iter().map(|service| service.process.pid()).collect();
    shop.agent.wait_processes(&pids)?;
    let report = shop.run(&shop.load().rate(50).seconds(2).connections(4))?;
    ensure!(report.ok == REQUESTS && report.sent == REQUESTS, "the load itself failed: {report:?}");
    shop.agent.wait(PATIENCE, "whole traces in Jaeger", || {
        Ok(traces(&jaeger)?.iter().filter(|trace| is_whole(trace)).count() as u64 == REQUESTS)
    })?;
    let traces = traces(&jaeger)?;
    ensure!(traces.len() as u64 == REQUESTS, "{} traces: {}", traces.len(), shop.agent.stderr());
    traces.iter().try_for_each(is_a_chain)?;
    let services: BTreeSet<_> = jaeger.services()?.into_iter().collect();
    ensure!(
        services == ["client", "gateway", "inventory", "orders"].map(str::to_owned).into(),
        "{services:?}"
    );
    // The ids are the same that weft's own pages show.
    let own = shop.agent.json("/api/v1/traces?limit=1")?;
    let id = own["traces"][0]["trace_id"].as_str().context("no trace of weft's own")?.to_owned();
    let one = jaeger.trace(&id)?.with_context(|| format!("Jaeger has no trace {id}"))?;
    is_a_chain(&one)
}
