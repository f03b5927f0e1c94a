//! Stage 6: who caused what. A client's request is a child of the server's request that made its process send it, where
//! something says so; no link is better than a wrong one.
//!
//! Everything happens in the order of the ring: a program writes its record before its thread goes on, so what a goroutine
//! did before it sent a request is known before the request is. What comes later is the end of a send, which tells who
//! wrote; an exchange waits for that, a bounded time.
use crate::{
    ExchangeId, GoProcess, Ktime, ProcessUpdate, Side,
    wire::{Began, Moved, Over, RequestKey, TableSize},
};

mod connection;
mod connections;
mod context;
mod evidence;
mod go;
mod goroutine;
mod headers;
mod lately;
mod link;
mod open;
mod process;
mod record;
mod release;
mod request;
#[cfg(test)]
mod tests;
mod thread;

use connections::Connections;
use context::Contexts;
use goroutine::{Work, Worker, Workers};
use headers::Headers;
pub use link::{Evidence, Likely, Link};
use process::Processes;
pub(crate) use record::is_go;
use release::Releases;
use request::{Parent, Request, Requests};
use thread::Loops;

/// The requests of the last seconds, who works for them, and the exchanges that wait for their place in a trace.
pub(crate) struct Causality {
    requests: Requests,
    connections: Connections,
    workers: Workers,
    loops: Loops,
    contexts: Contexts,
    headers: Headers,
    processes: Processes,
    releases: Releases,
    /// Calls and handlers of connections that are not known.
    unplaced: u64,
    /// Records that are none.
    malformed: u64,
}

impl Causality {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            requests: Requests::new(limit),
            connections: Connections::default(),
            workers: Workers::default(),
            loops: Loops::default(),
            contexts: Contexts::default(),
            headers: Headers::default(),
            processes: Processes::default(),
            releases: Releases::default(),
            unplaced: 0,
            malformed: 0,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.requests.set_limit(limit);
    }

    /// What is known of a process. Where nobody tells any more which requests it serves, contexts that are known may soon be in
    /// the memory of others.
    pub(crate) fn process(&mut self, update: ProcessUpdate) {
        let (pid, serve) = match update {
            ProcessUpdate::Go(GoProcess { pid, probes, .. }) => (pid, probes.serve),
            ProcessUpdate::Gone { pid } => (pid, false),
        };
        if self.processes.probes(pid).serve && !serve {
            self.contexts.forget_all(pid);
        }
        self.processes.update(update);
    }

    /// Records of calls whose connection is not known, and records that are none.
    pub(crate) fn unused(&self) -> (u64, u64) {
        (self.unplaced, self.malformed)
    }

    pub(crate) fn tables(&self) -> [TableSize; 7] {
        [
            self.requests.size(),
            self.connections.size(),
            self.workers.size(),
            self.contexts.size(),
            self.headers.size(),
            self.processes.size(),
            self.releases.size(),
        ]
    }

    /// A request began.
    pub(crate) fn began(&mut self, began: &Began) {
        let key = began.key;
        let mut request = Request::new(began);
        if began.cookie == 0 {
            // Without a socket nobody will tell who wrote it.
            request.parent = Parent::None;
        }
        if let (Side::Server, Some(said)) = (key.side, &began.propagation) {
            self.headers.add(began.netns, said, key.id);
        }
        let connections = &mut self.connections;
        self.requests.insert(key, request, &mut |key, cookie| connections.forget(key, cookie));
        if began.cookie != 0 {
            self.begin_on_connection(began);
        }
    }

    fn begin_on_connection(&mut self, began: &Began) {
        let Began { key, stream_id, time, moved, .. } = *began;
        let connection = self.connections.begin(began);
        match key.side {
            Side::Client => {
                if let Some(call) = connection.announced(stream_id, time) {
                    self.resolve(key, call.cause);
                }
            }
            Side::Server => {
                if let Some(handled) = connection.handled(stream_id) {
                    self.handles(key.id, handled, time);
                }
            }
        }
        if let Some(moved) = moved {
            self.mover(key, moved);
        }
    }

    /// A thread moved bytes of a connection.
    pub(crate) fn moved(&mut self, cookie: u64, moved: &Moved) {
        match Worker::of(moved) {
            Some(worker) => drop(self.workers.see(worker, moved.time)),
            None => self.loops.see(moved),
        }
        while let Some(key) = self.connections.get_mut(cookie).and_then(|connection| connection.moved(moved))
        {
            self.mover(key, *moved);
        }
    }

    /// It is known who read a request's head, or wrote its first byte.
    fn mover(&mut self, key: RequestKey, moved: Moved) {
        let Some(request) = self.requests.get_mut(key) else { return };
        request.mover = Some(moved);
        let (cookie, stream_id) = (request.cookie, request.stream_id);
        match (key.side, stream_id) {
            (Side::Client, _) => self.written(key, &moved),
            (Side::Server, 0) => self.read(key.id, cookie, &moved),
            (Side::Server, _) => self.read_stream(cookie, &moved),
        }
    }

    /// Over HTTP/1 who reads a request handles it: a goroutine for itself alone.
    fn read(&mut self, id: ExchangeId, cookie: u64, moved: &Moved) {
        let Some(worker) = Worker::of(moved) else { return self.loops.read(moved.pid, id) };
        self.workers.set(worker, Work::Connection(cookie), moved.time);
        if let Some(request) = self.requests.get_mut(RequestKey { id, side: Side::Server }) {
            request.handler = Some(worker);
        }
    }

    /// Over HTTP/2 one goroutine reads for all streams: grpc-go's starts the handlers, net/http's was started by the
    /// goroutine that does.
    fn read_stream(&mut self, cookie: u64, moved: &Moved) {
        let Some(worker) = Worker::of(moved) else { return };
        self.workers.set(worker, Work::Streams(cookie), moved.time);
        let Some(starter) = Worker::parent_of(moved) else { return };
        if self.workers.work(starter) == Work::Unknown {
            self.workers.set(starter, Work::Streams(cookie), moved.time);
        }
    }

    /// An exchange is over on the wire.
    pub(crate) fn over(&mut self, over: &Over) {
        let Over { key, cookie, time, duration } = *over;
        self.requests.end(key, time, duration);
        if let Some(connection) = self.connections.get_mut(cookie) {
            connection.over(key);
        }
        let parent = self.requests.get(key).map(|request| request.parent);
        if let (Side::Client, Some(Parent::Known(cause))) = (key.side, parent) {
            self.child_ended(cause.request, key.id, time);
        }
    }

    fn child_ended(&mut self, parent: ExchangeId, child: ExchangeId, at: Ktime) {
        if let Some(request) = self.requests.get_mut(RequestKey { id: parent, side: Side::Server }) {
            request.child_ended(child, at);
        }
    }
}
