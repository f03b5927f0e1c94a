//! Exchanges on their way out: each waits until its trace is known, a bounded time, and all leave in the order in which
//! they came.
use std::collections::VecDeque;

use super::{Causality, Evidence, Likely, Link, Parent, Request};
use crate::{
    App, Exchange, JoinedExchange, Ktime, Propagation, Side, TraceId, TracedExchange,
    phase::Windows,
    wire::{RequestKey, TableSize},
};

/// How long an exchange waits for what its trace depends on, in ns.
const WAIT: u64 = 500_000_000;
/// Exchanges that wait; the oldest goes on as it is.
const LIMIT: usize = 16_384;
/// How far a trace is followed on one node.
const MAX_DEPTH: usize = 64;

/// The exchanges that wait, with until when.
#[derive(Default)]
pub(super) struct Releases {
    waiting: VecDeque<(Ktime, JoinedExchange)>,
    overflowed: u64,
}

impl Releases {
    pub(super) fn size(&self) -> TableSize {
        TableSize {
            name: "trace_waiting",
            entries: self.waiting.len() as u64,
            limit: LIMIT as u64,
            evicted: self.overflowed,
        }
    }
}

impl Causality {
    /// An exchange came.
    pub(crate) fn exchange(
        &mut self,
        joined: JoinedExchange,
        now: Ktime,
        out: &mut impl FnMut(TracedExchange),
    ) {
        self.last_chance(&joined);
        if self.releases.waiting.is_empty() && self.is_ready(&joined.exchange) {
            return out(self.traced(joined));
        }
        if self.releases.waiting.len() >= LIMIT {
            self.releases.overflowed += 1;
            self.pop(out);
        }
        self.releases.waiting.push_back((now.after(WAIT), joined));
        self.release(now, out);
    }

    /// Lets go what is ready or waited for long enough, and forgets requests that ended long ago.
    pub(crate) fn release(&mut self, now: Ktime, out: &mut impl FnMut(TracedExchange)) {
        while let Some((until, joined)) = self.releases.waiting.front() {
            if *until > now && !self.is_ready(&joined.exchange) {
                break;
            }
            self.pop(out);
        }
        let connections = &mut self.connections;
        self.requests.expire(now, &mut |key, cookie| connections.forget(key, cookie));
        self.connections.expire(now);
    }

    /// Lets all go.
    pub(crate) fn flush(&mut self, out: &mut impl FnMut(TracedExchange)) {
        while !self.releases.waiting.is_empty() {
            self.pop(out);
        }
    }

    /// When [`Self::release`] is useful.
    pub(crate) fn next_deadline(&self) -> Option<Ktime> {
        self.releases.waiting.front().map(|(until, _)| *until)
    }

    fn pop(&mut self, out: &mut impl FnMut(TracedExchange)) {
        if let Some((_, joined)) = self.releases.waiting.pop_front() {
            out(self.traced(joined));
        }
    }

    /// A client's exchange is over: if its cause is not known by now it is not told any more.
    pub(crate) fn last_chance(&mut self, joined: &JoinedExchange) {
        if joined.exchange.side != Side::Client {
            return;
        }
        let key = key(&joined.exchange);
        let Some(request) = self.requests.get(key) else { return };
        if request.parent != Parent::Unknown {
            return;
        }
        let began = request.began;
        let App { pid, goid, .. } = joined.app;
        let writer = pid.zip(goid).and_then(|(pid, goid)| super::Worker::goroutine(pid, goid));
        let found = writer.and_then(|writer| self.by_writer(writer, None, began));
        self.resolve(key, found);
    }

    fn is_ready(&self, exchange: &Exchange) -> bool {
        let key = key(exchange);
        let request = self.requests.get(key);
        request.is_none() || self.trace_of(key, request).is_some()
    }

    /// The trace of a request that is known; nothing while it may yet become another.
    pub(super) fn trace(&self, key: RequestKey) -> Option<TraceId> {
        self.trace_of(key, self.requests.get(key))
    }

    /// The same of what was looked up already.
    fn trace_of<'a>(&'a self, mut key: RequestKey, mut found: Option<&'a Request>) -> Option<TraceId> {
        for _ in 0..MAX_DEPTH {
            let Some(request) = found else { break };
            if let Some(trace) = request.trace.or(request.propagation.trace) {
                return Some(trace);
            }
            let up = match (key.side, request.parent) {
                (Side::Client, Parent::Unknown) => return None,
                (Side::Client, Parent::None) => break,
                (Side::Client, Parent::Known(cause)) => RequestKey { id: cause.request, side: Side::Server },
                (Side::Server, _) => RequestKey { id: key.id, side: Side::Client },
            };
            found = self.requests.get(up);
            if found.is_some() {
                key = up;
            }
        }
        Some(key.id.trace_id())
    }

    fn traced(&mut self, joined: JoinedExchange) -> TracedExchange {
        let link = self.link(&joined.exchange);
        let phases = joined.phases(&self.windows(&joined));
        if let Some(request) = self.requests.get_mut(key(&joined.exchange)) {
            request.trace = Some(link.trace_id);
            request.children = Vec::new();
        }
        TracedExchange { joined, link, phases }
    }

    fn link(&self, exchange: &Exchange) -> Link {
        let key = key(exchange);
        let said = exchange.propagation.as_deref().copied().unwrap_or_default();
        let request = self.requests.get(key);
        let known = request.and_then(|_| self.trace_of(key, request));
        let trace_id = known.or(said.trace).unwrap_or_else(|| key.id.trace_id());
        let (parent_span_id, evidence) = match key.side {
            Side::Client => self.client_parent(key, &said),
            Side::Server => self.server_parent(key, &said),
        };
        let likely = if parent_span_id.is_none() { self.likely(key) } else { None };
        Link { trace_id, parent_span_id, evidence, likely }
    }

    /// The one request that the process which sent this one had read by then, where its pod had no other.
    fn likely(&self, key: RequestKey) -> Option<Likely> {
        let request = self.requests.get(key)?;
        let only = RequestKey { id: request.only_open?, side: Side::Server };
        let served = self.requests.get(only)?;
        let (reader, writer) = (served.mover?, request.mover?);
        let was_read = reader.pid == writer.pid && reader.time <= request.began;
        let trace_id = || self.trace(only).unwrap_or_else(|| only.id.trace_id());
        was_read.then(|| Likely { trace_id: trace_id(), span_id: only.id.server_span_id() })
    }

    /// The server's span of the request that caused it; else the span that the application names as its own.
    fn client_parent(&self, key: RequestKey, said: &Propagation) -> (Option<crate::SpanId>, Evidence) {
        match self.requests.get(key).map(|request| request.parent) {
            Some(Parent::Known(cause)) => (Some(cause.request.server_span_id()), cause.evidence),
            _ if said.span.is_some() => (said.span, Evidence::Header),
            _ => (None, Evidence::None),
        }
    }

    /// Its own exchange's client, which need not be seen on this node; one that is not, and named itself, is believed.
    fn server_parent(&self, key: RequestKey, said: &Propagation) -> (Option<crate::SpanId>, Evidence) {
        let client = RequestKey { id: key.id, side: Side::Client };
        match said.span {
            Some(span) if self.requests.get(client).is_none() => (Some(span), Evidence::Header),
            _ => (Some(key.id.client_span_id()), Evidence::None),
        }
    }

    /// When something else than the handler was at work for an exchange.
    fn windows(&self, joined: &JoinedExchange) -> Windows {
        let key = key(&joined.exchange);
        let Some(request) = self.requests.get(key) else { return Windows::default() };
        let pid = joined.app.pid.unwrap_or(0);
        let probes = self.processes.probes(pid);
        let knows_children = request.knows_children() && (probes.call || !request.children.is_empty());
        let children = || request.children.iter().map(|child| (child.began, child.ended)).collect();
        let began = joined.exchange.request.first_byte;
        let waits =
            || request.handler.into_iter().flat_map(|worker| self.workers.waits(worker, began)).collect();
        let server = RequestKey { id: key.id, side: Side::Server };
        Windows {
            downstream: knows_children.then(children),
            stops: probes.gc.then(|| self.processes.stops(pid, began).collect()),
            waits: (probes.sched && request.handler.is_some()).then(waits),
            server_ns: self.requests.get(server).and_then(|request| request.duration),
        }
    }
}

fn key(exchange: &Exchange) -> RequestKey {
    RequestKey { id: exchange.id(), side: exchange.side }
}
