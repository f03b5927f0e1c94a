//! From what was seen to the cause.
use super::{Causality, Evidence, Parent, Request, Work, Worker, link::Cause};
use crate::{
    ExchangeId, Ktime, Side,
    wire::{Moved, RequestKey},
};

impl Causality {
    /// It is known who wrote a request's first byte.
    pub(super) fn written(&mut self, key: RequestKey, moved: &Moved) {
        let Some(request) = self.requests.get(key) else { return };
        if request.parent != Parent::Unknown {
            return;
        }
        let (began, stream_id) = (request.began, request.stream_id);
        let found = match Worker::of(moved) {
            Some(worker) => self.by_writer(worker, Worker::parent_of(moved), began),
            None => self.by_thread(moved.pid),
        };
        // grpc-go sends a stream's head before it tells who called; of HTTP/1 that was told before.
        let will_be_told = stream_id != 0 && self.processes.probes(moved.pid).call;
        if found.is_some() || !will_be_told {
            self.resolve(key, found);
        }
    }

    /// What a client's request is caused by is decided.
    pub(super) fn resolve(&mut self, key: RequestKey, found: Option<Cause>) {
        let Some(request) = self.requests.get(key) else { return };
        let (began, ended) = (request.began, request.ended);
        let cause = self.by_header(request, found).or(found);
        let parent = cause.map(|cause| RequestKey { id: cause.request, side: Side::Server });
        let trace = parent.and_then(|parent| self.trace(parent));
        if let Some(parent) = parent.and_then(|parent| self.requests.get_mut(parent)) {
            parent.adopt(key.id, began, ended);
        }
        let Some(request) = self.requests.get_mut(key) else { return };
        request.parent = cause.map_or(Parent::None, Parent::Known);
        request.trace = request.propagation.trace.or(trace);
    }

    /// Requests that carry the same trace or request id. Of several the one counts that something else names, too; where
    /// nothing does, nobody can tell.
    fn by_header(&self, request: &Request, found: Option<Cause>) -> Option<Cause> {
        let may_cause = |id: &ExchangeId| self.may_cause(*id, request.began);
        let mut named = self.headers.find(request.netns, &request.propagation).filter(may_cause);
        let first = named.next()?;
        let mut several = false;
        let mut agreed = found.is_some_and(|found| found.request == first);
        for other in named {
            several |= other != first;
            agreed |= found.is_some_and(|found| found.request == other);
        }
        let request = match found {
            Some(found) if agreed => found.request,
            _ if several => return None,
            _ => first,
        };
        Some(Cause { request, evidence: Evidence::Header })
    }

    /// The request for which a goroutine writes, as far as that is its own.
    pub(super) fn by_writer(&mut self, worker: Worker, parent: Option<Worker>, at: Ktime) -> Option<Cause> {
        match self.workers.work(worker) {
            Work::Descends(_) => None,
            _ => self.by_goroutine(worker, parent, at),
        }
    }

    /// The request that a goroutine works for, or the one that the goroutine works for that started it meanwhile.
    pub(super) fn by_goroutine(
        &mut self,
        worker: Worker,
        parent: Option<Worker>,
        at: Ktime,
    ) -> Option<Cause> {
        if let Some(request) = self.current(worker, at) {
            return Some(Cause { request, evidence: Evidence::SameGoroutine });
        }
        let request = self.started_for(worker, parent?, at)?;
        self.workers.set(worker, Work::Request(request), at);
        Some(Cause { request, evidence: Evidence::ParentGoroutine })
    }

    /// The request for which a goroutine was started, where nobody told when that was: the one that its parent works for, if
    /// it was not seen before that was read, and its parent never had another.
    fn started_for(&self, worker: Worker, parent: Worker, at: Ktime) -> Option<ExchangeId> {
        let request = self.current(parent, at)?;
        let served = self.requests.served(request)?;
        let is_new =
            self.workers.is_new(worker, served.read()?) && self.workers.work(worker) == Work::Unknown;
        let told = self.processes.probes(worker.pid).create;
        // What a connection's goroutine started may be for an earlier request, however late it is seen.
        let had_others = matches!(self.workers.work(parent), Work::Connection(_)) && !served.first;
        (is_new && !told && !had_others).then_some(request)
    }

    fn by_thread(&mut self, pid: u32) -> Option<Cause> {
        if self.processes.is_go(pid) {
            return None;
        }
        let requests = &self.requests;
        let is_open = |id| requests.served(id).is_some_and(|request| request.ended.is_none());
        let request = self.loops.cause(pid, is_open)?;
        Some(Cause { request, evidence: Evidence::Thread })
    }

    /// The request that one works for at this time.
    pub(super) fn current(&self, worker: Worker, at: Ktime) -> Option<ExchangeId> {
        match self.workers.work(worker) {
            Work::Unknown | Work::Many => None,
            Work::Request(id) | Work::Descends(id) => self.may_cause(id, at).then_some(id),
            Work::Connection(cookie) => self.current_of(cookie, at),
            Work::Streams(cookie) => self.only_of(cookie, worker, at),
        }
    }

    pub(super) fn may_cause(&self, id: ExchangeId, at: Ktime) -> bool {
        self.requests.served(id).is_some_and(|request| request.may_cause(at))
    }

    /// Of a connection's requests that were read, the first one that is not over; else the last one, whose handler may be
    /// at work behind its response until the next request is read.
    fn current_of(&self, cookie: u64, at: Ktime) -> Option<ExchangeId> {
        let mut last = None;
        for (id, request) in self.served_on(cookie) {
            if request.read().is_none_or(|read| read > at) {
                continue;
            }
            if request.ended.is_none_or(|ended| ended >= at) {
                return request.may_cause(at).then_some(id);
            }
            last = Some((id, request));
        }
        last.filter(|(_, request)| request.may_cause(at)).map(|(id, _)| id)
    }

    /// The one stream that is open. Where handlers are told of, they are asked instead.
    fn only_of(&self, cookie: u64, worker: Worker, at: Ktime) -> Option<ExchangeId> {
        if self.processes.probes(worker.pid).serve {
            return None;
        }
        let mut open = self
            .served_on(cookie)
            .filter(|(_, request)| request.ended.is_none() && request.read().is_some_and(|read| read <= at));
        let (id, request) = open.next()?;
        (open.next().is_none() && request.may_cause(at)).then_some(id)
    }

    fn served_on(&self, cookie: u64) -> impl Iterator<Item = (ExchangeId, &Request)> {
        let requests = self.connections.get(cookie).into_iter().flat_map(|known| known.requests.iter());
        requests.filter_map(|(_, key)| Some((key.id, self.requests.served(key.id)?)))
    }
}
