//! The main job on real input: every request between real pods counted, on both sides, to the last one. The load
//! generator's own count is the truth. Needs root and Go.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weft_lab::account::Account;
use weft_lab::load::{self, Load, LoadReport};
use weft_lab::observed::Sides;
use weft_lab::shop::NAMESPACE;
use weft_lab::{Capture, Observed, Shop, http, tools, wire_times};

const SETTLE: Duration = Duration::from_secs(15);

fn open_shop() -> Result<Shop> {
    Shop::open(&tools::rust_binaries()?, json!({}))
}

/// Every pod's both sides, when `sent` requests went through the shop.
fn expected(sent: u64) -> BTreeMap<String, Sides> {
    let pods = [("client", 0, sent), ("gateway", sent, sent), ("orders", sent, sent), ("inventory", sent, 0)];
    pods.map(|(pod, server, client)| (format!("{NAMESPACE}/{pod}"), Sides { server, client })).into()
}

/// What weft saw once it adds up to `sent`, or what it saw last.
fn settled(shop: &Shop, sent: u64) -> Result<Observed> {
    Observed::wait(&shop.agent, SETTLE, |seen| seen.exchanges == expected(sent) && seen.adds_up())
}

fn answered(report: &LoadReport) -> Result<u64> {
    ensure!(report.ok == report.sent && report.errors.is_empty(), "the load itself failed: {report:?}");
    Ok(report.sent)
}

#[test]
fn every_request_is_counted_on_both_sides() -> Result<()> {
    let shop = open_shop()?;
    let sent = answered(&shop.run(&shop.load().rate(500).seconds(4).connections(16))?)?;
    let seen = settled(&shop, sent)?;
    assert_eq!(seen.exchanges, expected(sent), "{:?}", seen.anomalies);
    assert!(seen.adds_up(), "{:?}", seen.unsettled);
    assert_eq!((seen.loss.bytes_lost, seen.loss.bytes_opaque, seen.loss.events_lost), (0, 0, 0));
    Ok(())
}

/// How many exchanges one lost record can hide at a pod's side: that of the message whose bytes it had, and the next one on
/// the connection, whose beginning is not certain then.
const HIDDEN_BY_ONE: u64 = 2;

/// The exchanges that the pods' sides lack, all together. None has one too many.
fn missing(seen: &Observed, sent: u64) -> Result<u64> {
    let mut missing = 0;
    for (pod, Sides { server, client }) in expected(sent) {
        let counted = seen.pod(&pod);
        ensure!(counted.server <= server && counted.client <= client, "{pod} has {counted:?} of {sent}");
        missing += server - counted.server + client - counted.client;
    }
    Ok(missing)
}

/// Records of segments that found no room in the ring.
fn lost_records(seen: &Observed) -> u64 {
    ["ring_full_segment", "ring_full_run"].iter().filter_map(|reason| seen.events_lost.get(*reason)).sum()
}

#[test]
fn at_full_speed_every_missing_exchange_is_explained() -> Result<()> {
    let shop = open_shop()?;
    let sent = answered(&shop.run(&shop.load().seconds(5))?)?;
    let seen = settled(&shop, sent)?;
    assert!(seen.adds_up(), "{:?}", seen.unsettled);
    let (missing, lost) = (missing(&seen, sent)?, lost_records(&seen));
    eprintln!("{sent} sent, {missing} of {} missing, {lost} records of segments lost", 6 * sent);
    assert!(missing <= HIDDEN_BY_ONE * lost, "{missing} missing, {lost} records lost: {seen:?}");
    assert_eq!(lost > 0, seen.loss.bytes_lost > 0, "{seen:?}");
    Ok(())
}

/// One lost byte in so many, and one message more, may be missed by sequence numbers: what is sent again while nothing is
/// recorded is counted by the kernel each time, and who is not answered within some milliseconds, on a busy machine, sends a
/// tail loss probe (RFC 8985, 7); and a connection that ends then has no later byte that shows what is missing. Mostly it is none.
const UNNOTICED: u64 = 10;
const MESSAGE: u64 = 500;

/// The agent stands still under a load that fills its ring over and over. The kernel counts the bytes that it could not
/// record; the pipeline knows nothing of that count, and finds the same bytes missing in its connections.
#[test]
#[ignore = "in some runs a tenth goes unnoticed: a gap that no recorded segment acknowledges is not counted as lost"]
fn what_the_kernel_could_not_record_is_missed_by_sequence_numbers() -> Result<()> {
    let mut shop = Shop::open(&tools::rust_binaries()?, json!({"capture": {"ring_bytes": 256 << 10}}))?;
    // More connections than the load will need: what a new one carries before its first record is unknown, not missing.
    let before = answered(&shop.run(&shop.load().seconds(1).connections(64))?)?;
    let load = shop.start(&shop.load().rate(300).seconds(9).connections(8))?;
    std::thread::sleep(Duration::from_secs(3));
    shop.agent.process()?.signal(Signal::SIGSTOP)?;
    std::thread::sleep(Duration::from_secs(2));
    shop.agent.process()?.signal(Signal::SIGCONT)?;
    let sent = before + answered(&load.finish()?)?;
    // A connection in a client's pool that nobody used after the pause says what it missed when it ends.
    shop.services.clear();
    let seen = Observed::wait(&shop.agent, SETTLE, |seen| seen.adds_up() && noticed(seen).is_ok())?;
    assert!(seen.adds_up(), "{:?}", seen.unsettled);
    noticed(&seen)?;
    for Account { of, gap, unrecorded, .. } in &seen.accounts {
        eprintln!("{of}: {unrecorded} bytes not recorded, {gap} found missing");
    }
    let directions = seen.accounts.iter().filter(|account| account.gap > 10 * MESSAGE).count();
    assert_eq!(directions, 8, "both directions of four pods: {:?}", seen.events_lost);
    let (missing, lost) = (missing(&seen, sent)?, lost_records(&seen));
    eprintln!("{sent} sent, {missing} exchanges missing, {lost} records of segments lost");
    assert!(missing <= HIDDEN_BY_ONE * lost, "{missing} missing, {lost} records lost: {seen:?}");
    Ok(())
}

/// In every direction of every pod's device.
fn noticed(seen: &Observed) -> Result<()> {
    for Account { of, gap, unrecorded, .. } in &seen.accounts {
        ensure!(gap <= unrecorded, "{of}: {gap} bytes are missing, the kernel recorded all but {unrecorded}");
        let unnoticed = unrecorded - gap;
        ensure!(
            unnoticed <= unrecorded / UNNOTICED + MESSAGE,
            "{of}: of {unrecorded} bytes only {gap} were found missing"
        );
    }
    Ok(())
}

#[test]
fn both_sides_compute_the_same_id_and_the_server_is_the_clients_child() -> Result<()> {
    let shop = open_shop()?;
    let sent = answered(&shop.run(&shop.load().rate(100).seconds(2).connections(4))?)?;
    settled(&shop, sent)?;
    let lines = shop.agent.json_lines("/api/v1/exchanges?limit=10000")?;
    let mut sides: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in &lines {
        sides.entry(line["exchange_id"].as_str().context("no id")?).or_default().push(line);
    }
    assert_eq!(sides.len() as u64, 3 * sent, "three hops, each with an id of its own");
    for (id, sides) in sides {
        let [one, other] = sides[..] else { panic!("{id} was seen {} times", sides.len()) };
        let (client, server) = if one["side"] == "client" { (one, other) } else { (other, one) };
        assert_eq!((&client["side"], &server["side"]), (&json!("client"), &json!("server")));
        assert_eq!(server["parent_span_id"], client["span_id"]);
        assert_eq!(server["trace_id"], client["trace_id"]);
        assert_eq!((&server["path"], &server["status"]), (&client["path"], &client["status"]));
        assert_eq!((&server["local"], &server["peer"]), (&client["peer"], &client["local"]));
        assert_eq!((&server["peer_pod"], &client["peer_pod"]), (&client["pod"], &server["pod"]));
    }
    Ok(())
}

#[test]
fn the_threads_that_read_and_wrote_are_the_services_own() -> Result<()> {
    let shop = open_shop()?;
    let sent = answered(&shop.run(&shop.load().rate(100).seconds(2).connections(4))?)?;
    settled(&shop, sent)?;
    let inventory = u64::from(shop.services[0].process.pid());
    let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={NAMESPACE}/inventory"))?;
    assert_eq!(lines.len() as u64, sent);
    for line in &lines {
        let at = |message: &str, byte: &str| line[message][byte].as_u64().unwrap_or(0);
        assert_eq!(line["app"]["pid"].as_u64(), Some(inventory), "{line}");
        let read = line["app"]["read"].as_u64().context("nobody read the request")?;
        let written = line["app"]["write_returned"].as_u64().context("nobody wrote the response")?;
        assert!(at("request", "last_byte") <= read && read <= at("response", "first_byte"), "{line}");
        assert!(written > read, "{line}");
    }
    Ok(())
}

#[test]
fn every_message_has_the_time_at_which_tcpdump_saw_it() -> Result<()> {
    let shop = open_shop()?;
    let capture = Capture::start(shop.gateway.lab(), None, shop.gateway.host_veth())?;
    let sent = answered(&shop.run(&shop.load().rate(250).seconds(2).connections(4))?)?;
    let captured = capture.finish()?;
    settled(&shop, sent)?;
    assert_eq!(captured.dropped, 0);
    let exchanges =
        shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={NAMESPACE}/gateway"))?;
    let times = wire_times::compare(&exchanges, &captured.segments)?;
    // How close they are is for the demo to show: here every message must be found at its sequence numbers.
    assert_eq!(times.compared as u64, 4 * sent);
    Ok(())
}

/// Bodies, and messages without one: what is asked for, and the response's body as weft should count it.
#[test]
fn bodies_of_every_kind_are_counted_to_the_byte() -> Result<()> {
    let shop = open_shop()?;
    let inventory = format!("{NAMESPACE}/inventory");
    let cases: [(&str, &str, u64, u16, u64); 6] = [
        ("GET", "/bytes/0", 0, 200, 0),
        ("GET", "/bytes/3000000", 0, 200, 3_000_000),
        ("HEAD", "/bytes/1000", 0, 200, 0),
        ("GET", "/status/204", 0, 204, 0),
        ("POST", "/echo", 1_000_000, 200, 1_000_000),
        ("GET", "/stream?chunks=50&bytes=999", 0, 200, 49_950),
    ];
    for (case, (method, path, sends, status, receives)) in cases.into_iter().enumerate() {
        let load = Load { method: method.into(), body: sends, ..Load::get(shop.inventory.url(path)) };
        load::run(&shop.client, &load.rate(1).seconds(1).connections(1))?;
        let done = case as u64 + 1;
        Observed::wait(&shop.agent, SETTLE, |seen| seen.pod(&inventory).server == done)?;
        let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=1&pod={inventory}"))?;
        let exchange = lines.first().with_context(|| format!("{method} {path} was not seen"))?;
        assert_eq!(exchange["method"], method, "{exchange}");
        assert_eq!(exchange["status"], status, "{exchange}");
        assert_eq!(exchange["request"]["body_bytes"], sends, "{exchange}");
        assert_eq!(exchange["response"]["body_bytes"], receives, "{exchange}");
        assert_eq!(exchange["complete"], true, "{exchange}");
    }
    let seen = Observed::wait(&shop.agent, SETTLE, |seen| seen.adds_up())?;
    assert!(seen.adds_up() && seen.loss.bytes_lost == 0, "{:?}", seen.loss);
    Ok(())
}

/// A body in chunks has its framing anywhere in segments of up to 64 KiB, and what follows on the connection must be found.
#[test]
fn large_chunked_bodies_do_not_blind_their_connection() -> Result<()> {
    // With room for all of it, however busy the machine is.
    let shop = Shop::open(&tools::rust_binaries()?, json!({"capture": {"ring_bytes": 128 << 20}}))?;
    let inventory = format!("{NAMESPACE}/inventory");
    let load =
        Load::get(shop.inventory.url("/stream?chunks=400&bytes=9000")).rate(10).seconds(2).connections(1);
    let sent = answered(&load::run(&shop.client, &load)?)?;
    let seen =
        Observed::wait(&shop.agent, SETTLE, |seen| seen.pod(&inventory).server == sent && seen.adds_up())?;
    let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=10000&pod={inventory}"))?;
    let whole =
        lines.iter().filter(|line| line["complete"] == true && line["response"]["body_bytes"] == 3_600_000);
    assert_eq!(whole.count() as u64, sent, "{:?} {:?}", seen.anomalies, seen.loss);
    assert!(seen.adds_up() && seen.loss.bytes_opaque == 0, "{:?}", seen.loss);
    Ok(())
}

#[test]
fn ipv6_is_the_same() -> Result<()> {
    let shop = open_shop()?;
    let url = format!("http://[{}]:8080/stock/{{id}}", shop.inventory.ipv6());
    let sent = answered(&load::run(&shop.client, &Load::get(url).rate(100).seconds(2).connections(4))?)?;
    let inventory = format!("{NAMESPACE}/inventory");
    let seen =
        Observed::wait(&shop.agent, SETTLE, |seen| seen.pod(&inventory).server == sent && seen.adds_up())?;
    assert_eq!(seen.pod(&inventory).server, sent);
    assert!(seen.adds_up() && seen.loss.bytes_lost == 0, "{:?}", seen.loss);
    let lines = shop.agent.json_lines(&format!("/api/v1/exchanges?limit=1&pod={inventory}"))?;
    assert_eq!(lines[0]["local"], format!("[{}]:8080", shop.inventory.ipv6()));
    Ok(())
}

#[test]
fn ports_that_nobody_wants_are_not_seen() -> Result<()> {
    let shop = Shop::open(&tools::rust_binaries()?, json!({"capture": {"exclude_ports": [8080]}}))?;
    answered(&shop.run(&shop.load().rate(100).seconds(1).connections(4))?)?;
    std::thread::sleep(Duration::from_secs(1));
    let seen = Observed::now(&shop.agent)?;
    assert!(seen.exchanges.values().all(|sides| *sides == Sides::default()), "{:?}", seen.exchanges);
    assert_eq!(seen.loss.bytes_seen, 0);
    Ok(())
}

#[test]
fn the_listener_answers_what_the_contract_says() -> Result<()> {
    let shop = open_shop()?;
    let sent = answered(&shop.run(&shop.load().rate(100).seconds(1).connections(2))?)?;
    settled(&shop, sent)?;
    let get = |target: &str| http::get(shop.agent.address()?, target, &[], Duration::from_secs(10));
    for page in ["/", "/healthz", "/readyz", "/metrics", "/api/v1/pods", "/api/v1/loss", "/api/v1/exchanges"]
    {
        assert_eq!(get(page)?.status, 200, "{page}");
    }
    assert_eq!(get("/api/v1/nothing")?.status, 404);
    assert_eq!(get("/api/v1/exchanges?limt=3")?.status, 400, "a misspelt key is no silent default");
    let metrics = get("/metrics")?.text();
    let line = format!(
        "http_server_request_duration_seconds_count{{k8s_namespace_name=\"{NAMESPACE}\",k8s_pod_name=\"gateway\",\
         http_request_method=\"GET\",http_route=\"/checkout/{{id}}\",http_response_status_code=\"200\",\
         network_protocol_version=\"1.1\",source_pod=\"{NAMESPACE}/client\"}} {sent}"
    );
    assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    let seen = Observed::now(&shop.agent)?.loss.bytes_seen;
    for line in [
        format!("weft_capture_bytes_total{{outcome=\"seen\"}} {seen}"),
        "weft_capture_bytes_total{outcome=\"lost\"} 0".to_owned(),
        "weft_table_entries{table=\"flow_slots\"} 0".to_owned(),
        "weft_capture_unsettled_bytes{state=\"pending\"} 0".to_owned(),
        "weft_capture_unsettled_bytes{state=\"unexplained\"} 0".to_owned(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    let openmetrics = http::get(
        shop.agent.address()?,
        "/metrics",
        &["Accept: application/openmetrics-text"],
        Duration::from_secs(10),
    )?;
    assert!(openmetrics.content_type.starts_with("application/openmetrics-text"));
    assert!(openmetrics.text().ends_with("# EOF\n"));
    let exchanges = shop.agent.json_lines("/api/v1/exchanges?limit=7")?;
    assert_eq!(exchanges.len(), 7);
    Ok(())
}
