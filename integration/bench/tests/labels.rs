//! A million requests of which no two have a path, a method or an authority in common: what is kept of them stays as small as
//! it was, and what has no series of its own is counted under `other`, one by one.
use std::fmt::Write as _;

use weft_abi::{FlowKey, FlowWant};
use weft_core::{AttributedExchange, Config, Input, Pod, Side, Sink, WorkloadUpdate};
use weft_metrics::{Family, OTHER, Registry, Settings};

#[path = "../src/heap.rs"]
mod heap;
mod talk;

use talk::{NETNS, Talk};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

const REQUESTS: u64 = 1_000_000;
/// By now every table is as full as it gets.
const SETTLED: u64 = 200_000;
/// A request every so many ns: what is remembered for seconds is the same at any time.
const APART: u64 = 1_000_000;
/// Bytes that may come to what is held, of megabytes: tables are let grow, and drained, in steps.
const SLACK: i64 = 256 << 10;

struct Counted(Registry);

impl Sink for Counted {
    fn exchange(&mut self, exchange: &AttributedExchange) {
        self.0.record(exchange);
    }

    fn want(&mut self, _: FlowKey, _: Option<FlowWant>) {}
}

/// Sends the requests with these numbers, of a pod that is the client, each answered.
fn attack(talk: &mut Talk<Counted>, numbers: std::ops::Range<u64>) {
    let mut request = String::new();
    for number in numbers {
        request.clear();
        let _ = write!(
            request,
            "M{number} /a{number}/b{number}?c={number} HTTP/1.1\r\nHost: h{number}.example\r\n\r\n"
        );
        talk.send(0, request.as_bytes());
        talk.send(1, b"HTTP/1.1 204 No Content\r\n\r\n");
        talk.time += APART;
    }
}

#[test]
fn a_million_distinct_requests_take_no_more_room() {
    let settings = Settings::default();
    let mut talk = Talk::new(Side::Client, Config::default(), Counted(Registry::new(settings)));
    let (namespace, name) = ("shop".into(), "attacked".into());
    let pod = Pod { netns: NETNS, namespace, name, ..Pod::default() };
    talk.correlator.handle(Input::Workload(WorkloadUpdate::Pod(pod)), &mut talk.sink);
    attack(&mut talk, 0..SETTLED);
    let settled = heap::live();
    attack(&mut talk, SETTLED..REQUESTS);
    let grew = heap::live() - settled;
    assert!(grew < SLACK, "{grew} bytes more are held, of {settled}");
    talk.finish();

    let Counted(registry) = &talk.sink;
    // Each authority is new: the first ones have series of their own.
    let own = settings.label_cardinality_limit as u64;
    let counts = registry.counts();
    assert_eq!(counts.overflow[Family::HttpClient as usize], REQUESTS - own);
    let (mut all, mut other) = (0, 0);
    for pod in registry.pods() {
        pod.show(Family::HttpClient, |_, _, pod| {
            for (labels, series) in pod.series {
                all += series.duration.count();
                other += if &*labels.server == OTHER { series.duration.count() } else { 0 };
                assert_eq!(labels.method, "_OTHER");
            }
        });
    }
    assert_eq!((all, other), (REQUESTS, REQUESTS - own));
    assert!(counts.series < 1000, "{} series", counts.series);
}
