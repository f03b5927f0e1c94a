//! What probes in Go processes say.
use weft_abi::{GoCall, GoSched, go_call, go_sched};

use super::{
    Causality, Evidence, Parent, Work, Worker,
    connection::{Announced, Handled},
    link::Cause,
    record::{Chain, GoEvent, decode},
};
use crate::{ExchangeId, Ktime, Side, wire::RequestKey};

impl Causality {
    /// A record of a Go process.
    pub(crate) fn record(&mut self, record: &[u8]) {
        match decode(record) {
            None => self.malformed += 1,
            Some(GoEvent::Call(call, chain)) => self.call(&call, chain),
            Some(GoEvent::Sched(sched)) => self.sched(&sched),
            Some(GoEvent::Process) => {}
        }
    }

    fn call(&mut self, call: &GoCall, chain: Chain<'_>) {
        let at = Ktime(call.header.time);
        match call.header.detail {
            go_call::HTTP_SERVE | go_call::H2_SERVE | go_call::GRPC_SERVE => self.serves(call, chain, at),
            go_call::HTTP_CALL | go_call::H2_CALL | go_call::GRPC_CALL => self.calls(call, chain, at),
            go_call::CREATED => self.create(call, chain, at),
            go_call::STOP_WORLD => self.processes.world_stops(call.pid, at),
            go_call::START_WORLD => self.processes.world_goes_on(call.pid, at),
            go_call::GC_START | go_call::GC_MARK_TERMINATION | go_call::GC_ASSIST => {}
            _ => self.malformed += 1,
        }
    }

    /// A server begins to handle a request.
    fn serves(&mut self, call: &GoCall, chain: Chain<'_>, at: Ktime) {
        let contexts = chain.first_two();
        let GoCall { pid, goid, stream_id, .. } = *call;
        let handled = Handled { stream_id, pid, goid, time: at, contexts };
        let request = match stream_id {
            0 => Worker::goroutine(pid, goid).and_then(|worker| self.current(worker, at)),
            _ => self.stream_of(call),
        };
        match request {
            Some(request) => self.handles(request, handled, at),
            None if call.cookie != 0 && stream_id != 0 => {
                self.connections.handle(call.cookie, handled);
            }
            None => {
                self.contexts.forget(pid, contexts);
                self.unplaced += 1;
            }
        }
    }

    /// A stream's request, where its head was read here.
    fn stream_of(&self, call: &GoCall) -> Option<ExchangeId> {
        let cookie = if call.cookie == 0 { self.streams_of_parent(call)? } else { call.cookie };
        let key = self.connections.get(cookie)?.find(call.stream_id)?;
        (key.side == Side::Server).then_some(key.id)
    }

    /// Where the connection is hidden in a type that nobody knows: that of the goroutine that started the handler.
    fn streams_of_parent(&self, call: &GoCall) -> Option<u64> {
        let parent = Worker::goroutine(call.pid, call.parent_goid)?;
        match self.workers.work(parent) {
            Work::Streams(cookie) => Some(cookie),
            _ => None,
        }
    }

    pub(super) fn handles(&mut self, request: ExchangeId, handled: Handled, at: Ktime) {
        let Handled { stream_id, pid, goid, contexts, .. } = handled;
        let worker = Worker::goroutine(pid, goid);
        if let Some(worker) = worker.filter(|_| stream_id != 0) {
            self.workers.set(worker, Work::Request(request), at);
        }
        if let Some(request) = self.requests.get_mut(RequestKey { id: request, side: Side::Server }) {
            request.handler = worker.or(request.handler);
        }
        // What was still on its way when the probes went would be known for ever.
        if self.processes.probes(pid).serve {
            self.contexts.register(pid, contexts, request);
        }
    }

    /// A client is about to send a request, or has just begun to.
    fn calls(&mut self, call: &GoCall, chain: Chain<'_>, at: Ktime) {
        let cause = self.caller(call, chain, at);
        if call.cookie == 0 {
            self.unplaced += 1;
            return;
        }
        let open = match call.stream_id {
            0 => None,
            id => self.connections.get(call.cookie).and_then(|connection| connection.find(id)),
        };
        match open {
            Some(key) if self.requests.get(key).is_some_and(|known| known.parent == Parent::Unknown) => {
                self.resolve(key, cause);
            }
            Some(_) => {}
            None => {
                let announced = Announced { stream_id: call.stream_id, time: at, cause };
                self.connections.announce(call.cookie, announced);
            }
        }
    }

    /// The request for which a client is called. A context says for whom the call is, whoever makes it.
    fn caller(&mut self, call: &GoCall, chain: Chain<'_>, at: Ktime) -> Option<Cause> {
        let (goid, parent) = match call.header.detail {
            // The caller waits for the goroutine that it has started for this request.
            go_call::H2_CALL => (call.parent_goid, None),
            _ => (call.goid, Worker::goroutine(call.pid, call.parent_goid)),
        };
        let worker = Worker::goroutine(call.pid, goid)?;
        let found = self.contexts.find(call.pid, chain.addresses());
        let by_context = found.filter(|request| self.may_cause(*request, at));
        let by_goroutine = self.by_goroutine(worker, parent, at).map(|cause| cause.request);
        self.workers.see(worker, at);
        match (by_context, by_goroutine) {
            (Some(request), other) if other != Some(request) => {
                self.serves_many(worker, other);
                Some(Cause { request, evidence: Evidence::Context })
            }
            (_, request) => request.map(|request| Cause { request, evidence: Evidence::Probe }),
        }
    }

    /// A goroutine that was held to work for one request works for another: it tells nothing by itself any more.
    fn serves_many(&mut self, worker: Worker, held: Option<ExchangeId>) {
        if let Work::Request(request) | Work::Descends(request) = self.workers.work(worker)
            && held == Some(request)
        {
            self.workers.set(worker, Work::Many, Ktime(0));
        }
    }

    fn create(&mut self, call: &GoCall, chain: Chain<'_>, at: Ktime) {
        let [goid, _] = chain.first_two();
        if let Some(worker) = Worker::goroutine(call.pid, goid) {
            self.created(worker, Worker::goroutine(call.pid, call.goid), at);
        }
    }

    fn sched(&mut self, sched: &GoSched) {
        let at = Ktime(sched.header.time);
        let Some(worker) = Worker::goroutine(sched.pid, sched.goid) else { return };
        match sched.header.detail {
            go_sched::CREATED => self.created(worker, Worker::goroutine(sched.pid, sched.by), at),
            go_sched::RUNS if sched.wait > 0 => {
                self.workers.waited(worker, Ktime(at.0.saturating_sub(sched.wait)), at);
            }
            go_sched::DEAD => self.workers.end(worker),
            go_sched::RUNS | go_sched::PARKED | go_sched::READY => {}
            _ => self.malformed += 1,
        }
    }

    /// A goroutine works for whom the one works that started it.
    fn created(&mut self, worker: Worker, by: Option<Worker>, at: Ktime) {
        let Some(request) = by.and_then(|by| self.current(by, at)) else { return };
        let handler = self.requests.served(request).and_then(|served| served.handler);
        let work = if handler == by { Work::Request(request) } else { Work::Descends(request) };
        self.workers.set(worker, work, at);
    }
}
