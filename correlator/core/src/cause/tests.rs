//! Who caused what, case by case. A pod gets requests from sockets 10, 11, ... and sends requests on sockets 50, 51, ...; its
//! one process has the id 1000.
use weft_abi::{Header, KIND_GO_CALL, KIND_GO_SCHED, VANTAGE_SOCKETS};
use zerocopy::IntoBytes;

use hashbrown::{HashMap, HashSet};

use super::*;
use crate::{
    Exchange, GoProcess, JoinedExchange, Probes, Propagation, SpanId, TraceId, TracedExchange, testing,
};
use weft_abi::{GoCall, GoSched, go_call, go_sched};

const PID: u32 = 1000;
const MS: u64 = 1_000_000;

/// One end of a request: its number is its sequence number.
#[derive(Clone, Copy)]
struct End {
    number: u32,
    side: Side,
    cookie: u64,
    stream: u32,
}

fn served(number: u32, cookie: u64) -> End {
    End { number, side: Side::Server, cookie, stream: 0 }
}

fn sent(number: u32, cookie: u64) -> End {
    End { number, side: Side::Client, cookie, stream: 0 }
}

impl End {
    fn stream(self, stream: u32) -> Self {
        Self { stream, ..self }
    }

    fn exchange(self, began: u64, ended: u64) -> Exchange {
        let mut exchange = testing::joined(7, 9, self.number).exchange;
        exchange.side = self.side;
        exchange.stream_id = self.stream;
        exchange.socket_cookie = self.cookie;
        exchange.request.first_byte = Ktime(began);
        exchange.request.last_byte = Ktime(began);
        let response = exchange.response.as_mut().unwrap();
        (response.first_byte, response.last_byte) = (Ktime(ended), Ktime(ended));
        exchange
    }

    fn id(self) -> ExchangeId {
        self.exchange(0, 0).id()
    }
}

/// The stage, with what came out, and a clock.
struct World {
    causality: Causality,
    now: u64,
    began: HashMap<(u32, bool), u64>,
    /// Connections that had a request.
    used: HashSet<u64>,
    out: Vec<TracedExchange>,
}

impl World {
    fn new() -> Self {
        let (causality, began, used) = (Causality::new(100), HashMap::new(), HashSet::new());
        Self { causality, now: 1_000 * MS, began, used, out: Vec::new() }
    }

    /// A process with probes.
    fn probed() -> Self {
        let mut world = Self::new();
        world.listen(true);
        world
    }

    /// Calls are listened at, and, or not, where requests are served.
    fn listen(&mut self, serve: bool) -> &mut Self {
        let probes = Probes { serve, call: true, ..Probes::default() };
        self.causality.process(ProcessUpdate::Go(GoProcess { pid: PID, probes, ..GoProcess::default() }));
        self
    }

    fn wait(&mut self, ns: u64) -> &mut Self {
        self.now += ns;
        self
    }

    fn begin(&mut self, end: End) -> &mut Self {
        self.begin_with(end, None)
    }

    fn begin_with(&mut self, end: End, propagation: Option<Propagation>) -> &mut Self {
        self.wait(1000);
        self.began.insert((end.number, end.side == Side::Client), self.now);
        self.causality.began(&Began {
            key: RequestKey { id: end.id(), side: end.side },
            netns: 7,
            cookie: end.cookie,
            stream_id: end.stream,
            time: Ktime(self.now),
            byte: u64::from(end.number),
            first: self.used.insert(end.cookie),
            moved: None,
            propagation,
        });
        self
    }

    /// A goroutine read these requests' heads, or wrote their first bytes, in one call.
    fn moves(&mut self, ends: &[End], goid: u64, parent_goid: u64) -> &mut Self {
        self.moves_as(ends, goid, parent_goid, 1)
    }

    fn moves_as(&mut self, ends: &[End], goid: u64, parent_goid: u64, tid: u32) -> &mut Self {
        self.wait(1000);
        let numbers = || ends.iter().map(|end| u64::from(end.number));
        let moved = Moved {
            wrote: ends[0].side == Side::Client,
            start: numbers().min().unwrap(),
            end: numbers().max().unwrap() + 1,
            time: Ktime(self.now),
            goid,
            parent_goid,
            pid: PID,
            tid,
        };
        self.causality.moved(ends[0].cookie, &moved);
        self
    }

    /// A function was called.
    fn call(&mut self, function: u8, end: End, goid: u64, parent_goid: u64, contexts: &[u64]) -> &mut Self {
        self.wait(1000);
        let call = GoCall {
            header: self.header(KIND_GO_CALL, function),
            cookie: end.cookie,
            goid,
            parent_goid,
            pid: PID,
            tid: 1,
            stream_id: end.stream,
            contexts: contexts.len() as u32,
        };
        let record: Vec<u8> =
            call.as_bytes().iter().copied().chain(contexts.iter().flat_map(|at| at.to_ne_bytes())).collect();
        assert!(is_go(&record));
        self.causality.record(&record);
        self
    }

    fn created(&mut self, goid: u64, by: u64) -> &mut Self {
        let header = self.header(KIND_GO_SCHED, go_sched::CREATED);
        let sched = GoSched { header, goid, by, wait: 0, pid: PID, tid: 1 };
        self.causality.record(sched.as_bytes());
        self
    }

    fn header(&self, kind: u8, detail: u8) -> Header {
        let (vantage, time) = (VANTAGE_SOCKETS, self.now);
        Header { kind, detail, vantage, bank: 0, ifindex: 0, time, netns: 7 }
    }

    /// It is over on the wire, and leaves.
    fn end(&mut self, end: End) -> &mut Self {
        self.over(end).leave(end)
    }

    fn over(&mut self, end: End) -> &mut Self {
        self.wait(1000);
        let key = RequestKey { id: end.id(), side: end.side };
        let duration = Some(self.now - self.since(end));
        self.causality.over(&Over { key, cookie: end.cookie, time: Ktime(self.now), duration });
        self
    }

    fn leave(&mut self, end: End) -> &mut Self {
        let mut joined: JoinedExchange = testing::joined(7, 9, 0);
        joined.exchange = end.exchange(self.since(end), self.now);
        joined.app.pid = Some(PID);
        self.causality.exchange(joined, Ktime(self.now), &mut |traced| self.out.push(traced));
        self
    }

    fn since(&self, end: End) -> u64 {
        self.began[&(end.number, end.side == Side::Client)]
    }

    fn tick(&mut self) -> &mut Self {
        self.causality.release(Ktime(self.now), &mut |traced| self.out.push(traced));
        self
    }

    fn traced(&self, end: End) -> &TracedExchange {
        let is_its = |traced: &&TracedExchange| {
            traced.joined.exchange.id() == end.id() && traced.joined.exchange.side == end.side
        };
        self.out.iter().find(is_its).expect("it has not left")
    }

    /// Sends it, lets it end, and says who caused it.
    fn parent(&mut self, end: End) -> (Option<SpanId>, Evidence) {
        self.end(end).wait(600 * MS).tick();
        let link = self.traced(end).link;
        (link.parent_span_id, link.evidence)
    }
}

fn by(end: End, evidence: Evidence) -> (Option<SpanId>, Evidence) {
    (Some(end.id().server_span_id()), evidence)
}

const NOBODY: (Option<SpanId>, Evidence) = (None, Evidence::None);

#[test]
fn what_a_goroutine_writes_is_caused_by_what_it_read() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::new();
    world.begin(request).moves(&[request], 7, 3).begin(call).moves(&[call], 7, 3);
    assert_eq!(world.parent(call), by(request, Evidence::SameGoroutine));
}

/// The processor had other things to do than to let the call return.
#[test]
fn who_wrote_it_may_be_told_behind_its_response() {
    let (request, calls) = (served(1, 10), [sent(2, 50), sent(3, 51).stream(1)]);
    let mut world = World::new();
    world.begin(request).moves(&[request], 7, 3);
    for (call, goid) in calls.into_iter().zip(20..) {
        world.begin(call).over(call).moves(&[call], goid, 7).leave(call);
        assert_eq!(world.traced(call).link.evidence, Evidence::ParentGoroutine);
    }
    let children = &world.causality.requests.served(request.id()).unwrap().children;
    assert!(children.len() == 2 && children.iter().all(|child| child.ended.is_some()), "{children:?}");
}

#[test]
fn a_connection_whose_calls_are_never_told_is_forgotten() {
    let (call, other) = (sent(1, 50), sent(2, 51).stream(1));
    let mut world = World::new();
    world.begin(call).end(call).begin(other).end(other);
    world.wait(request::MEMORY + 1000 * MS).tick();
    assert_eq!(world.causality.connections.len(), 0);
}

/// What is likely to have caused it, where nothing proves that anything did.
fn likely(world: &mut World, call: End) -> Option<Likely> {
    assert_eq!(world.parent(call), NOBODY);
    world.traced(call).link.likely
}

#[test]
fn the_only_request_that_a_process_works_at_is_likely_to_be_the_cause() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::new();
    world.begin(request).moves(&[request], 7, 3).begin(call).moves(&[call], 99, 3);
    let (trace_id, span_id) = (request.id().trace_id(), request.id().server_span_id());
    assert_eq!(likely(&mut world, call), Some(Likely { trace_id, span_id }));
    assert_ne!(world.traced(call).link.trace_id, trace_id, "a likely cause is none");
    let late = sent(4, 52);
    world.begin(late).over(late).moves(&[late], 99, 3).leave(late);
    assert_eq!(world.traced(late).link.likely, Some(Likely { trace_id, span_id }), "told behind its end");
    let proven = sent(3, 51);
    world.begin(proven).moves(&[proven], 7, 3);
    assert_eq!(world.parent(proven), by(request, Evidence::SameGoroutine));
    assert_eq!(world.traced(proven).link.likely, None, "it has a parent");
}

#[test]
fn of_several_requests_none_that_is_over_and_none_that_was_not_read_is_likely() {
    let (first, second) = (served(1, 10), served(2, 11));
    let calls = [sent(3, 50), sent(4, 51), sent(5, 52), sent(6, 53)];
    let mut world = World::new();
    world.begin(first).begin(calls[0]).moves(&[first], 7, 3).moves(&[calls[0]], 99, 3);
    assert_eq!(likely(&mut world, calls[0]), None, "not read when it was sent");
    world.begin(second).moves(&[second], 8, 3).begin(calls[1]).moves(&[calls[1]], 99, 3);
    assert_eq!(likely(&mut world, calls[1]), None, "one of two");
    world.end(first).begin(calls[2]).moves(&[calls[2]], 99, 3);
    assert_eq!(likely(&mut world, calls[2]).map(|likely| likely.span_id), Some(second.id().server_span_id()));
    world.end(second).begin(calls[3]).moves(&[calls[3]], 99, 3);
    assert_eq!(likely(&mut world, calls[3]), None, "none is open");
}

#[test]
fn a_call_before_the_request_was_read_is_not_caused_by_it() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::new();
    world.begin(request).begin(call).moves(&[request], 7, 3).moves(&[call], 7, 3);
    assert_eq!(world.parent(call), NOBODY);
}

#[test]
fn a_goroutine_that_the_handler_started_works_for_it() {
    let (request, call, next) = (served(1, 10), sent(2, 50), sent(3, 51));
    let mut world = World::new();
    world.begin(request).moves(&[request], 7, 3).begin(call).moves(&[call], 8, 7);
    assert_eq!(world.parent(call), by(request, Evidence::ParentGoroutine));
    world.begin(next).moves(&[next], 8, 7);
    assert_eq!(world.parent(next), by(request, Evidence::SameGoroutine));
}

#[test]
fn a_goroutine_that_is_older_than_the_request_serves_many() {
    let (first, second) = (served(1, 10), served(2, 10));
    let (of_first, of_second) = (sent(3, 50), sent(4, 50));
    let mut world = World::new();
    // The handler's goroutine starts a worker at its first request; its next one is another's job, as far as is known.
    world.begin(first).moves(&[first], 7, 3).begin(of_first).moves(&[of_first], 8, 7);
    world.end(first).wait(3_000 * MS).tick();
    world.begin(second).moves(&[second], 7, 3).begin(of_second).moves(&[of_second], 8, 7);
    assert_eq!(world.parent(of_second), NOBODY);
}

/// A job that slept for longer than anything is remembered.
#[test]
fn a_goroutine_that_is_new_behind_a_later_request_may_be_of_an_earlier_one() {
    let (first, second, call) = (served(1, 10), served(2, 10), sent(3, 50));
    let mut world = World::new();
    world.begin(first).moves(&[first], 7, 3).end(first).wait(60_000 * MS).tick();
    world.begin(second).moves(&[second], 7, 3).end(second).begin(call).moves(&[call], 8, 7);
    assert_eq!(world.parent(call), NOBODY);
}

#[test]
fn what_a_goroutine_does_behind_the_next_request_is_whose_nobody_knows_unless_told() {
    let (first, second) = (served(1, 10), served(2, 10));
    let call = sent(3, 50);
    let mut world = World::new();
    world.begin(first).moves(&[first], 7, 3).end(first).begin(second).moves(&[second], 7, 3);
    world.begin(call).moves(&[call], 8, 7);
    assert_eq!(world.parent(call), NOBODY);

    let mut world = World::probed();
    world.begin(first).moves(&[first], 7, 3);
    world.call(go_call::CREATED, End { cookie: 0, ..first }, 7, 0, &[8]);
    world.end(first).begin(second).moves(&[second], 7, 3).begin(call).moves(&[call], 8, 7);
    assert_eq!(world.parent(call), by(first, Evidence::SameGoroutine));
}

#[test]
fn of_pipelined_requests_the_first_that_is_open_is_handled() {
    let (first, second) = (served(1, 10), served(2, 10));
    let (of_first, of_second) = (sent(3, 50), sent(4, 50));
    let mut world = World::new();
    world.begin(first).begin(second).moves(&[first, second], 7, 3);
    world.begin(of_first).moves(&[of_first], 7, 3);
    assert_eq!(world.parent(of_first), by(first, Evidence::SameGoroutine));
    world.over(first).begin(of_second).moves(&[of_second], 7, 3);
    assert_eq!(world.parent(of_second), by(second, Evidence::SameGoroutine));
}

#[test]
fn a_handler_may_work_on_behind_its_response_but_not_for_ever() {
    let (request, call, late) = (served(1, 10), sent(2, 50), sent(3, 50));
    let mut world = World::new();
    world.begin(request).moves(&[request], 7, 3).end(request).begin(call).moves(&[call], 7, 3);
    assert_eq!(world.parent(call), by(request, Evidence::SameGoroutine));
    world.wait(2_100 * MS).begin(late).moves(&[late], 7, 3);
    assert_eq!(world.parent(late), NOBODY);
}

#[test]
fn a_client_that_was_called_by_the_handler() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 7, 3);
    // Its connection's own goroutine writes.
    world.call(go_call::HTTP_CALL, call, 7, 3, &[]).begin(call).moves(&[call], 99, 98);
    assert_eq!(world.parent(call), by(request, Evidence::Probe));
}

#[test]
fn of_calls_on_one_connection_each_is_its_own() {
    let (one, other) = (served(1, 10), served(2, 11));
    let (of_one, of_other, of_nobody) = (sent(3, 50), sent(4, 50), sent(5, 50));
    let mut world = World::probed();
    world.begin(one).moves(&[one], 7, 3).begin(other).moves(&[other], 8, 3);
    world.call(go_call::HTTP_CALL, of_one, 7, 3, &[]).begin(of_one);
    assert_eq!(world.parent(of_one), by(one, Evidence::Probe));
    world.call(go_call::HTTP_CALL, of_other, 8, 3, &[]).begin(of_other);
    assert_eq!(world.parent(of_other), by(other, Evidence::Probe));
    world.begin(of_nobody).moves(&[of_nobody], 99, 98);
    assert_eq!(world.parent(of_nobody), NOBODY);
}

#[test]
fn a_context_says_for_whom_a_worker_works() {
    let (one, other) = (served(1, 10), served(2, 11));
    let (of_one, of_other) = (sent(3, 50), sent(4, 51));
    let mut world = World::probed();
    for (request, goid, context) in [(one, 7, 0xa0), (other, 8, 0xb0)] {
        world.begin(request).moves(&[request], goid, 3);
        world.call(go_call::HTTP_SERVE, End { cookie: 0, ..request }, goid, 3, &[context, context + 1]);
    }
    world.call(go_call::HTTP_CALL, of_other, 20, 1, &[0xc0, 0xb0, 0xb1, 0xff]).begin(of_other);
    world.call(go_call::HTTP_CALL, of_one, 20, 1, &[0xa0, 0xa1]).begin(of_one);
    assert_eq!(world.parent(of_other), by(other, Evidence::Context));
    assert_eq!(world.parent(of_one), by(one, Evidence::Context));
}

#[test]
fn a_context_in_the_memory_of_one_that_is_gone_is_another() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 7, 3);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..request }, 7, 3, &[0xa0, 0xa1]);
    world.call(go_call::HTTP_CALL, call, 20, 1, &[0xa0, 0xd1]).begin(call);
    assert_eq!(world.parent(call), NOBODY);
}

/// Where a connection's and its request's context were, there are a request's and one made from it.
#[test]
fn contexts_in_the_memory_of_a_connection_and_its_request_are_of_the_request_that_is_served() {
    let (gone, request, call) = (served(1, 10), served(2, 11), sent(3, 50));
    let mut world = World::probed();
    world.begin(gone).moves(&[gone], 7, 3).begin(request).moves(&[request], 8, 3);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..gone }, 7, 3, &[0xa0, 0xa1]);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..request }, 8, 3, &[0xa1, 0xd1]);
    world.call(go_call::HTTP_CALL, call, 20, 1, &[0xa0, 0xa1, 0xd1]).begin(call);
    assert_eq!(world.parent(call), by(request, Evidence::Context));
}

#[test]
fn a_context_of_a_request_that_nobody_knows_is_no_others() {
    let (gone, call) = (served(1, 10), sent(3, 50));
    let mut world = World::probed();
    world.begin(gone).moves(&[gone], 7, 3);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..gone }, 7, 3, &[0xa0, 0xa1]);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..gone }, 99, 98, &[0xa0, 0xa1]);
    world.call(go_call::HTTP_CALL, call, 20, 1, &[0xa0, 0xa1]).begin(call);
    assert_eq!(world.parent(call), NOBODY);
}

/// What is in its memory when it is listened again may be another request's, which nobody told of.
#[test]
fn a_context_is_not_known_any_more_once_nobody_listens_where_requests_are_served() {
    let (before, late, call) = (served(1, 10), served(2, 11), sent(3, 50));
    let of_late = sent(4, 51);
    let mut world = World::probed();
    world.begin(before).moves(&[before], 7, 3).begin(late).moves(&[late], 8, 3);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..before }, 7, 3, &[0xa0, 0xa1]);
    world.listen(false);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..late }, 8, 3, &[0xb0, 0xb1]);
    world.listen(true);
    world.call(go_call::HTTP_CALL, call, 20, 1, &[0xa0, 0xa1]).begin(call);
    world.call(go_call::HTTP_CALL, of_late, 20, 1, &[0xb0, 0xb1]).begin(of_late);
    assert_eq!(world.parent(call), NOBODY);
    assert_eq!(world.parent(of_late), NOBODY);
}

#[test]
fn a_goroutine_of_one_request_that_calls_for_another_tells_nothing_any_more() {
    let (one, other) = (served(1, 10), served(2, 11));
    let (first, with_context, without) = (sent(3, 50), sent(4, 50), sent(5, 50));
    let mut world = World::probed();
    world.begin(one).moves(&[one], 7, 3).begin(other).moves(&[other], 8, 3);
    world.call(go_call::HTTP_SERVE, End { cookie: 0, ..other }, 8, 3, &[0xb0, 0xb1]);
    world.call(go_call::HTTP_CALL, first, 20, 7, &[]).begin(first);
    world.call(go_call::HTTP_CALL, with_context, 20, 7, &[0xb0, 0xb1]).begin(with_context);
    world.call(go_call::HTTP_CALL, without, 20, 7, &[]).begin(without);
    assert_eq!(world.parent(first), by(one, Evidence::Probe));
    assert_eq!(world.parent(with_context), by(other, Evidence::Context));
    assert_eq!(world.parent(without), NOBODY);
}

#[test]
fn streams_of_one_connection_meet_their_calls_by_their_ids() {
    let (one, other) = (served(1, 10).stream(1), served(2, 10).stream(3));
    let (of_one, of_other) = (sent(3, 50).stream(5), sent(4, 50).stream(7));
    let mut world = World::probed();
    world.begin(one).begin(other).moves(&[one, other], 90, 89);
    world.call(go_call::H2_SERVE, one, 7, 89, &[0xa0, 0xa1]);
    world.call(go_call::H2_SERVE, other, 8, 89, &[0xb0, 0xb1]);
    // The goroutine that writes a head was started by the caller.
    world.call(go_call::H2_CALL, of_other, 31, 8, &[0xb0, 0xb1]);
    world.call(go_call::H2_CALL, of_one, 30, 7, &[0xa0, 0xa1]);
    world.begin(of_one).begin(of_other);
    assert_eq!(world.parent(of_one), by(one, Evidence::Probe));
    assert_eq!(world.parent(of_other), by(other, Evidence::Probe));
}

#[test]
fn grpc_says_who_called_when_the_head_is_sent_already() {
    let (request, call) = (served(1, 10).stream(1), sent(2, 50).stream(3));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 90, 89);
    world.call(go_call::GRPC_SERVE, request, 7, 90, &[0xa0, 0xa1]);
    world.begin(call).moves(&[call], 60, 59);
    world.call(go_call::GRPC_CALL, call, 7, 90, &[0xe0, 0xa0, 0xa1]);
    world.call(go_call::GRPC_CALL, call, 7, 90, &[0xe0, 0xa0, 0xa1]);
    assert_eq!(world.parent(call), by(request, Evidence::Probe));
}

/// A stream that a server pushes has a number of its own.
#[test]
fn streams_that_begin_in_another_order_meet_their_calls() {
    let request = served(1, 10).stream(1);
    let calls = [(2, 5), (3, 2), (4, 7), (5, 4)].map(|(number, stream)| sent(number, 50).stream(stream));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 90, 89);
    world.call(go_call::GRPC_SERVE, request, 7, 90, &[0xa0, 0xa1]);
    for call in calls {
        world.begin(call);
    }
    for call in calls {
        world.call(go_call::GRPC_CALL, call, 7, 90, &[0xe0, 0xa0, 0xa1]);
        assert_eq!(world.parent(call), by(request, Evidence::Probe));
    }
}

#[test]
fn of_thousands_of_streams_at_once_each_meets_its_call() {
    let request = served(1, 10).stream(1);
    let calls: Vec<End> = (0..3_000).map(|number| sent(2 + number, 50).stream(2 * number + 1)).collect();
    let mut world = World::probed();
    world.causality.set_limit(10_000);
    world.begin(request).moves(&[request], 90, 89);
    world.call(go_call::GRPC_SERVE, request, 7, 90, &[0xa0, 0xa1]);
    for call in &calls {
        world.begin(*call);
    }
    for call in &calls {
        world.call(go_call::GRPC_CALL, *call, 7, 90, &[0xe0, 0xa0, 0xa1]);
    }
    for call in [calls[0], calls[1_500], calls[2_999]] {
        assert_eq!(world.parent(call), by(request, Evidence::Probe));
    }
    assert_eq!(world.causality.connections.size().evicted, 0);
}

#[test]
fn a_connection_that_is_hidden_is_that_of_the_goroutine_that_reads_it() {
    let (request, call) = (served(1, 10).stream(1), sent(2, 50));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 90, 89);
    world.call(go_call::GRPC_SERVE, End { cookie: 0, ..request }, 7, 90, &[0xa0, 0xa1]);
    world.call(go_call::HTTP_CALL, call, 7, 90, &[]).begin(call);
    assert_eq!(world.parent(call), by(request, Evidence::Probe));
}

#[test]
fn a_handler_may_be_told_of_before_its_stream() {
    let (request, call) = (served(1, 10).stream(1), sent(2, 50));
    let mut world = World::probed();
    world.call(go_call::H2_SERVE, request, 7, 89, &[0xa0, 0xa1]).begin(request).moves(&[request], 90, 89);
    world.call(go_call::HTTP_CALL, call, 7, 89, &[]).begin(call);
    assert_eq!(world.parent(call), by(request, Evidence::Probe));
}

#[test]
fn a_goroutine_works_for_whom_the_one_works_that_created_it() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 7, 3).created(20, 7).created(21, 20);
    world.call(go_call::HTTP_CALL, call, 21, 20, &[]).begin(call);
    assert_eq!(world.parent(call), by(request, Evidence::Probe));
}

/// net/http dials in a goroutine that the handler starts, and that one starts who writes on the connection. Which request is given
/// it first nobody knows who was not told: the call's record may be lost, or have no socket.
#[test]
fn what_a_grandchild_of_the_handler_writes_is_whose_it_is_told_to_be() {
    let (request, by_child, untold, told) = (served(1, 10), sent(2, 50), sent(3, 51), sent(4, 52).stream(1));
    let mut world = World::probed();
    world.begin(request).moves(&[request], 7, 3).created(20, 7).created(21, 20);
    world.begin(by_child).moves(&[by_child], 20, 7);
    assert_eq!(world.parent(by_child), by(request, Evidence::SameGoroutine));
    world.call(go_call::HTTP_CALL, End { cookie: 0, ..untold }, 7, 3, &[]);
    world.begin(untold).moves(&[untold], 21, 20);
    assert_eq!(world.parent(untold), NOBODY);
    world.begin(told).moves(&[told], 21, 20).call(go_call::GRPC_CALL, told, 21, 20, &[]);
    assert_eq!(world.parent(told), by(request, Evidence::Probe));
}

fn of_trace(trace: u128, span: u64) -> Option<Propagation> {
    Some(Propagation { trace: Some(TraceId(trace)), span: Some(SpanId(span)), request_id: None })
}

#[test]
fn a_trace_that_both_carry() {
    let (request, call) = (served(1, 10), sent(2, 50));
    let mut world = World::new();
    world.begin_with(request, of_trace(5, 6)).begin_with(call, of_trace(5, 8));
    assert_eq!(world.parent(call), by(request, Evidence::Header));
    assert_eq!(world.traced(call).link.trace_id, TraceId(5));
}

#[test]
fn of_several_requests_of_one_trace_nobody_knows_but_who_knows_more() {
    let (one, other) = (served(1, 10), served(2, 11));
    let (of_somebody, of_other) = (sent(3, 50), sent(4, 50));
    let mut world = World::new();
    for (request, goid) in [(one, 7), (other, 8)] {
        world.begin_with(request, of_trace(5, 6)).moves(&[request], goid, 3);
    }
    world.begin_with(of_somebody, of_trace(5, 8)).moves(&[of_somebody], 99, 98);
    assert_eq!(world.parent(of_somebody), NOBODY);
    world.begin_with(of_other, of_trace(5, 9)).moves(&[of_other], 8, 3);
    assert_eq!(world.parent(of_other), by(other, Evidence::Header));
}

#[test]
fn one_thread_with_one_request() {
    let (one, other) = (served(1, 10), served(2, 11));
    let (of_one, of_somebody, of_other) = (sent(3, 50), sent(4, 50), sent(5, 50));
    let mut world = World::new();
    world.begin(one).moves(&[one], 0, 0).begin(of_one).moves(&[of_one], 0, 0);
    assert_eq!(world.parent(of_one), by(one, Evidence::Thread));
    world.begin(other).moves(&[other], 0, 0).begin(of_somebody).moves(&[of_somebody], 0, 0);
    assert_eq!(world.parent(of_somebody), NOBODY);
    world.over(one).moves_as(&[other], 0, 0, 2).begin(of_other).moves(&[of_other], 0, 0);
    assert_eq!(world.parent(of_other), NOBODY);
}

#[test]
fn a_trace_goes_through_all_hops_of_a_node() {
    let root = [sent(1, 40), served(1, 10)];
    let hop = [sent(2, 50), served(2, 20)];
    let mut world = World::new();
    world.begin(root[0]).begin(root[1]).moves(&[root[1]], 7, 3);
    world.begin(hop[0]).begin(hop[1]).moves(&[hop[1]], 70, 30);
    // The server is done before it is known who wrote the request.
    world.end(hop[1]);
    assert!(world.out.is_empty());
    world.moves(&[hop[0]], 7, 3).end(hop[0]).end(root[1]).end(root[0]);
    let traces: Vec<_> = world.out.iter().map(|traced| traced.link.trace_id).collect();
    assert_eq!(traces, [root[0].id().trace_id(); 4]);
    assert_eq!(world.traced(hop[1]).link.parent_span_id, Some(hop[0].id().client_span_id()));
    assert_eq!(world.traced(root[0]).link.parent_span_id, None);
    let phases = world.traced(root[1]).phases;
    assert_eq!(phases.downstream, None, "it was not read");
    let duration = |end| world.causality.requests.get(key(end)).unwrap().duration.unwrap();
    assert_eq!(world.traced(hop[0]).phases.network, Some(duration(hop[0]) - duration(hop[1])));
}

fn key(end: End) -> RequestKey {
    RequestKey { id: end.id(), side: end.side }
}

#[test]
fn an_exchange_waits_for_its_trace_for_a_bounded_time() {
    let (client, server) = (sent(1, 40), served(1, 10));
    let mut world = World::new();
    world.begin(client).begin(server).end(server).wait(490 * MS).tick();
    assert!(world.out.is_empty());
    assert!(world.causality.next_deadline().is_some_and(|deadline| deadline.0 <= world.now + 20 * MS));
    world.wait(20 * MS).tick();
    assert_eq!(world.traced(server).link.trace_id, server.id().trace_id());
    assert_eq!(world.causality.next_deadline(), None);
}

#[test]
fn of_a_capture_without_sockets_nothing_is_waited_for() {
    let (client, server) = (sent(1, 0), served(1, 0));
    let mut world = World::new();
    world.begin(client).begin(server).end(server);
    assert_eq!(world.out.len(), 1);
}

#[test]
fn tables_are_bounded() {
    let mut world = World::new();
    for number in 0..500 {
        let request = served(number, 10 + u64::from(number % 50));
        world.begin(request).moves(&[request], 1 + u64::from(number), 3);
    }
    let tables = world.causality.tables();
    let requests = tables.iter().find(|table| table.name == "requests").unwrap();
    assert_eq!((requests.entries, requests.evicted), (100, 400));
    assert!(world.causality.connections.len() <= 50);
    for number in 0..500 {
        let request = served(number, 10 + u64::from(number % 50));
        world.over(request);
    }
    world.wait(3_000 * MS).tick();
    assert_eq!((world.causality.requests.size().entries, world.causality.connections.len()), (0, 0));
}

/// As of TLS: processes tell of requests that never begin.
#[test]
fn what_is_said_of_connections_that_nobody_sees_is_forgotten() {
    let mut world = World::probed();
    for number in 0..500 {
        world.call(go_call::HTTP_CALL, sent(number, 50 + u64::from(number % 250)), 7, 3, &[]);
        world.call(go_call::GRPC_SERVE, served(number, 1_000).stream(2 * number + 1), 8, 3, &[]);
    }
    let said =
        |world: &World| (world.causality.connections.len(), world.causality.connections.size().entries);
    assert_eq!(said(&world), (251, 1_000));
    world.wait(3_000 * MS).tick();
    assert_eq!(said(&world), (0, 0));
    for number in 0..70_000 {
        world.call(go_call::HTTP_CALL, sent(number, 50 + u64::from(number)), 7, 3, &[]);
    }
    let TableSize { entries, limit, evicted, .. } = world.causality.connections.size();
    assert_eq!((entries, evicted, world.causality.connections.len() as u64), (limit, 70_000 - limit, limit));
}

#[test]
fn what_is_too_much_of_one_connection_is_counted() {
    let mut world = World::probed();
    for number in 0..10_000 {
        world.call(go_call::HTTP_CALL, sent(number, 50), 7, 3, &[]);
    }
    let too_much = 10_000 - connection::MAX_WAITING as u64;
    assert_eq!(world.causality.connections.size().evicted, too_much);
}

#[test]
fn records_that_are_none_are_counted() {
    let mut world = World::new();
    world.causality.record(&[KIND_GO_CALL, go_call::HTTP_CALL]);
    let call = sent(1, 50);
    world.call(77, call, 1, 1, &[]).call(go_call::HTTP_CALL, sent(1, 0), 1, 1, &[]);
    assert_eq!(world.causality.unused(), (1, 2));
}
