//! The traces that the API shows, as trees, against the services' own logs; and what strangers put into them. Needs root and Go.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use weft_lab::shop::NAMESPACE;
use weft_lab::topology::{Mesh, Seen, USUAL};
use weft_lab::{Observed, Shop, tools};

const SETTLE: Duration = Duration::from_secs(15);
/// Workloads whose requests are of HTTP/1.1: what they are called is their path.
const WORKLOADS: [&str; 4] = ["sequential", "fanout", "worker-pool", "reverse-proxy"];
const REQUESTS: u32 = 64;
/// The most characters of a value, with the sign that it was cut.
const LONGEST: usize = 1025;

/// A shop of which every link can be told.
fn shop(mut config: Value) -> Result<Shop> {
    config["go"] = json!({"probes": "auto", "budget": "100%"});
    let shop = Shop::open(&tools::rust_binaries()?, config)?;
    let pids: Vec<_> = shop.services.iter().map(|service| service.process.pid()).collect();
    shop.agent.wait_processes(&pids)?;
    Ok(shop)
}

/// The traces that match, each an object.
fn traces(agent: &weft_lab::Agent, query: &str) -> Result<Vec<Value>> {
    let mut answer = agent.json(&format!("/api/v1/traces?limit=1000&{query}"))?;
    let Value::Array(traces) = answer["traces"].take() else { anyhow::bail!("no list of traces: {answer}") };
    Ok(traces)
}

fn spans(trace: &Value) -> &[Value] {
    trace["spans"].as_array().map_or(&[], Vec::as_slice)
}

/// Each span stands behind its parent, one deeper, and is in its trace's time.
fn is_a_tree(trace: &Value) -> Result<()> {
    let mut above: Vec<&Value> = Vec::new();
    for span in spans(trace) {
        let depth = usize::try_from(span["depth"].as_u64().context("no depth")?)?;
        ensure!(depth <= above.len(), "{span} has nothing above it");
        above.truncate(depth);
        if let Some(parent) = above.last() {
            ensure!(parent["span_id"] == span["parent_span_id"], "{span} stands below {parent}");
        }
        above.push(span);
        let end = |value: &Value| Some(value["start"].as_u64()? + value["duration_ns"].as_u64()?);
        ensure!(trace["start"].as_u64() <= span["start"].as_u64() && end(span) <= end(trace), "{span}");
    }
    Ok(())
}

/// A span as the exchange that it is of.
fn seen(trace: &Value, span: &Value) -> Result<Seen> {
    let attribute = |key: &str| span["attributes"][key].clone();
    let evidence = span["attributes"].get("weft.evidence").cloned().unwrap_or(json!("none"));
    Ok(serde_json::from_value(json!({
        "exchange_id": "", "side": span["kind"], "path": attribute("url.path"), "pod": span["pod"],
        "trace_id": trace["trace_id"], "span_id": span["span_id"],
        "parent_span_id": span["parent_span_id"], "evidence": evidence,
    }))?)
}

#[test]
fn trees_are_what_the_services_caused() -> Result<()> {
    let binaries = tools::rust_binaries()?;
    let mut mesh = Mesh::open(&binaries, USUAL, json!({"go": {"probes": "auto", "budget": "100%"}}))?;
    let workloads = WORKLOADS.map(|name| mesh.workload(name)).into_iter().collect::<Result<Vec<_>>>()?;
    mesh.warm_up(&workloads, 8)?;
    for workload in &workloads {
        let verdict = mesh.run(workload, 8, REQUESTS)?;
        ensure!(verdict.right == u64::from(REQUESTS), "{}: {verdict:?}", workload.name);
        let traces = traces(&mesh.agent, "")?;
        traces.iter().try_for_each(is_a_tree)?;
        let mut all = Vec::new();
        for trace in &traces {
            let ours = spans(trace).iter().map(|span| seen(trace, span)).collect::<Result<Vec<_>>>()?;
            let of_run = ours.into_iter().filter(|seen| mesh.is_of_last_run(seen)).collect::<Vec<_>>();
            // A tree of a driver's request has nothing else in it.
            ensure!(of_run.is_empty() || of_run.len() == spans(trace).len(), "{trace}");
            all.extend(of_run);
        }
        let calls = mesh.calls_of_last_run();
        ensure!(all.len() == 2 * calls, "{} spans of {calls} requests, each seen at two pods", all.len());
        let judged = mesh.judge_last_run(all.iter());
        ensure!(judged == verdict, "{}: trees {judged:?}, exchanges {verdict:?}", workload.name);
    }
    Ok(())
}

/// One request at a time, and no probe: what the pool's workers send has no parent, and is likely to be of the request that
/// waits for it.
#[test]
fn what_nothing_proves_is_a_link_to_what_is_likely() -> Result<()> {
    let mut mesh = Mesh::open(&tools::rust_binaries()?, USUAL, json!({"go": {"probes": "off"}}))?;
    let workload = mesh.workload("worker-pool")?;
    mesh.run(&workload, 1, REQUESTS)?;
    let traces = traces(&mesh.agent, "")?;
    let all = || traces.iter().flat_map(|trace| spans(trace).iter().map(move |span| (trace, span)));
    let mut paths = BTreeMap::new();
    for (trace, span) in all() {
        let seen = seen(trace, span)?;
        paths.insert((trace["trace_id"].to_string(), span["span_id"].to_string()), seen.id().to_owned());
    }
    let (mut roots, mut bare) = (0, Vec::new());
    for (trace, span) in all().filter(|(_, span)| span["kind"] == "client" && span["depth"] == 0) {
        let id = seen(trace, span)?;
        let Some(cause) = mesh.cause(id.id()) else { continue };
        roots += 1;
        let Some(link) = span["links"].get(0) else {
            bare.push((cause, span));
            continue;
        };
        let likely = paths.get(&(link["trace_id"].to_string(), link["span_id"].to_string()));
        ensure!(likely.is_some_and(|likely| likely == cause), "{span} is of {cause} and not {likely:?}");
    }
    eprintln!("{roots} requests without a parent, {} with a likely one", roots - bare.len());
    ensure!(roots > 0 && bare.is_empty(), "{} of {roots} have none: {bare:?}\n{traces:?}", bare.len());
    Ok(())
}

#[test]
fn traces_are_found_by_pod_by_error_and_by_time() -> Result<()> {
    let shop = shop(json!({"sampling": {"default": 0, "slower_than": {}}}))?;
    let sent = shop.run(&shop.load().rate(50).seconds(1).connections(2))?.sent;
    let failing = weft_lab::load::Load::get(shop.inventory.url("/status/503"));
    let failed = weft_lab::load::run(&shop.client, &failing.rate(5).seconds(1).connections(1))?.sent;
    let inventory = format!("{NAMESPACE}/inventory");
    Observed::wait(&shop.agent, SETTLE, |seen| {
        seen.pod(&inventory).server == sent + failed && seen.adds_up()
    })?;
    let count = |query: &str| Ok::<_, anyhow::Error>(traces(&shop.agent, query)?.len() as u64);
    assert_eq!(count("")?, sent + failed);
    assert_eq!(count("errors=true")?, failed);
    assert_eq!(count(&format!("pod={NAMESPACE}/gateway"))?, sent);
    assert_eq!(count(&format!("pod={inventory}"))?, sent + failed);
    assert_eq!(count("pod=shop/nobody")?, 0);
    assert_eq!(count("slower_than=1h")?, 0);
    assert_eq!(count("since=18446744073709551615")?, 0);
    for trace in traces(&shop.agent, &format!("pod={NAMESPACE}/gateway"))? {
        is_a_tree(&trace)?;
        let pods: Vec<_> = spans(&trace).iter().map(|span| span["pod"].as_str().unwrap_or("")).collect();
        let hops = ["client", "gateway", "gateway", "orders", "orders", "inventory"];
        assert_eq!(pods, hops.map(|pod| format!("{NAMESPACE}/{pod}")), "{trace}");
        assert_eq!((&trace["sampled"], &trace["errors"]), (&json!(0), &json!(0)), "a share of 0");
        let id = trace["trace_id"].as_str().context("no id")?;
        assert_eq!(shop.agent.json(&format!("/api/v1/traces/{id}"))?, trace);
    }
    for trace in traces(&shop.agent, "errors=true")? {
        assert_eq!(trace["sampled"], json!(2), "what failed leaves the node, at both its ends: {trace}");
        let status = |span: &Value| (span["status"].clone(), span["attributes"]["error.type"].clone());
        assert!(spans(&trace).iter().all(|span| status(span) == (json!("error"), json!("503"))), "{trace}");
    }
    for (target, status) in [
        ("/api/v1/traces?slower_than=5", 400),
        ("/api/v1/traces?slow=5ms", 400),
        ("/api/v1/traces/1", 400),
        ("/api/v1/traces/zz316b77d843e8a6bfc531db9d35b103", 400),
        ("/api/v1/traces/84316b77d843e8a6bfc531db9d35b103", 404),
    ] {
        assert_eq!(shop.agent.get(target)?.status, status, "{target}");
    }
    Ok(())
}

/// Heads that nobody writes who means well, and what their spans say of the path. A start line of more than 64 KiB is none
/// that weft reads.
fn hostile() -> [(&'static str, Vec<u8>, &'static str); 4] {
    let long = ["/".to_owned(), "long".repeat(15 << 10)].concat();
    [
        ("control characters", b"GET /\x1b[2J\x07\" HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "/%1B[2J%07\""),
        ("invalid UTF-8", b"GET /\xff\xc3\x28 HTTP/1.1\r\nHost: \xff\x1b[2J\r\n\r\n".to_vec(), "/%FF%C3("),
        ("a path of 60 KiB", format!("GET {long} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes(), "/longlong"),
        ("a method of its own", b"BREW /\"}{ HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "/\"}{"),
    ]
}

fn send(target: SocketAddr, head: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(target)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(head)?;
    ensure!(stream.read(&mut [0; 4096])? > 0, "no answer");
    Ok(())
}

#[test]
fn what_strangers_send_is_escaped_and_cut() -> Result<()> {
    let shop = shop(json!({}))?;
    let target = shop.inventory.endpoint();
    for (case, head, _) in hostile() {
        shop.client.netns().run(|| send(target, &head))?.with_context(|| case.to_owned())?;
    }
    let inventory = format!("{NAMESPACE}/inventory");
    let seen = Observed::wait(&shop.agent, SETTLE, |seen| seen.pod(&inventory).server == 4)?;
    assert_eq!(seen.pod(&inventory).server, 4, "{:?}", seen.anomalies);
    let raw = shop.agent.get("/api/v1/traces")?.text();
    assert!(raw.bytes().all(|byte| byte >= b' '), "no control character is in the document as it is");
    let traces = traces(&shop.agent, "")?;
    let all: Vec<&Value> = traces.iter().flat_map(spans).collect();
    let paths: BTreeMap<&str, &Value> = all
        .iter()
        .filter(|span| span["kind"] == "server")
        .filter_map(|span| Some((span["attributes"]["url.path"].as_str()?, *span)))
        .collect();
    for (case, _, path) in hostile() {
        let span = paths.iter().find(|(found, _)| found.starts_with(path)).map(|(_, span)| span);
        let span = span.with_context(|| format!("{case}: {:?}", paths.keys()))?;
        let texts =
            span["attributes"].as_object().into_iter().flatten().filter_map(|(_, value)| value.as_str());
        for text in texts.chain(span["name"].as_str()) {
            ensure!(text.chars().count() <= LONGEST && !text.chars().any(char::is_control), "{case}: {text}");
        }
    }
    let brewed = all.iter().find(|span| span["attributes"]["http.request.method"] == "_OTHER");
    let brewed = brewed.context("a method that nobody knows")?;
    assert_eq!(brewed["attributes"]["http.request.method_original"], "BREW");
    assert!(brewed["name"].as_str().is_some_and(|name| name.starts_with("HTTP")), "{brewed}");
    Ok(())
}
