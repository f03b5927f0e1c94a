//! The pipeline from records to exchanges, histograms and the account, through its public face.
#![expect(clippy::unwrap_used, reason = "a failing helper fails its test")]

use std::sync::Arc;

use serde_json::Value;
use weft_abi::{FlowKey, FlowWant};
use weft_core::{
    AttributedExchange, ClockOffset, Config, Correlator, Input, Ktime, Sink, Snapshot, WorkloadUpdate,
    recording::{self, Reader},
};

mod traffic;

use traffic::{CLIENT, Connection, SERVER, WIRE, client_pod, counters, server_pod};

const REQUEST: &str = "GET /orders/17?token=x HTTP/1.1\r\nHost: orders:8080\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const FAILURE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// The lines that a sink would print.
#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.0.push(serde_json::to_string(exchange).unwrap());
    }

    fn want(&mut self, _flow: FlowKey, _want: Option<FlowWant>) {}
}

impl Lines {
    fn values(&self) -> Vec<Value> {
        self.0.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// One connection with `count` exchanges; every tenth fails. The server takes 1 ms, 2 ms, ...
fn conversation(count: u64) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(40_112, 1_000_000);
    for number in 1..=count {
        let response = if number % 10 == 0 { FAILURE } else { RESPONSE };
        connection.exchange(REQUEST, response, number * 1_000_000);
    }
    connection.close()
}

fn probes(records: &[Vec<u8>]) -> impl Iterator<Item = Input<'_>> {
    records.iter().map(|record| Input::Probe(record))
}

/// Runs the inputs to their end.
fn run<'a>(inputs: impl IntoIterator<Item = Input<'a>>) -> (Lines, Snapshot) {
    let (mut correlator, mut lines) = (Correlator::new(Arc::default()), Lines::default());
    inputs.into_iter().for_each(|input| correlator.handle(input, &mut lines));
    correlator.finish(&mut lines);
    (lines, correlator.snapshot())
}

fn pods() -> [Input<'static>; 2] {
    [Input::Workload(client_pod()), Input::Workload(server_pod())]
}

#[test]
fn both_sides_know_the_same_exchange() {
    let records = conversation(1);
    let (lines, snapshot) = run(pods().into_iter().chain(probes(&records)));
    let exchanges = lines.values();
    let side = |side: &str| exchanges.iter().find(|exchange| exchange["side"] == side).unwrap();
    let (server, client) = (side("server"), side("client"));
    assert_eq!(exchanges.len(), 2);
    for key in ["exchange_id", "trace_id", "method", "path", "authority", "status", "protocol"] {
        assert_eq!(server[key], client[key], "{key}");
    }
    assert_eq!(server["parent_span_id"], client["span_id"]);
    assert_eq!((&server["pod"], &server["peer_pod"]), (&client["peer_pod"], &client["pod"]));
    assert_eq!((server["path"].as_str(), server["pod"].as_str()), (Some("/orders/17"), Some("shop/orders")));
    assert_eq!((snapshot.exchanges.server, snapshot.exchanges.client), (1, 1));
    assert_eq!(snapshot.exchanges.incomplete + snapshot.exchanges.without_pod, 0);
}

#[test]
fn every_exchange_is_in_its_pods_histogram() {
    let records = conversation(20);
    let (_, snapshot) = run(pods().into_iter().chain(probes(&records)));
    let [gateway, orders] = &snapshot.pods[..] else { panic!("{:?}", snapshot.pods) };
    assert_eq!((gateway.name.as_str(), orders.name.as_str()), ("gateway", "orders"));
    let (client, server) = (&gateway.series.client, &orders.series.server);
    for side in [client, server] {
        assert_eq!((side.count, side.errors, side.latency.count), (20, 2, 20));
        assert_eq!(side.response_body_bytes, 18 * 5);
    }
    assert_eq!((server.latency.min_ns, server.latency.max_ns), (Some(1_000_000), Some(20_000_000)));
    assert_eq!(client.latency.min_ns, Some(1_000_000 + 2 * WIRE));
    assert_eq!((gateway.series.server.count, orders.series.client.count), (0, 0));
}

#[test]
fn the_kernels_count_and_the_pipelines_are_equal() {
    let records = conversation(20);
    let counters = Input::KernelCounters(counters(&records));
    let (_, snapshot) = run(pods().into_iter().chain(probes(&records)).chain([counters]));
    let loss = snapshot.loss;
    let bytes = 2 * (20 * REQUEST.len() + 18 * RESPONSE.len() + 2 * FAILURE.len()) as u64;
    assert_eq!((loss.total.seen, loss.total.decoded), (bytes, bytes));
    assert_eq!((loss.total.lost, loss.total.unexplained), (0, 0));
    assert_eq!(loss.vantages.iter().map(|row| row.netns).collect::<Vec<_>>(), [CLIENT, SERVER]);
    assert_eq!(loss.vantages[0].pod.as_deref(), Some("shop/gateway"));
}

#[test]
fn records_that_the_agent_before_left_in_the_ring_are_seen_too() {
    let records = conversation(20);
    let nothing = weft_core::KernelCounters { bank: 1, ..counters(&[]) };
    let (_, snapshot) = run([Input::KernelCounters(nothing)].into_iter().chain(probes(&records)));
    let total = snapshot.loss.total;
    assert!(total.decoded > 0);
    assert_eq!((total.seen, total.unexplained), (total.decoded, 0));
}

#[test]
fn a_lost_record_is_in_the_account_and_nothing_is_invented() {
    let records = conversation(20);
    let kernel = counters(&records);
    let lost = records.len() - 10;
    let mut kernel_lost = kernel.clone();
    let segment_bytes = (records[lost].len() - size_of::<weft_abi::Segment>()) as u64;
    assert!(segment_bytes > 0);
    let header: weft_abi::Header = zerocopy::FromBytes::read_from_prefix(&records[lost]).unwrap().0;
    for vantage in kernel_lost.vantages.iter_mut().filter(|vantage| vantage.netns == header.netns) {
        vantage.directions[usize::from(header.detail)].bytes_unrecorded = segment_bytes;
    }
    let kept: Vec<_> =
        records.iter().enumerate().filter(|(at, _)| *at != lost).map(|(_, r)| r.clone()).collect();
    let (lines, snapshot) =
        run(pods().into_iter().chain(probes(&kept)).chain([Input::KernelCounters(kernel_lost)]));
    assert_eq!((snapshot.loss.total.lost, snapshot.loss.total.unexplained), (segment_bytes, 0));
    assert!(snapshot.exchanges.server + snapshot.exchanges.client <= 40);
    let complete = lines.values().iter().filter(|exchange| exchange["complete"] == true).count();
    assert!((38..40).contains(&complete), "{complete} complete");
}

#[test]
fn a_name_that_comes_late_is_waited_for() {
    let records = conversation(1);
    let (mut correlator, mut lines) = (Correlator::new(Arc::default()), Lines::default());
    probes(&records).for_each(|input| correlator.handle(input, &mut lines));
    let end = records.len() as u64 * 10_000_000;
    correlator.handle(Input::Tick(Ktime(end)), &mut lines);
    assert_eq!(lines.0.len(), 0);
    correlator.handle(Input::Workload(server_pod()), &mut lines);
    assert_eq!(lines.values()[0]["pod"], "shop/orders");
    assert!(correlator.next_deadline().is_some_and(|deadline| deadline <= Ktime(end + 1_000_000_000)));
    correlator.handle(Input::Tick(Ktime(end + 1_000_000_000)), &mut lines);
    assert_eq!((lines.0.len(), lines.values()[1].get("pod")), (2, None));
    assert_eq!(correlator.snapshot().exchanges.without_pod, 1);
}

#[test]
fn times_are_since_the_epoch() {
    let records = conversation(1);
    let clock = Input::Clock(ClockOffset(1_700_000_000_000_000_000));
    let (lines, snapshot) = run(pods().into_iter().chain([clock]).chain(probes(&records)));
    let client = lines.values().into_iter().find(|exchange| exchange["side"] == "client").unwrap();
    let first = 1_700_000_000_000_000_000_u64 + 1_000_000 + 2 * WIRE;
    assert_eq!(client["request"]["first_byte"], first);
    assert_eq!(client["response"]["last_byte"], first + 1_000_000 + 2 * WIRE);
    assert_eq!(snapshot.clock_offset, 1_700_000_000_000_000_000);
}

#[test]
fn what_is_no_record_is_counted_and_moves_nothing() {
    let (mut correlator, mut lines) = (Correlator::new(Arc::default()), Lines::default());
    let junk: [&[u8]; 4] = [b"", b"\x01", &[0xff; 23], &[0; 24]];
    junk.into_iter().for_each(|record| correlator.handle(Input::Probe(record), &mut lines));
    let snapshot = correlator.snapshot();
    assert_eq!((snapshot.records.malformed, snapshot.time, lines.0.len()), (4, Ktime(0), 0));
}

#[test]
fn names_of_strangers_reach_the_snapshot_bounded() {
    let limits = weft_core::Limits { pods: 3, ..weft_core::Limits::default() };
    let mut correlator = Correlator::new(Arc::new(Config { limits, ..Config::default() }));
    let mut lines = Lines::default();
    for netns in 0..1000 {
        let pod = weft_core::Pod { netns, name: "x".into(), ..weft_core::Pod::default() };
        correlator.handle(Input::Workload(WorkloadUpdate::Pod(pod)), &mut lines);
        correlator.handle(Input::Workload(WorkloadUpdate::Gone { netns: netns / 2 }), &mut lines);
    }
    let snapshot = correlator.snapshot();
    let table = snapshot.tables.iter().find(|table| table.table == "pods").unwrap();
    assert!(snapshot.pods.len() <= 3 && table.entries <= 3 && table.evicted > 900, "{table:?}");
}

/// A recording with everything in it that a run has.
fn recording() -> Vec<u8> {
    let records = conversation(50);
    let mut bytes = Vec::new();
    recording::encode_header(&mut bytes);
    let [client, server] = pods();
    let inputs = [Input::Config(Arc::default()), Input::Clock(ClockOffset(1_000_000_000_000)), server]
        .into_iter()
        .chain(probes(&records[..100]))
        .chain([client])
        .chain(probes(&records[100..]))
        .chain([Input::KernelCounters(counters(&records)), Input::Tick(Ktime(u64::MAX / 2))]);
    inputs.for_each(|input| recording::encode(&input, &mut bytes).unwrap());
    bytes
}

/// Many connections whose requests are all open at the end, of pods that nobody names.
fn unfinished() -> Vec<u8> {
    let mut bytes = Vec::new();
    recording::encode_header(&mut bytes);
    for port in 0..200 {
        let mut connection = Connection::open(20_000 + port, 1_000_000);
        connection.exchange(REQUEST, RESPONSE, 1000);
        connection.ask(REQUEST);
        probes(&connection.records).for_each(|input| recording::encode(&input, &mut bytes).unwrap());
    }
    bytes
}

fn replay(bytes: &[u8]) -> (String, String) {
    let (lines, snapshot) = run(Reader::new(bytes).unwrap().map(Result::unwrap));
    (lines.0.join("\n"), serde_json::to_string(&snapshot).unwrap())
}

#[test]
fn a_recording_replays_to_the_same_bytes() {
    let bytes = recording();
    let (lines, snapshot) = replay(&bytes);
    assert_eq!(lines.lines().count(), 100);
    assert_eq!(replay(&bytes), (lines, snapshot));
}

#[test]
fn what_is_open_at_the_end_leaves_in_the_same_order() {
    let bytes = unfinished();
    let (lines, snapshot) = replay(&bytes);
    assert_eq!(lines.lines().filter(|line| line.contains("\"complete\":false")).count(), 400);
    for _ in 0..3 {
        assert_eq!(replay(&bytes), (lines.clone(), snapshot.clone()));
    }
}
